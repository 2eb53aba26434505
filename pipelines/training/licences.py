"""Under which licence a document may be used: by rules of the settings, else by what it says of itself.

A document says so in a line `SPDX-License-Identifier: ...` or, in front matter, `license: ...` (`licence:` too).
Limits: what a document says is repeated, not checked; whether training is allowed under it is for people to judge.
"""

import re
from collections.abc import Sequence

from pipelines.contracts import Document
from pipelines.documents.access import pattern_of
from pipelines.settings import LicenceRule

UNKNOWN = "not stated"
LOOKED_AT = 4000
"""Characters of a document's beginning."""
_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([\w.+() -]{1,80}?)[ \t]*(?:\*/|-->)?[ \t]*(?:\n|$)")
_FRONT = re.compile(r"\A\ufeff?---[ \t]*\n(.*?)\n---[ \t]*(?:\n|$)", re.DOTALL)
_FIELD = re.compile(r"^licen[cs]e:[ \t]*[\"']?([^\n\"'#]{1,80}?)[\"']?[ \t]*$", re.MULTILINE | re.IGNORECASE)


def licence_of(document: Document, rules: Sequence[LicenceRule]) -> str:
    """Its licence, or UNKNOWN."""
    for rule in rules:
        if re.match(pattern_of(rule.glob).replace(r"\z", r"\Z"), document.uri):
            return rule.licence
    start = document.text[:LOOKED_AT]
    front = _FRONT.match(start)
    found = (_FIELD.search(front.group(1)) if front else None) or _SPDX.search(start)
    return found.group(1).strip() if found else UNKNOWN
