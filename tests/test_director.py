"""The director on invented songs: cuts on beats, shots that tile, choices that follow the music and nothing else."""

import time
from fractions import Fraction
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from director import direct
from director import vocabulary as words
from director.segmentation import cut_to_the_beat, paces, shot_limits
from director.setups import framing_of
from director.story import choose_places, read_style, read_theme, returns_of, roles_of
from director.trajectories import (
    ACCENT_OFF_DOWNBEAT,
    SAFE_AREA,
    SUBJECT,
    SUBJECT_WIDTH,
    accents,
    accompaniment,
    keeps_in_frame,
    safe_amount,
    sway,
    trajectory,
)
from mv.camera import FRAMING, WHIP_SECONDS
from mv.errors import InputError
from mv.make import SIZES
from mv.schema import (
    CURVES,
    Analysis,
    Brief,
    CameraMove,
    Event,
    Mood,
    MoveKind,
    Section,
    ShotSize,
    Timeline,
    TransitionKind,
    film_frames,
)
from mv.timing import to_frame
from mv.ui import edits
from mv.world import vocabulary as world
from mv.world.vocabulary import understand

FRAME_RATES = [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60)]
POP = [  # label, energy, voice, repeat of
    ("intro", 0.15, 0.0, None),
    ("verse", 0.40, 0.8, None),
    ("chorus", 0.85, 0.9, None),
    ("verse", 0.45, 0.7, 1),
    ("chorus", 0.90, 0.8, 2),
    ("bridge", 0.35, 0.1, None),
    ("chorus", 0.95, 0.9, 2),
    ("outro", 0.15, 0.0, None),
]


def invent_song(duration=120.0, beats=None, per_bar=4, parts=POP, onsets=None, **changes) -> Analysis:
    """A song of equally long parts whose energy and voice curves follow them; beats at 120 BPM unless given."""
    if beats is None:
        beats = np.arange(0.3, duration, 0.5).tolist()
    length = duration / len(parts)
    rate = 20.0
    part = np.minimum((np.arange(int(duration * rate) + 1) / rate / length).astype(int), len(parts) - 1)
    features = {name: [0.0] * len(part) for name in CURVES}
    features["energy"] = [parts[p][1] for p in part]
    features["voice"] = [parts[p][2] for p in part]
    for beat in beats if onsets is None else onsets:
        features["onset"][min(round(beat * rate), len(part) - 1)] = 1.0
    values = dict(
        duration=duration,
        tempo=120,
        beats=beats,
        downbeats=beats[::per_bar],
        sections=[
            Section(start=i * length, duration=length, label=label, energy=energy, repeat_of=repeat)
            for i, (label, energy, _, repeat) in enumerate(parts)
        ],
        mood=Mood(arousal=0.6, valence=0.5),
        feature_rate=rate,
        features=features,
    )
    return Analysis(**{**values, **changes})


def plan(analysis: Analysis, fps=Fraction(24), width=320, height=180, **brief) -> Timeline:
    return direct(
        analysis, Brief(**brief), song="song.wav", analysis_path="analysis.json", fps=fps, width=width, height=height
    )


def scene_of(shot) -> str:
    return understand(shot.prompt).directions.scene


def action_of(shot) -> str | None:
    return understand(shot.prompt).directions.action


@st.composite
def songs(draw):
    """Click grids of 60..200 BPM in 3/4, 4/4, 5/4 or 6/8, steady or speeding up or slowing down, starting anywhere."""
    duration = draw(st.floats(2, 90))
    period = 60 / draw(st.floats(60, 200))
    ramp = draw(st.floats(-0.2, 0.25))
    beats, at = [], draw(st.floats(0, 2))
    while at < duration:
        beats.append(at)
        at += period * (1 + ramp * at / duration)
    parts = draw(st.lists(st.sampled_from(POP[:3] + POP[5:6]), min_size=1, max_size=6))
    parts = [(label, draw(st.floats(0, 1)), voice, None) for label, _, voice, _ in parts]
    return invent_song(duration, beats, per_bar=draw(st.sampled_from([3, 4, 5, 6])), parts=parts)


# ---------------------------------------------------------------- segmentation


@settings(max_examples=60, deadline=None, derandomize=True)
@given(songs(), st.sampled_from(FRAME_RATES), st.integers(0, 2**32 - 1), st.sampled_from(["", *words.STYLES]))
def test_any_song_gives_shots_that_tile_and_cut_on_beats(analysis, fps, seed, style):
    timeline = plan(analysis, fps, seed=seed, style=style)
    on_beats = {to_frame(beat, fps) for beat in analysis.beats}
    shortest, longest = shot_limits(fps, read_style(style).pace)
    assert timeline.shots[0].start == 0
    assert timeline.shots[-1].end == film_frames(analysis.duration, fps)
    assert all(one.end == other.start for one, other in pairwise(timeline.shots))
    assert all(shot.start in on_beats for shot in timeline.shots[1:])
    assert all(shot.duration <= longest + shortest for shot in timeline.shots)
    assert len(timeline.shots) == 1 or min(shot.duration for shot in timeline.shots) >= shortest


@pytest.mark.parametrize("fps", FRAME_RATES)
def test_no_drift_at_the_end_of_an_hour(fps):
    beats = (np.arange(1, 6800) * 0.52937).tolist()
    analysis = invent_song(3600.0, beats)
    last = cut_to_the_beat(analysis, fps)[-1]
    assert last.start == to_frame(beats[last.beat], fps)
    assert last.start > 3590 * fps
    assert abs(last.end - 3600 * fps) <= Fraction(1, 2)


def test_every_section_starts_with_a_cut_on_its_nearest_beat():
    analysis = invent_song(130.0)
    starts = {shot.start for shot in plan(analysis).shots}
    for section in analysis.sections[1:]:
        nearest = min(analysis.beats, key=lambda beat: abs(beat - section.start))
        assert to_frame(nearest, Fraction(24)) in starts


def test_each_shot_belongs_to_the_section_it_shows():
    analysis = invent_song(130.0)
    for shot in plan(analysis).shots:
        assert shot.section == analysis.section_at((shot.start + shot.end) / 2 / 24)


def test_cuts_prefer_downbeats():
    analysis = invent_song(parts=[("verse", 0.5, 0.5, None)])
    cuts = [shot.time for shot in cut_to_the_beat(analysis, Fraction(24))[1:]]
    assert cuts and set(cuts) <= set(analysis.downbeats)


def test_a_strong_onset_draws_the_cut():
    beats = np.arange(0, 60, 0.5).tolist()
    for silent in (0, 1):
        loud = beats[4 * silent :: 8]  # every other downbeat sounds
        analysis = invent_song(60.0, beats, parts=[("verse", 0.45, 0.5, None)], onsets=loud)
        cuts = [shot.time for shot in cut_to_the_beat(analysis, Fraction(24))[1:]]
        assert sum(cut in loud for cut in cuts) > 0.8 * len(cuts)


def test_loud_sections_are_cut_faster_than_calm_ones():
    analysis = invent_song(parts=[("verse", 0.2, 0, None), ("chorus", 0.9, 0, None)])
    shots = plan(analysis).shots
    calm, loud = (np.median([s.duration for s in shots if s.section == section]) / 24 for section in (0, 1))
    assert 4 <= calm <= 8  # 2 to 4 bars of 2 s
    assert 1 <= loud <= 2  # half a bar to one


def test_bars_of_three_are_cut_as_bars_of_three():
    beats = np.arange(0, 90, 0.5).tolist()
    analysis = invent_song(90.0, beats, per_bar=3, parts=[("verse", 0.7, 0, None)])
    lengths = {shot.duration / 24 for shot in plan(analysis).shots[1:-1]}
    assert lengths <= {1.5, 3.0, 6.0}, "one, two or four bars"


def test_a_beatless_intro_is_one_shot_and_a_beatless_minute_is_not():
    short = cut_to_the_beat(invent_song(60.0, np.arange(20, 60, 0.5).tolist(), parts=POP[1:2]), Fraction(24))
    assert short[0].end == 20 * 24
    long = cut_to_the_beat(invent_song(120.0, np.arange(60, 120, 0.5).tolist(), parts=POP[1:2]), Fraction(24))
    assert [shot.beat for shot in long if 0 < shot.start < 60 * 24] == [None] * 7
    assert all(shot.end - shot.start <= 10 * 24 for shot in long)


@pytest.mark.parametrize("beats", [[], [1.0]])
@pytest.mark.parametrize("duration", [0.2, 2.0, 200.0])
def test_songs_with_hardly_a_beat_give_a_valid_plan(beats, duration):
    beats = [beat for beat in beats if beat < duration]
    timeline = plan(invent_song(duration, beats, tempo=0))
    assert timeline.num_frames == film_frames(duration, Fraction(24))
    assert max(shot.duration for shot in timeline.shots) <= 10 * 24


def test_a_song_without_sections_or_features_gives_a_valid_plan():
    timeline = plan(invent_song(sections=[], features={name: [] for name in CURVES}))
    assert {shot.section for shot in timeline.shots} == {0}


def test_pace_follows_energy_and_label():
    quiet, loud = (Section(start=0, duration=1, label="verse", energy=e) for e in (0.1, 0.9))
    chorus = Section(start=0, duration=1, label="chorus", energy=0.1)
    a, b, c = paces([quiet, loud, chorus])
    assert a < c < b


# ---------------------------------------------------------------- the plan as a whole


def test_same_input_same_bytes_and_another_seed_another_film():
    analysis = invent_song()
    assert plan(analysis, seed=7).model_dump_json() == plan(analysis, seed=7).model_dump_json()
    one, other = plan(analysis, seed=7).shots, plan(analysis, seed=8).shots
    assert [s.camera for s in one] != [s.camera for s in other]


def test_a_change_in_one_section_leaves_the_others_alone():
    parts = list(POP)
    parts[4] = ("chorus", 0.90, 0.0, 2)  # nobody sings in the second chorus
    before, after = (plan(invent_song(parts=p), seed=3).shots for p in (POP, parts))
    assert [s for s in before if s.section < 4] == [s for s in after if s.section < 4]
    assert [s.prompt for s in before if s.section == 4] != [s.prompt for s in after if s.section == 4]
    later = [[(s.start, s.seed, s.prompt) for s in shots if s.section > 4][1:] for shots in (before, after)]
    same = np.mean([one == other for one, other in zip(*later)])
    assert same > 0.9


def test_a_four_minute_song_is_planned_in_no_time():
    analysis = invent_song(240.0)
    begin = time.process_time()
    plan(analysis)
    assert time.process_time() - begin < 2


def test_every_shot_says_why():
    for shot in plan(invent_song()).shots:
        reasons = {reason.decision: reason for reason in shot.reasons}
        assert {"boundary", "scene", "light", "action", "size", "move", "beat", "transition"} <= set(reasons)
        assert all(reason.choice and reason.evidence for reason in shot.reasons)
        assert str(shot.camera.kind) in reasons["move"].choice
        assert reasons["transition"].choice.startswith(shot.transition.kind)
        assert ("cast" in reasons) == (action_of(shot) is not None)


def test_a_boundary_names_its_beat():
    analysis = invent_song()
    shot = next(s for s in plan(analysis).shots if s.section == 2)
    evidence = shot.reasons[0].evidence
    assert evidence.startswith("bar 15 beat at 29.80 s, onset 1.00 of max; chorus 1 starts at 30.00 s")
    assert shot.start == to_frame(29.8, Fraction(24))


@pytest.mark.parametrize("seed", range(8))
def test_neighbours_differ(seed):
    for one, other in pairwise(plan(invent_song(), seed=seed).shots):
        assert one.camera.kind != other.camera.kind
        if scene_of(one) == scene_of(other) and one.size == other.size:
            assert abs(one.camera.azimuth - other.camera.azimuth) >= 30


@pytest.mark.parametrize("seed", range(4))
def test_the_camera_moves_in_bounds(seed):
    shots = plan(invent_song(), seed=seed).shots
    assert all(0.2 <= shot.camera.amount <= 1.45 and abs(shot.camera.azimuth) <= 40 for shot in shots)
    calm, loud = (np.mean([s.camera.beat for s in shots if s.section == section]) for section in (0, 6))
    assert calm < 0.1 and loud > 0.9
    assert len({shot.camera.kind for shot in shots}) >= 8


def test_without_beats_the_camera_is_not_pushed():
    analysis = invent_song(beats=[])
    assert all(shot.camera.beat == 0 for shot in plan(analysis).shots)


# ---------------------------------------------------------------- who and where


@pytest.mark.parametrize("seed", range(4))
def test_singing_follows_the_voice(seed):
    analysis = invent_song()
    voiced = {i for i, part in enumerate(POP) if part[2] > 0.5}
    for shot in plan(analysis, seed=seed).shots:
        if shot.start > analysis.sections[shot.section].start * 24 + 24:
            assert (action_of(shot) == "singing") == (shot.section in voiced)


def test_a_silenced_voice_sings_nowhere():
    analysis = invent_song()
    silent = analysis.model_copy(update={"features": {**analysis.features, "voice": [0.0] * 2401}})
    assert any(action_of(shot) == "singing" for shot in plan(analysis).shots)
    assert all(action_of(shot) != "singing" for shot in plan(silent).shots)
    assert all(action_of(shot) != "singing" for shot in plan(silent, theme="a singer on stage").shots)


@pytest.mark.parametrize("seed", range(8))
def test_quiet_ends_show_nobody_and_nobody_has_no_close_up(seed):
    shots = plan(invent_song(), seed=seed).shots
    empty = [shot for shot in shots if action_of(shot) is None]
    assert {0, 7} <= {shot.section for shot in empty} <= {0, 5, 7}
    assert all(shot.size != ShotSize.close for shot in empty)


@pytest.mark.parametrize("seed", range(6))
def test_choruses_return_to_their_scene_and_the_bridge_departs(seed):
    analysis = invent_song()
    places = choose_places(analysis.sections, analysis.mood, read_theme(""), seed)
    verse, chorus, bridge = places[1], places[2], places[5]
    assert {(p.scene, p.palette, p.time) for p in (places[4], places[6])} == {
        (chorus.scene, chorus.palette, chorus.time)
    }
    assert len({verse.scene, chorus.scene, places[3].scene}) == 3, "verses tell: each plays elsewhere"
    assert bridge.scene not in (verse.scene, chorus.scene)
    assert places[0].scene in (verse.scene, verse.view) and places[7].scene == places[0].scene
    assert len({p.palette for p in places}) <= 3


def test_returns_are_counted_by_part():
    assert returns_of(invent_song().sections) == [0, 1, 0, 0, 1, 0, 2, 2]


def test_a_repeat_plays_the_part_of_what_it_repeats():
    labels = [("verse", None), ("verse", None), ("bridge", None), ("verse", 1), ("outro", 2)]
    sections = [Section(start=i, duration=1, label=la, repeat_of=r) for i, (la, r) in enumerate(labels)]
    assert roles_of(sections) == ["home", "verse 2", "away", "verse 3", "away"], "but for verses: they tell on"


def test_the_themes_words_win():
    shots = plan(invent_song(), theme="only an azure desert by day, performer with red hair in a black dress").shots
    for shot in shots:
        read = understand(shot.prompt).directions
        assert (read.scene, read.time, read.palette) == ("desert", "day", "azure")
        if read.action:
            assert (read.look.hair_color, read.look.outfit, read.look.outfit_color) == ("red", "dress", "black")


@pytest.mark.parametrize("scene", world.SCENES)
def test_a_theme_of_one_place_is_home_and_no_jail_unless_it_says_only(scene):
    shots = plan(invent_song(), theme=world.SCENES[scene]).shots
    scenes = {section: [scene_of(shot) for shot in shots if shot.section == section] for section in range(len(POP))}
    assert all(set(scenes[section]) == {scene} for section in (0, 1, 2, 7)), "home, and the chorus for the first time"
    assert all(scenes[section][0] == scene for section in (4, 6)), "a chorus comes back to it"
    assert all(scenes[section][0] in words.KINDRED[scene] for section in (3, 5)), "verse 2 and bridge leave"
    assert {scene_of(shot) for shot in plan(invent_song(), theme=f"only {world.SCENES[scene]}").shots} == {scene}


def test_drops_are_abstract():
    parts = [("verse", 0.4, 0.8, None), ("drop", 0.95, 0.0, None), ("verse", 0.4, 0.8, 0), ("drop", 0.95, 0.0, 1)]
    for theme in ("", "a forest"):
        shots = plan(invent_song(parts=parts), theme=theme).shots
        drops = {scene_of(shot) for shot in shots if shot.section in (1, 3)}
        assert len(drops) == 1 and drops <= set(words.ABSTRACT)
        assert not drops & {scene_of(shot) for shot in shots if shot.section in (0, 2)}
    assert scene_of(plan(invent_song(parts=parts), theme="a tunnel").shots[-1]) == "space"


def test_a_heard_drop_leaves_the_scene_for_one_shot_where_nobody_sings():
    drop = [Event(kind="drop", start=48.3, end=50.3)]
    parts = [("verse", 0.4, 0.8, None), ("chorus", 0.9, 0.0, None), ("verse", 0.4, 0.8, 0)]
    for theme in ("", "a forest", "only a forest", "a forest and a club"):
        shots = plan(invent_song(parts=parts, events=drop), theme=theme).shots
        without = plan(invent_song(parts=parts), theme=theme).shots
        there = [shot for shot in shots if shot.start == to_frame(48.3, Fraction(24))]
        if "only" in theme or "club" in theme:
            assert [scene_of(s) for s in shots] == [scene_of(s) for s in without]
            continue
        assert scene_of(there[0]) in words.ABSTRACT and action_of(there[0]) != "singing"
        assert "the music drops at 48.30 s" in str(there[0].reasons)
        others = {scene_of(s) for s in shots if s is not there[0]}
        assert others == {scene_of(s) for s in without}
    sung = [("verse", 0.4, 0.8, None), ("chorus", 0.9, 0.9, None), ("verse", 0.4, 0.8, 0)]
    shots = plan(invent_song(parts=sung, events=drop), theme="a forest").shots
    assert not {scene_of(shot) for shot in shots} & set(words.ABSTRACT)


@pytest.mark.parametrize("seed", range(6))
def test_a_quiet_instrumental_intro_is_an_empty_landscape(seed):
    shots = [shot for shot in plan(invent_song(), seed=seed).shots if shot.section == 0]
    assert all(scene_of(shot) in words.LANDSCAPES and action_of(shot) is None for shot in shots)
    at_home = [shot for shot in plan(invent_song(), theme="a stage", seed=seed).shots if shot.section == 0]
    assert {scene_of(shot) for shot in at_home} == {"stage"}


def test_a_returning_chorus_grows():
    parts = [("verse", 0.4, 0.8, None), ("chorus", 0.7, 0.9, None)]
    parts += [("verse", 0.4, 0.8, 0), ("chorus", 0.7, 0.9, 1)] * 3
    amounts, wide, home = np.zeros(4), np.zeros(4), ""
    for seed in range(12):
        shots = plan(invent_song(160.0, parts=parts), seed=seed).shots
        for n in range(4):
            chorus = [shot for shot in shots if shot.section == 2 * n + 1]
            amounts[n] += np.mean([shot.camera.amount for shot in chorus])
            wide[n] += np.mean([shot.size == ShotSize.wide for shot in chorus])
            scenes = [scene_of(shot) for shot in chorus]
            home = scenes[0] if n == 0 else home
            assert scenes[0] == home and len(set(scenes)) == (2 if n else 1), "it comes back, and grows by a place"
            grows = any(
                f"of it for the {words.ordinal(n)} return" in r.evidence for shot in chorus for r in shot.reasons
            )
            assert grows == (n > 0)
    assert (np.diff(amounts)[:2] > 0).all() and wide[3] > wide[0]


def test_a_chorus_that_repeats_no_other_plays_elsewhere():
    analysis = invent_song()
    before = {shot.section: scene_of(shot) for shot in reversed(plan(analysis).shots)}  # of each first shot
    sections = [s.model_copy(update={"repeat_of": None}) if i == 4 else s for i, s in enumerate(analysis.sections)]
    changed = plan(analysis.model_copy(update={"sections": sections}))
    after = {shot.section: scene_of(shot) for shot in reversed(changed.shots)}
    assert before[4] == before[2] == after[2] == after[6] != after[4]


def test_an_instrumental_verse_shows_instruments_in_acts_that_take_turns():
    parts = [("verse", 0.5, 0.0, None), ("chorus", 0.9, 0.9, None)]
    seen = set()
    for seed in range(8):
        acts = [action_of(s) for s in plan(invent_song(parts=parts), seed=seed).shots if s.section == 0]
        assert acts[3] is None, "and now and then a look at the landscape"
        first, second, third = acts[1], acts[2], acts[6]
        assert len({first, second, third}) == 3 and acts[4] == acts[5] == first
        seen |= {*acts}
    assert set(words.INSTRUMENTS) <= seen


def test_a_theme_of_a_singer_still_looks_away_where_nobody_sings_and_one_of_a_guitar_does_not():
    parts = [("verse", 0.6, 0.0, None), ("chorus", 0.9, 0.9, None)]
    for theme, empty in (("a singer in a forest", True), ("a guitarist in a forest", False)):
        shots = [shot for shot in plan(invent_song(parts=parts), theme=theme).shots if shot.section == 0]
        assert (None in {action_of(shot) for shot in shots}) == empty


def test_the_theme_reports_what_it_ignored():
    theme = read_theme("a rainy neon city, then the beach at midnight")
    assert theme.scenes == ("city", "ocean")
    assert theme.said == {"scene", "time"}
    assert theme.ignored == ("rainy", "then")
    reason = plan(invent_song(), theme="a rainy neon city").shots[0].reasons[0]
    assert (reason.decision, reason.choice) == ("theme", "scene city") and "rainy" in reason.evidence


def test_an_empty_theme_says_nothing():
    assert read_theme("").said == frozenset() and read_theme("").scenes == ()


def test_a_theme_of_nobody_shows_nobody():
    assert all(action_of(shot) is None for shot in plan(invent_song(), theme="an empty shore").shots)


def test_a_picture_of_no_size_is_refused():
    with pytest.raises(InputError, match="picture size"):
        plan(invent_song(), width=0)


# ---------------------------------------------------------------- transitions


@pytest.mark.parametrize("fps", FRAME_RATES)
def test_calm_changes_melt_and_loud_ones_cut(fps):
    calm = [("intro", 0.1, 0, None), ("verse", 0.2, 0, None), ("bridge", 0.9, 0, None)]
    shots = plan(invent_song(parts=calm), fps).shots
    first_of = {shot.section: (before, shot) for before, shot in pairwise(shots) if before.section != shot.section}
    before, verse = first_of[1]
    length = verse.transition.in_offset + verse.transition.out_offset
    assert verse.transition.kind == "crossfade"
    assert abs(length / fps - 0.5) < 1 / fps and length <= min(before.duration, verse.duration) / 2
    assert first_of[2][1].transition.kind == "cut"
    assert sum(shot.transition.kind == "crossfade" for shot in shots) == 1


def marks_of(analysis: Analysis, fps=Fraction(24), **brief) -> dict[float, tuple]:
    """Of the shots that begin with a dip or flash, by the second of the cut: kind, seconds before and after it, why."""
    marks = {}
    for shot in plan(analysis, fps, **brief).shots:
        t, why = shot.transition, next(reason for reason in shot.reasons if reason.decision == "transition")
        if t.look.veil is not None:
            marks[round(shot.start / fps, 1)] = (str(t.kind), t.in_offset / fps, t.out_offset / fps, why)
    return marks


@pytest.mark.parametrize("fps", FRAME_RATES)
def test_the_outro_begins_out_of_black(fps):
    marks = marks_of(invent_song(), fps)
    (time, (kind, before, after, why)) = marks.popitem()
    assert not marks and kind == "dip to black" and abs(time - 105) < 0.6
    assert abs(before - 0.5) < 1 / fps and abs(after - 0.5) < 1 / fps
    assert why.choice.startswith("dip to black of ")
    assert why.evidence == "the outro begins at 104.8 s, energy from 0.95 to 0.15"
    louder = [*POP[:-1], ("outro", 0.93, 0.0, None)]
    assert [mark[0] for mark in marks_of(invent_song(parts=louder), fps).values()] == ["flash"], "into chorus 3"


@pytest.mark.parametrize("valence, kind", [(0.3, "dip to black"), (0.8, "dip to white")])
def test_what_wakes_after_a_breakdown_comes_out_of_the_colour_of_the_mood(valence, kind):
    parts = [("verse", 0.5, 0.5, None), ("break", 0.2, 0.0, None), ("chorus", 0.9, 0.9, None)]
    song = invent_song(parts=parts, mood=Mood(arousal=0.6, valence=valence))
    ((time, mark),) = marks_of(song).items()
    assert abs(time - 80) < 0.6 and mark[0] == kind and f"valence {valence:.2f}" in mark[3].evidence
    steady = [parts[0], parts[1], ("chorus", 0.3, 0.9, None)]
    assert not marks_of(song.model_copy(update={"sections": invent_song(parts=steady).sections}))


def test_a_drop_flashes_or_hits_out_of_the_dark():
    parts = [("verse", 0.5, 0.5, None), ("drop", 0.9, 0.0, None), ("break", 0.2, 0.0, None), ("drop", 0.9, 0.0, 1)]
    song = invent_song(parts=parts)
    (one, flash), (two, dip) = sorted(marks_of(song).items())
    assert abs(one - 30) < 0.6 and abs(two - 90) < 0.6
    assert flash[:2] == ("flash", 0) and abs(flash[2] - 0.25) < 1 / 24
    assert "first hit of the drop at 29.8 s, onset 1.00 of max" in flash[3].evidence
    assert dip[0] == "dip to black" and abs(dip[1] - 0.5) < 2 / 24 and dip[2] == 0, "dark for one beat, then the hit"
    assert "after the breakdown from 60.0 s" in dip[3].evidence

    def soft(time):  # the same song, its first drop played softly
        onset = [0.5 * v if abs(i / song.feature_rate - time) < 2 else v for i, v in enumerate(song.features["onset"])]
        return song.model_copy(update={"features": {**song.features, "onset": onset}})

    assert [mark[0] for mark in marks_of(soft(30)).values()] == ["dip to black"]


def test_the_greatest_rise_into_a_chorus_flashes_on_its_hit_and_no_other_chorus():
    parts = [("verse", 0.5, 0.5, None), ("chorus", 0.7, 0.9, None), ("verse", 0.4, 0.5, 0), ("chorus", 0.8, 0.9, 1)]
    song = invent_song(parts=parts)
    ((time, mark),) = marks_of(song).items()
    assert abs(time - 90) < 0.6 and mark[:2] == ("flash", 0)
    assert mark[3].evidence.startswith(
        "the greatest rise into a chorus of the song, energy from 0.40 to 0.80 at 89.8 s"
    )
    assert not marks_of(invent_song(parts=parts, onsets=[b for b in song.beats if abs(b - 89.8) > 0.1])), "no hit"
    assert not marks_of(invent_song(parts=[("verse", 0.5, 0.5, None), ("chorus", 0.6, 0.9, None)])), "no rise"
    dark = [*parts[:3], ("break", 0.2, 0.0, None), parts[3]]
    assert [mark[0] for mark in marks_of(invent_song(parts=dark)).values()] == ["dip to black"], "it gives way"


def test_a_drop_heard_inside_of_a_part_is_one_too():
    song = invent_song(parts=[("verse", 0.6, 0.5, None), ("chorus", 0.7, 0.5, None)])
    drop = Event(kind="drop", start=song.downbeats[10], end=song.downbeats[11])
    rest = Event(kind="break", start=song.downbeats[8], end=song.downbeats[10])
    assert [mark[0] for mark in marks_of(song.model_copy(update={"events": [drop]})).values()] == ["flash"]
    dark = marks_of(song.model_copy(update={"events": [rest, drop]}))
    assert [mark[0] for mark in dark.values()] == ["dip to black"]


def test_marks_are_sparing_and_move_no_cut():
    parts = [("verse", 0.4, 0.0, None), ("drop", 0.9, 0.0, None)] * 8
    song = invent_song(160.0, parts=parts)
    marks = sorted(marks_of(song))
    assert marks and min(b - a for a, b in pairwise(marks)) >= words.MARKS_APART_SECONDS - 1
    calmer = song.model_copy(update={"features": {**song.features, "onset": [0.0] * len(song.features["onset"])}})
    assert not marks_of(calmer), "no hit, no flash"
    shots = plan(song).shots
    assert all(shot.transition.in_offset <= before.duration // 2 for before, shot in pairwise(shots))


# ---------------------------------------------------------------- trajectories


def test_accents_fall_on_beats_and_die_away():
    analysis = invent_song(10.0, np.arange(0, 10, 0.5).tolist())
    pulse = accents(analysis, np.array([0.0, 0.125, 0.25, 0.49, 0.5, 2.0]))
    assert np.allclose(pulse, [1, 0.25, 0, 0, ACCENT_OFF_DOWNBEAT, 1])
    assert ACCENT_OFF_DOWNBEAT < 1
    assert not accents(analysis.model_copy(update={"beats": [], "downbeats": []}), np.arange(3.0)).any()
    assert accents(invent_song(10.0, [5.0]), np.array([4.9]))[0] == 0


def test_accents_keep_to_the_true_beats_at_the_end_of_a_long_song():
    beats = (np.arange(1, 6800) * 0.52937).tolist()
    analysis = invent_song(3600.0, beats)
    fps = Fraction(30000, 1001)
    frames = np.arange(107_000, 107_600)
    peaks = np.flatnonzero(np.diff(accents(analysis, frames / float(fps)), prepend=1) > 0) + frames[0]
    expected = [beat for beat in beats if frames[0] / fps < beat <= frames[-1] / fps]
    assert len(peaks) == len(expected)
    assert all(0 <= peak / float(fps) - beat < 1 / float(fps) for peak, beat in zip(peaks, expected))


def test_a_trajectory_covers_the_shot_and_its_handles():
    timeline = plan(invent_song())
    analysis = invent_song()
    for i, shot in enumerate(timeline.shots):
        start, stop = timeline.span(i)
        path = trajectory(timeline, i, analysis)
        assert len(path) == stop - start >= shot.duration
        assert np.isfinite(path.extrinsics).all() and np.isfinite(path.intrinsics).all()


def test_the_lens_pushes_on_the_beat():
    timeline, analysis = plan(invent_song()), invent_song()
    shot = timeline.shots[0].model_copy(update={"camera": CameraMove(kind=MoveKind.static, beat=1.0)})
    pushed = timeline.model_copy(update={"shots": [shot, *timeline.shots[1:]]})
    focal = trajectory(pushed, 0, analysis).intrinsics[:, 0]
    start, stop = pushed.span(0)
    pulse = accents(analysis, np.arange(start, stop) / 24)
    assert np.corrcoef(focal, pulse)[0, 1] > 0.999 and np.ptp(focal) > 0.03


def reach(shot, path) -> np.ndarray:
    """(f,) how far from the middle the performer comes, as a share of the way to the picture's edge."""
    right, farthest = path.c2w[:, :3, 0], np.zeros(len(path))
    for height in SUBJECT[shot.size]:
        for side in (-SUBJECT_WIDTH / 2, SUBJECT_WIDTH / 2):
            points = np.concatenate([side * right + [0, height, 0], np.ones((len(path), 1))], 1)
            x, y, z = np.einsum("fij,fj->if", path.extrinsics[:, :3], points)
            off = 2 * np.abs(np.stack([path.intrinsics[:, 0] * x, path.intrinsics[:, 1] * y]) / z).max(0)
            farthest = np.maximum(farthest, off)
    return farthest


PICTURES = sorted({picture for sizes in SIZES.values() for picture in sizes.values()})


@pytest.mark.parametrize("picture", PICTURES)
def test_the_performer_stays_in_the_safe_area_of_every_picture(picture):
    """Every move from every framing, lens and side, with its accents at their strongest, at every size of ours."""
    analysis, aspect = invent_song(12.0), picture[0] / picture[1]
    timeline = plan(analysis, width=picture[0], height=picture[1])
    rng = np.random.default_rng(0)
    for (name, framing), kind in product(words.FRAMINGS.items(), MoveKind):
        lenses = [lens.focal for lens in words.LENSES.values() if lens.weights[framing.size]]
        wanted = CameraMove(
            kind=kind, amount=1.45, beat=1.0, framing=framing.distance, lens=rng.choice(lenses),
            azimuth=rng.choice(list(words.AZIMUTHS)), accent=rng.choice(list(words.ACCENTS)),
            easing=rng.choice(["smooth", "linear"]),
        )  # fmt: skip
        seconds, seed = rng.uniform(0.8, 8), int(rng.integers(99))
        frames = round(24 * seconds)
        safe = wanted.model_copy(update={"amount": safe_amount(wanted, framing.size, aspect, seconds, seed)})
        shot = timeline.shots[0].model_copy(
            update={"size": framing.size, "camera": safe, "seed": seed, "start": 0, "duration": frames}
        )
        film = timeline.model_copy(update={"shots": [shot], "num_frames": frames})
        off = reach(shot, trajectory(film, 0, analysis))
        if str(kind).startswith("whip"):
            off = off[: max(0, frames - round(24 * WHIP_SECONDS))]  # it is meant to leave, in its last moment
        assert off.max(initial=0) <= SAFE_AREA + 1e-3, (name, safe, seconds)


@pytest.mark.parametrize("picture", [(512, 288), (288, 512), (384, 384)])
@pytest.mark.parametrize("seed", range(3))
def test_every_planned_shot_keeps_its_performer_in_the_safe_area(picture, seed):
    analysis = invent_song()
    timeline = plan(analysis, width=picture[0], height=picture[1], seed=seed, style=["", "raw", "dream"][seed])
    for i, shot in enumerate(timeline.shots):
        if action_of(shot) is not None and not str(shot.camera.kind).startswith("whip"):
            assert reach(shot, trajectory(timeline, i, analysis)).max() <= SAFE_AREA + 1e-3, (shot.id, shot.camera)


def test_another_shape_of_the_picture_holds_what_was_planned_for_the_first():
    analysis = invent_song()
    timeline = plan(analysis, width=512, height=288)
    i = next(i for i, shot in enumerate(timeline.shots) if action_of(shot) == "singing")
    pan = CameraMove(kind=MoveKind.pan_left, amount=1.3)
    shot = timeline.shots[i].model_copy(update={"size": ShotSize.close, "camera": pan})
    planned, edited = shot.model_copy(update={"planned": shot.fingerprint}), shot
    farthest = {}
    for picture in ((512, 288), (288, 512)):
        for whose in (planned, edited):
            film = timeline.model_copy(update={"shots": [*timeline.shots[:i], whose, *timeline.shots[i + 1 :]]})
            path = trajectory(edits.set_picture_size(film, *picture), i, analysis)
            farthest[picture, whose is planned] = reach(shot, path).max()
    assert farthest[(512, 288), True] == farthest[(512, 288), False] < SAFE_AREA
    assert 0.8 < farthest[(288, 512), True] <= SAFE_AREA < 1 < farthest[(288, 512), False], "an edit is the user's own"


def test_a_moves_amount_is_held_only_as_far_as_needed():
    pan = CameraMove(kind=MoveKind.pan_left, amount=1.4)
    assert safe_amount(pan, ShotSize.medium, 16 / 9, 3.0) == 1.4
    held = safe_amount(pan, ShotSize.close, 9 / 16, 3.0)
    assert 0.5 < held < 1.1
    assert not keeps_in_frame(pan.model_copy(update={"amount": held + 0.05}), ShotSize.close, 9 / 16, 3.0)
    whip = CameraMove(kind=MoveKind.whip_left, amount=1.4)
    assert safe_amount(whip, ShotSize.close, 9 / 16, 1.0) == 1.4, "it is meant to leave"


def test_a_sway_goes_with_the_bars_and_a_push_with_the_downbeats():
    analysis = invent_song(20.0, np.arange(0, 20, 0.5).tolist())
    times = np.arange(0, 16, 1 / 24)
    swing = sway(analysis, times)
    assert np.allclose(swing[::48], 0, atol=1e-6), "in the middle on every downbeat"
    assert np.isclose(swing[24], 1) and np.isclose(swing[24 + 48], -1)
    push = accompaniment(CameraMove(accent="push"), analysis, times).accents
    assert np.allclose(push[::48], 1) and not push[36::48].any() and push[12::48].min() > 0
    pulse = accompaniment(CameraMove(accent="pulse"), analysis, times).accents
    assert np.allclose(pulse[12::48], ACCENT_OFF_DOWNBEAT)
    silent = analysis.model_copy(update={"beats": [], "downbeats": []})
    assert not sway(silent, times).any()


def test_calm_sways_and_loud_pulses():
    shots = plan(invent_song()).shots
    assert {shot.camera.accent for shot in shots if shot.section == 0} == {"sway"}
    assert {shot.camera.accent for shot in shots if shot.section == 6} == {"pulse"}


# ---------------------------------------------------------------- openings, inserts, cuts of a kind


@pytest.mark.parametrize("seed", range(4))
def test_a_film_opens_and_closes_on_the_place(seed):
    parts = [("verse", 0.6, 0.0, None), ("chorus", 0.9, 0.9, None), ("verse", 0.6, 0.8, 0)]
    shots = plan(invent_song(parts=parts), seed=seed).shots
    assert action_of(shots[0]) is None and shots[0].prompt.startswith("wide shot")
    assert framing_of(shots[0].size, shots[0].camera) == words.ESTABLISHING
    assert "the film opens with a view of the place" in str(shots[0].reasons)
    sung = plan(invent_song(parts=parts[1:]), seed=seed).shots[0]
    assert action_of(sung) == "singing", "where a voice sounds, somebody sings"


@pytest.mark.parametrize("seed", range(4))
def test_a_singer_moves_to_the_next_place_in_a_match_cut(seed):
    parts = [("verse", 0.5, 0.9, None), ("verse", 0.5, 0.9, None)]
    shots = plan(invent_song(parts=parts), seed=seed).shots
    matches = [(one, two) for one, two in pairwise(shots) if "match cut" in str(two.reasons)]
    assert matches
    for one, two in matches:
        assert scene_of(one) != scene_of(two) and one.section == two.section
        assert (one.size, one.camera.azimuth) == (two.size, two.camera.azimuth)
        assert one.camera.kind != two.camera.kind


def test_a_whip_is_short_and_named_at_the_cut():
    seen = 0
    for seed in range(12):
        for one, two in pairwise(plan(invent_song(parts=[("chorus", 1.0, 0.0, None)]), seed=seed, style="raw").shots):
            if one.camera.kind in (MoveKind.whip_left, MoveKind.whip_right):
                seen += 1
                assert one.duration / 24 <= words.WHIP_SECONDS
                assert "cut, whip" in str(two.reasons[-1]) and two.transition.kind == "cut"
    assert seen


# ---------------------------------------------------------------- styles


@pytest.mark.parametrize("style", words.STYLES)
def test_a_style_prefers_and_the_theme_outranks_it(style):
    preset = words.STYLES[style]
    shots = plan(invent_song(), style=style).shots
    parts = {shot.section: scene_of(shot) for shot in reversed(shots)}
    assert {parts[1], parts[2], parts[3]} <= set(preset.scenes)
    read = [understand(shot.prompt).directions for shot in shots]
    assert not preset.times or {d.time for d in read} <= set(preset.times)
    assert not preset.palettes or {d.palette for d in read} <= set(preset.palettes)
    plain = plan(invent_song()).shots
    assert preset.pace == 1 or (len(shots) > len(plain)) == (preset.pace > 1)
    themed = plan(invent_song(), style=style, theme="only a desert by day, lime light").shots
    assert all("desert by day, lime light" in shot.prompt for shot in themed)


def test_a_style_there_is_not_is_refused():
    with pytest.raises(InputError, match=r"style: expected one of performance, .*, got 'baroque'"):
        plan(invent_song(), style="baroque")


# ---------------------------------------------------------------- vocabulary


def test_the_tables_are_whole():
    assert set(words.MOVES) == set(MoveKind)
    assert set(words.TRANSITIONS) > set(TransitionKind)
    assert set(words.SHOT_SIZES) == set(ShotSize) == {framing.size for framing in words.FRAMINGS.values()}
    assert set(words.FRAMING_SHARES) == set(words.FRAMINGS) > {words.ESTABLISHING}
    distances = [FRAMING[framing.size][0] * framing.distance for framing in words.FRAMINGS.values()]
    assert distances == sorted(distances), "from tight to loose"
    assert all(set(lens.weights) == set(ShotSize) for lens in words.LENSES.values())
    assert set(words.ACCENTS) == set(CameraMove.model_fields["accent"].annotation.__args__)
    families = {str(kind).split()[0] for kind in MoveKind}
    assert {*words.UNSTEADY_CLOSE, *words.NEEDS_SOMEBODY, *words.RARITY, *words.FAMILIES} <= families
    assert set(words.MOVE_SYNONYMS.values()) <= set(MoveKind)
    for style in words.STYLES.values():
        assert set(style.scenes) <= set(world.SCENES) and set(style.palettes) <= set(world.PALETTES)
        assert set(style.times) <= set(words.CLOCK) == set(world.TIMES) and set(style.moves) <= families
        assert set(style.actions) <= set(world.ACTIONS) and 0.5 <= style.pace <= 2
    assert set(words.SCENE_MOODS) == set(words.KINDRED) == set(world.SCENES)
    assert all(name not in row and set(row) <= set(world.SCENES) for name, row in words.KINDRED.items())
    assert all(set(row) & set(words.LANDSCAPES) for row in words.KINDRED.values())
    assert set(words.TIME_MOODS) == set(world.TIMES)
    assert set(words.PALETTE_MOODS) == set(world.PALETTES)
    assert set(words.SIZES_FOR_ACTION) == {None, *world.ACTIONS}
    labels = set(Section.model_fields["label"].annotation.__args__)
    assert set(words.LABEL_PACE) == set(words.MOVES_FOR_LABEL) == labels
    assert ShotSize.close not in words.SIZES_FOR_ACTION[None]
