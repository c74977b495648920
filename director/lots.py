"""Drawing lots: every choice has its own named random stream, so that a change elsewhere does not reshuffle it."""

import hashlib
import random
from collections.abc import Hashable, Mapping
from typing import TypeVar

from mv.schema import Mood

Name = TypeVar("Name", bound=Hashable)


def fit(energy: float, suited: float, width: float = 0.25) -> float:
    """How well a choice suits an energy: 1 at its own, falling to both sides, never 0."""
    return max(0.01, 1 - (abs(energy - suited) / (2 * width)) ** 2)


def in_order(weights: Mapping[Name, float], stream: str) -> list[Name]:
    """Names in a seeded order, heavier ones earlier: keys u^(1/w), Efraimidis and Spirakis 2006."""
    rng = random.Random(stream)
    keys = {name: rng.random() ** (1 / weight) for name, weight in weights.items()}
    return sorted(keys, key=keys.get, reverse=True)


def ranked(moods: Mapping[str, tuple[float, float]], mood: Mood, stream: str, jitter: float = 0.4) -> tuple[str, ...]:
    """Names by nearness to the song's mood, with a seeded jitter so that two films of one mood differ."""
    rng = random.Random(stream)
    far = {n: abs(a - mood.arousal) + abs(v - mood.valence) + jitter * rng.random() for n, (a, v) in moods.items()}
    return tuple(sorted(far, key=far.get))


def seed_of(stream: str) -> int:
    """A seed of 32 bits, the same on every machine."""
    return int.from_bytes(hashlib.sha256(stream.encode()).digest()[:4], "big")
