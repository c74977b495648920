"""Plans in memory, their files a moment later: nothing is lost when the program is killed in between."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_edits import plan

from mv.errors import InputError, OutputError
from mv.schema import Timeline
from mv.ui import edits, plans
from mv.ui.history import EditHistory


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Of a project with a plan as the worker writes it; nothing is written but by save."""
    monkeypatch.setattr(plans._WRITER, "ask", lambda folder, call=None: None)
    plan(48, 24, 36).save(tmp_path / "plan.json")
    return tmp_path


def edit(folder: Path, change) -> Timeline:
    before = plans.read(folder)
    plans.begin(folder)
    after = change(before)
    EditHistory(folder / "history").record(before, after, "an edit")
    plans.change(folder, after)
    return after


def step(folder: Path, which: str) -> Timeline:
    plans.begin(folder)
    after = getattr(EditHistory(folder / "history"), which)(plans.read(folder))
    plans.change(folder, after)
    return after


def killed() -> None:
    """What another process would know: the files alone."""
    plans._KEPT.clear()


def test_an_edit_is_read_at_once_and_written_later(folder):
    edited = edit(folder, lambda p: edits.set_seed(p, 0, 7))
    assert plans.read(folder) is edited
    assert Timeline.load(folder / "plan.json").shots[0].seed != 7
    plans.save(folder)
    assert Timeline.load(folder / "plan.json") == edited
    stamp = plans.stamp_of(folder / "plan.json")
    plans.save(folder)
    assert plans.stamp_of(folder / "plan.json") == stamp, "nothing to write"


@pytest.mark.parametrize("saved_after", [None, 0, 1, 2, 3, 4])
def test_what_was_not_written_is_done_again(folder, saved_after):
    """Killed after five steps, the file written after any of them or never."""
    steps = [
        lambda: edit(folder, lambda p: edits.set_seed(p, 0, 7)),
        lambda: edit(folder, lambda p: edits.split(p, 1, 60)),
        lambda: step(folder, "undo"),
        lambda: edit(folder, lambda p: edits.set_seed(p, 2, 9)),
        lambda: step(folder, "undo"),
        lambda: step(folder, "redo"),
    ]
    for number, do in enumerate(steps):
        last = do()
        if number == saved_after:
            plans.save(folder)
    killed()
    again = plans.read(folder)
    assert again.shots == last.shots
    assert Timeline.load(folder / "plan.json") == again, "and written at once"
    assert step(folder, "undo").shots[2].seed != 9 and step(folder, "undo").shots[0].seed != 7


def test_typing_that_was_not_written_is_done_again(folder):
    def typed(words):
        before = plans.read(folder)
        plans.begin(folder)
        after = edits.set_prompt(before, 0, words)
        EditHistory(folder / "history").record(before, after, "typing", "go 1")
        plans.change(folder, after)

    typed("wide")
    plans.save(folder)
    typed("wide shot")
    typed("wide shot, desert")
    killed()
    assert plans.read(folder).shots[0].prompt == "wide shot, desert"
    assert step(folder, "undo").shots[0].prompt == plan(48).shots[0].prompt


def test_killed_between_the_two_files_nothing_is_done_twice(folder, monkeypatch):
    edited = edit(folder, lambda p: edits.split(p, 1, 60))

    replace = Path.replace

    def dies(self, target):
        if target.name == "plan.json":
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            plans.save(folder)
    killed()
    assert plans.read(folder).shots == edited.shots
    assert [path for path in folder.iterdir() if path.name.startswith(".")] == []
    killed()
    assert plans.read(folder).shots == edited.shots


def test_a_file_of_somebody_else_wins(folder):
    edit(folder, lambda p: edits.set_seed(p, 0, 7))
    other = plan(24, 24)
    other.save(folder / "plan.json")
    assert plans.read(folder) == other
    plans.save(folder)
    assert Timeline.load(folder / "plan.json") == other
    killed()
    assert plans.read(folder) == other, "steps of another plan are not done to it"


def test_a_removed_project_does_not_come_back(folder):
    edit(folder, lambda p: edits.set_seed(p, 0, 7))
    (folder / "plan.json").unlink()
    plans.save(folder)
    assert not (folder / "plan.json").exists()
    with pytest.raises(InputError, match="cannot read"):
        plans.read(folder)


def test_a_full_disk_is_said_and_nothing_is_lost(folder, monkeypatch):
    edited = edit(folder, lambda p: edits.set_seed(p, 0, 7))

    replace = Path.replace

    def full(self, target):
        if target.name == "plan.json":
            raise OSError(28, "No space left on device")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OutputError):
            plans.save(folder)
    assert plans.read(folder) is edited
    plans.save(folder)
    assert Timeline.load(folder / "plan.json") == edited


@pytest.mark.parametrize("damage", ["", "[]", '{"holds": 3}', '{"holds": {"a": "b"}}', "\0" * 20])
def test_without_its_note_a_file_is_taken_as_it_is(folder, damage):
    edit(folder, lambda p: edits.set_seed(p, 0, 7))
    (folder / "history" / "saved.json").write_text(damage)
    killed()
    assert plans.read(folder) == plan(48, 24, 36)


KILLED = """
import os, sys
from pathlib import Path
from mv.ui import edits, plans
from mv.ui.history import EditHistory
folder, plans.PAUSE = Path(sys.argv[1]), 60
before = plans.read(folder)
plans.begin(folder)
after = edits.set_seed(before, 0, 7)
EditHistory(folder / "history").record(before, after, "an edit")
plans.change(folder, after)
{end}
"""


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), 9)", "sys.exit()"])
def test_the_end_of_the_program_costs_no_edit(tmp_path, end):
    plan(48, 24).save(tmp_path / "plan.json")
    root = Path(__file__).resolve().parents[1]
    subprocess.run([sys.executable, "-c", KILLED.format(end=end), str(tmp_path)], cwd=root, check=False, timeout=60)
    if "exit" in end:
        assert Timeline.load(tmp_path / "plan.json").shots[0].seed == 7, "the file was written on the way out"
    assert plans.read(tmp_path).shots[0].seed == 7


def test_the_thread_writes_when_the_edits_pause(tmp_path):
    plan(48, 24).save(tmp_path / "plan.json")
    edit(tmp_path, lambda p: edits.set_seed(p, 0, 7))
    told: list[int] = []
    plans.when_saved(tmp_path, lambda: told.append(Timeline.load(tmp_path / "plan.json").shots[0].seed))
    until = time.monotonic() + 10
    while not told and time.monotonic() < until:
        time.sleep(0.02)
    assert told == [7]
    assert list(json.loads((tmp_path / "history" / "saved.json").read_text())["holds"].values())[-1] > 0
