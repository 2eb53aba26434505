"""The arrow: the stages in order, what each reads, writes and is made of.

dvc.yaml, the CLI and the flows follow `STAGES`. Invariant: equal code, libraries, parameters and inputs
give an equal key (`key_parts`), and nothing heavy is imported to compute one.
Not covered: running a stage (runner.py), `register` (an effect: release/), schedules (flows/).
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from pipelines.artifacts import (
    STAGE_FILE,
    Digests,
    Workspace,
    sha256_file,
    sha256_of,
    version_of,
)
from pipelines.contracts import SCHEMA_VERSION
from pipelines.documents import sources
from pipelines.errors import SettingsError, SourceError
from pipelines.settings import ROOT, Settings, resolve

Report = Callable[[int, int, str], None]
SOURCES = "files.sources"
"""The setting that names more than files and folders (documents/sources/)."""


def silent(done: int, total: int, what: str) -> None:
    """A report that shows nothing."""


@dataclass(frozen=True)
class Effect:
    """Something that a stage leaves outside its folder: `module:function` each.

    `present(state, folder, settings) -> bool` is cheap; `restore(state, folder, settings)` rebuilds it from the folder.
    """

    present: str
    restore: str


@dataclass(frozen=True)
class Stage:
    """A stage as data."""

    name: str
    body: str
    """`module:function`, imported when the stage runs."""
    reads: tuple[str, ...] = ()
    """Upstream stages."""
    files: tuple[str, ...] = ()
    """Settings that name files or folders read from outside the workspace."""
    settings: tuple[str, ...] = ()
    """Settings (sections or single keys) that the result depends on."""
    modules: tuple[str, ...] = ()
    """The code that it is made of; tests/test_runner.py compares this with what it imports."""
    libraries: tuple[str, ...] = ()
    """Distributions whose versions count."""
    champion: bool = False
    """Whether it looks at the release that the candidate is compared with."""
    keeps: bool = False
    """Whether it may be given what a release holds, instead of making it."""
    effect: Effect | None = field(default=None)


_JUDGING = (
    "pipelines.evaluation.asking",
    "pipelines.evaluation.assertions",
    "pipelines.evaluation.clusters",
    "pipelines.evaluation.items",
    "pipelines.evaluation.labels",
    "pipelines.evaluation.metrics",
    "pipelines.evaluation.pages",
    "pipelines.evaluation.ranking",
    "pipelines.evaluation.report_html",
    "pipelines.evaluation.rubrics",
    "pipelines.evaluation.statistics",
    "pipelines.evaluation.suite_files",
    "pipelines.evaluation.suites",
    "pipelines.evaluation.templates",
    "pipelines.guardrails.answerwords",
    "pipelines.guardrails.claims",
    "pipelines.guardrails.groundedness",
    "pipelines.guardrails.grounding",
    "pipelines.guardrails.opposites",
    "pipelines.guardrails.passages",
    "pipelines.guardrails.wording",
    "pipelines.retrieval.packing",
)
"""Items, figures and the pages that show them."""
_ANSWERING = (
    "pipelines.evaluation.systems",
    "pipelines.generation.endpoint",
    "pipelines.generation.engine",
    "pipelines.generation.engines",
    "pipelines.generation.export",
    "pipelines.generation.models",
    "pipelines.generation.precision",
    "pipelines.generation.prompts",
    "pipelines.generation.quoting",
    "pipelines.generation.room",
    "pipelines.guardrails.injection",
    "pipelines.guardrails.policy",
    "pipelines.guardrails.signs",
    "pipelines.retrieval.answer",
    "pipelines.retrieval.answerable",
    "pipelines.retrieval.candidates",
    "pipelines.retrieval.citing",
    "pipelines.retrieval.conversation",
    "pipelines.retrieval.diversity",
    "pipelines.retrieval.embedder",
    "pipelines.retrieval.encoders",
    "pipelines.retrieval.features",
    "pipelines.retrieval.filters",
    "pipelines.retrieval.index",
    "pipelines.retrieval.index_writing",
    "pipelines.retrieval.kept",
    "pipelines.retrieval.lexicon",
    "pipelines.retrieval.parents",
    "pipelines.retrieval.rerankers",
    "pipelines.retrieval.rewriting",
    "pipelines.retrieval.search",
    "pipelines.retrieval.sentences",
    "pipelines.retrieval.spans",
    "pipelines.retrieval.terms",
    "pipelines.retrieval.variants",
)
"""Everything that shapes an answer."""

STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            name="ingest",
            body="pipelines.documents.ingest:run",
            files=(SOURCES,),
            settings=("documents",),
            modules=(
                "pipelines.documents.access",
                "pipelines.documents.boilerplate",
                "pipelines.documents.dates",
                "pipelines.documents.features",
                "pipelines.documents.ingest",
                "pipelines.documents.judging",
                "pipelines.documents.languages",
                "pipelines.documents.ledger",
                "pipelines.documents.near_duplicates",
                "pipelines.documents.parsers",
                "pipelines.documents.parsing",
                "pipelines.documents.sandbox",
                "pipelines.documents.sources",
                "pipelines.documents.tables",
                "pipelines.documents.versions",
            ),
            libraries=(
                "pypdfium2",
                "python-calamine",
                "olefile",
                "pillow",
                "lxml",
                "charset-normalizer",
                "markdown-it-py",
                "tree-sitter",
                "tree-sitter-bash",
                "tree-sitter-c",
                "tree-sitter-c-sharp",
                "tree-sitter-cpp",
                "tree-sitter-go",
                "tree-sitter-java",
                "tree-sitter-javascript",
                "tree-sitter-php",
                "tree-sitter-python",
                "tree-sitter-ruby",
                "tree-sitter-rust",
                "tree-sitter-scala",
                "tree-sitter-typescript",
                "numpy",
                "py3langid",
            ),
        ),
        Stage(
            name="chunk",
            body="pipelines.documents.chunk:run",
            reads=("ingest",),
            settings=("chunking", "embedding.model"),
            modules=(
                "pipelines.documents.chunk",
                "pipelines.documents.chunk_shards",
                "pipelines.documents.chunking",
                "pipelines.documents.tables",
            ),
            libraries=("tokenizers",),
        ),
        Stage(
            name="embed",
            body="pipelines.retrieval.embed:run",
            reads=("chunk",),
            settings=("embedding",),
            modules=(
                "pipelines.documents.tables",
                "pipelines.retrieval.embed",
                "pipelines.retrieval.embed_shards",
                "pipelines.retrieval.embedder",
                "pipelines.retrieval.encoders",
                "pipelines.retrieval.index",
                "pipelines.retrieval.index_writing",
                "pipelines.retrieval.lexicon",
                "pipelines.retrieval.terms",
                "pipelines.retrieval.vectorcache",
            ),
            libraries=("openvino", "nncf", "tokenizers", "transformers", "pystemmer", "lancedb"),
            effect=Effect("pipelines.retrieval.index:present", "pipelines.retrieval.index_writing:restore"),
        ),
        Stage(
            name="dataset",
            body="pipelines.training.dataset:run",
            reads=("ingest", "chunk", "embed"),
            files=("files.questions", "files.feedback", "files.golden_prompts", "dataset.prompt"),
            settings=("dataset", "retrieval.passages", "retrieval.rewrite", "embedding"),
            modules=(
                "pipelines.documents.access",
                "pipelines.documents.parsers.draft",
                "pipelines.documents.parsers.properties",
                "pipelines.generation.prompts",
                "pipelines.guardrails.grounding",
                "pipelines.guardrails.injection",
                "pipelines.guardrails.pii",
                "pipelines.guardrails.signs",
                "pipelines.retrieval.conversation",
                "pipelines.retrieval.embedder",
                "pipelines.retrieval.encoders",
                "pipelines.retrieval.lexicon",
                "pipelines.retrieval.terms",
                "pipelines.training.contexts",
                "pipelines.training.dataset",
                "pipelines.training.dataset_card",
                "pipelines.training.dataset_summary",
                "pipelines.training.examples",
                "pipelines.training.feedback",
                "pipelines.training.follow_ups",
                "pipelines.training.licences",
                "pipelines.training.overlap",
                "pipelines.training.phrasing",
                "pipelines.training.preferences",
                "pipelines.training.questions",
                "pipelines.training.splits",
                "pipelines.training.synthetic",
            ),
            libraries=("torch", "transformers"),
        ),
        Stage(
            name="train",
            body="pipelines.training.train:run",
            reads=("dataset",),
            settings=("training", "generation.base_model"),
            modules=(
                "pipelines.generation.models",
                "pipelines.generation.precision",
                "pipelines.training.adapter",
                "pipelines.training.attention",
                "pipelines.training.card",
                "pipelines.training.checkpoint",
                "pipelines.training.curves",
                "pipelines.training.dpo",
                "pipelines.training.fused",
                "pipelines.training.grouping",
                "pipelines.training.keeping",
                "pipelines.training.loop",
                "pipelines.training.material",
                "pipelines.training.objectives",
                "pipelines.training.optimizer",
                "pipelines.training.outputs",
                "pipelines.training.pace",
                "pipelines.training.patience",
                "pipelines.training.phases",
                "pipelines.training.pictures",
                "pipelines.training.processes",
                "pipelines.training.train",
            ),
            libraries=("torch", "transformers", "peft", "accelerate", "bitsandbytes", "datasets"),
            keeps=True,
        ),
        Stage(
            name="evaluate",
            body="pipelines.evaluation.evaluate:run",
            reads=("ingest", "chunk", "embed", "dataset", "train"),
            files=(
                "files.golden_prompts",
                "generation.prompt",
                "retrieval.rewrite_prompt",
                "policies.guardrails",
                "policies.targets",
                "evaluation.rubric",
            ),
            settings=("evaluation", "retrieval", "generation", "embedding"),
            modules=(
                *_JUDGING,
                *_ANSWERING,
                "pipelines.evaluation.calibration",
                "pipelines.evaluation.evaluate",
                "pipelines.evaluation.golden",
                "pipelines.evaluation.judge",
                "pipelines.evaluation.judged",
                "pipelines.evaluation.judging",
                "pipelines.evaluation.measure",
                "pipelines.evaluation.ragas_metrics",
                "pipelines.evaluation.toxicity",
                "pipelines.evaluation.suite_run",
            ),
            libraries=("torch", "transformers", "openvino-genai", "lancedb", "ragas", "scipy"),
            champion=True,
        ),
        Stage(
            name="redteam",
            body="pipelines.evaluation.redteam:run",
            reads=("embed", "train", "evaluate"),
            files=(
                "files.attacks",
                "redteam.regressions",
                "generation.prompt",
                "retrieval.rewrite_prompt",
                "policies.guardrails",
            ),
            settings=("redteam", "retrieval", "generation", "embedding"),
            modules=(
                *_JUDGING,
                *_ANSWERING,
                "pipelines.evaluation.attempts",
                "pipelines.evaluation.mutations",
                "pipelines.evaluation.redteam",
                "pipelines.evaluation.redteam_html",
                "pipelines.evaluation.regressions",
            ),
            libraries=("torch", "transformers", "openvino-genai", "lancedb", "scipy"),
        ),
        Stage(
            name="gate",
            body="pipelines.evaluation.gate:run",
            reads=("evaluate", "redteam"),
            files=("policies.gate", "policies.targets"),
            settings=("evaluation.seed", "evaluation.bootstrap_resamples"),
            modules=(
                *_JUDGING,
                "pipelines.evaluation.decision_html",
                "pipelines.evaluation.gate",
                "pipelines.evaluation.looks",
                "pipelines.evaluation.policy",
                "pipelines.evaluation.rules",
                "pipelines.guardrails.injection",
                "pipelines.guardrails.signs",
                "pipelines.retrieval.kept",
            ),
            libraries=("numpy", "scipy"),
            champion=True,
        ),
    )
}


METRICS = ("train/training.json",)
"""Files of stage folders whose figures `dvc exp show` lays side by side."""


@dataclass(frozen=True)
class Champion:
    """The release that a stage looks at: what names it in the stage's key, and the folder that holds its parts.

    For a stage that compares, the champion by its id; for one that keeps, what is kept by its digest.
    """

    release: str
    folder: Path


def stage_named(name: str) -> Stage:
    """The stage, or SettingsError with the names that there are."""
    if name not in STAGES:
        raise SettingsError(f"There is no stage {name!r}; stages in order: {', '.join(STAGES)}.")
    return STAGES[name]


# --- keys ------------------------------------------------------------------------------------


def parameters(stage: Stage, settings: Settings) -> dict[str, Any]:
    """The resolved settings that a stage depends on, paths left out (their content counts instead)."""
    return {name: _without_paths(_setting(settings, name)) for name in stage.settings}


def external_files(stage: Stage, settings: Settings, state: Path) -> dict[str, tuple[Path, ...]]:
    """Files and folders that a stage reads from outside the workspace, by their setting.

    What is fetched lies in `state`, or will. Raises SourceError for a source that is not there.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for name in stage.files:
        value = _setting(settings, name)
        values = () if value is None else value if isinstance(value, tuple) else (value,)
        if name == SOURCES:
            found[name] = tuple(sources.place_of(sources.locate(each), state) for each in values)
        else:
            found[name] = tuple(resolve(path) for path in values)
    return found


def key_parts(
    stage: Stage, settings: Settings, workspace: Workspace, digests: Digests, champion: Champion | None = None
) -> dict[str, Any]:
    """Everything that a stage's key is made of, as `stage.json` shows it."""
    inputs: dict[str, Any] = {}
    for upstream in stage.reads:
        inputs[upstream] = digests.tree(
            workspace.stage(upstream), but=STAGE_FILE
        )  # what it holds, not how it came about
    for name, paths in external_files(stage, settings, workspace.state).items():
        if name == SOURCES:
            inputs[name] = [_source_digest(each, workspace.state, digests) for each in settings.files.sources]
        else:
            inputs[name] = [_external_digest(name, path, digests) for path in paths]
    if stage.champion:
        inputs["champion"] = champion.release if champion else None
    if stage.keeps and champion is not None:
        inputs["kept"] = champion.release
    return {
        "stage": stage.name,
        "schema_version": SCHEMA_VERSION,
        "code": code_digest(stage.modules),
        "libraries": {name: version_of(name) for name in stage.libraries},
        "parameters": parameters(stage, settings),
        "inputs": inputs,
    }


def code_digest(modules: tuple[str, ...]) -> str:
    """Digest of the source text of modules (a package counts with all its modules)."""
    return sha256_of("\n".join(f"{_module_digest(module)}  {module}" for module in sorted(modules)).encode())


def source_files(module: str) -> list[Path]:
    """The files of a module, or of every module of a package, relative to the repository."""
    place = ROOT.joinpath(*module.split("."))
    if place.is_dir():
        return sorted(p.relative_to(ROOT) for p in place.rglob("*") if p.suffix in (".py", ".j2", ".html"))
    return [place.with_suffix(".py").relative_to(ROOT)]


@cache
def _module_digest(module: str) -> str:
    return sha256_of("".join(sha256_file(ROOT / path) for path in source_files(module)).encode())


def _source_digest(named: str, state: Path, digests: Digests) -> str:
    try:
        return sources.digest(named, state, digests)
    except OSError as exc:
        raise SourceError(f"{exc.filename or named}: not readable: {exc.strerror} (setting `{SOURCES}`).") from exc


def _external_digest(name: str, path: Path, digests: Digests) -> str:
    if not path.exists():
        raise SourceError(f"{path}: there is no such file or folder (setting `{name}`).")
    if path.is_dir() and not os.access(path, os.R_OK | os.X_OK):
        raise SourceError(f"{path}: not readable (setting `{name}`); check its permissions.")
    try:
        return digests.tree(path)
    except OSError as exc:
        raise SourceError(f"{exc.filename or path}: not readable: {exc.strerror} (setting `{name}`).") from exc


def _setting(settings: Settings, name: str) -> Any:
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _without_paths(value: Any) -> Any:
    if isinstance(value, Path):
        return None
    if isinstance(value, tuple):
        return [_without_paths(each) for each in value]
    if hasattr(value, "model_dump"):
        return {k: _without_paths(getattr(value, k)) for k in type(value).model_fields}
    return value


# --- dvc.yaml --------------------------------------------------------------------------------


def dvc_stages(settings: Settings, workspace: Path) -> dict[str, Any]:
    """The content of dvc.yaml: the same arrow, for the default workspace and the committed settings."""
    return {
        "stages": {stage.name: _dvc_stage(stage, settings, workspace) for stage in STAGES.values()},
        "metrics": [str(workspace / path) for path in METRICS],
    }


def _dvc_stage(stage: Stage, settings: Settings, workspace: Path) -> dict[str, Any]:
    state = ROOT / workspace / "state"
    files = [path for paths in external_files(stage, settings, state).values() for path in paths]
    code = sorted({str(f) for module in stage.modules for f in source_files(module)})
    return {
        "cmd": f".venv/bin/groundwork stage {stage.name}",
        "deps": [
            *[str(workspace / upstream) for upstream in stage.reads],
            *[str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path) for path in files],
            *code,
        ],
        "params": [{"configs/groundwork.yaml": list(stage.settings)}],
        "outs": [{str(workspace / stage.name): {"persist": True}}],
    }
