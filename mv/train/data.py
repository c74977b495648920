"""Training shots: random words, camera and music; the stage world paints the truth.

Nothing is stored that a seed cannot make again. A clip is a window of a longer shot, as the sampler will meet it.
"""

from dataclasses import dataclass

import numpy as np

from mv.camera import CameraPath, camera_path
from mv.schema import CURVES, CameraMove, MoveKind, ShotSize, with_phases
from mv.world.render import draw
from mv.world.vocabulary import (
    ACTIONS,
    HAIR_COLORS,
    HAIR_STYLES,
    OUTFIT_COLORS,
    OUTFITS,
    PALETTES,
    SCENES,
    SKINS,
    TIMES,
    Directions,
    Look,
    describe,
)

FPS = 24
ASPECTS = {"16:9": (512, 288), "9:16": (288, 512), "1:1": (384, 384)}


@dataclass(frozen=True)
class Clip:
    """The conditions of f frames; `frames()` paints them."""

    directions: Directions
    path: CameraPath
    audio: np.ndarray  # (f, len(AUDIO_FEATURES)) float32
    size: tuple[int, int]  # width, height in pixels

    @property
    def prompt(self) -> str:
        return describe(self.directions)

    def frames(self) -> np.ndarray:
        """(f, height, width, 3) uint8 RGB."""
        return draw(self.directions, self.path, self.audio, *self.size)


def sample_clip(rng: np.random.Generator, num_frames: int, aspect: str = "16:9") -> Clip:
    """A window of num_frames out of a random shot of 1.5 to 6 seconds."""
    directions = random_directions(rng)
    length = max(num_frames, round(rng.uniform(1.5, 6.0) * FPS))
    start = rng.integers(0, length - num_frames + 1)
    audio, accents = random_music(rng, length)
    width, height = ASPECTS[aspect]
    path = camera_path(
        random_move(rng, length / FPS),
        ShotSize(directions.size),
        length,
        width / height,
        accents,
        int(rng.integers(1 << 31)),
        FPS,
    )
    window = slice(start, start + num_frames)
    return Clip(
        directions, CameraPath(path.extrinsics[window], path.intrinsics[window]), audio[window], (width, height)
    )


def random_directions(rng: np.random.Generator) -> Directions:
    """Every word equally likely, but for one empty scene in eight and no close-up of nobody."""
    look = Look(*(pick(rng, table) for table in (SKINS, HAIR_STYLES, HAIR_COLORS, OUTFITS, OUTFIT_COLORS)))
    size = str(rng.choice(list(ShotSize), p=[0.34, 0.36, 0.30]))
    action = None if size != "close" and rng.random() < 0.18 else pick(rng, ACTIONS)
    return Directions(pick(rng, SCENES), pick(rng, TIMES), pick(rng, PALETTES), size, action, look)


def pick(rng: np.random.Generator, table: dict[str, object]) -> str:
    return str(rng.choice(list(table)))


def random_move(rng: np.random.Generator, seconds: float) -> CameraMove:
    """Orbits, rolls and zooms come twice as often as the rest: they are the last to be learned."""
    kinds = list(MoveKind)
    weights = np.array([2.0 if k.split()[0] in ("orbit", "roll", "zoom", "dolly") else 1.0 for k in kinds])
    return CameraMove(
        kind=kinds[rng.choice(len(kinds), p=weights / weights.sum())],
        amount=float(np.clip(rng.uniform(0.3, 1.3) * min(1.2, seconds / 2.5), 0, 2)),
        easing="smooth" if rng.random() < 0.7 else "linear",
        beat=float(rng.choice([0.0, rng.uniform(0, 1)])),
        azimuth=float(rng.uniform(-40, 40)),
    )


def random_music(rng: np.random.Generator, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Invented music on the frame grid: (f, len(AUDIO_FEATURES)) and the beat accents (f,).

    Kicks on the beat, hats off it, a slow middle, a voice of syllables; each sometimes silent, loud or erratic, so that
    the model follows what it is given rather than the habit of a genre.
    """
    t = np.arange(num_frames) / FPS
    beat = rng.uniform(0, 8) + t * rng.uniform(70, 180) / 60
    phase, energy = beat % 1, rng.uniform(0.15, 1.0)
    level = lambda: rng.choice([0.0, rng.uniform(0.3, 1.0), 1.0], p=[0.12, 0.58, 0.30])
    decay = rng.uniform(3, 8)
    low = np.exp(-decay * phase) * level() * (0.4 + 0.6 * energy)
    if rng.random() < 0.25:  # a bass line rather than a kick
        low = np.clip(0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.3, 3) * t + rng.uniform(0, 6.28)), 0, 1) * level()
    high = np.exp(-decay * ((beat * rng.choice([1, 2]) + 0.5) % 1)) * level()
    mid = np.clip(0.45 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.2, 1.2) * t + rng.uniform(0, 6.28)), 0, 1) * level()
    voice, mouth = _random_voice(rng, t)
    onset = np.maximum(low, 0.6 * high)
    curves = dict(low=low, mid=mid, high=high, onset=onset, voice=voice, mouth=mouth)
    curves |= dict(energy=np.full(num_frames, energy), brightness=np.full(num_frames, rng.uniform(0, 1)))
    accents = np.exp(-phase / 0.25 * 60 / 120)
    return with_phases(np.stack([curves[name] for name in CURVES], 1), beat), accents


def _random_voice(rng: np.random.Generator, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kind = rng.choice(["silent", "held", "syllables"], p=[0.3, 0.2, 0.5])
    if kind == "silent":
        return np.zeros_like(t), np.zeros_like(t)
    if kind == "held":
        return np.ones_like(t), np.full_like(t, rng.uniform(0.2, 1))
    rate, offset = rng.uniform(1.5, 5), rng.uniform(0, 6.28)
    mouth = np.clip(rng.uniform(0.2, 0.6) + 0.7 * np.sin(2 * np.pi * rate * t + offset), 0, 1)
    return np.ones_like(t), mouth
