"""Learning from preferred answers: the published loss, rows that share their prompt, and a phase that can be killed."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.artifacts import StageJob, read_json, sha256_file, write_lines
from pipelines.contracts import Preference, content_id
from pipelines.generation.models import load_causal, load_tokenizer
from pipelines.settings import Settings
from pipelines.training.dpo import Preferring, dpo_losses, pair_groups, pairs_of
from pipelines.training.grouping import Group, Row, collate
from pipelines.training.objectives import AnswerLoss
from pipelines.training.train import train
from tests.training.conftest import example, stage_job
from tests.training.test_grouping import Plain
from tests.training.test_patience import killed_at


def preference(question: str, chosen: str, rejected: str, *, context: str = "a", split: str = "train") -> Preference:
    asked = example(question, "", context=context)
    return Preference(
        id=content_id(question, chosen, rejected, context),
        messages=asked.messages[:-1],
        chosen=chosen,
        rejected=rejected,
        chunk_ids=(context,),
        document=asked.document,
        origin="feedback",
        split=split,
    )


PAIRS = [
    preference(question, chosen, rejected, context=context)
    for context in "ab"
    for question, chosen, rejected in (
        ("How many days?", "27 days", "24 days"),
        ("When do they expire?", "31 March", "Never"),
        ("Where?", "Kendal", "In the office, as everybody knows"),
    )
]
HELD = [preference("How many days?", "27 days", "24 days", context="v", split="validation")]


def log_probability(model: Any, row: Row) -> torch.Tensor:
    """Of one answer the plain way: a full row of its own."""
    ids = torch.tensor([[*row.prompt, *row.answer]])
    of_tokens = model(input_ids=ids).logits[0, len(row.prompt) - 1 : -1].log_softmax(-1)
    return of_tokens.gather(1, torch.tensor(row.answer)[:, None]).sum()


# --- the loss ----------------------------------------------------------------------------------


def test_the_loss_is_the_papers() -> None:
    # Two pairs by hand, beta 0.1. First: the policy raised the chosen by 2 and lowered the rejected by 3 nats, so
    # the margin is .1 * (2 - -3) = .5 and the loss -log(1 / (1 + e^-.5)) = log(1 + e^-.5). Second: nothing moved.
    reference = torch.tensor([[-10.0, -7.0], [-4.0, -5.0]])
    policy = reference + torch.tensor([[2.0, -3.0], [0.0, 0.0]])
    losses, margins = dpo_losses(policy, reference, 0.1)
    assert margins.tolist() == pytest.approx([0.5, 0.0])
    assert losses.tolist() == pytest.approx([math.log(1 + math.exp(-0.5)), math.log(2)])


def test_its_gradient_weighs_pairs_by_how_wrong_they_are() -> None:
    # The paper's gradient below eq. 7: -beta * sigmoid(-margin) for log policy(chosen), the same with + for rejected.
    reference, beta = torch.tensor([[-10.0, -7.0]]), 0.3
    policy = torch.tensor([[-11.0, -5.0]], requires_grad=True)  # margin .3 * (-1 - 2) = -.9
    dpo_losses(policy, reference, beta)[0].sum().backward()
    weight = beta / (1 + math.exp(-0.9))
    assert policy.grad.tolist()[0] == pytest.approx([-weight, weight])


# --- rows --------------------------------------------------------------------------------------


def test_rows_of_a_group_are_as_likely_as_alone_and_give_the_same_gradient(tiny_base: Path) -> None:
    model = load_causal(tiny_base, "float32")
    groups, left_out = pair_groups(PAIRS, load_tokenizer(tiny_base), max_tokens=400)
    assert left_out == 0
    assert [len(made.rows) for made in groups] == [6, 6]  # a context's three pairs together
    alone = torch.stack([log_probability(model, row) for made in groups for row in made.rows])
    shared = AnswerLoss(Plain(model))(collate(groups), by_row=True)
    torch.testing.assert_close(shared, alone, atol=1e-4, rtol=1e-5)
    reference = (alone.detach() + torch.linspace(-1, 1, len(alone))).tolist()
    kept = {made: reference[6 * number : 6 * number + 6] for number, made in enumerate(groups)}
    dpo_losses(alone.view(-1, 2), torch.tensor(reference).view(-1, 2), 0.1)[0].sum().backward()
    expected = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()
    figures = Preferring(kept, 0.1).figures(AnswerLoss(Plain(model)), groups, torch.device("cpu"))
    figures[0].backward()
    for weight, gradient in zip(model.parameters(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient, atol=1e-5, rtol=1e-4)


def test_a_pair_alone_shares_its_whole_prompt_and_is_never_cut_in_two(tiny_base: Path) -> None:
    tokenizer = load_tokenizer(tiny_base)
    [one] = pair_groups(PAIRS[:1], tokenizer, max_tokens=400)[0]
    assert one.prefix == len(one.rows[0].prompt) - 1
    cut, left_out = pair_groups(PAIRS, tokenizer, max_tokens=one.tokens + 2)  # room for one, seldom for two
    assert len(cut) > 2
    assert all(len(made.rows) % 2 == 0 and made.tokens <= one.tokens + 2 for made in cut)
    assert pairs_of(cut) + left_out == len(PAIRS)
    assert pair_groups(PAIRS, tokenizer, max_tokens=5) == ([], 6)


def test_groups_that_are_equal_are_one_key() -> None:
    rows = (Row((1, 2), (3,)), Row((1, 2), (4,)))
    assert {Group(1, rows): 1.0}[Group(1, rows)] == 1.0


# --- the phase ---------------------------------------------------------------------------------


def preferring(settings: Settings, **changes: Any) -> Settings:
    dpo = settings.training.dpo.model_copy(update={"epochs": 4, "learning_rate": 0.005, **changes})
    training = {"dpo": dpo, "batch_tokens": 150, "micro_batch_tokens": 150, "epochs": 2}
    return settings.model_copy(update={"training": settings.training.model_copy(update=training)})


@pytest.fixture(scope="module")
def dataset(dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs") / "dataset"
    shutil.copytree(dataset_folder, folder)
    write_lines(folder / "preferences.jsonl", [*PAIRS, *HELD])
    return folder


@pytest.fixture(scope="module")
def trained(dataset: Path, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> StageJob:
    job = stage_job(preferring(tiny_settings), {"dataset": dataset}, tmp_path_factory.mktemp("trained"))
    train(job)
    return job


def test_the_phase_begins_at_the_reference_and_learns_what_was_preferred(trained: StageJob) -> None:
    curve = read_json(trained.output / "curves.json")
    first, last = [line for line in curve if "dpo_loss" in line][:: len(curve)], curve[-1]
    assert first[0]["dpo_loss"] == pytest.approx(math.log(2), abs=1e-4)  # policy and reference are the same
    assert [line["step"] for line in curve] == list(range(1, len(curve) + 1))
    assert last["dpo_loss"] < 0.5 and last["dpo_accuracy"] == 1.0 and last["dpo_margin"] > 0
    assert last["validation_dpo_accuracy"] == 1.0  # a context that was not trained on, the same question


def test_what_was_done_is_told_in_figures_on_the_page_and_on_the_card(trained: StageJob) -> None:
    told = read_json(trained.output / "training.json")
    found = told["preferences"]
    assert (found["pairs"], found["validation_pairs"], found["too_long"]) == (6, 1, 0)
    assert found["pairs_seen"] == 6 * 4  # epochs
    assert found["steps"] == found["steps_planned"]
    assert found["validation_loss_after"] != told["validation_loss"]
    page = (trained.output / "curves.html").read_text()
    assert page.count("<svg") == 2 and "Preferred answers" in page
    card = (trained.output / "adapter" / "README.md").read_text()
    assert "on 6 pairs of answers (24 seen), beta 0.1" in card and "- dpo\n" in card
    assert sha256_file(trained.inputs["dataset"] / "preferences.jsonl") in card
    names = {path.name for path in trained.output.iterdir()}
    assert names == {"adapter", "curves.html", "curves.json", "training.json"}


def test_a_phase_that_was_killed_goes_on_and_ends_bit_by_bit_equal(
    trained: StageJob, dataset: Path, tmp_path: Path
) -> None:
    job = stage_job(trained.settings, {"dataset": dataset}, tmp_path)

    def only_preferences(done: int, total: int, what: str) -> None:
        if "loss" in what:
            assert what.startswith("preferences"), "the examples were trained on again"

    killed_at(3, job, "preferences: loss")
    assert sorted(path.name for path in (job.output / "dpo").iterdir()) == ["checkpoint-00000002", "start"]
    again = StageJob(job.settings, job.inputs, job.output, None, job.state, only_preferences)
    train(again)
    assert again.notes["resumed_at_step"] == 2
    for name in ("adapter/adapter_model.safetensors", "training.json"):
        assert (job.output / name).read_bytes() == (trained.output / name).read_bytes(), name


def test_a_kill_between_the_phases_costs_the_examples_since_their_last_checkpoint(
    trained: StageJob, dataset: Path, tmp_path: Path
) -> None:
    job = stage_job(trained.settings, {"dataset": dataset}, tmp_path)
    killed_at(0, job, "preferences: the reference")
    [kept] = job.output.glob("checkpoint-*")
    train(job)
    assert kept.name == f"checkpoint-{job.notes['resumed_at_step']:08d}"
    weights = [each.output / "adapter" / "adapter_model.safetensors" for each in (trained, job)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


def test_no_pairs_is_said_and_the_examples_get_all_the_time(
    dataset_folder: Path, tiny_settings: Settings, tmp_path: Path
) -> None:
    job = stage_job(preferring(tiny_settings), {"dataset": dataset_folder}, tmp_path)
    train(job)
    assert job.notes["warnings"] == ["training.dpo did nothing: the dataset holds no preferred answers to train on."]
    assert read_json(job.output / "training.json")["preferences"] == {
        "pairs": 0,
        "validation_pairs": 0,
        "too_long": 0,
        "steps": 0,
    }
    assert "nothing was learned from preferences" in (job.output / "adapter" / "README.md").read_text()


def test_the_time_is_divided(tiny_settings: Settings) -> None:
    from pipelines.training.dpo import Pairs, Start, settings_of_answers, settings_of_phase
    from pipelines.training.loop import Progress

    settings = preferring(tiny_settings, time_share=0.25).training  # ten minutes
    pairs = Pairs([Group(1, (Row((1, 2), (3,)), Row((1, 2), (4,))))], [])
    assert settings_of_answers(settings, pairs).minutes_at_most == 7.5
    assert settings_of_answers(settings, Pairs([], [])).minutes_at_most == 10
    # the examples took 2 minutes of their 7.5, the references one: 7 are left
    start = Start(Progress(seconds=120), 1, {}, [], 60)
    assert settings_of_phase(settings, start).minutes_at_most == 7
    assert settings_of_phase(settings, start).learning_rate == 0.005
