"""Edits of the shot plan: Timeline → Timeline, pure. Undo and redo.

Every edit returns a new, valid Timeline with the next revision, or raises InputError in words a user understands.
Shots are addressed by index, 0 the first; messages count from 1 as the page does. A locked shot refuses every edit but
`set_locked`. Takes stay with their shot: they are found again by content key, so what did not change renders at once.
"""

import hashlib
import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from mv.errors import InputError
from mv.schema import Document, MoveKind, Shot, ShotSize, Timeline, Transition, dump_compact
from mv.timing import to_frame, to_seconds
from mv.world.vocabulary import SIZES

MAX_PROMPT = 1000  # characters: more than any text encoder here reads
HISTORY_LENGTH = 100  # steps one can undo
# The columns of the page's table; the first four are computed and cannot be edited.
COLUMNS = ("#", "time", "length", "section", "size", "move", "amount", "prompt", "transition", "seed", "locked")
READ_ONLY = 4


# ---------------------------------------------------------------- one shot


def set_prompt(timeline: Timeline, index: int, prompt: str) -> Timeline:
    """What the model reads for this shot; 1 to MAX_PROMPT characters."""
    prompt = " ".join(prompt.split())
    if not prompt:
        raise InputError(f"shot {index + 1}: the prompt is empty; say what the shot shows")
    if len(prompt) > MAX_PROMPT:
        raise InputError(f"shot {index + 1}: the prompt has {len(prompt)} characters; at most {MAX_PROMPT} can be used")
    return _changed(timeline, index, prompt=prompt)


def set_size(timeline: Timeline, index: int, size: str) -> Timeline:
    """wide, medium or close. A prompt that names the old size in the director's words names the new one."""
    size = _choice(ShotSize, size, f"shot {index + 1}: size")
    shot = _editable(timeline, index)
    prompt = re.sub(rf"\b{re.escape(SIZES[shot.size])}\b", SIZES[size], shot.prompt, count=1)
    return _changed(timeline, index, size=size, prompt=prompt)


def set_move(timeline: Timeline, index: int, kind: str) -> Timeline:
    """A named camera move; it replaces explicit keyframes."""
    kind = _choice(MoveKind, kind, f"shot {index + 1}: move")
    camera = _editable(timeline, index).camera.model_copy(update={"kind": kind, "keyframes": []})
    return _changed(timeline, index, camera=camera)


def set_amount(timeline: Timeline, index: int, amount: float) -> Timeline:
    """How far the camera moves: 0..2, 1 as a director would mean it."""
    if not 0 <= amount <= 2:
        raise InputError(f"shot {index + 1}: amount: expected 0 to 2 (1 is the full move), got {amount:g}")
    camera = _editable(timeline, index).camera.model_copy(update={"amount": float(amount)})
    return _changed(timeline, index, camera=camera)


def set_seed(timeline: Timeline, index: int, seed: int) -> Timeline:
    """Another seed is another take of the same shot; 0..2**32 - 1."""
    if not 0 <= seed < 2**32:
        raise InputError(f"shot {index + 1}: seed: expected 0 to {2**32 - 1}, got {seed}")
    return _changed(timeline, index, seed=int(seed))


def set_locked(timeline: Timeline, index: int, locked: bool) -> Timeline:
    """A locked shot keeps its place, its words and its take."""
    shot = _shot(timeline, index).model_copy(update={"locked": locked})
    return _with_shots(timeline, [*timeline.shots[:index], shot, *timeline.shots[index + 1 :]])


def set_transition(timeline: Timeline, index: int, kind: str, num_frames: int | None = None) -> Timeline:
    """How the shot begins: "cut", or "crossfade" of num_frames, centred on the cut (default: half a second, or less
    where a shot is short)."""
    if kind not in ("cut", "crossfade"):
        raise InputError(f"shot {index + 1}: transition: expected cut or crossfade, got {kind!r}")
    if kind == "cut":
        return _changed(timeline, index, transition=Transition())
    if index == 0:
        raise InputError("shot 1: transition: the first shot has nothing to fade from; leave it a cut")
    longest = _longest_crossfade(timeline, index)
    if num_frames is None:
        num_frames = min(to_frame(0.5, timeline.fps), longest)
    if not 1 <= num_frames <= longest:
        raise InputError(
            f"shot {index + 1}: transition: a crossfade here can have 1 to {longest} frames (half of the shorter shot "
            f"on each side), got {num_frames}"
        )
    before = num_frames // 2
    fade = Transition(kind="crossfade", in_offset=before, out_offset=num_frames - before)
    return _changed(timeline, index, transition=fade)


# ---------------------------------------------------------------- the cuts


def move_boundary(timeline: Timeline, index: int, frame: int) -> Timeline:
    """Start shot `index` (1 or later) at `frame`; the shot before it follows. The caller snaps to beats."""
    if not 1 <= index < len(timeline.shots):
        raise InputError(f"shot {index + 1}: only the starts of shots 2 to {len(timeline.shots)} can be moved")
    before, after = _editable(timeline, index - 1), _editable(timeline, index)
    if not before.start < frame < after.end:
        raise InputError(
            f"shot {index + 1} cannot start at frame {frame}: it must lie between frames {before.start + 1} and "
            f"{after.end - 1}, so that both shots keep at least one frame"
        )
    before = before.model_copy(update={"duration": frame - before.start, "chosen": None})
    after = after.model_copy(update={"start": frame, "duration": after.end - frame, "chosen": None})
    return _with_shots(timeline, [*timeline.shots[: index - 1], before, after, *timeline.shots[index + 1 :]])


def split(timeline: Timeline, index: int, frame: int) -> Timeline:
    """Cut a shot in two at `frame`, the first of the new shot; both keep its words and its seed."""
    shot = _editable(timeline, index)
    if not shot.start < frame < shot.end:
        raise InputError(
            f"shot {index + 1} cannot be split at frame {frame}: it has frames {shot.start} to {shot.end - 1}, and "
            "each part needs at least one"
        )
    first = shot.model_copy(update={"duration": frame - shot.start, "chosen": None})
    second = shot.model_copy(
        update={
            "id": _new_id(timeline),
            "start": frame,
            "duration": shot.end - frame,
            "transition": Transition(),
            "takes": [],
            "chosen": None,
        }
    )
    return _with_shots(timeline, [*timeline.shots[:index], first, second, *timeline.shots[index + 1 :]])


def merge(timeline: Timeline, index: int) -> Timeline:
    """Join a shot and the next one; the first one's words, camera and seed stay."""
    if index + 1 >= len(timeline.shots):
        raise InputError(f"shot {index + 1} is the last one: there is no next shot to merge with")
    shot, following = _editable(timeline, index), _editable(timeline, index + 1)
    joined = shot.model_copy(update={"duration": shot.duration + following.duration, "chosen": None})
    return _with_shots(timeline, [*timeline.shots[:index], joined, *timeline.shots[index + 2 :]])


def delete(timeline: Timeline, index: int) -> Timeline:
    """Remove a shot; the one before it plays on, or the one after it starts earlier where there is none."""
    shot = _editable(timeline, index)
    if len(timeline.shots) == 1:
        raise InputError("shot 1 is the only one: a film needs at least one shot")
    if index > 0:
        return merge(timeline, index - 1)
    following = _editable(timeline, 1)
    update = {"start": 0, "duration": shot.duration + following.duration, "transition": Transition(), "chosen": None}
    return _with_shots(timeline, [following.model_copy(update=update), *timeline.shots[2:]])


def nearest_beat(beats: Sequence[float], frame: int, fps: Fraction, first: int, last: int) -> int:
    """The frame in first..last on which the beat nearest to `frame` falls; `frame` itself, clipped, where no beat does.

    beats: seconds.
    """
    on_beats = [f for f in (to_frame(beat, fps) for beat in beats) if first <= f <= last]
    return min(on_beats, key=lambda f: abs(f - frame), default=min(max(frame, first), last))


def shot_signature(timeline: Timeline, index: int) -> str:
    """Hash of all in the plan that could change a pixel of this shot; takes, reasons, lock and numbering cannot."""
    shot = timeline.shots[index].model_copy(
        update={"id": "", "takes": [], "reasons": [], "locked": False, "chosen": None, "section": 0}
    )
    words = f"{dump_compact(shot)}{timeline.span(index)}{timeline.fps}{timeline.width}x{timeline.height}"
    return hashlib.sha256(words.encode()).hexdigest()[:16]


# ---------------------------------------------------------------- the table of the page


def table_rows(timeline: Timeline, labels: Sequence[str]) -> list[list]:
    """One row per shot in the order of COLUMNS. labels: the label of each section of the analysis."""
    return [_row(timeline, index, labels) for index in range(len(timeline.shots))]


def apply_table(timeline: Timeline, rows: Sequence[Sequence]) -> Timeline:
    """The table as edited by the user, every cell checked. One revision for all of it; the same Timeline object where
    nothing changed. Rows may come in any order (a table can be sorted): column "#" names the shot.

    Raises InputError naming the row and the column of the first cell that cannot be used.
    """
    edited = timeline
    for index, row in _rows_by_shot(timeline, rows):
        edited = _apply_row(edited, index, row, _row(timeline, index, []))
    if edited is timeline:
        return timeline
    return edited.model_copy(update={"revision": timeline.revision + 1})


def _apply_row(timeline: Timeline, index: int, row: Sequence, old: Sequence) -> Timeline:
    """Only the cells that differ are edits. A prompt edited by hand wins over the words a new size brings."""
    cells, before = dict(zip(COLUMNS, row)), dict(zip(COLUMNS, old))
    for name in ("time", "length"):
        if str(cells[name]) != before[name]:
            raise InputError(f"{_cell(index, name)}: cannot be typed in here; use the buttons below the table")
    locked = _as_bool(cells["locked"], _cell(index, "locked"))
    edits = {
        "size": lambda t: set_size(t, index, str(cells["size"]).strip()),
        "move": lambda t: set_move(t, index, str(cells["move"]).strip()),
        "amount": lambda t: set_amount(t, index, _as_number(cells["amount"], _cell(index, "amount"))),
        "prompt": lambda t: set_prompt(t, index, str(cells["prompt"] or "")),
        "transition": lambda t: set_transition(t, index, *_as_transition(cells["transition"], index)),
        "seed": lambda t: set_seed(t, index, _as_integer(cells["seed"], _cell(index, "seed"))),
    }
    if before["locked"] and not locked:
        timeline = set_locked(timeline, index, False)
    for name, edit in edits.items():
        if not _same(cells[name], before[name]):
            timeline = edit(timeline)
    if locked and not before["locked"]:
        timeline = set_locked(timeline, index, True)
    return timeline


def _row(timeline: Timeline, index: int, labels: Sequence[str]) -> list:
    shot = timeline.shots[index]
    return [
        index + 1,
        film_time(shot.start, timeline.fps),
        f"{to_seconds(shot.duration, timeline.fps):.2f} s",
        labels[shot.section] if shot.section < len(labels) else "",
        str(shot.size),
        str(shot.camera.kind),
        round(shot.camera.amount, 3),
        shot.prompt,
        transition_text(shot.transition),
        shot.seed,
        shot.locked,
    ]


def film_time(frame: int, fps: Fraction) -> str:
    """Start of a frame for reading: minutes:seconds.hundredths."""
    hundredths = int(to_seconds(frame, fps) * 100 + 1e-6)
    return f"{hundredths // 6000}:{hundredths // 100 % 60:02d}.{hundredths % 100:02d}"


def transition_text(transition: Transition) -> str:
    """cut, or crossfade and its length in frames: what _as_transition reads."""
    length = transition.in_offset + transition.out_offset
    return f"crossfade {length}" if length else "cut"


def _rows_by_shot(timeline: Timeline, rows: Sequence[Sequence]) -> list[tuple[int, Sequence]]:
    if len(rows) != len(timeline.shots):
        raise InputError(
            f"the table has {len(rows)} rows, the plan {len(timeline.shots)} shots; "
            "use Split, Merge and Delete to change the number of shots"
        )
    for at, row in enumerate(rows):
        if len(row) != len(COLUMNS):
            raise InputError(f"row {at + 1}: expected {len(COLUMNS)} columns, got {len(row)}")
    numbers = [_as_integer(row[0], f"row {at + 1}, column #") for at, row in enumerate(rows)]
    if sorted(numbers) != list(range(1, len(rows) + 1)):
        raise InputError(f"column #: expected each of 1 to {len(rows)} once; it cannot be edited")
    return sorted(((number - 1, row) for number, row in zip(numbers, rows)), key=lambda pair: pair[0])


def _cell(index: int, column: str) -> str:
    return f"shot {index + 1}, column {column}"


def _same(cell, before) -> bool:
    """Tables hand numbers back as text now and then."""
    if isinstance(before, str):
        return str(cell if cell is not None else "") == before
    try:
        return float(cell) == float(before)
    except (TypeError, ValueError):
        return False


def _as_number(cell, where: str) -> float:
    try:
        number = float(str(cell).replace(",", "."))
    except ValueError:
        raise InputError(f"{where}: expected a number, got {str(cell)[:40]!r}") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise InputError(f"{where}: expected a number, got {str(cell)[:40]!r}")
    return number


def _as_integer(cell, where: str) -> int:
    number = _as_number(cell, where)
    if number != int(number):
        raise InputError(f"{where}: expected a whole number, got {str(cell)[:40]!r}")
    return int(number)


def _as_bool(cell, where: str) -> bool:
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False, "none": False}
    try:
        return known[str(cell).strip().lower()]
    except KeyError:
        raise InputError(f"{where}: expected true or false, got {str(cell)[:40]!r}") from None


def _as_transition(cell, index: int) -> tuple[str, int | None]:
    match = re.fullmatch(r"\s*(cut|crossfade)(?:\s+(\d{1,4}))?\s*", str(cell or ""), re.IGNORECASE)
    if not match or (match[1].lower() == "cut" and match[2]):
        raise InputError(
            f"{_cell(index, 'transition')}: expected cut, crossfade, or crossfade and its length in frames such as "
            f"crossfade 12, got {str(cell)[:40]!r}"
        )
    return match[1].lower(), int(match[2]) if match[2] else None


# ---------------------------------------------------------------- what all edits share


def _shot(timeline: Timeline, index: int) -> Shot:
    if not 0 <= index < len(timeline.shots):
        raise InputError(f"there is no shot {index + 1}; the plan has {len(timeline.shots)}")
    return timeline.shots[index]


def _editable(timeline: Timeline, index: int) -> Shot:
    shot = _shot(timeline, index)
    if shot.locked:
        raise InputError(f"shot {index + 1} is locked; unlock it first")
    return shot


def _changed(timeline: Timeline, index: int, **update) -> Timeline:
    """The chosen take showed the shot as it was, so the next rendering is chosen anew."""
    shot = _editable(timeline, index).model_copy(update={**update, "chosen": None})
    return _with_shots(timeline, [*timeline.shots[:index], shot, *timeline.shots[index + 1 :]])


def _with_shots(timeline: Timeline, shots: list[Shot]) -> Timeline:
    """The next revision with these shots; checks all that a Timeline promises."""
    try:
        return Timeline(**{**dict(timeline), "shots": shots, "revision": timeline.revision + 1})
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(f"this edit does not fit the plan: {reason}; shorten the transition or move the cut") from None


def _choice(kind: type, value: str, where: str):
    try:
        return kind(str(value).strip().lower())
    except ValueError:
        raise InputError(f"{where}: expected one of {', '.join(kind)}; got {str(value)[:40]!r}") from None


def _longest_crossfade(timeline: Timeline, index: int) -> int:
    """Frames: the smaller half goes before the cut, the larger after it; each fits in half of its shot."""
    before, after = timeline.shots[index - 1].duration // 2, timeline.shots[index].duration // 2
    return min(2 * before + 1, 2 * after)


def _new_id(timeline: Timeline) -> str:
    taken = {shot.id for shot in timeline.shots}
    number = len(taken) + 1
    while f"shot-{number:03d}" in taken:
        number += 1
    return f"shot-{number:03d}"


# ---------------------------------------------------------------- undo and redo


class _Steps(Document):
    """Revisions to go back to, oldest first, and forward to, nearest last."""

    version: Literal[1] = 1
    undo: list[int] = Field([])
    redo: list[int] = Field([])


class EditHistory:
    """Undo and redo of a project, kept in its folder: survives a reload and a restart.

    Each step is a plan as it was (r<revision>.json); history.json lists them. Revisions only ever grow: an undo is a
    new revision with the old shots, so that a revision names one state for good.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    @property
    def can_undo(self) -> bool:
        return bool(self._steps().undo)

    @property
    def can_redo(self) -> bool:
        return bool(self._steps().redo)

    def record(self, before: Timeline) -> None:
        """An edit has been made of this plan: it can be undone, and what was undone before is gone."""
        self._keep(before)
        steps = self._steps()
        self._save([*steps.undo, before.revision][-HISTORY_LENGTH:], [])

    def undo(self, current: Timeline) -> Timeline:
        """The plan before the last edit. Raises InputError where there is none."""
        steps = self._steps()
        if not steps.undo:
            raise InputError("there is nothing to undo")
        restored = self._restore(steps.undo[-1], current)
        self._keep(current)
        self._save(steps.undo[:-1], [*steps.redo, current.revision])
        return restored

    def redo(self, current: Timeline) -> Timeline:
        """The plan before the last undo. Raises InputError where there is none."""
        steps = self._steps()
        if not steps.redo:
            raise InputError("there is nothing to redo")
        restored = self._restore(steps.redo[-1], current)
        self._keep(current)
        self._save([*steps.undo, current.revision], steps.redo[:-1])
        return restored

    def _steps(self) -> _Steps:
        path = self.folder / "history.json"
        return _Steps.load(path) if path.exists() else _Steps()

    def _keep(self, timeline: Timeline) -> None:
        timeline.save(self.folder / f"r{timeline.revision}.json")

    def _restore(self, revision: int, current: Timeline) -> Timeline:
        """Old shots, with every take known now: takes rendered since then are not lost."""
        old = Timeline.load(self.folder / f"r{revision}.json")
        return with_takes(old, current).model_copy(update={"revision": current.revision + 1})

    def _save(self, undo: list[int], redo: list[int]) -> None:
        _Steps(undo=undo, redo=redo).save(self.folder / "history.json")
        kept = {f"r{revision}.json" for revision in (*undo, *redo)}
        for path in self.folder.glob("r*.json"):
            if path.name not in kept:
                path.unlink(missing_ok=True)


def with_takes(timeline: Timeline, other: Timeline) -> Timeline:
    """`timeline` with the takes of `other` added to the shots of the same id; revision and everything else stay."""
    known = {shot.id: shot.takes for shot in other.shots}
    shots = []
    for shot in timeline.shots:
        keys = {take.key for take in shot.takes}
        new = [take for take in known.get(shot.id, []) if take.key not in keys]
        shots.append(shot.model_copy(update={"takes": [*shot.takes, *new]}) if new else shot)
    return timeline.model_copy(update={"shots": shots})
