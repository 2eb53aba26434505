"""What differs between two releases: data, index, texts of prompts and policies, adapter, settings, and what came out.

Everything is read from the object store. Figures of two suites that differ are shown beside each other and marked:
they do not measure the same.
"""

import difflib
from typing import Any

from pipelines.artifacts import ObjectStore, read_json
from pipelines.contracts import Contract, Release
from pipelines.release.manifest import FILE_PARTS
from pipelines.release.verify import TREES, listing

SYSTEM = "candidate"
"""The role under which a release's own figures stand in its report."""
RATES = ("attack_success", "attack_success_unguarded")


class Setting(Contract):
    """A setting with its two values; None: that release has none of this name."""

    name: str
    old: Any
    new: Any


class Figure(Contract):
    """A metric over all items of each release's own report, with its interval; None: not measured."""

    metric: str
    old: float | None
    old_low: float | None
    old_high: float | None
    new: float | None
    new_low: float | None
    new_high: float | None


class Text(Contract):
    """A prompt or a policy that differs, as a unified diff of its lines."""

    part: str
    diff: str


class Difference(Contract):
    """Two releases side by side. `files`: part to the names of files that were added, removed or changed."""

    old: str
    new: str
    parts: tuple[str, ...]
    """Every part whose digest differs."""
    index: tuple[Setting, ...]
    files: dict[str, dict[str, tuple[str, ...]]]
    texts: tuple[Text, ...]
    settings: tuple[Setting, ...]
    figures: tuple[Figure, ...]
    same_suite: bool


def difference(old: Release, new: Release, objects: ObjectStore) -> Difference:
    """What differs between two releases. Raises StageError where a stored part is missing."""
    parts = tuple(sorted(n for n in {*old.parts, *new.parts} if old.parts.get(n) != new.parts.get(n)))
    reports = [_json(release, "report", "report.json", objects) for release in (old, new)]
    attacks = [_json(release, "redteam", "redteam.json", objects) for release in (old, new)]
    figures = [{**_measured(report), **_rates(attack)} for report, attack in zip(reports, attacks, strict=True)]
    return Difference(
        old=old.id,
        new=new.id,
        parts=parts,
        index=_settings(*(_json(release, "index", "index.json", objects) for release in (old, new))),
        files={part: found for part in parts if part in TREES and (found := _files(part, old, new, objects))},
        texts=tuple(_text(part, old, new, objects) for part in parts if part in FILE_PARTS),
        settings=_settings(*(_serving(release, objects) for release in (old, new))),
        figures=_figures(*figures),
        same_suite=reports[0].get("suite") == reports[1].get("suite"),
    )


def _json(release: Release, part: str, name: str, objects: ObjectStore) -> dict[str, Any]:
    """A JSON file of a stored folder; {} for a release that has none."""
    if part not in release.objects:
        return {}
    objects.get(release.objects[part])
    digest = listing(objects, release.objects[part]).get(name)
    return {} if digest is None else dict(read_json(objects.get(digest)))


def _serving(release: Release, objects: ObjectStore) -> dict[str, Any]:
    return dict(read_json(objects.get(release.objects["settings"]))) if "settings" in release.objects else {}


def _files(part: str, old: Release, new: Release, objects: ObjectStore) -> dict[str, tuple[str, ...]]:
    before, after = (
        listing(objects, release.objects[part]) if part in release.objects else {} for release in (old, new)
    )
    found = {
        "added": tuple(sorted(after.keys() - before.keys())),
        "removed": tuple(sorted(before.keys() - after.keys())),
        "changed": tuple(sorted(name for name in before.keys() & after.keys() if before[name] != after[name])),
    }
    return {how: names for how, names in found.items() if names}


def _text(part: str, old: Release, new: Release, objects: ObjectStore) -> Text:
    before, after = _lines(part, old, objects), _lines(part, new, objects)
    names = (f"{part} of {old.id[:12]}", f"{part} of {new.id[:12]}")
    return Text(part=part, diff="\n".join(difflib.unified_diff(before, after, *names, lineterm="", n=2)))


def _lines(part: str, release: Release, objects: ObjectStore) -> list[str]:
    if part not in release.objects:
        return []
    return objects.get(release.objects[part]).read_text(encoding="utf-8").splitlines()


def _settings(old: dict[str, Any], new: dict[str, Any]) -> tuple[Setting, ...]:
    before, after = _flat(old), _flat(new)
    names = sorted(n for n in before.keys() | after.keys() if before.get(n) != after.get(n))
    return tuple(Setting(name=name, old=before.get(name), new=after.get(name)) for name in names)


def _flat(values: dict[str, Any], at: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{at}{key}.") if isinstance(value, dict) else {f"{at}{key}": value}
    return flat


def _measured(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    rows = report.get("measurements", [])
    return {row["metric"]: row for row in rows if row["system"] == SYSTEM and row["slice"] == "all"}


def _rates(attacks: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: {**attacks[name], "value": attacks[name]["rate"]} for name in RATES if name in attacks}


def _figures(old: dict[str, dict[str, Any]], new: dict[str, dict[str, Any]]) -> tuple[Figure, ...]:
    made = []
    for metric in sorted(old.keys() | new.keys()):
        values: dict[str, float | None] = {}
        for side, held in (("old", old.get(metric)), ("new", new.get(metric))):
            for name, key in ((side, "value"), (f"{side}_low", "low"), (f"{side}_high", "high")):
                values[name] = None if held is None else held[key]
        made.append(Figure(metric=metric, **values))
    return tuple(made)
