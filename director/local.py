"""Writers on this machine: a language model of transformers, or one that hears the song (Qwen2.5-Omni, as in the
paper). Their words are chosen from the tables while they decode, so that any model, even an untrained one, gives a
valid proposal.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from director.proposals import MAX_PARTS, TABLES, Idea, Part, Proposal, Request, WriterError, harmless
from mv.errors import InputError, MusicVideoError

# (start, seconds) of a song → (n,) float32 mono at HEARING_SR; shorter where the song ends.
Ear = Callable[[float, float], np.ndarray]

HEARING_SR = 16000  # Hz, of the models that hear
HEARD_SECONDS = 20.0  # of each part, from its start: about 500 tokens
LEAST_HEARD_SECONDS = 0.2  # less is no sound a model could take in
HEARING_TYPES = ("qwen2_5_omni", "qwen2_5_omni_thinker")  # the whole model, or the half that hears and writes
AUDIO, AUDIO_BEGIN, AUDIO_END = "<|AUDIO|>", "<|audio_bos|>", "<|audio_eos|>"  # that model's own tokens


def load_writer(model: str | Path, hear: Ear | None = None, timeout: float = 120.0) -> "LocalWriter":
    """The writer in a local folder, else of a name on the hub, which needs the network.

    hear: the song, for a model that hears. timeout: seconds for a whole proposal. Raises InputError where there is no
    such model. Only safetensors are read, and no code of the model runs.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, WhisperFeatureExtractor
    from transformers import Qwen2_5OmniThinkerForConditionalGeneration as Thinker

    local = Path(model).is_dir()
    name = Path(model).name
    try:
        hears = AutoConfig.from_pretrained(model, local_files_only=local).model_type in HEARING_TYPES
        if hears and hear is None:
            raise InputError(f"writer: {model}: this model hears, so it needs the song")
        kind = Thinker if hears else AutoModelForCausalLM
        options = {"local_files_only": local, "use_safetensors": True, "dtype": "auto", "device_map": "auto"}
        network = kind.from_pretrained(model, **options).eval()
        tokenizer = AutoTokenizer.from_pretrained(model, local_files_only=local)
        if not hears:
            return LocalWriter(network, tokenizer, name, timeout)
        # Not the model's own processor: that one also wants what pictures and films need.
        extractor = WhisperFeatureExtractor.from_pretrained(model, local_files_only=local)
        return HearingWriter(network, tokenizer, extractor, hear, name, timeout)
    except (OSError, ValueError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise InputError(f"writer: {model}: not a language model in transformers' format: {reason}") from None


class LocalWriter:
    """A causal language model. The proposal's JSON is fixed but for its holes; at each hole only tokens that lead to a
    word of the table are allowed. timeout: seconds for all of it."""

    def __init__(self, model, tokenizer, name: str = "local model", timeout: float = 120.0):
        self.name = name
        self._model, self._tokenizer, self._timeout = model, tokenizer, timeout

    def propose(self, request: Request) -> Proposal:
        deadline = time.monotonic() + self._timeout
        with _failures_told():
            return self._write(request, deadline)

    def choose(self, question: str, table: Sequence[str]) -> str:
        deadline = time.monotonic() + self._timeout
        with _failures_told():
            return self._choose(self._spoken(harmless(question)) + '{"choice": "', {}, table, deadline)

    def _write(self, request: Request, deadline: float) -> Proposal:
        opening, ideas = '{"parts": [', []
        for name, part in list(request.parts.items())[:MAX_PARTS]:
            question, sound = self._question(request, name, part)
            opening += f'{{"part": {json.dumps(name)}'
            words = {}
            for field, table in TABLES.items():
                opening += f', "{field}": "'
                words[field] = self._choose(question + opening, sound, table, deadline)
                opening += f'{words[field]}"'
            opening += "}, "
            ideas.append(Idea(part=name, **words))
        return Proposal(parts=ideas)

    def _question(self, request: Request, name: str, part: Part) -> tuple[str, Mapping[str, Any]]:
        """The text before the answer, and the model's inputs besides it."""
        return self._spoken(request.text()), {}

    def _spoken(self, question: str) -> str:
        """A question as the model is used to be asked, up to where its answer begins."""
        return question + "\n"

    def _choose(self, text: str, sound: Mapping[str, Any], table: Sequence[str], deadline: float) -> str:
        """The word of the table that the model writes after the text."""
        self._check_time(deadline)
        inputs = self._tokenizer(text, return_tensors="pt").to(self._model.device)
        start = inputs["input_ids"].shape[1]
        end = self._tokenizer.eos_token_id
        spelled = {tuple(self._tokenizer(word, add_special_tokens=False)["input_ids"]) + (end,): word for word in table}

        def allowed(_, ids) -> list[int]:
            written = tuple(ids[start:].tolist())
            n = len(written)
            return sorted({s[n] for s in spelled if s[:n] == written and len(s) > n}) or [end]

        longest = max(map(len, spelled))
        result = self._model.generate(
            **inputs, **sound, do_sample=False, num_beams=1, max_new_tokens=longest,
            max_time=deadline - time.monotonic(), prefix_allowed_tokens_fn=allowed, eos_token_id=end, pad_token_id=end,
        )  # fmt: skip
        written = tuple(result[0, start:].tolist())
        for tokens, word in spelled.items():
            if written[: len(tokens)] == tokens:
                return word
        self._check_time(deadline)  # cut short within a word
        raise WriterError(f"wrote none of {', '.join(table)}")

    def _check_time(self, deadline: float) -> None:
        if time.monotonic() >= deadline:
            raise WriterError(f"not done after {self._timeout:.0f} s")


class HearingWriter(LocalWriter):
    """Qwen2.5-Omni (arXiv 2503.20215), the half of it that hears and writes: each part's answer is written with the
    first HEARD_SECONDS of that part in its ear."""

    def __init__(self, model, tokenizer, extractor, hear: Ear, name: str = "local model", timeout: float = 120.0):
        super().__init__(model, tokenizer, name, timeout)
        self._extractor, self._hear = extractor, hear

    def _question(self, request: Request, name: str, part: Part) -> tuple[str, Mapping[str, Any]]:
        y = self._hear(part.start, min(part.seconds, HEARD_SECONDS))
        if len(y) < LEAST_HEARD_SECONDS * HEARING_SR:
            raise WriterError(f"no sound at {part.start:.1f} s, where the part {name} begins")
        mel = self._extractor(
            y, sampling_rate=HEARING_SR, padding=True, truncation=False, return_attention_mask=True, return_tensors="pt"
        )
        places = AUDIO * _audio_tokens(int(mel["attention_mask"].sum()))
        listen = f"Listen to the part called {json.dumps(name)}.\n{AUDIO_BEGIN}{places}{AUDIO_END}\n"
        text = self._spoken(listen + request.text())
        sound = {
            "input_features": mel["input_features"].to(self._model.device, self._model.dtype),
            "feature_attention_mask": mel["attention_mask"].to(self._model.device),
        }
        return text, sound

    def _spoken(self, question: str) -> str:
        return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"


@contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, MusicVideoError) as error:  # out of memory, a model unlike its tokenizer
        raise WriterError(f"failed: {str(error)[:120] or type(error).__name__}") from None


def _audio_tokens(mel_frames: int) -> int:
    """Places in the text that the audio encoder fills: a convolution and a pooling halve the frames twice."""
    halved = (mel_frames - 1) // 2 + 1
    return (halved - 2) // 2 + 1
