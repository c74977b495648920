from pathlib import Path

import numpy as np
import pytest
from test_audio import write_wav

from mv.analysis import analyze
from mv.schema import CURVES, Analysis

SR = 22050
EXAMPLE = Path(__file__).parents[1] / "assets" / "song" / "first_light.mp3"
BAR = 4 * 60 / 112  # of the example song, seconds


def tone(frequency, seconds, decay=None):
    t = np.arange(int(seconds * SR)) / SR
    return np.sin(2 * np.pi * frequency * t) * (np.exp(-t / decay) if decay else 1)


def place(sounds, seconds):
    """sounds: (time, samples)."""
    y = np.zeros(int(seconds * SR))
    for time, sound in sounds:
        start = round(time * SR)
        stop = min(start + len(sound), len(y))
        y[start:stop] += sound[: stop - start]
    return 0.5 * y / max(np.abs(y).max(), 1e-9)


def chord(notes, seconds):
    return sum(tone(440 * 2 ** ((note - 69) / 12), seconds) for note in notes)


def heard(tmp_path, y):
    return analyze(write_wav(tmp_path / "song.wav", y, SR))


def distance(times, truth):
    return np.abs(np.asarray(times)[:, None] - np.asarray(truth)[None]).min(1)


def test_click_track(tmp_path):
    clicks = np.arange(0.25, 20, 0.5)
    analysis = heard(tmp_path, place([(time, tone(1000, 0.05, 0.01)) for time in clicks], 20))
    assert analysis.tempo == pytest.approx(120, abs=1)
    assert analysis.tempo_confidence > 0.5 and not analysis.notes
    assert distance(analysis.beats, clicks).max() < 0.02
    assert distance(clicks, analysis.beats).max() < 0.02  # from the first to the last


@pytest.mark.parametrize("metre", [3, 4])
def test_downbeats_are_where_bass_and_chord_change(tmp_path, metre):
    beat, sounds = 0.55, []
    for bar in range(12):
        notes = [(60, 64, 67), (57, 60, 65), (59, 62, 67)][bar % 3]
        sounds.append((bar * metre * beat, 0.2 * chord(notes, metre * beat)))
        sounds.append((bar * metre * beat, 1.5 * tone(55, 0.3, 0.1)))
        sounds += [((bar * metre + i) * beat, 0.7 * tone(900, 0.05, 0.015)) for i in range(metre)]
    analysis = heard(tmp_path, place(sounds, 12 * metre * beat))
    truth = np.arange(12) * metre * beat
    assert analysis.tempo == pytest.approx(60 / beat, abs=1)
    assert len(analysis.downbeats) >= 10 and distance(analysis.downbeats, truth).max() < 0.07


def drum_bar(start, beat, hats):
    kick, rng = tone(60, 0.25, 0.07), np.random.default_rng(0)
    hat = rng.standard_normal(int(0.05 * SR)) * np.exp(-np.arange(int(0.05 * SR)) / (0.01 * SR))
    return [(start + i * beat, kick) for i in (0, 2)] + [(start + i * beat / 2, hats * hat) for i in range(8)]


def test_two_parts_meet_at_the_right_downbeat(tmp_path):
    beat, sounds = 0.5, []
    for bar in range(16):
        second = bar >= 8
        notes = [(69, 74, 78), (67, 71, 76)][bar % 2] if second else [(48, 51, 55), (44, 48, 51)][bar % 2]
        sounds += drum_bar(bar * 4 * beat, beat, hats=0.5 if second else 0.1)
        sounds.append((bar * 4 * beat, (0.5 if second else 0.15) * chord(notes, 4 * beat)))
    analysis = heard(tmp_path, place(sounds, 32))
    starts = [section.start for section in analysis.sections]
    assert distance([16.0], starts)[0] < 0.1
    assert set(starts[1:]) <= set(analysis.downbeats)
    before, after = analysis.sections[0], analysis.sections[analysis.section_at(20.0)]
    assert after.energy > before.energy


def test_silence_gets_an_even_grid_and_says_so(tmp_path):
    analysis = heard(tmp_path, np.zeros(6 * SR))
    assert (analysis.tempo, analysis.tempo_confidence, analysis.key) == (0, 0, "")
    np.testing.assert_allclose(np.diff(analysis.beats), 0.5)
    assert analysis.downbeats == analysis.beats[::4]
    assert "silent" in analysis.notes[0]
    assert all(max(curve) == 0 for curve in analysis.features.values())
    assert [(s.start, s.duration) for s in analysis.sections] == [(0, 6)]


def test_a_held_chord_has_no_beat_but_a_key(tmp_path):
    notes = (48, 60, 64, 67, 72)
    analysis = heard(tmp_path, place([(0, chord(notes, 12))], 12))
    assert analysis.key == "C major"
    assert analysis.tempo_confidence == 0 and "no beat" in analysis.notes[0]


def test_noise_has_no_beat(tmp_path):
    analysis = heard(tmp_path, 0.1 * np.random.default_rng(0).standard_normal(20 * SR))
    assert (analysis.tempo, analysis.tempo_confidence) == (0, 0) and "no beat" in analysis.notes[0]


def test_one_second_is_enough(tmp_path):
    analysis = heard(tmp_path, place([(0.2, tone(300, 0.5, 0.1))], 1.0))
    assert analysis.duration == 1.0 and len(analysis.beats) >= 2


def test_a_kick_under_a_held_bass_is_a_clear_pulse(tmp_path):
    kicks = np.arange(0.5, 12, 0.5)
    y = place([(0, 0.3 * tone(55, 12))] + [(time, tone(70, 0.2, 0.05)) for time in kicks], 12)
    analysis = heard(tmp_path, y)
    low = np.array(analysis.features["low"])
    at = np.round(kicks * analysis.feature_rate).astype(int)[2:-1]
    on_kick = np.max([low[at + d] for d in (-1, 0, 1, 2)], axis=0)
    between = low[at - 4]
    assert on_kick.min() > 0.7 and between.max() < on_kick.min() - 0.3


def test_music_without_a_voice_keeps_the_mouth_shut(tmp_path):
    y = place([s for bar in range(8) for s in drum_bar(bar * 2.0, 0.5, hats=0.5)], 16)
    assert max(heard(tmp_path, y).features["mouth"]) == 0


@pytest.fixture(scope="module")
def example():
    return analyze(EXAMPLE)


def test_example_song_tempo_key_and_beats(example):
    assert (example.title, example.key) == ("First Light", "D major")
    assert example.tempo == pytest.approx(112, abs=0.2)
    assert distance(example.beats, np.arange(140) * BAR / 4).max() < 0.03
    assert distance(example.downbeats, np.arange(35) * BAR).max() < 0.03


def test_example_song_form(example):
    boundaries = np.array([4, 8, 16, 20, 28]) * BAR
    assert distance(boundaries, [section.start for section in example.sections]).max() < 0.1
    at = {bar: example.sections[example.section_at(bar * BAR)] for bar in (2, 6, 12, 18, 24, 30)}
    assert [at[bar].label for bar in at] == ["intro", "verse", "chorus", "verse", "chorus", "outro"]
    assert example.sections[at[24].repeat_of] == at[12]
    assert at[12].energy > at[6].energy > at[2].energy


def test_example_song_voice(example):
    voice, mouth = np.array(example.features["voice"]), np.array(example.features["mouth"])
    times = np.arange(len(voice)) / example.feature_rate
    sung = ((times > 4 * BAR) & (times < 28 * BAR)).astype(bool)
    assert voice[sung].mean() > 0.5 > 3 * voice[~sung].mean()
    assert mouth[sung].max() > 0.9 and mouth[~sung].mean() < 0.05


def test_analysis_is_whole(example, tmp_path):
    assert set(example.features) == set(CURVES)
    curves = np.array(list(example.features.values()))
    assert curves.min() >= 0 and curves.max() <= 1
    assert (curves.shape[1] - 1) / example.feature_rate == pytest.approx(example.duration, abs=0.05)
    ends = [section.end for section in example.sections]
    np.testing.assert_allclose([0, *ends[:-1]], [section.start for section in example.sections])
    assert ends[-1] == pytest.approx(example.duration)
    example.save(tmp_path / "a.json")
    assert Analysis.load(tmp_path / "a.json") == example


def test_progress_rises_to_one(tmp_path):
    seen = []
    analyze(
        write_wav(tmp_path / "a.wav", tone(220, 2.0), SR),
        on_progress=lambda share, what: seen.append((share, what)),
    )
    shares = [share for share, _ in seen]
    assert shares == sorted(shares) and shares[0] == 0 and shares[-1] == 1
    assert all(what for _, what in seen)
