"""What the agent can do: one table of named tools.

Every tool takes the plan and the indices of some shots, and gives the plan back with what it saw of each of these
shots: words and numbers by name, for the log and for the agent to decide on. Four tools are the director's own; image
and video come from whoever can draw (mv/retakes.py).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from director.remedies import remedy
from director.segmentation import Curves, section_names, sections_of
from director.trajectories import trajectory
from mv.camera import CameraPath
from mv.schema import Analysis, Shot, Timeline
from mv.timing import to_frame, to_seconds
from mv.world.vocabulary import describe, understand

Seen = Mapping[str, float | str]
Result = tuple[Timeline, Mapping[int, Seen]]

# Where the picture's speed is read, metres from the performer's feet: breast and head, and the place behind them.
WATCHED = np.array([(x, y, z) for x in (-0.3, 0.3) for y in (1.3, 1.7) for z in (0.0, -3.0)])
NEAREST_WATCHED = 0.2  # metres before the camera: points nearer than this, or behind it, are in no picture


@dataclass(frozen=True)
class Tool:
    """takes, gives: in words; run(plan, shots, *arguments) → (plan, what was seen, by index)."""

    takes: str
    gives: str
    run: Callable[..., Result]


def toolbox(
    analysis: Analysis,
    video: Callable[[Timeline], Timeline],
    image: Callable[[Timeline, int], Mapping[str, float]] | None = None,
) -> dict[str, Tool]:
    """video: a plan → the same with a take, and its measurements, for every shot; what is rendered already is found
    again. image: the measurements of one picture of a shot; left out where single pictures cannot be drawn."""

    def each(look: Callable[[Timeline, int], Seen]) -> Callable[..., Result]:
        return lambda plan, shots: (plan, {i: look(plan, i) for i in shots})

    def shoot(plan: Timeline, shots: Sequence[int]) -> Result:
        plan = video(plan)
        takes = {i: taken(plan.shots[i]) for i in shots}
        return plan, {i: take.measurements for i, take in takes.items() if take is not None}

    curves = Curves.of(analysis)
    tools = {
        "segmentation": Tool(
            "shots",
            "where each stands in the song: section, seconds, beats, energy, voice",
            each(lambda plan, i: _music_of(plan, i, analysis, curves)),
        ),
        "understanding": Tool("shots", "what the model understands of each prompt", each(_words_of)),
        "trajectory": Tool(
            "shots",
            "how far and how fast each camera goes: metres, degrees, picture widths a second",
            each(lambda plan, i: measure_path(trajectory(plan, i, analysis), float(plan.fps))),
        ),
        "image": Tool("shots", "a picture of each, measured", each(image) if image else None),
        "video": Tool("shots", "a take of each, measured", shoot),
        "edit": Tool("shots, what to change (seed, move or size), which try", "the shots planned anew", remedy),
    }
    return {name: tool for name, tool in tools.items() if tool.run is not None}


def taken(shot: Shot):
    """The take that stands for a shot: the chosen one, else the newest; None without any."""
    chosen = [take for take in shot.takes if take.key == shot.chosen]
    return (chosen or shot.takes or [None])[-1]


def measure_path(path: CameraPath, fps: float) -> dict[str, float]:
    """metres: the camera's way; degrees: by how much it turned in all; speed: at which what it looks at crosses the
    picture, in picture widths a second."""
    places, forward = path.c2w[:, :3, 3], path.c2w[:, :3, 2]
    cosines = np.clip((forward[1:] * forward[:-1]).sum(1), -1, 1)
    points = np.einsum("fij,nj->fni", path.extrinsics[:, :3], np.c_[WATCHED, np.ones(len(WATCHED))])
    depth = np.maximum(points[..., 2:], NEAREST_WATCHED)
    pictured = path.intrinsics[:, None, :2] * points[..., :2] / depth
    seen = (points[1:, :, 2] > NEAREST_WATCHED) & (points[:-1, :, 2] > NEAREST_WATCHED)
    steps = np.linalg.norm(np.diff(pictured, axis=0), axis=-1)[seen]
    return {
        "metres": round(float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum()), 3),
        "degrees": round(float(np.degrees(np.arccos(cosines)).sum()), 2),
        "speed": round(float(steps.mean() * fps), 4) if steps.size else 0.0,
    }


def _music_of(plan: Timeline, index: int, analysis: Analysis, curves: Curves) -> Seen:
    shot, sections = plan.shots[index], sections_of(analysis)
    start, end = to_seconds(shot.start, plan.fps), to_seconds(shot.end, plan.fps)
    beats = sum(shot.start <= to_frame(beat, plan.fps) < shot.end for beat in analysis.beats)
    return {
        "section": section_names(sections)[min(shot.section, len(sections) - 1)],
        "seconds": round(end - start, 2),
        "beats": beats,
        "energy": round(curves.mean("energy", start, end), 2),
        "voice": round(curves.mean("voice", start, end), 2),
    }


def _words_of(plan: Timeline, index: int) -> Seen:
    prompt = plan.shots[index].prompt
    read = understand(prompt)
    if describe(read.directions) == prompt:
        return {"prompt": prompt}
    return {
        "prompt": prompt,
        "note": "not the director's words",
        "no meaning here": ", ".join(read.ignored) or "nothing",
    }
