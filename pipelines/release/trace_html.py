"""A trace as one page."""

from pathlib import Path

from pipelines.errors import UserError
from pipelines.evaluation.pages import write_page
from pipelines.release.traced import Trace

HEADINGS = {
    "answer": "Where does this answer come from?",
    "attack": "What came of this attack?",
    "example": "What was this example made of?",
    "chunk": "Where does this passage come from, and what came of it?",
    "document": "What came of this document?",
    "part": "What is this part of?",
    "release": "What is this release made of?",
}


def page(trace: Trace, place: Path) -> None:
    """Write the page. Raises UserError where it cannot be written."""
    try:
        write_page("trace.html.j2", place, trace=trace, heading=HEADINGS[trace.kind])
    except OSError as exc:
        raise UserError(f"{place}: the page cannot be written: {exc.strerror}.") from exc
