"""Video files: H.264 in mp4 with exact times and right colour tags, written whole or not at all, read in order.

PyAV carries its own ffmpeg, so nothing has to be installed beside the Python packages.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from mv.errors import InputError, cannot_write

BT709 = 1  # ffmpeg's number for it, the same for primaries, transfer and matrix
LIMITED_RANGE = 1
REORDER = 2  # frames by which this encoder's packets run ahead of what is shown, at most (B-frames in two layers)
ENCODER_THREADS = 4  # x264's pictures depend on it: by its own choice each number of cores would give another film


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends well; any failure leaves nothing.

    What the system refuses inside the block (no space, no permission) is raised as OutputError.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}.", suffix=path.suffix)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        _sync(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException as error:
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(path, error) from error
        raise


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def open_mp4(path: Path, metadata: Mapping[str, str], timescale: int = 1000) -> Iterator[OutputContainer]:
    """An mp4 whose index stands first, so that players start at once.

    timescale: ticks per second of the edit lists; with the sample rate of the sound here, the sound's length is kept
    to the sample (the muxer's own 1000 would cut it to the millisecond).
    """
    options = {"movflags": "+faststart", "movie_timescale": str(timescale)}
    container = av.open(str(path), "w", format="mp4", options=options)
    container.metadata.update(metadata)
    try:
        yield container
    except BaseException:
        with suppress(Exception):  # the error that brought us here is the one to tell
            container.close()
        raise
    container.close()


def add_video(container: OutputContainer, fps: Fraction, width: int, height: int, crf: int) -> VideoStream:
    """H.264 high, 4:2:0, tagged bt709. Raises InputError for odd sizes, which 4:2:0 cannot hold."""
    if width % 2 or height % 2:
        raise InputError(f"picture size: expected even width and height, got {width}x{height}")
    stream = container.add_stream("libx264", rate=fps)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    # A key frame about every two seconds lets a player jump anywhere quickly.
    stream.options = {"crf": str(crf), "preset": "veryfast", "profile": "high", "g": str(max(1, round(2 * fps)))}
    # x264's macroblock tree gives other pictures at every run on processors with AVX-512 (seen with PyAV 18.1).
    stream.options |= {"x264-params": "mbtree=0"}
    codec = stream.codec_context
    codec.thread_count = ENCODER_THREADS
    codec.time_base = 1 / fps
    codec.color_primaries = codec.color_trc = codec.colorspace = BT709
    codec.color_range = LIMITED_RANGE
    return stream


def to_video_frame(rgb: np.ndarray) -> av.VideoFrame:
    """(h, w, 3) uint8 RGB → a 4:2:0 bt709 frame."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    return frame.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG", threads=1)


def encode(container: OutputContainer, stream: VideoStream, frame: av.VideoFrame, index: int) -> None:
    """Write video frame number `index` of the stream: its time is exactly index / fps."""
    frame.pts, frame.time_base = index, stream.codec_context.time_base
    frame.pict_type = av.video.frame.PictureType.NONE  # a decoded frame must not dictate the encoder's frame types
    container.mux(stream.encode(frame))


def write_video(path: Path, frames: np.ndarray, fps: Fraction, crf: int, metadata: Mapping[str, str]) -> None:
    """frames (f, h, w, 3) uint8 RGB → an mp4 of exactly f frames, whole or not at all. Raises OutputError."""
    height, width = frames.shape[1:3]
    with whole_file(path) as temporary, open_mp4(temporary, metadata) as container:
        stream = add_video(container, fps, width, height, crf)
        for index, frame in enumerate(frames):
            encode(container, stream, to_video_frame(frame), index)
        container.mux(stream.encode(None))


def read_metadata(path: Path) -> tuple[dict[str, str], int]:
    """The tags of a video file and its number of frames. Raises InputError where it cannot be read."""
    try:
        with av.open(str(path)) as container:
            return dict(container.metadata), container.streams.video[0].frames
    except (av.FFmpegError, OSError, IndexError) as error:
        raise InputError(f"{path}: not a readable video file: {error}") from None


def num_packets(path: Path) -> int:
    """How many whole frames a video file holds, each looked at but not decoded; 0 where it cannot be read.

    The file's own index, which stands at its beginning, does not tell where its end is missing.
    """
    try:
        with av.open(str(path)) as container:
            packets = [packet for packet in container.demux(video=0) if packet.size]
            return sum(not packet.is_corrupt for packet in packets)
    except (av.FFmpegError, OSError, IndexError):
        return 0


class FrameReader:
    """The frames of a video file, asked for in order; one decoded frame is held at a time.

    first: the number of the file's first frame in the caller's counting.
    """

    def __init__(self, path: Path, first: int = 0):
        self.path = path
        try:
            self._container = av.open(str(path))
            self._frames = self._container.decode(video=0)
        except (av.FFmpegError, OSError, IndexError) as error:
            raise InputError(f"{path}: cannot read this take: {error}. Render the plan again.") from None
        self._at, self._frame = first - 1, None

    def frame(self, number: int) -> av.VideoFrame:
        """Numbers may repeat but not go back. Raises InputError where the file is damaged or ends before."""
        assert number >= self._at, f"frame {number} was asked for after {self._at}"
        while self._at < number:
            try:
                self._frame = next(self._frames)
            except (av.FFmpegError, StopIteration):
                raise InputError(f"{self.path}: this take ends too early. Render the plan again.") from None
            self._at += 1
        return self._frame

    def rgb(self, number: int) -> np.ndarray:
        """(h, w, 3) uint8."""
        return self.frame(number).to_ndarray(format="rgb24")

    def close(self) -> None:
        self._container.close()
