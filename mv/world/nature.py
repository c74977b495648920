"""Places out of doors, far from town.

Land stands on rings round the performer, given as (bearing, height): degrees to the right of the view down the stage,
and metres. So a place is as full from the side as from the front, and what is nearer always covers what is farther.
"""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace

import numpy as np

from mv.world.canvas import Canvas, Veil, mix
from mv.world.places import (
    MOON,
    WHITE,
    Colors,
    Music,
    Place,
    Prop,
    assemble,
    cloud_bars,
    gradient_sky,
    sun_disc,
)

_BEARINGS = np.arange(-112.0, 113.0, 4.0)  # of a ring of land: all that a camera in front of the performer sees


# ---------------------------------------------------------------- places


def road(c: Colors) -> Place:
    """A highway that runs to a striped sun between hills; lamps along it pass the beat towards the camera."""
    c = _cool_shadows(c)
    sun, sun_x, sun_y, radius = _sunlight(c), 0.0, 4.3, 5.0
    sky = gradient_sky(c.zenith, mix(c.zenith, c.horizon, 0.55), c.horizon, bend=5)
    cloud_bars(sky, _CLOUDS, mix(sky[240, 0], c.accent, 0.28), 0.3)
    sun_disc(sky, sun_x, sun_y, 0.97 * radius, sun, c.accent * 0.45 / c.light**2, 2.6)
    hill = mix(c.middle, np.array([70.0, 120.0, 84.0]) * c.light, 0.25)
    verge = mix(mix(hill, c.horizon, 0.25), c.accent, 0.12)
    props = [
        _sun(sun_x, sun_y, radius, sun, mix(sun, c.accent, 0.45)),
        _sun_bars(sun_x, sun_y, radius, mix(c.horizon, c.accent, 0.35)),
        _land(36, c.haze(hill, 0.70), _rolling(3.6, (1.5, 26, 0.2), (0.6, 11, 1.0)) * _valley(2, 14, 0.2)),
        _mist(34, mix(c.horizon, sun, 0.25), 0.9, 4.2, 0.75),
        *_roadsides(28, c.haze(hill, 0.45), _rolling(4.0, (1.9, 34, 2.2), (0.5, 15, 0.0)), 8, 28),
        _mist(26, c.horizon, 0.6, 3.2, 0.6),
        *_roadsides(20, mix(c.haze(hill, 0.22), c.dark, 0.15), _rolling(3.4, (1.4, 42, 4.4), (0.4, 17, 0.0)), 11, 36),
        _mist(18, mix(c.horizon, c.accent, 0.15), 0.3, 2.0, 0.45),
        *_roadsides(13, mix(hill, c.dark, 0.62), _rolling(2.3, (0.9, 50, 2.2), (0.2, 19, 0.0)), 20, 50),
        _lane(c, sun_x, sun),
    ]
    props += [_pole(x, z, mix(c.dark, c.horizon, haze)) for x, z, haze in _POLES]
    for k, z in enumerate((-29.0, -19.0, -12.5, -8.0, -4.8, -2.4)):
        props += [_roadside_lamp(c, side * 3.9, z, k) for side in (-1, 1)]
    near, fog = mix(verge, c.dark, 0.45), mix(verge, c.horizon, 0.55)
    return assemble(c, sky, near, fog, props, _carriageway(c, fog), pool=0.38, sun=(0.1, 0.9))


def desert(c: Colors) -> Place:
    """A giant sun with turning rays over mesas and dunes, cacti in front."""
    c = _cool_shadows(c)
    sun, sun_x, sun_y, radius = _sunlight(c), 3.0, 5.0, 6.4
    sky = gradient_sky(c.zenith, mix(c.zenith, c.horizon, 0.6), c.horizon, bend=5)
    sun_disc(sky, sun_x, sun_y, 0.97 * radius, sun, c.accent * 0.35 / c.light**2, 2.2)
    sand = mix(mix(c.accent, c.horizon, 0.5), np.array([206.0, 128.0, 84.0]), 0.5) * (0.42 + 0.4 * c.light)
    rock = mix(mix(c.middle, np.array([150.0, 62.0, 52.0]) * c.light, 0.45), c.accent, 0.10)
    shade = mix(rock, c.dark, 0.55)
    props = [
        _sun(sun_x, sun_y, radius, sun, mix(sun, c.accent, 0.45)),
        _rays(sun_x, sun_y, radius * 1.12, c.accent),
        *_mesas(36, c.haze(rock, 0.62), c.haze(shade, 0.62), _FAR_MESAS),
        _mist(35, mix(c.horizon, sun, 0.3), 0.2, 4.0, 0.7),
        *_mesas(27, c.haze(rock, 0.28), c.haze(shade, 0.28), _NEAR_MESAS),
        _mist(25, mix(c.horizon, c.accent, 0.15), 0.5, 3.0, 0.65),
        *_dunes(20, c.haze(sand, 0.22), mix(sand, shade, 0.42), 1.5, 46, 0.4),
        *_dunes(13, c.haze(sand, 0.08), mix(sand, shade, 0.55), 0.9, 62, 2.6),
        _mist(12, mix(c.horizon, c.accent, 0.2), 0.1, 1.3, 0.4),
    ]
    cactus = mix(c.dark, np.array([34.0, 96.0, 70.0]) * c.light, 0.42)
    props += [_cactus(cactus, mix(cactus, c.accent, 0.28), *spot) for spot in _CACTI]
    near, fog = mix(sand, c.dark, 0.22), c.haze(sand, 0.15)
    return assemble(c, sky, near, fog, props, _sand_waves(mix(near, shade, 0.35)), pool=0.34, sun=(0.3, 0.8))


def ocean(c: Colors) -> Place:
    """A beach under palms; a low sun lays a glittering path over the sea."""
    c = _cool_shadows(c)
    sun, sun_x, sun_y, radius = _sunlight(c), -2.0, 3.4, 4.6
    sky = gradient_sky(c.zenith, mix(c.zenith, c.horizon, 0.5), c.horizon, mix(c.horizon, sun, 0.25), bend=5)
    cloud_bars(sky, _CLOUDS, mix(c.horizon, WHITE, 0.28), 0.3)
    sun_disc(sky, sun_x, sun_y, 0.97 * radius, sun, c.accent * 0.4 / c.light**2, 3.0)
    sea = mix(mix(c.zenith, c.middle, 0.5), np.array([18.0, 116.0, 148.0]) * (0.25 + 0.75 * c.light), 0.5)
    beach = mix(mix(c.horizon, c.accent, 0.2), np.array([236.0, 196.0, 140.0]), 0.55) * (0.40 + 0.38 * c.light)
    leaf = mix(c.dark, np.array([22.0, 84.0, 74.0]) * c.light, 0.35)
    isle = mix(c.middle, leaf, 0.35)
    props = [
        _sun(sun_x, sun_y, radius, sun, mix(sun, c.accent, 0.45)),
        _sea(c, sea, mix(beach, WHITE, 0.55)),
        *_islands(36, c.haze(isle, 0.6), _FAR_ISLES),
        _mist(35, mix(c.horizon, sun, 0.3), 0.5, 3.0, 0.55),
        *_islands(27, c.haze(isle, 0.25), _NEAR_ISLES),
        _mist(26, mix(c.horizon, sun, 0.2), 0.0, 1.6, 0.45),
        _glitter(sun_x, mix(sun, c.accent, 0.2), sea),
        _sail(16, 15, 3.3, mix(sun, WHITE, 0.4), mix(c.second, c.dark, 0.55)),
        _sail(22, -34, 3.6, mix(c.second, WHITE, 0.35), mix(c.accent, c.dark, 0.55)),
        _palm(leaf, -2.85, -2.3, 2.3, 0.45),
        _palm(leaf, 3.9, -3.4, 2.7, -0.6),
        _palm(mix(leaf, c.horizon, 0.14), -6.3, -4.0, 3.4, 0.8),
        _palm(mix(leaf, c.horizon, 0.14), 7.2, -4.1, 3.0, 0.5),
    ]
    return assemble(c, sky, mix(beach, c.dark, 0.12), c.haze(beach, 0.2), props, pool=0.3, sun=(-0.3, 0.8))


def forest(c: Colors) -> Place:
    """A clearing among tall trunks in mist; shafts of light fall through the crowns."""
    c = _cool_shadows(c)
    sun, sun_x, sun_y, radius = _sunlight(c), 4.0, 5.6, 2.8
    green = np.array([30.0, 112.0, 88.0]) * (0.3 + 0.7 * c.light)
    tree, glade = mix(c.middle, green, 0.42), mix(c.horizon, c.accent, 0.18)
    sky = gradient_sky(c.zenith, mix(c.zenith, glade, 0.7), mix(glade, sun, 0.2), bend=4)
    sun_disc(sky, sun_x, sun_y, 0.97 * radius, sun, c.accent * 0.5 / c.light**2, 4.0)
    black = mix(c.dark, tree, 0.16)
    props = [
        _sun(sun_x, sun_y, radius, sun, mix(sun, c.accent, 0.45)),
        _land(36, mix(tree, glade, 0.62), _fir_line(5.6, 4.0, 0.6, 0.62)),
        _mist(35, mix(glade, sun, 0.25), 1.2, 6.0, 0.7),
        _land(27, mix(tree, glade, 0.34), _fir_line(6.0, 5.4, 2.1, 0.38)),
        _mist(26, glade, 0.6, 4.2, 0.6),
        _grove(19, mix(tree, glade, 0.24), _trunks(19, 12.0, 0.0, 0.5), 4.6, 1.1),
        _mist(18, glade, 0.5, 3.4, 0.65),
        _shafts(sun_x, sun, c.accent),
        _grove(11, mix(tree, c.dark, 0.45), _trunks(11, 20.0, 13.0, 0.42), 3.2, 1.0),
        _mist(10, glade, 0.1, 1.7, 0.4),
        _land(8.5, mix(tree, c.dark, 0.6), _bushes(1.0, 9.0)),
        *(_trunk(black, *spot) for spot in _NEAR_TRUNKS),
        *(_firefly(mix(c.second, sun, 0.3), k, *spot) for k, spot in enumerate(_FIREFLIES)),
    ]
    near = mix(mix(tree, c.dark, 0.25), c.accent, 0.16)
    return assemble(c, sky, near, mix(near, c.dark, 0.35), props, _light_spots(mix(near, mix(c.accent, sun, 0.4), 0.3)),
                    pool_color=mix(c.accent, sun, 0.3), pool=0.45 / max(1.0, c.light),
                    sun=(0.5, 0.9))  # fmt: skip


def mountains(c: Colors) -> Place:
    """Snowy peaks with bright faces over a lake that mirrors them, firs on the shore."""
    c = _cool_shadows(c)
    sun, sun_x, sun_y, radius = _sunlight(c), -11.0, 6.4, 2.6
    sky = gradient_sky(c.zenith, mix(c.zenith, c.horizon, 0.5), c.horizon, bend=4)
    cloud_bars(sky, _CLOUDS, mix(c.horizon, WHITE, 0.25), 0.35)
    sun_disc(sky, sun_x, sun_y, 0.97 * radius, sun, c.accent * 0.5 / c.light**2, 4.0)
    snow = mix(mix(WHITE, sun, 0.5), c.accent, 0.12) * min(1.0, 0.55 + 0.42 * c.light)
    rock = mix(c.middle, c.zenith, 0.3)
    fir = mix(c.dark, np.array([16.0, 66.0, 66.0]) * c.light, 0.35)
    water = mix(mix(c.middle, c.zenith, 0.4), np.array([20.0, 92.0, 128.0]) * c.light, 0.3)
    tones = (snow, mix(rock, snow, 0.30), mix(rock, c.accent, 0.30), rock)
    far, near = ([c.haze(tone, share) for tone in tones] for share in (0.52, 0.12))
    props = [
        _sun(sun_x, sun_y, radius, sun, mix(sun, c.accent, 0.45)),
        *(_peak(37, *spot, far) for spot in _FAR_PEAKS),
        _mist(36.5, mix(c.horizon, sun, 0.2), 1.5, 5.0, 0.7),
        *(_peak(36, *spot, near) for spot in _PEAKS),
        _mirror(36, _PEAKS, mix(near[0], water, 0.45), mix(near[3], water, 0.5)),
        _mist(35, mix(c.horizon, sun, 0.2), 0.5, 3.6, 0.8),
        _land(32, c.haze(fir, 0.35), _fir_line(1.9, 3.2, 0.3, 0.6)),
        _mist(31, mix(c.horizon, c.accent, 0.1), 0.0, 1.4, 0.6),
        _lake_light(mix(water, c.horizon, 0.15), mix(c.accent, sun, 0.5)),
        *(_fir(mix(fir, c.horizon, haze), x, z, h) for x, z, h, haze in _FIRS),
    ]
    ground = mix(mix(snow, c.accent, 0.10), rock, 0.16)
    return assemble(
        c, sky, ground, mix(ground, c.horizon, 0.5), props, _lake(c, water), pool=0.28 / c.light, sun=(-0.6, 0.75)
    )


_CLOUDS = ((-30, 8.2, 9, 0.5), (-22, 9.4, 6, 0.6), (13, 7.6, 8, 0.45), (21, 8.8, 7, 0.6), (-62, 11, 14, 0.8),
           (56, 10, 13, 0.8), (-9, 11.5, 10, 0.6), (38, 13, 9, 0.8), (-44, 14, 9, 0.8), (2, 16, 12, 0.9))  # fmt: skip
_POLES = ((-5.4, -5.5, 0.02), (-5.4, -10.5, 0.16), (-5.4, -17.5, 0.34), (-5.4, -28.0, 0.52))  # x, z, haze
# Mesas: bearing, half width in degrees, height in metres.
_FAR_MESAS = ((-88, 9, 6.5), (-62, 8, 7.5), (-46, 3, 5.5), (-25, 7, 5.6), (-8, 3, 4.2), (19, 8, 5.0), (41, 4, 7.2),
              (58, 9, 6.0), (84, 8, 7.0))  # fmt: skip
_NEAR_MESAS = (
    (-74, 7, 5.2),
    (-54, 2.4, 6.2),
    (-36, 5, 5.0),
    (-15, 3.4, 5.5),
    (23, 4.2, 5.9),
    (34, 2.0, 4.6),
    (64, 7, 5.6),
)
_CACTI = ((-2.5, -2.6, 1.0), (3.3, -4.6, 1.15), (-6.6, -6.6, 1.2), (7.6, -6.8, 1.1), (-8.0, -3.2, 1.0))  # x, z, size
# Islands: bearing, half width in degrees, height in metres.
_FAR_ISLES = ((-70, 13, 4.2), (-30, 7, 2.6), (17, 8, 4.4), (27, 6, 2.6), (66, 14, 3.6))
_NEAR_ISLES = ((-48, 7, 3.6), (-19, 4.5, 1.9), (42, 8, 3.4), (86, 12, 4.0))
_NEAR_TRUNKS = ((-3.0, -2.6, 0.30), (3.5, -3.8, 0.30), (-5.4, -4.6, 0.36), (6.6, -4.6, 0.40), (-8.4, -2.6, 0.36),
                (8.6, -1.8, 0.36))  # x, z, radius  # fmt: skip
_FIREFLIES = (
    (-2.0, 1.6, -3.4),
    (2.3, 0.9, -3.0),
    (-3.6, 0.7, -4.4),
    (4.4, 1.9, -5.2),
    (1.4, 2.3, -6.2),
    (-5.6, 1.8, -3.0),
)
# Peaks: bearing, half width in degrees, height in metres, lean of the summit.
_FAR_PEAKS = ((-24, 15, 6.4, 0.1), (24, 15, 7.0, -0.1), (-62, 18, 8.0, 0.0), (66, 18, 8.4, 0.1))
_PEAKS = ((-88, 17, 8.4, 0.0), (-43, 17, 8.6, -0.1), (-13, 11, 4.8, 0.1), (6, 17, 8.9, 0.0), (29, 12, 5.6, -0.1),
          (48, 17, 8.8, 0.1),
          (86, 17, 8.2, 0.0))  # fmt: skip
_FIRS = ((-3.3, -3.6, 3.0, 0.0), (-4.7, -5.0, 3.6, 0.08), (3.9, -4.4, 3.3, 0.0), (5.6, -5.6, 3.0, 0.08),
         (-7.6, -5.2, 3.4, 0.05),
         (8.4, -4.6, 3.6, 0.05), (-8.6, -2.4, 3.0, 0.0), (9.0, -1.6, 3.2, 0.0))  # x, z, height, haze  # fmt: skip


# ---------------------------------------------------------------- light


def _cool_shadows(c: Colors) -> Colors:
    """The palette with its dark tones drawn towards indigo: out of doors shadows take the colour of the sky."""
    dark, middle, night = np.array([30.0, 25.0, 70.0]), np.array([66.0, 58.0, 138.0]), np.array([30.0, 26.0, 66.0])
    return replace(
        c,
        dark=mix(c.dark, dark * c.light, 0.6),
        middle=mix(c.middle, middle * c.light, 0.5),
        zenith=mix(c.zenith, night, 0.6) if c.light < 1 else c.zenith,
    )


def _sunlight(c: Colors) -> np.ndarray:
    """The colour of the sun's or moon's disc."""
    return mix(MOON, c.accent, 0.10 if c.light != 1.0 else 0.22)


def _sun(x: float, y: float, radius: float, color, glow) -> Prop:
    """The disc of the sun on the backdrop, before a soft halo of the colour `glow` that breathes with the music."""
    axis = np.linspace(-1, 1, 64)
    alpha = np.clip(1 - np.hypot(*np.meshgrid(axis, axis)), 0, 1) ** 1.6
    tint, reach = np.broadcast_to(np.asarray(glow, float), (64, 64, 3)), 6.0 + 1.6 * radius
    sheet = Veil.make(tint, alpha, (x - reach, y - reach, x + reach, y + reach), -39.8)
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    disc = np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn), np.full(48, -39.8)], 1)

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.veil(sheet, min(1.0, 0.10 + 0.2 * m.energy + 0.15 * m.pulse + 0.45 * m.low))
        canvas.polygon(disc, color)

    return -39.8, paint


def _mist(radius: float, color, bottom: float, top: float, strength: float) -> Prop:
    """A bank of mist on a ring: thickest at y = bottom, clear at y = top, fading out over the ground below.

    Its sheet turns with the camera, so it is as deep from the side as from the front.
    """
    below = 0.5 * bottom - 0.6 - 0.02 * radius
    y = np.linspace(top, below, 64)
    rise = np.where(y > bottom, (top - y) / (top - bottom), (y - below) / (bottom - below))
    alpha = np.repeat((strength * rise**2 * (3 - 2 * rise))[:, None], 2, 1)
    tint = np.broadcast_to(np.asarray(color, float), (64, 2, 3))
    sheet = Veil.make(tint, alpha, (-2 * radius, below, 2 * radius, top), -radius)

    def paint(canvas: Canvas, m: Music) -> None:
        forward = canvas.rotation[2]
        s, k = np.array([forward[0], -forward[2]]) / np.hypot(forward[0], forward[2])
        turned = copy(canvas)
        turned.rotation = canvas.rotation @ np.array([[k, 0, -s], [0, 1, 0], [s, 0, k]])
        turned.veil(sheet)

    return -radius, paint


def _rays(x: float, y: float, inner: float, color) -> Prop:
    """Twelve broad rays round the sun; they turn by one gap in four beats and flare with the lows."""
    angles = np.arange(12) * np.pi / 6

    def paint(canvas: Canvas, m: Music) -> None:
        shade = color * (0.08 + 0.10 * m.pulse + 0.32 * m.low)
        for angle in angles + m.beat * np.pi / 24:
            rise = np.clip(2.5 * np.sin(angle), 0, 1)  # none falls on the ground
            if rise == 0:
                continue
            a, b = angle - 0.10, angle + 0.10
            corners = ((inner, a), (inner, b), (30, b), (30, a))
            canvas.polygon([(x + r * np.cos(t), y + r * np.sin(t), -39.7) for r, t in corners], shade * rise, glow=True)

    return -39.7, paint


def _sun_bars(x: float, y: float, radius: float, color) -> Prop:
    """Bars across the lower half of the sun that sink a step every beat and grow thinner towards its middle."""

    def paint(canvas: Canvas, m: Music) -> None:
        for k in range(4):
            depth = (k + m.beat % 1) / 4
            middle, half = y - radius * (0.02 + 0.98 * depth), radius * (0.02 + 0.11 * depth)
            rows = np.clip([middle - half, middle + half], y - radius, y)
            left, right = (np.sqrt(np.maximum(0, radius**2 - (rows - y) ** 2)) + 0.05) * [[-1], [1]] + x
            canvas.polygon(
                [
                    (left[0], rows[0], -39.7),
                    (right[0], rows[0], -39.7),
                    (right[1], rows[1], -39.7),
                    (left[1], rows[1], -39.7),
                ],
                color,
            )

    return -39.7, paint


def _shafts(sun_x: float, sun, accent) -> Prop:
    """Slanting shafts of light through the crowns; each swells on a beat of its own."""
    color = mix(accent, sun, 0.5)
    feet = (-9.5, -5.0, -1.2, 3.0, 9.0)

    def paint(canvas: Canvas, m: Music) -> None:
        for k, foot in enumerate(feet):
            swell = 0.5 + 0.5 * np.cos(np.pi / 2 * (m.beat - 1.6 * k))
            level = 0.07 + 0.10 * swell + 0.20 * m.low
            top = 0.55 * foot + sun_x + 1.5
            canvas.polygon(
                [(top, 9, -12), (top + 1.0, 9, -12), (foot + 1.9, 0, -11), (foot, 0, -11)], color * level, glow=True
            )

    return -12.0, paint


def _firefly(color, index: int, x: float, y: float, z: float) -> Prop:
    """A light that floats in a slow circle of eight beats and shines with the highs."""

    def paint(canvas: Canvas, m: Music) -> None:
        phase = np.pi / 4 * m.beat + 1.7 * index
        at = (x + 0.35 * np.cos(phase), y + 0.22 * np.sin(phase), z)
        canvas.disc(at, 0.07, mix(color, WHITE, 0.4))
        canvas.disc(at, 0.24, color * (0.25 + 0.45 * m.high + 0.2 * m.pulse), glow=True)

    return z, paint


# ---------------------------------------------------------------- land on rings


def _ring(radius: float, bearings, heights) -> np.ndarray:
    """World points (n, 3) on a ring round the performer."""
    a = np.radians(np.asarray(bearings, float))
    return np.stack([radius * np.sin(a), np.broadcast_to(heights, a.shape), -radius * np.cos(a)], -1)


def _land(radius: float, color, outline: np.ndarray) -> Prop:
    """A skyline on a ring, filled down to y = -0.5. outline (n,) heights at _BEARINGS, or (2, n) bearings, heights."""
    bearings, heights = outline if outline.ndim == 2 else (_BEARINGS, outline)
    top, foot = _ring(radius, bearings, heights), _ring(radius, bearings, -0.5)

    def paint(canvas: Canvas, m: Music) -> None:
        forward = canvas.rotation[2]
        # Only what lies ahead: clipping what lies behind would take longer than filling.
        ahead = top[:, 0] * forward[0] + top[:, 2] * forward[2] > 0.45 * radius
        canvas.polygon(np.concatenate([top[ahead], foot[ahead][::-1]]), color)

    return -radius, paint


def _rolling(height: float, *waves: tuple[float, float, float]) -> np.ndarray:
    """Heights (n,) at _BEARINGS: waves are (metres, degrees from crest to crest, phase)."""
    return height + sum(size * np.sin(2 * np.pi * _BEARINGS / period + phase) for size, period, phase in waves)


def _valley(inner: float, outer: float, floor: float = 0.06, bearings=_BEARINGS) -> np.ndarray:
    """Factor (n,) of heights: `floor` up to `inner` degrees from the middle, 1 beyond `outer`, smooth between."""
    t = np.clip((np.abs(bearings) - inner) / (outer - inner), 0, 1)
    return floor + (1 - floor) * t * t * (3 - 2 * t)


def _bushes(height: float, spacing: float) -> np.ndarray:
    """A skyline of round bushes, lower in the middle: (2, n) bearings, heights."""
    bearings = np.arange(-112.0, 112.5, 1.5)
    rounds = np.abs(np.sin(np.pi * bearings / spacing + 0.6 * np.sin(bearings / 13))) ** 0.7
    return np.stack([bearings, height * (0.35 + 0.65 * rounds) * _valley(10, 40, 0.42, bearings)])


def _roadsides(radius: float, color, heights: np.ndarray, inner: float, outer: float) -> list[Prop]:
    """Hills (n,) at _BEARINGS beside a gap: none up to `inner` degrees from the middle, full beyond `outer`."""
    heights = heights * _valley(inner, outer, 0.0) ** 0.6
    sides = []
    for side in (-inner >= _BEARINGS, inner <= _BEARINGS):
        ring, foot = _ring(radius, _BEARINGS[side], heights[side]), _ring(radius, _BEARINGS[side][::-1], -0.02)
        sides.append(_shape(radius, np.concatenate([ring, foot]), color))
    return sides


def _fir_line(height: float, spacing: float, phase: float, floor: float) -> np.ndarray:
    """A skyline of firs every `spacing` degrees, lower by `floor` in the middle: (2, n) bearings, heights."""
    stems = np.arange(-112, 112, spacing)
    tops = height * (0.82 + 0.18 * np.sin(2.4 * np.arange(len(stems)) + phase)) * _valley(3, 30, floor, stems)
    across, up = np.array([(-0.5, 0.3), (-0.22, 0.58), (-0.30, 0.58), (0, 1), (0.30, 0.58), (0.22, 0.58)]).T
    return np.stack([(stems[:, None] + spacing * across).ravel(), (tops[:, None] * up).ravel()])


def _islands(radius: float, color, isles: Sequence[tuple[float, float, float]]) -> list[Prop]:
    """Islands (bearing, half width in degrees, height in metres) with one steep side."""
    across = np.linspace(-1, 1, 17)
    up = (1 - np.abs(across) ** 1.4) * (0.85 + 0.15 * np.cos(7 * across))
    lean = across - 0.22 * up
    return [_shape(radius, _ring(radius, at + half * lean, height * up), color) for at, half, height in isles]


def _mesas(radius: float, color, shade, mesas: Sequence[tuple[float, float, float]]) -> list[Prop]:
    """Table mountains (bearing, half width in degrees, height in metres), their sides away from the sun in shade."""
    body = np.array([(-1.35, -0.05), (-1.05, 0.34), (-0.84, 0.42), (-0.72, 0.93), (-0.6, 1), (0.55, 1), (0.7, 0.9),
                     (0.8, 0.45), (1.05, 0.36), (1.4, -0.05)])  # fmt: skip
    side = np.array([(0.1, -0.05), (0.22, 0.40), (0.36, 0.46), (0.26, 1), (0.55, 1), (0.7, 0.9), (0.8, 0.45),
                     (1.05, 0.36), (1.4, -0.05)])  # fmt: skip
    props = []
    for bearing, half, height in mesas:
        away = -1 if bearing < 4 else 1
        for outline, tint in ((body * (away, 1), color), (side * (away, 1), shade)):
            points = _ring(radius, bearing + half * outline[:, 0], height * outline[:, 1])
            props.append(_shape(radius, points, tint))
    return props


def _ahead(points: np.ndarray) -> Callable[[Canvas], bool]:
    """Whether a shape (n, 3) may be in the picture, by its bearing from the performer; errs towards yes."""
    bearings = np.arctan2(points[:, 0], -points[:, 2])
    middle, half = (bearings.max() + bearings.min()) / 2, (bearings.max() - bearings.min()) / 2
    # The camera stands some metres from the performer, so near things can be seen at wider bearings.
    margin = np.radians(60 if np.hypot(points[:, 0], points[:, 2]).min() > 12 else 100)
    x, z, least = np.sin(middle), -np.cos(middle), np.cos(min(np.pi, half + margin))
    return lambda canvas: canvas.rotation[2, 0] * x + canvas.rotation[2, 2] * z > least


def _shape(radius: float, points: np.ndarray, color) -> Prop:
    """A flat shape of world points (n, 3), sorted as if it stood at this distance from the performer."""
    ahead = _ahead(points)

    def paint(canvas: Canvas, m: Music) -> None:
        if ahead(canvas):
            canvas.polygon(points, color)

    return -radius, paint


def _dunes(radius: float, color, shade, height: float, period: float, phase: float) -> list[Prop]:
    """A row of dunes with sharp crests: lit to the left of each crest, shaded to its right."""
    crests = np.arange(-112 - period + phase * 10, 112 + period, period)
    left, right = np.linspace(-0.6, 0, 8), np.linspace(0.05, 0.4, 6)
    across = np.concatenate([left, right])
    up = np.concatenate([0.12 + 0.88 * (1 + left / 0.6) ** 1.7, 0.12 + 0.88 * (1 - right / 0.4) ** 1.5])
    lit = np.stack([(crests[:, None] + period * across).ravel(), np.tile(height * up, len(crests))])
    spine = np.array([(0.32, 0.0), (0.18, -0.12), (0.0, -0.14), (-0.07, 0.0), (-0.02, 0.22), (0.06, 0.44), (0.0, 0.75)])
    slip = np.concatenate([[(0, 1)], np.stack([right, up[len(left) :]], 1), spine])
    shaded = [_shape(radius, _ring(radius, at + period * slip[:, 0], height * slip[:, 1]), shade) for at in crests]
    return [_land(radius, color, lit), *shaded]


# Points of a peak: across in half widths, up in heights. The sun stands to the left.
_WEST = [(-1, -0.05), (-0.72, 0.26), (-0.52, 0.38), (-0.30, 0.70), (-0.18, 0.80), (0, 1)]
_EAST = [(0, 1), (0.13, 0.84), (0.28, 0.70), (0.42, 0.50), (0.66, 0.32), (1, -0.05)]
_SPINE = [(0.06, 0.86), (-0.05, 0.72), (0.10, 0.54), (-0.02, 0.36), (0.14, 0.18), (0.04, -0.05)]
_PEAK_PARTS = (
    (_WEST[:-1] + _EAST, 3),
    (_WEST + _SPINE, 2),
    ([(0, 1), *_SPINE[:3], (0.02, 0.42), (-0.10, 0.56), (-0.22, 0.36), (-0.34, 0.50), (-0.43, 0.50), *_WEST[3:5]], 0),
    ([*_EAST[:3], (0.37, 0.57), (0.30, 0.46), (0.22, 0.58), (0.15, 0.44), *_SPINE[2::-1]], 1),
)


def _lean(outline, skew: float) -> np.ndarray:
    across, up = np.array(outline).T
    return np.stack([across + skew * np.maximum(up, 0), up])


def _peak(radius: float, bearing: float, half: float, height: float, skew: float, tones) -> Prop:
    """A mountain in four tones: snow in the sun and in shade, rock in the sun and in shade."""
    parts = []
    for outline, tone in _PEAK_PARTS:
        across, up = _lean(outline, skew)
        parts.append((_ring(radius, bearing + half * across, height * up), tones[tone]))

    ahead = _ahead(parts[0][0])

    def paint(canvas: Canvas, m: Music) -> None:
        if ahead(canvas):
            for points, tint in parts:
                canvas.polygon(points, tint)

    return -radius - 0.01 * height, paint


# ---------------------------------------------------------------- the road


def _carriageway(c: Colors, fog) -> list[tuple[np.ndarray, np.ndarray]]:
    """Asphalt with kerbs and dashes, in lengths that fade into the distance: flat polygons (n, 3) and colours."""
    asphalt, paint = mix(c.dark, c.middle, 0.55), mix(c.accent, WHITE, 0.55)
    # Each length is laid over the far part of the nearer one, so that no seams show.
    ends = ((3.5, 0.0), (0.0, 0.0), (-2.0, 0.0), (-4.5, 0.08), (-7.5, 0.18), (-12.0, 0.32), (-19.0, 0.5), (-30.0, 0.68))
    kerbs = [(_strip(-3.3, 3.3, -400, near), mix(paint * 0.72, fog, haze)) for near, haze in ends]
    lanes = [(_strip(-3.0, 3.0, -400, near), mix(asphalt, fog, haze)) for near, haze in ends]
    dashes = ((-33, -25), (-22, -18.5), (-15.5, -12.8), (-10.4, -8.2), (-6.4, -4.6), (-3.0, -1.4), (0.9, 2.4))
    return kerbs + lanes + [(_strip(-0.17, 0.17, far, near), mix(paint, fog, 0.02 * abs(near))) for far, near in dashes]


def _strip(left: float, right: float, far: float, near: float) -> np.ndarray:
    return np.array([(left, 0, far), (right, 0, far), (right, 0, near), (left, 0, near)], float)


def _lane(c: Colors, x: float, sun) -> Prop:
    """The sun's sheen on the asphalt, as bright as the lows are loud."""
    color = mix(c.accent, sun, 0.3)
    sheen = np.array([(x - 1.6, 0, -38), (x + 1.6, 0, -38), (x + 0.75, 0, -1.5), (x - 0.75, 0, -1.5)])

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.polygon(sheen, color * (0.10 + 0.42 * m.low), glow=True)

    return -12.5, paint


def _pole(x: float, z: float, color) -> Prop:
    """A telegraph pole with two arms."""
    half = np.array([(0.09, 0), (0.09, 3.3), (0.85, 3.3), (0.85, 3.5), (0.09, 3.5), (0.09, 3.9),
                     (0.62, 3.9), (0.62, 4.1),
                     (0.09, 4.1), (0.09, 4.5)])  # fmt: skip
    outline = np.concatenate([half, half[::-1] * (-1, 1)]) * (1.25, 1)
    return _shape(np.hypot(x, z), np.column_stack([x + outline[:, 0], outline[:, 1], np.full(len(outline), z)]), color)


def _roadside_lamp(c: Colors, x: float, z: float, index: int) -> Prop:
    """A low post that lights up when the beat passes it on its way to the camera; index counts from afar."""
    post, lamp = c.haze(mix(c.dark, c.middle, 0.3), min(0.6, -z / 40)), mix(c.second, WHITE, 0.35)

    def paint(canvas: Canvas, m: Music) -> None:
        lit = np.exp(-3.0 * ((m.beat - index / 6) % 1))
        canvas.rectangle(x - 0.14, 0, x + 0.14, 0.62, z, post)
        canvas.rectangle(x - 0.14, 0.5, x + 0.14, 0.86, z, lamp * (0.45 + 0.55 * lit))
        canvas.disc((x, 0.68, z), 0.5, c.second * (0.10 + 0.55 * lit), glow=True)

    return -np.hypot(x, z), paint


# ---------------------------------------------------------------- the desert


def _cactus(color, lit, x: float, z: float, size: float) -> Prop:
    """A saguaro with two arms, its side towards the sun lit."""
    arms = (
        (0, 0.85, -0.52, 0.9, 0.13),
        (-0.52, 0.9, -0.52, 1.5, 0.14),
        (0, 1.1, 0.5, 1.15, 0.12),
        (0.5, 1.15, 0.5, 1.85, 0.13),
    )
    turn = np.linspace(0, np.pi, 9)
    dome = lambda left, right: np.stack(
        [0.5 * (left + right) + 0.5 * (right - left) * np.cos(turn), 2.0 + 0.2 * np.sin(turn)], 1
    )
    column = lambda left, right: np.concatenate([[(left, -0.03), (right, -0.03)], dome(left, right)])
    trunk, side = column(-0.21, 0.21), column(0.02, 0.21) * ((-1 if x > 3 else 1), 1)
    stand = lambda outline: np.column_stack([x + size * outline[:, 0], size * outline[:, 1], np.full(len(outline), z)])
    parts = ((stand(trunk), color), (stand(side), lit))

    ahead = _ahead(stand(trunk))

    def paint(canvas: Canvas, m: Music) -> None:
        if not ahead(canvas):
            return
        for ax, ay, bx, by, r in arms:
            canvas.limb((x + size * ax, size * ay, z), (x + size * bx, size * by, z), r * size, r * size, color)
        for points, tint in parts:
            canvas.polygon(points, tint)

    return -np.hypot(x, z), paint


def _sand_waves(color) -> list[tuple[np.ndarray, np.ndarray]]:
    """Long shadows in the troughs of the sand: flat polygons (n, 3) and colours."""
    t = np.linspace(0, 1, 9)
    waves = []
    for x, z, length, width in ((-6.4, -1.8, 5.2, 0.5), (0.6, -3.4, 5.6, 0.6), (-7.5, -5.6, 7.5, 0.9),
                                (2.0, -7.0, 8.0, 1.0),
                                (-3.4, 1.5, 4.0, 0.32), (1.2, 0.9, 4.2, 0.3), (-16, -8, 8, 1.2),
                                (9, -4, 6, 0.8)):  # fmt: skip
        back = np.stack([x + length * t, 0 * t, z - 0.5 * width * np.sin(2 * np.pi * t)], 1)
        swell = np.stack([0 * t, 0 * t, width * np.sin(np.pi * t)], 1)
        waves.append((np.concatenate([back, (back + swell)[::-1]]), color))
    return waves


# ---------------------------------------------------------------- the sea


def _sea(c: Colors, water, foam) -> Prop:
    """The sea in four bands, deep in front and pale at the horizon; its edge laps over the sand every four beats."""
    x = np.concatenate([[-600, -40], np.linspace(-16, 16, 17), [40, 600]])
    deep = mix(water, c.dark, 0.18)
    edges = (
        (-9.5, 0.5, mix(deep, c.horizon, 0.14)),
        (-16, 1.0, mix(deep, c.horizon, 0.36)),
        (-30, 0.0, mix(water, c.horizon, 0.6)),
    )

    def band(z: float, wave: float, shift: float) -> np.ndarray:
        near = np.stack([x, 0 * x, z + wave * np.sin(0.55 * x + shift)], 1)
        return np.concatenate([near, [(600, 0, -600), (-600, 0, -600)]])

    def paint(canvas: Canvas, m: Music) -> None:
        lap = 0.35 * np.sin(np.pi / 2 * m.beat)
        canvas.polygon(band(-3.3 + lap, 0.45, 0.4), mix(foam, deep, 0.55))
        canvas.polygon(band(-3.75 + lap, 0.45, 0.7), foam)
        canvas.polygon(band(-4.4 + 0.6 * lap, 0.4, 0.2), mix(deep, foam, 0.22))
        canvas.polygon(band(-6.0 + 0.3 * lap, 0.5, 1.4), deep)
        for z, wave, tint in edges:
            canvas.polygon(band(z, wave, 2.0 + z), tint)

    return -39.0, paint


def _glitter(sun_x: float, light, water) -> Prop:
    """Lozenges of light on the sea below the sun, always between it and the camera; they widen with the music."""
    rows = -5.2 * 1.34 ** np.arange(7)

    def paint(canvas: Canvas, m: Music) -> None:
        ahead = (rows - canvas.position[2]) / (-40.0 - canvas.position[2])
        xs = canvas.position[0] + ahead * (sun_x - canvas.position[0])
        for k, (x, z) in enumerate(zip(xs, rows)):
            sway = np.cos(np.pi * (0.5 * m.beat + 0.9 * k))
            wide = -z * (0.075 + 0.045 * m.low + 0.03 * m.high * sway) + 0.35
            deep = -z * (0.085 + 0.025 * sway)
            lozenge = [(x - wide, 0, z), (x + 0.3 * sway, 0, z - deep), (x + wide, 0, z), (x - 0.3 * sway, 0, z + deep)]
            canvas.polygon(lozenge, mix(water, light, 0.62 + 0.3 * m.low))
            canvas.polygon(lozenge, light * (0.12 + 0.4 * m.low), glow=True)

    return -25.0, paint


def _sail(radius: float, bearing: float, size: float, color, hull) -> Prop:
    """A boat with two sails; it rocks over four beats."""
    parts = (([(-0.05, 0.2), (-0.05, 1.0), (0.48, 0.26)], color),
             ([(-0.12, 0.26), (-0.12, 0.9), (-0.42, 0.26)], color * 0.86),
             ([(-0.5, 0.17), (0.55, 0.17), (0.36, 0.0), (-0.34, 0.0)], hull))  # fmt: skip
    x, _, z = _ring(radius, [bearing], 0)[0]

    def paint(canvas: Canvas, m: Music) -> None:
        tilt = 0.05 * np.sin(np.pi / 2 * m.beat)
        for outline, tint in parts:
            canvas.polygon([(x + size * (u + tilt * v), size * v, z) for u, v in outline], tint)

    return -radius, paint


_LEAVES = (-28, 12, 48, 84, 126, 164, 202)  # degrees of a palm's leaves


def _palm(color, x: float, z: float, height: float, lean: float) -> Prop:
    """A palm that bends by `lean` metres at the top and sways over four beats."""
    v = np.linspace(0, 1, 6)
    bend = np.column_stack([lean * v**1.6, height * v])
    trunk = np.concatenate(
        [bend - np.column_stack([0.15 - 0.06 * v, 0 * v]), (bend + np.column_stack([0.15 - 0.06 * v, 0 * v]))[::-1]]
    )
    crown = np.concatenate([_leaf(angle) for angle in _LEAVES]) + bend[-1]
    crown[:, 1] -= 0.04

    def paint(canvas: Canvas, m: Music) -> None:
        sway = (0.10 * np.sin(np.pi / 2 * m.beat) + 0.05 * m.low) / height
        for outline in (trunk, crown):
            across = x + outline[:, 0] + sway * outline[:, 1]
            canvas.polygon(np.column_stack([across, outline[:, 1], np.full(len(across), z)]), color)

    return -np.hypot(x, z), paint


def _leaf(degrees: float, length: float = 1.3) -> np.ndarray:
    """The outline (n, 2) of one leaf from the crown's centre and back; its tip hangs."""
    t = np.linspace(0.04, 1, 6)
    a = np.radians(degrees)
    rib = length * np.stack([t * np.cos(a), t * np.sin(a) - 0.55 * t**2.2], 1)
    width = 0.17 * np.sin(np.pi * t**0.8)[:, None] * np.array([[-np.sin(a), np.cos(a)]])
    return np.concatenate([rib + width, (rib - width)[::-1]])


# ---------------------------------------------------------------- the forest


def _trunks(radius: float, spacing: float, clear: float, half: float) -> list[tuple[float, float]]:
    """Trunks (bearing, half width in metres) on a ring, none nearer than `clear` degrees to the middle."""
    stems = np.arange(-108, 109, spacing)
    stems = stems + 0.22 * spacing * np.sin(2.1 * np.arange(len(stems)) + radius)
    return [(s, half * (0.8 + 0.3 * np.sin(3.3 * k))) for k, s in enumerate(stems) if abs(s) >= clear]


def _grove(radius: float, color, trunks: Sequence[tuple[float, float]], crown: float, rise: float) -> Prop:
    """Trunks under one mass of leaves that hangs down to y = crown and arches by `rise` between them: like a comb."""
    across = np.linspace(0, 1, 24)
    scallops = 0.25 * np.abs(np.sin(4 * np.pi * across)) ** 0.7 * np.sin(np.pi * across)
    bearings, heights = [], []
    arch = crown - 0.9 + (0.9 + rise) * np.sin(np.pi * across) ** 0.55 - scallops
    for (at, half), (following, next_half) in zip(trunks[:-1], trunks[1:]):
        wide, start, end = np.degrees([half, half, -next_half]) / radius + [0, at, following]
        bearings += [at - 1.25 * wide, at + 1.25 * wide, *(start + (end - start) * across)]
        heights += [-0.5, -0.5, *arch]
    points = np.concatenate([_ring(radius, bearings, heights), _ring(radius, _BEARINGS[::-2], 24.0)])
    return _shape(radius, points, color)


def _light_spots(color) -> list[tuple[np.ndarray, np.ndarray]]:
    """Where light falls through the crowns to the ground: flat polygons (n, 3) and colours."""
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    spots = ((-2.6, -3.0, 1.5, 0.55), (2.1, -4.4, 1.8, 0.7), (-5.5, -6.0, 1.6, 0.6), (5.6, -2.6, 1.5, 0.5))
    return [(np.stack([x + a * np.cos(turn) - 0.4 * b * np.sin(turn), 0 * turn, z + b * np.sin(turn)], 1), color)
            for x, z, a, b in spots]  # fmt: skip


def _trunk(color, x: float, z: float, radius: float) -> Prop:
    """A trunk close by, with spreading roots; it leaves the picture at the top."""
    half = np.array([(2.0, -0.05), (1.4, 0.16), (1.12, 0.55), (1.0, 1.3), (0.92, 12.0)])
    outline = np.concatenate([half, half[::-1] * (-1, 1)]) * (radius, 1)
    return _shape(np.hypot(x, z), np.column_stack([x + outline[:, 0], outline[:, 1], np.full(len(outline), z)]), color)


# ---------------------------------------------------------------- the mountains


def _lake(c: Colors, water) -> list[tuple[np.ndarray, np.ndarray]]:
    """The lake in bands that pale towards the far shore: flat polygons (n, 3) and colours."""
    bearings = np.arange(-112.0, 113.0, 7.0)
    bands = (
        (_SHORE + 0.55, mix(water, WHITE, 0.5)),
        (_SHORE, water),
        (11.0, mix(water, c.horizon, 0.14)),
        (19.0, mix(water, c.horizon, 0.32)),
    )
    ripple = lambda r: r + 0.05 * r * np.sin(bearings / 6 + r)
    return [
        (np.concatenate([_ring(1, bearings, 0) * ripple(r)[:, None], _ring(36, bearings[::-1], 0)]), tint)
        for r, tint in bands
    ]


_SHORE = 7.0  # metres from the performer to the lake


def _mirror(radius: float, peaks, lit, shaded) -> Prop:
    """The peaks upside down in the lake, flattened as far as they would else reach over the near shore."""
    shapes = []
    for bearing, half, height, skew in peaks:
        for outline, tint in ((_WEST[:-1] + _EAST, shaded), (_WEST + _SPINE, lit)):
            across, up = _lean(outline, skew)
            points = _ring(radius - 1, bearing + half * across, -height * np.maximum(up, 0))
            shapes.append((_ahead(points), points, tint))

    def paint(canvas: Canvas, m: Music) -> None:
        eye, away = canvas.position[1], np.hypot(canvas.position[0], canvas.position[2])
        deepest = eye * (radius - 1 + away) / (_SHORE + 1.2 + away) - eye
        flatten = np.clip(deepest / max(peak[2] for peak in peaks), 0, 1)
        for ahead, points, tint in shapes:
            if ahead(canvas):
                canvas.polygon(points * (1, flatten, 1), tint)

    return -radius + 0.5, paint


def _lake_light(water, light) -> Prop:
    """Broad streaks on the lake that light up with the lows, one after the other over two beats."""
    streaks = ((-14, 12.5, 7), (9, 10.5, 6), (-2, 17, 9), (31, 13, 8), (-40, 12, 8), (58, 12, 7), (-64, 15, 8))
    shapes = []
    for bearing, radius, half in streaks:
        tips, bulge = bearing + half * np.array([-1, -0.4, 0.5, 1, 0.4, -0.5]), np.array([0, 0.5, 0.6, 0, -0.6, -0.5])
        points = _ring(1, tips, 0) * (radius * (1 + 0.08 * bulge))[:, None]
        shapes.append((_ahead(points), points))

    def paint(canvas: Canvas, m: Music) -> None:
        for k, (ahead, points) in enumerate(shapes):
            if not ahead(canvas):
                continue
            swell = 0.5 + 0.5 * np.cos(np.pi * (m.beat - 2 * k / 7))
            canvas.polygon(points, mix(water, light, 0.08 + 0.22 * swell + 0.5 * m.low))

    return -13.0, paint


def _fir(color, x: float, z: float, height: float) -> Prop:
    """A fir in three tiers."""
    half = np.array(
        [(0.07, -0.02), (0.07, 0.12), (0.34, 0.12), (0.17, 0.42), (0.26, 0.42), (0.11, 0.70), (0.18, 0.70), (0, 1)]
    )
    outline = np.concatenate([half, half[::-1] * (-1, 1)]) * height
    return _shape(np.hypot(x, z), np.column_stack([x + outline[:, 0], outline[:, 1], np.full(len(outline), z)]), color)
