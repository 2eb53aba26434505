"""How records lie on disk: tables and JSON, fingerprints, stage folders, the object store.

Invariants: a file appears whole or not at all (temporary name, fsync, rename); a stage folder holds
`stage.json` only when everything else in it is complete; an object is written once and never changes.
Not covered: what the records mean (contracts.py), which stage reads which folder (stages.py).
"""

import hashlib
import importlib.metadata
import json
import os
import shutil
import tempfile
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipelines.errors import QuestionFileError, StageError
from pipelines.settings import Settings
from pipelines.shards import Mapper

if typing.TYPE_CHECKING:
    import pyarrow as pa

M = TypeVar("M", bound=BaseModel)

STAGE_FILE = "stage.json"
RUN_FILE = "run.json"


@dataclass(frozen=True)
class Workspace:
    """A folder that holds stage folders and `state/`; two workspaces share nothing."""

    root: Path

    def stage(self, name: str) -> Path:
        """The folder of a stage's last finished output."""
        return self.root / name

    @property
    def state(self) -> Path:
        """SQL, objects, MLflow, index, Prefect, models."""
        return self.root / "state"

    @property
    def objects(self) -> "ObjectStore":
        """The content-addressed store."""
        return ObjectStore(self.state / "objects")


@dataclass(frozen=True)
class StageJob:
    """What a stage's body is given.

    `inputs`: upstream stage folders and external files by name. `output`: write here; it may hold
    shards of an interrupted run of the same key. `previous`: the last finished output of this stage
    (another key), to take unchanged parts from. `report(done, total, what)` shows progress.
    """

    settings: Settings
    inputs: Mapping[str, Path]
    output: Path
    previous: Path | None
    state: Path
    report: Callable[[int, int, str], None]
    notes: dict[str, Any] = field(default_factory=dict)
    """Measurements (seconds, links) for run.json: never hashed."""
    digest: Callable[[Path], str] = field(default_factory=lambda: sha256_file)
    """sha256 of a source file, remembered from when the stage's key was computed."""
    mapper: Mapper | None = None
    """Who does large work in shards (shards.py); None: the stage streams it through this process."""


# --- bytes -----------------------------------------------------------------------------------


def sha256_of(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@cache
def version_of(library: str) -> str:
    """Version of an installed distribution; looking one up takes most of a millisecond."""
    return importlib.metadata.version(library)


def sha256_tree(path: Path) -> str:
    """Digest of a file, or of a folder as the sorted list of its files' names and digests.

    `run.json` is left out: it holds what differs from run to run.
    """
    if path.is_file():
        return sha256_file(path)
    lines = [f"{sha256_file(p)}  {p.relative_to(path).as_posix()}" for p in files_of(path)]
    return sha256_of("\n".join(lines).encode())


def files_of(folder: Path) -> list[Path]:
    """Every hashed file below a folder, sorted by name."""
    return [Path(entry.path) for entry in _entries(folder)]


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """The same as entries that know their kind: a thousandth of a second for a hundred files. Links to folders are
    not followed, folders that cannot be read are passed over."""
    open_folders = [_sorted_entries(os.fspath(folder))]
    while open_folders:
        entry = next(open_folders[-1], None)
        if entry is None:
            open_folders.pop()
        elif entry.is_dir(follow_symlinks=False):
            open_folders.append(_sorted_entries(entry.path))
        elif entry.is_file() and entry.name != RUN_FILE:
            yield entry


def _sorted_entries(folder: str) -> Iterator["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return iter(sorted(found, key=lambda entry: entry.name))
    except PermissionError:
        return iter(())


class Digests:
    """sha256 of files, remembered by (size, mtime, inode) so that an unchanged file is not read again."""

    def __init__(self, remembered: Path) -> None:
        self._path = remembered
        self._known: dict[str, list[Any]] = read_json(remembered) if remembered.exists() else {}
        self._changed = False

    def file(self, path: Path) -> str:
        """Digest of one file."""
        name = os.fspath(path)
        return self._digest(name, os.stat(name))  # noqa: PTH116  asked for every source of a run

    def tree(self, path: Path, *, but: str | None = None) -> str:
        """Same value as `sha256_tree`; `but`: the name of a file in the folder that does not count."""
        if path.is_file():
            return self.file(path)
        cut = len(os.path.join(path, ""))  # noqa: PTH118  strings: a tenth of the time of Path objects
        names = {e.path[cut:].replace(os.sep, "/"): e for e in _entries(path)}
        lines = [f"{self._digest(e.path, e.stat())}  {name}" for name, e in names.items() if name != but]
        return sha256_of("\n".join(lines).encode())

    def learn(self, path: Path, digest: str) -> None:
        """Remember the digest of a file that was just written."""
        self._known[str(path)] = [*_stamp(path.stat()), digest]
        self._changed = True

    def save(self) -> None:
        """Keep what was learned for the next process."""
        if self._changed:
            write_text(self._path, json.dumps(self._known))  # on one line: thrice as fast for thousands of files
            self._changed = False

    def _digest(self, path: str, stat: os.stat_result) -> str:
        stamp = _stamp(stat)
        known = self._known.get(path)
        if known is not None and known[:3] == stamp:
            return str(known[3])
        digest = sha256_file(Path(path))
        self._known[path] = [*stamp, digest]
        self._changed = True
        return digest


def _stamp(stat: os.stat_result) -> list[int]:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino]


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file whole: temporary name in the same folder, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """UTF-8 text, whole or not at all."""
    write_bytes(path, text.encode())


def read_text(path: Path, what: str = "file") -> str:
    """A text that somebody wrote, without a byte order mark; `what` it is, in words. Raises QuestionFileError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as exc:
        raise QuestionFileError(f"{path}: there is no such {what}.") from exc
    except (OSError, UnicodeDecodeError) as exc:
        raise QuestionFileError(f"{path}: not readable as UTF-8 text: {exc}") from exc


def write_json(path: Path, value: Any) -> None:
    """Canonical, readable JSON: equal values give equal bytes."""
    plain = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    write_text(path, json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False, default=str) + "\n")


def read_json(path: Path) -> Any:
    """The value of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


# --- tables ----------------------------------------------------------------------------------


def write_lines(path: Path, rows: Iterable[BaseModel]) -> None:
    """JSON Lines, one record a line."""
    write_text(path, "".join(row.model_dump_json() + "\n" for row in rows))


def read_lines(path: Path, model: type[M], *, head: type[BaseModel] | None = None) -> list[M]:
    """JSON Lines as records; a first line that is a `head` is passed over.

    Raises QuestionFileError naming file, line and rule.
    """
    rows = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            rows.append(model.model_validate_json(line))
        except ValidationError as exc:
            if head and not rows and _is(head, line):
                head = None
                continue
            first = exc.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the line"
            raise QuestionFileError(f"{path}, line {number}: {where}: {first['msg']}.") from exc
    return rows


def _is(model: type[BaseModel], line: str) -> bool:
    try:
        model.model_validate_json(line)
    except ValidationError:
        return False
    return True


def write_rows(path: Path, rows: Sequence[M], model: type[M]) -> None:
    """Records as Parquet with the schema that the contract implies; an empty table keeps its schema."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pylist([row.model_dump(mode="json") for row in rows], schema=arrow_schema(model))
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_rows(path: Path, model: type[M]) -> list[M]:
    """Parquet as records. Raises StageError when the file does not hold them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return [model.model_validate(row) for row in pq.read_table(path).to_pylist()]
    except (OSError, pa.ArrowException, ValidationError) as exc:
        raise StageError(f"{path} does not hold a table of {model.__name__}: {exc}") from exc


def arrow_schema(model: type[BaseModel]) -> "pa.Schema":
    """The Arrow schema of a contract: dict fields become maps of string to their value type."""
    import pyarrow as pa

    return pa.schema([(name, _arrow_type(f.annotation)) for name, f in model.model_fields.items()])


def _arrow_type(annotation: Any) -> "pa.DataType":
    import pyarrow as pa

    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        return _arrow_type(next(a for a in arguments if a is not type(None)))
    if origin in (tuple, list):
        return pa.list_(_arrow_type(arguments[0]))
    if origin is dict:
        return pa.map_(pa.string(), _arrow_type(arguments[1]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return pa.struct([(n, _arrow_type(f.annotation)) for n, f in annotation.model_fields.items()])
    plain = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    return plain.get(annotation, pa.string())


# --- folders ---------------------------------------------------------------------------------


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that becomes it when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def swap_in(fresh: Path, place: Path) -> None:
    """Put a finished folder in the place of an older one; a crash leaves one of the two whole."""
    old = place.with_name(f".{place.name}.old")
    if old.exists():  # a crash between the two renames below, and `place` exists again: it is stale
        if not place.exists():
            old.replace(place)
        else:
            shutil.rmtree(old)
    if place.exists():
        place.replace(old)
    fresh.replace(place)
    shutil.rmtree(old, ignore_errors=True)


def restore_swapped(place: Path) -> None:
    """Undo half a swap: a folder that was moved away and never replaced comes back."""
    old = place.with_name(f".{place.name}.old")
    if old.exists() and not place.exists():
        old.replace(place)


@dataclass(frozen=True)
class Stored:
    """Bytes in the object store."""

    digest: str
    size_bytes: int


class ObjectStore:
    """Content-addressed files and folders: `sha256/ab/abcdef...`, written once, read for ever.

    A folder is stored as its files plus a listing object; `get_tree` rebuilds it with hard links
    where the file system allows them.
    """

    def __init__(self, root: Path) -> None:
        self.root = root / "sha256"
        self._folder = str(self.root)

    def path(self, digest: str) -> Path:
        """Where an object lies (whether or not it is there)."""
        return self.root / digest[:2] / digest

    def has(self, digest: str) -> bool:
        """Whether an object is there."""
        return os.path.exists(f"{self._folder}/{digest[:2]}/{digest}")  # noqa: PTH110  asked for every source of a run

    def put_bytes(self, data: bytes) -> str:
        """Store bytes; give their digest."""
        digest = sha256_of(data)
        place = self.path(digest)
        if not place.exists():
            write_bytes(place, data)
            place.chmod(0o444)
        return digest

    def put_file(self, path: Path, digest: str | None = None) -> str:
        """Store a copy of a file; give its digest."""
        digest = digest or sha256_file(path)
        place = self.path(digest)
        if not place.exists():
            with replacing(place) as temporary:
                shutil.copyfile(path, temporary)
                if sha256_file(temporary) != digest:
                    raise StageError(f"{path} changed while it was copied to the object store; run again.")
                temporary.chmod(0o444)
        return digest

    def put_stream(self, pieces: Iterable[bytes]) -> "Stored":
        """Store bytes as they come; whatever `pieces` raises leaves nothing behind."""
        self.root.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=self.root, prefix=".incoming.")
        incoming, digest, size = Path(name), hashlib.sha256(), 0
        try:
            with os.fdopen(handle, "wb") as stream:
                for piece in pieces:
                    digest.update(piece)
                    size += len(piece)
                    stream.write(piece)
            self._adopt(incoming, digest.hexdigest())
        finally:
            incoming.unlink(missing_ok=True)
        return Stored(digest.hexdigest(), size)

    def adopt(self, path: Path) -> str:
        """Move a file of the same file system into the store; give its digest."""
        digest = sha256_file(path)
        self._adopt(path, digest)
        return digest

    def _adopt(self, path: Path, digest: str) -> None:
        place = self.path(digest)
        if place.exists():
            path.unlink()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            path.chmod(0o444)
            path.replace(place)

    def put(self, path: Path) -> str:
        """Store a file or a folder; give the digest that `get` takes. A folder's digest is its listing's."""
        if path.is_file():
            return self.put_file(path)
        listing = {p.relative_to(path).as_posix(): self.put_file(p) for p in files_of(path)}
        return self.put_bytes(json.dumps({"tree": listing}, sort_keys=True).encode())

    def get(self, digest: str) -> Path:
        """The stored file. Raises StageError when it is not there."""
        place = self.path(digest)
        if not place.exists():
            raise StageError(f"Object {digest} is not in {self.root}; restore it from a backup of state/objects.")
        return place

    def get_tree(self, digest: str, target: Path) -> Path:
        """Rebuild a stored folder at `target` (kept when it is already there)."""
        if target.exists():
            return target
        listing = json.loads(self.get(digest).read_text(encoding="utf-8"))["tree"]
        with replacing(target) as temporary:
            for name, file_digest in listing.items():
                place = temporary / name
                place.parent.mkdir(parents=True, exist_ok=True)
                try:
                    os.link(self.get(file_digest), place)
                except OSError:  # another file system, or one without links
                    shutil.copyfile(self.get(file_digest), place)
        return target
