"""Edits of the shot plan: Timeline → Timeline, pure. Undo and redo are in mv/ui/history.py.

Every edit returns a new, valid Timeline with the next revision, or raises InputError in words a user understands.
Shots are addressed by index, 0 the first; messages count from 1 as the page does. A locked shot refuses every edit but
`set_locked`. Takes stay with their shot: they are found again by content key, so what did not change renders at once.
"""

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from mv.errors import InputError
from mv.schema import (
    MAX_OFFSET,
    TRANSITIONS,
    Keyframe,
    MoveKind,
    Shot,
    ShotSize,
    Take,
    Timeline,
    Transition,
    TransitionKind,
    dump_compact,
)
from mv.timing import to_frame
from mv.world.vocabulary import SIZES

MAX_PROMPT = 1000  # characters: more than any text encoder here reads


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


def set_keyframes(timeline: Timeline, index: int, keyframes: Sequence[Keyframe]) -> Timeline:
    """The camera goes through these; none: the named move again. The page's are read in mv/ui/keyframes.py."""
    camera = _editable(timeline, index).camera.model_copy(update={"keyframes": list(keyframes)})
    return _changed(timeline, index, camera=camera)


def set_amount(timeline: Timeline, index: int, amount: float) -> Timeline:
    """How far the camera moves: 0..2, 1 as a director would mean it."""
    if not 0 <= amount <= 2:
        raise InputError(f"shot {index + 1}: amount: expected 0 to 2 (1 is the full move), got {amount:g}")
    camera = _editable(timeline, index).camera.model_copy(update={"amount": float(amount)})
    return _changed(timeline, index, camera=camera)


def set_beat(timeline: Timeline, index: int, beat: float) -> Timeline:
    """How much accents push the camera on the beat: 0..1."""
    if not 0 <= beat <= 1:
        raise InputError(f"shot {index + 1}: beat: expected 0 (not at all) to 1 (fully), got {beat:g}")
    camera = _editable(timeline, index).camera.model_copy(update={"beat": float(beat)})
    return _changed(timeline, index, camera=camera)


def set_seed(timeline: Timeline, index: int, seed: int) -> Timeline:
    """Another seed is another take of the same shot; 0..2**32 - 1."""
    if not 0 <= seed < 2**32:
        raise InputError(f"shot {index + 1}: seed: expected 0 to {2**32 - 1}, got {seed}")
    return _changed(timeline, index, seed=int(seed))


def set_reference(timeline: Timeline, index: int, picture: str | None) -> Timeline:
    """The image file the shot starts from, relative to the plan; None: no picture."""
    return _changed(timeline, index, reference=picture)


def set_locked(timeline: Timeline, index: int, locked: bool) -> Timeline:
    """A locked shot keeps its place, its words and its take."""
    shot = _shot(timeline, index).model_copy(update={"locked": locked})
    return _with_shots(timeline, [*timeline.shots[:index], shot, *timeline.shots[index + 1 :]])


def set_transition(timeline: Timeline, index: int, kind: str, num_frames: int | None = None) -> Timeline:
    """How the shot begins: a key of TRANSITIONS and its length (default: the usual one, or less where a shot is short).

    Centred on the cut, but for a flash and for the film's first shot, which have all of it after the cut. A take that
    was chosen stays where it needs no other frames.
    """
    shot, where = _editable(timeline, index), f"shot {index + 1}: transition"
    kind = _choice(TransitionKind, kind, where)
    transition = Transition()
    if kind != TransitionKind.cut:
        transition = _transition(timeline, index, kind, num_frames, where)
    elif num_frames:
        raise InputError(f"{where}: a cut has no length; choose another transition first")
    if transition.handles != shot.transition.handles:
        return _changed(timeline, index, transition=transition)
    shot = shot.model_copy(update={"transition": transition})
    return _with_shots(timeline, [*timeline.shots[:index], shot, *timeline.shots[index + 1 :]])


def _transition(timeline: Timeline, index: int, kind: TransitionKind, num_frames: int | None, where: str) -> Transition:
    if index == 0 and kind == TransitionKind.crossfade:
        raise InputError(f"{where}: the first shot has nothing to fade from; leave it a cut, or take a dip")
    after_cut = TRANSITIONS[kind].after_cut or index == 0
    neighbours = timeline.shots[max(0, index - 1)], timeline.shots[index]
    before, after = (min(shot.duration // 2, MAX_OFFSET) for shot in neighbours)
    # Else the smaller half goes before the cut, the larger after it.
    longest = after if after_cut else min(2 * before + 1, 2 * after)
    if num_frames is None:
        num_frames = min(to_frame(TRANSITIONS[kind].seconds, timeline.fps), longest)
    if not 1 <= num_frames <= longest:
        room = "half of the shot" if after_cut else "half of the shorter shot on each side"
        raise InputError(
            f"{where}: a {kind} here can have 1 to {longest} frames ({room}, {MAX_OFFSET} at most), got {num_frames}"
        )
    first = 0 if after_cut else num_frames // 2
    return Transition(kind=kind, in_offset=first, out_offset=num_frames - first)


# ---------------------------------------------------------------- the cuts


def move_boundary(timeline: Timeline, index: int, frame: int) -> Timeline:
    """Start shot `index` (1 or later) at `frame`; the shot before it follows. The page snaps to beats."""
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


def reorder(timeline: Timeline, index: int, to: int) -> Timeline:
    """Show shot `index` at place `to`; those between move up by one.

    The cuts stay on their beats: the pictures change places, each as long as its new place. What belongs to a place
    (start, length, section, transition and the reasons for them) stays there.
    """
    _shot(timeline, to)
    first, last = min(index, to), max(index, to)
    places = [_editable(timeline, i) for i in range(first, last + 1)]
    if first == last:
        return timeline
    pictures = list(places)
    pictures.insert(to - first, pictures.pop(index - first))
    moved = [_put(picture, place) for picture, place in zip(pictures, places)]
    return _with_shots(timeline, [*timeline.shots[:first], *moved, *timeline.shots[last + 1 :]])


_OF_THE_PLACE = ("boundary", "transition")  # decisions about when, not about what


def _put(picture: Shot, place: Shot) -> Shot:
    why = [r for r in place.reasons if r.decision in _OF_THE_PLACE]
    why += [r for r in picture.reasons if r.decision not in _OF_THE_PLACE]
    kept = ("start", "duration", "section", "transition")
    return picture.model_copy(update={**{name: getattr(place, name) for name in kept}, "reasons": why, "chosen": None})


def copy_look(timeline: Timeline, source: int, index: int) -> Timeline:
    """Shot `index` shows what shot `source` shows: its prompt, size, camera and reference image; its own seed stays."""
    look = _shot(timeline, source)
    names = ("prompt", "size", "camera", "reference")
    return _changed(timeline, index, **{name: getattr(look, name) for name in names})


def set_picture_size(timeline: Timeline, width: int, height: int) -> Timeline:
    """The same cuts in another shape, pixels; every take is for the old one, so none is chosen any more."""
    shots = [shot.model_copy(update={"chosen": None}) for shot in timeline.shots]
    return _with_shots(timeline.model_copy(update={"width": width, "height": height}), shots)


def shot_signature(timeline: Timeline, index: int) -> str:
    """Hash of all in the plan that could change a pixel of this shot's take; takes, reasons, lock and numbering cannot,
    nor can a transition but by the frames it needs.

    Files count by their names, so that a plan as saved and one with absolute paths agree.
    """
    shot = timeline.shots[index]
    idle = {"id": "", "takes": [], "reasons": [], "locked": False, "chosen": None, "section": 0, "planned": None}
    idle["transition"] = Transition()
    shot = shot.model_copy(update={**idle, "reference": shot.reference and Path(shot.reference).name})
    span, size = timeline.span(index), f"{timeline.width}x{timeline.height}"
    words = f"{dump_compact(shot)}{span}{timeline.fps}{size}{Path(timeline.analysis).name}"
    return hashlib.sha256(words.encode()).hexdigest()[:16]


# ---------------------------------------------------------------- takes


def choose_take(timeline: Timeline, index: int, key: str) -> Timeline:
    """This take stands for the shot, whatever is rendered later; a take of another length cannot."""
    shot = _editable(timeline, index)
    take = next((take for take in shot.takes if take.key == key), None)
    if take is None:
        raise InputError(f"shot {index + 1}: it has no take {key[:16]!r}")
    start, stop = timeline.span(index)
    if take.num_frames != stop - start:
        raise InputError(
            f"shot {index + 1}: this take has {take.num_frames} frames, the shot now needs {stop - start}; "
            "move the cut back, or render the shot again"
        )
    shot = shot.model_copy(update={"chosen": key})
    return _with_shots(timeline, [*timeline.shots[:index], shot, *timeline.shots[index + 1 :]])


def fits(timeline: Timeline, index: int, take: Take) -> bool:
    """Whether a take is as long as its shot and handles are now."""
    start, stop = timeline.span(index)
    return take.num_frames == stop - start


def with_takes(timeline: Timeline, other: Timeline) -> Timeline:
    """`timeline` with the takes of `other` added to the shots of the same id; revision and everything else stay."""
    known = {shot.id: shot.takes for shot in other.shots}
    shots = []
    for shot in timeline.shots:
        keys = {take.key for take in shot.takes}
        new = [take for take in known.get(shot.id, []) if take.key not in keys]
        shots.append(shot.model_copy(update={"takes": [*shot.takes, *new]}) if new else shot)
    return timeline.model_copy(update={"shots": shots})


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


def _new_id(timeline: Timeline) -> str:
    taken = {shot.id for shot in timeline.shots}
    number = len(taken) + 1
    while f"shot-{number:03d}" in taken:
        number += 1
    return f"shot-{number:03d}"
