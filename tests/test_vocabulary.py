import random
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mv.world import vocabulary
from mv.world.vocabulary import (
    ACTIONS,
    HAIR_COLORS,
    HAIR_STYLES,
    OUTFIT_COLORS,
    OUTFITS,
    PALETTES,
    SCENES,
    SIZES,
    SKINS,
    TIMES,
    Directions,
    Look,
    describe,
    understand,
)

looks = st.builds(
    Look,
    skin=st.sampled_from(sorted(SKINS)),
    hair_style=st.sampled_from(sorted(HAIR_STYLES)),
    hair_color=st.sampled_from(sorted(HAIR_COLORS)),
    outfit=st.sampled_from(sorted(OUTFITS)),
    outfit_color=st.sampled_from(sorted(OUTFIT_COLORS)),
)
performances = st.builds(
    Directions,
    scene=st.sampled_from(sorted(SCENES)),
    time=st.sampled_from(sorted(TIMES)),
    palette=st.sampled_from(sorted(PALETTES)),
    size=st.sampled_from(sorted(SIZES)),
    action=st.sampled_from(sorted(ACTIONS)),
    look=looks,
)
# What a default may hold without showing in the prompt's own words: everything, so that nothing is read by luck.
OTHER = Directions("room", "day", "lime", "wide", "guitar", Look("dark", "bun", "silver", "dress", "pink"))


@given(performances)
def test_a_prompt_reads_back_as_what_was_described(directions):
    understanding = understand(describe(directions), default=OTHER)
    assert understanding.directions == directions
    assert understanding.ignored == ()


@given(performances)
def test_an_empty_scene_reads_back(directions):
    empty = replace(directions, action=None)
    understanding = understand(describe(empty), default=OTHER)
    assert understanding.directions == replace(empty, look=OTHER.look)
    assert understanding.ignored == ()


@pytest.mark.parametrize("table", [SCENES, TIMES, PALETTES, SIZES, ACTIONS])
def test_every_word_of_a_table_changes_the_prompt(table):
    kind = {id(SCENES): "scene", id(TIMES): "time", id(PALETTES): "palette", id(SIZES): "size", id(ACTIONS): "action"}
    prompts = {describe(replace(Directions(), **{kind[id(table)]: name})) for name in table}
    assert len(prompts) == len(table)


@pytest.mark.parametrize(
    "prompt, expected",
    [
        ("a beach at dawn", {"scene": "ocean", "time": "sunset"}),
        ("Downtown, MIDNIGHT", {"scene": "city", "time": "night"}),
        ("portrait of a guitarist in a bedroom", {"size": "close", "action": "guitar", "scene": "room"}),
        ("she dances in the desert at noon, turquoise light", {"action": "dancing", "palette": "cyan", "time": "day"}),
        ("close-up", {"size": "close"}),
        ("an empty street", {"scene": "city", "action": None}),
        ("no one on stage", {"scene": "stage", "action": None}),
    ],
)
def test_everyday_words_are_understood(prompt, expected):
    directions = understand(prompt, default=OTHER).directions
    assert {name: getattr(directions, name) for name in expected} == expected


def test_synonyms_belong_to_one_name_of_their_kind():
    for kind, table in vocabulary._SYNONYMS.items():
        words = [word for synonyms in table.values() for word in synonyms.split()]
        assert len(words) == len(set(words)), kind


@pytest.mark.parametrize(
    "prompt, expected",
    [
        ("long blonde hair", {"hair_style": "long", "hair_color": "blond"}),
        ("red dress, black hair", {"outfit": "dress", "outfit_color": "red", "hair_color": "black"}),
        ("a red city at night", {}),
        ("pale skin and a green hoodie", {"skin": "fair", "outfit": "jacket", "outfit_color": "green"}),
    ],
)
def test_words_of_a_look_count_beside_their_noun(prompt, expected):
    look = understand(prompt, default=OTHER).directions.look
    assert look == replace(OTHER.look, **expected)


def test_the_first_word_of_a_kind_wins():
    assert understand("desert, then the ocean").directions.scene == "desert"


def test_what_a_prompt_leaves_open_comes_from_the_default():
    assert understand("", default=OTHER) == vocabulary.Understanding(OTHER, ())


def test_unknown_words_are_reported_once_and_in_order():
    understanding = understand("a dragon over the city, a dragon and a spaceship")
    assert understanding.directions.scene == "city"
    assert understanding.ignored == ("dragon", "over", "spaceship")


def valid(directions: Directions) -> bool:
    tables = {"scene": SCENES, "time": TIMES, "palette": PALETTES, "size": SIZES, "action": {**ACTIONS, None: ""}}
    look = {"skin": SKINS, "hair_style": HAIR_STYLES, "hair_color": HAIR_COLORS, "outfit": OUTFITS}
    look["outfit_color"] = OUTFIT_COLORS
    assert {f.name for f in fields(Look)} == set(look)
    return all(getattr(directions, name) in table for name, table in tables.items()) and all(
        getattr(directions.look, name) in table for name, table in look.items()
    )


@given(st.text(max_size=200))
def test_any_text_gives_directions_that_can_be_drawn(prompt):
    assert valid(understand(prompt).directions)


WORDS = sorted(
    {word for table in vocabulary._SYNONYMS.values() for phrase in table.values() for word in phrase.split()}
)


@given(st.lists(st.sampled_from([*WORDS, "hair", "skin", "dress", "red", "no", "one", "${x}", "<script>", "-", "é"])))
def test_any_heap_of_known_words_gives_directions_that_can_be_described(words):
    directions = understand(" ".join(words)).directions
    assert valid(directions)
    assert understand(describe(directions)).ignored == ()


@pytest.mark.parametrize(
    "prompt", ["\0", "hair", "hair hair", "red", "-" * 99_999, "a" * 99_999, "🎤 singing", "'; DROP"]
)
def test_odd_text_never_raises(prompt):
    assert valid(understand(prompt).directions)


def test_understanding_is_deterministic():
    rng = random.Random(0)
    prompt = " ".join(rng.choices(WORDS, k=40))
    assert understand(prompt) == understand(prompt)
