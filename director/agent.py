"""The director at work: plan → render → look at the takes → plan the bad shots again, a bounded number of times.

It needs no language model. The toolbox is one function, `render`; the memory holds every attempt at every shot and a
log a reader can follow. Shots that the user locked or edited are looked at and left alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from director import vocabulary as words
from director.lots import in_order, seed_of
from director.setups import framing_of, move_family
from mv.errors import InputError
from mv.schema import CameraMove, MoveKind, Reason, Shot, ShotSize, Take, Timeline
from mv.world.vocabulary import describe, understand

MAX_RETAKES = 8
CALMER = 0.7  # the share of its amount that a move keeps when it is replaced by a calmer one

# A timeline → the same with a take, and its measurements, for every shot; what is rendered already is found again.
Render = Callable[[Timeline], Timeline]


@dataclass(frozen=True)
class Goal:
    """What a take must reach: its measurement of this name, at most or at least so much."""

    name: str
    at_most: float | None = None
    at_least: float | None = None

    def missed_by(self, value: float) -> float:
        """0 where the value is good, else how far it is off, as a share of the limit; infinite for no number."""
        if not math.isfinite(value):
            return math.inf
        over = max(0.0, value - self.at_most) / (abs(self.at_most) or 1.0) if self.at_most is not None else 0.0
        under = max(0.0, self.at_least - value) / (abs(self.at_least) or 1.0) if self.at_least is not None else 0.0
        return over + under

    def __str__(self) -> str:
        limits = [f"at most {self.at_most:g}"] if self.at_most is not None else []
        return " and ".join(limits + ([f"at least {self.at_least:g}"] if self.at_least is not None else []))


@dataclass(frozen=True)
class Attempt:
    """One planned and rendered version of a shot. missed: by how much it misses the goals in all; why: in words."""

    shot: Shot
    take: Take
    missed: float
    why: str


@dataclass
class Memory:
    """attempts: by shot id, in order. log: one line a step."""

    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)


def perfect(timeline: Timeline, render: Render, goals: Sequence[Goal], max_retakes: int = 3) -> tuple[Timeline, Memory]:
    """The plan with the best take of every shot, after at most max_retakes (0 to 8) new plans of each bad one.

    A bad shot gets another seed first, then another, calmer move, then another size, then seeds again. All takes are
    kept; the best one is chosen, and its shot is as it was for that take. Raises InputError for a number of retakes
    that cannot be, and what render raises.
    """
    if not 0 <= max_retakes <= MAX_RETAKES:
        raise InputError(f"retakes: expected 0 to {MAX_RETAKES}, got {max_retakes}")
    memory = Memory()
    timeline = render(timeline)
    bad = _look(timeline, range(len(timeline.shots)), goals, memory)
    for turn in range(max_retakes):
        bad = [i for i in bad if _may_change(timeline.shots[i], turn, memory)]
        if not bad:
            break
        shots = list(timeline.shots)
        for i in bad:
            shots[i] = _planned_again(shots, i, turn, memory)
        timeline = render(timeline.model_copy(update={"shots": shots}))
        bad = _look(timeline, bad, goals, memory)
    memory.log.append(f"done: {len(bad)} shots still miss a goal" if bad else "done: no shot left to plan again")
    return timeline.model_copy(update={"shots": [_best(shot, memory) for shot in timeline.shots]}), memory


# ---------------------------------------------------------------- look


def _look(timeline: Timeline, indices: Sequence[int], goals: Sequence[Goal], memory: Memory) -> list[int]:
    """Remember the newest take of each shot; the indices of those that miss a goal."""
    bad = []
    for i in indices:
        shot = timeline.shots[i]
        take = _taken(shot)
        if take is None:
            memory.log.append(f"{shot.id}: no take to look at")
            continue
        missed = [(goal, take.measurements[goal.name]) for goal in goals if goal.name in take.measurements]
        missed = [(goal, value) for goal, value in missed if goal.missed_by(value) > 0]
        why = "; ".join(f"{goal.name} {value:.3g}, {goal}" for goal, value in missed)
        total = sum(goal.missed_by(value) for goal, value in missed)
        attempts = memory.attempts.setdefault(shot.id, [])
        attempts.append(Attempt(shot, take, total, why))
        memory.log.append(f"{shot.id}, take {len(attempts)}: {why or 'good'}")
        bad += [i] if missed else []
    return bad


def _taken(shot: Shot) -> Take | None:
    chosen = [take for take in shot.takes if take.key == shot.chosen]
    return (chosen or shot.takes or [None])[-1]


def _may_change(shot: Shot, turn: int, memory: Memory) -> bool:
    if turn == 0 and (shot.locked or shot.edited):
        memory.log.append(f"{shot.id}: {'locked' if shot.locked else 'edited'}, so it stays")
    return not (shot.locked or shot.edited)


def _best(shot: Shot, memory: Memory) -> Shot:
    """The shot as it was for its best take, with all takes."""
    attempts = memory.attempts.get(shot.id)
    if not attempts or len(attempts) == 1:
        return shot
    best = min(attempts, key=lambda attempt: attempt.missed)
    number = attempts.index(best) + 1
    memory.log.append(f"{shot.id}: take {number} of {len(attempts)} is the best: {best.why or 'good'}")
    takes = {take.key: take for attempt in attempts for take in attempt.shot.takes}
    return best.shot.model_copy(update={"takes": list(takes.values()), "chosen": best.take.key})


# ---------------------------------------------------------------- plan again


def _planned_again(shots: Sequence[Shot], index: int, turn: int, memory: Memory) -> Shot:
    """The shot with the next remedy, its reason written down."""
    shot = shots[index]
    around = [shots[i] for i in (index - 1, index + 1) if 0 <= i < len(shots)]
    remedy = (_another_seed, _another_move, _another_size)[turn % 3]
    changes = remedy(shot, around, turn) or _another_seed(shot, around, turn)
    choice = changes.pop("choice")
    why = memory.attempts[shot.id][-1].why
    memory.log.append(f"{shot.id}: planned again with {choice}")
    reason = Reason(decision="retake", choice=choice, evidence=f"take {len(memory.attempts[shot.id])}: {why}")
    again = shot.model_copy(update={**changes, "chosen": None, "reasons": [*shot.reasons, reason]})
    return again.model_copy(update={"planned": again.fingerprint})


def _another_seed(shot: Shot, around: Sequence[Shot], turn: int) -> dict:
    seed = seed_of(f"{shot.seed}/{turn}/retake")
    return {"seed": seed, "choice": f"another seed, {seed}"}


def _another_move(shot: Shot, around: Sequence[Shot], turn: int) -> dict | None:
    """A calmer one, of another kind than the neighbours'."""
    taken = {move_family(other.camera.kind) for other in [shot, *around]}
    calmer = {
        kind: 1.0
        for kind, move in words.MOVES.items()
        if move_family(kind) not in taken and move.energy < words.MOVES[shot.camera.kind].energy
    }
    kind = in_order(calmer or {MoveKind.static: 1.0}, f"{shot.seed}/{turn}/move")[0]
    if move_family(kind) in taken:
        return None
    amount = round(CALMER * shot.camera.amount, 3)
    camera = shot.camera.model_copy(update={"kind": kind, "amount": amount, "keyframes": []})
    return {"camera": camera, "choice": f"a calmer move: {kind}, amount {amount:.2f}"}


def _another_size(shot: Shot, around: Sequence[Shot], turn: int) -> dict | None:
    """The likeliest other size for what is shown, else another framing, from where it cuts with both neighbours."""
    read = understand(shot.prompt).directions
    if describe(read) != shot.prompt:
        return None  # not the director's words
    sizes = words.SIZES_FOR_ACTION[read.action]
    names = [name for name, framing in words.FRAMINGS.items() if framing.size in sizes]
    names.remove(framing_of(shot.size, shot.camera))
    names.sort(key=lambda name: (words.FRAMINGS[name].size == shot.size, -_share(name, sizes)))
    for name in names:
        size, distance = words.FRAMINGS[name].size, words.FRAMINGS[name].distance
        for azimuth in sorted(words.AZIMUTHS, key=lambda angle: abs(angle - shot.camera.azimuth)):
            camera = shot.camera.model_copy(update={"azimuth": azimuth, "framing": distance})
            if all(_cuts(size, camera, read.scene, other) for other in around):
                prompt = describe(replace(read, size=size.value))
                choice = f"another size: {name}, at {azimuth:+.0f}°"
                return {"size": size, "camera": camera, "prompt": prompt, "choice": choice}
    return None


def _share(framing: str, sizes: Mapping[ShotSize, float]) -> float:
    return sizes[words.FRAMINGS[framing].size] * words.FRAMING_SHARES[framing]


def _cuts(size: ShotSize, camera: CameraMove, scene: str, other: Shot) -> bool:
    """Whether a cut between this picture and the other shot changes place, size or angle enough."""
    turned = abs(camera.azimuth - other.camera.azimuth) >= words.CUT_ANGLE
    return turned or size != other.size or understand(other.prompt).directions.scene != scene
