"""Strips: every shot of a plan as a sheet of small animatic frames, drawn at once and again only where it changed.

One sheet serves the timeline's thumbnails, the filmstrip of the inspector and the animatic that the page plays. A sheet
is named by what it shows (edits.shot_signature), so that what is there under its name is right. Every frame carries the
word ANIMATIC (mv/animatic.py).

`python -m mv.ui.strips` draws in a process of its own, so that the page stays quick: it reads project folders, one a
line, from its standard input and ends with it. Sketcher is what the studio holds of it.
"""

import io
import json
import logging
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from PIL import Image

from mv.errors import MusicVideoError
from mv.projects import start_process
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


def missing(folder: Path, timeline: Timeline) -> list[int]:
    """Indices of shots that have no sheet yet."""
    there = set(os.listdir(folder / "storyboard")) if (folder / "storyboard").is_dir() else set()
    return [i for i in range(len(timeline.shots)) if f"{shot_signature(timeline, i)}.jpg" not in there]


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

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._lock = threading.Lock()

    def draw(self, folder: Path, shot: int = 0) -> None:
        """Draw what a project lacks, the shots nearest to this one first. Returns at once."""
        line = json.dumps([str(folder), shot]) + "\n"
        with self._lock:
            for _ in range(2):  # the process may have died
                try:
                    if self._process is None or self._process.poll() is not None:
                        command = [sys.executable, "-m", "mv.ui.strips"]
                        self._process = start_process(command, folder.parent, text=True)
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
    """Draw for whoever asked last; an older request goes on when that is done."""
    if hasattr(os, "nice"):
        os.nice(2)  # after the page, before the rendering
    asked: queue.Queue[str | None] = queue.Queue()

    def read() -> None:
        for line in sys.stdin:
            asked.put(line)
        os._exit(0)  # the studio is gone; every file is written whole or not at all

    threading.Thread(target=read, daemon=True).start()
    waiting: dict[Path, int] = {}
    while True:
        while not waiting or not asked.empty():
            folder, shot = json.loads(asked.get())
            waiting.pop(Path(folder), None)
            waiting[Path(folder)] = int(shot)
        folder = next(reversed(waiting))
        try:
            if not _draw_one(folder, waiting[folder]):
                del waiting[folder]
        except (MusicVideoError, OSError):
            logging.exception("cannot draw for %s", folder)
            del waiting[folder]


def _draw_one(folder: Path, shot: int) -> bool:
    """One sheet of what a project lacks, or its peaks; False where nothing is left to draw."""
    from mv import make

    plan = make.load_plan(folder / "plan.json")
    if not peaks_path(folder).exists():
        save_peaks(plan.song, folder)
        return True
    lacking = missing(folder, plan)
    if not lacking:
        prune(folder, plan)
        return False
    save_strip(folder, plan, min(lacking, key=lambda index: abs(index - shot)), _analysis(plan.analysis))
    return True


_ANALYSES: dict[str, Analysis] = {}


def _analysis(path: str) -> Analysis:
    """A file of this name never changes but by listening anew, which is rare: the last one read is kept."""
    key = f"{path} {Path(path).stat().st_mtime_ns}"
    if key not in _ANALYSES:
        _ANALYSES.clear()
        _ANALYSES[key] = Analysis.load(path)
    return _ANALYSES[key]


if __name__ == "__main__":
    main()
