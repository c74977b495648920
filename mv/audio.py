"""Any sound file → samples, decoded once (PyAV: FFmpeg inside the wheel); loudness.

The content decides what a file is, never its name. Time zero is the first decoded sample: container timestamps are
ignored (an mp3's first one is not zero) and samples are counted instead.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from mv.errors import AudioError
from mv.timing import clock

MIN_SECONDS = 1.0
MAX_SECONDS = 3600.0
# A file that yields less than this share of what its header promises was cut short in some copy.
WHOLE_SHARE = 0.9
# Floating-point files may exceed full scale: a little is overshoot, which a player clips; more is another scale.
OVERSHOOT = 2.0
KNOWN = "mp3, wav, flac, m4a, ogg or opus"
# FFmpeg demuxers that may open a song. Playlists and scripts (hls, concat, ...) could name other files or the network.
DEMUXERS = (
    "aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,eac3,flac,flv,iff,m4a,matroska,webm,mov,mp4,mp3,mpc,mpc8,mpeg,mpegts,"
    "ogg,opus,rm,sox,tak,tta,voc,w64,wav,wsaud,wv,xwma"
)
# Demuxers that only estimate a duration, from the bit rate of the first frames.
ESTIMATING = {"aac", "ac3", "amr", "eac3", "mp3"}
# Channel: (gain into left, gain into right), ITU-R BS.775. LFE is left out as every player does.
DOWNMIX = {
    "FL": (1.0, 0.0), "FR": (0.0, 1.0), "FC": (0.7071, 0.7071), "BC": (0.5, 0.5), "FLC": (0.924, 0.383),
    "FRC": (0.383, 0.924), "BL": (0.7071, 0.0), "BR": (0.0, 0.7071), "SL": (0.7071, 0.0), "SR": (0.0, 0.7071),
    "LFE": (0.0, 0.0), "LFE2": (0.0, 0.0),
}  # fmt: skip


@dataclass(frozen=True)
class Audio:
    """samples (n, channels) float32 in -1..1 with one or two channels, sr in Hz; notes: what had to be mended."""

    samples: np.ndarray
    sr: int
    title: str = ""
    notes: tuple[str, ...] = ()
    original: tuple[int, int] = field(default=(0, 0), repr=False)  # (samples, sr) of the file, where resampled

    @cached_property
    def duration(self) -> float:
        """Seconds: decoded samples / sample rate of the file, exactly, whatever rate `samples` has."""
        num_samples, sr = self.original if self.original[1] else (len(self.samples), self.sr)
        return num_samples / sr


def read_audio(path: str | Path, sr: int | None = None, on_progress: Callable[[float], None] | None = None) -> Audio:
    """Decode a song of 1 s to 1 h; more than two channels are mixed down to stereo.

    sr: resample to this rate while decoding, so that the full rate never lies in memory; None keeps the file's.
    Raises AudioError saying what is wrong with the file.
    """
    path = Path(path)
    with _open(path) as container:
        stream = _sound_stream(path, container)
        stated = _stated_seconds(path, container, stream)
        tape = _Tape(path, sr)
        for block, rate in _blocks(path, container, stream, tape):
            tape.append(block, rate)
            if on_progress and stated:
                on_progress(min(tape.seconds / stated, 1.0))
        exact = container.format.name not in ESTIMATING
        title = container.metadata.get("title") or stream.metadata.get("title") or path.stem
    return tape.finish(title.strip(), stated if exact else None)


def mono(audio: Audio, sr: int | None = None) -> np.ndarray:
    """(n,) float32: the mean of the channels, at sr if given."""
    import soxr

    y = audio.samples.mean(axis=1, dtype=np.float32)
    return y if sr in (None, audio.sr) else soxr.resample(y, audio.sr, sr)


def loudness(audio: Audio) -> float:
    """Integrated loudness in LUFS after ITU-R BS.1770-4 (gated); -70 for silence."""
    power = _block_power(audio)
    heard = power[power > _from_lufs(-70)]
    heard = heard[heard > heard.mean() * 0.1] if len(heard) else heard  # relative gate: 10 LU below the mean
    return float(-0.691 + 10 * np.log10(heard.mean())) if len(heard) else -70.0


# ---------------------------------------------------------------- decoding


@contextmanager
def _open(path: Path) -> Iterator:
    import av

    _check_file(path)
    try:
        # "file:" keeps FFmpeg from reading a protocol into an odd file name.
        container = av.open(f"file:{path}", options={"format_whitelist": DEMUXERS}, metadata_errors="replace")
    except av.error.FFmpegError:
        raise AudioError(f"{path}: not a sound file, or a damaged one: expected {KNOWN}") from None
    with container:
        yield container


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise AudioError(f"{path}: is a folder; expected a sound file ({KNOWN})")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise AudioError(f"{path}: the file is empty (0 bytes); expected a song ({KNOWN})")
    except FileNotFoundError:
        raise AudioError(f"{path}: no such file; check the name of the song") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AudioError(f"{path}: cannot read the song: {reason}") from None


def _sound_stream(path: Path, container):
    if not container.streams.audio:
        raise AudioError(f"{path}: there is no sound in this file, only {_other_streams(container)}; expected a song")
    return container.streams.best("audio") or container.streams.audio[0]


def _other_streams(container) -> str:
    return ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"


def _stated_seconds(path: Path, container, stream) -> float | None:
    """What the header promises, None if nothing; refuses what is too long before anything is decoded."""
    seconds = None
    if stream.duration and stream.time_base:
        seconds = float(stream.duration * stream.time_base)
    elif container.duration:
        seconds = container.duration / 1e6
    if seconds and seconds > MAX_SECONDS:
        if container.format.name in ESTIMATING:
            seconds = _packed_seconds(container, stream)
        if seconds > MAX_SECONDS:
            raise _too_long(path, f"is {clock(seconds)} long")
    return seconds


def _packed_seconds(container, stream) -> float:
    """Count the packets without decoding them: an estimate from the bit rate of the first frames may be far off."""
    seconds = sum(float(packet.duration * packet.time_base) for packet in container.demux(stream) if packet.duration)
    container.seek(0)
    return seconds


def _too_long(path: Path, what: str) -> AudioError:
    return AudioError(f"{path}: {what}; a song may last {clock(MAX_SECONDS)} (1 hour) at most. Cut it and try again.")


def _blocks(path: Path, container, stream, tape: "_Tape") -> Iterator[tuple[np.ndarray, int]]:
    """(n, 1 or 2) float32 blocks with their sample rate. A damaged packet is left out and counted on the tape."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
        except av.error.EOFError:
            return
        except av.error.FFmpegError:
            tape.damaged += 1
            if tape.damaged > 50 and tape.seconds < 0.5 * tape.damaged * 0.026:  # 26 ms: an mp3 frame
                raise AudioError(f"{path}: the file is damaged and cannot be decoded; get a new copy") from None
            continue
        for frame in frames:
            yield _at_most_stereo(_as_float(frame), [c.name for c in frame.layout.channels]), frame.sample_rate


def _as_float(frame) -> np.ndarray:
    """(n, channels) float32 in -1..1 from any of FFmpeg's sample formats."""
    x = frame.to_ndarray()
    x = x.T if frame.format.is_planar else x.reshape(-1, len(frame.layout.channels))
    if x.dtype == np.uint8:
        return (x.astype(np.float32) - 128) / 128
    if np.issubdtype(x.dtype, np.integer):
        return (x / -float(np.iinfo(x.dtype).min)).astype(np.float32)
    with np.errstate(over="ignore"):  # a double too large for float32 becomes inf, which the tape replaces
        return x.astype(np.float32)


def _at_most_stereo(x: np.ndarray, channels: list[str]) -> np.ndarray:
    if x.shape[1] <= 2:
        return x
    gains = np.array([DOWNMIX.get(name, (0.5, 0.5)) for name in channels], np.float32)
    return x @ (gains / max(gains.sum(0).max(), 1e-6))


class _Tape:
    """Where decoded blocks are collected: counted, mended, brought to one rate and width."""

    def __init__(self, path: Path, sr: int | None):
        self.path, self.wanted_sr = path, sr
        self.file_sr = self.sr = self.channels = 0
        self.num_samples = self.broken = self.over = self.damaged = 0
        self.peak = 0.0
        self.raw = bytearray()  # grows in place: no second copy at the end
        self.resampler = None
        self.rate = 0

    @property
    def seconds(self) -> float:
        return self.num_samples / self.file_sr if self.file_sr else 0.0

    def append(self, block: np.ndarray, rate: int) -> None:
        if not self.file_sr:
            self.file_sr, self.channels = rate, block.shape[1]
            self.sr, self.rate = self.wanted_sr or rate, rate
        if rate != self.rate:  # a chained stream may change its rate on the way
            self._change_rate(rate)
        block = self._mended(block)
        self.num_samples += round(len(block) * self.file_sr / rate)
        if self.seconds > MAX_SECONDS:
            raise _too_long(self.path, "goes on after an hour")
        self._write(block, last=False)

    def finish(self, title: str, stated: float | None) -> Audio:
        """stated: the exact duration the header promises, if it does."""
        if not self.num_samples:
            raise AudioError(f"{self.path}: no sound could be decoded from this file; expected {KNOWN}")
        self._write(np.zeros((0, self.channels), np.float32), last=True)
        if stated and stated <= MAX_SECONDS and self.seconds < WHOLE_SHARE * stated:
            promised = f"{clock(self.seconds)} of the {clock(stated)} it promises"
            raise AudioError(f"{self.path}: the file is cut short or damaged: it holds {promised}. Get a whole copy.")
        if self.seconds < MIN_SECONDS:
            raise AudioError(f"{self.path}: is {self.seconds:.2g} s long; a song needs at least {MIN_SECONDS:.0f} s")
        samples = np.frombuffer(self.raw, np.float32).reshape(-1, self.channels)
        self._limit(samples)
        return Audio(samples, self.sr, title, tuple(self._notes()), (self.num_samples, self.file_sr))

    def _mended(self, block: np.ndarray) -> np.ndarray:
        """One width; numbers that are none become silence."""
        if block.shape[1] != self.channels:
            block = np.repeat(block.mean(1, keepdims=True, dtype=np.float32), self.channels, 1)
        peak = float(np.abs(block).max(initial=0))
        if not np.isfinite(peak):
            bad = ~np.isfinite(block)
            self.broken += int(bad.any(1).sum())
            block = np.where(bad, np.float32(0), block)
            peak = float(np.abs(block).max(initial=0))
        self.peak = max(self.peak, peak)
        self.over += int((np.abs(block).max(1) > 1).sum()) if peak > 1 else 0
        return np.ascontiguousarray(block, np.float32)

    def _change_rate(self, rate: int) -> None:
        if self.resampler:
            self._write(np.zeros((0, self.channels), np.float32), last=True)
        self.resampler, self.rate = None, rate

    def _write(self, block: np.ndarray, last: bool) -> None:
        if self.rate != self.sr:
            import soxr

            self.resampler = self.resampler or soxr.ResampleStream(self.rate, self.sr, self.channels, dtype="float32")
            block = self.resampler.resample_chunk(block, last=last)
        self.raw += block.tobytes()

    def _limit(self, samples: np.ndarray) -> None:
        if self.peak > OVERSHOOT:
            samples /= self.peak
        elif self.peak > 1:
            np.clip(samples, -1, 1, out=samples)

    def _notes(self) -> Iterator[str]:
        if self.broken:
            yield f"{self.broken} samples were not numbers (NaN or infinite) and were replaced by silence"
        if self.peak > OVERSHOOT:
            yield f"samples reached {self.peak:.3g} times full scale: the whole song was turned down"
        elif self.over > 0.001 * self.num_samples:
            yield f"{self.over} samples were beyond full scale and were clipped"
        if self.damaged:
            yield f"{self.damaged} damaged pieces of the file were left out"


# ---------------------------------------------------------------- loudness


def _from_lufs(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)


def _block_power(audio: Audio) -> np.ndarray:
    """Mean square of the K-weighted signal, summed over channels, per 400 ms block, 100 ms apart."""
    from scipy.signal import sosfilt, sosfilt_zi

    sos = _k_weighting(audio.sr)
    state = np.zeros((*sosfilt_zi(sos).shape, audio.samples.shape[1]))
    step, tenths = max(audio.sr // 10, 1), []
    for start in range(0, len(audio.samples) - step + 1, step * 100):  # 10 s at a time bounds memory
        x, state = sosfilt(sos, audio.samples[start : start + step * 100].astype(np.float64), axis=0, zi=state)
        whole = len(x) // step
        tenths.append((x[: whole * step].reshape(whole, step, -1) ** 2).mean(1).sum(-1))
    tenths = np.concatenate(tenths) if tenths else np.zeros(0)
    return np.convolve(tenths, np.full(4, 0.25), "valid") if len(tenths) >= 4 else tenths


def _k_weighting(sr: int) -> np.ndarray:
    """BS.1770's head shelf and high pass for any rate: the analogue prototypes, bilinear transform."""

    def biquad(f0: float, q: float, numerator: Callable[[float], tuple[float, float, float]]) -> list[float]:
        k = np.tan(np.pi * min(f0, 0.45 * sr) / sr)
        a0 = 1 + k / q + k * k
        return [x / a0 for x in (*numerator(k), a0, 2 * (k * k - 1), 1 - k / q + k * k)]

    gain = 10 ** (3.999843853973347 / 20)
    middle, q = gain**0.4996667741545416, 0.7071752369554196
    shelf = biquad(
        1681.974450955533,
        q,
        lambda k: (gain + middle * k / q + k * k, 2 * (k * k - gain), gain - middle * k / q + k * k),
    )
    q_high = 0.5003270373238773
    k = np.tan(np.pi * 38.13547087602444 / sr)
    a0 = 1 + k / q_high + k * k
    # The standard's high pass has the numerator 1, -2, 1, not divided by a0.
    high = [1.0, -2.0, 1.0, 1.0, 2 * (k * k - 1) / a0, (1 - k / q_high + k * k) / a0]
    return np.array([shelf, high])
