"""Personal data by form and checksum: what is found, what only looks like it, and what anonymising leaves."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.guardrails.pii import KINDS, anonymise, find, kinds_in, luhn, valid_iban


def found(text: str) -> list[tuple[str, str]]:
    return [(span.kind, text[span.start : span.end]) for span in find(text)]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("email", "a.b+c@mail.example.co.uk", "Write to a.b+c@mail.example.co.uk."),
        ("email", "jörg@bücher.example", "Mail: jörg@bücher.example, please"),
        ("iban", "GB82 WEST 1234 5698 7654 32", "Pay to GB82 WEST 1234 5698 7654 32 today."),  # ISO 13616's example
        ("iban", "de89370400440532013000", "iban de89370400440532013000"),
        ("card", "4111 1111 1111 1111", "Card 4111 1111 1111 1111, 03/29"),  # the test number of card networks
        ("card", "378282246310005", "amex 378282246310005"),
        ("national_id", "078-05-1120", "SSN 078-05-1120"),
        ("national_id", "AB 12 34 56 C", "NINO AB 12 34 56 C"),
        ("national_id", "12345678Z", "DNI 12345678Z"),  # 12345678 mod 23 = 14, the letter Z
        ("national_id", "RSSMRA85T10A562S", "codice fiscale RSSMRA85T10A562S"),
        ("national_id", "44051401359", "PESEL 44051401359"),
        ("national_id", "86 095 742 719", "Steuer-ID 86 095 742 719"),
        ("national_id", "811218-9876", "personnummer 811218-9876"),
        ("ip", "203.0.113.77", "from 203.0.113.77 at noon"),
        ("ip", "2001:db8::8a2e:370:7334", "peer 2001:db8::8a2e:370:7334"),
        ("ip", "10.0.0.5", "the host 10.0.0.5"),
        ("phone", "+44 1539 555 0140", "Shipping desk: +44 1539 555 0140 (Jane)"),
        ("phone", "01539 555 0142", "office hours: 01539 555 0142."),
        ("phone", "(902) 555-0123", "or (902) 555-0123"),
        ("phone", "9472 7916", "Call me on 9472 7916"),
        ("phone", "٠١٥٣٩ ٥٥٥ ٠١٤٢", "هاتف ٠١٥٣٩ ٥٥٥ ٠١٤٢"),  # the same number in Arabic digits
    ],
)
def test_it_is_found_where_it_stands(kind: str, value: str, text: str) -> None:
    assert found(text) == [(kind, value)]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Card 4111 1111 1111 1112", "Luhn's check fails"),
        ("GB83 WEST 1234 5698 7654 32", "the check digits are others"),
        ("SSN 666-05-1120, 000-12-3456", "areas that are never given"),
        ("DNI 12345678A", "another letter"),
        ("reading 44051401359 of the counter", "ids of digits alone need a word beside them"),
        ("on 2026-08-31 16:25 and 03.04.2026", "dates"),
        ("firmware 203.0.113.77", "a version"),
        ("section 7.4.7.1, x[-2::-1], a::b", "numbers of sections, slices"),
        ("SP-330, RK-110, 1,250.00, 30 x 40 mm, 0.75", "article numbers, prices, sizes"),
        ("Cell 1996 87 253 262; 1998-2003; ISBN 0-8247-7487-6", "references"),
        ("user@localhost, @handle, a@b", "no domain"),
        ("000000000000000000", "one digit alone is no card"),
    ],
)
def test_what_only_looks_like_it_is_left(text: str, why: str) -> None:
    assert found(text) == [], why


def test_a_card_with_spaces_is_not_also_a_phone_number() -> None:
    assert found("call 4111 1111 1111 1111") == [("card", "4111 1111 1111 1111")]


def test_anonymise_replaces_each_and_nothing_else() -> None:
    text = "Ann (ann@x.example, +44 1539 555 0140) pays from GB82WEST12345698765432."
    assert anonymise(text) == "Ann ([email], [phone]) pays from [iban]."
    assert anonymise("Nothing here: 27 days.") == "Nothing here: 27 days."


PIECES = [
    *("ann@x.example", "+44 1539 555 0140", "GB82WEST12345698765432", "4111 1111 1111 1111", "078-05-1120"),
    *("203.0.113.77", "call", "27 days", "2026-08-31", "SP-330", "\n", " ", ".", "-", "(", "é", "１２", "\u00a0", "@"),
]


@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(PIECES), max_size=12).map("".join)))
def test_spans_are_ordered_apart_and_gone_after_anonymising(text: str) -> None:
    spans = find(text)
    assert all(0 <= span.start < span.end <= len(text) and span.kind in KINDS for span in spans)
    assert all(before.end <= after.start for before, after in itertools.pairwise(spans))
    assert find(anonymise(text)) == []


@given(st.integers(min_value=10**14, max_value=10**15 - 1))
def test_of_ten_last_digits_one_passes_luhn(stem: int) -> None:
    assert sum(luhn(f"{stem}{last}") for last in range(10)) == 1


@given(st.text("0123456789", min_size=18, max_size=18), st.integers(0, 17), st.integers(1, 9))
def test_a_changed_digit_is_seen_in_an_iban(number: str, at: int, more: int) -> None:
    # the check digits that ISO 13616 prescribes: 98 less the rest modulo 97 with 00 in their place
    check = 98 - int(f"{number}131400") % 97  # D = 13, E = 14
    iban = f"DE{check:02}{number}"
    assert valid_iban(iban)
    changed = f"{(int(number[at]) + more) % 10}"
    assert not valid_iban(f"DE{check:02}{number[:at]}{changed}{number[at + 1 :]}")


@pytest.mark.parametrize("unit", ["1", "1 ", "a@", "a.", "a:", "GB82 ", "1.", "(1)", "-1", "ab12"])
def test_time_does_not_grow_with_the_square_of_a_hostile_text(unit: str) -> None:
    import time

    def seconds(count: int) -> float:
        started = time.perf_counter()
        find(unit * count)
        return time.perf_counter() - started

    # 16 times the text: 16 times the time if linear, 256 times if not
    assert seconds(32_000) < 80 * max(seconds(2_000), 0.002)


def test_values_are_counted_once_however_they_are_spaced() -> None:
    held = kinds_in(["+44 1539  555 0140", "Ring +44 1539 555 0140 or ann@x.example", "ANN@x.example"])
    assert {kind: len(values) for kind, values in held.items()} == {"phone": 1, "email": 1}
