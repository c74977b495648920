"""The animatic: an instant stand-in for the model's film, with the same cuts and the same camera poses.

The stage world (mv/world) draws it from what it understands of each prompt. Every frame carries the word ANIMATIC, so
that a preview can never pass for the film.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from mv.camera import CameraPath
from mv.errors import Cancelled
from mv.generation import Conditions

LABEL = "ANIMATIC"
CHUNK = 12  # frames drawn between two looks at `cancelled`


class AnimaticRenderer:
    """A Renderer (see mv/generation.py). Its identity is the drawing code's own hash: other drawing, other takes."""

    name = "animatic"
    shows = True  # see render_take in mv/generation.py

    def __init__(self) -> None:
        self.identity = _drawing_version()

    def render(
        self,
        conditions: Conditions,
        on_progress: Callable[[float], None] = lambda share: None,
        cancelled: Callable[[], bool] = lambda: False,
        on_picture: Callable[[Callable[[], np.ndarray]], None] = lambda picture: None,
    ) -> np.ndarray:
        """(f, height, width, 3) uint8 RGB. Raises Cancelled."""
        from mv.world.render import draw
        from mv.world.vocabulary import understand

        c, directions = conditions, understand(conditions.prompt).directions
        frames = np.empty((c.num_frames, c.height, c.width, 3), np.uint8)
        for start in range(0, c.num_frames, CHUNK):
            if cancelled():
                raise Cancelled("stopped; the shots that were finished are kept")
            part = slice(start, start + CHUNK)
            path = CameraPath(c.path.extrinsics[part], c.path.intrinsics[part])
            frames[part] = draw(directions, path, c.audio[part], c.width, c.height)
            on_picture(lambda drawn=frames[part]: stamp(drawn[-1:].copy())[0])
            on_progress(min(start + CHUNK, c.num_frames) / c.num_frames)
        return stamp(frames)


def stamp(frames: np.ndarray) -> np.ndarray:
    """Burn the label into the lower right corner of frames (f, h, w, 3) uint8, in place."""
    label, weight = _label(max(9, frames.shape[1] // 22))
    h, w = min(label.shape[0], frames.shape[1]), min(label.shape[1], frames.shape[2])
    corner = frames[:, -h:, -w:].astype(np.float32)
    mixed = corner * (1 - weight[:h, :w]) + label[:h, :w] * weight[:h, :w]
    frames[:, -h:, -w:] = np.rint(mixed).astype(np.uint8)
    return frames


@cache
def _label(size: int) -> tuple[np.ndarray, np.ndarray]:
    """White letters on a dark plate, `size` pixels high: (h, w, 3) float32 0..255, and opacity (h, w, 1) 0..1."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(size)  # comes with Pillow: the same on every machine
    left, top, right, bottom = font.getbbox(LABEL)
    margin = size // 2
    plate = Image.new("L", (right - left + 2 * margin, bottom - top + 2 * margin))
    ImageDraw.Draw(plate).text((margin - left, margin - top), LABEL, fill=255, font=font)
    letters = np.asarray(plate, np.float32)[..., None] / 255
    return np.repeat(letters * 255, 3, 2), np.maximum(letters, 0.55)


@cache
def _drawing_version() -> str:
    here = Path(__file__).parent
    sources = [Path(__file__), *sorted((here / "world").glob("*.py"))]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:16]
