"""Whose projects are whose.

A studio with one password, or with none, is one household's: all projects in its folder are everybody's there. With
several accounts everyone has a folder of their own, users/<name>, and neither sees nor reads what lies elsewhere.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mv.errors import InputError
from mv.ui.project import USERS, Project, projects

USER = re.compile(r"\w[\w.-]{0,59}")  # a name that is also a folder's
UPLOADS = "uploads"  # gradio's copies, in folders named by the hash of their content


class Spaces:
    """apart: every user has a folder of their own."""

    def __init__(self, home: Path, apart: bool = False) -> None:
        self.home, self.apart = home, apart

    def prefix(self, user: str) -> str:
        """What the names of a user's projects begin with. Raises InputError for nobody."""
        if not self.apart:
            return ""
        if not USER.fullmatch(user):
            raise InputError("log in first")
        return f"{USERS}/{user}/"

    def folder(self, user: str) -> Path:
        return self.home / self.prefix(user)

    def names(self, user: str) -> list[str]:
        """Of all the user's projects, the last one worked on first."""
        return projects(self.home, self.prefix(user))

    def open(self, name: str, user: str) -> Project:
        """Raises InputError where the user has no such project, in the same words whether or not another one has."""
        prefix = self.prefix(user)
        if not name.startswith(prefix) or "/" in name[len(prefix) :]:
            raise InputError(f"there is no project {name[:80]!r}")
        return Project(self.home, name)

    def may_read(self, path: Path, user: str | None) -> bool:
        """Whether a file may be handed to the user, as far as it lies in the projects' home; of what lies elsewhere
        the server itself takes care."""
        if not self.apart:
            return True
        path, home = path.resolve(), self.home.resolve()
        if not path.is_relative_to(home):
            return True
        return path.is_relative_to(home / UPLOADS) or (user is not None and path.is_relative_to(self.folder(user)))


def check_accounts(users: Sequence[str]) -> None:
    """Several users need names that can be folders, on any file system. Raises InputError."""
    for user in users:
        if not USER.fullmatch(user):
            raise InputError(f"--auth: expected a user's name of letters, digits, - _ and ., got {user[:60]!r}")
    if len({user.casefold() for user in users}) < len(users):
        raise InputError("--auth: two users have the same name; give each another one")


def user_of(request: Request) -> str | None:
    """Who has logged in, as gradio's own doors find out; None for nobody, and where there is no password."""
    app = request.app
    for name in (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}"):
        if token := request.cookies.get(name):
            return app.tokens.get(token)
    return None


class FileDoor:
    """ASGI middleware before gradio's file addresses: to each user their own files only, and none as a page that may
    do anything: what a stranger's zip brought in must not speak for the studio."""

    def __init__(self, app: ASGIApp, spaces: Spaces) -> None:
        self.app, self.spaces = app, spaces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _asked_file(scope["path"]) if scope["type"] == "http" else None
        if asked is None:
            await self.app(scope, receive, send)
        elif not self._may_read(asked, Request(scope)):
            await JSONResponse({"detail": "File not allowed."}, 403)(scope, receive, send)
        else:
            await self.app(scope, receive, _sandboxed(send))

    def _may_read(self, asked: str, request: Request) -> bool:
        try:
            return all(self.spaces.may_read(Path(path), user_of(request)) for path in (asked, unquote(asked)))
        except (OSError, ValueError, InputError):  # a name no file can have
            return False


def _asked_file(address: str) -> str | None:
    """Of gradio's two forms, gradio_api/file=PATH and gradio_api/file/PATH."""
    found = re.search(r"/file[=/](.*)", address, re.DOTALL)
    return found and found[1]


def _sandboxed(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            guards = [(b"content-security-policy", b"sandbox"), (b"x-content-type-options", b"nosniff")]
            message = {**message, "headers": [*message["headers"], *guards]}
        await send(message)

    return sending
