"""Undo and redo of a project, kept in its folder: without limit, across a reload and a restart.

steps.jsonl holds one step a line, oldest first; steps.json says how many of them are done. A step is what an edit
took out of the list of shots and what it put there, so that a step of one shot costs one shot. Revisions only ever
grow: an undo is a new revision with the old shots, so that a revision names one state for good.

A killed program loses nothing. A machine without power may lose the last steps (never the plan, which is synced to the
disk): waiting for the disk here too would double what an edit takes.
"""

import uuid
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from mv.errors import InputError, cannot_write
from mv.schema import Brief, Document, Shot, Timeline
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

    name: in words for people; group: steps of one group in a row are one (typing into a field).
    """

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
        head = next((i for i in range(shorter) if old[i] != new[i]), shorter)
        tail = next((i for i in range(shorter - head) if old[-1 - i] != new[-1 - i]), shorter - head)
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


def _place(shot: Shot) -> tuple[str, int, int]:
    return shot.id, shot.start, shot.duration


class _State(Document):
    """done: steps that are done, the first ones of the journal; length: bytes of the journal that count."""

    version: Literal[1] = 1
    done: int = Field(0, ge=0)
    length: int = Field(0, ge=0)


class EditHistory:
    """The journal of one project. Nothing of it lives in memory: two pages may hold one each."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._journal = self.folder / "steps.jsonl"

    def names(self) -> tuple[str | None, str | None]:
        """What undo and redo would take back and do again; None where there is nothing."""
        steps, done = self._lines(), self._done()
        return (
            Step.model_validate_json(steps[done - 1]).name if done else None,
            Step.model_validate_json(steps[done]).name if done < len(steps) else None,
        )

    @property
    def can_undo(self) -> bool:
        return self._done() > 0

    @property
    def can_redo(self) -> bool:
        return self._done() < len(self._lines())

    def record(self, before: Timeline, after: Timeline, name: str = "", group: str = "") -> None:
        """An edit has been made: it can be undone, and what was undone before it is gone."""
        lines = self._lines()
        kept = lines[: self._done()]
        step = Step.between(before, after, name, group)
        if group and kept and len(kept) == len(lines):
            last = Step.model_validate_json(kept[-1])
            if last.group == group:
                step = Step.between(last.undone(before), after, name, group)
                kept = kept[:-1]
        length = sum(map(len, kept))
        line = step.model_dump_json().encode() + b"\n"
        self._append(length, line)
        self._save(len(kept) + 1, length + len(line))

    def undo(self, current: Timeline) -> Timeline:
        """The plan before the last edit. Raises InputError where there is none."""
        done, lines = self._done(), self._lines()
        if not done:
            raise InputError("there is nothing to undo")
        restored = Step.model_validate_json(lines[done - 1]).undone(current)
        self._save(done - 1, sum(map(len, lines)))
        return restored

    def redo(self, current: Timeline) -> Timeline:
        """The plan before the last undo. Raises InputError where there is none."""
        done, lines = self._done(), self._lines()
        if done >= len(lines):
            raise InputError("there is nothing to redo")
        restored = Step.model_validate_json(lines[done]).redone(current)
        self._save(done + 1, sum(map(len, lines)))
        return restored

    def _done(self) -> int:
        return min(self._state().done, len(self._lines()))

    def _state(self) -> _State:
        path = self.folder / "steps.json"
        try:
            return _State.load(path) if path.exists() else _State()
        except InputError:  # of an older program, or cut short: its steps cannot be read
            return _State()

    def _lines(self) -> list[bytes]:
        """Bytes past `length` are of a step that was being written when the program was killed."""
        try:
            status = (self.folder / "steps.json").stat()
        except FileNotFoundError:
            return []
        stamp = (status.st_ino, status.st_mtime_ns, self._journal.stat().st_size if self._journal.exists() else -1)
        return list(_read(self._journal, self._state().length, stamp))

    def _append(self, at: int, line: bytes) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._journal.open("r+b" if self._journal.exists() else "w+b") as file:
                file.seek(at)
                file.write(line)
                file.truncate()
        except OSError as error:
            raise cannot_write(self._journal, error) from None

    def _save(self, done: int, length: int) -> None:
        path = self.folder / "steps.json"
        temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
        try:
            temporary.write_text(_State(done=done, length=length).model_dump_json())
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise cannot_write(path, error) from None


@lru_cache(maxsize=8)
def _read(journal: Path, length: int, stamp: tuple[int, ...]) -> tuple[bytes, ...]:
    """The steps in the first `length` bytes. stamp: of steps.json, which every step replaces: a long journal is read
    once a step. A damaged journal has none."""
    written = journal.read_bytes()[:length] if journal.exists() else b""
    return tuple(written.splitlines(keepends=True)) if len(written) == length and b"\0" not in written else ()
