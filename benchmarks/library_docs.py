"""Questions on source code and on its documentation, made from installed libraries: two domains beside prose.

A function's docstring begins with a sentence that says what it does. That sentence is the question; what is searched is
the source without docstrings, or the rest of the docstring. Nothing is kept: the texts are those of the environment.
Limits: a summary is a better description than people give, so figures are high; they serve to compare.
"""

import ast
import inspect
import random
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.corpora import Asked, Corpus, Gold

CODE = ("networkx.algorithms", "sklearn.metrics", "sklearn.preprocessing", "httpx", "dvc", "rich", "pandas.core")
CODE += ("scipy.stats", "scipy.signal", "fsspec", "tenacity", "alembic", "datasets")
DOCS = ("scipy.stats", "scipy.signal", "scipy.optimize", "scipy.linalg", "scipy.ndimage", "scipy.interpolate", "pandas")
DOCS += ("networkx", "sklearn.metrics", "sklearn.preprocessing", "sklearn.cluster", "numpy", "numpy.linalg", "torch.nn")
DOCS += ("torch", "torch.nn.functional", "pyarrow", "pyarrow.compute", "logging", "sqlite3", "argparse", "subprocess")
FILES_EACH, QUESTIONS_A_FILE, PAGES_EACH = 25, 3, 30
LONGEST_PAGE = 12_000
"""Characters of a page of documentation that are kept."""


@dataclass(frozen=True)
class _Described:
    """A function with its summary; lines count from 1."""

    first: int
    last: int
    docstring: tuple[int, int]
    summary: str


def library_code(folder: Path, *, seed: int = 3) -> Corpus:
    """Source files without docstrings; a question is a function's summary, its gold the function."""
    rng = random.Random(seed)
    questions: list[Asked] = []
    for name, place in _sources(rng):
        text, found = _without_docstrings(place.read_text(encoding="utf-8", errors="replace"))
        if not found:
            continue
        uri = f"{name.replace('.', '/')}/{place.name}"
        (folder / uri).parent.mkdir(parents=True, exist_ok=True)
        (folder / uri).write_bytes(text.encode())
        for summary, start, end in rng.sample(found, min(QUESTIONS_A_FILE, len(found))):
            questions.append(Asked(f"{uri}:{start}", summary, (Gold(uri, start, end),), uri))
    return Corpus("library_code", folder, tuple(questions), ("document",))


def library_pages(folder: Path, *, seed: int = 5) -> Corpus:
    """Docstrings without their first paragraph; a question is the summary, its gold the page."""
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    questions: list[Asked] = []
    seen: set[str] = set()
    for module in DOCS:
        for name, page, summary in _pages(module, rng, seen):
            uri = f"{module}.{name}.txt"
            (folder / uri).write_bytes(page.encode())
            questions.append(Asked(uri, summary, (Gold(uri, 0, len(page)),), uri))
    return Corpus("library_pages", folder, tuple(questions), ("document",))


def _sources(rng: random.Random) -> Iterator[tuple[str, Path]]:
    for name in CODE:
        found = find_spec(name)
        if found is None or not found.submodule_search_locations:
            continue
        places = sorted(Path(next(iter(found.submodule_search_locations))).rglob("*.py"))
        fitting = [p for p in places if "test" not in p.parent.name and 2_000 < p.stat().st_size < 60_000]
        yield from ((name, place) for place in rng.sample(fitting, min(len(fitting), FILES_EACH)))


def _without_docstrings(source: str) -> tuple[str, list[tuple[str, int, int]]]:
    """A file's text without the docstrings of its functions, and (summary, start, end) of each of these there."""
    try:
        described = sorted(_described(ast.parse(source)), key=lambda each: each.first)
    except SyntaxError:
        return source, []
    gone = {line for each in described for line in range(each.docstring[0], each.docstring[1] + 1)}
    kept: list[str] = []
    begins: dict[int, int] = {}
    at = 0
    for number, line in enumerate(source.split("\n"), 1):
        begins[number] = at
        if number not in gone:
            kept.append(line)
            at += len(line) + 1
    text = "\n".join(kept)
    return text, [(d.summary, begins[d.first], begins.get(d.last + 1, len(text))) for d in described]


def _described(tree: ast.AST) -> Iterator[_Described]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or len(node.body) < 3:
            continue
        first = node.body[0]
        summary = _summary(ast.get_docstring(node) or "")
        if isinstance(first, ast.Expr) and summary and node.end_lineno and first.end_lineno:
            yield _Described(node.lineno, node.end_lineno, (first.lineno, first.end_lineno), summary)


def _pages(module: str, rng: random.Random, seen: set[str]) -> Iterator[tuple[str, str, str]]:
    if find_spec(module.split(".")[0]) is None:
        return
    holder: Any = import_module(module)
    names = [name for name in dir(holder) if not name.startswith("_")]
    rng.shuffle(names)
    taken = 0
    for name in names:
        paragraphs = (inspect.getdoc(getattr(holder, name)) or "").split("\n\n")
        if "(" in paragraphs[0] and len(paragraphs) > 1:  # a signature stands first
            paragraphs = paragraphs[1:]
        summary, page = _summary(paragraphs[0]), "\n\n".join(paragraphs[1:])[:LONGEST_PAGE]
        if summary and len(page) > 400 and page not in seen and taken < PAGES_EACH:
            seen.add(page)
            taken += 1
            yield name, page, summary


def _summary(docstring: str) -> str:
    """The first sentence, of 5 to 25 words; "" for others."""
    first = " ".join(docstring.strip().split("\n\n")[0].split()).split(". ")[0].rstrip(".")
    return first if 5 <= len(first.split()) <= 25 else ""
