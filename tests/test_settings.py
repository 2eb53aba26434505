"""Settings: what a mistake in a file leads to."""

from pathlib import Path

import pytest

from pipelines import settings as configuration
from pipelines.errors import SettingsError, SourceError
from pipelines.workspaces import Choices, open_workspace, remember


def written(folder: Path, text: str) -> Path:
    place = folder / "my.yaml"
    place.write_text(text)
    return place


def test_every_profile_is_valid() -> None:
    for profile in configuration.PROFILES.glob("*.yaml"):
        assert configuration.load(profile=profile.stem).files.sources


def test_a_misspelt_key_names_the_right_one_and_all_are_reported_at_once(tmp_path: Path) -> None:
    config = written(tmp_path, "chunkng: {}\ntraining: {rnk: 3}\n")
    with pytest.raises(SettingsError, match=r"`chunkng`.*`chunking`.*`training.rnk`.*`training.rank`"):
        open_workspace(Choices(tmp_path / "w", config))


def test_a_value_out_of_range_names_key_and_value(tmp_path: Path) -> None:
    config = written(tmp_path, "training: {epochs: 0}\n")
    with pytest.raises(SettingsError, match=r"training\.epochs.*greater than or equal to 1.*got 0"):
        open_workspace(Choices(tmp_path / "w", config))


@pytest.mark.parametrize("text", ["[1, 2]", "a: [", "\x00"])
def test_what_is_not_a_mapping_of_yaml_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"my\.yaml"):
        open_workspace(Choices(tmp_path / "w", written(tmp_path, text)))


def test_a_workspace_of_its_own_remembers_what_was_chosen(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    config = written(tmp_path, "training: {rank: 3}\n")
    remember(open_workspace(Choices(tmp_path / "w", config, sources=(documents,))))
    later = open_workspace(Choices(tmp_path / "w")).settings
    assert later.training.rank == 3
    assert later.files.sources == (str(documents),)
    assert later.files.questions is None  # the sample's questions do not fit foreign documents


@pytest.mark.parametrize(
    "text", ["files: {sources: ['https://x:hunter2@h/']}", "sources: {s3: {endpoint_url: 'https://x:hunter2@h/'}}"]
)
def test_a_secret_in_the_settings_is_refused_and_not_repeated(tmp_path: Path, text: str) -> None:
    with pytest.raises(SourceError) as refused:
        open_workspace(Choices(tmp_path / "w", written(tmp_path, text)))
    assert "hunter2" not in str(refused.value)


def test_foreign_sources_that_are_missing_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no-such-folder"):
        open_workspace(Choices(tmp_path / "w", sources=(Path("no-such-folder"),)))


def test_settings_stored_before_a_knob_existed_take_its_value_from_here() -> None:
    now = configuration.load()
    stored = now.model_dump(mode="json", include={"retrieval"})
    del stored["retrieval"]["context_tokens"]
    stored["retrieval"]["weights"] = {"vector": 0.5, "words": 0.5}
    served = configuration.with_sections(now, stored)
    assert served.retrieval.context_tokens == now.retrieval.context_tokens
    assert served.retrieval.weights == {"vector": 0.5, "words": 0.5}  # as stored: no weight of today's slips in
    assert served.training == now.training
