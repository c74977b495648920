"""Camera, layout and sound on the latent grid: four video frames to a latent frame, the first frame four times."""

import numpy as np
import torch

from mv.camera import CameraPath, plucker
from mv.timing import padded_length

FRAMES_PER_LATENT = 4


def fold_frames(per_frame: np.ndarray) -> np.ndarray:
    """(4k+1, ...) → (k+1, 4, ...): the first frame stands for a whole group, as in the autoencoder."""
    return np.concatenate([np.repeat(per_frame[:1], FRAMES_PER_LATENT - 1, 0), per_frame]).reshape(
        -1, FRAMES_PER_LATENT, *per_frame.shape[1:]
    )


def pad_frames(per_frame: np.ndarray) -> np.ndarray:
    """(f, ...) → (padded_length(f), ...): the last frame held."""
    missing = padded_length(len(per_frame)) - len(per_frame)
    return np.concatenate([per_frame, np.repeat(per_frame[-1:], missing, 0)]) if missing else per_frame


def camera_maps(path: CameraPath, height: int, width: int, scale: float) -> np.ndarray:
    """Ray map of every video frame, (f, 6, height, width), with lengths multiplied by `scale`."""
    extrinsics = path.extrinsics.copy()
    extrinsics[:, :3, 3] *= scale
    return plucker(path.intrinsics, extrinsics, height, width)


def stack_groups(maps: np.ndarray) -> torch.Tensor:
    """(t, 4, c, h, w) → (1, 4·c, t, h, w) float32: the frames of a group become channels."""
    return torch.from_numpy(np.ascontiguousarray(maps)).float().flatten(1, 2).transpose(0, 1)[None]


def pad_path(path: CameraPath) -> CameraPath:
    return CameraPath(pad_frames(path.extrinsics), pad_frames(path.intrinsics))
