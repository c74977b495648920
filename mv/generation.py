"""Timeline + Renderer → takes. Content keys, cache, resume.

A Renderer turns the conditions of one shot into frames. There are two: the diffusion pipeline (mv/pipeline.py) and the
animatic (mv/animatic.py).

A take is a file named by the hash of everything that could change one of its pixels. So resuming needs no bookkeeping:
what is there under its name is done, what is not is rendered, and an edit renders again only what it changed.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from mv.camera import CameraPath
from mv.errors import Cancelled, InputError, ModelError
from mv.schema import Shot, Take, Timeline

TAKE_CRF = 10  # near to lossless: the film is encoded once more
TAKE_FORMAT = "h264-crf10-1"  # part of every key: change it when takes are written otherwise


@dataclass(frozen=True)
class Conditions:
    """All that decides the pixels of one take, besides the renderer itself.

    audio: (f, len(AUDIO_FEATURES)) from Analysis.on_grid; path: f poses; reference: image file or None.
    width and height in pixels.
    """

    prompt: str
    path: CameraPath
    audio: np.ndarray
    fps: Fraction
    width: int
    height: int
    seed: int
    reference: str | None = None

    @property
    def num_frames(self) -> int:
        return len(self.path)


class Renderer(Protocol):
    name: str  # what a take says made it, e.g. "mv-mini" or "animatic"
    identity: str  # hash or version of weights and settings: part of a take's content key

    def render(
        self,
        conditions: Conditions,
        on_progress: Callable[[float], None] = lambda share: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> np.ndarray:
        """Returns exactly conditions.num_frames frames, (f, height, width, 3) uint8 RGB. Raises Cancelled."""


@dataclass(frozen=True)
class Progress:
    """Where a generation stands. Shots that need no rendering count as done from the start; frames count only what is
    rendered now, so frames_done / num_frames over the time spent gives the time left."""

    shots_done: int
    num_shots: int
    shot_share: float  # 0..1 of the shot in work
    frames_done: float
    num_frames: int

    @property
    def share(self) -> float:
        return self.frames_done / self.num_frames if self.num_frames else 1.0


def generate(
    timeline: Timeline,
    conditions: Callable[[int], Conditions],
    renderer: Renderer,
    takes_dir: str | Path,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    fresh: bool = False,
) -> Timeline:
    """The timeline with a chosen take for every shot, each rendered by `renderer` or found in takes_dir.

    conditions: the conditions of the shot with this index, covering timeline.span(index). fresh: render every shot
    again, beside its older takes. Finished takes outlive any stop. Raises Cancelled, InputError, OutputError,
    ModelError.
    """
    takes_dir = Path(takes_dir)
    keys = [take_key(conditions(index), renderer) for index in range(len(timeline.shots))]
    lengths = [stop - start for start, stop in map(timeline.span, range(len(keys)))]
    takes = [None if fresh else find_take(takes_dir, key, length) for key, length in zip(keys, lengths)]
    missing = [index for index, take in enumerate(takes) if take is None]
    to_render = sum(lengths[index] for index in missing)
    frames_done = 0

    def report(index: int, share: float) -> None:
        shots_done = sum(take is not None for take in takes)
        on_progress(Progress(shots_done, len(takes), share, frames_done + share * lengths[index], to_render))

    for index in missing:
        if cancelled():
            raise Cancelled("stopped; the shots that were finished are kept")
        # A shot alike in everything to one rendered just now (a static, silent one, say) shares its take.
        takes[index] = None if fresh else find_take(takes_dir, keys[index], lengths[index])
        if takes[index] is None:
            report(index, 0.0)
            takes[index] = render_take(
                conditions(index), keys[index], renderer, takes_dir, partial(report, index), cancelled
            )
        frames_done += lengths[index]
    on_progress(Progress(len(takes), len(takes), 1.0, frames_done, to_render))
    return timeline.model_copy(update={"shots": [_with_take(s, t) for s, t in zip(timeline.shots, takes)]})


def render_take(
    conditions: Conditions,
    key: str,
    renderer: Renderer,
    takes_dir: Path,
    on_progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Take:
    """Render one shot and write its file, whole or not at all, under a name that no take has yet."""
    from mv.video import write_video

    start = time.perf_counter()
    frames = renderer.render(conditions, on_progress, cancelled)
    _check_frames(frames, conditions, renderer)
    seconds = time.perf_counter() - start
    name = _free_name(takes_dir, key)
    take = Take(
        key=name, file=f"{name}.mp4", model=renderer.name, num_frames=conditions.num_frames, seconds=round(seconds, 3)
    )
    write_video(takes_dir / take.file, frames, conditions.fps, TAKE_CRF, {"comment": take.model_dump_json()})
    return take


def take_key(conditions: Conditions, renderer: Renderer) -> str:
    """sha256 over everything that could change a pixel, the reference image by its content. Raises InputError."""
    said = {
        "format": TAKE_FORMAT,
        "renderer": [renderer.name, renderer.identity],
        "prompt": conditions.prompt,
        "fps": str(conditions.fps),
        "size": [conditions.width, conditions.height],
        "seed": conditions.seed,
        "reference": _content_hash(conditions.reference),
    }
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    arrays = (conditions.path.extrinsics, conditions.path.intrinsics, conditions.audio)
    for array, dtype in zip(arrays, ("<f8", "<f8", "<f4")):
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array, dtype=dtype).tobytes())
    return digest.hexdigest()


def find_take(takes_dir: Path, key: str, num_frames: int) -> Take | None:
    """The newest take of this content in a folder, if any. A damaged file, or one of another length, is none."""
    from mv.video import read_metadata

    for _, path in sorted(_attempts(takes_dir, key), reverse=True):
        try:
            tags, length = read_metadata(path)
            take = Take.model_validate_json(tags.get("comment", ""))
        except (InputError, ValueError):
            continue
        if length == take.num_frames == num_frames:
            return take
    return None


def _attempts(takes_dir: Path, key: str) -> list[tuple[int, Path]]:
    """(attempt, file): <key>.mp4 is the first attempt, <key>-2.mp4 the second ..."""
    found = []
    for path in takes_dir.glob(f"{key}*.mp4"):
        if match := re.fullmatch(rf"{key}(?:-(\d+))?", path.stem):
            found.append((int(match[1] or 1), path))
    return found


def _free_name(takes_dir: Path, key: str) -> str:
    attempts = [attempt for attempt, _ in _attempts(takes_dir, key)]
    return f"{key}-{max(attempts) + 1}" if attempts else key


def _content_hash(reference: str | None) -> str | None:
    if reference is None:
        return None
    try:
        return hashlib.sha256(Path(reference).read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{reference}: cannot read the reference image: {error.strerror}") from None


def _check_frames(frames: np.ndarray, conditions: Conditions, renderer: Renderer) -> None:
    expected = (conditions.num_frames, conditions.height, conditions.width, 3)
    if frames.shape != expected or frames.dtype != np.uint8:
        raise ModelError(
            f"{renderer.name}: expected frames of shape {expected}, uint8, got {frames.shape}, {frames.dtype}"
        )


def _with_take(shot: Shot, take: Take) -> Shot:
    others = [other for other in shot.takes if other.key != take.key]
    return shot.model_copy(update={"takes": [*others, take], "chosen": take.key})


def chosen_take(shot: Shot) -> Take | None:
    """The take that stands for a shot: the chosen one, else the newest; None where it has none."""
    chosen = [take for take in shot.takes if take.key == shot.chosen]
    return (chosen or shot.takes or [None])[-1]
