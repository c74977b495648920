"""The documents of the project: Analysis, Timeline, Take. Versioned, validated JSON.

Music keeps float seconds; film keeps integer frames, intervals are half open. Documents are immutable: an edit makes a
new one (see mv/ui/edits.py). Unknown versions and broken files are refused with the reason.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from mv.errors import InputError, cannot_write
from mv.timing import parse_fps, to_frame

Fps = Annotated[
    Fraction,
    BeforeValidator(parse_fps),
    PlainSerializer(lambda fps: f"{fps.numerator}/{fps.denominator}", return_type=str),
]

# The columns of Analysis.features and of what the model hears, in this order. 0..1 but for the phases (-1..1).
# `mouth` is the opening of a singer's mouth: 0 where nobody sings.
CURVES = ("low", "mid", "high", "onset", "energy", "voice", "mouth", "brightness")
# Sine and cosine of the beat count with these periods in beats, appended after the curves.
PHASE_PERIODS = (1, 2, 4, 8)
AUDIO_FEATURES = CURVES + tuple(f"{fn}{period}" for period in PHASE_PERIODS for fn in ("sin", "cos"))


class Document(BaseModel):
    """upgrades: what makes version 2 of a file's content from version 1, version 3 from 2 ...: old files are read for
    good. A change of the format adds one at the end; none is ever changed."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    upgrades: ClassVar[tuple[Callable[[dict], dict], ...]] = ()

    def save(self, path: str | Path) -> None:
        """Write JSON atomically: a temporary file beside the target, fsync, rename. Raises OutputError."""
        write_atomically(Path(path), (self.model_dump_json(indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Raises InputError naming the file and the first thing wrong with it."""
        path = Path(path)
        kind = cls.__name__.lower()
        try:
            return cls.model_validate_json(cls._upgraded(path.read_bytes()))
        except OSError as error:
            raise InputError(f"{path}: cannot read the {kind} file: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "top level"
            raise InputError(f"{path}: not a valid {kind} file: {where}: {first['msg']}") from None
        except InputError as error:  # a field's own rule, such as parse_fps
            raise InputError(f"{path}: not a valid {kind} file: {error}") from None

    @classmethod
    def _upgraded(cls, content: bytes) -> bytes:
        """Of this program's version. What is no document at all is left as it is: validation says what is wrong."""
        try:
            said = json.loads(content)
        except (ValueError, RecursionError):
            return content
        version, newest = said.get("version") if isinstance(said, dict) else None, len(cls.upgrades) + 1
        if type(version) is not int or version == newest or version < 1:
            return content
        if version > newest:
            raise InputError(
                f"version: it was made by a newer MV Studio (version {version}, this program reads up to {newest}): "
                "update the program"
            )
        for upgrade in cls.upgrades[version - 1 :]:
            said = upgrade(said)
        return json.dumps(said | {"version": newest}).encode()


def write_atomically(path: Path, content: bytes) -> None:
    """All of the content or nothing: never a half file. Raises OutputError."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from None


# ---------------------------------------------------------------- what the program hears

LABELS = ("intro", "verse", "chorus", "bridge", "drop", "break", "outro")


class Section(Document):
    """start and duration in seconds. `repeat_of` is the index of the earlier section this one repeats, if any.

    form: the music as a letter, A, B ..., with one prime per earlier appearance: A, B, A', A''; "" where unknown.
    """

    start: float = Field(ge=0)
    duration: float = Field(gt=0)
    label: Literal[LABELS]
    repeat_of: int | None = None
    form: str = ""
    energy: float = Field(0.5, ge=0, le=1)

    @property
    def end(self) -> float:
        return self.start + self.duration


class Mood(Document):
    """Proxies from signal features, not a claim about feelings: both 0..1."""

    arousal: float = Field(0.5, ge=0, le=1)
    valence: float = Field(0.5, ge=0, le=1)


class Event(Document):
    """A passage to direct to, start and end in seconds: the music builds up, drops, or breaks off for some bars.

    A drop ends a bar after it comes: what matters is where it starts.
    """

    kind: Literal["build-up", "drop", "break"]
    start: float = Field(ge=0)
    end: float = Field(ge=0)


class LyricWord(Document):
    start: float = Field(ge=0)
    end: float = Field(ge=0)
    text: str


class LyricLine(Document):
    """words: times of the single words where the lyrics file has them."""

    start: float = Field(ge=0)
    end: float = Field(ge=0)
    text: str
    words: list[LyricWord] = []


def _with_mouth(content: dict) -> dict:
    """Version 1 did not tell the singer's mouth from the voice everywhere."""
    features = content.get("features")
    if isinstance(features, dict) and "voice" in features:
        features.setdefault("mouth", features["voice"])
    return content


class Analysis(Document):
    """Everything heard in a song. Times in seconds from the first decoded sample.

    features: one list per name in CURVES, all of one length, sampled at `feature_rate` Hz, value i at time
    i / feature_rate. Use `on_grid` to read them on a film's frames.
    """

    upgrades: ClassVar = (_with_mouth,)
    version: Literal[2] = 2
    title: str = ""
    duration: float = Field(gt=0)
    tempo: float = Field(ge=0, description="beats per minute, 0 where no beat was found")
    tempo_confidence: float = Field(1.0, ge=0, le=1)
    beats: list[float]
    downbeats: list[float]
    beat_confidence: list[float] = Field([], description="0..1 per beat; empty in older files: unknown")
    sections: list[Section]
    events: list[Event] = []
    accents: list[float] = Field([], description="seconds of single hits that neither arc nor metre explain")
    key: str = ""
    mood: Mood = Mood()
    lyrics: list[LyricLine] = []
    feature_rate: float = Field(gt=0)
    features: dict[str, list[float]]
    notes: list[str] = Field([], description="what the listener should know, e.g. that no beat was found")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if any(b <= a for a, b in zip(self.beats, self.beats[1:])):
            raise ValueError("beats must increase")
        if not set(self.downbeats) <= set(self.beats):
            raise ValueError("every downbeat must be one of the beats")
        if self.beat_confidence and len(self.beat_confidence) != len(self.beats):
            raise ValueError("beat_confidence must have one value per beat, or none")
        if set(self.features) != set(CURVES):
            raise ValueError(f"features must be exactly {', '.join(CURVES)}")
        if len({len(curve) for curve in self.features.values()}) != 1:
            raise ValueError("feature curves must have one length")
        return self

    def section_at(self, time: float) -> int:
        """Index of the section that holds a time; the last one at and after the end."""
        starts = [section.start for section in self.sections]
        return max(0, int(np.searchsorted(starts, time + 1e-9, side="right")) - 1)

    def beat_position(self, times: np.ndarray) -> np.ndarray:
        """Beat count (float, beat k of the song = k) at times in seconds; outside it runs on at the nearest tempo."""
        beats = np.asarray(self.beats)
        if len(beats) < 2:
            return times * (self.tempo or 60.0) / 60.0
        before, after = beats[1] - beats[0], beats[-1] - beats[-2]
        knots = np.concatenate([[beats[0] - 4096 * before], beats, [beats[-1] + 4096 * after]])
        counts = np.concatenate([[-4096], np.arange(len(beats)), [len(beats) - 1 + 4096]])
        return np.interp(times, knots, counts)

    def on_grid(self, fps: Fraction, start: int, num_frames: int) -> np.ndarray:
        """What the model hears on video frames [start, start + num_frames): (num_frames, len(AUDIO_FEATURES)) float32.

        Each frame reads the curves at its own absolute time, so nothing drifts at any fps or length.
        """
        times = np.arange(start, start + num_frames) / float(fps)
        grid = np.arange(len(self.features["low"])) / self.feature_rate
        curves = [np.interp(times, grid, self.features[name]) for name in CURVES]
        return with_phases(np.stack(curves, 1), self.beat_position(times))


def with_phases(curves: np.ndarray, beat_position: np.ndarray) -> np.ndarray:
    """Append the beat phases: (f, len(CURVES)), (f,) -> (f, len(AUDIO_FEATURES)) float32."""
    angles = 2 * np.pi * beat_position[:, None] / np.asarray(PHASE_PERIODS)
    phases = np.stack([np.sin(angles), np.cos(angles)], 2).reshape(len(angles), -1)
    return np.concatenate([curves, phases], 1).astype(np.float32)


# ---------------------------------------------------------------- what the director wants


class ShotSize(StrEnum):
    wide = "wide"
    medium = "medium"
    close = "close"


class MoveKind(StrEnum):
    static = "static"
    pan_left = "pan left"
    pan_right = "pan right"
    tilt_up = "tilt up"
    tilt_down = "tilt down"
    dolly_in = "dolly in"
    dolly_out = "dolly out"
    truck_left = "truck left"
    truck_right = "truck right"
    pedestal_up = "pedestal up"
    pedestal_down = "pedestal down"
    crane_up = "crane up"
    crane_down = "crane down"
    orbit_left = "orbit left"
    orbit_right = "orbit right"
    zoom_in = "zoom in"
    zoom_out = "zoom out"
    push_in = "push-in"
    dolly_zoom_in = "dolly-zoom in"
    dolly_zoom_out = "dolly-zoom out"
    whip_left = "whip-pan left"
    whip_right = "whip-pan right"
    roll_left = "roll left"
    roll_right = "roll right"
    handheld = "handheld"


class Keyframe(Document):
    """A camera pose at a moment of the shot (0 its first frame, 1 its last). Metres and degrees; y up; the performer
    stands at the origin and faces +z; yaw 0 looks along -z. focal is in picture widths."""

    at: float = Field(ge=0, le=1)
    position: tuple[float, float, float]
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    focal: float = Field(1.15, gt=0.2, le=8)


class CameraMove(Document):
    """amount 1 is the move as a director would mean it, 0.5 half of it. beat 0..1: how much the music moves the camera,
    accent: how: a push of the lens on every beat (pulse) or every downbeat (push), or a sway from side to side with the
    bars. Explicit keyframes override kind, amount, framing and lens."""

    kind: MoveKind = MoveKind.static
    amount: float = Field(1.0, ge=0, le=2)
    easing: Literal["linear", "smooth"] = "smooth"
    beat: float = Field(0.0, ge=0, le=1)
    accent: Literal["pulse", "push", "sway"] = "pulse"
    framing: float = Field(1.0, ge=0.5, le=2, description="distance, in units of the shot size's own; below 1 tighter")
    lens: float = Field(
        1.0, ge=0.5, le=2, description="focal length, in units of the standard 41 mm; the performer keeps their size"
    )
    azimuth: float = Field(0.0, ge=-60, le=60, description="where round the performer the shot stands, degrees")
    keyframes: list[Keyframe] = []


class TransitionKind(StrEnum):
    cut = "cut"
    crossfade = "crossfade"
    dip_to_black = "dip to black"
    dip_to_white = "dip to white"
    flash = "flash"


@dataclass(frozen=True)
class TransitionLook:
    """veil: RGB of the colour that covers both shots, None where there is none. after_cut: all of it lies after the
    cut. seconds: its usual length."""

    veil: tuple[int, int, int] | None = None
    after_cut: bool = False
    seconds: float = 0.0


TRANSITIONS = {
    TransitionKind.cut: TransitionLook(),
    TransitionKind.crossfade: TransitionLook(seconds=0.5),
    TransitionKind.dip_to_black: TransitionLook(veil=(0, 0, 0), seconds=1.0),
    TransitionKind.dip_to_white: TransitionLook(veil=(255, 255, 255), seconds=0.8),
    TransitionKind.flash: TransitionLook(veil=(255, 255, 255), after_cut=True, seconds=0.25),
}


MAX_OFFSET = 240  # frames of a transition on one side of its cut


class Transition(Document):
    """How a shot begins, by in_offset frames before the cut and out_offset after it.

    A crossfade mixes the two shots there. A dip covers the old shot with its colour up to the cut and uncovers the new
    one after it; a flash only uncovers: neither needs a frame more of a shot, and the cut stays where it is.
    """

    kind: TransitionKind = TransitionKind.cut
    in_offset: int = Field(0, ge=0, le=MAX_OFFSET)
    out_offset: int = Field(0, ge=0, le=MAX_OFFSET)

    @model_validator(mode="after")
    def _has_length(self) -> Self:
        if self.kind == "cut" and (self.in_offset or self.out_offset):
            raise ValueError("a cut has no length")
        if self.kind != "cut" and not self.in_offset + self.out_offset:
            raise ValueError(f"a {self.kind} needs at least one frame")
        if self.look.after_cut and self.in_offset:
            raise ValueError(f"a {self.kind} begins on the cut: its in_offset is 0")
        return self

    @property
    def look(self) -> TransitionLook:
        return TRANSITIONS[self.kind]

    @property
    def handles(self) -> tuple[int, int]:
        """Frames that the new shot's take needs before the cut, and the old one's after it."""
        return (self.in_offset, self.out_offset) if self.kind == "crossfade" else (0, 0)

    def cover(self, frame: int) -> float:
        """How much the veil covers a frame counted from the cut, 0..1: all of the frames next to the cut, less and less
        away from it."""
        if self.look.veil is None or not -self.in_offset <= frame < self.out_offset:
            return 0.0
        return 1 - frame / self.out_offset if frame >= 0 else 1 + (frame + 1) / self.in_offset


class Reason(Document):
    """Why: the decision (boundary, size, move, scene, ...), the choice made, and the musical evidence it rests on."""

    decision: str
    choice: str
    evidence: str


class Take(Document):
    """One rendering of one shot: never overwritten. `key` hashes all that could change a pixel. The file holds the
    shot's frames with its handles (see Shot.span)."""

    key: str
    file: str
    model: str
    num_frames: int = Field(gt=0)
    seconds: float = Field(ge=0, description="computing time")
    measurements: dict[str, float] = {}


class Shot(Document):
    """One continuous camera. start and duration in frames; the prompt is what the model reads."""

    id: str
    start: int = Field(ge=0)
    duration: int = Field(gt=0)
    section: int = Field(ge=0, description="index into the analysis' sections")
    size: ShotSize = ShotSize.medium
    prompt: str
    camera: CameraMove = CameraMove()
    transition: Transition = Transition()
    reference: str | None = Field(None, description="image file the shot starts from")
    seed: int = Field(0, ge=0, lt=2**32)
    locked: bool = False
    takes: list[Take] = []
    chosen: str | None = Field(None, description="key of the chosen take; the newest one if none is chosen")
    reasons: list[Reason] = []
    planned: str | None = Field(None, description="fingerprint of the shot as the director made it; see `edited`")

    @property
    def end(self) -> int:
        return self.start + self.duration

    @property
    def fingerprint(self) -> str:
        """Hash of what the director decides: where the shot stands and what it shows."""
        decided = {"start", "duration", "size", "prompt", "camera", "transition", "reference", "seed"}
        # Without defaults, so that a field added to the schema makes no old shot look edited.
        text = json.dumps(self.model_dump(mode="json", include=decided, exclude_defaults=True), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def edited(self) -> bool:
        """Whether somebody changed the shot after the director; False where the plan does not tell."""
        return self.planned is not None and self.planned != self.fingerprint


class Cast(Document):
    """A performer of the brief: looks in the user's words, see director/casting.py."""

    name: str
    looks: str


class Brief(Document):
    """What the user asked for."""

    theme: str = ""
    style: str = Field("", description="a key of STYLES in director/vocabulary.py; empty: the music alone decides")
    image: str | None = Field(None, description="the reference image of the whole film")
    references: dict[str, str] = Field({}, description="others by what they stand for, see director/references.py")
    cast: list[Cast] = Field([], description="the first one is the lead; nobody: the director casts")
    lyrics: str | None = Field(None, description="path of a lyrics file")
    moments: str = Field("", description="must-have moments, see director/moments.py; the theme may hold some too")
    pace: float = Field(1.0, ge=0.5, le=2, description="how fast to cut: at 2 shots are half as long")
    seed: int = Field(0, ge=0, lt=2**32)

    @field_validator("cast", mode="before")
    @classmethod
    def _nobody(cls, cast: object) -> object:
        return [] if cast is None else cast  # as older plans say it


class Timeline(Document):
    """The shot plan. Shots tile [0, num_frames) with no gap and no overlap."""

    version: Literal[1] = 1
    revision: int = Field(0, ge=0)
    title: str = ""
    song: str = Field(description="path of the song as uploaded")
    analysis: str = Field(description="path of the analysis; relative to the plan's own folder")
    fps: Fps = Fraction(24)
    width: int = Field(gt=0, le=4096)
    height: int = Field(gt=0, le=4096)
    num_frames: int = Field(gt=0)
    brief: Brief = Brief()
    shots: list[Shot] = Field(min_length=1)

    @model_validator(mode="after")
    def _shots_tile(self) -> Self:
        at = 0
        for shot in self.shots:
            if shot.start != at:
                raise ValueError(
                    f"shot {shot.id} starts at frame {shot.start}, expected {at}: shots must tile the song"
                )
            at = shot.end
        if at != self.num_frames:
            raise ValueError(f"shots end at frame {at}, the film has {self.num_frames}")
        if len({shot.id for shot in self.shots}) != len(self.shots):
            raise ValueError("shot ids must differ")
        if self.shots[0].transition.in_offset:
            raise ValueError("the first shot has nothing to fade from")
        for before, shot in zip([self.shots[0], *self.shots], self.shots):
            t = shot.transition
            if t.in_offset > before.duration // 2 or t.out_offset > shot.duration // 2:
                raise ValueError(f"shot {shot.id}: the {t.kind} is longer than half of a shot it joins")
        return self

    @property
    def duration(self) -> float:
        """Film length in seconds."""
        return float(self.num_frames / self.fps)

    def index(self, shot_id: str) -> int:
        """Raises InputError where no shot has this id."""
        for i, shot in enumerate(self.shots):
            if shot.id == shot_id:
                return i
        raise InputError(f"no shot {shot_id[:80]!r} in this plan; it has {self.shots[0].id} to {self.shots[-1].id}")

    def span(self, index: int) -> tuple[int, int]:
        """Frames [start, stop) a take of this shot must cover: the shot and its handles, the parts of neighbouring
        crossfades that lie outside of it. Clipped to the film."""
        shot = self.shots[index]
        after = self.shots[index + 1].transition.handles[1] if index + 1 < len(self.shots) else 0
        return max(0, shot.start - shot.transition.handles[0]), min(self.num_frames, shot.end + after)


def film_frames(duration: float, fps: Fraction) -> int:
    """Frames of a film as long as a song; at least one."""
    return max(1, to_frame(duration, fps))


def dump_compact(document: Document) -> str:
    """One canonical line of JSON: for hashing and comparing."""
    return json.dumps(document.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
