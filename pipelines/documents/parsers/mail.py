"""A message, however it was stored (EML, MSG) -> headers as text, the body, what is attached.

The plain text body is taken where it says as much as the HTML one. Every attachment is read by its own parser, and
stands under the heading `Attachment: NAME`; one that cannot be read is named with the reason. A message inside
follows under its own headers. Bounds: attachments in attachments a few levels deep, their number and their bytes.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from pipelines.documents.parsers import html, parse
from pipelines.documents.parsers.draft import Draft, Parsed, one_line, readable_name, storable
from pipelines.documents.parsers.plain import blocks_of
from pipelines.errors import DocumentError

_REPLY = re.compile(r"^(?:(?:re|fwd?|aw|wg|sv|tr)\s*(?:\[\d+\])?:\s*)+", re.I)
_MOST_ATTACHMENTS = 200
_MOST_BYTES = 256 * 1024 * 1024
_DEEPEST = 4
_HTML_FACTOR = 3
"""An HTML body with so many times the words of the plain one is the real one."""
_ARMOUR = re.compile(r"-----BEGIN PGP MESSAGE-----.*?(?:-----END PGP MESSAGE-----|\Z)", re.S)
_SIGNATURES = re.compile(r"(?:smime\.p7s|signature\.asc|\.p7s|\.sig)$", re.I)


@dataclass(frozen=True)
class Attachment:
    """A file in a message. `shown`: a picture that its body shows in place (a logo)."""

    name: str
    data: bytes
    shown: bool = False


@dataclass
class Message:
    """A message as its store has it."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    subject: str = ""
    plain: str = ""
    html: str = ""
    attachments: list[Attachment] = field(default_factory=list)
    messages: list["Message"] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    """What cannot be shown, and why."""


@dataclass
class _Budget:
    """What a message may still read of its attachments, those in attachments counted in."""

    attachments: int = _MOST_ATTACHMENTS
    bytes: int = _MOST_BYTES
    depth: int = 0


_BUDGET: ContextVar[_Budget | None] = ContextVar("budget", default=None)


def written(message: Message, name: str) -> Parsed:
    """The message as text; its title is the subject without `Re:` and `Fwd:`."""
    draft = Draft()
    with _deeper() as budget:
        _write(message, draft, budget, 0)
    if draft.is_empty:
        raise DocumentError("the message has neither headers nor a body")
    return draft.finish(_REPLY.sub("", message.subject) or readable_name(name))


@contextmanager
def _deeper() -> Iterator[_Budget]:
    """The budget of the outermost message, one level further down."""
    budget = _BUDGET.get() or _Budget()
    token = _BUDGET.set(budget)
    budget.depth += 1
    try:
        yield budget
    finally:
        budget.depth -= 1
        _BUDGET.reset(token)


def _write(message: Message, draft: Draft, budget: _Budget, depth: int) -> None:
    draft.leave(1)
    draft.add("paragraph", "\n".join(f"{name}: {value}" for name, value in message.headers if value))
    _write_body(message, draft)
    for remark in message.remarks:
        draft.add("paragraph", remark)
    for attachment in message.attachments:
        _write_attachment(attachment, draft, budget)
    draft.leave(1)
    for inner in message.messages:
        if depth < _DEEPEST:
            _write(inner, draft, budget, depth + 1)
        else:
            draft.add("paragraph", f"[A message not read: more than {_DEEPEST} lie inside each other] {inner.subject}")


def _write_body(message: Message, draft: Draft) -> None:
    page = _page(message.html)
    plain = storable(_ARMOUR.sub("[encrypted with PGP]", message.plain))
    if page is not None and (not plain.strip() or len(page.text) > _HTML_FACTOR * len(plain)):
        for block in page.blocks:
            kind = "paragraph" if block.kind == "heading" else block.kind
            draft.add(kind, page.text[block.start : block.end])
        return
    for block in blocks_of(plain):
        draft.add("list" if block.kind == "list" else "paragraph", plain[block.start : block.end])


def _page(words: str) -> Parsed | None:
    try:
        return html.parse_text(storable(words), "message.html") if words.strip() else None
    except DocumentError:
        return None  # tags around nothing


def _write_attachment(attachment: Attachment, draft: Draft, budget: _Budget) -> None:
    name = one_line(attachment.name) or "unnamed"
    if _SIGNATURES.search(name):
        return
    draft.leave(1)
    budget.attachments -= 1
    budget.bytes -= len(attachment.data)
    try:
        found = _read(attachment, name, budget)
    except DocumentError as exc:
        draft.add("paragraph", f"Attachment: {name} (not read: {exc})")
        return
    draft.heading(1, f"Attachment: {name}")
    draft.embed(found)


def _read(attachment: Attachment, name: str, budget: _Budget) -> Parsed:
    if attachment.shown:
        raise DocumentError("a picture that the message shows")
    if budget.depth > _DEEPEST:
        raise DocumentError(f"more than {_DEEPEST} messages lie inside each other")
    if budget.attachments < 0 or budget.bytes < 0:
        raise DocumentError(f"more than {_MOST_ATTACHMENTS} attachments, or {_MOST_BYTES} bytes of them")
    if not attachment.data.strip():
        raise DocumentError("empty")
    return parse(attachment.data, name)[1]
