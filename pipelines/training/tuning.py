"""A search over training settings: its points, who goes on, and its page.

Successive halving (Jamieson & Talwalkar 2016, arXiv:1502.07943): each round after the first keeps the better half of
the points and gives each twice the time. Here a point that goes on is trained anew: its schedule is fitted to its time,
so weights whose learning rate has come down to zero are no beginning for a longer run.
Limits: choosing by one validation loss is noisy (seed, speed of the machine under a limit of time), and the least of
many is too low as an estimate: the report of the release says what the winner is worth.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import yaml

from pipelines.errors import SettingsError
from pipelines.training.pictures import drawn, empty_figure

Point = dict[str, Any]
"""Keys below `training`, dotted, to their values."""
ROUND_COLOURS = ("#4f8fdc", "#e07b39", "#3fa66b", "#9467bd")


@dataclass(frozen=True)
class Trained:
    """A point after a training of so many minutes."""

    point: Point
    rung: int
    """The round, from 1."""
    minutes: float
    validation_loss: float
    steps: int
    steps_planned: int
    seconds: float
    key: str
    """Of its stage `train`."""
    folder: str
    """Of its workspace, below that of the search."""

    @property
    def name(self) -> str:
        """In words."""
        return named(self.point)

    def plain(self) -> dict[str, Any]:
        """For tuning.json."""
        return {**vars(self), "name": self.name}


def named(point: Point) -> str:
    """A point in words."""
    return ", ".join(f"{key} {value}" for key, value in point.items())


def axes_of(texts: Sequence[str]) -> dict[str, list[Any]]:
    """`rank=8,16` and the like as keys and values. Raises SettingsError for what is not of that form."""
    axes: dict[str, list[Any]] = {}
    for text in texts:
        key, sign, values = text.partition("=")
        found = [yaml.safe_load(value) for value in values.split(",") if value.strip()]
        if not sign or not key.strip() or not found:
            raise SettingsError(f"--grid {text}: expected KEY=VALUE,VALUE,... as in rank=8,16.")
        if key.strip() in axes:
            raise SettingsError(f"--grid names {key.strip()} twice; give all its values at once, as in rank=8,16.")
        if key.strip() == "minutes_at_most":
            raise SettingsError("--grid cannot vary minutes_at_most: --minutes and --rounds say how long each trains.")
        axes[key.strip()] = found
    return axes


def points_of(axes: Mapping[str, Sequence[Any]]) -> list[Point]:
    """Every combination, the last key fastest."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def layer_of(point: Point) -> dict[str, Any]:
    """A point as a settings layer."""
    layer: dict[str, Any] = {}
    for key, value in point.items():
        *sections, last = key.split(".")
        place = layer
        for section in sections:
            place = place.setdefault(section, {})
        place[last] = value
    return {"training": layer}


def better_half(done: Sequence[Trained]) -> list[Point]:
    """The points that go on, best first: half of them, one at least; a loss that is no number comes last."""
    return [each.point for each in ranked(done)[: math.ceil(len(done) / 2)]]


def ranked(done: Sequence[Trained]) -> list[Trained]:
    """Longest trained first, then by validation loss: losses after different times do not compare."""
    return sorted(done, key=lambda each: (-each.rung, math.isnan(each.validation_loss), each.validation_loss))


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Search over training settings</title>
<style>
:root {{ color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #57606a; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e6edf3; --paper: #0d1117; --soft: #9da7b3; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
svg {{ width: 100%; height: auto; color: var(--ink); }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }} th, td {{ text-align: right; padding: .15rem .8rem; }}
th:first-child, td:first-child {{ text-align: left; }}
caption, p {{ color: var(--soft); text-align: left; }}
</style></head><body>
<h1>Search over training settings</h1>
<p>{told}</p>
{picture}
<div class="wide"><table><caption>Best first; losses of different rounds do not compare.</caption>
<thead><tr><th scope="col">settings</th><th scope="col">round</th><th scope="col">minutes</th>
<th scope="col">validation loss</th><th scope="col">steps</th><th scope="col">planned</th></tr></thead>
<tbody>{rows}</tbody></table></div>
</body></html>
"""


def page(done: Sequence[Trained]) -> str:
    """The page of a search: a picture and a table, no request to anywhere."""
    best = ranked(done)
    rows = "".join(
        f"<tr><td>{escape(each.name)}</td><td>{each.rung}</td><td>{each.minutes:g}</td>"
        f"<td>{each.validation_loss:.4f}</td><td>{each.steps}</td><td>{each.steps_planned}</td></tr>"
        for each in best
    )
    told = (
        f"{len(done)} trainings. Least validation loss of the last round: {best[0].validation_loss:.4f}, with "
        f"{best[0].name}. It is the least of several on the same examples, so a little too low."
    )
    return _PAGE.format(told=escape(told), picture=_picture(best), rows=rows)


def _picture(best: Sequence[Trained]) -> str:
    """A row a point, in the order of the table; a dot a round."""
    names = list(dict.fromkeys(each.name for each in best))
    figure = empty_figure(1.2 + 0.4 * len(names))
    axes = figure.subplots()
    for rung in sorted({each.rung for each in best}):
        of_round = [each for each in best if each.rung == rung and not math.isnan(each.validation_loss)]
        colour = ROUND_COLOURS[(rung - 1) % len(ROUND_COLOURS)]
        minutes = f"{of_round[0].minutes:g} min" if of_round else ""
        losses = [each.validation_loss for each in of_round]
        axes.plot(
            losses, [names.index(each.name) for each in of_round], "o", color=colour, label=f"round {rung}, {minutes}"
        )
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(y=0.15)
    axes.set_xlabel("validation loss")
    axes.legend(frameon=False)
    return drawn(figure, "Validation loss of each point, by round")
