"""Nothing is trained: what training left for a release is copied, and who trained it is still who trained it."""

from pathlib import Path

from pipelines import settings as configuration
from pipelines.artifacts import Digests, StageJob, Workspace, sha256_tree, write_json
from pipelines.stages import STAGES, Champion, key_parts
from pipelines.training.train import run
from pipelines.workspaces import Choices, open_workspace, remember


def left(folder: Path) -> Path:
    """A folder of what is kept, as release/keeping.py makes it."""
    for name in ("adapter/adapter_model.safetensors", "adapter/README.md", "curves.json", "stage.json", "run.json"):
        (folder / "training" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "training" / name).write_text(name)
    write_json(folder / "kept.json", {"release": "r1", "trained_by": "ana"})
    return folder


def test_the_output_is_that_of_the_release_and_the_trainer_hers(tmp_path: Path) -> None:
    settings = configuration.load(overrides={"training": {"adapter": "production"}})
    kept, output = left(tmp_path / "kept"), tmp_path / "out"
    output.mkdir()
    job = StageJob(settings, {"kept": kept}, output, None, tmp_path / "state", lambda *_: None)
    run(job)
    names = {p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file()}
    assert names == {"adapter/adapter_model.safetensors", "adapter/README.md", "curves.json"}
    assert sha256_tree(output / "adapter") == sha256_tree(kept / "training" / "adapter")
    assert job.notes == {"actor": "ana", "kept_from": "r1"}


def test_the_key_follows_what_is_kept_and_is_its_own_without_it(tmp_path: Path) -> None:
    workspace, settings = Workspace(tmp_path), configuration.load()
    (tmp_path / "dataset").mkdir()

    def key(champion: Champion | None) -> dict[str, object]:
        parts = key_parts(STAGES["train"], settings, workspace, Digests(tmp_path / "digests.json"), champion)
        inputs: dict[str, object] = parts["inputs"]
        return inputs

    assert set(key(None)) == {"dataset"}
    # what it is called decides, not where it lies: approving the release that kept it changes no key
    assert key(Champion("digest", tmp_path / "a")) == key(Champion("digest", tmp_path / "b"))
    assert key(Champion("digest", tmp_path))["kept"] == "digest"


def test_keeping_is_for_one_run_unless_the_settings_say_it(tmp_path: Path) -> None:
    opened = open_workspace(Choices(tmp_path, keep_adapter=True))
    remember(opened)
    assert opened.settings.training.adapter == "production"
    assert open_workspace(Choices(tmp_path)).settings.training.adapter == "train"
