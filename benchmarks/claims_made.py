"""Statements about a passage of which it is known by construction whether the passage says them.

Right: a sentence as it stands, shortened, reordered, with synonyms, two joined, or a person's question with its answer
put in its place (xquad_en: in words of the questioner, the nearest to a paraphrase that a program can make). Wrong: a
right one of any of those kinds with one thing changed: a name or number of the same passage in the place of another, a
number changed, a negation added or removed, two names changed round, a word turned into its contrary, another answer of
the same passage; or a sentence of another passage of the same document. What a change leaves true by chance (a list
whose parts change places) stays in and counts as an error of the checker.
"""

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

SHORTEST, LONGEST = 7, 45
"""Words of a sentence that is used."""
RIGHT, ELSEWHERE, ANSWER_SWAPPED = "right", "other_passage", "answer_swapped"

_NAME = re.compile(r"(?<![.!?:] )(?<!^)\b[A-Z][\w’'-]+(?: (?:of (?:the )?)?[A-Z][\w’'-]+)*")
_NUMBER = re.compile(r"\b\d[\d,]*(?:\.\d+)?\b")
_AUXILIARY = re.compile(
    r"\b(is|are|was|were|has|have|had|can|could|may|might|must|will|would|should)\b(?! (?:not|no|never)\b)"
)
_DENIED = re.compile(
    r"\b(is|are|was|were|has|have|had|can|could|may|must|will|would|should|do|does|did)(?: not|n't| never)\b"
)
_LEADING = re.compile(
    r"^((?:In|On|At|After|Before|During|By|Since|From|When|While|Although|Under|For|With) [^,;]{3,60}), (.+)$"
)
_ASIDE = re.compile(r",[^,;]{5,80},|\s\([^()]*\)")
_TAIL = re.compile(r",? (?:which|who|where|while|although|because|after|before|including|such as|with|during)\b.*$")

SYNONYMS = {
    "large": "sizeable",
    "important": "significant",
    "many": "numerous",
    "show": "demonstrate",
    "shows": "demonstrates",
    "used": "employed",
    "use": "employ",
    "began": "started",
    "often": "frequently",
    "help": "assist",
    "called": "termed",
    "made": "produced",
    "people": "persons",
    "country": "nation",
    "area": "region",
    "big": "sizeable",
    "several": "various",
    "only": "solely",
    "about": "roughly",
    "near": "close to",
    "built": "constructed",
    "found": "discovered",
    "died": "passed away",
    "also": "additionally",
    "must": "has to",
    "get": "obtain",
    "need": "require",
    "needs": "requires",
    "sent": "dispatched",
    "buy": "acquire",
    "however": "nevertheless",
    "because": "since",
    "main": "principal",
    "led": "headed",
    "held": "staged",
    "known": "recognised",
    "different": "distinct",
    "number": "quantity",
    "members": "participants",
    "became": "turned into",
    "within": "inside",
    "every": "each",
    "part": "portion",
    "given": "granted",
    "largest": "biggest",
    "small": "little",
    "usually": "generally",
    "located": "situated",
    "during": "in the course of",
    "changed": "altered",
}
CONTRARIES = {
    "increased": "decreased",
    "increase": "decrease",
    "more": "less",
    "most": "least",
    "first": "last",
    "before": "after",
    "after": "before",
    "large": "small",
    "largest": "smallest",
    "high": "low",
    "higher": "lower",
    "above": "below",
    "early": "late",
    "earlier": "later",
    "north": "south",
    "northern": "southern",
    "southern": "northern",
    "eastern": "western",
    "western": "eastern",
    "began": "ended",
    "win": "lose",
    "won": "lost",
    "all": "none of",
    "always": "never",
    "often": "rarely",
    "usually": "seldom",
    "major": "minor",
    "strong": "weak",
    "new": "old",
    "long": "short",
    "many": "few",
    "same": "opposite",
    "accepted": "rejected",
    "allowed": "forbidden",
    "supported": "opposed",
    "include": "exclude",
    "includes": "excludes",
    "public": "private",
    "possible": "impossible",
    "with": "without",
    "inside": "outside",
    "up": "down",
    "maximum": "minimum",
    "free": "paid",
}


@dataclass(frozen=True)
class Stated:
    """A statement and the passage that it is held against; `kind`: `right` or what is wrong; `form`: how it is put."""

    text: str
    passage: str
    kind: str
    form: str
    group: str
    """What it depends on: the passage's document."""


@dataclass(frozen=True)
class Passage:
    """A passage with questions that it answers: (question, answer)."""

    text: str
    group: str
    questions: tuple[tuple[str, str], ...] = ()


_BOUNDARY = re.compile(r"(?<=[a-z0-9)\"”][.!?])\s+(?=[A-Z\"“])|(?<=[a-z0-9)] [.!?])\s+(?=[A-Z\"“])|\n+")


def sentences(text: str) -> list[str]:
    """Sentences of running text that are neither too short nor too long to be changed."""
    found = (part.strip() for part in _BOUNDARY.split(text))
    return [
        part
        for part in found
        if SHORTEST <= len(part.split()) <= LONGEST and part.endswith((".", "!")) and "|" not in part
    ]


def stated(passages: Sequence[Passage], *, rng: random.Random, right_each: int = 3) -> list[Stated]:
    """Right statements about every passage, and one wrong one of each kind that can be made of each of them."""
    found: list[Stated] = []
    for number, passage in enumerate(passages):
        own = sentences(passage.text)
        chosen = rng.sample(own, min(right_each, len(own)))
        for sentence in chosen:
            form, text = _reworded(sentence, own, rng)
            found.append(Stated(text, passage.text, RIGHT, form, passage.group))
            for kind, change in CHANGES.items():
                other_form, other = _reworded(rng.choice(chosen), own, rng)
                changed = change(other, passage.text, rng)
                if changed is not None and changed not in passage.text:
                    found.append(Stated(changed, passage.text, kind, other_form, passage.group))
        found += _elsewhere(passages, number, rng)
        found += _answered(passage, rng)
    return found


def _elsewhere(passages: Sequence[Passage], number: int, rng: random.Random) -> Iterator[Stated]:
    here = passages[number]
    others = [i for i, each in enumerate(passages) if each.group == here.group and abs(i - number) > 1]
    pool = sentences(passages[rng.choice(others)].text) if others else []
    if pool and (sentence := rng.choice(pool)) not in here.text:
        form, text = _reworded(sentence, pool, rng)
        yield Stated(text, here.text, ELSEWHERE, form, here.group)


# --- right ways to say it ------------------------------------------------------------------------


def _reworded(sentence: str, others: Sequence[str], rng: random.Random) -> tuple[str, str]:
    """A form and the sentence in it; `as_is` where the form that was drawn does not fit."""
    form = rng.choice(list(FORMS))
    text = FORMS[form](sentence, others, rng)
    return (form, text) if text is not None and text != sentence else ("as_is", sentence)


def _as_is(sentence: str, _: Sequence[str], __: random.Random) -> str | None:
    return sentence


def _shortened(sentence: str, _: Sequence[str], __: random.Random) -> str | None:
    text = _ASIDE.sub("", sentence)
    if len(cut := _TAIL.sub(".", text).split()) >= SHORTEST:
        text = " ".join(cut)
    return text


def _reordered(sentence: str, _: Sequence[str], __: random.Random) -> str | None:
    match = _LEADING.match(sentence)
    if match is None:
        return None
    first, rest = match.groups()
    return f"{rest[0].upper()}{rest[1:].rstrip('.! ')} {first[0].lower()}{first[1:]}."


def _with_synonyms(sentence: str, _: Sequence[str], rng: random.Random) -> str | None:
    words = sentence.split(" ")
    places = [i for i, word in enumerate(words) if word in SYNONYMS]
    for place in rng.sample(places, min(3, len(places))):
        words[place] = SYNONYMS[words[place]]
    return " ".join(words)


def _joined(sentence: str, others: Sequence[str], rng: random.Random) -> str | None:
    other = rng.choice(list(others))
    return None if other == sentence else f"{_shortened(sentence, others, rng)} {_with_synonyms(other, others, rng)}"


Form = Callable[[str, Sequence[str], random.Random], str | None]
FORMS: dict[str, Form] = {
    "as_is": _as_is,
    "shortened": _shortened,
    "reordered": _reordered,
    "synonyms": _with_synonyms,
    "joined": _joined,
}


# --- wrong ways ----------------------------------------------------------------------------------


def _name_changed(text: str, passage: str, rng: random.Random) -> str | None:
    own, there = _NAME.findall(text), _NAME.findall(passage)
    others = sorted({name for name in there if not any(name in each or each in name for each in own)})
    if not own or not others:
        return None
    return text.replace(rng.choice(own), rng.choice(others), 1)


def _names_swapped(text: str, _: str, rng: random.Random) -> str | None:
    own = list(_NAME.finditer(text))
    if len(own) < 2:
        return None
    one, other = sorted(rng.sample(own, 2), key=lambda match: match.start())
    between = text[one.end() : other.start()]
    if one.group() == other.group() or re.fullmatch(r"[,\s]*(?:and|or|,)?\s*", between):
        return None
    return f"{text[: one.start()]}{other.group()}{between}{one.group()}{text[other.end() :]}"


def _number_changed(text: str, _: str, rng: random.Random) -> str | None:
    own = _NUMBER.findall(text)
    if not own:
        return None
    old = rng.choice(own)
    digits = [i for i, character in enumerate(old) if character.isdigit()]
    place = rng.choice(digits)
    new = old[:place] + str((int(old[place]) + rng.randint(1, 8)) % 10 or 9) + old[place + 1 :]
    return None if new == old else text.replace(old, new, 1)


def _number_of_passage(text: str, passage: str, rng: random.Random) -> str | None:
    own = _NUMBER.findall(text)
    others = sorted(set(_NUMBER.findall(passage)) - set(own))
    return text.replace(rng.choice(own), rng.choice(others), 1) if own and others else None


def _negated(text: str, _: str, __: random.Random) -> str | None:
    return _AUXILIARY.sub(r"\1 not", text, count=1) if _AUXILIARY.search(text) else None


def _negation_removed(text: str, _: str, __: random.Random) -> str | None:
    return _DENIED.sub(r"\1", text, count=1) if _DENIED.search(text) else None


def _contrary(text: str, _: str, rng: random.Random) -> str | None:
    words = text.split(" ")
    places = [i for i, word in enumerate(words) if word in CONTRARIES]
    if not places:
        return None
    place = rng.choice(places)
    words[place] = CONTRARIES[words[place]]
    return " ".join(words)


Change = Callable[[str, str, random.Random], str | None]
CHANGES: dict[str, Change] = {
    "name_changed": _name_changed,
    "names_swapped": _names_swapped,
    "number_changed": _number_changed,
    "number_of_passage": _number_of_passage,
    "negation_added": _negated,
    "negation_removed": _negation_removed,
    "contrary": _contrary,
}


# --- questions with their answers ----------------------------------------------------------------

_BE = r"(?:is|are|was|were)"
_PLACED = (
    (re.compile(r"^(?:when|in what year|in which year) (?:did|does|do) (?P<rest>.+)$", re.I), "{rest} in {answer}"),
    (re.compile(rf"^when (?P<be>{_BE}) (?P<rest>.+)$", re.I), "{answer} {be} when {rest}"),
    (re.compile(rf"^(?:who|what|which) (?P<be>{_BE}) (?P<rest>the .+)$", re.I), "{rest} {be} {answer}"),
    (re.compile(r"^how (?:many|much) (?P<rest>.+)$", re.I), "{answer} {rest}"),
    (re.compile(r"^where (?:did|does|do) (?P<rest>.+)$", re.I), "{rest} in {answer}"),
    (re.compile(r"^(?:who|what|which) (?:did|does|do) (?P<rest>.+)$", re.I), "{rest} {answer}"),
    (re.compile(r"^(?:who|what) (?P<rest>(?!kind|type|sort)\w+(?:s|ed) .+)$", re.I), "{answer} {rest}"),
    (re.compile(r"^(?:which|what) (?P<rest>\w+ .+)$", re.I), "{answer} is the {rest}"),
    (re.compile(r"^(?P<rest>.+) (?:what|who|which \w+)$", re.I), "{rest} {answer}"),
)


def statement(question: str, answer: str) -> str | None:
    """A question with its answer as one statement, where a pattern fits."""
    asked = " ".join(question.split()).rstrip("? ")
    for pattern, form in _PLACED:
        if match := pattern.match(asked):
            text = form.format(answer=answer.rstrip("."), **match.groupdict())
            return f"{text[0].upper()}{text[1:]}."
    return None


def _answered(passage: Passage, rng: random.Random) -> Iterator[Stated]:
    answers = list(dict.fromkeys(answer for _, answer in passage.questions))
    for question, answer in passage.questions:
        text = statement(question, answer)
        alike = [each for each in answers if _shape(each) == _shape(answer) and not _shares(each, answer)]
        if text is None:
            continue
        yield Stated(text, passage.text, RIGHT, "question", passage.group)
        if alike and (wrong := statement(question, rng.choice(alike))) is not None:
            yield Stated(wrong, passage.text, ANSWER_SWAPPED, "question", passage.group)


def _shape(answer: str) -> str:
    if answer[:1].isdigit():
        return "number"
    return "name" if answer[:1].isupper() else "words"


def _shares(one: str, other: str) -> bool:
    return bool({*one.lower().split()} & {*other.lower().split()})
