"""A writer behind an OpenAI-compatible endpoint: Ollama, vLLM, LM Studio, hosted ones."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from director.proposals import Answer, Proposal, Request, WriterError, choice_of, harmless, read_answer
from mv.errors import InputError

MAX_ANSWER = 64 * 1024  # bytes; a proposal has about one thousand


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
        return self._answer(request.text(), Proposal)

    def choose(self, question: str, table: Sequence[str]) -> str:
        schema = choice_of(table)
        asked = f'{harmless(question)}\nAnswer with JSON only: {{"choice": one of {", ".join(table)}}}'
        return self._answer(asked, schema).choice

    def _answer(self, question: str, schema: type[Answer]) -> Answer:
        self._model = self._model or self._first_model()
        messages = [{"role": "user", "content": question}]
        answer = self._ask(messages, schema)
        try:
            return read_answer(answer, schema)
        except WriterError as error:
            wrong = f"That cannot be used: {error}. Answer again, with the JSON only."
            messages += [{"role": "assistant", "content": answer[:2000]}, {"role": "user", "content": wrong}]
        return read_answer(self._ask(messages, schema), schema)

    def _first_model(self) -> str:
        try:
            return _Models.model_validate_json(self._call("GET", "models")).data[0].id
        except ValidationError:
            raise WriterError("the endpoint lists no model; name one after a # in its address") from None

    def _ask(self, messages: Sequence[Mapping[str, str]], answer: type[BaseModel]) -> str:
        schema = {"name": answer.__name__.lower(), "strict": True, "schema": answer.model_json_schema()}
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
