"""Trained parts → one pipeline folder, as `MVPipeline.from_pretrained` reads it."""

from pathlib import Path

from diffusers import FlowMatchEulerDiscreteScheduler

from mv.model.autoencoder import MVAutoencoder
from mv.pipeline import MVPipeline
from mv.train.transformer import averaged_student

SHIFT = 2.0  # time shift of the sampler: more steps where the picture is decided


def export_pipeline(run: Path, vae: Path, target: Path) -> None:
    """Half precision; files of at most 12 MB, since a repository should not hold bigger ones."""
    student = averaged_student(run)
    pipeline = MVPipeline(
        transformer=student.transformer.half(),
        vae=MVAutoencoder.from_pretrained(vae).half(),
        text_encoder=student.text_encoder.half(),
        tokenizer=student.tokenizer,
        scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT),
    )
    for old in target.glob("*/*.safetensors*"):  # an earlier model may have had other shards
        old.unlink()
    pipeline.save_pretrained(target, max_shard_size="12MB")
    for new in target.glob("*/*.safetensors"):
        new.chmod(0o644)  # safetensors writes for the owner only
