"""The places of the stage world by name."""

from functools import lru_cache

from mv.world import nature, town
from mv.world.places import Place, colors

PLACES = {
    "stage": town.stage,
    "club": town.club,
    "city": town.city,
    "rooftop": town.rooftop,
    "room": town.room,
    "tunnel": town.tunnel,
    "space": town.space,
    "road": nature.road,
    "desert": nature.desert,
    "ocean": nature.ocean,
    "forest": nature.forest,
    "mountains": nature.mountains,
}


@lru_cache(maxsize=48)
def place(scene: str, time: str, palette: str) -> Place:
    """The place three words name; built once."""
    return PLACES[scene](colors(palette, time))
