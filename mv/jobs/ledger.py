"""The single shots of a job in work, kept in the store."""

import time

from mv.generation import Ledger
from mv.jobs.store import Job, JobStore

PACE = 0.5  # seconds between two notes of a shot's progress: each one is a write to the disk


class ShotLedger(Ledger):
    """Tells the store about every shot, and asks it which one the user looks at."""

    def __init__(self, store: JobStore, job: Job) -> None:
        self.store, self.job, self._noted = store, job, 0.0

    def planned(self, keys: list[tuple[str, str]], done: set[str]) -> None:
        self.store.plan_shots(self.job.id, keys, done)

    def first(self) -> list[str]:
        return self.store.first_shots(self.job.project)

    def started(self, shot: str) -> None:
        self.store.start_shot(self.job.id, shot)

    def moved(self, shot: str, share: float) -> None:
        if time.monotonic() - self._noted > PACE:
            self._noted = time.monotonic()
            self.store.move_shot(self.job.id, shot, share)

    def ended(self, shot: str, seconds: float | None, error: str) -> None:
        self.store.end_shot(self.job.id, shot, seconds, error)
