"""What holds of every strategy: spans, size, coverage, order, overlap; and time that grows with the text alone."""

import time
from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.contracts import Block
from pipelines.documents.chunking import Piece, Strategy, pieces
from pipelines.documents.chunking.breaks import cheapest
from pipelines.documents.chunking.semantic import likeness
from pipelines.documents.chunking.tokens import ModelTokens
from pipelines.documents.chunking.units import Gap, units_of
from tests.documents.test_chunker import MODEL, Words

EVERY: tuple[Strategy, ...] = ("structural", "recursive", "fixed", "semantic")
SCRIPTS = [
    "The logger keeps ninety days. It is read by cable, e.g. in a boat. ",
    "日本語の文章は空白なしで書かれる。文の終わりは句点である。そうだろうか？はい！",
    "שלום עולם. זהו משפט בעברית. ",
    "هذه جملة عربية طويلة؟ وهذه أخرى. ",
    "Ελληνικά. Русский текст. Ещё предложение. ",
    "👩‍👩‍👧‍👦👍🏽 e\u0301a\u0302 ",
    "\x00\x01\x00",
    "\u200b\u200d\ufeff",
    "line one\r\nline two\r\n\r\n",
    "x" * 130,
    "=" * 60 + "\n",
    "camelCase snake_case RK-110 1,234.5 % ",
    "\t  \n",
]
KINDS = st.sampled_from(["paragraph", "paragraph", "list", "table", "code", "heading", "note"])
BLOCKS = st.lists(
    st.tuples(KINDS, st.lists(st.sampled_from(SCRIPTS), max_size=12).map("".join), st.sampled_from(["", "\n", "\n\n"])),
    max_size=9,
)


@pytest.fixture(scope="session")
def tokens() -> ModelTokens:
    return ModelTokens(MODEL)


def document(parts: Sequence[tuple[str, str, str]]) -> tuple[str, list[Block]]:
    """Blocks of any kind, one after another; a heading stands over what follows it."""
    text, blocks, path = "", [], ()
    for kind, words, gap in parts:
        if kind == "heading":
            path = (*path[:1], words.strip()[:40] or "Heading")
        blocks.append(
            Block.model_validate(
                {"kind": kind, "start": len(text), "end": len(text) + len(words), "heading_path": path}
            )
        )
        text += words + gap
    return text, blocks


def check(text: str, blocks: Sequence[Block], found: Sequence[Piece], tokens: ModelTokens, size: int) -> None:
    """Spans of the text within the size, in order, that leave out white space, notes and headings at most."""
    counted = tokens.count([text[piece.start : piece.end] for piece in found])
    for piece, count in zip(found, counted, strict=True):
        assert 0 <= piece.start < piece.end <= len(text)
        assert count <= piece.tokens <= size
        assert text[piece.start : piece.end].strip() == text[piece.start : piece.end]
    assert [p.start for p in found] == sorted({p.start for p in found})
    assert [p.end for p in found] == sorted({p.end for p in found})
    covered = bytearray(len(text))
    for piece in found:
        covered[piece.start : piece.end] = b"\x01" * (piece.end - piece.start)
    for block in blocks:
        if block.kind in ("note", "heading"):
            continue
        assert not "".join(text[i] for i in range(block.start, block.end) if not covered[i]).strip()


@settings(deadline=None, max_examples=80)
@given(BLOCKS, st.sampled_from([16, 40, 96]), st.sampled_from([0, 8, 12]), st.sampled_from(EVERY))
@example([("paragraph", "x" * 500, "")], 16, 8, "fixed")
@example([("paragraph", "\x00" * 5000, "")], 16, 0, "structural")
@example([("table", "| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * 40, "")], 16, 8, "semantic")
@example(
    [("paragraph", "x" * 142, ""), ("paragraph", "camelCase snake_case RK-110 1.5 % The", "")], 16, 8, "structural"
)
def test_chunks_are_ordered_spans_within_the_size_that_cover_the_text(
    tokens: ModelTokens, parts: list[tuple[str, str, str]], size: int, overlap: int, strategy: Strategy
) -> None:
    text, blocks = document(parts)
    found = pieces(text, blocks, tokens, size=size, overlap=overlap, strategy=strategy)
    check(text, blocks, found, tokens, size)
    assert found == pieces(text, blocks, tokens, size=size, overlap=overlap, strategy=strategy)
    shared = [text[b.start : a.end] for a, b in pairwise(found) if b.start < a.end]
    if not overlap:
        assert not shared
    # parts of a text may hold a few tokens more than the same words within it
    assert all(count <= overlap + 4 for count in tokens.count(shared))


@pytest.mark.parametrize("strategy", EVERY)
def test_notes_are_in_no_chunk_of_any_strategy(tokens: ModelTokens, strategy: Strategy) -> None:
    text, blocks = document([("paragraph", "Before it.", "\n"), ("note", "SECRET", "\n"), ("paragraph", "After.", "")])
    found = pieces(text, blocks, tokens, size=40, overlap=0, strategy=strategy)
    assert found and not any("SECRET" in text[piece.start : piece.end] for piece in found)


def test_sentences_end_in_every_script_and_wrapped_lines_end_none() -> None:
    text = "一つ目の文。二つ目の文。 First one here. Это второе. Its line is\nwrapped here. A heading\nBelow it"
    units = units_of(text, [Block(kind="paragraph", start=0, end=len(text))], Words(), 8, 1)
    assert [text[unit.start : unit.end] for unit in units] == [
        "一つ目の文。",
        "二つ目の文。",
        "First one here.",
        "Это второе.",
        "Its line is\nwrapped here.",
        "A heading",
        "Below it",
    ]
    assert units[-1].gap is Gap.LINE and units[-2].gap is Gap.SENTENCE


def test_code_is_cut_at_its_lines() -> None:
    code = "\n".join(f"    value_{n} = compute({n})" for n in range(12))
    found = pieces(code, [Block(kind="code", start=0, end=len(code))], Words(), size=16, overlap=0)
    assert len(found) > 1
    assert all(text.startswith("value_") and text.endswith(")") for text in (code[p.start : p.end] for p in found))


def test_a_cut_goes_where_it_tears_least() -> None:
    # 4 units of 4, size 12: one cut is enough. Before unit 2 both halves lack a third: 2/9 = .22; before unit 1
    # 4/9 and 0, before unit 3 the same: .44. A dear cut (1) in the middle makes the last one the cheapest.
    assert cheapest([4] * 4, [0, 0, 0, 0], [0] * 4, 12) == [(0, 2), (2, 4)]
    assert cheapest([4] * 4, [0, 0.1, 1, 0], [0] * 4, 12) == [(0, 3), (3, 4)]
    # 5 tokens taken over before unit 2 leave no room for two more: 5 + 8 > 12
    assert cheapest([4] * 4, [0, 0, 0, 0], [0, 0, 5, 0], 12) == [(0, 3), (3, 4)]


def test_a_change_of_subject_is_where_neighbours_are_least_alike(tokens: ModelTokens) -> None:
    first = "The bank lowered interest rates on mortgages. Loans and savings accounts became cheaper. Debt fell. "
    second = "The orchestra played a violin concerto. The pianist and the singers rehearsed a symphony. Music rang."
    text = first + second
    units = units_of(text, [Block(kind="paragraph", start=0, end=len(text))], tokens, 96, 1)
    found = likeness(text, units, tokens, 15)  # not so much that both sides are the whole text
    assert units[int(found.argmin())].start == len(first)


def test_semantic_ends_a_chunk_with_its_subject(tokens: ModelTokens) -> None:
    bank = "The bank lowered interest rates on loans. The bank raised loans and rates. Loans cost interest at a bank. "
    music = "The orchestra played music on violins. The violins and music pleased. Music is played by an orchestra. "
    text = bank + "Rates of a bank are interest on loans. Interest rates fell. " + music
    found = pieces(text, [], tokens, size=48, overlap=0, strategy="semantic")
    assert text.index(music) in [piece.start for piece in found]
    structural = pieces(text, [], tokens, size=48, overlap=0, strategy="structural")
    assert text.index(music) not in [piece.start for piece in structural]  # it fills its chunks evenly


# --- size ----------------------------------------------------------------------------------------

SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank today. "
LARGE: dict[str, Callable[[int], tuple[str, list[Block]]]] = {
    "one paragraph": lambda n: document([("paragraph", SENTENCE * n, "")]),
    "words without an end": lambda n: document([("paragraph", "word " * (14 * n), "")]),
    "one word": lambda n: document([("paragraph", "w" * (n * 8), "")]),
    "tiny blocks": lambda n: document([("paragraph", "Tiny block.", "\n\n")] * n),
    "headings alone": lambda n: document([("heading", "Heading", "\n")] * n),
    "rows of a table": lambda n: document([("table", "| a | b |\n|---|---|\n" + "| cell one | 22 |\n" * n, "")]),
    "CJK": lambda n: document([("paragraph", "日本語の文章は空白なしで書かれる。" * n, "")]),
    "one CJK word": lambda n: document([("paragraph", "漢字" * (n * 8), "")]),
    "NULs": lambda n: document([("paragraph", "\x00" * (n * 60), "")]),
    "white space": lambda n: document([("paragraph", "a" + " " * (n * 60) + "b" + "\n" * (n * 60) + "c", "")]),
    "items": lambda n: document([("list", "- item of a list\n" * n, "")]),
    "emoji": lambda n: document([("paragraph", "👩‍👩‍👧‍👦" * n, "")]),
    "lines of CR LF": lambda n: document([("code", "x = 1\r\n" * n, "")]),
}


@pytest.mark.parametrize("strategy", EVERY)
@pytest.mark.parametrize("name", LARGE)
def test_large_documents_are_cut_in_time_that_grows_with_them(
    tokens: ModelTokens, name: str, strategy: Strategy
) -> None:
    """Four times the text may take eight times as long (machines are noisy), not sixteen."""
    taken = []
    for n in (250, 1000):
        text, blocks = LARGE[name](n)
        best = float("inf")
        for _ in range(2):
            began = time.process_time()
            found = pieces(text, blocks, tokens, size=96, overlap=12, strategy=strategy)
            best = min(best, time.process_time() - began)
        taken.append(best)
    check(text, blocks, found, tokens, 96)
    assert taken[1] < 0.05 + 8 * taken[0], taken
