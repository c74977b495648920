"""The studio as a user meets it: a real Chromium drives the real page, server, worker process and animatic."""

import os
import shutil
import time
import wave
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from urllib.request import urlopen

import numpy as np
import pytest
from PIL import Image

from mv.timing import to_frame
from mv.ui.project import Project

pytestmark = pytest.mark.browser

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip
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
def new_page(browser, studio):
    """Opens pages that note every request and every fault; no request may leave the machine, no script may fail."""
    contexts, asked, faults = [], [], []

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


def screenshot(page, tmp_path: Path, name: str) -> None:
    """Kept where SCREENSHOTS says; a page that cannot be painted fails here."""
    folder = Path(os.environ.get("SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    assert len(page.screenshot(path=folder / f"{name}.png", full_page=True)) > 10_000


def drawn(page, seconds: float = 60) -> None:
    """Every shot's animatic is there."""
    page.wait_for_function(
        "MVStudio.link.shots.length && MVStudio.link.shots.every((s) => MVStudio.link.state.drawn.has(s.strip))",
        timeout=seconds * 1000,
    )


def test_plan_play_edit_and_undo(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "clicks.wav", 24.0))
    assert "?project=clicks-" in page.url
    first = in_agreement(page, home)
    assert len(first) >= 4

    # 1. the animatic plays, says what it is, and the playhead goes with it
    drawn(page)
    assert "ANIMATIC" in page.get_by_test_id("badge").inner_text()
    before = page.get_by_test_id("time").inner_text()
    page.get_by_test_id("timeline").focus()
    page.keyboard.press("Space")
    page.wait_for_function("MVStudio.stage.now > 0.3")
    page.keyboard.press("Space")
    assert page.get_by_test_id("time").inner_text() != before
    at = page.evaluate("MVStudio.stage.now * MVStudio.timeline.scale")
    shown = page.evaluate("new DOMMatrix(getComputedStyle(MVStudio.timeline.playhead).transform).m41")
    assert abs(at - shown) < 2
    screenshot(page, tmp_path, "edit-light")

    # 2. a boundary dragged near a beat snaps to it; the neighbour follows; Python agrees to the frame
    beats = project_of(page, home).analysis().beats
    _, start, end = first[1]
    beat = next(to_frame(b, 24) for b in beats if start + 2 < to_frame(b, 24) < end - 2)
    y = block(page, first[1][0]).bounding_box()["y"] + 30
    drag(page, (x_of(page, start) + 4, y), (x_of(page, beat) + 4, y))
    moved = in_agreement(page, home)
    assert moved[1][1] == moved[0][2] == beat and moved[2:] == first[2:]

    # 3. split at the playhead, merge, reorder: all by hand
    frame = (moved[2][1] + moved[2][2]) // 2
    seek(page, frame)
    page.get_by_test_id("timeline").focus()
    page.keyboard.press("b")
    settled(page)
    parts = in_agreement(page, home)
    assert len(parts) == len(moved) + 1 and parts[3][1] == frame
    block(page, parts[2][0]).click()
    page.keyboard.press("m")
    settled(page)
    assert in_agreement(page, home) == moved
    centre = [(x_of(page, (s[1] + s[2]) / 2), y) for s in moved]
    drag(page, centre[0], centre[2])
    ordered = in_agreement(page, home)
    assert [s[0] for s in ordered[:3]] == [moved[1][0], moved[2][0], moved[0][0]]
    assert [s[1:] for s in ordered] == [s[1:] for s in moved]

    # 4. undo all, across a reload
    page.keyboard.press("Control+z")
    settled(page)
    page.reload()
    page.wait_for_selector(".mv-shot")
    page.get_by_test_id("timeline").focus()
    while page.locator("#mv-undo:not([disabled])").count():
        page.keyboard.press("Control+z")
        settled(page)
    assert in_agreement(page, home) == first
    for _ in range(4):
        page.keyboard.press("Control+Shift+z")
        settled(page)
    assert in_agreement(page, home) == ordered

    # 5. dark, the keys, and a phone
    page.emulate_media(color_scheme="dark")
    page.reload()
    page.wait_for_selector(".mv-shot")
    drawn(page)
    block(page, ordered[1][0]).click()
    page.wait_for_timeout(300)
    screenshot(page, tmp_path, "edit-dark")
    page.keyboard.press("?")
    page.wait_for_selector("[data-testid=help-dialog][open]")
    screenshot(page, tmp_path, "keys")
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(300)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot(page, tmp_path, "edit-narrow")


def test_a_dip_is_chosen_and_seen(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "clicks.wav", 24.0))
    drawn(page)
    before = in_agreement(page, home)
    name, start, _ = before[1]
    block(page, name).click()
    menu, frames = page.get_by_test_id("transition"), page.get_by_test_id("transition_frames")
    assert frames.is_disabled(), "a cut has no length"
    menu.select_option("dip to white")
    settled(page)
    assert frames.input_value() == "19"  # 0.8 s at 24 frames a second
    frames.fill("8")
    frames.press("Tab")
    assert in_agreement(page, home) == before, "no cut moves"
    transition = project_of(page, home).plan().shots[1].transition
    assert (transition.kind, transition.in_offset, transition.out_offset) == ("dip to white", 4, 4)
    covered = "(MVStudio.stage.veil.hidden ? 0 : Number(MVStudio.stage.veil.style.opacity))"
    for frame in (start + 4, start + 2, start, start - 1, start - 3, start - 5):
        page.evaluate(f"MVStudio.stage.seekFrame({frame})")
        page.wait_for_function(
            f"MVStudio.stage.frameNow === {frame} && Math.abs({covered} - {transition.cover(frame - start)}) < 1e-3"
        )
        if frame == start + 2:
            screenshot(page, tmp_path, "dip")
    menu.select_option("cut")
    settled(page)
    assert project_of(page, home).plan().shots[1].transition.kind == "cut"


def test_words_lock_replan_render_and_deliver(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "words.wav", 9.0))
    project, shots = project_of(page, home), shots_on(page)

    # 1. hostile words stay words
    block(page, shots[0][0]).click()
    prompt = page.get_by_test_id("prompt")
    prompt.fill(HOSTILE)
    prompt.blur()
    settled(page)
    assert project.plan().shots[0].prompt == HOSTILE
    page.reload()
    page.wait_for_selector(".mv-shot")
    block(page, shots[0][0]).click()
    assert prompt.input_value() == HOSTILE and page.evaluate("window.hacked") is None

    # ... and a picture of the user's is where the shot starts
    picture = tmp_path / "my <b>picture.png"
    Image.new("RGB", (64, 36), "red").save(picture)
    page.get_by_test_id("reference").set_input_files(str(picture))
    page.wait_for_selector(".mv-reference img:visible")
    settled(page)
    drawn(page)
    assert (project.folder / project.plan().shots[0].reference).read_bytes() == picture.read_bytes()

    # 2. locked, it survives another plan
    page.get_by_test_id("lock").click()
    settled(page)
    page.get_by_test_id("replan").click()
    settled(page)
    kept = next(s for s in project.plan().shots if s.id == shots[0][0])
    assert kept.locked and kept.prompt == HOSTILE

    # 3. one shot is rendered alone: its take takes the place of the animatic
    block(page, shots_on(page)[1][0]).click()
    page.get_by_test_id("render-shot").click()
    wait_for_state(page, "queued", "running")
    wait_for_state(page, "done")
    page.wait_for_selector(".mv-shot.taken")
    assert page.locator(".mv-shot.taken").count() == 1
    assert project.film() is None
    page.wait_for_function("document.querySelector('[data-testid=badge]').textContent.includes('ANIMATIC take')")
    page.get_by_test_id("retake").click()
    wait_for_state(page, "queued", "running")
    wait_for_state(page, "done")
    page.wait_for_function("document.querySelectorAll('[data-testid=take]').length === 2")
    screenshot(page, tmp_path, "takes")
    page.get_by_test_id("take").first.get_by_text("Use this").click()
    settled(page)
    shot = project.plan().shots[1]
    assert shot.chosen == shot.takes[0].key

    # 4. the rest, then the film plays and is delivered
    page.get_by_test_id("render").click()
    wait_for_state(page, "queued", "running")
    wait_for_state(page, "done")
    page.get_by_test_id("mode-film").click()
    page.wait_for_function("document.querySelector('#film').readyState >= 2")
    assert abs(page.evaluate("document.querySelector('#film').duration") - 9.0) <= 1 / 24
    page.get_by_test_id("deliver").click()
    with page.expect_download() as download:
        page.get_by_test_id("film-link").first.click()
    assert download.value.suggested_filename.endswith(".mp4")
    with page.expect_download() as download:
        page.get_by_test_id("deliver-edl").click()
    assert Path(download.value.path()).read_text().startswith("TITLE: words")
    screenshot(page, tmp_path, "deliver")


def test_the_music_is_corrected(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "tempo.wav", 16.0))
    project = project_of(page, home)
    tempo = project.analysis().tempo
    page.get_by_test_id("music").click()
    page.get_by_test_id("half-tempo").click()
    settled(page)
    assert project.analysis().tempo == pytest.approx(tempo / 2, rel=0.02)
    in_agreement(page, home)
    page.get_by_test_id("section-0").select_option("bridge")
    settled(page)
    assert project.analysis().sections[0].label == "bridge"
    screenshot(page, tmp_path, "music")
    page.locator("[data-testid=music-dialog] .mv-close").click()
    page.get_by_test_id("timeline").focus()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    settled(page)
    assert project.analysis().tempo == pytest.approx(tempo)


def test_two_browsers_stay_apart_and_two_tabs_come_together(new_page, home, tmp_path):
    one, other = new_page(), new_page()
    plan_a_song(one, write_song(tmp_path / "one.wav", 6.0))
    plan_a_song(other, write_song(tmp_path / "other.wav", 8.0))
    mine, theirs = in_agreement(one, home), in_agreement(other, home)
    block(one, mine[0][0]).click()
    one.get_by_test_id("lock").click()
    settled(one)
    assert not any(shot.locked for shot in project_of(other, home).plan().shots)
    assert in_agreement(other, home) == theirs

    tab = new_page()
    tab.goto(one.url)
    tab.wait_for_selector(".mv-shot.locked")
    one.get_by_test_id("lock").click()
    settled(one)
    block(tab, mine[1][0]).click()
    tab.get_by_test_id("lock").click()
    settled(tab)
    tab.wait_for_function(f"!MVStudio.link.state.cards.get('{mine[0][0]}').locked")  # what the other tab did came along
    assert [s.locked for s in project_of(one, home).plan().shots[:2]] == [False, True]


def test_cancel_stops_soon_and_survives_a_reload(page, tmp_path):
    upload(page, write_song(tmp_path / "long.wav", 40.0))
    choose(page, "size", "hd")
    choose(page, "model", "animatic")
    page.click("#make")
    page.wait_for_function("document.querySelector('.mv-status').innerText.includes('Rendering')", timeout=120_000)
    page.reload()
    page.wait_for_selector("[data-testid=cancel]:visible")
    page.wait_for_selector(".mv-shot.running")
    screenshot(page, tmp_path, "rendering")
    start = time.monotonic()
    page.get_by_test_id("cancel").click()
    wait_for_state(page, "cancelled")
    assert time.monotonic() - start < 10  # two seconds to stop (see test_jobs.py), and a loaded machine's page
    page.get_by_test_id("retry").wait_for()


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
    screenshot(page, tmp_path, "first-screen")


def test_what_is_no_picture_is_said_in_a_line(page, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"this is no picture" * 100)
    upload(page, write_song(tmp_path / "fine.wav", 2.0))
    page.click("text=Reference image, lyrics, seed and more")
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


def test_scripts_use_the_same_verbs(studio, home, tmp_path):
    from gradio_client import Client, handle_file

    client = Client(studio, verbose=False)
    song = handle_file(str(write_song(tmp_path / "script.wav", 4.0)))
    assert client.predict(song, api_name="/analyze")["duration"] == pytest.approx(4.0)
    wishes = dict(theme="desert by day", aspect="16:9", size="draft", fps="24", seed=3, model="animatic")
    project = client.predict(song, *wishes.values(), api_name="/plan")

    def done() -> dict:
        until = time.monotonic() + 120
        while time.monotonic() < until:
            status = client.predict(project, api_name="/status")
            if not status["open"]:
                return status
            time.sleep(0.3)
        raise AssertionError(status)

    assert done()["state"] == "done"
    client.predict(project, None, api_name="/render")
    assert done()["shots_to_render"] == 0
    film = client.predict(project, api_name="/download")
    assert film.endswith(".mp4") and (home / project) in Path(film.partition("=")[2]).parents
    with urlopen(studio + film, timeout=60) as answer:
        assert answer.read(12)[4:8] == b"ftyp", "what a script downloads is the film"
    with pytest.raises(Exception, match="there is no project"):
        client.predict("nobody", api_name="/status")
    with pytest.raises(Exception, match="uploaded file"):
        client.predict({"path": "/etc/passwd"}, api_name="/analyze")


@pytest.mark.slow
def test_the_embedded_models_take_plays(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "short.wav", 2.5), model="mv-mini")
    page.locator(".mv-shot").first.click()
    page.get_by_test_id("render-shot").click()
    wait_for_state(page, "queued", "running")
    page.wait_for_function(
        "(() => { const n = document.querySelector('[data-testid=live-picture]');"
        " return n && !n.hidden && n.naturalWidth > 0; })()",
        timeout=300_000,
    )
    screenshot(page, tmp_path, "shot-in-work")
    wait_for_state(page, "done", "failed", seconds=600)
    page.wait_for_function("document.querySelector('[data-testid=badge]').textContent.includes('Take · mv-mini')")
    screenshot(page, tmp_path, "take-of-the-model")
