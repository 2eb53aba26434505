"""A document's licence: by rule, by what it says of itself, or not stated."""

import pytest

from pipelines.settings import LicenceRule
from pipelines.training.licences import UNKNOWN, licence_of
from tests.training.conftest import document

RULES = (LicenceRule(glob="manuals/**", licence="CC-BY-4.0"), LicenceRule(glob="*.py", licence="MIT"))


@pytest.mark.parametrize(
    ("uri", "text", "licence"),
    [
        ("manuals/a/m3.md", "---\nlicense: Other\n---\nText.", "CC-BY-4.0"),  # a rule comes before the document
        ("src/deep/x.py", "pass", "MIT"),
        ("a.md", "---\ntitle: A\nlicence: 'CC0-1.0'\n---\nText.", "CC0-1.0"),
        ("a.c", "/* SPDX-License-Identifier: GPL-2.0-only OR MIT */\nint x;", "GPL-2.0-only OR MIT"),
        ("a.md", "The licence: none of your business.", UNKNOWN),  # not front matter
        ("a.md", "license", UNKNOWN),
    ],
)
def test_a_rule_counts_before_what_a_document_says(uri: str, text: str, licence: str) -> None:
    assert licence_of(document(uri, text), RULES) == licence
