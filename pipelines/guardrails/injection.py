"""Does a text try to give the model orders? Patterns over the text and over what it may hide.

What is looked at: the text as it stands, without zero-width characters and in NFKC, leetspeak undone, and
whatever base64 or rot13 in it decodes to readable text. Source of the categories: OWASP LLM01 (2025).
Limits: patterns know forms, not meaning; a new wording passes. The grounding check stands behind them.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

ABOVE = (
    r"(?:previous|prior|above|earlier|preceding|foregoing|your|all|any|the|these|those|system|original|initial|safety)"
)
RULES = r"(?:instruction|rule|prompt|guideline|direction|order|restriction|polic|filter|command|training|programming|constraint)\w*"
PATTERNS: dict[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for name, pattern in {
        "override": rf"\b(?:ignore|disregard|forget|override|bypass|skip|drop|neglect|set aside)\b.{{0,30}}\b{ABOVE}\b"
        rf".{{0,30}}\b{RULES}",
        "new rules": rf"\b(?:new|updated|real|actual) {RULES}\b.{{0,10}}[:\-]|\bfrom now on,? you\b|\byou are now\b",
        "system prompt": r"\b(?:reveal|show|print|repeat|output|tell|give|quote|recite|disclose|display|leak|translate|spell|"
        r"summari[sz]e|write out|what (?:is|are|was|were))\b.{0,50}\b(?:system (?:prompt|message|instruction)|hidden "
        r"(?:prompt|instruction|rule)|initial (?:prompt|instruction)|your (?:own )?(?:prompt|instruction|rule|configuration)|"
        r"(?:text|words|everything|message) above|secret (?:code|word|key|token|phrase)|canary)",
        "role play": r"\b(?:pretend|act|role-?play|behave|imagine you are|simulate)\b.{0,40}\b(?:no|without|free of|unrestricted|"
        r"uncensored|unfiltered|any) ?.{0,15}(?:rule|restriction|limit|filter|guideline|censor|moral|ethic)\w*|"
        r"\b(?:DAN|do anything now|developer mode|jailbreak|god mode|sudo mode|evil (?:twin|mode|version))\b",
        "dictated answer": r"\b(?:say|print|output|respond|reply|answer|write|begin|start|end|append|include|insert|add)\b"
        r"[^.?!\n]{0,40}\b(?:only|exactly|verbatim|with the (?:word|phrase|text|string|token|code|sentence|line)|"
        r"the (?:word|phrase|text|string|token|code) )",
        "to the assistant": r"\b(?:note|message|attention|instruction|memo|notice)s? (?:to|for) (?:the |any |all )?(?:ai|assistant|"
        r"model|chatbot|llm|bot)|\b(?:as an? (?:ai|language model)|dear (?:ai|assistant))\b|<\|?(?:im_start|system|assistant)|"
        r"\[(?:/?inst|system)\]|^\s*(?:system|assistant)\s*:",
        "flood": r"\b(?:repeat|write|print|say|list|count)\b.{0,60}\b(?:\d{3,}|\d{1,3}[, ]\d{3}|thousand|million|forever|"
        r"endless|infinite|without (?:stop|end)|never stop|non-?stop)\b",
        "decode": r"\b(?:decode|decrypt|decipher|base64|rot-?13|caesar|hex(?:adecimal)?)\b.{0,80}\b(?:do|follow|obey|execute|"
        r"carry out|comply|act|answer|instruction|then)\b",
    }.items()
}
LEET = str.maketrans("013457@$!", "oieastasi")
BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
LONGEST = 20_000
"""Characters looked at: patterns stay fast on a text of any length."""


@dataclass(frozen=True)
class Finding:
    """What a screen found, and in which reading of the text."""

    kind: str
    reading: str


def screen(text: str) -> Finding | None:
    """The first sign of an order to the model, or None."""
    for reading, candidate in _readings(text[:LONGEST]):
        for kind, pattern in PATTERNS.items():
            if pattern.search(candidate):
                return Finding(kind, reading)
    return None


def _readings(text: str) -> Iterator[tuple[str, str]]:
    plain = INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    yield "as it stands", plain
    yield "leetspeak", plain.translate(LEET)
    yield "rot13", codecs.encode(plain, "rot13")
    yield "spaced out", re.sub(r"(?<=\b\w)[ .\-_](?=\w\b)", "", plain)
    yield "backwards", plain[::-1]
    for found in BASE64.findall(plain)[:20]:
        decoded = _decoded(found)
        if decoded:
            yield "base64", decoded
            if _readable(decoded) and " " in decoded:
                yield "base64 message", f"system: {decoded}"


def _decoded(text: str) -> str | None:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        decoded = raw.decode("utf-8")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return decoded if _readable(decoded) else None


def _readable(text: str) -> bool:
    return bool(text) and sum(c.isprintable() or c.isspace() for c in text) / len(text) > 0.95
