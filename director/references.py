"""The brief's reference images: which picture stands for what.

    look.jpg            the whole film: its light, and the person in it
    cast=face.jpg       who performs
    light=dusk.jpg      the light of the whole film
    chorus=stage.jpg    the light of every chorus; "chorus 2=stage.jpg" of the second
    ocean=beach.jpg     the light by the ocean, where the film then plays too

The light of a picture with no name, or of light=, gives way to a light the theme names; one for a part or a place does
not, and a part goes before a place.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from director.casting import without_names
from director.story import Place, read_theme
from mv.errors import InputError
from mv.schema import LABELS, Brief, Reason, Section
from mv.world import vocabulary as world

WHOLE = ("cast", "light")  # names that stand for the film as a whole
_SECTION = re.compile(rf"({'|'.join(LABELS)})(?: ([1-9]\d*))?")


@dataclass(frozen=True)
class Light:
    """What a picture says of the light: a key of PALETTES, None where it says nothing; evidence: one line."""

    palette: str | None
    evidence: str


def parse_references(texts: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """FILE or NAME=FILE, each name once: the file without a name, if any, and the files by name.

    Raises InputError for a name that nothing here is called by, or a second picture for the same.
    """
    image, references = None, {}
    for text in texts:
        name, file = _split(text)
        if not file:
            raise InputError(f"image: expected FILE or NAME=FILE, got {text!r}")
        if name == "" and image is not None:
            raise InputError(
                f"image: {image} and {file} both stand for the whole film; say what one is for, as in chorus={file}"
            )
        if name in references:
            raise InputError(f"image: {references[name]} and {file} both stand for {name}; give one of them")
        if name:
            references[name] = file
        else:
            image = file
    return image, references


def _split(text: str) -> tuple[str, str]:
    """Name and file; the name is empty where there is none, and where a file has an = in its own name."""
    before, equals, file = text.partition("=")
    name = " ".join(before.lower().split())
    if not equals or (not is_name(name) and Path(text).exists()):
        return "", text
    check_name(name)
    return name, file


def check_name(name: str) -> None:
    """Raises InputError for what no picture can stand for."""
    if not is_name(name):
        known = ", ".join([*WHOLE, *LABELS, *world.SCENES])
        raise InputError(
            f"image: expected one of {known} for what a picture stands for, a section also with its number, "
            f"got {name!r}"
        )


def is_name(name: str) -> bool:
    return name in WHOLE or name in world.SCENES or _SECTION.fullmatch(name) is not None


def check_references(names: Sequence[str], sections: Sequence[Section]) -> None:
    """Raises InputError for a name, and for a section this song does not have."""
    labels = [section.label for section in sections]
    for name in names:
        check_name(name)
        section = _SECTION.fullmatch(name)
        if section and labels.count(section[1]) < int(section[2] or 1):
            count = labels.count(section[1])
            raise InputError(f"image: {name}: this song has {count} sections of the kind {section[1]}")


def with_places(brief: Brief) -> Brief:
    """The brief whose theme also names the places that a picture stands for. Raises InputError where the theme keeps
    the film elsewhere."""
    theme = read_theme(without_names(brief.theme, brief.cast))
    places = [name for name in brief.references if name in world.SCENES and name not in theme.scenes]
    if places and theme.only:
        raise InputError(f"image: {places[0]}: the theme keeps the film in {', '.join(theme.scenes)} only")
    words = " and ".join([*filter(None, [brief.theme.strip()]), *(world.SCENES[name] for name in places)])
    return brief.model_copy(update={"theme": words}) if places else brief


def lit(
    place: Place, lights: Mapping[str, Light], sections: Sequence[Section], index: int, theme_names_light: bool
) -> Place:
    """The place of a shot in the section `index`, in the light of the picture that stands for it, if there is one."""
    label = sections[index].label
    number = [section.label for section in sections[: index + 1]].count(label)
    names = [f"{label} {number}", label, place.scene, *([] if theme_names_light else ["light", ""])]
    name = next((name for name in names if name in lights), None)
    if name is None:
        return place
    light = lights[name]
    whom = "" if name in ("", "light") else f", the reference for {name}"
    if light.palette is None:
        why = Reason(decision="light", choice=place.reasons[1].choice, evidence=f"{light.evidence}{whom}")
    else:
        choice = f"{world.TIMES[place.time]}, {light.palette}"
        why = Reason(decision="light", choice=choice, evidence=f"{light.evidence}{whom}")
    return replace(place, palette=light.palette or place.palette, reasons=(place.reasons[0], why))
