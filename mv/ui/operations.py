"""What the page asks for in words of its own → edits. A message names shots by id, so that it means the same shot in
every revision; whatever it holds is checked here, because anybody can send one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mv.errors import InputError
from mv.make import SIZES
from mv.schema import Analysis, Timeline
from mv.ui import edits, keyframes, music

MAX_SHOTS = 5000  # of one message
Message = Mapping[str, object]


@dataclass(frozen=True)
class Operation:
    """apply: the edit; name: what undo calls it; group: steps of one group in a row are one step."""

    apply: Callable[[Timeline], Timeline]
    name: str
    group: str = ""


@dataclass(frozen=True)
class Correction:
    """An edit of what was heard; the plan follows."""

    apply: Callable[[Analysis], Analysis]
    name: str


def give_reference(message: Message, picture: str) -> Operation:
    """The shots named start from this picture of the project."""

    def apply(plan: Timeline) -> Timeline:
        for index in _shots(plan, message):
            plan = edits.set_reference(plan, index, picture)
        return plan

    return Operation(apply, "reference image")


def read_operation(message: Message) -> Operation | Correction:
    """Raises InputError for a message that is none."""
    kind = message.get("op")
    if isinstance(kind, str) and kind in _EDITS:
        return Operation(lambda plan: _EDITS[kind](plan, message), _NAMES.get(kind, kind), _group(message))
    if isinstance(kind, str) and kind in _CORRECTIONS:
        return Correction(lambda analysis: _CORRECTIONS[kind](analysis, message), _NAMES.get(kind, kind))
    raise InputError(f"this page asks for something unknown ({str(kind)[:40]!r}); reload it")


# ---------------------------------------------------------------- edits of the plan


def _set(plan: Timeline, message: Message) -> Timeline:
    """The fields of a shot, of each shot named; a prompt typed by hand wins over the words a new size brings."""
    fields = message.get("fields")
    if not isinstance(fields, Mapping) or not set(fields) <= set(_FIELDS):
        raise InputError(f"expected fields among {', '.join(_FIELDS)}")
    for index in _shots(plan, message):
        for name in _FIELDS:
            if name in fields:
                plan = _FIELDS[name](plan, index, fields[name])
    return plan


def _transition_frames(plan: Timeline, index: int, value: object) -> Timeline:
    """0 frames makes it a cut."""
    frames = _whole(value, "transition frames")
    kind = str(plan.shots[index].transition.kind) if frames else "cut"
    return keyframes.keep_in_time(plan, edits.set_transition(plan, index, kind, frames))


def _transition(plan: Timeline, index: int, value: object) -> Timeline:
    """Its handles are frames of the shot, too."""
    return keyframes.keep_in_time(plan, edits.set_transition(plan, index, _text(value, "transition")))


def _reference(plan: Timeline, index: int, value: object) -> Timeline:
    """Taken away here; a picture comes as a file (see Project.keep_picture)."""
    if value is not None:
        raise InputError("reference: a picture is uploaded, not named")
    return edits.set_reference(plan, index, None)


_FIELDS: dict[str, Callable[[Timeline, int, object], Timeline]] = {
    "size": lambda plan, i, value: edits.set_size(plan, i, _text(value, "size")),
    "move": lambda plan, i, value: edits.set_move(plan, i, _text(value, "move")),
    "amount": lambda plan, i, value: edits.set_amount(plan, i, _number(value, "amount")),
    "beat": lambda plan, i, value: edits.set_beat(plan, i, _number(value, "beat")),
    "prompt": lambda plan, i, value: edits.set_prompt(plan, i, _text(value, "prompt")),
    "transition": _transition,
    "transition_frames": _transition_frames,
    "keyframes": lambda plan, i, value: keyframes.set_keyframes(plan, i, _rows(value)),
    "reference": _reference,
    "seed": lambda plan, i, value: edits.set_seed(plan, i, _whole(value, "seed")),
}


def _move_boundary(plan: Timeline, message: Message) -> Timeline:
    shot, frame = _shot(plan, message.get("id")), _whole(message.get("frame"), "frame")
    return keyframes.keep_in_time(plan, edits.move_boundary(plan, shot, frame))


def _split(plan: Timeline, message: Message) -> Timeline:
    shot, frame = _shot(plan, message.get("id")), _whole(message.get("frame"), "frame")
    return keyframes.keep_in_time(plan, edits.split(plan, shot, frame))


def _merge(plan: Timeline, message: Message) -> Timeline:
    """All shots named become one, the first of them."""
    indices = _shots(plan, message)
    if len(indices) < 2 or indices != list(range(indices[0], indices[-1] + 1)):
        raise InputError("merge: choose two or more shots that follow each other")
    for _ in indices[1:]:
        plan = keyframes.merge(plan, indices[0])
    return plan


def _delete(plan: Timeline, message: Message) -> Timeline:
    for index in reversed(_shots(plan, message)):
        plan = keyframes.keep_in_time(plan, edits.delete(plan, index))
    return plan


def _reorder(plan: Timeline, message: Message) -> Timeline:
    return edits.reorder(plan, _shot(plan, message.get("id")), _whole(message.get("to"), "to"))


def _look(plan: Timeline, message: Message) -> Timeline:
    source = plan.shots[_shot(plan, message.get("source"))].id
    for index in _shots(plan, message):
        if plan.shots[index].id != source:
            plan = edits.copy_look(plan, plan.index(source), index)
    return plan


def _lock(plan: Timeline, message: Message) -> Timeline:
    for index in _shots(plan, message):
        plan = edits.set_locked(plan, index, bool(message.get("locked")))
    return plan


def _make_keyframes(plan: Timeline, message: Message) -> Timeline:
    for index in _shots(plan, message):
        plan = keyframes.make_keyframes(plan, index)
    return plan


def _add_keyframe(plan: Timeline, message: Message) -> Timeline:
    return keyframes.add_keyframe(plan, _shot(plan, message.get("id")), _number(message.get("at"), "at"))


def _choose(plan: Timeline, message: Message) -> Timeline:
    return edits.choose_take(plan, _shot(plan, message.get("id")), _text(message.get("take"), "take"))


def _aspect(plan: Timeline, message: Message) -> Timeline:
    aspect = _text(message.get("aspect"), "aspect")
    sizes = [s for s, aspects in SIZES.items() if (plan.width, plan.height) in aspects.values()] or ["standard"]
    if aspect not in SIZES[sizes[0]]:
        raise InputError(f"aspect: expected one of {', '.join(SIZES[sizes[0]])}, got {aspect[:40]!r}")
    return edits.set_picture_size(plan, *SIZES[sizes[0]][aspect])


_EDITS: dict[str, Callable[[Timeline, Message], Timeline]] = {
    "set": _set,
    "move_boundary": _move_boundary,
    "split": _split,
    "merge": _merge,
    "delete": _delete,
    "reorder": _reorder,
    "look": _look,
    "lock": _lock,
    "make_keyframes": _make_keyframes,
    "add_keyframe": _add_keyframe,
    "choose": _choose,
    "aspect": _aspect,
}
_NAMES = {
    "set": "change of a shot",
    "move_boundary": "moved cut",
    "reorder": "new order",
    "look": "copied look",
    "make_keyframes": "keyframes of the move",
    "add_keyframe": "new keyframe",
    "choose": "choice of a take",
    "aspect": "new shape",
    "scale_tempo": "tempo",
    "tap": "tapped tempo",
    "shift_downbeat": "shifted downbeat",
    "move_section": "moved section",
    "rename_section": "renamed section",
}


def _group(message: Message) -> str:
    """Typing into one field of one shot in one go is one step; the page gives each go a name."""
    go = message.get("go")
    return f"{message.get('ids')}:{go}"[:200] if isinstance(go, str) and go else ""


# ---------------------------------------------------------------- corrections of the music


_CORRECTIONS: dict[str, Callable[[Analysis, Message], Analysis]] = {
    "scale_tempo": lambda heard, m: music.scale_tempo(heard, _number(m.get("factor"), "factor")),
    "tap": lambda heard, m: music.tap(heard, [_number(t, "tap") for t in _list(m.get("times"), "taps")]),
    "shift_downbeat": lambda heard, m: music.shift_downbeat(heard, _whole(m.get("by"), "by")),
    "move_section": lambda heard, m: music.move_section(
        heard, _whole(m.get("index"), "section"), _number(m.get("time"), "time")
    ),
    "rename_section": lambda heard, m: music.rename_section(
        heard, _whole(m.get("index"), "section"), _text(m.get("label"), "label")
    ),
}


# ---------------------------------------------------------------- reading


def _shots(plan: Timeline, message: Message) -> list[int]:
    """Indices in the film's order."""
    indices = sorted({_shot(plan, one) for one in _list(message.get("ids"), "shots")})
    if not indices:
        raise InputError("no shot is selected")
    return indices


def _shot(plan: Timeline, shot_id: object) -> int:
    return plan.index(_text(shot_id, "shot")[:80])


def _list(value: object, what: str) -> list:
    if not isinstance(value, list) or len(value) > MAX_SHOTS:
        raise InputError(f"{what}: expected a list of at most {MAX_SHOTS}")
    return value


def _rows(value: object) -> list[list[float]]:
    """Keyframes; what they may hold is checked where they are read."""
    return [[_number(number, "keyframe") for number in _list(row, "keyframe")] for row in _list(value, "keyframes")]


def _text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{what}: expected words, got {str(value)[:40]!r}")
    return value


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e12 or value != value:
        raise InputError(f"{what}: expected a number, got {str(value)[:40]!r}")
    return value


def _whole(value: object, what: str) -> int:
    number = _number(value, what)
    if number != int(number):
        raise InputError(f"{what}: expected a whole number, got {number:g}")
    return int(number)
