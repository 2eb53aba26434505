"""The systems that an evaluation compares: base, candidate, champion; opened one at a time.

Invariants: the base differs from the candidate by the adapter alone (same index, prompt, guardrails,
settings); a champion is taken whole from its release's folder; an engine is loaded only when an answer is
missing, and let go before the next one is opened (2 GiB of weights and cache each).
"""

import gc
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.artifacts import read_json, sha256_tree
from pipelines.contracts import Message, content_id
from pipelines.errors import StageError
from pipelines.generation.engine import Completion, Engine, Quoted, QuotingEngine
from pipelines.settings import Generation, Settings, with_sections

_LIBRARY = {"openvino": "openvino-genai", "transformers": "transformers", "openai": "openai"}


@dataclass(frozen=True)
class Description:
    """What a system is made of, before anything is loaded."""

    role: str
    """base, candidate or champion: the name in item tables and reports."""
    name: str
    """What people call it: "base model", "candidate", or the champion's release id."""
    settings: Settings
    index: Path
    """Folder with index.json."""
    prompt: Path
    guardrails: Path
    adapter: Path | None

    @property
    def identity(self) -> str:
        """Digest of the weights that answer."""
        from pipelines.modelfiles import model_digest

        adapter = sha256_tree(self.adapter) if self.adapter else None
        return content_id(model_digest(self.settings.generation.base_model), adapter)


def describe(inputs: Mapping[str, Path], settings: Settings) -> list[Description]:
    """Base, candidate and, if there is one, champion.

    `inputs`: embed, train, prompt, guardrails and optionally champion (a release's folder: adapter/,
    index/, prompt.yaml, guardrails.yaml, settings.json, manifest.json).
    """
    shared: dict[str, Any] = {
        "settings": settings,
        "index": inputs["embed"],
        "prompt": inputs["prompt"],
        "guardrails": inputs["guardrails"],
    }
    adapter = inputs["train"] / "adapter"
    found = [
        Description(role="base", name="base model", adapter=None, **shared),
        Description(role="candidate", name="candidate", adapter=adapter, **shared),
    ]
    return [*found, _champion(inputs["champion"], settings)] if "champion" in inputs else found


def _champion(folder: Path, settings: Settings) -> Description:
    """A release as it is served: its own index, prompt, guardrails, retrieval and generation settings."""
    for needed in ("adapter", "index", "prompt.yaml", "guardrails.yaml", "settings.json", "manifest.json"):
        if not (folder / needed).exists():
            raise StageError(f"{folder} lacks {needed}; delete the folder, it is rebuilt from the object store.")
    served = read_json(folder / "settings.json")
    if (folder / "rewrite.yaml").exists():
        served["retrieval"]["rewrite_prompt"] = str(folder / "rewrite.yaml")
    return Description(
        role="champion",
        name=str(read_json(folder / "manifest.json")["id"]),
        settings=with_sections(settings, served),
        index=folder / "index",
        prompt=folder / "prompt.yaml",
        guardrails=folder / "guardrails.yaml",
        adapter=folder / "adapter",
    )


class OpenedLater:
    """An engine that is loaded at the first question that has no kept answer."""

    def __init__(self, generation: Generation, *, adapter: Path | None, state: Path, threads: int) -> None:
        self._open: Callable[[], Engine] = lambda: _opened(generation, adapter, state, threads)
        self._engine: Engine | None = None
        self.asked = 0
        """Conversations so far: questions that had no kept answer."""
        self.name = described(generation)

    def generate(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        report: Callable[[int, int], None] | None = None,
    ) -> list[Completion]:
        """As the engine does; the first call loads it."""
        self.asked += len(conversations)
        return self._loaded().generate(conversations, max_new_tokens=max_new_tokens, report=report)

    def read(
        self,
        conversations: Sequence[Sequence[Message]],
        texts: Sequence[Sequence[str]],
        *,
        refusal: str,
        max_new_tokens: int,
    ) -> list[Quoted]:
        """As the engine does, where it can (`generation.answers: quoted` is refused for engines that cannot)."""
        engine = self._loaded()
        self.asked += len(conversations)
        assert isinstance(engine, QuotingEngine)
        return engine.read(conversations, texts, refusal=refusal, max_new_tokens=max_new_tokens)

    def _loaded(self) -> Engine:
        if self._engine is None:
            self._engine = self._open()
        return self._engine

    def close(self) -> None:
        """Let the weights go."""
        close = getattr(self._engine, "close", None)
        if close is not None:
            close()
        self._engine = None
        gc.collect()


def _opened(generation: Generation, adapter: Path | None, state: Path, threads: int) -> Engine:
    from pipelines.generation.engines import open_engine

    return open_engine(generation, adapter=adapter, state=state, threads=threads)


def described(generation: Generation) -> str:
    """Engine, its version and the model: part of what an answer is kept under."""
    version = importlib.metadata.version(_LIBRARY[generation.engine])
    model = generation.upstream_model if generation.engine == "openai" else generation.base_model
    return f"{generation.engine} {version}, {model}"
