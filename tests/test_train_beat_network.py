import numpy as np
import pytest
import torch

from mv.analysis import network
from mv.analysis.network import BANDS, CHROMA, NETWORK_RATE, BeatNetwork, Shape
from mv.train import beat_network, orchestra, pieces
from mv.train.beat_network import (
    FRAMES,
    Course,
    bend,
    ducked,
    echoing,
    excerpt,
    flattened,
    mix,
    no_music,
    recorded,
    train,
    write_network,
)
from mv.train.composer import compose
from mv.train.loop import Schedule
from mv.train.pieces import clicks, compose_lessons, lesson, read_lesson

TINY = Shape(front=(2, 3), channels=4, dilations=(1, 2))


@pytest.fixture(scope="module")
def made():
    return lesson(compose(3, 15.0), orchestra.PLAIN)


def test_a_lesson_has_drums_and_the_rest_apart(made):
    t = made.bands.shape[1]
    assert made.bands.shape == (2, t, BANDS) and made.chroma.shape == (2, t, CHROMA)
    assert t / NETWORK_RATE == pytest.approx(compose(3, 15.0).duration, abs=0.1)
    y, (drums, rest) = orchestra.play(compose(3, 15.0), orchestra.PLAIN), orchestra.stems(compose(3, 15.0), "plain")
    assert drums.any() and rest.any() and np.corrcoef((drums + rest).ravel(), y.ravel())[0, 1] > 0.99


def test_lessons_are_written_once(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "SECONDS", 8.0)
    files = compose_lessons(tmp_path, range(3), [orchestra.PLAIN])
    assert [file.name for file in files] == ["0.npz", "1.npz", "2.npz", "click0.npz"]
    monkeypatch.setattr(pieces, "lesson", None)
    assert compose_lessons(tmp_path, range(3), [orchestra.PLAIN]) == files
    assert read_lesson(files[0]).bands.dtype == np.float16


def test_pieces_in_other_metres_than_four_four_are_taken_twice_as_often():
    seeds = pieces.chosen_seeds(30)
    assert seeds == sorted(set(seeds)) and seeds[0] == pieces.FIRST_SEED
    metres = [compose(seed, pieces.SECONDS).metre for seed in range(seeds[0], seeds[-1] + 1)]
    assert sum(metre != "4/4" for metre in metres) == 30 - sum(
        metre == "4/4" for metre, seed in zip(metres, range(seeds[0], seeds[-1] + 1)) if seed % 2 == 0
    )


def test_clicks_stand_on_their_beats():
    one = clicks(5)
    frames = np.round(one.beats * NETWORK_RATE).astype(int)
    level = one.bands[0].max(1)
    assert (np.maximum(level[frames], level[frames + 1]) > level.max() - 2).all() and one.positions[0] == 1


def test_an_excerpt_has_its_beats_where_they_sound(made):
    x, wanted = excerpt(made, np.random.default_rng(0))
    assert x.shape == (beat_network.FRAMES, BANDS + CHROMA) and np.isfinite(x).all() and x.min() >= 0
    beats = np.flatnonzero(wanted[:, 0] == 1)
    assert len(beats) > 10 and set(np.flatnonzero(wanted[:, 1] == 1)) < set(beats)
    assert (wanted[beats[1:-1] + 1, 0] == beat_network.NEIGHBOUR).all()


def test_pace_keeps_the_beats_on_the_sound():
    """However fast a click track is played, the targets are where it clicks."""
    one, found = clicks(7), []
    for seed in range(6):
        x, wanted = excerpt(one, np.random.default_rng(seed))
        frames = np.flatnonzero(wanted[:, 0] == 1)
        frames = frames[(frames > 2) & (frames < 600)]
        if len(frames):
            loud = x[:, :BANDS].max(1)
            near = np.max([loud[frames + d] for d in (-1, 0, 1)], 0)
            found.append(near.mean() / loud.mean())
    assert len(found) > 3 and np.median(found) > 1.5


def test_a_bent_pace_stays_near_its_own():
    curves = [bend(np.random.default_rng(seed)) for seed in range(60)]
    assert all(curve.shape == (FRAMES,) and curve.min() > 0.5 and curve.max() < 2 for curve in curves)
    steady = np.mean([np.ptp(curve) == 0 for curve in curves])
    assert 0.4 < steady < 0.8 and max(np.ptp(curve) for curve in curves) > 0.1


def test_a_room_dies_away_and_adds_nothing_before():
    sound = np.zeros((200, BANDS))
    sound[50] = 1.0
    heard = echoing(sound, np.random.default_rng(0))
    assert not heard[:50].any() and heard[50, 0] == pytest.approx(1)
    assert (np.diff(heard[51:120], axis=0) < 0).all() and heard[51, -1] <= heard[51, 0]


def test_flattened_guitars_lose_their_rhythm_and_ducked_ones_step_back_under_kicks():
    level = np.where(np.arange(400) % 20 < 10, 1.0, 0.1)[:, None] * np.ones((1, BANDS))
    flat = flattened(level, np.random.default_rng(1))
    assert flat.std() / flat.mean() < level.std() / level.mean()
    kicks = np.zeros((400, BANDS))
    kicks[::40] = 1.0
    pumped = ducked(np.ones((400, BANDS)), kicks, np.random.default_rng(0))
    assert pumped.max() <= 1 and pumped[40, 0] < 0.8 * pumped[39, 0]


def test_a_mix_never_loses_the_only_part_there_is(made):
    silent = np.full_like(made.bands[:1], pieces.QUIETEST)
    drums_only = np.concatenate([made.bands[:1], silent]).astype(np.float32)
    chroma = made.chroma.astype(np.float32)
    quietest = min(mix(drums_only, chroma, np.random.default_rng(seed)).magnitudes.max() for seed in range(40))
    assert quietest > 1e-3


def test_recordings_differ_and_stay_finite(made):
    sound = mix(made.bands.astype(np.float32), made.chroma.astype(np.float32), np.random.default_rng(0))
    versions = [recorded(sound, np.random.default_rng(seed)).magnitudes for seed in range(12)]
    assert all(np.isfinite(v).all() and v.min() >= 0 for v in versions)
    assert not np.allclose(versions[0], versions[1])
    for seed in range(6):
        assert np.isfinite(no_music(sound, np.random.default_rng(seed)).magnitudes).all()


def test_training_resumes_and_what_it_writes_is_what_is_loaded(made, tmp_path, monkeypatch):
    monkeypatch.setattr(beat_network, "FRAMES", 64)
    monkeypatch.setattr(beat_network, "Shape", lambda: TINY)
    file = tmp_path / "0.npz"
    pieces.write_lesson(file, made)
    first = train(Course(tmp_path / "run", Schedule(2), 1.0), [file])
    again = train(Course(tmp_path / "run", Schedule(2), 1.0), [file])
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values()))
    train(Course(tmp_path / "run", Schedule(3), 1.0), [file])
    write_network(first, tmp_path / "out")
    loaded = network.load(tmp_path / "out")
    assert isinstance(loaded, BeatNetwork) and loaded.shape == TINY
    for key, value in first.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, atol=1e-3, rtol=1e-3)
