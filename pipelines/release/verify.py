"""Is a release what its manifest says? Everything that it names is read again and hashed again.

Checked: the id and the system digest; each stored part, file by file, and that its content gives the digest that the
manifest names; the settings; the copy that serving reads; the base model on this machine; the row in SQL. The
version of the index is read row by row by the index's own check.
Not covered: what was attached as evidence (evidence.py), the audit log (audit.py).
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.artifacts import STAGE_FILE, ObjectStore, Workspace, read_json, sha256_file
from pipelines.contracts import Contract, Release, content_id
from pipelines.errors import ModelError
from pipelines.release.manifest import ANSWERING, COPIED, FILE_PARTS, REBUILT, STAGE_PARTS, UNHASHED_SETTINGS

TREES = frozenset({*STAGE_PARTS, "adapter"})
"""Parts that are folders in the object store."""
DECIDING = ("report", "redteam", "decision")
"""Parts that a reviewer's decision rests on: hashed again whenever one is taken."""


class Wrong(Contract):
    """One thing that is not what the manifest says."""

    part: str
    file: str
    """Name inside the part; "" for the part as a whole."""
    why: str

    @property
    def told(self) -> str:
        """In a line."""
        return f"{self.part}{'/' + self.file if self.file else ''}: {self.why}"


@dataclass
class Checked:
    """What was read, and what is wrong with it."""

    files: int = 0
    size_bytes: int = 0
    wrong: list[Wrong] = field(default_factory=list)

    def add(self, part: str, file: str, why: str) -> None:
        """Note something wrong."""
        self.wrong.append(Wrong(part=part, file=file, why=why))

    def file(self, place: Path, digest: str, part: str, name: str, missing: str) -> bool:
        """Hash a file; whether it is there and what it should be."""
        if not place.exists():
            self.add(part, name, missing)
            return False
        self.files += 1
        self.size_bytes += place.stat().st_size
        found = sha256_file(place)
        if found != digest:
            self.add(part, name, f"its content is {found[:12]}, not {digest[:12]} ({place})")
        return found == digest


def verify_parts(release: Release, objects: ObjectStore, parts: Iterable[str] | None = None) -> Checked:
    """Hash stored parts again (all, or those named) and compare each with the manifest."""
    checked = Checked()
    for part in sorted(release.objects) if parts is None else parts:
        if part not in release.objects:
            checked.add(part, "", "the manifest names no stored copy of it")
        elif part in TREES:
            _tree(part, release, objects, checked)
        else:
            _single(part, release, objects, checked)
    return checked


def verify_identity(release: Release) -> list[Wrong]:
    """Whether the id and the system digest follow from the parts."""
    wrong = []
    if content_id(release.parts) != release.id:
        wrong.append(Wrong(part="manifest", file="", why="its id does not follow from its parts"))
    held = {name: release.parts[name] for name in ANSWERING if name in release.parts}  # older releases have fewer
    if content_id(held) != release.system:
        wrong.append(Wrong(part="manifest", file="", why="its system digest does not follow from its parts"))
    return wrong


def verify_copy(release: Release, workspace: Workspace, checked: Checked) -> None:
    """The copy in `state/releases/ID` that serving reads, where there is one, against the stored parts."""
    folder, objects = workspace.state / "releases" / release.id, workspace.objects
    if not folder.exists():
        return
    missing = f"it is missing in the copy that serving reads; delete {folder}, it is made again"
    for name, part in REBUILT.items():
        for file, digest in listing(objects, release.objects[part]).items():
            checked.file(folder / name / file, digest, "serving copy", f"{name}/{file}", missing)
    for name, part in COPIED.items():
        if part in release.objects:
            checked.file(folder / name, release.objects[part], "serving copy", name, missing)


def verify_base_model(release: Release, objects: ObjectStore) -> list[Wrong]:
    """The base model's files on this machine, hashed again."""
    from pipelines.modelfiles import model_digest, model_folder

    if not _there(release, objects, "settings"):
        return []
    name = read_json(objects.path(release.objects["settings"]))["generation"]["base_model"]
    try:
        model_folder(name)
        found = model_digest(name)
    except ModelError as exc:
        return [Wrong(part="base_model", file="", why=str(exc))]
    if found == release.parts["base_model"]:
        return []
    return [Wrong(part="base_model", file="", why=f"{name} is {found[:12]}, not {release.parts['base_model'][:12]}")]


def listing(objects: ObjectStore, digest: str) -> dict[str, str]:
    """The files of a stored folder; none where the listing is gone or unreadable, which `verify_parts` says."""
    place = objects.path(digest)
    if not place.exists():
        return {}
    try:
        tree: dict[str, str] = json.loads(place.read_text(encoding="utf-8"))["tree"]
    except (ValueError, KeyError, TypeError):
        return {}
    return tree


def _tree(part: str, release: Release, objects: ObjectStore, checked: Checked) -> None:
    digest = release.objects[part]
    if not checked.file(objects.path(digest), digest, part, "", _lost(objects, digest)):
        return
    files = listing(objects, digest)
    whole = [checked.file(objects.path(d), d, part, name, _lost(objects, d)) for name, d in files.items()]
    if all(whole):
        for why in _named_otherwise(part, files, release, objects):
            checked.add(part, "", why)


def _named_otherwise(part: str, files: dict[str, str], release: Release, objects: ObjectStore) -> Iterator[str]:
    """What keeps a whole folder from being the one that the manifest's `parts` names."""
    if part == "adapter":  # the folder below the training stage's, whose stage.json names its files
        outputs = {f"adapter/{name}": digest for name, digest in files.items()}
    else:
        if STAGE_FILE not in files:
            yield f"it has no {STAGE_FILE}"
            return
        outputs = dict(read_json(objects.path(files[STAGE_FILE]))["outputs"])
        if {name: digest for name, digest in files.items() if name != STAGE_FILE} != outputs:
            yield f"its files are not those that its {STAGE_FILE} names"
    if content_id(outputs) != release.parts[part]:
        yield f"its files give another digest than the manifest's {release.parts[part][:12]}"


def _single(part: str, release: Release, objects: ObjectStore, checked: Checked) -> None:
    digest = release.objects[part]
    if not checked.file(objects.path(digest), digest, part, "", _lost(objects, digest)):
        return
    if part in FILE_PARTS and release.parts[part] != digest:
        checked.add(part, "", f"the stored file is not the one that the manifest names ({release.parts[part][:12]})")
    if part == "settings":
        held: dict[str, dict[str, Any]] = read_json(objects.path(digest))
        for section, values in held.items():
            plain = {name: value for name, value in values.items() if name not in UNHASHED_SETTINGS}
            if content_id(plain) != release.parts[section]:
                checked.add(part, section, "these values are not those that the manifest names")


def _there(release: Release, objects: ObjectStore, part: str) -> bool:
    return part in release.objects and objects.has(release.objects[part])


def _lost(objects: ObjectStore, digest: str) -> str:
    return f"{objects.path(digest)} is missing; restore it from a backup of state/objects"
