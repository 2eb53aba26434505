"""One function run by several processes of this machine, one per GPU, as a single process would run it.

Invariants: the process that asks keeps the stage's lock, alone reports, and makes no CUDA context; when it
goes on, the function is done in every worker, or no worker is alive. A worker whose parent is gone ends by
itself, so none writes into a folder that the next run takes up.
Limits: one machine; the port at which the workers meet is free when it is chosen, and bound a moment later.
"""

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import connection
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from pipelines.artifacts import StageJob
from pipelines.errors import GroundworkError, SettingsError, StageError

T = TypeVar("T")
Body = Callable[[StageJob], None]
"""A function of a module: workers find it by its name."""

_LEAVE_S = 3
"""Time that a worker may take to leave, its work done or not; one that waits for a dead one cannot."""


def gpus() -> int:
    """CUDA GPUs that this process may use, counted without a context on any (NVML, where there is one)."""
    import torch

    return int(torch.cuda.device_count())


def how_many(wanted: int, *, gpus: int) -> int:
    """Processes to train in (`training.processes`); 0 wanted: one per GPU, one without a GPU.

    Raises SettingsError for more processes than GPUs: NCCL does not let two share one.
    """
    if gpus and wanted > gpus:
        raise SettingsError(
            f"training.processes is {wanted}, and this machine has {gpus} CUDA GPU{'s' * (gpus > 1)}: "
            f"set it to 0 (one process per GPU), or to {gpus} at most."
        )
    return wanted or max(gpus, 1)


def run_in_processes(body: Body, job: StageJob, count: int, *, gpus: int) -> None:
    """Run `body` in `count` processes (gloo when `gpus` is 0); rank 0's reports and notes become the job's.

    A worker that fails ends the others. Raises its GroundworkError as it is, so that what the caller can mend
    stays a UserError; StageError for any other error, and for a worker that was killed.
    """
    workers: list[_Worker] = []
    lent = replace(job, settings=_with_a_share_of_threads(job.settings, count), report=_silent, notes={}, mapper=None)
    port = _free_port()
    try:
        for rank in range(count):
            place = Place(rank, count, port, on_cpu=not gpus)
            workers.append(_Worker.start(place, body, lent))
        _follow(workers, job)
    finally:
        _end(workers)


def agreed(value: T, accelerator: Any) -> T:
    """Rank 0's value in every process: what each measures differs, and what they do next must not."""
    if accelerator.num_processes == 1:
        return value
    from accelerate.utils import broadcast_object_list

    shared: list[T] = broadcast_object_list([value])
    return shared[0]


def one_clock(now: Callable[[], float], accelerator: Any) -> Callable[[], float]:
    """Rank 0's `now` in every process: a limit of time ends all at one step, and none waits for the others."""
    return lambda: agreed(now(), accelerator)


# --- what workers say, a pipe each -------------------------------------------------------------


@dataclass(frozen=True)
class Reported:
    """Progress, as `StageJob.report` takes it."""

    done: int
    total: int
    what: str


@dataclass(frozen=True)
class Done:
    """The body has returned; `notes` are for run.json."""

    notes: dict[str, Any]


@dataclass(frozen=True)
class Failed:
    """The body has raised, or the worker died."""

    error: GroundworkError


# --- the side of the process that asks ---------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where a worker stands among the others, and where they meet."""

    rank: int
    count: int
    port: int
    on_cpu: bool

    def __str__(self) -> str:
        return f"Training process {self.rank + 1} of {self.count}"

    def environment(self, threads: int) -> dict[str, str]:
        """What torch.distributed and accelerate read.

        On a CPU accelerate asks for gloo by itself once it is told to stay there; it sets the number of
        threads, with a warning, where OMP_NUM_THREADS is not set.
        """
        made = {
            "RANK": str(self.rank),
            "LOCAL_RANK": str(self.rank),
            "WORLD_SIZE": str(self.count),
            "LOCAL_WORLD_SIZE": str(self.count),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(self.port),
            "OMP_NUM_THREADS": str(threads),
        }
        return made | ({"ACCELERATE_USE_CPU": "true"} if self.on_cpu else {})


@dataclass(frozen=True)
class _Worker:
    """A process and the end of the pipe at which it is heard."""

    place: Place
    process: SpawnProcess
    pipe: "connection.Connection[Any, Any]"

    @staticmethod
    def start(place: Place, body: Body, job: StageJob) -> "_Worker":
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(place, body, job, theirs))
        process.start()
        theirs.close()  # the worker alone holds it now: its end is the end of the pipe
        return _Worker(place, process, ours)

    def hear(self) -> Reported | Done | Failed:
        """The next thing it says; a worker that died without a word has failed."""
        try:
            said: Reported | Done | Failed = self.pipe.recv()
        except (EOFError, OSError):  # OSError: it died in the middle of a message
            return Failed(StageError(self._how_it_died()))
        return said

    def _how_it_died(self) -> str:
        self.process.join()
        code = self.process.exitcode or 0
        if code >= 0:
            return f"{self.place} ended with exit code {code} before its work was done."
        cause = signal.Signals(-code).name
        short = " The system does that when memory is short: lower training.micro_batch_tokens."
        return (
            f"{self.place} was ended by {cause}.{short if cause == 'SIGKILL' else ''} "
            "The same command goes on from the last checkpoint."
        )


def _follow(workers: Sequence[_Worker], job: StageJob) -> None:
    """Pass on what workers say until all are done; raise what the first of them failed with."""
    going: dict[Any, _Worker] = {worker.pipe: worker for worker in workers}
    while going:
        for pipe in connection.wait(list(going)):
            match going[pipe].hear():
                case Reported(done, total, what):
                    job.report(done, total, what)
                case Done(notes):
                    job.notes.update(notes)
                    del going[pipe]
                case Failed(error):
                    raise error
    _await(workers)


def _end(workers: Sequence[_Worker]) -> None:
    """End what still runs: asked first, so that temporary files go, then killed."""
    for worker in workers:
        worker.process.terminate()
    _await(workers)
    for worker in workers:
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()


def _await(workers: Sequence[_Worker]) -> None:
    deadline = time.monotonic() + _LEAVE_S
    for worker in workers:
        worker.process.join(max(deadline - time.monotonic(), 0))


def _with_a_share_of_threads(settings: Any, count: int) -> Any:
    threads = settings.runtime.threads or len(os.sched_getaffinity(0))
    runtime = settings.runtime.model_copy(update={"threads": max(threads // count, 1)})
    return settings.model_copy(update={"runtime": runtime})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _silent(done: int, total: int, what: str) -> None:
    """A report that shows nothing: of every worker but rank 0."""


# --- the worker's side -------------------------------------------------------------------------


def _work(place: Place, body: Body, job: StageJob, pipe: "connection.Connection[Any, Any]") -> None:
    """A worker's life: torch is not imported yet, so the environment is in time for it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which ends its workers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(2, 1)  # stdout is the command's (--json), and gloo and NCCL print there
    os.environ.update(place.environment(job.settings.runtime.threads))
    if place.rank == 0:
        job = replace(job, report=lambda done, total, what: pipe.send(Reported(done, total, what)))
    try:
        body(job)
    except GroundworkError as error:
        pipe.send(Failed(error))
    except Exception as exc:  # noqa: BLE001  whatever it is, the parent must hear of it and end the others
        traceback.print_exc()
        pipe.send(Failed(StageError(f"{place} failed: {type(exc).__name__}: {exc}")))
    else:
        pipe.send(Done(job.notes if place.rank == 0 else {}))


def _end_with_parent() -> None:
    """Wait for the parent's end, also by SIGKILL, and end at once, whatever the other threads wait for."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
