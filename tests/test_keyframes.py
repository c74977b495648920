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
    there = added.shots[0].camera.keyframes[1].at
    with pytest.raises(InputError, match="shot 1: keyframes: there is one on this frame already"):
        keyframes.add_keyframe(added, 0, there)
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


# ---------------------------------------------------------------- in their place in time


LED = [[0, -2, 1.5, 4, -27, 0, 0, 1.15], [0.3, 0, 2, 3, 0, -10, 0, 1.5], [1, 2.5, 1.5, 2, 51, 0, 15, 1.15]]


def led(rows=LED) -> Timeline:
    """Two shots, both led by keyframes; the second one elsewhere."""
    other = [[0, 0, 6, 8, 0, -30, 0, 1.15], [1, 0, 4, 8, 0, -20, 0, 1.15]]
    return keyframes.set_keyframes(keyframes.set_keyframes(plan(), 0, rows), 1, other)


def ways(timeline: Timeline) -> np.ndarray:
    """Poses (x, y, z, angles, focal) in every frame of the film, (f, 7)."""
    found = []
    for index, shot in enumerate(timeline.shots):
        first, _ = timeline.span(index)
        found.append(keyframes._way(timeline, index)[shot.start - first : shot.end - first])
    return np.concatenate(found)


def edit(timeline: Timeline, **message) -> Timeline:
    return read_operation(message).apply(timeline)


def assert_near(one: np.ndarray, other: np.ndarray) -> None:
    assert np.all(np.abs(one - other) <= 1.5 * keyframes.NEAR), np.abs(one - other).max(0)


@pytest.mark.parametrize("frame", [1, 7, 14, 15, 30, 47])
def test_each_part_of_a_split_shot_keeps_its_part_of_the_way_and_merging_gives_it_back(frame):
    before = led()
    parts = edit(before, op="split", id="a", frame=frame)
    assert len(parts.shots) == 3 and parts.revision == before.revision + 1
    assert_near(ways(parts), ways(before))
    merged = edit(parts, op="merge", ids=[shot.id for shot in parts.shots[:2]])
    assert_near(ways(merged), ways(before))
    found = np.array([keyframes.row_of(k) for k in merged.shots[0].camera.keyframes])
    for row in LED:  # what the user set is still there: to the digit, at most half a frame aside
        assert np.abs((found - row) / [0.5 / 47, *[1e-6] * 7]).max(1).min() <= 1, row
    for at in range(3, 45, 3):  # however often: no more than the table holds
        merged = edit(edit(merged, op="split", id="a", frame=at), op="merge", ids=["a", parts.shots[1].id])
    assert len(merged.shots[0].camera.keyframes) <= keyframes.MAX_KEYFRAMES
    assert np.all(np.abs(ways(merged) - ways(before)) <= 4 * keyframes.NEAR), "14 times, each a little beside"


@pytest.mark.parametrize("frame", [20, 40, 47, 49, 60, 71])
def test_a_moved_cut_leaves_the_ways_where_they_are(frame):
    before = led()
    after = edit(before, op="move_boundary", id="b", frame=frame)
    cut = min(frame, 48)
    assert_near(ways(after)[:cut], ways(before)[:cut])
    assert_near(ways(after)[max(frame, 48) :], ways(before)[max(frame, 48) :])
    if frame > 48:
        assert_near(ways(after)[48:frame], ways(before)[47])  # the camera rests where its way ended
        back = edit(after, op="move_boundary", id="b", frame=48)
        assert_near(ways(back)[:48], ways(before)[:48])


def test_shots_of_two_ways_are_merged_into_the_first_ones_which_then_rests():
    before = led()
    for after in (edit(before, op="merge", ids=["a", "b"]), edit(before, op="delete", ids=["b"])):
        assert_near(ways(after)[:48], ways(before)[:48])
        assert_near(ways(after)[48:], ways(before)[47])
    after = edit(before, op="delete", ids=["a"])
    assert_near(ways(after)[48:], ways(before)[48:])
    assert_near(ways(after)[:48], ways(before)[48])


def test_a_way_of_several_turns_is_cut_and_joined():
    """Yaw runs past 360 degrees: no spin is added or lost."""
    before = led([[0, 0, 2, 3, 0, 0, 0, 1.15], [1, 0, 2, 3, 700, 0, 0, 1.15]])
    parts = edit(before, op="split", id="a", frame=30)
    assert parts.shots[0].camera.keyframes[-1].yaw > 400
    assert_near(ways(parts), ways(before))
    merged = edit(parts, op="merge", ids=["a", parts.shots[1].id])
    assert merged.shots[0].camera.keyframes[-1].yaw == pytest.approx(700, abs=0.1)


def test_a_crossfade_gives_frames_to_shots_and_leaves_their_ways():
    before = led()
    after = edit(before, op="set", ids=["b"], fields={"transition": "crossfade"})
    assert after.span(0)[1] > 48 > after.span(1)[0]
    assert_near(ways(after), ways(before))
    assert_near(ways(edit(after, op="set", ids=["b"], fields={"transition_frames": 0})), ways(before))


def test_a_shot_put_elsewhere_takes_its_way_along():
    """As long as its new place: the way is the picture's, not the place's."""
    before = led()
    after = edit(before, op="reorder", id="a", to=1)
    assert after.shots[1].id == "a" and after.shots[1].duration == 24
    assert after.shots[1].camera == before.shots[0].camera


def test_a_named_move_fills_its_shot_as_ever():
    before = plan(camera=CameraMove(kind="dolly in"))
    after = edit(before, op="split", id="a", frame=20)
    assert after.shots[0].camera == after.shots[1].camera == before.shots[0].camera
