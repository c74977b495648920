"""Twenty people at one studio: each uploads a song and plans a film in a browser while another film renders.

    python bench/crowd.py                          20 browsers, twice; writes bench/results/crowd.json
    python bench/crowd.py --sessions 6 --waves 1 --model animatic

Every session is a context of one Chromium, with cookies and storage of its own, logged in as a user of its own; all
begin at the same moment, each with a song and a theme of its own. In the end every session must have the plan of its
own song; then each tries to see, read and change what is another's: the lists on the first screen, every kind of file
of every other project, the names of those projects in the page's address and in its messages. All of it must be
refused, and so must be what is nobody's to read (the job store, the log, files outside of the projects). Memory is that
of the studio's processes (page, planner, renderer, drawing process), and of the scripts in the pages. With several
waves everybody uploads another song: what the first wave left must not grow.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(place))
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from conftest import SR, click_samples, write_wav  # noqa: E402

from mv.jobs import JobStore  # noqa: E402
from mv.schema import Timeline  # noqa: E402

FILM_SECONDS = 60.0  # of the song that is rendered meanwhile
PATIENCE = 900.0  # seconds for one session, on a busy machine
THEMES = ("city street at night", "desert by day", "forest", "concert stage", "ocean shore at sunset")
FILMER = "filmer"  # the user whose film renders meanwhile


@dataclass
class Outcome:
    """What one session met in one wave. seconds: from the upload to its plan; heap: MiB of its page's scripts."""

    session: str
    project: str = ""
    seconds: float = 0.0
    heap: float = 0.0
    error: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--waves", type=int, default=2)
    parser.add_argument("--model", default="mv-mini", help="of the film that renders meanwhile")
    parser.add_argument("--film-seconds", type=float, default=FILM_SECONDS)
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/crowd.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), options.sessions, options.waves, options.film_seconds, options.model)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({name: part for name, part in report.items() if name != "each"}, indent=1))


def run(folder: Path, sessions: int, waves: int, film_seconds: float, model: str) -> dict:
    """The report; raises AssertionError where a session failed or saw what is not its own."""
    home = folder / "home"
    users = [f"singer{number}" for number in range(sessions)]
    with Server(home, [*users, FILMER]) as server:
        film = begin_film(server, folder, film_seconds, model)
        store = JobStore(home)
        job = lambda: store.status(film)
        report: dict = {"sessions, each in a browser": sessions, "film meanwhile": f"{film_seconds:g} s by {model}"}
        report |= {"MiB before": server.memory()}
        report |= asyncio.run(in_browsers(server, folder, users, waves, lambda: job().open))
        server.patience(lambda: not job().open, "the film")
        report |= {"film": job().state, "MiB at most": server.peak, "load of the machine": round(os.getloadavg()[0], 1)}
    assert job().state == "done", job().error
    for log in (folder / "server.log", home / "worker.log"):
        assert "Traceback" not in log.read_text(), log.read_text()[-3000:]
    return report


# ---------------------------------------------------------------- the studio


PROCESSES = {"mv.ui.strips": "drawing", "--device planning": "planner", "--device": "renderer"}


class Server:
    """The studio in a process of its own, watched."""

    def __init__(self, home: Path, users: list[str]) -> None:
        self.home, self.users, self.peak = home, users, {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._over = threading.Event()

    def __enter__(self) -> "Server":
        self.home.mkdir(parents=True)
        environment = {**os.environ, "MV_DEVICES": str(self.home.parent / "devices")}
        environment.pop("GRADIO_TEMP_DIR", None)
        command = [sys.executable, str(ROOT / "app.py"), "--port", str(self.port), "--output-dir", str(self.home)]
        command += [word for user in self.users for word in ("--auth", f"{user}:{secret_of(user)}")]
        log = (self.home.parent / "server.log").open("wb")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)
        self.patience(self._answers, "the studio")
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _answers(self) -> bool:
        assert self.process.poll() is None, (self.home.parent / "server.log").read_text()
        try:
            return urllib.request.urlopen(self.url, timeout=30).status == 200
        except OSError:
            return False

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            for name, size in self.memory().items():
                self.peak[name] = max(size, self.peak.get(name, 0))

    def memory(self) -> dict[str, int]:
        """MiB in memory by process."""
        found: dict[str, int] = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes().split(b"\0")
                size = int(re.search(rb"VmRSS:\s+(\d+)", (folder / "status").read_bytes())[1]) // 1024
                parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, TypeError):
                continue
            if int(folder.name) == self.process.pid:
                found["page"] = size
            elif parent == self.process.pid:
                said = b" ".join(words[1:]).decode()
                name = next((name for word, name in PROCESSES.items() if word in said), "other")
                found[name] = found.get(name, 0) + size
        return found

    def patience(self, condition, what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"waited in vain for {what}"
            time.sleep(0.5)


def secret_of(user: str) -> str:
    return f"secret of {user}"


# ---------------------------------------------------------------- the film


def begin_film(server: Server, folder: Path, seconds: float, model: str) -> str:
    """A project whose film is being rendered; its name."""
    from gradio_client import Client, handle_file

    account = (FILMER, secret_of(FILMER))
    client = Client(server.url, auth=account, verbose=False, httpx_kwargs={"timeout": PATIENCE})
    song = write_wav(folder / "film.wav", click_samples(seconds, SR), SR)
    name = client.predict(handle_file(str(song)), "concert stage", model=model, seed=1, api_name="/plan")
    store = JobStore(server.home)
    server.patience(lambda: store.status(name).state == "done", "the first plan")
    client.predict(name, api_name="/render")
    server.patience(lambda: any(shot.state == "running" for shot in store.shots(name)), "the film's first shot")
    return name


# ---------------------------------------------------------------- the sessions


async def in_browsers(server: Server, folder: Path, users: list[str], waves: int, film_renders) -> dict:
    """All sessions at once, wave after wave, then what each may not do."""
    from browsing import CHROMIUM, FLAGS
    from playwright.async_api import async_playwright

    outcomes, told, slept = [], {}, {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        contexts = [await browser.new_context(viewport={"width": 1280, "height": 720}) for _ in users]
        for wave in range(waves):
            songs = [make_song(folder / f"{user} {wave}.wav", number, wave) for number, user in enumerate(users)]
            begin = asyncio.Barrier(len(users))
            sessions = zip(users, contexts, songs)
            outcomes += await asyncio.gather(*(one_session(server, *one, begin) for one in sessions))
            told[f"film still rendering after wave {wave + 1}"] = film_renders()
            slept[f"MiB after wave {wave + 1}"] = server.memory()
        check_plans(server.home, outcomes)
        projects = {user: [o.project for o in outcomes if o.session == user] for user in users}
        refused = await asyncio.gather(
            *(try_others(server, *one, projects) for one in zip(users, contexts)), return_exceptions=True
        )
        for fault in refused:
            if isinstance(fault, BaseException):
                raise fault
        await browser.close()
    seconds = [outcome.seconds for outcome in outcomes]
    return {
        "failed": sum(bool(outcome.error) for outcome in outcomes),
        **told,
        "seconds to the plan, first and last": [min(seconds), max(seconds)],
        "attempts at what is another's, all refused": sum(refused),
        **slept,
        "MiB of a page's scripts, at most": max(outcome.heap for outcome in outcomes),
        "each": [asdict(outcome) for outcome in outcomes],
    }


def make_song(path: Path, number: int, wave: int) -> Path:
    """A few bars of clicks; no two alike."""
    return write_wav(path, click_samples(8.0 + number % 5, SR, bpm=100 + 4 * number + wave), SR)


def theme_of(song: Path) -> str:
    """Each its own; the song's name is part of it."""
    return f"{THEMES[sum(map(ord, song.stem)) % len(THEMES)]}, {song.stem}"


async def one_session(server: Server, user: str, context, song: Path, begin: asyncio.Barrier) -> Outcome:
    outcome = Outcome(user)
    try:
        await asyncio.wait_for(plan_in_page(server, context, song, outcome, begin), PATIENCE)
    except Exception as error:  # a session that fails is a finding, not the end of the bench
        await begin.abort()
        outcome.error = f"{type(error).__name__}: {error}"
    return outcome


async def plan_in_page(server: Server, context, song: Path, outcome: Outcome, begin: asyncio.Barrier) -> None:
    """As a user does it: log in, upload, write a theme, press Plan, wait until every shot is drawn."""
    faults: list[str] = []
    page = await context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.set_default_timeout(PATIENCE * 1000)
    account = {"username": outcome.session, "password": secret_of(outcome.session)}
    assert (await context.request.post(f"{server.url}/login", form=account, timeout=PATIENCE * 1000)).ok
    await page.goto(server.url)
    await page.wait_for_selector("#make")
    await begin.wait()
    start = time.monotonic()
    await page.set_input_files("#song input[type=file]", str(song))
    await page.wait_for_selector("#song .component-wrapper, #song audio", state="attached")
    await page.fill("#theme textarea", theme_of(song))
    for field, words in (("size", "draft"), ("model", "animatic")):
        await page.click(f"#{field} input")
        await page.locator("ul[role=listbox] li", has_text=words).first.click()
    await page.click("#plan-only")
    await page.wait_for_selector(".mv-shot")
    await page.wait_for_selector(".mv-status[data-state=done]")
    outcome.seconds = round(time.monotonic() - start, 1)
    await page.wait_for_function("MVStudio.link.shots.every((s) => MVStudio.link.state.drawn.has(s.strip))")
    outcome.project = parse_qs(urlsplit(page.url).query)["project"][0]
    outcome.heap = round(await page.evaluate("performance.memory.usedJSHeapSize") / 2**20, 1)
    outcome.error = "; ".join(faults)
    await page.close()


def check_plans(home: Path, outcomes: list[Outcome]) -> None:
    failed = [outcome for outcome in outcomes if outcome.error]
    assert failed == [], failed
    assert len({outcome.project for outcome in outcomes}) == len(outcomes), "one project a session and song"
    for outcome in outcomes:
        plan = Timeline.load(home / outcome.project / "plan.json")
        assert plan.song.startswith(f"{outcome.session} ") and plan.song.removesuffix(".wav") in plan.brief.theme


# ---------------------------------------------------------------- what is not theirs


async def try_others(server: Server, user: str, context, projects: dict[str, list[str]]) -> int:
    """How many attempts of a user at what is not theirs were refused; AssertionError where one was not."""
    page = await context.new_page()
    page.set_default_timeout(PATIENCE * 1000)
    await page.goto(server.url)
    await page.wait_for_selector(".mv-recent a")
    listed = await page.eval_on_selector_all(".mv-recent a", "links => links.map((link) => link.href)")
    assert sorted(parse_qs(urlsplit(url).query)["project"][0] for url in listed) == sorted(projects[user])
    await page.click("#picker input")
    offered = await page.locator("ul[role=listbox] li").all_inner_texts()
    assert len(offered) == len(projects[user]), offered
    own = server.home / projects[user][0]
    for path in files_of(own):
        assert await status_of(context, server, path) == 200, path
    refused = 0
    for path in nobodys(server.home):
        assert await status_of(context, server, path) in (403, 404), path
        refused += 1
    others = [name for other, names in projects.items() if other != user for name in names]
    for name in others:
        for path in files_of(server.home / name):
            assert await status_of(context, server, path) == 403, f"{user} read {path}"
            refused += 1
        for what in ("news", "edit", "ask"):
            message = {"project": name, "seen": {}, "ask": "sync", "edits": [{"seq": 1, "op": "undo"}]}
            answer = await context.request.post(f"{server.url}/mv/{what}", data=message, timeout=PATIENCE * 1000)
            said = await answer.text()
            assert "plan" not in json.loads(said) and "song" not in said, f"{user} was told of {name}: {said[:200]}"
            refused += 1
    stranger = others[sum(map(ord, user)) % len(others)]
    await page.goto(f"{server.url}/?project={quote(stranger, safe='')}")
    await page.wait_for_selector("text=there is no project")
    assert await page.locator(".mv-shot").count() == 0
    await page.close()
    return refused + 1


def files_of(folder: Path) -> list[Path]:
    """One of every kind in a project."""
    kinds: dict[tuple[str, str], Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            kinds.setdefault((path.parent.name, path.suffix), path)
    return list(kinds.values())


def nobodys(home: Path) -> list[Path]:
    return [
        home / "jobs.sqlite3", home / "jobs.sqlite3-wal", home / "worker.log", home.parent / "server.log",
        home / ".." / "server.log", ROOT / "app.py", Path("/etc/passwd"), Path("/proc/self/environ"),
    ]  # fmt: skip


async def status_of(context, server: Server, path: Path) -> int:
    address = f"{server.url}/gradio_api/file={quote(str(path))}"
    return (await context.request.get(address, timeout=PATIENCE * 1000)).status


if __name__ == "__main__":
    main()
