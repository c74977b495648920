"""Move one cut of a 60-shot film: how long until the new film is there, beside the first one.

python bench/edit.py                      writes bench/results/edit.json
python bench/edit.py --model mv-mini --output bench/results/edit-mv-mini.json      with the embedded model

Every frame of the new film outside of the two shots that the cut parts must be that of the first one.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(place))

from mv import make  # noqa: E402
from mv.generation import chosen_take  # noqa: E402
from mv.ui import edits  # noqa: E402


def main() -> None:
    from test_sixty_shots import FPS, SHOTS, sixty_shots

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="animatic")
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/edit.json")
    options = parser.parse_args()
    renderer = make.load_model(options.model)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MV_HOME"] = folder  # no take of another project stands in
        plan = sixty_shots(Path(folder), 288, 160)
        first, made = film(plan, renderer, Path(folder) / "first.mp4")
        moved = edits.move_boundary(made, SHOTS // 2, FPS * (SHOTS // 2) + 3)
        again, remade = film(moved, renderer, Path(folder) / "again.mp4")
        before, after = frame_hashes(Path(folder) / "first.mp4"), frame_hashes(Path(folder) / "again.mp4")
    touched = range(FPS * (SHOTS // 2 - 1), FPS * (SHOTS // 2 + 1))  # frames of the two shots
    assert len(before) == len(after) == plan.num_frames
    others = [before[number] == after[number] for number in range(plan.num_frames) if number not in touched]
    assert all(others), "a frame of another shot has changed"
    kept = sum(chosen_take(a) == chosen_take(b) for a, b in zip(made.shots, remade.shots))
    report = {
        "model": options.model,
        "shots": SHOTS,
        "shots rendered again": SHOTS - kept,
        "frames of the other shots": len(others),
        "the same in both films": sum(others),
        "first film": first,
        "after moving one cut": again,
        "ratio": ratio(first, again, "seconds"),
        "ratio of processor time": ratio(first, again, "processor seconds"),
        "load of the machine": round(os.getloadavg()[0], 1),
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))


def film(plan, renderer, output: Path) -> tuple[dict[str, dict[str, float]], object]:
    """What rendering and assembly took, and the plan with its takes."""
    with timed() as rendering:
        plan = make.generate(plan, renderer)
    with timed() as assembly:
        make.assemble(plan, output)
    return {"render": rendering, "assemble": assembly}, plan


def frame_hashes(film: Path) -> list[str]:
    with av.open(str(film)) as container:
        return [hashlib.sha256(frame.to_ndarray().tobytes()).hexdigest() for frame in container.decode(video=0)]


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Seconds by the clock, and of processors: the latter hardly depend on what else runs."""
    spent: dict[str, float] = {}
    start, processor = time.perf_counter(), time.process_time()
    yield spent
    spent["seconds"] = round(time.perf_counter() - start, 2)
    spent["processor seconds"] = round(time.process_time() - processor, 2)


def ratio(first: dict, again: dict, unit: str) -> float:
    total = lambda film: sum(part[unit] for part in film.values())
    return round(total(again) / total(first), 4)


if __name__ == "__main__":
    main()
