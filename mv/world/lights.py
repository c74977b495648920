"""Brushes the lit places share: soft lights, beams, round shapes, silhouettes of a crowd.

Like the brushes of `places`, each gives (depth, paint) or plain world points in metres.
"""

import colorsys
from collections.abc import Callable, Sequence

import cv2
import numpy as np

from mv.world.canvas import NEAR, Canvas, mix
from mv.world.places import Colors, Music, Prop, hsv

FLOOR = -39.0  # depth of what lies on the ground: painted before everything that stands


def shadow(c: Colors, value: float, saturation: float = 0.62) -> np.ndarray:
    """The accent in the shade: `value` 0..1 at sunset, its hue turned towards blue-violet.

    Close in hue to the accent and the horizon, so that mixing them never passes through grey.
    """
    hue = colorsys.rgb_to_hsv(*c.accent / 255)[0]
    turn = 0.10 if 0.2 < hue < 0.7 else -0.10
    return hsv(hue + turn, saturation, value * (0.40 + 0.60 * c.light))


def daylit(c: Colors, color, share: float = 0.45) -> np.ndarray:
    """A wall in the light that comes in from outside: nothing of it at night, most by day."""
    return mix(color, c.horizon, share * max(0.0, c.light - 0.6))


def overhead(c: Colors) -> np.ndarray:
    """The top of the sky, kept near the accent's hue."""
    value = 0.10 + 0.65 * c.zenith.max() / 255
    return mix(c.zenith, shadow(c, value / (0.40 + 0.60 * c.light), 0.58), 0.7)


def upright(z: float, outline) -> np.ndarray:
    """An outline (x, y) as points (n, 3) on the plane z."""
    outline = np.asarray(outline, float)
    return np.column_stack([outline, np.full(len(outline), z)])


def toward(outline, x: float, z: float) -> np.ndarray:
    """An outline (sideways, y) on the upright plane through (x, z) that faces the performer, as points (n, 3)."""
    outline, distance = np.asarray(outline, float), np.hypot(x, z)
    return np.column_stack([x - outline[:, 0] * z / distance, outline[:, 1], z + outline[:, 0] * x / distance])


def lying(outline, y: float = 0.0) -> np.ndarray:
    """An outline (x, z) as points (n, 3) on the ground."""
    outline = np.asarray(outline, float)
    return np.column_stack([outline[:, 0], np.full(len(outline), y), outline[:, 1]])


def box(x0: float, y0: float, x1: float, y1: float) -> list[tuple[float, float]]:
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def arc(
    x: float, y: float, radius: float, start: float = 0.0, end: float = 360.0, squash: float = 1.0, tilt: float = 0.0
) -> np.ndarray:
    """Points (n, 2) on an arc, degrees counter-clockwise from the right; squash flattens it before tilt turns it."""
    a, t = np.radians(np.linspace(start, end, max(4, round(abs(end - start) / 7.5)) + 1)), np.radians(tilt)
    u, v = radius * np.cos(a), radius * squash * np.sin(a)
    return np.column_stack([x + u * np.cos(t) - v * np.sin(t), y + u * np.sin(t) + v * np.cos(t)])


def band(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The strip between two lines that run the same way, (n, 2) each, as one outline."""
    return np.concatenate([outer, inner[::-1]])


def mirrored(points: np.ndarray) -> np.ndarray:
    """Where a wet or polished ground shows points (n, 3)."""
    return points * (1, -1, 1)


def light(
    z: float, x: float, y: float, radius: float, color, level: Callable[[Music], float], squash: float = 1.0
) -> Prop:
    """A light that fades evenly from its middle to `radius`, added to what is behind it; level 0..1."""
    v = np.linspace(-1, 1, 48)
    fall = np.clip(1 - np.hypot(*np.meshgrid(v, v)), 0, 1)[..., None] ** 1.7
    texture = (np.clip(color, 0, 255) * fall).astype(np.float32)
    wide, high = radius, radius * squash
    corners = upright(z, box(x - wide, y - high, x + wide, y + high))
    to_plane = np.array([[2 * wide / 47, 0, x - wide], [0, -2 * high / 47, y + high], [0, 0, 1]])
    # It is soft, so a quarter of the picture's size is enough.
    smaller = np.diag([0.25, 0.25, 1.0])

    def paint(canvas: Canvas, m: Music) -> None:
        if canvas.to_camera(corners)[:, 2].min() < NEAR:
            return
        matrix = smaller @ canvas.backdrop_homography(-z) @ to_plane
        size = (max(1, canvas.width // 4), max(1, canvas.height // 4))
        lit = (texture * min(1.0, level(m))).astype(np.uint8)
        cast = cv2.resize(cv2.warpPerspective(lit, matrix, size), (canvas.width, canvas.height))
        cv2.add(canvas.picture, cast, canvas.picture)

    return z, paint


def shape(z: float, points: np.ndarray, color, lit=None, level: Callable[[Music], float] | None = None) -> Prop:
    """A flat shape of world points (n, 3) that goes from `color` to `lit` as level goes 0..1."""
    color = np.asarray(color, float)

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.polygon(points, color if level is None else mix(color, lit, min(1.0, level(m))))

    return z, paint


def beam(
    z: float, lamp, reach: float, aim: float, swing: float, phase: float, width: float, color, base: float = 0.12
) -> Prop:
    """A broad beam from a lamp (x, y), `reach` metres long and `width` wide at its end.

    aim and swing in degrees (0 right, 90 up): it swings once in four beats and flares with the lows.
    """
    lamp, shade = np.asarray(lamp, float), np.asarray(color, float)

    def paint(canvas: Canvas, m: Music) -> None:
        angle = np.radians(aim + swing * np.sin(np.pi * m.beat / 2 + phase))
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        far, half = lamp + reach * along, 0.5 * width * across
        ends = [lamp - 0.12 * across, lamp + 0.12 * across, far + half, far - half]
        canvas.polygon(upright(z, ends), shade * (base + 0.30 * m.low), glow=True)

    return z, paint


def crowd(people: Sequence[tuple[float, float, float, int]], body, rim, scale: float = 1.0) -> list[Prop]:
    """Dark people seen from behind, lit along their upper edge and bobbing on the beat.

    people: (x, z, height of the head's top, raised arms 0..2), metres.
    """

    def person(k: int, x: float, z: float, top: float, arms: int) -> Prop:
        outline = _person(arms, scale * (-1 if k % 2 else 1))
        body_color, rim_color = np.asarray(body, float), np.asarray(rim, float)

        def paint(canvas: Canvas, m: Music) -> None:
            # Neighbours go up a quarter of a beat apart.
            jump = (0.03 + 0.07 * m.energy) * abs(np.cos(np.pi * (m.beat + 0.25 * (k % 3)))) * scale
            points = upright(z, outline + (x, top + jump))
            canvas.polygon(points, rim_color * (0.35 + 0.65 * m.low))
            canvas.polygon(points - (0, 0.035 * scale, 0), body_color)

        return z, paint

    return [person(k, *p) for k, p in enumerate(people)]


def _person(arms: int, scale: float) -> np.ndarray:
    """Outline (n, 2) in metres below the top of the head; arms: 0 down, 1 one raised, 2 both."""
    legs = [(0.19, -0.80), (0.23, -1.75), (0.06, -1.75)]
    down = [(0.08, -0.27), (0.21, -0.32), (0.28, -0.44), (0.33, -0.80), (0.22, -0.84), *legs]
    hand = [(0.22, 0.26), (0.20, 0.36), (0.27, 0.34), *arc(0.33, 0.42, 0.08, 170, 10), (0.39, 0.22)]  # thumb, fingers
    up = [
        (0.09, -0.27),
        (0.18, -0.29),
        (0.26, 0.02),
        (0.28, 0.22),
        *hand,
        (0.38, 0.0),
        (0.31, -0.36),
        (0.20, -0.70),
        *legs,
    ]
    right, left = (up if arms else down), (up if arms == 2 else down)
    head = arc(0, -0.135, 0.135, 235, -55)
    outline = [*((-x, y) for x, y in left[::-1]), *head, *right, (0, -0.98)]
    return np.array(outline) * (scale, abs(scale))
