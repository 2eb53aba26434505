r"""AsciiDoc, Org and LaTeX, in place: the text is the file's own, blocks point into it.

Headings and fenced blocks are recognised by their lines; what is between them are paragraphs and lists. The head of
the file (attributes, preamble) and comments are notes. Not covered: macros, includes.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pipelines.contracts import Block
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Kind, Outline, Parsed, lines_of, one_line, readable_name, storable
from pipelines.documents.parsers.plain import is_list

_BRACED = r"\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}"
_LATEX_LEVELS = {"part": 1, "chapter": 2, "section": 3, "subsection": 4, "subsubsection": 5, "paragraph": 6}
_LATEX_HEADING = re.compile(rf"\s*\\({'|'.join(_LATEX_LEVELS)})\*?(?:\[[^\]]*\])?{_BRACED}.*")
_COMMAND = re.compile(r"\\[A-Za-z]+\*?(?:\[[^\]]*\])?|[{}$~]")


@dataclass(frozen=True)
class Fence:
    """A block between two lines; the pattern of the second is made of the first."""

    opens: re.Pattern[str]
    closes: Callable[[re.Match[str]], str]
    kind: Kind


@dataclass(frozen=True)
class Markup:
    """A language as data."""

    heading: Callable[[str], tuple[int, str] | None]
    fences: tuple[Fence, ...]
    note: re.Pattern[str]
    """Lines that say something about the document."""
    passed_over: re.Pattern[str]
    """Lines that are no text at all: delimiters."""
    title: re.Pattern[str]
    body: re.Pattern[str] | None = None
    """The line after which the text begins."""


def _same(match: re.Match[str]) -> str:
    return re.escape(match.group().strip())


def _asciidoc_heading(line: str) -> tuple[int, str] | None:
    found = re.fullmatch(r"(={1,6}|#{1,6})\s+(\S.*?)(?:\s+=+)?", line)
    return (len(found.group(1)), found.group(2)) if found else None


def _org_heading(line: str) -> tuple[int, str] | None:
    found = re.fullmatch(r"(\*+)\s+(?:(?:TODO|DONE|NEXT|WAITING)\s+)?(?:\[#\w\]\s+)?(.*?)(?:\s+:[\w@:]+:)?\s*", line)
    return (len(found.group(1)), found.group(2)) if found and found.group(2) else None


def _latex_heading(line: str) -> tuple[int, str] | None:
    found = _LATEX_HEADING.fullmatch(line)
    return (_LATEX_LEVELS[found.group(1)], _COMMAND.sub("", found.group(2))) if found else None


def _environment(names: str, kind: Kind) -> Fence:
    opens = re.compile(rf"\s*\\begin\{{({names})\*?\}}.*")
    return Fence(opens, lambda match: rf".*\\end\{{{match.group(1)}\*?\}}.*", kind)


_ASCIIDOC = Markup(
    heading=_asciidoc_heading,
    fences=(
        Fence(re.compile(r"(?:-{4,}|\.{4,}|`{3,}.*|\+{4,})\s*"), lambda m: re.escape(m.group()[:3]) + ".*", "code"),
        Fence(re.compile(r"[|,:!]={3,}\s*"), _same, "table"),
        Fence(re.compile(r"/{4,}\s*"), _same, "note"),
    ),
    note=re.compile(r":!?[\w-]+!?:.*|//(?!/).*|(?:include|ifdef|ifndef|endif|ifeval)::.*"),
    passed_over=re.compile(r"(?:={4,}|\*{4,}|_{4,}|--|'{3,}|<<<|\+)\s*|\[[^\]]*\]\s*|\[\[[^\]]*\]\]\s*"),
    title=re.compile(r"=\s+(.+)"),
)
_ORG = Markup(
    heading=_org_heading,
    fences=(
        Fence(
            re.compile(r"\s*#\+begin_(src|example|export)\b.*", re.I),
            lambda m: rf"(?i:\s*#\+end_{m.group(1)}).*",
            "code",
        ),
        Fence(re.compile(r"\s*:(?:PROPERTIES|LOGBOOK):\s*"), lambda m: r"\s*:END:\s*", "note"),
    ),
    note=re.compile(r"#\+(?!begin|end|caption).*|#\s.*", re.I),
    passed_over=re.compile(r"\s*#\+(?:begin|end)_\w+.*", re.I),
    title=re.compile(r"#\+title:\s*(.+)", re.I),
)
_LATEX = Markup(
    heading=_latex_heading,
    fences=(
        _environment(
            "verbatim|lstlisting|minted|equation|align|gather|multline|displaymath|eqnarray|tikzpicture", "code"
        ),
        _environment("tabular|tabularx|longtable|tabulary", "table"),
        _environment("itemize|enumerate|description", "list"),
        _environment("comment|filecontents", "note"),
    ),
    note=re.compile(r"\s*%.*"),
    passed_over=re.compile(
        r"\s*\\(?:(?:begin|end)\{\w+\*?\}(?:\[[^\]]*\])?|maketitle|tableofcontents|newpage|clearpage|centering"
        r"|label\{[^}]*\}|bibliographystyle\{[^}]*\})\s*"
    ),
    title=re.compile(rf"\s*\\title(?:\[[^\]]*\])?{_BRACED}.*"),
    body=re.compile(r"\s*\\begin\{document\}.*"),
)
_BY_SUFFIX = {".org": _ORG, ".tex": _LATEX, ".latex": _LATEX, ".ltx": _LATEX}


def parse(data: bytes, name: str) -> Parsed:
    """The text with its headings, paragraphs, lists, tables and code."""
    text = decode(data)
    markup = _BY_SUFFIX.get(PurePosixPath(name.lower()).suffix, _ASCIIDOC)
    blocks = list(_blocks(text, markup))
    found = next(filter(None, (markup.title.fullmatch(text[start:end]) for start, end in lines_of(text))), None)
    first = next((b.heading_path[-1] for b in blocks if b.kind == "heading"), None)
    title = one_line(_COMMAND.sub("", found.group(1))) if found else first
    return Parsed(storable(title or readable_name(name)), text, tuple(blocks))


def _blocks(text: str, markup: Markup) -> Iterator[Block]:
    spans = list(lines_of(text))
    lines = [text[start:end].rstrip() for start, end in spans]
    outline = Outline()
    run: list[int] = []
    endless: set[str] = set()

    def block(kind: Kind, first: int, last: int) -> Iterator[Block]:
        start, end = spans[first][0], spans[last][1]
        piece = text[start:end]
        if piece.strip():
            start += len(piece) - len(piece.lstrip())
            yield Block(kind=kind, start=start, end=start + len(piece.strip()), heading_path=outline.path)

    def paragraph() -> Iterator[Block]:
        if run:
            yield from block(_kind(text, [spans[i] for i in run]), run[0], run[-1])
            run.clear()

    at = _body_start(lines, markup)
    if at:
        yield from block("note", 0, at - 1)
    while at < len(lines):
        line = lines[at]
        last = _fenced(lines, at, markup, endless)
        if last is not None:
            yield from paragraph()
            kind, at_end = last
            yield from block(kind, at, at_end)
            at = at_end
        elif not line.strip() or markup.passed_over.fullmatch(line):
            yield from paragraph()
        elif markup.note.fullmatch(line):
            yield from paragraph()
            yield from block("note", at, at)
        elif (heading := markup.heading(line)) is not None and heading[1].strip():
            yield from paragraph()
            outline.enter(heading[0], one_line(heading[1]))
            yield from block("heading", at, at)
        else:
            run.append(at)
        at += 1
    yield from paragraph()


def _body_start(lines: Sequence[str], markup: Markup) -> int:
    if markup.body is None:
        return 0
    return next((at + 1 for at, line in enumerate(lines) if markup.body.fullmatch(line)), 0)


def _fenced(lines: Sequence[str], at: int, markup: Markup, endless: set[str]) -> tuple[Kind, int] | None:
    """(kind, last line) of the fenced block that begins on a line; None where none does, or where it never ends.

    `endless`: endings that were looked for in vain, so that nobody looks again from a later line.
    """
    for fence in markup.fences:
        if (opened := fence.opens.fullmatch(lines[at])) is not None:
            closing = fence.closes(opened)
            if closing in endless:
                return None
            first = at if "end" in closing else at + 1  # an environment may end on the line on which it begins
            end = next((i for i in range(first, len(lines)) if re.fullmatch(closing, lines[i])), None)
            if end is None:
                endless.add(closing)
            return (fence.kind, end) if end is not None else None
    return None


def _kind(text: str, lines: Sequence[tuple[int, int]]) -> Kind:
    words = [text[start:end].lstrip() for start, end in lines]
    if all(line.startswith("|") for line in words):
        return "table"
    return (
        "list" if is_list(text, [(s + len(text[s:e]) - len(text[s:e].lstrip()), e) for s, e in lines]) else "paragraph"
    )
