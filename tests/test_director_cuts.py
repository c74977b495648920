"""The rules of cutting on songs of every metre, tempo and frame rate, and what a change in the music changes."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_director import FRAME_RATES, POP, action_of, invent_song, plan, scene_of

from director.measures import measure_plan
from director.segmentation import BEATLESS_SECONDS, cut_to_the_beat, half_bar, shot_limits
from mv.make import analyze
from mv.schema import Event, Mood, film_frames
from mv.timing import to_frame

METRES = {"4/4": 4, "3/4": 3, "5/4": 5, "6/8": 6}


@st.composite
def click_songs(draw):
    """60 to 200 BPM in every metre, steady, speeding up or slowing down by up to a third, or rubato."""
    duration, start = draw(st.floats(5, 100)), draw(st.floats(0, 3))
    period, ramp = 60 / draw(st.floats(60, 200)), draw(st.floats(-0.33, 0.33))
    rubato = np.random.default_rng(draw(st.integers(0, 99))).uniform(-0.08, 0.08, 1000) * draw(st.booleans())
    beats, at = [], start
    while at < duration:
        beats.append(at)
        at += period * (1 + ramp * at / duration) * (1 + rubato[len(beats)])
    parts = draw(st.lists(st.sampled_from(POP), min_size=1, max_size=8))
    parts = [(label, draw(st.floats(0, 1)), voice, None) for label, _, voice, _ in parts]
    return invent_song(duration, beats, per_bar=METRES[draw(st.sampled_from(list(METRES)))], parts=parts)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(click_songs(), st.sampled_from(FRAME_RATES), st.floats(0.5, 2))
def test_the_rules_hold_on_any_song(analysis, fps, pace):
    shots = cut_to_the_beat(analysis, fps, pace=pace)
    shortest, longest = shot_limits(fps, pace)
    assert shots[0].start == 0 and shots[-1].end == film_frames(analysis.duration, fps)
    assert all(one.end == other.start for one, other in pairwise(shots))
    assert all(abs(shot.start - Fraction(analysis.beats[shot.beat]) * fps) <= Fraction(1, 2) for shot in shots[1:])
    if len(shots) > 1:
        assert min(shot.end - shot.start for shot in shots) >= shortest >= 12
        counts = analysis.beat_position(np.array([0, *(shot.time for shot in shots[1:]), analysis.duration]))
        assert np.diff(counts).min() >= half_bar(analysis) - 1e-6
    # As long as the pace allows, where there is a beat to cut on; half a bar and a bit may be lost beside a boundary.
    slack = (np.diff(analysis.beats).max(initial=0) * (half_bar(analysis) + 1)) * fps + shortest
    assert all(shot.end - shot.start <= longest + slack for shot in shots if shot is not shots[0])


@pytest.mark.parametrize("metre", METRES)
@pytest.mark.parametrize("tempo", [60, 92, 128, 174, 200])
def test_cuts_of_a_steady_song_fall_on_bars(metre, tempo):
    beats = np.arange(0.2, 120, 60 / tempo).tolist()
    timeline = plan(invent_song(120.0, beats, METRES[metre]))
    measured = measure_plan(timeline, invent_song(120.0, beats, METRES[metre]))
    assert measured.on_beat == 1.0 and measured.on_downbeat > 0.4  # the others on the bar's middle


@pytest.mark.parametrize("ramp", [-0.3, 0.0, 0.3])
@pytest.mark.parametrize("metre", METRES)
@pytest.mark.parametrize("fps", FRAME_RATES)
def test_every_cut_is_on_its_beat_to_the_end_of_a_song(metre, fps, ramp):
    """60 to 200 BPM, each steady or changing by a third on the way: half a frame at most, at the last cut too."""
    for tempo in (60, 75, 100, 133, 160, 200):
        beats, at = [], 0.3
        while at < 180:
            beats.append(at)
            at += 60 / tempo * (1 + ramp * at / 180)
        analysis = invent_song(180.0, beats, METRES[metre], tempo=tempo)
        shots = cut_to_the_beat(analysis, fps)
        assert shots[0].start == 0 and shots[-1].end == film_frames(180.0, fps)
        assert all(one.end == other.start for one, other in pairwise(shots))
        off = [abs(shot.start / fps - Fraction(analysis.beats[shot.beat])) for shot in shots[1:]]
        assert max(off) <= 1 / (2 * fps) and shots[-1].start > 165 * fps


SHARED = Path(__file__).resolve().parents[2] / "shared/music"


@pytest.mark.slow
@pytest.mark.parametrize("song", [path.parent.name for path in sorted(SHARED.glob("*/audio.*"))])
def test_real_songs_are_cut_on_their_beats_at_every_frame_rate(song):
    analysis = analyze(next(SHARED.glob(f"{song}/audio.*")))
    for fps in FRAME_RATES:
        timeline = plan(analysis, fps)
        measured = measure_plan(timeline, analysis)
        assert measured.on_beat == 1.0 and measured.on_downbeat > 0.7
        assert measured.alike_neighbours == 0 and measured.longest_repetition <= 3
        assert timeline.shots[-1].end == film_frames(analysis.duration, fps)
        starts = {shot.start for shot in timeline.shots}
        for section in analysis.sections[1:]:
            assert to_frame(min(analysis.beats, key=lambda beat: abs(beat - section.start)), fps) in starts


def test_sections_start_with_a_cut_at_any_pace():
    analysis = invent_song()
    for pace in (0.5, 1.0, 2.0):
        starts = {shot.start for shot in plan(analysis, pace=pace).shots}
        for section in analysis.sections[1:]:
            nearest = min(analysis.beats, key=lambda beat: abs(beat - section.start))
            assert to_frame(nearest, Fraction(24)) in starts


def rising_song(top: float):
    """A verse whose energy climbs to `top` over its last 16 s, and the drop after it."""
    beats = np.arange(0, 96, 0.5).tolist()
    song = invent_song(96.0, beats, parts=[("verse", 0.5, 0.0, None), ("drop", 0.95, 0.0, None)])
    energy = np.array(song.features["energy"])
    times = np.arange(len(energy)) / song.feature_rate
    climb = (times >= 32) & (times < 48)
    energy[climb] = 0.5 + (top - 0.5) * (times[climb] - 32) / 16
    return song.model_copy(update={"features": {**song.features, "energy": energy.tolist()}})


def test_a_build_accelerates_and_the_drop_hits_on_the_cut():
    shots = plan(rising_song(0.9)).shots
    before = [shot for shot in shots if shot.section == 0]
    starts = np.array([shot.start / 24 for shot in before])
    lengths = np.array([shot.duration / 24 for shot in before])
    early, late, last = lengths[starts < 40], lengths[(starts >= 40) & (starts < 44)], lengths[starts >= 44]
    assert np.median(early) == 4 and np.median(late) == 2 and np.median(last) == 1
    assert shots[len(before)].start == 48 * 24
    assert any("the build to drop accelerates" in shot.reasons[0].evidence for shot in before)


def test_a_heard_build_up_accelerates_and_a_heard_drop_is_cut_to():
    song = rising_song(0.5)
    events = [Event(kind="build-up", start=24, end=32), Event(kind="drop", start=32.5, end=34.5)]
    shots = plan(song.model_copy(update={"events": events})).shots
    drop = next(shot for shot in shots if shot.start == 32.5 * 24)
    assert "the music drops here" in drop.reasons[0].evidence
    before = [shot for shot in shots if 24 * 24 <= shot.start < 32 * 24]
    assert [shot.duration / 24 for shot in before][:3] == [2.0, 2.0, 1.0]
    assert "the build to the hit accelerates" in before[0].reasons[0].evidence


def test_a_break_of_some_bars_is_held():
    beats = np.arange(0, 64, 0.5).tolist()
    song = invent_song(64.0, beats, parts=[("chorus", 0.7, 0.0, None)])
    held = song.model_copy(update={"events": [Event(kind="break", start=32, end=40)]})
    lengths = [{shot.start / 24: shot.duration / 24 for shot in plan(one).shots} for one in (song, held)]
    assert 2 in [length for start, length in lengths[0].items() if 32 <= start < 40]
    assert [length for start, length in lengths[1].items() if 32 <= start < 40] == [4, 4]
    assert {k: v for k, v in lengths[0].items() if not 32 <= k < 40} == {
        k: v for k, v in lengths[1].items() if not 32 <= k < 40
    }


def test_what_does_not_rise_is_no_build():
    shots = plan(rising_song(0.5)).shots
    lengths = [shot.duration / 24 for shot in shots if shot.section == 0]
    assert set(lengths) == {4.0, 8.0}, "phrases of 4, 2 and 2 bars, and so on"


def test_half_time_is_cut_at_half_the_speed_and_only_there():
    beats = np.arange(0, 96, 0.5).tolist()
    parts = [("verse", 0.7, 0.0, None)]
    whole = invent_song(96.0, beats, parts=parts)
    halved = [beat for i, beat in enumerate(beats) if not (32 <= beat < 64 and i % 2)]  # only one and three are hit
    shots = [plan(song).shots for song in (whole, invent_song(96.0, beats, parts=parts, onsets=halved))]
    inside = [np.mean([s.duration / 24 for s in those if 34 <= s.start / 24 < 60]) for those in shots]
    assert inside[1] > 1.6 * inside[0]
    assert any("few beats are hit here" in s.reasons[0].evidence for s in shots[1] if 34 <= s.start / 24 < 60)
    outside = [[(s.start, s.duration) for s in those if s.end / 24 < 24] for those in shots]
    assert outside[0] == outside[1]


def test_phrases_of_a_section_are_not_all_cut_alike():
    beats = np.arange(0, 96, 0.5).tolist()
    shots = plan(invent_song(96.0, beats, parts=[("chorus", 0.7, 0.0, None)])).shots
    phrases = [tuple(s.duration / 24 for s in shots if s.start // (8 * 24) == k) for k in range(11)]
    assert all(one != two for one, two in pairwise(phrases)) and {sum(phrase) for phrase in phrases} == {8.0}


def test_slow_bars_are_cut_into_smaller_parts():
    lengths = []
    for period in (0.35, 0.75):
        beats = np.arange(0, 120, period).tolist()
        shots = cut_to_the_beat(invent_song(120.0, beats, parts=[("verse", 0.9, 0, None)]), Fraction(24))
        lengths.append(np.mean([shot.end - shot.start for shot in shots]) / 24 / period / 4)
    assert lengths[0] > 1.2 * lengths[1], "in bars"


@pytest.mark.parametrize("tempo", [50, 55, 60, 75, 90, 120, 184])
@pytest.mark.parametrize("pace", [0.5, 0.75, 1.0, 1.3, 1.5, 2.0])
def test_shots_are_whole_parts_of_the_music_at_any_tempo_and_pace(tempo, pace):
    beats = np.arange(0, 120, 60 / tempo).tolist()
    song = invent_song(120.0, beats, parts=[("verse", 0.6, 0, None)])
    shots = cut_to_the_beat(song, Fraction(24), pace=pace)
    bars = np.array([shot.end - shot.start for shot in shots[:-1]]) / 24 / (240 / tempo)
    musical = np.isclose(bars[:, None], [0.5, 1, 2, 4, 8], rtol=0.03).any(1)
    assert musical.mean() >= 0.8, bars
    assert max(shot.end - shot.start for shot in shots[:-1]) <= 8.4 / pace * 24


def test_the_pace_sets_the_rate_of_cuts():
    song = invent_song(
        240.0, np.arange(0, 240, 0.5).tolist(), parts=[("verse", 0.6, 0, None), ("chorus", 0.8, 0, None)]
    )
    cuts = {pace: len(cut_to_the_beat(song, Fraction(24), pace=pace)) for pace in (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)}
    assert list(cuts.values()) == sorted(cuts.values())
    for pace, number in cuts.items():
        if pace < 2:  # there the loudest phrases are at half a bar a shot already, and no shot is shorter
            assert number == pytest.approx(pace * cuts[1.0], rel=0.15), cuts


def test_a_boundary_says_how_long_its_shot_is_and_when_the_pace_asks_for_more():
    for shot in (timeline := plan(invent_song(parts=[("verse", 0.1, 0, None), ("chorus", 0.9, 0, None)]))).shots[1:]:
        evidence = shot.reasons[0].evidence
        told = float(evidence.split("; ")[-1].split(" bar")[0])
        assert told == pytest.approx(shot.duration / 24 / 2, abs=0.26) or shot is timeline.shots[-1]
    slow = plan(invent_song(60.0, np.arange(0, 60, 1.9).tolist(), parts=[("verse", 0.1, 0, None)]))
    assert any(", the pace asks for " in r.evidence for s in slow.shots for r in s.reasons) or len(slow.shots) > 6


def test_rubato_follows_the_beats_not_a_mean_tempo():
    beats = np.cumsum([0.4, *([0.5] * 60), *([0.8] * 60)]).tolist()
    shots = cut_to_the_beat(invent_song(beats[-1] + 0.5, beats, parts=[("verse", 0.9, 0, None)]), Fraction(24))
    fast = [shot.end - shot.start for shot in shots if 1 < shot.time < 28]
    slow = [shot.end - shot.start for shot in shots if 32 < shot.time < 75]
    assert np.median(fast) == pytest.approx(2 * 24, abs=1) and np.median(slow) == pytest.approx(3.2 * 24, abs=1)


def test_a_drumless_stretch_is_held():
    beats = [*np.arange(0, 30, 0.5), *np.arange(30 + BEATLESS_SECONDS - 1, 100, 0.5)]
    shots = cut_to_the_beat(invent_song(100.0, beats, parts=[("verse", 0.9, 0, None)]), Fraction(24))
    assert not [shot for shot in shots if 30 < shot.time < 30 + BEATLESS_SECONDS - 1]


def test_a_beatless_minute_in_the_middle_is_divided():
    beats = [*np.arange(0, 30, 0.5), *np.arange(90, 120, 0.5)]
    shots = cut_to_the_beat(invent_song(120.0, beats, parts=[("verse", 0.9, 0, None)]), Fraction(24))
    assert all(shot.end - shot.start <= 10 * 24 for shot in shots)
    assert [shot.beat for shot in shots if 31 < shot.time < 89] == [None] * 7


# ---------------------------------------------------------------- counterfactuals


def test_twice_the_energy_cuts_faster_there_and_nowhere_else():
    parts = list(POP)
    parts[3] = ("verse", 0.90, 0.7, 1)
    one, other = plan(invent_song()).shots, plan(invent_song(parts=parts)).shots
    lengths = [[np.mean([s.duration for s in shots if s.section == k]) for k in range(8)] for shots in (one, other)]
    assert lengths[1][3] < 0.7 * lengths[0][3]
    elsewhere = [[(s.start, s.end) for s in shots if s.section != 3] for shots in (one, other)]
    assert elsewhere[0] == elsewhere[1]
    far = [[s.model_copy(update={"id": ""}) for s in shots if s.section not in (3, 4)] for shots in (one, other)]
    assert far[0] == far[1]


def test_a_silenced_section_has_no_singing_and_leaves_the_rest():
    parts = list(POP)
    parts[4] = ("chorus", 0.90, 0.0, 2)
    one, other = plan(invent_song()).shots, plan(invent_song(parts=parts)).shots
    assert [(s.start, s.end) for s in one] == [(s.start, s.end) for s in other]
    assert {action_of(s) for s in one if s.section == 4} == {"singing"}
    assert "singing" not in {action_of(s) for s in other[1:] if s.section == 4}
    assert [s for s in one if s.section not in (4, 5)] == [s for s in other if s.section not in (4, 5)]


def test_without_its_repeat_label_a_chorus_plays_elsewhere_and_the_rest_stays():
    analysis = invent_song()
    sections = [s.model_copy(update={"repeat_of": None}) if i == 4 else s for i, s in enumerate(analysis.sections)]
    one, other = plan(analysis).shots, plan(analysis.model_copy(update={"sections": sections})).shots
    scenes = [{s.section: scene_of(s) for s in reversed(shots)} for shots in (one, other)]  # of each first shot
    assert scenes[0][4] != scenes[1][4] and scenes[0][2] == scenes[1][2] == scenes[1][6]
    assert [(s.start, s.end) for s in one] == [(s.start, s.end) for s in other]
    assert [s for s in one if s.section < 4] == [s for s in other if s.section < 4]
    assert [s for s in one if s.section == 7] == [s for s in other if s.section == 7]


def test_an_unrelated_edit_changes_nothing():
    analysis = invent_song()
    same = analysis.model_copy(update={"title": "Another", "key": "C", "tempo_confidence": 0.1, "notes": ["new"]})
    assert plan(analysis).shots == plan(same).shots
    curves = {**analysis.features, "brightness": [0.9] * 2401, "mouth": [0.4] * 2401, "low": [0.3] * 2401}
    assert plan(analysis).shots == plan(analysis.model_copy(update={"features": curves})).shots
    assert plan(analysis).shots == plan(analysis, lyrics="words.lrc").shots


def test_another_mood_changes_places_and_not_cuts():
    analysis = invent_song()
    sad = analysis.model_copy(update={"mood": Mood(arousal=0.1, valence=0.2)})
    one, other = plan(analysis).shots, plan(sad).shots
    assert [(s.start, s.camera.amount) for s in one] == [(s.start, s.camera.amount) for s in other]
    assert [scene_of(s) for s in one] != [scene_of(s) for s in other]
