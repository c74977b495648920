"""How well a model does what it is told: camera and light, beside its teacher through the same estimator.

    python bench/model.py --model mv-mini --clips 40

Plans are random and not from training. For each kind of movement: correlation and slope of the model's motion against
the teacher's (the stage world's own picture of the same shot), and the same for the light on the beat.
"""

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

AXES = {"pan": "shift_x", "truck": "shift_x", "tilt": "shift_y", "pedestal": "shift_y", "dolly": "log_scale",
        "zoom": "log_scale", "roll": "turn", "orbit": "shift_x"}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="mv-mini")
    parser.add_argument("--clips", type=int, default=40, help="shots of 25 frames")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument("--seed", type=int, default=12345)
    print(report(**vars(parser.parse_args())))


def report(model: str, clips: int, steps: int | None, seed: int) -> str:
    from mv.measure.motion import camera_motion, light_follows
    from mv.model.catalog import load_renderer
    from mv.schema import AUDIO_FEATURES

    renderer = load_renderer(model, steps)
    rng = np.random.default_rng(seed)
    pairs, light, sharpness = defaultdict(list), [], []
    for index in range(clips):
        kind, clip = pick_shot(rng, index)
        made, truth = renderer.render(conditions(clip, index)), clip.frames()
        a, b = camera_motion(made), camera_motion(truth)
        if a and b:
            axis = AXES[kind]
            pairs[kind].append((getattr(b, axis), getattr(a, axis)))
        low = clip.audio[:, AUDIO_FEATURES.index("low")]
        light.append((light_follows(truth, low), light_follows(made, low)))
        sharpness.append((edges(truth), edges(made)))
    return table(pairs, np.array(light), np.array(sharpness))


def pick_shot(rng: np.random.Generator, index: int):
    """A random shot of 25 frames whose movement is the next of AXES, either way."""
    from mv.camera import camera_path
    from mv.schema import CameraMove, MoveKind, ShotSize
    from mv.train.data import FPS, Clip, random_directions, random_music

    kind = list(AXES)[index % len(AXES)]
    move = CameraMove(
        kind=str(rng.choice([k for k in MoveKind if k.startswith(kind)])), amount=float(rng.uniform(0.3, 0.9)),
        azimuth=float(rng.uniform(-25, 25)), easing="linear",
    )  # fmt: skip
    directions = random_directions(rng)
    audio, _ = random_music(rng, 25)
    path = camera_path(move, ShotSize(directions.size), 25, 16 / 9, fps=FPS)
    return kind, Clip(directions, path, audio, (512, 288))


def conditions(clip, seed: int):
    from fractions import Fraction

    from mv.generation import Conditions

    return Conditions(clip.prompt, clip.path, clip.audio, Fraction(24), *clip.size, seed=seed)


def edges(frames: np.ndarray) -> float:
    import cv2

    return float(np.mean([cv2.Laplacian(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY), cv2.CV_32F).var() for f in frames[::6]]))


def table(pairs, light: np.ndarray, sharpness: np.ndarray) -> str:
    lines = ["movement      n   correlation   slope"]
    for kind, values in sorted(pairs.items()):
        x, y = np.array(values).T
        slope = (x * y).sum() / (x * x).sum()
        correlation = np.corrcoef(x, y)[0, 1] if len(x) > 2 else float("nan")
        lines.append(f"{kind:12s} {len(x):3d}   {correlation:11.2f}   {slope:5.2f}")
    heard = light[:, 0] > 0.3  # shots whose light answers to the lows at all
    follows = f"model {light[heard, 1].mean():.2f}, teacher {light[heard, 0].mean():.2f}"
    lines.append(f"light on the lows: {follows} ({heard.sum()} shots)")
    lines.append(f"edge energy: {sharpness[:, 1].sum() / sharpness[:, 0].sum():.2f} of the teacher's")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
