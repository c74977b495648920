"""The models one can choose, by name. Nothing is loaded or downloaded by looking."""

from dataclasses import dataclass
from pathlib import Path

from mv.errors import InputError, ModelError
from mv.generation import Renderer

ASSETS = Path(__file__).resolve().parents[2] / "assets" / "models"


@dataclass(frozen=True)
class ModelSpec:
    """folder: where the weights lie. steps, guidance: what the model was tuned for. sizes: (width, height) it was
    trained at; other sizes are drawn at the nearest shape of these and scaled."""

    name: str
    description: str
    folder: Path
    licence: str
    sizes: tuple[tuple[int, int], ...]
    steps: int = 8
    guidance: float = 2.0

    @property
    def installed(self) -> bool:
        return (self.folder / "model_index.json").is_file()


MODELS = {
    "mv-mini": ModelSpec(
        name="mv-mini",
        description="the embedded model: 19.5 M parameters, painted style, runs on two CPU cores",
        folder=ASSETS / "mv-mini",
        licence="Apache-2.0",
        sizes=((512, 288), (288, 512), (384, 384)),
        steps=4,
        guidance=1.0,  # distilled: guidance is in the weights
    ),
}


def load_renderer(name: str, num_inference_steps: int | None = None) -> Renderer:
    """The model ready to render on the best device here. Raises InputError for a name or step count that does not
    exist, ModelError where weights are missing or broken."""
    if name not in MODELS:
        raise InputError(f"no model {name!r}; known are: {', '.join(MODELS)}")
    if num_inference_steps is not None and not 1 <= num_inference_steps <= 200:
        raise InputError(f"steps: expected 1 to 200, got {num_inference_steps}")
    spec = MODELS[name]
    if not spec.installed:
        raise ModelError(f"{name}: no weights in {spec.folder}; they come with the repository (assets/models/{name})")
    from mv.pipeline import DiffusionRenderer, weights_hash

    return DiffusionRenderer(
        name,
        load_pipeline(spec.folder),
        num_inference_steps or spec.steps,
        spec.guidance,
        spec.sizes,
        weights_hash(spec.folder),
    )


def load_pipeline(folder: Path):
    """MVPipeline in bfloat16 (the CPU's and the GPU's fast type) on the best device."""
    import torch
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    from mv.model.transformer import PlainAttnProcessor
    from mv.pipeline import MVPipeline

    for logging in (diffusers_logging, transformers_logging):  # the caller shows its own progress
        logging.disable_progress_bar()
    try:
        pipeline = MVPipeline.from_pretrained(folder, dtype=torch.bfloat16, local_files_only=True)
    except Exception as error:  # safetensors, transformers and diffusers each raise their own kinds
        raise ModelError(f"{folder}: cannot load the model, its files may be incomplete: {error}") from error
    if torch.cuda.is_available():
        return pipeline.to("cuda")
    pipeline.vae.to(memory_format=torch.channels_last)  # a sixth faster on the CPU
    pipeline.transformer.set_attn_processor(PlainAttnProcessor())
    return pipeline
