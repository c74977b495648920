"""Camera keyframes of a shot: made of its named move, added on its way, or as the page sends them; and kept in their
place in time when an edit gives the shot other frames. Timeline → Timeline, pure, like the edits of mv/ui/edits.py.

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
    poses = _way(timeline, index)
    known = timeline.shots[index].camera.keyframes or keyframes_of(_path(timeline, index))
    last = len(poses) - 1
    frame = round(min(max(at, 0.0), 1.0) * last)
    if any(round(keyframe.at * last) == frame for keyframe in known):
        raise InputError(f"shot {index + 1}: keyframes: there is one on this frame already; move that one")
    added = _keyframes(poses, [frame])[0]
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


# ---------------------------------------------------------------- kept in their place in time


def keep_in_time(before: Timeline, after: Timeline) -> Timeline:
    """`after`, an edit of `before` that gave shots other frames, with every camera of keyframes where it was at each
    moment of the film. What is cut off goes; where a shot got longer, the camera rests.

    A shot that `before` does not know is the second part of a split one. Named moves fill their shot, as ever.
    """
    for index, shot in enumerate(after.shots):
        if not shot.camera.keyframes:
            continue
        known = next((i for i, one in enumerate(before.shots) if one.id == shot.id), None)
        source = known if known is not None else _shot_at(before, shot.start)
        if before.span(source) != after.span(index):
            after = _through(after, index, *_at_times(before, source, after.span(index)))
    return after


def merge(timeline: Timeline, index: int) -> Timeline:
    """Join a shot and the next one (edits.merge). Keyframes stay in their place in time, and those of the next shot are
    kept where its camera goes on from where this one's ends, as after a split; else the first camera rests.
    """
    joined = edits.merge(timeline, index)
    first, second = timeline.shots[index : index + 2]
    if not (first.camera.keyframes and second.camera.keyframes):
        return keep_in_time(timeline, joined)
    start, stop = joined.span(index)
    poses, keyframes = _at_times(timeline, index, (start, second.start))
    after, more = _at_times(timeline, index + 1, (second.start, stop))
    turns = np.array([0, 0, 0, 1, 0, 1, 0]) * 360 * np.rint((poses[-1] - after[0]) / 360)  # the same way to look
    if not _goes_on(poses, after + turns):
        return keep_in_time(timeline, joined)
    last, seam, way = max(1, stop - start - 1), second.start - start, np.concatenate([poses, after + turns])
    rows = [(k.at * max(1, seam - 1), k) for k in keyframes]
    rows += [(seam + k.at * max(1, len(after) - 1), _turned(k, turns)) for k in more]
    keyframes = [keyframe.model_copy(update={"at": round(frame / last, 4)}) for frame, keyframe in rows]
    return _through(joined, index, way, keyframes if len(keyframes) <= MAX_KEYFRAMES else [])


def _goes_on(poses: np.ndarray, after: np.ndarray) -> bool:
    """Whether the way from one (f, 7) to the next is no longer than those within either."""
    steps = [np.abs(np.diff(part, axis=0)).max(0, initial=0) for part in (poses, after)]
    return bool(np.all(np.abs(after[0] - poses[-1]) <= 1.5 * np.maximum(*steps) + 2 * NEAR))


def _turned(keyframe: Keyframe, turns: np.ndarray) -> Keyframe:
    return keyframe.model_copy(update={"yaw": keyframe.yaw + turns[3], "roll": keyframe.roll + turns[5]})


def _shot_at(timeline: Timeline, frame: int) -> int:
    return next(i for i, shot in enumerate(timeline.shots) if frame < shot.end)


def _at_times(timeline: Timeline, index: int, span: tuple[int, int]) -> tuple[np.ndarray, list[Keyframe]]:
    """Where a shot's camera is in the frames of a span of the film, (f, 7), and its keyframes of that time; it rests
    before and after its own frames."""
    (start, stop), (first, end) = timeline.span(index), span
    poses = _way(timeline, index)[np.clip(np.arange(first, end), start, stop - 1) - start]
    last, kept = max(1, end - first - 1), {}
    for keyframe in timeline.shots[index].camera.keyframes:
        frame = start + keyframe.at * (stop - start - 1) - first
        if -0.5 < frame < end - first - 0.5:
            at = round(min(max(frame / last, 0.0), 1.0), 4)
            kept[at] = keyframe.model_copy(update={"at": at})
    return poses, list(kept.values())


def _through(timeline: Timeline, index: int, poses: np.ndarray, keyframes: list[Keyframe]) -> Timeline:
    """The shot's camera at these poses, by these keyframes and as many more as that takes; the revision stays."""
    frames = {round(k.at * (len(poses) - 1)) for k in keyframes}
    moving = np.flatnonzero(np.abs(np.diff(poses, axis=0)).max(1, initial=0) > 1e-6)
    # The ends of the way: where it rests, a keyframe more would say nothing.
    ends = {int(moving[0]), int(moving[-1]) + 1} if len(moving) else set() if keyframes else {0}
    keyframes = [*keyframes, *_keyframes(poses, sorted(ends - frames))]
    keyframes = _followed(poses, sorted(keyframes, key=lambda k: k.at), MAX_KEYFRAMES)
    shot = timeline.shots[index]
    shot = shot.model_copy(update={"camera": shot.camera.model_copy(update={"keyframes": keyframes})})
    shots = [*timeline.shots[:index], shot, *timeline.shots[index + 1 :]]
    return Timeline(**{**dict(timeline), "shots": shots})


# ---------------------------------------------------------------- ways and keyframes


def keyframes_of(path: CameraPath) -> list[Keyframe]:
    """The ends of a path and, one after the other, the frame it is missed most at, until it is followed within NEAR.

    What trembles (handheld) is not followed for ever: MAX_KEYFRAMES // 2 at most.
    """
    poses = _poses(path)
    return _followed(poses, _keyframes(poses, sorted({0, len(poses) - 1})), MAX_KEYFRAMES // 2)


def _followed(poses: np.ndarray, keyframes: list[Keyframe], most: int) -> list[Keyframe]:
    """These keyframes and, of the frames between them, those that a way through them misses most."""
    last = len(poses) - 1
    while len(keyframes) < min(len(poses), most):
        missed = _missed(poses, keyframes)
        if missed.max() <= 1:
            break
        missed[[round(keyframe.at * last) for keyframe in keyframes]] = 0
        if not missed.any():
            break
        keyframes = sorted([*keyframes, *_keyframes(poses, [int(missed.argmax())])], key=lambda k: k.at)
    return keyframes


def _missed(poses: np.ndarray, keyframes: list[Keyframe]) -> np.ndarray:
    """How far a way through keyframes passes each pose, (f,) in units of NEAR."""
    path = camera_path(CameraMove(keyframes=keyframes), ShotSize.medium, len(poses), 16 / 9)
    missed = np.abs(_turns_of(min(keyframes, key=lambda k: k.at), _poses(path)) - poses)
    missed[:, 6] /= poses[:, 6]
    return (missed / NEAR).max(1)


def _keyframes(poses: np.ndarray, frames: Sequence[int]) -> list[Keyframe]:
    last = max(1, len(poses) - 1)
    rows = [(frame / last, *poses[frame]) for frame in frames]
    rounded = ([round(float(value), digits) for value, digits in zip(row, DIGITS)] for row in rows)
    return [_read(row, "keyframes") for row in rounded]


def _path(timeline: Timeline, index: int) -> CameraPath:
    """Where the camera goes, but for the pushes of the beat; of the shot with its handles."""
    shot = timeline.shots[index]
    start, stop = timeline.span(index)
    aspect = timeline.width / timeline.height
    return camera_path(shot.camera, shot.size, stop - start, aspect, seed=shot.seed, fps=float(timeline.fps))


def _way(timeline: Timeline, index: int) -> np.ndarray:
    """(f, 7) poses of the shot with its handles; angles as its keyframes count them."""
    poses, keyframes = _poses(_path(timeline, index)), timeline.shots[index].camera.keyframes
    return _turns_of(min(keyframes, key=lambda k: k.at), poses) if keyframes else poses


def _turns_of(keyframe: Keyframe, poses: np.ndarray) -> np.ndarray:
    """Poses whose first one is that of the keyframe, with as many whole turns: 370 degrees look like 10."""
    turns = np.zeros(7)
    turns[[3, 5]] = 360 * np.rint((np.array([keyframe.yaw, keyframe.roll]) - poses[0, [3, 5]]) / 360)
    return poses + turns


def _poses(path: CameraPath) -> np.ndarray:
    """(f, 7): x, y, z in metres; yaw, pitch, roll in degrees, without jumps; focal. See _extrinsics in mv/camera.py."""
    right, down, forward = (path.c2w[:, :3, axis] for axis in range(3))
    yaw = np.unwrap(np.arctan2(-forward[:, 0], -forward[:, 2]))
    pitch = np.arcsin(np.clip(forward[:, 1], -1, 1))
    level = np.stack([np.cos(yaw), np.zeros(len(yaw)), -np.sin(yaw)], 1)  # to the right of a camera that is not rolled
    roll = np.unwrap(np.arctan2((down * level).sum(1), (right * level).sum(1)))
    angles = np.degrees(np.stack([yaw, pitch, roll], 1))
    return np.concatenate([path.c2w[:, :3, 3], angles, path.intrinsics[:, :1]], 1)
