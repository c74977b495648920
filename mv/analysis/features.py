"""Spectra of a song, computed block by block, and the curves the film follows.

Everything is heard at SR; one audio frame every HOP samples, centred on sample i * HOP.
"""

from dataclasses import dataclass

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

SR = 22050
HOP = 256
FRAME_RATE = SR / HOP  # 86.1 audio frames a second
CURVE_HOP = 2  # audio frames per value of a curve
FEATURE_RATE = FRAME_RATE / CURVE_HOP  # 43.07 Hz
N_FFT = 1024  # 46 ms: drums stay sharp
N_FFT_TONAL = 4096  # 186 ms: bass notes and chords come apart
BLOCK = 1024  # audio frames at a time: memory does not grow with the song
N_BASS, N_MELS = 8, 72
CHROMA_HOP = 4  # audio frames per row of chroma
BANDS = {"low": (25, 150), "mid": (150, 2500), "high": (2500, 10000)}  # Hz: kick and bass, voices, cymbals


@dataclass(frozen=True)
class Spectra:
    """What the ear gets, t audio frames: magnitudes of bass and mel bands, power of BANDS, chroma."""

    bass: np.ndarray  # (t, 8)
    mel: np.ndarray  # (t, 72)
    power: np.ndarray  # (t, 3)
    chroma: np.ndarray  # (t / CHROMA_HOP, 12), power

    def __len__(self) -> int:
        return len(self.mel)

    @property
    def loudness(self) -> np.ndarray:
        """(t,) dB of the whole sound, -100 for silence."""
        return 10 * np.log10(self.power.sum(1) + 1e-10)


def spectra(y: np.ndarray) -> Spectra:
    """y (n,) or (n, channels), whose mean is heard, at SR; returns 1 + n // HOP audio frames."""
    import librosa

    mel = librosa.filters.mel(sr=SR, n_fft=N_FFT, n_mels=N_MELS, fmin=30, fmax=10000).T
    bass = librosa.filters.mel(sr=SR, n_fft=N_FFT_TONAL, n_mels=N_BASS, fmin=30, fmax=220).T
    # Chords live in the middle octaves; a Gaussian over octaves keeps drums and hiss out.
    chroma = librosa.filters.chroma(sr=SR, n_fft=N_FFT_TONAL, ctroct=4.5, octwidth=1.5, tuning=tuning(y)).T
    bands = _band_masks()
    t = 1 + len(y) // HOP
    rows = (t, t, t, -(-t // CHROMA_HOP))
    heard = Spectra(*(np.empty((n, x.shape[1]), np.float32) for n, x in zip(rows, (bass, mel, bands, chroma))))
    for start in range(0, t, BLOCK):
        here, coarse = slice(start, start + BLOCK), slice(start // CHROMA_HOP, (start + BLOCK) // CHROMA_HOP)
        short, tonal = magnitudes(y, start, N_FFT), magnitudes(y, start, N_FFT_TONAL)
        heard.bass[here], heard.mel[here], heard.power[here] = tonal @ bass, short @ mel, short**2 @ bands
        heard.chroma[coarse] = tonal[::CHROMA_HOP] ** 2 @ chroma
    return heard


def magnitudes(y: np.ndarray, start: int, n_fft: int, hop_length: int = HOP) -> np.ndarray:
    """Up to BLOCK rows (frames, 1 + n_fft // 2) of |STFT| from audio frame `start` on, Hann window; y as in `spectra`.

    Scaled so that a sine of amplitude 1 has magnitude 0.5 at its peak, whatever n_fft is.
    """
    stop = min(start + BLOCK, 1 + len(y) // hop_length)
    first = start * hop_length - n_fft // 2
    last = (stop - 1) * hop_length + n_fft // 2
    piece = y[max(first, 0) : last]
    piece = piece if piece.ndim == 1 else piece.mean(1)
    piece = np.pad(piece, (max(-first, 0), max(last - len(y), 0)))
    window = np.hanning(n_fft + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(piece, n_fft)[::hop_length] * (window / window.sum())
    return np.abs(fft.rfft(frames, axis=1))


def tuning(y: np.ndarray) -> float:
    """Deviation from A440 in fractions of a semitone, -0.5..0.5: the circular mean over the spectral peaks."""
    total = 0j
    bins = np.arange(1, N_FFT_TONAL // 2)
    for start in range(0, 1 + len(y) // 4096, BLOCK):
        spectrum = np.log(magnitudes(y, start, N_FFT_TONAL, hop_length=4096) + 1e-9)
        left, middle, right = spectrum[:, :-2], spectrum[:, 1:-1], spectrum[:, 2:]
        peak = (middle > left) & (middle >= right) & (middle > np.log(1e-3))
        peak &= (bins > 100 * N_FFT_TONAL / SR) & (bins < 2000 * N_FFT_TONAL / SR)
        t, k = np.nonzero(peak)
        bend = (left - right)[t, k] / (2 * (left + right - 2 * middle)[t, k] - 1e-12)  # parabola through the peak
        semitones = 12 * np.log2((bins[k] + bend) * SR / N_FFT_TONAL / 440)
        total += (np.exp(middle[t, k]) * np.exp(2j * np.pi * semitones)).sum()
    return float(np.angle(total) / (2 * np.pi)) if total else 0.0


def _band_masks() -> np.ndarray:
    frequencies = np.arange(1 + N_FFT // 2) * SR / N_FFT
    return np.stack([(frequencies >= low) & (frequencies < high) for low, high in BANDS.values()], 1).astype(np.float32)


# ---------------------------------------------------------------- curves


def curves(heard: Spectra, activation: np.ndarray) -> dict[str, np.ndarray]:
    """The curves of mv.schema.CURVES but the singer's, each (ceil(t / CURVE_HOP),) in 0..1, normalised per song.

    activation: (t,) beat activation of mv.analysis.beats.
    """
    level = 10 * np.log10(heard.power + 1e-10)
    sounding = level.max() > -70
    result = {name: pulse(level[:, i]) if sounding else level[:, i] * 0 for i, name in enumerate(BANDS)}
    result["onset"] = np.clip(release(activation, 0.08), 0, 1)
    result["energy"] = energy(heard.loudness)
    result["brightness"] = brightness(heard) if sounding else level[:, 0] * 0
    return {name: on_curve_grid(curve) for name, curve in result.items()}


def on_curve_grid(curve: np.ndarray) -> np.ndarray:
    """The louder of each audio frame and its successor, so that no short peak falls between two values."""
    return np.maximum(curve[::CURVE_HOP], np.append(curve, curve[-1])[1::CURVE_HOP][: len(curve[::CURVE_HOP])])


def pulse(level: np.ndarray) -> np.ndarray:
    """Band level in dB → stage light, 0..1: a base that follows the level, and a flash on each attack that dies away.

    Without the flash a kick under a sustained bass would not show.
    """
    base = between(level, 10, 98, least=24)
    rise = np.maximum(level[2:] - maximum_filter1d(level, 3)[:-2], 0)  # dB; no tremolo
    attack = release(np.concatenate([[0, 0], np.minimum(rise, 20)]) * base, 0.16)
    return np.clip(0.4 * base + 0.6 * between(attack, 5, 97, least=1.0), 0, 1) * (base > 0)


def release(envelope: np.ndarray, seconds: float) -> np.ndarray:
    """Instant attack, exponential release to 1/e in so many seconds."""
    fall = np.arange(len(envelope)) / (seconds * FRAME_RATE)
    return np.exp(np.maximum.accumulate(np.log(envelope + 1e-12) + fall) - fall)


def energy(loudness: np.ndarray) -> np.ndarray:
    """Slow loudness, 0..1. At least 12 dB are one unit, so an even song stays evenly high and hiss is not blown up."""
    slow = 10 * np.log10(gaussian_filter1d(10 ** (loudness / 10), 0.5 * FRAME_RATE) + 1e-10)
    if slow.max() < -70:
        return np.zeros_like(slow)
    sounding = slow[slow > slow.max() - 50]
    low, high = np.percentile(sounding, [5, 95])
    return np.clip((slow - min(low, high - 12)) / max(high - low, 12), 0, 1)


def brightness(heard: Spectra) -> np.ndarray:
    """Centre of gravity of the mel spectrum over 0.2 s, 0..1; what is nearly silent keeps 0."""
    smooth = gaussian_filter1d(heard.mel, 0.1 * FRAME_RATE, axis=0)
    centroid = (smooth @ np.arange(N_MELS)) / (smooth.sum(1) + 1e-9)
    audible = heard.loudness > np.max(heard.loudness) - 50
    return between(np.where(audible, centroid, 0), 5, 95, least=6, of=audible) * audible


def between(x: np.ndarray, low: float, high: float, least: float, of: np.ndarray | None = None) -> np.ndarray:
    """x from its low-th to its high-th percentile → 0..1; a range smaller than `least` is not stretched."""
    bottom, top = np.percentile(x if of is None else x[of], [low, high])
    return np.clip((x - min(bottom, top - least)) / max(top - bottom, least), 0, 1)
