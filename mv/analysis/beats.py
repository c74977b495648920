"""Tempo, beats and downbeats: onsets in four bands, the tempo that carries them, the path of a bar pointer.

The onsets are spectral flux with a maximum filter (Böck and Widmer, DAFx 2013), so vibrato does not count. Where in the
beat the tracker sits and where the bars begin is decided in metre.py.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter1d

from mv.analysis import metre
from mv.analysis.bar_pointer import decode, learned, on_off, on_peaks
from mv.analysis.features import FRAME_RATE, N_BASS, N_MELS, Spectra

MIN_TEMPO, MAX_TEMPO = 52.0, 230.0
FASTEST_CLICK = 208.0  # BPM: what metronomes go up to
# Tempo people tap to, and how widely they differ, in octaves (after Moelants 2002).
PREFERRED_TEMPO, TEMPO_SPREAD = 110.0, 0.75
# The activation leads the played onset: the window already sees it coming. Seconds, measured on exact renders.
LATENCY = 0.007
# Onsets on the beats beyond those between them, in units of the activation: what the tracker finds in white noise by
# choosing well, and what any drummer reaches. Confidence is 0 at the one, 1 at the other.
CHANCE, PLAIN = 0.15, 0.5
# Below this confidence a grid would be chance: eleven of twelve white noises score less, the bench songs about
# 0.5 and more.
LEAST_CONFIDENCE = 0.25
INVENTED_TEMPO = 120.0
# Price of a bar that breaks off, in standard deviations of what a beat tells about its place in the bar.
SLIP = 25.0
BAND_WEIGHTS = np.array([1.2, 0.8, 1.0, 0.9])  # bass, low mids, mids, highs


@dataclass(frozen=True)
class Beats:
    """times (n,) in seconds, increasing; positions (n,) in the bar, 1 = downbeat; tempo 0: invented grid.

    confidence 0..1 of the whole, per_beat (n,) of each beat.
    """

    times: np.ndarray
    positions: np.ndarray
    tempo: float
    confidence: float
    per_beat: np.ndarray

    @property
    def downbeats(self) -> np.ndarray:
        return self.times[self.positions == 1]


def track(heard: Spectra, flux: np.ndarray, activation: np.ndarray, duration: float) -> Beats:
    """flux, activation: of `onsets`; duration in seconds. Where no beat is found, an even grid with confidence 0."""
    sound = sounding_span(heard, duration)
    if sound is None:
        return even_grid(duration)
    periods, weights, confidence = choose_tempo(flux, activation)
    if confidence < LEAST_CONFIDENCE:
        return even_grid(duration)
    frames = on_peaks(decode(on_off(activation), periods, weights), activation)
    if len(frames) < 4:
        return even_grid(duration)
    rows = metre.channels(heard, flux, activation)
    phase = metre.off_beat(rows, frames)
    if phase:
        aside = frames + phase * np.diff(frames, append=2 * frames[-1] - frames[-2])
        frames = on_peaks(decode(learned(flux, aside), periods, weights), activation)
    times = cover(one_grid(straighten(frames / FRAME_RATE - LATENCY)), *sound)
    if len(times) < 4:
        return even_grid(duration)
    tempo = 60 / float(np.median(np.diff(times)))
    times = np.round(times, 3)  # the analysis keeps milliseconds; sections start on the very same numbers
    return Beats(times, bar_positions(times, rows), tempo, confidence, per_beat(times, activation))


def even_grid(duration: float) -> Beats:
    """A grid for cutting where nothing can be heard to cut to."""
    times = np.arange(0, duration, 60 / INVENTED_TEMPO)
    return Beats(times, np.arange(len(times)) % 4 + 1, 0.0, 0.0, np.zeros(len(times)))


def per_beat(times: np.ndarray, activation: np.ndarray, reach: int = 8) -> np.ndarray:
    """(n,) 0..1: how much more happens on the beats around each one than on the thirds and quarters between them.

    A mean over reach beats to either side: one beat alone says little, and a rest on a beat is no doubt about it.
    """
    gaps = np.diff(times, append=2 * times[-1] - times[-2])
    loudest = maximum_filter1d(activation, 5)

    def around(moments: np.ndarray) -> np.ndarray:
        frames = np.clip(np.round((moments + LATENCY) * FRAME_RATE).astype(int), 0, len(loudest) - 1)
        return uniform_filter1d(loudest[frames].astype(float), 2 * reach + 1, mode="nearest")

    between = [(around(times + a * gaps) + around(times + (1 - a) * gaps)) / 2 for a in (1 / 3, 1 / 4)]
    return np.clip((around(times) - np.maximum(*between) - CHANCE) / (PLAIN - CHANCE), 0, 1)


def sounding_span(heard: Spectra, duration: float) -> tuple[float, float] | None:
    """(start, end) seconds of what can be heard: within 45 dB of the song's loud parts. None for silence.

    The last tenth of a second does not count: a cut there would leave a shot of a frame or two.
    """
    loud = np.percentile(heard.loudness, 98)
    audible = np.flatnonzero(heard.loudness > max(loud - 45, -75))
    if loud < -70 or not len(audible):
        return None
    return audible[0] / FRAME_RATE, min((audible[-1] + 1) / FRAME_RATE, duration - 0.1)


def cover(times: np.ndarray, start: float, end: float) -> np.ndarray:
    """The beats from start to end, continued evenly where the tracker left a gap at either end; none before zero.

    A tenth of a second of grace before the start: music that begins on the beat has no rise to be heard there.
    """
    first, last = np.median(np.diff(times)[:8]), np.median(np.diff(times)[-8:])
    before = np.arange(times[0] - first, start - 0.1, -first)[::-1]
    after = np.arange(times[-1] + last, end, last)
    times = np.concatenate([before, times, after])
    times = np.maximum(times[(times > start - 0.1) & (times < end)], 0.0)
    return times[np.diff(times, prepend=-1.0) > 0.05]


# ---------------------------------------------------------------- onsets


def onsets(heard: Spectra) -> tuple[np.ndarray, np.ndarray]:
    """Spectral flux in four bands (4, t), locally normalised, and their sum as activation (t,) in 0..1."""
    bands = np.hstack([4 * heard.bass / _peak(heard.bass), 4 * heard.mel / _peak(heard.mel)])
    bands = np.log1p(100 * bands)
    lag = 2
    rise = np.zeros_like(bands)
    rise[lag:] = np.maximum(0, bands[lag:] - maximum_filter1d(bands, 3, axis=1)[:-lag])
    edges = [0, N_BASS, *(N_BASS + np.searchsorted(_mel_centres(), [400, 2500])), N_BASS + N_MELS]
    flux = np.stack([_stand_out(rise[:, a:b].mean(1)) for a, b in pairwise(edges)])
    total = BAND_WEIGHTS @ flux
    return flux, np.clip(total / max(np.percentile(total, 97), 1e-6), 0, 1)


def _peak(x: np.ndarray) -> float:
    return max(float(x.max(initial=0)), 1e-5)


def _mel_centres() -> np.ndarray:
    import librosa

    return librosa.mel_frequencies(N_MELS + 2, fmin=30, fmax=10000)[1:-1]


def _stand_out(flux: np.ndarray) -> np.ndarray:
    """Above the quarter second around it, in units of the four seconds around it: quiet passages count as well."""
    around = uniform_filter1d(flux, int(4 * FRAME_RATE))
    return np.maximum(0, flux - uniform_filter1d(flux, int(0.25 * FRAME_RATE))) / (around + 0.25 * flux.mean() + 1e-6)


# ---------------------------------------------------------------- tempo


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
        worth = carried.total * _preference(tempos[i]) * np.sqrt(score[i] / score.max())
        if worth > best_worth:
            best, best_worth, confidence = periods[i], worth, carried.confidence
    if every_half_alike(flux[:, excerpt], activation[excerpt], best / 2):
        best /= 2
    span = np.arange(int(np.floor(best / 1.15)), int(np.ceil(best * 1.15)) + 1)
    weights = np.interp(-span, -periods, score) * np.exp(-0.5 * (np.log2(span / best) / 0.15) ** 2)
    return span, np.maximum(weights / score.max(), 1e-3), confidence


def _peaks(score: np.ndarray) -> list[int]:
    inner = np.flatnonzero((score[1:-1] >= score[:-2]) & (score[1:-1] > score[2:])) + 1
    return sorted(inner, key=lambda i: -score[i]) or [int(np.argmax(score))]


def _preference(tempo: np.ndarray | float) -> np.ndarray | float:
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
    return (score - score.min() + 1e-6) * _preference(60 * FRAME_RATE / periods)


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


# ---------------------------------------------------------------- beats


def straighten(times: np.ndarray, tolerance: float = 0.012, reach: int = 32) -> np.ndarray:
    """Where 2 * reach beats lie on a straight line within the tolerance (s), put each on it: played to a click.

    Iteratively reweighted line fits; a beat never moves by more than 40 ms.
    """
    if len(times) <= 8:
        return times
    out = times.copy()
    for k in range(len(times)):
        near = slice(max(0, k - reach), k + reach + 1)
        steps, y = np.arange(len(times))[near] - k, times[near]
        weights = np.ones(len(steps))
        for _ in range(3):
            line = np.polyfit(steps, y, 1, w=weights)
            error = np.abs(y - np.polyval(line, steps))
            weights = 1 / (1 + (error / tolerance) ** 2)
        if np.median(error) < tolerance and abs(line[1] - times[k]) < 0.04:
            out[k] = line[1]
    return np.maximum.accumulate(out)


def one_grid(times: np.ndarray, least_share: float = 0.65) -> np.ndarray:
    """Where most beats of the song lie on one even grid, that grid: recorded to a click.

    This also mends passages where the tracker sat on the off-beat. A song whose beginning or end leaves the grid keeps
    its beats as they are.
    """
    if len(times) < 16:
        return times
    periods = np.median(np.diff(times)) * (1 + np.linspace(-0.004, 0.004, 801))
    phasors = np.exp(2j * np.pi * times[None] / periods[:, None]).mean(1)
    best = int(np.abs(phasors).argmax())
    period, phase = periods[best], np.angle(phasors[best]) / (2 * np.pi) * periods[best]
    steps = np.round((times - phase) / period)
    fits = np.abs(times - phase - steps * period) < min(0.045, 0.1 * period)
    rim = min(48, len(times) // 4)
    if fits.mean() < least_share or fits[:rim].mean() < 0.5 or fits[-rim:].mean() < 0.5:
        return times
    slope, start = np.polyfit(steps[fits], times[fits], 1)
    return start + slope * np.arange(steps[0], steps[-1] + 1)


# ---------------------------------------------------------------- bars


def bar_positions(times: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n,) 1..metre for beats in seconds. rows: `metre.channels` of the song. 6/8 is counted in two."""
    on = metre.at(rows, (times + LATENCY) * FRAME_RATE)
    beats_in_bar = metre.find_bar(on)
    gain = metre.places(on, beats_in_bar)
    return _count_bars(gain / max(float(gain.std()), 1e-6))


def mean_between(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean rows of x between successive edges (fractional row numbers): (len(edges) - 1, columns)."""
    edges = np.clip(np.round(edges).astype(int), 0, len(x) - 1)
    total = np.vstack([np.zeros(x.shape[1]), np.cumsum(x, axis=0, dtype=np.float64)])
    stops = np.minimum(np.maximum(edges[1:], edges[:-1] + 1), len(x))
    return (total[stops] - total[edges[:-1]]) / (stops - edges[:-1])[:, None]


def _count_bars(gain: np.ndarray) -> np.ndarray:
    """Viterbi over the place in the bar; gain (n, metre): what speaks for each place. A bar may break off at a price:
    a 2/4 bar, a missed beat."""
    metre_beats = gain.shape[1]
    score, came_from = np.zeros(metre_beats), np.zeros(gain.shape, int)
    previous = (np.arange(metre_beats) - 1) % metre_beats
    for i, row in enumerate(gain):
        best = int(score.argmax())
        slips = score[previous] < score[best] - SLIP
        came_from[i] = np.where(slips, best, previous)
        score = np.where(slips, score[best] - SLIP, score[previous]) + row
    positions = np.empty(len(gain), int)
    p = int(score.argmax())
    for i in range(len(gain) - 1, -1, -1):
        positions[i], p = p + 1, came_from[i, p]
    return positions
