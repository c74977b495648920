"""Shots on many devices: the same film as here, whoever is lost on the way."""

import os
import random
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import pytest
from conftest import CountingRenderer, conditions_of
from typer.testing import CliRunner

from mv import executors, generation, make
from mv.cli import app
from mv.errors import Cancelled, InputError, ModelError
from mv.executors import ClusterExecutor, DeviceBusy, DeviceLost, Parcel, Rendered, draw
from mv.generation import chosen_take, generate


class FakeCluster:
    """Devices in this process. Each shot takes `polls` looks; `losses` names the starts (1, 2 ...) that lose their
    device for good, `damages` those whose file arrives damaged, `faults` those that fail, `taken` those whose device
    another process has."""

    def __init__(self, renderer, devices=("a", "b"), polls=2, losses=(), damages=(), faults=(), taken=()):
        self.renderer, self.alive, self.polls = renderer, set(devices), polls
        self.losses, self.damages, self.faults, self.taken = losses, damages, faults, taken
        self.work, self.starts, self.most, self.stopped = {}, 0, 0, 0
        self.order = []

    def describe(self):
        return self.renderer.name, self.renderer.identity

    def devices(self):
        return set(self.alive)

    def start(self, device, parcel):
        assert device in self.alive and device not in self.work
        self.starts += 1
        self.work[device] = [self.polls + random.randrange(3), self.starts, parcel]
        self.most = max(self.most, len(self.work))
        self.order.append(parcel.conditions.seed)

    def poll(self, seconds):
        ended = []
        for device, item in list(self.work.items()):
            item[0] -= 1
            if item[0] <= 0:
                del self.work[device]
                ended.append((device, self._result(device, *item[1:])))
        return ended

    def _result(self, device, number, parcel):
        if number in self.losses:
            self.alive.discard(device)
            return DeviceLost(f"{device} is gone")
        if number in self.taken:
            return DeviceBusy("another process (rendering, number 7 on box) works on it")
        if number in self.faults:
            return MemoryError("no room")
        try:
            rendered = draw(self.renderer, parcel, lambda share: None)
        except Exception as error:
            return error
        return replace(rendered, content=rendered.content[:-1]) if number in self.damages else rendered

    def progress(self):
        return {device: 0.5 for device in self.work}

    def stop(self):
        self.stopped += 1
        self.work.clear()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(generation, "BACKOFF", 0.01)
    monkeypatch.setattr(executors, "PATIENCE", 0.0)


def film(timeline, cluster, folder, **more):
    return generate(timeline, conditions_of(timeline), ClusterExecutor(cluster), folder, **more)


@pytest.fixture
def expected(timeline, tmp_path):
    here = tmp_path / "here"
    return keys(generate(timeline, conditions_of(timeline), CountingRenderer(), here))


def keys(made):
    return [chosen_take(shot).key for shot in made.shots]


@pytest.mark.parametrize("devices", [["a"], ["a", "b"], ["a", "b", "c", "d"]])
def test_the_film_is_the_same_on_any_number_of_devices(timeline, tmp_path, expected, devices):
    cluster = FakeCluster(CountingRenderer(), devices)
    made = film(timeline, cluster, tmp_path / "takes")
    assert keys(made) == expected
    assert cluster.most == min(len(devices), len(timeline.shots))
    assert cluster.stopped == 1 and not cluster.work


def test_what_a_lost_device_had_is_rendered_elsewhere(timeline, tmp_path, expected):
    cluster = FakeCluster(CountingRenderer(), losses=(1,))
    assert keys(film(timeline, cluster, tmp_path / "takes")) == expected
    assert len(cluster.alive) == 1 and cluster.starts == 4


def test_a_device_that_joins_gets_work(timeline, tmp_path, expected):
    cluster = FakeCluster(CountingRenderer(), ["a"], polls=4)
    seen = []

    def join(progress):
        if len(seen) == 3:
            cluster.alive.add("late")
        seen.append(progress)

    assert keys(film(timeline, cluster, tmp_path / "takes", on_progress=join)) == expected
    assert cluster.most == 2


def test_faults_and_damaged_files_are_tried_again(timeline, tmp_path, expected):
    cluster = FakeCluster(CountingRenderer(), damages=(1,), faults=(2,))
    assert keys(film(timeline, cluster, tmp_path / "takes")) == expected
    assert cluster.starts == 5


def test_a_device_that_another_process_has_is_left_to_it_for_a_while(timeline, tmp_path, expected, monkeypatch):
    monkeypatch.setattr(executors, "REST", 0.05)
    said = []
    cluster = FakeCluster(CountingRenderer(), ["a"], polls=0, taken=(1, 2, 3, 4))
    made = film(timeline, cluster, tmp_path / "takes", on_progress=lambda p: said.append(p.waits))
    assert keys(made) == expected and cluster.starts == 7, "more often than a shot may fail"
    assert any("number 7 on box" in words for words in said) and said[-1] == ""


def test_the_others_go_on_while_one_device_is_taken(timeline, tmp_path, expected):
    cluster = FakeCluster(CountingRenderer(), ["a", "b"], polls=0, taken=(1,))
    since = time.monotonic()
    assert keys(film(timeline, cluster, tmp_path / "takes")) == expected
    assert time.monotonic() - since < executors.REST


def test_waiting_for_a_taken_device_can_be_cancelled(timeline, tmp_path):
    deadline = time.monotonic() + 0.3
    cluster = FakeCluster(CountingRenderer(), ["a"], polls=0, taken=range(1, 99))
    with pytest.raises(Cancelled):
        film(timeline, cluster, tmp_path / "takes", cancelled=lambda: time.monotonic() > deadline)
    assert cluster.starts == 1


def test_takes_drawn_elsewhere_are_never_overwritten(timeline, tmp_path, expected):
    film(timeline, FakeCluster(CountingRenderer()), tmp_path / "takes")
    before = {path.name: path.read_bytes() for path in (tmp_path / "takes").iterdir()}
    made = film(timeline, FakeCluster(CountingRenderer()), tmp_path / "takes", fresh=True)
    assert keys(made) == [f"{key}-2" for key in expected]
    after = {path.name: path.read_bytes() for path in (tmp_path / "takes").iterdir()}
    assert len(after) == 6 and before.items() <= after.items()
    again = film(timeline, FakeCluster(CountingRenderer()), tmp_path / "takes")
    assert keys(again) == keys(made), "the newest is found"


def test_another_take_than_was_asked_for_is_refused(timeline, tmp_path):
    cluster = FakeCluster(CountingRenderer())
    result = cluster._result

    def elsewhere(*values):
        rendered = result(*values)
        return replace(rendered, take=rendered.take.model_copy(update={"file": "../../evil.mp4"}))

    cluster._result = elsewhere
    with pytest.raises(ModelError, match="another take"):
        film(timeline, cluster, tmp_path / "takes")
    assert not list(tmp_path.rglob("evil.mp4"))


def test_a_shot_that_cannot_be_sent_fails_like_one_that_cannot_be_drawn(timeline, tmp_path, expected, monkeypatch):
    of, faults = Parcel.of, [OSError("the picture is being written")]

    def send(task, folder):
        if faults:
            raise faults.pop()
        return of(task, folder)

    monkeypatch.setattr(Parcel, "of", send)
    assert keys(film(timeline, FakeCluster(CountingRenderer()), tmp_path / "takes")) == expected


def test_a_shot_that_takes_down_every_device_is_given_up(timeline, tmp_path):
    cluster = FakeCluster(CountingRenderer(), "abcdefghi", losses=range(1, 100))
    with pytest.raises(ModelError, match="took down 3 devices"):
        film(timeline, cluster, tmp_path / "takes")


def test_no_device_left_is_said(timeline, tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "LONELY", 0.05)
    cluster = FakeCluster(CountingRenderer(), losses=(1, 2))
    with pytest.raises(ModelError, match="no machine of the cluster is left"):
        film(timeline, cluster, tmp_path / "takes")


def test_what_only_the_user_can_mend_is_said_at_once(timeline, tmp_path):
    cluster = FakeCluster(CountingRenderer())
    cluster._result = lambda *_: InputError("reference.png: not an image")
    with pytest.raises(InputError, match="not an image"):
        film(timeline, cluster, tmp_path / "takes")


def test_a_device_with_other_weights_is_found_out(timeline, tmp_path):
    cluster = FakeCluster(CountingRenderer())
    executor = ClusterExecutor(cluster)
    cluster.renderer = CountingRenderer()
    cluster.renderer.identity = "other weights"
    with pytest.raises(ModelError, match="other weights"):
        generate(timeline, conditions_of(timeline), executor, tmp_path / "takes")


def test_cancel_stops_the_cluster_and_keeps_what_is_finished(timeline, tmp_path):
    cluster = FakeCluster(CountingRenderer(), ["a"])
    takes = tmp_path / "takes"
    with pytest.raises(Cancelled):
        film(timeline, cluster, takes, cancelled=lambda: takes.exists() and any(takes.glob("*.mp4")))
    assert cluster.stopped == 1
    again = FakeCluster(CountingRenderer(), ["a"])
    film(timeline, again, takes)
    assert again.starts == 2


def test_a_reference_picture_travels_with_its_shot(timeline, tmp_path):
    picture = tmp_path / "look.png"
    picture.write_bytes(b"a picture")
    seen = []

    class Looking(CountingRenderer):
        def render(self, conditions, on_progress, cancelled):
            with open(conditions.reference, "rb") as file:
                seen.append((conditions.reference.endswith(".png"), file.read()))
            return super().render(conditions, on_progress, cancelled)

    conditions = replace(conditions_of(timeline)(0), reference=str(picture))
    task = generation.Task(generation.take_key(conditions, Looking()), (0,), 24, lambda: conditions)
    parcel = Parcel.of(task, tmp_path)
    picture.unlink()
    rendered = draw(Looking(), parcel, lambda share: None)
    assert seen == [(True, b"a picture")] and isinstance(rendered, Rendered)


def test_ray_that_is_not_installed_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModelError, match="requirements-cluster"):
        executors.ray_executor(partial(make.load_model, "animatic"))


@pytest.mark.parametrize(
    "options, told",
    [(["--executor", "slurm"], "expected local or ray"), (["--address", "x:1"], "needs --executor ray")],
)
def test_the_command_says_which_executors_there_are(timeline, analysis, tmp_path, options, told):
    analysis.save(tmp_path / "analysis.json")
    make.save_plan(timeline, tmp_path / "plan.json")
    asked = ["render", str(tmp_path / "plan.json"), "-o", str(tmp_path / "film.mp4"), *options]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 2 and told in " ".join(result.output.split())


# ---------------------------------------------------------------- real machines, as far as one has them


@pytest.fixture
def two_nodes(tmp_path):
    """Two raylets on this machine, with a processor core each: the head, and one that can be killed."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -r requirements-cluster.txt")
    from ray.cluster_utils import Cluster

    # Each stands for a machine: their locks must not meet.
    places = [{"MV_DEVICES": str(tmp_path / name)} for name in ("first", "second")]
    head = {"num_cpus": 1, "include_dashboard": False, "env_vars": places[0]}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    try:
        yield cluster, patiently(lambda: cluster.add_node(num_cpus=1, env_vars=places[1]))
    finally:
        import ray

        ray.shutdown()
        cluster.shutdown()


def patiently(start):
    """A node has thirty seconds to start, by Ray's own rule: not always enough on a busy machine."""
    for _ in range(4):
        try:
            return start()
        except Exception as error:
            late = error
    raise late


HOLD = "import sys; from mv.devices import turn\nwith turn(print):\n    print('mine', flush=True); sys.stdin.read()"


@contextmanager
def taken(folder):
    """The device of one node is in the hands of another process, as the studio's worker would have it."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        cwd=executors.ROOT,
        env={**os.environ, "MV_DEVICES": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "mine\n"
        yield process
        process.kill()


@pytest.mark.slow
def test_a_ray_cluster_makes_the_same_film_though_a_node_is_killed(timeline, tmp_path, two_nodes):
    """And it waits while all its devices are others'."""
    cluster, second = two_nodes
    animatic = make.load_model("animatic")
    here = generate(timeline, conditions_of(timeline), animatic, tmp_path / "here")
    executor = executors.ray_executor(partial(make.load_model, "animatic"), cluster.address)
    deadline = time.monotonic() + 60
    while len(executor.cluster.devices()) < 2:
        assert time.monotonic() < deadline, "the second node was not found"
        time.sleep(0.2)
    killed, waited = [], []

    def kill_one(progress):
        if progress.waits and not waited:
            waited.append(progress.waits)
            assert progress.frames_done == 0
            for holder in holders:
                holder.kill()
        if not killed and progress.frames_done > 0:
            killed.append(progress)
            cluster.remove_node(second, allow_graceful=False)

    with taken(tmp_path / "first") as one, taken(tmp_path / "second") as other:
        holders = [one, other]
        there = generate(timeline, conditions_of(timeline), executor, tmp_path / "there", on_progress=kill_one)
    assert "another process (rendering, number" in waited[0]
    assert killed and keys(there) == keys(here)
    for shot in there.shots:
        name = chosen_take(shot).file
        assert frames(tmp_path / "there" / name) == frames(tmp_path / "here" / name)


def frames(path) -> list[bytes]:
    import av

    with av.open(str(path)) as container:
        return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]
