"""Timeline + takes + song → the film: one mp4 with exactly the planned frames and the song's own sound from sample 0.

Everything streams: one frame of a take (two in a crossfade) is in memory at a time. The picture is encoded shot by shot
(mv/pieces.py) into `pieces` beside the takes, and copied from there.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mv.errors import Cancelled, InputError, OutputError
from mv.generation import chosen_take
from mv.pieces import add_picture, copy_pieces, encode_pieces, remove_others
from mv.schema import Take, Timeline
from mv.video import open_mp4, whole_file

PIECES_SHARE = 0.9  # of the work; the rest is the sound
BIT_RATE = 128_000  # a channel
SAMPLE_RATES = (32000, 44100, 48000)  # Hz; kept as they are, others become the last: every browser plays these
LAYOUTS = {1: "mono", 2: "stereo"}
CHUNK = 8192  # samples handed to the encoder at once


def assemble(
    timeline: Timeline,
    song: str | Path,
    output: str | Path,
    takes_dir: str | Path,
    metadata: Mapping[str, str] | None = None,
    on_progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Write the film and return its path.

    Every shot needs a take (see generate). metadata: tags of the file, added to title and comment (model, seed, plan
    revision). Raises InputError for missing takes, AudioError, OutputError, Cancelled; then no file is left.
    """
    from mv.audio import read_audio

    output = check_output(output, song)
    takes = _takes(timeline)
    audio = read_audio(song)
    tags = {"title": timeline.title, "comment": describe_film(timeline, takes), **(metadata or {})}
    rate = audio.sr if audio.sr in SAMPLE_RATES else SAMPLE_RATES[-1]
    folder = Path(takes_dir).parent / "pieces"
    report = lambda share: on_progress(PIECES_SHARE * share)
    pieces = encode_pieces(timeline, takes, Path(takes_dir), folder, report, cancelled)
    with whole_file(output) as temporary, open_mp4(temporary, tags, timescale=rate) as film:
        picture = add_picture(film, pieces, timeline.fps)
        sound = _Sound(film, audio.samples, audio.sr, rate)
        for num_frames in copy_pieces(film, picture, pieces, timeline.fps):
            if cancelled():
                raise Cancelled("stopped before the film was whole; the takes are kept")
            sound.write_until(num_frames / timeline.fps)  # side by side, so that the muxer holds little back
            on_progress(PIECES_SHARE + (1 - PIECES_SHARE) * num_frames / timeline.num_frames)
        sound.finish()
    remove_others(folder, pieces)
    return output


def check_output(output: str | Path, song: str | Path | None = None) -> Path:
    """The film's path, if it can be written. Call it before the hours of rendering. Raises OutputError."""
    output = Path(output)
    if output.suffix.lower() != ".mp4":
        raise OutputError(f"{output}: a film is an mp4 file: give it a name that ends in .mp4")
    if output.is_dir():
        raise OutputError(f"{output}: this is a folder: give the film a file name in it")
    if song is not None and output.exists() and output.samefile(song):
        raise OutputError(f"{output}: the film would overwrite its own song: give it another name")
    _try_to_write_beside(output)
    return output


def _try_to_write_beside(output: Path) -> None:
    probe = output.with_name(f".{output.stem}.probe")
    try:
        with whole_file(probe):
            pass
        probe.unlink()
    except OutputError as error:
        raise OutputError(str(error).replace(str(probe), str(output))) from None


def describe_film(timeline: Timeline, takes: list[Take]) -> str:
    """The comment tag: what it takes to make the same film again."""
    models = ", ".join(dict.fromkeys(take.model for take in takes))
    return f"MV Studio: model {models}, seed {timeline.brief.seed}, plan revision {timeline.revision}"


def _takes(timeline: Timeline) -> list[Take]:
    """One for each shot, each as long as its shot with handles. Raises InputError."""
    takes = [chosen_take(shot) for shot in timeline.shots]
    for index, (shot, take) in enumerate(zip(timeline.shots, takes)):
        start, stop = timeline.span(index)
        if take is None:
            raise InputError(f"shot {shot.id} has no take yet: render the plan first")
        if take.num_frames != stop - start:
            raise InputError(
                f"shot {shot.id}: its take has {take.num_frames} frames, the plan wants {stop - start}: render it again"
            )
    return takes


# ---------------------------------------------------------------- sound


class _Sound:
    """The AAC track of a film: the decoded song as it is, written piece by piece.

    samples (n, 1 or 2) float32 at sr; rates that browsers may not know are resampled. The encoder's priming samples are
    cut off by the file's edit list, so that sample 0 plays at time 0.
    """

    def __init__(self, film: av.container.OutputContainer, samples: np.ndarray, sr: int, rate: int):
        self._film, self._samples, self._sr, self._at = film, samples, sr, 0
        self._layout = LAYOUTS[samples.shape[1]]
        self._stream = film.add_stream("aac", rate=rate, layout=self._layout)
        self._stream.bit_rate = BIT_RATE * samples.shape[1]
        self._resampler = av.AudioResampler(format="fltp", layout=self._layout, rate=rate, frame_size=1024)

    def write_until(self, time: Fraction) -> None:
        """Write at least the sound before `time` seconds."""
        stop = min(len(self._samples), int(time * self._sr) + 1)
        while self._at < stop:
            chunk = self._samples[self._at : self._at + CHUNK]
            self._write(self._resampler.resample(self._to_frame(chunk)))
            self._at += len(chunk)

    def finish(self) -> None:
        self.write_until(Fraction(len(self._samples), self._sr))
        self._write(self._resampler.resample(None))
        self._film.mux(self._stream.encode(None))

    def _to_frame(self, chunk: np.ndarray) -> av.AudioFrame:
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(chunk).reshape(1, -1), format="flt", layout=self._layout
        )
        frame.sample_rate, frame.time_base, frame.pts = self._sr, Fraction(1, self._sr), self._at
        return frame

    def _write(self, frames: list[av.AudioFrame]) -> None:
        for frame in frames:
            self._film.mux(self._stream.encode(frame))
