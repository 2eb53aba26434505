"""Shards over Prefect's task runners: threads of this process, or processes of Dask or Ray.

A runner starts with the first shard of a flow and lives as long as the flow: one without shards starts none. A shard
that fails is tried again by pipelines/shards.py, the same way whoever runs it; each attempt is a task run of its own on
Prefect's page.
What workers on other machines need (the same code and libraries, the workspace at the same path, secrets in their
environment) is in docs/scale-out.md.
"""

import importlib
import logging
import os
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from prefect import task
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from pipelines.console import settle_vendors
from pipelines.errors import SettingsError
from pipelines.settings import ROOT, Runtime, cores
from pipelines.shards import Attempt, Shard, Work, attempted, portable

AHEAD = 4
"""Shards handed out for each worker: none waits for work while the oldest is waited for."""
FOREIGN = 64
"""Workers that a cluster at an address is taken to have, if `runtime.workers` does not say."""
FEWEST_THREADS = 2
"""Of a worker: the encoder calculates in another precision with one."""


def mapper_of(runtime: Runtime) -> "PrefectMapper | None":
    """The mapper that the settings name; None: stages stream through this process.

    Raises SettingsError for an address that nothing would use, and for a runner that is not installed.
    """
    if runtime.runner_address and runtime.runner not in ("dask", "ray"):
        raise SettingsError(
            f"runtime.runner_address names a cluster, and runtime.runner: {runtime.runner} uses none. "
            "Set runtime.runner to dask or ray, or runner_address to null."
        )
    if runtime.runner == "local":
        return None
    if runtime.runner != "threads":
        _imported(runtime.runner)
    return PrefectMapper(runtime)


@task(task_run_name="{name}", persist_result=False)
def do_shard(name: str, work: Work, given: bytes, place: str, threads: int) -> None:
    """One shard."""
    settle_vendors()  # this may be a worker that did not come through the command
    error = attempted(work, Shard(0, name, given, Path(place)), threads).error
    if error is not None:
        raise error


class PrefectMapper:
    """Does shards as tasks of a runner; use it as a context manager."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        here = 0 if runtime.runner_address else max(1, cores() // FEWEST_THREADS)
        self._workers = runtime.workers or here or FOREIGN
        share = (runtime.threads or cores()) // self._workers if here else runtime.threads
        self._threads = max(FEWEST_THREADS, share)
        self._started = ExitStack()
        self._runner: TaskRunner[Any] | None = None

    @property
    def processes(self) -> bool:
        """Whether each is done in a process of its own."""
        return self._runtime.runner != "threads"

    def __reduce__(self) -> tuple[type["PrefectMapper"], tuple[Runtime]]:
        """Another process has no use for the runner that was started here; Prefect sends every task's parameters."""
        return PrefectMapper, (self._runtime,)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self._started.close()
        self._runner = None

    def __call__(self, work: Work, shards: Iterable[Shard]) -> Iterator[Attempt]:
        """An attempt at each, in their order."""
        waiting: deque[tuple[Shard, Any]] = deque()
        for shard in shards:
            asked = {"name": shard.name, "work": work, "given": shard.given, "place": str(shard.place)}
            waiting.append((shard, self._running().submit(do_shard, {**asked, "threads": self._threads})))
            if len(waiting) >= AHEAD * self._workers:
                yield _outcome(*waiting.popleft())
        while waiting:
            yield _outcome(*waiting.popleft())

    def _running(self) -> TaskRunner[Any]:
        if self._runner is None:
            self._runner = self._started.enter_context(_runner(self._runtime, self._workers))
        return self._runner


def _outcome(shard: Shard, future: Any) -> Attempt:
    try:
        future.result()
    except Exception as exc:  # noqa: BLE001  its own error, or the death of its worker: of this shard alone
        return Attempt(shard, portable(exc))
    return Attempt(shard)


def _runner(runtime: Runtime, workers: int) -> TaskRunner[Any]:
    """Not started yet; without an address it comes with workers on this machine."""
    address = runtime.runner_address
    if runtime.runner == "threads":
        return ThreadPoolTaskRunner(max_workers=workers)
    made: TaskRunner[Any]
    if runtime.runner == "dask":
        local: dict[str, Any] = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None}
        imported = _imported("dask")
        logging.getLogger("distributed").setLevel(logging.WARNING)  # it tells each step of its start and end
        made = imported.DaskTaskRunner(address=address, cluster_kwargs=None if address else local)
        return made
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it reports home unasked
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    if not address:
        environment = {"PYTHONPATH": str(ROOT)}
        quiet |= {"num_cpus": workers, "include_dashboard": False, "runtime_env": {"env_vars": environment}}
        quiet |= {"object_store_memory": 2**28}  # bytes: a shard's input passes through it, its result does not
    made = _imported("ray").RayTaskRunner(address=address, init_kwargs=quiet)
    return made


def _imported(name: str) -> Any:
    """prefect_dask or prefect_ray. Raises SettingsError when it is not installed."""
    try:
        importlib.import_module(name if name == "ray" else "distributed")  # prefect_ray loads it late
        return importlib.import_module(f"prefect_{name}")
    except ImportError as exc:
        raise SettingsError(
            f"runtime.runner: {name} needs a package that is not installed ({exc.name}). "
            'Install the extra: .venv/bin/uv pip install -e ".[cluster]"'
        ) from exc
