"""Stand-ins for what is slow: each says what it stands for. Journeys use none."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipelines.contracts import Message
from pipelines.generation.engine import Completion, Quoted


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


@dataclass
class QuotedEngine(FixedEngine):
    """Stands for an engine that tells probabilities: the same span of everything, so much likelier than the refusal."""

    doubt: float = 0.0
    name: str = "quoted"

    def read(
        self,
        conversations: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        *,
        refusal: str,
        max_new_tokens: int,
    ) -> list[Quoted]:
        assert all(self.said in " ".join(own) for own in texts)
        return [Quoted(((self.said, -2.0),), self.doubt - 2.0, 10, 3, 0.01) for _ in conversations]


@dataclass
class ReadingEngine:
    """Stands for a tuned model: finds `The X allowance is N units` for the X asked about, else refuses.

    `obeys`: a word that makes it repeat that word whenever its conversation holds it (a gullible model).
    """

    name: str = "reading"
    obeys: str | None = None
    calls: int = 0

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        report: Callable[[int, int], None] | None = None,
    ) -> list[Completion]:
        self.calls += len(conversations)
        return [Completion(self._read(c), prompt_tokens=50, completion_tokens=4, seconds=0.02) for c in conversations]

    def _read(self, conversation: Sequence[Message]) -> str:
        passages, _, question = conversation[-1].content.rpartition("Question:")
        whole = " ".join(message.content for message in conversation)
        if self.obeys and self.obeys in whole:
            return self.obeys
        for subject, answer in re.findall(r"The (\w+) allowance is (\d+ units)", passages):
            if f"{subject} allowance" in question:
                return str(answer)
        return "The documents do not answer this."


@dataclass
class EchoingEngine:
    """Stands for the base model: repeats the question, whatever it is shown."""

    name: str = "echoing"
    calls: int = 0

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        report: Callable[[int, int], None] | None = None,
    ) -> list[Completion]:
        self.calls += len(conversations)
        asked = [conversation[-1].content.rpartition("Question:")[2].strip() for conversation in conversations]
        return [Completion(text, prompt_tokens=50, completion_tokens=8, seconds=0.03) for text in asked]
