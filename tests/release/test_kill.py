"""A process that is killed between any two writes of a promotion or a rollback leaves the old release or the new one.

A child process does the whole of it (SQL, champion.json, the copy that serving reads) and is killed by SIGKILL before
its first write, then another before its second, and so on, until one gets through. Writes are counted where they
leave Python: every SQL statement that changes something, every commit, every file opened for writing, renamed, linked
or removed.
"""

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from pipelines.artifacts import Workspace
from pipelines.release import listing, verify
from pipelines.release.audit import verify_log
from pipelines.release.champion import champion, project
from pipelines.release.manifest import materialise
from pipelines.store import ApprovalRow, open_store
from tests.release.candidates import finding
from tests.release.conftest import Desk

WRITES = {"os.rename", "os.remove", "os.link"}
FEWEST_WRITES = 7
"""Of a rollback (4 rows, a commit, champion.json and its rename): if fewer were counted, the counting is broken."""
DIRE = finding("dire")
Act = Callable[[Desk], Any]


def promote(desk: Desk) -> None:
    desk.approve(desk.made[-1])
    project(desk.workspace, desk.store)
    materialise(listing.manifest(desk.store, desk.made[-1]), desk.workspace)


def roll_back(desk: Desk) -> None:
    desk.rollback()
    project(desk.workspace, desk.store)


def killed_before(write: int, act: Act, root: Path, made: list[str]) -> bool:
    """Run `act` in a child that is killed before its n-th write; whether it was (False: it got through)."""
    child = os.fork()
    if child == 0:
        _run_and_die(write, act, root, made)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _run_and_die(write: int, act: Act, root: Path, made: list[str]) -> None:
    left = write

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def heard(name: str, arguments: tuple[Any, ...]) -> None:
        writing = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if name in WRITES or writing:
            count()

    def sent(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("SELECT"):
            count()

    code = 1
    try:
        store = open_store(root / "state", None)
        event.listen(store.engine, "before_cursor_execute", sent)
        event.listen(store.engine, "commit", count)
        sys.addaudithook(heard)
        act(Desk(root, store, made=made))
        code = 0
    finally:
        os._exit(code)  # never back into pytest


@pytest.mark.parametrize(
    ("act", "old", "new"),
    [
        (promote, ["production", "pending"], ["previous", "production"]),
        (roll_back, ["previous", "production"], ["production", "rolled_back"]),
    ],
)
def test_a_kill_between_any_two_writes_leaves_the_old_or_the_new_release(
    desk: Desk, tmp_path: Path, act: Act, old: list[str], new: list[str]
) -> None:
    made = [desk.pending("first")]
    desk.approve()
    made.append(desk.pending("second", through=[DIRE]))
    desk.waive(DIRE.id)  # what an approval looks at too
    if act is roll_back:
        desk.approve()
    project(desk.workspace, desk.store)
    desk.store.close()  # a child must not inherit an open database
    seen: list[list[str]] = []
    write = 0
    through = False
    while not through:
        write += 1
        root = tmp_path / f"kill-{write}"
        shutil.copytree(tmp_path / "state", root / "state", copy_function=os.link, ignore=_not_the_database)
        for name in ("groundwork.db", "champion.json"):
            shutil.copyfile(tmp_path / "state" / name, root / "state" / name)
        through = not killed_before(write, act, root, made)
        seen.append(_looked_at(root, made))
    assert write > FEWEST_WRITES
    turn = seen.index(new)
    assert seen == [old] * turn + [new] * (len(seen) - turn)
    assert 0 < turn < len(seen) - 1  # killed on either side of the commit


def _not_the_database(_: str, names: list[str]) -> set[str]:
    return {name for name in names if name.startswith(("groundwork.db", "champion.json"))}


def _looked_at(root: Path, made: list[str]) -> list[str]:
    """The states of both releases, after checking that all that hangs on them fits."""
    workspace, store = Workspace(root), open_store(root / "state", None)
    try:
        states = {row.id: row.state for row in listing.in_states(store)}
        with store.reading() as session:
            assert verify_log(session) == []  # no decision without its audit row
            last = session.scalars(select(ApprovalRow).order_by(ApprovalRow.id)).all()[-1]
        decided = (last.release, last.verdict) == (
            made[1],
            "approved" if states[made[1]] == "production" else last.verdict,
        )
        assert decided or states[made[1]] == "pending"
        before = champion(workspace)  # readable, and one release or the other
        assert before is not None
        assert before["release"] in made
        project(workspace, store)  # what the next verb does
        serving = listing.in_state(store, "production")
        assert serving is not None
        assert champion(workspace) == {
            "release": serving.id, "system": serving.manifest["system"], "reference": serving.against
        }  # fmt: skip
        release = listing.manifest(store, serving.id)
        materialise(release, workspace)
        checked = verify.verify_parts(release, workspace.objects)
        verify.verify_copy(release, workspace, checked)
        assert checked.wrong == []
        return [states[each] for each in made]
    finally:
        store.close()
