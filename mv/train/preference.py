"""Preference tuning by Flow-DPO: best and worst of several films of one shot, and a loss that leans to the best.

After Liu et al., "Improving Video Generation with Human Feedback" (arXiv 2501.13918), as YingVideo-MV uses it; there
people's taste is scored by networks, here by what a music video must do: follow the camera, move the mouth with the
voice, look like the place and the cast it was told, and be sharp.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from mv.generation import Conditions
from mv.measure.motion import camera_motion
from mv.measure.mouth import mouth_follows, mouth_opening
from mv.measure.sharpness import edge_energy
from mv.pipeline import DiffusionRenderer
from mv.schema import AUDIO_FEATURES
from mv.train.data import FPS, Clip, sample_clip
from mv.train.loop import MuonAdamW, Run, Schedule, launch
from mv.train.transformer import (
    MINI,
    MUON_EXCLUDES,
    Batch,
    Student,
    flow_loss,
    load_with_copy,
    read_channels,
    read_shard,
    shard_row,
    window_of,
    write_channels,
    write_shard,
)
from mv.world.render import layout, mouth_place

FRAMES = 17  # of a film that is judged: five latent frames
SHARD = 25  # shots a file
# How much of each reward counts as much as one of another.
PICTURE, MOTION, MOUTH, SHARP = 0.02, 0.02, 0.3, 0.5


def reward(frames: np.ndarray, truth: np.ndarray, clip: Clip) -> float:
    """The higher the better: camera and mouth as commanded, pictures like the teacher's when seen small, and sharp.

    frames, truth (f, h, w, 3) uint8.
    """
    small = lambda film: np.stack([cv2.resize(f, None, fx=1 / 8, fy=1 / 8, interpolation=cv2.INTER_AREA) for f in film])
    difference = np.abs(small(frames).astype(np.float32) - small(truth)).mean() / 255
    score = -difference / PICTURE
    made, told = camera_motion(frames), camera_motion(truth)
    if made is not None and told is not None:
        error = np.hypot(made.shift_x - told.shift_x, made.shift_y - told.shift_y) + abs(
            made.log_scale - told.log_scale
        )
        score -= min(error / MOTION, 5.0)
    places = mouth_place(clip.directions, clip.path, clip.audio, *clip.size) if clip.directions.action else None
    if places is not None:
        follows = mouth_follows(mouth_opening(frames, places), clip.audio[:, AUDIO_FEATURES.index("mouth")])
        score += follows / MOUTH if np.isfinite(follows) else 0.0
    # Sharper than the teacher is no better; and softness must not outweigh everything else.
    return float(score + np.clip(np.log(max(edge_energy(frames), 1e-3) / edge_energy(truth)), -1.5, 0.0) / SHARP)


def sample_pairs(renderer: DiffusionRenderer, folder: Path, shards: int, seed: int, samples: int = 4) -> None:
    """Write shards of shots with the latents of their best and worst film of `samples`; those that exist stay."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(shards):
        name = folder / f"{seed:03d}-{index:04d}.npz"
        if name.exists():
            continue
        rng, rows = np.random.default_rng([15, seed, index]), []
        for _ in range(SHARD):
            clip = sample_clip(rng, FRAMES)
            told = Conditions(clip.prompt, clip.path, clip.audio, Fraction(FPS), *clip.size, seed=0)
            truth, films = clip.frames(), []
            for _ in range(samples):
                latents = renderer.latents(told, int(rng.integers(1 << 31)))
                films.append((reward(renderer.pipeline.decode_latents(latents, FRAMES), truth, clip), latents))
            films.sort(key=lambda film: film[0])
            best, worst = (film[1][0].permute(1, 0, 2, 3).half().numpy() for film in (films[-1], films[0]))
            maps = layout(clip.directions, clip.path, clip.audio, 2 * best.shape[-1], 2 * best.shape[-2])
            gain = films[-1][0] - films[0][0]
            rows.append(dict(latents=best, worse=worst, gain=np.float32(gain), **shard_row(clip, maps)))
        write_shard(name, rows)
        write_channels(folder, renderer.pipeline.vae, np.stack([row["latents"] for row in rows]))
        print(f"pairs: {name.name}, mean gain {np.mean([row['gain'] for row in rows]):.2f}", flush=True)


def preference_loss(
    student: Student, first: Student, batch: Batch, worse: torch.Tensor, t: torch.Tensor, beta: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """-log σ(-β/2 · (what the student lost on the better minus what it lost on the worse)), losses against the model it
    began as. Also the share of pairs it already prefers rightly. The same noise is mixed into both."""
    noise, keep = torch.randn_like(batch.latents), torch.ones_like(t)
    films = [batch, Batch(**{**batch.__dict__, "latents": worse})]
    lost = [flow_loss(student, film, t, noise, keep) for film in films]
    with torch.no_grad():
        began = [flow_loss(first, film, t, noise, keep) for film in films]
    margin = (lost[0] - began[0]) - (lost[1] - began[1])
    return -F.logsigmoid(-0.5 * beta * margin).mean(), (margin < 0).float().mean()


@dataclass(frozen=True)
class Tuning:
    """begun: the exported model that is tuned, and that it is held to. beta: how closely it is held."""

    folder: Path
    pairs: Path
    begun: Path
    schedule: Schedule
    minutes: float
    beta: float = 200.0
    batch: int = 4


def tune(tuning: Tuning, processes: int) -> None:
    launch(_work, processes, tuning)


def _work(rank: int, world_size: int, tuning: Tuning) -> None:
    tuning.folder.mkdir(parents=True, exist_ok=True)
    student, first, device = load_with_copy(tuning.begun)
    optimizer = MuonAdamW(student, lr=2e-5, muon_lr=1e-4, exclude=MUON_EXCLUDES)
    run = Run(tuning.folder, student, optimizer, tuning.schedule, tuning.minutes, rank=rank, world_size=world_size)
    channels = read_channels(tuning.pairs)
    shards = [read_shard(name) for name in sorted(tuning.pairs.glob("*.npz"))]
    rng = np.random.default_rng([16, rank, run.step])
    torch.manual_seed(17 + 1000 * run.step + rank)
    for _ in run.steps():
        rows = [(shards[rng.integers(len(shards))], rng.integers(SHARD)) for _ in range(tuning.batch)]
        windows = [window_of(shard, i, 0, shard["latents"].shape[1], MINI["camera_scale"]) for shard, i in rows]
        maps = [torch.cat([w[k] for w in windows]) for k in range(4)]
        batch = Batch(*maps, [w[4] for w in windows], channels).to(device)
        worse = torch.from_numpy(np.stack([shard["worse"][i] for shard, i in rows]).astype(np.float32)).transpose(1, 2)
        t = torch.sigmoid(torch.randn(tuning.batch, device=device) + 0.4)
        loss, right = preference_loss(student, first, batch, worse.to(device), t, tuning.beta)
        run.update(loss)
        run.note(loss=loss.item(), prefers_rightly=right.item())
        run.report(25)
