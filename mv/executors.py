"""Shots on many devices: `ClusterExecutor` hands them out, `RayCluster` is where they are drawn.

    executor = ray_executor(partial(load_model, "mv-mini"), address="10.0.0.1:6379")
    plan = generate(plan, executor)

Shots are independent: each goes to the next free device, with everything it needs, and comes back as a file with its
hash. A device holds its model for as long as it lives. What was on a lost machine is rendered elsewhere, a machine that
joins gets the next shot. Takes do not tell where they were drawn: the key of each is computed again on its device, so
one with other weights or other code is found out.
"""

import hashlib
import logging
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from mv.devices import turn
from mv.errors import ModelError
from mv.generation import PATIENCE, Conditions, Renderer, ShotQueue, Task, free_name, render_take, take_key
from mv.schema import Take

ROOT = Path(__file__).resolve().parent.parent
# What stays at home when the program is sent to the machines of a cluster.
EXCLUDED = [
    "/.git",
    "/.venv",
    "/tests",
    "/bench",
    "/docs",
    "/projects",
    "/films",
    "/runs",
    "**/__pycache__",
    "/.*_cache",
]
REST = 5.0  # seconds until a device that another process has is asked again
LONELY = 120.0  # seconds without a single device until the work is given up
MAX_LOSSES = 3  # devices that one shot may take down


class DeviceLost(Exception):
    """The machine or the process that drew a shot is gone."""


class DeviceBusy(Exception):
    """Another process of its machine renders on the device: which, in words."""


@dataclass(frozen=True)
class Parcel:
    """A shot on its way to a device. name: of the take, one that is free at home. reference: suffix and content of the
    conditions' picture, which lies elsewhere there."""

    key: str
    name: str
    conditions: Conditions
    reference: tuple[str, bytes] | None

    @classmethod
    def of(cls, task: Task, takes_dir: Path) -> "Parcel":
        conditions, name = task.conditions(), free_name(takes_dir, task.key)
        if conditions.reference is None:
            return cls(task.key, name, conditions, None)
        picture = Path(conditions.reference)
        return cls(task.key, name, replace(conditions, reference=None), (picture.suffix, picture.read_bytes()))


@dataclass(frozen=True)
class Rendered:
    """A take on its way back: its file's content, and the content's sha256."""

    take: Take
    content: bytes
    sha256: str


class Cluster(Protocol):
    """Devices that come and go; each draws one shot at a time."""

    def describe(self) -> tuple[str, str]:
        """Name and identity of the renderer on every device."""

    def devices(self) -> set[str]:
        """Those that live and are ready."""

    def start(self, device: str, parcel: Parcel) -> None: ...

    def poll(self, seconds: float) -> list[tuple[str, Rendered | Exception]]:
        """What has ended by now, by device, after waiting this long at most. DeviceLost: the device is gone;
        DeviceBusy: it cannot draw now."""

    def progress(self) -> dict[str, float]:
        """0..1 by device."""

    def stop(self) -> None:
        """Give up what is in work, at once."""


class ClusterExecutor:
    """An Executor (see mv/generation.py) over a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.name, self.identity = cluster.describe()
        self._rests: dict[str, tuple[float, str]] = {}  # device: until when, on the monotonic clock, and why

    def run(self, queue: ShotQueue, takes_dir: Path) -> None:
        busy: dict[str, tuple[Task, Parcel]] = {}
        losses: Counter[str] = Counter()
        seen = time.monotonic()
        try:
            while not queue.over:
                queue.check_cancelled()
                devices = self.cluster.devices()
                seen = time.monotonic() if devices else seen
                if time.monotonic() - seen > LONELY:
                    raise ModelError("no machine of the cluster is left to render on; start one and go on from here")
                self._rests = {device: rest for device, rest in self._rests.items() if rest[0] > time.monotonic()}
                self._hand_out(queue, devices - self._rests.keys(), busy, takes_dir)
                if self._rests and not busy:
                    queue.wait(next(iter(self._rests.values()))[1])
                for device, result in self.cluster.poll(PATIENCE):
                    self._take_back(queue, device, *busy.pop(device), result, takes_dir, losses)
                for device, share in self.cluster.progress().items():
                    if device in busy:
                        queue.progress(busy[device][0], share)
        finally:
            self.cluster.stop()

    def _hand_out(
        self, queue: ShotQueue, devices: set[str], busy: dict[str, tuple[Task, Parcel]], takes_dir: Path
    ) -> None:
        for device in sorted(devices - busy.keys()):
            task = queue.next()
            if task is None:
                return
            try:
                parcel = Parcel.of(task, takes_dir)
            except Exception as error:  # as where a shot is drawn here
                queue.fail(task, error)
                continue
            busy[device] = task, parcel
            self.cluster.start(device, parcel)

    def _take_back(
        self, queue: ShotQueue, device: str, task: Task, parcel: Parcel, result, takes_dir: Path, losses: Counter[str]
    ) -> None:
        if isinstance(result, DeviceBusy):
            self._rests[device] = time.monotonic() + REST, str(result)
            queue.put_back(task)
        elif isinstance(result, DeviceLost):
            losses[task.key] += 1
            if losses[task.key] < MAX_LOSSES:
                logging.warning("a device was lost, its shot goes to another one: %s", result)
                queue.put_back(task)
            else:
                queue.fail(task, ModelError(f"a shot took down {MAX_LOSSES} devices one after the other: {result}"))
        elif isinstance(result, Exception):
            queue.fail(task, result)
        elif hashlib.sha256(result.content).hexdigest() != result.sha256:
            queue.fail(task, OSError("a take was damaged on its way through the network"))
        else:
            queue.finish(task, keep(result, parcel, takes_dir))


def keep(rendered: Rendered, parcel: Parcel, takes_dir: Path) -> Take:
    """Write a take that has arrived, whole or not at all. Raises ModelError for another one than was asked for."""
    from mv.video import whole_file

    if (rendered.take.key, rendered.take.file) != (parcel.name, f"{parcel.name}.mp4"):
        raise ModelError("a machine of the cluster sent another take than it was asked for")
    with whole_file(takes_dir / rendered.take.file) as temporary:
        temporary.write_bytes(rendered.content)
    return rendered.take


def draw(renderer: Renderer, parcel: Parcel, on_progress: Callable[[float], None]) -> Rendered:
    """What a device does. Raises ModelError where it would draw something else than what was asked for."""
    with tempfile.TemporaryDirectory() as folder:
        conditions = parcel.conditions
        if parcel.reference is not None:
            suffix, content = parcel.reference
            picture = Path(folder) / f"reference{suffix}"
            picture.write_bytes(content)
            conditions = replace(conditions, reference=str(picture))
        if take_key(conditions, renderer) != parcel.key:
            raise ModelError("a machine of the cluster has other weights or another version of MV Studio")
        take = render_take(conditions, parcel.key, renderer, Path(folder), on_progress, name=parcel.name)
        content = (Path(folder) / take.file).read_bytes()
    return Rendered(take, content, hashlib.sha256(content).hexdigest())


# ---------------------------------------------------------------- Ray


def ray_executor(load: Callable[[], Renderer], address: str | None = None) -> ClusterExecutor:
    """address: of the head, host:port; None: this machine alone, all its devices. Raises ModelError where Ray is not
    installed or the cluster is not there."""
    return ClusterExecutor(RayCluster(load, address))


class RayCluster:
    """A Ray cluster: one model actor for each GPU, or for each machine without one."""

    def __init__(self, load: Callable[[], Renderer], address: str | None = None) -> None:
        try:
            import ray
        except ImportError:
            raise ModelError("--executor ray: Ray is not installed: pip install -r requirements-cluster.txt") from None
        self._ray, self._load = ray, load
        try:
            # Every machine runs this very code and these weights: they are sent along, and cached there.
            environment = {"working_dir": str(ROOT), "excludes": EXCLUDED} if address else {}
            environment["env_vars"] = {"PYTHONPATH": "" if address else str(ROOT)}
            ray.init(address or "local", runtime_env=environment, log_to_driver=False, include_dashboard=False)
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise ModelError(f"--address {address}: no Ray cluster to be reached there: {error}") from None
        self._actor = _actor_class(ray)
        self._hired: dict[str, object] = {}  # device: its actor, whose model is loaded
        self._hiring: dict[str, tuple] = {}  # device: actor and the promise of its description
        self._work: dict[str, object] = {}  # device: the promise of its take
        self._asked: dict[str, object] = {}  # device: the promise of its progress
        self._shares: dict[str, float] = {}
        self._said: tuple[str, str] | None = None

    def describe(self) -> tuple[str, str]:
        deadline = time.monotonic() + LONELY
        while not self.devices():
            if time.monotonic() > deadline:
                raise ModelError(f"no machine of the cluster could load the model within {LONELY:.0f} seconds")
            time.sleep(PATIENCE)
        return self._said

    def devices(self) -> set[str]:
        for device, (node, gpu, cpus) in self._places().items():
            if device not in self._hired and device not in self._hiring:
                actor = self._hire(node, gpu, cpus)
                self._hiring[device] = (actor, actor.describe.remote())
        for device, (actor, said) in list(self._hiring.items()):
            if self._ready([said]):
                del self._hiring[device]
                self._welcome(device, actor, said)
        return set(self._hired)

    def _places(self) -> dict[str, tuple[str, int, int]]:
        """Device: its node, how many GPUs (0 or 1) and processor cores its actor has."""
        places = {}
        for node in self._ray.nodes():
            if node["Alive"]:
                name, has = node["NodeID"], node["Resources"]
                gpus, cpus = int(has.get("GPU", 0)), int(has.get("CPU", 0))
                for number in range(gpus):
                    places[f"{name}/gpu{number}"] = (name, 1, cpus // gpus)
                if not gpus and cpus:
                    places[f"{name}/cpu"] = (name, 0, cpus)
        return places

    def _hire(self, node: str, gpus: int, cpus: int):
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        place = NodeAffinitySchedulingStrategy(node, soft=False)
        return self._actor.options(num_gpus=gpus, num_cpus=cpus, scheduling_strategy=place).remote(self._load)

    def _welcome(self, device: str, actor, promise) -> None:
        """An actor whose machine is lost before it was ready is hired again when the machine is back."""
        try:
            said = self._ray.get(promise)
        except self._ray.exceptions.RayActorError as error:
            if isinstance(getattr(error, "cause", None), Exception):  # its model could not be loaded
                raise ModelError(f"a machine of the cluster cannot load the model: {error.cause}") from None
            logging.warning("a device was lost before it was ready: %s", error)
            return
        except self._ray.exceptions.RayTaskError as error:
            raise ModelError(f"a machine of the cluster cannot load the model: {error.cause}") from None
        if self._said not in (None, said):
            raise ModelError("a machine of the cluster has other weights or another version of MV Studio")
        self._said, self._hired[device] = said, actor

    def start(self, device: str, parcel: Parcel) -> None:
        self._shares[device] = 0.0
        self._work[device] = self._hired[device].draw.remote(parcel)

    def poll(self, seconds: float) -> list[tuple[str, Rendered | Exception]]:
        if not self._work:
            time.sleep(seconds)
            return []
        ready = self._ready(list(self._work.values()), seconds)
        ended = [device for device, promise in self._work.items() if promise in ready]
        return [(device, self._result(device)) for device in ended]

    def _result(self, device: str) -> Rendered | Exception:
        promise = self._work.pop(device)
        self._shares.pop(device, None)
        self._asked.pop(device, None)
        try:
            return self._ray.get(promise)
        except self._ray.exceptions.RayTaskError as error:
            return error.cause if isinstance(error.cause, Exception) else error
        except self._ray.exceptions.RayError as error:  # its process, its machine, or what it sent
            with suppress(self._ray.exceptions.RayError):  # whatever is left of it must not keep the device
                self._ray.kill(self._hired.pop(device))
            return DeviceLost(str(error).strip().partition("\n")[0])

    def progress(self) -> dict[str, float]:
        for device in self._work:
            if device not in self._asked:
                self._asked[device] = self._hired[device].progress.remote()
        for device, promise in list(self._asked.items()):
            if self._ready([promise]):
                del self._asked[device]
                with suppress(self._ray.exceptions.RayError):  # the device is lost: poll tells
                    self._shares[device] = self._ray.get(promise)
        return dict(self._shares)

    def stop(self) -> None:
        """Actors in work are ended with it; the others wait for the next film."""
        for device in list(self._work):
            self._ray.kill(self._hired.pop(device))
        for jobs in (self._work, self._asked, self._shares):
            jobs.clear()

    def close(self) -> None:
        self._ray.shutdown()

    def _ready(self, promises: list, seconds: float = 0.0) -> list:
        return self._ray.wait(promises, num_returns=len(promises), timeout=seconds)[0]


def _busy(holder: str) -> None:
    raise DeviceBusy(holder)


def _actor_class(ray):
    @ray.remote(concurrency_groups={"talk": 1})
    class Painter:
        """Loads its model once. Draws in one thread, and tells its progress in another. Another process that renders
        on its device, the studio's worker for one, is not joined: the device is busy then."""

        def __init__(self, load: Callable[[], Renderer]) -> None:
            self.renderer, self.share = load(), 0.0

        def describe(self) -> tuple[str, str]:
            return self.renderer.name, self.renderer.identity

        def draw(self, parcel: Parcel) -> Rendered:
            self.share = 0.0
            with turn(_busy):
                return draw(self.renderer, parcel, self._note)

        def _note(self, share: float) -> None:
            self.share = share

        @ray.method(concurrency_group="talk")
        def progress(self) -> float:
            return self.share

    return Painter
