"""Must-have moments of the brief: a strict mini-language, <event& order>@scope.

    <crowd jumps& start>@1:02          the cut at 1:02 opens on it
    <close-up, zoom in& end>@chorus 2  the last shot of the second chorus
    <empty desert& all>@0:40-0:52      every shot in that time
    <sunset& mid>                      the shot in the middle of the song

event: words the director knows: a place, light, act, size, look, camera move, or the name of a performer. order: start,
mid, end or all. scope: a time (m:ss or h:mm:ss, with up to three decimals), two times, or a section with its number;
without a number every one of that label; without a scope the whole song. After Make-An-Audio 2 (arXiv 2305.18474).

In a theme moments stand among other words, where a < may be just a sign ("<3"): it opens a moment where an & follows
before its >, or an @ right after it, or where the > is forgotten but the order or the scope is there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

from director.casting import named_in, without_names
from director.segmentation import CutWish, ShotRange
from director.story import Theme, read_theme
from director.vocabulary import FRAMINGS, MOVE_SYNONYMS
from mv.errors import InputError
from mv.schema import LABELS, Cast, MoveKind, Section
from mv.timing import to_seconds
from mv.world.vocabulary import SIZES

Name = TypeVar("Name")

ORDERS = ("start", "mid", "end", "all")
NEAR_SECONDS = 0.75  # a shot that starts or ends this near to a wished time starts or ends there

MOVE_WORDS = {**{str(kind): kind for kind in MoveKind}, **MOVE_SYNONYMS}
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,3}):([0-5]\d)(?:\.(\d{1,3}))?")
_LABEL = re.compile(rf"({'|'.join(LABELS)})\b(?: (\d+))?")
_SEPARATORS = " \t\r\n,;"
_UNCLOSED = re.compile(rf"&\s*(?:{'|'.join(ORDERS)})\s*(?:@|$)|@(?:{_CLOCK.pattern}|{_LABEL.pattern})")


@dataclass(frozen=True)
class Moment:
    """start, end in seconds: a time (both equal) or a stretch; section: a label; number: which of them, from 1."""

    event: str
    order: str
    start: float | None = None
    end: float | None = None
    section: str | None = None
    number: int | None = None

    def __str__(self) -> str:
        scope = ""
        if self.section is not None:
            scope = f"@{self.section}" + (f" {self.number}" if self.number else "")
        elif self.start is not None:
            scope = f"@{_clock(self.start)}" + (f"-{_clock(self.end)}" if self.end != self.start else "")
        return f"<{self.event}& {self.order}>{scope}"


@dataclass(frozen=True)
class Asked:
    """What the words of a moment decide: reading says which fields; move, framing, performer: the ones they name, if
    any."""

    reading: Theme
    move: MoveKind | None
    framing: str | None
    moments: tuple[Moment, ...]
    performer: str | None = None

    @property
    def fields(self) -> dict[str, str | None]:
        """The fields of Directions and Look that the words decide."""
        read = {**vars(self.reading.directions), **vars(self.reading.directions.look)}
        return {name: read[name] for name in self.reading.said}


# ---------------------------------------------------------------- text


def parse_moments(text: str) -> list[Moment]:
    """Moments between spaces, commas or semicolons, and nothing else. Raises InputError with the column."""
    moments, at = [], 0
    while at < len(text):
        if text[at] in _SEPARATORS:
            at += 1
        elif text[at] == "<":
            moment, at = _parse_one(text, at)
            moments.append(moment)
        else:
            raise _error(text, at, "a moment such as <crowd jumps& start>@1:02")
    return moments


def print_moments(moments: Sequence[Moment]) -> str:
    """Text that parses to the same moments."""
    return " ".join(map(str, moments))


def split_theme(theme: str) -> tuple[str, list[Moment]]:
    """The words of a theme without the moments among them, and the moments. A < that opens no moment is a word like
    any other. Raises InputError with the column where a moment was meant and is wrong."""
    rest, moments, at = [], [], 0
    while (opened := theme.find("<", at)) >= 0:
        rest.append(theme[at:opened])
        if _is_meant(theme, opened):
            moment, at = _parse_one(theme, opened)
            moments.append(moment)
        else:
            rest.append("<")
            at = opened + 1
    return " ".join("".join([*rest, theme[at:]]).split()).strip(" ,;"), moments


def _is_meant(theme: str, at: int) -> bool:
    """Whether the < at `at` opens a moment, right or wrong; what follows is read as far as the next <."""
    inside, close, after = theme[at + 1 : _find(theme, "<", at + 1)].partition(">")
    if close:
        return "&" in inside or after.startswith("@")
    return _UNCLOSED.search(inside) is not None


def _find(text: str, sign: str, at: int) -> int:
    """Where the sign stands next, from `at` on; the end of the text where it does not."""
    found = text.find(sign, at)
    return len(text) if found < 0 else found


def _parse_one(text: str, at: int) -> tuple[Moment, int]:
    """The moment whose < stands at `at`, and the place after it."""
    close = _find(text, ">", at)
    if (following := _find(text, "<", at + 1)) <= close:
        raise _error(text, following, "> to close this moment")
    event, ampersand, order = text[at + 1 : close].partition("&")
    if not event.strip():
        raise _error(text, at + 1, "the words of an event")
    if not ampersand:
        raise _error(text, close, "& and one of " + ", ".join(ORDERS))
    if order.strip() not in ORDERS:
        raise _error(text, at + 2 + len(event), "one of " + ", ".join(ORDERS))
    moment = Moment(" ".join(event.split()), order.strip())
    scope = {}
    end = close + 1
    if text[end : end + 1] == "@":
        scope, end = _parse_scope(text, end + 1)
    if end < len(text) and text[end] not in _SEPARATORS + "<":
        raise _error(text, end, "a space after this moment")
    return Moment(moment.event, moment.order, **scope), end


def _parse_scope(text: str, at: int) -> tuple[dict, int]:
    if label := _LABEL.match(text, at):
        number = int(label[2]) if label[2] else None
        if number == 0:
            raise _error(text, label.start(2), "a number from 1")
        return {"section": label[1], "number": number}, label.end()
    first = _CLOCK.match(text, at)
    if not first:
        raise _error(text, at, "a time such as 1:02, or a section such as chorus 2")
    start = end = _seconds(first)
    last = first
    if text[first.end() : first.end() + 1] == "-":
        last = _CLOCK.match(text, first.end() + 1)
        end = _seconds(last) if last else start
        if end <= start:
            raise _error(text, first.end() + 1, f"a time after {_clock(start)}")
    return {"start": start, "end": end}, last.end()


def _seconds(clock: re.Match) -> float:
    hours, minutes, seconds, decimals = clock.groups()
    thousandths = int(f"{seconds}{(decimals or '').ljust(3, '0')}")
    return (int(hours or 0) * 3_600_000 + int(minutes) * 60_000 + thousandths) / 1000


def _clock(seconds: float) -> str:
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = (0, minutes) if minutes < 1000 else divmod(minutes, 60)
    text = f"{minutes}:{rest // 1000:02d}" + f".{rest % 1000:03d}".rstrip("0").rstrip(".")
    return f"{hours}:{minutes:02d}{text[text.index(':') :]}" if hours else text


def _error(text: str, at: int, expected: str) -> InputError:
    got = repr(text[at : at + 20]) if at < len(text) else "the end"
    return InputError(f"moments: column {at + 1}: expected {expected}, got {got}")


# ---------------------------------------------------------------- where they fall


def read_event(moments: Sequence[Moment], cast: Sequence[Cast] = ()) -> Asked:
    """What moments of one shot ask of it, the first one first. cast: of the brief, whose names they may hold. Raises
    InputError where nothing can be shown."""
    text = ", ".join(moment.event for moment in moments)
    performer = named_in(text, cast)
    text = without_names(text, cast)
    move, framing = named(text, MOVE_WORDS), named(text, {name: name for name in FRAMINGS})
    words = re.sub(r"(?i)\bcrowds?\b", "", text)  # a crowd that does something is no place to go to
    words = words if read_theme(words).said else text
    if framing:
        words = f"{SIZES[FRAMINGS[framing].size]}, {words}"  # a full shot is a wide one to the model
    reading = read_theme(words)
    if not (reading.said or move or performer):
        raise InputError(
            f"moments: {moments[0]}: nothing in {text!r} can be shown; name a place, light, act, size, look or move"
        )
    return Asked(reading, move, framing, tuple(moments), performer)


def named(text: str, table: Mapping[str, Name]) -> Name | None:
    """What the longest phrase of the table that stands in the text means; hyphens and spaces are one."""
    plain = text.lower().replace("-", " ")
    found = [phrase for phrase in table if re.search(rf"\b{re.escape(phrase.replace('-', ' '))}\b", plain)]
    return table[max(found, key=len)] if found else None


def wishes_of(moments: Sequence[Moment], sections: Sequence[Section], duration: float) -> list[CutWish]:
    """The cuts that moments at a time ask for. Raises InputError for a scope the song does not have."""
    wishes = []
    for moment in moments:
        for start, end in _spans(moment, sections, duration):
            both = (start, end) if start < end else ()
            edges = {"start": (start,), "mid": (), "end": (end,), "all": both}[moment.order]
            if moment.start is not None:  # a section has its cuts already
                wishes += [CutWish(time, f"the brief asks for {moment}") for time in edges if 0 < time < duration]
    return wishes


def moments_by_shot(
    moments: Sequence[Moment], ranges: Sequence[ShotRange], sections: Sequence[Section], duration: float, fps: Fraction
) -> dict[int, list[Moment]]:
    """Shot index → the moments it must show."""
    found: dict[int, list[Moment]] = {}
    for moment in moments:
        for start, end in _spans(moment, sections, duration):
            for i in _shots_of(moment.order, start, end, ranges, fps):
                found.setdefault(i, []).append(moment)
    return found


def _spans(moment: Moment, sections: Sequence[Section], duration: float) -> list[tuple[float, float]]:
    if moment.section is not None:
        there = [(s.start, s.end) for s in sections if s.label == moment.section]
        if not there or (moment.number or 1) > len(there):
            raise InputError(f"moments: {moment}: this song has {len(there)} sections of the kind {moment.section}")
        return there if moment.number is None else [there[moment.number - 1]]
    if moment.start is None:
        return [(0.0, duration)]
    if moment.end > duration:
        raise InputError(f"moments: {moment}: the song ends at {_clock(duration)}")
    return [(moment.start, moment.end)]


def _shots_of(order: str, start: float, end: float, ranges: Sequence[ShotRange], fps: Fraction) -> list[int]:
    times = [(to_seconds(shot.start, fps), to_seconds(shot.end, fps)) for shot in ranges]

    def holding(time: float) -> int:
        return next((i for i, (_, last) in enumerate(times) if time < last), len(times) - 1)

    if order == "all":
        inside = [i for i, (a, b) in enumerate(times) if min(b, end) - max(a, start) > NEAR_SECONDS / 2]
        return inside or [holding((start + end) / 2)]
    if order == "mid":
        return [holding((start + end) / 2)]
    edge = 0 if order == "start" else 1
    time = start if order == "start" else end
    nearest = min(range(len(times)), key=lambda i: abs(times[i][edge] - time))
    return [nearest if abs(times[nearest][edge] - time) <= NEAR_SECONDS else holding(time)]
