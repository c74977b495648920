"""How well the analysis hears: python bench/listening.py --music DIR (needs mir_eval).

DIR holds one folder a song: audio.* and what truth there is: beats.txt (seconds TAB beat in the bar, 1 = downbeat),
sections.txt (start end label, tab separated), vocals.txt (start end of singing).
"""

import argparse
import time
from pathlib import Path

import mir_eval
import numpy as np

from mv.analysis import analyze
from mv.schema import Analysis


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--music", type=Path, required=True)
    print(f"{'song':22}   tempo beat F down F  CMLt sec F.5    F3  voice     s")
    for folder in sorted(parser.parse_args().music.iterdir()):
        for song in folder.glob("audio.*"):
            start = time.perf_counter()
            heard = analyze(song)
            print_row(folder, heard, time.perf_counter() - start)


def print_row(folder: Path, heard: Analysis, seconds: float) -> None:
    cells = [f"{folder.name:22} {heard.tempo:7.2f}"]
    cells += beat_scores(folder, heard) + section_scores(folder, heard) + [voice_score(folder, heard)]
    print(" ".join(cells), f"{seconds:5.1f}", flush=True)


def beat_scores(folder: Path, heard: Analysis) -> list[str]:
    """F-measures with mir_eval's 70 ms, and the share of beats in the longest-metre-correct sense (CMLt)."""
    if not (folder / "beats.txt").exists():
        return ["     -", "     -", "    -"]
    truth = np.loadtxt(folder / "beats.txt")
    beats, downbeats = truth[:, 0], truth[truth[:, 1] == 1, 0]
    return [
        f"{mir_eval.beat.f_measure(beats, np.array(heard.beats)):6.3f}",
        f"{mir_eval.beat.f_measure(downbeats, np.array(heard.downbeats)):6.3f}",
        f"{mir_eval.beat.continuity(beats, np.array(heard.beats))[1]:5.2f}",
    ]


def section_scores(folder: Path, heard: Analysis) -> list[str]:
    """F-measure of boundaries within 0.5 s and within 3 s, the first and the last left out."""
    if not (folder / "sections.txt").exists():
        return ["      -", "    -"]
    lines = (folder / "sections.txt").read_text().splitlines()
    truth = np.array([[float(x) for x in line.split()[:2]] for line in lines])
    found = np.array([[section.start, section.end] for section in heard.sections])
    half, three = (mir_eval.segment.detection(truth, found, window=w, trim=True)[2] for w in (0.5, 3))
    return [f"{half:7.2f}", f"{three:5.2f}"]


def voice_score(folder: Path, heard: Analysis) -> str:
    """Share of the time where the voice curve is on the right side of a half."""
    if not (folder / "vocals.txt").exists():
        return "     -"
    voice = np.array(heard.features["voice"])
    times = np.arange(len(voice)) / heard.feature_rate
    spans = np.loadtxt(folder / "vocals.txt")[:, :2]
    sung = np.any([(times >= start) & (times < end) for start, end in spans], axis=0)
    return f"{((voice > 0.5) == sung).mean():6.2f}"


if __name__ == "__main__":
    main()
