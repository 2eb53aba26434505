r"""Equations of Word and PowerPoint (OMML) and of web pages and books (MathML) -> LaTeX, as people and models read it.

An equation inside a sentence stands between `$`, one on a line of its own between `$$`. Characters that LaTeX
knows by name are named (`\pi`). Not covered: colours, sizes, alignment; what is unknown gives the text that it holds.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

_DEEPEST = 200
_NAMED = {
    **dict(
        zip(
            "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩϵϑϕϱϖ",
            "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi "
            "psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega epsilon vartheta phi varrho "
            "varpi".split(),
            strict=True,
        )
    ),
    **dict(
        zip(
            "∞∂∇±∓×÷·⋅∗∘∙≤≥≠≈≡∼≃≅∝≪≫→←↔⇒⇐⇔↦∈∉∋⊂⊃⊆⊇∪∩∅∀∃∄¬∧∨⊕⊗⊥∥∠∑∏∐∫∬∭∮∯∰⋃⋂⋀⋁…⋯⋮⋱′″ℏℓ√△†ℵ⟨⟩⌊⌋⌈⌉‖∖↑↓",
            "infty partial nabla pm mp times div cdot cdot ast circ bullet leq geq neq approx equiv sim simeq cong "
            "propto ll gg to leftarrow leftrightarrow Rightarrow Leftarrow Leftrightarrow mapsto in notin ni subset "
            "supset subseteq supseteq cup cap emptyset forall exists nexists neg wedge vee oplus otimes perp parallel "
            "angle sum prod coprod int iint iiint oint oiint oiiint bigcup bigcap bigwedge bigvee ldots cdots vdots "
            "ddots prime prime\\prime hbar ell sqrt triangle dagger aleph langle rangle lfloor rfloor lceil rceil | "
            "setminus uparrow downarrow".split(),
            strict=True,
        )
    ),
}
_FUNCTIONS = frozenset(
    "arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf limsup ln log max "
    "min Pr sec sin sinh sup tan tanh".split()
)
_ACCENTS = {
    "\u0300": "grave", "\u0301": "acute", "\u0302": "hat", "^": "hat", "ˆ": "hat", "\u0303": "tilde", "~": "tilde",
    "˜": "tilde", "\u0304": "bar", "\u0305": "overline", "¯": "bar", "‾": "overline", "_": "underline",
    "\u0306": "breve", "\u0307": "dot", "˙": "dot", "\u0308": "ddot", "¨": "ddot", "\u030c": "check", "ˇ": "check",
    "\u20d7": "vec", "→": "vec", "⏞": "overbrace", "⏟": "underbrace", "\u0332": "underline",
}  # fmt: skip
_SPACES = re.compile(r"\s+")
_PLAIN_TEX = re.compile(r"^\s*\{?\s*\\displaystyle\s*(.*?)\s*\}?\s*$", re.S)


def shown(latex: str, *, display: bool = False) -> str:
    """An equation as it stands in a text; "" for an empty one."""
    clean = _SPACES.sub(" ", latex).strip()
    if not clean:
        return ""
    return f"$${clean}$$" if display else f"${clean}$"


# --- OMML --------------------------------------------------------------------------------------

_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"


def omml(element: Any) -> str:
    """LaTeX of an `m:oMath` or of any part of it."""
    return _omml(element, 0)


def _omml(element: Any, depth: int) -> str:
    if depth > _DEEPEST:
        return "".join(element.itertext())
    tag = element.tag
    if not isinstance(tag, str) or not tag.startswith(_M):
        texts = (child.text or "" for child in element.iter() if _local(child) == "t")
        return _symbols("".join(texts))
    rule = _OMML.get(tag[len(_M) :])
    if rule is not None:
        return rule(_Node(element, depth))
    return _join(_omml(child, depth + 1) for child in element if not _is_properties(child))


class _Node:
    """An OMML structure: its parts by name as LaTeX, its properties by name."""

    def __init__(self, element: Any, depth: int) -> None:
        self.element = element
        self.depth = depth

    def part(self, name: str) -> str:
        found = self.element.find(_M + name)
        return "" if found is None else _omml(found, self.depth + 1)

    def parts(self, name: str) -> list[str]:
        return [_omml(found, self.depth + 1) for found in self.element.findall(_M + name)]

    def property(self, name: str, otherwise: str) -> str:
        """A property's value; `otherwise` where it is not said."""
        tag = self.element.tag
        found = self.element.find(f"{tag}Pr/{_M}{name}")
        value = None if found is None else found.get(f"{_M}val")
        return otherwise if value is None else str(value)


def _run(node: _Node) -> str:
    words = "".join(child.text or "" for child in node.element.findall(f"{_M}t"))
    if node.element.find(f"{_M}rPr/{_M}nor") is not None and words.strip() and not words.strip().isnumeric():
        return rf"\text{{{words}}}"
    return _symbols(words)


def _fraction(node: _Node) -> str:
    kind, above, below = node.property("type", "bar"), node.part("num"), node.part("den")
    if kind == "noBar":
        return rf"\binom{{{above}}}{{{below}}}"
    return f"{above}/{below}" if kind in ("lin", "skw") else rf"\frac{{{above}}}{{{below}}}"


def _radical(node: _Node) -> str:
    degree = node.part("deg")
    return rf"\sqrt{f'[{degree}]' if degree else ''}{{{node.part('e')}}}"


def _large(node: _Node) -> str:
    return _join((_symbols(node.property("chr", "∫")) + _scripts(node.part("sub"), node.part("sup")), node.part("e")))


def _fenced(node: _Node) -> str:
    inside = f" {_symbols(node.property('sepChr', '|'))} ".join(node.parts("e"))
    return _between(node.property("begChr", "("), inside, node.property("endChr", ")"))


def _matrix(node: _Node) -> str:
    rows = (_M_ROW.join(_omml(cell, node.depth + 2) for cell in row.findall(f"{_M}e")) for row in node.element)
    return _environment("matrix", [row for row in rows if row])


def _grouped(node: _Node) -> str:
    return _accented(node.property("chr", "⏟"), node.part("e"))


_M_ROW = " & "
_OMML: dict[str, Callable[[_Node], str]] = {
    "r": _run,
    "f": _fraction,
    "sSup": lambda n: _base(n.part("e")) + _scripts("", n.part("sup")),
    "sSub": lambda n: _base(n.part("e")) + _scripts(n.part("sub"), ""),
    "sSubSup": lambda n: _base(n.part("e")) + _scripts(n.part("sub"), n.part("sup")),
    "sPre": lambda n: "{}" + _scripts(n.part("sub"), n.part("sup")) + n.part("e"),
    "rad": _radical,
    "nary": _large,
    "d": _fenced,
    "func": lambda n: _join((_function(n.part("fName")), n.part("e"))),
    "limLow": lambda n: _function(n.part("e")) + _scripts(n.part("lim"), ""),
    "limUpp": lambda n: _function(n.part("e")) + _scripts("", n.part("lim")),
    "m": _matrix,
    "eqArr": lambda n: _environment("aligned", n.parts("e")),
    "acc": lambda n: _accented(n.property("chr", "\u0302"), n.part("e")),
    "bar": lambda n: _accented("_" if n.property("pos", "bot") == "bot" else "\u0305", n.part("e")),
    "groupChr": _grouped,
    "borderBox": lambda n: rf"\boxed{{{n.part('e')}}}",
}


def _is_properties(element: Any) -> bool:
    return isinstance(element.tag, str) and element.tag.endswith("Pr")


# --- MathML ------------------------------------------------------------------------------------


def mathml(element: Any) -> str:
    """LaTeX of a `<math>`: the author's own where it is beside it, else made of its elements."""
    for note in element.iter():
        if _local(note) == "annotation" and "tex" in (note.get("encoding") or "").lower() and note.text:
            return _unwrapped(note.text)
    if element.get("alttext") and "\\" in element.get("alttext"):
        return _unwrapped(element.get("alttext"))
    return _mathml(element, 0)


def _unwrapped(tex: str) -> str:
    inner = _PLAIN_TEX.match(tex)
    return inner.group(1) if inner else tex.strip()


def _mathml(element: Any, depth: int) -> str:
    if depth > _DEEPEST:
        return "".join(element.itertext())
    name = _local(element)
    if name in ("annotation", "annotation-xml", "mphantom"):
        return ""
    if name in ("mi", "mo", "mn", "ms"):
        return _word(_tidy(element))
    if name == "mtext":
        return rf"\text{{{_tidy(element)}}}" if _tidy(element) else ""
    parts = [_mathml(child, depth + 1) for child in element if isinstance(child.tag, str)]
    rule = _MATHML.get(name)
    if rule is not None and len(parts) >= rule[0]:
        return rule[1](parts)
    if name == "mfenced":
        return _between(element.get("open", "("), ", ".join(parts), element.get("close", ")"))
    if name in ("mtr", "mlabeledtr"):
        return _M_ROW.join(parts)
    if name == "mtable":
        return _environment("matrix", parts)
    return _join([_symbols(_tidy(element)) if not parts else "", *parts])


def _over(parts: list[str]) -> str:
    return _decorated(parts, lambda base, mark: base + _scripts("", mark))


def _under(parts: list[str]) -> str:
    return _decorated(parts, lambda base, mark: base + _scripts(mark, ""))


def _decorated(parts: list[str], otherwise: Callable[[str, str], str]) -> str:
    base, mark = parts[0], parts[1].strip()
    known = {r"\to": "→", "-": "¯", "―": "¯"}.get(mark, mark)
    return _accented(known, base) if known in _ACCENTS else otherwise(_function(base), mark)


_MATHML: dict[str, tuple[int, Callable[[list[str]], str]]] = {
    "mfrac": (2, lambda p: rf"\frac{{{p[0]}}}{{{p[1]}}}"),
    "msup": (2, lambda p: _base(p[0]) + _scripts("", p[1])),
    "msub": (2, lambda p: _base(p[0]) + _scripts(p[1], "")),
    "msubsup": (3, lambda p: _base(p[0]) + _scripts(p[1], p[2])),
    "munderover": (3, lambda p: _base(p[0]) + _scripts(p[1], p[2])),
    "munder": (2, _under),
    "mover": (2, _over),
    "msqrt": (1, lambda p: rf"\sqrt{{{_join(p)}}}"),
    "mroot": (2, lambda p: rf"\sqrt[{p[1]}]{{{p[0]}}}"),
}
"""Element -> (least number of parts, LaTeX of them)."""


# --- both --------------------------------------------------------------------------------------


def _join(parts: Iterable[str]) -> str:
    """Parts side by side; a space where a command would run into a letter."""
    whole = ""
    for part in parts:
        if part and whole and part[0].isalnum() and re.search(r"\\[A-Za-z]+$", whole):
            whole += " "
        whole += part
    return whole


def _symbols(text: str) -> str:
    """Characters as LaTeX writes them; the italic and bold alphabets of Unicode become plain letters."""
    parts = []
    for c in text:
        if c in _NAMED:
            parts.append(f"\\{_NAMED[c]}")
        elif ord(c) >= 0x1D400 or 0x2100 <= ord(c) <= 0x214F:
            parts.append(_symbols(plain) if (plain := unicodedata.normalize("NFKC", c)) != c else c)
        elif 0x2061 <= ord(c) <= 0x2064 or c == "\u200b":
            continue  # invisible operators
        else:
            parts.append("-" if c == "−" else rf"\{c}" if c in "%#&{}" else c)
    return _join(parts)


def _word(text: str) -> str:
    return rf"\{text}" if text in _FUNCTIONS else _symbols(text)


def _function(name: str) -> str:
    return re.sub(r"^[a-zA-Z]+", lambda m: f"\\{m.group()}" if m.group() in _FUNCTIONS else m.group(), name)


def _base(base: str) -> str:
    """What a script is put on: `{a+b}` where it is more than one thing."""
    return f"{{{base}}}" if re.search(r"[+\-=/ ](?![^{(]*[})])", base) and not base.startswith("\\left") else base


def _scripts(below: str, above: str) -> str:
    return (f"_{{{below}}}" if below else "") + (f"^{{{above}}}" if above else "")


def _between(left: str, inside: str, right: str) -> str:
    return rf"\left{_fence(left)} {inside} \right{_fence(right)}"


def _fence(mark: str) -> str:
    return _symbols(mark) if mark else "."


def _accented(mark: str, base: str) -> str:
    command = _ACCENTS.get(mark)
    return rf"\{command}{{{base}}}" if command else base + _symbols(mark)


def _environment(name: str, rows: list[str]) -> str:
    if len(rows) == 1 and "&" not in rows[0]:
        return rows[0]
    return rf"\begin{{{name}}} " + r" \\ ".join(rows) + rf" \end{{{name}}}"


def _tidy(element: Any) -> str:
    return " ".join("".join(element.itertext()).split())


def _local(element: Any) -> str:
    return element.tag.rsplit("}", 1)[-1] if isinstance(element.tag, str) else ""
