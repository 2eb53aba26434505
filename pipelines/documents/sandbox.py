"""Files are parsed here, never in the process that asked: bounded in time and memory, one file at a time.

A pool of long-lived worker processes speaks over pipes (no pickle): a request is a line of JSON, an answer a line
of JSON with the sizes of the text and of the blocks that follow it as they are. A file that hangs, crashes or eats
memory costs itself alone and its worker is replaced. Workers inherit no secrets: their environment is made here.
A worker whose parent is gone ends by itself.
Limits: the memory bound is RLIMIT_AS, which Linux enforces and macOS does not.
"""

import contextlib
import fcntl
import gc
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import TypeAdapter, ValidationError

from pipelines.contracts import Block
from pipelines.documents.parsers.draft import Parsed
from pipelines.documents.parsers.ocr import Ocr
from pipelines.errors import DocumentError
from pipelines.settings import ROOT, Documents

_GRACE_S = 5
"""A worker ends itself this long after its parent should have done so."""
_PATIENCE_S, _FEW = 0.5, 32
"""How long one of the first files waits for a busy worker: starting a second takes longer than most files."""
_OCR_SHARE = 0.7
"""Share of a file's time after which no further picture is read: what was read by then is kept."""
_START_S = 30
"""Time that a worker may take to start, on top of its first file's."""
_PIPE_BYTES = 1 << 20
_LARGEST_ANSWER = 4 << 30
_BLOCKS = TypeAdapter(tuple[Block, ...])

_PROPERTIES, _LONGEST_PROPERTY = 32, 5000
"""How many properties a file may have, and the characters of one."""


@dataclass(frozen=True)
class Task:
    """A file to parse: `name` tells its format where its bytes do not."""

    path: Path
    name: str


@dataclass(frozen=True)
class Result:
    """A parsed file, or the reason why it is not."""

    task: Task
    media_type: str = ""
    parsed: Parsed | None = None
    reason: str = ""


class Sandbox:
    """The pool; use it as a context manager. Workers start when they are needed."""

    def __init__(self, limits: Documents, *, workers: int = 0) -> None:
        self._limits = limits
        self._workers = workers or os.cpu_count() or 1
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._all: list[_Worker] = []
        self._lock = threading.Lock()
        self._asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        for worker in self._all:
            worker.close()

    def parse_all(self, tasks: Iterable[Task]) -> Iterator[Result]:
        """Results in the order of the tasks, a few tasks ahead of what was taken."""
        waiting: list[Future[Result]] = []
        with ThreadPoolExecutor(self._workers) as threads:
            try:
                for task in tasks:
                    self._asked += 1
                    waiting.append(threads.submit(self._parse, task))
                    if len(waiting) > 16 * self._workers:
                        yield waiting.pop(0).result()
                while waiting:
                    yield waiting.pop(0).result()
            except BaseException:  # the caller stops (Ctrl-C, an error): do not wait for files that hang
                threads.shutdown(wait=False, cancel_futures=True)
                for worker in self._all:
                    worker.kill()  # its thread sees the end of the pipe
                raise

    def _parse(self, task: Task) -> Result:
        worker = self._take()
        try:
            return _checked(task, worker.ask(task, self._limits.timeout_s))
        except DocumentError as exc:
            worker.close()
            return Result(task, reason=str(exc))
        finally:
            if worker.alive:
                self._idle.put(worker)

    def warm_up(self) -> None:
        """Start a worker now, for what may come."""
        self._idle.put(self._started())

    def _take(self) -> "_Worker":
        """An idle worker, or a new one; the first few files wait a moment for a busy one."""
        busy = sum(worker.alive for worker in self._all)
        patience_s = _PATIENCE_S if self._asked <= busy * _FEW else 0.0
        with contextlib.suppress(queue.Empty):
            return self._idle.get(timeout=patience_s) if patience_s else self._idle.get_nowait()
        return self._started()

    def _started(self) -> "_Worker":
        worker = _Worker(self._limits)
        with self._lock:
            self._all = [*[w for w in self._all if w.alive], worker]
        return worker


@dataclass(frozen=True)
class Answer:
    """What a worker says of a file: title, media type or a reason, the text as UTF-8, the blocks as JSON."""

    header: dict[str, Any]
    text: bytes
    blocks: bytes


class _Worker:
    """One process and the pipes to it."""

    def __init__(self, limits: Documents) -> None:
        self._memory_bytes = limits.memory_bytes
        environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}
        if "TESSDATA_PREFIX" in os.environ:  # where tesseract's languages lie, if not where they always do
            environment["TESSDATA_PREFIX"] = os.environ["TESSDATA_PREFIX"]
        bounds = (limits.memory_bytes, limits.timeout_s, limits.ocr_pages_at_most, limits.ocr_languages)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, *map(str, bounds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then ends its workers
        )
        self._fresh = True
        self._pending = b""
        self.alive = True
        assert self._process.stdout is not None
        _widen(self._process.stdout.fileno())
        self._ready = select.poll()
        self._ready.register(self._process.stdout.fileno(), select.POLLIN)

    def ask(self, task: Task, timeout_s: float) -> "Answer":
        """The worker's answer. Raises DocumentError when there is none in time, or the worker dies."""
        assert self._process.stdin is not None
        request = json.dumps({"path": os.fspath(task.path), "name": task.name}).encode()
        deadline = time.monotonic() + timeout_s + (_START_S if self._fresh else 0)
        self._fresh = False
        try:
            self._process.stdin.write(request + b"\n")
            self._process.stdin.flush()
            return self._read_answer(deadline)
        except TimeoutError as exc:
            raise DocumentError(f"took longer than {timeout_s:g} s to parse (documents.timeout_s)") from exc
        except (BrokenPipeError, EOFError, OSError) as exc:
            raise DocumentError(self._how_it_died()) from exc
        except (ValueError, TypeError, KeyError) as exc:
            raise DocumentError("the parser answered with what is no answer") from exc

    def _read_answer(self, deadline: float) -> "Answer":
        """Raises TimeoutError at the deadline, EOFError when the worker ends before."""
        while b"\n" not in self._pending:
            self._pending += self._read_some(deadline, 1 << 16)
        line, _, rest = self._pending.partition(b"\n")
        header = json.loads(line)
        text, blocks = (int(size) for size in header["sizes"])
        if text < 0 or blocks < 0 or text + blocks > _LARGEST_ANSWER:
            raise ValueError("sizes that nothing has")
        body = bytearray(rest)
        while len(body) < text + blocks:
            body += self._read_some(deadline, min(_PIPE_BYTES, text + blocks - len(body)))
        self._pending = bytes(body[text + blocks :])
        view = memoryview(body)
        return Answer(header, bytes(view[:text]), bytes(view[text : text + blocks]))

    def _read_some(self, deadline: float, size: int) -> bytes:
        assert self._process.stdout is not None
        if not self._ready.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        piece = os.read(self._process.stdout.fileno(), size)
        if not piece:
            raise EOFError
        return piece

    def _how_it_died(self) -> str:
        try:
            code = self._process.wait(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            return "the parser stopped answering"
        if code == -signal.SIGALRM:
            return "took too long to parse (documents.timeout_s)"
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        mib = self._memory_bytes // 2**20
        return f"the parser crashed on it ({cause}); a damaged file, or one that needs more than {mib} MiB of memory"

    def kill(self) -> None:
        """End the process at once; any thread may do so."""
        self.alive = False
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with the programs that it has started

    def close(self) -> None:
        """End the process and give its pipes back; for the thread that talks to it."""
        self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


def _widen(pipe: int) -> None:
    """Let a pipe hold more, so that a long text costs fewer changes between two processes."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # above what the system allows
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def _checked(task: Task, answer: Answer) -> Result:
    """A worker's answer as a result: a worker has read a hostile file, so nothing in it is taken on trust."""
    header = answer.header
    if header.get("reason"):
        if header.get("spent"):
            raise DocumentError(header["reason"])
        return Result(task, reason=str(header["reason"]))
    try:
        text = answer.text.decode()
        blocks = _BLOCKS.validate_json(answer.blocks)
        title, media_type = str(header["title"]), str(header["media_type"])
        named = list(header["meta"].items())[:_PROPERTIES]
        meta = {str(name): str(value)[:_LONGEST_PROPERTY] for name, value in named}
        "".join([title, *meta.values()]).encode()
    except (AttributeError, KeyError, UnicodeError, ValidationError) as exc:
        raise DocumentError("the parser gave what is no text with blocks") from exc
    ends = [0, *(block.end for block in blocks)]
    if any(b.start < end or b.end < b.start for b, end in zip(blocks, ends, strict=False)) or ends[-1] > len(text):
        raise DocumentError("the parser gave blocks that overlap or lie outside the text")
    return Result(task, media_type, Parsed(title, text, blocks, meta))


# --- the worker's side -------------------------------------------------------------------------


def _serve(memory_bytes: int, timeout_s: float, ocr_pages_at_most: int, ocr_languages: str) -> None:
    """Answer requests until the parent closes the pipe."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library that prints must not speak for us
    sys.setrecursionlimit(10_000)  # deeply nested pages
    _bound_memory(memory_bytes)
    gc.set_threshold(100_000, 20, 20)  # millions of cells in lists: looking for cycles in them is half of the time
    for line in sys.stdin.buffer:
        request = json.loads(line)
        # the timer's default action ends the process, in C code too
        signal.setitimer(signal.ITIMER_REAL, timeout_s + _GRACE_S)
        until = time.monotonic() + _OCR_SHARE * timeout_s
        answer = _answer(Path(request["path"]), request["name"], Ocr(ocr_languages, ocr_pages_at_most, until=until))
        signal.setitimer(signal.ITIMER_REAL, 0)
        sizes = [len(answer.text), len(answer.blocks)]
        answers.write(json.dumps({**answer.header, "sizes": sizes}).encode() + b"\n")
        answers.write(answer.text)
        answers.write(answer.blocks)
        answers.flush()


def _bound_memory(memory_bytes: int) -> None:
    import resource

    import psutil

    bound = psutil.Process().memory_info().vms + memory_bytes
    with contextlib.suppress(ValueError, OSError):  # macOS refuses the first
        resource.setrlimit(resource.RLIMIT_AS, (bound, bound))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _answer(path: Path, name: str, ocr: Ocr) -> Answer:
    from pipelines.documents.parsers import parse

    try:
        format, parsed = parse(path.read_bytes(), name, ocr)
        header = {"media_type": format.media_type, "title": parsed.title, "meta": dict(parsed.meta)}
        return Answer(header, parsed.text.encode(), _BLOCKS.dump_json(parsed.blocks))
    except DocumentError as exc:
        return _reason(str(exc))
    except MemoryError:
        return _reason("needs more memory to parse than documents.memory_bytes allows", spent=True)
    except RecursionError:
        return _reason("nested too deeply")
    except Exception as exc:  # noqa: BLE001  whatever a library makes of a damaged file costs that file alone
        return _reason(f"damaged or unusual file: {type(exc).__name__}: {str(exc)[:200]}")


def _reason(reason: str, *, spent: bool = False) -> Answer:
    return Answer({"reason": reason, "spent": spent}, b"", b"")


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
