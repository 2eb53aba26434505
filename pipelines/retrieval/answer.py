"""Questions -> cited answers: guard, search, prompt, generate, guard again, cite.

The order is visible in `AnswerSystem.answer`; gateway, evaluation and `groundwork ask` go through it.
Invariant: an answer that stands carries a citation whose span lies in a passage that the model was shown;
everything else is the prompt's refusal.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.contracts import Answer, Chunk, Citation, Message, content_id
from pipelines.generation.engine import Completion, Engine
from pipelines.generation.prompts import PromptTemplate
from pipelines.guardrails.grounding import support
from pipelines.guardrails.injection import screen
from pipelines.guardrails.policy import GuardrailPolicy
from pipelines.retrieval.kept import KeptAnswers, key_of
from pipelines.retrieval.search import Searcher
from pipelines.settings import Settings

SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?=\S)[^.!?\n]*)*[.!?]*\s*")
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class _Asked:
    """A question on its way: what it is shown, or the guardrail that stopped it."""

    question: str
    passages: tuple[Chunk, ...]
    stopped_by: str | None
    key: str


class AnswerSystem:
    """Everything that shapes an answer."""

    def __init__(
        self,
        searcher: Searcher,
        engine: Engine,
        prompt: PromptTemplate,
        guardrails: GuardrailPolicy,
        settings: Settings,
        *,
        identity: str,
        kept: KeptAnswers | None = None,
    ) -> None:
        """`identity`: the digest of base and adapter, which the engine does not know."""
        self.searcher, self.engine, self.prompt, self.guardrails = searcher, engine, prompt, guardrails
        self.settings, self.kept = settings, kept
        self.digest = content_id(
            searcher.digest,
            engine.name,
            identity,
            prompt.digest,
            guardrails.digest,
            settings.retrieval.model_dump(mode="json", exclude={"rewrite_prompt"}),
            settings.generation.max_new_tokens,
        )

    def answer(
        self,
        questions: Sequence[str],
        *,
        passages: Sequence[Sequence[Chunk]] | None = None,
        extra_passages: Sequence[Chunk | None] | None = None,
        report: Report | None = None,
    ) -> list[Answer]:
        """Answer each question, in order; batches are kept as they come.

        `passages` replaces search; `extra_passages` puts one passage before what search found.
        """
        asked = self._asked(questions, passages, extra_passages)
        answers = self.kept.get(one.key for one in asked) if self.kept else {}
        open_ones = [one for one in asked if one.key not in answers]
        done = len(asked) - len(open_ones)
        for one in [one for one in open_ones if one.stopped_by]:
            answers[one.key] = self._refused(one, one.stopped_by or "")
        waiting = [one for one in open_ones if not one.stopped_by]
        waiting.sort(key=lambda one: [chunk.id for chunk in one.passages])  # shared passages side by side
        size = self.settings.generation.batch_size
        for start in range(0, len(waiting), size):
            batch = waiting[start : start + size]
            made = {one.key: answer for one, answer in zip(batch, self._generate(batch), strict=True)}
            if self.kept:
                self.kept.put(made)
            answers |= made
            if report:
                report(done + start + len(batch), len(asked))
        return [answers[one.key] for one in asked]

    def _asked(
        self,
        questions: Sequence[str],
        passages: Sequence[Sequence[Chunk]] | None,
        extra: Sequence[Chunk | None] | None,
    ) -> list[_Asked]:
        stops = [self._stop(question) for question in questions]
        shown: list[tuple[Chunk, ...]] = [()] * len(questions)
        if passages is not None:
            shown = [tuple(p) for p in passages]
        else:
            free = [i for i, stop in enumerate(stops) if stop is None]
            found = self.searcher.search([questions[i] for i in free], self.settings.retrieval.passages)
            for i, hits in zip(free, found, strict=True):
                shown[i] = tuple(hit.chunk for hit in hits)
        if extra is not None:
            shown = [(e, *p[: len(p) - 1]) if e is not None else p for e, p in zip(extra, shown, strict=True)]
        shown = [tuple(p for p in each if not self._orders(p.text)) for each in shown]
        return [
            _Asked(question, each, stop, key_of(self.digest, question, [p.text for p in each]))
            for question, each, stop in zip(questions, shown, stops, strict=True)
        ]

    def _stop(self, question: str) -> str | None:
        """The input guardrail that refuses a question, or None."""
        if not question.strip():
            return "empty question"
        if len(question) > self.guardrails.max_question_chars:
            return "question too long"
        finding = screen(question) if self.guardrails.injection else None
        return f"injection: {finding.kind}" if finding else None

    def _orders(self, text: str) -> bool:
        """Whether a passage gives orders to the model and is therefore not shown."""
        return self.guardrails.injection and screen(text, "passage") is not None

    def _generate(self, batch: Sequence[_Asked]) -> list[Answer]:
        conversations: list[tuple[Message, ...]] = [self.prompt.messages(one.passages, one.question) for one in batch]
        completions = self.engine.generate(conversations, max_new_tokens=self.settings.generation.max_new_tokens)
        return [self._settle(one, completion) for one, completion in zip(batch, completions, strict=True)]

    def _settle(self, one: _Asked, completion: Completion) -> Answer:
        """Output guardrails, refusal and citations."""
        said = completion.text
        if refuses(said, self.prompt.refusal):
            return self._refused(one, None, completion)
        if support(said, [chunk.text for chunk in one.passages]) < self.guardrails.min_support:
            return self._refused(one, "not supported by the passages", completion)
        return Answer(
            question=one.question,
            text=said,
            answered=True,
            citations=cite(said, one.question, one.passages),
            chunk_ids=tuple(chunk.id for chunk in one.passages),
            raw=said,
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            seconds=completion.seconds,
        )

    def _refused(self, one: _Asked, guardrail: str | None, completion: Completion | None = None) -> Answer:
        return Answer(
            question=one.question,
            text=self.prompt.refusal,
            answered=False,
            chunk_ids=tuple(chunk.id for chunk in one.passages),
            raw=completion.text if completion else "",
            guardrail=guardrail,
            prompt_tokens=completion.prompt_tokens if completion else 0,
            completion_tokens=completion.completion_tokens if completion else 0,
            seconds=completion.seconds if completion else 0.0,
        )


def refuses(text: str, refusal: str) -> bool:
    """Whether an answer is the refusal, however it is punctuated; an empty answer is one too."""
    plain = _plain(text)
    return not plain or plain.startswith(_plain(refusal))


def cite(answer: str, question: str, passages: Sequence[Chunk]) -> tuple[Citation, ...]:
    """The sentence that supports the answer best, of the best passage; spans are in Document.text."""
    best: tuple[float, int, int, int] | None = None
    for number, chunk in enumerate(passages):
        for match in SENTENCE.finditer(chunk.text):
            score = _supports(answer, question, match.group())
            if match.group().strip() and (best is None or score > best[0]):
                best = (score, number, match.start(), match.start() + len(match.group().rstrip()))
    if best is None:
        return ()
    _, number, start, end = best
    chunk = passages[number]
    citation = Citation(
        uri=chunk.uri,
        start=chunk.start + start,
        end=chunk.start + end,
        title=chunk.title,
        heading_path=chunk.heading_path,
        page=chunk.page,
        text=chunk.text[start:end],
    )
    return (citation,)


def _supports(answer: str, question: str, sentence: str) -> float:
    """How well a sentence carries an answer: verbatim first, then its words, then the question's."""
    verbatim = float(_plain(answer) in _plain(sentence))
    return 2 * verbatim + support(answer, [sentence]) + 0.5 * support(question, [sentence])


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
