"""The director at work: plan → act → look at the result → plan the bad shots again, a bounded number of times.

It needs no language model. What it can do is a table of named tools (director/toolbox.py); its memory holds the
material and the history of prompts and results, and every call of a tool is a line of its log. A new plan of a shot is
tried out before it is shot: on its trajectory, and on a single picture where one can be drawn. Shots that the user
locked or edited are looked at and left alone.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from director.casting import without_names
from director.moments import split_theme
from director.proposals import Writer, WriterError
from director.remedies import REMEDIES
from director.story import read_theme, theme_reason
from director.toolbox import Seen, Tool, taken
from mv.errors import InputError
from mv.schema import Analysis, Reason, Shot, Take, Timeline
from mv.timing import clock

MAX_RETAKES = 8
NO_CALMER = 1e6  # says more against a new plan than any picture: most fail for the camera's sake
MAX_TRIES = 3  # new plans of a shot that are tried out before one is shot
TURNS = tuple(REMEDIES)  # what is changed first, second, third, and round


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


# The measurements of all takes of the first round → what each take of the film must reach.
SetGoals = Callable[[Sequence[Mapping[str, float]]], Sequence[Goal]]


@dataclass(frozen=True)
class Attempt:
    """One planned and rendered version of a shot. missed: by how much it misses the goals in all; why: in words."""

    shot: Shot
    take: Take
    missed: float
    why: str


@dataclass
class Memory:
    """plan, analysis: the material. attempts: the history of prompts and results, by shot id, in order. log: one line a
    step."""

    plan: Timeline
    analysis: Analysis
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)


def perfect(
    plan: Timeline,
    analysis: Analysis,
    tools: Mapping[str, Tool],
    set_goals: SetGoals,
    max_retakes: int = 3,
    adviser: Writer | None = None,
) -> tuple[Timeline, Memory]:
    """The plan with the best take of every shot, after at most max_retakes (0 to 8) new plans of each bad one.

    tools: see director.toolbox; of image and trajectory it can do without. A bad shot gets another seed first, then
    another, calmer move, then another size, then seeds again; an adviser, if there is one, says which of them instead,
    until it fails. All takes are kept; the best one is chosen, and its shot is as it was for that take. Raises
    InputError for a number of retakes that cannot be, and what the tools raise.
    """
    if not 0 <= max_retakes <= MAX_RETAKES:
        raise InputError(f"retakes: expected 0 to {MAX_RETAKES}, got {max_retakes}")
    return _Agent(plan, analysis, tools, set_goals, adviser).work(max_retakes)


class _Agent:
    """One run: the tools at hand, the goals, the memory."""

    def __init__(self, plan, analysis, tools: Mapping[str, Tool], set_goals: SetGoals, adviser: Writer | None):
        self.memory = Memory(plan, analysis)
        self._tools, self._set_goals, self._adviser = tools, set_goals, adviser
        self._goals: Sequence[Goal] = ()

    def work(self, max_retakes: int) -> tuple[Timeline, Memory]:
        plan, everything = self.memory.plan, range(len(self.memory.plan.shots))
        self._say(*_material(plan, self.memory.analysis))
        self._say(*(f"tool {name}: takes {tool.takes}; gives {tool.gives}" for name, tool in self._tools.items()))
        for name in ("segmentation", "understanding", "trajectory"):
            self._call(name, plan, everything)
        plan, seen = self._call("video", plan, everything)
        self._goals = self._set_goals(list(seen.values()))
        self._say(*(f"goal: {goal.name} {goal}" for goal in self._goals))
        bad = self._look(plan, everything)
        for turn in range(max_retakes):
            bad = [i for i in bad if self._may_change(plan.shots[i], turn)]
            if not bad:
                break
            self._say(f"round {turn + 1} of at most {max_retakes}: {len(bad)} {_shots(bad)} to plan again")
            for i in bad:
                plan = self._plan_again(plan, i, turn)
            plan, _ = self._call("video", plan, bad)
            bad = self._look(plan, bad)
        done = f"{len(bad)} {_shots(bad)} still {'misses' if len(bad) == 1 else 'miss'} a goal"
        self._say(f"done: {done}" if bad else "done: no shot left to plan again")
        return plan.model_copy(update={"shots": [self._best(shot) for shot in plan.shots]}), self.memory

    # ---------------------------------------------------------------- tools and log

    def _say(self, *lines: str) -> None:
        self.memory.log += lines

    def _call(self, name: str, plan: Timeline, shots: Sequence[int], *arguments) -> tuple[Timeline, Mapping[int, Seen]]:
        """Use a tool, and write down with what and what came of it; nothing is seen with a tool that is not there."""
        if name not in self._tools:
            return plan, {}
        plan, seen = self._tools[name].run(plan, shots, *arguments)
        whom = plan.shots[shots[0]].id if len(shots) == 1 else f"{len(shots)} shots"
        told = ", ".join(map(str, arguments[:1]))
        self._say(f"{name}{f' ({told})' if told else ''}, {whom}: {_in_words(list(seen.values()))}")
        return plan, seen

    # ---------------------------------------------------------------- look

    def _look(self, plan: Timeline, shots: Sequence[int]) -> list[int]:
        """Remember the newest take of each shot; the indices of those that miss a goal."""
        bad = []
        for i in shots:
            shot, take = plan.shots[i], taken(plan.shots[i])
            if take is None:
                self._say(f"{shot.id}: no take to look at")
                continue
            missed, why = self._missed(take.measurements)
            attempts = self.memory.attempts.setdefault(shot.id, [])
            attempts.append(Attempt(shot, take, missed, why))
            self._say(f"{shot.id}, take {len(attempts)}: {why or 'good'}; {_setup(shot)}")
            bad += [i] if missed else []
        return bad

    def _missed(self, measurements: Seen) -> tuple[float, str]:
        """By how much the goals are missed in all, and which ones."""
        missed = [(goal, measurements[goal.name]) for goal in self._goals if goal.name in measurements]
        missed = [(goal, value) for goal, value in missed if goal.missed_by(value) > 0]
        why = "; ".join(f"{goal.name} {value:.3g}, {goal}" for goal, value in missed)
        return sum(goal.missed_by(value) for goal, value in missed), why

    def _may_change(self, shot: Shot, turn: int) -> bool:
        if turn == 0 and (shot.locked or shot.edited):
            self._say(f"{shot.id}: {'locked' if shot.locked else 'edited'}, so it stays")
        return not (shot.locked or shot.edited)

    def _best(self, shot: Shot) -> Shot:
        """The shot as it was for its best take, with all takes."""
        attempts = self.memory.attempts.get(shot.id)
        if not attempts or len(attempts) == 1:
            return shot
        best = min(attempts, key=lambda attempt: attempt.missed)
        number = attempts.index(best) + 1
        self._say(f"{shot.id}: take {number} of {len(attempts)} is the best: {best.why or 'good'}")
        takes = {take.key: take for attempt in attempts for take in attempt.shot.takes}
        return best.shot.model_copy(update={"takes": list(takes.values()), "chosen": best.take.key})

    # ---------------------------------------------------------------- plan again

    def _plan_again(self, plan: Timeline, i: int, turn: int) -> Timeline:
        """The plan with the next remedy for this shot, the one that its trial speaks least against, and its reason."""
        last = self.memory.attempts[plan.shots[i].id][-1]
        _, before = self._call("trajectory", plan, [i])
        tries: list[tuple[float, Timeline, str]] = []
        change = self._what_to_change(plan, i, turn, last)
        for attempt in range(MAX_TRIES):
            tried, edit = self._call("edit", plan, [i], change, attempt)
            if "choice" not in edit[i]:
                break
            tries.append((self._against(tried, i, change, before.get(i, {})), tried, edit[i]["choice"]))
            if tries[-1][0] == 0:
                break
        if not tries:  # no such change is left
            changed, edit = self._call("edit", plan, [i], "seed", turn)
            tries.append((0, changed, edit[i]["choice"]))
        _, changed, choice = min(tries, key=lambda one: one[0])
        number = len(self.memory.attempts[last.shot.id])
        reason = Reason(decision="retake", choice=choice, evidence=f"take {number}: {last.why}")
        shot = changed.shots[i]
        shot = shot.model_copy(update={"reasons": [*shot.reasons, reason]})
        shots = list(changed.shots)
        shots[i] = shot.model_copy(update={"planned": shot.fingerprint})
        self._say(f"{shot.id}: planned again with {choice}")
        return changed.model_copy(update={"shots": shots})

    def _what_to_change(self, plan: Timeline, i: int, turn: int, last: Attempt) -> str:
        """A key of REMEDIES: the adviser's choice while it has one, else the next in turn."""
        if self._adviser is not None:
            _, music = self._call("segmentation", plan, [i])
            try:
                change = self._adviser.choose(_question(last, music.get(i, {})), TURNS)
            except WriterError as error:
                self._say(f"{self._adviser.name}: {error}; from here on the rules choose")
                self._adviser = None
            else:
                self._say(f"{last.shot.id}: {self._adviser.name} chooses edit ({change})")
                return change
        return TURNS[turn % len(TURNS)]

    def _against(self, plan: Timeline, i: int, change: str, before: Seen) -> float:
        """What a trial says against a new plan, 0 for nothing: by how much a move that shall be calmer is faster on the
        screen, else by how much a picture of the shot misses the goals."""
        if change == "move" and before:
            _, after = self._call("trajectory", plan, [i])
            faster = after[i]["speed"] - before["speed"]
            if faster > 0:
                self._say(f"{plan.shots[i].id}: faster than before, so no calmer")
                return NO_CALMER + faster
        _, pictures = self._call("image", plan, [i])
        missed, why = self._missed(pictures.get(i, {}))
        if missed:
            self._say(f"{plan.shots[i].id}: its picture is bad: {why}")
        return missed


# ---------------------------------------------------------------- words for the log and for the adviser


def _material(plan: Timeline, analysis: Analysis) -> list[str]:
    """What there is to work with: the song, the brief, its pictures."""
    brief = plan.brief
    lines = [f"material: {plan.title or 'Untitled'}, {clock(plan.duration)}, {len(plan.shots)} shots"]
    lines[0] += f", {analysis.tempo:.0f} BPM, {len(analysis.sections)} sections, {len(analysis.lyrics)} lines of lyrics"
    if brief.theme:
        read = theme_reason(read_theme(without_names(split_theme(brief.theme)[0], brief.cast)))
        lines.append(f"material: theme {brief.theme!r}: {read.choice}; {read.evidence}")
    lines += [f"material: {one.name}, {one.looks}" for one in brief.cast]
    pictures = {"the film": brief.image, **brief.references}
    lines += [f"material: {Path(file).name} for {name}" for name, file in pictures.items() if file]
    return lines


def _in_words(seen: Sequence[Seen]) -> str:
    """One shot's own values; of several the least and the most of each number."""
    if len(seen) == 1:
        return ", ".join(f"{name} {_number(value)}" for name, value in seen[0].items()) or "nothing to measure"
    told = []
    for name in dict.fromkeys(name for one in seen for name in one):
        values = [one[name] for one in seen if name in one]
        if all(isinstance(value, str) for value in values):
            told.append(f"{len(set(values))} different {name}s" if len(set(values)) > 1 else f"{name} {values[0]}")
        else:
            told.append(f"{name} {_number(min(values))} to {_number(max(values))}")
    return ", ".join(told) or "nothing to measure"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _setup(shot: Shot) -> str:
    """What was asked for: with the result beside it, the history of prompts and results."""
    return f"{shot.prompt!r}, {shot.camera.kind} {shot.camera.amount:.2f}, seed {shot.seed}"


def _question(last: Attempt, music: Seen) -> str:
    return (
        "You are the director of a music video and look at a take that is not good enough: "
        f"{last.why}. It was asked for as {_setup(last.shot)}; in the song it stands at: {_in_words([music])}. "
        "What shall be changed for the next take: the seed (the same plan drawn by another chance), the move (a calmer "
        "one) or the size (another framing)?"
    )


def _shots(some: Sequence[int]) -> str:
    return "shot" if len(some) == 1 else "shots"
