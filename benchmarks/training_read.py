"""A trained adapter -> what it answers on paragraphs that it was not trained on: token F1, right and wrong refusals.

`greedy`: the default engine, whose prefix cache reads a paragraph once for all its questions. `likeliest span`: of the
paragraph, or the refusal where that is likelier (generation/quoting.py). `quoted`: the span that retrieval/spans.py
chooses, with no margin and with the margin that the validation articles choose: the most F1 among those with at most
WRONG wrong refusals and at least RIGHT right ones there (the nearest to it where none has both).
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import say
from benchmarks.training_data import Question
from pipelines.evaluation.metrics import token_f1
from pipelines.generation.engine import Engine, Quoted
from pipelines.generation.engines.local import TransformersEngine
from pipelines.generation.engines.openvino import OpenVINOEngine
from pipelines.generation.export import merged_folder
from pipelines.generation.prompts import PromptTemplate
from pipelines.retrieval.answer import refuses
from pipelines.retrieval.spans import Choice, choose
from pipelines.settings import load

WRONG, RIGHT = 0.10, 0.80
MARGINS = tuple(number / 4 for number in range(-16, 17))
"""Nats by which the refusal may be likelier and a span is still given."""
Scored = dict[str, float]


def read_and_score(
    base: Path, adapter: Path | None, prompt: PromptTemplate, asked: dict[str, list[Question]], *, quoted: bool
) -> dict[str, Scored]:
    """Figures by way of reading. `asked`: questions of `validation` and `test`."""
    settings = load().generation
    with tempfile.TemporaryDirectory() as place:
        folder = merged_folder(base, adapter, Path(place))
        said = _greedy(OpenVINOEngine(folder, settings, threads=0), prompt, asked["test"])
        found = {"greedy": score(asked["test"], said, prompt)}
        say(f"  greedy: {found['greedy']}")
        if quoted:
            engine = TransformersEngine(folder, settings, threads=0)
            read = {name: _quoted(engine, prompt, each) for name, each in asked.items()}
            chosen = {name: _chosen(asked[name], each) for name, each in read.items()}
            margin = chosen_margin(asked["validation"], chosen["validation"], prompt)
            ways = {
                "likeliest span": (0.0, [_likeliest(one) for one in read["test"]]),
                "quoted": (0.0, chosen["test"]),
                "quoted with a margin": (margin, chosen["test"]),
            }
            for name, (used, each) in ways.items():
                said = [_said(one, used, prompt) for one in each]
                found[name] = score(asked["test"], said, prompt) | {"margin": used}
                say(f"  {name}: {found[name]}")
    return found


def chosen_margin(asked: Sequence[Question], read: Sequence[Choice], prompt: PromptTemplate) -> float:
    """The margin under which the questions go best (see above)."""

    def worth(margin: float) -> tuple[float, float]:
        got = score(asked, [_said(one, margin, prompt) for one in read], prompt)
        return -max(got["wrong_refusals"] - WRONG, 0.0) - max(RIGHT - got["right_refusals"], 0.0), got["f1"]

    return max(MARGINS, key=worth)


def score(asked: Sequence[Question], said: Sequence[str], prompt: PromptTemplate) -> Scored:
    """Token F1 over answerable questions (0 when refused), and shares of refusals."""
    refused = [refuses(text, prompt.refusal) for text in said]
    answerable = [n for n, one in enumerate(asked) if one.asked.answer is not None]
    others = [n for n, one in enumerate(asked) if one.asked.answer is None]
    f1 = [0.0 if refused[n] else token_f1(said[n], [str(asked[n].asked.answer)]) for n in answerable]
    return {
        "f1": _mean(f1),
        "right_refusals": _mean([float(refused[n]) for n in others]),
        "wrong_refusals": _mean([float(refused[n]) for n in answerable]),
    }


def _greedy(engine: Engine, prompt: PromptTemplate, asked: Sequence[Question]) -> list[str]:
    conversations = [prompt.messages([one.paragraph], one.asked.question) for one in asked]
    return [done.text for done in engine.generate(conversations, max_new_tokens=24)]


def _quoted(engine: TransformersEngine, prompt: PromptTemplate, asked: Sequence[Question]) -> list[Quoted]:
    conversations = [prompt.messages([one.paragraph], one.asked.question) for one in asked]
    texts = [[one.paragraph.text] for one in asked]
    return engine.read(conversations, texts, refusal=prompt.refusal, max_new_tokens=24)


def _chosen(asked: Sequence[Question], read: Sequence[Quoted]) -> list[Choice]:
    return [
        choose(each.spans, each.refusal, one.asked.question, [one.paragraph.text])
        for one, each in zip(asked, read, strict=True)
    ]


def _likeliest(read: Quoted) -> Choice:
    text, probability = read.spans[0]
    return Choice(text, read.refusal - probability)


def _said(one: Choice, margin: float, prompt: PromptTemplate) -> str:
    return prompt.refusal if one.doubt > margin else one.text


def _mean(values: Sequence[float]) -> float:
    return round(sum(values) / max(len(values), 1), 3)
