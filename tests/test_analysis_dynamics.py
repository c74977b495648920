from dataclasses import replace

import numpy as np
import pytest
from test_analysis import SR, place, tone

from mv.analysis import _notes, beats, dynamics, features
from mv.analysis.sections import form_letters

BEAT, BAR = 0.5, 2.0


def grid(seconds):
    times = np.arange(0, seconds - 0.1, BEAT)
    return beats.Beats(times, np.arange(len(times)) % 4 + 1, 120.0, 1.0, np.ones(len(times)))


def noise(seconds, decay, seed=0):
    n = int(seconds * SR)
    return np.random.default_rng(seed).standard_normal(n) * np.exp(-np.arange(n) / (decay * SR))


def band(bars, low, high):
    """low, high: gain of kick and of hats in each bar."""
    sounds = [(0.0, 0.01 * tone(440, bars * BAR))]
    for bar in range(bars):
        sounds += [(bar * BAR + i * BEAT, low(bar) * tone(60, 0.3, 0.1)) for i in range(4)]
        sounds += [(bar * BAR + i * BEAT / 2, high(bar) * noise(0.1, 0.03, i)) for i in range(8)]
    return place(sounds, bars * BAR).astype(np.float32)


def events(y):
    return dynamics.find_events(features.spectra(y), grid(len(y) / SR))


def test_the_parts_sum_to_the_loudness():
    y = band(8, lambda bar: 0.1 + 0.1 * bar, lambda bar: 0.02)
    parts = dynamics.decompose(features.spectra(y), grid(16))
    np.testing.assert_allclose(parts.arc + parts.pulse + parts.rest, parts.level, atol=1e-9)
    assert abs(parts.pulse.mean()) < 0.5 and parts.pulse.std() > 3  # kicks: the bar has a shape
    assert parts.arc[-100:].mean() > parts.arc[:100].mean()
    assert parts.rest.std() < parts.pulse.std()


def test_planted_hits_are_accents_and_the_beat_is_none():
    hits = [5.25, 11.75, 17.25]
    y = band(12, lambda bar: 0.5, lambda bar: 0.05)
    y = y + 1.5 * place([(hit, noise(0.3, 0.08)) for hit in hits], 24).astype(np.float32)
    found = dynamics.accents(dynamics.decompose(features.spectra(y), grid(24)))
    np.testing.assert_allclose(found, hits, atol=0.05)


def test_a_build_up_leads_to_a_drop():
    y = band(16, lambda bar: 1.0 if bar < 4 or bar >= 8 else 0.0, lambda bar: 0.05 * 2 ** (bar - 4) if bar < 8 else 0.3)
    found = {event.kind: event for event in events(y)}
    assert found["drop"].start == pytest.approx(8 * BAR)
    assert 4 * BAR - 0.1 <= found["build-up"].start < 7 * BAR and found["build-up"].end == pytest.approx(8 * BAR)


def test_a_break_is_soft_between_loud():
    y = band(16, lambda bar: 0.02 if bar in (7, 8) else 1.0, lambda bar: 0.02 if bar in (7, 8) else 0.3)
    (found,) = [event for event in events(y) if event.kind == "break"]
    assert (found.start, found.end) == (pytest.approx(7 * BAR), pytest.approx(9 * BAR))


def test_even_music_has_no_events():
    assert events(band(12, lambda bar: 1.0, lambda bar: 0.3)) == []
    assert events(np.zeros(8 * SR, np.float32)) == []


def test_one_downbeat_is_enough():
    alone = beats.Beats(np.array([0.0]), np.array([1]), 0.0, 0.0, np.zeros(1))
    parts = dynamics.decompose(features.spectra(band(2, lambda bar: 1, lambda bar: 1)), alone)
    assert np.isfinite(parts.pulse).all()


def test_beats_are_surer_where_they_are_played():
    activation = np.zeros(int(60 * features.FRAME_RATE))
    times = np.arange(0.5, 59, 0.5)
    played = times[times < 30]
    activation[np.round((played + beats.LATENCY) * features.FRAME_RATE).astype(int)] = 1
    sure = beats.per_beat(times, activation)
    assert sure[times < 25].min() == 1 and sure[times > 35].max() == 0


def test_a_guessed_beat_is_said_to_be_one():
    found, curves = grid(60), {"energy": np.ones(10)}
    assert _notes(found, curves) == []
    (note,) = _notes(replace(found, confidence=0.3), curves)
    assert "could be 60 or 240" in note
    unsure = np.where((found.times >= 20) & (found.times < 40), 0.0, 1.0)
    assert _notes(replace(found, per_beat=unsure), curves) == ["the beat is a guess from 0:20 to 0:40"]


def test_form_letters():
    assert form_letters([None, None, 0, None, 1, 0]) == ["A", "B", "A'", "C", "B'", "A''"]
    assert form_letters([None] * 28)[-3:] == ["Z", "A2", "B2"]
