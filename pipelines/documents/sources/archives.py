"""Archives -> their members, as files in the object store.

An archive is opened in a process of its own (unpacking.py), bounded in time, memory and bytes. What was opened once
is remembered by the archive's digest and the bounds: an unchanged archive is not opened again.
Invariant: an archive that is refused or damaged leaves nothing in the object store.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from pipelines.artifacts import ObjectStore, sha256_file, write_text
from pipelines.contracts import Contract, content_id
from pipelines.documents.sources import unpacking
from pipelines.documents.sources.folders import Source
from pipelines.errors import SourceError
from pipelines.settings import Documents

Report = Callable[[int, int, str], None]


class Member(Contract):
    """A file of an archive: the digest of its bytes, or the reason why it may not be read."""

    name: str
    size_bytes: int
    sha256: str | None = None
    refused: str | None = None


class Opened(Contract):
    """What is in an archive. `refused`: why it stays closed; `document`: it is a document of its own."""

    members: tuple[Member, ...] = ()
    refused: str | None = None
    document: bool = False


def with_members(
    sources: Sequence[Source], state: Path, limits: Documents, report: Report
) -> Iterator[tuple[Source, list[Source]]]:
    """Each source with what is to be read for it: itself, or the members of an archive.

    Raises SourceError when an archive that was named as a source cannot be opened; one in a folder goes to quarantine.
    """
    closed = [s for s in sources if s.inside is not None and s.refused is None and s.size_bytes]
    opened = _all_opened(closed, state, limits, report) if closed else {}
    store = ObjectStore(state / "objects")
    for source in sources:
        known = opened.get((source.path, source.uri))
        yield source, [source] if known is None else list(_members(source, known, store))


def _all_opened(
    closed: Sequence[Source], state: Path, limits: Documents, report: Report
) -> dict[tuple[Path, str], Opened]:
    folder = state / "unpacked"
    folder.mkdir(parents=True, exist_ok=True)
    opened: dict[tuple[Path, str], Opened] = {}
    kept: set[str] = set()
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        found = threads.map(lambda source: _opened(source, folder, state, limits), closed)
        for number, (source, (place, each)) in enumerate(zip(closed, found, strict=True), 1):
            opened[source.path, source.uri] = each
            kept.add(place.name)
            report(number, len(closed), f"opened {source.uri}")
    _forget_others(folder, kept)
    return opened


def _members(archive: Source, opened: Opened, store: ObjectStore) -> Iterator[Source]:
    if opened.refused is not None and archive.named:
        raise SourceError(f"{archive.path}: {opened.refused}.")
    if opened.document or opened.refused is not None:
        yield replace(archive, inside=None, refused=opened.refused)
    for member in opened.members:
        place = store.path(member.sha256) if member.sha256 else archive.path
        yield Source(f"{archive.inside}{member.name}", place, member.size_bytes, member.refused)


def _opened(archive: Source, folder: Path, state: Path, limits: Documents) -> tuple[Path, Opened]:
    """What is in an archive, and where that is remembered."""
    bounds = {**limits.archives.model_dump(exclude={"timeout_s"}), "file_bytes": limits.max_bytes}
    try:
        digest = sha256_file(archive.path)
    except OSError as exc:
        return folder / "none", Opened(refused=f"cannot be read: {exc.strerror}")
    key = content_id(digest, bounds, unpacking_digest(), Path(archive.uri).name)
    place = folder / f"{key}.json"
    store = ObjectStore(state / "objects")
    known = _remembered(place)
    if known is not None and all(m.sha256 is None or store.path(m.sha256).exists() for m in known.members):
        return place, known
    target = Path(tempfile.mkdtemp(dir=folder, prefix=".opening."))
    try:
        asked = {
            "archive": str(archive.path),
            "name": Path(archive.uri).name,
            "target": str(target),
            "bounds": {**bounds, "memory_bytes": limits.memory_bytes},
        }
        opened = _taken_in(_answer(asked, target, limits.archives.timeout_s), target, store)
    finally:
        shutil.rmtree(target, ignore_errors=True)
    write_text(place, opened.model_dump_json())
    return place, opened


def unpacking_digest() -> str:
    """Digest of the code that opens archives: another one opens them again."""
    return sha256_file(Path(unpacking.__file__))


def _answer(asked: Mapping[str, object], target: Path, timeout_s: float) -> dict[str, object]:
    """What the process says of an archive."""
    command = [sys.executable, "-I", unpacking.__file__, json.dumps(asked)]
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"refused": f"took longer than {timeout_s:g} s to open (documents.archives.timeout_s)"}
    try:
        answer: dict[str, object] = json.loads((target / "listing.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"refused": f"damaged archive: opening it ended the process (exit code {done.returncode})"}
    return answer


def _taken_in(answer: dict[str, object], target: Path, store: ObjectStore) -> Opened:
    """The answer with its files moved into the object store: what a hostile archive leads to is not taken on trust."""
    try:
        listed = [unpacking.Member(**each) for each in answer.pop("members", ())]  # type: ignore[attr-defined]
        members = []
        for each in listed:
            digest = store.adopt(target / Path(each.file).name) if each.file else None
            members.append(Member(name=each.name, size_bytes=each.size_bytes, sha256=digest, refused=each.refused))
        return Opened.model_validate({**answer, "members": tuple(members)})
    except (TypeError, OSError, ValidationError) as exc:
        raise SourceError(f"{target}: opening an archive gave what is no listing: {exc}") from exc


def _remembered(place: Path) -> Opened | None:
    try:
        return Opened.model_validate_json(place.read_bytes())
    except (OSError, ValidationError):
        return None


def _forget_others(folder: Path, kept: set[str]) -> None:
    """Clear away what is remembered of archives that are no longer there, and what a killed run left half opened."""
    for place in folder.iterdir():
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        elif place.name not in kept:
            place.unlink(missing_ok=True)
