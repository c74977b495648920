"""The agent with a renderer whose takes measure as the test says."""

import hashlib
import math
from itertools import pairwise

import pytest
from test_director import invent_song, plan, scene_of

from director.agent import Goal, perfect
from director.setups import framing_of, move_family
from mv.errors import InputError
from mv.schema import Take
from mv.ui import edits
from mv.world import vocabulary as world

GOALS = [Goal("camera error", at_most=4.0), Goal("sharpness", at_least=0.5)]


class Studio:
    """Renders by name only: the measurements of a take come from `measured`, called with the shot."""

    def __init__(self, measured):
        self.measured, self.rendered = measured, []

    def __call__(self, timeline):
        return timeline.model_copy(update={"shots": [self._with_take(shot) for shot in timeline.shots]})

    def _with_take(self, shot):
        key = hashlib.sha256(f"{shot.id}{shot.fingerprint}".encode()).hexdigest()[:12]
        takes = {take.key: take for take in shot.takes}
        if key not in takes:
            self.rendered.append(shot.id)
            measured = self.measured(shot)
            takes[key] = Take(key=key, file=key, model="m", num_frames=9, seconds=1, measurements=measured)
        return shot.model_copy(update={"takes": list(takes.values()), "chosen": key})


def bad_until(number, ids=("s003", "s007")):
    """Shots whose takes are bad before their take with this number, and better each time."""
    seen = {}

    def measured(shot):
        seen[shot.id] = seen.get(shot.id, 0) + 1
        bad = shot.id in ids and seen[shot.id] < number
        return {"camera error": 9.0 - seen[shot.id] if bad else 1.0, "sharpness": 0.9}

    return measured


def test_good_takes_are_left_alone():
    timeline = plan(invent_song(30.0))
    studio = Studio(lambda shot: {"camera error": 1.0, "sharpness": 0.8})
    after, memory = perfect(timeline, studio, GOALS)
    assert len(studio.rendered) == len(timeline.shots)
    assert [shot.fingerprint for shot in after.shots] == [shot.fingerprint for shot in timeline.shots]
    assert memory.log[0] == "s001, take 1: good" and memory.log[-1] == "done: no shot left to plan again"


@pytest.mark.parametrize("number", [2, 3, 4])
def test_bad_shots_are_planned_again_until_they_are_good(number):
    timeline = plan(invent_song())
    studio = Studio(bad_until(number))
    after, memory = perfect(timeline, studio, GOALS)
    assert len(studio.rendered) == len(timeline.shots) + 2 * (number - 1)
    changed = [two for one, two in zip(timeline.shots, after.shots) if one.fingerprint != two.fingerprint]
    assert [shot.id for shot in changed] == ["s003", "s007"]
    for shot in changed:
        assert len(shot.takes) == number and shot.takes[-1].key == shot.chosen
        retakes = [reason for reason in shot.reasons if reason.decision == "retake"]
        assert len(retakes) == number - 1 and "camera error 8, at most 4" in retakes[0].evidence
        assert not shot.edited
    before = timeline.shots[2]
    one = changed[0]
    assert one.seed != before.seed
    assert (one.camera.kind != before.camera.kind) == (number >= 3)
    assert (framing_of(one.size, one.camera) != framing_of(before.size, before.camera)) == (number >= 4)
    assert one.prompt.startswith(world.SIZES[one.size])
    assert any("s003: planned again with another seed" in line for line in memory.log)


def test_the_neighbours_still_cut():
    timeline = plan(invent_song())
    studio = Studio(lambda shot: {"camera error": 9.0})
    after, _ = perfect(timeline, studio, GOALS, max_retakes=8)
    for i in range(len(timeline.shots)):
        alone, _ = perfect(timeline, Studio(bad_until(4, {timeline.shots[i].id})), GOALS)
        for one, two in pairwise(alone.shots):
            assert move_family(one.camera.kind) != move_family(two.camera.kind)
            if scene_of(one) == scene_of(two) and one.size == two.size:
                assert abs(one.camera.azimuth - two.camera.azimuth) >= 30
    assert len(after.shots) == len(timeline.shots)


def test_what_never_gets_good_is_bounded_and_the_best_take_wins():
    timeline = plan(invent_song(30.0))
    errors = iter([9.0, 5.0, 7.0, 8.0])
    studio = Studio(lambda shot: {"camera error": next(errors) if shot.id == "s002" else 0.0})
    after, memory = perfect(timeline, studio, GOALS, max_retakes=3)
    assert studio.rendered.count("s002") == 4
    (best,) = [take for take in after.shots[1].takes if take.key == after.shots[1].chosen]
    assert best.measurements["camera error"] == 5.0 and len(after.shots[1].takes) == 4
    assert after.shots[1].camera == timeline.shots[1].camera, "the shot is as it was for its best take"
    assert memory.log[-2:] == [
        "done: 1 shots still miss a goal", "s002: take 2 of 4 is the best: camera error 5, at most 4"
    ]  # fmt: skip


def test_locked_and_edited_shots_stay_whatever_they_measure():
    timeline = edits.set_locked(plan(invent_song(30.0)), 0, True)
    timeline = edits.set_amount(timeline, 1, 0.3)
    after, memory = perfect(timeline, Studio(lambda shot: {"sharpness": math.nan}), GOALS, max_retakes=2)
    assert [s.fingerprint for s in after.shots[:2]] == [s.fingerprint for s in timeline.shots[:2]]
    assert "s001: locked, so it stays" in memory.log and "s002: edited, so it stays" in memory.log
    assert len(after.shots[2].takes) == 3


def test_without_measurements_nothing_is_planned_again():
    timeline = plan(invent_song(30.0))
    after, _ = perfect(timeline, Studio(lambda shot: {}), GOALS)
    assert [shot.fingerprint for shot in after.shots] == [shot.fingerprint for shot in timeline.shots]
    after, memory = perfect(timeline, lambda same: same, GOALS)
    assert after == timeline and memory.log[0] == "s001: no take to look at"


def test_goals_know_how_far_they_are_missed():
    assert Goal("x", at_most=4).missed_by(5) == 0.25 and Goal("x", at_least=0.5).missed_by(0.25) == 0.5
    assert Goal("x", at_most=4).missed_by(4) == 0 and Goal("x", at_most=0).missed_by(2) == 2
    assert Goal("x", at_most=4).missed_by(math.nan) == math.inf
    assert str(Goal("x", at_most=4, at_least=1)) == "at most 4 and at least 1"


@pytest.mark.parametrize("number", [-1, 9])
def test_numbers_of_retakes_that_cannot_be_are_refused(number):
    with pytest.raises(InputError, match=f"retakes: expected 0 to 8, got {number}"):
        perfect(plan(invent_song(10.0)), lambda same: same, GOALS, number)
