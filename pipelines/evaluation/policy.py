"""The gate policy: what a candidate must show, as its YAML file says it (DESIGN.md section 8)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from pipelines.contracts import Contract, content_id
from pipelines.errors import PolicyError
from pipelines.settings import resolve
from pipelines.yamlfiles import read_record

Better = Literal["higher", "lower"]
TARGET = "target"
"""Written in place of a limit's number: the number stands in configs/targets.yaml."""


def _number(value: Any) -> Any:
    """Refuse what YAML reads as text or true, so that `0,2` is not taken for a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{value!r} is not a number")
    return value


def _number_or_target(value: Any) -> Any:
    return value if value is None or value == TARGET else _number(value)


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
NumberOrTarget = Annotated[float | Literal["target"] | None, BeforeValidator(_number_or_target)]


class Primary(Contract):
    """The candidate must be better than the champion by more than `by`."""

    metric: str = Field(min_length=1)
    better: Better
    by: Number = Field(0.0, ge=0)


class Guard(Contract):
    """The candidate must not be worse than the champion by `margin` or more."""

    metric: str = Field(min_length=1)
    better: Better
    margin: Number = Field(gt=0)


class Limit(Contract):
    """The candidate's own mean must surely stay on the right side of a number."""

    metric: str = Field(min_length=1)
    at_most: NumberOrTarget = None
    at_least: NumberOrTarget = None

    @model_validator(mode="after")
    def _one_side(self) -> "Limit":
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("a limit names either at_most or at_least")
        return self


class GatePolicy(Contract):
    """configs/policies/gate.yaml."""

    alpha: Number = Field(gt=0, lt=0.5)
    primary: Primary
    guards: tuple[Guard, ...] = ()
    limits: tuple[Limit, ...] = ()
    missing: Literal["inconclusive", "fail"] = "inconclusive"

    @model_validator(mode="after")
    def _each_once(self) -> "GatePolicy":
        for kind, rules in (("guards", self.guards), ("limits", self.limits)):
            names = [(r.metric, getattr(r, "at_most", 0) is None) for r in rules]
            if len(set(names)) != len(names):
                raise ValueError(f"{kind} name a metric twice")
        return self

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that a rule names, each once."""
        named = [self.primary.metric, *(each.metric for each in self.guards), *(each.metric for each in self.limits)]
        return tuple(dict.fromkeys(named))

    @property
    def digest(self) -> str:
        """Identity of what the policy asks."""
        return content_id("gate", self.model_dump(mode="json"))


class Target(Contract):
    """What the business asks of one metric."""

    metric: str
    at_most: Number | None = None
    at_least: Number | None = None
    why: str = ""

    @model_validator(mode="after")
    def _one_side(self) -> "Target":
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError("a target names either at_most or at_least")
        return self


class Targets(Contract):
    """configs/targets.yaml: what the business asks, by concern; read by gate, rollout and dashboards."""

    quality: tuple[Target, ...] = ()
    safety: tuple[Target, ...] = ()
    latency: tuple[Target, ...] = ()
    cost: tuple[Target, ...] = ()

    def __iter__(self) -> Iterator[Target]:  # type: ignore[override]
        """Every target, in the order of the file."""
        return iter((*self.quality, *self.safety, *self.latency, *self.cost))


def load_policy(path: Path, targets: Targets | None = None) -> GatePolicy:
    """Read a gate policy; a limit's `target` becomes the number that `targets` holds.

    Raises PolicyError naming file, field and rule.
    """
    policy = read_record(resolve(path), GatePolicy, "gate policy", PolicyError)
    limits = tuple(_resolved(limit, targets, path) for limit in policy.limits)
    return policy.model_copy(update={"limits": limits})


def load_targets(path: Path) -> Targets:
    """Read the targets. Raises PolicyError naming file and field."""
    return read_record(resolve(path), Targets, "list of targets", PolicyError)


def _resolved(limit: Limit, targets: Targets | None, path: Path) -> Limit:
    side = "at_most" if limit.at_most is not None else "at_least"
    if getattr(limit, side) != TARGET:
        return limit
    for target in targets or ():
        if target.metric == limit.metric and (number := getattr(target, side)) is not None:
            return limit.model_copy(update={side: number})
    where = "configs/targets.yaml holds no such target" if targets else "no targets were given"
    raise PolicyError(f"{path}: limits: {limit.metric}: {side}: target, but {where}; write the number itself.")
