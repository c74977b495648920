"""Training: data from a seed, resuming to the very step, conditions that reach the loss."""

import copy

import cv2
import numpy as np
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from mv.errors import InputError
from mv.model.autoencoder import MVAutoencoder
from mv.model.conditions import camera_channels
from mv.pipeline import DiffusionRenderer, MVPipeline
from mv.schema import AUDIO_FEATURES
from mv.train import distill as distillation
from mv.train import preference
from mv.train import transformer as training
from mv.train.autoencoder import (
    Polish,
    ShotPool,
    edge_energy,
    edge_strength,
    join_error,
    reconstruction_loss,
    straddle,
)
from mv.train.data import ASPECTS, sample_clip
from mv.train.loop import MuonAdamW, Run, Schedule
from mv.world.render import HEAD_MARK, LAYOUT_CHANNELS


def test_a_seed_makes_the_same_clip_again():
    one, two, three = (sample_clip(np.random.default_rng(seed), 5) for seed in (1, 1, 2))
    assert one.prompt == two.prompt and np.array_equal(one.frames(), two.frames())
    assert one.prompt != three.prompt


@pytest.mark.parametrize("aspect", ASPECTS)
def test_clips_have_the_asked_shape(aspect):
    clip = sample_clip(np.random.default_rng(0), 5, aspect)
    width, height = ASPECTS[aspect]
    assert clip.frames().shape == (5, height, width, 3) and clip.audio.shape == (5, len(AUDIO_FEATURES))


def test_crops_hold_two_groups_and_some_begin_still():
    crops, weights = ShotPool(np.random.default_rng(0), 2).crops(np.random.default_rng(1), 24)
    assert crops.shape[:3] == (24, 2, 12) and crops.min() >= -1 and crops.max() <= 1
    still = [bool((c[0, :3] == c[0, 3:6]).all() and (c[0, :3] == c[0, 9:]).all()) for c in crops]
    assert any(still) and not all(still)
    assert weights.shape == (24, 2, 1, *crops.shape[3:]) and weights.mean() == pytest.approx(1, abs=1e-4)
    assert weights.max() > 2 * weights.min()  # a head is in some


def test_reconstruction_loss_is_least_at_the_truth():
    truth = torch.rand(1, 2, 12, 16, 16)
    z, even = torch.zeros(1, 2, 4, 1, 1), torch.ones(1, 2, 1, 16, 16)
    perfect, _ = reconstruction_loss(truth.clone() + 1e-6, truth, z, even)
    moved = truth.roll(1, -1)
    assert perfect < 1e-4 < reconstruction_loss(moved, truth, z, even)[0]
    assert reconstruction_loss(moved, truth, z, 2 * even)[0] > 1.9 * reconstruction_loss(moved, truth, z, even)[0]


def test_edge_strength_forgives_the_place_of_an_edge_but_not_its_softness():
    step = lambda x: torch.where(torch.arange(64) < x, -0.5, 0.5).expand(1, 12, 64, 64)
    sharp, moved = step(32 + 3), step(32 + 5)
    soft = torch.nn.functional.avg_pool2d(sharp, 5, 1, 2, count_include_pad=False)
    strength = edge_strength(sharp)
    assert strength.shape == (4, 1, 8, 8)
    off = lambda x: (edge_strength(x) - strength).abs().mean()
    assert off(moved) < 0.1 * off(soft)


def test_joins_of_groups_are_judged():
    frames = torch.rand(2, 8, 3, 16, 16)
    groups = frames.reshape(2, 2, 12, 16, 16)
    assert torch.equal(straddle(groups), frames[:, 2:6].flatten(1, 2))
    assert join_error(groups, groups) == 0
    alike = groups + 0.3  # a wrong colour that stays does not jump
    assert join_error(alike, groups) == pytest.approx(0, abs=1e-6)
    alike[:, 1] -= 0.1
    assert join_error(alike, groups) == pytest.approx(0.1, abs=1e-5)


def test_polish_teaches_the_decoder_and_the_critic_and_leaves_the_encoder():
    torch.manual_seed(0)
    polish = Polish(MVAutoencoder(4, (8, 8), (8, 8, 8, 8)))
    groups = torch.rand(1, 2, 12, 64, 64) * 2 - 1
    loss, parts = polish.losses(groups, torch.ones(1, 2, 1, 64, 64))
    loss.backward()
    assert all(p.grad is None for p in polish.autoencoder.encoder.parameters())
    trained = [polish.autoencoder.decoder.conv_out.weight, polish.critic.score.weight]
    assert all(p.grad.abs().sum() > 0 for p in trained) and 0 <= parts["edge_share"] < 10


def test_edge_energy_sees_blur():
    sharp = (torch.rand(1, 3, 2, 16, 16, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    blurred = torch.nn.functional.avg_pool3d(sharp, (1, 3, 3), 1, (0, 1, 1))
    assert edge_energy(blurred) < 0.3 * edge_energy(sharp)


# ---------------------------------------------------------------- the loop


def small_run(folder, steps: int, minutes: float = 10) -> Run:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(16, 1))
    return Run(folder, model, MuonAdamW(model, 1e-2, 1e-2), Schedule(steps, 2, 2), minutes)


def train(run: Run) -> None:
    x = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    for _ in run.steps(save_every=3):
        run.update(((run.model(x) - x.mean((1, 2, 3))[:, None]) ** 2).mean())


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    whole = small_run(tmp_path / "whole", 8)
    train(whole)
    first = small_run(tmp_path / "parts", 8)
    stream = first.steps()
    x = torch.rand(8, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    for _ in range(3):
        next(stream)
        first.update(((first.model(x) - x.mean((1, 2, 3))[:, None]) ** 2).mean())
    first.step += 1  # the third step is done
    first._save()
    second = small_run(tmp_path / "parts", 8)
    assert second.step == 3
    train(second)
    for a, b in zip(whole.model.parameters(), second.model.parameters()):
        assert torch.allclose(a, b, atol=1e-7)
    for key, value in whole.averaged.weights.items():
        assert torch.allclose(value, second.averaged.weights[key], atol=1e-7)


def test_a_run_without_time_stops_at_once_and_keeps_its_place(tmp_path):
    run = small_run(tmp_path, 50, minutes=0)
    train(run)
    assert run.step == 0 and (tmp_path / "checkpoint.safetensors").exists()


def test_tied_weights_are_saved(tmp_path):
    model = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 2), "b": torch.nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    run = Run(tmp_path, model, MuonAdamW(model, 1e-2, 1e-2), Schedule(2), 10)
    for _ in run.steps():
        run.update(model["b"](model["a"](torch.ones(1, 2))).sum())
    again = Run(tmp_path, model, MuonAdamW(model, 1e-2, 1e-2), Schedule(2), 10)
    assert again.step == 2


def test_schedule_warms_up_and_dies_away():
    factors = [Schedule(100, 10, 20)(step) for step in range(100)]
    assert factors[0] == 0.1 and factors[50] == 1.0 and factors[99] <= 0.05 and factors[90] < factors[85]


# ---------------------------------------------------------------- the transformer's training


@pytest.fixture(scope="module")
def shard(tmp_path_factory):
    """A real shard of a few short clips, encoded by a tiny autoencoder."""
    folder = tmp_path_factory.mktemp("latents")
    torch.manual_seed(0)
    MVAutoencoder(training.LATENT_CHANNELS, (8, 8), (8, 8, 8, 8)).save_pretrained(folder / "vae")
    patch = pytest.MonkeyPatch()
    patch.setattr(training, "CLIP_LATENTS", 4)
    patch.setattr(training, "SHARD", 4)
    training.paint_latents(folder / "clips", folder / "vae", 1, seed=3)
    yield training.LatentFolder(folder / "clips", 0.35)
    patch.undo()


def tiny_student() -> training.Student:
    config = {**training.MINI, "num_layers": 2, "num_attention_heads": 1, "attention_head_dim": 24, "ffn_dim": 32,
              "text_dim": 16, "freq_dim": 16, "audio_every": 2}  # fmt: skip
    return training.build_student(config)


def test_batches_fit_the_transformer(shard):
    batch = shard.batch(np.random.default_rng(0), 3, 3)
    assert batch.latents.shape[:3] == (3, training.LATENT_CHANNELS, 3) and batch.audio.shape == (
        3,
        3,
        4,
        len(AUDIO_FEATURES),
    )
    assert batch.camera.shape[:3] == (3, camera_channels(stage=True), 3)
    assert batch.layout.shape[1] == 4 * LAYOUT_CHANNELS
    assert batch.layout.min() >= 0 and batch.layout.max() <= 1 and len(batch.prompts) == 3


def test_faces_count_more(shard):
    batch = shard.batch(np.random.default_rng(0), 3, 3)
    weights = batch.weights()
    assert weights.shape == batch.latents.shape and weights.mean() == pytest.approx(1, abs=0.01)
    assert torch.allclose(weights.mean((0, 2, 3, 4)), batch.channels, rtol=1e-3)
    weights = weights[:, :1] / batch.channels[0]
    head = batch.layout.unflatten(1, (4, -1))[:, :, HEAD_MARK].mean(1)
    head = torch.nn.functional.adaptive_avg_pool3d(head, (3, *weights.shape[-2:]))[:, None]
    assert weights[head > 0.9].min() > 1.5 * weights[head == 0].max()


def test_channels_count_by_what_they_paint(tmp_path):
    torch.manual_seed(0)
    vae = MVAutoencoder(4, (8, 8), (8, 8, 8, 8))
    with torch.no_grad():
        vae.decoder.conv_in.weight[:, 2] *= 20
    training.write_channels(tmp_path, vae, np.random.default_rng(0).normal(size=(2, 3, 4, 6, 6)))
    weights = training.read_channels(tmp_path)
    assert weights.shape == (4,) and weights.mean() == pytest.approx(1, abs=0.01) and weights.argmax() == 2
    with pytest.raises(InputError, match="run python -m mv train latents"):
        training.read_channels(tmp_path / "nothing")


def test_a_course_begins_with_looks_and_ends_with_motion():
    diet, rng = training.Diet(), np.random.default_rng(0)
    images = lambda progress: np.mean([diet.draw(rng, progress)[1] == 1 for _ in range(500)])
    assert images(0.0) > 0.65 and images(0.25) > 0.35 and images(0.7) < 0.25
    assert {diet.draw(rng, 1.0) for _ in range(100)} == {(28, 1), (6, 5), (3, 9)}


def test_mask_tasks_give_whole_frames_or_a_hole():
    known = training.draw_known(torch.Size([200, 4, 5, 6, 8]), np.random.default_rng(0))
    share = known.mean((1, 2, 3, 4))
    assert 80 < (share == 0).sum() < 120 and (share < 1).all()
    whole = known.flatten(3).amin(3).sum((1, 2))  # latent frames given wholly
    assert {0, 1, 2} <= set(whole.int().tolist())
    holes = known[(share > 0) & (whole == 0)]
    assert len(holes) and (holes[:, :, :, -1, -1] == 1).all()


def test_the_loss_falls_and_conditions_are_heard(shard):
    student = tiny_student()
    optimizer = MuonAdamW(student, 2e-3, 4e-3, exclude=("proj_out",))
    batch = shard.batch(np.random.default_rng(0), 4, 2)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(40):
        t, noise = torch.full((4,), 0.8), torch.randn(batch.latents.shape, generator=generator)
        loss = training.flow_loss(student, batch, t, noise, torch.ones(4)).mean()
        loss.backward()
        optimizer.step(1.0)
        losses.append(loss.item())
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    rises = training.swap_losses(student, batch)
    assert rises["layout"] > 0 and rises["base"] > 0


def test_the_taught_step_ends_where_the_guided_steps_end(shard):
    """With a teacher whose velocity is known, one large step must equal its small ones."""
    batch = shard.batch(np.random.default_rng(0), 2, 2)

    class Teacher:
        def __call__(self, batch, x, t, keep):
            return keep.view(-1, 1, 1, 1, 1) * x  # told: x, free: 0, so guided by 2: 2x

    noisy, start, stop = torch.randn_like(batch.latents), torch.tensor([1.0, 0.8]), torch.tensor([0.8, 0.5])
    velocity = distillation.taught_velocity(Teacher(), batch, noisy, start, stop, 2.0)
    for i in range(2):
        step = (stop - start)[i] / 2
        assert torch.allclose(noisy[i] + (stop - start)[i] * velocity[i], noisy[i] * (1 + 2 * step) ** 2, atol=1e-2)


def test_noise_levels_are_the_samplers():
    levels = distillation.noise_levels(4)
    assert levels[0] == 1 and levels[-1] == 0 and len(levels) == 5 and levels[-2] > 0.2


# ---------------------------------------------------------------- preference


def test_the_reward_prefers_what_was_commanded():
    clip = sample_clip(np.random.default_rng(4), 17)
    truth = clip.frames()
    other = sample_clip(np.random.default_rng(5), 17).frames()
    soft = np.stack([cv2.GaussianBlur(f, (0, 0), 3) for f in truth])
    still = np.repeat(truth[:1], 17, 0)
    best = preference.reward(truth, truth, clip)
    assert best > preference.reward(soft, truth, clip) > preference.reward(other, truth, clip)
    assert best > preference.reward(still, truth, clip)


def test_pairs_are_kept_and_teach_the_better_film(tmp_path, monkeypatch):
    """From films to a preference that is learned, on a tiny pipeline."""
    monkeypatch.setattr(preference, "SHARD", 2)
    monkeypatch.setattr(preference, "FRAMES", 5)
    student = tiny_student()
    vae = MVAutoencoder(training.LATENT_CHANNELS, (8, 8), (8, 8, 8, 8))
    scheduler = FlowMatchEulerDiscreteScheduler(shift=2.0)
    pipeline = MVPipeline(student.transformer, vae, student.text_encoder, student.tokenizer, scheduler)
    renderer = DiffusionRenderer("tiny", pipeline, 1, 1.0, ((512, 288),), "w")
    preference.sample_pairs(renderer, tmp_path, 1, seed=0, samples=2)
    with np.load(next(tmp_path.glob("*.npz"))) as file:
        shard = {key: file[key] for key in file.files}
    assert shard["latents"].shape == shard["worse"].shape and (shard["gain"] >= 0).all()
    assert not np.array_equal(shard["latents"], shard["worse"])

    windows = [training.window_of(shard, i, 0, 2, 0.35) for i in range(2)]
    maps = [torch.cat([w[k] for w in windows]) for k in range(4)]
    batch = training.Batch(*maps, [w[4] for w in windows], training.read_channels(tmp_path))
    worse = torch.from_numpy(shard["worse"]).float()
    worse = worse.transpose(1, 2) + 1  # clearly another film
    first, t = copy.deepcopy(student), torch.full((2,), 0.7)
    optimizer = MuonAdamW(student, 1e-3, 1e-3, exclude=training.MUON_EXCLUDES)
    losses = []
    for _ in range(12):
        torch.manual_seed(0)
        loss, right = preference.preference_loss(student, first, batch, worse, t, 20.0)
        loss.backward()
        optimizer.step(1.0)
        losses.append(loss.item())
    assert losses[0] == pytest.approx(np.log(2), abs=1e-3) and losses[-1] < 0.8 * losses[0] and right == 1
