"""Texts -> vectors in shards, ahead of the stage that writes them: it finds them kept and loads no model.

Invariants: a shard holds the texts that one process alone would embed together, so that padding, and with it every bit
of a vector, is the same; vectors are kept in the order of the shards, so that an interrupted run cuts the rest as
before and finds what it made ahead. Bits are those of one kind of processor: workers of several kinds differ in them.
"""

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from pipelines.artifacts import StageJob
from pipelines.errors import StageError
from pipelines.retrieval.embedder import Embedder
from pipelines.retrieval.vectorcache import Halves, VectorCache
from pipelines.settings import Embedding, cores
from pipelines.shards import Shard, each_done, making, several, shards_of

Named = tuple[bytes, str]
"""A text after its digest."""

_LOADED = threading.Lock()
"""An encoder answers one question at a time, with all threads it was given."""


def together(missing: dict[bytes, str], most: int) -> Iterator[list[bytes]]:
    """Digests of the texts that are embedded and kept together, of like length each."""
    order = sorted(missing, key=lambda digest: len(missing[digest]))
    for start in range(0, len(order), most):
        yield order[start : start + most]


def embed_ahead(job: StageJob, groups: Iterable[Sequence[Named]], cache: VectorCache, *, most: int) -> int:
    """Embed what is not kept yet of each group, in shards of `most` texts; how many were embedded.

    Nothing is done where the job has no mapper, where there is only one shard, or where all would be done by this
    process, which has all its cores in use with one encoder.
    """
    mapper, embedding = job.mapper, job.settings.embedding
    if mapper is None or not (mapper.processes or embedding.engine == "openai"):
        return 0
    coming: dict[int, list[bytes]] = {}
    shards = several(_shards(job, groups, cache, coming, most))
    done = 0
    for shard in each_done(embed_shard, shards or (), mapper, partial(job.report, 0, 0)):
        digests = coming.pop(shard.number)
        cache.put(digests, _vectors(shard.place, len(digests)))
        shard.place.unlink()
        done += len(digests)
    return done


def embed_shard(given: bytes, place: Path, threads: int) -> None:
    """Embed the texts of a shard: float16 [n, dim] into `place`."""
    asked = json.loads(given)
    # two at least: with one thread the encoder calculates in another precision (encoders/openvino.py)
    used = 1 if asked["one_thread"] else max(2, threads)
    with _LOADED:
        made = _encoder(json.dumps(asked["settings"], sort_keys=True), used).encode_passages(asked["texts"])
    with making(place) as temporary, temporary.open("wb") as stream:
        np.save(stream, made.astype(np.float16))


def _shards(
    job: StageJob, groups: Iterable[Sequence[Named]], cache: VectorCache, coming: dict[int, list[bytes]], most: int
) -> Iterator[Shard]:
    """Texts that are neither kept nor in an earlier shard; their digests are noted by the shard's number."""
    chosen = job.settings.embedding.model_dump(mode="json")
    common = {"settings": chosen, "one_thread": (job.settings.runtime.threads or cores()) == 1}
    planned: set[bytes] = set()

    def parts() -> Iterator[tuple[str, object]]:
        number = before = 0
        for group in groups:
            kept = cache.get([digest for digest, _ in group])
            missing = {digest: text for digest, text in group if digest not in kept and digest not in planned}
            planned.update(missing)
            for part in together(missing, most):
                coming[number] = part
                yield (
                    f"embed texts {before + 1} to {before + len(part)}",
                    {**common, "texts": [missing[d] for d in part]},
                )
                number, before = number + 1, before + len(part)

    return shards_of(job.output, ".npy", parts())


def _vectors(place: Path, rows: int) -> Halves:
    found: Halves = np.load(place, allow_pickle=False)
    if found.ndim != 2 or len(found) != rows:
        place.unlink()
        raise StageError(f"{place} does not hold {rows} vectors; it was removed: run the same command again.")
    return found


@lru_cache(maxsize=1)
def _encoder(embedding: str, threads: int) -> Embedder:
    return Embedder(Embedding.model_validate_json(embedding), threads=threads)
