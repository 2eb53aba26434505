"""Rows that lie in groups, the log, and what is put together from both."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts import Document
from pipelines.documents.tables import (
    GROUP_CHARACTERS,
    GROUP_ROWS,
    Log,
    Rows,
    group_ends,
    group_writer,
    interleaved,
    read_table,
    stored_rows,
)
from pipelines.errors import StageError

SCHEMA = pa.schema([("n", pa.int64())])


def rows(sizes: list[int], first: int = 0) -> Rows:
    ends = np.cumsum(sizes)
    return Rows(sizes, lambda g: pa.table({"n": np.arange(first + ends[g] - sizes[g], first + ends[g])}))


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=8), st.data())
def test_rows_are_the_same_however_they_are_grouped(sizes: list[int], data: st.DataObject) -> None:
    total = sum(sizes)
    wanted = data.draw(st.lists(st.integers(0, total - 1), max_size=12)) if total else []
    assert rows(sizes).take(np.array(wanted, dtype=np.int64))["n"].to_pylist() == wanted
    assert [rows(sizes).row(each)["n"] for each in wanted] == wanted


@settings(deadline=None)
@given(st.lists(st.integers(-8, 9), max_size=20))
def test_two_places_are_interleaved_in_the_order_asked_for(origin: list[int]) -> None:
    found = interleaved(rows([4, 6]), rows([3, 0, 5], first=100), np.array(origin, dtype=np.int64), SCHEMA)
    assert found["n"].to_pylist() == [each if each >= 0 else 100 - 1 - each for each in origin]


@settings(deadline=None)
@given(st.lists(st.integers(0, GROUP_CHARACTERS * 2), max_size=30))
def test_groups_follow_from_the_rows_alone_and_are_bounded(sizes: list[int]) -> None:
    groups = list(group_ends(np.array(sizes, dtype=np.int64)))
    assert [first for first, _ in groups[1:]] == [end for _, end in groups[:-1]]
    assert (groups[0][0], groups[-1][1]) == (0, len(sizes))
    for first, end in groups:
        assert end - first <= GROUP_ROWS
        assert end - first <= 1 or sum(sizes[first:end]) <= GROUP_CHARACTERS


def test_a_file_has_the_same_bytes_however_its_groups_were_made(tmp_path: Path) -> None:
    table = pa.table({"text": [f"word {n}" for n in range(500)], "labels": [["a", "b"][: n % 3] for n in range(500)]})
    parts = pa.concat_tables([table.slice(n, 50) for n in range(0, 500, 50)])
    for name, source in (("one", table), ("many", parts)):
        with group_writer(tmp_path / name, table.schema) as write:
            write(source.slice(0, 300))
            write(source.slice(300))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "many").read_bytes()
    assert pq.read_metadata(tmp_path / "one").num_row_groups == 2
    assert stored_rows(tmp_path / "one", ["text"], table.schema).row(450) == {"text": "word 450"}


def test_a_file_that_was_not_finished_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), group_writer(tmp_path / "x.parquet", SCHEMA) as write:
        write(pa.table({"n": [1]}))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_table_of_something_else_is_an_error(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1]}), tmp_path / "x.parquet")
    with pytest.raises(StageError, match=r"x\.parquet does not hold"):
        read_table(tmp_path / "x.parquet", Document)


def test_a_log_is_taken_up_again_and_a_batch_that_was_cut_off_is_not(tmp_path: Path) -> None:
    with Log(tmp_path, "log", SCHEMA, {"parsers": 1}) as first:
        assert [first.append({"n": n}, 1) for n in range(300)] == list(range(300))
        [place] = tmp_path.iterdir()
        written = place.read_bytes()  # one batch of 256, the others wait
        assert len(first.rows()) == 256
    assert len(first.rows()) == 300
    place.write_bytes(written + b"\xff\xff\xff\xff\x40")
    with Log(tmp_path, "log", SCHEMA, {"parsers": 1}) as second:
        assert len(second.found) == 256
        assert second.append({"n": 7}, 1) == 256
    assert second.rows().take(np.array([255, 256]))["n"].to_pylist() == [255, 7]


def test_a_log_of_other_conditions_is_cleared_away(tmp_path: Path) -> None:
    with Log(tmp_path, "log", SCHEMA, {"parsers": 1}) as log:
        log.append({"n": 1}, 1)
    assert len(Log(tmp_path, "log", SCHEMA, {"parsers": 2}).found) == 0
    assert list(tmp_path.iterdir()) == []
