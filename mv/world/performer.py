"""The performer: an articulated figure whose pose is a function of the act and the music.

`pose` gives joints in metres, `figure` turns them into flat shapes on the screen, sorted back to front. `paint` fills
the shapes with light, shade and a rim and adds the face; `paint_layout` fills the same shapes with the cast's flat
colours, as the map that tells the model what stands where.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from mv.world.canvas import NEAR, SUBPIXEL, Canvas, mix
from mv.world.places import INK, WHITE, Colors, Music, Place
from mv.world.vocabulary import HAIR_COLORS, OUTFIT_COLORS, SKINS, Look

HEAD_RADIUS = 0.2  # metres: a big head reads at small sizes
TROUSERS = {"shirt": (58, 62, 110), "dress": (92, 60, 78), "jacket": (62, 56, 78)}
SHOES = (240, 234, 226)
BRASS = np.array([236.0, 186.0, 88.0])
MOUTH_HEIGHT, MOUTH_RADIUS = -0.56, 0.30  # of the open mouth, in head radii from the head's centre
EYE_LONGITUDE = 0.42  # radians either side of the nose
TURNED_AWAY = 0.2  # cosine under which a feature is no longer seen
_BEND = np.linspace(-np.pi / 2, np.pi / 2, 8)
_BEND = np.stack([np.cos(_BEND), np.sin(_BEND)], 1)
# A capsule along +x: the round cap of its second end, then that of its first.
_CAPS, _CAP_OF = np.concatenate([_BEND, -_BEND]), np.repeat((1, 0), 8)
_ROUND = np.linspace(0, 2 * np.pi, 28, endpoint=False)
_ROUND = np.stack([np.cos(_ROUND), np.sin(_ROUND)], 1)
# A skull that narrows to the chin, in head radii.
_SKULL = _ROUND * [0.94, 1.1] * np.stack([1 - 0.2 * np.clip(-_ROUND[:, 1], 0, 1) ** 2, np.ones(28)], 1)


@dataclass(frozen=True)
class Pose:
    """World points (3,) in metres; left and right as the audience sees them."""

    yaw: float
    tilt: float  # of the head, radians
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
    vigour = (0.45 + 0.55 * m.energy) * (1.35 if action == "dancing" else 1.0)
    behind_instrument = action in ("keys", "drums")
    sway = np.sin(np.pi * m.beat)
    bounce = abs(sway)
    # Behind an instrument that stands, the body turns less: the hands must stay on it.
    yaw = 0.28 * np.sin(0.5 * np.pi * m.beat) * vigour * (0.25 if behind_instrument else 1.0)
    facing = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    at = lambda x, y, z=0.0: facing @ np.array([x, y, z])

    side, dip = 0.07 * vigour * sway, -0.06 * vigour * (1 - bounce)
    if action == "cheering":
        dip = 0.16 * vigour * bounce  # jumping
    lift, back = max(dip, 0.0), -0.1 if behind_instrument else 0.0
    # The hips go against the shoulders: the weight is on one leg.
    pelvis, chest = at(-0.5 * side, 0.97 + dip, back), at(0.6 * side, 1.27 + dip, back)
    head = at(1.3 * side, 1.71 + dip + 0.015 * np.sin(2 * np.pi * m.beat), back + 0.02)
    slope = 0.3 * side
    shoulders = (chest + at(-0.2, 0.1 + slope), chest + at(0.2, 0.1 - slope))
    elbows, hands = _arms(action, m, vigour, sway, shoulders, head, at)
    if action == "drums":
        knees = (at(-0.26, 0.72, 0.26), at(0.26, 0.72, 0.26))
        feet = (at(-0.26, 0.08, 0.24), at(0.26, 0.08, 0.24))
    else:
        step = 0.14 * vigour if action == "dancing" else 0.0
        steps = (step * max(sway, 0.0), step * max(-sway, 0.0))
        spread = 0.17 if action in ("guitar", "dancing") else 0.13
        knees = tuple(
            at(s * 0.9 * spread + 0.3 * side, 0.52 + 0.5 * dip + 0.8 * up, back + 0.08 - 0.4 * dip + up)
            for s, up in zip((-1, 1), steps)
        )
        feet = tuple(at(s * spread, 0.07 + lift + up, back + 0.3 * up) for s, up in zip((-1, 1), steps))
    tilt = -0.9 * side
    return Pose(yaw, tilt, pelvis, chest, head, shoulders, elbows, hands, knees, feet, facing)


def _arms(action, m: Music, vigour, sway, shoulders, head, at):
    left, right = shoulders
    if action == "singing":
        reach = vigour * (0.6 + 0.4 * sway)
        elbows = (left + at(-0.12, -0.25, 0.10), right + at(0.18, -0.2 + 0.08 * reach, 0.06))
        hands = (head + at(-0.10, -0.38, 0.22), elbows[1] + at(0.17, -0.06 + 0.24 * reach, 0.14))
    elif action == "cheering":
        wave = vigour * sway
        elbows = (left + at(-0.2, 0.17), right + at(0.2, 0.17))
        hands = (elbows[0] + at(-0.06 + 0.1 * wave, 0.26), elbows[1] + at(0.06 + 0.1 * wave, 0.26))
    elif action == "guitar":
        strum = 0.09 * np.cos(2 * np.pi * m.beat)
        elbows = (left + at(-0.19, -0.22, 0.05), right + at(0.2, -0.22, 0.10))
        hands = (left + at(0.1, -0.32 + strum, 0.26), right + at(0.28, -0.04, 0.22))
    elif action in ("keys", "drums"):
        # The left hand is down on even beats, the right on odd ones.
        up = abs(np.sin(0.5 * np.pi * m.beat)), abs(np.cos(0.5 * np.pi * m.beat))
        height, raised, out, forth = (1.05, 0.2, 0.24, 0.5) if action == "keys" else (1.08, 0.26, 0.32, 0.34)
        elbows = tuple(
            shoulder + at(s * (0.12 + 0.06 * u), -0.24 + 0.1 * u, 0.1) for shoulder, s, u in zip(shoulders, (-1, 1), up)
        )
        hands = tuple(at(s * out, height + raised * vigour * u, forth) for s, u in zip((-1, 1), up))
    else:  # dancing: the arms draw circles, one against the other
        turn = np.pi * m.beat
        elbows = tuple(
            shoulder + at(s * 0.24, -0.08 + 0.14 * np.sin(turn + phase), 0.04)
            for shoulder, s, phase in ((left, -1, 0.0), (right, 1, np.pi))
        )
        hands = tuple(
            elbow + at(s * (0.13 + 0.08 * np.cos(turn)), 0.05 + 0.22 * vigour * np.sin(turn + phase), 0.10)
            for elbow, s, phase in ((elbows[0], -1, 0.6), (elbows[1], 1, np.pi + 0.6))
        )
    return elbows, hands


# ---------------------------------------------------------------- the face's place


@dataclass(frozen=True)
class Face:
    """Where the head is on the screen: centre (2,) and radius in pixels, its axes (2,), and the turn in radians
    from the camera's direction (positive: features slide to the right)."""

    center: np.ndarray
    radius: float
    right: np.ndarray
    up: np.ndarray
    turn: float

    def points(self, offsets) -> np.ndarray:
        """Pixels of offsets (n, 2) = (right, up) in head radii."""
        offsets = np.asarray(offsets, float) * self.radius
        return self.center + offsets[:, :1] * self.right + offsets[:, 1:] * self.up

    def slide(self, outline) -> np.ndarray:
        """Offsets (n, 2) of something painted on a head that looks at the camera, as the turned head shows them."""
        outline = np.array(outline, float)
        longitude = np.arcsin(np.clip(outline[:, 0], -1, 1)) + self.turn
        outline[:, 0] = np.sin(np.clip(longitude, -np.pi / 2, np.pi / 2))
        return outline

    def feature(self, longitude: float, height: float) -> tuple[float, float, float]:
        """A place on the face: (right, up) in head radii, and how wide it is seen, 1 from the front, <= 0 hidden."""
        return 0.92 * np.sin(longitude + self.turn), height, float(np.cos(longitude + self.turn))

    def mouth(self) -> tuple[np.ndarray, float] | None:
        """Pixel of the open mouth's centre and its radius in pixels; None where it is turned away."""
        x, y, width = self.feature(0.0, MOUTH_HEIGHT)
        if width < TURNED_AWAY:
            return None
        return self.points([(x, y)])[0], MOUTH_RADIUS * self.radius


def face(canvas: Canvas, p: Pose) -> Face | None:
    """The face as the canvas' camera sees it, None behind the lens. The head turns two thirds less than the body."""
    seen = canvas.see(p.head)
    if seen is None:
        return None
    to_camera = canvas.position - p.head
    turn = 0.65 * np.clip(p.yaw - np.arctan2(to_camera[0], to_camera[2]), -2.6, 2.6)
    c, s = np.cos(p.tilt), np.sin(p.tilt)
    right, up = c * canvas.right + s * canvas.up, c * canvas.up - s * canvas.right
    return Face(seen[0], HEAD_RADIUS * seen[1], right, up, float(turn))


def eyes_open(m: Music) -> float:
    """1 open, 0 shut: a blink between the second and the third beat of every four."""
    return 1 - float(np.exp(-((((m.beat - 2.5 + 2) % 4 - 2) / 0.13) ** 2)))


# ---------------------------------------------------------------- the figure as flat shapes


@dataclass(frozen=True)
class Shape:
    """outlines: polygons (n, 2) in pixels that belong together; lit: the parts of them the light reaches, painted on
    top, empty where it reaches all; color RGB 0..255."""

    outlines: tuple[np.ndarray, ...]
    lit: tuple[np.ndarray, ...]
    color: np.ndarray
    part: str  # body, head, hand or instrument
    shines: bool = False  # by its own light
    rimmed: bool = True  # False for what lies on other shapes


class Sketch:
    """Collects shapes. sun (2,): unit vector to the light, in pixels (y down); None if nobody asks for lit parts."""

    def __init__(self, canvas: Canvas, facing: np.ndarray, sun: np.ndarray | None):
        self.canvas, self.sun = canvas, sun
        self.shapes: list[Shape] = []
        self._focal, self._middle = np.array([canvas.fx, canvas.fy]), np.array([canvas.cx, canvas.cy])
        view = canvas.rotation[0]
        self._wide, self._deep = abs(view @ facing[:, 0]), abs(view @ facing[:, 2])
        self._lit_side = 1.0 if sun is None or sun @ canvas.right >= 0 else -1.0

    def add(self, outline, color, part="body", lit=None, **kwargs) -> None:
        lit = () if lit is None else (lit,)
        self.shapes.append(Shape((outline,), lit, np.asarray(color, float), part, **kwargs))

    def project(self, points) -> tuple[np.ndarray, np.ndarray] | None:
        """Pixels (n, 2) and pixels per metre (n,) of world points (n, 3); None if one is behind the lens."""
        p = self.canvas.to_camera(points)
        if p[:, 2].min() < NEAR:
            return None
        scale = self._focal / p[:, 2:]
        return p[:, :2] * scale + self._middle, scale[:, 0]

    def limb(self, joints, radii, color, part="body") -> None:
        """Tapered capsules along world points, radii in metres: one shape, so that no joint shows."""
        seen = self.project(joints)
        if seen is None:
            return
        pixels, ends = seen[0], seen[1] * radii
        outlines, lit = [], []
        for k in range(len(pixels) - 1):
            dx, dy = (pixels[k + 1] - pixels[k]).tolist()
            length = max(math.hypot(dx, dy), 1e-6)
            away = _CAPS @ (np.array([[dx, dy], [-dy, dx]]) / length)
            reach = ends[k:][_CAP_OF, None] * away
            outlines.append(pixels[k:][_CAP_OF] + reach)
            if self.sun is not None:
                # Shade grows on the side that looks away from the light, and there only.
                lit.append(outlines[-1] - 0.6 * np.maximum(0.1 - away @ self.sun, 0)[:, None] * reach)
        self.shapes.append(Shape(tuple(outlines), tuple(lit), np.asarray(color, float), part))

    def tube(self, sections: Sequence[tuple[np.ndarray, float, float]], color, part="body") -> None:
        """What elliptic sections (centre (3,), half width, half depth in metres) stacked upwards look like."""
        seen = self.project([center for center, _, _ in sections])
        if seen is None:
            return
        pixels, scale = seen
        half = np.array([math.hypot(w * self._wide, d * self._deep) for _, w, d in sections]) * scale
        edge = half[:, None] * self.canvas.right * self._lit_side
        lit = None
        if self.sun is not None:
            lit = _rounded(np.concatenate([pixels + edge, (pixels - 0.3 * edge)[::-1]]))
        self.add(_rounded(np.concatenate([pixels + edge, (pixels - edge)[::-1]])), color, part, lit)

    def hull(self, points, color, part="instrument") -> None:
        """The silhouette of a convex body of world points (n, 3)."""
        seen = self.project(points)
        if seen is not None:
            self.add(cv2.convexHull(seen[0].astype(np.float32))[:, 0].astype(float), color, part)

    def plate(self, points, color, part="instrument", shines=False, rimmed=False) -> None:
        """A flat polygon of world points (n, 3)."""
        seen = self.project(points)
        if seen is not None:
            self.add(seen[0], color, part, shines=shines, rimmed=rimmed)

    def ball(self, center, radius: float, color, part="instrument") -> None:
        """A sphere, metres."""
        seen = self.project(np.asarray(center)[None])
        if seen is not None:
            pixels, r = seen[0][0], radius * seen[1][0]
            lit = None if self.sun is None else pixels + r * (0.7 * _ROUND + 0.3 * self.sun)
            self.add(pixels + r * _ROUND, color, part, lit)


def _rounded(polygon: np.ndarray) -> np.ndarray:
    """A polygon with its corners cut once (Chaikin)."""
    after = np.concatenate([polygon[1:], polygon[:1]])
    cut = np.empty((2 * len(polygon), polygon.shape[1]))
    cut[::2], cut[1::2] = 0.75 * polygon + 0.25 * after, 0.25 * polygon + 0.75 * after
    return cut


def figure(canvas: Canvas, colors: Colors, p: Pose, look: Look, action: str, m: Music, sun=None) -> list[Shape]:
    """The performer and the instrument as shapes from back to front; empty behind the lens."""
    seen = face(canvas, p)
    sketch = Sketch(canvas, p.facing, sun)
    if seen is None:
        return []
    _hair_behind(sketch, seen, look, m)
    _legs(sketch, p, look)
    _torso(sketch, p, look, m)
    if action in _INSTRUMENTS and action != "singing":
        _INSTRUMENTS[action](sketch, p, colors, m)
    _head(sketch, seen, look)
    _arm(sketch, p, look, 1)
    if action == "singing":
        _microphone(sketch, p, colors, m)
    _arm(sketch, p, look, 0)
    return sketch.shapes


def _legs(s: Sketch, p: Pose, look: Look) -> None:
    bare = look.outfit == "dress"
    cloth = np.array(SKINS[look.skin] if bare else TROUSERS[look.outfit], float)
    thin = 0.8 if bare else 1.0
    # The far leg is darker: the two part without a line between them.
    order = (0, 1) if p.knees[0][2] <= p.knees[1][2] else (1, 0)
    for i, light in zip(order, (0.72, 1.0)):
        side, forward = (-1, 1)[i], p.facing[:, 2]
        toe = p.feet[i] + 0.12 * forward + 0.03 * side * p.facing[:, 0]
        s.limb((p.feet[i], toe), (0.068, 0.066), light * np.array(SHOES))
        hip = p.pelvis + 0.085 * side * p.facing[:, 0]
        ankle = p.feet[i] + [0, 0.03, 0]
        s.limb((hip, p.knees[i], ankle), (0.105, 0.08 * thin, 0.058 * thin), light * cloth)


def _torso(s: Sketch, p: Pose, look: Look, m: Music) -> None:
    up, right, forward = np.array([0.0, 1, 0]), p.facing[:, 0], p.facing[:, 2]
    cloth, skin = np.array(OUTFIT_COLORS[look.outfit_color], float), np.array(SKINS[look.skin], float)
    waist = 0.55 * p.pelvis + 0.45 * p.chest
    s.limb((p.chest + 0.1 * up, p.head - 0.1 * up), (0.062, 0.06), 0.74 * skin)  # in the chin's shadow
    top = [(waist, 0.128, 0.1), (p.chest - 0.03 * up, 0.172, 0.12), (p.chest + 0.09 * up, 0.215, 0.1),
           (p.chest + 0.155 * up, 0.15, 0.08), (p.chest + 0.2 * up, 0.065, 0.06)]  # fmt: skip
    if look.outfit == "dress":
        swing = 0.05 * m.energy * np.sin(np.pi * (m.beat - 0.25)) * right
        hem = p.pelvis - 0.46 * up + swing
        middle = p.pelvis - 0.3 * up + 0.7 * swing
        s.tube([(hem, 0.33, 0.28), (middle, 0.27, 0.23), (p.pelvis, 0.175, 0.14), *top], cloth)
        s.tube([(waist - 0.035 * up, 0.128, 0.1), (waist + 0.035 * up, 0.128, 0.1)], 0.62 * cloth)
    else:
        low = 0.15 if look.outfit == "jacket" else 0.09
        s.tube([(p.pelvis - low * up, 0.165, 0.125), (p.pelvis, 0.16, 0.12), *top], cloth)
    front = lambda x, y, z=0.11: p.chest + x * right + y * up + z * forward
    if look.outfit == "jacket":
        hang = p.pelvis - 0.12 * up + 0.12 * forward
        s.plate([front(-0.07, 0.17), front(0.07, 0.17), front(0.05, -0.1), hang + 0.04 * right, hang - 0.04 * right,
                 front(-0.05, -0.1)], (238, 234, 236), "body")  # fmt: skip
        for side in (-1, 1):
            lapel = [front(0.05 * side, 0.19), front(0.13 * side, 0.12), front(0.035 * side, -0.12)]
            s.plate(lapel, 0.72 * cloth, "body")
    else:
        low = 0.02 if look.outfit == "dress" else 0.07
        s.plate([front(-0.08, 0.175, 0.06), front(0.08, 0.175, 0.06), front(0.0, low, 0.1)], skin, "body")
    if look.outfit == "shirt":
        band = [(p.chest - 0.13 * up, 0.148, 0.11), (p.chest - 0.03 * up, 0.172, 0.12)]
        s.tube(band, TROUSERS["shirt"] if cloth.mean() > 110 else mix(cloth, WHITE, 0.6))


def _arm(s: Sketch, p: Pose, look: Look, i: int) -> None:
    cloth, skin = np.array(OUTFIT_COLORS[look.outfit_color], float), np.array(SKINS[look.skin], float)
    shoulder, elbow, hand = p.shoulders[i], p.elbows[i], p.hands[i]
    along = (hand - elbow) / max(np.linalg.norm(hand - elbow), 1e-6)
    wrist = hand - 0.03 * along
    if look.outfit == "shirt":
        s.limb((elbow, wrist), (0.056, 0.044), skin)
        s.limb((shoulder, elbow), (0.07, 0.064), cloth)
    else:
        s.limb((shoulder, elbow, wrist), (0.066, 0.058, 0.046), cloth if look.outfit == "jacket" else skin)
    s.limb((hand - 0.02 * along, hand + 0.035 * along), (0.05, 0.056), skin, "hand")


# Hair in head radii: the outer edge from the right over the top to the left, then the hairline back to the right.
_HAIR = {
    "short": (
        [(0.93, -0.1), (1.03, 0.35), (1.0, 0.8), (0.66, 1.16), (0.1, 1.34), (-0.5, 1.24), (-0.93, 0.85), (-1.03, 0.35),
         (-0.93, -0.1)],
        [(-0.86, 0.1), (-0.78, 0.46), (-0.3, 0.5), (0.3, 0.7), (0.66, 0.64), (0.8, 0.36), (0.87, 0.1)],
    ),
    "bob": (
        [(0.76, -0.98), (1.14, -0.94), (1.24, -0.2), (1.14, 0.6), (0.7, 1.14), (0.0, 1.3), (-0.7, 1.14), (-1.14, 0.6),
         (-1.24, -0.2), (-1.14, -0.94), (-0.76, -0.98)],
        [(-0.84, -0.3), (-0.8, 0.3), (-0.62, 0.46), (0.0, 0.5), (0.62, 0.46), (0.8, 0.3), (0.84, -0.3)],
    ),
    "long": (
        [(0.92, -1.1), (1.14, -0.9), (1.2, -0.1), (1.1, 0.65), (0.66, 1.16), (0.0, 1.28), (-0.66, 1.16), (-1.1, 0.65),
         (-1.2, -0.1), (-1.14, -0.9), (-0.92, -1.1)],
        [(-0.88, -0.4), (-0.74, 0.24), (-0.2, 0.6), (0.22, 0.86), (0.5, 0.6), (0.78, 0.24), (0.88, -0.4)],
    ),
    "bun": (
        [(0.9, -0.1), (1.0, 0.4), (0.92, 0.8), (0.55, 1.12), (0.0, 1.22), (-0.55, 1.12), (-0.92, 0.8), (-1.0, 0.4),
         (-0.9, -0.1)],
        [(-0.86, 0.14), (-0.74, 0.5), (-0.34, 0.72), (0.0, 0.76), (0.34, 0.72), (0.74, 0.5), (0.86, 0.14)],
    ),
}  # fmt: skip


def _hair_behind(s: Sketch, f: Face, look: Look, m: Music) -> None:
    hair = 0.72 * np.array(HAIR_COLORS[look.hair_color], float)
    wave = 0.14 * m.energy * np.sin(np.pi * (m.beat - 0.3))
    if look.hair_style == "long":
        s.add(_rounded(f.points([(0.9, 0.9), (1.22, 0.0), (1.28, -1.2), (1.36 + wave, -2.3), (0.8 + wave, -2.75),
                                 (-0.8 + wave, -2.75), (-1.36 + wave, -2.3), (-1.28, -1.2), (-1.22, 0.0),
                                 (-0.9, 0.9)])), hair)  # fmt: skip
    elif look.hair_style == "bob":
        s.add(_rounded(f.points([(0.9, 0.9), (1.24, -0.2), (1.14, -1.05), (-1.14, -1.05), (-1.24, -0.2), (-0.9, 0.9)])),
              hair)  # fmt: skip
    elif look.hair_style == "bun":
        s.add(f.points(0.5 * _ROUND + [-0.5 * np.sin(f.turn), 1.42]), np.array(HAIR_COLORS[look.hair_color]), "head")


def _head(s: Sketch, f: Face, look: Look) -> None:
    skin, hair = np.array(SKINS[look.skin], float), np.array(HAIR_COLORS[look.hair_color], float)
    for side in (-1, 1):
        x, y, width = f.feature(1.5 * side, -0.08)
        if look.hair_style in ("short", "bun") and width > -0.6:
            s.add(f.points(_ROUND * [0.15, 0.24] + [1.02 * x, y]), 0.86 * skin, "head")
    lit = None if s.sun is None else f.points(_SKULL * [0.9, 0.985]) + 0.095 * f.radius * s.sun * [1, 0.15]
    s.add(f.points(_SKULL), skin, "head", lit)
    outer, hairline = _HAIR[look.hair_style]
    s.add(_rounded(_rounded(f.points(np.concatenate([outer, f.slide(hairline)])))), hair, "head")


# ---------------------------------------------------------------- instruments


_WHEEL = np.linspace(0, 2 * np.pi, 16, endpoint=False)
_WHEEL = np.stack([np.cos(_WHEEL), np.sin(_WHEEL)], 1)


def _circle(center, radius: float, across, upward) -> np.ndarray:
    """World points (16, 3) of a circle spanned by two unit vectors."""
    return center + _WHEEL @ (radius * np.array([across, upward]))


_X, _Y, _Z = np.eye(3)


def _microphone(s: Sketch, p: Pose, colors: Colors, m: Music) -> None:
    top = p.head + p.facing @ np.array([-0.04, -0.275, 0.27])
    s.limb((p.hands[0] - 0.7 * (top - p.hands[0]), top), (0.028, 0.046), INK + 26, "instrument")
    s.ball(top, 0.072, mix((206, 208, 220), colors.accent, 0.15))


def _guitar(s: Sketch, p: Pose, colors: Colors, m: Music) -> None:
    # Along the neck and across it, in the plane of the body.
    hand = p.hands[1] - 0.02 * p.facing[:, 2]
    body = p.chest + p.facing @ np.array([-0.1, -0.25, 0.2])
    along = (hand - body) / np.linalg.norm(hand - body)
    across = np.cross(p.facing[:, 2], along)
    at = lambda points: np.stack([body + u * along + v * across for u, v in points])
    wood = 0.94 * colors.second
    s.hull(at([(0.1, 0.042), (0.74, 0.036), (0.74, -0.036), (0.1, -0.042)]), (74, 46, 44))
    s.hull(at([(0.72, 0.06), (0.9, 0.05), (0.9, -0.04), (0.72, -0.06)]), 0.7 * wood)
    outline = [(0.3, 0.0), (0.28, 0.17), (0.14, 0.19), (0.04, 0.13), (-0.1, 0.22), (-0.27, 0.2), (-0.35, 0.0),
               (-0.27, -0.2), (-0.1, -0.22), (0.04, -0.13), (0.14, -0.19), (0.28, -0.17)]  # fmt: skip
    s.plate(_rounded(at(outline)), wood, rimmed=True)
    s.plate(_rounded(at([(0.2, -0.02), (0.24, -0.14), (0.08, -0.17), (-0.14, -0.19), (-0.2, -0.08), (-0.06, -0.02)])),
            mix(wood, WHITE, 0.75))  # fmt: skip
    s.plate(at([(-0.22, 0.07), (-0.16, 0.07), (-0.16, -0.07), (-0.22, -0.07)]), INK + 20)


def _keys(s: Sketch, p: Pose, colors: Colors, m: Music) -> None:
    """A keyboard whose top leans to the audience, so that the keys are seen; its front glows with the beat."""
    case = mix(colors.dark, (44, 38, 62), 0.6)
    for side in (-1, 1):
        s.limb(([0.42 * side, 0.04, 0.5], [-0.36 * side, 0.86, 0.5]), (0.036, 0.036), 0.8 * case, "instrument")
    top = lambda u, v: (u, 1.05 - 0.13 * v, 0.36 + 0.3 * v)
    bottom = lambda u, v: (u, 0.86, 0.36 + 0.3 * v)
    s.hull(np.array([corner(u, v) for corner in (top, bottom) for u in (-0.6, 0.6) for v in (0, 1)]), case)
    s.plate([top(-0.56, 0.12), top(0.56, 0.12), top(0.56, 0.9), top(-0.56, 0.9)], (244, 240, 236))
    for u in (-0.44, -0.28, -0.04, 0.12, 0.28):
        s.plate([top(u, 0.12), top(u + 0.09, 0.12), top(u + 0.09, 0.58), top(u, 0.58)], INK + 16)
    glow = mix(colors.accent, WHITE, 0.5 * m.pulse) * (0.45 + 0.55 * max(m.pulse, m.low))
    s.plate([(-0.54, 0.875, 0.67), (0.54, 0.875, 0.67), (0.54, 0.91, 0.67), (-0.54, 0.91, 0.67)], glow, shines=True)


def _drums(s: Sketch, p: Pose, colors: Colors, m: Music) -> None:
    shell = 0.92 * colors.second
    for side in (-1, 1):
        shake = 0.12 * side * m.high * np.sin(2 * np.pi * m.beat)
        center = np.array([0.66 * side, 1.2, 0.25])
        lean = np.array([np.cos(0.3 + shake), -side * np.sin(0.3 + shake), 0.0])
        s.limb((center * [1, 0.02, 1], center), (0.03, 0.026), 0.6 * BRASS, "instrument")
        s.hull(_circle(center, 0.27, lean, 0.9 * _Z + 0.42 * _Y), BRASS)
        # Floor toms.
        rim = np.concatenate([_circle((0.6 * side, y, 0.5), 0.22, _X, _Z) for y in (0.2, 0.62)])
        s.hull(rim, 0.72 * shell)
        s.plate(rim[16:], (238, 232, 226))
    for side in (-1, 1):
        low, high = (0.24 * side, 0.82, 0.58), (0.24 * side, 1.0, 0.52)
        rim = np.concatenate([_circle(c, 0.19, _X, 0.94 * _Z - 0.34 * _Y) for c in (low, high)])
        s.hull(rim, 0.86 * shell)
        s.plate(rim[16:], (244, 238, 232))
    kick = np.concatenate([_circle((0, 0.42, z), 0.42, _X, _Y) for z in (0.42, 0.84)])
    s.hull(kick, 0.66 * shell)
    s.plate(kick[16:], shell)
    # The head of the kick drum lights up with every kick.
    head = mix(colors.accent, WHITE, 0.35 + 0.6 * m.low) * (0.66 + 0.34 * m.low)
    s.plate(_circle((0, 0.42, 0.845), 0.35, _X, _Y), head, shines=True)
    s.plate(_circle((0, 0.42, 0.85), 0.13 + 0.07 * m.low, _X, _Y), mix(shell, WHITE, 0.5 * m.low), shines=True)
    for i, side in ((0, -1), (1, 1)):
        s.limb((p.hands[i], p.hands[i] + [-0.1 * side, -0.08, 0.26]), (0.026, 0.02), (236, 206, 150), "instrument")


_INSTRUMENTS = {"singing": _microphone, "guitar": _guitar, "keys": _keys, "drums": _drums}


# ---------------------------------------------------------------- painting


def paint(canvas: Canvas, place: Place, look: Look, action: str, m: Music) -> None:
    """Shadow, rim light, figure with instrument, face: in this order."""
    p, c = pose(action, m), place.colors
    f = face(canvas, p)
    if f is None:
        return
    _shadow(canvas, place, p, m)
    sun = place.sun[0] * canvas.right + place.sun[1] * canvas.up
    sun = sun / max(np.hypot(*sun), 1e-6)
    shapes = figure(canvas, c, p, look, action, m, sun)
    toward_sun = (0.10 + 0.09 * m.low) * f.radius * sun
    light = Light.of(c, m)
    cast = np.array([shape.color for shape in shapes])
    bright, dim = light.lit(cast), light.shade(cast)
    fills = [(outline + toward_sun, light.rim) for shape in shapes if shape.rimmed for outline in shape.outlines]
    last_of_head = max(i for i, shape in enumerate(shapes) if shape.part == "head")
    for i, shape in enumerate(shapes):
        clear = shape.color if shape.shines else bright[i]
        fills += [(outline, dim[i] if shape.lit else clear) for outline in shape.outlines]
        fills += [(polygon, clear) for polygon in shape.lit]
        if i == last_of_head:
            fills += _features(f, look, light, sun, m)
    _fill((canvas,), [polygon for polygon, _ in fills], [[color] for _, color in fills])


@dataclass(frozen=True)
class Light:
    """What the place's light makes of a colour; RGB 0..255, also (n, 3)."""

    key: float
    accent: np.ndarray
    rim: np.ndarray

    @classmethod
    def of(cls, c: Colors, m: Music) -> "Light":
        # The light that falls on the figure is the place's: darker at night, and it answers to the lows.
        key = 0.72 + 0.17 * c.light + 0.12 * m.low
        return cls(key, c.accent, mix(c.accent, WHITE, 0.5) * (0.72 + 0.28 * m.low))

    def lit(self, color) -> np.ndarray:
        return np.minimum(0.93 * self.key * np.asarray(color) + 0.07 * self.accent, 255)

    def shade(self, color) -> np.ndarray:
        return 0.5 * self.lit(color) + 0.085 * self.accent


def _fill(canvases: Sequence[Canvas], polygons: Sequence[np.ndarray], colors: Sequence[Sequence]) -> None:
    """Fill polygons (n, 2) of pixels in turn; colors: for each polygon one colour a canvas, None to leave it out.

    All points are rounded together: one polygon at a time that takes longer than the filling.
    """
    fixed = np.round(np.clip(np.concatenate(polygons), -4000, 8000) * (1 << SUBPIXEL)).astype(np.int32)
    end = 0
    for polygon, shades in zip(polygons, colors):
        start, end = end, end + len(polygon)
        for canvas, shade in zip(canvases, shades):
            if shade is not None:
                cv2.fillPoly(canvas.picture, [fixed[start:end]], tuple(map(float, shade)), cv2.LINE_AA, SUBPIXEL)


def _shadow(canvas: Canvas, place: Place, p: Pose, m: Music) -> None:
    ground = np.minimum(place.ground[96, 96] + place.pool[96, 96] * (0.35 + 0.95 * m.low), 255)
    x, z = p.pelvis[0], p.pelvis[2]
    canvas.flat_disc((x - 0.2 * place.sun[0], 0.0, z - 0.06), 0.62, 0.3, mix(ground, place.colors.dark, 0.4))
    canvas.flat_disc((x - 0.06 * place.sun[0], 0.0, z), 0.34, 0.17, mix(ground, place.colors.dark, 0.75))


Fills = list[tuple[np.ndarray, np.ndarray]]  # polygons of pixels, each with its colour


def _features(f: Face, look: Look, light: Light, sun: np.ndarray, m: Music) -> Fills:
    """Highlight of the hair, nose, cheeks, eyes, brows and mouth; they slide sideways as the head turns."""
    skin, hair = np.array(SKINS[look.skin], float), np.array(HAIR_COLORS[look.hair_color], float)
    side = 1.0 if sun @ f.right >= 0 else -1.0
    arc = np.linspace(0.6, 1.3, 8)
    band = np.stack([side * np.cos(arc), 1.12 * np.sin(arc)], 1)
    fills = [(f.points(np.concatenate([band, 0.83 * band[::-1]])), light.lit(0.7 * hair + 0.3 * WHITE))]
    x, y, wide = f.feature(0.0, -0.2)
    if wide > TURNED_AWAY:
        nose = f.points([(x - 0.02 * side, y + 0.28), (x + 0.06 * side, y - 0.06), (x - 0.16 * side, y - 0.06)])
        fills.append((nose, 0.45 * light.lit(skin) + 0.55 * light.shade(skin)))
    for left_right in (-1, 1):
        x, y, wide = f.feature(0.66 * left_right, -0.36)
        if wide > TURNED_AWAY:
            blush = light.lit(0.7 * skin + 0.3 * np.array([226, 70, 84]))
            fills.append((f.points(_ROUND * [0.2 * wide, 0.13] + [0.93 * x, y]), blush))
        fills += _eye(f, EYE_LONGITUDE * left_right, look, light, m)
    return fills + _mouth(f, look, light, m)


def _eye(f: Face, longitude: float, look: Look, light: Light, m: Music) -> Fills:
    """Lashes, white, iris with a highlight, and the brow, which rises with the music's energy."""
    x, y, wide = f.feature(longitude, 0.02)
    if wide < TURNED_AWAY:
        return []
    is_open = eyes_open(m)
    put = lambda dx, dy, rx, ry: f.points(_ROUND * [rx * wide, ry] + [x + dx, y + dy])
    # The white leaves of the dark oval what are the lashes.
    fills = [(put(0, 0.03 - 0.14 * (1 - is_open), 0.25, 0.06 + 0.19 * is_open), INK)]
    look_at = -0.1 * np.sin(f.turn)
    if is_open > 0.25:
        fills.append((put(0, -0.03, 0.23, 0.2 * is_open), 0.5 * light.lit(WHITE) + 0.5 * WHITE))
        fills.append((put(look_at, -0.03, 0.165, 0.19 * is_open), INK + [24, 13, 12]))
    if is_open > 0.6:
        fills.append((put(look_at + 0.06, 0.06, 0.07, 0.07), WHITE))
    raised = y + 0.36 + 0.12 * m.energy
    nose, temple = x - np.sign(longitude) * 0.2 * wide, x + np.sign(longitude) * 0.24 * wide
    brow = np.array([(nose, 0.06), (x, 0.07), (temple, -0.08), (x, -0.03), (nose, -0.05)]) + [0, raised]
    return [*fills, (f.points(brow), light.lit(0.62 * np.array(HAIR_COLORS[look.hair_color])))]


def _mouth(f: Face, look: Look, light: Light, m: Music) -> Fills:
    """Lips round an opening that is a smiling line at mouth = 0 and a dark shape with teeth and tongue at 1."""
    x, y, wide = f.feature(0.0, MOUTH_HEIGHT)
    if wide < TURNED_AWAY:
        return []
    u = np.linspace(-1, 1, 11)
    dome = np.sqrt(1 - u**2)
    half = (MOUTH_RADIUS - 0.05 * m.mouth) * wide
    smile = 0.07 * (1 - m.mouth) * (u**2 - 0.3)
    above, below = smile + 0.2 * m.mouth * dome, smile - (0.03 + 0.2 * m.mouth) * dome

    def between(top, bottom, width=1.0):
        across = x + width * half * u
        return f.points(np.concatenate([np.stack([across, y + top], 1), np.stack([across, y + bottom], 1)[::-1]]))

    lips = light.lit(0.35 * np.array(SKINS[look.skin]) + 0.6 * np.array([206, 44, 74]))
    fills = [
        (between(above + 0.055 * dome, below - 0.085 * dome, 1.16), lips),
        (between(above, below), INK + [38, 0, 8]),
    ]
    if m.mouth > 0.15:
        fills.append((between(0.86 * above, above - 0.12 * m.mouth * dome, 0.84), WHITE - 8))
        fills.append((between(below + 0.13 * m.mouth * dome, 0.92 * below, 0.7), light.lit(np.array([222, 84, 96]))))
    return fills


# ---------------------------------------------------------------- what stands where, for the model


def paint_layout(cast: Canvas, marks: Canvas, parts: Canvas, colors: Colors, look: Look, action: str, m: Music) -> None:
    """The performer on three black canvases that look through one camera.

    cast: figure and instrument in flat colours. marks: R the figure, G the head, B how far the mouth is open, at its
    place. parts: R how far the eyes are open, at their places, G the hands, B the instrument.
    """
    p = pose(action, m)
    f = face(cast, p)
    if f is None:
        return
    flags = {"body": ((255, 0, 0), None), "head": ((255, 255, 0), None), "hand": ((255, 0, 0), (0, 255, 0)),
             "instrument": ((255, 0, 0), (0, 0, 255))}  # fmt: skip
    polygons, shades = [], []
    for shape in figure(cast, colors, p, look, action, m):
        polygons += shape.outlines
        shades += [(shape.color, *flags[shape.part])] * len(shape.outlines)
    _fill((cast, marks, parts), polygons, shades)
    mouth = f.mouth()
    if mouth is not None:
        # At least a pixel or so: small figures sing too.
        radius = max(0.4 * f.radius, 1.2)
        marks.oval(mouth[0], radius, radius, (255, 255, 255 * m.mouth))
    for side in (-1, 1):
        x, y, wide = f.feature(EYE_LONGITUDE * side, 0.0)
        if wide > TURNED_AWAY:
            radius = max(0.26 * f.radius, 0.9)
            parts.oval(f.points([(x, y)])[0], radius, radius, (255 * eyes_open(m), 0, 0))
