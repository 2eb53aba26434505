r"""Bytes -> text, in any encoding.

Order: byte order mark, a declared encoding (HTML, XML), UTF-16 without a mark, UTF-8, what charset-normalizer
finds most plausible, Windows-1252. A BOM is removed, newlines are untouched.
Invariant: bytes that are not text raise DocumentError instead of becoming nonsense.
"""

import codecs
import re

from pipelines.errors import DocumentError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DECLARED = re.compile(
    rb"""(?:charset\s*=\s*|<\?xml[^>]{0,100}encoding\s*=\s*)["']?\s*([A-Za-z0-9_:.\-]{2,40})""", re.I
)
_CONTROL = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_SAMPLE_BYTES = 200_000
_CONTROL_SHARE = 0.01
"""Text holds next to no control characters; random bytes read as Windows-1252 hold about a tenth."""
_WESTERN = ("cp1252", "latin_1", "iso8859_15", "cp1250", "cp1254", "cp1257", "iso8859_9", "mac_roman")


def decode(data: bytes, *, declared: bool = False) -> str:
    """Text of bytes; `declared`: a `charset=` or XML declaration in the bytes is believed.

    Raises DocumentError when the bytes are not text.
    """
    for mark, name in _MARKS:
        if data.startswith(mark):
            return _checked(_strict(data[len(mark) :], name))
    hinted = _declared_encoding(data) if declared else None
    for likely in (hinted, _wide_encoding(data), "utf-8"):
        if likely is not None and (text := _attempt(data, likely)) is not None:
            return _checked(text)
    return _checked(_guessed(data))


def _strict(data: bytes, name: str) -> str:
    try:
        return data.decode(name)
    except UnicodeDecodeError as exc:
        raise DocumentError(f"begins with the byte order mark of {name.upper()} but is not: {exc.reason}") from exc


def _attempt(data: bytes, name: str) -> str | None:
    try:
        text = data.decode(name)
    except (UnicodeDecodeError, LookupError):
        return None
    return text if isinstance(text, str) else None


def _declared_encoding(data: bytes) -> str | None:
    found = _DECLARED.search(data[:4096])
    if found is None:
        return None
    name = found.group(1).decode("ascii").lower()
    if name.startswith(("utf-16", "utf16", "utf-7", "utf7")) or name.endswith(("escape", "code", "idna")):
        return None  # the declaration was readable as single bytes, and pages are not in codecs of Python's own
    return "cp1252" if name in ("iso-8859-1", "latin1", "us-ascii", "ascii") else name


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of western text is NUL."""
    sample = data[:4096]
    if len(data) % 2 or len(sample) < 4:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    half = len(sample) // 2
    if odd > 0.4 * half and even < 0.05 * half:
        return "utf-16-le"
    if even > 0.4 * half and odd < 0.05 * half:
        return "utf-16-be"
    return None


def _guessed(data: bytes) -> str:
    if (western := _attempt(data, "cp1252")) is not None and _looks_western(western):
        return western
    from charset_normalizer import from_bytes

    best = from_bytes(data[:_SAMPLE_BYTES]).best()
    names = [best.encoding] if best is not None else []
    for name in (*names, "cp1252", "latin-1"):
        if (text := _attempt(data, name)) is not None:
            return text
    raise DocumentError("not text in any known encoding")


def _looks_western(text: str) -> bool:
    """Letters with accents and typographic signs inside mostly plain text: then Windows-1252 it is.

    charset-normalizer tells the western code pages apart by frequencies, which fails on short texts.
    """
    high = [c for c in text[:_SAMPLE_BYTES] if ord(c) > 127]
    plausible = sum(
        c in "àáâãäåæçèéêëìíîïñòóôõöøùúûüýßÀÁÂÄÅÆÇÈÉÊËÍÎÏÑÓÔÖØÙÚÛÜ£€§°µ±²³½¼·–—‘’“”„…•«»\xa0©®™¿¡ºª×" for c in high
    )
    return len(high) < 0.15 * max(len(text[:_SAMPLE_BYTES]), 1) and plausible >= 0.95 * len(high)


def _checked(text: str) -> str:
    sample = text[:_SAMPLE_BYTES]
    if len(_CONTROL.findall(sample)) > _CONTROL_SHARE * len(sample):
        raise DocumentError("unknown binary format: its bytes are not text")
    if not text.strip():
        raise DocumentError("holds nothing but white space")
    return text
