"""Several users at one studio: nobody sees, reads or touches what is another's."""

import http.cookiejar
import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import SR, click_samples, write_wav
from test_ui import DRAFT

from mv import make
from mv.errors import InputError
from mv.jobs import JobStore, Worker
from mv.ui.project import Project, run_job
from mv.ui.spaces import FileDoor, Spaces, check_accounts
from mv.ui.studio import WISHES, Studio


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("MV_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MV_DEVICES", str(tmp_path / "devices"))
    return tmp_path / "home"


@pytest.fixture
def song(tmp_path) -> Path:
    return write_wav(tmp_path / "song.wav", click_samples(6.0, SR), SR)


class NoWorker(Worker):
    def ensure(self) -> None:
        pass

    def keep(self, store: JobStore) -> None:
        pass


def do_jobs(store: JobStore) -> None:
    while job := store.claim("here:1:a"):
        run_job(store, job, lambda progress: None, lambda: False)
        store.finish(job.id, "here:1:a", "done")


# ---------------------------------------------------------------- names and files


def test_names_of_projects_keep_users_apart(home):
    spaces = Spaces(home, apart=True)
    for name in ("users/ann/song", "users/bob/song", "old"):
        (home / name).mkdir(parents=True)
        (home / name / "project.json").write_text("{}")
    assert spaces.names("ann") == ["users/ann/song"] and spaces.names("bob") == ["users/bob/song"]
    assert spaces.open("users/ann/song", "ann").folder == home / "users/ann/song"
    for name in (
        "users/bob/song",
        "old",
        "song",
        "users/ann/../bob/song",
        "users/ann/",
        "",
        "users/ann/x/../../bob/song",
    ):
        with pytest.raises(InputError, match="there is no project"):
            spaces.open(name, "ann")
    for nobody in ("", "..", "a/b", "ann/../bob"):
        with pytest.raises(InputError, match="log in first"):
            spaces.names(nobody)


def test_a_household_shares_its_projects_but_not_those_of_users(home):
    spaces = Spaces(home)
    for name in ("users/bob/song", "ours"):
        (home / name).mkdir(parents=True)
        (home / name / "project.json").write_text("{}")
    assert spaces.names("") == ["ours"] and spaces.open("ours", "").name == "ours"
    with pytest.raises(InputError):
        spaces.open("users/bob/song", "")


def test_a_user_reads_their_own_files_alone(home, tmp_path):
    spaces = Spaces(home, apart=True)
    own, link = home / "users/ann/song/film.mp4", home / "users/ann/link"
    for path in (own, home / "users/bob/song/film.mp4", home / "uploads/f00/song.wav", home / "users/anna/film.mp4"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    link.symlink_to(home / "users/bob")
    assert spaces.may_read(own, "ann") and spaces.may_read(home / "uploads/f00/song.wav", "ann")
    for path in (
        home / "users/bob/song/film.mp4", home / "users/ann/../bob/song/film.mp4", home / "users/anna/film.mp4",
        link / "song/film.mp4", home / "jobs.sqlite3", home / "worker.log", home,
    ):  # fmt: skip
        assert not spaces.may_read(path, "ann"), path
    assert not spaces.may_read(own, None)
    assert Spaces(home).may_read(own, None)


@pytest.mark.parametrize("users", [["ann", "../bob"], ["ann", ".hidden"], ["ann", "a b"], ["ann", "Ann"], ["a", "a"]])
def test_users_have_names_that_can_be_folders(users):
    with pytest.raises(InputError, match="--auth"):
        check_accounts(users)
    check_accounts(["ann", "bob.2"])


def test_accounts_are_read_from_the_command():
    from mv.ui.blocks import parse_auth

    assert parse_auth(None, needed=False) is None and parse_auth([], needed=False) is None
    assert parse_auth("an owner:pass:word", needed=True) == [("an owner", "pass:word")]
    assert parse_auth(["ann:x", "bob:y"], needed=True) == [("ann", "x"), ("bob", "y")]
    for bad in (["ann:x", "Ann:y"], ["ann:x", "../bob:y"], ["ann:x", "bob"]):
        with pytest.raises(InputError, match="--auth"):
            parse_auth(bad, needed=False)
    with pytest.raises(InputError, match="set a password"):
        parse_auth([], needed=True)


# ---------------------------------------------------------------- the studio


def test_two_users_with_one_song_have_two_projects(home, song):
    from mv.ui.blocks import build

    page = build(home, NoWorker(home), apart=True).studio.page
    studio = Studio(home, NoWorker(home), page, apart=True)
    wishes = [{**DRAFT, "seed": 1, "song": str(song), "theme": theme} for theme in ("forest", "desert by day")]
    for user, wish in zip(("ann", "bob"), wishes):
        opened = studio.start("plan", *(wish[name] for name in WISHES), user=user)
        assert opened[page.name].startswith(f"users/{user}/song-")
    do_jobs(studio.store)
    ann, bob = (studio.spaces.open(studio.spaces.names(user)[0], user) for user in ("ann", "bob"))
    assert (ann.plan().brief.theme, bob.plan().brief.theme) == ("forest", "desert by day")
    assert sorted(path.name for path in home.glob("*") if path.is_dir()) == ["users"], "nothing lies outside of theirs"
    # What one of them names is not there for the other: opened, edited, asked about, listed.
    with pytest.raises(InputError, match="there is no project"):
        studio.open_named(bob.name, "ann")
    assert studio.poll({"project": bob.name}, "ann") == {"kind": "news", "seen": {}, "busy": False}
    before = bob.plan()
    edited = studio.edit({"project": bob.name, "edits": [{"seq": 1, "op": "undo"}]}, "ann")
    assert "there is no project" in edited["acks"][0]["error"] and "plan" not in edited
    for what in ("sync", "render", "cancel", "deliver", "look", "measure", "retake", "delete take"):
        answer = studio.ask({"project": bob.name, "ask": what, "what": "zip", "id": "s1"}, "ann")
        assert "there is no project" in answer["error"], what
    with pytest.raises(InputError, match="there is no project"):
        studio.keep_model(bob.name, "animatic", 0, user="ann")
    assert bob.plan() == before
    request = SimpleNamespace(username="ann", query_params={"project": bob.name})
    with pytest.raises(InputError, match="there is no project"):
        studio.open(request)
    first = studio.open(SimpleNamespace(username="ann", query_params={}))
    assert bob.name not in first[page.recent] and "bob" not in str(first[page.picker].choices)
    assert ann.name in first[page.recent]
    studio.stop()


def test_a_project_rendered_for_a_user_stays_in_their_folder_and_comes_back_as_a_zip(home, song):
    from mv.ui.blocks import build

    studio = build(home, NoWorker(home), apart=True).studio
    wish = {**DRAFT, "seed": 1, "song": str(song)}
    studio.start("make", *(wish[name] for name in WISHES), user="ann")
    do_jobs(studio.store)
    project = studio.spaces.open(studio.spaces.names("ann")[0], "ann")
    assert project.film().is_relative_to(home / "users/ann") and project.film().name.startswith("song-")
    packed = home / urllib.parse.unquote(
        studio.ask({"project": project.name, "ask": "deliver", "what": "zip"}, "ann")["file"]["url"].partition("=")[2]
    )
    opened = studio.open_archive(str(packed), "bob")
    assert opened[studio.page.name] == f"users/bob/{project.folder.name}"
    assert studio.spaces.open(opened[studio.page.name], "bob").plan() == project.plan()
    studio.stop()


def test_takes_are_borrowed_from_the_same_users_projects_only(home, song, monkeypatch):
    from mv.ui.blocks import build

    studio = build(home, NoWorker(home), apart=True).studio
    wish = {**DRAFT, "seed": 1, "song": str(song)}
    studio.start("make", *(wish[name] for name in WISHES), user="ann")
    do_jobs(studio.store)
    project = studio.spaces.open(studio.spaces.names("ann")[0], "ann")
    for user in ("ann", "bob"):
        other = home / f"users/{user}/other"
        other.mkdir(parents=True)
        for name in ("plan.json", "analysis.json", project.plan().song):
            (other / name).write_bytes((project.folder / name).read_bytes())
        elsewhere = make._other_takes(make.load_plan(other / "plan.json"))
        assert (project.folder / "takes" in elsewhere) == (user == "ann")
    studio.stop()


# ---------------------------------------------------------------- the server


class Visitor:
    """A client with cookies of its own."""

    def __init__(self, url: str, user: str = "") -> None:
        self.url = url
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        if user:
            form = urllib.parse.urlencode({"username": user, "password": f"secret of {user}"}).encode()
            self.opener.open(f"{url}login", form, timeout=20)

    def get(self, address: str) -> int:
        return self.answer(urllib.request.Request(self.url + address))[0]

    def post(self, address: str, message: dict) -> tuple[int, bytes]:
        kind = {"Content-Type": "application/json"}
        return self.answer(urllib.request.Request(self.url + address, json.dumps(message).encode(), kind))

    def answer(self, request: urllib.request.Request) -> tuple[int, bytes]:
        try:
            with self.opener.open(request, timeout=20) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def test_through_the_server_nobody_reads_what_is_anothers(home, monkeypatch):
    from mv.ui.blocks import launch

    monkeypatch.setattr(Worker, "keep", lambda self, store: None)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(home / "uploads"))
    blocks = launch(home, auth=["ann:secret of ann", "bob:secret of bob"], block=False)
    try:
        files = {}
        for user in ("ann", "bob"):
            files[user] = home / "users" / user / "p-1" / "films" / "film.mp4"
            files[user].parent.mkdir(parents=True)
            files[user].write_bytes(b"film")
            (files[user].parents[1] / "project.json").write_text('{"song": "p.wav"}')
        ours = home / "older" / "takes" / "take.mp4"
        ours.parent.mkdir(parents=True)
        ours.write_bytes(b"take")
        ann, bob, nobody = Visitor(blocks.local_url, "ann"), Visitor(blocks.local_url, "bob"), Visitor(blocks.local_url)
        quoted = urllib.parse.quote
        for form in ("gradio_api/file={}", "gradio_api/file/{}"):
            assert ann.get(form.format(quoted(str(files["ann"])))) == 200
            assert bob.get(form.format(quoted(str(files["bob"])))) == 200
            sly = home / "users/ann/../bob/p-1/films/film.mp4"
            for path in (files["bob"], sly, ours, home / "jobs.sqlite3", home / "worker.log"):
                for address in (quoted(str(path)), quoted(quoted(str(path))), quoted(str(path), safe="")):
                    assert ann.get(form.format(address)) in (403, 404), address
            assert nobody.get(form.format(files["ann"])) in (401, 403)
        for what in ("news", "edit", "ask"):
            status, told = ann.post(
                f"mv/{what}", {"project": "users/bob/p-1", "ask": "sync", "edits": [{"op": "undo"}]}
            )
            assert status == 200 and b"p.wav" not in told and (what == "news" or b"there is no project" in told)
            assert nobody.post(f"mv/{what}", {"project": "users/bob/p-1"})[0] == 401
        said = bob.post("mv/ask", {"project": "users/bob/p-1", "ask": "sync"})[1]
        assert b"there is no project" not in said
    finally:
        blocks.close()
        blocks.studio.stop()


def test_scripts_of_a_user_reach_their_own_projects_alone(home, song, monkeypatch):
    from gradio_client import Client, handle_file

    from mv.ui.blocks import launch

    monkeypatch.setattr(Worker, "keep", lambda self, store: None)
    monkeypatch.setattr(Worker, "ensure", lambda self: None)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(home / "uploads"))
    blocks = launch(home, auth=["ann:secret of ann", "bob:secret of bob"], block=False)
    try:
        ann, bob = (
            Client(blocks.local_url, auth=(user, f"secret of {user}"), verbose=False) for user in ("ann", "bob")
        )
        name = ann.predict(handle_file(str(song)), "forest", model="animatic", size="draft", api_name="/plan")
        assert name.startswith("users/ann/song-") and ann.predict(name, api_name="/status")["state"] == "queued"
        for verb in ("/status", "/render", "/download"):
            with pytest.raises(Exception, match="there is no project"):
                bob.predict(name, api_name=verb)
    finally:
        blocks.close()
        blocks.studio.stop()


def test_what_a_zip_brought_in_cannot_speak_for_the_studio(home, monkeypatch):
    """A page or a drawing with a script in it, opened by its address, runs in no context of ours."""
    from mv.ui.blocks import launch

    monkeypatch.setattr(Worker, "keep", lambda self, store: None)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(home / "uploads"))
    blocks = launch(home, block=False)
    try:
        page = home / "p" / "evil.html"
        page.parent.mkdir(parents=True)
        page.write_text("<script>alert(1)</script>")
        with urllib.request.urlopen(f"{blocks.local_url}gradio_api/file={page}", timeout=20) as answer:
            assert answer.headers["Content-Security-Policy"] == "sandbox"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
        with urllib.request.urlopen(blocks.local_url, timeout=20) as answer:
            assert answer.headers["Content-Security-Policy"] is None
    finally:
        blocks.close()
        blocks.studio.stop()


def test_the_door_lets_other_traffic_through():
    """Only what names a file is looked at."""
    import asyncio

    seen = []

    async def app(scope, receive, send):
        seen.append(scope["path"])

    door = FileDoor(app, Spaces(Path("/nowhere"), apart=True))
    for kind, path in (("http", "/"), ("http", "/mv/news"), ("websocket", "/gradio_api/file=/x")):
        asyncio.run(door({"type": kind, "path": path}, None, None))
    assert seen == ["/", "/mv/news", "/gradio_api/file=/x"]


def test_a_project_may_be_named_by_its_user_only_one_level_deep(home):
    for name in ("users/ann/a/b", "users/ann", "users//song", "users/../song", "other/song"):
        with pytest.raises(InputError, match="there is no project"):
            Project(home, name)
