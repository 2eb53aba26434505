"""Source folders -> what lies in them.

Invariants: a uri is the path relative to its folder, with forward slashes, valid UTF-8 and unique over
all folders; the list is sorted by uri; nothing outside a folder is read, whatever its links say.
Not covered: contents (parsers/), addresses that are not folders (URLs, S3).
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import SourceError


@dataclass(frozen=True)
class Source:
    """A file to ingest. `refused`: why it may not be read at all (it goes to quarantine)."""

    uri: str
    path: Path
    size_bytes: int
    refused: str | None = None


def find_sources(folders: Sequence[Path]) -> list[Source]:
    """Every visible file below the folders, sorted by uri. A single file stands for itself.

    Raises SourceError naming a folder that is missing or unreadable, or a uri that two folders share.
    """
    found: dict[str, tuple[Source, Path]] = {}
    for folder in folders:
        for source in _sources_in(folder):
            if source.uri in found:
                raise SourceError(
                    f"{source.uri} occurs in {found[source.uri][1]} and in {folder}: a uri names one document. "
                    "Rename one of the files, or name the folder above both as the source."
                )
            found[source.uri] = (source, folder)
    return [found[uri][0] for uri in sorted(found)]


def refusal(source: Source, max_bytes: int) -> str | None:
    """Why a file goes to quarantine unread, or None."""
    if source.refused is not None:
        return source.refused
    if source.size_bytes == 0:
        return "empty file (0 bytes)"
    if source.size_bytes > max_bytes:
        return f"too large: {source.size_bytes} bytes, documents.max_bytes allows {max_bytes}"
    return None


def _sources_in(folder: Path) -> Iterator[Source]:
    if folder.is_file():
        yield _source(str(folder), folder.name, str(folder.parent.resolve()))
        return
    if not folder.is_dir():
        raise SourceError(f"{folder}: there is no such source folder; check `files.sources` or --sources.")
    top = str(folder.resolve())
    for place, names, files in os.walk(top, onerror=_unreadable):
        visible = sorted(name for name in names if not name.startswith("."))
        names[:] = visible
        linked = [name for name in visible if os.path.islink(os.path.join(place, name))]  # noqa: PTH114, PTH118
        for name in [*linked, *files]:
            if not name.startswith("."):
                path = os.path.join(place, name)  # noqa: PTH118  strings: a tenth of the time of Path objects
                yield _source(path, path[len(top) :].lstrip(os.sep).replace(os.sep, "/"), top)


def _unreadable(error: OSError) -> None:
    raise SourceError(
        f"{error.filename}: this source folder cannot be read ({error.strerror}); check its permissions."
    ) from error


def _source(path: str, name: str, top: str) -> Source:
    uri = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if uri != name:
        return Source(uri, Path(path), 0, "its name is not valid UTF-8; rename it")
    try:
        link = os.lstat(path)
        state = os.stat(path) if stat.S_ISLNK(link.st_mode) else link  # noqa: PTH116
    except OSError as exc:
        return Source(uri, Path(path), 0, f"cannot be read: {exc.strerror}")
    refused = _refused(path, top, link.st_mode, state.st_mode)
    return Source(uri, Path(path), state.st_size, refused)


def _refused(path: str, top: str, link: int, mode: int) -> str | None:
    if stat.S_ISLNK(link):
        if not Path(path).resolve().is_relative_to(top):
            return "a link that leads out of its source folder; copy the file here or name its folder as a source"
        if stat.S_ISDIR(mode):
            return "a link to a folder: links to folders are not followed"
    if not stat.S_ISREG(mode):
        return "not a regular file"
    return None
