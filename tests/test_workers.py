"""Workers stop soon, give back what they hold when idle, and are started again while there is work for them."""

import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import conditions_of
from test_jobs import until_cancelled, wait_for

from mv import generation
from mv.errors import Cancelled
from mv.generation import generate
from mv.jobs import PLANNING, JobStore, Worker, work
from mv.jobs import worker as worker_module
from mv.projects import Taken, lock, start_process


@pytest.fixture
def store(tmp_path) -> JobStore:
    return JobStore(tmp_path)


def in_thread(*values, **options) -> threading.Thread:
    thread = threading.Thread(target=work, args=values, kwargs=options)
    thread.start()
    return thread


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="this system does not weigh sessions")
def test_a_worker_gives_way_with_its_whole_session(tmp_path):
    """A nice value alone counts for nothing against processes of other sessions."""
    show = "from mv.projects import give_way; give_way(4); print(open('/proc/self/autogroup').read())"
    process = start_process([sys.executable, "-c", show], tmp_path)
    process.stdin.close()
    assert process.wait(30) == 0
    said = (tmp_path / "worker.log").read_text()
    if "autogroup" in said:
        assert said.split()[-1] == "4"


@pytest.mark.parametrize("asked", ["cancel", "pause"])
def test_a_stop_is_seen_between_two_beats(store, monkeypatch, asked):
    monkeypatch.setattr(worker_module, "BEAT", 60.0)
    stop, job = threading.Event(), store.submit("song", "render")
    thread = in_thread(store, until_cancelled, stop)
    try:
        wait_for(lambda: store.get(job.id).state == "running")
        time.sleep(0.3)
        since = time.monotonic()
        getattr(store, asked)(job.id)
        wait_for(lambda: store.get(job.id).state in ("cancelled", "paused"), seconds=2.0)
        assert time.monotonic() - since < worker_module.GRACE
    finally:
        stop.set()
        thread.join(10)


def test_a_look_writes_nothing_and_tells_as_much_as_a_beat(store):
    job = store.submit("song", "render")
    assert not store.goes_on(job.id, "host:1:a")
    store.claim("host:1:a")
    before = store.get(job.id)
    assert store.goes_on(job.id, "host:1:a") and not store.goes_on(job.id, "host:2:b")
    store.pause(job.id)
    assert not store.goes_on(job.id, "host:1:a")
    store.resume(job.id)
    assert store.goes_on(job.id, "host:1:a") and store.get(job.id) == before


def test_a_renderer_that_shows_is_stopped_between_two_steps(timeline, renderer, tmp_path):
    """A long shot's decoder says nothing of its progress, but shows each piece."""
    stopped = threading.Event()

    class Decoding(type(renderer)):
        shows = True

        def render(self, conditions, on_progress, cancelled, on_picture):
            stopped.set()
            on_picture(lambda: None)
            pytest.fail("it was not stopped")

    with pytest.raises(Cancelled):
        generate(timeline, conditions_of(timeline), Decoding(), tmp_path / "takes", cancelled=stopped.is_set)


def test_a_worker_that_has_worked_ends_when_nothing_is_left_to_do(store):
    seen, stop = [], threading.Event()
    thread = in_thread(store, lambda job, *_: seen.append(job.project), stop, idle=0.2)
    time.sleep(1.0)
    assert thread.is_alive(), "it has not worked yet"
    store.submit("song", "plan")
    thread.join(10)
    assert not thread.is_alive() and seen == ["song"] and not stop.is_set()


def test_a_worker_stays_for_what_waits_or_may_go_on(store):
    assert not store.has_work() and not store.has_work(PLANNING)
    film = store.submit("film", "render")
    assert store.has_work() and store.has_work("cuda:0") and not store.has_work(PLANNING)
    store.claim("host:1:a", "cuda:0")
    assert store.has_work("cuda:0") and not store.has_work(PLANNING)
    store.hold(film.id, "host:1:a", "the disk is full", 2**60)
    assert store.has_work("cuda:0") and store.has_work(PLANNING), "any worker sees that there is space again"
    store.pause(film.id)
    store.resume(film.id)
    store.cancel(film.id)
    assert not store.has_work()
    store.submit("film", "plan")
    assert store.has_work(PLANNING) and not store.has_work("cuda:0")


def test_where_the_store_cannot_be_read_a_worker_stays(store, monkeypatch):
    def fails(self, device):
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(JobStore, "has_work", fails)
    assert worker_module._has_work(store, "cuda:0")


class Sleepers(Worker):
    """Processes that do nothing."""

    def _start(self, device: str) -> subprocess.Popen:
        return subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)


def test_a_dead_worker_is_started_again_though_no_page_asks_while_there_is_work_for_it(store, monkeypatch):
    monkeypatch.setattr(worker_module, "KEEP", 0.05)
    monkeypatch.setattr(worker_module, "RESTART", 0.1)
    worker = Sleepers(store.home, ["default"])
    try:
        worker.keep(store)
        before = dict(worker.processes)
        assert set(before) == {"default", PLANNING}
        store.submit("song", "render")
        for process in before.values():
            process.kill()
            process.wait()
        wait_for(lambda: worker.processes["default"].poll() is None)
        assert worker.processes[PLANNING] is before[PLANNING], "there is nothing to plan"
        assert before["default"].stdin.closed
    finally:
        worker.stop()
    assert worker.processes == {} and not worker._keeper.is_alive()
    worker.ensure()
    assert worker.processes == {}, "it has been stopped for good"


def test_a_worker_that_cannot_live_is_not_started_again_and_again(store):
    class Dying(Sleepers):
        starts = 0

        def _start(self, device: str) -> subprocess.Popen:
            self.starts += 1
            return subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE)

    worker = Dying(store.home, [])
    for _ in range(3):
        worker.ensure()
        worker.processes[PLANNING].wait()
    assert worker.starts == 1
    worker.stop()


def test_a_project_that_somebody_works_on_is_tried_again_then_said(store, monkeypatch, tmp_path):
    monkeypatch.setattr(generation, "BACKOFF", 0.01)
    tries, stop = [], threading.Event()

    def run(job, report, cancelled):
        tries.append(job.attempts)
        with lock(tmp_path / "song", "the studio"):
            pass

    def taken(times):
        for _ in range(times):
            yield Taken("song", "another process (render, number 7 on box) works on it since 12:00")
        while True:
            yield None

    def attempt(times):
        errors = taken(times)

        def run_once(job, report, cancelled):
            if error := next(errors):
                raise error
            run(job, report, cancelled)

        job = store.submit("song", "render")
        thread = in_thread(store, run_once, stop)
        wait_for(lambda: not store.get(job.id).open)
        stop.set()
        thread.join(10)
        stop.clear()
        return store.get(job.id)

    assert attempt(1).state == "done" and tries == [2]
    given_up = attempt(99)
    assert given_up.state == "failed" and "number 7 on box" in given_up.error and len(tries) == 1


def test_what_another_process_has_mended_is_not_set_aside(tmp_path, monkeypatch):
    path = JobStore(tmp_path).path
    path.write_bytes(b"not a database" * 1000)
    opens, seen = JobStore._opens, []

    def sees_damage_and_is_overtaken(self):
        found = opens(self)
        if not seen:
            seen.append(found)
            JobStore(tmp_path).submit("song", "plan")
        return found

    monkeypatch.setattr(JobStore, "_opens", sees_damage_and_is_overtaken)
    assert JobStore(tmp_path).status("song").state == "queued"
    assert seen == [False] and len(list(tmp_path.glob("*.damaged-*"))) == 1


def test_a_locked_store_is_not_a_damaged_one(tmp_path, monkeypatch):
    JobStore(tmp_path).submit("song", "plan")

    def locked(self):
        raise sqlite3.OperationalError("database is locked")

    monkeypatch.setattr(JobStore, "_migrate", locked)
    with pytest.raises(Exception, match="database is locked"):
        JobStore(tmp_path)
    assert list(tmp_path.glob("*.damaged-*")) == []
