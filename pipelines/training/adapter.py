"""A base model with a trainable LoRA adapter, and the adapter as files.

Invariants: the base is frozen, in one precision; the adapter's weights live in that precision with a
float32 master copy in the optimizer (loop.py); what is saved names the base by its setting, never by a
path of this machine, and equal weights give equal bytes.
Not covered: merging and export (generation/export.py).
"""

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import replacing, write_json
from pipelines.errors import ModelError
from pipelines.settings import Training

if TYPE_CHECKING:
    import torch

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def load_for_training(folder: Path, settings: Training, device: "torch.device") -> Any:
    """The base of `folder` on `device` with a fresh adapter on every linear layer but the output head.

    The adapter's first weights follow `settings.seed`. Raises ModelError when the base cannot be loaded.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    from pipelines.training.fused import fuse

    base = _load_base(folder, settings, device)
    torch.manual_seed(settings.seed)
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        use_dora=settings.dora,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    if settings.gradient_checkpointing:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # peft loads it; it misses a GPU's kernels on a CPU
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers for a name that is to go
        model = get_peft_model(base, config, autocast_adapter_dtype=False)
    for weight in trainable(model).values():
        weight.data = weight.data.to(device=device, dtype=base.dtype)
    fuse(model)
    return model.train()


def trainable(model: Any) -> dict[str, "torch.nn.Parameter"]:
    """The adapter's weights by name, in a fixed order."""
    return {name: weight for name, weight in sorted(model.named_parameters()) if weight.requires_grad}


def save_adapter(model: Any, masters: "Mapping[str, torch.Tensor]", folder: Path, *, base_model: str) -> None:
    """Write `adapter_model.safetensors` (float32, from the master weights) and `adapter_config.json`."""
    from peft.utils import get_peft_model_state_dict
    from safetensors.torch import save_file

    weights = get_peft_model_state_dict(model, state_dict=dict(masters), adapter_name="default")
    folder.mkdir(parents=True, exist_ok=True)
    plain = {name: weight.detach().float().cpu().contiguous() for name, weight in sorted(weights.items())}
    with replacing(folder / WEIGHTS) as temporary:
        save_file(plain, temporary, metadata={"format": "pt"})
    write_json(folder / CONFIG, _config(model, base_model))


def device_of_this_process() -> "torch.device":
    """The CUDA device that accelerate gave this process, or the CPU."""
    import torch
    from accelerate import PartialState

    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device(PartialState().device)


def resolved_dtype(wanted: str, device: "torch.device") -> str:
    """`auto` as a name: the precision in which this machine multiplies faster (generation/precision.py)."""
    from pipelines.generation.precision import fastest

    return fastest(device.type) if wanted == "auto" else wanted


def _load_base(folder: Path, settings: Training, device: "torch.device") -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    from pipelines.training import attention

    kernel = attention.register() if device.type == "cpu" else "sdpa"
    options: dict[str, Any] = {"dtype": getattr(torch, settings.dtype), "attn_implementation": kernel}
    if settings.method == "qlora":
        options |= {"quantization_config": _four_bit(settings), "device_map": {"": device}}
    try:
        base = AutoModelForCausalLM.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, trust_remote_code=False, **options
        )
    except (OSError, ValueError, ImportError) as exc:
        raise ModelError(f"{folder} cannot be loaded as a causal language model ({settings.method}): {exc}") from exc
    for weight in base.parameters():
        weight.requires_grad_(False)
    return base if settings.method == "qlora" else base.to(device)


def _four_bit(settings: Training) -> Any:
    """NF4 with double quantisation, computing in the training precision (arXiv:2305.14314)."""
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, settings.dtype),
    )


def _config(model: Any, base_model: str) -> dict[str, Any]:
    """peft's configuration as plain JSON: sets sorted, the base named by its setting, ready for inference."""
    found = model.peft_config["default"].to_dict()
    plain = {key: sorted(value) if isinstance(value, set | frozenset) else value for key, value in found.items()}
    plain |= {"base_model_name_or_path": base_model, "inference_mode": True}
    loaded: dict[str, Any] = json.loads(json.dumps(plain, default=str))
    return loaded
