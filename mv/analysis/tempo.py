"""The tempo whose beats carry the onsets, without any learning: what is followed where the network hears no beat."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from mv.analysis.bar_pointer import decode, on_off
from mv.analysis.features import FRAME_RATE

MIN_TEMPO, MAX_TEMPO = 52.0, 230.0
FASTEST_CLICK = 208.0  # BPM: what metronomes go up to
# Tempo people tap to, and how widely they differ, in octaves (after Moelants 2002).
PREFERRED_TEMPO, TEMPO_SPREAD = 110.0, 0.75
# Onsets on the beats beyond those between them, in units of the activation: what the tracker finds in white noise by
# choosing well, and what any drummer reaches. Confidence is 0 at the one, 1 at the other.
CHANCE, PLAIN = 0.15, 0.5


def choose_tempo(flux: np.ndarray, activation: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Beat periods in audio frames the tracker may use, how likely each is, and the confidence 0..1.

    Periodicity alone confuses a tempo with 2/3, 3/2 or twice of it. So the best few are tried on four minutes from the
    middle, and the one wins whose beats carry the onsets while the thirds and quarters between them do not.
    """
    tempos = np.geomspace(MIN_TEMPO, MAX_TEMPO, 600)
    periods = 60 * FRAME_RATE / tempos
    score = periodicity(flux, activation, periods)
    middle, reach = len(activation) // 2, int(120 * FRAME_RATE)
    excerpt = slice(max(0, middle - reach), middle + reach)
    best, best_worth, confidence = periods[int(np.argmax(score))], -1.0, 0.0
    for i in _peaks(score)[:6]:
        carried = carries_onsets(flux[:, excerpt], activation[excerpt], periods[i])
        worth = carried.total * preference(tempos[i]) * np.sqrt(score[i] / score.max())
        if worth > best_worth:
            best, best_worth, confidence = periods[i], worth, carried.confidence
    if every_half_alike(flux[:, excerpt], activation[excerpt], best / 2):
        best /= 2
    span = np.arange(int(np.floor(best / 1.15)), int(np.ceil(best * 1.15)) + 1)
    weights = np.interp(-span, -periods, score) * np.exp(-0.5 * (np.log2(span / best) / 0.15) ** 2)
    return span, np.maximum(weights / score.max(), 1e-3), confidence


def worth(flux: np.ndarray, activation: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """(k,) > 0: what speaks for each beat period (audio frames) by the onsets: they repeat, its beats carry them, and
    people like to tap so fast."""
    grid = 60 * FRAME_RATE / np.geomspace(MIN_TEMPO, MAX_TEMPO, 600)
    score = periodicity(flux, activation, grid)
    repeats = np.interp(-periods, -grid, score / score.max())
    carried = np.array([carries_onsets(flux, activation, period).total for period in periods])
    return np.maximum(carried * preference(60 * FRAME_RATE / periods) * np.sqrt(repeats), 0.02)


def _peaks(score: np.ndarray) -> list[int]:
    inner = np.flatnonzero((score[1:-1] >= score[:-2]) & (score[1:-1] > score[2:])) + 1
    return sorted(inner, key=lambda i: -score[i]) or [int(np.argmax(score))]


def preference(tempo: np.ndarray | float) -> np.ndarray | float:
    return np.exp(-0.5 * (np.log2(tempo / PREFERRED_TEMPO) / TEMPO_SPREAD) ** 2)


def periodicity(flux: np.ndarray, activation: np.ndarray, periods: np.ndarray) -> np.ndarray:
    """How well each beat period (in audio frames) repeats, at the beat and at one and two bars of 4/4 or 3/4."""
    lags = int(16 * FRAME_RATE)
    correlation = sum(_autocorrelation(band, lags) for band in flux) + 2 * _autocorrelation(activation, lags)
    near = maximum_filter1d(correlation / max(correlation[0], 1e-9), 5)

    def at(beats: int) -> np.ndarray:
        return np.interp(beats * periods, np.arange(lags), near, right=0)

    four = at(1) + 0.4 * at(2) + 1.2 * at(4) + at(8)
    three = at(1) + 0.12 * at(2) + 1.2 * at(3) + at(6) - 0.1
    score = np.maximum(four, three)
    return (score - score.min() + 1e-6) * preference(60 * FRAME_RATE / periods)


def _autocorrelation(x: np.ndarray, lags: int) -> np.ndarray:
    """Mean over half-overlapping windows of so many audio frames; each window counts alike."""
    x = gaussian_filter1d(x, 1.0)
    x = np.pad(x, (0, max(0, lags - len(x))))
    total = np.zeros(lags)
    for start in range(0, len(x) - lags + 1, lags // 2):
        piece = x[start : start + lags]
        spectrum = np.fft.rfft((piece - piece.mean()) * np.hanning(lags), 2 * lags)
        correlation = np.fft.irfft(np.abs(spectrum) ** 2)[:lags]
        total += correlation / (correlation[0] + 1e-9)
    return total / max(total[0], 1e-9)


@dataclass(frozen=True)
class Carried:
    total: float
    confidence: float


def carries_onsets(flux: np.ndarray, activation: np.ndarray, period: float) -> Carried:
    """How much more happens on the beats of this period than on their thirds and quarters. Bass counts extra: kicks."""
    span = np.arange(int(np.floor(period / 1.1)), int(np.ceil(period * 1.1)) + 1)
    beats = decode(on_off(activation), span, np.ones(len(span)))
    if len(beats) < 4:
        return Carried(0.0, 0.0)
    gaps = np.diff(beats)
    bass = flux[0] / max(flux[0].std(), 1e-6)
    on = _near(activation, beats)
    between = [_near(activation, np.concatenate([beats[:-1] + a * gaps, beats[1:] - a * gaps])) for a in (1 / 3, 1 / 4)]
    confidence = np.clip((on - max(between) - CHANCE) / (PLAIN - CHANCE), 0, 1)
    return Carried(max(on + 0.1 * _near(bass, beats) - max(between), 0.0), float(confidence))


def every_half_alike(flux: np.ndarray, activation: np.ndarray, period: float) -> bool:
    """Whether beats of this period (audio frames) are all alike and nothing at all happens between them.

    That is a plain fast click. In music there is always something on the halves, thirds or quarters, or, as with a
    hi-hat between kicks, every other beat sounds in other bands.
    """
    if period < 60 * FRAME_RATE / FASTEST_CLICK:
        return False
    span = np.arange(int(np.floor(period / 1.1)), int(np.ceil(period * 1.1)) + 1)
    beats = decode(on_off(activation), span, np.ones(len(span)))
    if len(beats) < 8:
        return False
    even, odd = _near(activation, beats[::2]), _near(activation, beats[1::2])
    gaps = np.diff(beats)
    between = max(_near(activation, beats[:-1] + share * gaps) for share in (1 / 3, 1 / 2, 2 / 3))
    one, other = (np.array([_near(band, half) for band in flux]) for half in (beats[::2], beats[1::2]))
    alike = one @ other / (np.linalg.norm(one) * np.linalg.norm(other) + 1e-9)
    return between < 0.03 and min(even, odd) > 0.9 * max(even, odd) and alike > 0.9


def _near(x: np.ndarray, frames: np.ndarray) -> float:
    """Mean of x at the frames, the largest value within 2 audio frames of each."""
    return float(maximum_filter1d(x, 5)[np.clip(frames.astype(int), 0, len(x) - 1)].mean())
