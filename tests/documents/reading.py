"""What the tests of parsers share: parsing with every invariant of a parsed file checked, and small files."""

import io
import struct
import zipfile
from collections.abc import Mapping

from pipelines.documents.parsers import parse
from pipelines.documents.parsers.draft import Parsed


def parsed(data: bytes, name: str) -> Parsed:
    found = parse(data, name)[1]
    check_blocks(found)
    return found


def check_blocks(found: Parsed) -> None:
    """Blocks are in order, do not overlap, and begin and end with what is not white space."""
    at = 0
    for block in found.blocks:
        piece = found.text[block.start : block.end]
        assert at <= block.start < block.end <= len(found.text)
        assert piece == piece.strip()
        at = block.end
    found.text.encode()
    found.title.encode()


def kinds(found: Parsed) -> list[tuple[str, str]]:
    return [(b.kind, found.text[b.start : b.end]) for b in found.blocks]


def paths(found: Parsed) -> list[tuple[str, ...]]:
    return [b.heading_path for b in found.blocks]


def zipped(members: Mapping[str, bytes | str]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def replaced(data: bytes, changes: Mapping[str, bytes | str]) -> bytes:
    """A zip file with members replaced or added."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return zipped({**members, **changes})


def ole_file(streams: Mapping[str, bytes]) -> bytes:
    """A compound file (MS-CFB 3) of streams by path, each padded to 4,096 bytes: none is in the mini stream."""
    sector, free, end, fat_mark = 512, 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
    names = sorted({path.rsplit("/", n)[0] for path in streams for n in range(path.count("/") + 1)})
    entries = ["", *names]
    body, starts, chain = b"", {}, []
    for path, content in streams.items():
        large = content.ljust(4096, b"\x00")
        padded = large + b"\x00" * (-len(large) % sector)
        starts[path] = (len(chain), len(large))
        first = len(chain)
        chain += [*range(first + 1, first + len(padded) // sector), end]
        body += padded

    def children(folder: str) -> list[int]:
        return [i for i, n in enumerate(entries) if i and n.rpartition("/")[0] == folder]

    directory = b""
    for index, name in enumerate(entries):
        siblings = children(name.rpartition("/")[0]) if index else []
        later = [i for i in siblings if i > index]
        own = children(name) if (name not in streams) else []
        kind = 5 if not index else 2 if name in streams else 1
        label = (name.rsplit("/", 1)[-1] if index else "Root Entry").encode("utf-16-le")
        start, size = starts.get(name, (end if not index else 0, 0))
        directory += struct.pack(
            "<64sHBBIII16sIQQIQ",
            label, len(label) + 2, kind, 1, free, later[0] if later else free, own[0] if own else free,
            b"", 0, 0, 0, start, size,
        )  # fmt: skip
    directory += b"\x00" * (-len(directory) % sector)
    directory_at = len(chain)
    chain += [*range(directory_at + 1, directory_at + len(directory) // sector), end]
    fats = -(-(len(chain) + 8) // 128)
    fat_at = len(chain)
    chain += [fat_mark] * fats
    fat = struct.pack(f"<{fats * 128}I", *chain, *[free] * (fats * 128 - len(chain)))
    header = struct.pack(
        "<8s16sHHHHH6sIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"", 0x3E, 3, 0xFFFE, 9, 6, b"",
        0, fats, directory_at, 0, 4096, end, 0, end, 0,
    )  # fmt: skip
    header += struct.pack("<109I", *range(fat_at, fat_at + fats), *[free] * (109 - fats))
    return header + body + directory + fat
