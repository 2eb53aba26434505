"""Versioned prompt templates: passages and a question -> messages.

Invariant: two conversations over the same passages share everything up to the question, so that a
trainer or an engine can compute that prefix once.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pipelines.contracts import Contract, Message, content_id
from pipelines.errors import SettingsError
from pipelines.settings import resolve
from pipelines.yamlfiles import read_record


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


class PromptTemplate(Contract):
    """A prompt as its file holds it; `{passages}` and `{question}` are filled in by `messages`."""

    name: str
    version: int
    system: str
    passage: str
    user: str
    refusal: str

    @property
    def digest(self) -> str:
        """Identity of the prompt's text (its version number is a label)."""
        return content_id("prompt", self.system, self.passage, self.user, self.refusal)

    def messages(self, passages: Sequence[PassageText], question: str) -> tuple[Message, ...]:
        """System and user message. Braces in passages or question are taken literally."""
        shown = "\n\n".join(self._shown(number, passage) for number, passage in enumerate(passages, 1))
        before, _, after = self.user.partition("{passages}")
        filled = before.replace("{question}", question) + shown + after.replace("{question}", question)
        return (Message(role="system", content=self.system), Message(role="user", content=filled))

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
