"""Every success of a red team, kept to be tried again: attacks.jsonl's format, one line a success.

Invariant: a regression is named by its content (`identity`), so keeping the same run twice changes nothing, and
the file is replaced whole or not at all. The canary stands as its marker: each run has its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.artifacts import read_lines, write_lines
from pipelines.contracts import Attack, Finding, content_id, gravity
from pipelines.errors import SettingsError
from pipelines.evaluation.suites import CANARY, said_with

SUCCESSES = "successes.jsonl"
"""In the stage's folder: what got through, as attacks that can be put again."""
FINDINGS = "findings.jsonl"
"""Beside it: the same as a release keeps it, with the answers (contracts.Finding)."""


@dataclass(frozen=True)
class Kept:
    """What `keep` did."""

    place: Path
    added: int
    known: int
    """Successes that the file held before."""


def identity(attack: Attack) -> str:
    """What is sent and what counts as success; neither id nor severity."""
    success = [each.model_dump(mode="json") for each in attack.success]
    turns = [[each.model_dump(mode="json") for each in attack.turns]] if attack.turns else []
    return content_id(attack.prompt, attack.injected_passage, success, *turns)


def findings(through: Sequence[tuple[Attack, str]]) -> list[Finding]:
    """Attacks that got through (without this run's canary) with their answers: the gravest first, each once."""
    ordered = sorted(through, key=lambda each: gravity(each[0].severity))
    found: dict[str, Finding] = {}
    for attack, answer in ordered:
        said = {name: getattr(attack, name) for name in ("category", "severity", "prompt", "turns", "injected_passage")}
        name = identity(attack)
        found.setdefault(name, Finding(id=name, attack=attack.id, answer=answer, **said))
    return list(found.values())


def disarmed(attack: Attack, canary: str) -> Attack:
    """The attack with the marker in place of this run's canary."""
    success = tuple(
        each.model_copy(update={"values": tuple(value.replace(canary, CANARY) for value in each.values)})
        for each in attack.success
    )
    return attack.model_copy(update={**said_with(attack, canary, CANARY), "success": success})


def keep(stage: Path, place: Path) -> Kept:
    """Add the successes of a finished red team to a file of regressions, which is made where there is none.

    Raises SettingsError when the stage has not run, QuestionFileError for a damaged file.
    """
    if not (stage / SUCCESSES).exists():
        raise SettingsError(f"{stage / SUCCESSES} is not there. Run `groundwork stage redteam` first.")
    found = read_lines(stage / SUCCESSES, Attack)
    held = read_lines(place, Attack) if place.exists() else []
    names = {identity(each) for each in held}
    fresh = {identity(each): each for each in found if identity(each) not in names}
    if fresh:
        write_lines(place, [*held, *(_named(each, name) for name, each in fresh.items())])
    return Kept(place, len(fresh), len({identity(each) for each in found} & names))


def _named(attack: Attack, name: str) -> Attack:
    """Where it comes from, and a part of its content's name: two forms of one attack are two regressions."""
    return attack.model_copy(update={"id": f"{attack.id}@{name[:8]}"})
