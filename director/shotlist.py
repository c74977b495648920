"""The plan as a page a director reads: every shot with what it shows, how the camera moves, and why."""

import csv
import io
import textwrap
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from director.measures import measure_plan
from director.segmentation import beats_per_bar, section_names, sections_of
from director.setups import framing_of, move_family
from mv.errors import InputError
from mv.schema import Analysis, Reason, Shot, Timeline
from mv.world.vocabulary import ACTIONS, EMPTY, SCENES, TIMES, describe, understand

WIDTH = 110  # characters a line of the text page
# What a page tells only where it is other than before: decisions whose reason holds until then ...
TOLD_ONCE = ("theme", "scene", "light", "cast", "performer")
# ... and those whose choice does, by its first word, however its numbers run.
SAME_CHOICE = ("action", "lens", "beat")
TOLD_ELSEWHERE = (("transition", "cut"), ("transition", "cut, match cut"))  # by the lines of the boundary and the size
OF_THE_SECTION = "scene"  # each reason of this kind is told once a section: a film goes to and fro between places
OF_THE_FILM = ("cast", "performer")  # and of these kinds once a film, whoever comes and goes
HEADINGS = {"boundary": "cut"}  # a decision's word on the page, where it is another one


def shot_list(timeline: Timeline, analysis: Analysis, format: str = "text") -> str:
    """The page, ending in a newline. format: a key of FORMATS. Raises InputError for another."""
    if format not in FORMATS:
        raise InputError(f"format: expected one of {', '.join(FORMATS)}, got {format!r}")
    return FORMATS[format](timeline, analysis)


def _text(timeline: Timeline, analysis: Analysis) -> str:
    lines = [timeline.title or "Untitled"]
    lines += [line for text in _summary(timeline, analysis) for line in _wrapped(text)] + [""]
    told: dict[str, set[str]] = {}
    for name, shots in _by_section(timeline, analysis):
        told.pop(OF_THE_SECTION, None)
        energy = sections_of(analysis)[min(shots[0].section, len(analysis.sections) - 1)].energy
        lines += [f"{name.upper()}  {_clock(shots[0].start, timeline)}  energy {energy:.2f}", ""]
        for shot in shots:
            transition = "" if shot.transition.kind == "cut" else f", {shot.transition.kind}"
            lock = "  [locked]" if shot.locked else ""
            lines.append(
                f"  {shot.id}  {_clock(shot.start, timeline)}  {_seconds(shot, timeline)} s  "
                f"{framing_of(shot.size, shot.camera)}, {shot.camera.kind}{transition}{lock}"
            )
            lines += _wrapped(_picture(shot), "        ")
            for reason in _news(shot, told):
                heading = HEADINGS.get(reason.decision, reason.decision)
                choice = "" if reason.decision in HEADINGS else f"{reason.choice}. "
                lines += _wrapped(f"{heading}: {choice}{reason.evidence}", "          ")
            lines.append("")
    return "\n".join(lines)


def _markdown(timeline: Timeline, analysis: Analysis) -> str:
    lines = [f"# {_cell(timeline.title or 'Untitled')}", ""]
    lines += [line for text in _summary(timeline, analysis) for line in (_cell(text), "")]
    told: dict[str, set[str]] = {}
    for name, shots in _by_section(timeline, analysis):
        told.pop(OF_THE_SECTION, None)
        lines += [f"## {name.capitalize()}, {_clock(shots[0].start, timeline)}", ""]
        lines += ["| shot | at | seconds | size | camera | picture | why |", "|---|---|---|---|---|---|---|"]
        for shot in shots:
            why = "<br>".join(
                f"**{_cell(HEADINGS.get(r.decision, r.decision))}** {_cell(r.evidence)}" for r in _news(shot, told)
            )
            cells = [shot.id, _clock(shot.start, timeline), _seconds(shot, timeline)]
            cells += [framing_of(shot.size, shot.camera), shot.camera.kind]
            lines.append(f"| {' | '.join(_cell(cell) for cell in [*cells, _picture(shot)])} | {why} |")
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


def _summary(timeline: Timeline, analysis: Analysis) -> list[str]:
    """The film in a few paragraphs."""
    tempo = f"{analysis.tempo:.0f} BPM in bars of {beats_per_bar(analysis)}" if analysis.tempo else "no beat found"
    brief = timeline.brief
    asked = [f"theme {brief.theme!r}"] if brief.theme else []
    asked += [f"style {brief.style}"] if brief.style else []
    asked += [f"cast {' and '.join(one.name for one in brief.cast)}"] if brief.cast else []
    pictures = {"the film": brief.image, **brief.references}
    asked += [f"{Path(file).name} for {name}" for name, file in pictures.items() if file]
    moves = Counter(move_family(shot.camera.kind) for shot in timeline.shots)
    sizes = Counter(framing_of(shot.size, shot.camera) for shot in timeline.shots)
    return [
        f"{_clock(timeline.num_frames, timeline)}, {tempo}, {len(timeline.shots)} shots, "
        f"{float(timeline.fps):g} frames per second, {timeline.width}x{timeline.height}, "
        f"{''.join(f'{text}, ' for text in asked)}seed {brief.seed}.",
        f"{measure_plan(timeline, analysis)}.",
        f"Camera: {_counted(moves)}. Sizes: {_counted(sizes)}.",
    ]


def _counted(names: Counter) -> str:
    return ", ".join(f"{name} {count}" for name, count in names.most_common())


def _picture(shot: Shot) -> str:
    """The prompt without what the page says elsewhere: the size, and the look, which the cast line tells."""
    read = understand(shot.prompt).directions
    if describe(read) != shot.prompt:
        return shot.prompt  # not the director's words
    place = f"{SCENES[read.scene]} {TIMES[read.time]}, {read.palette} light"
    who = f"{name} " if (name := _name(shot)) else ""
    return f"{place}, {who}{ACTIONS[read.action]}" if read.action else f"{place}, {EMPTY}"


def _name(shot: Shot) -> str:
    """Of the performer, where the brief gives one: "Mira: fair skin, ..." is who the director cast."""
    return next((r.choice.partition(":")[0] for r in shot.reasons if r.decision == "cast" and ":" in r.choice), "")


def _by_section(timeline: Timeline, analysis: Analysis) -> Iterator[tuple[str, list[Shot]]]:
    names = section_names(sections_of(analysis))
    for section, shots in groupby(timeline.shots, key=lambda shot: min(shot.section, len(names) - 1)):
        yield names[section], list(shots)


def _news(shot: Shot, told: dict[str, set[str]]) -> list[Reason]:
    """The shot's reasons without what was told before and still holds; `told` is brought up to date."""
    news = []
    for reason in shot.reasons:
        once, known = reason.decision in TOLD_ONCE, told.setdefault(reason.decision, set())
        text = f"{reason.choice}: {reason.evidence}" if once else reason.choice.partition(" ")[0]
        again = (once or reason.decision in SAME_CHOICE) and text in known
        if not again and (reason.decision, reason.choice) not in TOLD_ELSEWHERE:
            news.append(reason)
        told[reason.decision] = known | {text} if reason.decision in (OF_THE_SECTION, *OF_THE_FILM) else {text}
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
