"""Composed pieces → sound: by FluidSynth with the soundfonts of this machine, or by a plain synthesizer of our own.

FluidSynth and its soundfonts are only for whoever measures or trains; nothing of the program calls them. On Debian,
apt-get install fluidsynth fluid-soundfont-gm for training (see mv.train.beats.LICENCES). For measuring on sounds that
nothing was fitted on also timgm6mb-soundfont (GPL-2), opl3-soundfont (GPL-3+) and musescore-general-soundfont-lossless
(MIT).
"""

import shutil
import struct
import subprocess
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from scipy.signal import lfilter

from mv.analysis.features import SR
from mv.errors import InputError
from mv.train.composer import CRASH, DRUMS, KICK, LOW_TOM, OPEN_HAT, RIDE, SNARE, VOICES, Note, Piece, compose

SOUNDFONTS = Path("/usr/share/sounds/sf2")
PLAIN = "plain"
TICKS = 4000  # a second
LEVEL = 0.12  # RMS of a finished piece


def instruments() -> list[str]:
    """What pieces can be played on here: PLAIN, and the paths of the soundfonts where FluidSynth is installed."""
    fonts = sorted(SOUNDFONTS.glob("*.sf2")) if shutil.which("fluidsynth") else []
    return [PLAIN, *(str(font) for font in fonts if not font.is_symlink())]


def recording(seed: int, seconds: float = 40.0, among: list[str] | None = None) -> tuple[Piece, np.ndarray]:
    """The piece of a seed and its sound (n, 2) at SR, played on one of `among` (default: all there are), mastered."""
    piece = compose(seed, seconds)
    rng = np.random.default_rng([seed, 1])
    available = among or instruments()
    return piece, master(play(piece, available[int(rng.integers(len(available)))]), rng)


def play(piece: Piece, instrument: str) -> np.ndarray:
    """(n, 2) float32 at SR. Raises InputError where FluidSynth fails."""
    y = _performed(piece, instrument)
    return (LEVEL * y / _level(y)).astype(np.float32)


def stems(piece: Piece, instrument: str) -> list[np.ndarray]:
    """The drums and all the rest, each (n, 2) float32 at SR, as loud beside each other as `play` plays them."""
    parts = [
        replace(piece, notes=tuple(note for note in piece.notes if (note.channel == DRUMS) == drums))
        for drums in (True, False)
    ]
    sounds = [_performed(part, instrument) for part in parts]
    level = _level(sum(sounds))
    return [(LEVEL * y / level).astype(np.float32) for y in sounds]


def _performed(piece: Piece, instrument: str) -> np.ndarray:
    y = _plain(piece) if instrument == PLAIN else _fluidsynth(piece, instrument)
    n = int(piece.duration * SR)
    return np.pad(y[:n], ((0, max(0, n - len(y))), (0, 0)))


def _level(y: np.ndarray) -> float:
    return max(float(np.sqrt((y**2).mean())), 1e-6)


def master(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n, 2) as records differ: tilted, driven, with noise, or left alone."""
    if rng.random() < 0.5:
        edge = np.exp(-2 * np.pi * rng.uniform(300, 3000) / SR)
        low = lfilter([1 - edge], [1, -edge], y, axis=0)
        y = 10 ** (rng.uniform(-9, 6) / 20) * low + 10 ** (rng.uniform(-6, 6) / 20) * (y - low)
    if rng.random() < 0.5:
        drive = rng.uniform(1, 6)
        y = np.tanh(drive * y) / np.sqrt(drive)
    if rng.random() < 0.3:
        y = y + rng.uniform(0, 0.008) * rng.standard_normal(y.shape)
    return (LEVEL * y / _level(y)).astype(np.float32)


# ---------------------------------------------------------------- FluidSynth


def _fluidsynth(piece: Piece, soundfont: str) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        song, sound = Path(folder) / "piece.mid", Path(folder) / "piece.raw"
        song.write_bytes(midi(piece))
        command = ["fluidsynth", "-niq", "-F", str(sound), "-T", "raw", "-O", "s16", "-r", str(SR), "-g", "0.4",
                   "-o", "synth.dynamic-sample-loading=1", soundfont, str(song)]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode or not sound.exists():
            reason = (done.stderr or done.stdout).strip()[-300:]
            raise InputError(f"{soundfont}: FluidSynth could not play it: {reason}")
        samples = np.frombuffer(sound.read_bytes(), "<i2").reshape(-1, 2)
    return samples.astype(np.float32) / 32768


def midi(piece: Piece) -> bytes:
    """The piece as a standard MIDI file of one track, TICKS a second."""
    events = [(0, bytes([0xC0 | channel, program])) for channel, program in piece.programs.items()]
    for note in piece.notes:
        events.append((round(note.start * TICKS), bytes([0x90 | note.channel, note.pitch, note.velocity])))
        events.append((round(note.end * TICKS), bytes([0x80 | note.channel, note.pitch, 0])))
    track, now = b"\x00\xff\x51\x03" + (1_000_000).to_bytes(3, "big"), 0
    for tick, message in sorted(events, key=lambda event: (event[0], event[1][0] & 0xF0)):  # offs before ons
        track += _variable_length(tick - now) + message
        now = tick
    track += b"\x00\xff\x2f\x00"
    return b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS) + b"MTrk" + struct.pack(">I", len(track)) + track


def _variable_length(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(out[::-1])


# ---------------------------------------------------------------- a synthesizer


def _plain(piece: Piece) -> np.ndarray:
    """Six partials a note, noise and swept sines for drums; channels stand beside each other in the room."""
    y = np.zeros((int((piece.duration + 3) * SR), 2))
    rng = np.random.default_rng(0)
    for note in piece.notes:
        program = piece.programs.get(note.channel, 0)
        sound = _drum(note, rng) if note.channel == DRUMS else _tone(note, program)
        place = {DRUMS: 0.5, 0: 0.5, 1: 0.3, 2: 0.65, 3: 0.55}[note.channel]
        start = int(note.start * SR)
        gains = (note.velocity / 127) ** 1.5 * np.array([1 - place, place])
        y[start : start + len(sound)] += sound[: len(y) - start, None] * gains
    return y


def _tone(note: Note, program: int) -> np.ndarray:
    held = 16 <= program < 24 or 40 <= program < 45 or 48 <= program < 104
    attack = 0.15 if 88 <= program < 96 else 0.05 if 40 <= program < 56 else 0.004
    t = np.arange(int((note.end - note.start + 0.15) * SR)) / SR
    frequency = 440 * 2 ** ((note.pitch - 69) / 12)
    if program in VOICES:
        return _sung(note, t, frequency)
    decay = 1.0 if held else np.exp(-t / (0.25 + 60 / frequency))
    envelope = np.clip(t / attack, 0, 1) * np.clip((t[-1] - t) / 0.12, 0, 1) * decay
    wave = _wave(min(6, int(0.45 * SR / frequency)), program == 80, program in (29, 30))
    return 0.2 * envelope * wave[(len(wave) * frequency * t).astype(int) % len(wave)]


VOWELS = ((800, 1150, 2900), (350, 2000, 2800), (450, 800, 2830), (325, 700, 2700))  # Hz: first formants of a, e, o, u


def _sung(note: Note, t: np.ndarray, frequency: float) -> np.ndarray:
    """A vowel that slides to its note and trembles."""
    slide = frequency * (1 - 0.06 * np.exp(-t / 0.05)) * (1 + 0.012 * np.sin(34 * t) * np.clip(t / 0.4, 0, 1))
    phase = np.cumsum(slide) / SR
    partials = np.arange(1, max(2, min(24, int(0.45 * SR / frequency))))
    formants = np.array(VOWELS[(note.pitch + note.velocity) % len(VOWELS)])
    loud = np.exp(-(((partials[:, None] * frequency - formants) / 180) ** 2)) @ [1.0, 0.6, 0.3] + 0.05 / partials
    period = np.sin(2 * np.pi * np.outer(np.arange(1024) / 1024, partials)) @ loud
    envelope = np.clip(t / 0.05, 0, 1) * np.clip((t[-1] - t) / 0.12, 0, 1)
    return 0.35 * envelope * period[(1024 * phase).astype(int) % 1024]


@cache
def _wave(partials: int, hollow: bool, driven: bool) -> np.ndarray:
    """One period of the first partials of a sawtooth, the odd ones of them, or all overdriven."""
    phase = 2 * np.pi * np.arange(1024) / 1024
    y = sum(np.sin(k * phase) / k for k in range(1, partials + 1, 2 if hollow else 1))
    return np.tanh(4 * y) if driven else y


def _drum(note: Note, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(int(0.3 * SR)) / SR
    noise = rng.standard_normal(len(t))
    bright = np.diff(noise, prepend=0)
    if note.pitch == KICK:
        return 1.2 * np.sin(2 * np.pi * (50 * t - 4 * np.exp(-t / 0.03))) * np.exp(-t / 0.1)
    if LOW_TOM <= note.pitch <= 50 and note.pitch % 2 and note.pitch != CRASH:  # toms have the odd numbers
        pitch = 90 + 12 * (note.pitch - LOW_TOM)
        return np.sin(2 * np.pi * pitch * t) * np.exp(-t / 0.12)
    decay = {SNARE: 0.07, CRASH: 0.4, RIDE: 0.12, OPEN_HAT: 0.12}.get(note.pitch, 0.03)
    if note.pitch in (SNARE, 37, 39):
        return 0.5 * (noise + np.sin(2 * np.pi * 190 * t)) * np.exp(-t / decay)
    return 0.25 * bright * np.exp(-t / decay)
