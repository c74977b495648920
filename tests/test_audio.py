import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from conftest import write_wav

import mv.audio
from mv.audio import loudness, mono, read_audio
from mv.errors import AudioError


def write_float_wav(path, samples, sr):
    """Samples as they are, 32-bit float: NaN and beyond full scale included."""
    body = samples.astype("<f4").tobytes()
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, sr, sr * 4, 4, 32)
    data = struct.pack("<4sI", b"data", len(body)) + body
    path.write_bytes(struct.pack("<4sI4s", b"RIFF", 4 + len(form) + len(data), b"WAVE") + form + data)
    return path


def encode(path, codec, samples, sr, container_format=None, title=None):
    """samples (n,) through one of FFmpeg's encoders."""
    with av.open(str(path), "w", format=container_format) as file:
        if title:
            file.metadata["title"] = title
        stream = file.add_stream(codec, rate=sr, layout="mono")
        resampler = av.AudioResampler(stream.codec_context.format.name, "mono", sr, frame_size=stream.frame_size)
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), "flt", "mono")
        frame.sample_rate, frame.pts, frame.time_base = sr, 0, Fraction(1, sr)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(piece))
        file.mux(stream.encode(None))
    return path


def hum(seconds, sr, rng=None):
    rng = rng or np.random.default_rng(0)
    t = np.arange(round(seconds * sr)) / sr
    return 0.3 * np.sin(2 * np.pi * 220 * t) + 0.05 * rng.standard_normal(len(t))


def test_wav_comes_back_sample_for_sample(tmp_path):
    samples = np.stack([hum(1.5, 44100), 0.5 * hum(1.5, 44100)], 1)
    audio = read_audio(write_wav(tmp_path / "a song.wav", samples, 44100))
    assert audio.samples.shape == (66150, 2) and audio.samples.dtype == np.float32
    np.testing.assert_allclose(audio.samples, samples, atol=2 / 32768)
    assert (audio.sr, audio.duration, audio.title, audio.notes) == (44100, 1.5, "a song", ())


@pytest.mark.parametrize(
    "name, codec, sr",
    [("a.mp3", "libmp3lame", 44100), ("a.flac", "flac", 44100), ("a.m4a", "aac", 44100), ("a.opus", "libopus", 48000)],
)
def test_formats_decode_without_lag(tmp_path, name, codec, sr):
    samples = hum(2.0, sr)
    audio = read_audio(encode(tmp_path / name, codec, samples, sr, title="Named"))
    assert audio.title == "Named" and audio.sr == sr
    assert audio.duration == pytest.approx(2.0, abs=0.03)  # aac pads to whole packets of 23 ms
    decoded = audio.samples[sr // 2 : sr, 0]
    lags = range(-1200, 1200, 4)
    match = [np.dot(decoded, samples[sr // 2 + lag : sr + lag]) for lag in lags]
    assert abs(lags[int(np.argmax(match))]) <= (4 if codec != "aac" else 1024)


def test_content_decides_not_the_name(tmp_path):
    write_wav(tmp_path / "a.wav", hum(1.2, 8000), 8000).rename(tmp_path / "a.mp3")
    assert read_audio(tmp_path / "a.mp3").duration == 1.2


@pytest.mark.parametrize("sr, channels", [(8000, 1), (192000, 2), (48000, 8)])
def test_unusual_rates_and_widths(tmp_path, sr, channels):
    samples = np.tile(hum(1.25, sr)[:, None], (1, channels))
    audio = read_audio(write_wav(tmp_path / "a.wav", samples, sr))
    assert audio.sr == sr and audio.samples.shape == (round(1.25 * sr), min(channels, 2))
    assert np.abs(audio.samples).max() > 0.2


def test_resampling_while_decoding_keeps_the_duration_of_the_file(tmp_path):
    path = write_wav(tmp_path / "a.wav", hum(44101 / 44100, 44100), 44100)
    audio = read_audio(path, sr=22050)
    assert audio.sr == 22050 and abs(len(audio.samples) - 22050) <= 1
    assert audio.duration == 44101 / 44100
    whole = mono(read_audio(path), 22050)
    np.testing.assert_allclose(audio.samples[100:-100, 0], whole[100 : len(audio.samples) - 100], atol=1e-3)


def test_nan_and_infinity_become_silence(tmp_path):
    samples = hum(1.5, 8000)
    samples[100:110], samples[200] = np.nan, np.inf
    audio = read_audio(write_float_wav(tmp_path / "a.wav", samples, 8000))
    assert np.isfinite(audio.samples).all() and (audio.samples[100:110] == 0).all()
    assert "11 samples" in audio.notes[0]


def test_beyond_full_scale(tmp_path):
    a_little = read_audio(write_float_wav(tmp_path / "a.wav", 4 * hum(1.5, 8000), 8000))
    another_scale = read_audio(write_float_wav(tmp_path / "b.wav", 30000 * hum(1.5, 8000), 8000))
    assert np.abs(a_little.samples).max() == 1 and "clipped" in a_little.notes[0]
    assert np.abs(another_scale.samples).max() == pytest.approx(1) and "turned down" in another_scale.notes[0]
    # Turned down, not clipped: the shape is the same.
    assert np.corrcoef(another_scale.samples[:, 0], hum(1.5, 8000))[0, 1] > 0.9999


def silent_video(path):
    with av.open(str(path), "w") as file:
        stream = file.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        file.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        file.mux(stream.encode(None))


def half_a_flac(path):
    encode(path, "flac", hum(4.0, 44100), 44100, container_format="flac")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def half_an_m4a(path):
    encode(path, "aac", hum(4.0, 44100), 44100, container_format="ipod")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BAD = {
    "missing": (lambda path: None, "no such file"),
    "folder": (lambda path: path.mkdir(), "folder"),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "text": (lambda path: path.write_text("la la la\n" * 500), "not a sound file"),
    "noise": (lambda path: path.write_bytes(np.random.default_rng(0).bytes(50000)), "not a sound file"),
    "playlist": (lambda path: path.write_text("#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/x.ts\n"), "not a sound file"),
    "video": (silent_video, "no sound"),
    "short": (lambda path: write_wav(path, hum(0.2, 8000), 8000), "0.2 s long"),
    "no samples": (lambda path: write_wav(path, np.zeros((0, 1)), 8000), "no sound"),
    "three hours": (lambda path: write_wav(path, np.zeros(3 * 3600 * 100), 100), "3:00:00"),
    "half a flac": (half_a_flac, "cut short"),
    "half an m4a": (half_an_m4a, "damaged"),
}
SUFFIX = {"video": "mp4", "half a flac": "flac", "half an m4a": "m4a", "text": "txt", "playlist": "m3u8"}


@pytest.mark.parametrize("kind", BAD)
def test_bad_files_are_refused_in_one_line(tmp_path, kind):
    make, says = BAD[kind]
    path = tmp_path / f"song.{SUFFIX.get(kind, 'wav')}"
    make(path)
    with pytest.raises(AudioError, match=says) as refusal:
        read_audio(path)
    assert str(path) in str(refusal.value) and "\n" not in str(refusal.value)


def test_too_long_is_noticed_while_decoding_too(tmp_path, monkeypatch):
    """A stream written to a pipe does not know its length."""
    path = write_wav(tmp_path / "a.wav", hum(4.0, 8000), 8000)
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff" * 4
    path.write_bytes(content)
    assert read_audio(path).duration == 4.0
    monkeypatch.setattr(mv.audio, "MAX_SECONDS", 3.0)
    with pytest.raises(AudioError, match="a song may last"):
        read_audio(path)


def test_loudness_of_the_standards_sine():
    """BS.1770: a full-scale sine of 997 Hz in one channel is -3.01 LUFS, at any rate."""
    for sr in (44100, 48000):
        sine = np.sin(2 * np.pi * 997 * np.arange(3 * sr) / sr).astype(np.float32)[:, None]
        assert loudness(mv.audio.Audio(sine, sr)) == pytest.approx(-3.01, abs=0.05)
        assert loudness(mv.audio.Audio(0.1 * sine, sr)) == pytest.approx(-23.01, abs=0.05)
    assert loudness(mv.audio.Audio(sine * 0, sr)) == -70
