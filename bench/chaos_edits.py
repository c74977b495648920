"""SIGKILL while somebody edits: is every edit there that was done?

    python bench/chaos_edits.py --kills 30          writes bench/results/chaos-edits.json

A process edits a plan of sixty shots as fast as it can, with an undo now and then, as the page does, and says each
revision when its edit is done. It is killed at a random moment and started again. After each kill the project must open
at the revision said last, or the one after it, with exactly the plan that so many edits make.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
for place in (ROOT, ROOT / "tests"):
    sys.path.insert(0, str(place))

from mv import make  # noqa: E402
from mv.ui import edits  # noqa: E402
from mv.ui.project import Project  # noqa: E402

LONGEST = 1.0  # seconds from the first edit of a process to its end
UNDO = 7  # every so many edits one is taken back


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=ROOT / "bench/results/chaos-edits.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        revisions = run(Path(folder), options.kills, options.seed)
    report = {"kills": len(revisions), "edits": revisions[-1], "revisions found after each kill": revisions}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report) + "\n")
    print(report)


def run(home: Path, kills: int, seed: int) -> list[int]:
    """The revision after each kill."""
    from test_sixty_shots import sixty_shots

    rng, folder = random.Random(seed), home / "film-12345678"
    folder.mkdir()
    first = sixty_shots(folder)
    make.save_plan(first, folder / "plan.json")
    first, found = make.relative_plan(first, folder), []
    for _ in range(kills):
        said = edit_and_kill(home, folder.name, rng.uniform(0.0, LONGEST))
        plan = opened(home, folder.name)
        assert plan.revision in (said, said + 1), f"{said} was said, {plan.revision} is there"
        expected = [prompt_after(plan.revision, place) for place in range(len(first.shots))]
        assert [shot.prompt for shot in plan.shots] == [new or s.prompt for new, s in zip(expected, first.shots)]
        found.append(plan.revision)
    return found


def edit_and_kill(home: Path, name: str, moment: float) -> int:
    """The revision said last."""
    command = [sys.executable, __file__, "--edit", str(home), name]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as editor:
        said = int(editor.stdout.readline())
        time.sleep(moment)
        editor.kill()
        rest = editor.stdout.read().splitlines(keepends=True)
    return max([said, *(int(line) for line in rest if line.endswith("\n"))])


def opened(home: Path, name: str):
    """The plan as the next process finds it."""
    code = f"from mv.ui.project import Project\nprint(Project({str(home)!r}, {name!r}).plan().model_dump_json())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return make.Timeline.model_validate_json(told.stdout)


def is_undo(revision: int) -> bool:
    return revision % UNDO == 0


def prompt_after(revision: int, place: int) -> str:
    """The prompt of a shot in the plan of this revision; "" where no edit has changed it."""
    done = [number for number in range(1, revision + 1) if not is_undo(number) and not taken_back(number, revision)]
    last = max((number for number in done if number % 60 == place), default=0)
    return f"wide shot, desert, edit {last}" if last else ""


def taken_back(number: int, revision: int) -> bool:
    return is_undo(number + 1) and number + 1 <= revision


def be_editor(home: str, name: str) -> None:
    project = Project(home, name)
    print(project.plan().revision, flush=True)
    while True:
        number = project.plan().revision + 1
        if is_undo(number):
            project.undo()
        else:
            prompt = f"wide shot, desert, edit {number}"
            project.edit(lambda plan, number=number, prompt=prompt: edits.set_prompt(plan, number % 60, prompt))
        print(number, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--edit"]:
        be_editor(*sys.argv[2:])
    else:
        main()
