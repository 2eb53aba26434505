"""How much of a model's context a prompt takes, and what it leaves to passages.

Tokens are the base model's own, counted over the conversation as engines render it.
Limits: passages are counted by the embedding model's tokenizer when they are packed, which differs by a tenth; that
tenth is set aside here (`SPARE`). An upstream's context is not known, so nothing is refused for one.
"""

from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from pipelines.contracts import Message
from pipelines.errors import SettingsError
from pipelines.generation.prompts import PromptTemplate, load_prompt
from pipelines.settings import Settings

QUESTION_TOKENS = 64
"""Set aside for a question: twice a long one."""
SPARE = 1.1
"""Generation tokens for each token that packing counts."""


@dataclass(frozen=True)
class Room:
    """Tokens of a model's context, and who takes them."""

    context: int
    frame: int
    """System message, the user's words around passages and question, and the marks of the turns."""
    examples: int
    answer: int
    """`generation.max_new_tokens`."""
    needed: int
    """For the longest passages that packing shows."""

    @property
    def left(self) -> int:
        """For passages; below zero where even the frame does not fit."""
        return self.context - self.frame - self.examples - self.answer - QUESTION_TOKENS


def fitting_prompt(place: Path, settings: Settings, state: Path) -> PromptTemplate:
    """The prompt of a file, examples weighed against the base model's context; nothing is loaded for one without.

    Raises SettingsError for a file that is no prompt, and where its examples leave too little room.
    """
    prompt = load_prompt(place)
    if prompt.examples and settings.generation.engine != "openai":
        need_room(prompt, settings, measured(prompt, settings, state), where=str(place))
    return prompt


def measured(prompt: PromptTemplate, settings: Settings, state: Path) -> Room:
    """The room of a prompt in the base model of the settings. `state`: where a converted model lies."""
    from pipelines.generation.models import base_folder, context_tokens, load_tokenizer

    folder = base_folder(settings.generation.base_model, state)
    return room_of(prompt, load_tokenizer(folder), context_tokens(folder), settings)


def room_of(prompt: PromptTemplate, tokenizer: Any, context: int, settings: Settings) -> Room:
    """Count a prompt with the base model's tokenizer; `context`: tokens that the model was made for."""
    bare = prompt.model_copy(update={"examples": ()})
    frame, whole = (_tokens(each.messages([], ""), tokenizer) for each in (bare, prompt))
    return Room(context, frame, whole - frame, settings.generation.max_new_tokens, needed_tokens(settings))


def needed_tokens(settings: Settings) -> int:
    """Of the passages that packing shows at most: all within `context_tokens`, or one that alone is longer."""
    one = max(settings.chunking.size_tokens, settings.retrieval.parent_tokens)
    return ceil(SPARE * max(settings.retrieval.context_tokens, one))


def need_room(prompt: PromptTemplate, settings: Settings, room: Room, *, where: str) -> None:
    """Raise SettingsError where the examples leave less than the passages may take. `where`: the prompt's file."""
    if prompt.examples and room.left < room.needed:
        raise SettingsError(
            f"{where}: its {len(prompt.examples)} examples take {room.examples:,} of the {room.context:,} tokens that "
            f"{settings.generation.base_model} reads at once, and leave {max(room.left, 0):,} to passages, which may "
            f"take {room.needed:,} (retrieval.context_tokens, chunking.size_tokens). Give fewer or shorter examples, "
            "or show fewer passages."
        )


def _tokens(conversation: tuple[Message, ...], tokenizer: Any) -> int:
    from pipelines.generation.models import render

    text = render(tokenizer, conversation, generation=True)
    return len(tokenizer(text, add_special_tokens=False)["input_ids"])
