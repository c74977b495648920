"""Camera movement read back from pictures: corners tracked from look to look, outside of the performer.

Two readings of the same corners. `camera_motion` fits a similarity, which needs no lens and counts parallax in.
`turn_and_zoom` fits a rotation and a change of focal length: right for a camera that stays where it is.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

STRIDE = 3  # frames between two looks: far enough for a slow move, near enough to track
FEWEST = 8  # tracked corners below which nothing is said
SPREAD = 0.02  # picture widths a corner may stray from the fit in a step: near and far move apart, jumps do not pass
LIGHT_WINDOW = 0.06  # picture widths over which light is evened out before tracking


@dataclass(frozen=True)
class Motion:
    """From the first frame to the last: shift in picture widths (right and down positive), log of the growth, turn in
    degrees (clockwise positive)."""

    shift_x: float
    shift_y: float
    log_scale: float
    turn: float


@dataclass(frozen=True)
class TurnAndZoom:
    """From the first frame to the last: rotation vector of the camera in degrees about its own axes (tilt: x points
    right; pan: y points down; roll: z points forward) and log of the growth of the focal length."""

    tilt: float
    pan: float
    roll: float
    zoom: float


def camera_motion(frames: np.ndarray, figure: np.ndarray | None = None) -> Motion | None:
    """The similarity that carries the first picture into the last.

    frames (f, h, w, 3) uint8; figure (f, h, w) bool, where the performer is and no corner is taken. None where too
    little could be tracked to say.
    """
    height, width = frames.shape[1:3]
    total = np.eye(3)
    for before, after in tracked_steps(frames, figure):
        if len(before) < FEWEST:
            return None
        step, _ = cv2.estimateAffinePartial2D(before, after, ransacReprojThreshold=SPREAD * width)
        if step is None:
            return None
        total = np.vstack([step, [0, 0, 1]]) @ total
    center = np.array([width / 2, height / 2, 1])
    shift = (total @ center - center)[:2] / width
    scale, turn = np.hypot(total[0, 0], total[1, 0]), np.arctan2(total[1, 0], total[0, 0])
    return Motion(float(shift[0]), float(shift[1]), float(np.log(scale)), float(np.degrees(turn)))


def turn_and_zoom(frames: np.ndarray, intrinsics: np.ndarray, figure: np.ndarray | None = None) -> TurnAndZoom | None:
    """The rotation and zoom of a camera that stays in its place.

    intrinsics (4,) of the first frame, (fx, fy, cx, cy) in units of the picture; the later ones are found, not given.
    frames and figure as for camera_motion.
    """
    height, width = frames.shape[1:3]
    focal, center = intrinsics[0] * width, intrinsics[2:] * [width, height]
    total, growth = Rotation.identity(), 0.0
    for before, after in tracked_steps(frames, figure):
        if len(before) < FEWEST:
            return None
        rays = np.column_stack([before - center, np.full(len(before), focal * np.exp(growth))])

        def stray(step, rays=rays, after=after, growth=growth):
            turned = Rotation.from_rotvec(step[:3]).apply(rays)
            return (focal * np.exp(growth + step[3]) * turned[:, :2] / turned[:, 2:] + center - after).ravel()

        # A soft loss: what moves by itself, or stands so near that it shifts, pulls little.
        step = least_squares(stray, np.zeros(4), loss="soft_l1", x_scale=[0.01] * 4).x
        total, growth = Rotation.from_rotvec(step[:3]) * total, growth + step[3]
    return TurnAndZoom(*np.degrees(total.as_rotvec()).tolist(), float(growth))


def tracked_steps(frames: np.ndarray, figure: np.ndarray | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per step of STRIDE frames: corners (n, 2) float32 in pixels before and after it, new ones in every step."""
    pictures, free = looks(frames, figure)
    steps = []
    for start in range(0, len(pictures) - STRIDE, STRIDE):
        first = now = corners(pictures[start], free[start])
        for i in range(start, start + STRIDE):  # through the frames between: a fast move must not outrun the tracker
            now, kept = track(pictures[i], pictures[i + 1], now, free[i + 1])
            first = first[kept]
        steps.append((first, now))
    return steps


def looks(frames: np.ndarray, figure: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The frames grey and evenly lit (f, h, w) uint8, and where corners may be (f, h, w) uint8 0 or 255."""
    pictures = np.stack([even_light(frame) for frame in frames])
    if figure is None:
        return pictures, np.full(pictures.shape, 255, np.uint8)
    # The figure's outline and its rim of light belong to it too.
    side = 2 * max(1, frames.shape[2] // 64) + 1
    grown = [cv2.dilate(f.astype(np.uint8), np.ones((side, side), np.uint8)) for f in figure]
    return pictures, 255 * (1 - np.stack(grown))


def even_light(frame: np.ndarray) -> np.ndarray:
    """(h, w, 3) → (h, w) uint8: detail over its surroundings, so that a flash is not taken for movement."""
    gray = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    side = 2 * max(2, round(LIGHT_WINDOW * frame.shape[1] / 2)) + 1
    detail = gray - cv2.blur(gray, (side, side))
    contrast = np.sqrt(np.maximum(cv2.blur(detail**2, (side, side)), 0))
    # Floor of 6 grey levels: flat skies must not become noise.
    return np.clip(128 + 48 * detail / (contrast + 6), 0, 255).astype(np.uint8)


def corners(picture: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Up to 400 corners (n, 2) float32 in pixels."""
    found = cv2.goodFeaturesToTrack(picture, 400, 0.004, 4, mask=free)
    return np.zeros((0, 2), np.float32) if found is None else found.reshape(-1, 2)


def track(before, after, points: np.ndarray, free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points (n, 2) of `before` lie in `after`, (m, 2), and which they are, (n,) bool: those that are found there
    and back, outside of the figure."""
    if len(points) == 0:
        return points, np.zeros(0, bool)
    options = dict(winSize=(21, 21), maxLevel=4)
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, points[:, None], None, **options)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, moved, None, **options)
    moved = moved[:, 0]
    kept = (np.linalg.norm(back[:, 0] - points, axis=1) < 1.0) & (found & found_back).ravel().astype(bool)
    height, width = free.shape
    x, y = (np.clip(np.round(moved[:, i]), 0, side - 1).astype(int) for i, side in ((0, width), (1, height)))
    kept &= free[y, x] > 0
    return moved[kept], kept
