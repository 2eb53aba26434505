"""The doors of prompts: check one, list those of releases. Rooms composed, nothing computed."""

from pathlib import Path
from typing import Any

from pipelines.errors import SettingsError
from pipelines.generation.prompts import PromptTemplate
from pipelines.release import prompt_history
from pipelines.workspaces import Choices, Opened, open_workspace


def check(choices: Choices, file: Path) -> dict[str, Any]:
    """A prompt file: what it is, what it takes of the base model's context, what it leaves.

    Raises SettingsError for one that is malformed, leaves passages too little, or carries a version under which
    releases use another text.
    """
    from pipelines.generation.room import measured, need_room

    opened = open_workspace(choices)
    label = prompt_history.label_of("prompt", file.absolute())
    prompt = load(file)
    room = measured(prompt, opened.settings, opened.workspace.state)
    need_room(prompt, opened.settings, room, where=str(file))
    known = history(opened)
    if (other := prompt_history.relabelled(known, label)) is not None:
        raise SettingsError(f"{file}: {prompt_history.told(label, other)}")
    same = [name for each in known if each.label.digest == label.digest for name in each.releases]
    return {
        "file": str(file),
        "name": label.name,
        "version": label.version,
        "digest": label.digest,
        "base_model": opened.settings.generation.base_model,
        "tokens": {
            "context": room.context,
            "frame": room.frame,
            "examples": room.examples,
            "answer": room.answer,
            "left": room.left,
            "passages_at_most": room.needed,
        },
        "examples": label.examples,
        "releases": same,
        "notes": notes(prompt),
    }


def load(file: Path) -> PromptTemplate:
    """A prompt named on the command line: relative to where the caller stands."""
    from pipelines.generation.prompts import load_prompt

    return load_prompt(file.absolute())


def notes(prompt: PromptTemplate) -> list[str]:
    """What is no error, and yet likely not meant."""
    told = []
    if prompt.refusal not in prompt.system:
        told.append("`system` does not hold the refusal: a model can only say the words that it was told.")
    if prompt.examples and all(example.answer == prompt.refusal for example in prompt.examples):
        told.append("Every example refuses: a small model will do the same.")
    return told


def listed(choices: Choices) -> list[dict[str, Any]]:
    """The prompts of releases, newest first."""
    return [
        {**each.label.model_dump(mode="json"), "releases": list(each.releases), "states": list(each.states)}
        for each in history(open_workspace(choices))
    ]


def history(opened: Opened) -> list[prompt_history.Used]:
    """What releases of the workspace use; nothing where there is no workspace yet."""
    from pipelines.verbs import database

    if not opened.workspace.state.exists():
        return []
    store = database(opened)
    try:
        return prompt_history.used(store, opened.workspace.objects)
    finally:
        store.close()
