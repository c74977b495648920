"""The model's classes at tiny size: shapes, zero adapters, saving, the whole pipeline."""

from dataclasses import replace
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, WanTransformer3DModel

from mv.camera import camera_path
from mv.errors import Cancelled, InputError, ModelError
from mv.generation import Conditions
from mv.model.autoencoder import MVAutoencoder, group, ungroup
from mv.model.catalog import MODELS, load_renderer
from mv.model.conditions import camera_channels, reference_condition, stage_maps
from mv.model.text import build_text_encoder, build_tokenizer, encode_words
from mv.model.transformer import MVTransformer3DModel, PlainAttnProcessor
from mv.pipeline import DiffusionRenderer, MVPipeline, crop_to
from mv.schema import AUDIO_FEATURES, CURVES, CameraMove, MoveKind, ShotSize, with_phases
from mv.train.data import random_directions
from mv.windows import WindowSpec
from mv.world.render import LAYOUT_CHANNELS
from mv.world.vocabulary import describe

BASE = dict(num_attention_heads=2, attention_head_dim=12, in_channels=4, out_channels=4, text_dim=16, freq_dim=16,
            ffn_dim=32, num_layers=2, rope_max_seq_len=64)  # fmt: skip
ADAPTERS = dict(camera_channels=camera_channels(stage=True), camera_unshuffle=1, stage_rays=True, reference_channels=9,
                pooled_text=True,
                layout_channels=4 * LAYOUT_CHANNELS, layout_unshuffle=2,
                audio_dim=len(AUDIO_FEATURES), audio_every=2)  # fmt: skip


def tiny_transformer(**more) -> MVTransformer3DModel:
    torch.manual_seed(0)
    return MVTransformer3DModel(**BASE, **ADAPTERS, **more).eval()


def inputs(frames: int = 3, batch: int = 2) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(1)
    rand = lambda *shape: torch.randn(shape, generator=g)
    return dict(
        hidden_states=rand(batch, 4, frames, 4, 6),
        timestep=torch.tensor([500.0] * batch),
        encoder_hidden_states=rand(batch, 5, 16),
        camera=rand(batch, camera_channels(stage=True), frames, 4, 6),
        reference=rand(batch, 9, frames, 4, 6),
        layout=rand(batch, 4 * LAYOUT_CHANNELS, frames, 8, 12),
        audio=rand(batch, frames, 4, len(AUDIO_FEATURES)),
    )


def tiny_pipeline() -> MVPipeline:
    tokenizer = build_tokenizer()
    transformer = tiny_transformer(attention_layout="SF")
    vae = MVAutoencoder(latent_channels=4, encoder_channels=(8, 8), decoder_channels=(8, 8, 8, 8))
    text_encoder = build_text_encoder(len(tokenizer), 16)
    return MVPipeline(transformer, vae, text_encoder, tokenizer, FlowMatchEulerDiscreteScheduler(shift=2.0))


def shot(frames: int, kind: MoveKind = MoveKind.pan_left) -> tuple:
    audio = with_phases(np.random.default_rng(0).random((frames, len(CURVES))), np.arange(frames) / 12)
    return camera_path(CameraMove(kind=kind), ShotSize.medium, frames, 2.0), audio


# ---------------------------------------------------------------- transformer


@torch.no_grad()
def test_fresh_adapters_change_nothing_to_the_last_bit():
    model, given = tiny_transformer(), inputs()
    base = WanTransformer3DModel(**BASE).eval()
    missing = base.load_state_dict(
        {k: v for k, v in model.state_dict().items() if "adapter" not in k and "audio_attention" not in k}
    )
    assert not missing.missing_keys
    plain = [given[key] for key in ("hidden_states", "timestep", "encoder_hidden_states")]
    assert torch.equal(base(*plain, return_dict=False)[0], model(**given, return_dict=False)[0])


@torch.no_grad()
@pytest.mark.parametrize("condition", ["camera", "layout", "reference", "audio"])
def test_a_trained_adapter_is_heard_and_can_be_switched_off(condition):
    model, given = tiny_transformer(), inputs()
    for name, p in model.named_parameters():
        if "adapter" in name or "audio_attention" in name:
            p.normal_(std=0.2)
    without = {**given, condition: None}
    assert not torch.allclose(model(**given).sample, model(**without).sample)
    off = model(**given, keep=torch.zeros(2)).sample
    nothing = {**given, "camera": None, "layout": None, "reference": None, "audio": None}
    assert torch.allclose(off, model(**nothing).sample, atol=1e-5)


@torch.no_grad()
def test_no_words_add_nothing():
    model, given = tiny_transformer(), inputs()
    plain = MVTransformer3DModel(**BASE, **{**ADAPTERS, "pooled_text": False}).eval()
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "text_adapter" not in k})
    for p in model.text_adapter.parameters():
        p.normal_(std=0.2)
    assert not torch.allclose(model(**given).sample, plain(**given).sample)
    silent = {**given, "encoder_hidden_states": torch.zeros_like(given["encoder_hidden_states"])}
    assert torch.equal(model(**silent).sample, plain(**silent).sample)


@torch.no_grad()
def test_sound_acts_on_its_own_moment():
    """Within one latent frame's blocks, audio of a far frame must not leak: S blocks see one latent frame only."""
    model, given = tiny_transformer(attention_layout="S"), inputs(frames=6)
    for name, p in model.named_parameters():
        if "audio" in name:
            p.normal_(std=0.2)
    changed = {**given, "audio": given["audio"].clone()}
    changed["audio"][:, 0] += 1
    difference = (model(**given).sample - model(**changed).sample).abs().amax((0, 1, 3, 4))
    assert difference[0] > 1e-3 and difference[3:].max() < 1e-6


@torch.no_grad()
def test_apart_blocks_equal_whole_blocks_on_one_frame():
    given = inputs(frames=1)
    whole, apart = tiny_transformer(attention_layout="F"), tiny_transformer(attention_layout="S")
    assert torch.allclose(whole(**given).sample, apart(**given).sample, atol=1e-6)


@torch.no_grad()
def test_attention_written_out_equals_the_fused_one():
    model, given = tiny_transformer(attention_layout="SF"), inputs()
    fused = model(**given).sample
    model.set_attn_processor(PlainAttnProcessor())
    assert torch.allclose(fused, model(**given).sample, atol=1e-5)


def test_unknown_attention_layout_is_refused():
    with pytest.raises(ValueError, match="letters F and S"):
        tiny_transformer(attention_layout="SX")


# ---------------------------------------------------------------- autoencoder and text


@torch.no_grad()
def test_autoencoder_shapes_and_normalisation():
    vae = MVAutoencoder(4, (8, 8), (8, 8, 8, 8), latents_mean=[0.5] * 4, latents_std=[2.0] * 4).eval()
    video = torch.rand(1, 3, 9, 32, 64) * 2 - 1
    z = vae.encode(video)
    assert z.shape == (1, 4, 3, 2, 4) and vae.decode(z).sample.shape == video.shape
    raw = MVAutoencoder(4, (8, 8), (8, 8, 8, 8)).eval()
    raw.load_state_dict(vae.state_dict())
    assert torch.allclose(raw.encode(video), z * 2 + 0.5, atol=1e-5)
    with pytest.raises(ValueError, match="4k\\+1"):
        vae.encode(video[:, :, :8])


def test_grouping_is_undone():
    video = torch.rand(2, 3, 13, 4, 4)
    assert torch.equal(ungroup(group(video)), video)


@torch.no_grad()
def test_decoding_in_pieces_equals_decoding_whole():
    pipeline = tiny_pipeline()
    latents = torch.randn(1, 4, 15, 2, 4, generator=torch.Generator().manual_seed(0))
    whole = pipeline.vae.decode(latents).sample[0].clamp(-1, 1)
    whole = ((whole + 1) * 127.5).round().byte().permute(1, 2, 3, 0).numpy()
    assert np.array_equal(pipeline.decode_latents(latents, whole.shape[0]), whole)


def test_the_tokenizer_knows_every_word_the_director_writes():
    tokenizer = build_tokenizer()
    rng = np.random.default_rng(0)
    for _ in range(300):
        ids = tokenizer(describe(random_directions(rng))).input_ids
        assert tokenizer.unk_token_id not in ids and len(ids) <= 32


@torch.no_grad()
def test_places_without_a_word_are_zero():
    tokenizer = build_tokenizer()
    words = encode_words(tokenizer, build_text_encoder(len(tokenizer), 16), ["desert at night", ""])
    assert words[0, :3].abs().sum() > 0 and words[0, 3:].abs().sum() == 0 and words[1].abs().sum() == 0


# ---------------------------------------------------------------- pipeline


@pytest.mark.parametrize("frames", [1, 2, 9, 30])
def test_pipeline_gives_exactly_the_frames_asked_for(frames):
    path, audio = shot(frames)
    seen = []
    result = tiny_pipeline()(
        "desert at night", path, audio, 32, 64, 2, windows=WindowSpec(4, 1, 2, 1),
        generator=torch.Generator().manual_seed(0), callback=seen.append,
    )  # fmt: skip
    assert result.frames.shape == (frames, 32, 64, 3) and result.frames.dtype == np.uint8
    assert seen == sorted(seen) and seen[-1] == 1.0


def test_pipeline_is_deterministic_and_survives_saving(tmp_path):
    pipeline, (path, audio) = tiny_pipeline(), shot(9)
    render = lambda p: p("stage", path, audio, 32, 64, 2, generator=torch.Generator().manual_seed(5)).frames
    first = render(pipeline)
    assert np.array_equal(first, render(pipeline))
    pipeline.save_pretrained(tmp_path / "model")
    # Weights mapped from a file lie in memory otherwise, and some kernels then round otherwise: by one step at most.
    loaded = render(MVPipeline.from_pretrained(tmp_path / "model"))
    assert np.abs(loaded.astype(int) - first).max() <= 1 and (loaded != first).mean() < 1e-3


def test_pipeline_says_what_does_not_fit():
    pipeline, (path, audio) = tiny_pipeline(), shot(5)
    with pytest.raises(InputError, match="multiples of 32"):
        pipeline("stage", path, audio, 30, 64)
    with pytest.raises(InputError, match="one row a frame"):
        pipeline("stage", path, audio[:3], 32, 64)


@pytest.mark.parametrize(("asked", "native"), [((96, 32), (64, 32)), ((32, 64), (32, 64)), ((40, 40), (32, 32))])
def test_sizes_it_was_not_trained_at_are_drawn_at_the_nearest_shape(asked, native):
    renderer = DiffusionRenderer("tiny", tiny_pipeline(), 1, 1.0, ((64, 32), (32, 64), (32, 32)), "w")
    path, audio = shot(5)
    told = Conditions("desert", path, audio, Fraction(24), *asked, seed=1)
    assert renderer.native_size(*asked) == native
    assert renderer.render(told).shape == (5, asked[1], asked[0], 3)


def test_pictures_on_the_way_change_nothing_and_end_as_the_film_does():
    renderer = DiffusionRenderer("tiny", tiny_pipeline(), 3, 1.0, ((64, 32),), "w")
    path, audio = shot(33)
    conditions = Conditions("wide shot, desert", path, audio, Fraction(24), 64, 32, seed=5)
    pictures = []
    frames = renderer.render(conditions, on_picture=lambda picture: pictures.append(picture()))
    assert np.array_equal(frames, renderer.render(conditions))
    assert len(pictures) == 3 + 2, "one a step, one a decoded piece"
    assert {picture.shape for picture in pictures} == {(32, 64, 3)} and np.array_equal(pictures[-1], frames[-1])
    ended = renderer.pipeline.picture(renderer.latents(conditions, 5))
    assert np.abs(pictures[2].astype(int) - ended).max() <= 1, "after the last step nothing is left to guess"
    assert np.abs(pictures[0].astype(int) - ended).max() > 1


def test_a_shot_can_start_from_a_picture(tmp_path):
    pipeline = tiny_pipeline()
    torch.nn.init.normal_(pipeline.transformer.reference_adapter.conv.weight)
    renderer = DiffusionRenderer("tiny", pipeline, 2, 1.0, ((64, 32),), "w")
    told = Conditions("desert", *shot(5), Fraction(24), 64, 32, seed=1)
    films = []
    for shade in (0, 255):
        cv2.imwrite(str(tmp_path / f"{shade}.png"), np.full((50, 60, 3), shade, np.uint8))
        films.append(renderer.render(replace(told, reference=str(tmp_path / f"{shade}.png"))))
    assert films[0].shape == (5, 32, 64, 3) and not np.array_equal(*films)
    with pytest.raises(InputError, match="no such image"):
        renderer.render(replace(told, reference="nowhere.png"))
    pipeline.transformer.reference_adapter = None
    with pytest.raises(ModelError, match="remove the shot's reference"):
        renderer.render(replace(told, reference=str(tmp_path / "0.png")))


def test_pictures_are_cropped_not_stretched():
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 100:200] = 200
    assert (crop_to(picture, 20, 20) == 200).all()


def test_what_is_known_reaches_every_frame():
    latents = torch.randn(1, 2, 3, 2, 2)
    known = torch.zeros(1, 1, 3, 2, 2)
    assert not reference_condition(latents, known).any()
    known[:, :, 1] = 1
    given = reference_condition(latents, known)
    assert torch.equal(given[:, :2, 1], latents[:, :, 1]) and not given[:, :2, 0].any()
    assert all(torch.equal(given[:, 2:4, t], latents[:, :, 1]) for t in range(3))
    assert given[0, 4].amax((1, 2)).tolist() == [0, 1, 0]


def test_stage_rays_follow_a_point_of_the_stage():
    """A spot on the ground has the same numbers wherever in the picture the camera moves it."""
    path = camera_path(CameraMove(kind=MoveKind.truck_left, amount=1.5), ShotSize.wide, 2, 16 / 9)
    maps = stage_maps(path, 90, 160)
    assert np.abs(maps).max() <= 1 and np.isfinite(maps).all()
    spots = []
    for i in range(2):
        camera = path.extrinsics[i] @ [0.7, 0.0, -2.0, 1.0]
        fx, fy, cx, cy = path.intrinsics[i]
        x, y = (fx * camera[0] / camera[2] + cx) * 160, (fy * camera[1] / camera[2] + cy) * 90
        spots.append((maps[i, 40:60, int(y), int(x)], x))
    assert abs(spots[0][1] - spots[1][1]) > 10
    assert np.allclose(spots[0][0], spots[1][0], atol=0.25)


def test_maps_embedded_beforehand_give_the_same():
    model, given = tiny_transformer(), inputs()
    for name, p in model.named_parameters():
        if "adapter" in name:
            torch.nn.init.normal_(p, std=0.2)
    with torch.no_grad():
        maps = model.embed_maps(given["camera"], given["layout"], given["reference"])
        early = model(**{**given, "camera": None, "layout": None, "reference": None}, maps=maps).sample
        assert torch.allclose(early, model(**given).sample, atol=1e-6)


def test_rendering_stops_when_asked():
    renderer = DiffusionRenderer("tiny", tiny_pipeline(), 1, 1.0, ((64, 32),), "w")
    told = Conditions("desert", *shot(5), Fraction(24), 64, 32, seed=1)
    with pytest.raises(Cancelled):
        renderer.render(told, cancelled=lambda: True)


def test_catalog_names_its_models():
    assert "mv-mini" in MODELS
    with pytest.raises(InputError, match="known are: mv-mini"):
        load_renderer("no-such-model")
    with pytest.raises(InputError, match="1 to 200"):
        load_renderer("mv-mini", 0)


def test_missing_weights_are_named(monkeypatch, tmp_path):
    monkeypatch.setitem(MODELS, "mv-mini", replace(MODELS["mv-mini"], folder=tmp_path))
    with pytest.raises(ModelError, match="no weights in"):
        load_renderer("mv-mini")


def test_broken_weights_are_named(tmp_path, monkeypatch):
    (tmp_path / "model_index.json").write_text("{")
    monkeypatch.setitem(MODELS, "mv-mini", replace(MODELS["mv-mini"], folder=tmp_path))
    with pytest.raises(ModelError, match="cannot load"):
        load_renderer("mv-mini")
