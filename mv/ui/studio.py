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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported; without it Python calls out

import gradio as gr

from mv import make
from mv.archive import import_project
from mv.errors import InputError, MusicVideoError
from mv.jobs import Job, JobStore, Kind, Worker
from mv.timing import clock
from mv.ui import edits, strips
from mv.ui.deliver import deliver
from mv.ui.desk import Desk, progress_part
from mv.ui.operations import Correction, give_reference, read_operation
from mv.ui.project import Project, projects
from mv.ui.uploads import uploaded

# An event of the page alone: not in the public API, one after the other.
EDIT = dict(
    api_visibility="private",
    show_progress="hidden",
    queue=True,
    trigger_mode="multiple",
    concurrency_id="edits",
    concurrency_limit=1,
)
ASK = {**EDIT, "concurrency_id": "asks"}
QUIET = dict(api_visibility="private", show_progress="hidden", queue=False)
TO_ADDRESS = "(name) => window.MVStudio.opened(name)"
RECENT = 8  # projects shown on the first screen
DESKS = 8  # projects kept in memory


# What the user chooses for a new film, in the order of the page's fields; also names of Page.
WISHES = (
    "song", "theme", "style", "pace", "image", "lyrics", "aspect", "size", "seed", "model", "fps", "steps"
)  # fmt: skip


@dataclass
class Page:
    """The components that events read and write."""

    name: gr.Textbox
    seen: gr.State
    timer: gr.Timer
    recent: gr.HTML
    picker: gr.Dropdown
    song: gr.Audio
    theme: gr.Textbox
    style: gr.Dropdown
    pace: gr.Slider
    image: gr.Image
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
    reply: gr.HTML
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


def recent_html(home: Path) -> str:
    """The projects worked on last, as links; a plain one where nothing is drawn yet."""
    cards = []
    for name in projects(home)[:RECENT]:
        sheets = sorted((home / name / "storyboard").glob("*.jpg"), key=lambda path: -path.stat().st_size)
        picture = f'<img src="gradio_api/file={quote(str(sheets[0]))}" alt="" loading="lazy">' if sheets else ""
        title = html.escape(re.sub(r"-[0-9a-f]{8}$", "", name))
        cards.append(f'<a href="?project={quote(name)}"><span class="frame">{picture}</span><b>{title}</b></a>')
    return f'<h3>Recent projects</h3><div class="mv-recent">{"".join(cards)}</div>' if cards else ""


def as_steps(steps: float | None) -> int | None:
    """The field's number; 0 and nothing are the model's own. Raises InputError."""
    if steps and steps < 0:
        raise InputError(f"steps: expected 1 or more, or 0 for the model's own, got {steps:g}")
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


# ---------------------------------------------------------------- what the page does


class Studio:
    """Handlers of the page's events."""

    def __init__(self, home: Path, worker: Worker, page: Page) -> None:
        self.home, self.store, self.worker, self.page = home, JobStore(home), worker, page
        self.sketcher = strips.Sketcher()
        self._desks: dict[str, Desk] = {}

    def connect(self, blocks: gr.Blocks) -> None:
        p = self.page
        opened = [p.name, p.picker, p.recent, p.archive, *p.wishes, p.news, p.seen, p.timer]
        address = dict(js=TO_ADDRESS, **QUIET)

        blocks.load(told(self.open), None, opened, **EDIT)
        p.picker.input(told(self.open_named), p.picker, opened, **EDIT).then(None, p.name, None, **address)
        p.archive.upload(told(self.open_archive), p.archive, opened, **EDIT).then(None, p.name, None, **address)
        for button, kind in ((p.make, "make"), (p.plan, "plan")):
            started = button.click(told(functools.partial(self.start, kind)), p.wishes, opened, **EDIT)
            started.success(None, p.name, None, **address)
        gr.on([p.model.input, p.steps.input], told(self.keep_model), [p.name, p.model, p.steps], None, **QUIET)
        p.timer.tick(self.poll, [p.name, p.seen], [p.news, p.seen, p.timer], trigger_mode="once", **QUIET)
        p.editor.edit(self.edit, None, [p.editor, p.timer], **EDIT)
        p.editor.ask(self.ask, None, [p.reply, p.timer], **ASK)

    def stop(self) -> None:
        self.worker.stop()
        self.sketcher.stop()

    # -- opening

    def open(self, request: gr.Request) -> dict:
        """The page has loaded: show the project its address names, if any."""
        p = self.page
        lists = {p.picker: gr.Dropdown(choices=projects(self.home), value=None), p.recent: recent_html(self.home)}
        name = request.query_params.get("project", "")
        return lists | (self.open_named(name) if name else {})

    def open_named(self, name: str) -> dict:
        project = Project(self.home, name)
        p, wishes = self.page, project.wishes()
        files = {what: getattr(wishes, what) for what in ("song", "image", "lyrics")}
        paths = {what: name and project.folder / name for what, name in files.items()}
        shown = {getattr(p, what): str(path) if path and path.is_file() else None for what, path in paths.items()}
        shown |= {getattr(p, name): getattr(wishes, name) for name in WISHES if name not in files}
        shown |= {p.name: name, p.steps: wishes.steps or 0}
        return shown | self._opened(project)

    def open_archive(self, archive: str | None) -> dict:
        if not archive:
            return {}
        return {self.page.archive: None} | self.open_named(import_project(archive, self.home))

    def start(self, kind: Kind, *values) -> dict:
        """Make or Plan: note the wishes (values as WISHES), submit the job, begin to poll."""
        project, seed = self.prepare(**dict(zip(WISHES, values, strict=True)))
        self.submit(project, kind)
        return {self.page.seed: seed} | self._opened(project)

    def prepare(
        self, song: str | None, seed: float | None, steps: float | None = None, image: str | None = None, **wishes
    ) -> tuple[Project, int]:
        """The project with these wishes and the seed used; -1 draws one. Raises what the user can mend."""
        if not song:
            raise InputError("no song yet: upload one, or click an example")
        if seed is None or not -1 <= seed < 2**32:
            raise InputError(f"seed: expected -1 (random) or 0 to {2**32 - 1}, got {seed}")
        seed = random.SystemRandom().randrange(2**32) if seed == -1 else int(seed)
        self._refuse_if_busy(make.project_folder(song).name)
        return Project.start(song, image, seed=seed, steps=as_steps(steps), **wishes), seed

    def keep_model(self, name: str, model: str, steps: float | None) -> None:
        """The next rendering is by this model."""
        if name:
            self._keep_wishes(Project(self.home, name), model=model, steps=as_steps(steps))

    def _keep_wishes(self, project: Project, **changes) -> None:
        project.wishes().model_copy(update=changes).save(project.folder / "project.json")

    def _opened(self, project: Project) -> dict:
        p = self.page
        news, seen, busy = self._look(project, {})
        return {
            p.name: project.name,
            p.picker: gr.Dropdown(choices=projects(self.home), value=project.name),
            p.news: {**news, "opened": True},
            p.seen: seen,
            p.timer: gr.Timer(active=busy),
        }

    def _refuse_if_busy(self, name: str) -> None:
        job = self.store.latest(name)
        if job is not None and job.open:
            raise InputError("this song is being worked on already; wait until it is done, or cancel it")

    def submit(self, project: Project, kind: Kind) -> Job:
        job = self.store.submit(project.name, kind)
        self.worker.ensure()
        return job

    # -- polling

    def poll(self, name: str, seen: dict) -> tuple:
        """Only what is new since the last look; nothing is sent while nothing happens."""
        try:
            project = Project(self.home, name)
        except InputError:  # none is open, or its folder was removed
            return gr.skip(), gr.skip(), gr.Timer(active=False)
        job = self.store.latest(name)
        if job is not None and job.open and job.state != "paused":
            self.worker.ensure()
        news, now, busy = self._look(project, seen)
        if now == seen:
            return gr.skip(), gr.skip(), gr.skip() if busy else gr.Timer(active=False)
        return news, now, gr.Timer(active=busy)

    def _look(self, project: Project, seen: Mapping) -> tuple[dict, dict, bool]:
        """(news, what has been seen with them, whether more is to come)."""
        job, shots = self.store.latest(project.name), self.store.shots(project.name)
        part = job_part(job, self.store.ahead(job) if job is not None and job.state == "queued" else 0)
        now = {"job": part, "progress": progress_part(shots) if job is not None and job.open else {}}
        news: dict = {"kind": "news", "project": project.name, **now}
        drawing = False
        # A plan in the making is not shown: the old one would look like the new one.
        if project.planned and (job is None or self._is_editable(job)):
            desk = self._desk(project)
            with desk.lock:
                desk.refresh(shots)
                drawn = desk.strips()
                since = seen.get("number", -1)
                if desk.number != since:
                    news["plan"] = desk.news(since)
                if len(drawn) != seen.get("drawn") or desk.number != since:
                    news["strips"] = drawn
                peaks = strips.peaks_path(project.folder).exists()
                now |= {"number": desk.number, "drawn": len(drawn), "peaks": peaks}
                news["peaks"] = peaks
                drawing = len(drawn) < desk.num_shots or not peaks
            if drawing:
                self.sketcher.draw(project.folder)
        return news, now, drawing or part["open"]

    @staticmethod
    def _is_editable(job: Job) -> bool:
        return job.kind == "render" or job.planned or not job.open

    def _desk(self, project: Project) -> Desk:
        if project.name not in self._desks:
            if len(self._desks) >= DESKS:
                self._desks.pop(next(iter(self._desks)))
            self._desks[project.name] = Desk(project)
        return self._desks[project.name]

    # -- the editor's messages

    def edit(self, event: gr.EventData) -> tuple:
        """An edit, undo or redo. The answer acknowledges it by its number, with the plan as it is now or the error."""
        message = event._data if isinstance(event._data, dict) else {}
        answer = {"kind": "answer", "ack": message.get("seq"), "error": None}
        try:
            project = self._to_edit(message)
        except MusicVideoError as error:
            return {**answer, "error": without_folders(str(error))}, gr.skip()
        desk = self._desk(project)
        with desk.lock:
            try:
                change(project, message)
            except MusicVideoError as error:
                answer["error"] = without_folders(str(error))
            desk.refresh(self.store.shots(project.name))
            answer["plan"] = desk.news(as_number(message.get("number")))
            answer["strips"] = desk.strips()
        self.sketcher.draw(project.folder, as_number(message.get("near")))
        return answer, gr.Timer(active=True)

    def ask(self, event: gr.EventData) -> tuple:
        """Everything that undo does not take back."""
        message = event._data if isinstance(event._data, dict) else {}
        answer = {"kind": "reply", "ack": message.get("seq"), "error": None}
        try:
            answer |= self._answer(message)
        except MusicVideoError as error:
            answer["error"] = without_folders(str(error))
        return answer, gr.Timer(active=True)

    def _answer(self, message: Mapping) -> dict:
        what, project = message.get("ask"), self._project(message)
        if what == "look":
            shot = str(message.get("id", ""))[:80]
            self.store.prioritise(project.name, [shot] if shot else [])
        elif what == "render":
            self.render(project, message.get("ids"))
        elif what == "retake":
            self._retake(project, message)
        elif what in ("cancel", "pause", "resume", "retry"):
            job = self.store.latest(project.name)
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
        news, _, _ = self._look(project, {"number": as_number(message.get("number"))})
        return news | {"kind": "reply"}

    def render(self, project: Project, ids: object) -> None:
        """These shots, or the whole film; takes that still fit are used again."""
        self._refuse_if_busy(project.name)
        wanted = [str(one) for one in ids][: len(project.plan().shots)] if isinstance(ids, list) else []
        self._keep_wishes(project, only=[shot.id for shot in project.plan().shots if shot.id in wanted])
        self.submit(project, "render")

    def _retake(self, project: Project, message: Mapping) -> None:
        """Another take of one shot: another seed."""
        self._refuse_if_busy(project.name)
        shot, seed = str(message.get("id")), random.SystemRandom().randrange(2**32)
        project.edit(lambda plan: edits.set_seed(plan, plan.index(shot), seed), "another take")
        self.render(project, [shot])

    def _project(self, message: Mapping) -> Project:
        name = message.get("project")
        if not isinstance(name, str) or not name:
            raise InputError("no project is open: make or plan one first")
        return Project(self.home, name)

    def _to_edit(self, message: Mapping) -> Project:
        """It has a plan, and no job is making another one."""
        project = self._project(message)
        job = self.store.latest(project.name)
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
