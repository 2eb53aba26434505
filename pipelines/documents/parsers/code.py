"""Source code, in place: a function, a class or a run of other statements a block, their names the heading path.

The languages of _GRAMMARS are parsed (also with syntax errors in them); others are divided where a line at the
margin begins something new. A comment belongs to the definition below it; a class that is too large for a block
is divided into its members. Not covered: what lies in strings of another language.
"""

import importlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from pipelines.contracts import Block
from pipelines.documents.parsers.decoding import decode
from pipelines.documents.parsers.draft import Parsed, one_line, storable
from pipelines.documents.parsers.plain import paragraphs

_GRAMMARS = {
    "python": ("tree_sitter_python", "language"),
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "java": ("tree_sitter_java", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "csharp": ("tree_sitter_c_sharp", "language"),
    "go": ("tree_sitter_go", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "ruby": ("tree_sitter_ruby", "language"),
    "php": ("tree_sitter_php", "language_php"),
    "bash": ("tree_sitter_bash", "language"),
    "scala": ("tree_sitter_scala", "language"),
}
_SUFFIXES = {
    suffix: language
    for language, suffixes in {
        "python": ".py .pyi",
        "javascript": ".js .mjs .cjs .jsx",
        "typescript": ".ts .mts .cts",
        "tsx": ".tsx",
        "java": ".java",
        "c": ".c",
        "cpp": ".cc .cpp .cxx .hpp .hh .h .cu",
        "csharp": ".cs",
        "go": ".go",
        "rust": ".rs",
        "ruby": ".rb",
        "php": ".php",
        "bash": ".sh .bash .zsh",
        "scala": ".scala",
    }.items()
    for suffix in suffixes.split()
}
_SHEBANGS = {"python": "python", "node": "javascript", "ruby": "ruby", "bash": "bash", "sh": "bash", "php": "php"}
_DEFINITION = re.compile(
    r"(?:function|method|class|interface|enum|struct|trait|record|constructor|destructor|module|object|impl|macro|"
    r"type_alias|generator_function|singleton_method|annotation_type|abstract_class|namespace|internal_module|"
    r"file_scoped_namespace|type|union|protocol|mod|property|singleton_class)"
    r"(?:_definition|_declaration|_item|_specifier|_signature)?"
)
_NOT_DEFINITIONS = frozenset(["type", "function", "object", "method", "property"])
"""Names of nodes that are parts of expressions in some grammar; Ruby's `method` is let in below."""
_WRAPPERS = frozenset(
    "decorated_definition export_statement template_declaration ambient_declaration expression_statement "
    "lexical_declaration declaration type_declaration".split()
)
"""Nodes around a definition that belong to it."""
_TRANSPARENT = frozenset(
    "preproc_ifdef preproc_if preproc_else linkage_specification namespace_definition namespace_declaration "
    "internal_module mod_item declaration_list compound_statement program source_file translation_unit "
    "file_scoped_namespace_declaration block ERROR".split()
)
_BRANCHES = frozenset(
    "if_statement elif_clause else_clause else_if_clause try_statement except_clause finally_clause with_statement "
    "preproc_ifdef preproc_if preproc_else preproc_elif".split()
)
"""Nodes of which several children may hold definitions."""
"""Nodes that hold definitions and are never one block when they are large."""
_FUNCTIONS = ("function", "method", "constructor", "destructor", "macro", "property")
_LARGE = 600
"""Characters: what holds definitions and is larger is divided, so that each stands under its own name."""
_LARGEST_FILE = 4_000_000
_PARSE_S = 10
_DEEPEST = 12
_MARGIN_DEFINITION = re.compile(
    r"(?:(?:export|public|private|protected|internal|open|abstract|static|final|sealed|async|inline|local|pub|override|"
    r"data|suspend|default|create|alter|or|replace|temporary|temp|if|not|exists|unique|materialized)\s+)*"
    r"(?:def|defp|defmodule|fn|func|fun|function|sub|class|struct|interface|trait|module|object|enum|type|impl|proc|"
    r"procedure|protocol|extension|contract|message|service|rpc|resource|data|variable|output|table|view|trigger|index|"
    r"macro|namespace|theorem|lemma|target|task|job|rule)\s+[\"'`\[]?([\w.$:@/-]+)",
    re.I,
)
_SECTION = re.compile(r"^\[+([^\[\]\n]+)\]+\s*$", re.M)
_KEY = re.compile(r"([\w.\"' /-]{1,60}?)\s*[:=](?:\s|$)")
_CONTINUES = re.compile(r"[\s})\]]|end\b|else\b|elif\b|catch\b|finally\b|then\b|done\b|fi\b|esac\b|\*/|-->|--\}|=end")
_COMMENT = re.compile(r"(?://|#|--|;|/\*|\*|%|<!--|\"\"\"|'''|@|\[<)")
_DATA = (".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".env")

Path = tuple[str, ...]


def parse(data: bytes, name: str) -> Parsed:
    """The file's own text; its title is its name, which for code says more than its first line."""
    text = decode(data)
    title = storable(name.rsplit("/", 1)[-1])
    language = _language(text, title)
    blocks = _parsed(text, language, title) if language is not None and len(text) <= _LARGEST_FILE else None
    if blocks is None:
        blocks = list(_at_the_margin(text, (title,), data=PurePosixPath(title.lower()).suffix in _DATA))
    return Parsed(title, text, tuple(blocks))


def _language(text: str, title: str) -> str | None:
    found = _SUFFIXES.get(PurePosixPath(title.lower()).suffix)
    if found is None and text.startswith("#!"):
        program = re.search(r"([a-z]+)[\d.]*\s*$", text.split("\n", 1)[0].split(" -")[0].rstrip("\r"))
        return _SHEBANGS.get(program.group(1)) if program else None
    return found


# --- languages with a grammar ----------------------------------------------------------------------


def _parsed(text: str, language: str, title: str) -> list[Block] | None:
    """Blocks by the syntax tree; None for a file that takes too long, or is nested beyond what code is."""
    raw = text.encode()
    tree = _tree(raw if b"\n" in raw else raw.replace(b"\r", b"\n"), language)  # lines may end with CR alone
    try:
        return None if tree is None else list(_Outline(text, raw).blocks(tree.root_node, (title,)))
    except RecursionError:
        return None


def _tree(raw: bytes, language: str) -> Any:
    """The syntax tree; None when the parser takes too long over it."""
    import tree_sitter

    module, function = _GRAMMARS[language]
    grammar = tree_sitter.Language(getattr(importlib.import_module(module), function)())
    until = time.monotonic() + _PARSE_S

    def read(at: int, point: object) -> bytes:
        return raw[at : at + 65536]

    def too_long(at: int, has_error: bool) -> bool:
        return time.monotonic() > until

    try:
        return tree_sitter.Parser(grammar).parse(read, progress_callback=too_long)
    except ValueError:  # stopped
        return None


@dataclass(frozen=True)
class _Span:
    """Bytes of a statement with the comments above it."""

    start: int
    end: int


class _Outline:
    """A syntax tree on its way into blocks, from the top down."""

    def __init__(self, text: str, raw: bytes) -> None:
        self._text = text
        self._raw = raw
        self._characters = _characters(raw)

    def blocks(self, root: Any, path: Path) -> Iterator[Block]:
        """The blocks of a file in order."""
        yield from self._divided(root.children, path, 0)

    def _divided(self, nodes: Sequence[Any], path: Path, depth: int) -> Iterator[Block]:
        """Definitions one by one, what stands between them in runs."""
        run: list[Any] = []
        for node in nodes:
            definition = _definition(node)
            large = node.end_byte - node.start_byte > _LARGE
            passes = node.type in _TRANSPARENT or node.type in _BRANCHES
            if definition is None and not (large and passes and depth < _DEEPEST):
                run.append(node)
                continue
            comments = self._comments_above(run, node)
            yield from self._run(run, path)
            run = []
            start = comments[0].start_byte if comments else node.start_byte
            below = path if definition is None else (*path, _name(definition, self._raw))
            body = _body(definition if definition is not None else node)
            holds = body is not None and not (definition is not None and definition.type.startswith(_FUNCTIONS))
            if large and holds and depth < _DEEPEST:
                yield from self._block(_Span(start, body.start_byte), below, head=True)
                yield from self._divided(body.children, below, depth + 1)
                yield from self._block(_Span(body.end_byte, node.end_byte), below)
            else:
                yield from self._block(_Span(start, node.end_byte), below)
        yield from self._run(run, path)

    def _comments_above(self, run: list[Any], node: Any) -> list[Any]:
        """Comments (and decorators of some languages) on the lines right above a definition, taken off the run."""
        found: list[Any] = []
        row = node.start_point[0]
        while run and "comment" in run[-1].type and run[-1].end_point[0] >= row - 1:
            row = run[-1].start_point[0]
            found.insert(0, run.pop())
        return found

    def _run(self, run: list[Any], path: Path) -> Iterator[Block]:
        """Statements that are no definitions, in blocks of bounded size, cut between them."""
        first: Any = None
        last: Any = None
        for node in run:
            if first is not None and node.end_byte - first.start_byte > _LARGE:
                yield from self._block(_Span(first.start_byte, last.end_byte), path)
                first = None
            first = node if first is None else first
            last = node
        if first is not None:
            yield from self._block(_Span(first.start_byte, last.end_byte), path)

    def _block(self, span: _Span, path: Path, *, head: bool = False) -> Iterator[Block]:
        start, end = self._characters(span.start), self._characters(span.end)
        piece = self._text[start:end]
        words = piece.strip()
        if head:
            words = words.rstrip("{(").rstrip()
        if any(map(str.isalnum, words)):
            start += len(piece) - len(piece.lstrip())
            yield Block(kind="code", start=start, end=start + len(words), heading_path=path)


def _definition(node: Any) -> Any:
    """The definition that a node is or wraps; None for any other statement."""
    if node.type in _WRAPPERS:
        for child in node.named_children:
            if (found := _definition(child)) is not None:
                return found
            if child.type == "variable_declarator" and _is_function(child):
                return child
            if child.type in ("type_spec", "type_alias"):
                return child
        return None
    if node.type in _NOT_DEFINITIONS:
        return node if node.type == "method" and node.child_by_field_name("name") is not None else None
    if not _DEFINITION.fullmatch(node.type) or not node.is_named:
        return None
    return node if _name_node(node) is not None and _body(node) is not None else None


def _is_function(declarator: Any) -> bool:
    value = declarator.child_by_field_name("value")
    return value is not None and value.type in ("arrow_function", "function_expression", "class", "function")


def _body(node: Any) -> Any:
    """What holds a definition's members or statements."""
    if node.type in _BRANCHES:
        return node
    found = node.child_by_field_name("body")
    if found is not None:
        return found
    held = (
        "declaration_list",
        "class_body",
        "field_declaration_list",
        "body_statement",
        "block",
        "type_spec",
        "enum_body",
    )
    inner = next((child for child in node.named_children if child.type in held), None)
    if inner is not None:
        return inner
    return (
        node if node.type in _TRANSPARENT or node.type.endswith(("_signature", "alias", "alias_declaration")) else None
    )


def _name_node(node: Any) -> Any:
    """The node that holds a definition's name; C puts it inside declarators, Rust's `impl` has a type instead."""
    for field in ("name", "declarator", "type"):
        found = node.child_by_field_name(field)
        for _ in range(_DEEPEST):
            if found is None:
                break
            inner = found.child_by_field_name("declarator") or found.child_by_field_name("name")
            if inner is None or field == "type" or found.type in ("qualified_identifier", "scoped_identifier"):
                return found
            found = inner
    return next((child for child in node.named_children if child.type in ("type_spec", "constant", "identifier")), None)


def _name(node: Any, raw: bytes) -> str:
    found = _name_node(node)
    words = raw[found.start_byte : found.end_byte].decode("utf-8", "replace") if found is not None else node.type
    receiver = node.child_by_field_name("receiver")
    if receiver is not None and node.type == "method_declaration":  # Go
        owner = raw[receiver.start_byte : receiver.end_byte].decode("utf-8", "replace").strip("()").split()
        words = f"{owner[-1].lstrip('*')}.{words}" if owner else words
    return one_line(words.split("\n", 1)[0])[:100]


def _characters(raw: bytes) -> Callable[[int], int]:
    """Offset in UTF-8 bytes -> offset in characters; asked for in ascending order, nearly."""
    if raw.isascii():
        return lambda at: at
    known = [(0, 0)]

    def count(at: int) -> int:
        while known[-1][0] > at:
            known.pop()
        byte, character = known[-1]
        found = character + len(raw[byte:at].decode("utf-8", "replace"))
        known.append((at, found))
        return found

    return count


# --- others ------------------------------------------------------------------------------------


def _at_the_margin(text: str, path: Path, *, data: bool) -> Iterator[Block]:
    """Runs of lines between blank ones; one that is indented, or closes something, goes on with the one before."""
    groups: list[tuple[int, int, str]] = []
    named = _SECTION if data and _SECTION.search(text) else _KEY if data else None
    for lines in paragraphs(text):
        start, end = lines[0][0], lines[-1][1]
        margin = text[text.rfind("\n", 0, start) + 1 : start]
        goes_on = bool(margin) or _CONTINUES.match(text, start) is not None
        label = "" if goes_on else _label([text[s:e] for s, e in lines], named)
        if groups and (goes_on or (data and not label and groups[-1][2])):
            groups[-1] = (groups[-1][0], end, groups[-1][2])
        else:
            groups.append((start, end, label))
    for start, end, label in groups:
        yield Block(kind="code", start=start, end=end, heading_path=(*path, label) if label else path)


def _label(lines: Sequence[str], named: re.Pattern[str] | None) -> str:
    """The name of what a run of lines defines: of its first line that is no comment. `named`: how data names things."""
    for line in lines[:30]:
        if named is not None:
            found = None if line.startswith(("#", ";")) else named.match(line)
            if found is not None:
                return storable(one_line(found.group(1)).strip("\"'"))
        elif not _COMMENT.match(line):
            defined = _MARGIN_DEFINITION.match(line)
            return storable(defined.group(1)) if defined else ""
    return ""
