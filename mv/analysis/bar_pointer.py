"""The bar pointer of Krebs, Böck and Widmer (ISMIR 2015) with one beat as its bar: activation → beats; beats → bars."""

from dataclasses import dataclass

import numpy as np

# How firmly a tempo is kept from one beat to the next (Krebs' lambda).
STEADINESS = 120
# How much the song's own pattern counts: neighbouring frames and bands tell much the same. Rows beyond MOST times
# their mean tell no more.
PATTERN_WEIGHT, MOST = 0.3, 5.0
PARTS = 12  # of a beat; the beat itself is the first


def on_off(activation: np.ndarray) -> np.ndarray:
    """(t, PARTS) log-likelihoods: activation (t,) in 0..1 on the beat, its absence elsewhere."""
    on = np.log(np.clip(activation, 1e-3, 1))
    off = np.log(np.clip((1 - activation) / (PARTS - 1), 1e-3 / PARTS, 1))
    return np.column_stack([on, *[off] * (PARTS - 1)])


def learned(rows: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """(t, PARTS) log-likelihoods by the song's own pattern: what rows (c, t) do on average in each part of its beats.

    beats (n,) in fractional audio frames, anywhere in the song. It keeps the tracker from changing over to the
    off-beat where that happens to be louder for a while.
    """
    rows = np.minimum(rows / (rows.mean(1, keepdims=True) + 1e-9), MOST)
    frames = np.arange(int(np.ceil(beats[0])), min(int(beats[-1]), rows.shape[1]))
    part = (np.interp(frames, beats, np.arange(len(beats))) % 1 * PARTS).astype(int)
    seen, count = rows[:, frames], np.maximum(np.bincount(part, minlength=PARTS), 1)
    pattern = np.array([np.bincount(part, row, PARTS) for row in seen]) / count  # (c, PARTS)
    spread = (seen - pattern[:, part]).var(1) + 1e-3
    return -PATTERN_WEIGHT / 2 * (((rows[:, :, None] - pattern[:, None]) ** 2) / spread[:, None, None]).sum(0)


def decode(likelihoods: np.ndarray, periods: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Viterbi path of the bar pointer: audio frames (n,) where it wraps, that is the beats.

    likelihoods (t, PARTS) in logarithms, periods (k,) whole audio frames, weights (k,) > 0. A state is (period,
    position); the period may change only where the pointer wraps.
    """
    score, came_from = _search(likelihoods, periods, weights)
    last = np.cumsum(periods) - 1
    return _wraps(int(score.argmax()), came_from, last - periods + 1, last, np.repeat(np.arange(len(periods)), periods))


def likelihood(likelihoods: np.ndarray, periods: np.ndarray) -> float:
    """Of the best path with these periods, per audio frame."""
    return float(_search(likelihoods, periods, np.ones(len(periods)))[0].max()) / len(likelihoods)


def _search(likelihoods: np.ndarray, periods: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(states,) scores at the end, and for each frame (t, k) which period each one comes from at its wrap."""
    first = np.concatenate([[0], np.cumsum(periods)[:-1]])
    last = first + periods - 1
    change = np.exp(-STEADINESS * np.abs(periods[None, :] / periods[:, None] - 1))
    log_change = np.log(change / change.sum(1, keepdims=True) + 1e-12) + 0.02 * np.log(weights / weights.max())
    part = np.concatenate([np.arange(p) * PARTS // p for p in periods])

    score = np.log(np.repeat(weights / periods, periods))
    came_from = np.zeros((len(likelihoods), len(periods)), np.int16)
    columns = np.arange(len(periods))
    for t, heard in enumerate(likelihoods):
        wrap = score[last][:, None] + log_change
        came_from[t] = wrap.argmax(0)
        wrapped = wrap[came_from[t], columns]
        score[1:] = score[:-1].copy()
        score[first] = wrapped
        score += heard[part]
    return score, came_from


def _wraps(state: int, came_from: np.ndarray, first: np.ndarray, last: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Walk the best path back from its last state; one step per beat."""
    beats, t = [], len(came_from) - 1
    while True:
        k = column[state]
        t -= state - first[k]
        if t < 0:
            return np.array(beats[::-1], int)
        beats.append(t)
        state, t = int(last[came_from[t, k]]), t - 1
        if t < 0:
            return np.array(beats[::-1], int)


def on_peaks(frames: np.ndarray, activation: np.ndarray) -> np.ndarray:
    """Move each beat (n,) to the activation's peak, from two audio frames before it to the end of its part of the
    beat, between frames by a parabola."""
    if len(frames) < 2:
        return frames.astype(float)
    after = max(4, int(np.ceil(np.median(np.diff(frames)) / PARTS)) + 1)
    padded = np.pad(activation, (3, after + 2))
    around = np.stack([padded[frames + 3 + d] for d in range(-2, after + 1)], 1)
    peak = frames + around.argmax(1) - 2
    y0, y1, y2 = (padded[peak + 3 + d] for d in (-1, 0, 1))
    bend = y0 - 2 * y1 + y2
    shift = np.where(bend < 0, 0.5 * (y0 - y2) / np.where(bend < 0, bend, 1), 0)
    return np.where(around.max(1) > 0.15, peak + np.clip(shift, -0.5, 0.5), frames)


@dataclass(frozen=True)
class Count:
    """positions (n,) 1..metre; score: the logarithm of how likely."""

    positions: np.ndarray
    score: float


def count_bars(gain: np.ndarray, slip: float) -> Count:
    """Viterbi over the place in the bar; gain (n, metre): what speaks for each place. A bar may break off at the price
    of slip: a 2/4 bar, a missed beat."""
    metre_beats = gain.shape[1]
    score, came_from = np.full(metre_beats, -np.log(metre_beats)), np.zeros(gain.shape, int)
    previous = (np.arange(metre_beats) - 1) % metre_beats
    for i, row in enumerate(gain):
        best = int(score.argmax())
        slips = score[previous] < score[best] - slip
        came_from[i] = np.where(slips, best, previous)
        score = np.where(slips, score[best] - slip, score[previous]) + row
    positions = np.empty(len(gain), int)
    p = int(score.argmax())
    likelihood = float(score[p])
    for i in range(len(gain) - 1, -1, -1):
        positions[i], p = p + 1, came_from[i, p]
    return Count(positions, likelihood)
