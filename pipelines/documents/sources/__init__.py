"""Where documents come from: what `files.sources` names -> the files that are there.

Invariants: a uri is the path relative to its source, with forward slashes, valid UTF-8 and unique over all sources;
the list is sorted by uri; nothing outside a source is read, whatever its links say; nothing is fetched here.
One file a kind: folders.py (folders, globs, files), archives.py, snapshots.py (what was fetched); locations.py tells
them apart.
Not covered: contents (parsers/), fetching (documents/fetching/).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.artifacts import Digests, sha256_of
from pipelines.documents.sources import folders, snapshots
from pipelines.documents.sources.folders import Source
from pipelines.documents.sources.locations import Location, glob_base, is_archive, locate
from pipelines.errors import SourceError
from pipelines.settings import Documents

__all__ = ["Location", "Source", "digest", "find_sources", "listed", "locate", "origins", "place_of", "refusal"]

Named = str | os.PathLike[str]
Report = Callable[[int, int, str], None]

_LISTED: dict[str, Callable[[Path], Iterator[Source]]] = {
    "folder": folders.in_folder,
    "file": folders.the_file,
    "glob": folders.matching,
    "archive": folders.the_file,
}
"""How the files of a kind that lies on this machine are found."""


def silent(done: int, total: int, what: str) -> None:
    """A report that shows nothing."""


def find_sources(named: Sequence[Named], state: Path, limits: Documents, report: Report = silent) -> list[Source]:
    """Every visible file of the sources, archives opened, sorted by uri.

    `state`: where snapshots and the object store are. Raises SourceError naming a source that is missing, unreadable
    or not fetched yet, an archive among them that cannot be opened, or a uri that two sources share.
    """
    closed = [(source, each) for each in named for source in listed(locate(each), state)]
    found: dict[str, tuple[Source, Named]] = {}
    for source, each in _opened(closed, state, limits, report):
        if source.uri in found:
            raise SourceError(_clash(source.uri, found[source.uri][1], each))
        found[source.uri] = (source, each)
    return [found[uri][0] for uri in sorted(found)]


def listed(location: Location, state: Path) -> list[Source]:
    """The files of one source, archives closed."""
    found = snapshots.sources_of(location, state) if location.remote else _LISTED[location.kind](location.path)
    return [_as_named(source, location) for source in found]


def refusal(source: Source, max_bytes: int) -> str | None:
    """Why a file goes to quarantine unread, or None."""
    if source.refused is not None:
        return source.refused
    if source.size_bytes == 0:
        return "empty file (0 bytes)"
    if source.size_bytes > max_bytes:
        return f"too large: {source.size_bytes} bytes, documents.max_bytes allows {max_bytes}"
    return None


def digest(named: Named, state: Path, digests: Digests) -> str:
    """Digest of what a source holds, for a stage's key: equal content under equal uris, equal digest.

    Raises SourceError for a source that is missing, unreadable or not fetched yet.
    """
    location = locate(named)
    if location.remote:
        snapshots.fetched(location, state)
    elif location.path.is_dir() and not os.access(location.path, os.R_OK | os.X_OK):
        raise SourceError(f"{location.path}: this source folder cannot be read; check its permissions.")
    if location.kind == "glob":
        lines = [f"{each.refused or digests.file(each.path)}  {each.uri}" for each in listed(location, state)]
        content = sha256_of("\n".join(lines).encode())
    else:
        content = digests.tree(place_of(location, state))
    return sha256_of(f"{location.name}/{content}".encode()) if location.name else content


def place_of(location: Location, state: Path) -> Path:
    """The file or folder that a source's content is known by: for what is fetched, the listing of its snapshot."""
    if location.remote:
        return snapshots.listing_of(location, state)
    return glob_base(location.address) if location.kind == "glob" else location.path


def origins(named: Sequence[Named], state: Path) -> list[dict[str, Any]]:
    """Of each source that was fetched: what it is, its revision, and when its content last changed."""
    remote = [location for location in map(locate, named) if location.remote]
    found = [snapshot for location in remote if (snapshot := snapshots.read(location, state)) is not None]
    return [
        {**s.model_dump(include={"source", "revision", "changed"}), "files": s.files, "refused": s.refused}
        for s in found
    ]


def _opened(
    closed: Sequence[tuple[Source, Named]], state: Path, limits: Documents, report: Report
) -> Iterable[tuple[Source, Named]]:
    """The same with archives opened; what opens them is imported where there are any."""
    if all(source.inside is None for source, _ in closed):
        return closed
    from pipelines.documents.sources.archives import with_members

    opened = with_members([source for source, _ in closed], state, limits, report)
    return [(each, named) for (_, named), (_, inside) in zip(closed, opened, strict=True) for each in inside]


def _as_named(source: Source, location: Location) -> Source:
    """Under the name of its source; an archive knows what its members' uris begin with."""
    uri = location.prefixed(source.uri)
    if location.kind == "archive":
        return replace(source, uri=uri, inside=location.prefixed(""), named=True)
    if is_archive(source.uri):
        return replace(source, uri=uri, inside=f"{uri}/")
    return replace(source, uri=uri) if location.name else source


def _clash(uri: str, first: Named, second: Named) -> str:
    if os.fspath(first) == os.fspath(second):
        return f"{uri} occurs twice in {first}: a uri names one document. Is the source named twice?"
    return (
        f"{uri} occurs in {first} and in {second}: a uri names one document. Name the folder above both as the source, "
        f"or put a name before the uris of one: `{second} as NAME`."
    )
