"""Versioned prompt templates, few-shot examples with them: passages and a question -> messages.

Invariants: two conversations over the same passages share everything up to the question, and all conversations share
system and examples, so that a trainer or an engine can compute that prefix once; an example shows nothing that its
own passages do not hold.
Not covered: whether a prompt leaves passages room in a model's context (room.py).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from pydantic import Field, model_validator

from pipelines.contracts import Contract, Message, content_id
from pipelines.errors import SettingsError
from pipelines.guardrails.grounding import claimed, words_of
from pipelines.settings import resolve
from pipelines.yamlfiles import read_record

MOST_EXAMPLES = 12
MOST_PASSAGES = 10
LONGEST_PASSAGE, LONGEST_TURN = 8_000, 2_000
"""Characters. What fits a model's context is another matter (room.py)."""


class PassageText(Protocol):
    """What a prompt shows of a passage (a `contracts.Chunk` is one)."""

    @property
    def title(self) -> str:
        """Title of the document."""

    @property
    def heading_path(self) -> tuple[str, ...]:
        """Headings above the passage."""

    @property
    def text(self) -> str:
        """The passage itself."""


_FIELD = re.compile(r"\{(number|title|heading|text)\}")
"""What a template's `passage` may hold; filled in at once, so that braces in a title stay braces."""


class ExamplePassage(Contract):
    """A passage of a few-shot example."""

    title: str = Field(max_length=300)
    text: str = Field(min_length=1, max_length=LONGEST_PASSAGE)
    heading_path: tuple[str, ...] = ()


class PromptExample(Contract):
    """A question over passages with the answer to give: an earlier turn of every conversation."""

    passages: tuple[ExamplePassage, ...] = Field(min_length=1, max_length=MOST_PASSAGES)
    question: str = Field(min_length=1, max_length=LONGEST_TURN)
    answer: str = Field(min_length=1, max_length=LONGEST_TURN)

    @property
    def missing(self) -> tuple[str, ...]:
        """Content words of the answer, folded, that no passage holds: as serving looks at answers (grounding.py)."""
        held = words_of([passage.text for passage in self.passages])
        return tuple(dict.fromkeys(word for word in claimed(self.answer) if word not in held))


class PromptTemplate(Contract):
    """A prompt as its file holds it; `{passages}` and `{question}` are filled in by `messages`."""

    name: str
    version: int
    system: str
    passage: str
    user: str
    refusal: str
    examples: tuple[PromptExample, ...] = Field((), max_length=MOST_EXAMPLES)

    @model_validator(mode="after")
    def _shows_what_is_held(self) -> Self:
        """A model does as it is shown: an answer from nowhere would teach it to invent."""
        for number, example in enumerate(self.examples, 1):
            if example.answer != self.refusal and (missing := example.missing):
                raise ValueError(
                    f"example {number}: its passages do not hold {', '.join(map(repr, missing))} of the answer "
                    f"{example.answer[:80]!r}; answer in their words, or with `refusal`, word for word"
                )
        return self

    @property
    def digest(self) -> str:
        """Identity of the prompt's text (its version number is a label)."""
        shown = [example.model_dump(mode="json") for example in self.examples]
        return content_id(
            "prompt", self.system, self.passage, self.user, self.refusal, *(("examples", shown) if shown else ())
        )

    @property
    def prefix(self) -> tuple[Message, ...]:
        """What every conversation begins with: system, and the examples as earlier turns."""
        turns = [
            message
            for example in self.examples
            for message in (
                Message(role="user", content=self._asked(example.passages, example.question)),
                Message(role="assistant", content=example.answer),
            )
        ]
        return (Message(role="system", content=self.system), *turns)

    @property
    def plain(self) -> str:
        """The prompt as a person reads it: system, each turn of the examples after its role, then `user`."""
        told = [f"{message.role}: {message.content}" for message in self.prefix[1:]]
        return "\n\n".join([self.system, *told, self.user])

    def messages(self, passages: Sequence[PassageText], question: str) -> tuple[Message, ...]:
        """The prefix, and the user's message. Braces in passages or question are taken literally."""
        return (*self.prefix, Message(role="user", content=self._asked(passages, question)))

    def _asked(self, passages: Sequence[PassageText], question: str) -> str:
        shown = "\n\n".join(self._shown(number, passage) for number, passage in enumerate(passages, 1))
        before, _, after = self.user.partition("{passages}")
        return before.replace("{question}", question) + shown + after.replace("{question}", question)

    def _shown(self, number: int, passage: PassageText) -> str:
        heading = "".join(f" > {part}" for part in passage.heading_path if part != passage.title)
        values = {"number": str(number), "title": passage.title, "heading": heading, "text": passage.text}
        return _FIELD.sub(lambda found: values[found.group(1)], self.passage)


def load_prompt(path: Path) -> PromptTemplate:
    """Read a prompt file. Raises SettingsError naming the file and the field."""
    place = resolve(path)
    template = read_record(place, PromptTemplate, "prompt template", SettingsError)
    for needed in ("{passages}", "{question}"):
        if needed not in template.user:
            raise SettingsError(f"{place}: `user` lacks {needed}.")
    return template
