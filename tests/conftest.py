"""A song, an analysis and a plan small enough to render in no time."""

import wave
from fractions import Fraction

import numpy as np
import pytest
from browsing import browser, home, new_page, page, studio  # noqa: F401 fixtures

from mv.camera import camera_path
from mv.generation import Conditions
from mv.schema import AUDIO_FEATURES, CURVES, Analysis, Section, Shot, Timeline, Transition

SR = 22050


def write_wav(path, samples, sr):
    """samples (n,) or (n, channels) float in -1..1 → 16-bit wav."""
    samples = np.atleast_2d(samples.T).T
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(sr)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def click_samples(seconds=4.0, sr=SR, bpm=120, channels=2):
    """(n, channels): a decaying click on every beat over quiet noise, so that any shift in time shows."""
    rng = np.random.default_rng(7)
    y = 0.01 * rng.standard_normal(round(seconds * sr))
    click = np.exp(-np.arange(sr // 20) / (sr / 200)) * np.sin(2 * np.pi * 880 * np.arange(sr // 20) / sr)
    for beat in range(int(seconds * bpm / 60)):
        at = round(beat * 60 / bpm * sr)
        y[at : at + len(click)] += 0.7 * click[: len(y) - at]
    return np.repeat(y[:, None], channels, 1)


@pytest.fixture(autouse=True, scope="session")
def own_devices(tmp_path_factory):
    """Tests do not wait for a film that this machine renders meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MV_DEVICES", str(tmp_path_factory.mktemp("devices")))
        yield


@pytest.fixture
def click_song(tmp_path):
    """Four seconds of clicks at 120 BPM: a stereo wav."""
    return write_wav(tmp_path / "clicks.wav", click_samples(), SR)


@pytest.fixture
def analysis():
    """What is to be heard in click_song: 120 BPM, four beats a bar, a verse and a chorus of two seconds each."""
    beats = [0.5 * k for k in range(8)]
    curve = [0.25 * (i % 5) for i in range(201)]
    return Analysis(
        title="Clicks",
        duration=4.0,
        tempo=120,
        beats=beats,
        downbeats=beats[::4],
        sections=[
            Section(start=0, duration=2, label="verse", energy=0.3),
            Section(start=2, duration=2, label="chorus", energy=0.9),
        ],
        feature_rate=50,
        features={name: curve for name in CURVES},
    )


@pytest.fixture
def timeline(click_song, tmp_path):
    """Three shots, 96 frames at 24 per second, a cut and a crossfade of 6 + 4 frames."""
    shots = [
        Shot(id="s1", start=0, duration=24, section=0, prompt="wide shot, concert stage", seed=1),
        Shot(id="s2", start=24, duration=24, section=0, prompt="close-up, concert stage", seed=2),
        Shot(
            id="s3",
            start=48,
            duration=48,
            section=1,
            prompt="medium shot, desert",
            seed=3,
            transition=Transition(kind="crossfade", in_offset=6, out_offset=4),
        ),
    ]
    return Timeline(
        title="Clicks",
        song=str(click_song),
        analysis=str(tmp_path / "analysis.json"),
        fps=Fraction(24),
        width=64,
        height=32,
        num_frames=96,
        shots=shots,
    )


def grey(seed, frame):
    """What CountingRenderer paints: a level that tells shot and frame."""
    return 40 + 50 * (seed % 4) + frame % 40


class CountingRenderer:
    """A real, tiny Renderer: every frame is one grey that says which shot and frame it is."""

    name = "counting"
    identity = "1"

    def __init__(self):
        self.rendered = []

    def render(self, conditions, on_progress=lambda share: None, cancelled=lambda: False):
        self.rendered.append(conditions.seed)
        c = conditions
        levels = np.array([grey(c.seed, frame) for frame in range(c.num_frames)], np.uint8)
        on_progress(0.5)
        return np.broadcast_to(levels[:, None, None, None], (c.num_frames, c.height, c.width, 3)).copy()


@pytest.fixture
def renderer():
    return CountingRenderer()


def conditions_of(timeline):
    """Conditions by shot index, without the director."""

    def conditions(index):
        shot = timeline.shots[index]
        start, stop = timeline.span(index)
        path = camera_path(shot.camera, shot.size, stop - start, timeline.width / timeline.height)
        audio = np.zeros((stop - start, len(AUDIO_FEATURES)), np.float32)
        return Conditions(shot.prompt, path, audio, timeline.fps, timeline.width, timeline.height, shot.seed)

    return conditions
