"""How plans cut and vary, beside a baseline that cuts every four bars: python bench/planning.py --music DIR

DIR holds one folder a song: audio.*. --analyses FOLDER keeps what was heard, for listening takes most of the time, and
finds it there the next time.

beat, down: share of the cuts that fall on a beat and on a downbeat, to the frame; the worst of 24, 25, 29.97, 30 and 60
frames a second for the beat. starts: share of the section starts that have a cut on their nearest beat. move, size,
scene: entropy in bits over the shots' moves, film sizes and places; next: bits that the size of a shot still tells to
who knows the one before. again: shots in the longest run that comes twice, alike in size, move, scene and
act. alike: cuts between two such shots. seconds: from the finished analysis to the plan, wall clock and processor.
The baseline counts bars and nothing else: sizes and moves in a fixed round, one place, one act.
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
from director.measures import PlanMeasures, measure_plan
from director.segmentation import sections_of
from mv.make import analyze
from mv.schema import Analysis, Brief, CameraMove, MoveKind, Shot, ShotSize, Timeline, film_frames
from mv.timing import to_frame
from mv.world.vocabulary import Directions, describe

FPS = Fraction(24)
FRAME_RATES = (FPS, Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(60))
BARS = 4
SIZES = (ShotSize.wide, ShotSize.medium, ShotSize.close)
MOVES = (MoveKind.dolly_in, MoveKind.pan_right, MoveKind.dolly_out, MoveKind.pan_left)
LABELS = ("intro", "verse", "chorus", "bridge", "drop", "break", "outro")
COLUMNS = ("shots", "beat", "down", "starts", "move", "size", "next", "scene", "again", "alike", "seconds")


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
    print(f"{'song':22}{'by':10}" + "".join(f"{name:>10}" for name in COLUMNS))
    for (name, by), (timeline, *seconds) in plans.items():
        print(f"{name:22}{by:10}" + "".join(f"{cell:>10}" for cell in row(timeline, heard[name], *seconds)))
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
    """What a program does that only counts bars: a cut on every fourth downbeat, sizes and moves in a fixed round, one
    place, one act."""
    cuts = [beat for beat in analysis.downbeats[BARS::BARS] if 1 < beat < analysis.duration - 1]
    frames = [0, *(to_frame(beat, FPS) for beat in cuts), film_frames(analysis.duration, FPS)]
    shots = [
        Shot(
            id=f"s{i:03d}",
            start=start,
            duration=end - start,
            section=analysis.section_at((start + end) / 2 / float(FPS)),
            size=SIZES[i % len(SIZES)],
            prompt=describe(Directions(size=SIZES[i % len(SIZES)].value)),
            camera=CameraMove(kind=MOVES[i % len(MOVES)]),
        )
        for i, (start, end) in enumerate(pairwise(frames))
    ]
    return plan(analysis, FPS).model_copy(update={"shots": shots})


def row(timeline: Timeline, analysis: Analysis, wall: float | None, processor: float | None) -> list[str]:
    measured = measure_plan(timeline, analysis)
    times = "" if wall is None else f"{wall:.2f}/{processor:.2f}"
    return [
        f"{len(timeline.shots)}",
        f"{on_beat(timeline, analysis, measured, director=wall is not None):.1%}",
        f"{measured.on_downbeat:.0%}",
        f"{starts_cut(timeline, analysis):.0%}",
        *(f"{bits:.2f}" for bits in _bits(measured)),
        f"{measured.longest_repetition}",
        f"{measured.alike_neighbours}",
        times,
    ]


def _bits(measured: PlanMeasures) -> tuple[float, ...]:
    return measured.move_entropy, measured.size_entropy, measured.size_surprise, measured.scene_entropy


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
