"""Terms and their counts: what the fast ways give is what the plain ones give."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.retrieval.lexicon import Lexicon, empty_lexicon, hash_of
from pipelines.retrieval.terms import _WORD, terms

_NUMBER = r"\d+(?:[.,]\d+)*"
PLAIN = re.compile(rf"(?:{_NUMBER}|\w)+(?:[-.'’](?:{_NUMBER}|\w)+)*")
"""The same words with backtracking: slower, and plainer to read."""


@given(st.text(alphabet=st.sampled_from("aB_é中٣19.,-'’ \n"), max_size=60))
def test_words_are_those_of_the_plain_pattern(text: str) -> None:
    assert _WORD.findall(text) == PLAIN.findall(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The RK-110's cap", ["rk110", "rk", "110", "cap"]),  # a code whole and in parts, without the possessive
        ("read_sensorValue", ["readsensorvalu", "read", "sensor", "valu"]),  # a name in parts, each stemmed
        ("1,250 litres in 3.5 hours", ["1250", "litr", "3.5", "hour"]),  # separators of thousands are no part of it
    ],
)
def test_terms_of_codes_names_and_numbers(text: str, expected: list[str]) -> None:
    assert terms(text) == expected
    assert terms(text) == expected  # the second time from what is remembered


def counted(lexicon: Lexicon) -> dict[int, int]:
    return dict(zip(lexicon.hashes.tolist(), lexicon.counts.tolist(), strict=True))


def test_a_lexicon_counts_passages_not_repeats() -> None:
    found = empty_lexicon().changed(added=[["pond", "pond", "tarn"], ["pond"]])
    # `pond` stands in two passages (three times in all), `tarn` in one
    assert counted(found) == {hash_of("pond"): 2, hash_of("tarn"): 1}
    assert (found.passages, found.terms) == (2, 4)


def test_a_lexicon_is_the_same_whether_passages_come_at_once_or_in_parts_or_after_others_went() -> None:
    rng = np.random.default_rng(3)
    passages = [[f"t{number}" for number in rng.zipf(1.4, size=20).clip(max=500)] for _ in range(300)]
    at_once = empty_lexicon().changed(added=passages)
    in_parts = empty_lexicon().changed(added=passages[:100]).changed(added=passages[100:])
    with_others = empty_lexicon().changed(added=[["gone", "t1"], *passages]).changed(removed=[["gone", "t1"]])
    wanted = Counter(hash_of(term) for passage in passages for term in set(passage))
    for found in (at_once, in_parts, with_others):
        assert counted(found) == wanted
        assert (found.passages, found.terms) == (300, 6000)
