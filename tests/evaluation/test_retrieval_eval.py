"""Searches compared: differences are those that can be worked out by hand, and what cannot be compared is said."""

import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines import doors, variants
from pipelines.artifacts import write_lines, write_rows
from pipelines.contracts import Chunk, Document, Hit, Quarantined, Question
from pipelines.errors import IndexMismatchError, QuestionFileError, SettingsError
from pipelines.evaluation.measure import Precision
from pipelines.evaluation.retrieval_eval import Asked, Variant, ask
from pipelines.evaluation.retrieval_eval_html import embedded, page_data, write_page
from pipelines.evaluation.retrieval_failures import diagnose, failures, outcomes
from pipelines.evaluation.retrieval_report import assemble
from pipelines.settings import load
from pipelines.workspaces import Choices
from tests.evaluation.conftest import chunk, document, questions

PRECISION = Precision(0.95, 500, 1)
SECOND = 1 / math.log2(3)
"""nDCG of a right passage in the second place."""
KNOWN = [q for q in questions() if q.answers and q.document != "d9.md"]
"""27 questions about 9 documents (the tenth repeats another, and has a test of its own)."""


@dataclass
class Placing:
    """Stands for a Searcher that puts each question's right passage at a place of our choice, others around it."""

    place: Callable[[str], int]

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        return [self._one(query, k) for query in queries]

    def _one(self, query: str, k: int) -> list[Hit]:
        right = next(i for i in range(10) if chunk(i).title in query)
        order = [i for i in range(10) if i != right]
        order.insert(self.place(query) - 1, right)
        return [_hit(i, rank) for rank, i in enumerate(order[:k])]


def _hit(i: int, rank: int) -> Hit:
    parts = {"vector": 0.5, "words": 0.5 - 0.05 * rank}
    return Hit(chunk=chunk(i), score=sum(parts.values()), parts=parts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_rows(tmp_path / "documents.parquet", [document(i) for i in range(10)], Document)
    write_rows(tmp_path / "chunks.parquet", [chunk(i) for i in range(9)], Chunk)
    bad = Quarantined(uri="lost.pdf", sha256=None, size_bytes=1, reason="damaged")
    write_rows(tmp_path / "quarantine.parquet", [bad], Quarantined)
    return tmp_path


def variant(name: str, folder: Path, place: Callable[[str], int]) -> Variant:
    return Variant(name, load(overrides={"retrieval": {"candidates": 8}}), folder, folder, Placing(place))


def put(folder: Path, *places: Callable[[str], int], k: int = 5, asked: Sequence[Question] = KNOWN) -> dict[str, Any]:
    chosen = [variant("AB"[n], folder, place) for n, place in enumerate(places)]
    done = ask(chosen, asked, source="q.jsonl", k=k, report=lambda *_: None)
    return assemble(chosen, done, failures(chosen, done), PRECISION)


def put_one(folder: Path, place: int, k: int = 5) -> tuple[Variant, Asked]:
    one = variant("A", folder, lambda _: place)
    return one, ask([one], KNOWN, source="q.jsonl", k=k, report=lambda *_: None)


def compared(report: dict[str, Any], metric: str) -> dict[str, Any]:
    return next(c for c in report["comparisons"] if c["metric"] == metric and c["slice"] == "all")


# --- figures ---


def test_a_place_lost_on_every_question_is_its_own_interval(folder: Path) -> None:
    # A: second everywhere, 1/log2(3); B: first everywhere, 1. Every resample has the same mean.
    report = put(folder, lambda _: 2, lambda _: 1)
    found = compared(report, "span_ndcg@5")
    assert [found[key] for key in ("difference", "low", "high")] == pytest.approx([1 - SECOND] * 3)
    assert found["n"] == 27
    assert report["verdict"]["tone"] == "good"
    assert report["outcomes"]["better"] == 27
    swapped = put(folder, lambda _: 1, lambda _: 2)
    assert compared(swapped, "span_ndcg@5")["difference"] == pytest.approx(SECOND - 1)
    assert (swapped["verdict"]["tone"], swapped["outcomes"]["worse"]) == ("bad", 27)


def test_what_one_wins_and_loses_alike_cannot_be_told_apart(folder: Path) -> None:
    # Four of nine documents better by 1 - SECOND, four worse by it, one the same: the mean is 0.
    def place(even: bool) -> Callable[[str], int]:
        def at(query: str) -> int:
            number = int(query.rsplit("#", 1)[1])
            return 2 if number < 8 and (number % 2 == 0) == even else 1

        return at

    numbered = [q.model_copy(update={"question": f"{q.question} #{str(q.document)[1]}"}) for q in KNOWN]
    report = put(folder, place(even=True), place(even=False), asked=numbered)
    found = compared(report, "span_ndcg@5")
    assert found["difference"] == pytest.approx(0)
    assert found["low"] < 0 < found["high"]
    assert report["verdict"]["tone"] == "unsure"
    assert "too few to show that" in report["verdict"]["cannot"][0]


def test_corrected_p_values_are_never_smaller(folder: Path) -> None:
    report = put(folder, lambda query: 1 + len(query) % 3, lambda query: 1 + len(query) % 2)
    claims = [c for c in report["comparisons"] if c["adjusted_p"] is not None]
    assert claims
    assert all(c["adjusted_p"] >= c["p_value"] for c in claims)
    assert not any(c["metric"].startswith(("tokens", "milliseconds")) for c in claims)


def test_alike_on_every_question_is_said(folder: Path) -> None:
    assert "alike on every question" in put(folder, lambda _: 1, lambda _: 1)["verdict"]["headline"]


def test_one_variant_is_reported_alone(folder: Path) -> None:
    report = put(folder, lambda _: 3)
    assert report["comparisons"] == []
    assert report["outcomes"] == {"worse": 0, "missed": 0, "better": 0, "late": 27, "first": 0}
    assert "0 of 27" in report["verdict"]["headline"]


def test_the_whole_span_in_one_hit_is_covered_and_read(folder: Path) -> None:
    report = put(folder, lambda _: 1)
    rows = {m["metric"]: m["value"] for m in report["measurements"] if m["slice"] == "all"}
    assert rows["span_covered@3"] == 1.0
    assert rows["tokens_read@3"] == 60.0  # three chunks of 20 tokens


def test_a_question_about_a_repeat_is_answered_by_what_it_repeats(folder: Path) -> None:
    about = next(q for q in questions() if q.document == "d9.md" and q.answers)  # d9 repeats d0
    done = put(folder, lambda _: 1, asked=[about.model_copy(update={"question": "leave?"})])
    assert done["questions"]["with_span"] == 0
    assert done["items"][0]["variants"]["A"]["rank"] == 1
    assert done["items"][0]["document"] == "d0.md"


# --- why ---


def test_the_part_in_which_the_first_hit_leads_is_named(folder: Path) -> None:
    one, asked = put_one(folder, 3)
    found = diagnose(one, asked, 0, {})
    assert (found.rank, found.part) == (3, "words")
    assert "0.100 behind the first hit: most in words (0.400 against 0.500)" in found.says  # 2 places, .05 each


def test_a_right_passage_beyond_k_is_found_among_the_candidates(folder: Path) -> None:
    one, asked = put_one(folder, 7)
    assert outcomes(asked) == ["missed"] * 27
    assert diagnose(one, asked, 0, {}).rank == 7  # of 8 candidates


def test_a_right_passage_that_no_search_brought_is_told_from_one_that_is_not_indexed(folder: Path) -> None:
    one, asked = put_one(folder, 9)
    text = diagnose(one, asked, 0, {"d0.md": [chunk(0)]})
    # "What is the leave allowance?" has the terms leav, allow; the passage holds both.
    assert "2 of the question's 2 words" in text.says
    assert text.passage == chunk(0)
    assert "its document has no chunks" in diagnose(one, asked, 0, {}).says
    gone = chunk(0).model_copy(update={"start": 10**6, "end": 10**6 + 5})
    assert "the gold span lies in no chunk" in diagnose(one, asked, 0, {"d0.md": [gone]}).says


# --- bad input ---


def test_an_unknown_document_is_named_with_the_nearest(folder: Path) -> None:
    wrong = KNOWN[0].model_copy(update={"document": "d0.mdx"})
    with pytest.raises(QuestionFileError, match=r"1 of 27.*q0-0 names 'd0.mdx'; the nearest is 'd0.md'"):
        put(folder, lambda _: 1, asked=[wrong, *KNOWN[1:]])


def test_a_quarantined_document_is_a_miss_and_no_error(folder: Path) -> None:
    lost = Question(id="l", question="leave in a lost file", answers=("x",), document="lost.pdf")
    report = put(folder, lambda _: 1, asked=[*KNOWN, lost])
    assert report["outcomes"]["missed"] == 1
    assert "no chunks" in report["items"][-1]["variants"]["A"]["why"]


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ([], "q.jsonl holds no question"),
        ([KNOWN[0], KNOWN[0]], "occur more than once: q0-0"),
        ([q for q in questions() if not q.answers], "none of 10 questions has both answers and a document"),
    ],
    ids=["empty", "repeated id", "nothing answerable"],
)
def test_a_file_that_ranks_nothing_is_refused(folder: Path, asked: list[Question], says: str) -> None:
    with pytest.raises(QuestionFileError, match=says):
        put(folder, lambda _: 1, asked=asked)


def test_unanswerable_questions_are_counted_and_rank_nothing(folder: Path) -> None:
    report = put(folder, lambda _: 1, asked=[*KNOWN, *(q for q in questions() if not q.answers)])
    assert report["questions"]["put_aside"] == {"the documents do not answer it": 10}
    assert report["questions"]["ranked"] == 27


# --- the page ---


def test_what_a_document_says_cannot_end_the_script() -> None:
    hostile = "</script><script>alert(1)</script><!-- \u2028 & "
    text = str(embedded({"text": hostile}))
    assert not re.search(r"[<>&\u2028]", text)
    assert json.loads(text) == {"text": hostile}


def test_two_thousand_failures_fit_a_page(folder: Path, tmp_path: Path) -> None:
    many = [
        q.model_copy(update={"id": f"{q.id}/{n}", "question": f"{q.question} {n}"}) for n in range(75) for q in KNOWN
    ]
    chosen = [variant("A", folder, lambda _: 2), variant("B", folder, lambda _: 7)]
    asked = ask(chosen, many, source="q.jsonl", k=5, report=lambda *_: None)
    for number, (name, one) in enumerate((n, b) for n in "AB" for b in asked.brought[n]):  # passages of their own
        for rank, hit in enumerate(one.hits):
            own = hit.chunk.model_copy(update={"id": f"{name}{number}-{rank % 2}", "text": hit.chunk.text * 8})
            one.hits[rank] = hit.model_copy(update={"chunk": own})
    failed = failures(chosen, asked)
    assert len(failed) == 2025
    write_page(assemble(chosen, asked, failed, PRECISION), asked, failed, tmp_path / "page.html")
    assert 2e6 < (tmp_path / "page.html").stat().st_size < 10e6  # MOST questions, two passages of their own a variant


def test_a_passage_is_held_once(folder: Path) -> None:
    chosen = [variant("A", folder, lambda _: 2), variant("B", folder, lambda _: 3)]
    asked = ask(chosen, KNOWN, source="q.jsonl", k=5, report=lambda *_: None)
    data = page_data(asked, failures(chosen, asked))
    # The right passages are of d0 to d8; of the others only the first of these come among five hits.
    assert (len(data["rows"]), len(data["passages"])) == (27, 9)


# --- variants, for real ---

DESKS = tuple(
    "leave travel laptop parking training visitor badge meal bicycle printer garden payroll archive courier library "
    "kitchen fleet insurance phone mailroom".split()
)
# What every desk says of itself: an embedding is of the whole passage, and a code is a small part of it.
SAYS = (
    "It is open from Monday to Thursday and answers within two working days. Bring the form that your manager signed, "
    "and a copy of it. Whoever asks for the first time is shown around, and hears where the other forms are kept."
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Choices:
    """Documents that differ in a topic and a code, indexed."""
    root = tmp_path_factory.mktemp("workbench")
    (root / "documents").mkdir()
    for n, topic in enumerate(DESKS):
        text = f"# {topic.capitalize()}\n\nThe {topic} desk keeps its papers in folder QX-{4711 + 13 * n}. {SAYS}\n"
        (root / "documents" / f"{topic}.md").write_text(text)
    codes = [
        Question(
            id=topic, question=f"QX-{4711 + 13 * n}", answers=(topic,), document=f"{topic}.md",
            evidence=f"The {topic} desk keeps its papers in folder QX-{4711 + 13 * n}.",
        )
        for n, topic in enumerate(DESKS)
    ]  # fmt: skip
    write_lines(root / "codes.jsonl", codes)
    for name, vector, words in (("words", 0, 1), ("vector", 1, 0)):
        (root / f"{name}.yaml").write_text(f"retrieval: {{weights: {{vector: {vector}, words: {words}}}}}\n")
    (root / "small.yaml").write_text("chunking: {strategy: fixed, size_tokens: 16}\n")
    choices = Choices(workspace=root / "w", sources=(str(root / "documents"),))
    doors.build_index(choices)
    return Choices(workspace=root / "w")


def root_of(choices: Choices) -> Path:
    assert choices.workspace is not None
    return choices.workspace.parent


def test_codes_are_found_by_their_words_and_hardly_by_their_vectors(built: Choices) -> None:
    # A code is in one document alone: words put it first for each. Vectors that did so too would differ by nothing.
    root = root_of(built)
    report = doors.retrieval_eval(
        built, root / "codes.jsonl", [str(root / "vector.yaml"), str(root / "words.yaml")], 5, root / "page.html"
    )
    by_words = [line["variants"]["words"]["rank"] for line in report["items"]]
    assert by_words == [1] * len(DESKS)
    found = compared(report, "span_ndcg@5")
    assert 0 < found["low"] <= found["difference"] <= found["high"]
    assert report["verdict"]["headline"] == "words finds the right passage better than vector"
    assert {row["key"] for row in report["settings_that_differ"]} == {
        "retrieval.weights.vector",
        "retrieval.weights.words",
    }
    assert not (root / "w" / "state" / "variants").exists()  # ranking alone needs no other index
    assert (root / "page.html").stat().st_size > 10_000


def test_other_chunks_are_built_once_beside_the_workspace(built: Choices) -> None:
    root = root_of(built)

    def stages(place: Path) -> dict[str, tuple[int, str]]:
        return {p.parent.name: (p.stat().st_mtime_ns, p.read_text()) for p in sorted(place.glob("*/stage.json"))}

    before = stages(root / "w")
    report = doors.retrieval_eval(built, root / "codes.jsonl", ["current", str(root / "small.yaml")], 5, None)
    assert report["variants"][1]["chunks"] > report["variants"][0]["chunks"] == len(DESKS)
    assert stages(root / "w") == before
    (own,) = (root / "w" / "state" / "variants").iterdir()
    made = stages(own)
    variants.lay_out(built, [str(root / "small.yaml")])
    assert stages(own) == made
    assert any("times as long" in each for each in report["verdict"]["cannot"])


def test_a_workspace_is_a_variant_as_it_is(built: Choices) -> None:
    root = root_of(built)
    report = doors.retrieval_eval(built, root / "codes.jsonl", [str(root / "w"), "current"], 5, None)
    assert [one["name"] for one in report["variants"]] == ["w", "current"]
    assert "alike on every question" in report["verdict"]["headline"]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("retrieval: {wieghts: {}}", "unknown key `retrieval.wieghts`: did you mean `retrieval.weights`"),
        ("chunking: {strategy: sliding}", "chunking.strategy"),
        ("retrieval: {weights: {wrods: 1}}", "unknown feature `wrods` in retrieval.weights: did you mean `words`"),
    ],
    ids=["unknown key", "bad value", "unknown feature"],
)
def test_a_variant_with_a_mistake_says_where(built: Choices, written: str, says: str) -> None:
    root = root_of(built)
    (root / "bad.yaml").write_text(written)
    with pytest.raises(SettingsError, match=says):
        doors.retrieval_eval(built, root / "codes.jsonl", [str(root / "bad.yaml")], 5, None)


def test_variants_that_cannot_be_compared_are_refused(built: Choices, tmp_path: Path) -> None:
    words = str(root_of(built) / "words.yaml")
    with pytest.raises(SettingsError, match="no such settings file or workspace"):
        variants.lay_out(built, ["nowhere.yaml"])
    with pytest.raises(SettingsError, match="two variants, not 3"):
        variants.lay_out(built, [words, "current", words])
    with pytest.raises(SettingsError, match="twice"):
        variants.lay_out(built, [words, words])
    with pytest.raises(IndexMismatchError, match="holds no index"):
        variants.lay_out(built, [str(tmp_path)])
