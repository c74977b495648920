"""The film's picture, encoded shot by shot: an edit encodes only the shots it touched again, the others are copied.

A piece is an mp4 of the frames that a shot has in the film, the crossfade into it included, named by the hash of all
that could change one of its bits. It begins with a key frame and needs nothing of its neighbours, so that the packets
of all pieces, one after the other, are the film: the same one, whichever pieces were there already.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from mv.errors import Cancelled, InputError
from mv.schema import Take, Timeline, Transition
from mv.video import REORDER, FrameReader, add_video, encode, num_packets, open_mp4, to_video_frame, whole_file

FILM_CRF = 17  # no difference to be seen from the takes at this size
PIECE_FORMAT = f"h264-crf{FILM_CRF}-1 {av.__version__}"  # part of every name: change it when pieces are made otherwise
KEPT = 100  # pieces kept beside those of the newest film: undo finds them again


@dataclass(frozen=True)
class Piece:
    """Film frames [start, stop) in a file of their own."""

    path: Path
    start: int
    stop: int


def encode_pieces(
    timeline: Timeline,
    takes: list[Take],
    takes_dir: Path,
    folder: Path,
    on_progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[Piece]:
    """The pieces of a film in order, those that are missing written into `folder`. takes: one for each shot.

    Raises InputError for takes that cannot be read, OutputError, Cancelled; finished pieces are kept.
    """
    pieces = []
    hashes = {take.file: _content_hash(takes_dir / take.file) for take in takes}
    for index in range(len(timeline.shots)):
        start, stop = _place(timeline, index)
        path = folder / f"{_name(timeline, takes, index, hashes)}.mp4"
        pieces.append(Piece(path, start, stop))
        if num_packets(path) != stop - start:
            with whole_file(path) as temporary, open_mp4(temporary, {}) as film:
                stream = add_video(film, timeline.fps, timeline.width, timeline.height, FILM_CRF)
                for number, frame in enumerate(_pictures(timeline, takes, takes_dir, index)):
                    if cancelled():
                        raise Cancelled("stopped before the film was whole; the takes are kept")
                    encode(film, stream, frame, number)
                    on_progress((start + number + 1) / timeline.num_frames)
                film.mux(stream.encode(None))
        on_progress(stop / timeline.num_frames)
    return pieces


def add_picture(film: OutputContainer, pieces: list[Piece], fps: Fraction) -> VideoStream:
    """The film's video stream, for `copy_pieces`."""
    with av.open(str(pieces[0].path)) as first:
        stream = film.add_stream_from_template(first.streams.video[0])
    stream.time_base = 1 / fps
    return stream


def copy_pieces(film: OutputContainer, stream: VideoStream, pieces: list[Piece], fps: Fraction) -> Iterator[int]:
    """Write the packets of all pieces; yields the film's number of frames after each piece."""
    for piece in pieces:
        with av.open(str(piece.path)) as container:
            _copy(film, stream, container, piece.start, fps)
        yield piece.stop


def _copy(film: OutputContainer, stream: VideoStream, source: av.container.InputContainer, start: int, fps) -> None:
    """Times are set anew from frame numbers: exactly number / fps, decoded REORDER frames ahead."""
    for number, packet in enumerate(packet for packet in source.demux(video=0) if packet.size):
        shown = round(packet.pts * packet.time_base * fps)
        packet.stream, packet.time_base, packet.duration = stream, 1 / fps, 1
        packet.pts, packet.dts = start + shown, start + number - REORDER
        film.mux(packet)


def remove_others(folder: Path, pieces: list[Piece]) -> None:
    """The oldest pieces of other films, beyond KEPT of them."""
    used = {piece.path for piece in pieces}
    others = [path for path in folder.glob("*.mp4") if path not in used and not path.name.startswith(".")]
    for path in sorted(others, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        path.unlink(missing_ok=True)


def _place(timeline: Timeline, index: int) -> tuple[int, int]:
    """Film frames [start, stop) of a shot's piece: up to the crossfade into the next one."""
    shots = timeline.shots
    after = shots[index + 1].transition if index + 1 < len(shots) else Transition()
    return shots[index].start - shots[index].transition.handles[0], shots[index].end - after.handles[0]


def _name(timeline: Timeline, takes: list[Take], index: int, hashes: dict[str, str]) -> str:
    shot, (start, stop) = timeline.shots[index], _place(timeline, index)
    shown = [index - 1, index] if shot.transition.kind == "crossfade" and index else [index]
    after = timeline.shots[index + 1].transition if index + 1 < len(timeline.shots) else Transition()
    said = {
        "format": PIECE_FORMAT,
        "picture": [str(timeline.fps), timeline.width, timeline.height],
        "frames": [start - shot.start, stop - shot.start],
        "takes": [[hashes[takes[i].file], start - timeline.span(i)[0]] for i in shown],
        "transitions": [shot.transition.model_dump(mode="json"), after.model_dump(mode="json")],
    }
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()


def _content_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot read this take: {error.strerror}. Render the plan again.") from None


# ---------------------------------------------------------------- pictures


def _pictures(timeline: Timeline, takes: list[Take], takes_dir: Path, index: int) -> Iterator[av.VideoFrame]:
    """The frames of a shot's piece in order, 4:2:0. Outside of transitions they pass through as they were decoded."""
    shot, (start, stop) = timeline.shots[index], _place(timeline, index)
    after = timeline.shots[index + 1].transition if index + 1 < len(timeline.shots) else Transition()
    reader = _open_take(timeline, index, takes[index], takes_dir)
    try:
        if shot.transition.kind == "crossfade":
            before = _open_take(timeline, index - 1, takes[index - 1], takes_dir) if index else None
            end = shot.start + shot.transition.out_offset
            yield from _crossfade(timeline, before, reader, start, end)
            if before is not None:
                before.close()
            start = end
        for number in range(start, stop):
            covered = shot.transition.cover(number - shot.start)
            veil = shot.transition.look.veil if covered else after.look.veil
            covered = covered or after.cover(number - shot.end)
            yield _veiled(reader.rgb(number), veil, covered) if covered else reader.frame(number)
    finally:
        reader.close()


def _open_take(timeline: Timeline, index: int, take: Take, takes_dir: Path) -> FrameReader:
    start, _ = timeline.span(index)
    reader = FrameReader(takes_dir / take.file, start)
    first = reader.frame(start)
    if (first.width, first.height) != (timeline.width, timeline.height):
        reader.close()
        raise InputError(
            f"shot {timeline.shots[index].id}: its take is {first.width}x{first.height}, the plan wants "
            f"{timeline.width}x{timeline.height}: render it again"
        )
    return reader


def _crossfade(
    timeline: Timeline, before: FrameReader | None, after: FrameReader, start: int, stop: int
) -> Iterator[av.VideoFrame]:
    """Film frames [start, stop): `after` appears over `before`, over black where the film begins with it."""
    from moviepy import ColorClip, CompositeVideoClip, VideoClip
    from moviepy.video.fx import CrossFadeIn

    fps = float(timeline.fps)
    duration = (stop - start) / fps

    def layer(reader: FrameReader) -> VideoClip:
        # moviepy asks by seconds; the middle of a frame's time cannot be rounded into its neighbour.
        return VideoClip(lambda time: reader.rgb(start + int(time * fps)), duration=duration)

    size = (timeline.width, timeline.height)
    below = layer(before) if before is not None else ColorClip(size, color=(0, 0, 0), duration=duration)
    mix = CompositeVideoClip([below, layer(after).with_effects([CrossFadeIn(duration)])], use_bgclip=True)
    for i in range(stop - start):
        yield to_video_frame(mix.get_frame((i + 0.5) / fps))


def _veiled(rgb: np.ndarray, colour: tuple[int, int, int], covered: float) -> av.VideoFrame:
    """(h, w, 3) uint8 under a colour, 0..1 of it."""
    return to_video_frame(np.rint((1 - covered) * rgb + covered * np.array(colour)).astype(np.uint8))
