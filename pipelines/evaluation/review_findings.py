"""What the review console says of red-team findings, and takes: the messages of its page.

The findings and the rules about them are the release room's, above this one: whoever serves the console passes a
`Desk` in.
"""

from datetime import date
from typing import Any, Protocol

from pydantic import Field

from pipelines.contracts import Contract


class Withdrawing(Contract):
    """A waiver taken back, as the page sends it. `release` None: every waiver of the finding."""

    finding: str = Field(min_length=64, max_length=64)
    release: str | None = Field(None, min_length=64, max_length=64)
    reviewer: str = Field(min_length=1, max_length=80, pattern=r"^\S(.*\S)?$")
    """The claimed name, as with votes."""
    why: str = Field(min_length=1, max_length=2000)
    role: str | None = Field(None, max_length=64)


class Waiving(Withdrawing):
    """A waiver, as the page sends it."""

    release: str = Field(min_length=64, max_length=64)
    expires: date


class Desk(Protocol):
    """Where findings are looked at and decided on. Both decisions raise DecisionError for what a rule forbids."""

    def shown(self) -> dict[str, Any]:
        """The releases that wait or serve with their findings, the roles that may waive, the last day allowed."""

    def waive(self, asked: Waiving) -> dict[str, Any]:
        """Waive a finding for a release."""

    def withdraw(self, asked: Withdrawing) -> dict[str, Any]:
        """Take waivers back."""
