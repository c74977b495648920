"""One shot: conditions → denoise → decode, as a diffusers pipeline.

`MVPipeline` holds transformer, autoencoder, text encoder, tokenizer and scheduler and saves and loads like any other
diffusers pipeline; `DiffusionRenderer` gives it the shape generation.py asks for.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler

from mv.camera import CameraPath
from mv.checkpoints import Checkpoint, Denoising
from mv.errors import Cancelled, InputError, ModelError
from mv.generation import Conditions
from mv.model.autoencoder import MVAutoencoder
from mv.model.conditions import (
    camera_condition,
    fold_frames,
    fold_path,
    pad_frames,
    reference_condition,
    stack_groups,
)
from mv.model.text import encode_words
from mv.model.transformer import MVTransformer3DModel
from mv.reference import read_image
from mv.schema import AUDIO_FEATURES
from mv.timing import latent_length
from mv.windows import WindowSpec, blended_velocity, offset_sequence, plan_windows
from mv.world.render import layout
from mv.world.vocabulary import describe, understand

RENDER_VERSION = "2"  # part of a take's key: raise it when the same inputs would give other pixels
DECODE_CHUNK = 6  # latent frames decoded at once: memory does not grow with the shot


@dataclass(frozen=True)
class MVPipelineOutput:
    """frames (f, height, width, 3) uint8 RGB, None for output_type "latent"; latents (1, c, t, h, w)."""

    frames: np.ndarray | None
    latents: torch.Tensor


@dataclass(frozen=True)
class LatentConditions:
    """What the transformer is given, on the latent grid; see MVTransformer3DModel.forward.

    maps: camera, layout and reference, embedded once for all denoising steps.
    """

    words: torch.Tensor
    maps: torch.Tensor
    audio: torch.Tensor

    def window(self, start: int, stop: int) -> dict[str, torch.Tensor]:
        return dict(encoder_hidden_states=self.words, maps=self.maps[:, start:stop], audio=self.audio[:, start:stop])


class MVPipeline(DiffusionPipeline):
    """Text, camera path and music to video."""

    model_cpu_offload_seq = "text_encoder->transformer->vae"

    def __init__(
        self,
        transformer: MVTransformer3DModel,
        vae: MVAutoencoder,
        text_encoder,
        tokenizer,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ):
        super().__init__()
        self.register_modules(
            transformer=transformer, vae=vae, text_encoder=text_encoder, tokenizer=tokenizer, scheduler=scheduler
        )

    @torch.no_grad()
    def __call__(
        self,
        prompt: str,
        path: CameraPath,
        audio: np.ndarray,
        height: int = 288,
        width: int = 512,
        num_inference_steps: int = 8,
        guidance_scale: float = 3.0,
        generator: torch.Generator | None = None,
        latents: torch.Tensor | None = None,
        given: np.ndarray | None = None,
        known: np.ndarray | None = None,
        windows: WindowSpec = WindowSpec(),
        output_type: str = "np",
        callback: Callable[[float], None] | None = None,
        checkpoint: Checkpoint | None = None,
        on_picture: Callable[[Callable[[], np.ndarray]], None] = lambda picture: None,
    ) -> MVPipelineOutput:
        """path: f camera poses; audio (f, len(AUDIO_FEATURES)); returns exactly f frames.

        guidance_scale 1 switches guidance off and halves the time. given (f, height, width, 3) uint8 RGB and known (f,)
        bool: frames the shot has to pass through: its first for a picture that moves, its first few to go on from, its
        first and last to fill what lies between; a latent frame counts as known where all its video frames are.
        output_type "latent" leaves the latents undecoded. callback is given the share done, 0..1, after every window.
        on_picture is given, after every step and every decoded piece, a function that shows a frame as it would be now:
        (height, width, 3) uint8; calling it decodes a latent frame and changes nothing.
        checkpoint keeps where the denoising stands; the result is the same to the last bit, however often it stopped.
        Raises InputError for sizes and lengths that do not fit together.
        """
        # 1. Check
        self.check_inputs(path, audio, height, width, num_inference_steps)
        num_frames = len(path)
        length = latent_length(num_frames, self.vae.config.temporal_compression_ratio)
        grid = (height // self.vae.config.spatial_compression_ratio, width // self.vae.config.spatial_compression_ratio)

        # 2. Conditions on the latent grid
        reference = None if given is None else self.encode_given(given, known)
        conditions = self.encode_conditions(prompt, path, audio, *grid, reference)
        nothing = torch.zeros_like(conditions.words)

        # 3. Noise and schedule
        if latents is None:
            shape = (1, self.vae.config.latent_channels, length, *grid)
            latents = torch.randn(shape, generator=generator, dtype=torch.float32).to(self._execution_device)
        self.scheduler.set_timesteps(sigmas=even_sigmas(num_inference_steps), device=latents.device)
        offsets = offset_sequence(length, num_inference_steps, windows, _activity(audio, length))
        plans = [plan_windows(length, offset, windows) for offset in offsets]
        total = sum(map(len, plans))

        # 4. Denoise: predictions of all windows are blended, then one step is taken on the whole
        state = Denoising(0, 0, latents, None) if checkpoint is None else checkpoint.load(latents)
        for step in range(state.step, num_inference_steps):
            timestep, latents = self.scheduler.timesteps[step], state.latents
            before = sum(map(len, plans[:step]))

            def predict(part: torch.Tensor, start: int, stop: int, timestep=timestep) -> torch.Tensor:
                return self._guided(part, timestep, conditions.window(start, stop), nothing, guidance_scale)

            def after(done: int, velocity: torch.Tensor, step=step, latents=latents, before=before) -> None:
                if checkpoint is not None:
                    checkpoint.save(Denoising(step, done, latents, velocity))
                if callback is not None:
                    callback(0.9 * (before + done) / total)

            velocity = blended_velocity(predict, latents, plans[step], state.windows, state.velocity, after)
            clean = latents - self.scheduler.sigmas[step].to(latents) * velocity  # where the flow leads from here
            on_picture(lambda clean=clean: self.picture(clean))
            latents = self.scheduler.step(velocity, timestep, latents, return_dict=False)[0]
            state = Denoising(step + 1, 0, latents, None)

        # 5. Decode
        latents = state.latents
        frames = None if output_type == "latent" else self.decode_latents(latents, num_frames, on_picture)
        if callback is not None:
            callback(1.0)
        return MVPipelineOutput(frames, latents)

    def check_inputs(self, path: CameraPath, audio: np.ndarray, height: int, width: int, steps: int) -> None:
        side = self.vae.config.spatial_compression_ratio * self.transformer.config.patch_size[1]
        if height % side or width % side or min(height, width) < side:
            raise InputError(f"picture size: expected multiples of {side} pixels, got {width}×{height}")
        if audio.shape != (len(path), len(AUDIO_FEATURES)):
            raise InputError(
                f"audio: expected shape {(len(path), len(AUDIO_FEATURES))}, one row a frame, got {audio.shape}"
            )
        if steps < 1:
            raise InputError(f"steps: expected at least 1, got {steps}")

    def encode_given(self, given: np.ndarray, known: np.ndarray) -> torch.Tensor:
        """Frames (f, height, width, 3) uint8 and which of them are known (f,) → (1, 2c + 1, t, h, w)."""
        if self.transformer.reference_adapter is None:
            raise ModelError("this model cannot start from pictures; remove the shot's reference image")
        if len(given) != len(known):
            raise InputError(f"given: expected one flag a frame, got {len(given)} frames and {len(known)} flags")
        known = fold_frames(pad_frames(known)).all(1)
        video = torch.from_numpy(pad_frames(given)).permute(3, 0, 1, 2)[None].to(self._execution_device, self.vae.dtype)
        latents = self.vae.encode(video / 127.5 - 1).float()
        mask = torch.from_numpy(known).to(latents).view(1, 1, -1, 1, 1).expand(-1, -1, -1, *latents.shape[3:])
        return reference_condition(latents, mask)

    def encode_conditions(
        self,
        prompt: str,
        path: CameraPath,
        audio: np.ndarray,
        height: int,
        width: int,
        reference: torch.Tensor | None = None,
    ) -> LatentConditions:
        """height, width: of the latent grid. The prompt is read in the model's own vocabulary."""
        config, dtype, device = self.transformer.config, self.transformer.dtype, self._execution_device
        directions = understand(prompt).directions
        path, audio = fold_path(path), fold_frames(pad_frames(audio))
        fine, scale = config.camera_unshuffle, config.layout_unshuffle
        rays = camera_condition(path, height * fine, width * fine, config.camera_scale, config.stage_rays)
        marks = layout(directions, path, audio.reshape(len(path), -1), width * scale, height * scale)
        marks = stack_groups(marks.reshape(len(audio), -1, *marks.shape[1:]))
        words = encode_words(self.tokenizer, self.text_encoder, [describe(directions)])
        place = lambda x: None if x is None else x.to(device, dtype)
        return LatentConditions(
            words=place(words),
            maps=self.transformer.embed_maps(place(rays), place(marks), place(reference)),
            audio=place(torch.from_numpy(audio)[None]),
        )

    def _guided(
        self, latents, timestep, conditions: dict, nothing: torch.Tensor, guidance_scale: float
    ) -> torch.Tensor:
        """Classifier-free guidance away from the same model given no words, maps or sound."""
        latents, timestep = latents.to(self.transformer.dtype), timestep.expand(len(latents))
        velocity = self.transformer(latents, timestep, **conditions, return_dict=False)[0].float()
        if guidance_scale == 1:
            return velocity
        free = self.transformer(latents, timestep, nothing, return_dict=False)[0].float()
        return free + guidance_scale * (velocity - free)

    def picture(self, latents: torch.Tensor) -> np.ndarray:
        """The frame in the middle, (height, width, 3) uint8."""
        middle = latents.shape[2] // 2
        return self.decode_latents(latents[:, :, middle : middle + 1], 1)[0]

    def decode_latents(
        self,
        latents: torch.Tensor,
        num_frames: int,
        on_picture: Callable[[Callable[[], np.ndarray]], None] = lambda picture: None,
    ) -> np.ndarray:
        """(num_frames, height, width, 3) uint8, decoded in pieces; each piece sees the latent frame before it."""
        pictures, length = [], latents.shape[2]
        for start in range(0, length, DECODE_CHUNK):
            context = min(start, 1)
            piece = latents[:, :, start - context : start + DECODE_CHUNK].to(self.vae.dtype)
            video = self.vae.decode(piece).sample[0].float()
            video = video[:, 1:] if context else video  # the context's one frame
            pictures.append(((video.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 3, 0).cpu().numpy())
            on_picture(lambda piece=pictures[-1]: piece[-1])
        return np.concatenate(pictures)[:num_frames]


def even_sigmas(steps: int) -> list[float]:
    """Noise levels before the scheduler's shift: 1 down to 1/steps. Its own default ends at nearly zero, where
    a step has nothing left to do."""
    return np.linspace(1, 1 / steps, steps).tolist()


def _activity(audio: np.ndarray, length: int) -> np.ndarray:
    """How much goes on in each latent frame: onsets and voice."""
    column = {name: i for i, name in enumerate(AUDIO_FEATURES)}
    going_on = audio[:, column["onset"]] + audio[:, column["voice"]]
    return fold_frames(pad_frames(going_on)).mean(1)[:length]


class DiffusionRenderer:
    """The embedded model as a Renderer: one take from the conditions of one shot."""

    resumes = shows = True  # see render_take in mv/generation.py: `render` takes a checkpoint and on_picture

    def __init__(
        self,
        name: str,
        pipeline: MVPipeline,
        num_inference_steps: int,
        guidance_scale: float,
        sizes: tuple[tuple[int, int], ...],
        weights: str,
    ):
        self.name, self.pipeline, self.sizes = name, pipeline, sizes
        self.num_inference_steps, self.guidance_scale = num_inference_steps, guidance_scale
        settings = f"{RENDER_VERSION}|{weights}|{num_inference_steps}|{guidance_scale}|{sizes}|{WindowSpec()}"
        self.identity = hashlib.sha256(settings.encode()).hexdigest()[:16]

    def render(
        self,
        conditions: Conditions,
        on_progress: Callable[[float], None] = lambda share: None,
        cancelled: Callable[[], bool] = lambda: False,
        checkpoint: Path | None = None,
        on_picture: Callable[[Callable[[], np.ndarray]], None] = lambda picture: None,
    ) -> np.ndarray:
        """(f, height, width, 3) uint8 RGB. Looks at `cancelled` after every window.

        A shot that has a reference picture starts from it: the model knows its first frame and goes on from there.
        checkpoint: a file to go on from, if it is there, and to keep up to date.
        """

        def callback(share: float) -> None:
            if cancelled():
                raise Cancelled("rendering was cancelled; finished shots are kept")
            on_progress(share)

        resume = checkpoint and Checkpoint(checkpoint)
        options = dict(callback=callback, checkpoint=resume, on_picture=on_picture)
        frames = self._run(conditions, conditions.seed, **options).frames
        return frames if frames.shape[1:3] == (conditions.height, conditions.width) else scale(frames, conditions)

    def latents(self, conditions: Conditions, seed: int) -> torch.Tensor:
        """The shot before decoding, (1, c, t, h, w), at the model's own size."""
        return self._run(conditions, seed, output_type="latent").latents

    def _run(self, conditions: Conditions, seed: int, **options) -> MVPipelineOutput:
        width, height = self.native_size(conditions.width, conditions.height)
        given, known = None, None
        if conditions.reference is not None:
            given = np.zeros((conditions.num_frames, height, width, 3), np.uint8)
            given[0] = crop_to(read_image(conditions.reference), width, height)
            known = np.arange(conditions.num_frames) == 0
        return self.pipeline(
            conditions.prompt,
            conditions.path,
            conditions.audio,
            height,
            width,
            self.num_inference_steps,
            self.guidance_scale,
            generator=torch.Generator().manual_seed(seed),
            given=given,
            known=known,
            **options,
        )

    def native_size(self, width: int, height: int) -> tuple[int, int]:
        """The (width, height) the model was trained at whose shape is nearest to the one asked for."""
        return min(self.sizes, key=lambda size: abs(np.log(size[0] / size[1] * height / width)))


def scale(frames: np.ndarray, conditions: Conditions) -> np.ndarray:
    """Frames at the size asked for."""
    size = (conditions.width, conditions.height)
    smaller = conditions.width < frames.shape[2]
    method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.stack([cv2.resize(frame, size, interpolation=method) for frame in frames])


def crop_to(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """The middle of a picture (h, w, 3) at another size and shape: nothing is stretched."""
    h, w = picture.shape[:2]
    share = min(w / width, h / height)
    crop_w, crop_h = max(1, round(share * width)), max(1, round(share * height))
    left, top = (w - crop_w) // 2, (h - crop_h) // 2
    part = picture[top : top + crop_h, left : left + crop_w]
    return cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA if share > 1 else cv2.INTER_CUBIC)


def weights_hash(folder: Path) -> str:
    """One hash over all weight and configuration files of a model folder."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if file.suffix in (".safetensors", ".json"):
            digest.update(file.relative_to(folder).as_posix().encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
