"""The job store: one SQLite file (WAL) in the projects' home.

Times people read are seconds since the epoch. What decides (is this worker alive, may this job try again) is measured
on the machine's monotonic clock together with its boot, so that a clock set back or forward changes nothing. Order is
the order of submission, not of clock times.
"""

import json
import logging
import os
import socket
import sqlite3
import time
import uuid
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Literal

from mv.errors import InputError, OutputError
from mv.generation import backoff
from mv.projects import free_bytes, lock

STALE = 30.0  # seconds without a heartbeat until a worker counts as dead; compiling may hold a process up for 10 s
DEAD = 2.0  # ... when its process is seen to be gone
MAX_ATTEMPTS = 3  # a job that fails this often in a row, with nothing finished in between, is given up
PLANNING = "planning"  # the device of plans: they need none, so they never wait for a film to be rendered

Kind = Literal["plan", "make", "render"]
State = Literal["queued", "running", "paused", "done", "failed", "cancelled"]
ShotState = Literal["waiting", "running", "done", "failed"]
OPEN = ("queued", "running", "paused")
_OPEN = "('queued', 'running', 'paused')"
# Whether what a job does next is planning (1) or rendering (0); to be told which table.
_PLANS = "({0}.kind = 'plan' OR {0}.kind = 'make' AND NOT {0}.planned)"


@dataclass(frozen=True)
class Job:
    """progress 0..1 over the whole job; eta: seconds left of the step in hand, None while unknown; error: one line for
    the user; planned: a make job has written its plan, which is the user's from then on, to edit while shots render.

    needs: bytes that have to be free before a job paused by a full disk goes on. attempts: in a row, with nothing
    finished in between. device: where it runs. created, started, finished: seconds since the epoch.
    """

    id: str
    project: str
    kind: Kind
    state: State = "queued"
    message: str = ""
    progress: float = 0.0
    eta: float | None = None
    error: str = ""
    cancel: bool = False
    attempts: int = 0
    planned: bool = False
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    priority: int = 0
    pause: bool = False
    needs: int | None = None
    device: str = ""

    @property
    def open(self) -> bool:
        return self.state in OPEN


@dataclass(frozen=True)
class ShotProgress:
    """One shot of a job. key: of its take; seconds: rendering time, None until it is done."""

    shot: str
    key: str
    state: ShotState
    progress: float
    attempts: int
    error: str
    seconds: float | None


@dataclass(frozen=True)
class Attempt:
    """One try at a job, or at one shot of it (`shot` is then its id). started, ended: seconds since the epoch;
    outcome: done, failed, cancelled, paused, interrupted (the worker was told to stop), lost (it died), or "" still on.
    """

    job: str
    shot: str
    worker: str
    started: float
    ended: float | None
    outcome: str
    error: str


@dataclass(frozen=True)
class Progress:
    """What the worker says with each heartbeat."""

    message: str = ""
    share: float = 0.0
    eta: float | None = None


# One script for each version of the store; a new one is added at the end, none is ever changed.
_MIGRATIONS = (
    """
    CREATE TABLE IF NOT EXISTS jobs (
      id TEXT PRIMARY KEY, project TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'queued',
      message TEXT NOT NULL DEFAULT '', progress REAL NOT NULL DEFAULT 0, eta REAL, error TEXT NOT NULL DEFAULT '',
      cancel INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, planned INTEGER NOT NULL DEFAULT 0,
      created REAL NOT NULL, started REAL, finished REAL, worker TEXT, heartbeat REAL
    );
    CREATE INDEX IF NOT EXISTS jobs_by_project ON jobs (project, created);
    """,
    """
    ALTER TABLE jobs ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN pause INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE jobs ADD COLUMN needs INTEGER;
    ALTER TABLE jobs ADD COLUMN device TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN boot TEXT NOT NULL DEFAULT '';
    ALTER TABLE jobs ADD COLUMN due REAL;
    CREATE INDEX jobs_by_state ON jobs (state);
    CREATE TABLE projects (
      name TEXT PRIMARY KEY, created REAL NOT NULL, first TEXT NOT NULL DEFAULT '[]'
    );
    INSERT INTO projects (name, created) SELECT project, min(created) FROM jobs GROUP BY project;
    CREATE TABLE shots (
      job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, shot TEXT NOT NULL, place INTEGER NOT NULL,
      key TEXT NOT NULL, state TEXT NOT NULL, progress REAL NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0,
      error TEXT NOT NULL DEFAULT '', seconds REAL, PRIMARY KEY (job, shot)
    );
    CREATE TABLE attempts (
      id INTEGER PRIMARY KEY, job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE, shot TEXT NOT NULL DEFAULT '',
      worker TEXT NOT NULL, started REAL NOT NULL, ended REAL, outcome TEXT NOT NULL DEFAULT '',
      error TEXT NOT NULL DEFAULT ''
    );
    CREATE INDEX attempts_by_job ON attempts (job);
    """,
)
_JOB = ", ".join(field.name for field in fields(Job))
_SHOT = ", ".join(field.name for field in fields(ShotProgress))
_ATTEMPT = ", ".join(field.name for field in fields(Attempt))


# Does a rendering of a higher priority wait while this job, id ?, is the least urgent and the last that came of those
# that are rendered? Only that one gives way, so that several devices do not all stop for one. due: at monotonic time ?
_OUTRANKED = f"""
    SELECT 1 FROM jobs AS own, jobs AS other WHERE own.id = ? AND NOT {_PLANS.format("own")}
    AND other.state = 'queued' AND NOT {_PLANS.format("other")} AND other.priority > own.priority
    AND (other.due IS NULL OR other.due <= ?)
    AND NOT EXISTS (SELECT 1 FROM jobs AS less WHERE less.state = 'running' AND NOT {_PLANS.format("less")}
        AND (less.priority < own.priority OR less.priority = own.priority AND less.rowid > own.rowid))
"""


class JobStore:
    """Jobs of all projects in HOME/jobs.sqlite3; safe to use from many threads and processes."""

    def __init__(self, home: str | Path) -> None:
        """Raises OutputError where nothing can be written, InputError for the store of a newer program.

        A store damaged beyond SQLite's own repair is set aside: what it knew of jobs is lost, no project is.
        """
        self.home = Path(home).absolute()
        self.path = self.home / "jobs.sqlite3"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not self._opens():
                self._mend()
            self._hold_open()
        except (OSError, sqlite3.Error) as error:
            raise OutputError(f"{home}: cannot keep projects here: {error}. Choose another folder.") from None

    def _hold_open(self) -> None:
        """One connection that does nothing, for as long as this store is in use: the log and its index stay on the
        disk with it, and need no new space when the disk is full."""
        idle = sqlite3.connect(self.path, timeout=10, check_same_thread=False)
        weakref.finalize(self, idle.close)
        idle.execute("SELECT count(*) FROM jobs").fetchall()

    def _migrate(self) -> None:
        with self._database() as database:
            if database.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
                raise sqlite3.DatabaseError("the job store is damaged")
            version = database.execute("PRAGMA user_version").fetchone()[0]
            if version > len(_MIGRATIONS):
                raise InputError(
                    f"{self.path}: made by a newer MV Studio (store version {version}, this program knows "
                    f"{len(_MIGRATIONS)}): update the program, or choose another folder"
                )
            database.execute("PRAGMA journal_mode=WAL")
            if version == len(_MIGRATIONS):
                return
            database.execute("BEGIN IMMEDIATE")
            version = database.execute("PRAGMA user_version").fetchone()[0]  # another process may have been quicker
            for script in _MIGRATIONS[version:]:
                for statement in filter(str.strip, script.split(";")):
                    database.execute(statement)
            database.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")

    def _mend(self) -> None:
        """One process at a time, and each looks again: what another has mended must not be set aside too."""
        with lock(self.home, "mending the job store"):
            if not self._opens():
                self._set_aside()
                self._migrate()

    def _opens(self) -> bool:
        """False where it is damaged."""
        try:
            self._migrate()
        except sqlite3.OperationalError:  # locked, or no space
            raise
        except sqlite3.DatabaseError:
            return False
        return True

    def _set_aside(self) -> None:
        name = f"{self.path.name}.damaged-{uuid.uuid4().hex[:8]}"
        logging.warning("%s is damaged; it is kept as %s", self.path, name)
        self.path.replace(self.path.with_name(name))
        for suffix in ("-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    # -- for the page

    def submit(self, project: str, kind: Kind, priority: int = 0) -> Job:
        """priority: jobs of a higher one go first. Raises InputError where the project is being worked on already."""
        job = Job(
            uuid.uuid4().hex, project, kind, message="Waiting for its turn", created=time.time(), priority=priority
        )
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            busy = f"SELECT 1 FROM jobs WHERE project = ? AND state IN {_OPEN}"
            if database.execute(busy, (project,)).fetchone():
                raise InputError("this project is being worked on already; wait until it is done, or cancel it")
            _know_project(database, project)
            database.execute(
                "INSERT INTO jobs (id, project, kind, message, created, priority) VALUES (?, ?, ?, ?, ?, ?)",
                (job.id, project, kind, job.message, job.created, priority),
            )
        return job

    def get(self, job_id: str) -> Job | None:
        return self._one("WHERE id = ?", job_id)

    def status(self, project: str) -> Job | None:
        """The newest job of a project."""
        return self._one("WHERE project = ? ORDER BY rowid DESC LIMIT 1", project)

    def ahead(self, job: Job) -> int:
        """Jobs that are in work or come before this one; plans go their own way."""
        with self._database() as database:
            query = f"""SELECT count(*) FROM jobs AS other, jobs AS own WHERE own.id = ? AND other.id != own.id
                AND {_PLANS.format("other")} = {_PLANS.format("own")}
                AND (other.state = 'running' OR other.state = 'queued' AND (other.priority > own.priority
                    OR other.priority = own.priority AND other.rowid < own.rowid))"""
            return database.execute(query, (job.id,)).fetchone()[0]

    def shots(self, project: str) -> list[ShotProgress]:
        """The shots of a project's newest job, in the film's order; none before its plan is there."""
        query = f"""SELECT {_SHOT} FROM shots
            WHERE job = (SELECT id FROM jobs WHERE project = ? ORDER BY rowid DESC LIMIT 1) ORDER BY place"""
        with self._database() as database:
            return [ShotProgress(*row) for row in database.execute(query, (project,))]

    def attempts(self, job_id: str) -> list[Attempt]:
        """Oldest first."""
        with self._database() as database:
            rows = database.execute(f"SELECT {_ATTEMPT} FROM attempts WHERE job = ? ORDER BY id", (job_id,))
            return [Attempt(*row) for row in rows]

    def prioritise(self, project: str, shot_ids: Sequence[str]) -> None:
        """Render these shots first, in this order, in this and later jobs of the project: the user looks at them."""
        with self._database() as database:
            _know_project(database, project)
            database.execute("UPDATE projects SET first = ? WHERE name = ?", (json.dumps(list(shot_ids)), project))

    def first_shots(self, project: str) -> list[str]:
        """The ids last given to `prioritise`."""
        with self._database() as database:
            row = database.execute("SELECT first FROM projects WHERE name = ?", (project,)).fetchone()
        return json.loads(row[0]) if row else []

    def cancel(self, job_id: str) -> None:
        """A waiting or paused job stops at once, a running one within LOOK and GRACE of mv/jobs/worker.py."""
        self._stop(job_id, "cancel", "cancelled", "Cancelled", "('queued', 'paused')")

    def pause(self, job_id: str) -> None:
        """As cancel, but `resume` lets it go on."""
        self._stop(job_id, "pause", "paused", "Paused", "('queued')")

    def _stop(self, job_id: str, flag: str, state: str, message: str, idle: str) -> None:
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute(f"UPDATE jobs SET {flag} = 1 WHERE id = ? AND state = 'running'", (job_id,))
            database.execute(
                f"""UPDATE jobs SET state = ?, message = ?, needs = NULL, due = NULL,
                finished = CASE ? WHEN 'cancelled' THEN ? END WHERE id = ? AND state IN {idle}""",
                (state, message, state, time.time(), job_id),
            )

    def resume(self, job_id: str) -> None:
        """A paused job waits for its turn again. One that is about to pause goes on."""
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE jobs SET pause = 0 WHERE id = ? AND state = 'running'", (job_id,))
            _requeue(database, "id = ? AND state = 'paused'", job_id)

    def retry(self, job_id: str) -> None:
        """A failed or cancelled job waits for its turn again. Raises InputError where its project has an open job."""
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            busy = f"""SELECT 1 FROM jobs WHERE state IN {_OPEN} AND id != ?
                AND project = (SELECT project FROM jobs WHERE id = ?)"""
            if database.execute(busy, (job_id, job_id)).fetchone():
                raise InputError("this project is being worked on already; wait until it is done, or cancel it")
            _requeue(database, "id = ? AND state IN ('failed', 'cancelled')", job_id)

    # -- for workers

    def claim(self, worker: str, device: str = "") -> Job | None:
        """The waiting job of the highest priority, the oldest of these, now running on this device; None while
        another one runs there or nothing waits.

        On PLANNING only what is to be planned, elsewhere only what is to be rendered, without a device both.
        """
        now = time.monotonic()
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            row = database.execute(
                f"""UPDATE jobs SET state = 'running', worker = ?, device = ?, heartbeat = ?, boot = ?,
                    attempts = attempts + 1, cancel = 0, pause = 0, started = ?, finished = NULL, error = ''
                WHERE id = (SELECT id FROM jobs WHERE state = 'queued' AND {_fits(device)}
                    AND (due IS NULL OR boot != ? OR due <= ?) ORDER BY priority DESC, rowid LIMIT 1)
                AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running' AND device = ?) RETURNING {_JOB}""",
                (worker, device, now, boot(), time.time(), boot(), now, device),
            ).fetchone()
            if row is not None:
                database.execute(
                    "INSERT INTO attempts (job, worker, started) VALUES (?, ?, ?)", (row[0], worker, time.time())
                )
        return _job(row)

    def beat(self, job_id: str, worker: str, progress: Progress) -> bool:
        """Sign of life. True while the job should go on: not cancelled or paused, still this worker's, and with no
        rendering of a higher priority waiting for its device."""
        now = time.monotonic()
        with self._database(durable=False) as database:
            row = database.execute(
                """UPDATE jobs SET heartbeat = ?, boot = ?, message = ?, progress = ?, eta = ?
                WHERE id = ? AND worker = ? AND state = 'running' RETURNING cancel OR pause""",
                (now, boot(), progress.message, progress.share, progress.eta, job_id, worker),
            ).fetchone()
            return row is not None and not row[0] and not database.execute(_OUTRANKED, (job_id, now)).fetchone()

    def goes_on(self, job_id: str, worker: str) -> bool:
        """As beat, but only reads: whether the job is still this worker's, and neither cancelled nor paused."""
        with self._database() as database:
            asked = "SELECT cancel OR pause FROM jobs WHERE id = ? AND worker = ? AND state = 'running'"
            row = database.execute(asked, (job_id, worker)).fetchone()
        return row is not None and not row[0]

    def has_work(self, device: str = "") -> bool:
        """Whether a worker on this device may have something to do: a job of its kind waits or runs, or one is paused
        until there is space on the disk, which any worker sees."""
        with self._database() as database:
            query = f"""SELECT 1 FROM jobs WHERE state IN ('queued', 'running') AND {_fits(device)}
                OR state = 'paused' AND needs IS NOT NULL"""
            return database.execute(query).fetchone() is not None

    def mark_planned(self, job_id: str) -> None:
        """From here on the plan belongs to the user: a second attempt at this job must not plan again."""
        with self._database() as database:
            database.execute("UPDATE jobs SET planned = 1, attempts = 1 WHERE id = ?", (job_id,))

    def finish(self, job_id: str, worker: str, state: State, message: str = "", error: str = "") -> None:
        """Ignored where the job has been given to another worker in the meantime."""
        self._end(job_id, worker, state, state, message, error)

    def halt(self, job_id: str, worker: str) -> None:
        """The job has stopped as asked: cancelled, paused, or to let a more urgent one go first."""
        self.put_back(job_id, worker, "Lets a more urgent rendering go first")

    def put_back(
        self, job_id: str, worker: str, message: str = "Interrupted; goes on when the studio runs again"
    ) -> None:
        """The worker is told to stop: its job waits for the next one, and the attempt does not count."""
        self._end(job_id, worker, "queued", "interrupted", message, counts=False)

    def hand_on(self, job_id: str, worker: str) -> None:
        """The film is planned: its job waits for a device to be rendered on."""
        self._end(job_id, worker, "queued", "done", "Planned; waiting for its turn to be rendered", counts=False)

    def hold(self, job_id: str, worker: str, message: str, needs: int) -> None:
        """Pause until so many bytes are free; see `recover`."""
        self._end(job_id, worker, "paused", "paused", message, counts=False, needs=needs)

    def try_later(self, job_id: str, worker: str, error: str, why: str = "Something went wrong") -> None:
        """After a fault: again after a while, longer each time; failed after MAX_ATTEMPTS. why: for the user."""
        job = self.get(job_id)
        if job is None or job.attempts >= MAX_ATTEMPTS:
            self.finish(job_id, worker, "failed", "Failed", error)
            return
        wait = backoff(job.attempts)
        message = f"{why}; trying again in {wait:g} seconds"
        self._end(job_id, worker, "queued", "failed", message, error, due=time.monotonic() + wait)

    def recover(self) -> None:
        """Jobs of dead workers return to the queue, or fail after MAX_ATTEMPTS; jobs that wait for space on the disk
        return where there is enough."""
        with self._database() as database:
            query = "SELECT id, worker, heartbeat, boot FROM jobs WHERE state = 'running'"
            running = database.execute(query).fetchall()
            held = database.execute("SELECT id, needs FROM jobs WHERE state = 'paused' AND needs IS NOT NULL")
            spacious = [job_id for job_id, needs in held if needs <= free_bytes(self.home)]
        for job_id, worker, heartbeat, when in running:
            if _is_dead(worker, time.monotonic() - heartbeat, when):
                self._recover(job_id, worker, heartbeat)
        for job_id in spacious:
            with self._database() as database:
                _requeue(database, "id = ? AND state = 'paused' AND needs IS NOT NULL", job_id)

    def _recover(self, job_id: str, worker: str, heartbeat: float) -> None:
        job = self.get(job_id)
        state, message, error = "queued", "The worker stopped; starting again", ""
        if job.attempts >= MAX_ATTEMPTS and not job.cancel and not job.pause:
            state, message = "failed", "Failed"
            error = f"the worker stopped {MAX_ATTEMPTS} times in this job; worker.log in the projects folder says more"
        self._end(job_id, worker, state, "lost", message, error, heartbeat=heartbeat)

    def _end(
        self,
        job_id: str,
        worker: str,
        state: State,
        outcome: str,
        message: str,
        error: str = "",
        *,
        counts: bool = True,
        needs: int | None = None,
        due: float | None = None,
        heartbeat: float | None = None,
    ) -> None:
        """A worker's run at a job is over, and with it its runs at shots. heartbeat: only if it has not beaten since.
        counts: as an attempt. A job that is to go on does not where the user has asked for its end or a pause, however
        late: nothing they asked for is lost."""
        now = time.time()
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            asked = "SELECT cancel, pause FROM jobs WHERE id = ? AND worker = ? AND state = 'running'"
            cancel, pause = database.execute(asked, (job_id, worker)).fetchone() or (False, False)
            if cancel and state in ("queued", "paused"):
                state, message, error, needs, due = "cancelled", "Cancelled", "", None, None
            elif pause and state in ("queued", "paused"):  # their pause, which does not end by itself
                state, message, error, needs, due = "paused", "Paused", "", None, None
            outcome = state if outcome == "interrupted" and state != "queued" else outcome
            over = state in ("done", "failed", "cancelled")
            ended = database.execute(
                """UPDATE jobs SET state = ?, message = ?, error = ?, eta = NULL, worker = NULL, cancel = 0, pause = 0,
                needs = ?, due = ?, boot = ?, finished = CASE WHEN ? THEN ? END,
                attempts = CASE WHEN ? THEN attempts ELSE max(0, attempts - 1) END,
                progress = CASE ? WHEN 'done' THEN 1 ELSE progress END
                WHERE id = ? AND worker = ? AND state = 'running' AND (? IS NULL OR heartbeat = ?)""",
                (state, message, error, needs, due, boot(), over, now, counts, state)
                + (job_id, worker, heartbeat, heartbeat),
            )
            if ended.rowcount:
                database.execute("UPDATE shots SET state = 'waiting' WHERE job = ? AND state = 'running'", (job_id,))
                database.execute(
                    """UPDATE attempts SET ended = ?, outcome = CASE shot WHEN '' THEN ? ELSE 'lost' END, error = ?
                    WHERE job = ? AND worker = ? AND ended IS NULL""",
                    (now, outcome, error, job_id, worker),
                )

    # -- for the shots of a job in work

    def plan_shots(self, job_id: str, keys: Sequence[tuple[str, str]], done: set[str]) -> None:
        """The (shot id, take key) of a film, in order, and which shots have their take already."""
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            known = "SELECT shot, key, attempts, error FROM shots WHERE job = ?"
            before = {shot: row for shot, *row in database.execute(known, (job_id,))}
            database.execute("DELETE FROM shots WHERE job = ?", (job_id,))
            for place, (shot, key) in enumerate(keys):
                old_key, attempts, error = before.get(shot, ("", 0, ""))
                same = old_key == key  # an edited shot starts anew
                state, progress = ("done", 1.0) if shot in done else ("waiting", 0.0)
                database.execute(
                    f"INSERT INTO shots (job, place, {_SHOT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)",
                    (job_id, place, shot, key, state, progress, attempts if same else 0, error if same else ""),
                )

    def start_shot(self, job_id: str, shot: str) -> None:
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute(
                """UPDATE shots SET state = 'running', progress = 0, attempts = attempts + 1
                WHERE job = ? AND shot = ?""",
                (job_id, shot),
            )
            database.execute(
                """INSERT INTO attempts (job, shot, worker, started)
                SELECT id, ?, coalesce(worker, ''), ? FROM jobs WHERE id = ?""",
                (shot, time.time(), job_id),
            )

    def move_shot(self, job_id: str, shot: str, share: float) -> None:
        with self._database(durable=False) as database:
            database.execute("UPDATE shots SET progress = ? WHERE job = ? AND shot = ?", (share, job_id, shot))

    def end_shot(self, job_id: str, shot: str, seconds: float | None = None, error: str = "") -> None:
        """Done in so many seconds, or failed with an error. A finished shot is progress: the job's attempts count
        from here again."""
        state, progress = ("failed", 0.0) if error else ("done", 1.0)
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute(
                "UPDATE shots SET state = ?, progress = ?, error = ?, seconds = ? WHERE job = ? AND shot = ?",
                (state, progress, error, seconds, job_id, shot),
            )
            database.execute(
                "UPDATE attempts SET ended = ?, outcome = ?, error = ? WHERE job = ? AND shot = ? AND ended IS NULL",
                (time.time(), state, error, job_id, shot),
            )
            if not error:
                database.execute("UPDATE jobs SET attempts = 1 WHERE id = ? AND state = 'running'", (job_id,))

    def _one(self, where: str, *values) -> Job | None:
        with self._database() as database:
            return _job(database.execute(f"SELECT {_JOB} FROM jobs {where}", values).fetchone())

    @contextmanager
    def _database(self, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A connection a call: cheap for SQLite, and none is shared between threads. Commits, or rolls back.

        durable: on the disk before the call returns; else a power cut may cost these lines, never the store.
        """
        database = sqlite3.connect(self.path, timeout=10)
        try:
            database.execute("PRAGMA foreign_keys = ON")
            database.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            with database:
                yield database
        finally:
            database.close()


def _fits(device: str) -> str:
    """The condition that a job's next step is done on this device; see JobStore.claim."""
    return f"{_PLANS.format('jobs')} = {int(device == PLANNING)}" if device else "1"


def _know_project(database: sqlite3.Connection, name: str) -> None:
    database.execute("INSERT OR IGNORE INTO projects (name, created) VALUES (?, ?)", (name, time.time()))


def _requeue(database: sqlite3.Connection, where: str, job_id: str) -> None:
    database.execute(
        f"""UPDATE jobs SET state = 'queued', message = 'Waiting for its turn', error = '', needs = NULL, due = NULL,
        cancel = 0, pause = 0, attempts = 0, finished = NULL WHERE {where}""",
        (job_id,),
    )


def _job(row: tuple | None) -> Job | None:
    """SQLite has no bool."""
    if row is None:
        return None
    job = Job(*row)
    return replace(job, cancel=bool(job.cancel), planned=bool(job.planned), pause=bool(job.pause))


def _is_dead(worker: str, silence: float, when: str) -> bool:
    """silence in seconds on the monotonic clock of the boot `when`. Where the process can be looked up, there is no
    need to wait for STALE."""
    host, pid, _ = worker.split(":")
    if when != boot() or silence < 0:  # the machine was started anew
        return True
    if silence > DEAD and host == socket.gethostname() and os.name == "posix":
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
    return silence > STALE


@cache
def boot() -> str:
    """What tells one start of this machine from the next: monotonic times compare only within one. "" where the system
    does not say: then a dead worker's silence does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
