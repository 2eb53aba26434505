"""Training curves as one self-contained page: an inline picture, no request to anywhere.

Invariant: equal curves give equal bytes. Lines and text take the page's colours, light or dark.
"""

import io
import re
from collections.abc import Sequence
from html import escape

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
</body></html>
"""


def page(curve: Sequence[dict[str, float]]) -> str:
    """The page of a curve (a line per step: step, loss, learning_rate, perhaps validation)."""
    measured = [line for line in curve if "validation" in line]
    rows = "".join(
        f"<tr><td>{line['step']:.0f}</td><td>{smoothed(curve, int(line['step'])):.3f}</td>"
        f"<td>{line['validation']:.3f}</td></tr>"
        for line in measured
    )
    told = f"{len(curve)} optimizer steps; loss of answer tokens, the line is its mean over {SMOOTHED_OVER} steps."
    return _PAGE.format(told=escape(told), picture=_picture(curve, measured), rows=rows)


def smoothed(curve: Sequence[dict[str, float]], step: int) -> float:
    """Mean training loss of the SMOOTHED_OVER steps that end at `step` (1-based)."""
    window = [line["loss"] for line in curve[max(step - SMOOTHED_OVER, 0) : step]]
    return sum(window) / len(window)


def _picture(curve: Sequence[dict[str, float]], measured: Sequence[dict[str, float]]) -> str:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "curves"
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 5.2), layout="constrained")
    losses, rates = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    at = [line["step"] for line in curve]
    losses.plot(at, [line["loss"] for line in curve], color="#4f8fdc", alpha=0.35, linewidth=1)
    losses.plot(at, [smoothed(curve, int(step)) for step in at], color="#4f8fdc", linewidth=2, label="training")
    if measured:
        where, what = [line["step"] for line in measured], [line["validation"] for line in measured]
        losses.plot(where, what, "o-", color="#e07b39", linewidth=2, label="validation")
    losses.set_ylabel("loss")
    losses.set_ylim(bottom=0)
    losses.legend(frameon=False)
    rates.plot(at, [line["learning_rate"] for line in curve], color="#3fa66b", linewidth=2)
    rates.set_ylabel("learning rate")
    rates.set_xlabel("optimizer step")
    for axes in (losses, rates):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _in_page_colours(drawn.getvalue())


def _in_page_colours(svg: str) -> str:
    """matplotlib's black becomes `currentColor`; what stands before <svg> is dropped."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"#000000", "currentColor", svg)
    svg = re.sub(r"(<text style=\")", r"\1fill: currentColor; ", svg)
    return svg.replace("<svg ", '<svg role="img" aria-label="Loss and learning rate by step" ', 1)
