"""Files, folders, globs, archives -> parsed files, one after another: `groundwork parse`, without a workspace."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from pipelines.contracts import Block, Contract
from pipelines.documents.sandbox import Sandbox, Task
from pipelines.documents.sources import Source, find_sources, locate, refusal
from pipelines.documents.sources.locations import absolute
from pipelines.errors import SourceError
from pipelines.settings import Documents, load


class ParsedFile(Contract):
    """A line of `groundwork parse` (DESIGN.md section 8)."""

    uri: str
    status: Literal["parsed", "quarantined"]
    reason: str | None = None
    media_type: str | None = None
    text: str | None = None
    blocks: tuple[Block, ...] = ()

    def as_line(self) -> dict[str, Any]:
        """The line as plain values."""
        return self.model_dump(mode="json")


def parse_paths(
    paths: Sequence[str | os.PathLike[str]], limits: Documents | None = None, *, workers: int = 0
) -> Iterator[ParsedFile]:
    """Every file of the paths in order, parsed or quarantined with its reason; a file's uri is its name.

    `limits`: those of the default settings when not given. Raises SourceError for a path that is not there.
    """
    bounds = limits or load().documents
    named = [absolute(path) for path in paths]
    for each in named:
        if locate(each).remote:
            raise SourceError(f"{each}: `parse` reads what lies on this machine; `index build --sources` fetches.")
    with tempfile.TemporaryDirectory(prefix="groundwork-parse-") as scratch:  # what archives hold
        sources = [source for each in named for source in find_sources([each], Path(scratch), bounds)]
        yield from _parsed(sources, bounds, workers)


def _parsed(sources: Sequence[Source], bounds: Documents, workers: int) -> Iterator[ParsedFile]:
    readable = [source for source in sources if refusal(source, bounds.max_bytes) is None]
    with Sandbox(bounds, workers=min(workers, len(readable)) if workers else 0) as sandbox:
        results = sandbox.parse_all(Task(source.path, source.uri) for source in readable)
        for source in sources:
            reason = refusal(source, bounds.max_bytes)
            if reason is not None:
                yield _quarantined(source, reason)
                continue
            result = next(results)
            if result.parsed is None:
                yield _quarantined(source, result.reason)
            else:
                found = result.parsed
                yield ParsedFile(
                    uri=source.uri,
                    status="parsed",
                    media_type=result.media_type,
                    text=found.text,
                    blocks=found.blocks,
                )


def _quarantined(source: Source, reason: str) -> ParsedFile:
    return ParsedFile(uri=source.uri, status="quarantined", reason=reason)
