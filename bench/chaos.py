"""SIGKILL at random moments: does every film end, and is it the same film?

    python bench/chaos.py --kills 50 --seed 0                  writes bench/results/chaos-animatic.json
    python bench/chaos.py --kills 12 --seed 0 --model tiny
    python bench/chaos.py --kills 8 --seed 0 --model mv-mini --stages rendering,rendering,rendering,assembling

A page (a process that starts a project and keeps its workers alive, as the studio does) and its workers make the film
of a short song: listening, planning, rendering, assembly. --model tiny renders with random weights in the real classes,
and keeps checkpoints ten times a second. Page, workers or both are killed in the middle of one of these stages; after
each kill the store and the project must open and every finished take must show what it should; then the page is started
again. At the end the film's frames must be those of a film that nobody disturbed.

Two things are slower than in a real worker, so that kills meet them: planning, which would be over in a tenth of a
second, rests before and after its work, and every file rests between its last byte and its name.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(place))

from mv.jobs import Job, JobStore, Worker  # noqa: E402
from mv.ui.project import Project, projects  # noqa: E402

STAGES = ("listening", "planning", "rendering", "assembling")
PER_FILM = (*STAGES[:1] * 2, *STAGES[1:2] * 3, *STAGES[2:3] * 4, *STAGES[3:] * 3)  # the kills of one film
LONGEST = {"listening": 5.0, "planning": 1.0, "rendering": 3.0, "assembling": 0.4}  # seconds a kill waits at most
PLANNING_REST, FILE_REST = 0.4, 0.05  # seconds; see above
PATIENCE = 900  # seconds for one stage
VICTIMS = ("page", "worker", "both")
SECONDS = 6.0  # of the song
STEPS = 30  # denoising steps of the tiny model: a shot takes about a second, long enough to be killed in


@dataclass
class Kill:
    """moment: seconds after the stage was first seen; stage: just before the kill."""

    victim: str
    stage: str
    moment: float
    takes: int  # finished at this moment, all of them found intact


class ChaosWorker(Worker):
    command = (sys.executable, str(Path(__file__).resolve()), "--worker")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", choices=("animatic", "tiny", "mv-mini"), default="animatic")
    parser.add_argument("--stages", default=",".join(PER_FILM), help="the kills of one film, in their order")
    parser.add_argument("--output", type=Path, help="default: bench/results/chaos-MODEL.json")
    options = parser.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        on_kill = lambda kill: print(round(time.monotonic() - start), kill, flush=True)
        stages = tuple(options.stages.split(","))
        kills, films = run(Path(folder), options.kills, options.seed, options.model, on_kill, stages)
    counted = Counter((kill.victim, kill.stage) for kill in kills)
    report = {
        "model": options.model,
        "kills": len(kills),
        "films, each frame as in the undisturbed one": films,  # another film ends the run
        "seconds": round(time.monotonic() - start, 1),
        "by victim and stage": {f"{victim}, {stage}": n for (victim, stage), n in sorted(counted.items())},
        "each": [asdict(kill) for kill in kills],
    }
    output = options.output or ROOT / f"bench/results/chaos-{options.model}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{len(kills)} kills, {films} films, all as the undisturbed one; {report['seconds']} s")


def run(
    folder: Path,
    kills: int,
    seed: int,
    model: str = "animatic",
    on_kill=lambda kill: None,
    stages: tuple[str, ...] = PER_FILM,
) -> tuple[list[Kill], int]:
    """The kills, and how many films were made under them. stages: of the kills of one film."""
    rng = random.Random(seed)
    song = make_song(folder / "song.wav")
    if model == "tiny":
        save_tiny_model(folder / "model")
    os.environ["CHAOS_MODEL"] = model
    expected = Expected.of(make_film(folder / "undisturbed", song, [], rng, lambda kill: None, None, ()))
    done: list[Kill] = []
    films = 0
    while len(done) < kills:
        wanted = stages[: kills - len(done)]
        project = make_film(folder / f"film-{films}", song, done, rng, on_kill, expected, wanted)
        assert film_frames(project) == expected.film, "another film than the undisturbed one"
        films += 1
    return done, films


@dataclass(frozen=True)
class Expected:
    """Hashes of the undisturbed film's frames, and of its takes' by key."""

    film: str
    takes: dict[str, str]

    @classmethod
    def of(cls, project: Project) -> "Expected":
        takes = {path.stem: frames_hash(path) for path in finished_takes(project)}
        return cls(film_frames(project), takes)


def make_film(
    home: Path, song: Path, done: list[Kill], rng: random.Random, on_kill, expected: Expected | None, stages
) -> Project:
    """Start a page, kill it and its worker on the way to the film; at last the page is ended."""
    page = start_page(home, song)
    try:
        for stage in stages:
            turn = len(done) + len(done) // len(PER_FILM)  # so that each of them is killed in every stage
            victim, moment = VICTIMS[turn % len(VICTIMS)], rng.uniform(0.0, LONGEST[stage])
            if wait_for_stage(home, stage, page) == "done":
                break
            time.sleep(moment)
            seen = stage_of(home)
            kill(page, home, victim)
            done.append(Kill(victim, seen, round(moment, 3), check(home, expected)))
            on_kill(done[-1])
            if victim != "worker":
                page = start_page(home, song)
        wait_for_stage(home, "done", page)
        return opened(home)
    finally:
        page.kill()
        page.wait()


def start_page(home: Path, song: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, __file__, "--page", str(home), str(song)], env=environment(home))


def environment(home: Path) -> dict[str, str]:
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    devices = home.parent / "devices"  # whoever else renders on this machine is not waited for
    return {**os.environ, "MV_HOME": str(home), "MV_DEVICES": str(devices), "PYTHONPATH": path}


def kill(page: subprocess.Popen, home: Path, victim: str) -> None:
    """With the page its worker is to end too, within seconds; it may not be killed in the middle of that."""
    workers = worker_pids(home)
    if victim != "worker":
        page.kill()
        page.wait()
    for pid in workers if victim != "page" else []:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if victim != "worker":
        deadline = time.monotonic() + 20
        while any(map(alive, workers)):
            assert time.monotonic() < deadline, "the worker outlived its page"
            time.sleep(0.05)


def worker_pids(home: Path) -> list[int]:
    """Processes that work for this home."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"--worker" in words and str(home).encode() in words:
            found.append(int(folder.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


# ---------------------------------------------------------------- what is there


def stage_of(home: Path) -> str:
    """Where the film stands, by its files; "done", or "failed"."""
    project = opened(home)
    if project is None:
        return STAGES[0]
    job = JobStore(home).status(project.name)
    if job is not None and job.state in ("done", "failed"):
        return job.state
    if not project.planned:
        return STAGES[1] if (project.folder / "analysis.json").exists() else STAGES[0]
    shots, takes = JobStore(home).shots(project.name), {path.stem for path in finished_takes(project)}
    return STAGES[3] if shots and all(shot.key in takes for shot in shots) else STAGES[2]


def finished_takes(project: Project) -> list[Path]:
    return [path for path in (project.folder / "takes").glob("*.mp4") if not path.name.startswith(".")]


def opened(home: Path) -> Project | None:
    names = projects(home)
    return Project(home, names[0]) if names else None


def wait_for_stage(home: Path, stage: str, page: subprocess.Popen) -> str:
    """Until the film stands at this stage or after it: which it is. A job given up after too many kills in a row is
    tried again, as its user would."""
    order = {name: place for place, name in enumerate((*STAGES, "done"))}
    deadline = time.monotonic() + PATIENCE
    while True:
        assert page.poll() is None, "the page has ended by itself"
        assert time.monotonic() < deadline, f"stuck at {stage_of(home)}"
        now = stage_of(home)
        if now == "failed":
            job = latest(home)
            assert "the worker stopped" in job.error, job.error
            JobStore(home).retry(job.id)
        elif order[now] >= order[stage]:
            return now
        time.sleep(0.02)


def latest(home: Path) -> Job:
    return JobStore(home).status(opened(home).name)


def check(home: Path, expected: Expected | None) -> int:
    """Store and project open, every finished take is intact: their number."""
    JobStore(home)
    project = opened(home)
    if project is None:
        return 0
    project.wishes()
    if project.planned:
        project.resolved_plan()
    takes = finished_takes(project)
    for path in takes:
        assert frames_hash(path) == expected.takes[path.stem], f"{path.name} shows something else"
    return len(takes)


def film_frames(project: Project) -> str:
    return frames_hash(project.film())


def frames_hash(path: Path) -> str:
    digest = hashlib.sha256()
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            digest.update(frame.to_ndarray().tobytes())
    return digest.hexdigest()


# ---------------------------------------------------------------- the processes


def make_song(path: Path) -> Path:
    from conftest import SR, click_samples, write_wav

    return write_wav(path, click_samples(SECONDS, SR), SR)


def save_tiny_model(folder: Path) -> None:
    from test_model import tiny_pipeline

    tiny_pipeline().save_pretrained(folder)


def be_page(home: str, song: str) -> None:
    """What the studio does: keep the worker alive, start the project, submit its job."""
    worker, store = ChaosWorker(home, ["default"]), JobStore(home)
    worker.ensure()
    if not projects(home):
        project = Project.start(song, None, model=os.environ["CHAOS_MODEL"], size="draft", fps="12", seed=1)
        store.submit(project.name, "make")
    elif store.status(projects(home)[0]) is None:  # killed between the two
        store.submit(projects(home)[0], "make")
    while True:
        worker.ensure()
        time.sleep(0.1)


def be_worker(arguments: list[str]) -> None:
    """The program's own worker, slowed down where kills would rarely meet it; for the tiny model, one that knows it and
    keeps checkpoints more often."""
    import director
    from mv.jobs.worker import main as work

    director.direct = rested(director.direct, PLANNING_REST, PLANNING_REST)
    Path.replace = rested(Path.replace, FILE_REST, 0.0)
    if os.environ["CHAOS_MODEL"] == "tiny":
        from mv import checkpoints
        from mv.model.catalog import MODELS, ModelSpec

        checkpoints.PACE = 0.1
        MODELS["tiny"] = ModelSpec("tiny", "", Path(arguments[0]).parent / "model", "", ((64, 32),), steps=STEPS)
    work(arguments)


def rested(work, before: float, after: float):
    """The same, with seconds of rest round it."""

    def slow(*values, **more):
        time.sleep(before)
        result = work(*values, **more)
        time.sleep(after)
        return result

    return slow


if __name__ == "__main__":
    if sys.argv[1:2] == ["--page"]:
        be_page(*sys.argv[2:])
    elif sys.argv[1:2] == ["--worker"]:
        be_worker(sys.argv[2:])
    else:
        main()
