import threading
import time
from pathlib import Path

import psutil
import pytest

from pipelines.documents.parse import parse_paths
from pipelines.documents.sandbox import Sandbox, Task
from pipelines.errors import SourceError
from pipelines.settings import load

LIMITS = load().documents


def write(folder: Path, name: str, text: str) -> Task:
    (folder / name).write_text(text)
    return Task(folder / name, name)


def test_one_worker_parses_many_files_in_order(tmp_path: Path) -> None:
    tasks = [write(tmp_path, f"{n}.md", f"# Title {n}\n\ntext") for n in range(50)]
    with Sandbox(LIMITS, workers=1) as sandbox:
        results = list(sandbox.parse_all(tasks))
        assert len(psutil.Process().children()) == 1
    assert [r.parsed.title for r in results if r.parsed] == [f"Title {n}" for n in range(50)]


def test_a_file_that_takes_too_long_costs_itself_alone(tmp_path: Path) -> None:
    # 60,000 blocks are some 5 s of work for a parser; a second is all it gets
    tasks = [
        write(tmp_path, "a.md", "# A"),
        write(tmp_path, "slow.md", "# H\n\n- *a* `b` [c](d)\n\n" * 60_000),
        write(tmp_path, "b.md", "# B"),
    ]
    with Sandbox(LIMITS.model_copy(update={"timeout_s": 1.0}), workers=1) as sandbox:
        first, slow, last = sandbox.parse_all(tasks)
    assert first.parsed is not None and last.parsed is not None
    assert slow.parsed is None and "longer than 1 s" in slow.reason


def test_a_file_that_needs_too_much_memory_costs_itself_alone(tmp_path: Path) -> None:
    tasks = [write(tmp_path, "big.txt", "word " * 30_000_000), write(tmp_path, "b.md", "# B")]
    with Sandbox(LIMITS.model_copy(update={"memory_bytes": 256 * 2**20}), workers=1) as sandbox:
        big, small = sandbox.parse_all(tasks)
    assert "memory" in big.reason and small.parsed is not None


def test_a_worker_that_dies_costs_its_file_alone(tmp_path: Path) -> None:
    tasks = [
        write(tmp_path, "slow.md", "# H\n\n- *a* `b` [c](d)\n\n" * 60_000),
        write(tmp_path, "b.md", "# B"),
    ]

    def kill_first_worker() -> None:
        while not (workers := psutil.Process().children()):
            time.sleep(0.01)
        workers[0].kill()

    threading.Thread(target=kill_first_worker).start()
    with Sandbox(LIMITS, workers=1) as sandbox:
        killed, after = sandbox.parse_all(tasks)
    assert "SIGKILL" in killed.reason and after.parsed is not None


def test_no_worker_outlives_the_pool(tmp_path: Path) -> None:
    tasks = [write(tmp_path, f"{n}.md", "# T") for n in range(4)]
    with pytest.raises(KeyboardInterrupt), Sandbox(LIMITS, workers=2) as sandbox:
        for _ in sandbox.parse_all(tasks):
            raise KeyboardInterrupt
    assert psutil.Process().children() == []


def test_workers_inherit_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDWORK_ENGINE_API_KEY", "secret")
    with Sandbox(LIMITS, workers=1) as sandbox:
        list(sandbox.parse_all([write(tmp_path, "a.md", "# A")]))
        worker = psutil.Process().children()[0]
        assert "GROUNDWORK_ENGINE_API_KEY" not in worker.environ()


def test_parse_paths_gives_every_file_a_line_with_a_reason_or_a_text(tmp_path: Path) -> None:
    write(tmp_path, "a.md", "# A\n\ntext")
    write(tmp_path, "b.txt", "")
    (tmp_path / "c.pdf").write_bytes(b"%PDF-1.7 and then nothing of it")
    lines = [line.as_line() for line in parse_paths([tmp_path, tmp_path / "a.md"], LIMITS, workers=1)]
    assert [(line["uri"], line["status"]) for line in lines] == [
        ("a.md", "parsed"),
        ("b.txt", "quarantined"),
        ("c.pdf", "quarantined"),
        ("a.md", "parsed"),
    ]
    assert lines[0]["blocks"][0] == {"kind": "heading", "start": 0, "end": 3, "page": None, "heading_path": ["A"]}
    assert lines[1]["reason"] == "empty file (0 bytes)" and "damaged PDF" in lines[2]["reason"]


def test_parse_paths_names_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="gone"):
        list(parse_paths([tmp_path / "gone.md"], LIMITS))
