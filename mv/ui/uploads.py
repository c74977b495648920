"""Files that came through gradio's upload: the only ones a message may name."""

import tempfile
from os import environ
from pathlib import Path

from mv.errors import InputError


def uploaded(path: object) -> Path:
    """Raises InputError for any path that is not below gradio's folder of uploads."""
    folder = Path(environ.get("GRADIO_TEMP_DIR") or Path(tempfile.gettempdir()) / "gradio").resolve()
    if not isinstance(path, str) or "\0" in path or not Path(path).resolve().is_relative_to(folder):
        raise InputError("expected an uploaded file, as gradio_client's handle_file gives")
    return Path(path)
