"""Training curves as one self-contained page: an inline picture, no request to anywhere.

Invariant: equal curves give equal bytes. Lines and text take the page's colours, light or dark.
"""

from collections.abc import Sequence
from html import escape

from pipelines.training.pictures import drawn, empty_figure

SMOOTHED_OVER = 10
"""Steps in the moving average of the training loss."""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Training curves</title>
<style>
:root {{ color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff; --soft: #57606a; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e6edf3; --paper: #0d1117; --soft: #9da7b3; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
svg {{ width: 100%; height: auto; color: var(--ink); }}
table {{ border-collapse: collapse; }} th, td {{ text-align: right; padding: .15rem .8rem; }}
caption, p {{ color: var(--soft); text-align: left; }}
</style></head><body>
<h1>Training curves</h1>
<p>{told}</p>
{picture}
<table><caption>Where validation was measured</caption>
<thead><tr><th scope="col">step</th><th scope="col">training loss</th><th scope="col">validation loss</th></tr></thead>
<tbody>{rows}</tbody></table>
{preferences}</body></html>
"""
_PREFERENCES = """<h2>Preferred answers</h2>
<p>{told}</p>
{picture}
<table><caption>Where validation pairs were looked at</caption>
<thead><tr><th scope="col">step</th><th scope="col">loss</th><th scope="col">reward margin</th>
<th scope="col">accuracy</th></tr></thead>
<tbody>{rows}</tbody></table>
"""
TRAINED, VALIDATED = "#4f8fdc", "#e07b39"
RATE = "#3fa66b"


def page(curve: Sequence[dict[str, float]]) -> str:
    """The page of a curve (a line per step: step, loss, learning_rate, perhaps validation).

    Lines with `dpo_loss` in place of `loss` are of preferred answers: they follow, with a picture of their own.
    """
    answers = [line for line in curve if "loss" in line]
    measured = [line for line in answers if "validation" in line]
    rows = "".join(
        f"<tr><td>{line['step']:.0f}</td><td>{smoothed(answers, int(line['step'])):.3f}</td>"
        f"<td>{line['validation']:.3f}</td></tr>"
        for line in measured
    )
    told = f"{len(answers)} optimizer steps; loss of answer tokens, the line is its mean over {SMOOTHED_OVER} steps."
    preferences = _of_preferences([line for line in curve if "dpo_loss" in line])
    picture = _picture(answers, measured)
    return _PAGE.format(told=escape(told), picture=picture, rows=rows, preferences=preferences)


def _of_preferences(curve: Sequence[dict[str, float]]) -> str:
    """The part of the page on preferred answers; nothing where there was no such phase."""
    if not curve:
        return ""
    measured = [line for line in curve if "validation_dpo_loss" in line]
    rows = "".join(
        f"<tr><td>{line['step']:.0f}</td><td>{line['validation_dpo_loss']:.3f}</td>"
        f"<td>{line['validation_dpo_margin']:.2f}</td><td>{line['validation_dpo_accuracy']:.0%}</td></tr>"
        for line in measured
    )
    told = (
        f"{len(curve)} step{'' if len(curve) == 1 else 's'} more, of direct preference optimisation; each figure is "
        "the mean of a step's pairs. "
        "Margin: by how much the reward of the preferred answer is above the other's. Accuracy: where it is above."
    )
    return _PREFERENCES.format(told=escape(told), picture=_picture_of_preferences(curve, measured), rows=rows)


def smoothed(curve: Sequence[dict[str, float]], step: int) -> float:
    """Mean training loss of the SMOOTHED_OVER steps that end at `step` (1-based)."""
    window = [line["loss"] for line in curve[max(step - SMOOTHED_OVER, 0) : step]]
    return sum(window) / len(window)


def _picture(curve: Sequence[dict[str, float]], measured: Sequence[dict[str, float]]) -> str:
    figure = empty_figure(5.2)
    losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    at = [line["step"] for line in curve]
    losses.plot(at, [line["loss"] for line in curve], color=TRAINED, alpha=0.35, linewidth=1)
    losses.plot(at, [smoothed(curve, int(step)) for step in at], color=TRAINED, linewidth=2, label="training")
    if measured:
        where, what = [line["step"] for line in measured], [line["validation"] for line in measured]
        losses.plot(where, what, "o-", color=VALIDATED, linewidth=2, label="validation")
    losses.set_ylabel("loss")
    losses.set_ylim(bottom=0)
    losses.legend(frameon=False)
    rates.plot(at, [line["learning_rate"] for line in curve], color=RATE, linewidth=2)
    rates.set_ylabel("learning rate")
    rates.set_xlabel("optimizer step")
    return drawn(figure, "Loss and learning rate by step")


def _picture_of_preferences(curve: Sequence[dict[str, float]], measured: Sequence[dict[str, float]]) -> str:
    figure = empty_figure(6.4)
    places = figure.subplots(3, 1, sharex=True)
    at, where = [line["step"] for line in curve], [line["step"] for line in measured]
    said = {"loss": "loss", "margin": "reward margin", "accuracy": "accuracy"}
    for axes, name in zip(places, said, strict=True):
        style = "o-" if len(at) == 1 else "-"  # a line needs two points
        axes.plot(at, [line[f"dpo_{name}"] for line in curve], style, color=TRAINED, linewidth=2, label="training")
        if measured:
            what = [line[f"validation_dpo_{name}"] for line in measured]
            axes.plot(where, what, "o-", color=VALIDATED, linewidth=2, label="validation")
        axes.set_ylabel(said[name])
    places[0].legend(frameon=False)
    places[2].set_ylim(0, 1.05)
    places[2].set_xlabel("optimizer step")
    return drawn(figure, "DPO loss, reward margin and accuracy by step")
