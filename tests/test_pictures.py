"""The first screen's cast and further pictures: fields, what they mean, and their way into the plan."""

import pytest
from PIL import Image
from test_spaces import NoWorker, do_jobs
from test_ui import DRAFT, home, press, song  # noqa: F401 fixtures

from mv.errors import InputError
from mv.ui import pictures
from mv.ui.project import Project


def painted(folder, name, colour="lime"):
    Image.new("RGB", (64, 48), colour).save(folder / name)
    return str(folder / name)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("ocean.jpg", "ocean"), ("Chorus-2.png", "chorus 2"), ("cast.webp", "cast"), ("light.png", "light"),
        ("IMG_0001.jpg", None), ("chorus.final.png", None),
    ],
)  # fmt: skip
def test_a_file_that_is_named_for_it_needs_no_choice(file, name):
    assert pictures.guess(f"/uploads/{file}") == name


def test_what_can_be_chosen_is_what_the_director_takes():
    for label, name in pictures.roles():
        assert label and pictures.references(["x.png"], [name]) == {name: "x.png"}
    assert pictures.references(["x.png", "y.png"], ["Chorus  2", "chorus"]) == {"chorus 2": "x.png", "chorus": "y.png"}
    assert pictures.references(None, [None] * 8) == {}


@pytest.mark.parametrize(
    ("files", "chosen", "message"),
    [
        (["/tmp/x/face.jpg"], [None], "^face.jpg: choose what this picture stands for"),
        (["face.jpg"], [" "], "face.jpg: choose what"),
        (["a.jpg", "b.jpg"], ["ocean", "ocean"], "a.jpg and b.jpg both stand for ocean"),
        (["a.jpg"], ["moon"], "expected one of cast, light, .* got 'moon'"),
        (["a.jpg"], ["x=/etc/passwd"], "got 'x'"),
        (["a.jpg"] * 9, ["light"] * 8, "expected at most 8, got 9"),
    ],
)
def test_wrong_choices_are_refused(files, chosen, message):
    with pytest.raises(InputError, match=message):
        pictures.references(files, chosen)


def test_every_file_has_a_field_that_keeps_what_was_chosen():
    shown = pictures.fields(["/u/1/face.jpg", "/u/2/ocean.jpg"], {"face.jpg": "cast"})
    assert len(shown) == pictures.MAX_PICTURES
    assert [(field.get("label"), field["value"], field["visible"]) for field in shown[:3]] == [
        ("face.jpg stands for", "cast", True), ("ocean.jpg stands for", "ocean", True), (None, None, False)
    ]  # fmt: skip


def test_cast_and_pictures_reach_the_plan_and_come_back_to_the_page(home, song, tmp_path):  # noqa: F811
    from mv.ui.blocks import build

    studio = build(home, NoWorker(home)).studio
    wishes = {**DRAFT, "song": str(song), "seed": 3, "cast": "Mira: long red hair, green dress\nTom: black jacket"}
    files = [painted(tmp_path, "any.png"), painted(tmp_path, "sea.png", "blue")]
    opened = studio.start("plan", *wishes.values(), files, [], "verse", "ocean", *[None] * 6)
    do_jobs(studio.store)
    project = Project(home, opened[studio.page.name])
    brief = project.plan().brief
    assert [one.name for one in brief.cast] == ["Mira", "Tom"]
    assert brief.references == {"verse": "reference-verse.png", "ocean": "reference-ocean.png"}
    assert (project.folder / "reference-verse.png").read_bytes() == (tmp_path / "any.png").read_bytes()
    verse = [shot for shot in project.plan().shots if "lime light" in shot.prompt]
    assert verse and any("the reference for verse" in r.evidence for shot in verse for r in shot.reasons)
    again = studio.open_named(project.name)
    assert again[studio.page.cast] == wishes["cast"]
    files, names, first, second, third, *_ = (again[part] for part in studio.page.pictures)
    assert names == ["reference-verse.png", "reference-ocean.png"] and len(files) == 2
    assert (first["value"], second["value"], third["visible"]) == ("verse", "ocean", False)
    studio.stop()


def test_a_wrong_cast_is_located_before_anything_is_written(home, song):  # noqa: F811
    from mv.ui.blocks import build

    studio = build(home, NoWorker(home)).studio
    with pytest.raises(InputError, match="cast: line 2, column 4: expected : and the looks"):
        press(studio, "plan", song=str(song), cast="Mira: red hair\nTom")
    assert not list(home.glob("*/project.json"))
    studio.stop()


def test_a_project_of_the_command_line_shows_its_cast_and_pictures(home, song, tmp_path):  # noqa: F811
    from mv import make

    wishes = dict(cast="Mira: red hair", references={"light": painted(tmp_path, "x.png")}, size="draft")
    plan = make.plan_film(song, **wishes)
    make.save_plan(plan, make.project_folder(song) / "plan.json")
    shown = Project(home, make.project_folder(song).name).wishes()
    assert (shown.cast, shown.references) == ("Mira: red hair", {"light": "light-x.png"})
