"""Keyframes made of a move go its way; the page's are checked before they are in the plan."""

import numpy as np
import pytest

from mv.camera import camera_path
from mv.errors import InputError
from mv.schema import CameraMove, MoveKind, Shot, ShotSize, Timeline
from mv.ui import keyframes
from mv.ui.operations import read_operation


def plan(**first_shot) -> Timeline:
    shots = [
        Shot(id="a", start=0, duration=48, section=0, prompt="wide shot, desert").model_copy(update=first_shot),
        Shot(id="b", start=48, duration=24, section=0, prompt="wide shot, forest"),
    ]
    return Timeline(song="song.ogg", analysis="analysis.json", width=64, height=36, num_frames=72, shots=shots)


def way(timeline: Timeline) -> np.ndarray:
    """The first shot's camera centres, (f, 3) metres."""
    shot = timeline.shots[0]
    return camera_path(shot.camera, shot.size, shot.duration, 16 / 9, seed=shot.seed).c2w[:, :3, 3]


@pytest.mark.parametrize("kind", MoveKind)
@pytest.mark.parametrize("num_frames", [1, 2, 60])
def test_keyframes_of_a_move_go_its_way(kind, num_frames):
    path = camera_path(CameraMove(kind=kind, azimuth=20), ShotSize.medium, num_frames, 16 / 9, seed=3)
    made = keyframes.keyframes_of(path)
    assert len(made) <= 12
    again = camera_path(CameraMove(keyframes=made), ShotSize.medium, num_frames, 16 / 9)
    assert np.abs(again.c2w[:, :3, 3] - path.c2w[:, :3, 3]).max() < 0.03  # metres
    assert np.abs(again.c2w[:, :3, :3] - path.c2w[:, :3, :3]).max() < 0.015
    assert again.intrinsics == pytest.approx(path.intrinsics, rel=0.015)


def test_making_adding_and_forgetting_keyframes():
    before = plan(camera=CameraMove(kind="orbit left", beat=0.5))
    made = keyframes.make_keyframes(before, 0)
    camera = made.shots[0].camera
    assert camera.keyframes and (camera.kind, camera.beat) == ("orbit left", 0.5)
    added = keyframes.add_keyframe(made, 0, 0.3)
    moments = [k.at for k in added.shots[0].camera.keyframes]
    assert len(moments) == len(camera.keyframes) + 1 and moments == sorted(moments)
    assert np.abs(way(added) - way(made)).max() < 0.05, "a new keyframe moves nothing"
    named = keyframes.set_keyframes(added, 0, [])
    assert named.shots[0].camera == before.shots[0].camera and made.shots[1] == before.shots[1]


def test_the_camera_goes_where_the_page_puts_it():
    start, end = [0, -1, 1.5, 3, 0, 0, 0, 1.15], [1, 1, 2.5, 2, 30, -10, 5, 2.0]
    timeline = keyframes.set_keyframes(plan(), 0, [end, start])
    assert way(timeline)[[0, -1]] == pytest.approx(np.array([start[1:4], end[1:4]]))
    assert [keyframes.row_of(k) for k in timeline.shots[0].camera.keyframes] == [start, end]


ROW = [0, 0, 1.5, 3, 0, 0, 0, 1.15]


@pytest.mark.parametrize(
    "rows, words",
    [
        ([ROW, [0.001, *ROW[1:]]], "two of them stand on the same frame"),
        ([ROW[:7]], "row 1: expected 8 numbers"),
        ([ROW, [1, 0, 0.1, 3, 0, 0, 0, 1]], "row 2: y: expected 0.25 to 15, got 0.1"),
        ([[0, float("inf"), *ROW[2:]]], "x: expected -30 to 30, got inf"),
        ([[*ROW[:7], 0.1]], "focal: expected 0.21 to 8"),
        ([[1.5, *ROW[1:]]], "moment: expected 0 to 1"),
        ([[k / 30, *ROW[1:]] for k in range(25)], "expected at most 24, got 25"),
    ],
)
def test_what_the_camera_cannot_follow_is_said(rows, words):
    with pytest.raises(InputError, match=words):
        keyframes.set_keyframes(plan(), 0, rows)


@pytest.mark.parametrize("value", ["x", [["x"]], [[None] * 8], [3], {"a": 1}])
def test_what_is_no_keyframe_is_refused(value):
    with pytest.raises(InputError, match="keyframe"):
        read_operation({"op": "set", "ids": ["a"], "fields": {"keyframes": value}}).apply(plan())


def test_a_locked_shot_keeps_its_way():
    for message in ({"op": "make_keyframes", "ids": ["a"]}, {"op": "add_keyframe", "id": "a", "at": 0.5}):
        with pytest.raises(InputError, match="is locked"):
            read_operation(message).apply(plan(locked=True))
