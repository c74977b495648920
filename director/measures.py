"""How a plan moves: its speed, its hold on the beat, its variety, in numbers a reader can compare."""

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from director.segmentation import sections_of
from director.setups import framing_of
from mv.schema import Analysis, Shot, Timeline
from mv.timing import to_frame
from mv.world.vocabulary import understand


@dataclass(frozen=True)
class PlanMeasures:
    """shots_per_minute: by section label. on_beat, on_downbeat: shares of the cuts, to the frame; 1 without cuts.

    Variety: entropies in bits of the shots' moves, sizes (the film's eight) and scenes; size_surprise: the bits that a
    shot's size (of the model's three) still tells to who knows the one before: 0 for a fixed round. longest_repetition:
    shots in the longest run that comes again later, alike in size, move, scene and act; alike_neighbours: cuts between
    two shots alike in all these.
    """

    shots_per_minute: dict[str, float]
    on_beat: float
    on_downbeat: float
    move_entropy: float
    size_entropy: float
    size_surprise: float
    scene_entropy: float
    longest_repetition: int
    alike_neighbours: int

    def __str__(self) -> str:
        speed = ", ".join(f"{label} {rate:.0f}" for label, rate in self.shots_per_minute.items())
        again = {0: "No shot comes twice", 1: "No two shots in a row come again"}
        return (
            f"Shots a minute: {speed}. Cuts on a beat {self.on_beat:.0%}, on a downbeat {self.on_downbeat:.0%}. "
            f"{again.get(self.longest_repetition, f'{self.longest_repetition} shots in a row come again')}; "
            f"{self.alike_neighbours or 'no'} cuts between like shots"
        )


def measure_plan(timeline: Timeline, analysis: Analysis) -> PlanMeasures:
    shots = timeline.shots
    cuts = [shot.start for shot in shots[1:]]
    looks = [_look(shot) for shot in shots]
    return PlanMeasures(
        shots_per_minute=_shots_per_minute(timeline, analysis),
        on_beat=_share_on(cuts, analysis.beats, timeline.fps),
        on_downbeat=_share_on(cuts, analysis.downbeats, timeline.fps),
        move_entropy=entropy(shot.camera.kind for shot in shots),
        size_entropy=entropy(framing_of(shot.size, shot.camera) for shot in shots),
        size_surprise=surprise([shot.size for shot in shots]),
        scene_entropy=entropy(look[2] for look in looks),
        longest_repetition=longest_repetition(looks),
        alike_neighbours=sum(one == other for one, other in zip(looks, looks[1:])),
    )


def entropy(names: Iterable[Hashable]) -> float:
    """Bits needed to say which name comes: 0 where all are one, log2(n) where n are equally frequent."""
    counts = Counter(names)
    total = counts.total()
    return sum(n / total * math.log2(total / n) for n in counts.values())


def surprise(names: Sequence[Hashable]) -> float:
    """Bits needed to say which name comes for who knows the one before it; 0 for fewer than two names."""
    return max(0.0, entropy(pairwise(names)) - entropy(names[:-1])) if len(names) > 1 else 0.0


def longest_repetition(names: Sequence[Hashable]) -> int:
    """Length of the longest run that occurs twice without overlapping itself."""
    best, row = 0, [0] * (len(names) + 1)
    for i in range(len(names)):
        # row[j + 1]: how long the runs that end at i and at j are the same; from the right, so that row[j] is i - 1's.
        for j in range(len(names) - 1, i, -1):
            row[j + 1] = row[j] + 1 if names[i] == names[j] else 0
            best = max(best, min(row[j + 1], j - i))
    return best


def _look(shot: Shot) -> tuple[str, str, str, str | None]:
    read = understand(shot.prompt).directions
    return (shot.size, shot.camera.kind, read.scene, read.action)


def _share_on(cuts: list[int], times: list[float], fps: Fraction) -> float:
    frames = {to_frame(time, fps) for time in times}
    return sum(cut in frames for cut in cuts) / len(cuts) if cuts else 1.0


def _shots_per_minute(timeline: Timeline, analysis: Analysis) -> dict[str, float]:
    sections = sections_of(analysis)
    shots, frames = Counter(), Counter()
    for shot in timeline.shots:
        label = sections[min(shot.section, len(sections) - 1)].label
        shots[label] += 1
        frames[label] += shot.duration
    return {label: 60 * float(timeline.fps) * shots[label] / frames[label] for label in shots}
