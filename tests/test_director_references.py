"""Several reference images: what each stands for, what it decides, and what it may not."""

from collections import defaultdict

import pytest
from test_director import POP, action_of, invent_song, scene_of

from director import direct, replan
from director.references import Light, parse_references
from mv import make
from mv.errors import InputError
from mv.schema import Brief
from mv.world.vocabulary import understand

SONG = invent_song()


def plan(lights, **brief):
    lights = {name: Light(palette, f"of {name or 'all'}") for name, palette in lights.items()}
    brief = Brief(references={name: f"{name}.png" for name in lights if name}, **brief)
    return direct(SONG, brief, song="s", analysis_path="a", fps=24, width=320, height=180, lights=lights)


def palettes(timeline):
    """By section: the palettes of its shots."""
    found = defaultdict(set)
    for shot in timeline.shots:
        found[shot.section].add(understand(shot.prompt).directions.palette)
    return found


def test_names_and_files_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.png").touch()
    texts = ["look.png", "cast=me.png", "Chorus  2=x=y.png", "ocean=beach.png", "light=../dusk.png"]
    image, references = parse_references(texts)
    assert image == "look.png"
    assert references == {"cast": "me.png", "chorus 2": "x=y.png", "ocean": "beach.png", "light": "../dusk.png"}
    assert parse_references(["a=b.png"]) == ("a=b.png", {}) and parse_references([]) == (None, {})


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["moon=x.png"], "expected one of cast, light, intro, .* for what a picture stands for, .* got 'moon'"),
        (["chorus 0=x.png"], "got 'chorus 0'"),
        (["chorus two=x.png"], "got 'chorus two'"),
        (["=x.png"], "got ''"),
        (["cast="], "expected FILE or NAME=FILE, got 'cast='"),
        ([""], "expected FILE or NAME=FILE"),
        (["a.png", "b.png"], "a.png and b.png both stand for the whole film; say what one is for, as in chorus=b.png"),
        (["ocean=a.png", "Ocean=b.png"], "a.png and b.png both stand for ocean"),
    ],
)
def test_wrong_references_are_refused(texts, message):
    with pytest.raises(InputError, match=message):
        parse_references(texts)


def test_a_part_takes_the_light_of_its_picture_and_no_other_part_does():
    lit, plain = plan({"chorus": "lime"}), plan({})
    for section, (label, *_) in enumerate(POP):
        assert palettes(lit)[section] == ({"lime"} if label == "chorus" else palettes(plain)[section])
    why = next(r for s in lit.shots if s.section == 2 for r in s.reasons if r.decision == "light")
    assert why.choice.endswith(", lime") and why.evidence == "of chorus, the reference for chorus"
    assert [(s.start, s.camera) for s in lit.shots] == [(s.start, s.camera) for s in plain.shots]


def test_a_number_goes_before_a_label_and_both_before_a_place_and_the_whole():
    lit = palettes(plan({"": "amber", "chorus": "lime", "chorus 2": "cyan", "stage": "violet"}, theme="stage"))
    assert lit[2] == lit[6] == {"lime"} and lit[4] == {"cyan"}
    assert lit[0] == {"violet"} and lit[5] <= {"amber", "violet"}


def test_a_light_the_theme_names_outranks_the_whole_films_picture_but_not_a_parts():
    lit = palettes(plan({"": "amber", "light": "crimson", "bridge": "lime"}, theme="a city, azure light"))
    assert {name for section in lit if section != 5 for name in lit[section]} == {"azure"} and lit[5] == {"lime"}
    assert set().union(*palettes(plan({"": "amber", "light": "crimson"})).values()) == {"crimson"}


def test_a_place_with_a_picture_is_played_in():
    lit = plan({"ocean": "azure"})
    at_sea = [shot for shot in lit.shots if scene_of(shot) == "ocean"]
    assert at_sea and all("azure light" in shot.prompt for shot in at_sea)
    both = {scene_of(shot) for shot in plan({"ocean": "azure"}, theme="neon city").shots}
    assert {"ocean", "city"} <= both
    with pytest.raises(InputError, match="image: ocean: the theme keeps the film in forest only"):
        plan({"ocean": "azure"}, theme="only a forest")


def test_a_part_the_song_does_not_have_is_refused():
    with pytest.raises(InputError, match="image: chorus 4: this song has 3 sections of the kind chorus"):
        plan({"chorus 4": "lime"})
    with pytest.raises(InputError, match="image: drop: this song has 0 sections of the kind drop"):
        plan({"drop": "lime"})


def test_a_grey_picture_leaves_the_light_to_the_music_and_says_so():
    grey = plan({"chorus": None})
    assert palettes(grey) == palettes(plan({}))
    assert "of chorus, the reference for chorus" in str(grey.shots[-20].reasons + grey.shots[10].reasons)


def test_a_moment_outranks_a_picture():
    shots = plan({"chorus": "lime"}, moments="<violet light& start>@chorus 2").shots
    assert "violet light" in next(shot.prompt for shot in shots if shot.section == 4)


def test_the_brief_keeps_its_pictures_when_the_plan_is_made_anew():
    lit = plan({"chorus": "lime"})
    lights = {"chorus": Light("lime", "of chorus")}
    again = replan(lit, SONG, lights=lights)
    assert again.shots == lit.shots and again.brief.references == {"chorus": "chorus.png"}


def test_the_cast_comes_from_its_own_picture(tmp_path, monkeypatch):
    from PIL import Image

    from mv import reference
    from mv.world.vocabulary import PersonReading, Trait

    monkeypatch.setenv("MV_HOME", str(tmp_path))
    for name, colour in (("look", "red"), ("me", "blue")):
        Image.new("RGB", (64, 48), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "song.wav").write_bytes(b"x")
    asked = []

    def read_person(path):
        asked.append(path)
        return PersonReading({"hair_color": Trait("silver", "seen", 1.0)}, "a face")

    monkeypatch.setattr(reference, "read_person", read_person)
    pictures = {"image": tmp_path / "look.png", "references": {"cast": tmp_path / "me.png"}}
    timeline = make.direct(SONG, tmp_path / "song.wav", **pictures)
    assert asked == [str(tmp_path / "me.png")]
    assert all("silver hair" in shot.prompt for shot in timeline.shots if action_of(shot))
    assert set().union(*palettes(timeline).values()) == {"crimson"}, "the light is the other picture's"
