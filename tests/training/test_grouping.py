"""Sharing a context must change the arithmetic, never the loss."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.errors import DatasetError
from pipelines.generation.models import load_causal, load_tokenizer
from pipelines.training.grouping import Group, Row, collate, group, micro_batches, shared_prefix, tokenise
from pipelines.training.objectives import AnswerLoss
from tests.training.conftest import example


class Plain(torch.nn.Module):  # type: ignore[misc]
    """AnswerLoss asks for a peft model; this gives it a plain one."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.inner = model

    def get_base_model(self) -> Any:
        return self.inner


def _rows() -> list[Row]:
    # three rows that share 1..5, with answers of different length
    return [
        Row((1, 2, 3, 4, 5, 10), (20, 2)),
        Row((1, 2, 3, 4, 5, 11, 12), (21, 22, 2)),
        Row((1, 2, 3, 4, 5, 13), (2,)),
    ]


def _separate(model: Any, row: Row) -> torch.Tensor:
    """The loss of one example, computed the plain way: full row, labels on the answer."""
    ids = torch.tensor([[*row.prompt, *row.answer]])
    logits = model(input_ids=ids).logits[0, len(row.prompt) - 1 : -1]
    return torch.nn.functional.cross_entropy(logits, torch.tensor(row.answer), reduction="sum")


def test_a_shared_context_gives_the_loss_and_gradients_of_separate_rows(tiny_base: Path) -> None:
    model = load_causal(tiny_base, "float32")
    rows = _rows()
    other = Group(prefix=3, rows=(Row((7, 8, 9, 30, 31), (32, 2)),))  # padded beside the longer group
    separate = sum(_separate(model, row) for row in [*rows, *other.rows])
    separate.backward()
    expected = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    shared = AnswerLoss(Plain(model))(collate([Group(prefix=5, rows=tuple(rows)), other]))
    shared.backward()
    assert float(shared) == pytest.approx(float(separate), abs=1e-4)
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=1e-4, rtol=1e-4)


def test_no_question_sees_another(tiny_base: Path) -> None:
    # Changing the tokens of the second row leaves the first row's loss untouched to the last bit.
    model = load_causal(tiny_base, "float32")
    first, second = _rows()[:2]
    changed = Row((*second.prompt[:5], 99, 98), second.answer)

    def logits(rows: tuple[Row, ...]) -> torch.Tensor:
        batch = collate([Group(5, rows)])
        hidden = model.model(input_ids=batch.input_ids, attention_mask=batch.mask, position_ids=batch.position_ids)
        return hidden.last_hidden_state[0, : first.tokens]

    assert torch.equal(logits((first, second)), logits((first, changed)))


def test_tokens_are_counted_once_for_the_shared_part() -> None:
    # rows of 6+2-1=7, 7+3-1=9 and 6+1-1=6 tokens, 5 of each shared: 5 + 2 + 4 + 1 = 12
    made = Group(5, tuple(_rows()))
    assert [row.tokens for row in made.rows] == [7, 9, 6]
    assert made.tokens == 12
    assert made.targets == 2 + 3 + 1
    assert collate([made]).input_ids.shape == (1, 12)


def test_equal_prompts_keep_their_last_token_apart() -> None:
    assert shared_prefix([(1, 2, 3), (1, 2, 3)]) == 2
    assert shared_prefix([(1, 2, 3), (1, 2)]) == 1
    assert shared_prefix([(5,), (6, 7)]) == 0


def test_only_the_answer_and_its_end_are_learned(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    row = tokenise([example("How many days?", "27 days")], tokenizer)[0]
    assert tokenizer.decode(row.answer) == "27 days<|im_end|>"
    assert tokenizer.decode(row.prompt).endswith("<|im_start|>assistant\n")


def test_a_long_group_is_cut_and_a_long_example_is_left_out(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    examples = [example(f"How many days, {n}?", "27 days") for n in range(6)] + [example("Why " * 300, "27 days")]
    rows = tokenise(examples, tokenizer)
    limit = rows[0].tokens + 40
    groups, left_out = group(examples, rows, max_tokens=limit)
    assert left_out == 1
    assert sum(len(made.rows) for made in groups) == 6
    assert len(groups) > 1
    assert all(made.tokens <= limit for made in groups)


def test_nothing_that_fits_is_an_error_that_names_the_setting(tiny_base: Path) -> None:
    rows = tokenise([example("How many days?", "27 days")], load_tokenizer(tiny_base))
    with pytest.raises(DatasetError, match=r"training\.max_tokens"):
        group([example("How many days?", "27 days")], rows, max_tokens=5)


def test_micro_batches_keep_to_their_tokens_and_lose_nothing() -> None:
    groups = [Group(n, (Row(tuple(range(n + 1)), (1, 2)),)) for n in range(5, 60)]
    batches = micro_batches(groups, tokens=128, rng=random.Random(1))
    assert sorted(made.prefix for batch in batches for made in batch) == list(range(5, 60))
    assert all(len(batch) * max(made.tokens for made in batch) <= 128 for batch in batches)
