"""Packing: few passages, no repeats, a budget; what is shown of a chunk is its own."""

from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts import Chunk
from pipelines.retrieval.packing import pack

DOCUMENT = " ".join(f"word{number}." for number in range(400))


def part(start: int, end: int, *, document: str = "a", path: tuple[str, ...] = ("A",), tokens: int = 10) -> Chunk:
    return Chunk(
        id=f"{document}{start}-{end}", document_id=document, uri=f"{document}.md", title=document, start=start, end=end,
        text=DOCUMENT[start:end], heading_path=path, tokens=tokens,
    )  # fmt: skip


def said(text: str, name: str, title: str = "Guide") -> Chunk:
    return Chunk(id=name, document_id=name, uri=name, title=title, start=0, end=len(text), text=text, tokens=10)


def shown(ranked: list[Chunk], passages: int = 3, tokens: int = 1000) -> list[list[str]]:
    return [[chunk.id for chunk in passage.chunks] for passage in pack(ranked, passages=passages, tokens=tokens)]


def test_neighbours_are_one_passage_in_the_order_of_the_document() -> None:
    late, early, other = part(50, 90), part(0, 49), part(200, 240)
    passages = pack([late, other, early], passages=3, tokens=1000)
    assert [[c.id for c in p.chunks] for p in passages] == [["a0-49", "a50-90"], ["a200-240"]]  # strongest first
    assert passages[0].text == f"{DOCUMENT[:49]}\n{DOCUMENT[50:90]}"


def test_what_overlapping_chunks_share_is_shown_once() -> None:
    passage = pack([part(40, 90), part(0, 60)], passages=3, tokens=1000)[0]
    assert passage.text == DOCUMENT[0:90]


def test_a_chunk_between_two_passages_joins_them() -> None:
    assert shown([part(0, 49), part(100, 140), part(50, 99)]) == [["a0-49", "a50-99", "a100-140"]]


def test_another_section_or_document_is_a_passage_of_its_own() -> None:
    assert len(shown([part(0, 49), part(50, 90, path=("B",))])) == 2
    assert len(shown([part(0, 49), part(50, 90, document="b")])) == 2
    # a subsection goes on, and so do rows of a table whose header lies in the chunk before
    assert len(shown([part(0, 49), part(50, 90, path=("A", "A1"))])) == 1
    assert len(shown([part(0, 49), part(50, 90, path=("A", "Columns: a | b"))])) == 1


def test_the_budget_holds_and_a_shorter_chunk_takes_the_room() -> None:
    ranked = [part(0, 40, tokens=60), part(100, 140, tokens=60), part(200, 240, tokens=30)]
    assert shown(ranked, tokens=100) == [["a0-40"], ["a200-240"]]
    assert shown(ranked, tokens=10) == [["a0-40"]]  # the first is shown whatever its length


def test_no_more_passages_than_asked_for_but_neighbours_still_join() -> None:
    ranked = [part(0, 49), part(200, 240), part(50, 90)]
    assert shown(ranked, passages=1) == [["a0-49", "a50-90"]]


def test_repeats_are_left_out_unless_a_figure_a_negation_or_a_name_differs() -> None:
    text = "A hotel night in a city of the first group is refunded up to 110 pounds when the receipt is kept."
    first = said(text, "a")
    assert shown([first, said(text.replace("A hotel", "One hotel"), "b")]) == [["a"]]
    assert len(shown([first, said(text.replace("110", "135"), "b")])) == 2
    assert len(shown([first, said(text.replace("is refunded", "is not refunded"), "b")])) == 2
    assert len(shown([first, said(text, "b", title="Porto guide")])) == 2


CHUNKS = st.builds(
    lambda start, length, tokens, document: part(start, start + length, tokens=tokens, document=document),
    st.integers(0, 300), st.integers(1, 80), st.integers(1, 100), st.sampled_from("ab"),
)  # fmt: skip


@given(st.lists(CHUNKS, max_size=12), st.integers(1, 4), st.integers(1, 300))
def test_passages_hold_their_chunks_within_the_bounds(ranked: list[Chunk], most: int, tokens: int) -> None:
    passages = pack(ranked, passages=most, tokens=tokens)
    assert len(passages) <= most and bool(passages) == bool(ranked)
    held = [chunk for passage in passages for chunk in passage.chunks]
    assert len({chunk.id for chunk in held}) == len(held)
    assert sum(chunk.tokens for chunk in held) <= tokens or len(held) == 1
    assert not ranked or ranked[0] in passages[0].chunks
    for passage in passages:
        assert len({chunk.document_id for chunk in passage.chunks}) == 1
        assert all(chunk.text in passage.text for chunk in passage.chunks)
        assert [c.start for c in passage.chunks] == sorted(c.start for c in passage.chunks)
