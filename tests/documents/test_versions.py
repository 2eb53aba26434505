from pipelines.documents.versions import superseded

POLICY = (
    "Expenses are repaid within thirty days when receipts reach finance. Hotels cost at most ninety pounds a night. "
)


def older(*documents: tuple[str, str, str]) -> dict[str, str]:
    """(uri, title, text) of each document -> uri of the older one to uri of the newer one."""
    uris, titles, texts = (list(column) for column in zip(*documents, strict=True))
    found = superseded(uris, titles, texts.__getitem__, texts.__getitem__)
    return {uris[a]: uris[b] for a, b in found.items()}


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
