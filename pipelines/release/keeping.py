"""The adapter of the release in production, for a candidate that is not trained: `training.adapter: production`.

Invariant: no document of the candidate's golden set was seen by the adapter in training, under its name or with its
bytes. What it saw is read from the first release that carries it: a later one may have kept it as well, and its own
dataset then only evaluates.
Limit: a document that was both renamed and edited since is not recognised.
"""

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import select

from pipelines.artifacts import Workspace, read_json, replacing, write_json
from pipelines.contracts import Release
from pipelines.errors import DatasetError, DecisionError, ModelError
from pipelines.modelfiles import model_digest
from pipelines.release.champion import Reference
from pipelines.release.verify import listing
from pipelines.settings import Settings
from pipelines.store import ReleaseRow, Store

SHOWN = 3
"""Documents that an error names."""


def kept(workspace: Workspace, settings: Settings, store: Store) -> Reference:
    """What was trained for the release in production, named by the digest of what training wrote.

    The folder holds `training/` and `kept.json` (release, trained_by). Raises DecisionError where nothing is in
    production, ModelError where it stands on another base model, DatasetError where the dataset in the workspace
    holds golden documents that it was trained on.
    """
    origin = first_with_adapter(store, settings)
    need_unseen(origin, workspace)
    folder = workspace.state / "kept" / origin.parts["training"]
    if not folder.exists():
        with replacing(folder) as fresh:
            fresh.mkdir(parents=True)
            workspace.objects.get_tree(origin.objects["training"], fresh / "training")
            write_json(fresh / "kept.json", {"release": origin.id, "trained_by": origin.trained_by})
    return Reference(origin.parts["training"], folder)


def first_with_adapter(store: Store, settings: Settings) -> Release:
    """The release that the adapter in production was trained for."""
    with store.reading() as session:
        rows = session.scalars(select(ReleaseRow).order_by(ReleaseRow.number)).all()
        current = next((Release.model_validate(row.manifest) for row in rows if row.state == "production"), None)
        if current is None:
            raise DecisionError(
                "No release is in production, so there is no adapter to keep: approve one (`groundwork releases`), or "
                "train (leave --keep-adapter out, or set training.adapter: train)."
            )
        wanted = current.parts["adapter"]
        first = next(row for row in rows if row.manifest["parts"]["adapter"] == wanted)
        origin = Release.model_validate(first.manifest)
    base = settings.generation.base_model
    if origin.parts["base_model"] != model_digest(base):
        raise ModelError(
            f"The adapter of release {origin.id[:12]} was trained on another base model than {base}: set "
            "generation.base_model back, or train an adapter (training.adapter: train)."
        )
    return origin


def need_unseen(origin: Release, workspace: Workspace) -> None:
    """Raise DatasetError where the workspace's golden set holds documents that the adapter has seen."""
    new = workspace.stage("dataset") / "splits.json"
    if not new.exists():  # before the dataset is made there is nothing to compare
        return
    objects = workspace.objects
    old = objects.get(listing(objects, origin.objects["dataset"])["splits.json"])
    documents = objects.get(listing(objects, origin.objects["documents"])["documents.parquet"])
    seen = seen_again(
        (read_json(old), _digests(documents)),
        (read_json(new), _digests(workspace.stage("ingest") / "documents.parquet")),
    )
    if seen:
        named = ", ".join(seen[:SHOWN]) + (", ..." if len(seen) > SHOWN else "")
        raise DatasetError(
            f"{len(seen)} documents of the golden set were seen in training by the adapter of release "
            f"{origin.id[:12]} ({named}): figures on them would flatter it. Train (leave --keep-adapter out, or set "
            "training.adapter: train), or take the dataset's seed, shares and document names back."
        )


Sorted = tuple[Mapping[str, str], Mapping[str, str]]
"""Of a dataset: uri to split, and uri to sha256."""


def seen_again(old: Sorted, new: Sorted) -> list[str]:
    """Golden uris of `new` that were not golden in `old`, by uri or by bytes."""
    (splits, digests), (splits_now, digests_now) = old, new
    names = {uri for uri, split in splits.items() if split != "golden"}
    contents = {digests[uri] for uri in names if uri in digests}
    golden = (uri for uri, split in splits_now.items() if split == "golden")
    return sorted(uri for uri in golden if uri in names or digests_now.get(uri) in contents)


def _digests(documents: Path) -> dict[str, str]:
    import pyarrow.parquet as pq

    table = pq.read_table(documents, columns=["uri", "sha256"])
    return dict(zip(table.column("uri").to_pylist(), table.column("sha256").to_pylist(), strict=True))
