"""What is searched in place of a question, by the generation model: `retrieval.rewrite: model`.

Prompts come from a file (configs/prompts/rewrite.yaml). What a model says is taken as a query only in the shape that
was asked for: one line, no list marks, no longer than LONGEST; else the question is searched as it is.
Not covered: the way without a model (conversation.py, variants.py), which is the default.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from pipelines.contracts import Contract, Message, content_id
from pipelines.errors import SettingsError
from pipelines.generation.engine import Engine
from pipelines.settings import resolve
from pipelines.yamlfiles import read_record

LONGEST = 400
"""Characters of a query that a model made; more is an answer or a lecture."""
NEW_TOKENS = 64
"""For a query; so many for each of several."""
SAID_AT_MOST = 600
"""Characters of each earlier message that the model is shown."""
_FIELD = re.compile(r"\{(conversation|question|number)\}")
_MARK = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+")


class RewritePrompt(Contract):
    """A prompt file: `{conversation}`, `{question}` and `{number}` are filled in."""

    name: str
    version: int
    system: str
    follow_up: str
    variants: str

    @property
    def digest(self) -> str:
        """Identity of the prompt's text."""
        return content_id("rewrite", self.system, self.follow_up, self.variants)

    def messages(self, template: str, **values: str) -> tuple[Message, ...]:
        """System and user message; braces in the values stay braces."""
        filled = _FIELD.sub(lambda found: values[found.group(1)], template)
        return (Message(role="system", content=self.system), Message(role="user", content=filled))


def load_rewrite_prompt(path: Path) -> RewritePrompt:
    """Read a prompt file. Raises SettingsError naming the file and the field."""
    place = resolve(path)
    prompt = read_record(place, RewritePrompt, "rewriting prompt (setting `retrieval.rewrite_prompt`)", SettingsError)
    needed = {"follow_up": {"conversation", "question"}, "variants": {"number", "question"}}
    for field, names in needed.items():
        held = set(_FIELD.findall(getattr(prompt, field)))
        if held != names:
            raise SettingsError(f"{place}: `{field}` must hold {', '.join(sorted(names))} in braces, and no others.")
    return prompt


class ModelRewriter:
    """A generation model that words queries."""

    def __init__(self, engine: Engine, prompt: RewritePrompt) -> None:
        self._engine, self._prompt = engine, prompt

    def complete(self, asked: Sequence[tuple[str, Sequence[Message]]]) -> list[str]:
        """Questions with what came before each -> questions that stand alone; without a history they stay.

        Raises EngineError when the engine fails.
        """
        open_ones = [i for i, (_, history) in enumerate(asked) if history]
        conversations = [
            self._prompt.messages(self._prompt.follow_up, question=asked[i][0], conversation=told(asked[i][1]))
            for i in open_ones
        ]
        said = self._engine.generate(conversations, max_new_tokens=NEW_TOKENS) if conversations else []
        made = {i: queries_in(completion.text)[:1] for i, completion in zip(open_ones, said, strict=True)}
        return [(made.get(i) or [question])[0] for i, (question, _) in enumerate(asked)]

    def variants(self, questions: Sequence[str], number: int) -> list[list[str]]:
        """Up to `number` other wordings of each question."""
        if not number or not questions:
            return [[] for _ in questions]
        template = self._prompt.variants
        conversations = [self._prompt.messages(template, question=each, number=str(number)) for each in questions]
        said = self._engine.generate(conversations, max_new_tokens=NEW_TOKENS * number)
        return [
            [query for query in queries_in(completion.text) if query.casefold() != question.casefold()][:number]
            for question, completion in zip(questions, said, strict=True)
        ]


def told(history: Sequence[Message]) -> str:
    """A conversation as a model is shown it."""
    shown = (message for message in history if message.role != "system")
    return "\n".join(f"{message.role}: {' '.join(message.content.split())[:SAID_AT_MOST]}" for message in shown)


def queries_in(said: str) -> list[str]:
    """The lines of an answer that can be queries, each once, without list marks and quotes."""
    lines = [_MARK.sub("", line).strip().strip("\"'“”").strip() for line in said.splitlines()]
    return list(dict.fromkeys(line for line in lines if 0 < len(line) <= LONGEST))
