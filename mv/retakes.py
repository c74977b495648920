"""Look at the finished takes and shoot the bad ones again: director/agent.py with tools that draw and measure.

Measured beside the stage world, which knows what each picture should be: does the camera go where it was sent, are the
windows joined without a jump, is the performer the one that was cast, is the picture sharp. It takes seconds a shot.

What counts as bad follows the model: a take is planned again where it is an outlier among the takes of its own film,
for then the model can do better. What a model never does well is not asked of it shot after shot.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from director.agent import Goal, perfect
from director.proposals import Writer
from director.toolbox import toolbox
from mv.camera import CameraPath
from mv.generation import Conditions, chosen_take
from mv.schema import AUDIO_FEATURES, Analysis, MoveKind, Take, Timeline, write_atomically
from mv.video import FrameReader
from mv.world.vocabulary import Directions, describe, understand

CAMERA, SEAM, CAST, SHARPNESS = "camera error", "jump at seams", "cast right", "sharpness"


@dataclass(frozen=True)
class Limit:
    """fine: as good as this is never planned again; bad: worse than this always is. Which side is good follows from
    the two. In between the film's own takes decide."""

    name: str
    fine: float
    bad: float


# The one place where the limits stand, all beside the stage world's own picture.
LIMITS = (
    Limit(CAMERA, fine=0.35, bad=1.15),  # missed way as a share of the way it was told; 1: a camera that stands still
    Limit(SEAM, fine=2.0, bad=4.0),  # times the usual change from frame to frame
    Limit(CAST, fine=0.6, bad=0.3),  # share of the performer's colours that are the cast's
    Limit(SHARPNESS, fine=0.55, bad=0.15),  # of the stage world's edges
)
OUTLIER = 2.5  # standard deviations off the film's usual take, estimated by its median absolute deviation
LEAST_TAKES = 8  # with fewer takes there is no telling what is usual: the middle between fine and bad counts
LOOK_FRAMES = 25  # the camera is judged on the first second or so
LOOK_WIDTH = 288  # pixels, about: a larger picture is judged at half its size, or a third
# Ways shorter than this cannot be read from a picture; degrees or shares, as mv.measure.camera.command gives them.
LEAST_WAY = {"pan": 1.5, "tilt": 1.5, "roll": 1.0, "orbit": 2.0}
LEAST_SHARE = 0.03
BELIEVED = 1 / 3  # the estimator must find the teacher's own way to this share of it, or it says nothing
SAME_WAY = {"push-in": "dolly", "dolly-zoom": "dolly"}  # moves measured as another


def shoot_again(
    plan: Timeline,
    analysis: Analysis,
    render: Callable[[Timeline], Timeline],
    conditions: Callable[[Timeline, int], Conditions],
    takes_dir: Path,
    retakes: int,
    steps: int,
    draw: Callable[[Conditions], np.ndarray] | None = None,
    adviser: Writer | None = None,
) -> Timeline:
    """The plan with the best take of every shot; writes what was seen and done to retakes.log beside the takes' folder.

    render: gives every shot a take. retakes: 0 to 8 new plans of each bad shot. steps: of the renderer, which decide
    where its windows meet. draw: conditions → frames, for single pictures; None where there is nothing to draw them
    with at once. adviser: see director.agent.perfect.
    """
    known: dict[str, dict[str, float]] = {}

    def shoot_and_look(timeline: Timeline) -> Timeline:
        timeline = render(timeline)
        shots = list(timeline.shots)
        for i, shot in enumerate(shots):
            take = chosen_take(shot)
            if take.key not in known:
                known[take.key] = look(read_take(takes_dir, take), conditions(timeline, i), shot.camera.kind, steps)
            seen = take.model_copy(update={"measurements": known[take.key]})
            shots[i] = shot.model_copy(update={"takes": [seen if t.key == seen.key else t for t in shot.takes]})
        return timeline.model_copy(update={"shots": shots})

    def draw_and_look(timeline: Timeline, index: int) -> dict[str, float]:
        middle = middle_of(conditions(timeline, index))
        return look_at_picture(draw(middle), middle)

    tools = toolbox(analysis, shoot_and_look, draw_and_look if draw else None)
    plan, memory = perfect(plan, analysis, tools, goals_among, retakes, adviser)
    write_atomically(takes_dir.with_name("retakes.log"), ("\n".join(memory.log) + "\n").encode())
    return plan


def middle_of(conditions: Conditions) -> Conditions:
    """Those of the one picture in the middle of a take."""
    middle = slice(conditions.num_frames // 2, conditions.num_frames // 2 + 1)
    path = CameraPath(conditions.path.extrinsics[middle], conditions.path.intrinsics[middle])
    return replace(conditions, path=path, audio=conditions.audio[middle])


def goals_among(measured: Sequence[Mapping[str, float]]) -> list[Goal]:
    """What each take of a film must reach, by the measurements of all of them: no outlier, within LIMITS."""
    goals = []
    for limit in LIMITS:
        values = np.array([seen[limit.name] for seen in measured if limit.name in seen])
        value = _outlier(values, 1 if limit.fine < limit.bad else -1)
        value = (limit.fine + limit.bad) / 2 if value is None else value
        value = round(float(np.clip(value, *sorted((limit.fine, limit.bad)))), 4)
        side = {"at_most": value} if limit.fine < limit.bad else {"at_least": value}
        goals.append(Goal(limit.name, **side))
    return goals


def _outlier(values: np.ndarray, sign: int) -> float | None:
    """Where outliers begin above (sign 1) or below (-1) the usual value; None for too few values to tell."""
    if len(values) < LEAST_TAKES:
        return None
    usual = np.median(values)
    deviation = 1.4826 * np.median(np.abs(values - usual))  # a normal distribution's standard deviation
    return float(usual + sign * OUTLIER * deviation)


GOALS = tuple(goals_among([]))  # of a take with no film round it


def read_take(takes_dir: Path, take: Take) -> np.ndarray:
    """All frames of a take, (f, h, w, 3) uint8."""
    reader = FrameReader(takes_dir / take.file)
    try:
        return np.stack([reader.rgb(number) for number in range(take.num_frames)])
    finally:
        reader.close()


def look(frames: np.ndarray, conditions: Conditions, kind: MoveKind, steps: int) -> dict[str, float]:
    """The measurements of a take by name; those that this shot does not allow are left out.

    frames (f, h, w, 3) uint8. A prompt that is not in the director's words has no teacher: only its seams are judged.
    """
    from mv.measure.continuity import seam_jump, window_seams
    from mv.world.render import draw

    onset, voice = (conditions.audio[:, AUDIO_FEATURES.index(name)] for name in ("onset", "voice"))
    found = {SEAM: seam_jump(frames, window_seams(len(frames), steps, onset + voice))}
    directions = _in_the_directors_words(conditions.prompt)
    if directions is not None:
        path = CameraPath(conditions.path.extrinsics[:LOOK_FRAMES], conditions.path.intrinsics[:LOOK_FRAMES])
        audio, first = conditions.audio[:LOOK_FRAMES], smaller(frames[:LOOK_FRAMES])
        truth = draw(directions, path, audio, first.shape[2], first.shape[1])
        found[SHARPNESS] = sharpness(first, truth)
        found[CAMERA] = camera_error(str(kind).split()[0], first, truth, directions, path, audio)
        found[CAST] = cast_right(first, directions, path, audio)
    return _numbers(found)


def look_at_picture(frames: np.ndarray, conditions: Conditions) -> dict[str, float]:
    """The measurements of one picture, frames (1, h, w, 3) uint8: sharpness and cast, where they can be told."""
    from mv.world.render import draw

    directions = _in_the_directors_words(conditions.prompt)
    if directions is None:
        return {}
    picture = smaller(frames)
    truth = draw(directions, conditions.path, conditions.audio, picture.shape[2], picture.shape[1])
    cast = cast_right(picture, directions, conditions.path, conditions.audio)
    return _numbers({SHARPNESS: sharpness(picture, truth), CAST: cast})


def _in_the_directors_words(prompt: str) -> Directions | None:
    directions = understand(prompt).directions
    return directions if describe(directions) == prompt else None


def _numbers(found: Mapping[str, float | None]) -> dict[str, float]:
    return {name: round(float(value), 4) for name, value in found.items() if value is not None and np.isfinite(value)}


def sharpness(frames: np.ndarray, truth: np.ndarray) -> float:
    """Edges of a picture as a share of the stage world's, both (f, h, w, 3) uint8."""
    from mv.measure.sharpness import edge_energy

    return edge_energy(frames) / max(edge_energy(truth), 1e-6)


def smaller(frames: np.ndarray) -> np.ndarray:
    """(f, h, w, 3) uint8 at a whole fraction of its size, about LOOK_WIDTH wide."""
    import cv2

    height, width = frames.shape[1:3]
    parts = max(1, round(width / LOOK_WIDTH))
    size = (width // parts, height // parts)
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def camera_error(
    kind: str, frames: np.ndarray, truth: np.ndarray, directions: Directions, path: CameraPath, audio: np.ndarray
) -> float | None:
    """How far the camera misses the way it was told to go, as a share of that way; None where nobody can tell.

    kind: the move without its direction; truth: the stage world's own frames.
    """
    from mv.measure.camera import TRAVELLING, axes_of, command, known_depth, read_axis
    from mv.measure.identity import figure_mask

    ways = {axis: command(axis, path) for axis in axes_of(SAME_WAY.get(kind, kind))} if len(path) > 8 else {}
    ways = {axis: way for axis, way in ways.items() if abs(way) >= LEAST_WAY.get(axis, LEAST_SHARE)}
    if not ways:
        return None
    height, width = frames.shape[1:3]
    figure = figure_mask(directions, path, audio, width, height) if directions.action else None
    depth = known_depth(directions, path, audio, truth) if set(ways) & set(TRAVELLING) else None
    errors = []
    for axis, way in ways.items():
        made, ideal = (read_axis(axis, film, path, depth, figure) for film in (frames, truth))
        if made is not None and ideal is not None and abs(ideal - way) <= BELIEVED * abs(way):
            errors.append(abs(made - way) / abs(way))
    return max(errors, default=None)


def cast_right(frames: np.ndarray, directions: Directions, path: CameraPath, audio: np.ndarray) -> float | None:
    """The share of the performer's colours that are the cast's in the middle frame; None where nobody can be seen."""
    from mv.measure.identity import cast_seen

    middle = slice(len(frames) // 2, len(frames) // 2 + 1)
    pose = CameraPath(path.extrinsics[middle], path.intrinsics[middle])
    (seen,) = cast_seen([frames[middle][0]], directions, pose, audio[middle])
    return float(np.mean([asked == found for asked, found in seen.values()])) if seen else None
