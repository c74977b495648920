"""What this machine can do, said on the first screen: only what is known, nothing guessed."""

import html
import os

from mv.devices import local_devices


def machine_note() -> str:
    """HTML: cores, GPU, and what that means for a film."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    gpus = [device for device in local_devices() if device.startswith("cuda")]
    what = f"{len(gpus)} NVIDIA GPU{'s' if len(gpus) > 1 else ''}" if gpus else "no NVIDIA GPU"
    means = (
        "Wan-class models can run here."
        if gpus
        else "The embedded model mv-mini runs here; it paints simple, stylised pictures. Wan-class models need a GPU."
    )
    words = (
        f"This machine: {cores} core{'' if cores == 1 else 's'}, {what}. {means} The animatic is there at once; the "
        "time a rendering takes is shown from its first seconds on. Nothing leaves this machine."
    )
    return f"<p>{html.escape(words)}</p>"
