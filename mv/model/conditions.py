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


# Where a ray meets the stage: planes facing the audience, so many metres behind the performer, and the ground. Any
# upright plane between is a straight mixture of the two (the two-plane parametrisation of light fields, Levoy and
# Hanrahan 1996), which a network learns sooner than the products that Plücker's moments ask of it.
_PLANES = (4.0, 40.0)
_WAVES = {
    "near": (16.0, 8.0, 4.0, 2.0, 1.0),
    "far": (128.0, 64.0, 32.0, 16.0, 8.0),
    "ground": (32.0, 16.0, 8.0, 4.0, 2.0),
}
STAGE_CHANNELS = 2 * 2 * 5 + 2 * 2 * 5 + 2 * 2 * 5 + 6  # sines and cosines of (x, y) or (x, z), and six plain ones


def stage_maps(path: CameraPath, height: int, width: int) -> np.ndarray:
    """Where each pixel's ray meets the stage, (f, STAGE_CHANNELS, height, width) float32 within -1..1.

    Positions are given as sines and cosines at several wavelengths; a wave shorter than what a pixel covers fades out.
    """
    rays = plucker(path.intrinsics, path.extrinsics, height, width)
    d = rays[:, 3:6].astype(np.float32)
    d /= np.linalg.norm(d, axis=1, keepdims=True)
    o = path.c2w[:, :3, 3].astype(np.float32)[:, :, None, None]
    footprint = 1 / (width * path.intrinsics[:, 0]).astype(np.float32)[:, None, None]  # of a pixel, at one metre
    forward = np.maximum(-d[:, 2], 0.05)  # a ray that never meets the planes meets them very far off
    near, far = ((o[:, 2] + plane) / forward for plane in _PLANES)
    down = np.maximum(-d[:, 1], 1e-3)
    ground = np.where(d[:, 1] < 0, np.clip(o[:, 1] / down, 0, 200), 200.0)
    at = lambda distance, i: o[:, i] + distance * d[:, i]
    spots = {"near": (near, (0, 1)), "far": (far, (0, 1)), "ground": (ground, (0, 2))}
    channels = []
    for name, (distance, axes) in spots.items():
        size = footprint * distance * (1 + (name == "ground") * distance / np.maximum(o[:, 1], 0.2))
        for wave in _WAVES[name]:
            visible = np.exp(-((2 * size / wave) ** 2))
            for axis in axes:
                angle = (2 * np.pi / wave) * at(distance, axis)
                channels += [visible * np.sin(angle), visible * np.cos(angle)]
    soft = lambda x, unit: np.tanh(x / unit)
    channels += [soft(at(near, 0), 6), soft(at(near, 1) - 1.5, 4), soft(at(far, 0), 40), soft(at(far, 1) - 8, 20)]
    channels += [(d[:, 1] < 0).astype(np.float32), np.exp(-ground / 8)]
    return np.stack(channels, 1).astype(np.float32)


def stack_groups(maps: np.ndarray) -> torch.Tensor:
    """(t, 4, c, h, w) → (1, 4·c, t, h, w) float32: the frames of a group become channels."""
    return torch.from_numpy(np.ascontiguousarray(maps)).float().flatten(1, 2).transpose(0, 1)[None]


def camera_condition(path: CameraPath, height: int, width: int, scale: float, stage: bool) -> torch.Tensor:
    """(1, channels, t, height, width) for a folded path of 4t poses: the rays of all four frames of a group, and, with
    `stage`, where those of its second and last meet the stage."""
    groups = lambda maps: stack_groups(maps.reshape(len(path) // FRAMES_PER_LATENT, -1, *maps.shape[1:]))
    rays = groups(camera_maps(path, height, width, scale))
    if not stage:
        return rays
    half = CameraPath(path.extrinsics[1::2], path.intrinsics[1::2])
    return torch.cat([rays, groups(stage_maps(half, height, width))], 1)


def camera_channels(stage: bool) -> int:
    return 6 * FRAMES_PER_LATENT + (2 * STAGE_CHANNELS if stage else 0)


def reference_condition(latents: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """What is given of the picture: latents (b, c, t, h, w), known (b, 1, t, h, w) 0 or 1 → (b, 2c + 1, t, h, w).

    The known latents, the first wholly known latent frame repeated to every frame (an S block sees no other), and the
    mask. Nothing known gives zeros.
    """
    whole = known.amin((1, 3, 4))  # (b, t)
    first = torch.argmax(whole, 1)
    chosen = latents[torch.arange(len(latents)), :, first] * whole.amax(1).view(-1, 1, 1, 1)
    return torch.cat([latents * known, chosen.unsqueeze(2).expand_as(latents), known.to(latents)], 1)


def fold_path(path: CameraPath) -> CameraPath:
    """f poses → 4t poses, padded to whole groups, the first pose standing for the first group."""
    fold = lambda x: fold_frames(pad_frames(x)).reshape(-1, *x.shape[1:])
    return CameraPath(fold(path.extrinsics), fold(path.intrinsics))
