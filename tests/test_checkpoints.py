"""A shot killed in the middle of its denoising goes on from there, to the same last bit."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from test_model import shot, tiny_pipeline

from mv import checkpoints, generation
from mv.checkpoints import Checkpoint, Denoising
from mv.errors import Cancelled
from mv.generation import Conditions
from mv.pipeline import DiffusionRenderer
from mv.windows import WindowSpec, blended_velocity, plan_windows

FRAMES, STEPS = 61, 3


@pytest.fixture
def renderer(monkeypatch) -> DiffusionRenderer:
    monkeypatch.setattr(checkpoints, "PACE", 0.0)
    return DiffusionRenderer("tiny", tiny_pipeline(), STEPS, 2.0, ((64, 32),), "w")


@pytest.fixture
def conditions() -> Conditions:
    path, audio = shot(FRAMES)
    return Conditions("wide shot, desert", path, audio, Fraction(24), 64, 32, seed=5)


class Killed(BaseException):
    pass


def killer(after: int):
    """on_progress that is shot at the given call."""
    calls = []

    def on_progress(share: float) -> None:
        calls.append(share)
        if len(calls) == after:
            raise Killed

    return on_progress, calls


def test_a_shot_killed_at_any_window_ends_the_same_and_loses_nothing(renderer, conditions, tmp_path):
    whole, calls = killer(10**6)
    expected = renderer.render(conditions, whole)
    assert len(calls) > 2 * STEPS, "several windows a step"
    for at in range(1, len(calls)):
        file = tmp_path / f"{at}.safetensors"
        with pytest.raises(Killed):
            renderer.render(conditions, killer(at)[0], checkpoint=file)
        again, rest = killer(10**6)
        assert (renderer.render(conditions, again, checkpoint=file) == expected).all()
        assert rest == calls[at:]


def test_killed_again_and_again_it_still_arrives(renderer, conditions, tmp_path):
    expected = renderer.render(conditions)
    file, rounds = tmp_path / "c.safetensors", 0
    while True:
        try:
            frames = renderer.render(conditions, killer(1)[0], checkpoint=file)
        except Killed:
            rounds += 1
            if rounds == 4 * STEPS:
                frames = renderer.render(conditions, checkpoint=file)
                break
    assert (frames == expected).all()


@pytest.mark.parametrize("damage", ["cut", "text", "another shape", "another device"])
def test_a_checkpoint_that_does_not_fit_is_none(renderer, conditions, tmp_path, damage):
    file = tmp_path / "c.safetensors"
    with pytest.raises(Killed):
        renderer.render(conditions, killer(3)[0], checkpoint=file)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-100])
    elif damage == "text":
        file.write_text("no tensors")
    elif damage == "another shape":
        Checkpoint(file).save(Denoising(1, 1, torch.zeros(1, 2, 3, 4, 5), torch.zeros(1, 2, 3, 4, 5)))
    else:
        tensors = {name: torch.zeros_like(tensor) for name, tensor in load_file(file).items()}
        save_file(tensors, file, {"step": "2", "windows": "1", "device": "cuda"})
    again, calls = killer(10**6)
    frames = renderer.render(conditions, again, checkpoint=file)
    assert (frames == renderer.render(conditions)).all()
    assert len(calls) > 2 * STEPS


def test_generation_keeps_a_checkpoint_and_removes_it_with_the_take(renderer, conditions, tmp_path):
    key = generation.take_key(conditions, renderer)
    seen = []

    def stop_in_the_middle(share: float) -> None:
        seen.append(share)
        if len(seen) == 3:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        generation.render_take(conditions, key, renderer, tmp_path, stop_in_the_middle)
    assert [path.name for path in tmp_path.iterdir()] == [f".{key}.safetensors"]
    take = generation.render_take(conditions, key, renderer, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [take.file]


def test_checkpoints_are_not_written_more_often_than_their_pace(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PACE", 60.0)
    checkpoint = Checkpoint(tmp_path / "c.safetensors")
    checkpoint.save(Denoising(0, 1, torch.zeros(2), torch.zeros(2)))
    assert not checkpoint.path.exists()


def test_blending_goes_on_where_it_stood():
    latents, spec = torch.randn(1, 2, 30, 4, 4), WindowSpec()
    windows = plan_windows(30, 1, spec)
    states = {}

    def predict(part, start, stop):
        return part * (start + 1)

    def keep(done, velocity):
        states[done] = velocity.clone()

    whole = blended_velocity(predict, latents, windows, after=keep)
    assert list(states) == list(range(1, len(windows) + 1))
    for done, velocity in states.items():
        again = blended_velocity(predict, latents, windows, done, velocity)
        assert torch.equal(again, whole)


def test_frames_do_not_depend_on_what_was_rendered_before(renderer, conditions):
    """The order of shots and the number of workers change nothing: a renderer keeps no state."""
    first = renderer.render(conditions)
    renderer.render(replace(conditions, seed=9))
    assert np.array_equal(renderer.render(conditions), first)
