"""Typed configuration: the only reader of configuration files and of the environment.

Order: configs/groundwork.yaml (every knob) < configs/profiles/NAME.yaml < the workspace's own
settings < `--config FILE`. Values live in YAML, types here; there is no default in code, so a knob
that is missing in YAML is an error too. All errors of a file are reported at once.
The environment holds secrets (`GROUNDWORK_*_API_KEY`) and the actor (`GROUNDWORK_ACTOR`), nothing else.
"""

import difflib
import getpass
import os
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from pipelines.errors import SettingsError

ROOT = Path(__file__).resolve().parents[1]
"""The repository: relative paths in settings are relative to it."""
DEFAULTS = ROOT / "configs" / "groundwork.yaml"
PROFILES = ROOT / "configs" / "profiles"


class Model(BaseModel):
    """A section of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


class Archives(Model):
    """What opening one archive may cost, archives inside it included: in the key of stage `ingest`."""

    total_bytes: int = Field(gt=0)
    """Unpacked; an archive that passes this, or one of the next two, goes to quarantine as a whole."""
    members: int = Field(gt=0)
    ratio: float = Field(gt=1)
    """Unpacked bytes for each packed one, above 16 MiB."""
    depth: int = Field(ge=1)
    """1: archives in archives stay closed."""
    timeout_s: float = Field(gt=0)


LABEL = r"[\w.:@/-]{1,100}"
"""An access label or tenant: what stands in a filter without being quoted."""


class AccessRule(Model):
    """Who may see the documents whose uri a glob matches."""

    glob: str = Field(min_length=1)
    """Over uris: `*` and `?` stay within a folder, `**` does not; without a slash a file's name in any folder."""
    labels: tuple[Annotated[str, Field(pattern=rf"^{LABEL}$")], ...]
    """A caller who holds one of them may see the document; none: everybody of the tenant."""
    tenant: Annotated[str, Field(pattern=rf"^{LABEL}$")] | None = None


class Documents(Model):
    """Stage `ingest`."""

    max_bytes: int = Field(gt=0)
    """Larger files go to quarantine."""
    timeout_s: float = Field(gt=0)
    """Longest time that one file may take to parse."""
    memory_bytes: int = Field(gt=0)
    """Address space of a parser process above what it starts with."""
    ocr_pages_at_most: int = Field(ge=0)
    """Pages of a file without text that tesseract reads, where it is installed; 0: none."""
    ocr_languages: str = Field(pattern=r"^[A-Za-z]\w*(\+[A-Za-z]\w*)*$")
    """Languages as tesseract names them, with `+` between them."""
    near_duplicate_threshold: float = Field(gt=0, le=1)
    """Jaccard similarity of word 5-grams from which two documents count as the same text."""
    archives: Archives
    boilerplate_documents: int = Field(ge=0)
    """A passage that looks like boilerplate is put aside when so many documents of a folder hold it; 0: never."""
    boilerplate_share: float = Field(gt=0, le=1)
    """Any other passage is put aside when three times as many, and this share of the folder, begin or end with it."""
    access: tuple[AccessRule, ...]
    """The first rule that matches decides; without one, a document is seen by everybody of the tenant `default`."""
    labels_in_documents: bool
    """Whether front matter (`access:` or `labels:`) decides where no rule matches."""


class Chunking(Model):
    """Stage `chunk`."""

    strategy: Literal["structural", "recursive", "fixed", "semantic"]
    size_tokens: int = Field(ge=16)
    """Longest chunk, counted with the embedding model's tokenizer."""
    overlap_tokens: int = Field(ge=0)


class Embedding(Model):
    """Stage `embed`."""

    model: str
    """A folder, a hub name, or `package:NAME`."""
    engine: Literal["auto", "openvino", "torch", "openai"]
    """auto: torch on a CUDA GPU, OpenVINO elsewhere; openai: a server that speaks OpenAI's embeddings API."""
    precision: Literal["int8", "float"]
    """int8: 8-bit weights and activations on a processor; float: bfloat16 where the machine multiplies it."""
    batch_tokens: int = Field(gt=0)
    """Tokens in a batch, padding included."""
    query_prefix: str
    passage_prefix: str
    base_url: str | None
    """Of the server (engine `openai`); its key is GROUNDWORK_EMBEDDING_API_KEY."""
    upstream_model: str | None


class Index(Model):
    """Where and how the index lies: in no stage's key."""

    uri: str | None
    """A bucket (s3://bucket/prefix; access from the environment, AWS_*); None: `state/index` in the workspace."""
    alarm_bytes: int = Field(gt=0)
    """A table that is larger than this is warned of after it was written."""


class Reranking(Model):
    """A model that reads query and passage together, after the index brought candidates."""

    kind: Literal["none", "cross_encoder", "endpoint"]
    model: str | None
    """cross_encoder: a folder or a hub name; endpoint: the server's name for it."""
    base_url: str | None
    """Of the server (kind `endpoint`), asked at {base_url}/rerank; its key is GROUNDWORK_RERANK_API_KEY."""
    candidates: int = Field(ge=1)
    """Best candidates that are reranked; the others stay below them."""
    weight: float = Field(gt=0)
    """What its score of 0..1 is multiplied with before it is added."""
    max_tokens: int = Field(ge=16)
    """Longest pair of query and passage (cross_encoder); more is cut."""
    batch_tokens: int = Field(gt=0)
    """Tokens in a batch, padding included (cross_encoder)."""
    timeout_s: float = Field(gt=0)
    """For one answer (endpoint)."""
    on_failure: Literal["error", "skip"]
    """skip: hits come without it when it fails, and the result says so."""


AnswerableWeight = Literal["bias", "cosine", "cosine_of_words", "coverage", "unknown", "pairs"]
"""Of the signs that the documents answer (retrieval/answerable.py), and the one that stands alone."""


class Retrieval(Model):
    """How passages are found; part of the system that answers."""

    passages: int = Field(ge=1)
    """Passages that the model is shown."""
    candidates: int = Field(ge=1)
    """Chunks that each of vector and text search brings."""
    parent_tokens: int = Field(ge=0)
    """Of the section around a passage, the passage included, that the model is shown; 0: the passage alone."""
    weights: dict[str, float]
    """What each feature of a passage (retrieval/features.py) adds to its score; those not named add nothing."""
    superseded_penalty: float = Field(ge=0, le=1)
    """Taken off the score of a chunk whose document has a newer version."""
    rewrite: Literal["none", "terms", "model"]
    """How a follow-up in a conversation becomes a question that stands alone."""
    rewrite_prompt: Path
    """How the generation model is asked, for `rewrite: model`."""
    queries: int = Field(ge=1, le=8)
    """Wordings of a question that are searched and fused; 1: the question alone."""
    fuse_by: Literal["max", "mean"]
    """A candidate's score from its scores under each wording."""
    diversity: float = Field(ge=0, le=1)
    """What likeness to a better hit costs: so many times their cosine; 0: nothing."""
    per_document: int = Field(ge=0)
    """Hits of one document at most; 0: no limit."""
    reranker: Reranking
    context_tokens: int = Field(gt=0)
    """Tokens of the passages together, counted with the embedding model's tokenizer."""
    answerable_at_least: float = Field(ge=0, le=1)
    """A question is refused when retrieval gives it a smaller probability of being answered; 0: none is."""
    answerable_model: str
    """The embedding model that `answerable_weights` were fitted for; with another one nothing is estimated."""
    answerable_weights: dict[AnswerableWeight, float]
    """Of the logistic model of retrieval/answerable.py."""

    @field_validator("answerable_weights")
    @classmethod
    def _with_bias(cls, weights: dict[str, float]) -> dict[str, float]:
        if "bias" not in weights:
            raise ValueError("lacks `bias`; take the weights that `python -m benchmarks.answerable` prints")
        return weights


class LicenceRule(Model):
    """The licence of the documents whose uri a glob matches."""

    glob: str = Field(min_length=1)
    """As in `AccessRule`."""
    licence: str = Field(min_length=1, max_length=200)
    """As the card is to name it; an SPDX identifier where there is one."""


class Dataset(Model):
    """Stage `dataset`."""

    seed: int
    golden_share: float = Field(gt=0, lt=1)
    """Share of documents kept for evaluation."""
    validation_share: float = Field(gt=0, lt=1)
    unanswerable_share: float = Field(ge=0, lt=1)
    """Share of training examples whose passages do not hold the answer."""
    contexts_per_question: int = Field(ge=1)
    """In how many contexts (other passages, other order) each question is at least asked."""
    prompt: Path
    """The template that the adapter is trained on; the serving prompt may change without training."""
    synthetic_per_chunk: int = Field(ge=0)
    """Questions made from each chunk when there is no question file."""
    made_per_chunk: int = Field(ge=0)
    """Questions made from each training chunk beside those of a question file, to be trained on."""
    licences: tuple[LicenceRule, ...]
    """The first rule that matches decides, before what a document says of itself."""


class Dpo(Model):
    """Learning from preferred answers, after the examples."""

    epochs: int = Field(ge=0)
    """Passes over the pairs of answers; 0: none."""
    beta: float = Field(gt=0)
    """What it costs to leave the adapter that the examples gave."""
    learning_rate: float = Field(gt=0)
    time_share: float = Field(gt=0, lt=1)
    """Of `minutes_at_most`, where there are pairs; time that the examples leave comes on top."""


class Training(Model):
    """Stage `train`."""

    adapter: Literal["train", "production"]
    """production: nothing is trained, the adapter of the release in production is kept (docs/prompts.md)."""
    method: Literal["lora", "qlora"]
    dora: bool
    """Weights as magnitude and direction, the latter by LoRA (arXiv:2402.09353)."""
    seed: int
    epochs: int = Field(ge=1)
    minutes_at_most: float = Field(gt=0)
    """Training stops at the step that ends after this many minutes; the schedule is fitted to it."""
    batch_tokens: int = Field(gt=0)
    """Tokens in an optimizer step, shared context counted once; fewer where the time holds too few of these."""
    steps_at_least: int = Field(ge=1)
    """Where `minutes_at_most` holds neither all epochs nor so many steps, steps are halved, down to an eighth."""
    micro_batch_tokens: int = Field(gt=0)
    """Tokens in a forward pass."""
    max_tokens: int = Field(gt=0)
    """Longest group (shared context and its questions)."""
    learning_rate: float = Field(gt=0)
    warmup_steps: int = Field(ge=0)
    weight_decay: float = Field(ge=0)
    rank: int = Field(ge=1)
    alpha: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)
    dtype: Literal["auto", "float32", "bfloat16"]
    """auto: the one in which this machine multiplies faster (CPUs differ a hundredfold); bfloat16 on a GPU."""
    gradient_checkpointing: bool
    processes: int = Field(ge=0)
    """Each trains on a share of every step. 0: one per CUDA GPU, one without a GPU."""
    checkpoint_every_steps: int = Field(ge=1)
    validate_every_steps: int = Field(ge=1)
    patience: int = Field(ge=0)
    """Validations without improvement that end a phase; its adapter with the least validation loss is kept. 0: off."""
    min_improvement: float = Field(ge=0)
    """Of the validation loss, to count as one."""
    dpo: Dpo


class Generation(Model):
    """How answers are made; part of the system that answers."""

    base_model: str
    """A folder, a hub name, or `package:NAME`."""
    engine: Literal["openvino", "transformers", "openai"]
    prompt: Path
    """The serving prompt template."""
    max_new_tokens: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    answers: Literal["free", "quoted"]
    """quoted: spans of the passages or the refusal, nothing else (engine `transformers`; generation/quoting.py)."""
    refusal_margin: float
    """Nats by which the refusal may be likelier than all spans, and a span is still given (`quoted`)."""
    base_url: str | None
    """Of an OpenAI-compatible upstream (engine `openai`); its key is GROUNDWORK_ENGINE_API_KEY."""
    upstream_model: str | None

    @model_validator(mode="after")
    def _can_quote(self) -> Self:
        if self.answers == "quoted" and self.engine != "transformers":
            raise ValueError(
                f"`answers: quoted` needs the model's probabilities, which engine `{self.engine}` does not give; "
                "set `generation.engine: transformers`, or `answers: free`"
            )
        return self


class Price(Model):
    """What an endpoint costs."""

    prompt: float = Field(ge=0)
    """US dollars for a million tokens that it reads."""
    completion: float = Field(ge=0)
    """US dollars for a million tokens that it writes."""


class Judge(Model):
    """A language model behind an OpenAI-compatible endpoint that judges answers."""

    name: str = Field(pattern=r"^[\w.-]{1,60}$")
    """What reports call it."""
    base_url: str
    model: str
    api_key_env: str | None = Field(None, pattern=r"^[A-Z][A-Z0-9_]*_API_KEY$")
    """The environment variable that holds its key. None: GROUNDWORK_JUDGE_API_KEY, and no key where that is not set."""
    usd_per_million: Price | None = None
    """None: its cost is not computed."""


class Moderator(Model):
    """A server with OpenAI's moderation API, which says whether a text is toxic."""

    base_url: str
    model: str
    api_key_env: str | None = Field(None, pattern=r"^[A-Z][A-Z0-9_]*_API_KEY$")
    """The environment variable that holds its key. None: a server without one."""


class Judging(Model):
    """How judges are asked."""

    concurrent: int = Field(ge=1)
    """Requests to a judge at a time."""
    timeout_s: float = Field(gt=0)
    """For one reply."""
    retries: int = Field(ge=0)
    """After a rate limit (429), a server error or a timeout, with growing pauses."""
    max_tokens: int = Field(ge=16)
    """Longest reply."""


class Evaluation(Model):
    """Stage `evaluate`."""

    golden_answerable: int = Field(ge=0)
    """At most this many answerable golden questions are asked (0: all), chosen by hash."""
    golden_unanswerable: int = Field(ge=0)
    retrieval_k: int = Field(ge=1)
    bootstrap_resamples: int = Field(ge=100)
    confidence: float = Field(gt=0.5, lt=1)
    seed: int
    judges: tuple[Judge, ...]
    judging: Judging
    rubric: Path
    """What judges are asked of a single answer."""
    moderation: Moderator | None
    """Who is asked whether answers are toxic; None: nobody, and there is no figure."""

    @field_validator("judges")
    @classmethod
    def _named_once(cls, judges: tuple[Judge, ...]) -> tuple[Judge, ...]:
        if len({judge.name for judge in judges}) < len(judges):
            raise ValueError("two judges have the same name")
        return judges


class Mutations(Model):
    """Attacks said otherwise, after the plain ones."""

    attempts_at_most: int = Field(ge=0)
    """The budget; 0: none."""
    attempts_a_round: int = Field(ge=1)
    """What a round learns counts from the next one on."""
    seed: int


class RedTeam(Model):
    """Stage `redteam`."""

    attacks_at_most: int = Field(ge=1)
    confidence: float = Field(gt=0.5, lt=1)
    mutations: Mutations
    regressions: Path | None
    """What `groundwork redteam keep` kept; put again beside the attacks."""


def _text(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


class Files(Model):
    """What the pipeline reads from outside its workspace."""

    sources: tuple[Annotated[str, BeforeValidator(_text)], ...]
    """Folders, files, globs, archives, addresses: documents/sources/locations.py."""
    questions: Path | None
    feedback: Path | None
    golden_prompts: Path | None
    attacks: Path


class WebSources(Model):
    """The crawl from a start address; bounds that end it early are noted in the snapshot, and said."""

    pages_at_most: int = Field(ge=1)
    """Addresses visited, whatever came of them."""
    depth: int = Field(ge=0)
    """Links away from the start; 0: the start address alone."""
    whole_host: bool
    """False: only what lies below the start address."""
    page_bytes: int = Field(gt=0)
    """Larger ones are refused; counted while they come, unpacked."""
    total_bytes: int = Field(gt=0)
    """The crawl ends with the page that passes it."""
    minutes_at_most: float = Field(gt=0)
    page_timeout_s: float = Field(gt=0)
    """For one answer as a whole, however slowly it trickles."""
    delay_s: float = Field(ge=0)
    """Between requests; a longer Crawl-delay of the site counts."""
    variants_at_most: int = Field(ge=1)
    """Addresses that differ in their query alone: calendars and filters have no end."""
    robots: bool
    """Whether robots.txt, `noindex` and `nofollow` are obeyed. False only on a site of your own."""
    sitemaps: bool
    private_hosts: tuple[str, ...]
    """Names (`wiki.example.com`, `*.example.com`) that may resolve to private addresses."""
    token_hosts: tuple[str, ...]
    """Hosts that GROUNDWORK_WEB_API_KEY is sent to, as a bearer token."""


class S3Sources(Model):
    """Buckets. Keys and region come from the environment or ~/.aws, as the library reads them."""

    endpoint_url: str | None
    """Of a compatible service; None: AWS, or AWS_ENDPOINT_URL."""
    region: str | None
    anonymous: bool
    """Ask without credentials, for public buckets."""
    parallel: int = Field(ge=1)
    """Objects fetched at once."""


class Sources(Model):
    """Fetching what `files.sources` names beyond this machine: in no stage's key, only what it brings is."""

    refresh_after_s: float = Field(ge=0)
    """A source asked within this time is not asked again."""
    attempts: int = Field(ge=1)
    """Of a request that fails for a passing reason."""
    timeout_s: float = Field(gt=0)
    """For a connection, and for the next bytes of an answer."""
    files_at_most: int = Field(ge=1)
    """Of a bucket or repository; more is an error."""
    total_bytes: int = Field(gt=0)
    """Of a bucket or repository; more is an error."""
    git_timeout_s: float = Field(gt=0)
    """For one fetch of a repository."""
    web: WebSources
    s3: S3Sources


class Policies(Model):
    """Policy files; each has its own schema where it is applied."""

    gate: Path
    guardrails: Path
    release: Path
    rollout: Path
    targets: Path


class Servers(Model):
    """What `groundwork up` starts."""

    host: str
    prefect_port: int = Field(ge=1, le=65535)
    mlflow_port: int = Field(ge=1, le=65535)
    review_port: int = Field(ge=1, le=65535)
    webhook_port: int = Field(ge=1, le=65535)


class Runtime(Model):
    """How fast, not what: in no stage's key."""

    threads: int = Field(ge=0)
    """0: as many as the machine has cores."""
    runner: Literal["local", "threads", "dask", "ray"]
    """Who does the shards of large work (docs/scale-out.md); the result is the same."""
    workers: int = Field(ge=0)
    """Shards at once, for a runner other than local; 0: one for two cores. A cluster at an address has its own."""
    runner_address: str | None
    """Of a Dask scheduler or a Ray cluster; None: one on this machine, for as long as a stage maps shards."""
    database_url: str | None
    """None: SQLite in the workspace."""
    prefect_api_url: str | None
    """None: the embedded server."""
    mlflow_uri: str | None
    """None: SQLite in the workspace."""


class Settings(Model):
    """Everything that can be set."""

    files: Files
    sources: Sources
    documents: Documents
    chunking: Chunking
    embedding: Embedding
    index: Index
    retrieval: Retrieval
    dataset: Dataset
    training: Training
    generation: Generation
    evaluation: Evaluation
    redteam: RedTeam
    policies: Policies
    servers: Servers
    runtime: Runtime


def load(*, profile: str = "local", overrides: dict[str, Any] | None = None, named: Path | None = None) -> Settings:
    """Settings from defaults, profile and `overrides`, later wins; `named` is the file that errors point to.

    Raises SettingsError naming every unknown key (with the nearest known one) and every bad value.
    """
    merged = overlay(read_layer(DEFAULTS), _read_profile(profile))
    merged = overlay(merged, overrides or {})
    try:
        return Settings.model_validate(merged)
    except ValidationError as exc:
        lines = [
            f"{'.'.join(str(part) for part in e['loc'])}: {e['msg']} (got {e.get('input')!r})" for e in exc.errors()
        ]
        raise SettingsError(f"{named or DEFAULTS}: " + "; ".join(lines)) from exc


def read_layer(path: Path, *, checked: bool = True) -> dict[str, Any]:
    """A settings file. `checked`: unknown keys are a SettingsError that names the nearest known one."""
    layer = _read(path)
    if checked:
        refuse_unknown(layer, str(path))
    return layer


def refuse_unknown(layer: dict[str, Any], named: str) -> None:
    """Raise SettingsError for keys that there are not, with the nearest known ones; `named`: whose layer it is."""
    if unknown := _unknown_keys(layer, Settings):
        raise SettingsError(f"{named}: " + "; ".join(unknown))


def dump(settings: Settings) -> str:
    """The resolved settings as YAML, as a workspace keeps them."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def with_sections(settings: Settings, held: Mapping[str, Mapping[str, Any]]) -> Settings:
    """Settings under sections that a release was stored with; a knob newer than the release keeps its value here.

    Raises pydantic's ValidationError for a value that is no longer allowed.
    """
    mine = settings.model_dump(mode="json")
    return Settings.model_validate(mine | {name: {**mine[name], **section} for name, section in held.items()})


def resolve(path: Path) -> Path:
    """A settings path as an absolute one: relative paths are relative to the repository."""
    return path if path.is_absolute() else ROOT / path


def actor() -> str:
    """Who acts: GROUNDWORK_ACTOR, else the operating system's user."""
    named = os.environ.get("GROUNDWORK_ACTOR")
    if named:
        return named
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's numeric user without a name
        return f"uid-{os.getuid()}"


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def secret(name: Literal["ENGINE", "JUDGE", "EMBEDDING", "RERANK", "WEBHOOK", "WEB"]) -> SecretStr | None:
    """The secret GROUNDWORK_<name>_API_KEY, or None when it is not set."""
    value = os.environ.get(f"GROUNDWORK_{name}_API_KEY")
    return SecretStr(value) if value else None


def moderation_key(moderator: Moderator) -> SecretStr | None:
    """The key of a moderation server. Raises SettingsError when the variable that its settings name is not set."""
    named = moderator.api_key_env
    return None if named is None else _exported(named, "Moderation", "evaluation.moderation")


def judge_key(judge: Judge) -> SecretStr | None:
    """The key of a judge. Raises SettingsError when the variable that its settings name is not set."""
    named = judge.api_key_env
    return secret("JUDGE") if named is None else _exported(named, f"Judge {judge.name!r}", "evaluation.judges")


def _exported(variable: str, whose: str, setting: str) -> SecretStr:
    value = os.environ.get(variable)
    if not value:
        raise SettingsError(
            f"{whose}: the environment variable {variable} ({setting}, api_key_env) is not set. "
            "Export it, or leave api_key_env out for an endpoint without a key."
        )
    return SecretStr(value)


def _read(path: Path) -> dict[str, Any]:
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise SettingsError(f"{path}: there is no such settings file.") from exc
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise SettingsError(f"{path}: not readable as YAML: {exc}") from exc
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise SettingsError(f"{path}: expected `section: {{key: value}}`, found {type(loaded).__name__}.")
    return loaded


def _read_profile(profile: str) -> dict[str, Any]:
    path = PROFILES / f"{profile}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in PROFILES.glob("*.yaml")))
        raise SettingsError(f"There is no profile {profile!r}; known: {known}.")
    return read_layer(path)


def overlay(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """The layer `above` laid over the one `below`, section by section."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = overlay(merged[key], value) if both else value
    return merged


def _unknown_keys(layer: dict[str, Any], model: type[BaseModel], at: str = "") -> list[str]:
    problems: list[str] = []
    for key, value in layer.items():
        field = model.model_fields.get(str(key))
        if field is None:
            nearest = difflib.get_close_matches(str(key), list(model.model_fields), n=1, cutoff=0.5)
            hint = f"did you mean `{at}{nearest[0]}`?" if nearest else f"known: {', '.join(model.model_fields)}"
            problems.append(f"unknown key `{at}{key}`: {hint}")
        elif isinstance(value, dict) and (inner := _section(field.annotation)) is not None:
            problems += _unknown_keys(value, inner, f"{at}{key}.")
    return problems


def _section(annotation: Any) -> type[BaseModel] | None:
    """The settings section that an annotation names, also as `Section | None`."""
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    for option in options:
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None
