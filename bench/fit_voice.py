"""Fits the weights of the voice detector: python bench/fit_voice.py --music DIR [--write].

Truth: songs of DIR with vocals.txt (human singing times), its midi renders (nobody sings), the example song (sung from
its first verse to its last chorus), and the midi renders again with the example song's synthetic singer mixed in at
exactly known times, her voice made lower and darker. Each song counts alike, in stereo and as mono.

Tried and left out: synthetic solos as more music without singing (the pooled AUC falls from 0.92 to 0.82).

Prints leave-one-song-out figures: the song, and its twin with the singer mixed in, are never in their own training
set. --write fits on everything and writes mv/analysis/voice.json.
"""

import argparse
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from listening import auc
from scipy.ndimage import binary_closing, uniform_filter1d

from mv.analysis.features import CURVE_HOP, FEATURE_RATE, HOP, SR
from mv.analysis.voice import CLUES, SPREAD_SECONDS, clues, listen_to_middle
from mv.audio import read_audio

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "mv" / "analysis" / "voice.json"
EVERY = 8  # clues are means over half a second: neighbours tell nothing new
RIDGE = 1000.0  # weight of the penalty on squared weights; a few songs must not decide everything
# Pitch in semitones and formants as a share of the example's singer, one per midi render.
SINGERS = ((-9, 0.82), (0, 1.0), (-5, 0.9))
BREATH = 0.6  # seconds: shorter gaps between notes count as singing


@dataclass(frozen=True)
class Song:
    """x (t, clues) and y (t,), whether somebody sings; `group`: songs that share their music."""

    name: str
    group: str
    x: np.ndarray
    y: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--music", type=Path, required=True)
    parser.add_argument("--write", action="store_true")
    wishes = parser.parse_args()
    songs = read_songs(wishes.music)
    leave_one_out(songs)
    if wishes.write:
        write(songs)


def leave_one_out(songs: list[Song]) -> None:
    odds = []
    for song in songs:
        mean, scale, weight, bias = fit([other for other in songs if other.group != song.group])
        odds.append(uniform_filter1d((song.x - mean) / scale @ weight + bias, int(SPREAD_SECONDS * FEATURE_RATE)))
        score = f"AUC {auc(odds[-1], song.y):.3f}" if song.y.any() else f"false {np.mean(odds[-1] > 0):.2f}"
        print(f"{song.name:32} sung {song.y.mean():.2f}  {score}", flush=True)
    for kind in ("stereo", "mono"):
        real = [i for i, song in enumerate(songs) if kind in song.name and "singer" not in song.name]
        together = auc(np.concatenate([odds[i] for i in real]), np.concatenate([songs[i].y for i in real]))
        print(f"{kind}, all without the mixed-in singer in one pool: AUC {together:.3f}")


def fit(songs: list[Song]) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Ridge logistic regression by Newton's method; sung and unsung, and all songs, weigh alike."""
    x = np.concatenate([song.x[::EVERY] for song in songs])
    y = np.concatenate([song.y[::EVERY] for song in songs])
    share = np.concatenate([np.full(len(song.x[::EVERY]), 1 / len(song.x[::EVERY])) for song in songs])
    share[y] *= share[~y].sum() / share[y].sum()
    share *= len(share) / share.sum()
    mean, scale = x.mean(0), x.std(0)
    z = np.column_stack([(x - mean) / scale, np.ones(len(x))])
    ridge = np.diag([RIDGE] * x.shape[1] + [0.0])
    w = np.zeros(z.shape[1])
    for _ in range(25):
        p = 1 / (1 + np.exp(-z @ w))
        slope = z.T @ (share * (p - y)) + ridge @ w
        w -= np.linalg.solve((z * (share * p * (1 - p))[:, None]).T @ z + ridge, slope)
    return mean, scale, w[:-1], float(w[-1])


def write(songs: list[Song]) -> None:
    mean, scale, weight, bias = (np.round(x, 5) for x in fit(songs))
    table = {
        clue: {"mean": m, "scale": s, "weight": w}
        for clue, m, s, w in zip(CLUES, mean.tolist(), scale.tolist(), weight.tolist())
    }
    WEIGHTS.write_text(json.dumps({"bias": float(bias), "clues": table}, indent=1) + "\n")
    print(WEIGHTS)


# ---------------------------------------------------------------- songs with truth


def read_songs(music: Path) -> list[Song]:
    example = compose_module()
    songs = both(
        "first_light",
        "first_light",
        read_audio(ROOT / "assets" / "song" / "first_light.mp3", SR).samples,
        lambda times: (times > 4 * example.BAR) & (times < 28 * example.BAR),
    )
    singers = iter(SINGERS)
    for path in sorted(music.glob("*/audio.*")):
        name, truth = path.parent.name, path.parent / "vocals.txt"
        if truth.exists():
            spans = np.loadtxt(truth, ndmin=2)[:, :2]
            songs += both(name, name, read_audio(path, SR).samples, lambda times, spans=spans: inside(times, spans))
        elif "midi render" in json.loads((path.parent / "meta.json").read_text())["kind"]:
            samples = read_audio(path, SR).samples
            songs += both(name, name, samples, lambda times: np.zeros(len(times), bool))
            mixed, sung = with_singer(samples, *sing(example, *next(singers)))
            songs += both(f"{name}+singer", name, mixed, lambda times, sung=sung: at_times(sung, times))
    return songs


def both(name: str, group: str, samples: np.ndarray, truth) -> list[Song]:
    """The song in stereo and in mono. truth: times in seconds → whether somebody sings."""
    songs = []
    for kind, sound in (("stereo", samples), ("mono", samples.mean(1, keepdims=True))):
        x = clues(listen_to_middle(sound))
        songs.append(Song(f"{name} {kind}", group, x, truth(np.arange(len(x)) * CURVE_HOP * HOP / SR)))
    return songs


def inside(times: np.ndarray, spans: np.ndarray) -> np.ndarray:
    return np.any([(times >= start) & (times < end) for start, end in spans], axis=0)


def at_times(sung: np.ndarray, times: np.ndarray) -> np.ndarray:
    """sung (n,) at SR → at times; breaths count as singing."""
    here = sung[np.minimum((times * SR).astype(int), len(sung) - 1)]
    return binary_closing(here, np.ones(int(BREATH * FEATURE_RATE)))


def compose_module():
    """The script that composes the example song."""
    spec = importlib.util.spec_from_file_location("compose", ROOT / "assets" / "song" / "compose.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sing(example, semitones: float, formants: float) -> tuple[np.ndarray, np.ndarray]:
    """The example's tune by another voice, and whether a note sounds: (n,) each, at SR."""
    vowels = example.VOWELS
    example.VOWELS = {v: tuple((f * formants, width, gain) for f, width, gain in parts) for v, parts in vowels.items()}
    voice = example.sing(np.random.default_rng(example.SEED), lambda note: semitones)
    example.VOWELS = vowels
    voice = soxr.resample(voice + 0.25 * np.roll(voice, int(0.23 * example.SR)), example.SR, SR)
    sung = np.zeros(len(voice), bool)
    for start, end, *_ in example.sung_notes():
        sung[int(start * SR) : int(end * SR)] = True
    first, last = (int(bar * example.BAR * SR) for bar in (4, 28))
    return voice[first:last], sung[first:last]


def with_singer(samples: np.ndarray, voice: np.ndarray, sung: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """samples (n, 2) with the voice in phrases of 5 to 20 s, 5 dB below to 4 dB above the band; and where it sings."""
    rng = np.random.default_rng(3)
    mixed, truth = samples.copy(), np.zeros(len(samples), bool)
    at, heard = int(rng.uniform(4, 14) * SR), 0
    while at < len(samples):
        there = slice(at, at + int(rng.uniform(5, 20) * SR))
        band = mixed[there]
        phrase = (heard + np.arange(len(band))) % len(voice)
        gain = np.sqrt((band**2).mean() / (voice**2).mean()) * 10 ** (rng.uniform(-5, 4) / 20)
        mixed[there] += (gain * voice[phrase])[:, None].astype(np.float32)
        truth[there] = sung[phrase]
        heard += len(band)
        at = there.stop + int(rng.uniform(4, 14) * SR)
    return mixed, truth


if __name__ == "__main__":
    main()
