"""The camera against its command, in degrees and metres.

A camera that stays in its place (pan, tilt, roll, zoom) is read from the background alone. A camera that travels shifts
near things more than far ones; the stage world knows how far away everything is, so the corners of a picture, put at
the depths its teacher has there, give the pose in metres. The teacher's own film goes through the same estimator: its
error is what the estimator cannot do better.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from mv.camera import CameraPath
from mv.measure.motion import STRIDE, even_light, tracked_steps, turn_and_zoom
from mv.world.render import draw
from mv.world.vocabulary import Directions

TURNING = {"pan": "pan", "tilt": "tilt", "roll": "roll", "zoom": "zoom"}  # axis → field of TurnAndZoom
# A crane does two things at once, so it is two axes.
TRAVELLING = ("truck", "pedestal", "dolly", "orbit", "crane rise", "crane ride")
AXES = (*TURNING, *TRAVELLING)

FEWEST_CORNERS = 12  # for a pose; six numbers are asked of them
BASELINE = 0.06  # of the distance to the performer, between the two eyes that see the depth
DOUBT = 0.05  # metres a step may be off by for a pixel that the corners are off by
FARTHEST = 60.0  # metres; beyond it depth no longer shows
EDGE = 5  # pixels
MISMATCH = 1.0  # pixels the two eyes may differ about a point halfway between them


def axes_of(kind: str) -> tuple[str, ...]:
    """The axes that a shot of this movement ("pan", "crane", ...) is measured on; () for static and handheld."""
    return tuple(axis for axis in AXES if axis.split()[0] == kind)


def command(axis: str, path: CameraPath) -> float:
    """How far a path goes along one of AXES, from first pose to last.

    Degrees (pan, tilt, roll, orbit), log of the focal length's growth (zoom), log of the approach to the performer
    (dolly, crane ride); else the way to the right (truck) or down (pedestal, crane rise) over the first distance to the
    performer.
    """
    first, last = path.extrinsics[[0, -1]]
    if axis == "zoom":
        return float(np.log(path.intrinsics[-1, 0] / path.intrinsics[0, 0]))
    if axis in ("tilt", "pan", "roll", "orbit"):
        turn = Rotation.from_matrix(last[:3, :3] @ first[:3, :3].T).as_rotvec(degrees=True)
        # An orbit looks at the performer: how far it goes round is how far it turns.
        return float(turn[{"tilt": 0, "pan": 1, "orbit": 1, "roll": 2}[axis]])
    here, there = path.c2w[[0, -1], :3, 3]
    distance = np.hypot(here[0], here[2])
    if axis in ("dolly", "crane ride"):
        return float(np.log(distance / np.hypot(there[0], there[2])))
    if axis == "truck":
        return float(first[0, :3] @ (there - here) / distance)
    return float((here[1] - there[1]) / distance)


def read_axis(
    axis: str, frames: np.ndarray, path: CameraPath, depth: np.ndarray, figure: np.ndarray | None = None
) -> float | None:
    """What `command` would say of the camera that took these pictures; None where they do not tell.

    frames (f, h, w, 3) uint8; path: the commanded one; depth as known_depth gives it, not read for the turning axes;
    figure (f, h, w) bool, where the performer is, who moves by himself.
    """
    if axis in TURNING:
        seen = turn_and_zoom(frames, path.intrinsics[0], figure)
        return None if seen is None else getattr(seen, TURNING[axis])
    recovered = recover_path(frames, path, depth, figure)
    return None if recovered is None else command(axis, recovered)


@dataclass(frozen=True)
class Following:
    """How values follow a command. correlation with it; slope of the values on it through the origin; error: root mean
    square distance from it, in its unit."""

    correlation: float
    slope: float
    error: float


def following(values: np.ndarray, commanded: np.ndarray) -> Following:
    """values, commanded (n,), one a shot; the correlation is nan below three shots and where nothing varies."""
    error = float(np.sqrt(np.mean((values - commanded) ** 2))) if len(values) else float("nan")
    slope = float((values * commanded).sum() / max((commanded**2).sum(), 1e-12)) if len(values) else float("nan")
    varied = len(values) > 2 and min(values.std(), commanded.std()) > 1e-9
    return Following(float(np.corrcoef(values, commanded)[0, 1]) if varied else float("nan"), slope, error)


# ---------------------------------------------------------------- poses


def known_depth(directions: Directions, path: CameraPath, audio: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(k, h, w) float32 metres along the view axis, of every STRIDE-th of the stage world's own frames (f, h, w, 3).

    Read from two pictures taken a little to the left and to the right; nan where they do not agree.
    """
    height, width = frames.shape[1:3]
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    baseline = BASELINE * float(np.hypot(*path.c2w[0, [0, 2], 3]))
    depths = []
    for i in range(0, len(path), STRIDE):
        eyes = [even_light(frames[i])]
        for side in (-baseline / 2, baseline / 2):
            aside = np.eye(4)
            aside[0, 3] = -side
            pose = CameraPath(aside @ path.extrinsics[i : i + 1], path.intrinsics[i : i + 1])
            eyes.append(even_light(draw(directions, pose, audio[i : i + 1], width, height)[0]))
        left, right = (flow.calc(eyes[0], eye, None)[..., 0] for eye in eyes[1:])
        reach = path.intrinsics[i, 0] * width * baseline
        depth = reach / np.maximum(left - right, reach / FARTHEST)
        # A corner on an edge belongs to the nearer of the two things that meet there.
        depth = cv2.erode(depth, np.ones((EDGE, EDGE), np.uint8))
        depths.append(np.where(np.abs(left + right) < MISMATCH, depth, np.nan))
    return np.stack(depths).astype(np.float32)


def recover_path(
    frames: np.ndarray, path: CameraPath, depth: np.ndarray, figure: np.ndarray | None = None
) -> CameraPath | None:
    """The path of the camera that took these pictures, every STRIDE-th pose, beginning where the commanded one does.

    The intrinsics are taken to be the commanded ones. Arguments as for read_axis; None without enough corners.
    """
    height, width = frames.shape[1:3]
    intrinsics = path.intrinsics[::STRIDE] * [width, height, width, height]
    poses, doubts = [path.extrinsics[0]], []
    for i, (before, after) in enumerate(tracked_steps(frames, figure)):
        x, y = (np.clip(np.round(before[:, j]), 0, side - 1).astype(int) for j, side in ((0, width), (1, height)))
        away = depth[i, y, x]
        known = np.isfinite(away)
        if known.sum() < FEWEST_CORNERS:
            return None
        flat = (before[known] - intrinsics[i, 2:]) / intrinsics[i, :2]
        points = np.column_stack([flat, np.ones(len(flat))]) * away[known, None]
        step, doubt = _pose_step(points, after[known], intrinsics[i + 1])
        poses.append(step @ poses[-1])
        doubts.append(doubt)
    if np.median(doubts) > DOUBT:  # all is so far away that travelling hardly shows
        return None
    return CameraPath(np.stack(poses), path.intrinsics[::STRIDE])


def _pose_step(points: np.ndarray, pixels: np.ndarray, intrinsics: np.ndarray) -> tuple[np.ndarray, float]:
    """(4, 4) from one camera to the next: points (n, 3) in the first one's metres, pixels (n, 2) in the next picture.

    And the doubt: metres its translation is off by for a pixel that the corners are off by.
    """

    def stray(step):
        moved = Rotation.from_rotvec(step[:3]).apply(points) + step[3:]
        seen = intrinsics[:2] * moved[:, :2] / np.maximum(moved[:, 2:], 0.05) + intrinsics[2:]
        return (seen - pixels).ravel()

    # Cauchy: a corner on an edge may have the depth of the thing behind it, and must not pull.
    fit = least_squares(stray, np.zeros(6), loss="cauchy", f_scale=0.7, x_scale=[0.01] * 3 + [0.05] * 3)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.from_rotvec(fit.x[:3]).as_matrix(), fit.x[3:]
    doubt = np.sqrt(np.diag(np.linalg.pinv(fit.jac.T @ fit.jac))[3:].max())
    return pose, float(doubt)


@dataclass(frozen=True)
class PoseErrors:
    """RotErr in radians and TransErr in metres, summed over the poses, as CameraCtrl defines them."""

    rotation: float
    translation: float


def pose_errors(recovered: CameraPath, path: CameraPath) -> PoseErrors:
    """After CameraCtrl (arXiv 2404.02101): angles between found and commanded rotations, distances between their
    translations, both paths relative to their first frame.

    recovered: every STRIDE-th pose of path. CameraCtrl takes its poses from COLMAP and so must fit a scale; here the
    known depths give metres, so a camera that goes half the way is not excused. Every STRIDE-th frame is summed.
    """
    found, wanted = (x @ np.linalg.inv(x[0]) for x in (recovered.extrinsics, path.extrinsics[::STRIDE]))
    between = found[:, :3, :3] @ wanted[:, :3, :3].transpose(0, 2, 1)
    angles = Rotation.from_matrix(between).magnitude()
    return PoseErrors(float(angles.sum()), float(np.linalg.norm(found[:, :3, 3] - wanted[:, :3, 3], axis=1).sum()))
