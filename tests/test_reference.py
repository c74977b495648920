"""The reference image: the light it names, and the person in it, on portraits painted here."""

import time

import cv2
import numpy as np
import pytest
from PIL import Image

from director.casting import choose_cast
from director.story import read_theme
from mv.camera import camera_path
from mv.errors import InputError
from mv.reference import find_faces, read_palette, read_person
from mv.schema import AUDIO_FEATURES, Brief, CameraMove, Cast, ShotSize
from mv.world.render import draw
from mv.world.vocabulary import HAIR_COLORS, OUTFIT_COLORS, OUTFITS, SKINS, Directions, Look, PersonReading, Trait

BACKDROPS = {"grey": (150, 152, 156), "green": (70, 120, 70), "sand": (206, 178, 140), "navy": (24, 30, 60)}


def portrait(look: Look, size=(360, 480), face=96, at=(0.5, 0.36), backdrop="grey", onto=None) -> np.ndarray:
    """(h, w, 3) uint8 RGB with light from the left, noise and a soft lens.

    size (w, h) and face width in pixels; at: the point between the eyes, 0..1 of the size; onto: another picture.
    """
    (width, height), unit = size, 2 * face  # painted at twice the size
    rng = np.random.default_rng(face)
    picture = np.empty((2 * height, 2 * width, 3), np.float32)
    picture[:] = BACKDROPS[backdrop]
    for _ in range(8):
        x, y, radius = (rng.uniform(0, [2 * width, 2 * height, 0.4 * width])).astype(int)
        cv2.circle(picture, (x, y), radius, (np.array(BACKDROPS[backdrop]) * rng.uniform(0.8, 1.15)).tolist(), -1)
    if onto is not None:
        picture = cv2.resize(onto.astype(np.float32), (2 * width, 2 * height))
    x0, y0 = 2 * width * at[0], 2 * height * at[1]
    skin, hair, cloth = (
        np.array(table[name], float)
        for table, name in ((SKINS, look.skin), (HAIR_COLORS, look.hair_color), (OUTFIT_COLORS, look.outfit_color))
    )

    def oval(x, y, rx, ry, color, first=0, last=360):
        axes = max(1, round(rx * unit)), max(1, round(ry * unit))
        center = round(x0 + x * unit), round(y0 + y * unit)
        cv2.ellipse(picture, center, axes, 0, first, last, np.asarray(color, float).tolist(), -1, cv2.LINE_AA)

    def shape(half, color):
        """Mirrored: half is the right side, from the top down."""
        points = np.array([*half, *[(-x, y) for x, y in reversed(half)]])
        cv2.fillPoly(picture, [np.round(points * unit + (x0, y0)).astype(np.int32)], color.tolist(), cv2.LINE_AA)

    behind = {"long": (0, 0.35, 0.82, 1.25), "bob": (0, 0.02, 0.78, 0.86), "bun": (0, -1.02, 0.26, 0.24)}
    if look.hair_style in behind:
        oval(*behind[look.hair_style], 0.9 * hair)
    shape([(0.3, 1.05), (1.15, 1.35), (1.4, 3.2), (1.3, 6)], cloth)
    if look.outfit == "jacket":
        shape([(0.2, 1.1), (0.25, 6)], np.array((60.0, 60, 70) if look.outfit_color == "white" else (236.0, 236, 236)))
    shape([(0.24, 0.5), (0.28, 1.15), (0, 1.38)], 0.82 * skin)
    if look.hair_style == "long":
        for side in (-1, 1):
            oval(0.66 * side, 0.9, 0.17, 0.75, hair)
    oval(0, -0.22, 0.6, 0.66, hair)
    oval(0, 0.06, 0.5, 0.72, skin)
    oval(0, -0.42, 0.5, 0.28, hair, 180, 360)
    for side in (-1, 1):
        oval(0.22 * side, -0.13, 0.12, 0.025, 0.6 * hair)
        oval(0.22 * side, 0, 0.10, 0.05, (240, 238, 236))
        oval(0.22 * side, 0, 0.05, 0.05, (60, 40, 30))
        oval(0.05 * side, 0.30, 0.025, 0.018, 0.6 * skin)
    oval(0, 0.49, 0.17, 0.045, skin * (0.85, 0.58, 0.6))

    picture = picture * np.linspace(1.08, 0.86, 2 * width)[None, :, None]
    picture = cv2.resize(np.clip(picture, 0, 255), (width, height), interpolation=cv2.INTER_AREA)
    picture = cv2.GaussianBlur(picture, (0, 0), 0.7) + rng.normal(0, 4, picture.shape)
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture
def read(tmp_path):
    """Saves a picture and reads the person in it."""

    def read(picture: np.ndarray) -> PersonReading:
        Image.fromarray(picture).save(tmp_path / "me.png")
        return read_person(tmp_path / "me.png")

    return read


# ---------------------------------------------------------------- light


@pytest.mark.parametrize(
    ("colour", "palette"),
    [((220, 20, 40), "crimson"), ((30, 120, 230), "azure"), ((0, 230, 230), "cyan"), ((130, 40, 240), "violet")],
)
def test_the_dominant_colour_names_the_palette(tmp_path, colour, palette):
    picture = np.full((60, 80, 3), 128, np.uint8)
    picture[:, :50] = colour
    picture[:10, 60:] = (90, 200, 30)  # a little of something else
    Image.fromarray(picture).save(tmp_path / "a.png")
    reading = read_palette(tmp_path / "a.png")
    assert reading.palette == palette
    assert "a.png" in reading.evidence and "#" in reading.evidence


def test_a_grey_picture_says_nothing(tmp_path):
    Image.new("L", (20, 20), 130).save(tmp_path / "grey.jpg")
    assert read_palette(tmp_path / "grey.jpg").palette is None


# ---------------------------------------------------------------- person


LOOKS = [
    (Look("tan", "long", "red", "shirt", "blue"), "grey"),
    (Look("fair", "short", "brown", "jacket", "teal"), "green"),
    (Look("brown", "bob", "blond", "shirt", "pink"), "navy"),
    (Look("dark", "bun", "silver", "jacket", "yellow"), "green"),
    (Look("dark", "long", "blue", "shirt", "white"), "sand"),
    (Look("tan", "short", "black", "jacket", "red"), "sand"),
    (Look("fair", "bob", "black", "shirt", "green"), "green"),
]


@pytest.mark.parametrize(("look", "backdrop"), LOOKS)
def test_a_portrait_is_read(read, look, backdrop):
    told = read(portrait(look, backdrop=backdrop)).told
    assert {name: trait.value for name, trait in told.items() if name != "outfit"} == {
        name: getattr(look, name) for name in ("skin", "hair_style", "hair_color", "outfit_color")
    }
    # A shirt and a dress look the same from the chest up; an open jacket does not.
    assert ("outfit" in told) == (look.outfit == "jacket")
    assert all("#" in trait.evidence or "%" in trait.evidence for trait in told.values())
    assert all(0 < trait.confidence <= 1 for trait in told.values())


@pytest.mark.parametrize(("size", "face", "at"), [
    ((1200, 900), 90, (0.2, 0.3)), ((500, 500), 250, (0.5, 0.45)), ((300, 900), 60, (0.6, 0.2)),
])  # fmt: skip
def test_faces_of_all_sizes_and_places(read, size, face, at):
    look = Look("tan", "short", "black", "shirt", "red")
    rgb = portrait(look, size, face, at)
    scale = min(1.0, 640 / max(size))
    small = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    found = find_faces(small)[0]
    assert np.hypot(found.x - at[0] * small.shape[1], found.y - at[1] * small.shape[0]) < 0.25 * face * scale
    told = read(rgb).told
    assert told["skin"].value == "tan" and told["hair_color"].value == "black"


def test_of_two_people_the_nearer_one_is_cast(read):
    far = portrait(Look("dark", "short", "silver", "shirt", "yellow"), (640, 480), 40, (0.15, 0.3))
    both = portrait(Look("fair", "long", "red", "shirt", "blue"), (640, 480), 100, (0.65, 0.36), onto=far)
    person = read(both)
    assert person.told["skin"].value == "fair" and person.told["hair_color"].value == "red"
    assert "clearest of 2" in person.evidence


def test_hair_of_the_backgrounds_colour_has_no_length(read):
    look = Look("tan", "short", "black", "shirt", "red")
    backdrop = np.tile(np.array(HAIR_COLORS["black"], np.uint8), (480, 360, 1))
    assert read(portrait(look, onto=backdrop)).traits["hair_style"].value is None


def test_where_the_chest_is_cut_off_the_clothes_stay_open(read):
    person = read(portrait(Look(), (300, 300), 190, (0.5, 0.45)))
    assert person.told["skin"].value == "tan"
    assert "outfit" not in person.told and "outfit_color" not in person.told


@pytest.mark.parametrize("backdrop", BACKDROPS)
def test_a_place_is_nobody(read, backdrop):
    rng = np.random.default_rng(3)
    picture = np.clip(BACKDROPS[backdrop] + rng.normal(0, 40, (60, 80, 1)), 0, 255).astype(np.float32)
    person = read(cv2.resize(picture, (640, 480), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8))
    assert person.traits == {} and person.evidence == "no face found in me.png"


def test_a_grey_portrait_is_not_guessed_at(read):
    grey = cv2.cvtColor(portrait(Look()), cv2.COLOR_RGB2GRAY)
    assert read(grey).told == {}


@pytest.mark.parametrize("shape", [(1, 1), (2, 3000), (3000, 2), (23, 25), (640, 640)])
@pytest.mark.parametrize("kind", ["plain", "skin", "noise"])
def test_no_picture_is_too_odd(read, shape, kind):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    if kind != "noise":
        picture[:] = SKINS["tan"] if kind == "skin" else 0
    assert read(picture).told == {}


@pytest.mark.parametrize("at", [(0.0, 0.0), (1.0, 1.0), (0.02, 0.5), (0.5, 0.05), (0.97, 0.9)])
def test_a_face_on_the_border_breaks_nothing(read, at):
    assert isinstance(read(portrait(Look(), at=at)), PersonReading)


def test_a_twelve_megapixel_photo_takes_no_second(tmp_path):
    picture = cv2.resize(portrait(Look(), (1000, 750), 200), (4000, 3000))
    Image.fromarray(picture).save(tmp_path / "big.jpg")
    begin = time.process_time()
    assert read_person(tmp_path / "big.jpg").told["skin"].value == "tan"
    assert time.process_time() - begin < 2  # of processor time; about 0.7 on an idle core


def test_bad_pictures_are_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    for name in ("a.png", "missing.png"):
        with pytest.raises(InputError, match=name):
            read_person(tmp_path / name)


def test_the_stage_worlds_own_performer_is_seen(read):
    """Its colours are not tested: the place's light lies on them."""
    path = camera_path(CameraMove(), ShotSize.close, 1, 16 / 9)
    audio = np.zeros((1, len(AUDIO_FEATURES)), np.float32)
    faces = 0
    for skin in SKINS:
        look = Look(skin, "bob", "blond", next(iter(OUTFITS)), "blue")
        for scene in ("room", "ocean", "city"):
            directions = Directions(scene, "day", "azure", "close", "dancing", look)
            faces += bool(find_faces(draw(directions, path, audio, 512, 288)[0]))
    assert faces >= 6


# ---------------------------------------------------------------- what the director makes of it


def seen(**values: str) -> PersonReading:
    none = Trait(None, "cannot be told")
    names = ("skin", "hair_style", "hair_color", "outfit", "outfit_color")
    traits = {n: Trait(values[n], f"#aabbcc on 80% of {n}", 0.8) if n in values else none for n in names}
    return PersonReading(traits, "a face 20% as wide as me.png")


def test_the_person_is_cast_and_the_plan_says_so():
    (casting,) = choose_cast(Brief(seed=4), read_theme(""), seen(skin="dark", hair_color="blue"))
    (drawn,) = choose_cast(Brief(seed=4), read_theme(""))
    assert casting.look == Look("dark", drawn.look.hair_style, "blue", drawn.look.outfit, drawn.look.outfit_color)
    assert "from the reference image: skin dark (#aabbcc on 80% of skin), hair color blue" in casting.reason.evidence
    assert "drawn for this song with seed 4: hair style, outfit, outfit color" in casting.reason.evidence
    assert "reference" not in drawn.reason.evidence


def test_words_and_a_cast_of_the_users_win_over_the_picture():
    person = seen(skin="dark", hair_color="blue")
    look = choose_cast(Brief(theme="a singer with red hair"), read_theme("a singer with red hair"), person)[0].look
    assert look.hair_color == "red" and look.skin == "dark"
    brief = Brief(cast=[Cast(name="Mira", looks="fair skin")])
    (mira,) = choose_cast(brief, read_theme("red hair"), person)
    assert (mira.look.skin, mira.look.hair_color) == ("fair", "red")


def test_nobody_in_the_picture_is_said():
    (casting,) = choose_cast(Brief(), read_theme(""), PersonReading({}, "no face found in sea.png"))
    assert casting.look == choose_cast(Brief(), read_theme(""))[0].look
    words = "from the reference image: no face found in sea.png; drawn for this song with seed 0"
    assert casting.reason.evidence == words
