"""Optional writers: a language model proposes how the parts of a song feel and where they play; the rules decide what
of it holds.

Three kinds: an OpenAI-compatible endpoint (director/endpoint.py), a language model of transformers, and one that hears
the song, Qwen2.5-Omni (both director/local.py). What they are asked and may answer stands in director/proposals.py.
"""

import os
import re
from pathlib import Path

from director.endpoint import Endpoint
from director.local import Ear, load_writer
from director.proposals import Writer
from mv.errors import InputError

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


def check_writer(where: str) -> None:
    """Raises InputError where `where` is neither an endpoint's address, nor the folder of a model, nor looks like its
    name on the hub; asks nobody."""
    if _is_address(where):
        Endpoint(where)
    elif not (Path(where) / "config.json").is_file() and (Path(where).exists() or not HUB_NAME.fullmatch(where)):
        raise InputError(
            f"writer: expected an address such as http://127.0.0.1:11434/v1#MODEL, the folder of a transformers model, "
            f"or its name on the hub such as Qwen/Qwen2.5-Omni-3B, got {where!r}"
        )


def open_writer(where: str, hear: Ear | None = None, timeout: float | None = None) -> Writer:
    """The writer at an address, in a folder, or of a name on the hub.

    hear: the song, for a model that hears; others do not ask for it. timeout: seconds in all, the writer's own number
    if None. The model of an endpoint stands after a #, else it is the first one the server lists. A key for a hosted
    one is read from the environment variable MV_WRITER_KEY. Raises InputError.
    """
    check_writer(where)
    limit = {} if timeout is None else {"timeout": timeout}
    if _is_address(where):
        return Endpoint(where, api_key=os.environ.get("MV_WRITER_KEY"), **limit)
    return load_writer(where, hear, **limit)


def _is_address(where: str) -> bool:
    return "://" in where
