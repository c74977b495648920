"""A song → everything the film needs to know about it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mv.schema import CURVES, Analysis


def analyze(song: str | Path, on_progress: Callable[[float, str], None] | None = None) -> Analysis:
    """Hear a song of 1 s to 1 h. Raises AudioError, which says what is wrong with the file.

    on_progress(share 0..1, what is being done). The whole song is heard at 22 050 Hz, so memory stays small, but
    `duration` is that of the file: decoded samples / sample rate, exactly.
    """
    from mv.analysis import beats, features, mood, sections, voice
    from mv.audio import mono, read_audio

    report = on_progress or (lambda share, what: None)

    report(0.0, "decoding")
    audio = read_audio(song, features.SR, lambda share: report(0.3 * share, "decoding"))
    y = mono(audio)

    report(0.3, "computing spectra")
    heard = features.spectra(y)

    report(0.55, "finding beats")
    flux, activation = beats.onsets(heard)
    found = beats.track(heard, flux, activation, audio.duration)

    report(0.75, "listening for a voice")
    singing, mouth = voice.singing(audio.samples)
    curves = {**features.curves(heard, activation), "voice": singing, "mouth": mouth}

    report(0.9, "finding sections")
    parts = sections.find_sections(heard, found, curves["energy"], singing, audio.duration)
    key = mood.find_key(heard)

    report(1.0, "done")
    return Analysis(
        title=audio.title,
        duration=audio.duration,
        tempo=round(found.tempo, 3),
        tempo_confidence=round(found.confidence, 3),
        beats=_rounded(found.times),
        downbeats=_rounded(found.downbeats),
        sections=parts,
        key=key.name,
        mood=mood.judge(found, key, curves, activation),
        feature_rate=features.FEATURE_RATE,
        features={name: _rounded(curves[name]) for name in CURVES},
        notes=[*audio.notes, *_notes(found, curves)],
    )


def _rounded(values: np.ndarray) -> list[float]:
    """Three decimals: a millisecond, a thousandth. Keeps the JSON small."""
    return np.round(values.astype(float), 3).tolist()


def _notes(found, curves: dict[str, np.ndarray]) -> list[str]:
    if curves["energy"].max() == 0:
        return ["the song is silent; an even grid of 120 beats per minute was invented for cutting"]
    if found.tempo == 0:
        return ["no beat was found; an even grid of 120 beats per minute was invented for cutting"]
    return []
