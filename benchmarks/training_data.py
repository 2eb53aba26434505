"""Paragraphs with questions -> grounded examples to train on, and questions on paragraphs that were not trained on.

From SQuAD's layout (`--data FOLDER`: xquad_en/xquad.en.json), else the sample's question file with the passages that
its evidence stands in. Split by article (by document), so that no paragraph, and no neighbour of it, is on both sides.
A refusal is a question about another paragraph of the same article whose answer is not in the one that is shown: the
hard kind, on the same subject and with the same names.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import ROOT
from pipelines.contracts import Example, Message
from pipelines.generation.prompts import PromptTemplate
from pipelines.training.contexts import plain

SAMPLE = ROOT / "data" / "sample"
SEED = 7
UNANSWERABLE = 0.2
"""Share of the questions that the shown paragraph does not answer, in every split."""
SHARES = {"test": 0.2, "validation": 0.1}
"""Articles of each split; the others are trained on."""


@dataclass(frozen=True)
class Asked:
    """A question with the answer to learn; none: the paragraph does not answer it."""

    question: str
    answer: str | None


@dataclass(frozen=True)
class Paragraph:
    """A passage of an article, as prompts show it, with the questions that it answers."""

    article: str
    text: str
    asked: tuple[Asked, ...]
    title: str = ""
    heading_path: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """A question of the test, on its paragraph."""

    paragraph: Paragraph
    asked: Asked


Split = dict[str, list[Paragraph]]


def split(data: Path | None) -> Split:
    """Paragraphs by `train`, `validation`, `test`: whole articles, drawn by SEED."""
    paragraphs = _xquad(data / "xquad_en" / "xquad.en.json") if data else _sample()
    articles = sorted({one.article for one in paragraphs})
    random.Random(SEED).shuffle(articles)
    test = round(SHARES["test"] * len(articles))
    validation = test + max(round(SHARES["validation"] * len(articles)), 1)
    of = {name: "test" if n < test else "validation" if n < validation else "train" for n, name in enumerate(articles)}
    found: Split = {"train": [], "validation": [], "test": []}
    for one in paragraphs:
        found[of[one.article]].append(one)
    return found


def with_refusals(
    paragraphs: Sequence[Paragraph],
    rng: random.Random,
    *,
    share: float = UNANSWERABLE,
) -> list[tuple[Paragraph, list[Asked]]]:
    """Each paragraph with its questions, and refusals so that they are `share` of all."""
    by_article: dict[str, list[Paragraph]] = {}
    for one in paragraphs:
        by_article.setdefault(one.article, []).append(one)
    found = []
    for one in paragraphs:
        asked = list(one.asked)
        others = [
            other
            for neighbour in by_article[one.article]
            if neighbour is not one
            for other in neighbour.asked
            if other.answer is not None and plain(other.answer) not in plain(one.text)
        ]
        rng.shuffle(others)
        wanted = len(asked) * share / (1 - share)
        count = int(wanted) + (rng.random() < wanted - int(wanted))
        found.append((one, asked + [Asked(other.question, None) for other in others[:count]]))
    return found


def questions(paragraphs: Sequence[Paragraph], seed: int = SEED) -> list[Question]:
    """What is asked in a test: every question of the paragraphs, and refusals."""
    laid = with_refusals(paragraphs, random.Random(seed))
    return [Question(paragraph, asked) for paragraph, together in laid for asked in together]


def examples(laid: Sequence[tuple[Paragraph, Sequence[Asked]]], prompt: PromptTemplate, *, name: str) -> list[Example]:
    """Conversations to learn; those of a paragraph share everything up to the question."""
    found = []
    for number, (paragraph, together) in enumerate(laid):
        for place, asked in enumerate(together):
            said = Message(role="assistant", content=prompt.refusal if asked.answer is None else asked.answer)
            found.append(
                Example(
                    id=f"{name}-{number}-{place}",
                    messages=(*prompt.messages([paragraph], asked.question), said),
                    chunk_ids=(f"{name}-{number}",),
                    document=paragraph.article,
                    answerable=asked.answer is not None,
                    origin="curated",
                    split="validation" if name == "validation" else "train",
                    slice="paragraph",
                )
            )
    return found


def _xquad(path: Path) -> list[Paragraph]:
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    return [
        Paragraph(
            article=article["title"],
            text=paragraph["context"],
            asked=tuple(Asked(one["question"], one["answers"][0]["text"]) for one in paragraph["qas"]),
        )
        for article in articles
        for paragraph in article["paragraphs"]
    ]


def _sample() -> list[Paragraph]:
    """The sample's evidence as paragraphs: what a question's answer stands in, once, with all that ask for it."""
    lines = (SAMPLE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    asked: dict[tuple[str, str], list[Asked]] = {}
    for row in map(json.loads, lines):
        if row["answers"] and row.get("evidence"):
            asked.setdefault((row["document"], row["evidence"]), []).append(Asked(row["question"], row["answers"][0]))
    return [Paragraph(document, text, tuple(together)) for (document, text), together in asked.items()]
