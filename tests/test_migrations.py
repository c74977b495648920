"""A projects' folder of an older program, opened by this one.

golden/older_home.zip was made by the studio of revision d2eaad9: a job store without a version, an analysis of version
1, a history of whole plans, a film made with the animatic at 96x64 pixels, then two edits (shot 2 has another prompt,
shot 1 is locked), and a rendering that still waits for its turn.
"""

import zipfile
from pathlib import Path

import pytest

from mv.jobs import JobStore
from mv.schema import Analysis
from mv.ui.project import Project, projects, run_job

NAME = "clicks-16fd8ace"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MV_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MV_DEVICES", str(tmp_path / "devices"))
    with zipfile.ZipFile(Path(__file__).parent / "golden/older_home.zip") as archive:
        archive.extractall(tmp_path / "home")
    return tmp_path / "home"


def test_everything_of_an_older_project_is_there(home):
    assert projects(home) == [NAME]
    project, store = Project(home, NAME), JobStore(home)
    plan = project.plan()
    assert plan.revision == 2 and plan.shots[1].prompt == "desert by day, close-up" and plan.shots[0].locked
    assert (project.wishes().theme, project.wishes().model) == ("forest", "animatic")
    assert project.analysis().version == Analysis.model_fields["version"].default == 2
    assert len(project.take_files()) == 3
    assert project.takes()[plan.shots[0].id].file in project.take_files(), "the locked shot keeps its take"
    job = store.status(NAME)
    assert (job.kind, job.state, job.priority, store.shots(NAME), store.attempts(job.id)) == (
        "render",
        "queued",
        0,
        [],
        [],
    )


def test_its_rendering_goes_on_and_its_takes_stay(home):
    project, store = Project(home, NAME), JobStore(home)
    before = {path.name: path.read_bytes() for path in (project.folder / "takes").glob("*.mp4")}
    locked = project.takes()[project.plan().shots[0].id]
    job = store.claim("host:1:a", "default")
    run_job(store, job, lambda progress: None, lambda: False)
    store.finish(job.id, "host:1:a", "done")
    after = {path.name: path.read_bytes() for path in (project.folder / "takes").glob("*.mp4")}
    assert before.items() <= after.items(), "no take is touched"
    assert project.rendered().shots[0].chosen == locked.key and project.film() is not None
    assert [shot.state for shot in store.shots(NAME)] == ["done"] * 3
    assert project.to_render() == []


def test_its_edits_can_be_undone_and_new_ones_made(home):
    from mv.ui import edits

    project = Project(home, NAME)
    assert not project.undo().shots[0].locked
    assert project.undo().shots[1].prompt != "desert by day, close-up"
    assert project.redo().shots[1].prompt == "desert by day, close-up"
    project.edit(lambda plan: edits.set_prompt(plan, 2, "ocean shore"), "prompt")
    project.save()
    again = Project(home, NAME)
    assert again.plan().shots[2].prompt == "ocean shore"
    assert again.undo().shots[2].prompt != "ocean shore"


def test_a_history_that_cannot_be_read_is_none(home):
    project = Project(home, NAME)
    (project.folder / "history/r1.json").write_text("{")
    assert not project.history.can_undo
    assert project.plan().revision == 2


def test_the_first_edit_of_an_older_project_keeps_what_was_done_before(home):
    from mv.ui import edits

    project = Project(home, NAME)
    project.edit(lambda plan: edits.set_prompt(plan, 2, "ocean shore"), "prompt")
    assert Project(home, NAME).plan().shots[2].prompt == "ocean shore"
    for _ in range(3):
        plan = project.undo()
    assert plan.shots[1].prompt != "desert by day, close-up" and not project.history.can_undo
    assert list((project.folder / "history").glob(".older*")) == []
