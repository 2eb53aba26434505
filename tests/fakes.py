"""Stand-ins for what is slow: each says what it stands for. Journeys use none."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.contracts import Message
from pipelines.generation.engine import Completion


@dataclass
class FixedEngine:
    """Stands for a generation engine: says the same to everything."""

    said: str
    name: str = "fixed"

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        report: Callable[[int, int], None] | None = None,
    ) -> list[Completion]:
        return [Completion(self.said, prompt_tokens=10, completion_tokens=3, seconds=0.01) for _ in conversations]
