"""A search over training settings: which points, who goes on, what is not trained twice."""

import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from pipelines import tune_doors
from pipelines.artifacts import STAGE_FILE, read_json, write_json, write_text
from pipelines.errors import DatasetError, SettingsError
from pipelines.registry import Registry
from pipelines.settings import Settings, dump, load, read_layer
from pipelines.training.tuning import Trained, axes_of, better_half, layer_of, page, points_of, ranked
from pipelines.workspaces import Choices, open_workspace


def done(name: str, loss: float, rung: int = 1) -> Trained:
    return Trained({"rank": name}, rung, 1.0 * rung, loss, 3, 9, 60.0, name, name)


def test_a_grid_is_every_combination_below_training() -> None:
    axes = axes_of(["rank=8,16", "dpo.beta=0.1", "dora=true,false"])
    points = points_of(axes)
    assert len(points) == 2 * 1 * 2
    assert points[1] == {"rank": 8, "dpo.beta": 0.1, "dora": False}
    assert layer_of(points[1]) == {"training": {"rank": 8, "dpo": {"beta": 0.1}, "dora": False}}


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (["rank"], "expected KEY=VALUE"),
        (["rank="], "expected KEY=VALUE"),
        (["rank=8", "rank=16"], "names rank twice"),
        (["minutes_at_most=1,2"], "--minutes and --rounds"),
        (["rnk=8"], r"unknown key `training.rnk`: did you mean `training.rank`"),
        (["rank=0,8"], r"training.rank.*greater than or equal to 1"),
        (["dpo.beta=small"], r"training.dpo.beta.*valid number"),
    ],
)
def test_a_grid_that_cannot_be_trained_is_refused_before_anything_is(
    grid: list[str], message: str, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match=message):
        tune_doors.tune(Choices(tmp_path / "w"), grid, minutes=1, rounds=1)
    assert not (tmp_path / "w").exists()


def test_the_better_half_goes_on_and_no_number_is_worst() -> None:
    of_round = [done("a", 2.0), done("b", math.nan), done("c", 1.0), done("d", 3.0), done("e", 1.5)]
    assert better_half(of_round) == [{"rank": "c"}, {"rank": "e"}, {"rank": "a"}]  # three of five
    assert better_half([done("a", math.nan)]) == [{"rank": "a"}]


def test_a_loss_after_more_time_does_not_compare_with_one_after_less() -> None:
    # In a longer training the loss may be higher (another sample, too high a rate): rounds are not mixed.
    assert [each.name for each in ranked([done("a", 1.0), done("b", 1.1), done("b", 1.2, rung=2)])] == [
        "rank b",
        "rank a",
        "rank b",
    ]


def test_the_page_asks_nobody_for_anything_and_escapes_names() -> None:
    html = page([done("<b>", 1.0), done("a", math.nan), done("<b>", 0.8, rung=2)])
    assert html == page([done("<b>", 1.0), done("a", math.nan), done("<b>", 0.8, rung=2)])
    assert "&lt;b&gt;" in html and "<b>" not in html
    assert not any(sign in html for sign in ("<script", "<link", "src=", "@import"))


@pytest.fixture(scope="module")
def place(tiny_settings: Settings, dataset_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that holds a dataset, and settings for a tiny model."""
    root = tmp_path_factory.mktemp("tuned")
    shutil.copytree(dataset_folder, root / "w" / "dataset")
    write_json(root / "w" / "dataset" / STAGE_FILE, {"key": "k", "outputs": {}})
    write_text(root / "tiny.yaml", dump(tiny_settings))
    return root


def tuned(place: Path, **more: Any) -> dict[str, Any]:
    choices = Choices(place / "w", place / "tiny.yaml")
    return tune_doors.tune(choices, ["rank=2,4", "learning_rate=1e-5,0.01"], minutes=1, **more)


def test_points_are_trained_once_compared_and_written_down(place: Path) -> None:
    found = tuned(place, rounds=2)
    assert [(run["rung"], run["minutes"]) for run in found["runs"]] == [(2, 2), (2, 2), *[(1, 1)] * 4]
    assert found["best"]["point"]["learning_rate"] == 0.01  # 1e-5 learns nothing in a few steps
    assert {run["point"]["learning_rate"] for run in found["runs"][:2]} == {0.01}
    assert read_layer(Path(found["config"])) == {"training": found["best"]["point"]}
    assert Path(found["page"]).read_text().count("<tr>") == 1 + 6
    assert "Next: groundwork run --config" in tune_doors.told_search(found)
    assert {path.name for path in (place / "w").iterdir()} == {"dataset", "state"}  # no stage of its own has changed

    trained = {path: path.stat().st_mtime_ns for path in (place / "w").rglob("adapter_model.safetensors")}
    assert len(trained) == 6
    again = tuned(place, rounds=2)
    assert again == found
    assert {path: path.stat().st_mtime_ns for path in (place / "w").rglob("adapter_model.safetensors")} == trained

    registry = Registry(open_workspace(Choices(place / "w")).workspace, load())
    runs = registry.client.search_runs([registry.experiment])
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.run_id == found["mlflow_run"]
    assert parent.data.metrics["validation.loss"] == pytest.approx(found["best"]["validation_loss"])
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(nested) == 6
    assert {run.data.params["training.rank"] for run in nested} == {"2", "4"}
    assert all("validation.loss" in run.data.metrics for run in nested)


def test_without_validation_examples_there_is_nothing_to_choose_by(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "w" / "dataset", tmp_path / "w" / "dataset")
    (tmp_path / "w" / "dataset" / "validation.jsonl").write_text("")
    with pytest.raises(DatasetError, match=r"dataset\.validation_share"):
        tune_doors.tune(Choices(tmp_path / "w", place / "tiny.yaml"), ["rank=2"], minutes=1, rounds=1)
    assert read_json(tmp_path / "w" / "dataset" / STAGE_FILE)  # untouched
