"""Cut-to-the-beat: where one shot ends and the next begins.

Every beat is a place where a cut may fall. A dynamic programme picks the cheapest chain of them: shots as long as the
music's pace asks (in bars), cuts on downbeats and strong onsets, always one at a section's first beat. The frame of a
cut is mv.timing.to_frame of its beat's absolute time, so cuts cannot drift from the music.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from director.vocabulary import BARS_FOR_PACE, FILL_BARS, FILL_PACE, LABEL_PACE, PHRASE_BARS
from mv.schema import Analysis, Section, film_frames
from mv.timing import to_frame

SHORTEST_SECONDS, SHORTEST_FRAMES = 0.8, 12
LONGEST_SECONDS = 8.0
# A stretch longer than this with no beat in it is divided all the same, or one shot would have to hold minutes.
BEATLESS_SECONDS = 24.0

# Prices of the dynamic programme, in one currency: a shot of half or twice the wanted length costs LENGTH_PRICE for
# each wanted length it covers, so time spent too fast and too slow weighs the same.
LENGTH_PRICE = 2.0
BEAT_PRICE = {"downbeat": 0.0, "strong beat": 0.8, "beat": 2.0, "no beat": 2.0}
ONSET_PRICE = 0.5  # what a beat without any onset costs more than the loudest one
PEAK_DISCOUNT = 0.3  # for a strong beat whose onset is louder than its neighbours'


@dataclass(frozen=True)
class Curves:
    """The analysis' feature curves as arrays, read by time in seconds."""

    rate: float
    values: dict[str, np.ndarray]

    @classmethod
    def of(cls, analysis: Analysis) -> "Curves":
        values = {name: np.nan_to_num(np.asarray(curve, float)) for name, curve in analysis.features.items()}
        return cls(analysis.feature_rate, values)

    def mean(self, name: str, start: float, end: float) -> float:
        """Mean over [start, end); the nearest value where the range holds none, 0 for an empty curve."""
        return float(self._between(name, start, end).mean())

    def peak(self, name: str, time: float, reach: float = 0.05) -> float:
        """Greatest value within `reach` seconds of a time."""
        return float(self._between(name, time - reach, time + reach).max())

    def _between(self, name: str, start: float, end: float) -> np.ndarray:
        curve = self.values[name]
        if not len(curve):
            return np.zeros(1)
        first = min(max(0, math.ceil(start * self.rate)), len(curve) - 1)
        return curve[first : max(first + 1, math.ceil(end * self.rate))]


@dataclass(frozen=True)
class ShotRange:
    """Frames [start, end) of one shot, before anybody knows what it shows.

    time: seconds of the beat the cut falls on. beat: its index in the analysis' beats, None at the film's start and
    where there is no beat. section: index of the section most of the shot lies in; position: which shot of that section
    this is, from 0. evidence: why the cut is here.
    """

    start: int
    end: int
    time: float
    beat: int | None
    section: int
    position: int
    evidence: str


@dataclass(frozen=True)
class _Candidates:
    """Places where a cut may fall, the film's start first and its end last; all arrays of one length.

    beats: index into the analysis' beats, -1 where there is none. onsets: 0..1 of the song's loudest.
    bars, wanted: how long a shot that starts here should last, in bars and in frames. opens: sections whose first beat
    this is, by candidate.
    """

    times: np.ndarray
    frames: np.ndarray
    beats: np.ndarray
    onsets: np.ndarray
    ranks: list[str]
    bars: np.ndarray
    wanted: np.ndarray
    opens: dict[int, int]


def cut_to_the_beat(analysis: Analysis, fps: Fraction, curves: Curves | None = None) -> list[ShotRange]:
    """Shot ranges that tile [0, film_frames(duration, fps)) in frames.

    Every cut frame is to_frame(beat, fps) of one of the analysis' beats; only a stretch of more than BEATLESS_SECONDS
    without any beat is divided elsewhere (beat None), at section starts and strong onsets. No shot is shorter than
    0.8 s or 12 frames (but for a film that is), none longer than about 8 s where there are beats to cut on.
    """
    curves = curves or Curves.of(analysis)
    sections = sections_of(analysis)
    shortest, longest = shot_limits(fps)
    candidates = _candidates(analysis, sections, curves, fps, shortest)
    chain = _cheapest_chain(candidates, shortest, longest)
    return _ranges(analysis, sections, candidates, chain, fps)


def shot_limits(fps: Fraction) -> tuple[int, int]:
    """Shortest and longest shot in frames."""
    shortest = max(SHORTEST_FRAMES, math.ceil(SHORTEST_SECONDS * fps))
    return shortest, max(int(LONGEST_SECONDS * fps), 2 * shortest)


def sections_of(analysis: Analysis) -> list[Section]:
    """The song's sections; the whole song as one verse where the analysis found none."""
    return analysis.sections or [Section(start=0, duration=analysis.duration, label="verse")]


def paces(sections: list[Section]) -> list[float]:
    """How fast each section wants to be cut, 0..1: its energy, in itself and among the song's own, and its label."""
    energies = [section.energy for section in sections]
    low, high = min(energies), max(energies)
    spread = high - low
    relative = [(e - low) / spread if spread > 0.1 else 0.5 for e in energies]
    raw = [0.6 * e + 0.4 * r + LABEL_PACE[s.label] for e, r, s in zip(energies, relative, sections)]
    return [min(max(pace, 0.0), 1.0) for pace in raw]


def bars_for(pace: float) -> float:
    """Wanted shot length in bars."""
    return next(bars for limit, bars in BARS_FOR_PACE if pace <= limit)


# ---------------------------------------------------------------- where a cut may fall, and what it would cost


def _candidates(
    analysis: Analysis, sections: list[Section], curves: Curves, fps: Fraction, shortest: int
) -> _Candidates:
    num_frames = film_frames(analysis.duration, fps)
    moments = [(time, i) for i, time in enumerate(analysis.beats) if 0 < time < analysis.duration]
    moments = sorted(moments + [(time, -1) for time in _beatless_moments(analysis, sections, curves)])
    placed = [(to_frame(time, fps), time, beat) for time, beat in moments]
    placed = list({p[0]: p for p in placed if shortest <= p[0] <= num_frames - shortest}.values())
    forced = _section_cuts(placed, sections, shortest)
    kept = [p for p in placed if p[0] in forced or all(abs(p[0] - f) >= shortest for f in _around(p[0], forced))]
    places = [(0, 0.0, -1), *kept, (num_frames, analysis.duration, -1)]
    times, beats = np.array([p[1] for p in places]), np.array([p[2] for p in places])
    bars = _wanted_bars(analysis, sections, times)
    loudest = max(curves.values["onset"].max(initial=0.0), 1e-9)
    return _Candidates(
        times=times,
        frames=np.array([p[0] for p in places]),
        beats=beats,
        onsets=np.array([curves.peak("onset", time) / loudest for time in times]),
        ranks=_ranks(analysis, beats),
        bars=bars,
        wanted=_wanted_frames(analysis, times, bars, fps, shortest),
        opens={i: forced[p[0]] for i, p in enumerate(places) if p[0] in forced},
    )


def _beatless_moments(analysis: Analysis, sections: list[Section], curves: Curves) -> list[float]:
    """Cuts for long stretches without a beat: section starts, and between them strong onsets about 8 s apart."""
    moments = []
    for start, end in pairwise([0.0, *(b for b in analysis.beats if 0 < b < analysis.duration), analysis.duration]):
        if end - start <= BEATLESS_SECONDS:
            continue
        starts = [s.start for s in sections if start + 2 < s.start < end - 2]
        for left, right in pairwise([start, *starts, end]):
            parts = math.ceil((right - left) / LONGEST_SECONDS)
            inner = [left + (right - left) * k / parts for k in range(1, parts)]
            moments += [_strongest_near(curves, time) for time in inner]
        moments += starts
    return sorted(set(moments))


def _strongest_near(curves: Curves, time: float, reach: float = 1.0) -> float:
    """Time of the strongest onset within `reach` seconds; the time itself where nothing sounds."""
    first = max(0, math.ceil((time - reach) * curves.rate))
    nearby = curves.values["onset"][first : math.ceil((time + reach) * curves.rate)]
    return (first + int(nearby.argmax())) / curves.rate if nearby.max(initial=0.0) > 0 else time


def _section_cuts(placed: list[tuple[int, float, int]], sections: list[Section], shortest: int) -> dict[int, int]:
    """Frame → section for each section's nearest beat; a section too near the one before gets no cut of its own."""
    forced: dict[int, int] = {}
    times = np.array([time for _, time, _ in placed])
    for k, section in enumerate(sections):
        if k == 0 or not len(times):
            continue
        frame = placed[int(np.abs(times - section.start).argmin())][0]
        last = next(reversed(forced), -shortest)
        if frame == last or frame - last >= shortest:
            forced[frame] = k
    return forced


def _around(frame: int, forced: dict[int, int]) -> list[int]:
    """The forced cuts just before and just after a frame."""
    frames = list(forced)
    after = int(np.searchsorted(frames, frame))
    return frames[max(0, after - 1) : after + 1]


def beats_per_bar(analysis: Analysis) -> int:
    """Median number of beats between downbeats; 4 where there are too few downbeats to say."""
    if len(analysis.downbeats) < 3:
        return 4
    places = np.searchsorted(analysis.beats, analysis.downbeats)
    return max(1, int(np.median(np.diff(places))))


def _ranks(analysis: Analysis, beats: np.ndarray) -> list[str]:
    """How much a beat weighs in its bar: a key of BEAT_PRICE for each candidate.

    The middle of an even bar is a strong beat. Where no downbeat was found all beats weigh the same.
    """
    downbeats = np.searchsorted(analysis.beats, analysis.downbeats)
    per_bar = beats_per_bar(analysis)

    def rank(beat: int) -> str:
        if beat < 0:
            return "no beat"
        if not len(downbeats):
            return "beat"
        since = beat - downbeats[max(0, np.searchsorted(downbeats, beat, side="right") - 1)]
        if since == 0:
            return "downbeat"
        return "strong beat" if per_bar % 2 == 0 and since * 2 == per_bar else "beat"

    return [rank(int(beat)) for beat in beats]


def _wanted_bars(analysis: Analysis, sections: list[Section], times: np.ndarray) -> np.ndarray:
    """How many bars a shot that starts at each time should last: by its section's pace and the bar of its phrase."""
    starts = analysis.beat_position(np.array([s.start for s in sections]))
    counts = analysis.beat_position(times)
    # A section's first beat may lie up to half a beat before it.
    section = np.maximum(np.searchsorted(starts, counts + 0.5, side="right") - 1, 0)
    pace = np.array(paces(sections))
    bars = np.array([bars_for(p) for p in pace])[section]
    bar_of_section = np.floor((counts - np.round(starts)[section] + 0.01) / beats_per_bar(analysis))
    fill = (pace[section] >= FILL_PACE) & (bar_of_section % PHRASE_BARS == PHRASE_BARS - 1)
    return np.where(fill, FILL_BARS, bars)


def _wanted_frames(analysis: Analysis, times: np.ndarray, bars: np.ndarray, fps: Fraction, shortest: int) -> np.ndarray:
    """The wanted bars in frames, at the tempo played around each time."""
    beats = np.asarray(analysis.beats)
    if len(beats) < 2:
        return np.full(len(times), LONGEST_SECONDS * float(fps))
    at = np.searchsorted(beats, times)
    left, right = np.clip(at - 4, 0, len(beats) - 2), np.clip(at + 4, 1, len(beats) - 1)
    bar_seconds = beats_per_bar(analysis) * (beats[right] - beats[left]) / (right - left)
    return np.clip(bars * bar_seconds * float(fps), shortest, LONGEST_SECONDS * float(fps))


def _cut_prices(candidates: _Candidates) -> np.ndarray:
    onsets = candidates.onsets
    louder = np.r_[False, (onsets[1:-1] > onsets[:-2]) & (onsets[1:-1] >= onsets[2:]), False]
    strong = np.array([rank in ("downbeat", "strong beat") for rank in candidates.ranks])
    prices = np.array([BEAT_PRICE[rank] for rank in candidates.ranks]) + ONSET_PRICE * (1 - onsets)
    prices -= PEAK_DISCOUNT * (louder & strong)
    prices[-1] = 0.0  # the film's end is not a choice
    return prices


def _cheapest_chain(candidates: _Candidates, shortest: int, longest: int) -> list[int]:
    """Indices of the candidates to cut at, from the film's start to its end, both included.

    No shot runs over a section's first beat. One longer than `longest` is made only where no candidate could end or
    start it sooner.
    """
    frames, wanted, prices = candidates.frames, candidates.wanted, _cut_prices(candidates)
    cost, came_from = np.full(len(frames), np.inf), np.zeros(len(frames), int)
    cost[0], last_section = 0.0, 0
    for j in range(1, len(frames)):
        nearest = max(int(np.searchsorted(frames, frames[j] - shortest, side="right")) - 1, last_section)
        farthest = max(int(np.searchsorted(frames, frames[j] - longest)), last_section)
        first = min(farthest, nearest)
        ratio = (frames[j] - frames[first : nearest + 1]) / wanted[first : nearest + 1]
        totals = cost[first : nearest + 1] + LENGTH_PRICE * ratio * np.log2(ratio) ** 2
        came_from[j] = first + int(totals.argmin())
        cost[j] = totals.min() + prices[j]
        last_section = j if j in candidates.opens else last_section
    chain = [len(frames) - 1]
    while chain[-1]:
        chain.append(int(came_from[chain[-1]]))
    return chain[::-1]


# ---------------------------------------------------------------- the chosen cuts, with their evidence


def _ranges(
    analysis: Analysis, sections: list[Section], candidates: _Candidates, chain: list[int], fps: Fraction
) -> list[ShotRange]:
    starts = np.array([0, *(to_frame(s.start, fps) for s in sections[1:])])
    ranges: list[ShotRange] = []
    for this, following in pairwise(chain):
        start, end = int(candidates.frames[this]), int(candidates.frames[following])
        section = _section_of(start, end, starts)
        same = bool(ranges) and ranges[-1].section == section
        beat = int(candidates.beats[this])
        ranges.append(
            ShotRange(
                start=start,
                end=end,
                time=float(candidates.times[this]),
                beat=beat if beat >= 0 else None,
                section=section,
                position=ranges[-1].position + 1 if same else 0,
                evidence=_evidence(analysis, sections, candidates, this),
            )
        )
    return ranges


def _section_of(start: int, end: int, starts: np.ndarray) -> int:
    """The section that holds most of the frames [start, end)."""
    ends = np.append(starts[1:], max(end, int(starts[-1])))
    return int((np.minimum(end, ends) - np.maximum(start, starts)).argmax())


def _evidence(analysis: Analysis, sections: list[Section], candidates: _Candidates, i: int) -> str:
    if i == 0:
        return "the film starts with the song"
    time, rank = candidates.times[i], candidates.ranks[i]
    words = f"onset {candidates.onsets[i]:.2f} of max"
    if rank == "no beat":
        words = f"at {time:.2f} s, in a stretch of more than {BEATLESS_SECONDS:.0f} s without a beat, {words}"
    else:
        words = f"{_name_of_beat(analysis, int(candidates.beats[i]), rank)} at {time:.2f} s, {words}"
    if i in candidates.opens:
        section = sections[candidates.opens[i]]
        words += f"; {section.label} starts at {section.start:.2f} s"
    return f"{words}; wanted length {candidates.bars[i]:g} bars" if analysis.beats else words


def _name_of_beat(analysis: Analysis, beat: int, rank: str) -> str:
    if not analysis.downbeats:
        return f"beat {beat + 1}"
    bar = int(np.searchsorted(analysis.downbeats, analysis.beats[beat] + 1e-9))
    return f"bar {bar} {rank}" if bar else "pickup beat"
