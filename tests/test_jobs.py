"""Jobs are durable, run one at a time, stop when asked and come back when their worker dies."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from mv import jobs
from mv.errors import Cancelled, InputError, OutputError
from mv.jobs import JobStore, Progress, work


@pytest.fixture
def store(tmp_path) -> JobStore:
    return JobStore(tmp_path)


@pytest.fixture
def at_work(store):
    """Run a worker in a thread: at_work(run)."""
    stop, threads = threading.Event(), []

    def start(run, abort=lambda: None) -> threading.Event:
        threads.append(threading.Thread(target=work, args=(store, run, stop, abort)))
        threads[-1].start()
        return stop

    yield start
    stop.set()
    for thread in threads:
        thread.join(timeout=10)
        assert not thread.is_alive()


def wait_for(condition, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def until_cancelled(job, report, cancelled) -> None:
    report(Progress("Working", 0.4, 12.0))
    while not cancelled():
        time.sleep(0.01)
    raise Cancelled("stopped")


def age(store: JobStore, job_id: str, seconds: float, worker: str) -> None:
    """Let a running job look abandoned."""
    with store._database() as database:
        database.execute(
            "UPDATE jobs SET heartbeat = heartbeat - ?, worker = ? WHERE id = ?", (seconds, worker, job_id)
        )


def test_a_job_is_done_and_remembered(store, at_work, tmp_path):
    seen = []
    job = store.submit("song", "make")
    at_work(lambda job, report, cancelled: seen.append((job.project, job.kind)))
    wait_for(lambda: not store.get(job.id).open)
    again = JobStore(tmp_path).latest("song")
    assert seen == [("song", "make")] and (again.id, again.state, again.progress) == (job.id, "done", 1.0)


def test_progress_is_seen_and_cancel_stops_within_two_seconds(store, at_work):
    job = store.submit("song", "render")
    at_work(until_cancelled)
    wait_for(lambda: store.get(job.id).message == "Working")
    assert (store.get(job.id).progress, store.get(job.id).eta) == (0.4, 12.0)
    store.cancel(job.id)
    wait_for(lambda: store.get(job.id).state == "cancelled", seconds=2.0)


def test_a_job_deaf_to_its_cancel_is_ended_with_its_process(store, at_work):
    ended = threading.Event()
    job = store.submit("song", "render")
    at_work(lambda job, report, cancelled: ended.wait(20), abort=ended.set)
    wait_for(lambda: store.get(job.id).state == "running")
    store.cancel(job.id)
    wait_for(lambda: store.get(job.id).state == "cancelled" and ended.is_set(), seconds=3.0)


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(store, at_work):
    job = store.submit("song", "make")
    store.cancel(job.id)
    assert store.get(job.id).state == "cancelled"
    assert store.claim("host:1:a") is None


def test_what_the_user_did_wrong_is_told_in_their_words(store, at_work):
    def run(job, report, cancelled):
        raise InputError("song.txt: not a sound file")

    job = store.submit("song", "make")
    at_work(run)
    wait_for(lambda: not store.get(job.id).open)
    assert (store.get(job.id).state, store.get(job.id).error) == ("failed", "song.txt: not a sound file")


def test_a_fault_fails_the_job_and_the_worker_goes_on(store, at_work):
    def run(job, report, cancelled):
        if job.project == "bad":
            raise ZeroDivisionError("division by zero")

    bad, good = store.submit("bad", "make"), store.submit("good", "make")
    at_work(run)
    wait_for(lambda: not store.get(good.id).open)
    assert store.get(good.id).state == "done"
    assert store.get(bad.id).state == "failed" and "ZeroDivisionError: division by zero" in store.get(bad.id).error


def test_jobs_run_one_at_a_time_in_order(store):
    first, second = store.submit("a", "make"), store.submit("b", "make")
    assert store.ahead(second) == 1
    assert store.claim("host:1:a").id == first.id
    assert store.claim("host:2:b") is None
    store.finish(first.id, "host:1:a", "done")
    assert store.claim("host:2:b").id == second.id


def test_a_project_has_one_open_job(store):
    job = store.submit("song", "plan")
    with pytest.raises(InputError, match="worked on already"):
        store.submit("song", "render")
    store.cancel(job.id)
    store.submit("song", "render")


def test_a_stale_job_comes_back_and_its_old_worker_is_told_to_halt(store):
    job = store.submit("song", "make")
    store.claim("elsewhere:1:a")
    store.recover()
    assert store.get(job.id).state == "running"  # fresh heartbeat
    age(store, job.id, jobs.STALE + 1, "elsewhere:1:a")
    store.recover()
    assert store.get(job.id).state == "queued"
    assert store.claim("here:2:b").attempts == 2
    assert not store.beat(job.id, "elsewhere:1:a", Progress())
    store.finish(job.id, "elsewhere:1:a", "done")
    assert store.get(job.id).state == "running"
    assert store.beat(job.id, "here:2:b", Progress())


def test_a_worker_seen_to_be_gone_is_not_waited_for(store):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    job = store.submit("song", "make")
    store.claim("any:0:a")
    age(store, job.id, jobs.DEAD + 1, f"{socket.gethostname()}:{os.getpid()}:a")
    store.recover()
    assert store.get(job.id).state == "running"  # this process lives
    age(store, job.id, 0, f"{socket.gethostname()}:{gone.pid}:a")
    store.recover()
    assert store.get(job.id).state == "queued"


def test_a_job_that_kills_its_workers_is_given_up(store):
    job = store.submit("song", "make")
    for attempt in range(jobs.MAX_ATTEMPTS):
        assert store.claim(f"elsewhere:{attempt}:a").attempts == attempt + 1
        age(store, job.id, jobs.STALE + 1, f"elsewhere:{attempt}:a")
        store.recover()
    assert store.get(job.id).state == "failed" and "stopped 3 times" in store.get(job.id).error


def test_a_cancelled_job_of_a_dead_worker_does_not_come_back(store):
    job = store.submit("song", "make")
    store.claim("elsewhere:1:a")
    store.cancel(job.id)
    age(store, job.id, jobs.STALE + 1, "elsewhere:1:a")
    store.recover()
    assert store.get(job.id).state == "cancelled"


def test_a_worker_told_to_stop_puts_its_job_back(store, at_work):
    job = store.submit("song", "make")
    stop = at_work(until_cancelled)
    wait_for(lambda: store.get(job.id).state == "running")
    stop.set()
    wait_for(lambda: store.get(job.id).state == "queued", seconds=2.0)
    assert store.get(job.id).attempts == 0


def test_a_home_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Choose another folder"):
        JobStore(tmp_path / "file")


def test_the_worker_process_dies_with_its_studio(tmp_path):
    JobStore(tmp_path)
    studio = f"""
import time
from mv.jobs import Worker
worker = Worker({str(tmp_path)!r})
worker.ensure()
print(worker.process.pid, flush=True)
time.sleep(60)
"""
    root = os.path.dirname(os.path.dirname(jobs.__file__))
    process = subprocess.Popen([sys.executable, "-c", studio], stdout=subprocess.PIPE, cwd=root, text=True)
    worker = int(process.stdout.readline())
    os.kill(worker, 0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not _lives(worker), seconds=30)


def _lives(pid: int) -> bool:
    """A dead child nobody has waited for (in a container without an init) counts as dead."""
    try:
        os.kill(pid, 0)
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except FileNotFoundError:  # no /proc on this system
        return True
