"""MVTransformer3DModel: diffusers' Wan transformer with a camera, a layout, a reference and an audio adapter.

One class for both sizes: mv-mini, trained by this project, and Wan2.1/2.2 weights (base, or Fun control-camera, whose
adapter has this very shape). Every adapter starts at zero: untrained, the output equals the base model's to the last
bit.
"""

from typing import Any

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import register_to_config
from diffusers.models.modeling_outputs import Transformer2DModelOutput
from diffusers.models.modeling_utils import ModelMixin  # noqa: F401  (a pipeline's loader looks for it in this module)
from diffusers.models.transformers.transformer_wan import WanAttnProcessor, WanTransformer3DModel
from torch import nn


def plain_attention(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """softmax(q kᵀ / √d) v on (b, heads, n, d), written out.

    On a CPU, at the short sequences of an S block, this is twice as fast as torch's fused kernel forwards and four
    times with its gradient (bfloat16, 144 tokens); at 1296 tokens 1.3 times.
    """
    with torch.autocast(query.device.type, enabled=False):
        query, key = query.type_as(value) * query.shape[-1] ** -0.5, key.type_as(value)
        return torch.softmax(query @ key.transpose(-1, -2), -1) @ value


class PlainAttnProcessor(WanAttnProcessor):
    """WanAttnProcessor for text-to-video weights, with attention written out."""

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, rotary_emb=None):
        if attn.add_k_proj is not None or attention_mask is not None:
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        source = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = attn.norm_q(attn.to_q(hidden_states)), attn.norm_k(attn.to_k(source)), attn.to_v(source)
        query, key, value = (x.unflatten(2, (attn.heads, -1)) for x in (query, key, value))
        if rotary_emb is not None:
            query, key = rotate(query, *rotary_emb), rotate(key, *rotary_emb)
        x = plain_attention(*(x.transpose(1, 2) for x in (query, key, value)))
        return attn.to_out[0](x.transpose(1, 2).flatten(2).type_as(value))


def rotate(x: torch.Tensor, freqs_cos: torch.Tensor, freqs_sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions on (b, n, heads, d), pairs of neighbouring channels, as Wan has them."""
    even, odd = x.unflatten(-1, (-1, 2)).unbind(-1)
    cos, sin = freqs_cos[..., 0::2], freqs_sin[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2).type_as(x)


class AdapterResidualBlock(nn.Module):
    def __init__(self, dim: int):
        super().__init__()
        self.conv1 = nn.Conv2d(dim, dim, 3, padding=1)
        self.conv2 = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(self, hidden_states: torch.Tensor) -> torch.Tensor:
        return hidden_states + self.conv2(F.relu(self.conv1(hidden_states)))


class SpatialAdapter(nn.Module):
    """Maps with a place in the picture → something to add to the patch embedding, after Wan-Fun's control-camera.

    PixelUnshuffle → Conv2d (kernel = stride = patch) → residual blocks. The convolution starts at zero, and a residual
    block without bias keeps zero at zero, so a fresh adapter adds nothing.
    """

    def __init__(self, channels: int, dim: int, unshuffle: int, patch: tuple[int, int], num_blocks: int = 1):
        super().__init__()
        self.unshuffle = unshuffle
        self.conv = nn.Conv2d(channels * unshuffle**2, dim, patch, patch)
        self.residual_blocks = nn.ModuleList(AdapterResidualBlock(dim) for _ in range(num_blocks))
        nn.init.zeros_(self.conv.weight)
        for bias in [self.conv.bias, *(c.bias for b in self.residual_blocks for c in (b.conv1, b.conv2))]:
            nn.init.zeros_(bias)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(b, channels, t, H, W) → tokens (b, t·h·w, dim)."""
        batch = len(maps)
        x = self.conv(F.pixel_unshuffle(maps.transpose(1, 2).flatten(0, 1), self.unshuffle))
        for block in self.residual_blocks:
            x = block(x)
        return x.flatten(2).transpose(1, 2).reshape(batch, -1, x.shape[1])


class AudioAdapter(nn.Module):
    """Features of the video frames in each latent frame → modulation of that latent frame, something to add to its
    tokens, and tokens to attend to."""

    def __init__(self, features: int, frames_per_latent: int, dim: int):
        super().__init__()
        self.frames_per_latent = frames_per_latent
        self.embed = nn.Sequential(
            nn.Linear(features * frames_per_latent, dim), nn.SiLU(), nn.Linear(dim, dim), nn.SiLU()
        )
        self.token = nn.Linear(features, dim)
        self.modulation = nn.Linear(dim, 6 * dim)
        self.shift = nn.Linear(dim, dim)
        for linear in (self.modulation, self.shift):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, audio: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(b, t, frames_per_latent, features) → modulation (b, t, 6, dim), shift (b, t, dim), tokens
        (b, t, frames_per_latent, dim)."""
        embedding = self.embed(audio.flatten(2))
        tokens = F.silu(self.token(audio) + embedding.unsqueeze(2))
        return self.modulation(embedding).unflatten(2, (6, -1)), self.shift(embedding), tokens


class TextAdapter(nn.Module):
    """All words together → modulation and something to add to every token, beside the cross-attention to each of them.

    A small network finds out late which word names the place when it can only attend; this tells it at once. Text that
    is all zeros adds nothing.
    """

    def __init__(self, text_dim: int, dim: int):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(text_dim, dim), nn.SiLU(), nn.Linear(dim, dim), nn.SiLU())
        self.modulation = nn.Linear(dim, 6 * dim)
        self.shift = nn.Linear(dim, dim)
        for linear in (self.modulation, self.shift):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, words: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(b, n, text_dim), zeros where there is no word → modulation (b, 6, dim), shift (b, 1, dim)."""
        said = (words != 0).any(-1, keepdim=True).to(words.dtype)
        embedding = self.embed((words * said).sum(1) / said.sum(1).clamp(min=1))
        modulation, shift = (linear(embedding) * said.amax(1) for linear in (self.modulation, self.shift))
        return modulation.unflatten(1, (6, -1)), shift.unsqueeze(1)


class AudioCrossAttention(nn.Module):
    """Picture tokens of a latent frame attend to what is heard in it and in its two neighbours. Starts at zero."""

    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(dim, elementwise_affine=False)
        self.to_q = nn.Linear(dim, dim)
        self.to_kv = nn.Linear(dim, 2 * dim)
        self.to_out = nn.Linear(dim, dim)
        nn.init.zeros_(self.to_out.weight)
        nn.init.zeros_(self.to_out.bias)

    def forward(self, hidden_states: torch.Tensor, audio_tokens: torch.Tensor) -> torch.Tensor:
        """hidden_states (b, t·n, dim), audio_tokens (b, t, k, dim)."""
        batch, num_frames = audio_tokens.shape[:2]
        padded = torch.cat([audio_tokens[:, :1], audio_tokens, audio_tokens[:, -1:]], 1)
        heard = torch.cat([padded[:, :-2], padded[:, 1:-1], padded[:, 2:]], 2).flatten(0, 1)
        x = self.norm(hidden_states).view(batch * num_frames, -1, hidden_states.shape[-1])
        split = lambda y: y.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        q, (k, v) = split(self.to_q(x)), map(split, self.to_kv(heard).chunk(2, -1))
        x = plain_attention(q, k, v).transpose(1, 2).flatten(2)
        return hidden_states + self.to_out(x).view_as(hidden_states)


class MVTransformer3DModel(WanTransformer3DModel):
    """Wan's arguments, and:

    camera_channels: channels of the ray map per latent frame (24 = 6 Plücker × 4 video frames), None: no adapter.
    camera_unshuffle: pixels of the ray map per latent pixel (8 for Wan-Fun; 1 for mv-mini, whose latents are coarse).
    camera_scale: metres are multiplied by this before the moments o × d are formed.
    layout_channels, layout_unshuffle: the same for the map of what stands where (mv/world/render.py), None for Wan.
    reference_channels: the same for what is given of the picture (mv/model/conditions.py), on the latent grid.
    pooled_text: whether all words together modulate the blocks, too.
    stage_rays: whether the camera's map also tells where its rays meet the stage (mv/model/conditions.py).
    audio_dim: features per video frame; audio_every: a block with audio cross-attention every so many, 0 for none.
    attention_layout: one letter a block, repeated: F attends over all latent frames, S within its own. "F" is Wan.
    """

    @register_to_config
    def __init__(
        self,
        patch_size: tuple[int, ...] = (1, 2, 2),
        num_attention_heads: int = 40,
        attention_head_dim: int = 128,
        in_channels: int = 16,
        out_channels: int = 16,
        text_dim: int = 4096,
        freq_dim: int = 256,
        ffn_dim: int = 13824,
        num_layers: int = 40,
        cross_attn_norm: bool = True,
        qk_norm: str | None = "rms_norm_across_heads",
        eps: float = 1e-6,
        image_dim: int | None = None,
        added_kv_proj_dim: int | None = None,
        rope_max_seq_len: int = 1024,
        pos_embed_seq_len: int | None = None,
        camera_channels: int | None = None,
        camera_unshuffle: int = 8,
        camera_scale: float = 1.0,
        layout_channels: int | None = None,
        layout_unshuffle: int = 2,
        reference_channels: int | None = None,
        stage_rays: bool = False,
        pooled_text: bool = False,
        audio_dim: int | None = None,
        audio_every: int = 1,
        attention_layout: str = "F",
    ) -> None:
        super().__init__(
            patch_size, num_attention_heads, attention_head_dim, in_channels, out_channels, text_dim, freq_dim, ffn_dim,
            num_layers, cross_attn_norm, qk_norm, eps, image_dim, added_kv_proj_dim, rope_max_seq_len,
            pos_embed_seq_len,
        )  # fmt: skip
        if not attention_layout or set(attention_layout) - set("FS"):
            raise ValueError(f"attention_layout is made of the letters F and S, got {attention_layout!r}")
        dim, patch = num_attention_heads * attention_head_dim, tuple(patch_size[1:])
        self.camera_adapter = SpatialAdapter(camera_channels, dim, camera_unshuffle, patch) if camera_channels else None
        self.layout_adapter = (
            SpatialAdapter(layout_channels, dim, layout_unshuffle, patch, num_blocks=0) if layout_channels else None
        )
        self.reference_adapter = (
            SpatialAdapter(reference_channels, dim, 1, patch, num_blocks=0) if reference_channels else None
        )
        self.text_adapter = TextAdapter(text_dim, dim) if pooled_text else None
        self.audio_adapter = AudioAdapter(audio_dim, 4, dim) if audio_dim else None
        self.audio_attention = nn.ModuleDict(
            {str(i): AudioCrossAttention(dim, num_attention_heads)
             for i in range(num_layers) if audio_dim and audio_every and i % audio_every == audio_every - 1}
        )  # fmt: skip

    def embed_maps(
        self,
        camera: torch.Tensor | None = None,
        layout: torch.Tensor | None = None,
        reference: torch.Tensor | None = None,
    ) -> torch.Tensor | None:
        """What has a place in the picture → one sum of tokens (b, t, n, dim), None where nothing is given.

        The same at every denoising step, so a sampler computes it once and cuts its windows out of it.
        """
        embedding = None
        for adapter, maps in (
            (self.camera_adapter, camera),
            (self.layout_adapter, layout),
            (self.reference_adapter, reference),
        ):
            if adapter is not None and maps is not None:
                tokens = adapter(maps).unflatten(1, (maps.shape[2], -1))
                embedding = tokens if embedding is None else embedding + tokens
        return embedding

    def forward(
        self,
        hidden_states: torch.Tensor,
        timestep: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        encoder_hidden_states_image: torch.Tensor | None = None,
        camera: torch.Tensor | None = None,
        layout: torch.Tensor | None = None,
        reference: torch.Tensor | None = None,
        audio: torch.Tensor | None = None,
        maps: torch.Tensor | None = None,
        keep: torch.Tensor | None = None,
        return_dict: bool = True,
        attention_kwargs: dict[str, Any] | None = None,
    ) -> Transformer2DModelOutput | tuple[torch.Tensor]:
        """hidden_states (b, c, t, h, w); timestep (b,) 0..1000; encoder_hidden_states (b, n, text_dim).

        camera (b, camera_channels, t, h·u, w·u), layout and reference likewise, or `maps`, the result of `embed_maps`
        on them; audio (b, t, 4, audio_dim). An adapter that is given nothing adds nothing. keep (b,) 0 or 1 switches
        all adapters off per sample: training for guidance.
        """
        batch, _, num_frames, height, width = hidden_states.shape
        _, p_h, p_w = self.config.patch_size

        # 1. Patches, and what has a place in the picture
        rotary_emb = self.rope(hidden_states)
        hidden_states = self.patch_embedding(hidden_states).flatten(2).transpose(1, 2).contiguous()
        share = 1.0 if keep is None else keep.view(-1, 1, 1).to(hidden_states.dtype)
        maps = self.embed_maps(camera, layout, reference) if maps is None else maps
        if maps is not None:
            hidden_states = hidden_states + share * maps.flatten(1, 2).type_as(hidden_states)

        # 2. Time, words, sound
        said = None if self.text_adapter is None else self.text_adapter(encoder_hidden_states)
        temb, timestep_proj, encoder_hidden_states, encoder_hidden_states_image = self.condition_embedder(
            timestep, encoder_hidden_states, encoder_hidden_states_image
        )
        timestep_proj = timestep_proj.unflatten(1, (6, -1))
        if said is not None:
            timestep_proj = timestep_proj + said[0].type_as(timestep_proj)
            hidden_states = hidden_states + said[1].type_as(hidden_states)
        if encoder_hidden_states_image is not None:
            encoder_hidden_states = torch.concat([encoder_hidden_states_image, encoder_hidden_states], dim=1)
        audio_tokens = None
        if self.audio_adapter is not None and audio is not None:
            modulation, shift, audio_tokens = self.audio_adapter(audio)
            modulation = modulation if keep is None else share.unsqueeze(-1) * modulation
            shift = shift.repeat_interleave(hidden_states.shape[1] // num_frames, 1)
            hidden_states = hidden_states + share * shift.type_as(hidden_states)
            timestep_proj = timestep_proj.unsqueeze(1) + modulation.type_as(timestep_proj)  # (b, t, 6, dim)

        # 3. Blocks
        for i, block in enumerate(self.blocks):
            layout_letter = self.config.attention_layout[i % len(self.config.attention_layout)]
            hidden_states = self._run_block(
                block, layout_letter, num_frames, hidden_states, encoder_hidden_states, timestep_proj, rotary_emb
            )
            if audio_tokens is not None and str(i) in self.audio_attention:
                attended = self.audio_attention[str(i)](hidden_states, audio_tokens)
                hidden_states = attended if keep is None else torch.lerp(hidden_states, attended, share)

        # 4. Output norm, projection, unpatchify
        shift, scale = (self.scale_shift_table.to(temb.device) + temb.unsqueeze(1)).chunk(2, dim=1)
        hidden_states = (self.norm_out(hidden_states.float()) * (1 + scale) + shift).type_as(hidden_states)
        hidden_states = self.proj_out(hidden_states)
        output = hidden_states.reshape(batch, num_frames, height // p_h, width // p_w, 1, p_h, p_w, -1)
        output = output.permute(0, 7, 1, 4, 2, 5, 3, 6).flatten(6, 7).flatten(4, 5).flatten(2, 3)
        return Transformer2DModelOutput(sample=output) if return_dict else (output,)

    def _run_block(self, block, letter, num_frames, hidden_states, encoder_hidden_states, timestep_proj, rotary_emb):
        """An S block is the same block with the latent frames moved into the batch: attention stays inside each.

        timestep_proj is (b, 6, dim), or (b, t, 6, dim) where sound modulates each latent frame.
        """
        tokens = hidden_states.shape[1] // num_frames
        per_frame = timestep_proj.ndim == 4
        if letter == "F":
            modulation = timestep_proj.repeat_interleave(tokens, 1) if per_frame else timestep_proj
            arguments = (hidden_states, encoder_hidden_states, modulation, rotary_emb)
        else:
            arguments = (
                hidden_states.unflatten(1, (num_frames, -1)).flatten(0, 1),
                encoder_hidden_states.repeat_interleave(num_frames, 0),
                timestep_proj.flatten(0, 1) if per_frame else timestep_proj.repeat_interleave(num_frames, 0),
                tuple(freqs[:, :tokens] for freqs in rotary_emb),
            )
        if torch.is_grad_enabled() and self.gradient_checkpointing:
            return self._gradient_checkpointing_func(block, *arguments).view_as(hidden_states)
        return block(*arguments).view_as(hidden_states)
