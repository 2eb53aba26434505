from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pipelines import settings
from pipelines.artifacts import StageJob

MakeJob = Callable[..., StageJob]


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """A stage job in a fresh folder; `previous` names the run whose output is taken over."""

    def make(
        stage: str,
        run: str,
        *,
        sources: Path | str,
        previous: str | None = None,
        inputs: Mapping[str, Path] | None = None,
        overrides: dict[str, object] | None = None,
    ) -> StageJob:
        output = tmp_path / run / stage
        output.mkdir(parents=True, exist_ok=True)
        chosen = {"files": {"sources": [str(sources)]}, "runtime": {"threads": 2}}
        return StageJob(
            settings=settings.load(overrides=settings.overlay(chosen, overrides or {})),
            inputs=inputs or {},
            output=output,
            previous=tmp_path / previous / stage if previous else None,
            state=tmp_path / "state",
            report=lambda done, total, what: None,
        )

    return make
