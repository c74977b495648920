"""Which devices there are, and that no two processes render on one at once."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import conditions_of

from mv.devices import local_devices, turn
from mv.errors import Cancelled
from mv.generation import generate

ROOT = Path(__file__).resolve().parent.parent
HOLD = """
import sys
from mv.devices import turn
with turn(lambda who: None):
    print("mine", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path, monkeypatch):
    """Another process that renders on the device of this one."""
    monkeypatch.setenv("MV_DEVICES", str(tmp_path / "devices"))
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "mine\n"
    yield process
    process.kill()
    process.wait()
    process.stdin.close()
    process.stdout.close()


def test_devices_are_found_without_loading_anything(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2, 5")
    assert local_devices() == ["cuda:2", "cuda:5"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local_devices() == ["default"]


def test_a_film_waits_for_that_of_another_process_and_says_so(other, timeline, renderer, tmp_path):
    said = []

    def on_progress(progress):
        said.append(progress.waits)
        if len(said) == 3:
            assert renderer.rendered == []
            other.kill()

    generate(timeline, conditions_of(timeline), renderer, tmp_path / "takes", on_progress)
    assert renderer.rendered == [1, 2, 3]
    assert f"another process (rendering, number {other.pid} on" in said[0] and said[-1] == ""


def test_waiting_can_be_cancelled(other, timeline, renderer, tmp_path):
    deadline = time.monotonic() + 0.5
    with pytest.raises(Cancelled):
        generate(
            timeline, conditions_of(timeline), renderer, tmp_path / "takes",
            cancelled=lambda: time.monotonic() > deadline,
        )  # fmt: skip
    assert renderer.rendered == [] and other.poll() is None


def test_another_device_is_not_waited_for(other, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with turn(pytest.fail):
        pass


def test_what_is_there_already_needs_no_device(timeline, renderer, tmp_path, request):
    made = generate(timeline, conditions_of(timeline), renderer, tmp_path / "takes")
    request.getfixturevalue("other")
    assert generate(timeline, conditions_of(timeline), renderer, tmp_path / "takes") == made


def test_where_no_lock_can_be_kept_the_work_goes_on(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MV_DEVICES", str(tmp_path / "file"))
    with turn(pytest.fail):
        pass
