"""The devices of this machine that draw, and whose turn it is: no two processes render on one of them at once."""

import logging
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from mv.errors import OutputError
from mv.projects import Taken, lock

PATIENCE = 0.1  # seconds between two looks at a device that is taken


def local_devices() -> list[str]:
    """cuda:0, cuda:1 ... by what the driver lists, within CUDA_VISIBLE_DEVICES; else ["default"]: what torch finds by
    itself. Loads no library."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        names = [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    else:
        gpus = Path("/proc/driver/nvidia/gpus")
        names = [str(number) for number, _ in enumerate(gpus.iterdir())] if gpus.is_dir() else []
    return [f"cuda:{name.strip()}" for name in names] or ["default"]


@contextmanager
def turn(on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold the device that this process draws on: the first one it sees. Ends with the process, however that ends.

    on_wait: called ten times a second while another process of this user holds it, with words that say which; gives up
    by raising. Where no lock can be kept, the work goes on without one.
    """
    device = local_devices()[0]
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(lock(_folder() / device.replace(":", "-"), "rendering"))
                break
            except Taken as taken:
                on_wait(taken.holder)
                time.sleep(PATIENCE)
            except OutputError as error:
                logging.warning("cannot see whether another process renders on %s: %s", device, error)
                break
        yield


def _folder() -> Path:
    """The user's own, so that no one else can plant a file in it; and the machine's: a home may be shared by many."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return Path(os.environ.get("MV_DEVICES") or cache / "mv-studio" / "devices") / socket.gethostname()
