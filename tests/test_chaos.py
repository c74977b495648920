"""Page and worker are killed on the way: the film comes out, and it is the same film. 50 kills in bench/chaos.py."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import chaos


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_a_film_under_fire_is_the_film_in_peace(tmp_path, monkeypatch):
    monkeypatch.setattr(chaos, "PER_FILM", ("listening", "rendering", "assembling"))
    kills, films = chaos.run(tmp_path, kills=3, seed=0)
    # A film that is done before its last kill is followed by another.
    assert 1 <= films <= 3 and [kill.victim for kill in kills] == list(chaos.VICTIMS)
