"""Learning from preferred answers: direct preference optimisation (Rafailov et al. 2023, arXiv:2305.18290, eq. 7).

A phase after the examples. The reference is the adapter as they left it; its log-probabilities are computed once and
kept beside its weights in `dpo/start`, so that a killed phase goes on without repeating the examples.
Invariants: chosen and rejected of a pair are two rows of one group, so their prompt is computed once and each is as
likely as in a row of its own; a phase that goes on ends bit by bit as one that was not interrupted (on a CPU).
Limits: no dropout in this phase, in either adapter (it would blur the ratio of the two); pairs longer than
`training.max_tokens` are left out and counted.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import read_json, read_lines, replacing, write_json
from pipelines.contracts import Message, Preference
from pipelines.settings import Training
from pipelines.training.grouping import Group, Row, collate, in_groups, shared_prefix, tokenise_turns

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

    from pipelines.training.loop import Progress

PREFERENCES = "preferences.jsonl"
PLACE = "dpo"
START = "start"
VALIDATION_TOKENS = 8192
"""At most this many tokens of validation pairs are looked at in one validation."""


@dataclass(frozen=True)
class Pairs:
    """Preferred answers, tokenised. Rows of a group: chosen, rejected, chosen, rejected ..."""

    train: list[Group]
    validation: list[Group]
    too_long: int = 0

    @property
    def count(self) -> int:
        """Pairs that are trained on."""
        return pairs_of(self.train)


def pairs_of(groups: Sequence[Group]) -> int:
    """How many pairs groups hold."""
    return sum(len(made.rows) for made in groups) // 2


def read_pairs(dataset: Path, tokenizer: Any, *, max_tokens: int) -> Pairs:
    """The pairs of a dataset's `preferences.jsonl`; none where there is no such file."""
    place = dataset / PREFERENCES
    preferences = read_lines(place, Preference) if place.exists() else []
    if not preferences:
        return Pairs([], [])
    train, long_train = pair_groups([p for p in preferences if p.split == "train"], tokenizer, max_tokens=max_tokens)
    held = [p for p in preferences if p.split == "validation"]
    validation, long_validation = pair_groups(held, tokenizer, max_tokens=max_tokens)
    return Pairs(train, validation, long_train + long_validation)


def pair_groups(preferences: Sequence[Preference], tokenizer: Any, *, max_tokens: int) -> tuple[list[Group], int]:
    """Groups of whole pairs, those with equal passages together; and how many pairs were too long."""
    if not preferences:
        return [], 0
    turns = [
        (*preference.messages, Message(role="assistant", content=answer))
        for preference in preferences
        for answer in (preference.chosen, preference.rejected)
    ]
    rows = tokenise_turns(turns, tokenizer)
    shared: dict[tuple[str, ...], list[tuple[Row, ...]]] = {}
    for preference, pair in zip(preferences, zip(rows[::2], rows[1::2], strict=True), strict=True):
        if Group(shared_prefix([row.prompt for row in pair]), pair).tokens <= max_tokens:
            shared.setdefault(preference.chunk_ids, []).append(pair)
    groups = [made for together in shared.values() for made in in_groups(together, max_tokens)]
    return groups, len(preferences) - pairs_of(groups)


def dpo_losses(policy: "torch.Tensor", reference: "torch.Tensor", beta: float) -> "tuple[torch.Tensor, torch.Tensor]":
    """Loss and reward margin of each pair, float32 [pairs] both.

    `policy`, `reference`: log-probabilities of whole answers, float32 [pairs, 2], chosen then rejected. With the
    reward r(y) = beta (log policy(y) - log reference(y)), the margin is r(chosen) - r(rejected) and the loss
    -log sigmoid(margin): log 2 where the two adapters are the same (arXiv:2305.18290, eq. 7).
    """
    import torch

    rewards = beta * (policy - reference)
    margins = rewards[:, 0] - rewards[:, 1]
    return -torch.nn.functional.logsigmoid(margins), margins


class Preferring:
    """The objective: the mean over pairs of the DPO loss, with margin and accuracy (margins above zero) beside it."""

    names: tuple[str, ...] = ("dpo_loss", "dpo_margin", "dpo_accuracy")
    validated: tuple[str, ...] = ("validation_dpo_loss", "validation_dpo_margin", "validation_dpo_accuracy")
    validation_tokens = VALIDATION_TOKENS

    def __init__(self, references: Mapping[Group, Sequence[float]], beta: float) -> None:
        self.references, self.beta = references, beta

    def size(self, groups: Sequence[Group]) -> int:
        """Pairs."""
        return pairs_of(groups)

    def figures(self, loss: Any, groups: Sequence[Group], device: "torch.device") -> "torch.Tensor":
        """[3]: sums of loss, margin, and of pairs whose margin is above zero."""
        import torch

        from pipelines.training.objectives import on_device

        policy = loss(on_device(collate(groups), device), by_row=True).view(-1, 2)
        kept = [value for made in groups for value in self.references[made]]
        losses, margins = dpo_losses(policy, torch.tensor(kept, device=device).view(-1, 2), self.beta)
        told = margins.detach()
        return torch.stack([losses.sum(), told.sum(), (told > 0).float().sum()])


@dataclass(frozen=True)
class Start:
    """Where the phase begins: what the examples left."""

    answers: "Progress"
    answers_planned: int
    masters: "dict[str, torch.Tensor]"
    references: list[list[float]]
    """Log-probability of each row, by group: of the training pairs, then of the validation pairs."""
    seconds: float
    """That the references took."""


def log_probabilities(loss: Any, groups: Sequence[Group], accelerator: "Accelerator") -> list[list[float]]:
    """Log-probability of each row's answer, by group; processes share the groups out."""
    import torch

    from pipelines.training.objectives import on_device

    plain = accelerator.unwrap_model(loss).eval()  # DDP would wait for the others at every pass
    ends = [0]
    for made in groups:
        ends.append(ends[-1] + len(made.rows))
    found = torch.zeros(ends[-1], device=accelerator.device)
    with torch.no_grad():
        for number in range(accelerator.process_index, len(groups), accelerator.num_processes):
            batch = on_device(collate([groups[number]]), accelerator.device)
            found[ends[number] : ends[number + 1]] = plain(batch, by_row=True)
    plain.train()
    values = accelerator.reduce(found, reduction="sum").tolist()  # zero but in one process
    return [values[first:end] for first, end in pairwise(ends)]


def write_start(place: Path, start: Start) -> None:
    """Keep where the phase begins, under the training's output `place`."""
    from safetensors.torch import save_file

    with replacing(place / PLACE / START) as fresh:
        fresh.mkdir()
        save_file(start.masters, fresh / "masters.safetensors")
        held = {name: getattr(start, name) for name in ("answers_planned", "references", "seconds")}
        write_json(fresh / "start.json", held | {"answers": asdict(start.answers)})


def read_start(place: Path, device: "torch.device") -> Start | None:
    """Where a phase began that was interrupted; None where none has begun."""
    from safetensors.torch import load_file

    from pipelines.training.loop import Progress

    folder = place / PLACE / START
    if not folder.exists():
        return None
    held = read_json(folder / "start.json")
    masters = load_file(folder / "masters.safetensors", device=str(device))
    return Start(masters=masters, **{**held, "answers": Progress.of(held["answers"])})


def clear(place: Path) -> None:
    """Remove what the phase kept to be resumed."""
    shutil.rmtree(place / PLACE, ignore_errors=True)


def settings_of_phase(settings: Training, start: Start) -> Training:
    """The run's settings with the phase's epochs and learning rate, and the time that is left."""
    left = settings.minutes_at_most - (start.answers.seconds + start.seconds) / 60
    chosen = {"epochs": settings.dpo.epochs, "learning_rate": settings.dpo.learning_rate, "minutes_at_most": left}
    return settings.model_copy(update=chosen)


def settings_of_answers(settings: Training, pairs: Pairs) -> Training:
    """The run's settings with the time that the examples may take: all of it where no pairs follow."""
    share = settings.dpo.time_share if pairs.train else 0.0
    return settings.model_copy(update={"minutes_at_most": settings.minutes_at_most * (1 - share)})


def without_dropout(model: Any) -> None:
    """Layers that would drop keep everything from here on."""
    import torch

    for layer in model.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
