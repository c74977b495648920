"""Where somebody probably sings: a logistic regression on how the middle of the stereo picture sounds and moves.

A lead voice is mixed to the centre, fills the band of the vowels, glides from note to note where keys and frets step,
and changes its timbre from syllable to syllable. bench/fit_voice.py fits the weights in voice.json.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy import fft
from scipy.ndimage import uniform_filter1d

from mv.analysis.features import BLOCK, CURVE_HOP, FEATURE_RATE, HOP, SR, magnitudes
from mv.analysis.mouth import opening, openness

N_FFT = 2048
VOWELS = (250, 3500)  # Hz
NUM_MELS, NUM_MFCC = 40, 16
# Columns of `clues`, and the names of the weights.
CLUES = ("gliding", "share", "level", *(f"mfcc{i}_spread" for i in range(1, NUM_MFCC)))
SPREAD_SECONDS = 0.8
# The decision lies midway between a song's quiet and full passages, but within these log-odds: in a song without
# singing nothing should pass, in one that is sung throughout nearly everything.
LOWEST_THRESHOLD, HIGHEST_THRESHOLD = -0.1, 0.8
STEEPNESS = 2.5
SILENT = -60.0  # dB: no voice in what is softer altogether
AUDIBLE = 35.0  # dB below the song's loud parts: softer than this nobody sings


@dataclass(frozen=True)
class Middle:
    """The centre of the stereo picture, per curve value (t,): power of its vowel band and of the whole sound, pitch in
    Hz of its best comb, jaw 0..1 as the first formant tells; mfcc (t, NUM_MFCC - 1) without the level."""

    vowels: np.ndarray
    total: np.ndarray
    pitch: np.ndarray
    jaw: np.ndarray
    mfcc: np.ndarray

    @property
    def level(self) -> np.ndarray:
        """dB of the vowel band."""
        return 10 * np.log10(self.vowels + 1e-10)

    @property
    def loud(self) -> float:
        """dB of the song's loud parts."""
        return float(10 * np.log10(np.percentile(self.total, 95)))


def singing(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """samples (n, 1 or 2) at SR → voice and mouth, each on the curves' grid (see features), 0..1."""
    middle = listen_to_middle(samples)
    if middle.loud < SILENT:
        return np.zeros(len(middle.level)), np.zeros(len(middle.level))
    odds = log_odds(clues(middle))
    threshold = np.clip(np.percentile(odds, [20, 80]).mean(), LOWEST_THRESHOLD, HIGHEST_THRESHOLD)
    voice = 1 / (1 + np.exp(-STEEPNESS * (odds - threshold)))
    voice *= middle.level > middle.loud - AUDIBLE
    return voice, opening(voice, middle.level, middle.jaw)


# ---------------------------------------------------------------- clues


def clues(middle: Middle) -> np.ndarray:
    """(t, len(CLUES)): what speaks for singing, each a mean over half a second or so."""
    width = int(0.4 * FEATURE_RATE)
    share = np.sqrt(uniform_filter1d(middle.vowels / middle.total, width))
    level = uniform_filter1d(np.clip((middle.level - middle.loud) / 10, -4, 0), 2 * width)
    return np.column_stack([gliding(middle.pitch), share, level, spread(middle.mfcc)])


def gliding(pitch: np.ndarray) -> np.ndarray:
    """0..1: how often the pitch (Hz) moves by a little, not by leaps, in the SPREAD_SECONDS around each moment."""
    step = np.abs(np.diff(12 * np.log2(pitch), prepend=12 * np.log2(pitch[0])))
    glides = ((step > 0.05) & (step < 1.6)).astype(float)
    return uniform_filter1d(glides, int(SPREAD_SECONDS * FEATURE_RATE))


def spread(x: np.ndarray) -> np.ndarray:
    """Standard deviation of each column within SPREAD_SECONDS."""
    width = int(SPREAD_SECONDS * FEATURE_RATE)
    mean = uniform_filter1d(x, width, axis=0)
    return np.sqrt(np.maximum(uniform_filter1d(x**2, width, axis=0) - mean**2, 0))


def log_odds(clues: np.ndarray) -> np.ndarray:
    """(t,): the fitted regression, smoothed over SPREAD_SECONDS. Above 0: rather singing."""
    w = weights()
    odds = ((clues - w["mean"]) / w["scale"]) @ w["weight"] + w["bias"]
    return uniform_filter1d(odds, int(SPREAD_SECONDS * FEATURE_RATE))


@cache
def weights() -> dict[str, np.ndarray | float]:
    """mean, scale and weight (len(CLUES),) each, bias: of voice.json beside this file."""
    stored = json.loads(Path(__file__).with_name("voice.json").read_text())
    per_clue = {name: np.array([stored["clues"][clue][name] for clue in CLUES]) for name in ("mean", "scale", "weight")}
    return {**per_clue, "bias": stored["bias"]}


# ---------------------------------------------------------------- the middle of the stereo picture


def listen_to_middle(samples: np.ndarray) -> Middle:
    """samples (n, 1 or 2) at SR. Without a side channel everything is centre."""
    import librosa

    hop = HOP * CURVE_HOP
    frequencies = np.arange(1 + N_FFT // 2) * SR / N_FFT
    vowels = (frequencies > VOWELS[0]) & (frequencies < VOWELS[1])
    mel = librosa.filters.mel(sr=SR, n_fft=N_FFT, n_mels=NUM_MELS, fmin=80, fmax=9000).T
    candidates = 110 * 2 ** (np.arange(72) / 24)  # 110..854 Hz in quarter tones
    comb = _combs(candidates)
    parts = []
    for start in range(0, 1 + len(samples) // hop, BLOCK):
        lead = min(start, N_FFT // hop)  # curve values before the block that its first windows reach into
        piece = samples[(start - lead) * hop : (start + BLOCK) * hop + N_FFT]
        middle = magnitudes(piece.mean(1), lead, N_FFT, hop)
        off = magnitudes((piece[:, 0] - piece[:, -1]) / 2, lead, N_FFT, hop)
        # 1.5: what is panned only half way still leaves some centre behind.
        centre = np.maximum(middle - 1.5 * off, 0)
        parts.append(
            (
                (centre[:, vowels] ** 2).sum(1),
                (middle**2 + off**2).sum(1) + 1e-10,
                candidates[(_partials(centre) @ comb).argmax(1)],
                openness(centre, frequencies),
                fft.dct(np.log(centre @ mel + 1e-5), axis=1, norm="ortho")[:, 1:NUM_MFCC],
            )
        )
    return Middle(*(np.concatenate(part).astype(float) for part in zip(*parts)))


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
        gains = 1 / np.sqrt(partials) / (1 / np.sqrt(partials)).sum()
        for offset, sign in ((0.0, 1), (0.5, -1)):
            place = (partials - offset) * fundamental * N_FFT / SR
            below = place.astype(int)
            np.add.at(comb[:, column], below, sign * gains * (1 - place + below))
            np.add.at(comb[:, column], below + 1, sign * gains * (place - below))
    return comb[:-1]
