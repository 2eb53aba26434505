"""A base and its adapter -> merged weights -> the one GGUF file that the CPU engine opens.

Invariant: an exported file is compared with the weights it was made from before it gets its name.
Limits: GGUF for llama-shaped models whose base came as GGUF (metadata and tokenizer are copied from
it); other models run on the transformers engine. F16 alone: Q8_0 written by `gguf` came out wrong.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.artifacts import replacing, sha256_tree
from pipelines.contracts import content_id
from pipelines.errors import ModelError

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
"""Hugging Face's names of llama's tensors to GGUF's."""


def merged_folder(base: Path, adapter: Path | None, state: Path) -> Path:
    """A Hugging Face folder of the base with the adapter merged in (the base itself without one).

    Merged in float32, kept in bfloat16 under `state/models`, named by content.
    """
    if adapter is None:
        return base
    target = state / "models" / f"merged-{content_id(str(base.name), sha256_tree(adapter))[:12]}"
    if not target.exists():
        import torch
        from peft import PeftModel

        from pipelines.generation.models import load_causal, load_tokenizer

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for a name that is to go
            merged: Any = PeftModel.from_pretrained(load_causal(base, "float32"), adapter).merge_and_unload()
        with replacing(target) as fresh:
            merged.to(torch.bfloat16).save_pretrained(fresh)
            load_tokenizer(base).save_pretrained(fresh)
    return target


def gguf_file(folder: Path, source: Path) -> Path:
    """The F16 GGUF of a llama-shaped folder, beside its weights; metadata copied from `source`.

    Raises ModelError when the model is of another shape or the file does not hold the same weights.
    """
    target = folder / "model-f16.gguf"
    if not target.exists():
        with replacing(target) as fresh:
            _write(folder, source, fresh)
            _compare(folder, fresh)
    return target


def _tensors(folder: Path) -> dict[str, np.ndarray]:
    """Every tensor under its GGUF name, float32, q and k rows in llama's order."""
    import json

    import torch
    from safetensors import safe_open

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["model_type"] != "llama":
        raise ModelError(
            f"{folder}: GGUF export knows llama-shaped models, not {config['model_type']}; set engine: transformers."
        )
    heads = {"attn_q": config["num_attention_heads"], "attn_k": config["num_key_value_heads"]}
    found: dict[str, np.ndarray] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as stream:
            for name in stream.keys():  # noqa: SIM118 - not a dict
                ours = _gguf_name(name)
                tensor = stream.get_tensor(name).to(torch.float32).numpy()
                kind = ours.split(".")[-2]
                found[ours] = _permuted(tensor, heads[kind]) if kind in heads else tensor
    return found


def _gguf_name(name: str) -> str:
    stem, _, ending = name.rpartition(".")
    if stem.startswith("model.layers."):
        _, _, layer, part = stem.split(".", 3)
        return f"blk.{layer}.{NAMES[part]}.{ending}"
    return f"{NAMES[stem]}.{ending}"


def _permuted(tensor: np.ndarray, heads: int) -> np.ndarray:
    """Rows from Hugging Face's half-and-half rotary layout to llama's interleaved one: [rows, cols] both."""
    rows, columns = tensor.shape
    return tensor.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def _write(folder: Path, source: Path, target: Path) -> None:
    import gguf

    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name not in ("general.architecture", "general.file_type"):
            value_type = field.types[0]
            inner = field.types[-1] if value_type == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(field.name, field.contents(), value_type, sub_type=inner)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    for name, tensor in _tensors(folder).items():
        writer.add_tensor(name, tensor if tensor.ndim == 1 else tensor.astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _compare(folder: Path, written: Path) -> None:
    """Read the file back: every tensor of the folder is there, with its values in float16."""
    import gguf

    stored = {tensor.name: tensor for tensor in gguf.GGUFReader(written).tensors}
    for name, tensor in _tensors(folder).items():
        held = np.asarray(stored[name].data, dtype=np.float32).reshape(tensor.shape)
        if not np.allclose(held, tensor, rtol=2e-3, atol=1e-4):
            raise ModelError(f"{written}: tensor {name} differs from the weights it was written from.")
