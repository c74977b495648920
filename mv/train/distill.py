"""Teaches the transformer to take the sampler's few large steps at once, without guidance.

Progressive distillation (Salimans and Ho, arXiv 2202.00512) and guidance distillation (Meng et al., arXiv 2210.03142)
in one: where the student goes from one noise level to the next in a single call, the teacher goes there in SUBSTEPS
guided ones, two calls each. With 4 steps a film needs a quarter of the calls of 8 guided steps.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from mv.pipeline import even_sigmas
from mv.train.export import SHIFT
from mv.train.loop import MuonAdamW, Run, Schedule, launch
from mv.train.transformer import (
    MINI,
    MUON_EXCLUDES,
    Batch,
    Diet,
    LatentFolder,
    Student,
    load_with_copy,
    with_reference,
)

SUBSTEPS = 2
DIET = Diet(image_share=(0.2, 0.2))


@dataclass(frozen=True)
class Lesson:
    """teacher: an exported model, which the student also begins as. steps, guidance: of the sampler that is taught."""

    folder: Path
    latents: Path
    teacher: Path
    schedule: Schedule
    minutes: float
    steps: int = 4
    guidance: float = 2.0


def distill(lesson: Lesson, processes: int) -> None:
    launch(_work, processes, lesson)


def noise_levels(steps: int) -> torch.Tensor:
    """(steps + 1,) from 1 to 0, the sampler's own."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=SHIFT)
    scheduler.set_timesteps(sigmas=even_sigmas(steps))
    return scheduler.sigmas


@torch.no_grad()
def taught_velocity(
    teacher: Student, batch: Batch, noisy: torch.Tensor, start: torch.Tensor, stop: torch.Tensor, guidance: float
) -> torch.Tensor:
    """The one velocity that leads from noise level start (b,) to stop (b,) where the teacher's guided steps lead."""
    x, spread = noisy, lambda t: t.view(-1, 1, 1, 1, 1)
    everything, nothing = torch.ones_like(start), torch.zeros_like(start)
    for k in range(SUBSTEPS):
        here = start + (stop - start) * k / SUBSTEPS
        with torch.autocast(x.device.type, torch.bfloat16):
            told, free = teacher(batch, x, here, everything).float(), teacher(batch, x, here, nothing).float()
        x = x + spread((stop - start) / SUBSTEPS) * (free + guidance * (told - free))
    return (noisy - x) / spread(start - stop)


def _work(rank: int, world_size: int, lesson: Lesson) -> None:
    lesson.folder.mkdir(parents=True, exist_ok=True)
    student, teacher, device = load_with_copy(lesson.teacher)
    optimizer = MuonAdamW(student, lr=3e-4, muon_lr=1e-3, exclude=MUON_EXCLUDES)
    run = Run(lesson.folder, student, optimizer, lesson.schedule, lesson.minutes, rank=rank, world_size=world_size)
    shards = LatentFolder(lesson.latents, MINI["camera_scale"])
    rng, kinds = np.random.default_rng([9, rank, run.step]), np.random.default_rng([10, run.step])
    torch.manual_seed(13 + 1000 * run.step + rank)
    levels = noise_levels(lesson.steps).to(device)
    for _ in run.steps():
        size, length = DIET.draw(kinds, 1.0)
        batch = with_reference(shards.batch(rng, size, length), rng).to(device)
        step = torch.randint(lesson.steps, (size,), device=device)
        start, stop = levels[step], levels[step + 1]
        mixed = start.view(-1, 1, 1, 1, 1)
        noisy = (1 - mixed) * batch.latents + mixed * torch.randn_like(batch.latents)
        wanted = taught_velocity(teacher, batch, noisy, start, stop, lesson.guidance)
        with torch.autocast(device, torch.bfloat16):
            velocity = student(batch, noisy, start, torch.ones_like(start))
        loss = (batch.weights() * (velocity.float() - wanted) ** 2).mean()
        run.update(loss)
        run.note(loss=loss.item())
        run.report(50)
