"""Lists for other programs: subtitles (SRT), and the cut as EDL, OpenTimelineIO and FCPXML.

Of the film: it is the one source of every shot, so that an editing program shows it cut at each shot, at the frame;
transitions are baked into it and stand as cuts with a note (a program that mixed them once more would show them twice).
Where no film was made yet, the source is named but missing, and the program asks for it.

Of clips, for cutting anew: a file for each shot with the frames that crossfades need beyond its cuts, and the song.
Crossfades stand as such; a dip or a flash stands as a note, because the formats have no common way to say its colour.
`package` puts lists, clips and song into one zip file.

Every function but `package` returns the text of a file.
"""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

from mv.errors import InputError
from mv.schema import Analysis, Shot, Timeline, Transition
from mv.video import whole_file


@dataclass(frozen=True)
class Clip:
    """A media file of a shot, or of all. address: its URL, relative to the list or whole, "" where it is missing; reel:
    its name in an EDL; first: the film's frame that its first frame is; in frames."""

    name: str
    address: str
    reel: str
    first: int
    num_frames: int


@dataclass(frozen=True)
class Media:
    """clips: one a shot, in order. baked: transitions are in the pictures already. sound: of the whole film."""

    clips: tuple[Clip, ...]
    sound: Clip
    baked: bool

    def transition(self, shot: Shot) -> Transition:
        """What the editing program is to mix before this shot."""
        return shot.transition if shot.transition.kind == "crossfade" and not self.baked else Transition()


def of_film(plan: Timeline, film: Path | None) -> Media:
    clip = Clip(_name(plan, film), film.absolute().as_uri() if film else "", "FILM", 0, plan.num_frames)
    return Media((clip,) * len(plan.shots), clip, baked=True)


def of_clips(plan: Timeline) -> Media:
    """As `package` lays them out: clips/shot-001.mp4 ... and the song beside the lists."""
    clips = []
    for index, name in enumerate(clip_names(plan)):
        start, stop = plan.span(index)
        clips.append(Clip(name, f"clips/{name}", f"SHOT{index + 1:04d}", start, stop - start))
    song = Path(plan.song).name
    return Media(tuple(clips), Clip(song, quote(song), "SONG", 0, plan.num_frames), baked=False)


def clip_names(plan: Timeline) -> list[str]:
    digits = max(3, len(str(len(plan.shots))))
    return [f"shot-{number:0{digits}d}.mp4" for number in range(1, len(plan.shots) + 1)]


def package(plan: Timeline, analysis: Analysis, takes: Mapping[str, Path], target: Path) -> Path:
    """A zip file for an editing program: EDL, OTIO, FCPXML (and SRT where there are lyrics), the song, a clip for each
    shot. takes: shot id → its take's file. plan: with absolute paths. Written whole or not at all; raises InputError
    for shots without a take, OutputError."""
    there = {shot: take for shot, take in takes.items() if take.is_file()}
    bare = [str(number) for number, shot in enumerate(plan.shots, 1) if shot.id not in there]
    if bare:
        listed = ", ".join(bare[:8]) + (" ..." if len(bare) > 8 else "")
        raise InputError(f"clips: shots without a take: {listed}; render them first")
    media, folder = of_clips(plan), target.stem
    with whole_file(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for ending, write in FORMATS.items():
            if ending != ".srt" or analysis.lyrics:
                text = write(plan, analysis, media=media)
                archive.writestr(f"{folder}/{folder}{ending}", text, zipfile.ZIP_DEFLATED)
        archive.write(plan.song, f"{folder}/{Path(plan.song).name}")
        for shot, clip in zip(plan.shots, media.clips):
            archive.write(there[shot.id], f"{folder}/clips/{clip.name}")
    return target


def srt(plan: Timeline, analysis: Analysis, film: Path | None = None, media: Media | None = None) -> str:
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


def edl(plan: Timeline, analysis: Analysis, film: Path | None = None, media: Media | None = None) -> str:
    """CMX 3600, non-drop frame: one event a shot of the video track; a crossfade is a dissolve into its shot."""
    media = media or of_film(plan, film)
    lines = [f"TITLE: {_line(plan.title or 'MV Studio')[:60]}", "FCM: NON-DROP FRAME", ""]
    mixes = [media.transition(shot) for shot in plan.shots] + [Transition()]
    for index, (shot, clip) in enumerate(zip(plan.shots, media.clips)):
        start, end = shot.start - mixes[index].in_offset, shot.end - mixes[index + 1].in_offset
        length, kind = mixes[index].in_offset + mixes[index].out_offset, "C       "
        if length:
            before = media.clips[index - 1]
            lines.append(_event(index + 1, before, "C       ", start, start, plan.fps))
            kind = f"D    {length:03d}"
        lines.append(_event(index + 1, clip, kind, start, end, plan.fps))
        if length:
            lines.append(f"* TO CLIP NAME: {clip.name}")
        else:
            lines.append(f"* FROM CLIP NAME: {clip.name}")
        if not media.baked:
            lines.append(f"* SOURCE FILE: {clip.address}")
        lines.append(f"* COMMENT: {_line(_title(plan, index, analysis))}")
        if note := _note(shot, media):
            lines.append(f"* COMMENT: {note}")
    return "\n".join(lines) + "\n"


def _event(number: int, clip: Clip, kind: str, start: int, end: int, fps: Fraction) -> str:
    """start, end: frames of the film."""
    times = (start - clip.first, end - clip.first, start, end)
    return f"{number:03d}  {clip.reel:<8} V     {kind} " + " ".join(_timecode(frame, fps) for frame in times)


def _timecode(frame: int, fps: Fraction) -> str:
    """Counted at the next whole rate, as editing programs do for 23.976 and 29.97."""
    rate = round(fps)
    seconds, frames = divmod(frame, rate)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}:{frames:02d}"


def otio(plan: Timeline, analysis: Analysis, film: Path | None = None, media: Media | None = None) -> str:
    """OpenTimelineIO JSON: a track of shots, a track with the film's sound, and a marker for every section."""
    media, rate = media or of_film(plan, film), float(plan.fps)

    def moment(frame: int) -> dict:
        return {"OTIO_SCHEMA": "RationalTime.1", "rate": rate, "value": float(frame)}

    def span(start: int, length: int) -> dict:
        return {"OTIO_SCHEMA": "TimeRange.1", "start_time": moment(start), "duration": moment(length)}

    def reference(source: Clip) -> dict:
        if not source.address:
            return {"OTIO_SCHEMA": "MissingReference.1", "name": source.name, "metadata": {}}
        whole, url = span(0, source.num_frames), source.address
        return {"OTIO_SCHEMA": "ExternalReference.1", "target_url": url, "available_range": whole, "metadata": {}}

    def clip(name: str, source: Clip, start: int, length: int, metadata: dict) -> dict:
        return {
            "OTIO_SCHEMA": "Clip.2",
            "name": name,
            "source_range": span(start - source.first, length),
            "media_references": {"DEFAULT_MEDIA": reference(source)},
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

    def mix(transition: Transition) -> dict:
        return {
            "OTIO_SCHEMA": "Transition.1",
            "name": "crossfade",
            "transition_type": "SMPTE_Dissolve",
            "in_offset": moment(transition.in_offset),
            "out_offset": moment(transition.out_offset),
            "metadata": {},
        }

    shots = []
    for i, (shot, source) in enumerate(zip(plan.shots, media.clips)):
        if media.transition(shot).kind != "cut":
            shots.append(mix(shot.transition))
        shots.append(clip(_title(plan, i, analysis), source, shot.start, shot.duration, {"mv_studio": _facts(shot)}))
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
            track("Audio", [clip(media.sound.name, media.sound, 0, plan.num_frames, {})], []),
        ],
        "source_range": None,
        "effects": [],
        "markers": [],
        "enabled": True,
        "metadata": {},
    }
    timeline = {"OTIO_SCHEMA": "Timeline.1", "name": plan.title, "global_start_time": None, "tracks": stack}
    return json.dumps({**timeline, "metadata": {}}, indent=1) + "\n"


def fcpxml(plan: Timeline, analysis: Analysis, film: Path | None = None, media: Media | None = None) -> str:
    """Final Cut Pro XML 1.9, read by DaVinci Resolve too: one clip a shot; what a format cannot say is a note."""
    media, fps = media or of_film(plan, film), plan.fps

    def seconds(frame: int) -> str:
        time = frame / fps
        return f"{time.numerator}/{time.denominator}s" if time.denominator > 1 else f"{time.numerator}s"

    def asset(key: str, clip: Clip, tracks: str) -> str:
        address = quoteattr(clip.address or Path(clip.name).absolute().as_uri())
        return (
            f'  <asset id="{key}" name={quoteattr(clip.name)} src={address} start="0s" '
            f'duration="{seconds(clip.num_frames)}" {tracks}/>'
        )

    video, audio = 'format="r1" hasVideo="1"', 'hasAudio="1" audioSources="1" audioChannels="2"'
    if media.baked:
        keys, assets = ["r2"] * len(plan.shots), [asset("r2", media.sound, f"{video} {audio}")]
    else:
        keys = [f"r{number}" for number in range(3, 3 + len(plan.shots))]
        assets = [asset(key, clip, video) for key, clip in zip(keys, media.clips)]
        assets.insert(0, asset("r2", media.sound, audio))
    spine = []
    for index, (shot, clip, key) in enumerate(zip(plan.shots, media.clips, keys)):
        title, start = quoteattr(_title(plan, index, analysis)), seconds(shot.start - clip.first)
        place = f'offset="{seconds(shot.start)}" start="{start}" duration="{seconds(shot.duration)}"'
        note = f"<note>{_escaped('; '.join(filter(None, [shot.prompt, _note(shot, media)])))}</note>"
        mixed = media.transition(shot)
        if mixed.kind != "cut":
            at, length = shot.start - mixed.in_offset, mixed.in_offset + mixed.out_offset
            spine.append(
                f'     <transition name="Cross Dissolve" offset="{seconds(at)}" duration="{seconds(length)}"/>'
            )
        song = ""
        if not index and not media.baked:  # the song hangs on the first shot, in its clip's time
            song = f'<asset-clip ref="r2" lane="-1" offset="{start}" name={quoteattr(media.sound.name)} '
            song += f'duration="{seconds(plan.num_frames)}"/>'
        spine.append(f'     <asset-clip ref="{key}" format="r1" name={title} {place}>{note}{song}</asset-clip>')
    name, length = quoteattr(_line(plan.title) or "MV Studio"), seconds(plan.num_frames)
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            "<!DOCTYPE fcpxml>",
            '<fcpxml version="1.9">',
            " <resources>",
            f'  <format id="r1" frameDuration="{seconds(1)}" width="{plan.width}" height="{plan.height}"/>',
            *assets,
            " </resources>",
            f" <library><event name={name}><project name={name}>",
            f'   <sequence format="r1" duration="{length}" tcStart="0s" tcFormat="NDF"><spine>',
            *spine,
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
    return " ".join(filter(None, [f"Shot {index + 1}", label, str(shot.size), _way(shot)]))


def _way(shot: Shot) -> str:
    return "keyframes" if shot.camera.keyframes else str(shot.camera.kind)


def _facts(shot: Shot) -> dict:
    transition = shot.transition.model_dump(mode="json")
    facts = {"id": shot.id, "prompt": shot.prompt, "size": str(shot.size), "move": _way(shot)}
    keyframes = [keyframe.model_dump(mode="json") for keyframe in shot.camera.keyframes]
    return {**facts, "transition": transition, **({"keyframes": keyframes} if keyframes else {})}


def _note(shot: Shot, media: Media) -> str:
    """Of a transition that the list has no other way to tell; "" where there is none."""
    t = shot.transition
    if t.kind == "cut" or media.transition(shot).kind != "cut":
        return ""
    where = "in the film" if media.baked else "to be added"
    return f"begins with a {t.kind}, {t.in_offset} frames before the cut and {t.out_offset} after it, {where}"


def _name(plan: Timeline, film: Path | None) -> str:
    return film.name if film else f"{Path(plan.song).stem}.mp4"


# Ending of a file: what writes it.
FORMATS = {".srt": srt, ".edl": edl, ".otio": otio, ".fcpxml": fcpxml}
