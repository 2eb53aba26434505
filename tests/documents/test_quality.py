"""The quality steps as stages: what a document is to the others, and what a change of it costs."""

import random
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipelines.artifacts import StageJob, read_rows
from pipelines.contracts import Chunk, Document, Quarantined
from pipelines.documents import chunk, ingest
from pipelines.documents.judging import Boilerplate
from tests.documents.conftest import MakeJob

DISCLAIMER = "This message is confidential. If you are not the intended recipient, delete this e-mail and its copies."
VERBS = ("walk", "talk", "work", "look", "turn", "start", "help", "play", "stay", "call")
ESSAY = " ".join(f"{verb}ing and {verb}ed" for verb in VERBS)
INGESTED = (
    ingest.DOCUMENTS,
    ingest.QUARANTINE,
    ingest.FEATURES,
    ingest.VERSIONS,
    ingest.COMPARED,
    ingest.BOILERPLATE,
    ingest.NOTES,
)
CHUNKED = (chunk.CHUNKS, chunk.CHUNKED, chunk.NOTES)


class Both:
    """Ingest and chunk of a folder, one run after the other."""

    def __init__(self, make_job: MakeJob, sources: Path) -> None:
        self._make_job = make_job
        self.sources = sources
        self._runs = 0

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            place = self.sources / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    def run(self, *, scratch: bool = False, **documents: object) -> tuple[StageJob, StageJob]:
        """The next run after the last one; `scratch`: one that knows of none before it."""
        previous = None if scratch or not self._runs else f"run-{self._runs}"
        self._runs += not scratch
        name = "scratch" if scratch else f"run-{self._runs}"
        overrides: dict[str, object] = {"documents": documents}
        first = self._make_job("ingest", name, sources=self.sources, previous=previous, overrides=overrides)
        ingest.run(first)
        inputs = {"ingest": first.output}
        second = self._make_job("chunk", name, sources=self.sources, previous=previous, inputs=inputs)
        chunk.run(second)
        return first, second


@pytest.fixture
def both(make_job: MakeJob, tmp_path: Path) -> Both:
    (tmp_path / "sources").mkdir()
    return Both(make_job, tmp_path / "sources")


def documents(job: StageJob) -> dict[str, Document]:
    return {d.uri: d for d in read_rows(job.output / ingest.DOCUMENTS, Document)}


def chunks(job: StageJob) -> list[Chunk]:
    return read_rows(job.output / chunk.CHUNKS, Chunk)


def mail(n: int, body: str) -> str:
    return f"From: p{n}@example.org\nSubject: Subject {n}\nDate: Thu, 25 Jun 2026 09:00:00 +0000\n\n{body}\n"


def words(seed: int, count: int = 40) -> str:
    rng = random.Random(seed)
    return " ".join("".join(rng.choices("abcdefghijklmnop", k=6)) for _ in range(count)) + "."


# --- repeats -----------------------------------------------------------------------------------


def test_the_same_bytes_or_words_are_indexed_once_however_short(both: Both) -> None:
    both.write({"a.txt": "Yes.", "b/a.txt": "Yes.", "c.txt": "Yes.\r\n", "d.txt": "Yes, but.", "e.md": "Yes."})
    first, second = both.run()
    repeats = {uri: d.near_duplicate_of for uri, d in documents(first).items() if d.near_duplicate_of}
    assert repeats == dict.fromkeys(("b/a.txt", "c.txt", "e.md"), "a.txt")
    assert [c.uri for c in chunks(second)] == ["a.txt", "d.txt"]
    assert first.notes["repeats"] == 3


def test_short_mails_of_two_people_are_two_mails(both: Both) -> None:
    both.write({"a.eml": mail(1, "Approved."), "b.eml": mail(2, "Approved.")})
    assert not any(d.near_duplicate_of for d in documents(both.run()[0]).values())


def test_a_long_disclaimer_does_not_make_two_mails_alike(both: Both) -> None:
    long = " ".join([DISCLAIMER] * 8)
    bodies = [words(n, 22) for n in range(8)]
    both.write({f"m{n}.eml": mail(1, f"{body}\n\n{long}") for n, body in enumerate(bodies)})
    first, second = both.run()
    assert not any(d.near_duplicate_of for d in documents(first).values())
    assert [c.uri for c in chunks(second) if "confidential" in c.text] == ["m0.eml"] * 2  # 2: it is long
    assert all(body.split()[0] in " ".join(c.text for c in chunks(second)) for body in bodies)


def test_a_public_copy_does_not_vanish_behind_a_restricted_one(both: Both) -> None:
    both.write({"board/a.md": f"# A\n\n{ESSAY}", "public/a.md": f"# A\n\n{ESSAY}", "team/a.md": f"# A\n\n{ESSAY}"})
    rules = [{"glob": "board/**", "labels": ["board"]}, {"glob": "team/**", "labels": ["team"]}]
    found = documents(both.run(access=rules)[0])
    # everybody may see the public one, so both others repeat it; without it neither stands for the other
    assert {uri: d.near_duplicate_of for uri, d in found.items()} == {
        "board/a.md": "public/a.md",
        "public/a.md": None,
        "team/a.md": "public/a.md",
    }
    (both.sources / "public/a.md").unlink()
    assert not any(d.near_duplicate_of for d in documents(both.run(access=rules)[0]).values())
    tenants = [{"glob": "board/**", "labels": [], "tenant": "one"}]
    assert not any(d.near_duplicate_of for d in documents(both.run(access=tenants)[0]).values())


# --- versions ----------------------------------------------------------------------------------


def test_a_version_that_some_may_not_see_does_not_replace_theirs(both: Both) -> None:
    both.write({f"rule-v{n}.md": f"# Rule\n\nVersion {n}. Speak up in rooms of size {n}." for n in (1, 2)})
    assert documents(both.run()[0])["rule-v1.md"].superseded_by == "rule-v2.md"
    hidden = documents(both.run(access=[{"glob": "*-v2.md", "labels": ["board"]}])[0])
    assert hidden["rule-v1.md"].superseded_by is None
    shown = documents(both.run(access=[{"glob": "*-v1.md", "labels": ["board"]}])[0])
    assert shown["rule-v1.md"].superseded_by == "rule-v2.md"


def test_two_equal_versions_are_both_kept_and_the_older_says_so(both: Both) -> None:
    both.write({"rule-v1.md": f"# Rule\n\n{ESSAY}", "rule-v2.md": f"# Rule\n\n{ESSAY}"})
    first, second = both.run()
    assert {c.uri: c.superseded for c in chunks(second)} == {"rule-v1.md": True, "rule-v2.md": False}
    assert not any(d.near_duplicate_of for d in documents(first).values())


# --- boilerplate -------------------------------------------------------------------------------


def test_boilerplate_stays_in_the_text_and_leaves_the_chunks(both: Both) -> None:
    both.write({f"m{n}.md": f"# M\n\n{words(n)}\n\n{DISCLAIMER}" for n in range(9)})
    first, second = both.run()
    found = documents(first)
    assert all(DISCLAIMER in d.text for d in found.values())
    notes = {uri: [d.text[b.start : b.end] for b in d.blocks if b.kind == "note"] for uri, d in found.items()}
    assert notes == {"m0.md": [], **{f"m{n}.md": [DISCLAIMER] for n in range(1, 9)}}
    assert [c.uri for c in chunks(second) if "confidential" in c.text] == ["m0.md"]
    [told] = read_rows(first.output / ingest.BOILERPLATE, Boilerplate)
    assert (told.text, told.documents, told.of, told.kept_in) == (DISCLAIMER, 9, 9, "m0.md")


def test_the_document_that_keeps_boilerplate_is_never_left_out_as_a_repeat(both: Both) -> None:
    long = words(50, 300)
    both.write({"a.md": f"# M\n\n{long}", "b.md": f"# M\n\n{long}\n\n{DISCLAIMER}"})
    assert documents(both.run()[0])["b.md"].near_duplicate_of == "a.md"
    both.write({f"m{n}.md": f"# M\n\n{words(n)}\n\n{DISCLAIMER}" for n in range(9)})
    first, second = both.run()
    assert documents(first)["b.md"].near_duplicate_of is None
    assert [c.uri for c in chunks(second) if "confidential" in c.text] == ["b.md"]


def test_documents_of_notes_alone_do_not_repeat_each_other(both: Both) -> None:
    # as two scans whose pages are noted alike
    both.write({"a.md": "---\npages: 1\n---\n", "b.md": "---\npages:  1\n---\n"})
    assert not any(d.near_duplicate_of for d in documents(both.run()[0]).values())


def test_only_documents_whose_marks_change_are_chunked_again(both: Both) -> None:
    both.write({f"m{n}.md": f"# M\n\n{words(n)}\n\n{DISCLAIMER}" for n in range(7)})
    both.write({f"other{n}.md": f"# O\n\n{words(100 + n)}" for n in range(4)})
    assert both.run()[1].notes["documents_chunked"] == 11
    both.write({"m7.md": f"# M\n\n{words(7)}\n\n{DISCLAIMER}"})  # the eighth: now it counts
    first, second = both.run()
    assert (first.notes["parsed"], second.notes["documents_chunked"]) == (
        1,
        7,
    )  # all with it but the first, and the new
    (both.sources / "m0.md").unlink()
    first, second = both.run()  # seven again: it counts no more, and the six marked ones get it back
    assert (first.notes["parsed"], second.notes["documents_chunked"]) == (0, 7)
    both.write({"m8.md": f"# M\n\n{words(8)}\n\n{DISCLAIMER}"})
    both.run()
    both.write({"m9.md": f"# M\n\n{words(9)}\n\n{DISCLAIMER}"})
    assert both.run()[1].notes["documents_chunked"] == 1


# --- access, language, dates -------------------------------------------------------------------


def test_a_change_of_rules_relabels_without_parsing_or_chunking(both: Both) -> None:
    both.write({"hr/a.md": f"# A\n\n{words(1)}", "b.md": f"# B\n\n{words(2)}", "broken.pdf": "%PDF-1.4 damaged"})
    both.run()
    rules = [{"glob": "hr/**", "labels": ["hr", "board"], "tenant": "one"}]
    first, second = both.run(access=rules)
    assert (first.notes["parsed"], first.notes["quarantined"], second.notes["documents_chunked"]) == (0, 1, 0)
    assert {c.uri: (c.tenant, c.labels) for c in chunks(second)} == {
        "b.md": ("default", ()),
        "hr/a.md": ("one", ("board", "hr")),
    }
    assert "access_rules_without_documents" not in first.notes
    unused, _ = both.run(access=[{"glob": "human-resources/**", "labels": ["hr"]}])
    assert unused.notes["access_rules_without_documents"] == ["human-resources/**"]


def test_front_matter_decides_when_the_settings_let_it(both: Both) -> None:
    both.write(
        {
            "a.md": f"---\naccess: [board]\n---\n# A\n\n{words(1)}",
            "bad.md": f"---\naccess: {{board: true}}\n---\n# Bad\n\n{words(2)}",
            "hr/b.md": f"---\naccess: everybody\n---\n# B\n\n{words(3)}",
        }
    )
    rules = [{"glob": "hr/**", "labels": ["hr"]}]
    first, _ = both.run(access=rules)
    assert {uri: d.labels for uri, d in documents(first).items()} == {"a.md": (), "bad.md": (), "hr/b.md": ("hr",)}
    for _ in range(2):  # the second time from what the first one wrote
        first, second = both.run(access=rules, labels_in_documents=True)
        assert {c.uri: c.labels for c in chunks(second)} == {"a.md": ("board",), "hr/b.md": ("hr",)}
        [bad] = read_rows(first.output / ingest.QUARANTINE, Quarantined)
        assert bad.uri == "bad.md" and "access labels" in bad.reason
    assert "bad.md" in documents(both.run(access=rules)[0])


def test_language_and_date_reach_the_chunks(both: Both) -> None:
    german = "Die Pumpe muss ausgeschaltet werden, bevor der Deckel geöffnet wird."
    both.write(
        {"2026-02-11-anleitung.md": f"# Anleitung\n\n{german}", "b.py": "print('Guten Tag, wie geht es Ihnen?')"}
    )
    found = {c.uri: (c.language, c.date) for c in chunks(both.run()[1])}
    assert found == {"2026-02-11-anleitung.md": ("de", "2026-02-11"), "b.py": (None, None)}


# --- a change gives what a run from scratch gives ----------------------------------------------


def corpus(rng: random.Random) -> dict[str, str]:
    """Documents that are much to each other: repeats, versions, footers, folders of their own audience."""
    footers = [DISCLAIMER, "© 2024 Example Ltd. All rights reserved.", "Written with love for people at the sea."]
    files = {}
    for n in range(34):
        folder = rng.choice(["", "x/", "x/y/", "hr/"])
        body = rng.choice([words(n), words(rng.randrange(4)), ESSAY, f"{ESSAY} {words(n, 2)}"])
        footer = [] if rng.random() < 0.2 else [footers[rng.choice([0, 0, 0, 1, 2])]]
        name = rng.choice([f"d{n}", f"d{n}", f"rule-v{n % 5}", f"plan-{2020 + n % 4}"])
        version = f"Version {n % 5}." if "rule" in name else ""
        files[f"{folder}{name}.md"] = "\n\n".join([f"# {name[:4]}", version, body, *footer])
    return files


@pytest.mark.parametrize("seed", range(3))
def test_any_change_gives_the_bytes_of_a_run_from_scratch(both: Both, seed: int) -> None:
    rng = random.Random(seed)
    chosen: dict[str, object] = {"boilerplate_documents": 4, "boilerplate_share": 0.3}
    both.write(corpus(rng))
    both.run(**chosen)
    for step in range(3):
        files = sorted(p for p in both.sources.rglob("*.md"))
        for place in rng.sample(files, 4):
            place.unlink()
        both.write(dict(rng.sample(sorted(corpus(rng).items()), 6)))
        if step == 1:
            chosen["access"] = [{"glob": "hr/**", "labels": ["hr"]}]
        after, scratch = both.run(**chosen), both.run(scratch=True, **chosen)
        for names, one, other in zip((INGESTED, CHUNKED), after, scratch, strict=True):
            for name in names:
                assert (one.output / name).read_bytes() == (other.output / name).read_bytes(), (step, name)
        assert after[0].notes["parsed"] <= 6 < scratch[0].notes["parsed"]
        assert after[0].notes["repeats"] and after[0].notes["superseded"] and after[0].notes["boilerplate_passages"]


def test_other_quality_steps_judge_anew_without_parsing(both: Both, tmp_path: Path) -> None:
    both.write({f"m{n}.md": f"# M\n\n{words(n)}\n\n{DISCLAIMER}" for n in range(9)})
    first, _ = both.run()
    notes = first.output / ingest.NOTES
    written = notes.read_bytes()
    notes.write_bytes(written.replace(b'"features": "', b'"features": "older-'))
    again, second = both.run()
    assert (again.notes["parsed"], second.notes["documents_chunked"]) == (0, 0)
    notes.write_bytes(written)
    for name in INGESTED:
        assert (again.output / name).read_bytes() == (first.output / name).read_bytes()


def test_an_output_of_an_older_layout_is_made_anew(both: Both) -> None:
    both.write({"a.md": "# A\n\nText."})
    first, second = both.run()
    for place in (first.output / ingest.FEATURES, second.output / chunk.CHUNKED):
        place.write_bytes((first.output / ingest.QUARANTINE).read_bytes())
    first, second = both.run()
    assert (first.notes["parsed"], second.notes["documents_chunked"]) == (1, 1)
