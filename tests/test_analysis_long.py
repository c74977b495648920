"""What keeps an hour of music within memory: blocks that change nothing, and bars that are counted together."""

import numpy as np
import pytest

from mv.analysis import beats, features
from mv.analysis.beats import Beats
from mv.analysis.features import FRAME_RATE, N_BASS, N_MELS, SR, Spectra
from mv.analysis.sections import MOST_BARS, listen_in_bars


def random_spectra(t):
    rng = np.random.default_rng(0)
    columns = ((t, N_BASS), (t, N_MELS), (t, 3), (-(-t // features.CHROMA_HOP), 12))
    return Spectra(*(rng.random(shape, np.float32) for shape in columns))


def grid(count, gap):
    times = np.arange(count) * gap
    return Beats(times, np.arange(count) % 4 + 1, 60 / gap, 1.0, np.ones(count))


def test_stereo_is_heard_as_its_mean_without_a_copy_of_the_whole():
    y = 0.1 * np.random.default_rng(0).standard_normal((3 * SR, 2)).astype(np.float32)
    stereo, mono = features.spectra(y), features.spectra(y.mean(1))
    for name in ("bass", "mel", "power", "chroma"):
        np.testing.assert_allclose(getattr(stereo, name), getattr(mono, name), rtol=1e-3, atol=1e-7)
    assert len(stereo.chroma) == -(-len(stereo.mel) // features.CHROMA_HOP)


def test_onsets_do_not_depend_on_the_block(monkeypatch):
    heard = random_spectra(3000)
    flux, activation = beats.onsets(heard)
    monkeypatch.setattr(beats, "BLOCK", 197)
    again, same = beats.onsets(heard)
    np.testing.assert_allclose(again, flux, atol=1e-5)
    np.testing.assert_allclose(same, activation, atol=1e-5)


@pytest.mark.parametrize(("bars", "grain"), [(100, 1), (600, 1), (640, 2), (2300, 4)])
def test_bars_of_a_very_long_song_are_counted_together(bars, grain):
    """Likeness is a table of bars by bars: it may not grow with the square of an hour."""
    found = grid(4 * bars, 0.02)
    duration = 4 * bars * 0.02
    heard = random_spectra(int(duration * FRAME_RATE) + 1)
    together = listen_in_bars(heard, found, duration)
    assert len(together) <= MOST_BARS + 1
    np.testing.assert_allclose(np.diff(together.edges)[:-1], grain * 0.08)
