"""Composes and renders "First Light", the example song: python assets/song/compose.py [song.mp3]

Everything in it is made here: the tune, the drums, and a voice of formants that sings vowels. The same seed gives the
same song. D major, 112 beats per minute; intro, verse, chorus, verse, chorus, outro. Free for any use (CC0).
"""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

SR = 44100
TEMPO = 112.0
BEAT = 60 / TEMPO
BAR = 4 * BEAT
TAIL = 2.6  # seconds for the last chord to die away
SEED = 7

# (section, bars); times follow from it.
FORM = (("intro", 4), ("verse", 4), ("chorus", 8), ("verse", 4), ("chorus", 8), ("outro", 4))
CHORDS = {
    "Bm": (47, 59, 62, 66),
    "G": (43, 59, 62, 67),
    "D": (38, 57, 62, 66),
    "A": (45, 57, 61, 64),
}  # bass, then notes
PROGRESSIONS = {
    "intro": ("Bm", "G", "D", "A"),
    "verse": ("Bm", "G", "D", "A"),
    "chorus": ("G", "A", "Bm", "D", "G", "A", "D", "D"),
    "outro": ("G", "A", "D", "D"),
}
# What is sung: (beat in the section, length in beats, MIDI note, vowel).
VERSE_1 = (
    (0, 1, 66, "a"), (1, 0.5, 66, "i"), (1.5, 0.5, 64, "o"), (2, 1.5, 62, "e"),
    (4, 0.5, 62, "a"), (4.5, 0.5, 64, "e"), (5, 1, 66, "o"), (6, 1.5, 67, "a"),
    (8, 1, 69, "a"), (9, 0.5, 66, "i"), (9.5, 0.5, 64, "e"), (10, 1.5, 66, "o"),
    (12, 0.5, 64, "u"), (12.5, 0.5, 66, "a"), (13, 2.5, 64, "a"),
)  # fmt: skip
VERSE_2 = (
    (0, 0.5, 66, "o"), (0.5, 0.5, 66, "a"), (1, 0.5, 69, "i"), (1.5, 0.5, 66, "e"), (2, 1.5, 62, "a"),
    (4, 1, 67, "a"), (5, 0.5, 66, "i"), (5.5, 0.5, 64, "o"), (6, 1.5, 62, "e"),
    (8, 0.5, 66, "e"), (8.5, 0.5, 67, "i"), (9, 1, 69, "a"), (10, 1.5, 74, "o"),
    (12, 1, 73, "a"), (13, 0.5, 71, "e"), (13.5, 2, 69, "a"),
)  # fmt: skip
CHORUS = (
    (0, 1.5, 71, "o"), (1.5, 0.5, 69, "a"), (2, 1.5, 67, "a"), (3.5, 0.5, 67, "i"),
    (4, 1.5, 69, "e"), (5.5, 0.5, 71, "i"), (6, 1.75, 73, "a"),
    (8, 2, 74, "a"), (10, 1, 73, "o"), (11, 0.75, 71, "e"),
    (12, 3, 69, "a"),
    (16, 1.5, 71, "o"), (17.5, 0.5, 69, "a"), (18, 1.5, 67, "a"), (19.5, 0.5, 67, "i"),
    (20, 1, 69, "e"), (21, 1, 71, "i"), (22, 1.75, 73, "o"),
    (24, 3.5, 74, "a"), (28, 0.75, 69, "u"), (29, 2.25, 66, "a"),
)  # fmt: skip
TUNES = {1: VERSE_1, 2: CHORUS, 3: VERSE_2, 4: CHORUS}  # by place in FORM
# Lead synth where nobody sings: (beat, length, MIDI note).
LEAD = ((0, 1.5, 78), (1.5, 0.5, 76), (2, 2, 74), (4, 1.5, 76), (5.5, 0.5, 74), (6, 2, 71),
        (8, 1.5, 74), (9.5, 0.5, 76), (10, 2, 78), (12, 1, 81), (13, 3, 76))  # fmt: skip
# Formants: (centre in Hz, bandwidth in Hz, gain), a high voice; after Peterson and Barney 1952 and Klatt 1980.
VOWELS = {
    "a": ((850, 90, 1.0), (1350, 110, 0.6), (2800, 160, 0.25), (3900, 220, 0.12)),
    "e": ((560, 80, 1.0), (2100, 120, 0.45), (2900, 160, 0.28), (4000, 220, 0.12)),
    "i": ((330, 70, 1.0), (2650, 130, 0.4), (3300, 170, 0.3), (4100, 220, 0.12)),
    "o": ((540, 80, 1.0), (930, 100, 0.55), (2750, 160, 0.14), (3800, 220, 0.07)),
    "u": ((370, 70, 1.0), (820, 100, 0.35), (2600, 160, 0.08), (3700, 220, 0.05)),
}


def main(path: str | None = None) -> None:
    path = Path(path) if path else Path(__file__).with_name("first_light.mp3")
    save(path, compose(np.random.default_rng(SEED)))
    print(f"{path}: {length():.1f} s, {path.stat().st_size / 2**20:.2f} MiB")


def compose(rng: np.random.Generator) -> np.ndarray:
    """The mastered song, (n, 2) float64 in -1..1."""
    kick, snare, hats = drums(rng)
    duck = ducking(kick)
    voice, harmonies = sing(rng), harmony(rng)
    dry = (
        1.0 * centre(kick)
        + 0.55 * centre(snare)
        + 0.20 * hats
        + 0.50 * centre(bass() * duck)
        + 0.30 * pads(rng) * duck[:, None]
        + 0.22 * echo(arpeggio())
        + 0.20 * echo(lead())
        + 1.15 * centre(voice)
        + 0.20 * harmonies
    )
    wet = 0.35 * centre(snare) + 0.5 * arpeggio() + 0.4 * lead() + 0.55 * centre(voice) + 0.4 * harmonies
    return master((dry + 0.16 * reverb(wet, rng)) * dynamics()[:, None])


# ---------------------------------------------------------------- time and form


def length() -> float:
    return sum(bars for _, bars in FORM) * BAR + TAIL


def silence(channels: int | None = None) -> np.ndarray:
    n = int(length() * SR)
    return np.zeros(n) if channels is None else np.zeros((n, channels))


def places():
    """(place in FORM, section, its first beat, its bars)."""
    beat = 0
    for place, (section, bars) in enumerate(FORM):
        yield place, section, beat, bars
        beat += 4 * bars


def bars():
    """(section, beat of the bar, bar in the section, bars of the section, chord)."""
    for _, section, beat, count in places():
        for bar in range(count):
            yield section, beat + 4 * bar, bar, count, CHORDS[PROGRESSIONS[section][bar % len(PROGRESSIONS[section])]]


def put(track: np.ndarray, beat: float, sound: np.ndarray) -> None:
    start = round(beat * BEAT * SR)
    stop = min(start + len(sound), len(track))
    if stop > start:
        track[start:stop] += sound[: stop - start]


def hertz(note: float | np.ndarray) -> float | np.ndarray:
    return 440 * 2 ** ((np.asarray(note) - 69) / 12)


def seconds(duration: float) -> np.ndarray:
    return np.arange(int(duration * SR)) / SR


def filtered(x: np.ndarray, kind: str, frequency, order: int = 2) -> np.ndarray:
    return sosfilt(butter(order, frequency, kind, fs=SR, output="sos"), x, axis=0)


def centre(x: np.ndarray) -> np.ndarray:
    return np.stack([x, x], 1)


def panned(x: np.ndarray, place: float) -> np.ndarray:
    """place -1 left .. 1 right, equal power."""
    angle = (place + 1) * np.pi / 4
    return np.stack([np.cos(angle) * x, np.sin(angle) * x], 1) * np.sqrt(2)


# ---------------------------------------------------------------- drums


def drums(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    kicks, snares, hats = silence(), silence(), silence(2)
    kick, snare, closed, open_hat, crash = kick_sound(), snare_sound(rng), *cymbals(rng)
    for section, beat, bar, count, _ in bars():
        last = bar == count - 1
        for offset in {"intro": (0,) if bar >= 2 else (), "verse": (0, 2, 2.5), "outro": (0, 2)}.get(
            section, (0, 1, 2, 3)
        ):
            if not (section == "outro" and last and offset):
                put(kicks, beat + offset, kick)
        for offset in (1, 3) if section in ("verse", "chorus") or (section == "outro" and not last) else ():
            put(snares, beat + offset, snare)
        if last and section in ("intro", "verse"):  # a fill into what comes
            for offset, loud in ((2.5, 0.5), (3, 0.0), (3.25, 0.6), (3.5, 0.75), (3.75, 0.9)):
                put(snares, beat + offset, loud * snare)
        steps = np.arange(0, 4, 0.5) if section != "chorus" else np.arange(0, 4, 0.25)
        for step in steps if section != "outro" or not last else ():
            loud = (1.0 if step % 1 == 0 else 0.6 if step % 0.5 == 0 else 0.35) * rng.uniform(0.85, 1.0)
            if section != "intro" or bar >= 2:
                put(hats, beat + step, panned(loud * closed, 0.25))
            if section == "chorus" and step % 1 == 0.5:
                put(hats, beat + step, panned(0.5 * open_hat, -0.3))
        if bar == 0 and section in ("chorus", "outro"):
            put(hats, beat, panned(1.6 * crash, -0.15))
    return kicks, snares, hats


def kick_sound() -> np.ndarray:
    t = seconds(0.32)
    pitch = 46 + 130 * np.exp(-t / 0.028)
    body = np.sin(2 * np.pi * np.cumsum(pitch) / SR) * np.exp(-t / 0.11)
    return 0.95 * np.tanh(1.6 * body) + 0.25 * np.sin(2 * np.pi * 1800 * t) * np.exp(-t / 0.003)


def snare_sound(rng: np.random.Generator) -> np.ndarray:
    t = seconds(0.28)
    noise = filtered(rng.standard_normal(len(t)), "bandpass", (900, 9000)) * np.exp(-t / 0.075)
    return 0.7 * noise + 0.6 * np.sin(2 * np.pi * (185 + 60 * np.exp(-t / 0.02)) * t) * np.exp(-t / 0.06)


def cymbals(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Closed hat, open hat, crash."""

    def noise(duration: float, decay: float, above: float) -> np.ndarray:
        t = seconds(duration)
        return filtered(rng.standard_normal(len(t)), "highpass", above, 4) * np.exp(-t / decay)

    return noise(0.09, 0.022, 7000), noise(0.3, 0.1, 6500), noise(2.2, 0.6, 4500)


def ducking(kick: np.ndarray) -> np.ndarray:
    """Gain that makes room for the kick, 0.35..1."""
    envelope = lfilter([1], [1, -np.exp(-1 / (0.06 * SR))], np.abs(kick)) / (0.02 * SR)
    return 1 - 0.65 * np.clip(envelope, 0, 1)


# ---------------------------------------------------------------- bass, chords, lead


def saw(frequency: float | np.ndarray, t: np.ndarray, partials: int = 24) -> np.ndarray:
    """Band-limited sawtooth by its partials."""
    out = np.zeros(len(t))
    for k in range(1, min(partials, int(0.4 * SR / frequency)) + 1):
        out += np.sin(2 * np.pi * k * frequency * t) / k
    return out


def shaped(sound: np.ndarray, attack: float, release: float) -> np.ndarray:
    """Linear attack and release, in seconds, inside the sound."""
    t = np.arange(len(sound)) / SR
    return sound * np.clip(t / attack, 0, 1) * np.clip((len(sound) / SR - t) / release, 0, 1)


def bass() -> np.ndarray:
    track = silence()
    for section, beat, bar, count, chord in bars():
        if section == "intro" and bar < 2:
            continue
        last = section == "outro" and bar == count - 1
        steps = (0,) if last else (0, 1.5, 2, 3.5) if section != "chorus" else np.arange(0, 4, 0.5)
        for i, step in enumerate(steps):
            long = (
                BAR + TAIL - 0.2 if last else BEAT * (0.46 if section == "chorus" else 1.3 if step in (0, 2) else 0.45)
            )
            note = chord[0] + (12 if section == "chorus" and i % 2 else 0) - (12 if chord[0] > 46 else 0)
            t = seconds(long)
            sound = np.sin(2 * np.pi * hertz(note) * t) + 0.35 * saw(hertz(note), t, 8) * np.exp(-t / 0.25)
            put(track, beat + step, shaped(sound, 0.006, min(0.06, long / 3)) * (np.exp(-t / 1.2) if last else 1))
    return track


def pads(rng: np.random.Generator) -> np.ndarray:
    track = silence(2)
    for section, beat, bar, count, chord in bars():
        last = section == "outro" and bar == count - 1
        t = seconds(BAR + (TAIL - 0.1 if last else 0.25))
        dark = {"intro": 1100, "verse": 1500, "chorus": 3200, "outro": 1300}[section]
        for note in chord[1:]:
            for side in (-0.8, 0.8):
                detuned = hertz(note) * 2 ** (rng.uniform(-9, 9) / 1200)
                sound = filtered(saw(detuned, t + rng.uniform(0, 1), 16), "lowpass", dark)
                sound = shaped(sound, 0.08, 2.2 if last else 0.25)
                put(track, beat, 0.16 * panned(sound, side))
    return track


def arpeggio() -> np.ndarray:
    """A bell in sixteenths: two-operator FM."""
    track = silence(2)
    for section, beat, bar, count, chord in bars():
        if section == "outro" and bar == count - 1:
            continue
        notes = [*(n + 12 for n in chord[1:]), chord[2] + 24]
        step = 0.5 if section == "verse" else 0.25
        for i, offset in enumerate(np.arange(0, 4, step)):
            t, f = seconds(0.4), hertz(notes[(i * 3 + i // 4) % len(notes)])
            sound = np.sin(2 * np.pi * f * t + 1.4 * np.exp(-t / 0.09) * np.sin(2 * np.pi * 3 * f * t)) * np.exp(
                -t / 0.13
            )
            loud = {"intro": 0.8, "verse": 0.5, "chorus": 0.55, "outro": 0.8}[section] * (1 if i % 4 == 0 else 0.7)
            put(track, beat + offset, panned(loud * shaped(sound, 0.003, 0.05), 0.7 * np.sin(1.7 * i + bar)))
    return track


def lead() -> np.ndarray:
    track = silence(2)
    for _, section, beat, _ in places():
        for at, long, note in LEAD if section in ("intro", "outro") else ():
            t = seconds(long * BEAT * 0.95)
            vibrato = 1 + 0.004 * np.sin(2 * np.pi * 5.2 * t) * np.clip(t / 0.3, 0, 1)
            phase = 2 * np.pi * np.cumsum(hertz(note - 12) * vibrato) / SR
            sound = sum(np.sin(k * phase) / k**1.6 for k in (1, 3, 5, 7)) * np.exp(-t / 1.2)
            put(track, beat + at, panned(0.8 * shaped(sound, 0.012, 0.09), 0.3))
    return track


# ---------------------------------------------------------------- the voice


def sung_notes():
    """(start and end in seconds, MIDI note, vowel) of the whole song."""
    for place, _, beat, _ in places():
        for at, long, note, vowel in TUNES.get(place, ()):
            yield (beat + at) * BEAT, (beat + at + long) * BEAT, note, vowel


def sing(rng: np.random.Generator, transpose=lambda note: 0, only=lambda start: True) -> np.ndarray:
    """Additive voice: partials of a gliding pitch with vibrato, weighted by formants that glide from vowel to vowel."""
    notes = [n for n in sung_notes() if only(n[0])]
    rate, hop = SR / 128, 128
    times = np.arange(int(length() * rate) + 1) / rate
    pitch, formants, loud = np.zeros(len(times)), np.zeros((len(times), 4, 3)), np.zeros(len(times))
    for start, end, note, vowel in notes:
        span = (times >= start - 0.02) & (times < end + 0.25)
        pitch[span] = note + transpose(note)
        formants[span] = VOWELS[vowel]
        t = times - start
        opened = np.clip(t / 0.07, 0, 1) * np.clip((end - 0.06 - times) / 0.08, 0, 1)  # closes a little for a consonant
        loud = np.maximum(loud, opened * (0.85 + 0.15 * np.sin(np.pi * np.clip(t / (end - start), 0, 1))))
    sings = pitch > 0
    known = np.flatnonzero(sings)
    pitch = smooth(np.interp(np.arange(len(times)), known, pitch[known]), 0.035 * rate)
    formants = np.stack([smooth(np.interp(np.arange(len(times)), known, f[known]), 0.03 * rate)
                         for f in formants.reshape(len(times), -1).T], 1).reshape(formants.shape)  # fmt: skip
    held = smooth((loud > 0.5).astype(float), 0.15 * rate) ** 2
    drift = smooth(rng.standard_normal(len(times)), 0.06 * rate) * 0.9
    pitch = pitch + 0.28 * held * np.sin(2 * np.pi * 5.4 * times + 0.6 * drift) + 0.12 * drift
    return voiced(hertz(pitch), formants, smooth(loud, 0.008 * rate), hop, rng)


def smooth(x: np.ndarray, width: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter1d

    return gaussian_filter1d(x, width)


def voiced(f0: np.ndarray, formants: np.ndarray, loud: np.ndarray, hop: int, rng: np.random.Generator) -> np.ndarray:
    n = int(length() * SR)
    grid, fine = np.arange(len(f0)) * hop, np.arange(n)
    phase = 2 * np.pi * np.cumsum(np.interp(fine, grid, f0)) / SR
    out = np.zeros(n)
    for k in range(1, 33):
        gain = resonance(k * f0, formants) * k**-0.75 * (k * f0 < 9000)
        out += np.interp(fine, grid, gain * loud) * np.sin(k * phase)
    breath = filtered(rng.standard_normal(n), "bandpass", (2500, 9000)) * np.interp(fine, grid, loud)
    return 0.5 * out / np.abs(out).max() + 0.006 * breath


def resonance(frequency: np.ndarray, formants: np.ndarray) -> np.ndarray:
    centre, width, gain = (formants[:, :, i] for i in range(3))
    return (gain / (1 + ((frequency[:, None] - centre) / (0.9 * width)) ** 2) ** 0.75).sum(1) + 0.02


def harmony(rng: np.random.Generator) -> np.ndarray:
    """A second and a third voice below, wide, in the choruses: the nearest chord-scale note a third or a sixth down."""
    chorus = [(beat * BEAT, (beat + 4 * bars) * BEAT) for _, section, beat, bars in places() if section == "chorus"]
    scale = {n % 12 for n in (62, 64, 66, 67, 69, 71, 73)}

    def below(steps: int):
        def interval(note: int) -> int:
            degrees = [n for n in range(note, note - 24, -1) if n % 12 in scale]
            return degrees[steps] - note

        return interval

    def inside(start: float) -> bool:
        return any(a <= start < b for a, b in chorus)

    return panned(sing(rng, below(2), inside), -0.75) + panned(sing(rng, below(5), inside), 0.75)


# ---------------------------------------------------------------- space and master


def echo(x: np.ndarray) -> np.ndarray:
    """Ping-pong, dotted eighths."""
    delay, out = round(0.75 * BEAT * SR), x.copy()
    for times in (1, 2, 3):
        tap = np.zeros_like(x)
        tap[delay * times :] = x[: len(x) - delay * times, :: (-1) ** times]
        out += 0.38**times * tap
    return out


def dynamics() -> np.ndarray:
    """Gain over the song: verses step back so that choruses can open."""
    gain = np.ones(int(length() * SR))
    for _, section, beat, bars in places():
        level = {"intro": 0.6, "verse": 0.68, "chorus": 1.0, "outro": 0.7}[section]
        gain[round(beat * BEAT * SR) : round((beat + 4 * bars) * BEAT * SR)] = level
    gain[round(4 * sum(bars for _, bars in FORM) * BEAT * SR) :] = 0.7
    return smooth(gain, 0.02 * SR)


def reverb(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    t = seconds(1.8)
    room = filtered(rng.standard_normal((len(t), 2)), "lowpass", 6500) * np.exp(-t / 0.38)[:, None]
    room[: int(0.012 * SR)] = 0
    return fftconvolve(x, room, axes=0)[: len(x)] / np.sqrt((room**2).sum() / 2)


def master(mix: np.ndarray, target_rms: float = 0.15) -> np.ndarray:
    mix = filtered(mix, "highpass", 28)
    mix = mix + 0.25 * filtered(mix, "highpass", 5500, 1)
    for _ in range(4):  # drive until the soft limiter's output is as loud as wanted
        mix *= target_rms / np.sqrt((np.tanh(mix) ** 2).mean())
    out = np.tanh(mix)
    fade = np.clip((len(out) - np.arange(len(out))) / (1.2 * SR), 0, 1)[:, None]
    return 0.89 * out / np.abs(out).max() * fade


def save(path: Path, song: np.ndarray) -> None:
    import av

    samples = np.ascontiguousarray(song.T, np.float32)
    unfinished = path.with_name(f".unfinished.{path.name}")  # nobody ever sees half a song
    with av.open(str(unfinished), "w") as file:
        file.metadata.update(title="First Light", artist="MV Studio", comment="composed and synthesised by compose.py")
        stream = file.add_stream("libmp3lame", rate=SR, layout="stereo")
        stream.bit_rate = 144_000
        for start in range(0, samples.shape[1], 1152):
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[:, start : start + 1152]), "fltp", "stereo")
            frame.sample_rate, frame.pts, frame.time_base = SR, start, Fraction(1, SR)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    unfinished.replace(path)


if __name__ == "__main__":
    main(*sys.argv[1:])
