"""How plans cut and vary, beside a baseline that cuts every four bars: python bench/planning.py --music DIR

DIR holds one folder a song: audio.*. --analyses FOLDER keeps what was heard, for listening takes most of the time, and
finds it there the next time.

beat, down: share of the cuts that fall on a beat and on a downbeat, to the frame; the worst of 24, 25, 29.97, 30 and 60
frames a second for the beat. starts: share of the section starts that have a cut on their nearest beat. move, size,
scene: entropy in bits over the shots. again: shots in the longest run that comes twice, alike in size, move, scene and
act. alike: cuts between two such shots. seconds: from the finished analysis to the plan, wall clock and processor.
The baseline sets its shots up as the director does; only its cuts are its own.
"""

import argparse
import sys
import time
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from director import direct
from director.cinematography import set_up
from director.measures import PlanMeasures, measure_plan
from director.planner import shot_of
from director.segmentation import ShotRange, sections_of
from mv.make import analyze
from mv.schema import Analysis, Brief, Timeline, film_frames
from mv.timing import to_frame

FPS = Fraction(24)
FRAME_RATES = (FPS, Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60))
BARS = 4
LABELS = ("intro", "verse", "chorus", "bridge", "drop", "break", "outro")
COLUMNS = ("shots", "beat", "down", "starts", "move", "size", "scene", "again", "alike", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--music", type=Path, required=True)
    parser.add_argument("--analyses", type=Path)
    arguments = parser.parse_args()
    heard = {song.parent.name: listen(song, arguments.analyses) for song in sorted(arguments.music.glob("*/audio.*"))}
    plans = {}
    for name, analysis in heard.items():
        wall, processor = time.perf_counter(), time.process_time()
        plans[name, "director"] = plan(analysis, FPS), time.perf_counter() - wall, time.process_time() - processor
        plans[name, "4 bars"] = every_four_bars(analysis), None, None
    print(f"{'song':22}{'by':10}" + "".join(f"{name:>12}" for name in COLUMNS))
    for (name, by), (timeline, *seconds) in plans.items():
        print(f"{name:22}{by:10}" + "".join(f"{cell:>12}" for cell in row(timeline, heard[name], *seconds)))
    print(f"\n{'shots a minute':32}" + "".join(f"{label:>10}" for label in LABELS))
    for (name, by), (timeline, *_) in plans.items():
        speed = measure_plan(timeline, heard[name]).shots_per_minute
        cells = (f"{speed[label]:.1f}" if label in speed else "–" for label in LABELS)
        print(f"{name:22}{by:10}" + "".join(f"{cell:>10}" for cell in cells))


def listen(song: Path, folder: Path | None) -> Analysis:
    known = folder / f"{song.parent.name}.json" if folder else None
    if known and known.exists():
        return Analysis.load(known)
    analysis = analyze(song)
    if known:
        analysis.save(known)
    return analysis


def plan(analysis: Analysis, fps: Fraction) -> Timeline:
    return direct(analysis, Brief(), song="song", analysis_path="analysis", fps=fps, width=512, height=288)


def every_four_bars(analysis: Analysis) -> Timeline:
    """A cut on every fourth downbeat, whatever is played."""
    cuts = [beat for beat in analysis.downbeats[BARS::BARS] if 1 < beat < analysis.duration - 1]
    frames = [0, *(to_frame(beat, FPS) for beat in cuts), film_frames(analysis.duration, FPS)]
    ranges, seen = [], {}
    for seconds, (start, end) in zip([0.0, *cuts], pairwise(frames)):
        section = analysis.section_at((start + end) / 2 / float(FPS))
        seen[section] = seen.get(section, -1) + 1
        ranges.append(ShotRange(start, end, seconds, 0, section, seen[section], f"every {BARS} bars"))
    setups = set_up(ranges, analysis, Brief(), FPS)
    shots = [shot_of(f"s{i:03d}", shot, setup) for i, (shot, setup) in enumerate(zip(ranges, setups))]
    return plan(analysis, FPS).model_copy(update={"shots": shots})


def row(timeline: Timeline, analysis: Analysis, wall: float | None, processor: float | None) -> list[str]:
    measured = measure_plan(timeline, analysis)
    times = "" if wall is None else f"{wall:.2f}/{processor:.2f}"
    return [
        f"{len(timeline.shots)}",
        f"{on_beat(timeline, analysis, measured, director=wall is not None):.1%}",
        f"{measured.on_downbeat:.0%}",
        f"{starts_cut(timeline, analysis):.0%}",
        *(f"{bits:.2f}" for bits in (measured.move_entropy, measured.size_entropy, measured.scene_entropy)),
        f"{measured.longest_repetition}",
        f"{measured.alike_neighbours}",
        times,
    ]


def on_beat(timeline: Timeline, analysis: Analysis, measured: PlanMeasures, director: bool) -> float:
    """Of the director's plans the worst of all frame rates."""
    rates = FRAME_RATES[1:] if director else ()
    return min([measured.on_beat, *(measure_plan(plan(analysis, fps), analysis).on_beat for fps in rates)])


def starts_cut(timeline: Timeline, analysis: Analysis) -> float:
    beats, cuts = np.asarray(analysis.beats), {shot.start for shot in timeline.shots}
    starts = [section.start for section in sections_of(analysis)[1:]]
    if not len(beats) or not starts:
        return 1.0
    return float(np.mean([to_frame(beats[np.abs(beats - start).argmin()], timeline.fps) in cuts for start in starts]))


if __name__ == "__main__":
    main()
