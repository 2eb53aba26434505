"""Stage folders and policies -> the manifest that names everything a release is made of.

Invariant: equal parts, equal release id; the id is computed from digests that `stage.json` files hold,
so that asking "is this registered?" reads no data.
Not covered: states and decisions (decide.py).
"""

from pathlib import Path
from typing import Any

from pipelines.artifacts import STAGE_FILE, Workspace, read_json, sha256_file
from pipelines.contracts import Release, content_id
from pipelines.errors import StageError
from pipelines.modelfiles import model_digest
from pipelines.settings import Settings, actor, resolve, with_sections

STAGE_PARTS = {
    "documents": "ingest",
    "chunks": "chunk",
    "index": "embed",
    "dataset": "dataset",
    "training": "train",
    "report": "evaluate",
    "redteam": "redteam",
    "decision": "gate",
}
"""Part to the stage whose folder it is."""
FILE_PARTS = {
    "prompt": "generation.prompt",
    "rewrite_prompt": "retrieval.rewrite_prompt",
    "training_prompt": "dataset.prompt",
    "gate_policy": "policies.gate",
    "guardrail_policy": "policies.guardrails",
    "rollout_policy": "policies.rollout",
    "release_policy": "policies.release",
    "targets": "policies.targets",
}
"""Part to the setting that names its file."""
ANSWERING = (
    "index",
    "adapter",
    "base_model",
    "prompt",
    "rewrite_prompt",
    "guardrail_policy",
    "retrieval",
    "generation",
    "embedding",
)
"""The parts that shape an answer."""
UNHASHED_SETTINGS = frozenset({"prompt", "rewrite_prompt", "base_url", "batch_size"})
"""Settings of a section that its digest leaves out: files are parts of their own, the rest does not shape an answer."""
REBUILT = {"adapter": "adapter", "index": "index", "report": "report"}
"""Folder of the copy that serving reads to its part."""
COPIED = {
    "prompt.yaml": "prompt",
    "rewrite.yaml": "rewrite_prompt",
    "guardrails.yaml": "guardrail_policy",
    "settings.json": "settings",
}
"""File of the same copy to its part."""


def parts_of(
    workspace: Workspace, settings: Settings, *, stages: tuple[str, ...] = tuple(STAGE_PARTS)
) -> dict[str, str]:
    """Every part's digest. `stages` limits it to stage parts that exist already."""
    parts = {part: outputs_digest(workspace.stage(STAGE_PARTS[part])) for part in stages}
    parts |= {part: sha256_file(_file(settings, setting)) for part, setting in FILE_PARTS.items()}
    parts["adapter"] = outputs_digest(workspace.stage("train"), below="adapter/")
    parts["base_model"] = model_digest(settings.generation.base_model)
    for section in ("retrieval", "generation", "embedding"):
        plain = getattr(settings, section).model_dump(mode="json", exclude=set(UNHASHED_SETTINGS))
        parts[section] = content_id(plain)
    return parts


def system_digest(parts: dict[str, str]) -> str:
    """Digest of the parts that shape an answer."""
    return content_id({name: parts[name] for name in ANSWERING})


def candidate_system(workspace: Workspace, settings: Settings) -> str:
    """The system that the stage folders hold now, before it is evaluated."""
    return system_digest(parts_of(workspace, settings, stages=("index",)))


def manifest_of(workspace: Workspace, settings: Settings) -> Release:
    """The release that the stage folders make, without storing anything."""
    parts = parts_of(workspace, settings)
    return Release(
        id=content_id(parts), parts=parts, objects={}, system=system_digest(parts), trained_by=trainer(workspace)
    )


def store_parts(release: Release, workspace: Workspace, settings: Settings) -> Release:
    """Copy every part into the object store and give the manifest with their object digests."""
    store = workspace.objects
    objects = {part: store.put(workspace.stage(stage)) for part, stage in STAGE_PARTS.items()}
    objects |= {part: store.put(_file(settings, setting)) for part, setting in FILE_PARTS.items()}
    objects["adapter"] = store.put(workspace.stage("train") / "adapter")
    serving = settings.model_dump(mode="json", include={"retrieval", "generation", "embedding"})
    objects["settings"] = store.put_bytes(content_bytes(serving))
    return release.model_copy(update={"objects": objects})


def materialise(release: Release, workspace: Workspace) -> Path:
    """A folder with what serving or evaluating a release needs, rebuilt from the object store.

    `adapter/`, `index/` (vectors.parquet, index.json), `report/`, `prompt.yaml`, `rewrite.yaml`, `guardrails.yaml`,
    `settings.json`, `manifest.json`.
    """
    from pipelines.artifacts import replacing, write_json

    folder = workspace.state / "releases" / release.id
    if folder.exists():
        return folder
    store = workspace.objects
    with replacing(folder) as fresh:
        fresh.mkdir(parents=True)
        for name, part in REBUILT.items():
            store.get_tree(release.objects[part], fresh / name)
        for name, part in COPIED.items():
            if part in release.objects:  # older releases have no rewriting prompt
                (fresh / name).write_bytes(store.get(release.objects[part]).read_bytes())
        write_json(fresh / "manifest.json", release)
    return folder


def serving_settings(folder: Path, settings: Settings) -> Settings:
    """The settings that a release was judged under, over those of this machine (runtime, upstream address)."""
    held: dict[str, Any] = read_json(folder / "settings.json")
    mine = settings.generation
    held["generation"] |= {"base_url": mine.base_url, "prompt": str(mine.prompt), "batch_size": mine.batch_size}
    if (folder / "rewrite.yaml").exists():
        held["retrieval"]["rewrite_prompt"] = str(folder / "rewrite.yaml")
    return with_sections(settings, held)


def outputs_digest(folder: Path, below: str = "") -> str:
    """Digest of a finished stage's outputs as its `stage.json` lists them."""
    place = folder / STAGE_FILE
    if not place.exists():
        raise StageError(f"{folder} holds no finished stage; run `groundwork run`.")
    outputs: dict[str, str] = read_json(place)["outputs"]
    return content_id({name: digest for name, digest in outputs.items() if name.startswith(below)})


def trainer(workspace: Workspace) -> str:
    """Who trained the adapter: written when it was trained, kept when the stage is skipped later."""
    run: dict[str, Any] = {}
    place = workspace.stage("train") / "run.json"
    if place.exists():
        run = read_json(place)
    return str(run.get("actor") or actor())


def content_bytes(value: Any) -> bytes:
    """Canonical JSON bytes."""
    import json

    return json.dumps(value, sort_keys=True, ensure_ascii=False).encode()


def _file(settings: Settings, setting: str) -> Path:
    value: Any = settings
    for part in setting.split("."):
        value = getattr(value, part)
    return resolve(value)
