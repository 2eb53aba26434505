"""Item tables: one row an item, metric and repeat; read from Parquet or JSON Lines, looked at by metric.

Invariants: a row's value is a finite number or None (could not be measured; NaN counts as that); an item
belongs to one group; (item, metric, repeat) occurs once. Nothing is dropped: what is missing is counted.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError

from pipelines.artifacts import arrow_schema, read_lines, read_rows, replacing, write_lines
from pipelines.contracts import Contract, Item
from pipelines.errors import QuestionFileError, StageError


@dataclass(frozen=True)
class Measured:
    """One metric of one system: the value of each item (mean of its repeats), and each item's group."""

    values: Mapping[str, float | None]
    groups: Mapping[str, str]

    @property
    def present(self) -> list[float]:
        """The values that could be measured."""
        return [value for value in self.values.values() if value is not None]


SUITE = b"groundwork.suite"
"""Where a Parquet table's metadata names the digest of its suite."""
LINES = (".jsonl", ".ndjson")
"""Endings of tables that are written as JSON Lines."""
NOTHING = Measured({}, {})
"""A metric without a row."""
_UNITS = re.compile(r"_(s|ms|usd|tokens|bytes|mib)$")
"""Endings of metrics that have a unit: whatever their values here, they are no shares."""


class Head(Contract):
    """The first line of a JSON Lines table that names the digest of its suite; tables without one are read as well."""

    suite: str = Field(min_length=1)


def is_share(metric: str, values: Iterable[float]) -> bool:
    """Whether a metric runs from 0 to 1: it has no unit in its name and every value lies there."""
    return not _UNITS.search(metric) and all(0.0 <= value <= 1.0 for value in values)


def read_items(path: Path) -> list[Item]:
    """Parquet (by its first bytes) or JSON Lines -> items.

    Raises QuestionFileError naming the file and what is wrong with it.
    """
    try:
        with path.open("rb") as stream:
            parquet = stream.read(4) == b"PAR1"
        items = read_rows(path, Item) if parquet else read_lines(path, Item, head=Head)
    except FileNotFoundError as exc:
        raise QuestionFileError(f"{path}: there is no such item table.") from exc
    except OSError as exc:
        raise QuestionFileError(f"{path}: not readable: {exc.strerror}.") from exc
    except StageError as exc:
        raise QuestionFileError(str(exc)) from exc
    return checked(items, str(path))


def write_items(path: Path, items: Sequence[Item], *, suite: str) -> None:
    """Items that name the digest of the suite that they come from: JSON Lines by the file's ending, else Parquet."""
    if path.suffix in LINES:
        write_lines(path, [Head(suite=suite), *items])
        return
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = arrow_schema(Item).with_metadata({SUITE: suite.encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        pq.write_table(
            pa.Table.from_pylist([item.model_dump() for item in items], schema=schema), temporary, compression="zstd"
        )


def suite_of(path: Path) -> str | None:
    """The digest of the suite that an item table names; None: it names none."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        named = (pq.read_schema(path).metadata or {}).get(SUITE)
    except pa.ArrowException:
        return _head(path)
    return named.decode() if named else None


def _head(path: Path) -> str | None:
    """The digest in the first line of a JSON Lines table, if that is a head."""
    with path.open(encoding="utf-8-sig") as stream:
        first = next((line for line in stream if line.strip()), "")
    try:
        return Head.model_validate_json(first).suite
    except ValidationError:
        return None


def same_suite(candidate: Path, champion: Path) -> None:
    """Raise QuestionFileError for tables that name different suites: their figures do not compare."""
    mine, theirs = suite_of(candidate), suite_of(champion)
    if mine and theirs and mine != theirs:
        raise QuestionFileError(
            f"{candidate} was measured under suite {mine[:12]}, {champion} under {theirs[:12]}: the suite has changed "
            "between them. Measure both under the same suite (`groundwork suite run`, the stage `evaluate`)."
        )


def checked(items: Sequence[Item], where: str) -> list[Item]:
    """The items, NaN as None.

    Raises QuestionFileError for an infinite value, a repeated row, an item without a name or of two groups.
    """
    seen: set[tuple[str, str, int]] = set()
    groups: dict[tuple[str, str], str] = {}
    good = []
    for item in items:
        if not item.item or not item.group:
            raise QuestionFileError(f"{where}: a row of metric {item.metric!r} names no item or no group.")
        key = (item.item, item.metric, item.repeat)
        if key in seen:
            raise QuestionFileError(
                f"{where}: item {item.item!r} has metric {item.metric!r} twice with repeat {item.repeat}; "
                "number repeated measurements in `repeat`."
            )
        group = groups.setdefault((item.metric, item.item), item.group)
        if group != item.group:
            raise QuestionFileError(
                f"{where}: metric {item.metric!r}: item {item.item!r} is of group {group!r} in one row and of "
                f"{item.group!r} in another; name the one document that it depends on."
            )
        seen.add(key)
        good.append(_finite(item, where))
    return good


def _finite(item: Item, where: str) -> Item:
    if item.value is None or math.isfinite(item.value):
        return item
    if math.isnan(item.value):
        return item.model_copy(update={"value": None})
    raise QuestionFileError(f"{where}: item {item.item!r}, metric {item.metric!r}: the value is infinite.")


def by_metric(items: Iterable[Item]) -> dict[str, Measured]:
    """Metric to its measured items. An item with a repeat that could not be measured is missing."""
    rows: dict[str, dict[str, list[float | None]]] = {}
    groups: dict[str, dict[str, str]] = {}
    for item in items:
        rows.setdefault(item.metric, {}).setdefault(item.item, []).append(item.value)
        groups.setdefault(item.metric, {}).setdefault(item.item, item.group)
    return {
        metric: Measured({name: _mean(values) for name, values in of_metric.items()}, groups[metric])
        for metric, of_metric in rows.items()
    }


def need_even_repeats(items: Iterable[Item], metrics: Collection[str], where: str) -> None:
    """Raises QuestionFileError where a metric was repeated more often on one item than on another.

    A repeat that is not there may be one that failed; left out, it would count for its system.
    """
    often = Counter((each.metric, each.item) for each in items if each.metric in metrics)
    for metric in sorted({metric for metric, _ in often}):
        counts = {item: n for (of, item), n in often.items() if of == metric}
        most, least = max(counts, key=lambda i: (counts[i], i)), min(counts, key=lambda i: (counts[i], i))
        if counts[most] != counts[least]:
            raise QuestionFileError(
                f"{where}: {metric!r} has {counts[least]} rows of item {least!r} and {counts[most]} of {most!r}; "
                "measure every item equally often, and give a repeat that failed a row without a value (null)."
            )


def _mean(values: Sequence[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    return sum(present) / len(present) if len(present) == len(values) else None


def groups_of(first: Measured, second: Measured) -> dict[str, str]:
    """Each item's group over two tables. Raises QuestionFileError when they disagree."""
    for item, group in first.groups.items():
        other = second.groups.get(item, group)
        if other != group:
            raise QuestionFileError(f"Item {item!r} is of group {group!r} in one table and of {other!r} in the other.")
    return {**second.groups, **first.groups}
