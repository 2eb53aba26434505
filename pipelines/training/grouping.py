"""Examples -> groups that compute a shared context once -> padded batches with a block mask.

A group is a row of tokens: `prefix | question 1, answer 1 | question 2, answer 2 | ...`. Invariant: a
question sees the prefix and itself, at the positions it would have alone, so the loss of a group is the
loss of its examples in rows of their own; only the arithmetic is shared.
Limits: one group a row (attention grows with the square of a row, so short rows side by side are
cheaper than long packed ones); an example longer than `max_tokens` is left out and counted.
"""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.contracts import Example, Message
from pipelines.errors import DatasetError, ModelError

if TYPE_CHECKING:
    import torch

CHECKED_AT_ONCE = 256
"""Texts given to the tokenizer in one call."""
SHARED_OUT_FROM = 50_000
"""Texts from which starting a process a core pays."""


@dataclass(frozen=True)
class Row:
    """A tokenised example: what is given, and what is learned (end of turn included)."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]

    @property
    def tokens(self) -> int:
        """Length as a row of its own: the last answer token is predicted, never read."""
        return len(self.prompt) + len(self.answer) - 1


@dataclass(frozen=True)
class Group:
    """Rows that begin with the same `prefix` tokens; each has at least one token beyond it."""

    prefix: int
    rows: tuple[Row, ...]

    @property
    def tokens(self) -> int:
        """Length of the group's row."""
        return self.prefix + sum(row.tokens - self.prefix for row in self.rows)

    @property
    def targets(self) -> int:
        """Tokens on which a loss is taken."""
        return sum(len(row.answer) for row in self.rows)


@dataclass(frozen=True)
class Batch:
    """Tensors of some groups, padded on the right to the longest.

    `input_ids`, `position_ids`: int64 [groups, length]; `mask`: bool [groups, 1, length, length], true
    where a token (third axis) may look (fourth); `at`: int64 [targets], positions in the flattened
    [groups * length] that predict `targets`: int64 [targets]; `row`: int64 [targets], whose answer each is
    of, counted over all `rows` of the groups in order.
    """

    input_ids: "torch.Tensor"
    position_ids: "torch.Tensor"
    mask: "torch.Tensor"
    at: "torch.Tensor"
    targets: "torch.Tensor"
    row: "torch.Tensor"
    rows: int
    tokens: int
    """Tokens without padding."""


def tokenise(examples: Sequence[Example], tokenizer: Any) -> list[Row]:
    """The rows of examples, in order, with the text that serving renders. Raises as `tokenise_turns`."""
    return tokenise_turns([example.messages for example in examples], tokenizer)


def tokenise_turns(conversations: Sequence[Sequence[Message]], tokenizer: Any) -> list[Row]:
    """The rows of conversations, whose last message is the answer.

    Raises ModelError when the chat template does not continue the prompt with the answer.
    """
    from pipelines.generation.models import render

    prompts = [render(tokenizer, messages[:-1], generation=True) for messages in conversations]
    whole = [render(tokenizer, messages, generation=False) for messages in conversations]
    for prompt, text in zip(prompts, whole, strict=True):
        if not text.startswith(prompt):
            raise ModelError(
                "The chat template does not begin a finished conversation with its own generation prompt, so the "
                f"answer cannot be told from the question; it ends {prompt[-40:]!r} and {text[len(prompt) - 40 :]!r}."
            )
    answers = [text[len(prompt) :] for prompt, text in zip(prompts, whole, strict=True)]
    ends = _ends_of_turn(tokenizer)
    return [
        Row(prompt=prompt, answer=_to_end(answer, ends))
        for prompt, answer in zip(_ids(prompts, tokenizer), _ids(answers, tokenizer), strict=True)
    ]


def group(examples: Sequence[Example], rows: Sequence[Row], *, max_tokens: int) -> tuple[list[Group], int]:
    """Groups of at most `max_tokens`, examples with equal passages together; and how many were too long."""
    shared: dict[tuple[str, ...], list[Row]] = {}
    for example, row in zip(examples, rows, strict=True):
        if row.tokens <= max_tokens:
            shared.setdefault(example.chunk_ids, []).append(row)
    groups = [made for together in shared.values() for made in in_groups([(row,) for row in together], max_tokens)]
    kept = sum(len(made.rows) for made in groups)
    if not kept:
        raise DatasetError(
            f"All {len(rows)} examples are longer than {max_tokens} tokens. Raise training.max_tokens, "
            "or lower retrieval.passages or chunking.size_tokens."
        )
    return groups, len(rows) - kept


def micro_batches(groups: Sequence[Group], *, tokens: int, rng: random.Random) -> list[list[Group]]:
    """Groups of similar length side by side, padding included at most `tokens` (or one group), in random order."""
    waiting = sorted(groups, key=lambda made: (made.tokens, rng.random()))
    batches: list[list[Group]] = []
    for made in waiting:
        if batches and (len(batches[-1]) + 1) * made.tokens <= tokens:
            batches[-1].append(made)
        else:
            batches.append([made])
    rng.shuffle(batches)
    return batches


def steps(batches: Sequence[list[Group]], *, tokens: int) -> Iterator[list[list[Group]]]:
    """Micro-batches gathered into optimizer steps of about `tokens`; the last one may be smaller."""
    gathered: list[list[Group]] = []
    for batch in batches:
        gathered.append(batch)
        if sum(made.tokens for kept in gathered for made in kept) >= tokens * 0.9:
            yield gathered
            gathered = []
    if gathered:
        yield gathered


def collate(groups: Sequence[Group]) -> Batch:
    """Tensors of groups side by side (see Batch)."""
    import torch

    length = max(made.tokens for made in groups)
    ids = torch.zeros(len(groups), length, dtype=torch.long)
    positions = torch.zeros(len(groups), length, dtype=torch.long)
    owner = torch.full((len(groups), length), -1, dtype=torch.long)
    at: list[int] = []
    targets: list[int] = []
    rows = [row for made in groups for row in made.rows]
    for number, made in enumerate(groups):
        laid = _laid_out(made)
        ids[number, : made.tokens] = torch.tensor(laid.ids)
        positions[number, : made.tokens] = torch.tensor(laid.positions)
        owner[number, : made.tokens] = torch.tensor(laid.owner)
        at += [number * length + place for place in laid.at]
        targets += laid.targets
    return Batch(
        input_ids=ids,
        position_ids=positions,
        mask=_mask(owner),
        at=torch.tensor(at),
        targets=torch.tensor(targets),
        row=torch.tensor([number for number, each in enumerate(rows) for _ in each.answer]),
        rows=len(rows),
        tokens=sum(made.tokens for made in groups),
    )


@dataclass(frozen=True)
class _Laid:
    """A group as parallel lists over its tokens; `owner` 0 is the prefix, n its nth row."""

    ids: list[int]
    positions: list[int]
    owner: list[int]
    at: list[int]
    targets: list[int]


def _laid_out(made: Group) -> _Laid:
    start = made.prefix
    laid = _Laid(list(made.rows[0].prompt[:start]), list(range(start)), [0] * start, [], [])
    for number, row in enumerate(made.rows, 1):
        own = [*row.prompt[start:], *row.answer[:-1]]
        first = len(laid.ids) + len(row.prompt) - start - 1
        laid.at.extend(range(first, first + len(row.answer)))
        laid.targets.extend(row.answer)
        laid.ids.extend(own)
        laid.positions.extend(range(start, start + len(own)))
        laid.owner.extend([number] * len(own))
    return laid


def _mask(owner: "torch.Tensor") -> "torch.Tensor":
    """Who may look where: int64 [groups, length] in, bool [groups, 1, length, length] out.

    Padding (-1) looks at padding before it and itself: no row of the softmax is empty.
    """
    import torch

    length = owner.shape[1]
    looks, at = owner[:, :, None], owner[:, None, :]
    before = torch.ones(length, length, dtype=torch.bool).tril()
    allowed = before & ((looks == at) | ((at == 0) & (looks > 0)))
    return allowed[:, None]


def in_groups(units: Sequence[tuple[Row, ...]], max_tokens: int) -> Iterator[Group]:
    """Cut rows with the same passages into groups that fit, keeping their order; rows of a unit stay together."""
    prefix = shared_prefix([row.prompt for unit in units for row in unit])
    kept: list[tuple[Row, ...]] = []
    for unit in units:
        if kept and Group(prefix, _rows([*kept, unit])).tokens > max_tokens:
            yield _group(kept, prefix)
            kept = []
        kept.append(unit)
    yield _group(kept, prefix)


def _group(units: Sequence[tuple[Row, ...]], prefix: int) -> Group:
    """A unit alone shares all that it can."""
    rows = _rows(units)
    return Group(prefix if len(units) > 1 else shared_prefix([row.prompt for row in rows]), rows)


def _rows(units: Sequence[tuple[Row, ...]]) -> tuple[Row, ...]:
    return tuple(row for unit in units for row in unit)


def shared_prefix(prompts: Sequence[tuple[int, ...]]) -> int:
    """How many first tokens all prompts share, leaving each at least its last one."""
    first, last = min(prompts), max(prompts)
    most = min(len(prompt) for prompt in prompts) - 1
    return next((i for i in range(most) if first[i] != last[i]), most)


def _ids(texts: Sequence[str], tokenizer: Any) -> list[tuple[int, ...]]:
    """Token ids of texts; many texts are shared out over the cores."""
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()

    def encoded(batch: dict[str, list[str]]) -> dict[str, Any]:
        return {"ids": tokenizer(batch["text"], add_special_tokens=False)["input_ids"]}

    cores = len(os.sched_getaffinity(0)) if len(texts) >= SHARED_OUT_FROM else None
    rows = Dataset.from_dict({"text": list(texts)})
    made = rows.map(encoded, batched=True, batch_size=CHECKED_AT_ONCE, num_proc=cores, remove_columns="text")
    return [tuple(ids) for ids in made["ids"]]


def _ends_of_turn(tokenizer: Any) -> frozenset[int]:
    special = set(tokenizer.all_special_ids)
    return frozenset(special - {tokenizer.bos_token_id} | {tokenizer.eos_token_id})


def _to_end(answer: tuple[int, ...], ends: frozenset[int]) -> tuple[int, ...]:
    """The answer up to and with its end of turn; what a template adds after it is not learned."""
    for place, token in enumerate(answer):
        if token in ends:
            return answer[: place + 1]
    return answer
