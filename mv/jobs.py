"""Work that outlives the tab: a durable job store and the process that does the jobs.

    JobStore   one SQLite file in the projects' home; the page submits, asks and cancels
    work       the loop of the worker process: claim, attend, finish
    Worker     what the studio holds to keep that process alive

`python -m mv.jobs HOME` runs a worker by hand. One job runs at a time, whatever the number of workers. A worker that
dies leaves a heartbeat that goes stale; its job returns to the queue and goes on from the takes already made.
"""

import argparse
import logging
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Literal

from mv.errors import Cancelled, InputError, MusicVideoError, OutputError

BEAT = 0.5  # seconds between heartbeats; also how often a cancel is noticed
STALE = 30.0  # seconds without a heartbeat until a worker counts as dead; compiling may hold a process up for 10 s
DEAD = 2.0  # ... when its process is seen to be gone
GRACE = 1.0  # seconds a job has to heed a cancel; then its process ends: every file is written whole or not at all
MAX_ATTEMPTS = 3  # a job that takes its worker down this often is given up

Kind = Literal["plan", "make", "render"]
State = Literal["queued", "running", "done", "failed", "cancelled"]
OPEN = ("queued", "running")


@dataclass(frozen=True)
class Job:
    """progress 0..1 over the whole job; eta: seconds left of the step in hand, None while unknown; error: one line for
    the user; planned: a make job has written its plan, which is the user's from then on, to edit while shots render.

    created, started, finished: seconds since the epoch.
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

    @property
    def open(self) -> bool:
        return self.state in OPEN


@dataclass(frozen=True)
class Progress:
    """What the worker says with each heartbeat."""

    message: str = ""
    share: float = 0.0
    eta: float | None = None


Report = Callable[[Progress], None]
Run = Callable[[Job, Report, Callable[[], bool]], None]


# ---------------------------------------------------------------- the store


_TABLE = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY, project TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL DEFAULT 'queued',
  message TEXT NOT NULL DEFAULT '', progress REAL NOT NULL DEFAULT 0, eta REAL, error TEXT NOT NULL DEFAULT '',
  cancel INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, planned INTEGER NOT NULL DEFAULT 0,
  created REAL NOT NULL, started REAL, finished REAL, worker TEXT, heartbeat REAL
);
CREATE INDEX IF NOT EXISTS jobs_by_project ON jobs (project, created);
"""
_COLUMNS = ", ".join(field.name for field in fields(Job))


class JobStore:
    """Jobs of all projects in HOME/jobs.sqlite3; safe to use from many threads and processes."""

    def __init__(self, home: str | Path) -> None:
        self.home = Path(home).absolute()
        self.path = self.home / "jobs.sqlite3"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._database() as database:
                database.executescript(f"PRAGMA journal_mode=WAL; {_TABLE}")
        except (OSError, sqlite3.Error) as error:
            raise OutputError(f"{home}: cannot keep projects here: {error}. Choose another folder.") from None

    def submit(self, project: str, kind: Kind) -> Job:
        """Raises InputError where the project is being worked on already."""
        job = Job(uuid.uuid4().hex, project, kind, message="Waiting for its turn", created=time.time())
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            busy = "SELECT 1 FROM jobs WHERE project = ? AND state IN ('queued', 'running')"
            if database.execute(busy, (project,)).fetchone():
                raise InputError("this project is being worked on already; wait until it is done, or cancel it")
            database.execute(
                "INSERT INTO jobs (id, project, kind, message, created) VALUES (?, ?, ?, ?, ?)",
                (job.id, project, kind, job.message, job.created),
            )
        return job

    def get(self, job_id: str) -> Job | None:
        return self._one("WHERE id = ?", job_id)

    def latest(self, project: str) -> Job | None:
        """The newest job of a project."""
        return self._one("WHERE project = ? ORDER BY created DESC, rowid DESC LIMIT 1", project)

    def ahead(self, job: Job) -> int:
        """Open jobs that come before this one."""
        with self._database() as database:
            query = "SELECT count(*) FROM jobs WHERE state IN ('queued', 'running') AND created < ?"
            return database.execute(query, (job.created,)).fetchone()[0]

    def cancel(self, job_id: str) -> None:
        """A waiting job stops at once, a running one within two heartbeats of its worker."""
        with self._database() as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE jobs SET cancel = 1 WHERE id = ? AND state = 'running'", (job_id,))
            database.execute(
                """UPDATE jobs SET state = 'cancelled', message = 'Cancelled', finished = ?
                WHERE id = ? AND state = 'queued'""",
                (time.time(), job_id),
            )

    # -- for workers

    def claim(self, worker: str) -> Job | None:
        """The oldest waiting job, now running; None while another one runs or nothing waits."""
        now = time.time()
        with self._database() as database:
            row = database.execute(
                f"""UPDATE jobs SET state = 'running', worker = ?, heartbeat = ?, attempts = attempts + 1, cancel = 0,
                    started = ?, finished = NULL, error = ''
                WHERE id = (SELECT id FROM jobs WHERE state = 'queued' ORDER BY created, rowid LIMIT 1)
                AND NOT EXISTS (SELECT 1 FROM jobs WHERE state = 'running') RETURNING {_COLUMNS}""",
                (worker, now, now),
            ).fetchone()
        return _job(row)

    def beat(self, job_id: str, worker: str, progress: Progress) -> bool:
        """Sign of life. True while the job should go on: not cancelled, and still this worker's."""
        with self._database() as database:
            row = database.execute(
                """UPDATE jobs SET heartbeat = ?, message = ?, progress = ?, eta = ?
                WHERE id = ? AND worker = ? AND state = 'running' RETURNING cancel""",
                (time.time(), progress.message, progress.share, progress.eta, job_id, worker),
            ).fetchone()
        return row is not None and not row[0]

    def mark_planned(self, job_id: str) -> None:
        """From here on the plan belongs to the user: a second attempt at this job must not plan again."""
        with self._database() as database:
            database.execute("UPDATE jobs SET planned = 1 WHERE id = ?", (job_id,))

    def finish(self, job_id: str, worker: str, state: State, message: str = "", error: str = "") -> None:
        """Ignored where the job has been given to another worker in the meantime."""
        with self._database() as database:
            database.execute(
                """UPDATE jobs SET state = ?, message = ?, error = ?, eta = NULL, finished = ?,
                progress = CASE ? WHEN 'done' THEN 1 ELSE progress END
                WHERE id = ? AND worker = ? AND state = 'running'""",
                (state, message, error, time.time(), state, job_id, worker),
            )

    def put_back(self, job_id: str, worker: str) -> None:
        """The worker is told to stop: its job waits for the next one, and the attempt does not count."""
        with self._database() as database:
            database.execute(
                """UPDATE jobs SET state = 'queued', worker = NULL, attempts = attempts - 1, eta = NULL,
                message = 'Interrupted; goes on when the studio runs again'
                WHERE id = ? AND worker = ? AND state = 'running'""",
                (job_id, worker),
            )

    def recover(self) -> None:
        """Jobs of dead workers return to the queue, or fail after MAX_ATTEMPTS."""
        with self._database() as database:
            running = database.execute("SELECT id, worker, heartbeat FROM jobs WHERE state = 'running'").fetchall()
        for job_id, worker, heartbeat in running:
            if _is_dead(worker, time.time() - heartbeat):
                self._recover(job_id, worker, heartbeat)

    def _recover(self, job_id: str, worker: str, heartbeat: float) -> None:
        error = f"the worker stopped {MAX_ATTEMPTS} times in this job; worker.log in the projects folder says more"
        with self._database() as database:
            database.execute(
                """UPDATE jobs SET worker = NULL, eta = NULL,
                state = CASE WHEN cancel THEN 'cancelled' WHEN attempts >= ? THEN 'failed' ELSE 'queued' END,
                error = CASE WHEN NOT cancel AND attempts >= ? THEN ? ELSE '' END,
                message = CASE WHEN cancel THEN 'Cancelled' ELSE 'The worker stopped; starting again' END
                WHERE id = ? AND worker = ? AND heartbeat = ? AND state = 'running'""",
                (MAX_ATTEMPTS, MAX_ATTEMPTS, error, job_id, worker, heartbeat),
            )

    def _one(self, where: str, *values) -> Job | None:
        with self._database() as database:
            return _job(database.execute(f"SELECT {_COLUMNS} FROM jobs {where}", values).fetchone())

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        """A connection a call: cheap for SQLite, and none is shared between threads. Commits, or rolls back."""
        database = sqlite3.connect(self.path, timeout=10)
        try:
            with database:
                yield database
        finally:
            database.close()


def _job(row: tuple | None) -> Job | None:
    """SQLite has no bool."""
    if row is None:
        return None
    job = Job(*row)
    return replace(job, cancel=bool(job.cancel), planned=bool(job.planned))


def _is_dead(worker: str, silence: float) -> bool:
    """silence in seconds. Where the process can be looked up, there is no need to wait for STALE."""
    host, pid, _ = worker.split(":")
    if silence > DEAD and host == socket.gethostname() and os.name == "posix":
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass
    return silence > STALE


# ---------------------------------------------------------------- the worker process


def work(store: JobStore, run: Run, stop: threading.Event, abort: Callable[[], None] = lambda: None) -> None:
    """Do jobs until `stop` is set; a job in hand is put back then.

    abort: called where a job does not heed its cancel within GRACE (it compiles, loads, encodes); ends the process.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    while not stop.is_set():
        store.recover()
        job = store.claim(worker)
        if job is None:
            stop.wait(BEAT)
        else:
            _attend(store, job, worker, run, stop, abort)


def _attend(store: JobStore, job: Job, worker: str, run: Run, stop: threading.Event, abort: Callable[[], None]) -> None:
    heart = _Heart(store, job, worker, stop, abort)
    try:
        with heart:
            run(job, heart.report, heart.halted.is_set)
    except Cancelled:
        heart.give_up()
    except MusicVideoError as error:
        store.finish(job.id, worker, "failed", "Failed", str(error))
    except Exception as error:
        logging.exception("job %s (%s of %s)", job.id, job.kind, job.project)
        line = f"a fault in the program ({type(error).__name__}: {error}); worker.log in the projects folder says more"
        store.finish(job.id, worker, "failed", "Failed", line)
    else:
        store.finish(job.id, worker, "done", "Done")


class _Heart:
    """Beats in a thread of its own, so that a long step neither hides a cancel nor looks dead."""

    def __init__(
        self, store: JobStore, job: Job, worker: str, stop: threading.Event, abort: Callable[[], None]
    ) -> None:
        self.store, self.job, self.worker, self.stop, self.abort = store, job, worker, stop, abort
        self.halted = threading.Event()  # cancelled, lost or told to stop
        self.progress = Progress("Starting")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "_Heart":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._thread.join()

    def report(self, progress: Progress) -> None:
        self.progress = progress

    def _beat(self) -> None:
        while not self._over.is_set():
            if self.stop.is_set() or not self._goes_on():
                self.halted.set()
                if not self._over.wait(GRACE):
                    self.give_up()
                    self.abort()
            self._over.wait(BEAT)

    def give_up(self) -> None:
        """Cancelled by the user, or interrupted with the worker; nothing where the job is another worker's by now."""
        if self.stop.is_set():
            self.store.put_back(self.job.id, self.worker)
        else:
            self.store.finish(self.job.id, self.worker, "cancelled", "Cancelled")

    def _goes_on(self) -> bool:
        try:
            return self.store.beat(self.job.id, self.worker, self.progress)
        except sqlite3.OperationalError:  # the disk is full or slow: the next beat tells
            logging.warning("no heartbeat written", exc_info=True)
            return True


class Worker:
    """The studio's worker process. It stops when the studio does, however that ends: it reads the studio's pipe."""

    def __init__(self, home: str | Path) -> None:
        self.home = Path(home)
        self.process: subprocess.Popen | None = None
        self._lock = threading.Lock()

    def ensure(self) -> None:
        """Start the process, or start it again where it has died."""
        with self._lock:
            if self.process is None or self.process.poll() is not None:
                self.process = self._start()

    def stop(self) -> None:
        """Within about a second; a job in hand waits for the next start."""
        with self._lock:
            if self.process is None:
                return
            self.process.stdin.close()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def _start(self) -> subprocess.Popen:
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        with (self.home / "worker.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "mv.jobs", str(self.home), "--with-studio"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": path},
                start_new_session=True,  # Ctrl+C reaches the studio, which then closes the pipe
            )


def _stop_with_studio(stop: threading.Event) -> None:
    """Returns when the other end of the pipe is gone; not through sys.stdin, whose lock would hang the exit."""
    while os.read(0, 1024):
        pass
    stop.set()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m mv.jobs", description="Do the jobs of a projects folder.")
    parser.add_argument("home", type=Path, help="the projects folder")
    parser.add_argument("--with-studio", action="store_true", help="stop when the standard input is closed")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    if options.with_studio:
        threading.Thread(target=_stop_with_studio, args=(stop,), daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    if hasattr(os, "nice"):
        os.nice(5)  # the page stays quick while a film renders
    from mv.ui.project import run_job  # the wiring of this process; the store knows nothing of the page

    store = JobStore(options.home)
    os.environ["MV_HOME"] = str(store.home)  # the stages make their work folders there
    work(store, partial(run_job, store), stop, abort=partial(os._exit, 1))


if __name__ == "__main__":
    main()
