"""Pictures for pages: inline SVG in the page's own colours, light or dark. Equal figures give equal bytes."""

import io
import re
from typing import Any


def empty_figure(height: float) -> Any:
    """A matplotlib figure nine inches wide."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "curves"
    matplotlib.rcParams["svg.fonttype"] = "none"
    from matplotlib.figure import Figure

    return Figure(figsize=(9, height), layout="constrained")


def drawn(figure: Any, said: str) -> str:
    """The figure as SVG for a page; `said`: what it shows, for those who do not see it."""
    for axes in figure.axes:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    svg = io.StringIO()
    figure.savefig(svg, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _in_page_colours(svg.getvalue(), said)


def _in_page_colours(svg: str, said: str) -> str:
    """matplotlib's black becomes `currentColor`; what stands before <svg> is dropped."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"#000000", "currentColor", svg)
    svg = re.sub(r"(<text style=\")", r"\1fill: currentColor; ", svg)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{said}" ', 1)
