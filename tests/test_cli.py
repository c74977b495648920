"""The command line from outside: exit codes, one line for what the user can mend, no half files."""

import csv
import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import click_samples, conditions_of, write_wav
from typer.testing import CliRunner

import mv
from mv import make
from mv.cli import app
from mv.doctor import _pins, examine
from mv.errors import InputError
from mv.lyrics import read_lyrics
from mv.make import SIZES, load_plan, read_analysis, save_plan
from mv.schema import Analysis, Brief, Timeline
from mv.world.vocabulary import PALETTES

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    """Work folders go to the test's own place, and so do films without a name."""
    monkeypatch.setenv("MV_HOME", str(tmp_path / "projects"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "projects"


def run(*arguments, code=0):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == code, (result.exit_code, result.output, result.exception)
    return result


def refused(*arguments, code=2):
    """The error line of a command that must fail; one line, and no traceback."""
    result = run(*arguments, code=code)
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), result.stderr
    assert "Traceback" not in result.output
    return lines[0]


@pytest.fixture
def plan(timeline, analysis, tmp_path):
    """A plan on disk whose prompts the animatic understands."""
    analysis.save(tmp_path / "analysis.json")
    save_plan(timeline, tmp_path / "plan.json")
    return tmp_path / "plan.json"


@pytest.fixture
def image(tmp_path):
    from PIL import Image

    path = tmp_path / "red.png"
    Image.new("RGB", (64, 48), (220, 20, 40)).save(path)
    return path


def frames_of(film):
    with av.open(str(film)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


# ---------------------------------------------------------------- help


def test_help_names_every_command():
    text = run("--help").output
    for command in ("analyze", "plan", "animatic", "render", "make", "models", "doctor", "studio", "bench", "train"):
        assert re.search(rf"^│ {command} ", text, re.MULTILINE), command
        assert "Usage" in run(command, "--help").output


def test_the_module_runs_and_importing_it_loads_nothing_heavy():
    heavy = ("torch", "librosa", "gradio", "moviepy", "diffusers")
    script = f"import sys, mv, mv.cli, mv.make; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert result.stdout.strip() == "[]", result.stderr
    result = subprocess.run([sys.executable, "-m", "mv", "nonsense"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 2 and "No such command" in result.stderr


def test_the_library_has_its_verbs():
    from mv import analyze, assemble, direct, generate

    assert [verb.__module__ for verb in (analyze, direct, generate, assemble)] == ["mv.make"] * 4
    with pytest.raises(AttributeError, match="nonsense"):
        mv.nonsense  # noqa: B018


def test_models_are_listed():
    output = run("models").output
    assert "mv-mini" in output and "Apache-2.0" in output


# ---------------------------------------------------------------- the whole way, with the animatic


def test_a_plan_becomes_an_animatic_that_says_so(plan, timeline, tmp_path):
    result = run("animatic", plan, "-o", "film.mp4")
    assert result.stdout.strip().endswith("film.mp4")
    frames = frames_of("film.mp4")
    assert len(frames) == timeline.num_frames
    corner = np.stack(frames)[:, -6:, -20:].astype(int)
    assert corner.max(axis=(1, 2, 3)).min() > 150, "white letters in every frame, in the crossfade too"
    assert np.ptp(np.stack(frames)[:, 4:20, 4:40]) > 20, "and a picture beside them"


def test_a_second_render_takes_what_is_there(plan, tmp_path):
    run("animatic", plan, "-o", "film.mp4")
    takes = {path: path.stat().st_mtime_ns for path in (tmp_path / "takes").iterdir()}
    run("animatic", plan, "-o", "again.mp4")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "takes").iterdir()} == takes
    assert len(frames_of("again.mp4")) == 96


def test_a_song_becomes_a_film(click_song, home, image):
    wishes = ["--theme", "desert by day", "--image", image, "--size", "draft", "--fps", "12"]
    run("make", click_song, "-o", "out/film.mp4", "--model", "animatic", *wishes)
    (project,) = [path for path in home.iterdir() if path.is_dir()]
    timeline = load_plan(project / "plan.json")
    assert len(frames_of("out/film.mp4")) == timeline.num_frames == 48
    assert timeline.brief.theme == "desert by day"
    assert all("crimson light" in shot.prompt and "desert by day" in shot.prompt for shot in timeline.shots)
    assert any("red.png" in reason.evidence for reason in timeline.shots[0].reasons)
    assert all(shot.chosen for shot in load_plan(project / "rendered.json").shots)
    assert not any(shot.chosen for shot in timeline.shots), "nobody has chosen a take by hand"
    on_disk = Timeline.load(project / "plan.json")
    assert (on_disk.song, on_disk.analysis, on_disk.brief.image) == ("clicks.wav", "analysis.json", "red.png")


def test_a_song_named_like_the_projects_own_files_does_not_take_their_place(click_song, home):
    click_song.rename("plan.json")
    run("make", "plan.json", "-o", "film.mp4", "--model", "animatic", "--size", "draft", "--fps", "12")
    (project,) = [path for path in home.iterdir() if path.is_dir()]
    assert load_plan(project / "plan.json").num_frames == 48


def test_a_plan_carries_words_and_survives_a_move(click_song, home, tmp_path):
    (tmp_path / "words.lrc").write_text("[ti:Clicks]\n[00:01.00]one\n[00:02.50]two\n")
    run("plan", click_song, "-o", "plan.json", "--lyrics", "words.lrc", "--aspect", "9:16", "--size", "draft")
    timeline = load_plan("plan.json")
    words = [(line.start, line.end, line.text) for line in Analysis.load(timeline.analysis).lyrics]
    assert words[0] == (1.0, 2.5, "one") and words[1][0::2] == (2.5, "two")
    assert (timeline.width, timeline.height) == (160, 288)
    run("plan", click_song, "-o", home / "x" / "plan.json")
    assert load_plan(home / "x" / "plan.json").num_frames == 96


def test_five_lines_make_a_film(click_song):
    from mv import analyze, assemble, direct, generate

    analysis = analyze(click_song)
    plan = direct(analysis, click_song, theme="neon night", size="draft", fps=12)
    plan = generate(plan, model="animatic")
    assemble(plan, "film.mp4")
    assert len(frames_of("film.mp4")) == plan.num_frames


def test_a_plan_explains_itself(click_song):
    page = run("plan", click_song, "--explain", "--size", "draft", "--seed", 3).stdout
    assert "Camera: " in page and "s001" in page and "cut: the film starts with the song" in page
    assert "onset" in page and "of max" in page
    table = run("plan", click_song, "--explain", "--format", "csv", "-o", "p.json", "--size", "draft").stdout
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["shot"] for row in rows] == [shot.id for shot in load_plan("p.json").shots]
    assert run("plan", click_song, "--explain", "--format", "markdown", "--size", "draft").stdout.startswith("# ")
    assert "expected one of text, markdown, csv, got 'pdf'" in refused(
        "plan", click_song, "--explain", "--format", "pdf"
    )
    assert "expected -o FILE" in refused("plan", click_song)


@pytest.fixture
def endpoint():
    """A loopback server in the shape of an OpenAI-compatible one; yields its address and the requests it got."""
    answer = {"parts": [{"part": "home", "mood": "calm", "scene": "forest", "time": "day", "palette": "lime"}]}
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self._answer({"data": [{"id": "tiny"}]})

        def do_POST(self):
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer({"choices": [{"message": {"content": json.dumps(answer)}}]})

        def _answer(self, document):
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1", asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_writer_at_an_address_is_asked_and_one_that_is_not_there_only_said_to_be(click_song, endpoint, caplog):
    address, asked = endpoint
    run("plan", click_song, "-o", "plain.json", "--size", "draft")
    for number, where in enumerate((address, f"{address}#mine")):
        run("plan", click_song, "-o", "written.json", "--size", "draft", "--writer", where)
        assert asked[number]["model"] == ("tiny", "mine")[number]
        evidence = [r.evidence for shot in load_plan("written.json").shots for r in shot.reasons]
        assert any("the writer proposes it" in text for text in evidence)
    run("plan", click_song, "-o", "alone.json", "--size", "draft", "--writer", "http://127.0.0.1:9/v1#x")
    assert load_plan("alone.json").shots == load_plan("plain.json").shots
    assert "the plan is the rules' own" in caplog.text


def test_style_and_pace_reach_the_plan(click_song):
    run("plan", click_song, "-o", "p.json", "--size", "draft", "--style", "road movie", "--pace", 1.5)
    plan = load_plan("p.json")
    assert (plan.brief.style, plan.brief.pace) == ("road movie", 1.5)
    assert "the style: on the way" in str(plan.shots)


def test_a_film_whose_shots_are_looked_at_tells_what_was_seen(click_song, home, monkeypatch):
    monkeypatch.setattr("mv.retakes.look", lambda *seen: {"sharpness": 0.1})
    run("make", click_song, "-o", "f.mp4", "--model", "animatic", "--size", "draft", "--retakes", 1)
    (log,) = home.glob("*/retakes.log")
    lines = log.read_text().splitlines()
    assert "goal: camera error at most 0.75" in lines
    assert any(line.startswith("s001, take 1: sharpness 0.1, at least 0.35; ") for line in lines)
    assert any(line.startswith("s001: planned again with another seed") for line in lines)
    assert "retakes: expected 0 to 8, got 9" in refused("make", click_song, "-o", "f.mp4", "--retakes", 9)
    assert Path("f.mp4").exists()


def test_a_writer_says_what_to_change_in_a_bad_shot(click_song, home, monkeypatch):
    from test_director_llm import choice, completion, serving

    monkeypatch.setattr("mv.retakes.look", lambda *seen: {"sharpness": 0.1})
    with serving(completion('{"parts": []}'), choice("size")) as (address, asked):
        wishes = ["--model", "animatic", "--size", "draft", "--retakes", 1, "--writer", f"{address}#tiny"]
        run("make", click_song, "-o", "f.mp4", *wishes)
    (log,) = home.glob("*/retakes.log")
    assert "s001: tiny at 127.0.0.1 chooses edit (size)" in log.read_text().splitlines() and len(asked) > 1
    (plan,) = home.glob("*/plan.json")
    assert "writer: expected an address" in refused("render", plan, "-o", "g.mp4", "--writer", "x")


def test_a_cast_reaches_the_plan_and_a_wrong_one_is_refused_before_listening(click_song):
    cast = ["--cast", "Mira: long red hair, green dress", "--cast", "Tom: black jacket"]
    run("plan", click_song, "-o", "p.json", "--size", "draft", *cast)
    plan = load_plan("p.json")
    assert [(one.name, one.looks) for one in plan.brief.cast] == [
        ("Mira", "long red hair, green dress"), ("Tom", "black jacket")
    ]  # fmt: skip
    wrong = refused("plan", click_song, "-o", "q.json", *cast, "--cast", "Anna red hair")
    assert "cast: line 3, column 14: expected : and the looks" in wrong
    assert not Path("q.json").exists()


def test_a_plan_holds_the_moments_of_its_theme(click_song):
    run("plan", click_song, "-o", "p.json", "--theme", "a forest <desert, day& end>", "--size", "draft")
    shots = load_plan("p.json").shots
    assert "desert by day" in shots[-1].prompt and "<desert, day& end>" in str(shots[-1].reasons)


def test_analyze_writes_what_it_heard(click_song, tmp_path):
    output = run("analyze", click_song, "--json", "heard.json").output
    heard = Analysis.load("heard.json")
    assert heard.duration == 4.0
    assert "clicks" in output.lower()
    assert not (tmp_path / "projects").exists()


def test_analyze_draws_what_it_heard(click_song):
    run("analyze", click_song, "--plot", "heard.png")
    assert Path("heard.png").read_bytes().startswith(b"\x89PNG")
    assert "ends in .png" in refused("analyze", click_song, "--plot", "heard.pdf")


def test_a_song_is_listened_to_once_unless_the_code_changed(click_song, home, monkeypatch):
    listened, listen = [], make.analyze
    monkeypatch.setattr(make, "analyze", lambda *arguments: listened.append(1) or listen(*arguments))
    for _ in range(2):
        run("plan", click_song, "-o", "p.json", "--size", "draft")
    assert len(listened) == 1
    (known,) = home.glob("*/analysis.json")
    os.utime(known, (0, 0))  # older than the code
    run("plan", click_song, "-o", "p.json", "--size", "draft")
    assert len(listened) == 2
    known.write_text("damaged")
    run("plan", click_song, "-o", "p.json", "--size", "draft")
    assert len(listened) == 3


# ---------------------------------------------------------------- stops


class Stopping:
    """Renders the first shot and is stopped in the second, as Ctrl-C does."""

    name, identity = "stopping", "1"

    def __init__(self):
        self.calls = 0

    def render(self, conditions, on_progress, cancelled):
        self.calls += 1
        if self.calls == 2:
            raise KeyboardInterrupt
        return np.zeros((conditions.num_frames, conditions.height, conditions.width, 3), np.uint8)


def test_ctrl_c_keeps_the_finished_takes(plan, tmp_path, monkeypatch):
    renderer = Stopping()
    monkeypatch.setattr(make, "load_model", lambda model, steps=None: renderer)
    line = refused_last(run("render", plan, "-o", "film.mp4", code=130))
    assert line.startswith("error: stopped")
    assert len(list((tmp_path / "takes").iterdir())) == 1
    assert not Path("film.mp4").exists()
    run("render", plan, "-o", "film.mp4")
    assert renderer.calls == 4, "the first shot was not rendered again"


def refused_last(result):
    return result.stderr.strip().splitlines()[-1]


def test_a_full_disk_in_a_take_is_one_line(plan, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    result = run("animatic", plan, "-o", "film.mp4", code=2)
    assert "No space left on device. Free some space" in refused_last(result)
    assert "Traceback" not in result.output
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".mp4"]


# ---------------------------------------------------------------- what cannot be used


def test_songs_that_are_none(tmp_path):
    (tmp_path / "empty.mp3").write_bytes(b"")
    (tmp_path / "text.mp3").write_text("this is no sound")
    write_wav(tmp_path / "short.wav", click_samples(0.2), 22050)
    for name, words in [
        ("nowhere.mp3", "no such file"),
        ("empty.mp3", "empty"),
        ("text.mp3", "not a sound file"),
        ("short.wav", "0.2 s"),
        (".", "folder"),
    ]:
        for command in (["analyze", name], ["plan", name, "-o", "p.json"], ["make", name, "-o", "f.mp4"]):
            model = ["--model", "animatic"] if command[0] == "make" else []
            result = run(*command, *model, code=2)
            line = refused_last(result)
            assert line.startswith("error: ") and "Traceback" not in result.output
            assert words in line or (name == "." and "Is a directory" in line), line
    assert not Path("p.json").exists() and not Path("f.mp4").exists()
    assert not (tmp_path / "projects").exists(), "what is no song makes no work folder"


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--fps", "fast", "frame rate: expected"),
        ("--fps", "500", "frame rate: expected"),
        ("--aspect", "4:3", "aspect: expected one of 16:9, 9:16, 1:1, got '4:3'"),
        ("--size", "huge", "size: expected one of draft"),
        ("--seed", "-2", "seed: expected"),
        ("--style", "baroque", "style: expected one of performance, road movie"),
        ("--pace", "3", "pace: expected 0.5 to 2, got 3"),
        ("--writer", "nowhere", "writer: expected an address such as"),
        ("--writer", "ftp://127.0.0.1", "writer: expected an address such as"),
        ("--seed", str(2**32), "seed: expected"),
        ("--image", "nowhere.png", "no such image"),
        ("--image", "chorus=nowhere.png", "no such image"),
        ("--image", "moon=nowhere.png", "image: expected one of cast, light, intro"),
        ("--image", "cast=", "image: expected FILE or NAME=FILE"),
        ("--theme", "a city <crowd jumps& strat>@0:02", "moments: column 21: expected one of start, mid, end, all"),
        ("--lyrics", "nowhere.lrc", "cannot read the lyrics"),
    ],
)
def test_wishes_that_cannot_be(click_song, option, value, words):
    for command in (["plan", click_song, "-o", "p.json"], ["make", click_song, "-o", "f.mp4"]):
        assert words in refused(*command, option, value)
    assert not Path("p.json").exists() and not Path("f.mp4").exists()


def test_a_random_seed_is_said(click_song, monkeypatch):
    monkeypatch.setattr("secrets.randbelow", lambda limit: 77)
    assert "seed 77" in run("plan", click_song, "-o", "p.json", "--seed", "-1", "--size", "draft").stderr
    assert load_plan("p.json").brief.seed == 77


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n broken", b"plain words"])
def test_pictures_that_are_none(click_song, tmp_path, content):
    (tmp_path / "bad.png").write_bytes(content)
    assert "bad.png" in refused("plan", click_song, "-o", "p.json", "--image", "bad.png")


def test_a_picture_cut_short(click_song, image):
    image.write_bytes(image.read_bytes()[:-30])
    assert "red.png: cannot read this picture" in refused("plan", click_song, "-o", "p.json", "--image", image)


@pytest.mark.parametrize("output", ["film.avi", "folder.mp4", "file/film.mp4"])
def test_outputs_that_cannot_be(plan, click_song, tmp_path, output):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file").write_text("")
    for command in (["animatic", plan], ["render", plan], ["make", click_song]):
        assert output in refused(*command, "-o", output)
    assert not (tmp_path / "takes").exists(), "told before anything is rendered"


def test_a_song_is_never_overwritten(plan, timeline, tmp_path):
    song = tmp_path / "song.mp4"
    song.write_bytes(Path(timeline.song).read_bytes())
    before = song.read_bytes()
    assert "overwrite its own song" in refused("make", song, "-o", song)
    assert song.read_bytes() == before


def test_plans_that_are_none(plan, tmp_path):
    assert "cannot read the timeline file" in refused("render", "nowhere.json", "-o", "f.mp4")
    (tmp_path / "broken.json").write_text('{"version": 1}')
    assert "broken.json: not a valid timeline file: song" in refused("render", "broken.json", "-o", "f.mp4")
    (tmp_path / "analysis.json").unlink()
    assert "its analysis" in refused("animatic", plan, "-o", "f.mp4")


def test_models_and_steps_that_cannot_be(plan):
    assert "steps: expected 1 or more" in refused("render", plan, "-o", "f.mp4", "--steps", "0")
    assert "nonsense" in refused("render", plan, "-o", "f.mp4", "--model", "nonsense")


def test_a_bug_keeps_its_traceback(plan, monkeypatch):
    def broken(model, steps=None):
        raise ZeroDivisionError

    monkeypatch.setattr(make, "load_model", broken)
    result = CliRunner().invoke(app, ["render", str(plan), "-o", "f.mp4"])
    assert isinstance(result.exception, ZeroDivisionError)


# ---------------------------------------------------------------- plans on disk


def test_paths_are_relative_inside_the_folder_only(timeline, tmp_path):
    brief = Brief(image=str(tmp_path / "a" / "look.png"), lyrics="/elsewhere/words.lrc")
    inside = timeline.model_copy(update={"analysis": str(tmp_path / "a" / "analysis.json"), "brief": brief})
    save_plan(inside, tmp_path / "a" / "plan.json")
    raw = json.loads((tmp_path / "a" / "plan.json").read_text())
    assert raw["analysis"] == "analysis.json"
    assert raw["song"] == str(tmp_path / "clicks.wav")
    assert raw["brief"]["image"] == "look.png" and raw["brief"]["lyrics"] == "/elsewhere/words.lrc"


def test_an_edited_plan_is_set_aside_not_lost(click_song, home):
    arguments = ["make", click_song, "-o", "f.mp4", "--model", "animatic", "--size", "draft", "--fps", "6"]
    run(*arguments)
    (plan,) = home.glob("*/plan.json")
    edited = Timeline.load(plan).model_copy(update={"revision": 3, "title": "mine"})
    edited.save(plan)
    run(*arguments)
    assert Timeline.load(plan.with_name("plan-r3.json")) == edited
    assert Timeline.load(plan).revision == 0


def test_every_size_is_made_of_blocks_and_near_its_aspect():
    ratios = {"16:9": 16 / 9, "9:16": 9 / 16, "1:1": 1.0}
    for aspects in SIZES.values():
        for aspect, (width, height) in aspects.items():
            assert width % 32 == height % 32 == 0
            assert abs(width / height / ratios[aspect] - 1) < 0.03


def test_models_are_found_by_name(renderer):
    assert make.load_model("animatic").name == "animatic"
    assert make.load_model(renderer) is renderer
    with pytest.raises(InputError, match="nonsense"):
        make.load_model("nonsense")


def test_conditions_cover_the_shot_and_its_handles(timeline, analysis):
    for index in range(3):
        start, stop = timeline.span(index)
        conditions = make.conditions(timeline, index, analysis)
        plain = conditions_of(timeline)(index)
        assert conditions.num_frames == stop - start == len(conditions.audio)
        assert (conditions.prompt, conditions.seed, conditions.width) == (plain.prompt, plain.seed, 64)
        assert np.array_equal(conditions.audio, analysis.on_grid(timeline.fps, start, stop - start))


# ---------------------------------------------------------------- lyrics


def lyrics(tmp_path, text, duration=60.0):
    (tmp_path / "words.lrc").write_bytes(text.encode() if isinstance(text, str) else text)
    return [(line.start, line.end, line.text) for line in read_lyrics(tmp_path / "words.lrc", duration)]


def test_lrc_lines_stand_until_the_next(tmp_path):
    text = "\ufeff[ar:Somebody]\n[00:10.50]first\n\n[00:12:25]second\n[01:00]\n"
    assert lyrics(tmp_path, text, 90) == [(10.5, 12.25, "first"), (12.25, 20.25, "second")]
    assert lyrics(tmp_path, "[00:58]last\n") == [(58, 60, "last")]


def test_lrc_repeats_offsets_and_word_times(tmp_path):
    text = "[offset:500]\n[00:30][00:10]again <00:31.0> and\n[00:00.2]early"
    assert [(start, words) for start, _, words in lyrics(tmp_path, text)] == [
        (0.0, "early"),
        (9.5, "again  and"),
        (29.5, "again  and"),
    ]


def test_plain_text_has_no_times(tmp_path):
    assert lyrics(tmp_path, "just\nwords\n") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[00:01]a\nno time here", "line 2: expected"),
        ("[00:01]a\n[00:99]b", "line 2: .00:99. has 99 seconds"),
        ("[offset:soon]\n[00:01]a", "line 1: the offset"),
        ("[00:01]a\n[00:02]\xff".encode("latin-1"), "line 2: not UTF-8"),
        (" \n", "empty"),
        ("[05:00]a", "a line stands at 300.0 s, but the song ends at 60.0 s"),
    ],
)
def test_broken_lyrics_name_their_line(tmp_path, text, words):
    with pytest.raises(InputError, match=words):
        lyrics(tmp_path, text)


# ---------------------------------------------------------------- reference image


def test_two_pictures_of_one_name_are_two_and_stay_with_the_plan(click_song, image, tmp_path, home):
    from PIL import Image

    (tmp_path / "sea").mkdir()
    Image.new("RGB", (64, 48), (20, 90, 230)).save(tmp_path / "sea" / "red.png")
    pictures = ["--image", image, "--image", f"ocean={tmp_path / 'sea' / 'red.png'}"]
    run("plan", click_song, "-o", "p.json", "--size", "draft", *pictures)
    plan = load_plan("p.json")
    files = {Path(plan.brief.image), Path(plan.brief.references["ocean"])}
    assert {file.name for file in files} == {"red.png", "ocean-red.png"} and all(file.is_file() for file in files)
    assert {file.parent for file in files} == {Path(plan.analysis).parent}
    lights = {("ocean" in shot.prompt, next(p for p in PALETTES if f"{p} light" in shot.prompt)) for shot in plan.shots}
    assert (True, "azure") in lights and lights <= {(True, "azure"), (False, "crimson")}
    again = make.replan(plan, read_analysis(plan))
    assert [shot.fingerprint for shot in again.shots] == [shot.fingerprint for shot in plan.shots]
    assert again.brief == plan.brief


# ---------------------------------------------------------------- doctor


def test_the_doctor_looks_at_everything_and_its_word_is_the_exit_code():
    findings = list(examine())
    assert {"Python", "processor", "memory", "disk", "packages", "torch", "speed", "video", "mv-mini"} <= {
        finding.subject for finding in findings
    }
    missing = any(finding.state == "missing" for finding in findings)
    output = run("doctor", code=2 if missing else 0).output
    assert "GFLOP/s in bf16" in output


def test_the_doctor_misses_weights_and_packages(tmp_path, monkeypatch):
    (tmp_path / "requirements.txt").write_text("numpy==0.0.1\nno-such-package==1.0\n")
    monkeypatch.setattr("mv.doctor.ROOT", tmp_path)
    texts = {finding.state: finding.text for finding in examine() if finding.subject in ("packages", "mv-mini")}
    result = run("doctor", code=2).output
    assert "no-such-package is not installed" in result and "no weights in" in result
    assert "numpy" in result and "tested with 0.0.1" in result
    assert set(texts) == {"note", "missing"}


def test_damaged_weights_are_named(tmp_path, monkeypatch):
    folder = tmp_path / "assets" / "models" / "mv-mini" / "transformer"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    monkeypatch.setattr("mv.doctor.ROOT", tmp_path)
    assert "model.safetensors: cannot be read" in run("doctor", code=2).output


def test_requirements_are_read_as_pip_reads_them():
    text = (
        "--extra-index-url https://x\n# words\ntorch==2.13.0  # cpu\nnumpy>=2\nthere==1 ; sys_platform == 'nowhere'\n"
    )
    assert list(_pins(text)) == [("torch", "2.13.0"), ("numpy", None)]
