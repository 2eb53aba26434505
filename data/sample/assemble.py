"""The areas' questions, golden prompts and attacks -> one file each, gold spans located in the parsed documents.

    .venv/bin/python data/sample/assemble.py

Run it after a document or a parser changed: offsets are found again from each row's `evidence`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from pipelines.documents.parse import parse_paths
from pipelines.training.questions import find_evidence

HERE = Path(__file__).parent
FILES = {"questions": "questions.jsonl", "golden": "golden_prompts.jsonl", "attacks": "attacks.jsonl"}


def rows_of(path: Path) -> list[dict[str, Any]]:
    """The lines of a file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def located(row: dict[str, Any], texts: dict[str, str]) -> dict[str, Any] | None:
    """The row with its span, or None when its evidence is not in the document."""
    if not row["answers"]:
        return row
    span = find_evidence(texts.get(row["document"], ""), row["evidence"])
    return None if span is None else {**row, "start": span[0], "end": span[1]}


def main() -> int:
    """Write the three files; complain about every row whose evidence is not found."""
    texts = {parsed.uri: parsed.text for parsed in parse_paths([HERE / "documents"]) if parsed.status == "parsed"}
    lost = 0
    for prefix, target in FILES.items():
        parts = sorted(HERE.glob(f"{prefix}_*.jsonl"))
        parts = [part for part in parts if part.name not in FILES.values()] or [HERE / target]
        rows = [row for part in parts for row in rows_of(part)]
        if prefix == "questions":
            found = [(row, located(row, texts)) for row in rows]
            for row, place in found:
                if place is None:
                    lost += 1
                    print(
                        f"{row['id']}: its evidence is not in {row['document']}: {row['evidence'][:80]}",
                        file=sys.stderr,
                    )
            rows = [place for _, place in found if place is not None]
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (HERE / target).write_text(text, encoding="utf-8")
        print(f"{target}: {len(rows)}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
