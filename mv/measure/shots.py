"""The shots a model is measured on: plans that no training has seen, every movement in turn."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from mv.camera import camera_path
from mv.schema import AUDIO_FEATURES, CameraMove, MoveKind, ShotSize
from mv.train.data import ASPECTS, FPS, Clip, random_directions, random_music

FRAMES = 25  # of a short shot: one window of the model
KINDS = ("pan", "tilt", "roll", "zoom", "truck", "pedestal", "dolly", "orbit", "crane", "static")
BEATS_A_MINUTE = 120  # of the long shot: a bar is 48 frames


@dataclass(frozen=True)
class TestShot:
    """kind: one of KINDS. clip: its conditions, and the teacher's picture of them."""

    __test__ = False  # pytest: a shot, not a test

    kind: str
    clip: Clip


def short_shots(seed: int, count: int) -> Iterator[TestShot]:
    """Random words and music, the movements in turn, either way, at what a director asks of one second."""
    rng = np.random.default_rng([seed, 0])
    for index in range(count):
        kind = KINDS[index % len(KINDS)]
        ways = [way for way in MoveKind if way.split()[0] == kind]
        move = CameraMove(
            kind=ways[rng.integers(len(ways))],
            amount=float(rng.uniform(0.3, 0.8)),
            azimuth=float(rng.uniform(-25, 25)),
            easing="linear",
        )
        directions = random_directions(rng)
        if kind not in ("zoom", "static"):  # a close-up hides what moves behind it
            directions = replace(directions, size=str(rng.choice([ShotSize.wide, ShotSize.medium])))
        yield TestShot(kind, _clip(directions, move, random_music(rng, FRAMES)[0]))


def singing_shots(seed: int, count: int) -> Iterator[TestShot]:
    """Close-ups of singers: syllables for two thirds of the shot, then silence."""
    rng = np.random.default_rng([seed, 1])
    for _ in range(count):
        directions = replace(random_directions(rng), size="close", action="singing")
        audio = random_music(rng, FRAMES)[0]
        time = np.arange(FRAMES) / FPS
        mouth = np.clip(0.5 + 0.7 * np.sin(2 * np.pi * (rng.uniform(2, 4) * time + rng.random())), 0, 1)
        sung = np.arange(FRAMES) < 2 * FRAMES // 3
        audio[:, AUDIO_FEATURES.index("mouth")] = mouth * sung
        audio[:, AUDIO_FEATURES.index("voice")] = sung
        move = CameraMove(kind=MoveKind.static, azimuth=float(rng.uniform(-20, 20)))
        yield TestShot("static", _clip(directions, move, audio))


def long_shot(seed: int, seconds: float) -> TestShot:
    """A camera that stands, music that repeats every bar: what changes from start to end is drift."""
    rng = np.random.default_rng([seed, 2])
    num_frames = round(seconds * FPS)
    bar = random_music(rng, bar_frames())[0]
    beat = np.arange(num_frames) * BEATS_A_MINUTE / 60 / FPS
    audio = bar[np.arange(num_frames) % len(bar)]
    for period in (1, 2, 4, 8):
        for name, wave in (("sin", np.sin), ("cos", np.cos)):
            audio[:, AUDIO_FEATURES.index(f"{name}{period}")] = wave(2 * np.pi * beat / period)
    return TestShot("static", _clip(random_directions(rng), CameraMove(kind=MoveKind.static), audio))


def bar_frames() -> int:
    """Frames of the long shot's bar of four beats."""
    return round(4 * 60 / BEATS_A_MINUTE * FPS)


def _clip(directions, move: CameraMove, audio: np.ndarray) -> Clip:
    width, height = ASPECTS["16:9"]
    path = camera_path(move, ShotSize(directions.size), len(audio), width / height, fps=FPS)
    return Clip(directions, path, audio, (width, height))
