"""The folder of a project: who works on it, what may be swept out of it, whether the disk has room for it.

    song, project.json, analysis.json, plan.json, rendered.json, takes/, pieces/, films/ ...

Everything in it is written whole or not at all, under a temporary name that begins with a dot.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from mv.errors import DiskFull, InputError, cannot_write

RESERVE = 128 * 2**20  # bytes left free on the disk: the job store and the user's other programs need some too
LOCK = ".lock"
FORGOTTEN = 86400  # seconds: a temporary file this old belongs to no one


# ---------------------------------------------------------------- space


def free_bytes(folder: str | Path) -> int:
    """Space on the disk that holds a folder, which need not be there yet."""
    folder = Path(folder).absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_space(folder: str | Path, size: int, what: str) -> None:
    """Raises DiskFull where `size` bytes more would leave less than RESERVE."""
    free, needs = free_bytes(folder), size + RESERVE
    if free < needs:
        raise DiskFull(
            f"{what} needs {_mib(needs)} of free space on the disk, there is {_mib(free)}. Free at least "
            f"{_mib(needs - free)}.",
            needs,
        )


def _mib(size: int) -> str:
    return f"{-(-size // 2**20)} MiB"


# ---------------------------------------------------------------- one process at a time


class Taken(InputError):
    """Another process has the lock; holder: which, and since when, in words."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(f"{name}: {holder}; wait until it is done, or stop it")
        self.holder = holder


@contextmanager
def lock(folder: str | Path, purpose: str) -> Iterator[None]:
    """Hold a project for this process while it plans or renders; the lock ends with the process, however that ends.

    Raises Taken saying who holds it, OutputError where the folder cannot be written.
    """
    path = Path(folder) / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("r+b" if path.exists() else "w+b")
    except OSError as error:
        raise cannot_write(path, error) from None
    with file:
        if not _try_lock(file):
            raise Taken(path.parent.name, _holder(path))
        _say(
            file, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "what": purpose, "since": time.time()})
        )
        try:
            yield
        finally:
            _say(file, "")
            _unlock(file)


def _say(file: IO[bytes], text: str) -> None:
    """Who holds the lock is a courtesy: a full disk must not stop the work for it. Byte 0 is what is locked where
    locks keep others from reading."""
    with suppress(OSError):
        file.seek(1)
        file.truncate()
        file.write(text.encode())
        file.flush()


def _holder(path: Path) -> str:
    try:
        with path.open("rb") as file:
            file.seek(1)
            said = json.loads(file.read())
        since = time.strftime("%H:%M", time.localtime(said["since"]))
        return f"another process ({said['what']}, number {said['pid']} on {said['host']}) works on it since {since}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process works on it"


def _try_lock(file: IO[bytes]) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _unlock(file: IO[bytes]) -> None:
    if os.name == "nt":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_UN)


def start_process(command: Sequence[str], home: str | Path, **options) -> subprocess.Popen:
    """A process of this program beside the studio, that reads the studio's pipe and writes to home/worker.log.

    It has a session of its own: Ctrl+C reaches the studio, which then ends it. options: as for subprocess.Popen.
    """
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    with (Path(home) / "worker.log").open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
            **options,
        )


def give_way(nice: int) -> None:
    """Let others on this machine go first, the more so the higher the number, up to 19."""
    if hasattr(os, "nice"):
        os.nice(nice)
    # A Linux desktop weighs sessions against each other, and processes only within one: start_process makes a session.
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(nice))


# ---------------------------------------------------------------- what a killed process leaves


OURS = ("takes", "pieces", "films", "live")  # folders that only the holder of the lock writes in
OTHERS = (".", "history", "storyboard", "exports")  # ... and those that the page and its drawing process write in


def sweep(folder: str | Path) -> None:
    """Remove the temporary files a killed process left. Only for who holds the project's lock: others may be writing
    in OTHERS, so what lies there goes only when it is a day old."""
    folder = Path(folder)
    for path in [path for name in OURS for path in (folder / name).glob(".*")]:
        if path.suffix != ".safetensors":  # checkpoints are there to be found
            path.unlink(missing_ok=True)
    for path in [path for name in OTHERS for path in (folder / name).glob(".*.*.*")]:
        with suppress(OSError):
            if abs(time.time() - path.stat().st_mtime) > FORGOTTEN:
                path.unlink()
