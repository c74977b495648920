"""Where somebody probably sings, and how wide the mouth is open. Proxies from the signal, no trained model.

A lead voice is mixed to the centre, fills the band of the vowels and, unlike keys and frets, glides from note to note.
"""

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d

from mv.analysis.features import BLOCK, CURVE_HOP, FEATURE_RATE, HOP, SR, magnitudes

N_FFT = 2048
VOWELS = (250, 3500)  # Hz
# Score = weights @ (gliding, share of the centre's vowel band, its level below the song's loud parts). Set by hand
# near a logistic regression on two songs with human singing times: area under the ROC curve 0.93 and 0.85.
GLIDE, SHARE, LEVEL = 8.0, 4.8, 0.5
# The decision lies midway between a song's quiet and full passages, within what was seen in songs with singing.
LOWEST_THRESHOLD, HIGHEST_THRESHOLD = 0.9, 2.2
GLIDE_SECONDS = 0.8
MONO_SHIFT = 1.0  # without a side channel everything counts as centre


def singing(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """samples (n, 1 or 2) at SR → voice and mouth, each on the curves' grid (see features), 0..1."""
    vowel, total, pitch = _centre(samples)
    width = int(0.4 * FEATURE_RATE)
    share = np.sqrt(uniform_filter1d(vowel / total, width))
    level = 10 * np.log10(vowel + 1e-10)
    loud = 10 * np.log10(np.percentile(total, 95))
    if loud < -60:
        return np.zeros(len(level)), np.zeros(len(level))
    below = uniform_filter1d(np.clip((level - loud) / 10, -4, 0), width)
    score = uniform_filter1d(GLIDE * gliding(pitch) + SHARE * share + LEVEL * below, width)
    voice = 1 / (1 + np.exp(-3 * (score - _threshold(score, is_mono(samples)))))
    voice *= level > loud - 35
    return voice, mouth(voice, level)


def mouth(voice: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Opening 0..1: the vowel band's envelope at the pace of syllables while somebody sings, 0 elsewhere.

    level: vowel band in dB.
    """
    sings = voice > 0.5
    if sings.sum() < 0.2 * FEATURE_RATE:
        return np.zeros(len(voice))
    envelope = np.sqrt(gaussian_filter1d(10 ** (level / 10), 0.03 * FEATURE_RATE))
    # Measured by the loudest syllable near by: a soft verse opens the mouth as well as a chorus.
    near = maximum_filter1d(envelope * sings, int(2.5 * FEATURE_RATE))
    near = gaussian_filter1d(np.maximum(near, 0.25 * envelope[sings].max()), 0.5 * FEATURE_RATE)
    opening = np.clip((envelope / near - 0.2) / 0.7, 0, 1)
    return opening * gaussian_filter1d(sings.astype(float), 0.03 * FEATURE_RATE) * sings


def is_mono(samples: np.ndarray) -> bool:
    if samples.shape[1] == 1:
        return True
    side = samples[:, 0] - samples[:, 1]
    return float(np.mean(side**2)) < 0.01 * float(np.mean(samples**2))


def gliding(pitch: np.ndarray) -> np.ndarray:
    """0..1: how often the pitch (Hz) moves by a little, not by leaps, in the GLIDE_SECONDS around each moment."""
    step = np.abs(np.diff(12 * np.log2(pitch), prepend=12 * np.log2(pitch[0])))
    glides = ((step > 0.05) & (step < 1.6)).astype(float)
    return uniform_filter1d(glides, int(GLIDE_SECONDS * FEATURE_RATE))


def _threshold(score: np.ndarray, mono: bool) -> float:
    shift = MONO_SHIFT if mono else 0.0
    return float(np.clip(np.percentile(score, [20, 80]).mean(), LOWEST_THRESHOLD + shift, HIGHEST_THRESHOLD + shift))


def _centre(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per curve value: power of the centre's vowel band, power of everything, pitch in Hz of the centre's best comb."""
    hop = HOP * CURVE_HOP
    middle = samples.mean(1)
    side = (samples[:, 0] - samples[:, -1]) / 2
    frequencies = np.arange(1 + N_FFT // 2) * SR / N_FFT
    vowels = (frequencies > VOWELS[0]) & (frequencies < VOWELS[1])
    candidates = 110 * 2 ** (np.arange(72) / 24)  # 110..854 Hz in quarter tones
    comb = _combs(candidates)
    parts = []
    for start in range(0, 1 + len(middle) // hop, BLOCK):
        mid, off = magnitudes(middle, start, N_FFT, hop), magnitudes(side, start, N_FFT, hop)
        # 1.5: what is panned only half way still leaves some centre behind.
        centre = np.maximum(mid - 1.5 * off, 0)
        pitch = candidates[(_partials(centre) @ comb).argmax(1)]
        parts.append(((centre[:, vowels] ** 2).sum(1), (mid**2 + off**2).sum(1) + 1e-10, pitch))
    return tuple(np.concatenate(part) for part in zip(*parts))


def _partials(centre: np.ndarray) -> np.ndarray:
    """What sticks out of the 440 Hz around it, so that loud formants do not decide the pitch."""
    root = np.sqrt(centre)
    return np.maximum(root / (uniform_filter1d(root, 41, axis=1) + 1e-3) - 1, 0)


def _combs(fundamentals: np.ndarray, highest: float = 4500) -> np.ndarray:
    """(bins, k): up to 12 partials of each fundamental, less what lies half way between them."""
    comb = np.zeros((2 + N_FFT // 2, len(fundamentals)), np.float32)
    for column, fundamental in enumerate(fundamentals):
        partials = np.arange(1, 13)
        partials = partials[partials * fundamental < highest]
        weights = 1 / np.sqrt(partials) / (1 / np.sqrt(partials)).sum()
        for offset, sign in ((0.0, 1), (0.5, -1)):
            place = (partials - offset) * fundamental * N_FFT / SR
            below = place.astype(int)
            np.add.at(comb[:, column], below, sign * weights * (1 - place + below))
            np.add.at(comb[:, column], below + 1, sign * weights * (place - below))
    return comb[:-1]
