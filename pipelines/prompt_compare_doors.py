"""The door of comparing prompts: the same questions under each, everything else as the workspace has it.

Answers are kept, so that the next comparison costs nothing. Nothing is trained, registered or decided. Rooms composed,
nothing computed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import STAGE_FILE, StageJob, read_lines
from pipelines.console import Report, progress, say
from pipelines.contracts import Question
from pipelines.errors import QuestionFileError, SettingsError, SourceError
from pipelines.evaluation import prompt_compare
from pipelines.evaluation.measure import Precision
from pipelines.evaluation.prompt_compare import Put, Said, Tried
from pipelines.generation.prompts import PromptTemplate
from pipelines.prompt_doors import load
from pipelines.settings import resolve
from pipelines.suite_doors import job_of
from pipelines.workspaces import Choices, Opened, open_workspace

if TYPE_CHECKING:
    from pipelines.evaluation.suite_files import SuiteFile
    from pipelines.evaluation.suite_run import Asked
    from pipelines.evaluation.suites import Suite
    from pipelines.evaluation.systems import OpenedLater
    from pipelines.retrieval.answer import AnswerSystem

MOST = 6
"""Prompts at once: fifteen pairs."""


@dataclass(frozen=True)
class Named:
    """A prompt under the name that the comparison shows."""

    name: str
    file: Path
    prompt: PromptTemplate


@dataclass(frozen=True)
class Bench:
    """What all prompts share: index, engine, guardrails, kept completions, and a system for each prompt."""

    systems: dict[str, "AnswerSystem"]
    engine: "OpenedLater"
    description: Any
    precision: Precision
    report: Report


def compare(
    choices: Choices,
    files: Sequence[Path],
    *,
    suite: Path | None = None,
    questions: Path | None = None,
    base: bool = False,
    html: Path | None = None,
) -> dict[str, Any]:
    """The same questions under each prompt, compared in pairs.

    `suite`: a suite file; `questions`: a question file; neither: the workspace's golden questions. `base`: the base
    model answers in place of the candidate. `html`: where the page goes.
    """
    if suite and questions:
        raise SettingsError("Give one of --suite and --questions.")
    opened = open_workspace(choices)
    named = told_apart(files)
    with progress("prompts") as report:
        job = job_of(opened, report, base=base)
        asked = _questions(opened, suite, questions)
        bench = _bench(opened, named, job, base=base)
        try:
            tried, put, fresh = _put(asked, bench, job)
        finally:
            bench.engine.close()
            next(iter(bench.systems.values())).kept.close()  # type: ignore[union-attr]
    found = _report(opened, named, bench, asked, (tried, put, fresh), named_as=suite or questions)
    if html:
        from pipelines.evaluation.prompt_page import write_page

        write_page(found, html)
    return found


def told_apart(files: Sequence[Path]) -> list[Named]:
    """The prompts by names that differ. Raises SettingsError for fewer than two, too many, or one text twice."""
    if not 2 <= len(files) <= MOST:
        raise SettingsError(f"Compare two to {MOST} prompt files; {len(files)} were given.")
    prompts = [(file, load(file)) for file in files]
    names = told_shortly(files)
    found: list[Named] = []
    for name, (file, prompt) in zip(names, prompts, strict=True):
        same = next((each for each in found if each.prompt.digest == prompt.digest), None)
        if same is not None:
            raise SettingsError(
                f"{same.file} and {file} hold the same prompt ({prompt.digest[:12]}): nothing to compare."
            )
        found.append(Named(name, file, prompt))
    return found


def told_shortly(files: Sequence[Path]) -> list[str]:
    """Each file by its stem, with as many folders before it as tell all of them apart."""
    bare = [file.absolute().with_suffix("").parts for file in files]
    for count in range(1, max(map(len, bare)) + 1):
        names = ["/".join(parts[-count:]) for parts in bare]
        if len(set(names)) == len(names):
            return names
    return [str(file) for file in files]  # one file twice: what follows says so


def _questions(opened: Opened, suite: Path | None, questions: Path | None) -> "Suite | SuiteFile":
    """What is asked: a suite file, a question file, or the golden questions that the gate decides on."""
    from pipelines.evaluation.suite_files import load_suite_file
    from pipelines.evaluation.suites import Suite, load_suite, near_duplicates

    if suite:
        return load_suite_file(suite)
    workspace, files = opened.workspace, opened.settings.files
    if questions is None:
        if not (workspace.stage("dataset") / STAGE_FILE).exists():
            raise SourceError(
                f"{workspace.stage('dataset')} is not there: prompts are compared over the workspace's golden "
                "questions. Run `groundwork stage dataset`, or name a file (--questions, --suite)."
            )
        golden_prompts = resolve(files.golden_prompts) if files.golden_prompts else None
        stages = workspace.stage("dataset"), workspace.stage("ingest")
        return load_suite(*stages, golden_prompts, opened.settings.evaluation)
    rows = read_lines(questions, Question)
    ids = [row.id for row in rows]
    if not rows:
        raise QuestionFileError(f"{questions}: it holds no question.")
    if len(set(ids)) < len(ids):
        raise QuestionFileError(f"{questions}: the id {next(i for i in ids if ids.count(i) > 1)!r} occurs twice.")
    twins = near_duplicates(workspace.stage("ingest") / "documents.parquet")
    return Suite(tuple(rows), None, synthetic=False, twins=twins)


def _bench(opened: Opened, named: Sequence[Named], job: StageJob, *, base: bool) -> Bench:
    """A system for each prompt over one index and one engine."""
    from pipelines.evaluation.systems import OpenedLater, describe
    from pipelines.generation.room import fitting_prompt
    from pipelines.guardrails.policy import load_guardrails
    from pipelines.retrieval.answer import AnswerSystem
    from pipelines.retrieval.kept import KeptCompletions
    from pipelines.retrieval.search import Searcher

    settings, state = opened.settings, job.state
    for each in named:
        fitting_prompt(each.file.absolute(), settings, state)
    role = "base" if base else "candidate"
    description = next(each for each in describe(job.inputs, settings) if each.role == role)
    searcher = Searcher(settings, state, description.index)
    threads = settings.runtime.threads
    engine = OpenedLater(settings.generation, adapter=description.adapter, state=state, threads=threads)
    kept, guardrails, identity = KeptCompletions(state), load_guardrails(description.guardrails), description.identity
    chosen = settings.evaluation
    return Bench(
        systems={
            each.name: AnswerSystem(searcher, engine, each.prompt, guardrails, settings, identity=identity, kept=kept)
            for each in named
        },
        engine=engine,
        description=description,
        precision=Precision(chosen.confidence, chosen.bootstrap_resamples, chosen.seed),
        report=job.report,
    )


Came = tuple[list[Tried], list[Put], dict[str, int]]


def _put(asked: "Suite | SuiteFile", bench: Bench, job: StageJob) -> Came:
    """Ask everything under every prompt; what was asked, and how many answers each prompt had to be given."""
    from pipelines.evaluation.suites import Suite

    tried, fresh = [], {}
    put: list[Put] = []
    for name, system in bench.systems.items():
        before = bench.engine.asked
        if isinstance(asked, Suite):
            one, put = _put_questions(name, system, asked, bench, job)
        else:
            one, put = _put_suite(name, system, asked, bench, job)
        tried.append(one)
        fresh[name] = bench.engine.asked - before
    return tried, put, fresh


def _running(name: str, system: "AnswerSystem", bench: Bench, job: StageJob) -> "Asked":
    """A prompt's system as a suite asks it."""
    from pipelines.evaluation.golden import seams

    return seams(
        name,
        system.searcher,
        system,
        system.searcher.embedder.encode_passages,
        job,
        deterministic=job.settings.generation.engine != "openai",
        report=lambda done, total: bench.report(done, total, f"{name}: answering"),
    )


def _put_questions(
    name: str, system: "AnswerSystem", suite: "Suite", bench: Bench, job: StageJob
) -> tuple[Tried, list[Put]]:
    from pipelines.evaluation.asking import put
    from pipelines.evaluation.golden import put_prompts

    settings = job.settings
    came = put(
        suite,
        system.searcher,
        system,
        system.searcher.embedder.encode_passages,
        role=name,
        shown=settings.retrieval.passages,
        k=settings.evaluation.retrieval_k,
        report=lambda done, total: bench.report(done, total, f"{name}: answering"),
    )
    undecided: list[str] = []
    golden = put_prompts(suite, _running(name, system, bench, job), undecided)
    for each in undecided:
        say(f"Warning: {each}")
    groups = [(q.id, suite.group(q.document, q.id), q.slice) for q in suite.questions]
    asked = [*came.asked, *golden.asked]
    said = {
        row.id: Said(text=row.answer, right=row.correct, wrong=row.wrong, raw=row.raw if row.guardrail else "")
        for row in asked
    }
    rows = [
        Put(id=row.id, question=row.question, slice=row.slice, expected=row.gold, document=row.document)
        for row in asked
    ]
    tokens = prompt_compare.token_items(came.answers, groups)
    return Tried(name, [*came.items, *golden.items, *tokens], said), rows


def _put_suite(
    name: str, system: "AnswerSystem", suite: "SuiteFile", bench: Bench, job: StageJob
) -> tuple[Tried, list[Put]]:
    from pipelines.evaluation.asking import alone, latencies
    from pipelines.evaluation.golden import stated
    from pipelines.evaluation.suite_run import put_suite

    alone_s = alone([item.asked for item in suite.items if not item.history], system)
    ran = put_suite(suite, _running(name, system, bench, job))
    first = {row.item.id: row for row in ran.rows if row.result.repeat == 0}
    groups = [(item.id, item.document or item.id, item.slice) for item in suite.items]
    tokens = prompt_compare.token_items([first[item.id].given.answer for item in suite.items], groups)
    right = {"passed": True, "failed": False, "undecided": None}
    said = {
        item: Said(
            text=row.given.answer.text,
            right=right[row.result.outcome],
            wrong=tuple(f"{c.kind}: {c.why or c.outcome}" for c in row.result.checks if c.outcome != "passed"),
            raw=row.given.answer.raw if row.given.answer.guardrail else "",
        )
        for item, row in first.items()
    }
    rows = [
        Put(
            id=item.id,
            question=item.asked,
            slice=item.slice,
            expected=tuple(stated(each.kind, each.argument) for each in item.asserts),
            document=item.document,
        )
        for item in suite.items
    ]
    return Tried(name, [*ran.table(), *tokens, *latencies(alone_s)], said), rows


def _report(
    opened: Opened, named: Sequence[Named], bench: Bench, asked: Any, came: Came, *, named_as: Path | None
) -> dict[str, Any]:
    """The comparison as one plain object."""
    tried, put, fresh = came
    rows = prompt_compare.compared(tried, bench.precision)
    primary = prompt_compare.primary_of(tried)
    deciding = [row for row in rows if row.metric == primary]
    return {
        "prompts": [
            {
                "name": each.name,
                "file": str(each.file),
                "title": each.prompt.name,
                "version": each.prompt.version,
                "digest": each.prompt.digest,
                "examples": len(each.prompt.examples),
                "system": bench.systems[each.name].digest,
                "asked_anew": fresh[each.name],
            }
            for each in named
        ],
        "questions": {
            "file": str(named_as) if named_as else None,
            "digest": asked.digest,
            "items": len(put),
            "documents": max((row.n_groups for row in deciding), default=0),
        },
        "with": {
            "system": bench.description.name,
            "engine": bench.engine.name,
            "index": str(bench.description.index),
            "guardrails": str(bench.description.guardrails),
        },
        "confidence": bench.precision.confidence,
        "primary": primary,
        "verdicts": [
            {"first": row.first, "second": row.second, "verdict": row.verdict, **prompt_compare.headline(row)}
            for row in deciding
        ],
        "figures": prompt_compare.figures(tried, bench.precision),
        "comparisons": [row.model_dump(mode="json") for row in rows],
        "cautions": prompt_compare.cautions(deciding, golden=named_as is None, prompts=len(named)),
        "texts": [_diff(named[0], other) for other in named[1:]],
        "differing": prompt_compare.differing(tried, put),
    }


def _diff(first: Named, second: Named) -> dict[str, Any]:
    """Two prompt files, line by line."""
    before, after = (each.file.read_text(encoding="utf-8").splitlines() for each in (first, second))
    lines = list(unified_diff(before, after, str(first.file), str(second.file), lineterm="", n=2))
    return {"first": first.name, "second": second.name, "lines": lines}
