"""What people thought of answers -> questions to train on, and pairs of a better and a worse answer.

Feedback is hostile input: whoever may ask may also write it. Nothing is learned from it that the documents do not hold:
a liked answer or a correction counts only where a passage has every figure and SUPPORTED of its words.
Invariants: every line is used, stands under one reason, or repeats an id, and is named; lines in another order give
the same; nothing about a golden document comes out.
Limits: votes carry no voter, so one person may vote often; a correction that a passage holds may still answer another
question; names of people are not noticed (guardrails/pii.py).
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipelines.contracts import Chunk, Document, Feedback, Question, Split, content_id
from pipelines.guardrails import pii
from pipelines.guardrails.grounding import support
from pipelines.guardrails.injection import screen
from pipelines.training.contexts import Vectors, plain
from pipelines.training.follow_ups import NOT_COMPLETED, Completer
from pipelines.training.questions import find_evidence

SUPPORTED = 0.8
"""Share of an answer's words that a passage must hold (and all its figures): 89% of the sample's answers reach it in
their own passage, 3% in another one of the same document."""
QUESTION_AT_MOST, ANSWER_AT_MOST, TURNS_AT_MOST = 1000, 2000, 20
"""Characters of a question and of an answer; earlier messages."""
NEAREST = 3
"""Passages looked at where a line names neither document nor passages."""
ALLOWED_CONTROLS = frozenset("\n\t")

Encode = Callable[[Sequence[str]], Vectors]


@dataclass(frozen=True)
class Pair:
    """Two answers to a question, the better one first."""

    question: str
    document: str
    chosen: str
    rejected: str
    shown: tuple[str, ...] = ()
    """Ids of the passages that the rejected answer was made from; only for a refusal that is preferred to it."""
    line: str = field(default="", compare=False)
    """The line that says so, the first of equal ones."""


@dataclass
class Learned:
    """What feedback gives."""

    questions: list[Question] = field(default_factory=list)
    gold: dict[str, int] = field(default_factory=dict)
    """Question id to the index of the chunk that holds its answer."""
    lines_of: dict[str, list[str]] = field(default_factory=dict)
    """Question id to the lines that give it."""
    pairs: list[Pair] = field(default_factory=list)
    lines: int = 0
    used: set[str] = field(default_factory=set)
    repeated: list[str] = field(default_factory=list)
    """Ids that came before: a line that was sent again."""
    folded: int = 0
    """Lines about a question that another line is about too."""
    by_majority: int = 0
    """Questions on which people disagreed and more of them said one thing."""
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave_out(self, reason: str, lines: Sequence[str]) -> None:
        """Note lines under a reason, once."""
        known = {line for ids in self.left_out.values() for line in ids}
        if new := [line for line in lines if line not in known and line not in self.used]:
            self.left_out.setdefault(reason, []).extend(new)

    def use(self, lines: Sequence[str]) -> None:
        """Note lines as used, though something else in them came to nothing."""
        self.used.update(lines)
        rest = {reason: [line for line in ids if line not in self.used] for reason, ids in self.left_out.items()}
        self.left_out = {reason: ids for reason, ids in rest.items() if ids}

    def settle(self, dropped: Mapping[str, str], lost: Mapping[str, str]) -> None:
        """Take back what came to nothing: questions by id and lines of pairs, each with its reason."""
        kept = {line for name, lines in self.lines_of.items() if name not in dropped for line in lines}
        for line, reason in lost.items():
            if line not in kept:
                self.used.discard(line)
                self.leave_out(reason, [line])
        standing = {pair.line for pair in self.pairs} - set(lost)
        for question, reason in dropped.items():
            again = [line for line in self.lines_of[question] if line not in standing]
            self.used -= set(again)
            self.leave_out(reason, again)


@dataclass(frozen=True)
class Knowledge:
    """What feedback is held against."""

    documents: Mapping[str, Document]
    chunks: Sequence[Chunk]
    vectors: Vectors
    """Unit rows of the chunks, float32 [chunks, dim]."""
    splits: Mapping[str, Split]
    refusal: str
    encode: Encode
    completer: Completer


def learn(feedback: Sequence[Feedback], known: Knowledge) -> Learned:
    """Questions with their answers located, pairs, and what was left out."""
    learned = Learned(lines=len(feedback))
    groups: dict[str, list[tuple[Feedback, str]]] = {}
    for one in _once(feedback, learned):
        reason = _unusable(one)
        whole = None if reason else known.completer.whole(one.question, one.turns)
        if reason or whole is None:
            learned.leave_out(reason or NOT_COMPLETED, [one.id])
            continue
        groups.setdefault(plain(whole), []).append((one, whole))
    learned.folded = sum(len(lines) - 1 for lines in groups.values())
    reader = _Reader(known, learned)
    for _, lines in sorted(groups.items()):
        reader.read(lines)
    return learned


def _once(feedback: Sequence[Feedback], learned: Learned) -> list[Feedback]:
    """Lines in the order of their time, the first of each id."""
    first: dict[str, Feedback] = {}
    for one in sorted(feedback, key=lambda line: (line.when.isoformat(), line.id, line.model_dump_json())):
        if one.id in first:
            learned.repeated.append(one.id)
        else:
            first[one.id] = one
    return list(first.values())


def _unusable(one: Feedback) -> str | None:
    """Why the text of a line cannot be used, whatever the documents say."""
    answers = [text for text in (one.answer, one.correction, one.preferred) if text is not None]
    texts = [one.question, *answers, *(turn.content for turn in one.turns)]
    if not all(plain(text).strip() for text in texts):
        return "a text without words"
    long = len(one.question) > QUESTION_AT_MOST or len(one.turns) > TURNS_AT_MOST
    if long or any(len(text) > ANSWER_AT_MOST for text in texts):
        return "too long"
    if any(_hidden(sign) for text in texts for sign in text):
        return "control characters"
    asked = [one.question, *(turn.content for turn in one.turns)]
    if any(screen(text) for text in asked) or any(screen(text, "passage") for text in answers):
        return "orders to a model"
    if one.thumb is None and one.correction is None and one.preferred is None:
        return "says nothing of the answer"
    if one.thumb == "up" and one.correction is not None:
        return "liked and corrected at once"
    return None


def _hidden(sign: str) -> bool:
    """Control and format characters, private ones, halves of a pair: nothing that is written to be read."""
    return unicodedata.category(sign) in ("Cc", "Cf", "Co", "Cs", "Cn") and sign not in ALLOWED_CONTROLS


@dataclass
class _Said:
    """An answer, and the votes on it."""

    text: str
    up: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)

    @property
    def score(self) -> int:
        return len(self.up) - len(self.down)


@dataclass(frozen=True)
class _Held:
    """An answer that a passage holds."""

    said: _Said
    chunk: int


class _Reader:
    """Reads the lines about one question at a time."""

    def __init__(self, known: Knowledge, learned: Learned) -> None:
        self.known, self.learned = known, learned
        self.at = {chunk.id: number for number, chunk in enumerate(known.chunks)}
        self.of: dict[str, list[int]] = {}
        for number, chunk in enumerate(known.chunks):
            self.of.setdefault(chunk.uri, []).append(number)
        self.refusal = plain(known.refusal)
        self.plain: dict[int, str] = {}

    def read(self, lines: Sequence[tuple[Feedback, str]]) -> None:
        """Lines about one question, in the order of their time."""
        question = lines[0][1]
        said = _votes([line for line, _ in lines])
        self.learned.by_majority += any(each.up and each.down and each.score for each in said.values())
        places = self._places(question, [line for line, _ in lines])
        held: dict[str, _Held] = {}
        for name, each in said.items():
            if not each.up or name.startswith(self.refusal):
                continue
            reason, chunk = self._judged(each, question, places)
            if reason:
                self.learned.leave_out(reason, each.up)
            else:
                held[name] = _Held(each, chunk)
        self._take(question, held)
        for line, _ in lines:
            self._pair(question, line, said, held)
        for line, _ in lines:
            self._rest(line)

    def _judged(self, each: _Said, question: str, places: Sequence[int]) -> tuple[str | None, int]:
        if each.score <= 0:
            return ("as many votes for as against" if each.score == 0 else "outvoted"), -1
        if not places:
            return "no document of that name", -1
        found = self._holding(each.text, places)
        if found is None:
            return "no passage holds the answer", -1
        if self.known.splits[self.known.chunks[found].uri] == "golden":
            return "about a golden document", -1
        if self._personal([question, each.text], found):
            return "personal data that the passage does not hold", -1
        return None, found

    def _places(self, question: str, lines: Sequence[Feedback]) -> list[int]:
        """Chunks to look in: those shown, those of the documents named, else the nearest."""
        named = [line for line in lines if line.document is not None or line.chunk_ids]
        shown = [self.at[name] for line in named for name in line.chunk_ids if name in self.at]
        about = [number for line in named if line.document for number in self.of.get(line.document, ())]
        if not named and len(self.known.chunks):
            near = self.known.encode([question])[0] @ self.known.vectors.T
            return [int(number) for number in np.argsort(-near, kind="stable")[:NEAREST]]
        return list(dict.fromkeys([*about, *shown]))

    def _holding(self, answer: str, places: Sequence[int]) -> int | None:
        """The chunk that holds an answer word for word, else the one that supports it best; None: none does."""
        words = plain(answer)
        for number in places:
            if words in self._plain(number) and self._share(answer, number) >= SUPPORTED:
                return number
        best = max(places, key=lambda number: self._share(answer, number), default=None)
        return best if best is not None and self._share(answer, best) >= SUPPORTED else None

    def _share(self, answer: str, chunk: int) -> float:
        held = self.known.chunks[chunk]
        return support(answer, [" ".join([held.title, *held.heading_path, held.text])])

    def _plain(self, chunk: int) -> str:
        if chunk not in self.plain:
            self.plain[chunk] = plain(self.known.chunks[chunk].text)
        return self.plain[chunk]

    def _personal(self, texts: Sequence[str], chunk: int) -> bool:
        """Whether a text has personal data that its passage's document does not hold."""
        known = plain(self.known.documents[self.known.chunks[chunk].uri].text)
        return any(plain(text[span.start : span.end]) not in known for text in texts for span in pii.find(text))

    def _take(self, question: str, held: Mapping[str, _Held]) -> None:
        """The best answer and others of the same passage become a question to train on."""
        if not held:
            return
        ranked = sorted(held.values(), key=lambda each: (-each.said.score, each.said.text))
        best = ranked[0]
        ties = [each for each in ranked[1:] if each.said.score == best.said.score and each.chunk != best.chunk]
        if ties:
            for each in (best, *ties):
                self.learned.leave_out("two answers with as many votes", each.said.up)
            return
        chunk = self.known.chunks[best.chunk]
        answers = tuple(each.said.text for each in ranked if each.chunk == best.chunk)
        found = find_evidence(chunk.text, answers[0]) or (0, len(chunk.text))
        name = f"feedback-{content_id(question, chunk.uri)[:12]}"
        self.learned.questions.append(
            Question(
                id=name,
                question=question,
                answers=answers,
                document=chunk.uri,
                start=chunk.start + found[0],
                end=chunk.start + found[1],
                slice="feedback",
            )
        )
        self.learned.gold[name] = best.chunk
        self.learned.lines_of[name] = [line for each in ranked if each.chunk == best.chunk for line in each.said.up]
        self.learned.use(self.learned.lines_of[name])
        for each in ranked:
            if each.chunk != best.chunk:
                self.learned.leave_out("another answer has more votes", each.said.up)

    def _pair(self, question: str, line: Feedback, said: Mapping[str, _Said], held: Mapping[str, _Held]) -> None:
        """A correction or preferred answer that stands, beside what was shown."""
        better = line.correction if line.correction is not None else line.preferred
        if better is None:
            return
        name, worse = plain(better), plain(line.answer)
        if name == worse:
            self.learned.leave_out("the same answer again", [line.id])
        elif name.startswith(self.refusal):
            self._refusal_preferred(question, line)
        elif name in held and line.id in self.learned.used and said[name].score > said[worse].score:
            document = self.known.chunks[held[name].chunk].uri
            if not self._personal([line.answer], held[name].chunk):
                self._add(Pair(question, document, held[name].said.text, line.answer, line=line.id))

    def _refusal_preferred(self, question: str, line: Feedback) -> None:
        """A refusal in place of an answer that the passages shown do not hold."""
        places = [self.at[name] for name in line.chunk_ids if name in self.at]
        if not places or len(places) < len(line.chunk_ids):
            self.learned.leave_out("a refusal preferred, and the passages shown are not known", [line.id])
        elif any(self.known.splits[self.known.chunks[number].uri] != "train" for number in places):
            self.learned.leave_out("about a golden or validation document", [line.id])
        elif self._holding(line.answer, places) is not None:
            self.learned.leave_out("a refusal preferred to an answer that the passages hold", [line.id])
        elif self._personal([question, line.answer], places[0]):
            self.learned.leave_out("personal data that the passage does not hold", [line.id])
        else:
            uri = self.known.chunks[places[0]].uri
            self._add(Pair(question, uri, self.known.refusal, line.answer, line.chunk_ids, line.id))
            self.learned.use([line.id])

    def _add(self, pair: Pair) -> None:
        if pair not in self.learned.pairs:
            self.learned.pairs.append(pair)

    def _rest(self, line: Feedback) -> None:
        """What nothing above settled: votes without an answer to learn, and refusals that were liked."""
        if line.correction is None and line.preferred is None:
            down = line.thumb == "down"
            reason = "a thumb down without a correction" if down else "a refusal liked: nothing to hold it against"
            self.learned.leave_out(reason, [line.id])
        else:
            self.learned.leave_out("no answer of it stood", [line.id])


def _votes(lines: Sequence[Feedback]) -> dict[str, _Said]:
    """Answers with their votes; a correction speaks against what was shown, a preferred answer does not."""
    said: dict[str, _Said] = {}
    for line in lines:
        shown = said.setdefault(plain(line.answer), _Said(line.answer))
        if line.thumb == "up":
            shown.up.append(line.id)
        elif line.thumb == "down" or line.correction is not None:
            shown.down.append(line.id)
        for better in (line.correction, line.preferred):
            if better is not None:
                said.setdefault(plain(better), _Said(better.strip())).up.append(line.id)
    return said
