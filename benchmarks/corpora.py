"""What the benches of ingest and retrieval read: documents and questions with gold spans, laid out in folders.

`--data FOLDER` holds xquad_en/xquad.en.json (SQuAD's layout), chunking_eval/corpora/*.md with questions.csv, and
parser_docs/; without it there is the sample knowledge base alone. Nothing of a data folder is kept: documents are
written into a temporary folder and read from there, as a user's would be.
"""

import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import ROOT

SAMPLE = ROOT / "data" / "sample"
STRETCH = 10_000
"""Characters of a long document that count as one group when questions are resampled."""


@dataclass(frozen=True)
class Gold:
    """A span that answers: `text[start:end]` of a document; no span: the document does."""

    uri: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True)
class Asked:
    """A question with what answers it; `group`: what it depends on (document, or a stretch of a long one)."""

    id: str
    query: str
    gold: tuple[Gold, ...]
    group: str


@dataclass(frozen=True)
class Corpus:
    """A folder of documents with questions, and the units that its gold is given in."""

    name: str
    folder: Path
    questions: tuple[Asked, ...]
    units: tuple[str, ...]
    """`document`: ranks of documents; `span`: ranks of chunks that overlap a gold span."""


def corpora(data: Path | None, folder: Path) -> list[Corpus]:
    """Every corpus that there is; documents are written below `folder` where they do not lie as files."""
    found = [sample()]
    if data is not None:
        found = [xquad(data / "xquad_en", folder / "xquad"), chunking_eval(data / "chunking_eval"), *found]
    return found


def sample() -> Corpus:
    """The sample knowledge base with its answerable questions."""
    lines = (SAMPLE / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["answers"] and row.get("document")]
    questions = tuple(
        Asked(row["id"], row["question"], (Gold(row["document"], row.get("start"), row.get("end")),), row["document"])
        for row in rows
    )
    return Corpus("sample", SAMPLE / "documents", questions, ("document", "span"))


def xquad(source: Path, folder: Path) -> Corpus:
    """A document a paragraph; the gold is the paragraph, and the answer's span in it."""
    articles = json.loads((source / "xquad.en.json").read_text(encoding="utf-8"))["data"]
    folder.mkdir(parents=True, exist_ok=True)
    questions = []
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    for number, paragraph in enumerate(paragraphs):
        uri = f"p{number:04d}.txt"
        (folder / uri).write_bytes(paragraph["context"].encode())
        for asked in paragraph["qas"]:
            answer = asked["answers"][0]
            gold = Gold(uri, answer["answer_start"], answer["answer_start"] + len(answer["text"]))
            questions.append(Asked(asked["id"], asked["question"], (gold,), uri))
    return Corpus("xquad_en", folder, tuple(questions), ("document",))


def chunking_eval(source: Path) -> Corpus:
    """Three long documents; the gold of a question is every excerpt that it was written from."""
    questions = []
    with (source / "questions.csv").open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            uri = f"{row['corpus_id']}.md"
            spans = json.loads(row["references"])
            gold = tuple(Gold(uri, span["start_index"], span["end_index"]) for span in spans)
            group = f"{uri}:{spans[0]['start_index'] // STRETCH}"
            if (source / "corpora" / uri).exists():
                questions.append(Asked(str(number), row["question"], gold, group))
    return Corpus("chunking_eval", source / "corpora", tuple(questions), ("span",))


# --- plain texts ---------------------------------------------------------------------------------


def plain_texts(data: Path | None, folder: Path) -> list[str]:
    """Texts of all corpora, each once: of the sample's files what Groundwork's parsers read in them."""
    from pipelines.documents.parse import parse_paths

    texts = [parsed.text for parsed in parse_paths([str(SAMPLE / "documents")]) if parsed.text]
    if data is not None:
        for corpus in (xquad(data / "xquad_en", folder / "xquad"), chunking_eval(data / "chunking_eval")):
            texts += [path.read_bytes().decode() for path in sorted(corpus.folder.iterdir())]
    return list(dict.fromkeys(texts))


_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9])")


def sentences(texts: Sequence[str]) -> list[str]:
    """Sentences of eight words or more in running text, each once."""
    lines = (line for text in texts for line in text.split("\n") if "|" not in line)
    found = (" ".join(part.split()) for line in lines for part in _SENTENCE.split(line))
    return list(dict.fromkeys(part for part in found if len(part.split()) >= 8))
