"""Nothing that was trained on may be evaluated on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DatasetError
from pipelines.settings import Dataset, load
from pipelines.training.splits import groups_of, split_documents
from tests.training.conftest import document

SETTINGS: Dataset = load().dataset


def test_duplicates_and_versions_form_one_group() -> None:
    documents = [
        document("a.md", "A."),
        document("b.md", "B.", near_duplicate_of="a.md"),
        document("c.md", "C.", superseded_by="b.md"),
        document("d.md", "D.", near_duplicate_of="gone.md"),
    ]
    assert groups_of(documents) == {"a.md": "a.md", "b.md": "a.md", "c.md": "a.md", "d.md": "d.md"}


@given(st.sets(st.text("abcdef", min_size=1, max_size=4), min_size=3, max_size=40))
def test_a_group_is_never_split_and_no_split_is_empty(names: set[str]) -> None:
    groups = {f"{name}-{copy}": name for name in names for copy in range(2)}
    splits = split_documents(groups, set(groups), SETTINGS)
    assert splits.keys() == groups.keys()
    assert all(splits[f"{name}-0"] == splits[f"{name}-1"] for name in names)
    assert set(splits.values()) == {"train", "validation", "golden"}


def test_documents_that_come_later_move_none_of_the_earlier_ones() -> None:
    early = {f"{n}.md": f"{n}.md" for n in range(60)}
    late = early | {f"late-{n}.md": f"late-{n}.md" for n in range(40)}
    before, after = split_documents(early, set(early), SETTINGS), split_documents(late, set(late), SETTINGS)
    assert before == {uri: after[uri] for uri in early}


def test_shares_are_about_what_was_asked_for() -> None:
    groups = {f"{n}.md": f"{n}.md" for n in range(2000)}
    splits = list(split_documents(groups, set(groups), SETTINGS).values())
    # standard deviation of a share of .3 over 2,000 documents: sqrt(.3 * .7 / 2000) = .010
    assert splits.count("golden") / 2000 == pytest.approx(SETTINGS.golden_share, abs=0.04)
    assert splits.count("validation") / 2000 == pytest.approx(SETTINGS.validation_share, abs=0.03)


def test_two_documents_cannot_be_split() -> None:
    with pytest.raises(DatasetError, match="at least 3"):
        split_documents({"a": "a", "b": "b"}, {"a", "b"}, SETTINGS)
