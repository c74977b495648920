from dataclasses import fields, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from conftest import conditions_of, grey

from mv import generation, make
from mv.camera import CameraPath
from mv.errors import Cancelled, InputError, ModelError, OutputError
from mv.generation import Conditions, Ledger, chosen_take, find_take, generate, take_key
from mv.video import FrameReader, write_video


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def make_takes(timeline, renderer, folder, **kwargs):
    return generate(timeline, conditions_of(timeline), renderer, folder, **kwargs)


def test_every_shot_gets_a_take_with_its_handles(timeline, renderer, tmp_path):
    film = make_takes(timeline, renderer, tmp_path / "takes")
    for index, shot in enumerate(film.shots):
        start, stop = film.span(index)
        take = chosen_take(shot)
        assert take.num_frames == stop - start
        assert take.model == "counting"
        reader = FrameReader(tmp_path / "takes" / take.file)
        for frame in range(stop - start):
            assert abs(int(reader.rgb(frame)[10, 10, 1]) - grey(shot.seed, frame)) <= 3
        with pytest.raises(InputError, match="ends too early"):
            reader.frame(stop - start)
    assert [film.span(index) for index in range(3)] == [(0, 24), (24, 52), (42, 96)]


def test_a_second_run_renders_nothing(timeline, renderer, tmp_path):
    first = make_takes(timeline, renderer, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.mp4")}
    again = make_takes(timeline, renderer, tmp_path)
    assert renderer.rendered == [1, 2, 3]
    assert again == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.mp4")} == before


def test_an_edit_renders_only_its_shot(timeline, renderer, tmp_path):
    make_takes(timeline, renderer, tmp_path)
    shots = list(timeline.shots)
    shots[1] = shots[1].model_copy(update={"prompt": "close-up, ocean shore"})
    edited = make_takes(timeline.model_copy(update={"shots": shots}), renderer, tmp_path)
    assert renderer.rendered == [1, 2, 3, 2]
    assert len(list(tmp_path.glob("*.mp4"))) == 4, "the older take stays"
    assert edited.shots[1].takes[-1].key == edited.shots[1].chosen


def test_fresh_renders_again_beside_the_older_takes_and_is_found_later(timeline, renderer, tmp_path):
    first = make_takes(timeline, renderer, tmp_path)
    kept = {take.file: (tmp_path / take.file).read_bytes() for take in map(chosen_take, first.shots)}
    fresh = make_takes(first, renderer, tmp_path, fresh=True)
    assert renderer.rendered == [1, 2, 3, 1, 2, 3]
    assert all((tmp_path / name).read_bytes() == content for name, content in kept.items())
    assert [chosen_take(s).key for s in fresh.shots] == [f"{chosen_take(s).key}-2" for s in first.shots]
    assert [len(shot.takes) for shot in fresh.shots] == [2, 2, 2]
    later = make_takes(timeline, renderer, tmp_path)
    assert [shot.chosen for shot in later.shots] == [shot.chosen for shot in fresh.shots]


@pytest.mark.parametrize("left", [0, 200, -30])
def test_a_damaged_or_short_take_is_rendered_again(timeline, renderer, tmp_path, left):
    takes = [chosen_take(shot) for shot in make_takes(timeline, renderer, tmp_path).shots]
    damaged, short = (tmp_path / takes[i].file for i in (0, 1))
    damaged.write_bytes(damaged.read_bytes()[:left])
    write_video(short, np.zeros((3, 32, 64, 3), np.uint8), Fraction(24), 10, {"comment": takes[1].model_dump_json()})
    again = make_takes(timeline, renderer, tmp_path)
    assert renderer.rendered == [1, 2, 3, 1, 2]
    assert find_take(tmp_path, takes[0].key, 24) == chosen_take(again.shots[0])


def test_cancel_keeps_what_is_finished(timeline, renderer, tmp_path):
    with pytest.raises(Cancelled):
        make_takes(timeline, renderer, tmp_path, cancelled=lambda: len(renderer.rendered) == 2)
    assert len(files(tmp_path)) == 3, "the song and two takes"
    make_takes(timeline, renderer, tmp_path)
    assert renderer.rendered == [1, 2, 3]


def test_a_failing_renderer_is_tried_again_and_leaves_nothing(timeline, renderer, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "BACKOFF", 0.01)
    tries = []

    def render(conditions, on_progress, cancelled):
        tries.append(conditions.seed)
        raise MemoryError

    renderer.render = render
    with pytest.raises(MemoryError):
        make_takes(timeline, renderer, tmp_path)
    assert tries.count(1) == 3, "and meanwhile the other shots have their turn"
    assert files(tmp_path) == ["clicks.wav"]


def test_a_failing_encoder_leaves_nothing(tmp_path):
    with pytest.raises(InputError, match="even"):
        write_video(tmp_path / "odd.mp4", np.zeros((2, 31, 64, 3), np.uint8), Fraction(24), 10, {})
    assert files(tmp_path) == []


@pytest.mark.parametrize("shape", [(23, 32, 64, 3), (24, 64, 32, 3), (24, 32, 64, 4)])
def test_wrong_frames_are_refused(timeline, renderer, tmp_path, shape):
    renderer.render = lambda conditions, on_progress, cancelled: np.zeros(shape, np.uint8)
    with pytest.raises(ModelError, match="expected frames of shape"):
        make_takes(timeline, renderer, tmp_path / "takes")
    renderer.render = lambda conditions, on_progress, cancelled: np.zeros((24, 32, 64, 3), np.float32)
    with pytest.raises(ModelError, match="float32"):
        make_takes(timeline, renderer, tmp_path / "takes")


def test_an_unwritable_folder_is_said(timeline, renderer, tmp_path):
    (tmp_path / "takes").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="cannot write"):
        make_takes(timeline, renderer, tmp_path / "takes")


def test_progress_runs_from_nothing_to_everything(timeline, renderer, tmp_path):
    seen = []
    make_takes(timeline, renderer, tmp_path, on_progress=seen.append)
    shares = [progress.share for progress in seen]
    assert shares[0] == 0 and shares[-1] == 1 and shares == sorted(shares)
    assert seen[-1].shots_done == seen[-1].num_shots == 3
    assert seen[-1].num_frames == 24 + 28 + 54
    half = seen[1]
    assert (half.shots_done, half.shot_share, half.frames_done) == (0, 0.5, 12)
    seen.clear()
    make_takes(timeline, renderer, tmp_path, on_progress=seen.append)
    assert [(p.shots_done, p.share, p.num_frames) for p in seen] == [(3, 1.0, 0)]


def test_a_fault_that_passes_costs_no_shot(timeline, renderer, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "BACKOFF", 0.01)
    draw, failed = renderer.render, []

    def render(conditions, on_progress, cancelled):
        if conditions.seed == 1 and not failed:
            failed.append(1)
            raise MemoryError
        return draw(conditions, on_progress, cancelled)

    renderer.render = render
    noted = []

    class Noting(Ledger):
        def ended(self, shot, seconds, error):
            noted.append((shot, error))

    made = make_takes(timeline, renderer, tmp_path, ledger=Noting())
    assert all(map(chosen_take, made.shots)) and sorted(renderer.rendered) == [1, 2, 3]
    assert noted[0] == ("s1", "MemoryError: ") and sorted(noted[1:]) == [("s1", ""), ("s2", ""), ("s3", "")]


def test_shots_alike_in_everything_share_a_take(timeline, renderer, tmp_path):
    conditions = conditions_of(timeline)
    made = generate(timeline, lambda index: conditions(0), renderer, tmp_path)
    assert renderer.rendered == [1]
    assert len({chosen_take(shot).key for shot in made.shots}) == 1


def test_takes_of_other_projects_are_used(timeline, renderer, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    first = make_takes(timeline, renderer, one)
    damaged = one / chosen_take(first.shots[0]).file
    damaged.write_bytes(damaged.read_bytes()[:300])
    second = make_takes(timeline, renderer, two, elsewhere=[one])
    assert renderer.rendered == [1, 2, 3, 1], "a damaged take is none"
    assert files(two) == sorted(chosen_take(shot).file for shot in second.shots)
    for shot in second.shots[1:]:
        (one / chosen_take(shot).file).unlink()
    make_takes(timeline, renderer, two)
    assert renderer.rendered == [1, 2, 3, 1]


# ---------------------------------------------------------------- some shots only


class Noting(Ledger):
    """Writes down what it is told, and looks at the last shot."""

    def __init__(self):
        self.notes = []

    def planned(self, keys, done):
        self.notes.append(("planned", [shot for shot, _ in keys], done))

    def first(self):
        return ["s3"]

    def started(self, shot):
        self.notes.append(("started", shot))

    def ended(self, shot, seconds, error):
        self.notes.append(("ended", shot, error))


def test_only_the_shots_asked_for_are_rendered_and_the_others_stay(timeline, renderer, tmp_path):
    seen, noting = [], Noting()
    film = make_takes(timeline, renderer, tmp_path, only=["s3", "s1"], on_progress=seen.append, ledger=noting)
    assert renderer.rendered == [3, 1], "the shot looked at comes first"
    assert film.shots[1] == timeline.shots[1]
    assert [bool(shot.chosen) for shot in film.shots] == [True, False, True]
    assert noting.notes[0] == ("planned", ["s1", "s3"], set())
    assert noting.notes[1:] == [("started", "s3"), ("ended", "s3", ""), ("started", "s1"), ("ended", "s1", "")]
    assert (seen[-1].shots_done, seen[-1].num_shots, seen[-1].num_frames) == (2, 2, 24 + 54)
    again = make_takes(film, renderer, tmp_path, only=["s1", "s2"])
    assert renderer.rendered == [3, 1, 2] and again.shots[2] == film.shots[2]
    assert make_takes(film, renderer, tmp_path, only=[]) == film


def test_a_shot_alone_is_tried_again_like_any_other(timeline, renderer, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "BACKOFF", 0.01)
    draw, noting = renderer.render, Noting()

    def render(conditions, on_progress, cancelled):
        if len(noting.notes) < 3:
            raise MemoryError
        return draw(conditions, on_progress, cancelled)

    renderer.render = render
    make_takes(timeline, renderer, tmp_path, only=["s2"], ledger=noting)
    assert renderer.rendered == [2]
    assert [note[2] for note in noting.notes if note[0] == "ended"] == ["MemoryError: ", ""]


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("only", [None, ["s1", "s2"], ["s1"]])
def test_a_kept_take_stands_and_nothing_is_rendered_beside_it(timeline, renderer, tmp_path, only, fresh):
    take = chosen_take(make_takes(timeline, renderer, tmp_path).shots[1])
    renderer.rendered.clear()
    shots = [shot.model_copy(update={"prompt": "wide shot, ocean shore"}) for shot in timeline.shots]
    edited = timeline.model_copy(update={"shots": shots})
    noting = Noting()
    film = make_takes(edited, renderer, tmp_path, only=only, kept={"s2": take}, fresh=fresh, ledger=noting)
    assert chosen_take(film.shots[1]) == take and film.shots[1].prompt == "wide shot, ocean shore"
    assert sorted(renderer.rendered) == ([1, 3] if only is None else [1])
    assert noting.notes[0] == ("planned", only or ["s1", "s2", "s3"], {"s2"} & set(only or ["s2"]))


def test_shots_and_takes_that_are_not_there_are_refused(timeline, renderer, tmp_path):
    take = chosen_take(make_takes(timeline, renderer, tmp_path).shots[0])
    gone = take.model_copy(update={"file": "gone.mp4"})
    for wrong, message in [
        ({"only": ["s1", "s9"]}, "only: this plan has no shot 's9'"),
        ({"kept": {"s9": take}}, "kept: this plan has no shot 's9'"),
        ({"kept": {"s3": take}}, "has 24 frames, shot s3 needs 54"),
        ({"kept": {"s1": gone}}, "gone.mp4 of shot s1 is not there"),
    ]:
        with pytest.raises(InputError, match=message):
            make_takes(timeline, renderer, tmp_path, **wrong)
    assert renderer.rendered == [1, 2, 3]


@pytest.mark.parametrize("some", [{"only": ["s1"]}, {"kept": {"s1": None}}])
def test_retakes_are_for_the_whole_film(timeline, renderer, some):
    with pytest.raises(InputError, match="retakes: expected 0 together with only or kept, got 2"):
        make.generate(timeline, renderer, retakes=2, **some)


# ---------------------------------------------------------------- keys


def test_every_field_of_the_conditions_is_in_the_key(timeline, renderer, monkeypatch):
    """A field added later cannot be forgotten."""
    seen = []
    monkeypatch.setattr(generation, "_feed", lambda digest, name, value: seen.append(name))
    take_key(conditions_of(timeline)(0), renderer)
    assert seen == ["format", "renderer", *(part.name for part in fields(Conditions))]


def test_a_key_changes_with_everything_that_could_change_a_pixel(timeline, renderer, tmp_path):
    c = conditions_of(timeline)(0)
    image = tmp_path / "image.png"
    image.write_bytes(b"one")
    moved = CameraPath(c.path.extrinsics + 1e-6, c.path.intrinsics)
    zoomed = CameraPath(c.path.extrinsics, c.path.intrinsics * 1.001)
    louder = c.audio.copy()
    louder[3, 4] = 0.1
    variants = [
        c,
        replace(c, prompt="another"),
        replace(c, path=moved),
        replace(c, path=zoomed),
        replace(c, audio=louder),
        replace(c, fps=Fraction(25)),
        replace(c, width=96),
        replace(c, height=96),
        replace(c, seed=9),
        replace(c, reference=str(image)),
    ]
    keys = [take_key(variant, renderer) for variant in variants]
    image.write_bytes(b"two")
    keys.append(take_key(variants[-1], renderer))
    for attribute in ("name", "identity"):
        setattr(renderer, attribute, "other")
        keys.append(take_key(c, renderer))
    assert len(set(keys)) == len(keys)


def test_a_key_stays_while_nothing_changes(timeline, renderer, tmp_path):
    c = conditions_of(timeline)(0)
    copy = replace(c, path=CameraPath(c.path.extrinsics.copy(order="F"), c.path.intrinsics), audio=c.audio.copy())
    assert take_key(c, renderer) == take_key(copy, renderer)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"the same picture")
    keys = {take_key(replace(c, reference=str(tmp_path / name)), renderer) for name in ("a.png", "b.png")}
    assert len(keys) == 1


def test_a_missing_reference_is_said(timeline, renderer):
    with pytest.raises(InputError, match="reference image"):
        take_key(replace(conditions_of(timeline)(0), reference="nowhere.png"), renderer)


def test_the_newest_take_stands_where_none_is_chosen(timeline, renderer, tmp_path):
    shot = make_takes(timeline, renderer, tmp_path).shots[0]
    newer = shot.takes[0].model_copy(update={"key": "newer"})
    both = shot.model_copy(update={"takes": [*shot.takes, newer]})
    assert chosen_take(both) == shot.takes[0]
    assert chosen_take(both.model_copy(update={"chosen": None})) == newer
    assert chosen_take(timeline.shots[0]) is None


def test_a_renderer_that_shows_is_asked_for_pictures(timeline, renderer, tmp_path):
    seen = []

    class Showing(type(renderer)):
        shows = True

        def render(self, conditions, on_progress, cancelled, on_picture):
            frames = super().render(conditions, on_progress, cancelled)
            on_picture(lambda: frames[-1])
            return frames

    class Looking(Ledger):
        def pictured(self, shot, picture):
            seen.append((shot, int(picture()[0, 0, 0])))

    generate(timeline, conditions_of(timeline), Showing(), tmp_path, ledger=Looking())
    assert seen == [("s1", grey(1, 23)), ("s2", grey(2, 27)), ("s3", grey(3, 53))]
