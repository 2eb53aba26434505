"""`release verify` finds any byte that differs, and `release diff` says what does."""

from pathlib import Path

import pytest

from pipelines.artifacts import write_text
from pipelines.release import listing, verify
from pipelines.release.difference import difference
from pipelines.release.verify import STAGE_FILE
from tests.release.candidates import object_of
from tests.release.conftest import Desk


def damage(place: Path) -> None:
    """Change one byte, and keep the size."""
    place.chmod(0o644)
    data = bytearray(place.read_bytes())
    data[len(data) // 2] ^= 1
    place.write_bytes(data)


def test_a_whole_release_has_nothing_wrong(desk: Desk) -> None:
    release = listing.manifest(desk.store, desk.pending())
    checked = verify.verify_parts(release, desk.workspace.objects)
    assert checked.wrong == []
    # 9 folders with a listing each, 8 stage.json, 10 outputs of stages and the adapter's file again; 8 files; settings
    assert checked.files == 9 + 8 + 10 + 1 + 8 + 1
    assert verify.verify_identity(release) == []
    assert verify.verify_base_model(release, desk.workspace.objects) == []


@pytest.mark.parametrize(
    ("part", "file"),
    [
        ("adapter", "weights.json"),
        ("dataset", "train.json"),
        ("index", "vectors.json"),
        ("decision", "decision.json"),
        ("training", STAGE_FILE),
    ],
)
def test_a_changed_byte_of_a_folder_is_found_with_its_file(desk: Desk, part: str, file: str) -> None:
    release = listing.manifest(desk.store, desk.pending())
    damage(object_of(desk.workspace, release.objects[part], file))
    found = {(wrong.part, wrong.file) for wrong in verify.verify_parts(release, desk.workspace.objects).wrong}
    assert (part, file) in found


@pytest.mark.parametrize("part", ["prompt", "guardrail_policy", "release_policy", "targets", "settings", "report"])
def test_a_changed_byte_of_a_file_or_a_listing_is_found(desk: Desk, part: str) -> None:
    release = listing.manifest(desk.store, desk.pending())
    damage(desk.workspace.objects.path(release.objects[part]))
    wrong = verify.verify_parts(release, desk.workspace.objects).wrong
    assert part in {each.part for each in wrong}


def test_a_missing_object_is_found(desk: Desk) -> None:
    release = listing.manifest(desk.store, desk.pending())
    object_of(desk.workspace, release.objects["chunks"], "chunks.json").unlink()
    (wrong,) = verify.verify_parts(release, desk.workspace.objects).wrong
    assert (wrong.part, wrong.file) == ("chunks", "chunks.json")
    assert "restore it from a backup" in wrong.why


def test_an_object_that_is_whole_but_not_the_named_one_is_found(desk: Desk) -> None:
    first = listing.manifest(desk.store, desk.pending("first"))
    other = listing.manifest(desk.store, desk.pending("other", prompt="Be brief.", k=7))
    swapped = {part: other.objects[part] for part in ("adapter", "report", "prompt", "settings")}
    mixed = first.model_copy(update={"objects": {**first.objects, **swapped}})
    wrong = {(each.part, each.file) for each in verify.verify_parts(mixed, desk.workspace.objects).wrong}
    assert wrong == {("adapter", ""), ("report", ""), ("prompt", ""), ("settings", "retrieval")}
    parts = first.model_copy(update={"parts": {**first.parts, "adapter": other.parts["adapter"]}})
    assert len(verify.verify_identity(parts)) == 2  # id and system


def test_the_copy_that_serving_reads_is_compared_too(desk: Desk) -> None:
    from pipelines.release.manifest import materialise

    release = listing.manifest(desk.store, desk.pending())
    folder = materialise(release, desk.workspace)
    whole = verify.Checked()
    verify.verify_copy(release, desk.workspace, whole)
    assert (whole.wrong, whole.files) == (
        [],
        1 + 2 + 3 + 4,
    )  # adapter, index, report (two of them with stage.json), 4 files
    write_text(folder / "prompt.yaml", "Say yes to everything.")
    (folder / "adapter" / "weights.json").unlink()
    checked = verify.Checked()
    verify.verify_copy(release, desk.workspace, checked)
    assert {each.file for each in checked.wrong} == {"prompt.yaml", "adapter/weights.json"}


def test_the_difference_of_two_releases_is_what_was_changed(desk: Desk) -> None:
    one = listing.manifest(desk.store, desk.pending("first", correct=0.5))
    other = listing.manifest(desk.store, desk.pending("other", prompt="Be brief.", k=7, correct=0.75))
    found = difference(one, other, desk.workspace.objects)
    assert set(found.parts) == {"adapter", "prompt", "report", "retrieval", "training"}
    assert [(each.name, each.old, each.new) for each in found.settings] == [("retrieval.k", 5, 7)]
    (prompt,) = found.texts
    assert "-system: Answer from the passages.\n+system: Be brief." in prompt.diff
    assert found.files["adapter"] == {"changed": ("weights.json",)}
    figures = {each.metric: (each.old, each.new) for each in found.figures}
    assert figures == {"answer_correct": (0.5, 0.75), "attack_success": (0.1, 0.1)}
    assert found.same_suite
    same = difference(one, one, desk.workspace.objects)
    assert (same.parts, same.files, same.texts, same.settings) == ((), {}, (), ())
