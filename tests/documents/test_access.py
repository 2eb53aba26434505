"""Whose a document is, by rules and by what it says itself."""

import fnmatch
import re
import string

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import settings as configuration
from pipelines.contracts import visible
from pipelines.documents.access import Access, assign, claim_of, labels_of, pattern_of
from pipelines.errors import SettingsError
from pipelines.settings import AccessRule

LABELS = st.lists(st.sampled_from("abc"), unique=True).map(tuple)


def rule(glob: str, *labels: str, tenant: str | None = None) -> AccessRule:
    return AccessRule(glob=glob, labels=labels, tenant=tenant)


def matches(glob: str, uri: str) -> bool:
    return bool(pc.match_substring_regex(pa.array([uri]), pattern_of(glob))[0].as_py())


def test_one_label_in_common_is_enough_and_none_is_open_to_all() -> None:
    assert visible((), ()) and visible((), {"hr"})
    assert visible(("hr", "board"), {"board"})
    assert not visible(("hr", "board"), {"staff"}) and not visible(("hr",), ())


@given(LABELS, LABELS, st.sets(st.sampled_from("abcd")))
def test_what_covers_is_seen_by_whoever_sees_the_other(
    one: tuple[str, ...], other: tuple[str, ...], held: set[str]
) -> None:
    if Access("t", one).covers(Access("t", other)) and visible(other, held):
        assert visible(one, held)


@given(LABELS, LABELS)
def test_what_does_not_cover_is_hidden_from_somebody(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    if not Access("t", one).covers(Access("t", other)):
        holders = [set(), *({label} for label in "abc")]
        assert any(visible(other, held) and not visible(one, held) for held in holders)


def test_another_tenant_never_covers() -> None:
    assert not Access("one").covers(Access("two"))


@pytest.mark.parametrize(
    ("glob", "inside", "outside"),
    [
        ("hr/**", ["hr/a.md", "hr/x/y.md"], ["hr.md", "x/hr/a.md"]),
        ("hr/", ["hr/a.md", "hr/x/y.md"], ["hr", "hrx/a.md"]),
        ("/hr/*.md", ["hr/a.md"], ["hr/x/a.md", "hr/a.txt"]),
        ("**/secret/**", ["secret/a", "x/secret/a", "x/y/secret/z/a"], ["x/secrets/a", "secret"]),
        ("*.pdf", ["a.pdf", "x/y/a.pdf"], ["a.pdf.md"]),
        ("salaries-20??.xlsx", ["pay/salaries-2026.xlsx"], ["pay/salaries-226.xlsx"]),
        ("a+b (1).md", ["a+b (1).md"], ["aab (1).md"]),
        ("**", ["a", "x/y"], []),
    ],
)
def test_globs(glob: str, inside: list[str], outside: list[str]) -> None:
    assert [uri for uri in inside if not matches(glob, uri)] == []
    assert [uri for uri in outside if matches(glob, uri)] == []


@settings(deadline=None)
@given(st.text(alphabet=string.printable + "é漢", min_size=1, max_size=20))
def test_every_name_matches_itself_as_a_glob(name: str) -> None:
    if not re.search(r"[*?]|/$|^/", name):
        assert matches(name, name) and matches("**", name)


@settings(deadline=None)
@given(st.text(alphabet="ab*?.", min_size=1, max_size=8), st.text(alphabet="ab.", max_size=8))
def test_globs_of_names_mean_what_fnmatch_means(glob: str, name: str) -> None:
    assert matches(glob, name) == fnmatch.fnmatchcase(name, glob)


def test_the_first_rule_that_matches_decides_and_labels_are_never_joined() -> None:
    rules = [rule("hr/pay/**", "payroll"), rule("hr/**", "hr", "board", tenant="one"), rule("no/such/**", "x")]
    uris = pa.chunked_array([["a.md", "hr/b.md", "hr/pay/c.md"]])
    found = assign(uris, rules)
    assert found.access == [Access(), Access("one", ("board", "hr")), Access("default", ("payroll",))]
    assert found.unused == ("no/such/**",)


def test_a_document_has_a_say_where_no_rule_matches() -> None:
    uris = pa.chunked_array([["a.md", "b.md", "c.md", "hr/d.md", "hr/e.md"]])
    claims = ['["board"]', None, "", '["everybody"]', ""]
    found = assign(uris, [rule("hr/**", "hr")], claims)
    assert [one.labels for one in found.access] == [("board",), (), (), ("hr",), ("hr",)]
    assert list(found.refused) == [2]  # what it says cannot be read: it must not be open to all
    assert assign(uris, [], None).refused == {}


def test_labels_that_would_need_quoting_are_not_read() -> None:
    assert labels_of('["hr", "a:b/c.d-e"]') == ("a:b/c.d-e", "hr")
    assert labels_of("[]") == ()
    assert labels_of("""["it's"]""") is None and labels_of('["a b"]') is None and labels_of("") is None
    assert claim_of({"front_matter": "unreadable", "labels": "[]"}) == ""
    assert claim_of({}) is None


def test_a_rule_with_a_bad_label_is_refused_with_the_settings() -> None:
    for bad in (
        {"glob": "x", "labels": ["a b"]},
        {"glob": "", "labels": []},
        {"glob": "x"},
        {"glob": "x", "label": []},
    ):
        with pytest.raises(SettingsError, match=r"documents\.access\.0"):
            configuration.load(overrides={"documents": {"access": [bad]}})
