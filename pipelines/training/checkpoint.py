"""Checkpoints of a training run: master weights as safetensors, AdamW's state, progress, randomness.

Invariants: a checkpoint's folder appears by rename, complete; only the newest is kept; tensors are
read with safetensors or `weights_only=True`, never by running what a file says.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import read_json, replacing, write_json
from pipelines.errors import StageError

if TYPE_CHECKING:
    import torch

    from pipelines.training.optimizer import MasterAdamW

PREFIX = "checkpoint-"
BEST = "best.safetensors"


@dataclass(frozen=True)
class Kept:
    """What a checkpoint holds beside what `read` restores."""

    progress: dict[str, Any]
    best: "dict[str, torch.Tensor] | None"


def write(
    place: Path,
    optimizer: "MasterAdamW",
    progress: dict[str, Any],
    *,
    step: int,
    best: "Mapping[str, torch.Tensor] | None" = None,
) -> Path:
    """Keep a run's state under `place`, with the best weights so far, and remove older checkpoints."""
    import torch
    from safetensors.torch import save_file

    folder = place / f"{PREFIX}{step:08d}"
    with replacing(folder) as fresh:
        fresh.mkdir()
        save_file(optimizer.masters, fresh / "masters.safetensors")
        if best is not None:
            save_file(dict(best), fresh / BEST)
        state = {"adamw": optimizer.adamw.state_dict(), "rng": torch.get_rng_state()}
        if torch.cuda.is_available():
            state["cuda_rng"] = torch.cuda.get_rng_state()
        torch.save(state, fresh / "optimizer.pt")
        write_json(fresh / "progress.json", progress)
    for older in _all(place)[:-1]:
        shutil.rmtree(older, ignore_errors=True)
    return folder


def read(place: Path, optimizer: "MasterAdamW") -> Kept | None:
    """Restore weights, AdamW's state and randomness from the newest checkpoint; give the rest of it.

    None when there is none. Raises StageError when it does not fit the model.
    """
    import torch
    from safetensors.torch import load_file

    found = _all(place)
    if not found:
        return None
    newest = found[-1]
    masters = load_file(newest / "masters.safetensors")
    if masters.keys() != optimizer.masters.keys():
        raise StageError(f"{newest} is of another adapter; remove it and train again.")
    with torch.no_grad():
        for name, weight in optimizer.masters.items():
            weight.copy_(masters[name])
    state = torch.load(newest / "optimizer.pt", weights_only=True, map_location="cpu")
    optimizer.adamw.load_state_dict(state["adamw"])
    torch.set_rng_state(state["rng"])
    if "cuda_rng" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda_rng"])
    device = str(next(iter(optimizer.masters.values())).device)
    best = load_file(newest / BEST, device=device) if (newest / BEST).exists() else None
    return Kept(read_json(newest / "progress.json"), best)


def clear(place: Path) -> None:
    """Remove every checkpoint, and what an interrupted write left."""
    for folder in [*_all(place), *place.glob(f".{PREFIX}*")]:
        shutil.rmtree(folder, ignore_errors=True)


def _all(place: Path) -> list[Path]:
    return sorted(place.glob(f"{PREFIX}*"))
