"""When each word of a known text is sung: forced alignment with the letters a CTC model hears (Graves et al. 2006)."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mv.errors import InputError
from mv.schema import Analysis, LyricLine, LyricWord

MOST_CELLS = 600_000_000  # frames x states that are searched: a byte each
NOBODY_SINGS = 4.0  # log-odds against letters where the analysis hears no voice at all


@dataclass(frozen=True)
class Letters:
    """What a CTC model heard: log_probs (t, v), frames a second, index of the blank and of each letter."""

    log_probs: np.ndarray
    rate: float
    blank: int
    index: dict[str, int]


def align(lines: list[str], letters: Letters, analysis: Analysis) -> list[LyricLine]:
    """The lines with times, and of their words; a line none of whose letters the model knows is left out.

    Raises InputError where the text cannot be what is sung: nothing the model can read, or too long for the song.
    """
    words = [(number, word) for number, line in enumerate(lines) for word in line.split()]
    spelled = [spell(word, letters.index) for _, word in words]
    tokens = np.array([token for word in spelled for token in word], int)
    if not len(tokens):
        raise InputError("lyrics: the speech model knows none of the letters of this text; is it of another language?")
    spans = find_spans(quieted(letters, analysis), tokens, letters.blank) / letters.rate
    edges = np.cumsum([0, *(len(word) for word in spelled)])
    timed = [(float(spans[a, 0]), float(spans[b - 1, 1])) if b > a else None for a, b in pairwise(edges)]
    made = []
    for number, line in enumerate(lines):
        inside = [
            LyricWord(start=time[0], end=min(max(time[1], time[0] + 0.02), analysis.duration), text=word)
            for (of, word), time in zip(words, timed)
            if of == number and time and time[0] < analysis.duration - 0.02
        ]
        if inside:
            made.append(LyricLine(start=inside[0].start, end=inside[-1].end, text=" ".join(line.split()), words=inside))
    return made


def spell(word: str, index: dict[str, int]) -> list[int]:
    """Tokens of the letters the model knows, in whatever case it writes them."""
    found = (next((index[form] for form in (c, c.lower(), c.upper()) if form in index), None) for c in word)
    return [token for token in found if token is not None]


def quieted(letters: Letters, analysis: Analysis) -> np.ndarray:
    """(t, v): letters made unlikely where nobody sings, so that words are not found in guitars."""
    times = np.arange(len(letters.log_probs)) / letters.rate
    voice = np.interp(times * analysis.feature_rate, np.arange(len(voices := analysis.features["voice"])), voices)
    against = NOBODY_SINGS * (1 - voice)[:, None] * np.ones(letters.log_probs.shape[1])
    against[:, letters.blank] = 0
    return letters.log_probs - against


def find_spans(log_probs: np.ndarray, tokens: np.ndarray, blank: int) -> np.ndarray:
    """(n, 2) first and end frame of each token (n,) on the most likely path; log_probs (t, v).

    Viterbi over blank, token, blank, token, ... blank. Raises InputError where the frames do not suffice.
    """
    t, n = len(log_probs), len(tokens)
    states = np.full(2 * n + 1, blank)
    states[1::2] = tokens
    repeats = np.zeros(len(states), bool)
    repeats[3::2] = tokens[1:] == tokens[:-1]
    if n + repeats.sum() > t or t * len(states) > MOST_CELLS:
        raise InputError(f"lyrics: {n} letters cannot be aligned with {t} frames of song; give only what is sung")
    leap = np.zeros(len(states), bool)  # a token may follow the one before at once, unless it is the same
    leap[3::2] = ~repeats[3::2]
    score = np.full(len(states), -np.inf)
    score[:2] = log_probs[0, states[:2]]
    came_from = np.zeros((t, len(states)), np.int8)
    for frame in range(1, t):
        stay, step, jump = score, np.full_like(score, -np.inf), np.full_like(score, -np.inf)
        step[1:] = score[:-1]
        jump[2:] = np.where(leap[2:], score[:-2], -np.inf)
        options = np.stack([stay, step, jump])
        came_from[frame] = options.argmax(0)
        score = options.max(0) + log_probs[frame, states]
    state = len(states) - 1 - int(score[-2] > score[-1])
    path = np.empty(t, int)
    for frame in range(t - 1, -1, -1):
        path[frame] = state
        state -= came_from[frame, state]
    token_states = np.arange(1, 2 * n, 2)  # the path only rises
    return np.stack([np.searchsorted(path, token_states, side) for side in ("left", "right")], 1)
