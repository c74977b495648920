"""Ray on this machine as a cluster of two and three nodes: the same film, a node killed on the way, and the speed-up.

    python bench/cluster.py                        writes bench/results/cluster.json
    python bench/cluster.py --model mv-mini --shots 4 --size 288x160      takes of a real model instead

Every node is a raylet with one processor core and, as another machine would have, device locks of its own. Without
--model a shot takes a fixed time of waiting, as if its device were elsewhere: so the speed-up shows what handing out,
the way there and back, and keeping take from it, however busy this machine is. With --model nodes share the machine's
cores; then only the films are compared, not the times.

Needs requirements-cluster.txt.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import av
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(place))

from mv import make  # noqa: E402
from mv.errors import Cancelled  # noqa: E402
from mv.executors import ClusterExecutor, ray_executor  # noqa: E402
from mv.generation import Progress, chosen_take  # noqa: E402
from mv.schema import Timeline  # noqa: E402


class Waiting:
    """A Renderer that paints one grey a frame, after a fixed time."""

    name = "waiting"

    def __init__(self, seconds: float) -> None:
        self.seconds, self.identity = seconds, "1"

    def render(self, conditions, on_progress=lambda share: None, cancelled=lambda: False) -> np.ndarray:
        end = time.monotonic() + self.seconds
        while (left := end - time.monotonic()) > 0:
            if cancelled():
                raise Cancelled("stopped")
            on_progress(1 - left / self.seconds)
            time.sleep(min(left, 0.05))
        c = conditions
        levels = (37 * c.seed + 3 * np.arange(c.num_frames)) % 256
        shape = (c.num_frames, c.height, c.width, 3)
        return np.broadcast_to(levels.astype(np.uint8)[:, None, None, None], shape).copy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", default="", help="a model that `python -m mv models` lists; left out: shots that wait"
    )
    parser.add_argument("--shots", type=int, default=24, help="1 to 60")
    parser.add_argument("--seconds", type=float, default=2.0, help="that a waiting shot takes")
    parser.add_argument("--size", default="64x32", help="of the picture")
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/cluster.json")
    options = parser.parse_args()
    load = partial(make.load_model, options.model) if options.model else partial(Waiting, options.seconds)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MV_HOME"] = str(Path(folder) / "home")
        os.environ["MV_DEVICES"] = str(Path(folder) / "devices")
        report = {"model": options.model or f"waiting {options.seconds:g} s a shot", "shots": options.shots}
        report |= run(Path(folder), load, options.shots, *map(int, options.size.split("x")))
    if not options.model:
        one, two = (report[name]["seconds"] for name in ("one node", "two nodes"))
        report["speed-up of two nodes over one"] = round(one / two, 2)
    report["load of the machine"] = round(os.getloadavg()[0], 1)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def run(folder: Path, load, shots: int, width: int, height: int) -> dict:
    """One run: here, then on one node, on two, and on three of which one is killed. All films must be the same."""
    from ray.cluster_utils import Cluster
    from test_executors import patiently

    report: dict = {}
    machine = lambda number: {"num_cpus": 1, "env_vars": {"MV_DEVICES": str(folder / f"devices {number}")}}
    head = {"include_dashboard": False, **machine(1)}
    cluster = patiently(lambda: Cluster(initialize_head=True, head_node_args=head))
    try:
        expected, report["here"] = film(folder / "here", load(), shots, width, height)
        executor = ray_executor(load, cluster.address)
        for nodes, name in ((1, "one node"), (2, "two nodes"), (3, "three nodes, one killed")):
            node = patiently(partial(cluster.add_node, **machine(nodes))) if nodes > 1 else None
            wait_for_devices(executor, nodes)
            killer = Killer(cluster, node) if nodes == 3 else None
            seen, report[name] = film(folder / str(nodes), executor, shots, width, height, killer)
            assert seen == expected, f"{name}: another film"
            assert killer is None or killer.killed, "the film was over before the node was killed"
        report["films, each frame as here"] = 3
    finally:
        import ray

        ray.shutdown()
        cluster.shutdown()
    return report


class Killer:
    """Takes a node away, without a word, when a third of the film is there."""

    def __init__(self, cluster, node) -> None:
        self.cluster, self.node, self.killed = cluster, node, False

    def __call__(self, progress: Progress) -> None:
        if not self.killed and progress.shots_done * 3 >= progress.num_shots:
            self.killed = True
            self.cluster.remove_node(self.node, allow_graceful=False)


def film(folder: Path, renderer, shots: int, width: int, height: int, on_progress=None) -> tuple[str, dict]:
    """A hash of the frames of all takes and of the film, and what its rendering took."""
    folder.mkdir()
    plan = short_plan(folder, shots, width, height)
    start = time.perf_counter()
    plan = make.generate(plan, renderer, on_progress=on_progress or (lambda progress: None))
    seconds = time.perf_counter() - start
    digest = hashlib.sha256()
    for path in [
        *(folder / "takes" / chosen_take(shot).file for shot in plan.shots),
        make.assemble(plan, folder / "film.mp4"),
    ]:
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                digest.update(frame.to_ndarray().tobytes())
    return digest.hexdigest(), {"seconds": round(seconds, 2), "shots a second": round(shots / seconds, 3)}


def short_plan(folder: Path, shots: int, width: int, height: int) -> Timeline:
    """The first shots of the film of sixty."""
    from test_sixty_shots import FPS, sixty_shots

    plan = sixty_shots(folder, width, height)
    return plan.model_copy(update={"shots": plan.shots[:shots], "num_frames": FPS * shots})


def wait_for_devices(executor: ClusterExecutor, number: int) -> None:
    deadline = time.monotonic() + 300
    while len(executor.cluster.devices()) < number:
        assert time.monotonic() < deadline, f"device {number} was not found"
        time.sleep(0.2)


if __name__ == "__main__":
    main()
