"""The places of the stage world. Everything in a place follows from its words (scene, time, palette) and the music.

A place is a sky (a painted backdrop), a ground (shading and flat patterns) and props sorted far to near, each a
function of the canvas and the music of the moment.
"""

import colorsys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mv.world.canvas import Canvas, mix
from mv.world.vocabulary import PALETTES

WHITE = np.array([255.0, 255.0, 255.0])
INK = np.array([20.0, 15.0, 26.0])
MOON = np.array([255.0, 246.0, 214.0])
BACKDROP = 40.0  # metres behind the performer
GROUND = 36.0  # metres from the performer to where the ground meets the fog


@dataclass(frozen=True)
class Music:
    """What is heard at one frame: levels 0..1; beat counts beats modulo 8."""

    low: float = 0.0
    mid: float = 0.0
    high: float = 0.0
    energy: float = 0.5
    mouth: float = 0.0
    beat: float = 0.0


@dataclass(frozen=True)
class Colors:
    accent: np.ndarray
    second: np.ndarray
    dark: np.ndarray
    middle: np.ndarray
    horizon: np.ndarray
    zenith: np.ndarray
    light: float  # how bright the place is: 0.6 night, 1 sunset, 1.35 day


Prop = tuple[float, Callable[[Canvas, Music], None]]


@dataclass(frozen=True)
class Place:
    colors: Colors
    sky: np.ndarray  # (h, w, 3) uint8, painted on the plane z = -BACKDROP
    ground: np.ndarray  # (n, n, 3) uint8, shading of the square [-GROUND, GROUND]²
    pool: np.ndarray  # (n, n, 3) uint8, light added to the ground as far as the lows are loud
    pattern: tuple[tuple[np.ndarray, np.ndarray], ...]  # (polygon (n, 3), colour) flat on the ground
    props: tuple[Prop, ...]
    sun: np.ndarray  # direction of the key light in the picture plane, (x, y)


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


# ---------------------------------------------------------------- skies and grounds


def _gradient_sky(top, bottom) -> np.ndarray:
    v = np.linspace(0, 1, 232)[:, None, None] ** 1.2
    return np.ascontiguousarray(np.broadcast_to(mix(top, bottom, 0) * (1 - v) + np.asarray(bottom) * v, (232, 720, 3)))


def _shade_ground(near, far, pool_color, pool: float) -> tuple[np.ndarray, np.ndarray]:
    """Ground colour from near to the fog, and the light round the performer."""
    axis = np.linspace(-GROUND, GROUND, 192)
    radius = np.hypot(*np.meshgrid(axis, axis))[..., None]
    fog = np.clip((radius - 3) / 20, 0, 1) ** 0.8
    shade = np.asarray(near) * (1 - fog) + np.asarray(far) * fog
    glow = np.exp(-(radius**2) / 5.0) * np.asarray(pool_color) * pool
    return np.clip(shade, 0, 255).astype(np.uint8), np.clip(glow, 0, 255).astype(np.uint8)


def _checker(color, size: float, reach: int, fog_color) -> tuple:
    tiles = []
    for i in range(-reach, reach):
        for k in range(-reach, 3):
            if (i + k) % 2 == 0:
                x, z = i * size, k * size
                distance = np.hypot(x, z)
                shade = mix(color, fog_color, min(1.0, distance / (reach * size) + 0.1))
                tiles.append(
                    (np.array([(x, 0, z), (x + size, 0, z), (x + size, 0, z + size), (x, 0, z + size)]), shade)
                )
    return tuple(tiles)


def _place(c: Colors, sky, ground_near, fog, props, pattern=(), pool_color=None, pool=0.5, sun=(0.7, 0.7)) -> Place:
    shade, glow = _shade_ground(ground_near, fog, c.accent if pool_color is None else pool_color, pool)
    ordered = tuple(sorted(props, key=lambda prop: prop[0]))
    return Place(c, np.clip(sky, 0, 255).astype(np.uint8), shade, glow, tuple(pattern), ordered, np.array(sun))


# ---------------------------------------------------------------- places


def stage(c: Colors) -> Place:
    fog = mix(c.dark, c.middle, 0.5)
    panels = [_led_wall(c), _truss(c)] + [_speaker(c, side * 3.9, -3.2, 2.1) for side in (-1, 1)] + [_drums(c)]
    panels += [_spotlight(x, i, (c.accent, c.second)[i % 2]) for i, x in enumerate((-3.6, -1.2, 1.2, 3.6))]
    floor = mix(c.dark * 2.2, INK, 0.2)
    return _place(
        c,
        _gradient_sky(INK, mix(INK, c.middle, 0.75)),
        floor,
        fog,
        panels,
        _checker(floor * 0.68, 1.3, 8, fog),
        pool=0.6,
    )


def city(c: Colors) -> Place:
    fog = mix(c.dark, c.horizon, 0.55)
    sky = _gradient_sky(c.zenith, c.horizon)
    rows = (
        (-24, 0.75, ((-27, 7, 12), (-19, 6, 9), (-12, 6, 14), (6, 6, 15), (13, 7, 10), (21, 6, 12))),
        (-14, 0.42, ((-19, 5, 9), (-12.5, 5, 12), (7.5, 5, 9), (13.5, 5, 13))),
        (-8, 0.12, ((-13.2, 4, 7.5), (-8.4, 4, 9.5), (4.6, 4, 8.5), (9.4, 4, 6.5))),
    )
    props = [
        _building(mix(c.dark * 1.5, fog, haze), c, x, width, height, z, row, k)
        for row, (z, haze, blocks) in enumerate(rows)
        for k, (x, width, height) in enumerate(blocks)
    ]
    props += [_street_lamp(c, side * 3.0, -4.2) for side in (-1, 1)]
    props += [_sun(9, 17, 5.0, mix(MOON, c.horizon, 0.15), c.horizon)]
    road = mix(np.array([58.0, 54.0, 62.0]) * c.light, c.dark, 0.3)
    stripes = [
        (
            np.array([(-0.16, 0, z), (0.16, 0, z), (0.16, 0, z + 1.3), (-0.16, 0, z + 1.3)]),
            mix(c.accent, WHITE, 0.5) * 0.8,
        )
        for z in np.arange(-19.5, 3, 2.6)
    ]
    kerb = mix(road, fog, 0.45)
    stripes += [
        (np.array([(s * 2.6, 0, -22), (s * 2.95, 0, -22), (s * 2.95, 0, 4), (s * 2.6, 0, 4)]), kerb) for s in (-1, 1)
    ]
    return _place(c, sky, road, fog, props, stripes, pool=0.35)


def desert(c: Colors) -> Place:
    sky = _gradient_sky(c.zenith, c.horizon)
    sand = mix(c.horizon, np.array([196.0, 124.0, 70.0]) * c.light, 0.55) * 0.82
    far, near = mix(c.middle, c.horizon, 0.55), mix(c.middle, c.dark, 0.2)
    props = [
        _sun(-10, 10, 6.5, mix(c.horizon, MOON, 0.8), c.horizon),
        _clouds(mix(c.horizon, WHITE, 0.3)),
        _ridge(
            -36, far, ((-70, 3), (-50, 9), (-36, 5), (-22, 12), (-12, 4), (4, 7), (16, 3), (30, 11), (46, 5), (70, 9))
        ),
        _ridge(-22, near, ((-60, 2), (-34, 5), (-20, 1), (-8, 2), (6, 1), (14, 5.5), (24, 2), (40, 5), (60, 2))),
    ]
    cactus = mix(c.dark * 1.6, np.array([58.0, 120.0, 62.0]) * c.light, 0.5)
    props += [
        _cactus(cactus, x, z, h) for x, z, h in ((-2.7, -4, 2.0), (3.2, -5.5, 2.5), (-6.4, -9, 2.6), (7.2, -10, 2.4))
    ]
    waves = [
        (np.array([(x, 0, z), (x + 2.4, 0, z - 0.35), (x + 4.6, 0, z), (x + 2.2, 0, z + 0.3)]), sand * 0.86)
        for x, z in ((-6, -2), (1.6, -3.4), (-1.2, -6.5), (4.5, -8), (-9, -7.5), (-2.5, 1.6), (2.0, 2.2))
    ]
    return _place(c, sky, sand, mix(c.horizon, sand, 0.3), props, waves, pool_color=c.accent, pool=0.3, sun=(-0.7, 0.7))


def ocean(c: Colors) -> Place:
    sky = _gradient_sky(c.zenith, c.horizon)
    sea = mix(c.middle, np.array([24.0, 104.0, 150.0]) * c.light, 0.55)
    glint = mix(sea, c.horizon, 0.5)
    ripples = [
        (
            np.array([(x, 0, z), (x + w, 0, z - 0.16), (x + 2 * w, 0, z), (x + w, 0, z + 0.16)]),
            mix(glint, c.horizon, k % 2 * 0.4),
        )
        for k, (x, z, w) in enumerate(
            (
                (-7, -5, 1.6),
                (3, -6, 1.9),
                (-3, -8.5, 2.4),
                (7, -10, 2.8),
                (-12, -11, 3),
                (1, -13, 3.4),
                (4, -17, 4),
                (-8, -19, 5),
            )
        )
    ]
    beach = mix(c.horizon, np.array([232.0, 196.0, 140.0]) * c.light, 0.55) * 0.92
    angles = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    island = lambda r: np.stack([r * np.cos(angles), 0 * angles, 0.7 * r * np.sin(angles) + 0.4], 1)
    pattern = [*ripples, (island(3.5), mix(c.horizon, WHITE, 0.6)), (island(3.15), beach)]
    props = [
        _sun(7, 9, 6.0, mix(c.horizon, MOON, 0.8), c.horizon),
        _clouds(mix(c.horizon, WHITE, 0.35)),
        _ridge(-34, mix(c.middle, c.horizon, 0.4), ((-40, 0), (-30, 5), (-20, 3), (-12, 6), (-4, 2), (3, 0))),
        _boat(c, 5.2, -17),
        _palm(c, -2.7, -1.6, 3.5, 0.7),
        _palm(c, 3.1, -2.6, 4.0, -0.7),
    ]
    return _place(c, sky, sea, mix(c.horizon, sea, 0.35), props, pattern, pool=0.2)


def tunnel(c: Colors) -> Place:
    floor = mix(c.dark, c.accent, 0.16)
    rings = [_ring(c, z, k) for k, z in enumerate(np.arange(-30.0, -1.5, 4.0))]
    sky = _gradient_sky(INK, mix(INK, c.dark, 0.9))
    fog = mix(INK, c.accent, 0.25)
    return _place(c, sky, floor, fog, rings, _checker(mix(floor, c.accent, 0.22), 1.6, 9, fog), pool=0.5)


def room(c: Colors) -> Place:
    wall = mix(c.middle, c.accent, 0.22) * (0.75 + 0.3 * c.light)
    floor = mix(np.array([150.0, 96.0, 62.0]), c.middle, 0.35) * (0.5 + 0.45 * c.light)
    boards = [
        (np.array([(x, 0, -3.9), (x + 0.62, 0, -3.9), (x + 0.62, 0, 4), (x, 0, 4)]), floor * 0.86)
        for x in np.arange(-7.44, 7.4, 1.24)
    ]
    rug = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    boards += [
        (np.stack([r * np.cos(rug), 0 * rug, 0.75 * r * np.sin(rug)], 1), tint)
        for r, tint in ((1.9, c.second * 0.75), (1.45, mix(c.second, WHITE, 0.35) * 0.85))
    ]
    props = [
        _wall(c, wall),
        _window(c, -1.95, 2.05),
        _poster(c, 0.55, 2.25),
        _sofa(c),
        _floor_lamp(c, 2.8),
        _speaker(c, -3.3, -2.9, 1.4),
    ]
    return _place(
        c,
        _gradient_sky(wall, wall),
        floor,
        floor * 0.6,
        props,
        boards,
        pool_color=np.array([255.0, 214.0, 150.0]),
        pool=0.3,
    )


PLACES = {"stage": stage, "city": city, "desert": desert, "ocean": ocean, "tunnel": tunnel, "room": room}


@lru_cache(maxsize=256)
def place(scene: str, time: str, palette: str) -> Place:
    """The place three words name; built once."""
    return PLACES[scene](colors(palette, time))


# ---------------------------------------------------------------- props: (depth, paint)


def _sun(x: float, y: float, radius: float, color, halo) -> Prop:
    rings = ((1.9, mix(halo, color, 0.25)), (1.4, mix(halo, color, 0.45)), (1.0, np.asarray(color)))

    def paint(canvas: Canvas, m: Music) -> None:
        for grow, shade in rings:
            canvas.disc((x, y, -39.5), radius * grow, shade)

    return -39.5, paint


def _clouds(color) -> Prop:
    bars = ((-34, 21, 12, 1.7), (24, 27, 16, 1.9), (48, 15, 11, 1.4), (-60, 13, 14, 1.6), (2, 33, 9, 1.3))

    def paint(canvas: Canvas, m: Music) -> None:
        for x, y, half, thick in bars:
            canvas.limb((x - half, y, -39), (x + half, y, -39), thick, thick, color)
            canvas.limb(
                (x - 0.4 * half, y + 1.2 * thick, -39), (x + 0.5 * half, y + 1.2 * thick, -39), thick, thick, color
            )

    return -39.0, paint


def _led_wall(c: Colors) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        canvas.rectangle(-3.3, 1.0, 3.3, 4.0, -4.3, INK)
        for i in range(6):
            level = (m.low, m.mid, m.high)[i % 3] * (0.65 + 0.35 * np.cos(2.1 * i))
            x, color = -3.1 + i * 1.04, mix(c.accent, c.second, i / 5)
            top = 1.15 + 2.65 * (0.16 + 0.84 * level)
            canvas.rectangle(x, 1.15, x + 0.84, top, -4.3, color * (0.55 + 0.45 * level))
            canvas.rectangle(x, 1.15, x + 0.84, top, -4.3, color * 0.30 * level, glow=True)

    return -4.3, paint


def _truss(c: Colors) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        canvas.rectangle(-7, 4.75, 7, 5.05, -3.4, mix(c.middle, INK, 0.3))

    return -3.4, paint


def _speaker(c: Colors, x: float, z: float, size: float) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        h = size / 2
        canvas.rectangle(x - h - 0.05, 0, x + h + 0.05, size + 0.05, z, INK)
        canvas.rectangle(x - h, 0.05, x + h, size, z, mix(c.dark, c.middle, 0.5) + 14)
        canvas.disc((x, h, z), 0.38 * size * (1 + 0.10 * m.low), mix(c.middle, WHITE, 0.15))
        canvas.disc((x, h, z), 0.18 * size * (1 + 0.25 * m.low), INK + 12)

    return z, paint


def _drums(c: Colors) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        canvas.rectangle(-2.9, 0, -0.9, 0.35, -2.7, mix(c.dark, c.middle, 0.4))
        for dx in (-0.66, 0.66):
            canvas.disc((-1.9 + dx, 1.0, -2.7), 0.3, c.second * 0.62)
            canvas.limb(
                (-1.9 + 1.3 * dx, 1.55, -2.7), (-1.9 + 1.9 * dx, 1.62 + 0.1 * m.high, -2.7), 0.05, 0.05, MOON * 0.85
            )
        canvas.disc((-1.9, 0.82, -2.7), 0.55, c.second * 0.85)
        canvas.disc((-1.9, 0.82, -2.7), 0.38 + 0.06 * m.low, MOON * 0.95)

    return -2.7, paint


def _spotlight(x: float, index: int, color: np.ndarray) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        # Beams sweep over four beats and flare with the lows.
        angle = 0.55 * np.sin(np.pi * m.beat / 2 + 1.9 * index)
        foot = 0.4 * x + 2.2 * np.sin(angle)
        lamp = np.array([x, 4.85, -3.0])
        beam = [lamp - [0.1, 0, 0], lamp + [0.1, 0, 0], (foot + 0.9, 0, -0.9), (foot - 0.9, 0, -0.9)]
        canvas.polygon(beam, color * (0.14 + 0.46 * m.low), glow=True)
        canvas.disc(lamp, 0.2, mix(color, WHITE, 0.6) * (0.55 + 0.45 * m.low))
        canvas.disc(lamp, 0.5, color * (0.25 + 0.5 * m.low), glow=True)

    return -3.0 + 0.001 * index, paint


def _building(color, c: Colors, x, width, height, z, row: int, k: int) -> Prop:
    lit = mix(c.accent, MOON, 0.55)

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.rectangle(x, 0, x + width, height, z, color)
        level = 0.30 + 0.55 * m.mid if k % 2 else 0.72
        window = mix(color, lit, level * (1.0 - 0.25 * (c.light > 1.2)))
        for j in range(int(height / 2.5)):
            for i in range(2):
                left, low = x + width * (0.14 + 0.42 * i), 1.0 + 2.4 * j
                canvas.rectangle(left, low, left + width * 0.3, low + 1.35, z, window)
        if row == 2 and k in (1, 2):
            sign, left = (c.accent, c.second)[k % 2], x + (width - 1.2 if k == 1 else 0.0)
            canvas.rectangle(left, 1.8, left + 1.2, 5.0, z + 0.05, sign * (0.40 + 0.60 * m.low))
            canvas.rectangle(left - 0.4, 1.4, left + 1.6, 5.4, z, sign * 0.42 * m.low, glow=True)

    return z, paint


def _street_lamp(c: Colors, x: float, z: float) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        canvas.limb((x, 0, z), (x, 3.4, z), 0.10, 0.09, INK)
        canvas.disc((x, 3.5, z), 0.30, mix(c.accent, MOON, 0.75))
        canvas.disc((x, 3.5, z), 0.95, c.accent * (0.15 + 0.40 * m.low), glow=True)

    return z, paint


def _ridge(z: float, color, outline) -> Prop:
    points = [(outline[0][0], -0.5, z), *((x, y, z) for x, y in outline), (outline[-1][0], -0.5, z)]

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.polygon(points, color)

    return z, paint


def _cactus(color, x: float, z: float, height: float) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        canvas.limb((x, 0, z), (x, height, z), 0.26, 0.22, color)
        for side, at in ((-1, 0.40), (1, 0.55)):
            elbow = (x + side * 0.6, height * at + 0.05, z)
            canvas.limb((x, height * at, z), elbow, 0.16, 0.16, color)
            canvas.limb(elbow, (elbow[0], elbow[1] + 0.6, z), 0.16, 0.14, color)

    return z, paint


def _palm(c: Colors, x: float, z: float, height: float, lean: float) -> Prop:
    trunk, leaf = mix(c.dark, INK, 0.4), mix(c.dark * 1.4, np.array([40.0, 120.0, 70.0]) * c.light, 0.5)

    def paint(canvas: Canvas, m: Music) -> None:
        top = x + lean + 0.10 * np.sin(np.pi * m.beat / 2)
        middle = (x + 0.35 * (top - x), height * 0.55, z)
        canvas.limb((x, 0, z), middle, 0.18, 0.15, trunk)
        canvas.limb(middle, (top, height, z), 0.15, 0.12, trunk)
        for angle in np.linspace(-0.4, 3.54, 5):
            dx, dy = 1.5 * np.cos(angle), 0.65 * np.sin(angle)
            bend = (top + dx * 0.5, height + dy * 0.7 + 0.48, z)
            tip, under = (top + dx, height + dy * 0.6 - 0.2, z), (top + dx * 0.45, height + dy * 0.6 - 0.05, z)
            canvas.polygon([(top, height - 0.1, z), bend, tip, under], leaf)

    return z, paint


def _boat(c: Colors, x: float, z: float) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        at, y = x + 0.8 * np.sin(np.pi * m.beat / 4), 0.15 * np.sin(np.pi * m.beat / 2)
        hull = [(at - 2.1, 1.0 + y, z), (at + 2.1, 1.0 + y, z), (at + 1.4, y - 0.1, z), (at - 1.4, y - 0.1, z)]
        canvas.polygon(hull, INK + 20)
        canvas.polygon([(at + 0.1, 1.1 + y, z), (at + 0.1, 4.6 + y, z), (at + 1.9, 1.2 + y, z)], WHITE * 0.92)
        canvas.polygon([(at - 0.1, 1.1 + y, z), (at - 0.1, 4.0 + y, z), (at - 1.6, 1.2 + y, z)], c.accent)

    return z, paint


def _ring(c: Colors, z: float, k: int) -> Prop:
    angles = np.arange(7) * np.pi / 3 + np.pi / 6
    inner, outer = 3.3, 3.65
    rim = lambda r: np.stack([r * np.cos(angles), 1.6 + 0.8 * r * np.sin(angles), np.full(7, z)], 1)
    a, b, wide_a, wide_b = rim(inner), rim(outer), rim(inner - 0.15), rim(outer + 0.15)
    color, near = (c.accent, c.second)[k % 2], 1 - min(1.0, -z / 36)

    def paint(canvas: Canvas, m: Music) -> None:
        # A pulse runs towards the camera, a quarter beat from ring to ring.
        pulse = 0.28 + 0.72 * np.exp(-3 * ((m.beat + 0.25 * k) % 1)) * (0.35 + 0.65 * m.energy)
        lit = mix(c.dark, mix(color, WHITE, 0.3 * pulse), 0.14 + pulse * near)
        for i in range(6):
            canvas.polygon([a[i], a[i + 1], b[i + 1], b[i]], lit)
            canvas.polygon([wide_a[i], wide_a[i + 1], wide_b[i + 1], wide_b[i]], color * 0.4 * pulse * near, glow=True)

    return z, paint


def _wall(c: Colors, color) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        canvas.rectangle(-12, 0, 12, 9, -3.9, color)
        canvas.rectangle(-12, 0, 12, 0.28, -3.9, color * 0.6)

    return -3.9, paint


def _window(c: Colors, x: float, y: float) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        canvas.rectangle(x - 1.2, y - 1.05, x + 1.2, y + 1.05, -3.8, MOON * 0.9)
        canvas.rectangle(x - 1.05, y - 0.9, x + 1.05, y + 0.9, -3.8, c.horizon)
        canvas.rectangle(x - 1.05, y - 0.9, x + 1.05, y - 0.15, -3.8, mix(c.horizon, c.middle, 0.6))
        canvas.disc((x + 0.45, y + 0.35, -3.8), 0.3, MOON)
        canvas.rectangle(x - 0.07, y - 0.9, x + 0.07, y + 0.9, -3.8, MOON * 0.9)

    return -3.8, paint


def _poster(c: Colors, x: float, y: float) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        canvas.rectangle(x - 0.65, y - 0.75, x + 0.65, y + 0.75, -3.79, c.second * 0.9)
        canvas.disc((x, y, -3.79), 0.45, MOON * 0.95)
        canvas.disc((x, y, -3.79), 0.2 + 0.12 * m.low, c.accent)

    return -3.79, paint


def _sofa(c: Colors) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        color = c.accent * 0.62
        canvas.limb((-0.1, 0.75, -3.2), (1.9, 0.75, -3.2), 0.36, 0.36, color * 0.82)
        canvas.limb((-0.2, 0.35, -3.1), (2.0, 0.35, -3.1), 0.3, 0.3, color)

    return -3.2, paint


def _floor_lamp(c: Colors, x: float) -> Prop:
    def paint(canvas: Canvas, m: Music) -> None:
        glow = 0.45 + 0.55 * m.low
        canvas.limb((x, 0, -3), (x, 1.8, -3), 0.06, 0.06, INK + 18)
        shade = [(x - 0.5, 1.65, -3), (x + 0.5, 1.65, -3), (x + 0.3, 2.3, -3), (x - 0.3, 2.3, -3)]
        canvas.polygon(shade, np.array([255.0, 226.0, 164.0]) * (0.6 + 0.4 * glow))
        canvas.disc((x, 1.95, -3), 1.0, np.array([150.0, 110.0, 60.0]) * glow * 0.8, glow=True)

    return -3.0, paint
