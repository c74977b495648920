"""Where the denoising of a long shot stands, kept on disk: killed in the middle, it goes on to the same last bit."""

import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from mv.video import whole_file

PACE = 2.0  # seconds between two checkpoints: what a kill can cost, or one window where that takes longer


@dataclass(frozen=True)
class Denoising:
    """step: the denoising step in work; windows: how many of its windows are done; latents (1, c, t, h, w) before the
    step; velocity, of the same shape: what those windows have given so far, None where there are none."""

    step: int
    windows: int
    latents: torch.Tensor
    velocity: torch.Tensor | None


class Checkpoint:
    """The state of one take in one file, whose name tells the take by its content key."""

    def __init__(self, path: Path) -> None:
        self.path, self._saved = path, time.monotonic()

    def load(self, latents: torch.Tensor) -> Denoising:
        """Where it stood, or the beginning with these latents. A file that is damaged, or comes from another kind of
        device (whose last bits differ), is none."""
        try:
            with safe_open(self.path, framework="pt") as file:
                said = file.metadata()
                tensors = {name: file.get_tensor(name).to(latents.device) for name in ("latents", "velocity")}
            state = Denoising(int(said["step"]), int(said["windows"]), **tensors)
        except (OSError, SafetensorError, KeyError, ValueError, TypeError):
            return Denoising(0, 0, latents, None)
        fits = state.latents.shape == latents.shape and said.get("device") == latents.device.type
        return state if fits else Denoising(0, 0, latents, None)

    def save(self, state: Denoising) -> None:
        """At most once in PACE seconds. Raises OutputError."""
        if time.monotonic() - self._saved < PACE:
            return
        said = {"step": str(state.step), "windows": str(state.windows), "device": state.latents.device.type}
        tensors = {"latents": state.latents, "velocity": state.velocity}
        with whole_file(self.path) as temporary:
            save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, temporary, said)
        self._saved = time.monotonic()
