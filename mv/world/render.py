"""Directions + camera path + music → pictures. A pure function: nothing in it is random.

Colours are RGB. The same call paints the teacher's films, the storyboard and the animatic.
"""

from dataclasses import replace

import cv2
import numpy as np

from mv.camera import CameraPath
from mv.schema import AUDIO_FEATURES
from mv.world import performer
from mv.world.canvas import Canvas
from mv.world.places import BACKDROP, GROUND, SKY_PIXELS, SKY_TOP, SKY_X, Music, Place
from mv.world.scenes import place
from mv.world.vocabulary import Directions

_COLUMN = {name: i for i, name in enumerate(AUDIO_FEATURES)}
# Cast RGB, marks (figure, head, mouth), parts (eyes, hands, instrument).
FIGURE_CHANNELS = 9
# The layout map: cast RGB and the set's blockout at twice its width and height, folded into channels; marks and
# parts between them; then the place's five tones RGB.
_CAST, _MARKS, _BLOCKOUT = slice(0, 12), slice(12, 18), slice(18, 22)
HEAD_MARK, EYES_MARK = 13, 15
LAYOUT_SHAPES = 22  # the rest, the tones, is flat over the picture
LAYOUT_CHANNELS = LAYOUT_SHAPES + 15


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
    behind = [paint for z, paint in where.props if z <= 0]
    before = [paint for z, paint in where.props if z > 0]
    for prop in behind:
        prop(canvas, m)
    canvas.bloom()
    if directions.action is not None:
        performer.paint(canvas, where, directions.look, directions.action, m)
    for prop in before:
        prop(canvas, m)
    canvas.bloom()
    canvas.vignette()
    return canvas.picture


def _paint_sky(canvas: Canvas, where: Place) -> None:
    pixel = 1 / SKY_PIXELS
    to_plane = np.array([[pixel, 0, -SKY_X], [0, -pixel, SKY_TOP], [0, 0, 1]])
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
    cv2.copyTo(warped, mask, canvas.picture)
    for polygon, color in where.pattern:
        canvas.polygon(polygon, color)


def _below_horizon(canvas: Canvas) -> np.ndarray | None:
    """(h, w) uint8, 255 where a pixel's ray goes down to the ground; None if none does."""
    # The world's y component of each pixel's ray is linear in the pixel.
    down = canvas.rotation[:, 1]
    x = (np.arange(canvas.width) + 0.5 - canvas.cx) / canvas.fx
    y = (np.arange(canvas.height) + 0.5 - canvas.cy) / canvas.fy
    mask = down[0] * x[None, :] + down[1] * y[:, None] + down[2] < -1e-4
    return mask.view(np.uint8) * 255 if mask.any() else None


def layout(directions: Directions, path: CameraPath, audio: np.ndarray, width: int, height: int) -> np.ndarray:
    """What stands where, as a low-resolution map for the model: (f, LAYOUT_CHANNELS, height, width) float32 0..1.

    Known from words, pose, cast and music, before the model draws anything: `figure_layout` and `blockout`, where edges
    count folded from twice the size, and the place's five tones (RGB each, see Place) over the whole picture.
    """
    maps = np.empty((len(path), LAYOUT_CHANNELS, height, width), np.float32)
    figure = figure_layout(directions, path, audio, 2 * width, 2 * height)
    maps[:, _CAST] = _fold(figure[:, :3])
    maps[:, _MARKS] = _fold(figure[:, 3:]).reshape(len(path), -1, 4, height, width).mean(2)
    maps[:, _BLOCKOUT] = _fold(blockout(directions, path, audio, 2 * width, 2 * height)[:, None])
    tones = place(directions.scene, directions.time, directions.palette).tones
    maps[:, LAYOUT_SHAPES:] = tones.reshape(-1, 1, 1) / 255
    return maps


def _fold(maps: np.ndarray) -> np.ndarray:
    """(f, c, 2h, 2w) → (f, 4c, h, w): the four pixels of a cell become channels."""
    frames, channels, height, width = maps.shape
    cells = maps.reshape(frames, channels, height // 2, 2, width // 2, 2)
    return cells.transpose(0, 1, 3, 5, 2, 4).reshape(frames, 4 * channels, height // 2, width // 2)


def blockout(directions: Directions, path: CameraPath, audio: np.ndarray, width: int, height: int) -> np.ndarray:
    """The set without the performer, in grey, as a previsualisation has it: (f, height, width) float32 0..1.

    It tells the model where things stand and what of them shines; square root of the grey value, so that a night's
    shapes are told as well as a day's.
    """
    canvas = Canvas(2 * width, 2 * height)
    where = place(directions.scene, directions.time, directions.palette)
    empty = replace(directions, action=None)
    greys = np.empty((len(path), height, width), np.float32)
    for i in range(len(path)):
        canvas.look(path.extrinsics[i], path.intrinsics[i])
        grey = cv2.cvtColor(_paint(canvas, where, empty, listen(audio[i])), cv2.COLOR_RGB2GRAY)
        greys[i] = cv2.resize(grey, (width, height), interpolation=cv2.INTER_AREA)
    return np.sqrt(greys / 255)


def figure_layout(directions: Directions, path: CameraPath, audio: np.ndarray, width: int, height: int) -> np.ndarray:
    """The figure and its instrument in the cast's flat colours (RGB), marks (figure, head, how far the mouth is open),
    parts (how far the eyes are open, hands, instrument): (f, FIGURE_CHANNELS, height, width) float32 0..1, all 0 where
    nobody is in sight."""
    maps = np.zeros((len(path), FIGURE_CHANNELS, height, width), np.float32)
    if directions.action is None:
        return maps
    where = place(directions.scene, directions.time, directions.palette)
    canvases = cast, marks, parts = [Canvas(width, height) for _ in range(3)]
    for i in range(len(path)):
        for canvas in canvases:
            canvas.picture[:] = 0
            canvas.look(path.extrinsics[i], path.intrinsics[i])
        performer.paint_layout(cast, marks, parts, where.colors, directions.look, directions.action, listen(audio[i]))
        for k, canvas in enumerate(canvases):
            maps[i, 3 * k : 3 * k + 3] = canvas.picture.transpose(2, 0, 1)
    return maps / 255


def mouth_place(directions: Directions, path: CameraPath, audio: np.ndarray, width: int, height: int) -> np.ndarray:
    """Where the mouth is in the pictures that `draw` gives for the same arguments: (f, 3) float64.

    x, y of its centre and its radius when fully open, in pixels; nan where it is behind the camera, turned away, or
    nobody is in sight. The place may lie outside the picture.
    """
    places = np.full((len(path), 3), np.nan)
    if directions.action is None:
        return places
    canvas = Canvas(width, height)
    for i in range(len(path)):
        canvas.look(path.extrinsics[i], path.intrinsics[i])
        seen = performer.face(canvas, performer.pose(directions.action, listen(audio[i])))
        mouth = seen and seen.mouth()
        if mouth:
            places[i] = *mouth[0], mouth[1]
    return places
