"""Archives as sources and in folders: what is in them, what is refused, what an attack costs."""

import bz2
import gzip
import io
import json
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from pipelines import settings
from pipelines.artifacts import ObjectStore, read_rows
from pipelines.contracts import Document, Quarantined
from pipelines.documents import ingest
from pipelines.documents.parse import parse_paths
from pipelines.documents.sources import Source, find_sources
from pipelines.documents.sources.unpacking import shown_name
from pipelines.errors import SourceError
from pipelines.settings import Documents
from tests.documents.conftest import MakeJob

MIB = 1 << 20


def limits(**archives: float) -> Documents:
    return settings.load(overrides={"documents": {"max_bytes": 2 * MIB, "archives": archives}}).documents


def zipped(members: dict[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return stream.getvalue()


def tarred(members: dict[str, bytes], *others: tarfile.TarInfo) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in others:
            archive.addfile(info)
    return stream.getvalue()


def special(name: str, kind: bytes, linkname: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, linkname
    return info


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., dict[str, Source]]:
    """What is found in a folder that holds the given files, or in one of them named alone."""

    def look(files: dict[str, bytes], named: str = "", **bounds: float) -> dict[str, Source]:
        folder = tmp_path / "docs"
        for name, data in files.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return {s.uri: s for s in find_sources([folder / named], tmp_path / "state", limits(**bounds))}

    return look


Look = Callable[..., dict[str, Source]]
PLAIN = {"guide.md": b"# Guide", "a/b.txt": b"text", ".hidden": b"x", "__MACOSX/._guide.md": b"x", "a/.DS_Store": b"x"}


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.zip", zipped(PLAIN)),
        ("x.ZIP", zipped(PLAIN, method=zipfile.ZIP_LZMA)),
        ("x.tar", tarred(PLAIN)),
        ("x.tar.gz", gzip.compress(tarred(PLAIN))),
        ("x.tgz", gzip.compress(tarred(PLAIN))),
        ("x.tar.bz2", bz2.compress(tarred(PLAIN))),
        ("x.tar.xz", lzma.compress(tarred(PLAIN))),
        ("x.tar.zst", zstandard.compress(tarred(PLAIN))),
        ("wrong-name.zip", gzip.compress(tarred(PLAIN))),  # what it begins with counts more than its name
    ],
)
def test_members_are_documents_under_the_archives_uri_or_alone(look: Look, name: str, data: bytes) -> None:
    inside = look({f"sub/{name}": data, "other.md": b"x"})
    assert list(inside) == ["other.md", f"sub/{name}/a/b.txt", f"sub/{name}/guide.md"]
    assert inside[f"sub/{name}/guide.md"].path.read_bytes() == b"# Guide"
    alone = look({}, f"sub/{name}")
    assert {uri: (s.size_bytes, s.path.read_bytes()) for uri, s in alone.items()} == {
        "a/b.txt": (4, b"text"),
        "guide.md": (7, b"# Guide"),
    }


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("zst", zstandard.compress)],
)
def test_a_compressed_file_is_the_file(look: Look, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    assert list(look({f"log/notes.txt.{suffix}": compress(b"text")})) == [f"log/notes.txt.{suffix}/notes.txt"]


def test_archives_in_archives_are_opened_to_a_depth(look: Look) -> None:
    one = zipped({"deep.md": b"deep"})
    two = tarred({"one.zip": one, "notes.txt.gz": gzip.compress(b"text")})
    three = zipped({"in/two.tar": two, "a.md": b"x"})
    assert list(look({"three.zip": three})) == [
        "three.zip/a.md",
        "three.zip/in/two.tar/notes.txt.gz/notes.txt",
        "three.zip/in/two.tar/one.zip/deep.md",
    ]
    shallow = look({"three.zip": three}, depth=2)
    refused = shallow["three.zip/in/two.tar/one.zip"].refused
    assert refused == "an archive in 2 others: deeper ones stay closed (documents.archives.depth)"
    assert "three.zip/a.md" in shallow


def test_office_files_and_books_are_no_archives_whatever_their_name(look: Look) -> None:
    office = zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"})
    book = zipped({"mimetype": b"application/epub+zip", "OEBPS/x.html": b"x"})
    found = look({"report.zip": office, "book.zip": book, "all.zip": zipped({"report.docx": office, "b.zip": book})})
    assert list(found) == ["all.zip/b.zip", "all.zip/report.docx", "book.zip", "report.zip"]
    assert found["all.zip/b.zip"].path.read_bytes() == book


def test_names_that_lead_out_links_and_devices_are_refused_by_name(look: Look, tmp_path: Path) -> None:
    tar = tarred(
        {"ok.md": b"ok", "../up.md": b"x", "/etc/passwd": b"x", "a/../../b.md": b"x"},
        special("inside-link.md", tarfile.SYMTYPE, "ok.md"),
        special("out-link.md", tarfile.SYMTYPE, "../../secret"),
        special("absolute-link.md", tarfile.SYMTYPE, "/etc/passwd"),
        special("hard.md", tarfile.LNKTYPE, "ok.md"),
        special("device.md", tarfile.CHRTYPE),
        special("pipe.md", tarfile.FIFOTYPE),
    )
    reasons = {uri: s.refused for uri, s in look({"t.tar": tar}, "t.tar").items()}
    out = "its name leads outside"
    assert reasons == {
        "ok.md": None,
        "%2E%2E/up.md": out,
        "etc/passwd": out,
        "a/%2E%2E/%2E%2E/b.md": out,
        "inside-link.md": "a link: what it points to is read under its own name",
        "out-link.md": "a link that leads out of the archive",
        "absolute-link.md": "a link that leads out of the archive",
        "hard.md": "a link: what it points to is read under its own name",
        "device.md": "not a regular file",
        "pipe.md": "not a regular file",
    }
    assert {p.name for p in tmp_path.iterdir()} == {"docs", "state"}  # nothing was written elsewhere


def test_zip_links_drives_and_backslashes(look: Look) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("link.md")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("folder\\file.md", b"x")
        archive.writestr("C:/windows/win.md", b"x")
        archive.writestr("..\\..\\up.md", b"x")
        archive.writestr("bell\x07.md", b"x")
    reasons = {uri: s.refused for uri, s in look({"z.zip": stream.getvalue()}, "z.zip").items()}
    out = "its name leads outside"
    assert reasons == {
        "link.md": "a link or device: only files are taken from archives",
        "folder/file.md": None,
        "C:/windows/win.md": out,
        "%2E%2E/%2E%2E/up.md": out,
        "bell%07.md": None,
    }


def test_utf8_names_without_the_flag_are_read_as_such(look: Look) -> None:
    data = zipped({"größe.md": b"x"}).replace("größe".encode(), "größe".encode())
    flagged = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # take bit 11 of the flags away
        at = flagged.index(signature) + offset + 1
        flagged[at] &= 0xF7
    assert list(look({"mac.zip": bytes(flagged)}, "mac.zip")) == ["größe.md"]


def test_of_two_members_with_one_name_the_later_counts(look: Look) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("a.md", b"first")
        archive.writestr("a.md", b"second")
    assert look({"d.zip": stream.getvalue()})["d.zip/a.md"].path.read_bytes() == b"second"


def test_encrypted_and_unsupported_members_are_refused_by_name(look: Look) -> None:
    data = bytearray(zipped({"secret.md": b"secret", "open.md": b"open"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1  # the flag of encryption, on the first member
    odd = bytearray(zipped({"odd.md": b"odd"}))
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        odd[odd.index(signature) + offset] = 9  # Deflate64
    found = look({"e.zip": bytes(data), "o.zip": bytes(odd)})
    assert "protected by a password" in str(found["e.zip/secret.md"].refused)
    assert found["e.zip/open.md"].refused is None
    assert "method 9" in str(found["o.zip/odd.md"].refused)


@pytest.mark.parametrize(
    "data",
    [
        zipped({"a.md": b"text" * 1000})[:-30],
        gzip.compress(tarred({"a.md": b"text" * 10_000}))[:-20],
        tarred({"a.md": b"text" * 1000})[:1000],
        b"this is no archive at all",
        b"PK\x03\x04" + bytes(range(256)) * 10,
        b"\x1f\x8b\x08" + b"\xff" * 100,
        lzma.compress(b"x")[:20],
        zstandard.compress(b"x" * 1000)[:10],
    ],
)
def test_a_damaged_archive_costs_itself_in_a_folder_and_is_an_error_as_the_source(look: Look, data: bytes) -> None:
    found = look({"bad.zip": data, "good.md": b"x"})
    assert list(found) == ["bad.zip", "good.md"]
    assert str(found["bad.zip"].refused).startswith("damaged archive: ")
    with pytest.raises(SourceError, match=r"bad\.zip: damaged archive"):
        look({}, "bad.zip")


def test_a_damaged_member_costs_itself(look: Look) -> None:
    data = bytearray(zipped({"bad.md": b"text of the bad one", "good.md": b"x"}, method=zipfile.ZIP_STORED))
    at = data.index(b"text of the bad one")
    data[at] ^= 0xFF
    found = look({"x.zip": bytes(data)})
    assert "damaged in its archive: Bad CRC" in str(found["x.zip/bad.md"].refused)
    assert found["x.zip/good.md"].refused is None


def test_an_empty_archive_holds_nothing_and_an_empty_file_is_left_to_its_refusal(look: Look) -> None:
    assert list(look({"none.zip": zipped({}), "zero.zip": b"", "a.md": b"x"})) == ["a.md", "zero.zip"]


# --- attacks ---


def objects(state: Path) -> int:
    return sum(place.is_file() for place in (state / "objects").rglob("*"))


def test_a_bomb_is_refused_and_leaves_nothing(look: Look, tmp_path: Path) -> None:
    zeros = bytes(MIB)
    bomb = zipped({f"{n}.txt": zeros for n in range(40)})  # 40 MiB in 40 kB
    found = look({"bomb.zip": bomb, "a.md": b"x"})
    assert "more than 200 times its size" in str(found["bomb.zip"].refused)
    assert "more than 1000 bytes" in str(look({"bomb.zip": bomb}, total_bytes=1000)["bomb.zip"].refused)
    assert objects(tmp_path / "state") == 0
    assert not [p for p in (tmp_path / "state/unpacked").iterdir() if p.is_dir()]


def test_the_bounds_are_shared_by_all_that_is_nested(look: Look) -> None:
    inner = zipped({f"{n}.txt": bytes(MIB) for n in range(15)})  # alone below the floor of 16 MiB
    nested = zipped({f"{n}.zip": inner for n in range(10)})
    assert "times its size" in str(look({"nested.zip": nested})["nested.zip"].refused)


def test_members_are_counted(look: Look) -> None:
    many = zipped({f"{n}.md": b"x" for n in range(30)})
    assert "more than 29 members" in str(look({"many.zip": many}, members=29)["many.zip"].refused)
    assert len(look({"many.zip": many}, members=30)) == 30


def test_a_member_above_max_bytes_is_refused_alone_whatever_it_declares(look: Look) -> None:
    import os

    large = os.urandom(2 * MIB + 1)
    found = look({"l.zip": zipped({"large.bin": large, "a.md": b"x"}), "large.txt.gz": gzip.compress(large)})
    assert found["l.zip/large.bin"].refused == "too large: 2097153 bytes, documents.max_bytes allows 2097152"
    assert "more bytes than documents.max_bytes allows" in str(found["large.txt.gz/large.txt"].refused)
    assert found["l.zip/a.md"].refused is None
    lying = bytearray(zipped({"large.bin": large, "a.md": b"x"}))
    at = lying.index(b"PK\x01\x02") + 24
    lying[at : at + 4] = (100).to_bytes(4, "little")  # declares 100 bytes
    refused = look({"l.zip": bytes(lying)})["l.zip/large.bin"].refused
    assert refused is not None


def test_a_tar_that_declares_exabytes_is_refused_at_once(look: Look) -> None:
    info = tarfile.TarInfo("huge.md")
    info.size = 1 << 60
    data = info.tobuf(tarfile.GNU_FORMAT) + b"x" * 512
    assert "unpacks to more than" in str(look({"huge.tar": data})["huge.tar"].refused)


def test_a_decompressor_that_wants_too_much_memory_costs_its_archive(look: Look, tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    data = bytearray(lzma.compress(b"text" * 1000, filters=filters))
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "x.txt.xz").write_bytes(bytes(data))
    small = settings.load(overrides={"documents": {"memory_bytes": 64 * MIB}}).documents
    found = find_sources([folder], tmp_path / "state", small)
    assert found[0].refused == "needs more memory to open than documents.memory_bytes"


def test_a_hang_costs_its_archive(look: Look) -> None:
    data = zipped({f"{n}.md": b"x" * 1000 for n in range(20_000)})
    refused = look({"slow.zip": data}, timeout_s=0.05)["slow.zip"].refused
    assert refused == "took longer than 0.05 s to open (documents.archives.timeout_s)"


# --- what is remembered ---


def test_an_unchanged_archive_is_not_opened_again_and_a_gone_one_is_forgotten(look: Look, tmp_path: Path) -> None:
    data = zipped({"a.md": b"text"})
    before = look({"x.zip": data})
    kept = list((tmp_path / "state/unpacked").iterdir())
    assert len(kept) == 1
    listing = json.loads(kept[0].read_text())
    listing["members"][0]["name"] = "remembered.md"
    kept[0].write_text(json.dumps(listing))
    assert list(look({})) == ["x.zip/remembered.md"]  # proves that it was not opened
    digest = listing["members"][0]["sha256"]
    ObjectStore(tmp_path / "state/objects").path(digest).unlink()
    assert look({}) == before  # its bytes were gone: opened again
    look({"x.zip": zipped({"b.md": b"other"})})
    assert len(list((tmp_path / "state/unpacked").iterdir())) == 1


# --- the doors ---


def test_members_become_documents_and_a_changed_archive_costs_its_changes(tmp_path: Path, make_job: MakeJob) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    texts = {f"{n}.md": f"# Subject {n}\n\nAbout subject {n}.".encode() for n in range(5)}
    (docs / "all.zip").write_bytes(zipped({**texts, "empty.md": b""}))
    first = make_job("ingest", "one", sources=docs)
    ingest.run(first)
    assert [d.uri for d in read_rows(first.output / ingest.DOCUMENTS, Document)] == [
        f"all.zip/{n}.md" for n in range(5)
    ]
    assert [q.uri for q in read_rows(first.output / ingest.QUARANTINE, Quarantined)] == ["all.zip/empty.md"]
    (docs / "all.zip").write_bytes(zipped({**texts, "3.md": b"# Changed\n\nIt was changed."}))
    second = make_job("ingest", "two", sources=docs, previous="one")
    ingest.run(second)
    assert second.notes["parsed"] == 1


def test_parse_takes_archives_and_globs_and_fetches_nothing(tmp_path: Path) -> None:
    (tmp_path / "all.tar.gz").write_bytes(gzip.compress(tarred({"a.md": b"# A", "b.txt": b"b"})))
    (tmp_path / "c.md").write_text("# C")
    lines = list(parse_paths([tmp_path / "all.tar.gz", tmp_path / "*.md"], workers=1))
    assert [(line.uri, line.text) for line in lines] == [("a.md", "# A"), ("b.txt", "b"), ("c.md", "# C")]
    with pytest.raises(SourceError, match="index build --sources"):
        list(parse_paths(["https://example.com/"]))


@given(st.text(max_size=60) | st.from_regex(r"([./\\]|\.\.|[a-zC]:?|\x1b|%2e|é){0,12}", fullmatch=True))
def test_a_shown_name_never_leads_anywhere(name: str) -> None:
    shown, reason = shown_name(name)
    if shown is None:
        assert reason is None
        return
    parts = PurePosixPath(shown).parts
    assert (
        not shown.startswith("/") and ".." not in parts and "." not in shown.split("/") and "" not in shown.split("/")
    )
    assert shown.isprintable() or all(ord(c) > 0x9F for c in shown if not c.isprintable())
    shown.encode()
    if ".." in name.replace("\\", "/").split("/") or name.startswith(("/", "\\")):
        assert reason == "its name leads outside"
