"""All measures of one model beside its teacher's, over several seeds."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from fractions import Fraction

import numpy as np

from mv.camera import CameraPath
from mv.generation import Conditions, Renderer
from mv.measure.beat import light_follows, motion_follows
from mv.measure.camera import TRAVELLING, TURNING, axes_of, command, following, known_depth, pose_errors, recover_path
from mv.measure.continuity import drift, seam_jump, window_seams
from mv.measure.identity import cast_seen, figure_mask
from mv.measure.motion import turn_and_zoom
from mv.measure.mouth import closed_share, mouth_follows, mouth_opening
from mv.measure.sharpness import edge_energy
from mv.measure.shots import FPS, FRAMES, TestShot, bar_frames, long_shot, short_shots, singing_shots
from mv.schema import AUDIO_FEATURES
from mv.world.render import mouth_place

HEARD = 0.3  # correlation of the teacher's light with the lows from which a shot is one that answers to them
STEPS_UNKNOWN = 8  # denoising steps where a renderer does not say; only the seams' places depend on it


@dataclass(frozen=True)
class Row:
    """One measure: mean and worst over the seeds, the teacher's own mean, and what it should be. The camera's mean is
    over all seeds' shots together.

    goal: "≥ 0.95" and the like, of the model's value; "" where none is set. nan where it could not be measured.
    """

    measure: str
    mean: float
    worst: float
    teacher: float
    goal: str = ""


# Measure → goal; its sign says which end of the seeds is the worst. A slope is worst where it is farthest from 1.
GOALS = {
    "correlation": "≥ 0.95",
    "slope": "0.85–1.15",
    "error over teacher's": "≤ 1.5",
    "light follows the lows": "≥ 0.95 of teacher's",
    "mouth follows the voice": "≥ 0.7",
    "mouth shut in silence": "≥ 0.95",
    "cast right": "≥ 0.95",
    "edge energy": "≥ 0.6 of teacher's",
    "jump at seams": "≤ 1",
}
LESS_IS_BETTER = ("error", "RotErr", "TransErr", "jump", "stands still", "drift: color")
AROUND_ONE = ("slope", "drift: contrast", "drift: sharpness")

Progress = Callable[[int, int, str], None]


def measure_model(
    renderer: Renderer,
    clips: int,
    seeds: int,
    singers: int,
    seconds: float,
    on_progress: Progress = lambda done, total, text: None,
) -> list[Row]:
    """Per seed `clips` short shots, `singers` close-ups and one standing shot of `seconds`; 0 leaves a kind out.

    on_progress is told shots done, shots in all, and what comes next.
    """
    total, done = seeds * (clips + singers + (seconds > 0)), 0
    per_seed: list[Findings] = []

    def rendered(shots):
        nonlocal done
        for index, shot in enumerate(shots):
            on_progress(done, total, f"seed {len(per_seed) + 1}/{seeds}, {shot.kind}, {len(shot.clip.path)} frames")
            yield shot, render(renderer, shot, seed=1000 * len(per_seed) + index), shot.clip.frames()
            done += 1

    for seed in range(seeds):
        found = Findings()
        for shot, made, truth in rendered(short_shots(seed, clips)):
            found.add_short(shot, made, truth)
        for shot, made, truth in rendered(singing_shots(seed, singers)):
            found.add_singing(shot, made, truth)
        for shot, made, truth in rendered([long_shot(seed, seconds)] if seconds else []):
            found.add_long(shot, made, truth, getattr(renderer, "num_inference_steps", STEPS_UNKNOWN))
        per_seed.append(found)
    on_progress(total, total, "done")
    return rows([found.values() for found in per_seed], pooled_camera(per_seed))


def render(renderer: Renderer, shot: TestShot, seed: int) -> np.ndarray:
    """The model's picture of a shot: (f, h, w, 3) uint8."""
    clip = shot.clip
    return renderer.render(Conditions(clip.prompt, clip.path, clip.audio, Fraction(FPS), *clip.size, seed=seed))


class Findings:
    """What one seed's shots gave; every value is a pair (model, teacher)."""

    def __init__(self):
        self.camera = defaultdict(list)  # axis → (commanded, model, teacher)
        self.pairs = defaultdict(list)  # measure → (model, teacher)

    def add_short(self, shot: TestShot, made: np.ndarray, truth: np.ndarray) -> None:
        clip = shot.clip
        self._camera(shot, made, truth)
        low = clip.audio[:, AUDIO_FEATURES.index("low")]
        light = light_follows(made, low), light_follows(truth, low)
        if light[1] > HEARD:
            self.pairs["light follows the lows"].append(light)
            self.pairs["movement follows the lows"].append((motion_follows(made, low), motion_follows(truth, low)))
        self.pairs["edge energy"].append((edge_energy(made), edge_energy(truth)))
        middle = slice(FRAMES // 2, FRAMES // 2 + 1)
        pose = CameraPath(clip.path.extrinsics[middle], clip.path.intrinsics[middle])
        looks = made[FRAMES // 2], truth[FRAMES // 2]
        casts = cast_seen(looks, clip.directions, pose, clip.audio[middle])
        if casts[1]:
            right = [float(all(asked == seen for asked, seen in cast.values())) for cast in casts]
            self.pairs["cast right"].append(tuple(right))

    def _camera(self, shot: TestShot, made: np.ndarray, truth: np.ndarray) -> None:
        clip = shot.clip
        figure = None
        if clip.directions.action is not None:
            figure = figure_mask(clip.directions, clip.path, clip.audio, *clip.size)
        if shot.kind in TURNING or shot.kind == "static":
            seen = [turn_and_zoom(frames, clip.path.intrinsics[0], figure) for frames in (made, truth)]
            if None in seen:
                return
            if shot.kind == "static":
                self.pairs["stands still: degrees off"].append(
                    tuple(float(np.linalg.norm((s.pan, s.tilt, s.roll))) for s in seen)
                )
            else:
                values = [getattr(s, TURNING[shot.kind]) for s in seen]
                self.camera[shot.kind].append((command(shot.kind, clip.path), *values))
            return
        depth = known_depth(clip.directions, clip.path, clip.audio, truth)
        paths = [recover_path(frames, clip.path, depth, figure) for frames in (made, truth)]
        readable = paths[1] is not None and _close(paths[1], clip.path)
        self.pairs["camera readable"].append((float(readable and paths[0] is not None), float(readable)))
        if not readable or paths[0] is None:
            return
        for axis in axes_of(shot.kind):
            self.camera[axis].append((command(axis, clip.path), *(command(axis, path) for path in paths)))
        errors = [pose_errors(path, clip.path) for path in paths]
        self.pairs["RotErr"].append(tuple(e.rotation for e in errors))
        self.pairs["TransErr"].append(tuple(e.translation for e in errors))

    def add_singing(self, shot: TestShot, made: np.ndarray, truth: np.ndarray) -> None:
        clip = shot.clip
        mouth = clip.audio[:, AUDIO_FEATURES.index("mouth")]
        places = mouth_place(clip.directions, clip.path, clip.audio, *clip.size)
        opening = [mouth_opening(frames, places) for frames in (made, truth)]
        follows = tuple(mouth_follows(o, mouth) for o in opening)
        shut = tuple(closed_share(o, opening[1], mouth) for o in opening)
        for measure, pair in (("mouth follows the voice", follows), ("mouth shut in silence", shut)):
            if np.isfinite(pair).all():
                self.pairs[measure].append(pair)

    def add_long(self, shot: TestShot, made: np.ndarray, truth: np.ndarray, steps: int) -> None:
        column = {name: i for i, name in enumerate(AUDIO_FEATURES)}
        seams = window_seams(
            len(made), steps, shot.clip.audio[:, column["onset"]] + shot.clip.audio[:, column["voice"]]
        )
        self.pairs["jump at seams"].append((seam_jump(made, seams), seam_jump(truth, seams)))
        span = min(bar_frames(), len(made) // 2)
        drifts = [asdict(drift(frames, span)) for frames in (made, truth)]
        for name in drifts[0]:
            self.pairs[f"drift: {name}"].append(tuple(d[name] for d in drifts))

    def values(self) -> dict[str, tuple[float, float]]:
        """measure → (model, teacher)."""
        return self.camera_values() | {measure: tuple(np.mean(p, 0).tolist()) for measure, p in self.pairs.items()}

    def camera_values(self) -> dict[str, tuple[float, float]]:
        values = {}
        for axis in (*TURNING, *TRAVELLING):
            if self.camera[axis]:
                commanded, made, truth = np.array(self.camera[axis]).T
                model, teacher = following(made, commanded), following(truth, commanded)
                values[f"{axis}: correlation"] = model.correlation, teacher.correlation
                values[f"{axis}: slope"] = model.slope, teacher.slope
                # Below a hundredth of the movement the estimator's own error is luck, and so would be a ratio to it.
                least = 0.01 * float(np.sqrt(np.mean(commanded**2)))
                values[f"{axis}: error over teacher's"] = max(model.error, least) / max(teacher.error, least), 1.0
        return values


def pooled_camera(per_seed: list[Findings]) -> dict[str, tuple[float, float]]:
    """measure → (model, teacher) over the shots of all seeds together: of one seed's few, a correlation says little."""
    together = Findings()
    for found in per_seed:
        for axis, shots in found.camera.items():
            together.camera[axis] += shots
    return together.camera_values()


def _close(recovered: CameraPath, path: CameraPath) -> bool:
    """Does the estimator find the teacher's known path, to a third? Where it does not, it cannot judge a model either.

    So the teacher's own figures for travelling are of the readable shots: "camera readable" is their share.
    """
    still = CameraPath(np.repeat(recovered.extrinsics[:1], len(recovered), 0), recovered.intrinsics)
    return pose_errors(recovered, path).translation <= pose_errors(still, path).translation / 3


def rows(
    per_seed: list[dict[str, tuple[float, float]]], pooled: dict[str, tuple[float, float]] | None = None
) -> list[Row]:
    """Seeds' values → the table, in the order in which they were first seen. pooled: what takes the mean's place."""
    measures = dict.fromkeys(measure for values in per_seed for measure in values)
    pooled = pooled or {}
    return [
        _row(measure, np.array([v[measure] for v in per_seed if measure in v]), pooled.get(measure))
        for measure in measures
    ]


def _row(measure: str, pairs: np.ndarray, pooled: tuple[float, float] | None) -> Row:
    values = pairs[:, 0][np.isfinite(pairs[:, 0])]
    name = measure.partition(": ")[2] or measure
    goal = next((goal for key, goal in GOALS.items() if key in (measure, name)), "")
    teacher = float(np.nanmean(pairs[:, 1])) if np.isfinite(pairs[:, 1]).any() else float("nan")
    mean = float(values.mean()) if len(values) else float("nan")
    if pooled is not None:
        mean, teacher = pooled
    if len(values) == 0:
        return Row(measure, mean, float("nan"), teacher, goal)
    if measure.endswith(AROUND_ONE):
        worst = values[np.argmax(np.abs(values - 1))]
    else:
        worst = values.max() if any(word in measure for word in LESS_IS_BETTER) else values.min()
    return Row(measure, mean, float(worst), teacher, goal)
