import random

from hypothesis import given
from hypothesis import strategies as st

from pipelines.documents.near_duplicates import jaccard, near_duplicates, shingles, signature


def prose(seed: int, words: int = 200) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(5000)}" for _ in range(words)]


def found_in(
    texts: list[str], threshold: float = 0.8, never: frozenset[tuple[int, int]] = frozenset()
) -> dict[int, int]:
    return near_duplicates([signature(t) for t in texts], texts.__getitem__, threshold=threshold, never=never)


def test_a_text_with_two_words_changed_repeats_the_first() -> None:
    words = prose(1)
    changed = [*words]
    changed[20], changed[120] = "other", "words"
    # each change touches 5 of 196 5-grams: 186 shared of 206 in all, a Jaccard of .90
    assert found_in([" ".join(words), " ".join(prose(2)), " ".join(changed)]) == {2: 0}


def test_case_punctuation_and_markup_do_not_count() -> None:
    words = prose(3)
    assert found_in([" ".join(words), "# " + ", ".join(words).upper()]) == {1: 0}


def test_the_original_repeats_no_other() -> None:
    a = prose(4, 100)
    b = [*a[:95], *prose(5, 5)]
    c = [*b[5:95], *prose(6, 10)]
    texts = [" ".join(t) for t in (a, b, c)]
    pairs = found_in(texts, threshold=0.75)
    assert pairs[1] == 0
    assert set(pairs.values()).isdisjoint(pairs)


def test_short_texts_are_never_repeats() -> None:
    assert found_in(["thank you for your mail"] * 3) == {}


def test_pairs_that_are_versions_of_each_other_are_left_alone() -> None:
    text = " ".join(prose(7))
    assert found_in([text, text], never=frozenset({(0, 1)})) == {}


@given(st.lists(st.integers(0, 30), min_size=25, max_size=80), st.lists(st.integers(0, 30), min_size=25, max_size=80))
def test_jaccard_of_hashes_is_that_of_the_sets(a: list[int], b: list[int]) -> None:
    def grams(words: list[int]) -> set[tuple[int, ...]]:
        return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}

    first, second = (shingles(" ".join(f"w{n}" for n in words)) for words in (a, b))
    assert first is not None and second is not None
    assert jaccard(first, second) == len(grams(a) & grams(b)) / len(grams(a) | grams(b))
