"""What this machine can run, and what is missing."""

import importlib.metadata
import os
import platform
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parent.parent
MIN_MEMORY = 3.0  # GiB: what a film at standard size takes with the embedded model, with room for the system
MIN_DISK = 1.0  # GiB: takes and film of a song at standard size


@dataclass(frozen=True)
class Finding:
    """state: ok; note: works, but worth knowing; missing: the embedded model cannot run until this is mended."""

    subject: str
    state: Literal["ok", "note", "missing"]
    text: str


def examine() -> Iterator[Finding]:
    """All findings, cheap ones first. Changes nothing and loads no model."""
    yield _python()
    yield _processor()
    yield _memory()
    yield _disk()
    yield from _packages()
    yield from _torch()
    yield from _media()
    yield from _weights()


def _python() -> Finding:
    # Older ones than 3.11 do not get as far as this.
    return Finding("Python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _processor() -> Finding:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Finding("processor", "ok" if cores > 1 else "note", f"{cores} cores" + ("" if cores > 1 else "; slow"))


def _memory() -> Finding:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (AttributeError, ValueError, OSError):
        return Finding("memory", "note", "this system does not say how much there is")
    enough = total >= MIN_MEMORY
    text = f"{total:.1f} GiB" + ("" if enough else f"; {MIN_MEMORY:g} GiB are wanted, try --size draft")
    return Finding("memory", "ok" if enough else "note", text)


def _disk() -> Finding:
    from mv.make import projects_home

    folder = projects_home()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free / 2**30
    if not os.access(folder, os.W_OK):
        return Finding("disk", "missing", f"{folder} cannot be written; set MV_HOME to a folder that can")
    enough = free >= MIN_DISK
    text = f"{free:.1f} GiB free for projects in {projects_home()}" + ("" if enough else f"; {MIN_DISK:g} are wanted")
    return Finding("disk", "ok" if enough else "note", text)


def _packages() -> Iterator[Finding]:
    """What requirements.txt pins against what is installed."""
    requirements = ROOT / "requirements.txt"
    if not requirements.exists():
        yield Finding("packages", "note", "no requirements.txt here to compare with")
        return
    wrong = []
    for name, wanted in _pins(requirements.read_text()):
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("packages", "missing", f"{name} is not installed; pip install -r {requirements}")
            continue
        if wanted and found.partition("+")[0] != wanted:
            wrong.append(f"{name} {found} (tested with {wanted})")
    if wrong:
        yield Finding("packages", "note", "other versions than tested: " + ", ".join(wrong))
    else:
        yield Finding("packages", "ok", "as requirements.txt asks")


def _pins(text: str) -> Iterator[tuple[str, str | None]]:
    """(package, pinned version or None) for this system's lines of a requirements file."""
    from packaging.requirements import InvalidRequirement, Requirement

    for line in text.splitlines():
        try:
            requirement = Requirement(re.sub(r"(^|\s)#.*", "", line).strip())
        except InvalidRequirement:
            continue  # options such as --extra-index-url, comments, empty lines
        if requirement.marker is None or requirement.marker.evaluate():
            exact = [spec.version for spec in requirement.specifier if spec.operator == "=="]
            yield requirement.name, exact[0].partition("+")[0] if exact else None


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ImportError as error:
        yield Finding("torch", "missing", f"cannot be imported: {error}")
        return
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    if torch.backends.mps.is_available():
        devices.append("Apple GPU (mps)")
    yield Finding(
        "torch", "ok", f"{torch.__version__}, " + (", ".join(devices) or "no GPU: films render on the processor")
    )
    yield _bf16_speed(torch)


def _bf16_speed(torch) -> Finding:
    full, half = (_gflops(torch, dtype) for dtype in (torch.float32, torch.bfloat16))
    text = f"{half:.0f} GFLOP/s in bf16, {full:.0f} in fp32 on the processor"
    return Finding(
        "speed", "ok" if half > full else "note", text + ("" if half > full else "; bf16 does not help here")
    )


def _gflops(torch, dtype, n: int = 768, seconds: float = 0.15) -> float:
    a = torch.ones(n, n, dtype=dtype)
    a @ a  # the first call prepares the kernel
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        a @ a
        runs += 1
    return 2 * n**3 * runs / (time.perf_counter() - start) / 1e9


def _media() -> Iterator[Finding]:
    try:
        import av

        for codec in ("libx264", "aac"):
            av.Codec(codec, "w")
        yield Finding("video", "ok", f"PyAV {av.__version__} writes H.264 and AAC")
    except Exception as error:  # whatever is wrong with a codec library, it is a finding
        yield Finding("video", "missing", f"PyAV cannot write H.264 and AAC: {error}")
    try:
        from PIL import ImageFont

        ImageFont.load_default(12)
        yield Finding("fonts", "ok", "Pillow's own is enough")
    except Exception as error:
        yield Finding("fonts", "note", f"no letters can be drawn on animatics: {error}")


def _weights() -> Iterator[Finding]:
    """The embedded model's files: there, whole, and safetensors by their header."""
    folder = ROOT / "assets" / "models" / "mv-mini"
    files = sorted(folder.rglob("*.safetensors"))
    if not files:
        yield Finding(
            "mv-mini", "missing", f"no weights in {folder}; get the repository again, or train: python -m mv train"
        )
        return
    try:
        from safetensors import safe_open

        parameters = 0
        for file in files:
            with safe_open(file, "pt") as tensors:
                shapes = (tensors.get_slice(name).get_shape() for name in tensors.keys())  # noqa: SIM118
                parameters += sum(_size(shape) for shape in shapes)
        yield Finding("mv-mini", "ok", f"{parameters / 1e6:.1f} million parameters in {len(files)} files")
    except Exception as error:
        yield Finding("mv-mini", "missing", f"{file}: cannot be read: {error}")


def _size(shape: list[int]) -> int:
    size = 1
    for length in shape:
        size *= length
    return size
