"""The process that opens one archive: members into numbered files beside a listing, never under their own names.

Run as a script with the standard library alone (30 ms), so that a bomb, a hang or a crash of a decompressor costs
that archive. Invariants: no more bytes are written than the bounds allow, whatever an archive declares; a member's
name has no `..`, no root and no control characters; links and devices are never made; hidden names do not count.
Not covered: passwords, archives in several volumes, 7z and RAR.
"""

import bz2
import gzip
import io
import json
import lzma
import os
import re
import struct
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

PIECE = 1 << 16
FLOOR_BYTES = 16 << 20
"""An archive may always unpack to so much, however small it is: 16 MiB of zeros are no bomb."""
_MAGIC = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",  # an empty one
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
}
_NAMES = re.compile(r"\.(zip|tar|tgz|tbz2|txz|tzst|gz|bz2|xz|zst)$", re.I)
_SINGLE = re.compile(r"\.(gz|bz2|xz|zst)$", re.I)
_ZST_WINDOW_BYTES = 1 << 27
_LONGEST_NAME = 2000


class RefusedError(Exception):
    """An archive that is not opened, as a whole; carries the reason."""


@dataclass(frozen=True)
class Bounds:
    """What one archive may cost, everything inside it included."""

    total_bytes: int
    members: int
    ratio: float
    depth: int
    file_bytes: int
    memory_bytes: int


@dataclass
class Member:
    """A file of an archive: `file` in the target folder, or the reason why it is not there."""

    name: str
    size_bytes: int
    file: str | None = None
    refused: str | None = None


@dataclass
class Budget:
    """What is spent so far. Raises RefusedError when a bound is passed."""

    bounds: Bounds
    archive_bytes: int
    spent: int = 0
    members: int = 0

    def spend(self, amount: int) -> None:
        """Count unpacked bytes."""
        self.spent += amount
        if self.spent > self.bounds.total_bytes:
            raise RefusedError(f"unpacks to more than {self.bounds.total_bytes} bytes (documents.archives.total_bytes)")
        if self.spent > max(FLOOR_BYTES, self.bounds.ratio * self.archive_bytes):
            raise RefusedError(
                f"unpacks to more than {self.bounds.ratio:g} times its size, as bombs do (documents.archives.ratio)"
            )

    def member(self) -> None:
        """Count a member."""
        self.members += 1
        if self.members > self.bounds.members:
            raise RefusedError(f"holds more than {self.bounds.members} members (documents.archives.members)")


@dataclass
class Unpacking:
    """One archive being opened into `target`."""

    target: Path
    budget: Budget
    found: dict[str, Member] = field(default_factory=dict)
    written: int = 0

    @property
    def bounds(self) -> Bounds:
        """The bounds it is opened under."""
        return self.budget.bounds

    def open(self, path: Path, name: str, prefix: str, depth: int) -> bool:
        """Open an archive; False: it is a document of its own. Raises RefusedError, or what the libraries raise."""
        with path.open("rb") as stream:
            head = stream.read(512)
            stream.seek(0)
            kind = _kind(head)
            if kind == "zip":
                return self._zip(stream, prefix, depth)
            if kind is not None:
                with _decompressed(stream, kind) as plain:
                    self._stream(io.BufferedReader(_Counted(plain, self.budget), PIECE), name, prefix, depth)
            elif head[257:262] == b"ustar" or name.lower().endswith(".tar"):
                self._tar(_Counted(stream, self.budget), prefix, depth)
            else:
                raise ValueError("it is named like an archive but does not begin like one")
        return True

    def _stream(self, plain: io.BufferedReader, name: str, prefix: str, depth: int) -> None:
        inner = _SINGLE.sub("", name.rpartition("/")[2])
        if plain.peek(512)[257:262] == b"ustar" or not _SINGLE.search(name) or inner.lower().endswith(".tar"):
            self._tar(plain, prefix, depth)
        else:
            self._member(inner, prefix, plain, None, depth)

    def _zip(self, stream: IO[bytes], prefix: str, depth: int) -> bool:
        with zipfile.ZipFile(stream) as archive:
            infos = archive.infolist()
            if _is_document(infos):
                return False
            for info in infos:
                self.budget.member()
                if not info.is_dir():
                    self._zipped(archive, info, prefix, depth)
        return True

    def _zipped(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo, prefix: str, depth: int) -> None:
        name = _zip_name(info)
        kind = (info.external_attr >> 16) & 0o170000
        if info.flag_bits & 0x1:
            self._refuse(name, prefix, info.file_size, "protected by a password; unpack it and name the folder")
        elif kind not in (0, 0o100000):
            self._refuse(name, prefix, info.file_size, "a link or device: only files are taken from archives")
        else:
            try:
                with archive.open(info) as plain:
                    self._member(name, prefix, _Counted(plain, self.budget), info.file_size, depth)
            except NotImplementedError:
                reason = f"compressed by method {info.compress_type}, which is not supported"
                self._refuse(name, prefix, info.file_size, reason)
            except (zipfile.BadZipFile, EOFError, OSError, ValueError, struct.error, zlib.error, lzma.LZMAError) as exc:
                self._refuse(name, prefix, info.file_size, f"damaged in its archive: {_said(exc)}")

    def _tar(self, stream: Any, prefix: str, depth: int) -> None:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for info in archive:
                archive.members = []  # type: ignore[attr-defined]  # it keeps them all otherwise
                self.budget.member()
                if info.size > self.bounds.total_bytes and not info.issparse():
                    self.budget.spend(info.size)  # to pass over it is to read it
                if info.isreg():
                    plain = archive.extractfile(info)
                    assert plain is not None
                    self._member(info.name, prefix, plain, info.size, depth)
                elif info.issym() or info.islnk():
                    self._refuse(info.name, prefix, 0, _link_reason(info))
                elif not info.isdir():
                    self._refuse(info.name, prefix, 0, "not a regular file")

    def _member(self, name: str, prefix: str, plain: Any, declared: int | None, depth: int) -> None:
        """Write a member to a file of its own, opening it in turn when it is an archive."""
        shown, reason = shown_name(name)
        if shown is None:
            return
        nested = bool(_NAMES.search(shown))
        if reason is None and nested and depth >= self.bounds.depth:
            reason = f"an archive in {depth} others: deeper ones stay closed (documents.archives.depth)"
        most = self.bounds.total_bytes if nested else self.bounds.file_bytes
        rule = f"documents.{'archives.total_bytes' if nested else 'max_bytes'} allows {most}"
        if reason is None and declared is not None and declared > most:
            reason = f"too large: {declared} bytes, {rule}"
        if reason is not None:
            self._add(Member(prefix + shown, declared or 0, refused=reason))
            return
        self.written += 1
        place = self.target / f"{self.written:07d}"
        size = _copied(plain, place, most)
        if size is None:
            place.unlink()
            self._add(Member(prefix + shown, most, refused=f"too large: more bytes than {rule}"))
        elif not (nested and self._nested(place, shown, prefix, size, depth)):
            self._add(Member(prefix + shown, size, file=place.name))

    def _nested(self, place: Path, shown: str, prefix: str, size: int, depth: int) -> bool:
        """Whether a member was opened, or refused as an archive; False: it is a document of its own."""
        before = dict(self.found)
        try:
            opened = self.open(place, shown, f"{prefix}{shown}/", depth + 1)
        except (RefusedError, MemoryError):
            raise  # the bounds are those of the outermost archive
        except Exception as exc:  # noqa: BLE001  whatever a library makes of a damaged archive costs that archive
            self.found = before
            self._add(Member(prefix + shown, size, refused=damaged(exc)))
            opened = True
        if opened:
            place.unlink()
        return opened

    def _refuse(self, name: str, prefix: str, size: int, reason: str) -> None:
        shown, worse = shown_name(name)
        if shown is not None:
            self._add(Member(prefix + shown, size, refused=worse or reason))

    def _add(self, member: Member) -> None:
        """Of two members of one name the later counts, as when they are unpacked one over the other."""
        earlier = self.found.get(member.name)
        if earlier is not None and earlier.file is not None:
            (self.target / earlier.file).unlink(missing_ok=True)
        self.found[member.name] = member


class _Counted(io.RawIOBase):
    """A stream whose bytes are counted against a budget."""

    def __init__(self, plain: Any, budget: Budget) -> None:
        self._plain, self._budget = plain, budget

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read at most a piece."""
        data = self._plain.read(min(len(buffer), PIECE))
        self._budget.spend(len(data))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1) -> bytes:
        """Read at most `size` bytes, in pieces."""
        data: bytes = self._plain.read(PIECE if size < 0 else min(size, PIECE))
        self._budget.spend(len(data))
        return data


def shown_name(name: str) -> tuple[str | None, str | None]:
    """A member's name as it is shown, and why it may not be read; (None, None): hidden, or no file.

    The shown name has no `..`, no root, no empty parts and no control characters, whatever the archive says.
    """
    plain = name.replace("\\", "/")
    rooted = plain.startswith("/") or re.match(r"[A-Za-z]:/", plain) is not None
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if not parts or (".." not in parts and any(part.startswith(".") or part == "__MACOSX" for part in parts)):
        return None, None
    shown = "/".join("%2E%2E" if part == ".." else _printable(part) for part in parts)
    if len(shown) > _LONGEST_NAME:
        return f"{shown[:_LONGEST_NAME]}...", f"its name is longer than {_LONGEST_NAME} characters"
    if rooted or ".." in parts:
        return shown, "its name leads outside"
    return shown, None


def damaged(exc: BaseException) -> str:
    """What is said of an archive that a library cannot read."""
    return f"damaged archive: {_said(exc)}"


def _printable(part: str) -> str:
    """A part of a name with control characters, and those that turn the direction of writing, as %XX."""
    try:
        raw = part.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raw = part.encode("utf-8", "surrogatepass")
    whole = raw.decode("utf-8", "backslashreplace")
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", lambda m: _percent(m[0]), whole)


def _percent(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode())


def _said(exc: BaseException) -> str:
    return _printable(str(exc))[:200] or type(exc).__name__


def _kind(head: bytes) -> str | None:
    return next((kind for magic, kind in _MAGIC.items() if head.startswith(magic)), None)


def _decompressed(stream: IO[bytes], kind: str) -> Any:
    if kind == "zst":
        import zstandard

        decompressor = zstandard.ZstdDecompressor(max_window_size=_ZST_WINDOW_BYTES)
        return decompressor.stream_reader(stream, read_size=PIECE, read_across_frames=True, closefd=False)
    if kind == "gz":
        return gzip.GzipFile(fileobj=stream)
    return bz2.BZ2File(stream) if kind == "bz2" else lzma.LZMAFile(stream)


def _is_document(infos: Sequence[zipfile.ZipInfo]) -> bool:
    """Whether a zip file is a document of its own: Office says what is in it, OpenDocument and EPUB begin with it."""
    return bool(infos) and (infos[0].filename == "mimetype" or any(i.filename == "[Content_Types].xml" for i in infos))


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The name; archives of macOS hold UTF-8 without saying so, which reads as code page 437."""
    if info.flag_bits & 0x800:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def _link_reason(info: tarfile.TarInfo) -> str:
    at = [] if info.islnk() else info.name.split("/")[:-1]
    place = os.path.normpath("/".join([*at, info.linkname]))
    if info.linkname.startswith("/") or place.startswith(".."):
        return "a link that leads out of the archive"
    return "a link: what it points to is read under its own name"


def _pieces(plain: Any) -> Iterator[bytes]:
    while piece := plain.read(PIECE):
        yield piece


def _copied(plain: Any, place: Path, most: int) -> int | None:
    """Bytes written; None when there are more than `most`."""
    size = 0
    with place.open("wb") as out:
        for piece in _pieces(plain):
            size += len(piece)
            if size > most:
                return None
            out.write(piece)
    return size


def _bound_memory(memory_bytes: int) -> None:
    import resource

    held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + memory_bytes, held + memory_bytes))


def main(archive: Path, name: str, target: Path, bounds: Bounds) -> dict[str, Any]:
    """Open an archive: `members`, `refused` (why it is not opened), `document` (it is one of its own)."""
    unpacking = Unpacking(target, Budget(bounds, archive.stat().st_size))
    try:
        opened = unpacking.open(archive, name, "", 1)
    except RefusedError as exc:
        return {"members": [], "refused": str(exc), "document": False}
    except MemoryError:
        return {"members": [], "refused": "needs more memory to open than documents.memory_bytes", "document": False}
    except Exception as exc:  # noqa: BLE001  whatever a library makes of a damaged archive costs that archive alone
        return {"members": [], "refused": damaged(exc), "document": False}
    members = [asdict(member) for member in unpacking.found.values()]
    return {"members": members, "refused": None, "document": not opened}


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    limits = Bounds(**asked["bounds"])
    if sys.platform == "linux":  # elsewhere the bounds of bytes and time have to do
        _bound_memory(limits.memory_bytes)
    answer = main(Path(asked["archive"]), asked["name"], Path(asked["target"]), limits)
    (Path(asked["target"]) / "listing.json").write_text(json.dumps(answer), encoding="utf-8")
