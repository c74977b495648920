"""Key and mood: what the harmony and the surface of a song suggest."""

from dataclasses import dataclass

import numpy as np

from mv.analysis.beats import Beats
from mv.analysis.features import FRAME_RATE, Spectra
from mv.schema import Mood

NOTES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
# How well each note fits a key, from its tonic on: Krumhansl and Kessler 1982.
MAJOR = np.array([6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88])
MINOR = np.array([6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17])


@dataclass(frozen=True)
class Key:
    """name such as "A minor", "" where nothing is tonal; brightness 0..1: how much more major than minor it fits."""

    name: str
    brightness: float


def find_key(heard: Spectra) -> Key:
    """Krumhansl-Schmuckler: the profile that correlates best with how long each note sounds."""
    loud = heard.chroma.sum(1)
    sounding = heard.chroma[loud > 1e-3 * max(float(loud.max(initial=0)), 1e-9)]
    if not len(sounding) or loud.max() < 1e-8:
        return Key("", 0.5)
    notes = np.sqrt(sounding / (sounding.sum(1, keepdims=True) + 1e-12)).mean(0)
    if notes.std() < 0.02 * notes.mean():
        return Key("", 0.5)
    fits = np.array([[np.corrcoef(np.roll(profile, k), notes)[0, 1] for k in range(12)] for profile in (MAJOR, MINOR)])
    mode, tonic = np.unravel_index(fits.argmax(), fits.shape)
    brightness = float(np.clip(0.5 + 2 * (fits[0].max() - fits[1].max()), 0, 1))
    return Key(f"{NOTES[tonic]} {('major', 'minor')[mode]}", brightness)


def judge(beats: Beats, key: Key, curves: dict[str, np.ndarray], activation: np.ndarray) -> Mood:
    """Proxies from tempo, density of onsets, loudness over time, brightness and mode, each 0..1, weighted by hand."""
    if curves["energy"].max() == 0:
        return Mood(arousal=0.0, valence=0.5)
    tempo = float(np.clip((beats.tempo - 60) / 110, 0, 1)) if beats.tempo else 0.2
    rising = (activation[1:-1] > 0.3) & (activation[1:-1] >= activation[:-2]) & (activation[1:-1] > activation[2:])
    density = float(np.clip(rising.sum() / (len(activation) / FRAME_RATE) / 8, 0, 1))  # 8 onsets a second is dense
    arousal = 0.4 * tempo + 0.3 * density + 0.3 * float(curves["energy"].mean())
    valence = 0.55 * key.brightness + 0.25 * tempo + 0.2 * float(curves["brightness"].mean())
    return Mood(arousal=round(arousal, 3), valence=round(valence, 3))
