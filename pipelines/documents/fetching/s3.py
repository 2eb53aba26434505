"""Buckets with an S3 API -> entries: what lies below a prefix.

The bucket is listed; an object whose ETag and size are those of last time is not fetched again. Credentials, region
and endpoint are read by botocore from the environment or ~/.aws, and by nobody else.
Not covered: versions of objects; storage that has to be restored first (such objects are refused by name).
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

import pipelines
from pipelines.documents.fetching.job import Fetched, Job
from pipelines.documents.sources.locations import redacted
from pipelines.documents.sources.snapshots import Entry
from pipelines.documents.sources.unpacking import shown_name
from pipelines.errors import SourceError

PIECE = 1 << 20
FAILURES_IN_A_ROW = 5
"""After so many objects that cannot be had because the service does not answer, it counts as down."""
_COLD = frozenset({"GLACIER", "DEEP_ARCHIVE"})
_WHO = frozenset({"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "403"})


@dataclass(frozen=True)
class Object:
    """A line of the bucket's listing. `name`: its key below the prefix."""

    key: str
    name: str
    size_bytes: int
    tag: str
    storage: str


def fetch(job: Job) -> Fetched:
    """The objects below the prefix. Raises SourceError when the bucket cannot be listed or passes a bound."""
    bucket, prefix = parsed(job.location.address)
    client = _client(job)
    try:
        objects = _listed(job, client, bucket, prefix)
    except (BotoCoreError, ClientError) as exc:
        raise SourceError(_why(exc, bucket)) from exc
    if not objects:
        raise SourceError("there is no object with this prefix; check bucket and prefix, or wait until it is filled.")
    entries: list[Entry] = []
    failures = 0
    threads = ThreadPoolExecutor(job.settings.s3.parallel)
    try:
        found = threads.map(lambda each: _entry(job, client, bucket, each), objects)
        for number, (each, (entry, down)) in enumerate(zip(objects, found, strict=True), 1):
            failures = failures + 1 if down else 0
            if failures >= FAILURES_IN_A_ROW:
                raise SourceError(
                    f"the service stopped answering at {each.key}: {entry.refused or entry.kept_because}. What was "
                    "fetched so far is taken up when the same command runs again."
                )
            if entry.sha256 is not None and entry.kept_because is None:
                job.journal.add(entry)
            entries.append(entry)
            job.report(number, len(objects), each.key)
    finally:
        threads.shutdown(wait=True, cancel_futures=True)
    return Fetched(entries)


def parsed(address: str) -> tuple[str, str]:
    """Bucket and prefix of `s3://bucket/prefix`; keys are taken as they are, not as parts of an address."""
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    return bucket, prefix


def _client(job: Job) -> Any:
    """A client, with buckets in paths where it does not speak to AWS itself: bucket.minio is no host."""
    settings = job.settings
    config = Config(
        connect_timeout=settings.timeout_s,
        read_timeout=settings.timeout_s,
        retries={"total_max_attempts": settings.attempts, "mode": "standard"},
        max_pool_connections=settings.s3.parallel,
        user_agent_extra=f"groundwork/{pipelines.__version__}",
        request_checksum_calculation="when_required",  # services that are like S3 do not know the newer ones
        response_checksum_validation="when_required",
        **({"signature_version": UNSIGNED} if settings.s3.anonymous else {}),
    )
    named = {"region_name": settings.s3.region, "endpoint_url": settings.s3.endpoint_url}
    try:
        session = botocore.session.get_session()
        client = session.create_client("s3", config=config, **named)
        if ".amazonaws." in urlsplit(client.meta.endpoint_url).netloc:
            return client
        in_path = config.merge(Config(s3={"addressing_style": "path"}))
        return session.create_client("s3", config=in_path, **named)
    except (BotoCoreError, ValueError) as exc:
        raise SourceError(redacted(f"the S3 client cannot be set up: {exc}. See sources.s3 and AWS_*.")) from exc


def _listed(job: Job, client: Any, bucket: str, prefix: str) -> list[Object]:
    """The objects below a prefix, which is a folder or the key of one object: `docs` does not hold `docs-old/a`."""
    folder = prefix if not prefix or prefix.endswith("/") else f"{prefix}/"
    objects: list[Object] = []
    total = 0
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for row in page.get("Contents", ()):
            key = row["Key"]
            if key.endswith("/") or not (key == prefix or key.startswith(folder)):
                continue
            name = key.rpartition("/")[2] if key == prefix else key[len(folder) :]
            if shown_name(name)[0] is None:
                continue  # hidden
            objects.append(Object(key, name, int(row["Size"]), row["ETag"], row.get("StorageClass", "STANDARD")))
            total += int(row["Size"])
        _check_bounds(job, len(objects), total)
        job.report(0, 0, f"listing s3://{bucket}: {len(objects)} objects")
    return objects


def _check_bounds(job: Job, files: int, total: int) -> None:
    settings = job.settings
    if files > settings.files_at_most or total > settings.total_bytes:
        raise SourceError(
            f"holds more than {settings.files_at_most} objects or {settings.total_bytes} bytes "
            "(sources.files_at_most, sources.total_bytes). Name a longer prefix, or raise the bounds."
        )


def _entry(job: Job, client: Any, bucket: str, each: Object) -> tuple[Entry, bool]:
    """The object or why there is none, and whether the service did not answer."""
    uri, reason = shown_name(each.name)
    last = next((e for e in (job.taken.get(each.key), job.last.get(each.key)) if job.held(e)), None)
    entry = Entry(at=each.key, uri=uri or each.key, size_bytes=each.size_bytes, tag=each.tag)
    reason = reason or job.too_large(each.name, each.size_bytes)
    if each.storage in _COLD:
        reason = reason or f"in cold storage ({each.storage}); restore it first"
    if reason is not None:
        return entry.model_copy(update={"refused": reason}), False
    if last is not None and (last.tag, last.size_bytes) == (each.tag, each.size_bytes):
        return entry.model_copy(update={"sha256": last.sha256}), False
    try:
        answer = client.get_object(Bucket=bucket, Key=each.key, IfMatch=each.tag)
        stored = job.store.put_stream(_body(answer["Body"], each.size_bytes))
    except (BotoCoreError, ClientError, OSError) as exc:
        return _failed(entry, last, exc)
    return entry.model_copy(update={"sha256": stored.digest, "size_bytes": stored.size_bytes}), False


def _failed(entry: Entry, last: Entry | None, exc: Exception) -> tuple[Entry, bool]:
    """An object that cannot be had: what was fetched last time stays where the reason may pass."""
    code = str(exc.response["Error"].get("Code", "")) if isinstance(exc, ClientError) else ""
    status = int(exc.response["ResponseMetadata"].get("HTTPStatusCode", 0)) if isinstance(exc, ClientError) else 0
    down = not code or status >= 500 or code == "SlowDown"
    reason = "changed while it was fetched" if code in ("PreconditionFailed", "412") else _said(exc)
    if last is not None and (down or code in ("PreconditionFailed", "412")):
        kept = {"sha256": last.sha256, "size_bytes": last.size_bytes, "tag": last.tag, "kept_because": reason}
        return entry.model_copy(update=kept), down
    return entry.model_copy(update={"refused": f"could not be fetched: {reason}"}), down


def _body(body: Any, declared: int) -> Iterator[bytes]:
    """The bytes in pieces; more than the listing said is an error, not a full disk."""
    size = 0
    for piece in body.iter_chunks(PIECE):
        size += len(piece)
        if size > declared:
            raise OSError(f"it is longer than the {declared} bytes that the bucket lists")
        yield piece


def _why(exc: Exception, bucket: str) -> str:
    """Why a bucket cannot be listed, and what to do."""
    if isinstance(exc, NoCredentialsError | PartialCredentialsError):
        return (
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or a profile in ~/.aws), or "
            "sources.s3.anonymous: true for a public bucket."
        )
    code = str(exc.response["Error"].get("Code", "")) if isinstance(exc, ClientError) else ""
    if code == "NoSuchBucket":
        return f"there is no bucket {bucket!r}; check its name and sources.s3.endpoint_url."
    if code in _WHO:
        return f"the service refuses these credentials ({code}); check AWS_* and the bucket's policy."
    return f"the bucket could not be listed: {_said(exc)}. Check endpoint, region and network."


def _said(exc: Exception) -> str:
    text = " ".join("".join(c if c.isprintable() else " " for c in redacted(str(exc))).split())
    return text[:200].rstrip(".") or type(exc).__name__
