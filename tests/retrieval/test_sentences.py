"""Sentences: divided where a reader would, whatever the text."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.retrieval.sentences import sentences


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Leave is 27 days. Unused days expire.", ["Leave is 27 days.", "Unused days expire."]),
        ("It costs 1.5 pounds. Version 2.10.3 is out.", ["It costs 1.5 pounds.", "Version 2.10.3 is out."]),  # decimals
        ("Ask Dr. Smith, e.g. by mail. He answers.", ["Ask Dr. Smith, e.g. by mail.", "He answers."]),  # titles
        ("See Fig. 3 and No. 5. No. The cap fits.", ["See Fig. 3 and No. 5.", "No.", "The cap fits."]),  # No. and no
        ("J. K. Rowling wrote it. We know.", ["J. K. Rowling wrote it.", "We know."]),  # initials
        ("It is made in the U.S. The cap is not.", ["It is made in the U.S.", "The cap is not."]),
        ("It ships from U.S. Robotics now.", ["It ships from U.S. Robotics now."]),
        ("Calls end at 5 p.m. Monday to Friday.", ["Calls end at 5 p.m. Monday to Friday."]),
        ("Open https://a.example/x.y?z=1. Then wait.", ["Open https://a.example/x.y?z=1.", "Then wait."]),
        ('He said "Stop." Then he left.', ['He said "Stop."', "Then he left."]),  # closing quotes stay
        ("Wait... then go on. Really?! Yes!", ["Wait... then go on.", "Really?!", "Yes!"]),
        ("1. Open the cap.\n2. Rinse it.", ["1. Open the cap.", "2. Rinse it."]),  # markers stay with their items
        ("Needed:\n- a cap\n- a probe", ["Needed:", "- a cap", "- a probe"]),
        ("| a | b |\n|---|---|\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),  # a table's rule says nothing
        ("Run it:\n```python\nx = a.b(1)\n\nprint(x)\n```\nDone.",
         ["Run it:", "```python\nx = a.b(1)\n\nprint(x)\n```", "Done."]),
        ("x = a.b(1)\nprint(x)", ["x = a.b(1)", "print(x)"]),
        ("These lines were wrapped at a column where\nthe editor ended. They are one.",
         ["These lines were wrapped at a column where\nthe editor ended.", "They are one."]),
        ("Title\nThe text begins.", ["Title", "The text begins."]),
        ("休暇は27日です。翌年に繰り越せます。", ["休暇は27日です。", "翌年に繰り越せます。"]),
        ("छुट्टी 27 दिन है। शेष समाप्त होती है।", ["छुट्टी 27 दिन है।", "शेष समाप्त होती है।"]),
        ("ما هي المدة؟ سبعة أيام.", ["ما هي المدة؟", "سبعة أيام."]),
        ("Es gilt z.B. Urlaub am 3. Oktober. Das ist neu.", ["Es gilt z.B. Urlaub am 3. Oktober.", "Das ist neu."]),
        ("¿Cuánto es? Son 27 días.", ["¿Cuánto es?", "Son 27 días."]),
        ("", []),
        ("...\n---", []),
    ],
)  # fmt: skip
def test_a_text_is_divided_where_a_reader_would(text: str, expected: list[str]) -> None:
    assert parts(text) == expected


PIECES = ["a", "B", " ", ".", "\n", "!", "|", "- ", "1. ", "```\n", "Dr.", "3.5", "。", "’", "\t", "é", "\u2028", "؟"]


@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(PIECES), max_size=40).map("".join)))
def test_spans_are_in_order_visible_and_hold_every_letter(text: str) -> None:
    found = sentences(text)
    assert all(start < end and text[start:end] == text[start:end].strip() for start, end in found)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(found))
    held = {i for start, end in found for i in range(start, end)}
    assert all(i in held for i, character in enumerate(text) if character.isalnum())
