"""Two pictures the studio shows: what was heard (analysis) and what is planned (storyboard sketches).

Drawn with PIL and numpy alone; the storyboard by the stage world, one frame from the middle of each shot.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mv.schema import Analysis, Timeline, write_atomically
from mv.timing import clock
from mv.ui.edits import shot_signature

# An instrument panel of its own colours, so that it reads the same on a light and on a dark page.
PANEL, INK, FAINT = (17, 19, 26), (226, 230, 240), (128, 136, 156)
WAVE, ENERGY, BEAT, DOWNBEAT = (92, 108, 150), (255, 186, 92), (104, 114, 140), (238, 242, 252)
SECTION_COLORS = {
    "intro": (74, 120, 168),
    "verse": (62, 140, 124),
    "chorus": (196, 84, 122),
    "bridge": (134, 96, 190),
    "drop": (206, 92, 62),
    "break": (96, 112, 136),
    "outro": (86, 100, 156),
}
WIDTH, HEIGHT = 1100, 230  # points: about what the page shows
SCALE = 2  # pixels a point, for sharp lines on any screen
BAND, FOOT, MARGIN = 36, 48, 10  # heights of the section band and of the beat and time rows; the side margin
SKETCH_HEIGHT = 180


def waveform_peaks(y: np.ndarray, num_columns: int) -> np.ndarray:
    """(n,) samples → (num_columns,) largest magnitude in each column, 0..1 of the loudest."""
    edges = np.linspace(0, len(y), num_columns + 1).astype(int)
    starts = np.minimum(edges[:-1], max(len(y) - 1, 0))
    peaks = np.maximum.reduceat(np.abs(y), starts)
    return peaks / max(float(peaks.max(initial=0)), 1e-9)


def draw_analysis(analysis: Analysis, peaks: np.ndarray) -> Image.Image:
    """Waveform, section bands with labels, energy curve, beats and downbeats over the time of the song.

    peaks: (n,) 0..1 from waveform_peaks, spread over the whole duration. Returns RGB, WIDTH × HEIGHT points at SCALE.
    """
    picture = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), PANEL)
    panel = _Panel(ImageDraw.Draw(picture, "RGBA"), analysis.duration)
    _draw_sections(panel, analysis)
    _draw_waveform(panel, peaks)
    _draw_energy(panel, np.asarray(analysis.features["energy"]))
    _draw_beats(panel, analysis)
    _draw_clock(panel, analysis.duration)
    return picture


class _Panel:
    """The drawing and its scale: x in pixels from seconds, y in points."""

    def __init__(self, pen: ImageDraw.ImageDraw, duration: float) -> None:
        self.pen, self.duration = pen, duration
        self.top, self.bottom = BAND + 8, HEIGHT - FOOT

    def x(self, seconds: float) -> float:
        return SCALE * (MARGIN + (WIDTH - 2 * MARGIN) * min(seconds / self.duration, 1.0))

    def text(self, x: float, y: float, words: str, size: int, color, anchor: str = "la") -> None:
        self.pen.text((x, SCALE * y), words, color, ImageFont.load_default(size * SCALE), anchor=anchor)


def _draw_sections(panel: _Panel, analysis: Analysis) -> None:
    for section in analysis.sections:
        left, right = panel.x(section.start), panel.x(section.end) - SCALE
        color = SECTION_COLORS[section.label]
        if right - left < 2:
            continue
        panel.pen.rectangle((left, SCALE * BAND, right, SCALE * panel.bottom), (*color, 46))
        panel.pen.rounded_rectangle((left, SCALE * 6, right, SCALE * (BAND - 2)), 5 * SCALE, color)
        label = _fitting(section.label, right - left - 14 * SCALE)
        panel.text(left + 7 * SCALE, (BAND + 4) / 2, label, 14, INK, "lm")


def _fitting(label: str, room: float) -> str:
    """The whole label where it fits in `room` pixels, else its first letter, else nothing."""
    font = ImageFont.load_default(14 * SCALE)
    return next(words for words in (label, label[0], "") if not words or font.getlength(words) <= room)


def _draw_waveform(panel: _Panel, peaks: np.ndarray) -> None:
    left, right = panel.x(0), panel.x(panel.duration)
    columns = np.arange(int(left), int(right), 2)
    heights = np.interp(np.linspace(0, len(peaks) - 1, len(columns)), np.arange(len(peaks)), peaks)
    middle, half = (panel.top + panel.bottom) / 2, (panel.bottom - panel.top) / 2 - 4
    for x, height in zip(columns, heights):
        reach = max(half * float(height), 0.5)
        panel.pen.line((x, SCALE * (middle - reach), x, SCALE * (middle + reach)), (*WAVE, 235), 2)


def _draw_energy(panel: _Panel, energy: np.ndarray) -> None:
    """Smoothed over about two seconds: the shape of the song, not of each drum."""
    width = max(1, round(len(energy) * 2.0 / panel.duration))
    padded = np.pad(energy, (width // 2, width - 1 - width // 2), mode="edge")
    smooth = np.convolve(padded, np.full(width, 1 / width), "valid")
    xs = np.linspace(panel.x(0), panel.x(panel.duration), 800)
    ys = np.interp(np.linspace(0, 1, 800), np.linspace(0, 1, len(smooth)), smooth)
    ys = SCALE * (panel.bottom - 4 - (panel.bottom - panel.top - 8) * np.clip(ys, 0, 1))
    line = list(zip(xs.tolist(), ys.tolist()))
    panel.pen.line(line, ENERGY, 2 * SCALE, joint="curve")
    panel.text(panel.x(panel.duration), panel.top + 4, "energy", 12, ENERGY, "ra")


def _draw_beats(panel: _Panel, analysis: Analysis) -> None:
    """Single beats only where they stand apart; downbeats always."""
    downbeats, y = set(analysis.downbeats), SCALE * (panel.bottom + 4)
    spacing = (WIDTH - 2 * MARGIN) / max(len(analysis.beats), 1)
    for beat in analysis.beats:
        if beat > analysis.duration:
            break
        x = panel.x(beat)
        if beat in downbeats:
            panel.pen.line((x, y, x, y + 15 * SCALE), DOWNBEAT, SCALE)
        elif spacing >= 2.5:
            panel.pen.line((x, y, x, y + 8 * SCALE), BEAT, SCALE)


def _draw_clock(panel: _Panel, duration: float) -> None:
    steps = (0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
    step = next((s for s in steps if duration / s <= 16), steps[-1])
    for seconds in np.arange(0, duration - step / 3, step):
        words = f"{seconds:.1f}" if step < 1 else clock(seconds)
        anchor = "la" if seconds == 0 else "ma"
        panel.text(panel.x(seconds), HEIGHT - 23, words, 12, FAINT, anchor)


def save_picture(picture: Image.Image, path: Path) -> None:
    """PNG or JPEG by the name's ending, whole or not at all. Raises OutputError."""
    content = io.BytesIO()
    picture.save(content, "JPEG" if path.suffix == ".jpg" else "PNG", quality=88)
    write_atomically(path, content.getvalue())


# ---------------------------------------------------------------- storyboard


def storyboard(timeline: Timeline, analysis: Analysis, folder: Path) -> list[Path]:
    """One sketch per shot, drawn anew only where a shot has changed; files in `folder`, in the order of the shots."""
    paths = [folder / f"{shot_signature(timeline, index)}.jpg" for index in range(len(timeline.shots))]
    for index, path in enumerate(paths):
        if not path.exists():
            save_picture(Image.fromarray(sketch(timeline, index, analysis)), path)
    return paths


def sketch(timeline: Timeline, index: int, analysis: Analysis) -> np.ndarray:
    """The middle frame of a shot as the stage world draws it: (SKETCH_HEIGHT, w, 3) uint8 RGB."""
    from director.trajectories import trajectory
    from mv.camera import CameraPath
    from mv.world.render import draw
    from mv.world.vocabulary import understand

    shot = timeline.shots[index]
    first, _ = timeline.span(index)
    middle = shot.start + shot.duration // 2
    path = trajectory(timeline, index, analysis)
    at = slice(middle - first, middle - first + 1)
    pose = CameraPath(path.extrinsics[at], path.intrinsics[at])
    audio = analysis.on_grid(timeline.fps, middle, 1)
    width = 2 * round(SKETCH_HEIGHT * timeline.width / timeline.height / 2)
    return draw(understand(shot.prompt).directions, pose, audio, width, SKETCH_HEIGHT)[0]
