"""Does a long shot hold together: no jump where windows meet, no drift from its start to its end?"""

from dataclasses import dataclass

import cv2
import numpy as np

from mv.measure.beat import frame_change
from mv.measure.sharpness import edge_energy
from mv.timing import latent_length
from mv.windows import WindowSpec, offset_sequence, plan_windows

LATENT_STRIDE = 4  # video frames a latent frame


def window_seams(num_frames: int, steps: int, activity: np.ndarray | None = None, spec: WindowSpec = WindowSpec()):
    """Frames that a window of the last denoising step begins or ends with: no later step blends those away.

    activity as for offset_sequence; returns a sorted list of frame indices, empty where one window holds the shot.
    """
    length = latent_length(num_frames, LATENT_STRIDE)
    windows = plan_windows(length, offset_sequence(length, steps, spec, activity)[-1], spec)
    edges = {start for start, _ in windows[1:]} | {stop for _, stop in windows[:-1]}
    return sorted(frame for edge in edges if (frame := 1 + LATENT_STRIDE * (edge - 1)) < num_frames)


def seam_jump(frames: np.ndarray, seams: list[int]) -> float:
    """Change into the seam frames over the median change between frames; 1 where the seams do not show.

    frames (f, h, w, 3) uint8; nan without seams or in a picture that stands still.
    """
    change = frame_change(frames)
    median = np.median(change)
    if not seams or median < 1e-6:
        return float("nan")
    return float(np.median(change[np.array(seams) - 1]) / median)


@dataclass(frozen=True)
class Drift:
    """End of a shot against its start. color: L1 distance of the colour histograms, 0..2; contrast and sharpness:
    ratios, 1 where nothing changed."""

    color: float
    contrast: float
    sharpness: float


def drift(frames: np.ndarray, span: int) -> Drift:
    """frames (f, h, w, 3) uint8; start and end are the first and last `span` frames: best whole bars, so that the light
    is at the same place of its round."""
    first, last = frames[:span], frames[-span:]
    histograms = [_histogram(part) for part in (first, last)]
    contrast = [part.mean(-1).std((1, 2)).mean() for part in (first, last)]
    sharpness = [edge_energy(part) for part in (first, last)]
    return Drift(
        float(np.abs(histograms[1] - histograms[0]).sum()),
        float(contrast[1] / max(contrast[0], 1e-6)),
        float(sharpness[1] / max(sharpness[0], 1e-6)),
    )


def _histogram(frames: np.ndarray) -> np.ndarray:
    """(512,) shares of 8×8×8 RGB bins over every third frame, smoothed: colours beside a bin's edge belong to both."""
    total = sum(cv2.calcHist([frame], [0, 1, 2], None, [8] * 3, [0, 256] * 3) for frame in frames[::3])
    for axis in range(3):
        total = 0.5 * total + 0.25 * (np.roll(total, 1, axis) + np.roll(total, -1, axis))
    return (total / total.sum()).ravel()
