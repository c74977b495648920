"""Places of light and music: the concert stage, the club, the tunnel; and a room at home."""

import numpy as np

from mv.world.canvas import Canvas, mix
from mv.world.lights import (
    FLOOR,
    arc,
    band,
    beam,
    box,
    crowd,
    daylit,
    light,
    lying,
    mirrored,
    overhead,
    shadow,
    shape,
    upright,
)
from mv.world.places import MOON, WHITE, Colors, Music, Place, Prop, assemble, flat, gradient_sky, sun_disc, veil

# ---------------------------------------------------------------- stage


def stage(c: Colors) -> Place:
    """An open-air stage: a sun of LEDs, an arc of light columns, beams from the truss, the crowd in front."""
    air = mix(c.horizon, c.accent, 0.25)
    sky = gradient_sky(overhead(c), mix(overhead(c), air, 0.5), air, bend=6)
    floor = shadow(c, 0.24)
    black = shadow(c, 0.11)
    props = [
        veil(-12, mix(air, c.second, 0.25), -1, 3.2, 0.8, 40),
        light(-6.2, 0, 1.4, 4.6, c.accent, lambda m: 0.35 + 0.45 * m.low),
        *_led_sun(c, floor, -5.5),
        flat(
            -5.2,
            band([(-4.3, 0), (-4.3, 3.4), (4.3, 3.4), (4.3, 0)], [(-3.9, 0), (-3.9, 2.98), (3.9, 2.98), (3.9, 0)]),
            black,
        ),
        shape(-4.9, lying(box(-2.7, -6.2, 2.7, -4.6), 0.3), mix(floor, c.accent, 0.3)),
        flat(-4.6, box(-2.7, 0, 2.7, 0.3), black),
        shape(-4.5, upright(-4.6, box(-2.7, 0.16, 2.7, 0.3)), c.accent * 0.5, c.accent, lambda m: m.pulse),
        *crowd(
            (
                (-1.75, 1.9, 0.66, 2),
                (-1.22, 2.2, 0.70, 0),
                (-0.78, 2.1, 0.60, 0),
                (-0.32, 2.3, 0.64, 0),
                (0.16, 2.15, 0.58, 0),
                (0.6, 2.3, 0.66, 0),
                (1.05, 2.1, 0.66, 0),
                (1.45, 2.2, 0.70, 1),
                (-2.3, 2.0, 0.70, 1),
                (1.95, 1.9, 0.66, 2),
                (2.5, 2.1, 0.70, 0),
            ),
            shadow(c, 0.09),
            mix(c.accent, WHITE, 0.15),
            0.85,
        ),
    ]
    props += [_light_column(c, angle, k) for k, angle in enumerate((-74, -56, -38, 38, 56, 74))]
    props += [_speaker(c, side * 3.2, -4.3) for side in (-1, 1)]
    for k, x in enumerate((-3.3, -1.9, 1.9, 3.3)):
        props.append(beam(-5.1 + 0.01 * k, (x, 3.1), 5.5, 270 - 7 * x, 16, 1.6 * k, 1.9, (c.accent, c.second)[k % 2]))
    return assemble(c, sky, floor, mix(floor, air, 0.75), props, pool=0.55, sun=(0.2, 0.9))


def _led_sun(c: Colors, floor, z: float) -> list[Prop]:
    """Three discs, paler inwards, that swell on the beat, and their reflection in the floor."""
    shades = (mix(c.accent, shadow(c, 0.3), 0.6), c.accent, mix(c.accent, MOON, 0.8))
    rings = [(arc(0, 0, r), shade) for r, shade in zip((1.62, 1.32, 0.98), shades)]

    def sun(canvas: Canvas, m: Music, up: int, dim: float) -> None:
        for k, (ring, shade) in enumerate(rings):
            grow = 1 + (0.02 + 0.04 * k) * m.pulse * (0.4 + 0.6 * m.low)
            points = upright(z, ring * grow + (0, 1.42))
            canvas.polygon(points * (1, up, 1), mix(shade * (0.9 + 0.1 * m.low), floor, dim))

    return [(z, lambda canvas, m: sun(canvas, m, 1, 0.0)), (FLOOR, lambda canvas, m: sun(canvas, m, -1, 0.62))]


def _light_column(c: Colors, angle: float, k: int) -> Prop:
    """A column on the arc behind the stage that fills with light as far as its part of the music is loud."""
    a = np.radians(angle)
    middle, along = np.array([8 * np.sin(a), 0, -8 * np.cos(a)]), np.array([np.cos(a), 0, np.sin(a)])
    color, dark = (c.accent, c.second)[k % 2], shadow(c, 0.26)

    def column(height: float) -> np.ndarray:
        foot = np.array([middle - 0.75 * along, middle + 0.75 * along])
        return np.concatenate([foot, foot[::-1] + (0, height, 0)])

    def paint(canvas: Canvas, m: Music) -> None:
        level = (m.low, m.mid, m.high)[k % 3]
        canvas.polygon(column(4.4), dark)
        canvas.polygon(column(0.5 + 3.6 * level), mix(dark, color, 0.55 + 0.45 * level))
        canvas.polygon(column(0.5 + 3.6 * level), color * 0.25 * level, glow=True)

    return float(middle[2]), paint


def _speaker(c: Colors, x: float, z: float) -> Prop:
    case, cone = shadow(c, 0.13), mix(shadow(c, 0.2), c.accent, 0.5)

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.rectangle(x - 0.58, 0, x + 0.58, 2.35, z, case)
        for y in (0.62, 1.72):
            canvas.polygon(upright(z, arc(x, y, 0.42 + 0.05 * m.low)), mix(cone, c.accent, 0.6 * m.low))
            canvas.polygon(upright(z, arc(x, y, 0.2 + 0.04 * m.low)), case)

    return z, paint


# ---------------------------------------------------------------- club


def club(c: Colors) -> Place:
    """A dance floor of large glowing tiles under a mirror ball that throws broad rays, dancers all round."""
    wall = daylit(c, mix(shadow(c, 0.2, 0.7), c.second, 0.06))
    haze = mix(wall, c.accent, 0.45)
    sky = gradient_sky(wall, wall, haze, bend=4)
    black = shadow(c, 0.09)
    people = [(-4.4, -4.4, 1.62, 0), (-3.4, -4.0, 1.74, 2), (-2.4, -4.4, 1.58, 1),
              (2.4, -4.3, 1.55, 0), (3.3, -4.0, 1.7, 1), (4.4, -4.4, 1.66, 2),
              (-5.0, -1.4, 1.66, 2), (-5.7, -2.6, 1.7, 0), (5.1, -1.6, 1.7, 1), (5.8, -2.8, 1.6, 2)]  # fmt: skip
    props = [
        *_club_walls(c, wall, haze),
        _dance_floor(c, wall),
        veil(-6, haze, -0.5, 2.6, 0.85, 12),
        light(-5.4, 0, 2.35, 4.2, mix(c.accent, WHITE, 0.2), lambda m: 0.3 + 0.5 * m.low),
        _ball_rays(c, mix(wall, haze, 0.55), (0, 2.35, -7.9)),
        _mirror_ball(c, (0, 2.35, -5.0), 0.62),
        *crowd(people, black, mix(c.accent, WHITE, 0.1), 1.15),
    ]
    props += [
        beam(-5.6 + k / 100, (x, 3.4), 7, 270 - 9 * x, 14, 2.2 * k, 1.5, c.second, 0.10)
        for k, x in enumerate((-4.6, 4.6))
    ]
    return assemble(c, sky, wall, haze, props, pool=0.6, sun=(0.0, 1.0))


def _club_walls(c: Colors, wall, haze) -> list[Prop]:
    """Back and side walls, each with broad arches of light that pulse in turn."""
    props = [flat(-8, box(-7.5, 0, 7.5, 9), mix(wall, haze, 0.55))]
    for k, x in enumerate((-5.9, -3.2, 3.2, 5.9)):
        arch = np.concatenate([[(x + 1.05, 0)], arc(x, 1.7, 1.05, 0, 180), [(x - 1.05, 0)]])
        props.append(shape(-7, upright(-7, arch), mix(wall, c.second, 0.25), c.second, _turn(k)))
    for k, x in enumerate((-7.5, 7.5)):
        side = np.array([(x, 0, -8), (x, 0, 12), (x, 9, 12), (x, 9, -8)], float)
        props.append(shape(-30, side, mix(wall, haze, 0.35)))
        for z in (-5.2, -1.6, 2.0):
            arch = np.concatenate([[(z + 1.1, 0)], arc(z, 1.7, 1.1, 0, 180), [(z - 1.1, 0)]])
            points = np.column_stack([np.full(len(arch), x), arch[:, 1], arch[:, 0]])
            props.append(shape(-29, points, mix(wall, c.second, 0.3), c.second, _turn(k + round(z))))
    return props


def _turn(k: int):
    """A level that is loud on every other beat, in turn with its neighbours."""
    return lambda m: (0.15 + 0.85 * m.pulse * (0.4 + 0.6 * m.low)) if (int(m.beat) + k) % 2 else 0.15


def _dance_floor(c: Colors, wall) -> Prop:
    size = 1.5
    tiles = [
        (lying(box(x, z, x + size, z + size)), i + k)
        for i, x in enumerate(np.arange(-4.5, 4.5, size))
        for k, z in enumerate(np.arange(-6.0, 1.5, size))
    ]
    off = (mix(wall, c.second, 0.30), mix(wall, c.accent, 0.30))

    def paint(canvas: Canvas, m: Music) -> None:
        # The checker changes sides on every beat and flares with the lows.
        step = int(m.beat)
        for points, k in tiles:
            on = (k + step) % 2
            level = on * (0.25 + 0.6 * m.pulse * (0.35 + 0.65 * m.low)) + 0.15 * m.low
            canvas.polygon(points, mix(off[k % 2], (c.second, c.accent)[k % 2], level))

    return FLOOR, paint


def _ball_rays(c: Colors, wall, center) -> Prop:
    """A slow wheel of broad rays on the back wall, all of them brighter with the lows."""
    colors = (mix(c.accent, WHITE, 0.15), c.second)
    x, y, z = center

    def edge(angle: float) -> tuple[float, float]:
        """Where a ray meets the border of the wall, which spans x -7.5..7.5 and y 0..9."""
        u, v = np.cos(angle), np.sin(angle)
        far = min(7.5 / max(abs(u), 1e-6), (9 - y if v > 0 else y) / max(abs(v), 1e-6))
        return x + far * u, y + far * v

    def paint(canvas: Canvas, m: Music) -> None:
        for k in range(10):
            # A fifth of a turn in eight beats, two rays on: the colours meet themselves.
            a = 2 * np.pi * (k / 10 + m.beat / 40)
            points = upright(z, [(x, y), *(edge(a + turn) for turn in (-0.17, -0.06, 0.06, 0.17))])
            canvas.polygon(points, mix(wall, colors[k % 2], 0.16 + 0.4 * m.low))

    return z, paint


def _mirror_ball(c: Colors, center, radius: float) -> Prop:
    """A ball of large facets in three rows, whose bright facets wander with the beat."""
    x, y, z = center
    levels = np.radians([-90, -32, 6, 42, 90])
    turns = np.radians([-90, -44, -12, 18, 50, 90])
    shades = (c.second * 0.55, mix(c.accent, c.second, 0.2) * 0.85, mix(c.accent, WHITE, 0.45), mix(MOON, WHITE, 0.5))
    facets = []
    for i in range(4):
        for k in range(5):
            corners = [
                (turns[k], levels[i]),
                (turns[k + 1], levels[i]),
                (turns[k + 1], levels[i + 1]),
                (turns[k], levels[i + 1]),
            ]
            outline = [(x + radius * np.cos(v) * np.sin(u), y + radius * np.sin(v)) for u, v in corners]
            facets.append((upright(z, outline), 2 * i + 3 * k))

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.polygon(upright(z, arc(x, y, radius * 1.02)), shades[1])
        canvas.rectangle(x - 0.07, y + radius, x + 0.07, y + 4, z, shades[0])
        for points, k in facets:
            shade = shades[(0, 2, 1, 0, 3, 1, 2)[(k + int(2 * m.beat)) % 7]]
            canvas.polygon(points, shade)

    return z, paint


# ---------------------------------------------------------------- tunnel

TUNNEL = np.array([(-5.2, -0.3), (-5.9, 1.7), (-3.3, 3.9), (3.3, 3.9), (5.9, 1.7), (5.2, -0.3)])
TUNNEL_END, RING_STEP = -30.0, 5.0


def tunnel(c: Colors) -> Place:
    """A hexagonal tunnel with a white-hot gate at its end; neon rings run out of it, a step on every beat."""
    wall = daylit(c, shadow(c, 0.2, 0.7), 0.5)
    deep = daylit(c, mix(shadow(c, 0.5), c.accent, 0.5), 0.7)
    sky = gradient_sky(wall, deep, bend=4)
    props = [
        *_tunnel_walls(wall, deep),
        light(TUNNEL_END + 0.5, 0, 1.5, 9.0, mix(c.accent, WHITE, 0.3), lambda m: 0.55 + 0.45 * m.low),
        shape(
            TUNNEL_END + 1, upright(TUNNEL_END, TUNNEL * (0.62, 0.72)), mix(c.accent, MOON, 0.6), WHITE, lambda m: m.low
        ),
        (-20.0, _rings(c, wall, deep)),
    ]
    return assemble(c, sky, mix(wall, c.accent, 0.08), mix(deep, c.accent, 0.3), props, pool=0.55, sun=(0.0, 0.8))


def _tunnel_walls(wall, deep) -> list[Prop]:
    """Six long faces in four lengths; nearer lengths are darker, each face has its own value."""
    props = []
    for near, far, share in ((9.0, -4.0, 0.0), (-4.0, -10.0, 0.28), (-10.0, -18.0, 0.55), (-18.0, TUNNEL_END, 0.85)):
        for k in range(5):
            (x0, y0), (x1, y1) = TUNNEL[k], TUNNEL[k + 1]
            face = np.array([(x0, y0, near), (x1, y1, near), (x1, y1, far), (x0, y0, far)])
            props.append(
                shape(FLOOR + 1 + near / 100, face, mix(wall * (0.92, 1.12, 0.72, 1.12, 0.92)[k], deep, share))
            )
    return props


def _rings(c: Colors, wall, deep):
    colors = (c.accent, c.second)

    def paint(canvas: Canvas, m: Music) -> None:
        # One ring a beat, with a jump on the beat that eases out.
        step = int(m.beat)
        run = 1 - (1 - m.beat % 1) ** 2
        for k in range(7):
            z = TUNNEL_END + RING_STEP * (k + run)
            near = np.clip((z - TUNNEL_END) / 24, 0, 1)
            color = colors[(k - step) % 2]
            lit = mix(mix(color, WHITE, 0.35 * m.pulse), deep, 0.5 * (1 - near))
            strip = upright(z, band(TUNNEL, TUNNEL * (0.925, 0.9)))
            if z > -16:
                # The light the ring throws on the wall beside it, which is what one sees from the side.
                for x, y in (TUNNEL[:3].T, TUNNEL[3:].T):
                    lane = [*zip(x, y, (z, z, z)), *zip(x[::-1], y[::-1], [z - 0.9] * 3)]
                    canvas.polygon(lane, mix(wall, color, 0.35 + 0.4 * m.pulse * near))
            canvas.polygon(mirrored(strip), mix(wall, lit, 0.35))
            canvas.polygon(strip, lit * (0.78 + 0.22 * m.low))
            canvas.polygon(strip, color * (0.12 + 0.35 * m.low + 0.15 * m.pulse), glow=True)

    return paint


# ---------------------------------------------------------------- room

WALL = -4.2
LAMP = np.array([255.0, 206.0, 138.0])


def room(c: Colors) -> Place:
    """A warm living room: low sun through a great arched window, sofa, lamp, plant and a poster."""
    wall = daylit(c, mix(shadow(c, 0.56, 0.55), LAMP * (0.30 + 0.35 * c.light), 0.34))
    floor = mix(np.array([150.0, 86.0, 60.0]), shadow(c, 0.35), 0.5) * (0.5 + 0.30 * c.light)
    sky = gradient_sky(overhead(c), mix(overhead(c), c.horizon, 0.6), mix(c.horizon, MOON, 0.25), bend=5)
    glare = mix(c.horizon, MOON, 0.75)
    sun_disc(sky, -4.0, 7.0, 3.6, glare, c.accent, 2.5)
    far, near = c.haze(shadow(c, 0.42), 0.6), c.haze(shadow(c, 0.42), 0.15)
    day = mix(c.accent, MOON, 0.5)
    hills = [(-60, 0), (-60, 3), (-30, 5), (-16, 3), (-6, 4.5), (6, 2.4), (18, 5), (40, 3), (60, 4), (60, 0)]
    slope = [(-60, 0), (-60, 2), (-22, 1.2), (-10, 2.2), (0, 0.4), (12, 2.0), (30, 1), (60, 0)]
    patch = lying([(-2.6, WALL + 0.6), (0.8, WALL + 0.6), (3.2, 1.2), (-0.9, 1.2)])
    rug, pale = [lying(arc(0, -0.9, r, squash=0.7)) for r in (2.1, 1.6)], mix(c.accent, WHITE, 0.35)
    props = [
        flat(-36, hills, far),
        flat(-30, slope, near),
        *_room_walls(c, wall),
        light(-4.1, -0.9, 1.9, 3.6, day, lambda m: 0.22 + 0.35 * m.low),
        shape(FLOOR, patch, mix(floor, day, 0.4), day, lambda m: 0.5 * m.low),
        shape(FLOOR + 0.1, rug[0], mix(c.accent, floor, 0.45), c.accent, lambda m: 0.8 * m.low),
        shape(FLOOR + 0.2, rug[1], mix(pale, floor, 0.3), pale, lambda m: 0.8 * m.low),
        _poster(c, 2.35, 2.15),
        *_sideboard(c, wall, -5.3),
        *_sideboard(c, wall, 5.9),
        _sofa(c, floor),
        *_floor_lamp(c, 3.75),
        _plant(c, -3.25, -3.3),
    ]  # fmt: skip
    return assemble(c, sky, floor, near, props, pool_color=LAMP, pool=0.28, sun=(-0.7, 0.7))


def _room_walls(c: Colors, wall) -> list[Prop]:
    """Back wall with an arched opening, side walls with large pictures."""
    left, right, sill, spring = -2.7, 0.9, 0.75, 1.75
    x, radius = (left + right) / 2, (right - left) / 2

    def opening(margin: float) -> np.ndarray:
        top = arc(x, spring, radius + margin, 0, 180, squash=0.72)
        return np.concatenate([[(right + margin, sill)], top, [(left - margin, sill)]])

    hole = opening(0)
    # One outline: round the wall, through a slit at the foot, round the opening.
    outline = [(x, 0), (7, 0), (7, 9), (-7, 9), (-7, 0), (x, 0), (x, sill), *hole[::-1], (x, sill)]
    frame = mix(wall, MOON, 0.55)
    props = [
        flat(WALL, outline, wall),
        flat(WALL + 0.01, band(opening(0.16), hole), frame),
        flat(WALL + 0.02, box(left - 0.3, sill - 0.16, right + 0.3, sill), frame),
        flat(WALL + 0.02, box(x - 0.08, sill, x + 0.08, spring + radius * 0.72), frame),
        flat(WALL + 0.03, box(-7, 0, 7, 0.3), wall * 0.62),
    ]
    for side, shade, tint in ((-1, 0.78, c.accent), (1, 0.86, c.second)):
        at = lambda z, y, x=7.0 * side: (x, y, z)
        face = np.array([at(WALL, 0), at(12, 0), at(12, 9), at(WALL, 9)])
        props.append(shape(WALL - 0.2, face, wall * shade))
        for z, y, radius in ((-2.9, 2.0, 0.8), (-0.6, 1.6, 0.6)):
            ring = arc(z, y, radius)
            disc = np.column_stack([np.full(len(ring), 6.95 * side), ring[:, 1], ring[:, 0]])
            props.append(shape(WALL - 0.1, disc, mix(tint, wall, 0.35), mix(tint, WHITE, 0.2), lambda m: 0.7 * m.low))
    return props


def _poster(c: Colors, x: float, y: float) -> Prop:
    paper, z = shadow(c, 0.32), WALL + 0.05
    hill = upright(z, np.array([(-0.6, -0.8), (-0.6, -0.3), (-0.1, 0.1), (0.6, -0.45), (0.6, -0.8)]) + (x, y))

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.rectangle(x - 0.72, y - 0.92, x + 0.72, y + 0.92, z, mix(c.second, MOON, 0.75))
        canvas.rectangle(x - 0.6, y - 0.8, x + 0.6, y + 0.8, z, paper)
        canvas.polygon(upright(z, arc(x, y + 0.12, 0.36 + 0.08 * m.low)), mix(c.accent, MOON, 0.3))
        canvas.polygon(hill, c.second)

    return z, paint


def _sofa(c: Colors, floor) -> Prop:
    color = mix(mix(c.accent, shadow(c, 0.45), 0.55), floor, 0.15)
    z = -3.5

    def paint(canvas: Canvas, m: Music) -> None:
        canvas.flat_disc((2.2, 0, z), 1.9, 0.5, floor * 0.62)
        canvas.limb((1.25, 0.85, z - 0.2), (3.2, 0.85, z - 0.2), 0.38, 0.38, color * 0.8)
        canvas.limb((1.1, 0.45, z), (3.35, 0.45, z), 0.27, 0.27, color)
        canvas.limb((0.95, 0.3, z + 0.1), (0.95, 0.68, z + 0.1), 0.26, 0.24, color * 1.12)
        canvas.limb((3.5, 0.3, z + 0.1), (3.5, 0.68, z + 0.1), 0.26, 0.24, color * 1.12)
        canvas.polygon(upright(z, [(1.45, 0.62), (2.05, 0.55), (2.15, 1.12), (1.55, 1.2)]), mix(c.second, MOON, 0.3))

    return z, paint


def _sideboard(c: Colors, wall, x: float) -> list[Prop]:
    """A low cupboard with a round vase and a broad picture above it."""
    z, wood = WALL + 0.2, shadow(c, 0.3)
    return [
        flat(z, box(x - 1.15, 0, x + 1.15, 0.85), wood),
        flat(z + 0.01, box(x - 1.0, 0.14, x - 0.06, 0.72), wood * 1.35),
        flat(z + 0.01, box(x + 0.06, 0.14, x + 1.0, 0.72), wood * 1.35),
        flat(z + 0.01, arc(x - 0.55, 1.1, 0.3), mix(c.second, MOON, 0.35)),
        flat(WALL + 0.05, box(x - 0.55, 1.55, x + 1.1, 2.75), mix(wall, MOON, 0.6)),
        shape(
            WALL + 0.06,
            upright(WALL, arc(x + 0.28, 2.15, 0.42)),
            c.accent * 0.8,
            mix(c.accent, WHITE, 0.3),
            lambda m: m.low,
        ),
    ]


def _floor_lamp(c: Colors, x: float) -> list[Prop]:
    z = -3.0
    stem = shadow(c, 0.14)
    shade = [(x - 0.48, 1.6), (x + 0.48, 1.6), (x + 0.28, 2.25), (x - 0.28, 2.25)]
    return [
        light(z - 0.1, x, 1.85, 2.2, LAMP * 0.8, lambda m: 0.3 + 0.6 * m.low),
        flat(z - 0.05, box(x - 0.07, 0, x + 0.07, 1.7), stem),
        shape(z, upright(z, shade), LAMP * 0.85, mix(LAMP, WHITE, 0.5), lambda m: 0.3 + 0.7 * m.pulse * m.low),
    ]


def _plant(c: Colors, x: float, z: float) -> Prop:
    leaf = mix(shadow(c, 0.3), np.array([44.0, 128.0, 92.0]) * (0.55 + 0.35 * c.light), 0.6)
    pot = mix(c.second, shadow(c, 0.3), 0.4)

    def paint(canvas: Canvas, m: Music) -> None:
        for k, angle in enumerate((18, 162, 48, 132, 90)):
            a = np.radians(angle + 3 * np.sin(np.pi * m.beat / 2 + k))
            along, across = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
            root, long = np.array([x, 0.55]), 1.35 + 0.15 * (k == 4)
            bend = root + 0.45 * long * along
            blade = [root, bend + 0.24 * across, root + long * along, bend - 0.24 * across]
            canvas.polygon(upright(z, blade), leaf * (0.75 + 0.12 * k))
        canvas.polygon(upright(z, [(x - 0.24, 0), (x + 0.24, 0), (x + 0.36, 0.62), (x - 0.36, 0.62)]), pot)

    return z, paint
