"""Several sessions plan at once while a film renders. Twenty of them, some in browsers, in bench/crowd.py."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import crowd


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_sessions_plan_side_by_side_while_a_film_renders(tmp_path):
    report = crowd.run(tmp_path, sessions=4, browsers=0, film_seconds=8.0)
    assert (report["failed"], report["film"]) == (0, "done")
    assert report["MiB at most"]["page"] < report["MiB before"]["page"] + 200
