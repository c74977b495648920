"""Trains the transformer and its text encoder on latents of the stage world by flow matching.

Two parts that may run side by side: `paint_latents` fills a folder with encoded clips; `train_transformer` learns from
whatever is there. x_t = (1 - t)·data + t·noise, target = noise - data (diffusers' sign; the paper's v is its negative).
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from mv.camera import CameraPath
from mv.errors import InputError
from mv.model.autoencoder import MVAutoencoder
from mv.model.conditions import (
    FRAMES_PER_LATENT,
    camera_channels,
    camera_condition,
    fold_frames,
    reference_condition,
    stack_groups,
)
from mv.model.text import build_text_encoder, build_tokenizer, encode_words
from mv.model.transformer import MVTransformer3DModel, PlainAttnProcessor
from mv.schema import AUDIO_FEATURES
from mv.train.data import Clip, sample_clip
from mv.train.loop import MuonAdamW, Run, Schedule, launch
from mv.world.render import EYES_MARK, HEAD_MARK, LAYOUT_CHANNELS, LAYOUT_SHAPES, layout

CLIP_LATENTS = 10  # latent frames of a stored clip: windows are cut from it
SHARD = 100  # clips a file
CHANNELS = "channels.json"  # beside the shards: how much each latent channel counts in the loss
ASPECT_SHARE = {"16:9": 0.8, "9:16": 0.1, "1:1": 0.1}
FACE_WEIGHT = 2.0
MASK_TASKS = ["none", "predict", "backward", "between", "single", "hole"]
MASK_SHARES = [0.5, 0.2, 0.05, 0.1, 0.1, 0.05]
DROP = 0.10  # share of samples without any condition, for guidance

MUON_EXCLUDES = ("proj_out", "embed", "shared", "scale_shift", "adapter.conv", "time_proj", "norm")
LATENT_CHANNELS = 24
MINI = dict(
    num_attention_heads=4, attention_head_dim=64, in_channels=LATENT_CHANNELS, out_channels=LATENT_CHANNELS,
    text_dim=128, pooled_text=True, freq_dim=128, ffn_dim=1024, num_layers=8,
    rope_max_seq_len=256, attention_layout="SSSF",
    camera_channels=camera_channels(stage=True), camera_unshuffle=1, camera_scale=0.35, stage_rays=True,
    layout_channels=LAYOUT_CHANNELS * FRAMES_PER_LATENT, layout_unshuffle=2,
    reference_channels=2 * LATENT_CHANNELS + 1,
    audio_dim=len(AUDIO_FEATURES), audio_every=4,
)  # fmt: skip


# ---------------------------------------------------------------- data


def paint_latents(folder: Path, autoencoder: Path, shards: int, seed: int) -> None:
    """Write shards of clips painted, encoded and described; a shard that exists is not made again."""
    folder.mkdir(parents=True, exist_ok=True)
    vae = MVAutoencoder.from_pretrained(autoencoder).float().eval()
    for index in range(shards):
        name = folder / f"{seed:03d}-{index:04d}.npz"
        if not name.exists():
            _write_shard(name, vae, np.random.default_rng([5, seed, index]))
            print(f"latents: {name.name}", flush=True)
        if not (folder / CHANNELS).exists():
            with np.load(name) as shard:
                write_channels(folder, vae, shard["latents"])


@torch.no_grad()
def write_channels(folder: Path, vae: MVAutoencoder, latents: np.ndarray) -> None:
    """Keep beside the shards how much each latent channel counts in the loss; latents (n, t, c, h, w) to try it on.

    Few of the autoencoder's channels paint most of the picture, the others fine detail that is hard to foresee. A
    channel counts by the root of what a little noise in it changes in the pixels: between all alike, where a model
    labours at detail nobody sees, and the pixels' own error, where it never draws any.
    """
    z = torch.from_numpy(latents[:: max(1, len(latents) // 4), 1:2].astype(np.float32)).transpose(1, 2).to(vae.dtype)
    painted, changes = vae.decode(z).sample, []
    for channel in range(z.shape[1]):
        noise = torch.zeros_like(z)
        noise[:, channel] = 0.3 * torch.randn(z[:, channel].shape, generator=torch.Generator().manual_seed(channel))
        changes.append((vae.decode(z + noise).sample - painted).float().square().mean().sqrt())
    weights = torch.stack(changes) / torch.stack(changes).mean()
    (folder / CHANNELS).write_text(json.dumps([round(w, 3) for w in weights.tolist()]))


def read_channels(folder: Path) -> torch.Tensor:
    """(c,), mean 1. Raises InputError where the folder holds no latents."""
    try:
        return torch.tensor(json.loads((folder / CHANNELS).read_text()))
    except FileNotFoundError as error:
        raise InputError(f"{folder}: expected painted latents, found none; run python -m mv train latents") from error


@torch.no_grad()
def _write_shard(name: Path, vae: MVAutoencoder, rng: np.random.Generator) -> None:
    aspect = str(rng.choice(list(ASPECT_SHARE), p=list(ASPECT_SHARE.values())))
    num_frames = 1 + FRAMES_PER_LATENT * (CLIP_LATENTS - 1)
    rows = []
    for _ in range(SHARD):
        clip = sample_clip(rng, num_frames, aspect)
        # The encoder looks at half-size pictures: OpenCV halves bytes much faster than torch halves floats.
        small = np.stack([cv2.resize(f, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for f in clip.frames()])
        video = torch.from_numpy(small).permute(3, 0, 1, 2)[None].float().div_(127.5).sub_(1)
        with torch.autocast("cpu", torch.bfloat16):
            z = vae.encode_half_size(video)[0].float()
        height, width = z.shape[-2:]
        maps = layout(clip.directions, clip.path, clip.audio, 2 * width, 2 * height)
        rows.append(dict(latents=z.permute(1, 0, 2, 3).half().numpy(), **shard_row(clip, maps)))
    write_shard(name, rows)


def shard_row(clip: Clip, maps: np.ndarray) -> dict:
    """The conditions of a clip as a shard keeps them; maps: its layout at twice the latents' size."""
    return dict(
        layout=np.round(255 * maps[:, :LAYOUT_SHAPES]).astype(np.uint8),
        tones=maps[0, LAYOUT_SHAPES:, 0, 0],  # flat over the picture
        extrinsics=clip.path.extrinsics.astype(np.float32),
        intrinsics=clip.path.intrinsics.astype(np.float32),
        audio=clip.audio,
        prompt=clip.prompt,
    )


def write_shard(name: Path, rows: list[dict]) -> None:
    temporary = name.with_suffix(".tmp.npz")
    np.savez(temporary, **{key: np.stack([row[key] for row in rows]) for key in rows[0]})
    os.replace(temporary, name)


def read_shard(name: Path) -> dict[str, np.ndarray]:
    with np.load(name) as file:
        return {key: file[key] for key in file.files}


@dataclass(frozen=True)
class Batch:
    """latents (b, c, t, h, w); camera, layout, audio and reference as the transformer takes them; prompts; channels
    (c,), how much each latent channel counts in the loss."""

    latents: torch.Tensor
    camera: torch.Tensor
    layout: torch.Tensor
    audio: torch.Tensor
    prompts: list[str]
    channels: torch.Tensor
    reference: torch.Tensor | None = None

    def to(self, device: str) -> "Batch":
        return Batch(**{k: v.to(device) if torch.is_tensor(v) else v for k, v in self.__dict__.items()})

    def weights(self) -> torch.Tensor:
        """(b, c, t, h, w), mean 1: how much each value counts in the loss. Faces are small and looked at most."""
        marks = self.layout.unflatten(1, (FRAMES_PER_LATENT, -1)).mean(1)
        height, width = self.latents.shape[-2:]
        head, eyes = (F.adaptive_avg_pool3d(marks[:, c], (None, height, width)) for c in (HEAD_MARK, EYES_MARK))
        weight = 1 + FACE_WEIGHT * (head + 2 * eyes).unsqueeze(1)
        return weight / weight.mean() * self.channels.view(1, -1, 1, 1, 1)


def draw_known(shape: torch.Size, rng: np.random.Generator) -> torch.Tensor:
    """Which latents are given, (b, 1, t, h, w) 0 or 1: nothing in half the samples; else the mask tasks of VDT
    (arXiv 2305.13311): go on from the first frames, lead to the last, fill between, single frames, fill a hole."""
    batch, _, length, height, width = shape
    known = torch.zeros(batch, 1, length, height, width)
    for sample in known:
        task = rng.choice(MASK_TASKS, p=MASK_SHARES)
        few = int(rng.integers(1, max(2, length // 2)))
        if task in ("predict", "between"):
            sample[:, :few] = 1
        if task in ("backward", "between"):
            sample[:, length - few :] = 1
        if task == "single":
            sample[:, rng.integers(length)] = 1
        if task == "hole":
            sample[:] = 1
            top, left = rng.integers(height // 2), rng.integers(width // 2)
            sample[:, :, top : top + height // 2, left : left + width // 2] = 0
    return known


class LatentFolder:
    """Clips of all shards painted so far; new shards are picked up as they appear."""

    def __init__(self, folder: Path, camera_scale: float):
        self.folder, self.camera_scale = folder, camera_scale
        self.channels = read_channels(folder)
        self.shards: dict[Path, dict[str, np.ndarray]] = {}
        self.refresh()

    def refresh(self) -> None:
        for name in sorted(self.folder.glob("*.npz")):
            if ".tmp" not in name.name and name not in self.shards:
                self.shards[name] = read_shard(name)

    def batch(self, rng: np.random.Generator, size: int, length: int) -> Batch:
        """Windows of `length` latent frames from random clips of one shape."""
        names = list(self.shards)
        chosen = self.shards[names[rng.integers(len(names))]]
        shape = chosen["latents"].shape
        alike = [name for name in names if self.shards[name]["latents"].shape == shape]
        samples = [
            self._window(self.shards[alike[rng.integers(len(alike))]], rng.integers(shape[0]), length, rng)
            for _ in range(size)
        ]
        latents, camera, maps, audio = (torch.cat([s[i] for s in samples]) for i in range(4))
        return Batch(latents, camera, maps, audio, [s[4] for s in samples], self.channels)

    def _window(self, shard: dict[str, np.ndarray], i: int, length: int, rng: np.random.Generator):
        # A third begins where the shot does; the rest anywhere in it.
        start = 0 if rng.random() < 0.33 else rng.integers(0, len(shard["latents"][i]) - length + 1)
        return window_of(shard, i, start, length, self.camera_scale)


def window_of(shard: dict[str, np.ndarray], i: int, start: int, length: int, camera_scale: float) -> tuple:
    """Clip i of a shard from latent frame `start` on: latents, camera, layout, audio as in Batch, and the prompt."""
    window = slice(start, start + length)
    frames = fold_frames(np.arange(shard["audio"].shape[1]))[window].ravel()
    path = CameraPath(shard["extrinsics"][i][frames].astype(float), shard["intrinsics"][i][frames].astype(float))
    height, width = shard["latents"].shape[-2:]
    groups = lambda x: x.reshape(length, FRAMES_PER_LATENT, *x.shape[1:])
    marks = shard["layout"][i][frames].astype(np.float32) / 255
    tones = shard["tones"][i][None, :, None, None]
    tones = np.broadcast_to(tones, (len(marks), tones.shape[1], *marks.shape[2:]))
    return (
        torch.from_numpy(shard["latents"][i][window].astype(np.float32)).transpose(0, 1)[None],
        camera_condition(path, height, width, camera_scale, stage=True),
        stack_groups(groups(np.concatenate([marks, tones], 1))),
        torch.from_numpy(groups(shard["audio"][i][frames]))[None],
        str(shard["prompt"][i]),
    )


# ---------------------------------------------------------------- model and loss


def with_reference(batch: Batch, rng: np.random.Generator) -> Batch:
    """The batch with a mask task for each sample; single pictures have none."""
    if batch.latents.shape[2] == 1:
        return batch
    return replace(batch, reference=reference_condition(batch.latents, draw_known(batch.latents.shape, rng)))


class Student(nn.Module):
    """The transformer with the text encoder that is trained along."""

    def __init__(self, transformer: MVTransformer3DModel, tokenizer, text_encoder):
        super().__init__()
        self.transformer, self.text_encoder = transformer, text_encoder
        self.tokenizer = tokenizer

    def forward(self, batch: Batch, noisy: torch.Tensor, t: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
        words = encode_words(self.tokenizer, self.text_encoder, batch.prompts) * keep.view(-1, 1, 1)
        return self.transformer(
            noisy,
            1000 * t,
            words,
            camera=batch.camera,
            layout=batch.layout,
            reference=batch.reference,
            audio=batch.audio,
            keep=keep,
            return_dict=False,
        )[0]


def build_student(config: dict = MINI) -> Student:
    torch.manual_seed(3)
    tokenizer = build_tokenizer()
    transformer = MVTransformer3DModel(**config)
    with torch.no_grad():
        # Output layers start at zero: the first thing learned is the mean, not noise.
        nn.init.zeros_(transformer.proj_out.weight)
        nn.init.zeros_(transformer.proj_out.bias)
        for block in transformer.blocks:
            nn.init.zeros_(block.attn2.to_out[0].weight)
    return Student(transformer, tokenizer, build_text_encoder(len(tokenizer), config["text_dim"]))


def load_student(model: Path) -> Student:
    """The weights of an exported model, in single precision, to be trained on."""
    student = build_student()
    student.transformer.load_state_dict(MVTransformer3DModel.from_pretrained(model / "transformer").state_dict())
    encoder = type(student.text_encoder).from_pretrained(model / "text_encoder")
    student.text_encoder.load_state_dict(encoder.state_dict())
    return student.float()


def load_with_copy(model: Path) -> tuple[Student, Student, str]:
    """An exported model to be trained on, a frozen copy of it to be held to, and the device both are on."""
    device = best_device()
    student, first = (on_device(load_student(model), device) for _ in range(2))
    return student, first.requires_grad_(False), device


def best_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def on_device(student: Student, device: str) -> Student:
    if device == "cpu":
        student.transformer.set_attn_processor(PlainAttnProcessor())
    return student.to(device)


def flow_loss(student: Student, batch: Batch, t: torch.Tensor, noise: torch.Tensor, keep: torch.Tensor) -> torch.Tensor:
    """Mean square error of the predicted velocity, weighted by place, one value a sample (b,)."""
    mixed = t.view(-1, 1, 1, 1, 1)
    noisy = (1 - mixed) * batch.latents + mixed * noise
    with torch.autocast(batch.latents.device.type, torch.bfloat16):
        velocity = student(batch, noisy, t, keep)
    return (batch.weights() * (velocity.float() - (noise - batch.latents)) ** 2).mean((1, 2, 3, 4))


@torch.no_grad()
def swap_losses(student: Student, batch: Batch, seed: int = 0) -> dict[str, float]:
    """By how much the loss rises when one condition is another sample's; one that does not raise it is ignored."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(batch.latents.shape, generator=generator).to(batch.latents)
    t, keep = torch.full((len(noise),), 0.85).to(noise), torch.ones(len(noise)).to(noise)
    base = flow_loss(student, batch, t, noise, keep).mean()
    result = {"base": float(base)}
    roll = lambda x: x[1:] + x[:1] if isinstance(x, list) else torch.roll(x, -1, 0)
    for name in ("camera", "layout", "audio", "prompts"):
        swapped = Batch(**{**batch.__dict__, name: roll(getattr(batch, name))})
        result[name] = float(flow_loss(student, swapped, t, noise, keep).mean() - base)
    return result


# ---------------------------------------------------------------- training


@dataclass(frozen=True)
class Diet:
    """What a step eats: images teach the look (28 different shots for the price of six short windows), short windows
    the motion, whole windows the context.

    image_share: at the first and at the last step; a run begins with looks and ends with motion. whole_share: of the
    rest.
    """

    image_share: tuple[float, float] = (0.75, 0.15)
    whole_share: float = 0.30
    images: int = 28
    shorts: int = 6
    wholes: int = 3
    short: int = 5
    whole: int = 9

    def draw(self, rng: np.random.Generator, progress: float) -> tuple[int, int]:
        """(batch size, latent frames) of a step at `progress` 0..1 of the course."""
        first, last = self.image_share
        if rng.random() < max(last, first + (last - first) * 2 * progress):
            return self.images, 1
        return (self.wholes, self.whole) if rng.random() < self.whole_share else (self.shorts, self.short)


@dataclass(frozen=True)
class Course:
    """folder: where the run is kept; latents: where its clips are; start: a model whose weights a new run begins with
    (a run that has a checkpoint goes on from that)."""

    folder: Path
    latents: Path
    schedule: Schedule
    minutes: float
    start: Path | None = None
    diet: Diet = Diet()


def train_transformer(course: Course, processes: int) -> None:
    launch(_work, processes, course)


def _work(rank: int, world_size: int, course: Course) -> None:
    folder, diet = course.folder, course.diet
    folder.mkdir(parents=True, exist_ok=True)
    device = best_device()
    student = on_device(build_student() if course.start is None else load_student(course.start), device)
    optimizer = MuonAdamW(
        student,
        lr=1e-3,
        muon_lr=3e-3,
        exclude=MUON_EXCLUDES,
    )
    run = Run(folder, student, optimizer, course.schedule, course.minutes, rank=rank, world_size=world_size)
    shards = LatentFolder(course.latents, MINI["camera_scale"])
    rng = np.random.default_rng([7, rank, run.step])
    torch.manual_seed(11 + 1000 * run.step + rank)
    # All processes take the same kind of batch at a step, or the slower would keep the others waiting.
    kinds = np.random.default_rng([8, run.step])
    for step in run.steps():
        size, length = diet.draw(kinds, step / course.schedule.steps)
        batch = with_reference(shards.batch(rng, size, length), rng).to(device)
        # Logit-normal times, leaning to noise: there the words and the layout decide.
        t = torch.sigmoid(torch.randn(size, device=device) * 1.1 + 0.4)
        keep = (torch.rand(size, device=device) >= DROP).float()
        loss = flow_loss(student, batch, t, torch.randn_like(batch.latents), keep).mean()
        run.update(loss)
        run.note(**{("loss_image" if length == 1 else "loss_video"): loss.item()})
        if rank == 0 and (step + 1) % 250 == 0:
            batch = shards.batch(np.random.default_rng(step), 8, diet.short).to(device)
            print(
                "         swap-loss  " + json.dumps({k: round(v, 4) for k, v in swap_losses(student, batch).items()}),
                flush=True,
            )
        run.report(50)
        if (step + 1) % 200 == 0:
            shards.refresh()


def averaged_student(folder: Path) -> Student:
    """The averaged weights of a run."""
    from safetensors.torch import load_file

    student = build_student()
    weights = load_file(Path(folder) / "checkpoint.safetensors")
    student.load_state_dict({k.removeprefix("average."): v for k, v in weights.items() if k.startswith("average.")})
    return student.eval()
