"""Camera keyframes of a shot: made of its named move, added on its way, or as the page sends them. Timeline → Timeline,
pure, like the edits of mv/ui/edits.py.

A row, as the page knows it: moment (0 the shot's first frame, 1 its last), x, y, z in metres, yaw, pitch, roll in
degrees, focal in picture widths; see Keyframe in mv/schema.py.
"""

import math
from collections.abc import Sequence

import numpy as np

from mv.camera import CameraPath, camera_path
from mv.errors import InputError
from mv.schema import CameraMove, Keyframe, ShotSize, Timeline
from mv.ui import edits

MAX_KEYFRAMES = 24
# A path through keyframes that misses the move by less than this looks like it: metres, degrees, share of the focal.
NEAR = np.array([0.02] * 3 + [0.5] * 3 + [0.01])
FIELDS = ("moment", "x", "y", "z", "yaw", "pitch", "roll", "focal")
# What a row may hold: within the stage world, above its ground, and no lens that sees nothing.
RANGES = ((0, 1), (-30, 30), (0.25, 15), (-30, 30), (-720, 720), (-89, 89), (-360, 360), (0.21, 8))
DIGITS = (4, 3, 3, 3, 2, 2, 2, 4)


def make_keyframes(timeline: Timeline, index: int) -> Timeline:
    """The shot's named move as keyframes, as few as follow it; the pushes of the beat stay as they are."""
    return edits.set_keyframes(timeline, index, keyframes_of(_path(timeline, index)))


def add_keyframe(timeline: Timeline, index: int, at: float) -> Timeline:
    """One more keyframe at a moment of the shot, 0..1, where the camera is then anyway."""
    path = _path(timeline, index)
    known = timeline.shots[index].camera.keyframes or keyframes_of(path)
    frame = round(min(max(at, 0.0), 1.0) * (len(path) - 1))
    added = _keyframes(path, [frame])[0]
    return set_keyframes(timeline, index, [row_of(k) for k in (*known, added)])


def set_keyframes(timeline: Timeline, index: int, rows: Sequence[Sequence[float]]) -> Timeline:
    """The camera goes through these rows, in any order; none: it makes the named move again."""
    where = f"shot {index + 1}: keyframes"
    if len(rows) > MAX_KEYFRAMES:
        raise InputError(f"{where}: expected at most {MAX_KEYFRAMES}, got {len(rows)}; delete some")
    keyframes = sorted((_read(row, f"{where}: row {i}") for i, row in enumerate(rows, 1)), key=lambda k: k.at)
    start, stop = timeline.span(index)
    frames = [round(keyframe.at * (stop - start - 1)) for keyframe in keyframes]
    if len(set(frames)) < len(frames):
        raise InputError(f"{where}: two of them stand on the same frame; move or delete one")
    return edits.set_keyframes(timeline, index, keyframes)


def row_of(keyframe: Keyframe) -> list[float]:
    """A keyframe as the page knows it."""
    k = keyframe
    values = (k.at, *k.position, k.yaw, k.pitch, k.roll, k.focal)
    return [round(float(value), digits) for value, digits in zip(values, DIGITS)]


def _read(row: Sequence[float], where: str) -> Keyframe:
    if len(row) != len(FIELDS):
        raise InputError(f"{where}: expected {len(FIELDS)} numbers ({', '.join(FIELDS)}), got {len(row)}")
    for name, value, (low, high) in zip(FIELDS, row, RANGES):
        if not (math.isfinite(value) and low <= value <= high):
            raise InputError(f"{where}: {name}: expected {low:g} to {high:g}, got {value:g}")
    at, x, y, z, yaw, pitch, roll, focal = map(float, row)
    return Keyframe(at=at, position=(x, y, z), yaw=yaw, pitch=pitch, roll=roll, focal=focal)


def keyframes_of(path: CameraPath) -> list[Keyframe]:
    """The ends of a path and, one after the other, the frame it is missed most at, until it is followed within NEAR.

    What trembles (handheld) is not followed for ever: MAX_KEYFRAMES // 2 at most.
    """
    frames = sorted({0, len(path) - 1})
    wanted = _poses(path)
    while len(frames) < min(len(path), MAX_KEYFRAMES // 2):
        move = CameraMove(keyframes=_keyframes(path, frames))
        followed = camera_path(move, ShotSize.medium, len(path), _aspect(path))
        missed = np.abs(_poses(followed) - wanted)
        missed[:, 6] /= wanted[:, 6]
        worst = (missed / NEAR).max(1)
        if worst.max() <= 1:
            break
        worst[frames] = 0
        frames = sorted([*frames, int(worst.argmax())])
    return _keyframes(path, frames)


def _keyframes(path: CameraPath, frames: Sequence[int]) -> list[Keyframe]:
    last = max(1, len(path) - 1)
    rows = [(frame / last, *pose) for frame, pose in zip(frames, _poses(path)[list(frames)])]
    rounded = ([round(float(value), digits) for value, digits in zip(row, DIGITS)] for row in rows)
    return [_read(row, "keyframes") for row in rounded]


def _path(timeline: Timeline, index: int) -> CameraPath:
    """Where the camera goes, but for the pushes of the beat; of the shot with its handles."""
    shot = timeline.shots[index]
    start, stop = timeline.span(index)
    aspect = timeline.width / timeline.height
    return camera_path(shot.camera, shot.size, stop - start, aspect, seed=shot.seed, fps=float(timeline.fps))


def _aspect(path: CameraPath) -> float:
    return float(path.intrinsics[0, 1] / path.intrinsics[0, 0])


def _poses(path: CameraPath) -> np.ndarray:
    """(f, 7): x, y, z in metres; yaw, pitch, roll in degrees, without jumps; focal. See _extrinsics in mv/camera.py."""
    right, down, forward = (path.c2w[:, :3, axis] for axis in range(3))
    yaw = np.unwrap(np.arctan2(-forward[:, 0], -forward[:, 2]))
    pitch = np.arcsin(np.clip(forward[:, 1], -1, 1))
    level = np.stack([np.cos(yaw), np.zeros(len(yaw)), -np.sin(yaw)], 1)  # to the right of a camera that is not rolled
    roll = np.unwrap(np.arctan2((down * level).sum(1), (right * level).sum(1)))
    angles = np.degrees(np.stack([yaw, pitch, roll], 1))
    return np.concatenate([path.c2w[:, :3, 3], angles, path.intrinsics[:, :1]], 1)
