"""What is known of a shot before it is set up, and the shot as the crew sets it up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from director import vocabulary as words
from director.casting import Performer
from director.references import Light
from director.story import Theme
from mv.schema import CameraMove, MoveKind, Reason, Section, ShotSize, Transition
from mv.world.vocabulary import Directions


@dataclass(frozen=True)
class Heard:
    """The music of one shot.

    label, role: of its section; seconds: its length; energy, voice 0..1: means over it; beats: how many fall in it;
    returns: how often this chorus or drop has been before; position: which shot of its section this is, from 0; pace
    0..1 of the section; sung: whether the section is; bars: since this part began; opens, closes: whether it is the
    film's first or last shot.
    """

    label: str
    role: str
    seconds: float
    energy: float
    voice: float
    beats: int
    returns: int
    position: int
    pace: float
    sung: bool
    bars: float
    opens: bool = False
    closes: bool = False

    @property
    def grown(self) -> float:
        """The energy the picture is given, 0..1: a chorus that comes back grows."""
        return min(self.energy + min(words.GROWTH * self.returns, words.MAX_GROWTH), 1.0)

    @property
    def sings(self) -> bool:
        return self.voice >= (words.VOICE_ACTIVE if self.sung else words.VOICE_ALONE)

    @property
    def camera_label(self) -> str:
        """Whose moves suit the shot: the film's first and last shots open and close it whatever the section is."""
        return "intro" if self.opens else "outro" if self.closes else self.label


@dataclass(frozen=True)
class Film:
    """What holds for all shots: the user's words, the style, the performers, the lead first, width / height, the seed,
    the song's sections, the light of the reference images."""

    theme: Theme
    style: words.Style
    performers: Sequence[Performer]
    aspect: float
    seed: int
    sections: Sequence[Section]
    lights: Mapping[str, Light]


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

    @property
    def framing(self) -> str:
        """The name in FRAMINGS whose distance is nearest."""
        return framing_of(self.size, self.camera)


def framing_of(size: ShotSize, camera: CameraMove) -> str:
    """The film's name of a shot's size, a key of FRAMINGS."""
    names = [name for name, framing in words.FRAMINGS.items() if framing.size == size]
    return min(names, key=lambda name: abs(words.FRAMINGS[name].distance - camera.framing))


def move_family(kind: MoveKind) -> str:
    """The kind without its direction, pan of "pan left", and of those that feel alike the one name."""
    name = str(kind).split()[0]
    return words.FAMILIES.get(name, name)
