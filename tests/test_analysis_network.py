from dataclasses import replace

import numpy as np
import pytest
import torch
from test_analysis import place, tone

from mv.analysis import beats, features, network
from mv.analysis.features import FRAME_RATE
from mv.analysis.network import BANDS, CHROMA, FOLDER, POOL, Bands, BeatNetwork, Shape, activations, bands, normalised

TINY = Shape(front=(2, 3), channels=4, dilations=(1, 2))


def band(beat, seconds):
    """Kick on one and three, snare on two and four, hats on the halves."""
    sounds = []
    for k in range(int(seconds / beat)):
        sounds.append((k * beat, tone(60, 0.2, 0.06) if k % 2 == 0 else 0.6 * tone(1800, 0.1, 0.02)))
        sounds.append(((k + 0.5) * beat, 0.2 * tone(6000, 0.05, 0.01)))
    return place(sounds, seconds).astype(np.float32)


def test_what_the_network_is_given_does_not_depend_on_the_volume():
    y = band(0.5, 4.0)
    loud, soft = (normalised(bands(features.spectra(gain * y))) for gain in (1.0, 0.01))
    assert loud.shape == (len(features.spectra(y)) // POOL, BANDS + CHROMA) and loud.dtype == np.float32
    np.testing.assert_allclose(loud[:, :BANDS], soft[:, :BANDS], atol=1e-2)


def test_silence_is_given_as_nothing():
    assert np.abs(normalised(Bands(np.zeros((5, BANDS)), np.zeros((5, CHROMA))))).max() == 0


def test_a_long_song_is_heard_in_pieces_that_change_nothing(monkeypatch):
    torch.manual_seed(0)
    tiny = BeatNetwork(TINY).eval()
    heard = features.spectra(band(0.5, 6.0))
    whole = activations(tiny, heard)
    monkeypatch.setattr(network, "PIECE", 37)
    np.testing.assert_allclose(activations(tiny, heard), whole, atol=1e-5)
    assert whole.shape == (2, len(heard)) and whole.min() >= 0 and whole.max() <= 1


def test_reach_is_all_that_a_value_depends_on():
    torch.manual_seed(0)
    tiny = BeatNetwork(TINY).eval()
    x = torch.rand(1, 60, BANDS + CHROMA, requires_grad=True)
    tiny(x)[0, 30, 0].backward()
    touched = x.grad[0].abs().sum(1).nonzero()[:, 0]
    assert touched.min() >= 30 - TINY.reach and touched.max() <= 30 + TINY.reach


def test_the_shipped_network_is_small_and_hears_the_beats_of_a_band():
    shipped = network.load()
    assert sum(p.numel() for p in shipped.parameters()) < 1_000_000
    assert (FOLDER / "model.safetensors").stat().st_size < 2 << 20 and (FOLDER / "MODEL_CARD.md").exists()
    beat = 60 / 100
    pulse = activations(shipped, features.spectra(band(beat, 20.0)))
    times = np.arange(4, 28) * beat
    assert beats.near(pulse[0], times).mean() > 3 * beats.near(pulse[0], times + beat / 4).mean()


def pulses(tempo, metre, seconds=30.0, height=0.8):
    """Activations of a network that hears every beat."""
    times = np.arange(0.5, seconds - 0.2, 60 / tempo)
    frames = np.round(times * FRAME_RATE).astype(int)
    pulse = np.full((2, int(seconds * FRAME_RATE)), 0.01)
    for offset, share in ((-2, 0.3), (-1, 0.7), (0, 1.0), (1, 0.7), (2, 0.3)):  # as wide as the network's
        pulse[0, frames + offset] = share * height
        pulse[1, frames[::metre] + offset] = share * height
    return pulse, times


def nothing(pulse):
    """Spectra of silence as long as the pulse: chords and bass tell nothing of the bars."""
    t = pulse.shape[1]
    columns = ((t, features.N_BASS), (t, features.N_MELS), (t, 3), (-(-t // features.CHROMA_HOP), CHROMA))
    return features.Spectra(*(np.zeros(shape, np.float32) for shape in columns))


@pytest.mark.parametrize(("tempo", "metre"), [(60, 2), (84, 3), (120, 4), (176, 4), (140, 5), (215, 4)])
def test_what_the_network_hears_is_followed(tempo, metre):
    pulse, times = pulses(tempo, metre)
    flux = np.tile(pulse[:1], (4, 1))
    found = beats.follow_pulse(pulse, nothing(pulse), flux, pulse[0], 0.3, 29.9)
    assert found.tempo == pytest.approx(tempo, rel=0.005) and found.confidence > 0.9
    inside = found.times[(found.times > 1) & (found.times < 29)]
    assert np.abs(inside[:, None] - times - 0.0).min(1).max() < 0.02
    assert np.median(np.diff(np.flatnonzero(found.positions == 1))) == metre


def test_nothing_is_heard_so_slowly_that_nobody_would_tap_it():
    pulse, _ = pulses(54, 4)
    flux = np.tile(pulse[:1], (4, 1))
    assert beats.follow_pulse(pulse, nothing(pulse), flux, pulse[0], 0.3, 29.9).tempo == pytest.approx(108, rel=0.005)


def test_a_thin_beginning_heard_twice_as_fast_is_counted_as_the_rest():
    pulse, times = pulses(84, 4, 60.0)
    extra = np.round((times[:14] + 30 / 84) * FRAME_RATE).astype(int)
    pulse[0, extra] = pulse[0].max()
    found = beats.follow_pulse(pulse, nothing(pulse), np.tile(pulse[:1], (4, 1)), pulse[0], 0.3, 59.9)
    assert np.median(np.diff(found.times)[:10]) == pytest.approx(60 / 84, rel=0.01)


@pytest.mark.parametrize("level", [0.5, 2 / 3, 1.5])
def test_a_song_to_a_click_keeps_one_grid_where_a_passage_was_heard_at_another_level(level):
    grid = 0.4 + 0.5 * np.arange(100)
    intro = np.arange(grid[30] - 0.5 * level, 0, -0.5 * level)[::-1]
    mended = beats.one_grid(np.concatenate([intro, grid[30:]]))
    np.testing.assert_allclose(mended[-70:], grid[30:], atol=1e-3)
    np.testing.assert_allclose(np.diff(mended), 0.5, atol=1e-3)


def test_a_song_that_begins_at_a_tempo_of_its_own_keeps_it():
    intro, rest = 0.6 * np.arange(30), 18 + 0.5 * np.arange(70)
    times = np.concatenate([intro, rest])
    assert np.array_equal(beats.one_grid(times), times)


@pytest.mark.parametrize(("odds", "counted"), [({2: 0.0, 3: -9.0, 4: -3.0}, 2), ({2: -3.0, 3: -9.0, 4: 0.0}, 4)])
def test_where_every_other_beat_is_a_downbeat_the_onsets_tell_bars_of_two_from_bars_of_four(monkeypatch, odds, counted):
    monkeypatch.setattr(beats.metre, "bar_odds", lambda on: odds)
    down = np.where(np.arange(64) % 2 == 0, np.where(np.arange(64) % 4 == 0, 0.7, 0.55), 0.03)
    found = beats.heard_positions(down, np.ones((7, 64)))
    assert np.array_equal(np.flatnonzero(found == 1), np.arange(0, 64, counted))


def test_where_the_network_hears_nothing_nothing_is_followed():
    pulse = np.full((2, 2000), 0.02)
    assert beats.follow_pulse(pulse, nothing(pulse), np.tile(pulse[:1], (4, 1)), pulse[0], 0.0, 20.0) is None


def test_per_beat_confidence_falls_where_the_pulse_is_lost():
    pulse, _ = pulses(120, 4)
    pulse[:, int(15 * FRAME_RATE) :] = 0.01
    found = beats.follow_pulse(pulse, nothing(pulse), np.tile(pulse[:1], (4, 1)), pulse[0], 0.3, 29.9)
    assert found.per_beat[5] > 0.9 and found.per_beat[-5] < 0.1
    assert found.times[-1] > 29


def test_where_the_network_hardly_hears_the_beats_the_onsets_decide():
    """A pulse in bars of five over drums in four."""
    heard = features.spectra(band(0.5, 20.0))
    flux, activation = beats.onsets(heard)
    alone = beats.track(heard, flux, activation, 20.0)
    for height, as_alone in ((0.2, True), (0.8, False)):
        pulse, _ = pulses(120, 5, 20.0, height)
        pulse = np.pad(pulse, ((0, 0), (0, len(heard) - pulse.shape[1])))
        found = beats.track(heard, flux, activation, 20.0, pulse)
        assert np.array_equal(found.times, alone.times) == as_alone


def test_onsets_that_the_network_doubts_are_sure_only_where_both_find_the_same_beats(monkeypatch):
    heard = features.spectra(band(0.5, 20.0))
    flux, activation = beats.onsets(heard)
    alone = beats.track(heard, flux, activation, 20.0)
    flat = np.full((2, len(heard)), 0.02)
    for heard_by_network, confidence in ((alone, alone.confidence), (None, 0.0)):
        monkeypatch.setattr(beats, "follow_pulse", lambda *_, answer=heard_by_network: answer)
        found = beats.track(heard, flux, activation, 20.0, flat)
        assert np.array_equal(found.times, alone.times) and found.confidence == confidence
    shifted = replace(alone, times=alone.times + 0.1)
    assert beats.alike(alone, alone) and not beats.alike(alone, shifted)
    assert not beats.alike(alone, replace(alone, tempo=alone.tempo * 2))
