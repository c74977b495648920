"""The weights by which the analysis without its network finds the phase of the beat and the bars, from composed music.

The weights are shipped, so everything they are made from is free to use: notes and plain sounds come from our own code
(Apache-2.0), the others from FluidR3_GM (MIT, Frank Wen; Debian's fluid-soundfont-gm). Other soundfonts, often GPL or
CC-BY-SA, serve only for measuring. The file of weights names the sounds it was fitted on.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from mv.analysis import beats, metre
from mv.analysis.bar_pointer import decode, on_off, on_peaks
from mv.analysis.features import FRAME_RATE, Spectra, spectra
from mv.errors import InputError
from mv.schema import write_atomically
from mv.train.composer import METRES, Piece, metronome
from mv.train.orchestra import PLAIN, instruments, play, recording

FIRST_SEED = 20000  # pieces below are kept for measuring, see bench/listening.py
SECONDS = 36.0  # of a piece
# Of the sounds that weights may be fitted on.
LICENCES = {PLAIN: "Apache-2.0", "FluidR3_GM": "MIT", "MuseScore_General_Full": "MIT"}
CLICKED = ("2/4", "3/4", "4/4", "5/4")
TOLERANCE = 0.07  # seconds by which a right beat may miss
RIGHT = 0.8  # F measure from which beats are the true ones
BAR_RIDGE, PHASE_RIDGE = 30.0, 3.0  # what did best on left-out pieces
DECIMALS = 4


@dataclass(frozen=True)
class Lesson:
    """One piece. rows (c, t): its channels; tracked (n,) and true (m,) beats in audio frames; which of PHASES and of
    BARS are right, right_phase (4,) bool."""

    rows: np.ndarray
    tracked: np.ndarray
    true: np.ndarray
    right_phase: np.ndarray
    right_bar: int


def licensed_instruments() -> list[str]:
    """Those of this machine that LICENCES names: PLAIN, and paths of soundfonts."""
    return [i for i in instruments() if Path(i).stem in LICENCES]


def compose_lessons(folder: Path, count: int, on_piece: Callable[[int], None] = lambda done: None) -> list[Lesson]:
    """The lessons of `count` pieces, each written once as folder/<sounds>/<seed>.npz, and of metronomes."""
    among = licensed_instruments()
    folder = folder / "+".join(Path(i).stem for i in among)  # a piece played on other sounds is another lesson
    folder.mkdir(parents=True, exist_ok=True)
    lessons = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        file = folder / f"{seed}.npz"
        if not file.exists():
            piece, samples = recording(seed, SECONDS, among)
            write_lesson(file, lesson(piece, spectra(samples.mean(1))))
        with np.load(file) as stored:
            lessons.append(_read(stored))
        on_piece(seed - FIRST_SEED + 1)
    return [*lessons, *metronome_lessons()]


def _read(stored: dict) -> Lesson:
    return Lesson(**{**stored, "rows": stored["rows"].astype(np.float32), "right_bar": int(stored["right_bar"])})


def metronome_lessons() -> list[Lesson]:
    """Clicks of every metre: nothing but the accent tells where a bar begins."""
    pieces = [metronome(tempo, name) for name in CLICKED for tempo in range(60, 201, 20)]
    return [lesson(piece, spectra(play(piece, PLAIN).mean(1))) for piece in pieces]


def write_lesson(file: Path, made: Lesson) -> None:
    temporary = file.with_suffix(".part")
    with open(temporary, "wb") as opened:
        np.savez(opened, **vars(made) | {"rows": made.rows.astype(np.float16)})
    os.replace(temporary, file)


def lesson(piece: Piece, heard: Spectra) -> Lesson:
    """What the tracker does at the true tempo; it may well sit between the beats."""
    flux, activation = beats.onsets(heard)
    gaps = np.diff(piece.beats) * FRAME_RATE
    span = np.arange(int(gaps.min() / 1.05), int(np.ceil(gaps.max() * 1.05)) + 1)
    tracked = on_peaks(decode(on_off(activation), span, np.ones(len(span))), activation)
    moved = tracked + np.outer(metre.PHASES, np.diff(tracked, append=2 * tracked[-1] - tracked[-2]))
    right = [agreement(piece.beats, one / FRAME_RATE - beats.LATENCY) > RIGHT for one in moved]
    return Lesson(
        rows=metre.channels(heard, flux, activation),
        tracked=tracked,
        true=(piece.beats + beats.LATENCY) * FRAME_RATE,
        right_phase=np.array(right),
        right_bar=metre.BARS.index((METRES[piece.metre].beats, int(np.flatnonzero(piece.positions == 1)[0]))),
    )


def agreement(truth: np.ndarray, found: np.ndarray) -> float:
    """F measure of beats in seconds, each (n,), within TOLERANCE and within the stretch where any were found."""
    truth = truth[(truth > found[0] - 0.2) & (truth < found[-1] + 0.2)]
    if not len(truth):
        return 0.0
    distance = np.abs(truth[:, None] - found[None])
    hits = min((distance.min(1) < TOLERANCE).sum(), (distance.min(0) < TOLERANCE).sum())
    return float(2 * hits / (len(truth) + len(found)))


# ---------------------------------------------------------------- fitting


def fit(lessons: list[Lesson]) -> metre.Weights:
    """Bars first, on true beats; then phases, which see how clear their bars are."""
    rights = [np.arange(len(metre.BARS)) == one.right_bar for one in lessons]
    bars = [metre.bar_clues(metre.at(one.rows, one.true)) for one in lessons]
    bar = choose_weights(list(zip(bars, rights)), BAR_RIDGE)
    tracked = [one for one in lessons if one.right_phase.any()]
    if not tracked:
        raise InputError("beats: the tracker followed none of the pieces in any phase; compose more of them")
    phases = [(metre.phase_clues(one.rows, one.tracked, bar), one.right_phase) for one in tracked]
    return metre.Weights(choose_weights(phases, PHASE_RIDGE), bar)


def choose_weights(songs: list[tuple[np.ndarray, np.ndarray]], ridge: float) -> np.ndarray:
    """(k,): conditional logistic regression. songs: (clues (n, k), which are right (n,) bool), one choice a song."""
    x = np.concatenate([clues - clues.mean(0) for clues, _ in songs])
    right = np.concatenate([right for _, right in songs])
    starts = np.cumsum([0, *(len(clues) for clues, _ in songs[:-1])])
    song = np.repeat(np.arange(len(songs)), [len(clues) for clues, _ in songs])
    assert np.isfinite(x).all()
    scale = x.std(0) + 1e-3
    x = x / scale

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        score = x @ w
        odds = np.exp(score - np.maximum.reduceat(score, starts)[song])
        whole, share = np.add.reduceat(odds, starts), np.add.reduceat(odds * right, starts) + 1e-300
        slope = x.T @ (odds / whole[song] - odds * right / share[song])
        return np.log(whole / share).sum() + ridge / 2 * w @ w, slope + ridge * w

    return minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x / scale


def write_weights(found: metre.Weights, target: Path) -> None:
    """JSON: which sounds of this machine the weights were fitted on with their licences, then the weights."""
    sounds = {Path(i).stem: LICENCES[Path(i).stem] for i in licensed_instruments()}
    table = {"sounds": sounds, "phase": found.phase.round(DECIMALS).tolist(), "bar": found.bar.round(DECIMALS).tolist()}
    write_atomically(target, (json.dumps(table, indent=1) + "\n").encode())
