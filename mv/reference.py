"""The reference image: what a picture the user gave says about the light of the film, and about who performs.

The person is found by classical means, no learned weights: the face where skin colour shows two dark eyes over plain
cheeks, then hair and clothes by their place around it. That reads upright, roughly frontal faces in colour, in even
light. It does not read profiles, faces of under 4 % of the picture's longer side, grey pictures, faces in strongly
coloured light, and many before sand or wood of their own colour. It takes a hat for hair, and an animal of the right
colours may pass for a face. Skin is the picture's, not the person's: light makes it fairer or darker. So every trait
has evidence and a confidence, and what cannot be told stays open.
"""

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from mv.errors import InputError
from mv.world.vocabulary import HAIR_COLORS, OUTFIT_COLORS, PALETTES, SKINS, PersonReading, Trait

HUES = 36  # bins of the hue histogram: 10 degrees each
GREY = 0.04  # mean colourfulness (saturation × value) below which a picture has no hue to speak of

LONGER_SIDE = 640  # pixels a picture is scaled down to before a person is sought
FACE = 24  # width in pixels of the face that the detector's masks are made for; the picture is scaled to fit it
SCALE_STEP = 1.15  # between two levels of the picture pyramid
FACE_SCORE = 0.50  # 0..1: from here on it is a face; drawn portraits score 0.5 to 0.8, places below 0.47
TOLD = 0.2  # confidence from which a colour's name counts
DIM = 68.0  # CIELAB lightness: where nothing is brighter, the picture is too dark to tell dark skin from dim light
# CIELAB distances: the same colour in another shade of light, and how far a table's entry may be from what was seen.
SAME, NEAR = 16.0, 40.0
SHADE = 0.5  # weight of lightness in "the same colour": light falls off over one face, one coat


@dataclass(frozen=True)
class PaletteReading:
    """palette: a key of PALETTES, None for a grey picture; evidence: one line that says why."""

    palette: str | None
    evidence: str


@dataclass(frozen=True)
class Face:
    """Pixels of the picture it was found in. x, y: the point between the eyes; width: of the face; mouth, chin: their
    height y; score 0..1."""

    x: float
    y: float
    width: float
    mouth: float
    chin: float
    score: float


def read_image(path: str | Path) -> np.ndarray:
    """(h, w, 3) uint8 RGB, upright. Raises InputError where it is no readable picture."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except UnidentifiedImageError:
        raise InputError(f"{path}: not a picture that can be read; expected jpg, png or webp") from None
    except Image.DecompressionBombError:
        raise InputError(f"{path}: this picture is too large; scale it down to at most 10000 pixels a side") from None
    except FileNotFoundError:
        raise InputError(f"{path}: no such image file; check its name") from None
    except (OSError, SyntaxError, ValueError) as error:  # Pillow's decoders raise all three for damaged files
        raise InputError(f"{path}: cannot read this picture: {error}") from None


# ---------------------------------------------------------------- light


def read_palette(path: str | Path) -> PaletteReading:
    """The stage world's palette nearest to the most present hue of an image. Raises InputError."""
    weight = _hue_histogram(read_image(path))
    if weight.sum() < GREY:
        return PaletteReading(None, f"{Path(path).name} is nearly grey: no colour to take from it")
    # A circular mean over neighbouring bins, so that a hue on a bin's edge is not split in two.
    smooth = weight + np.roll(weight, 1) + np.roll(weight, -1)
    hue = (int(smooth.argmax()) + 0.5) / HUES
    palette = min(PALETTES, key=lambda name: _hue_distance(hue, PALETTES[name][0]))
    r, g, b = (round(255 * x) for x in colorsys.hsv_to_rgb(hue, 0.8, 0.9))
    share = smooth.max() / weight.sum()
    return PaletteReading(palette, f"{share:.0%} of the colour in {Path(path).name} is near #{r:02x}{g:02x}{b:02x}")


def _hue_histogram(rgb: np.ndarray) -> np.ndarray:
    """(HUES,) mean saturation × value by hue, of a thinned image."""
    step = max(1, max(rgb.shape[:2]) // 128)
    x = rgb[::step, ::step].reshape(-1, 3).astype(np.float32) / 255
    value, chroma = x.max(1), x.max(1) - x.min(1)  # saturation × value is the chroma
    r, g, b = x.T
    d = np.where(chroma > 0, chroma, 1)
    sector = np.where(value == r, (g - b) / d % 6, np.where(value == g, (b - r) / d + 2, (r - g) / d + 4))
    bins = np.minimum((sector / 6 * HUES).astype(int), HUES - 1)
    return np.bincount(bins, chroma, minlength=HUES) / len(x)


def _hue_distance(a: float, b: float) -> float:
    return abs((a - b + 0.5) % 1 - 0.5)


# ---------------------------------------------------------------- person


def read_person(path: str | Path) -> PersonReading:
    """The look of the person in an image; of several, the one whose face is largest and clearest. Raises InputError."""
    name = Path(path).name
    rgb = _scaled_down(read_image(path))
    faces = find_faces(rgb)
    if not faces:
        return PersonReading({}, f"no face found in {name}")
    picture = Surroundings.of(rgb, faces[0])
    size = picture.face.width / rgb.shape[1]
    others = f", the clearest of {len(faces)}" if len(faces) > 1 else ""
    evidence = f"a face {size:.0%} as wide as {name}{others}, score {faces[0].score:.2f}"
    return PersonReading(picture.traits(), evidence)


def _scaled_down(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    scale = LONGER_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(rgb, size, interpolation=cv2.INTER_AREA) if scale < 1 else rgb


def find_faces(rgb: np.ndarray) -> list[Face]:
    """Faces in an (h, w, 3) uint8 RGB picture, the largest and clearest first.

    A pyramid of the picture is correlated with two drawn masks: eyes, brows and mouth darker than the face around them,
    and an oval of skin colour (the range of Chai and Ngan 1999) with none beside and above it.
    """
    found = []
    for scale in _pyramid(rgb.shape[:2]):
        size = round(rgb.shape[1] * scale), round(rgb.shape[0] * scale)
        level = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        score, mouth = _score_faces(level)
        peak = (score >= FACE_SCORE) & (score == cv2.dilate(score, np.ones((9, 9), np.uint8)))
        for y, x in np.argwhere(peak):
            at, width = float(y / scale), FACE / scale
            below = float(mouth[y, x]) * width
            # From the eyes down to the chin it is some 1.75 times as far as down to the mouth.
            found.append(Face(float(x / scale), at, width, at + below, at + 1.75 * below, float(score[y, x])))
    found.sort(key=lambda face: face.score * face.width**0.25, reverse=True)
    kept: list[Face] = []
    for face in found:
        if all(np.hypot(face.x - k.x, face.y - k.y) > max(face.width, k.width) for k in kept):
            kept.append(face)
    return kept


def _pyramid(shape: tuple[int, int]) -> Iterator[float]:
    """Scales at which faces from FACE pixels to three quarters of the picture's shorter side are FACE pixels wide."""
    width = float(FACE)
    while width <= max(0.75 * min(shape), FACE):
        yield FACE / width
        width *= SCALE_STEP


def _score_faces(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How much each pixel looks like the point between the eyes of a face FACE pixels wide.

    rgb (h, w, 3) uint8. Returns the score, (h, w) float32 0..1, and how far below the mouth lies, in face widths.
    """
    # A border, so that a face may touch the picture's; it repeats no eyes.
    rgb = cv2.copyMakeBorder(rgb, FACE, FACE, FACE, FACE, cv2.BORDER_REPLICATE)
    ycrcb = cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    # The darkest of a neighbourhood, so that pupils count and the white of an eye does not.
    luma, skin = cv2.erode(ycrcb[..., 0], np.ones((3, 3), np.uint8)), _skin_likelihood(ycrcb)
    features = np.stack([_correlation(luma, mask) for mask in FEATURE_MASKS])
    outline = _correlation(skin, OUTLINE_MASK)
    inside = _correlation(skin, OUTLINE_MASK, plain=True)
    score = (0.65 * features.max(0) + 0.35 * outline) * np.clip((inside - 0.3) / 0.4, 0, 1)
    inner = slice(FACE, -FACE)
    mouth = np.array(MOUTHS, np.float32)[features.argmax(0)]
    return np.ascontiguousarray(score[inner, inner]), mouth[inner, inner]


def _skin_likelihood(ycrcb: np.ndarray) -> np.ndarray:
    """(h, w) 0..1, from (h, w, 3) float YCrCb 0..255: 1 inside the range of human skin of any lightness."""
    y, cr, cb = cv2.split(ycrcb)
    inside = lambda x, low, high, soft: np.clip(np.minimum(x - low, high - x) / soft + 1, 0, 1)
    return inside(cr, 135, 172, 5) * inside(cb, 84, 123, 5) * np.clip((y - 25) / 20, 0, 1)


@dataclass(frozen=True)
class Mask:
    """What is looked for: values (h, w) float32; origin (x, y): the pixel of it that lies between the eyes."""

    values: np.ndarray
    origin: tuple[int, int]


def _grid(x0: float, x1: float, y0: float, y1: float) -> tuple[np.ndarray, np.ndarray, tuple[int, int]]:
    """x (1, w) and y (h, 1) in face widths from between the eyes, and the origin in pixels."""
    x, y = (np.arange(round(low * FACE), round(high * FACE) + 1) for low, high in ((x0, x1), (y0, y1)))
    return x[None, :] / FACE, y[:, None] / FACE, (-int(x[0]), -int(y[0]))


def _feature_mask(mouth: float) -> Mask:
    """Eyes, brows and mouth: dark blobs, with widths as in the anthropometry of a frontal face."""
    x, y, origin = _grid(-0.40, 0.40, -0.24, mouth + 0.16)
    blob = lambda cx, cy, wx, wy: np.exp(-(((abs(x) - cx) / wx) ** 2) - ((y - cy) / wy) ** 2)
    dark = blob(0.22, 0, 0.12, 0.08) + 0.35 * blob(0.22, -0.15, 0.15, 0.05)
    dark = dark + 0.7 * blob(0, mouth, 0.2, 0.07) + 0.2 * blob(0.04, 0.62 * mouth, 0.06, 0.04)
    return Mask((1 - dark).astype(np.float32), origin)


def _outline_mask() -> Mask:
    """1 in the oval from the forehead to the mouth, 0 beside and above; below it a neck may follow."""
    x, y, origin = _grid(-0.80, 0.80, -0.95, 0.45)
    return Mask(((x / 0.5) ** 2 + ((y - 0.1) / 0.6) ** 2 < 1).astype(np.float32), origin)


MOUTHS = (0.32, 0.40, 0.48)  # below the eyes in face widths: 0.48 is usual, less on drawn faces with large heads
FEATURE_MASKS = [_feature_mask(mouth) for mouth in MOUTHS]
OUTLINE_MASK = _outline_mask()


def _correlation(image: np.ndarray, mask: Mask, plain: bool = False) -> np.ndarray:
    """(h, w) correlation coefficient of the mask laid with its origin on each pixel; plain: the mean under the mask."""
    (height, width), (x, y) = mask.values.shape, mask.origin
    if plain:
        return cv2.filter2D(image, -1, mask.values / mask.values.sum(), anchor=(x, y), borderType=cv2.BORDER_REPLICATE)
    padded = cv2.copyMakeBorder(image, y, height - 1 - y, x, width - 1 - x, cv2.BORDER_REPLICATE)
    found = cv2.matchTemplate(padded, mask.values, cv2.TM_CCOEFF_NORMED)
    # A plain area has no correlation with anything; rounding makes it any number.
    return np.where(np.isfinite(found) & (abs(found) <= 1), found, 0).astype(np.float32)


# ---------------------------------------------------------------- the look around a face


@dataclass(frozen=True)
class Color:
    """A measured colour: CIELAB (3,), and the share 0..1 of the pixels looked at that have it."""

    lab: np.ndarray
    share: float

    @property
    def hex(self) -> str:
        rgb = cv2.cvtColor(self.lab.astype(np.float32).reshape(1, 1, 3), cv2.COLOR_Lab2RGB)[0, 0]
        return "#" + "".join(f"{round(255 * float(np.clip(x, 0, 1))):02x}" for x in rgb)


class Surroundings:
    """A picture measured in widths of the face in it, the point between the eyes being (0, 0), y down."""

    def __init__(self, rgb: np.ndarray, face: Face) -> None:
        self.lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
        self.face = face
        self.mouth, self.chin = (face.mouth - face.y) / face.width, (face.chin - face.y) / face.width

    @classmethod
    def of(cls, rgb: np.ndarray, face: Face) -> "Surroundings":
        """With the face's width measured anew where its skin ends: the detector's steps are coarse."""
        rough = cls(rgb, face)
        skin = rough.skin()
        rows = _like(rough.box(-0.9, 0.9, 0.12, 0.34), skin)
        middle = rows.shape[1] / 2 if rows.size else 0
        if face.x < 0.9 * face.width or face.x + 0.9 * face.width > rgb.shape[1] or not rows.size:
            return rough  # the picture's border cuts the rows
        ends = [_run(row[int(middle) :]) + _run(row[: int(middle)][::-1]) for row in rows]
        width = float(np.median(ends))
        # Outside of these the background or the hair is of the skin's colour.
        return cls(rgb, replace(face, width=width)) if 0.6 <= width / face.width <= 1.5 else rough

    def skin(self) -> Color:
        """Cheeks and nose."""
        return _dominant(self.box(-0.3, 0.3, 0.1, 0.34))

    def box(self, x0: float, x1: float, y0: float, y1: float) -> np.ndarray:
        """(h, w, 3) CIELAB of a box in face widths, cut at the picture's border; may be empty."""
        f, (height, width) = self.face, self.lab.shape[:2]
        clip = lambda value, high: int(np.clip(round(value), 0, high))
        rows = slice(clip(f.y + y0 * f.width, height), clip(f.y + y1 * f.width, height))
        columns = slice(clip(f.x + x0 * f.width, width), clip(f.x + x1 * f.width, width))
        return self.lab[rows, columns]

    def share(self, color: Color, *boxes: tuple[float, float, float, float]) -> float:
        """Mean over the boxes of the share of their pixels that have a colour; 0 for boxes outside of the picture."""
        return float(np.mean([_like(box, color).mean() if box.size else 0.0 for box in (self.box(*b) for b in boxes)]))

    def traits(self) -> dict[str, Trait]:
        skin = self.skin()
        eyes = self.box(-0.35, 0.35, -0.1, 0.1)[..., 0]
        dim = max(np.percentile(self.lab[..., 0], 99.5), np.percentile(eyes, 98) if eyes.size else 0) < DIM
        hair, why_no_hair = self._hair(skin)
        style = self._hair_style(skin, hair) if hair else Trait(None, why_no_hair)
        hanging = hair if style.value in ("long", None) else None
        outfit, clothes = self._outfit(skin, hanging)
        return {
            "skin": Trait(None, "the picture is too dark to tell") if dim else _named(SKINS, skin, "of the face"),
            "hair_style": style,
            "hair_color": _named(HAIR_COLORS, hair, "of the hair") if hair else Trait(None, why_no_hair),
            "outfit": outfit,
            "outfit_color": _named(OUTFIT_COLORS, clothes, "of the chest")
            if clothes
            else Trait(None, "no chest in sight, or not to be told from the background"),
        }

    def _hair(self, skin: Color) -> tuple[Color | None, str]:
        """The hair's colour above the forehead, or why it cannot be told."""
        # Between the eyebrows, up from the eyes: the forehead ends at the first rows that stay without skin.
        column = _like(self.box(-0.1, 0.1, -1.1, -0.1), skin)
        bare = np.append(column.mean(1)[::-1] < 0.3, False) if column.size else np.zeros(1, bool)
        rows = max(2, round(0.1 * self.face.width))
        starts = [i for i in range(len(bare) - rows) if bare[i : i + rows].all()]
        if not starts:
            return None, "no hair above the forehead, or cut off by the picture's border"
        line = -0.1 - starts[0] / self.face.width
        above = self.box(-0.28, 0.28, line - 0.2, line)
        hair = _dominant(above[~_like(above, skin)])
        if line < -0.62 and self.share(hair, (-0.4, 0.4, line - 0.7, line - 0.4)) > 0.7:
            return None, f"no hair to be told from the background, both {hair.hex}"
        return hair, ""

    def _hair_style(self, skin: Color, hair: Color) -> Trait:
        """Long: hair beside the cheeks and on the shoulders. Bob: beside the cheeks only. Bun: a knot on the crown."""
        behind = self.share(hair, (-2.0, -1.3, -0.6, 0.3), (1.3, 2.0, -0.6, 0.3))
        if behind > 0.2:
            return Trait(None, f"the background is {hair.hex} too: hair ends nowhere")
        cheek = 0.15, self.mouth + 0.1
        sides = self.share(hair, (-0.70, -0.54, *cheek), (0.54, 0.70, *cheek))
        low = self.chin + 0.15
        shoulders = self.share(hair, (-0.85, -0.40, low, low + 0.35), (0.40, 0.85, low, low + 0.35))
        evidence = f"hair colour on {sides:.0%} beside the cheeks, {shoulders:.0%} at the shoulders"
        if sides < 0.3:
            if self._has_knot(hair):
                return Trait("bun", f"{evidence}, a knot on the crown", 0.6)
            return Trait("short", evidence, min(1.0, 0.4 + 2 * (0.3 - sides)))
        if self.share(hair, (-0.3, 0.3, self.chin + 0.5, self.chin + 1.0)) > 0.5:
            return Trait(None, f"{evidence}, but the clothes have it too")
        if shoulders >= 0.3:
            return Trait("long", evidence, min(1.0, 0.4 + sides / 2 + shoulders / 2))
        return Trait("bob", evidence, min(1.0, 0.3 + sides / 2 + 0.3 - shoulders))

    def _has_knot(self, hair: Color) -> bool:
        """A narrow piece of hair on top of a wide one."""
        crown = _like(self.box(-0.8, 0.8, -1.5, -0.2), hair)
        if not crown.size:
            return False
        widths = crown.sum(1) / self.face.width
        wide = np.flatnonzero(widths > 0.7)
        if not len(wide):
            return False
        top = widths[: wide[0]]
        knot = (top > 0.15) & (top < 0.6)
        return bool(knot.sum() > 0.15 * self.face.width)

    def _outfit(self, skin: Color, hair: Color | None) -> tuple[Trait, Color | None]:
        """The clothes' kind, and their colour if the chest is in sight. An open front says jacket; shirt and dress
        cannot be told apart by a chest."""
        top, bottom = self.chin + 0.4, self.chin + 1.4

        def worn(x0: float, x1: float) -> Color | None:
            box = self.box(x0, x1, top, bottom)
            rest = box[~(_like(box, skin) | (_like(box, hair) if hair else False))] if box.size else box
            # With a quarter of the chest or less, it may as well be the background, a hand or a microphone.
            expected = (x1 - x0) * (bottom - top) * self.face.width**2
            return _dominant(rest) if rest.size / 3 > 0.25 * expected else None

        left, middle, right = worn(-0.62, -0.3), worn(-0.12, 0.12), worn(0.3, 0.62)
        # Narrow shoulders, or a person turned aside: what stands beside the chest goes on where no shoulder reaches.
        beyond = (-2.4, -1.7, top, bottom), (1.7, 2.4, top, bottom)
        if any(side and self.share(side, *beyond) > 0.4 for side in (left, right)):
            return Trait(None, "not to be told from the background"), None
        if left and middle and right:
            sides, front = _distance(left.lab, right.lab), min(_distance(s.lab, middle.lab) for s in (left, right))
            if sides < SAME and front > 1.5 * SAME and min(left.share, right.share) > 0.5:
                evidence = f"{left.hex} on both sides of a {middle.hex} front"
                return Trait("jacket", evidence, min(1.0, front / 60)), left
        return Trait(None, "no open front: a shirt or a dress"), worn(-0.5, 0.5)


def _run(row: np.ndarray) -> int:
    """How many leading True values, gaps of two pixels forgiven."""
    gaps = np.convolve(~row, np.ones(3), "valid") if len(row) > 3 else np.zeros(0)
    return int(np.argmax(gaps == 3)) if (gaps == 3).any() else len(row)


def _dominant(lab: np.ndarray) -> Color:
    """The most present colour of (..., 3) CIELAB pixels, at least one: the fullest bin's neighbourhood, averaged."""
    pixels = lab.reshape(-1, 3)
    bins = np.floor(pixels / [20.0, 12.0, 12.0]).astype(int) + [0, 12, 12]
    counts = cv2.blur(_histogram(bins), (3, 3), borderType=cv2.BORDER_CONSTANT)
    fullest = np.array(np.unravel_index(counts.argmax(), counts.shape))
    center = (fullest - [0, 12, 12] + 0.5) * [20.0, 12.0, 12.0]
    for _ in range(3):  # mean shift: the bin's centre need not be the colour's
        near = pixels[_weighted_distance(pixels, center) < SAME]
        center = near.mean(0) if len(near) else center
    return Color(np.median(near, 0) if len(near) else center, len(near) / len(pixels))


def _histogram(bins: np.ndarray) -> np.ndarray:
    """(6, 24, 24) counts of (n, 3) bins."""
    flat = np.ravel_multi_index(np.clip(bins, 0, [5, 23, 23]).T, (6, 24, 24))
    return np.bincount(flat, minlength=6 * 24 * 24).reshape(6, 24, 24).astype(np.float32)


def _like(lab: np.ndarray, color: Color) -> np.ndarray:
    """Which pixels of (..., 3) have a colour, be it in another shade of light: (...) bool."""
    return _weighted_distance(lab, color.lab) < SAME


def _weighted_distance(lab: np.ndarray, color: np.ndarray) -> np.ndarray:
    return np.linalg.norm((lab - color) * [SHADE, 1.0, 1.0], axis=-1)


def _distance(one: np.ndarray, other: np.ndarray) -> float:
    """CIE 1976 colour difference."""
    return float(np.linalg.norm(one - other))


def _named(table: dict[str, tuple[int, int, int]], color: Color, where: str) -> Trait:
    """The nearest of a table of RGB colours. Confidence falls with its distance, and as a second comes as near."""
    rgb = np.array(list(table.values()), np.float32).reshape(1, -1, 3) / 255
    far = np.linalg.norm(cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)[0] - color.lab, axis=1)
    order = np.argsort(far)
    nearest, second = far[order[0]], far[order[1]]
    evidence = f"{color.hex} on {color.share:.0%} {where}"
    confidence = float(
        (1 - nearest / NEAR) * (0.5 + 0.5 * (second - nearest) / (second + 1e-6)) * (0.4 + 0.6 * color.share)
    )
    if nearest > NEAR or confidence < TOLD:
        return Trait(None, f"{evidence}: like none of {', '.join(table)}")
    return Trait(list(table)[order[0]], evidence, confidence)
