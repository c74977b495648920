"""Trains MVAutoencoder on crops of the stage world at delivered size, then measures each latent channel.

Two phases. First encoder and decoder by pixel and edge differences: right on average, and therefore soft. Then the
decoder alone against a critic that tells painted crops from true ones (hinge loss, feature matching; pix2pixHD,
arXiv 1711.11585): sharp, and used to latents as imprecise as a transformer's.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mv.model.autoencoder import GROUP, MVAutoencoder
from mv.train.data import ASPECTS, sample_clip
from mv.train.loop import MuonAdamW, Run, Schedule, launch
from mv.world.render import figure_layout

CROP = 192  # pixels: 12×12 latents
STILL = 0.3  # share of crops that begin a shot: their first group is one frame four times
NOISE = 0.05  # added to the latents, so that the decoder forgives the transformer
HEAD = 4  # channel of the figure_layout
FACE_WEIGHT = 4.0  # beside 1 elsewhere: faces are small, and looked at most
POLISH_NOISE = 0.45  # at most, in the second phase: so far off are latents that a transformer drew
MATCH_WEIGHT, CRITIC_WEIGHT, DRAWING_WEIGHT, JOIN_WEIGHT = 1.0, 0.05, 1.0, 4.0
PATCH = 8  # pixels: an edge that is drawn so far off still counts as drawn
LAPLACIAN = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]]).view(1, 1, 3, 3)


def train_autoencoder(
    folder: Path, steps: int, decay_steps: int, minutes: float, processes: int, batch: int = 6
) -> None:
    launch(_work, processes, Path(folder), Schedule(steps, 40, decay_steps), minutes, batch)


def _work(rank: int, world_size: int, folder: Path, schedule: Schedule, minutes: float, batch: int) -> None:
    torch.manual_seed(1)
    folder.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = MVAutoencoder().to(device, memory_format=torch.channels_last)  # a quarter faster on the CPU
    optimizer = MuonAdamW(model, lr=6e-4, muon_lr=3e-3, exclude=("conv_out",))
    run = Run(folder, model, optimizer, schedule, minutes, rank=rank, world_size=world_size)
    rng = np.random.default_rng([2, rank, run.step])
    shots = ShotPool(rng)
    for _ in run.steps():
        groups, weight = (x.to(device) for x in shots.crops(rng, batch))
        with torch.autocast(device, torch.bfloat16):
            z = model.encoder(F.avg_pool3d(groups, (1, 2, 2))).float()
            painted = model.decoder(z + NOISE * torch.randn_like(z))
        loss, parts = reconstruction_loss(painted.float(), groups, z, weight)
        run.update(loss, clip=2.0)
        run.note(**parts)
        run.report(50)


class Critic(nn.Module):
    """Patches of four frames together, so that motion is judged too: (n, 12, h, w) → scores, and the features below."""

    def __init__(self, widths: tuple[int, ...] = (32, 64, 128)):
        super().__init__()
        sides = (3 * GROUP, *widths)
        convs = [nn.utils.parametrizations.spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in zip(sides, widths)]
        self.convs, self.score = nn.ModuleList(convs), nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        features, x = [], pictures
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
            features.append(x)
        return [*features, self.score(x)]


class Polish(nn.Module):
    def __init__(self, autoencoder: MVAutoencoder):
        super().__init__()
        self.autoencoder, self.critic = autoencoder, Critic()
        autoencoder.encoder.requires_grad_(False)

    def losses(self, groups: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, dict]:
        """One sum whose gradient trains the decoder to fool the critic and the critic not to be fooled."""
        with torch.no_grad():
            z = self.autoencoder.encoder(F.avg_pool3d(groups, (1, 2, 2))).float()
        sigma = POLISH_NOISE * torch.rand(len(z), 1, 1, 1, 1, device=z.device)
        painted = self.autoencoder.decoder(z + sigma * torch.randn_like(z)).float()
        near, parts = reconstruction_loss(painted, groups, z, weight)
        # The critic also sees the last frames of a group with the first of the next: the picture must not jump there.
        fake, true = (torch.cat([x.flatten(0, 1), straddle(x)]) for x in (painted, groups))
        join = join_error(painted, groups)
        still = {name: p.detach() for name, p in self.critic.named_parameters()}
        *seen, score = torch.func.functional_call(self.critic, still, (fake,))
        *wanted, true_score = self.critic(true)
        match = sum((a - b.detach()).abs().mean() for a, b in zip(seen, wanted)) / len(seen)
        *_, fake_score = self.critic(fake.detach())
        judge = F.relu(1 - true_score).mean() + F.relu(1 + fake_score).mean()
        drawn, there = edge_strength(fake), edge_strength(true)
        drawing = (drawn - there).abs().mean()
        parts |= {"fooled": score.mean().item(), "match": match.item(), "judge": judge.item()}
        parts |= {
            "join": join.item(),
            "drawing": drawing.item(),
            "edge_share": ((drawn**2).mean() / (there**2).mean()).item(),
        }
        near = near + MATCH_WEIGHT * match + DRAWING_WEIGHT * drawing + JOIN_WEIGHT * join
        return near - CRITIC_WEIGHT * score.mean() + judge, parts


def straddle(groups: torch.Tensor) -> torch.Tensor:
    """(b, 2, 3·GROUP, h, w) → (b, 3·GROUP, h, w): the second half of the first group and the first of the second."""
    return groups.flatten(1, 2)[:, 3 * GROUP // 2 : -3 * GROUP // 2]


def join_error(painted: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """L1 of the change from a group's last frame to the next one's first, at three sizes; (b, 2, 3·GROUP, h, w)."""
    change = lambda x: x[:, 1, :3] - x[:, 0, -3:]
    error = change(painted) - change(truth)
    return sum((F.avg_pool2d(error, scale) if scale > 1 else error).abs().mean() for scale in (1, 2, 4)) / 3


def polish_decoder(folder: Path, autoencoder: Path, steps: int, minutes: float, processes: int, batch: int = 6) -> None:
    """autoencoder: the run folder of `train_autoencoder`."""
    launch(_polish, processes, Path(folder), Path(autoencoder), Schedule(steps, 40, steps // 3), minutes, batch)


def _polish(rank: int, world_size: int, folder: Path, begun: Path, schedule: Schedule, minutes: float, batch: int):
    torch.manual_seed(1 + rank)
    folder.mkdir(parents=True, exist_ok=True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = Polish(averaged_autoencoder(begun)).to(device, memory_format=torch.channels_last)
    optimizer = MuonAdamW(model, lr=2e-4, muon_lr=1e-3, exclude=("conv_out", "critic"))
    run = Run(folder, model, optimizer, schedule, minutes, rank=rank, world_size=world_size)
    rng = np.random.default_rng([3, rank, run.step])
    shots = ShotPool(rng)
    for _ in run.steps():
        with torch.autocast(device, torch.bfloat16):
            loss, parts = model.losses(*(x.to(device) for x in shots.crops(rng, batch)))
        run.update(loss, clip=2.0)
        run.note(**parts)
        run.report(50)


def averaged_autoencoder(folder: Path) -> MVAutoencoder:
    """The averaged weights of a run of either phase."""
    from safetensors.torch import load_file

    weights = load_file(Path(folder) / "checkpoint.safetensors")
    weights = {k.removeprefix("average."): v for k, v in weights.items() if k.startswith("average.")}
    weights = {k.removeprefix("autoencoder."): v for k, v in weights.items() if not k.startswith("critic.")}
    model = MVAutoencoder()
    model.load_state_dict(weights)
    return model


def reconstruction_loss(
    painted: torch.Tensor, truth: torch.Tensor, z: torch.Tensor, weight: torch.Tensor
) -> tuple[torch.Tensor, dict]:
    """L1 on pixels and on their differences at full, half, quarter and eighth size, and a weak pull of the latents to
    unit size. weight (b, t, 1, h, w): how much a pixel counts.

    At full size alone an edge drawn a little off costs more than none, and training stays in a fog for long; the coarse
    sizes lead it out.
    """
    loss, parts = 0.0, {"psnr": 10 * np.log10(4 / ((painted - truth) ** 2).mean().item())}
    for scale in (1, 2, 4, 8):
        difference = (painted - truth) * weight
        difference = F.avg_pool3d(difference, (1, scale, scale)) if scale > 1 else difference
        pixel = difference.abs().mean()
        edge = sum(torch.diff(difference, dim=axis).abs().mean() for axis in (-1, -2))
        loss = loss + pixel + edge
        if scale == 1:
            parts |= {"pixel": pixel.item(), "edge": edge.item(), "z_std": z.std().item()}
    size = 1e-3 * (z**2).mean() + 0.05 * F.relu(z.abs() - 3.5).mean()
    return loss + size, parts


class ShotPool:
    """A pool of painted shots that is slowly renewed: painting is dearer than a training step is hungry."""

    def __init__(self, rng: np.random.Generator, size: int = 48, frames: int = 12):
        self.num_frames = frames
        self.shots = [self._paint(rng) for _ in range(size)]

    def _paint(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Frames (f, h, w, 3) uint8, and how much each place counts, (f, h/8, w/8) float32: faces most."""
        aspect = str(rng.choice(list(ASPECTS), p=[0.8, 0.1, 0.1]))
        clip = sample_clip(rng, self.num_frames, aspect)
        width, height = clip.size
        maps = figure_layout(clip.directions, clip.path, clip.audio, width // 8, height // 8)
        return clip.frames(), 1 + FACE_WEIGHT * maps[:, HEAD]

    def crops(self, rng: np.random.Generator, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Two groups each: (batch, 2, 3·GROUP, CROP, CROP) in -1..1, and weights (batch, 2, 1, CROP, CROP), mean 1."""
        self.shots[rng.integers(len(self.shots))] = self._paint(rng)
        crops, weights = [], []
        for _ in range(batch):
            shot, weight = self.shots[rng.integers(len(self.shots))]
            start = rng.integers(0, len(shot) - 2 * GROUP + 1)
            frames = np.arange(start, start + 2 * GROUP)
            if rng.random() < STILL:
                frames[:GROUP] = frames[GROUP - 1]
            y, x = self._corner(rng, weight[frames[-1]], shot.shape[1:3])
            flip = slice(None, None, -1 if rng.random() < 0.5 else 1)
            crops.append(shot[frames, y : y + CROP, x : x + CROP][:, :, flip])
            # A group counts as much as its middle frame says.
            part = weight[frames[2::GROUP], y // 8 : (y + CROP) // 8, x // 8 : (x + CROP) // 8][:, :, flip]
            weights.append(part.repeat(8, 1).repeat(8, 2))
        pixels = torch.from_numpy(np.stack(crops)).permute(0, 1, 4, 2, 3).float().div_(127.5).sub_(1)
        weight = torch.from_numpy(np.stack(weights)).unsqueeze(2)
        return pixels.reshape(batch, 2, 3 * GROUP, CROP, CROP), weight / weight.mean()

    def _corner(self, rng: np.random.Generator, weight: np.ndarray, sides: tuple[int, int]) -> tuple[int, int]:
        """(y, x) of a crop in steps of 16 pixels; every second looks for the head."""
        last = [(side - CROP) // 16 for side in sides]
        heads = np.argwhere(weight > 1 + FACE_WEIGHT / 2) // 2
        if len(heads) and rng.random() < 0.5:
            head = heads[rng.integers(len(heads))] - rng.integers(2, CROP // 16 - 2, 2)
            return tuple(int(16 * np.clip(h, 0, most)) for h, most in zip(head, last))
        return tuple(int(16 * rng.integers(0, most + 1)) for most in last)


@torch.no_grad()
def finish_autoencoder(folder: Path, target: Path, polished: bool = False, clips: int = 48) -> dict[str, float]:
    """Load the averaged weights, measure the latents' mean and deviation, save in diffusers' layout.

    polished: only the decoder is new; the mean and deviation of the autoencoder in `target` stay, for a transformer has
    learned from them.
    Returns held-out PSNR (dB) of first frames and of frames in motion, and the share of edge energy kept.
    """
    model = averaged_autoencoder(folder).eval()
    rng = np.random.default_rng(99)
    videos = [
        torch.from_numpy(sample_clip(rng, 17).frames()).permute(3, 0, 1, 2)[None] / 127.5 - 1 for _ in range(clips)
    ]
    if polished:
        known = MVAutoencoder.load_config(target)
        statistics = {key: known[key] for key in ("latents_mean", "latents_std")}
    else:
        latents = torch.cat([model.encode(video) for video in videos])
        statistics = {"latents_mean": latents.mean((0, 2, 3, 4)).tolist()}
        statistics |= {"latents_std": latents.std((0, 2, 3, 4)).tolist()}
    model.register_to_config(**statistics)
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


def edge_strength(groups: torch.Tensor) -> torch.Tensor:
    """Root mean square of the Laplacian in each patch; (n, 3·GROUP, h, w) → (n·GROUP, 1, h/PATCH, w/PATCH).

    A soft edge has little of it, wherever in the patch it lies; so unlike a difference of pixels this does not make a
    decoder that is unsure of an edge's place leave it out.
    """
    gray = groups.unflatten(1, (GROUP, 3)).mean(2).flatten(0, 1).unsqueeze(1)
    return (F.avg_pool2d(F.conv2d(gray, LAPLACIAN.to(gray), padding=1) ** 2, PATCH) + 1e-6).sqrt()


def edge_energy(video: torch.Tensor) -> float:
    """Variance of the Laplacian of the grey picture: how much drawing there is; (1, 3, f, h, w)."""
    return float(F.conv2d(video.mean(1)[0][:, None], LAPLACIAN.to(video)).var())
