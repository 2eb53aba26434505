"""A workspace with its database, and the few decisions that tests take again and again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.artifacts import Workspace
from pipelines.release import decide, listing, waivers
from pipelines.release.policy import ReleasePolicy
from pipelines.store import Store, open_store
from tests.release.candidates import TRAINED, candidate

ONE_REVIEWER = ReleasePolicy(separation_of_duties=True, identity="claimed")


@dataclass
class Desk:
    """Where releases are decided on: a workspace, its database, a policy, and the day that it is."""

    root: Path
    store: Store
    policy: ReleasePolicy = ONE_REVIEWER
    now: datetime = TRAINED + timedelta(days=1)
    made: list[str] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        return Workspace(self.root)

    def pending(self, name: str = "first", **how: Any) -> str:
        return candidate(self.store, self.root, name, **how)

    def approve(
        self, release: str | None = None, *, by: str = "reviewer", why: str = "read it", **how: Any
    ) -> decide.Decided:
        objects = self.workspace.objects
        return decide.approve(
            self.store, self.policy, objects, release=release, by=by, why=why, **{"now": self.now, **how}
        )

    def reject(
        self, release: str | None = None, *, by: str = "reviewer", why: str = "wrong", **how: Any
    ) -> decide.Decided:
        objects = self.workspace.objects
        return decide.reject(self.store, self.policy, objects, release=release, by=by, why=why, now=self.now, **how)

    def rollback(self, by: str = "operator", why: str = "worse") -> decide.Decided:
        return decide.rollback(self.store, self.policy, by=by, why=why, now=self.now)

    def attach(self, release: str, kind: str, file: Path, by: str = "tester") -> Any:
        return decide.attach(
            self.store, self.workspace.objects, release=release, kind=kind, file=file, by=by, now=self.now
        )

    def waive(
        self, finding: str, *, by: str = "reviewer", why: str = "the tool is internal", **how: Any
    ) -> waivers.Waived:
        objects, plain = self.workspace.objects, {"expires": self.now.date() + timedelta(days=30), "now": self.now}
        return waivers.waive(self.store, self.policy, objects, finding=finding, by=by, why=why, **{**plain, **how})

    def withdraw(self, finding: str, *, by: str = "reviewer", why: str = "too risky", **how: Any) -> waivers.Waived:
        return waivers.withdraw(self.store, self.policy, finding=finding, by=by, why=why, **{"now": self.now, **how})

    def listed(self, release: str) -> listing.Listed:
        return next(each for each in listing.releases(self.store, self.policy, now=self.now) if each.id == release)

    def states(self) -> dict[str, str]:
        return {each.id: each.state for each in listing.in_states(self.store)}


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = open_store(tmp_path / "state", None)
    yield Desk(tmp_path, store)
    store.close()
