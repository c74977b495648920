"""The studio without a browser: the project's folder, the handlers of the page and the server's doors."""

import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from director.planner import direct
from director.vocabulary import STYLES
from mv import make
from mv.errors import Cancelled, InputError
from mv.jobs import Job, JobStore, Worker
from mv.schema import CURVES, Analysis, Brief, Section
from mv.ui import edits, strips
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


# ---------------------------------------------------------------- sheets of the animatic


def test_peaks_are_where_the_sound_is():
    y = np.zeros(1000, np.float32)
    y[500:600] = -0.25
    assert strips.waveform_peaks(y, 10_000).tolist() == [0, 0, 0, 0, 0, 255, 0, 0, 0, 0]
    assert strips.waveform_peaks(np.zeros(3), 8).tolist() == [0] * 38


def test_a_sheet_holds_frames_of_the_whole_shot_and_says_what_it_is(home, song):
    from mv.animatic import LABEL, stamp

    project = planned(song)
    plan, analysis = project.plan(), project.analysis()
    width, height = strips.frame_size(288 / 160)
    count = strips.strip_frames(plan.shots[0].duration, FPS)
    sheet = np.asarray(strips.draw_strip(plan, 0, analysis))
    columns = min(count, strips.COLUMNS)
    assert sheet.shape == (-(-count // columns) * height, columns * width, 3)
    first, last = sheet[:height, :width], sheet[:height, (columns - 1) * width :]
    assert np.abs(first.astype(int) - last).max() > 40  # the camera and the performer move
    corner = stamp(np.zeros((1, height, width, 3), np.uint8))[0] > 180
    assert LABEL == "ANIMATIC" and corner.any() and (first[corner] > 150).all()


def test_a_long_shot_has_a_sheet_of_bounded_size():
    assert strips.strip_frames(24, 24.0) == strips.FRAME_RATE
    assert strips.strip_frames(1, 24.0) == 1
    assert strips.strip_frames(100_000, 24.0) == strips.MAX_FRAMES


def draw_all(project: Project) -> None:
    plan, analysis = project.plan(), project.analysis()
    for index in strips.missing(project.folder, plan):
        strips.save_strip(project.folder, plan, index, analysis)


def test_an_edit_needs_new_sheets_for_its_shots_alone(home, song):
    project = planned(song)
    assert strips.missing(project.folder, project.plan()) == list(range(len(project.plan().shots)))
    draw_all(project)
    project.edit(lambda plan: edits.set_prompt(plan, 1, "wide shot, desert by day, nobody in sight"))
    assert strips.missing(project.folder, project.plan()) == [1]
    project.edit(lambda plan: edits.set_locked(plan, 0, True))
    assert strips.missing(project.folder, project.plan()) == [1]
    project.undo(), project.undo()
    assert strips.missing(project.folder, project.plan()) == []


def test_the_sketcher_draws_in_its_own_process(home, song):
    project, sketcher = planned(song), strips.Sketcher(home)
    try:
        sketcher.draw(project.folder)
        until = time.monotonic() + 60
        while strips.missing(project.folder, project.plan()) or not strips.peaks_path(project.folder).exists():
            assert time.monotonic() < until
            time.sleep(0.1)
    finally:
        sketcher.stop()
    assert len(strips.peaks_path(project.folder).read_bytes()) == SECONDS * strips.PEAK_RATE


def test_old_sheets_are_swept_but_not_those_shown(home, song, monkeypatch):
    monkeypatch.setattr(strips, "KEPT", 2)
    project = planned(song)
    draw_all(project)
    for name in ("a", "b", "c", "d"):
        (project.folder / "storyboard" / f"{name}.jpg").write_bytes(b"")
    strips.prune(project.folder, project.plan())
    assert strips.missing(project.folder, project.plan()) == []
    assert len(list((project.folder / "storyboard").glob("?.jpg"))) == 2


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


def test_a_project_keeps_lyrics_style_and_pace(home, song, tmp_path):
    lyrics = tmp_path / "my words.lrc"
    lyrics.write_text("[00:01.00]one line\n[00:03.00]another\n")
    project = Project.start(song, None, lyrics, style=next(iter(STYLES)), pace=1.5, model="animatic")
    wishes = Project(home, project.name).wishes()
    assert (wishes.lyrics, wishes.style, wishes.pace) == ("lyrics.lrc", next(iter(STYLES)), 1.5)
    assert (project.folder / "lyrics.lrc").read_bytes() == lyrics.read_bytes()


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


def do(store: JobStore, project: Project) -> None:
    """A rendering, done in this process."""
    job = store.submit(project.name, "render")
    run_job(store, job, lambda p: None, lambda: False)
    store.cancel(job.id)


def test_rendering_makes_a_film_and_later_only_what_changed(home, song):
    import av

    project, store = planned(song), JobStore(home)
    words = []
    job = store.submit(project.name, "render")
    run_job(store, job, lambda p: words.append(p), lambda: False)
    store.cancel(job.id)
    with av.open(str(project.film())) as film:
        assert film.streams.video[0].frames == project.plan().num_frames == 72
    assert project.to_render() == []
    assert [p.share for p in words] == sorted(p.share for p in words) and words[-1].share == pytest.approx(1)

    takes = set((project.folder / "takes").iterdir())
    project.edit(lambda plan: edits.set_prompt(plan, 1, "wide shot, desert by day, nobody in sight"))
    assert project.to_render() == [1]
    (project.folder / "takes" / ".half.mp4").write_bytes(b"left by a worker that was ended")
    do(store, project)
    assert len(set((project.folder / "takes").iterdir()) - takes) == 1
    assert project.film().name.endswith("-r1-288x160-animatic.mp4") and project.to_render() == []


def test_one_shot_is_rendered_alone_and_earlier_takes_stay(home, song):
    project, store = planned(song), JobStore(home)
    wishes, first = project.wishes(), project.plan().shots[0].id

    def render(only) -> None:
        wishes.model_copy(update={"only": only}).save(project.folder / "project.json")
        do(store, project)

    render([first])
    assert list(project.takes()) == [first] and project.film() is None
    old = project.takes()[first]
    project.edit(lambda plan: edits.set_seed(plan, 0, 99))
    assert project.takes() == {}
    render([first])
    assert len(project.plan().shots[0].takes) == 2 and project.takes()[first] != old

    # The user's choice stands, in the film too.
    project.edit(lambda plan: edits.choose_take(plan, 0, old.key))
    render([])
    rendered = project.rendered()
    assert rendered.shots[0].chosen == old.key and project.takes()[first] == old and project.to_render() == []
    project.delete_take(old.key)
    assert project.to_render() == [0]
    with pytest.raises(InputError, match="no take"):
        project.delete_take(old.key)


def count_renders(monkeypatch) -> list[int]:
    """Seeds of the shots drawn from now on by the animatic, in order."""
    from mv.animatic import AnimaticRenderer

    drawn, render = [], AnimaticRenderer.render

    def counting(self, conditions, *rest, **more):
        drawn.append(conditions.seed)
        return render(self, conditions, *rest, **more)

    monkeypatch.setattr(AnimaticRenderer, "render", counting)
    return drawn


@pytest.mark.parametrize("alone", [True, False])
def test_a_locked_or_chosen_take_is_not_rendered_beside(home, song, monkeypatch, alone):
    project, store = planned(song), JobStore(home)
    project.edit(lambda plan: edits.split(plan, 1, 54))
    do(store, project)
    first, second = (shot.id for shot in project.plan().shots[:2])
    standing = project.takes()
    project.edit(lambda plan: edits.set_seed(plan, 0, 99))
    project.edit(lambda plan: edits.choose_take(plan, 0, standing[first].key))
    project.edit(lambda plan: edits.set_locked(plan, 1, True))
    # Another model would draw every take anew.
    monkeypatch.setattr("mv.animatic._drawing_version", lambda: "another")
    drawn = count_renders(monkeypatch)
    only = [first, second] if alone else []
    project.wishes().model_copy(update={"only": only}).save(project.folder / "project.json")
    do(store, project)
    kept = {shot: project.takes()[shot] for shot in (first, second)}
    assert kept == {shot: standing[shot] for shot in (first, second)}
    others = [shot.seed for shot in project.plan().shots[2:]]
    assert others and sorted(drawn) == ([] if alone else sorted(others))
    assert all(p.state == "done" for p in store.shots(project.name))


def test_a_shot_alone_is_tried_again_after_a_fault(home, song, monkeypatch):
    from mv import generation
    from mv.animatic import AnimaticRenderer

    monkeypatch.setattr(generation, "BACKOFF", 0.01)
    project, store = planned(song), JobStore(home)
    shot, render, failed = project.plan().shots[1], AnimaticRenderer.render, []

    def fail_once(self, *given, **more):
        if not failed:
            failed.append(1)
            raise MemoryError
        return render(self, *given, **more)

    monkeypatch.setattr(AnimaticRenderer, "render", fail_once)
    project.wishes().model_copy(update={"only": [shot.id]}).save(project.folder / "project.json")
    do(store, project)
    (noted,) = store.shots(project.name)
    assert (noted.shot, noted.state, noted.attempts) == (shot.id, "done", 2)
    assert list(project.takes()) == [shot.id]


def test_shots_that_left_the_plan_are_said(home, song):
    project, store = planned(song), JobStore(home)
    project.wishes().model_copy(update={"only": ["gone"]}).save(project.folder / "project.json")
    with pytest.raises(InputError, match="not in the plan any more"):
        do(store, project)
    assert project.rendered() is None


def test_finished_takes_stand_while_the_rest_is_rendered(home, song):
    project, store = planned(song), JobStore(home)
    job = store.submit(project.name, "render")
    seen = []

    def look(progress) -> None:
        finished = {p.shot: p.key for p in store.shots(project.name) if p.state == "done"}
        seen.append(len(project.takes(finished)))

    run_job(store, job, look, lambda: False)
    assert seen[0] == 0 and 1 in seen and seen == sorted(seen)


def test_the_music_is_corrected_and_the_plan_follows_but_for_locked_shots(home, song):
    from mv.ui import music

    project = planned(song)
    before = project.edit(lambda plan: edits.set_locked(plan, 0, True))
    after = project.correct(lambda analysis: music.move_section(analysis, 1, 3.5), "moved section")
    assert project.analysis().sections[1].start == 3.5 and after.analysis != before.analysis
    assert after.shots[0] == before.shots[0] and after.revision == before.revision + 1
    make.load_plan(project.folder / "plan.json")
    assert project.undo().shots == before.shots and project.analysis().sections[1].start == 3.0
    project.redo()
    assert project.analysis().sections[1].start == 3.5


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
def studio(home, page, monkeypatch):
    """Its drawing process is not started: here nobody looks."""
    from mv.ui.studio import Studio

    monkeypatch.setattr(strips.Sketcher, "draw", lambda self, folder, shot=0: None)
    studio = Studio(home, NoWorker(home), page)
    yield studio
    studio.stop()


DRAFT = dict(
    song=None, theme="", style="", pace=1.0, image=None, cast="", lyrics=None, aspect="16:9", size="draft", seed=-1,
    model="animatic", fps="24", steps=0,
)  # fmt: skip


def press(studio, kind: str, **changes) -> dict:
    """Make or Plan with these wishes."""
    return studio.start(kind, *{**DRAFT, **changes}.values())


def ask(studio, opened: Project, /, **message) -> dict:
    """What the page gets for an edit message, or a question."""
    address = {"project": opened.name, "number": -1, "near": 0} | {
        k: message[k] for k in message if k in ("project", "number")
    }
    if "ask" in message:
        return studio.ask({"seq": 1, **message, **address})
    answer = studio.edit({**address, "edits": [{"seq": 1, **message}]})
    return {"error": answer["acks"][0]["error"], "ack": answer["acks"][0]["seq"], **answer}


def poll(studio, project: Project, seen: dict | None = None) -> dict:
    return studio.poll({"project": project.name, "seen": seen or {}})


def test_make_submits_a_job_and_shows_the_seed_it_drew(studio, home, song):
    shown = press(studio, "make", song=str(song))
    project = Project(home, shown[studio.page.name])
    job = studio.store.status(project.name)
    assert (job.kind, job.state) == ("make", "queued")
    assert 0 <= project.wishes().seed < 2**32
    with pytest.raises(InputError, match="worked on already"):
        press(studio, "plan", song=str(song))
    assert studio.open_named(project.name)[studio.page.seed] == project.wishes().seed == shown[studio.page.seed]


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"style": "baroque"}, "style: expected"),
        ({"song": None}, "no song yet"),
        ({"seed": -2}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"seed": None}, "seed: expected -1 .random. or 0 to 4294967295, got nothing"),
        ({"steps": -1}, "steps"),
        ({"steps": 1e30}, "steps: expected 1 to 1000"),
        ({"model": "/etc"}, "model: expected one of animatic, mv-mini"),
    ],
)
def test_bad_wishes_are_told(studio, home, song, changes, words):
    with pytest.raises(InputError, match=words):
        press(studio, "make", **{"song": str(song), **changes})
    assert projects(home) == []


def test_leaving_the_list_of_projects_opens_none(studio):
    for nothing in (studio.pick(None), studio.pick(""), studio.open_archive(None)):
        assert list(nothing) == [studio.page.name] and "value" not in nothing[studio.page.name]


def test_nothing_is_sent_while_nothing_happens(studio, song):
    project = planned(song)
    draw_all(project)
    strips.save_peaks(song, project.folder)
    news = poll(studio, project)
    assert news["plan"]["head"]["revision"] == 0 and len(news["strips"]) == len(project.plan().shots)
    assert poll(studio, project, news["seen"]) == {"kind": "news", "seen": news["seen"], "busy": False}
    assert studio.poll({"project": "gone"}) == {"kind": "news", "seen": {}, "busy": False}


def test_the_plan_of_a_make_job_is_shown_and_edited_only_when_it_is_there(studio, song):
    project = planned(song)
    job = studio.store.submit(project.name, "make")
    news = poll(studio, project)
    assert "plan" not in news and news["busy"]
    assert "the plan is being made" in ask(studio, project, op="undo")["error"]
    studio.store.mark_planned(job.id)
    assert "plan" in poll(studio, project, news["seen"])


def test_an_edit_is_answered_with_its_shots_alone(studio, song):
    project = planned(song)
    number = ask(studio, project, ask="sync")["plan"]["number"]
    shots = project.plan().shots
    answer = ask(studio, project, op="move_boundary", id=shots[1].id, frame=shots[1].start - 1, number=number, seq=7)
    assert (answer["ack"], answer["error"]) == (7, None)
    told = answer["plan"]
    assert [card["id"] for card in told["shots"]] == [shots[0].id, shots[1].id]
    assert told["shots"][0]["end"] == told["shots"][1]["start"] == shots[1].start - 1
    assert "music" not in told and "order" not in told and told["head"]["undo"] == "moved cut"
    assert project.plan().shots[1].start == shots[1].start - 1


def test_an_edit_makes_the_cards_of_its_shots_alone(studio, song, monkeypatch):
    from mv.ui import desk

    project = planned(song)
    number, made, part = ask(studio, project, ask="sync")["plan"]["number"], [], desk._shot_part
    monkeypatch.setattr(desk, "_shot_part", lambda plan, shot: made.append(shot.id) or part(plan, shot))
    shots = project.plan().shots
    split = ask(studio, project, op="split", id=shots[1].id, frame=shots[1].start + 4, number=number)["plan"]
    new = split["order"][2]
    assert made == [shots[1].id, new] and [card["id"] for card in split["shots"]] == made
    made.clear()
    merged = ask(studio, project, op="merge", ids=[shots[1].id, new], number=split["number"])["plan"]
    assert made == [shots[1].id] and merged["order"] == [shot.id for shot in shots]
    made.clear()
    poll(studio, project)
    assert made == []


def test_edits_sent_together_are_done_in_order(studio, song):
    project = planned(song)
    shot = project.plan().shots[1]
    move = {"op": "move_boundary", "id": shot.id}
    moves = [{**move, "seq": i, "frame": shot.start + by} for i, by in enumerate((1, 900, 2))]
    answer = studio.edit({"project": project.name, "number": -1, "edits": [*moves, "no edit", 7]})
    assert [ack["seq"] for ack in answer["acks"]] == [0, 1, 2]
    assert [bool(ack["error"]) for ack in answer["acks"]] == [False, True, False]
    assert project.plan().shots[1].start == shot.start + 2


def test_a_page_that_is_behind_gets_all_it_missed(studio, song):
    project = planned(song)
    first, second = (shot.id for shot in project.plan().shots[:2])
    number = ask(studio, project, ask="sync")["plan"]["number"]
    ask(studio, project, op="lock", ids=[first], locked=True, number=number)  # another tab
    told = ask(studio, project, op="lock", ids=[second], locked=True, number=number)["plan"]
    assert [card["id"] for card in told["shots"]] == [first, second] and all(c["locked"] for c in told["shots"])


def test_a_refused_edit_says_why_and_changes_nothing(studio, song):
    project = planned(song)
    shot = project.plan().shots[0].id
    assert "empty" in ask(studio, project, op="set", ids=[shot], fields={"prompt": " "})["error"]
    for message in ({"op": "fly"}, {"op": ["set"]}, {}, {"op": "set", "ids": "x", "fields": {}}, {"op": "split"}):
        assert ask(studio, project, **message)["error"]
    assert ask(studio, project, ask="deliver", what="../../etc/passwd")["error"].startswith("deliver: expected")
    assert "there is no project" in ask(studio, project, op="undo", project="../x")["error"]
    assert project.plan().revision == 0 and not project.history.can_undo


def test_render_takes_some_shots_or_all_and_waits_for_no_other_job(studio, song):
    project = planned(song)
    first = project.plan().shots[0].id
    answer = ask(studio, project, ask="render", ids=[first, "nobody"])
    assert answer["job"]["state"] == "queued" and project.wishes().only == [first]
    assert "worked on already" in ask(studio, project, ask="render")["error"]
    assert ask(studio, project, ask="cancel")["job"]["state"] == "cancelled"
    ask(studio, project, ask="render")
    assert project.wishes().only == [] and studio.store.status(project.name).open


def test_a_reference_image_is_an_uploaded_one(studio, song, tmp_path):
    from PIL import Image

    project = planned(song)
    ids, uploads = [project.plan().shots[1].id], studio.home / "uploads"
    uploads.mkdir()
    Image.new("RGB", (8, 8), "red").save(uploads / "a.png")
    (uploads / "b.png").write_text("no picture")
    assert ask(studio, project, op="reference", ids=ids, path=str(uploads / "a.png"))["error"] is None
    name = project.plan().shots[1].reference
    assert name.startswith("reference-") and (project.folder / name).is_file()
    project.save()
    absolute = make.load_plan(project.folder / "plan.json")
    assert absolute.shots[1].reference == str(project.folder / name)
    assert edits.shot_signature(absolute, 1) == edits.shot_signature(project.plan(), 1)
    assert "not a picture" in ask(studio, project, op="reference", ids=ids, path=str(uploads / "b.png"))["error"]
    for path in ("/etc/passwd", str(uploads / ".." / "x"), None):
        assert "expected an uploaded file" in ask(studio, project, op="reference", ids=ids, path=path)["error"]
    assert "not named" in ask(studio, project, op="set", ids=ids, fields={"reference": "/etc/passwd"})["error"]
    ask(studio, project, op="set", ids=ids, fields={"reference": None})
    assert project.plan().shots[1].reference is None


def test_keyframes_change_the_way_and_the_animatic_and_are_undone(studio, song):
    project = planned(song)
    draw_all(project)
    shot = project.plan().shots[1].id
    card = lambda answer: next(one for one in answer["plan"]["shots"] if one["id"] == shot)
    made = card(ask(studio, project, op="make_keyframes", ids=[shot]))
    rows = made["keyframes"]
    assert len(rows) >= 2 and len(rows[0]) == 8
    rows[-1][1] += 1.0  # a metre to the side at the end
    moved = card(ask(studio, project, op="set", ids=[shot], fields={"keyframes": rows}))
    assert moved["path"][0] == made["path"][0] and moved["path"][-1][0] == pytest.approx(
        made["path"][-1][0] + 1, abs=0.01
    )
    assert strips.missing(project.folder, project.plan()) == [1]
    assert project.history.names()[0] == "change of a shot"
    assert card(ask(studio, project, op="undo"))["path"] == made["path"]
    assert card(ask(studio, project, op="undo"))["keyframes"] == []


@pytest.mark.parametrize(
    "message, read, value",
    [
        ({"op": "scale_tempo", "factor": 0.5}, lambda heard: heard.tempo, 60),
        ({"op": "scale_tempo", "factor": 2}, lambda heard: heard.tempo, 240),
        ({"op": "tap", "times": [0.1, 0.85, 1.6, 2.35, 3.1]}, lambda heard: round(heard.tempo, 1), 80),
        ({"op": "shift_downbeat", "by": 1}, lambda heard: heard.downbeats[0], 0.5),
        ({"op": "move_section", "index": 1, "time": 4.0}, lambda heard: heard.sections[1].start, 4.0),
        ({"op": "rename_section", "index": 1, "label": "drop"}, lambda heard: heard.sections[1].label, "drop"),
    ],
    ids=lambda one: one["op"] if isinstance(one, dict) else "",
)
def test_the_plan_follows_each_correction_and_locked_shots_stay(studio, song, message, read, value):
    from mv.timing import to_frame

    project = planned(song)
    project.edit(lambda plan: edits.split(plan, 1, 54))
    locked = project.plan().shots[1].id
    ask(studio, project, op="lock", ids=[locked], locked=True)
    before, heard_before = project.plan(), project.analysis()
    answer = ask(studio, project, **message)
    after, heard_now = project.plan(), project.analysis()
    assert answer["error"] is None and "music" in answer["plan"]
    assert read(heard_now) == value != read(heard_before)
    kept = after.shots[after.index(locked)]
    assert kept == before.shots[1]
    beats = {to_frame(beat, FPS) for beat in heard_now.beats}
    cuts = {shot.start for shot in after.shots} - {0, kept.start, kept.end}
    assert cuts <= beats, "what is planned anew is cut on the beats as they are now"
    ask(studio, project, op="undo")
    assert project.plan().shots == before.shots and project.analysis() == heard_before


def test_a_rendering_that_would_do_nothing_says_why(studio, song):
    project = planned(song)
    project.edit(lambda plan: edits.split(plan, 1, 54))
    first, second, third = (shot.id for shot in project.plan().shots)
    do(studio.store, project)
    ask(studio, project, op="lock", ids=[first], locked=True)
    take = project.takes()[second].key
    ask(studio, project, op="choose", id=second, take=take)
    answer = ask(studio, project, ask="render", ids=[first])
    assert answer["error"] == "nothing to render: shot 1 is locked and keeps its take; unlock it first"
    assert "keeps the take you chose" in ask(studio, project, ask="render", ids=[first, second])["error"]
    answer = ask(studio, project, ask="render", ids=[first, third])
    assert answer["error"] is None and answer["note"].startswith("Rendering all but 1: shot 1 is locked")
    assert answer["job"]["state"] == "queued"


def test_takes_are_measured_beside_each_other_when_looked_at(studio, song):
    from mv.ui.measures import measure_take

    project = planned(song)
    shot = project.plan().shots[0].id
    ask(studio, project, op="set", ids=[shot], fields={"move": "static"})  # reading a move takes seconds
    do(studio.store, project)
    ask(studio, project, op="set", ids=[shot], fields={"seed": 77})
    do(studio.store, project)
    shot = project.plan().shots[0]
    asked = []
    studio.sketcher.measure = lambda folder, shot: asked.append((folder, shot))
    first = ask(studio, project, ask="measure", id=shot.id)
    assert (first["measures"], first["unknown"], asked) == ({}, 2, [(project.folder, shot.id)])
    drawn = project.folder, project.resolved_plan(), 0, project.analysis()
    assert [measure_take(*drawn) for _ in range(3)] == [True, True, False]
    known = ask(studio, project, ask="measure", id=shot.id)
    assert known["unknown"] == 0 and set(known["measures"]) == {take.key for take in shot.takes} and len(asked) == 1
    numbers = known["measures"][shot.takes[0].key]
    assert numbers["sharpness"] > 0.7, "the animatic is drawn by the teacher itself"
    assert known["better"] == {"camera error": "low", "jump at seams": "low", "cast right": "high", "sharpness": "high"}
    ask(studio, project, op="set", ids=[shot.id], fields={"prompt": "wide shot, desert by day, nobody in sight"})
    assert ask(studio, project, ask="measure", id=shot.id)["unknown"] == 2, "another shot is to be measured against"
    assert "no shot" in ask(studio, project, ask="measure", id="gone")["error"]


def test_a_project_of_the_command_line_is_listed_with_its_name_and_a_picture(home, song):
    from mv.ui.recent import cover_of, describe, recent_html

    project = planned(song)
    (project.folder / "project.json").unlink()  # the command line writes none
    plan = project.plan().model_copy(update={"title": "My <b>Song"})
    plan.save(project.folder / "plan.json")
    assert cover_of(project.folder) is None
    title, facts = describe(project.folder)
    assert title == "My <b>Song" and facts.startswith(f"{len(plan.shots)} shots · ")
    draw_all(project)
    sketched = cover_of(project.folder).read_bytes()
    shown = recent_html(home, projects(home))
    assert "My &lt;b&gt;Song" in shown and "cover.jpg?v=" in shown and f"?project={project.name}" in shown
    do(JobStore(home), project)
    assert cover_of(project.folder).read_bytes() != sketched, "now of the film"
    (project.folder / "plan.json").write_text("{broken")
    (home / "hostile-<i>").mkdir()
    assert describe(project.folder)[0] and "<i>" not in recent_html(home, projects(home))


def test_another_take_has_another_seed(studio, song):
    project = planned(song)
    shot = project.plan().shots[1]
    ask(studio, project, ask="retake", id=shot.id)
    assert project.plan().shots[1].seed != shot.seed and project.wishes().only == [shot.id]


def test_files_for_other_programs_are_handed_out(studio, song):
    project = planned(song)
    for what in ("edl", "otio", "fcpxml", "plan", "zip"):
        file = ask(studio, project, ask="deliver", what=what)["file"]
        path = Path(urllib.parse.unquote(file["url"].partition("=")[2]))
        assert path.is_file() and path.is_relative_to(project.folder)
    assert "no lyrics" in ask(studio, project, ask="deliver", what="srt")["error"]


def test_a_project_goes_out_as_a_zip_and_comes_back_with_its_history(studio, song):
    project = planned(song)
    ask(studio, project, op="lock", ids=[project.plan().shots[0].id], locked=True)
    url = ask(studio, project, ask="deliver", what="zip")["file"]["url"]
    shown = studio.open_archive(urllib.parse.unquote(url.partition("=")[2]))
    again = Project(studio.home, shown[studio.page.name])
    assert again.name != project.name and again.plan() == project.plan()
    assert not again.undo().shots[0].locked and project.plan().shots[0].locked


def test_what_the_user_wrote_goes_out_as_data(studio, song):
    from mv.ui.studio import recent_html

    project = planned(song)
    hostile = "<img src=x onerror=alert(1)> ${alert(1)} {{value}}"
    ask(studio, project, op="set", ids=[project.plan().shots[0].id], fields={"prompt": hostile})
    card = ask(studio, project, ask="sync")["plan"]["shots"][0]
    assert card["prompt"] == hostile
    (studio.home / "<b>x").mkdir()
    assert "<b>x" not in recent_html(studio.home, projects(studio.home))


def test_a_file_is_called_by_its_name():
    from mv.ui.studio import without_folders

    assert without_folders("/home/u/my song.mp3: not a song: /x/y: z") == "my song.mp3: not a song: /x/y: z"
    assert without_folders("C:\\songs\\a.mp3: empty") == "a.mp3: empty"
    assert without_folders("seed: expected 0, got 1/2: no") == "seed: expected 0, got 1/2: no"


def test_the_time_left_is_said():
    from mv.ui.studio import job_part

    assert job_part(Job("x", "y", "make", state="running", eta=65.2))["left"] == "about 1:05 left"
    assert job_part(Job("x", "y", "make"), ahead=2)["left"] == "2 jobs ahead"
    assert (
        job_part(Job("x", "y", "make", state="failed", error="/a/b.mp3: no song"))["words"] == "Failed: b.mp3: no song"
    )


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
        blocks.studio.stop()
    assert not blocks.studio.worker.processes


def _status(url: str) -> int:
    try:
        return urllib.request.urlopen(url, timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
