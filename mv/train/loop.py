"""What both trainings share: optimiser, schedule, averaged weights, checkpoints that resume to the same step.

A run is a folder: checkpoint.safetensors (weights, averages, optimiser state, step), log.csv. Kill it at any time; the
same command goes on. No pickles.
"""

import csv
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn


@dataclass(frozen=True)
class Schedule:
    """Learning-rate factor: warm-up, constant, then linear to zero over the last `decay_steps` before `steps`."""

    steps: int
    warmup_steps: int = 60
    decay_steps: int = 0

    def __call__(self, step: int) -> float:
        factor = min(1.0, (step + 1) / self.warmup_steps)
        left = self.steps - step
        return factor * max(0.02, min(1.0, left / self.decay_steps)) if self.decay_steps else factor


class MuonAdamW:
    """Muon (torch.optim.Muon) for matrices and convolution kernels, AdamW for everything else.

    A convolution kernel (out, in, kh, kw) is orthogonalised as the matrix (out, in·kh·kw); on the stage world's
    autoencoder this took 500 steps where AdamW took 900.
    """

    def __init__(self, model: nn.Module, lr: float, muon_lr: float, exclude: tuple[str, ...] = ()):
        named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
        # Tables, embeddings and the first and last layers stay with AdamW, as Muon's authors advise.
        matrix = {n for n, p in named if p.ndim in (2, 4) and not any(part in n for part in exclude)}
        self._kernels = [p for n, p in named if n in matrix]
        self._rest = [p for n, p in named if n not in matrix]
        self._flat = [nn.Parameter(_as_matrix(p.data)) for p in self._kernels]  # shares storage with p
        self.muon = torch.optim.Muon(self._flat, lr=muon_lr, weight_decay=0.01, adjust_lr_fn="match_rms_adamw")
        self.adamw = torch.optim.AdamW(self._rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0)
        self._rates = (muon_lr, lr)

    @property
    def parameters(self) -> list[nn.Parameter]:
        return self._kernels + self._rest

    def step(self, factor: float) -> None:
        for flat, p in zip(self._flat, self._kernels):
            flat.grad = None if p.grad is None else _as_matrix(p.grad)
        for optimizer, rate in zip((self.muon, self.adamw), self._rates):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor
            optimizer.step()
        for p in self._kernels + self._rest + self._flat:
            p.grad = None

    def state(self) -> dict[str, torch.Tensor]:
        tensors = {}
        for name, optimizer in (("muon", self.muon), ("adamw", self.adamw)):
            for i, p in enumerate(q for g in optimizer.param_groups for q in g["params"]):
                for key, value in optimizer.state.get(p, {}).items():
                    tensors[f"{name}.{i}.{key}"] = torch.as_tensor(value).contiguous().clone()
        return tensors

    def load_state(self, tensors: dict[str, torch.Tensor]) -> None:
        for name, optimizer in (("muon", self.muon), ("adamw", self.adamw)):
            params = [q for g in optimizer.param_groups for q in g["params"]]
            for full, value in tensors.items():
                kind, index, key = full.split(".", 2)
                if kind == name:
                    optimizer.state[params[int(index)]][key] = value


def _as_matrix(kernel: torch.Tensor) -> torch.Tensor:
    """(out, in) as it is, a convolution kernel as (out, in·kh·kw) or, stored channels last, (out, kh·kw·in)."""
    if kernel.ndim == 4 and not kernel.is_contiguous():
        kernel = kernel.permute(0, 2, 3, 1)
    return kernel.view(len(kernel), -1)


class Averaged:
    """Exponential moving average of the weights; the horizon grows with training up to 1/(1 - decay) steps."""

    def __init__(self, model: nn.Module, decay: float = 0.998):
        self.decay = decay
        self.weights = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        for key, value in model.state_dict().items():
            self.weights[key].lerp_(value, 1 - decay)


@dataclass
class Run:
    """One training run in one process of `world_size`; rank 0 writes."""

    folder: Path
    model: nn.Module
    optimizer: MuonAdamW
    schedule: Schedule
    minutes: float
    step: int = 0
    rank: int = 0
    world_size: int = 1
    averaged: Averaged = field(init=False)
    began: float = field(default_factory=time.monotonic)
    spent: float = 0.0  # minutes of earlier pieces, for the log
    parent: int = field(default_factory=os.getppid)
    _sums: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.averaged = Averaged(self.model)
        if (self.folder / "checkpoint.safetensors").exists():
            self._load()

    def steps(self, save_every: int = 100) -> Iterator[int]:
        """Yield step numbers until the schedule or the time is at its end; the checkpoint is saved on the way out."""
        while self.step < self.schedule.steps and not self._time_is_up():
            yield self.step
            self.step += 1
            if self.step % save_every == 0:
                self._save()
        self._save()

    def update(self, loss: torch.Tensor, clip: float = 1.0) -> None:
        """Backward, average the gradients over processes, clip, step, average the weights."""
        loss.backward()
        if self.world_size > 1:
            self._all_reduce()
        norm = nn.utils.clip_grad_norm_(self.optimizer.parameters, clip)
        if torch.isfinite(norm):  # one bad batch must not poison the averages
            self.optimizer.step(self.schedule(self.step))
        self.averaged.update(self.model, self.step)
        self.note(grad_norm=float(norm))

    def note(self, **values: float) -> None:
        for key, value in values.items():
            self._sums.setdefault(key, []).append(float(value))

    def report(self, every: int) -> None:
        """Print and log the means since the last report."""
        if self.rank or (self.step + 1) % every:
            return
        minutes = self.spent + self._elapsed() / 60
        means = {k: sum(v) / len(v) for k, v in self._sums.items()}
        self._sums.clear()
        print(
            f"{minutes:7.2f} min  step {self.step + 1}  " + "  ".join(f"{k} {v:.4f}" for k, v in means.items()),
            flush=True,
        )
        row = {"minutes": round(minutes, 2), "step": self.step + 1, **{k: round(v, 5) for k, v in means.items()}}
        with open(self.folder / "log.csv", "a", newline="") as file:
            csv.writer(file).writerow([f"{k}={v}" for k, v in row.items()])

    def _elapsed(self) -> float:
        return time.monotonic() - self.began

    def _time_is_up(self) -> bool:
        orphaned = self.world_size > 1 and os.getppid() != self.parent  # the launcher was killed
        up = torch.tensor([float(orphaned or self._elapsed() > 60 * self.minutes)])
        if self.world_size > 1:
            dist.broadcast(up, 0)  # all processes must leave together
        return bool(up)

    def _all_reduce(self) -> None:
        params = self.optimizer.parameters
        for p in params:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        flat = torch.cat([p.grad.reshape(-1) for p in params])
        dist.all_reduce(flat)
        flat /= self.world_size
        at = 0
        for p in params:
            p.grad.copy_(flat[at : at + p.numel()].view_as(p))
            at += p.numel()

    def _save(self) -> None:
        if self.rank:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        # Cloned, since tied weights share memory and safetensors refuses that.
        copy = lambda v: v.clone(memory_format=torch.contiguous_format)
        tensors = {f"model.{k}": copy(v) for k, v in self.model.state_dict().items()}
        tensors |= {f"average.{k}": copy(v) for k, v in self.averaged.weights.items()}
        tensors |= {f"optimizer.{k}": v for k, v in self.optimizer.state().items()}
        minutes = self.spent + self._elapsed() / 60
        temporary = self.folder / "checkpoint.tmp"
        save_file(tensors, temporary, {"step": str(self.step), "minutes": str(minutes)})
        os.replace(temporary, self.folder / "checkpoint.safetensors")

    def _load(self) -> None:
        with safe_open(self.folder / "checkpoint.safetensors", "pt") as file:
            meta = file.metadata()
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        part = lambda prefix: {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
        self.model.load_state_dict(part("model."))
        self.averaged.weights = part("average.")
        self.optimizer.load_state(part("optimizer."))
        self.step, self.spent = int(meta["step"]), float(meta["minutes"])


def launch(worker, processes: int, *args) -> None:
    """Run worker(rank, world_size, *args): in this process, or in several that share gradients (gloo on loopback).

    On two busy CPU cores two one-thread processes beat one two-thread process: a late thread holds nobody up but at the
    one exchange of a step.
    """
    if processes <= 1:
        worker(0, 1, *args)
        return
    import torch.multiprocessing as mp

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    mp.spawn(_join, args=(processes, port, worker, args), nprocs=processes)


def _join(rank: int, world_size: int, port: int, worker, args) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world_size)
    try:
        worker(rank, world_size, *args)
    finally:
        dist.destroy_process_group()
