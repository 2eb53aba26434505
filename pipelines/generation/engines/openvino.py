"""The CPU engine: OpenVINO's continuous batching over a GGUF file.

Prefix caching is on, so questions over the same passages share their prefill. Our own tokenizer makes
and reads the tokens: every engine sees the same text.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.contracts import Message
from pipelines.errors import EngineError, ModelError
from pipelines.generation.engine import Completion
from pipelines.generation.export import gguf_file
from pipelines.generation.models import context_tokens, gguf_source, load_tokenizer, render
from pipelines.settings import Generation

CACHE_GIB = 1
"""Key-value cache: 135M parameters need 23 KiB a token in float16, so 40,000 tokens fit."""


class OpenVINOEngine:
    """Greedy generation on the CPU."""

    def __init__(self, folder: Path, generation: Generation, *, threads: int) -> None:
        import openvino_genai as genai

        source = gguf_source(generation.base_model)
        if source is None:
            raise ModelError(f"{generation.base_model} did not come as GGUF; set generation.engine: transformers.")
        self.name = f"openvino {genai.__version__}, {generation.base_model}, f16"
        self.tokenizer = load_tokenizer(folder)
        self.limit = context_tokens(folder)
        self.batch_size = generation.batch_size
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = CACHE_GIB
        scheduler.enable_prefix_caching = True
        scheduler.max_num_seqs = generation.batch_size
        properties: dict[str, Any] = {"INFERENCE_NUM_THREADS": threads} if threads else {}
        if 1 in (threads, len(os.sched_getaffinity(0))):
            properties["INFERENCE_PRECISION_HINT"] = "f32"  # one thread in bfloat16 ends the process (SIGFPE)
        self._genai = genai
        self._pipeline = genai.ContinuousBatchingPipeline(str(gguf_file(folder, source)), scheduler, "CPU", properties)

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        report: Callable[[int, int], None] | None = None,
    ) -> list[Completion]:
        """Complete each conversation. Raises EngineError for one that does not fit the model."""
        texts = [render(self.tokenizer, conversation, generation=True) for conversation in conversations]
        prompts = [self.tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        self._check(prompts, max_new_tokens)
        # neighbours share their passages: sorted text puts them in one batch, where the prefix cache serves them
        order = sorted(range(len(prompts)), key=lambda i: texts[i])
        done: dict[int, Completion] = {}
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            done.update(zip(batch, self._batch([prompts[i] for i in batch], max_new_tokens), strict=True))
            if report:
                report(len(done), len(prompts))
        return [done[i] for i in range(len(prompts))]

    def _check(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
        for number, prompt in enumerate(prompts):
            if len(prompt) + max_new_tokens > self.limit:
                raise EngineError(
                    f"Conversation {number} has {len(prompt)} tokens; with {max_new_tokens} new ones that is more than "
                    f"the {self.limit} of {self.name}. Show fewer or shorter passages."
                )

    def _batch(self, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> list[Completion]:
        import openvino

        config = self._genai.GenerationConfig()
        config.max_new_tokens = max_new_tokens
        config.do_sample = False
        config.set_eos_token_id(int(self.tokenizer.eos_token_id))
        tensors = [openvino.Tensor(np.asarray([prompt], dtype=np.int64)) for prompt in prompts]
        started = time.monotonic()
        try:
            results = self._pipeline.generate(tensors, [config] * len(tensors))
        except RuntimeError as exc:
            raise EngineError(f"{self.name} failed on a batch of {len(prompts)}: {exc}") from exc
        seconds = time.monotonic() - started
        return [
            self._completion(list(result.m_generation_ids[0]), len(prompt), seconds)
            for prompt, result in zip(prompts, results, strict=True)
        ]

    def _completion(self, ids: list[int], prompt_tokens: int, seconds: float) -> Completion:
        text = self.tokenizer.decode(ids, skip_special_tokens=True).strip()
        return Completion(text, prompt_tokens, len(ids), seconds)
