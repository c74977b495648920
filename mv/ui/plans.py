"""The plans being edited: in memory at once, in their plan.json a moment later.

An edit is done when the journal has its line (mv/ui/history.py): the file of a long plan takes longer to write than the
edit itself, so one thread writes it when the edits pause. Whoever reads the file from another process has it written
first (save). A file that somebody else replaced wins over the plan in memory.
"""

import atexit
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mv.errors import OutputError
from mv.schema import Timeline
from mv.ui.edits import with_takes
from mv.ui.history import EditHistory
from mv.video import whole_file

PAUSE = 0.1  # seconds without an edit until the file is written
PATIENCE = 1.0  # seconds after an edit until it is written in any case
KEPT = 8  # plans in memory


@dataclass
class _Kept:
    """plan: as it is now. stamp: of plan.json, whose content includes the first `held` bytes of the journal.

    coming: the stamp of the file that is about to replace it. length: of the journal with what the file lacks, None
    where it lacks nothing. noted: whether the history knows stamp and held. rendered: stamp of the rendering whose
    takes are in the plan.
    """

    plan: Timeline
    stamp: str
    held: int
    noted: bool = False
    coming: str = ""
    length: int | None = None
    rendered: str = ""


_KEPT: dict[Path, _Kept] = {}
_LOCK = threading.RLock()  # of _KEPT: never held while the disk is waited for


def read(folder: Path) -> Timeline:
    """The plan as edited last, with the takes rendered last. Raises InputError."""
    stamp, rendered = stamp_of(folder / "plan.json"), stamp_of(folder / "rendered.json")
    with _LOCK:
        kept = _KEPT.get(folder)
    if kept is None or stamp not in (kept.stamp, kept.coming):
        kept = _load(folder, stamp)
    with _LOCK:
        if kept.rendered != rendered:
            kept.rendered = rendered
            if rendered:
                kept.plan = with_takes(kept.plan, load(folder / "rendered.json", rendered))
        return kept.plan


def _load(folder: Path, stamp: str) -> _Kept:
    history, plan = _history(folder), Timeline.load(folder / "plan.json")
    current = history.replayed(plan, stamp)
    kept = _Kept(current, stamp, history.length)
    if current is not plan:  # the program was killed before it wrote the file
        kept.held, kept.noted, kept.length = history.holds(stamp), True, history.length
    with _LOCK:
        _KEPT.pop(folder, None)
        while len(_KEPT) >= KEPT and (idle := next((f for f, k in _KEPT.items() if k.length is None), None)):
            del _KEPT[idle]
        _KEPT[folder] = kept
    if kept.length is not None:
        save(folder)
    return kept


def begin(folder: Path) -> None:
    """To be called before the journal gets a line: from now on it says what the file lacks."""
    read(folder)
    with _LOCK:
        kept = _KEPT[folder]
    if not kept.noted:
        _history(folder).note_saved({kept.stamp: kept.held})
        kept.noted = True


def change(folder: Path, plan: Timeline) -> None:
    """To be called when the journal has its line."""
    with _LOCK:
        kept = _KEPT[folder]
        kept.plan, kept.length = plan, _history(folder).length
    _WRITER.ask(folder)


def save(folder: Path) -> None:
    """Write plan.json now if it is behind. Raises OutputError; then it stays behind."""
    with _WRITER.saving:
        with _LOCK:
            kept = _KEPT.get(folder)
            if kept is None or kept.length is None:
                return
            plan, length, path = kept.plan, kept.length, folder / "plan.json"
            if stamp_of(path) != kept.stamp:  # replaced or removed by somebody else
                del _KEPT[folder]
                return
        with whole_file(path) as temporary:
            temporary.write_text(plan.model_dump_json(indent=1) + "\n")
            coming = stamp_of(temporary)  # the stamp stays when the file gets its name
            _history(folder).note_saved({kept.stamp: kept.held, coming: length})
            kept.coming = coming
        with _LOCK:
            kept.stamp, kept.held, kept.noted = coming, length, True
            if kept.length == length:
                kept.length = None


def when_saved(folder: Path, call: Callable[[], None]) -> None:
    """Call from the writing thread as soon as the file holds the plan."""
    _WRITER.ask(folder, call)


class _Writer:
    """The thread that writes; it starts with the first edit.

    It looks around instead of being woken: to wake a thread on a busy machine can cost an edit more than all the rest.
    """

    def __init__(self) -> None:
        self.saving = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: dict[Path, tuple[float, float]] = {}  # folder → when first and last asked
        self._calls: dict[Path, Callable[[], None]] = {}
        self._thread: threading.Thread | None = None

    def ask(self, folder: Path, call: Callable[[], None] | None = None) -> None:
        now = time.monotonic()
        with self._lock:
            self._waiting[folder] = self._waiting.get(folder, (now, now))[0], now
            if call is not None:
                self._calls[folder] = call
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="plans", daemon=True)
                self._thread.start()
                atexit.register(self._save_all)

    def _run(self) -> None:
        while True:
            time.sleep(PAUSE / 2)
            now = time.monotonic()
            with self._lock:
                asked = self._waiting.items()
                due = [folder for folder, (first, last) in asked if now >= min(last + PAUSE, first + PATIENCE)]
                calls = [self._calls.pop(folder, None) for folder in due]
                for folder in due:
                    del self._waiting[folder]
            for folder, call in zip(due, calls):
                self._save(folder)
                if call is not None:
                    call()

    def _save_all(self) -> None:
        with _LOCK:
            folders = list(_KEPT)
        for folder in folders:
            self._save(folder)

    def _save(self, folder: Path) -> None:
        try:
            save(folder)
        except OutputError:
            logging.exception("the plan's file is behind; its steps are in the journal")


_WRITER = _Writer()


def _history(folder: Path) -> EditHistory:
    return EditHistory(folder / "history")


def stamp_of(path: Path) -> str:
    """What tells one content of a file from the next: files here are only ever replaced as a whole. "": no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return ""
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"


@lru_cache(maxsize=16)
def load(path: Path, stamp: str) -> Timeline:
    """A plan whose file has this stamp; kept while it has. Raises InputError."""
    return Timeline.load(path)
