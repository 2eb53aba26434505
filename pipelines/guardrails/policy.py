"""The guardrail policy: which checks are on, and how strict they are."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import Field, ValidationError

from pipelines.contracts import Contract, content_id
from pipelines.errors import PolicyError
from pipelines.settings import resolve

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
    place = resolve(path)
    try:
        return GuardrailPolicy.model_validate(yaml.safe_load(place.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as exc:
        raise PolicyError(f"{place}: not a guardrail policy: {exc}") from exc
