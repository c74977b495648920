"""The plan as a page a director reads: every shot with what it shows, how the camera moves, and why."""

import csv
import io
import textwrap
from collections.abc import Iterator
from itertools import groupby

from director.cinematography import framing_of
from director.measures import measure_plan
from director.segmentation import beats_per_bar, section_names, sections_of
from mv.errors import InputError
from mv.schema import Analysis, Reason, Shot, Timeline
from mv.world.vocabulary import understand

WIDTH = 110  # characters a line of the text page
# Decisions made for a whole section stand once, at its head, as long as they do not change within it.
OF_THE_SECTION = ("theme", "scene", "light", "cast")
HEADINGS = {"boundary": "cut"}  # a decision's word on the page, where it is another one


def shot_list(timeline: Timeline, analysis: Analysis, format: str = "text") -> str:
    """The page, ending in a newline. format: a key of FORMATS. Raises InputError for another."""
    if format not in FORMATS:
        raise InputError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    return FORMATS[format](timeline, analysis)


def _text(timeline: Timeline, analysis: Analysis) -> str:
    lines = [timeline.title or "Untitled", *_wrapped(_summary(timeline, analysis)), ""]
    told: dict[str, Reason] = {}
    for name, shots in _by_section(timeline, analysis):
        lines += [f"{name.upper()}  {_clock(shots[0].start, timeline)}", ""]
        for shot in shots:
            transition = "" if shot.transition.kind == "cut" else f", {shot.transition.kind}"
            lock = "  [locked]" if shot.locked else ""
            lines.append(
                f"  {shot.id}  {_clock(shot.start, timeline)}  {_seconds(shot, timeline)} s  "
                f"{framing_of(shot.size, shot.camera)}, {shot.camera.kind}{transition}{lock}"
            )
            lines += _wrapped(shot.prompt, "        ")
            for reason in _news(shot, told):
                heading = HEADINGS.get(reason.decision, reason.decision)
                choice = "" if reason.decision in HEADINGS else f"{reason.choice}. "
                lines += _wrapped(f"{heading}: {choice}{reason.evidence}", "          ")
            lines.append("")
    return "\n".join(lines)


def _markdown(timeline: Timeline, analysis: Analysis) -> str:
    lines = [f"# {_cell(timeline.title or 'Untitled')}", "", _cell(_summary(timeline, analysis)), ""]
    told: dict[str, Reason] = {}
    for name, shots in _by_section(timeline, analysis):
        lines += [f"## {name.capitalize()}, {_clock(shots[0].start, timeline)}", ""]
        lines += ["| shot | at | seconds | size | camera | picture | why |", "|---|---|---|---|---|---|---|"]
        for shot in shots:
            why = "<br>".join(
                f"**{_cell(HEADINGS.get(r.decision, r.decision))}** {_cell(r.evidence)}" for r in _news(shot, told)
            )
            cells = [shot.id, _clock(shot.start, timeline), _seconds(shot, timeline)]
            cells += [framing_of(shot.size, shot.camera), shot.camera.kind]
            lines.append(f"| {' | '.join(_cell(cell) for cell in [*cells, shot.prompt])} | {why} |")
        lines.append("")
    return "\n".join(lines)


def _csv(timeline: Timeline, analysis: Analysis) -> str:
    """One row a shot, all its reasons in the last column."""
    names = section_names(sections_of(analysis))
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\n")
    table.writerow(
        "shot,start_frame,end_frame,start_seconds,seconds,section,scene,time,palette,action,size,framing,move,amount,beat,"
        "accent,lens,azimuth,transition,seed,locked,prompt,reasons".split(",")
    )
    for shot in timeline.shots:
        read, camera = understand(shot.prompt).directions, shot.camera
        start = f"{float(shot.start / timeline.fps):.3f}"
        place = [names[min(shot.section, len(names) - 1)], read.scene, read.time, read.palette, read.action or ""]
        move = [shot.size, framing_of(shot.size, camera), camera.kind, camera.amount, camera.beat, camera.accent]
        move += [camera.lens, camera.azimuth, shot.transition.kind]
        reasons = " | ".join(f"{r.decision}: {r.choice}: {r.evidence}" for r in shot.reasons)
        table.writerow(
            [shot.id, shot.start, shot.end, start, f"{float(shot.duration / timeline.fps):.3f}", *place, *move]
            + [shot.seed, shot.locked, _harmless(shot.prompt), reasons]
        )
    return file.getvalue()


FORMATS = {"text": _text, "markdown": _markdown, "csv": _csv}


# ---------------------------------------------------------------- the parts of a page


def _summary(timeline: Timeline, analysis: Analysis) -> str:
    tempo = f"{analysis.tempo:.0f} BPM in bars of {beats_per_bar(analysis)}" if analysis.tempo else "no beat found"
    theme = f"theme {timeline.brief.theme!r}, " if timeline.brief.theme else ""
    return (
        f"{_clock(timeline.num_frames, timeline)}, {tempo}, {len(timeline.shots)} shots, "
        f"{float(timeline.fps):g} frames per second, {timeline.width}x{timeline.height}, {theme}"
        f"seed {timeline.brief.seed}. {measure_plan(timeline, analysis)}."
    )


def _by_section(timeline: Timeline, analysis: Analysis) -> Iterator[tuple[str, list[Shot]]]:
    names = section_names(sections_of(analysis))
    for section, shots in groupby(timeline.shots, key=lambda shot: min(shot.section, len(names) - 1)):
        yield names[section], list(shots)


def _news(shot: Shot, told: dict[str, Reason]) -> list[Reason]:
    """The shot's reasons without those of its section that were told before; `told` is brought up to date."""
    news = [r for r in shot.reasons if r.decision not in OF_THE_SECTION or told.get(r.decision) != r]
    told |= {r.decision: r for r in news if r.decision in OF_THE_SECTION}
    return news


def _clock(frame: int, timeline: Timeline) -> str:
    """Minutes, seconds and tenths: 1:02.5."""
    tenths = round(frame / timeline.fps * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"


def _seconds(shot: Shot, timeline: Timeline) -> str:
    return f"{float(shot.duration / timeline.fps):.2f}"


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}  " if indent else "", break_on_hyphens=False
    )


def _cell(text: str) -> str:
    """Text that stays text inside a markdown table."""
    text = " ".join(text.split())
    for mark in "\\`*_|<>[]":
        text = text.replace(mark, f"\\{mark}")
    return text


def _harmless(text: str) -> str:
    """Spreadsheets take a cell that starts with one of these for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text
