"""The field's words and what they are for, one table each: sizes, lenses, moves, transitions, pacing, moods, styles.

What the model can draw (scenes, palettes, times, actions, looks) stands in mv/world/vocabulary.py; the tables here only
say when to ask for it. Energy, arousal and valence run 0..1.
"""

from dataclasses import dataclass

from mv.schema import MoveKind, ShotSize

# ---------------------------------------------------------------- shot sizes

# The three sizes the model has words for.
SHOT_SIZES = {
    ShotSize.wide: "the whole place, the performer head to foot",
    ShotSize.medium: "the performer from the waist up",
    ShotSize.close: "the face",
}


@dataclass(frozen=True)
class Framing:
    """size: the word in the prompt. distance: in units of that size's own. meaning: what is seen of the performer."""

    size: ShotSize
    distance: float
    meaning: str


# The film's sizes, each a distance within one of the model's; from tight to loose. None lies beyond the distances the
# embedded model was taught, by dollies in and out of its three.
FRAMINGS = {
    "extreme close-up": Framing(ShotSize.close, 0.8, "eyes and mouth"),
    "close-up": Framing(ShotSize.close, 1.0, "the face"),
    "medium close-up": Framing(ShotSize.medium, 0.78, "head and shoulders"),
    "medium shot": Framing(ShotSize.medium, 1.0, "from the waist up"),
    "medium long shot": Framing(ShotSize.medium, 1.25, "from the knees up"),
    "full shot": Framing(ShotSize.wide, 0.93, "head to foot, filling the picture"),
    "long shot": Framing(ShotSize.wide, 1.0, "head to foot in the place"),
    "extreme long shot": Framing(ShotSize.wide, 1.25, "the place, somebody small in it"),
}
# How often each framing of its size is wanted.
FRAMING_SHARES = {
    "extreme close-up": 0.25, "close-up": 0.75,
    "medium close-up": 0.3, "medium shot": 0.5, "medium long shot": 0.2,
    "full shot": 0.3, "long shot": 0.55, "extreme long shot": 0.15,
}  # fmt: skip
EMPTY_PICTURE = "the place alone"  # what any framing shows where nobody is
ESTABLISHING = "extreme long shot"  # how a film opens and closes, and how a place with nobody in it is shown

# How often a size is wanted for what happens in the picture. Nobody is never closer than a long shot.
SIZES_FOR_ACTION: dict[str | None, dict[ShotSize, float]] = {
    None: {ShotSize.wide: 1.0},
    "singing": {ShotSize.wide: 0.25, ShotSize.medium: 0.40, ShotSize.close: 0.35},
    "dancing": {ShotSize.wide: 0.50, ShotSize.medium: 0.40, ShotSize.close: 0.10},
    "cheering": {ShotSize.wide: 0.45, ShotSize.medium: 0.40, ShotSize.close: 0.15},
    "guitar": {ShotSize.wide: 0.30, ShotSize.medium: 0.50, ShotSize.close: 0.20},
    "keys": {ShotSize.wide: 0.40, ShotSize.medium: 0.50, ShotSize.close: 0.10},
    "drums": {ShotSize.wide: 0.45, ShotSize.medium: 0.50, ShotSize.close: 0.05},
}

# ---------------------------------------------------------------- lenses


@dataclass(frozen=True)
class Lens:
    """focal: in units of the standard lens. weights: how often each size is shot with it. meaning: what it does."""

    focal: float
    weights: dict[ShotSize, float]
    meaning: str


# As far from the standard as the zooms that the embedded model was taught.
LENSES = {
    "35 mm": Lens(0.85, {ShotSize.wide: 0.25, ShotSize.medium: 0.15, ShotSize.close: 0.05}, "near and deep"),
    "41 mm": Lens(1.0, {ShotSize.wide: 0.75, ShotSize.medium: 0.60, ShotSize.close: 0.55}, "as the eye sees"),
    "50 mm": Lens(1.2, {ShotSize.wide: 0.0, ShotSize.medium: 0.25, ShotSize.close: 0.40}, "flat, the place drawn near"),
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
    MoveKind.dolly_in: Move("the camera rides in", 0.45),
    MoveKind.dolly_out: Move("the camera rides back", 0.35),
    MoveKind.truck_left: Move("the camera rides sideways to the left", 0.50),
    MoveKind.truck_right: Move("the camera rides sideways to the right", 0.50),
    MoveKind.pedestal_up: Move("the camera rises", 0.40),
    MoveKind.pedestal_down: Move("the camera sinks", 0.35),
    MoveKind.crane_up: Move("the camera rises and rides back, looking down", 0.55),
    MoveKind.crane_down: Move("the camera sinks and rides in", 0.50),
    MoveKind.orbit_left: Move("the camera circles to the left", 0.70),
    MoveKind.orbit_right: Move("the camera circles to the right", 0.70),
    MoveKind.zoom_in: Move("the lens closes in", 0.75),
    MoveKind.zoom_out: Move("the lens opens up", 0.60),
    MoveKind.push_in: Move("the camera rides up ever faster", 0.80),
    MoveKind.dolly_zoom_in: Move("the camera rides up while the lens opens: the background recedes", 0.65),
    MoveKind.dolly_zoom_out: Move("the camera rides back while the lens closes: the background swells", 0.65),
    MoveKind.whip_left: Move("the camera whips away to the left into the cut", 0.95),
    MoveKind.whip_right: Move("the camera whips away to the right into the cut", 0.95),
    MoveKind.roll_left: Move("the horizon tips to the left", 0.85),
    MoveKind.roll_right: Move("the horizon tips to the right", 0.85),
    MoveKind.handheld: Move("the camera sways on a shoulder", 0.90),
}
# Other words of the field for the same.
MOVE_SYNONYMS = {
    "arc left": MoveKind.orbit_left,
    "arc right": MoveKind.orbit_right,
    "track left": MoveKind.truck_left,
    "track right": MoveKind.truck_right,
    "boom up": MoveKind.pedestal_up,
    "boom down": MoveKind.pedestal_down,
    "vertigo": MoveKind.dolly_zoom_out,
    "dutch": MoveKind.roll_left,
    "hand held": MoveKind.handheld,
}
STILL_SHARE = 0.5  # a still camera is wanted half as often as its energy says: a music video moves

# What a section's place in the song asks of the camera: these moves are wanted three times as often there.
MOVES_FOR_LABEL = {
    "intro": (MoveKind.dolly_in, MoveKind.crane_down, MoveKind.pan_right),
    "verse": (MoveKind.dolly_in, MoveKind.truck_left, MoveKind.truck_right),
    "chorus": (MoveKind.orbit_left, MoveKind.orbit_right, MoveKind.dolly_in, MoveKind.crane_up),
    "drop": (MoveKind.push_in, MoveKind.handheld, MoveKind.zoom_in, MoveKind.roll_left, MoveKind.roll_right),
    "bridge": (MoveKind.orbit_left, MoveKind.tilt_up, MoveKind.pedestal_up, MoveKind.dolly_zoom_out),
    "break": (MoveKind.pedestal_up, MoveKind.pan_left, MoveKind.dolly_out),
    "outro": (MoveKind.dolly_out, MoveKind.zoom_out, MoveKind.crane_up),
}
LABEL_BOOST = 3.0
# Moves that carry a close face out of the picture, and moves that need somebody to move about: wanted more seldom.
UNSTEADY_CLOSE = ("pan", "tilt", "truck", "pedestal", "crane", "whip-pan")
NEEDS_SOMEBODY = ("orbit", "handheld", "roll", "push-in", "dolly-zoom", "whip-pan")
MISFIT_SHARE = 0.25
# A tilted horizon, a shaking one and a lens trick are spices: at equal fit such a move is chosen this much more seldom.
RARITY = {"roll": 0.15, "handheld": 0.6, "dolly-zoom": 0.25, "whip-pan": 0.12, "push-in": 0.7}
# Moves that feel the same to the viewer: no two of them in a row, and seldom again the shot after.
FAMILIES = {"push-in": "dolly", "dolly-zoom": "dolly", "whip-pan": "pan"}
AGAIN_SHARE, AGAIN_SHOTS = 0.35, 4  # how much more seldom a family comes again within so many shots
CONTRAST = 0.3  # of energy: a move that is further from the music's is told as a contrast to it
WHIP_SECONDS = 1.6  # a whip belongs to a short shot: it must stand but a moment
TRICK_SECONDS = 2.5  # a dolly-zoom needs at least so long to be felt

# How the music moves the camera besides its move: the energy each accent suits best.
ACCENTS = {"sway": 0.25, "push": 0.55, "pulse": 0.9}
ACCENT_MEANINGS = {
    "sway": "the camera sways with the bars",
    "push": "the lens pushes in on every downbeat",
    "pulse": "the lens pulses with every beat",
}

# Where round the performer a shot may stand, degrees, with how often. Two that are 30 apart make a cut inside one size.
AZIMUTHS = {-36.0: 0.15, -18.0: 0.2, 0.0: 0.3, 18.0: 0.2, 36.0: 0.15}
CUT_ANGLE = 30.0  # the 30-degree rule

# ---------------------------------------------------------------- transitions

TRANSITIONS = {
    "cut": "the new shot stands at once",
    "match cut": "a cut to another place with the performer as large, and seen from the same side, as before",
    "whip": "the camera whips away, and the cut falls into the blur",
    "crossfade": "the old shot melts into the new one",
    "dip to black": "the old shot falls to black, and the new one rises out of it: a part is over",
    "dip to white": "the old shot brightens to white, and the new one comes out of it: waking, a memory",
    "flash": "white on the hit, gone at once",
}
# Dips and flashes are marks in a film: never two of them nearer than this. It also keeps far below the three flashes a
# second that WCAG 2.3.1 allows.
MARKS_APART_SECONDS = 16.0
MARK_FALL = 0.1  # how much softer than the part before it an outro is that begins out of black
MARK_RISE = 0.15  # how much louder a part is that comes out of a breakdown with a dip, or in with a flash
BRIGHT_VALENCE = 0.6  # mood from which a dip out of a breakdown is white
FLASH_HIT = 0.7  # onset of a drop's first hit, of the song's loudest, from which it flashes
LONGEST_FALL_SECONDS = 0.7  # of the beat that is dark before a drop
LEAST_MARK_SECONDS = 0.08  # a mark with less room would be a flicker
CALM = 0.45  # pace below which a section change melts instead of cutting

# ---------------------------------------------------------------- pacing

# How much faster or slower a section is cut than its energy alone would say.
LABEL_PACE = {
    "intro": -0.15,
    "verse": -0.10,
    "chorus": 0.10,
    "drop": 0.20,
    "bridge": -0.05,
    "break": -0.15,
    "outro": -0.15,
}
# Shot lengths in bars, phrase after phrase of a section, up to a pace; the first row that holds counts. No phrase is
# cut like the one before it; the loudest end each with a fill, where drummers play theirs.
PHRASES_FOR_PACE = (
    (0.25, ((4.0, 4.0),)),
    (0.65, ((2.0, 2.0, 4.0), (4.0, 2.0, 2.0), (2.0, 2.0, 2.0, 2.0))),
    (0.85, ((1.0, 1.0, 2.0), (2.0, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0))),
    (1.0, ((1.0, 1.0, 1.0, 0.5, 0.5), (2.0, 1.0, 0.5, 0.5))),
)
# The eye counts seconds, the ear bars: for each second that a bar is longer than this, cut by so much faster a pace.
USUAL_BAR_SECONDS, PACE_A_SECOND = 2.0, 0.15
# Half time, or no drums: where so many fewer beats are hit than in the song as a whole, shots last twice as long. A hit
# is an onset of this share of the loud beats' own; counted over so many bars.
SPARSE_SHARE, HIT_SHARE, SPARSE_BARS = 0.6, 0.35, 4
BREAK_BARS = 2.0  # where the music breaks off for some bars, shots are held at least so long
# A build: the music grows by so much over the bars before a chorus or drop. Its shots halve, and halve again.
BUILDS_TO = ("chorus", "drop")
BUILD_BARS, BUILD_RISE = 8, 0.15
BARS_IN_BUILD = ((2, 0.5), (4, 1.0))  # up to so many bars before its end: shot length in bars

# ---------------------------------------------------------------- who acts, and how

VOICE_ACTIVE = 0.35  # mean voice activity over a shot from which the performer sings ...
VOICE_ALONE = 0.55  # ... and in a section that is not sung as a whole
EMPTY_LABELS = ("intro", "outro", "break")  # where a quiet shot without a voice may show nobody
EMPTY_ENERGY = 0.40  # below it
ACTIONS_WITHOUT_VOICE = {
    "keys": 0.20,
    "guitar": 0.40,
    "dancing": 0.60,
    "drums": 0.80,
    "cheering": 0.95,
}  # the energy each one suits
INSTRUMENTS = ("keys", "guitar", "drums")  # wanted more where the band plays on without its singer ...
PLAYING_LABELS = ("intro", "verse", "bridge", "break", "outro")  # ... that is not in choruses and drops, made to move
INSTRUMENT_BOOST = 2.5
CROWD_ACTIONS, CROWD_LABELS = ("cheering",), ("chorus", "drop")  # acts that are wanted seldom in other parts
# An instrumental passage takes turns between its acts, so many shots each: the first, the second, the first again, a
# third.
ACT_CHANGE, ACT_TURNS = 2, (0, 1, 0, 2)
ORDINALS = ("first", "second", "third")


def ordinal(number: int) -> str:
    """first, second, third, 4th ... of 1, 2, 3, 4 ..."""
    return ORDINALS[number - 1] if number <= len(ORDINALS) else f"{number}th"


# Every so many shots of an instrumental verse or bridge the film looks away: at a landscape with nobody in it.
INSERT_EVERY = 4
INSERT_LABELS = ("intro", "verse", "bridge", "break", "outro")
OPENING_SECONDS = 1.5  # a first shot of at least so long, that nobody sings in, is a view of the place
# A part that goes on for more than so many bars moves to its second place and back; a chorus that returns sooner, one
# that comes for the first time later.
BARS_IN_PLACE, BARS_IN_FIRST_CHORUS, BARS_IN_RETURN = 8, 12, 4

# ---------------------------------------------------------------- how a part grows when it comes back

GROWTH = 0.12  # so much more energy in the picture at each return of a chorus or a drop ...
MAX_GROWTH = 0.30  # ... and no more than this in all
WIDE_GROWTH = 0.6  # how much likelier each return makes the wide shot and the camera's great moves
GREAT_MOVES = ("crane", "orbit", "dolly")

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
# Where a story goes from a place it must leave, nearest first; each row holds a landscape.
KINDRED = {
    "stage": ("club", "rooftop", "desert"),
    "club": ("stage", "tunnel", "road"),
    "city": ("rooftop", "road", "tunnel"),
    "rooftop": ("city", "mountains", "stage"),
    "road": ("desert", "mountains", "city"),
    "desert": ("road", "mountains", "space"),
    "ocean": ("mountains", "desert", "road"),
    "forest": ("mountains", "ocean", "room"),
    "mountains": ("forest", "ocean", "road"),
    "room": ("rooftop", "forest", "city"),
    "tunnel": ("space", "club", "road"),
    "space": ("tunnel", "desert", "mountains"),
}
LANDSCAPES = ("road", "desert", "ocean", "forest", "mountains")  # worth a shot with nobody in it
ABSTRACT = ("tunnel", "space")  # no real places: for drops
DROP_NEAR_SECONDS = 0.3  # a shot that starts this near to a drop opens with it
# How a writer may call a part of the song.
MOODS = ("calm", "tender", "dreamy", "melancholy", "dark", "tense", "hopeful", "joyful", "triumphant", "wild")
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

# The part a section plays in the story. Verses tell: each goes on to the next of the verse roles, whatever its music
# repeats. Choruses that repeat no other are chorus, chorus 2 and so on.
ROLE_OF_LABEL = {
    "intro": "home",
    "outro": "home",
    "drop": "drop",
    "bridge": "away",
    "break": "away",
}
# What a section does that plays a role, to be read after its name.
ROLE_MEANINGS = {
    "home": "plays at home",
    "verse 2": "goes on with the story, to a second place",
    "verse 3": "goes on with the story, to a third place",
    "chorus": "plays where the chorus plays",
    "drop": "leaves the real places",
    "away": "goes away from home",
}
LIGHT_OF_ROLE = {"home": "the light at home", "away": "the light away from home", "chorus": "the light of the chorus"}
VERSE_ROLES = ("home", "verse 2", "verse 3")
ROLES_OF_OTHERS = ("verse 2", "away", "verse 3")  # parts that are sung by others than the lead where there are others
CLOCK = ("day", "sunset", "night")  # how time goes on in a story ...
HOURS_LATER = {"verse 2": 1, "verse 3": 2, "away": 2}  # ... and how far it has come in these parts

# ---------------------------------------------------------------- style presets


@dataclass(frozen=True)
class Style:
    """What a preset prefers; empty: as the music says. A theme's words outrank it. pace: how much faster it cuts."""

    meaning: str
    scenes: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    palettes: tuple[str, ...] = ()
    moves: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    sizes: tuple[ShotSize, ...] = ()
    pace: float = 1.0


STYLE_BOOST = 2.5
STYLES = {
    "performance": Style(
        "a band and its stage", scenes=("stage", "club", "rooftop", "room"), actions=("guitar", "drums", "keys"),
        moves=("orbit", "dolly", "crane"), sizes=(ShotSize.medium, ShotSize.close),
    ),
    "road movie": Style(
        "on the way, under a low sun", scenes=("road", "desert", "mountains", "city"), times=("sunset", "day"),
        palettes=("amber", "azure", "crimson"), moves=("truck", "pan", "crane"), sizes=(ShotSize.wide,),
    ),
    "neon": Style(
        "a city that does not sleep", scenes=("city", "tunnel", "club", "rooftop"), times=("night",),
        palettes=("magenta", "cyan", "violet"), moves=("truck", "orbit", "push-in"), pace=1.15,
    ),
    "dream": Style(
        "slow and weightless", scenes=("space", "ocean", "forest", "mountains"), times=("sunset", "night"),
        palettes=("violet", "azure", "magenta"), moves=("crane", "pedestal", "dolly-zoom", "orbit"), pace=0.75,
    ),
    "raw": Style(
        "a camera on a shoulder in the crowd", scenes=("club", "city", "tunnel", "room"), times=("night",),
        palettes=("crimson", "amber", "lime"), moves=("handheld", "whip-pan", "push-in"),
        actions=("dancing", "cheering"), sizes=(ShotSize.close, ShotSize.medium), pace=1.3,
    ),
    "intimate": Style(
        "one room, one voice", scenes=("room", "forest", "rooftop", "ocean"), palettes=("amber", "emerald", "azure"),
        moves=("static", "dolly", "zoom"), actions=("keys", "guitar"), sizes=(ShotSize.close, ShotSize.medium),
        pace=0.75,
    ),
}  # fmt: skip
