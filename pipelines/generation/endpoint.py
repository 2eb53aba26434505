"""One conversation to one OpenAI-compatible endpoint, and texts to a moderation endpoint.

Rate limits, server errors and timeouts are retried with backoff by the SDK; anything else is an EngineError.
Invariant: the key is in no message, name or traceback, though some servers repeat what they were sent.
"""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import SecretStr

from pipelines.contracts import Message
from pipelines.errors import EngineError
from pipelines.generation.engine import Completion

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam


class _Endpoint:
    """A model behind a server that speaks OpenAI's protocol; may be used from several threads."""

    kind: str
    """What its name in messages begins with."""

    def __init__(self, base_url: str, model: str, key: SecretStr | None, *, timeout_s: float, retries: int) -> None:
        from openai import OpenAI

        self.name = f"{self.kind}, {model} at {base_url}"
        self.model = model
        self._key = key.get_secret_value() if key else None
        self._client = OpenAI(base_url=base_url, api_key=self._key or "none", timeout=timeout_s, max_retries=retries)

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


class ChatEndpoint(_Endpoint):
    """Chat completions at temperature 0."""

    kind = "openai"

    def complete(self, conversation: Sequence[Message], *, max_new_tokens: int) -> Completion:
        """The reply to a conversation. Raises EngineError naming the endpoint and what it said."""
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


class ModerationEndpoint(_Endpoint):
    """OpenAI's moderation API: is a text flagged, in whatever category the server knows?"""

    kind = "moderation"

    def flagged(self, texts: Sequence[str]) -> list[bool]:
        """One answer a text, in their order. Raises EngineError naming the endpoint and what it said."""
        from openai import OpenAIError

        try:
            reply = self._client.moderations.create(model=self.model, input=list(texts))
            found = [result.flagged for result in reply.results]
        except OpenAIError as exc:
            raise EngineError(f"{self.name}: {self._without_key(str(exc))}") from None  # its chain holds the key too
        except (AttributeError, TypeError, ValueError) as exc:  # the SDK passes on whatever came with a 200
            raise EngineError(f"{self.name}: its answer is no moderation ({type(exc).__name__}).") from None
        if len(found) != len(texts) or not all(isinstance(each, bool) for each in found):
            raise EngineError(f"{self.name}: it judged {len(found)} of {len(texts)} texts.")
        return found
