"""The words the stage world understands: the embedded model was taught these and no others.

One table per kind of word. `describe` turns structured directions into a prompt, `understand` reads any prompt back:
the words it knows win, the rest is ignored and reported, so a plan can say what was understood.
"""

import re
from dataclasses import dataclass, field, replace

# name: phrase in prompts
SCENES = {
    "stage": "concert stage",
    "club": "crowded club",
    "city": "city street",
    "rooftop": "rooftop",
    "road": "open road",
    "desert": "desert",
    "ocean": "ocean shore",
    "forest": "forest",
    "mountains": "snowy mountains",
    "room": "living room",
    "tunnel": "neon tunnel",
    "space": "outer space",
}
TIMES = {"night": "at night", "sunset": "at sunset", "day": "by day"}

# name: (accent hue, second hue) on the colour wheel, 0..1
PALETTES = {
    "crimson": (0.98, 0.10),
    "amber": (0.09, 0.55),
    "lime": (0.24, 0.80),
    "emerald": (0.40, 0.92),
    "cyan": (0.51, 0.95),
    "azure": (0.60, 0.13),
    "violet": (0.74, 0.45),
    "magenta": (0.88, 0.56),
}

# name: RGB 0..255
SKINS = {
    "fair": (246, 210, 182),
    "tan": (219, 166, 124),
    "brown": (165, 108, 72),
    "dark": (112, 72, 50),
}
HAIR_COLORS = {
    "black": (34, 28, 34),
    "brown": (116, 70, 42),
    "blond": (238, 196, 106),
    "red": (206, 62, 48),
    "blue": (70, 120, 214),
    "silver": (196, 200, 210),
}
HAIR_STYLES = {"short": "short", "bob": "bobbed", "long": "long", "bun": "tied-up"}
OUTFITS = {"shirt": "shirt", "dress": "dress", "jacket": "jacket"}
OUTFIT_COLORS = {
    "white": (238, 236, 232),
    "black": (50, 46, 58),
    "red": (220, 54, 58),
    "orange": (240, 138, 44),
    "yellow": (246, 206, 60),
    "green": (60, 178, 96),
    "teal": (44, 176, 178),
    "blue": (60, 112, 224),
    "purple": (146, 84, 214),
    "pink": (244, 118, 172),
}
# name: phrase; None stands for a scene with nobody in it
ACTIONS = {
    "singing": "singing into a microphone",
    "dancing": "dancing",
    "cheering": "cheering with raised arms",
    "guitar": "playing guitar",
    "keys": "playing keys",
    "drums": "playing drums",
}
EMPTY = "nobody in sight"
SIZES = {
    "wide": "wide shot",
    "medium": "medium shot",
    "close": "close-up",
}


@dataclass(frozen=True)
class Look:
    """How a performer looks; every value is a key of the table above of the same name."""

    skin: str = "tan"
    hair_style: str = "short"
    hair_color: str = "black"
    outfit: str = "shirt"
    outfit_color: str = "white"


@dataclass(frozen=True)
class Trait:
    """value: a key of the trait's table, None where it cannot be told; confidence 0..1."""

    value: str | None
    evidence: str
    confidence: float = 0.0


@dataclass(frozen=True)
class PersonReading:
    """traits: by field of Look, all five of them; empty where nobody was found. evidence: what was found, one line."""

    traits: dict[str, Trait]
    evidence: str

    @property
    def told(self) -> dict[str, Trait]:
        """The traits that could be told."""
        return {name: trait for name, trait in self.traits.items() if trait.value is not None}


@dataclass(frozen=True)
class Directions:
    """All that the words of a prompt decide. action None: nobody in sight."""

    scene: str = "stage"
    time: str = "night"
    palette: str = "violet"
    size: str = "medium"
    action: str | None = "singing"
    look: Look = field(default_factory=Look)


@dataclass(frozen=True)
class Understanding:
    """directions, and the words of the prompt that decided nothing."""

    directions: Directions
    ignored: tuple[str, ...]


def describe(directions: Directions) -> str:
    """The canonical prompt; `understand(describe(d)).directions == d`."""
    d, look = directions, directions.look
    place = f"{SIZES[d.size]}, {SCENES[d.scene]} {TIMES[d.time]}, {d.palette} light"
    if d.action is None:
        return f"{place}, {EMPTY}"
    who = (
        f"performer with {look.skin} skin, {HAIR_STYLES[look.hair_style]} {look.hair_color} hair, "
        f"{look.outfit_color} {OUTFITS[look.outfit]}"
    )
    return f"{place}, {who}, {ACTIONS[d.action]}"


# Words that decide nothing, and are nothing to report.
_FILLER = {
    "a", "an", "the", "of", "in", "at", "by", "on", "with", "into", "and", "to", "light", "skin", "hair", "shot",
    "performer", "sight", "raised", "arms", "playing", "living", "open", "outer",
}  # fmt: skip
# Other words people use for the same thing.
_SYNONYMS = {
    "scene": {
        "stage": "stage concert show festival venue spotlight arena",
        "club": "club crowded disco nightclub dancefloor crowd party bar",
        "city": "city street urban downtown road-side town alley traffic",
        "rooftop": "rooftop roof skyline terrace",
        "road": "road highway drive driving car route asphalt",
        "desert": "desert dune dunes canyon cactus western sand",
        "ocean": "ocean sea beach shore island lake waves coast river",
        "forest": "forest woods trees jungle garden nature",
        "mountains": "mountains mountain snow snowy peaks winter alps hills valley",
        "room": "room home house bedroom apartment indoors sofa kitchen studio",
        "tunnel": "tunnel neon corridor portal cyber futuristic geometric",
        "space": "space planet planets cosmos galaxy abstract dream surreal stars",
    },
    "time": {
        "night": "night midnight dark moonlight nocturnal evening",
        "sunset": "sunset dusk dawn sunrise golden twilight",
        "day": "day daylight noon morning sunny bright",
    },
    "palette": {
        "crimson": "crimson scarlet red-light",
        "amber": "amber orange-light warm gold",
        "lime": "lime acid",
        "emerald": "emerald jade",
        "cyan": "cyan turquoise ice",
        "azure": "azure cobalt cold",
        "violet": "violet lavender ultraviolet",
        "magenta": "magenta fuchsia candy",
    },
    "size": {"wide": "wide long-shot full-shot", "medium": "medium waist", "close": "close-up closeup portrait face"},
    "action": {
        "singing": "singing sings sing singer microphone vocal vocals",
        "dancing": "dancing dances dance dancer",
        "cheering": "cheering jumping jumps raised cheer",
        "guitar": "guitar guitarist",
        "keys": "keys keyboard piano synthesizer pianist keyboardist",
        "drums": "drums drum drummer drumming",
    },
}


def _find(words: list[str], used: set[int], table: dict[str, str]) -> str | None:
    lookup = {word: name for name, phrase in table.items() for word in phrase.split()}
    said = next((lookup[word] for word in words if word in lookup), None)
    # Words that say the same again ("city street") are understood too, not ignored.
    used |= {i for i, word in enumerate(words) if said is not None and lookup.get(word) == said}
    return said


def understand(prompt: str, default: Directions = Directions()) -> Understanding:
    """Read a prompt in any wording; what it does not say is taken from `default`.

    Words of a look count only next to their noun ("red hair", "red dress"); the first word of each kind wins.
    """
    words = re.findall(r"[a-z]+(?:-[a-z]+)*", prompt.lower())
    used: set[int] = set()
    said = {kind: _find(words, used, table) for kind, table in _SYNONYMS.items()}
    values = {kind: value for kind, value in said.items() if value is not None}
    look = _read_look(words, used, default.look)
    if re.search(r"\b(nobody|no one|empty|deserted|no performer|no people)\b", prompt.lower()):
        values["action"] = None
        used |= {i for i, w in enumerate(words) if w in ("nobody", "no", "one", "empty", "deserted", "people", "sight")}
    ignored = tuple(dict.fromkeys(w for i, w in enumerate(words) if i not in used and w not in _FILLER))
    return Understanding(replace(default, **values, look=look), ignored)


def _read_look(words: list[str], used: set[int], default: Look) -> Look:
    outfits = {"shirt": "shirt", "t-shirt": "shirt", "top": "shirt", "dress": "dress", "skirt": "dress",
               "gown": "dress", "jacket": "jacket", "coat": "jacket", "hoodie": "jacket", "suit": "jacket"}  # fmt: skip
    styles = {"short": "short", "bobbed": "bob", "bob": "bob", "long": "long", "tied-up": "bun", "bun": "bun"}
    colors = {**{c: c for c in HAIR_COLORS}, "blonde": "blond", "brunette": "brown", "ginger": "red", "grey": "silver"}
    skins = {**{s: s for s in SKINS}, "pale": "fair", "light": "fair", "white": "fair", "black": "dark", "olive": "tan"}
    values: dict[str, str] = {}

    def take(kind: str, table: dict[str, str], i: int) -> None:
        if 0 <= i < len(words) and words[i] in table and kind not in values:
            values[kind] = table[words[i]]
            used.add(i)

    for i, word in enumerate(words):
        if word == "hair":
            for j in (i - 1, i - 2):
                take("hair_color", colors, j)
                take("hair_style", styles, j)
        elif word == "skin":
            take("skin", skins, i - 1)
        elif word in outfits:
            take("outfit", outfits, i)
            take("outfit_color", {c: c for c in OUTFIT_COLORS}, i - 1)
    return replace(default, **values)
