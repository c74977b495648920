"""The whole way with a real song, as a user goes it: from the upload to what is delivered, in one browser session."""

import json
import os
import time
import zipfile
from pathlib import Path

import pytest
from browsing import (
    block,
    choose,
    drag,
    frames_of,
    in_agreement,
    project_of,
    screenshot,
    seek,
    settled,
    until,
    upload,
    wait_for_state,
    x_of,
)

from mv.timing import to_frame

MUSIC = Path(os.environ.get("MV_MUSIC") or Path(__file__).resolve().parents[2] / "shared" / "music")
SONG = MUSIC / "fd_raging_sun" / "audio.ogg"
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not SONG.is_file(), reason="songs are not part of the repository: MV_MUSIC names their folder"),
]


def test_the_whole_way_with_a_real_song(page, home, tmp_path):
    times = {}

    # 1. upload, wait for the plan, play the animatic
    upload(page, SONG)
    choose(page, "size", "draft")
    page.fill("#theme textarea", "neon city at night, a dancer in a red dress")
    start = time.monotonic()
    page.click("#plan-only")
    page.wait_for_selector(".mv-shot", timeout=900_000)
    page.wait_for_function("MVStudio.link.state.drawn.has(MVStudio.link.shots[0].strip)", timeout=300_000)
    times["upload to the first animatic shot"] = time.monotonic() - start
    page.wait_for_function("MVStudio.link.shots.every((s) => MVStudio.link.state.drawn.has(s.strip))", timeout=900_000)
    times["upload to the whole animatic"] = time.monotonic() - start
    first = in_agreement(page, home)
    assert len(first) > 30 and first[-1][2] == round(204.872 * 24)
    assert "ANIMATIC" in page.get_by_test_id("badge").inner_text()
    page.get_by_test_id("timeline").focus()
    page.keyboard.press("Space")
    page.wait_for_function("MVStudio.stage.now > 1", timeout=60_000)
    page.keyboard.press("Space")
    screenshot(page, "journey-1-plan")

    # 2. a boundary snaps to a beat, and the neighbour follows
    project = project_of(page, home)
    page.evaluate("MVStudio.timeline.zoom(6)")
    page.evaluate("MVStudio.timeline.show(MVStudio.link.shots[1].start)")
    _, begin, end = first[1]
    beats = [to_frame(beat, 24) for beat in project.analysis().beats]
    beat = next(frame for frame in beats if begin + 4 < frame < end - 4)
    y = block(page, first[1][0]).bounding_box()["y"] + 30
    drag(page, (x_of(page, begin) + 3, y), (x_of(page, beat) + 5, y))
    moved = in_agreement(page, home)
    assert moved[0][2] == moved[1][1] == beat and moved[2:] == first[2:]

    # 3. split, merge, reorder; undo all
    middle = (moved[1][1] + moved[1][2]) // 2
    seek(page, middle)
    page.get_by_test_id("split").click()
    parts = in_agreement(page, home)
    assert len(parts) == len(moved) + 1 and parts[2][1] == middle
    block(page, parts[1][0]).click()
    page.get_by_test_id("merge").click()
    assert in_agreement(page, home) == moved
    centres = [(x_of(page, (s[1] + s[2]) / 2), y) for s in moved[:2]]
    drag(page, centres[0], centres[1])
    ordered = in_agreement(page, home)
    assert [s[0] for s in ordered[:2]] == [moved[1][0], moved[0][0]]
    screenshot(page, "journey-2-edited")
    while page.locator("#mv-undo:not([disabled])").count():
        page.get_by_test_id("undo").click()
        settled(page)
    assert in_agreement(page, home) == first

    # 4. other words, locked, planned again: they stay; the animatic of an edit is there soon
    shot = min(project.plan().shots[:12], key=lambda one: one.duration).id
    block(page, shot).click()
    page.get_by_test_id("prompt").fill("wide shot, desert by day, nobody in sight")
    start = time.monotonic()
    page.get_by_test_id("prompt").blur()
    settled(page)
    page.wait_for_function(
        f"MVStudio.link.state.drawn.has(MVStudio.link.state.cards.get('{shot}').strip)", timeout=60_000
    )
    times["edit to its animatic"] = time.monotonic() - start
    page.get_by_test_id("lock").click()
    settled(page)
    page.get_by_test_id("replan").click()
    settled(page)
    kept = project.plan().shots[project.plan().index(shot)]
    assert kept.locked and kept.prompt == "wide shot, desert by day, nobody in sight"
    in_agreement(page, home)

    # 5. one shot is rendered by the embedded model; the page is left in the middle, and found again
    block(page, shot).click()
    page.get_by_test_id("render-shot").click()
    wait_for_state(page, "running", seconds=120)
    address = page.url
    page.goto("about:blank")
    page.goto(address)
    page.wait_for_selector(".mv-shot")
    start = time.monotonic()
    wait_for_state(page, "done", seconds=900)
    times["render of one shot, after coming back"] = time.monotonic() - start
    page.wait_for_selector(".mv-shot.taken")
    block(page, shot).click()
    page.wait_for_function("document.querySelector('[data-testid=badge]').textContent.includes('Take · mv-mini')")
    screenshot(page, "journey-3-take")

    # 6. the rest is begun and cancelled; the take stays
    page.get_by_test_id("render").click()
    page.wait_for_selector(".mv-shot.running", timeout=600_000)
    start = time.monotonic()
    page.get_by_test_id("cancel").click()
    wait_for_state(page, "cancelled", seconds=120)
    times["cancel"] = time.monotonic() - start  # bench/studio.py measures it on a quiet machine
    page.reload()
    page.wait_for_selector(".mv-shot")
    assert project.plan().shots[project.plan().index(shot)].id in project.takes()

    # 7. delivered: a list of cuts that agrees with the plan, and the project, which opens again elsewhere
    page.get_by_test_id("deliver").click()
    with page.expect_download() as download:
        page.get_by_test_id("deliver-otio").click()
    clips = json.loads(Path(download.value.path()).read_text())["tracks"]["children"][0]["children"]
    assert [clip["source_range"]["start_time"]["value"] for clip in clips] == [s.start for s in project.plan().shots]
    with page.expect_download(timeout=120_000) as download:
        page.get_by_test_id("deliver-zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert {"plan.json", "audio.ogg"} <= {Path(name).name for name in archive.namelist()}
    page.get_by_test_id("deliver-clips").click()
    page.wait_for_selector(".mv-toast:has-text('shots without a take')")
    screenshot(page, "journey-4-deliver")
    page.locator("[data-testid=deliver-dialog] .mv-close").click()

    # 8. the film: the model's shot stays, the others are of the animatic, which takes a minute and not ten
    page.get_by_test_id("wishes").click()
    choose(page, "model", "animatic")
    until(lambda: project.wishes().model == "animatic")
    page.get_by_test_id("wishes").click()
    start = time.monotonic()
    page.get_by_test_id("render").click()
    wait_for_state(page, "running", seconds=120)
    wait_for_state(page, "done", "failed", seconds=1200)
    times["render of the film"] = time.monotonic() - start
    assert {take.model for take in project.takes().values()} == {"mv-mini", "animatic"}
    page.get_by_test_id("mode-film").click()
    page.wait_for_function("document.querySelector('#film').readyState >= 2")
    page.get_by_test_id("play").click()
    page.wait_for_function("MVStudio.stage.now > 0.5")
    page.get_by_test_id("play").click()
    page.get_by_test_id("deliver").click()
    with page.expect_download(timeout=120_000) as download:
        page.get_by_test_id("film-link").first.click()
    assert frames_of(download.value.path()) == project.plan().num_frames == 4917
    screenshot(page, "journey-5-film")
    print({name: f"{seconds:.1f} s" for name, seconds in times.items()})
