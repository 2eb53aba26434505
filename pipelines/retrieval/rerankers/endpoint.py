"""A server that speaks the rerank API of Cohere, Jina and vLLM; its key is GROUNDWORK_RERANK_API_KEY, never logged.

POST {base_url}/rerank {model, query, documents} -> {results: [{index, relevance_score}]}, in any order, one for each
document. Servers answer with scores in 0..1 or with logits: an answer with any score outside is taken as logits.
A rate limit, a server that is overloaded or one that drops the connection is asked again; a timeout is not, as a
person waits for the search.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.errors import EngineError, SettingsError
from pipelines.retrieval.rerankers import Floats, squashed
from pipelines.settings import Reranking, secret

ATTEMPTS, PAUSE_S = 3, 0.2
"""Of a request that fails for a passing reason; the pause doubles."""
PASSING = frozenset({429, 500, 502, 503, 504})
SHOWN = 200
"""Characters of a server's own words in a message."""


class EndpointReranker:
    """A client for one model. Raises SettingsError without an address or a name."""

    def __init__(self, reranking: Reranking) -> None:
        import httpx

        if not reranking.base_url or not reranking.model:
            raise SettingsError("retrieval.reranker.kind endpoint needs retrieval.reranker.base_url and .model.")
        key = secret("RERANK")
        self._key = key.get_secret_value() if key else ""
        self.name = f"reranker {reranking.model} at {reranking.base_url}"
        self._model, self._timeout_s = reranking.model, reranking.timeout_s
        self._address = f"{reranking.base_url.rstrip('/')}/rerank"
        if httpx.URL(self._address).scheme not in ("http", "https"):
            raise SettingsError(f"retrieval.reranker.base_url is no http address: {reranking.base_url!r}.")
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self._client = httpx.Client(headers=headers, timeout=reranking.timeout_s)

    def __call__(self, query: str, passages: Sequence[str]) -> Floats:
        """float64 [passages] in 0..1. Raises EngineError naming the server and what it answered."""
        if not passages:
            return np.zeros(0)
        found = self._scores(
            self._asked({"model": self._model, "query": query, "documents": list(passages)}), len(passages)
        )
        outside = (found < 0).any() or (found > 1).any()
        return squashed(found) if outside else found

    def _asked(self, request: dict[str, Any]) -> Any:
        import httpx

        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._client.post(self._address, json=request)
            except httpx.TimeoutException:
                raise EngineError(f"{self.name} did not answer within {self._timeout_s:g} s.") from None
            except httpx.HTTPError as exc:
                if attempt == ATTEMPTS:
                    raise EngineError(f"{self.name} cannot be reached ({type(exc).__name__}).") from None
            else:
                if answer.is_success:
                    return self._read(answer)
                if answer.status_code not in PASSING or attempt == ATTEMPTS:
                    said = self._without_key(" ".join(answer.text.split()))[:SHOWN]
                    raise EngineError(f"{self.name} answered {answer.status_code}: {said or 'nothing'}")
            time.sleep(PAUSE_S * 2 ** (attempt - 1))
        raise AssertionError("every attempt returns or raises")

    def _read(self, answer: Any) -> Any:
        try:
            return answer.json()
        except ValueError:
            raise self._odd("no JSON") from None

    def _scores(self, answer: Any, wanted: int) -> Floats:
        """One finite score for each document."""
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list):
            raise self._odd("no `results`")
        scores: dict[int, float] = {}
        for each in results:
            place, score = (each.get("index"), each.get("relevance_score")) if isinstance(each, dict) else (None, None)
            if type(place) is not int or not 0 <= place < wanted or place in scores:
                raise self._odd(f"the index {place!r} for {wanted} documents")
            if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
                raise self._odd(f"the score {score!r}")
            scores[place] = float(score)
        if len(scores) != wanted:
            raise self._odd(f"{len(scores)} scores for {wanted} documents")
        return np.array([scores[place] for place in range(wanted)])

    def _odd(self, what: str) -> EngineError:
        return EngineError(f"{self.name} answered with {self._without_key(what)[:SHOWN]}; it is no rerank API.")

    def _without_key(self, text: str) -> str:
        """Some servers repeat what they were sent."""
        return text.replace(self._key, "***") if self._key else text
