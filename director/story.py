"""The whole before the shots: what the theme says, where each section plays and in which light."""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace

from director import vocabulary as words
from director.lots import in_order, ranked
from director.proposals import Idea
from director.segmentation import section_names
from mv.errors import InputError
from mv.schema import Mood, Reason, Section
from mv.world import vocabulary as world
from mv.world.vocabulary import Directions, Look


@dataclass(frozen=True)
class Theme:
    """What the user's words decide.

    said: the fields of Directions and Look they name; scenes: all places they name; only: the film stays in them.
    """

    directions: Directions
    said: frozenset[str]
    scenes: tuple[str, ...]
    ignored: tuple[str, ...]
    only: bool = False


@dataclass(frozen=True)
class Place:
    """Where a section plays, in which light, and why.

    others: where it goes on when it is long, in turn, none where it stays; view: what an insert with nobody in it
    shows.
    """

    scene: str
    time: str
    palette: str
    reasons: tuple[Reason, ...]
    others: tuple[str, ...] = ()
    view: str = ""

    def moved(self, scene: str, why: str) -> "Place":
        """The same light in another scene."""
        first = Reason(decision="scene", choice=scene, evidence=why)
        return replace(self, scene=scene, reasons=(first, *self.reasons[1:]))


# ---------------------------------------------------------------- what the theme says


def read_theme(theme: str) -> Theme:
    """Read the user's words with mv.world.vocabulary.understand.

    Understood is what two readings with opposite defaults agree on. Of scene words side by side the last one is the
    place and the others describe it: a "neon city" is a city.
    """
    one = world.understand(theme, Directions("stage", "night", "violet", "wide", "singing", Look()))
    opposite = Directions("city", "day", "amber", "close", "dancing", Look("fair", "long", "red", "dress", "black"))
    other = world.understand(theme, opposite)
    scenes, describing = _scenes_named(theme)
    said = _agreed(one.directions, other.directions) | _agreed(one.directions.look, other.directions.look)
    decided = {*scenes, *describing, "only"}
    return Theme(
        directions=one.directions,
        said=frozenset(said),
        scenes=tuple(dict.fromkeys(_scene_of(word) for word in scenes)),
        ignored=tuple(word for word in one.ignored if word not in decided),
        only=re.search(r"\bonly\b", theme.lower()) is not None,
    )


def _agreed(one: Directions | Look, other: Directions | Look) -> set[str]:
    return {f.name for f in fields(one) if getattr(one, f.name) == getattr(other, f.name)} - {"look"}


def _scenes_named(theme: str) -> tuple[list[str], list[str]]:
    """Words that name a scene, and scene words that only describe the next one."""
    tokens = re.findall(r"[a-z]+(?:-[a-z]+)*", theme.lower())
    named, describing = [], []
    for word, following in zip(tokens, [*tokens[1:], ""]):
        if _scene_of(word):
            (describing if _scene_of(following) else named).append(word)
    return named, describing


def _scene_of(word: str) -> str | None:
    """The scene a single word names, if any."""
    first, second = (world.understand(word, Directions(scene=scene)).directions.scene for scene in ("stage", "city"))
    return first if first == second else None


def theme_reason(theme: Theme) -> Reason:
    read = {**asdict(theme.directions), **asdict(theme.directions.look)}
    understood = [f"{name.replace('_', ' ')} {read[name] or 'nobody'}" for name in sorted(theme.said - {"scene"})]
    understood = [f"scene {scene}" for scene in theme.scenes] + understood
    ignored = f"no meaning here: {', '.join(theme.ignored)}" if theme.ignored else "every word was understood"
    choice = ", ".join(understood) or "nothing the stage world can show"
    return Reason(decision="theme", choice=choice, evidence=ignored)


# ---------------------------------------------------------------- where it plays


def read_style(name: str) -> words.Style:
    """Raises InputError for a name that STYLES has not; "" prefers nothing."""
    if name and name not in words.STYLES:
        raise InputError(f"style: expected one of {', '.join(words.STYLES)}, got {name!r}")
    return words.STYLES.get(name, words.Style("as the music says"))


def choose_places(
    sections: list[Section],
    mood: Mood,
    theme: Theme,
    seed: int,
    instrumental: Collection[int] = (),
    ideas: Mapping[str, Idea] | None = None,
    style: words.Style = words.Style(""),
) -> list[Place]:
    """A place for every section: the same for choruses that repeat each other and for all of one role.

    instrumental: indices of the sections nobody sings in. The quiet ones among intros, breaks and outros show a
    landscape, unless the theme keeps them at home. ideas: what a writer proposes, by role; taken where the rules allow.
    """
    roles = roles_of(sections)
    present = list(dict.fromkeys(roles))
    scenes = _scenes_of_roles(present, mood, theme, seed, style)
    ideas = {role: idea for role, idea in (ideas or {}).items() if role in scenes}
    taken = _scenes_taken(scenes, ideas, theme)
    scenes |= taken
    times = _times_of_roles(present, mood, theme, seed, style)
    palettes = (theme.directions.palette,) if "palette" in theme.said else _palettes(mood, seed, style)
    places = []
    for i, (section, role) in enumerate(zip(sections, roles)):
        leaves = role == "away" and not theme.only
        idea = ideas.get(role)
        scene = scenes[role]
        why = _why_idea(idea) if role in taken else _why_scene(role, scene, theme, mood, style)
        if i in instrumental and _is_empty(section) and (leaves or not theme.scenes) and scene not in words.LANDSCAPES:
            scene = _landscape_near(scene)
            why = f"a quiet {section.label} nobody sings in shows a landscape near {the_place(scenes[role])}"
        place = Place(
            scene=scene,
            time=idea.time if idea and "time" not in theme.said else times[role],
            palette=idea.palette
            if idea and "palette" not in theme.said
            else palettes[{"chorus": 1, "drop": 1, "away": 2}.get(role, 0) % len(palettes)],
            reasons=(),
            others=_other_places(scene, role, scenes, theme),
            view=_view(scene, theme),
        )
        places.append(replace(place, reasons=_place_reasons(place, i, role, why, sections, mood, theme, idea)))
    return places


def leave_for_a_drop(place: Place, theme: Theme, time: float, seed: int) -> Place:
    """The abstract place of the one shot that a drop at this time, in seconds, opens; the same where the theme forbids
    it. In a song all drops look alike."""
    if theme.only or len(theme.scenes) > 1 or place.scene in words.ABSTRACT:
        return place
    taken = theme.scenes if set(theme.scenes) < set(words.ABSTRACT) else ()
    scene = in_order({name: 1.0 for name in words.ABSTRACT if name not in taken}, f"{seed}/drop")[0]
    return place.moved(
        scene, f"the music drops at {time:.2f} s and nobody sings: one shot leaves {the_place(place.scene)}"
    )


def roles_of(sections: list[Section]) -> list[str]:
    """The part each section plays: home, chorus, chorus 2, drop, away, verse 2, verse 3.

    A repeat plays the part of what it repeats; but a drop is always a drop, and every verse tells on: home, verse 2,
    verse 3, and round. A chorus that repeats no other is new.
    """
    roles: list[str] = []
    played: dict[tuple[int, str], str] = {}
    verses = choruses = 0
    for i, section in enumerate(sections):
        if section.label == "verse":
            roles.append(words.VERSE_ROLES[verses % len(words.VERSE_ROLES)])
            verses += 1
            continue
        root = section.repeat_of if repeats_earlier(section, i) else i
        key = (root, section.label if section.label in ("chorus", "drop") else "")
        if key not in played:
            if section.label == "chorus":
                choruses += 1
                played[key] = "chorus" if choruses == 1 else f"chorus {choruses}"
            else:
                played[key] = words.ROLE_OF_LABEL[section.label]
        roles.append(played[key])
    return roles


def returns_of(sections: list[Section]) -> list[int]:
    """How often the part of each section has been played before it."""
    roles = roles_of(sections)
    return [roles[:i].count(role) for i, role in enumerate(roles)]


def repeats_earlier(section: Section, index: int) -> bool:
    return section.repeat_of is not None and 0 <= section.repeat_of < index


def _is_empty(section: Section) -> bool:
    return section.label in words.EMPTY_LABELS and section.energy < words.EMPTY_ENERGY


def _scenes_of_roles(roles: list[str], mood: Mood, theme: Theme, seed: int, style: words.Style) -> dict[str, str]:
    """The scene of each role. Several places named: they take turns. One: home and chorus stay there, the others leave
    for kindred places, unless the theme says "only". None: by mood, among the style's places first."""
    if not theme.scenes:
        return _scenes_by_mood(roles, mood, seed, style)
    if theme.only or len(theme.scenes) > 1:
        return {role: theme.scenes[k % len(theme.scenes)] for k, role in enumerate(roles)}
    (home,) = theme.scenes
    kindred = words.KINDRED[home]
    leaving = [role for role in roles if role not in ("home", "chorus", "drop")]
    scenes = {role: kindred[k % len(kindred)] for k, role in enumerate(leaving)}
    return {role: scenes.get(role, home) for role in roles} | _drop_scene(roles, mood, seed, taken={home})


def _scenes_by_mood(roles: list[str], mood: Mood, seed: int, style: words.Style) -> dict[str, str]:
    """A drop is abstract; the others take the mood's scenes, the livelier of the first two goes to the chorus."""
    drop = _drop_scene(roles, mood, seed)
    others = [role for role in roles if role not in drop]
    order = [name for name in ranked(words.SCENE_MOODS, mood, f"{seed}/scenes") if name not in drop.values()]
    order.sort(key=lambda name: bool(style.scenes) and name not in style.scenes)
    if "chorus" in others[:2] and len(others) > 1:
        lively = sorted(order[:2], key=lambda scene: words.SCENE_MOODS[scene][0], reverse=True)
        order[:2] = lively if others[0] == "chorus" else lively[::-1]
    return {role: order[k % len(order)] for k, role in enumerate(others)} | drop


def _other_places(scene: str, role: str, scenes: Mapping[str, str], theme: Theme) -> tuple[str, ...]:
    """Kindred ones, those first where no other part plays; among the theme's places if it names several."""
    if role == "drop":
        return ()
    if theme.only or len(theme.scenes) > 1:
        at = theme.scenes.index(scene) if scene in theme.scenes else 0
        return theme.scenes[at + 1 :] + theme.scenes[:at]
    return tuple(sorted(words.KINDRED[scene], key=lambda name: name in scenes.values()))


def _view(scene: str, theme: Theme) -> str:
    """The landscape an insert shows; the place itself, empty, where the theme keeps the film in its places."""
    if scene in words.LANDSCAPES:
        return scene
    if theme.only or len(theme.scenes) > 1:
        return next((name for name in theme.scenes if name in words.LANDSCAPES), scene)
    return _landscape_near(scene)


def _landscape_near(scene: str) -> str:
    return next(name for name in words.KINDRED[scene] if name in words.LANDSCAPES)


def _times_of_roles(roles: list[str], mood: Mood, theme: Theme, seed: int, style: words.Style) -> dict[str, str]:
    """The mood's hour at home and in the chorus; later in the day where the story goes on."""
    if "time" in theme.said:
        return {role: theme.directions.time for role in roles}
    first = ranked(_preferred(words.TIME_MOODS, style.times), mood, f"{seed}/time")[0]
    hours = [time for time in words.CLOCK if not style.times or time in style.times]
    return {role: hours[(hours.index(first) + words.HOURS_LATER.get(role, 0)) % len(hours)] for role in roles}


def _preferred(table: Mapping[str, tuple[float, float]], names: Collection[str]) -> dict[str, tuple[float, float]]:
    return {name: mood for name, mood in table.items() if not names or name in names}


def _scenes_taken(scenes: Mapping[str, str], ideas: Mapping[str, Idea], theme: Theme) -> dict[str, str]:
    """The scenes of a writer that the rules allow: none against the theme's, a drop abstract, a bridge elsewhere."""
    if theme.only or len(theme.scenes) > 1:
        return {}
    at_home = ("home", "chorus") if theme.scenes else ()
    taken = {role: idea.scene for role, idea in ideas.items() if role not in at_home}
    if taken.get("drop", words.ABSTRACT[0]) not in words.ABSTRACT:
        del taken["drop"]
    told = {**scenes, **taken}
    if told.get("away") in (told.get("home"), told.get("chorus")):
        taken.pop("away", None)
    return taken


def _drop_scene(roles: list[str], mood: Mood, seed: int, taken: Collection[str] = ()) -> dict[str, str]:
    moods = {name: words.SCENE_MOODS[name] for name in words.ABSTRACT if name not in taken}
    return {"drop": ranked(moods, mood, f"{seed}/drop")[0]} if "drop" in roles else {}


def _palettes(mood: Mood, seed: int, style: words.Style) -> tuple[str, ...]:
    """Three palettes of one film: the mood's, the one that lies on its second hue (chorus), the mood's next (away)."""
    names = ranked(_preferred(words.PALETTE_MOODS, style.palettes), mood, f"{seed}/palette")
    home, others = names[0], names[1:]
    second_hue = world.PALETTES[home][1]
    chorus = min(others, key=lambda name: _hue_distance(world.PALETTES[name][0], second_hue))
    away = next((name for name in others if name != chorus), home)
    return home, chorus, away


def _hue_distance(one: float, other: float) -> float:
    apart = abs(one - other) % 1.0
    return min(apart, 1.0 - apart)


def _why_scene(role: str, scene: str, theme: Theme, mood: Mood, style: words.Style) -> str:
    if not theme.scenes:
        if scene in style.scenes:
            return f"the style: {style.meaning}"
        return f"{scene} suits {mood_words(mood)}"
    named = f"the theme names {', '.join(theme.scenes)}" + (" only" if theme.only else "")
    if scene in theme.scenes or role == "drop":
        return named
    return f"{named}; this part leaves it for {scene}"


def _place_reasons(
    place: Place,
    index: int,
    role: str,
    why: str,
    sections: list[Section],
    mood: Mood,
    theme: Theme,
    idea: Idea | None,
) -> tuple[Reason, Reason]:
    section, names = sections[index], section_names(sections)
    meaning = words.ROLE_MEANINGS.get(role, "is a new chorus, in a place of its own")
    part = f"{names[index]} {meaning}"
    if repeats_earlier(section, index):
        part += f"; its music is that of {names[section.repeat_of]}"
    light = [f"the theme names the {name}" for name in ("time", "palette") if name in theme.said]
    if len(light) < 2:
        felt = f"{words.LIGHT_OF_ROLE.get(role, f'the light of {role}')} in {mood_words(mood)}"
        light.append(_why_idea(idea) if idea else felt)
    return (
        Reason(decision="scene", choice=place.scene, evidence=f"{part}; {why}"),
        Reason(decision="light", choice=f"{world.TIMES[place.time]}, {place.palette}", evidence="; ".join(light)),
    )


def the_place(scene: str) -> str:
    """A scene within a sentence."""
    return "outer space" if scene == "space" else f"the {scene}"


def mood_words(mood: Mood) -> str:
    """A dark, lively song (arousal 0.73, valence 0.35)."""
    feel = "dark" if mood.valence < 0.4 else "bright" if mood.valence > 0.6 else "bittersweet"
    drive = "calm" if mood.arousal < 0.4 else "lively" if mood.arousal > 0.6 else "steady"
    return f"a {feel}, {drive} song (arousal {mood.arousal:.2f}, valence {mood.valence:.2f})"


def _why_idea(idea: Idea) -> str:
    return f"the writer proposes it for a {idea.mood} part"
