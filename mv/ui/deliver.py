"""What leaves the studio besides the film: subtitles, lists for other editing programs, the plan, the whole project."""

import re
from pathlib import Path
from urllib.parse import quote

from mv import export
from mv.archive import export_project
from mv.errors import InputError
from mv.schema import write_atomically
from mv.ui.project import Project


def deliver(project: Project, what: str) -> dict:
    """{"url", "name"} of the file, written anew into the project's exports/. Raises InputError, OutputError."""
    project.save()
    name = re.sub(r"-[0-9a-f]{8}$", "", project.folder.name)
    folder = project.folder / "exports"
    if what == "plan":
        return _link(project.folder / "plan.json", f"{name}-plan.json")
    if what == "clips":
        return _link(_clips(project, folder / f"{name}-clips.zip"), f"{name}-clips.zip")
    if what == "zip":
        return _link(export_project(project.folder, folder / f"{name}.zip"), f"{name}.zip")
    write = export.FORMATS.get(f".{what}")
    if write is None:
        raise InputError(f"deliver: expected plan, zip, clips or one of {', '.join(export.FORMATS)}; got {what[:40]!r}")
    plan, film = project.resolved_plan(), project.film()
    path = folder / f"{name}.{what}"
    write_atomically(path, write(plan, project.analysis(), film).encode())
    return _link(path, path.name)


def _clips(project: Project, target: Path) -> Path:
    """Every shot as a file of its own, with lists that name them."""
    takes = {shot: project.folder / "takes" / take.file for shot, take in project.takes().items()}
    return export.package(project.resolved_plan(), project.analysis(), takes, target)


def _link(path: Path, name: str) -> dict:
    return {"url": "gradio_api/file=" + quote(str(path)), "name": name}
