"""What the verbs of the CLI and the tasks of the flows do: rooms composed, nothing computed.

Invariant: nothing is imported that is not needed to find out that there is nothing to do.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import runner
from pipelines.artifacts import RUN_FILE, STAGE_FILE, Digests, Workspace, read_json, write_json
from pipelines.contracts import Release
from pipelines.errors import PortInUseError
from pipelines.runner import Outcome
from pipelines.shards import Mapper
from pipelines.stages import STAGES, Champion, stage_named
from pipelines.store import Store, open_store
from pipelines.workspaces import Choices, Opened, open_workspace, remember

if TYPE_CHECKING:
    from pipelines.documents.fetching.refresh import Refreshed
    from pipelines.documents.sources import Location
    from pipelines.release.register import Registered

Report = Callable[[int, int, str], None]
RECORDED = ("train", "evaluate", "redteam")
"""Stages that MLflow keeps a run of."""
PROJECTED = "projected.json"
"""The states of releases that MLflow was last told of: what `repair` compares with, without opening MLflow."""


@dataclass(frozen=True)
class Summary:
    """What a run left behind."""

    workspace: Path
    ran: tuple[str, ...]
    release: str
    state: str
    verdict: str
    warning: str | None
    kind: str
    """`prompt-only`, `index-only`, `full`, ... (release/kinds.py)."""
    open_findings: int = 0
    """Attacks that got through and hold up the approval."""
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def report(self) -> Path:
        """The page that a reviewer reads."""
        return self.workspace / "evaluate" / "report.html"

    def plain(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "workspace": str(self.workspace),
            "ran": list(self.ran),
            "release": self.release,
            "state": self.state,
            "verdict": self.verdict,
            "warning": self.warning,
            "open_findings": self.open_findings,
            "kind": self.kind,
            "report": str(self.report),
            "seconds": self.seconds,
        }


def database(opened: Opened) -> Store:
    """The workspace's database."""
    return open_store(opened.workspace.state, opened.settings.runtime.database_url)


def compared_with(name: str, opened: Opened, store: Store) -> Champion | None:
    """The release that a stage compares the candidate with, or takes its output from, for the stages that ask."""
    if STAGES[name].keeps and opened.settings.training.adapter == "production":
        from pipelines.release.keeping import kept

        held = kept(opened.workspace, opened.settings, store)
        return Champion(held.release, held.folder)
    if not STAGES[name].champion:
        return None
    from pipelines.release.champion import project as project_champion
    from pipelines.release.champion import reference

    project_champion(opened.workspace, store)  # a crash after a decision may have left it behind
    found = reference(opened.workspace, opened.settings, store)
    return Champion(found.release, found.folder) if found else None


def bring_up(name: str, opened: Opened, report: Report, mapper: Mapper | None = None) -> Outcome:
    """Bring one stage up to date and record what it left for MLflow and DVC; `mapper` does the shards of large work."""
    stage = stage_named(name)
    store = database(opened)
    try:
        runner.need_upstream(stage, opened.workspace)
        champion = compared_with(name, opened, store)
        outcome = runner.run_stage(
            name, opened.settings, opened.workspace, champion=champion, report=report, mapper=mapper
        )
    finally:
        store.close()
    if outcome.ran:
        _record(name, opened)
        warn(outcome.folder)
    commit(opened, [name])
    return outcome


def warn(folder: Path) -> None:
    """Say what a stage that ran warns of in its run.json."""
    from pipelines.console import say

    run: dict[str, Any] = read_json(folder / RUN_FILE)
    if "warnings" in run:
        say("\n".join(f"Warning: {each}" for each in run["warnings"]))


def commit(opened: Opened, stages: list[str]) -> None:
    """Tell DVC which stages are current, where it is concerned."""
    from pipelines import dataversion

    if dataversion.applies(opened.workspace):
        dataversion.commit(opened.workspace, stages)


def finished(opened: Opened) -> Summary | None:
    """The summary when every stage is current and the release registered; None: there is work to do."""
    from pipelines.release.register import registered

    digests = Digests(opened.workspace.state / "digests.json")
    store = database(opened)
    try:
        repair(opened, store)
        for name in STAGES:
            upstream = all((opened.workspace.stage(u) / "stage.json").exists() for u in STAGES[name].reads)
            champion = compared_with(name, opened, store) if upstream else None
            if not runner.is_current(name, opened.settings, opened.workspace, digests, champion):
                return None
        known = registered(opened.workspace, opened.settings, store)
    finally:
        store.close()
        digests.save()
    if known is None:
        return None
    return _summary(opened, known)


def register(opened: Opened) -> Summary:
    """Write the judged candidate down as a release, and project it to MLflow."""
    from pipelines.release.register import register as write_down

    store = database(opened)
    try:
        champion = compared_with("gate", opened, store)
        against = champion.release if champion else None
        done = write_down(opened.workspace, opened.settings, store, against=against)
        project(opened, store)
    finally:
        store.close()
    return _summary(opened, done)


def _summary(opened: Opened, known: "Registered") -> Summary:
    return Summary(
        workspace=opened.workspace.root,
        ran=(),
        release=known.release.id,
        state=known.state,
        verdict=known.verdict,
        warning=known.warning,
        kind=known.kind,
        open_findings=known.open_findings,
    )


def project(opened: Opened, store: Store) -> None:
    """champion.json and MLflow as SQL says; safe to repeat, and what repairs a crash in between."""
    from pipelines.registry import Registry
    from pipelines.release.champion import project as project_champion
    from pipelines.release.listing import in_states

    project_champion(opened.workspace, store)
    registry = Registry(opened.workspace, opened.settings)
    listed = in_states(store)
    for each in listed[:1]:
        manifest = Release.model_validate(each.manifest)
        for stage in RECORDED:
            if (opened.workspace.stage(stage) / STAGE_FILE).exists():  # not where another machine decides
                registry.record(stage)
        model = partial(_merged, opened, manifest)
        registry.register_candidate(manifest, verdict=each.verdict, model_folder=model)
        _register_prompt(opened, registry)
    registry.project({each.id: each.state for each in reversed(listed)})
    write_json(opened.workspace.state / PROJECTED, {each.id: each.state for each in listed})


def _merged(opened: Opened, manifest: Release) -> Path:
    """The folder of a release's model with its adapter merged in."""
    from pipelines.generation.export import merged_folder
    from pipelines.generation.models import base_folder
    from pipelines.release.manifest import materialise

    state = opened.workspace.state
    base = base_folder(opened.settings.generation.base_model, state)
    return merged_folder(base, materialise(manifest, opened.workspace) / "adapter", state)


def repair(opened: Opened, store: Store) -> None:
    """Bring champion.json and MLflow in line with SQL, where a crash after a decision left them behind."""
    from pipelines.release.champion import project as project_champion
    from pipelines.release.listing import in_states

    project_champion(opened.workspace, store)
    place = opened.workspace.state / PROJECTED
    states = {each.id: each.state for each in in_states(store)}
    if states != (read_json(place) if place.exists() else {}):
        project(opened, store)


def _register_prompt(opened: Opened, registry: Any) -> None:
    from pipelines.generation.prompts import load_prompt

    prompt = load_prompt(opened.settings.generation.prompt)
    shown = prompt.plain.replace("{passages}", "{{passages}}").replace("{question}", "{{question}}")
    registry.register_prompt(prompt.name, shown, prompt.digest)


def _record(name: str, opened: Opened) -> None:
    """Work that MLflow keeps a run of; run.json says which."""
    if name in RECORDED:
        from pipelines.registry import Registry

        link = Registry(opened.workspace, opened.settings).record(name)
        place = opened.workspace.stage(name) / RUN_FILE
        write_json(
            place, {**read_json(place), "mlflow_run": link.run_id, "mlflow_page": mlflow_address(opened) + link.path}
        )


def mlflow_address(opened: Opened) -> str:
    """Where MLflow's pages are to be seen: the server of the settings, else that of `groundwork up`."""
    servers = opened.settings.servers
    return opened.settings.runtime.mlflow_uri or f"http://{servers.host}:{servers.mlflow_port}"


def run(choices: Choices, *, refresh: bool = True) -> Summary:
    """The whole lifecycle: nothing when all is current, else the Prefect flow. `refresh`: remote sources first."""
    opened = open_workspace(choices)
    check_sources(opened)
    if refresh:
        refresh_sources(opened)
    done = finished(opened)
    if done is not None:
        commit(opened, list(STAGES))
        return done
    check_prompt(opened)
    check_kept(opened)
    remember(opened)
    prepare_prefect(opened)
    from flows.lifecycle import lifecycle_of

    summary: Summary = lifecycle_of(choices)
    return summary


def run_one(name: str, choices: Choices, report: Report) -> Outcome:
    """One stage, by hand or by DVC."""
    opened = open_workspace(choices)
    stage_named(name)
    remember(opened)
    return bring_up(name, opened, report)


def check_sources(opened: Opened) -> None:
    """Refuse missing files and folders before anything is started."""
    from pipelines.errors import SourceError
    from pipelines.stages import SOURCES, external_files

    for stage in STAGES.values():
        for setting, paths in external_files(stage, opened.settings, opened.workspace.state).items():
            for path in paths:
                if setting != SOURCES and not path.exists():
                    raise SourceError(f"{path}: there is no such file or folder (setting `{setting}`).")


def check_prompt(opened: Opened) -> None:
    """Refuse a prompt that cannot serve, or whose examples leave passages no room, before anything is started."""
    from pipelines.generation.room import fitting_prompt

    fitting_prompt(opened.settings.generation.prompt, opened.settings, opened.workspace.state)


def check_kept(opened: Opened) -> None:
    """Refuse to keep an adapter where there is none, or one of another base model, before anything is started."""
    if opened.settings.training.adapter == "production":
        from pipelines.release.keeping import first_with_adapter

        store = database(opened)
        try:
            first_with_adapter(store, opened.settings)
        finally:
            store.close()


def remote_sources(opened: Opened) -> list["Location"]:
    """The sources that have to be fetched."""
    from pipelines.documents.sources import locate

    return [location for location in map(locate, opened.settings.files.sources) if location.remote]


def refresh_sources(opened: Opened, *, force: bool = False) -> list["Refreshed"]:
    """Bring what `files.sources` names beyond this machine up to date; nothing is imported where it names nothing.

    Raises SourceError for a source that could not be had; what was fetched of it before stays in use.
    """
    remote = remote_sources(opened)
    if not remote:
        return []
    from datetime import UTC, datetime

    from pipelines.console import progress, say
    from pipelines.documents.fetching.refresh import refresh

    with progress("sources") as report:
        now = datetime.now(UTC)
        done = refresh(remote, opened.settings, opened.workspace.state, report, now=now, force=force)
    for each in done:
        say(each.told)
    return done


def prepare_prefect(opened: Opened) -> None:
    """Prefect's home is the workspace's; no analytics, no chatter. Must happen before prefect is imported."""
    state = opened.workspace.state.absolute()
    os.environ.setdefault("PREFECT_HOME", str(state / "prefect"))
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")  # of a busy machine: 20 is too few
    url = opened.settings.runtime.prefect_api_url or served(opened.workspace)
    if url:
        os.environ.setdefault("PREFECT_API_URL", url)


def served(workspace: Workspace) -> str | None:
    """The API of this workspace's own Prefect server while `groundwork up` runs."""
    place = workspace.state / "servers.json"
    if not place.exists():
        return None
    import httpx

    url = str(read_json(place)["prefect_api"])
    try:
        return url if httpx.get(f"{url}/health", timeout=2).is_success else None
    except httpx.HTTPError:
        return None


def need_free_port(host: str, port: int, what: str) -> None:
    """Raise PortInUseError when another program listens there."""
    import socket

    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise PortInUseError(
                f"{what} cannot listen on {host}:{port}: {exc.strerror}. Stop the program that holds it, or set "
                f"servers.{what.lower()}_port."
            ) from exc


def up(choices: Choices) -> None:
    """Prefect, a runner of its deployments and MLflow, until Ctrl-C."""
    opened = open_workspace(choices)
    remember(opened)
    prepare_prefect(opened)
    from flows.servers import serve_all

    serve_all(opened)
