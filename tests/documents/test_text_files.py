"""Formats whose text stays the file's own: light markup, JSON, source code; and notebooks and subtitles beside them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.documents.parsers import parse
from pipelines.errors import DocumentError
from tests.documents.reading import kinds, parsed, paths

# --- reStructuredText, AsciiDoc, Org, LaTeX ----------------------------------------------------------

RST = """=======
Ponds
=======

Intro with ``code``::

   literal

   still

Depth :ref:`of <x>` ponds
-------------------------
Text right below.

- one

  more of one
- two

.. code-block:: python

   x = 1

.. note:: Mind the ice.

.. a comment

====  ====
a     b
====  ====
1     2
====  ====

Area
----
End.
"""


def test_rst_headings_take_their_level_from_the_order_of_their_underlines() -> None:
    found = parsed(RST.encode(), "a.rst")
    assert found.text == RST and found.title == "Ponds"
    assert kinds(found) == [
        ("heading", "Ponds"),
        ("paragraph", "Intro with ``code``::"),
        ("code", "literal\n\n   still"),
        ("heading", "Depth :ref:`of <x>` ponds"),
        ("paragraph", "Text right below."),
        ("list", "- one\n\n  more of one\n- two"),
        ("code", ".. code-block:: python\n\n   x = 1"),
        ("paragraph", ".. note:: Mind the ice."),
        ("note", ".. a comment"),
        ("table", "====  ====\na     b\n====  ====\n1     2\n====  ===="),
        ("heading", "Area"),
        ("paragraph", "End."),
    ]
    assert paths(found)[3] == ("Ponds", "Depth of ponds") and paths(found)[-1] == ("Ponds", "Area")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (
            "a.adoc",
            "= Title\n:toc:\n\n== First\nText.\n\n[source]\n----\nx = 1\n\ny = 2\n----\n\n* a\n* b\n\n////\nc\n////\n",
            [
                ("heading", "= Title"),
                ("note", ":toc:"),
                ("heading", "== First"),
                ("paragraph", "Text."),
                ("code", "----\nx = 1\n\ny = 2\n----"),
                ("list", "* a\n* b"),
                ("note", "////\nc\n////"),
            ],
        ),
        (
            "a.org",
            "#+TITLE: Ponds\n* TODO First  :tag:\nText.\n#+BEGIN_SRC sh\nls\n\n#+END_SRC\n** Sub\n| a | b |\n",
            [
                ("note", "#+TITLE: Ponds"),
                ("heading", "* TODO First  :tag:"),
                ("paragraph", "Text."),
                ("code", "#+BEGIN_SRC sh\nls\n\n#+END_SRC"),
                ("heading", "** Sub"),
                ("table", "| a | b |"),
            ],
        ),
        (
            "a.tex",
            "\\title{On \\emph{Ponds}}\n\\begin{document}\n\\section{Depth}\nDeep.\n"
            "\\begin{equation}a\n\\end{equation}\nEnd.\n",
            [
                ("note", "\\title{On \\emph{Ponds}}\n\\begin{document}"),
                ("heading", "\\section{Depth}"),
                ("paragraph", "Deep."),
                ("code", "\\begin{equation}a\n\\end{equation}"),
                ("paragraph", "End."),
            ],
        ),
        ("b.adoc", "----\nnever closed\n", [("paragraph", "----\nnever closed")]),
    ],
    ids=["AsciiDoc", "Org", "LaTeX", "a fence without an end"],
)
def test_light_markup_is_divided_at_its_own_marks(name: str, text: str, expected: list[tuple[str, str]]) -> None:
    found = parsed(text.encode(), name)
    assert found.text == text
    assert kinds(found) == expected


@given(
    st.lists(
        st.sampled_from(
            [
                "Head",
                "====",
                "----",
                "= T",
                "* a",
                "- b",
                "  in",
                "",
                ".. x::",
                "+-+",
                "==  ==",
                "|===",
                "\\section{a}",
                "::",
            ]
        )
    )
)
def test_markup_blocks_lie_in_order_whatever_the_lines(lines: list[str]) -> None:
    text = "\n".join(lines)
    if text.strip():
        for name in ("a.rst", "a.adoc", "a.org", "a.tex"):
            assert parsed(text.encode(), name).text == text


# --- JSON --------------------------------------------------------------------------------------


def test_json_records_are_blocks_under_their_names() -> None:
    text = '[\n  {"id": "p1", "text": "Ponds"},\n  {"title": "Tarns", "text": "Deep"},\n  7\n]\n'
    found = parsed(text.encode(), "data.json")
    assert found.text == text
    assert list(zip(paths(found), [t for _, t in kinds(found)], strict=True)) == [
        (("p1",), '{"id": "p1", "text": "Ponds"}'),
        (("Tarns",), '{"title": "Tarns", "text": "Deep"}'),
        ((), "7"),
    ]


def test_json_lines_are_records_and_a_damaged_line_costs_itself_alone() -> None:
    text = '{"id": "a", "n": 1}\r\n{"id": "b", \r\n\r\n{"id": "c", "n": 3}\r\n'
    found = parsed(text.encode(), "data.jsonl")
    assert found.text == text
    assert paths(found) == [("a",), (), ("c",)]


def test_a_large_value_is_divided_at_its_members() -> None:
    sites = {f"site {n}": {"staff": n, "about": "x" * 300} for n in range(20)}
    found = parsed(json.dumps({"version": 1, "sites": sites}).encode(), "a.json")
    assert paths(found)[:3] == [(), ("sites", "site 0"), ("sites", "site 1")]


def test_escaped_letters_and_line_breaks_are_written_out_and_nothing_else() -> None:
    text = r'[{"id": "Gr\u00f6\u00dfe", "t": "one\ntwo \ud83d\ude00 \"q\" \\n \u0007"}, {"id": "b"}]'
    found = parsed(text.encode(), "a.json")
    assert found.text == '[{"id": "Größe", "t": "one\ntwo 😀 \\"q\\" \\\\n \\u0007"}, {"id": "b"}]'
    assert [t for _, t in kinds(found)][1] == '{"id": "b"}'  # its place moved with the text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=30,
)


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_json_of_any_shape_is_covered_by_its_blocks(value: object, escaped: bool, indent: int | None) -> None:
    data = json.dumps(value, ensure_ascii=escaped, indent=indent).encode("utf-8", "surrogatepass")
    try:
        found = parsed(data, "a.json")
    except DocumentError:
        return  # control characters, lone surrogates
    covered = "".join(t for _, t in kinds(found))
    words = [w for w in found.text.replace('"', " ").split() if w.isalnum()]
    keys = " ".join(key for path in paths(found) for key in path)
    assert all(word in covered or word in keys for word in words)


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: 1}\n\nb", '{"a": 1', "tru", '"x" y'])
def test_what_is_no_json_is_read_as_text(text: str) -> None:
    assert parsed(text.encode(), "a.json").text == text


# --- notebooks and subtitles -----------------------------------------------------------------------


def test_a_notebook_gives_its_cells_and_the_outputs_that_are_text() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Ponds\n", "\n", "- a\n", "- b"]},
        {
            "cell_type": "code",
            "source": "table",
            "outputs": [
                {"output_type": "stream", "text": ["\x1b[31mwarned\x1b[0m\n"]},
                {"data": {"image/png": "iVBOR", "text/plain": ["<Figure>"]}},
                {"data": {"text/html": "<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table>"}},
                {"output_type": "error", "ename": "ValueError", "evalue": "no pond"},
            ],
        },
    ]
    found = parsed(json.dumps({"cells": cells, "nbformat": 4}).encode(), "a.ipynb")
    assert kinds(found) == [
        ("heading", "Ponds"),
        ("list", "- a\n- b"),
        ("code", "table"),
        ("table", "| a | b |\n|---|---|\n| 1 | 2 |"),
        ("code", "warned\n<Figure>\nValueError: no pond"),
    ]


@pytest.mark.parametrize("data", [b"[]", b"{}", b'{"cells": 1}', b'{"cells": [1, {"source": 2}]}', b"{"])
def test_a_notebook_without_cells_says_so(data: bytes) -> None:
    with pytest.raises(DocumentError, match="notebook"):
        parse(data, "a.ipynb")


def test_subtitles_are_paragraphs_by_speaker_and_pause() -> None:
    vtt = (
        "WEBVTT\n\n1\n00:00:01.000 --> 00:00:03.000\n<v Ann>Mind the\n\n00:00:03.000 --> 00:00:05.000\n<v Ann>ice.\n\n"
        "00:00:06.000 --> 00:00:07.000\n<v Bob>Salt &amp; grit\n\n01:00:20.000 --> 01:00:21.000\n<v Bob>Later\n"
    )
    assert parsed(vtt.encode(), "talk.vtt").text.split("\n\n") == [
        "[00:00:01] Ann: Mind the ice.",
        "[00:00:06] Bob: Salt & grit",
        "[01:00:20] Bob: Later",
    ]
    srt = "1\r\n00:00:01,000 --> 00:00:02,000\r\n<i>One</i>\r\n\r\n2\r\n00:00:02,500 --> 00:00:03,000\r\ntwo\r\n"
    assert parsed(srt.encode(), "talk.srt").text == "[00:00:01] One two"


# --- source code -------------------------------------------------------------------------------


def test_source_code_is_titled_by_its_name() -> None:
    found = parsed(b"def f():\n    return 1\n\n\nX = 2\n", "src/tool.py")
    assert found.title == "tool.py"
    assert kinds(found) == [("code", "def f():\n    return 1"), ("code", "X = 2")]
    assert paths(found) == [("tool.py", "f"), ("tool.py",)]


def test_a_large_class_is_divided_into_its_methods_with_what_stands_above_them() -> None:
    body = "\n".join(f"        x = {n}  # Größe" for n in range(20))
    methods = f"    # fills it\n    @cached\n    def fill(self):\n{body}\n\n    def drain(self):\n{body}\n"
    code = f'class Pond:\n    """Deep."""\n\n{methods}'
    found = parsed(code.encode(), "a.py")
    assert found.text == code
    assert paths(found) == [
        ("a.py", "Pond"),
        ("a.py", "Pond"),
        ("a.py", "Pond", "fill"),
        ("a.py", "Pond", "drain"),
    ]
    assert kinds(found)[2][1].startswith("# fills it\n    @cached\n    def fill")


@pytest.mark.parametrize(
    ("name", "code", "names"),
    [
        ("a.js", "const f = (a) => { return a }\nexport function g() {}\nclass A { m() {} }", ["f", "g", "A"]),
        ("a.ts", "export interface A { b: string }\ntype B = string\nenum C { D }", ["A", "B", "C"]),
        ("a.tsx", "export default function App() { return <p>x</p> }", ["App"]),
        ("A.java", "package a;\n/** Doc. */\npublic class A { void run() {} }", ["A"]),
        ("a.c", "static int\nf(int a) { return a; }\nstruct s { int a; };", ["f", "s"]),
        ("a.cpp", "int Pond::fill(int a) { return a; }\ntemplate<class T> class V {};", ["Pond::fill", "V"]),
        ("a.cs", "namespace N { public class A { void Run() {} } }", ["N"]),
        ("a.go", "package a\nfunc (p *Pond) Fill() {}\ntype Tarn struct { D int }", ["Pond.Fill", "Tarn"]),
        ("a.rs", "pub struct P { a: i32 }\nimpl P { fn f() {} }\nfn main() {}", ["P", "P", "main"]),
        ("a.rb", "module M\n  def run\n  end\nend\ndef f; end", ["M", "f"]),
        ("a.php", "<?php\nclass A { function run() {} }\nfunction f() {}", ["A", "f"]),
        ("a.sh", "set -e\nfill() {\n  echo 1\n}\nfill", ["fill"]),
        ("a.scala", "object A { def f = 1 }\nclass B", ["A"]),
        ("a.sql", "CREATE TABLE ponds (\n  id int,\n\n  name text\n);\n\nSELECT 1;", ["ponds"]),
        ("a.kt", "data class Pond(val d: Int)\n\nfun main() {\n    a()\n\n    b()\n}", ["Pond", "main"]),
        ("a.yaml", "# c\nserver:\n  port: 1\n\n  host: x\n\ndb:\n  url: y", ["server", "db"]),
        ("a.toml", "[server]\nport = 1\n\nhost = 2\n\n[db]\nurl = 3", ["server", "db"]),
        ("a.py", "# one\rdef f():\r    pass\r\rdef g():\r    pass\r", ["f", "g"]),  # lines that end with CR alone
        ("tool", "#!/usr/bin/env python3\ndef f():\n    pass", ["f"]),  # no extension: the first line says
    ],
)
def test_definitions_of_many_languages_are_found_by_name(name: str, code: str, names: list[str]) -> None:
    found = parsed(code.encode(), name)
    assert found.text == code
    assert [path[1] for path in paths(found) if len(path) > 1][: len(names)] == names


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("a.sh", "# why\nif true; then\n" + "  echo one\n" * 80 + "fi\nf() {\n  ls\n}\n"),
        ("a.c", "/* why */\n#ifdef A\n" + "int a;\n" * 120 + "int f(void) { return 1; }\n#endif\n"),
        ("a.ts", "declare namespace N {\n" + "  const a: number;\n" * 60 + "}\n"),
        (
            "a.cpp",
            'extern "C" {\n'
            + "int a;\n" * 120
            + "}\nnamespace n {\n"
            + "int b;\n" * 120
            + "int g() { return 1; }\n}\n",
        ),
    ],
)
def test_what_holds_definitions_without_being_one_is_divided_without_overlap(name: str, code: str) -> None:
    found = parsed(code.encode(), name)
    assert len(found.blocks) > 1
    covered = " ".join(t for _, t in kinds(found))
    assert all(word in covered for word in code.split() if word.isalnum())


def test_code_with_mistakes_in_it_is_read_as_far_as_it_is_code() -> None:
    code = "class A(:\n    def f(self):\n        return 1\n\ndef g(x)\n    return 2\n\ndef h():\n\tpass\n"
    found = parsed(code.encode(), "a.py")
    assert found.text == code
    assert ("a.py", "h") in paths(found)
    covered = "".join(t for _, t in kinds(found))
    assert all(word in covered for word in code.split())


@given(
    st.text(alphabet="abc(){}[]:;=<>\"'#/*\\ \n\t@é", max_size=200),
    st.sampled_from(["a.py", "a.js", "a.cpp", "a.rb", "a.php"]),
)
def test_any_text_is_read_as_code_without_losing_a_word(text: str, name: str) -> None:
    if not text.strip():
        return
    found = parsed(text.encode(), name)
    covered = "".join(t for _, t in kinds(found))
    letters = [c for c in text if c in "abcé"]
    assert [c for c in covered if c in "abcé"] == letters


def test_a_long_paragraph_above_equals_signs_is_no_heading() -> None:
    text = "Front matter of a journal. " * 12 + "\n==== Body\n====\n\nShort\n=====\n"
    blocks = parse(text.encode(), "a.md")[1].blocks
    assert [block.heading_path for block in blocks if block.kind == "heading"] == [("Short",)]
