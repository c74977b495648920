"""How well the analysis hears, librosa's defaults beside it: python bench/listening.py --music DIR (needs mir_eval).

python bench/listening.py --composed 120 measures beats, bars and metre on so many composed pieces that
nothing was trained on, played in turn by a synthesizer of our own and by FluidSynth with each soundfont of this
machine, heard with the beat network and by the onsets alone. Soundfonts that mv.train.beats.LICENCES does not name are
sounds that nothing was trained on either.

DIR holds one folder a song: audio.* and what truth there is: beats.txt (seconds TAB beat in the bar, 1 = downbeat),
sections.txt (start end label, tab separated), vocals.txt (start end of singing). A song whose meta.json calls it a
midi render and that has no vocals.txt counts as one where nobody sings.

beat F and down F: within 70 ms. CMLt, AMLt: share of beats in unbroken order, at the metre of the truth or at a
related one too. sec .5 and sec 3: boundaries within so many seconds, first and last left out. AUC: area under the ROC
curve of the voice; hit, false: share of the sung and of the unsung time where it says somebody sings. s/min: seconds
a minute of song, decoding included, imports not. CPU/min: seconds of computing, all cores added. MiB/min: growth of the
peak memory per minute of song; about 110 MiB of ours are there for a song of any length. Every song in a fresh process.
"""

import argparse
import json
import multiprocessing
import resource
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import mir_eval
import numpy as np
from scipy.stats import rankdata

COLUMNS = (
    "tempo",
    "beat F",
    "CMLt",
    "AMLt",
    "down F",
    "sec .5",
    "sec 3",
    "AUC",
    "hit",
    "false",
    "s/min",
    "CPU/min",
    "MiB/min",
)
SCORES = COLUMNS[1:]  # averaged over the songs that have them


@dataclass(frozen=True)
class Heard:
    """What a listener reports: times in seconds, sections (n, 2) start and end, voice 0..1 at voice_rate Hz."""

    duration: float
    tempo: float
    beats: np.ndarray
    downbeats: np.ndarray
    sections: np.ndarray
    voice: np.ndarray | None = None
    voice_rate: float = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    wished = parser.add_mutually_exclusive_group(required=True)
    wished.add_argument("--music", type=Path)
    wished.add_argument("--composed", type=int)
    wishes = parser.parse_args()
    if wishes.composed:
        measure_composed(wishes.composed)
    else:
        measure_songs(wishes.music)


def measure_songs(music: Path) -> None:
    songs = sorted(music.glob("*/audio.*"))
    print(f"{'song':22}{'by':8}" + "".join(f"{name:>8}" for name in COLUMNS))
    rows = {name: [] for name in LISTENERS}
    pool = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as fresh:
        for song in songs:
            for name in LISTENERS:
                row, voice = fresh.apply(examine, (song, name))
                rows[name].append(row)
                pool += [voice] if voice else []
                print_row(song.parent.name, name, row)
    for name, found in rows.items():
        print_row("mean", name, {score: mean([row[score] for row in found if score in row]) for score in SCORES})
    if pool:
        score, sung = (np.concatenate(column) for column in zip(*pool))
        print(f"voice, all songs in one pool: AUC {auc(score, sung):.3f}")


def print_row(song: str, name: str, row: dict[str, float]) -> None:
    cells = (f"{row[c]:8.2f}" if row.get(c) is not None else f"{'-':>8}" for c in COLUMNS)
    print(f"{song:22}{name:8}" + "".join(cells), flush=True)


def mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None


# ---------------------------------------------------------------- composed pieces

# First seed. Those that are trained on begin at FIRST_SEED of mv.train.beats and mv.train.pieces; on those from 10000
# on constants were tuned.
UNSEEN = 40000


def measure_composed(count: int) -> None:
    """Means by metre, tempo curve and sound: beat F, downbeat F, share of pieces whose bars have the right length."""
    from mv.train.orchestra import instruments

    available = instruments()
    groups: dict[str, list[dict[str, list[float]]]] = {}
    for i in range(count):
        instrument = available[i % len(available)]
        piece, scores = examine_piece(UNSEEN + i, instrument)
        for group in ("all", piece.metre, piece.tempo_curve, Path(instrument).stem):
            groups.setdefault(group, []).append(scores)
    for group, rows in groups.items():
        for way in rows[0]:
            beat, down, metre = np.mean([row[way] for row in rows], 0)
            told = f"beat F {beat:.3f}  down F {down:.3f}  metre {metre:.3f}"
            print(f"{group:24} {len(rows):4} pieces  {way:8} {told}")


def examine_piece(seed: int, instrument: str):
    """The piece of a seed; with the network and without beat F, downbeat F and whether bars have the right length."""
    from mv.analysis import beats, features, network
    from mv.train.beats import SECONDS
    from mv.train.composer import METRES
    from mv.train.orchestra import recording

    piece, samples = recording(seed, SECONDS, [instrument])
    heard = features.spectra(samples.mean(1))
    flux, activation = beats.onsets(heard)
    scores = {}
    for way, pulse in (("network", network.activations(network.load(), heard)), ("onsets", None)):
        found = beats.track(heard, flux, activation, len(samples) / features.SR, pulse)
        bars = np.diff(np.flatnonzero(found.positions == 1))
        right = len(bars) > 0 and np.median(bars) == METRES[piece.metre].beats
        beat = mir_eval.beat.f_measure(piece.beats, found.times)
        down = mir_eval.beat.f_measure(piece.beats[piece.positions == 1], found.downbeats)
        scores[way] = [beat, down, float(right)]
    return piece, scores


# ---------------------------------------------------------------- listeners


def ours(song: Path) -> Heard:
    from mv.analysis import analyze

    a = analyze(song)
    sections = np.array([[section.start, section.end] for section in a.sections])
    voice = np.array(a.features["voice"])
    return Heard(a.duration, a.tempo, np.array(a.beats), np.array(a.downbeats), sections, voice, a.feature_rate)


def librosas(song: Path) -> Heard:
    """librosa's beat_track as it comes, every fourth beat a downbeat, agglomerative segments of 20 s in the mean."""
    import librosa

    y, sr = librosa.load(song)
    tempo, beats = librosa.beat.beat_track(y=y, sr=sr, units="time")
    frames = librosa.time_to_frames(beats, sr=sr)
    features = np.vstack([librosa.feature.chroma_cqt(y=y, sr=sr), librosa.feature.mfcc(y=y, sr=sr)])
    synced = librosa.util.sync(librosa.util.normalize(features, axis=1), frames)
    duration = len(y) / sr
    starts = librosa.segment.agglomerative(synced, max(2, min(round(duration / 20), synced.shape[1])))
    edges = np.unique([0.0, *np.concatenate([[0.0], beats])[starts], duration])
    return Heard(duration, float(np.squeeze(tempo)), beats, beats[::4], np.stack([edges[:-1], edges[1:]], 1))


LISTENERS: dict[str, Callable[[Path], Heard]] = {"ours": ours, "librosa": librosas}


# ---------------------------------------------------------------- scores


def examine(song: Path, name: str) -> tuple[dict[str, float], tuple[np.ndarray, np.ndarray] | None]:
    """The row of a song, and (voice, is sung) at each value of the voice curve where both are known."""
    import librosa

    warnings.filterwarnings("ignore")
    librosa.filters.mel(sr=22050, n_fft=512, n_mels=8)  # librosa loads its parts when first used
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, computing = time.perf_counter(), time.process_time()
    heard = LISTENERS[name](song)
    seconds, computing = time.perf_counter() - start, time.process_time() - computing
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    minutes = heard.duration / 60
    row = {"tempo": heard.tempo, "s/min": seconds / minutes, "CPU/min": computing / minutes, "MiB/min": grown / minutes}
    sung = singing_truth(song.parent, heard)
    row |= beat_scores(song.parent, heard) | section_scores(song.parent, heard)
    if sung is None:
        return row, None
    return row | voice_scores(heard.voice, sung), (heard.voice, sung)


def beat_scores(folder: Path, heard: Heard) -> dict[str, float]:
    if not (folder / "beats.txt").exists():
        return {}
    truth = np.loadtxt(folder / "beats.txt")
    beats, downbeats = truth[:, 0], truth[truth[:, 1] == 1, 0]
    _, cmlt, _, amlt = mir_eval.beat.continuity(beats, heard.beats)
    return {
        "beat F": mir_eval.beat.f_measure(beats, heard.beats),
        "CMLt": cmlt,
        "AMLt": amlt,
        "down F": mir_eval.beat.f_measure(downbeats, heard.downbeats),
    }


def section_scores(folder: Path, heard: Heard) -> dict[str, float]:
    if not (folder / "sections.txt").exists():
        return {}
    lines = (folder / "sections.txt").read_text().splitlines()
    truth = np.array([[float(x) for x in line.split()[:2]] for line in lines])
    half, three = (mir_eval.segment.detection(truth, heard.sections, window=w, trim=True)[2] for w in (0.5, 3))
    return {"sec .5": half, "sec 3": three}


def singing_truth(folder: Path, heard: Heard) -> np.ndarray | None:
    """Whether somebody sings at each value of the voice curve; None where either is unknown."""
    if heard.voice is None:
        return None
    times = np.arange(len(heard.voice)) / heard.voice_rate
    if (folder / "vocals.txt").exists():
        spans = np.loadtxt(folder / "vocals.txt", ndmin=2)[:, :2]
        return np.any([(times >= start) & (times < end) for start, end in spans], axis=0)
    instrumental = "midi render" in json.loads((folder / "meta.json").read_text())["kind"]
    return np.zeros(len(times), bool) if instrumental else None


def voice_scores(voice: np.ndarray, sung: np.ndarray) -> dict[str, float]:
    said = voice > 0.5
    scores = {"false": float(said[~sung].mean())}
    return scores | ({"hit": float(said[sung].mean()), "AUC": auc(voice, sung)} if sung.any() else {})


def auc(score: np.ndarray, truth: np.ndarray) -> float:
    """Chance that a value where the truth holds is above one where it does not; ties count half."""
    yes = int(truth.sum())
    return float((rankdata(score)[truth].sum() - yes * (yes + 1) / 2) / (yes * (len(truth) - yes)))


if __name__ == "__main__":
    main()
