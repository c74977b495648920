"""The reference image: what a picture the user gave says about the light of the film."""

import colorsys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mv.errors import InputError
from mv.world.vocabulary import PALETTES

HUES = 36  # bins of the hue histogram: 10 degrees each
GREY = 0.04  # mean colourfulness (saturation × value) below which a picture has no hue to speak of


@dataclass(frozen=True)
class PaletteReading:
    """palette: a key of PALETTES, None for a grey picture; evidence: one line that says why."""

    palette: str | None
    evidence: str


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
