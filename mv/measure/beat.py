"""Do light and movement in the pictures follow a level in the music?"""

import numpy as np


def light_follows(frames: np.ndarray, level: np.ndarray) -> float:
    """Correlation of the changes of mean brightness and of a music level (f,); 0 where either is constant.

    frames (f, h, w, 3) uint8.
    """
    return _correlation(np.diff(frames.mean((1, 2, 3))), np.diff(level))


def motion_follows(frames: np.ndarray, level: np.ndarray) -> float:
    """Correlation of the movement between frames and of the size of a music level's change; 0 where either is constant.

    frames (f, h, w, 3) uint8, level (f,). Flashes count as movement: the eye takes both for one.
    """
    return _correlation(frame_change(frames), np.abs(np.diff(level)))


def frame_change(frames: np.ndarray) -> np.ndarray:
    """(f - 1,) mean absolute difference of neighbouring frames, grey levels."""
    return np.array([np.abs(b.astype(np.int16) - a).mean() for a, b in zip(frames, frames[1:])])


def _correlation(seen: np.ndarray, heard: np.ndarray) -> float:
    if seen.std() < 1e-6 or heard.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(seen, heard)[0, 1])
