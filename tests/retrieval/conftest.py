"""A small index that the tests of this room share."""

from pathlib import Path

import pytest

from pipelines import settings as configuration
from pipelines.artifacts import StageJob, Workspace, write_rows
from pipelines.contracts import Chunk, content_id
from pipelines.retrieval import embed
from pipelines.settings import Settings

TEXTS = {
    "leave.md": "Employees in Kendal have 27 days of paid leave a year. Unused days expire on 31 March.",
    "leave-porto.md": "In Porto the holiday allowance is 24 working days, and five may be carried over.",
    "probe.md": "The cap of the pH probe is spare part SP-330. Rinse the probe in tap water before storage.",
    "errors.md": "Error E-17 means that the logger has lost its clock. Error E-18 means a flat battery.",
    "billing.md": "Invoices are sent on the first working day of the month and are due within 30 days.",
}


def chunk(uri: str, text: str, *, superseded: bool = False) -> Chunk:
    name = content_id(uri, text)
    title = uri.removesuffix(".md")
    return Chunk(
        id=name,
        document_id=name,
        uri=uri,
        title=title,
        start=0,
        end=len(text),
        text=text,
        tokens=len(text.split()),
        superseded=superseded,
    )


def embedded(root: Path, chunks: list[Chunk], settings: Settings, *, previous: Path | None = None) -> StageJob:
    """Run the stage `embed` over chunks; gives the job that ran."""
    source = root / f"chunk-{content_id([c.id for c in chunks])[:6]}"
    write_rows(source / "chunks.parquet", chunks, Chunk)
    output = root / f"embed-{content_id([c.id for c in chunks])[:6]}"
    output.mkdir(parents=True, exist_ok=True)
    job = StageJob(settings, {"chunk": source}, output, previous, Workspace(root).state, lambda *_: None)
    embed.run(job)
    return job


@pytest.fixture(scope="session")
def settings() -> Settings:
    return configuration.load()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> StageJob:
    chunks = [chunk(uri, text) for uri, text in TEXTS.items()]
    return embedded(tmp_path_factory.mktemp("index"), chunks, settings)
