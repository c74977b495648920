"""A page that shows what was heard: form, waveform, beats, light, energy, voice, brightness and mood over time."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mv.errors import InputError
from mv.schema import Analysis, write_atomically
from mv.timing import clock

WIDTH, LEFT, RIGHT = 1800, 150, 30  # pixels: the page, its column of names, its right margin
TITLE, GAP, FOOT = 96, 14, 44
# Panel: its height in pixels.
PANELS = {"form": 76, "wave": 170, "beats": 92, "bands": 170, "energy": 110, "voice": 110, "brightness": 80}
NAMES = {"form": "sections", "wave": "waveform", "beats": "beat confidence", "bands": "high mid low",
         "voice": "voice, mouth"}  # fmt: skip
HEIGHT = TITLE + sum(PANELS.values()) + GAP * len(PANELS) + FOOT
PAPER, INK, FAINT, PANE = (250, 249, 246), (32, 34, 42), (140, 142, 150), (255, 255, 255)
SECTIONS = {
    "intro": (176, 203, 230),
    "verse": (174, 219, 196),
    "chorus": (244, 178, 190),
    "bridge": (208, 190, 236),
    "drop": (250, 190, 150),
    "break": (206, 211, 220),
    "outro": (190, 198, 226),
}
EVENTS = {"build-up": (222, 150, 40), "drop": (206, 58, 44), "break": (96, 108, 132)}
CURVES = {
    "low": (196, 74, 60),
    "mid": (70, 150, 96),
    "high": (70, 120, 200),
    "energy": (224, 150, 50),
    "voice": (150, 110, 200),
    "mouth": (214, 70, 120),
    "brightness": (60, 160, 176),
}
WAVE, DOWNBEAT, BEAT, ACCENT = (120, 132, 160), (206, 58, 44), (196, 200, 210), (32, 34, 42)


def check_plot(path: Path) -> None:
    """Raises InputError where the picture cannot be meant to be a PNG."""
    if path.suffix.lower() != ".png":
        raise InputError(f"plot: expected a file that ends in .png, got {path.name!r}")


def save_plot(analysis: Analysis, song: str | Path, path: Path) -> None:
    """Draw the page of a song as a PNG. Raises InputError for another ending, AudioError, OutputError."""
    from mv.audio import mono, read_audio

    check_plot(path)
    picture = draw(analysis, mono(read_audio(song, 8000)))
    content = io.BytesIO()
    picture.save(content, "PNG")
    write_atomically(path, content.getvalue())


def draw(analysis: Analysis, y: np.ndarray) -> Image.Image:
    """analysis of the song with the samples y (n,) at any rate → (WIDTH, HEIGHT) RGB."""
    page = _Page(analysis.duration)
    page.text(LEFT, 34, analysis.title or "untitled", 30, INK, "lm")
    page.text(LEFT, 70, _summary(analysis), 19, FAINT, "lm")
    _form(page, page.panel("form"), PANELS["form"], analysis)
    _wave(page, page.panel("wave"), PANELS["wave"], analysis, y)
    _confidence(page, page.panel("beats"), PANELS["beats"], analysis)
    top, third = page.panel("bands"), PANELS["bands"] // 3
    for i, band in enumerate(("high", "mid", "low")):
        _curves(page, top + i * third, third, analysis, (band,))
    for panel, names in {"energy": ("energy",), "voice": ("voice", "mouth"), "brightness": ("brightness",)}.items():
        _curves(page, page.panel(panel), PANELS[panel], analysis, names)
    _clock(page)
    return page.picture


class _Page:
    def __init__(self, duration: float) -> None:
        self.picture = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        self.pen = ImageDraw.Draw(self.picture, "RGBA")
        self.duration = duration
        self.bottom = TITLE

    def panel(self, name: str) -> int:
        """Start the next panel: its white pane and its name; returns its top."""
        top = self.bottom
        self.bottom = top + PANELS[name] + GAP
        self.pen.rectangle((LEFT, top, WIDTH - RIGHT, top + PANELS[name]), PANE)
        self.text(LEFT - 12, top + PANELS[name] / 2, NAMES.get(name, name), 17, FAINT, "rm")
        return top

    def x(self, seconds: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(max(seconds / self.duration, 0), 1)

    def text(self, x: float, y: float, words: str, size: int, color, anchor: str) -> None:
        self.pen.text((x, y), words, color, ImageFont.load_default(size), anchor=anchor)


def _summary(analysis: Analysis) -> str:
    tempo = "no beat found"
    if analysis.tempo:
        tempo = f"{analysis.tempo:.1f} BPM (confidence {analysis.tempo_confidence:.2f})"
    mood = f"arousal {analysis.mood.arousal:.2f}, valence {analysis.mood.valence:.2f} (proxies)"
    parts = [clock(analysis.duration), tempo, analysis.key or "no key", mood, *analysis.notes]
    return "   ·   ".join(parts)[:190]


def _form(page: _Page, top: int, height: int, analysis: Analysis) -> None:
    """Sections with name and letter; below them build-ups, drops and breaks."""
    foot = top + height - 18
    for section in analysis.sections:
        left, right = page.x(section.start), page.x(section.end)
        page.pen.rectangle((left, top, max(right - 2, left), foot - 3), SECTIONS[section.label])
        if right - left > 50:
            page.text((left + right) / 2, top + 17, section.label, 17, INK, "mm")
            page.text((left + right) / 2, top + 40, section.form, 17, FAINT, "mm")
    lefts = [page.x(event.start) for event in analysis.events]
    for event, left, after in zip(analysis.events, lefts, [*lefts[1:], WIDTH]):
        right = max(page.x(event.end), left + 3)
        low = foot + (8 if event.kind == "build-up" else 16)  # a build-up may run into the end of a break
        page.pen.rectangle((left, foot, right, low), EVENTS[event.kind])
        if after - right > 70:
            page.text(right + 4, foot + 8, event.kind, 13, EVENTS[event.kind], "lm")


def _wave(page: _Page, top: int, height: int, analysis: Analysis, y: np.ndarray) -> None:
    """Beats fine, downbeats red, behind the waveform; accents as dots above it."""
    for beats, color in ((analysis.beats, BEAT), (analysis.downbeats, DOWNBEAT)):
        if len(beats) > (WIDTH - LEFT - RIGHT) / 3:
            continue  # nothing but lines
        for beat in beats:
            page.pen.line((page.x(beat), top, page.x(beat), top + height), (*color, 150), 1)
    columns = WIDTH - LEFT - RIGHT
    starts = np.minimum(np.linspace(0, len(y), columns + 1)[:-1].astype(int), max(len(y) - 1, 0))
    peaks = np.maximum.reduceat(np.abs(y), starts) if len(y) else np.zeros(columns)
    reach = 0.45 * height * peaks / max(float(peaks.max()), 1e-9)
    for i, r in enumerate(reach):
        page.pen.line((LEFT + i, top + height / 2 - r, LEFT + i, top + height / 2 + r), WAVE, 1)
    for accent in analysis.accents:
        page.pen.ellipse((page.x(accent) - 3, top + 2, page.x(accent) + 3, top + 8), ACCENT)


def _confidence(page: _Page, top: int, height: int, analysis: Analysis) -> None:
    for beat, confidence in zip(analysis.beats, analysis.beat_confidence):
        color = DOWNBEAT if beat in analysis.downbeats else WAVE
        x = page.x(beat)
        page.pen.line((x, top + height, x, top + height - max(1, (height - 4) * confidence)), color, 2)


def _curves(page: _Page, top: int, height: int, analysis: Analysis, names: tuple[str, ...]) -> None:
    """Filled, the largest value under each pixel."""
    columns = np.arange(LEFT, WIDTH - RIGHT)
    times = (columns - LEFT) / (WIDTH - LEFT - RIGHT) * analysis.duration
    for name in names:
        curve = np.asarray(analysis.features[name])
        starts = np.minimum((times * analysis.feature_rate).astype(int), len(curve) - 1)
        values = np.maximum.reduceat(curve, starts)
        edge = [(int(x), top + height - (height - 3) * float(v)) for x, v in zip(columns, values)]
        page.pen.polygon([(LEFT, top + height), *edge, (WIDTH - RIGHT, top + height)], (*CURVES[name], 130))
        page.pen.line(edge, CURVES[name], 1)


def _clock(page: _Page) -> None:
    step = next((s for s in (1, 5, 10, 20, 30, 60, 120, 300) if page.duration / s <= 16), 600)
    for k in range(int(page.duration / step) + 1):
        page.text(page.x(k * step), page.bottom + 12, clock(k * step), 17, FAINT, "mm")
