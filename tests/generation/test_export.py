"""Base and adapter -> merged folder -> GGUF: what is written is what was meant, or nothing is written."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import ModelError
from pipelines.generation.export import gguf_file, merged_folder
from pipelines.generation.models import gguf_source, load_causal, load_tokenizer, render
from tests.generation.conftest import RETAUGHT, conversation


@pytest.fixture(scope="module")
def source(packed: Path) -> Path:
    found = gguf_source(str(packed))
    assert found is not None
    return found


def logits(model: Any, folder: Path) -> Any:
    """float32 [positions, vocabulary] of one prompt."""
    import torch

    tokenizer = load_tokenizer(folder)
    (question,) = RETAUGHT
    text = render(tokenizer, conversation(question), generation=True)
    with torch.inference_mode():
        return model(**tokenizer(text, add_special_tokens=False, return_tensors="pt")).logits[0]


def test_without_an_adapter_the_base_is_the_merged_folder(base: Path, state: Path) -> None:
    assert merged_folder(base, None, state) == base


def test_merging_adds_the_product_of_the_adapters_matrices(base: Path, adapter: Path, state: Path) -> None:
    import torch
    from safetensors.torch import load_file

    merged = load_file(merged_folder(base, adapter, state) / "model.safetensors")
    before, low_rank = load_file(base / "model.safetensors"), load_file(adapter / "adapter_model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], merged[name])}
    # two layers with the five modules of the adapter in tests/generation/conftest.py
    modules = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.down_proj")
    assert changed == {f"model.layers.{layer}.{module}.weight" for layer in range(2) for module in modules}
    for name in changed:
        stem = f"base_model.model.{name.removesuffix('.weight')}"
        down, up = low_rank[f"{stem}.lora_A.weight"], low_rank[f"{stem}.lora_B.weight"]
        meant = before[name].float() + (16 / 4) * up @ down  # lora_alpha 16, rank 4
        torch.testing.assert_close(merged[name].float(), meant, rtol=2**-7, atol=1e-6)  # bfloat16


def test_a_merge_is_made_once_and_named_by_its_adapter(base: Path, adapter: Path, state: Path, tmp_path: Path) -> None:
    first = merged_folder(base, adapter, state)
    written = (first / "model.safetensors").stat().st_mtime_ns
    same = shutil.copytree(adapter, tmp_path / "elsewhere")
    assert merged_folder(base, same, state) == first  # by content, not by path
    assert (first / "model.safetensors").stat().st_mtime_ns == written
    config = json.loads((same / "adapter_config.json").read_text())
    (same / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 8}))
    assert merged_folder(base, same, state) != first


def test_the_exported_file_holds_the_weights_as_another_reader_finds_them(
    base: Path, adapter: Path, source: Path, state: Path
) -> None:
    """transformers' own GGUF reader knows llama's row order independently of our writer."""
    import torch
    from transformers import AutoModelForCausalLM

    folder = merged_folder(base, adapter, state)
    written = gguf_file(folder, source)
    read: Any = AutoModelForCausalLM.from_pretrained(written.parent, gguf_file=written.name, dtype=torch.float32)
    # bfloat16 weights of this size are exact in float16, so that only the order of sums differs
    torch.testing.assert_close(logits(read, folder), logits(load_causal(folder, "float32"), folder), atol=1e-3, rtol=0)


def test_metadata_and_tokenizer_are_those_of_the_source(base: Path, source: Path) -> None:
    import gguf

    def fields(path: Path) -> dict[str, Any]:
        found = gguf.GGUFReader(path).fields.values()
        return {field.name: field.contents() for field in found if not field.name.startswith("GGUF.")}

    written = fields(gguf_file(base, source))
    assert written == fields(source)
    assert written["tokenizer.chat_template"].startswith("{% for m in messages %}")
    assert written["general.file_type"] == gguf.LlamaFileType.MOSTLY_F16


def test_an_export_is_made_once(base: Path, source: Path) -> None:
    first = gguf_file(base, source)
    written = first.stat().st_mtime_ns
    assert gguf_file(base, source) == first == base / "model-f16.gguf"
    assert first.stat().st_mtime_ns == written


def _with_weight(base: Path, place: Path, value: float) -> Path:
    """A copy of the base in which one weight has this value."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(base, place, ignore=shutil.ignore_patterns("*.gguf"))
    weights = load_file(place / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][3, 5] = value
    save_file(weights, place / "model.safetensors", metadata={"format": "pt"})
    return place


def test_a_weight_that_float16_cannot_hold_is_refused_and_no_file_appears(
    base: Path, source: Path, tmp_path: Path
) -> None:
    # the largest float16 is 65504
    folder = _with_weight(base, tmp_path / "large", 1e6)
    with (
        np.errstate(over="ignore"),
        pytest.raises(ModelError, match=r"blk\.1\.ffn_up\.weight differs from the weights"),
    ):
        gguf_file(folder, source)
    assert not [path.name for path in folder.iterdir() if "gguf" in path.name]


def test_a_model_of_another_shape_is_refused_and_no_file_appears(base: Path, source: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(base, tmp_path / "other", ignore=shutil.ignore_patterns("*.gguf"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "qwen2"}))
    with pytest.raises(ModelError, match="llama-shaped models, not qwen2; set engine: transformers"):
        gguf_file(folder, source)
    assert not [path.name for path in folder.iterdir() if "gguf" in path.name]
