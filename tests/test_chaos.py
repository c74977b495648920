"""Page, workers and editors are killed on the way, and nothing is lost. Full runs: bench/chaos.py, chaos_edits.py."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import chaos
import chaos_edits


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_film_under_fire_is_the_film_in_peace(tmp_path):
    kills, films = chaos.run(tmp_path, kills=3, seed=0, stages=("listening", "rendering", "assembling"))
    # A film that is done before its last kill is followed by another.
    assert 1 <= films <= 3 and [kill.victim for kill in kills] == list(chaos.VICTIMS)


def test_no_edit_that_was_done_is_lost_with_its_process(tmp_path):
    revisions = chaos_edits.run(tmp_path, kills=3, seed=5)
    assert revisions == sorted(revisions) and revisions[-1] > 0
