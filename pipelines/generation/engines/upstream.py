"""Any OpenAI-compatible upstream (vLLM, a provider). The key is GROUNDWORK_ENGINE_API_KEY, never logged.

Rate limits, server errors and timeouts are retried with backoff by the SDK; anything else is an EngineError.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TYPE_CHECKING

from pipelines.contracts import Message
from pipelines.errors import EngineError, SettingsError
from pipelines.generation.engine import Completion
from pipelines.settings import Generation, secret

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

TIMEOUT_S = 120.0
RETRIES = 4


class UpstreamEngine:
    """Chat completions at temperature 0, `batch_size` requests at a time."""

    def __init__(self, generation: Generation) -> None:
        from openai import OpenAI

        if generation.base_url is None or generation.upstream_model is None:
            raise SettingsError("Engine `openai` needs generation.base_url and generation.upstream_model.")
        key = secret("ENGINE")
        self._key = key.get_secret_value() if key else None
        self.name = f"openai, {generation.upstream_model} at {generation.base_url}"
        self.model = generation.upstream_model
        self.concurrency = generation.batch_size
        self._client = OpenAI(
            base_url=generation.base_url,
            api_key=self._key or "none",
            timeout=TIMEOUT_S,
            max_retries=RETRIES,
        )

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        report: Callable[[int, int], None] | None = None,
    ) -> list[Completion]:
        """Complete each conversation. Raises EngineError naming the one that failed."""
        done: dict[int, Completion] = {}
        with ThreadPoolExecutor(self.concurrency) as pool:
            waiting = {pool.submit(self._one, c, max_new_tokens): i for i, c in enumerate(conversations)}
            for future in as_completed(waiting):
                number = waiting[future]
                try:
                    done[number] = future.result()
                except EngineError as exc:
                    pool.shutdown(cancel_futures=True)
                    raise EngineError(f"Conversation {number}: {exc}") from exc
                if report:
                    report(len(done), len(waiting))
        return [done[i] for i in range(len(conversations))]

    def _one(self, conversation: Sequence[Message], max_new_tokens: int) -> Completion:
        from openai import OpenAIError

        messages: list[ChatCompletionMessageParam] = [message.model_dump() for message in conversation]  # type: ignore[misc]
        started = time.monotonic()
        try:
            reply = self._client.chat.completions.create(
                model=self.model, messages=messages, max_tokens=max_new_tokens, temperature=0
            )
            text = (reply.choices[0].message.content or "").strip()
            usage = reply.usage
        except OpenAIError as exc:
            raise EngineError(f"{self.name}: {self._without_key(str(exc))}") from None  # its chain holds the key too
        except (AttributeError, TypeError, IndexError, ValueError) as exc:  # the SDK passes on whatever came with a 200
            raise EngineError(f"{self.name}: its answer is no chat completion ({type(exc).__name__}).") from None
        prompt_tokens, new = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        return Completion(text, prompt_tokens, new, time.monotonic() - started)

    def _without_key(self, text: str) -> str:
        """Some servers repeat what they were sent."""
        return text.replace(self._key, "***") if self._key else text
