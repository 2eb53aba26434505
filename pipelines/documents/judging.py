"""What documents are to each other: whose they are, which are older versions, repeats, and what is boilerplate.

The order matters: access first (nobody's document may vanish behind one that they cannot see), versions and exact
repeats before boilerplate (copies would make anything recur), boilerplate before near repeats (two mails are not
alike for their disclaimer). Invariant: the outcome depends on the documents and settings alone; what an earlier run
found out about unchanged documents is only not computed again.
"""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pipelines.artifacts import arrow_schema
from pipelines.contracts import Contract, Document
from pipelines.documents import access, boilerplate, features, near_duplicates, versions
from pipelines.documents.access import Access
from pipelines.documents.ledger import Last, Ledger
from pipelines.documents.tables import Log, read_columns, table_of
from pipelines.settings import Documents

if TYPE_CHECKING:
    import pyarrow as pa

VERSIONS = "versions.parquet"
COMPARED = "compared.parquet"
BOILERPLATE = "boilerplate.parquet"
_SHOWN_CHARACTERS = 500


class Boilerplate(Contract):
    """A line of boilerplate.parquet, for people to read: what was put aside, and where it is still found."""

    text: str
    folder: str
    documents: int
    """How many documents of the folder hold it ..."""
    of: int
    """... of how many of that media type and audience."""
    kept_in: str


@dataclass(frozen=True)
class Judged:
    """The ledger with its rows judged, and what is kept of that for the next run."""

    ledger: Ledger
    access: Sequence[Access]
    near_duplicate_of: Sequence[str | None]
    superseded_by: Sequence[str | None]
    refused: Mapping[str, str]
    """uri -> why a document must not be indexed."""
    unused_rules: tuple[str, ...]
    edges: "pa.Table"
    compared: "pa.Table"
    boilerplate: "pa.Table"


def judge(ledger: Ledger, settings: Documents, scratch: Path) -> Judged:
    """Judge all documents. `scratch`: a folder for what is too large to be held."""
    claims = ledger.values("claim") if settings.labels_in_documents else None
    assigned = access.assign(ledger.table["uri"], settings.access, claims)
    uris = ledger.values("uri")
    refused = {uris[position]: reason for position, reason in assigned.refused.items()}
    ledger = ledger.without(sorted(assigned.refused))
    who = [one for position, one in enumerate(assigned.access) if position not in assigned.refused]
    world = _World.of(ledger, who)
    edges = _edges(world)
    newer = versions.resolve(edges, world.may_replace)
    never = frozenset(_ordered(world.at[older], world.at[by]) for older, by in newer.items())
    keys = (ledger.values("sha256"), ledger.values("words_digest"))
    exact = near_duplicates.exact_repeats(keys, world.rank, world.covers, never)
    world, found = _marked(world, settings, scratch, silent={*exact, *(world.at[older] for older in newer)})
    near = _near(world, settings.near_duplicate_threshold, exact, never, kept_in={one.first for one in found})
    originals = _joined(exact, near.originals, never)
    return Judged(
        ledger=world.ledger,
        access=who,
        near_duplicate_of=[world.uris[originals[i]] if i in originals else None for i in range(len(ledger))],
        superseded_by=[newer.get(uri) for uri in world.uris],
        refused=refused,
        unused_rules=assigned.unused,
        edges=table_of([vars(edge) for edge in edges], _edge_schema()),
        compared=_compared_table(world, near.compared),
        boilerplate=_boilerplate_table(world, found),
    )


@dataclass(frozen=True)
class _World:
    """The ledger's columns that every step asks for."""

    ledger: Ledger
    uris: Sequence[str]
    ids: Sequence[str]
    at: Mapping[str, int]
    """uri -> position."""
    who: Sequence[Access]
    rank: Sequence[int]
    """Who is an original first: what more people may see, then by uri."""

    @classmethod
    def of(cls, ledger: Ledger, who: Sequence[Access]) -> "_World":
        uris = ledger.values("uri")
        breadth = np.array([-len(one.labels) if one.labels else -(2**31) for one in who], dtype=np.int64)
        rank = np.empty(len(uris), dtype=np.int64)
        rank[np.argsort(breadth, kind="stable")] = np.arange(len(uris))
        at = {uri: position for position, uri in enumerate(uris)}
        return cls(ledger, uris, ledger.values("id"), at, who, rank.tolist())

    def covers(self, a: int, b: int) -> bool:
        """Whether everybody who may see b may see a."""
        return self.who[a] is self.who[b] or self.who[a].covers(self.who[b])

    def may_replace(self, newer: str, older: str) -> bool:
        """Whether everybody who may see the older may see the newer."""
        return self.covers(self.at[newer], self.at[older])

    @property
    def unchanged(self) -> npt.NDArray[np.bool_]:
        """Which rows are as the last run judged them."""
        same = self.ledger.origin >= 0
        same[list(self.ledger.marked)] = False
        return same


# --- versions ----------------------------------------------------------------------------------


def _edge_schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([("name", pa.string()), ("newer", pa.string()), ("older", pa.string()), ("stated", pa.bool_())])


def _edges(world: _World) -> list[versions.Edge]:
    """Which takes the place of which: asked anew for the names that a changed, new or lost document has."""
    names = {kind: _numbered(world.ledger.table[f"{kind}_name"]) for kind in ("title", "stem")}
    touched = _touched_names(world)
    kept = [edge for edge in _last_edges(world.ledger.last) if touched is not None and edge.name not in touched]
    found = [edge for kind, column in names.items() for edge in _edges_by(world, kind, column, touched)]
    return sorted([*kept, *found], key=lambda e: (e.name, e.newer, e.older, e.stated))


def _edges_by(
    world: _World, kind: str, column: tuple[npt.NDArray[np.int64], Sequence[str]], touched: frozenset[str] | None
) -> list[versions.Edge]:
    codes, names = column
    shared = np.flatnonzero(np.bincount(codes, minlength=len(names)) > 1).tolist()
    wanted = np.zeros(len(names), dtype=bool)
    wanted[[n for n in shared if names[n] and (touched is None or f"{kind} {names[n]}" in touched)]] = True
    if not wanted.any():
        return []
    rows = np.flatnonzero(wanted[codes])
    order = rows[np.argsort(codes[rows], kind="stable")]
    titles, languages = world.ledger.table["title"], world.ledger.table["language"]

    def candidate(row: int) -> versions.Candidate:
        head = world.ledger.text(row)[: versions.HEAD_CHARACTERS]
        return versions.Candidate(row, world.uris[row], titles[row].as_py(), head, languages[row].as_py())

    found: list[versions.Edge] = []
    for group in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        members = [candidate(row) for row in group.tolist()]
        found += versions.edges(f"{kind} {names[codes[group[0]]]}", members, world.ledger.text)
    return found


def _numbered(column: "pa.ChunkedArray") -> tuple[npt.NDArray[np.int64], Sequence[str]]:
    """A column of names as numbers and what they stand for."""
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary.to_pylist()


def _touched_names(world: _World) -> frozenset[str] | None:
    """Names of changed, new and lost documents; None: all are new."""
    last = world.ledger.last
    if last is None or not last.current:
        return None
    import pyarrow as pa

    origin = world.ledger.origin
    lost = np.setdiff1d(np.arange(last.small.num_rows), origin[origin >= 0])
    tables = [world.ledger.table.take(pa.array(np.flatnonzero(origin < 0))), last.small.take(pa.array(lost))]
    return frozenset(
        f"{kind} {name}" for table in tables for kind in ("title", "stem") for name in table[f"{kind}_name"].to_pylist()
    )


def _last_edges(last: Last | None) -> list[versions.Edge]:
    if last is None or not last.current:
        return []
    return [versions.Edge(**row) for row in read_columns(last.folder / VERSIONS, _edge_schema()).to_pylist()]


# --- boilerplate -------------------------------------------------------------------------------


def _marked(
    world: _World, settings: Documents, scratch: Path, silent: set[int]
) -> tuple[_World, list[boilerplate.Found]]:
    """The world with boilerplate marked; documents whose marks are as they were stay untouched."""
    passages = world.ledger.table["passages"].combine_chunks()
    counted = np.ones(len(world.ledger), dtype=bool)
    counted[list(silent)] = False
    marks, found = boilerplate.decide(
        np.asarray(passages.value_lengths()).astype(np.int64),
        passages.flatten().to_numpy(),
        [uri.rpartition("/")[0] for uri in world.uris],
        _kinds(world),
        counted,
        documents=settings.boilerplate_documents,
        share=settings.boilerplate_share,
    )
    before = _marks_before(world.ledger.table["marks"])
    changed = [i for i in sorted(marks.keys() | before.keys()) if marks.get(i) != before.get(i)]
    return replace(world, ledger=_remarked(world.ledger, changed, marks, scratch)), found


def _kinds(world: _World) -> npt.NDArray[np.int64]:
    """A number for each media type and audience: only such documents are compared."""
    codes, _ = _numbered(world.ledger.table["media_type"])
    audiences: dict[Access, int] = {}
    each = {id(one): one for one in world.who}  # a handful, where thousands of documents share them
    numbers = {key: audiences.setdefault(one, len(audiences)) for key, one in each.items()}
    own = np.array([numbers[id(one)] for one in world.who], dtype=np.int64)
    return codes * max(1, len(audiences)) + own


def _marks_before(column: "pa.ChunkedArray") -> dict[int, list[int]]:
    marks = column.combine_chunks()
    some = np.flatnonzero(np.asarray(marks.value_lengths()))
    return {int(row): marks[int(row)].as_py() for row in some}


def _remarked(ledger: Ledger, changed: Sequence[int], marks: Mapping[int, list[int]], scratch: Path) -> Ledger:
    """The ledger with these documents marked anew: their blocks, and what depends on them."""
    if not changed:
        return ledger
    import pyarrow as pa

    blocks = arrow_schema(Document).field("blocks").type
    new: dict[str, list[Any]] = {name: ledger.values(name) for name in ("marks", "signature", "content_digest")}
    with Log(scratch, "marked", pa.schema([("blocks", blocks), ("parsed_blocks", blocks)]), {}) as log:
        log.remove()
        for position in changed:
            parsed = ledger.parsed(position)
            own = marks.get(position, [])
            text, before = parsed["text"], parsed["blocks"]
            after = boilerplate.marked(text, before, own)
            log.append({"blocks": after, "parsed_blocks": before if own else None}, 100 * len(after))
            new["marks"][position] = own
            new["signature"][position] = features.signature_of(parsed["media_type"], text, after)
            new["content_digest"][position] = features.digest_of_content(parsed["title"], text, after)
    rows = {position: row for row, position in enumerate(changed)}
    return replace(ledger.set(new), remarked=log.rows(), marked=rows)


def _boilerplate_table(world: _World, found: Sequence[boilerplate.Found]) -> "pa.Table":
    rows = []
    for one in found:
        parsed = world.ledger.parsed(one.first)
        mark = boilerplate.hashes(parsed["text"], parsed["blocks"]).index(one.hash)
        text = boilerplate.shown(parsed["text"], parsed["blocks"], mark)[:_SHOWN_CHARACTERS]
        kept_in = world.uris[one.first]
        rows.append(Boilerplate(text=text, folder=one.folder, documents=one.documents, of=one.of, kept_in=kept_in))
    return table_of([row.model_dump() for row in rows], arrow_schema(Boilerplate))


# --- repeats -----------------------------------------------------------------------------------


def _compared_schema() -> "pa.Schema":
    import pyarrow as pa

    return pa.schema([("later", pa.string()), ("earlier", pa.string()), ("similarity", pa.float64())])


def _near(
    world: _World,
    threshold: float,
    exact: Mapping[int, int],
    never: frozenset[tuple[int, int]],
    kept_in: AbstractSet[int],
) -> near_duplicates.Repeats:
    """Near repeats; a document that keeps boilerplate for others (`kept_in`) is none, or it would vanish with it."""
    signatures = world.ledger.values("signature")
    for repeat in exact:
        signatures[repeat] = b""
    return near_duplicates.near_repeats(
        signatures,
        _prose_of(world.ledger),
        threshold=threshold,
        whole_of=world.ledger.text,
        same_name=_same_name(world.ledger),
        rank=world.rank,
        covers=lambda a, b: b not in kept_in and world.covers(a, b),
        never=never,
        known=_similarities(world),
    )


def _prose_of(ledger: Ledger) -> Callable[[int], str]:
    media_types = ledger.table["media_type"]

    def prose_of(position: int) -> str:
        return features.prose(media_types[position].as_py(), ledger.text(position), ledger.blocks(position))

    return prose_of


def _same_name(ledger: Ledger) -> Callable[[int, int], bool]:
    titles, stems = (_numbered(ledger.table[f"{kind}_name"])[0] for kind in ("title", "stem"))
    return lambda a, b: bool(titles[a] == titles[b] or stems[a] == stems[b])


def _similarities(world: _World) -> dict[tuple[int, int], float]:
    """What was compared before, of documents that are as they were."""
    last = world.ledger.last
    if last is None or not last.current:
        return {}
    rows = read_columns(last.folder / COMPARED, _compared_schema())
    if not rows.num_rows:
        return {}
    unchanged = world.unchanged
    at = {name: position for position, name in enumerate(world.ids) if unchanged[position]}
    columns = (rows[name].to_pylist() for name in ("later", "earlier", "similarity"))
    return {(at[a], at[b]): value for a, b, value in zip(*columns, strict=True) if a in at and b in at}


def _compared_table(world: _World, compared: Mapping[tuple[int, int], float]) -> "pa.Table":
    pairs = sorted(compared)
    rows = [{"later": world.ids[a], "earlier": world.ids[b], "similarity": compared[a, b]} for a, b in pairs]
    return table_of(rows, _compared_schema())


def _joined(exact: Mapping[int, int], near: Mapping[int, int], never: frozenset[tuple[int, int]]) -> dict[int, int]:
    """Originals of all repeats: an exact repeat of a near one repeats that one's original, two versions aside."""
    found = dict(near)
    for repeat, original in exact.items():
        end = near.get(original, original)
        if _ordered(repeat, end) not in never:
            found[repeat] = end
    return found


def _ordered(a: int, b: int) -> tuple[int, int]:
    return (a, b) if a < b else (b, a)
