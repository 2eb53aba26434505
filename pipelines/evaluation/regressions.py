"""Every success of a red team, kept to be tried again: attacks.jsonl's format, one line a success.

Invariant: a regression is named by its content (`identity`), so keeping the same run twice changes nothing, and
the file is replaced whole or not at all. The canary stands as its marker: each run has its own.
"""

from dataclasses import dataclass
from pathlib import Path

from pipelines.artifacts import read_lines, write_lines
from pipelines.contracts import Attack, content_id
from pipelines.errors import SettingsError
from pipelines.evaluation.suites import CANARY

SUCCESSES = "successes.jsonl"
"""In the stage's folder: what got through, as attacks that can be put again."""


@dataclass(frozen=True)
class Kept:
    """What `keep` did."""

    place: Path
    added: int
    known: int
    """Successes that the file held before."""


def identity(attack: Attack) -> str:
    """What is sent and what counts as success; neither id nor severity."""
    return content_id(attack.prompt, attack.injected_passage, [each.model_dump(mode="json") for each in attack.success])


def disarmed(attack: Attack, canary: str) -> Attack:
    """The attack with the marker in place of this run's canary."""
    success = tuple(
        each.model_copy(update={"values": tuple(value.replace(canary, CANARY) for value in each.values)})
        for each in attack.success
    )
    passage = attack.injected_passage.replace(canary, CANARY) if attack.injected_passage else attack.injected_passage
    changes = {"prompt": attack.prompt.replace(canary, CANARY), "injected_passage": passage, "success": success}
    return attack.model_copy(update=changes)


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
