"""Places of the town: the street, the roof above it, what is indoors; and outer space, for the drops."""

import numpy as np

from mv.world.canvas import Canvas, mix
from mv.world.indoors import club, room, stage, tunnel
from mv.world.lights import FLOOR, arc, band, beam, box, light, lying, overhead, shadow, shape, toward, upright
from mv.world.places import INK, MOON, WHITE, Colors, Music, Place, Prop, assemble, flat, gradient_sky, sun_disc, veil

__all__ = ["city", "club", "rooftop", "room", "space", "stage", "tunnel"]


# ---------------------------------------------------------------- city


def city(c: Colors) -> Place:
    """A street canyon that runs into a huge low sun or moon; neon signs, all of it doubled by the wet road."""
    air = mix(c.horizon, c.accent, 0.2)
    sky = gradient_sky(overhead(c), mix(overhead(c), air, 0.5), air, bend=5)
    disc = mix(air, MOON, 0.8)
    sun_disc(sky, 0, 5.0, 4.2, disc, c.accent, 2.6)
    road = shadow(c, 0.24)
    near = shadow(c, 0.19, 0.7)
    props = [
        _sun_path(disc),
        light(-37, 0, 5.0, 11.0, c.accent, lambda m: 0.20 + 0.45 * m.low),
    ]
    # Rows of houses, far to near: depth, haze, steps (x of the inner edge, height) outwards.
    rows = (
        (-32.0, 0.72, ((4.2, 8.5), (8.5, 11.5), (14, 7.5), (21, 12.5), (30, 9), (40, 13), (52, 10))),
        (-21.0, 0.46, ((4.4, 8.2), (7.2, 6.0), (11, 9.5), (17, 6.5), (24, 10), (34, 8))),
        (-13.0, 0.22, ((4.6, 4.6), (6.4, 7.2), (10, 5.2), (14.5, 8), (20, 6))),
        (-7.5, 0.0, ((4.3, 6.6), (7.4, 4.6), (10.5, 7), (15, 5))),
    )
    for z, share, steps in rows:
        color = c.haze(near, share)
        for side in (-1, 1):
            props += _houses(c, z, color, share, steps if side > 0 else _varied(steps), side)
        if 0.1 < share < 0.7:
            props.append(veil(z + 0.5, air, 0, 4.5, 0.75 * share + 0.15, 60))
    for sign in (
        _sign(c, c.accent, road, 3.15, 1.2, 3.3, -5.6, 0.95, 0),
        _sign(c, c.second, road, -3.75, 1.0, 3.5, -6.4, 0.9, 1),
        _sign(c, c.second, road, 3.6, 1.6, 5.2, -12.5, 1.3, 2),
        _sign(c, c.accent, road, -4.6, 1.6, 5.4, -12.5, 1.3, 3),
        _sign(c, c.accent, road, -6.9, 1.2, 3.4, -5.2, 1.3, 4),
        _sign(c, c.second, road, 6.6, 1.2, 3.6, -4.6, 1.3, 5),
    ):
        props += sign
    for x0, x1, z, color in ((-8.6, -4.9, -7.4, c.accent), (4.8, 8.4, -7.4, c.second)):
        props += _shop(color, road, x0, x1, z)
    for side, color in ((-1, c.second), (1, c.accent)):
        props += _street_side(color, near, side)
    pavement = mix(road, near, 0.7)
    pattern = [(lying(box(side * 3.6, -30, side * 20, 6)), pavement) for side in (-1, 1)]
    zebra = mix(road, disc, 0.27)
    props += [
        shape(FLOOR + 0.3, lying(box(x, -3.3, x + 0.62, -0.9)), zebra, disc, lambda m: 0.35 * m.low)
        for x in np.arange(-3.4, 3, 1.24)
    ]
    return assemble(c, sky, road, mix(air, road, 0.3), props, pattern, pool=0.45, sun=(0.0, 0.8))


def _sun_path(disc) -> Prop:
    """The sun's path on the wet road: light that narrows towards the audience and widens with the lows."""

    def wedge(far: float, near: float) -> np.ndarray:
        return lying([(-far, -36), (far, -36), (near, -2.5), (-near, -2.5)])

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.polygon(wedge(3.9, 1.2), disc * (0.12 + 0.10 * m.low), glow=True)
        canvas.polygon(wedge(2.2 + 1.2 * m.low, 0.5 + 0.4 * m.low), disc * (0.30 + 0.25 * m.low), glow=True)

    return FLOOR, paint


def _shop(color, road, x0: float, x1: float, z: float) -> list[Prop]:
    """A lit shop window at the foot of a house, and its light on the pavement."""
    pane = mix(color, MOON, 0.5)
    return [
        shape(z, upright(z, box(x0, 0.25, x1, 1.75)), mix(road, pane, 0.45), pane, lambda m: 0.25 + 0.6 * m.mid),
        shape(z + 0.01, upright(z, box(x0, 1.35, x1, 1.75)), color * 0.75, color, lambda m: m.low),
        shape(
            FLOOR + 0.2,
            lying([(x0, z), (x1, z), (x1 - 0.6, z + 3), (x0 + 0.6, z + 3)]),
            mix(road, color, 0.2),
            color,
            lambda m: 0.3 * m.mid,
        ),
    ]


def _street_side(color, near, side: int) -> list[Prop]:
    """The fronts along the pavement, which close the street when the camera looks across it."""

    def front(z0: float, y0: float, z1: float, y1: float) -> np.ndarray:
        return np.array([(10.5 * side, y, z) for z, y in box(z0, y0, z1, y1)])

    pane = mix(color, MOON, 0.45)
    props = [shape(-7.6, front(-14, 0, 9, 8), near * 1.3), shape(-7.59, front(-14, 0, 9, 0.4), near * 0.8)]
    for k, z in enumerate((-5.6, -2.4, 0.8)):
        pulse = _band(k)
        props.append(shape(-7.58, front(z, 1.1, z + 1.9, 3.0), mix(near, color, 0.45), pane, pulse))
    return props


def _varied(steps) -> list[tuple[float, float]]:
    """The other side of the street: the same edges, the heights of the neighbours."""
    return [(x, h) for (x, _), (_, h) in zip(steps, (*steps[1:], steps[0]))]


def _houses(c: Colors, z: float, color, share: float, steps, side: int) -> list[Prop]:
    """A row of roofs on one side of the street as one silhouette, with one large lit window in every second house."""
    edges = [*(x for x, _ in steps), steps[-1][0] + 60 * share + 8]
    line = [(steps[0][0], 0)]
    for (x, height), end in zip(steps, edges[1:]):
        line += [(x, height), (end, height)]
    line.append((edges[-1], 0))
    props = [flat(z, [(side * x, y) for x, y in line], color)]
    lit = mix(c.second if side > 0 else c.accent, MOON, 0.45)
    for k, ((x, height), end) in enumerate(list(zip(steps, edges[1:]))[:4:2]):
        width = min(0.42 * (end - x), 1.9)
        window = box(side * (x + 0.5), height - 2.4, side * (x + 0.5 + width), height - 0.9)
        off = mix(color, lit, 0.45 * (1 - share))
        props.append(shape(z + 0.01, upright(z, window), off, mix(color, lit, 0.9 - 0.7 * share), _band(k)))
    return props


def _band(k: int):
    """One of the three levels of the music."""
    return lambda m: (m.mid, m.high, m.low)[k % 3]


def _sign(c: Colors, color, road, x: float, bottom: float, top: float, z: float, width: float, k: int) -> list[Prop]:
    """An upright neon sign with a plain figure on it, and its streak on the wet road."""
    panel = upright(z, box(x, bottom, x + width, top))
    # A disc, a triangle or a diamond over a bar, in units of the sign's width round the figure's middle.
    figures = (arc(0, 0, 0.3), [(-0.32, -0.3), (0.32, -0.3), (0, 0.34)], [(0, -0.36), (0.32, 0), (0, 0.36), (-0.32, 0)])
    middle = np.array([x + width / 2, top - 0.62 * width])
    figure = upright(z, np.array(figures[k % 3]) * width + middle)
    bar = upright(z, np.array(box(-0.22, (bottom - middle[1]) / width + 0.2, 0.22, -0.6)) * width + middle)
    streak = lying([(x, z), (x + width, z), (x + 0.85 * width, z + 5), (x + 0.15 * width, z + 5)])
    pale = mix(color, WHITE, 0.75)

    def level(m: Music) -> float:
        on = (int(m.beat) + k) % 2
        return 0.25 + 0.35 * m.low + 0.4 * m.pulse * on

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.polygon(panel, mix(road, color, 0.45 + 0.55 * level(m)))
        canvas.polygon(figure, pale)
        canvas.polygon(bar, mix(color, pale, level(m)))
        canvas.polygon(panel, color * (0.10 + 0.30 * level(m)), glow=True)

    def wet(canvas: Canvas, m: Music) -> None:
        canvas.polygon(streak, color * (0.12 + 0.35 * level(m)), glow=True)

    return [(z, paint), (FLOOR + 0.1, wet)]


# ---------------------------------------------------------------- rooftop


# Left edges and heights of the houses, metres; the roof with the performer is at height 0.
FAR_ROOFS = (
    (-70, 4), (-56, 6.5), (-46, 3), (-38, 7.5), (-29, 4.5), (-20, 6.4), (-13, 3.4), (-7, 5.2), (-2, 2.6),
    (4, 4.6), (9, 2.2), (14, 5.6), (20, 3.6), (28, 7), (36, 4), (46, 6.5), (60, 4),
)  # fmt: skip
MIDDLE_ROOFS = (
    (-50, 3), (-41, 5.4), (-33, 2.2), (-25, 4.8), (-17, 2.6), (-10.5, 4.4), (-6, 1.2), (-1.5, 0.6),
    (5.5, 2.0), (10, 4.0), (15, 2.0), (22, 5), (29, 2.6), (37, 5.2), (48, 3),
)  # fmt: skip
NEAR_ROOFS = (
    (-30, 2.2), (-22, 3.8), (-15, 1.0), (-10, 2.6), (-5.8, 0.2), (-1, -1.2), (4.2, 1.0), (7.5, 2.6),
    (11.5, 1.0), (17, 3.4), (24, 1.4),
)  # fmt: skip


def rooftop(c: Colors) -> Place:
    """A roof high above a misty skyline: a water tower on the left, a giant moon or sun on the right."""
    air = mix(c.horizon, c.accent, 0.3 if c.light < 1 else 0.12)  # at night the town lights the mist
    sky = gradient_sky(overhead(c), mix(overhead(c), air, 0.55), air, bend=5)
    disc = mix(air, MOON, 0.85)
    sun_disc(sky, 6.5, 5.6, 5.0, disc, c.accent, 2.4)
    sun_disc(sky, -52, 9.0, 3.0, mix(air, MOON, 0.3), INK, 1.0)
    roof, wall = shadow(c, 0.32), shadow(c, 0.21, 0.7)
    props = [
        light(-38, 6.5, 5.6, 12.5, mix(c.accent, WHITE, 0.2), lambda m: 0.30 + 0.5 * m.low),
        *_skyline(c, -34, 0.70, FAR_ROOFS),
        *_skyline(c, -24, 0.40, MIDDLE_ROOFS),
        veil(-23, air, -4, 3.0, 0.9),
        *_skyline(c, -14, 0.14, NEAR_ROOFS),
        beam(-30, (-14, 1), 26, 80, 16, 0.0, 5.0, c.second, 0.16),
        beam(-29.9, (16, 1), 26, 105, 14, 2.0, 5.0, c.accent, 0.16),
        veil(-8, air, -5, 1.1, 0.8, 40),
        *_water_tower(c, -3.15, -5.4),
        *_stair_house(c, 3.3, -5.0),
    ]
    # The parapet: its pale top catches the light, its face is dark.
    for k, (face, shade) in enumerate(
        (
            (lying(box(-7, -4.0, 7, 9)), roof),
            (upright(-3.6, box(-7, 0, 7, 0.52)), wall),
            (np.array([(-7, 0.52, -3.6), (7, 0.52, -3.6), (7, 0.52, -4.0), (-7, 0.52, -4.0)]), mix(roof, air, 0.5)),
            (np.array([(-7, 0, -3.6), (-7, 0, 9), (-7, 0.52, 9), (-7, 0.52, -3.6)]), wall * 0.9),
            (np.array([(7, 0, -3.6), (7, 0, 9), (7, 0.52, 9), (7, 0.52, -3.6)]), wall * 0.9),
        )
    ):
        props.append(shape(-6.0 + 0.01 * k, face, shade))
    props.append(_roof_light(c, roof))
    return assemble(c, sky, air, air, props, pool=0.0, sun=(0.6, 0.7))


def _roof_light(c: Colors, roof) -> Prop:
    """The pool of light round the performer, which the roof would hide if it lay on the ground below."""
    rings = [(lying(arc(0, 0, r)), share) for r, share in ((2.6, 0.14), (1.7, 0.30), (0.95, 0.5))]

    def paint(canvas: Canvas, m: Music) -> None:
        for ring, share in rings:
            canvas.polygon(ring, mix(roof, c.accent, share * (0.45 + 0.75 * m.low)))

    return -5.9, paint


def _skyline(c: Colors, z: float, share: float, steps) -> list[Prop]:
    """Roofs (x of the left edge, height) as one silhouette, with a large lit window in every second house."""
    color = c.haze(shadow(c, 0.2, 0.7), share)
    edges = [*(x for x, _ in steps), steps[-1][0] + 12]
    line = [(edges[0], -12)]
    for (x, height), end in zip(steps, edges[1:]):
        line += [(x, height), (end, height)]
    line.append((edges[-1], -12))
    lit = mix(mix(c.accent, c.second, 0.3), MOON, 0.6)
    props = [flat(z, line, color)]
    for k, ((x, height), end) in enumerate(zip(steps, edges[1:])):
        if k % 2:
            window = box(x + 0.25 * (end - x), height - 2.2, x + 0.65 * (end - x), height - 0.8)
            low, high = mix(color, lit, 0.45 * (1 - share)), mix(color, lit, 0.95 - 0.35 * share)
            props.append(shape(z + 0.01, upright(z, window), low, high, _band(k // 2)))
    return props


def _water_tower(c: Colors, x: float, z: float) -> list[Prop]:
    body = shadow(c, 0.15, 0.7)
    rim = mix(body, c.horizon, 0.45)
    parts = [
        (box(x - 1.0, 0, x + 1.0, 0.75), body * 0.85),
        ([(x - 0.85, 0.7), (x - 0.65, 0.7), (x - 0.45, 1.5), (x - 0.65, 1.5)], body),
        ([(x + 0.85, 0.7), (x + 0.65, 0.7), (x + 0.45, 1.5), (x + 0.65, 1.5)], body),
        (box(x - 0.1, 0.7, x + 0.1, 1.5), body),
        (box(x - 0.8, 1.42, x + 0.8, 2.5), body),
        (box(x + 0.45, 1.42, x + 0.8, 2.5), rim),
        ([(x - 0.95, 2.5), (x + 0.95, 2.5), (x, 3.15)], body * 0.8),
        ([(x + 0.55, 2.5), (x + 0.95, 2.5), (x, 3.15)], rim),
    ]
    return [flat(z + 0.01 * k, outline, color) for k, (outline, color) in enumerate(parts)]


def _stair_house(c: Colors, x: float, z: float) -> list[Prop]:
    """A stair house with a lit door and a neon ring above it."""
    body = shadow(c, 0.15, 0.7)
    ring = upright(z, band(arc(x, 2.15, 0.52), arc(x, 2.15, 0.32)))

    def neon(canvas: Canvas, m: Music) -> None:
        canvas.polygon(ring, mix(c.accent, WHITE, 0.2 + 0.5 * m.pulse))
        canvas.polygon(ring, c.accent * (0.25 + 0.6 * m.low), glow=True)

    door, lamp = upright(z, box(x - 0.1, 0, x + 0.6, 1.15)), mix(c.second, MOON, 0.5)
    return [
        flat(z, box(x - 0.9, 0, x + 1.3, 1.45), body),
        shape(z + 0.01, door, lamp * 0.75, lamp, lambda m: m.low),
        (z + 0.02, neon),
    ]


# ---------------------------------------------------------------- space


CRYSTALS = ((-2.9, -3.2), (3.0, -3.6), (-4.9, -1.2), (5.0, -1.6), (-5.4, -6.5), (5.6, -7.5))  # (x, z), metres


def space(c: Colors) -> Place:
    """A platform adrift before a giant ringed planet; every beat sends a glowing ring outwards."""
    deep, air = shadow(c, 0.22, 0.7), mix(c.horizon, c.accent, 0.3)
    sky = gradient_sky(deep, shadow(c, 0.42, 0.7), air, bend=4)
    props = [
        light(-39, -3.5, 3.2, 15.0, mix(c.accent, c.second, 0.3), lambda m: 0.25 + 0.5 * m.low),
        *_planet(c, -3.5, 3.4, -38.5, 5.6, 18, c.accent, deep),
        *_planet(c, -46.0, 4.5, -38.5, 8.0, -24, c.second, deep),
        *_planet(c, 40.0, 3.0, -38.5, 7.0, 30, mix(c.second, c.accent, 0.4), deep),
        *_moon(9.5, 6.2, -37, 2.3, c.second, deep),
        *_moon(13.0, 0.6, -37, 1.2, c.accent, deep),
        *_moon(-15.5, 7.0, -37, 1.5, c.second, deep),
        *_moon(24.0, 6.0, -37, 2.2, c.accent, deep),
        *_moon(-26.0, 1.5, -37, 2.0, c.accent, deep),
        _shock_rings(c),
        *(_crystal(c, x, z, k) for k, (x, z) in enumerate(CRYSTALS)),
        _platform(c),
    ]
    below = shadow(c, 0.28, 0.7)
    return assemble(c, sky, below, air, props, pool=0.0, sun=(0.6, 0.6))


def _planet(c: Colors, x: float, y: float, z: float, radius: float, tilt: float, color, deep) -> list[Prop]:
    """A planet with two bands, a shadow side and a broad ring whose glow follows the lows."""
    lit = mix(color, MOON, 0.45)
    dusk = mix(color, deep, 0.62)
    ring = mix(mix(color, c.second, 0.5), MOON, 0.5)
    # The lit side is bounded by the limb on the right and the terminator, a flattened half circle, on the left.
    limb, terminator = arc(0, y, radius, -90, 90), np.array([(0, y)]) + arc(0, 0, radius, -90, 90) * (-0.45, 1)
    parts = [(arc(0, y, radius), dusk), (band(limb, terminator), color)]
    for low, high, shade in ((0.12, 0.44, lit), (-0.62, -0.40, lit)):
        top, bottom = np.degrees(np.arcsin([high, low]))
        edge = arc(0, 0, radius, bottom, top)
        parts.append((band(edge + (0, y), edge * (-0.45, 1) + (0, y)), shade))
    back = band(arc(0, y, 1.95 * radius, 0, 180, 0.26, tilt), arc(0, y, 1.4 * radius, 0, 180, 0.24, tilt))
    front = band(arc(0, y, 1.95 * radius, 180, 360, 0.26, tilt), arc(0, y, 1.4 * radius, 180, 360, 0.24, tilt))
    at = lambda outline: toward(outline, x, z)
    props = [shape(z - 0.3, at(back), mix(ring, deep, 0.45), ring, lambda m: 0.3 + 0.6 * m.low)]
    props += [shape(z - 0.2 + 0.01 * k, at(outline), shade) for k, (outline, shade) in enumerate(parts)]
    props.append(shape(z, at(front), mix(ring, deep, 0.15), mix(ring, WHITE, 0.4), lambda m: m.low))
    return props


def _moon(x: float, y: float, z: float, radius: float, color, deep) -> list[Prop]:
    crescent = band(arc(0, y, radius, -90, 90), np.array([(0, y)]) + arc(0, 0, radius, -90, 90) * (-0.2, 1))
    return [
        shape(z, toward(arc(0, y, radius), x, z), mix(color, deep, 0.6)),
        shape(z + 0.01, toward(crescent, x, z), mix(color, MOON, 0.35), WHITE, lambda m: 0.4 * m.pulse),
    ]


def _shock_rings(c: Colors) -> Prop:
    """Upright rings that leave the platform on the beat and grow over two beats."""
    z = -9.0

    def paint(canvas: Canvas, m: Music) -> None:
        for k, color in enumerate((c.second, c.accent)):
            age = ((m.beat + k) % 2) / 2
            radius, level = 1.2 + 6.5 * age**0.7, (1 - age) ** 1.5 * (0.25 + 0.75 * m.low)
            ring = band(arc(0, 1.4, radius + 0.45 * (1 - 0.5 * age)), arc(0, 1.4, radius))
            canvas.polygon(upright(z, ring), mix(color, WHITE, 0.25) * level, glow=True)

    return z, paint


def _crystal(c: Colors, x: float, z: float, k: int) -> Prop:
    """A floating crystal of two facets that rises and falls over eight beats and flares with the music."""
    color = (c.accent, c.second)[k % 2]
    high = 0.75 + 0.12 * (k % 3)

    def paint(canvas: Canvas, m: Music) -> None:
        y = 1.35 + 0.3 * (k % 2) + 0.18 * np.sin(np.pi * m.beat / 4 + 1.3 * k)
        level = (m.low, m.mid)[k % 2] * (0.5 + 0.5 * m.pulse)
        left = upright(z, [(x, y - high), (x, y + high), (x - 0.42, y + 0.12)])
        right = upright(z, [(x, y - high), (x, y + high), (x + 0.42, y + 0.12)])
        canvas.polygon(left, mix(color * 0.55, color, level))
        canvas.polygon(right, mix(color, WHITE, 0.25 + 0.5 * level))
        both = upright(z, [(x, y - high), (x + 0.5, y + 0.12), (x, y + high), (x - 0.5, y + 0.12)])
        canvas.polygon(both, color * (0.10 + 0.35 * level), glow=True)

    return z, paint


def _platform(c: Colors) -> Prop:
    """A round platform with a rim of light and rings that run outwards from the performer's feet."""
    top = shadow(c, 0.3)
    rim = [
        (lying(arc(0, 0, 2.35), -0.45), shadow(c, 0.10)),
        (lying(arc(0, 0, 2.5), -0.12), shadow(c, 0.16)),
    ]
    disc, edge = lying(arc(0, 0, 2.5)), lying(band(arc(0, 0, 2.5), arc(0, 0, 2.3)))

    def paint(canvas: Canvas, m: Music) -> None:
        for points, shade in rim:
            canvas.polygon(points, shade)
        canvas.polygon(disc, mix(top, c.accent, 0.12 + 0.2 * m.low))
        run = 2.1 * (1 - m.pulse)
        canvas.polygon(lying(arc(0, 0, run + 0.25)), mix(top, c.accent, 0.25 + 0.45 * m.low * m.pulse))
        canvas.polygon(lying(arc(0, 0, max(0.1, run - 0.1))), mix(top, c.accent, 0.15 + 0.25 * m.low))
        canvas.polygon(edge, mix(c.accent, WHITE, 0.3 + 0.4 * m.pulse))
        canvas.polygon(edge, c.accent * (0.15 + 0.4 * m.low), glow=True)

    return -2.6, paint
