"""The field's words and what they are for, one table each: sizes, moves, transitions, pacing, moods.

What the model can draw (scenes, palettes, times, actions, looks) stands in mv/world/vocabulary.py; the tables here only
say when to ask for it. Energy, arousal and valence run 0..1.
"""

from dataclasses import dataclass

from mv.schema import MoveKind, ShotSize

# ---------------------------------------------------------------- shot sizes

SHOT_SIZES = {
    ShotSize.wide: "the whole place, the performer head to foot",
    ShotSize.medium: "the performer from the waist up",
    ShotSize.close: "the face",
}

# How often a size is wanted for what happens in the picture. No close-up of nobody.
SIZES_FOR_ACTION: dict[str | None, dict[ShotSize, float]] = {
    None: {ShotSize.wide: 0.85, ShotSize.medium: 0.15},
    "singing": {ShotSize.wide: 0.25, ShotSize.medium: 0.40, ShotSize.close: 0.35},
    "dancing": {ShotSize.wide: 0.50, ShotSize.medium: 0.40, ShotSize.close: 0.10},
    "cheering": {ShotSize.wide: 0.45, ShotSize.medium: 0.40, ShotSize.close: 0.15},
    "guitar": {ShotSize.wide: 0.30, ShotSize.medium: 0.50, ShotSize.close: 0.20},
    "keys": {ShotSize.wide: 0.40, ShotSize.medium: 0.50, ShotSize.close: 0.10},
    "drums": {ShotSize.wide: 0.45, ShotSize.medium: 0.50, ShotSize.close: 0.05},
}

# ---------------------------------------------------------------- camera moves


@dataclass(frozen=True)
class Move:
    """meaning: what the viewer sees. energy: how loud the music is that it suits best, 0..1."""

    meaning: str
    energy: float


MOVES = {
    MoveKind.static: Move("the camera stands still", 0.15),
    MoveKind.pan_left: Move("the camera turns to the left on its spot", 0.30),
    MoveKind.pan_right: Move("the camera turns to the right on its spot", 0.30),
    MoveKind.tilt_up: Move("the camera looks up on its spot", 0.30),
    MoveKind.tilt_down: Move("the camera looks down on its spot", 0.30),
    MoveKind.dolly_in: Move("the camera rides towards the performer", 0.45),
    MoveKind.dolly_out: Move("the camera rides away from the performer", 0.35),
    MoveKind.truck_left: Move("the camera rides sideways to the left", 0.50),
    MoveKind.truck_right: Move("the camera rides sideways to the right", 0.50),
    MoveKind.pedestal_up: Move("the camera rises", 0.40),
    MoveKind.pedestal_down: Move("the camera sinks", 0.35),
    MoveKind.crane_up: Move("the camera rises and rides back, the performer in sight", 0.55),
    MoveKind.crane_down: Move("the camera sinks and rides up to the performer", 0.50),
    MoveKind.orbit_left: Move("the camera circles the performer to the left", 0.70),
    MoveKind.orbit_right: Move("the camera circles the performer to the right", 0.70),
    MoveKind.zoom_in: Move("the lens closes in", 0.75),
    MoveKind.zoom_out: Move("the lens opens up", 0.60),
    MoveKind.roll_left: Move("the horizon tips to the left", 0.85),
    MoveKind.roll_right: Move("the horizon tips to the right", 0.85),
    MoveKind.handheld: Move("the camera sways on a shoulder", 0.90),
}
STILL_SHARE = 0.5  # a still camera is wanted half as often as its energy says: a music video moves

# What a section's place in the song asks of the camera: these moves are wanted three times as often there.
MOVES_FOR_LABEL = {
    "intro": (MoveKind.dolly_in, MoveKind.crane_down, MoveKind.pan_right),
    "verse": (MoveKind.dolly_in, MoveKind.truck_left, MoveKind.truck_right),
    "chorus": (MoveKind.orbit_left, MoveKind.orbit_right, MoveKind.dolly_in, MoveKind.crane_up),
    "drop": (MoveKind.handheld, MoveKind.zoom_in, MoveKind.roll_left, MoveKind.roll_right),
    "bridge": (MoveKind.orbit_left, MoveKind.tilt_up, MoveKind.pedestal_up),
    "break": (MoveKind.pedestal_up, MoveKind.pan_left, MoveKind.dolly_out),
    "outro": (MoveKind.dolly_out, MoveKind.zoom_out, MoveKind.crane_up),
}
LABEL_BOOST = 3.0
# Moves that carry a close face out of the picture, and moves that need somebody to move about: wanted more seldom.
UNSTEADY_CLOSE = ("pan", "tilt", "truck", "pedestal", "crane")
NEEDS_SOMEBODY = ("orbit", "handheld", "roll")
# A tilted horizon and a shaking one are spices: at equal fit such a move is chosen this much more seldom.
RARITY = {"roll": 0.15, "handheld": 0.6}
MISFIT_SHARE = 0.25

# Where round the performer a shot may stand, degrees, with how often. Two that are 30 apart make a cut inside one size.
AZIMUTHS = {-36.0: 0.15, -18.0: 0.2, 0.0: 0.3, 18.0: 0.2, 36.0: 0.15}
CUT_ANGLE = 30.0  # the 30-degree rule

# ---------------------------------------------------------------- transitions

TRANSITIONS = {
    "cut": "the new shot stands at once",
    "crossfade": "the old shot melts into the new one",
}
CROSSFADE_SECONDS = 0.5
CALM = 0.45  # pace below which a section change melts instead of cutting

# ---------------------------------------------------------------- pacing

# How much faster or slower a section is cut than its energy alone would say.
LABEL_PACE = {
    "intro": -0.15,
    "verse": 0.0,
    "chorus": 0.10,
    "drop": 0.20,
    "bridge": -0.05,
    "break": -0.15,
    "outro": -0.15,
}
# Shot length in bars up to a pace; the first row that holds counts.
BARS_FOR_PACE = ((0.25, 4.0), (0.50, 2.0), (1.0, 1.0))
# Very loud sections cut by half bars in the last bar of every phrase, where drummers play their fills.
FILL_PACE, FILL_BARS, PHRASE_BARS = 0.85, 0.5, 4

# ---------------------------------------------------------------- who acts, and how

VOICE_ACTIVE = 0.35  # mean voice activity over a shot from which the performer sings
EMPTY_LABELS = ("intro", "outro", "break")  # where a quiet shot without a voice may show nobody
EMPTY_ENERGY = 0.40  # below it
ACTIONS_WITHOUT_VOICE = {
    "keys": 0.20,
    "guitar": 0.40,
    "dancing": 0.60,
    "drums": 0.80,
    "cheering": 0.95,
}  # the energy each one suits

# ---------------------------------------------------------------- places and light by mood: (arousal, valence)

SCENE_MOODS = {
    "stage": (0.75, 0.60),
    "club": (0.90, 0.65),
    "city": (0.60, 0.40),
    "rooftop": (0.50, 0.60),
    "road": (0.60, 0.75),
    "desert": (0.45, 0.30),
    "ocean": (0.30, 0.65),
    "forest": (0.25, 0.35),
    "mountains": (0.35, 0.80),
    "room": (0.20, 0.50),
    "tunnel": (0.85, 0.35),
    "space": (0.70, 0.20),
}
TIME_MOODS = {"night": (0.70, 0.35), "sunset": (0.40, 0.55), "day": (0.55, 0.90)}
PALETTE_MOODS = {
    "crimson": (0.85, 0.30),
    "amber": (0.50, 0.75),
    "lime": (0.75, 0.85),
    "emerald": (0.35, 0.55),
    "cyan": (0.55, 0.60),
    "azure": (0.25, 0.45),
    "violet": (0.45, 0.30),
    "magenta": (0.80, 0.65),
}

# The part a section plays in the story. Verses that repeat no other take the three verse roles in turn.
ROLE_OF_LABEL = {
    "intro": "home",
    "outro": "home",
    "chorus": "chorus",
    "drop": "chorus",
    "bridge": "away",
    "break": "away",
}
VERSE_ROLES = ("home", "verse 2", "verse 3")
