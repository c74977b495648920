"""Cast and further pictures on the first screen, in a real Chromium."""

import pytest
from browsing import choose, screenshot, upload, wait_for_state, write_song
from test_pictures import painted

pytestmark = pytest.mark.browser
MORE = "text=Reference image, lyrics, seed and more"


def test_in_the_browser_every_picture_gets_a_field_and_the_plan_its_light(page, studio, tmp_path):
    upload(page, write_song(tmp_path / "pictures.wav", 6.0))
    choose(page, "size", "draft")
    choose(page, "model", "animatic")
    page.click(MORE)
    page.fill("#cast textarea", "Mira: long red hair, green dress")
    page.set_input_files("#pictures input[type=file]", [painted(tmp_path, "IMG_1.png"), painted(tmp_path, "light.png")])
    page.wait_for_selector("text=light.png stands for")
    assert page.input_value("#stands-for-2 input") == "the light" and page.input_value("#stands-for-1 input") == ""
    page.click("#plan-only")
    page.wait_for_selector("text=IMG_1.png: choose what this picture stands for")
    choose(page, "stands-for-1", "the performer")
    screenshot(page, "pictures")
    page.click("#plan-only")
    page.wait_for_selector(".mv-shot", timeout=180_000)
    wait_for_state(page, "done")
    page.reload()
    page.wait_for_selector(".mv-shot")
    page.get_by_test_id("wishes").click()
    page.click(MORE)
    page.wait_for_selector("text=reference-cast.png stands for")
    assert page.input_value("#stands-for-1 input") == "the performer"
    assert page.input_value("#cast textarea") == "Mira: long red hair, green dress"
