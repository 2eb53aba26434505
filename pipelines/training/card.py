"""README.md of an adapter: what it is, what it was made from, how it may be used, what it cannot do.

The layout is that of model cards (Mitchell et al., "Model Cards for Model Reporting", 2019), with the front matter that
model hubs read. Invariant: equal training gives equal bytes; only figures that were measured, none from elsewhere.
Not covered: how well it answers. That is measured after the adapter is made, and stands in a release's report.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipelines.artifacts import read_json, sha256_file, write_text
from pipelines.modelfiles import licence_of, model_digest
from pipelines.training.adapter import WEIGHTS
from pipelines.training.dpo import PREFERENCES

CARD = "README.md"
SPLITS = ("train", "validation", "golden")
METHODS = {("lora", False): "LoRA", ("qlora", False): "QLoRA", ("lora", True): "DoRA", ("qlora", True): "QDoRA"}
"""By `training.method` and `training.dora`."""
ORIGINS = {
    "curated": "Questions were written by people; those made from the documents to train on are counted apart.",
    "synthetic": "No questions were given: all are made from the documents.",
}


def write_card(output: Path, dataset: Path, base_model: str) -> None:
    """Write adapter/README.md beside what a finished training left in `output`."""
    training, held = read_json(output / "training.json"), read_json(dataset / "summary.json")
    preferred = {"preferred answers": sha256_file(dataset / PREFERENCES)} if _learned_preferences(training) else {}
    digests = {
        "base model": model_digest(base_model),
        "training examples": sha256_file(dataset / "train.jsonl"),
        "validation examples": sha256_file(dataset / "validation.jsonl"),
        **preferred,
        "adapter": sha256_file(output / "adapter" / WEIGHTS),
    }
    write_text(output / "adapter" / CARD, card(training, held, licence=licence_of(base_model), digests=digests))


def card(
    training: Mapping[str, Any], dataset: Mapping[str, Any], *, licence: str | None, digests: Mapping[str, str]
) -> str:
    """The card of a training.json and the summary.json of its dataset, as Markdown. `licence`: of the base model."""
    return "\n".join(
        [
            *_front_matter(training, licence),
            *_what_it_is(training, licence),
            *_data(dataset),
            *_training(training),
            *_preferences(training),
            *_limits(dataset, training),
            *("", "## Digests (sha256)", "", "| of | |", "|---|---|"),
            *(f"| {name} | `{digest}` |" for name, digest in digests.items()),
            "",
        ]
    )


def _learned_preferences(training: Mapping[str, Any]) -> bool:
    return training["preferences"] is not None and training["preferences"]["steps"] > 0


def _front_matter(training: Mapping[str, Any], licence: str | None) -> list[str]:
    held = {
        "base_model": training["base_model"],
        "library_name": "peft",
        "license": licence.lower() if licence else "other",
        "pipeline_tag": "text-generation",
        "tags": ["lora", *(["dpo"] if _learned_preferences(training) else []), "grounded-question-answering"],
    }
    return ["---", yaml.safe_dump(held, sort_keys=True).rstrip(), "---"]


def _what_it_is(training: Mapping[str, Any], licence: str | None) -> list[str]:
    used = training["parameters"]
    of_base = f"the base model's ({licence})" if licence else "that of the base model: its maker's page says which"
    return [
        f"# An adapter of {training['base_model']}",
        "",
        f"{METHODS[used['method'], used['dora']]} of rank {used['rank']} ({training['trainable_weights']:,} weights), "
        "trained to answer questions from the passages that it is shown, and to say so where they do not hold the "
        "answer.",
        "",
        f"- **Use it** behind the prompt that it was trained with, over passages from search. Licence: {of_base}"
        ", and whatever the documents' owners ask.",
        "- **Do not use it** without passages, as a source of facts; for other languages or tasks than those of its "
        "examples; where nobody has read the report of its release.",
        "- **How well it answers** is measured after this card is written: `groundwork release show` says where the "
        "report of its release lies.",
    ]


def _data(dataset: Mapping[str, Any]) -> list[str]:
    rows = [
        f"| {split} | {dataset['documents'].get(split, 0)} | {_examples(dataset, split)} |"
        for split in SPLITS
        if split in dataset["documents"]
    ]
    left = sum(each["count"] for each in dataset["left_out"].values()) + dataset["not_trainable"]["count"]
    return [
        "",
        "## Data",
        "",
        "| split | documents | examples |",
        "|---|---|---|",
        *rows,
        "",
        f"{ORIGINS[dataset['origin']]} {left} were left out of training. Splits go by document: no text of a golden "
        "document was shown in training.",
    ]


def _examples(dataset: Mapping[str, Any], split: str) -> str:
    if split == "golden":
        held = dataset["golden"]
        return f"{held['answerable']} answerable, {held['unanswerable']} not (kept for evaluation)"
    counts = dataset["examples"][split]
    origins = " and ".join(f"{count} {origin}" for origin, count in counts["origins"].items())
    shape = f"{counts['answerable']} to answer, {counts['refusals']} to refuse, over {counts['contexts']} contexts"
    return f"{counts['examples']} ({origins}): {shape}" if counts["examples"] else "none"


def _training(training: Mapping[str, Any]) -> list[str]:
    used = training["parameters"]
    shown = ("learning_rate", "epochs", "dtype", "seed", "alpha", "dropout")
    first, last = training["first_validation_loss"], training["validation_loss"]
    validated = "not measured" if last is None else f"{first:.3f} at first, {last:.3f} at the end"
    return [
        "",
        "## Training",
        "",
        f"{training['steps']} of {training['steps_planned']} planned steps of about {training['tokens_a_step']:,} "
        f"tokens, on {training['device']}, {training['processes']} process(es). {training['examples_seen']:,} examples "
        f"and {training['tokens_seen']:,} tokens seen. {', '.join(f'{name} {used[name]}' for name in shown)}.",
        "",
        f"Loss of answer tokens: {training['final_loss']:.3f} over the last steps; on validation {validated}."
        + _stopping(training["early_stopping"]),
    ]


def _stopping(found: Mapping[str, Any] | None) -> str:
    if found is None or not found["best_step"]:
        return ""
    ended = "Validation stopped it early" if found["stopped"] else "It ran to its end"
    return f" {ended}; the adapter of step {found['best_step']}, where the validation loss was least, was kept."


def _preferences(training: Mapping[str, Any]) -> list[str]:
    """The phase of preferred answers; nothing where it was not asked for."""
    found, used = training["preferences"], training["parameters"]["dpo"]
    if found is None:
        return []
    if not found["steps"]:
        return ["", "## Preferred answers", "", "None were in the dataset: nothing was learned from preferences."]
    final, held = found["final"], found["validation"]
    validated = "Not measured on validation pairs."
    if held:
        validated = (
            f"On {found['validation_pairs']} validation pairs at most: loss {held['validation_dpo_loss']:.3f}, reward "
            f"margin {held['validation_dpo_margin']:.2f}, {held['validation_dpo_accuracy']:.0%} ranked as people did."
        )
    after = found["validation_loss_after"]
    cost = "" if after is None else f" The loss of validation answers was {after:.3f} after it."
    return [
        "",
        "## Preferred answers",
        "",
        f"Then {found['steps']} of {found['steps_planned']} planned steps of direct preference optimisation "
        f"(arXiv:2305.18290) on {found['pairs']} pairs of answers ({found['pairs_seen']} seen), beta {used['beta']}, "
        f"learning_rate {used['learning_rate']}; the reference is the adapter of the training above. Over the last "
        f"steps: loss {final['dpo_loss']:.3f}, reward margin {final['dpo_margin']:.2f}, "
        f"{final['dpo_accuracy']:.0%} of pairs ranked as people did. {validated}{cost}"
        + _stopping(found["early_stopping"]),
    ]


def _limits(dataset: Mapping[str, Any], training: Mapping[str, Any]) -> list[str]:
    tokens = dataset["context_tokens"]
    told = [
        "It knows no more than its passages; a wrong passage gives a wrong answer.",
        f"Contexts of at most {tokens['max']:.0f} tokens were shown in training; {training['too_long']} examples were "
        "longer than `training.max_tokens` and left out.",
        "Its examples are single questions, follow-ups completed: it learnt nothing of what was said before.",
    ]
    if dataset["golden_is_synthetic"]:
        told.append("It is evaluated on questions made from the documents: what people will ask may differ.")
    if training["steps"] < training["steps_planned"] and not (training["early_stopping"] or {}).get("stopped"):
        told.append(
            f"The time limit cut its {training['steps_planned']} planned steps to {training['steps']}, over which the "
            "learning rate came down: it has not seen every example as often as `training.epochs` says."
        )
    return ["", "## Limits", "", *(f"- {each}" for each in told)]
