"""Cut-to-the-beat: where one shot ends and the next begins.

Every beat is a place where a cut may fall. A dynamic programme picks the cheapest chain of them: shots as long as the
music's pace asks (in bars), cuts on downbeats and strong onsets, always one at a section's first beat. The frame of a
cut is mv.timing.to_frame of its beat's absolute time, so cuts cannot drift from the music.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise

import numpy as np

from director.vocabulary import (
    BARS_IN_BUILD,
    BREAK_BARS,
    BUILD_BARS,
    BUILD_RISE,
    BUILDS_TO,
    HIT_SHARE,
    LABEL_PACE,
    PACE_A_SECOND,
    PHRASES_FOR_PACE,
    SPARSE_BARS,
    SPARSE_SHARE,
    USUAL_BAR_SECONDS,
)
from mv.schema import Analysis, Section, film_frames
from mv.timing import to_frame, to_seconds

SHORTEST_SECONDS, SHORTEST_FRAMES = 0.8, 12
LONGEST_SECONDS = 8.0
LEAST_BARS = 0.5
PHRASE_BARS, GOLDEN = 4, 0.618  # the golden ratio takes turns as evenly as a share allows
BARS_SLACK = 1.05  # by how much bars played by hand may be longer and still count as LONGEST_SECONDS
# A stretch longer than this with no beat in it is divided all the same, or one shot would have to hold minutes.
BEATLESS_SECONDS = 24.0

# Prices of the dynamic programme, in one currency: a shot of half or twice the wanted length costs LENGTH_PRICE for
# each wanted length it covers, so time spent too fast and too slow weighs the same.
LENGTH_PRICE = 3.0
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
class CutWish:
    """A cut asked for near a time in seconds; why: for the reasons."""

    time: float
    why: str


@dataclass(frozen=True)
class _Build:
    """A passage, start and end in seconds, that rises; to: what it leads to."""

    start: float
    end: float
    to: str


@dataclass(frozen=True)
class _Moment:
    """Where a cut may fall. beat: index into the analysis' beats or -1; position: its beat count."""

    frame: int
    time: float
    beat: int
    position: float


@dataclass(frozen=True)
class _Candidates:
    """Places where a cut may fall, the film's start first and its end last; all arrays of one length.

    beats: index into the analysis' beats, -1 where there is none. onsets: 0..1 of the song's loudest.
    bars, wanted: how long a shot that starts here should last, in bars and in frames. positions: beat counts.
    forced: where a cut must fall, candidate → why. notes: what else decided the wanted length, if anything.
    """

    times: np.ndarray
    frames: np.ndarray
    beats: np.ndarray
    onsets: np.ndarray
    ranks: list[str]
    bars: np.ndarray
    wanted: np.ndarray
    positions: np.ndarray
    forced: dict[int, str]
    notes: list[str]


def cut_to_the_beat(
    analysis: Analysis,
    fps: Fraction,
    curves: Curves | None = None,
    pace: float = 1.0,
    wishes: Sequence[CutWish] = (),
    kept: Sequence[tuple[int, int]] = (),
) -> list[ShotRange]:
    """Shot ranges that tile [0, film_frames(duration, fps)) in frames.

    pace: 0.5 to 2, how fast to cut: at 2 shots are half as long. wishes: a cut falls on the beat nearest to each, where
    that leaves no shot too short. kept: frames [start, end) of shots that stay as they are.
    Every other cut frame is to_frame(beat, fps) of one of the analysis' beats; only a stretch of more than
    BEATLESS_SECONDS without any beat is divided elsewhere (beat None), at section starts and strong onsets. No shot is
    shorter than half a bar, 0.8 s or 12 frames (but for a film or a gap between kept shots that is), none longer than
    about 8 s / pace where there are beats to cut on.
    """
    curves = curves or Curves.of(analysis)
    sections = sections_of(analysis)
    shortest, longest = shot_limits(fps, pace)
    candidates = _candidates(analysis, sections, curves, fps, pace, wishes, kept)
    chain = _cheapest_chain(candidates, shortest, longest, half_bar(analysis))
    return _ranges(analysis, sections, candidates, chain, fps)


def shot_limits(fps: Fraction, pace: float = 1.0) -> tuple[int, int]:
    """Shortest and longest shot in frames."""
    shortest = max(SHORTEST_FRAMES, math.ceil(SHORTEST_SECONDS * fps))
    return shortest, max(int(LONGEST_SECONDS / Fraction(pace) * fps), 2 * shortest)


def half_bar(analysis: Analysis) -> float:
    """In beats; 0 where there are not two beats to count by."""
    return beats_per_bar(analysis) / 2 if len(analysis.beats) > 1 else 0.0


def sections_of(analysis: Analysis) -> list[Section]:
    """The song's sections; the whole song as one verse where the analysis found none."""
    return analysis.sections or [Section(start=0, duration=analysis.duration, label="verse")]


def section_names(sections: list[Section]) -> list[str]:
    """Labels, numbered where the song has more than one of them: verse 1, chorus 1, verse 2, chorus 2, bridge."""
    labels = [section.label for section in sections]
    return [
        f"{label} {labels[: i + 1].count(label)}" if labels.count(label) > 1 else label
        for i, label in enumerate(labels)
    ]


def paces(sections: list[Section]) -> list[float]:
    """How fast each section wants to be cut, 0..1: by its energy and its label, whatever the other sections are."""
    return [min(max(section.energy + LABEL_PACE[section.label], 0.0), 1.0) for section in sections]


def bars_for(pace: float, bar: float = 0.0) -> float:
    """Wanted length in bars of a shot that starts `bar` bars into a section, by the phrase it begins in."""
    phrases = next(phrases for limit, phrases in PHRASES_FOR_PACE if pace <= limit)
    lengths = [length for phrase in phrases for length in phrase]
    ends = np.cumsum(lengths)
    return lengths[int(np.searchsorted(ends, (bar + 0.01) % ends[-1], side="right"))]


# ---------------------------------------------------------------- where a cut may fall, and what it would cost


def _candidates(
    analysis: Analysis,
    sections: list[Section],
    curves: Curves,
    fps: Fraction,
    pace: float,
    wishes: Sequence[CutWish],
    kept: Sequence[tuple[int, int]],
) -> _Candidates:
    start, *inner, end = _moments(analysis, sections, curves, fps)
    shortest, least = shot_limits(fps)[0], half_bar(analysis)

    def apart(one: _Moment, other: _Moment) -> bool:
        far = abs(one.position - other.position) >= least - 1e-6
        return far and abs(one.frame - other.frame) >= shortest

    edges = [_edge(frame, inner, analysis, fps) for span in kept for frame in span if start.frame < frame < end.frame]
    forced = {edge: "beside a shot that is kept" for edge in edges}
    outside = [m for m in inner if not any(first <= m.frame <= last for first, last in kept)]
    free = [m for m in outside if all(apart(m, other) for other in (start, end, *forced))]
    drops = [(event.start, "the music drops here") for event in analysis.events if event.kind == "drop"]
    for time, why in [*_section_starts(sections), *((wish.time, wish.why) for wish in wishes), *drops]:
        nearest = min([*free, *forced], key=lambda moment: abs(moment.time - time), default=None)
        if nearest in forced:
            forced[nearest] += f"; {why}"
        elif nearest is not None and all(apart(nearest, other) for other in forced):
            forced[nearest] = why
    kept_free = [m for m in free if m in forced or all(apart(m, other) for other in forced)]
    chosen = sorted({m.frame: m for m in (start, *kept_free, *forced, end)}.values(), key=lambda m: m.frame)
    times, beats = np.array([m.time for m in chosen]), np.array([m.beat for m in chosen])
    bars, notes = _wanted_bars(analysis, sections, times, curves, pace)
    bars = _in_bounds(bars, _bar_seconds(analysis, times), LONGEST_SECONDS / pace)
    loudest = max(curves.values["onset"].max(initial=0.0), 1e-9)
    return _Candidates(
        times=times,
        frames=np.array([m.frame for m in chosen]),
        beats=beats,
        onsets=np.array([curves.peak("onset", time) / loudest for time in times]),
        ranks=_ranks(analysis, beats),
        bars=bars,
        wanted=_wanted_frames(analysis, times, bars, fps, shortest),
        positions=np.array([m.position for m in chosen]),
        forced={i: forced[m] for i, m in enumerate(chosen) if m in forced},
        notes=notes,
    )


def _moments(analysis: Analysis, sections: list[Section], curves: Curves, fps: Fraction) -> list[_Moment]:
    """The film's start, every place where a cut may fall, the film's end; one a frame."""
    num_frames = film_frames(analysis.duration, fps)
    places = [(time, i) for i, time in enumerate(analysis.beats) if 0 < time < analysis.duration]
    places = sorted(places + [(time, -1) for time in _beatless_moments(analysis, sections, curves)])
    places = [(0.0, -1), *places, (analysis.duration, -1)]
    positions = _beat_counts(analysis, np.array([time for time, _ in places]))
    moments = [_Moment(to_frame(t, fps), t, beat, float(p)) for (t, beat), p in zip(places, positions)]
    start, end = replace(moments[0], frame=0), replace(moments[-1], frame=num_frames)
    return [start, *{m.frame: m for m in moments[1:-1] if 0 < m.frame < num_frames}.values(), end]


def _edge(frame: int, moments: list[_Moment], analysis: Analysis, fps: Fraction) -> _Moment:
    """A cut at exactly this frame, on its beat if it has one."""
    on_beat = next((moment for moment in moments if moment.frame == frame), None)
    time = to_seconds(frame, fps)
    return on_beat or _Moment(frame, time, -1, float(_beat_counts(analysis, np.array([time]))[0]))


def _beat_counts(analysis: Analysis, times: np.ndarray) -> np.ndarray:
    """Analysis.beat_position, but a stretch without a beat counts the beats it would hold."""
    beats = np.asarray(analysis.beats)
    counts = analysis.beat_position(times)
    if len(beats) < 2:
        return counts
    gaps = np.diff(beats)
    silent = gaps > BEATLESS_SECONDS
    extra = np.r_[0, np.cumsum(np.where(silent, gaps / np.median(gaps) - 1, 0))]
    return counts + np.interp(times, beats, extra)


def _section_starts(sections: list[Section]) -> list[tuple[float, str]]:
    names = section_names(sections)
    return [(s.start, f"{name} starts at {s.start:.2f} s") for s, name in zip(sections[1:], names[1:])]


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


def beats_per_bar(analysis: Analysis) -> int:
    """Median number of beats between downbeats; 4 where there are too few downbeats to say."""
    if len(analysis.downbeats) < 3:
        return 4
    places = np.searchsorted(analysis.beats, analysis.downbeats)
    return max(1, int(np.median(np.diff(places))))


def _median_bar(analysis: Analysis) -> float:
    """Seconds of a usual bar; USUAL_BAR_SECONDS where there are not two beats."""
    if len(analysis.beats) < 2:
        return USUAL_BAR_SECONDS
    return beats_per_bar(analysis) * float(np.median(np.diff(analysis.beats)))


def bar_position(analysis: Analysis, times: np.ndarray) -> np.ndarray:
    """Bar count (float, downbeat k = k) at times in seconds; four beats a bar where no downbeats are known."""
    counts = analysis.beat_position(np.asarray(times, float))
    if len(analysis.downbeats) < 2:
        return counts / 4
    at = analysis.beat_position(np.asarray(analysis.downbeats))
    before, after = at[1] - at[0], at[-1] - at[-2]
    knots = np.r_[at[0] - 1024 * before, at, at[-1] + 1024 * after]
    return np.interp(counts, knots, np.r_[-1024, np.arange(len(at)), len(at) + 1023])


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


def _wanted_bars(
    analysis: Analysis, sections: list[Section], times: np.ndarray, curves: Curves, faster: float
) -> tuple[np.ndarray, list[str]]:
    """How many bars a shot that starts at each time should last: by its section's pace, the bar of its phrase, and the
    build it lies in, half as often where few beats are hit; and what of this decided. faster: than the music asks."""
    begins = np.array([s.start for s in sections])
    starts, counts, per_bar = analysis.beat_position(begins), analysis.beat_position(times), beats_per_bar(analysis)
    # A section's first beat may lie up to half a beat before it.
    section = np.maximum(np.searchsorted(starts, counts + 0.5, side="right") - 1, 0)
    longer = _median_bar(analysis) - USUAL_BAR_SECONDS
    pace = np.clip(np.array(paces(sections)) + PACE_A_SECOND * longer, 0, 1)
    bar = np.maximum(bar_position(analysis, times) - np.round(bar_position(analysis, begins))[section], 0)
    scale = _scale(bar, faster)
    bars = np.array([many * bars_for(pace[k], b / many) for k, b, many in zip(section, bar, scale)])
    sparse = _is_sparse(analysis, times, curves, per_bar)
    bars = np.where(sparse, 2 * bars, bars)
    for event in analysis.events:
        if event.kind == "break":
            inside = (times >= event.start - 0.05) & (times < event.end - 0.05)
            bars = np.where(inside, np.maximum(bars, BREAK_BARS), bars)
    notes = ["few beats are hit here" if few else "" for few in sparse]
    for build in _builds(analysis, sections, curves):
        start, end = np.round(analysis.beat_position(np.array([build.start, build.end])))
        left = (end - counts) / per_bar
        before = (max(start, end - BARS_IN_BUILD[-1][0] * per_bar) - counts) / per_bar  # it accelerates
        bars = np.where((before >= 1) & (before < bars), before, bars)
        for limit, length in reversed(BARS_IN_BUILD):
            inside = (counts >= start - 0.5) & (left > 0.01) & (left <= limit + 0.01)
            for i in np.flatnonzero(inside & (bars > length * scale)):
                bars[i], notes[i] = length * scale[i], f"the build to {build.to} accelerates"
    return np.maximum(bars, LEAST_BARS), notes


def _scale(bar: np.ndarray, pace: float) -> np.ndarray:
    """(n,) how many times its usual length a shot lasts at this pace: a power of two, so that shots stay whole parts of
    the music; between two of them some phrases take the one and some the other, as many as make the pace. bar: since
    the section began."""
    least = 2.0 ** math.floor(math.log2(1 / pace))
    share = 2 * least * pace - 1  # of the time in the shorter shots, so that the rate of cuts is right
    turn = np.floor(bar / PHRASE_BARS) * GOLDEN % 1
    return np.where(turn < share, least, 2 * least)


def _is_sparse(analysis: Analysis, times: np.ndarray, curves: Curves, per_bar: int) -> np.ndarray:
    """(n,) bool: whether far fewer beats than usual are hit in the bars around each time."""
    beats = np.asarray(analysis.beats)
    if len(beats) < 2 * SPARSE_BARS * per_bar:
        return np.zeros(len(times), bool)
    peaks = np.array([curves.peak("onset", time) for time in beats])
    hits = np.r_[0, np.cumsum(peaks >= HIT_SHARE * np.percentile(peaks, 90))]
    at, reach = np.searchsorted(beats, times), SPARSE_BARS * per_bar // 2
    first, last = np.clip(at - reach, 0, len(beats) - 2 * reach), np.clip(at + reach, 2 * reach, len(beats))
    return (hits[last] - hits[first]) / (last - first) <= SPARSE_SHARE * hits[-1] / len(beats)


def _builds(analysis: Analysis, sections: list[Section], curves: Curves) -> list[_Build]:
    """What the analysis heard, and the sections that grow towards a louder chorus or drop."""
    if len(analysis.beats) < 2:
        return []
    names = section_names(sections)
    builds = [_Build(event.start, event.end, "the hit") for event in analysis.events if event.kind == "build-up"]
    beat = float(np.median(np.diff(analysis.beats)))
    for i, (before, section) in enumerate(pairwise(sections), 1):
        start = max(before.start, section.start - BUILD_BARS * beats_per_bar(analysis) * beat)
        third = (section.start - start) / 3
        rise = curves.mean("energy", section.start - third, section.start) - curves.mean("energy", start, start + third)
        if section.label in BUILDS_TO and section.energy > before.energy and rise >= BUILD_RISE:
            builds.append(_Build(start, section.start, names[i]))
    return builds


def _bar_seconds(analysis: Analysis, times: np.ndarray) -> np.ndarray:
    """(n,) length of a bar at the tempo played around each time; LONGEST_SECONDS where there are not two beats."""
    beats = np.asarray(analysis.beats)
    if len(beats) < 2:
        return np.full(len(times), LONGEST_SECONDS)
    at = np.searchsorted(beats, times)
    left, right = np.clip(at - 4, 0, len(beats) - 2), np.clip(at + 4, 1, len(beats) - 1)
    return beats_per_bar(analysis) * (beats[right] - beats[left]) / (right - left)


def _in_bounds(bars: np.ndarray, bar_seconds: np.ndarray, longest: float) -> np.ndarray:
    """(n,) the wanted bars, halved where so many would last longer than `longest` seconds, doubled where they would be
    too short to be seen: half as many slow bars make a phrase, one and a half make none."""
    halvings = np.ceil(np.log2(np.maximum(bars * bar_seconds / (BARS_SLACK * longest), 1)))
    doublings = np.ceil(np.log2(np.maximum(SHORTEST_SECONDS / (BARS_SLACK * bars * bar_seconds), 1)))
    return bars * 2 ** (doublings - halvings)


def _wanted_frames(analysis: Analysis, times: np.ndarray, bars: np.ndarray, fps: Fraction, shortest: int) -> np.ndarray:
    """The wanted bars in frames, at the tempo played around each time."""
    if len(analysis.beats) < 2:
        return np.full(len(times), LONGEST_SECONDS * float(fps))
    return np.maximum(bars * _bar_seconds(analysis, times) * float(fps), shortest)


def _cut_prices(candidates: _Candidates) -> np.ndarray:
    onsets = candidates.onsets
    louder = np.r_[False, (onsets[1:-1] > onsets[:-2]) & (onsets[1:-1] >= onsets[2:]), False]
    strong = np.array([rank in ("downbeat", "strong beat") for rank in candidates.ranks])
    prices = np.array([BEAT_PRICE[rank] for rank in candidates.ranks]) + ONSET_PRICE * (1 - onsets)
    prices -= PEAK_DISCOUNT * (louder & strong)
    prices[-1] = 0.0  # the film's end is not a choice
    return prices


def _cheapest_chain(candidates: _Candidates, shortest: int, longest: int, least_beats: float) -> list[int]:
    """Indices of the candidates to cut at, from the film's start to its end, both included.

    No shot runs over a forced cut. One longer than `longest` is made only where no candidate could end or
    start it sooner.
    """
    frames, wanted, prices = candidates.frames, candidates.wanted, _cut_prices(candidates)
    positions = candidates.positions
    cost, came_from = np.full(len(frames), np.inf), np.zeros(len(frames), int)
    cost[0], last_forced = 0.0, 0
    for j in range(1, len(frames)):
        nearest = int(np.searchsorted(frames, frames[j] - shortest, side="right")) - 1
        enough_beats = np.searchsorted(positions, positions[j] - least_beats + 1e-6, side="right")
        nearest = max(min(nearest, int(enough_beats) - 1), last_forced)
        farthest = max(int(np.searchsorted(frames, frames[j] - longest)), last_forced)
        first = min(farthest, nearest)
        ratio = (frames[j] - frames[first : nearest + 1]) / wanted[first : nearest + 1]
        totals = cost[first : nearest + 1] + LENGTH_PRICE * ratio * np.log2(ratio) ** 2
        came_from[j] = first + int(totals.argmin())
        cost[j] = totals.min() + prices[j]
        last_forced = j if j in candidates.forced else last_forced
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
                evidence=_evidence(analysis, candidates, this, following),
            )
        )
    return ranges


def _section_of(start: int, end: int, starts: np.ndarray) -> int:
    """The section that holds most of the frames [start, end)."""
    ends = np.append(starts[1:], max(end, int(starts[-1])))
    return int((np.minimum(end, ends) - np.maximum(start, starts)).argmax())


def _evidence(analysis: Analysis, candidates: _Candidates, i: int, following: int) -> str:
    if i == 0:
        return "the film starts with the song"
    time, rank = candidates.times[i], candidates.ranks[i]
    words = f"onset {candidates.onsets[i]:.2f} of max"
    if rank != "no beat":
        words = f"{_name_of_beat(analysis, int(candidates.beats[i]), rank)} at {time:.2f} s, {words}"
    elif i in candidates.forced:
        words = f"at {time:.2f} s, {words}"
    else:
        words = f"at {time:.2f} s, in a stretch of more than {BEATLESS_SECONDS:.0f} s without a beat, {words}"
    if i in candidates.forced:
        words += f"; {candidates.forced[i]}"
    if candidates.notes[i]:
        words += f"; {candidates.notes[i]}"
    return f"{words}; {_length(analysis, candidates, i, following)}" if analysis.beats else words


def _length(analysis: Analysis, candidates: _Candidates, i: int, following: int) -> str:
    """How long a shot is, and how long its pace asks for where that is another length."""
    bars = (candidates.positions[following] - candidates.positions[i]) / beats_per_bar(analysis)
    told = f"{bars:.2g} bar{'s' if bars > 1.05 else ''} long"
    asked = candidates.bars[i]
    return told if abs(math.log2(max(bars, 0.01) / asked)) < 0.3 else f"{told}, the pace asks for {asked:.2g}"


def _name_of_beat(analysis: Analysis, beat: int, rank: str) -> str:
    if not analysis.downbeats:
        return f"beat {beat + 1}"
    bar = int(np.searchsorted(analysis.downbeats, analysis.beats[beat] + 1e-9))
    return f"bar {bar} {rank}" if bar else "pickup beat"
