"""What benchmarks compute, where an error would flatter or slander a side."""

import json
import math
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import changed, corpora, ingest_speed, peer, peers, ranking, report_tables, retrieval_scale
from benchmarks.corpora import Asked, Gold
from benchmarks.parsing import Read, files_of, ratios, recall_of_both, recalls, words
from benchmarks.ranking import Span
from benchmarks.retrieval_quality import bm25, of_documents


def test_words_of_markdown_are_those_that_a_reader_sees() -> None:
    markdown = (
        "<!-- image -->\n# Gr\\_üne &amp; [Ponds](https://x.example/a_(b)) ![A tarn](t.png)\n\n| a | b |\n|---|---|\n"
    )
    assert words(markdown) == Counter(["gr", "üne", "ponds", "a", "tarn", "a", "b"])


def test_recall_counts_a_word_as_often_as_it_is_expected_and_an_unread_file_as_nothing() -> None:
    files = [Path("a.md"), Path("b.md")]
    reads = [Read("pond pond tarn", 1.0), Read(None, 1.0)]
    known = {files[0]: "pond pond pond lake", files[1]: "x"}
    # of 4 words two are held, of 1 word none: the mean of .5 and 0, and 2 of 5
    assert recalls(files, reads, known)["all"] == {"recall": 0.25, "recall_of_words": 0.4, "files_with_reference": 2}


def test_no_file_here_hides_a_package_that_a_peer_imports() -> None:
    # a script's own folder comes first in its search path: benchmarks/markdown.py made unstructured fail on every .md
    known = (line for line in peers.PINS.read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    packages = {line.partition("==")[0].replace("-", "_").lower() for line in known}
    assert packages & {path.stem for path in peers.HERE.glob("*.py")} == set()


def test_a_peer_does_not_see_the_modules_beside_its_script() -> None:
    assert "-P" in peer.INTERPRETER
    code = "import sys; print([place for place in sys.path if place.endswith('benchmarks')])"
    told = subprocess.run(
        [sys.executable, *peer.INTERPRETER, "-c", code], capture_output=True, text=True, check=True, cwd=peers.HERE
    )
    assert told.stdout.strip() == "[]"


def test_recall_beside_a_peer_is_given_for_the_files_that_both_parsed_too() -> None:
    files = [Path("a.md"), Path("b.pdf")]
    reads = {"groundwork": [Read("pond", 1), Read("tarn", 1)], "peer": [Read("pond lake", 1), Read(None, 1)]}
    known = {files[0]: "pond lake", files[1]: "tarn"}
    # b.pdf counts for neither: half of a.md against all of it
    assert recall_of_both(files, reads, known, "peer") == {"files_with_reference": 1, "recall_difference": -0.5}
    assert recall_of_both(files[1:], {name: each[1:] for name, each in reads.items()}, known, "peer") is None


def test_the_files_to_parse_are_those_that_groundwork_reads_outside_archives(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b.md", "text")
    write(tmp_path / ".hidden", "text")
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as packed:
        packed.writestr("d.txt", "text")
    assert files_of(tmp_path) == [tmp_path / "a" / "b.md"]


def test_speeds_are_compared_on_the_files_that_both_sides_parsed() -> None:
    reads = {"groundwork": [Read("x", 1), Read("y", 1)], "peer": [Read("x", 9), Read(None, 1)]}
    seconds = {"groundwork": [1.0, 5.0], "peer": [9.0, 1.0]}
    figures = {"groundwork": {"recall": 0.9}, "peer": {"recall": 0.8}}
    found = ratios([1.0, 1.0], seconds, reads, figures, "peer")
    assert found["files"] == 1 and found["speed_ratio"] == 9.0 and found["recall_difference"] == 0.1


# --- ranking -------------------------------------------------------------------------------------

ASKED = Asked("1", "how deep?", (Gold("a.md", 10, 20), Gold("a.md", 90, 95)), "a.md")


def test_a_chunk_is_relevant_when_it_shares_a_character_with_a_gold_span() -> None:
    # [20, 30) begins where the gold ends, [19, 30) holds its last character; another document holds nothing of it
    spans = [Span("a.md", 20, 30), Span("a.md", 19, 30), Span("b.md", 10, 20), Span("a.md", 0, 200)]
    assert [ranking.relevant(ASKED, span) for span in spans] == [False, True, False, True]


def test_ndcg_of_spans_is_against_as_many_as_the_collection_holds() -> None:
    ranked = [Span("b.md", 0, 9), Span("a.md", 0, 50), Span("a.md", 50, 99)]
    # relevant at ranks 2 and 3 of two that there are: (1/log2 3 + 1/log2 4) / (1/log2 2 + 1/log2 3)
    expected = (1 / math.log2(3) + 0.5) / (1 + 1 / math.log2(3))
    assert ranking.of_spans(ASKED, ranked, held=2) == pytest.approx(expected)
    assert ranking.of_spans(ASKED, ranked[1:], held=2) == pytest.approx(1.0)


def test_documents_are_ranked_by_their_best_chunk_and_a_twin_is_the_document() -> None:
    ranked = [Span("b.md", 0, 9), Span("b.md", 9, 18), Span("copy.md", 0, 9)]
    # b.md counts once, so the twin of a.md is second: 1 / log2(3)
    assert ranking.of_documents(ASKED, ranked, {"copy.md": "a.md"}) == pytest.approx(1 / math.log2(3))
    assert ranking.of_documents(ASKED, ranked, {}) == 0.0


def test_the_goal_above_a_peer_is_a_twentieth_or_what_room_there_is() -> None:
    assert [ranking.wanted(best) for best in (0.6, 0.95, 0.99)] == [0.05, 0.02, 0.0]


def test_the_floor_takes_the_best_passage_of_each_document_for_words_and_nearness_apart() -> None:
    # document a: words 1 (row 0), nearness 0.9 (row 1); document b: words 0, nearness 0.1: a has 1, b has 0
    found = of_documents(np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.9, 0.1]), ["a", "a", "b"])
    assert found.tolist() == [1.0, -1.0, 0.0]


def test_bm25_of_the_floor_follows_its_formula_and_finds_parts_of_names() -> None:
    # "readTimeout" is found by "timeout": one of two texts holds it, ln(1 + 1.5 / 1.5) = ln 2; its count 1 in a text of
    # 3 terms (whole, read, timeout) beside one of 1: saturation 2.2 / (1 + 1.2 * (.25 + .75 * 3 / 2))
    scores = bm25(["readTimeout", "lake"], ["timeout", "sea"])
    assert scores[0, 0] == pytest.approx(math.log(2) * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 1.5)))
    assert scores[0, 1] == 0.0 and not scores[1].any()


# --- speed ---------------------------------------------------------------------------------------


def run_of(seconds: float, start_s: float, characters: int) -> dict[str, Any]:
    told = {"seconds": seconds, "start_s": start_s, "characters": characters}
    return {**told, "documents": 3, "chunks": 9, "parts_s": {}}


def test_pages_a_second_leave_out_the_start_and_count_each_sides_own_pages() -> None:
    runs = {
        "int8": [run_of(3.0, 1.0, 30_000), run_of(9.0, 1.0, 30_000), run_of(3.0, 1.0, 30_000)],
        "float": [run_of(6.0, 1.0, 30_000)],
        "langchain": [run_of(10.0, 0.0, 33_000)],
    }
    agreement = {"int8": {"mean": 0.99}, "float": {"mean": 0.9999}}
    found = ingest_speed.ratios(runs, agreement, {"float32": 0.9, "int8": 0.897, "float": 0.901})
    # medians: 10 pages in 3 - 1 s and in 6 - 1 s, beside 11 pages in 10 s
    assert found["int8_speed_ratio"] == pytest.approx(5 / 1.1, abs=0.01)
    assert found["float_speed_ratio"] == pytest.approx(2 / 1.1, abs=0.01)
    assert found["int8_speed_ratio_with_start"] == pytest.approx(10 / 3 / 1.1, abs=0.01)
    assert (found["int8_ndcg_loss"], found["float_ndcg_loss"]) == (0.003, -0.001)


def test_long_texts_are_divided_at_line_ends_without_losing_any() -> None:
    text = "".join(f"{'x' * 999}\n" for _ in range(70))
    parts = ingest_speed.divided(text)
    assert "".join(parts) == text and [len(part) for part in parts] == [30_000, 30_000, 10_000]


def test_a_hundredth_of_the_documents_is_changed(tmp_path: Path) -> None:
    sentences = [f"Sentence {number} says that the lake of {number} lies deep and cold." for number in range(40)]
    changed.make_documents([" ".join(sentences)], tmp_path / "d", 200)
    before = {path.name: path.read_text() for path in (tmp_path / "d").iterdir()}
    changed.change(tmp_path / "d", 200, "More.")
    after = {path.name for path in (tmp_path / "d").iterdir() if path.read_text() != before[path.name]}
    assert len(before) == len(set(before.values())) == 200
    assert after == {"d00007.txt", "d00107.txt"}


# --- scale ---------------------------------------------------------------------------------------


def test_mixtures_lie_near_their_sources_and_are_of_unit_length() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(size=(50, 3, 384))
    base = (base / np.linalg.norm(base, axis=2, keepdims=True)).astype(np.float32)
    mixed = retrieval_scale.mixture(base, np.random.default_rng(2))
    assert np.linalg.norm(mixed, axis=1) == pytest.approx(np.ones(50), abs=1e-5)
    # a source's cosine: its third of a mean 1/sqrt(3) long, beside noise of .35: .333 / sqrt(.333 + .1225) = .494
    assert float((mixed[:, None] * base).sum(axis=2).mean()) == pytest.approx(0.494, abs=0.02)


def test_recall_is_the_share_of_the_exact_nearest_whatever_their_order() -> None:
    assert retrieval_scale.recall([["b", "a"], ["c", "x"]], [["a", "b"], ["c", "d"]]) == 0.75


def test_latencies_do_not_count_the_first_questions() -> None:
    seconds = [9.0] * retrieval_scale.WARM + [0.001 * each for each in range(1, 102)]
    assert retrieval_scale.latencies(seconds) == {"p50_ms": 51.0, "p95_ms": 96.0}


# --- corpora -------------------------------------------------------------------------------------


def test_corpora_are_read_with_gold_that_fits_their_texts(tmp_path: Path) -> None:
    data = tmp_path / "data"
    answer = {"text": "deep", "answer_start": 12}
    paragraph = {"context": "The lake is deep.", "qas": [{"id": "q", "question": "How?", "answers": [answer]}]}
    write(data / "xquad_en" / "xquad.en.json", json.dumps({"data": [{"paragraphs": [paragraph]}]}))
    write(data / "chunking_eval" / "corpora" / "long.md", "x" * 25_000)
    spans = json.dumps([{"content": "x", "start_index": 20_001, "end_index": 20_002}])
    rows = f'question,references,corpus_id\nWhy?,"{spans.replace(chr(34), chr(34) * 2)}",long\n'
    write(data / "chunking_eval" / "questions.csv", rows + rows.splitlines()[1].replace(",long", ",not_there") + "\n")
    xquad, chunking, sample = corpora.corpora(data, tmp_path / "made")
    gold = xquad.questions[0].gold[0]
    assert (xquad.folder / gold.uri).read_text()[gold.start : gold.end] == "deep"
    assert [(asked.gold, asked.group) for asked in chunking.questions] == [
        ((Gold("long.md", 20_001, 20_002),), "long.md:2")
    ]
    assert len(sample.questions) > 500 and all(
        (sample.folder / asked.gold[0].uri).exists() for asked in sample.questions
    )


def write(place: Path, text: str) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")


# --- tables --------------------------------------------------------------------------------------


def test_tables_hold_the_figures_that_the_json_holds() -> None:
    side = {"p50_ms": 9.5, "p95_ms": 21.0, "vector_recall@10": 0.97, "build_s": 12.0}
    told = {
        "figures": {"scale": {"chunks": 100_000, "groundwork": side, "lancedb": {**side, "p95_ms": 44.0}}},
        "ratios": {"scale": {}},
        "peer": {"scale": "LanceDB 1"},
        "machine": {"cores": 2, "processor": "P", "memory_gib": 8.0},
    }
    shown = report_tables.tables(told)
    assert "| groundwork | 9.5 | 21.0 | 0.97 | 12.0 |" in shown and "| lancedb | 9.5 | 44.0 |" in shown
    assert "LanceDB 1" in shown and "2 cores, P" in shown
