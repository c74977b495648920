"""Beats and downbeats: onsets in four bands and what a network makes of the sound, the path of a bar pointer.

The onsets are spectral flux with a maximum filter (Böck and Widmer, DAFx 2013), so vibrato does not count. Where in the
beat the tracker sits and where the bars begin is decided in metre.py.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from mv.analysis import metre
from mv.analysis.bar_pointer import count_bars, decode, learned, likelihood, on_off, on_peaks
from mv.analysis.features import BLOCK, FRAME_RATE, N_BASS, N_MELS, Spectra
from mv.analysis.tempo import CHANCE, MAX_TEMPO, MIN_TEMPO, PLAIN, choose_tempo, preference, worth

# The activation leads the played onset: the window already sees it coming. Seconds, measured on exact renders.
LATENCY = 0.007
# Below this confidence a grid would be chance: eleven of twelve white noises score less, the bench songs about
# 0.5 and more.
LEAST_CONFIDENCE = 0.25
INVENTED_TEMPO = 120.0
# Price of a bar that breaks off, in standard deviations of what a beat tells about its place in the bar; and in
# log-odds where the network tells it.
SLIP, HEARD_SLIP = 25.0, 45.0
FASTEST, SLOWEST = 60 * FRAME_RATE / MAX_TEMPO, 60 * FRAME_RATE / MIN_TEMPO  # beat periods in audio frames
LEVELS = (1.0, 1 / 2, 2 / 3, 3 / 4, 4 / 3, 3 / 2, 2.0)  # periods that are mistaken for each other
SLOWEST_SONG = 57.0  # beats a minute: what is slower is felt in double time, though passages may be slower
MOST_BEND = 1.3  # by which the tempo of a song may leave its median
# The network: what the onsets count beside it when the level is chosen (log-odds a second), the height of its beats
# above what lies between them that is as sure as can be, the mean share of that below which it heard none, and the mean
# height below which the onsets are asked first: of music like what it was trained on it is 0.5 and more.
ONSETS_SHARE, CLEAR, LEAST_HEARD, HEARD_WELL = 3.0, 0.6, 0.2, 0.4
# What the onsets say of each beat's place in the bar beside the network; and what the regression of metre.py, a word on
# the whole song, counts beside the mean of a beat when the length of the bars is chosen; 0.15 to 0.4 do the same.
PLACES_SHARE, METRE_SHARE = 0.3, 0.25
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


def track(
    heard: Spectra, flux: np.ndarray, activation: np.ndarray, duration: float, pulse: np.ndarray | None = None
) -> Beats:
    """flux, activation: of `onsets`; duration in seconds; pulse (2, t): of the network, None to do without it.

    Where the network hardly hears the beats the onsets alone are asked; where no beat is found, an even grid with
    confidence 0.
    """
    sound = sounding_span(heard, duration)
    if sound is None:
        return even_grid(duration)
    found = follow_pulse(pulse, heard, flux, activation, *sound) if pulse is not None else None
    if found is None or near(pulse[0], found.times).mean() < HEARD_WELL:
        by_onsets = follow_onsets(heard, flux, activation, *sound)
        if by_onsets and pulse is not None and not (found and alike(found, by_onsets)):
            # The onsets of speech look regular enough to themselves; the network doubts them.
            doubted = min(by_onsets.confidence, float(surety(pulse[0], by_onsets.times).mean()))
            by_onsets = replace(by_onsets, confidence=doubted)
        found = by_onsets or found
    return found or even_grid(duration)


def follow_pulse(
    pulse: np.ndarray, heard: Spectra, flux: np.ndarray, activation: np.ndarray, start: float, end: float
) -> Beats | None:
    """pulse (2, t) 0..1: beat and downbeat per audio frame. None where hardly a beat is heard."""
    periods = np.arange(int(np.ceil(FASTEST)), int(SLOWEST) + 1)
    likelihoods = on_off(pulse[0])
    frames = decode(likelihoods, periods, preference(60 * FRAME_RATE / periods))
    if len(frames) < 4:
        return None
    period = float(np.median(np.diff(frames)))
    period *= choose_level(likelihoods, flux, activation, period)
    # Once more near that period alone, or a thin beginning would be counted at half or double time.
    periods = periods[np.abs(np.log(periods / period)) < np.log(MOST_BEND)]
    frames = decode(likelihoods, periods, np.ones(len(periods)))
    # The network tells which onset, the onset tells when.
    frames = on_peaks(frames, pulse[0] * (0.2 + activation))
    times = cover(one_grid(straighten(frames / FRAME_RATE - LATENCY)), start, end)
    if len(times) < 4:
        return None
    sure = surety(pulse[0], times)
    confidence = float(sure.mean())
    if confidence < LEAST_HEARD:
        return None
    times = np.round(times, 3)
    tempo = 60 / float(np.median(np.diff(times)))
    beat, down = (near(row, times) for row in pulse)
    chance = np.clip(down / np.maximum(np.maximum(beat, down), 0.05), 0.02, 0.95)
    rows = metre.channels(heard, flux, activation)
    positions = heard_positions(chance, metre.at(rows, (times + LATENCY) * FRAME_RATE))
    return Beats(times, positions, tempo, confidence, uniform_filter1d(sure, 9, mode="nearest"))


def choose_level(likelihoods: np.ndarray, flux: np.ndarray, activation: np.ndarray, period: float) -> float:
    """One of LEVELS: by how much the period (audio frames) the network follows best is to be multiplied.

    Half and double time often look alike to the network; then the onsets of a minute from the middle decide. Below
    SLOWEST_SONG nothing is chosen.
    """
    middle, reach = len(likelihoods) // 2, int(30 * FRAME_RATE)
    excerpt = slice(max(0, middle - reach), middle + reach)
    longest = 60 * FRAME_RATE / SLOWEST_SONG
    levels = np.array([level for level in LEVELS if FASTEST <= level * period <= longest])
    heard = []
    for level in levels:
        low, high = (np.clip(level * period * bend, FASTEST, SLOWEST) for bend in (1 / MOST_BEND, MOST_BEND))
        heard.append(likelihood(likelihoods[excerpt], np.arange(int(np.ceil(low)), int(high) + 1)) * FRAME_RATE)
    onsets = np.log(worth(flux[:, excerpt], activation[excerpt], levels * period))
    return float(levels[int(np.argmax(np.array(heard) + ONSETS_SHARE * onsets))])


def alike(one: Beats, other: Beats, least_share: float = 0.8) -> bool:
    """Whether most beats of the one are those of the other, within 50 ms, and their tempo is the same."""
    after = np.clip(np.searchsorted(other.times, one.times), 1, len(other.times) - 1)
    aside = np.minimum(abs(one.times - other.times[after - 1]), abs(one.times - other.times[after]))
    return abs(np.log(one.tempo / other.tempo)) < 0.03 and float(np.mean(aside < 0.05)) > least_share


def surety(row: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(n,) 0..1: how much clearer the network hears the beats at times (n,) than what lies between. row (t,): its
    beats."""
    middles = times + np.diff(times, append=2 * times[-1] - times[-2]) / 2
    return np.clip((near(row, times) - near(row, middles)) / CLEAR, 0, 1)


def near(row: np.ndarray, times: np.ndarray) -> np.ndarray:
    """(n,): the largest value of row (t,) within 35 ms of times (n,) in seconds."""
    frames = np.clip(np.round((times + LATENCY) * FRAME_RATE).astype(int), 0, len(row) - 1)
    return maximum_filter1d(row, 7)[frames]


def heard_positions(down: np.ndarray, on: np.ndarray) -> np.ndarray:
    """(n,) 1..metre: bars of the length that both the network and the onsets find likely.

    down (n,): the network's chance that a beat is a downbeat; on (c, n): `metre.channels` on the beats. The network
    hears well which beats stand out, but the third beat of four may be as strong to it as the first.
    """
    best, positions = -np.inf, None
    for beats_in_bar, odds in metre.bar_odds(on).items():
        gain = np.tile(np.log(1 - down)[:, None], beats_in_bar)
        gain[:, 0] = np.log(down)
        onsets = metre.places(on, beats_in_bar)
        count = count_bars(gain + PLACES_SHARE * onsets / max(float(onsets.std()), 1e-6), HEARD_SLIP)
        score = count.score / len(down) + METRE_SHARE * odds
        if score > best:
            best, positions = score, count.positions
    return positions


def follow_onsets(heard: Spectra, flux: np.ndarray, activation: np.ndarray, start: float, end: float) -> Beats | None:
    """By the onsets alone; None where no beat is found."""
    periods, weights, confidence = choose_tempo(flux, activation)
    if confidence < LEAST_CONFIDENCE:
        return None
    frames = on_peaks(decode(on_off(activation), periods, weights), activation)
    if len(frames) < 4:
        return None
    rows = metre.channels(heard, flux, activation)
    phase = metre.off_beat(rows, frames)
    if phase:
        aside = frames + phase * np.diff(frames, append=2 * frames[-1] - frames[-2])
        frames = on_peaks(decode(learned(flux, aside), periods, weights), activation)
    times = cover(one_grid(straighten(frames / FRAME_RATE - LATENCY)), start, end)
    if len(times) < 4:
        return None
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
    edges = [0, N_BASS, *(N_BASS + np.searchsorted(_mel_centres(), [400, 2500])), N_BASS + N_MELS]
    gains = 400 / _peak(heard.bass), 400 / _peak(heard.mel)
    lag, rises = 2, np.zeros((len(edges) - 1, len(heard)))
    for start in range(0, len(heard), BLOCK):  # a block at a time: memory does not grow with the song
        before = max(0, start - lag)
        here = slice(before, start + BLOCK)
        bands = np.log1p(np.hstack([gains[0] * heard.bass[here], gains[1] * heard.mel[here]]))
        rise = np.maximum(0, bands[lag:] - maximum_filter1d(bands, 3, axis=1)[:-lag])
        means = [rise[:, a:b].mean(1) for a, b in pairwise(edges)]
        rises[:, before + lag : start + BLOCK] = means
    flux = np.stack([_stand_out(rise) for rise in rises])
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

    This also mends passages where the tracker sat on the off-beat, or counted a beginning without drums at half or
    double time. A song that begins or ends at a tempo of its own keeps its beats as they are.
    """
    if len(times) < 16:
        return times
    far, usual = min(16, len(times) // 4), float(np.median(np.diff(times)))
    spans = (times[far:] - times[:-far]) / far  # exacter than from one beat to the next
    alike = spans[np.abs(spans / usual - 1) < 0.03]
    periods = (float(np.median(alike)) if len(alike) else usual) * (1 + np.linspace(-0.004, 0.004, 801))
    phasors = np.array([np.exp(2j * np.pi * times / period).mean() for period in periods])
    best = int(np.abs(phasors).argmax())
    period, phase = periods[best], np.angle(phasors[best]) / (2 * np.pi) * periods[best]
    steps = np.round((times - phase) / period)
    fits = np.abs(times - phase - steps * period) < min(0.045, 0.1 * period)
    rim = min(48, len(times) // 4)
    rims = (slice(rim), slice(-rim, None))
    if fits.mean() < least_share or any(_tempo_of_its_own(times[part], fits[part], period) for part in rims):
        return times
    slope, start = np.polyfit(steps[fits], times[fits], 1)
    return start + slope * np.arange(steps[0], steps[-1] + 1)


def _tempo_of_its_own(times: np.ndarray, fits: np.ndarray, period: float) -> bool:
    """Whether most of these beats miss the grid and their tempo is not the grid's, nor one it is mistaken for."""
    ratio = float(np.median(np.diff(times))) / period
    return fits.mean() < 0.5 and all(abs(np.log(ratio / level)) > 0.03 for level in LEVELS)


# ---------------------------------------------------------------- bars


def bar_positions(times: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(n,) 1..metre for beats in seconds. rows: `metre.channels` of the song. 6/8 is counted in two."""
    on = metre.at(rows, (times + LATENCY) * FRAME_RATE)
    beats_in_bar = metre.find_bar(on)
    gain = metre.places(on, beats_in_bar)
    return count_bars(gain / max(float(gain.std()), 1e-6), SLIP).positions


def mean_between(x: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Mean rows of x between successive edges (fractional row numbers): (len(edges) - 1, columns)."""
    edges = np.clip(np.round(edges).astype(int), 0, len(x) - 1)
    stops = np.minimum(np.maximum(edges[1:], edges[:-1] + 1), len(x))
    return np.array([x[start:stop].mean(0, dtype=np.float64) for start, stop in zip(edges[:-1], stops)])
