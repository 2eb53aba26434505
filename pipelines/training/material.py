"""dataset -> what is trained on: groups of examples that share passages, and pairs of preferred answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import read_lines
from pipelines.contracts import Example
from pipelines.errors import DatasetError
from pipelines.settings import Training

if TYPE_CHECKING:
    from pipelines.training.dpo import Pairs
    from pipelines.training.grouping import Group


@dataclass(frozen=True)
class Material:
    """What is trained on, tokenised and grouped by shared passages."""

    train: "list[Group]"
    validation: "list[Group]"
    too_long: int
    """Examples left out because they are longer than `training.max_tokens`."""
    pairs: "Pairs | None"
    """None: `training.dpo` is off."""


def read_material(dataset: Path, tokenizer: Any, settings: Training) -> Material:
    """Groups of the dataset's train and validation examples, and its pairs where they are learned from.

    Raises DatasetError when there is nothing to train on.
    """
    from pipelines.training.dpo import read_pairs

    train, long_train = _groups(dataset / "train.jsonl", tokenizer, settings)
    validation, long_validation = _groups(dataset / "validation.jsonl", tokenizer, settings)
    if not train:
        raise DatasetError(f"{dataset / 'train.jsonl'} holds no examples; run `groundwork stage dataset`.")
    pairs = read_pairs(dataset, tokenizer, max_tokens=settings.max_tokens) if settings.dpo.epochs else None
    return Material(train, validation, long_train + long_validation, pairs)


def _groups(path: Path, tokenizer: Any, settings: Training) -> "tuple[list[Group], int]":
    from pipelines.training.grouping import group, tokenise

    examples = read_lines(path, Example)
    if not examples:
        return [], 0
    return group(examples, tokenise(examples, tokenizer), max_tokens=settings.max_tokens)
