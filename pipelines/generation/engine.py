"""What every generation engine is: messages in, completions out, many at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pipelines.contracts import Message


@dataclass(frozen=True)
class Completion:
    """What an engine said. `seconds`: from the start of its batch to its last token."""

    text: str
    prompt_tokens: int
    completion_tokens: int
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
