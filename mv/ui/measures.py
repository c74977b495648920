"""Measurements of a shot's takes, made when somebody looks at them side by side (mv/retakes.py says what they are).

It takes seconds a take, so the drawing process does it (mv/ui/strips.py) and leaves the numbers in the project. A take
is measured against the shot as it is now, so the numbers of an edited shot are other ones.
"""

import json
import logging
from pathlib import Path

from mv.errors import MusicVideoError
from mv.schema import Analysis, Take, Timeline, write_atomically
from mv.ui.edits import fits, set_locked, set_seed, shot_signature


def better() -> dict[str, str]:
    """Measurement → whether more of it is better or less: "high", "low"."""
    from mv.retakes import GOALS

    return {goal.name: "low" if goal.at_most is not None else "high" for goal in GOALS}


def measures_of(folder: Path, timeline: Timeline, index: int, takes: list[Take]) -> dict[str, dict[str, float]]:
    """What is known of these takes by now, by their keys; a take that could not be measured has no number."""
    known = {}
    for take in takes:
        path = _path(folder, timeline, index, take)
        if path.is_file():
            known[take.key] = json.loads(path.read_bytes())
    return known


def measure_take(folder: Path, timeline: Timeline, index: int, analysis: Analysis) -> bool:
    """Measure a take of a shot that is as long as it is and not measured yet; False where there is none.

    One at a time: what is to be drawn comes in between. timeline: with absolute paths.
    """
    for take in timeline.shots[index].takes:
        path = _path(folder, timeline, index, take)
        if path.is_file() or not fits(timeline, index, take) or not (folder / "takes" / take.file).is_file():
            continue
        try:
            found = _measure(folder, timeline, index, take, analysis)
        except MusicVideoError:
            logging.exception("cannot measure %s", take.file)
            found = {}
        write_atomically(path, json.dumps(found).encode())
        return True
    return False


def _measure(folder: Path, timeline: Timeline, index: int, take: Take, analysis: Analysis) -> dict[str, float]:
    from mv.make import conditions
    from mv.model.catalog import MODELS
    from mv.retakes import look, read_take

    steps = MODELS[take.model].steps if take.model in MODELS else 1
    frames = read_take(folder / "takes", take)
    return look(frames, conditions(timeline, index, analysis), timeline.shots[index].camera.kind, steps)


def _path(folder: Path, timeline: Timeline, index: int, take: Take) -> Path:
    """Named by the take and by what the shot shows, but for the seed, which another take changes."""
    shown = shot_signature(set_seed(set_locked(timeline, index, False), index, 0), index)
    return folder / "measured" / f"{Path(take.file).stem}-{shown}.json"
