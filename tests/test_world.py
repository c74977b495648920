"""The stage world: what words, camera and music decide is what one sees."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mv.camera import camera_path
from mv.schema import CURVES, CameraMove, MoveKind, ShotSize, with_phases
from mv.world.render import (
    EYES_MARK,
    FIGURE_CHANNELS,
    HEAD_MARK,
    LAYOUT_CHANNELS,
    blockout,
    draw,
    figure_layout,
    layout,
    listen,
    mouth_place,
)
from mv.world.scenes import place
from mv.world.vocabulary import ACTIONS, HAIR_STYLES, SCENES, Directions, Look

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


@pytest.mark.parametrize("action", ACTIONS)
def test_every_act_moves_with_the_beat_and_looks_like_no_other(action):
    at = lambda name, beat: figure_layout(Directions(action=name), static(1, "wide"), music(1, beat), 64, 36)[0, :9]
    assert np.abs(at(action, 0.0) - at(action, 1.0)).mean() > 0.002
    assert min(np.abs(at(action, 0.0) - at(other, 0.0)).mean() for other in ACTIONS if other != action) > 0.002


def test_words_change_the_picture():
    base = Directions()
    for change in (dict(palette="lime"), dict(time="day"), dict(look=replace(base.look, outfit_color="red"))):
        assert np.abs(paint(replace(base, **change)) - paint(base)).mean() > 0.5, change


def test_lows_light_the_stage():
    directions = Directions(action=None)
    assert paint(directions, audio=music(low=1.0)).mean() > paint(directions, audio=music(low=0.0)).mean() + 3


@pytest.mark.parametrize("action", ACTIONS)
def test_the_mouth_opens_with_the_voice(action):
    path, directions = static(size="close"), Directions(size="close", action=action)
    closed, opened = (paint(directions, path, music(mouth=m)) for m in (0.0, 1.0))
    changed = np.abs(opened - closed).sum(-1)[0] > 30
    rows, columns = np.nonzero(changed)
    assert 10 < changed.sum() < 0.1 * changed.size  # the mouth and nothing else
    assert abs(columns.mean() - 64) < 12
    # It is where mouth_place says, and as large.
    x, y, radius = mouth_place(directions, path, music(), 128, 72)[0]
    assert abs(columns.mean() - x) < 2 and abs(rows.mean() - y) < 2
    assert np.hypot(columns - x, rows - y).max() < 1.5 * radius
    assert changed.sum() > 0.5 * radius**2


def test_a_mouth_shows_the_more_dark_the_more_it_is_open():
    path, directions = static(1, "close"), Directions(scene="desert", time="day", action="dancing")
    x, y, radius = mouth_place(directions, path, music(1), 512, 288)[0]
    inside = np.s_[0, round(y - radius) : round(y + radius), round(x - radius) : round(x + radius)]
    dark = [(draw(directions, path, music(1, mouth=m), 512, 288)[inside].max(-1) < 90).sum() for m in (0.0, 0.5, 1.0)]
    assert 0 < dark[0] < 0.6 * dark[1] and dark[1] < 0.8 * dark[2]


def test_mouth_place_follows_the_camera():
    pan = camera_path(CameraMove(kind=MoveKind.pan_right), ShotSize.close, 5, ASPECT)
    dolly = camera_path(CameraMove(kind=MoveKind.dolly_in), ShotSize.close, 5, ASPECT)
    still = np.repeat(music(1), 5, 0)
    assert (np.diff(mouth_place(Directions(), pan, still, 128, 72)[:, 0]) < 0).all()
    assert (np.diff(mouth_place(Directions(), dolly, still, 128, 72)[:, 2]) > 0).all()
    small, large = (mouth_place(Directions(), pan, still, n, n * 9 // 16) for n in (128, 256))
    assert np.allclose(2 * small, large)


def test_mouth_place_is_nan_where_no_mouth_is_seen():
    assert np.isnan(mouth_place(Directions(action=None), static(), music(), 128, 72)).all()
    behind = camera_path(CameraMove(), ShotSize.medium, 1, ASPECT)
    behind.extrinsics[:] = behind.extrinsics @ np.diag([-1.0, 1.0, -1.0, 1.0])  # half way round the performer
    assert np.isnan(mouth_place(Directions(), behind, music(1), 128, 72)).all()


def test_the_performer_blinks_once_in_four_beats():
    eyes = [
        figure_layout(Directions(), static(1), music(1, beat), 64, 36)[0, 6].max() for beat in np.arange(0, 8, 0.25)
    ]
    assert [i / 4 for i, level in enumerate(eyes) if level < 0.1] == [2.5, 6.5]
    assert sum(level > 0.9 for level in eyes) >= 24


def test_a_pan_to_the_right_moves_things_to_the_left():
    marks = figure_layout(
        Directions(), camera_path(CameraMove(kind=MoveKind.pan_right), ShotSize.wide, 5, ASPECT), music(5), 64, 36
    )
    columns = [(m[3] * np.arange(64)).sum() / m[3].sum() for m in marks]
    assert columns[0] - columns[-1] > 8 and all(np.diff(columns) < 0)


def test_a_dolly_in_makes_the_figure_grow():
    path = camera_path(CameraMove(kind=MoveKind.dolly_in), ShotSize.wide, 5, ASPECT)
    areas = figure_layout(Directions(), path, music(5), 64, 36)[:, 3].sum((1, 2))
    assert areas[-1] > 1.2 * areas[0]


@pytest.mark.parametrize("size", ("medium", "close"))
@pytest.mark.parametrize("action", ACTIONS)
def test_layout_marks_lie_in_the_picture(action, size):
    maps = figure_layout(Directions(action=action), static(size=size), music(mouth=1.0), 64, 36)
    assert maps.shape == (3, FIGURE_CHANNELS, 36, 64) and maps.min() >= 0 and maps.max() <= 1
    figure, head, mouth = maps[0, 3:6] > 0.5
    eyes, hands, instrument = maps[0, 6:9] > 0.5
    assert 6 < mouth.sum() < head.sum() < figure.sum()
    assert 6 < eyes.sum() < head.sum() and (eyes <= head).all()
    assert hands.any() or size == "close"
    assert instrument.any() == (action in ("singing", "guitar", "keys", "drums")) or size == "close"


def test_layout_of_an_empty_place_is_its_blockout_and_its_five_tones():
    directions = Directions(scene="desert", time="sunset", palette="cyan", action=None)
    maps = layout(directions, static(), music(), 64, 36)
    assert maps.shape == (3, LAYOUT_CHANNELS, 36, 64) and not maps[:, :18].any()
    tones = place("desert", "sunset", "cyan").tones
    assert tones.shape == (5, 3) and np.allclose(maps[1, 22:, 20, 30], tones.ravel() / 255)
    assert np.ptp(maps[:, 22:], axis=(0, 2, 3)).max() == 0


def test_layout_keeps_cast_and_blockout_at_twice_its_size():
    maps = layout(Directions(), static(), music(mouth=1.0), 64, 36)
    unfold = lambda x: torch.pixel_shuffle(torch.from_numpy(x), 2).numpy()
    figure = figure_layout(Directions(), static(), music(mouth=1.0), 128, 72)
    assert np.array_equal(unfold(maps[:, :12]), figure[:, :3])
    assert np.array_equal(unfold(maps[:, 18:22])[:, 0], blockout(Directions(), static(), music(), 128, 72))
    marks = figure[:, 3:].reshape(3, 6, 36, 2, 64, 2).mean((3, 5))
    assert np.allclose(maps[:, 12:18], marks, atol=1e-6)
    head, eyes = maps[0, HEAD_MARK] > 0.5, maps[0, EYES_MARK] > 0.5
    assert 0 < eyes.sum() < head.sum() and (eyes <= head).all()


@pytest.mark.parametrize("scene", SCENES)
def test_the_blockout_is_the_grey_set_without_the_performer(scene):
    directions, path = Directions(scene=scene), camera_path(CameraMove(kind="truck left"), ShotSize.wide, 3, ASPECT)
    grey = blockout(directions, path, music(), 64, 36)
    empty = paint(replace(directions, action=None), path, music()) @ [0.299, 0.587, 0.114]
    small = empty.reshape(3, 36, 2, 64, 2).mean((2, 4))
    assert np.abs(255 * grey**2 - small).mean() < 1.5
    assert np.abs(grey[0] - grey[2]).mean() > 0.001  # it goes with the camera


def test_layout_shows_the_cast():
    cast = lambda **look: figure_layout(Directions(look=Look(**look)), static(1), music(1), 64, 36)[0, :3]
    styles = [cast(hair_style=style, hair_color="red") for style in HAIR_STYLES]
    for i, one in enumerate(styles):
        assert all(np.abs(one - other).mean() > 0.001 for other in styles[:i])
    red, black = cast(outfit="dress", outfit_color="red"), cast(outfit="dress", outfit_color="black")
    assert (red[0] - black[0]).max() > 0.6


def test_layout_and_picture_show_the_same_figure():
    directions = Directions(scene="desert", action="drums")
    audio, path = music(1), static(1)
    mark = figure_layout(directions, path, audio, 128, 72)[0, 3] > 0.5
    empty = paint(replace(directions, action=None), path, audio)[0]
    changed = np.abs(paint(directions, path, audio)[0] - empty).sum(-1) > 40
    assert (changed & mark).sum() > 0.85 * max(mark.sum(), 1)
    assert (changed & mark).sum() > 0.7 * changed.sum()  # the rest is rim and shadow


def test_a_camera_among_the_props_does_not_break_the_picture():
    for azimuth in (-60, 60):
        for scene in SCENES:
            path = camera_path(
                CameraMove(kind=MoveKind.orbit_left, azimuth=azimuth, amount=2), ShotSize.close, 4, ASPECT
            )
            assert paint(Directions(scene=scene), path, music(4)).shape == (4, 72, 128, 3)
        for action in ACTIONS:
            assert paint(Directions(action=action), path, music(4)).std() > 15


def test_music_is_read_back_from_its_features():
    heard = listen(music(1, beat=6.25, low=0.8, mouth=0.4)[0])
    assert heard.low == pytest.approx(0.8) and heard.mouth == pytest.approx(0.4) and heard.beat == pytest.approx(6.25)
