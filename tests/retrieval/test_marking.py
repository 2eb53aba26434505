"""A question's words in a passage, as search sees them; hits at a terminal."""

from typing import Any

from rich.console import Console

from pipelines.retrieval.marking import cut_around, marked
from pipelines.telling import told_hits


def test_stems_and_spellings_of_codes_are_marked() -> None:
    text = "Probes of type RK 110 were calibrated."
    # `probe` meets Probes; `RK-110` gives rk110, rk and 110, which meet RK and 110; `of` is a stop word.
    spans = [text[start:end] for start, end in marked(text, "calibrating a probe of RK-110")]
    assert spans == ["Probes", "RK", "110", "calibrated"]


def test_a_cut_shows_where_the_words_stand_together() -> None:
    text = "leave " + "x " * 200 + "paid annual leave of 27 days " + "y " * 200
    cut = cut_around(text, "annual paid leave", 60)
    assert "paid annual leave" in cut
    assert len(cut) <= 60
    assert cut[0] == cut[-1] == "…"


def test_a_short_text_is_shown_whole() -> None:
    assert cut_around("two\n\nlines", "lines", 60) == "two lines"


def hit(uri: str, parts: dict[str, float]) -> dict[str, Any]:
    where = {"uri": uri, "start": 10, "end": 60, "heading_path": ["Rules", "[bold]Leave[/bold]"]}
    return {**where, "score": sum(parts.values()), "parts": parts, "text": "Paid leave is 27 days."}


def shown(width: int, *, coloured: bool) -> str:
    hits = [hit("a.md", {"vector": 0.5, "words": 0.4}), hit("b.md", {"vector": 0.4, "superseded": -0.2})]
    console = Console(
        width=width, force_terminal=coloured, color_system="standard" if coloured else None, highlight=False
    )
    with console.capture() as capture:
        for each in told_hits({"hits": hits, "milliseconds": 3.2}, "leave days", width, coloured=coloured):
            console.print(each)
    return capture.get()


def test_every_part_of_a_score_is_told_at_any_width() -> None:
    for width in (40, 80, 160):
        told = shown(width, coloured=False)
        assert max(map(len, told.splitlines())) <= width
        for said in ("a.md 10-60", "0.900", "vector 0.500", "words 0.400", "superseded −0.200", "«leave»", "«days»"):
            assert said in told
        assert "[bold]Leave[/bold]" in told  # a heading is text, no markup


def test_bars_are_to_scale() -> None:
    # 18 cells for the best score, 0.9: vector 0.5 is 10 of them, words the other 8; b.md's 0.4 is 8.
    told = shown(100, coloured=False)
    assert "a" * 10 + "b" * 8 in told
    assert "0.200 " + "a" * 8 + " " in told


def test_a_terminal_gets_colours_instead_of_letters() -> None:
    told = shown(100, coloured=True)
    assert "█" in told
    assert "\x1b[" in told
    assert "«" not in told


def test_no_hits_are_said() -> None:
    (told,) = told_hits({"hits": [], "milliseconds": 1.0}, "x", 80)
    assert str(told) == "No hits."
