"""The estimators themselves, on pictures whose movement, mouth, cast and seams are known."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mv.camera import CameraPath, camera_path
from mv.measure import bench, camera, identity
from mv.measure.beat import light_follows, motion_follows
from mv.measure.continuity import drift, seam_jump, window_seams
from mv.measure.motion import camera_motion, turn_and_zoom
from mv.measure.mouth import closed_share, mouth_follows, mouth_opening
from mv.measure.sharpness import edge_energy
from mv.measure.shots import KINDS, long_shot, short_shots, singing_shots
from mv.schema import AUDIO_FEATURES, CURVES, CameraMove, ShotSize, with_phases
from mv.train.data import Clip
from mv.world.render import mouth_place
from mv.world.vocabulary import Directions, Look

SIZE = (256, 144)


def moving(matrix_of) -> np.ndarray:
    rng = np.random.default_rng(0)
    noise = (rng.random((40, 64, 3)) * 255).astype(np.uint8)
    picture = cv2.resize(noise, (256, 160), interpolation=cv2.INTER_CUBIC)
    return np.stack(
        [cv2.warpAffine(picture, matrix_of(i), (256, 160), borderMode=cv2.BORDER_REFLECT) for i in range(13)]
    )


def shot(move: str, amount: float = 0.8, size=SIZE, frames: int = 13, **directions) -> Clip:
    """A quiet shot of the stage world."""
    d = Directions(**{"scene": "city", "time": "day", "size": "wide"} | directions)
    path = camera_path(CameraMove(kind=move, amount=amount, easing="linear"), ShotSize(d.size), frames, 16 / 9)
    audio = with_phases(np.full((frames, len(CURVES)), 0.3), np.zeros(frames))
    return Clip(d, path, audio, size)


# ---------------------------------------------------------------- camera


def test_a_shift_is_read_back():
    motion = camera_motion(moving(lambda i: np.float32([[1, 0, 2.0 * i], [0, 1, -1.0 * i]])))
    assert motion.shift_x == pytest.approx(24 / 256, abs=0.01) and motion.shift_y == pytest.approx(-12 / 256, abs=0.01)
    assert abs(motion.log_scale) < 0.02 and abs(motion.turn) < 1


def test_growth_and_turn_are_read_back():
    motion = camera_motion(moving(lambda i: cv2.getRotationMatrix2D((128, 80), -1.0 * i, 1.01**i)))
    assert motion.log_scale == pytest.approx(12 * np.log(1.01), abs=0.02) and motion.turn == pytest.approx(12, abs=1)


def test_a_blank_picture_says_nothing():
    blank = np.zeros((7, 64, 64, 3), np.uint8)
    assert camera_motion(blank) is None
    assert turn_and_zoom(blank, np.array([1.15, 1.15, 0.5, 0.5])) is None


def test_what_moves_by_itself_is_masked_out():
    frames = moving(lambda i: np.float32([[1, 0, 0], [0, 1, 0]]))
    figure = np.zeros(frames.shape[:3], bool)
    for i, frame in enumerate(frames):  # a large thing that walks to the right over a picture that stands
        walker = (slice(10, 150), slice(20 + 6 * i, 150 + 6 * i))
        frame[walker] = frames[0][10:150, 20:150][:, ::-1]
        figure[i][walker] = True
    assert abs(camera_motion(frames, figure).shift_x) < 0.003


@pytest.mark.parametrize(
    "move, axis", [("pan left", "pan"), ("tilt up", "tilt"), ("roll right", "roll"), ("zoom in", "zoom")]
)
def test_turns_and_zooms_are_read_in_their_own_unit(move, axis):
    clip = shot(move, action=None, size=(512, 288))
    asked = camera.command(axis, clip.path)
    assert abs(asked) > 0.05
    found = camera.read_axis(axis, clip.frames(), clip.path, None)
    assert found == pytest.approx(asked, rel=0.15)


@pytest.mark.parametrize("move, axis", [("truck left", "truck"), ("dolly in", "dolly"), ("crane up", "crane rise")])
def test_travel_is_read_in_metres_and_half_a_travel_as_half(move, axis):
    clip = shot(move, action=None, size=(512, 288))
    truth = clip.frames()
    depth = camera.known_depth(clip.directions, clip.path, clip.audio, truth)
    asked = camera.command(axis, clip.path)
    assert camera.read_axis(axis, truth, clip.path, depth) == pytest.approx(asked, rel=0.2)
    slow = replace(clip, path=CameraPath(clip.path.extrinsics[np.arange(13) // 2], clip.path.intrinsics)).frames()
    assert camera.read_axis(axis, slow, clip.path, depth) == pytest.approx(asked / 2, rel=0.3)


def test_commands_have_the_signs_of_their_words():
    path = lambda move: shot(move).path
    assert camera.command("truck", path("truck right")) > 0.1 > -0.1 > camera.command("truck", path("truck left"))
    assert camera.command("dolly", path("dolly in")) > 0.1 > -0.1 > camera.command("crane ride", path("crane up"))
    assert camera.command("pedestal", path("pedestal up")) < -0.1 and camera.command("zoom", path("zoom in")) > 0.1
    assert camera.command("orbit", path("orbit left")) == -camera.command("orbit", path("orbit right")) < -10
    assert camera.command("roll", path("roll right")) == -camera.command("roll", path("roll left")) != 0


def test_a_perfect_path_has_no_pose_error():
    path = shot("orbit left").path
    looks = CameraPath(path.extrinsics[::3], path.intrinsics[::3])
    errors = camera.pose_errors(looks, path)
    assert errors.rotation == pytest.approx(0, abs=1e-6) and errors.translation == pytest.approx(0, abs=1e-9)
    still = CameraPath(np.repeat(looks.extrinsics[:1], len(looks), 0), looks.intrinsics)
    assert camera.pose_errors(still, path).rotation > 0.5


def test_following_half_the_way():
    asked = np.array([-2.0, -1.0, 1.0, 3.0])
    found = camera.following(asked / 2, asked)
    assert found.correlation == pytest.approx(1) and found.slope == pytest.approx(0.5)
    assert found.error == pytest.approx(np.sqrt(np.mean((asked / 2) ** 2)))


# ---------------------------------------------------------------- music


def test_light_that_follows_and_light_that_does_not():
    level = np.abs(np.sin(np.arange(24)))
    frames = np.tile((100 + 50 * level)[:, None, None, None], (1, 8, 8, 3)).astype(np.uint8)
    assert light_follows(frames, level) > 0.99 and light_follows(frames[::-1], level) < 0.9
    assert motion_follows(frames, level) > 0.95
    assert light_follows(frames, np.ones(24)) == 0.0


def test_the_mouth_is_read_at_its_place():
    clip = next(singing_shots(0, 1)).clip
    frames, mouth = clip.frames(), clip.audio[:, AUDIO_FEATURES.index("mouth")]
    opening = mouth_opening(frames, mouth_place(clip.directions, clip.path, clip.audio, *clip.size))
    assert mouth_follows(opening, mouth) > 0.9
    assert closed_share(opening, opening, mouth) > 0.95
    assert closed_share(np.ones(len(mouth)), opening, mouth) == 0.0, "a mouth that never shuts"
    assert mouth_follows(np.full(len(mouth), 0.4), mouth) == 0.0, "a mouth that never moves"


def test_a_hidden_mouth_says_nothing():
    hidden = mouth_opening(np.zeros((6, 20, 20, 3), np.uint8), np.full((6, 3), np.nan))
    assert np.isnan(hidden).all() and np.isnan(mouth_follows(hidden, np.arange(6.0)))


# ---------------------------------------------------------------- cast


def test_the_cast_is_recognised_and_a_wrong_one_found():
    clip = shot("static", frames=1, size=(512, 288), look=Look("fair", "long", "red", "dress", "blue"))
    soft = cv2.GaussianBlur(clip.frames()[0], (0, 0), 2)
    other = replace(clip, directions=replace(clip.directions, look=Look("dark", "long", "blue", "dress", "yellow")))
    right, wrong = identity.cast_seen((soft, other.frames()[0]), clip.directions, clip.path, clip.audio)
    assert {"skin", "outfit_color"} <= set(right) and all(asked == seen for asked, seen in right.values())
    assert wrong["outfit_color"] == ("blue", "yellow")
    empty = replace(clip.directions, action=None)
    assert identity.cast_seen((soft,), empty, clip.path, clip.audio) == [{}]


# ---------------------------------------------------------------- sharpness, seams, drift


def test_blur_costs_edges():
    frames = moving(lambda i: np.float32([[1, 0, 0], [0, 1, 0]]))
    assert edge_energy(np.stack([cv2.GaussianBlur(f, (0, 0), 2) for f in frames])) < 0.6 * edge_energy(frames)


def test_a_jump_shows_at_its_seam_only():
    frames = np.tile(np.arange(0, 60, 1, np.uint8)[:, None, None, None], (1, 8, 8, 3)).copy()
    frames[30:] += 40
    assert seam_jump(frames, [30]) == pytest.approx(41) and seam_jump(frames, [20]) == pytest.approx(1)
    assert np.isnan(seam_jump(frames, []))


def test_seams_lie_inside_a_long_shot():
    seams = window_seams(241, 8)
    assert seams and seams == sorted(seams) and seams[0] > 0 and seams[-1] < 241
    assert window_seams(25, 8) == []


def test_fading_is_drift_and_standing_is_none():
    frames = moving(lambda i: np.float32([[1, 0, 0], [0, 1, 0]]))
    still = drift(frames, 4)
    assert still.color == 0 and still.contrast == still.sharpness == 1
    fading = np.stack([f * (1 - 0.05 * i) for i, f in enumerate(frames)]).astype(np.uint8)
    faded = drift(fading, 4)
    assert faded.color > 0.2 and faded.contrast < 0.8 and faded.sharpness < 0.8


# ---------------------------------------------------------------- the table


def test_the_shots_repeat_and_take_the_movements_in_turn():
    shots = [list(short_shots(seed, 10)) for seed in (0, 0, 1)]
    assert [s.kind for s in shots[0]] == list(KINDS)
    assert all(np.array_equal(a.clip.audio, b.clip.audio) for a, b in zip(shots[0], shots[1]))
    assert [s.clip.prompt for s in shots[0]] != [s.clip.prompt for s in shots[2]]
    assert len(long_shot(0, 5).clip.path) == 120


class Dim:
    """A Renderer that paints nothing but one grey."""

    name, identity = "dim", "1"

    def render(self, conditions, on_progress=lambda share: None, cancelled=lambda: False):
        c = conditions
        return np.full((c.num_frames, c.height, c.width, 3), 60, np.uint8)


def test_a_model_that_paints_grey_fails_beside_its_teacher(monkeypatch, tmp_path):
    monkeypatch.setattr("mv.model.catalog.load_renderer", lambda name, steps: Dim())
    from mv.cli import app

    file = tmp_path / "table.json"
    arguments = ["--clips", "1", "--seeds", "1", "--singers", "1", "--seconds", "5", "--json", str(file)]
    result = CliRunner().invoke(app, ["bench", "model", *arguments])
    assert result.exit_code == 0, result.output
    assert "edge energy" in result.output
    table = {row["measure"]: row for row in json.loads(file.read_text())["rows"]}
    assert table["edge energy"]["mean"] == 0 < table["edge energy"]["teacher"]


def test_the_worst_seed_is_the_one_farthest_from_the_goal():
    seeds = [{"pan: slope": (s, 1.0), "pan: correlation": (s, 1.0), "jump at seams": (s, 1.0)} for s in (0.7, 0.9, 1.2)]
    worst = {row.measure: row.worst for row in bench.rows(seeds)}
    assert worst == {"pan: slope": 0.7, "pan: correlation": 0.7, "jump at seams": 1.2}


def test_the_cameras_mean_is_over_all_seeds_together():
    seeds = [bench.Findings(), bench.Findings()]
    for k, found in enumerate(seeds):
        found.camera["pan"] = [(x, 0.9 * x, x) for x in (k + 1.0, -2.0 - k)]  # too few for a seed's own correlation
    table = {row.measure: row for row in bench.rows([f.values() for f in seeds], bench.pooled_camera(seeds))}
    assert table["pan: correlation"].mean == pytest.approx(1) and np.isnan(table["pan: correlation"].worst)
    assert table["pan: slope"].mean == pytest.approx(0.9) == table["pan: slope"].worst
