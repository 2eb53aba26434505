"""What a bench measured, as Markdown tables for docs/benchmarks.md."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def tables(told: Mapping[str, Any]) -> str:
    """A table a part, and the machine."""
    makers = {"speed": _speed, "changed": _changed, "parsing": _parsing, "quality": _quality, "scale": _scale}
    parts = []
    for part, figures in told["figures"].items():
        shown = makers[part](figures, told["ratios"][part])
        parts.append(f"#### {part}\n\n{shown}\n\nBeside: {_peer(told['peer'][part])}.")
    where = told["machine"]
    return "\n\n".join([*parts, f"{where['cores']} cores, {where['processor']}, {where['memory_gib']} GiB."])


def _peer(peer: Any) -> str:
    if isinstance(peer, dict):
        return ", ".join(f"{name} {version}" for name, version in peer.items())
    return peer or "no peer; the full run"


def _speed(figures: Mapping[str, Any], ratios: Mapping[str, Any]) -> str:
    rows = []
    for name in ("int8", "float", "langchain"):
        side, close = figures[name], figures["agreement"].get(name, {})
        ndcg = (figures["ndcg"] or {}).get("float32" if name == "langchain" else name)
        ratio = ratios.get(f"{name}_speed_ratio")
        rows.append([name, side["chunks"], side["pages_per_s"], ratio, close.get("mean"), close.get("min"), ndcg])
    head = (
        "",
        "chunks",
        "pages/s",
        "times LangChain",
        "cosine, mean",
        "cosine, least",
        "nDCG@10 of vectors (xquad_en)",
    )
    return table(head, rows)


def _changed(figures: Mapping[str, Any], ratios: Mapping[str, Any]) -> str:
    stages = list(figures["full_s"])
    rows: list[Sequence[Any]] = [
        [f"all {figures['documents']} documents", *figures["full_s"].values(), figures["full_total_s"], 1],
        [
            f"{figures['changed_documents']} changed",
            *(figures["changed_s"][stage] for stage in stages),
            figures["changed_total_s"],
            ratios["changed_share"],
        ],
        [
            "the same, as a command of its own",
            *("" for _ in stages),
            figures["changed_whole_command_s"],
            ratios["changed_share_whole_command"],
        ],
    ]
    return table(("seconds", *stages, "total", "share"), rows)


def _parsing(figures: Mapping[str, Any], ratios: Mapping[str, Any]) -> str:
    rows = []
    for folder, sides in figures.items():
        for name, side in sides.items():
            if name != "reference":
                ratio = ratios[folder].get(name, {})
                both = ratio.get("of_files_both_parsed") or {}
                rows.append(
                    [
                        folder,
                        name,
                        f"{side['parsed']} of {side['of']}",
                        side["pages_per_s"],
                        ratio.get("speed_ratio"),
                        side.get("recall"),
                        both.get("recall_difference"),
                    ]
                )
    return table(
        (
            "files",
            "",
            "parsed",
            "pages/s",
            "Groundwork is times as fast",
            "word recall",
            "Groundwork's above it, files of both",
        ),
        rows,
    )


def _quality(figures: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    systems = list(next(iter(figures.values()))["systems"])
    rows = []
    for name, row in figures.items():
        gap = row["above_best"]
        shown = f"{gap['difference']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]"
        values = (f"{row['systems'][system]['ndcg@10']:.3f}" for system in systems)
        rows.append([name, row["questions"], *values, f"{shown} ({row['best_peer']})", row["wanted"]])
    return table(("nDCG@10", "questions", *systems, "above the best peer", "wanted"), rows)


def _scale(figures: Mapping[str, Any], _: Mapping[str, Any]) -> str:
    keys = ("p50_ms", "p95_ms", "vector_recall@10", "build_s")
    rows = [[name, *(figures[name][key] for key in keys)] for name in ("groundwork", "lancedb")]
    head = (f"{figures['chunks']:,} chunks", "p50 ms", "p95 ms", "recall@10 of vectors", "index written, s")
    return table(head, rows)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; what is not there is empty."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join("" if cell is None else str(cell) for cell in line) + " |" for line in lines)
