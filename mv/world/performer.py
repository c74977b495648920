"""The performer: an articulated figure whose pose is a function of the act and the music.

`pose` gives joints in metres, `paint` draws them as a flat figure with outline, rim light and a face, `paint_layout`
draws the same figure as the map that tells the model what stands where.
"""

from dataclasses import dataclass

import numpy as np

from mv.world.canvas import Canvas, mix
from mv.world.scenes import INK, WHITE, Music, Place
from mv.world.vocabulary import HAIR_COLORS, OUTFIT_COLORS, SKINS, Look

HEAD_RADIUS = 0.215  # metres: a big head reads at small sizes
TROUSERS = {"shirt": (52, 54, 92), "dress": (60, 46, 60), "jacket": (44, 40, 52)}
SHOES = (236, 234, 238)


@dataclass(frozen=True)
class Pose:
    """World points (3,) in metres; left and right as the audience sees them."""

    yaw: float
    pelvis: np.ndarray
    chest: np.ndarray
    head: np.ndarray
    shoulders: tuple[np.ndarray, np.ndarray]
    elbows: tuple[np.ndarray, np.ndarray]
    hands: tuple[np.ndarray, np.ndarray]
    knees: tuple[np.ndarray, np.ndarray]
    feet: tuple[np.ndarray, np.ndarray]
    facing: np.ndarray  # (3, 3): columns right, up, forward of the body


def pose(action: str, m: Music) -> Pose:
    """Sway over two beats, turn over four, bounce on every beat; wider where the music has more energy."""
    vigour = 0.45 + 0.55 * m.energy
    sway, bounce = np.sin(np.pi * m.beat), abs(np.sin(np.pi * m.beat))
    if action == "dancing":
        vigour *= 1.35
    yaw = 0.28 * np.sin(0.5 * np.pi * m.beat) * vigour
    facing = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    at = lambda x, y, z=0.0: facing @ np.array([x, y, z])

    side, dip = 0.08 * vigour * sway, -0.07 * vigour * (1 - bounce)
    if action == "cheering":
        dip = 0.12 * vigour * bounce  # jumping
    lift = max(dip, 0.0)
    pelvis, chest = at(0.6 * side, 0.92 + dip), at(1.2 * side, 1.25 + dip)
    head = at(1.8 * side, 1.68 + dip + 0.02 * np.sin(2 * np.pi * m.beat))
    shoulders = (chest + at(-0.24, 0.06), chest + at(0.24, 0.06))
    elbows, hands = _arms(action, m, vigour, sway, shoulders, pelvis, head, at)
    knees = tuple(at(x + 0.5 * side, 0.5 + 0.5 * dip, 0.12 + 0.05 * bounce) for x in (-0.19, 0.19))
    feet = tuple(at(x, 0.08 + lift) for x in (-0.21, 0.21))
    return Pose(yaw, pelvis, chest, head, shoulders, elbows, hands, knees, feet, facing)


def _arms(action, m: Music, vigour, sway, shoulders, pelvis, head, at):
    left, right = shoulders
    if action == "singing":
        swing = 0.4 * vigour * np.sin(np.pi * m.beat)
        elbows = (left + at(-0.17, -0.25, 0.10), right + at(0.28, -0.14 + 0.1 * swing, 0.08))
        hands = (head + at(-0.17, -0.33, 0.24), elbows[1] + at(0.20, 0.06 + 0.3 * swing, 0.14))
    elif action == "cheering":
        wave = 0.5 * vigour * np.sin(np.pi * m.beat)
        elbows = (left + at(-0.24, 0.18), right + at(0.24, 0.18))
        hands = (elbows[0] + at(-0.06 + 0.18 * wave, 0.32), elbows[1] + at(0.06 + 0.18 * wave, 0.32))
    elif action == "guitar":
        strum = 0.10 * np.cos(2 * np.pi * m.beat)
        elbows = (left + at(-0.22, -0.26, 0.05), right + at(0.26, -0.18, 0.10))
        hands = (pelvis + at(-0.06, 0.16 + strum, 0.30), pelvis + at(0.46, 0.36, 0.22))
    else:  # dancing: the arms draw circles, one against the other
        turn = np.pi * m.beat
        elbows = tuple(
            shoulder + at(s * 0.26, -0.08 + 0.14 * np.sin(turn + phase), 0.04)
            for shoulder, s, phase in ((left, -1, 0.0), (right, 1, np.pi))
        )
        hands = tuple(
            elbow + at(s * (0.16 + 0.08 * np.cos(turn)), 0.26 * vigour * np.sin(turn + phase), 0.10)
            for elbow, s, phase in ((elbows[0], -1, 0.6), (elbows[1], 1, np.pi + 0.6))
        )
    return elbows, hands


# ---------------------------------------------------------------- painting


def paint(canvas: Canvas, place: Place, look: Look, action: str, m: Music) -> None:
    """Shadow, rim light, outline, body, face, instrument: in this order."""
    p = pose(action, m)
    seen = canvas.see(p.head)
    canvas.flat_disc((p.pelvis[0], 0.005, 0.0), 0.62, 0.26, mix(place.ground[96, 96], INK, 0.55))
    if seen is None:
        return
    head, scale = seen
    rim = mix(place.colors.accent, WHITE, 0.35) * (0.55 + 0.45 * m.low)
    # The light that falls on the figure is the place's: darker at night, and it answers to the lows.
    key = min(1.0, 0.74 + 0.18 * place.colors.light + 0.10 * m.low)
    tint = lambda color: mix(np.asarray(color) * key, place.colors.accent, 0.07)
    toward_sun = place.sun * [1, -1] * 0.04 * scale

    _body(canvas, p, look, action, dict.fromkeys(("top", "legs", "skin", "shoes"), rim), 0.03, toward_sun)
    canvas.oval(head + 1.3 * toward_sun, HEAD_RADIUS * 1.12 * scale, HEAD_RADIUS * 1.12 * scale, rim)
    _hair_behind(canvas, head, scale, look, tint)
    outline = dict.fromkeys(("top", "legs", "skin", "shoes"), INK)
    _body(canvas, p, look, action, outline, 0.03)
    canvas.oval(head, (HEAD_RADIUS * 1.02 + 0.03) * scale, (HEAD_RADIUS * 1.08 + 0.03) * scale, INK)
    colors = {
        "top": tint(OUTFIT_COLORS[look.outfit_color]),
        "legs": tint(TROUSERS[look.outfit]),
        "skin": tint(SKINS[look.skin]),
        "shoes": tint(SHOES),
    }
    _body(canvas, p, look, action, colors, 0.0)
    if action == "guitar":
        _guitar(canvas, p, place)
    _head(canvas, p, head, scale, look, tint, m)
    if action == "singing":
        _microphone(canvas, p, tint(SKINS[look.skin]))


def _body(canvas: Canvas, p: Pose, look: Look, action: str, colors: dict, grow: float, offset=(0.0, 0.0)) -> None:
    """The figure below the head in flat colours, every part grown by `grow` metres and moved by `offset` pixels."""

    def limb(a, b, radius_a, radius_b, part):
        first, last = canvas.see(a), canvas.see(b)
        if first and last:
            canvas.capsule(
                first[0] + offset,
                last[0] + offset,
                (radius_a + grow) * first[1],
                (radius_b + grow) * last[1],
                colors[part],
            )

    forward, right = p.facing[:, 2], p.facing[:, 0]
    for i, side in ((0, -1), (1, 1)):
        hip = p.pelvis + 0.11 * side * right
        limb(hip, p.knees[i], 0.125, 0.10, "skin" if look.outfit == "dress" else "legs")
        limb(p.knees[i], p.feet[i], 0.10, 0.08, "skin" if look.outfit == "dress" else "legs")
        limb(p.feet[i], p.feet[i] + 0.14 * forward, 0.09, 0.07, "shoes")
    neck = p.chest + [0, 0.15, 0]
    limb(neck, p.head, 0.075, 0.075, "skin")
    limb(p.pelvis, p.chest, 0.19, 0.22, "top")
    limb(p.shoulders[0], p.shoulders[1], 0.12, 0.12, "top")
    if look.outfit == "dress":
        limb(p.pelvis + [0, 0.02, 0], p.pelvis - [0, 0.26, 0], 0.20, 0.33, "top")
    elif look.outfit == "jacket":
        limb(p.pelvis, p.pelvis - [0, 0.08, 0], 0.21, 0.22, "top")
    sleeve = "skin" if look.outfit == "dress" else "top"
    for i in (0, 1):
        limb(p.shoulders[i], p.elbows[i], 0.09, 0.08, "top")
        limb(p.elbows[i], p.hands[i], 0.078, 0.065, "top" if look.outfit == "jacket" else sleeve if grow else "skin")
        limb(p.hands[i], p.hands[i] + [0, 0.01, 0], 0.085, 0.085, "skin")
    if look.outfit == "jacket" and not grow:
        limb(p.pelvis, p.chest + [0, 0.1, 0], 0.075, 0.09, "shoes")  # the white shirt under it


def _hair_behind(canvas: Canvas, head, scale, look: Look, tint) -> None:
    if look.hair_style not in ("long", "bob"):
        return
    r = HEAD_RADIUS * scale
    drop, width, height = (0.5, 1.3, 1.6) if look.hair_style == "long" else (0.22, 1.28, 1.25)
    center = canvas.upright(head, [(0, -drop)], r)[0]
    canvas.oval(center, r * width + 0.03 * scale, r * height + 0.03 * scale, INK)
    canvas.oval(center, r * width, r * height, tint(HAIR_COLORS[look.hair_color]) * 0.85)


def _head(canvas: Canvas, p: Pose, head, scale, look: Look, tint, m: Music) -> None:
    """Face features slide sideways as the head turns from the camera."""
    r = HEAD_RADIUS * scale
    hair, skin = tint(HAIR_COLORS[look.hair_color]), tint(SKINS[look.skin])
    to_camera = canvas.position - p.head
    turn = np.sin(np.clip(p.yaw - np.arctan2(to_camera[0], to_camera[2]), -1.2, 1.2))
    put = lambda x, y: canvas.upright(head, [(x, y)], r)[0]
    if look.hair_style == "bun":
        canvas.oval(put(0, 1.2), 0.45 * r + 0.03 * scale, 0.45 * r + 0.03 * scale, INK)
        canvas.oval(put(0, 1.2), 0.45 * r, 0.45 * r, hair)
    canvas.oval(head, 0.97 * r, 1.04 * r, skin)
    arc = np.linspace(0, np.pi, 12)
    cap = np.stack([1.06 * np.cos(arc), 0.14 + 1.02 * np.sin(arc)], 1)
    x = np.linspace(-1, 1, 5)
    fringe = np.stack([0.3 * turn + 0.86 * x, 0.40 + np.array([-0.16, 0.08, 0.10, 0.08, -0.16])], 1)
    canvas.fill(canvas.upright(head, np.concatenate([cap, fringe]), r), hair)

    for side in (-1, 1):
        eye = 0.5 * turn + 0.38 * side
        canvas.oval(put(eye, 0.02), 0.22 * r, 0.20 * r, (245, 245, 248))
        canvas.oval(put(eye + 0.07 * turn, 0.02), 0.125 * r, 0.14 * r, (36, 24, 34))
    mouth = put(0.5 * turn, -0.54)
    canvas.oval(mouth, r * (0.40 - 0.08 * m.mouth), r * (0.10 + 0.30 * m.mouth), (190, 60, 76))
    canvas.oval(mouth, r * (0.29 - 0.04 * m.mouth), r * (0.02 + 0.25 * m.mouth), (62, 16, 36))


def _microphone(canvas: Canvas, p: Pose, skin) -> None:
    top = p.head + p.facing @ np.array([-0.05, -0.24, 0.22])
    canvas.limb(p.hands[0] - 0.5 * (top - p.hands[0]), top, 0.05, 0.05, INK + 20)
    canvas.disc(top, 0.09, (176, 178, 188))
    canvas.disc(p.hands[0], 0.085, skin)


def _guitar(canvas: Canvas, p: Pose, place: Place) -> None:
    at = lambda x, y: p.pelvis + p.facing @ np.array([x, y, 0.26])
    wood = mix(place.colors.second, (214, 120, 52), 0.45)
    for grow, body, neck in ((0.03, INK, INK), (0.0, wood, (92, 60, 44))):
        canvas.limb(at(0.05, 0.17), at(0.66, 0.46), 0.05 + grow, 0.045 + grow, neck)
        canvas.limb(at(-0.22, 0.04), at(0.02, 0.14), 0.23 + grow, 0.17 + grow, body)
    canvas.disc(at(-0.10, 0.09), 0.075, INK)
    for hand in p.hands:
        canvas.disc(hand, 0.08, (0.9 * np.array(SKINS["tan"])))


# ---------------------------------------------------------------- what stands where, for the model


def paint_layout(figure: Canvas, marks: Canvas, look: Look, action: str, m: Music) -> None:
    """figure: the performer in the cast's flat colours. marks: R the figure, G the head, B the mouth's opening."""
    p = pose(action, m)
    seen = figure.see(p.head)
    if seen is None:
        return
    head, scale = seen
    colors = {
        "top": OUTFIT_COLORS[look.outfit_color],
        "legs": TROUSERS[look.outfit],
        "skin": SKINS[look.skin],
        "shoes": SHOES,
    }
    _body(figure, p, look, action, colors, 0.0)
    figure.oval(head, HEAD_RADIUS * scale, 1.05 * HEAD_RADIUS * scale, SKINS[look.skin])
    crown = figure.upright(head, [(0, 0.55)], HEAD_RADIUS * scale)[0]
    figure.oval(crown, HEAD_RADIUS * scale, 0.5 * HEAD_RADIUS * scale, HAIR_COLORS[look.hair_color])

    _body(marks, p, look, action, dict.fromkeys(colors, (255, 0, 0)), 0.0)
    marks.oval(head, HEAD_RADIUS * scale, 1.05 * HEAD_RADIUS * scale, (255, 255, 0))
    to_camera = figure.position - p.head
    turn = np.sin(np.clip(p.yaw - np.arctan2(to_camera[0], to_camera[2]), -1.2, 1.2))
    mouth = marks.upright(head, [(0.5 * turn, -0.54)], HEAD_RADIUS * scale)[0]
    radius = 0.4 * HEAD_RADIUS * scale
    marks.oval(mouth, radius, radius, (255, 255, 255 * m.mouth))
