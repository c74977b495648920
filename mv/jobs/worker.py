"""The process that does the jobs, and what the studio holds to keep it alive."""

import argparse
import logging
import math
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from mv.devices import local_devices
from mv.errors import NO_SPACE, Cancelled, DiskFull, MusicVideoError
from mv.jobs.store import PLANNING, Job, JobStore, Progress
from mv.projects import Taken, free_bytes, give_way, start_process

BEAT = 0.5  # seconds between heartbeats
LOOK = 0.1  # seconds between two looks at whether the job is to stop: they only read
GRACE = 1.0  # seconds a job has to heed a stop; then its process ends: every file is written whole or not at all
IDLE = 60.0  # seconds without work after which a studio's worker ends: what planning or a model loaded is given back
KEEP = 1.0  # seconds between two looks at whether a worker is missing
RESTART = 5.0  # seconds between two starts of a worker: one that cannot live must not take the machine with it
SPARE = 64 * 2**20  # bytes more than now to be free before a job goes on that met a full disk

Report = Callable[[Progress], None]
Run = Callable[[Job, Report, Callable[[], bool]], None]


def work(
    store: JobStore,
    run: Run,
    stop: threading.Event,
    abort: Callable[[], None] = lambda: None,
    device: str = "",
    idle: float = math.inf,
) -> None:
    """Do jobs until `stop` is set; a job in hand is put back then. device: as for JobStore.claim.

    abort: called where a job does not heed its cancel within GRACE (it compiles, loads, encodes); ends the process.
    idle: returns when it has worked, and has had nothing to do for so many seconds.
    """
    worker = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
    worked = math.inf  # when the last job ended, on the monotonic clock
    while not stop.is_set():
        try:
            store.recover()
            job = store.claim(worker, device)
        except sqlite3.OperationalError:  # the disk is full or slow
            logging.warning("the job store cannot be written", exc_info=True)
            job = None
        if job is not None:
            _attend(store, job, worker, run, stop, abort)
            worked = time.monotonic()
        elif time.monotonic() - worked > idle and not _has_work(store, device):
            return
        else:
            stop.wait(BEAT)


def _attend(store: JobStore, job: Job, worker: str, run: Run, stop: threading.Event, abort: Callable[[], None]) -> None:
    heart = _Heart(store, job, worker, stop, abort)
    try:
        with heart:
            run(job, heart.report, heart.halted.is_set)
    except Cancelled:
        end = heart.give_up
    except Exception as error:
        end = partial(_say_failure, store, job, worker, error)
    else:
        end = partial(_say_success, store, job, worker)
    _insist(end, stop)


def _say_success(store: JobStore, job: Job, worker: str) -> None:
    if job.kind == "make" and job.device == PLANNING:
        store.hand_on(job.id, worker)
    else:
        store.finish(job.id, worker, "done", "Done")


def _say_failure(store: JobStore, job: Job, worker: str, error: Exception) -> None:
    """A full disk pauses the job, what only the user can mend fails it, a fault is tried again."""
    if full := _disk_full(error):
        needs = full.needs or free_bytes(store.home) + SPARE
        store.hold(job.id, worker, f"Paused: {full} It goes on by itself then.", needs)
    elif isinstance(error, Taken):  # by a worker that is just going, or by somebody's command
        store.try_later(job.id, worker, str(error), f"Waiting for {error.holder}")
    elif isinstance(error, MusicVideoError):
        store.finish(job.id, worker, "failed", "Failed", str(error))
    else:
        logging.error("job %s (%s of %s)", job.id, job.kind, job.project, exc_info=error)
        line = f"a fault in the program ({type(error).__name__}: {error}); worker.log in the projects folder says more"
        store.try_later(job.id, worker, line)


def _disk_full(error: BaseException | None) -> DiskFull | None:
    """The full disk that an error came of, if any."""
    while error is not None:
        if isinstance(error, DiskFull):
            return error
        if getattr(error, "errno", None) in NO_SPACE or getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return DiskFull(f"the disk is full. Free at least {SPARE // 2**20} MiB.")
        error = error.__cause__ or error.__context__
    return None


def _has_work(store: JobStore, device: str) -> bool:
    """Where it cannot be seen, there may be some."""
    try:
        return store.has_work(device)
    except sqlite3.Error:
        logging.warning("the job store cannot be read", exc_info=True)
        return True


def _insist(write: Callable[[], None], stop: threading.Event) -> None:
    """A full disk may refuse even this line: say it as soon as there is space. Unsaid, the job is recovered later."""
    while True:
        try:
            return write()
        except sqlite3.OperationalError:
            logging.warning("the job store cannot be written", exc_info=True)
            if stop.wait(BEAT):
                return None


class _Heart:
    """Beats in a thread of its own, so that a long step neither hides a cancel nor looks dead."""

    def __init__(
        self, store: JobStore, job: Job, worker: str, stop: threading.Event, abort: Callable[[], None]
    ) -> None:
        self.store, self.job, self.worker, self.stop, self.abort = store, job, worker, stop, abort
        self.halted = threading.Event()  # cancelled, paused, lost or told to stop
        self.progress = Progress("Starting")
        self._due = 0.0  # the next beat, on the monotonic clock
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
                    _insist(self.give_up, self.stop)
                    self.abort()
            self._over.wait(LOOK)

    def give_up(self) -> None:
        """Cancelled or paused by the user, outranked, or interrupted with the worker; nothing where the job is another
        worker's by now."""
        if self.stop.is_set():
            self.store.put_back(self.job.id, self.worker)
        else:
            self.store.halt(self.job.id, self.worker)

    def _goes_on(self) -> bool:
        try:
            if time.monotonic() < self._due:
                return self.store.goes_on(self.job.id, self.worker)
            self._due = time.monotonic() + BEAT
            return self.store.beat(self.job.id, self.worker, self.progress)
        except sqlite3.OperationalError:  # the disk is full or slow: the next beat tells
            logging.warning("no heartbeat written", exc_info=True)
            return True


class Worker:
    """The studio's worker processes: one that plans, and one a device that renders. They stop when the studio does,
    however that ends: they read its pipe. One that has been idle for long ends by itself; see `keep`."""

    command = (sys.executable, "-m", "mv.jobs")

    def __init__(self, home: str | Path, devices: Sequence[str] | None = None) -> None:
        """devices: None for every NVIDIA GPU here, or what torch finds by itself."""
        self.home = Path(home)
        self.devices = (*(devices if devices is not None else local_devices()), PLANNING)
        self.processes: dict[str, subprocess.Popen] = {}
        self._started: dict[str, float] = {}  # device: when, on the monotonic clock
        self._lock, self._over = threading.Lock(), threading.Event()
        self._keeper: threading.Thread | None = None

    def ensure(self) -> None:
        """Start the processes, or start again those that have ended."""
        self._start_missing(lambda device: True)

    def keep(self, store: JobStore) -> None:
        """From now on start again by itself what has ended, wherever there is work for it: a film goes on though its
        worker died and nobody looks at the page."""
        self.ensure()
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._keep, args=(store,), name="keeper", daemon=True)
            self._keeper.start()

    def _keep(self, store: JobStore) -> None:
        while not self._over.wait(KEEP):
            try:
                self._start_missing(partial(_has_work, store))
            except OSError:  # no process or file handle to be had now
                logging.warning("no worker could be started", exc_info=True)

    def _start_missing(self, wanted: Callable[[str], bool]) -> None:
        with self._lock:
            for device in self.devices:
                process = self.processes.get(device)
                late = time.monotonic() - self._started.get(device, -math.inf) > RESTART
                missing = process is None or process.poll() is not None
                if missing and late and not self._over.is_set() and wanted(device):
                    if process is not None:
                        process.stdin.close()
                    self.processes[device] = self._start(device)
                    self._started[device] = time.monotonic()

    def stop(self) -> None:
        """Within about a second, for good; a job in hand waits for the next start."""
        self._over.set()
        with self._lock:
            for process in self.processes.values():
                process.stdin.close()
            for process in self.processes.values():
                try:
                    process.wait(timeout=10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            self.processes.clear()
        if self._keeper is not None:
            self._keeper.join()

    def _start(self, device: str) -> subprocess.Popen:
        return start_process([*self.command, str(self.home), "--with-studio", "--device", device], self.home)


def _stop_with_studio(stop: threading.Event) -> None:
    """Returns when the other end of the pipe is gone; not through sys.stdin, whose lock would hang the exit."""
    while os.read(0, 1024):
        pass
    stop.set()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m mv.jobs", description="Do the jobs of a projects folder.")
    parser.add_argument("home", type=Path, help="the projects folder")
    parser.add_argument("--with-studio", action="store_true", help="stop when the standard input is closed")
    parser.add_argument(
        "--device", default="", help="cuda:0, cuda:1 ..., default: render there; planning: plan; left out: do both"
    )
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    stop = threading.Event()
    if options.with_studio:
        threading.Thread(target=_stop_with_studio, args=(stop,), daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    give_way(3 if options.device == PLANNING else 5)  # the page stays quick, and plans are waited for
    if options.device.startswith("cuda:"):  # before torch is loaded
        os.environ["CUDA_VISIBLE_DEVICES"] = options.device.removeprefix("cuda:")
    from mv.ui.project import run_job  # the wiring of this process; the store knows nothing of the page

    store = JobStore(options.home)
    os.environ["MV_HOME"] = str(store.home)  # the stages make their work folders there
    idle = IDLE if options.with_studio else math.inf
    work(store, partial(run_job, store), stop, partial(os._exit, 1), options.device, idle)
