"""Real classes at tiny size, with weights that can only say one thing."""

import json

import numpy as np
import pytest
from test_audio import write_wav
from typer.testing import CliRunner

from mv.analysis.transcribe import LONGEST_LINE, Transcriber, as_lines
from mv.cli import app
from mv.errors import InputError
from mv.schema import CURVES, Analysis, Section

SR = 22050


def heard(seconds=8.0, voice=1.0):
    """A song that is sung throughout, or as loud as `voice` says."""
    curves = {name: [0.5] * int(seconds * 10 + 1) for name in CURVES} | {"voice": [voice] * int(seconds * 10 + 1)}
    beats = np.arange(0, seconds, 0.5).tolist()
    return Analysis(
        title="song", duration=seconds, tempo=120, beats=beats, downbeats=beats[::4],
        sections=[Section(start=0, duration=seconds, label="verse")], feature_rate=10, features=curves,
    )  # fmt: skip


def chunk(text, start, end):
    return {"text": text, "timestamp": (start, end)}


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory):
    """A wav2vec2 whose weights say "l" in every frame: one long word."""
    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder = tmp_path_factory.mktemp("wav2vec2")
    (folder / "words.json").write_text(json.dumps({"<pad>": 0, "<unk>": 1, "|": 2, "l": 3, "a": 4}))
    tokenizer = Wav2Vec2CTCTokenizer(str(folder / "words.json"), pad_token="<pad>", unk_token="<unk>")
    config = Wav2Vec2Config(
        vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        conv_dim=(8, 8), conv_stride=(20, 16), conv_kernel=(20, 16), num_conv_pos_embeddings=4,
        num_conv_pos_embedding_groups=2, pad_token_id=0,
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config)
    with torch.no_grad():
        model.lm_head.weight.zero_()
        model.lm_head.bias.zero_()
        model.lm_head.bias[3] = 5.0
    model.save_pretrained(folder)
    Wav2Vec2Processor(Wav2Vec2FeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def test_a_ctc_model_gives_words_with_times(wav2vec2, tmp_path):
    song = write_wav(tmp_path / "song.wav", 0.1 * np.random.default_rng(0).standard_normal(8 * SR), SR)
    (line,) = Transcriber.load(str(wav2vec2)).transcribe(song, heard())
    assert line.text == "l" and [word.text for word in line.words] == ["l"]
    assert 0 <= line.start < line.end <= 8


def test_a_ctc_model_aligns_a_text(wav2vec2, tmp_path):
    song = write_wav(tmp_path / "song.wav", 0.1 * np.random.default_rng(0).standard_normal(30 * SR), SR)
    first, second = Transcriber.load(str(wav2vec2)).align(song, heard(30.0), ["la la", "all"])
    assert (first.text, second.text) == ("la la", "all") and len(first.words) == 2
    assert 0 <= first.start < first.end <= second.start < second.end <= 30


def test_the_analyze_command_aligns_plain_text(wav2vec2, tmp_path):
    song = write_wav(tmp_path / "song.wav", 0.1 * np.random.default_rng(0).standard_normal(8 * SR), SR)
    (tmp_path / "words.txt").write_text("[Chorus]\nla la\n\nall\n")
    command = ["analyze", str(song), "--lyrics", str(tmp_path / "words.txt"), "--json", str(tmp_path / "heard.json")]
    refused = CliRunner().invoke(app, command)
    assert refused.exit_code != 0 and "plain text has no times" in refused.output
    result = CliRunner().invoke(app, [*command, "--transcribe", str(wav2vec2)])
    assert result.exit_code == 0, result.output
    lines = Analysis.load(tmp_path / "heard.json").lyrics
    assert [line.text for line in lines] == ["la la", "all"] and all(line.words for line in lines)


@pytest.fixture(scope="module")
def whisper(tmp_path_factory):
    """A tiny Whisper with random weights: what it writes down is nonsense, but its way through the house is real."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import (
        GenerationConfig,
        WhisperConfig,
        WhisperFeatureExtractor,
        WhisperForConditionalGeneration,
        WhisperProcessor,
        WhisperTokenizer,
    )

    folder = tmp_path_factory.mktemp("whisper")
    letters = {letter: i for i, letter in enumerate(sorted(ByteLevel.alphabet()))}
    tokenizer = WhisperTokenizer(vocab=letters, merges=[], unk_token="<|endoftext|>")
    names = ["<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|translate|>", "<|startofprev|>"]
    names += ["<|nospeech|>", "<|notimestamps|>"]
    tokenizer.add_special_tokens({"additional_special_tokens": names})
    tokenizer.add_tokens([f"<|{k * 0.02:.2f}|>" for k in range(1501)])
    end, start, english, transcribe, translate, _, _, bare = tokenizer.convert_tokens_to_ids(names)
    config = WhisperConfig(
        vocab_size=len(tokenizer), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_target_positions=40,
        pad_token_id=end, bos_token_id=end, eos_token_id=end, decoder_start_token_id=start, num_mel_bins=80,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        eos_token_id=end, pad_token_id=end, decoder_start_token_id=start, no_timestamps_token_id=bare,
        lang_to_id={"<|en|>": english}, task_to_id={"transcribe": transcribe, "translate": translate},
        is_multilingual=True, max_length=20, return_timestamps=True, max_initial_timestamp_index=50,
        prev_sot_token_id=start,
    )  # fmt: skip
    model.save_pretrained(folder)
    WhisperProcessor(WhisperFeatureExtractor(), tokenizer).save_pretrained(folder)
    return folder


def test_a_whisper_is_heard_out(whisper, tmp_path):
    song = write_wav(tmp_path / "song.wav", 0.1 * np.random.default_rng(0).standard_normal(8 * SR), SR)
    writer = Transcriber.load(str(whisper))
    lines = writer.transcribe(song, heard())
    assert all(0 <= line.start < line.end <= 8 and line.text.strip() for line in lines)
    with pytest.raises(InputError, match="not Whisper"):
        writer.align(song, heard(), ["la"])


def test_nothing_is_written_down_where_nobody_sings(wav2vec2, tmp_path):
    song = write_wav(tmp_path / "song.wav", 0.1 * np.random.default_rng(0).standard_normal(8 * SR), SR)
    assert Transcriber.load(str(wav2vec2)).transcribe(song, heard(voice=0.05)) == []


def test_the_analyze_command_takes_a_model(wav2vec2, tmp_path):
    song = write_wav(tmp_path / "song.wav", 0.1 * np.random.default_rng(0).standard_normal(8 * SR), SR)
    command = ["analyze", str(song), "--transcribe", str(wav2vec2), "--json", str(tmp_path / "heard.json")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert Analysis.load(tmp_path / "heard.json").lyrics == []  # noise has no voice


def test_words_become_lines():
    words = [chunk("so", 0.0, 0.4), chunk("far", 0.5, 0.9), chunk("away", 2.5, 3.0), chunk(" ", 3.0, 3.1)]
    words += [chunk("late", 9.0, 9.5), chunk("backwards", 5.0, 4.0), chunk("end", 7.0, None)]
    lines = as_lines(words, heard())
    assert [(line.text, line.start, line.end) for line in lines] == [
        ("so far", 0, 0.9),
        ("away", 2.5, 3),
        ("end", 7, 8),
    ]
    assert [word.text for word in lines[0].words] == ["so", "far"]
    long = as_lines([chunk("wonderful", k * 0.3, k * 0.3 + 0.3) for k in range(20)], heard())
    assert all(len(line.text) <= LONGEST_LINE for line in long) and sum(len(line.words) for line in long) == 20


def test_a_phrase_keeps_its_time_and_claims_none_for_its_words():
    (line,) = as_lines([chunk(" so far away", 1.0, 3.0)], heard())
    assert (line.text, line.start, line.end, line.words) == ("so far away", 1, 3, [])


@pytest.mark.parametrize("made", ["missing", "empty", "config", "other"])
def test_what_is_no_speech_model_is_refused(tmp_path, made):
    folder = tmp_path / "model"
    if made != "missing":
        folder.mkdir()
    if made == "config":
        (folder / "config.json").write_text('{"model_type": "wav2vec2"}')
    if made == "other":
        (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(InputError, match="Whisper or wav2vec2 model in transformers' format"):
        Transcriber.load(str(folder))
