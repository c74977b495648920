"""Move one cut of a 60-shot film: the two shots it parts render, and nothing else."""

from fractions import Fraction
from pathlib import Path

import pytest
from conftest import SR, CountingRenderer, click_samples, write_wav

from mv import make
from mv.generation import chosen_take
from mv.schema import CURVES, Analysis, Brief, CameraMove, MoveKind, Section, Shot, Timeline
from mv.ui import edits

SHOTS, FPS = 60, 12


def sixty_shots(folder: Path, width: int = 64, height: int = 32) -> Timeline:
    """A film of a minute, a shot a second, with its song and analysis in `folder`; every shot its own camera move."""
    song = write_wav(folder / "song.wav", click_samples(SHOTS, SR), SR)
    beats = [0.5 * k for k in range(2 * SHOTS)]
    curve = [0.1 * (i % 11) for i in range(10 * SHOTS + 1)]
    analysis = Analysis(
        duration=SHOTS,
        tempo=120,
        beats=beats,
        downbeats=beats[::4],
        sections=[Section(start=0, duration=SHOTS, label="verse")],
        feature_rate=10,
        features={name: curve for name in CURVES},
    )
    analysis.save(folder / "analysis.json")
    moves = list(MoveKind)
    shots = [
        Shot(
            id=f"s{number}",
            start=FPS * number,
            duration=FPS,
            section=0,
            prompt="medium shot, desert",
            camera=CameraMove(kind=moves[number % len(moves)], beat=0.5),
            seed=number,
        )
        for number in range(SHOTS)
    ]
    return Timeline(
        song=str(song),
        analysis=str(folder / "analysis.json"),
        fps=Fraction(FPS),
        width=width,
        height=height,
        num_frames=FPS * SHOTS,
        brief=Brief(),
        shots=shots,
    )


@pytest.mark.parametrize("at", [1, 30, 59])
def test_moving_one_cut_renders_the_two_shots_it_parts(tmp_path, at):
    renderer = CountingRenderer()
    before = make.generate(sixty_shots(tmp_path), renderer)
    assert renderer.rendered == list(range(SHOTS))
    files = {path: path.read_bytes() for path in (tmp_path / "takes").iterdir()}
    renderer.rendered.clear()

    after = make.generate(edits.move_boundary(before, at, FPS * at + 3), renderer)
    assert renderer.rendered == [at - 1, at]
    assert all(path.read_bytes() == content for path, content in files.items())
    same = [index for index in range(SHOTS) if chosen_take(before.shots[index]) == chosen_take(after.shots[index])]
    assert same == [index for index in range(SHOTS) if index not in (at - 1, at)]

    renderer.rendered.clear()
    back = make.generate(edits.move_boundary(after, at, FPS * at), renderer)
    assert renderer.rendered == [], "undone: the first takes are there"
    assert [chosen_take(shot) for shot in back.shots] == [chosen_take(shot) for shot in before.shots]


def test_a_project_copied_beside_the_first_renders_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MV_HOME", str(tmp_path))
    renderer = CountingRenderer()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        made = make.generate(sixty_shots(tmp_path / name), renderer)
    assert renderer.rendered == list(range(SHOTS))
    takes = [chosen_take(shot).file for shot in made.shots]
    assert all((tmp_path / "two/takes" / take).is_file() for take in takes)
