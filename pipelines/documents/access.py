"""Whose document is it, and who may see it: rules of the settings, by uri; the first rule that matches decides.

Nothing is widened by accident: labels of several rules are never joined (they are alternatives: more labels, more
readers), a document's own words count only where the settings allow it and no rule matches, and what cannot be
read there is an error. What changes here changes no text: nothing is parsed or embedded again for it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.documents.parsers.properties import FRONT_MATTER
from pipelines.settings import LABEL, AccessRule

if TYPE_CHECKING:
    import pyarrow as pa

TENANT = "default"


@dataclass(frozen=True)
class Access:
    """Tenant and sorted labels."""

    tenant: str = TENANT
    labels: tuple[str, ...] = ()

    def covers(self, other: "Access") -> bool:
        """Whether everybody who may see `other` may see this."""
        if self.tenant != other.tenant:
            return False
        return not self.labels or (bool(other.labels) and set(other.labels) <= set(self.labels))


@dataclass(frozen=True)
class Assigned:
    """Access of documents in order; `refused`: position -> why what a document says of its labels cannot be used."""

    access: Sequence[Access]
    refused: Mapping[int, str]
    unused: tuple[str, ...]
    """Globs that match no document: perhaps a slip that leaves something open."""


def assign(
    uris: "pa.ChunkedArray", rules: Sequence[AccessRule], claims: Sequence[str | None] | None = None
) -> Assigned:
    """Access of documents. `claims`: what each says of its labels (`claim_of`); None: they have no say."""
    import numpy as np
    import pyarrow.compute as pc

    made = [*(Access(rule.tenant or TENANT, tuple(sorted(set(rule.labels)))) for rule in rules), Access()]
    chosen = np.full(len(uris), -1)
    unused = []
    for number, rule in enumerate(rules):
        matched = pc.match_substring_regex(uris, pattern_of(rule.glob)).to_numpy()
        if not matched.any():
            unused.append(rule.glob)
        chosen[matched & (chosen < 0)] = number
    access = [made[number] for number in chosen.tolist()]  # -1: the last
    refused: dict[int, str] = {}
    for position, claim in enumerate(claims or ()):
        if claim is not None and chosen[position] < 0:
            labels = labels_of(claim)
            if labels is None:
                refused[position] = _REFUSED
            else:
                access[position] = Access(TENANT, labels)
    return Assigned(access, refused, tuple(unused))


_REFUSED = (
    "its front matter names access labels that cannot be read (documents.labels_in_documents); "
    "write `access: [label, ...]`, a label being letters, digits and . : @ / -"
)


def claim_of(meta: Mapping[str, str]) -> str | None:
    """What a document's properties say of its labels, as it is kept: a JSON list, "" where it cannot be read."""
    return "" if FRONT_MATTER in meta else meta.get("labels")


def labels_of(claim: str) -> tuple[str, ...] | None:
    """Labels of a claim; None where it cannot be read: then nobody may guess that it is open to all."""
    labels = json.loads(claim) if claim else None
    if labels is None or not all(re.fullmatch(LABEL, label) for label in labels):
        return None
    return tuple(sorted(labels))


def pattern_of(glob: str) -> str:
    r"""A glob over uris as a regular expression: `*` and `?` stay within a folder, `**` does not.

    A glob without a slash means the name of a file in any folder; one that ends with a slash, all below.
    """
    whole = glob + "**" if glob.endswith("/") else glob
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", whole.removeprefix("/"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    body = "".join(meaning.get(part) or re.escape(part) for part in parts)
    return rf"(?s)\A{'' if '/' in glob else '(?:.*/)?'}{body}\z"
