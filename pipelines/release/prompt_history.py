"""Which prompts releases use: name, version, and the digest of the text.

A version is a label that people give; the digest follows the text. Invariant: a prompt is the same where its digest
is, whatever its label; a label that stands for two texts is found here.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

from sqlalchemy import select

from pipelines.artifacts import ObjectStore
from pipelines.contracts import Contract, Release
from pipelines.errors import SettingsError, StageError
from pipelines.generation.prompts import load_prompt
from pipelines.retrieval.rewriting import load_rewrite_prompt
from pipelines.store import ReleaseRow, Store

PARTS = ("prompt", "training_prompt", "rewrite_prompt")


class Label(Contract):
    """What a prompt is called, and what it is."""

    part: str
    """prompt (serving), training_prompt or rewrite_prompt."""
    name: str
    version: int
    digest: str
    examples: int = 0


class Used(Contract):
    """A prompt with the releases that use it, newest first."""

    label: Label
    releases: tuple[str, ...]
    states: tuple[str, ...]


def label_of(part: str, place: Path) -> Label:
    """The label of a prompt file. Raises SettingsError for a file that is no prompt of that kind."""
    if part == "rewrite_prompt":
        rewrite = load_rewrite_prompt(place)
        return Label(part=part, name=rewrite.name, version=rewrite.version, digest=rewrite.digest)
    held = load_prompt(place)
    return Label(part=part, name=held.name, version=held.version, digest=held.digest, examples=len(held.examples))


def used(store: Store, objects: ObjectStore) -> list[Used]:
    """Every prompt of every release, newest first. A stored prompt that cannot be read is left out."""
    found: dict[Label, list[tuple[str, str]]] = {}
    with store.reading() as session:
        rows = session.scalars(select(ReleaseRow).order_by(ReleaseRow.number.desc())).all()
        held = [(Release.model_validate(row.manifest), row.state) for row in rows]
    for release, state in held:
        for label in labels(release, objects):
            found.setdefault(label, []).append((release.id, state))
    return [
        Used(label=label, releases=tuple(name for name, _ in by), states=tuple(state for _, state in by))
        for label, by in found.items()
    ]


def labels(release: Release, objects: ObjectStore) -> list[Label]:
    """The prompts of a release, from the object store."""
    found = []
    for part in PARTS:
        try:
            found.append(label_of(part, objects.get(release.objects[part])))
        except (KeyError, StageError, SettingsError):  # of an older form, or erased: `release verify` says so
            continue
    return found


def relabelled(known: Iterable[Used], label: Label) -> Used | None:
    """A prompt of releases that carries the same name and version with another text, or None."""
    same = (each for each in known if (each.label.part, each.label.name) == (label.part, label.name))
    return next(
        (each for each in same if each.label.version == label.version and each.label.digest != label.digest), None
    )


def told(label: Label, other: Used) -> str:
    """What is wrong with a label, and how to mend it."""
    return (
        f"The {label.part.replace('_', ' ')} {label.name} says version {label.version}, under which release "
        f"{other.releases[0][:12]} uses another text ({other.label.digest[:12]}; this one is {label.digest[:12]}): "
        "raise its version."
    )


def warnings(known: Sequence[Used], release: Release, objects: ObjectStore) -> list[str]:
    """A line for each prompt of a release whose label stood for another text before."""
    return [told(label, other) for label in labels(release, objects) if (other := relabelled(known, label))]
