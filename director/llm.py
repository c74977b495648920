"""Optional writers: a language model proposes where the parts of a song play; the rules decide what of it holds.

A writer's words are data. They are read against `Proposal`, whose every field is a word of the world's tables; nothing
else of an answer is used, and no answer, a wrong one or a late one leaves the rules' plan as it is, with a line in the
log. Two writers: any OpenAI-compatible endpoint (Ollama, vLLM, LM Studio, hosted) and a local transformers model.
"""

import http.client
import json
import logging
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from director.vocabulary import ABSTRACT
from mv.errors import InputError
from mv.world import vocabulary as world

log = logging.getLogger(__name__)

MAX_ANSWER = 64 * 1024  # bytes; a proposal has about one thousand
MAX_PARTS = 16
TABLES = {"scene": tuple(world.SCENES), "time": tuple(world.TIMES), "palette": tuple(world.PALETTES)}


class Idea(BaseModel):
    """Where one part of the song plays, in which light."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    part: Annotated[str, Field(max_length=20)]
    scene: Literal[TABLES["scene"]]
    time: Literal[TABLES["time"]]
    palette: Literal[TABLES["palette"]]


class Proposal(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    parts: Annotated[list[Idea], Field(max_length=MAX_PARTS)]


@dataclass(frozen=True)
class Request:
    """What a writer is told: the parts of the song in the order they first come, with label, energy and voice 0..1."""

    theme: str
    arousal: float
    valence: float
    parts: Mapping[str, Mapping[str, str | float]]

    def text(self) -> str:
        """The task in words. The user's theme stands in it as a JSON string."""
        song = {"theme": self.theme, "arousal": self.arousal, "valence": self.valence, "parts": self.parts}
        tables = "\n".join(f"{name}: one of {', '.join(table)}" for name, table in TABLES.items())
        return (
            "You are the director of a music video. For each part of the song choose where it plays and in which "
            f"light. Use only these words.\n{tables}\nA drop plays in {' or '.join(ABSTRACT)}; the part called away "
            f"leaves the places of home and chorus.\nThe song: {json.dumps(song)}\n"
            'Answer with JSON only: {"parts": [{"part": ..., "scene": ..., "time": ..., "palette": ...}]}'
        )


class WriterError(Exception):
    """A writer gave no answer that can be used."""


class Writer(Protocol):
    name: str

    def propose(self, request: Request) -> Proposal:
        """Raises WriterError."""
        ...


def check_writer(where: str) -> None:
    """Raises InputError where `where` is neither an endpoint's address nor the folder of a model; asks nobody."""
    if _is_address(where):
        Endpoint(where)
    elif not (Path(where) / "config.json").is_file():
        raise InputError(
            f"writer: expected an address such as http://127.0.0.1:11434/v1#MODEL, or the folder of a transformers "
            f"model, got {where!r}"
        )


def open_writer(where: str, timeout: float | None = None) -> Writer:
    """The writer at an address or in a folder. timeout: seconds in all, the writer's own number if None.

    The model of an endpoint stands after a #, else it is the first one the server lists. A key for a hosted one is read
    from the environment variable MV_WRITER_KEY. Raises InputError.
    """
    check_writer(where)
    limit = {} if timeout is None else {"timeout": timeout}
    if _is_address(where):
        return Endpoint(where, api_key=os.environ.get("MV_WRITER_KEY"), **limit)
    return LocalWriter.load(where, **limit)


def _is_address(where: str) -> bool:
    return "://" in where


def consult(writer: Writer, request: Request) -> dict[str, Idea]:
    """Ideas by part of the song; none where the writer fails, which the log says. Parts the song lacks are left out."""
    try:
        proposal = writer.propose(request)
    except WriterError as error:
        log.warning("writer %s: %s; the plan is the rules' own", writer.name, error)
        return {}
    known = {idea.part: idea for idea in proposal.parts if idea.part in request.parts}
    log.info("writer %s: ideas for %s", writer.name, ", ".join(known) or "no part of this song")
    return known


def read_proposal(text: str | bytes) -> Proposal:
    """An answer, with or without a code fence round it. Raises WriterError with the first thing wrong."""
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    text = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return Proposal.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))[:60] or "top level"
        raise WriterError(f"not a proposal: {where}: {first['msg'][:120]}") from None


# ---------------------------------------------------------------- any OpenAI-compatible endpoint


class _Message(BaseModel):
    content: str


class _Choice(BaseModel):
    message: _Message


class _Reply(BaseModel):
    choices: Annotated[list[_Choice], Field(min_length=1, max_length=16)]


class _Model(BaseModel):
    id: Annotated[str, Field(min_length=1, max_length=200)]


class _Models(BaseModel):
    data: Annotated[list[_Model], Field(min_length=1)]


class Endpoint:
    """Asks base_url/chat/completions; no redirect is followed.

    base_url: such as http://127.0.0.1:11434/v1, with #MODEL if `model` is not given; without both it is the first model
    the server lists. timeout: seconds for one answer, from the first byte to the last. An answer that is no proposal is
    sent back once with what is wrong. Raises InputError for an address that is none.
    """

    def __init__(self, base_url: str, model: str = "", api_key: str | None = None, timeout: float = 60.0):
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InputError(f"writer: expected an address such as http://127.0.0.1:11434/v1, got {base_url!r}")
        self._address, self._model = parts, model or parts.fragment
        self._api_key, self._timeout = api_key, timeout

    @property
    def name(self) -> str:
        return f"{self._model or 'a model'} at {self._address.hostname}"

    def propose(self, request: Request) -> Proposal:
        self._model = self._model or self._first_model()
        messages = [{"role": "user", "content": request.text()}]
        answer = self._ask(messages)
        try:
            return read_proposal(answer)
        except WriterError as error:
            wrong = f"That cannot be used: {error}. Answer again, with the JSON only."
            messages += [{"role": "assistant", "content": answer[:2000]}, {"role": "user", "content": wrong}]
        return read_proposal(self._ask(messages))

    def _first_model(self) -> str:
        try:
            return _Models.model_validate_json(self._call("GET", "models")).data[0].id
        except ValidationError:
            raise WriterError("the endpoint lists no model; name one after a # in its address") from None

    def _ask(self, messages: Sequence[Mapping[str, str]]) -> str:
        schema = {"name": "proposal", "strict": True, "schema": Proposal.model_json_schema()}
        body = {
            "model": self._model,
            "messages": messages,
            "temperature": 0,
            "response_format": {"type": "json_schema", "json_schema": schema},
        }
        try:
            reply = _Reply.model_validate_json(self._call("POST", "chat/completions", json.dumps(body).encode()))
        except ValidationError:
            raise WriterError("the endpoint's answer is not that of a chat completion") from None
        return reply.choices[0].message.content

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        try:
            with self._connection() as connection:
                connection.request(method, f"{self._address.path.rstrip('/')}/{path}", body, headers)
                response = connection.getresponse()
                if response.status != 200:
                    raise WriterError(f"the endpoint answers {response.status}")
                answer = response.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise WriterError(f"no answer: {str(error)[:120] or type(error).__name__}") from None
        if len(answer) > MAX_ANSWER:
            raise WriterError(f"the answer has more than {MAX_ANSWER} bytes")
        return answer

    @contextmanager
    def _connection(self) -> Iterator[http.client.HTTPConnection]:
        """A connection that is cut after the time-out, however steadily it trickles."""
        kind = http.client.HTTPSConnection if self._address.scheme == "https" else http.client.HTTPConnection
        connection = kind(self._address.hostname, self._address.port, timeout=self._timeout)
        connection.connect()
        plug = connection.sock
        timer = threading.Timer(self._timeout, _pull, [plug])
        timer.daemon = True
        timer.start()
        try:
            yield connection
        finally:
            timer.cancel()
            connection.close()


def _pull(plug: socket.socket) -> None:
    with suppress(OSError):  # closed by then
        plug.shutdown(socket.SHUT_RDWR)


# ---------------------------------------------------------------- a local transformers model


class LocalWriter:
    """A causal language model in a folder on this machine; its words are chosen from the tables while it decodes.

    The proposal's JSON is fixed but for its holes; at each hole only tokens that lead to a word of the table are
    allowed, so that any model, even an untrained one, gives a valid proposal. timeout: seconds for all of it.
    """

    def __init__(self, model, tokenizer, name: str = "local model", timeout: float = 120.0):
        self.name = name
        self._model, self._tokenizer, self._timeout = model, tokenizer, timeout

    @classmethod
    def load(cls, folder: str | Path, timeout: float = 120.0) -> "LocalWriter":
        """Raises InputError where the folder holds no such model. Nothing is downloaded, no code of the folder runs."""
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if not Path(folder).is_dir():
            raise InputError(f"writer: {folder}: no such folder; give the folder of a transformers model")
        try:
            model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise InputError(f"writer: {folder}: not a language model: {str(error).splitlines()[0]}") from None
        return cls(model.eval(), tokenizer, Path(folder).name, timeout)

    def propose(self, request: Request) -> Proposal:
        deadline = time.monotonic() + self._timeout
        text, parts = request.text() + "\n", []
        opening = '{"parts": ['
        for part in list(request.parts)[:MAX_PARTS]:
            opening += f'{{"part": {json.dumps(part)}'
            words = {}
            for name, table in TABLES.items():
                opening += f', "{name}": "'
                words[name] = self._choose(text + opening, table, deadline)
                opening += f'{words[name]}"'
            opening += "}, "
            parts.append(Idea(part=part, **words))
        return Proposal(parts=parts)

    def _choose(self, text: str, table: Sequence[str], deadline: float) -> str:
        """The word of the table that the model writes after the text."""
        if time.monotonic() > deadline:
            raise WriterError(f"not done after {self._timeout:.0f} s")
        inputs = self._tokenizer(text, return_tensors="pt")
        start = inputs["input_ids"].shape[1]
        end = self._tokenizer.eos_token_id
        spelled = {tuple(self._tokenizer(word, add_special_tokens=False)["input_ids"]) + (end,): word for word in table}

        def allowed(_, ids) -> list[int]:
            written = tuple(ids[start:].tolist())
            n = len(written)
            return sorted({s[n] for s in spelled if s[:n] == written and len(s) > n}) or [end]

        longest = max(map(len, spelled))
        result = self._model.generate(
            **inputs, do_sample=False, num_beams=1, max_new_tokens=longest, prefix_allowed_tokens_fn=allowed,
            eos_token_id=end, pad_token_id=end,
        )  # fmt: skip
        written = tuple(result[0, start:].tolist())
        for tokens, word in spelled.items():
            if written[: len(tokens)] == tokens:
                return word
        raise WriterError(f"wrote none of {', '.join(table)}")
