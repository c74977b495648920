"""What a writer is asked and what it may answer.

A writer's words are data. They are read against `Proposal`, whose every field is a word of a table; nothing else of an
answer is used, and no answer, a wrong one or a late one leaves the rules' plan as it is, with a line in the log.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from director.vocabulary import ABSTRACT, MOODS
from mv.world import vocabulary as world

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=BaseModel)

STRICT = ConfigDict(frozen=True, extra="forbid", strict=True)
MAX_PARTS = 16
MAX_THEME = 2000  # characters of the user's theme that a writer is told
TABLES = {"mood": MOODS, "scene": tuple(world.SCENES), "time": tuple(world.TIMES), "palette": tuple(world.PALETTES)}


class Idea(BaseModel):
    """How one part of the song feels, where it plays, in which light."""

    model_config = STRICT

    part: Annotated[str, Field(max_length=20)]
    mood: Literal[TABLES["mood"]]
    scene: Literal[TABLES["scene"]]
    time: Literal[TABLES["time"]]
    palette: Literal[TABLES["palette"]]


class Proposal(BaseModel):
    model_config = STRICT

    parts: Annotated[list[Idea], Field(max_length=MAX_PARTS)]


@dataclass(frozen=True)
class Part:
    """A part of the song by the first section that plays it: start and seconds; energy, voice 0..1."""

    label: str
    start: float
    seconds: float
    energy: float
    voice: float


@dataclass(frozen=True)
class Request:
    """What a writer is told: the parts of the song in the order they first come."""

    theme: str
    arousal: float
    valence: float
    parts: Mapping[str, Part]

    def text(self) -> str:
        """The task in words. The user's theme stands in it as a JSON string, in which no token of a model's own
        language (<|...|>) survives."""
        song = {"theme": self.theme[:MAX_THEME], "arousal": self.arousal, "valence": self.valence}
        song["parts"] = {name: vars(part) for name, part in self.parts.items()}
        told = harmless(json.dumps(song))
        tables = "\n".join(f"{name}: one of {', '.join(table)}" for name, table in TABLES.items())
        return (
            "You are the director of a music video. For each part of the song say how it feels, and choose where it "
            f"plays and in which light. Use only these words.\n{tables}\nA drop plays in {' or '.join(ABSTRACT)}; the "
            "part called away leaves the places of home and chorus.\n"
            f"The song: {told}\n"
            'Answer with JSON only: {"parts": [{"part": ..., "mood": ..., "scene": ..., "time": ..., "palette": ...}]}'
        )


class WriterError(Exception):
    """A writer gave no answer that can be used."""


class Writer(Protocol):
    name: str

    def propose(self, request: Request) -> Proposal:
        """Raises WriterError."""
        ...

    def choose(self, question: str, table: Sequence[str]) -> str:
        """A word of the table. Raises WriterError."""
        ...


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
    return read_answer(text, Proposal)


def choice_of(table: Sequence[str]) -> type[BaseModel]:
    """The schema of an answer that is one word of a table."""
    return create_model("Choice", __config__=STRICT, choice=(Literal[tuple(table)], ...))


def harmless(text: str) -> str:
    """Text that holds no token of a model's own language (<|...|>), inside of JSON the same text."""
    return text.replace("<|", "<\\u007c")


def read_answer(text: str | bytes, schema: type[Answer]) -> Answer:
    """An answer of this schema. Raises WriterError with the first thing wrong."""
    text = text.decode(errors="replace") if isinstance(text, bytes) else text
    text = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        return schema.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"]))[:60] or "top level"
        raise WriterError(f"not a {schema.__name__.lower()}: {where}: {first['msg'][:120]}") from None
