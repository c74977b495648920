"""Is the performer the one that was cast: are the colours of skin, hair and clothes the right ones, in their places?"""

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from mv.camera import CameraPath
from mv.world.render import draw, figure_layout
from mv.world.vocabulary import HAIR_COLORS, OUTFIT_COLORS, SKINS, Directions

TABLES = {"skin": SKINS, "hair_color": HAIR_COLORS, "outfit_color": OUTFIT_COLORS}
LEAST = 15  # pixels of a part, at half size, that must be in sight to judge its colour


def cast_seen(
    pictures: Sequence[np.ndarray], directions: Directions, path: CameraPath, audio: np.ndarray
) -> list[dict[str, tuple[str, str]]]:
    """Per picture and part of the cast: (the name asked for, the name whose picture by the teacher is nearest).

    pictures: one or more (h, w, 3) uint8 of one moment, a path of one pose and audio (1, len(AUDIO_FEATURES)). The
    teacher paints every colour of a table into this very moment, so light and tint are those of the place. Parts out
    of sight are left out; an empty scene gives {}.
    """
    seen = [{} for _ in pictures]
    if directions.action is None:
        return seen
    height, width = (side // 2 for side in pictures[0].shape[:2])  # colours need no detail, and drawing takes time
    small = [cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in pictures]
    for part, table in TABLES.items():
        looks = {name: replace(directions.look, **{part: name}) for name in table}
        drawn = {n: draw(replace(directions, look=x), path, audio, width, height)[0] for n, x in looks.items()}
        place = _place_of(np.stack(list(drawn.values())))
        if place.sum() < LEAST:
            continue
        colors = {name: _color(picture, place) for name, picture in drawn.items()}
        for found, picture in zip(seen, small):
            here = _color(picture, place)
            nearest = min(colors, key=lambda name: np.linalg.norm(colors[name] - here))
            found[part] = (getattr(directions.look, part), nearest)
    return seen


def _place_of(pictures: np.ndarray) -> np.ndarray:
    """(h, w) bool: where pictures (n, h, w, 3) that differ in one colour only do differ, without the rim."""
    changed = (np.ptp(pictures, 0).max(-1) > 40).astype(np.uint8)
    return cv2.erode(changed, np.ones((3, 3), np.uint8)) > 0


def _color(picture: np.ndarray, place: np.ndarray) -> np.ndarray:
    """(3,) the median colour in L*a*b*."""
    color = np.median(picture[place], 0).astype(np.float32) / 255
    return cv2.cvtColor(color[None, None], cv2.COLOR_RGB2Lab)[0, 0]


def figure_mask(directions: Directions, path: CameraPath, audio: np.ndarray, width: int, height: int) -> np.ndarray:
    """(f, height, width) bool: where the performer stands, from the layout's mark of the figure."""
    quarter = figure_layout(directions, path, audio, max(1, width // 4), max(1, height // 4))[:, 3]
    return np.stack([cv2.resize(mark, (width, height)) for mark in quarter]) > 0.3
