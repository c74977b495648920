"""Timestep-aware dynamic windows: how a shot longer than the model's window is denoised.

At every denoising step the whole latent is covered by overlapping windows whose grid shifts from step to step, so every
latent frame meets changing neighbours; the windows' predictions (not samples) are blended, and one scheduler step is
taken on the whole. After YingVideo-MV (arXiv 2512.02492), Algorithm 1, with its faults mended; `paper_windows` keeps
the printed algorithm for comparison. Latent frames, half-open intervals.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mv.errors import InputError

Window = tuple[int, int]


@dataclass(frozen=True)
class WindowSpec:
    """size: latent frames the model was trained on; overlap: least shared by neighbours; least: shortest window;
    shift: how far the grid moves each step (made coprime with the number of offsets, so that all are visited)."""

    size: int = 9
    overlap: int = 2
    least: int = 5
    shift: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.least <= self.size:
            raise InputError(
                f"windows: expected 0 <= overlap < least <= size, got {self.overlap}, {self.least}, {self.size}"
            )

    @property
    def offsets(self) -> int:
        """How many grids there are: the first window may end at size, size - 1, ... least."""
        return self.size - self.least + 1


def plan_windows(length: int, offset: int, spec: WindowSpec) -> list[Window]:
    """Windows covering [0, length), the first ending at size - offset; a short tail grows backwards to `least`."""
    if length <= spec.size:
        return [(0, length)]
    stop = spec.size - offset
    windows = [(0, stop)]
    while stop < length:
        start = stop - spec.overlap
        stop = min(start + spec.size, length)
        windows.append((max(0, min(start, stop - spec.least)), stop))
    return windows


def offset_sequence(length: int, steps: int, spec: WindowSpec, activity: np.ndarray | None = None) -> list[int]:
    """The grid of every step.

    Without music: a stride coprime with the number of offsets visits each once a round. With activity (length,) >= 0,
    how much is going on in each latent frame (onsets, voice): of the offsets not yet used in a round the one whose
    window edges fall where least is going on, so that seams lie in the quiet. The paper's abstract promises this; its
    algorithm has no such step.
    """
    if length <= spec.size:
        return [0] * steps
    ring = spec.offsets
    if activity is None:
        stride = next(k for k in range(max(1, spec.shift), spec.shift + ring + 1) if math.gcd(k, ring) == 1)
        return [(step * stride) % ring for step in range(steps)]
    cost = [sum(float(activity[stop - 1]) for _, stop in plan_windows(length, o, spec)[:-1]) for o in range(ring)]
    order = sorted(range(ring), key=lambda o: (cost[o], o))
    return [order[step % ring] for step in range(steps)]


def blend_weights(windows: list[Window], length: int) -> list[torch.Tensor]:
    """One weight per frame of each window: a trapezoid over its true overlaps, summing to one on every frame."""
    weights = []
    for i, (start, stop) in enumerate(windows):
        weight = torch.ones(stop - start)
        if i:
            shared = windows[i - 1][1] - start
            weight[:shared] *= torch.arange(1, shared + 1) / (shared + 1)
        if i + 1 < len(windows):
            shared = stop - windows[i + 1][0]
            weight[len(weight) - shared :] *= torch.arange(shared, 0, -1) / (shared + 1)
        weights.append(weight)
    total = torch.zeros(length)
    for (start, stop), weight in zip(windows, weights):
        total[start:stop] += weight
    return [weight / total[start:stop] for (start, stop), weight in zip(windows, weights)]


def blended_velocity(
    predict,
    latents: torch.Tensor,
    windows: list[Window],
    done: int = 0,
    velocity: torch.Tensor | None = None,
    after: Callable[[int, torch.Tensor], None] = lambda done, velocity: None,
) -> torch.Tensor:
    """predict(latents[:, :, start:stop], start, stop) on every window, blended; latents (b, c, t, h, w).

    For a model that is local in time this equals one prediction on the whole. done, velocity: how many windows have
    been predicted before, and what they gave; after: told both when each further window is.
    """
    velocity = torch.zeros_like(latents) if velocity is None else velocity
    weighted = list(zip(windows, blend_weights(windows, latents.shape[2])))
    for number, ((start, stop), weight) in enumerate(weighted[done:], done + 1):
        part = predict(latents[:, :, start:stop], start, stop)
        velocity[:, :, start:stop] += part.to(velocity.dtype) * weight.to(velocity).view(1, 1, -1, 1, 1)
        after(number, velocity)
    return velocity


def paper_windows(length: int, step: int, spec: WindowSpec) -> list[Window]:
    """Algorithm 1 as printed, for one step: kept to be measured beside ours.

    It leaves its loop before the window that ends at `length`, so 1 to 16 last frames are skipped at a step.
    """
    most = spec.size - spec.least
    offset = 0
    for _ in range(step):
        offset = 0 if offset + spec.shift > most else offset + spec.shift
    start, stop = max(0, -offset), spec.size - offset
    windows: list[Window] = []
    while stop < length:
        windows.append((start, stop))
        start = stop - spec.overlap
        stop = min(start + spec.size, length)
        if stop - start < spec.least:
            start = stop - spec.least
    return windows
