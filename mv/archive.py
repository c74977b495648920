"""A project as one zip file, to keep or to hand on: out of a folder, and safely back into one.

What comes in was made by others: nothing is written outside the new project's folder, nothing is believed about sizes,
and the documents may name no file but the project's own.
"""

import json
import re
import shutil
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from mv.errors import InputError, cannot_write
from mv.projects import check_space, lock
from mv.schema import Analysis, Timeline
from mv.video import whole_file

FOLDERS = ("takes", "films", "history")
# Of Timeline, Brief, Shot and Take.
_FILE_FIELDS = {"song", "analysis", "image", "lyrics", "references", "reference", "file"}
NAME = re.compile(r"\w[\w .()'&+,=@~!-]{0,150}\.[A-Za-z0-9]{1,8}")  # a file in a project
PROJECT = re.compile(r"\w[\w.-]{0,99}")
MAX_FILES = 20_000
MAX_DOCUMENT = 64 * 2**20  # bytes of a JSON file: an hour's analysis has 10 MiB
MAX_RATIO = 20  # media hardly shrinks: what unpacks to more than this many times its size is no media
MAX_TOTAL = 64 * 2**30  # bytes
RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(10))}


def export_project(folder: str | Path, target: str | Path) -> Path:
    """Song, documents, takes and films as a zip, written whole or not at all. Raises InputError where the folder is no
    project or is being worked on, OutputError."""
    folder, target = Path(folder), Path(target)
    if not (folder / "plan.json").is_file() and not (folder / "project.json").is_file():
        raise InputError(f"{folder}: not a project: it has neither project.json nor plan.json")
    if target.suffix.lower() != ".zip":
        raise InputError(f"{target}: expected a name that ends in .zip")
    with lock(folder, "export"), whole_file(target) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path in _own_files(folder):
            method = zipfile.ZIP_DEFLATED if path.suffix == ".json" else zipfile.ZIP_STORED
            archive.write(path, f"{folder.name}/{path.relative_to(folder).as_posix()}", method)
    return target


def _own_files(folder: Path) -> Iterator[Path]:
    """What makes a project; sketches are drawn again, temporary files and links stay."""
    for path in sorted([*folder.iterdir(), *(p for name in FOLDERS for p in (folder / name).glob("*"))]):
        if path.is_file() and not path.is_symlink() and NAME.fullmatch(path.name):
            yield path


def import_project(archive: str | Path, home: str | Path) -> str:
    """The name of the new project in `home`; one of the same name there stays as it is, and this one is numbered.

    Raises InputError for anything that is no project of ours, DiskFull, OutputError; then nothing is left.
    """
    home = Path(home).absolute()
    try:
        with zipfile.ZipFile(archive) as file:
            name, members = _checked(file, Path(archive).name)
            check_space(home, sum(info.file_size for info in members.values()), "This project")
            return _unpack(file, name, members, home)
    except zipfile.BadZipFile as error:
        raise InputError(f"{archive}: not a readable zip file: {error}") from None
    except (NotImplementedError, RuntimeError, EOFError, ValueError, zlib.error) as error:  # methods, passwords, damage
        raise InputError(f"{archive}: this zip file cannot be unpacked: {error}") from None
    except OSError as error:
        if Path(archive).is_file():
            raise cannot_write(home, error) from None
        raise InputError(f"{archive}: cannot read this file: {error.strerror}") from None


def _checked(file: zipfile.ZipFile, shown: str) -> tuple[str, dict[PurePosixPath, zipfile.ZipInfo]]:
    """The project's name, and its files by their place in it. Raises InputError for what could do harm."""
    infos = [info for info in file.infolist() if not info.is_dir()]
    if not 0 < len(infos) <= MAX_FILES:
        raise InputError(f"{shown}: expected a project of 1 to {MAX_FILES} files, got {len(infos)}")
    members: dict[PurePosixPath, zipfile.ZipInfo] = {}
    roots, seen, total = set(), set(), 0
    for info in infos:
        root, *inside = info.filename.split("/")
        place = PurePosixPath(*inside)
        if info.filename != info.orig_filename or not _may_be(root, inside, info):
            raise InputError(f"{shown}: {info.filename[:80]!r} is no file of a project; nothing was unpacked")
        total += info.file_size
        most = MAX_DOCUMENT if place.suffix.lower() == ".json" else MAX_RATIO * info.compress_size + 2**20
        if info.file_size > most or total > MAX_TOTAL:
            raise InputError(f"{shown}: {info.filename[:80]!r} unpacks to far too much; nothing was unpacked")
        if str(place).casefold() in seen:
            raise InputError(f"{shown}: {info.filename[:80]!r} is in it twice; nothing was unpacked")
        seen.add(str(place).casefold())
        roots.add(root)
        members[place] = info
    documents = {PurePosixPath("project.json"), PurePosixPath("plan.json")}
    if len(roots) != 1 or not documents & members.keys():
        raise InputError(f"{shown}: not a project: expected one folder with project.json or plan.json in it")
    return roots.pop(), members


def _may_be(root: str, inside: list[str], info: zipfile.ZipInfo) -> bool:
    kind = stat.S_IFMT(info.external_attr >> 16)
    depth_fits = len(inside) == 1 or (len(inside) == 2 and inside[0] in FOLDERS)
    names_fit = bool(inside) and PROJECT.fullmatch(root) and NAME.fullmatch(inside[-1])
    reserved = {part.partition(".")[0].lower() for part in (root, *inside)} & RESERVED
    plain = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and not info.flag_bits & 1
    return bool(depth_fits and names_fit and plain and not reserved and kind in (0, stat.S_IFREG))


def _unpack(file: zipfile.ZipFile, name: str, members: dict[PurePosixPath, zipfile.ZipInfo], home: Path) -> str:
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".import-") as temporary:
        folder = Path(temporary) / name
        for place, info in members.items():
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            with file.open(info) as source, target.open("xb") as sink:
                _copy(source, sink, info)
        _check_documents(folder)
        for number in range(1, MAX_FILES):
            chosen = name if number == 1 else f"{name[:90]}-{number}"
            if not (home / chosen).exists():
                shutil.move(folder, home / chosen)
                return chosen
    raise InputError(f"{name}: there are too many projects of this name")


def _copy(source, sink, info: zipfile.ZipInfo) -> None:
    """No more than was said: a lying header must not fill the disk."""
    left = info.file_size
    while piece := source.read(min(2**20, left + 1)):
        left -= len(piece)
        if left < 0:
            raise InputError(f"{info.filename[:80]!r} is larger than the zip file says; nothing was unpacked")
        sink.write(piece)


def _check_documents(folder: Path) -> None:
    """Every document can be read, and names only files of the project. Raises InputError."""
    for path in [*folder.glob("plan*.json"), *folder.glob("render*.json"), *folder.glob("history/r*.json")]:
        Timeline.load(path)
        _check_names(path.name, path.read_bytes())
    for path in folder.glob("history/*.jsonl"):  # the undo journal: its steps hold shots and briefs
        for line in path.read_bytes().splitlines():  # of bytes, as its reader does: text has more ends of lines
            _check_names(path.name, line)
    for path in folder.glob("analysis*.json"):
        Analysis.load(path)


def _check_names(shown: str, content: bytes) -> None:
    """Raises InputError where a JSON document names a file outside of the project; what is no JSON names none."""

    def walk(value, key: str) -> Iterator[str]:
        if isinstance(value, dict):
            for name, inner in value.items():
                yield from walk(inner, key if key == "references" else name)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner, key)
        elif isinstance(value, str) and value and key in _FILE_FIELDS:
            yield value

    with suppress(ValueError, RecursionError):
        document = json.loads(content)
        for name in walk(document, ""):
            if not NAME.fullmatch(name):
                raise InputError(f"{shown}: it names {name[:80]!r}, which is outside of the project")
