"""What may happen to an index while it is written or read: the old one is served, and the next build mends it."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.config import Config
from moto.server import ThreadedMotoServer

from pipelines.artifacts import StageJob, arrow_schema, write_json
from pipelines.contracts import Chunk
from pipelines.errors import IndexMismatchError, StageError
from pipelines.retrieval import index, index_versions, index_writing
from pipelines.retrieval.embed import row_digests
from pipelines.retrieval.index import IndexPointer
from pipelines.retrieval.index_checks import verify
from pipelines.retrieval.search import Searcher
from pipelines.retrieval.terms import search_text
from pipelines.settings import ROOT, Settings
from tests.retrieval.conftest import TEXTS, chunk, embedded

DIM = 32
MODEL = "ab" * 32


def folder_of(root: Path, marks: str, *, rows: int = 400) -> Path:
    """A stage folder of made-up vectors: each mark stands for `rows` chunks, all of whose texts hold that mark."""
    rng = np.random.default_rng(7)
    chunks = [chunk(f"{mark}/{n}.md", f"Passage {n} of part{mark}.") for mark in marks for n in range(rows)]
    table = pa.Table.from_pylist([each.model_dump(mode="json") for each in chunks], schema=arrow_schema(Chunk))
    texts = [search_text(each.title, each.heading_path, each.text) for each in chunks]
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
    table = table.append_column("text_digest", pa.array(digests, pa.string()))
    table = table.append_column("row_digest", pa.array(row_digests(table), pa.string()))
    vectors = rng.normal(size=(len(chunks), DIM))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    folder = root / f"embed-{marks}"
    folder.mkdir(parents=True)
    pq.write_table(table.append_column("vector", index.vector_column(vectors)), folder / index.VECTORS)
    pointer = IndexPointer(
        table=index.table_name(MODEL),
        tag=index.tag_of(MODEL, table.column("row_digest").to_pylist()),
        rows=len(chunks),
        dim=DIM,
        model="made up",
        model_digest=MODEL,
        space="made up",
        chunks_digest="",
    )
    write_json(folder / index.POINTER, pointer)
    return folder


WRITE = """
import sys
from pathlib import Path
from pipelines import settings
from pipelines.errors import StageError
from pipelines.retrieval import index_writing
chosen = settings.load(overrides={"index": {"uri": sys.argv[1] or None}})
print("ready", flush=True)
sys.stdin.readline()
try:
    for folder in sys.argv[3:]:
        index_writing.restore(Path(sys.argv[2]), Path(folder), chosen)
except StageError as refused:
    print(refused, flush=True)
    sys.exit(1)
print("done", flush=True)
"""
READ = """
import sys, time
from pathlib import Path
import numpy as np
from pipelines.retrieval import index
place, pointers = index.Place(sys.argv[1]), [index.load_pointer(Path(each)) for each in sys.argv[2:4]]
print("ready", flush=True)
sys.stdin.readline()
seen, more, until = set(), 20, time.monotonic() + float(sys.argv[4])
while more and time.monotonic() < until:
    more -= "bc" in seen
    pointer = pointers[1] if index.tagged(place, pointers[1]) else pointers[0]
    opened = index.open_index(place, pointer)
    texts = [each["uri"] for each in opened.matching(["passag"], 5000).chunks]
    near = opened.nearest(np.ones(32, dtype=np.float32) / 32**0.5, 5000).rows.num_rows
    assert near == opened.rows == opened.lexicon.passages == len(texts), (near, opened.rows, len(texts))
    seen.add("".join(sorted({uri[0] for uri in texts})))
print(*sorted(seen), flush=True)
"""


def started(code: str, *words: object) -> subprocess.Popen[str]:
    """A process that has imported everything and waits for a line."""
    line = [sys.executable, "-c", code, *map(str, words)]
    process = subprocess.Popen(line, stdin=-1, stdout=-1, stderr=-1, text=True, cwd=ROOT)
    assert process.stdout
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def place(state: Path) -> index.Place:
    return index.Place(str(state / "index"))


def test_readers_see_the_old_or_the_new_version_whole_while_one_writes(tmp_path: Path, settings: Settings) -> None:
    old, new = folder_of(tmp_path, "ab"), folder_of(tmp_path, "bc")
    index_writing.restore(tmp_path, old, settings)
    readers = [started(READ, place(tmp_path).root, old, new, 120) for _ in range(2)]
    writer = started(WRITE, "", tmp_path, new)
    for each in (*readers, writer):
        go(each)
    assert writer.communicate()[0] == "done\n"
    for reader in readers:
        seen, errors = reader.communicate()
        assert reader.returncode == 0, errors
        assert "bc" in seen.split()
        assert set(seen.split()) <= {"ab", "bc"}


def test_two_processes_may_write_at_once(tmp_path: Path) -> None:
    folders = [folder_of(tmp_path, "ab"), folder_of(tmp_path, "bc")]
    writers = [started(WRITE, "", tmp_path, *order) for order in (folders, folders[::-1])]
    for each in writers:
        go(each)
    assert [each.communicate()[0] for each in writers] == ["done\n"] * 2
    for folder in folders:
        assert verify(place(tmp_path), index.load_pointer(folder)) == []


def test_a_killed_build_leaves_the_old_index_and_the_next_one_completes(tmp_path: Path, settings: Settings) -> None:
    rng = random.Random(5)
    old = folder_of(tmp_path, "ab", rows=1_000)
    index_writing.restore(tmp_path, old, settings)
    before = index.load_pointer(old)
    for number in range(6):
        new = folder_of(tmp_path, f"b{'cdefgh'[number]}", rows=1_000)
        writer = started(WRITE, "", tmp_path, new)
        go(writer)
        time.sleep(rng.uniform(0.0, 0.4))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert index.open_index(place(tmp_path), before).rows == 2_000
        assert verify(place(tmp_path), before) == []
        index_writing.restore(tmp_path, new, settings)
        assert verify(place(tmp_path), index.load_pointer(new)) == []


def test_rows_that_a_killed_build_added_are_found_by_their_words(tmp_path: Path, settings: Settings) -> None:
    # killed between its rows and its index of words: the next build has nothing to add
    first, second = folder_of(tmp_path, "a"), folder_of(tmp_path, "ab")
    index_writing.restore(tmp_path, first, settings)
    index_writing.restore(tmp_path / "other", second, settings)
    pointer = index.load_pointer(second)
    whole = index.connect(place(tmp_path / "other")).open_table(pointer.table).to_arrow()
    added = whole.filter(pa.array([uri.startswith("b/") for uri in whole.column("uri").to_pylist()]))
    index.connect(place(tmp_path)).open_table(pointer.table).add(added)
    index_writing.restore(tmp_path, second, settings)
    assert verify(place(tmp_path), pointer) == []
    assert index.open_index(place(tmp_path), pointer).matching(["partb"], 1_000).rows.num_rows == 400


def test_a_version_without_its_counts_is_mended_when_it_is_opened(tmp_path: Path, settings: Settings) -> None:
    job = embedded(tmp_path, [chunk(uri, text) for uri, text in TEXTS.items()], settings)
    pointer = index.load_pointer(job.output)
    shutil.rmtree(f"{place(job.state).root}/{index.VERSIONS}.lance")
    assert Searcher(settings, job.state, job.output).search(["E-18"], 1)[0][0].chunk.uri == "errors.md"
    assert verify(place(job.state), pointer) == []


@pytest.mark.parametrize("part", ["_versions", "data"])
def test_a_damaged_table_is_set_aside_and_made_again(tmp_path: Path, settings: Settings, part: str) -> None:
    folder = folder_of(tmp_path, "ab")
    index_writing.restore(tmp_path, folder, settings)
    pointer = index.load_pointer(folder)
    for each in (Path(place(tmp_path).table(pointer.table)) / part).iterdir():
        each.write_bytes(b"")
    assert verify(place(tmp_path), pointer)  # said
    assert index_versions.rebuild(tmp_path, pointer, [folder], settings)
    assert verify(place(tmp_path), pointer) == []


def test_a_table_that_is_out_of_reach_for_a_while_is_not_thrown_away(tmp_path: Path, settings: Settings) -> None:
    first, second = folder_of(tmp_path, "a"), folder_of(tmp_path, "b")
    index_writing.restore(tmp_path, first, settings)
    before = index.load_pointer(first)
    few = (  # no file can be opened: nothing of the table is damaged
        "import resource; import os; held = len(os.listdir('/proc/self/fd'));"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (held + 1, 4096))"
    )
    line = [sys.executable, "-c", WRITE.replace("sys.stdin.readline()", few), "", str(tmp_path), str(second)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode != 0
    assert "done" not in done.stdout
    assert not (tmp_path / "index" / "damaged").exists()
    assert verify(place(tmp_path), before) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_full_disk_leaves_the_old_index_served(tmp_path: Path, settings: Settings) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", disk], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this machine mounts no tmpfs")
    try:
        old, new = folder_of(tmp_path, "a", rows=300), folder_of(tmp_path, "bcd", rows=4_000)
        index_writing.restore(disk, old, settings)
        with pytest.raises(StageError, match="could not be written") as refused:
            index_writing.restore(disk, new, settings)
        assert "disk space" in str(refused.value)
        assert verify(place(disk), index.load_pointer(old)) == []
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        index_writing.restore(disk, new, settings)
        assert verify(place(disk), index.load_pointer(new)) == []
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_version_that_nobody_can_rebuild_is_named(tmp_path: Path, settings: Settings) -> None:
    folder = folder_of(tmp_path, "a")
    with pytest.raises(IndexMismatchError, match="groundwork stage embed"):
        index.open_index(place(tmp_path), index.load_pointer(folder))
    (folder / index.VECTORS).write_bytes(b"PAR1 cut off")
    with pytest.raises(IndexMismatchError, match="whole index"):
        index_writing.opened(tmp_path, folder, settings, index.load_pointer(folder))


# --- a bucket ---


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{host}:{port}")
    client: Any = botocore.session.get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=f"http://{host}:{port}",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket="index")
    yield "s3://index/team/a"
    server.stop()


def in_bucket(settings: Settings, uri: str) -> Settings:
    return settings.model_copy(update={"index": settings.index.model_copy(update={"uri": uri})})


def test_a_bucket_holds_an_index_like_a_folder(bucket: str, tmp_path: Path, settings: Settings) -> None:
    chosen = in_bucket(settings, bucket)
    first = embedded(tmp_path, [chunk(uri, text) for uri, text in TEXTS.items()], chosen)
    second = embedded(tmp_path, [chunk("errors.md", TEXTS["errors.md"])], chosen, previous=first.output)
    assert not (tmp_path / "state" / "index").exists()
    assert Searcher(chosen, first.state, second.output).search(["E-18"], 3)[0][0].chunk.uri == "errors.md"
    found = index_versions.versions(index.Place(bucket))
    assert [each.pointer.rows for each in found] == [1, 5]
    assert [verify(index.Place(bucket), each.pointer) for each in found] == [[], []]
    folder = _pinned(first, second, chosen)
    assert Searcher(chosen, first.state, folder).search(["invoices due"], 1)[0][0].chunk.uri == "billing.md"
    assert index.present(first.state, second.output, chosen)


def _pinned(first: StageJob, second: StageJob, chosen: Settings) -> Path:
    index_versions.pin(first.state, index.load_pointer(first.output), by="ada", when=datetime.now(UTC))
    return index_versions.served(first.state, second.output, chosen)


def test_two_writers_of_a_bucket_never_mix_their_rows(bucket: str, tmp_path: Path) -> None:
    folders = [folder_of(tmp_path, "ab", rows=60), folder_of(tmp_path, "bc", rows=60)]
    writers = [started(WRITE, bucket, tmp_path, *order) for order in (folders, folders[::-1])]
    for each in writers:
        go(each)
    for each in writers:
        said, errors = each.communicate()
        assert said == "done\n" or "could not be written" in said, errors  # after six tries
    tagged = [p for p in map(index.load_pointer, folders) if index.tagged(index.Place(bucket), p)]
    assert tagged
    assert [verify(index.Place(bucket), pointer) for pointer in tagged] == [[]] * len(tagged)


def test_a_bucket_out_of_reach_says_so(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    folder = folder_of(tmp_path, "a", rows=3)
    with pytest.raises(StageError, match="s3://index/x could not be written"):
        index_writing.restore(tmp_path, folder, in_bucket(settings, "s3://index/x"))
