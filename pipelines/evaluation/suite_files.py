"""Suite files: prompts with typed assertions, as YAML or JSON Lines.

Invariants: the digest covers what is asked and asserted, rubrics included, and nothing else: layout, key order, the
order of items, name and version leave it alone. Errors name file, line, item and key, all of a file at once.
"""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from pipelines.contracts import Contract, Message, content_id
from pipelines.errors import JudgeError, QuestionFileError
from pipelines.evaluation.assertions import ARGUMENTS
from pipelines.evaluation.rubrics import load_rubric
from pipelines.suiterows import at, read_suite
from pipelines.yamlfiles import Located, unknown_key

MEANING = 1
"""Part of the digest: raise it when an assertion comes to mean something else."""
SHOWN = 10
"""Errors that are shown at once."""


class Assertion(Contract):
    """One thing that must hold of an answer."""

    kind: str
    argument: Any
    """As assertions.ARGUMENTS takes it."""


class SuiteItem(Contract):
    """A prompt, and all that must hold of its answer."""

    id: str = Field(min_length=1)
    question: str | None = Field(None, min_length=1)
    messages: tuple[Message, ...] = ()
    """A conversation whose last message is the question."""
    document: str | None = None
    """uri of the document that it depends on: the unit of resampling."""
    slice: str = Field("all", min_length=1)
    repeats: int = Field(1, ge=1, le=100)
    reference: str | None = None
    """A right answer, for judges."""
    pair: str | None = None
    """Two items with the same `pair` differ in one attribute; `variant` names which of it each has."""
    variant: str | None = None
    asserts: tuple[Assertion, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _asked(self) -> Self:
        if (self.question is None) == (not self.messages):
            raise ValueError("give one of `question` and `messages`")
        if self.messages and self.messages[-1].role != "user":
            raise ValueError("the last of `messages` must be the user's")
        if any(message.role == "system" for message in self.messages):
            raise ValueError("`messages` has a system message; the system prompt is the release's own")
        if (self.pair is None) != (self.variant is None):
            raise ValueError("`pair` and `variant` go together")
        return self

    @property
    def asked(self) -> str:
        """The question."""
        return self.question if self.question is not None else self.messages[-1].content

    @property
    def history(self) -> tuple[Message, ...]:
        """What was said before."""
        return self.messages[:-1]


class SuiteFile(Contract):
    """A suite as its file holds it."""

    name: str = Field(min_length=1)
    version: int
    items: tuple[SuiteItem, ...]
    rubrics: dict[str, str]
    """Each rubric that a judge assertion names, and its digest."""

    @property
    def digest(self) -> str:
        """Identity of what is asked and asserted."""
        items = [item.model_dump(mode="json") | {"asserts": self._stated(item)} for item in self.items]
        return content_id("suite file", MEANING, sorted(items, key=lambda item: str(item["id"])))

    def _stated(self, item: SuiteItem) -> list[Any]:
        """Assertions by content: a rubric's digest for its file's name, in any order."""
        dumped = [assertion.model_dump(mode="json") for assertion in item.asserts]
        stated = [[d["kind"], self.rubrics[d["argument"]] if d["kind"] == "judge" else d["argument"]] for d in dumped]
        return sorted(stated, key=content_id)

    @property
    def pairs(self) -> dict[str, tuple[SuiteItem, SuiteItem]]:
        """The two items of each pair, by variant."""
        found: dict[str, list[SuiteItem]] = {}
        for item in self.items:
            if item.pair is not None:
                found.setdefault(item.pair, []).append(item)
        both = {name: sorted(each, key=lambda item: str(item.variant)) for name, each in found.items()}
        return {name: (each[0], each[1]) for name, each in both.items()}


KEYS = {"assert" if name == "asserts" else name: name for name in SuiteItem.model_fields}
"""Keys of an item as files spell them, and their fields."""
HEAD = ["name", "version", "items"]


def load_suite_file(path: Path) -> SuiteFile:
    """Read a suite. Raises QuestionFileError naming file, line, item and key of everything that is wrong."""
    head, rows = read_suite(path)
    wrong = [f"{at(path, head, key)}: {unknown_key(key, HEAD)}" for key in head if key not in HEAD]
    items = []
    for number, row in enumerate(rows, 1):
        item = _item(path, number, row, wrong)
        if item is not None:
            items.append((item, row))
    _across(path, items, wrong)
    rubrics = _rubrics(path, items, wrong)
    if not rows:
        wrong.append(f"{path}: there are no items in it.")
    if not wrong:
        try:
            return SuiteFile(
                name=head.get("name", path.stem),
                version=head.get("version", 1),
                items=tuple(item for item, _ in items),
                rubrics=rubrics,
            )
        except ValidationError as exc:
            wrong += [f"{at(path, head, e['loc'][0])}, key `{e['loc'][0]}`: {e['msg']}" for e in exc.errors()]
    more = f"\n... and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
    raise QuestionFileError("\n".join(wrong[:SHOWN]) + more)


# --- items -----------------------------------------------------------------------------------


def _item(path: Path, number: int, row: Any, wrong: list[str]) -> SuiteItem | None:
    """The item of a row, or None with what is wrong added to `wrong`."""
    if not isinstance(row, Located):
        wrong.append(f"{path}, item {number}: expected `id:`, `question:` and `assert:`.")
        return None
    before = len(wrong)
    name = f"item {row.get('id', number)!r}"
    wrong += [f"{at(path, row, key)}, {name}: {unknown_key(key, list(KEYS))}" for key in row if key not in KEYS]
    asserts = _assertions(path, name, row, wrong)
    if len(wrong) > before:
        return None
    fields = {KEYS[key]: value for key, value in row.items()} | {"asserts": asserts}
    try:
        return SuiteItem.model_validate(fields)
    except ValidationError as exc:
        for error in exc.errors():
            where = ".".join(str(part) for part in error["loc"])
            key = error["loc"][0] if error["loc"] else None
            wrong.append(f"{at(path, row, key)}, {name}{f', key `{where}`' if where else ''}: {error['msg']}")
        return None


def _assertions(path: Path, name: str, row: Located, wrong: list[str]) -> list[Assertion]:
    stated = row.get("assert")
    if not isinstance(stated, list) or not stated:
        wrong.append(f"{at(path, row, 'assert')}, {name}, key `assert`: a list of one or more assertions is needed")
        return []
    found = []
    for number, one in enumerate(stated, 1):
        if not isinstance(one, Located) or len(one) != 1:
            line = one.line if isinstance(one, Located) else row.lines.get("assert", row.line)
            wrong.append(f"{path}, line {line}, {name}, assertion {number}: expected one `kind: argument`")
            continue
        ((kind, argument),) = one.items()
        where = f"{at(path, one, kind)}, {name}, assertion {number}"
        if kind not in ARGUMENTS:
            wrong.append(f"{where}: {unknown_key(kind, list(ARGUMENTS))}")
            continue
        try:
            found.append(Assertion(kind=kind, argument=ARGUMENTS[kind].validate_python(argument)))
        except ValidationError as exc:
            error = exc.errors()[0]
            key = ".".join(str(part) for part in (kind, *error["loc"]))
            wrong.append(f"{where}, key `{key}`: {error['msg']}")
    return found


def _across(path: Path, items: list[tuple[SuiteItem, Located]], wrong: list[str]) -> None:
    """What is wrong between items: an id twice, a pair that is none."""
    seen: set[str] = set()
    pairs: dict[str, list[SuiteItem]] = {}
    for item, row in items:
        if item.id in seen:
            wrong.append(f"{at(path, row, 'id')}, item {item.id!r}: the id occurs twice")
        seen.add(item.id)
        if item.pair is not None:
            pairs.setdefault(item.pair, []).append(item)
    for name, each in pairs.items():
        if len(each) != 2 or each[0].variant == each[1].variant:
            wrong.append(f"{path}: pair {name!r} needs two items of different `variant`, and has {len(each)}")
    variants = {tuple(sorted(str(item.variant) for item in each)) for each in pairs.values()}
    if len(variants) > 1:
        wrong.append(f"{path}: pairs compare different variants ({sorted(variants)}); one suite compares one attribute")


def _rubrics(path: Path, items: list[tuple[SuiteItem, Located]], wrong: list[str]) -> dict[str, str]:
    """Digests of the rubrics that judge assertions name."""
    found: dict[str, str] = {}
    for item, row in items:
        for assertion in item.asserts:
            if assertion.kind != "judge" or assertion.argument in found:
                continue
            try:
                rubric = load_rubric(Path(assertion.argument))
            except JudgeError as exc:
                wrong.append(f"{at(path, row, 'assert')}, item {item.id!r}, key `judge`: {exc}")
                continue
            if rubric.kind != "single":
                wrong.append(
                    f"{at(path, row, 'assert')}, item {item.id!r}, key `judge`: the rubric compares two answers"
                )
            found[assertion.argument] = rubric.digest
    return found
