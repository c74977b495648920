from pathlib import Path

import numpy as np
import pytest
from test_analysis import SR, place, tone

from mv.analysis import UNSURE, analyze, beats, dynamics, features, mood, network, sections, voice

ACCENT, CLICK = tone(1500, 0.1, 0.02), 0.5 * tone(1000, 0.1, 0.015)


def clicks(tempo, metre, seconds=30):
    times = np.arange(0.3, seconds - 0.2, 60 / tempo)
    return place([(time, CLICK if k % metre else ACCENT) for k, time in enumerate(times)], seconds).astype(np.float32)


def pulse(heard):
    return network.activations(network.load(), heard)


def without(heard):
    """No network: the onsets alone."""


def tracked(y, by=pulse):
    heard = features.spectra(y)
    flux, activation = beats.onsets(heard)
    return beats.track(heard, flux, activation, len(y) / SR, by(heard))


def bar_lengths(found):
    return np.diff(np.flatnonzero(found.positions == 1))


@pytest.mark.parametrize(
    ("tempo", "metre", "counted"),
    [(60, 4, 4), (66, 5, 5), (88, 3, 3), (120, 6, 3), (140, 5, 5), (175, 3, 3), (180, 4, 4), (200, 3, 3), (200, 5, 5)],
)
@pytest.mark.parametrize("by", [pulse, without])
def test_clicks_of_all_tempos_and_metres(tempo, metre, counted, by):
    found = tracked(clicks(tempo, metre), by)
    assert found.tempo == pytest.approx(tempo, rel=0.005)
    assert np.median(bar_lengths(found)) == counted


@pytest.mark.parametrize("by", [pulse, without])
def test_clicks_in_two_have_the_right_tempo(by):
    assert tracked(clicks(96, 2), by).tempo == pytest.approx(96, rel=0.005)


def test_off_beats_do_not_double_the_tempo():
    """By the onsets; to the network bare kicks with hats between them are music twice as fast."""
    beat = 60 / 92
    sounds = [(k * beat, tone(60, 0.25, 0.08)) for k in range(40)]
    sounds += [((k + 0.5) * beat, 0.3 * tone(5000, 0.05, 0.01)) for k in range(40)]
    assert tracked(place(sounds, 27).astype(np.float32), without).tempo == pytest.approx(92, rel=0.005)


def everything(samples):
    """All that is heard in samples (n, 1 or 2): beats, sections, curves, key and events; nothing may be NaN."""
    y, duration = samples.mean(1), len(samples) / SR
    heard = features.spectra(y)
    flux, activation = beats.onsets(heard)
    found = beats.track(heard, flux, activation, duration, pulse(heard))
    singing, mouth = voice.singing(samples)
    curves = {**features.curves(heard, activation), "voice": singing, "mouth": mouth}
    parts = sections.find_sections(heard, found, curves["energy"], singing, duration)
    key = mood.find_key(heard)
    judged = mood.judge(found, key, curves, activation)
    events = dynamics.find_events(heard, found)
    accents = dynamics.accents(dynamics.decompose(heard, found))
    for name, curve in curves.items():
        assert np.isfinite(curve).all() and curve.min() >= 0 and curve.max() <= 1, (name, curve.min(), curve.max())
    assert (np.diff(found.times) > 0).all() and len(found.per_beat) == len(found.times) == len(found.positions)
    assert parts[0].start == 0 and parts[-1].end == pytest.approx(duration)
    assert 0 <= judged.arousal <= 1 and 0 <= judged.valence <= 1
    assert all(0 <= event.start < event.end for event in events) and (accents >= 0).all()
    return found


@pytest.mark.parametrize("seconds", [0.01, 0.5, 3.0])
@pytest.mark.parametrize("width", [1, 2])
def test_short_sounds_are_heard_without_complaint(seconds, width):
    rng = np.random.default_rng(0)
    for sound in (np.zeros((int(seconds * SR), width)), 0.1 * rng.standard_normal((int(seconds * SR), width))):
        assert everything(sound.astype(np.float32)).confidence == 0


def test_a_drone_and_noise_have_no_beat():
    drone = sum(tone(55 * k, 20.0) / k for k in (1, 2, 3, 4))
    noise = np.random.default_rng(4).standard_normal(20 * SR)
    for y in (drone, noise, drone + 0.01 * noise):
        assert everything((0.2 * y[:, None]).astype(np.float32)).tempo == 0


def test_full_scale_and_a_whisper_are_heard_alike():
    y = clicks(110, 4, 12)[:, None]
    loud, soft = everything(np.sign(y) * np.minimum(np.abs(y) * 8, 1)), everything(y * 0.02)
    assert loud.tempo == pytest.approx(110, rel=0.005) and soft.tempo == pytest.approx(110, rel=0.005)


def test_somebody_who_speaks_has_a_voice_but_no_sure_beat():
    """Sixteen seconds read by espeak-ng."""
    found = analyze(Path(__file__).parent / "golden" / "speech.ogg")
    assert found.tempo_confidence < UNSURE
    assert found.tempo == 0 or "the beat is a guess" in found.notes[0]
    assert (np.array(found.features["voice"]) > 0.5).mean() > 0.6
    assert found.sections[0].start == 0 and found.sections[-1].end == pytest.approx(found.duration)
