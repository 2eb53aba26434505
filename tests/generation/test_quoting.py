"""Quoted answers: what comes out stands in the texts, from a word's beginning to a word's end."""

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import settings as configuration
from pipelines.errors import EngineError, SettingsError
from pipelines.generation import quoting
from pipelines.generation.engine import QuotingEngine, Span
from pipelines.generation.engines import open_engine
from pipelines.generation.models import load_causal, load_tokenizer, render
from pipelines.generation.quoting import Quoter, Spans
from pipelines.settings import Generation
from tests.generation.conftest import KNOWN, conversation

REFUSAL = "The documents do not answer this."
PIECES = {piece: number for number, piece in enumerate([*"abcdef ().,-12", " a", "ab", "cd ", "e f"])}


@pytest.fixture(scope="module")
def quoter(taught: Path) -> Quoter:
    return Quoter(load_causal(taught, "float32"), load_tokenizer(taught))


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(st.text("abcdef ().,-12\n", max_size=40), min_size=1, max_size=3),
    picks=st.lists(st.integers(0, 50), max_size=12),
)
def test_whatever_is_picked_is_the_beginning_of_a_span(texts: list[str], picks: list[int]) -> None:
    spans, said = Spans(texts, PIECES), ""
    of_number = {number: piece for piece, number in PIECES.items()}
    whole = "\n\n".join(texts)
    for pick in picks:
        following, may_end = spans.after(said)
        assert following == sorted(set(following))
        if may_end:
            assert re.search(rf"(?:^|[\s(]){re.escape(said)}(?!\w)|{re.escape(said)}$", whole) or not said[-1].isalnum()
        if not following:
            break
        said += of_number[following[pick % len(following)]]
        assert said in whole


def test_a_span_begins_and_ends_with_a_word() -> None:
    spans = Spans(["the lamp (a12) burns"], PIECES)
    assert {"a"} == {piece for piece, number in PIECES.items() if number in spans.after("(")[0]}
    assert spans.after("a1")[1] is False  # within a12
    assert spans.after("a12")[1] is True
    assert spans.after("12") == ([], False)  # no word begins there
    assert spans.after("")[1] is False


@pytest.mark.parametrize(("question", "answer"), list(KNOWN.items())[:4])
def test_a_taught_answer_is_quoted_from_where_it_stands(quoter: Quoter, question: str, answer: str) -> None:
    here = quoter.read(
        conversation(question), ["Something else entirely.", f"It is said: {answer} and no more."], refusal=REFUSAL
    )
    assert here.spans[0][0] == answer
    elsewhere = quoter.read(conversation(question), ["Something else entirely."], refusal=REFUSAL)
    assert elsewhere.spans[0][0] in "Something else entirely."
    assert elsewhere.spans[0][1] < here.spans[0][1]
    assert elsewhere.refusal - elsewhere.spans[0][1] > here.refusal - here.spans[0][1]


def test_probabilities_are_the_models_own(quoter: Quoter) -> None:
    question, answer = next(iter(KNOWN.items()))
    read = quoter.read(conversation(question), [answer], refusal=REFUSAL)
    for text, found in ((answer, dict(read.spans)[answer]), (REFUSAL, read.refusal)):
        prompt = render(quoter.tokenizer, conversation(question), generation=True)
        asked = quoter.tokenizer(prompt, add_special_tokens=False)["input_ids"]
        said = [*quoter.tokenizer(text, add_special_tokens=False)["input_ids"], quoter.end]
        with torch.no_grad():
            scores = quoter.model(torch.tensor([asked + said])).logits[0].log_softmax(-1)
        own = sum(float(scores[len(asked) - 1 + place, token]) for place, token in enumerate(said))
        assert found == pytest.approx(own, abs=0.02) or (text == answer and found > own)  # or cut into other tokens


def test_several_spans_come_out_each_once_the_likeliest_first(quoter: Quoter, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "One lamp burns, two lamps burn longer, and (three) lamps never burn at all."

    def read() -> tuple[Span, ...]:
        return quoter.read(conversation("How many lamps?"), [text], refusal=REFUSAL).spans

    monkeypatch.setattr(quoting, "WITHIN", 100.0)
    spans = read()
    assert 1 < len(spans) <= quoting.KEPT
    assert len({span for span, _ in spans}) == len(spans)
    assert list(spans) == sorted(spans, key=lambda span: -span[1])
    assert all(span in text for span, _ in spans)
    narrow = spans[0][1] - spans[1][1]
    monkeypatch.setattr(quoting, "WITHIN", narrow / 2)
    assert read() == spans[:1]


def test_texts_without_words_leave_the_refusal(quoter: Quoter) -> None:
    for texts in ([], [""], ["   \n"]):
        read = quoter.read(conversation("Anything?"), texts, refusal=REFUSAL)
        assert (read.spans, read.completion_tokens) == ((), 0)
        assert read.refusal < 0


def test_the_transformers_engine_quotes_and_refuses_what_does_not_fit(generation: Generation, state: Path) -> None:
    engine = open_engine(generation.model_copy(update={"engine": "transformers"}), adapter=None, state=state, threads=1)
    assert isinstance(engine, QuotingEngine)
    question, answer = next(iter(KNOWN.items()))
    (read,) = engine.read([conversation(question)], [[f"So: {answer}."]], refusal=REFUSAL, max_new_tokens=16)
    assert read.spans[0][0].rstrip(".") == answer.rstrip(".")
    assert read.seconds > 0 < read.prompt_tokens
    with pytest.raises(EngineError, match="Conversation 0 has"):
        engine.read([conversation("why " * 2000)], [["x"]], refusal=REFUSAL, max_new_tokens=16)


def test_engines_without_probabilities_are_refused_for_quotes() -> None:
    with pytest.raises(SettingsError, match=r"set `generation\.engine: transformers`"):
        configuration.load(overrides={"generation": {"answers": "quoted"}})
    assert configuration.load(overrides={"generation": {"answers": "quoted", "engine": "transformers"}})
