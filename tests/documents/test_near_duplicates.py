import random

from hypothesis import given
from hypothesis import strategies as st

from pipelines.documents.near_duplicates import (
    PERMUTATIONS,
    exact_repeats,
    jaccard,
    near_repeats,
    shingles,
    signature,
)

LETTERS = str.maketrans("0123456789", "abcdefghij")


def prose(seed: int, words: int = 200) -> list[str]:
    rng = random.Random(seed)
    return [f"w{rng.randrange(5000)}".translate(LETTERS) for _ in range(words)]


def found_in(
    texts: list[str], threshold: float = 0.8, never: frozenset[tuple[int, int]] = frozenset(), **more: object
) -> dict[int, int]:
    signatures = [signature(t) for t in texts]
    found = near_repeats(signatures, texts.__getitem__, threshold=threshold, never=never, **more)  # type: ignore[arg-type]
    return dict(found.originals)


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


def test_short_texts_are_never_near_repeats() -> None:
    assert found_in(["thank you for your mail"] * 3) == {}


def test_pairs_that_are_versions_of_each_other_are_left_alone() -> None:
    text = " ".join(prose(7))
    assert found_in([text, text], never=frozenset({(0, 1)})) == {}


def test_two_contracts_on_one_form_are_two_documents() -> None:
    form = " ".join(prose(8))
    amounts = [f"{form} The fee is {fee} pounds." for fee in (900, 1200)]
    assert found_in(amounts) == {}
    assert found_in([amounts[0], form]) == {1: 0}  # the other way round nothing is lost


def test_figures_of_an_email_header_count_for_the_original() -> None:
    body = " ".join(prose(9))
    bodies = [body, f"{body} On 25 June you wrote"]
    mails = [f"Date: 25 June 2026\n{body}", f"Date: 26 June 2026\n{bodies[1]}"]
    assert found_in(bodies) == {}
    assert found_in(bodies, whole_of=mails.__getitem__) == {1: 0}


def test_documents_of_other_names_must_be_all_but_equal() -> None:
    menu = prose(10, 190)
    pages = [" ".join([*menu, *prose(seed, 10)]) for seed in (11, 12)]
    # 186 of 196 5-grams each are the menu's: 186 shared of 206, a Jaccard of .90
    assert found_in(pages) == {1: 0}
    assert found_in(pages, same_name=lambda a, b: False) == {}
    assert found_in([pages[0], pages[0] + " end"], same_name=lambda a, b: False) == {1: 0}


def test_the_one_that_more_people_may_see_is_the_original() -> None:
    text = " ".join(prose(13))
    open_to_all = 1
    covers = lambda a, b: a == open_to_all or a == b  # noqa: E731
    assert found_in([text, text, text], rank=[1, 0, 2], covers=covers) == {0: 1, 2: 1}
    assert found_in([text, text], rank=[0, 1], covers=lambda a, b: False) == {}


def test_a_similarity_that_is_known_is_not_computed_again() -> None:
    texts = [" ".join(prose(14))] * 2
    asked = near_repeats([signature(t) for t in texts], texts.__getitem__, threshold=0.8).compared
    assert asked == {(1, 0): 1.0}

    def no_text(index: int) -> str:
        raise AssertionError(index)

    again = near_repeats([signature(t) for t in texts], no_text, threshold=0.8, known=asked)
    assert again.originals == {1: 0} and again.compared == asked


def test_exact_repeats_need_no_length_and_keep_the_first_by_rank() -> None:
    keys = ["a", "b", "a", None, None, "a"]
    everybody = lambda a, b: True  # noqa: E731
    assert exact_repeats([keys], range(6), everybody, frozenset()) == {2: 0, 5: 0}
    assert exact_repeats([keys], [5, 1, 0, 3, 4, 2], everybody, frozenset()) == {0: 2, 5: 2}
    assert exact_repeats([keys], range(6), everybody, frozenset({(0, 2)})) == {5: 0}
    # by bytes first, then by words: 1 is spoken for, and one original stands for all of the same words
    assert exact_repeats([["x", "x", "y"], ["p", "q", "q"]], range(3), everybody, frozenset()) == {1: 0}
    assert exact_repeats([["x", "x", "y"], ["q", "q", "q"]], range(3), everybody, frozenset()) == {1: 0, 2: 0}


@given(st.lists(st.integers(0, 30), min_size=25, max_size=80), st.lists(st.integers(0, 30), min_size=25, max_size=80))
def test_jaccard_of_hashes_is_that_of_the_sets(a: list[int], b: list[int]) -> None:
    def grams(words: list[int]) -> set[tuple[int, ...]]:
        return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}

    first, second = (shingles(" ".join(f"w{n}" for n in words)) for words in (a, b))
    assert first is not None and second is not None
    assert jaccard(first, second) == len(grams(a) & grams(b)) / len(grams(a) | grams(b))


def test_signatures_agree_about_as_often_as_texts_are_alike() -> None:
    import numpy as np

    differences = []
    for seed in range(60):
        words = prose(seed, 400)
        changed = [*words]
        for at in random.Random(seed).sample(range(400), seed // 3):
            changed[at] = "other"
        texts = (" ".join(words), " ".join(changed))
        first, second = (np.frombuffer(signature(text), np.uint16) for text in texts)
        grams = [shingles(text) for text in texts]
        assert len(first) == PERMUTATIONS and grams[0] is not None and grams[1] is not None
        differences.append(float((first == second).mean()) - jaccard(grams[0], grams[1]))
    # an unbiased estimate of p over 128 draws deviates by sqrt(p (1 - p) / 128) <= .044, their mean by .006
    assert abs(float(np.mean(differences))) < 0.02
    assert max(map(abs, differences)) < 0.2
