"""Jobs are durable, run one at a time, stop when asked and come back when their worker dies."""

import errno
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from conftest import conditions_of

from mv import generation
from mv.errors import Cancelled, DiskFull, InputError, OutputError
from mv.generation import generate
from mv.jobs import PLANNING, JobStore, Progress, ShotLedger, picture_path, work
from mv.jobs import store as jobs
from mv.jobs import worker as worker_module


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
    again = JobStore(tmp_path).status("song")
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


def test_a_fault_is_tried_again_then_fails_and_the_worker_goes_on(store, at_work, monkeypatch):
    monkeypatch.setattr(generation, "BACKOFF", 0.01)
    tries = []

    def run(job, report, cancelled):
        tries.append(job.project)
        if job.project == "bad":
            raise ZeroDivisionError("division by zero")

    bad, good = store.submit("bad", "make"), store.submit("good", "make")
    at_work(run)
    wait_for(lambda: not store.get(bad.id).open and not store.get(good.id).open)
    assert store.get(good.id).state == "done" and sorted(tries) == ["bad", "bad", "bad", "good"]
    assert [(a.outcome, "division" in a.error) for a in store.attempts(bad.id)] == [("failed", True)] * 3
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


@pytest.mark.parametrize("asked, state", [("cancel", "cancelled"), ("pause", "paused")])
def test_a_job_of_a_dead_worker_stops_as_it_was_asked_to(store, asked, state):
    job = store.submit("song", "make")
    store.claim("elsewhere:1:a")
    getattr(store, asked)(job.id)
    age(store, job.id, jobs.STALE + 1, "elsewhere:1:a")
    store.recover()
    assert store.get(job.id).state == state


def test_finished_shots_keep_a_killed_job_alive(store):
    job = store.submit("song", "make")
    for attempt in range(3 * jobs.MAX_ATTEMPTS):
        worker = f"elsewhere:{attempt}:a"
        assert store.claim(worker).state == "running"
        store.plan_shots(job.id, [("s1", "k1"), ("s2", "k2")], set())
        store.start_shot(job.id, "s1")
        store.end_shot(job.id, "s1", seconds=1.0)
        store.start_shot(job.id, "s2")
        age(store, job.id, jobs.STALE + 1, worker)
        store.recover()
        assert store.get(job.id).state == "queued"
    lost = [a for a in store.attempts(job.id) if a.outcome == "lost"]
    assert [a.shot for a in lost[:2]] == ["", "s2"] and all(a.ended for a in store.attempts(job.id))


def test_a_worker_told_to_stop_puts_its_job_back(store, at_work):
    job = store.submit("song", "make")
    stop = at_work(until_cancelled)
    wait_for(lambda: store.get(job.id).state == "running")
    stop.set()
    wait_for(lambda: store.get(job.id).state == "queued", seconds=2.0)
    assert store.get(job.id).attempts == 0


# ---------------------------------------------------------------- pause, retry, order


def test_pause_stops_within_two_seconds_and_resume_goes_on(store, at_work):
    job = store.submit("song", "render")
    at_work(until_cancelled)
    wait_for(lambda: store.get(job.id).message == "Working")
    store.pause(job.id)
    wait_for(lambda: store.get(job.id).state == "paused", seconds=2.0)
    assert store.get(job.id).open and store.get(job.id).attempts == 0
    with pytest.raises(InputError, match="worked on already"):
        store.submit("song", "render")
    store.resume(job.id)
    wait_for(lambda: store.get(job.id).message == "Working")
    store.cancel(job.id)
    wait_for(lambda: store.get(job.id).state == "cancelled", seconds=2.0)
    assert [attempt.outcome for attempt in store.attempts(job.id)] == ["paused", "cancelled"]


def test_a_waiting_job_is_paused_at_once_and_can_be_cancelled(store):
    first, second = store.submit("a", "make"), store.submit("b", "make")
    store.pause(first.id)
    assert store.get(first.id).state == "paused"
    assert store.ahead(second) == 0
    assert store.claim("host:1:a").id == second.id
    store.cancel(first.id)
    assert store.get(first.id).state == "cancelled"


def test_cancel_wins_over_pause(store):
    job = store.submit("song", "make")
    store.claim("host:1:a")
    store.pause(job.id)
    store.cancel(job.id)
    assert not store.beat(job.id, "host:1:a", Progress())
    store.halt(job.id, "host:1:a")
    assert store.get(job.id).state == "cancelled"


@pytest.mark.parametrize("asked, state", [("cancel", "cancelled"), ("pause", "paused")])
@pytest.mark.parametrize("how", ["put back", "tried later", "on a full disk", "handed on", "outranked"])
def test_what_the_user_asked_for_in_the_last_moment_is_not_lost(store, asked, state, how):
    """The worker has made up its mind already when the button is pressed."""
    job = store.submit("song", "make")
    store.claim("host:1:a")
    getattr(store, asked)(job.id)
    end = {
        "put back": lambda: store.put_back(job.id, "host:1:a"),
        "tried later": lambda: store.try_later(job.id, "host:1:a", "no memory"),
        "on a full disk": lambda: store.hold(job.id, "host:1:a", "the disk is full", 2**60),
        "handed on": lambda: store.hand_on(job.id, "host:1:a"),
        "outranked": lambda: store.halt(job.id, "host:1:a"),
    }
    end[how]()
    after = store.get(job.id)
    assert (after.state, after.cancel, after.pause) == (state, False, False)
    assert after.needs is None, "it does not go on by itself"
    assert store.claim("host:1:a") is None


def test_a_failed_or_cancelled_job_can_be_tried_again(store):
    job = store.submit("song", "make")
    store.claim("host:1:a")
    store.mark_planned(job.id)
    store.finish(job.id, "host:1:a", "failed", "Failed", "the song is gone")
    store.retry(job.id)
    again = store.claim("host:1:b")
    assert (again.id, again.error, again.planned, again.attempts) == (job.id, "", True, 1)
    store.finish(job.id, "host:1:b", "cancelled")
    other = store.submit("song", "plan")
    with pytest.raises(InputError, match="worked on already"):
        store.retry(job.id)
    store.cancel(other.id)
    store.retry(job.id)
    assert store.get(job.id).state == "queued"


def test_a_job_that_failed_by_a_fault_waits_before_it_tries_again(store, monkeypatch):
    job, other = store.submit("song", "make"), store.submit("other", "make")
    store.claim("host:1:a")
    store.try_later(job.id, "host:1:a", "no memory")
    assert "trying again in 2 seconds" in store.get(job.id).message and store.get(job.id).error == "no memory"
    assert store.claim("host:1:a").id == other.id
    store.finish(other.id, "host:1:a", "done")
    assert store.claim("host:1:a") is None
    now = time.monotonic()
    monkeypatch.setattr(jobs.time, "monotonic", lambda: now + generation.BACKOFF)
    assert store.claim("host:1:a").attempts == 2


def test_priority_goes_before_age(store):
    low, high = store.submit("a", "make"), store.submit("b", "make", priority=1)
    assert (store.ahead(low), store.ahead(high)) == (1, 0)
    assert store.claim("host:1:a").id == high.id


def test_a_device_does_one_job_at_a_time(store):
    waiting = [store.submit(name, "render") for name in "abc"]
    assert store.claim("host:1:a", "cuda:0").id == waiting[0].id
    assert store.claim("host:2:b", "cuda:0") is None
    assert store.claim("host:3:c", "cuda:1").id == waiting[1].id
    assert store.get(waiting[1].id).device == "cuda:1"


def test_plans_do_not_wait_for_films(store):
    film, make, plan = store.submit("a", "render"), store.submit("b", "make"), store.submit("c", "plan")
    assert [store.ahead(job) for job in (film, make, plan)] == [0, 0, 1]
    assert store.claim("host:1:a", "cuda:0").id == film.id
    assert store.claim("host:2:b", PLANNING).id == make.id
    assert store.claim("host:2:b", PLANNING) is None and store.claim("host:3:c", "cuda:1") is None
    store.mark_planned(make.id)
    store.hand_on(make.id, "host:2:b")
    assert (store.get(make.id).state, store.get(make.id).attempts, store.ahead(make)) == ("queued", 0, 1)
    assert store.claim("host:2:b", PLANNING).id == plan.id
    assert store.claim("host:3:c", "cuda:1").id == make.id


def test_a_make_job_is_planned_by_one_worker_and_rendered_by_another(store):
    stop, seen = threading.Event(), []

    def run(job, report, cancelled):
        seen.append((job.kind, job.device))
        if job.device == PLANNING:
            store.mark_planned(job.id)

    job = store.submit("song", "make")
    threads = [
        threading.Thread(target=work, args=(store, run, stop), kwargs={"device": device})
        for device in (PLANNING, "cuda:0")
    ]
    for thread in threads:
        thread.start()
    wait_for(lambda: not store.get(job.id).open)
    stop.set()
    for thread in threads:
        thread.join(timeout=10)
    assert store.get(job.id).state == "done" and seen == [("make", PLANNING), ("make", "cuda:0")]
    assert [attempt.outcome for attempt in store.attempts(job.id)] == ["done", "done"]


def test_a_film_lets_urgent_shots_go_first_and_goes_on(store, at_work):
    order = []

    def run(job, report, cancelled):
        order.append(job.project)
        if job.project == "film" and len(order) == 1:
            until_cancelled(job, report, cancelled)

    film = store.submit("film", "render")
    at_work(run)
    wait_for(lambda: store.get(film.id).message == "Working")
    urgent = store.submit("looked at", "render", priority=1)
    wait_for(lambda: not store.get(film.id).open and not store.get(urgent.id).open)
    assert order == ["film", "looked at", "film"] and store.get(film.id).state == "done"
    assert [attempt.outcome for attempt in store.attempts(film.id)] == ["interrupted", "done"]


def test_only_one_device_gives_way(store):
    first, second, plan = store.submit("a", "render"), store.submit("b", "render"), store.submit("p", "plan")
    store.claim("host:1:a", "cuda:0")
    store.claim("host:2:b", "cuda:1")
    store.claim("host:3:c", PLANNING)
    store.submit("plan of no device", "plan", priority=2)
    beats = lambda: [
        store.beat(job.id, worker, Progress())
        for job, worker in ((first, "host:1:a"), (second, "host:2:b"), (plan, "host:3:c"))
    ]
    assert beats() == [True, True, True]
    store.submit("looked at", "render", priority=1)
    assert beats() == [True, False, True], "the last that came"


def test_every_shot_is_known(store):
    job = store.submit("song", "make")
    assert store.shots("song") == []
    store.claim("host:1:a")
    store.plan_shots(job.id, [("s1", "k1"), ("s2", "k2"), ("s3", "k3")], {"s2"})
    store.start_shot(job.id, "s3")
    store.move_shot(job.id, "s3", 0.25)
    assert [(s.shot, s.state, s.progress) for s in store.shots("song")] == [
        ("s1", "waiting", 0), ("s2", "done", 1), ("s3", "running", 0.25)
    ]  # fmt: skip
    store.end_shot(job.id, "s3", error="MemoryError: no room")
    assert [(s.state, s.attempts, s.error) for s in store.shots("song")][2] == ("failed", 1, "MemoryError: no room")
    store.plan_shots(job.id, [("s1", "other"), ("s3", "k3")], set())
    assert [(s.shot, s.key, s.attempts) for s in store.shots("song")] == [("s1", "other", 0), ("s3", "k3", 1)]
    store.start_shot(job.id, "s1")
    store.put_back(job.id, "host:1:a")
    assert store.shots("song")[0].state == "waiting"
    assert [(a.shot, a.outcome) for a in store.attempts(job.id)] == [
        ("", "interrupted"), ("s3", "failed"), ("s1", "lost")
    ]  # fmt: skip


def test_the_shot_looked_at_comes_first(store, timeline, renderer, tmp_path):
    job = store.submit("song", "render")
    store.claim("host:1:a")
    store.prioritise("song", ["s3", "gone"])
    ledger = ShotLedger(store, store.get(job.id))
    generate(timeline, conditions_of(timeline), renderer, tmp_path / "takes", ledger=ledger)
    assert renderer.rendered == [3, 1, 2]
    assert [(s.shot, s.state, s.seconds is not None) for s in store.shots("song")] == [
        ("s1", "done", True), ("s2", "done", True), ("s3", "done", True)
    ]  # fmt: skip
    assert JobStore(store.home).first_shots("song") == ["s3", "gone"]
    store.prioritise("song", [])
    assert store.first_shots("song") == []


def test_a_picture_of_the_shot_in_work_lies_in_the_project_and_goes_with_it(store, timeline, renderer, tmp_path):
    from PIL import Image

    job = store.submit("song", "render")
    store.claim("host:1:a")
    ledger, folder = ShotLedger(store, store.get(job.id)), store.home / "song"
    left, path = picture_path(folder, "killed"), picture_path(folder, "../s1")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"of a process that was killed")
    ledger.planned([("../s1", "k1")], set())
    assert not left.exists() and path.parent == left.parent
    asked = []

    def picture() -> np.ndarray:
        asked.append(1)
        return np.full((288, 512, 3), 99, np.uint8)

    for _ in range(3):  # no more often than once a second
        ledger.pictured("../s1", picture)
    assert asked == [1] and Image.open(path).size == (256, 144)
    ledger.ended("../s1", 1.0, "")
    assert not path.exists()
    blocked = ShotLedger(store, store.get(job.id))
    blocked.folder = tmp_path / "file"
    blocked.folder.write_bytes(b"")
    blocked.pictured("s2", picture)  # where it cannot be written the shot goes on


# ---------------------------------------------------------------- full disks, clocks, damage


@pytest.mark.parametrize(
    "error",
    [
        DiskFull("the film needs 9 MiB", needs=2**60),
        OSError(errno.ENOSPC, "No space left on device"),
        OutputError("cannot write"),
    ],
    ids=["told before", "met in the middle", "another reason"],
)
def test_a_full_disk_pauses_and_space_lets_it_go_on(store, at_work, monkeypatch, error):
    free = [10]
    for module in (jobs, worker_module):
        monkeypatch.setattr(module, "free_bytes", lambda folder: free[0])
    tries = []

    def run(job, report, cancelled):
        tries.append(job.id)
        if len(tries) == 1:
            raise error

    job = store.submit("song", "render")
    at_work(run)
    if type(error) is OutputError:
        wait_for(lambda: store.get(job.id).state == "failed")
        return
    wait_for(lambda: store.get(job.id).state == "paused")
    assert "Paused: the" in store.get(job.id).message and store.get(job.id).needs > 10
    time.sleep(1.2)
    assert len(tries) == 1
    free[0] = 2**61
    wait_for(lambda: store.get(job.id).state == "done")
    assert store.get(job.id).needs is None and len(tries) == 2


def test_a_store_that_cannot_be_written_now_is_written_later(store, at_work, monkeypatch):
    refused = []
    finish = JobStore.finish

    def full(self, *values):
        if len(refused) < 2:
            refused.append(values)
            raise sqlite3.OperationalError("database or disk is full")
        return finish(self, *values)

    monkeypatch.setattr(JobStore, "finish", full)
    job = store.submit("song", "make")
    at_work(lambda job, report, cancelled: None)
    wait_for(lambda: store.get(job.id).state == "done")
    assert len(refused) == 2


@pytest.mark.parametrize("jump", [-(10**9), 10**9])
def test_a_clock_that_jumps_changes_nothing(store, monkeypatch, jump):
    first = store.submit("a", "make")
    store.claim("elsewhere:1:a")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    store.recover()
    assert store.get(first.id).state == "running"
    second = store.submit("b", "make")
    third = store.submit("a2", "make")
    assert (store.ahead(second), store.ahead(third)) == (1, 2)
    store.try_later(first.id, "elsewhere:1:a", "fault")
    monkeypatch.setattr(time, "time", real)
    assert store.claim("elsewhere:2:b").id == second.id
    newest = store.submit("c", "plan")
    store.cancel(newest.id)
    monkeypatch.setattr(time, "time", lambda: real() - abs(jump))
    assert store.submit("c", "make").id == store.status("c").id


def test_after_a_restart_of_the_machine_nobody_is_waited_for(store, monkeypatch):
    job = store.submit("a", "make")
    store.claim(f"{socket.gethostname()}:{os.getpid()}:a")
    monkeypatch.setattr(jobs, "boot", lambda: "another")
    store.recover()
    assert store.get(job.id).state == "queued"


def test_the_store_of_an_older_program_is_taken_over(tmp_path):
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite3")) as old, old:
        old.executescript(jobs._MIGRATIONS[0])
        old.execute("INSERT INTO jobs (id, project, kind, created) VALUES ('x', 'song', 'make', 12)")
    store = JobStore(tmp_path)
    assert (store.status("song").id, store.status("song").priority) == ("x", 0)
    assert store.claim("host:1:a").id == "x"
    assert JobStore(tmp_path).shots("song") == []


def test_the_store_of_a_newer_program_is_left_alone(tmp_path):
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite3")) as newer:
        newer.execute("PRAGMA user_version = 99")
    before = (tmp_path / "jobs.sqlite3").read_bytes()
    with pytest.raises(InputError, match="newer MV Studio"):
        JobStore(tmp_path)
    assert (tmp_path / "jobs.sqlite3").read_bytes() == before


@pytest.mark.parametrize("damage", ["no database", "torn pages"])
def test_a_damaged_store_is_set_aside(tmp_path, damage):
    store = JobStore(tmp_path)
    for number in range(200):
        store.submit(f"p{number}", "make")
    with closing(sqlite3.connect(store.path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(store.path.read_bytes())
    content[: len(content) if damage == "no database" else 0] = b"not a database" * 1000
    if damage == "torn pages":
        content[4096 * 3 : 4096 * 9] = os.urandom(4096 * 6)
    store.path.write_bytes(content)
    again = JobStore(tmp_path)
    assert again.status("p1") is None
    again.submit("p1", "make")
    assert len(list(tmp_path.glob("*.damaged-*"))) == 1


def test_a_power_cut_costs_at_most_the_last_lines(store, tmp_path):
    """A disk that loses power keeps the database and a part of the log: every state on the way opens, and none has
    lost what was committed before it."""
    with closing(sqlite3.connect(store.path)) as open_one:  # holds the log open, as a living page does
        open_one.execute("SELECT count(*) FROM jobs").fetchone()
        names = [f"p{number}" for number in range(12)]
        for name in names:
            store.submit(name, "make")
        database, log = store.path.read_bytes(), Path(f"{store.path}-wal").read_bytes()
    seen = []
    rng = random.Random(7)
    for cut in sorted(rng.sample(range(len(log)), 25)) + [len(log)]:
        home = tmp_path / f"cut-{cut}"
        home.mkdir()
        (home / "jobs.sqlite3").write_bytes(database)
        torn = log[:cut] + os.urandom(min(512, len(log) - cut))  # the sector in flight is anything
        (home / "jobs.sqlite3-wal").write_bytes(torn)
        after = JobStore(home)
        known = [name for name in names if after.status(name)]
        assert known == names[: len(known)] and not list(home.glob("*.damaged-*"))
        seen.append(len(known))
    assert seen == sorted(seen) and seen[-1] == len(names)


def test_a_half_written_page_is_mended_from_the_log(store, tmp_path):
    """Power fails while the log is copied into the database: its pages are garbage, the log is whole."""
    with closing(sqlite3.connect(store.path)) as open_one:
        open_one.execute("SELECT count(*) FROM jobs").fetchone()
        for number in range(60):
            store.submit(f"p{number}", "make")
        database, log = bytearray(store.path.read_bytes()), Path(f"{store.path}-wal").read_bytes()
    frames = [int.from_bytes(log[at : at + 4]) for at in range(32, len(log) - 4096, 24 + 4096)]
    database.extend(bytes(4096 * max(frames) - len(database)))
    for page in set(frames):
        database[4096 * (page - 1) + 1024 : 4096 * page] = os.urandom(3072)
    home = tmp_path / "after"
    home.mkdir()
    (home / "jobs.sqlite3").write_bytes(database)
    (home / "jobs.sqlite3-wal").write_bytes(log)
    after = JobStore(home)
    assert all(after.status(f"p{number}") for number in range(60)) and not list(home.glob("*.damaged-*"))


def test_a_home_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="Choose another folder"):
        JobStore(tmp_path / "file")


def test_the_worker_process_dies_with_its_studio(tmp_path):
    JobStore(tmp_path)
    studio = f"""
import time
from mv.jobs import Worker
worker = Worker({str(tmp_path)!r}, ['default'])
worker.ensure()
print(*(process.pid for process in worker.processes.values()), flush=True)
time.sleep(60)
"""
    root = os.path.dirname(os.path.dirname(os.path.dirname(jobs.__file__)))
    process = subprocess.Popen([sys.executable, "-c", studio], stdout=subprocess.PIPE, cwd=root, text=True)
    workers = [int(pid) for pid in process.stdout.readline().split()]
    assert len(workers) == 2, "one plans, one renders"
    for worker in workers:
        os.kill(worker, 0)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not any(map(_lives, workers)), seconds=30)


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
