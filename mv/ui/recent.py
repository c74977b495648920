"""The projects worked on last, for the first screen: a picture, a name, what is there."""

import html
import io
import json
import re
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from mv.errors import MusicVideoError
from mv.schema import write_atomically

RECENT = 8  # projects shown on the first screen
COVER = (300, 168)  # pixels: twice as many as it is shown with, for screens that are fine
PATIENCE = 1.0  # seconds for pictures that are not there yet; the others come with the next look


def recent_html(home: Path, names: Sequence[str]) -> str:
    """Links to the first of these projects; a plain one where nothing is drawn yet."""
    until, cards = time.monotonic() + PATIENCE, []
    for name in names[:RECENT]:
        folder = home / name
        cover = cover_of(folder, draw=time.monotonic() < until)
        address = cover and f"gradio_api/file={quote(str(cover))}?v={cover.stat().st_mtime_ns}"
        picture = f'<img src="{html.escape(address)}" alt="" loading="lazy">' if address else ""
        title, facts = (html.escape(words) for words in describe(folder))
        cards.append(
            f'<a href="?project={quote(name)}"><span class="frame">{picture}</span><b>{title}</b>'
            f"<small>{facts}</small></a>"
        )
    return f'<h3>Recent projects</h3><div class="mv-recent">{"".join(cards)}</div>' if cards else ""


def describe(folder: Path) -> tuple[str, str]:
    """(name, facts) of a project, of the studio or of the command line; its folder's name where nothing else tells."""
    plan, wishes = _read(folder / "plan.json"), _read(folder / "project.json")
    song = plan.get("song") or wishes.get("song")
    brief = plan.get("brief") if isinstance(plan.get("brief"), dict) else {}
    named = [plan.get("title"), song and Path(str(song)).stem, re.sub(r"-[0-9a-f]{8}$", "", folder.name)]
    title = next(str(name) for name in named if name)
    changed = datetime.fromtimestamp(folder.stat().st_mtime)
    films, shots = len(list((folder / "films").glob("[!.]*.mp4"))), plan.get("shots")
    facts = [
        str(brief.get("theme") or wishes.get("theme") or "")[:60],
        f"{len(shots)} shots" if isinstance(shots, list) else "not planned yet",
        f"{films} film{'s' if films > 1 else ''}" if films else "",
        f"{changed.day} {changed:%b}",
    ]
    return title[:80], " · ".join(filter(None, facts))


def _read(path: Path) -> dict:
    """Of a document that may be missing or damaged: the first screen shows what it can."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


# ---------------------------------------------------------------- covers


def cover_of(folder: Path, draw: bool = True) -> Path | None:
    """A picture of a project: of its newest film, else of a take, else of its animatic; None where there is nothing.

    draw: make it anew where there is a newer film; else what is there has to do.
    """
    cover, source = folder / "cover.jpg", _source(folder)
    there = cover.is_file()
    if source is not None and draw and (not there or cover.stat().st_mtime < source.stat().st_mtime):
        try:
            picture = _cell(source, folder) if source.suffix == ".jpg" else _frame(source)
            picture.thumbnail(COVER)
            content = io.BytesIO()
            picture.save(content, "JPEG", quality=85)
            write_atomically(cover, content.getvalue())
            there = True
        except (MusicVideoError, OSError):  # a damaged film, a full disk: the project is listed without
            pass
    return cover if there else None


def _source(folder: Path) -> Path | None:
    for pattern in ("films/[!.]*.mp4", "takes/[!.]*.mp4", "storyboard/*.jpg"):
        found = list(folder.glob(pattern))
        if found:
            # The newest film or take; of the sheets the one with most to see.
            return max(found, key=lambda path: path.stat().st_size if path.suffix == ".jpg" else path.stat().st_mtime)
    return None


def _frame(film: Path):
    """A picture from its first third: past a dark opening."""
    import av
    from PIL import Image

    try:
        with av.open(str(film)) as container:
            stream = container.streams.video[0]
            container.seek(int((stream.duration or 0) / 3), stream=stream)
            frame = next(container.decode(stream))
            return Image.fromarray(frame.to_ndarray(format="rgb24"))
    except (av.FFmpegError, StopIteration, IndexError) as error:
        raise OSError(f"{film}: {error}") from None


def _cell(sheet: Path, folder: Path):
    """The first frame of a sheet of the animatic."""
    from PIL import Image

    from mv.ui.strips import frame_size

    plan = _read(folder / "plan.json")
    width, height = frame_size(plan.get("width", 16) / max(1, plan.get("height", 9)))
    return Image.open(sheet).convert("RGB").crop((0, 0, width, height))
