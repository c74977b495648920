"""The stage world: what words, camera and music decide is what one sees."""

from dataclasses import replace

import numpy as np
import pytest

from mv.camera import camera_path
from mv.schema import CURVES, CameraMove, MoveKind, ShotSize, with_phases
from mv.world.render import LAYOUT_CHANNELS, draw, layout, listen
from mv.world.vocabulary import ACTIONS, SCENES, Directions

ASPECT = 16 / 9


def music(frames: int = 3, beat: float = 0.0, **levels: float) -> np.ndarray:
    curves = np.tile([levels.get(name, 0.3) for name in CURVES], (frames, 1))
    return with_phases(curves, beat + np.arange(frames) / 12)


def static(frames: int = 3, size: str = "medium"):
    return camera_path(CameraMove(), ShotSize(size), frames, ASPECT)


def paint(directions: Directions = Directions(), path=None, audio=None) -> np.ndarray:
    path = path or static()
    return draw(directions, path, music(len(path)) if audio is None else audio, 128, 72).astype(int)


@pytest.mark.parametrize("scene", SCENES)
def test_every_place_has_a_picture_of_its_own(scene):
    picture = paint(Directions(scene=scene))[0]
    assert picture.std() > 15
    others = [paint(Directions(scene=other))[0] for other in SCENES if other != scene]
    assert min(np.abs(picture - other).mean() for other in others) > 8


def test_nothing_is_random():
    assert np.array_equal(paint(), paint())


@pytest.mark.parametrize("action", ACTIONS)
def test_the_performer_is_there_only_when_asked_for(action):
    empty = paint(Directions(action=None))
    assert np.abs(paint(Directions(action=action)) - empty)[:, 20:].mean() > 5


def test_words_change_the_picture():
    base = Directions()
    for change in (dict(palette="lime"), dict(time="day"), dict(look=replace(base.look, outfit_color="red"))):
        assert np.abs(paint(replace(base, **change)) - paint(base)).mean() > 0.5, change


def test_lows_light_the_stage():
    directions = Directions(action=None)
    assert paint(directions, audio=music(low=1.0)).mean() > paint(directions, audio=music(low=0.0)).mean() + 3


def test_the_mouth_opens_with_the_voice():
    path = static(size="close")
    closed, opened = (paint(Directions(size="close"), path, music(mouth=m)) for m in (0.0, 1.0))
    changed = np.abs(opened - closed).sum(-1)[0] > 30
    columns = np.nonzero(changed)[1]
    assert 10 < changed.sum() < 0.1 * changed.size  # the mouth and nothing else
    assert abs(columns.mean() - 64) < 12


def test_a_pan_to_the_right_moves_things_to_the_left():
    marks = layout(
        Directions(), camera_path(CameraMove(kind=MoveKind.pan_right), ShotSize.wide, 5, ASPECT), music(5), 64, 36
    )
    columns = [(m[3] * np.arange(64)).sum() / m[3].sum() for m in marks]
    assert columns[0] - columns[-1] > 8 and all(np.diff(columns) < 0)


def test_a_dolly_in_makes_the_figure_grow():
    path = camera_path(CameraMove(kind=MoveKind.dolly_in), ShotSize.wide, 5, ASPECT)
    areas = layout(Directions(), path, music(5), 64, 36)[:, 3].sum((1, 2))
    assert areas[-1] > 1.2 * areas[0]


def test_layout_marks_lie_in_the_picture():
    maps = layout(Directions(), static(), music(mouth=1.0), 64, 36)
    assert maps.shape == (3, LAYOUT_CHANNELS, 36, 64) and maps.min() >= 0 and maps.max() <= 1
    figure, head, mouth = maps[0, 3:6] > 0.5
    assert 0 < mouth.sum() < head.sum() < figure.sum()
    assert not layout(Directions(action=None), static(), music(), 64, 36)[:, :6].any()


def test_a_camera_among_the_props_does_not_break_the_picture():
    for azimuth in (-60, 60):
        for scene in SCENES:
            path = camera_path(
                CameraMove(kind=MoveKind.orbit_left, azimuth=azimuth, amount=2), ShotSize.close, 4, ASPECT
            )
            assert paint(Directions(scene=scene), path, music(4)).shape == (4, 72, 128, 3)


def test_music_is_read_back_from_its_features():
    heard = listen(music(1, beat=6.25, low=0.8, mouth=0.4)[0])
    assert heard.low == pytest.approx(0.8) and heard.mouth == pytest.approx(0.4) and heard.beat == pytest.approx(6.25)
