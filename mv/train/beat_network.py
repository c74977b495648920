"""Trains the beat network on composed pieces, each time heard in another mix, room, pitch and tempo."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter1d
from torch.nn.functional import binary_cross_entropy_with_logits

from mv.analysis.network import BANDS, NETWORK_RATE, Bands, BeatNetwork, Shape, config, normalised
from mv.schema import write_atomically
from mv.train.composer import FASTEST, SLOWEST
from mv.train.loop import MuonAdamW, Run, Schedule
from mv.train.pieces import QUIETEST, Lesson, read_lesson

FRAMES = 1200  # network frames of an excerpt, 28 s
BATCH = 4
NEIGHBOUR = 0.5  # target on the frames beside a beat's
DOWNBEAT_WEIGHT = 1.5  # of its loss beside the beat's: there are fewer of them
AUDIBLE = -9.0  # logarithm of a magnitude: a part that is never louder is not there
NO_MUSIC = 0.04  # share of excerpts without any beat


@dataclass(frozen=True)
class Course:
    folder: Path
    schedule: Schedule
    minutes: float


def train(course: Course, files: list[Path]) -> BeatNetwork:
    """Resumes in course.folder; returns the network with its averaged weights."""
    course.folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = BeatNetwork(Shape()).to(memory_format=torch.channels_last)
    optimizer = MuonAdamW(network, lr=2e-3, muon_lr=2e-3, exclude=("first", "head"))
    run = Run(course.folder, network, optimizer, course.schedule, course.minutes)
    torch.manual_seed(run.step)
    rng = np.random.default_rng([21, run.step])
    lessons = [read_lesson(file) for file in files]
    for _ in run.steps(save_every=50):
        drawn = [excerpt(lessons[int(i)], rng) for i in rng.integers(len(lessons), size=BATCH)]
        x, wanted = (torch.from_numpy(np.stack(column)) for column in zip(*drawn))
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(x).float()
        losses = binary_cross_entropy_with_logits(logits, wanted, reduction="none").mean((0, 1))
        run.update(losses[0] + DOWNBEAT_WEIGHT * losses[1])
        run.note(loss_beat=losses[0].item(), loss_downbeat=losses[1].item())
        run.report(50)
    network.load_state_dict(run.averaged.weights)
    return network.eval()


def write_network(network: BeatNetwork, target: Path) -> None:
    """config.json and model.safetensors, half precision."""
    target.mkdir(parents=True, exist_ok=True)
    halves = {key: v.half().contiguous() for key, v in network.state_dict().items()}
    temporary = target / "model.part"
    save_file(halves, temporary)
    temporary.replace(target / "model.safetensors")
    write_atomically(target / "config.json", config(network.shape).encode())


# ---------------------------------------------------------------- excerpts


def excerpt(lesson: Lesson, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """(FRAMES, BANDS + CHROMA) as the network is given it, and its targets (FRAMES, 2)."""
    tempo = 60 / float(np.median(np.diff(lesson.beats)))
    pace = float(np.clip(np.exp(rng.normal(0, 0.14)), SLOWEST / tempo, FASTEST / tempo))
    total = lesson.bands.shape[1]
    start = rng.uniform(0, max(1.0, total - pace * FRAMES))
    at = start + pace * np.arange(FRAMES)
    loud, chroma = (_at(x, at, floor) for x, floor in ((lesson.bands, QUIETEST), (lesson.chroma, 2 * QUIETEST)))
    targets = _targets(lesson, start, pace)
    sound = mix(loud, chroma, rng)
    if rng.random() < NO_MUSIC:
        sound, targets = no_music(sound, rng), np.zeros_like(targets)
    return normalised(recorded(sound, rng)), targets


def _at(x: np.ndarray, at: np.ndarray, outside: float) -> np.ndarray:
    """(2, len(at), c): rows of x (2, t, c) at fractional rows; `outside` where there are none."""
    low = np.clip(at.astype(int), 0, x.shape[1] - 2)
    share = (at - low)[:, None].astype(np.float32)
    rows = (1 - share) * x[:, low] + share * x[:, low + 1]
    rows[:, at > x.shape[1] - 1] = outside
    return rows.astype(np.float32)


def _targets(lesson: Lesson, start: float, pace: float) -> np.ndarray:
    targets = np.zeros((FRAMES, 2), np.float32)
    frames = np.round((lesson.beats * NETWORK_RATE - start) / pace).astype(int)
    for column, chosen in ((0, frames), (1, frames[lesson.positions == 1])):
        for offset, value in ((-1, NEIGHBOUR), (1, NEIGHBOUR), (0, 1.0)):
            near = chosen + offset
            targets[near[(near >= 0) & (near < FRAMES)], column] = value
    return targets


def mix(loud: np.ndarray, chroma: np.ndarray, rng: np.random.Generator) -> Bands:
    """Drums and the rest at other levels, now and then one without the other; other keys."""
    gains = rng.normal(0, 0.5, 2)  # natural logarithm: 4 dB
    fate = rng.random()
    if loud.max((1, 2)).min() > AUDIBLE and fate < 0.12:
        gains[0 if fate < 0.08 else 1] = QUIETEST
    power = np.exp(2 * (loud + gains[:, None, None])).sum(0)
    harmony = np.exp(chroma + 2 * gains[:, None, None]).sum(0)
    shift = int(rng.integers(-3, 4))
    magnitudes = np.roll(np.sqrt(power), shift, axis=1)
    if shift > 0:
        magnitudes[:, :shift] = magnitudes[:, shift : shift + 1]
    elif shift < 0:
        magnitudes[:, shift:] = magnitudes[:, shift - 1 : shift]
    return Bands(magnitudes, np.roll(harmony, int(rng.integers(12)), axis=1))


def recorded(sound: Bands, rng: np.random.Generator) -> Bands:
    """Equalised, compressed, with noise, without its highs or lows; or left alone."""
    magnitudes, place = sound.magnitudes, np.linspace(0, np.pi, BANDS)
    level = magnitudes.mean()
    curve = sum(rng.normal(0, 0.45) * np.cos(k * place + rng.uniform(0, np.pi)) for k in (1, 2, 3))
    magnitudes = magnitudes * np.exp(curve)
    if rng.random() < 0.5:
        loudness = np.log(magnitudes.mean(1) + 0.03 * level)
        width = rng.uniform(1, 12)  # network frames: a limiter or a slow compressor
        magnitudes = magnitudes * np.exp(-rng.uniform(0.1, 0.7) * gaussian_filter1d(loudness, width))[:, None]
        magnitudes *= level / max(float(magnitudes.mean()), 1e-9)
    if rng.random() < 0.4:
        hiss = level * 10 ** rng.uniform(-2.5, -0.3) * np.exp(rng.normal(0, 0.8) * np.cos(place))
        magnitudes = np.sqrt(magnitudes**2 + (hiss * rng.rayleigh(0.8, magnitudes.shape)) ** 2)
    if rng.random() < 0.25:
        edge, upwards = rng.uniform(0.45, 1.0) * BANDS, rng.random() < 0.75
        edge = edge if upwards else 0.2 * edge
        slope = 1 / (1 + np.exp((np.arange(BANDS) - edge) / 1.5))
        magnitudes = magnitudes * (slope if upwards else 1 - slope)
    return Bands(magnitudes, sound.chroma)


def no_music(sound: Bands, rng: np.random.Generator) -> Bands:
    """Noise of the sound's colour, or one moment of it held, or syllables at odd times: nothing that beats."""
    t = len(sound.magnitudes)
    colour, kind = sound.magnitudes.mean(0), rng.random()
    if kind < 0.4:
        magnitudes = colour * rng.rayleigh(0.8, (t, BANDS))
    elif kind < 0.6:
        magnitudes = sound.magnitudes[int(rng.integers(t))] * rng.rayleigh(0.8, (t, BANDS)) ** rng.uniform(0, 0.3)
    else:
        lengths = rng.gamma(2.0, 0.12 * NETWORK_RATE, 2 * t).astype(int) + 2
        syllable = np.repeat(np.arange(len(lengths)), lengths)[:t]
        moments = rng.integers(t, size=len(lengths))
        fall = np.exp(-np.concatenate([np.arange(n) for n in lengths])[:t] / (0.1 * NETWORK_RATE))
        magnitudes = sound.magnitudes[moments[syllable]] * fall[:, None]
    return Bands(magnitudes, np.broadcast_to(sound.chroma.mean(0), sound.chroma.shape))
