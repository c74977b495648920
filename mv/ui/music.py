"""Corrections of what was heard: Analysis → Analysis, pure. The plan is then made anew round what is locked or edited.

Messages count sections from 1 as the page does; times in seconds.
"""

from collections.abc import Sequence
from typing import get_args

import numpy as np

from mv.errors import InputError
from mv.schema import Analysis, Section

LABELS: tuple[str, ...] = get_args(Section.model_fields["label"].annotation)
SLOWEST, FASTEST = 20.0, 400.0  # beats a minute a corrected grid may have
SHORTEST_SECTION = 1.0  # seconds
MIN_TAPS = 4


def scale_tempo(analysis: Analysis, factor: float) -> Analysis:
    """factor 2: a beat between every two; 0.5: every second beat goes, the downbeats' half stays."""
    if factor not in (0.5, 2):
        raise InputError(f"tempo: expected half or double, got {factor:g}")
    beats = _beats(analysis)
    meter, first = _bars(analysis)
    if factor == 2:
        middles = (beats[1:] + beats[:-1]) / 2
        last = beats[-1] + (beats[-1] - beats[-2]) / 2
        beats, first = np.sort(np.concatenate([beats, middles, [last]])), 2 * first
    else:
        beats, first = beats[first % 2 :: 2], first // 2
    return _with_beats(analysis, beats[beats < analysis.duration], first, meter)


def tap(analysis: Analysis, times: Sequence[float]) -> Analysis:
    """An even grid through the taps (at least MIN_TAPS, in seconds of the song); the first tap is a downbeat.

    A missed tap is allowed: each tap counts as the nearest whole number of median intervals after the first.
    """
    taps = np.unique(np.asarray(times, float))
    taps = taps[np.isfinite(taps) & (taps >= 0) & (taps <= analysis.duration)]
    if len(taps) < MIN_TAPS:
        raise InputError(f"tap: expected at least {MIN_TAPS} taps while the song plays, got {len(taps)}")
    counts = np.rint((taps - taps[0]) / np.median(np.diff(taps)))
    period, start = np.polyfit(counts, taps, 1)
    if not 60 / FASTEST <= period <= 60 / SLOWEST:
        raise InputError(
            f"tap: {60 / period:.0f} beats a minute, expected {SLOWEST:g} to {FASTEST:g}; tap once for each beat"
        )
    before = int(start / period + 1e-9)
    beats = start - before * period + period * np.arange(int(analysis.duration / period) + 2)
    meter, _ = _bars(analysis)
    return _with_beats(analysis, beats[(beats >= 0) & (beats < analysis.duration)], before % meter, meter)


def shift_downbeat(analysis: Analysis, by: int = 1) -> Analysis:
    """Every bar begins `by` beats later."""
    meter, first = _bars(analysis)
    return _with_beats(analysis, _beats(analysis), (first + by) % meter, meter)


def move_section(analysis: Analysis, index: int, time: float) -> Analysis:
    """Section `index` (1 or later) starts at `time`; the section before it follows."""
    sections = list(analysis.sections)
    if not 1 <= index < len(sections):
        raise InputError(f"section {index + 1}: only the starts of sections 2 to {len(sections)} can be moved")
    before, after = sections[index - 1], sections[index]
    low, high = before.start + SHORTEST_SECTION, after.end - SHORTEST_SECTION
    if not low <= time <= high:
        raise InputError(f"section {index + 1} can start from {low:.2f} s to {high:.2f} s, got {time:.2f} s")
    sections[index - 1] = before.model_copy(update={"duration": time - before.start})
    sections[index] = after.model_copy(update={"start": time, "duration": after.end - time})
    return _checked(analysis, sections=sections)


def rename_section(analysis: Analysis, index: int, label: str) -> Analysis:
    """One of LABELS. A section that repeats another, or is repeated, no longer counts as the same music."""
    if not 0 <= index < len(analysis.sections):
        raise InputError(f"there is no section {index + 1}; the song has {len(analysis.sections)}")
    if label not in LABELS:
        raise InputError(f"section {index + 1}: expected one of {', '.join(LABELS)}, got {str(label)[:40]!r}")
    sections = [s.model_copy(update={"repeat_of": None}) if s.repeat_of == index else s for s in analysis.sections]
    sections[index] = sections[index].model_copy(update={"label": label, "repeat_of": None})
    return _checked(analysis, sections=sections)


def _beats(analysis: Analysis) -> np.ndarray:
    if len(analysis.beats) < 2:
        raise InputError("no beat was found in this song: tap along first")
    return np.asarray(analysis.beats)


def _bars(analysis: Analysis) -> tuple[int, int]:
    """(beats a bar, index of the first downbeat); four from the first beat where no bars were found."""
    places = np.searchsorted(analysis.beats, analysis.downbeats)
    if not len(places):
        return 4, 0
    meter = int(np.median(np.diff(places))) if len(places) > 1 else 4
    return max(1, meter), int(places[0])


def _with_beats(analysis: Analysis, beats: np.ndarray, first: int, meter: int) -> Analysis:
    if len(beats) < 2:
        raise InputError("tempo: the song is too short for so slow a beat")
    tempo = 60 / float(np.median(np.diff(beats)))
    if not SLOWEST <= tempo <= FASTEST:
        raise InputError(f"tempo: {tempo:.0f} beats a minute, expected {SLOWEST:g} to {FASTEST:g}")
    times = [round(float(beat), 4) for beat in beats]
    changes = {"beats": times, "downbeats": times[first::meter], "tempo": round(tempo, 3), "tempo_confidence": 1.0}
    return _checked(analysis, **changes, beat_confidence=[])


def _checked(analysis: Analysis, **changes) -> Analysis:
    return Analysis(**{**dict(analysis), **changes})
