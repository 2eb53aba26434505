"""Passages that recur over documents: disclaimers, licence headers, footers, banners, navigation that survived.

A passage is boilerplate in a folder (with all below it, one media type, one audience) when
(1) `documents` of them begin or end with it, and it looks like boilerplate (_LOOKS, or a long menu), or
(2) three times as many of them and a `share` of all do so, and it holds no figure and is no table: what half of a
folder's documents say alike is about none of them.
Years do not count in a comparison, nor do case and spaces. Wherever such a passage stands in the documents of the
folder, its block becomes a note; it stays in Document.text.
Invariants: the first document (by uri) of every such folder keeps it, so nothing vanishes from search; a document
never loses all that it says; a decision depends on the documents alone, not on the order in which they came.
Not covered: passages that differ in a word; a footer that shares a line with the text.
"""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Block = Mapping[str, Any]

EDGE = 5
"""Passages at a document's beginning, and at its end, that count as its edges."""
_PLAIN_FACTOR = 3
_SHORTEST, _SHORTEST_PLAIN, _LONGEST = 8, 25, 30_000
"""Characters; a short line that recurs may be a heading that was not recognised."""
_MENU_ITEMS, _MENU_ITEM_CHARACTERS = 12, 40
"""A list of so many items of such a mean length is a menu, when it recurs."""
_DEEPEST = 32
"""Folders in folders: what lies deeper is counted with the folder at this depth."""
_LOOKING, _PLAIN = 1, 2
"""Bits of a passage's hash: it may be boilerplate by rule 1, by rule 2."""
_YEARS = re.compile(r"(?:19|20)\d\d(?:\s*[-–]\s*(?:(?:19|20)\d\d|present|heute))?")
_FIGURE = re.compile(r"\d")
_CUES = (
    "©", "(c)", "copyright", "reserv", "spdx", "licen", "permission is hereby", "warrant", "generated",
    "do not edit", "cookie", "subscribe", "privacy", "terms", "skip to", "back to top", "follow us", "sign up",
    "confiden", "disclaimer", "intended", "delete th", "environment", "sent from my", "virus", "registered", "company",
    "vat ", "vorbehalten", "vertraulich", "impressum", "datenschutz", "abbestellen", "amtsgericht", "handelsregister",
    "geschäftsführer", "droits", "désabonner", "mentions", "derechos", "darse de baja", "diritti", "riservat",
    "annulla l", "rechten", "vertrouwelijk", "afmelden", "direitos", "prawa",
)  # fmt: skip
"""One of them is in every passage that _LOOKS matches; most documents hold none, which takes microseconds to see."""
_LOOKS = re.compile(
    r"©|\(c\)\s|\bcopyright\b|\ball rights reserved\b|\bspdx-license|"
    r"\blicen[cs]ed? (?:under|terms|agreement|file|header)|\bpermission is hereby granted\b|"
    r"\b(?:without|as is\b.{0,40}) warrant|\bauto(?:matically|-)? ?generated\b|\bdo not edit\b|\bcookies?\b|"
    r"\bunsubscribe\b|\bprivacy (?:policy|notice|settings)\b|\bterms (?:of use|of service|and conditions)\b|"
    r"\bskip to (?:main )?(?:content|navigation)\b|\bback to top\b|\bfollow us\b|\bsign up for\b|\bsubscribe to\b|"
    r"\bconfidential\b|\bdisclaimer\b|\bintended (?:(?:solely |only )?for|recipient)|"
    r"\bdelete th(?:is|e) (?:e-?)?mail\b|\bconsider the environment\b|\bsent from my\b|"
    r"\bvirus(?:es)?\b.{0,80}\b(?:e-?mail|attachment)|\bregistered (?:office|in)\b|"
    r"\bcompany (?:no|number|registration)\b|\bvat (?:no|reg|number)|"
    r"\balle rechte vorbehalten\b|\bvertraulich\b|\bimpressum\b|\bdatenschutz|\babbestellen\b|\bamtsgericht\b|"
    r"\bhandelsregister\b|\bgeschäftsführer\b|\btous droits réservés\b|\bconfidentiel|\bdésabonner\b|"
    r"\bmentions légales\b|\btodos los derechos\b|\bconfidencial|\bdarse de baja\b|\btutti i diritti riservati\b|"
    r"\briservat[oe]\b|\bannulla l'iscrizione\b|\balle rechten voorbehouden\b|\bvertrouwelijk\b|\bafmelden\b|"
    r"\btodos os direitos\b|\bwszelkie prawa zastrzeżone\b"
)
_COMMENT = re.compile(
    r"\A(?:#!.*(?:\r\n|\n|\r))?(?:/\*[\s\S]*?\*/|<!--[\s\S]*?-->|"
    r"(?:[ \t]*+(?://|#|--|;|%|\.\.)(?!include|define|if|pragma).*(?:\r\n|\n|\r|\Z))+)"
)
_EMPTY_COMMENT = re.compile(r"(?:\r\n|\n|\r)[ \t]*+(?:\*|//++|#++|--|;++|%++|\.\.)?+[ \t]*+(?=\r\n|\n|\r)")
_SIGNATURE = re.compile(r"(?:\r\n|\n|\r)(?=--[ \t]*(?:\r\n|\n|\r))")


@dataclass(frozen=True)
class Passage:
    """What is marked or not: a block, or a paragraph of the comment that code begins with, or a mail's signature."""

    block: int
    start: int
    end: int


@dataclass(frozen=True)
class Found:
    """A passage that is boilerplate in a folder. `first`: index of the document that keeps it."""

    hash: int
    folder: str
    documents: int
    of: int
    first: int


# --- one document ------------------------------------------------------------------------------


def passages(text: str, blocks: Sequence[Block]) -> list[Passage]:
    """The passages of a document in order; headings and notes are none."""
    found: list[Passage] = []
    for number, block in enumerate(blocks):
        if block["kind"] not in ("heading", "note"):
            cuts = _cuts(text, block, first=not found)
            found += [Passage(number, *span) for span in cuts]
    return found


def hashes(text: str, blocks: Sequence[Block]) -> list[int]:
    """A 64-bit hash of each passage, with the rules that it may fall under in its last bits; 0: none."""
    folded = " ".join(text.casefold().split())
    cues = [cue for cue in _CUES if cue in folded]
    return [_hash(text[p.start : p.end], str(blocks[p.block]["kind"]), cues) for p in passages(text, blocks)]


def marked(text: str, blocks: Sequence[Block], marks: Sequence[int]) -> list[dict[str, Any]]:
    """The blocks with the passages at these positions as notes of their own."""
    every = passages(text, blocks)
    notes = {every[mark] for mark in marks}
    of_block = {number: list(own) for number, own in itertools.groupby(every, lambda passage: passage.block)}
    made: list[dict[str, Any]] = []
    for number, block in enumerate(blocks):
        own = of_block.get(number, [])
        if not notes.intersection(own):
            made.append(dict(block))
            continue
        for is_note, run in itertools.groupby(own, notes.__contains__):
            first, *rest = run
            last = rest[-1] if rest else first
            made.append({**block, "start": first.start, "end": last.end, **({"kind": "note"} if is_note else {})})
    return made


def shown(text: str, blocks: Sequence[Block], mark: int) -> str:
    """The passage at a position."""
    passage = passages(text, blocks)[mark]
    return text[passage.start : passage.end]


def _cuts(text: str, block: Block, *, first: bool) -> Iterator[tuple[int, int]]:
    start, end = block["start"], block["end"]
    cuts: list[int] = []
    if block["kind"] == "code" and first and (comment := _COMMENT.match(text[start:end])):
        body = start + comment.end()
        cuts = [*(empty.end() for empty in _EMPTY_COMMENT.finditer(text, start, body)), body]
    elif block["kind"] in ("paragraph", "list") and (delimiter := _SIGNATURE.search(text, start, end)):
        cuts = [delimiter.end()]
    for a, b in itertools.pairwise((start, *cuts, end)):
        piece = text[a:b]
        if piece.strip():
            yield a + len(piece) - len(piece.lstrip()), a + len(piece.rstrip())


def _hash(passage: str, kind: str, cues: Sequence[str]) -> int:
    if not _SHORTEST <= len(passage) <= _LONGEST or kind == "table":
        return 0
    words = " ".join(passage.casefold().split())
    looks = any(cue in words for cue in cues) and _LOOKS.search(words)
    flags = _LOOKING if looks or (kind == "list" and _is_menu(passage)) else 0
    if kind in ("paragraph", "list") and len(words) >= _SHORTEST_PLAIN and not _FIGURE.search(words):
        flags |= _PLAIN
    if not flags:
        return 0
    digest = hashlib.blake2b(_YEARS.sub("0", words).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") & ~(_LOOKING | _PLAIN) | flags


def _is_menu(passage: str) -> bool:
    lines = passage.splitlines()
    return len(lines) >= _MENU_ITEMS and len(passage) <= len(lines) * _MENU_ITEM_CHARACTERS


# --- all documents -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Occurrences:
    """Every passage of every document, flat. `document`: its index, ascending; `position`: in its document."""

    document: Ints
    position: Ints
    hash: Hashes

    @classmethod
    def of(cls, lengths: Ints, values: Hashes) -> "Occurrences":
        """From passages a document (int64 [n]) and all their hashes in order (uint64 [sum])."""
        ends = np.cumsum(lengths)
        document = np.repeat(np.arange(len(lengths)), lengths)
        return cls(document, np.arange(len(values)) - np.repeat(ends - lengths, lengths), values)


def decide(
    lengths: Ints,
    values: Hashes,
    folders: Sequence[str],
    kinds: Ints,
    counted: npt.NDArray[np.bool_],
    *,
    documents: int,
    share: float,
) -> tuple[dict[int, list[int]], list[Found]]:
    """Index of a document -> positions of its passages that are boilerplate; and what was found, by hash and folder.

    `folders`: of each document (sorted by uri), "" is the top. `kinds`: int64 [n], what is compared with what
    (media type and audience). `counted`: False for repeats and older versions, which say nothing new.
    """
    every = Occurrences.of(lengths, values)
    if not documents:
        return {}, []
    at_edge = (every.position < EDGE) | (every.position >= np.repeat(lengths, lengths) - EDGE)
    likely = _frequent(every, counted, documents)
    chosen = np.flatnonzero(likely)
    if not len(chosen):
        return {}, []
    at = _Places.of(folders)
    document, hashed = every.document[chosen], every.hash[chosen]
    to_mark, open = np.zeros(len(chosen), dtype=bool), np.ones(len(chosen), dtype=bool)
    found: list[Found] = []
    for depth in range(at.depth + 1):
        scope = at.at_depth(depth) * (int(kinds.max()) + 1) + kinds
        scopes, which_scope = np.unique(scope, return_inverse=True)
        sizes = np.bincount(which_scope[counted], minlength=len(scopes))
        for group in _groups(np.where(open, scope[document], -1), hashed):
            members = document[group]
            scored = np.unique(members[counted[members]])
            edges = np.unique(members[counted[members] & at_edge[chosen[group]]])
            size = int(sizes[which_scope[members[0]]])
            which = int(hashed[group[0]])
            if _is_boilerplate(which, len(edges), size, documents=documents, share=share):
                first = int(scored[0])
                to_mark[group[members != first]] = True
                open[group] = False  # a folder further down adds nothing
                found.append(Found(which, at.name(first, depth), len(scored), size, first))
    return _spared(every, chosen[to_mark], lengths), sorted(found, key=lambda f: (f.first, f.hash))


def _frequent(every: Occurrences, counted: npt.NDArray[np.bool_], documents: int) -> npt.NDArray[np.bool_]:
    """Occurrences whose hash stands in enough documents for a closer look."""
    usable = np.flatnonzero((every.hash != 0) & counted[every.document])
    values, which = np.unique(every.hash[usable], return_inverse=True)
    pairs = np.unique(which.astype(np.int64) * (int(every.document.max(initial=0)) + 1) + every.document[usable])
    in_documents = np.bincount(pairs // (int(every.document.max(initial=0)) + 1), minlength=len(values))
    frequent: npt.NDArray[np.bool_] = np.isin(every.hash, values[in_documents >= documents]) & (every.hash != 0)
    return frequent


def _groups(scope: Ints, hashed: Hashes) -> Iterator[Ints]:
    """Positions with the same scope (negative: none) and hash, each group ascending."""
    order = np.lexsort((np.arange(len(scope)), hashed, scope))
    order = order[scope[order] >= 0]
    if not len(order):
        return
    differs = (np.diff(scope[order]) != 0) | (hashed[order][1:] != hashed[order][:-1])
    yield from np.split(order, np.flatnonzero(differs) + 1)


def _is_boilerplate(hashed: int, edges: int, size: int, *, documents: int, share: float) -> bool:
    if hashed & _LOOKING and edges >= documents:
        return True
    return bool(hashed & _PLAIN) and edges >= max(_PLAIN_FACTOR * documents, share * size)


def _spared(every: Occurrences, marks: Ints, lengths: Ints) -> dict[int, list[int]]:
    """Marks by document, left out where they would be all that it says."""
    found: dict[int, list[int]] = {}
    for at in marks.tolist():
        found.setdefault(int(every.document[at]), []).append(int(every.position[at]))
    return {index: positions for index, positions in found.items() if len(positions) < lengths[index]}


@dataclass(frozen=True)
class _Places:
    """Folders as numbers. `ids`: int64 [folders, depth + 1], the ancestor at each depth, -1 below the folder itself."""

    of_document: Ints
    ids: Ints
    names: Sequence[str]

    @classmethod
    def of(cls, folders: Sequence[str]) -> "_Places":
        own, of_document = np.unique(np.asarray(folders, dtype=object).astype(str), return_inverse=True)
        numbers: dict[str, int] = {"": 0}
        rows = []
        for folder in own.tolist():
            parts = folder.split("/")[:_DEEPEST] if folder else []
            paths = ["", *("/".join(parts[: i + 1]) for i in range(len(parts)))]
            rows.append([numbers.setdefault(path, len(numbers)) for path in paths])
        ids = np.full((len(rows), max(map(len, rows))), -1, dtype=np.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row)] = row
        return cls(of_document.astype(np.int64), ids, list(numbers))

    @property
    def depth(self) -> int:
        return int(self.ids.shape[1]) - 1

    def at_depth(self, depth: int) -> Ints:
        """Each document's folder at a depth; hugely negative where it lies higher."""
        found = self.ids[self.of_document, depth]
        return np.where(found < 0, np.int64(-(2**40)), found)

    def name(self, document: int, depth: int) -> str:
        return self.names[int(self.ids[self.of_document[document], depth])]
