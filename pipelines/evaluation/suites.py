"""What a system is asked: golden questions, golden prompts, attacks.

Invariant: a suite's digest covers everything that is asked and expected, so figures under equal digests
compare. Questions beyond the settings' numbers are left out by a hash of their ids, never by their order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.artifacts import read_json, read_lines
from pipelines.contracts import Attack, Question, content_id
from pipelines.errors import QuestionFileError
from pipelines.evaluation.assertions import conditions
from pipelines.evaluation.suite_files import SuiteFile, load_suite_file
from pipelines.settings import Evaluation

METRICS = 1
"""Part of the digest: raise it when a metric's meaning changes, since old and new figures do not compare."""
CANARY = "{CANARY}"
"""Where an attack names the secret that the red team puts into the system prompt."""


@dataclass(frozen=True)
class Suite:
    """Everything that every system of an evaluation is asked."""

    questions: tuple[Question, ...]
    prompts: SuiteFile | None
    """The golden prompts."""
    synthetic: bool
    """Whether the questions were made from the documents by rules rather than asked by people."""
    twins: Mapping[str, str]
    """uri of a near-duplicate to the document that it repeats."""

    @property
    def digest(self) -> str:
        """Name of what is asked."""
        asked = [question.model_dump(mode="json") for question in self.questions]
        prompts = self.prompts.digest if self.prompts else None
        return content_id("suite", METRICS, asked, prompts, sorted(self.twins.items()))

    def group(self, document: str | None, otherwise: str) -> str:
        """The unit of resampling: the document, near-duplicates together; else the item itself."""
        return otherwise if document is None else self.twins.get(document, document)

    def accepted(self, document: str | None) -> frozenset[str]:
        """The document and its near-duplicates: any of them holds the answer."""
        if document is None:
            return frozenset()
        original = self.twins.get(document, document)
        return frozenset({original, *(uri for uri, of in self.twins.items() if of == original)})


def load_suite(dataset: Path, ingest: Path, prompts: Path | None, settings: Evaluation) -> Suite:
    """Golden questions (a sample of settled size), golden prompts, near-duplicates.

    Raises QuestionFileError for a malformed file or when no question is left.
    """
    questions = read_lines(dataset / "golden.jsonl", Question)
    answerable = chosen([q for q in questions if q.answers], settings.golden_answerable, settings.seed)
    unanswerable = chosen([q for q in questions if not q.answers], settings.golden_unanswerable, settings.seed)
    if not answerable:
        raise QuestionFileError(
            f"{dataset / 'golden.jsonl'} holds no answerable question. Give more questions (files.questions) or keep "
            "more documents for evaluation (dataset.golden_share)."
        )
    return Suite(
        questions=tuple(answerable + unanswerable),
        prompts=load_suite_file(prompts) if prompts else None,
        synthetic=bool(read_json(dataset / "summary.json")["golden_is_synthetic"]),
        twins=near_duplicates(ingest / "documents.parquet"),
    )


def chosen(questions: Sequence[Question], at_most: int, seed: int) -> list[Question]:
    """At most so many questions (0: all), the same ones whatever their order; kept in file order."""
    if at_most == 0 or len(questions) <= at_most:
        return list(questions)
    kept = {q.id for q in sorted(questions, key=lambda q: content_id(seed, q.id))[:at_most]}
    return [q for q in questions if q.id in kept]


def load_attacks(path: Path, *, at_most: int | None = None, canary: str) -> list[Attack]:
    """Attacks with the canary filled in, at most so many (None: all), spread over categories in turn.

    Raises QuestionFileError for a bad line, a repeated id or a condition that could never be met.
    """
    attacks = read_lines(path, Attack)
    seen: set[str] = set()
    for attack in attacks:
        if attack.id in seen:
            raise QuestionFileError(f"{path}: the id {attack.id!r} occurs twice.")
        seen.add(attack.id)
        try:
            conditions(attack)
        except QuestionFileError as exc:
            raise QuestionFileError(f"{path}: {exc}") from exc
    return [_armed(attack, canary) for attack in _spread(attacks, at_most)]


def near_duplicates(documents: Path) -> dict[str, str]:
    """uri of each near-duplicate to the document that it repeats."""
    import pyarrow.parquet as pq

    rows = pq.read_table(documents, columns=["uri", "near_duplicate_of"]).to_pylist()
    return {row["uri"]: row["near_duplicate_of"] for row in rows if row["near_duplicate_of"]}


def _spread(attacks: Sequence[Attack], at_most: int | None) -> list[Attack]:
    """The first of every category, then the second of every category, and so on."""
    rank: dict[str, int] = {}
    ordered = []
    for attack in attacks:
        rank[attack.category] = rank.get(attack.category, 0) + 1
        ordered.append((rank[attack.category], attack.category, attack))
    return [attack for _, _, attack in sorted(ordered, key=lambda row: row[:2])[:at_most]]


def _armed(attack: Attack, canary: str) -> Attack:
    """The attack with the canary in place of its marker, in prompt, passage and conditions."""
    success = tuple(
        condition.model_copy(update={"values": tuple(value.replace(CANARY, canary) for value in condition.values)})
        for condition in attack.success
    )
    return attack.model_copy(update={**said_with(attack, CANARY, canary), "success": success})


def said_with(attack: Attack, old: str, new: str) -> dict[str, Any]:
    """What an attack says, one word put for another: prompt, turns, passage."""
    passage = attack.injected_passage
    return {
        "prompt": attack.prompt.replace(old, new),
        "turns": tuple(each.model_copy(update={"content": each.content.replace(old, new)}) for each in attack.turns),
        "injected_passage": passage and passage.replace(old, new),
    }
