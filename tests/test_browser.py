"""The studio as a user meets it: a real Chromium drives the real page, server, worker process and animatic."""

import os
import shutil
import time
import wave
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip
HOSTILE = "<img src=x onerror='window.hacked=1'> ${window.hacked=2} {{window.hacked=3}} desert"


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
def studio(tmp_path_factory):
    from mv.ui.blocks import launch

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MV_HOME", str(home))
        patch.setenv("GRADIO_TEMP_DIR", str(home / "uploads"))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        blocks = launch(home, block=False)
        yield blocks.local_url
        blocks.close()
        blocks.studio.worker.stop()


@pytest.fixture
def page(browser, studio):
    """A page that notes every request; none may leave the machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    page.set_default_timeout(60_000)
    page.goto(studio)
    page.wait_for_selector("#make")
    yield page
    context.close()
    strangers = [url for url in asked if urlsplit(url).scheme in ("http", "https", "ws", "wss")]
    assert strangers and {urlsplit(url).hostname for url in strangers} == {"127.0.0.1"}


def choose(page, field: str, words: str) -> None:
    page.click(f"#{field} input")
    page.locator("ul[role=listbox] li", has_text=words).first.click()


def upload(page, song: Path) -> None:
    page.set_input_files("#song input[type=file]", str(song))
    page.wait_for_selector(
        "#song .component-wrapper, #song audio, #song [data-testid=waveform-controls]", state="attached"
    )


def wait_for_state(page, *states: str, seconds: float = 120) -> str:
    wanted = ", ".join(f".mv-status[data-state={state}]" for state in states)
    page.wait_for_selector(wanted, timeout=seconds * 1000)
    return page.inner_text("#status")


def film(page) -> dict:
    """Wait until the player can play, then what it says about the film."""
    page.wait_for_function("document.querySelector('#film video')?.readyState >= 2")
    return page.evaluate(
        "(() => { const v = document.querySelector('#film video');"
        " return {ready: v.readyState, duration: v.duration, width: v.videoWidth, height: v.videoHeight,"
        " source: v.currentSrc, error: v.error && v.error.message}; })()"
    )


def screenshot(page, tmp_path: Path, name: str) -> None:
    """Kept where SCREENSHOTS says; a page that cannot be painted fails here."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    assert len(page.screenshot(path=folder / f"{name}.png", full_page=True)) > 10_000


def test_the_embedded_models_film_plays(page, tmp_path):
    upload(page, write_song(tmp_path / "short.wav", 2.5))
    choose(page, "model", "mv-mini")
    page.click("#make")
    assert "The film is ready" in wait_for_state(page, "done", "failed", seconds=300)
    seen = film(page)
    assert seen["error"] is None and abs(seen["duration"] - 2.5) <= 1 / 24
    assert (seen["width"], seen["height"]) == (512, 288) and "mv-mini" in seen["source"]
    screenshot(page, tmp_path, "film-of-the-model")


def test_song_in_film_out_edit_and_again(page, tmp_path):
    song = write_song(tmp_path / "clicks.wav", 5.0)

    # 1. the film
    upload(page, song)
    page.fill("#theme textarea", HOSTILE)
    choose(page, "size", "draft")
    choose(page, "model", "animatic")
    page.click("#make")
    assert "The film is ready" in wait_for_state(page, "done", "failed")
    first = film(page)
    assert first["ready"] >= 2 and first["error"] is None
    assert abs(first["duration"] - 5.0) <= 1 / 24
    assert (first["width"], first["height"]) == (288, 160)
    screenshot(page, tmp_path, "film-light")

    # 2. nothing of the user's text was run; it stands there as text
    assert page.evaluate("window.hacked") is None
    assert page.input_value("#theme textarea") == HOSTILE

    # 3. a reload comes back to the same project
    assert "?project=clicks-" in page.url
    page.reload()
    assert film(page)["duration"] == first["duration"]
    page.wait_for_selector("#storyboard img")
    cells = page.locator("#table [role=gridcell]")
    assert cells.count() % 11 == 0 and cells.first.inner_text().strip() == "1"

    # 4. an edit, typed into the table, renders again
    cells.nth(7).dblclick()
    page.keyboard.press("Control+A")
    page.keyboard.type("wide shot, desert by day, nobody in sight <b>bold</b>")
    page.keyboard.press("Enter")
    page.click("#render")
    wait_for_state(page, "queued", "running")
    wait_for_state(page, "done", "failed")
    page.wait_for_function("document.querySelector('#film video')?.currentSrc.includes('-r1-')")
    assert abs(film(page)["duration"] - 5.0) <= 1 / 24
    assert "<b>bold</b>" in page.inner_text("#table")
    assert "revision 1" in page.inner_text("#facts")

    # 5. undo brings the old words back
    page.click("#undo")
    page.wait_for_function("document.querySelector('#facts').innerText.includes('revision 2')")
    assert "bold" not in page.inner_text("#table")
    page.emulate_media(color_scheme="dark")
    page.reload()
    film(page)
    screenshot(page, tmp_path, "film-dark")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot(page, tmp_path, "film-narrow")


def test_cancel_stops_soon_and_survives_a_reload(page, tmp_path):
    upload(page, write_song(tmp_path / "long.wav", 40.0))
    choose(page, "size", "hd")
    choose(page, "model", "animatic")
    page.click("#make")
    page.wait_for_function("document.querySelector('#status').innerText.includes('Rendering')")
    page.reload()
    page.wait_for_selector("#cancel:visible")
    screenshot(page, tmp_path, "rendering")
    start = time.monotonic()
    page.click("#cancel")
    wait_for_state(page, "cancelled")
    assert time.monotonic() - start < 10  # two seconds to stop (see test_jobs.py), and a loaded machine's page
    assert not page.is_visible("#cancel")


def test_what_cannot_be_a_song_is_said_in_a_line(page, tmp_path):
    page.click("#make")
    page.wait_for_selector("text=no song yet")
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"this is no music" * 100)
    page.set_input_files("#song input[type=file]", str(broken))
    page.wait_for_timeout(1500)
    page.click("#make")
    words = wait_for_state(page, "failed")
    assert "broken.mp3" in words and "Traceback" not in words
    assert not page.is_visible("#film video")


def test_what_is_no_picture_is_said_in_a_line(page, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"this is no picture" * 100)
    upload(page, write_song(tmp_path / "fine.wav", 2.0))
    page.click("text=Reference image and more")
    page.set_input_files("#image input[type=file]", str(broken))
    page.wait_for_selector("#image img", state="attached")
    page.click("#make")
    page.wait_for_selector(".toast-body")
    words = page.inner_text(".toast-body")
    assert "broken.png: not a picture that can be read" in words and str(tmp_path) not in words


def test_an_address_cannot_leave_the_projects_folder(page, studio):
    page.goto(f"{studio}?project=../../etc<img src=x onerror='window.hacked=1'>")
    page.wait_for_selector("text=there is no project")
    assert page.evaluate("window.hacked") is None
