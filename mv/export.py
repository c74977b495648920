"""Lists for other programs: subtitles (SRT), and the cut as EDL, OpenTimelineIO and FCPXML.

The film is the one source of every shot, so that an editing program shows it cut at each shot, at the frame, and can
swap single shots for others; transitions are baked into it and stand as cuts with a
note (a program that mixed them once more would show them twice). Where no film was made yet, the source is
named but missing, and the program asks for it. Every function returns the text of a file.
"""

import json
from fractions import Fraction
from pathlib import Path
from xml.sax.saxutils import quoteattr

from mv.errors import InputError
from mv.schema import Analysis, Shot, Timeline

REEL = "FILM"


def srt(plan: Timeline, analysis: Analysis, film: Path | None = None) -> str:
    """The lines of the lyrics with their times. Raises InputError where the song has none."""
    if not analysis.lyrics:
        raise InputError("subtitles: this song has no lyrics with times; plan it with a lyrics file (LRC, SRT or text)")
    blocks = [
        f"{number}\n{_srt_time(line.start)} --> {_srt_time(line.end)}\n{' '.join(line.text.split())}\n"
        for number, line in enumerate(analysis.lyrics, 1)
    ]
    return "\n".join(blocks)


def _srt_time(seconds: float) -> str:
    milliseconds = round(seconds * 1000)
    hours, minutes = milliseconds // 3600000, milliseconds // 60000 % 60
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000 % 60:02d},{milliseconds % 1000:03d}"


def edl(plan: Timeline, analysis: Analysis, film: Path | None = None) -> str:
    """CMX 3600, non-drop frame: one event a shot of the video track."""
    lines = [f"TITLE: {_line(plan.title or 'MV Studio')[:60]}", "FCM: NON-DROP FRAME", ""]
    for number, shot in enumerate(plan.shots, 1):
        start, end = (_timecode(frame, plan.fps) for frame in (shot.start, shot.end))
        lines.append(f"{number:03d}  {REEL:<8} V     C        {start} {end} {start} {end}")
        lines.append(f"* FROM CLIP NAME: {_name(plan, film)}")
        lines.append(f"* COMMENT: {_line(_title(plan, number - 1, analysis))}")
        if shot.transition.kind != "cut":
            lines.append(f"* COMMENT: {_transition_note(shot)}")
    return "\n".join(lines) + "\n"


def _timecode(frame: int, fps: Fraction) -> str:
    """Counted at the next whole rate, as editing programs do for 23.976 and 29.97."""
    rate = round(fps)
    seconds, frames = divmod(frame, rate)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def otio(plan: Timeline, analysis: Analysis, film: Path | None = None) -> str:
    """OpenTimelineIO JSON: a track of shots, a track with the film's sound, and a marker for every section."""
    rate = float(plan.fps)

    def moment(frame: int) -> dict:
        return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": float(frame)}

    def span(start: int, length: int) -> dict:
        return {"OTIO_SCHEMA": "TimeRange.1", "start_time": moment(start), "duration": moment(length)}

    def media() -> dict:
        if film is None:
            return {"OTIO_SCHEMA": "MissingReference.1", "name": _name(plan, film), "metadata": {}}
        whole = span(0, plan.num_frames)
        url = film.absolute().as_uri()
        return {"OTIO_SCHEMA": "ExternalReference.1", "target_url": url, "available_range": whole, "metadata": {}}

    def clip(name: str, start: int, length: int, metadata: dict) -> dict:
        return {
            "OTIO_SCHEMA": "Clip.2",
            "name": name,
            "source_range": span(start, length),
            "media_references": {"DEFAULT_MEDIA": media()},
            "active_media_reference_key": "DEFAULT_MEDIA",
            "effects": [],
            "markers": [],
            "enabled": True,
            "metadata": metadata,
        }

    def track(kind: str, children: list[dict], markers: list[dict]) -> dict:
        return {
            "OTIO_SCHEMA": "Track.1",
            "name": kind,
            "kind": kind,
            "children": children,
            "source_range": None,
            "effects": [],
            "markers": markers,
            "enabled": True,
            "metadata": {},
        }

    shots = [
        clip(_title(plan, i, analysis), shot.start, shot.duration, {"mv_studio": _facts(shot)})
        for i, shot in enumerate(plan.shots)
    ]
    markers = [
        {
            "OTIO_SCHEMA": "Marker.2",
            "name": section.label,
            "color": "GREEN",
            "marked_range": span(int(Fraction(section.start) * plan.fps + Fraction(1, 2)), 0),
            "metadata": {},
        }
        for section in analysis.sections
    ]
    stack = {
        "OTIO_SCHEMA": "Stack.1",
        "name": "tracks",
        "children": [
            track("Video", shots, markers),
            track("Audio", [clip(_name(plan, film), 0, plan.num_frames, {})], []),
        ],
        "source_range": None,
        "effects": [],
        "markers": [],
        "enabled": True,
        "metadata": {},
    }
    timeline = {"OTIO_SCHEMA": "Timeline.1", "name": plan.title, "global_start_time": None, "tracks": stack}
    return json.dumps({**timeline, "metadata": {}}, indent=1) + "\n"


def fcpxml(plan: Timeline, analysis: Analysis, film: Path | None = None) -> str:
    """Final Cut Pro XML 1.9, read by DaVinci Resolve too: one clip a shot; sections are markers of the shots."""
    fps = plan.fps

    def seconds(frame: int) -> str:
        time = frame / fps
        return f"{time.numerator}/{time.denominator}s" if time.denominator > 1 else f"{time.numerator}s"

    name, length = quoteattr(_line(plan.title) or "MV Studio"), seconds(plan.num_frames)
    source = quoteattr((film or Path(_name(plan, film))).absolute().as_uri())
    clips = []
    for index, shot in enumerate(plan.shots):
        title = quoteattr(_title(plan, index, analysis))
        place = f'offset="{seconds(shot.start)}" start="{seconds(shot.start)}" duration="{seconds(shot.duration)}"'
        words = [shot.prompt] if shot.transition.kind == "cut" else [shot.prompt, _transition_note(shot)]
        note = f"<note>{_escaped('; '.join(words))}</note>"
        clips.append(f'     <asset-clip ref="r2" format="r1" name={title} {place}>{note}</asset-clip>')
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            "<!DOCTYPE fcpxml>",
            '<fcpxml version="1.9">',
            " <resources>",
            f'  <format id="r1" frameDuration="{seconds(1)}" width="{plan.width}" height="{plan.height}"/>',
            f'  <asset id="r2" name={quoteattr(_name(plan, film))} src={source} start="0s" duration="{length}" '
            'format="r1" hasVideo="1" hasAudio="1" audioSources="1" audioChannels="2"/>',
            " </resources>",
            f" <library><event name={name}><project name={name}>",
            f'   <sequence format="r1" duration="{length}" tcStart="0s" tcFormat="NDF"><spine>',
            *clips,
            "   </spine></sequence>",
            " </project></event></library>",
            "</fcpxml>",
            "",
        ]
    )


def _escaped(text: str) -> str:
    return _line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _line(text: str) -> str:
    """One line without control characters: these formats have no way to write them."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _title(plan: Timeline, index: int, analysis: Analysis) -> str:
    shot = plan.shots[index]
    label = analysis.sections[shot.section].label if shot.section < len(analysis.sections) else ""
    return " ".join(filter(None, [f"Shot {index + 1}", label, str(shot.size), str(shot.camera.kind)]))


def _facts(shot: Shot) -> dict:
    transition = shot.transition.model_dump(mode="json")
    facts = {"id": shot.id, "prompt": shot.prompt, "size": str(shot.size), "move": str(shot.camera.kind)}
    return {**facts, "transition": transition}


def _transition_note(shot: Shot) -> str:
    t = shot.transition
    return f"begins with a {t.kind}, {t.in_offset} frames before the cut and {t.out_offset} after it, in the film"


def _name(plan: Timeline, film: Path | None) -> str:
    return film.name if film else f"{Path(plan.song).stem}.mp4"


# Ending of a file: what writes it.
FORMATS = {".srt": srt, ".edl": edl, ".otio": otio, ".fcpxml": fcpxml}
