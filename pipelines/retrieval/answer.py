"""Questions -> cited answers: guard, search, pack, judge, prompt, generate, guard again, cite.

The order is visible in `AnswerSystem.retrieve` and `answer`; gateway, evaluation and `groundwork ask` go through them.
Invariant: with guardrails on, an answer that stands carries a citation whose span lies in a chunk that the model was
shown; everything else is the prompt's refusal.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pipelines.contracts import Answer, Chunk, Hit, Message, content_id
from pipelines.generation.engine import Engine, QuotingEngine
from pipelines.generation.prompts import PromptTemplate
from pipelines.guardrails.grounding import support
from pipelines.guardrails.injection import screen
from pipelines.guardrails.policy import GuardrailPolicy
from pipelines.retrieval.citing import cite
from pipelines.retrieval.kept import KeptCompletions, Said, key_of
from pipelines.retrieval.packing import Passage, Retrieved, pack
from pipelines.retrieval.search import Searcher
from pipelines.retrieval.spans import choose
from pipelines.settings import Settings

UNANSWERABLE = "the documents do not answer this"
UNSUPPORTED = "not supported by the passages"
DROPPED = "unsupported sentences dropped"
"""Guardrails, as an answer names them."""
LOOKED_AT = 4
"""Hits that packing chooses from, as a multiple of the passages that are shown."""
Report = Callable[[int, int], None]


@dataclass(frozen=True)
class _Asked:
    """A question on its way."""

    question: str
    found: Retrieved
    conversation: tuple[Message, ...] = ()
    """What the model is told; nothing where retrieval or a guardrail stopped the question."""
    key: str = ""
    """The name of what it says to that."""


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
        kept: KeptCompletions | None = None,
    ) -> None:
        """`identity`: the digest of base and adapter, which the engine does not know."""
        self.searcher, self.engine, self.prompt, self.guardrails = searcher, engine, prompt, guardrails
        self.settings, self.kept = settings, kept
        encoding = settings.embedding.model_dump(mode="json", exclude={"batch_tokens", "base_url"})
        self._model = content_id(engine.name, identity, settings.generation.base_url)
        self.digest = content_id(
            searcher.digest,
            engine.name,
            identity,
            prompt.digest,
            guardrails.digest,
            settings.retrieval.model_dump(mode="json", exclude={"rewrite_prompt"}),
            encoding,
            settings.generation.max_new_tokens,
            *((settings.generation.refusal_margin, "quoted") if settings.generation.answers == "quoted" else ()),
        )

    def retrieve(self, questions: Sequence[str]) -> list[Retrieved]:
        """What the documents hold for each question, as the model is shown it."""
        stops = [self._stop(question) for question in questions]
        chosen = self.settings.retrieval
        free = [question for question, stop in zip(questions, stops, strict=True) if stop is None]
        ranked = iter(self.searcher.results(free, LOOKED_AT * chosen.passages) if free else [])
        found = []
        for stop in stops:
            if stop is not None:
                found.append(Retrieved((), stopped_by=stop))
                continue
            each = next(ranked)
            known = each.answerable is not None and each.answerable < chosen.answerable_at_least
            found.append(Retrieved(self._packed(each.hits), each.answerable, UNANSWERABLE if known else None))
        return found

    def answer(
        self,
        questions: Sequence[str],
        *,
        retrieved: Sequence[Retrieved] | None = None,
        extra_passages: Sequence[Chunk | None] | None = None,
        report: Report | None = None,
    ) -> list[Answer]:
        """Answer each question, in order; what the model says is kept batch by batch, and asked for once.

        `retrieved`: what `retrieve` gave for the same questions. `extra_passages` puts one passage before what search
        found, as if the documents held it: the question is then asked whatever retrieval thought of it.
        """
        asked = self._asked(questions, retrieved or self.retrieve(questions), extra_passages)
        put = {one.key: one for one in asked if one.conversation}
        said = self.kept.get(put) if self.kept else {}
        waiting = [one for key, one in put.items() if key not in said]
        waiting.sort(key=lambda one: [chunk.id for chunk in one.found.chunks])  # shared passages side by side
        done, size = len(asked) - len(waiting), self.settings.generation.batch_size
        for start in range(0, len(waiting), size):
            batch = waiting[start : start + size]
            made = {one.key: each for one, each in zip(batch, self._say(batch), strict=True)}
            if self.kept:
                self.kept.put(made)
            said |= made
            if report:
                report(done + start + len(batch), len(asked))
        return [self._settle(one, said[one.key]) if one.conversation else self._refused(one) for one in asked]

    def _packed(self, hits: Sequence[Hit]) -> tuple[Passage, ...]:
        """Passages of the hits, those left out that give orders to the model."""
        chosen = self.settings.retrieval
        shown = self.searcher.shown(hits) if chosen.parent_tokens else [hit.chunk for hit in hits]
        harmless = [chunk for chunk in shown if not self._orders(chunk.text)]
        return pack(harmless, passages=chosen.passages, tokens=chosen.context_tokens)

    def _asked(
        self, questions: Sequence[str], found: Sequence[Retrieved], extra: Sequence[Chunk | None] | None
    ) -> list[_Asked]:
        if extra is not None:
            found = [each if e is None else self._beside(each, e) for each, e in zip(found, extra, strict=True)]
        return [self._told(question, each) for question, each in zip(questions, found, strict=True)]

    def _told(self, question: str, found: Retrieved) -> _Asked:
        """A question with what the model is told of it."""
        if found.stopped_by:
            return _Asked(question, found)
        chosen, conversation = self.settings.generation, tuple(self.prompt.messages(found.passages, question))
        parameters: dict[str, object] = {"max_new_tokens": chosen.max_new_tokens}
        if chosen.answers == "quoted":
            parameters |= {"spans_of": [chunk.text for chunk in found.chunks], "or": self.prompt.refusal}
        return _Asked(question, found, conversation, key_of(self._model, conversation, parameters))

    def _beside(self, found: Retrieved, extra: Chunk) -> Retrieved:
        """An extra passage before what was found, in the place of the last one."""
        stop = None if found.stopped_by == UNANSWERABLE else found.stopped_by
        first = () if self._orders(extra.text) else (Passage((extra,)),)
        return replace(found, passages=(*first, *found.passages[:-1]), stopped_by=stop)

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

    def _say(self, batch: Sequence[_Asked]) -> list[Said]:
        """What the model says to each; for quoted answers the likeliest spans."""
        conversations, chosen = [one.conversation for one in batch], self.settings.generation
        most, refusal = chosen.max_new_tokens, self.prompt.refusal
        if chosen.answers != "quoted":
            return [Said(**vars(each)) for each in self.engine.generate(conversations, max_new_tokens=most)]
        assert isinstance(self.engine, QuotingEngine)  # settings.Generation refuses other engines
        texts = [[chunk.text for chunk in one.found.chunks] for one in batch]
        read = self.engine.read(conversations, texts, refusal=refusal, max_new_tokens=most)
        return [Said(**vars(each)) for each in read]

    def _words(self, one: _Asked, said: Said) -> str:
        """The model's words, or the span that answers, or the refusal where it is likelier by more than the margin."""
        if said.refusal is None:
            return said.text
        choice = choose(said.spans, said.refusal, one.question, [chunk.text for chunk in one.found.chunks])
        return self.prompt.refusal if choice.doubt > self.settings.generation.refusal_margin else choice.text

    def _settle(self, one: _Asked, completion: Said) -> Answer:
        """Output guardrails, refusal and citations."""
        said, chunks = self._words(one, completion), one.found.chunks
        completion = completion.model_copy(update={"text": said})
        if refuses(said, self.prompt.refusal):
            return self._refused(one, completion)
        if support(said, [chunk.text for chunk in chunks]) < self.guardrails.min_support:
            return self._refused(one, completion, UNSUPPORTED)
        cited = cite(said, one.question, chunks, self.guardrails)
        if not cited.text:
            return self._refused(one, completion, UNSUPPORTED).model_copy(update={"unsupported": cited.unsupported})
        return self._answer(one, completion).model_copy(
            update={
                "text": cited.text,
                "answered": True,
                "citations": cited.citations,
                "unsupported": cited.unsupported,
                "guardrail": DROPPED if cited.text != said else None,
            }
        )

    def _refused(self, one: _Asked, completion: Said | None = None, guardrail: str | None = None) -> Answer:
        stopped = guardrail or one.found.stopped_by
        return self._answer(one, completion).model_copy(update={"guardrail": stopped})

    def _answer(self, one: _Asked, completion: Said | None) -> Answer:
        """The refusal, with what the model was shown and what it cost."""
        return Answer(
            question=one.question,
            text=self.prompt.refusal,
            answered=False,
            chunk_ids=tuple(chunk.id for chunk in one.found.chunks) if completion else (),
            raw=completion.text if completion else "",
            answerable=one.found.answerable,
            prompt_tokens=completion.prompt_tokens if completion else 0,
            completion_tokens=completion.completion_tokens if completion else 0,
            seconds=completion.seconds if completion else 0.0,
        )


def refuses(text: str, refusal: str) -> bool:
    """Whether an answer is the refusal, however it is punctuated; an empty answer is one too."""
    plain = _plain(text)
    return not plain or plain.startswith(_plain(refusal))


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
