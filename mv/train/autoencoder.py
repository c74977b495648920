"""Trains MVAutoencoder on crops of the stage world at delivered size, then measures each latent channel."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from mv.model.autoencoder import GROUP, MVAutoencoder
from mv.train.data import ASPECTS, sample_clip
from mv.train.loop import MuonAdamW, Run, Schedule, launch

CROP = 192  # pixels: 12×12 latents
STILL = 0.3  # share of crops that begin a shot: their first group is one frame four times
NOISE = 0.05  # added to the latents, so that the decoder forgives the transformer


def train_autoencoder(
    folder: Path, steps: int, decay_steps: int, minutes: float, processes: int, batch: int = 6
) -> None:
    launch(_work, processes, Path(folder), Schedule(steps, 40, decay_steps), minutes, batch)


def _work(rank: int, world_size: int, folder: Path, schedule: Schedule, minutes: float, batch: int) -> None:
    torch.manual_seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = MVAutoencoder().to(device)
    optimizer = MuonAdamW(model, lr=6e-4, muon_lr=3e-3, exclude=("conv_out",))
    run = Run(folder, model, optimizer, schedule, minutes, rank=rank, world_size=world_size)
    rng = np.random.default_rng([2, rank, run.step])
    shots = ShotPool(rng)
    for _ in run.steps():
        groups = shots.crops(rng, batch).to(device)
        with torch.autocast(device, torch.bfloat16):
            z = model.encoder(F.avg_pool3d(groups, (1, 2, 2))).float()
            painted = model.decoder(z + NOISE * torch.randn_like(z))
        loss, parts = reconstruction_loss(painted.float(), groups, z)
        run.update(loss, clip=2.0)
        run.note(**parts)
        run.report(50)


def reconstruction_loss(painted: torch.Tensor, truth: torch.Tensor, z: torch.Tensor) -> tuple[torch.Tensor, dict]:
    """L1 on pixels and on their differences at full, half, quarter and eighth size, and a weak pull of the latents to
    unit size.

    At full size alone an edge drawn a little off costs more than none, and training stays in a fog for long; the coarse
    sizes lead it out.
    """
    loss, parts = 0.0, {"psnr": 10 * np.log10(4 / ((painted - truth) ** 2).mean().item())}
    for scale in (1, 2, 4, 8):
        difference = F.avg_pool3d(painted - truth, (1, scale, scale)) if scale > 1 else painted - truth
        pixel = difference.abs().mean()
        edge = sum(torch.diff(difference, dim=axis).abs().mean() for axis in (-1, -2))
        loss = loss + pixel + 0.5 * edge
        if scale == 1:
            parts |= {"pixel": pixel.item(), "edge": edge.item(), "z_std": z.std().item()}
    size = 1e-3 * (z**2).mean() + 0.05 * F.relu(z.abs() - 3.5).mean()
    return loss + size, parts


class ShotPool:
    """A pool of painted shots that is slowly renewed: painting is dearer than a training step is hungry."""

    def __init__(self, rng: np.random.Generator, size: int = 48, frames: int = 12):
        self.num_frames = frames
        self.shots = [self._paint(rng) for _ in range(size)]

    def _paint(self, rng: np.random.Generator) -> np.ndarray:
        aspect = str(rng.choice(list(ASPECTS), p=[0.8, 0.1, 0.1]))
        return sample_clip(rng, self.num_frames, aspect).frames()

    def crops(self, rng: np.random.Generator, batch: int) -> torch.Tensor:
        """Two groups each: (batch, 2, 3·GROUP, CROP, CROP) in -1..1."""
        self.shots[rng.integers(len(self.shots))] = self._paint(rng)
        crops = []
        for _ in range(batch):
            shot = self.shots[rng.integers(len(self.shots))]
            y, x = (16 * rng.integers(0, (side - CROP) // 16 + 1) for side in shot.shape[1:3])
            start = rng.integers(0, len(shot) - 2 * GROUP + 1)
            frames = np.arange(start, start + 2 * GROUP)
            if rng.random() < STILL:
                frames[:GROUP] = frames[GROUP - 1]
            crop = shot[frames, y : y + CROP, x : x + CROP]
            crops.append(crop[:, :, ::-1] if rng.random() < 0.5 else crop)
        pixels = torch.from_numpy(np.stack(crops)).permute(0, 1, 4, 2, 3).float().div_(127.5).sub_(1)
        return pixels.reshape(batch, 2, 3 * GROUP, CROP, CROP)


@torch.no_grad()
def finish_autoencoder(folder: Path, target: Path, clips: int = 48) -> dict[str, float]:
    """Load the averaged weights, measure the latents' mean and deviation, save in diffusers' layout.

    Returns held-out PSNR (dB) of first frames and of frames in motion, and the share of edge energy kept.
    """
    from safetensors.torch import load_file

    model = MVAutoencoder().eval()
    weights = load_file(Path(folder) / "checkpoint.safetensors")
    model.load_state_dict({k[8:]: v for k, v in weights.items() if k.startswith("average.")})
    rng = np.random.default_rng(99)
    videos = [
        torch.from_numpy(sample_clip(rng, 17).frames()).permute(3, 0, 1, 2)[None] / 127.5 - 1 for _ in range(clips)
    ]
    latents = torch.cat([model.encode(video) for video in videos])
    model.register_to_config(
        latents_mean=latents.mean((0, 2, 3, 4)).tolist(), latents_std=latents.std((0, 2, 3, 4)).tolist()
    )
    model.half().save_pretrained(target)
    return measure(MVAutoencoder.from_pretrained(target).float().eval(), videos)


@torch.no_grad()
def measure(model: MVAutoencoder, videos: list[torch.Tensor]) -> dict[str, float]:
    errors, edges, true_edges = [], [], []
    for video in videos:
        painted = model.decode(model.encode(video)).sample.clamp(-1, 1)
        errors.append(((painted - video) ** 2).mean((0, 1, 3, 4)))
        edges.append(edge_energy(painted))
        true_edges.append(edge_energy(video))
    errors = torch.stack(errors).mean(0)
    decibel = lambda mse: float(10 * torch.log10(4 / mse))
    return {
        "psnr_first": decibel(errors[0]),
        "psnr_motion": decibel(errors[1:].mean()),
        "edge_share": sum(edges) / sum(true_edges),
    }


def edge_energy(video: torch.Tensor) -> float:
    """Variance of the Laplacian of the grey picture: how much drawing there is; (1, 3, f, h, w)."""
    gray = video.mean(1)[0][:, None]
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)
    return float(F.conv2d(gray, kernel).var())
