"""How an embedding model counts: its own tokenizer, special tokens left out.

Invariant: a run of characters that a tokenizer swallows as one unknown token counts in full, or a chunk of such runs
would have no bound.
"""

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from pipelines.modelfiles import model_folder

LONGEST_WORD = 100
"""Characters from which WordPiece gives up and makes a word one unknown token."""

_TOKENISED_AT_ONCE = 8_192
"""Texts: what a tokenizer says of each takes kilobytes."""
_SWALLOWED = re.compile(rf"\w{{{LONGEST_WORD + 1},}}")

Span = tuple[int, int]


class Tokens(Protocol):
    """A way to count; tests have one that counts words."""

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        ...

    def spans(self, text: str) -> list[Span]:
        """Where each token of a text stands."""
        ...


class ModelTokens:
    """The tokenizer of an embedding model."""

    def __init__(self, model: str) -> None:
        self._place = model_folder(model) / "tokenizer.json"

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text."""
        counts: list[int] = []
        for first in range(0, len(texts), _TOKENISED_AT_ONCE):
            part = list(texts[first : first + _TOKENISED_AT_ONCE])
            counts += [len(each) for each in self._tokenizer.encode_batch_fast(part, add_special_tokens=False)]
        return counts

    def spans(self, text: str) -> list[Span]:
        """Where each token stands; an unknown token stands for each of its characters."""
        found = self._tokenizer.encode(text, add_special_tokens=False)
        spans: list[Span] = []
        for start, end in found.offsets:
            spans += [(at, at + 1) for at in range(start, end)] if end - start > LONGEST_WORD else [(start, end)]
        return spans

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text."""
        found: list[list[int]] = []
        for first in range(0, len(texts), _TOKENISED_AT_ONCE):
            part = list(texts[first : first + _TOKENISED_AT_ONCE])
            found += [each.ids for each in self._tokenizer.encode_batch_fast(part, add_special_tokens=False)]
        return found

    @property
    def folder(self) -> Path:
        """The model's folder."""
        return self._place.parent

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(self._place))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


def weights(text: str, spans: Sequence[Span], tokens: Tokens) -> list[int]:
    """Tokens of each span of a text, at least one for LONGEST_WORD characters: what a tokenizer drops (control
    characters, joiners, white space) has a bound too."""
    texts = [text[start:end] for start, end in spans]
    return [
        max(1, counted + _swallowed(piece), len(piece) // LONGEST_WORD)
        for counted, piece in zip(tokens.count(texts), texts, strict=True)
    ]


def _swallowed(piece: str) -> int:
    if len(piece) <= LONGEST_WORD:
        return 0
    return sum(len(run) for run in _SWALLOWED.findall(piece))


def trimmed(text: str, start: int, end: int) -> Span:
    """A span without white space at its ends."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
