import importlib.util
from pathlib import Path

import numpy as np
import pytest

from mv.analysis.features import FEATURE_RATE, SR
from mv.analysis.mouth import opening, openness
from mv.analysis.voice import CLUES, clues, listen_to_middle, singing, spread, weights

ROOT = Path(__file__).parents[1]


def sound(pitch, formants=None, seconds=8.0):
    """Twenty partials of a pitch (Hz, or (n,)), weighted by (centre, width) formants in Hz if given."""
    pitch = np.broadcast_to(pitch, int(seconds * SR))
    phase = 2 * np.pi * np.cumsum(pitch) / SR
    y = np.zeros(len(pitch))
    for k in range(1, 21):
        gain = sum(1 / (1 + ((k * pitch - centre) / width) ** 2) for centre, width in formants) if formants else 1 / k
        y += gain * np.sin(k * phase)
    return (0.3 * y / np.abs(y).max()).astype(np.float32)


def singer(rng, seconds=16.0, rest=()):
    """Syllables of changing vowels on a gliding, trembling pitch; silent in the rests (start, end)."""
    vowels = [((850, 90), (1350, 110)), ((330, 70), (2650, 130)), ((540, 80), (930, 100))]
    t = np.arange(int(seconds * SR)) / SR
    steps = np.repeat(rng.choice([0, 2, 4, 5, 7], int(seconds / 0.4) + 1), int(0.4 * SR))[: len(t)]
    smooth = np.convolve(np.pad(steps, 2000, mode="edge"), np.ones(4001) / 4001, "valid")
    pitch = 220 * 2 ** ((smooth + 0.3 * np.sin(2 * np.pi * 5.5 * t)) / 12)
    y = np.zeros(len(t), np.float32)
    for i, vowel in enumerate(vowels):
        y += sound(pitch, vowel, seconds) * ((t / 0.4).astype(int) % 3 == i)
    y *= np.clip(4 * np.sin(np.pi * (t / 0.4 % 1)), 0, 1)
    for start, end in rest:
        y[int(start * SR) : int(end * SR)] = 0
    return y


def test_a_singer_is_heard_over_a_band_and_shuts_the_mouth_between_phrases():
    rng = np.random.default_rng(0)
    band = np.stack([sound(110, seconds=16), sound(165, seconds=16)], 1) * 0.3  # hard left and hard right
    voice, mouth = singing(band + singer(rng, rest=[(6, 10)])[:, None])
    times = np.arange(len(voice)) / FEATURE_RATE
    sung, rests = (times < 5.5) | (times > 10.5), (times > 6.7) & (times < 9.3)
    assert voice[sung].mean() > 0.8 > 0.1 > voice[rests].mean()
    assert mouth[sung].max() > 0.5 and (mouth[rests] == 0).all()
    assert (mouth[voice <= 0.5] == 0).all()


@pytest.mark.parametrize("width", [1, 2])
def test_held_chords_are_no_voice(width):
    roots = np.repeat(110 * 2 ** (np.array([0, 5, 7, 3]) / 12), int(4 * SR))
    chords = sum(sound(roots * ratio, seconds=16.0) for ratio in (1, 1.26, 1.5, 2)) / 4
    voice, mouth = singing(np.repeat(chords[:, None], width, 1))
    assert (voice > 0.5).mean() < 0.1 and mouth.mean() < 0.05


def test_silence_and_next_to_nothing_have_no_voice():
    for n in (1, SR // 2, SR):
        voice, mouth = singing(np.zeros((n, 2), np.float32))
        assert len(voice) == len(mouth) == 1 + n // 512
        assert voice.max() == mouth.max() == 0


def test_clues_have_their_names_and_weights():
    found = clues(listen_to_middle(singer(np.random.default_rng(1), 4.0)[:, None]))
    assert found.shape[1] == len(CLUES) == len(weights()["weight"])
    assert np.isfinite(found).all() and (weights()["scale"] > 0).all()
    assert weights()["weight"][CLUES.index("gliding")] > 0


def test_spread_is_the_standard_deviation_around_each_moment():
    x = np.random.default_rng(0).standard_normal((400, 2))
    width = int(0.8 * FEATURE_RATE)
    middle = slice(200 - width // 2, 200 - width // 2 + width)
    np.testing.assert_allclose(spread(x)[200], x[middle].std(0), rtol=1e-9)


def test_a_wide_vowel_drops_the_jaw_further_than_a_close_one():
    frequencies = np.arange(1025) * SR / 2048
    wide, close = (np.exp(-(((frequencies - first) / 100) ** 2))[None] for first in (850, 330))
    assert openness(wide, frequencies)[0] > 0.9 and openness(close, frequencies)[0] < 0.1
    level, sings = np.full(200, -20.0), np.ones(200)
    assert opening(sings, level, np.ones(200)).mean() > 2 * opening(sings, level, np.zeros(200)).mean() > 0


def test_the_mouth_stays_shut_outside_of_singing():
    voice = np.repeat([0.0, 1.0, 0.5, 1.0], 60)
    shown = opening(voice, np.full(240, -20.0), np.ones(240))
    assert (shown[voice <= 0.5] == 0).all() and shown[voice > 0.5].max() == 1


def test_the_fit_separates_what_can_be_separated():
    spec = importlib.util.spec_from_file_location("listening", ROOT / "bench" / "listening.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    truth = np.array([False, True, False, True])
    assert bench.auc(np.array([0.1, 0.9, 0.2, 0.8]), truth) == 1
    assert bench.auc(np.array([0.5, 0.5, 0.5, 0.5]), truth) == 0.5
