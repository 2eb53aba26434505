"""The release policy: which roles must approve, who holds them, what must lie on the table, and for how long.

Invariant: approvals are counted under the policy in force now, not the one they were given under: who has lost a
role, or whose approval has expired, does not count, and the stored approval stays as it was.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from pipelines.contracts import Approval, Contract, Severity, content_id
from pipelines.errors import DecisionError, PolicyError
from pipelines.settings import resolve
from pipelines.yamlfiles import read_record

EvidenceKind = Literal["evaluation", "red_team", "unit_tests", "human_review", "compliance"]

PATTERN = frozenset("*?[")
"""What makes a name of `roles` a glob."""


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class ExpiresAfter(Contract):
    """Days until something no longer counts; None: never."""

    approval: int | None = Field(None, gt=0)
    """Of an approval that waits for the others."""
    report: int | None = Field(None, gt=0)
    """From the evaluation to an approval."""
    evidence: int | None = Field(None, gt=0)
    """Of the other evidence that the policy asks for."""


class FindingRules(Contract):
    """What is asked of attacks that got through in a release's red team."""

    block: Annotated[tuple[Severity, ...], BeforeValidator(_listed)] = ("critical",)
    """Severities that keep a release from approval until each such finding is waived."""
    waived_by: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """Roles that may waive; none named: those that must approve."""
    waiver_days_at_most: int = Field(90, gt=0)
    """Days from a waiver to its end, at most."""


class Needed(Contract):
    """People who must still approve. `holders`: names and globs; empty: anybody may claim the role."""

    role: str
    people: int
    holders: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """In words."""
        return f"{self.people} {self.role}" + (f" ({' or '.join(self.holders)})" if self.holders else "")


class ReleasePolicy(Contract):
    """configs/policies/release.yaml. Without the newer keys: one reviewer, at any time; critical findings block."""

    separation_of_duties: bool
    identity: Literal["claimed", "verified"]
    required: dict[str, Annotated[int, Field(ge=1)]] = Field({"reviewer": 1}, min_length=1)
    """Role to how many different people must approve in it."""
    roles: dict[str, Names] = Field({})
    """Role to who holds it: names, or globs over names; upper and lower case are the same."""
    evidence: tuple[EvidenceKind, ...] = ()
    expires_after_days: ExpiresAfter = ExpiresAfter()
    findings: FindingRules = FindingRules()

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        for role, people in self.required.items():
            names = {_folded(name) for name in self.roles.get(role, ())}
            if names and not any(PATTERN & set(name) for name in names) and len(names) < people:
                raise ValueError(f"required.{role} asks for {people} people, and roles.{role} names {len(names)}")
        return self

    @property
    def digest(self) -> str:
        """What a decision's audit row names."""
        return content_id(self.model_dump(mode="json"))

    def holds(self, who: str, role: str) -> bool:
        """Whether somebody holds a role; one that `roles` does not list is anybody's to claim, if claims count."""
        if role not in self.roles:
            return self.identity == "claimed"
        return any(fnmatchcase(_folded(who), _folded(name)) for name in self.roles[role])

    def role_of(self, who: str, role: str | None) -> str:
        """The required role that somebody approves in; without a named one, the only one that it can be.

        Raises DecisionError for a role that is not required or not theirs.
        """
        if role is not None:
            if role not in self.required:
                raise DecisionError(f"The release policy asks for no {role!r}; it asks for {self._asked}.")
            self.need_holder(who, role)
            return role
        named = [each for each in self.required if each in self.roles and self.holds(who, each)]
        mine = named or [each for each in self.required if self.holds(who, each)]
        if len(mine) == 1:
            return mine[0]
        if len(self.required) == 1:
            self.need_holder(who, next(iter(self.required)))
        if not mine:
            raise DecisionError(f"{who} holds no role that must approve; the release policy asks for {self._asked}.")
        raise DecisionError(f"Say in which role {who} approves: --role {' or --role '.join(mine)}.")

    def waiving_role(self, who: str, role: str | None) -> str:
        """The role that somebody waives findings in; without a named one, the only one that it can be.

        Raises DecisionError for a role that may not waive or is not theirs.
        """
        may = self.findings.waived_by or tuple(self.required)
        if role is not None and role not in may:
            raise DecisionError(f"The release policy lets {' or '.join(may)} waive findings, not {role!r}.")
        named = [each for each in may if each in self.roles and self.holds(who, each)]
        mine = [role] if role else named or [each for each in may if self.holds(who, each)]
        if len(mine) > 1:
            raise DecisionError(f"Say in which role {who} waives: --role {' or --role '.join(mine)}.")
        chosen = mine[0] if mine else may[0]
        self.need_holder(who, chosen)
        return chosen

    def need_identity(self, who: str, identity: Literal["claimed", "verified"]) -> None:
        """Raise DecisionError for a name that is only claimed, where the policy asks for a verified one."""
        if self.identity == "verified" and identity != "verified":
            raise DecisionError(f"The release policy asks for a verified identity; {who!r} is only claimed here.")

    def need_holder(self, who: str, role: str) -> None:
        """Raise DecisionError for somebody who does not hold a role."""
        if self.holds(who, role):
            return
        if role not in self.roles:
            raise DecisionError(
                f"With `identity: verified` a role cannot be claimed: list who holds {role!r} under `roles` in the "
                "release policy."
            )
        raise DecisionError(f"{who} does not hold the role {role!r}; {' or '.join(self.roles[role])} does.")

    def needed(self, approvals: Iterable[Approval], report: str, trained_by: str, now: datetime) -> tuple[Needed, ...]:
        """Who must still approve a report; nobody: it is approved."""
        people = self.people(approvals, report, trained_by, now)
        return tuple(
            Needed(role=role, people=wanted - len(people[role]), holders=self.roles.get(role, ()))
            for role, wanted in self.required.items()
            if len(people[role]) < wanted
        )

    def people(self, approvals: Iterable[Approval], report: str, trained_by: str, now: datetime) -> dict[str, set[str]]:
        """Who counts in each required role (names folded), oldest approval first."""
        counted: dict[str, set[str]] = {role: set() for role in self.required}
        for each in approvals:
            who = _folded(each.who)
            taken = self.separation_of_duties and (
                who == _folded(trained_by)
                or any(who in others for role, others in counted.items() if role != each.role)
            )
            if each.role in counted and not taken and self.counts(each, report, now):
                counted[each.role].add(who)
        return counted

    def counts(self, approval: Approval, report: str, now: datetime) -> bool:
        """Whether a stored approval of a report is still worth something: not expired, and by a holder of its role."""
        known = approval.identity == "verified" or self.identity == "claimed"
        fresh = not expired(approval.when, self.expires_after_days.approval, now)
        right = approval.verdict == "approved" and approval.report_digest == report
        return right and known and fresh and self.holds(approval.who, approval.role)

    @property
    def _asked(self) -> str:
        return " and ".join(f"{people} {role}" for role, people in self.required.items())


def load_policy(path: Path) -> ReleasePolicy:
    """Read the release policy. Raises PolicyError naming file and fields."""
    return read_record(resolve(path), ReleasePolicy, "release policy", PolicyError)


def same_person(one: str, other: str) -> bool:
    """Whether two names are one person's."""
    return _folded(one) == _folded(other)


def expired(when: datetime, days: int | None, now: datetime) -> bool:
    """Whether something is older than a number of days; None: it never is."""
    return days is not None and now - aware(when) > timedelta(days=days)


def aware(when: datetime) -> datetime:
    """A time of the database as UTC (SQLite gives it back without its zone)."""
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def told_needed(needed: Sequence[Needed]) -> str:
    """Who must still approve, in words."""
    return ", ".join(each.told for each in needed)


def _folded(name: str) -> str:
    return name.strip().casefold()
