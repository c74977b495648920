"""Directions + camera path + music → pictures. A pure function: nothing in it is random.

Colours are RGB. The same call paints the teacher's films, the storyboard and the animatic.
"""

import cv2
import numpy as np

from mv.camera import CameraPath
from mv.schema import AUDIO_FEATURES
from mv.world import performer
from mv.world.canvas import Canvas
from mv.world.scenes import BACKDROP, GROUND, Music, Place, place
from mv.world.vocabulary import Directions

_COLUMN = {name: i for i, name in enumerate(AUDIO_FEATURES)}
LAYOUT_CHANNELS = 12  # figure RGB, marks (figure, head, mouth), accent RGB, second RGB


def listen(features: np.ndarray) -> Music:
    """One row of Analysis.on_grid, (len(AUDIO_FEATURES),) → what the stage world reacts to."""
    beat = np.arctan2(features[_COLUMN["sin8"]], features[_COLUMN["cos8"]]) * 8 / (2 * np.pi)
    levels = {name: float(features[_COLUMN[name]]) for name in ("low", "mid", "high", "energy", "mouth")}
    return Music(**levels, beat=float(beat % 8))


def draw(directions: Directions, path: CameraPath, audio: np.ndarray, width: int, height: int) -> np.ndarray:
    """The shot as pictures: (f, height, width, 3) uint8 RGB for f poses and audio (f, len(AUDIO_FEATURES))."""
    canvas = Canvas(width, height)
    where = place(directions.scene, directions.time, directions.palette)
    frames = np.empty((len(path), height, width, 3), np.uint8)
    for i in range(len(path)):
        canvas.look(path.extrinsics[i], path.intrinsics[i])
        frames[i] = _paint(canvas, where, directions, listen(audio[i]))
    return frames


def _paint(canvas: Canvas, where: Place, directions: Directions, m: Music) -> np.ndarray:
    canvas.clear()
    _paint_sky(canvas, where)
    _paint_ground(canvas, where, m)
    for _, prop in where.props:
        prop(canvas, m)
    canvas.bloom()
    if directions.action is not None:
        performer.paint(canvas, where, directions.look, directions.action, m)
    return canvas.picture


def _paint_sky(canvas: Canvas, where: Place) -> None:
    # The sky's pixels lie on the plane z = -BACKDROP: x -90..90, y 50..-8, 4 pixels a metre.
    to_plane = np.array([[0.25, 0, -90], [0, -0.25, 50], [0, 0, 1]])
    matrix = canvas.backdrop_homography(BACKDROP) @ to_plane
    cv2.warpPerspective(
        where.sky, matrix, (canvas.width, canvas.height), dst=canvas.picture, flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )  # fmt: skip


def _paint_ground(canvas: Canvas, where: Place, m: Music) -> None:
    shade = cv2.addWeighted(where.ground, 1.0, where.pool, 0.35 + 0.95 * m.low, 0)
    per_pixel = 2 * GROUND / shade.shape[0]
    to_ground = np.array([[per_pixel, 0, -GROUND], [0, per_pixel, -GROUND], [0, 0, 1]])
    matrix = canvas.ground_homography() @ to_ground
    mask = _below_horizon(canvas)
    if mask is None:
        return
    warped = cv2.warpPerspective(
        shade, matrix, (canvas.width, canvas.height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    canvas.picture[mask] = warped[mask]
    for polygon, color in where.pattern:
        canvas.polygon(polygon, color)


def _below_horizon(canvas: Canvas) -> np.ndarray | None:
    """(h, w) bool: pixels whose ray goes down to the ground; None if there are none."""
    # The world's y component of each pixel's ray is linear in the pixel.
    down = canvas.rotation[:, 1]
    x = (np.arange(canvas.width) + 0.5 - canvas.cx) / canvas.fx
    y = (np.arange(canvas.height) + 0.5 - canvas.cy) / canvas.fy
    mask = down[0] * x[None, :] + down[1] * y[:, None] + down[2] < -1e-4
    return mask if mask.any() else None


def layout(directions: Directions, path: CameraPath, audio: np.ndarray, width: int, height: int) -> np.ndarray:
    """What stands where, as a low-resolution map for the model: (f, LAYOUT_CHANNELS, height, width) float32 0..1.

    Known from pose, cast and music, before anything is drawn: the figure in the cast's flat colours, marks (figure,
    head, mouth opening), and the palette's two colours over the whole picture.
    """
    maps = np.zeros((len(path), LAYOUT_CHANNELS, height, width), np.float32)
    tones = place(directions.scene, directions.time, directions.palette).colors
    maps[:, 6:9] = tones.accent[:, None, None] / 255
    maps[:, 9:12] = tones.second[:, None, None] / 255
    if directions.action is None:
        return maps
    figure, marks = Canvas(width, height), Canvas(width, height)
    for i in range(len(path)):
        for canvas in (figure, marks):
            canvas.picture[:] = 0
            canvas.look(path.extrinsics[i], path.intrinsics[i])
        performer.paint_layout(figure, marks, directions.look, directions.action, listen(audio[i]))
        maps[i, 0:3] = figure.picture.transpose(2, 0, 1) / 255
        maps[i, 3:6] = marks.picture.transpose(2, 0, 1) / 255
    return maps
