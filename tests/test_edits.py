"""Every edit keeps the plan whole, and says why where it cannot."""

import json
import random

import pytest

from mv.errors import InputError
from mv.schema import TRANSITIONS, Keyframe, Reason, Shot, Take, Timeline, Transition, TransitionKind
from mv.ui import edits
from mv.ui.history import EditHistory
from mv.ui.operations import read_operation


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
        (lambda t: edits.set_transition(t, 1, "wipe"), "one of cut, crossfade, dip to black, dip to white, flash; got"),
        (lambda t: edits.set_transition(t, 1, "flash", 13), r"flash here can have 1 to 12 frames \(half of the shot"),
        (lambda t: edits.set_transition(t, 1, "cut", 3), "a cut has no length"),
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


@pytest.mark.parametrize("kind", [kind for kind in TransitionKind if kind != "cut"])
def test_a_transition_has_its_usual_length_and_the_cut_stays(kind):
    before = plan(100, 100)
    after = edits.set_transition(before, 1, kind)
    transition = after.shots[1].transition
    assert transition.in_offset + transition.out_offset == round(TRANSITIONS[kind].seconds * 24)
    assert transition.in_offset == (0 if kind == "flash" else round(TRANSITIONS[kind].seconds * 24) // 2)
    assert [(s.start, s.end) for s in after.shots] == [(0, 100), (100, 200)]
    assert edits.set_transition(after, 1, "cut").shots == before.shots
    assert (edits.shot_signature(after, 0) == edits.shot_signature(before, 0)) == (kind != "crossfade")


@pytest.mark.parametrize("kind, longest", [("crossfade", 480), ("flash", 240)])
def test_long_shots_have_a_longest_transition_too(kind, longest):
    timeline = plan(2000, 2000)
    transition = edits.set_transition(timeline, 1, kind, longest).shots[1].transition
    assert transition.in_offset + transition.out_offset == longest
    with pytest.raises(InputError, match=f"1 to {longest} frames"):
        edits.set_transition(timeline, 1, kind, longest + 1)


def test_the_first_shot_may_come_out_of_a_colour():
    transition = edits.set_transition(plan(48, 24), 0, "dip to white", 9).shots[0].transition
    assert (transition.kind, transition.in_offset, transition.out_offset) == ("dip to white", 0, 9)


def test_a_chosen_take_stays_where_it_still_fits():
    timeline = plan(48, 24)
    shots = [timeline.shots[0], timeline.shots[1].model_copy(update={"takes": [take("a")], "chosen": "a"})]
    timeline = timeline.model_copy(update={"shots": shots})
    assert edits.set_transition(timeline, 1, "dip to black").shots[1].chosen == "a"
    assert edits.set_transition(timeline, 1, "crossfade").shots[1].chosen is None
    with pytest.raises(InputError, match="locked"):
        edits.set_transition(edits.set_locked(timeline, 1, True), 1, "flash")


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


# ---------------------------------------------------------------- order, looks, takes


def test_reorder_keeps_the_cuts_and_moves_the_pictures():
    timeline = edits.set_prompt(plan(48, 24, 36), 0, "wide shot, desert")
    shots = edits.reorder(timeline, 0, 2).shots
    assert [(s.id, s.start, s.duration) for s in shots] == [
        ("shot-002", 0, 48),
        ("shot-003", 48, 24),
        ("shot-001", 72, 36),
    ]
    assert shots[2].prompt == "wide shot, desert"
    assert edits.reorder(edits.reorder(timeline, 0, 2), 2, 0).shots == timeline.shots
    with pytest.raises(InputError, match="shot 2 is locked"):
        edits.reorder(edits.set_locked(timeline, 1, True), 0, 2)


def test_a_reordered_shot_takes_the_reasons_of_its_new_place():
    why = [Reason(decision=d, choice=f"of {n}", evidence="") for n in (1, 2) for d in ("boundary", "size")]
    timeline = plan(48, 24)
    shots = [s.model_copy(update={"reasons": why[2 * i : 2 * i + 2]}) for i, s in enumerate(timeline.shots)]
    first = edits.reorder(timeline.model_copy(update={"shots": shots}), 0, 1).shots[0]
    assert [(r.decision, r.choice) for r in first.reasons] == [("boundary", "of 1"), ("size", "of 2")]


def test_a_look_is_copied_without_the_seed():
    timeline = edits.set_seed(edits.set_move(plan(48, 24), 0, "orbit left"), 0, 7)
    shot = edits.copy_look(timeline, 0, 1).shots[1]
    assert (shot.camera.kind, shot.seed, shot.start) == ("orbit left", 0, 48)


def test_a_take_is_chosen_only_where_it_fits():
    timeline = plan(24, 48, takes=[take("a"), take("b")])
    assert edits.choose_take(timeline, 0, "a").shots[0].chosen == "a"
    with pytest.raises(InputError, match="no take 'c'"):
        edits.choose_take(timeline, 0, "c")
    with pytest.raises(InputError, match="has 24 frames, the shot now needs 30"):
        edits.choose_take(edits.move_boundary(timeline, 1, 30), 0, "a")


def test_another_shape_has_no_takes_yet():
    timeline = edits.choose_take(plan(24, 48, takes=[take("a")]), 0, "a")
    after = edits.set_picture_size(timeline, 36, 64)
    assert (after.width, after.height, after.shots[0].chosen) == (36, 64, None)


# ---------------------------------------------------------------- the page's messages


def do(timeline: Timeline, **message) -> Timeline:
    return read_operation(message).apply(timeline)


def test_a_message_may_change_many_shots():
    ids = ["shot-001", "shot-003"]
    after = do(
        plan(48, 24, 36), op="set", ids=ids, fields={"size": "close", "amount": 0.5, "beat": 1, "transition": "cut"}
    )
    assert [(s.size, s.camera.amount, s.camera.beat) for s in after.shots][::2] == [("close", 0.5, 1.0)] * 2
    assert after.shots[1] == plan(48, 24, 36).shots[1]


def test_a_message_sets_a_transition_and_its_length():
    ids, fields = ["shot-002", "shot-003"], {"transition": "dip to black", "transition_frames": 7}
    after = do(plan(48, 24, 36), op="set", ids=ids, fields=fields)
    assert [s.transition.out_offset for s in after.shots] == [0, 4, 4]
    after = do(after, op="set", ids=ids[:1], fields={"transition_frames": 0})
    assert [str(s.transition.kind) for s in after.shots] == ["cut", "cut", "dip to black"]
    with pytest.raises(InputError, match="a cut has no length"):
        do(after, op="set", ids=ids[:1], fields={"transition_frames": 5})


def test_many_shots_are_merged_deleted_locked_and_made_alike():
    timeline = plan(48, 24, 36, 60)
    ids = ["shot-003", "shot-002"]
    assert [s.duration for s in do(timeline, op="merge", ids=ids).shots] == [48, 60, 60]
    assert [s.duration for s in do(timeline, op="delete", ids=ids).shots] == [108, 60]
    assert [s.locked for s in do(timeline, op="lock", ids=ids, locked=True).shots] == [False, True, True, False]
    alike = do(edits.set_move(timeline, 3, "pan left"), op="look", source="shot-004", ids=[*ids, "shot-004"])
    assert [s.camera.kind == "pan left" for s in alike.shots] == [False, True, True, True]
    assert do(timeline, op="aspect", aspect="9:16").height > do(timeline, op="aspect", aspect="9:16").width


@pytest.mark.parametrize(
    "message, words",
    [
        ({"op": "merge", "ids": ["shot-001", "shot-003"]}, "follow each other"),
        ({"op": "merge", "ids": ["shot-001"]}, "two or more"),
        ({"op": "delete", "ids": []}, "no shot is selected"),
        ({"op": "set", "ids": ["shot-001"], "fields": {"start": 3}}, "expected fields among"),
        ({"op": "set", "ids": ["shot-001"], "fields": {"amount": float("nan")}}, "expected a number"),
        ({"op": "set", "ids": ["shot-001"], "fields": {"amount": True}}, "expected a number"),
        ({"op": "set", "ids": ["shot-001"], "fields": {"seed": 1.5}}, "whole number"),
        ({"op": "set", "ids": ["shot-001"], "fields": {"prompt": 7}}, "expected words"),
        ({"op": "set", "ids": ["shot-001"], "fields": {"prompt": "x" * 100_000}}, "100000 characters"),
        ({"op": "split", "id": "<script>", "frame": 3}, "no shot '<script>'"),
        ({"op": "split", "id": {"$": 1}, "frame": 3}, "expected words"),
        ({"op": "aspect", "aspect": "4:3"}, "16:9, 9:16, 1:1"),
        ({"op": "undress"}, "something unknown"),
        ({"op": None}, "something unknown"),
    ],
)
def test_a_bad_message_is_refused(message, words):
    with pytest.raises(InputError, match=words):
        do(plan(48, 24, 36), **message)


# ---------------------------------------------------------------- undo and redo


def step(folder, before: Timeline, after: Timeline, group: str = "") -> Timeline:
    EditHistory(folder).record(before, after, "a change", group)
    return after


def test_undo_and_redo_walk_back_and_forth(tmp_path):
    current = plan(48, 24)
    for seed in range(1, 201):  # without limit
        current = step(tmp_path, current, edits.set_seed(current, 0, seed))
    history = EditHistory(tmp_path)  # a new object: nothing lives in memory
    for expected in range(199, -1, -1):
        current = history.undo(current)
        assert current.shots[0].seed == expected
    assert not history.can_undo and history.names() == (None, "a change")
    with pytest.raises(InputError, match="nothing to undo"):
        history.undo(current)
    for expected in range(1, 201):
        current = history.redo(current)
        assert current.shots[0].seed == expected
    assert current.revision == 600 and not history.can_redo


@pytest.mark.parametrize(
    "edit",
    [
        lambda t: edits.split(t, 1, 60),
        lambda t: edits.merge(t, 0),
        lambda t: edits.delete(t, 0),
        lambda t: edits.reorder(t, 0, 2),
        lambda t: edits.move_boundary(t, 2, 60),
        lambda t: edits.set_picture_size(t, 36, 64),
    ],
)
def test_every_edit_is_undone_to_the_bit(tmp_path, edit):
    before = plan(48, 24, 36)
    after = step(tmp_path, before, edit(before))
    history = EditHistory(tmp_path)
    undone = history.undo(after)
    assert undone == before.model_copy(update={"revision": 2})
    assert history.redo(undone) == after.model_copy(update={"revision": 3})


def test_an_edit_after_undo_drops_the_redo(tmp_path):
    first = plan(48, 24)
    current = EditHistory(tmp_path).undo(step(tmp_path, first, edits.set_seed(first, 0, 1)))
    assert EditHistory(tmp_path).can_redo
    step(tmp_path, current, edits.set_seed(current, 0, 2))
    assert not EditHistory(tmp_path).can_redo
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert kinds == ["edit", "undo", "edit"]  # only ever appended to


def test_typing_is_one_step(tmp_path):
    start = current = plan(48, 24)
    for prompt in ("wide", "wide shot", "wide shot, desert"):
        current = step(tmp_path, current, edits.set_prompt(current, 0, prompt), "prompt 1")
    current = step(tmp_path, current, edits.set_prompt(current, 0, "another go"), "prompt 2")
    current = EditHistory(tmp_path).undo(current)
    assert current.shots[0].prompt == "wide shot, desert"
    assert EditHistory(tmp_path).undo(current).shots == start.shots


def test_takes_survive_an_undo(tmp_path):
    before = plan(48, 24, takes=[take("old")])
    edited = step(tmp_path, before, edits.set_prompt(before, 0, "wide shot, desert"))
    rendered = edits.with_takes(edited, plan(48, 24, takes=[take("old"), take("new")]))
    assert [t.key for t in EditHistory(tmp_path).undo(rendered).shots[0].takes] == ["old", "new"]


def test_a_plan_changed_elsewhere_is_not_broken_by_undo(tmp_path):
    before = plan(48, 24, 36)
    after = step(tmp_path, before, edits.split(before, 1, 60))
    with pytest.raises(InputError, match="changed outside"):
        EditHistory(tmp_path).undo(edits.merge(after, 1))


@pytest.mark.parametrize("damage", [b"", b"\0" * 40, b"{"])
def test_a_damaged_history_is_an_empty_one(tmp_path, damage):
    before = plan(48, 24)
    after = step(tmp_path, before, edits.set_seed(before, 0, 1))
    (tmp_path / "steps.jsonl").write_bytes(damage)
    assert not EditHistory(tmp_path).can_undo and not EditHistory(tmp_path).can_redo
    again = step(tmp_path, after, edits.set_seed(after, 0, 2))
    assert EditHistory(tmp_path).undo(again).shots[0].seed == 1
