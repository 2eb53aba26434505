"""Any OpenAI-compatible upstream (vLLM, a provider). The key is GROUNDWORK_ENGINE_API_KEY, never logged."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from pipelines.contracts import Message
from pipelines.errors import EngineError, SettingsError
from pipelines.generation.endpoint import ChatEndpoint
from pipelines.generation.engine import Completion
from pipelines.settings import Generation, secret

TIMEOUT_S = 120.0
RETRIES = 4


class UpstreamEngine:
    """Chat completions at temperature 0, `batch_size` requests at a time."""

    def __init__(self, generation: Generation) -> None:
        if generation.base_url is None or generation.upstream_model is None:
            raise SettingsError("Engine `openai` needs generation.base_url and generation.upstream_model.")
        self._endpoint = ChatEndpoint(
            generation.base_url, generation.upstream_model, secret("ENGINE"), timeout_s=TIMEOUT_S, retries=RETRIES
        )
        self.name = self._endpoint.name
        self.concurrency = generation.batch_size

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
            waiting = {
                pool.submit(self._endpoint.complete, c, max_new_tokens=max_new_tokens): i
                for i, c in enumerate(conversations)
            }
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
