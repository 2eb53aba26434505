"""A tiny llama that knows a few answers by heart, as the one GGUF file that a base model may come as."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import settings as configuration
from pipelines.contracts import Message
from pipelines.generation.models import base_folder, load_causal, load_tokenizer, render
from pipelines.settings import Generation
from tests.training import conftest as training_room

tiny_base = training_room.tiny_base

KNOWN = {asked: answer for pairs in training_room.ASKED.values() for asked, answer in pairs}
"""What the tiny model was taught, question -> answer."""
RETAUGHT = {"Which lamp do I order?": "every 6 months"}
"""What it says with the adapter, and was taught otherwise before."""


def conversation(question: str) -> list[Message]:
    return [Message(role="system", content="Answer in a few words."), Message(role="user", content=question)]


def teach(model: Any, tokenizer: Any, pairs: dict[str, str], *, steps: int) -> float:
    """Train on question -> answer pairs in one batch; gives the last loss, a mean over answer tokens."""
    import torch

    rows = []
    for asked, answer in pairs.items():
        prompt = render(tokenizer, conversation(asked), generation=True)
        given = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        said = tokenizer(answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
        rows.append((given + said, [-100] * len(given) + said))
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [tokenizer.pad_token_id] * (longest - len(ids)) for ids, _ in rows])
    labels = torch.tensor([labels + [-100] * (longest - len(labels)) for _, labels in rows])
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # 20 ms a step; more threads wait for each other where a core is busy
    for _ in range(steps):
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    torch.set_num_threads(threads)
    return float(loss.detach())


@pytest.fixture(scope="session")
def taught(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Hugging Face folder: the tiny base, trained until it says each known answer with a wide margin.

    A margin is needed, since engines round differently: with random weights the two most likely tokens lie
    so close that float16 and bfloat16 choose differently every twentieth token.
    """
    tokenizer, model = load_tokenizer(tiny_base), load_causal(tiny_base, "float32")
    assert teach(model, tokenizer, KNOWN, steps=150) < 0.01
    folder = tmp_path_factory.mktemp("taught")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def packed(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the taught model as one GGUF file and nothing else, written by this test."""
    folder = tmp_path_factory.mktemp("packed")
    _write_gguf(taught, folder / "tiny-f16.gguf")
    return folder


@pytest.fixture(scope="session")
def generation(packed: Path) -> Generation:
    """Settings that name the packed model."""
    return configuration.load(overrides={"generation": {"base_model": str(packed), "batch_size": 5}}).generation


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where bases are converted and adapters merged."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def base(packed: Path, state: Path) -> Path:
    """The packed model as base_folder converts it."""
    return base_folder(str(packed), state)


@pytest.fixture(scope="session")
def adapter(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter after which the model says another thing to one question."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    chosen = LoraConfig(r=4, lora_alpha=16, target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"])
    tuned: Any = get_peft_model(load_causal(taught, "float32"), chosen)
    assert teach(tuned, load_tokenizer(taught), RETAUGHT, steps=40) < 0.01
    folder = tmp_path_factory.mktemp("adapter")
    tuned.save_pretrained(folder)
    return folder


def _write_gguf(folder: Path, target: Path) -> None:
    import gguf

    config = json.loads((folder / "config.json").read_text())
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    tokens = sorted(tokenizer["model"]["vocab"], key=tokenizer["model"]["vocab"].__getitem__)
    special = {token["content"] for token in tokenizer["added_tokens"]}
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_name("tiny")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(512)
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(groups)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["hidden_size"] // heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token in special else 1 for token in tokens])  # 3: control token
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_chat_template(training_room.TEMPLATE)
    for name, values in _weights(folder).items():
        rotary = {"attn_q": heads, "attn_k": groups}.get(name.split(".")[-2])
        writer.add_tensor(name, _interleaved(values, rotary) if rotary else values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _weights(folder: Path) -> dict[str, Any]:
    """Tensors under llama.cpp's names, matrices in float16."""
    from safetensors.numpy import load_file

    names = {
        "model.embed_tokens": "token_embd",
        "model.norm": "output_norm",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "model.layers": "blk",
    }
    found = {}
    for name, values in load_file(folder / "model.safetensors").items():
        for theirs, ours in names.items():
            name = name.replace(theirs, ours)
        found[name] = values if values.ndim == 1 else values.astype(np.float16)
    return found


def _interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's `permute`: of each head, row i of the first half is followed by row i of the second."""
    rows = []
    for head in np.split(values, heads):
        first, second = np.split(head, 2)
        rows += [row for pair in zip(first, second, strict=True) for row in pair]
    return np.stack(rows)
