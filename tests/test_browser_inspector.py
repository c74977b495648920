"""The inspector as a user meets it: keyframes, takes side by side, the shot in work, the music corrected."""

import shutil

import pytest
from browsing import (
    block,
    choose,
    drag,
    drawn,
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

pytestmark = pytest.mark.browser


def on_the_map(page, index: int, of: str = "place") -> tuple[float, float]:
    """Where a keyframe, or the handle that turns it, is on the screen."""
    find = "k.put([k.rows[i][1], k.rows[i][3]])" if of == "place" else "k.handle(k.rows[i])"
    return tuple(
        page.evaluate(
            f"""(i) => {{
              const k = MVStudio.inspector.keyframes, [x, y] = {find}, box = k.canvas.getBoundingClientRect();
              return [box.left + x * box.width / k.canvas.width, box.top + y * box.height / k.canvas.height];
            }}""",
            index,
        )
    )


def test_a_camera_is_led_by_keyframes(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "keyframes.wav", 16.0))
    project, shot = project_of(page, home), shots_on(page)[1][0]
    drawn(page)
    camera = lambda: project.plan().shots[1].camera
    strip = lambda: page.evaluate(f"MVStudio.link.state.cards.get('{shot}').strip")
    path = lambda: page.evaluate(f"MVStudio.link.state.cards.get('{shot}').path")
    block(page, shot).click()
    page.get_by_test_id("move").select_option("handheld")  # it takes many keyframes to follow
    settled(page)
    named = camera()
    page.get_by_test_id("make-keyframes").click()
    settled(page)
    made = len(camera().keyframes)
    assert made >= 2 and page.locator("[data-testid=keyframe-table] tbody tr").count() == made
    page.get_by_test_id("keyframe-map").scroll_into_view_if_needed()

    # 1. dragged: Python's keyframe is where the pointer let it go, the way seen from above follows
    before, way = camera().keyframes[-1], path()
    start = on_the_map(page, made - 1)
    drag(page, start, (start[0] - 30, start[1] + 12))
    settled(page)
    after = camera().keyframes[-1]
    assert after.position[0] < before.position[0] and after.position[2] > before.position[2]
    assert after.position[1] == before.position[1] and after.yaw == before.yaw
    assert path()[-1][:2] == pytest.approx([after.position[0], after.position[2]], abs=0.01) and path()[0] == way[0]
    screenshot(page, "keyframe-map")

    # 2. turned by its handle, aimed again, a number typed
    handle = on_the_map(page, made - 1, "handle")
    drag(page, handle, (handle[0] + 25, handle[1] + 20))
    settled(page)
    assert camera().keyframes[-1].yaw < after.yaw - 15
    page.get_by_test_id("aim-keyframe").click()
    settled(page)
    x, _, z = camera().keyframes[-1].position
    assert page.evaluate("([x, z]) => Math.atan2(x, z) * 180 / Math.PI", [x, z]) == pytest.approx(
        camera().keyframes[-1].yaw, abs=0.1
    )
    lens = page.get_by_test_id(f"keyframe-{made - 1}-mm")
    lens.fill("72")
    lens.press("Tab")
    settled(page)
    assert camera().keyframes[-1].focal == pytest.approx(2.0)
    screenshot(page, "keyframes")

    # 3. one added at the playhead, one deleted; what cannot be is refused and the numbers come back
    start, stop = project.plan().span(1)
    taken = {start + round(k.at * (stop - start - 1)) for k in camera().keyframes}
    seek(page, next(frame for frame in range(start, stop) if frame not in taken))
    page.get_by_test_id("add-keyframe").click()
    settled(page)
    assert len(camera().keyframes) == made + 1
    seek(page, sorted(taken)[1])  # on a keyframe: it is chosen, none is added
    page.get_by_test_id("add-keyframe").click()
    page.wait_for_selector(".mv-toast:has-text('on this frame already')")
    settled(page)
    assert len(camera().keyframes) == made + 1
    assert page.locator("[data-testid=keyframe-table] tr.chosen").count() == 1
    page.get_by_test_id("delete-keyframe-1").click()
    settled(page)
    assert len(camera().keyframes) == made
    height = page.get_by_test_id("keyframe-0-y")
    height.fill("-3")
    height.press("Tab")
    page.wait_for_selector(".mv-toast:has-text('y: expected 0.25 to 15')")
    assert float(height.input_value()) == pytest.approx(camera().keyframes[0].position[1], abs=0.01)

    # 4. the animatic is drawn anew along this way, and undo takes all of it back
    page.wait_for_function(f"MVStudio.link.state.drawn.has('{strip()}')")
    page.get_by_test_id("clear-keyframes").click()
    settled(page)
    assert camera().keyframes == []
    page.get_by_test_id("timeline").focus()
    page.keyboard.press("Control+z")
    settled(page)
    assert len(camera().keyframes) == made and camera().keyframes[-1].focal == pytest.approx(2.0)

    # 5. each part of a split shot keeps its part of the way
    way = path()
    seek(page, (start + stop) // 2)
    page.keyboard.press("b")
    settled(page)
    parts = [project.plan().shots[index].camera.keyframes for index in (1, 2)]
    assert parts[0][0].position == pytest.approx(camera().keyframes[0].position) and all(parts)
    after = page.evaluate("MVStudio.link.shots[2].path")
    assert after[-1] == pytest.approx(way[-1], abs=0.03) and path()[0] == pytest.approx(way[0], abs=0.03)
    assert path()[-1] == pytest.approx(after[0], abs=0.2), "one goes on where the other ends"
    page.keyboard.press("Control+z")
    settled(page)
    while camera().keyframes:
        page.keyboard.press("Control+z")
        settled(page)
    assert camera() == named


def render_one(page, shot: str) -> None:
    block(page, shot).click()
    page.get_by_test_id("render-shot").click()
    wait_for_state(page, "queued", "running")
    wait_for_state(page, "done")


def test_takes_stand_side_by_side_with_their_measurements(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "takes.wav", 8.0))
    project, shot = project_of(page, home), shots_on(page)[0][0]
    block(page, shot).click()
    page.get_by_test_id("move").select_option("static")
    settled(page)
    render_one(page, shot)
    page.get_by_test_id("retake").click()
    wait_for_state(page, "queued", "running")
    wait_for_state(page, "done")
    takes = page.get_by_test_id("take")
    page.wait_for_function("document.querySelectorAll('[data-testid=take]').length === 2")
    page.wait_for_function(
        "[...document.querySelectorAll('.mv-measures')].every((n) => n.textContent.includes('sharpness'))",
        timeout=120_000,
    )
    page.get_by_test_id("play-takes").click()
    page.wait_for_function("[...document.querySelectorAll('[data-testid=take] video')].every((v) => v.currentTime > 0)")
    boxes = [takes.nth(k).bounding_box() for k in range(2)]
    assert boxes[0]["y"] == boxes[1]["y"] and boxes[0]["x"] < boxes[1]["x"]
    takes.first.scroll_into_view_if_needed()
    screenshot(page, "takes-measured")

    # The second one is in the film; the first is taken, then it is locked: a rendering would do nothing, and says so.
    takes.first.get_by_text("Use this").click()
    settled(page)
    first, second = project.plan().shots[0].takes
    assert project.plan().shots[0].chosen == first.key
    page.get_by_test_id("lock").click()
    settled(page)
    page.get_by_test_id("render-shot").click()
    page.wait_for_selector(".mv-toast:has-text('shot 1 is locked and keeps its take')")
    page.get_by_test_id("lock").click()
    settled(page)
    page.once("dialog", lambda dialog: dialog.accept())
    takes.nth(1).get_by_label("Delete take 2").click()
    page.wait_for_function("document.querySelectorAll('[data-testid=take]').length === 1")
    assert second.file not in project.take_files() and first.file in project.take_files()


def test_the_shot_in_work_is_seen_and_real_frames_replace_the_animatic(page, home, tmp_path):
    upload(page, write_song(tmp_path / "live.wav", 24.0))
    choose(page, "size", "hd")
    choose(page, "model", "animatic")
    page.click("#make")
    page.wait_for_selector(".mv-shot.running", timeout=180_000)
    # 1. a picture of the shot in work, in the row under the status line and on its place in the timeline
    page.wait_for_selector("[data-testid=live-picture]:visible", timeout=120_000)
    loaded = "(n) => n.complete && n.naturalWidth > 0"
    page.wait_for_function(
        f"[...document.querySelectorAll('[data-testid=live-picture], .mv-live')].filter({loaded}).length >= 2"
    )
    screenshot(page, "live-picture")
    # 2. shot by shot takes stand where the animatic was, while others still wait
    page.wait_for_function(
        "(() => { const n = document.querySelectorAll('.mv-shot.taken').length;"
        " return n >= 1 && n < MVStudio.link.shots.length && MVStudio.link.state.job.open; })()",
        timeout=120_000,
    )
    start = page.evaluate("MVStudio.link.shots.find((card) => card.take).start")
    page.evaluate(f"MVStudio.stage.seekFrame({start})")
    page.wait_for_function("document.querySelector('[data-testid=badge]').textContent.includes('take')")
    page.evaluate("MVStudio.stage.seekFrame(MVStudio.link.shots.at(-1).start)")
    page.wait_for_function("document.querySelector('[data-testid=badge]').textContent.includes('sketch')")
    screenshot(page, "half-rendered")
    page.get_by_test_id("cancel").click()
    wait_for_state(page, "cancelled")
    page.wait_for_selector("[data-testid=queue]", state="hidden")
    assert page.locator(".mv-live").count() == 0


def test_music_is_corrected_by_hand_and_locked_shots_stay(page, home, tmp_path):
    plan_a_song(page, write_song(tmp_path / "music.wav", 32.0))
    project = project_of(page, home)
    shots = shots_on(page)
    locked = next(shot for shot in project.plan().shots if shot.start > 0)
    block(page, locked.id).click()
    page.get_by_test_id("lock").click()
    settled(page)
    locked = project.plan().shots[project.plan().index(locked.id)]

    def stays() -> None:
        plan = in_agreement(page, home) and project.plan()
        kept = plan.shots[plan.index(locked.id)]
        assert (kept.start, kept.duration, kept.prompt, kept.locked) == (
            locked.start, locked.duration, locked.prompt, True
        )  # fmt: skip

    # 1. bars begin a beat later, then tapped along at another tempo
    page.get_by_test_id("music").click()
    before = project.analysis().downbeats
    page.get_by_test_id("downbeat-later").click()
    settled(page)
    assert project.analysis().downbeats[0] != before[0]
    stays()
    page.get_by_test_id("tap").click()
    page.wait_for_function("MVStudio.stage.now > 0.1")
    # In the page, because a busy machine is late with a click from outside; 75 beats a minute.
    page.evaluate(
        """async () => {
          const button = document.querySelector('[data-testid=tap]');
          for (let k = 0, from = MVStudio.stage.now + 0.3; k < 6; k++) {
            while (MVStudio.stage.now < from + 0.8 * k) await new Promise((done) => setTimeout(done, 5));
            button.click();
          }
        }"""
    )
    page.get_by_test_id("use-taps").click()
    settled(page)
    tapped = project.analysis()
    steps = [after - one for one, after in zip(tapped.beats, tapped.beats[1:])]
    assert 55 < tapped.tempo < 100 and max(steps) - min(steps) < 0.01 and tapped.tempo_confidence == 1
    stays()
    page.locator("[data-testid=music-dialog] .mv-close").click()

    # 2. a section's boundary is dragged, where there is one; else one is made by hand through Python's own edit
    sections = project.analysis().sections
    if len(sections) > 1:
        edge = sections[1].start
        box = page.get_by_test_id("timeline").bounding_box()
        y = box["y"] + 30
        drag(page, (x_of(page, edge * 24), y), (x_of(page, edge * 24) + 40, y))
        settled(page)
        assert project.analysis().sections[1].start > edge
        stays()
    while page.locator("#mv-undo:not([disabled])").count():
        page.get_by_test_id("undo").click()
        settled(page)
    assert shots_on(page) == shots


def test_a_project_opens_from_its_folder(page, home, tmp_path):
    from mv.archive import FOLDERS

    plan_a_song(page, write_song(tmp_path / "folder.wav", 5.0))
    project = project_of(page, home)
    page.wait_for_selector("[data-testid=replan]")
    page.get_by_test_id("replan").click()
    settled(page)
    project.save()
    folder = tmp_path / "carried-1234abcd"
    shutil.copytree(project.folder, folder)
    (folder / "notes <b>.txt").write_text("no file of a project")
    page.get_by_test_id("wishes").click()
    page.click("text=Reference image, lyrics, seed and more")
    page.set_input_files("#mv-folder", str(folder))
    page.wait_for_url("**/?project=carried-1234abcd", timeout=120_000)
    page.wait_for_selector(".mv-shot")
    again = project_of(page, home)
    assert again.plan() == project.plan() and in_agreement(page, home)
    assert (again.folder / "folder.wav").read_bytes() == (project.folder / "folder.wav").read_bytes()
    assert not (again.folder / "notes <b>.txt").exists() and FOLDERS == ("takes", "films", "history")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "a.txt").write_text("a")
    page.set_input_files("#mv-folder", str(empty))
    page.wait_for_selector(".mv-toast:has-text('no project folder')")
