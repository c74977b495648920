"""How a shot begins besides with a plain cut: crossfades, and the song's few marks, which are dips and flashes.

Marks follow from the music alone: the outro, the end of a breakdown, a drop, the greatest rise into a chorus. A drop
that comes out of a breakdown is dark for the beat before it and hits on the cut; any other drop with a hard first hit
flashes, and so does that rise. They are sparing: one that follows another too soon is left out, and the rise gives way
to all others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from director import vocabulary as words
from director.segmentation import Curves, ShotRange
from mv.schema import TRANSITIONS, Analysis, Reason, Section, Transition, TransitionKind
from mv.timing import to_frame


@dataclass(frozen=True)
class Mark:
    """A dip or flash. before, after: seconds of it on each side of the cut."""

    kind: TransitionKind
    before: float
    after: float
    evidence: str


def find_marks(
    ranges: Sequence[ShotRange], analysis: Analysis, sections: Sequence[Section], curves: Curves
) -> Mapping[int, Mark]:
    """By the index of the shot that begins with it; no two of them nearer than MARKS_APART_SECONDS."""
    marks: dict[int, Mark] = {}
    last = float("-inf")
    for i, (before, shot) in enumerate(pairwise(ranges), 1):
        if shot.time - last < words.MARKS_APART_SECONDS:
            continue
        mark = _at_drop(before, shot, analysis, sections, curves) or _at_section(before, shot, analysis, sections)
        if mark is not None:
            marks[i], last = mark, shot.time
    rise = _greatest_rise(ranges, sections)
    if rise and all(abs(ranges[rise].time - ranges[i].time) >= words.MARKS_APART_SECONDS for i in marks):
        mark = _at_rise(ranges[rise - 1], ranges[rise], sections, curves)
        marks |= {rise: mark} if mark else {}
    return marks


def marked(mark: Mark, before: ShotRange, shot: ShotRange, fps: Fraction) -> tuple[Transition, Reason] | None:
    """None where the two shots have no room for it."""
    into = min(to_frame(mark.before, fps), (before.end - before.start) // 2)
    out = min(to_frame(mark.after, fps), (shot.end - shot.start) // 2)
    if into + out < max(2, to_frame(words.LEAST_MARK_SECONDS, fps)):
        return None
    return _transition(mark.kind, into, out, mark.evidence)


def crossfade(before: ShotRange, shot: ShotRange, fps: Fraction, evidence: str) -> tuple[Transition, Reason]:
    """Centred on the cut; shorter where a shot is."""
    shorter = min(before.end - before.start, shot.end - shot.start)
    length = min(to_frame(TRANSITIONS[TransitionKind.crossfade].seconds, fps), shorter // 2)
    return _transition(TransitionKind.crossfade, length // 2, length - length // 2, evidence)


def _transition(kind: TransitionKind, into: int, out: int, evidence: str) -> tuple[Transition, Reason]:
    why = Reason(decision="transition", choice=f"{kind} of {into + out} frames", evidence=evidence)
    return Transition(kind=kind, in_offset=into, out_offset=out), why


# ---------------------------------------------------------------- where the music asks for one


def _at_section(before: ShotRange, shot: ShotRange, analysis: Analysis, sections: Sequence[Section]) -> Mark | None:
    """A dip centred on the first cut of an outro, or of what wakes after a breakdown."""
    old, new = sections[before.section], sections[shot.section]
    if old.label == new.label:
        return None
    energy = f"energy from {old.energy:.2f} to {new.energy:.2f}"
    if new.label == "outro" and new.energy <= old.energy - words.MARK_FALL:
        return _centred(TransitionKind.dip_to_black, f"the outro begins at {shot.time:.1f} s, {energy}")
    if old.label == "break" and new.energy >= old.energy + words.MARK_RISE:
        valence = analysis.mood.valence
        bright = valence >= words.BRIGHT_VALENCE
        kind = TransitionKind.dip_to_white if bright else TransitionKind.dip_to_black
        return _centred(kind, f"the breakdown ends at {shot.time:.1f} s, {energy}; valence {valence:.2f}")
    return None


def _centred(kind: TransitionKind, evidence: str) -> Mark:
    half = TRANSITIONS[kind].seconds / 2
    return Mark(kind, half, half, evidence)


def _at_drop(
    before: ShotRange, shot: ShotRange, analysis: Analysis, sections: Sequence[Section], curves: Curves
) -> Mark | None:
    """The dark before a drop that comes out of a breakdown, or a flash on its first hit."""
    named = sections[shot.section].label == "drop" != sections[before.section].label
    heard = any(event.kind == "drop" and _near(event.start, shot.time) for event in analysis.events)
    if shot.beat is None or not (named or heard):
        return None
    hit = _hit(shot, curves)
    quiet = _breakdown_before(before, shot, analysis, sections)
    if quiet is not None:
        beat = shot.time - analysis.beats[shot.beat - 1] if shot.beat else 0.0
        fall = min(beat, words.LONGEST_FALL_SECONDS)
        evidence = f"drop at {shot.time:.1f} s after the breakdown from {quiet:.1f} s: dark over the beat before"
        return Mark(TransitionKind.dip_to_black, fall, 0.0, f"{evidence}, then the hit, onset {hit:.2f} of max")
    if hit < words.FLASH_HIT:
        return None
    evidence = f"first hit of the drop at {shot.time:.1f} s, onset {hit:.2f} of max"
    return Mark(TransitionKind.flash, 0.0, TRANSITIONS[TransitionKind.flash].seconds, evidence)


def _greatest_rise(ranges: Sequence[ShotRange], sections: Sequence[Section]) -> int | None:
    """The shot that opens the chorus or drop which is louder than the part before it by most; None where none is by
    MARK_RISE. The first of equals."""
    rises = {}
    for i, (before, shot) in enumerate(pairwise(ranges), 1):
        old, new = sections[before.section], sections[shot.section]
        if new.label in words.BUILDS_TO and old.label != new.label and new.energy - old.energy >= words.MARK_RISE:
            rises[i] = new.energy - old.energy
    return max(rises, key=rises.get, default=None)


def _at_rise(before: ShotRange, shot: ShotRange, sections: Sequence[Section], curves: Curves) -> Mark | None:
    """A flash, if the part comes in with a hard hit on a beat."""
    hit = _hit(shot, curves)
    if shot.beat is None or hit < words.FLASH_HIT:
        return None
    old, new = sections[before.section], sections[shot.section]
    evidence = (
        f"the greatest rise into a {new.label} of the song, energy from {old.energy:.2f} to {new.energy:.2f} at "
        f"{shot.time:.1f} s; its first hit, onset {hit:.2f} of max"
    )
    return Mark(TransitionKind.flash, 0.0, TRANSITIONS[TransitionKind.flash].seconds, evidence)


def _hit(shot: ShotRange, curves: Curves) -> float:
    """Onset on the cut, of the song's loudest, 0..1."""
    return curves.peak("onset", shot.time) / max(curves.values["onset"].max(initial=0.0), 1e-9)


def _breakdown_before(
    before: ShotRange, shot: ShotRange, analysis: Analysis, sections: Sequence[Section]
) -> float | None:
    """Seconds at which the break began that a shot ends; None where it ends none."""
    old = sections[before.section]
    if before.section != shot.section and old.label == "break":
        return old.start
    breaks = (event for event in analysis.events if event.kind == "break")
    return next((event.start for event in breaks if event.start < shot.time and _near(event.end, shot.time)), None)


def _near(time: float, other: float) -> bool:
    return abs(time - other) < words.DROP_NEAR_SECONDS
