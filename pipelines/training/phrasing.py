"""Sentences, labelled values and table rows -> questions with the span of their answer.

Invariant: `document.text[made.start:made.end] == made.answer`, inside the chunk.
Limits: English; a sentence becomes a question only when it begins with its subject and its first
auxiliary verb is the main one, else a gap is left in it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.contracts import Block, Chunk, Document

MONTHS = "January|February|March|April|May|June|July|August|September|October|November|December"
UNITS = (
    "days?|weeks?|months?|years?|hours?|minutes?|seconds?|per cent|percent|%|km|cm|mm|metres?|meters?|miles?|kg|"
    "litres?|ml|mg/l|volts?|V|people|employees|members|times|points|pages|steps|copies|GB|MB|kB"
)
DATE = rf"(?:\d{{1,2}} (?:{MONTHS})(?: \d{{4}})?|(?:{MONTHS}) \d{{4}}\b|(?:{MONTHS}) \d{{1,2}}\b(?:, \d{{4}})?)"
NUMBER = r"\d+(?:[.,]\d+)*"
VALUES: tuple[tuple[str, str], ...] = (
    ("How much", rf"[£$€] ?{NUMBER}(?: (?:million|billion)|(?:m|bn|k)\b)?"),
    ("When", rf"(?:(?:on|by|before|after|since|from|until|in) )?(?:{DATE}|(?:1[5-9]|20)\d{{2}}\b)"),
    ("How often", rf"every (?:{NUMBER} |two |three |four |six |twelve )?(?:days?|weeks?|months?|years?|hours?)"),
    (
        "How long",
        rf"(?:for|within|after|up to) {NUMBER} (?:(?:working|calendar|business) )?"
        r"(?:days?|weeks?|months?|years?|hours?|minutes?|seconds?)",
    ),
    ("How many", rf"{NUMBER} (?:{UNITS})"),
)
"""Question word, and the form of the value it asks for, most telling first."""
NAME = re.compile(r"(?:[A-Z][\w'-]+(?: (?:of|the|de|and) (?=[A-Z]))? ?){1,4}(?<! )")
CODE = re.compile(r"\b[A-Z]{1,4}-?\d{1,5}\b")
YEAR = re.compile(r"\b(?:1[5-9]|20)\d{2}\b")
AUXILIARY = re.compile(r"\b(is|are|was|were|can|must|may|should|will|has|have|had)\b")
SENTENCE = re.compile(r"[A-Z0-9][^\n|]*?[.!?](?=\s|$)")
LABELLED = re.compile(r"^[-*• ]*([A-Z][\w ()/'-]{2,40}): +([^\n|]{1,90}?)\.?$", re.M)
POINTS_BACK = re.compile(
    r"^(?:it|its|they|their|this|that|these|those|he|she|his|her|we|you|there|here|such|both)\b", re.I
)


OPENERS = frozenset(
    {"The", "A", "An", "In", "On", "At", "By", "For", "From", "With", "After", "Before", "Since", "During"}
    | {
        "While",
        "When",
        "As",
        "If",
        "Although",
        "Then",
        "Most",
        "Some",
        "Many",
        "All",
        "No",
        "Nothing",
        "Nobody",
        "None",
    }
)
"""Capitalised at the start of a sentence without being a name."""
COMMON_VERBS = "became|began|led|won|made|took|gave|went|held|sold|built|wrote|ran|sets?|needs?|costs?|takes?|uses?"


@dataclass(frozen=True)
class Made:
    """A question and where its answer stands in `Document.text`."""

    question: str
    answer: str
    start: int
    end: int
    kind: str
    """table, value, sentence or gap: becomes the question's slice."""


def questions_of_table(document: Document, chunk: Chunk) -> Iterator[Made]:
    """ "What is the COLUMN of ROW?" for the cells of tables in the chunk, header rows from the table's start."""
    for block in document.blocks:
        if block.kind == "table" and block.start < chunk.end and block.end > chunk.start:
            yield from _of_table(document, chunk, block)


def questions_of_values(document: Document, chunk: Chunk) -> Iterator[Made]:
    """ "What is the LABEL of TITLE?" for lines such as `Delivery time: 3 days`."""
    about = _about(document, chunk)
    for found in LABELLED.finditer(document.text, chunk.start, chunk.end):
        label, (start, end) = found.group(1).strip(), found.span(2)
        yield Made(
            f"What is the {_lower_label(label)} given for {about}?", document.text[start:end], start, end, "value"
        )


def questions_of_sentence(document: Document, chunk: Chunk) -> Iterator[Made]:
    """Sentences with a figure, a date or a name, turned into a question or given a gap."""
    for found in SENTENCE.finditer(document.text, chunk.start, chunk.end):
        sentence = " ".join(found.group().split())
        if sentence == found.group() and 6 <= len(sentence.split()) <= 35 and not POINTS_BACK.match(sentence):
            at = found.start()
            made = _turned(sentence, at) or _subject_asked(sentence, at) or _with_a_gap(sentence, at)
            if made is not None:
                yield made


def named_things(question: str) -> Iterator[tuple[int, int, str]]:
    """Spans of codes, years and names (not the first word) in a question, with their kind; none beside a gap."""
    for kind, pattern in (("code", CODE), ("year", YEAR), ("name", NAME)):
        for found in pattern.finditer(question):
            if found.start() > 0 and "____" not in question:
                yield found.start(), found.end(), kind


def _of_table(document: Document, chunk: Chunk, block: Block) -> Iterator[Made]:
    rows = [row for row in _rows(document.text, block) if not all(re.fullmatch(r":?-*:?", cell[0]) for cell in row)]
    if len(rows) < 2:
        return
    header = [cell[0] for cell in rows[0]]
    names = [row[0][0] for row in rows[1:] if row]
    for row in rows[1:]:
        if len(row) != len(header) or names.count(row[0][0]) > 1 or not row[0][0]:
            continue
        for column, (cell, start, end) in enumerate(row):
            if column and cell and re.search("[A-Za-z]", header[column]) and chunk.start <= start and end <= chunk.end:
                question = f"What is the {_lower_label(header[column])} of {row[0][0]} in {document.title}?"
                yield Made(question, cell, start, end, "table")


def _rows(text: str, block: Block) -> Iterator[list[tuple[str, int, int]]]:
    """Rows of a table block as cells with their spans in the document."""
    start = block.start
    for line in text[block.start : block.end].split("\n"):
        cells, at = [], start
        for piece in line.split("|"):
            inner = piece.strip()
            first = at + (len(piece) - len(piece.lstrip()) if inner else 0)
            cells.append((inner, first, first + len(inner)))
            at += len(piece) + 1
        if line.strip().startswith("|"):
            cells = cells[1:-1] if line.rstrip().endswith("|") else cells[1:]
        if len(cells) > 1:
            yield cells
        start += len(line) + 1


def _turned(sentence: str, at: int) -> Made | None:
    """ "The lamp must be changed every 6 months." -> "How often must the lamp be changed?"."""
    verb = AUXILIARY.search(sentence)
    if verb is None:
        return None
    subject, rest = sentence[: verb.start()].strip(), sentence[verb.end() :]
    if not 1 <= len(subject.split()) <= 8 or re.search(r"[,;:()]", subject) or rest.startswith("n't"):
        return None
    for word, pattern in VALUES:
        value = re.fullmatch(rf"((?: [^,;:]*?)??) ({pattern})[.!]", rest)
        if value and re.search(r"\b(?:between|and|or|of|than|to)$", value.group(1)):
            continue  # half of a range or of a pair
        if value:
            start = at + verb.end() + value.start(2)
            question = _inverted(word, verb.group(), subject, value.group(1), value.group(2))
            return Made(question, value.group(2), start, start + len(value.group(2)), "sentence")
    return None


def _inverted(word: str, verb: str, subject: str, middle: str, value: str) -> str:
    """Question word, auxiliary, subject, rest; the unit of a number goes to the question word."""
    if word == "How many":
        unit = re.sub(rf"^{NUMBER} ?", "", value)
        word = f"How many {unit}" if unit.isalpha() else "What percentage"
    return f"{word} {verb} {_lower_article(subject)}{middle.rstrip()}?"


def _subject_asked(sentence: str, at: int) -> Made | None:
    """ "Mario Addison added 6 sacks." -> "Who or what added 6 sacks?"; the name must be the whole subject."""
    named = NAME.match(sentence)
    if named is None or named.group().split()[0] in OPENERS:
        return None
    rest = sentence[named.end() :]
    if not re.match(rf" (?:[a-z]+ed|{AUXILIARY.pattern}|{COMMON_VERBS})\b", rest):
        return None
    clause = re.split(r"[;,(]", rest.rstrip(".!"))[0]
    if len(clause.split()) < 4:
        return None
    return Made(f"Who or what{clause}?", named.group(), at, at + named.end(), "sentence")


def _with_a_gap(sentence: str, at: int) -> Made | None:
    """The clause that holds the sentence's most telling value, or its last name, with that left out."""
    for _, pattern in VALUES:
        if value := re.search(pattern, sentence):
            return _gap(sentence, value.start(), value.end(), at)
    names = [found for found in NAME.finditer(sentence) if found.start() > 0]
    return _gap(sentence, names[-1].start(), names[-1].end(), at) if names else None


def _gap(sentence: str, start: int, end: int, at: int) -> Made | None:
    """None when the clause around the gap is too short to tell what is asked."""
    before = re.split(r"[;:(] ?|, ", sentence[:start])[-1]
    after = re.split(r"[;:)]|, ", sentence[end:].rstrip(".!"))[0]
    if len(f"{before} {after}".split()) < 5:
        return None
    return Made(f"What completes this: {before}____{after}?", sentence[start:end], at + start, at + end, "gap")


def _about(document: Document, chunk: Chunk) -> str:
    inner = [part for part in chunk.heading_path if part != document.title]
    return f"{inner[-1]} in {document.title}" if inner else document.title


def _lower_article(subject: str) -> str:
    """A subject within a question: "The lamp" -> "the lamp"; names keep their capital."""
    first, _, rest = subject.partition(" ")
    return f"{first.lower()} {rest}".strip() if first.lower() in _ARTICLES else subject


def _lower_label(label: str) -> str:
    """A label or column within a question: lower case unless it looks like a name or a code."""
    return label[0].lower() + label[1:] if label[1:].islower() else label


_ARTICLES = frozenset({"the", "a", "an", "each", "every", "all", "any"})
