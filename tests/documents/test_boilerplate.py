"""What counts as boilerplate, and what must not."""

import random
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.documents.boilerplate import decide, hashes, marked, passages
from pipelines.documents.parsers import parse

DISCLAIMER = "This message is confidential. If you are not the intended recipient, delete this e-mail."
LICENCE = """# Copyright {year} The Authors of {who}
#
# Licensed under the Example License, Version 2.0.
# You may not use this file except in compliance with it.
"""


def of(text: str, name: str = "a.md") -> tuple[str, list[dict[str, object]]]:
    parsed = parse(text.encode(), name)[1]
    return parsed.text, [block.model_dump() for block in parsed.blocks]


def marked_in(
    texts: Sequence[str],
    *,
    name: str = "a.md",
    folders: Sequence[str] | None = None,
    kinds: Sequence[int] | None = None,
    silent: frozenset[int] = frozenset(),
    documents: int = 4,
    share: float = 0.5,
) -> list[list[str]]:
    """The texts of each document's passages that are put aside."""
    parsed = [of(text, name) for text in texts]
    per = [hashes(*each) for each in parsed]
    marks, _ = decide(
        np.array([len(each) for each in per], dtype=np.int64),
        np.array([value for each in per for value in each], dtype=np.uint64),
        folders or [""] * len(texts),
        np.array(kinds or [0] * len(texts), dtype=np.int64),
        np.array([number not in silent for number in range(len(texts))]),
        documents=documents,
        share=share,
    )
    found = [passages(*each) for each in parsed]
    return [
        [text[p.start : p.end] for mark in marks.get(n, []) for p in [found[n][mark]]]
        for n, (text, _) in enumerate(parsed)
    ]


def page(number: int, *more: str) -> str:
    rng = random.Random(number)
    words = " ".join(rng.sample("abcdefghijklmnopqrstuvwxyz", 20))
    return "\n\n".join([f"# Page {number}", f"About {words} alone.", *more])


def test_a_disclaimer_is_kept_in_the_first_document_alone() -> None:
    assert marked_in([page(n, DISCLAIMER) for n in range(5)]) == [[], *[[DISCLAIMER]] * 4]


def test_fewer_documents_than_the_setting_keep_it() -> None:
    assert marked_in([page(n, DISCLAIMER) for n in range(3)]) == [[]] * 3
    assert marked_in([page(n, DISCLAIMER) for n in range(5)], documents=0) == [[]] * 5


def test_a_sentence_in_three_of_five_documents_is_none() -> None:
    sentence = "Switch the pump off before the lid is opened, and wait."
    assert marked_in([page(n, *[sentence] * (n < 3)) for n in range(5)], documents=1, share=0.7) == [[]] * 5


def test_what_half_of_a_folder_begins_or_ends_with_is_boilerplate_even_if_it_looks_like_nothing() -> None:
    about = "Tarnwick makes loggers for people who care about rivers."
    # 12 documents are three times the 4 of the setting, and of 24 they are half
    pages = [page(n, *[about] * (n < 12)) for n in range(24)]
    assert [bool(each) for each in marked_in(pages)] == [False, *[True] * 11, *[False] * 12]
    assert marked_in([*pages, page(24)]) == [[]] * 25


def test_a_figure_makes_it_a_fact() -> None:
    assert marked_in([page(n, "The guarantee runs for 24 months from delivery.") for n in range(20)]) == [[]] * 20


def test_a_table_is_no_boilerplate() -> None:
    table = "| Copyright | All rights reserved |\n|---|---|\n| a | b |"
    assert marked_in([page(n, table) for n in range(20)]) == [[]] * 20


def test_a_sentence_in_the_middle_of_long_documents_is_none() -> None:
    def long(n: int) -> str:
        before, after = ([f"Paragraph {n} {side} number {i}." for i in range(6)] for side in ("before", "after"))
        return "\n\n".join([*before, DISCLAIMER, *after])

    assert marked_in([long(n) for n in range(6)]) == [[]] * 6


def test_once_it_is_boilerplate_it_is_put_aside_wherever_it_stands() -> None:
    quoted = page(9, *[f"Answer {i}." for i in range(6)], DISCLAIMER, *[f"Question {i}." for i in range(6)])
    assert marked_in([*(page(n, DISCLAIMER) for n in range(5)), quoted])[-1] == [DISCLAIMER]


def test_years_case_and_line_breaks_do_not_tell_passages_apart() -> None:
    lines = ["Back to\ntop, 2019", "BACK to top,  2020-2024"]
    assert [len(each) for each in marked_in([page(n, lines[n % 2]) for n in range(4)])] == [0, 1, 1, 1]


def test_a_licence_header_is_found_whoever_holds_the_copyright() -> None:
    files = [f"{LICENCE.format(year=2010 + n, who='ABCD'[n])}\ndef f{n}(): ...\n" for n in range(4)]
    found = marked_in(files, name="a.py")
    assert [["Licensed under" in passage for passage in each] for each in found] == [[], [True], [True], [True]]


def test_a_header_that_runs_into_the_code_is_cut_off_it() -> None:
    files = [f"/*\n * Copyright 2024 Example\n */\npackage p{n};\nclass C{n} {{}}\n" for n in range(4)]
    assert marked_in(files, name="a.java")[1] == ["/*\n * Copyright 2024 Example\n */"]
    text, blocks = of(files[1], "a.java")
    after = marked(text, blocks, [0])
    assert [(b["kind"], text[b["start"] : b["end"]]) for b in after] == [
        ("note", "/*\n * Copyright 2024 Example\n */"),
        ("code", "package p1;"),
        ("code", "class C1 {}"),
    ]


def test_a_signature_is_cut_off_the_text_before_it() -> None:
    mails = [f"Yes, lot {n} is fine.\n--\nSent from my telephone" for n in range(4)]
    assert [each[:1] for each in marked_in(mails, name="a.txt")] == [[], *[["--\nSent from my telephone"]] * 3]


def test_a_menu_is_boilerplate_and_a_short_list_is_not() -> None:
    menu = "\n".join(f"- Chapter {n}" for n in range(12))
    assert [len(each) for each in marked_in([page(n, menu) for n in range(4)])] == [0, 1, 1, 1]
    short = "\n".join(f"- Chapter {n}" for n in range(5))
    assert marked_in([page(n, short) for n in range(4)]) == [[]] * 4


def test_a_document_never_loses_all_that_it_says() -> None:
    assert marked_in([*(page(n, DISCLAIMER) for n in range(5)), DISCLAIMER])[-1] == []


def test_headings_stay() -> None:
    pages = [f"# Copyright\n\n## Terms of use\n\n{page(n)}" for n in range(20)]
    assert marked_in(pages) == [[]] * 20


def test_folders_are_looked_at_one_by_one_and_together() -> None:
    about = "Everything about the harbour and its boats, by people who know."
    pages = [page(n, *[about] * (n < 12)) for n in range(48)]
    folders = ["harbour/old"] * 6 + ["harbour/new"] * 6 + ["moor"] * 36
    # of all 48 only a quarter hold it; of those in harbour/ all
    assert [bool(each) for each in marked_in(pages, folders=folders)] == [False, *[True] * 11, *[False] * 36]
    assert marked_in(pages) == [[]] * 48


def test_an_audience_keeps_its_own_copy() -> None:
    found = marked_in([page(n, DISCLAIMER) for n in range(10)], kinds=[0] * 5 + [1] * 5)
    assert [bool(each) for each in found] == [False, True, True, True, True] * 2


def test_copies_and_older_versions_do_not_make_a_passage_recur() -> None:
    pages = [page(n, DISCLAIMER) for n in range(5)]
    assert marked_in(pages, silent=frozenset({3, 4})) == [[]] * 5
    assert marked_in(pages, silent=frozenset({4})) == [[], *[[DISCLAIMER]] * 4]  # but they lose it with the others


def test_long_runs_of_spaces_cost_no_time() -> None:
    for comment in (
        f"# a\n#{' ' * 200_000}x\n",
        f"/*\n{' ' * 200_000}x\n*/",
        "# a\r" * 50_000,
        f"# a\n{'#' * 200_000}x\n",
    ):
        assert len(hashes(*of(comment, "a.py"))) >= 1


@settings(deadline=None)
@given(st.lists(st.sets(st.integers(0, 5), max_size=4), min_size=1, max_size=14), st.integers(1, 4), st.randoms())
def test_some_document_keeps_every_passage(held: list[set[int]], documents: int, rng: random.Random) -> None:
    footers = [f"Copyright number {'abcdef'[n]}, all rights reserved." for n in range(6)]
    folders = [rng.choice(["", "a", "a/b", "c"]) for _ in held]
    pages = [page(n, *(footers[each] for each in sorted(own))) for n, own in enumerate(held)]
    found = marked_in(pages, folders=folders, documents=documents)
    for number, footer in enumerate(footers):
        holders = [n for n, own in enumerate(held) if number in own]
        lost = [n for n in holders if footer in found[n]]
        assert len(lost) < len(holders) or not holders
        assert not lost or len(holders) >= documents


@settings(deadline=None)
@given(st.text(alphabet="ab# \n-*/©|1", max_size=200), st.sampled_from(["a.md", "a.txt", "a.py", "a.c"]), st.data())
def test_marking_keeps_offsets_in_order_and_loses_no_text(text: str, name: str, data: st.DataObject) -> None:
    if not text.strip():
        return
    whole, blocks = of(text, name)
    every = passages(whole, blocks)
    chosen = data.draw(st.lists(st.integers(0, len(every) - 1), unique=True)) if every else []
    after = marked(whole, blocks, sorted(chosen))
    ends = [0, *(block["end"] for block in after)]
    assert all(block["start"] >= end for block, end in zip(after, ends, strict=False))
    assert [whole[i] for b in blocks for i in range(b["start"], b["end"]) if not whole[i].isspace()] == [  # type: ignore[call-overload]
        whole[i] for b in after for i in range(b["start"], b["end"]) if not whole[i].isspace()
    ]
    assert marked(whole, blocks, []) == blocks
