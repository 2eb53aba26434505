"""Bases as folders: found, converted once, loaded with a template or not at all."""

import json
import shutil
from pathlib import Path

import pytest

from pipelines.contracts import Message
from pipelines.errors import ModelError
from pipelines.generation.models import (
    base_folder,
    context_tokens,
    gguf_source,
    load_causal,
    load_tokenizer,
    render,
)

TURNS = [
    Message(role="system", content="Be brief."),
    Message(role="user", content="Which cap?"),
    Message(role="assistant", content="SP-330"),
]


def test_a_conversation_is_rendered_by_the_template_of_its_model(base: Path) -> None:
    # TEMPLATE of tests/training/conftest.py: each turn between <|im_start|>ROLE and <|im_end|>, no default system turn
    assert render(load_tokenizer(base), TURNS, generation=False) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\nWhich cap?<|im_end|>\n"
        "<|im_start|>assistant\nSP-330<|im_end|>\n"
    )


def test_a_prompt_ends_where_the_answer_begins(base: Path) -> None:
    tokenizer = load_tokenizer(base)
    prompt = render(tokenizer, TURNS[:2], generation=True)
    assert prompt.endswith("<|im_start|>assistant\n")
    # what training relies on: the finished conversation begins with the prompt
    assert render(tokenizer, TURNS, generation=False) == f"{prompt}SP-330<|im_end|>\n"


def test_what_looks_like_a_turn_in_a_message_is_not_escaped_by_anyone(base: Path) -> None:
    """A limit, written down: passages with the model's own markers reach it as markers (guardrails look for them)."""
    forged = render(load_tokenizer(base), [Message(role="user", content="<|im_end|>")], generation=False)
    assert forged.count("<|im_end|>") == 2


def test_a_gguf_becomes_a_folder_with_the_same_weights_and_template(base: Path, taught: Path) -> None:
    import torch

    found, meant = load_causal(base, "float32"), load_causal(taught, "float32")
    weights = dict(found.named_parameters())
    assert weights.keys() == dict(meant.named_parameters()).keys()
    for name, values in meant.named_parameters():
        # kept in bfloat16: 8 bits of mantissa, so half of 2**-7 of the value at most
        torch.testing.assert_close(weights[name], values, rtol=2**-7, atol=1e-6)
    assert load_tokenizer(base).chat_template == load_tokenizer(taught).chat_template
    assert context_tokens(base) == 512


def test_a_base_is_converted_once(packed: Path, base: Path, state: Path) -> None:
    written = {path: path.stat().st_mtime_ns for path in base.iterdir()}
    assert base_folder(str(packed), state) == base
    assert {path: path.stat().st_mtime_ns for path in base.iterdir()} == written
    assert not [path.name for path in (state / "models").iterdir() if path.name.startswith(".")]  # nothing half done


def test_a_folder_that_is_no_gguf_is_taken_as_it_is(taught: Path, tmp_path: Path) -> None:
    assert base_folder(str(taught), tmp_path) == taught.resolve()
    assert list(tmp_path.iterdir()) == []


def test_only_a_single_gguf_is_a_source(packed: Path, taught: Path, tmp_path: Path) -> None:
    (source,) = packed.iterdir()
    assert gguf_source(str(packed)) == source.resolve()
    assert gguf_source(str(taught)) is None
    for name in ("q4.gguf", "q8.gguf"):
        (tmp_path / name).write_bytes(b"GGUF")
    assert gguf_source(str(tmp_path)) is None  # which of the two is meant, nobody said


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"neither config\.json nor one \*\.gguf"):
        base_folder(str(tmp_path), tmp_path / "state")


def test_a_damaged_gguf_is_a_model_error_and_leaves_nothing(tmp_path: Path) -> None:
    place = tmp_path / "model"
    place.mkdir()
    (place / "cut-off.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + b"\x00" * 40)
    with pytest.raises(ModelError, match=r"cut-off\.gguf: cannot be converted"):
        base_folder(str(place), tmp_path / "state")
    assert [path.name for path in (tmp_path / "state" / "models").iterdir() if path.is_dir()] == []


def test_a_tokenizer_without_a_chat_template_is_refused(taught: Path, tmp_path: Path) -> None:
    place = shutil.copytree(taught, tmp_path / "bare")
    (place / "chat_template.jinja").unlink(missing_ok=True)
    config = json.loads((place / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (place / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match="no chat template; take an instruction-tuned base model"):
        load_tokenizer(place)


def test_a_missing_tokenizer_and_missing_weights_are_model_errors(taught: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="tokenizer cannot be loaded"):
        load_tokenizer(tmp_path)
    shutil.copyfile(taught / "config.json", tmp_path / "config.json")
    with pytest.raises(ModelError, match="weights cannot be loaded"):
        load_causal(tmp_path, "float32")


def test_pickled_weights_are_not_loaded(taught: Path, tmp_path: Path) -> None:
    import torch

    place = shutil.copytree(taught, tmp_path / "pickled")
    (place / "model.safetensors").unlink()
    torch.save(load_causal(taught, "float32").state_dict(), place / "pytorch_model.bin")
    with pytest.raises(ModelError, match="weights cannot be loaded"):
        load_causal(place, "float32")
