"""The areas' questions and attacks -> one file each, gold spans located in the parsed documents.

    .venv/bin/python data/sample/assemble.py

Run it after a document or a parser changed: offsets are found again from each row's `evidence`.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipelines.documents.parse import parse_paths
from pipelines.errors import QuestionFileError
from pipelines.training.questions import find_evidence

HERE = Path(__file__).parent
AREAS = ("commercial", "handbook", "products")


def rows_of(prefix: str) -> list[dict[str, Any]]:
    """The rows of all areas' files."""
    paths = [HERE / f"{prefix}_{area}.jsonl" for area in AREAS]
    return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


def located(row: dict[str, Any], texts: Mapping[str, str]) -> dict[str, Any] | None:
    """The row with its span, or None when its evidence is not in the document."""
    if not row["answers"]:
        return row
    span = find_evidence(texts.get(row["document"], ""), row["evidence"])
    return None if span is None else {**row, "start": span[0], "end": span[1]}


def assembled(texts: Mapping[str, str]) -> dict[str, str]:
    """Each file's name and what it holds, for documents given as uri -> text.

    Raises QuestionFileError naming every row whose evidence is not in its document.
    """
    asked = [(row, located(row, texts)) for row in rows_of("questions")]
    if lost := [row for row, found in asked if found is None]:
        raise QuestionFileError(
            "\n".join(f"{row['id']}: its evidence is not in {row['document']}: {row['evidence'][:80]}" for row in lost)
        )
    files = {
        "questions.jsonl": [found for _, found in asked],
        "attacks.jsonl": rows_of("attacks"),
    }
    return {name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows) for name, rows in files.items()}


def main() -> None:
    """Write the two files, or none and say which rows have lost their evidence."""
    texts = {parsed.uri: parsed.text or "" for parsed in parse_paths([HERE / "documents"])}
    try:
        files = assembled(texts)
    except QuestionFileError as exc:
        sys.exit(str(exc))
    for name, text in files.items():
        (HERE / name).write_text(text, encoding="utf-8")
        print(f"{name}: {len(text.splitlines())}")


if __name__ == "__main__":
    main()
