"""The model card's pictures: a sample sheet that anyone can make again, and the loss curves."""

from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from mv.camera import camera_path
from mv.generation import Conditions
from mv.schema import CURVES, CameraMove, MoveKind, ShotSize, with_phases
from mv.train.data import ASPECTS, Clip
from mv.world.vocabulary import ACTIONS, HAIR_COLORS, OUTFIT_COLORS, PALETTES, SCENES, SKINS, Directions, Look

SHEET_MOVES = (MoveKind.dolly_in, MoveKind.pan_left, MoveKind.orbit_right)
FRAMES = 33


def sheet_clips() -> list[Clip]:
    """Three shots of every place, the same for every model: all words in turn, nothing chosen by looking."""
    clips = []
    for i, scene in enumerate(SCENES):
        for k, size in enumerate(ShotSize):
            pick = lambda table, n: list(table)[n % len(table)]
            look = Look(pick(SKINS, i + k), pick(("short", "bob", "long", "bun"), i + 2 * k), pick(HAIR_COLORS, i + k),
                        pick(("shirt", "dress", "jacket"), k + i), pick(OUTFIT_COLORS, 3 * i + k))  # fmt: skip
            action = None if (k == 0 and i % 3 == 2) else pick(ACTIONS, i + k)
            directions = Directions(
                scene, pick(("night", "sunset", "day"), i + k), pick(PALETTES, 3 * i + 2 * k), size, action, look
            )
            width, height = ASPECTS["16:9"]
            path = camera_path(CameraMove(kind=SHEET_MOVES[k], amount=0.7), size, FRAMES, width / height)
            clips.append(Clip(directions, path, _steady_music(), (width, height)))
    return clips


def _steady_music() -> np.ndarray:
    """120 beats a minute, a kick on each, a voice of syllables."""
    beat = np.arange(FRAMES) / 12
    kick, mouth = np.exp(-5 * (beat % 1)), np.clip(0.5 + 0.7 * np.sin(2 * np.pi * 1.3 * beat), 0, 1)
    curves = dict(low=kick, mid=0.5 + 0 * beat, high=kick[::-1], onset=kick, energy=0.7 + 0 * beat, voice=1 + 0 * beat)
    curves |= dict(mouth=mouth, brightness=0.5 + 0 * beat)
    return with_phases(np.stack([curves[name] for name in CURVES], 1), beat)


def sample_sheet(renderer, target: Path) -> None:
    """Rows: places. Per shot: the model's first, middle and last frame, and below them the teacher's."""
    rows, clips = [], sheet_clips()
    for i in range(0, len(clips), 3):
        model, teacher = [], []
        for k, clip in enumerate(clips[i : i + 3]):
            made = renderer.render(Conditions(clip.prompt, clip.path, clip.audio, Fraction(24), *clip.size, seed=i + k))
            model += [made[0], made[FRAMES // 2], made[-1]]
            truth = clip.frames()
            teacher += [truth[0], truth[FRAMES // 2], truth[-1]]
        rows += [np.hstack(model), np.hstack(teacher)]
    sheet = cv2.resize(np.vstack(rows), None, fx=0.32, fy=0.32, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(target), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])


def read_log(file: Path) -> list[dict[str, float]]:
    """The rows of a run's log.csv."""
    rows = [line.split(",") for line in file.read_text().splitlines()]
    return [{k: float(v) for k, v in (cell.split("=") for cell in row)} for row in rows]


def loss_curve(logs: dict[str, tuple[Path, str]], target: Path, width: int = 640, height: int = 300) -> None:
    """One panel per log: {title: (log.csv, column)} against minutes of training."""
    panels = [_panel(title, read_log(file), column, width, height) for title, (file, column) in logs.items()]
    cv2.imwrite(str(target), np.hstack(panels))


def _panel(title: str, rows: list[dict[str, float]], column: str, width: int, height: int) -> np.ndarray:
    points = np.array([(row["minutes"], row[column]) for row in rows if column in row])
    picture = np.full((height, width, 3), 255, np.uint8)
    low, high = points[:, 1].min(), np.percentile(points[:, 1], 98)
    x = 50 + (width - 70) * points[:, 0] / points[:, 0].max()
    y = height - 40 - (height - 80) * np.clip((points[:, 1] - low) / max(high - low, 1e-9), 0, 1)
    line = np.round(np.stack([x, y], 1)).astype(np.int32)
    cv2.polylines(picture, [line], False, (160, 70, 40), 2, cv2.LINE_AA)
    write = lambda text, at: cv2.putText(
        picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA
    )
    write(f"{title}: {column}", (50, 22))
    write(f"{high:.3g}", (5, 44))
    write(f"{low:.3g}", (5, height - 38))
    write(f"{points[:, 0].max():.0f} min", (width - 80, height - 15))
    return picture
