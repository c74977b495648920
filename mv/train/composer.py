"""Pieces of music made by rule, with every beat, bar and section known exactly: what beat tracking is measured on.

A piece is a list of notes as in MIDI. Nobody sings in it; its lead is an instrument and is called nothing else.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

BASS, CHORDS, PAD, LEAD, DRUMS = 0, 1, 2, 3, 9  # MIDI channels
KICK, RIM, SNARE, CLAP, CLOSED_HAT, PEDAL_HAT, OPEN_HAT = 36, 37, 38, 39, 42, 44, 46
LOW_TOM, MID_TOM, HIGH_TOM, CRASH, RIDE, TAMBOURINE, SHAKER = 43, 47, 50, 49, 51, 54, 70
PERCUSSION = (54, 56, 60, 61, 62, 63, 64, 65, 67, 69, 70, 75, 76)  # bells, congas, blocks: what decorates a groove
VOICES = (52, 53, 54, 85)  # programs that come near to singing
MAJOR, MINOR, DORIAN = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10)
PROGRESSIONS = (
    (0, 4, 5, 3), (0, 3, 4, 3), (5, 3, 0, 4), (0, 5, 3, 4), (0, 3, 0, 4), (1, 4, 0, 0), (0, 6, 5, 4), (0, 2, 3, 4),
    (0, 0, 3, 4), (0, 6, 3, 0), (3, 4, 2, 5), (0, 1, 4, 0),
)  # fmt: skip
TICK = 1 / 48  # of a beat: resolution of the tempo curve
SLOWEST, FASTEST = 55.0, 215.0  # beats per minute after all bending


@dataclass(frozen=True)
class Metre:
    """beats in a bar, parts of a beat, the beats that carry weight and those that answer them."""

    beats: int
    parts: int
    strong: tuple[int, ...]
    back: tuple[int, ...]


# In 6/8 and 12/8 the beat is the dotted quarter.
METRES = {
    "4/4": Metre(4, 2, (0, 2), (1, 3)),
    "3/4": Metre(3, 2, (0,), (1, 2)),
    "2/4": Metre(2, 2, (0,), (1,)),
    "6/8": Metre(2, 3, (0,), (1,)),
    "5/4": Metre(5, 2, (0, 3), (2, 4)),
    "12/8": Metre(4, 3, (0, 2), (1, 3)),
}


@dataclass(frozen=True)
class Note:
    """start and end in seconds; channel DRUMS: pitch is the General MIDI drum."""

    start: float
    end: float
    channel: int
    pitch: int
    velocity: int


@dataclass(frozen=True)
class Piece:
    """programs: General MIDI program per channel; beats (n,) seconds, positions (n,) in the bar, 1 = downbeat.

    sections: (start, end, label) in seconds; tempo_curve: name in TEMPO_CURVES.
    """

    notes: tuple[Note, ...]
    programs: dict[int, int]
    beats: np.ndarray
    positions: np.ndarray
    sections: tuple[tuple[float, float, str], ...]
    duration: float
    style: str
    metre: str
    tempo_curve: str


@dataclass(frozen=True)
class Style:
    """What a kind of music draws from. tempo: range in beats a minute; swing: where the off-beat falls in the beat."""

    tempo: tuple[float, float]
    metres: tuple[str, ...]
    grooves: tuple[str, ...]
    basses: tuple[str, ...]
    comps: tuple[str, ...]
    chord_programs: tuple[int, ...]
    lead_programs: tuple[int, ...] = (80, 73, 65, 27)
    bass_programs: tuple[int, ...] = (33, 34, 38)
    swing: tuple[float, float] = (0.5, 0.5)
    push: float = 0.0  # chance that a bar's chord comes half a beat early
    kits: tuple[int, ...] = (0, 8, 16)  # General MIDI drum kits
    sung: float = 0.4  # chance that the lead sounds and is timed as a singer is
    curves: tuple[str, ...] = ("steady", "steady", "steady", "drift", "ramp", "steps")


FOLK, ORCHESTRA, GUITARS, SYNTHS = (24, 25, 105, 21), (48, 40, 45, 6, 0), (29, 30, 30), (81, 50, 90, 62)
STYLES = {
    "rock": Style((90, 165), ("4/4",), ("backbeat", "backbeat", "machine"), ("eighths", "roots", "riff"),
                  ("strum", "palm", "eighths", "riff"),
                  GUITARS, (30, 29), push=0.2),
    "metal": Style((110, 212), ("4/4",), ("double kick", "blast", "backbeat", "half double", "machine"),
                   ("eighths", "sixteenths", "riff"), ("palm", "gallop", "riff"), (30, 30, 29), (30, 81), (34, 33),
                   push=0.05),
    "punk": Style((150, 212), ("4/4",), ("skank", "backbeat"), ("eighths",), ("eighths", "palm"), GUITARS, (30,)),
    "pop": Style((76, 130), ("4/4",), ("backbeat", "syncopated", "machine"),
                 ("syncopated", "roots"), ("quarters", "stabs", "strum", "arpeggio"), (0, 4, 25, 27),
                 (53, 54, 73, 80), push=0.35),
    "dance": Style((116, 146), ("4/4",), ("four",), ("off-beat", "eighths", "syncopated"),
                   ("stabs", "arpeggio", "held", "cross"), SYNTHS, (81, 80), (38, 39), curves=("steady",),
                   kits=(24, 25)),
    "hip-hop": Style((80, 104), ("4/4",), ("syncopated", "backbeat", "machine"), ("syncopated", "held"),
                     ("stabs", "held"), (4, 5, 48, 11), swing=(0.5, 0.6), curves=("steady",), kits=(0, 24, 25)),
    "drum and bass": Style((160, 178), ("4/4",), ("break",), ("held", "syncopated"), ("held", "stabs", "cross"), SYNTHS,
                           (81, 73), (38, 39), curves=("steady",), kits=(0, 24)),
    "reggae": Style((66, 92), ("4/4",), ("one drop", "one drop", "steppers", "backbeat"),
                    ("syncopated", "roots"), ("off-beat",), (16, 27, 28), swing=(0.5, 0.58)),
    "funk": Style((92, 118), ("4/4",), ("syncopated", "break"), ("syncopated",), ("stabs", "off-beat"),
                  (28, 4, 16, 61), (65, 56), (36, 33), swing=(0.5, 0.56)),
    "swing": Style((105, 205), ("4/4", "4/4", "3/4"), ("ride",), ("walking",), ("stabs", "off-beat"), (0, 26, 11),
                   (66, 56, 71), (32,), (0.6, 0.67), push=0.2, kits=(32, 40)),
    "shuffle": Style((80, 140), ("4/4",), ("backbeat",), ("eighths", "walking"), ("eighths", "strum"), (26, 29, 16),
                     (22, 29, 65), swing=(0.62, 0.67)),
    "waltz": Style((84, 180), ("3/4",), ("waltz", "none"), ("roots",), ("oom-pah", "quarters"), (0, 21, 48),
                   (40, 73, 21), (32, 43), curves=("steady", "drift", "ramp", "rubato")),
    "ballad": Style((58, 84), ("4/4", "4/4", "3/4"), ("none", "backbeat", "none"), ("roots", "held"),
                    ("arpeggio", "quarters", "held"), (0, 2, 24, 48), (73, 40, 53), (32, 35),
                    curves=("steady", "drift", "rubato")),
    "polka": Style((100, 140), ("2/4",), ("oom-pah",), ("roots",), ("oom-pah",), (21, 24, 21), (21, 71, 40), (58, 32)),
    "march": Style((96, 124), ("4/4",), ("march",), ("roots",), ("oom-pah", "quarters"), (61, 58, 48), (56, 72),
                   (58, 43)),
    "five jazz": Style((100, 180), ("5/4",), ("ride", "none"), ("roots",), ("oom-pah", "stabs"), (0, 26, 4), (66, 65),
                       (32,), (0.5, 0.67)),
    "five rock": Style((92, 160), ("5/4",), ("backbeat",), ("roots", "eighths"), ("quarters", "strum", "palm"),
                       (27, 30, 0)),
    "six-eight": Style((56, 88), ("6/8",), ("backbeat", "none", "backbeat"), ("roots", "eighths"),
                       ("arpeggio", "strum", "quarters"), (25, 0, 27, 48), (73, 40, 29)),
    "jig": Style((96, 126), ("6/8",), ("none", "backbeat"), ("roots",), ("oom-pah", "strum"), FOLK, (110, 73, 75),
                 (32,)),
    "bossa": Style((112, 150), ("4/4",), ("clave",), ("roots", "syncopated"), ("stabs", "off-beat"), (24, 26, 4),
                   (73, 66, 11), (32,), push=0.3, kits=(32, 40)),
    "latin": Style((88, 124), ("4/4",), ("clave", "syncopated"), ("syncopated",), ("stabs", "strum"), (0, 24, 61),
                   (56, 73), push=0.4),
    "ambient": Style((60, 96), ("4/4",), ("none",), ("held", "none"), ("held", "held", "arpeggio"), (89, 91, 95, 48),
                     (73, 88, 52), curves=("steady", "steady", "drift")),
    "orchestra": Style((68, 150), ("4/4", "3/4", "4/4", "2/4"), ("none", "none", "toms", "march"), ("roots", "eighths"),
                       ("eighths", "arpeggio", "quarters", "oom-pah"), ORCHESTRA, (40, 60, 73, 68), (43, 32),
                       curves=("steady", "drift", "ramp", "rubato"), kits=(48,), sung=0.1),
    "game": Style((100, 172), ("4/4", "4/4", "3/4"), ("backbeat", "none", "four"), ("eighths", "octaves"),
                  ("arpeggio", "arpeggio", "stabs", "cross"), (80, 81, 6, 12), (80, 81, 79), (38, 39),
                  curves=("steady",), kits=(0, 24, 25), sung=0.0),
    "folk": Style((88, 140), ("4/4", "3/4", "2/4"), ("none", "tambourine"), ("roots", "none"), ("strum", "oom-pah"),
                  FOLK, (73, 110, 22), (32,), (0.5, 0.56), curves=("steady", "drift", "ramp")),
    "breakdown": Style((108, 152), ("4/4",), ("toms", "half", "half double"), ("held", "sixteenths", "riff"),
                       ("palm", "held", "riff"), (30, 30, 29), (30, 81), (34,)),
    "slow blues": Style((58, 92), ("12/8",), ("backbeat",), ("roots", "eighths"), ("eighths", "stabs", "quarters"),
                        (26, 16, 0, 29), (29, 22, 65), (33, 32), curves=("steady", "drift")),
    "doo-wop": Style((60, 96), ("12/8",), ("backbeat", "none"), ("roots", "held"), ("eighths", "arpeggio"),
                     (0, 25, 48), (53, 65), kits=(0, 40), sung=0.8),
    "ska": Style((120, 168), ("4/4",), ("backbeat", "four"), ("walking", "eighths"), ("off-beat",), (27, 16, 61),
                 (56, 57, 65)),
    "disco": Style((106, 130), ("4/4",), ("four",), ("octaves", "off-beat", "syncopated"), ("stabs", "strum", "held"),
                   (28, 4, 48), (48, 53, 61), (33, 38), kits=(0, 24)),
    "country": Style((84, 132), ("4/4", "4/4", "2/4"), ("train", "backbeat"), ("roots",), ("strum", "oom-pah"),
                     (25, 24, 105), (27, 40, 22), (32, 33), sung=0.6),
    "trap": Style((62, 84), ("4/4",), ("trap",), ("held", "syncopated"), ("held", "stabs", "arpeggio"),
                  (11, 4, 89, 46), (80, 79, 53), (38, 39), curves=("steady",), kits=(25, 24), sung=0.6),
    "reggaeton": Style((84, 106), ("4/4",), ("dembow",), ("roots", "syncopated", "held"), ("stabs", "arpeggio", "held"),
                       (25, 81, 11, 4), (80, 53), (38, 39), curves=("steady",), kits=(25, 24, 0), sung=0.6),
    "machine": Style((70, 150), ("4/4", "4/4", "4/4", "3/4"), ("machine",), ("syncopated", "held", "eighths", "riff"),
                     ("stabs", "held", "arpeggio", "cross", "riff", "eighths"), (4, 81, 29, 0, 48, 90),
                     (80, 73, 53), (38, 33, 39), kits=(0, 8, 16, 24, 25)),
    "acoustic": Style((70, 140), ("4/4", "4/4", "3/4", "6/8"), ("none", "none", "tambourine"), ("none", "roots"),
                      ("strum", "arpeggio", "quarters"), (25, 24, 0), (73, 40), (32,),
                      curves=("steady", "drift", "drift", "ramp"), sung=0.8),
}  # fmt: skip


def compose(seed: int, seconds: float = 40.0) -> Piece:
    """The piece of a seed, at least seconds long but for up to half a section."""
    return _Composer(np.random.default_rng(seed), seconds).piece()


def metronome(tempo: float, metre: str, seconds: float = 30.0) -> Piece:
    """Plain clicks, the first of each bar louder."""
    beats = np.arange(0.3, seconds - 0.3, 60 / tempo)
    positions = np.arange(len(beats)) % METRES[metre].beats + 1
    notes = [Note(t, t + 0.05, DRUMS, RIM, 120 if p == 1 else 80) for t, p in zip(beats.tolist(), positions)]
    return Piece(tuple(notes), {}, beats, positions, ((0.0, seconds, "verse"),), seconds, "metronome", metre, "steady")


class _Composer:
    """Draws a style and what belongs to it, then writes section by section in beats."""

    def __init__(self, rng: np.random.Generator, seconds: float) -> None:
        self.rng = rng
        self.style_name = self.one(list(STYLES))
        self.style = STYLES[self.style_name]
        self.metre_name = self.one(self.style.metres)
        self.metre = METRES[self.metre_name]
        self.tempo = float(np.exp(rng.uniform(*np.log(self.style.tempo))))
        self.swing = rng.uniform(*self.style.swing) if self.metre.parts == 2 else 0.5
        self.scale = np.array(self.one([MAJOR, MAJOR, MINOR, DORIAN]))
        self.key = int(rng.integers(0, 12))
        self.written: list[tuple[float, float, int, int, float]] = []  # beat, beats long, channel, pitch, loud 0..1
        self.form = list(self._form(seconds))

    def one(self, choices):
        return choices[int(self.rng.integers(len(choices)))]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def _form(self, seconds: float) -> Iterator[tuple[str, int]]:
        """(label, bars)."""
        bars = max(8, round(seconds * self.tempo / 60 / self.metre.beats))
        # Bars of 2/4 are short: phrases have twice as many of them.
        size = 8 if self.metre_name == "2/4" or (bars > 24 and self.chance(0.5)) else 4
        labels = self.one([("verse", "chorus"), ("verse", "verse", "chorus", "break"), ("verse", "chorus", "bridge")])
        names = ["intro"] if self.chance(0.7) else []
        names += [labels[i % len(labels)] for i in range(max(2, round(bars / size) - len(names)))]
        yield from ((name, size) for name in names)

    # ------------------------------------------------------------ the whole

    def piece(self) -> Piece:
        comp, bass, groove = self.one(self.style.comps), self.one(self.style.basses), self.one(self.style.grooves)
        edges = [0]
        materials: dict[str, _Material] = {}
        for label, bars in self.form:
            material = materials.setdefault(label, self._material(label, comp, bass, groove))
            self._section(edges[-1], bars, label, material)
            edges.append(edges[-1] + bars)
        self._last_chord(edges[-1])
        return self._perform(edges)

    def _material(self, label: str, comp: str, bass: str, groove: str) -> "_Material":
        loud = {"intro": 0.6, "verse": 0.7, "chorus": 0.95, "bridge": 0.75, "break": 0.5}[label]
        if label in ("bridge", "break") and self.chance(0.5):
            comp = self.one(self.style.comps)
        felt = groove
        if groove in ("backbeat", "double kick", "syncopated") and label in ("bridge", "break") and self.chance(0.4):
            felt = self.one(("half", "skank"))
        drums = groove != "none" and not (label == "break" and self.chance(0.6))
        drums = drums and not (label == "intro" and self.chance(0.5))
        tuned = not (label == "intro" and drums and self.chance(0.25))
        return _Material(
            progression=self.one(PROGRESSIONS),
            # Where a bar has two beats only its chord tells it from half a bar of four.
            chord_bars=self.one((1, 1, 1, 2)) if self.metre.beats > 2 else 1,
            split=self.metre_name == "4/4" and self.style_name != "march" and self.chance(0.15),
            groove=felt if drums else "none",
            pattern=self._pattern(),
            comp=comp if tuned else "none",
            bass=bass if tuned and not (label == "intro" and self.chance(0.4)) else "none",
            stabs=self._rhythm(0.45),
            pulse=self._rhythm(0.4),
            motif=self._motif() if tuned and label != "intro" and self.chance(0.8) else (),
            loud=loud,
            fine=self.chance(0.35),
            push=tuned and self.chance(self.style.push),
            riff=self._riff(),
            hats=self.one(HATS),
            percussion=self.one(PERCUSSION),
        )

    def _section(self, first_bar: int, bars: int, label: str, m: "_Material") -> None:
        n = self.metre.beats
        for bar in range(bars):
            at = (first_bar + bar) * n
            degree = m.progression[bar // m.chord_bars % len(m.progression)]
            fill = bar == bars - 1 and m.groove != "none" and self.chance(0.75)
            self._drums(at, bar, m, fill)
            if label in ("chorus", "verse") and bar == 0 and m.groove != "none":
                self.put(at, 1, DRUMS, CRASH, 0.9)
            halves = [(0, n, degree)]
            if m.split:
                halves = [(0, n // 2, degree), (n // 2, n - n // 2, m.progression[(bar + 1) % 4])]
            for begin, beats, chord in halves:
                self._bass(at + begin, beats, chord, m, pushed=m.push and begin == 0 and at > 0)
                self._comp(at + begin, beats, chord, m, pushed=m.push and begin == 0 and at > 0)
            for offset, beats, step in m.motif if bar % 2 == 0 else ():
                if offset < (bars - bar) * n:
                    self.put(at + offset, beats, LEAD, self.pitch(degree + step, 5), m.loud * self.rng.uniform(0.8, 1))

    def _last_chord(self, bar: int) -> None:
        at, n = bar * self.metre.beats, self.metre.beats
        for pitch in self.chord(0):
            self.put(at, n, CHORDS, pitch, 0.7)
        self.put(at, n, BASS, self.pitch(0, 2), 0.8)
        if self.style.grooves != ("none",):
            self.put(at, 1, DRUMS, KICK, 0.9)
            self.put(at, 1, DRUMS, CRASH, 0.8)

    def put(self, beat: float, beats: float, channel: int, pitch: int, loud: float) -> None:
        if beat >= 0:
            self.written.append((beat, beats, channel, int(np.clip(pitch, 21, 108)), loud))

    def pitch(self, degree: int, octave: int) -> int:
        steps, place = divmod(degree, 7)
        return 12 * (octave + steps) + self.key + int(self.scale[place])

    def chord(self, degree: int) -> list[int]:
        """Three notes around middle C."""
        return [54 + (self.pitch(degree + step, 5) - 54) % 14 for step in (0, 2, 4)]

    # ------------------------------------------------------------ rhythm

    def _steps(self, per_beat: int) -> np.ndarray:
        return np.arange(0, self.metre.beats, 1 / per_beat)

    def _rhythm(self, density: float) -> list[float]:
        """Offsets in the bar, the first always 0: a pattern of half and quarter beats a section keeps."""
        grid = self._steps(2 * self.metre.parts if self.metre.parts == 2 else 3)
        weight = np.where(grid % 1 == 0, 1.0, np.where(grid % 0.5 == 0, 1.1, 0.5))
        return sorted({0.0, *grid[self.rng.random(len(grid)) < density * weight].tolist()})

    def _riff(self) -> list[float]:
        """A bar of hits in groups of two and three quarters of a beat (thirds where the beat has three parts)."""
        unit, at, hits = (0.25 if self.metre.parts == 2 else 1 / 3), 0.0, []
        while at < self.metre.beats - 1e-6:
            hits.append(at)
            at += unit * self.one((1, 2, 2, 3, 3, 4))
        return hits

    def _pattern(self) -> list[float]:
        """Where a syncopated kick falls besides beat one."""
        grid = self._steps(4 if self.metre.parts == 2 else 3)
        free = [g for g in grid.tolist() if g > 0 and g not in self.metre.back]
        return sorted(self.rng.choice(free, min(len(free), int(self.rng.integers(1, 4))), replace=False).tolist())

    def _motif(self) -> tuple[tuple[float, float, int], ...]:
        """(offset, beats, scale steps above the chord's root) of a lead over two bars, with rests between."""
        unit = 1 / self.metre.parts
        at, degree, notes = self.one((0.0, 0.0, 0.0, unit, 1.0)), self.one((0, 2, 4)), []
        while at < 2 * self.metre.beats - unit:
            beats = unit * self.one((1, 1, 2, 2, 3, 4))
            if self.chance(0.85):
                notes.append((at, 0.9 * beats, degree))
            degree = int(np.clip(degree + self.rng.integers(-2, 3), -3, 9))
            at += beats
        return tuple(notes)

    def _drums(self, at: int, bar: int, m: "_Material", fill: bool) -> None:
        if m.groove == "none":
            return
        until = self.metre.beats - (self.one((1, 1, 2)) if fill and self.metre.beats > 2 else int(fill) * 0.5)
        for offset, drum, loud in GROOVES[m.groove](self.metre, m, bar):
            if offset < until or (drum in (CLOSED_HAT, RIDE, SHAKER) and not fill):
                self.put(at + offset, 0.2, DRUMS, drum, loud * m.loud)
        if fill:
            per_beat = self.one((2, 4, 4)) if self.metre.parts == 2 else 3
            drums = np.sort(self.rng.choice([LOW_TOM, MID_TOM, HIGH_TOM, SNARE, SNARE], 4))[::-1]
            steps = np.arange(until, self.metre.beats - 1e-6, 1 / per_beat)
            for i, offset in enumerate(steps):
                if self.chance(0.85):
                    drum = int(drums[i * len(drums) // len(steps)])
                    self.put(at + offset, 0.2, DRUMS, drum, m.loud * self.rng.uniform(0.6, 1.0))

    def _bass(self, at: float, beats: int, degree: int, m: "_Material", pushed: bool) -> None:
        root, parts = self.pitch(degree, 2), self.metre.parts
        root += 12 if root < 28 else 0
        early = 1 / parts if pushed else 0.0
        fifth = root + 7 if root < 40 else root - 5
        strong = [s for s in self.metre.strong if s < beats] if self.metre.beats > 2 else [0, 1]
        eighths = np.arange(0, beats, 1 / parts)
        lines = {
            "none": [],
            "held": [(0, beats, root)],
            "roots": [(s, 0.9, root if i % 2 == 0 else fifth) for i, s in enumerate(strong)],
            "eighths": [(e, 0.8 / parts, root) for e in eighths],
            "octaves": [(e, 0.8 / parts, root + 12 * (i % 2)) for i, e in enumerate(eighths)],
            "sixteenths": [(e, 0.2, root) for e in np.arange(0, beats, 0.25 if parts == 2 else 1 / 3)],
            "off-beat": [(b + 0.5, 0.4, root) for b in range(beats)],
            "walking": [
                (b, 0.9, root if b == 0 else self.pitch(degree + self.one((1, 2, 4, 5, -1)), 2)) for b in range(beats)
            ],
            "syncopated": [(p, 0.4, self.one((root, root, fifth, root + 12))) for p in m.pulse if p < beats],
            "riff": [(r, 0.2, root) for r in m.riff if r < beats],
        }
        for i, (offset, long, pitch) in enumerate(lines[m.bass]):
            self.put(at + offset - (early if i == 0 else 0), long + (early if i == 0 else 0), BASS, pitch, m.loud)

    def _comp(self, at: float, beats: int, degree: int, m: "_Material", pushed: bool) -> None:
        if m.comp == "none":
            return
        chord, parts = self.chord(degree), self.metre.parts
        power = [self.pitch(degree, 3), self.pitch(degree, 3) + 7, self.pitch(degree, 3) + 12]
        eighths = np.arange(0, beats, 1 / parts)
        if m.comp == "arpeggio":
            per_beat = 2 * parts if m.fine and parts == 2 else parts
            order = [0, 1, 2, 1] if parts == 2 else [0, 1, 2]
            for i, offset in enumerate(np.arange(0, beats, 1 / per_beat)):
                accent = 1.0 if i == 0 else 0.7
                self.put(at + offset, 0.9 / per_beat, CHORDS, chord[order[i % len(order)]], accent * m.loud)
            return
        if m.comp == "cross":  # groups of three against the beat
            for i, offset in enumerate(np.arange(0, beats, 0.25 if parts == 2 else 1 / 3)):
                self.put(at + offset, 0.22, CHORDS, chord[i % 3], (1.0 if i % 3 == 0 else 0.6) * m.loud)
            return
        gallop = [o + g for o in range(beats) for g in ((0, 0.5, 0.75) if parts == 2 else (0, 1 / 3, 2 / 3))]
        hits = {
            "held": [(0, beats, 1.0)],
            "quarters": [(b, 0.9, 1.0 if b == 0 else 0.75) for b in range(beats)],
            "eighths": [(e, 0.8 / parts, 1.0 if e % 1 == 0 else 0.75) for e in eighths],
            "palm": [(e, 0.5 / parts, 1.0 if e % 1 == 0 else 0.8) for e in eighths],
            "gallop": [(g, 0.2, 1.0 if g % 1 == 0 else 0.8) for g in gallop],
            "off-beat": [(b + 0.5, 0.3, 0.9) for b in range(beats)],
            "oom-pah": [(b, 0.4, 0.8) for b in self._answers(beats)],
            "stabs": [(s, 0.3, 0.9) for s in m.stabs if s < beats],
            "riff": [(r, 0.2, 1.0) for r in m.riff if r < beats],
            "strum": [(e, 0.8 / parts, 1.0 if e in self.metre.strong else 0.65) for e in eighths
                      if e % 1 == 0 or (e * parts).round() % 4 != 1],
        }  # fmt: skip
        pitches = power if m.comp in ("palm", "gallop", "riff") or (30 in self.style.chord_programs) else chord
        channel = PAD if m.comp == "held" else CHORDS
        for i, (offset, long, loud) in enumerate(hits[m.comp]):
            early = 1 / parts if pushed and i == 0 and offset == 0 else 0.0
            for k, pitch in enumerate(pitches):
                strummed = 0.012 * k if m.comp == "strum" else 0.0
                self.put(at + offset - early + strummed, long + early, channel, pitch, loud * m.loud)

    def _answers(self, beats: int) -> list[float]:
        """Where the chord falls after the bass: the beats between, or the half beats where there are none."""
        if self.metre.parts == 3:
            return [b + 2 / 3 for b in range(beats)]
        between = [float(b) for b in range(beats) if b not in self.metre.strong]
        return between if self.metre.beats != 2 else [b + 0.5 for b in range(beats)]

    # ------------------------------------------------------------ from beats to seconds

    def _perform(self, edges: list[int]) -> Piece:
        n = self.metre.beats
        last_beat = edges[-1] * n
        lead_in = self.rng.uniform(0.05, 1.0)
        curve = self.one(self.style.curves)
        clock = lead_in + seconds_at(TEMPO_CURVES[curve](self.rng, last_beat, [edge * n for edge in edges]), self.tempo)

        def at(beat):
            return np.interp(beat, np.arange(len(clock)) * TICK, clock)

        jitter = self.rng.uniform(0.0, 0.008) * (self.rng.random() < 0.7)
        tightness = self.rng.uniform(0.03, 0.12)
        sung = self.chance(self.style.sung)
        late = self.rng.uniform(0.0, 0.03)  # seconds: singers lag and are less exact than players
        mix = {channel: self.rng.uniform(0.65, 1.0) for channel in (BASS, CHORDS, PAD, LEAD, DRUMS)}
        notes = []
        for beat, beats, channel, pitch, loud in self.written:
            start = at(swung(beat, self.swing)) + self.rng.normal(0, jitter)
            if sung and channel == LEAD:
                start += late + self.rng.normal(0, 0.025)
            end = max(at(swung(beat + beats, self.swing)), start + 0.04)
            velocity = int(np.clip(125 * mix[channel] * loud * (1 + self.rng.normal(0, tightness)), 20, 127))
            notes.append(Note(max(0.0, float(start)), float(end), channel, pitch, velocity))
        beats = np.arange(last_beat + n)  # the last chord lasts a bar
        labels = [label for label, _ in self.form]
        sections = [(float(at(a * n)), float(at(b * n)), label) for (a, b), label in zip(pairwise(edges), labels)]
        programs = {
            BASS: self.one(self.style.bass_programs),
            CHORDS: self.one(self.style.chord_programs),
            PAD: self.one((48, 50, 89, 90, 91)),
            LEAD: self.one(VOICES if sung else self.style.lead_programs),
            DRUMS: self.one(self.style.kits),
        }
        if 30 in self.style.chord_programs:
            programs[PAD] = programs[CHORDS]
        return Piece(
            notes=tuple(sorted(notes, key=lambda note: (note.start, note.channel, note.pitch))),
            programs=programs,
            beats=at(beats),
            positions=beats % n + 1,
            sections=tuple(sections),
            duration=float(at(last_beat + n) + 0.5),
            style=self.style_name,
            metre=self.metre_name,
            tempo_curve=curve,
        )


@dataclass(frozen=True)
class _Material:
    """What a section and its repeats are made of."""

    progression: tuple[int, ...]
    chord_bars: int
    split: bool  # two chords a bar
    groove: str
    pattern: list[float]
    comp: str
    bass: str
    stabs: list[float]
    pulse: list[float]
    motif: tuple[tuple[float, float, int], ...]
    loud: float
    fine: bool  # sixteenths in place of eighths
    push: bool
    riff: list[float]
    hats: str  # of HATS
    percussion: int


# ---------------------------------------------------------------- grooves

Hits = Iterator[tuple[float, int, float]]  # offset in the bar in beats, drum, loud 0..1


def _hats(metre: Metre, m: _Material, drum: int = CLOSED_HAT) -> Hits:
    per_beat = 2 * metre.parts if m.fine and metre.parts == 2 else metre.parts
    for offset in np.arange(0, metre.beats, 1 / per_beat):
        yield float(offset), drum, 0.7 if abs(offset - round(offset)) < 1e-6 else 0.45


def _backbeat(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from _hats(metre, m, RIDE if m.loud > 0.9 and m.fine else CLOSED_HAT)
    yield from ((s, KICK, 1.0) for s in metre.strong)
    yield from ((b, SNARE, 0.95) for b in metre.back)
    if bar % 2:
        yield metre.beats - 1 / metre.parts, KICK, 0.8


def _syncopated(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from _hats(metre, m)
    yield 0.0, KICK, 1.0
    yield from ((p, KICK, 0.85) for p in m.pattern)
    yield from ((b, CLAP if m.fine else SNARE, 0.95) for b in metre.back)


def _half(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from _hats(metre, m)
    yield 0.0, KICK, 1.0
    yield from ((p, KICK, 0.8) for p in m.pattern[:1])
    yield metre.beats // 2, SNARE, 1.0


def _skank(metre: Metre, m: _Material, bar: int) -> Hits:
    """Double time: a snare on every off-beat."""
    for beat in range(metre.beats):
        yield beat, KICK, 1.0
        yield beat + 1 / metre.parts, SNARE, 0.9
        yield beat, CLOSED_HAT if m.fine else RIDE, 0.6


def _four(metre: Metre, m: _Material, bar: int) -> Hits:
    for beat in range(metre.beats):
        yield beat, KICK, 1.0
        yield beat + 0.5, OPEN_HAT, 0.7
    if m.loud > 0.65:
        yield from ((b, CLAP, 0.8) for b in metre.back)
    if m.fine:
        yield from _hats(metre, m)


def _double_kick(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from ((float(o), KICK, 0.9) for o in np.arange(0, metre.beats, 0.25))
    yield from ((b, SNARE, 1.0) for b in metre.back)
    yield from ((b, RIDE if m.fine else CLOSED_HAT, 0.7) for b in range(metre.beats))


def _blast(metre: Metre, m: _Material, bar: int) -> Hits:
    for beat in range(metre.beats):
        for k in range(4 if m.fine else 2):
            yield beat + k / (4 if m.fine else 2), SNARE if k % 2 else KICK, 0.9
        yield beat, RIDE, 0.7


def _break(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from _hats(metre, m)
    for offset in (0, 0.5, 2.5) if bar % 2 == 0 else (0, 1.5, 2.5):
        yield offset, KICK, 0.95
    yield from ((b, SNARE, 1.0) for b in metre.back)
    yield from ((o, SNARE, 0.35) for o in (1.75, 2.25, 3.75))


def _one_drop(metre: Metre, m: _Material, bar: int) -> Hits:
    yield 2, KICK, 1.0
    yield 2, RIM, 0.9
    yield from _hats(metre, m)


def _ride(metre: Metre, m: _Material, bar: int) -> Hits:
    for beat in range(metre.beats):
        yield beat, RIDE, 0.75
        if beat in metre.back:
            yield beat + 0.5, RIDE, 0.55
            yield beat, PEDAL_HAT, 0.6
    yield 0, KICK, 0.5
    yield from ((p, SNARE, 0.35) for p in m.pattern[:1])


def _waltz(metre: Metre, m: _Material, bar: int) -> Hits:
    yield 0, KICK, 0.9
    yield from ((b, CLOSED_HAT if m.fine else SNARE, 0.5) for b in metre.back)


def _oom_pah(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from ((b, KICK, 0.9 if b == 0 else 0.75) for b in range(metre.beats))
    yield from ((b + 0.5, SNARE, 0.6) for b in range(metre.beats))


def _march(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from ((s, KICK, 0.95) for s in metre.strong)
    for beat in range(metre.beats):
        yield beat, SNARE, 0.7
        if beat in metre.back:
            yield from ((beat + part, SNARE, 0.5) for part in ((0.25, 0.5, 0.75) if m.fine else (0.5,)))


def _clave(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from ((o, RIM, 0.8) for o in ((0, 0.75, 1.5, 2.5, 3) if bar % 2 == 0 else (0, 1, 2, 2.75, 3.5)))
    yield from ((o, KICK, 0.8) for o in (0, 1.5, 2, 3.5))
    yield from _hats(metre, m, SHAKER)


def _toms(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from ((p, LOW_TOM, 0.8) for p in m.stabs)
    yield 0, KICK, 1.0


def _steppers(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from ((b, KICK, 0.95) for b in range(metre.beats))
    yield metre.beats // 2, RIM, 0.9
    yield from _hats(metre, m)


def _half_double(metre: Metre, m: _Material, bar: int) -> Hits:
    """Double kick under a snare at half time."""
    yield from ((float(o), KICK, 0.85) for o in np.arange(0, metre.beats, 0.25 if m.fine else 0.5))
    yield metre.beats // 2, SNARE, 1.0
    yield from ((b, CRASH if m.loud > 0.9 else OPEN_HAT, 0.7) for b in range(metre.beats))


def _train(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from ((s, KICK, 0.9) for s in metre.strong)
    for offset in np.arange(0, metre.beats, 0.25 if m.fine else 0.5):
        yield float(offset), SNARE, 0.9 if offset % 1 == 0.5 or offset in metre.back else 0.4


def _trap(metre: Metre, m: _Material, bar: int) -> Hits:
    """Few kicks, claps on two and four, hats that roll."""
    yield 0.0, KICK, 1.0
    yield from ((p, KICK, 0.9) for p in m.pattern)
    yield from ((b, CLAP if m.fine else SNARE, 1.0) for b in metre.back)
    rolled = {int(p) for p in m.pulse} if bar % 2 else set()
    for beat in range(metre.beats):
        for part in np.arange(0, 1, 1 / 8 if beat in rolled else 1 / 4):
            yield beat + float(part), CLOSED_HAT, 0.6 if part == 0 else 0.4


def _dembow(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from ((b, KICK, 1.0) for b in range(metre.beats))
    yield from ((b + o, SNARE, 0.9) for b in range(0, metre.beats - 1, 2) for o in (0.75, 1.5))
    if m.fine:
        yield from _hats(metre, m, m.percussion)


HATS = ("parts", "beats", "off-beats", "quarters", "none")


def _machine(metre: Metre, m: _Material, bar: int) -> Hits:
    """What a drum machine is given by chance: kicks of the section's pattern, a backbeat, any hats, a decoration."""
    yield 0.0, KICK, 1.0
    yield from ((p, KICK, 0.85) for p in (m.pattern if m.fine else m.pulse[1:]))
    backs = metre.back if m.push or m.fine or bar % 2 else (metre.back[-1],)
    yield from ((b, SNARE, 0.95) for b in backs)
    steps = {
        "parts": np.arange(0, metre.beats, 1 / metre.parts),
        "beats": np.arange(metre.beats),
        "off-beats": np.arange(metre.beats) + 0.5,
        "quarters": np.arange(0, metre.beats, 1 / 4),
        "none": [],
    }[m.hats]
    yield from ((float(s), OPEN_HAT if m.hats == "off-beats" else CLOSED_HAT, 0.6) for s in steps)
    yield from ((s, m.percussion, 0.6) for s in m.stabs[1:])


def _tambourine(metre: Metre, m: _Material, bar: int) -> Hits:
    yield from ((b, TAMBOURINE, 0.6) for b in metre.back)


GROOVES: dict[str, Callable[[Metre, _Material, int], Hits]] = {
    "backbeat": _backbeat, "syncopated": _syncopated, "half": _half, "skank": _skank, "four": _four,
    "double kick": _double_kick, "blast": _blast, "break": _break, "one drop": _one_drop, "ride": _ride,
    "waltz": _waltz, "oom-pah": _oom_pah, "march": _march, "clave": _clave, "toms": _toms, "tambourine": _tambourine,
    "steppers": _steppers, "half double": _half_double, "train": _train, "trap": _trap, "dembow": _dembow,
    "machine": _machine,
}  # fmt: skip

# ---------------------------------------------------------------- tempo


def swung(beat: float, swing: float) -> float:
    """The first half of a beat lasts `swing` of it: 0.5 is straight, 2/3 is triplets."""
    whole, part = divmod(beat, 1)
    return whole + (part * 2 * swing if part < 0.5 else swing + (part - 0.5) * 2 * (1 - swing))


def seconds_at(relative: np.ndarray, tempo: float) -> np.ndarray:
    """Seconds at every TICK of beats, from the tempo in units of `tempo` there."""
    pace = np.clip(tempo * relative, SLOWEST, FASTEST)
    return np.concatenate([[0.0], np.cumsum(60 * TICK / pace)])


def _ticks(last_beat: int) -> np.ndarray:
    return np.arange(0, last_beat + 16, TICK)


def _steady(rng: np.random.Generator, last_beat: int, edges: list[int]) -> np.ndarray:
    return np.ones(len(_ticks(last_beat)))


def _drift(rng: np.random.Generator, last_beat: int, edges: list[int]) -> np.ndarray:
    """A band without a click: up to a few percent, over phrases."""
    ticks = _ticks(last_beat)
    slow = sum(rng.normal() * np.sin(2 * np.pi * ticks / rng.uniform(12, 60) + rng.uniform(0, 6)) for _ in range(3))
    return np.exp(rng.uniform(0.005, 0.02) * slow)


def _ramp(rng: np.random.Generator, last_beat: int, edges: list[int]) -> np.ndarray:
    """Faster or slower by 8 to 30 % from somewhere to somewhere."""
    first, last = sorted(rng.uniform(0, last_beat, 2))
    last = max(last, min(first + 16, last_beat))
    change = rng.choice([-1, 1]) * rng.uniform(0.08, 0.26)
    return np.exp(change * np.clip((_ticks(last_beat) - first) / max(last - first, 1), 0, 1))


def _steps(rng: np.random.Generator, last_beat: int, edges: list[int]) -> np.ndarray:
    """A new tempo at one section."""
    at = edges[int(rng.integers(1, max(2, len(edges) - 1)))]
    return np.where(_ticks(last_beat) < at, 1.0, np.exp(rng.uniform(-0.12, 0.12)))


def _rubato(rng: np.random.Generator, last_beat: int, edges: list[int]) -> np.ndarray:
    """Phrases that hurry and linger, and a slower end."""
    ticks = _ticks(last_beat)
    phrase = 8 if rng.random() < 0.5 else 16
    breath = rng.uniform(0.03, 0.08) * -np.cos(2 * np.pi * ticks / phrase)
    return np.exp(breath - 0.2 * np.clip((ticks - last_beat + 6) / 6, 0, 1))


TEMPO_CURVES: dict[str, Callable[[np.random.Generator, int, list[int]], np.ndarray]] = {
    "steady": _steady,
    "drift": _drift,
    "ramp": _ramp,
    "steps": _steps,
    "rubato": _rubato,
}
