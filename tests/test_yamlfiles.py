"""One reader of YAML files: what it says of a file that cannot be used."""

from pathlib import Path

import pytest

from pipelines.contracts import Contract
from pipelines.errors import PolicyError
from pipelines.evaluation.policy import GatePolicy
from pipelines.yamlfiles import LARGEST, read_record

GOOD = """
alpha: 0.05
primary: {metric: answer_correct, better: higher}
guards:
  - metric: groundedness
    better: higher
    margin: 0.03
"""


def said(tmp_path: Path, text: str | bytes, model: type[Contract] = GatePolicy) -> str:
    place = tmp_path / "p.yaml"
    place.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(PolicyError) as caught:
        read_record(place, model, "gate policy", PolicyError)
    assert str(caught.value).startswith(f"{place}: not a gate policy: ")
    return str(caught.value)


def test_everything_that_is_wrong_is_said_at_once_by_line_key_value_and_what_is_allowed(tmp_path: Path) -> None:
    told = said(tmp_path, GOOD.replace("margin: 0.03", "margn: 0.03").replace("alpha: 0.05", "alpha: 5"))
    assert "line 2: alpha: Input should be less than 0.5 (it is 5)" in told
    assert "line 7: guards.0.margn: unknown key `margn`: did you mean `margin`?" in told
    assert "guards.0.margin: Field required" in told
    told = said(tmp_path, GOOD.replace("better: higher}", "better: more}"))
    assert "line 3: primary.better: Input should be 'higher' or 'lower' (it is 'more')" in told


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (GOOD + "alpha: 0.10\n", "line 8: the key `alpha` occurs twice (first in line 2)"),
        (GOOD.replace("margin: 0.03", "margin: 0.03\n    margin: 0.2"), "`margin` occurs twice (first in line 7)"),
        ("", "keys: alpha, primary, guards, limits, missing"),
        ("- a\n", "expected `key: value` lines"),
        ("a: [", "not readable as YAML"),
        ("a: !!python/object/apply:os.getcwd []", "not readable as YAML"),
        ("day: 2026-02-30", "not readable as YAML"),
        ("? [a]\n: b", "a key is a text or a number"),
        ("[" * 5000, "not readable as YAML"),
        (b"a: caf\xe9", "not readable as UTF-8 text"),
        ("a: " + "x" * LARGEST, "longer than 1,048,576 bytes"),
        (GOOD + "other: 1\nalpa: 2\n", "line 9: alpa: unknown key `alpa`: did you mean `alpha`?"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, text: str | bytes, wrong: str) -> None:
    assert wrong in said(tmp_path, text)


def test_what_is_merged_in_may_be_replaced(tmp_path: Path) -> None:
    place = tmp_path / "p.yaml"
    place.write_text(
        "alpha: 0.05\nprimary: &first {metric: a, better: higher, by: 0.1}\n"
        "guards: [{<<: {metric: b, better: higher}, better: lower, margin: 1}]\n"
    )
    found = read_record(place, GatePolicy, "gate policy", PolicyError)
    assert (found.guards[0].metric, found.guards[0].better) == ("b", "lower")


def test_a_value_is_shown_short(tmp_path: Path) -> None:
    bomb = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nalpha: *c\n"
    assert len(said(tmp_path, bomb)) < 1000
    assert len(said(tmp_path, f"alpha: {'9x' * 5000}\n")) < 1000


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="there is no such gate policy"):
        read_record(tmp_path / "gone.yaml", GatePolicy, "gate policy", PolicyError)
