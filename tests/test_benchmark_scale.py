"""What the benchmark of scale makes and computes, where an error would flatter the index."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import scale, synthetic_chunks
from benchmarks.synthetic_chunks import CHUNKS_A_DOCUMENT, Floats, Material, made, material, nearest
from pipelines.artifacts import arrow_schema
from pipelines.contracts import Chunk
from pipelines.retrieval.index import vectors_of
from tests.retrieval.conftest import chunk

DIM = 8


def encode(texts: list[str]) -> Floats:
    """Stands for the model: unit vectors that depend on the text alone."""
    drawn = np.stack([np.random.default_rng(sum(text.encode())).standard_normal(DIM) for text in texts])
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


@pytest.fixture(scope="module")
def held() -> Material:
    texts = [
        f"Pond {n} holds the probe SP-{n}30. It was filled in 20{n:02d}. Nobody swims here today." for n in range(40)
    ]
    chunks = [chunk(f"ponds-{n // 4}.md", text) for n, text in enumerate(texts)]
    table = pa.Table.from_pylist([each.model_dump(mode="json") for each in chunks], schema=arrow_schema(Chunk))
    return material(table, encode(texts), encode)


def test_made_chunks_are_distinct_and_the_same_numbers_give_the_same(held: Material) -> None:
    table = made(held, range(30))
    assert table.num_rows == 30 * CHUNKS_A_DOCUMENT
    for column in ("id", "text_digest", "row_digest"):
        assert len(set(table.column(column).to_pylist())) == table.num_rows
    assert made(held, range(30)).equals(table)
    assert set(made(held, range(30), version=1).column("id").to_pylist()).isdisjoint(table.column("id").to_pylist())


def test_made_chunks_are_chunks_with_unit_vectors(held: Material) -> None:
    table = made(held, range(5))
    chunks = [Chunk.model_validate(row) for row in table.select(list(Chunk.model_fields)).to_pylist()]
    assert all(each.end - each.start == len(each.text) for each in chunks)
    assert np.linalg.norm(vectors_of(table), axis=1) == pytest.approx(1.0, abs=1e-3)


def test_a_made_vector_is_its_sentences_mix_plus_a_residual_that_lies_as_real_ones_do(held: Material) -> None:
    # every sentence stays and the residual is the real chunk's own: the real chunk's vector comes back
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synthetic_chunks, "OWN", 1.0)
        patch.setattr(synthetic_chunks, "KEPT", 1.0)
        ours = vectors_of(made(held, range(5)))
    assert nearest(ours, held.vectors, 1)[1][:, 0] == pytest.approx(1.0, abs=1e-3)


def test_nearest_gives_the_best_rows_in_order() -> None:
    rng = np.random.default_rng(1)
    vectors, among = (rng.standard_normal((n, DIM)).astype(np.float32) for n in (5, 100))
    rows, scores = nearest(vectors, among, 7)
    everything = vectors @ among.T
    assert (rows == np.argsort(-everything, axis=1)[:, :7]).all()
    assert scores == pytest.approx(-np.sort(-everything, axis=1)[:, :7])


def test_an_update_replaces_the_chosen_documents_alone_and_so_does_the_next(held: Material, tmp_path: Path) -> None:
    tables = [made(held, range(20))]
    for version, chosen in ((1, [3, 14]), (2, [3])):  # the second update replaces a document of the first
        place = tmp_path / f"{version}.parquet"
        pq.write_table(tables[-1], place, row_group_size=10 * CHUNKS_A_DOCUMENT)  # two groups of ten documents
        tables.append(pa.concat_tables(scale._changed(held, pq.ParquetFile(place), np.array(chosen), version)))
        before, after = (table.column("id").to_pylist() for table in tables[-2:])
        assert len(set(after)) == len(after) == len(before)
        own = [before[16 * number : 16 * (number + 1)] for number in chosen]
        assert set(before) - set(after) == {name for names in own for name in names}


def test_the_last_document_is_cut_so_that_the_number_is_the_one_asked_for(held: Material) -> None:
    assert sum(table.num_rows for table in scale._groups(held, 100)) == 100  # six documents of 16 and a quarter of one


def test_recall_is_the_share_of_the_exact_ones_among_the_first_ten() -> None:
    exact = [{str(n) for n in range(10)}, {str(n) for n in range(10)}]
    found = [[str(n) for n in range(9)] + ["x", "9"], [str(n) for n in range(10)]]
    assert scale._recall(found, exact) == 0.95  # nine of ten (the tenth came eleventh), and ten of ten


def test_a_clock_gives_each_step_the_time_until_the_next() -> None:
    times: Iterator[float] = iter([0.0, 5.0, 7.5])
    clock = scale.Clock(lambda: next(times))
    for done, what in ((0, "index"), (1, "index"), (0, "vector index")):
        clock(done, 1, what)
    assert clock.seconds() == {"index": 5.0, "vector index": 2.5}


@pytest.mark.parametrize(
    ("place", "part"),
    [
        ("chunks-3.2-ab.lance/data/1.lance", "rows"),
        ("chunks-3.2-ab.lance/_indices/u/auxiliary.idx", "vector index"),
        ("chunks-3.2-ab.lance/_indices/u/part_0_invert.lance", "full-text index"),
        ("chunks-3.2-ab.lance/_indices/u/bitmap_page_lookup.lance", "filter indices"),
        ("chunks-3.2-ab.lance/_versions/1.manifest", "versions"),
        ("versions-4.2.lance/data/1.lance", "term counts"),
    ],
)
def test_every_file_of_an_index_is_counted_under_its_part(place: str, part: str) -> None:
    assert scale._part(Path(place)) == part
