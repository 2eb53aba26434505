"""Adapter, base, index, prompts, suite -> what each system can do, with intervals: report.json, report.html.

Systems are asked one after another; answers are kept in `state/answers` as they come, so an evaluation that
was stopped goes on, and an unchanged system is never asked twice.
Invariants: `items-<system>.parquet` holds every figure's raw values; base and candidate differ by the
adapter alone. Limits: latencies depend on the machine and are reported, never part of a key.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any

from pipelines.artifacts import StageJob, write_json, write_lines
from pipelines.contracts import SCHEMA_VERSION, Answer, Comparison, Item, Measurement
from pipelines.evaluation.asking import Answerer, Asked, Finder, Put, put
from pipelines.evaluation.golden import need_rubric, put_prompts, seams
from pipelines.evaluation.items import write_items
from pipelines.evaluation.judged import judged
from pipelines.evaluation.measure import Precision, comparisons, measurements
from pipelines.evaluation.metrics import items_of, slice_of
from pipelines.evaluation.suites import Suite, load_suite
from pipelines.evaluation.systems import Description, OpenedLater, describe
from pipelines.evaluation.toxicity import toxicity

LIBRARIES = ("torch", "transformers", "peft", "openvino-genai", "lancedb", "ragas", "numpy", "scipy")


@dataclass(frozen=True)
class Opened:
    """A system ready to be asked."""

    finder: Finder
    system: Answerer
    encode: Callable[[Sequence[str]], Any]
    engine_name: Callable[[], str]
    close: Callable[[], None]


Opener = Callable[[Description], Opened]


@dataclass
class Evaluation:
    """What is gathered system by system."""

    items: dict[str, list[Item]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    systems: dict[str, dict[str, Any]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def run(job: StageJob) -> None:
    """Stage `evaluate`."""
    evaluate(job, opener(job))


def evaluate(job: StageJob, open_system: Opener) -> None:
    """Put the suite to every system and write what came of it."""
    from pipelines.evaluation.report_html import write_page

    settings = job.settings
    suite = load_suite(
        job.inputs["dataset"], job.inputs["ingest"], job.inputs.get("golden_prompts"), settings.evaluation
    )
    if suite.prompts:
        need_rubric(suite.prompts, job.inputs["rubric"])
    found = Evaluation(warnings=_cautions(suite, job))
    for description in describe(job.inputs, settings):
        _ask_system(description, suite, job, open_system, found)
    report = assemble(found, suite, job)
    for role, items in found.items.items():
        write_items(job.output / f"items-{role}.parquet", items, suite=suite.digest)
    write_lines(job.output / "answers.jsonl", found.asked)
    write_json(job.output / "report.json", report)
    write_page(report, found.asked, job.inputs["ingest"] / "quarantine.parquet", job.output / "report.html")


def opener(job: StageJob) -> Opener:
    """How systems are opened for real: index, encoder, engine, kept completions."""

    def open_system(description: Description) -> Opened:
        from pipelines.generation.room import fitting_prompt
        from pipelines.guardrails.policy import load_guardrails
        from pipelines.retrieval.answer import AnswerSystem
        from pipelines.retrieval.kept import KeptCompletions
        from pipelines.retrieval.search import Searcher

        settings, threads = description.settings, job.settings.runtime.threads
        searcher = Searcher(settings, job.state, description.index)
        engine = OpenedLater(settings.generation, adapter=description.adapter, state=job.state, threads=threads)
        kept = KeptCompletions(job.state)
        system = AnswerSystem(
            searcher,
            engine,
            fitting_prompt(description.prompt, settings, job.state),
            load_guardrails(description.guardrails),
            settings,
            identity=description.identity,
            kept=kept,
        )

        def close() -> None:
            engine.close()
            kept.close()

        return Opened(searcher, system, searcher.embedder.encode_passages, lambda: engine.name, close)

    return open_system


def _ask_system(description: Description, suite: Suite, job: StageJob, open_system: Opener, found: Evaluation) -> None:
    role, settings = description.role, description.settings
    asked = len(suite.questions)
    total = asked + (len(suite.prompts.items) if suite.prompts else 0)
    job.report(0, total, f"{role}: opening the index")
    opened = open_system(description)
    started = time.monotonic()
    try:
        came = put(
            suite,
            opened.finder,
            opened.system,
            opened.encode,
            role=role,
            shown=settings.retrieval.passages,
            k=job.settings.evaluation.retrieval_k,
            report=lambda done, _: job.report(done, total, f"{role}: answering"),
        )
        golden = put_prompts(
            suite,
            seams(
                role,
                opened.finder,
                opened.system,
                opened.encode,
                job,
                deterministic=settings.generation.engine != "openai",
                report=lambda done, _: job.report(asked + done, total, f"{role}: golden prompts"),
            ),
            found.warnings,
        )
        seconds = time.monotonic() - started
        job.report(total, total, f"{role}: ragas")
        extra = _ragas(suite, came, job, opened.encode, found.warnings)
        extra += judged(role, suite, came, job, found.warnings)
        extra += toxicity(role, suite, came, job, found.warnings)
    finally:
        opened.close()
    found.items[role] = [*came.items, *golden.items, *extra]
    found.asked += [*came.asked, *golden.asked]
    found.systems[role] = {
        "name": description.name,
        "digest": opened.system.digest,
        "engine": opened.engine_name(),
        "index": description.index.name,
        "passages": settings.retrieval.passages,
        "golden_prompts": golden.summary,
        "speed": _speed(came, golden.answers, seconds),
    }


def _speed(came: Put, prompts: Sequence[Answer], seconds: float) -> dict[str, float | None]:
    """Throughput in batches and the latency of one question at a time.

    Answers of a batch carry the batch's seconds, so each distinct value counts once.
    """
    answers = [*came.answers, *prompts]
    generating = sum({answer.seconds for answer in answers if answer.seconds > 0})
    tokens = sum(answer.completion_tokens for answer in answers)
    prompt_tokens = sum(answer.prompt_tokens for answer in answers)
    alone = sorted(came.alone_s)
    return {
        "answers": float(len(answers)),
        "wall_s": round(seconds, 2),
        "generating_s": round(generating, 2),
        "answers_per_s": round(len(answers) / generating, 3) if generating else None,
        "tokens_per_s": round(tokens / generating, 1) if generating else None,
        "prompt_tokens_per_s": round(prompt_tokens / generating, 1) if generating else None,
        "mean_prompt_tokens": round(prompt_tokens / max(1, len(answers)), 1),
        "search_ms": round(1000 * came.search_s / max(1, len(came.answers)), 1),
        "alone_median_s": round(alone[len(alone) // 2], 3) if alone else None,
        "alone_longest_s": round(alone[-1], 3) if alone else None,
        "alone_n": float(len(alone)),
    }


def _ragas(
    suite: Suite, came: Put, job: StageJob, encode: Callable[[Sequence[str]], Any], told: list[str]
) -> list[Item]:
    """Items of ragas' metrics: offline ones on answerable questions, a judge's on answers given to them."""
    from pipelines.evaluation import ragas_metrics

    answerable = [i for i, question in enumerate(suite.questions) if question.answers]
    samples = {i: _sample(suite, came, i) for i in answerable}
    rows = _rows(suite, answerable, ragas_metrics.offline([samples[i] for i in answerable]))
    judges = job.settings.evaluation.judges
    if not judges:
        return rows
    given = [i for i in answerable if came.answers[i].answered]
    result = ragas_metrics.judged([samples[i] for i in given], judges[0], encode)
    if result.failures:
        told.append(f"The judge failed on {result.failures} requests (first: {result.first_failure}).")
    return rows + _rows(suite, given, result.scores)


def _sample(suite: Suite, came: Put, i: int) -> Any:
    from pipelines.evaluation.ragas_metrics import Sample

    question = suite.questions[i]
    shown = [chunk.uri for chunk in came.shown[i]]
    return Sample(
        question=question.question,
        answer=came.answers[i].text,
        accepted=question.answers,
        contexts=tuple(came.texts[i]),
        retrieved=tuple(suite.twins.get(uri, uri) for uri in shown),
        relevant=(suite.group(question.document, ""),) if question.document else (),
    )


def _rows(suite: Suite, which: Sequence[int], scores: Mapping[str, Sequence[float | None]]) -> list[Item]:
    rows = []
    for place, i in enumerate(which):
        question = suite.questions[i]
        values = {metric: each[place] for metric, each in scores.items()}
        rows += items_of(question.id, suite.group(question.document, question.id), slice_of(question), values)
    return rows


def assemble(found: Evaluation, suite: Suite, job: StageJob) -> dict[str, Any]:
    """The report: what was asked, of whom, every figure with its interval, every difference with its own."""
    chosen = job.settings.evaluation
    precision = Precision(chosen.confidence, chosen.bootstrap_resamples, chosen.seed)
    job.report(0, 1, "computing intervals")
    measured = [m for role, items in found.items.items() for m in measurements(role, items, precision)]
    compared = [c for role in ("base", "champion") for c in _against(role, found.items, precision)]
    _few_groups(measured, found.warnings)
    return {
        "schema_version": SCHEMA_VERSION,
        "suite": {
            "digest": suite.digest,
            "answerable": sum(bool(question.answers) for question in suite.questions),
            "unanswerable": sum(not question.answers for question in suite.questions),
            "golden_prompts": len(suite.prompts.items) if suite.prompts else 0,
            "documents": len({suite.group(q.document, q.id) for q in suite.questions}),
            "synthetic": suite.synthetic,
        },
        "confidence": chosen.confidence,
        "retrieval_k": chosen.retrieval_k,
        "systems": found.systems,
        "measurements": [m.model_dump(mode="json") for m in measured],
        "comparisons": [c.model_dump(mode="json") for c in compared],
        "warnings": found.warnings,
        "environment": environment(job.settings.runtime.threads),
    }


def _against(role: str, items: Mapping[str, list[Item]], precision: Precision) -> list[Comparison]:
    return comparisons("candidate", items["candidate"], role, items[role], precision) if role in items else []


def environment(threads: int) -> dict[str, Any]:
    """Where this was measured."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": threads or os.cpu_count(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def _cautions(suite: Suite, job: StageJob) -> list[str]:
    """What a reader must know before believing the figures."""
    told = []
    if suite.synthetic:
        told.append(
            "The questions were made from the documents by rules: they are easier than people's, and figures on them "
            "compare systems but do not say how users will fare. Name a question file (files.questions)."
        )
    if not job.settings.evaluation.judges:
        told.append(
            "No judge is configured: groundedness compares words, and meaning is compared by sentence vectors. "
            "Set evaluation.judges for metrics that a language model gives."
        )
    if not any(not question.answers for question in suite.questions):
        told.append("No question is unanswerable: how often the systems answer what they cannot know is not measured.")
    if not suite.prompts:
        told.append("No golden prompts are configured (files.golden_prompts).")
    if job.settings.generation.engine == "openai":
        told.append(
            "Answers come from an upstream that serves one model: base and candidate differ only if "
            "the upstream itself serves them under different names."
        )
    return told


def _few_groups(measured: Sequence[Measurement], told: list[str]) -> None:
    groups = max((m.n_groups for m in measured if m.metric == "answer_correct"), default=0)
    if groups < 10:
        told.append(f"Only {groups} documents are asked about: intervals over so few are rough.")
