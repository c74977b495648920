"""The agent with tools whose takes measure as the test says."""

import hashlib
import math
from itertools import pairwise

import pytest
from test_director import invent_song, plan, scene_of

from director import agent
from director.agent import Goal
from director.proposals import WriterError
from director.remedies import REMEDIES
from director.setups import framing_of, move_family
from director.toolbox import measure_path, toolbox
from mv.camera import camera_path
from mv.errors import InputError
from mv.schema import CameraMove, ShotSize, Take
from mv.ui import edits
from mv.world import vocabulary as world

GOALS = [Goal("camera error", at_most=4.0), Goal("sharpness", at_least=0.5)]


def perfect(timeline, studio, goals=GOALS, max_retakes=3, image=None, adviser=None, song=None):
    song = song or invent_song(timeline.duration)
    return agent.perfect(timeline, song, toolbox(song, studio, image), lambda measured: goals, max_retakes, adviser)


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
    after, memory = perfect(timeline, studio)
    assert len(studio.rendered) == len(timeline.shots)
    assert [shot.fingerprint for shot in after.shots] == [shot.fingerprint for shot in timeline.shots]
    first = timeline.shots[0]
    assert f"s001, take 1: good; {first.prompt!r}, {first.camera.kind}" in memory.log[-len(timeline.shots) - 1]
    assert memory.log[-1] == "done: no shot left to plan again"


@pytest.mark.parametrize("number", [2, 3, 4])
def test_bad_shots_are_planned_again_until_they_are_good(number):
    timeline = plan(invent_song())
    studio = Studio(bad_until(number))
    after, memory = perfect(timeline, studio)
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
    after, _ = perfect(timeline, studio, max_retakes=8)
    for i in range(len(timeline.shots)):
        alone, _ = perfect(timeline, Studio(bad_until(4, {timeline.shots[i].id})))
        for one, two in pairwise(alone.shots):
            assert move_family(one.camera.kind) != move_family(two.camera.kind)
            if scene_of(one) == scene_of(two) and one.size == two.size:
                assert abs(one.camera.azimuth - two.camera.azimuth) >= 30
    assert len(after.shots) == len(timeline.shots)


def test_what_never_gets_good_is_bounded_and_the_best_take_wins():
    timeline = plan(invent_song(30.0))
    errors = iter([9.0, 5.0, 7.0, 8.0])
    studio = Studio(lambda shot: {"camera error": next(errors) if shot.id == "s002" else 0.0})
    after, memory = perfect(timeline, studio, max_retakes=3)
    assert studio.rendered.count("s002") == 4
    (best,) = [take for take in after.shots[1].takes if take.key == after.shots[1].chosen]
    assert best.measurements["camera error"] == 5.0 and len(after.shots[1].takes) == 4
    assert after.shots[1].camera == timeline.shots[1].camera, "the shot is as it was for its best take"
    assert memory.log[-2:] == [
        "done: 1 shot still misses a goal", "s002: take 2 of 4 is the best: camera error 5, at most 4"
    ]  # fmt: skip


def test_locked_and_edited_shots_stay_whatever_they_measure():
    timeline = edits.set_locked(plan(invent_song(30.0)), 0, True)
    timeline = edits.set_amount(timeline, 1, 0.3)
    after, memory = perfect(timeline, Studio(lambda shot: {"sharpness": math.nan}), max_retakes=2)
    assert [s.fingerprint for s in after.shots[:2]] == [s.fingerprint for s in timeline.shots[:2]]
    assert "s001: locked, so it stays" in memory.log and "s002: edited, so it stays" in memory.log
    assert len(after.shots[2].takes) == 3


def test_without_measurements_nothing_is_planned_again():
    timeline = plan(invent_song(30.0))
    after, _ = perfect(timeline, Studio(lambda shot: {}))
    assert [shot.fingerprint for shot in after.shots] == [shot.fingerprint for shot in timeline.shots]
    after, memory = perfect(timeline, lambda same: same)
    assert after == timeline and "s001: no take to look at" in memory.log


def test_goals_know_how_far_they_are_missed():
    assert Goal("x", at_most=4).missed_by(5) == 0.25 and Goal("x", at_least=0.5).missed_by(0.25) == 0.5
    assert Goal("x", at_most=4).missed_by(4) == 0 and Goal("x", at_most=0).missed_by(2) == 2
    assert Goal("x", at_most=4).missed_by(math.nan) == math.inf
    assert str(Goal("x", at_most=4, at_least=1)) == "at most 4 and at least 1"


@pytest.mark.parametrize("number", [-1, 9])
def test_numbers_of_retakes_that_cannot_be_are_refused(number):
    with pytest.raises(InputError, match=f"retakes: expected 0 to 8, got {number}"):
        perfect(plan(invent_song(10.0)), lambda same: same, max_retakes=number)


# ---------------------------------------------------------------- the toolbox


def test_the_toolbox_is_one_table_of_what_the_issue_names():
    tools = toolbox(invent_song(10.0), lambda same: same, lambda timeline, index: {})
    assert list(tools) == ["segmentation", "understanding", "trajectory", "image", "video", "edit"]
    assert all(tool.takes and tool.gives for tool in tools.values())
    assert "image" not in toolbox(invent_song(10.0), lambda same: same)


def test_every_call_of_a_tool_is_a_line_of_the_log():
    timeline = plan(invent_song(), theme="a neon city, some glitter")
    _, memory = perfect(timeline, Studio(bad_until(2)), image=lambda timeline, index: {"sharpness": 0.8})
    log, number = memory.log, len(timeline.shots)
    assert log[0].startswith(f"material: Untitled, 2:00, {number} shots, 120 BPM, 8 sections")
    assert "theme 'a neon city, some glitter': scene city; no meaning here: some, glitter" in log[1]
    assert [line.split(":")[0] for line in log[2:8]] == [
        f"tool {name}" for name in ("segmentation", "understanding", "trajectory", "image", "video", "edit")
    ]
    assert log[8].startswith(f"segmentation, {number} shots: 8 different sections, seconds ")
    assert log[9].startswith(f"understanding, {number} shots: ") and "different prompts" in log[9]
    assert log[10].startswith(f"trajectory, {number} shots: metres 0 to ")
    assert log[11] == f"video, {number} shots: camera error 1 to 8, sharpness 0.9 to 0.9"
    assert log[12:14] == ["goal: camera error at most 4", "goal: sharpness at least 0.5"]
    start = log.index("round 1 of at most 3: 2 shots to plan again")
    assert [line.split(":")[0] for line in log[start + 1 : start + 5]] == [
        "trajectory, s003", "edit (seed), s003", "image, s003", "s003"
    ]  # fmt: skip
    assert "video, 2 shots: camera error 1 to 1, sharpness 0.9 to 0.9" in log
    history = memory.attempts["s003"]
    assert [one.why for one in history] == ["camera error 8, at most 4", ""] and memory.plan is timeline
    assert all(one.shot.prompt and one.take.measurements for one in history)


def test_tools_say_where_a_shot_stands_and_what_its_words_mean():
    song = invent_song()
    timeline = edits.set_prompt(plan(song), 3, "a dragon over the city")
    tools = toolbox(song, lambda same: same)
    _, music = tools["segmentation"].run(timeline, [3])
    shot = timeline.shots[3]
    assert music[3]["seconds"] == pytest.approx(shot.duration / 24, abs=0.01)
    assert music[3]["section"].startswith(song.sections[shot.section].label)
    assert music[3]["beats"] == round(music[3]["seconds"] / 0.5)
    _, words = tools["understanding"].run(timeline, [2, 3])
    assert words[2] == {"prompt": timeline.shots[2].prompt}
    assert words[3]["no meaning here"] == "dragon, over"


@pytest.mark.parametrize("kind", ["pan left", "dolly in", "orbit right", "zoom in", "truck left", "tilt up"])
def test_the_speed_of_a_path_grows_with_its_amount_and_a_still_camera_has_none(kind):
    speed = lambda kind, amount, frames=49: measure_path(
        camera_path(CameraMove(kind=kind, amount=amount), ShotSize.medium, frames, 16 / 9), 24.0
    )["speed"]
    assert speed("static", 1.0) == 0 < speed(kind, 0.5) < speed(kind, 1.0)
    assert speed(kind, 1.0, 97) == pytest.approx(speed(kind, 1.0) / 2, rel=0.1), "twice as long, half as fast"
    assert measure_path(camera_path(CameraMove(), ShotSize.wide, 1, 1.0), 24.0)["speed"] == 0


def test_a_calmer_move_is_slower_on_the_screen():
    timeline = plan(invent_song())
    for i in range(0, len(timeline.shots), 5):
        name = timeline.shots[i].id
        after, memory = perfect(timeline, Studio(bad_until(3, {name})))
        speeds = [line.split("speed ")[1] for line in memory.log if line.startswith(f"trajectory, {name}")]
        if after.shots[i].camera.kind != timeline.shots[i].camera.kind:
            tried = [float(speed) for speed in speeds[2:]]
            assert min(tried) <= float(speeds[1]) or len(tried) == agent.MAX_TRIES, "the slowest of three at most"


def test_a_new_plan_whose_picture_is_bad_is_not_shot():
    timeline = plan(invent_song(30.0))
    drawn = []

    def image(timeline, index):
        drawn.append(timeline.shots[index].seed)
        return {"sharpness": 0.1 if len(drawn) < 3 else 0.9}

    studio = Studio(bad_until(2, {"s002"}))
    after, memory = perfect(timeline, studio, image=image)
    assert len(set(drawn)) == 3 and studio.rendered.count("s002") == 2 and after.shots[1].seed == drawn[-1]
    assert memory.log.count("s002: its picture is bad: sharpness 0.1, at least 0.5") == 2


def test_pictures_that_are_never_good_do_not_go_on_for_ever():
    timeline = plan(invent_song(30.0))
    drawn = []
    image = lambda timeline, index: drawn.append(index) or {"sharpness": 0.0}
    studio = Studio(lambda shot: {"sharpness": 0.0})
    perfect(timeline, studio, max_retakes=2, image=image)
    assert len(studio.rendered) == 3 * len(timeline.shots) and len(drawn) <= 2 * 3 * len(timeline.shots)


def test_each_change_is_another_one_until_none_is_left():
    timeline = plan(invent_song())
    edit = toolbox(invent_song(), lambda same: same)["edit"].run
    for change in REMEDIES:
        for i in range(len(timeline.shots)):
            choices = [edit(timeline, [i], change, attempt)[1][i].get("choice") for attempt in range(12)]
            made = [choice for choice in choices if choice]
            assert len(set(made)) == len(made) and (change != "seed" or len(made) == 12)
            assert choices == made + [None] * (12 - len(made))


# ---------------------------------------------------------------- a language model chooses what to change


class Adviser:
    """Says one word after the other; fails when there is none left."""

    name = "an adviser"

    def __init__(self, *words):
        self.words, self.asked = list(words), []

    def choose(self, question, table):
        self.asked.append((question, tuple(table)))
        if not self.words:
            raise WriterError("no answer")
        return self.words.pop(0)


def test_an_adviser_chooses_what_to_change_and_the_rules_go_on_when_it_fails():
    timeline = plan(invent_song())
    adviser = Adviser("size")
    after, memory = perfect(timeline, Studio(bad_until(3, {"s003"})), adviser=adviser)
    first, table = adviser.asked[0]
    assert table == ("seed", "move", "size")
    assert "camera error 8, at most 4" in first and timeline.shots[2].prompt in first and "seconds" in first
    chosen = [reason.choice for reason in after.shots[2].reasons if reason.decision == "retake"]
    assert chosen[0].startswith("another size") and chosen[1].startswith("a calmer move")
    assert "s003: an adviser chooses edit (size)" in memory.log
    assert "an adviser: no answer; from here on the rules choose" in memory.log and len(adviser.asked) == 2
