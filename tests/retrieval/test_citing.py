"""Citing: every sentence has a span that is really there, or is named as unsupported."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.contracts import Chunk, strongest
from pipelines.guardrails.grounding import support
from pipelines.guardrails.policy import GuardrailPolicy
from pipelines.retrieval.citing import Cited, cite
from pipelines.retrieval.sentences import sentences
from tests.retrieval.conftest import chunk

BEFORE = "Some text that stands before the chunk. "
KENDAL = chunk("kendal.md", "Leave in Kendal is 27 days a year. Unused days expire on 31 March.")
PORTO = chunk("porto.md", "Porto has 24 working days. Five may be carried over.")


def policy(action: str = "flag", least: float = 0.6) -> GuardrailPolicy:
    fields: dict[str, Any] = {"injection": True, "min_support": least, "max_question_chars": 4000}
    return GuardrailPolicy(version=2, unsupported_sentences=action, **fields)  # type: ignore[arg-type]


def cited(said: str, *chunks: Chunk, action: str = "flag") -> Cited:
    return cite(said, "how long is leave", chunks or (KENDAL, PORTO), policy(action))


def carried(found: Cited) -> list[tuple[str, str]]:
    return [(found.text[c.answer_start : c.answer_end], c.text) for c in found.citations]


def test_a_span_counts_from_the_start_of_the_document() -> None:
    passage = chunk("a.md", "First things. Leave is 27 days.").model_copy(update={"start": 100, "end": 131})
    citation = cited("27 days", passage).citations[0]
    assert (citation.start, citation.end, citation.text) == (114, 131, "Leave is 27 days.")
    assert (citation.answer_start, citation.answer_end, citation.support) == (0, 7, 1.0)
    assert citation.chunk_id == passage.id


def test_each_sentence_has_its_own_span() -> None:
    found = cited("It is 27 days in Kendal. Five may be carried over in Porto.")
    assert carried(found) == [
        ("It is 27 days in Kendal.", "Leave in Kendal is 27 days a year."),
        ("Five may be carried over in Porto.", "Five may be carried over."),  # Porto is the document's title
    ]
    assert found.unsupported == ()


def test_a_sentence_of_two_facts_cites_both() -> None:
    found = cited("Kendal has 27 days and Porto 24.")
    assert [text for _, text in carried(found)] == ["Leave in Kendal is 27 days a year.", "Porto has 24 working days."]
    # content words: kendal, 27, days, porto, 24; the first span holds three of them, the second three others
    assert [c.support for c in found.citations] == [0.6, 0.6]
    assert strongest(found.citations) == found.citations[0]


def test_a_figure_weighs_more_than_a_word() -> None:
    passage = chunk("x.md", "Spare part caps fit the probe well. Part SP-330 costs 4.50.")
    assert carried(cited("The spare part cap is SP-330", passage))[0][1] == "Part SP-330 costs 4.50."


def test_a_whole_number_is_not_found_in_a_longer_one() -> None:
    passage = chunk("x.md", "The fee is 25 pounds. The deposit is 5 pounds.")
    assert carried(cited("5 pounds", passage)) == [("5 pounds", "The deposit is 5 pounds.")]


def test_yes_goes_with_what_follows_it() -> None:
    assert carried(cited("Yes. It is 27 days."))[0][0] == "Yes. It is 27 days."


def test_lists_are_cited_item_by_item_and_what_is_dropped_leaves_whole_lines() -> None:
    said = "- 27 days in Kendal\n- 99 days in Bergen\n- 24 working days in Porto"
    kept = cited(said)
    assert kept.text == said and [each.text for each in kept.unsupported] == ["- 99 days in Bergen"]
    dropped = cited(said, action="drop")
    assert dropped.text == "- 27 days in Kendal\n- 24 working days in Porto"
    assert [part for part, _ in carried(dropped)] == ["- 27 days in Kendal", "- 24 working days in Porto"]
    assert [(each.text, each.start, each.action) for each in dropped.unsupported] == [
        ("- 99 days in Bergen", said.index("- 99"), "dropped")
    ]


def test_when_all_is_dropped_nothing_is_left() -> None:
    found = cited("Bergen has 99 days.", action="drop")
    assert (found.text, found.citations, len(found.unsupported)) == ("", (), 1)


@pytest.mark.parametrize("action", ["keep", "flag"])
def test_kept_sentences_change_nothing_of_the_text(action: str) -> None:
    said = "  It is 27 days.\n\nBergen has 99 days. "
    assert cited(said, action=action).text == said


WORDS = ["Kendal", "Porto", "27", "days", "leave", "is", "the", "Bergen", "99", "Yes", "31 March", "e.g. 1.5", "日"]
ENDS = [". ", "! ", "\n", "\n- ", "。", ", ", " ", "\n\n", "```\n"]
TEXT = st.one_of(
    st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(ENDS)), max_size=14).map(
        lambda pairs: "".join(word + end for word, end in pairs)
    ),
    st.text(max_size=60),
)


@given(TEXT, st.lists(TEXT, min_size=1, max_size=3), st.sampled_from(["keep", "flag", "drop"]), st.floats(0, 1))
@example("Kendal. Porto。Kendal. ", ["Kendal. "], "drop", 0.0)
def test_spans_are_there_and_every_sentence_is_cited_or_listed(
    said: str, texts: list[str], action: str, least: float
) -> None:
    documents = {f"{number}.md": BEFORE + text for number, text in enumerate(texts)}
    chunks = [
        chunk(uri, text[len(BEFORE) :]).model_copy(update={"start": len(BEFORE), "end": len(text)})
        for uri, text in documents.items()
    ]
    found = cite(said, "how long is leave", chunks, policy(action, least))
    inside = {c.id: c for c in chunks}
    for citation in found.citations:
        held = inside[citation.chunk_id]
        assert held.start <= citation.start < citation.end <= held.end
        assert documents[citation.uri][citation.start : citation.end] == citation.text
        assert citation.support is not None and 0 < citation.support <= 1
    for each in found.unsupported:
        assert said[each.start : each.end] == each.text
    covered = [found.text[c.answer_start : c.answer_end] for c in found.citations]
    listed = [each.text for each in found.unsupported]
    for start, end in sentences(said):
        assert any(said[start:end] in part for part in [*covered, *listed])
    if action != "drop":
        assert found.text == said
    if action == "drop" and found.text and found.unsupported:
        bare = list(found.text)
        for citation in found.citations:
            bare[citation.answer_start : citation.answer_end] = " " * len(
                found.text[citation.answer_start : citation.answer_end]
            )
        assert not "".join(bare).strip()
        assert "Kendal.Kendal" not in found.text or "Kendal.Kendal" in said  # nothing runs together
    if least > 0 and support(said, texts) >= least:
        assert found.citations  # what is supported as a whole has a supported sentence
