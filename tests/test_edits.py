"""Every edit keeps the plan whole, and says why where it cannot."""

import random

import pytest

from mv.errors import InputError
from mv.schema import Keyframe, Shot, Take, Timeline, Transition
from mv.ui import edits


def plan(*durations: int, **first_shot) -> Timeline:
    start, shots = 0, []
    for number, duration in enumerate(durations, 1):
        prompt = "medium shot, concert stage at night, violet light, nobody in sight"
        shots.append(Shot(id=f"shot-{number:03d}", start=start, duration=duration, section=0, prompt=prompt))
        start += duration
    shots[0] = shots[0].model_copy(update=first_shot)
    return Timeline(song="song.ogg", analysis="analysis.json", width=64, height=36, num_frames=start, shots=shots)


def take(key: str) -> Take:
    return Take(key=key, file=f"{key}.mp4", model="animatic", num_frames=24, seconds=0.1)


def with_row(timeline: Timeline, index: int, **cells) -> list[list]:
    rows = edits.table_rows(timeline, ["verse"])
    for name, value in cells.items():
        rows[index][edits.COLUMNS.index(name)] = value
    return rows


# ---------------------------------------------------------------- one shot


@pytest.mark.parametrize(
    "edit, read, value",
    [
        (edits.set_prompt, lambda shot: shot.prompt, "wide shot, desert by day"),
        (edits.set_size, lambda shot: shot.size, "close"),
        (edits.set_move, lambda shot: shot.camera.kind, "orbit left"),
        (edits.set_amount, lambda shot: shot.camera.amount, 0.25),
        (edits.set_seed, lambda shot: shot.seed, 2**32 - 1),
        (edits.set_locked, lambda shot: shot.locked, True),
    ],
)
def test_an_edit_changes_one_shot_and_the_revision(edit, read, value):
    before = plan(48, 24, 36)
    after = edit(before, 1, value)
    assert read(after.shots[1]) == value
    assert after.revision == before.revision + 1
    assert (after.shots[0], after.shots[2]) == (before.shots[0], before.shots[2])
    assert read(before.shots[1]) != value


def test_a_new_size_is_said_in_the_prompt_too():
    shot = edits.set_size(plan(48, 24), 1, "close").shots[1]
    assert shot.prompt.startswith("close-up, concert stage")


def test_a_named_move_replaces_keyframes():
    camera = plan(48).shots[0].camera.model_copy(update={"keyframes": [Keyframe(at=0, position=(0, 1, 3))]})
    assert edits.set_move(plan(48, camera=camera), 0, "pan left").shots[0].camera.keyframes == []


def test_an_edit_lets_go_of_the_chosen_take_but_keeps_it():
    timeline = plan(48, 24, takes=[take("a")], chosen="a")
    shot = edits.set_seed(timeline, 0, 5).shots[0]
    assert shot.chosen is None and [t.key for t in shot.takes] == ["a"]


@pytest.mark.parametrize(
    "edit, words",
    [
        (lambda t: edits.set_prompt(t, 0, "  \n "), "shot 1: the prompt is empty"),
        (lambda t: edits.set_prompt(t, 0, "x" * 1001), "1001 characters"),
        (lambda t: edits.set_size(t, 0, "huge"), "one of wide, medium, close; got 'huge'"),
        (lambda t: edits.set_move(t, 0, "fly"), "got 'fly'"),
        (lambda t: edits.set_amount(t, 0, 2.5), "0 to 2"),
        (lambda t: edits.set_amount(t, 0, float("nan")), "0 to 2"),
        (lambda t: edits.set_seed(t, 0, -1), "0 to 4294967295"),
        (lambda t: edits.set_seed(t, 7, 1), "there is no shot 8; the plan has 2"),
        (lambda t: edits.set_transition(t, 0, "crossfade"), "first shot has nothing to fade from"),
        (lambda t: edits.set_transition(t, 1, "crossfade", 25), "1 to 24 frames"),
        (lambda t: edits.set_transition(t, 1, "wipe"), "cut or crossfade"),
        (lambda t: edits.move_boundary(t, 1, 72), "between frames 1 and 71"),
        (lambda t: edits.move_boundary(t, 0, 5), "shots 2 to 2"),
        (lambda t: edits.split(t, 0, 0), "cannot be split at frame 0"),
        (lambda t: edits.merge(t, 1), "no next shot"),
        (lambda t: edits.delete(edits.delete(t, 1), 0), "only one"),
    ],
)
def test_what_cannot_be_done_is_said(edit, words):
    with pytest.raises(InputError, match=words):
        edit(plan(48, 24))


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: edits.set_prompt(t, 1, "x"),
        lambda t: edits.move_boundary(t, 1, 40),
        lambda t: edits.move_boundary(t, 2, 60),
        lambda t: edits.split(t, 1, 60),
        lambda t: edits.merge(t, 0),
        lambda t: edits.merge(t, 1),
        lambda t: edits.delete(t, 1),
        lambda t: edits.delete(t, 2),
    ],
)
def test_a_locked_shot_refuses(edit):
    with pytest.raises(InputError, match="shot 2 is locked; unlock it first"):
        edit(edits.set_locked(plan(48, 24, 36), 1, True))


def test_the_longest_crossfade_named_is_a_valid_one():
    timeline = edits.set_transition(plan(47, 25), 1, "crossfade", 24)
    fade = timeline.shots[1].transition
    assert (fade.in_offset, fade.out_offset) == (12, 12)


def test_a_crossfade_without_a_length_fits_short_shots():
    fade = edits.set_transition(plan(100, 4), 1, "crossfade").shots[1].transition
    assert fade.in_offset + fade.out_offset == 4
    fade = edits.set_transition(plan(100, 100), 1, "crossfade").shots[1].transition
    assert fade.in_offset + fade.out_offset == 12  # half a second


# ---------------------------------------------------------------- the cuts


def test_move_boundary_takes_the_neighbour_along():
    shots = edits.move_boundary(plan(48, 24, 36), 1, 40).shots
    assert [(s.start, s.end) for s in shots] == [(0, 40), (40, 72), (72, 108)]


def test_a_boundary_may_not_squeeze_a_crossfade():
    timeline = edits.set_transition(plan(48, 24), 1, "crossfade", 24)
    with pytest.raises(InputError, match="shorten the transition"):
        edits.move_boundary(timeline, 1, 60)


def test_split_then_merge_gives_the_plan_back():
    before = plan(48, 24, 36)
    after = edits.merge(edits.split(before, 1, 60), 1)
    assert after.shots == before.shots and after.revision == 2


def test_delete_leaves_no_gap():
    timeline = edits.set_transition(plan(48, 24, 36), 1, "crossfade", 12)
    shots = edits.delete(timeline, 0).shots
    assert [(s.id, s.start, s.end) for s in shots] == [("shot-002", 0, 72), ("shot-003", 72, 108)]
    assert shots[0].transition == Transition()


def test_any_walk_of_edits_keeps_the_shots_tiling():
    rng, timeline, done = random.Random(3), plan(48, 24, 36, 60), 0
    for _ in range(300):
        index, frame = rng.randrange(len(timeline.shots)), rng.randrange(timeline.num_frames)
        edit = rng.choice(
            [
                lambda t, i=index, f=frame: edits.move_boundary(t, i, f),
                lambda t, i=index, f=frame: edits.split(t, i, f),
                lambda t, i=index: edits.merge(t, i),
                lambda t, i=index: edits.delete(t, i),
                lambda t, i=index: edits.set_transition(t, i, "crossfade"),
            ]
        )
        try:
            timeline, done = edit(timeline), done + 1
        except InputError:
            continue
        Timeline.model_validate_json(timeline.model_dump_json())
        assert timeline.num_frames == 168
    assert timeline.revision == done > 100


# ---------------------------------------------------------------- the table


def test_an_untouched_table_is_no_edit():
    timeline = edits.set_transition(plan(48, 24), 1, "crossfade", 12)
    assert edits.apply_table(timeline, edits.table_rows(timeline, ["verse"])) is timeline
    as_text = [[str(cell) for cell in row] for row in edits.table_rows(timeline, ["verse"])]
    assert edits.apply_table(timeline, as_text) is timeline


def test_many_cells_are_one_revision():
    timeline = plan(48, 24)
    rows = with_row(
        timeline, 1, size="close", move="zoom in", amount="0.5", transition="crossfade 10", seed=9, locked=True
    )
    after = edits.apply_table(timeline, rows)
    shot = after.shots[1]
    assert (shot.size, shot.camera.kind, shot.camera.amount, shot.seed, shot.locked) == (
        "close",
        "zoom in",
        0.5,
        9,
        True,
    )
    assert shot.transition.in_offset + shot.transition.out_offset == 10
    assert shot.prompt.startswith("close-up") and after.revision == 1


def test_a_prompt_typed_by_hand_wins_over_the_size():
    timeline = plan(48, 24)
    after = edits.apply_table(timeline, with_row(timeline, 0, size="wide", prompt="medium shot, desert"))
    assert (after.shots[0].size, after.shots[0].prompt) == ("wide", "medium shot, desert")


def test_a_shot_can_be_unlocked_and_edited_at_once_but_not_edited_locked():
    timeline = edits.set_locked(plan(48, 24), 0, True)
    after = edits.apply_table(timeline, with_row(timeline, 0, locked=False, seed=3))
    assert (after.shots[0].locked, after.shots[0].seed) == (False, 3)
    with pytest.raises(InputError, match="locked"):
        edits.apply_table(timeline, with_row(timeline, 0, seed=3))


def test_a_sorted_table_still_names_its_shots():
    timeline = plan(48, 24, 36)
    rows = with_row(timeline, 2, seed=77)[::-1]
    assert [shot.seed for shot in edits.apply_table(timeline, rows).shots] == [0, 0, 77]


@pytest.mark.parametrize(
    "cells, words",
    [
        ({"amount": "a lot"}, "shot 2, column amount: expected a number, got 'a lot'"),
        ({"amount": "inf"}, "shot 2, column amount"),
        ({"amount": None}, "shot 2, column amount"),
        ({"seed": "1.5"}, "shot 2, column seed: expected a whole number"),
        ({"size": "<script>"}, "shot 2: size"),
        ({"transition": "crossfade long"}, "shot 2, column transition"),
        ({"transition": "cut 5"}, "shot 2, column transition"),
        ({"locked": "maybe"}, "shot 2, column locked"),
        ({"prompt": None}, "shot 2: the prompt is empty"),
        ({"time": "0:00.00"}, "shot 2, column time"),
        ({"#": 1}, "column #"),
    ],
)
def test_a_bad_cell_is_named(cells, words):
    with pytest.raises(InputError, match=words):
        edits.apply_table(plan(48, 24), with_row(plan(48, 24), 1, **cells))


def test_rows_and_columns_are_counted():
    rows = edits.table_rows(plan(48, 24), [])
    with pytest.raises(InputError, match="1 rows, the plan 2 shots"):
        edits.apply_table(plan(48, 24), rows[:1])
    with pytest.raises(InputError, match="row 2: expected 11 columns"):
        edits.apply_table(plan(48, 24), [rows[0], rows[1][:-1]])


def test_hostile_prompts_stay_what_they_are():
    text = "<img src=x onerror=alert(1)> ${alert(1)} {{value}}"
    timeline = plan(48)
    assert edits.apply_table(timeline, with_row(timeline, 0, prompt=text)).shots[0].prompt == text


def test_film_time_does_not_round_up_to_sixty():
    assert edits.film_time(1439, plan(1).fps) == "0:59.95"
    assert edits.film_time(1440, plan(1).fps) == "1:00.00"


# ---------------------------------------------------------------- undo and redo


def test_undo_and_redo_walk_back_and_forth(tmp_path):
    states = [plan(48, 24)]
    for seed in (1, 2, 3):
        edits.EditHistory(tmp_path).record(states[-1])
        states.append(edits.set_seed(states[-1], 0, seed))
    history, current = edits.EditHistory(tmp_path), states[-1]  # a new object: nothing lives in memory
    for expected in (2, 1, 0):
        current = history.undo(current)
        assert current.shots[0].seed == expected
    assert not history.can_undo
    with pytest.raises(InputError, match="nothing to undo"):
        history.undo(current)
    for expected in (1, 2, 3):
        current = history.redo(current)
        assert current.shots[0].seed == expected
    assert current.revision == 9 and not history.can_redo


def test_an_edit_after_undo_drops_the_redo_and_its_files(tmp_path):
    history, first = edits.EditHistory(tmp_path), plan(48, 24)
    history.record(first)
    current = history.undo(edits.set_seed(first, 0, 1))
    assert history.can_redo
    history.record(current)
    assert not history.can_redo and [p.name for p in tmp_path.glob("r*.json")] == ["r2.json"]


def test_takes_survive_an_undo(tmp_path):
    history, before = edits.EditHistory(tmp_path), plan(48, 24, takes=[take("old")])
    history.record(before)
    edited = edits.set_prompt(before, 0, "wide shot, desert")
    rendered = edits.with_takes(edited, plan(48, 24, takes=[take("old"), take("new")]))
    assert [t.key for t in history.undo(rendered).shots[0].takes] == ["old", "new"]


def test_history_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(edits, "HISTORY_LENGTH", 3)
    history, timeline = edits.EditHistory(tmp_path), plan(48)
    for seed in range(6):
        history.record(timeline)
        timeline = edits.set_seed(timeline, 0, seed + 1)
    assert sorted(p.name for p in tmp_path.glob("r*.json")) == ["r3.json", "r4.json", "r5.json"]
