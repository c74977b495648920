"""Who performs: the brief's cast, else the person the theme and the reference image show, else lots.

    Mira: long red hair, green dress
    Tom: short black hair, black jacket

One performer a line, the lead first. The name holds no colon; the looks are words for skin, hair (colour, cut) and
clothes (shirt, dress or jacket, with a colour), those that the stage world knows; what they leave open is drawn by
lots.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from director import vocabulary as words
from director.story import Theme, read_theme
from mv.errors import InputError
from mv.schema import Brief, Cast, Reason
from mv.world import vocabulary as world
from mv.world.vocabulary import Look, PersonReading

TABLES = {
    "skin": world.SKINS, "hair_style": world.HAIR_STYLES, "hair_color": world.HAIR_COLORS,
    "outfit": world.OUTFITS, "outfit_color": world.OUTFIT_COLORS,
}  # fmt: skip
APART = ("hair_color", "outfit_color")  # what performers differ in, so that they are not taken for each other
MAX_CAST = 4
MAX_LOOKS = 200  # characters
# How looks are often said, and the same with the noun that makes a colour or a cut a look.
PLAIN = {r"\b(\w+)[- ]haired\b": r"\1 hair", r"\b(\w+)[- ]skinned\b": r"\1 skin", r"\bredhead\b": "red hair"}
_NAME = re.compile(r"[^\W\d_][\w .'’-]{0,39}")


@dataclass(frozen=True)
class Performer:
    """name: "" where the brief gives none."""

    name: str
    look: Look
    reason: Reason


# ---------------------------------------------------------------- the brief's words


def parse_cast(text: str) -> list[Cast]:
    """NAME: LOOKS, one a line; empty lines are skipped. Raises InputError with line and column."""
    cast: list[Cast] = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        one = _parse_one(line, number)
        if one.name.casefold() in (other.name.casefold() for other in cast):
            raise _error(number, line, line.index(one.name[0]), "another name: this one is in the cast already")
        if len(cast) == MAX_CAST:
            raise _error(number, line, 0, f"at most {MAX_CAST} performers")
        cast.append(one)
    return cast


def print_cast(cast: Sequence[Cast]) -> str:
    """Text that parses to the same cast."""
    return "\n".join(f"{one.name}: {one.looks}" for one in cast)


def _parse_one(line: str, number: int) -> Cast:
    before, colon, after = line.partition(":")
    name, looks = " ".join(before.split()), " ".join(after.split())
    start = len(before) - len(before.lstrip())
    if not name:
        raise _error(number, line, start, "a name, as in Mira: long red hair, green dress")
    if not (fits := _NAME.fullmatch(name)):
        allowed = _NAME.match(name)
        at = start + (allowed.end() if allowed else 0)
        raise _error(number, line, at, "a name of at most 40 letters, digits and spaces, a letter first")
    if not colon:
        raise _error(number, line, len(line.rstrip()), ": and the looks, as in Mira: long red hair, green dress")
    at = len(before) + 1 + len(after) - len(after.lstrip())
    if len(looks) > MAX_LOOKS:
        raise _error(number, line, at + MAX_LOOKS, f"at most {MAX_LOOKS} characters of looks")
    if not _traits(_read_looks(looks)):
        raise _error(number, line, at, "skin, hair or clothes, as in dark skin, long red hair, green dress")
    return Cast(name=fits[0], looks=looks)


def _error(number: int, line: str, at: int, expected: str) -> InputError:
    got = repr(line[at : at + 20]) if at < len(line) else "the end"
    return InputError(f"cast: line {number}, column {at + 1}: expected {expected}, got {got}")


def without_names(text: str, cast: Sequence[Cast]) -> str:
    """The text without the performers' names, which are no words for a place or a look."""
    for one in cast:
        text = re.sub(rf"\b{re.escape(one.name)}(?:['’]s)?\b", "", text)
    return text


def named_in(text: str, cast: Sequence[Cast]) -> str | None:
    """The performer whose name stands first in the text."""
    found = {one.name: re.search(rf"\b{re.escape(one.name)}\b", text) for one in cast}
    there = {name: match.start() for name, match in found.items() if match}
    return min(there, key=there.get, default=None)


# ---------------------------------------------------------------- who it is


def choose_cast(
    brief: Brief, theme: Theme, person: PersonReading | None = None, duration: float = 0.0
) -> tuple[Performer, ...]:
    """The performers, the lead first. The lead looks as brief.cast says; else as the theme does, then as the person in
    the reference image, then by lots; the others as brief.cast says, then by lots.

    duration: seconds of the song; it joins the seed, so that another song has another singer.
    """
    stream = f"{brief.seed}/{round(1000 * duration)}/cast"
    performers: list[Performer] = []
    for given in brief.cast or [None]:
        lead = not performers
        own = _read_looks(given.looks) if given else None
        evidence, looks = [], {}
        if own is not None:
            looks = _traits(own)
            evidence.append(f"the brief says {_told(looks)}{_not_told(own)}")
        if lead:
            said = {name: value for name, value in _traits(theme).items() if name not in looks}
            looks |= said
            evidence += [f"the theme says {_told(said)}"] if said else []
            evidence += _seen(person, looks)
        drawn = _drawn(f"{stream}/{given.name}" if given and not lead else stream, performers)
        left = [name.replace("_", " ") for name in TABLES if name not in looks]
        if left:
            which = f": {', '.join(left)}" if len(left) < len(TABLES) else ""
            evidence.append(f"drawn for this song with seed {brief.seed}{which}")
        performers.append(_performer(given.name if given else "", Look(**{**drawn, **looks}), "; ".join(evidence)))
    return tuple(performers)


def _read_looks(looks: str) -> Theme:
    for pattern, plain in PLAIN.items():
        looks = re.sub(pattern, plain, looks, flags=re.IGNORECASE)
    return read_theme(looks)


def _traits(read: Theme) -> dict[str, str]:
    """The fields of Look that the words decide."""
    return {name: getattr(read.directions.look, name) for name in TABLES if name in read.said}


def _told(traits: dict[str, str]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in traits.items())


def _not_told(read: Theme) -> str:
    """The words of a look that say nothing of it."""
    unused = [*read.ignored, *read.scenes, *([read.directions.action] if "action" in read.said else [])]
    return f" (no meaning here: {', '.join(unused)})" if unused else ""


def _seen(person: PersonReading | None, looks: dict[str, str]) -> list[str]:
    """What of the looks the reference image decides, written into them; the evidence."""
    if person is None:
        return []
    seen = {name: trait for name, trait in person.told.items() if name not in looks}
    looks |= {name: trait.value for name, trait in seen.items()}
    measured = [f"{name.replace('_', ' ')} {trait.value} ({trait.evidence})" for name, trait in seen.items()]
    return [f"from the reference image: {', '.join(measured) or person.evidence}"]


def _drawn(stream: str, others: Sequence[Performer]) -> dict[str, str]:
    """A look by lots, unlike the others'."""
    rng, drawn = random.Random(stream), {}
    for name, table in TABLES.items():
        taken = [getattr(other.look, name) for other in others] if name in APART else []
        drawn[name] = rng.choice([value for value in table if value not in taken])
    return drawn


def _performer(name: str, look: Look, evidence: str) -> Performer:
    hair = f"{world.HAIR_STYLES[look.hair_style]} {look.hair_color} hair"
    choice = f"{f'{name}: ' if name else ''}{look.skin} skin, {hair}, {look.outfit_color} {look.outfit}"
    return Performer(name, look, Reason(decision="cast", choice=choice, evidence=evidence))


# ---------------------------------------------------------------- who is in the shot


def performer_of(
    performers: Sequence[Performer], role: str, action: str | None, position: int, sung: bool, asked: str | None = None
) -> tuple[Performer, Reason | None]:
    """Who a shot shows, and why where there is a choice: the one asked for by name; the lead sings at home and in the
    choruses, the others the parts the story moves on to, in turn. Where nobody sings, the others take turns; in an
    instrumental part all do.

    role: of the section, see director.story.roles_of. position: of the shot in its section. sung: whether that is.
    """
    lead, *others = performers
    if not others:
        return lead, None
    if asked is not None:
        chosen, why = next(one for one in performers if one.name == asked), "the brief asks for them"
    elif action != "singing":
        turns = others if sung else performers
        chosen = turns[position // words.ACT_CHANGE % len(turns)]
        why = f"{lead.name} rests between the lines, the others take turns" if sung else "an instrumental part: in turn"
    elif role in words.ROLES_OF_OTHERS:
        chosen = others[words.ROLES_OF_OTHERS.index(role) % len(others)]
        why = f"{lead.name} sings at home and in the choruses, the others take turns in the other parts"
    else:
        chosen, why = lead, "the lead sings at home and in the choruses"
    return chosen, Reason(decision="performer", choice=chosen.name, evidence=why)
