"""What `files.sources` names -> its kind and place.

A source is a string: a folder, a file, a glob, an archive, or an address (`https://`, `s3://`, `git+https://`,
a bare repository). ` as NAME` after it puts NAME/ before its uris, for sources whose uris would clash.
Invariant: a location carries no secret; one that would is refused, and its message does not repeat it.
Not covered: what lies there (folders.py, archives.py, snapshots.py), how it is fetched (documents/fetching/).
"""

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from pipelines.artifacts import sha256_of
from pipelines.errors import SourceError
from pipelines.settings import resolve


@dataclass(frozen=True)
class Kind:
    """A kind of source as data. `fetch`: `module:function` that brings it to this machine; None: it lies here."""

    name: str
    schemes: tuple[str, ...] = ()
    fetch: str | None = None


_FETCHING = "pipelines.documents.fetching"
KINDS = {
    kind.name: kind
    for kind in (
        Kind("folder"),
        Kind("file"),
        Kind("glob"),
        Kind("archive"),
        Kind("web", ("https", "http"), f"{_FETCHING}.web:fetch"),
        Kind("s3", ("s3",), f"{_FETCHING}.s3:fetch"),
        Kind("git", ("git+https", "git+http", "git+ssh", "git+file"), f"{_FETCHING}.git:fetch"),
    )
}
_BY_SCHEME = {scheme: kind for kind in KINDS.values() for scheme in kind.schemes}

ARCHIVES = (
    *(".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".tzst"),
    *(".gz", ".bz2", ".xz", ".zst"),
)
"""Names of files that are opened; the last four hold a single file."""

_NAMED = re.compile(r"(?P<what>.*\S)\s+as\s+(?P<name>\w[\w.-]*(?:/\w[\w.-]*)*)", re.S)
_SCHEME = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+)://")
_REPOSITORY = re.compile(r"(?P<path>.*\.git)/?(?P<rest>(?:@[^#]+)?(?:#.*)?)", re.S)
_WILD = re.compile(r"[*?\[]")
_USER = re.compile(r"//[^/@\s]*@")
_SECRET = re.compile(
    r"(.*(token|secret|passw(or)?d|passphrase|signature|credential)|api[-_]?key|access[-_]?key(id)?|awsaccesskeyid|"
    r"auth|authorization|pwd|sig)",
    re.I,
)


@dataclass(frozen=True)
class Location:
    """Where a source is. `address`: an absolute path or a URL; `name`: what its uris begin with, or None."""

    kind: str
    address: str
    name: str | None = None

    @property
    def remote(self) -> bool:
        """Whether it has to be fetched."""
        return KINDS[self.kind].fetch is not None

    @property
    def path(self) -> Path:
        """Of a kind that lies on this machine."""
        return Path(self.address)

    @property
    def id(self) -> str:
        """The name of its snapshot: readable, and unique by the address's digest."""
        readable = re.sub(r"[^a-z0-9]+", "-", self.address.split("://")[-1].lower()).strip("-")[:40]
        return f"{readable}-{sha256_of(self.address.encode())[:12]}"

    def prefixed(self, uri: str) -> str:
        """A uri of this source as it counts among all sources."""
        return f"{self.name}/{uri}" if self.name else uri


def locate(named: str | os.PathLike[str]) -> Location:
    """The location that a setting names; relative paths are relative to the repository.

    Raises SourceError for a path that is not there, an unknown scheme, or an address that carries a secret.
    """
    text, name = _split_name(named, lambda path: resolve(Path(path)))
    if (found := _SCHEME.match(text)) is not None:
        scheme = found["scheme"].lower()
        return Location(_kind_of(scheme, text).name, _checked(f"{scheme}{text[len(scheme) :]}"), name)
    try:
        return _on_this_machine(text, name)
    except OSError as exc:
        raise SourceError(f"{text[:200]}: this source cannot be read ({exc.strerror}); check its permissions.") from exc


def absolute(named: str | os.PathLike[str]) -> str:
    """What a caller named in the current folder, as a setting that holds anywhere.

    Raises SourceError as `locate` does, so that nothing is kept that cannot be used.
    """
    text, name = _split_name(named, Path)
    if not _SCHEME.match(text):
        text = os.path.abspath(text)  # noqa: PTH100  a glob is no path
    whole = f"{text} as {name}" if name else text
    locate(whole)
    return whole


def refuse_secrets(named: Iterable[str]) -> None:
    """Raise SourceError for an address that carries a secret, before it is kept anywhere."""
    for each in named:
        if _SCHEME.match(each):
            _checked(_split_name(each, Path)[0])


def is_archive(name: str) -> bool:
    """Whether a file of this name is opened and its members are taken for documents."""
    return name.lower().endswith(ARCHIVES)


def redacted(text: str) -> str:
    """A message without what stands before an @ in an address."""
    return _USER.sub("//***@", text)


def carries_secret(url: str) -> str | None:
    """What in an address looks like a secret (a password, a token in the query), or None."""
    parts = urlsplit(url)
    if parts.password is not None or (parts.username and not parts.scheme.endswith("ssh")):
        return "a user name or password"
    names = [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]
    return next((f"a secret ({name}=...)" for name in names if _SECRET.fullmatch(name)), None)


def glob_base(pattern: str) -> Path:
    """The folder that a glob starts from: uris are relative to it."""
    parts = Path(pattern).parts
    wild = next(number for number, part in enumerate(parts) if _WILD.search(part))
    return Path(*parts[:wild])


def _on_this_machine(text: str, name: str | None) -> Location:
    place = resolve(Path(text))
    if place.is_dir():
        bare = _is_repository(place)
        return Location("git" if bare else "folder", f"git+file://{place}" if bare else str(place), name)
    if place.exists():
        return Location("archive" if is_archive(place.name) else "file", str(place), name)
    if (found := _REPOSITORY.fullmatch(str(place))) is not None and _is_repository(Path(found["path"])):
        return Location("git", f"git+file://{found['path']}{found['rest']}", name)
    if _WILD.search(text):
        if not glob_base(str(place)).is_dir():
            raise SourceError(f"{place}: there is no such folder as {glob_base(str(place))}.")
        return Location("glob", str(place), name)
    hint = "; write an address as git+ssh://USER@HOST/PATH" if re.match(r"[\w.-]+@[\w.-]+:", text) else ""
    raise SourceError(f"{place}: there is no such source folder or file (`files.sources` or --sources){hint}.")


def _split_name(named: str | os.PathLike[str], at: Callable[[str], Path]) -> tuple[str, str | None]:
    """`SOURCE as NAME` in two; a path that really ends like that is a path."""
    text = os.fspath(named)
    if not text.strip() or "\0" in text:
        raise SourceError(f"{text!r} names no source (`files.sources` or --sources).")
    found = _NAMED.fullmatch(text)
    if found is None or at(text).exists():
        return text, None
    return found["what"], found["name"]


def _kind_of(scheme: str, text: str) -> Kind:
    if scheme not in _BY_SCHEME:
        raise SourceError(f"{redacted(text)}: no source has the scheme {scheme}://; known: {', '.join(_BY_SCHEME)}.")
    return _BY_SCHEME[scheme]


def _checked(url: str) -> str:
    """The address, if it has what every address has and carries no secret."""
    try:
        parts = urlsplit(url)
        held = carries_secret(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError as exc:
        raise SourceError(f"{redacted(url)}: not an address: {exc}.") from exc
    if held is not None:
        raise SourceError(
            f"{redacted(url.split('?')[0])}: carries {held}. Secrets come from the environment alone; see "
            "docs/own-documents.md for what each kind of source reads there."
        )
    if not host and not url.startswith("git+file:///"):
        raise SourceError(f"{redacted(url)}: names no {'bucket' if parts.scheme == 's3' else 'host'}.")
    if re.search(r"[\x00-\x1f\x7f]" if parts.scheme == "s3" else r"[\x00-\x20\x7f]", url):
        raise SourceError(f"{redacted(url)!r}: an address holds no white space; write %20 for a space.")
    return url


def _is_repository(place: Path) -> bool:
    """Whether a folder is a bare Git repository; a checkout is a folder like any other."""
    return (place / "HEAD").is_file() and (place / "objects").is_dir() and (place / "refs").is_dir()
