"""What the quality steps look at of each document: computed once from what was parsed, kept beside the documents.

Invariant: a row depends on its document alone (and, for the signature, on which of its passages are boilerplate),
never on the other documents; so it is taken over while the document and this code are unchanged (`features_digest`).
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.artifacts import arrow_schema, sha256_file, version_of
from pipelines.contracts import Document, content_id
from pipelines.documents import boilerplate
from pipelines.documents.access import claim_of
from pipelines.documents.dates import date_of
from pipelines.documents.languages import language_of
from pipelines.documents.near_duplicates import signature
from pipelines.documents.versions import HEAD_CHARACTERS, names_of

if TYPE_CHECKING:
    import pyarrow as pa

_MODULES = ("access", "boilerplate", "dates", "features", "languages", "near_duplicates", "versions")
_LIBRARIES = ("py3langid", "numpy")
_CODE = "code"
_MAIL = "message/rfc822"


def schema() -> "pa.Schema":
    """Columns of features.parquet, a row a document."""
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("characters", pa.int64()),  # of the text
            ("words_digest", pa.binary()),  # of all its words, notes aside: equal for the same text in other bytes
            ("title_name", pa.string()),  # what versions share, see versions.names_of
            ("stem_name", pa.string()),
            ("passages", pa.list_(pa.uint64())),  # hashes of boilerplate.passages
            ("language", pa.string()),
            ("date", pa.string()),
            ("claim", pa.string()),  # what it says of its labels, see access.claim_of
            ("meta", pa.map_(pa.string(), pa.string())),
            ("signature", pa.binary()),  # MinHash of its prose without boilerplate
            ("marks", pa.list_(pa.int64())),  # which of its passages are boilerplate
            (
                "parsed_blocks",
                arrow_schema(Document).field("blocks").type,
            ),  # where some are marked: as they were
        ]
    )


def features_digest() -> str:
    """Digest of the code and libraries that make a row: equal digest, equal row."""
    here = Path(__file__).parent
    code = [sha256_file(here / f"{name}.py") for name in _MODULES]
    return content_id(code, {name: version_of(name) for name in _LIBRARIES})


def features_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a document just parsed, nothing in it marked (id, uri, media_type, title, text, blocks, meta)."""
    text, blocks, meta = str(row["text"]), list(row["blocks"]), dict(row["meta"])
    title_name, stem_name = names_of(row["uri"], row["title"])
    is_code = all(block["kind"] == _CODE for block in blocks)
    return {
        "id": row["id"],
        "characters": len(text),
        "words_digest": _words_digest(text, blocks),
        "title_name": title_name,
        "stem_name": stem_name,
        "passages": boilerplate.hashes(text, blocks),
        "language": None if is_code else language_of(text, blocks),
        "date": date_of(meta, text[:HEAD_CHARACTERS], row["uri"]),
        "claim": claim_of(meta),
        "meta": list(meta.items()),
        "signature": signature_of(row["media_type"], text, blocks),
        "marks": [],
        "parsed_blocks": None,
    }


def _words_digest(text: str, blocks: Sequence[Mapping[str, Any]]) -> bytes | None:
    """None where nothing is said: two scans whose pages are noted alike are not the same."""
    said = (text[b["start"] : b["end"]] for b in blocks if b["kind"] != "note") if blocks else (text,)
    words = " ".join(" ".join(said).split())
    return hashlib.sha256(words.encode()).digest()[:16] if words else None


def signature_of(media_type: str, text: str, blocks: Sequence[Mapping[str, Any]]) -> bytes:
    """MinHash of a document's prose."""
    return signature(prose(media_type, text, blocks))


def prose(media_type: str, text: str, blocks: Sequence[Mapping[str, Any]]) -> str:
    """What two documents are compared by: no notes; of an e-mail the body (a forwarded one has other headers)."""
    kept = [block for block in blocks if block["kind"] != "note"]
    if not blocks:
        return text
    if media_type == _MAIL and kept and text.startswith(("From:", "To:", "Date:", "Subject:")):
        kept = kept[1:] if kept[0]["start"] == 0 else kept
    return "\n".join(text[block["start"] : block["end"]] for block in kept)


def digest_of_content(title: str, text: str, blocks: Sequence[Mapping[str, Any]]) -> str:
    """`Document.content_digest`."""
    fields = ([b["kind"], b["start"], b["end"], b["page"], b["heading_path"]] for b in blocks)
    return content_id(title, text, list(fields))
