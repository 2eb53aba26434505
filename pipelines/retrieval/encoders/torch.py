"""An encoder by torch: on a CUDA GPU in bfloat16, on a processor in float32."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import ModelError
from pipelines.retrieval.encoders import Vectors
from pipelines.retrieval.encoders.folder import Pooling, pooling_of


class TorchEncoder:
    """Weights from a folder, on the fastest device there is."""

    def __init__(self, folder: Path, *, threads: int = 0, device: str | None = None) -> None:
        import torch

        if threads:
            torch.set_num_threads(threads)
        self._device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self._pooling = pooling_of(folder)
        self._model = load_model(folder, "bfloat16" if self._device == "cuda" else "float32").to(self._device)

    def __call__(self, ids: Sequence[Sequence[int]]) -> Vectors:
        """float32 [batch, dim] of unit length."""
        import torch

        longest = max(map(len, ids))
        padded = torch.tensor([[*row, *[0] * (longest - len(row))] for row in ids], device=self._device)
        mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in ids], device=self._device)
        with torch.inference_mode():
            hidden = self._model(input_ids=padded, attention_mask=mask).last_hidden_state.float()
            unit: Vectors = torch.nn.functional.normalize(pooled(hidden, mask, self._pooling), dim=1).cpu().numpy()
        return unit


def load_model(folder: Path, dtype: str) -> Any:
    """The encoder of a folder in evaluation mode. Raises ModelError."""
    import torch
    from transformers import AutoModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    try:
        return AutoModel.from_pretrained(folder, dtype=getattr(torch, dtype), use_safetensors=True).eval()
    except (OSError, ValueError) as exc:
        raise ModelError(f"{folder}: its weights cannot be loaded: {exc}") from exc


def pooled(hidden: Any, mask: Any, pooling: Pooling) -> Any:
    """float32 [batch, tokens, dim] and the mask of real tokens [batch, tokens] -> [batch, dim]."""
    if pooling == "cls":
        return hidden[:, 0]
    if pooling == "last":
        last = (mask.sum(1) - 1).view(-1, 1, 1).expand(-1, 1, hidden.shape[-1])
        return hidden.gather(1, last)[:, 0]
    real = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * real).sum(1) / real.sum(1).clamp(min=1)
