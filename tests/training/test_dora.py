"""DoRA: trained by peft's own layers, saved, read and merged without changing what it says."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from pipelines.artifacts import StageJob, read_json
from pipelines.generation.export import merged_folder
from pipelines.generation.models import load_causal
from pipelines.settings import Settings
from pipelines.training.adapter import load_for_training
from pipelines.training.train import train
from tests.training.conftest import stage_job

IDS = torch.arange(5, 25)[None]


@pytest.fixture(scope="module")
def trained(dataset_folder: Path, tiny_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> StageJob:
    changed = tiny_settings.training.model_copy(update={"dora": True, "epochs": 2})
    settings = tiny_settings.model_copy(update={"training": changed})
    job = stage_job(settings, {"dataset": dataset_folder}, tmp_path_factory.mktemp("dora"))
    train(job)
    return job


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS).logits


def read(job: StageJob, base: Path) -> Any:
    return PeftModel.from_pretrained(load_causal(base, "float32"), job.output / "adapter").eval()


def test_a_fresh_adapter_changes_nothing(tiny_base: Path, trained: StageJob) -> None:
    # B is zero and magnitudes are those of the base's rows.
    fresh = load_for_training(tiny_base, trained.settings.training, torch.device("cpu")).eval()
    fresh.set_attn_implementation("sdpa")  # the training kernel wants a mask of its own
    torch.testing.assert_close(logits(fresh), logits(load_causal(tiny_base, "float32")), atol=1e-5, rtol=1e-5)


def test_magnitudes_are_learnt_and_the_loss_falls(trained: StageJob, tiny_base: Path) -> None:
    curve = read_json(trained.output / "curves.json")
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert read_json(trained.output / "adapter" / "adapter_config.json")["use_dora"]
    assert "DoRA of rank 8" in (trained.output / "adapter" / "README.md").read_text()
    layer = read(trained, tiny_base).base_model.model.model.layers[0].mlp.up_proj
    of_rows = layer.get_base_layer().weight.norm(dim=1)
    assert (layer.lora_magnitude_vector["default"].weight - of_rows).abs().max() > 1e-3


def test_merged_weights_say_what_the_adapter_says(trained: StageJob, tiny_base: Path, tmp_path: Path) -> None:
    said = logits(read(trained, tiny_base))
    assert (said - logits(load_causal(tiny_base, "float32"))).abs().max() > 0.1  # it learned something
    merged = read(trained, tiny_base).merge_and_unload()
    torch.testing.assert_close(logits(merged), said, atol=1e-4, rtol=1e-4)
    kept = merged_folder(tiny_base, trained.output / "adapter", tmp_path)
    # The same weights rounded to bfloat16: 8 bits, of logits that reach about 10.
    torch.testing.assert_close(logits(load_causal(kept, "float32")), said, atol=0.2, rtol=0.05)
    exact = {name: weight.to(torch.bfloat16) for name, weight in merged.state_dict().items()}
    stored = load_causal(kept, "bfloat16").state_dict()
    assert all(torch.equal(stored[name], weight) for name, weight in exact.items())
