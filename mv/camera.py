"""Named moves and keyframes → camera poses → Plücker ray maps.

World: metres, right handed, y up, ground at y = 0. The performer stands at the origin and faces +z, the audience.
Camera: x right, y down, z forward (OpenCV). extrinsics are world-to-camera 4×4, c2w their inverse. intrinsics
(fx, fy, cx, cy) are in units of the picture: x by its width, y by its height, so they hold at any size.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mv.errors import InputError
from mv.schema import CameraMove, MoveKind, ShotSize

FOCAL = 1.15  # picture widths: a 41 mm lens on full frame
# Distance to the performer and height of the point looked at, metres.
FRAMING = {
    ShotSize.wide: (4.9, 1.15),
    ShotSize.medium: (2.9, 1.30),
    ShotSize.close: (1.7, 1.60),
}
NEAREST = (1.0, 1.64)  # nearer than a close-up: the eyes
# What amount 1 means, over the whole shot: radians, or a share of the distance to the performer.
PAN, TILT, ROLL, ORBIT, ZOOM = 0.30, 0.20, 0.16, 0.75, 0.42
DOLLY, TRUCK, PEDESTAL = 0.42, 0.20, 0.24
CRANE_RISE, CRANE_RIDE = 0.28, 0.30
WHIP, WHIP_SECONDS = 0.60, 0.3  # how far a whip-pan swings away, and how long before the cut
PUSH, SWAY, SWAY_ROLL = 0.06, 0.05, 0.012  # of the focal length, of the distance, radians: accents at their strongest


@dataclass(frozen=True)
class CameraPath:
    """extrinsics (f, 4, 4) world-to-camera, intrinsics (f, 4) as (fx, fy, cx, cy) in units of the picture; float64."""

    extrinsics: np.ndarray
    intrinsics: np.ndarray

    def __len__(self) -> int:
        return len(self.extrinsics)

    @property
    def c2w(self) -> np.ndarray:
        return np.linalg.inv(self.extrinsics)


def camera_path(
    move: CameraMove,
    size: ShotSize,
    num_frames: int,
    aspect: float,
    accents: np.ndarray | None = None,
    seed: int = 0,
    fps: float = 24.0,
    sway: np.ndarray | None = None,
) -> CameraPath:
    """The poses of one shot.

    aspect: width / height. accents (num_frames,) 0..1: a pulse that is 1 on a beat and decays; sway (num_frames,)
    -1..1: how far to the right the music leans; both used as far as move.beat asks. seed decides the handheld noise.
    Raises InputError for keyframes that cannot be followed.
    """
    if num_frames < 1:
        raise InputError(f"a camera path needs at least one frame, got {num_frames}")
    focal = FOCAL * min(1.0, aspect / (16 / 9)) ** -0.5  # narrow pictures step back less than cropping would
    if move.keyframes:
        position, yaw, pitch, roll, focal = _keyframed(move, num_frames)
    else:
        position, yaw, pitch, roll, focal = _named(move, size, num_frames, focal, seed, fps)
    if move.beat and accents is not None:
        focal = focal * (1 + PUSH * move.beat * np.asarray(accents))
    if move.beat and sway is not None:
        lean = move.beat * np.asarray(sway)
        right = np.stack([np.cos(yaw), np.zeros(num_frames), -np.sin(yaw)], 1)
        position = position + (SWAY * np.hypot(position[:, 0], position[:, 2]) * lean)[:, None] * right
        roll = roll + SWAY_ROLL * lean
    return CameraPath(_extrinsics(position, yaw, pitch, roll), _intrinsics(focal, aspect))


def _named(move, size, num_frames, focal, seed, fps):
    distance, height = _framed(ShotSize(size), move.framing)
    distance, focal = distance * move.lens, focal * move.lens  # the performer keeps their size, the background does not
    progress = np.linspace(-0.5, 0.5, num_frames) if num_frames > 1 else np.zeros(1)
    if move.easing == "smooth":
        s = progress + 0.5
        # Minimum jerk, half mixed with linear: no jolt at the cuts, yet always moving.
        progress = 0.5 * progress + 0.5 * (s**3 * (10 - 15 * s + 6 * s**2) - 0.5)
    kind, _, direction = str(move.kind).partition(" ")
    sign = -1.0 if direction in ("left", "down", "out") else 1.0
    q = sign * move.amount * progress
    azimuth, still = np.radians(move.azimuth), np.zeros(num_frames)

    target = np.array([0.0, height, 0.0])
    position = target + distance * np.array([np.sin(azimuth), 0.06, np.cos(azimuth)])
    position = np.repeat(position[None], num_frames, 0)
    focal = np.full(num_frames, float(focal))
    yaw, pitch = _look_at(position, target)
    roll = still.copy()
    right = np.array([np.cos(azimuth), 0.0, -np.sin(azimuth)])

    if kind == "pan":
        yaw = yaw - PAN * q
    elif kind == "tilt":
        pitch = pitch + TILT * q
    elif kind == "roll":
        roll = roll + ROLL * q
    elif kind == "dolly":
        position = target + (position - target) * np.exp(-DOLLY * q)[:, None]
    elif kind == "truck":
        position = position + (TRUCK * distance * q)[:, None] * right
    elif kind == "pedestal":
        position[:, 1] += PEDESTAL * distance * q
        yaw, pitch = _look_at(position, target)
    elif kind == "crane":
        away = np.exp(CRANE_RIDE * q)[:, None] * (position - target)
        position = target + away + np.outer(CRANE_RISE * distance * q, [0.0, 1.0, 0.0])
        yaw, pitch = _look_at(position, target)
    elif kind == "orbit":
        angle = azimuth + ORBIT * q
        position = target + distance * np.stack([np.sin(angle), np.full(num_frames, 0.06), np.cos(angle)], 1)
        yaw, pitch = _look_at(position, target)
    elif kind == "zoom":
        focal = focal * np.exp(ZOOM * q)
    elif kind == "push-in":  # a dolly that gathers speed
        s = np.linspace(0, 1, num_frames)
        position = target + (position - target) * np.exp(-DOLLY * move.amount * (s**2 - 0.5))[:, None]
    elif kind == "dolly-zoom":  # the performer keeps their size while the background swells or shrinks
        position = target + (position - target) * np.exp(-DOLLY * q)[:, None]
        focal = focal * np.exp(-DOLLY * q)
    elif kind == "whip-pan":  # it stands, then swings away faster and faster into the cut
        left = np.arange(num_frames - 1, -1, -1) / fps
        yaw = yaw - sign * WHIP * move.amount * np.clip(1 - left / WHIP_SECONDS, 0, 1) ** 2
    elif kind == "handheld":
        sway = _handheld(num_frames, fps, seed) * move.amount
        position = position + distance * 0.012 * sway[:, :3]
        yaw, pitch, roll = yaw + 0.012 * sway[:, 3], pitch + 0.010 * sway[:, 4], roll + 0.014 * sway[:, 5]
    elif kind != "static":
        raise InputError(f"unknown camera move {move.kind!r}; known are {', '.join(MoveKind)}")
    position[:, 1] = np.maximum(position[:, 1], 0.25)
    return position, yaw, pitch, roll, focal


def _framed(size: ShotSize, framing: float) -> tuple[float, float]:
    """Distance and height looked at, metres; a tighter framing looks higher, as the next tighter size does."""
    distance, _ = FRAMING[size]
    distances, heights = zip(*sorted([NEAREST, *FRAMING.values()]))
    return distance * framing, float(np.interp(distance * framing, distances, heights))


def _keyframed(move: CameraMove, num_frames: int):
    """Monotone cubic (PCHIP) through the keyframes: no overshoot, no velocity jump."""
    from scipy.interpolate import PchipInterpolator

    frames = sorted(move.keyframes, key=lambda k: k.at)
    at = np.array([k.at for k in frames])
    if np.any(np.diff(at) <= 0):
        raise InputError("camera keyframes: two keyframes stand at the same moment; move or delete one")
    values = np.array([[*k.position, *np.radians([k.yaw, k.pitch, k.roll]), k.focal] for k in frames])
    times = np.linspace(0, 1, num_frames)
    if len(frames) == 1:
        path = np.repeat(values, num_frames, 0)
    else:
        path = PchipInterpolator(at, values, axis=0)(np.clip(times, at[0], at[-1]))
    return path[:, :3], path[:, 3], path[:, 4], path[:, 5], path[:, 6]


def _handheld(num_frames: int, fps: float, seed: int) -> np.ndarray:
    """(f, 6) smooth noise of about unit size: sines at human sway and tremor rates with seeded phases."""
    rng = np.random.default_rng(seed)
    rates = np.array([0.45, 0.9, 1.7])  # Hz
    phase = rng.uniform(0, 2 * np.pi, (3, 6))
    weight = np.array([1.0, 0.5, 0.2])
    t = np.arange(num_frames)[:, None, None] / fps
    return (weight[:, None] * np.sin(2 * np.pi * rates[:, None] * t + phase)).sum(1)


def _look_at(position: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    d = target - position
    return np.arctan2(-d[..., 0], -d[..., 2]), np.arctan2(d[..., 1], np.hypot(d[..., 0], d[..., 2]))


def _extrinsics(position, yaw, pitch, roll) -> np.ndarray:
    """yaw turns left (about +y), pitch looks up, roll turns the picture clockwise; radians, (f,)."""
    cy, sy, cp, sp, cr, sr = (fn(angle) for angle in (yaw, pitch, roll) for fn in (np.cos, np.sin))
    forward = np.stack([-sy * cp, sp, -cy * cp], 1)
    right = np.stack([cy, np.zeros_like(cy), -sy], 1)
    down = np.cross(forward, right)
    right, down = cr[:, None] * right - sr[:, None] * down, sr[:, None] * right + cr[:, None] * down
    rotation = np.stack([right, down, forward], 1)
    extrinsics = np.repeat(np.eye(4)[None], len(position), 0)
    extrinsics[:, :3, :3] = rotation
    extrinsics[:, :3, 3] = -np.einsum("fij,fj->fi", rotation, position)
    return extrinsics


def _intrinsics(focal: np.ndarray, aspect: float) -> np.ndarray:
    half = np.full_like(focal, 0.5)
    return np.stack([focal, focal * aspect, half, half], 1)


def plucker(intrinsics: np.ndarray, extrinsics: np.ndarray, height: int, width: int) -> np.ndarray:
    """Ray map per video frame, after CameraCtrl (arXiv 2404.02101).

    intrinsics (f, 4) in units of the picture, extrinsics (f, 4, 4) world-to-camera; returns (f, 6, h, w) float32:
    o × d, then d, with d the unit direction of each pixel centre's ray and o the camera centre, in world axes.
    A direction carries no translation: the YingVideo-MV report prints `+ t`, CameraCtrl's and VideoX-Fun's code do not.
    """
    c2w = np.linalg.inv(extrinsics)
    u, v = np.meshgrid((np.arange(width) + 0.5) / width, (np.arange(height) + 0.5) / height)
    fx, fy, cx, cy = (intrinsics[:, i, None, None] for i in range(4))
    rays = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones((len(fx), height, width))], -1)
    directions = np.einsum("fij,fhwj->fhwi", c2w[:, :3, :3], rays)
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    moments = np.cross(np.broadcast_to(c2w[:, None, None, :3, 3], directions.shape), directions)
    return np.concatenate([moments, directions], -1).transpose(0, 3, 1, 2).astype(np.float32)


def relative_to_first(path: CameraPath) -> CameraPath:
    """The same movement with the first frame's camera at the origin: what models trained on real footage expect."""
    return CameraPath(path.extrinsics @ np.linalg.inv(path.extrinsics[0]), path.intrinsics)


# ---------------------------------------------------------------- RealEstate10K text: the format VideoX-Fun reads


def write_camera_text(path: CameraPath, fps: float, file: str | Path) -> None:
    """One line a frame: timestamp(µs) fx fy cx cy 0 0 w2c(3×4), intrinsics in units of the picture."""
    from mv.schema import write_atomically

    lines = ["# camera path, RealEstate10K layout"]
    for i, (extrinsics, intrinsics) in enumerate(zip(path.extrinsics, path.intrinsics)):
        numbers = [*intrinsics, 0, 0, *extrinsics[:3].ravel()]
        lines.append(" ".join([str(round(i / fps * 1e6)), *(f"{x:.9g}" for x in numbers)]))
    write_atomically(Path(file), ("\n".join(lines) + "\n").encode())


def read_camera_text(file: str | Path) -> CameraPath:
    """Raises InputError with the line that is wrong."""
    extrinsics, intrinsics = [], []
    for number, line in enumerate(Path(file).read_text().splitlines()[1:], 2):
        try:
            values = [float(x) for x in line.split()]
        except ValueError:
            values = []
        if len(values) != 19 or not np.all(np.isfinite(values)):
            raise InputError(f"{file}: line {number}: expected 19 numbers (time, fx fy cx cy, 0 0, 3×4 pose)")
        intrinsics.append(values[1:5])
        extrinsics.append(np.vstack([np.reshape(values[7:], (3, 4)), [0, 0, 0, 1]]))
    if not extrinsics:
        raise InputError(f"{file}: no camera pose in it")
    return CameraPath(np.array(extrinsics), np.array(intrinsics))
