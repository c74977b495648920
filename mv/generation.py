"""Timeline + Renderer → takes. Content keys, cache, resume.

A Renderer turns the conditions of one shot into frames. There are two: the diffusion pipeline (mv/pipeline.py) and the
animatic (mv/animatic.py).

A take is a file named by the hash of everything that could change one of its pixels. So resuming needs no bookkeeping:
what is there under its name is done, what is not is rendered, and an edit renders again only what it changed.
"""

import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction
from functools import cache, partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np

from mv.camera import CameraPath
from mv.devices import turn
from mv.errors import Cancelled, InputError, ModelError, MusicVideoError
from mv.projects import check_space
from mv.schema import Shot, Take, Timeline

TAKE_CRF = 10  # near to lossless: the film is encoded once more
TAKE_FORMAT = "h264-crf10-2"  # part of every key: change it when takes are written otherwise
TAKE_BYTES, FILM_BYTES = 0.25, 0.16  # a pixel, of takes, and of the film with its pieces: more than most need
MAX_ATTEMPTS = 3  # at one shot that fails by a fault of the program or the machine
BACKOFF = 2.0  # seconds until it is tried again; four times as long after each further failure
PATIENCE = 0.1  # seconds between two looks at a queue where nothing can be done now


@dataclass(frozen=True)
class Conditions:
    """All that decides the pixels of one take, besides the renderer itself.

    audio: (f, len(AUDIO_FEATURES)) from Analysis.on_grid; path: f poses; reference: image file or None.
    width and height in pixels. Every field goes into the take's key; files by their content.
    """

    prompt: str
    path: CameraPath
    audio: np.ndarray
    fps: Fraction
    width: int
    height: int
    seed: int
    reference: str | None = field(default=None, metadata={"file": True})

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


@runtime_checkable
class Executor(Protocol):
    """Renders the shots of a queue, here or on many machines; stands where a Renderer stands."""

    name: str
    identity: str

    def run(self, queue: "ShotQueue", takes_dir: Path) -> None:
        """Until the queue is over, every take written into takes_dir. Raises Cancelled."""


class Ledger:
    """Who keeps account of single shots, by their ids, and may say which come first. This one does neither."""

    def planned(self, keys: list[tuple[str, str]], done: set[str]) -> None:
        """(shot, take key) of all that is asked for, in order, and the shots that have their take already."""

    def first(self) -> list[str]:
        """Shots to be rendered before the others."""
        return []

    def started(self, shot: str) -> None: ...

    def moved(self, shot: str, share: float) -> None: ...

    def pictured(self, shot: str, picture: Callable[[], np.ndarray]) -> None:
        """picture(): a frame of the shot in work as it would be now, (h, w, 3) uint8; asking costs some computing."""

    def ended(self, shot: str, seconds: float | None, error: str) -> None:
        """Done in so many seconds, or failed with an error."""


@dataclass(frozen=True)
class Progress:
    """Where a generation stands. Shots that need no rendering count as done from the start; frames count only what is
    rendered now, so frames_done / num_frames over the time spent gives the time left."""

    shots_done: int
    num_shots: int
    shot_share: float  # 0..1 of the shot in work
    frames_done: float
    num_frames: int
    waits: str = ""  # for what, while nothing can be rendered: the device is another process's

    @property
    def share(self) -> float:
        return self.frames_done / self.num_frames if self.num_frames else 1.0


def generate(
    timeline: Timeline,
    conditions: Callable[[int], Conditions],
    renderer: Renderer | Executor,
    takes_dir: str | Path,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    cancelled: Callable[[], bool] = lambda: False,
    fresh: bool = False,
    *,
    only: Collection[str] | None = None,
    kept: Mapping[str, Take] | None = None,
    elsewhere: Sequence[Path] = (),
    ledger: Ledger | None = None,
) -> Timeline:
    """The timeline with a chosen take for every shot, each rendered by `renderer` or found in takes_dir.

    conditions: the conditions of the shot with this index, covering timeline.span(index). fresh: render every shot
    again, beside its older takes. only: ids of the shots that are asked for; the others stay as they are. kept: shot
    id → the take in takes_dir that stands for it, whatever it shows: such a shot is never rendered, asked for or not.
    elsewhere: folders of other projects, whose takes of the same content are used.
    Finished takes outlive any stop. Raises Cancelled, InputError, OutputError, ModelError; DiskFull before anything is
    rendered where the disk will not hold it.
    """
    takes_dir, executor = Path(takes_dir), renderer if isinstance(renderer, Executor) else LocalExecutor(renderer)
    kept = kept or {}
    _check_shots(timeline, only, kept, takes_dir)
    asked = []
    for index, shot in enumerate(timeline.shots):
        if only is not None and shot.id not in only:
            continue
        start, stop = timeline.span(index)
        take = kept.get(shot.id)
        key = take.key if take else take_key(conditions(index), executor)
        if take is None and not fresh:
            take = _find_or_borrow(takes_dir, elsewhere, key, stop - start)
        asked.append(Asked(shot.id, index, key, stop - start, take))
    if any(one.take is None for one in asked):
        film = timeline.num_frames if only is None else 0
        check_space(takes_dir, _space_needed(timeline, asked, film), "Rendering this film")
    queue = ShotQueue(asked, conditions, on_progress, cancelled, ledger or Ledger())
    executor.run(queue, takes_dir)
    queue.report(1.0)
    takes = {**kept, **queue.takes}
    shots = [_with_take(shot, takes[shot.id]) if shot.id in takes else shot for shot in timeline.shots]
    return timeline.model_copy(update={"shots": shots})


@dataclass(frozen=True)
class Asked:
    """A shot that is asked for, by its id and its place in the film; take: the one that is there already."""

    shot: str
    index: int
    key: str
    num_frames: int
    take: Take | None


@dataclass(frozen=True)
class Task:
    """A take to be rendered, and the ids of the shots it is for: shots alike in everything share one."""

    key: str
    shots: tuple[str, ...]
    num_frames: int
    conditions: Callable[[], Conditions]


class ShotQueue:
    """The takes still to be rendered. An executor asks for the `next` one, and says how it went: `progress`, then
    `finish`, `fail` or `put_back`. takes: by shot id. Not for several threads at once."""

    def __init__(
        self,
        asked: Sequence[Asked],
        conditions: Callable[[int], Conditions],
        on_progress: Callable[[Progress], None],
        cancelled: Callable[[], bool],
        ledger: Ledger,
    ) -> None:
        self.takes = {one.shot: one.take for one in asked if one.take is not None}
        self.cancelled, self._num_shots = cancelled, len(asked)
        self._on_progress, self._ledger = on_progress, ledger
        missing: dict[str, list[Asked]] = {}
        for one in asked:
            if one.take is None:
                missing.setdefault(one.key, []).append(one)
        self._waiting = [
            Task(key, tuple(one.shot for one in alike), alike[0].num_frames, partial(conditions, alike[0].index))
            for key, alike in missing.items()
        ]
        self._running: dict[str, tuple[Task, float]] = {}  # key: the task and its share
        self._attempts: Counter[str] = Counter()
        self._due: dict[str, float] = {}  # key of a task that failed: when to try it again, on the monotonic clock
        self._num_frames = sum(task.num_frames for task in self._waiting)
        self._frames_done = 0
        ledger.planned([(one.shot, one.key) for one in asked], set(self.takes))

    @property
    def over(self) -> bool:
        return not self._waiting and not self._running

    def next(self) -> Task | None:
        """The next take to render: of the shot looked at, else in the film's order. None where all are in work, done,
        or waiting after a failure. Raises Cancelled."""
        self.check_cancelled()
        ready = [task for task in self._waiting if self._due.get(task.key, 0.0) <= time.monotonic()]
        if not ready:
            return None
        rank = {shot: place for place, shot in enumerate(self._ledger.first())}
        task = min(ready, key=lambda t: min(rank.get(shot, len(rank)) for shot in t.shots))
        self._waiting.remove(task)
        self._running[task.key] = (task, 0.0)
        self._tell(task, self._ledger.started)
        self.report(0.0)
        return task

    def check_cancelled(self) -> None:
        if self.cancelled():
            raise Cancelled("stopped; the shots that were finished are kept")

    def progress(self, task: Task, share: float) -> None:
        self._running[task.key] = (task, share)
        self._tell(task, self._ledger.moved, share)
        self.report(share)

    def pictured(self, task: Task, picture: Callable[[], np.ndarray]) -> None:
        """Between denoising steps and decoded pieces: also a moment to stop. Raises Cancelled."""
        self.check_cancelled()
        self._tell(task, self._ledger.pictured, cache(picture))

    def finish(self, task: Task, take: Take) -> None:
        del self._running[task.key]
        self._frames_done += task.num_frames
        self.takes.update(dict.fromkeys(task.shots, take))
        self._tell(task, self._ledger.ended, take.seconds, "")

    def fail(self, task: Task, error: Exception) -> None:
        """A fault (a driver, a full memory) is tried again later, and raised at last; what only the user can mend is
        raised at once."""
        self._attempts[task.key] += 1
        again = not isinstance(error, MusicVideoError) and self._attempts[task.key] < MAX_ATTEMPTS
        if not isinstance(error, Cancelled):
            self._tell(task, self._ledger.ended, None, f"{type(error).__name__}: {error}")
        if not again:
            raise error
        logging.warning("shot %s failed, it will be tried again", task.shots[0], exc_info=error)
        self._due[task.key] = time.monotonic() + backoff(self._attempts[task.key])
        self.put_back(task)

    def put_back(self, task: Task) -> None:
        """It was lost through no fault of its own: another machine takes it."""
        del self._running[task.key]
        self._waiting.insert(0, task)

    def wait(self, holder: str) -> None:
        """Nothing can be rendered now: another process has the device. Raises Cancelled."""
        self.check_cancelled()
        self.report(0.0, f"waiting: {holder}")

    def report(self, share: float, waits: str = "") -> None:
        frames = self._frames_done + sum(share * task.num_frames for task, share in self._running.values())
        self._on_progress(Progress(len(self.takes), self._num_shots, share, frames, self._num_frames, waits))

    def _tell(self, task: Task, what: Callable, *values) -> None:
        for shot in task.shots:
            what(shot, *values)


def backoff(failures: int) -> float:
    """Seconds until what failed so often in a row is tried again."""
    return BACKOFF * 4 ** (failures - 1)


class LocalExecutor:
    """One shot after the other, in this process, once no other one renders on its device."""

    def __init__(self, renderer: Renderer) -> None:
        self.renderer, self.name, self.identity = renderer, renderer.name, renderer.identity

    def run(self, queue: ShotQueue, takes_dir: Path) -> None:
        if not queue.over:
            with turn(queue.wait):
                self._run(queue, takes_dir)

    def _run(self, queue: ShotQueue, takes_dir: Path) -> None:
        while not queue.over:
            task = queue.next()
            if task is None:
                time.sleep(PATIENCE)
                continue
            try:
                seen = partial(queue.progress, task), queue.cancelled, partial(queue.pictured, task)
                take = render_take(task.conditions(), task.key, self.renderer, takes_dir, *seen)
            except Exception as error:
                queue.fail(task, error)
            else:
                queue.finish(task, take)


def render_take(
    conditions: Conditions,
    key: str,
    renderer: Renderer,
    takes_dir: Path,
    on_progress: Callable[[float], None] = lambda share: None,
    cancelled: Callable[[], bool] = lambda: False,
    on_picture: Callable[[Callable[[], np.ndarray]], None] = lambda picture: None,
    name: str | None = None,
) -> Take:
    """Render one shot and write its file, whole or not at all, under a name that no take has yet.

    name: the free one, where the take will lie in another folder than takes_dir; see free_name.
    A renderer that `resumes` keeps where it stands beside the takes: killed in the middle, it goes on from there. One
    that `shows` calls on_picture now and then; see Ledger.pictured.
    """
    from mv.video import write_video

    start = time.perf_counter()
    checkpoint = takes_dir / f".{key}.safetensors" if getattr(renderer, "resumes", False) else None
    options = {} if checkpoint is None else {"checkpoint": checkpoint}
    options |= {"on_picture": on_picture} if getattr(renderer, "shows", False) else {}
    frames = renderer.render(conditions, on_progress, cancelled, **options)
    _check_frames(frames, conditions, renderer)
    seconds = time.perf_counter() - start
    name = name or free_name(takes_dir, key)
    take = Take(
        key=name, file=f"{name}.mp4", model=renderer.name, num_frames=conditions.num_frames, seconds=round(seconds, 3)
    )
    write_video(takes_dir / take.file, frames, conditions.fps, TAKE_CRF, {"comment": take.model_dump_json()})
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return take


def take_key(conditions: Conditions, renderer: Renderer | Executor) -> str:
    """sha256 over everything that could change a pixel on one kind of device: every field of Conditions, files by
    their content, the renderer's identity (weights, sampler, steps, guidance, windows, render version), and how takes
    are written. Raises InputError for a file that cannot be read."""
    digest = hashlib.sha256()
    _feed(digest, "format", TAKE_FORMAT)
    _feed(digest, "renderer", [renderer.name, renderer.identity])
    for part in fields(conditions):
        value = getattr(conditions, part.name)
        if part.metadata.get("file") and value is not None:
            value = _content_hash(value)
        _feed(digest, part.name, value)
    return digest.hexdigest()


def _feed(digest, name: str, value) -> None:
    """Name and value in an unmistakable form; numbers of arrays in one byte order."""
    if isinstance(value, CameraPath):
        for part in ("extrinsics", "intrinsics"):
            _feed(digest, f"{name}.{part}", getattr(value, part))
    elif isinstance(value, np.ndarray):
        little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        digest.update(f"{name}: {little.dtype.str} {little.shape}\n".encode())
        digest.update(little.tobytes())
    else:
        text = str(value) if isinstance(value, Fraction) else value
        digest.update(f"{name}: {json.dumps(text)}\n".encode())


def find_take(takes_dir: Path, key: str, num_frames: int) -> Take | None:
    """The newest take of this content in a folder, if any. A damaged file, or one of another length, is none."""
    from mv.video import num_packets, read_metadata

    for _, path in sorted(_attempts(takes_dir, key), reverse=True):
        try:
            tags, length = read_metadata(path)
            take = Take.model_validate_json(tags.get("comment", ""))
        except (InputError, ValueError):
            continue
        if length == take.num_frames == num_frames == num_packets(path):
            return take
    return None


def _find_or_borrow(takes_dir: Path, elsewhere: Sequence[Path], key: str, num_frames: int) -> Take | None:
    """A take of this content from here, or from another project, whose file is then linked or copied."""
    from mv.video import whole_file

    if take := find_take(takes_dir, key, num_frames):
        return take
    for folder in elsewhere:
        if take := find_take(folder, key, num_frames):
            with whole_file(takes_dir / take.file) as temporary:
                temporary.unlink()
                try:
                    os.link(folder / take.file, temporary)
                except OSError:  # another disk, or one that knows no links
                    shutil.copyfile(folder / take.file, temporary)
            return take
    return None


def _check_shots(timeline: Timeline, only: Collection[str] | None, kept: Mapping[str, Take], takes_dir: Path) -> None:
    """Raise InputError where `only` or `kept` names a shot there is not, or a take that cannot stand for its shot."""
    for what, named in (("only", only or ()), ("kept", kept)):
        if strangers := set(named) - {shot.id for shot in timeline.shots}:
            raise InputError(f"{what}: this plan has no shot {min(strangers)!r}; name shots by their ids in the plan")
    for shot, take in kept.items():
        start, stop = timeline.span(timeline.index(shot))
        if take.num_frames != stop - start:
            raise InputError(
                f"kept: take {take.key[:16]} has {take.num_frames} frames, shot {shot} needs {stop - start}; "
                "render the shot instead"
            )
        if not (takes_dir / take.file).is_file():
            raise InputError(f"kept: {takes_dir / take.file} of shot {shot} is not there; render the shot instead")


def _space_needed(timeline: Timeline, asked: Sequence[Asked], film: int) -> int:
    """Bytes: the takes that are missing, and a film of so many frames."""
    missing = sum(one.num_frames for one in asked if one.take is None)
    return round(timeline.width * timeline.height * (missing * TAKE_BYTES + film * FILM_BYTES))


def _attempts(takes_dir: Path, key: str) -> list[tuple[int, Path]]:
    """(attempt, file): <key>.mp4 is the first attempt, <key>-2.mp4 the second ..."""
    found = []
    for path in takes_dir.glob(f"{key}*.mp4"):
        if match := re.fullmatch(rf"{key}(?:-(\d+))?", path.stem):
            found.append((int(match[1] or 1), path))
    return found


def free_name(takes_dir: Path, key: str) -> str:
    """Of the next take of this content: takes are never overwritten."""
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
