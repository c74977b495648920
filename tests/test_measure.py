"""The estimator itself, on pictures whose movement is known."""

import cv2
import numpy as np
import pytest

from mv.measure.motion import camera_motion, light_follows


def moving(matrix_of) -> np.ndarray:
    rng = np.random.default_rng(0)
    noise = (rng.random((40, 64, 3)) * 255).astype(np.uint8)
    picture = cv2.resize(noise, (256, 160), interpolation=cv2.INTER_CUBIC)
    return np.stack(
        [cv2.warpAffine(picture, matrix_of(i), (256, 160), borderMode=cv2.BORDER_REFLECT) for i in range(13)]
    )


def test_a_shift_is_read_back():
    motion = camera_motion(moving(lambda i: np.float32([[1, 0, 2.0 * i], [0, 1, -1.0 * i]])))
    assert motion.shift_x == pytest.approx(24 / 256, abs=0.01) and motion.shift_y == pytest.approx(-12 / 256, abs=0.01)
    assert abs(motion.log_scale) < 0.02 and abs(motion.turn) < 1


def test_growth_and_turn_are_read_back():
    motion = camera_motion(moving(lambda i: cv2.getRotationMatrix2D((128, 80), -1.0 * i, 1.01**i)))
    assert motion.log_scale == pytest.approx(12 * np.log(1.01), abs=0.02) and motion.turn == pytest.approx(12, abs=1)


def test_a_blank_picture_says_nothing():
    assert camera_motion(np.zeros((7, 64, 64, 3), np.uint8)) is None


def test_light_that_follows_and_light_that_does_not():
    level = np.abs(np.sin(np.arange(24)))
    frames = np.tile((100 + 50 * level)[:, None, None, None], (1, 8, 8, 3)).astype(np.uint8)
    assert light_follows(frames, level) > 0.99 and light_follows(frames[::-1], level) < 0.9
    assert light_follows(frames, np.ones(24)) == 0.0
