"""What each shot shows and how the camera moves, and why.

Decisions go from the whole to the part: what the theme says; where each section plays and in which light; who
performs; then, shot by shot, action, size, place of the camera, move, transition. Every choice of a shot draws from its
own random stream, named by brief.seed, section and position in the section: a change elsewhere does not reshuffle it.
"""

import hashlib
import random
import re
from bisect import bisect_left
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from typing import TypeVar

from director import vocabulary as words
from director.segmentation import Curves, ShotRange, paces, sections_of
from mv.errors import InputError
from mv.schema import Analysis, Brief, CameraMove, Mood, MoveKind, Reason, Section, ShotSize, Transition
from mv.timing import to_frame, to_seconds
from mv.world import vocabulary as world
from mv.world.vocabulary import Directions, Look, PersonReading

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True)
class Theme:
    """What the user's words decide. said: the fields of Directions and Look they name; scenes: all places they name."""

    directions: Directions
    said: frozenset[str]
    scenes: tuple[str, ...]
    ignored: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """Where a section plays, in which light, and why."""

    scene: str
    time: str
    palette: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True)
class Casting:
    look: Look
    reason: Reason


@dataclass(frozen=True)
class Heard:
    """The music of one shot. seconds: its length; energy, voice 0..1: means over it; beats: how many fall in it."""

    label: str
    seconds: float
    energy: float
    voice: float
    beats: int


@dataclass(frozen=True)
class Setup:
    """One shot as the crew sets it up."""

    directions: Directions
    camera: CameraMove
    transition: Transition
    seed: int
    reasons: tuple[Reason, ...]

    @property
    def size(self) -> ShotSize:
        return ShotSize(self.directions.size)


def set_up(
    ranges: list[ShotRange],
    analysis: Analysis,
    brief: Brief,
    fps: Fraction,
    curves: Curves | None = None,
    person: PersonReading | None = None,
) -> list[Setup]:
    """One Setup per shot range, in order. Raises InputError for a cast the stage world cannot draw."""
    curves = curves or Curves.of(analysis)
    sections = sections_of(analysis)
    theme = read_theme(brief.theme)
    places = choose_places(sections, analysis.mood, theme, brief.seed)
    casting = cast(brief, theme, person)
    pace = paces(sections)
    setups: list[Setup] = []
    for i, shot in enumerate(ranges):
        heard = _listen(shot, sections, pace, analysis, curves, fps)
        before = setups[-1] if setups else None
        setup = _set_up_shot(shot, heard, places[shot.section], casting, theme, before, brief.seed)
        if before:
            setup = _join(setup, ranges[i - 1], shot, pace, fps)
        setups.append(setup)
    if brief.theme.strip() and setups:
        setups[0] = replace(setups[0], reasons=(_theme_reason(theme), *setups[0].reasons))
    return setups


def _set_up_shot(
    shot: ShotRange, heard: Heard, place: Place, casting: Casting, theme: Theme, before: Setup | None, seed: int
) -> Setup:
    stream = f"{seed}/{shot.section}/{shot.position}"
    action, why_action = _choose_action(heard, theme, f"{seed}/{shot.section}")
    size, azimuth, why_size = _choose_size(action, place.scene, theme, before, stream)
    camera, why_camera = _choose_move(size, azimuth, action, heard, before, stream)
    reasons = (
        Reason(decision="boundary", choice=f"frame {shot.start}", evidence=shot.evidence),
        *place.reasons,
        casting.reason,
        *(why_action, why_size, *why_camera),
        Reason(decision="transition", choice="cut", evidence="the cut falls on the beat" if before else "first shot"),
    )
    return Setup(
        directions=Directions(place.scene, place.time, place.palette, size.value, action, casting.look),
        camera=camera,
        transition=Transition(),
        seed=_hash(stream),
        reasons=reasons if action else tuple(r for r in reasons if r.decision != "cast"),
    )


def _listen(
    shot: ShotRange, sections: list[Section], pace: list[float], analysis: Analysis, curves: Curves, fps: Fraction
) -> Heard:
    start, end = to_seconds(shot.start, fps), to_seconds(shot.end, fps)
    return Heard(
        label=sections[shot.section].label,
        seconds=end - start,
        energy=min(max(0.5 * pace[shot.section] + 0.5 * curves.mean("energy", start, end), 0.0), 1.0),
        voice=curves.mean("voice", start, end),
        beats=bisect_left(analysis.beats, end) - bisect_left(analysis.beats, start),
    )


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
    decided = set(scenes) | set(describing)
    return Theme(
        directions=one.directions,
        said=frozenset(said),
        scenes=tuple(dict.fromkeys(_scene_of(word) for word in scenes)),
        ignored=tuple(word for word in one.ignored if word not in decided),
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


def _theme_reason(theme: Theme) -> Reason:
    read = {**asdict(theme.directions), **asdict(theme.directions.look)}
    understood = [f"{name.replace('_', ' ')} {read[name] or 'nobody'}" for name in sorted(theme.said - {"scene"})]
    understood = [f"scene {scene}" for scene in theme.scenes] + understood
    ignored = f"no meaning here: {', '.join(theme.ignored)}" if theme.ignored else "every word was understood"
    choice = ", ".join(understood) or "nothing the stage world can show"
    return Reason(decision="theme", choice=choice, evidence=ignored)


# ---------------------------------------------------------------- where it plays


def choose_places(sections: list[Section], mood: Mood, theme: Theme, seed: int) -> list[Place]:
    """A place for every section: the same for sections that repeat each other, for all choruses, for all of a role."""
    roles = roles_of(sections)
    present = list(dict.fromkeys(roles))
    scenes = theme.scenes or _scenes_by_mood(present, mood, seed)
    times = (theme.directions.time,) if "time" in theme.said else _ranked(words.TIME_MOODS, mood, f"{seed}/time")
    palettes = (theme.directions.palette,) if "palette" in theme.said else _palettes(mood, seed)
    by_role = {
        role: Place(
            scene=scenes[k % len(scenes)],
            time=times[1] if role == "away" and len(times) > 1 else times[0],
            palette=palettes[{"chorus": 1, "away": 2}.get(role, 0) % len(palettes)],
            reasons=(),
        )
        for k, role in enumerate(present)
    }
    return [
        replace(by_role[role], reasons=_place_reasons(by_role[role], i, role, sections, mood, theme))
        for i, role in enumerate(roles)
    ]


def roles_of(sections: list[Section]) -> list[str]:
    """The part each section plays: home, chorus, away, verse 2, verse 3. A repeat plays the part of what it repeats."""
    roles: list[str] = []
    verses = 0
    for i, section in enumerate(sections):
        if _repeats_earlier(section, i):
            roles.append(roles[section.repeat_of])
        elif section.label in words.ROLE_OF_LABEL:
            roles.append(words.ROLE_OF_LABEL[section.label])
        else:
            roles.append(words.VERSE_ROLES[verses % len(words.VERSE_ROLES)])
            verses += 1
    return roles


def _repeats_earlier(section: Section, index: int) -> bool:
    return section.repeat_of is not None and 0 <= section.repeat_of < index


def _scenes_by_mood(roles: list[str], mood: Mood, seed: int) -> tuple[str, ...]:
    """Scenes in the order of `roles`; the livelier of the first two goes to the chorus."""
    ranked = list(_ranked(words.SCENE_MOODS, mood, f"{seed}/scenes"))
    if "chorus" in roles[:2] and len(roles) > 1:
        lively = sorted(ranked[:2], key=lambda scene: words.SCENE_MOODS[scene][0], reverse=True)
        ranked[:2] = lively if roles[0] == "chorus" else lively[::-1]
    return tuple(ranked)


def _palettes(mood: Mood, seed: int) -> tuple[str, ...]:
    """Three palettes of one film: the mood's, the one that lies on its second hue (chorus), the mood's next (away)."""
    ranked = _ranked(words.PALETTE_MOODS, mood, f"{seed}/palette")
    home, others = ranked[0], ranked[1:]
    second_hue = world.PALETTES[home][1]
    chorus = min(others, key=lambda name: _hue_distance(world.PALETTES[name][0], second_hue))
    away = next(name for name in others if name != chorus)
    return home, chorus, away


def _hue_distance(one: float, other: float) -> float:
    apart = abs(one - other) % 1.0
    return min(apart, 1.0 - apart)


def _ranked(moods: Mapping[str, tuple[float, float]], mood: Mood, stream: str, jitter: float = 0.4) -> tuple[str, ...]:
    """Names by nearness to the song's mood, with a seeded jitter so that two films of one mood differ."""
    rng = random.Random(stream)
    far = {n: abs(a - mood.arousal) + abs(v - mood.valence) + jitter * rng.random() for n, (a, v) in moods.items()}
    return tuple(sorted(far, key=far.get))


def _place_reasons(
    place: Place, index: int, role: str, sections: list[Section], mood: Mood, theme: Theme
) -> tuple[Reason, Reason]:
    section = sections[index]
    felt = f"arousal {mood.arousal:.2f}, valence {mood.valence:.2f}"
    part = f"section {index + 1} ({section.label}) plays the {role} part"
    if _repeats_earlier(section, index):
        part += f", it repeats section {section.repeat_of + 1}"
    scene = f"{part}; the theme names {', '.join(theme.scenes)}" if theme.scenes else f"{part}; {felt}"
    light = [f"the theme names the {name}" for name in ("time", "palette") if name in theme.said]
    light += [f"{role} light; {felt}"] if len(light) < 2 else []
    return (
        Reason(decision="scene", choice=place.scene, evidence=scene),
        Reason(decision="light", choice=f"{world.TIMES[place.time]}, {place.palette}", evidence="; ".join(light)),
    )


# ---------------------------------------------------------------- who performs


def cast(brief: Brief, theme: Theme, person: PersonReading | None = None) -> Casting:
    """The performer: brief.cast; else what the theme says of the look, then the reference image, then lots by seed."""
    tables = {"skin": world.SKINS, "hair_style": world.HAIR_STYLES, "hair_color": world.HAIR_COLORS,
              "outfit": world.OUTFITS, "outfit_color": world.OUTFIT_COLORS}  # fmt: skip
    if brief.cast is not None:
        given = {name: getattr(brief.cast, name) for name in tables}
        for name, value in given.items():
            if value not in tables[name]:
                known = ", ".join(tables[name])
                raise InputError(f"cast: {name.replace('_', ' ')}: expected one of {known}, got {value!r}")
        return _casting(Look(**given), f"the brief casts {brief.cast.name}")
    rng = random.Random(f"{brief.seed}/cast")
    drawn = {name: rng.choice(list(table)) for name, table in tables.items()}
    said = {name: getattr(theme.directions.look, name) for name in tables if name in theme.said}
    seen = {name: trait for name, trait in person.told.items() if name not in said} if person else {}
    evidence = [f"the theme says {', '.join(name.replace('_', ' ') for name in said)}"] if said else []
    if person:
        measured = [f"{name.replace('_', ' ')} {trait.value} ({trait.evidence})" for name, trait in seen.items()]
        evidence.append(f"from the reference image: {', '.join(measured) or person.evidence}")
    left = [name.replace("_", " ") for name in tables if name not in said and name not in seen]
    if left:
        evidence.append(f"drawn with seed {brief.seed}" + (f": {', '.join(left)}" if len(left) < len(tables) else ""))
    look = Look(**{**drawn, **{name: trait.value for name, trait in seen.items()}, **said})
    return _casting(look, "; ".join(evidence))


def _casting(look: Look, evidence: str) -> Casting:
    choice = f"{look.skin} skin, {look.hair_style} {look.hair_color} hair, {look.outfit_color} {look.outfit}"
    return Casting(look, Reason(decision="cast", choice=choice, evidence=evidence))


# ---------------------------------------------------------------- shot by shot


def _choose_action(heard: Heard, theme: Theme, stream: str) -> tuple[str | None, Reason]:
    """Singing only where a voice sounds; else by energy. One stream a section, so that a section keeps its action."""
    voice = f"voice {heard.voice:.2f}, energy {heard.energy:.2f}"
    wanted = theme.directions.action if "action" in theme.said else "any"
    if wanted is None:
        action, evidence = None, f"the theme wants nobody in sight; {voice}"
    elif heard.voice >= words.VOICE_ACTIVE:
        action, evidence = "singing", f"{voice}: a voice sounds (from {words.VOICE_ACTIVE:.2f})"
    elif wanted in words.ACTIONS_WITHOUT_VOICE:
        action, evidence = wanted, f"the theme names {wanted}; {voice}, nobody sings"
    elif heard.label in words.EMPTY_LABELS and heard.energy < words.EMPTY_ENERGY:
        action, evidence = None, f"{voice}: a quiet {heard.label} without a voice"
    else:
        weights = {name: _fit(heard.energy, at) for name, at in words.ACTIONS_WITHOUT_VOICE.items()}
        action = _in_order(weights, f"{stream}/action")[0]
        evidence = f"{voice}: no voice, and {action} suits energy {words.ACTIONS_WITHOUT_VOICE[action]:.2f}"
    return action, Reason(decision="action", choice=action or world.EMPTY, evidence=evidence)


def _choose_size(
    action: str | None, scene: str, theme: Theme, before: Setup | None, stream: str
) -> tuple[ShotSize, float, Reason]:
    """Size and azimuth. In one scene a cut changes the size or the angle by at least 30 degrees."""
    same_scene = before is not None and before.directions.scene == scene
    weights = dict(words.SIZES_FOR_ACTION[action])
    if "size" in theme.said and ShotSize(theme.directions.size) in weights:
        weights[ShotSize(theme.directions.size)] *= 3
    if same_scene and before.size in weights and len(weights) > 1:
        weights[before.size] *= 0.3 if action else 1.0
    if not same_scene:
        weights[ShotSize.wide] *= 3  # a new place is shown before its details
    size = _in_order(weights, f"{stream}/size")[0]
    azimuths = _in_order(words.AZIMUTHS, f"{stream}/azimuth")
    if same_scene and before.size == size:
        azimuths = [a for a in azimuths if abs(a - before.camera.azimuth) >= words.CUT_ANGLE]
    evidence = f"{action or 'nobody'} in the picture" + ("" if same_scene else "; a new place opens wide more often")
    if same_scene:
        turn = abs(azimuths[0] - before.camera.azimuth)
        evidence += f"; after a {before.size} shot here, camera {turn:.0f}° round"
    return size, azimuths[0], Reason(decision="size", choice=f"{size}, at {azimuths[0]:+.0f}°", evidence=evidence)


def _choose_move(
    size: ShotSize, azimuth: float, action: str | None, heard: Heard, before: Setup | None, stream: str
) -> tuple[CameraMove, tuple[Reason, ...]]:
    """Never the move of the shot before nor its reverse. Amount by length and energy, beat coupling by energy."""
    family = _family(before.camera.kind) if before else None
    weights = {k: _move_weight(k, size, action, heard) for k in words.MOVES if _family(k) != family}
    kind = _in_order(weights, f"{stream}/move")[0]
    # A long shot may travel farther; the sway of a shoulder does not grow with time.
    time_share = 1.0 if kind == MoveKind.handheld else min(max(heard.seconds / 3, 0.4), 1.2)
    amount = round(time_share * (0.5 + 0.7 * heard.energy), 3)
    beat = round(min(max((heard.energy - 0.2) / 0.6, 0.0), 1.0), 3) if heard.beats else 0.0
    move = CameraMove(
        kind=kind, amount=amount, beat=beat, azimuth=azimuth, easing="smooth" if heard.seconds >= 2 else "linear"
    )
    music = f"{heard.label}, energy {heard.energy:.2f}, {heard.seconds:.2f} s"
    suits = f"{words.MOVES[kind].meaning}; suits energy {words.MOVES[kind].energy:.2f}"
    suits += f" and a {heard.label}" if kind in words.MOVES_FOR_LABEL[heard.label] else ""
    return move, (
        Reason(decision="move", choice=f"{kind}, amount {amount:.2f}", evidence=f"{music}; {suits}"),
        Reason(
            decision="beat", choice=f"push {beat:.2f}", evidence=f"energy {heard.energy:.2f}, {heard.beats} beats in it"
        ),
    )


def _move_weight(kind: MoveKind, size: ShotSize, action: str | None, heard: Heard) -> float:
    family = _family(kind)
    weight = _fit(heard.energy, words.MOVES[kind].energy) * words.RARITY.get(family, 1.0)
    if kind in words.MOVES_FOR_LABEL[heard.label]:
        weight *= words.LABEL_BOOST
    if kind == MoveKind.static:
        weight *= words.STILL_SHARE
    if (size == ShotSize.close and family in words.UNSTEADY_CLOSE) or (not action and family in words.NEEDS_SOMEBODY):
        weight *= words.MISFIT_SHARE
    return weight


def _family(kind: MoveKind) -> str:
    """The kind without its direction: pan of "pan left"."""
    return str(kind).split()[0]


def _join(setup: Setup, before: ShotRange, shot: ShotRange, pace: list[float], fps: Fraction) -> Setup:
    """A crossfade where a calm section begins, or where there is no beat to cut on; else the cut stays."""
    change = before.section != shot.section
    calm = (pace[before.section] + pace[shot.section]) / 2 if change else 1.0
    if shot.beat is not None and calm >= words.CALM:
        return setup
    shorter = min(before.end - before.start, shot.end - shot.start)
    length = min(to_frame(words.CROSSFADE_SECONDS, fps), shorter // 2)
    transition = Transition(kind="crossfade", in_offset=length // 2, out_offset=length - length // 2)
    evidence = f"a calm change of section, pace {calm:.2f}" if shot.beat is not None else "no beat to cut on"
    why = Reason(decision="transition", choice=f"crossfade of {length} frames", evidence=evidence)
    return replace(setup, transition=transition, reasons=(*setup.reasons[:-1], why))


# ---------------------------------------------------------------- drawing lots


def _fit(energy: float, suited: float, width: float = 0.25) -> float:
    """How well a choice suits an energy: 1 at its own, falling to both sides, never 0."""
    return max(0.01, 1 - (abs(energy - suited) / (2 * width)) ** 2)


def _in_order(weights: Mapping[Name, float], stream: str) -> list[Name]:
    """Names in a seeded order, heavier ones earlier: keys u^(1/w), Efraimidis and Spirakis 2006."""
    rng = random.Random(stream)
    keys = {name: rng.random() ** (1 / weight) for name, weight in weights.items()}
    return sorted(keys, key=keys.get, reverse=True)


def _hash(stream: str) -> int:
    """A seed of 32 bits, the same on every machine."""
    return int.from_bytes(hashlib.sha256(stream.encode()).digest()[:4], "big")
