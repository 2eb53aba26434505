"""Suite files: what is read, what is refused and how that is said, what the digest covers."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipelines.contracts import Answer, Citation
from pipelines.errors import QuestionFileError
from pipelines.evaluation.assertions import ARGUMENTS, check
from pipelines.evaluation.suite_files import load_suite_file

SUITE = """\
name: smoke
version: 3
items:
  - id: leave
    question: What is the leave allowance?
    document: d0.md
    slice: number
    repeats: 2
    assert:
      - contains: 10 units
      - regex: \\b\\d+ units\\b
      - cites: d0.md
  - id: moon
    messages:
      - {role: user, content: How much leave is there}
      - {role: assistant, content: 10 units}
      - {role: user, content: And on the moon}
    assert:
      - refuses: true
"""


@pytest.fixture
def suite(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str, name: str = "suite.yaml") -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def test_a_suite_holds_what_its_file_says(suite: Callable[[str], Path]) -> None:
    found = load_suite_file(suite(SUITE))
    leave, moon = found.items
    assert (found.name, found.version) == ("smoke", 3)
    assert (leave.asked, leave.slice, leave.repeats) == ("What is the leave allowance?", "number", 2)
    assert [(a.kind, a.argument) for a in leave.asserts][:1] == [("contains", ("10 units",))]
    assert (moon.asked, len(moon.history)) == ("And on the moon", 2)


def test_both_formats_and_any_layout_have_one_digest(suite: Callable[..., Path]) -> None:
    loaded = yaml.safe_load(SUITE)
    first, second = loaded["items"]
    head = {"name": "another", "version": 9}
    lines = "\n".join(json.dumps(row) for row in (head, second, dict(reversed(first.items()))))
    flow = yaml.safe_dump(loaded, default_flow_style=True, sort_keys=True)
    commented = SUITE.replace("contains: 10 units", 'contains: ["10 units"]  # as it was in March')
    digests = {
        load_suite_file(suite(text, name)).digest
        for text, name in ((SUITE, "a.yaml"), (lines, "a.jsonl"), (flow, "b.yml"), (commented, "c.yaml"))
    }
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("10 units", "11 units"),
        ("contains: ", "contains_any: "),
        ("      - cites: d0.md\n", ""),
        ("repeats: 2", "repeats: 3"),
        ("slice: number", "slice: other"),
        ("And on the moon", "And on Mars"),
        ("refuses: true", "answers: true"),
        ("id: moon", "id: mars"),
    ],
)
def test_whatever_is_asked_or_asserted_is_in_the_digest(suite: Callable[..., Path], old: str, new: str) -> None:
    assert old in SUITE
    assert load_suite_file(suite(SUITE.replace(old, new), "b.yaml")).digest != load_suite_file(suite(SUITE)).digest


def test_a_rubric_counts_by_its_content(suite: Callable[..., Path], tmp_path: Path) -> None:
    rubric = Path("configs/prompts/judge/correct.yaml").read_text()

    def digest(text: str, name: str) -> str:
        (tmp_path / name).write_text(text)
        judged = SUITE.replace("cites: d0.md", f"judge: {tmp_path / name}")
        return load_suite_file(suite(judged)).digest

    assert digest(rubric, "a.yaml") == digest(rubric, "b.yaml")
    assert digest(rubric, "a.yaml") != digest(rubric.replace("pass_at: 4", "pass_at: 5"), "a.yaml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "contains:",
            "contians:",
            "line 10, item 'leave', assertion 1: unknown key `contians`: did you mean `contains`?",
        ),
        ("slice:", "slyce:", "line 7, item 'leave': unknown key `slyce`: did you mean `slice`?"),
        ("version: 3", "verison: 3", "line 2: unknown key `verison`: did you mean `version`?"),
        ("repeats: 2", "repeats: 0", "line 8, item 'leave', key `repeats`: "),
        ("regex: \\b", "regex: (\\b", "line 11, item 'leave', assertion 2, key `regex`: "),
        ("contains: 10 units", "contains: 10", "line 10, item 'leave', assertion 1, key `contains"),
        ("contains: 10 units", "contains: []", "line 10, item 'leave', assertion 1, key `contains`"),
        ("contains: 10 units", "similarity: {to: x}", "key `similarity.at_least`: Field required"),
        ("contains: 10 units", "max_words: many", "key `max_words`"),
        ("contains: 10 units", "json_schema: {type: objekt}", "not a JSON schema"),
        ("contains: 10 units", "json_schema: {$ref: 'http://x.test/a'}", "leads out of the schema"),
        ("contains: 10 units", "json_schema: {patternProperties: {a: {}}}", "patternProperties"),
        ("contains: 10 units", "judge: nowhere.yaml", "there is no such rubric"),
        ("contains: 10 units", "judge: configs/prompts/judge/better.yaml", "the rubric compares two answers"),
        ("refuses: true", "refuses: maybe", "key `refuses`"),
        ("id: moon", "id: leave", "line 13, item 'leave': the id occurs twice"),
        ("    slice: number", "    document: d1.md", "line 7: the key `document` occurs twice (first in line 6)"),
        (
            "    question: What",
            "    messages: []\n    qestion: What",
            "unknown key `qestion`: did you mean `question`?",
        ),
        ("    document: d0.md", "    pair: a", "`pair` and `variant` go together"),
        ("    document: d0.md", "    pair: a\n    variant: x", "pair 'a' needs two items"),
        ("      - refuses: true", "      []", "item 'moon', key `assert`: a list of one or more"),
        ("- {role: user, content: And on the moon}", "", "the last of `messages` must be the user's"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(suite: Callable[[str], Path], old: str, new: str, said: str) -> None:
    assert old in SUITE
    with pytest.raises(QuestionFileError) as caught:
        load_suite_file(suite(SUITE.replace(old, new, 1)))
    assert said in str(caught.value)
    assert "suite.yaml" in str(caught.value)


def test_all_errors_are_told_at_once(suite: Callable[[str], Path]) -> None:
    wrong = SUITE.replace("contains:", "contians:").replace("refuses: true", "refusse: true")
    with pytest.raises(QuestionFileError) as caught:
        load_suite_file(suite(wrong))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("text", "name"),
    [("", "a.yaml"), ("- 1", "a.yaml"), ("name: x\nitems: []", "a.yaml"), ("a: *b", "a.yaml"), ("{", "a.jsonl"),
     ("name: x\nitems: [&a {id: x}, *a]", "a.yaml"), ("", "a.jsonl"), ("[1]", "a.jsonl")],
)  # fmt: skip
def test_a_file_that_is_no_suite_is_a_clear_error(suite: Callable[..., Path], text: str, name: str) -> None:
    with pytest.raises(QuestionFileError, match=rf"{name}"):
        load_suite_file(suite(text, name))


# --- assertions ---


def said(text: str, *, answered: bool = True, cites: str | None = None) -> Answer:
    cited = (Citation(uri=cites, start=0, end=1),) if cites else ()
    return Answer(question="q", text=text, answered=answered, citations=cited)


PERSON = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string", "pattern": "^[A-Z]"}}}


@pytest.mark.parametrize(
    ("kind", "argument", "good", "bad"),
    [
        ("contains", ["25  DAYS", "porto"], said("Porto: 25 days"), said("Porto: 26 days")),
        ("contains_any", ["a week", "7 days"], said("7 days"), said("8 days")),
        ("not_contains", "password", said("I may not say"), said("The PassWord is x")),
        ("regex", r"(?i)\bten\b", said("Ten."), said("often")),
        ("not_regex", r"\d", said("none"), said("1")),
        ("json_schema", PERSON, said('{"name": "Ada"}'), said('{"name": "ada"}')),
        ("json_schema", PERSON, said('{"name": "Ada"}'), said("Ada")),
        ("citation_present", True, said("x", cites="a.md"), said("x")),
        ("cites", "a.md", said("x", cites="a.md"), said("x", cites="b.md")),
        ("refuses", True, said("No.", answered=False), said("Yes.")),
        ("answers", True, said("Yes."), said("No.", answered=False)),
        ("max_words", 2, said("two words"), said("now three words")),
    ],
)
def test_an_assertion_tells_right_from_wrong(kind: str, argument: object, good: Answer, bad: Answer) -> None:
    taken = ARGUMENTS[kind].validate_python(argument)
    assert check(kind, taken, good).outcome == "passed"
    assert check(kind, taken, bad).outcome == "failed"
    assert check(kind, taken, bad).why


@pytest.mark.parametrize(
    ("kind", "argument", "text"),
    [
        ("regex", r"^(a|a)*$", "a" * 40 + "b"),
        ("json_schema", {"type": "string", "pattern": r"^(a|a)*$"}, json.dumps("a" * 40 + "b")),
        ("json_schema", {"$ref": "#"}, "1"),
    ],
    ids=["backtracking", "backtracking in a schema", "a schema that is itself"],
)
def test_what_takes_too_long_is_an_error_and_no_pass(kind: str, argument: object, text: str) -> None:
    assert check(kind, ARGUMENTS[kind].validate_python(argument), said(text)).outcome == "error"
