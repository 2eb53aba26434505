"""Pairs of answers -> preferences: what DPO learns from, in the words of the examples.

Invariant: a preference's messages are those of an example on the same passages with the same question, without its
answer; a preference carries the split of its document. Limits: one context a pair.
"""

from collections.abc import Iterable, Mapping, Sequence

from pipelines.contracts import Chunk, Example, Message, Preference, Question, Split, content_id
from pipelines.generation.prompts import PromptTemplate
from pipelines.training.contexts import plain
from pipelines.training.feedback import Pair

NOT_SHOWN = "no example asks its question"
AGAINST = "it contradicts the question file"


def preferences(
    pairs: Sequence[Pair],
    examples: Iterable[Example],
    asked: Mapping[str, Question],
    chunks: Sequence[Chunk],
    prompt: PromptTemplate,
) -> tuple[list[Preference], dict[str, str]]:
    """A preference a pair; and the lines of pairs that became none, with the reason.

    `asked`: the question that each example answers, by the example's id.
    """
    contexts: dict[str, Example] = {}
    for example in examples:
        if example.answerable:
            contexts.setdefault(plain(asked[example.id].question), example)
    of_id = {chunk.id: chunk for chunk in chunks}
    made: dict[str, Preference] = {}
    lost: dict[str, str] = {}
    for pair in pairs:
        context = contexts.get(plain(pair.question))
        if pair.shown:
            passages = [of_id[name] for name in pair.shown]
            messages = prompt.messages(passages, pair.question)
            one = _preference(pair, messages, pair.shown, pair.document, "train")
        elif context is None:
            lost[pair.line] = NOT_SHOWN
            continue
        elif not _agrees(pair.chosen, asked[context.id]):
            lost[pair.line] = AGAINST
            continue
        else:
            one = _preference(pair, context.messages[:-1], context.chunk_ids, context.document, context.split)
        made.setdefault(one.id, one)
    return sorted(made.values(), key=lambda one: (one.split, one.id)), lost


def _agrees(chosen: str, question: Question) -> bool:
    """Whether an answer says what is accepted, in more or fewer words."""
    words = plain(chosen)
    return any(plain(answer) in words or words in plain(answer) for answer in question.answers)


def _preference(
    pair: Pair, messages: Sequence[Message], chunk_ids: tuple[str, ...], document: str, split: Split
) -> Preference:
    told = [message.model_dump(mode="json") for message in messages]
    return Preference(
        id=content_id("preference", told, pair.chosen, pair.rejected),
        messages=tuple(messages),
        chosen=pair.chosen,
        rejected=pair.rejected,
        chunk_ids=chunk_ids,
        document=document,
        origin="feedback",
        split=split,
        slice="feedback",
    )
