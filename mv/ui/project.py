"""A project of the studio: the work folder of a song (see mv/make.py) with what the page keeps beside it.

    project.json   the wishes on the page
    plan.json      the plan as edited; the worker writes it once, from then on the page does (mv/ui/plans.py)
    rendering.json the plan as it was when rendering began; the worker writes it
    rendered.json  the plan last rendered, with its takes; the worker writes it
    history/       undo and redo
    storyboard/    sheets of animatic frames, one a shot, and the waveform (mv/ui/strips.py)
    pieces/        the film's picture, encoded shot by shot (mv/pieces.py)
    films/         every film made, one for a revision and a model

Each file has one writer at a time, so the page and the worker never need to wait for each other.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from director.casting import print_cast
from mv import make
from mv.errors import Cancelled, InputError
from mv.generation import find_take
from mv.jobs import PLANNING, Job, JobStore, Progress, Report, ShotLedger
from mv.projects import lock, sweep
from mv.schema import Analysis, Document, Take, Timeline, dump_compact
from mv.ui import plans, strips
from mv.ui.edits import fits, shot_signature, with_takes
from mv.ui.history import EditHistory
from mv.ui.older import take_over_history

USERS = "users"  # the folder in the projects' home that holds one for each user, where there are several
NAME = re.compile(rf"(?:{USERS}/\w[\w.-]{{0,59}}/)?\w[\w.-]{{0,99}}")


class Wishes(Document):
    """What the user chose on the page. song, image, references and lyrics are file names in the project's folder."""

    version: Literal[1] = 1
    song: str
    theme: str = ""
    image: str | None = None
    references: dict[str, str] = Field({}, description="further pictures by what they stand for")
    cast: str = Field("", description="as written on the page; see director/casting.py")
    lyrics: str | None = None
    style: str = ""
    pace: float = 1.0
    aspect: str = "16:9"
    size: str = "standard"
    fps: str = "24"
    seed: int = Field(0, ge=0, lt=2**32)
    model: str = "mv-mini"
    steps: int | None = Field(None, ge=1)
    only: list[str] = Field([], description="ids of the shots to render; none: the whole film")

    def for_the_director(self) -> dict:
        """What `make.plan_film` asks for, but for the files."""
        names = ("theme", "style", "pace", "cast", "aspect", "size", "fps", "seed")
        return {name: getattr(self, name) for name in names}


class Project:
    """Files and names only: cheap to make, nothing is kept in memory."""

    def __init__(self, home: str | Path, name: str) -> None:
        """name: below `home`, that of a folder there, or users/<user>/<folder>; see mv/ui/spaces.py.

        Raises InputError for a name that is no project's: it may come from the address of the page.
        """
        self.folder = Path(home).absolute() / name
        self.name = name
        if not NAME.fullmatch(name) or not (self._path("project.json").is_file() or self.planned):
            raise InputError(f"there is no project {name[:80]!r}")

    def _path(self, name: str) -> Path:
        return self.folder / name

    @classmethod
    def start(
        cls,
        song: str | Path,
        image: str | Path | None,
        lyrics: str | Path | None = None,
        references: Mapping[str, str | Path] | None = None,
        within: str = "",
        **choices,
    ) -> "Project":
        """Open the work folder of a song, keep song, pictures and lyrics in it, and note the wishes.

        within: what the project's name begins with; see mv/ui/spaces.py. choices: the other fields of Wishes.
        Raises AudioError, InputError, OutputError before anything is written.
        """
        song = Path(song)
        if song.suffix.lower() in (".json", ".log"):
            raise InputError(f"{song.name}: a project keeps files of its own under such names; rename the song")
        files = {"image": (image, "reference"), "lyrics": (lyrics, "lyrics")}
        names = {what: file and f"{stem}{Path(file).suffix}" for what, (file, stem) in files.items()}
        references = references or {}
        kept = {what: f"reference-{what.replace(' ', '-')}{Path(file).suffix}" for what, file in references.items()}
        wishes = Wishes(song=song.name, references=kept, **names, **choices)
        make.check_wishes(image=image, references=references, lyrics=lyrics, **wishes.for_the_director())
        name = within + make.project_folder(song).name
        folder = make.projects_home() / name
        _copy(song, folder / song.name)
        for what, (file, _) in files.items():
            if file:
                _copy(Path(file), folder / names[what])
        for what, file in references.items():
            _copy(Path(file), folder / kept[what])
        wishes.save(folder / "project.json")
        return cls(make.projects_home(), name)

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
            references=brief.references,
            cast=print_cast(brief.cast),
            lyrics=brief.lyrics,
            style=brief.style,
            pace=brief.pace,
            seed=brief.seed,
            size=size,
            aspect=aspect,
            fps=str(plan.fps),
        )

    def plan(self) -> Timeline:
        """With paths as in the file, relative to this folder: what edits and history work on."""
        return plans.read(self.folder)

    def resolved_plan(self) -> Timeline:
        """With absolute paths: what the stages work on."""
        self.save()
        plan, rendered = make.load_plan(self._path("plan.json")), self.rendered()
        return plan if rendered is None else with_takes(plan, rendered)

    def rendered(self) -> Timeline | None:
        path = self._path("rendered.json")
        return plans.load(path, plans.stamp_of(path)) if path.is_file() else None

    def film(self) -> Path | None:
        """The newest film."""
        return next(iter(self.films()), None)

    def takes(
        self,
        finished: Mapping[str, str] | None = None,
        signature: Callable[[Timeline, int], str] = shot_signature,
    ) -> dict[str, Take]:
        """The take that stands for each shot as the plan is now, by shot id; a shot that has to be rendered has none.

        finished: shot id → take key, of the rendering in work, whose plan is in rendering.json. signature: who knows
        the signatures already may say them.
        """
        plan, find = self.plan(), self.take_finder(finished, signature)
        found = {shot.id: find(plan, index) for index, shot in enumerate(plan.shots)}
        return {shot: take for shot, take in found.items() if take is not None}

    def take_finder(
        self,
        finished: Mapping[str, str] | None = None,
        signature: Callable[[Timeline, int], str] = shot_signature,
    ) -> Callable[[Timeline, int], Take | None]:
        """(plan, index) → the take that stands for the shot. The arguments are those of `takes`."""
        made, files = self._takes_by_signature(finished or {}), self.take_files()

        def find(plan: Timeline, index: int) -> Take | None:
            shot = plan.shots[index]
            chosen = next((take for take in shot.takes if take.key == shot.chosen), None)
            take = chosen if chosen and fits(plan, index, chosen) else None
            if take is None and made:
                take = made.get(signature(plan, index))
            return take if take is not None and take.file in files else None

        return find

    def takes_stamp(self) -> tuple:
        """What tells whether other takes may stand than at an earlier look."""
        stamps = [plans.stamp_of(self._path(name)) for name in ("rendered.json", "rendering.json")]
        return (*stamps, frozenset(self.take_files()))

    def take_files(self) -> set[str]:
        """Names of the takes there are; a take is its file: one that was deleted is none."""
        folder = self._path("takes")
        return set(os.listdir(folder)) if folder.is_dir() else set()

    def _takes_by_signature(self, finished: Mapping[str, str]) -> dict[str, Take]:
        rendered = self._path("rendered.json")
        made = dict(_made(rendered, plans.stamp_of(rendered))) if rendered.is_file() else {}
        rendering = self._path("rendering.json")
        if finished and rendering.is_file():
            stamp = plans.stamp_of(rendering)
            plan, signatures = plans.load(rendering, stamp), _signatures(rendering, stamp)
            for index, shot in enumerate(plan.shots):
                start, stop = plan.span(index)
                if shot.id in finished and (take := _take(self._path("takes"), finished[shot.id], stop - start)):
                    made[signatures[index]] = take
        return made

    def to_render(self, finished: Mapping[str, str] | None = None) -> list[int]:
        """Indices of the shots that have no take of what they show now."""
        standing = self.takes(finished)
        return [index for index, shot in enumerate(self.plan().shots) if shot.id not in standing]

    def analysis(self) -> Analysis:
        path = self.folder / self.plan().analysis
        return _analysis(path, plans.stamp_of(path))

    def films(self) -> list[Path]:
        """The newest first."""
        films = [path for path in self._path("films").glob("*.mp4") if not path.name.startswith(".")]
        return sorted(films, key=lambda path: path.stat().st_mtime, reverse=True)

    # -- changes

    @property
    def history(self) -> EditHistory:
        take_over_history(self._path("history"), self._path("plan.json"))
        return EditHistory(self._path("history"))

    def edit(self, change: Callable[[Timeline], Timeline], name: str = "", group: str = "") -> Timeline:
        """Apply an edit that can be undone; no step where it changes nothing. name, group: see EditHistory.record."""
        before = self.plan()
        after = change(before)
        if after is before or after == before.model_copy(update={"revision": after.revision}):
            return before
        return self._changed(before, after.model_copy(update={"revision": before.revision + 1}), name, group)

    def correct(self, change: Callable[[Analysis], Analysis], name: str = "") -> Timeline:
        """Correct what was heard; the plan is made anew round what is locked or edited. One step to undo.

        Every version of the analysis is a file of its own, so that undo and older takes keep theirs.
        """
        self.save()
        before, heard = self.plan(), self.analysis()
        corrected = change(heard)
        if corrected == heard:
            return before
        tag = hashlib.sha256(dump_compact(corrected).encode()).hexdigest()[:8]
        path = self._path(f"analysis-{tag}.json")
        corrected.save(path)
        planned = make.replan(make.load_plan(self._path("plan.json")), corrected)
        after = make.relative_plan(planned, self.folder).model_copy(update={"analysis": path.name})
        return self._changed(before, after.model_copy(update={"revision": before.revision + 1}), name)

    def plan_again(self) -> Timeline:
        """The director's plan for the same song and wishes; what is locked or edited stays."""
        self.save()
        before = self.plan()
        planned = make.replan(make.load_plan(self._path("plan.json")), self.analysis())
        after = make.relative_plan(planned, self.folder).model_copy(update={"revision": before.revision + 1})
        return self._changed(before, after, "planned again")

    def _changed(self, before: Timeline, after: Timeline, name: str = "", group: str = "") -> Timeline:
        history = self.history  # before the plan's file is noted to be as new as the journal
        plans.begin(self.folder)
        history.record(before, after, name, group)
        plans.change(self.folder, after)
        return after

    def save(self) -> None:
        """Write plan.json where edits are ahead of it: before another process reads it. Raises OutputError."""
        plans.save(self.folder)

    def undo(self) -> Timeline:
        return self._step(self.history.undo)

    def redo(self) -> Timeline:
        return self._step(self.history.redo)

    def _step(self, step: Callable[[Timeline], Timeline]) -> Timeline:
        plans.begin(self.folder)
        plan = step(self.plan())
        plans.change(self.folder, plan)
        return plan

    def keep_picture(self, picture: Path) -> str:
        """Copy a picture into the project; returns its name there. Raises InputError for what is none."""
        from mv.reference import read_image

        read_image(picture)
        digest = hashlib.sha256(picture.read_bytes()).hexdigest()[:12]
        name = f"reference-{digest}{picture.suffix.lower()}"
        _copy(picture, self._path(name))
        return name

    def delete_take(self, key: str) -> None:
        """Remove the file of a take; this cannot be undone. Raises InputError where no shot has it."""
        takes = [take for shot in self.plan().shots for take in shot.takes if take.key == key]
        if not takes or takes[0].file not in self.take_files():
            raise InputError(f"there is no take {key[:16]!r}")
        self._path("takes").joinpath(takes[0].file).unlink(missing_ok=True)

    def adopt(self, plan: Timeline) -> Timeline:
        """A new plan of the director: an edit like any other, so that undo brings the old one back."""
        if not self.planned:
            make.save_plan(plan, self._path("plan.json"))
            return plan
        before = self.plan()
        plan = plan.model_copy(update={"revision": before.revision + 1})
        self._changed(before, make.relative_plan(plan, self.folder), "planned anew")
        self.save()
        return plan

    def keep_rendered(self, plan: Timeline) -> None:
        make.save_plan(plan, self._path("rendered.json"))

    def film_path(self, plan: Timeline, model: str) -> Path:
        model = re.sub(r"[^\w.-]+", "-", model)
        return self._path("films") / f"{self.folder.name}-r{plan.revision}-{plan.width}x{plan.height}-{model}.mp4"


@lru_cache(maxsize=16)
def _signatures(path: Path, stamp: str) -> list[str]:
    plan = plans.load(path, stamp)
    return [shot_signature(plan, index) for index in range(len(plan.shots))]


@lru_cache(maxsize=8)
def _made(path: Path, stamp: str) -> dict[str, Take]:
    """Signature → the take of a finished rendering."""
    made = {}
    for shot, signature in zip(plans.load(path, stamp).shots, _signatures(path, stamp)):
        take = next((take for take in shot.takes if take.key == shot.chosen), None)
        if take is not None:
            made[signature] = take
    return made


@lru_cache(maxsize=8)
def _analysis(path: Path, stamp: str) -> Analysis:
    return Analysis.load(path)


@lru_cache(maxsize=4096)
def _take(folder: Path, key: str, num_frames: int) -> Take | None:
    return find_take(folder, key, num_frames)


def projects(home: str | Path, within: str = "") -> list[str]:
    """Names of all projects that begin with `within` (see mv/ui/spaces.py), the last one worked on first."""
    folder = Path(home) / within
    found = [path for name in ("project.json", "plan.json") for path in folder.glob(f"*/{name}")]
    newest: dict[str, float] = {}
    for path in found:
        name = within + path.parent.name
        with suppress(FileNotFoundError):  # its folder is being removed
            newest[name] = max(newest.get(name, 0.0), path.stat().st_mtime)
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
    "sketch": "Drawing the waveform",
    "load": "Loading the model",
    "generate": "Rendering",
    "assemble": "Putting the film together",
}


def run_job(store: JobStore, job: Job, report: Report, cancelled: Callable[[], bool]) -> None:
    """A plan, make or render job of a project; on PLANNING no more than the plan. Raises MusicVideoError; Cancelled at
    a step's next sign of progress."""
    project = Project(store.home, job.project)
    with lock(project.folder, "the studio"):
        sweep(project.folder)
        teller = Teller(job.kind, report, cancelled)
        if job.kind != "render" and not job.planned:
            _plan(project, teller)
            store.mark_planned(job.id)
        if job.kind != "plan" and job.device != PLANNING:
            _render(project, teller, ShotLedger(store, job))


def _plan(project: Project, tell: "Teller") -> None:
    wishes = project.wishes()
    files = {
        what: name and project.folder / name for what, name in (("image", wishes.image), ("lyrics", wishes.lyrics))
    }
    files["references"] = {what: project.folder / name for what, name in wishes.references.items()}
    plan = make.plan_film(project.folder / wishes.song, on_step=tell.step, **files, **wishes.for_the_director())
    project.adopt(plan)
    tell("sketch", 0.0)
    strips.save_peaks(plan.song, project.folder)
    tell("sketch", 1.0)


def _render(project: Project, tell: "Teller", ledger: ShotLedger) -> None:
    """The shots the page asked for, or the whole film."""
    wishes, plan, standing = project.wishes(), project.resolved_plan(), project.takes()
    only = [shot.id for shot in plan.shots if shot.id in wishes.only]
    if wishes.only and not only:
        raise InputError("the shots to render are not in the plan any more; choose others")
    # A take that the user chose, or of a locked shot, stands; so does every take of a shot that is not asked for.
    kept = {
        shot.id: standing[shot.id]
        for index, shot in enumerate(plan.shots)
        if (shot.chosen or shot.locked or (only and shot.id not in only))
        and shot.id in standing
        and fits(plan, index, standing[shot.id])  # the page may have moved a cut between two looks at the plan
    }
    tell("load", 0.0)
    renderer = make.load_model(wishes.model, wishes.steps)
    make.save_plan(plan, project.folder / "rendering.json")

    def on_progress(p: make.Progress) -> None:
        tell("generate", p.share, make.generation_words(p))

    plan = make.generate(
        plan,
        renderer,
        only=only or None,
        kept=kept,
        on_progress=on_progress,
        cancelled=tell.cancelled,
        ledger=ledger,
    )
    project.keep_rendered(plan)
    if not only:
        film = project.film_path(plan, wishes.model)
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
