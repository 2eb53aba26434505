from pathlib import PurePosixPath

import pytest

from pipelines.documents.versions import Edge, resolve, superseded

POLICY = (
    "Expenses are repaid within thirty days when receipts reach finance. Hotels cost at most ninety pounds a night. "
)


def older(*documents: tuple[str, str, str], languages: list[str | None] | None = None) -> dict[str, str]:
    """(uri, title, text) of each document -> uri of the older one to uri of the newer one."""
    uris, titles, texts = (list(column) for column in zip(*documents, strict=True))
    return superseded(uris, titles, texts, languages)


def older_names(*stems: str, text: str = POLICY, suffix: str = ".md") -> dict[str, str]:
    """Stems of files in one folder with one title and text -> stem of the older one to that of the newer one."""
    found = older(*((f"p/{stem}{suffix}", "Policy", text) for stem in stems))
    return {PurePosixPath(a).stem: PurePosixPath(b).stem for a, b in found.items()}


def test_a_version_that_another_says_it_supersedes_is_older() -> None:
    assert older(
        ("archive/travel.md", "Travel policy", "Version 3. Effective 1 January 2024."),
        ("policies/travel.md", "Travel policy", "Version 4. This version supersedes version 3 of January 2024."),
    ) == {"archive/travel.md": "policies/travel.md"}


def test_the_statement_must_fit_the_version() -> None:
    assert (
        older(
            ("a/travel.md", "Travel policy", "Version 7."),
            ("b/travel.md", "Travel policy", "Version 4. Replaces version 3."),
        )
        == {}
    )


def test_replacing_another_document_says_nothing_about_this_title() -> None:
    assert (
        older(("a/x.md", "Buffer kit", "Version 5. Replaces version 4."), ("a/y.md", "Other kit", "Version 4.")) == {}
    )


def test_a_higher_version_number_of_the_same_file_is_newer() -> None:
    assert older(
        ("guide-v2.md", "Guide", "Text"), ("guide-v10.md", "Guide", "Text"), ("guide-v9.md", "Guide", "Text")
    ) == {"guide-v2.md": "guide-v10.md", "guide-v9.md": "guide-v10.md"}


def test_a_later_date_of_effect_is_newer() -> None:
    assert older(
        ("p/leave-2024.md", "Leave", "Effective from 1 May 2024. Days off."),
        ("p/leave-2026.md", "Leave", "Effective from 2026-03-01. Days off."),
    ) == {"p/leave-2024.md": "p/leave-2026.md"}


def test_years_alone_count_when_the_texts_are_alike() -> None:
    assert older(
        ("expenses-2024.md", "Expenses 2024", POLICY), ("expenses-2025.md", "Expenses 2025", POLICY + "Forms change.")
    ) == {"expenses-2024.md": "expenses-2025.md"}
    assert (
        older(
            ("plan-2024.md", "Plan 2024", "Build the harbour and paint every boat."),
            ("plan-2025.md", "Plan 2025", "Hire seven engineers for satellite loggers."),
        )
        == {}
    )


def test_series_whose_members_all_stay_valid_are_left_alone() -> None:
    for first, second in (
        ("minutes-2024.md", "minutes-2025.md"),
        ("newsletter-2024.html", "newsletter-2025.html"),
        ("annual-report-2024.pdf", "annual-report-2025.pdf"),
        ("2025-11-04-outage.md", "2026-02-11-outage.md"),
    ):
        assert older((first, "T", POLICY), (second, "T", POLICY)) == {}


def test_products_of_one_kind_are_not_versions_of_each_other() -> None:
    assert (
        older(
            ("m2/manual.md", "User manual", "Version 2. The meter has three keys."),
            ("m3/manual.md", "User manual", "Version 3. Hold the probe under water."),
        )
        == {}
    )


@pytest.mark.parametrize(
    ("stems", "found"),
    [
        (("policy-v1-final", "policy-v2-final"), {"policy-v1-final": "policy-v2-final"}),
        (("policy_FINAL_v2 (1)", "policy_v3"), {"policy_FINAL_v2 (1)": "policy_v3"}),
        (("policy-rev-a", "policy-rev-b"), {"policy-rev-a": "policy-rev-b"}),
        (("policy-draft", "policy"), {"policy-draft": "policy"}),
        (("DRAFT policy", "policy-final"), {"DRAFT policy": "policy-final"}),
        (("policy", "policy-old"), {"policy-old": "policy"}),
        (("policy", "policy-final"), {"policy": "policy-final"}),
        (("policy-v2-final", "policy-v3-draft"), {}),  # a draft replaces nothing that is in force
        (("policy-v1", "policy-v2-draft", "policy-v2"), {"policy-v1": "policy-v2", "policy-v2-draft": "policy-v2"}),
        (("policy", "policy (1)"), {}),  # a copy: its number tells nothing
        (("policy", "policy - Copy", "Copy of policy"), {}),
        (("policy-2024-05-01", "policy-2025-03-01"), {"policy-2024-05-01": "policy-2025-03-01"}),
        (("2024-05-01-policy", "2025-03-01-policy"), {}),  # a day in front: an event, of a series
        (("policy-1.2", "policy-1.10"), {"policy-1.2": "policy-1.10"}),
        (("policy-v1", "policy-v2-de"), {}),
        (("policy-de", "policy-fr", "policy"), {}),
        (("policy-v1-de", "policy-v2-de", "policy-v2-fr"), {"policy-v1-de": "policy-v2-de"}),
    ],
)
def test_awkward_names(stems: tuple[str, ...], found: dict[str, str]) -> None:
    assert older_names(*stems) == found


def test_names_alone_need_texts_that_are_alike() -> None:
    for first, second in (
        ("policy-draft", "policy"),
        ("policy-2024-05-01", "policy-2025-03-01"),
        ("section-3.2", "section-3.3"),
    ):
        texts = ("Build the harbour and paint every boat.", "Hire seven engineers for satellite loggers.")
        assert older((f"{first}.md", "T", texts[0]), (f"{second}.md", "T", texts[1])) == {}


def test_readings_of_a_day_are_not_replaced_by_those_of_the_next() -> None:
    assert older_names("readings-2025-01-01", "readings-2025-01-02", suffix=".csv") == {}


def test_a_translation_is_no_version() -> None:
    pair = (
        ("en/guide.md", "Merle M2", "Version 1. Hold the probe under water."),
        ("de/leitfaden.md", "Merle M2", "Version 2. This guide replaces version 1. Halten Sie die Sonde unter Wasser."),
    )
    assert older(*pair, languages=["en", "de"]) == {}
    assert older(*pair) == {}  # where no language was found, that of the folder's name
    moved = (pair[0], ("old/leitfaden.md", *pair[1][1:]))
    assert older(*moved, languages=["en", "de"]) == {}
    assert older(*moved, languages=["en", None]) == {}


def test_a_draft_that_says_that_it_replaces_does_not_yet() -> None:
    old = ("a/travel.md", "Travel policy", "Version 3.")
    new = "Version 4. This version supersedes version 3."
    assert older(old, ("b/travel.md", "Travel policy", new)) == {"a/travel.md": "b/travel.md"}
    assert older(old, ("b/travel.md", "Travel policy", f"Status: draft. {new}")) == {}
    assert older(old, ("b/travel-draft.md", "Travel policy", new)) == {}


def test_what_is_said_counts_before_names_and_no_two_replace_each_other() -> None:
    edges = [
        Edge("s p", newer="b", older="a", stated=False),
        Edge("t p", newer="a", older="b", stated=True),
        Edge("t p", newer="c", older="b", stated=False),
    ]
    assert resolve(edges) == {"b": "a"}
    assert resolve(edges, lambda newer, older: newer != "a") == {"a": "c", "b": "c"}
