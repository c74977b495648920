"""How wide the singer's mouth is open: loudness at the pace of syllables, and the vowel.

The jaw falls for vowels with a high first formant: "a" near 850 Hz is wide open, "i" and "u" near 350 Hz are nearly
closed (Peterson and Barney 1952).
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from mv.analysis.features import FEATURE_RATE

FIRST_FORMANT = (250, 1200)  # Hz: where it is looked for
CLOSED, OPEN = 400.0, 750.0  # Hz: a centre of that band that leaves the jaw up, and one that drops it
LEAST_JAW = 0.45  # opening of the most closed vowel, beside 1 for the widest


def openness(centre: np.ndarray, frequencies: np.ndarray) -> np.ndarray:
    """(t,) 0..1 from magnitudes (t, bins) of the centre channel: how high the first formant lies."""
    band = (frequencies > FIRST_FORMANT[0]) & (frequencies < FIRST_FORMANT[1])
    power = centre[:, band] ** 2
    height = (power @ frequencies[band]) / (power.sum(1) + 1e-12)
    return np.clip((height - CLOSED) / (OPEN - CLOSED), 0, 1)


def opening(voice: np.ndarray, level: np.ndarray, jaw: np.ndarray) -> np.ndarray:
    """Opening 0..1 per curve value while somebody sings (voice > 0.5), exactly 0 elsewhere.

    voice 0..1, level of the vowel band in dB, jaw from `openness`, each (t,).
    """
    sings = voice > 0.5
    if sings.sum() < 0.2 * FEATURE_RATE:
        return np.zeros(len(voice))
    envelope = np.sqrt(gaussian_filter1d(10 ** (level / 10), 0.03 * FEATURE_RATE))
    # Measured by the loudest syllable near by: a soft verse opens the mouth as well as a chorus.
    near = maximum_filter1d(envelope * sings, int(2.5 * FEATURE_RATE))
    near = gaussian_filter1d(np.maximum(near, 0.25 * envelope[sings].max()), 0.5 * FEATURE_RATE)
    loudness = np.clip((envelope / near - 0.2) / 0.7, 0, 1)
    vowel = LEAST_JAW + (1 - LEAST_JAW) * gaussian_filter1d(jaw, 0.05 * FEATURE_RATE)
    return loudness * vowel * gaussian_filter1d(sings.astype(float), 0.03 * FEATURE_RATE) * sings
