r"""RTF -> headings, paragraphs, lists and tables; footnotes at the end, page headers and comments as notes.

RTF is a stream of control words and groups: `{\b bold}`. A group's state is forgotten at its end; groups that hold
no text of the page (fonts, pictures, settings) are passed over. Not covered: equations, tables inside cells.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name, superscript
from pipelines.errors import DocumentError

_TOKEN = re.compile(
    r"\\(?P<word>[A-Za-z]{1,32})(?P<number>-?\d{1,10})? ?|\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<symbol>[^A-Za-z])"
    r"|(?P<brace>[{}])|(?P<text>[^\\{}\r\n]+)|[\r\n]+",
    re.S,
)
_PASSED_OVER = frozenset(
    "colortbl pict objdata themedata colorschememapping datastore listtable listoverridetable rsidtbl generator "
    "latentstyles xmlnstbl sp nonshppict filetbl revtbl pgdsctbl mmathPr bkmkstart bkmkend falt panose author operator "
    "company creatim revtim printim keywords doccomm subject category manager hlinkbase atnid atnref atntime atnicn "
    "ftnsep ftnsepc aftnsep aftnsepc xe tc rxe template userprops wgrffmtfilter pgptbl tblstylestyle listpicture "
    "pnseclvl private oldcprops oldpprops oldsprops oldtprops datafield formfield".split()
)
_SHOWN_THOUGH_NEW = frozenset("shpinst shptxt pntext listtext fldinst atnauthor annotation nesttableprops".split())
"""Groups marked `\\*`, which older programs pass over, that hold text."""
_ASIDE = frozenset("header headerl headerr headerf footer footerl footerr footerf".split())
_CHARACTERS = {
    "tab": " ", "line": "\n", "lbr": "\n", "emdash": "—", "endash": "–", "bullet": "•", "lquote": "‘", "rquote": "’",
    "ldblquote": "“", "rdblquote": "”", "emspace": " ", "enspace": " ", "qmspace": " ",
}  # fmt: skip
_SYMBOLS = {"~": " ", "_": "-", "-": "", "\\": "\\", "{": "{", "}": "}", "\n": "", "\r": ""}
_CHARSETS = {
    77: "mac_roman", 128: "cp932", 129: "cp949", 134: "gbk", 136: "big5", 161: "cp1253", 162: "cp1254",
    163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip
_HEADING = re.compile(r"heading (\d)")
_TARGET = re.compile(r'HYPERLINK\s+(?:\\[a-z]\s+)*"([^"]+)"', re.I)
_DEEPEST = 10_000


@dataclass(frozen=True)
class State:
    """What holds inside a group."""

    kind: str = "body"
    """Where its text goes: body, "" (nowhere), style, title, font, aside, note, comment, field, label."""
    encoding: str = ""
    """Of the font in use; "": the document's."""
    fallbacks: int = 1
    """Characters after a Unicode one that stand in for it in old programs."""
    hidden: bool = False
    raised: bool = False


@dataclass
class Paragraph:
    """The paragraph that is being read."""

    style: int = 0
    level: int = 0
    in_table: bool = False
    list_id: int = 0
    depth: int = 0
    words: list[str] = field(default_factory=list)
    label: list[str] = field(default_factory=list)


class _Reader:
    """Goes through the tokens once."""

    def __init__(self, text: str) -> None:
        self.draft = Draft()
        self.title = ""
        self._text = text
        self._encoding = "cp1252"
        self._stack: list[State] = []
        self._state = State()
        self._paragraph = Paragraph()
        self._held: dict[str, list[str]] = {}
        """Text of groups that is used when they end."""
        self._bytes = bytearray()
        self._skip = 0
        self._fonts: dict[int, str] = {}
        self._font = 0
        self._styles: dict[int, str] = {}
        self._style = 0
        self._starred = False
        self._items: list[str] = []
        self._cells: list[str] = []
        self._rows: list[list[str]] = []
        self._notes: list[str] = []
        self._author = ""
        self._titled = False

    def read(self) -> None:
        """Write the whole document."""
        at = 0
        while at < len(self._text):
            token = _TOKEN.match(self._text, at)
            if token is None:
                at += 1
                continue
            at = token.end()
            kind = token.lastgroup
            if kind == "number" or kind == "word":
                word, number = token["word"], token["number"]
                if word == "bin":
                    at += max(0, int(number or 0))
                    continue
                self._flush_bytes()
                self._control(word, None if number is None else int(number))
            elif kind == "hex":
                if self._skip:
                    self._skip -= 1
                else:
                    self._bytes.append(int(token["hex"], 16))
            elif kind == "brace":
                self._flush_bytes()
                self._open() if token["brace"] == "{" else self._close()
            elif kind == "symbol":
                self._flush_bytes()
                if token["symbol"] == "*":
                    self._starred = True
                elif token["symbol"] in _SYMBOLS:
                    self._put(_SYMBOLS[token["symbol"]])
            elif kind == "text" and token["text"].isascii():
                self._flush_bytes()
                self._put(token["text"])
            elif kind == "text":  # bytes above 127, which should have been escaped
                self._bytes += token["text"].encode("latin-1")
        self._flush_bytes()
        self._end_paragraph()
        self._end_table()
        self._end_list()
        self.draft.add("paragraph", "\n".join(self._notes))

    # --- groups --------------------------------------------------------------------------------

    def _open(self) -> None:
        if len(self._stack) > _DEEPEST:
            raise DocumentError("nested too deeply")
        self._stack.append(self._state)
        self._skip = 0
        self._starred = False

    def _close(self) -> None:
        ended = self._state
        self._state = self._stack.pop() if self._stack else State()
        self._skip = 0
        if ended.kind == self._state.kind or ended.kind not in self._held:
            return
        held = "".join(self._held.pop(ended.kind))
        words = one_line(held)
        if ended.kind == "title":
            self.title = words
        elif ended.kind == "aside":
            self.draft.put_aside("" if re.fullmatch(r"[\d\s/–-]*", words) else words)
        elif ended.kind == "author":
            self._author = words
        elif ended.kind == "comment":
            self.draft.put_aside(f"[Comment{f' by {self._author}' if self._author else ''}] {words}" if words else "")
            self._author = ""
        elif ended.kind == "note":
            self._notes.append(f"[{len(self._notes) + 1}] {words}")
            self._paragraph.words.append(f"[{len(self._notes)}]")
        elif ended.kind == "field" and (target := _TARGET.search(held)):
            self.draft.link("", target.group(1))
        elif ended.kind == "style":
            self._styles[self._style] = words.rstrip(";").strip().lower()

    def _enter(self, kind: str) -> None:
        if self._state.kind:  # what stands in a group that is passed over is passed over too
            self._state = replace(self._state, kind=kind)
            if kind not in ("", "body", "label", "font"):
                self._held.setdefault(kind, [])

    # --- control words -------------------------------------------------------------------------

    def _control(self, word: str, number: int | None) -> None:
        starred, self._starred = self._starred, False
        if word in _PASSED_OVER or (starred and word not in _SHOWN_THOUGH_NEW and word not in _DESTINATIONS):
            self._enter("")
        elif word in _DESTINATIONS:
            self._enter(_DESTINATIONS[word])
        elif word in _ASIDE:
            self._enter("aside")
        elif word in _CHARACTERS:
            self._put(_CHARACTERS[word])
        elif word == "u" and number is not None:
            self._put(chr(number % 0x10000))
            self._skip = self._state.fallbacks
        elif word in _ACTIONS:
            _ACTIONS[word](self, 1 if number is None else number)

    def _set_font(self, number: int) -> None:
        self._font = number
        if self._state.kind != "font":
            self._state = replace(self._state, encoding=self._fonts.get(number, ""))

    def _set_charset(self, number: int) -> None:
        if self._state.kind == "font":
            self._fonts[self._font] = _CHARSETS.get(number, "")

    def _set_style(self, number: int) -> None:
        if self._state.kind == "styles":
            self._style = number
            self._enter("style")
        else:
            self._paragraph.style = number

    def _set_encoding(self, number: int) -> None:
        self._encoding = f"cp{number}" if 0 < number < 65001 else "cp1252"

    def _reset(self, number: int) -> None:
        fresh = Paragraph(words=self._paragraph.words, label=self._paragraph.label)
        self._paragraph = fresh

    # --- text ----------------------------------------------------------------------------------

    def _flush_bytes(self) -> None:
        if self._bytes:
            raw, self._bytes = bytes(self._bytes), bytearray()
            try:
                self._put(raw.decode(self._state.encoding or self._encoding, "replace"))
            except LookupError:
                self._put(raw.decode("cp1252", "replace"))

    def _put(self, text: str) -> None:
        if self._skip:
            taken = min(self._skip, len(text))
            text, self._skip = text[taken:], self._skip - taken
        if not text or self._state.hidden:
            return
        kind = self._state.kind
        if kind == "body":
            self._paragraph.words.append(superscript(text) if self._state.raised else text)
        elif kind == "label":
            self._paragraph.label.append(text)
        elif kind in self._held:
            self._held[kind].append(text)

    def _end_paragraph(self, number: int = 1) -> None:
        if self._state.kind != "body":
            self._put("\n")
            return
        done = self._paragraph
        if done.in_table:  # a cell of several paragraphs
            done.words.append(" ")
            return
        joined = _paired("".join(done.words))
        words = "\n".join(one_line(line) for line in joined.split("\n")).strip()
        label = one_line("".join(done.label)).replace("\ufffd", "")
        self._paragraph = replace(done, words=[], label=[])
        self._end_table()
        style = self._styles.get(done.style, "")
        heading = _HEADING.match(style)
        level = int(heading.group(1)) if heading else done.level
        if (done.list_id or label) and not level and words:
            mark = label if any(map(str.isalnum, label)) else "-"
            self._items.append("  " * min(done.depth, 8) + f"{mark} {one_line(words)}")
            return
        self._end_list()
        if style == "title" or level:
            shift = int("title" in self._styles.values() and self._titled)
            self.draft.heading(1 if style == "title" else level + shift, f"{label} {words}".strip())
            self._titled = self._titled or style == "title"
        else:
            self.draft.add("paragraph", words)

    def _end_cell(self, number: int) -> None:
        if self._state.kind == "body":
            self._end_list()
            self._cells.append(one_line(_paired("".join(self._paragraph.words))))
            self._paragraph.words = []
            self._paragraph.label = []

    def _end_row(self, number: int) -> None:
        if self._state.kind == "body":
            self._rows.append(self._cells)
            self._cells = []

    def _end_table(self) -> None:
        if self._rows or self._cells:
            self._end_list()
            self.draft.table([*self._rows, self._cells])
            self._rows, self._cells = [], []

    def _end_list(self) -> None:
        self.draft.add("list", "\n".join(self._items))
        self._items.clear()


def _paired(text: str) -> str:
    """Characters beyond 16 bits, which RTF writes as two halves, in one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


_DESTINATIONS = {
    "fonttbl": "font",
    "stylesheet": "styles",
    "info": "info",
    "title": "title",
    "footnote": "note",
    "annotation": "comment",
    "atnauthor": "author",
    "fldinst": "field",
    "listtext": "label",
    "pntext": "label",
}
_ACTIONS: dict[str, Callable[[_Reader, int], None]] = {
    "par": _Reader._end_paragraph,
    "sect": _Reader._end_paragraph,
    "cell": _Reader._end_cell,
    "row": _Reader._end_row,
    "pard": _Reader._reset,
    "s": _Reader._set_style,
    "f": _Reader._set_font,
    "fcharset": _Reader._set_charset,
    "ansicpg": _Reader._set_encoding,
    "intbl": lambda r, n: setattr(r._paragraph, "in_table", bool(n)),
    "outlinelevel": lambda r, n: setattr(r._paragraph, "level", n + 1 if 0 <= n < 9 else 0),
    "ls": lambda r, n: setattr(r._paragraph, "list_id", n),
    "ilvl": lambda r, n: setattr(r._paragraph, "depth", max(n, 0)),
    "uc": lambda r, n: setattr(r, "_state", replace(r._state, fallbacks=max(0, min(n, 10)))),
    "v": lambda r, n: setattr(r, "_state", replace(r._state, hidden=bool(n))),
    "super": lambda r, n: setattr(r, "_state", replace(r._state, raised=bool(n))),
    "nosupersub": lambda r, n: setattr(r, "_state", replace(r._state, raised=False)),
    "deleted": lambda r, n: setattr(r, "_state", replace(r._state, hidden=bool(n))),
}


def parse(data: bytes, name: str) -> Parsed:
    """The document's text; its title is its first heading or that of its properties."""
    reader = _Reader(data.decode("latin-1"))
    reader.read()
    if reader.draft.is_empty:
        raise DocumentError("the document holds no text")
    return reader.draft.finish(reader.draft.first_heading or reader.title or readable_name(name))
