"""What older programs left in a project's folder, taken over: nothing a user did is lost with a new version.

Documents carry their own upgrades (mv/schema.py), the job store its migrations (mv/jobs/store.py).
"""

import json
import tempfile
from pathlib import Path

from mv.errors import InputError, cannot_write
from mv.schema import Timeline
from mv.ui.history import EditHistory


def take_over_history(folder: Path, plan: Path) -> None:
    """Make a journal of the history that was kept as whole plans: history.json named the revisions to undo to, oldest
    first, and r<revision>.json held each. What had been undone cannot be done again. The files stay.

    folder: of the history; plan: the file. Nothing happens where there is a journal already, or no such history; one
    that cannot be read is none. Raises OutputError.
    """
    older, journal = folder / "history.json", EditHistory(folder)
    if journal.path.exists() or not older.is_file():
        return
    try:
        revisions = json.loads(older.read_bytes())["undo"]
        states = [Timeline.load(folder / f"r{int(revision)}.json") for revision in revisions]
        states.append(Timeline.load(plan))
    except (OSError, ValueError, TypeError, KeyError, RecursionError, InputError):
        return
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".older-") as temporary:
            made = EditHistory(temporary)
            for before, after in zip(states, states[1:]):
                made.record(before, after, "an earlier edit")
            if made.path.exists():
                made.path.replace(journal.path)
    except OSError as error:
        raise cannot_write(journal.path, error) from error
