"""A small causal video autoencoder: 16×16 pixels and 4 frames become one latent vector.

The encoder looks at half-size pictures, the decoder paints at full size: what is lost between is shape knowledge the
decoder has learned, and the transformer's cost does not grow with the delivered size. The first latent frame holds one
video frame, each later one four (4k+1, as in Wan). Two-dimensional convolutions on groups of four frames, each group
also seeing the one before it: cheap on a CPU, and streams.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

GROUP = 4  # video frames per latent frame


@dataclass
class DecoderOutput:
    sample: torch.Tensor


def _conv(channels_in: int, channels_out: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    conv = nn.Conv2d(channels_in, channels_out, kernel, stride, kernel // 2 if stride == 1 else 0)
    nn.init.kaiming_normal_(conv.weight, nonlinearity="linear")
    nn.init.zeros_(conv.bias)
    return conv


class ResidualBlock(nn.Module):
    """Starts as the identity: the second convolution is zero."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv1 = _conv(channels, channels)
        self.conv2 = _conv(channels, channels)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states + self.conv2(F.silu(self.conv1(F.silu(hidden_states))))


class CausalMix(nn.Module):
    """Adds to each latent frame what a convolution sees of it and the frame before; the first sees itself twice."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv = _conv(2 * channels, channels)
        nn.init.zeros_(self.conv.weight)

    def forward(self, hidden_states: torch.Tensor, num_frames: int) -> torch.Tensor:
        frames = hidden_states.unflatten(0, (-1, num_frames))
        before = torch.cat([frames[:, :1], frames[:, :-1]], 1)
        return hidden_states + self.conv(F.silu(torch.cat([frames, before], 2).flatten(0, 1)))


class Encoder(nn.Module):
    def __init__(self, latent_channels: int, channels: tuple[int, int]):
        super().__init__()
        wide, deep = channels
        self.conv_in = _conv(3 * GROUP * 16, wide)
        self.block1 = ResidualBlock(wide)
        self.down = _conv(wide, deep, 2, 2)
        self.mix = CausalMix(deep)
        self.blocks = nn.Sequential(ResidualBlock(deep), ResidualBlock(deep))
        self.conv_out = _conv(deep, latent_channels, 1)

    def forward(self, groups: torch.Tensor) -> torch.Tensor:
        """(b, t, 12, h, w) half-size pictures → (b, t, latent_channels, h/8, w/8)."""
        num_frames = groups.shape[1]
        x = groups.flatten(0, 1)
        # The mean colour goes straight into the first three channels: the rest need only learn the detail.
        mean_color = F.avg_pool2d(x.unflatten(1, (GROUP, 3)).mean(1), 8)
        x = self.down(self.block1(self.conv_in(F.pixel_unshuffle(x, 4))))
        z = self.conv_out(self.blocks(self.mix(x, num_frames)))
        z = torch.cat([z[:, :3] + 2 * mean_color.to(z.dtype), z[:, 3:]], 1)
        return z.unflatten(0, (-1, num_frames))


class Decoder(nn.Module):
    """Latent frames share their work down to an eighth of the picture; from a quarter on, each video frame has
    features of its own, or whatever moves would be painted as a smear of all four."""

    def __init__(self, latent_channels: int, channels: tuple[int, int, int, int], blocks: tuple[int, int, int, int]):
        super().__init__()
        c16, c8, c4, c2 = channels
        stack = lambda dim, count: nn.Sequential(*(ResidualBlock(dim) for _ in range(count)))
        self.conv_in = _conv(latent_channels, c16)
        self.mix = CausalMix(c16)
        self.blocks16 = stack(c16, blocks[0])
        self.up8 = nn.Sequential(_conv(c16, 4 * c8), nn.PixelShuffle(2))
        self.blocks8 = stack(c8, blocks[1])
        self.up4 = nn.Sequential(_conv(c8, 4 * GROUP * c4, 1), nn.PixelShuffle(2))
        self.blocks4 = stack(c4, blocks[2])
        self.up2 = nn.Sequential(_conv(c4, 4 * c2, 1), nn.PixelShuffle(2))
        self.blocks2 = stack(c2, blocks[3])
        self.conv_out = _conv(c2, 3 * 4)
        with torch.no_grad():
            self.conv_out.weight.mul_(0.1)

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(b, t, latent_channels, h, w) → (b, t, 12, 16h, 16w)."""
        num_frames = z.shape[1]
        x = self.mix(self.conv_in(z.flatten(0, 1)), num_frames)
        x = self.up4(self.blocks8(self.up8(self.blocks16(x))))
        x = x.unflatten(1, (GROUP, -1)).flatten(0, 1)
        x = self.blocks2(self.up2(self.blocks4(x)))
        x = F.pixel_shuffle(self.conv_out(F.silu(x)), 2)
        mean_color = F.interpolate(0.5 * z[:, :, :3].flatten(0, 1), scale_factor=16, mode="bilinear")
        x = x.unflatten(0, (-1, GROUP)) + mean_color.unsqueeze(1).to(x.dtype)
        return x.flatten(1, 2).unflatten(0, (-1, num_frames))


class MVAutoencoder(ModelMixin, ConfigMixin):
    """Defaults are the released mv-mini's. latents_mean and latents_std normalise each channel for the transformer."""

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 24,
        encoder_channels: tuple[int, int] = (64, 128),
        decoder_channels: tuple[int, int, int, int] = (256, 128, 48, 24),
        decoder_blocks: tuple[int, int, int, int] = (2, 2, 2, 1),
        latents_mean: list[float] | None = None,
        latents_std: list[float] | None = None,
        spatial_compression_ratio: int = 16,
        temporal_compression_ratio: int = GROUP,
    ):
        super().__init__()
        self.encoder = Encoder(latent_channels, encoder_channels)
        self.decoder = Decoder(latent_channels, decoder_channels, decoder_blocks)

    def encode(self, video: torch.Tensor) -> torch.Tensor:
        """video (b, 3, 4k+1, h, w) in -1..1, h and w multiples of 16 → normalised latents (b, c, k+1, h/16, w/16)."""
        if (video.shape[2] - 1) % GROUP or video.shape[3] % 16 or video.shape[4] % 16:
            raise ValueError(f"expected 4k+1 frames and sides in multiples of 16, got {tuple(video.shape)}")
        return self.encode_half_size(F.avg_pool3d(video, (1, 2, 2)))

    def encode_half_size(self, video: torch.Tensor) -> torch.Tensor:
        """The same from pictures that have been halved already: (b, 3, 4k+1, h/2, w/2)."""
        z = self.encoder(group(video)).transpose(1, 2)
        mean, std = self._statistics(z)
        return (z - mean) / std

    def decode(self, latents: torch.Tensor, return_dict: bool = True) -> DecoderOutput | tuple[torch.Tensor]:
        """normalised latents (b, c, k+1, h, w) → video (b, 3, 4k+1, 16h, 16w) in about -1..1."""
        mean, std = self._statistics(latents)
        sample = ungroup(self.decoder((latents * std + mean).transpose(1, 2)))
        return DecoderOutput(sample) if return_dict else (sample,)

    def _statistics(self, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        channels = self.config.latent_channels
        mean = torch.tensor(self.config.latents_mean or [0.0] * channels, dtype=like.dtype, device=like.device)
        std = torch.tensor(self.config.latents_std or [1.0] * channels, dtype=like.dtype, device=like.device)
        return mean.view(1, -1, 1, 1, 1), std.view(1, -1, 1, 1, 1)


def group(video: torch.Tensor) -> torch.Tensor:
    """(b, 3, 4k+1, h, w) → (b, k+1, 12, h, w): the first frame four times, then fours."""
    video = torch.cat([video[:, :, :1].expand(-1, -1, GROUP, -1, -1), video[:, :, 1:]], 2)
    return video.unflatten(2, (-1, GROUP)).permute(0, 2, 3, 1, 4, 5).flatten(2, 3)


def ungroup(groups: torch.Tensor) -> torch.Tensor:
    """The inverse of `group`."""
    video = groups.unflatten(2, (GROUP, 3)).permute(0, 3, 1, 2, 4, 5).flatten(2, 3)
    return video[:, :, GROUP - 1 :]
