"""What can go wrong, said to the user in one line.

    MusicVideoError
    ├── InputError      a file or value the user gave cannot be used
    │   └── AudioError  ... and it was meant to be a song
    ├── OutputError     a result cannot be written (unwritable, disk full)
    ├── ModelError      a model is missing, incomplete or cannot run here
    └── Cancelled       the user asked to stop

Every message says what was expected, what came and what to do. The command line prints it and exits with
`exit_code`; the studio shows it as a toast. Anything that is not a MusicVideoError is a bug and keeps its traceback.
"""


class MusicVideoError(Exception):
    exit_code = 2


class InputError(MusicVideoError):
    pass


class AudioError(InputError):
    pass


class OutputError(MusicVideoError):
    pass


class ModelError(MusicVideoError):
    pass


class Cancelled(MusicVideoError):
    exit_code = 130
