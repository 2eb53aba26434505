"""MLflow: runs, datasets, prompts and registered models. The only file that imports mlflow.

SQL (store.py) is the truth of what was decided; what stands here are records of work and projections of
decisions, written afterwards and idempotent: a run is found again by its tag `groundwork.key`, a model
version by its tag `release`. Aliases: `staging` (pending), `production`, `previous`.
"""

import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.artifacts import STAGE_FILE, Workspace, read_json
from pipelines.contracts import Release, content_id
from pipelines.errors import SettingsError
from pipelines.release.manifest import outputs_digest
from pipelines.release.review_tags import OUTCOME, REQUEST, REVIEW, Tagged
from pipelines.release.webhook import EVENT
from pipelines.settings import Settings

MODEL = "groundwork"
EXPERIMENT = "groundwork"
ALIASES = {"pending": "staging", "production": "production", "previous": "previous"}
"""State of a release to the alias that its model version carries."""
METRICS_AT_ONCE = 1000
"""Most that MLflow takes in one call."""
DATASET_DIGEST = 36
"""Most characters that MLflow takes of a dataset's digest."""
MOST_OF_A_TAG = 5000
"""Characters that MLflow takes of a tag's value."""
WEBHOOK = "groundwork-decisions"
"""Name of the webhook, by which it is found again."""
STATUS = {"PASS": "passed", "FAIL": "failed", "INCONCLUSIVE": "inconclusive"}


@dataclass(frozen=True)
class RunLink:
    """Where a run is to be found."""

    experiment_id: str
    run_id: str

    @property
    def path(self) -> str:
        """Path below the MLflow server's address."""
        return f"/#/experiments/{self.experiment_id}/runs/{self.run_id}"


class Registry:
    """MLflow over a workspace: SQLite beside the artifacts, or a server by URL."""

    def __init__(self, workspace: Workspace, settings: Settings) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("DO_NOT_TRACK", "1")
        with _quiet():
            import mlflow
            from mlflow.exceptions import MlflowException

            self.workspace, self.settings, self.mlflow = workspace, settings, mlflow
            uri = settings.runtime.mlflow_uri or f"sqlite:///{(workspace.state / 'mlflow.db').absolute()}"
            workspace.state.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            self.client, self.uri, self.error = mlflow.MlflowClient(), uri, MlflowException
            with self._answering():
                self.experiment = self._experiment()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Quietly, and with MLflow's errors as ours."""
        with _quiet():
            try:
                yield
            except self.error as exc:
                raise SettingsError(f"MLflow at {self.uri} does not answer: {exc}") from exc

    def _experiment(self) -> str:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        local = self.settings.runtime.mlflow_uri is None
        place = (self.workspace.state / "mlartifacts").absolute().as_uri() if local else None
        return str(self.client.create_experiment(EXPERIMENT, artifact_location=place))

    # --- runs ---

    def record(self, stage: str) -> RunLink:
        """The run of a finished stage: train, evaluate or redteam."""
        return {
            "train": self.record_training,
            "evaluate": self.record_evaluation,
            "redteam": self.record_redteam,
        }[stage]()

    def record_training(self) -> RunLink:
        """The training run of the stage folder: parameters, curves, datasets, picture."""
        folder = self.workspace.stage("train")

        def fill() -> None:
            kept = read_json(folder / "run.json").get("kept_from") if (folder / "run.json").exists() else None
            if kept:  # trained for that release, on its data, under its settings
                self.mlflow.log_param("kept_from", kept)
            else:
                self.mlflow.log_params(_flat({"training": self.settings.training.model_dump(mode="json")}))
                dataset = self.workspace.stage("dataset")
                self.mlflow.set_tag("groundwork.dataset", outputs_digest(dataset))
                for split in ("train", "validation", "preferences"):
                    self._log_dataset(dataset / f"{split}.jsonl", split)
            self.mlflow.log_param("base_model", self.settings.generation.base_model)
            self._log_curves(read_json(folder / "curves.json"))
            self._log_files(folder, "curves.html", "training.json")
            self._log_measured(folder)

        return self._run("train", folder, fill)

    def record_evaluation(self) -> RunLink:
        """The evaluation run: metrics of each system, the report as an artifact, the golden set as dataset."""
        folder = self.workspace.stage("evaluate")

        def fill() -> None:
            self.mlflow.log_params(_flat({"evaluation": self.settings.evaluation.model_dump(mode="json")}))
            report = read_json(folder / "report.json")
            metrics = {
                f"{m['system']}.{m['metric']}": m["value"]
                for m in report["measurements"]
                if m["slice"] == "all" and m["value"] is not None
            }
            self.mlflow.log_metrics({_metric_name(name): float(value) for name, value in metrics.items()})
            self._log_dataset(self.workspace.stage("dataset") / "golden.jsonl", "golden")
            self._log_files(folder, "report.json", "report.html")
            self._log_measured(folder)

        return self._run("evaluate", folder, fill)

    def record_redteam(self) -> RunLink:
        """The red team's run: success rates with and without guardrails, the report as an artifact."""
        folder = self.workspace.stage("redteam")

        def fill() -> None:
            self.mlflow.log_params(_flat({"redteam": self.settings.redteam.model_dump(mode="json")}))
            report = read_json(folder / "redteam.json")
            for name in ("attack_success", "attack_success_unguarded"):
                rate = {key: report[name][key] for key in ("rate", "low", "high") if report[name][key] is not None}
                self.mlflow.log_metrics({f"{name}.{key}": float(value) for key, value in rate.items()})
            self._log_files(folder, "redteam.json", "redteam.html")
            self._log_measured(folder)

        return self._run("redteam", folder, fill)

    def _log_files(self, folder: Path, *names: str) -> None:
        for name in names:
            self.mlflow.log_artifact(str(folder / name))

    def record_search(self, folder: Path, found: dict[str, Any]) -> RunLink:
        """A search's run, and nested in it one of each training.

        `folder` holds tuning.json and tuning.html; `found`: what tuning.json says.
        """

        def fill() -> None:
            self.mlflow.log_params({"base_model": self.settings.generation.base_model, **_flat(found["axes"])})
            self.mlflow.log_metric("validation.loss", float(found["best"]["validation_loss"]))
            self._log_files(folder, "tuning.json", "tuning.html")
            for run in found["runs"]:
                self._record_point(folder, run)

        return self._once("tune", content_id("tune", *(run["key"] for run in found["runs"])), fill)

    def _record_point(self, folder: Path, run: dict[str, Any]) -> None:
        """A training of a search; not under `groundwork.key`, which is that of a stage's own run."""
        tags = {"groundwork.point": run["key"], "groundwork.rung": str(run["rung"])}
        with self.mlflow.start_run(experiment_id=self.experiment, run_name=run["name"], tags=tags, nested=True):
            trained = folder / run["folder"] / "train"
            training = read_json(trained / "training.json")
            self.mlflow.log_params(_flat({"training": training["parameters"]}))
            self._log_curves(read_json(trained / "curves.json"))
            self._log_files(trained, "curves.html", "training.json")
            self._log_measured(trained)

    def _run(self, name: str, folder: Path, fill: Any) -> RunLink:
        """The run of a finished stage."""
        return self._once(name, read_json(folder / STAGE_FILE)["key"], fill)

    def _once(self, name: str, key: str, fill: Any) -> RunLink:
        """A run that is found by its key, or written now."""
        with _quiet():
            found = self.client.search_runs(
                [self.experiment], filter_string=f"tags.`groundwork.key` = '{key}' and attributes.status = 'FINISHED'"
            )
            if found:
                return RunLink(self.experiment, str(found[0].info.run_id))
            tags = {"groundwork.key": key, "groundwork.stage": name}
            with self.mlflow.start_run(experiment_id=self.experiment, run_name=name, tags=tags) as run:
                fill()
            return RunLink(self.experiment, str(run.info.run_id))

    def _log_curves(self, curve: list[dict[str, float]]) -> None:
        """The training curve: a line per step, with `validation` where it was measured."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        points = [
            Metric(_curve_name(name), float(value), now, int(line["step"]))
            for line in curve
            for name, value in line.items()
            if name not in ("step", "seconds", "validation_seconds")
        ]
        run = self.mlflow.active_run().info.run_id
        for start in range(0, len(points), METRICS_AT_ONCE):
            self.client.log_batch(run, metrics=points[start : start + METRICS_AT_ONCE])

    def _log_dataset(self, path: Path, context: str) -> None:
        import pandas as pd

        if not path.exists() or not path.stat().st_size:
            return  # a set without a line, or one that an older run did not write
        frame = pd.read_json(path, lines=True)
        digests = read_json(path.parent / STAGE_FILE)["outputs"]
        texts = frame[[c for c in ("id", "question", "document", "origin", "slice") if c in frame]].astype(str)
        dataset = self.mlflow.data.from_pandas(texts, name=path.stem, digest=digests[path.name][:DATASET_DIGEST])
        self.mlflow.log_input(dataset, context=context)

    def _log_measured(self, folder: Path) -> None:
        place = folder / "run.json"
        if place.exists():
            run = read_json(place)
            numbers = {k: float(v) for k, v in run.items() if isinstance(v, int | float)}
            self.mlflow.log_metrics({f"stage.{k}": v for k, v in numbers.items()})

    # --- the model registry ---

    def register_candidate(self, release: Release, *, verdict: str, model_folder: Callable[[], Path]) -> str:
        """A model version for a release, found by its tag or logged now; gives the version's number.

        `model_folder` is asked for only in the second case: merging an adapter takes the base model's weights.
        """
        with _quiet():
            found = self._version_of(release.id)
            if found is not None:
                return found
            training = self.record_training()
            info = self._log_model(model_folder(), training)
            version = str(info.registered_model_version)
            tags = {
                "release": release.id,
                "validation_status": STATUS[verdict],
                "verdict": verdict,
                "trained_by": release.trained_by,
                "stage": "pending",
                "report": release.parts["report"],
            }
            for key, value in tags.items():
                self.client.set_model_version_tag(MODEL, version, key, value)
            return version

    def _log_model(self, model_folder: Path, training: RunLink) -> Any:
        with self.mlflow.start_run(run_id=training.run_id):
            return self.mlflow.pyfunc.log_model(
                name="model",
                python_model=str(Path(__file__).with_name("registry_model.py")),
                artifacts={"model": str(model_folder)},
                model_config={"max_new_tokens": self.settings.generation.max_new_tokens},
                pip_requirements=["mlflow", "torch", "transformers"],
                registered_model_name=MODEL,
            )

    def register_prompt(self, name: str, template: str, digest: str) -> None:
        """A prompt in the prompt registry (`{{var}}` syntax): a new version only when its text changed."""
        prompts = self.mlflow.genai
        with _quiet():
            known = prompts.load_prompt(f"prompts:/{MODEL}-{name}@latest", allow_missing=True)
            if known is None or known.template != template:
                known = prompts.register_prompt(name=f"{MODEL}-{name}", template=template, tags={"digest": digest})
            prompts.set_prompt_alias(f"{MODEL}-{name}", alias="staging", version=known.version)

    def project(self, states: dict[str, str]) -> None:
        """Aliases and tags as SQL says. `states`: release id to state, oldest release first."""
        with self._answering():
            wanted: dict[str, str] = {}
            for release, state in states.items():
                version = self._version_of(release)
                if version is None:
                    continue
                self.client.set_model_version_tag(MODEL, version, "stage", state)
                if state in ALIASES:
                    wanted[ALIASES[state]] = version
            if not states:
                return
            self._set_aliases(wanted)

    # --- what reviewers say there ---

    def review_requests(self) -> list[Tagged]:
        """The model versions that carry a `review` tag, oldest first."""
        with self._answering():
            found = self.client.search_model_versions(f"name = '{MODEL}'")
        asked = [each for each in found if REVIEW in each.tags and "release" in each.tags]
        asked.sort(key=lambda each: int(each.version))
        return [Tagged(str(each.version), each.tags["release"], dict(each.tags)) for each in asked]

    def answer_review(self, version: str, said: str, *, settled: bool) -> None:
        """Leave the outcome beside a request, and take the request's tags away once it is settled."""
        with self._answering():
            self.client.set_model_version_tag(MODEL, version, OUTCOME, said[:MOST_OF_A_TAG])
            held = self.client.get_model_version(MODEL, version).tags
            for name in REQUEST if settled else ():
                if name in held:
                    self.client.delete_model_version_tag(MODEL, version, name)

    def send_reviews_to(self, url: str, secret: str) -> None:
        """Have MLflow's server tell `url` of every tag that is set on a model version, signed with `secret`.

        Idempotent: there is one webhook of this name afterwards, whatever there was before. Raises SettingsError when
        the server refuses, saying what it needs.
        """
        events = [".".join(EVENT)]
        about = "Tags that reviewers set on model versions: each is looked at when it is set."
        with _quiet():
            try:
                held = [each.webhook_id for each in self._webhooks() if each.name == WEBHOOK]
                for extra in held[1:]:
                    self.client.delete_webhook(extra)
                if held:
                    self.client.update_webhook(held[0], url=url, events=events, secret=secret, status="ACTIVE")
                else:
                    self.client.create_webhook(WEBHOOK, url, events, description=about, secret=secret)
            except self.error as exc:
                raise SettingsError(
                    f"MLflow takes no webhook to {url}: {exc}. Its server wants MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY, "
                    "and for an address like this one MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https and "
                    "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true."
                ) from exc

    def _webhooks(self) -> Iterator[Any]:
        token: str | None = None
        while True:
            page = self.client.list_webhooks(page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _set_aliases(self, wanted: dict[str, str]) -> None:
        try:
            held = dict(self.client.get_registered_model(MODEL).aliases)
        except self.error:
            return  # no version was ever registered
        for alias in ALIASES.values():
            if alias in wanted and str(held.get(alias)) != wanted[alias]:
                self.client.set_registered_model_alias(MODEL, alias, wanted[alias])
            elif alias not in wanted and alias in held:
                self.client.delete_registered_model_alias(MODEL, alias)

    def _version_of(self, release: str) -> str | None:
        found = self.client.search_model_versions(f"name = '{MODEL}' and tags.release = '{release}'")
        return str(found[0].version) if found else None


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow and alembic tell their life on stderr; a person wants to see what failed only."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _flat(values: dict[str, Any], at: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{at}{key}"
        flat |= _flat(value, f"{name}.") if isinstance(value, dict) else {name: value}
    return flat


def _curve_name(name: str) -> str:
    """`validation` and `validation_*` are of validation examples; the rest is of training."""
    of, _, figure = name.partition("_")
    return f"validation.{figure or 'loss'}" if of == "validation" else f"train.{name}"


def _metric_name(name: str) -> str:
    """MLflow allows letters, digits, `_-./ ` in a metric's name."""
    return "".join(c if c.isalnum() or c in "_-./ " else "_" for c in name)
