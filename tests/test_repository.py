"""What holds for the repository as a whole: sizes, pins, the direction of imports, no pickles, working commands."""

import ast
import functools
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MIB = 2**20
README = (ROOT / "README.md").read_text()
PROGRAM = ("app.py", "mv", "director")
SOURCES = (*PROGRAM, "bench", "tests", "assets")

BASE = ("mv.errors", "mv.timing", "mv.schema")
# Part of the program: the only parts of it that it may import. A part may always import itself.
MAY_IMPORT = {
    "mv.errors": (),
    "mv.timing": ("mv.errors",),
    "mv.schema": ("mv.errors", "mv.timing"),
    "mv.camera": BASE,
    "mv.audio": BASE,
    "mv.video": BASE,
    "mv.world": (*BASE, "mv.camera"),
    "mv.analysis": (*BASE, "mv.audio"),
    "director": (*BASE, "mv.camera", "mv.world.vocabulary"),
    "mv.projects": (*BASE, "mv.video"),
    "mv.archive": (*BASE, "mv.projects", "mv.video"),
    "mv.devices": (*BASE, "mv.projects"),
    "mv.generation": (*BASE, "mv.camera", "mv.devices", "mv.projects", "mv.video"),
    "mv.executors": (*BASE, "mv.devices", "mv.generation", "mv.video"),
    "mv.animatic": (*BASE, "mv.camera", "mv.generation", "mv.world"),
    "mv.pieces": (*BASE, "mv.video"),
    "mv.assembly": (*BASE, "mv.audio", "mv.video", "mv.generation", "mv.pieces", "mv.lyrics"),
    "mv.export": (*BASE, "mv.video"),
    "mv.windows": BASE,
    "mv.checkpoints": (*BASE, "mv.video"),
}
# Part of the program: what it may never import; for the parts with many collaborators.
MAY_NOT_IMPORT = {
    "mv.model": ("mv.ui", "mv.make", "mv.cli", "director"),
    "mv.pipeline": ("mv.ui", "mv.make", "mv.cli", "director"),
    "mv.train": ("mv.ui", "mv.make", "mv.cli", "director"),
    "mv.make": ("mv.ui", "mv.cli"),
    "mv.jobs": ("mv.cli", "mv.model", "mv.pipeline", "director"),
}
# Heavy package: the only parts of the program that may use it.
MAY_BE_USED_BY = {
    "torch": (
        "mv.analysis.network",
        "mv.analysis.transcribe",
        "mv.model",
        "mv.pipeline",
        "mv.windows",
        "mv.checkpoints",
        "mv.train",
        "mv.measure",
        "mv.doctor",
    ),
    "diffusers": ("mv.model", "mv.pipeline", "mv.train", "mv.doctor"),
    "gradio": ("mv.ui", "app"),
    "ray": ("mv.executors",),
}


def python_files(*roots: str) -> list[Path]:
    return sorted(
        path for root in roots for path in ([ROOT / root] if root.endswith(".py") else (ROOT / root).rglob("*.py"))
    )


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(source: str) -> Iterator[str]:
    """Every module a source names in an import at any depth; `from a import b` gives a.b where that is a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield from (_module_of(node.module, alias.name) for alias in node.names)


def _module_of(package: str, name: str) -> str:
    inside = ROOT / package.replace(".", "/") / name
    return f"{package}.{name}" if inside.is_dir() or inside.with_suffix(".py").is_file() else package


def within(module: str, parts: tuple[str, ...]) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def wrong_imports(module: str, source: str) -> list[str]:
    """The imports of a module that go against the tables above."""
    wrong = []
    for name in imported_modules(source):
        if within(name, ("mv", "director", "app")):
            allowed = [targets for part, targets in MAY_IMPORT.items() if within(module, (part,))]
            if allowed and not within(name, (*allowed[0], *(part for part in MAY_IMPORT if within(module, (part,))))):
                wrong.append(name)
            wrong += [
                name for part, targets in MAY_NOT_IMPORT.items() if within(module, (part,)) and within(name, targets)
            ]
        users = MAY_BE_USED_BY.get(name.partition(".")[0])
        if users and not within(module, users):
            wrong.append(name)
    return wrong


@pytest.mark.parametrize("path", python_files(*PROGRAM), ids=module_name)
def test_imports_point_one_way(path):
    assert wrong_imports(module_name(path), path.read_text()) == []


@pytest.mark.parametrize(
    "module, source",
    [
        ("director.planner", "from mv.model import catalog"),
        ("director.planner", "from mv.world.render import draw"),
        ("mv.world.render", "def draw():\n    import torch.nn"),
        ("mv.timing", "from mv.schema import Shot"),
        ("mv.generation", "import mv.pipeline"),
        ("mv.make", "from mv.ui.blocks import launch"),
        ("mv.analysis.beats", "import gradio as gr"),
    ],
)
def test_a_wrong_import_is_found(module, source):
    assert wrong_imports(module, source)


def test_importing_the_program_loads_nothing_heavy():
    light = (
        "mv, mv.schema, mv.camera, mv.audio, mv.analysis, mv.generation, mv.make, mv.cli, director, mv.world.vocabulary"
    )
    heavy = ["torch", "diffusers", "transformers", "gradio", "librosa", "numba", "moviepy", "cv2"]
    code = f"import sys, {light}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- no code from files

UNPICKLING_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib"}
UNPICKLING_CALLS = {
    "torch.load",
    "torch.hub.load",
    "torch.jit.load",
    "pandas.read_pickle",
    "pd.read_pickle",
    "yaml.load",
}


def code_loading(source: str) -> list[str]:
    """What in a source could run code out of a file: unpickling, eval and exec, allow_pickle, weights_only=False."""
    found = [name for name in imported_modules(source) if name.partition(".")[0] in UNPICKLING_MODULES]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found += [a.name for a in node.names if f"{node.module}.{a.name}" in UNPICKLING_CALLS]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            found += [called] if called in UNPICKLING_CALLS | {"eval", "exec"} else []
            found += [k.arg for k in node.keywords if k.arg == "allow_pickle" and ast.unparse(k.value) != "False"]
            found += [k.arg for k in node.keywords if k.arg == "weights_only" and ast.unparse(k.value) != "True"]
    return found


@pytest.mark.parametrize("path", python_files(*PROGRAM), ids=module_name)
def test_no_code_is_loaded_from_files(path):
    assert code_loading(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.load('x.pt', weights_only=True)",
        "from torch import load",
        "import pickle",
        "def f():\n    from pickle import loads",
        "np.load(p, allow_pickle=True)",
        "eval(text)",
    ],
)
def test_code_loading_is_found(source):
    assert code_loading(source)


def test_a_models_eval_mode_is_no_code_loading():
    assert code_loading("model.eval()\nnp.load(p, allow_pickle=False)") == []


# ---------------------------------------------------------------- size and pins


def committed_files() -> list[Path]:
    """All that git tracks or would track after `git add .`"""
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    return [ROOT / name for name in set(names) if name and (ROOT / name).is_file()]


def test_the_repository_stays_small():
    sizes = {path: path.stat().st_size for path in committed_files()}
    assert ROOT / "README.md" in sizes
    assert {str(path): size for path, size in sizes.items() if size > 16 * MIB} == {}
    assert sum(sizes.values()) < 60 * MIB


def requirements(name: str) -> dict[str, str]:
    """Package → what follows its name, of one requirements file, without comments and -r lines."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / name).read_text().splitlines()]
    matches = [re.match(r"([A-Za-z0-9._-]+)(.*)", line) for line in lines if line and not line.startswith("-r ")]
    return {normalised(match[1]): match[2] for match in matches}


@functools.cache
def packages_of() -> dict[str, list[str]]:
    """Module → installed packages that hold it."""
    return dict(importlib.metadata.packages_distributions())


def normalised(package: str) -> str:
    return re.sub(r"[-_.]+", "-", package).lower()


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", "requirements-cluster.txt"])
def test_every_requirement_is_pinned_exactly(name):
    pins = requirements(name)
    assert pins
    assert {p: v for p, v in pins.items() if not re.fullmatch(r"==\d+(\.\d+)+", v)} == {}


@pytest.mark.parametrize(
    "roots, files",
    [
        (PROGRAM, ["requirements.txt", "requirements-cluster.txt"]),
        (("bench", "tests", "assets"), ["requirements.txt", "requirements-dev.txt", "requirements-cluster.txt"]),
    ],
    ids=["program", "development"],
)
def test_everything_imported_is_required(roots, files):
    required = {package for name in files for package in requirements(name)}
    ours = {"mv", "director", "app", *(path.stem for path in python_files("tests", "bench"))}
    unpinned = {}
    for path in python_files(*roots):
        for module in {name.partition(".")[0] for name in imported_modules(path.read_text())}:
            packages = {normalised(package) for package in packages_of().get(module, [module])}
            if module not in sys.stdlib_module_names and module not in ours and not packages & required:
                unpinned[module] = module_name(path)
    assert unpinned == {}


# ---------------------------------------------------------------- the README and the commands


def readme_blocks(language: str) -> list[str]:
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [text for name, text in blocks if name == language]


def test_the_readmes_python_names_what_the_library_has():
    import mv

    (source,) = readme_blocks("python")
    names = [a.name for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom) for a in n.names]
    assert len([line for line in source.splitlines() if line.strip()]) == 5
    assert set(names) >= {"analyze", "direct", "generate", "assemble"}
    assert all(callable(getattr(mv, name)) for name in names)


def test_the_readmes_commands_exist():
    from typer.main import get_command

    from mv.cli import app

    used = set(re.findall(r"python -m mv ([a-z]+)", README))
    assert used >= {"analyze", "plan", "animatic", "render", "make", "models", "doctor", "studio", "train"}
    command = get_command(app)
    assert used <= set(command.list_commands(command.make_context("mv", [], resilient_parsing=True)))


def test_the_readmes_links_lead_somewhere():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_readmes_tree_is_the_repository():
    (tree,) = (block for block in readme_blocks("") if "mv/schema.py" in block)
    paths = [line.split()[0] for line in tree.splitlines() if line and not line.startswith(" ")]
    assert len(paths) > 15
    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.fixture
def checkout(tmp_path) -> Path:
    """The Makefile in a folder whose .venv is ready and whose python prints its arguments, one per line."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    folder = tmp_path / "a checkout"
    (folder / ".venv/bin").mkdir(parents=True)
    for name in ("Makefile", "requirements.txt", "requirements-dev.txt"):
        shutil.copyfile(ROOT / name, folder / name)
        os.utime(folder / name, (0, 0))
    python = folder / ".venv/bin/python"
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    python.chmod(0o755)
    (folder / ".venv/ready").touch()
    (folder / ".venv/ready-dev").touch()
    return folder


def run_make(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", ["film", "studio", "test", "lint", "format", "doctor", "help", "clean"])
def test_make_targets_exist(checkout, target):
    assert run_make(checkout, "-n", target).returncode == 0


def test_plain_make_explains_itself(checkout):
    assert "make film SONG=" in run_make(checkout).stdout


@pytest.mark.parametrize(
    "song", ["my song.mp3", 'it\'s "live".mp3', "$HOME `id` $(x).ogg", "-dash.wav", "ünï/côde.flac"]
)
def test_make_film_hands_over_any_song_path(checkout, song):
    wishes = ["THEME=rain & 'neon'", "STEPS=4", "OUT=my film.mp4"]
    arguments = run_make(checkout, "film", f"SONG={song}", *wishes).stdout.splitlines()
    assert arguments[:3] == ["-m", "mv", "make"]
    assert arguments[-2:] == ["--", song]
    assert arguments[arguments.index("--theme") + 1] == "rain & 'neon'"
    assert arguments[arguments.index("--steps") + 1] == "4"
    assert arguments[arguments.index("-o") + 1] == "my film.mp4"


def test_make_film_without_a_song_takes_the_example():
    example = re.search(r"assets/song/\S+\.\w+", (ROOT / "Makefile").read_text())[0].rstrip(")")
    assert (ROOT / example).is_file()


def test_make_says_which_python_is_needed(checkout):
    shutil.rmtree(checkout / ".venv")
    done = run_make(checkout, "film", "PYTHON=/no/such/python")
    assert done.returncode != 0
    assert "Python 3.11 or later is needed" in done.stderr


def test_the_build_script_is_sound():
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
    assert "make test" in script.read_text()
    assert "make test" in README
