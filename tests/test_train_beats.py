import json
import struct
from dataclasses import replace

import numpy as np
import pytest

from mv.analysis import metre
from mv.analysis.features import SR, spectra
from mv.train import orchestra
from mv.train.beats import LICENCES, agreement, choose_weights, compose_lessons, fit, lesson, write_weights
from mv.train.composer import DRUMS, METRES, STYLES, TEMPO_CURVES, Note, compose, swung


@pytest.fixture(scope="module")
def pieces():
    return [compose(seed, 20.0) for seed in range(60)]


def test_a_seed_is_a_piece(pieces):
    again = compose(3, 20.0)
    assert again.notes == pieces[3].notes and np.array_equal(again.beats, pieces[3].beats)
    assert compose(4, 20.0).notes != pieces[3].notes


def test_pieces_are_whole(pieces):
    for piece in pieces:
        n = METRES[piece.metre].beats
        assert (np.diff(piece.beats) > 60 / 220).all() and (np.diff(piece.beats) < 60 / 50).all()
        assert piece.positions.tolist() == [k % n + 1 for k in range(len(piece.beats))]
        assert piece.duration > piece.beats[-1] and 15 < piece.duration < 60
        assert all(0 <= note.start < note.end and 21 <= note.pitch <= 108 for note in piece.notes)
        downbeats = piece.beats[piece.positions == 1]
        starts = [start for start, *_ in piece.sections]
        assert set(np.round(starts, 6)) <= set(np.round(downbeats, 6))
        assert [end for _, end, _ in piece.sections][:-1] == starts[1:]


def test_pieces_are_of_many_kinds(pieces):
    assert {piece.metre for piece in pieces} == set(METRES)
    assert {piece.tempo_curve for piece in pieces} >= set(TEMPO_CURVES) - {"rubato"}
    assert len({piece.style for piece in pieces}) > len(STYLES) / 2
    assert any(all(note.channel != DRUMS for note in piece.notes) for piece in pieces)


def test_notes_stand_on_the_grid_that_is_told(pieces):
    """Most notes of straight pieces start on a half or a third of a beat, within what a player is off."""
    for piece in (piece for piece in pieces if STYLES[piece.style].swing == (0.5, 0.5)):
        place = np.interp([note.start for note in piece.notes], piece.beats, np.arange(len(piece.beats)))
        parts = METRES[piece.metre].parts * (2 if METRES[piece.metre].parts == 2 else 1)
        off = np.abs(place * parts - np.round(place * parts)) / parts * 60 / 120
        assert np.median(off) < 0.02, piece.style


def test_swing_moves_only_the_off_beat():
    assert [swung(beat, 2 / 3) for beat in (1.0, 1.5, 1.75)] == pytest.approx([1, 1 + 2 / 3, 1 + 5 / 6])
    assert swung(0.25, 0.5) == 0.25


# ---------------------------------------------------------------- sound


def test_the_plain_synthesizer_plays_every_note_at_its_time(pieces):
    piece = pieces[0]
    first = piece.notes[0].start
    y = orchestra.play(piece, orchestra.PLAIN)
    assert y.shape == (int(piece.duration * SR), 2) and np.isfinite(y).all()
    assert np.abs(y[: int((first - 0.01) * SR)]).max(initial=0) < 1e-6
    assert np.abs(y[int(first * SR) : int((first + 0.1) * SR)]).max() > 0.01


def test_midi_holds_the_notes():
    note = Note(0.5, 1.0, 3, 60, 100)
    piece = replace(compose(0, 20.0), notes=(note,), programs={3: 40})
    content = orchestra.midi(piece)
    assert content[:4] == b"MThd" and struct.unpack(">IHHH", content[4:14]) == (6, 0, 1, orchestra.TICKS)
    ticks = orchestra.TICKS // 2
    variable = bytes([ticks >> 7 | 0x80, ticks & 0x7F])
    assert b"\x00" + bytes([0xC3, 40]) + variable + bytes([0x93, 60, 100]) + variable + bytes([0x83, 60, 0]) in content


@pytest.mark.skipif(len(orchestra.instruments()) < 2, reason="needs FluidSynth and a soundfont")
def test_fluidsynth_plays_in_time(pieces):
    drums = [note for note in pieces[0].notes if note.channel == DRUMS][:1] or [Note(1.0, 1.2, DRUMS, 38, 120)]
    piece = replace(pieces[0], notes=(replace(drums[0], start=1.0, end=1.2, pitch=38, velocity=120),), duration=3.0)
    y = np.abs(orchestra.play(piece, orchestra.instruments()[1])).max(1)
    assert np.flatnonzero(y > 0.1 * y.max())[0] / SR == pytest.approx(1.0, abs=0.02)


def test_a_recording_is_that_of_its_seed():
    one, other = (orchestra.recording(5, 15.0, [orchestra.PLAIN])[1] for _ in range(2))
    assert np.array_equal(one, other) and 0.05 < np.sqrt((one**2).mean()) < 0.2


# ---------------------------------------------------------------- learning


def test_agreement():
    truth = np.arange(0, 10, 0.5)
    assert agreement(truth, truth + 0.05) == 1
    assert agreement(truth, truth + 0.25) == 0
    assert agreement(truth, truth[::2]) == pytest.approx(2 / 3, abs=0.03)


def test_weights_choose_what_was_right():
    rng = np.random.default_rng(0)
    songs = []
    for _ in range(60):
        clues = rng.standard_normal((4, 3))
        songs.append((clues, np.arange(4) == (clues @ [2.0, -1.0, 0.0]).argmax()))
    w = choose_weights(songs, ridge=1.0)
    assert np.mean([right[(clues @ w).argmax()] for clues, right in songs]) > 0.9
    assert w[0] > 0 > w[1] and abs(w[2]) < 0.3 * w[0]


def test_lessons_are_kept_and_weights_written(tmp_path, monkeypatch):
    monkeypatch.setattr("mv.train.beats.SECONDS", 12.0)
    monkeypatch.setattr("mv.train.beats.instruments", lambda: [orchestra.PLAIN])
    lessons = compose_lessons(tmp_path / "songs", 4)
    monkeypatch.setattr("mv.train.beats.recording", None)  # they are not composed again
    again = compose_lessons(tmp_path / "songs", 4)
    assert all(np.array_equal(a.rows, b.rows) and a.right_bar == b.right_bar for a, b in zip(lessons, again))
    write_weights(fit(lessons), tmp_path / "weights.json")
    stored = json.loads((tmp_path / "weights.json").read_text())
    known = metre.weights()
    assert (len(stored["phase"]), len(stored["bar"])) == (len(known.phase), len(known.bar))
    assert stored["sounds"] == {orchestra.PLAIN: LICENCES[orchestra.PLAIN]}


def test_weights_are_fitted_only_on_sounds_that_are_free_to_use(tmp_path, monkeypatch):
    """The shipped ones too. Nor does a folder of pieces played on some sounds serve for others."""
    asked = []

    def recorded(seed, seconds, among):
        asked.append(among)
        return orchestra.recording(seed, 12.0, [orchestra.PLAIN])

    monkeypatch.setattr("mv.train.beats.recording", recorded)
    monkeypatch.setattr("mv.train.beats.metronome_lessons", lambda: [])
    permissive, copyleft = "/fonts/FluidR3_GM.sf2", "/fonts/TimGM6mb.sf2"
    monkeypatch.setattr("mv.train.beats.instruments", lambda: [orchestra.PLAIN, permissive, copyleft])
    compose_lessons(tmp_path, 1)
    monkeypatch.setattr("mv.train.beats.instruments", lambda: [orchestra.PLAIN, copyleft])
    compose_lessons(tmp_path, 1)
    assert asked == [[orchestra.PLAIN, permissive], [orchestra.PLAIN]]
    assert set(LICENCES.values()) == {"Apache-2.0", "MIT"}
    assert json.loads(metre.WEIGHTS.read_text())["sounds"].items() <= LICENCES.items()


def test_a_lesson_knows_its_bar():
    piece, samples = orchestra.recording(1, 15.0, [orchestra.PLAIN])
    made = lesson(piece, spectra(samples.mean(1)))
    assert metre.BARS[made.right_bar] == (METRES[piece.metre].beats, 0)
    assert made.rows.shape[0] == 7 and len(made.true) == len(piece.beats)
