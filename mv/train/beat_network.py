"""Trains the beat network on composed pieces, each time heard in another mix, room, pitch and tempo."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.signal import lfilter
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
    pace = np.clip(np.exp(rng.normal(0, 0.14)) * bend(rng), SLOWEST / tempo, FASTEST / tempo)
    total = lesson.bands.shape[1]
    passed = np.concatenate([[0.0], np.cumsum(pace)[:-1]])
    at = rng.uniform(0, max(1.0, total - passed[-1])) + passed
    loud, chroma = (_at(x, at, floor) for x, floor in ((lesson.bands, QUIETEST), (lesson.chroma, 2 * QUIETEST)))
    targets = _targets(lesson, at)
    sound = mix(loud, chroma, rng)
    if rng.random() < NO_MUSIC:
        sound, targets = no_music(sound, rng), np.zeros_like(targets)
    return normalised(recorded(sound, rng)), targets


def bend(rng: np.random.Generator) -> np.ndarray:
    """(FRAMES,) about 1: how the pace changes within an excerpt; mostly not at all."""
    place, fate = np.linspace(0, 1, FRAMES), rng.random()
    if fate < 0.2:  # from one tempo to another
        begin, length = rng.uniform(-0.2, 0.8), rng.uniform(0.15, 0.8)
        return np.exp(rng.normal(0, 0.16) * np.clip((place - begin) / length, 0, 1))
    if fate < 0.4:  # a band without a click, or rubato
        waves = sum(rng.normal() * np.sin(2 * np.pi * (rng.uniform(0.5, 8) * place + rng.random())) for _ in range(2))
        return np.exp(rng.uniform(0.005, 0.04) * waves)
    return np.ones(FRAMES)


def _at(x: np.ndarray, at: np.ndarray, outside: float) -> np.ndarray:
    """(2, len(at), c): rows of x (2, t, c) at fractional rows; `outside` where there are none."""
    low = np.clip(at.astype(int), 0, x.shape[1] - 2)
    share = (at - low)[:, None].astype(np.float32)
    rows = (1 - share) * x[:, low] + share * x[:, low + 1]
    rows[:, at > x.shape[1] - 1] = outside
    return rows.astype(np.float32)


def _targets(lesson: Lesson, at: np.ndarray) -> np.ndarray:
    """(FRAMES, 2). at (FRAMES,): which frame of the lesson is heard."""
    targets = np.zeros((FRAMES, 2), np.float32)
    frames = np.round(np.interp(lesson.beats * NETWORK_RATE, at, np.arange(FRAMES), -9, -9)).astype(int)
    for column, chosen in ((0, frames), (1, frames[lesson.positions == 1])):
        for offset, value in ((-1, NEIGHBOUR), (1, NEIGHBOUR), (0, 1.0)):
            near = chosen + offset
            targets[near[(near >= 0) & (near < FRAMES)], column] = value
    return targets


# ---------------------------------------------------------------- mixes


def mix(loud: np.ndarray, chroma: np.ndarray, rng: np.random.Generator) -> Bands:
    """Drums and the rest at other levels and in other colours, one ducking or masking the other, now and then one
    without the other; other keys."""
    gains = rng.normal(0, 0.5, 2)  # natural logarithm: 4 dB
    fate = rng.random()
    if loud.max((1, 2)).min() > AUDIBLE:
        if fate < 0.12:
            gains[0 if fate < 0.08 else 1] = QUIETEST
        drums, rest = np.exp(loud)
        if rng.random() < 0.3:
            rest = flattened(rest, rng)
        if rng.random() < 0.2:
            rest = ducked(rest, drums, rng)
        if rng.random() < 0.3:
            drums = echoing(drums, rng)
        loud = np.log(np.maximum([drums, rest], np.exp(QUIETEST)))
    colours = np.stack([colour(rng, 0.35) for _ in gains])[:, None]
    power = np.exp(2 * (loud + colours + gains[:, None, None])).sum(0)
    harmony = np.exp(chroma + 2 * gains[:, None, None]).sum(0)
    shift = int(rng.integers(-3, 4))
    magnitudes = np.roll(np.sqrt(power), shift, axis=1)
    if shift > 0:
        magnitudes[:, :shift] = magnitudes[:, shift : shift + 1]
    elif shift < 0:
        magnitudes[:, shift:] = magnitudes[:, shift - 1 : shift]
    return Bands(magnitudes, np.roll(harmony, int(rng.integers(12)), axis=1))


def colour(rng: np.random.Generator, strength: float) -> np.ndarray:
    """(BANDS,) natural logarithm: a smooth equaliser."""
    place = np.linspace(0, np.pi, BANDS)
    return sum(rng.normal(0, strength) * np.cos(k * place + rng.uniform(0, np.pi)) for k in (1, 2, 3))


def flattened(rest: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A wall of guitars: compressed until its own rhythm is hardly heard."""
    level = rest.mean(1, keepdims=True)
    held = gaussian_filter1d(maximum_filter1d(level, int(rng.integers(3, 25)), axis=0), 3, axis=0)
    return rest * (held.mean() / (held + 0.02 * held.mean() + 1e-9)) ** rng.uniform(0.4, 0.95)


def ducked(rest: np.ndarray, drums: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Pumping: what is not drums steps back under every kick."""
    kick = drums[:, : BANDS // 8].mean(1)
    push = lfilter([1.0], [1.0, -np.exp(-1 / (rng.uniform(0.05, 0.25) * NETWORK_RATE))], kick)
    push /= max(float(np.percentile(push, 95)), 1e-9)
    return rest * np.exp(-rng.uniform(0.3, 2.0) * np.minimum(push, 1))[:, None]


def echoing(magnitudes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(t, BANDS) in a room: each moment dies away, exponentially in power, the highs sooner."""
    seconds = rng.uniform(0.03, 0.35)  # to 1/e; a hall has about 0.3
    wet = 10 ** rng.uniform(-1.5, 0.3) * np.exp(-rng.uniform(0, 2) * np.linspace(0, 1, BANDS))
    fall = np.exp(-1 / (seconds * NETWORK_RATE))
    tail = lfilter([0.0, 1 - fall], [1.0, -fall], magnitudes**2, axis=0)
    return np.sqrt(magnitudes**2 + wet * tail)


def recorded(sound: Bands, rng: np.random.Generator) -> Bands:
    """Equalised, in a room, compressed, with noise and clicks, without its highs or lows, or as a lossy codec leaves
    it; or left alone."""
    magnitudes = sound.magnitudes
    level = magnitudes.mean()
    magnitudes = magnitudes * np.exp(colour(rng, 0.45))
    if rng.random() < 0.25:
        magnitudes = echoing(magnitudes, rng)
    if rng.random() < 0.5:
        loudness = np.log(magnitudes.mean(1) + 0.03 * level)
        width = rng.uniform(1, 12)  # network frames: a limiter or a slow compressor
        magnitudes = magnitudes * np.exp(-rng.uniform(0.1, 0.7) * gaussian_filter1d(loudness, width))[:, None]
        magnitudes *= level / max(float(magnitudes.mean()), 1e-9)
    if rng.random() < 0.4:
        tint = np.exp(rng.normal(0, 0.8) * np.cos(np.linspace(0, np.pi, BANDS)))
        hiss = level * 10 ** rng.uniform(-2.5, -0.3) * tint
        magnitudes = np.sqrt(magnitudes**2 + (hiss * rng.rayleigh(0.8, magnitudes.shape)) ** 2)
    if rng.random() < 0.1:  # vinyl
        clicked = rng.random(len(magnitudes)) < rng.uniform(0.01, 0.08)
        magnitudes = magnitudes + clicked[:, None] * level * rng.uniform(0.3, 2) * rng.random((len(magnitudes), 1))
    if rng.random() < 0.15:  # what a codec takes for masked it leaves out
        around = maximum_filter1d(magnitudes, 9, axis=1)
        magnitudes = np.where(magnitudes < rng.uniform(0.02, 0.2) * around, 0.1 * magnitudes, magnitudes)
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
