"""What a flow is asked for: typed, so that the Prefect UI shows a form and refuses a bad value."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pipelines.documents.sources.locations import absolute
from pipelines.workspaces import Choices


class Where(BaseModel):
    """Which workspace, under which settings."""

    model_config = ConfigDict(extra="forbid")

    workspace: Path | None = Field(None, description="Folder of stage outputs and state. Empty: data/.")
    profile: Literal["local", "gpu", "cluster"] = Field("local", description="Settings for the machine it runs on.")
    config: Path | None = Field(None, description="A YAML file laid over the profile.")
    sources: tuple[str, ...] = Field(
        (),
        description="Folders, files, globs, archives, https://, s3:// or git+https:// addresses. "
        "Empty: those of the settings.",
    )
    refresh: bool = Field(True, description="Fetch what has changed of remote sources before ingest.")
    questions: Path | None = Field(None, description="Question file (JSON Lines). Empty: that of the settings.")
    keep_adapter: bool = Field(
        False, description="Train nothing: the candidate has the adapter of the release in production."
    )

    def choices(self) -> Choices:
        """The same, as the verbs take it."""
        return Choices(self.workspace, self.config, self.profile, self.sources, self.questions, self.keep_adapter)


def where(choices: Choices) -> Where:
    """A form filled in by the CLI, which has refreshed the sources itself."""
    values: dict[str, Any] = {
        "refresh": False,
        "workspace": choices.workspace and choices.workspace.absolute(),
        "config": choices.config and choices.config.absolute(),
        "sources": tuple(absolute(source) for source in choices.sources),
        "questions": choices.questions and choices.questions.absolute(),
        "keep_adapter": choices.keep_adapter,
    }
    return Where(**values, **({"profile": choices.profile} if choices.profile else {}))


class Verdict(BaseModel):
    """A reviewer's decision, as the form asks for it."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["approve", "reject"] = Field(description="What you decide.")
    by: str = Field(min_length=1, description="Who you are. Nobody approves what they trained.")
    why: str = Field(min_length=1, description="Your reason; it is kept with the decision.")
    release: str | None = Field(None, description="Release id or its beginning. Empty: the only pending one.")
    role: str | None = Field(None, description="In which role you decide. Empty: the one that the policy leaves open.")
    report_digest: str | None = Field(
        None, description="Digest of the report that you read; a release with another report is refused."
    )
