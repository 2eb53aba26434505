"""The engine for any machine, CUDA or not: transformers' own generation in batches sorted by length."""

import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.contracts import Message
from pipelines.errors import EngineError
from pipelines.generation.engine import Completion, Quoted
from pipelines.generation.models import context_tokens, load_causal, load_tokenizer, render
from pipelines.generation.precision import fastest
from pipelines.settings import Generation

if TYPE_CHECKING:
    from pipelines.generation.quoting import Quoter


class TransformersEngine:
    """Greedy generation with left padding."""

    def __init__(self, folder: Path, generation: Generation, *, threads: int) -> None:
        import torch
        import transformers

        if threads:
            torch.set_num_threads(threads)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        precision = fastest(self.device)
        self.name = f"transformers {transformers.__version__}, {generation.base_model}, {precision}, {self.device}"
        self.tokenizer = load_tokenizer(folder)
        self.tokenizer.padding_side = "left"
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.model = load_causal(folder, precision, self.device)
        self.limit = context_tokens(folder)
        self.batch_size = generation.batch_size

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        report: Callable[[int, int], None] | None = None,
    ) -> list[Completion]:
        """Complete each conversation. Raises EngineError for one that does not fit the model."""
        texts = [render(self.tokenizer, conversation, generation=True) for conversation in conversations]
        lengths = self._fitting(texts, max_new_tokens)
        order = sorted(range(len(texts)), key=lambda i: lengths[i])
        done: dict[int, Completion] = {}
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            made = self._batch([texts[i] for i in batch], [lengths[i] for i in batch], max_new_tokens)
            done.update(zip(batch, made, strict=True))
            if report:
                report(len(done), len(texts))
        return [done[i] for i in range(len(texts))]

    def read(
        self,
        conversations: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        *,
        refusal: str,
        max_new_tokens: int,
    ) -> list[Quoted]:
        """The likeliest spans of each conversation's own `texts`, and how likely the refusal is (quoting.py)."""
        self._fitting([render(self.tokenizer, each, generation=True) for each in conversations], max_new_tokens)
        return [
            self._quoter.read(conversation, own, refusal=refusal, max_new_tokens=max_new_tokens)
            for conversation, own in zip(conversations, texts, strict=True)
        ]

    @cached_property
    def _quoter(self) -> "Quoter":
        from pipelines.generation.quoting import Quoter

        return Quoter(self.model, self.tokenizer)

    def _fitting(self, texts: Sequence[str], max_new_tokens: int) -> list[int]:
        """Tokens of each prompt. Raises EngineError for one that does not fit the model."""
        lengths = [len(self.tokenizer(text, add_special_tokens=False)["input_ids"]) for text in texts]
        for number, length in enumerate(lengths):
            if length + max_new_tokens > self.limit:
                raise EngineError(
                    f"Conversation {number} has {length} tokens; with {max_new_tokens} new ones that is more than the "
                    f"{self.limit} of {self.name}. Show fewer or shorter passages."
                )
        return lengths

    def _batch(self, texts: list[str], lengths: list[int], max_new_tokens: int) -> list[Completion]:
        import torch

        inputs: Any = self.tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False).to(self.device)
        started = time.monotonic()
        with torch.inference_mode():
            out = self.model.generate(
                **inputs,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                pad_token_id=self.tokenizer.pad_token_id,
                eos_token_id=self.tokenizer.eos_token_id,
            )
        seconds = time.monotonic() - started
        fresh = out[:, inputs["input_ids"].shape[1] :]
        return [self._completion(row.tolist(), n, seconds) for row, n in zip(fresh, lengths, strict=True)]

    def _completion(self, ids: list[int], prompt_tokens: int, seconds: float) -> Completion:
        end = self.tokenizer.eos_token_id
        kept = ids[: ids.index(end) + 1] if end in ids else ids
        text = self.tokenizer.decode(kept, skip_special_tokens=True).strip()
        return Completion(text, prompt_tokens, len(kept), seconds)
