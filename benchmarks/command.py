"""The command line that the benches of ingest and retrieval share: parts, data, one JSON object at the end."""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import report_tables
from benchmarks.machine import machine, say

Part = Callable[[Path | None, Path, bool], dict[str, Any]]
"""A data folder or None, a temporary folder, whether to be quick -> figures, ratios, goals, peer."""


def bench(name: str, about: str | None, parts: Mapping[str, Part]) -> None:
    """Run the parts that are asked for and print one JSON object, or Markdown tables."""
    from pipelines.console import settle_vendors

    settle_vendors()
    chosen = _options(about, parts)
    where = machine()
    done: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix=f"bench-{name}-") as folder:
        for part in chosen.only or parts:
            say(f"--- {part}")
            own = Path(folder) / part
            own.mkdir()
            started = time.perf_counter()
            done[part] = parts[part](chosen.data, own, chosen.quick)
            done[part]["seconds"] = round(time.perf_counter() - started, 1)
    told = {
        "bench": name,
        "quick": chosen.quick,
        **{what: {part: each[what] for part, each in done.items()} for what in ("figures", "ratios", "goals", "peer")},
        "seconds": {part: each["seconds"] for part, each in done.items()},
        "machine": where,
    }
    print(report_tables.tables(told) if chosen.markdown else json.dumps(told))


def _options(about: str | None, parts: Mapping[str, Part]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a folder with xquad_en/, chunking_eval/, parser_docs/")
    parser.add_argument("--quick", action="store_true", help="small sizes: to see that it runs")
    parser.add_argument("--only", action="append", choices=list(parts), metavar="PART", help=", ".join(parts))
    parser.add_argument("--markdown", action="store_true", help="tables for docs/ instead of JSON")
    chosen = parser.parse_args()
    if chosen.data is not None and not chosen.data.is_dir():
        sys.exit(f"{chosen.data} is not a folder; --data names one that holds xquad_en/, chunking_eval/, parser_docs/")
    if chosen.data is not None:
        chosen.data = chosen.data.absolute()
    return chosen
