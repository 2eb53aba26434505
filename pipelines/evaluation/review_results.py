"""Votes -> how often the candidate is preferred, how far reviewers agree, what is still open, and files of it.

Invariants: a tie counts half for each; an item's score is the mean of its votes, so an item counts once however many
looked at it; the interval counts a document's items for as many as they are worth. Limits: it treats scores of several
reviewers as a count of successes, which may be fractional.
Who looks after every vote and stops when the figure pleases is wrong more often than an interval says; `anytime` holds
at all looks together (sequences.py). Its units are finished items in the order of drawing, which is random and fixed
before anybody looks, as far as the first open one; it speaks of the evaluation's items, not of other documents.
"""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations, takewhile
from pathlib import Path

from pipelines.artifacts import write_lines
from pipelines.contracts import Contract, Item
from pipelines.errors import DecisionError
from pipelines.evaluation.agreement import cohen_kappa, krippendorff_alpha
from pipelines.evaluation.measure import rate_of
from pipelines.evaluation.review_votes import Reviewed
from pipelines.evaluation.sequences import betting

METRIC = "human_preference"
WORTH = {"candidate": 1.0, "tie": 0.5, "reference": 0.0}


class Preferred(Contract):
    """How often the candidate is preferred over n items; None: no item has a vote."""

    slice: str
    rate: float | None
    low: float | None
    high: float | None
    n: int


class Kappa(Contract):
    """Two reviewers' agreement on the n items that both judged; None: undefined."""

    first: str
    second: str
    kappa: float | None
    n: int


class Results(Contract):
    """What the reviews of a round came to."""

    round: str
    against: str
    items: int
    open: int
    """Items with fewer reviewers than wanted."""
    votes: int
    reviewers: tuple[str, ...]
    confidence: float
    preference: Preferred
    anytime: Preferred
    """The same with an interval that holds however often it is looked at, over the first finished items."""
    slices: tuple[Preferred, ...]
    alpha_nominal: float | None
    alpha_ordinal: float | None
    kappas: tuple[Kappa, ...]


class Label(Contract):
    """One person's judgement of one system's answer: a line for calibrating a judge."""

    item: str
    system: str
    question: str
    answer: str
    reviewer: str
    preference: str
    """won, lost or tie."""
    grounded: bool | None
    correct: bool | None


def score(item: Reviewed) -> float | None:
    """The candidate's share of the item's votes, ties half; None without a vote."""
    worth = [WORTH[choice] for choice in item.votes.values()]
    return sum(worth) / len(worth) if worth else None


def results(items: Sequence[Reviewed], round_: str | None, *, confidence: float) -> Results:
    """Figures of a round. Raises DecisionError where nothing is queued."""
    if not items or round_ is None:
        raise DecisionError("Nothing is queued for review; `groundwork review fill --items 50` draws items.")
    slices = defaultdict(list)
    for item in items:
        slices[item.slice].append(item)
    units = [[WORTH[choice] for choice in item.votes.values()] for item in items]
    return Results(
        round=round_,
        against=items[0].reference,
        items=len(items),
        open=sum(len(item.votes) < item.wanted for item in items),
        votes=sum(map(len, units)),
        reviewers=tuple(sorted({who for item in items for who in item.votes})),
        confidence=confidence,
        preference=_rate("all", items, confidence),
        anytime=_anytime(items, confidence),
        slices=tuple(_rate(name, of, confidence) for name, of in sorted(slices.items())),
        alpha_nominal=krippendorff_alpha(units, level="nominal"),
        alpha_ordinal=krippendorff_alpha(units, level="ordinal"),
        kappas=_kappas(items),
    )


def _rate(name: str, items: Sequence[Reviewed], confidence: float) -> Preferred:
    scored = [(value, item.group) for item in items if (value := score(item)) is not None]
    found = rate_of([value for value, _ in scored], confidence, groups=[group for _, group in scored])
    if found is None:
        return Preferred(slice=name, rate=None, low=None, high=None, n=0)
    return Preferred(slice=name, rate=found.value, low=found.low, high=found.high, n=len(scored))


def _anytime(items: Sequence[Reviewed], confidence: float) -> Preferred:
    finished = list(takewhile(lambda item: len(item.votes) >= item.wanted, items))
    scores = [value for item in finished if (value := score(item)) is not None]
    if not scores:
        return Preferred(slice="at every look", rate=None, low=None, high=None, n=0)
    bounds = betting(scores, 1 - confidence)
    low, high = float(bounds.low[-1]), float(bounds.high[-1])
    return Preferred(slice="at every look", rate=sum(scores) / len(scores), low=low, high=high, n=len(scores))


def _kappas(items: Sequence[Reviewed]) -> tuple[Kappa, ...]:
    found = []
    for first, second in combinations(sorted({who for item in items for who in item.votes}), 2):
        both = [item.votes for item in items if first in item.votes and second in item.votes]
        if both:
            labels = ([WORTH[votes[who]] for votes in both] for who in (first, second))
            found.append(Kappa(first=first, second=second, kappa=cohen_kappa(*labels), n=len(both)))
    return tuple(found)


def export(items: Sequence[Reviewed], file: Path) -> tuple[Path, Path, Path]:
    """Write FILE (the candidate's item table), FILE-reference (the other's) and FILE-labels, as JSON Lines.

    `groundwork gate` compares the first two. An item without a vote has a row without a value.
    """
    reference, labels = (file.with_name(f"{file.stem}-{name}.jsonl") for name in ("reference", "labels"))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_lines(file, [_row(item, score(item)) for item in items])
        write_lines(reference, [_row(item, None if (s := score(item)) is None else 1 - s) for item in items])
        write_lines(labels, [label for item in items for label in _labels(item)])
    except OSError as exc:
        raise DecisionError(f"{file}: cannot be written: {exc.strerror}.") from exc
    return file, reference, labels


def _row(item: Reviewed, value: float | None) -> Item:
    return Item(item=item.item, group=item.group, slice=item.slice, metric=METRIC, value=value)


def _labels(item: Reviewed) -> list[Label]:
    return [
        Label(
            item=item.item,
            system="candidate" if side == "candidate" else item.reference,
            question=item.question,
            answer=item.answers[side]["text"],
            reviewer=who,
            preference="tie" if choice == "tie" else "won" if choice == side else "lost",
            **item.rubrics[who][side],
        )
        for who, choice in sorted(item.votes.items())
        for side in ("candidate", "reference")
    ]


def told(found: Results) -> str:
    """The results for a terminal."""
    lines = [
        f"candidate against {found.against}: {found.votes} votes of {len(found.reviewers)} reviewers on "
        f"{found.items} items, {found.open} open",
        f"preferred (ties half; Wilson, {found.confidence:.0%}):",
        *(f"  {each.slice:20} {_figure(each)}" for each in (found.preference, *found.slices)),
        "however often you look, over the first finished items:",
        f"  {found.anytime.slice:20} {_figure(found.anytime)}",
        f"agreement (Krippendorff's alpha): nominal {_share(found.alpha_nominal)}, ordinal "
        f"{_share(found.alpha_ordinal)}",
        *(f"  {each.first} and {each.second}: kappa {_share(each.kappa)} on {each.n}" for each in found.kappas),
    ]
    return "\n".join(lines)


def _figure(rate: Preferred) -> str:
    if rate.rate is None or rate.low is None or rate.high is None:
        return "no votes"
    return f"{rate.rate:.3f} [{rate.low:.3f}, {rate.high:.3f}] n={rate.n}"


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
