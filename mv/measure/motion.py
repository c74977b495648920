"""Camera movement read back from pictures: tracked corners, a robust similarity from frame to frame, summed up."""

from dataclasses import dataclass

import cv2
import numpy as np

STRIDE = 3  # frames between two looks: far enough for a slow move, near enough to track


@dataclass(frozen=True)
class Motion:
    """From the first frame to the last: shift in picture widths (right and down positive), log of the growth, turn in
    degrees (clockwise positive)."""

    shift_x: float
    shift_y: float
    log_scale: float
    turn: float


def camera_motion(frames: np.ndarray) -> Motion | None:
    """frames (f, h, w, 3) uint8; None where too little could be tracked to say."""
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames[::STRIDE]]
    height, width = gray[0].shape
    total = np.eye(3)
    for before, after in zip(gray, gray[1:]):
        step = _similarity(before, after)
        if step is None:
            return None
        total = np.vstack([step, [0, 0, 1]]) @ total
    center = np.array([width / 2, height / 2, 1])
    shift = (total @ center - center)[:2] / width
    scale, turn = np.hypot(total[0, 0], total[1, 0]), np.arctan2(total[1, 0], total[0, 0])
    return Motion(float(shift[0]), float(shift[1]), float(np.log(scale)), float(np.degrees(turn)))


def _similarity(before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
    """(2, 3) similarity in pixels, from corners that survive tracking there and back."""
    corners = cv2.goodFeaturesToTrack(before, 300, 0.01, 5)
    if corners is None:
        return None
    options = dict(winSize=(21, 21), maxLevel=3)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None, **options)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, moved, None, **options)
    steady = np.linalg.norm((back - corners).reshape(-1, 2), axis=1) < 1.0
    good = steady & found.ravel().astype(bool) & found_back.ravel().astype(bool)
    if good.sum() < 8:
        return None
    matrix, _ = cv2.estimateAffinePartial2D(corners[good], moved[good], ransacReprojThreshold=2.5)
    return matrix


def light_follows(frames: np.ndarray, level: np.ndarray) -> float:
    """Correlation of the changes of mean brightness and of a music level (f,); 0 where either is constant."""
    light = np.diff(frames.reshape(len(frames), -1).mean(1))
    heard = np.diff(level)
    if light.std() < 1e-6 or heard.std() < 1e-6:
        return 0.0
    return float(np.corrcoef(light, heard)[0, 1])
