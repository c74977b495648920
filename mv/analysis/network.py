"""The beat network: a temporal convolutional network after Davies and Böck (EUSIPCO 2019), spectra → beat activations.

It hears the song in logarithms of mel bands and chroma, twelve seconds to either side at a stride of 256 frames; small
convolutions over frequency, then dilated ones over time. Weights and how they came about: assets/models/beats.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import elu, max_pool2d

from mv.analysis.features import CHROMA_HOP, FRAME_RATE, N_BASS, N_MELS, Spectra

POOL = 2  # audio frames per network frame
NETWORK_RATE = FRAME_RATE / POOL  # 43.07 Hz
BANDS, CHROMA = N_BASS + N_MELS, 12
CONTRAST = 100.0  # what is so many times below the song's mean magnitude is nearly silence
PIECE = 2048  # network frames at a time: memory does not grow with the song
FOLDER = Path(__file__).parents[2] / "assets" / "models" / "beats"


@dataclass(frozen=True)
class Bands:
    """magnitudes (t, BANDS), bass below mel; chroma (t, CHROMA) power; t network frames."""

    magnitudes: np.ndarray
    chroma: np.ndarray


def bands(heard: Spectra) -> Bands:
    """The louder of the POOL audio frames of each network frame, so that no attack falls between."""
    both = np.hstack([heard.bass, heard.mel])
    t = len(both) // POOL
    magnitudes = both[: t * POOL].reshape(t, POOL, BANDS).max(1)
    return Bands(magnitudes, np.repeat(heard.chroma, CHROMA_HOP // POOL, axis=0)[:t])


def normalised(sound: Bands) -> np.ndarray:
    """(t, BANDS + CHROMA) float32, about 0..7: what the network is given. The same at any volume."""
    level = max(float(sound.magnitudes.mean()), 1e-9)
    loud = np.log1p(CONTRAST * sound.magnitudes / level)
    harmony = np.sqrt(np.maximum(sound.chroma, 0))
    harmony = 3 * harmony / (np.linalg.norm(harmony, axis=1, keepdims=True) + 0.03 * level)
    return np.hstack([loud, harmony]).astype(np.float32)


@dataclass(frozen=True)
class Shape:
    """Channels of the two convolutions over frequency and of those over time; dilations of the latter in frames."""

    front: tuple[int, int] = (16, 24)
    channels: int = 64
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1)

    @property
    def reach(self) -> int:
        """Network frames to either side that a value depends on."""
        return 2 + self.kernel // 2 * sum(self.dilations)


class BeatNetwork(nn.Module):
    """(b, t, BANDS + CHROMA) → (b, t, 2): logits of a beat and of a downbeat."""

    def __init__(self, shape: Shape, dropout: float = 0.1) -> None:
        super().__init__()
        self.shape = shape
        first, second = shape.front
        c, k = shape.channels, shape.kernel
        self.first, self.second = nn.Conv2d(1, first, 3, padding=1), nn.Conv2d(first, second, 3, padding=1)
        self.pitch = nn.Conv2d(second, c, (1, BANDS // 9))
        self.join = nn.Conv2d(c + CHROMA, c, 1)
        self.dilated = nn.ModuleList(
            nn.Conv2d(c, c, (k, 1), dilation=(d, 1), padding=(k // 2 * d, 0)) for d in shape.dilations
        )
        self.mix = nn.ModuleList(nn.Conv2d(c, c, 1) for _ in shape.dilations)
        self.head = nn.Conv2d(c, 2, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spectrum, chroma = x[:, None, :, :BANDS], x[..., BANDS:].movedim(2, 1)[..., None]
        spectrum = max_pool2d(elu(self.first(spectrum)), (1, 3))
        spectrum = max_pool2d(elu(self.second(spectrum)), (1, 3))
        h = self.join(torch.cat([elu(self.pitch(spectrum)), chroma.to(spectrum.dtype)], 1))
        for dilated, mix in zip(self.dilated, self.mix):
            h = h + mix(self.dropout(elu(dilated(h))))
        return self.head(elu(h))[..., 0].movedim(1, 2)


@cache
def load(folder: Path = FOLDER) -> BeatNetwork:
    """config.json and model.safetensors, half precision on disk."""
    stored = json.loads((folder / "config.json").read_text())
    network = BeatNetwork(Shape(**{key: tuple(v) if isinstance(v, list) else v for key, v in stored.items()}))
    network.load_state_dict({key: v.float() for key, v in load_file(folder / "model.safetensors").items()})
    return network.eval()


def config(shape: Shape) -> str:
    return json.dumps(asdict(shape), indent=1) + "\n"


@torch.inference_mode()
def activations(network: BeatNetwork, heard: Spectra) -> np.ndarray:
    """(2, t) 0..1 per audio frame of heard: how likely a beat and a downbeat."""
    if len(heard) < POOL:
        return np.zeros((2, len(heard)))
    x = normalised(bands(heard))
    reach, parts = network.shape.reach, []
    for start in range(0, len(x), PIECE):
        first = max(0, start - reach)
        seen = torch.from_numpy(x[first : start + PIECE + reach])[None]
        parts.append(torch.sigmoid(network(seen))[0, start - first : start - first + PIECE].numpy())
    at = (np.arange(len(heard)) - (POOL - 1) / 2) / POOL
    return np.stack([np.interp(at, np.arange(len(x)), row) for row in np.concatenate(parts).T])
