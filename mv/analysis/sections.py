"""Form: where a new section begins, which sections repeat, what they are.

All of it is heard in bars, so boundaries are downbeats by construction. Boundaries come from two kinds of novelty: the
sound changes (Foote 2000, checkerboard kernel) or a repetition begins or ends (Serrà et al. 2014, structure features);
dynamic programming then prefers sections of 4, 8 or 16 bars, as songs do.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter, uniform_filter1d

from mv.analysis.beats import Beats, mean_between
from mv.analysis.features import CHROMA_HOP, FEATURE_RATE, FRAME_RATE, Spectra
from mv.schema import Section

MIN_SECONDS = 5.0
MAX_BARS = 40
# Likeness is a table of all bars by all bars. Above so many (twenty minutes at 120 beats a minute), two or four or
# more of them count as one.
MOST_BARS = 600
# What a section of so many bars costs: four, eight, sixteen are the usual lengths. Multiples of 4 beat other lengths.
USUAL = {4: 0.15, 8: 0.0, 12: 0.15, 16: 0.05, 20: 0.25, 24: 0.2, 32: 0.25}
UNUSUAL_EVEN, UNUSUAL_ODD, TOO_SHORT = 0.35, 0.5, 1.2
# A boundary has to stand out by this much (novelty is 0..1) to be worth another section.
LEAST_NOVELTY = 0.34
# Two sections are the same music when their bars agree this well, 1 = identical.
SAME = 0.72


@dataclass(frozen=True)
class Bars:
    """edges (m + 1,) seconds; harmony (m, 24) chroma of either half, unit length; timbre (m, 13) and level (m,) dB."""

    edges: np.ndarray
    harmony: np.ndarray
    timbre: np.ndarray
    level: np.ndarray

    def __len__(self) -> int:
        return len(self.edges) - 1


def find_sections(
    heard: Spectra, beats: Beats, energy: np.ndarray, voice: np.ndarray, duration: float
) -> list[Section]:
    """Sections that tile [0, duration). energy and voice on the curves' grid."""
    bars = listen_in_bars(heard, beats, duration)
    cuts = choose_boundaries(bars, similarity(bars)) if len(bars) >= 8 else []
    cuts = [cut for cut in cuts if 0.5 < bars.edges[cut] < duration - 2.0]
    edges = np.concatenate([[0.0], bars.edges[cuts], [duration]])
    repeats = find_repeats(bars, list(zip([0, *cuts], [*cuts, len(bars)])))
    energies = [_mean_over(energy, a, b) for a, b in pairwise(edges)]
    voices = [_mean_over(voice, a, b) for a, b in pairwise(edges)]
    labels = name_sections(energies, voices, repeats)
    return [
        Section(start=a, duration=b - a, label=label, repeat_of=repeat, form=letter, energy=round(e, 3))
        for a, b, label, repeat, letter, e in zip(
            edges.tolist(), edges[1:].tolist(), labels, repeats, form_letters(repeats), energies
        )
    ]


def _mean_over(curve: np.ndarray, start: float, end: float) -> float:
    first = min(int(start * FEATURE_RATE), len(curve) - 1)
    return float(np.clip(curve[first : max(int(end * FEATURE_RATE), first + 1)].mean(), 0, 1))


# ---------------------------------------------------------------- bars


def listen_in_bars(heard: Spectra, beats: Beats, duration: float) -> Bars:
    downbeats = beats.downbeats
    downbeats = downbeats[downbeats < duration - 0.5]
    grain = 1 << max(0, int(np.ceil(np.log2(max(len(downbeats), 1) / MOST_BARS))))
    edges = np.append(downbeats[::grain], duration)
    if len(edges) < 2:
        edges = np.array([0.0, duration])
    halves = np.sort(np.concatenate([edges, (edges[:-1] + edges[1:]) / 2]))
    chroma = mean_between(np.sqrt(heard.chroma), halves * FRAME_RATE / CHROMA_HOP)
    harmony = chroma.reshape(len(edges) - 1, 24)
    harmony = harmony / np.maximum(np.linalg.norm(harmony, axis=1, keepdims=True), 1e-6)
    mel = mean_between(np.log(heard.mel + 1e-4), edges * FRAME_RATE)
    timbre = fft.dct(mel, axis=1, norm="ortho")[:, 1:14]
    power = mean_between(10 ** (heard.loudness[:, None] / 10), edges * FRAME_RATE)[:, 0]
    return Bars(edges, harmony, timbre, 10 * np.log10(power + 1e-9))


def similarity(bars: Bars) -> np.ndarray:
    """(m, m) 0..1: how alike two bars are in harmony, timbre and level."""
    timbre = bars.timbre / (np.sqrt(bars.timbre.var(0).mean()) + 1.0)
    level = bars.level / max(bars.level.std(), 2.0)
    return (
        _affinity(_squared_distances(bars.harmony))
        + _affinity(_squared_distances(timbre))
        + 0.6 * _affinity(_squared_distances(level[:, None]))
    ) / 2.6


def _squared_distances(x: np.ndarray) -> np.ndarray:
    square = (x**2).sum(1)
    return np.maximum(square[:, None] + square[None] - 2 * x @ x.T, 0)


def _affinity(distances: np.ndarray) -> np.ndarray:
    return np.exp(-distances / max(float(np.median(distances)), 1e-2))


# ---------------------------------------------------------------- boundaries


def choose_boundaries(bars: Bars, alike: np.ndarray) -> np.ndarray:
    """Indices of the bars that begin a section, the first bar not among them."""
    worth = novelty(alike) - LEAST_NOVELTY
    bar_seconds = float(np.median(np.diff(bars.edges)))
    least = max(1, round(MIN_SECONDS / bar_seconds))
    m = len(bars)
    best, came_from = np.full(m + 1, -np.inf), np.zeros(m + 1, int)
    best[0] = 0
    for end in range(least, m + 1):
        gain = worth[end] if end < m else 0.0
        for start in range(max(0, end - MAX_BARS), end - least + 1):
            value = best[start] + gain - _length_cost(end - start, start == 0 or end == m)
            if value > best[end]:
                best[end], came_from[end] = value, start
    cuts, at = [], m
    while at > 0 and np.isfinite(best[at]):
        at = came_from[at]
        cuts.append(at)
    return np.array([cut for cut in cuts[::-1] if cut > 0], int)


def _length_cost(num_bars: int, at_the_rim: bool) -> float:
    """A pick-up or a fade makes the first and the last section of any length."""
    if num_bars in USUAL:
        return USUAL[num_bars] * 0.5
    cost = TOO_SHORT if num_bars < 3 else UNUSUAL_ODD if num_bars % 2 else UNUSUAL_EVEN
    return cost * (0.25 if at_the_rim else 0.5)


def novelty(alike: np.ndarray) -> np.ndarray:
    """(m,) 0..1: how much bar i looks like the beginning of something new."""
    sound = sum(_unit(_checkerboard(alike, reach)) for reach in (4, 8)) / 2
    return _unit(sound + 0.6 * _unit(_structure_change(alike)))


def _unit(x: np.ndarray) -> np.ndarray:
    x = np.maximum(x, 0)
    return x / max(float(np.percentile(x, 99)), 1e-9)


def _checkerboard(alike: np.ndarray, reach: int) -> np.ndarray:
    """Foote's kernel: likeness within the bars before and within those after, less likeness across."""
    offset = np.arange(-reach, reach) + 0.5
    kernel = np.exp(-0.5 * (offset / (0.5 * reach)) ** 2)
    kernel = np.outer(kernel * np.sign(offset), kernel * np.sign(offset))
    padded = np.pad(alike, reach, mode="reflect" if len(alike) > reach else "edge")
    windows = (padded[i : i + 2 * reach, i : i + 2 * reach] for i in range(len(alike)))
    return np.array([(window * kernel).sum() for window in windows]) / np.abs(kernel).sum()


def _structure_change(alike: np.ndarray) -> np.ndarray:
    """Serrà's structure features: row i tells at which lags bar i recurs; a step from row to row is a boundary."""
    m = len(alike)
    recurs = alike > np.quantile(alike, 0.85, axis=1, keepdims=True)
    lags = np.stack([np.roll(recurs[i], -i) for i in range(m)]).astype(float)
    lags[:, : min(4, m)] = 0  # neighbours are alike anyway
    smooth = gaussian_filter(lags, (2.0, 0.7), mode=("nearest", "wrap"))
    change = np.linalg.norm(np.diff(smooth, axis=0, prepend=smooth[:1]), axis=1)
    return change - uniform_filter1d(change, 16)


# ---------------------------------------------------------------- repetition and names


def find_repeats(bars: Bars, spans: list[tuple[int, int]]) -> list[int | None]:
    """For each section (first bar, end bar) the index of the first section with the same music, or None."""
    repeats: list[int | None] = []
    timbre = (bars.timbre - bars.timbre.mean(0)) / (np.sqrt(bars.timbre.var(0).mean()) + 1.0)
    # Less the song's mean, or the common key would make all chords alike.
    harmony = bars.harmony - bars.harmony.mean(0)
    harmony = harmony / np.maximum(np.linalg.norm(harmony, axis=1, keepdims=True), 0.1)
    for later, span in enumerate(spans):
        candidates = [(_agreement(harmony, timbre, spans[i], span), i) for i in range(later) if repeats[i] is None]
        best = max(candidates, default=(0.0, 0))
        repeats.append(best[1] if best[0] > SAME else None)
    return repeats


def _agreement(harmony: np.ndarray, timbre: np.ndarray, one: tuple[int, int], other: tuple[int, int]) -> float:
    """0..1: bar-by-bar likeness of two sections, the shorter laid at the best of a few places in the longer."""
    (a, b), (c, d) = sorted([one, other], key=lambda span: span[1] - span[0])
    length = b - a
    if length < 2 or length < 0.4 * (d - c):
        return 0.0
    likeness = []
    for start in range(c, d - length + 1):
        there = slice(start, start + length)
        chords = (harmony[a:b] * harmony[there]).sum() / length
        sound = np.exp(-((timbre[a:b].mean(0) - timbre[there].mean(0)) ** 2).mean())
        likeness.append(0.7 * chords + 0.3 * sound)
    return float(max(likeness))


def form_letters(repeats: list[int | None]) -> list[str]:
    """A, B, A' ...: a letter for each music in the order it is first heard, a prime for each time it came before."""
    letters: dict[int, str] = {}
    times: dict[int, int] = {}
    form = []
    for i, repeat in enumerate(repeats):
        first = i if repeat is None else repeat
        # Past Z a number: A2, B2 ...
        turn, place = divmod(len(letters), 26)
        letters.setdefault(first, chr(ord("A") + place) + (str(turn + 1) if turn else ""))
        form.append(letters[first] + "'" * times.get(first, 0))
        times[first] = times.get(first, 0) + 1
    return form


def name_sections(energies: list[float], voices: list[float], repeats: list[int | None]) -> list[str]:
    """Labels by place, loudness, singing and repetition. The chorus is the repeated music that is loudest."""
    n = len(energies)
    if n == 1:
        return ["verse"]
    energy, voice = np.array(energies), np.array(voices)
    group = np.array([i if repeat is None else repeat for i, repeat in enumerate(repeats)])
    sung = voice.max() > 0.3
    labels = ["verse"] * n
    chorus = _chorus_group(energy, voice if sung else voice * 0, group)
    for i in range(n):
        labels[i] = _name(i, energy, voice, group, chorus, sung)
    labels[0] = _opening(energy, voice, group, chorus, sung)
    if n > 2 or energy[-1] < 0.7 * energy[0]:
        labels[-1] = _closing(energy, voice, group, chorus, sung)
    if n > 3 and labels[-1] == "outro" and energy[-1] < 0.3 and labels[-2] in ("break", "bridge"):
        labels[-2] = "outro"  # what follows is only the last chord dying away
    return labels


def _chorus_group(energy: np.ndarray, voice: np.ndarray, group: np.ndarray) -> int:
    """The music with the most of: loudness, singing, coming back."""

    def weight(g: int) -> float:
        members = group == g
        return energy[members].mean() + 0.4 * voice[members].mean() + 0.25 * min(members.sum() - 1, 2)

    return max(sorted(set(group.tolist())), key=weight)


def _name(i: int, energy: np.ndarray, voice: np.ndarray, group: np.ndarray, chorus: int, sung: bool) -> str:
    comes_back = (group == group[i]).sum() > 1
    if group[i] == chorus:
        rises = i > 0 and energy[i] > energy[i - 1] + 0.25
        return "drop" if rises and sung and voice[i] < 0.15 else "chorus"
    if energy[i] < np.median(energy) - 0.25 and not comes_back:
        return "break"
    if sung and voice[i] < 0.2:
        return "break" if energy[i] < np.median(energy) else "bridge"
    return "verse" if comes_back or i < 0.6 * len(energy) else "bridge"


def _opening(energy: np.ndarray, voice: np.ndarray, group: np.ndarray, chorus: int, sung: bool) -> str:
    if sung:
        if voice[0] < 0.6 * np.median(voice) or voice[0] < 0.2:
            return "intro"
        return "chorus" if group[0] == chorus else "verse"
    return "chorus" if group[0] == chorus and energy[0] > 0.6 else "intro"


def _closing(energy: np.ndarray, voice: np.ndarray, group: np.ndarray, chorus: int, sung: bool) -> str:
    if group[-1] == chorus and energy[-1] > 0.7 * energy[group == chorus].mean() and (not sung or voice[-1] > 0.3):
        return "chorus"
    return "outro"
