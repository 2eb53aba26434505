"""The doors for programs: search, ask, ground, parse, sources, index build, retrieval eval, gate. Lines in and out.

Rooms composed, nothing computed; each function is a verb of docs/doors.md.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from pipelines.artifacts import RUN_FILE, read_json, read_lines
from pipelines.contracts import Answer, Contract, Hit, Message, Question, Release
from pipelines.errors import QuestionFileError
from pipelines.verbs import bring_up, database, prepare_prefect, refresh_sources
from pipelines.workspaces import Choices, Opened, open_workspace, remember

if TYPE_CHECKING:
    from pipelines.retrieval.answer import AnswerSystem


INDEXING = ("ingest", "chunk", "embed")
"""The stages that build an index."""


class Query(Contract):
    """A line of `--queries`."""

    id: str
    query: str
    history: tuple[Message, ...] = ()
    """What was said before, oldest first: a follow-up is completed from it."""
    filters: dict[str, Any] = Field(default_factory=dict)
    """Laid over those of the command line (retrieval/filters.py)."""


class GroundItem(Contract):
    """A line of `--items`: an answer and the texts that it has to stand on."""

    id: str
    answer: str
    contexts: tuple[str, ...]


def queries_of(query: str | None, queries: Path | None) -> list[Query]:
    """One query given as text, or the lines of a file. Raises QuestionFileError when there is neither."""
    if query is not None and queries is None:
        return [Query(id="1", query=query)]
    if queries is not None and query is None:
        return read_lines(queries, Query)
    raise QuestionFileError("Give one question, or --queries FILE with JSON Lines of id and query.")


def keep_successes(choices: Choices, to: Path | None) -> dict[str, Any]:
    """Add the successes of the workspace's red team to its regressions, or to the file `to`."""
    from pipelines.evaluation.regressions import keep

    workspace = open_workspace(choices).workspace
    kept = keep(workspace.stage("redteam"), to or workspace.state / "redteam" / "regressions.jsonl")
    return {"regressions": str(kept.place), "added": kept.added, "known": kept.known}


def search(
    choices: Choices, query: str | None, queries: Path | None, k: int, filters: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Hits for each query, from the workspace's own index; `filters`: name=value each."""
    from pipelines.index_doors import searched_folder
    from pipelines.retrieval.filters import given_in_words, operators_filters
    from pipelines.retrieval.search import Searcher

    asked = queries_of(query, queries)
    shared = given_in_words(filters)
    chosen = [operators_filters(shared | one.filters, f"Query {one.id}") for one in asked]
    opened = open_workspace(choices)
    searcher = Searcher(opened.settings, opened.workspace.state, searched_folder(opened))
    lines = []
    for one, narrowed in zip(asked, chosen, strict=True):
        started = time.monotonic()
        found = searcher.results([one.query], k, narrowed, histories=[one.history])[0]
        milliseconds = round(1000 * (time.monotonic() - started), 2)
        lines.append(
            {
                "id": one.id,
                "searched": found.searched,
                "hits": [_hit_line(hit) for hit in found.hits],
                "answerable": found.answerable,
                "notes": found.notes,
                "milliseconds": milliseconds,
            }
        )
    return lines


def _hit_line(hit: Hit) -> dict[str, Any]:
    chunk = hit.chunk
    where = {"uri": chunk.uri, "start": chunk.start, "end": chunk.end, "heading_path": chunk.heading_path}
    return {**where, "score": hit.score, "parts": hit.parts, "text": chunk.text}


def ask(choices: Choices, question: str | None, queries: Path | None) -> list[dict[str, Any]]:
    """Answers from the release in production, else from the pending one; the notice says which."""
    from pipelines.release.listing import in_use

    asked = queries_of(question, queries)
    opened = open_workspace(choices)
    store = database(opened)
    try:
        row = in_use(store)
    finally:
        store.close()
    system = serving_system(opened, Release.model_validate(row.manifest))
    notice = None if row.state == "production" else f"from release {row.id[:12]}, which waits for approval"
    questions = system.searcher.rewritten([one.query for one in asked], [one.history for one in asked])
    answers = system.answer(questions)
    return [_answer_line(one.id, answer, row.id, notice) for one, answer in zip(asked, answers, strict=True)]


def serving_system(opened: Opened, manifest: Release) -> "AnswerSystem":
    """A release ready to answer, from the object store alone."""
    from pipelines.generation.engines import open_engine
    from pipelines.generation.prompts import load_prompt
    from pipelines.guardrails.policy import load_guardrails
    from pipelines.release.manifest import materialise, serving_settings
    from pipelines.retrieval.answer import AnswerSystem
    from pipelines.retrieval.search import Searcher

    folder = materialise(manifest, opened.workspace)
    settings = serving_settings(folder, opened.settings)
    state = opened.workspace.state
    searcher = Searcher(settings, state, folder / "index")
    engine = open_engine(settings.generation, adapter=folder / "adapter", state=state, threads=settings.runtime.threads)
    prompt = load_prompt(folder / "prompt.yaml")
    guardrails = load_guardrails(folder / "guardrails.yaml")
    return AnswerSystem(searcher, engine, prompt, guardrails, settings, identity=manifest.system)


def _answer_line(name: str, answer: Answer, release: str, notice: str | None) -> dict[str, Any]:
    return {
        "id": name,
        "question": answer.question,
        "answer": answer.text,
        "answered": answer.answered,
        "citations": [citation.model_dump(mode="json") for citation in answer.citations],
        "unsupported": [sentence.model_dump(mode="json") for sentence in answer.unsupported],
        "answerable": answer.answerable,
        "tokens": {"prompt": answer.prompt_tokens, "completion": answer.completion_tokens},
        "seconds": round(answer.seconds, 3),
        "guardrail": answer.guardrail,
        "release": release,
        "notice": notice,
    }


def build_index(choices: Choices, *, refresh: bool = True) -> dict[str, Any]:
    """Ingest, chunk and embed; what came of it and how long each took. `refresh`: remote sources first."""
    from pipelines.console import progress

    opened = open_workspace(choices)
    remember(opened)
    seconds = {}
    if refresh and (fetched := refresh_sources(opened)):
        seconds["sources"] = round(sum(each.seconds for each in fetched), 3)
    if opened.settings.runtime.runner == "local":
        for name in INDEXING:
            with progress(name) as report:
                seconds[name] = round(bring_up(name, opened, report).seconds, 3)
    else:
        seconds |= _built_in_shards(choices, opened)
    import pyarrow.parquet as pq

    def rows(stage: str, table: str) -> int:
        return int(pq.read_metadata(opened.workspace.stage(stage) / f"{table}.parquet").num_rows)

    return {
        "documents": rows("ingest", "documents"),
        "quarantined": rows("ingest", "quarantine"),
        "chunks": rows("chunk", "chunks"),
        "seconds": seconds,
    }


def _built_in_shards(choices: Choices, opened: Opened) -> dict[str, float]:
    """The same by the flow, whose runner maps shards; seconds of each stage that had something to do."""
    prepare_prefect(opened)
    from flows.lifecycle import ingest_of

    ran = ingest_of(choices)
    return {
        name: read_json(opened.workspace.stage(name) / RUN_FILE)["seconds"] if name in ran else 0.0 for name in INDEXING
    }


def retrieval_eval(choices: Choices, qa: Path, compare: list[str], k: int | None, page: Path | None) -> dict[str, Any]:
    """Variants of search on the same questions: the report. `page`: where to write it for people."""
    from pipelines import variants
    from pipelines.console import progress
    from pipelines.evaluation import retrieval_eval, retrieval_eval_html, retrieval_failures, retrieval_report
    from pipelines.evaluation.measure import Precision
    from pipelines.retrieval.search import Searcher

    questions = read_lines(qa, Question)
    laid = variants.lay_out(choices, compare)
    chosen = open_workspace(choices).settings.evaluation
    opened = []
    for each in laid:
        place = each.workspace
        finder = Searcher(each.settings, place.state, place.stage("embed"))
        folders = (place.stage("ingest"), place.stage("chunk"))
        opened.append(retrieval_eval.Variant(each.name, each.settings, *folders, finder))
    with progress("questions") as report:
        asked = retrieval_eval.ask(opened, questions, source=qa.name, k=k or chosen.retrieval_k, report=report)
        failed = retrieval_failures.failures(opened, asked)
    precision = Precision(chosen.confidence, chosen.bootstrap_resamples, chosen.seed)
    done = retrieval_report.assemble(opened, asked, failed, precision)
    if page is not None:
        retrieval_eval_html.write_page(done, asked, failed, page)
    return done


def sources(choices: Choices) -> list[dict[str, Any]]:
    """Each source: what it is, what is there of it on this machine, and when it was last asked."""
    from pipelines.documents.sources import listed, locate, refusal, snapshots

    opened = open_workspace(choices)
    state, most = opened.workspace.state, opened.settings.documents.max_bytes
    lines = []
    for location in map(locate, opened.settings.files.sources):
        line: dict[str, Any] = {"source": location.address, "kind": location.kind, "name": location.name}
        snapshot = snapshots.read(location, state) if location.remote else None
        if not location.remote or snapshots.listing_of(location, state).exists():
            files = listed(location, state)
            refused = sum(refusal(source, most) is not None for source in files if source.inside is None)
            size = sum(source.size_bytes for source in files if source.refused is None)
            line |= {"files": len(files) - refused, "refused": refused, "size_bytes": size}
        if location.remote:
            checked = snapshots.read_checked(location, state)
            line |= {"changed": snapshot and snapshot.changed, "revision": snapshot and snapshot.revision}
            line |= {"checked": checked and checked.at, "outcome": checked.outcome if checked else "not fetched yet"}
            line |= {"notes": snapshot.notes if snapshot else {}}
        lines.append(line)
    return lines


def refresh(choices: Choices) -> list[dict[str, Any]]:
    """Fetch what has changed of every remote source."""
    opened = open_workspace(choices)
    remember(opened)
    return [asdict(each) for each in refresh_sources(opened, force=True)]


def parse(paths: list[str]) -> Iterator[dict[str, Any]]:
    """A line a file."""
    from pipelines.documents.parse import parse_paths

    for parsed in parse_paths(paths):
        yield parsed.model_dump(mode="json")


def ground(items: Path) -> Iterator[dict[str, Any]]:
    """How likely the contexts of each line say its answer, claim by claim."""
    from pipelines.guardrails.groundedness import check

    for item in read_lines(items, GroundItem):
        found = check(item.answer, item.contexts)
        yield {"id": item.id, "score": found.score, "claims": [asdict(claim) for claim in found.claims]}


def gate(candidate: Path, champion: Path, policy: Path, look: int = 1) -> dict[str, Any]:
    """The decision on two item tables, as the look at this golden set that the caller counts."""
    from pipelines.evaluation.gate import decide_tables

    targets = open_workspace(Choices()).settings.policies.targets
    decision: dict[str, Any] = decide_tables(candidate, champion, policy, targets, look=look).model_dump(mode="json")
    return decision


def add_data(folder: Path) -> str:
    """Put a folder under DVC and among the sources, and bring dvc.yaml in line."""
    from pipelines import dataversion

    place = dataversion.add(folder)
    write_pipeline()
    return f"{place} is under DVC and among files.sources. Next: git add -A sources configs dvc.yaml; groundwork run"


def write_pipeline() -> None:
    """Write dvc.yaml anew."""
    from pipelines import dataversion

    dataversion.write_pipeline(open_workspace(Choices()).settings)
