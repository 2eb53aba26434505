"""A suite file (docs/suites.md), YAML or JSON Lines, as its head and rows, before anybody asks what they mean.

Evaluation makes items of the rows; training looks at what they ask, so that it does not train on it.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from pipelines.artifacts import read_text
from pipelines.errors import QuestionFileError
from pipelines.yamlfiles import Located, parse_yaml

MOST = 10_000
"""Items of a suite."""


def read_suite(path: Path) -> tuple[Located, list[Any]]:
    """The head (name, version) and the rows; each row that is a mapping is `Located`.

    Raises QuestionFileError naming the file, and the line where there is one.
    """
    text = read_text(path, "suite file")
    rows: list[Any]
    if path.suffix in (".yaml", ".yml"):
        head = _yaml(path, text)
        rows = head.get("items", [])
        if not isinstance(rows, list):
            raise QuestionFileError(f"{at(path, head, 'items')}: `items` must be a list.")
    else:
        rows = [_json(path, number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        first = rows[0] if rows else None
        is_head = isinstance(first, Located) and "id" not in first and "name" in first
        head = rows.pop(0) if is_head else Located(1)
    if len(rows) > MOST:
        raise QuestionFileError(f"{path}: {len(rows):,} items; the limit is {MOST:,}. Split the suite.")
    return head, rows


def at(path: Path, row: Located, key: Any) -> str:
    """Where a key of a row stands, for a message: `suite.yaml, line 4`."""
    return f"{path}, line {row.lines.get(key, row.line)}"


def _yaml(path: Path, text: str) -> Located:
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise QuestionFileError(f"{path}: aliases (*name) are not supported: write the value out.")
        loaded = parse_yaml(text)
    except (yaml.YAMLError, RecursionError) as exc:
        raise QuestionFileError(f"{path}: not readable as YAML: {exc}") from exc
    if not isinstance(loaded, Located):
        raise QuestionFileError(f"{path}: expected `name:`, `version:` and `items:`.")
    return loaded


def _json(path: Path, number: int, line: str) -> Any:
    def located(pairs: list[tuple[str, Any]]) -> Located:
        found = Located(number)
        for key, value in pairs:
            if key in found:
                raise QuestionFileError(f"{path}, line {number}: the key `{key}` occurs twice.")
            found[key] = value
        return found

    try:
        return json.loads(line, object_pairs_hook=located)
    except (ValueError, RecursionError) as exc:
        raise QuestionFileError(f"{path}, line {number}: not JSON: {exc}") from exc
