"""What every generation engine is: messages in, completions out, many at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from pipelines.contracts import Message


@dataclass(frozen=True)
class Completion:
    """What an engine said. `seconds`: from the start of its batch to its last token."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float


Span = tuple[str, float]
"""A span's text, and its log-probability as an answer, in nats."""


@dataclass(frozen=True)
class Quoted:
    """The likeliest spans, best first (none where no text has words), and the refusal's log-probability."""

    spans: tuple[Span, ...]
    refusal: float
    prompt_tokens: int
    completion_tokens: int
    """Of the likeliest."""
    seconds: float


class Engine(Protocol):
    """Greedy generation for many conversations; results in the order of the input."""

    name: str
    """For reports: engine, model and precision."""

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        report: Callable[[int, int], None] | None = None,
    ) -> list[Completion]:
        """Complete each conversation; `report(done, total)` is called as answers come in.

        Raises EngineError naming the engine and the conversation that failed.
        """


@runtime_checkable
class QuotingEngine(Protocol):
    """An engine that can tell the probabilities of spans."""

    def read(
        self,
        conversations: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        *,
        refusal: str,
        max_new_tokens: int,
    ) -> list[Quoted]:
        """The likeliest spans of each conversation's own `texts`, and how likely the refusal is.

        Raises EngineError for a conversation that does not fit the model.
        """
