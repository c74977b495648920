"""The embedded model's small text side: a word tokenizer over the stage world's vocabulary, a tiny T5 encoder.

Both are transformers' own classes, so they save and load like any other.
"""

import re
from typing import TYPE_CHECKING

import torch

from mv.world import vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast, T5EncoderModel

MAX_WORDS = 32


def build_tokenizer() -> "PreTrainedTokenizerFast":
    """One token a word, lower case, over every word `describe` can write."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tables = (getattr(vocabulary, name) for name in dir(vocabulary) if name.isupper())
    phrases = [vocabulary.EMPTY, "performer with skin hair light"]
    for table in tables:
        if isinstance(table, dict) and all(isinstance(key, str) for key in table):
            phrases += list(table) + [value for value in table.values() if isinstance(value, str)]
    words = sorted({word for phrase in phrases for word in re.findall(r"[a-z]+(?:-[a-z]+)*", phrase)})
    ids = {token: i for i, token in enumerate(["<pad>", "</s>", "<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(",", " ")])
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=MAX_WORDS
    )


def build_text_encoder(vocab_size: int, dim: int = 128) -> "T5EncoderModel":
    from transformers import T5Config, T5EncoderModel

    return T5EncoderModel(
        T5Config(vocab_size=vocab_size, d_model=dim, d_kv=32, d_ff=2 * dim, num_layers=2, num_heads=4, dropout_rate=0.0)
    )


def encode_words(tokenizer, text_encoder, prompts: list[str]) -> torch.Tensor:
    """(b, MAX_WORDS, dim); places without a word are zero, as Wan's are. An empty prompt is all zero."""
    tokens = tokenizer(prompts, padding="max_length", truncation=True, max_length=MAX_WORDS, return_tensors="pt")
    ids, mask = (tokens[key].to(text_encoder.device) for key in ("input_ids", "attention_mask"))
    embeddings = text_encoder(ids, attention_mask=mask).last_hidden_state
    return embeddings * mask.unsqueeze(-1).to(embeddings.dtype)
