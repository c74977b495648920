"""The director on invented songs: cuts on beats, shots that tile, choices that follow the music and nothing else."""

import time
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from director import direct
from director import vocabulary as words
from director.cinematography import choose_places, read_theme, roles_of
from director.segmentation import cut_to_the_beat, paces, shot_limits
from director.trajectories import ACCENT_OFF_DOWNBEAT, accents, trajectory
from mv.errors import InputError
from mv.schema import (
    CURVES,
    Analysis,
    Brief,
    CameraMove,
    Cast,
    Mood,
    MoveKind,
    Section,
    ShotSize,
    Timeline,
    film_frames,
)
from mv.timing import to_frame
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
    """Click grids of 60..200 BPM in 3/4 or 4/4, steady or speeding up or slowing down, starting anywhere."""
    duration = draw(st.floats(2, 90))
    period = 60 / draw(st.floats(60, 200))
    ramp = draw(st.floats(-0.2, 0.25))
    beats, at = [], draw(st.floats(0, 2))
    while at < duration:
        beats.append(at)
        at += period * (1 + ramp * at / duration)
    parts = draw(st.lists(st.sampled_from(POP[:3] + POP[5:6]), min_size=1, max_size=6))
    parts = [(label, draw(st.floats(0, 1)), voice, None) for label, _, voice, _ in parts]
    return invent_song(duration, beats, per_bar=draw(st.sampled_from([3, 4])), parts=parts)


# ---------------------------------------------------------------- segmentation


@settings(max_examples=60, deadline=None, derandomize=True)
@given(songs(), st.sampled_from(FRAME_RATES), st.integers(0, 2**32 - 1))
def test_any_song_gives_shots_that_tile_and_cut_on_beats(analysis, fps, seed):
    timeline = plan(analysis, fps, seed=seed)
    on_beats = {to_frame(beat, fps) for beat in analysis.beats}
    shortest, longest = shot_limits(fps)
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
    assert lengths <= {1.5, 3.0}


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
    begin = time.perf_counter()
    plan(analysis)
    assert time.perf_counter() - begin < 2


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
    assert evidence.startswith("bar 15 beat at 29.80 s, onset 1.00 of max; chorus starts at 30.00 s")
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
    assert places[3].scene == verse.scene != chorus.scene
    assert bridge.scene not in (verse.scene, chorus.scene)
    assert len({p.palette for p in places}) <= 3


def test_a_repeat_plays_the_part_of_what_it_repeats():
    labels = [("verse", None), ("verse", None), ("bridge", None), ("verse", 1), ("outro", 2)]
    sections = [Section(start=i, duration=1, label=la, repeat_of=r) for i, (la, r) in enumerate(labels)]
    assert roles_of(sections) == ["home", "verse 2", "away", "verse 2", "away"]


def test_the_themes_words_win():
    shots = plan(invent_song(), theme="an azure desert by day, performer with red hair in a black dress").shots
    for shot in shots:
        read = understand(shot.prompt).directions
        assert (read.scene, read.time, read.palette) == ("desert", "day", "azure")
        if read.action:
            assert (read.look.hair_color, read.look.outfit, read.look.outfit_color) == ("red", "dress", "black")


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


def test_the_briefs_cast_performs_and_a_wrong_one_is_refused():
    cast = Cast(name="Ada", skin="brown", hair_style="bun", hair_color="silver", outfit="jacket", outfit_color="teal")
    look = next(understand(s.prompt).directions.look for s in plan(invent_song(), cast=cast).shots if action_of(s))
    assert look.hair_color == "silver" and look.outfit == "jacket" and look.skin == "brown"
    with pytest.raises(InputError, match=r"hair color: expected one of black, .*got 'plaid'"):
        plan(invent_song(), cast=Cast(hair_color="plaid"))


def test_a_picture_of_no_size_is_refused():
    with pytest.raises(InputError, match="picture size"):
        plan(invent_song(), width=0)


# ---------------------------------------------------------------- transitions


@pytest.mark.parametrize("fps", FRAME_RATES)
def test_calm_changes_melt_and_loud_ones_cut(fps):
    calm = [("intro", 0.1, 0, None), ("verse", 0.2, 0, None), ("chorus", 0.9, 0, None)]
    shots = plan(invent_song(parts=calm), fps).shots
    first_of = {shot.section: (before, shot) for before, shot in pairwise(shots) if before.section != shot.section}
    before, verse = first_of[1]
    length = verse.transition.in_offset + verse.transition.out_offset
    assert verse.transition.kind == "crossfade"
    assert abs(length / fps - 0.5) < 1 / fps and length <= min(before.duration, verse.duration) / 2
    assert first_of[2][1].transition.kind == "cut"
    assert sum(shot.transition.kind == "crossfade" for shot in shots) == 1


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


# ---------------------------------------------------------------- vocabulary


def test_the_tables_are_whole():
    from mv.world import vocabulary as world

    assert set(words.MOVES) == set(MoveKind)
    assert set(words.SHOT_SIZES) == set(ShotSize)
    assert set(words.SCENE_MOODS) == set(world.SCENES)
    assert set(words.TIME_MOODS) == set(world.TIMES)
    assert set(words.PALETTE_MOODS) == set(world.PALETTES)
    assert set(words.SIZES_FOR_ACTION) == {None, *world.ACTIONS}
    labels = set(Section.model_fields["label"].annotation.__args__)
    assert set(words.LABEL_PACE) == set(words.MOVES_FOR_LABEL) == labels
    assert ShotSize.close not in words.SIZES_FOR_ACTION[None]
