"""The studio without a browser: the pictures, the project's folder, the handlers of the page and the server's doors."""

import threading
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from director.planner import direct
from mv import make
from mv.errors import Cancelled, InputError
from mv.jobs import Job, JobStore, Worker
from mv.schema import CURVES, Analysis, Brief, Section, Timeline
from mv.ui import edits, pictures
from mv.ui.project import Project, Teller, projects, run_job

SECONDS, FPS = 6.0, 12


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MV_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "home" / "uploads"))
    return tmp_path / "home"


@pytest.fixture
def song(tmp_path) -> Path:
    import soundfile

    path = tmp_path / "my song.wav"
    sr = 11025
    t = np.arange(round(sr * SECONDS)) / sr
    soundfile.write(path, 0.5 * np.exp(-(t % 0.5) * 40) * np.sin(2 * np.pi * 440 * t), sr)
    return path


def heard(**changes) -> Analysis:
    beats = [0.5 * i for i in range(int(SECONDS * 2))]
    curve = [0.5] * int(SECONDS * 10)
    labels = ("verse", "chorus")
    return Analysis(
        **{
            "title": "my song",
            "duration": SECONDS,
            "tempo": 120,
            "beats": beats,
            "downbeats": beats[::4],
            "sections": [Section(start=3.0 * i, duration=3.0, label=label) for i, label in enumerate(labels)],
            "feature_rate": 10,
            "features": {name: curve for name in CURVES},
            **changes,
        }
    )


def planned(song: Path, **choices) -> Project:
    """A project with a plan, without the minutes of listening."""
    project = Project.start(song, None, **{"model": "animatic", "size": "draft", **choices})
    heard().save(project.folder / "analysis.json")
    plan = direct(
        heard(),
        Brief(),
        song=str(project.folder / song.name),
        analysis_path=str(project.folder / "analysis.json"),
        fps=FPS,
        width=288,
        height=160,
    )
    project.adopt(plan)
    return project


# ---------------------------------------------------------------- pictures


def test_peaks_are_where_the_sound_is():
    y = np.zeros(1000, np.float32)
    y[500:600] = -0.25
    peaks = pictures.waveform_peaks(y, 10)
    assert peaks.tolist() == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert pictures.waveform_peaks(np.zeros(3), 8).tolist() == [0] * 8


def test_the_analysis_picture_shows_sections_beats_and_energy():
    picture = np.asarray(pictures.draw_analysis(heard(), np.zeros(100))).astype(int)
    assert picture.shape == (pictures.HEIGHT * pictures.SCALE, pictures.WIDTH * pictures.SCALE, 3)
    for label, x in (("verse", 0.45), ("chorus", 0.95)):
        color = picture[pictures.SCALE * 10, int(x * picture.shape[1])]
        assert tuple(color) == pictures.SECTION_COLORS[label]
    row = picture[pictures.SCALE * (pictures.HEIGHT - pictures.FOOT + 14)]  # below the single beats' ends
    assert _runs((row == pictures.DOWNBEAT).all(1)) == len(heard().downbeats)
    row = picture[pictures.SCALE * (pictures.HEIGHT - pictures.FOOT + 6)]
    assert _runs((row == pictures.BEAT).all(1)) == len(heard().beats) - len(heard().downbeats)
    assert (picture == pictures.ENERGY).all(2).any(0).mean() > 0.9  # a line from side to side


def _runs(mask: np.ndarray) -> int:
    return int((np.diff(mask.astype(int), prepend=0) == 1).sum())


@pytest.mark.parametrize(
    "analysis",
    [
        heard(beats=[], downbeats=[], tempo=0),
        heard(sections=[]),
        heard(duration=1.0, beats=[0.5], downbeats=[]),
        heard(duration=3600.0, sections=[Section(start=i, duration=1, label="break") for i in range(3600)]),
    ],
)
def test_odd_songs_have_a_picture_too(analysis):
    pictures.draw_analysis(analysis, np.ones(10))


def test_the_storyboard_draws_only_what_changed(home, song):
    project = planned(song)
    before = project.storyboard()
    assert len(before) == len(project.plan().shots) > 1 and all(path.stat().st_size > 1000 for path in before)
    ages = [path.stat().st_mtime_ns for path in before]
    project.edit(lambda plan: edits.set_prompt(plan, 1, "wide shot, desert by day, nobody in sight"))
    after = project.storyboard()
    assert [a == b for a, b in zip(before, after)] == [index != 1 for index in range(len(before))]
    assert [path.stat().st_mtime_ns for path in before] == ages


# ---------------------------------------------------------------- the project


def test_a_project_keeps_song_image_and_wishes(home, song, tmp_path):
    from PIL import Image

    image = tmp_path / "any name.png"
    Image.new("RGB", (8, 8), "red").save(image)
    project = Project.start(song, image, theme="desert", seed=7, model="animatic")
    again = Project(home, project.name).wishes()
    assert (again.song, again.image, again.theme, again.seed) == ("my song.wav", "reference.png", "desert", 7)
    assert (project.folder / "my song.wav").read_bytes() == song.read_bytes()
    assert projects(home) == [project.name]


def test_bad_wishes_are_refused_before_anything_is_written(home, song, tmp_path):
    (tmp_path / "broken.png").write_text("no picture")
    with pytest.raises(InputError, match=r"broken\.png"):
        Project.start(song, tmp_path / "broken.png", model="animatic")
    with pytest.raises(InputError, match="rename the song"):
        Project.start(tmp_path / "plan.json", None)
    assert not home.exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc", "a/b", "nothing-here", "x" * 5000, "a\\b", "a\0b"])
def test_an_address_names_a_project_or_nothing(home, name):
    home.mkdir()
    with pytest.raises(InputError, match="there is no project"):
        Project(home, name)


def test_edits_are_kept_and_undone(home, song):
    project = planned(song)
    project.edit(lambda plan: edits.set_seed(plan, 0, 5))
    assert Project(home, project.name).plan().shots[0].seed == 5
    project.edit(lambda plan: plan)
    assert project.plan().revision == 1  # nothing changed: no step
    assert project.undo().shots[0].seed != 5
    assert project.redo().shots[0].seed == 5
    make.load_plan(project.folder / "plan.json")  # its paths still lead to song and analysis


def test_a_new_plan_can_be_undone(home, song):
    project = planned(song)
    edited = project.edit(lambda plan: edits.set_prompt(plan, 0, "the user's own words"))
    project.adopt(project.resolved_plan().model_copy(update={"revision": 0, "title": "planned again"}))
    assert (project.plan().title, project.plan().revision) == ("planned again", edited.revision + 1)
    assert project.undo().shots[0].prompt == "the user's own words"


def test_rendering_makes_a_film_and_later_only_what_changed(home, song):
    import av

    project, store = planned(song), JobStore(home)
    words = []
    run_job(store, store.submit(project.name, "render"), lambda p: words.append(p), lambda: False)
    with av.open(str(project.film())) as film:
        assert film.streams.video[0].frames == project.plan().num_frames == 72
    assert project.to_render() == []
    assert [p.share for p in words] == sorted(p.share for p in words) and words[-1].share == pytest.approx(1)

    takes = set((project.folder / "takes").iterdir())
    project.edit(lambda plan: edits.set_prompt(plan, 1, "wide shot, desert by day, nobody in sight"))
    assert project.to_render() == [1]
    (project.folder / "takes" / ".half.mp4").write_bytes(b"left by a worker that was ended")
    run_job(store, Job("x", project.name, "render"), lambda p: None, lambda: False)
    assert len(set((project.folder / "takes").iterdir()) - takes) == 1
    assert project.film().name.endswith("-r1-animatic.mp4") and project.to_render() == []


def test_a_second_attempt_at_a_make_job_keeps_the_users_edits(home, song):
    project, store = planned(song), JobStore(home)
    job = store.submit(project.name, "make")
    store.mark_planned(job.id)
    project.edit(lambda plan: edits.set_prompt(plan, 0, "wide shot, desert, edited while it rendered"))
    run_job(store, store.get(job.id), lambda p: None, lambda: False)
    assert "edited" in project.plan().shots[0].prompt


def test_the_bar_never_goes_back_and_a_cancel_is_heard():
    shares, cancel = [], threading.Event()
    tell = Teller("make", lambda p: shares.append(p.share), cancel.is_set)
    for stage in ("listen", "direct", "sketch", "load", "generate", "assemble"):
        for share in (0.0, 0.5, 1.0):
            tell(stage, share)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
    cancel.set()
    with pytest.raises(Cancelled):
        tell("assemble", 1.0)


# ---------------------------------------------------------------- the page's handlers


class NoWorker(Worker):
    """Jobs stay in the queue."""

    def ensure(self) -> None:
        pass


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    from mv.ui.blocks import build

    home = tmp_path_factory.mktemp("layout")
    return build(home, NoWorker(home)).studio.page


@pytest.fixture
def studio(home, page):
    from mv.ui.studio import Studio

    return Studio(home, NoWorker(home), page)


WISHES = dict(theme="", image=None, aspect="16:9", size="draft", seed=-1, model="animatic", fps="24", steps=0)


def rows_of(project: Project) -> list[list]:
    return edits.table_rows(project.plan(), ["verse", "chorus"])


def test_make_submits_a_job_and_shows_the_seed_it_drew(studio, home, song):
    shown = studio.start("make", str(song), **WISHES)
    project = Project(home, shown[studio.page.name])
    job = studio.store.latest(project.name)
    assert (job.kind, job.state) == ("make", "queued")
    assert 0 <= project.wishes().seed < 2**32
    with pytest.raises(InputError, match="worked on already"):
        studio.start("plan", str(song), **WISHES)
    assert studio.open_named(project.name)[studio.page.seed] == project.wishes().seed


@pytest.mark.parametrize(
    "changes, words",
    [({"song": None}, "no song yet"), ({"seed": -2}, "seed"), ({"seed": 2**32}, "seed"), ({"steps": -1}, "steps")],
)
def test_bad_wishes_are_told(studio, home, song, changes, words):
    with pytest.raises(InputError, match=words):
        studio.start("make", **{"song": str(song), **WISHES, **changes})
    assert projects(home) == []


def test_nothing_is_sent_while_nothing_happens(studio, song):
    project, page = planned(song), studio.page
    first = studio.poll(project.name, {})
    assert page.table in first and page.status in first
    assert list(studio.poll(project.name, first[page.seen])) == [page.seen]


def test_the_plan_of_a_make_job_is_shown_and_edited_only_when_it_is_there(studio, song):
    project, page = planned(song), studio.page
    job = studio.store.submit(project.name, "make")
    shown = studio.poll(project.name, {})
    assert page.table not in shown
    with pytest.raises(InputError, match="the plan is being made"):
        studio.undo(project.name, {}, 0)
    studio.store.mark_planned(job.id)
    assert page.table in studio.poll(project.name, shown[page.seen])


def test_typed_words_come_before_the_button(studio, song):
    project, page = planned(song), studio.page
    rows, seen = rows_of(project), studio.poll(project.name, {})[page.seen]
    rows[0][edits.COLUMNS.index("seed")] = 99
    count = len(rows)
    shown = studio.split(project.name, rows, seen, 0)
    plan = project.plan()
    assert len(plan.shots) == count + 1 and plan.shots[0].seed == plan.shots[1].seed == 99
    assert plan.shots[1].start % 6 == 0  # on a beat
    assert project.undo().shots[0].seed != 99 and not project.history.can_undo
    assert shown[page.seen]["plan"] == plan.revision


def test_a_page_of_an_older_plan_does_not_overwrite_a_newer_one(studio, song):
    project, page = planned(song), studio.page
    rows, seen = rows_of(project), studio.poll(project.name, {})[page.seen]
    project.edit(lambda plan: edits.set_seed(plan, 0, 1))
    with pytest.raises(InputError, match="another tab"):
        studio.apply(project.name, rows, seen, 0)


def test_a_cut_is_moved_to_the_beat_or_just_where_it_is_put(studio, song):
    project, page = planned(song), studio.page
    second = project.plan().shots[1]
    for snap, frame in ((True, second.start - 6), (False, second.start - 5)):
        seen = studio.poll(project.name, {})[page.seen]
        studio.move(project.name, rows_of(project), seen, 1, (second.start - 5) / FPS, snap)
        assert project.plan().shots[1].start == frame
        project.undo()


def test_what_the_user_wrote_stays_text(studio, song):
    from mv.ui.studio import facts_html, shot_html, status_html

    hostile = "<script>alert(1)</script>"
    job = Job("x", "y", "make", state="failed", error=hostile)
    plan: Timeline = planned(song).plan().model_copy(update={"title": hostile})
    plan = edits.set_prompt(plan, 0, f"wide shot {hostile}")
    pages = [status_html(job), facts_html(heard(notes=[hostile]), plan), shot_html(plan, 0, hostile)]
    assert all("<script" not in page for page in pages) and "&lt;script" in pages[0] and "&lt;script" in pages[1]


def test_a_file_is_called_by_its_name():
    from mv.ui.studio import without_folders

    assert without_folders("/home/u/my song.mp3: not a song: /x/y: z") == "my song.mp3: not a song: /x/y: z"
    assert without_folders("C:\\songs\\a.mp3: empty") == "a.mp3: empty"
    assert without_folders("seed: expected 0, got 1/2: no") == "seed: expected 0, got 1/2: no"


def test_the_time_left_is_said():
    from mv.ui.studio import status_html

    assert "about 1:05 left" in status_html(Job("x", "y", "make", state="running", eta=65.2))
    assert "2 jobs ahead" in status_html(Job("x", "y", "make"), ahead=2)


# ---------------------------------------------------------------- the server's doors


@pytest.mark.parametrize("auth", ["", "user", "user:", ":password"])
def test_a_password_has_two_parts(auth):
    from mv.ui.blocks import parse_auth

    with pytest.raises(InputError, match="user:password"):
        parse_auth(auth, needed=False)


@pytest.mark.parametrize("door", ["--listen", "--share"])
def test_nobody_is_let_in_without_a_password(door, home, capsys):
    import app

    assert app.main([door, "--output-dir", str(home)]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not home.exists()


def test_only_project_files_are_served_and_only_to_this_machine(home, tmp_path, song):
    from mv.ui.blocks import launch

    (tmp_path / "secret.txt").write_text("secret")
    blocks = launch(home, block=False)
    try:
        film = home / "p" / "films" / "film.mp4"
        film.parent.mkdir(parents=True)
        film.write_bytes(b"film")
        assert blocks.local_url.startswith("http://127.0.0.1:")
        assert blocks.server_name == "127.0.0.1"
        assert _status(f"{blocks.local_url}gradio_api/file={film}") == 200
        for path in (tmp_path / "secret.txt", "/etc/passwd", home / "jobs.sqlite3", home / ".." / "secret.txt"):
            assert _status(f"{blocks.local_url}gradio_api/file={path}") in (403, 404), path
    finally:
        blocks.close()
        blocks.studio.worker.stop()
    assert blocks.studio.worker.process is None


def _status(url: str) -> int:
    try:
        return urllib.request.urlopen(url, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
