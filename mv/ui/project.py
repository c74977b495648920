"""A project of the studio: the work folder of a song (see mv/make.py) with what the page keeps beside it.

    project.json   the wishes on the page
    plan.json      the plan as edited; the worker writes it once, from then on the page does
    rendered.json  the plan last rendered, with its takes; the worker writes it
    history/       undo and redo
    storyboard/    sketches, and the picture of the analysis
    films/         every film made, one for a revision and a model

Each file has one writer at a time, so the page and the worker never need to wait for each other.
"""

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import Field

from mv import make
from mv.errors import Cancelled, InputError
from mv.jobs import Job, JobStore, Progress, Report
from mv.schema import Analysis, Document, Timeline
from mv.ui.edits import EditHistory, shot_signature, with_takes


class Wishes(Document):
    """What the user chose on the page. song and image are file names in the project's folder."""

    version: Literal[1] = 1
    song: str
    theme: str = ""
    image: str | None = None
    aspect: str = "16:9"
    size: str = "standard"
    fps: str = "24"
    seed: int = Field(0, ge=0, lt=2**32)
    model: str = "mv-mini"
    steps: int | None = Field(None, ge=1)


class Project:
    """Files and names only: cheap to make, nothing is kept in memory."""

    def __init__(self, home: str | Path, name: str) -> None:
        """Raises InputError for a name that is no project's: it may come from the address of the page."""
        self.folder = Path(home).absolute() / name
        self.name = name
        if not re.fullmatch(r"\w[\w.-]{0,99}", name) or not (self._path("project.json").is_file() or self.planned):
            raise InputError(f"there is no project {name[:80]!r} in {home}")

    def _path(self, name: str) -> Path:
        return self.folder / name

    @classmethod
    def start(cls, song: str | Path, image: str | Path | None, **choices) -> "Project":
        """Open the work folder of a song, keep song and image in it, and note the wishes.

        choices: the other fields of Wishes. Raises AudioError, InputError, OutputError before anything is written.
        """
        song = Path(song)
        if song.suffix.lower() in (".json", ".log"):
            raise InputError(f"{song.name}: a project keeps files of its own under such names; rename the song")
        wishes = Wishes(song=song.name, image=image and f"reference{Path(image).suffix}", **choices)
        asked = {name: getattr(wishes, name) for name in ("theme", "aspect", "size", "fps", "seed")}
        make.check_wishes(image=image, **asked)
        folder = make.project_folder(song)
        _copy(song, folder / song.name)
        if image:
            _copy(Path(image), folder / wishes.image)
        wishes.save(folder / "project.json")
        return cls(folder.parent, folder.name)

    # -- what is there

    @property
    def planned(self) -> bool:
        return self._path("plan.json").is_file()

    def wishes(self) -> Wishes:
        """As last chosen; for a project of the command line, what its plan says."""
        if self._path("project.json").is_file():
            return Wishes.load(self._path("project.json"))
        plan = self.plan()
        size, aspect = _preset(plan.width, plan.height)
        brief = plan.brief
        return Wishes(
            song=plan.song,
            theme=brief.theme,
            image=brief.image,
            seed=brief.seed,
            size=size,
            aspect=aspect,
            fps=str(plan.fps),
        )

    def plan(self) -> Timeline:
        """With paths as in the file, relative to this folder: what edits and history work on."""
        plan = Timeline.load(self._path("plan.json"))
        rendered = self.rendered()
        return plan if rendered is None else with_takes(plan, rendered)

    def resolved_plan(self) -> Timeline:
        """With absolute paths: what the stages work on."""
        return make.load_plan(self._path("plan.json"))

    def analysis(self) -> Analysis:
        return make.read_analysis(self.resolved_plan())

    def rendered(self) -> Timeline | None:
        path = self._path("rendered.json")
        return Timeline.load(path) if path.is_file() else None

    def film(self) -> Path | None:
        """The newest film."""
        films = [path for path in self._path("films").glob("*.mp4") if not path.name.startswith(".")]
        return max(films, key=lambda path: path.stat().st_mtime, default=None)

    def to_render(self) -> list[int]:
        """Indices of the shots that differ from the last rendering."""
        plan, rendered = self.plan(), self.rendered()
        if rendered is None:
            return list(range(len(plan.shots)))
        known = {shot_signature(rendered, index) for index in range(len(rendered.shots))}
        return [index for index in range(len(plan.shots)) if shot_signature(plan, index) not in known]

    # -- pictures

    @property
    def analysis_picture(self) -> Path:
        return self._path("storyboard") / "analysis.png"

    def storyboard(self) -> list[Path]:
        """One sketch per shot; those of changed shots are drawn now."""
        from mv.ui.pictures import storyboard

        return storyboard(self.resolved_plan(), self.analysis(), self._path("storyboard"))

    def draw_analysis(self) -> None:
        from mv.audio import mono, read_audio
        from mv.ui.pictures import WIDTH, draw_analysis, save_picture, waveform_peaks

        plan = self.resolved_plan()
        y = mono(read_audio(plan.song, sr=11025))
        save_picture(draw_analysis(make.read_analysis(plan), waveform_peaks(y, 2 * WIDTH)), self.analysis_picture)

    # -- changes

    @property
    def history(self) -> EditHistory:
        return EditHistory(self._path("history"))

    def edit(self, change: Callable[[Timeline], Timeline]) -> Timeline:
        """Apply an edit that can be undone; no step where it changes nothing."""
        before = self.plan()
        after = change(before)
        if after is not before:
            self.history.record(before)
            after.save(self._path("plan.json"))
        return after

    def undo(self) -> Timeline:
        return self._restored(self.history.undo(self.plan()))

    def redo(self) -> Timeline:
        return self._restored(self.history.redo(self.plan()))

    def _restored(self, plan: Timeline) -> Timeline:
        plan.save(self._path("plan.json"))
        return plan

    def adopt(self, plan: Timeline) -> Timeline:
        """A new plan of the director: an edit like any other, so that undo brings the old one back."""
        if self.planned:
            before = self.plan()
            self.history.record(before)
            plan = plan.model_copy(update={"revision": before.revision + 1})
        make.save_plan(plan, self._path("plan.json"))
        return plan

    def sweep(self) -> None:
        """Remove what a worker that was ended in the middle of a file left: whole_file's temporary files."""
        for folder in ("takes", "films"):
            for path in self._path(folder).glob(".*.mp4"):
                path.unlink(missing_ok=True)

    def keep_rendered(self, plan: Timeline) -> None:
        make.save_plan(plan, self._path("rendered.json"))

    def film_path(self, revision: int, model: str) -> Path:
        model = re.sub(r"[^\w.-]+", "-", model)
        return self._path("films") / f"{self.name}-r{revision}-{model}.mp4"


def projects(home: str | Path) -> list[str]:
    """Names of all projects, the last one worked on first."""
    found = [path for name in ("project.json", "plan.json") for path in Path(home).glob(f"*/{name}")]
    newest: dict[str, float] = {}
    for path in found:
        newest[path.parent.name] = max(newest.get(path.parent.name, 0.0), path.stat().st_mtime)
    return sorted(newest, key=newest.__getitem__, reverse=True)


def _preset(width: int, height: int) -> tuple[str, str]:
    for size, aspects in make.SIZES.items():
        for aspect, shape in aspects.items():
            if shape == (width, height):
                return size, aspect
    return "standard", "16:9"


def _copy(source: Path, target: Path) -> None:
    from mv.video import whole_file

    if target.exists() and target.samefile(source):
        return
    with whole_file(target) as temporary:
        shutil.copyfile(source, temporary)


# ---------------------------------------------------------------- the worker's side


# Share of the whole bar that each step takes, and what it is called.
_STEPS = {
    "plan": {"listen": 0.80, "direct": 0.05, "sketch": 0.15},
    "make": {"listen": 0.12, "direct": 0.01, "sketch": 0.02, "load": 0.01, "generate": 0.78, "assemble": 0.06},
    "render": {"load": 0.02, "generate": 0.90, "assemble": 0.08},
}
_NAMES = {
    "listen": "Listening to the song",
    "direct": "Planning the shots",
    "sketch": "Drawing the storyboard",
    "load": "Loading the model",
    "generate": "Rendering",
    "assemble": "Putting the film together",
}


def run_job(store: JobStore, job: Job, report: Report, cancelled: Callable[[], bool]) -> None:
    """A plan, make or render job of a project. Raises MusicVideoError; Cancelled at a step's next sign of progress."""
    project = Project(store.home, job.project)
    project.sweep()
    teller = Teller(job.kind, report, cancelled)
    if job.kind != "render" and not job.planned:
        _plan(project, teller)
        store.mark_planned(job.id)
    if job.kind != "plan":
        _render(project, teller)


def _plan(project: Project, tell: "Teller") -> None:
    wishes = project.wishes()
    asked = {name: getattr(wishes, name) for name in ("theme", "aspect", "size", "fps", "seed")}
    image = wishes.image and project.folder / wishes.image
    plan = make.plan_film(project.folder / wishes.song, image=image, on_step=tell.step, **asked)
    tell("sketch", 0.0)
    project.adopt(plan)
    project.draw_analysis()
    tell("sketch", 0.5)
    project.storyboard()
    tell("sketch", 1.0)


def _render(project: Project, tell: "Teller") -> None:
    wishes, plan = project.wishes(), project.resolved_plan()
    tell("load", 0.0)
    renderer = make.load_model(wishes.model, wishes.steps)

    def on_progress(p: make.Progress) -> None:
        tell("generate", p.share, f"shot {min(p.shots_done + 1, p.num_shots)} of {p.num_shots}")

    plan = make.generate(plan, renderer, on_progress=on_progress, cancelled=tell.cancelled)
    project.keep_rendered(plan)
    film = project.film_path(plan.revision, wishes.model)
    make.assemble(plan, film, on_progress=lambda share: tell("assemble", share), cancelled=tell.cancelled)


class Teller:
    """Steps of the stages → one bar, the time left of the step in hand, and a chance to cancel at each sign of life."""

    def __init__(self, kind: str, report: Report, cancelled: Callable[[], bool]) -> None:
        self.shares, self.report, self.cancelled = _STEPS[kind], report, cancelled
        self._stage, self._since = "", 0.0

    def step(self, step: make.Step) -> None:
        self(step.stage, step.share, step.text)

    def __call__(self, stage: str, share: float, text: str = "") -> None:
        if self.cancelled():
            raise Cancelled("stopped by the user")
        if stage != self._stage:
            self._stage, self._since = stage, time.monotonic()
        spent = time.monotonic() - self._since
        # Before a few seconds and a few hundredths the guess would jump about.
        eta = spent * (1 - share) / share if spent > 2 and share > 0.02 else None
        done = sum(list(self.shares.values())[: list(self.shares).index(stage)])
        words = f"{_NAMES[stage]}, {text}" if text and share < 1 else _NAMES[stage]
        self.report(Progress(words, done + self.shares[stage] * share, eta))
