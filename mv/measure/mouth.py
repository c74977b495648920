"""Does the mouth open with the voice, and is it shut when nobody sings?"""

import cv2
import numpy as np

CHEEK = (0.9, 1.5)  # in mouth radii, sideways of the mouth's middle: there is only skin
CLOSED = 0.25  # of the way from the teacher's shut mouth to its open one: what passes for shut
SMALLEST = 2.0  # pixels; a smaller mouth has no opening to see


def mouth_opening(frames: np.ndarray, places: np.ndarray) -> np.ndarray:
    """(f,) how much of the mouth's place does not look like the cheeks beside it, 0..1; nan where it is not in sight.

    frames (f, h, w, 3) uint8; places (f, 3): x, y and radius of the mouth's place in pixels, nan where it is hidden.
    """
    return np.array([_unlike_cheeks(frame, *place) for frame, place in zip(frames, places)])


def _unlike_cheeks(frame: np.ndarray, x: float, y: float, radius: float) -> float:
    height, width = frame.shape[:2]
    reach = CHEEK[1] * radius if np.isfinite([x, y, radius]).all() else 0.0
    if radius < SMALLEST or not (reach <= x < width - reach and radius <= y < height - radius):
        return float("nan")
    top, left = int(y - radius), int(x - reach)
    crop = np.ascontiguousarray(frame[top : int(y + radius) + 2, left : int(x + reach) + 2]).astype(np.float32) / 255
    lab = cv2.cvtColor(crop, cv2.COLOR_RGB2Lab)
    v, u = np.mgrid[: len(crop), : crop.shape[1]]
    u, v = np.abs(u + left - x) / radius, np.abs(v + top - y) / radius
    cheeks = lab[(u >= CHEEK[0]) & (v <= 0.4)]
    if len(cheeks) == 0:
        return float("nan")
    distance = np.linalg.norm(lab - np.median(cheeks, 0), axis=-1)
    # 20 is a difference nobody overlooks (CIE 1976), 40 counts as the mouth without a doubt.
    return float(np.clip((distance[u**2 + v**2 <= 1] - 20) / 20, 0, 1).mean())


def mouth_follows(opening: np.ndarray, mouth: np.ndarray) -> float:
    """Correlation over the frames in sight of opening and mouth curve, both (f,); nan where either hardly moves."""
    seen = np.isfinite(opening)
    if seen.sum() < 5 or mouth[seen].std() < 0.02:
        return float("nan")
    if opening[seen].std() < 1e-6:
        return 0.0
    return float(np.corrcoef(opening[seen], mouth[seen])[0, 1])


def closed_share(opening: np.ndarray, teacher: np.ndarray, mouth: np.ndarray) -> float:
    """Share of the frames in sight with mouth = 0 whose opening is that of a shut mouth; nan without such frames.

    All (f,). What shut and open look like is read from the teacher's opening on the same frames.
    """
    seen = np.isfinite(opening) & np.isfinite(teacher)
    silent = seen & (mouth < 0.01)
    if not silent.any() or mouth[seen].std() < 0.02:
        return float("nan")
    growth, shut = np.polyfit(mouth[seen], teacher[seen], 1)
    return float(np.mean(opening[silent] <= shut + CLOSED * growth))
