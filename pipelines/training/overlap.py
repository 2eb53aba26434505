"""Does training ask what evaluation will ask? Questions and passages that would leak are found and kept out.

Splits by document keep a golden document's text out of training; this looks at what two documents can share: the same
question, nearly the same question, the same passage. Two questions are nearly the same at a cosine of NEAR, or of
NEAR_WITH_WORDS where they share half of their terms, unless they name other figures or codes ("H5", "H7").
The limits come from questions on independent documents: 1,045 and 211 of the sample come no nearer than .75 (with a
fifth of their terms shared), 576 and 611 on different articles of xquad_en no nearer than .73; between paragraphs of
one article of it the real repeats have .93 and .76 (with half of their terms). A golden question put otherwise by
machine (politeness, a typing error, a word less, words in other order) is found in 92 to 100 of 100 cases.
Limits: a question in wholly other words is not found; suites that are run by hand are not known here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.contracts import Chunk, Question
from pipelines.errors import DatasetError, QuestionFileError
from pipelines.retrieval.terms import terms
from pipelines.suiterows import read_suite
from pipelines.training.contexts import Vectors, plain

NEAR = 0.9
NEAR_WITH_WORDS, WORDS = 0.75, 0.5
AT_ONCE = 1024
"""Questions compared with all held ones in one product."""
SHOWN = 5
SAME, NEARLY = "asked in evaluation too", "nearly asked in evaluation too"
PASSAGE = "its passage stands in a golden document too"
"""Reasons for which a question is left out of training."""


@dataclass(frozen=True)
class Overlap:
    """A question to train on, and the held one that it repeats."""

    asked: int
    held: int
    reason: str
    cosine: float


def overlaps(
    asked: Sequence[str], held: Sequence[str], encode: Callable[[Sequence[str]], Vectors]
) -> dict[int, Overlap]:
    """Which of `asked` repeat one of `held`, by index; the same question before a near one."""
    if not asked or not held:
        return {}
    texts = {plain(text): number for number, text in reversed(list(enumerate(held)))}
    of_held, theirs = [frozenset(terms(text)) for text in held], encode(list(held))
    ours = encode(list(asked))
    found: dict[int, Overlap] = {}
    for number, text in enumerate(asked):
        if (other := texts.get(plain(text))) is not None:
            found[number] = Overlap(number, other, SAME, 1.0)
    for start in range(0, len(asked), AT_ONCE):
        cosines = ours[start : start + AT_ONCE] @ theirs.T
        for row, other in np.argwhere(cosines >= NEAR_WITH_WORDS).tolist():
            number, cosine = start + row, float(cosines[row, other])
            if number not in found and _near(cosine, frozenset(terms(asked[number])), of_held[other]):
                found[number] = Overlap(number, other, NEARLY, round(cosine, 3))
    return dict(sorted(found.items()))


def _near(cosine: float, left: frozenset[str], right: frozenset[str]) -> bool:
    if _figures(left) != _figures(right):
        return False
    return cosine >= NEAR or len(left & right) >= WORDS * max(len(left | right), 1)


def _figures(words: frozenset[str]) -> frozenset[str]:
    return frozenset(word for word in words if any(sign.isdigit() for sign in word))


def asked_in(suite: Path) -> tuple[str, ...]:
    """What a suite file asks (docs/suites.md), in its order; whether it is a good suite is for evaluation to say.

    Raises QuestionFileError for a file whose rows cannot be read.
    """
    try:
        _, rows = read_suite(suite)
    except QuestionFileError as exc:
        raise QuestionFileError(f"{exc} (`groundwork suite check {suite}`)") from exc
    asked = [_question(row) for row in rows if isinstance(row, dict)]
    return tuple(each for each in asked if isinstance(each, str))


def _question(row: dict[str, Any]) -> Any:
    said = row.get("messages")
    last = said[-1] if isinstance(said, list) and said else None
    return last.get("content") if isinstance(last, dict) else row.get("question")


def refuse_repeats(asked: Sequence[Question], golden: Sequence[Question], source: str) -> None:
    """Raise DatasetError where a file asks the same question, with the same answer, in training and in evaluation.

    A person wrote both and can say which of them counts; leaving one out in silence would change what they measure.
    """
    answers = {plain(each.question): each for each in golden if each.answers}
    repeated = [(one, other) for one in asked if (other := answers.get(plain(one.question))) and _agree(one, other)]
    if repeated:
        named = ", ".join(f"{one.id} ({one.document}) and {two.id} ({two.document})" for one, two in repeated[:SHOWN])
        more = f" and {len(repeated) - SHOWN} more" if len(repeated) > SHOWN else ""
        raise DatasetError(
            f"{source}: {len(repeated)} questions stand with the same answer in a document to train on and in a golden "
            f"one: {named}{more}. Keep one of each; or say in the question which document is meant."
        )


def _agree(one: Question, other: Question) -> bool:
    return bool({plain(answer) for answer in one.answers} & {plain(answer) for answer in other.answers})


def repeated_passages(chunks: Sequence[Chunk], golden: Sequence[bool]) -> frozenset[int]:
    """Indices of chunks outside golden documents whose words are those of a golden document's chunk."""
    held = {plain(chunk.text) for chunk, kept in zip(chunks, golden, strict=True) if kept}
    return frozenset(
        number
        for number, (chunk, kept) in enumerate(zip(chunks, golden, strict=True))
        if not kept and plain(chunk.text) in held
    )
