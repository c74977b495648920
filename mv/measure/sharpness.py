"""How much edge the pictures have."""

import cv2
import numpy as np


def edge_energy(frames: np.ndarray, stride: int = 6) -> float:
    """Mean variance of the Laplacian over every stride-th frame, grey levels squared; frames (f, h, w, 3) uint8."""
    gray = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames[::stride]]
    return float(np.mean([cv2.Laplacian(picture, cv2.CV_32F).var() for picture in gray]))
