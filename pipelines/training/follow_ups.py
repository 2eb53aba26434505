"""Questions that followed others -> questions that stand alone, as serving completes them before it searches and asks.

A model is asked a follow-up as one whole question (retrieval/conversation.py), never with the turns before it; so that
is what it learns. Invariant: questions without turns are not touched.
Limits: with `retrieval.rewrite: model` the wording is that of `terms` (no model is opened here); with `none` serving
does not know what came before, so there is nothing to learn and follow-ups are left out.
"""

from collections.abc import Sequence
from typing import Literal

from pipelines.contracts import Chunk, Message, Question
from pipelines.retrieval.conversation import complete
from pipelines.retrieval.lexicon import Lexicon, empty_lexicon
from pipelines.retrieval.terms import search_text, terms

NOT_COMPLETED = "a follow-up, and retrieval.rewrite is none"


class Completer:
    """Completes follow-ups; passages' terms are counted when the first one comes."""

    def __init__(self, chunks: Sequence[Chunk], rewrite: Literal["none", "terms", "model"]) -> None:
        self.chunks, self.rewrite = chunks, rewrite
        self._lexicon: Lexicon | None = None

    def whole(self, question: str, turns: Sequence[Message]) -> str | None:
        """The question as it is searched; None for a follow-up that serving would not complete."""
        if not turns:
            return question
        if self.rewrite == "none":
            return None
        if self._lexicon is None:
            texts = (search_text(chunk.title, chunk.heading_path, chunk.text) for chunk in self.chunks)
            self._lexicon = empty_lexicon().changed(added=(terms(text) for text in texts))
        return complete(question, turns, self._lexicon)


def stand_alone(questions: Sequence[Question], completer: Completer) -> tuple[list[Question], tuple[str, ...]]:
    """Questions with follow-ups completed and their turns gone; and ids of those that cannot be."""
    kept, lost = [], []
    for question in questions:
        whole = completer.whole(question.question, question.turns)
        if whole is None:
            lost.append(question.id)
        else:
            kept.append(question.model_copy(update={"question": whole, "turns": ()}) if question.turns else question)
    return kept, tuple(lost)
