"""What kind of release it is follows from the parts; a kept adapter has seen nothing golden; a version is one text."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.artifacts import Workspace, read_json, sha256_file, write_rows
from pipelines.contracts import Document, Release
from pipelines.errors import DatasetError, DecisionError, ModelError
from pipelines.release import listing, prompt_history
from pipelines.release.keeping import kept, seen_again
from pipelines.release.kinds import FULL, SAME, kind_of
from pipelines.settings import load
from pipelines.store import ReleaseRow
from tests.release.candidates import STAGE_FILE
from tests.release.conftest import Desk

PARTS = dict.fromkeys(("adapter", "base_model", "index", "prompt", "guardrail_policy", "retrieval", "report"), "old")


@pytest.mark.parametrize(
    ("changed", "kind"),
    [
        (("prompt", "report", "decision"), "prompt-only"),
        (("rewrite_prompt",), "prompt-only"),
        (("index", "documents", "dataset"), "index-only"),
        (("gate_policy",), "policy-only"),
        (("retrieval",), "settings-only"),
        (("index", "prompt", "targets"), "prompt, index and policy"),
        (("adapter", "training", "index"), FULL),
        (("base_model",), FULL),
        (("dataset", "report"), SAME),
    ],
)
def test_the_kind_follows_from_the_parts_that_differ(changed: tuple[str, ...], kind: str) -> None:
    assert kind_of({**PARTS, **dict.fromkeys(changed, "new")}, PARTS) == kind


def test_without_a_champion_a_release_is_full() -> None:
    assert kind_of(PARTS, None) == FULL


def test_a_release_is_listed_with_its_kind(desk: Desk) -> None:
    first = desk.pending()
    second = desk.pending(prompt="Answer in a word.")
    with desk.store.deciding() as session:
        row = session.get(ReleaseRow, second)
        assert row is not None
        row.manifest = {**row.manifest, "succeeds": first}
    assert [each.kind for each in listing.releases(desk.store, desk.policy)] == ["prompt-only", FULL]


# --- keeping ---


def test_golden_documents_that_were_trained_on_are_found_by_name_and_by_bytes() -> None:
    old = {"a": "train", "b": "validation", "c": "golden"}, {"a": "1", "b": "2", "c": "3"}
    # a stays trained on; b is golden now; moved.md is a's bytes under another name; new.md was never seen
    new = {"a": "train", "b": "golden", "c": "golden", "moved.md": "golden", "new.md": "golden"}
    bytes_now = {"a": "1", "b": "2-edited", "c": "3", "moved.md": "1", "new.md": "9"}
    assert seen_again(old, (new, bytes_now)) == ["b", "moved.md"]


def document(uri: str, text: str) -> Document:
    return Document(id=uri, uri=uri, media_type="text/plain", sha256=text, title=uri, text=text)


def dataset(workspace: Workspace, splits: dict[str, str]) -> None:
    """Documents and splits as the stages leave them, in the workspace."""
    write_rows(
        workspace.stage("ingest") / "documents.parquet", [document(uri, f"text of {uri}") for uri in splits], Document
    )
    place = workspace.stage("dataset") / "splits.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(splits))


def in_production(desk: Desk, name: str, splits: dict[str, str], **how: Any) -> Release:
    """A release whose stored documents and dataset are those."""
    dataset(desk.workspace, splits)
    release = desk.pending(name, **how)
    with desk.store.deciding() as session:
        row = session.get(ReleaseRow, release)
        assert row is not None
        manifest = Release.model_validate(row.manifest)
        objects = {part: desk.workspace.objects.put(desk.workspace.stage(stage)) for part, stage in
                   (("documents", "ingest"), ("dataset", "dataset"), ("training", "train"))}  # fmt: skip
        row.manifest = manifest.model_copy(update={"objects": {**manifest.objects, **objects}}).model_dump(mode="json")
        row.state = "production"
    return listing.manifest(desk.store, release)


def test_the_adapter_in_production_is_kept_with_who_trained_it(desk: Desk) -> None:
    release = in_production(desk, "first", {"a": "train", "b": "golden"})
    held = kept(desk.workspace, load(), desk.store)
    assert held.release == release.parts["training"]  # by content: an approval changes no stage's key
    assert read_json(held.folder / "kept.json") == {"release": release.id, "trained_by": "trainer"}
    trained = desk.workspace.stage("train") / "adapter" / "weights.json"
    assert sha256_file(held.folder / "training" / "adapter" / "weights.json") == sha256_file(trained)
    assert (held.folder / "training" / STAGE_FILE).exists()


def test_an_adapter_that_saw_a_golden_document_is_not_kept(desk: Desk) -> None:
    in_production(desk, "first", {"a": "train", "b": "golden"})
    dataset(desk.workspace, {"a": "golden", "b": "golden", "c": "train"})
    with pytest.raises(DatasetError, match=r"1 documents of the golden set were seen in training .* \(a\)"):
        kept(desk.workspace, load(), desk.store)


def test_what_an_adapter_saw_is_read_from_the_first_release_that_carries_it(desk: Desk) -> None:
    first = in_production(desk, "first", {"a": "train", "b": "golden"})
    with desk.store.deciding() as session:
        row = session.get(ReleaseRow, first.id)
        assert row is not None
        row.state = "previous"
    # the second kept the adapter; by its own dataset it would have seen nothing
    second = in_production(desk, "first", {"a": "golden", "b": "golden"}, prompt="Answer in a word.")
    assert second.id != first.id
    assert second.parts["adapter"] == first.parts["adapter"]
    with pytest.raises(DatasetError, match=first.id[:12]):
        kept(desk.workspace, load(), desk.store)


def test_without_a_release_in_production_or_on_another_base_nothing_is_kept(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(DecisionError, match="no adapter to keep"):
        kept(desk.workspace, load(), desk.store)
    in_production(desk, "first", {"a": "train", "b": "golden"})
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "config.json").write_text("{}")
    other = load(overrides={"generation": {"base_model": str(tmp_path / "other")}})
    with pytest.raises(ModelError, match="another base model"):
        kept(desk.workspace, other, desk.store)


# --- prompts of releases ---


def prompt_file(version: int, system: str) -> str:
    fields = {"passage": "{text}", "user": "{passages} {question}", "refusal": "No."}
    return yaml.safe_dump({"name": "answer", "version": version, "system": system, **fields})


def test_a_version_that_stands_for_two_texts_is_found(desk: Desk, tmp_path: Path) -> None:
    release = listing.manifest(desk.store, desk.pending())
    objects = desk.workspace.objects
    stored = objects.put_bytes(prompt_file(1, "Answer.").encode())
    with desk.store.deciding() as session:
        row = session.get(ReleaseRow, release.id)
        assert row is not None
        manifest = release.model_copy(update={"objects": {**release.objects, "prompt": stored}})
        row.manifest = manifest.model_dump(mode="json")
    (known,) = prompt_history.used(desk.store, objects)  # those of the other parts are no prompts, and left out
    assert (known.label.name, known.label.version, known.releases) == ("answer", 1, (release.id,))

    def found(version: int, system: str) -> prompt_history.Used | None:
        (tmp_path / "p.yaml").write_text(prompt_file(version, system))
        return prompt_history.relabelled([known], prompt_history.label_of("prompt", tmp_path / "p.yaml"))

    assert found(1, "Answer.") is None
    assert found(2, "Answer briefly.") is None
    assert found(1, "Answer briefly.") == known
    other = manifest.model_copy(
        update={"objects": {"prompt": objects.put_bytes(prompt_file(1, "Answer briefly.").encode())}}
    )
    (told,) = prompt_history.warnings([known], other, objects)
    assert "raise its version" in told
    assert release.id[:12] in told
