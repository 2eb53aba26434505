"""A suite file put to a system: each assertion's outcome, figures by slice, agreement of repeats, pairs, item table.

Invariants: an assertion that could not be checked (no judge configured, a judge without a verdict, a pattern that took
too long) is `not_run` or `error` and leaves its item undecided, never passed; undecided items are missing values.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pipelines.contracts import Answer, Contract, Item
from pipelines.evaluation.assertions import Checked, Similarity, check
from pipelines.evaluation.measure import Precision, measurements
from pipelines.evaluation.rubrics import JudgeItem
from pipelines.evaluation.statistics import mcnemar
from pipelines.evaluation.suite_files import Assertion, SuiteFile, SuiteItem

PASS = "suite_pass"  # noqa: S105 (a metric)
Whole = Literal["passed", "failed", "undecided"]


@dataclass(frozen=True)
class Given:
    """A system's answer, and the passages that it was given: their texts, and their documents."""

    answer: Answer
    contexts: tuple[str, ...]
    uris: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """A system under a suite, as seams."""

    role: str
    ask: Callable[[Sequence[SuiteItem], int], list[Given]]
    """Items, and which repeat it is (from 0) -> an answer each."""
    deterministic: bool
    """Whether the same prompt always gives the same answer (greedy decoding on this machine): repeats are not asked."""
    encode: Callable[[Sequence[str]], NDArray[Any]]
    """Texts to unit vectors, float32 [n, dim]."""
    judge: Callable[[str, Sequence[JudgeItem]], Sequence[bool | None]] | None
    """A rubric's file and answers -> whether the panel passes each; None: no judge is configured."""


class Answered(Contract):
    """One answer to one item, and what came of its assertions."""

    id: str
    slice: str
    repeat: int
    question: str
    answer: str
    answered: bool
    outcome: Whole
    checks: tuple[Checked, ...]


@dataclass(frozen=True)
class Row:
    """One answer to one item, and what came of it."""

    item: SuiteItem
    given: Given
    result: Answered


@dataclass(frozen=True)
class Ran:
    """What came of putting a suite to a system."""

    suite: SuiteFile
    rows: tuple[Row, ...]

    @property
    def results(self) -> list[Answered]:
        """Of every row."""
        return [row.result for row in self.rows]

    @cached_property
    def by_item(self) -> dict[str, list[Row]]:
        """The repeats of each item, items in the order of the suite."""
        found: dict[str, list[Row]] = {item.id: [] for item in self.suite.items}
        for row in self.rows:
            found[row.item.id].append(row)
        return found

    @cached_property
    def outcomes(self) -> dict[str, Whole]:
        """Of every item, its repeats together: it passes when each does."""
        return {name: _whole([row.result.outcome for row in rows]) for name, rows in self.by_item.items()}

    def table(self) -> list[Item]:
        """A row an item and metric: the share of its repeats, which may be more for one item than for another."""
        rows = [each for rows in self.by_item.values() for each in _rows(rows[0].item, [row.result for row in rows])]
        return rows + _pair_rows(self.suite, self.outcomes)

    def summary(self, *, deterministic: bool) -> dict[str, Any]:
        """Counts of items, by slice and of assertions by kind; agreement of repeats; pairs."""
        names = sorted({item.slice for item in self.suite.items})
        of_slice = {name: [self.outcomes[i.id] for i in self.suite.items if i.slice == name] for name in names}
        return {
            "items": _counted(self.outcomes.values()),
            "slices": {name: _counted(each) for name, each in of_slice.items()},
            "assertions": _by_kind(self.results),
            "consistency": _consistency(self.suite, self.results, deterministic=deterministic),
            "pairs": _pairs(self.suite, self.outcomes),
        }


def run_suite(suite: SuiteFile, system: Asked, precision: Precision) -> tuple[dict[str, Any], list[Item]]:
    """The report of `groundwork suite run`, and its item table."""
    ran = put_suite(suite, system)
    table = ran.table()
    measured = measurements(system.role, table, precision, in_slices={row.metric for row in table})
    report = {
        "suite": described(suite),
        **ran.summary(deterministic=system.deterministic),
        "measurements": [each.model_dump(mode="json") for each in measured],
        "results": [result.model_dump(mode="json") for result in ran.results],
    }
    return report, table


def put_suite(suite: SuiteFile, system: Asked) -> Ran:
    """Ask every item and check what is said."""
    rows, given = _asked(suite, system)
    checks = [[_checked(a, each.answer) for a in item.asserts] for (item, _), each in zip(rows, given, strict=True)]
    _similar(rows, given, checks, system)
    _judged(rows, given, checks, system)
    return Ran(
        suite,
        tuple(
            Row(item, each, _answered(item, repeat, each, [c for c in found if c is not None]))
            for (item, repeat), each, found in zip(rows, given, checks, strict=True)
        ),
    )


def described(suite: SuiteFile) -> dict[str, Any]:
    """Name, digest and counts, as `groundwork suite check` prints them."""
    kinds = Counter(assertion.kind for item in suite.items for assertion in item.asserts)
    return {
        "name": suite.name,
        "version": suite.version,
        "digest": suite.digest,
        "items": len(suite.items),
        "answers": sum(item.repeats for item in suite.items),
        "assertions": dict(sorted(kinds.items())),
        "slices": dict(sorted(Counter(item.slice for item in suite.items).items())),
        "pairs": len(suite.pairs),
    }


def _asked(suite: SuiteFile, system: Asked) -> tuple[list[tuple[SuiteItem, int]], list[Given]]:
    """Every item and repeat with its answer; a deterministic system is asked once."""
    rows: list[tuple[SuiteItem, int]] = []
    given: list[Given] = []
    first: dict[str, Given] = {}
    for repeat in range(max(item.repeats for item in suite.items)):
        wanted = [item for item in suite.items if item.repeats > repeat]
        known = repeat and system.deterministic
        answers = [first[item.id] for item in wanted] if known else system.ask(wanted, repeat)
        if repeat == 0:
            first = {item.id: answer for item, answer in zip(wanted, answers, strict=True)}
        rows += [(item, repeat) for item in wanted]
        given += answers
    return rows, given


def _checked(assertion: Assertion, answer: Answer) -> Checked | None:
    """The outcome; None where a model has to say it."""
    if assertion.kind in ("similarity", "judge"):
        return None
    return check(assertion.kind, assertion.argument, answer)


def _similar(
    rows: Sequence[tuple[SuiteItem, int]], given: Sequence[Given], checks: list[list[Checked | None]], system: Asked
) -> None:
    """Fill in similarity: all texts are encoded at once."""
    open_ones = [(i, j, a.argument) for i, j, a in _of_kind("similarity", rows)]
    if not open_ones:
        return
    pairs = [(given[i].answer.text, Similarity.model_validate(wanted)) for i, _, wanted in open_ones]
    texts = sorted({text for answer, wanted in pairs for text in (answer, wanted.to) if text.strip()})
    place = {text: row for row, text in enumerate(texts)}
    vectors = system.encode(texts)
    for (i, j, _), (answer, wanted) in zip(open_ones, pairs, strict=True):
        if answer not in place:
            checks[i][j] = Checked(kind="similarity", outcome="failed", why="the answer is empty")
            continue
        cosine = float(np.dot(vectors[place[answer]], vectors[place[wanted.to]]))
        enough = cosine >= wanted.at_least
        why = "" if enough else f"cosine {cosine:.3f}, below {wanted.at_least}"
        checks[i][j] = Checked(kind="similarity", outcome="passed" if enough else "failed", why=why)


def _judged(
    rows: Sequence[tuple[SuiteItem, int]], given: Sequence[Given], checks: list[list[Checked | None]], system: Asked
) -> None:
    """Fill in what judges say, rubric by rubric."""
    open_ones = _of_kind("judge", rows)
    for rubric in sorted({a.argument for _, _, a in open_ones}):
        mine = [(i, j) for i, j, a in open_ones if a.argument == rubric]
        if system.judge is None:
            for i, j in mine:
                checks[i][j] = Checked(kind="judge", outcome="not_run", why="no judge is configured")
            continue
        verdicts = system.judge(rubric, [_to_judge(*rows[i], given[i]) for i, _ in mine])
        for (i, j), passed in zip(mine, verdicts, strict=True):
            outcome: Literal["error", "passed", "failed"] = (
                "error" if passed is None else "passed" if passed else "failed"
            )
            why = {"error": "no verdict", "failed": "the judges do not pass it", "passed": ""}[outcome]
            checks[i][j] = Checked(kind="judge", outcome=outcome, why=why)


def _of_kind(kind: str, rows: Sequence[tuple[SuiteItem, int]]) -> list[tuple[int, int, Assertion]]:
    return [
        (i, j, assertion)
        for i, (item, _) in enumerate(rows)
        for j, assertion in enumerate(item.asserts)
        if assertion.kind == kind
    ]


def _to_judge(item: SuiteItem, repeat: int, given: Given) -> JudgeItem:
    said = "\n".join(f"{message.role}: {message.content}" for message in item.history)
    return JudgeItem(
        id=f"{item.id}#{repeat}",
        question=f"{said}\nuser: {item.asked}" if said else item.asked,
        answer=given.answer.text,
        contexts=given.contexts,
        reference=item.reference,
    )


def _answered(item: SuiteItem, repeat: int, given: Given, checks: Sequence[Checked]) -> Answered:
    return Answered(
        id=item.id,
        slice=item.slice,
        repeat=repeat,
        question=item.asked,
        answer=given.answer.text,
        answered=given.answer.answered,
        outcome=_outcome(checks),
        checks=tuple(checks),
    )


def _outcome(checks: Sequence[Checked]) -> Whole:
    outcomes = {each.outcome for each in checks}
    return "failed" if "failed" in outcomes else "passed" if outcomes == {"passed"} else "undecided"


def _whole(outcomes: Sequence[Whole]) -> Whole:
    """Of an item's repeats: it passes when each does."""
    return "failed" if "failed" in outcomes else "passed" if set(outcomes) == {"passed"} else "undecided"


def _counted(outcomes: Any) -> dict[str, int]:
    return {"passed": 0, "failed": 0, "undecided": 0} | Counter(outcomes)


def _by_kind(results: Sequence[Answered]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for each in (each for result in results for each in result.checks):
        tally = found.setdefault(each.kind, {"passed": 0, "failed": 0, "not_run": 0, "error": 0})
        tally[each.outcome] += 1
    return dict(sorted(found.items()))


def _consistency(suite: SuiteFile, results: Sequence[Answered], *, deterministic: bool) -> dict[str, Any]:
    """Share of the items asked more than once whose repeats agree on every assertion."""
    repeated = [item.id for item in suite.items if item.repeats > 1]
    if not repeated:
        return {"value": None, "n": 0, "note": "no item has repeats"}
    seen: dict[str, set[tuple[str, ...]]] = {}
    for result in results:
        seen.setdefault(result.id, set()).add(tuple(each.outcome for each in result.checks))
    value = sum(len(seen[name]) == 1 for name in repeated) / len(repeated)
    note = "1 by construction: decoding is greedy, so repeats were not asked again" if deterministic else ""
    return {"value": value, "n": len(repeated), "note": note}


def _pairs(suite: SuiteFile, outcomes: Mapping[str, Whole]) -> dict[str, Any] | None:
    """Bias: outcomes within pairs that differ in one attribute, by McNemar's exact test; None without pairs."""
    pairs = suite.pairs
    if not pairs:
        return None
    both = [(outcomes[a.id], outcomes[b.id]) for a, b in pairs.values()]
    known = [(a == "passed", b == "passed") for a, b in both if "undecided" not in (a, b)]
    only = [sum(a and not b for a, b in known), sum(b and not a for a, b in known)]
    first, second = (str(item.variant) for item in next(iter(pairs.values())))
    return {
        "variants": [first, second],
        "n": len(known),
        "undecided": len(both) - len(known),
        "passed_only": {first: only[0], second: only[1]},
        "difference": (only[0] - only[1]) / len(known) if known else None,
        "p_value": mcnemar(*only),
    }


def _rows(item: SuiteItem, results: Sequence[Answered]) -> list[Item]:
    """`suite_pass`, and `assert_KIND` for each kind: share of the repeats in which all of that kind pass."""
    found: dict[str, list[Whole]] = {PASS: [result.outcome for result in results]}
    for kind in dict.fromkeys(assertion.kind for assertion in item.asserts):
        of_kind = ([each for each in result.checks if each.kind == kind] for result in results)
        found[f"assert_{kind}"] = [_outcome(each) for each in of_kind]
    group = item.document or item.pair or item.id
    return [
        Item(item=item.id, group=group, slice=item.slice, metric=metric, value=_share(outcomes))
        for metric, outcomes in found.items()
    ]


def _pair_rows(suite: SuiteFile, outcomes: Mapping[str, Whole]) -> list[Item]:
    """`pair_differs`: 1 where one of a pair passes and the other does not."""
    rows = []
    for name, (a, b) in suite.pairs.items():
        mine, theirs = outcomes[a.id], outcomes[b.id]
        differs = None if "undecided" in (mine, theirs) else float(mine != theirs)
        group = a.document or name
        rows.append(Item(item=f"pair {name}", group=group, slice=a.slice, metric="pair_differs", value=differs))
    return rows


def _share(outcomes: Sequence[Whole]) -> float | None:
    """Of the outcomes that passed; None where one is undecided."""
    return None if "undecided" in outcomes else outcomes.count("passed") / len(outcomes)
