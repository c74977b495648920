"""What a place of the stage world is made of, and the brushes the places are painted with.

A place is a sky (a painted backdrop), a ground (shading and flat patterns) and props sorted far to near, each a
function of the canvas and the music of the moment. Everything in it follows from its words (scene, time, palette) and
the music. The style is a poster's: large flat shapes with clean edges and no outlines, depth told by haze, one strong
light, and glow.
"""

import colorsys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from mv.world.canvas import Canvas, Veil, mix
from mv.world.vocabulary import PALETTES

WHITE = np.array([255.0, 255.0, 255.0])
INK = np.array([20.0, 15.0, 26.0])
MOON = np.array([255.0, 246.0, 214.0])
BACKDROP = 40.0  # metres behind the performer
GROUND = 36.0  # metres from the performer to where the ground meets the fog
SKY_PIXELS = 6  # of the backdrop, a metre
SKY_X, SKY_TOP, SKY_BOTTOM = 90.0, 50.0, -8.0  # the backdrop's extent in metres


@dataclass(frozen=True)
class Music:
    """What is heard at one frame: levels 0..1; beat counts beats modulo 8."""

    low: float = 0.0
    mid: float = 0.0
    high: float = 0.0
    energy: float = 0.5
    mouth: float = 0.0
    beat: float = 0.0

    @property
    def pulse(self) -> float:
        """1 on every beat, falling to 0.05 before the next."""
        return float(np.exp(-3 * (self.beat % 1)))


@dataclass(frozen=True)
class Colors:
    accent: np.ndarray
    second: np.ndarray
    dark: np.ndarray
    middle: np.ndarray
    horizon: np.ndarray
    zenith: np.ndarray
    light: float  # how bright the place is: 0.6 night, 1 sunset, 1.35 day

    def haze(self, near, share: float) -> np.ndarray:
        """A colour seen through the air: share 0 beside the camera, 1 lost in the horizon."""
        return mix(near, self.horizon, share)


Prop = tuple[float, Callable[[Canvas, Music], None]]


@dataclass(frozen=True)
class Place:
    colors: Colors
    sky: np.ndarray  # (h, w, 3) uint8, painted on the plane z = -BACKDROP
    ground: np.ndarray  # (n, n, 3) uint8, shading of the square [-GROUND, GROUND]²
    pool: np.ndarray  # (n, n, 3) uint8, light added to the ground as far as the lows are loud
    pattern: tuple[tuple[np.ndarray, np.ndarray], ...]  # (polygon (n, 3), colour) flat on the ground
    props: tuple[Prop, ...]  # sorted far to near; those in front of the performer have z > 0
    sun: np.ndarray  # direction of the key light in the picture plane, (x, y)
    tones: np.ndarray  # (5, 3) float RGB: accent, second, top of the sky, fog, ground at the performer's feet


def hsv(hue: float, saturation: float, value: float) -> np.ndarray:
    return 255.0 * np.array(colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0), 1), min(max(value, 0), 1)))


@lru_cache(maxsize=64)
def colors(palette: str, time: str) -> Colors:
    hue, second = PALETTES[palette]
    light = {"night": 0.6, "sunset": 1.0, "day": 1.35}[time]
    horizon = {
        "night": hsv(hue + 0.02, 0.62, 0.50),
        "sunset": hsv(hue + 0.03, 0.66, 0.92),
        "day": mix(hsv(hue, 0.30, 0.96), WHITE, 0.25),
    }[time]
    zenith = {
        "night": hsv(hue + 0.60, 0.62, 0.13),
        "sunset": hsv(hue + 0.72, 0.60, 0.40),
        "day": hsv(hue + 0.08, 0.45, 0.86),
    }[time]
    return Colors(
        accent=hsv(hue, 0.82, 1.0),
        second=hsv(second, 0.74, 1.0),
        dark=hsv(hue + 0.58, 0.52, 0.15 * light),
        middle=hsv(hue + 0.60, 0.55, 0.38 * light),
        horizon=horizon,
        zenith=zenith,
        light=light,
    )


def assemble(
    c: Colors,
    sky: np.ndarray,
    near,
    fog,
    props: Sequence[Prop],
    pattern=(),
    pool_color=None,
    pool: float = 0.5,
    sun=(0.7, 0.7),
) -> Place:
    """A Place from its parts. near, fog: the ground's colour at the performer's feet and far away."""
    shade, glow = _shade_ground(near, fog, c.accent if pool_color is None else pool_color, pool)
    tones = np.stack([c.accent, c.second, sky[: len(sky) // 3].mean((0, 1)), np.asarray(fog), np.asarray(near)])
    ordered = tuple(sorted(props, key=lambda prop: prop[0]))
    picture = np.clip(sky, 0, 255).astype(np.uint8)
    return Place(c, picture, shade, glow, tuple(pattern), ordered, np.array(sun), np.clip(tones, 0, 255))


def _shade_ground(near, far, pool_color, pool: float) -> tuple[np.ndarray, np.ndarray]:
    """Ground colour from near to the fog, and the light round the performer."""
    axis = np.linspace(-GROUND, GROUND, 192)
    radius = np.hypot(*np.meshgrid(axis, axis))[..., None]
    fog = np.clip((radius - 3) / 20, 0, 1) ** 0.8
    shade = np.asarray(near) * (1 - fog) + np.asarray(far) * fog
    glow = np.exp(-(radius**2) / 5.0) * np.asarray(pool_color) * pool
    return np.clip(shade, 0, 255).astype(np.uint8), np.clip(glow, 0, 255).astype(np.uint8)


# ---------------------------------------------------------------- the sky: a backdrop painted once


def gradient_sky(*stops, bend: float = 1.2) -> np.ndarray:
    """Colours from the top of the sky down to the horizon (y = 0), evenly spaced; float (h, w, 3).

    What lies under the horizon is the last colour.
    """
    height, width = round((SKY_TOP - SKY_BOTTOM) * SKY_PIXELS), round(2 * SKY_X * SKY_PIXELS)
    v = np.clip(np.arange(height) / (SKY_TOP * SKY_PIXELS), 0, 1) ** bend * (len(stops) - 1)
    column = np.stack([np.interp(v, np.arange(len(stops)), [s[k] for s in stops]) for k in range(3)], 1)
    return np.repeat(column[:, None], width, 1).astype(np.float32)


def _backdrop_grid(sky: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(sky.shape[1]) / SKY_PIXELS - SKY_X
    y = SKY_TOP - np.arange(sky.shape[0]) / SKY_PIXELS
    return np.meshgrid(x, y)


def sun_disc(sky: np.ndarray, x: float, y: float, radius: float, color, halo, reach: float = 3.0) -> None:
    """Paint a sun or moon of `radius` metres on the backdrop, with a soft halo `reach` radii wide; in place."""
    gx, gy = _backdrop_grid(sky)
    distance = np.hypot(gx - x, gy - y)
    sky += (np.asarray(halo) * 0.75 * np.exp(-((distance / (reach * radius)) ** 2) * 2.0)[..., None]).astype(np.float32)
    edge = np.clip((radius - distance) * SKY_PIXELS + 0.5, 0, 1)[..., None]
    sky[:] = sky * (1 - edge) + np.asarray(color) * edge


def cloud_bars(sky: np.ndarray, bars, color, softness: float = 0.5) -> None:
    """Flat clouds (x, y, half length, half thickness) in metres with rounded ends; in place."""
    mask = np.zeros(sky.shape[:2], np.float32)
    for x, y, half, thick in bars:
        at = lambda px, py: (round((px + SKY_X) * SKY_PIXELS), round((SKY_TOP - py) * SKY_PIXELS))
        cv2.line(mask, at(x - half, y), at(x + half, y), 1.0, max(1, round(2 * thick * SKY_PIXELS)), cv2.LINE_AA)
    mask = cv2.GaussianBlur(mask, (0, 0), max(0.3, softness * SKY_PIXELS))[..., None]
    sky[:] = sky * (1 - mask) + np.asarray(color) * mask


# ---------------------------------------------------------------- brushes for props: each gives (depth, paint)


def flat(z: float, outline, color) -> Prop:
    """An upright flat shape, outline (x, y) in metres, facing the audience."""
    points = np.array([(x, y, z) for x, y in outline], float)
    shade = np.asarray(color, float)

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.polygon(points, shade)

    return z, paint


def ridge(z: float, color, outline) -> Prop:
    """A mountain line (x, y) from left to right, filled down to the ground."""
    return flat(z, [(outline[0][0], -0.5), *outline, (outline[-1][0], -0.5)], color)


def veil(z: float, color, bottom: float, top: float, strength: float = 1.0, reach: float = 90.0) -> Prop:
    """Mist: a band from x = -reach to reach, opaque by `strength` at y = bottom and clear at y = top."""
    # Squared, so that the band has no visible upper edge.
    alpha = strength * np.linspace(0, 1, 48)[:, None] ** 2
    sheet = Veil.make(np.broadcast_to(np.asarray(color, float), (48, 2, 3)), np.repeat(alpha, 2, 1),
                      (-reach, bottom, reach, top), z)  # fmt: skip

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.veil(sheet)

    return z, paint


def glow(z: float, x: float, y: float, radius: float, color, level: Callable[[Music], float]) -> Prop:
    """A soft light whose strength follows the music."""
    shade = np.asarray(color, float)

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.disc((x, y, z), radius, shade * level(m), glow=True)

    return z, paint
