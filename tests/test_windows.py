"""Windows cover a shot, overlap, and blend without a trace."""

import numpy as np
import pytest
import torch

from mv.errors import InputError
from mv.windows import WindowSpec, blend_weights, blended_velocity, offset_sequence, paper_windows, plan_windows

SPECS = [WindowSpec(), WindowSpec(21, 5, 9, 3), WindowSpec(10, 0, 1, 4), WindowSpec(6, 5, 6, 1)]


@pytest.mark.parametrize("spec", SPECS)
def test_plans_keep_their_promises(spec):
    for length in [*range(1, 70), 300]:
        for offset in range(spec.offsets):
            windows = plan_windows(length, offset, spec)
            assert windows[0][0] == 0 and windows[-1][1] == length
            assert all(stop - start <= spec.size for start, stop in windows)
            if length > spec.size:
                assert all(stop - start >= spec.least for start, stop in windows)
                assert all(a[1] - b[0] >= spec.overlap and b[1] > a[1] for a, b in zip(windows, windows[1:]))
            weights = blend_weights(windows, length)
            total = torch.zeros(length)
            for (start, stop), weight in zip(windows, weights):
                assert (weight > 0).all()
                total[start:stop] += weight
            assert torch.allclose(total, torch.ones(length))


def test_a_model_that_is_local_in_time_does_not_notice_the_windows():
    latents = torch.randn(1, 3, 40, 2, 2, generator=torch.Generator().manual_seed(0))
    blended = blended_velocity(lambda part, start, stop: 3 * part.sin(), latents, plan_windows(40, 2, WindowSpec()))
    assert torch.allclose(blended, 3 * latents.sin(), atol=1e-6)


def test_every_offset_is_visited_before_one_returns():
    for spec in SPECS:
        for activity in (None, np.random.default_rng(0).random(100)):
            offsets = offset_sequence(100, spec.offsets, spec, activity)
            assert sorted(offsets) == list(range(spec.offsets))


def test_seams_seek_the_quiet():
    spec = WindowSpec(9, 2, 5, 2)
    activity = np.ones(20)
    activity[6] = 0.0  # the last frame of a first window that stops at 7: offset 2
    assert offset_sequence(20, 1, spec, activity) == [2]


def test_the_printed_algorithm_leaves_frames_out_and_ours_does_not():
    spec = WindowSpec(21, 5, 9, 3)
    covered = set()
    for start, stop in paper_windows(50, 0, spec):
        covered |= set(range(start, stop))
    assert covered != set(range(50))
    assert {f for start, stop in plan_windows(50, 0, spec) for f in range(start, stop)} == set(range(50))


def test_impossible_windows_are_refused():
    with pytest.raises(InputError, match="overlap"):
        WindowSpec(size=9, overlap=5, least=5)
