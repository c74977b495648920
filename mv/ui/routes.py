"""The page's own doors beside gradio's: small JSON posts for what has to be quick.

    POST mv/edit   {"project", "number", "near", "edits": [{"seq", "op", ...}]}   Studio.edit
    POST mv/ask    {"project", "number", "seq", "ask", ...}                       Studio.ask
    POST mv/news   {"project", "seen"}                                            Studio.poll
    POST mv/ping   {}                                                             the least that a post takes

Gradio's queue takes an event through two requests, a session and a stream of events; an edit is one post, one after the
other in order. Only pages of this studio may ask, and where it has a password only those who gave it.
"""

import json
from collections.abc import Callable, Mapping
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from mv.errors import MusicVideoError
from mv.ui.spaces import user_of
from mv.ui.studio import Studio, without_folders

MAX_BYTES = 4 * 2**20  # of a message: thousands of shots' names, keyframes, a long prompt


class Refused(Exception):
    """status: of HTTP."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


def routes(studio: Studio) -> list[Route]:
    return [
        Route("/mv/edit", _door(studio.edit), methods=["POST"]),
        Route("/mv/ask", _door(studio.ask), methods=["POST"]),
        Route("/mv/news", _door(studio.poll), methods=["POST"]),
        Route("/mv/ping", _door(lambda message, user: {}), methods=["POST"]),
    ]


def _door(answer: Callable[[Mapping, str], dict]):
    """answer: to a message of a user."""

    async def handle(request: Request) -> JSONResponse:
        try:
            user = check_sender(request)
            message = await _message(request)
        except Refused as refused:
            return JSONResponse({"error": str(refused)}, refused.status)
        try:
            return JSONResponse(await run_in_threadpool(answer, message, user))
        except MusicVideoError as error:  # a plan that cannot be read any more
            return JSONResponse({"error": without_folders(str(error))}, 409)

    return handle


def check_sender(request: Request) -> str:
    """The user's name, "" where there is no password: of a page of this very server, and of somebody who has logged
    in. Raises Refused."""
    app, headers = request.app, request.headers
    # A form of another site can post plain text unasked, but no JSON.
    if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise Refused(415, "expected application/json")
    hosts = (None, headers.get("host"), headers.get("x-forwarded-host"))
    own = urlsplit(headers["origin"]).netloc in hosts if "origin" in headers else True
    # What the browser itself says goes first: behind a proxy the studio may not know its own name.
    if headers.get("sec-fetch-site", "same-origin" if own else "cross-site") != "same-origin":
        raise Refused(403, "this page is not of this studio")
    user = user_of(request)
    if app.auth is not None and user is None:
        raise Refused(401, "log in first")
    return user or ""


async def _message(request: Request) -> dict:
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MAX_BYTES:
            raise Refused(413, f"the message is longer than {MAX_BYTES} bytes")
    try:
        message = json.loads(content)
    except (ValueError, RecursionError):
        raise Refused(400, "expected JSON") from None
    if not isinstance(message, dict):
        raise Refused(400, "expected an object")
    return message
