"""Git repositories -> the files of one commit.

The `git` command does the work on a shallow bare clone that is kept beside the snapshot; files are read out of it as
blobs, so nothing is checked out and no hook, filter or attribute of the repository runs. Invariants: git asks nobody
anything, speaks only the protocol of the address, follows no redirect, and is ended with all its helpers when it takes
too long or fetches too much.
Not covered: submodules and LFS (each is refused by name), history.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipelines.documents.fetching.job import Fetched, Job
from pipelines.documents.sources.locations import redacted
from pipelines.documents.sources.snapshots import Entry
from pipelines.documents.sources.unpacking import shown_name
from pipelines.errors import SourceError

HEAD = "refs/groundwork/head"
PIECE = 1 << 20
WATCHED_EVERY_S = 0.5
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@-]{0,200}")
_LFS = b"version https://git-lfs.github.com/spec/"
_REDIRECTING = (
    *("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE", "GIT_PREFIX"),
    *("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_QUARANTINE_PATH"),
)
"""Variables that a hook or alias sets for its own repository."""


@dataclass(frozen=True)
class Address:
    """`git+https://host/path.git@ref#subfolder` taken apart."""

    url: str
    protocol: str
    ref: str
    subfolder: str


@dataclass(frozen=True)
class Blob:
    """A line of `git ls-tree`."""

    mode: str
    id: str
    size_bytes: int
    path: str


def fetch(job: Job) -> Fetched:
    """The files of the commit that the address names. Raises SourceError when it cannot be had or passes a bound."""
    address = parsed(job.location.address)
    commit = _brought(job, address)
    blobs = _listed(job.folder, commit, address)
    _check_bounds(job, blobs)
    entries: list[Entry] = []
    known = {entry.tag: entry for entry in job.last.values() if job.held(entry)}
    with _Reader(job.folder) as reader:
        for number, blob in enumerate(blobs, 1):
            entry = _entry(job, blob, known, reader)
            if entry is not None:
                entries.append(entry)
            job.report(number, len(blobs), blob.path)
    return Fetched(entries, revision=commit)


def parsed(address: str) -> Address:
    """The parts of an address. Raises SourceError for a ref or folder that cannot be one."""
    parts = urlsplit(address.removeprefix("git+"))
    path, mark, ref = parts.path.partition(".git@")
    if mark:
        path += ".git"
    elif "@" in parts.path.rpartition("/")[2]:
        path, _, ref = parts.path.rpartition("@")
    if ref and (not _REF.fullmatch(ref) or ".." in ref):
        raise SourceError(f"{ref!r} cannot be the name of a branch, tag or commit.")
    subfolder = unquote(parts.fragment).strip("/")
    if any(part in ("", ".", "..") for part in subfolder.split("/")) and subfolder:
        raise SourceError(f"#{subfolder} is no folder of a repository.")
    return Address(parts._replace(path=path, fragment="").geturl(), parts.scheme, ref or "HEAD", subfolder)


def _brought(job: Job, address: Address) -> str:
    """The commit, which is in the clone from now on."""
    clone = job.folder
    if shutil.which("git") is None:
        raise SourceError("the command `git` is not installed, and it is what fetches repositories.")
    if not (clone / "HEAD").exists():
        shutil.rmtree(clone, ignore_errors=True)
        clone.mkdir(parents=True)
        _git(clone, address, ["init", "--quiet", "--bare", "--template="])
    for lock in clone.rglob("*.lock"):  # of a process that was killed: we hold the lock of this source
        lock.unlink(missing_ok=True)
    before = _commit(clone, address)
    quietly = ("--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--force")
    _git(clone, address, ["fetch", *quietly, "--", address.url, f"{address.ref}:{HEAD}"], job)
    commit = _commit(clone, address)
    if commit is None:
        raise SourceError(f"{address.ref} is no commit.")
    if before not in (None, commit):
        _git(clone, address, ["gc", "--quiet", "--prune=now"], job)
    return commit


def _commit(clone: Path, address: Address) -> str | None:
    try:
        return _git(clone, address, ["rev-parse", "--verify", "--quiet", f"{HEAD}^{{commit}}"]).strip()
    except SourceError:
        return None


def _listed(clone: Path, commit: str, address: Address) -> list[Blob]:
    of = f"{commit}:{address.subfolder}" if address.subfolder else commit
    try:
        listing = _git(clone, address, ["ls-tree", "-r", "-z", "-l", of])
    except SourceError as exc:
        raise SourceError(f"there is no folder {address.subfolder!r} at {address.ref} ({commit[:12]}).") from exc
    blobs = []
    for line in filter(None, listing.split("\0")):
        facts, _, path = line.partition("\t")
        mode, _, identity, size = facts.split()
        blobs.append(Blob(mode, identity, int(size) if size.isdigit() else 0, path))
    return blobs


def _check_bounds(job: Job, blobs: Sequence[Blob]) -> None:
    total = sum(blob.size_bytes for blob in blobs)
    if len(blobs) > job.settings.files_at_most:
        raise SourceError(
            f"holds {len(blobs)} files, sources.files_at_most allows {job.settings.files_at_most}. Name a folder of "
            "it with #FOLDER, or raise the bound."
        )
    if total > job.settings.total_bytes:
        raise SourceError(
            f"holds {total} bytes, sources.total_bytes allows {job.settings.total_bytes}. Name a folder of it with "
            "#FOLDER, or raise the bound."
        )


def _entry(job: Job, blob: Blob, known: dict[str | None, Entry], reader: "_Reader") -> Entry | None:
    """The file, or why it is none; None: it is hidden."""
    uri, reason = shown_name(blob.path)
    if uri is None:
        return None
    if blob.mode == "160000":
        reason = "a submodule: name its repository as a source of its own"
    elif blob.mode == "120000":
        reason = "a link: what it points to is read under its own name"
    reason = reason or job.too_large(blob.path, blob.size_bytes)
    entry = Entry(at=blob.path, uri=uri, size_bytes=blob.size_bytes, tag=blob.id, refused=reason)
    if reason is not None:
        return entry
    if (same := known.get(blob.id)) is not None:
        return entry.model_copy(update={"sha256": same.sha256})
    stored = job.store.put_stream(reader.read(blob))
    if blob.size_bytes < 1024 and job.store.path(stored.digest).read_bytes().startswith(_LFS):
        return entry.model_copy(update={"refused": "kept in Git LFS: what lies here is a pointer to it"})
    return entry.model_copy(update={"sha256": stored.digest})


class _Reader:
    """`git cat-file --batch`: the bytes of blobs, one after another."""

    def __init__(self, clone: Path) -> None:
        self._process = subprocess.Popen(
            ["git", "--git-dir", str(clone), "cat-file", "--batch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(None),
        )

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def read(self, blob: Blob) -> Iterator[bytes]:
        """The bytes in pieces. Raises SourceError when the clone does not hold them."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(f"{blob.id}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError as exc:
            raise SourceError("its clone is damaged: git stopped reading it.") from exc
        head = self._process.stdout.readline().split()
        if len(head) != 3 or head[1] != b"blob":
            raise SourceError(f"its clone is damaged: {blob.path} ({blob.id}) is not in it.")
        left = int(head[2])
        while left:
            piece = self._process.stdout.read(min(left, PIECE))
            if not piece:
                raise SourceError("its clone is damaged: git stopped reading it.")
            left -= len(piece)
            yield piece
        self._process.stdout.read(1)


def _git(clone: Path, address: Address, arguments: Sequence[str], job: Job | None = None) -> str:
    """What git says on stdout. Raises SourceError with what it says on stderr; with a job its bounds hold."""
    process = subprocess.Popen(
        ["git", *_options(address.protocol), "--git-dir", str(clone), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(address.protocol),
        start_new_session=True,  # its helpers (ssh, git-remote-https) end with it
    )
    try:
        out, err = _watched(process, clone, job)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    if process.returncode:
        raise SourceError(_said(err.decode("utf-8", "replace"), address))
    return out.decode("utf-8", "surrogateescape")


def _watched(process: "subprocess.Popen[bytes]", clone: Path, job: Job | None) -> tuple[bytes, bytes]:
    deadline = time.monotonic() + (job.settings.git_timeout_s if job else 60)
    while True:
        try:
            return process.communicate(timeout=WATCHED_EVERY_S)
        except subprocess.TimeoutExpired as exc:
            if time.monotonic() > deadline:
                raise SourceError("took longer than sources.git_timeout_s allows; try again, or raise it.") from exc
            if job is not None and _size(clone) > job.settings.total_bytes:
                bound = job.settings.total_bytes
                raise SourceError(f"is larger than sources.total_bytes allows ({bound} bytes).") from exc


def _size(folder: Path) -> int:
    total = 0
    for place in folder.rglob("*"):
        with contextlib.suppress(OSError):  # git renames its temporary packs
            total += place.lstat().st_size
    return total


def _options(protocol: str) -> list[str]:
    settings = {
        "protocol.allow": "never",
        f"protocol.{protocol}.allow": "always",
        "http.followRedirects": "false",
        "core.hooksPath": os.devnull,
        "core.fsmonitor": "false",
        "gc.auto": "0",
        "maintenance.auto": "false",
        "transfer.bundleURI": "false",
        "fetch.recurseSubmodules": "false",
        "gc.reflogExpire": "now",
    }
    return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]


def _environment(protocol: str | None) -> dict[str, str]:
    """The caller's own (credential helpers, ssh agent, proxies), with every question answered by no."""
    kept = {name: value for name, value in os.environ.items() if name not in _REDIRECTING}
    quiet = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", "GIT_LFS_SKIP_SMUDGE": "1", "GIT_OPTIONAL_LOCKS": "0"}
    if protocol == "ssh":
        quiet["GIT_SSH_COMMAND"] = f"{kept.get('GIT_SSH_COMMAND', 'ssh')} -o BatchMode=yes"
    quiet.setdefault("GIT_ASKPASS", kept.get("GIT_ASKPASS", "true"))
    return {**kept, **quiet}


def _said(stderr: str, address: Address) -> str:
    """An error of git's as ours: without secrets, control characters, and what the server had to say at length."""
    text = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", redacted(stderr)).split())
    if "couldn't find remote ref" in text or "not our ref" in text:
        return f"there is no branch, tag or commit {address.ref!r}."
    if "Authentication failed" in text or "could not read Username" in text or "Permission denied" in text:
        return (
            "it wants to know who you are. Give git a credential helper, GIT_ASKPASS or an ssh agent that answers "
            "without a person; passwords in addresses are not taken."
        )
    return f"git could not fetch it: {text[:300]}."
