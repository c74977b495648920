"""Seconds of computing per second of film, by stage, and peak memory by length of song.

    python bench/film.py                      a 1-minute and a 4-minute song at the default size
    python bench/film.py --lengths 10 --steps 2

Each song is made here (clicks and chords, loud and calm parts by turns) and filmed in a process of its own, as
`python -m mv make` does it. Memory is the process's high-water mark. For a CPU: a GPU works on after a call returns, so
there only the total holds.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import wave
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

MIB = 2**20
GROWTH_LIMIT = 200  # MiB that a longer song may cost more than the shortest
# The four parts of a model's film, then what is around them.
PARTS = ("text", "DiT", "decoder", "encoder", "listening", "other")


@dataclass(frozen=True)
class Measurement:
    """film: length in seconds. seconds: part → computing time. memory: stage → peak MiB of the process after it.

    over_matmul: see `time_over_matmul`; None for the animatic.
    """

    film: float
    shots: int
    seconds: dict[str, float]
    memory: dict[str, float]
    over_matmul: float | None = None

    @property
    def peak(self) -> float:
        return max(self.memory.values())


@dataclass
class Stopwatch:
    """Time spent inside functions, by name, and what each was last called with."""

    seconds: Counter = field(default_factory=Counter)
    last: dict[str, tuple[tuple, dict]] = field(default_factory=dict)

    def timed(self, name: str, function: Callable) -> Callable:
        def call(*args, **kwargs):
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - start
                self.last[name] = args, kwargs

        return call


def main() -> None:
    args = read_arguments()
    if args.child:
        print(json.dumps(asdict(film_a_song(args.lengths[0], args.model, args.size, args.steps))))
        return
    measurements = [measure_apart(length, args) for length in args.lengths]
    print(f"\n{args.model}, size {args.size}, steps {args.steps or 'the model’s own'}, {cores()} cores\n")
    print_times(measurements)
    if measurements[-1].over_matmul is not None:
        print(f"\nDiT over one plain matrix product of as many FLOPs: {measurements[-1].over_matmul:.2f}")
    sys.exit(print_memory(measurements) > GROWTH_LIMIT)


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=float, nargs="+", default=[60, 240], metavar="S", help="seconds of each song")
    parser.add_argument("--model", default="mv-mini", help="a model of `python -m mv models`")
    parser.add_argument("--size", default="standard", help="a size of `python -m mv make --help`")
    parser.add_argument("--steps", type=int, help="denoising steps; the model's own number if not given")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


# ---------------------------------------------------------------- measuring


def measure_apart(length: float, args: argparse.Namespace) -> Measurement:
    """One song in its own process, so that its peak memory is its own."""
    command = [
        sys.executable,
        __file__,
        "--child",
        "--lengths",
        str(length),
        "--model",
        args.model,
        "--size",
        args.size,
    ]
    command += ["--steps", str(args.steps)] if args.steps else []
    print(f"filming a song of {length:g} s ...", file=sys.stderr)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(done.returncode)
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def film_a_song(length: float, model: str, size: str, steps: int | None) -> Measurement:
    from mv.errors import MusicVideoError

    with tempfile.TemporaryDirectory() as folder:
        os.environ["MV_HOME"] = str(Path(folder) / "projects")
        song = Path(folder) / "song.wav"
        write_song(song, length)
        try:
            return film_in_stages(song, Path(folder) / "film.mp4", model, size, steps)
        except MusicVideoError as error:
            sys.exit(f"error: {error}")


def film_in_stages(song: Path, output: Path, model: str, size: str, steps: int | None) -> Measurement:
    """make_film, with a look at the clock and the memory between its stages."""
    from mv import make, video

    start, watch, memory = time.perf_counter(), Stopwatch(), {}
    analysis = watch.timed("listening", make.analyze)(song)
    memory["listening"] = peak_memory()
    renderer = make.load_model(model, steps)
    watch_model(renderer, watch)
    video.write_video = watch.timed("encoder", video.write_video)
    plan = make.direct(analysis, song, size=size)
    plan = make.generate(plan, renderer)
    memory["rendering"] = peak_memory()
    assert watch.seconds["DiT"] or renderer.name == "animatic", (
        "the watch is not where the pipeline calls its transformer"
    )
    watch.timed("encoder", make.assemble)(plan, output)
    memory["assembly"] = peak_memory()
    elsewhere = time.perf_counter() - start - watch.seconds.total()
    over_matmul = None if renderer.name == "animatic" else time_over_matmul(renderer.pipeline.transformer, watch)
    return Measurement(plan.duration, len(plan.shots), {**watch.seconds, "other": elsewhere}, memory, over_matmul)


def time_over_matmul(transformer, watch: Stopwatch, repeats: int = 7) -> float:
    """Time of the transformer's last call again, over that of one plain square matrix product in its number format with
    as many multiplications; medians of calls that take turns."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    args, kwargs = watch.last["DiT"]
    forward = type(transformer).forward
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            forward(transformer, *args, **kwargs)
        side = round((counter.get_total_flops() / 2) ** (1 / 3))
        a, b = (torch.randn(side, side).to(transformer.dtype) for _ in range(2))
        spent = {forward: [], torch.matmul: []}
        for _ in range(repeats):
            for function, arguments, named in ((forward, (transformer, *args), kwargs), (torch.matmul, (a, b), {})):
                start = time.perf_counter()
                function(*arguments, **named)
                spent[function].append(time.perf_counter() - start)
    return float(np.median(spent[forward]) / np.median(spent[torch.matmul]))


def watch_model(renderer, watch: Stopwatch) -> None:
    """Put the watch on the modules of a model's diffusion pipeline; the animatic has none and counts as "other"."""
    if renderer.name == "animatic":
        return
    pipeline = renderer.pipeline
    pipeline.text_encoder.forward = watch.timed("text", pipeline.text_encoder.forward)
    pipeline.transformer.forward = watch.timed("DiT", pipeline.transformer.forward)
    pipeline.vae.decode = watch.timed("decoder", pipeline.vae.decode)


def peak_memory() -> float:
    """MiB this process has held at most."""
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024  # given in KiB
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024  # bytes on a Mac, KiB elsewhere
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def write_song(path: Path, length: float, sr: int = 44100) -> None:
    """Clicks at 120 BPM, the first of four louder, over chords that come and go every eight bars; 16-bit stereo."""
    t = np.arange(round(length * sr)) / sr
    beat = np.floor(t * 2).astype(int)
    click = np.sin(2 * np.pi * 1000 * t) * np.exp(-40 * (t * 2 % 1)) * np.where(beat % 4 == 0, 0.6, 0.35)
    root = 110 * 2.0 ** (np.array([0, 5, 7, 3])[beat // 4 % 4] / 12)
    chord = sum(np.sin(2 * np.pi * np.cumsum(root * ratio) / sr) for ratio in (1, 1.25, 1.5)) / 3
    y = np.clip(click + chord * np.where(beat // 32 % 2, 0.3, 0.06), -1, 1)
    samples = np.repeat((y * 32767).astype("<i2")[:, None], 2, 1)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(sr)
        file.writeframes(samples.tobytes())


# ---------------------------------------------------------------- telling


def print_times(measurements: list[Measurement]) -> None:
    print("seconds of computing per second of film")
    print(f"{'song':>6} {'shots':>6} " + " ".join(f"{part:>9}" for part in (*PARTS, "all")))
    for m in measurements:
        parts = [m.seconds.get(part, 0) / m.film for part in PARTS]
        print(f"{m.film:5.0f}s {m.shots:6d} " + " ".join(f"{part:9.3f}" for part in (*parts, sum(parts))))


def print_memory(measurements: list[Measurement]) -> float:
    """Returns the growth in MiB from the shortest song to the costliest one."""
    print("\npeak memory of the process after each stage, MiB")
    stages = list(measurements[0].memory)
    print(f"{'song':>6} " + " ".join(f"{stage:>10}" for stage in stages))
    for m in measurements:
        print(f"{m.film:5.0f}s " + " ".join(f"{m.memory[stage]:10.0f}" for stage in stages))
    growth = max(m.peak for m in measurements) - min(measurements, key=lambda m: m.film).peak
    if len(measurements) > 1:
        print(f"growth with length: {growth:.0f} MiB (at most {GROWTH_LIMIT} are allowed)")
    return growth


if __name__ == "__main__":
    main()
