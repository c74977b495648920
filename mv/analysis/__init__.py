"""A song → everything the film needs to know about it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mv.schema import CURVES, Analysis
from mv.timing import clock

if TYPE_CHECKING:
    from mv.analysis.beats import Beats

UNSURE = 0.4  # confidence of the song below which the listener is told to check the beat
# Of single beats: in dense metal whose beats are all right many score as low as 0.2. Seconds; more passages than this
# say nothing one can act on.
UNSURE_BEAT, LEAST_PASSAGE, MOST_PASSAGES = 0.1, 8.0, 5


def analyze(song: str | Path, on_progress: Callable[[float, str], None] | None = None) -> Analysis:
    """Hear a song of 1 s to 1 h. Raises AudioError, which says what is wrong with the file.

    on_progress(share 0..1, what is being done). The whole song is heard at 22 050 Hz, so memory stays small, but
    `duration` is that of the file: decoded samples / sample rate, exactly.
    """
    from mv.analysis import beats, dynamics, features, mood, network, sections, voice
    from mv.audio import read_audio

    report = on_progress or (lambda share, what: None)

    report(0.0, "decoding")
    audio = read_audio(song, features.SR, lambda share: report(0.3 * share, "decoding"))

    report(0.3, "computing spectra")
    heard = features.spectra(audio.samples)

    report(0.55, "listening for a voice")
    singing, mouth = voice.singing(audio.samples)
    title, duration, mended = audio.title, audio.duration, audio.notes
    del audio  # of an hour the samples take most of the memory

    report(0.75, "finding beats")
    flux, activation = beats.onsets(heard)
    found = beats.track(heard, flux, activation, duration, network.activations(network.load(), heard))
    curves = {**features.curves(heard, activation), "voice": singing, "mouth": mouth}

    report(0.9, "finding sections")
    parts = sections.find_sections(heard, found, curves["energy"], singing, duration)
    key = mood.find_key(heard)
    accents = dynamics.accents(dynamics.decompose(heard, found))

    report(1.0, "done")
    return Analysis(
        title=title,
        duration=duration,
        tempo=round(found.tempo, 3),
        tempo_confidence=round(found.confidence, 3),
        beats=_rounded(found.times),
        downbeats=_rounded(found.downbeats),
        beat_confidence=_rounded(found.per_beat),
        sections=parts,
        events=dynamics.find_events(heard, found),
        accents=_rounded(accents[accents < duration]),
        key=key.name,
        mood=mood.judge(found, key, curves, activation),
        feature_rate=features.FEATURE_RATE,
        features={name: _rounded(curves[name]) for name in CURVES},
        notes=[*mended, *_notes(found, curves)],
    )


def _rounded(values: np.ndarray) -> list[float]:
    """Three decimals: a millisecond, a thousandth. Keeps the JSON small."""
    return np.round(values.astype(float), 3).tolist()


def _notes(found: "Beats", curves: dict[str, np.ndarray]) -> list[str]:
    if curves["energy"].max() == 0:
        return ["the song is silent; an even grid of 120 beats per minute was invented for cutting"]
    if found.tempo == 0:
        return ["no beat was found; an even grid of 120 beats per minute was invented for cutting"]
    notes = []
    if found.confidence < UNSURE:
        notes.append(
            f"the beat is a guess (confidence {found.confidence:.2f}): "
            f"{found.tempo:.0f} beats per minute could be {found.tempo / 2:.0f} or {found.tempo * 2:.0f}"
        )
    passages = [f"{clock(start)} to {clock(end)}" for start, end in _unsure(found)]
    if passages and len(passages) <= MOST_PASSAGES:
        notes.append(f"the beat is a guess from {', '.join(passages)}")
    return notes


def _unsure(found: "Beats") -> list[tuple[float, float]]:
    """(start, end) in seconds where every beat is less sure than UNSURE_BEAT, for at least LEAST_PASSAGE."""
    steps = np.diff((found.per_beat < UNSURE_BEAT).astype(int), prepend=0, append=0)
    last = len(found.times) - 1
    spans = zip(np.flatnonzero(steps == 1), np.minimum(np.flatnonzero(steps == -1), last))
    spans = [(float(found.times[a]), float(found.times[b])) for a, b in spans]
    return [(start, end) for start, end in spans if end - start >= LEAST_PASSAGE]
