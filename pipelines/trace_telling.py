"""A trace in words, for people at a terminal."""

from collections.abc import Iterator, Sequence

from pipelines.release.trace import question_of
from pipelines.release.traced import Cited, Influence, Passage, Said, Source, Trace, Traced

MOST = 10
"""Lines of a list; `--json` has all."""
WIDE = 100
"""Characters of a text that are shown."""


def told(trace: Trace) -> str:
    """What it is, the release around it, and what hangs on it."""
    lines = [f"{trace.kind} {trace.id}", *_release(trace)]
    lines += [f"  {name.replace('_', ' ')}: {number:,}" for name, number in trace.counts.items()]
    for part in (_itself, _documents, _shown, _citations, _examples, _answers, _attempts, _missing):
        lines += part(trace)
    return "\n".join(lines)


def _release(trace: Trace) -> Iterator[str]:
    held, parts = trace.release, trace.release["parts"]
    yield ""
    yield f"Release {held['id'][:12]} (number {held['number']}): {held['state']}, gate {held['verdict']}"
    yield f"  trained by {held['trained_by']}, registered {held['created'][:10]}, report {held['report_digest'][:12]}"
    for each in held["decided"]:
        who = f"{each['who']} as {each['role']} ({each['identity']})"
        yield f"  {each['verdict']} by {who}, {each['when'][:10]}: {each['why']}"
    if not held["decided"]:
        yield "  nobody has decided on it"
    yield "  " + ", ".join(
        f"{name} {parts[name][:12]}"
        for name in ("base_model", "adapter", "prompt", "index", "dataset")
        if name in parts
    )
    if trace.same_in:
        yield f"  the same in earlier releases: {', '.join(each[:12] for each in trace.same_in)}"


def _itself(trace: Trace) -> Iterator[str]:
    found = trace.found
    if trace.kind == "answer":
        yield from ("", f"Question  {found['question']}", f"Answer    {found['answer']}")
        judged = "right" if found["correct"] else "; ".join(found["wrong"]) or "wrong"
        yield f"  {judged}" + (f" (guardrail: {found['guardrail']})" if found["guardrail"] else "")
    elif trace.kind == "attack":
        yield from ("", f"Attack ({found['category']}, {found['severity']})  {_cut(found['prompt'])}")
        yield from (f"Answer  {_cut(found['answer'])}", f"  {found['outcome']}")
    elif trace.kind == "example":
        yield from ("", f"Example ({found['split']}, {found['origin']}), about {found['document']}")
        yield from (f"  asked    {question_of(found)}", f"  answered {_cut(found['messages'][-1]['content'])}")
    elif trace.kind == "part":
        yield from ("", f"Part {found['part']}", f"  digest {found['digest']}", f"  object {found['object']}")
        yield from (f"  {digest[:12]}  {name}" for name, digest in found["files"].items())


def _shown(trace: Trace) -> Iterator[str]:
    title = {"answer": "Shown to the model, in order", "example": "Made of", "document": "Its chunks"}
    yield from _list(title.get(trace.kind, "Passage"), [_passage(each, trace) for each in trace.shown])


def _passage(each: Passage, trace: Trace) -> str:
    number = f"[{trace.shown.index(each) + 1}] "
    inside = "" if each.in_document else "; its document is not stored" if each.document is None else "; NOT its text"
    where = f"{number}{each.id[:12]}  {each.uri} {each.start}-{each.end}{inside}"
    source = f"\n      {_document(each.document)}" if each.document and trace.kind != "document" else ""
    return f"{where}{source}\n      {_cut(each.text)}"


def _documents(trace: Trace) -> Iterator[str]:
    yield from _list("Document", [f"{each.uri}\n    {_document(each)}" for each in trace.documents])


def _document(each: Traced) -> str:
    dated = f", dated {each.date}" if each.date else ""
    newer = f", superseded by {each.superseded_by}" if each.superseded_by else ""
    return f"document {each.id[:12]}{dated}{newer}; bytes {each.source.sha256[:12]} {_bytes(each.source)}"


def _bytes(source: Source) -> str:
    return {
        "whole": f"whole ({source.size_bytes:,} bytes, hashed again)" if source.size_bytes is not None else "whole",
        "missing": "are not in the object store: erased, or lost",
        "changed": "are CHANGED in the object store",
    }[source.state]


def _citations(trace: Trace) -> Iterator[str]:
    yield from _list("Cited", [_citation(each) for each in trace.citations])


def _citation(each: Cited) -> str:
    shown = f"passage [{each.shown_as}]" if each.shown_as else "no passage that is known to have been shown"
    inside = "" if each.in_document in (True, None) else "; NOT in its document"
    return f"{each.uri} {each.start}-{each.end}, {shown}{inside}\n      {_cut(each.text)}"


def _examples(trace: Trace) -> Iterator[str]:
    if trace.kind not in ("answer", "chunk", "document"):
        return
    of = {by: sum(each.by == by and each.split == "train" for each in trace.examples) for by in ("chunk", "document")}
    yield ""
    yield f"Trained on: {of['chunk']} examples of these chunks, {of['document']} others about these documents"
    yield from _cut_list([_example(each) for each in trace.examples])


def _example(each: Influence) -> str:
    split = "" if each.split == "train" else f" ({each.split}, not trained on)"
    return f"{each.id[:12]}  {each.by}{split}, {each.origin}: {_cut(each.question, 60)} -> {_cut(each.answer, 40)}"


def _answers(trace: Trace) -> Iterator[str]:
    title = "Said to the same" if trace.kind == "answer" else "Answers of the evaluation that were shown it"
    yield from _list(title, [_said(each) for each in trace.answers])


def _said(each: Said) -> str:
    cites = {True: "cites it; ", False: "", None: f"{each.system}: "}[each.cites]
    return f"{each.id}  {cites}{'right' if each.correct else 'wrong'}: {_cut(each.answer, 80)}"


def _attempts(trace: Trace) -> Iterator[str]:
    rows = [f"{each['mutation']}: {'got through' if each['succeeded'] else 'resisted'}" for each in trace.attempts]
    yield from _list("Mutated", rows)


def _missing(trace: Trace) -> Iterator[str]:
    yield from _list("Not to be had", list(trace.missing))


def _list(title: str, rows: Sequence[str]) -> Iterator[str]:
    if rows:
        yield from ("", f"{title}:")
        yield from _cut_list(rows)


def _cut_list(rows: Sequence[str]) -> Iterator[str]:
    yield from (f"  {each}" for each in rows[:MOST])
    if len(rows) > MOST:
        yield f"  and {len(rows) - MOST} more (--json has them)"


def _cut(text: str, most: int = WIDE) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= most else flat[: most - 1] + "…"
