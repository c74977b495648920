"""Strips: every shot of a plan as a sheet of small animatic frames, drawn at once and again only where it changed.

One sheet serves the timeline's thumbnails, the filmstrip of the inspector and the animatic that the page plays. A sheet
is named by what it shows (edits.shot_signature), so that what is there under its name is right. Every frame carries the
word ANIMATIC (mv/animatic.py).

`python -m mv.ui.strips` draws in a process of its own, so that the page stays quick; when idle it measures takes.
It reads what to do from its standard input and ends with it: lines of JSON, {"folder", "draw": index of the shot that
comes first} or {"folder", "measure": id of a shot}. Sketcher is what the studio holds of it.
"""

import io
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from mv.errors import MusicVideoError
from mv.projects import give_way, start_process
from mv.schema import Analysis, Timeline, write_atomically
from mv.ui.edits import shot_signature

FRAME_RATE = 6  # sheet frames a second of film: a sketch, so that a whole song is drawn within the minute
MAX_FRAMES = 72  # a sheet; longer shots get fewer a second
COLUMNS = 8  # frames a row
PIXELS = 256 * 144  # of a frame, about
PEAK_RATE = 100  # waveform peaks a second
KEPT = 400  # sheets kept beside those of the plan: undo finds them again


def strip_frames(num_frames: int, fps: float) -> int:
    """How many frames the sheet of a shot (with its handles) has."""
    return max(1, min(MAX_FRAMES, round(num_frames / fps * FRAME_RATE)))


def draw_strip(timeline: Timeline, index: int, analysis: Analysis) -> Image.Image:
    """The sheet of a shot: strip_frames(...) pictures, COLUMNS a row, evenly spread over timeline.span(index)."""
    from director.trajectories import trajectory
    from mv.animatic import stamp
    from mv.camera import CameraPath
    from mv.world.render import draw
    from mv.world.vocabulary import understand

    first, stop = timeline.span(index)
    count = strip_frames(stop - first, float(timeline.fps))
    at = ((np.arange(count) + 0.5) * (stop - first) / count).astype(int)
    path = trajectory(timeline, index, analysis)
    audio = analysis.on_grid(timeline.fps, first, stop - first)
    width, height = frame_size(timeline.width / timeline.height)
    directions = understand(timeline.shots[index].prompt).directions
    frames = draw(directions, CameraPath(path.extrinsics[at], path.intrinsics[at]), audio[at], width, height)
    frames = stamp(frames)
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for i, frame in enumerate(frames):
        y, x = i // columns * height, i % columns * width
        sheet[y : y + height, x : x + width] = frame
    return Image.fromarray(sheet)


def frame_size(aspect: float) -> tuple[int, int]:
    """(width, height) of a sheet's frame in pixels, both even."""
    height = (PIXELS / aspect) ** 0.5
    return 2 * round(aspect * height / 2), 2 * round(height / 2)


def waveform_peaks(y: np.ndarray, sr: int) -> np.ndarray:
    """(n,) samples → the largest magnitude in each 1 / PEAK_RATE s, (m,) uint8, 255 the loudest of the song."""
    columns = max(1, round(len(y) / sr * PEAK_RATE))
    edges = np.linspace(0, len(y), columns + 1).astype(int)
    peaks = np.maximum.reduceat(np.abs(y), np.minimum(edges[:-1], max(len(y) - 1, 0)))
    return np.rint(255 * peaks / max(float(peaks.max(initial=0)), 1e-9)).astype(np.uint8)


# ---------------------------------------------------------------- a project's sheets


def strip_path(folder: Path, signature: str) -> Path:
    return folder / "storyboard" / f"{signature}.jpg"


def peaks_path(folder: Path) -> Path:
    return folder / "storyboard" / "peaks.bin"


def missing(folder: Path, timeline: Timeline, names: Sequence[str] | None = None) -> list[int]:
    """Indices of shots that have no sheet yet. names: of the sheets, where they are known."""
    there = set(os.listdir(folder / "storyboard")) if (folder / "storyboard").is_dir() else set()
    names = names or [shot_signature(timeline, i) for i in range(len(timeline.shots))]
    return [i for i, name in enumerate(names) if f"{name}.jpg" not in there]


def save_peaks(song: str | Path, folder: Path) -> None:
    from mv.audio import mono, read_audio

    sr = 11025
    write_atomically(peaks_path(folder), waveform_peaks(mono(read_audio(song, sr=sr)), sr).tobytes())


def save_strip(folder: Path, timeline: Timeline, index: int, analysis: Analysis) -> None:
    content = io.BytesIO()
    draw_strip(timeline, index, analysis).save(content, "JPEG", quality=82)
    write_atomically(strip_path(folder, shot_signature(timeline, index)), content.getvalue())


def prune(folder: Path, timeline: Timeline) -> None:
    """Remove the oldest sheets that the plan does not show, beyond KEPT of them."""
    shown = {shot_signature(timeline, i) for i in range(len(timeline.shots))}
    others = [path for path in (folder / "storyboard").glob("*.jpg") if path.stem not in shown]
    for path in sorted(others, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        path.unlink(missing_ok=True)


# ---------------------------------------------------------------- the process


class Sketcher:
    """The studio's drawing process; it starts with the first request and stops when the studio does."""

    def __init__(self, home: Path) -> None:
        """home: the projects' home, whose log it writes to."""
        self.home = home
        self._process: subprocess.Popen | None = None
        self._lock = threading.Lock()

    def draw(self, folder: Path, shot: int = 0) -> None:
        """Draw what a project lacks, the shots nearest to this one first. Returns at once."""
        self._ask({"folder": str(folder), "draw": shot})

    def measure(self, folder: Path, shot: str) -> None:
        """Measure the takes of the shot with this id; see mv/ui/measures.py. Returns at once."""
        self._ask({"folder": str(folder), "measure": shot})

    def _ask(self, request: dict) -> None:
        line = json.dumps(request) + "\n"
        with self._lock:
            for _ in range(2):  # the process may have died
                try:
                    if self._process is None or self._process.poll() is not None:
                        command = [sys.executable, "-m", "mv.ui.strips"]
                        self._process = start_process(command, self.home, text=True)
                    self._process.stdin.write(line)
                    self._process.stdin.flush()
                    return
                except OSError:
                    self._process = None

    def stop(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.terminate()
                self._process.wait()
                self._process.stdin.close()
                self._process = None


def main() -> None:
    """Draw for whoever asked last; an older request goes on when that is done, and measuring waits for all drawing."""
    give_way(2)  # after the page, before the rendering
    asked: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            asked.put(line)
        os._exit(0)  # the studio is gone; every file is written whole or not at all

    threading.Thread(target=read, daemon=True).start()
    waiting: dict[tuple[str, Path], int | str] = {}  # ("draw" or "measure", folder): shot
    while True:
        while not waiting or not asked.empty():
            request = json.loads(asked.get())
            what = "draw" if "draw" in request else "measure"
            waiting.pop((what, Path(request["folder"])), None)
            waiting[what, Path(request["folder"])] = request[what]
        job = next((job for job in reversed(waiting) if job[0] == "draw"), next(reversed(waiting)))
        try:
            if not (_draw_one if job[0] == "draw" else _measure)(job[1], waiting[job]):
                del waiting[job]
        except (MusicVideoError, OSError):
            logging.exception("cannot %s for %s", *job)
            del waiting[job]


def _draw_one(folder: Path, shot: int) -> bool:
    """One sheet of what a project lacks, or its peaks; False where nothing is left to draw."""
    status = (folder / "plan.json").stat()
    plan, names = _plan(folder, (status.st_ino, status.st_mtime_ns, status.st_size))
    if not peaks_path(folder).exists():
        save_peaks(plan.song, folder)
        return True
    lacking = missing(folder, plan, names)
    if not lacking:
        prune(folder, plan)
        return False
    save_strip(folder, plan, min(lacking, key=lambda index: abs(index - shot)), _analysis(plan.analysis))
    return True


@lru_cache(maxsize=4)
def _plan(folder: Path, stamp: tuple[int, ...]) -> tuple[Timeline, list[str]]:
    """The plan and the names of its sheets: read once for all its sheets, and again when the file is another one."""
    from mv import make

    plan = make.load_plan(folder / "plan.json")
    return plan, [shot_signature(plan, index) for index in range(len(plan.shots))]


def _measure(folder: Path, shot: str) -> bool:
    """One take of a shot; False where nothing is left to measure."""
    from mv.ui.measures import measure_take
    from mv.ui.project import Project

    plan = Project(folder.parent, folder.name).resolved_plan()
    return measure_take(folder, plan, plan.index(shot), _analysis(plan.analysis))


def _analysis(path: str) -> Analysis:
    return _analysis_of(path, Path(path).stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _analysis_of(path: str, changed: int) -> Analysis:
    """A file of this name changes only where the song is listened to anew."""
    return Analysis.load(path)


if __name__ == "__main__":
    main()
