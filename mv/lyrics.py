"""Lyrics files: LRC (times of lines, of words too), SRT (times of lines) or plain text (words only).

LRC after its common use: `[mm:ss.xx] words`, several times before one line for repeats, `[tag:value]` lines such as
`[ti:...]`, `[offset:+ms]` (positive: the words come earlier). Enhanced LRC: `<mm:ss.xx>` before a word.
SRT: blocks of a number, `hh:mm:ss,mmm --> hh:mm:ss,mmm`, and one or more lines of text, parted by empty lines.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from mv.errors import InputError
from mv.schema import LyricLine, LyricWord

TIME = re.compile(r"\[(\d{1,3}):(\d{1,2})(?:[.:](\d{1,3}))?\]")
WORD_TIME = re.compile(r"<(\d{1,3}):(\d{1,2})(?:[.:](\d{1,3}))?>")
TAG = re.compile(r"\[([a-zA-Z#]+):([^\]]*)\]\s*$")
SRT_TIMES = re.compile(r"\s*(\d+):(\d{2}):(\d{2})[,.](\d{1,3})\s*-->\s*(\d+):(\d{2}):(\d{2})[,.](\d{1,3})")
MARKUP = re.compile(r"</?[a-zA-Z][^>]*>|\{\\[^}]*\}")  # <i>, <font ...>, {\an8}
HEADING = re.compile(r"\[[^\]]*\]|\([^)]*\)|#.*")
LONGEST = 8.0  # seconds a line stands when no other follows
MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class Line:
    """As it stands in the file: seconds, the words, and (seconds, word) where words have times of their own."""

    start: float
    text: str
    words: tuple[tuple[float, str], ...] = ()


def read_lyrics(path: str | Path, duration: float) -> list[LyricLine]:
    """The timed lines of a lyrics file, in order; none where it is plain text without times.

    duration of the song in seconds: lines at or after it are an error, for then it is another song's file. Raises
    InputError naming the line.
    """
    path = Path(path)
    lines = _read_text(path).splitlines()
    if any(SRT_TIMES.match(line) for line in lines):
        return _read_srt(path, lines, duration)
    if any(TIME.match(line.strip()) for line in lines):
        return _read_lrc(path, lines, duration)
    return []


def plain_lines(path: str | Path) -> list[str]:
    """The lines of a text without times that are sung: not the empty ones, nor headings such as [Chorus].

    Raises InputError where the file has times: those stand.
    """
    lines = [line.strip() for line in _read_text(Path(path)).splitlines()]
    if any(SRT_TIMES.match(line) or TIME.match(line) for line in lines):
        raise InputError(f"{path}: the lyrics have times already; expected plain text")
    return [line for line in lines if line and not HEADING.fullmatch(line)]


def _check_inside(path: Path, last: float, duration: float) -> None:
    if last >= duration:
        raise InputError(f"{path}: a line stands at {last:.1f} s, but the song ends at {duration:.1f} s")


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the lyrics: {error.strerror}") from None
    if len(content) > MAX_BYTES:
        raise InputError(f"{path}: lyrics of {len(content)} bytes; expected a text file of at most {MAX_BYTES}")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {number}: not UTF-8 text; save the lyrics as UTF-8") from None
    if not text.strip():
        raise InputError(f"{path}: the lyrics file is empty; expected LRC, SRT or plain text")
    return text


# ---------------------------------------------------------------- LRC


def _read_lrc(path: Path, lines: list[str], duration: float) -> list[LyricLine]:
    offset = _offset(path, lines)
    timed = sorted(
        (line for number, text in enumerate(lines, 1) for line in _timed(path, number, text)),
        key=lambda line: (line.start, line.text),
    )
    starts = [max(0.0, line.start - offset) for line in timed]
    _check_inside(path, starts[-1], duration)
    ends = [min(start + LONGEST, after) for start, after in pairwise([*starts, duration])]
    return [
        LyricLine(start=start, end=end, text=line.text, words=_words(line, offset, start, end))
        for line, start, end in zip(timed, starts, ends)
        if line.text
    ]


def _words(line: Line, offset: float, start: float, end: float) -> list[LyricWord]:
    """Each word lasts until the next. A repeat of the line has none: the times are those of one appearance."""
    times = [time - offset for time, _ in line.words]
    if not times or times[0] < start - 0.05 or times[-1] >= end or times != sorted(times):
        return []
    spans = zip(line.words, pairwise([*times, end]))
    return [LyricWord(start=max(a, start), end=b, text=text) for (_, text), (a, b) in spans if text]


def _offset(path: Path, lines: list[str]) -> float:
    """Seconds, from the [offset:ms] tag."""
    for number, line in enumerate(lines, 1):
        tag = TAG.match(line.strip())
        if tag and tag[1].lower() == "offset":
            try:
                return int(tag[2]) / 1000
            except ValueError:
                raise InputError(
                    f"{path}: line {number}: the offset must be whole milliseconds, got {tag[2]!r}"
                ) from None
    return 0.0


def _timed(path: Path, number: int, line: str) -> list[Line]:
    """One for every time before a line."""
    rest, times = line.strip(), []
    while match := TIME.match(rest):
        times.append(_seconds(path, number, match))
        rest = rest[match.end() :].strip()
    if not times and rest and not TAG.match(rest):
        raise InputError(f"{path}: line {number}: expected [mm:ss.xx] before the words, got {rest[:40]!r}")
    return [Line(time, WORD_TIME.sub("", rest).strip(), _timed_words(path, number, rest, time)) for time in times]


def _timed_words(path: Path, number: int, rest: str, start: float) -> tuple[tuple[float, str], ...]:
    """(seconds, word); what stands before the first time begins with the line. A last bare time ends the line."""
    marks = list(WORD_TIME.finditer(rest))
    if not marks:
        return ()
    stops = [*(mark.start() for mark in marks[1:]), len(rest)]
    words = [(_seconds(path, number, mark), rest[mark.end() : stop].strip()) for mark, stop in zip(marks, stops)]
    before = rest[: marks[0].start()].strip()
    return ((start, before), *words) if before else tuple(words)


def _seconds(path: Path, number: int, match: re.Match) -> float:
    minutes, seconds, fraction = int(match[1]), int(match[2]), match[3] or "0"
    if seconds > 59:
        raise InputError(f"{path}: line {number}: {match[0]} has {seconds} seconds; expected 0 to 59")
    return 60 * minutes + seconds + int(fraction) / 10 ** len(fraction)


# ---------------------------------------------------------------- SRT


def _read_srt(path: Path, lines: list[str], duration: float) -> list[LyricLine]:
    found = []
    for number, line in enumerate(lines, 1):
        match = SRT_TIMES.match(line)
        if not match:
            if "-->" in line:
                raise InputError(
                    f"{path}: line {number}: expected hh:mm:ss,mmm --> hh:mm:ss,mmm, got {line.strip()[:40]!r}"
                )
            continue
        start, end = _srt_seconds(match.groups()[:4]), _srt_seconds(match.groups()[4:])
        if end < start:
            raise InputError(f"{path}: line {number}: ends at {end:.1f} s, before it starts at {start:.1f} s")
        text = " ".join(_until_empty(lines[number:]))
        found.append(LyricLine(start=start, end=min(end, duration), text=text))
    _check_inside(path, max(line.start for line in found), duration)
    return sorted((line for line in found if line.text), key=lambda line: line.start)


def _srt_seconds(parts: tuple[str, ...]) -> float:
    hours, minutes, seconds, fraction = parts
    return 3600 * int(hours) + 60 * int(minutes) + int(seconds) + int(fraction) / 10 ** len(fraction)


def _until_empty(lines: list[str]) -> list[str]:
    """The lines of a block without their markup."""
    texts = []
    for line in lines:
        text = MARKUP.sub("", line).strip()
        if not line.strip():
            break
        texts.append(text)
    return [text for text in texts if text]
