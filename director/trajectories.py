"""Move + music → a camera path whose accents fall on the beats, and whose performer stays in the picture."""

from dataclasses import dataclass

import numpy as np

from director.segmentation import bar_position
from mv.camera import CameraPath, camera_path
from mv.schema import Analysis, CameraMove, MoveKind, ShotSize, Timeline
from mv.world.vocabulary import understand

ACCENT_SECONDS = 0.25  # a pulse is over after this long
PUSH_SECONDS = 0.9  # a push on the downbeat
ACCENT_OFF_DOWNBEAT = 0.65  # how strong a beat is that begins no bar; a downbeat is 1
BARS_A_SWAY = 2  # from one side to the other and back
SAFE_AREA = 0.9  # of the picture, each way: what every screen shows
# The part of the performer that must be seen, metres above the ground: face; breast to hair; knees to hair.
SUBJECT = {ShotSize.close: (1.50, 1.72), ShotSize.medium: (1.25, 1.78), ShotSize.wide: (0.50, 1.78)}
SUBJECT_WIDTH = 0.24  # metres: the head
LEAVES_THE_SUBJECT = ("whip-pan",)  # moves that are meant to
STEPS, SHAKEN_RATE = 9, 12.0  # poses a shot is judged by; poses a second of a shoulder's noise
HANDLE_SECONDS = 1.0  # more than both handles of a shot, over which its noise runs too


def trajectory(timeline: Timeline, index: int, analysis: Analysis) -> CameraPath:
    """Camera poses for the frames timeline.span(index), the shot with its handles; the move runs over all of them.

    A shot as the director made it keeps its performer in the safe area, also where the picture has been given another
    shape since. Raises InputError for keyframes that cannot be followed.
    """
    shot = timeline.shots[index]
    start, stop = timeline.span(index)
    times = np.arange(start, stop) / float(timeline.fps)
    move = shot.camera
    if shot.planned and not shot.edited and understand(shot.prompt).directions.action:
        seconds, aspect = float(shot.duration / timeline.fps), timeline.width / timeline.height
        move = move.model_copy(update={"amount": safe_amount(move, shot.size, aspect, seconds, shot.seed)})
    music = accompaniment(move, analysis, times)
    return camera_path(
        move,
        shot.size,
        num_frames=stop - start,
        aspect=timeline.width / timeline.height,
        accents=music.accents,
        seed=shot.seed,
        fps=float(timeline.fps),
        sway=music.sway,
    )


@dataclass(frozen=True)
class Accompaniment:
    """What the music asks of the camera, per frame: accents (f,) 0..1, sway (f,) -1..1; None where it asks nothing."""

    accents: np.ndarray | None = None
    sway: np.ndarray | None = None


def accompaniment(move: CameraMove, analysis: Analysis, times: np.ndarray) -> Accompaniment:
    """The accent the move names, at absolute times in seconds (f,)."""
    if move.accent == "sway":
        return Accompaniment(sway=sway(analysis, times))
    if move.accent == "push":
        return Accompaniment(accents=accents(analysis, times, PUSH_SECONDS, downbeats_only=True))
    return Accompaniment(accents=accents(analysis, times))


def accents(
    analysis: Analysis, times: np.ndarray, seconds: float = ACCENT_SECONDS, downbeats_only: bool = False
) -> np.ndarray:
    """A pulse on every beat, or every downbeat, at absolute times in seconds (f,): (f,) in 0..1.

    1 on a downbeat (on any beat where no downbeat was found), weaker on other beats, falling to 0 in `seconds`.
    """
    beats = np.asarray(analysis.downbeats if downbeats_only and analysis.downbeats else analysis.beats, float)
    if not len(beats):
        return np.zeros(len(times))
    strong = np.isin(beats, analysis.downbeats) if analysis.downbeats else np.ones(len(beats), bool)
    strength = np.where(strong, 1.0, ACCENT_OFF_DOWNBEAT)
    # A hair's breadth, so that a frame exactly on a beat is not before it by a rounding error.
    last = np.searchsorted(beats, times + 1e-9, side="right") - 1
    since = np.where(last >= 0, times - beats[np.maximum(last, 0)], np.inf)
    return strength[np.maximum(last, 0)] * np.clip(1 - since / seconds, 0, 1) ** 2


def sway(analysis: Analysis, times: np.ndarray) -> np.ndarray:
    """A slow swing with the bars, in the middle on every downbeat, at absolute times in seconds (f,): (f,) in -1..1."""
    if len(analysis.beats) < 2:
        return np.zeros(len(times))
    return np.sin(2 * np.pi / BARS_A_SWAY * bar_position(analysis, times))


# ---------------------------------------------------------------- framing


def safe_amount(move: CameraMove, size: ShotSize, aspect: float, seconds: float, seed: int = 0) -> float:
    """The move's amount, or the largest smaller one with which the performer stays in the safe area from the first
    frame to the last. aspect: width / height; seconds: the shot's length. Explicit keyframes are the user's own."""
    if move.keyframes or str(move.kind).split()[0] in LEAVES_THE_SUBJECT:
        return move.amount
    least, most = 0.0, move.amount
    if keeps_in_frame(move, size, aspect, seconds, seed):
        return most
    for _ in range(6):
        middle = (least + most) / 2
        tried = move.model_copy(update={"amount": middle})
        least, most = (middle, most) if keeps_in_frame(tried, size, aspect, seconds, seed) else (least, middle)
    return least


def keeps_in_frame(move: CameraMove, size: ShotSize, aspect: float, seconds: float, seed: int = 0) -> bool:
    """Whether the performer is inside the safe area all through the shot, wherever its beats fall; up and down, what
    the size shows of them. seed: of the shot, for the noise of a shoulder, which its handles may lengthen."""
    shaken = move.kind == MoveKind.handheld
    duration = max(seconds, 0.1) + HANDLE_SECONDS * shaken
    frames = max(STEPS, round(SHAKEN_RATE * duration)) if shaken else STEPS
    leans = (-1.0, 1.0) if move.accent == "sway" else (None,)
    return all(_reach(move, size, aspect, frames, duration, seed, lean) <= SAFE_AREA for lean in leans)


def _reach(
    move: CameraMove, size: ShotSize, aspect: float, frames: int, seconds: float, seed: int, lean: float | None
) -> float:
    """How far from the middle of the picture the performer comes, as a share of the way to its edge. lean: all through
    the shot; None: the lens is pushed all through it instead."""
    swung = None if lean is None else np.full(frames, lean)
    pushed = np.ones(frames) if lean is None else None
    path = camera_path(move, size, frames, aspect, pushed, seed, (frames - 1) / seconds, swung)
    right = path.c2w[:, :3, 0]
    farthest = 0.0
    for height in SUBJECT[ShotSize(size)]:
        for side in (-SUBJECT_WIDTH / 2, SUBJECT_WIDTH / 2):
            points = np.concatenate([side * right + [0, height, 0], np.ones((len(path), 1))], 1)
            x, y, z = np.einsum("fij,fj->if", path.extrinsics[:, :3], points)
            off = np.abs(np.stack([path.intrinsics[:, 0] * x, path.intrinsics[:, 1] * y]) / z)
            farthest = max(farthest, 2 * float(off.max()))
    return farthest
