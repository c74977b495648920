"""The single shots of a job in work, kept in the store; pictures of them beside it."""

import hashlib
import io
import logging
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mv.errors import OutputError
from mv.generation import Ledger
from mv.jobs.store import Job, JobStore
from mv.schema import write_atomically

PACE = 0.5  # seconds between two notes of a shot's progress: each one is a write to the disk
PICTURE_PACE, PICTURE_SHARE = 1.0, 0.05  # seconds between two pictures of a shot in work; share of the time they cost
PICTURE_WIDTH = 256  # pixels


def picture_path(folder: Path, shot: str) -> Path:
    """The picture of a shot in work, in its project's folder; there only while it is being rendered."""
    return folder / "live" / f"{hashlib.sha256(shot.encode()).hexdigest()[:16]}.jpg"


class ShotLedger(Ledger):
    """Tells the store about every shot, and asks it which one the user looks at."""

    def __init__(self, store: JobStore, job: Job) -> None:
        self.store, self.job, self._noted = store, job, 0.0
        self.folder = store.home / job.project
        self._next_picture: dict[str, float] = {}  # shot: on the monotonic clock

    def planned(self, keys: list[tuple[str, str]], done: set[str]) -> None:
        for left in (self.folder / "live").glob("*.jpg"):  # by a process that was killed
            left.unlink(missing_ok=True)
        self.store.plan_shots(self.job.id, keys, done)

    def first(self) -> list[str]:
        return self.store.first_shots(self.job.project)

    def started(self, shot: str) -> None:
        self.store.start_shot(self.job.id, shot)

    def moved(self, shot: str, share: float) -> None:
        if time.monotonic() - self._noted > PACE:
            self._noted = time.monotonic()
            self.store.move_shot(self.job.id, shot, share)

    def pictured(self, shot: str, picture: Callable[[], np.ndarray]) -> None:
        start = time.monotonic()
        if start < self._next_picture.get(shot, start):
            return
        try:
            write_atomically(picture_path(self.folder, shot), _jpeg(picture()))
        except OutputError as error:  # a preview is a courtesy: what a full disk means, the take will say
            logging.warning("no picture of shot %s: %s", shot, error)
        spent = time.monotonic() - start
        self._next_picture[shot] = start + max(PICTURE_PACE, spent / PICTURE_SHARE)

    def ended(self, shot: str, seconds: float | None, error: str) -> None:
        self._next_picture.pop(shot, None)
        picture_path(self.folder, shot).unlink(missing_ok=True)
        self.store.end_shot(self.job.id, shot, seconds, error)


def _jpeg(frame: np.ndarray) -> bytes:
    """(h, w, 3) uint8, made small."""
    from PIL import Image

    picture, content = Image.fromarray(frame), io.BytesIO()
    picture.thumbnail((PICTURE_WIDTH, PICTURE_WIDTH))
    picture.save(content, "JPEG", quality=80)
    return content.getvalue()
