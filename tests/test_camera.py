import numpy as np
import pytest

from mv.camera import FRAMING, camera_path, plucker, read_camera_text, relative_to_first, write_camera_text
from mv.errors import InputError
from mv.schema import CameraMove, Keyframe, MoveKind, ShotSize

ASPECT = 16 / 9


def path_of(kind, size=ShotSize.medium, num_frames=25, **move):
    return camera_path(CameraMove(kind=kind, **move), size, num_frames, ASPECT)


def centres(path):
    """Camera positions (f, 3) in metres."""
    return path.c2w[:, :3, 3]


def angle(a, b):
    """Degrees between two rotations (3, 3)."""
    return np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1)))


@pytest.mark.parametrize("kind", list(MoveKind))
@pytest.mark.parametrize("size", list(ShotSize))
def test_every_pose_is_a_rigid_camera_above_the_ground(kind, size):
    path = path_of(kind, size)
    rotations = path.extrinsics[:, :3, :3]
    assert np.allclose(rotations @ rotations.transpose(0, 2, 1), np.eye(3), atol=1e-9)
    assert np.allclose(np.linalg.det(rotations), 1)
    assert np.allclose(path.extrinsics[:, 3], [0, 0, 0, 1])
    assert (centres(path)[:, 1] > 0.2).all()
    assert len(path) == 25 and path.intrinsics.shape == (25, 4)


@pytest.mark.parametrize("kind", [kind for kind in MoveKind if kind != MoveKind.static])
def test_every_move_moves_and_static_stands(kind):
    path, still = path_of(kind), path_of(MoveKind.static)
    assert np.ptp(still.extrinsics, 0).max() == 0
    change = np.ptp(path.extrinsics, 0).max() + np.ptp(path.intrinsics, 0).max()
    assert change > 0.01


def test_moves_go_where_their_names_say():
    def travel(kind):
        at = centres(path_of(kind))
        return at[-1] - at[0]

    assert travel(MoveKind.truck_right)[0] > 0.1 > -0.1 > travel(MoveKind.truck_left)[0]
    assert travel(MoveKind.pedestal_up)[1] > 0.1 > -0.1 > travel(MoveKind.pedestal_down)[1]
    assert travel(MoveKind.dolly_in)[2] < -0.1 < 0.1 < travel(MoveKind.dolly_out)[2]
    zoom = path_of(MoveKind.zoom_in).intrinsics[:, 0]
    assert zoom[-1] > zoom[0] and np.ptp(centres(path_of(MoveKind.zoom_in))) == np.ptp(centres(path_of("static")))

    def forward(kind):  # the camera's z axis in the world, first and last frame
        return path_of(kind).c2w[[0, -1], :3, 2]

    assert np.diff(forward(MoveKind.pan_right)[:, 0]) > 0.1
    assert np.diff(forward(MoveKind.tilt_up)[:, 1]) > 0.1
    orbit = centres(path_of(MoveKind.orbit_right))
    assert np.allclose(np.hypot(orbit[:, 0], orbit[:, 2]), 2.9), "an orbit keeps its distance"


@pytest.mark.parametrize("size", list(ShotSize))
def test_a_crane_rises_and_rides_back_with_the_performer_in_the_middle(size):
    up, down = path_of(MoveKind.crane_up, size), path_of(MoveKind.crane_down, size)
    first, last = centres(up)[[0, -1]]
    assert last[1] - first[1] > 0.2 and last[2] - first[2] > 0.2
    assert np.allclose(up.extrinsics, down.extrinsics[::-1]), "down is the way back"
    target = np.array([0, FRAMING[size][1], 0, 1])
    seen = up.extrinsics @ target
    assert np.allclose(seen[:, :2], 0, atol=1e-9) and (seen[:, 2] > 1).all()


def performer_size(path):
    """Height of a metre at the performer's place, in picture heights, per frame."""
    up, down = (path.extrinsics @ np.array([0, height, 0, 1]) for height in (1.8, 0.8))
    return path.intrinsics[:, 1] * np.abs(up[:, 1] / up[:, 2] - down[:, 1] / down[:, 2])


def test_a_push_in_gathers_speed():
    steps = np.linalg.norm(np.diff(centres(path_of("push-in")), axis=0), axis=1)
    assert (np.diff(steps[:20]) > 0).all() and steps[20] > 5 * steps[0]


@pytest.mark.parametrize("kind", ["dolly-zoom in", "dolly-zoom out"])
def test_a_dolly_zoom_keeps_the_performer_and_changes_the_lens(kind):
    path = path_of(kind, "close")
    assert np.ptp(performer_size(path)) < 0.02 * performer_size(path)[0]
    nearer = centres(path)[-1, 2] < centres(path)[0, 2]
    wider = path.intrinsics[-1, 0] < path.intrinsics[0, 0]
    assert nearer == wider == (kind == "dolly-zoom in")
    assert np.ptp(path.intrinsics[:, 0]) > 0.2


def test_a_whip_pan_stands_and_swings_into_the_cut():
    path = path_of("whip-pan right", num_frames=48)
    turned = [angle(path.extrinsics[0, :3, :3], pose[:3, :3]) for pose in path.extrinsics]
    assert max(turned[:40]) < 1e-5 and turned[-1] > 30 and np.argmax(np.diff(turned)) == 46
    assert path.c2w[-1, 0, 2] > 0.3, "to the right"


@pytest.mark.parametrize("kind", [kind for kind in MoveKind if kind != MoveKind.handheld])
@pytest.mark.parametrize("easing", ["smooth", "linear"])
def test_no_move_jumps(kind, easing):
    """Within a shot the speed changes by little from frame to frame; a jump would be as great as the speed itself."""
    path = path_of(kind, num_frames=97, amount=1.2, easing=easing)
    poses = np.concatenate([path.extrinsics[:, :3].reshape(97, -1), path.intrinsics], 1)
    speed = np.diff(poses, axis=0)
    change = np.abs(np.diff(speed, axis=0)).max()
    assert change <= 0.3 * np.abs(speed).max() + 1e-12


def test_framing_and_lens_stand_where_they_say():
    near, far = (centres(path_of("static", framing=f))[0] for f in (0.8, 1.25))
    middle = centres(path_of("static"))[0]
    assert near[2] < middle[2] < far[2] and np.isclose(near[2] / middle[2], 0.8)
    tight = path_of("static", "close", framing=0.72)
    assert performer_size(tight)[0] > 1.3 * performer_size(path_of("static", "close"))[0]
    for lens in (0.75, 1.4):
        path, normal = path_of("static", lens=lens), path_of("static")
        assert np.isclose(performer_size(path)[0], performer_size(normal)[0], rtol=0.01)
        assert np.isclose(path.intrinsics[0, 0] / normal.intrinsics[0, 0], lens)
    assert np.array_equal(path_of("static", framing=1.0, lens=1.0).extrinsics, path_of("static").extrinsics)


def test_a_sway_leans_to_the_right_and_back():
    lean = np.sin(np.linspace(0, np.pi, 25))
    path = camera_path(CameraMove(beat=1.0, azimuth=30), ShotSize.medium, 25, ASPECT, sway=lean)
    still = camera_path(CameraMove(azimuth=30), ShotSize.medium, 25, ASPECT)
    right = still.c2w[0, :3, 0]
    moved = (centres(path) - centres(still)) @ right
    assert np.isclose(moved.max(), moved[12]) and 0.1 < moved[12] < 0.2 and abs(moved[0]) < 1e-9


def test_half_the_amount_is_half_the_move():
    whole, half = (np.ptp(centres(path_of("truck right", amount=a))[:, 0]) for a in (1.0, 0.5))
    assert np.isclose(half, whole / 2)


def test_accents_push_on_the_beat_only():
    accents = np.zeros(25)
    accents[12] = 1
    move = CameraMove(kind="static", beat=1.0)
    focal = camera_path(move, ShotSize.medium, 25, ASPECT, accents).intrinsics[:, 0]
    assert np.isclose(focal[12] / focal[0], 1.06)
    assert np.ptp(np.delete(focal, 12)) == 0


def test_pixels_are_square_at_every_aspect():
    for aspect in (16 / 9, 1.0, 9 / 16):
        fx, fy, *_ = camera_path(CameraMove(), ShotSize.wide, 1, aspect).intrinsics[0]
        assert np.isclose(fx * aspect, fy)  # the same focal length in pixels: fx·width = fy·height


def test_keyframes_are_passed_through_without_overshoot():
    places = {0: (0, 1.5, 4), 0.5: (1, 1.5, 3), 1: (1, 1.5, 3)}
    frames = [Keyframe(at=at, position=position) for at, position in places.items()]
    at = centres(path_of("static", keyframes=frames))
    assert np.allclose(at[[0, 12, 24]], [(0, 1.5, 4), (1, 1.5, 3), (1, 1.5, 3)])
    assert at[:, 0].max() <= 1 + 1e-9
    turned = path_of("static", keyframes=[Keyframe(at=0, position=(0, 1, 3), yaw=90)])
    assert np.allclose(turned.c2w[0, :3, 2], [-1, 0, 0], atol=1e-9), "yaw turns left"
    with pytest.raises(InputError, match="same moment"):
        path_of("static", keyframes=[frames[0], frames[0]])


def test_no_frames_are_refused():
    with pytest.raises(InputError, match="at least one frame"):
        path_of("static", num_frames=0)
    assert len(path_of("orbit left", num_frames=1)) == 1


def test_handheld_is_seeded():
    paths = [camera_path(CameraMove(kind="handheld"), ShotSize.close, 9, ASPECT, seed=s) for s in (1, 1, 2)]
    assert np.array_equal(paths[0].extrinsics, paths[1].extrinsics)
    assert not np.allclose(paths[0].extrinsics, paths[2].extrinsics)


def test_plucker_rays_pass_through_their_pixels():
    path = path_of("orbit left", num_frames=3)
    rays = plucker(path.intrinsics, path.extrinsics, 18, 32)
    assert rays.shape == (3, 6, 18, 32) and rays.dtype == np.float32
    moment, direction = rays[:, :3], rays[:, 3:]
    assert np.allclose(np.linalg.norm(direction, axis=1), 1, atol=1e-5)
    assert np.allclose((moment * direction).sum(1), 0, atol=1e-5)
    # A point on the ray of pixel (row 4, column 20) must be seen at the centre of that pixel.
    for f in range(3):
        point = centres(path)[f] + 2.5 * direction[f, :, 4, 20]
        x, y, z = path.extrinsics[f, :3] @ [*point, 1]
        fx, fy, cx, cy = path.intrinsics[f]
        assert np.allclose([(fx * x / z + cx) * 32, (fy * y / z + cy) * 18], [20.5, 4.5], atol=1e-3)


def test_relative_paths_start_at_the_origin_and_keep_the_movement():
    path = path_of("truck left")
    relative = relative_to_first(path)
    assert np.allclose(relative.extrinsics[0], np.eye(4))
    steps = [np.linalg.norm(np.diff(centres(p), axis=0), axis=1) for p in (path, relative)]
    assert np.allclose(*steps)
    turn = path_of("orbit left")
    assert np.isclose(
        angle(turn.extrinsics[0, :3, :3], turn.extrinsics[-1, :3, :3]),
        angle(np.eye(3), relative_to_first(turn).extrinsics[-1, :3, :3]),
    )


def test_camera_text_comes_back(tmp_path):
    path = path_of("handheld")
    write_camera_text(path, 24, tmp_path / "camera.txt")
    back = read_camera_text(tmp_path / "camera.txt")
    assert np.allclose(back.extrinsics, path.extrinsics, atol=1e-7)
    assert np.allclose(back.intrinsics, path.intrinsics, atol=1e-7)
    lines = (tmp_path / "camera.txt").read_text().splitlines()
    assert int(lines[25].split()[0]) == 1_000_000, "frame 24 is a second in, in microseconds"


@pytest.mark.parametrize("line", ["1 2 3", "x " * 19, "nan " * 19])
def test_broken_camera_text_names_its_line(tmp_path, line):
    write_camera_text(path_of("static", num_frames=2), 24, tmp_path / "camera.txt")
    with (tmp_path / "camera.txt").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match="line 4"):
        read_camera_text(tmp_path / "camera.txt")
