import numpy as np
import pytest
from PIL import Image

from mv.analysis.plot import EVENTS, HEIGHT, LEFT, PANELS, RIGHT, SECTIONS, TITLE, WIDTH, draw, save_plot
from mv.errors import AudioError, InputError
from mv.schema import Event


def colors_at(picture, x, top, height):
    return {picture.getpixel((int(x), y)) for y in range(top, top + height)}


def test_the_page_shows_sections_and_events_where_they_are(analysis):
    analysis = analysis.model_copy(
        update={"events": [Event(kind="drop", start=2.0, end=2.5)], "beat_confidence": [1.0] * 8, "accents": [1.3]}
    )
    picture = draw(analysis, np.sin(np.arange(4000)))
    assert picture.size == (WIDTH, HEIGHT)
    width = WIDTH - LEFT - RIGHT
    for time, label, drop in ((0.2, "verse", False), (2.2, "chorus", True), (3.8, "chorus", False)):
        found = colors_at(picture, LEFT + width * time / 4, TITLE, PANELS["form"])
        assert SECTIONS[label] in found
        assert (EVENTS["drop"] in found) == drop


def test_silence_no_beats_and_a_long_title_can_be_drawn(analysis):
    nothing = analysis.model_copy(
        update={"beats": [], "downbeats": [], "tempo": 0, "key": "", "title": "so long " * 40, "notes": ["n" * 500]}
    )
    assert draw(nothing, np.zeros(0)).size == (WIDTH, HEIGHT)
    assert draw(nothing.model_copy(update={"duration": 3600.0}), np.zeros(10)).size == (WIDTH, HEIGHT)


def test_the_page_is_written_as_png(analysis, click_song, tmp_path):
    save_plot(analysis, click_song, tmp_path / "new" / "page.png")
    assert Image.open(tmp_path / "new" / "page.png").size == (WIDTH, HEIGHT)
    with pytest.raises(InputError, match=r"ends in \.png, got 'page\.jpg'"):
        save_plot(analysis, click_song, tmp_path / "page.jpg")
    with pytest.raises(AudioError):
        save_plot(analysis, tmp_path / "nowhere.wav", tmp_path / "page.png")
