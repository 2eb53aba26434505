"""Pages that people read: templates filled in, everything in one file, nothing fetched.

Invariant: a page carries a content security policy that forbids every request, and all text in it is escaped.
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import write_text
from pipelines.evaluation.labels import label

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
TOOLS = Path(__file__).parent / "workbench"
"""Templates of pages that no stage writes: outside the stages' keys."""


def write_page(template: str, place: Path, **values: Any) -> None:
    """Fill in a template and write the page."""
    write_text(place, _environment().get_template(template).render(values))


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([TEMPLATES, TOOLS]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "points": points, "share": share, "number": number}
    environment.globals["label"] = label
    return environment


def percent(value: float | None) -> str:
    """0.4567 as 45.7%; nothing measured as a dash."""
    return "–" if value is None else f"{100 * value:.1f}%"


def points(value: float | None) -> str:
    """A difference of shares in percentage points, signed."""
    return "–" if value is None else f"{100 * value:+.1f}".replace("-", "−")


def share(value: float | None) -> str:
    """A share as a position on an axis from 0 to 100."""
    return f"{100 * min(1.0, max(0.0, value or 0.0)):.2f}"


def number(value: float | None, digits: int = 2) -> str:
    """A plain number; nothing measured as a dash."""
    return "–" if value is None else f"{value:,.{digits}f}"
