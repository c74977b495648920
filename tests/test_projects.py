"""Project folders: one process at a time, out into a zip and back, nothing a stranger's zip can do."""

import json
import os
import random
import stat
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from conftest import conditions_of
from typer.testing import CliRunner

from mv import archive, make, projects
from mv.archive import export_project, import_project
from mv.cli import app
from mv.errors import DiskFull, InputError, MusicVideoError, OutputError
from mv.generation import generate
from mv.jobs import JobStore, work
from mv.schema import Analysis, Timeline, write_atomically

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def project(timeline, analysis, renderer, click_song, tmp_path) -> Path:
    """A project's folder with everything in it, and some things that are not its own."""
    folder = tmp_path / "home" / "clicks-12ab"
    (folder / "films").mkdir(parents=True)
    (folder / "clicks.wav").write_bytes(click_song.read_bytes())
    analysis.save(folder / "analysis.json")
    made = generate(timeline, conditions_of(timeline), renderer, folder / "takes")
    made = made.model_copy(update={"song": str(folder / "clicks.wav"), "analysis": str(folder / "analysis.json")})
    make.save_plan(made, folder / "plan.json")
    make.save_plan(made, folder / "rendered.json")
    (folder / "films" / "clicks-r0.mp4").write_bytes(os.urandom(5000))
    (folder / "takes" / ".half.mp4").write_bytes(b"half")
    (folder / "link.txt").symlink_to("/etc/passwd")
    return folder


def wait_for(condition, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


# ---------------------------------------------------------------- one process at a time


def test_a_second_process_is_told_who_works_on_a_project(tmp_path):
    folder = tmp_path / "clicks-12ab"
    code = (
        f"from mv.projects import lock\nfrom mv.errors import InputError\ntry:\n    with lock({str(folder)!r}, 'make'):"
        " print('in')\nexcept InputError as error:\n    print(error)"
    )
    ask = lambda: (
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    )
    with projects.lock(folder, "the studio"):
        told = ask()
        assert f"another process (the studio, number {os.getpid()} on" in told and "wait until it is done" in told
    assert ask() == "in\n"


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    code = f"import os\nfrom mv.projects import lock\nwith lock({str(tmp_path)!r}, 'make'): os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert killed.returncode == -9
    with projects.lock(tmp_path, "the studio"):
        pass


def test_a_lock_is_free_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), projects.lock(tmp_path, "a"):
        raise ZeroDivisionError
    with projects.lock(tmp_path, "b"):
        pass


def test_sweeping_takes_only_what_nobody_needs(project):
    checkpoint = project / "takes" / ".key.safetensors"
    checkpoint.write_bytes(b"state")
    (project / "films" / ".film.abc.mp4").write_bytes(b"half")
    for name in ("pieces", "live", "storyboard", "history"):
        (project / name).mkdir()
    (project / "pieces" / ".piece.abc.mp4").write_bytes(b"half")
    (project / "live" / ".picture.jpg.abc").write_bytes(b"half")
    fresh, old = project / ".plan.json.abc", project / ".plan.json.old"
    forgotten = [old, project / "storyboard" / ".sheet.jpg.abc", project / "history" / ".r1.json.abc"]
    for path in (fresh, *forgotten):
        path.write_text("{")
    for path in forgotten:
        os.utime(path, (0, 0))
    before = {path for path in project.rglob("*") if not path.name.startswith(".")}
    projects.sweep(project)
    assert checkpoint.exists() and fresh.exists()
    assert {path.name for path in project.rglob(".*")} == {".key.safetensors", ".plan.json.abc"}
    assert {path for path in project.rglob("*") if not path.name.startswith(".")} == before


# ---------------------------------------------------------------- space


def test_space_is_asked_for_before(tmp_path):
    projects.check_space(tmp_path / "not" / "there", 1, "this")
    with pytest.raises(DiskFull, match=r"A film needs .* MiB of free space") as told:
        projects.check_space(tmp_path, 2**60, "A film")
    assert told.value.needs == 2**60 + projects.RESERVE


def test_a_render_that_will_not_fit_does_not_begin(timeline, renderer, tmp_path, monkeypatch):
    monkeypatch.setattr(projects, "free_bytes", lambda folder: 2**20)
    with pytest.raises(DiskFull, match="Rendering this film needs"):
        generate(timeline, conditions_of(timeline), renderer, tmp_path / "takes")
    assert renderer.rendered == []


@pytest.fixture
def small_disk(tmp_path) -> Path:
    """A real file system of one mebibyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this account may not mount a file system")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_fills_up_in_the_middle_is_said_and_leaves_nothing(small_disk, timeline, renderer, monkeypatch):
    monkeypatch.setattr("mv.generation.check_space", lambda *_: None)
    filler = small_disk / "filler"
    filler.write_bytes(bytes(2**20 - 12_000))
    with pytest.raises(DiskFull, match="No space left"):
        generate(timeline, conditions_of(timeline), renderer, small_disk / "takes")
    kept = {path.name for path in (small_disk / "takes").iterdir()}
    assert not any(name.startswith(".") for name in kept)
    with pytest.raises(DiskFull):
        write_atomically(small_disk / "plan.json", bytes(2**20))
    assert not list(small_disk.glob(".plan*"))
    filler.unlink()
    renderer.rendered.clear()
    generate(timeline, conditions_of(timeline), renderer, small_disk / "takes")
    assert len(renderer.rendered) + len(kept) == 3, "what was finished is used"


def test_a_job_on_a_full_disk_pauses_and_goes_on_when_there_is_room(small_disk, timeline, renderer, monkeypatch):
    """The disk is full in the middle of a shot; the store stands on it too, and needs some kilobytes for itself."""
    monkeypatch.setattr("mv.generation.check_space", lambda *_: None)
    monkeypatch.setattr("mv.jobs.worker.SPARE", 2**16)
    store, stop = JobStore(small_disk), threading.Event()
    filler, paint = small_disk / "filler", renderer.render

    def noise(*values):
        return np.random.default_rng(1).integers(0, 256, paint(*values).shape, np.uint8)

    def run(job, report, cancelled):
        if len(renderer.rendered) == 0:
            filler.write_bytes(bytes(projects.free_bytes(small_disk) - 2**16))
        generate(timeline, conditions_of(timeline), renderer, small_disk / "takes")

    renderer.render = noise

    job = store.submit("song", "render")
    worker = threading.Thread(target=work, args=(store, run, stop))
    worker.start()
    try:
        wait_for(lambda: store.get(job.id).state == "paused")
        said = store.get(job.id)
        assert said.message.startswith("Paused: ") and "Free" in said.message and said.needs > 0
        filler.unlink()
        wait_for(lambda: store.get(job.id).state == "done")
    finally:
        stop.set()
        worker.join(timeout=10)
    assert len(list((small_disk / "takes").glob("*.mp4"))) == 3 and not list((small_disk / "takes").glob(".*"))


# ---------------------------------------------------------------- out and in


def test_a_project_goes_out_and_comes_back_the_same(project, tmp_path):
    packed = export_project(project, tmp_path / "clicks.zip")
    other = tmp_path / "other"
    name = import_project(packed, other)
    assert name == "clicks-12ab"
    own = {path.relative_to(project) for path in project.rglob("*") if path.is_file() and not path.is_symlink()}
    own = {path for path in own if not path.name.startswith(".")}
    assert {path.relative_to(other / name) for path in (other / name).rglob("*") if path.is_file()} == own
    assert all((other / name / path).read_bytes() == (project / path).read_bytes() for path in own)
    assert make.load_plan(other / name / "plan.json").song == str(other / name / "clicks.wav")
    assert import_project(packed, other) == "clicks-12ab-2", "the first one stays"
    assert not list(other.glob(".import*"))


def test_a_project_being_rendered_is_not_packed(project, tmp_path):
    code = (
        f"from mv.archive import export_project\nfrom mv.errors import InputError\ntry: "
        f"export_project({str(project)!r}, {str(tmp_path / 'x.zip')!r})\nexcept InputError as error: print(error)"
    )
    with projects.lock(project, "make"):
        told = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "another process (make" in told.stdout and not (tmp_path / "x.zip").exists()


def test_only_projects_are_packed(tmp_path):
    with pytest.raises(InputError, match="not a project"):
        export_project(tmp_path, tmp_path / "x.zip")


def zipped(path: Path, *members: tuple[str, bytes], mode: int = 0, method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, method
            file.writestr(info, content)
    return path


PLAN = ("p/plan.json", b"{}")


@pytest.mark.parametrize(
    "name",
    [
        "../evil.json", "p/../../evil.json", "/etc/evil.json", "p//evil.json", "p/takes/../../../evil.mp4",
        "p\\..\\evil.json", "C:/evil.json", "C:evil.json", "p/.bashrc", "p/takes/.hidden.mp4", "p/other/evil.json",
        "p/takes/deep/evil.mp4", "p/evil", "p/con.mp4", "p/aux.json", "../p/plan.json", "p/a\nb.json",
        "p/tak\u202ees.mp4",
        "~/evil.json", "p/" + "x" * 300 + ".mp4", "q/second.json",
    ],
)  # fmt: skip
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    home = tmp_path / "deep" / "home"
    before = set(tmp_path.rglob("*"))
    packed = zipped(tmp_path / "evil.zip", PLAN, (name, b"evil"))
    with pytest.raises(InputError, match=r"nothing was unpacked|not a project"):
        import_project(packed, home)
    assert set(tmp_path.rglob("*")) - before <= {packed, home, home.parent} and not home.exists()


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_links_and_devices_are_refused(tmp_path, kind):
    with pytest.raises(InputError, match="nothing was unpacked"):
        import_project(
            zipped(tmp_path / "x.zip", ("p/plan.json", b"/etc/passwd"), mode=kind | 0o777), tmp_path / "home"
        )
    assert not (tmp_path / "home").exists()


def test_bombs_are_refused_before_and_while_they_unpack(tmp_path, monkeypatch):
    bomb = zipped(tmp_path / "bomb.zip", PLAN, ("p/song.wav", bytes(40 * 2**20)), method=zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 2**20
    with pytest.raises(InputError, match="far too much"):
        import_project(bomb, tmp_path / "home")
    monkeypatch.setattr(archive, "MAX_DOCUMENT", 2**20)
    large = zipped(tmp_path / "large.zip", ("p/plan.json", bytes(2**20 + 1)), method=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="far too much"):
        import_project(large, tmp_path / "home")
    liar = zipped(tmp_path / "liar.zip", PLAN, ("p/song.wav", os.urandom(5000)))
    content = liar.read_bytes().replace((5000).to_bytes(4, "little"), (50).to_bytes(4, "little"))
    liar.write_bytes(content)
    with pytest.raises(InputError):
        import_project(liar, tmp_path / "home")
    monkeypatch.setattr(archive, "MAX_FILES", 3)
    with pytest.raises(InputError, match="1 to 3 files"):
        import_project(zipped(tmp_path / "many.zip", *((f"p/{i}.wav", b"") for i in range(4))), tmp_path / "home")
    assert not (tmp_path / "home").exists() or not list((tmp_path / "home").iterdir())


def test_two_files_of_one_place_are_refused(tmp_path):
    with pytest.raises(InputError, match="twice"):
        import_project(zipped(tmp_path / "x.zip", PLAN, ("p/Song.wav", b"a"), ("p/song.WAV", b"b")), tmp_path / "home")


@pytest.mark.parametrize("key", ["reference", "file", "song", "references"])
def test_an_undo_journal_that_names_other_files_is_refused(project, tmp_path, key):
    value = {"role": "/etc/passwd"} if key == "references" else "/etc/passwd"
    (project / "history").mkdir(exist_ok=True)
    # A separator that ends a line of text, but none of bytes, which is how the journal is read.
    line = json.dumps({"name": "\u2028", "at": 0, "before": [{key: value}], "after": []}, ensure_ascii=False)
    (project / "history" / "steps.jsonl").write_text(line + "\n", "utf-8")
    packed = export_project(project, tmp_path / "x.zip")
    with pytest.raises(InputError, match="outside of the project"):
        import_project(packed, tmp_path / "home")


@pytest.mark.parametrize("field", ["song", "analysis", "take", "reference", "image"])
@pytest.mark.parametrize("evil", ["/etc/passwd", "../../other/song.wav", "C:\\x.wav"])
def test_documents_that_name_other_files_are_refused(project, tmp_path, field, evil):
    plan = json.loads((project / "plan.json").read_text())
    shot = plan["shots"][0]
    places = {"take": (shot["takes"][0], "file"), "reference": (shot, "reference"), "image": (plan["brief"], "image")}
    place, key = places.get(field, (plan, field))
    place[key] = evil
    (project / "plan.json").write_text(json.dumps(plan))
    packed = export_project(project, tmp_path / "x.zip")
    with pytest.raises(InputError, match="outside of the project"):
        import_project(packed, tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


def test_mutated_zips_do_no_harm(project, tmp_path):
    """500 in bench/fuzz.py; here as many as are quick."""
    packed = export_project(project, tmp_path / "x.zip").read_bytes()
    rng, home = random.Random(3), tmp_path / "other"
    for number in range(60):
        content = bytearray(packed)
        for _ in range(rng.randrange(1, 30)):
            at = rng.randrange(len(content) - 600, len(content)) if rng.random() < 0.6 else rng.randrange(len(content))
            content[at] = rng.randrange(256)
        mutated = tmp_path / "mutated.zip"
        mutated.write_bytes(content[: rng.randrange(len(content))] if number % 5 == 0 else content)
        with suppress(MusicVideoError):
            import_project(mutated, home)
    assert {path.name for path in tmp_path.iterdir()} <= {"home", "other", "x.zip", "mutated.zip", "clicks.wav"}
    assert all(path.is_dir() and not path.name.startswith(".") for path in (home.iterdir() if home.exists() else []))


def test_a_full_disk_leaves_no_half_project(project, tmp_path, monkeypatch):
    packed = export_project(project, tmp_path / "x.zip")
    monkeypatch.setattr(projects, "free_bytes", lambda folder: 2**20)
    with pytest.raises(DiskFull):
        import_project(packed, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_a_home_that_cannot_be_written_is_said(project, tmp_path):
    packed = export_project(project, tmp_path / "x.zip")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        import_project(packed, tmp_path / "file")
    with pytest.raises(InputError, match="cannot read"):
        import_project(tmp_path / "nothing.zip", tmp_path / "other")


def test_the_commands_pack_and_unpack(project, tmp_path, monkeypatch):
    monkeypatch.setenv("MV_HOME", str(tmp_path / "other"))
    assert CliRunner().invoke(app, ["pack", str(project), "-o", str(tmp_path / "x.zip")]).exit_code == 0
    result = CliRunner().invoke(app, ["unpack", str(tmp_path / "x.zip")])
    assert result.exit_code == 0 and result.stdout.strip() == str(tmp_path / "other" / "clicks-12ab")
    assert CliRunner().invoke(app, ["unpack", str(project / "plan.json")]).exit_code == 2


# ---------------------------------------------------------------- versions of documents


def test_an_analysis_of_version_1_is_read(analysis, tmp_path):
    content = json.loads(analysis.model_dump_json()) | {"version": 1}
    del content["features"]["mouth"]
    (tmp_path / "analysis.json").write_text(json.dumps(content))
    read = Analysis.load(tmp_path / "analysis.json")
    assert read.version == 2 and read.features["mouth"] == read.features["voice"]


@pytest.mark.parametrize("kind", [Analysis, Timeline])
def test_a_document_of_a_newer_program_says_so(tmp_path, kind):
    (tmp_path / "x.json").write_text('{"version": 99}')
    with pytest.raises(InputError, match="newer MV Studio"):
        kind.load(tmp_path / "x.json")
