"""Base models as Hugging Face folders: found, converted from GGUF once, loaded safely.

Invariants: weights are safetensors, `trust_remote_code` is never given; a conversion appears whole or
not at all, and two processes that want it convert it once.
Not covered: adapters and export for engines (export.py).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.artifacts import replacing
from pipelines.contracts import Message
from pipelines.errors import ModelError
from pipelines.modelfiles import model_digest, model_folder


def base_folder(base_model: str, state: Path) -> Path:
    """A Hugging Face folder (config.json, *.safetensors, tokenizer) of the base model.

    A model that comes as one GGUF file is converted into `state/models` (bfloat16; some 20 s, once).
    Raises ModelError when there is no such model or it cannot be converted.
    """
    folder = model_folder(base_model)
    if (folder / "config.json").exists():
        return folder
    source = gguf_source(base_model)
    if source is None:
        raise ModelError(f"{folder} holds neither config.json nor one *.gguf file: it is not a model folder.")
    target = state / "models" / f"base-{model_digest(base_model)[:12]}"
    if not target.exists():
        from filelock import FileLock

        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_suffix(".lock")):
            if not target.exists():
                with replacing(target) as fresh:
                    _convert(source, fresh)
    return target


def gguf_source(base_model: str) -> Path | None:
    """The one GGUF file of a model, or None when it comes as safetensors."""
    found = sorted(model_folder(base_model).glob("*.gguf"))
    return found[0] if len(found) == 1 else None


def load_tokenizer(folder: Path) -> Any:
    """The tokenizer of a model folder, with its chat template.

    Raises ModelError when it has none: without a template a conversation has no form.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as exc:
        raise ModelError(f"{folder}: its tokenizer cannot be loaded: {exc}") from exc
    if tokenizer.chat_template is None:
        raise ModelError(f"{folder}: its tokenizer has no chat template; take an instruction-tuned base model.")
    return tokenizer


def load_causal(folder: Path, dtype: str, device: str = "cpu") -> Any:
    """The causal model of a folder in `dtype` ("float32", "bfloat16"), in evaluation mode on `device`."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype), use_safetensors=True)
    except (OSError, ValueError) as exc:
        raise ModelError(f"{folder}: its weights cannot be loaded: {exc}") from exc
    return model.to(device).eval()


def render(tokenizer: Any, messages: Sequence[Message], *, generation: bool) -> str:
    """A conversation as the text that the model sees: the same for training and for every engine.

    `generation`: end with the header of the assistant's turn.
    """
    plain = [message.model_dump() for message in messages]
    return str(tokenizer.apply_chat_template(plain, tokenize=False, add_generation_prompt=generation))


def context_tokens(folder: Path) -> int:
    """Longest prompt and answer together, in tokens, that the model was made for."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return int(config.get("max_position_embeddings", 2048))


def _convert(source: Path, fresh: Path) -> None:
    """GGUF -> plain bfloat16 safetensors. `save_pretrained` refuses a model loaded from GGUF: go by its weights."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        loaded = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    except (OSError, ValueError, NotImplementedError) as exc:
        raise ModelError(f"{source}: cannot be converted from GGUF: {exc}") from exc
    config = loaded.config
    plain = type(config).from_dict({k: v for k, v in config.to_dict().items() if k != "quantization_config"})
    model = type(loaded)(plain)
    model.load_state_dict(loaded.state_dict(), strict=False)
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(fresh)
    tokenizer.save_pretrained(fresh)
