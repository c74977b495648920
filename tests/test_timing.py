from fractions import Fraction

import pytest

from mv.errors import InputError
from mv.timing import clock, latent_length, padded_length, parse_fps, to_frame, to_seconds


@pytest.mark.parametrize(
    ("text", "fps"),
    [
        ("24", Fraction(24)),
        (24, Fraction(24)),
        ("29.97", Fraction(30000, 1001)),
        ("30000/1001", Fraction(30000, 1001)),
        (" 12.5 ", Fraction(25, 2)),
        (Fraction(24000, 1001), Fraction(24000, 1001)),
    ],
)
def test_frame_rates_are_exact(text, fps):
    assert parse_fps(text) == fps


@pytest.mark.parametrize("text", ["", "fast", "0", "-24", "121", "24/0", "nan", "inf", "1/2"])
def test_other_frame_rates_are_refused(text):
    with pytest.raises(InputError, match="frame rate: expected"):
        parse_fps(text)


def test_a_frame_is_the_nearest_to_an_absolute_time():
    fps = Fraction(24)
    assert [to_frame(t, fps) for t in (0, 0.02, 0.021, 1 / 24, 1.0)] == [0, 0, 1, 1, 24]
    assert to_frame(0.5 / 24, Fraction(24)) in (0, 1)
    assert to_frame(Fraction(1, 48), fps) == 1, "a half goes up"
    assert to_frame(Fraction(3, 48), fps) == 2, "always, not to even"


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25, 2)])
def test_nothing_drifts_over_an_hour(fps):
    for frame in (0, 1, 1000, 86_399, 107_892):
        assert to_frame(to_seconds(frame, fps), fps) == frame
    for k in range(0, 7200, 7):  # beats of 120.3 BPM
        time = k * 60 / 120.3
        assert abs(to_frame(time, fps) / fps - Fraction(time)) <= 1 / (2 * fps)


def test_latent_frames_hold_every_video_frame():
    assert [latent_length(n) for n in (1, 2, 5, 6, 9, 81)] == [1, 2, 2, 3, 3, 21]
    assert [padded_length(n) for n in (1, 2, 5, 6, 81)] == [1, 5, 5, 9, 81]
    for n in range(1, 200):
        assert n <= padded_length(n) < n + 4
        assert padded_length(padded_length(n)) == padded_length(n)


def test_clock_reads_as_people_say_it():
    assert [clock(s) for s in (0, 9.9, 83.4, 3600, 3723)] == ["0:00", "0:09", "1:23", "1:00:00", "1:02:03"]
