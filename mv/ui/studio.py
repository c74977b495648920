"""What the studio's page does: shows a project, submits jobs, polls, edits.

The page keeps nothing: what it shows is read from the project's folder and the job store, by the project's name in the
address (?project=...), so a reload or another tab comes back to the same place. The editor (static/) and this module
speak in messages: `edit` for what undo takes back, `ask` for everything else; answers and news carry what the page does
not know yet (mv/ui/desk.py). User text goes out as data and is drawn as text.
"""

import functools
import html
import os
import random
import re
import threading
import time
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported; without it Python calls out

import gradio as gr

from mv import make
from mv.archive import import_project
from mv.errors import InputError, MusicVideoError
from mv.jobs import Job, JobStore, Kind, Worker
from mv.model.catalog import MODELS
from mv.timing import clock
from mv.ui import edits, measures, pictures, plans, strips
from mv.ui.deliver import deliver
from mv.ui.desk import Desk, progress_part
from mv.ui.operations import Correction, give_reference, read_operation
from mv.ui.project import Project
from mv.ui.recent import recent_html
from mv.ui.spaces import Spaces
from mv.ui.uploads import uploaded

# An event of the page alone: not in the public API, one after the other.
OPEN = dict(
    api_visibility="private",
    show_progress="hidden",
    queue=True,
    trigger_mode="multiple",
    concurrency_id="opening",
    concurrency_limit=1,
)
QUIET = dict(api_visibility="private", show_progress="hidden", queue=False)
TO_ADDRESS = "(name) => window.MVStudio.opened(name)"
DESKS = 32  # projects kept in memory, a few hundred kilobytes each
EDITS = 200  # in one message
any_seed = random.SystemRandom().getrandbits  # of this many bits; tests put a repeatable one in its place
MAX_STEPS = 1000  # of the solver: as many as a model is trained with
STATUS = 0.5  # seconds for which an edit believes what it knows of the project's job


# What the user chooses for a new film, in the order of the page's fields; also names of Page.
WISHES = (
    "song", "theme", "style", "pace", "image", "cast", "lyrics", "aspect", "size", "seed", "model", "fps", "steps"
)  # fmt: skip


@dataclass
class Page:
    """The components that events read and write."""

    name: gr.Textbox
    recent: gr.HTML
    picker: gr.Dropdown
    song: gr.Audio
    theme: gr.Textbox
    style: gr.Dropdown
    pace: gr.Slider
    image: gr.Image
    pictures: list  # see mv/ui/pictures.py: the files, their names, and what each stands for
    cast: gr.Textbox
    lyrics: gr.File
    aspect: gr.Radio
    size: gr.Dropdown
    seed: gr.Number
    model: gr.Dropdown
    fps: gr.Dropdown
    steps: gr.Number
    make: gr.Button
    plan: gr.Button
    archive: gr.File
    editor: gr.HTML
    news: gr.HTML

    @property
    def wishes(self) -> list:
        return [getattr(self, name) for name in WISHES]


# ---------------------------------------------------------------- what the page is told


def job_part(job: Job | None, ahead: int = 0) -> dict:
    """A job for the status line: words, what is left, and what can be done with it."""
    if job is None:
        return {"id": "", "state": "", "words": "", "left": "", "progress": 0.0, "open": False}
    words, left = job.message, ""
    if job.state == "queued" and ahead:
        left = f"{ahead} job{'s' if ahead > 1 else ''} ahead"
    elif job.state == "running" and job.eta is not None:
        left = f"about {clock(job.eta + 0.5)} left"
    elif job.state == "failed":
        words = f"Failed: {without_folders(job.error)}"
    elif job.state == "done" and job.started and job.finished:
        words = {"plan": "The plan is ready", "make": "The film is ready"}.get(job.kind, "Rendered")
        left = f"took {clock(job.finished - job.started + 0.5)}"
    return {
        "id": job.id,
        "state": job.state,
        "words": words,
        "left": left,
        "progress": round(job.progress, 4),
        "open": job.open,
        "stopping": job.open and (job.cancel or job.pause),
    }


def as_steps(steps: float | None) -> int | None:
    """The field's number; 0 and nothing are the model's own. Raises InputError."""
    if not 0 <= (steps or 0) <= MAX_STEPS:
        raise InputError(f"steps: expected 1 to {MAX_STEPS}, or 0 for the model's own, got {steps:g}")
    return int(steps or 0) or None


def without_folders(message: str) -> str:
    """Messages begin with the path of a file; the page's user knows it by its name alone."""
    return re.sub(r"^(?:/|[A-Za-z]:\\)[^:]*[/\\]([^/\\:]+: )", r"\1", message)


def told(handler):
    """What the user can mend becomes a toast with its line; everything else keeps its traceback."""

    @functools.wraps(handler)
    def wrapper(*values):
        try:
            return handler(*values)
        except MusicVideoError as error:
            raise gr.Error(html.escape(without_folders(str(error))), duration=12, print_exception=False) from None

    return wrapper


def asked(handler):
    """As `told`, and the handler hears which user asks."""

    def wrapper(request: gr.Request, *values):
        return handler(*values, user=request.username or "")

    return told(wrapper)


# ---------------------------------------------------------------- what the page does


class Studio:
    """Handlers of the page's events."""

    def __init__(self, home: Path, worker: Worker, page: Page, apart: bool = False) -> None:
        """apart: every user has projects of their own; `user` is "" where nobody has to log in."""
        self.home, self.store, self.worker, self.page = home, JobStore(home), worker, page
        self.spaces = Spaces(home, apart)
        self.sketcher = strips.Sketcher(home)
        self._desks: dict[str, Desk] = {}  # the last one used stands last
        self._choosing = threading.Lock()
        self._newest: dict[str, tuple[float, Job | None]] = {}  # project → its newest job, and when it was looked up

    def connect(self, blocks: gr.Blocks) -> None:
        p = self.page
        opened = [p.name, p.picker, p.recent, p.archive, *p.wishes, *p.pictures, p.news]
        address = dict(js=TO_ADDRESS, **QUIET)

        blocks.load(told(self.open), None, opened, **OPEN)
        p.picker.input(asked(self.pick), p.picker, opened, **OPEN).then(None, p.name, None, **address)
        p.archive.upload(asked(self.open_archive), p.archive, opened, **OPEN).then(None, p.name, None, **address)
        for button, kind in ((p.make, "make"), (p.plan, "plan")):
            started = button.click(asked(functools.partial(self.start, kind)), [*p.wishes, *p.pictures], opened, **OPEN)
            started.success(None, p.name, None, **address)
        gr.on([p.model.input, p.steps.blur], asked(self.keep_model), [p.name, p.model, p.steps], None, **QUIET)

    def stop(self) -> None:
        self.worker.stop()
        self.sketcher.stop()
        for desk in list(self._desks.values()):
            desk.project.save()

    # -- opening

    def open(self, request: gr.Request) -> dict:
        """The page has loaded: show the project its address names, if any."""
        p, user = self.page, request.username or ""
        names = self.spaces.names(user)
        lists = {
            p.picker: gr.Dropdown(choices=self._choices(user), value=None),
            p.recent: recent_html(self.home, names),
        }
        name = request.query_params.get("project", "")
        return lists | (self.open_named(name, user) if name else {})

    def _choices(self, user: str) -> list[tuple[str, str]]:
        """(label, name) of the user's projects."""
        return [(name.rpartition("/")[2], name) for name in self.spaces.names(user)]

    def pick(self, name: str | None, user: str = "") -> dict:
        """Of the list; none where the list was left without a choice."""
        return self.open_named(name, user) if name else self._nothing()

    def open_named(self, name: str, user: str = "") -> dict:
        project = self.spaces.open(name, user)
        p, wishes = self.page, project.wishes()
        files = {what: getattr(wishes, what) for what in ("song", "image", "lyrics")}
        paths = {what: name and project.folder / name for what, name in files.items()}
        shown = {getattr(p, what): str(path) if path and path.is_file() else None for what, path in paths.items()}
        shown |= {getattr(p, name): getattr(wishes, name) for name in WISHES if name not in files}
        references = {what: project.folder / file for what, file in wishes.references.items()}
        there = {what: path for what, path in references.items() if path.is_file()}
        shown |= dict(zip(p.pictures, pictures.shown(there)))
        shown |= {p.name: name, p.steps: wishes.steps or 0}
        return shown | self._opened(project, user)

    def _nothing(self) -> dict:
        """Every component stays as it is; gradio takes an empty answer for a fault."""
        return {self.page.name: gr.skip()}

    def open_archive(self, archive: str | None, user: str = "") -> dict:
        if not archive:
            return self._nothing()
        name = self.spaces.prefix(user) + import_project(archive, self.spaces.folder(user))
        return {self.page.archive: None} | self.open_named(name, user)

    def start(self, kind: Kind, *values, user: str = "") -> dict:
        """Make or Plan: note the wishes (values as WISHES, then Page.pictures), submit the job, begin to poll."""
        wishes, (files, _, *chosen) = values[: len(WISHES)], values[len(WISHES) :] or (None, None)
        references = pictures.references(files, chosen)
        project, seed = self.prepare(**dict(zip(WISHES, wishes, strict=True)), references=references, user=user)
        self.submit(project, kind)
        return {self.page.seed: seed} | self._opened(project, user)

    def prepare(
        self,
        song: str | None,
        seed: float | None,
        steps: float | None = None,
        image: str | None = None,
        *,
        user: str = "",
        **wishes,
    ) -> tuple[Project, int]:
        """The project with these wishes and the seed used; -1 draws one. Raises what the user can mend."""
        if not song:
            raise InputError("no song yet: upload one, or click an example")
        if (model := wishes.get("model")) not in (known := ["animatic", *MODELS]):
            raise InputError(f"model: expected one of {', '.join(known)}; got {str(model)[:40]!r}")
        if seed is None or not -1 <= seed < 2**32:
            got = "nothing" if seed is None else f"{seed:g}"
            raise InputError(f"seed: expected -1 (random) or 0 to {2**32 - 1}, got {got}")
        seed = any_seed(32) if seed == -1 else int(seed)
        within = self.spaces.prefix(user)
        self._refuse_if_busy(within + make.project_folder(song).name)
        return Project.start(song, image, within=within, seed=seed, steps=as_steps(steps), **wishes), seed

    def keep_model(self, name: str, model: str, steps: float | None, user: str = "") -> None:
        """The next rendering is by this model."""
        if name:
            self._keep_wishes(self.spaces.open(name, user), model=model, steps=as_steps(steps))

    def _keep_wishes(self, project: Project, **changes) -> None:
        project.wishes().model_copy(update=changes).save(project.folder / "project.json")

    def _opened(self, project: Project, user: str) -> dict:
        p = self.page
        news = self._look(project, {})
        return {
            p.name: project.name,
            p.picker: gr.Dropdown(choices=self._choices(user), value=project.name),
            p.news: {**news, "opened": True},
        }

    def _refuse_if_busy(self, name: str) -> None:
        job = self.store.status(name)
        if job is not None and job.open:
            raise InputError("this song is being worked on already; wait until it is done, or cancel it")

    def submit(self, project: Project, kind: Kind, priority: int = 0) -> Job:
        if project.planned:
            project.save()  # the worker reads the file
        job = self.store.submit(project.name, kind, priority)
        self._newest.pop(project.name, None)
        self.worker.ensure()
        return job

    # -- polling

    def poll(self, message: Mapping, user: str = "") -> dict:
        """What is new since the look at which the page was told `seen`; without "job" where nothing is."""
        seen = message.get("seen") if isinstance(message.get("seen"), dict) else {}
        try:
            project = self._project(message, user)
        except InputError:  # its folder was removed
            return {"kind": "news", "seen": seen, "busy": False}
        job = self.store.status(project.name)
        if job is not None and job.open and job.state != "paused":
            self.worker.ensure()
        news = self._look(project, seen)
        return news if news["seen"] != seen else {"kind": "news", "seen": seen, "busy": news["busy"]}

    def _look(self, project: Project, seen: Mapping) -> dict:
        """News of the project. seen: what the page has seen with them; busy: whether more is to come."""
        job, shots = self.store.status(project.name), self.store.shots(project.name)
        part = job_part(job, self.store.ahead(job) if job is not None and job.state == "queued" else 0)
        now = {"job": part, "progress": progress_part(shots, project.folder) if job is not None and job.open else {}}
        news: dict = {"kind": "news", "project": project.name, **now}
        drawing = False
        # A plan in the making is not shown: the old one would look like the new one.
        if project.planned and (job is None or self._is_editable(job)):
            desk = self._desk(project)
            with desk.lock:
                desk.refresh(shots)
                drawn = desk.strips()
                # Which, not how many: an edit's sheets may be drawn anew before the page looks again.
                mark = zlib.crc32(" ".join(drawn).encode())
                since = as_number(seen.get("number"))
                if desk.number != since:
                    news["plan"] = desk.news(since)
                if mark != seen.get("drawn") or desk.number != since:
                    news["strips"] = drawn
                peaks = strips.peaks_path(project.folder).exists()
                now |= {"number": desk.number, "drawn": mark, "peaks": peaks}
                news["peaks"] = peaks
                drawing = len(drawn) < desk.num_shots or not peaks
            if drawing:
                self.sketcher.draw(project.folder)
        return news | {"seen": now, "busy": drawing or part["open"]}

    @staticmethod
    def _is_editable(job: Job) -> bool:
        return job.kind == "render" or job.planned or not job.open

    def _desk(self, project: Project) -> Desk:
        """The one desk of a project. Those least recently used make room, but none that is in use: edits of a project
        wait for each other at its desk."""
        with self._choosing:
            desk = self._desks.pop(project.name, None) or Desk(project)
            idle = [name for name, other in self._desks.items() if not other.lock.locked()]
            for name in idle[: max(0, len(self._desks) + 1 - DESKS)]:
                del self._desks[name]
            self._desks[project.name] = desk
        return desk

    # -- the editor's messages

    def edit(self, message: Mapping, user: str = "") -> dict:
        """Edits, undos and redos, in the order given. Each is acknowledged by its number, with its error or None; the
        plan as it is after them comes along."""
        edits = message.get("edits")
        edits = [one for one in edits if isinstance(one, dict)][:EDITS] if isinstance(edits, list) else []
        done = {"kind": "answer", "acks": [{"seq": one.get("seq"), "error": None} for one in edits]}
        try:
            project = self._to_edit(message, user)
        except MusicVideoError as error:
            return done | {"acks": [{**ack, "error": without_folders(str(error))} for ack in done["acks"]]}
        desk = self._desk(project)
        with desk.lock:
            for one, ack in zip(edits, done["acks"]):
                try:
                    change(project, one)
                except MusicVideoError as error:
                    ack["error"] = without_folders(str(error))
            desk.refresh()
            done["plan"] = desk.news(as_number(message.get("number")))
            done["drawn"] = desk.drawn_of(done["plan"])
        near = as_number(message.get("near"))
        plans.when_saved(project.folder, lambda: self.sketcher.draw(project.folder, near))
        return done

    def ask(self, message: Mapping, user: str = "") -> dict:
        """Everything that undo does not take back."""
        answer = {"kind": "reply", "ack": message.get("seq"), "error": None}
        try:
            answer |= self._answer(message, user)
        except MusicVideoError as error:
            answer["error"] = without_folders(str(error))
        return answer

    def _answer(self, message: Mapping, user: str) -> dict:
        what, project = message.get("ask"), self._project(message, user)
        if what == "look":
            shot = str(message.get("id", ""))[:80]
            self.store.prioritise(project.name, [shot] if shot else [])
        elif what == "render":
            note = self.render(project, message.get("ids"))
            return self._look(project, {"number": as_number(message.get("number"))}) | {"kind": "reply", "note": note}
        elif what == "measure":
            return self._measured(project, str(message.get("id")))
        elif what == "retake":
            self._retake(project, message)
        elif what in ("cancel", "pause", "resume", "retry"):
            job = self.store.status(project.name)
            if job is not None:
                getattr(self.store, what)(job.id)
                self.worker.ensure()
        elif what == "delete take":
            self._refuse_if_busy(project.name)
            project.delete_take(str(message.get("take")))
        elif what == "deliver":
            return {"file": deliver(project, str(message.get("what")))}
        elif what != "sync":
            raise InputError(f"this page asks for something unknown ({str(what)[:40]!r}); reload it")
        return self._look(project, {"number": as_number(message.get("number"))}) | {"kind": "reply"}

    def render(self, project: Project, ids: object) -> str:
        """These shots, or the whole film; takes that still fit are used again. Chosen shots go before whole films: they
        are looked at and waited for. Returns what the user should know; InputError where nothing is to be drawn."""
        self._refuse_if_busy(project.name)
        plan = project.plan()
        wanted = [str(one) for one in ids][: len(plan.shots)] if isinstance(ids, list) else []
        only = [shot.id for shot in plan.shots if shot.id in wanted]
        kept = self._kept(project, only)
        if only and len(kept) == len(only):
            raise InputError(f"nothing to render: {'; '.join(kept)}")
        self._keep_wishes(project, only=only)
        self.submit(project, "render", priority=1 if wanted else 0)
        return f"Rendering all but {len(kept)}: {'; '.join(kept)}" if kept else ""

    @staticmethod
    def _kept(project: Project, ids: list[str]) -> list[str]:
        """Why those of the shots are not rendered whose take stands whatever happens; see _render in project.py."""
        standing, kept = project.takes() if ids else {}, []
        for number, shot in enumerate(project.plan().shots, 1):
            if shot.id in ids and shot.id in standing and shot.locked:
                kept.append(f"shot {number} is locked and keeps its take; unlock it first")
            elif shot.id in ids and shot.id in standing and shot.chosen:
                kept.append(f"shot {number} keeps the take you chose; change the shot, or ask for another take")
        return kept

    def _measured(self, project: Project, shot: str) -> dict:
        """What is known of a shot's takes; what is not is measured from now on. better: see measures.better."""
        plan = project.plan()
        index, files = plan.index(shot), project.take_files()
        takes = [take for take in plan.shots[index].takes if take.file in files and edits.fits(plan, index, take)]
        known = measures.measures_of(project.folder, plan, index, takes)
        if len(known) < len(takes):
            project.save()
            self.sketcher.measure(project.folder, shot)
        return {"measures": known, "unknown": len(takes) - len(known), "better": measures.better()}

    def _retake(self, project: Project, message: Mapping) -> None:
        """Another take of one shot: another seed."""
        self._refuse_if_busy(project.name)
        shot, seed = str(message.get("id")), any_seed(32)
        project.edit(lambda plan: edits.set_seed(plan, plan.index(shot), seed), "another take")
        self.render(project, [shot])

    def _project(self, message: Mapping, user: str) -> Project:
        name = message.get("project")
        if not isinstance(name, str) or not name:
            raise InputError("no project is open: make or plan one first")
        return self.spaces.open(name, user)

    def _to_edit(self, message: Mapping, user: str) -> Project:
        """It has a plan, and no job is making another one."""
        project = self._project(message, user)
        known, job = self._newest.get(project.name, (0.0, None))
        if time.monotonic() - known > STATUS:
            job = self.store.status(project.name)
            self._newest[project.name] = time.monotonic(), job
        if not project.planned or (job is not None and not self._is_editable(job)):
            raise InputError("the plan is being made; edit it when it is there")
        return project


def change(project: Project, message: Mapping) -> None:
    """Do what an edit message says. Raises InputError."""
    op = message.get("op")
    if op in ("undo", "redo"):
        getattr(project, op)()
    elif op == "replan":
        project.plan_again()
    elif op == "reference":
        operation = give_reference(message, project.keep_picture(uploaded(message.get("path"))))
        project.edit(operation.apply, operation.name)
    else:
        operation = read_operation(message)
        if isinstance(operation, Correction):
            project.correct(operation.apply, operation.name)
        else:
            project.edit(operation.apply, operation.name, operation.group)


def as_number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else -1
