"""The studio as a user meets it: a real Chromium drives the real page, server, worker process and animatic."""

import json
import re
import tempfile
import time
import zipfile
from pathlib import Path
from urllib.parse import unquote
from urllib.request import urlopen
from xml.etree import ElementTree

import pytest
from browsing import (
    HOSTILE,
    at_rest,
    block,
    choose,
    drag,
    drawn,
    frames_of,
    in_agreement,
    plan_a_song,
    project_of,
    screenshot,
    seek,
    settled,
    shots_on,
    upload,
    wait_for_state,
    write_song,
    x_of,
)
from PIL import Image

from mv.schema import Timeline
from mv.timing import to_frame

pytestmark = pytest.mark.browser


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
    screenshot(page, "edit-light")

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
    page.wait_for_function("MVStudio.sheets.of(MVStudio.link.shots[1])?.stale === false")
    at_rest(page)
    screenshot(page, "edit-dark")
    page.keyboard.press("?")
    page.wait_for_selector("[data-testid=help-dialog][open]")
    screenshot(page, "keys")
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("MVStudio.timeline.view < 390")
    at_rest(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot(page, "edit-narrow")


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
            screenshot(page, "dip")
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
    thumbs = "MVStudio.link.shots.map((card) => MVStudio.sheets.thumbs(card, () => {})?.taken)"
    page.wait_for_function(f"{thumbs}[1] && !{thumbs}[0]")  # the take's own frames in the timeline
    page.get_by_test_id("retake").click()
    wait_for_state(page, "queued", "running")
    wait_for_state(page, "done")
    page.wait_for_function("document.querySelectorAll('[data-testid=take]').length === 2")
    screenshot(page, "takes")
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
    assert frames_of(download.value.path()) == project.plan().num_frames == 9 * 24
    with page.expect_download() as download:
        page.get_by_test_id("deliver-edl").click()
    assert Path(download.value.path()).read_text().startswith("TITLE: words")
    screenshot(page, "deliver")
    with page.expect_download() as download:
        page.get_by_test_id("deliver-clips").click()
    check_clips(download.value.path(), project.plan())


def check_clips(package: Path, plan: Timeline) -> None:
    """What an editing program gets: lists that can be read, whose every clip is there and as long as they say."""
    with zipfile.ZipFile(package) as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        with tempfile.TemporaryDirectory() as folder:
            archive.extractall(folder)
            (lists,) = {Path(name).parent for name in names if name.endswith(".otio")}
            root = Path(folder) / lists
            tracks = json.loads(next(root.glob("*.otio")).read_text())["tracks"]["children"]
            clips = [one for one in tracks[0]["children"] if one["OTIO_SCHEMA"].startswith("Clip")]
            lengths = [clip["source_range"]["duration"]["value"] for clip in clips]
            assert lengths == [shot.duration for shot in plan.shots]
            for clip in clips:
                medium = clip["media_references"][clip["active_media_reference_key"]]
                assert frames_of(root / medium["target_url"]) == medium["available_range"]["duration"]["value"]
            tree = ElementTree.parse(next(root.glob("*.fcpxml")))
            sources = [unquote(asset.get("src")) for asset in tree.iter("asset")]
            assert len(sources) == len(plan.shots) + 1, "every shot, and the song"
            assert all((root / source).is_file() for source in sources)
            events = re.findall(r"^\d{3}  \S+ +V     C", next(root.glob("*.edl")).read_text(), re.MULTILINE)
            assert len(events) == len(plan.shots)


def test_what_is_drawn_anew_stays_to_be_seen_until_it_is_there(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "anew.wav", 12.0))
    drawn(page)
    shot, start, end = shots_on(page)[1]
    block(page, shot).click()
    seek(page, (start + end) // 2)
    badge = "document.querySelector('[data-testid=badge]').textContent"
    page.wait_for_function(f"{badge}.includes('instant sketch')")
    pictures = "MVStudio.link.shots.map((c) => MVStudio.sheets.thumbs(c, () => {}))"
    page.wait_for_function(f"{pictures}.every((row) => row && !row.stale)")
    page.route("**/storyboard/*.jpg", lambda route: None)  # sheets are on their way for as long as this test likes

    # 1. other words: the old pictures are there, dim, on the stage, in the timeline, in the inspector
    page.get_by_test_id("prompt").fill("wide shot, desert by day, nobody in sight")
    page.get_by_test_id("prompt").blur()
    settled(page)
    page.wait_for_function(f"{badge}.includes('being drawn anew')")
    assert page.evaluate(f"{pictures}.map((row) => Boolean(row?.stale))").count(True) == 1
    assert page.evaluate(f"MVStudio.sheets.of(MVStudio.link.state.cards.get('{shot}')).stale")
    colours = "new Set(MVStudio.stage.canvas.getContext('2d').getImageData(0, 0, 512, 288).data).size"
    assert page.evaluate(colours) > 20, "a picture, not a plain ground"
    screenshot(page, "drawn-anew")

    # 2. split: both parts show what was in their place
    page.get_by_test_id("timeline").focus()
    page.keyboard.press("b")
    settled(page)
    page.wait_for_function(f"{badge}.includes('being drawn anew')")
    assert page.evaluate(f"{pictures}.map((row) => Boolean(row?.stale))").count(True) == 2

    # 3. the new ones take their place
    page.wait_for_function("MVStudio.link.shots.every((c) => MVStudio.link.state.drawn.has(c.strip))")
    page.unroute("**/storyboard/*.jpg")  # those held go on
    page.wait_for_function(f"{badge}.includes('instant sketch')")
    page.wait_for_function(f"{pictures}.every((row) => row && !row.stale)")


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
    screenshot(page, "music")
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
    screenshot(page, "rendering")
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
    upload(page, broken)
    page.click("#make")
    words = wait_for_state(page, "failed")
    assert "broken.mp3" in words and "Traceback" not in words
    screenshot(page, "first-screen")


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
def test_the_embedded_models_film_is_made_played_and_delivered(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "short.wav", 2.5), model="mv-mini")
    page.locator(".mv-shot").first.click()
    page.get_by_test_id("render-shot").click()
    wait_for_state(page, "queued", "running")
    page.wait_for_function(
        "(() => { const n = document.querySelector('[data-testid=live-picture]');"
        " return n && !n.hidden && n.naturalWidth > 0; })()",
        timeout=300_000,
    )
    screenshot(page, "shot-in-work")
    wait_for_state(page, "done", "failed", seconds=600)
    page.wait_for_function("document.querySelector('[data-testid=badge]').textContent.includes('Take · mv-mini')")
    screenshot(page, "take-of-the-model")
    page.get_by_test_id("render").click()
    wait_for_state(page, "queued", "running")
    wait_for_state(page, "done", "failed", seconds=600)
    page.get_by_test_id("mode-film").click()
    page.wait_for_function("document.querySelector('[data-testid=badge]').textContent === 'Film'")
    page.get_by_test_id("deliver").click()
    with page.expect_download() as download:
        page.get_by_test_id("film-link").click()
    assert frames_of(download.value.path()) == 60 and "mv-mini" in download.value.suggested_filename
