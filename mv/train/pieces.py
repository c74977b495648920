"""What the beat network learns from: composed pieces as spectra, drums and all the rest apart, so they can be mixed.

One file a piece, folder/<sounds>/<seed>.npz. A piece whose file is there is not composed again.
"""

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mv.analysis.features import SR, spectra
from mv.analysis.network import bands
from mv.train.composer import Piece, compose
from mv.train.orchestra import stems

FIRST_SEED = 50000  # other pieces than those measured on and those the weights of the metre are fitted on
SECONDS = 36.0  # of a piece
CLICKED = 12  # to so many pieces there is one of plain clicks
QUIETEST = -14.0  # natural logarithm of a magnitude that counts as silence


@dataclass(frozen=True)
class Lesson:
    """A piece of t network frames. bands (2, t, BANDS) and chroma (2, t, 12): logarithms of the magnitudes and of the
    power, of drums and of the rest; beats (n,) seconds; positions (n,) in the bar, 1 = downbeat."""

    bands: np.ndarray
    chroma: np.ndarray
    beats: np.ndarray
    positions: np.ndarray


def chosen_seeds(count: int) -> list[int]:
    """From FIRST_SEED on those of all pieces in other metres than 4/4, and of every other one in 4/4: bars of two and
    three are rare, and what is rarely heard is rarely learned."""
    seeds = (seed for seed in itertools.count(FIRST_SEED) if seed % 2 == 0 or compose(seed, SECONDS).metre != "4/4")
    return list(itertools.islice(seeds, count))


def compose_lessons(
    folder: Path, seeds: Sequence[int], among: list[str], on_piece: Callable[[int], None] = lambda done: None
) -> list[Path]:
    """The files of these pieces, each played on one of `among`, and of clicks, one to CLICKED pieces; composes those
    that are missing."""
    folder = folder / "+".join(Path(instrument).stem for instrument in among)
    folder.mkdir(parents=True, exist_ok=True)
    made = [(folder / f"{seed}.npz", lambda seed=seed: lesson(compose(seed, SECONDS), among[seed % len(among)]))
            for seed in seeds]  # fmt: skip
    made += [(folder / f"click{seed}.npz", lambda seed=seed: clicks(seed)) for seed in seeds[::CLICKED]]
    for done, (file, make) in enumerate(made, 1):
        if not file.exists():
            write_lesson(file, make())
        on_piece(done)
    return [file for file, _ in made]


def lesson(piece: Piece, instrument: str) -> Lesson:
    return _as_lesson(stems(piece, instrument), piece.beats, piece.positions)


def _as_lesson(sounds: list[np.ndarray], beats: np.ndarray, positions: np.ndarray) -> Lesson:
    """sounds: of drums and of the rest, as `spectra` takes them."""
    heard = [bands(spectra(y)) for y in sounds]
    loud = np.log(np.maximum([one.magnitudes for one in heard], np.exp(QUIETEST)))
    chroma = np.log(np.maximum([one.chroma for one in heard], np.exp(2 * QUIETEST)))
    return Lesson(loud, chroma, beats, positions)


def clicks(seed: int) -> Lesson:
    """A metronome: short tones, the first of each bar higher or louder or both; nothing else tells the bar."""
    rng = np.random.default_rng([seed, 2])
    tempo, metre = float(np.exp(rng.uniform(*np.log((55, 210))))), int(rng.choice([2, 3, 3, 4, 4, 5]))
    beats = np.arange(rng.uniform(0.1, 0.8), SECONDS - 0.3, 60 / tempo)
    positions = np.arange(len(beats)) % metre + 1
    t = np.arange(int(0.12 * SR)) / SR
    pitch, fall = rng.uniform(600, 2500), rng.uniform(0.006, 0.03)
    higher, louder = rng.choice([(1.5, 1.0), (1.0, 2.0), (1.5, 2.0), (1.34, 1.5)])
    y = np.zeros(int(SECONDS * SR), np.float32)
    for beat, position in zip(beats, positions):
        frequency, loud = (pitch * higher, louder) if position == 1 else (pitch, 1.0)
        start = int(beat * SR)
        tone = 0.2 * loud * np.sin(2 * np.pi * frequency * t) * np.exp(-t / fall)
        y[start : start + len(t)] += tone[: len(y) - start]
    return _as_lesson([y, np.zeros_like(y)], beats, positions)


def write_lesson(file: Path, made: Lesson) -> None:
    temporary = file.with_suffix(".part")
    with open(temporary, "wb") as opened:
        halves = {"bands": made.bands.astype(np.float16), "chroma": made.chroma.astype(np.float16)}
        np.savez(opened, **vars(made) | halves)
    os.replace(temporary, file)


def read_lesson(file: Path) -> Lesson:
    with np.load(file) as stored:
        return Lesson(**stored)
