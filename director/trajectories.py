"""Move + music → a camera path whose accents fall on the beats."""

import numpy as np

from mv.camera import CameraPath, camera_path
from mv.schema import Analysis, Timeline

ACCENT_SECONDS = 0.25  # an accent is over after this long
ACCENT_OFF_DOWNBEAT = 0.65  # how strong a beat is that begins no bar; a downbeat is 1


def trajectory(timeline: Timeline, index: int, analysis: Analysis) -> CameraPath:
    """Camera poses for the frames timeline.span(index), the shot with its handles; the move runs over all of them.

    Raises InputError for keyframes that cannot be followed.
    """
    shot = timeline.shots[index]
    start, stop = timeline.span(index)
    times = np.arange(start, stop) / float(timeline.fps)
    return camera_path(
        shot.camera,
        shot.size,
        num_frames=stop - start,
        aspect=timeline.width / timeline.height,
        accents=accents(analysis, times),
        seed=shot.seed,
        fps=float(timeline.fps),
    )


def accents(analysis: Analysis, times: np.ndarray) -> np.ndarray:
    """A pulse on every beat, at absolute times in seconds (f,): (f,) in 0..1.

    1 on a downbeat (on any beat where no downbeat was found), weaker on other beats, falling to 0 in ACCENT_SECONDS.
    """
    beats = np.asarray(analysis.beats, float)
    if not len(beats):
        return np.zeros(len(times))
    strong = np.isin(beats, analysis.downbeats) if analysis.downbeats else np.ones(len(beats), bool)
    strength = np.where(strong, 1.0, ACCENT_OFF_DOWNBEAT)
    # A hair's breadth, so that a frame exactly on a beat is not before it by a rounding error.
    last = np.searchsorted(beats, times + 1e-9, side="right") - 1
    since = np.where(last >= 0, times - beats[np.maximum(last, 0)], np.inf)
    return strength[np.maximum(last, 0)] * np.clip(1 - since / ACCENT_SECONDS, 0, 1) ** 2
