"""How long after Cancel until nothing works on the film any more.

    python bench/cancel.py                         writes bench/results/cancel.json
    python bench/cancel.py --cancels 8 --sizes standard --model animatic

A film of mv-mini is cancelled again and again, at random moments of every stage, and taken up again, in the worker
processes of the studio. Two moments count: when the job says so, and when the processes no longer work (they rest, or
have ended): the later one has to be within two seconds.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(place))

SECONDS = 20.0  # of the song
LONGEST = 6.0  # seconds that a stage goes on at most before it is cancelled
RESTING = 0.02  # share of a core, of a process that waits
PATIENCE = 600.0
STAGES = ("Listening", "Loading", "Rendering", "Rendering", "Rendering", "Putting")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cancels", type=int, default=18, help="for each size")
    parser.add_argument("--sizes", default="standard,hd")
    parser.add_argument("--model", default="mv-mini")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/cancel.json")
    options = parser.parse_args()
    rng, report = random.Random(options.seed), {"model": options.model}
    for size in options.sizes.split(","):
        with tempfile.TemporaryDirectory() as folder:
            report[size] = cancel_often(Path(folder), options.model, size, options.cancels, rng)
            print(size, json.dumps({k: v for k, v in report[size].items() if k != "each"}), flush=True)
    report["load of the machine"] = round(os.getloadavg()[0], 1)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")


def cancel_often(folder: Path, model: str, size: str, cancels: int, rng: random.Random) -> dict:
    from conftest import SR, click_samples, write_wav

    from mv.jobs import JobStore, Worker
    from mv.ui.project import Project

    home = folder / "home"
    os.environ |= {"MV_HOME": str(home), "MV_DEVICES": str(folder / "devices")}
    store, worker, each, job = JobStore(home), Worker(home), [], None
    try:
        for number in range(cancels):
            stage = STAGES[number % len(STAGES)]
            if stage == "Listening":  # a new song: what was heard of the last one is known
                song = write_wav(folder / f"song {number}.wav", click_samples(SECONDS, SR, bpm=100 + number), SR)
                job = store.submit(Project.start(song, None, model=model, size=size, pace=0.5).name, "make")
                worker.keep(store)
            else:
                store.retry(job.id)
            each.append(cancel(store, worker, job.id, stage, rng))
            print(each[-1], flush=True)
    finally:
        worker.stop()
    times = [one["stopped"] for one in each]
    return {
        "cancels": len(each),
        "seconds until it says so, at most": max(one["said"] for one in each),
        "seconds until nothing works, median": round(statistics.median(times), 2),
        "seconds until nothing works, at most": max(times),
        "a process had to end": sum(one["a process ended"] for one in each),
        "each": each,
    }


def cancel(store, worker, job: str, stage: str, rng: random.Random) -> dict:
    """Once this stage has been seen, some time later."""
    wait_for(lambda: stage in store.get(job).message or not store.get(job).open)
    assert store.get(job).open, f"the film was over before {stage}: {store.get(job)}"
    time.sleep(rng.uniform(0, LONGEST if stage == "Rendering" else 0.5))
    alive = lambda: {process.pid for process in worker.processes.values() if process.poll() is None}
    before, start = alive(), time.monotonic()
    store.cancel(job)
    wait_for(lambda: not store.get(job).open)
    said = time.monotonic() - start
    stopped = rest(worker, start)
    times = {"said": round(said, 2), "stopped": round(stopped, 2)}
    return {"stage": stage, **times, "a process ended": bool(before - alive())}


def rest(worker, start: float) -> float:
    """Seconds from `start` until no worker process used the processor any more, to a twentieth."""
    last, spent = time.monotonic(), None
    while time.monotonic() - last < 0.5:
        now = sum(processor_seconds(process.pid) for process in worker.processes.values())
        if spent is not None and now - spent > RESTING:
            last = time.monotonic()
        spent = now
        time.sleep(0.05)
    return last - start


def processor_seconds(pid: int) -> float:
    """That a process has used; 0 for one that has ended."""
    with suppress(OSError, IndexError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if fields[0] != "Z" else 0.0
    return 0.0


def wait_for(true: Callable[[], bool]) -> None:
    start = time.monotonic()
    while not true():
        assert time.monotonic() - start < PATIENCE, "waited in vain"
        time.sleep(0.02)


if __name__ == "__main__":
    main()
