"""Corrections of what was heard."""

import pytest

from mv.errors import InputError
from mv.schema import CURVES, Analysis, Section
from mv.ui import music


def heard(beats=None, downbeats=None, seconds=16.0) -> Analysis:
    """120 BPM, four beats a bar, a verse and a chorus."""
    beats = [0.5 * k for k in range(int(2 * seconds))] if beats is None else beats
    half = seconds / 2
    return Analysis(
        duration=seconds,
        tempo=120 if beats else 0,
        beats=beats,
        downbeats=beats[::4] if downbeats is None else downbeats,
        beat_confidence=[1.0] * len(beats),
        sections=[
            Section(start=0, duration=half, label="verse"),
            Section(start=half, duration=half, label="chorus", repeat_of=0),
        ],
        feature_rate=10,
        features={name: [0.5] * int(10 * seconds) for name in CURVES},
    )


def test_double_then_half_gives_the_beats_back():
    before = heard()
    double = music.scale_tempo(before, 2)
    assert double.tempo == 240 and double.beats == [0.25 * k for k in range(64)]
    assert double.downbeats == double.beats[::4]
    half = music.scale_tempo(double, 0.5)
    assert (half.beats, half.downbeats, half.tempo) == (before.beats, before.downbeats, 120)


def test_half_keeps_the_bars_on_the_beats_that_stay():
    before = heard(downbeats=[0.5 * k for k in range(32)][1::4])
    half = music.scale_tempo(before, 0.5)
    assert half.beats[0] == 0.5 and half.downbeats[0] == 0.5 and half.tempo == 60


def test_bars_shift_by_beats_and_come_round():
    before = heard()
    assert music.shift_downbeat(before, 1).downbeats[0] == 0.5
    assert music.shift_downbeat(before, -1).downbeats[0] == 1.5
    assert music.shift_downbeat(before, 4).downbeats == before.downbeats


def test_taps_give_an_even_grid_through_them():
    taps = [1.03, 1.58, 2.23, 3.42, 4.03]  # 100 BPM by hand, one missed
    tapped = music.tap(heard(), taps)
    assert tapped.tempo == pytest.approx(100, abs=1)
    assert min(abs(beat - 1.03) for beat in tapped.downbeats) < 0.05
    steps = {round(b - a, 2) for a, b in zip(tapped.beats, tapped.beats[1:])}
    assert max(steps) - min(steps) < 0.02 and 0 <= tapped.beats[0] < 0.6 and tapped.beats[-1] < 16
    assert music.tap(heard(beats=[]), taps).beats == tapped.beats


def test_a_section_boundary_moves_and_the_neighbour_follows():
    first, second = music.move_section(heard(), 1, 9.5).sections
    assert (first.end, second.start, second.end) == (9.5, 9.5, 16.0)


def test_a_renamed_section_repeats_nothing():
    sections = music.rename_section(heard(), 0, "intro").sections
    assert [(s.label, s.repeat_of) for s in sections] == [("intro", None), ("chorus", None)]


@pytest.mark.parametrize(
    "correct, words",
    [
        (lambda a: music.scale_tempo(a, 3), "half or double"),
        (lambda a: music.scale_tempo(music.scale_tempo(a, 2), 2), "480 beats a minute"),
        (lambda a: music.tap(a, [1, 2, 3]), "at least 4 taps"),
        (lambda a: music.tap(a, [1, 1.01, 1.02, 1.03]), "tap once for each beat"),
        (lambda a: music.tap(a, [-1, 2, 30, float("nan"), 5]), "got 2"),
        (lambda a: music.move_section(a, 0, 3), "sections 2 to 2"),
        (lambda a: music.move_section(a, 1, 15.9), "from 1.00 s to 15.00 s"),
        (lambda a: music.rename_section(a, 1, "<b>"), "expected one of intro"),
        (lambda a: music.rename_section(a, 7, "verse"), "there is no section 8"),
        (lambda a: music.shift_downbeat(heard(beats=[]), 1), "tap along first"),
    ],
)
def test_what_cannot_be_is_said(correct, words):
    with pytest.raises(InputError, match=words):
        correct(heard())
