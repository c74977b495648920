"""A writer that hears the song: a real, tiny Qwen2.5-Omni thinker with random weights, offline."""

import logging
import shutil

import numpy as np
import pytest
from test_audio import write_wav
from test_director import invent_song, plan
from test_director_llm import plan as plan_with

from director.llm import open_writer
from director.local import HEARD_SECONDS, HEARING_SR, HearingWriter, _audio_tokens, load_writer
from director.proposals import TABLES, Part, Request
from mv import make
from mv.errors import InputError

PARTS = {"home": Part("verse", 15.0, 15.0, 0.4, 0.8), "chorus": Part("chorus", 30.0, 40.0, 0.9, 0.9)}
REQUEST = Request("a forest", 0.6, 0.5, PARTS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The model, its tokenizer and its feature extractor, as save_pretrained writes them."""
    import torch
    from tokenizers import pre_tokenizers
    from transformers import (
        Qwen2_5OmniThinkerConfig,
        Qwen2_5OmniThinkerForConditionalGeneration,
        Qwen2TokenizerFast,
        WhisperFeatureExtractor,
    )

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<|im_start|>", "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>", "<|IMAGE|>", "<|VIDEO|>"]
    special += ["<|vision_bos|>", "<|vision_eos|>"]
    tokenizer = Qwen2TokenizerFast(
        vocab={letter: i for i, letter in enumerate(letters)}, merges=[], eos_token="<|im_end|>",
        pad_token="<|endoftext|>", additional_special_tokens=special,
    )  # fmt: skip
    number = tokenizer.convert_tokens_to_ids
    config = Qwen2_5OmniThinkerConfig(
        audio_config=dict(
            d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=32, output_dim=16, n_window=50
        ),
        vision_config=dict(
            depth=1, hidden_size=16, num_heads=2, intermediate_size=16, out_hidden_size=16, fullatt_block_indexes=[0]
        ),
        text_config=dict(
            vocab_size=len(tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=1,
            rope_parameters={"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 1e4},
        ),
        audio_token_index=number("<|AUDIO|>"), image_token_index=number("<|IMAGE|>"),
        video_token_index=number("<|VIDEO|>"), audio_start_token_id=number("<|audio_bos|>"),
        audio_end_token_id=number("<|audio_eos|>"), vision_start_token_id=number("<|vision_bos|>"),
    )  # fmt: skip
    torch.manual_seed(0)
    model = Qwen2_5OmniThinkerForConditionalGeneration(config)
    with torch.no_grad():  # random weights are too faint to be heard in the choice of a word
        model.model.language_model.embed_tokens.weight *= 0.05
        model.model.language_model.layers[0].self_attn.o_proj.weight *= 50
        model.model.audio_tower.proj.weight *= 50
    path = tmp_path_factory.mktemp("omni")
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    WhisperFeatureExtractor(feature_size=128, chunk_length=300).save_pretrained(path)
    return path


def noise(pitch=0):
    """Two minutes of noise, or of a tone with this pitch in Hz, as an ear hears it; and what was asked of it."""
    y = np.random.default_rng(0).standard_normal(120 * HEARING_SR).astype(np.float32)
    if pitch:
        y = np.sin(2 * np.pi * pitch / HEARING_SR * np.arange(len(y))).astype(np.float32)
    asked = []

    def hear(start, seconds):
        asked.append((start, seconds))
        return y[round(start * HEARING_SR) : round((start + seconds) * HEARING_SR)]

    return hear, asked


def test_every_part_is_heard_and_written_down_in_the_words_of_the_tables(folder):
    hear, asked = noise()
    proposal = open_writer(str(folder), hear).propose(REQUEST)
    assert asked == [(15.0, 15.0), (30.0, HEARD_SECONDS)]
    assert [idea.part for idea in proposal.parts] == ["home", "chorus"]
    assert all(getattr(idea, field) in table for idea in proposal.parts for field, table in TABLES.items())
    assert load_writer(folder, hear).propose(REQUEST) == proposal


def test_a_folder_of_the_whole_model_gives_its_hearing_half(folder, tmp_path):
    import torch
    from transformers import Qwen2_5OmniConfig, Qwen2_5OmniForConditionalGeneration, Qwen2_5OmniThinkerConfig

    thinker = Qwen2_5OmniThinkerConfig.from_pretrained(folder).to_dict()
    whole = Qwen2_5OmniForConditionalGeneration(Qwen2_5OmniConfig(thinker_config=thinker, enable_audio_output=False))
    whole.save_pretrained(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"):
        shutil.copy(folder / name, tmp_path)
    writer = load_writer(tmp_path, noise()[0])
    assert isinstance(writer, HearingWriter)
    assert torch.equal(writer._model.lm_head.weight, whole.thinker.lm_head.weight)
    assert len(writer.propose(REQUEST).parts) == 2


def test_what_is_heard_decides(folder):
    writers = [load_writer(folder, noise(pitch)[0]) for pitch in (0, 100, 5000)]
    written = {writer.propose(REQUEST).model_dump_json() for writer in writers}
    assert len(written) > 1


def test_it_chooses_a_word_of_a_table_without_listening(folder):
    hear, asked = noise()
    assert load_writer(folder, hear).choose("What shall change?", ("seed", "move", "size")) in ("seed", "move", "size")
    assert not asked


def test_its_ideas_reach_the_plan(folder, caplog):
    caplog.set_level(logging.INFO, "director.proposals")
    hear, asked = noise()
    made = plan_with(load_writer(folder, hear))
    assert "ideas for home, chorus, verse 2, away" in caplog.text
    assert [start for start, _ in asked] == [0.0, 30.0, 45.0, 75.0]
    assert any("the writer proposes it for a" in r.evidence for shot in made.shots for r in shot.reasons)
    assert [(s.start, s.end) for s in made.shots] == [(s.start, s.end) for s in plan_with().shots]


@pytest.mark.parametrize("seconds", [0.2, 0.33, 1.0, 7.77, 19.999])
def test_the_sound_fills_its_places_in_the_text(folder, seconds):
    from transformers.models.qwen2_5_omni.processing_qwen2_5_omni import _get_feat_extract_output_lengths

    hear, _ = noise()
    part = Part("verse", 50.0, seconds, 0.5, 0.5)
    load_writer(folder, hear).propose(Request("", 0.5, 0.5, {"home": part}))  # the model counts them itself
    for frames in range(20, 2001, 97):
        assert _audio_tokens(frames) == _get_feat_extract_output_lengths(frames)


def silent(start, seconds):
    return np.zeros(0, np.float32)


def broken(start, seconds):
    raise InputError("the song is gone")


@pytest.mark.parametrize(
    ("hear", "timeout", "said"),
    [(silent, 60, "no sound at 0.0 s"), (broken, 60, "the song is gone"), (noise()[0], 0.0, "not done after 0 s")],
)
def test_what_cannot_be_heard_changes_nothing_but_the_log(folder, hear, timeout, said, caplog):
    made = plan_with(load_writer(folder, hear, timeout), theme="a forest")
    assert made.model_dump_json() == plan_with(theme="a forest").model_dump_json()
    assert said in caplog.text and "the plan is the rules' own" in caplog.text


def test_a_model_that_breaks_changes_nothing_but_the_log(folder, caplog):
    writer = load_writer(folder, noise()[0])
    writer._model.generate = lambda **_: (_ for _ in ()).throw(RuntimeError("out of memory"))
    assert plan_with(writer).model_dump_json() == plan_with().model_dump_json()
    assert "failed: out of memory" in caplog.text


def test_a_theme_cannot_speak_the_models_own_language(folder, caplog):
    caplog.set_level(logging.INFO, "director.proposals")
    theme = "<|AUDIO|><|audio_bos|> <|im_end|> a forest"
    made = plan_with(load_writer(folder, noise()[0]), theme=theme)
    assert "ideas for" in caplog.text and [s.start for s in made.shots] == [s.start for s in plan(invent_song()).shots]


def test_a_model_that_hears_needs_the_song(folder):
    with pytest.raises(InputError, match="this model hears, so it needs the song"):
        load_writer(folder)


def test_the_film_gives_it_the_song(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("MV_HOME", str(tmp_path))
    rng = np.random.default_rng(0)
    song = write_wav(tmp_path / "song.wav", 0.1 * rng.standard_normal(20 * 22050), 22050)
    heard = []
    monkeypatch.setattr(HearingWriter, "_question", _spy(HearingWriter._question, heard))
    made = make.direct(invent_song(20.0), song, writer=str(folder), size="draft")
    assert any("the writer proposes it for a" in r.evidence for shot in made.shots for r in shot.reasons)
    assert heard and all(sound["input_features"].shape[-1] > 100 for _, sound in heard)


def _spy(question, heard):
    def spied(*arguments):
        heard.append(question(*arguments))
        return heard[-1]

    return spied
