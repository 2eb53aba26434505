"""What benchmarks compute, where an error would flatter or slander a side."""

from collections import Counter
from pathlib import Path

from benchmarks.parsing import Read, ratios, recalls, words


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


def test_speeds_are_compared_on_the_files_that_both_sides_parsed() -> None:
    reads = {"groundwork": [Read("x", 1), Read("y", 1)], "peer": [Read("x", 9), Read(None, 1)]}
    seconds = {"groundwork": [1.0, 5.0], "peer": [9.0, 1.0]}
    figures = {"groundwork": {"recall": 0.9}, "peer": {"recall": 0.8}}
    found = ratios([1.0, 1.0], seconds, reads, figures, "peer")
    assert found["files"] == 1 and found["speed_ratio"] == 9.0 and found["recall_difference"] == 0.1
