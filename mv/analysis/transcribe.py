"""The words of a song by a speech model: Whisper, or wav2vec2 and its kin (CTC), in transformers' format.

Such models were made for speech: over a loud band they mishear, and where nobody sings Whisper invents. So only words
where the analysis hears a voice are kept; read what comes out before showing it.
"""

import re
from pathlib import Path

import numpy as np

from mv.analysis.align import Letters, align
from mv.errors import InputError
from mv.schema import Analysis, LyricLine, LyricWord

SR = 16000  # of the models
HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
LONGEST_LINE, LONGEST_PAUSE = 42, 0.8  # characters, seconds: beyond either a new line begins
LEAST_VOICE = 0.2  # mean singing probability under a word
CTC_WINDOW = 20.0  # seconds heard at once; Whisper slides over long songs by itself


class Transcriber:
    """A loaded model. transcribe(song, analysis) → timed lines."""

    def __init__(self, pipeline, whisper: bool) -> None:
        self._pipeline, self._whisper = pipeline, whisper

    @classmethod
    def load(cls, model: str) -> "Transcriber":
        """model: a local folder, else a name on the hub such as openai/whisper-small, which needs the network.

        Raises InputError where it is no Whisper or CTC model with safetensors. No code of the model runs.
        """
        from transformers import AutoConfig, AutoModelForCTC, AutoModelForSpeechSeq2Seq, AutoProcessor, pipeline

        local = Path(model).is_dir()
        if not local and not HUB_NAME.fullmatch(model):
            raise InputError(
                f"transcribe: {model}: no such folder; give the folder of a Whisper or wav2vec2 model in transformers' "
                "format, or a name on the hub such as openai/whisper-small"
            )
        try:
            config = AutoConfig.from_pretrained(model, local_files_only=local)
            whisper = config.model_type == "whisper"
            kind = AutoModelForSpeechSeq2Seq if whisper else AutoModelForCTC
            network = kind.from_pretrained(model, local_files_only=local, use_safetensors=True)
            processor = AutoProcessor.from_pretrained(model, local_files_only=local)
        except (OSError, ValueError, KeyError) as error:
            reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
            raise InputError(
                f"transcribe: {model}: expected a Whisper or wav2vec2 model in transformers' format "
                f"(config.json, model.safetensors, tokenizer files): {reason}"
            ) from None
        parts = {"tokenizer": processor.tokenizer, "feature_extractor": processor.feature_extractor}
        return cls(pipeline("automatic-speech-recognition", model=network.eval(), **parts), whisper)

    def transcribe(self, song: str | Path, analysis: Analysis) -> list[LyricLine]:
        """In the order they are sung, inside the song. Raises AudioError."""
        from mv.audio import mono, read_audio

        y = mono(read_audio(song, SR))
        wishes = {"return_timestamps": self._unit()}
        if not self._whisper:
            wishes |= {"chunk_length_s": CTC_WINDOW, "stride_length_s": CTC_WINDOW / 6}
        heard = self._pipeline({"raw": y, "sampling_rate": SR}, **wishes)
        return as_lines(heard["chunks"], analysis)

    def align(self, song: str | Path, analysis: Analysis, lines: list[str]) -> list[LyricLine]:
        """When the lines of a known text are sung, and each of their words. Raises AudioError, InputError."""
        from mv.audio import mono, read_audio

        if self._whisper:
            raise InputError("lyrics: a CTC model such as facebook/wav2vec2-base-960h can align them, not Whisper")
        return align(lines, self._letters(mono(read_audio(song, SR))), analysis)

    def _letters(self, y: np.ndarray) -> Letters:
        """What the CTC model hears in y (n,) at SR, in windows that overlap: memory does not grow with the song."""
        import torch

        model, tokenizer = self._pipeline.model, self._pipeline.tokenizer
        hop = model.config.inputs_to_logits_ratio
        core, margin = (int(seconds * SR / hop) for seconds in (CTC_WINDOW, CTC_WINDOW / 6))
        parts = []
        for start in range(0, len(y) // hop, core):
            first = max(0, start - margin)
            piece = y[first * hop : (start + core + margin) * hop]
            piece = np.pad(piece, (0, max(0, 2 * hop - len(piece))))
            given = self._pipeline.feature_extractor(piece, sampling_rate=SR, return_tensors="pt")
            with torch.inference_mode():
                heard = model(given.input_values).logits[0].log_softmax(-1).numpy()
            parts.append(heard[start - first : start - first + core])
        return Letters(np.concatenate(parts), SR / hop, tokenizer.pad_token_id, tokenizer.get_vocab())

    def _unit(self) -> str | bool:
        """Words where the model can time them; a Whisper without alignment heads only times phrases."""
        if self._whisper and not getattr(self._pipeline.model.generation_config, "alignment_heads", None):
            return True
        return "word"


def as_lines(chunks: list[dict], analysis: Analysis) -> list[LyricLine]:
    """chunks of transformers' pipeline, {"text", "timestamp": (start, end or None)}, words or phrases → lines.

    What lies outside the song, runs backwards or falls where nobody sings is left out.
    """
    words = []
    for chunk in chunks:
        start, end = chunk["timestamp"]
        end = min(end if end is not None else analysis.duration, analysis.duration)
        text = chunk["text"].strip()
        if text and start is not None and start < end and _voice(analysis, start, end) >= LEAST_VOICE:
            words.append(LyricWord(start=start, end=end, text=text))
    words.sort(key=lambda word: word.start)
    return [_line(group) for group in _phrases(words)]


def _voice(analysis: Analysis, start: float, end: float) -> float:
    voice = analysis.features["voice"]
    first = min(int(start * analysis.feature_rate), len(voice) - 1)
    return float(np.mean(voice[first : max(int(end * analysis.feature_rate), first + 1)]))


def _phrases(words: list[LyricWord]) -> list[list[LyricWord]]:
    phrases: list[list[LyricWord]] = []
    for word in words:
        here = phrases[-1] if phrases else []
        length = sum(len(other.text) + 1 for other in here) + len(word.text)
        if not here or word.start - here[-1].end > LONGEST_PAUSE or length > LONGEST_LINE:
            phrases.append([])
        phrases[-1].append(word)
    return phrases


def _line(words: list[LyricWord]) -> LyricLine:
    timed = words if len(words) > 1 or " " not in words[0].text else []  # a phrase is no word
    text = " ".join(word.text for word in words)
    return LyricLine(start=words[0].start, end=max(word.end for word in words), text=text, words=timed)
