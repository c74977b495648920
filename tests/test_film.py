"""From a song to a film with the shipped weights: the whole path on real sound, short."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from conftest import write_wav

from mv import analyze, direct, generate
from mv.audio import read_audio
from mv.make import assemble, conditions, read_analysis
from mv.model.catalog import MODELS, load_renderer

SONG = Path(__file__).resolve().parents[1] / "assets" / "song" / "first_light.mp3"
SECONDS = (24.0, 28.5)  # of the song: a stretch with voice and drums

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def excerpt(tmp_path_factory) -> Path:
    """A few seconds of the example song as a wav file."""
    audio = read_audio(SONG)
    start, stop = (round(t * audio.sr) for t in SECONDS)
    return write_wav(tmp_path_factory.mktemp("song") / "excerpt.wav", audio.samples[start:stop], audio.sr)


@pytest.fixture(scope="module")
def film(excerpt, tmp_path_factory):
    """(plan with takes, path of the film), made by the embedded model in four steps."""
    patch = pytest.MonkeyPatch()
    patch.setenv("MV_HOME", str(tmp_path_factory.mktemp("home")))
    plan = direct(analyze(excerpt), excerpt, theme="city at night", seed=1)
    plan = generate(plan, model="mv-mini", steps=4)
    yield plan, assemble(plan, tmp_path_factory.mktemp("films") / "film.mp4")
    patch.undo()


def test_the_film_is_as_long_as_the_song_and_has_the_planned_frames(film):
    plan, path = film
    with av.open(str(path)) as container:
        video, sound = container.streams.video[0], container.streams.audio[0]
        assert video.average_rate == plan.fps == Fraction(24)
        assert sum(1 for _ in container.decode(video)) == plan.num_frames == round((SECONDS[1] - SECONDS[0]) * 24)
        assert abs(float(sound.duration * sound.time_base) - (SECONDS[1] - SECONDS[0])) < 1 / 24


def test_every_shot_was_made_by_the_model(film):
    plan, _ = film
    assert all(shot.takes and {take.model for take in shot.takes} == {"mv-mini"} for shot in plan.shots)


def test_every_cut_is_on_its_beat(film):
    plan, _ = film
    beats = {int(Fraction(t) * 24 + Fraction(1, 2)) for t in read_analysis(plan).beats}
    assert {shot.start for shot in plan.shots[1:]} <= beats


def test_the_model_draws_what_it_is_told():
    """The picture resembles the stage world's own painting of the same words, camera and sound far more than it
    resembles the painting of another shot: the model listens to its conditions."""
    from mv.train.card import sheet_clips

    clips = sheet_clips()[::5]
    renderer = load_renderer("mv-mini", 4)
    small = lambda frames: frames[::8, ::16, ::16].astype(float).ravel()
    made = [small(renderer.render(_conditions(clip, i))) for i, clip in enumerate(clips)]
    told = [small(clip.frames()) for clip in clips]
    likeness = np.array([[np.corrcoef(a, b)[0, 1] for b in told] for a in made])
    assert (likeness.argmax(1) == np.arange(len(clips))).all(), likeness.round(2)
    assert likeness.diagonal().mean() > 0.5


def test_the_same_seed_gives_the_same_pictures_and_another_does_not(film):
    plan, _ = film
    renderer = load_renderer("mv-mini", 1)
    told = conditions(plan, 0, read_analysis(plan))
    first, again = renderer.render(told), renderer.render(told)
    assert np.array_equal(first, again)
    from dataclasses import replace

    assert not np.array_equal(first, renderer.render(replace(told, seed=told.seed + 1)))


def test_the_shipped_model_says_where_it_comes_from():
    card = MODELS["mv-mini"].folder / "MODEL_CARD.md"
    text = card.read_text()
    assert "python -m mv train" in text and "samples.jpg" in text and "loss.png" in text
    for picture in ("samples.jpg", "loss.png"):
        assert (card.parent / picture).stat().st_size > 10_000


def _conditions(clip, seed: int):
    from mv.generation import Conditions

    return Conditions(clip.prompt, clip.path, clip.audio, Fraction(24), *clip.size, seed=seed)
