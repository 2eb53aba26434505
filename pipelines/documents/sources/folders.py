"""What lies on this machine: folders, globs, single files.

Invariant: nothing outside a source's folder is read, whatever its links say; hidden files do not count.
"""

import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.documents.sources.locations import glob_base
from pipelines.errors import SourceError


@dataclass(frozen=True)
class Source:
    """A file to ingest. `refused`: why it may not be read at all (it goes to quarantine)."""

    uri: str
    path: Path
    size_bytes: int
    refused: str | None = None
    inside: str | None = None
    """For an archive: what the uris of its members begin with; None: no archive."""
    named: bool = False
    """Whether it is a source of its own, not a file of one."""


def in_folder(folder: Path) -> Iterator[Source]:
    """Every visible file below a folder. Raises SourceError for a folder that cannot be read."""
    top = str(folder.resolve())
    for place, names, files in os.walk(top, onerror=_unreadable):
        visible = sorted(name for name in names if not name.startswith("."))
        names[:] = visible
        linked = [name for name in visible if os.path.islink(os.path.join(place, name))]  # noqa: PTH114, PTH118
        for name in [*linked, *files]:
            if not name.startswith("."):
                path = os.path.join(place, name)  # noqa: PTH118  strings: a tenth of the time of Path objects
                yield source_at(path, path[len(top) :].lstrip(os.sep).replace(os.sep, "/"), top)


def the_file(path: Path) -> Iterator[Source]:
    """A single file, under its own name."""
    yield source_at(str(path), path.name, str(path.parent.resolve()))


def matching(pattern: Path) -> Iterator[Source]:
    """The visible files that a glob matches; uris are relative to the folder before its first wildcard.

    `*`, `?` and `[...]` stay within a name, `**` stands for any folders. Raises SourceError when nothing matches.
    """
    base = glob_base(str(pattern))
    top = str(base.resolve())
    found = sorted(set(_matched(top, "", pattern.parts[len(base.parts) :])))
    if not found:
        raise SourceError(f"{pattern}: no file matches it (hidden ones do not count).")
    for name in found:
        yield source_at(os.path.join(top, name), name.replace(os.sep, "/"), top)  # noqa: PTH118


def source_at(path: str, name: str, top: str) -> Source:
    """A path as a source, with the reason why it may not be read, if there is one."""
    uri = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    if uri != name:
        return Source(uri, Path(path), 0, "its name is not valid UTF-8; rename it")
    try:
        link = os.lstat(path)
        state = os.stat(path) if stat.S_ISLNK(link.st_mode) else link  # noqa: PTH116
    except OSError as exc:
        return Source(uri, Path(path), 0, f"cannot be read: {exc.strerror}")
    return Source(uri, Path(path), state.st_size, _refused(path, top, link.st_mode, state.st_mode))


def _matched(top: str, at: str, parts: Sequence[str]) -> Iterator[str]:
    """Names relative to `top` of what the parts of a pattern match below `at`, link for link."""
    head, rest = parts[0], parts[1:]
    try:
        with os.scandir(os.path.join(top, at)) as entries:  # noqa: PTH118
            visible = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as exc:
        _unreadable(exc)
    any_folders = head == "**"
    if any_folders and rest:
        yield from _matched(top, at, rest)
    fits = re.compile(fnmatch.translate("*" if any_folders else head)).match
    for entry in visible:
        name = os.path.join(at, entry.name)  # noqa: PTH118
        if not fits(entry.name):
            continue
        if not entry.is_dir(follow_symlinks=False):
            if not rest:
                yield name
        elif any_folders or rest:
            yield from _matched(top, name, parts if any_folders else rest)


def _unreadable(error: OSError) -> None:
    raise SourceError(
        f"{error.filename}: this source folder cannot be read ({error.strerror}); check its permissions."
    ) from error


def _refused(path: str, top: str, link: int, mode: int) -> str | None:
    if stat.S_ISLNK(link):
        if not Path(path).resolve().is_relative_to(top):
            return "a link that leads out of its source folder; copy the file here or name its folder as a source"
        if stat.S_ISDIR(mode):
            return "a link to a folder: links to folders are not followed"
    if not stat.S_ISREG(mode):
        return "not a regular file"
    return None
