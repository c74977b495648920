"""A picture plane with a camera: flat shapes given in metres, drawn with OpenCV's anti-aliased fills.

Colours are float RGB triples 0..255. Shapes are painted back to front; nothing here knows what it draws.
"""

from dataclasses import dataclass

import cv2
import numpy as np

NEAR = 0.15  # metres; shapes are clipped here
SUBPIXEL = 4  # fractional bits of OpenCV's coordinates
_SEMICIRCLE = np.linspace(-np.pi / 2, np.pi / 2, 7)
_CIRCLE = np.linspace(0, 2 * np.pi, 24, endpoint=False)


def mix(a, b, share: float) -> np.ndarray:
    return np.asarray(a, np.float32) * (1 - share) + np.asarray(b, np.float32) * share


@dataclass(frozen=True)
class Veil:
    """A translucent sheet on an upright plane. texture (h, w, 4) uint8: RGB multiplied by alpha, alpha; extent
    (x0, y0, x1, y1) and z in metres."""

    texture: np.ndarray
    extent: tuple[float, float, float, float]
    z: float

    @classmethod
    def make(cls, color: np.ndarray, alpha: np.ndarray, extent, z: float) -> "Veil":
        """color (h, w, 3) 0..255, alpha (h, w) 0..1; the first row is the top."""
        alpha = np.clip(alpha, 0, 1)[..., None]
        texture = np.concatenate([np.clip(color, 0, 255) * alpha, 255 * alpha], -1)
        return cls(np.ascontiguousarray(np.round(texture).astype(np.uint8)), tuple(extent), z)


class Canvas:
    """picture: (height, width, 3) uint8 RGB. Light that glows goes to a quarter-size layer and is added by `bloom`."""

    def __init__(self, width: int, height: int):
        self.width, self.height = width, height
        self.picture = np.zeros((height, width, 3), np.uint8)
        self._glow = np.zeros((max(1, height // 4), max(1, width // 4), 3), np.uint8)
        self._glowing = False
        self._corners: np.ndarray | None = None

    def look(self, extrinsics: np.ndarray, intrinsics: np.ndarray) -> None:
        """Set the camera: world-to-camera (4, 4), (fx, fy, cx, cy) in units of the picture."""
        scale = np.array([self.width, self.height, self.width, self.height])
        self.fx, self.fy, self.cx, self.cy = intrinsics * scale
        self.rotation, self.translation = extrinsics[:3, :3], extrinsics[:3, 3]
        self.position = -self.rotation.T @ self.translation
        up = self.rotation @ np.array([0.0, 1.0, 0.0])
        # Screen axes of something that stands upright: they turn with the camera's roll.
        self.up = np.array([up[0], up[1]]) / max(np.hypot(up[0], up[1]), 1e-6)
        self.right = np.array([-self.up[1], self.up[0]])

    def vignette(self, strength: float = 0.35) -> None:
        """Darken the corners: the eye stays in the middle, and flat colours get a little depth."""
        if self._corners is None:
            x, y = np.meshgrid(np.linspace(-1, 1, self.width), np.linspace(-1, 1, self.height))
            shade = 255 * (1 - strength * np.clip((x**2 + y**2 - 0.45) / 1.55, 0, 1) ** 1.2)
            self._corners = cv2.merge([np.round(shade).astype(np.uint8)] * 3)
        cv2.multiply(self.picture, self._corners, self.picture, 1 / 255)

    def clear(self) -> None:
        self._glow[:] = 0
        self._glowing = False

    # ------------------------------------------------------------ projection

    def to_camera(self, points) -> np.ndarray:
        """World points (..., 3) to camera coordinates."""
        return np.asarray(points, float) @ self.rotation.T + self.translation

    def to_screen(self, camera_points: np.ndarray) -> np.ndarray:
        """Camera coordinates (..., 3) in front of the lens to pixels (..., 2)."""
        z = camera_points[..., 2]
        x = self.fx * camera_points[..., 0] / z + self.cx
        y = self.fy * camera_points[..., 1] / z + self.cy
        return np.stack([x, y], -1)

    def see(self, point) -> tuple[np.ndarray, float] | None:
        """Pixel and pixels per metre of one world point, or None behind the lens."""
        p = self.to_camera(point)
        if p[2] < NEAR:
            return None
        return self.to_screen(p), self.fx / p[2]

    def ground_homography(self) -> np.ndarray:
        """Maps ground coordinates (x, z, 1) in metres to pixels."""
        k = np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])
        return k @ np.column_stack([self.rotation[:, 0], self.rotation[:, 2], self.translation])

    def backdrop_homography(self, depth: float) -> np.ndarray:
        """Maps coordinates (x, y, 1) on the upright plane z = -depth to pixels."""
        k = np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]])
        return k @ np.column_stack(
            [self.rotation[:, 0], self.rotation[:, 1], self.translation - depth * self.rotation[:, 2]]
        )

    # ------------------------------------------------------------ shapes in the world

    def polygon(self, points, color, glow: bool = False) -> None:
        """A flat polygon of world points (n, 3)."""
        p = _clip_near(self.to_camera(points))
        if len(p) >= 3:
            self.fill(self.to_screen(p), color, glow)

    def rectangle(self, x0, y0, x1, y1, z, color, glow: bool = False) -> None:
        """An upright rectangle facing the audience."""
        self.polygon([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)], color, glow)

    def limb(self, a, b, radius_a: float, radius_b: float, color, glow: bool = False) -> None:
        """A tapered capsule between two world points, radii in metres."""
        pa, pb = self.see(a), self.see(b)
        if pa and pb:
            self.capsule(pa[0], pb[0], radius_a * pa[1], radius_b * pb[1], color, glow)

    def disc(self, center, radius: float, color, glow: bool = False) -> None:
        """A disc that faces the camera, radius in metres."""
        seen = self.see(center)
        if seen:
            self.oval(seen[0], radius * seen[1], radius * seen[1], color, glow=glow)

    def flat_disc(self, center, radius_x: float, radius_z: float, color) -> None:
        """A disc lying on the ground."""
        x, y, z = center
        ring = np.stack([x + radius_x * np.cos(_CIRCLE), np.full(24, y), z + radius_z * np.sin(_CIRCLE)], 1)
        self.polygon(ring, color)

    def veil(self, sheet: Veil, strength: float = 1.0) -> None:
        """Lay a translucent sheet over the picture; strength 0..1 thins it."""
        x0, y0, x1, y1 = sheet.extent
        corners = _clip_near(
            self.to_camera([(x0, y0, sheet.z), (x1, y0, sheet.z), (x1, y1, sheet.z), (x0, y1, sheet.z)])
        )
        if len(corners) < 3:
            return
        # Only the part of the screen it can touch is worked on.
        pixels = self.to_screen(corners)
        left, top = np.clip(np.floor(pixels.min(0)) - 1, 0, (self.width, self.height)).astype(int)
        right, bottom = np.clip(np.ceil(pixels.max(0)) + 2, 0, (self.width, self.height)).astype(int)
        if left >= right or top >= bottom:
            return
        height, width = sheet.texture.shape[:2]
        # Texel centres lie half a texel inside the extent.
        sx, sy = (x1 - x0) / width, (y0 - y1) / height
        to_plane = np.array([[sx, 0, x0 + sx / 2], [0, sy, y1 + sy / 2], [0, 0, 1]])
        move = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
        matrix = move @ self.backdrop_homography(-sheet.z) @ to_plane
        laid = cv2.warpPerspective(
            sheet.texture, matrix, (int(right - left), int(bottom - top)), flags=cv2.INTER_LINEAR
        )
        if strength < 1:
            laid = cv2.convertScaleAbs(laid, alpha=strength)
        below = self.picture[top:bottom, left:right]
        clear = cv2.merge([255 - laid[..., 3]] * 3)
        self.picture[top:bottom, left:right] = cv2.add(cv2.multiply(below, clear, scale=1 / 255), laid[..., :3])

    # ------------------------------------------------------------ shapes on the screen

    def capsule(self, a, b, radius_a: float, radius_b: float, color, glow: bool = False) -> None:
        along = np.arctan2(b[1] - a[1], b[0] - a[0])
        end_b = b + radius_b * np.stack([np.cos(along + _SEMICIRCLE), np.sin(along + _SEMICIRCLE)], 1)
        end_a = a - radius_a * np.stack([np.cos(along + _SEMICIRCLE), np.sin(along + _SEMICIRCLE)], 1)
        self.fill(np.concatenate([end_b, end_a]), color, glow)

    def oval(self, center, radius_right: float, radius_up: float, color, glow: bool = False) -> None:
        """An ellipse whose axes stand upright in the world (they turn with the camera's roll); pixels."""
        ring = radius_right * np.cos(_CIRCLE)[:, None] * self.right + radius_up * np.sin(_CIRCLE)[:, None] * self.up
        self.fill(center + ring, color, glow)

    def upright(self, center, offsets, scale: float) -> np.ndarray:
        """Pixels of offsets (n, 2) = (right, up) in units of `scale` pixels round a centre."""
        offsets = np.asarray(offsets, float) * scale
        return center + offsets[:, :1] * self.right + offsets[:, 1:] * self.up

    def fill(self, pixels: np.ndarray, color, glow: bool = False) -> None:
        """A polygon of pixels (n, 2)."""
        target, scale = (self._glow, 0.25) if glow else (self.picture, 1.0)
        # OpenCV's subpixel integers overflow far off the screen.
        fixed = np.clip(pixels * scale, -4000, 8000) * (1 << SUBPIXEL)
        cv2.fillPoly(target, [np.round(fixed).astype(np.int32)], tuple(map(float, color)), cv2.LINE_AA, SUBPIXEL)
        self._glowing |= glow

    def bloom(self) -> None:
        """Add the glowing light, softened, to the picture and empty the glow layer."""
        if not self._glowing:
            return
        radius = max(1, self.width // 90)
        soft = cv2.blur(self._glow, (2 * radius + 1, 2 * radius + 1))
        cv2.add(self.picture, cv2.resize(soft, (self.width, self.height), interpolation=cv2.INTER_LINEAR), self.picture)
        self.clear()


def _clip_near(points: np.ndarray) -> np.ndarray:
    """Sutherland-Hodgman against the near plane, camera coordinates (n, 3)."""
    inside = points[:, 2] >= NEAR
    if inside.all():
        return points
    kept = []
    for p, q, p_in, q_in in zip(points, np.roll(points, -1, 0), inside, np.roll(inside, -1)):
        if p_in:
            kept.append(p)
        if p_in != q_in:
            kept.append(p + (q - p) * (NEAR - p[2]) / (q[2] - p[2]))
    return np.array(kept).reshape(-1, 3)
