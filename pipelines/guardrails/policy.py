"""The guardrail policy: which checks are on, and how strict they are."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from pipelines.contracts import Contract, content_id
from pipelines.errors import PolicyError
from pipelines.settings import resolve
from pipelines.yamlfiles import read_record

Unsupported = Literal["keep", "flag", "drop"]


class GuardrailPolicy(Contract):
    """configs/policies/guardrails.yaml."""

    version: int
    injection: bool
    min_support: float = Field(ge=0, le=1)
    max_question_chars: int = Field(gt=0)
    unsupported_sentences: Unsupported = "keep"
    """What becomes of a sentence below `min_support`; policies of version 1, which releases may hold, kept it."""

    @property
    def digest(self) -> str:
        """Identity of what the policy does."""
        return content_id("guardrails", self.model_dump())


OFF = GuardrailPolicy(version=0, injection=False, min_support=0.0, max_question_chars=10_000_000)
"""No guardrail at all: what the red team compares with."""


def load_guardrails(path: Path) -> GuardrailPolicy:
    """Read a policy file. Raises PolicyError naming file and field."""
    return read_record(resolve(path), GuardrailPolicy, "guardrail policy", PolicyError)
