"""Undo and redo of a project, kept in its folder: without limit, across a reload and a restart.

steps.jsonl is only ever appended to: a line for every edit, undo and redo. An edit's line is what it took out of the
list of shots and what it put there, so that an edit of one shot costs one shot. Revisions only ever grow: an undo is a
new revision with the old shots, so that a revision names one state for good.

The journal is ahead of the plan's file, which is written a moment later (mv/ui/plans.py): saved.json says how much of
the journal that file holds, and whoever reads the file does the rest again. So a killed program loses nothing. A power
cut may cost the last moment.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field, ValidationError

from mv.errors import InputError, cannot_write
from mv.schema import Brief, Document, Shot, Timeline, write_atomically
from mv.ui.edits import with_takes


class Frame(Document):
    """What of a plan an edit can change besides its shots."""

    title: str
    analysis: str
    width: int
    height: int
    brief: Brief

    @classmethod
    def of(cls, timeline: Timeline) -> "Frame":
        return cls(**{name: getattr(timeline, name) for name in cls.model_fields})


class Step(Document):
    """At place `at`, the shots `before` became `after`. frames: (before, after) where more than shots changed.

    kind: join where it takes the place of the step before it (typing goes on). name: in words for people; group: steps
    of one group in a row are one.
    """

    kind: Literal["edit", "join"] = "edit"
    name: str = ""
    group: str = ""
    at: int = Field(ge=0)
    before: list[Shot]
    after: list[Shot]
    frames: tuple[Frame, Frame] | None = None

    @classmethod
    def between(cls, before: Timeline, after: Timeline, name: str = "", group: str = "") -> "Step":
        old, new = before.shots, after.shots
        shorter = min(len(old), len(new))
        head = next((i for i in range(shorter) if _differ(old[i], new[i])), shorter)
        tail = next((i for i in range(shorter - head) if _differ(old[-1 - i], new[-1 - i])), shorter - head)
        frames = (Frame.of(before), Frame.of(after))
        return cls(
            name=name,
            group=group,
            at=head,
            before=old[head : len(old) - tail],
            after=new[head : len(new) - tail],
            frames=frames if frames[0] != frames[1] else None,
        )

    def undone(self, current: Timeline) -> Timeline:
        return self._replaced(current, self.after, self.before, self.frames and self.frames[0])

    def redone(self, current: Timeline) -> Timeline:
        return self._replaced(current, self.before, self.after, self.frames and self.frames[1])

    def _replaced(self, current: Timeline, there: list[Shot], wanted: list[Shot], frame: Frame | None) -> Timeline:
        """Raises InputError where the plan is not as this step left it: it was changed outside of the studio."""
        stop = self.at + len(there)
        if [_place(shot) for shot in current.shots[self.at : stop]] != [_place(shot) for shot in there]:
            raise InputError("the plan was changed outside of the studio: the steps before that cannot be undone")
        shots = [*current.shots[: self.at], *wanted, *current.shots[stop:]]
        changes = {name: getattr(frame, name) for name in Frame.model_fields} if frame else {}
        try:
            plan = Timeline(**{**dict(current), **changes, "shots": shots, "revision": current.revision + 1})
        except ValidationError:
            raise InputError("the plan was changed outside of the studio: this step does not fit it") from None
        return with_takes(plan, current)


def _differ(one: Shot, other: Shot) -> bool:
    return one is not other and one != other


def _place(shot: Shot) -> tuple[str, int, int]:
    return shot.id, shot.start, shot.duration


class Line(NamedTuple):
    """Of the journal. kind: edit, join (both hold a step), undo, redo."""

    kind: str
    text: bytes


_KIND = re.compile(rb'\{"kind":"(edit|join|undo|redo)"(?:,.*)?\}\n')


@dataclass
class _Journal:
    """What a journal says. steps: as lines, those that can be done again at the end; done: how many are done.

    length: bytes that count; later ones are of a line that was being written when the program was killed.
    """

    stamp: tuple[int, ...] | None = None
    steps: list[bytes] = field(default_factory=list)
    done: int = 0
    length: int = 0

    def add(self, line: Line) -> None:
        if line.kind in ("edit", "join"):
            kept = max(0, self.done - (line.kind == "join"))
            self.steps[kept:] = [line.text]
            self.done = kept + 1
        else:
            self.done = min(len(self.steps), max(0, self.done + (1 if line.kind == "redo" else -1)))
        self.length += len(line.text)


_JOURNALS: dict[Path, _Journal] = {}


def _keep(path: Path, journal: _Journal) -> None:
    if len(_JOURNALS) >= 8:
        _JOURNALS.pop(next(iter(_JOURNALS)))
    _JOURNALS[path] = journal


def _lines(content: bytes) -> Iterator[Line]:
    """Up to the first one that is none: cut short when the program was killed, or of an older program."""
    for text in content.splitlines(keepends=True):
        found = _KIND.fullmatch(text)
        if not found:
            return
        yield Line(found[1].decode(), text)


@lru_cache(maxsize=64)
def _step(line: bytes) -> Step:
    """Raises InputError."""
    try:
        return Step.model_validate_json(line)
    except ValidationError:
        raise InputError("the history of this project is damaged: its steps cannot be undone") from None


class EditHistory:
    """The journal of one project. Files are what counts; what was read of them is kept while they stay the same."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.path = self.folder / "steps.jsonl"

    def names(self) -> tuple[str | None, str | None]:
        """What undo and redo would take back and do again; None where there is nothing."""
        journal = self._read()
        try:
            return (
                _step(journal.steps[journal.done - 1]).name if journal.done else None,
                _step(journal.steps[journal.done]).name if journal.done < len(journal.steps) else None,
            )
        except InputError:  # another program's, or damaged: nothing to go back to
            return None, None

    @property
    def can_undo(self) -> bool:
        return self.names()[0] is not None

    @property
    def can_redo(self) -> bool:
        return self.names()[1] is not None

    def record(self, before: Timeline, after: Timeline, name: str = "", group: str = "") -> None:
        """An edit has been made: it can be undone, and what was undone before it is gone."""
        journal = self._read()
        step = Step.between(before, after, name, group)
        if group and self.names()[0] is not None and journal.done == len(journal.steps):
            last = _step(journal.steps[-1])
            if last.group == group:
                step = Step.between(last.undone(before), after, name, group).model_copy(update={"kind": "join"})
        self._append(journal, step.kind, step.model_dump_json())

    def undo(self, current: Timeline) -> Timeline:
        """The plan before the last edit. Raises InputError where there is none."""
        journal = self._read()
        if not journal.done:
            raise InputError("there is nothing to undo")
        restored = _step(journal.steps[journal.done - 1]).undone(current)
        self._append(journal, "undo")
        return restored

    def redo(self, current: Timeline) -> Timeline:
        """The plan before the last undo. Raises InputError where there is none."""
        journal = self._read()
        if journal.done >= len(journal.steps):
            raise InputError("there is nothing to redo")
        restored = _step(journal.steps[journal.done]).redone(current)
        self._append(journal, "redo")
        return restored

    # -- what the plan's file does not hold yet

    @property
    def length(self) -> int:
        """Bytes of the journal: with them the plan's file is told from the plan (see note_saved)."""
        return self._read().length

    def note_saved(self, stamps: Mapping[str, int]) -> None:
        """stamps: of a plan's file → length of the journal whose steps it holds. Before and after it is replaced."""
        write_atomically(self.folder / "saved.json", json.dumps({"version": 1, "holds": dict(stamps)}).encode())

    def replayed(self, plan: Timeline, stamp: str) -> Timeline:
        """The plan as read from a file of this stamp, with the steps done since it was written. A file that the studio
        did not write is taken as it is."""
        held = self.holds(stamp)
        if held is None or held >= self.length:
            return plan
        journal = _Journal()
        for line in _lines(self.path.read_bytes()):
            past, undone = list(journal.steps), journal.done
            journal.add(line)
            if journal.length <= held:
                continue
            if line.kind in ("undo", "join"):
                plan = _step(past[undone - 1]).undone(plan)
            if line.kind != "undo":
                plan = _step(journal.steps[journal.done - 1]).redone(plan)
        return plan

    def holds(self, stamp: str) -> int | None:
        """How much of the journal is in a plan's file of this stamp, bytes; None: the studio did not write it."""
        try:
            held = json.loads((self.folder / "saved.json").read_bytes())["holds"].get(stamp)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None
        return held if isinstance(held, int) else None

    # -- the file

    def _read(self) -> _Journal:
        stamp = self._stamp()
        known = _JOURNALS.get(self.path)
        if known is None or known.stamp != stamp:
            known = _Journal(stamp)
            for line in _lines(self.path.read_bytes() if stamp else b""):
                known.add(line)
            _keep(self.path, known)
        return known

    def _stamp(self) -> tuple[int, ...] | None:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size

    def _append(self, journal: _Journal, kind: str, text: str = "") -> None:
        line = Line(kind, (text or f'{{"kind":"{kind}"}}').encode() + b"\n")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.path.open("r+b" if self.path.exists() else "w+b") as file:
                file.seek(journal.length)
                file.write(line.text)
                file.truncate()
        except OSError as error:
            raise cannot_write(self.path, error) from None
        journal.add(line)
        journal.stamp = self._stamp()
