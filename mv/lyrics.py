"""Lyrics files: LRC (times and words) or plain text (words only).

LRC after its common use: `[mm:ss.xx] words`, several times before one line for repeats, `[tag:value]` lines such as
`[ti:...]`, `[offset:+ms]` (positive: the words come earlier).
"""

import re
from pathlib import Path

from mv.errors import InputError
from mv.schema import LyricLine

TIME = re.compile(r"\[(\d{1,3}):(\d{1,2})(?:[.:](\d{1,3}))?\]")
WORD_TIME = re.compile(r"<\d{1,3}:\d{1,2}(?:[.:]\d{1,3})?>")  # enhanced LRC: a time a word; the line's own is enough
TAG = re.compile(r"\[([a-zA-Z#]+):([^\]]*)\]\s*$")
LONGEST = 8.0  # seconds a line stands when no other follows
MAX_BYTES = 1 << 20


def read_lyrics(path: str | Path, duration: float) -> list[LyricLine]:
    """The timed lines of a lyrics file, in order; none where it is plain text without times.

    duration of the song in seconds: lines at or after it are an error, for then it is another song's file. Raises
    InputError naming the line.
    """
    path = Path(path)
    lines = _read_text(path).splitlines()
    if not any(TIME.match(line.strip()) for line in lines):
        return []
    offset = _offset(path, lines)
    timed = sorted((time, words) for number, line in enumerate(lines, 1) for time, words in _timed(path, number, line))
    timed = [(max(0.0, time - offset), words) for time, words in timed]
    if timed[-1][0] >= duration:
        raise InputError(f"{path}: a line stands at {timed[-1][0]:.1f} s, but the song ends at {duration:.1f} s")
    ends = [min(time + LONGEST, after) for (time, _), after in zip(timed, [t for t, _ in timed[1:]] + [duration])]
    return [LyricLine(start=time, end=end, text=words) for (time, words), end in zip(timed, ends) if words]


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
        raise InputError(f"{path}: the lyrics file is empty; expected LRC or plain text")
    return text


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


def _timed(path: Path, number: int, line: str) -> list[tuple[float, str]]:
    """(seconds, words) for every time before a line."""
    rest, times = line.strip(), []
    while match := TIME.match(rest):
        minutes, seconds, fraction = int(match[1]), int(match[2]), match[3] or "0"
        if seconds > 59:
            raise InputError(f"{path}: line {number}: {match[0]} has {seconds} seconds; expected 0 to 59")
        times.append(60 * minutes + seconds + int(fraction) / 10 ** len(fraction))
        rest = rest[match.end() :].strip()
    if not times and rest and not TAG.match(rest):
        raise InputError(f"{path}: line {number}: expected [mm:ss.xx] before the words, got {rest[:40]!r}")
    return [(time, WORD_TIME.sub("", rest).strip()) for time in times]
