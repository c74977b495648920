"""What can go wrong, said to the user in one line.

    MusicVideoError
    ├── InputError      a file or value the user gave cannot be used
    │   └── AudioError  ... and it was meant to be a song
    ├── OutputError     a result cannot be written
    │   └── DiskFull    ... because there is no space
    ├── ModelError      a model is missing, incomplete or cannot run here
    └── Cancelled       the user asked to stop

Every message says what was expected, what came and what to do. The command line prints it and exits with
`exit_code`; the studio shows it as a toast. Anything that is not a MusicVideoError is a bug and keeps its traceback.
"""

import errno

NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class MusicVideoError(Exception):
    exit_code = 2


class InputError(MusicVideoError):
    pass


class AudioError(InputError):
    pass


class OutputError(MusicVideoError):
    pass


class DiskFull(OutputError):
    """needs: bytes that have to be free to go on, None where that is not known."""

    def __init__(self, message: str, needs: int | None = None) -> None:
        super().__init__(message)
        self.needs = needs


def cannot_write(path, error: OSError) -> OutputError:
    """What the system said when `path` was to be written, in the user's words."""
    kind = DiskFull if error.errno in NO_SPACE else OutputError
    reason = error.strerror or str(error)
    return kind(f"{path}: cannot write: {reason}. Free some space or choose another place.")


class ModelError(MusicVideoError):
    pass


class Cancelled(MusicVideoError):
    exit_code = 130
