"""What the loudness does: the arc of the song, the pulse of its bars, single accents; build-ups, drops and breaks."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, median_filter

from mv.analysis.beats import Beats, mean_between
from mv.analysis.features import CURVE_HOP, FEATURE_RATE, FRAME_RATE, Spectra
from mv.schema import Event

PHASES = 48  # places in a bar at which the pulse is known
FLOOR = 40.0  # dB below the song's loudest: what is softer counts as this soft
# An accent stands out by this many dB from what arc and pulse lead one to expect; no two within this many seconds.
LEAST_ACCENT, ACCENTS_APART = 6.0, 0.25
# dB by which the bars after a drop are louder than those before, by which a break is softer than the music around it,
# and by which a build-up has to rise.
DROP, BREAK, BUILD_UP = 5.0, 6.0, 3.0
LONGEST_BREAK, LONGEST_BUILD_UP = 8, 8  # bars


@dataclass(frozen=True)
class Dynamics:
    """Loudness in dB per curve value (t,) and its parts after STL: arc + pulse + rest = level, exactly."""

    level: np.ndarray
    arc: np.ndarray  # trend over bars
    pulse: np.ndarray  # what every bar has in common, mean 0
    rest: np.ndarray


def decompose(heard: Spectra, beats: Beats) -> Dynamics:
    power = gaussian_filter1d(heard.power.sum(1), CURVE_HOP)[::CURVE_HOP]
    level = 10 * np.log10(power + 1e-10)
    level = np.maximum(level, level.max() - FLOOR)
    phase = bar_phase(np.arange(len(level)) / FEATURE_RATE, beats)
    bar = _bar_seconds(beats)
    pulse = np.zeros(len(level))
    for _ in range(2):  # the arc once more without the pulse in it, as in STL's inner loop
        arc = gaussian_filter1d(level - pulse, bar * FEATURE_RATE)
        pulse = _season(level - arc, phase)
    return Dynamics(level, arc, pulse, level - arc - pulse)


def bar_phase(times: np.ndarray, beats: Beats) -> np.ndarray:
    """0..1 through the bar at times in seconds; outside the downbeats it runs on."""
    downbeats = beats.downbeats
    if len(downbeats) < 2:
        return times / _bar_seconds(beats) % 1
    first, last = downbeats[1] - downbeats[0], downbeats[-1] - downbeats[-2]
    before = np.ceil(downbeats[0] / first) + 1
    after = np.ceil(max(times[-1] - downbeats[-1], 0) / last) + 1
    knots = np.concatenate([[downbeats[0] - before * first], downbeats, [downbeats[-1] + after * last]])
    counts = np.concatenate([[-before], np.arange(len(downbeats)), [len(downbeats) - 1 + after]])
    return np.interp(times, knots, counts) % 1


def accents(dynamics: Dynamics) -> np.ndarray:
    """(n,) seconds of the hits that stand out of arc and pulse."""
    # A beat a little early or late is no accent: beyond all that the pulse has within 70 ms.
    usual = maximum_filter1d(dynamics.arc + dynamics.pulse, 7)
    out = dynamics.level - usual
    peaks = out == maximum_filter1d(out, 2 * int(ACCENTS_APART * FEATURE_RATE) + 1)
    at = np.flatnonzero(peaks & (out > LEAST_ACCENT))
    rise = np.pad(np.diff(dynamics.level, prepend=dynamics.level[0]), (4, 0))
    steepest = np.array([rise[i : i + 5].argmax() for i in at], int)  # of the five values up to the peak
    return np.maximum(at - 4 + steepest, 0) / FEATURE_RATE


def _season(detrended: np.ndarray, phase: np.ndarray) -> np.ndarray:
    place = np.minimum((phase * PHASES).astype(int), PHASES - 1)
    count = np.bincount(place, minlength=PHASES)
    mean = np.bincount(place, detrended, PHASES) / np.maximum(count, 1)
    return (mean - mean[count > 0].mean())[place]


def _bar_seconds(beats: Beats) -> float:
    if len(beats.downbeats) > 1:
        return float(np.median(np.diff(beats.downbeats)))
    return 2.0


# ---------------------------------------------------------------- build-ups, drops, breaks


def find_events(heard: Spectra, beats: Beats) -> list[Event]:
    """In the order of their starts; none where no beat was found or the song is shorter than six bars."""
    edges = beats.downbeats
    if beats.tempo == 0 or len(edges) < 7:
        return []
    power = mean_between(heard.power, edges * FRAME_RATE)
    whole, low = 10 * np.log10(power.sum(1) + 1e-10), 10 * np.log10(power[:, 0] + 1e-10)
    whole, low = (np.maximum(x, x.max() - FLOOR) for x in (whole, low))
    onsets = _busyness(heard, edges)
    events = [Event(kind="break", start=edges[a], end=edges[b]) for a, b in breaks(whole, low)]
    for bar in drops(whole, low):
        events.append(Event(kind="drop", start=edges[bar], end=edges[bar + 1]))
        start = build_up(whole, onsets, bar)
        if start is not None:
            events.append(Event(kind="build-up", start=edges[start], end=edges[bar]))
    return sorted(events, key=lambda event: (event.start, event.kind))


def _busyness(heard: Spectra, edges: np.ndarray) -> np.ndarray:
    """Mean rise of the spectrum per bar, in units of the song's mean: rolls and risers have much of it."""
    mel = np.log1p(1000 * heard.mel)
    rise = np.maximum(np.diff(mel, axis=0, prepend=mel[:1]), 0).mean(1)
    return mean_between(rise[:, None], edges * FRAME_RATE)[:, 0] / (rise.mean() + 1e-9)


def drops(whole: np.ndarray, low: np.ndarray) -> list[int]:
    """Bars in which the lows come back: louder by DROP than the two bars before, and so for two bars."""
    jump = np.full(len(low), -np.inf)
    for bar in range(2, len(low) - 1):
        bass = min(low[bar], low[bar + 1]) - max(low[bar - 2], low[bar - 1])
        all_of_it = min(whole[bar], whole[bar + 1]) - max(whole[bar - 2], whole[bar - 1])
        jump[bar] = bass if all_of_it > 0.4 * DROP and whole[bar] > np.median(whole) else -np.inf
    near = maximum_filter1d(jump, 5)
    return [int(bar) for bar in np.flatnonzero((jump >= DROP) & (jump == near))]


def breaks(whole: np.ndarray, low: np.ndarray) -> list[tuple[int, int]]:
    """(first bar, end bar) of passages of at most LONGEST_BREAK bars softer than what is on both sides of them."""
    usual = median_filter(whole, 4 * LONGEST_BREAK + 1, mode="nearest")
    soft = (whole < usual - BREAK) | ((low < median_filter(low, 33, mode="nearest") - 2 * BREAK) & (whole < usual - 2))
    steps = np.diff(soft.astype(int), prepend=0, append=0)
    spans = zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1))
    return [(int(a), int(b)) for a, b in spans if a > 0 and b < len(whole) and b - a <= LONGEST_BREAK]


def build_up(whole: np.ndarray, onsets: np.ndarray, drop: int) -> int | None:
    """The bar from which loudness and busyness rise towards a drop, at least two bars before it; or None."""
    for start in range(max(0, drop - LONGEST_BUILD_UP), drop - 1):
        span = slice(start, drop)
        steps = np.arange(drop - start)
        loud, busy = np.polyfit(steps, whole[span], 1)[0], np.polyfit(steps, onsets[span], 1)[0]
        rises = loud * steps[-1] >= BUILD_UP and busy >= 0 and (np.diff(whole[span]) > -1.5).all()
        if rises:
            return start
    return None
