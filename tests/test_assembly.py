import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import click_samples, conditions_of, grey, write_wav

from mv.assembly import assemble, check_output
from mv.errors import AudioError, Cancelled, InputError, OutputError
from mv.generation import chosen_take, generate
from mv.schema import Shot, Timeline, Transition

ROOT = Path(__file__).parent.parent


@pytest.fixture
def takes(tmp_path):
    return tmp_path / "takes"


@pytest.fixture
def plan(timeline, renderer, takes):
    """The timeline with takes on disk."""
    return generate(timeline, conditions_of(timeline), renderer, takes)


def pictures(film):
    with av.open(str(film)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def sound(film):
    with av.open(str(film)) as container:
        stream = container.streams.audio[0]
        samples = np.concatenate([frame.to_ndarray() for frame in container.decode(stream)], 1).T
        return samples, stream.codec_context.sample_rate, int(stream.duration * stream.time_base * stream.sample_rate)


def lag(heard, source):
    """Samples by which `heard` comes after `source`, both (n,): the peak of their cross-correlation."""
    from scipy.signal import correlate

    n = min(len(heard), len(source))
    return int(correlate(heard[:n], source[:n], method="fft").argmax()) - (n - 1)


def test_every_frame_is_the_planned_frame_of_the_planned_take(plan, takes, tmp_path):
    film = assemble(plan, plan.song, tmp_path / "film.mp4", takes)
    frames = [int(picture[16, 32, 1]) for picture in pictures(film)]
    expected = [grey(1, n) for n in range(24)] + [grey(2, n - 24) for n in range(24, 42)]
    for i, n in enumerate(range(42, 52)):  # the crossfade: 6 frames before the cut, 4 after it
        weight = (i + 0.5) / 10
        expected.append((1 - weight) * grey(2, n - 24) + weight * grey(3, n - 42))
    expected += [grey(3, n - 42) for n in range(52, 96)]
    assert len(frames) == plan.num_frames == len(expected)
    assert np.abs(np.array(frames) - expected).max() <= 3


@pytest.mark.parametrize("fps", [Fraction(24), Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001)])
@pytest.mark.parametrize("num_frames", [1, 47, 61])
def test_frames_and_times_are_exact(fps, num_frames, renderer, takes, tmp_path):
    samples = click_samples(max(1.0, float(num_frames / fps)), 44100)
    song = write_wav(tmp_path / "song.wav", samples, 44100)
    shots = [Shot(id="a", start=0, duration=num_frames, section=0, prompt="", seed=1)]
    timeline = Timeline(song=str(song), analysis="", fps=fps, width=32, height=32, num_frames=num_frames, shots=shots)
    plan = generate(timeline, conditions_of(timeline), renderer, takes)
    film = assemble(plan, song, tmp_path / "film.mp4", takes)
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        times = [Fraction(frame.pts) * stream.time_base for frame in container.decode(stream)]
        assert times == [index / fps for index in range(num_frames)]
        assert stream.frames == num_frames
        assert stream.average_rate == fps or num_frames == 1
    assert sound(film)[2] == len(samples)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sr", [32000, 44100, 48000])
def test_sound_is_true_to_the_sample(plan, takes, tmp_path, sr, channels):
    source = click_samples(4.0, sr, channels=channels)
    film = assemble(plan, write_wav(tmp_path / "s.wav", source, sr), tmp_path / "film.mp4", takes)
    heard, rate, length = sound(film)
    assert (rate, heard.shape[1], length) == (sr, channels, len(source))
    assert lag(heard[:, 0], source[:, 0]) == 0
    assert np.corrcoef(heard[: len(source), 0], source[:, 0])[0, 1] > 0.985


@pytest.mark.parametrize("sr", [8000, 192000])
def test_unusual_rates_become_48_khz_in_time(plan, takes, tmp_path, sr):
    song = write_wav(tmp_path / "s.wav", click_samples(4.0, sr, channels=1), sr)
    heard, rate, length = sound(assemble(plan, song, tmp_path / "film.mp4", takes))
    assert rate == 48000
    assert abs(length - 4 * 48000) <= 8
    at_48 = click_samples(4.0, 48000, channels=1)[:, 0]
    assert abs(lag(np.abs(heard[:, 0]), np.abs(at_48))) <= 3


def test_players_and_people_find_what_they_need(plan, takes, tmp_path):
    film = assemble(plan, plan.song, tmp_path / "film.mp4", takes, {"artist": "Nobody"})
    content = film.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat"), "the index stands first"
    with av.open(str(film)) as container:
        codec = container.streams.video[0].codec_context
        assert (codec.name, codec.profile, codec.pix_fmt) == ("h264", "High", "yuv420p")
        assert (codec.color_primaries, codec.color_trc, codec.colorspace, codec.color_range) == (1, 1, 1, 1)
        assert container.streams.audio[0].codec_context.name == "aac"
        assert container.metadata["title"] == "Clicks"
        assert container.metadata["artist"] == "Nobody"
        assert container.metadata["comment"] == "MV Studio: model counting, seed 0, plan revision 0"


def test_colours_survive(plan, renderer, takes, tmp_path):
    colour = np.array([200, 60, 120], np.uint8)
    renderer.identity = "colour"
    renderer.render = lambda c, *_: np.broadcast_to(colour, (c.num_frames, c.height, c.width, 3)).copy()
    plan = generate(plan, conditions_of(plan), renderer, takes)
    film = assemble(plan, plan.song, tmp_path / "film.mp4", takes)
    for picture in pictures(film)[::16]:
        assert np.abs(picture[16, 32].astype(int) - colour).max() <= 4


def test_a_film_may_begin_out_of_black(timeline, renderer, takes, tmp_path):
    shots = list(timeline.shots)
    shots[0] = shots[0].model_copy(update={"transition": Transition(kind="crossfade", out_offset=8)})
    plan = generate(timeline.model_copy(update={"shots": shots}), conditions_of(timeline), renderer, takes)
    frames = pictures(assemble(plan, plan.song, tmp_path / "film.mp4", takes))
    for n in (0, 3, 7):
        assert abs(int(frames[n][16, 32, 1]) - (n + 0.5) / 8 * grey(1, n)) <= 4
    assert abs(int(frames[8][16, 32, 1]) - grey(1, 8)) <= 3


@pytest.mark.parametrize("into, out", [(8, 5), (6, 0), (0, 7)])
@pytest.mark.parametrize("kind, level", [("dip to black", 0), ("dip to white", 255), ("flash", 255)])
def test_veils_cover_exactly_their_frames_and_move_nothing(timeline, renderer, takes, tmp_path, kind, level, into, out):
    if kind == "flash" and (into or not out):
        into, out = 0, 5
    shots = [shot.model_copy(update={"transition": Transition()}) for shot in timeline.shots]
    cuts = timeline.model_copy(update={"shots": list(shots)})
    plain = generate(cuts, conditions_of(cuts), renderer, takes)
    shots[1] = shots[1].model_copy(update={"transition": Transition(kind=kind, in_offset=into, out_offset=out)})
    veiled = timeline.model_copy(update={"shots": shots})
    rendered = len(renderer.rendered)
    veiled = generate(veiled, conditions_of(veiled), renderer, takes)
    assert len(renderer.rendered) == rendered, "the takes of the plain cut serve"
    without = assemble(plain, plain.song, tmp_path / "plain.mp4", takes)
    film = assemble(veiled, veiled.song, tmp_path / "film.mp4", takes)
    frames = [int(picture[16, 32, 1]) for picture in pictures(film)]
    assert len(frames) == 96
    for n, seen in enumerate(frames):
        weight = 0.0
        if 24 - into <= n < 24:
            weight = (n - (24 - into) + 1) / into
        elif 24 <= n < 24 + out:
            weight = 1 - (n - 24) / out
        bare = grey(1, n) if n < 24 else grey(2, n - 24) if n < 48 else grey(3, n - 48)
        assert abs(seen - ((1 - weight) * bare + weight * level)) <= 4, n
    assert np.array_equal(sound(film)[0], sound(without)[0]), "the sound is the same to the bit"


# ---------------------------------------------------------------- pieces


def pieces_in(takes):
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (takes.parent / "pieces").iterdir()}


def test_the_film_is_the_same_whichever_pieces_were_there(plan, takes, tmp_path):
    first = assemble(plan, plan.song, tmp_path / "film.mp4", takes).read_bytes()
    pieces = pieces_in(takes)
    assert len(pieces) == 3
    for path in list(pieces)[:2]:
        path.unlink()
    assert assemble(plan, plan.song, tmp_path / "film.mp4", takes).read_bytes() == first
    assert {path: content for path, (content, _) in pieces_in(takes).items()} == {
        path: content for path, (content, _) in pieces.items()
    }


def test_an_edit_encodes_the_pieces_it_touched(plan, timeline, renderer, takes, tmp_path):
    assemble(plan, plan.song, tmp_path / "film.mp4", takes)
    before = pieces_in(takes)
    shots = [timeline.shots[0].model_copy(update={"seed": 9}), *timeline.shots[1:]]
    edited = timeline.model_copy(update={"shots": shots})
    edited = generate(edited, conditions_of(edited), renderer, takes)
    film = assemble(edited, plan.song, tmp_path / "film.mp4", takes)
    after = pieces_in(takes)
    assert len(after) == 4 and before.items() <= after.items(), "one more, the others as they were"
    assert abs(int(pictures(film)[0][16, 32, 1]) - grey(9, 0)) <= 3
    shots[2] = shots[2].model_copy(update={"transition": Transition()})
    cut = generate(edited.model_copy(update={"shots": shots}), conditions_of(edited), renderer, takes, only={"s2"})
    cut = generate(cut, conditions_of(cut), renderer, takes)
    assemble(cut, plan.song, tmp_path / "film.mp4", takes)
    assert len(pieces_in(takes)) == 6, "a crossfade less changes the two shots it joined"


@pytest.mark.parametrize("lengths", [(1, 1, 1, 1, 1), (1, 2, 3, 1, 40), (30, 1, 2, 1, 5)])
def test_shots_of_a_few_frames_join_exactly(renderer, takes, click_song, tmp_path, lengths):
    fps, starts = Fraction(30000, 1001), np.cumsum((0, *lengths)).tolist()
    shots = [
        Shot(id=f"s{i}", start=starts[i], duration=length, section=0, prompt="", seed=i)
        for i, length in enumerate(lengths)
    ]
    timeline = Timeline(
        song=str(click_song), analysis="", fps=fps, width=32, height=32, num_frames=starts[-1], shots=shots
    )
    plan = generate(timeline, conditions_of(timeline), renderer, takes)
    with av.open(str(assemble(plan, click_song, tmp_path / "film.mp4", takes))) as film:
        stream = film.streams.video[0]
        frames = list(film.decode(stream))
        assert [frame.pts * stream.time_base for frame in frames] == [n / fps for n in range(starts[-1])]
    seen = [int(frame.to_ndarray(format="rgb24")[16, 16, 1]) for frame in frames]
    expected = [grey(i, n) for i, length in enumerate(lengths) for n in range(length)]
    assert np.abs(np.array(seen) - expected).max() <= 3


@pytest.mark.parametrize("left", [0, 500, -20])
def test_a_piece_cut_short_is_encoded_again(plan, takes, tmp_path, left):
    first = assemble(plan, plan.song, tmp_path / "film.mp4", takes).read_bytes()
    piece = min(pieces_in(takes))
    piece.write_bytes(piece.read_bytes()[:left])
    assert assemble(plan, plan.song, tmp_path / "film.mp4", takes).read_bytes() == first


def test_old_pieces_make_room(plan, takes, tmp_path, monkeypatch):
    monkeypatch.setattr("mv.pieces.KEPT", 2)
    folder = takes.parent / "pieces"
    folder.mkdir()
    for number in range(5):
        (folder / f"old{number}.mp4").write_bytes(b"")
        os.utime(folder / f"old{number}.mp4", (number, number))
    assemble(plan, plan.song, tmp_path / "film.mp4", takes)
    assert {path.name for path in folder.glob("old*")} == {"old3.mp4", "old4.mp4"}
    assert len(pieces_in(takes)) == 5


# ---------------------------------------------------------------- what can go wrong


def folder_after(run, folder):
    """Names in a folder that appeared while `run` failed."""
    before = set(folder.iterdir())
    run()
    return {path.name for path in set(folder.iterdir()) - before}


def test_a_shot_without_a_take_is_named(timeline, takes, tmp_path):
    with pytest.raises(InputError, match="shot s1 has no take"):
        assemble(timeline, timeline.song, tmp_path / "film.mp4", takes)


def test_a_take_of_another_length_is_named(plan, takes, tmp_path):
    shots = list(plan.shots)
    shots[1] = shots[1].model_copy(update={"takes": shots[0].takes, "chosen": None})
    with pytest.raises(InputError, match="shot s2: its take has 24 frames, the plan wants 28"):
        assemble(plan.model_copy(update={"shots": shots}), plan.song, tmp_path / "film.mp4", takes)


def test_a_take_of_another_size_is_named(plan, takes, tmp_path):
    with pytest.raises(InputError, match="shot s1: its take is 64x32, the plan wants 96x32"):
        assemble(plan.model_copy(update={"width": 96}), plan.song, tmp_path / "film.mp4", takes)


def test_a_damaged_take_leaves_no_film(plan, takes, tmp_path):
    take = takes / chosen_take(plan.shots[2]).file
    take.write_bytes(take.read_bytes()[:900])

    def run():
        with pytest.raises(InputError, match="Render the plan again"):
            assemble(plan, plan.song, tmp_path / "film.mp4", takes)

    assert folder_after(run, tmp_path) == {"pieces"}


def test_a_song_that_is_none_leaves_no_film(plan, takes, tmp_path):
    def run():
        with pytest.raises(AudioError):
            assemble(plan, tmp_path / "nowhere.wav", tmp_path / "film.mp4", takes)

    assert folder_after(run, tmp_path) == set()


def test_cancel_leaves_the_older_film(plan, takes, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"older")
    done = []
    with pytest.raises(Cancelled):
        assemble(plan, plan.song, film, takes, on_progress=done.append, cancelled=lambda: len(done) > 20)
    assert film.read_bytes() == b"older"
    assert not list(tmp_path.glob(".film*"))


@pytest.mark.parametrize(
    ("name", "message"),
    [("film.avi", "ends in .mp4"), ("folder.mp4", "this is a folder"), ("song.mp4", "overwrite its own song")],
)
def test_outputs_that_cannot_be_are_refused_at_the_door(tmp_path, name, message):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "song.mp4").write_bytes(b"a song")
    with pytest.raises(OutputError, match=message):
        check_output(tmp_path / name, tmp_path / "song.mp4")


def test_an_unwritable_place_is_refused_at_the_door(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"film\.mp4: cannot write"):
        check_output(tmp_path / "file" / "film.mp4")
    assert check_output(tmp_path / "new" / "film.mp4").parent.is_dir()
    assert list((tmp_path / "new").iterdir()) == []


def test_a_full_disk_is_said_and_leaves_nothing(plan, takes, tmp_path):
    """A limit on the size of files stands for the full disk: the system refuses the write in the middle."""
    plan.save(tmp_path / "plan.json")
    script = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
from mv.assembly import assemble
from mv.errors import OutputError
from mv.schema import Timeline
folder = sys.argv[1]
plan = Timeline.load(folder + "/plan.json")
try:
    assemble(plan, plan.song, folder + "/out/film.mp4", folder + "/takes")
except OutputError as error:
    print(error)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "film.mp4: cannot write" in result.stdout, result.stderr
    assert list((tmp_path / "out").iterdir()) == []
