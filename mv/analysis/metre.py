"""Where in its beat the tracker sits, and how many beats make a bar: what happens on, between and across the beats.

Both are conditional logistic regressions, one winner per song, fitted on composed music where every beat is known:
`python -m mv train metre`. The tempo is not chosen so: fitted on such music it got worse on real recordings.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.ndimage import maximum_filter1d
from scipy.special import logsumexp, softmax

from mv.analysis.features import CHROMA_HOP, FRAME_RATE, Spectra

METRES = (2, 3, 4, 5)  # beats in a bar; 6/8 is counted in two
BARS = tuple((metre, first) for metre in METRES for first in range(metre))
PHASES = (0.0, 1 / 2, 1 / 3, 2 / 3)  # of a beat: the tracker may sit on the off-beat
# Log-odds: among the composed pieces bars of two are several times as frequent as among songs.
RARER = 1.0
SURE = 0.7  # chance from which the beats are moved
# Rows of `channels`: onsets in four bands and in all, new chords, new bass notes.
BASS, ALL, CHORD = 0, 4, 5
FEWEST = 8  # beats from which anything can be told
WEIGHTS = Path(__file__).with_name("metre.json")


@dataclass(frozen=True)
class Weights:
    """Of the columns of `phase_clues` and of `bar_clues`."""

    phase: np.ndarray
    bar: np.ndarray


@cache
def weights() -> Weights:
    stored = json.loads(WEIGHTS.read_text())
    return Weights(np.array(stored["phase"]), np.array(stored["bar"]))


def off_beat(rows: np.ndarray, beats: np.ndarray) -> float:
    """One of PHASES: the part of a beat by which beats (n,), in audio frames, are to be moved; 0 where in doubt.

    rows: `channels`.
    """
    if len(beats) < FEWEST:
        return 0.0
    chances = softmax(phase_clues(rows, beats, weights().bar) @ weights().phase)
    best = int(chances.argmax())
    return PHASES[best] if chances[best] > SURE else 0.0


def find_bar(on: np.ndarray) -> int:
    """Beats in a bar, for beats with channels on (c, n); 4 for too few to tell."""
    odds = {beats: odds - RARER * (beats == 2) for beats, odds in bar_odds(on).items()}
    return max(odds, key=odds.get)


def bar_odds(on: np.ndarray) -> dict[int, float]:
    """For each of METRES the log-odds of bars of so many beats; only 4 for too few to tell. on (c, n): channels on
    beats."""
    if on.shape[1] < FEWEST:
        return {4: 0.0}
    odds = bar_clues(on) @ weights().bar
    return {metre: float(max(odds[i] for i, (beats, _) in enumerate(BARS) if beats == metre)) for metre in METRES}


def places(on: np.ndarray, metre: int) -> np.ndarray:
    """(n, metre): what speaks for each beat, with channels on (c, n), to stand at each place of the bar."""
    x = standing(on)
    down, third, second = np.split(weights().bar[: 3 * len(x)], 3)
    gain = np.zeros((x.shape[1], metre))
    gain[:, 0] = down @ x
    gain[:, 1] = second @ x
    if metre == 4:
        gain[:, 2] = third @ x
    return gain


# ---------------------------------------------------------------- what may mark a beat


def channels(heard: Spectra, flux: np.ndarray, activation: np.ndarray) -> np.ndarray:
    """(7, t): what may mark a beat; each row the largest value within two audio frames, with mean 1."""
    chord = np.repeat(_novelty(np.sqrt(heard.chroma), int(0.5 * FRAME_RATE / CHROMA_HOP)), CHROMA_HOP)
    chord = np.pad(chord[: len(activation)], (0, max(0, len(activation) - len(chord))))
    note = _novelty(np.log1p(300 * heard.bass / max(float(heard.bass.max()), 1e-5)), int(0.35 * FRAME_RATE))
    rows = maximum_filter1d(np.vstack([flux, activation, chord, note]), 5, axis=1)
    return rows / (rows.mean(1, keepdims=True) + 1e-9)


def _novelty(x: np.ndarray, width: int) -> np.ndarray:
    """(t,) 0..2: cosine distance of the mean of the next `width` rows from that of the last; 0 beside silence."""
    total = np.vstack([np.zeros(x.shape[1]), np.cumsum(x, 0, dtype=np.float64)])
    t = np.arange(len(x))
    after, before = total[np.minimum(t + width, len(x))] - total[t], total[t] - total[np.maximum(t - width, 0)]
    lengths = np.linalg.norm(after, axis=1) * np.linalg.norm(before, axis=1)
    return np.where(lengths > 1e-9, 1 - (after * before).sum(1) / np.maximum(lengths, 1e-9), 0)


def at(rows: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """(c, n): rows (c, t) at fractional audio frames (n,)."""
    return rows[:, np.clip(np.round(frames).astype(int), 0, rows.shape[1] - 1)]


# ---------------------------------------------------------------- clues


def phase_clues(rows: np.ndarray, beats: np.ndarray, bar_weights: np.ndarray) -> np.ndarray:
    """(4, k): for beats moved by each of PHASES, what happens on them and on parts of them, and how clear their bars
    are. beats (n,) in fractional audio frames."""
    gaps = np.diff(beats, append=2 * beats[-1] - beats[-2])
    clues = []
    for phase in PHASES:
        half, *quarters = (at(rows, beats + (phase + share) * gaps).mean(1) for share in (1 / 2, 1 / 4, 3 / 4))
        thirds = [at(rows, beats + (phase + share) * gaps).mean(1) for share in (1 / 3, 2 / 3)]
        on = at(rows, beats + phase * gaps)
        levels = np.sqrt([on.mean(1), half, np.maximum(*quarters), np.maximum(*thirds)]).ravel()
        bars = bar_clues(on) @ bar_weights
        clues.append(np.append(levels, [phase == 0, bars.max() / 10, logsumexp(bars) / 10]))
    return np.array(clues)


def bar_clues(on: np.ndarray) -> np.ndarray:
    """(14, j) for beats with channels on (c, n), n >= FEWEST: for each of BARS the mean standing of its downbeats,
    third and second beats, and at which number of beats the music repeats."""
    x = standing(on)
    pairs = [(row, lag) for row in (BASS, ALL, CHORD) for lag in (*METRES, 8)]
    lags = np.array([(x[row, :-lag] * x[row, lag:]).mean() if x.shape[1] > lag else 0.0 for row, lag in pairs])
    rows = []
    for metre, first in BARS:
        third = x[:, (first + 2) % metre :: metre].mean(1) if metre == 4 else np.zeros(len(x))
        second = x[:, (first + 1) % metre :: metre].mean(1)
        own = np.zeros((len(METRES), len(lags) + 1))
        own[METRES.index(metre)] = [1.0, *lags]
        rows.append(np.concatenate([x[:, first::metre].mean(1), third, second, own.ravel()]))
    return np.array(rows)


def standing(on: np.ndarray) -> np.ndarray:
    """(c, n) each row in standard deviations from its mean."""
    return (on - on.mean(1, keepdims=True)) / (on.std(1, keepdims=True) + 1e-6)
