"""How tests drive the studio: a real Chromium on the real page, server, worker process and animatic.

Fixtures (tests/conftest.py hands them out): browser, home, studio, new_page, page. What is waited for is a state of the
page or of Python, never a time.
"""

import os
import random
import shutil
import time
import wave
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import av
import numpy as np
import pytest

from mv.ui.project import Project

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
SCREENSHOTS = Path(os.environ.get("SCREENSHOTS") or Path(__file__).parents[1] / "runs" / "screenshots")
HOSTILE = (
    "<img src=x onerror='window.hacked=1'> <script>window.hacked=2</script> ${window.hacked=3} {{window.hacked=4}} "
    "مرحبا 👩🏽‍🚀 desert"
)


def write_song(path: Path, seconds: float) -> Path:
    """A click on every beat at 120 BPM over a hum."""
    sr = 22050
    t = np.arange(round(sr * seconds)) / sr
    y = 0.1 * np.sin(2 * np.pi * 220 * t) + 0.7 * np.exp(-(t % 0.5) * 60) * np.sin(2 * np.pi * 900 * t)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sr)
        file.writeframes((y * 32000).astype("<i2").tobytes())
    return path


@pytest.fixture(scope="module")
def browser():
    give_up = pytest.fail if os.environ.get("CI") else pytest.skip
    if not Path(CHROMIUM).exists():
        give_up("no Chromium here: install it (apt-get install chromium), or name it in CHROMIUM")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        give_up("no playwright here: pip install -r requirements-dev.txt")
    playwright = sync_playwright().start()
    chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
    yield chromium
    chromium.close()
    playwright.stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def studio(home):
    from mv.ui.blocks import launch

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MV_HOME", str(home))
        patch.setenv("GRADIO_TEMP_DIR", str(home / "uploads"))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        blocks = launch(home, block=False)
        yield blocks.local_url
        blocks.close()
        blocks.studio.stop()


@pytest.fixture
def new_page(browser, studio, monkeypatch):
    """Opens pages that note every request and every fault; no request may leave the machine, no script may fail.

    The seed that a film of seed -1 gets is the same every time: another seed is another plan.
    """
    contexts, asked, faults = [], [], []
    monkeypatch.setattr("mv.ui.studio.any_seed", random.Random(1).getrandbits)

    def open_page(width: int = 1280, height: int = 720):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}))
        contexts[-1].on("request", lambda request: asked.append(request.url))  # of every page and worker in it
        page = contexts[-1].new_page()
        page.on("websocket", lambda socket: asked.append(socket.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.set_default_timeout(60_000)
        page.goto(studio)
        page.wait_for_selector("#make")
        return page

    yield open_page
    for context in contexts:
        context.close()
    hosts = {urlsplit(url).hostname for url in asked if urlsplit(url).scheme in ("http", "https", "ws", "wss")}
    assert hosts == {"127.0.0.1"} and faults == []


@pytest.fixture
def page(new_page):
    return new_page()


def choose(page, field: str, words: str) -> None:
    page.click(f"#{field} input")
    page.locator("ul[role=listbox] li", has_text=words).first.click()


def upload(page, song: Path) -> None:
    page.set_input_files("#song input[type=file]", str(song))
    page.wait_for_selector(
        "#song .component-wrapper, #song audio, #song [data-testid=waveform-controls]", state="attached"
    )


def plan_a_song(page, song: Path, model: str = "animatic") -> None:
    upload(page, song)
    choose(page, "size", "draft")
    choose(page, "model", model)
    page.click("#plan-only")
    page.wait_for_selector(".mv-shot", timeout=180_000)
    wait_for_state(page, "done")


def wait_for_state(page, *states: str, seconds: float = 120) -> str:
    wanted = ", ".join(f".mv-status[data-state={state}]" for state in states)
    page.wait_for_selector(wanted, timeout=seconds * 1000)
    return page.inner_text(".mv-status")


def project_of(page, home: Path) -> Project:
    return Project(home, parse_qs(urlsplit(page.url).query)["project"][0])


def settled(page) -> None:
    """Every edit has been answered."""
    page.wait_for_function("MVStudio.link.pending.size === 0")


def shots_on(page) -> list[list]:
    """[id, start, end] of every shot as the page has it."""
    return page.evaluate("MVStudio.link.shots.map((s) => [s.id, s.start, s.end])")


def in_agreement(page, home: Path) -> list[list]:
    """The page and Python have the same plan, to the frame; returns it."""
    settled(page)
    shots = shots_on(page)
    assert shots == [[s.id, s.start, s.end] for s in project_of(page, home).plan().shots]
    return shots


def x_of(page, frame: float) -> float:
    """Where a frame is on the screen."""
    left = page.evaluate("MVStudio.timeline.inner.getBoundingClientRect().left")
    return left + page.evaluate(f"MVStudio.timeline.x({frame})")


def block(page, shot_id: str):
    return page.get_by_test_id(f"shot-{shot_id}")


def drag(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move((start[0] + end[0]) / 2, end[1], steps=4)
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def seek(page, frame: int) -> None:
    """The playhead on this frame of the film, and shown there."""
    page.evaluate(f"MVStudio.stage.seekFrame({frame})")
    page.wait_for_function(f"MVStudio.stage.frameNow === {frame}")


def at_rest(page) -> None:
    """Nothing changes its colour or place slowly any more."""
    page.wait_for_function(
        "document.getAnimations().every((a) => !(a instanceof CSSTransition) || a.playState === 'finished')"
    )


def screenshot(page, name: str) -> None:
    """Kept in runs/screenshots, or where SCREENSHOTS says; a page that cannot be painted fails here."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    assert len(page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)) > 10_000


def until(true: Callable[[], bool], seconds: float = 60) -> None:
    """Python has come so far."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"not within {seconds} seconds"
        time.sleep(0.05)


def type_into(page, field, text: str) -> None:
    """As a user replaces what a field holds: chosen, typed or pasted, left."""
    field.click()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    page.keyboard.insert_text(text)
    page.keyboard.press("Tab")


def no_toast(page) -> None:
    """Those of before are gone, so that the next one is new."""
    page.evaluate("document.querySelectorAll('.mv-toast').forEach((toast) => toast.remove())")


def frames_of(film: Path) -> int:
    """Pictures that a film decodes to."""
    with av.open(str(film)) as container:
        return sum(1 for _ in container.decode(video=0))


def drawn(page, seconds: float = 60) -> None:
    """Every shot's animatic is there."""
    page.wait_for_function(
        "MVStudio.link.shots.length && MVStudio.link.shots.every((s) => MVStudio.link.state.drawn.has(s.strip))",
        timeout=seconds * 1000,
    )
