"""Seconds, video frames and latent frames. The only place in the project that rounds time.

Music lives in float seconds, film in integer frames, the model in latent frames. A frame index is always computed from
the absolute time, never from a sum of rounded durations, so no drift can build up over a long song.
"""

from fractions import Fraction

from mv.errors import InputError

NTSC = {"23.976": Fraction(24000, 1001), "29.97": Fraction(30000, 1001), "59.94": Fraction(60000, 1001)}


def parse_fps(text: str | int | float | Fraction) -> Fraction:
    """Exact frame rate from "24", "29.97", "30000/1001" or a number; range 1..120. Raises InputError."""
    try:
        fps = NTSC.get(str(text).strip()) or Fraction(str(text).strip())
    except (ValueError, ZeroDivisionError):
        raise InputError(f"frame rate: expected a number such as 24, 29.97 or 30000/1001, got {text!r}") from None
    if not 1 <= fps <= 120:
        raise InputError(f"frame rate: expected 1 to 120 frames per second, got {text!r}")
    return fps


def to_frame(time: float, fps: Fraction) -> int:
    """The video frame nearest to an absolute time in seconds (halves go up, unlike Python's round)."""
    return int(Fraction(time) * fps + Fraction(1, 2))


def to_seconds(frame: int, fps: Fraction) -> float:
    """Start of a video frame in seconds."""
    return float(frame / fps)


def latent_length(num_frames: int, temporal_stride: int = 4) -> int:
    """Latent frames that hold at least num_frames video frames; the first latent frame holds one (4k+1, as in Wan)."""
    return 1 + -(-max(num_frames - 1, 0) // temporal_stride)


def padded_length(num_frames: int, temporal_stride: int = 4) -> int:
    """Video frames that latent_length(num_frames) decodes to; never less than num_frames."""
    return 1 + temporal_stride * (latent_length(num_frames, temporal_stride) - 1)


def clock(seconds: float) -> str:
    """Human time: 83.4 -> "1:23"; 3723 -> "1:02:03"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
