import json
from fractions import Fraction

import numpy as np
import pytest
from pydantic import ValidationError

from mv.errors import InputError, OutputError
from mv.schema import (
    AUDIO_FEATURES,
    CURVES,
    TRANSITIONS,
    Analysis,
    Shot,
    Timeline,
    Transition,
    TransitionKind,
    dump_compact,
    film_frames,
    write_atomically,
)


def with_shots(timeline, shots):
    return Timeline.model_validate({**timeline.model_dump(), "shots": [shot.model_dump() for shot in shots]})


# ---------------------------------------------------------------- documents


def test_documents_come_back_as_they_were(timeline, analysis, tmp_path):
    for document in (timeline, analysis):
        document.save(tmp_path / "document.json")
        assert type(document).load(tmp_path / "document.json") == document
    assert json.loads(timeline.model_dump_json())["fps"] == "24/1"


def test_ntsc_rates_stay_exact_in_json(timeline, tmp_path):
    ntsc = timeline.model_copy(update={"fps": Fraction(30000, 1001)})
    ntsc.save(tmp_path / "plan.json")
    assert Timeline.load(tmp_path / "plan.json").fps == Fraction(30000, 1001)


def test_documents_do_not_change(timeline):
    with pytest.raises(ValidationError):
        timeline.width = 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "version"),
        ({"colour": "red"}, "colour"),
        ({"fps": "fast"}, "frame rate"),
        ({"shots": []}, "shots"),
        ({"width": 0}, "width"),
    ],
)
def test_broken_documents_are_refused_with_the_place(timeline, tmp_path, change, message):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({**timeline.model_dump(mode="json"), **change}))
    with pytest.raises(InputError, match=f"not a valid timeline file: {message}") as error:
        Timeline.load(path)
    assert str(path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"not json", b"[]", b"\xff\xfe\x00", b"null"])
def test_what_is_no_document_is_refused(tmp_path, content):
    (tmp_path / "plan.json").write_bytes(content)
    with pytest.raises(InputError, match="not a valid timeline file"):
        Timeline.load(tmp_path / "plan.json")


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot read the analysis file"):
        Analysis.load(tmp_path / "nowhere.json")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    target = tmp_path / "file"
    write_atomically(target, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_atomically(target, b"new")
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_compact_json_is_canonical(timeline):
    copy = Timeline.model_validate_json(timeline.model_dump_json())
    assert dump_compact(timeline) == dump_compact(copy)
    assert "\n" not in dump_compact(timeline)


# ---------------------------------------------------------------- timeline


def test_shots_must_tile_the_film(timeline):
    gap = [timeline.shots[0], timeline.shots[1].model_copy(update={"start": 25, "duration": 23}), timeline.shots[2]]
    overlap = [timeline.shots[0], timeline.shots[1].model_copy(update={"start": 23}), timeline.shots[2]]
    for shots in (gap, overlap, timeline.shots[:2], timeline.shots[1:]):
        with pytest.raises(ValidationError, match="shots"):
            with_shots(timeline, shots)


def test_shot_ids_differ(timeline):
    twins = [shot.model_copy(update={"id": "s"}) for shot in timeline.shots]
    with pytest.raises(ValidationError, match="ids must differ"):
        with_shots(timeline, twins)


def test_a_transition_fits_its_shots(timeline):
    def fading(shot, **offsets):
        return shot.model_copy(update={"transition": Transition(kind="crossfade", **offsets)})

    first, second, third = timeline.shots
    with pytest.raises(ValidationError, match="nothing to fade from"):
        with_shots(timeline, [fading(first, in_offset=2), second, third])
    for offsets in ({"in_offset": 13}, {"out_offset": 25}):
        with pytest.raises(ValidationError, match="longer than half"):
            with_shots(timeline, [first, second, fading(third, **offsets)])
    with_shots(timeline, [first, second, fading(third, in_offset=12, out_offset=24)])


def test_transitions_say_what_they_are():
    with pytest.raises(ValidationError, match="a cut has no length"):
        Transition(kind="cut", in_offset=1)
    with pytest.raises(ValidationError, match="at least one frame"):
        Transition(kind="crossfade")


@pytest.mark.parametrize("kind", ["dip to black", "dip to white", "flash"])
def test_veils_cover_the_cut_and_need_no_handles(timeline, kind):
    transition = Transition(kind=kind, in_offset=0 if kind == "flash" else 4, out_offset=5)
    covers = [transition.cover(frame) for frame in range(-6, 8)]
    rising = [0] * 6 if kind == "flash" else [0, 0, 0.25, 0.5, 0.75, 1]
    assert covers == pytest.approx([*rising, 1, 0.8, 0.6, 0.4, 0.2, 0, 0, 0])
    first, second, third = timeline.shots
    plan = with_shots(timeline, [first, second, third.model_copy(update={"transition": transition})])
    assert [plan.span(index) for index in range(3)] == [(0, 24), (24, 48), (48, 96)]
    assert Timeline.model_validate_json(plan.model_dump_json()) == plan


def test_a_veil_says_what_is_wrong_with_it(timeline):
    with pytest.raises(ValidationError, match="a flash begins on the cut"):
        Transition(kind="flash", in_offset=1, out_offset=2)
    with pytest.raises(ValidationError, match="a dip to black needs at least one frame"):
        Transition(kind="dip to black")
    first, second, third = timeline.shots
    long = first.model_copy(update={"transition": Transition(kind="flash", out_offset=13)})
    with pytest.raises(ValidationError, match="the flash is longer than half"):
        with_shots(timeline, [long, second, third])


def test_plans_from_before_the_veils_are_read_as_they_were(timeline):
    """Written by the program when it knew cuts and crossfades only; so was the fingerprint."""
    shot = '{"id": "a", "start": 0, "duration": 9, "section": 0, "prompt": "", "transition": %s}'
    old = Shot.model_validate_json(shot % '{"kind": "crossfade", "in_offset": 0, "out_offset": 4}')
    assert old.transition == Transition(kind=TransitionKind.crossfade, out_offset=4)
    assert old.fingerprint == "7a63ea4514efaac6"
    plain = Shot.model_validate_json(shot % '{"kind": "cut", "in_offset": 0, "out_offset": 0}')
    assert plain.transition == Transition()
    assert set(TRANSITIONS) == set(TransitionKind)


def test_spans_reach_over_the_crossfades(timeline):
    assert [timeline.span(index) for index in range(3)] == [(0, 24), (24, 52), (42, 96)]
    assert timeline.duration == 4.0
    assert timeline.index("s3") == 2
    with pytest.raises(InputError, match="no shot 's9'"):
        timeline.index("s9")


def test_seeds_and_durations_have_ranges():
    for wrong in ({"seed": -1}, {"seed": 2**32}, {"duration": 0}, {"start": -1}):
        with pytest.raises(ValidationError):
            Shot(**{"id": "s", "start": 0, "duration": 1, "section": 0, "prompt": "", **wrong})


def test_a_film_is_as_long_as_its_song():
    assert film_frames(4.0, Fraction(24)) == 96
    assert film_frames(200.0, Fraction(30000, 1001)) == 5994
    assert film_frames(0.001, Fraction(24)) == 1


# ---------------------------------------------------------------- analysis


def test_analysis_must_agree_with_itself(analysis):
    wrongs = [
        ({"beats": [1.0, 1.0]}, "beats must increase"),
        ({"downbeats": [0.1]}, "downbeat"),
        ({"features": {}}, "features must be exactly"),
        ({"features": {**analysis.features, "low": [0.0]}}, "one length"),
    ]
    for change, message in wrongs:
        with pytest.raises(ValidationError, match=message):
            Analysis.model_validate({**analysis.model_dump(), **change})


def test_every_moment_has_its_section(analysis):
    assert [analysis.section_at(t) for t in (0, 1.999, 2.0, 3.9, 99)] == [0, 0, 1, 1, 1]


def test_beats_are_counted_between_and_beyond(analysis):
    position = analysis.beat_position(np.array([-0.5, 0.0, 0.25, 3.5, 5.0]))
    assert np.allclose(position, [-1, 0, 0.5, 7, 10])
    none = analysis.model_copy(update={"beats": [], "downbeats": [], "tempo": 0})
    assert np.allclose(none.beat_position(np.array([0.0, 2.0])), [0, 2])


def test_features_are_read_at_each_frames_own_time(analysis):
    ramp = [i / 200 for i in range(201)]  # at 50 Hz: reaches 1 after four seconds
    analysis = analysis.model_copy(update={"features": {name: ramp for name in CURVES}})
    for fps in (Fraction(24), Fraction(30000, 1001)):
        grid = analysis.on_grid(fps, 10, 20)
        assert grid.shape == (20, len(AUDIO_FEATURES)) and grid.dtype == np.float32
        assert np.allclose(grid[:, 0], np.arange(10, 30) / float(fps) / 4, atol=1e-6)
        assert np.array_equal(grid[5:], analysis.on_grid(fps, 15, 15)), "a later start reads the same values"


def test_phases_turn_with_the_beat(analysis):
    grid = analysis.on_grid(Fraction(24), 0, 97)
    sin1, cos1 = (grid[:, AUDIO_FEATURES.index(name)] for name in ("sin1", "cos1"))
    assert np.allclose(cos1[::12], 1, atol=1e-5), "a beat every 12 frames"
    assert np.allclose(cos1[6::12], -1, atol=1e-5)
    assert np.allclose(sin1**2 + cos1**2, 1, atol=1e-5)
    assert np.allclose(grid[48, AUDIO_FEATURES.index("cos4")], 1, atol=1e-5), "a bar every 48"
