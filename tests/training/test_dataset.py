"""The stage dataset on small documents: what goes where, and that nothing leaks."""

from datetime import UTC, datetime
from html import escape
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.artifacts import read_json, read_lines, sha256_tree, write_lines
from pipelines.contracts import Chunk, Example, Feedback, Message, Preference, Question
from pipelines.errors import QuestionFileError, StageError
from pipelines.retrieval.embedder import Embedder
from pipelines.settings import Settings
from pipelines.training.dataset import read_vectors, run
from pipelines.training.dataset_card import histogram, page
from pipelines.training.dataset_summary import personal_data
from pipelines.training.examples import gold_chunks, target
from tests.training.conftest import World, stage_job, write_world


@pytest.fixture(scope="module")
def upstream(world: World, tmp_path_factory: pytest.TempPathFactory, tiny_settings: Settings) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("upstream")
    inputs = write_world(world, root)
    texts = [f"{chunk.title}\n{chunk.text}" for chunk in world.chunks]
    vectors = Embedder(tiny_settings.embedding, threads=1).encode_passages(texts)
    (root / "embed").mkdir()
    ids = [chunk.id for chunk in reversed(world.chunks)]  # another order than the chunks': it must not matter
    table = pa.table({"id": ids, "vector": pa.array(vectors[::-1].tolist(), pa.list_(pa.float32()))})
    pq.write_table(table, root / "embed" / "vectors.parquet")
    return inputs | {"embed": root / "embed"}


@pytest.fixture(scope="module")
def built(upstream: dict[str, Path], tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = stage_job(tiny_settings, upstream, tmp_path_factory.mktemp("built"))
    run(job)
    return job.output


def _examples(folder: Path) -> dict[str, list[Example]]:
    return {split: read_lines(folder / f"{split}.jsonl", Example) for split in ("train", "validation")}


def test_no_text_of_a_golden_document_is_trained_on(built: Path, world: World) -> None:
    splits = read_json(built / "splits.json")
    uri_of = {chunk.id: chunk.uri for chunk in world.chunks}
    allowed = {"train": {"train"}, "validation": {"train", "validation"}}
    for split, examples in _examples(built).items():
        assert examples
        for example in examples:
            assert splits[example.document] == split
            assert {splits[uri_of[name]] for name in example.chunk_ids} <= allowed[split]
    golden = read_lines(built / "golden.jsonl", Question)
    assert golden
    assert {splits[str(question.document)] for question in golden} == {"golden"}


def test_golden_holds_questions_with_and_without_an_answer(built: Path) -> None:
    golden = read_lines(built / "golden.jsonl", Question)
    assert any(question.answers for question in golden)
    assert any(not question.answers for question in golden)
    summary = read_json(built / "summary.json")
    assert summary["origin"] == "curated"
    assert summary["golden"]["answerable"] + summary["golden"]["unanswerable"] == len(golden)
    assert summary["golden_is_synthetic"] is False


def test_the_card_counts_what_the_files_hold(built: Path) -> None:
    text = (built / "card.html").read_text(encoding="utf-8")
    rows = {split: len(examples) for split, examples in _examples(built).items()}
    rows["golden"] = len(read_lines(built / "golden.jsonl", Question))
    for split, count in rows.items():
        documents = sum(held == split for held in read_json(built / "splits.json").values())
        assert f"<tr><td>{split}</td><td>{documents}</td><td>{count}</td>" in text
    first = _examples(built)["train"][0]
    assert escape(first.messages[-1].content) in text


def test_without_feedback_there_are_no_preferences_and_the_card_says_so(built: Path) -> None:
    assert (built / "preferences.jsonl").read_bytes() == b""
    text = (built / "card.html").read_text(encoding="utf-8")
    assert "<h2>Feedback</h2>\n<p>There was none.</p>" in text
    assert read_json(built / "summary.json")["licences"] == {
        "not stated": {split: sum(held == split for held in read_json(built / "splits.json").values())
                       for split in ("golden", "train", "validation")}
    }  # fmt: skip


def test_feedback_reaches_the_sets_and_the_card(
    upstream: dict[str, Path], tiny_settings: Settings, built: Path, tmp_path: Path
) -> None:
    when = datetime(2026, 11, 2, tzinfo=UTC)
    told = {"document": "visits/kendal.md", "when": when}
    corrected = {"question": "When is the last moment to sign in?", "answer": "noon", "correction": "18:00"}
    useless = {"question": "Who sits there?", "answer": "Ann", "thumb": "down"}
    lines = [Feedback(id=str(n), **told, **each) for n, each in enumerate((corrected, useless))]  # type: ignore[arg-type]
    write_lines(tmp_path / "feedback.jsonl", lines)
    job = stage_job(tiny_settings, upstream | {"feedback": tmp_path / "feedback.jsonl"}, tmp_path)
    run(job)
    (pair,) = read_lines(job.output / "preferences.jsonl", Preference)
    assert (pair.chosen, pair.rejected) == ("18:00", "noon")
    same = [example for example in _examples(job.output)["train"] if example.messages[:-1] == pair.messages]
    assert [example.origin for example in same] == ["feedback"]
    assert (job.output / "golden.jsonl").read_bytes() == (built / "golden.jsonl").read_bytes()
    text = (job.output / "card.html").read_text(encoding="utf-8")
    assert "2 lines, 1 of them used" in text
    assert "1 (a thumb down without a correction)" in text


def test_a_card_counts_personal_data_and_shows_none_in_the_counts(built: Path) -> None:
    held = _examples(built)["train"][0]
    said = Message(role="assistant", content="Ring +44 1539 555 0140 or write to ann@x.example")
    example = held.model_copy(update={"messages": (*held.messages[:-1], said)})
    counted = personal_data({"train": [example, example]}, [], [])
    assert counted["train"] == {"passages": {}, "questions": {"email": 1, "phone": 1}}
    text = page(read_json(built / "summary.json") | {"personal_data": counted}, {"train": []}, [3])
    assert "<tr><td>train</td><td>questions and answers</td><td>1</td><td>1</td><td>0</td>" in text


def test_a_card_takes_what_was_asked_as_text(built: Path) -> None:
    hostile = _examples(built)["train"][0]
    message = Message(role="user", content="Passages\n\nQuestion: <script>alert(1)</script>")
    hostile = hostile.model_copy(update={"messages": (message, hostile.messages[-1]), "document": "<b>.md"})
    text = page(read_json(built / "summary.json"), {"train": [hostile]}, [3, 3, 9])
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "&lt;b&gt;.md" in text
    assert text.count("<rect") > 2
    assert histogram([]) == ""


def test_examples_of_a_context_share_all_but_the_question(built: Path) -> None:
    by_context: dict[tuple[str, ...], list[Example]] = {}
    for example in _examples(built)["train"]:
        by_context.setdefault(example.chunk_ids, []).append(example)
    assert any(len(shared) > 1 for shared in by_context.values())
    for shared in by_context.values():
        assert len({example.messages[1].content.split("\n\nQuestion: ")[0] for example in shared}) == 1


def test_refusals_say_the_refusal_and_answers_the_accepted_answer(built: Path, world: World) -> None:
    answers = {answer for question in world.questions for answer in question.answers}
    for example in _examples(built)["train"]:
        shown, said = example.messages[1].content, example.messages[-1].content
        if not example.answerable:
            assert said == "The documents do not answer this."
        else:  # which questions are made, and left as no repeats of people's, differs by processor
            assert said in (shown if example.origin == "synthetic" else answers)


def test_equal_input_gives_equal_bytes(
    built: Path, upstream: dict[str, Path], tiny_settings: Settings, tmp_path: Path
) -> None:
    job = stage_job(tiny_settings, upstream, tmp_path)
    run(job)
    assert sha256_tree(job.output) == sha256_tree(built)


def test_without_a_question_file_the_set_is_synthetic_and_says_so(
    upstream: dict[str, Path], tiny_settings: Settings, tmp_path: Path
) -> None:
    job = stage_job(tiny_settings, {name: p for name, p in upstream.items() if name != "questions"}, tmp_path)
    run(job)
    assert read_json(job.output / "summary.json")["golden_is_synthetic"] is True
    assert {example.origin for example in _examples(job.output)["train"]} == {"synthetic"}


def test_questions_about_other_documents_alone_are_an_error(
    upstream: dict[str, Path], tiny_settings: Settings, tmp_path: Path
) -> None:
    write_lines(tmp_path / "q.jsonl", [Question(id="1", question="Why?", answers=("so",), document="gone.md")])
    with pytest.raises(QuestionFileError, match=r"gone\.md"):
        run(stage_job(tiny_settings, upstream | {"questions": tmp_path / "q.jsonl"}, tmp_path))


def test_chunks_without_a_vector_stop_the_stage(upstream: dict[str, Path], world: World) -> None:
    strange = world.chunks[0].model_copy(update={"id": "strange"})
    with pytest.raises(StageError, match="lacks 1 of 2 chunks"):
        read_vectors(upstream["embed"] / "vectors.parquet", [world.chunks[1], strange])


def _cut(starts: list[int], text: str) -> list[Chunk]:
    base = {"document_id": "d", "uri": "d.md", "title": "D", "tokens": 1}
    ends = [*starts[1:], len(text)]
    return [
        Chunk(id=str(start), start=start, end=end, text=text[start:end], **base)
        for start, end in zip(starts, ends, strict=True)
    ]


def test_gold_is_the_chunk_that_holds_the_answer_and_both_when_a_border_cuts_it() -> None:
    text = "aaaa bbbb cccc dddd"
    asked = Question(id="1", question="?", answers=("bbbb cccc",), document="d.md", start=5, end=14)
    assert gold_chunks(asked, _cut([0, 5, 15], text)) == (1,)
    assert gold_chunks(asked, _cut([0, 10], text)) == (0, 1)
    # the span is wider than the answer: the chunk with the answer itself is enough
    wide = asked.model_copy(update={"answers": ("cccc",), "start": 0, "end": 14})
    assert gold_chunks(wide, _cut([0, 5], text)) == (1,)
    assert gold_chunks(asked.model_copy(update={"answers": ()}), _cut([0], text)) == ()


def test_the_wording_of_the_passage_is_learned_where_there_is_a_choice() -> None:
    passage = _cut([0], "within four weeks of delivery")
    asked = Question(id="1", question="?", answers=("28 days", "four weeks"), document="d.md")
    assert target(asked, passage) == "four weeks"
    assert target(asked.model_copy(update={"answers": ("28 days",)}), passage) == "28 days"
