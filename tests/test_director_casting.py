"""The brief's cast: strict text, looks understood and told, who is in which shot."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_director import POP, action_of, invent_song, plan

from director.casting import MAX_CAST, TABLES, choose_cast, parse_cast, print_cast
from director.shotlist import shot_list
from director.story import read_theme, roles_of
from mv.errors import InputError
from mv.schema import Brief, Cast, Timeline
from mv.world.vocabulary import understand

PAIR = "Mira: long red hair, green dress\nTom: short black hair, black jacket"
LOOKS = ("long red hair", "green dress", "dark skin", "black jacket, tied-up silver hair", "a white shirt")


def look_of(shot):
    return understand(shot.prompt).directions.look


def who(shot):
    """The performer by the hair; None where nobody is in sight."""
    return {"red": "Mira", "black": "Tom"}.get(look_of(shot).hair_color) if action_of(shot) else None


# ---------------------------------------------------------------- the text

names = st.sampled_from(["Mira", "Tom", "D.J. Ö", "Anna-Lena", "O'Neil", "X 2", "Žofie"])


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.lists(st.tuples(names, st.sampled_from(LOOKS)), max_size=MAX_CAST, unique_by=lambda one: one[0]))
def test_a_cast_round_trips(those):
    cast = [Cast(name=name, looks=looks) for name, looks in those]
    assert parse_cast(print_cast(cast)) == cast


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text("Mira Tom:,redhairdress\n\t<>&=7", max_size=60))
def test_any_text_is_a_cast_or_refused_with_its_place(text):
    try:
        cast = parse_cast(text)
    except InputError as error:
        assert str(error).startswith("cast: line ") and ", column " in str(error) and len(str(error)) < 200
    else:
        assert parse_cast(print_cast(cast)) == cast


def test_spaces_and_empty_lines_are_nothing():
    assert parse_cast("\n  Mira :  red   hair \r\n\n") == [Cast(name="Mira", looks="red hair")]
    assert parse_cast("") == parse_cast(" \n ") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Mira", "line 1, column 5: expected : and the looks, as in Mira: .*, got the end"),
        (": red hair", "line 1, column 1: expected a name, .* got ': red hair'"),
        ("Mira: red hair\n\nTom", "line 3, column 4: expected : and the looks"),
        ("Mira: red hair\nmira: blue hair", "line 2, column 1: expected another name: .* got 'mira: blue hair'"),
        ("Mira: sparkles", "line 1, column 7: expected skin, hair or clothes, .* got 'sparkles'"),
        ("Mira:", "line 1, column 6: expected skin, hair or clothes, .* got the end"),
        ("Mira: on a stage", "line 1, column 7: expected skin, hair or clothes"),
        ("7: red hair", "line 1, column 1: expected a name of at most 40 letters"),
        ("Mi<ra: red hair", "line 1, column 3: expected a name of at most 40 letters, .* got '<ra: red hair'"),
        ("M" * 41 + ": red hair", "line 1, column 41: expected a name of at most 40 letters"),
        ("Mira: red hair " + "x" * 200, "line 1, column 207: expected at most 200 characters of looks"),
        ("\n".join(f"{name}: red hair" for name in "ABCDE"), "line 5, column 1: expected at most 4 performers"),
    ],
)
def test_a_wrong_cast_is_located(text, message):
    with pytest.raises(InputError, match=f"^cast: {message}"):
        parse_cast(text)


# ---------------------------------------------------------------- who they are


def test_looks_are_mapped_to_the_vocabulary_and_what_was_understood_is_told():
    (mira,) = choose_cast(
        Brief(cast=parse_cast("Mira: dark-skinned redhead, glitter, blue gown, dancing")), read_theme("")
    )
    assert (mira.look.skin, mira.look.hair_color) == ("dark", "red")
    assert (mira.look.outfit, mira.look.outfit_color) == ("dress", "blue")
    assert mira.reason.choice.startswith("Mira: dark skin, ") and mira.reason.choice.endswith("red hair, blue dress")
    told = "the brief says skin dark, hair color red, outfit dress, outfit color blue"
    assert mira.reason.evidence.startswith(f"{told} (no meaning here: glitter, dancing); drawn for this song")
    assert mira.reason.evidence.endswith("with seed 0: hair style")


def test_the_cast_goes_before_the_theme_and_the_theme_goes_on_for_the_lead_alone():
    brief = Brief(cast=parse_cast(PAIR))
    mira, tom = choose_cast(brief, read_theme("blue hair, dark skin"))
    assert (mira.look.hair_color, mira.look.skin) == ("red", "dark")
    assert tom.look.hair_color == "black" and "theme" not in tom.reason.evidence


@pytest.mark.parametrize("seed", range(6))
def test_performers_are_not_taken_for_each_other(seed):
    brief = Brief(seed=seed, cast=parse_cast("A: a dress\nB: a shirt\nC: a jacket\nD: a jacket"))
    cast = choose_cast(brief, read_theme(""))
    for field in ("hair_color", "outfit_color"):
        assert len({getattr(one.look, field) for one in cast}) == 4
    assert cast == choose_cast(brief, read_theme("")) and all(getattr(cast[0].look, f) in TABLES[f] for f in TABLES)


# ---------------------------------------------------------------- who is in the shot


def test_one_performer_is_in_every_shot_and_named_on_the_page():
    song = invent_song()
    timeline = plan(song, cast=parse_cast("Mira: long red hair, green dress"))
    assert {who(shot) for shot in timeline.shots} == {"Mira", None}
    assert not any(reason.decision == "performer" for shot in timeline.shots for reason in shot.reasons)
    page = shot_list(timeline, song)
    assert "cast Mira, seed 0" in page and "Mira singing into a microphone" in page
    assert page.count("cast: Mira: ") == 1
    same = plan(song)
    assert [(s.start, s.camera, s.size, action_of(s)) for s in timeline.shots] == [
        (s.start, s.camera, s.size, action_of(s)) for s in same.shots
    ], "who performs changes nothing else"


def test_the_lead_sings_at_home_and_in_the_choruses_the_other_elsewhere_and_plays_where_nobody_sings():
    parts = [*POP[:5], ("bridge", 0.35, 0.9, None), ("chorus", 0.95, 0.9, 2), ("verse", 0.5, 0.0, None)]
    song = invent_song(160.0, parts=parts)
    timeline, roles = plan(song, cast=parse_cast(PAIR)), roles_of(song.sections)
    seen = Counter()
    for shot in timeline.shots:
        if action_of(shot) == "singing":
            assert who(shot) == ("Tom" if roles[shot.section] in ("verse 2", "away") else "Mira")
        elif action_of(shot) and shot.section not in (0, 7):
            assert who(shot) == "Tom"
        seen[who(shot), action_of(shot) == "singing"] += 1
        reason = [r for r in shot.reasons if r.decision == "performer"]
        assert [r.choice for r in reason] == ([who(shot)] if who(shot) else [])
    assert all(seen[key] for key in (("Mira", True), ("Tom", True), ("Tom", False)))
    assert {who(shot) for shot in timeline.shots if shot.section == 7} >= {"Mira", "Tom"}, "all play an instrumental"
    for one, two in pairwise(timeline.shots):
        if two.reasons[-1].choice == "cut, match cut":
            assert who(one) == who(two)


def test_a_moment_may_name_who_is_seen():
    song = invent_song()
    moments = "<Tom& start>@chorus 2 <Mira& start>@0:02 <Tom dancing in a forest& start>@chorus 3"
    shots = plan(song, cast=parse_cast(PAIR), moments=moments).shots
    first = {n: next(shot for shot in shots if shot.section == n) for n in (4, 6)}
    assert who(first[4]) == "Tom" and who(first[6]) == "Tom"
    assert action_of(first[6]) == "dancing" and understand(first[6].prompt).directions.scene == "forest"
    asked = [r for r in first[6].reasons if r.decision == "moment"]
    assert asked[0].choice == "performer Tom, action dancing, scene forest" and "no meaning" not in asked[0].evidence
    opening = min(shots, key=lambda shot: abs(shot.start / 24 - 2))
    assert who(opening) == "Mira", "the quiet intro shows nobody, but the brief asks for her"
    with pytest.raises(InputError, match="nothing in 'Anna' can be shown"):
        plan(song, cast=parse_cast(PAIR), moments="<Anna& start>@0:30")


def test_names_in_a_theme_are_no_words_for_a_place():
    song = invent_song()
    with_name = plan(song, cast=parse_cast("Forest: red hair"), theme="Forest walks on a beach at night")
    assert "scene ocean, time night" in with_name.shots[0].reasons[0].choice
    assert with_name.shots[0].reasons[0].evidence == "no meaning here: walks"


def test_an_older_plan_without_a_cast_is_read():
    timeline = plan(invent_song(20.0))
    old = timeline.model_dump(mode="json")
    old["brief"]["cast"] = None
    assert Timeline.model_validate(old) == timeline
