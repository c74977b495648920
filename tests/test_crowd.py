"""Several browsers plan at once while a film renders. Twenty of them: bench/crowd.py."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import crowd
from browsing import CHROMIUM


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_sessions_plan_side_by_side_while_a_film_renders(tmp_path):
    if not Path(CHROMIUM).exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no Chromium here: install it, or name it in CHROMIUM")
    report = crowd.run(tmp_path, sessions=3, waves=1, film_seconds=8.0, model="animatic")
    assert (report["failed"], report["film"]) == (0, "done")
    assert report["attempts at what is another's, all refused"] > 50
    assert report["MiB at most"]["page"] < report["MiB before"]["page"] + 200
