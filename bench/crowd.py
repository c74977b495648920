"""Twenty people at one studio: each uploads a song and plans a film while another film renders.

    python bench/crowd.py                          20 sessions, 3 of them in a real Chromium; bench/results/crowd.json
    python bench/crowd.py --sessions 6 --browsers 0

Sessions in a browser drive the page; the others speak gradio's protocol as its client does: upload, plan, ask how it
stands. All begin at once, each with a song and a theme of its own. At the end every session must have its plan, of its
own song, and must have been told of no other; what is not its to read (the job store, the log, files outside of the
projects) must be refused. Memory is that of the studio's processes: the page, the planner, the renderer, the drawing
process. The list of projects on the first screen is everyone's: a studio has one password and one household.
"""

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

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


@dataclass
class Outcome:
    """What one session met. seconds: from the upload to its plan; error: "" where all went well."""

    session: str
    project: str = ""
    seconds: float = 0.0
    error: str = ""
    told: str = field(default="", repr=False)  # all that the studio answered


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--browsers", type=int, default=3, help="so many of them in a real Chromium")
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/crowd.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = run(Path(folder), options.sessions, options.browsers)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps({name: part for name, part in report.items() if name != "each"}, indent=1))


def run(folder: Path, sessions: int, browsers: int, film_seconds: float = FILM_SECONDS) -> dict:
    """The report; raises AssertionError where a session failed or saw what is not its own."""
    home = folder / "home"
    with Server(home) as server:
        film = begin_film(server, folder, film_seconds)
        before = server.memory()
        songs = [make_song(folder / f"song {number}.wav", number) for number in range(sessions)]
        outcomes = crowd(server, songs, browsers)
        rendering = JobStore(home).status(film).open
        refused = doors(server, home)
        job = finished(home, film)
        report = {
            "sessions": sessions,
            "of them in a browser": browsers,
            "failed": sum(bool(outcome.error) for outcome in outcomes),
            "film still rendering when the last plan was there": rendering,
            "film": job.state,
            "seconds to the plan, first and last": [round(f(o.seconds for o in outcomes), 1) for f in (min, max)],
            "refused": refused,
            "MiB before": before,
            "MiB at most": server.peak,
            "load of the machine": round(os.getloadavg()[0], 1),
            "each": [{k: v for k, v in asdict(outcome).items() if k != "told"} for outcome in outcomes],
        }
    check(home, outcomes)
    assert job.state == "done", job.error
    return report


def check(home: Path, outcomes: list[Outcome]) -> None:
    assert [outcome for outcome in outcomes if outcome.error] == []
    names = [outcome.project for outcome in outcomes]
    assert len(set(names)) == len(names), "one project a session"
    for number, outcome in enumerate(outcomes):
        plan = Timeline.load(home / outcome.project / "plan.json")
        assert plan.song == f"song {number}.wav" and plan.brief.theme == theme_of(number)
        strangers = [name for name in names if name != outcome.project and name in outcome.told]
        assert strangers == [], f"session {number} was told of {strangers}"


# ---------------------------------------------------------------- the studio


class Server:
    """The studio in a process of its own, watched."""

    def __init__(self, home: Path) -> None:
        self.home, self.peak = home, {}
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
        log = (self.home.parent / "server.log").open("wb")
        self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=ROOT)
        wait_for(self._answers, "the studio")
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
                found[b" ".join(words[1:]).decode().replace(str(self.home), "").strip()] = size
        return found


def wait_for(condition, what: str, seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


# ---------------------------------------------------------------- the sessions


def begin_film(server: Server, folder: Path, seconds: float) -> str:
    """A project whose film is being rendered; its name."""
    client = client_of(server)
    song = write_wav(folder / "film.wav", click_samples(seconds, SR), SR)
    name = plan_by_api(client, song, "concert stage", size="standard")[0]
    wait_for(lambda: JobStore(server.home).status(name).state == "done", "the first plan")
    client.predict(name, api_name="/render")
    wait_for(lambda: any(s.state == "running" for s in JobStore(server.home).shots(name)), "the film's first shot")
    return name


def client_of(server: Server):
    from gradio_client import Client

    return Client(server.url, verbose=False, httpx_kwargs={"timeout": PATIENCE})


def plan_by_api(client, song: Path, theme: str, size: str = "draft") -> tuple[str, str]:
    """The project's name, and the answer."""
    from gradio_client import handle_file

    name = client.predict(handle_file(str(song)), theme, size=size, model="animatic", seed=1, api_name="/plan")
    return name, str(name)


def make_song(path: Path, number: int) -> Path:
    """A few bars of clicks; no two alike."""
    return write_wav(path, click_samples(8.0 + number % 5, SR, bpm=100 + 4 * number), SR)


def theme_of(number: int) -> str:
    return f"{THEMES[number % len(THEMES)]}, singer number {number}"


def crowd(server: Server, songs: list[Path], browsers: int) -> list[Outcome]:
    """All at once; browsers take the first songs."""
    outcomes = [Outcome(f"{'browser' if n < browsers else 'client'} {n}") for n in range(len(songs))]
    begin = threading.Barrier(len(songs) - browsers + (1 if browsers else 0))
    with ThreadPoolExecutor(len(songs) + 1) as pool:
        ends = [pool.submit(by_client, server, songs[n], n, outcomes[n], begin) for n in range(browsers, len(songs))]
        if browsers:
            ends.append(pool.submit(by_browser, server, songs[:browsers], outcomes[:browsers], begin))
        for end in ends:
            end.result()
    return outcomes


def by_client(server: Server, song: Path, number: int, outcome: Outcome, begin: threading.Barrier) -> None:
    try:
        client = client_of(server)
        begin.wait(PATIENCE)
        start = time.monotonic()
        outcome.project, outcome.told = plan_by_api(client, song, theme_of(number))
        while True:
            status = client.predict(outcome.project, api_name="/status")
            outcome.told += json.dumps(status)
            if not status["open"]:
                break
            assert time.monotonic() - start < PATIENCE, f"no plan after {PATIENCE:.0f} s: {status}"
            time.sleep(0.5)
        outcome.seconds = round(time.monotonic() - start, 1)
        outcome.error = "" if status["state"] == "done" else str(status)
    except Exception as error:  # a session that fails is a finding, not the end of the bench
        begin.abort()
        outcome.error = f"{type(error).__name__}: {error}"


def by_browser(server: Server, songs: list[Path], outcomes: list[Outcome], begin: threading.Barrier) -> None:
    """Pages of one Chromium, each with cookies and storage of its own."""
    try:
        drive_pages(server, songs, outcomes, begin)
    except Exception as error:
        begin.abort()
        for outcome in outcomes:
            outcome.error = outcome.error or f"{type(error).__name__}: {error}"


def drive_pages(server: Server, songs: list[Path], outcomes: list[Outcome], begin: threading.Barrier) -> None:
    from playwright.sync_api import sync_playwright
    from test_browser import CHROMIUM, FLAGS, choose, upload

    faults: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        pages = [browser.new_context().new_page() for _ in songs]
        for page in pages:
            page.on("pageerror", lambda error: faults.append(str(error)))
            page.set_default_timeout(PATIENCE * 1000)
            page.goto(server.url)
            page.wait_for_selector("#make")
        begin.wait(PATIENCE)
        start = time.monotonic()
        for number, (page, song) in enumerate(zip(pages, songs)):
            upload(page, song)
            page.fill("#theme textarea", theme_of(number))
            choose(page, "size", "draft")
            choose(page, "model", "animatic")
            page.click("#plan-only")
        for page, outcome in zip(pages, outcomes):
            page.wait_for_selector(".mv-shot")
            page.wait_for_selector(".mv-status[data-state=done]")
            outcome.seconds = round(time.monotonic() - start, 1)
            outcome.project = parse_qs(urlsplit(page.url).query)["project"][0]
            # All that the editor knows; the first screen's list of projects is everyone's.
            outcome.told = page.evaluate("JSON.stringify([MVStudio.link.project, MVStudio.link.shots])")
            outcome.error = "; ".join(faults)
        browser.close()


def doors(server: Server, home: Path) -> int:
    """How many files were asked for that nobody may read; all must be refused."""
    forbidden = [
        home / "jobs.sqlite3", home / "jobs.sqlite3-wal", home / "worker.log", home.parent / "server.log",
        home / ".." / "server.log", ROOT / "app.py", Path("/etc/passwd"), Path("/proc/self/environ"),
    ]  # fmt: skip
    for path in forbidden:
        try:
            answer = urllib.request.urlopen(f"{server.url}/gradio_api/file={path}", timeout=60)
            raise AssertionError(f"{path} was handed out ({answer.status})")
        except urllib.error.HTTPError as refused:
            assert refused.code in (403, 404), path
    return len(forbidden)


def finished(home: Path, project: str):
    """The film's job when it has ended."""
    wait_for(lambda: not JobStore(home).status(project).open, "the film")
    return JobStore(home).status(project)


if __name__ == "__main__":
    main()
