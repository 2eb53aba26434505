"""Does a text try to give the model orders? Signs of that, in the text as it stands and in what it may hide.

What is looked at: the text in NFKC without invisible characters, with leetspeak undone, letters pushed apart joined,
read backwards, as rot13, and whatever base64 in it decodes to. Limits: signs know forms, not meaning, and English best;
a request that is harmful but plainly worded passes. The grounding check stands behind them.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from pipelines.guardrails.signs import SIGNS

Place = Literal["question", "passage"]

LEET = str.maketrans("013457@$!", "oieastasi")
BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
SPACED = re.compile(r"(?<=\b\w)[ .\-_*](?=\w\b)")
LONGEST = 20_000
"""Characters looked at: a text of any length costs no more than this."""
BLOBS = 20
"""Runs of base64 looked into."""
REMEMBERED = 4096
"""Texts whose finding is remembered: search brings the same passages again and again, and a look takes milliseconds."""


@dataclass(frozen=True)
class Finding:
    """What a screen found, and in which reading of the text."""

    kind: str
    reading: str


@lru_cache(maxsize=REMEMBERED)
def screen(text: str, place: Place = "question") -> Finding | None:
    """The first reading in which a text gives orders to the model, or None."""
    for reading, candidate in _readings(text[:LONGEST]):
        kind = _weighed(candidate, place)
        if kind is not None:
            return Finding(kind, reading)
    return None


def _weighed(text: str, place: Place) -> str | None:
    """The heaviest kind of sign when the kinds found weigh 1 together; signs of one kind count once."""
    weights: dict[str, float] = {}
    for sign in SIGNS:
        weight = sign.in_question if place == "question" else sign.in_passage
        if weight > weights.get(sign.kind, 0.0) and sign.pattern.search(text):
            weights[sign.kind] = weight
            if sum(weights.values()) >= 1:
                return max(weights, key=lambda kind: weights[kind])
    return None


def _readings(text: str) -> Iterator[tuple[str, str]]:
    plain = INVISIBLE.sub("", unicodedata.normalize("NFKC", text)).replace("’", "'")
    yield "as it stands", plain
    others = {
        "leetspeak": plain.translate(LEET),
        "rot13": codecs.encode(plain, "rot13"),
        "spaced out": SPACED.sub("", plain),
        "backwards": plain[::-1],
    }
    yield from ((reading, other) for reading, other in others.items() if other != plain)
    for blob in BASE64.findall(plain)[:BLOBS]:
        decoded = _decoded(blob)
        if decoded:  # a sentence in base64 is an order by its wrapping alone
            yield "base64", f"system: instruction: {decoded}" if " " in decoded else decoded


def _decoded(blob: str) -> str | None:
    """The text in a run of base64, or None when it holds none."""
    try:
        decoded = base64.b64decode(blob + "=" * (-len(blob) % 4), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    readable = sum(c.isprintable() or c.isspace() for c in decoded)
    return decoded if decoded and readable / len(decoded) > 0.95 else None
