"""What the studio's page does: shows a project, submits jobs, polls, edits.

The page keeps nothing: what it shows is read from the project's folder and the job store, by the project's name in the
address (?project=...), so a reload or another tab comes back to the same place. All user text is escaped here or shown
by components that show text as text.
"""

import functools
import html
import os
import random
import re
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported; without it Python calls out

import gradio as gr

from mv import make
from mv.errors import InputError, MusicVideoError
from mv.jobs import Job, JobStore, Kind, Worker
from mv.schema import Analysis, Timeline
from mv.timing import clock, to_frame, to_seconds
from mv.ui import edits
from mv.ui.project import Project, projects

# An event of the page alone: not in the public API, edits one after the other.
EDIT = dict(
    api_visibility="private", show_progress="hidden", concurrency_id="edits", concurrency_limit=1, trigger_mode="once"
)
QUIET = dict(api_visibility="private", show_progress="hidden", queue=False)
TO_ADDRESS = (
    "(name) => { history.replaceState(null, '', name ? '?project=' + encodeURIComponent(name) : location.pathname) }"
)


@dataclass
class Page:
    """The components that events read and write."""

    name: gr.Textbox
    seen: gr.State
    selected: gr.State
    timer: gr.Timer
    picker: gr.Dropdown
    song: gr.Audio
    theme: gr.Textbox
    image: gr.Image
    aspect: gr.Radio
    size: gr.Dropdown
    seed: gr.Number
    model: gr.Dropdown
    fps: gr.Dropdown
    steps: gr.Number
    make: gr.Button
    plan: gr.Button
    status: gr.HTML
    cancel: gr.Button
    film: gr.Video
    facts: gr.HTML
    analysis: gr.Image
    plan_box: gr.Group
    storyboard: gr.Gallery
    shot: gr.HTML
    start: gr.Number
    snap: gr.Checkbox
    move: gr.Button
    split: gr.Button
    merge: gr.Button
    delete: gr.Button
    table: gr.Dataframe
    apply: gr.Button
    undo: gr.Button
    redo: gr.Button
    render: gr.Button
    film_file: gr.DownloadButton
    plan_file: gr.DownloadButton

    @property
    def wishes(self) -> list:
        return [self.song, self.theme, self.image, self.aspect, self.size, self.seed, self.model, self.fps, self.steps]


# ---------------------------------------------------------------- what the page shows


def status_html(job: Job | None, ahead: int = 0) -> str:
    if job is None:
        return '<div class="mv-status"><div class="words"><span>Choose a song and press Make.</span></div></div>'
    words, left = job.message, ""
    if job.state == "queued" and ahead:
        left = f"{ahead} job{'s' if ahead > 1 else ''} ahead"
    elif job.state == "running" and job.eta is not None:
        left = f"about {clock(job.eta + 0.5)} left"
    elif job.state == "failed":
        words = f"Failed: {without_folders(job.error)}"
    elif job.state == "done" and job.started and job.finished:
        words = "The plan is ready" if job.kind == "plan" else "The film is ready"
        left = f"took {clock(job.finished - job.started + 0.5)}"
    percent = round(100 * job.progress, 1)
    bar = f'<div class="bar" role="progressbar" aria-valuenow="{percent}"><div style="width:{percent}%"></div></div>'
    line = f'<span>{html.escape(words)}</span><span class="left">{html.escape(left)}</span>'
    return (
        f'<div class="mv-status {job.state}" data-state="{job.state}"><div class="words">{line}</div>'
        f"{bar if job.open else ''}</div>"
    )


def facts_html(analysis: Analysis, plan: Timeline) -> str:
    """What was heard and planned, in a line."""
    tempo = f"<b>{analysis.tempo:.0f}</b> BPM" if analysis.tempo else "<b>no</b> beat"
    facts = [
        f"<b>{html.escape(plan.title or Path(plan.song).stem)}</b>",
        f"<b>{clock(analysis.duration)}</b>",
        tempo,
        f"key <b>{html.escape(analysis.key)}</b>" if analysis.key else "",
        f"<b>{len(plan.shots)}</b> shot{'' if len(plan.shots) == 1 else 's'}",
        f"<b>{plan.width}×{plan.height}</b> at {float(plan.fps):g} fps",
        f"seed <b>{plan.brief.seed}</b>",
        f"revision <b>{plan.revision}</b>",
    ]
    chips = "".join(f"<span>{fact}</span>" for fact in facts if fact)
    notes = "".join(f'<span class="note">{html.escape(note)}</span>' for note in analysis.notes)
    return f'<div class="mv-facts">{chips}{notes}</div>'


def shot_html(plan: Timeline, index: int, label: str) -> str:
    """The selected shot and why it is as it is."""
    from mv.world.vocabulary import understand

    shot = plan.shots[index]
    times = f"{edits.film_time(shot.start, plan.fps)} to {edits.film_time(shot.end, plan.fps)}"
    reasons = "".join(
        f"<dt>{html.escape(r.decision)}</dt><dd>{html.escape(r.choice)} <small>· {html.escape(r.evidence)}</small></dd>"
        for r in shot.reasons
    )
    ignored = ", ".join(understand(shot.prompt).ignored)
    note = f'<p class="ignored">Words the built-in model does not know: {html.escape(ignored)}</p>' if ignored else ""
    heading = f"Shot {index + 1} · {html.escape(label)} · {times}"
    return f'<div class="mv-shot"><h4>{heading}</h4><dl>{reasons}</dl>{note}</div>'


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
    """Handlers of the page's events. Each reads the project anew and returns only what changed, by component."""

    def __init__(self, home: Path, worker: Worker, page: Page) -> None:
        self.home, self.store, self.worker, self.page = home, JobStore(home), worker, page

    def connect(self, blocks: gr.Blocks) -> None:
        p = self.page
        everything = [value for name, value in vars(p).items() if name not in ("make", "plan", "snap", "move")]
        plan_inputs = [p.name, p.table, p.seen, p.selected]
        opening = dict(js=TO_ADDRESS, **QUIET)

        blocks.load(told(self.open), None, everything, **EDIT)
        p.picker.input(told(self.open_named), p.picker, everything, **EDIT).then(None, p.name, None, **opening)
        for button, kind in ((p.make, "make"), (p.plan, "plan")):
            started = button.click(told(functools.partial(self.start, kind)), p.wishes, everything, **EDIT)
            started.success(None, p.name, None, **opening)
        p.timer.tick(self.poll, [p.name, p.seen], everything, trigger_mode="once", **QUIET)
        p.cancel.click(told(self.cancel), p.name, [p.cancel], **QUIET)

        p.storyboard.select(told(self.pick_sketch), p.name, [p.selected, p.shot, p.start], **EDIT)
        p.table.select(told(self.pick_row), p.name, [p.selected, p.shot, p.start], **EDIT)
        p.apply.click(told(self.apply), plan_inputs, everything, **EDIT)
        p.split.click(told(self.split), plan_inputs, everything, **EDIT)
        p.merge.click(told(self.merge), plan_inputs, everything, **EDIT)
        p.delete.click(told(self.delete), plan_inputs, everything, **EDIT)
        p.move.click(told(self.move), [*plan_inputs, p.start, p.snap], everything, **EDIT)
        p.undo.click(told(self.undo), [p.name, p.seen, p.selected], everything, **EDIT)
        p.redo.click(told(self.redo), [p.name, p.seen, p.selected], everything, **EDIT)
        p.render.click(told(self.render), [*plan_inputs, p.model, p.steps], everything, **EDIT)

    # -- opening

    def open(self, request: gr.Request) -> dict:
        """The page has loaded: show the project its address names, if any."""
        choices = {self.page.picker: gr.Dropdown(choices=projects(self.home), value=None)}
        name = request.query_params.get("project", "")
        return choices | (self.open_named(name) if name else {})

    def open_named(self, name: str) -> dict:
        project = Project(self.home, name)
        p, wishes = self.page, project.wishes()
        song = project.folder / wishes.song
        image = wishes.image and project.folder / wishes.image
        shown = {
            p.name: name,
            p.song: str(song) if song.is_file() else None,
            p.theme: wishes.theme,
            p.image: str(image) if image and image.is_file() else None,
            p.aspect: wishes.aspect,
            p.size: wishes.size,
            p.seed: wishes.seed,
            p.model: wishes.model,
            p.fps: wishes.fps,
            p.steps: wishes.steps or 0,
            p.picker: gr.Dropdown(choices=projects(self.home), value=name),
        }
        return shown | self._news(project, {})

    def start(self, kind: Kind, song, theme, image, aspect, size, seed, model, fps, steps) -> dict:
        """Make or Plan: note the wishes, submit the job, begin to poll."""
        if not song:
            raise InputError("no song yet: upload one, or click an example")
        if seed is None or not -1 <= seed < 2**32:
            raise InputError(f"seed: expected -1 (random) or 0 to {2**32 - 1}, got {seed}")
        seed = random.SystemRandom().randrange(2**32) if seed == -1 else int(seed)
        self._refuse_if_busy(make.project_folder(song).name)
        project = Project.start(
            song, image, theme=theme, aspect=aspect, size=size, fps=fps, seed=seed, model=model, steps=as_steps(steps)
        )
        return self._submit(project, kind)

    def _refuse_if_busy(self, name: str) -> None:
        job = self.store.latest(name)
        if job is not None and job.open:
            raise InputError("this song is being worked on already; wait until it is done, or cancel it")

    def _submit(self, project: Project, kind: Kind, seen: dict | None = None) -> dict:
        self.store.submit(project.name, kind)
        self.worker.ensure()
        names = gr.Dropdown(choices=projects(self.home), value=project.name)
        return {self.page.name: project.name, self.page.picker: names} | self._news(project, seen or {})

    def cancel(self, name: str) -> dict:
        job = self.store.latest(name) if name else None
        if job is not None and job.open:
            self.store.cancel(job.id)
        return {self.page.cancel: gr.Button(value="Stopping")}

    # -- polling

    def poll(self, name: str, seen: dict) -> dict:
        """Only what is new since the last look; nothing is sent while nothing happens."""
        if not name:
            return {self.page.timer: gr.Timer(active=False)}
        project = Project(self.home, name)
        job = self.store.latest(name)
        if job is not None and job.open:
            self.worker.ensure()
        return self._news(project, seen) or {self.page.seen: gr.skip()}

    def _news(self, project: Project, seen: dict) -> dict:
        """Updates for what differs from `seen`: the job, the film, the plan."""
        job, film = self.store.latest(project.name), project.film()
        # A plan in the making is not shown: the old one would look like the new one.
        ready = project.planned and (job is None or self._is_editable(job))
        now = {
            "job": repr(job),
            "film": f"{film} {film.stat().st_mtime_ns}" if film else "",
            "plan": project.plan().revision if ready else -1,
        }
        new = {what for what in now if now[what] != seen.get(what)}
        news = {self.page.seen: now} if new else {}
        if "job" in new:
            news |= self._job_news(job)
        if "film" in new:
            news |= self._film_news(film)
        if "plan" in new:
            news |= self._plan_news(project, 0) if ready else self._no_plan()
        elif "film" in new and ready:
            news |= self._render_news(project)
        return news

    def _job_news(self, job: Job | None) -> dict:
        p, is_open = self.page, job is not None and job.open
        if job is None:
            return {p.status: status_html(None), p.cancel: gr.Button(visible=False), p.timer: gr.Timer(active=False)}
        return {
            p.status: status_html(job, self.store.ahead(job)),
            p.cancel: gr.Button(visible=is_open, value="Stopping" if job.cancel and is_open else "Cancel"),
            p.timer: gr.Timer(active=is_open),
        }

    def _film_news(self, film: Path | None) -> dict:
        file, there = film and str(film), film is not None
        return {
            self.page.film: gr.Video(value=file, visible=there),
            self.page.film_file: gr.DownloadButton(value=file, visible=there),
        }

    def _no_plan(self) -> dict:
        p = self.page
        return {p.plan_box: gr.Column(visible=False), p.analysis: gr.Image(value=None, visible=False), p.facts: ""}

    @staticmethod
    def _is_editable(job: Job) -> bool:
        return job.kind == "render" or job.planned or not job.open

    def _plan_news(self, project: Project, index: int) -> dict:
        p, plan, analysis = self.page, project.plan(), project.analysis()
        if not project.analysis_picture.exists():  # a project of the command line
            project.draw_analysis()
        labels = [section.label for section in analysis.sections]
        pictures = zip(project.storyboard(), plan.shots)
        captions = [(str(path), f"{i} · {s.size}") for i, (path, s) in enumerate(pictures, 1)]
        history = project.history
        return {
            p.plan_box: gr.Column(visible=True),
            p.facts: facts_html(analysis, plan),
            p.analysis: gr.Image(value=str(project.analysis_picture), visible=True),
            p.storyboard: gr.Gallery(value=captions),
            p.table: edits.table_rows(plan, labels),
            p.undo: gr.Button(interactive=history.can_undo),
            p.redo: gr.Button(interactive=history.can_redo),
            p.plan_file: gr.DownloadButton(value=str(project.folder / "plan.json")),
            **self._render_news(project),
            **self._selection(project, min(index, len(plan.shots) - 1)),
        }

    def _render_news(self, project: Project) -> dict:
        changed = len(project.to_render())
        shots = f"{changed} shot{'' if changed == 1 else 's'}"
        return {
            self.page.render: gr.Button(value=f"Render what changed ({shots})" if changed else "Render what changed")
        }

    # -- selecting

    def pick_sketch(self, name: str, event: gr.SelectData) -> dict:
        return self._selection(Project(self.home, name), int(event.index))

    def pick_row(self, name: str, event: gr.SelectData) -> dict:
        """The row's own number: the table may be sorted."""
        return self._selection(Project(self.home, name), int(event.row_value[0]) - 1)

    def _selection(self, project: Project, index: int) -> dict:
        p, plan = self.page, project.plan()
        label = project.analysis().sections[plan.shots[index].section].label
        start = round(to_seconds(plan.shots[index].start, plan.fps), 3)
        return {p.selected: index, p.shot: shot_html(plan, index, label), p.start: start}

    # -- editing

    def apply(self, name, rows, seen, selected) -> dict:
        return self._edit(name, rows, seen, selected, lambda plan: plan)

    def split(self, name, rows, seen, selected) -> dict:
        """On the beat nearest to the middle of the shot."""
        beats = self._project(name).analysis().beats

        def at_the_middle(plan: Timeline) -> Timeline:
            shot = plan.shots[selected]
            middle = shot.start + shot.duration // 2
            frame = edits.nearest_beat(beats, middle, plan.fps, shot.start + 1, shot.end - 1)
            return edits.split(plan, selected, frame)

        return self._edit(name, rows, seen, selected, at_the_middle)

    def merge(self, name, rows, seen, selected) -> dict:
        return self._edit(name, rows, seen, selected, lambda plan: edits.merge(plan, selected))

    def delete(self, name, rows, seen, selected) -> dict:
        return self._edit(name, rows, seen, selected, lambda plan: edits.delete(plan, selected))

    def move(self, name, rows, seen, selected, seconds, snap) -> dict:
        """Start the selected shot at this time, or on the beat nearest to it."""
        if seconds is None or seconds < 0:
            raise InputError("starts at: expected a time in seconds from the start of the song")
        beats = self._project(name).analysis().beats if snap else []

        def boundary(plan: Timeline) -> Timeline:
            frame = to_frame(seconds, plan.fps)
            if beats and selected > 0:
                first, last = plan.shots[selected - 1].start + 1, plan.shots[selected].end - 1
                frame = edits.nearest_beat(beats, frame, plan.fps, first, last) if first <= frame <= last else frame
            return edits.move_boundary(plan, selected, frame)

        return self._edit(name, rows, seen, selected, boundary)

    def undo(self, name, seen, selected) -> dict:
        project = self._project(name)
        project.undo()
        return self._edited(project, seen, selected)

    def redo(self, name, seen, selected) -> dict:
        project = self._project(name)
        project.redo()
        return self._edited(project, seen, selected)

    def render(self, name, rows, seen, selected, model, steps) -> dict:
        """Apply what is in the table, then render it; takes that still fit are used again."""
        project = self._project(name)
        self._refuse_if_busy(name)
        shown = self._edit(name, rows, seen, selected, lambda plan: plan)
        wishes = project.wishes().model_copy(update={"model": model, "steps": as_steps(steps)})
        wishes.save(project.folder / "project.json")
        return shown | self._submit(project, "render", shown[self.page.seen])

    def _project(self, name: str) -> Project:
        """To be edited: it has a plan, and no job is making another one."""
        if not name:
            raise InputError("no project is open: make or plan one first")
        job = self.store.latest(name)
        if job is not None and not self._is_editable(job):
            raise InputError("the plan is being made; edit it when it is there")
        return Project(self.home, name)

    def _edit(self, name, rows, seen, selected, change) -> dict:
        """What was typed into the table comes first, so that no button throws it away."""
        project = self._project(name)

        def typed_then_change(plan: Timeline) -> Timeline:
            if plan.revision != seen.get("plan"):
                raise InputError("the plan was changed in another tab meanwhile; reload the page to see it")
            return change(edits.apply_table(plan, rows))

        project.edit(typed_then_change)
        return self._edited(project, seen, selected)

    def _edited(self, project: Project, seen: dict, selected: int) -> dict:
        """Show the new plan, and let the next poll know that it has been shown."""
        return {self.page.seen: seen | {"plan": project.plan().revision}} | self._plan_news(project, selected)
