"""Personal data in a text that a form or a checksum gives away: where it stands and of which kind.

Kinds: e-mail address, phone number, IBAN, payment card, IP address, national id. What has a checksum must pass it
(ISO 7064 mod 97-10 for IBANs, Luhn's for cards, each id's own), so a number of the right length alone is not enough.
Invariants: spans are in order and do not overlap, `text[start:end]` is what was found; `anonymise` leaves no span that
`find` would find again, and nothing else changes. Time is linear in the text.
Limits: names, addresses, dates of birth and whatever else takes understanding are not found, nor numbers written in
words. A phone number without a country code, a leading zero or brackets counts only beside a word that calls it one.
"""

import ipaddress
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal, get_args

Kind = Literal["email", "iban", "card", "national_id", "ip", "phone"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""In the order in which they are looked for: what one kind took is not looked at by the next."""


@dataclass(frozen=True)
class Span:
    """Where something personal stands: `text[start:end]`."""

    kind: Kind
    start: int
    end: int


def find(text: str) -> list[Span]:
    """Everything personal in a text, in order, without overlaps."""
    folded = _folded(text)
    found: list[Span] = []
    for kind in KINDS:
        for start, end in _FINDERS[kind](folded):
            if not any(start < other.end and other.start < end for other in found):
                found.append(Span(kind, start, end))
    return sorted(found, key=lambda span: span.start)


def anonymise(text: str) -> str:
    """The text with `[email]`, `[phone]` and so on in place of what is personal."""
    while spans := find(text):  # again: what stood beside an address may be a number once it has gone
        parts, at = [], 0
        for span in spans:
            parts += [text[at : span.start], f"[{span.kind}]"]
            at = span.end
        text = "".join([*parts, text[at:]])
    return text


def _folded(text: str) -> str:
    """Digits of any script, no-break spaces, dashes and full-width signs as plain ones; as long as the text is."""
    return text if text.isascii() else "".join(_plain_sign(sign) for sign in text)


def _plain_sign(sign: str) -> str:
    if sign.isascii():
        return sign
    if sign.isdecimal():
        return str(unicodedata.decimal(sign))
    category = unicodedata.category(sign)
    if category == "Zs":
        return " "
    if category == "Pd":
        return "-"
    wide = unicodedata.normalize("NFKC", sign)
    return wide if len(wide) == 1 and wide.isascii() else sign


# --- checksums -------------------------------------------------------------------------------


def luhn(digits: str) -> bool:
    """Whether digits pass Luhn's check (ISO/IEC 7812-1, annex B)."""
    doubled = [int(d) * (1 + place % 2) for place, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def mod_97(text: str) -> int:
    """Letters as 10..35, the whole modulo 97 (ISO 7064 mod 97-10)."""
    return int("".join(str(int(sign, 36)) for sign in text)) % 97


_IBAN_LENGTHS = {
    code: int(length)
    for code, length in (
        entry.split(":")
        for entry in """
AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DK:18 DO:28 EE:20
EG:29 ES:24 FI:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HR:21 HU:28 IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30
KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 MK:19 MR:27 MT:31 MU:30 NL:18 NO:15 PK:24
PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 SA:24 SC:31 SE:24 SI:19 SK:24 SM:27 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22
VG:24 XK:20
""".split()
    )
}
"""Length of an IBAN by country (SWIFT's IBAN registry)."""


def valid_iban(text: str) -> bool:
    """Whether an IBAN without spaces has its country's length and the right check digits (ISO 13616)."""
    upper = text.upper()
    return _IBAN_LENGTHS.get(upper[:2]) == len(upper) and mod_97(upper[4:] + upper[:4]) == 1


def _spanish(text: str) -> bool:
    """DNI or NIE: the letter is the number modulo 23."""
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1]


def _french(text: str) -> bool:
    """NIR: 97 less the number modulo 97; Corsica's departments 2A and 2B count as 19 and 18."""
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(text[13:])


_ODD = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)) | dict(
    zip(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)


def _italian(text: str) -> bool:
    """Codice fiscale: signs at odd places by a table, at even places by their rank, modulo 26."""
    ranks = [_ODD[s] if place % 2 == 0 else int(s) if s.isdigit() else ord(s) - 65 for place, s in enumerate(text[:15])]
    return chr(65 + sum(ranks) % 26) == text[15]


def _polish(text: str) -> bool:
    """PESEL: a date of birth, the century in its month, and a weighted sum that is a multiple of ten."""
    weights = (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)
    century = {80: 1800, 0: 1900, 20: 2000, 40: 2100, 60: 2200}[int(text[2:4]) // 20 * 20]
    year, month, day = century + int(text[:2]), int(text[2:4]) % 20, int(text[4:6])
    return _is_date(year, month, day) and sum(w * int(d) for w, d in zip(weights, text, strict=True)) % 10 == 0


def _german(text: str) -> bool:
    """Steuer-ID: ISO 7064 mod 11,10; of the first ten digits one occurs twice or thrice."""
    product = 10
    for digit in text[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    most = max(text[:10].count(digit) for digit in text[:10])
    return text[0] != "0" and most in (2, 3) and (11 - product) % 10 == int(text[10])


def _swedish(text: str) -> bool:
    """Personnummer: a date of birth and Luhn's check; co-ordination numbers have 60 added to the day."""
    year, month, day = int(text[:2]), int(text[2:4]), int(text[4:6])
    return _is_date(2000 + year, month, day - 60 if day > 60 else day) and luhn(text)


def _american(text: str) -> bool:
    """Social security number: areas 000, 666 and from 900, group 00 and serial 0000 are never given."""
    area, group, serial = text[:3], text[3:5], text[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def _british(text: str) -> bool:
    """National insurance number: prefixes that HMRC does not give are none."""
    return text[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


# --- finders: a folded text -> places ---------------------------------------------------------

_LEFT, _RIGHT = r"(?<![\w.+-])", r"(?![\w-])"
_EMAIL = re.compile(
    r"(?<![\w.%+'-])[\w.%+'-]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-]|\.[^\W_])"
)
_IBAN = re.compile(rf"{_LEFT}[A-Za-z]{{2}}\d\d(?:[ ]?[A-Za-z0-9]{{4}}){{2,7}}(?:[ ]?[A-Za-z0-9]{{1,3}})?{_RIGHT}")
_CARD = re.compile(rf"{_LEFT}(?:\d[ -]?){{11,18}}\d(?![\w-]|\.\d)")
_CARD_PREFIX = re.compile(
    r"4|5[0-8]|6(?:0|[2-9])|2(?:22[1-9]|2[3-9]|[3-6]|7[01]|720)|3(?:4|7|0|6|8|9|5)|2131|1800|220[0-4]|9792"
)
_IDS: tuple[tuple[re.Pattern[str], Callable[[str], bool]], ...] = (
    (re.compile(r"\b\d{3}([- ])\d\d\1\d{4}\b(?![-.]\d)"), _american),
    (re.compile(r"\b(?![DFIQUV])[A-Z](?![DFIQUVO])[A-Z] ?\d\d ?\d\d ?\d\d ?[A-D]\b"), _british),
    (re.compile(r"\b(?:[XYZ]-?\d{7}|\d{8})-?[A-HJ-NP-TV-Z]\b"), _spanish),
    (re.compile(r"\b[1-478] ?\d\d ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d\d|2[AB]) ?\d{3} ?\d{3} ?\d\d\b"), _french),
    (re.compile(r"\b[A-Z]{6}\d\d[ABCDEHLMPRST]\d\d[A-Z]\d{3}[A-Z]\b"), _italian),
    (re.compile(r"\b\d{11}\b"), _polish),
    (re.compile(r"\b\d{2} ?\d{3} ?\d{3} ?\d{3}\b"), _german),
    (re.compile(r"\b(?:19|20)?(\d{6})[-+](\d{4})\b"), _swedish),
)
_NAMED_ID = re.compile(
    r"\b(?:tax|steuer|idnr|pesel|social security|ssn|insurance|national|personal|identity|id)\b", re.IGNORECASE
)
_BARE = (_polish, _german)
"""Ids of digits alone, one in ten of which pass by chance: only beside a word that calls them so."""
_IP4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IP6 = re.compile(r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:.])")
_VERSION = re.compile(r"(?:\bv(?:ersion|er)?\.?|\brelease|\bfirmware|\bbuild)\s*$", re.IGNORECASE)
_NAMED_IP = re.compile(r"\b(?:ips?|address(?:es)?|host|server|gateway|router|client)\b", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.,/:+-])(?:\+|00)?\(?\d(?:[ ./-]?\(?\d\)?){5,16}(?![\w/:]|[.,-]\d)")
_CALLED = re.compile(
    r"\b(?:phone|telephone|tel|mobile|cell ?phone|cell:|call(?:ed|ing)?|fax|whatsapp|sms|text|dial(?:l?ed|ling)?|ring"
    r"|reach|hotline|telefon|handy|telefone|telemóvel|portable|teléfono)\b",
    re.IGNORECASE,
)
_NO_PHONE = re.compile(
    r"[0-3]?\d[./-][0-3]?\d[./-](?:19|20)?\d\d(?![./-]?\d)|(?:19|20)\d\d[./-]\d{1,2}[./-]\d{1,2}\b"
    r"|(?:19|20)\d\d[ -](?:19|20)?\d\d\b|(?:19|20)\d\d(?: \d{1,4}){3}"
)
"""Dates, spans of years, and the year, volume and pages of a reference."""
_BOOK = re.compile(r"\b(?:isbn|issn|doi)\b", re.IGNORECASE)
_NORTH_AMERICAN = re.compile(r"\(?[2-9]\d\d\)?[ .-]{1,2}[2-9]\d\d[ .-]\d{4}")
NEAR = 32
"""Characters before a number in which a word may call it a phone number or an id."""


def _emails(text: str) -> Iterator[tuple[int, int]]:
    return (match.span() for match in _EMAIL.finditer(text)) if "@" in text else iter(())


def _ibans(text: str) -> Iterator[tuple[int, int]]:
    for match in _IBAN.finditer(text):
        whole = match.group()
        for end in _ends(whole):  # words may follow that look like more of it
            if valid_iban(whole[:end].replace(" ", "")):
                yield match.start(), match.start() + end
                break


def _ends(text: str) -> Iterator[int]:
    """The whole, then up to each space from the right."""
    yield len(text)
    yield from (place for place in range(len(text) - 1, 14, -1) if text[place] == " ")


def _cards(text: str) -> Iterator[tuple[int, int]]:
    for match in _CARD.finditer(text):
        digits = re.sub(r"\D", "", match.group())
        signs = set(re.sub(r"\d", "", match.group()))
        if len(signs) < 2 and _CARD_PREFIX.match(digits) and luhn(digits) and len(set(digits)) > 1:
            yield match.span()


def _ids(text: str) -> Iterator[tuple[int, int]]:
    for pattern, holds in _IDS:
        for match in pattern.finditer(text):
            number = "".join(match.groups()) if holds is _swedish else re.sub(r"[ -]", "", match.group())
            if holds(number) and (holds not in _BARE or _NAMED_ID.search(text, *_before(match))):
                yield match.span()


def _ips(text: str) -> Iterator[tuple[int, int]]:
    for match in (*_IP4.finditer(text), *_IP6.finditer(text)):
        try:
            address = ipaddress.ip_address(match.group())
        except ValueError:
            continue
        if address.is_unspecified or address.is_loopback or _VERSION.search(text[slice(*_before(match))]):
            continue
        if _is_telling(match.group()) or _NAMED_IP.search(text, *_before(match)):
            yield match.span()


def _is_telling(address: str) -> bool:
    """Whether an address is hardly the number of a section or a slice: 7.4.1.2 and 3::2 are."""
    if ":" in address:
        return sum(sign != ":" for sign in address) >= 5 and any(sign.isdigit() for sign in address)
    return any(int(part) > 31 for part in address.split("."))


def _phones(text: str) -> Iterator[tuple[int, int]]:
    for match in _NUMBER.finditer(text):
        number, (start, end) = match.group(), match.span()
        if number.endswith(")") and "(" not in number:
            number, end = number[:-1], end - 1
        digits = sum(sign.isdigit() for sign in number)
        if not 7 <= digits <= 15 or number.count("(") != number.count(")") or _NO_PHONE.match(number):
            continue
        international = re.match(r"(?:\+|00)\(?[1-9]", number) is not None and digits >= 8
        apart = bool(re.search(r"[ ./()-]", number))
        local = re.match(r"\(?0[1-9]", number) is not None and digits >= 9 and apart
        shaped = international or local or _NORTH_AMERICAN.fullmatch(number) is not None
        if (shaped and not _BOOK.search(text, *_before(match))) or _CALLED.search(text, *_before(match)):
            yield start, end


def _before(match: re.Match[str]) -> tuple[int, int]:
    return max(0, match.start() - NEAR), match.start()


_FINDERS: dict[Kind, Callable[[str], Iterator[tuple[int, int]]]] = {
    "email": _emails,
    "iban": _ibans,
    "card": _cards,
    "national_id": _ids,
    "ip": _ips,
    "phone": _phones,
}


def kinds_in(texts: Sequence[str]) -> dict[Kind, set[str]]:
    """Each kind with the different values of it that texts hold (spaces put aside): for counts, not for showing."""
    held: dict[Kind, set[str]] = {}
    for text in texts:
        for span in find(text):
            held.setdefault(span.kind, set()).add(" ".join(text[span.start : span.end].split()).lower())
    return held
