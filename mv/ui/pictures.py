"""The first screen's further pictures: several files, each with a field that says what it stands for."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import gradio as gr

from director.references import is_name, parse_references
from mv.errors import InputError
from mv.schema import LABELS
from mv.world.vocabulary import SCENES

MAX_PICTURES = 8


def roles() -> list[tuple[str, str]]:
    """(label, name) of what a picture may stand for; a section's number, as in "chorus 2", is typed."""
    parts = [(f"every {label}", label) for label in LABELS]
    return [
        ("the performer", "cast"),
        ("the light", "light"),
        *parts,
        *((f"the place: {name}", name) for name in SCENES),
    ]


def guess(file: str) -> str | None:
    """What a file that is named for it stands for: ocean.jpg, chorus-2.png."""
    name = " ".join(re.split(r"[\s_-]+", Path(file).stem.lower()))
    return name if is_name(name) else None


def references(files: Sequence[str] | None, chosen: Sequence[str | None]) -> dict[str, str]:
    """The pictures by what they stand for. Raises InputError."""
    files = files or []
    if len(files) > MAX_PICTURES:
        raise InputError(f"pictures: expected at most {MAX_PICTURES}, got {len(files)}; remove some")
    for file, name in zip(files, chosen):
        if not (name or "").strip():
            raise InputError(f"{Path(file).name}: choose what this picture stands for, in the field below it")
    return parse_references([f"{name}={file}" for file, name in zip(files, chosen)])[1]


def fields(files: Sequence[str] | None, known: Mapping[str, str | None]) -> list[dict]:
    """A field for each file, as updates; the others hidden. known: what files stand for, by their names; that of others
    is guessed."""
    names = _names(files)[:MAX_PICTURES]
    shown = [
        gr.update(label=f"{name} stands for", value=known.get(name) or guess(name), visible=True) for name in names
    ]
    return shown + [gr.update(value=None, visible=False)] * (MAX_PICTURES - len(shown))


def layout() -> tuple[gr.File, gr.State, list[gr.Dropdown]]:
    """The files, the names of those that have a field, and the fields; connected with each other."""
    files = gr.File(
        label="More pictures, each for what you say below",
        file_count="multiple",
        file_types=["image"],
        type="filepath",
        height=110,
        elem_id="pictures",
    )
    told = gr.State([])
    choosers = [
        gr.Dropdown(
            roles(),
            value=None,
            allow_custom_value=True,
            visible=False,
            info="or type a part with its number: chorus 2",
            elem_id=f"stands-for-{number}",
        )
        for number in range(1, MAX_PICTURES + 1)
    ]

    def changed(files: list[str] | None, told: list[str], *chosen: str | None) -> list:
        if len(files or []) > MAX_PICTURES:
            gr.Warning(f"At most {MAX_PICTURES} pictures: remove some")
        return [_names(files), *fields(files, dict(zip(told, chosen)))]

    events = [files.upload, files.delete, files.clear]
    gr.on(
        events, changed, [files, told, *choosers], [told, *choosers],
        api_visibility="private", show_progress="hidden", queue=False,
    )  # fmt: skip
    return files, told, choosers


def shown(files: Mapping[str, Path]) -> list:
    """What `layout` gives, filled with the pictures of a project, by what they stand for."""
    known = {path.name: name for name, path in files.items()}
    paths = [str(path) for path in files.values()][:MAX_PICTURES]
    return [paths or None, _names(paths), *fields(paths, known)]


def _names(files: Sequence[str] | None) -> list[str]:
    return [Path(file).name for file in files or []]
