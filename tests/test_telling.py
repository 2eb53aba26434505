"""Answers and hits as a person at a terminal reads them."""

from typing import Any

import pytest

from pipelines.telling import show_hits, told_answer


def citation(start: int, end: int | None, text: str) -> dict[str, Any]:
    return {
        "uri": "a.md", "start": 0, "end": len(text), "heading_path": ["Leave"], "page": None, "text": text,
        "answer_start": start, "answer_end": end,
    }  # fmt: skip


def test_an_answer_has_a_number_where_a_citation_carries_it() -> None:
    said = "It is 27 days. Ask Ana. They expire."
    first, both = citation(0, 14, "27 days."), [citation(24, 36, "Unused days expire."), citation(24, 36, "In March.")]
    line = {
        "answer": said, "citations": [first, *both], "notice": None,
        "unsupported": [{"text": "Ask Ana.", "action": "flagged"}],
    }  # fmt: skip
    assert told_answer(line).splitlines() == [
        "It is 27 days. [1] Ask Ana. They expire. [2] [3]",
        "  [1] a.md, Leave, characters 0-8: 27 days.",
        "  [2] a.md, Leave, characters 0-19: Unused days expire.",
        "  [3] a.md, Leave, characters 0-9: In March.",
        "  (not in the documents: Ask Ana.)",
    ]


def test_an_answer_stored_before_is_cited_as_a_whole() -> None:
    line = {"answer": "27 days", "citations": [citation(0, None, "27 days.")], "unsupported": []}
    assert told_answer(line).splitlines()[0] == "27 days [1]"


def test_hits_come_with_how_likely_the_documents_answer(capsys: pytest.CaptureFixture[str]) -> None:
    hit = {"score": 0.5, "parts": {"words": 0.5}, "uri": "a.md", "start": 0, "end": 3, "text": "abc"}
    line = {"hits": [{**hit, "heading_path": []}], "answerable": 0.912, "searched": ["abc"], "notes": []}
    show_hits({**line, "milliseconds": 1.0}, "abc")
    assert "a probability of 0.91" in " ".join(capsys.readouterr().out.split())
    show_hits({**line, "hits": [], "answerable": None, "milliseconds": 1.0}, "abc")
    assert capsys.readouterr().out.split() == ["No", "hits."]
