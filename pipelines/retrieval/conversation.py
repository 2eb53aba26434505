"""A question and what was said before it -> a question that stands alone: what is searched for a follow-up.

Without a model: a question leans on what came before when it says so ("and in Porto?"), when a pronoun stands before
anything that it could mean, or when nothing in it tells a topic. It is completed from the earlier questions, each
completed in its turn, and the names of the last answer; weights are idf and recency. What stands alone is not touched.
With a model: `ModelRewriter`, for what needs understanding.
Source of the task: Dalton et al., "CAsT 2019: The Conversational Assistance Track" (2020); terms chosen by weight as in
Voskarides et al., "Query Resolution for Conversational Search" (2020), by idf in place of their trained classifier.
Limits: English; a topic is the last question's, not one before a change of topic; a change of aspect that names a thing
of its own ("and the price of the M3?") keeps the old aspect's words too.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.contracts import Message
from pipelines.retrieval.lexicon import Lexicon
from pipelines.retrieval.terms import terms

TURNS = 6
"""Earlier questions that are looked at."""
CONTENT_AT_MOST = 4
"""A question with more words of its own stands alone, whatever it begins with."""
FEW = 2
"""With so few words of its own, one before a pronoun is what is done to it ("where do I enter it?")."""
COMMON = 0.005
"""Share of passages from which a word alone tells no topic ("sign", "sample"; not "probation")."""
WORDS_AT_MOST = 40
"""A longer question stands alone."""
CARRIED, FROM_ANSWER = 14, 3
"""Words taken over from the earlier questions, the heaviest, and names from the last answer."""
FADE = 0.7
"""What a word's weight is multiplied with for each turn that has passed since."""

_WORD = re.compile(r"\w+(?:[-.'’/]\w+)*")
_SENTENCE = re.compile(r"[^.!?\n]+")
_LEAD = re.compile(
    r"^\W*(?:ok(?:ay)?|so|well|thanks|great)?\W*(?:(?:and|or|but)\b|(?:what|how)\s+about\b|(?:the\s+)?same\s+(?:for|in|at|with)\b)",
    re.IGNORECASE,
)
_EXPLETIVE = re.compile(
    r"\b(?:it\s+(?:take|takes|cost|costs|is|was|be|possible|okay|ok|allowed|mean|means|safe|normal)\b.*?\bto\b"
    r"|(?:is|was|does|will|would|can|did)\s+it\s+\w+(?:\s+\w+)?\s+(?:to|for|if|that|when|how|until|before|from)\b"
    r"|\b(?:is|are|was|were|be)\s+there\b|\bthere(?:['’]s|\s+(?:is|are|was|were)))",
    re.IGNORECASE,
)
_PRONOUNS = frozenset("it its itself they them their theirs he him his she her hers".split())
_POINTING = frozenset("this that these those one ones there".split())
_SPANS = frozenset("year month week day morning afternoon evening night spring summer autumn winter time".split())
_GENERIC = """
ahead allowed always amount another answer anyone anything ask away back bad big biggest called case change come cost
costs cheap cheaper day days deadline decide different difference do done early earliest easy either else enough
exactly expensive explain fast find first fit further get getting give given go goes good great happen happened happens
happening have help helps high higher hold hour hours include included information keep kind know large larger largest
last lasts late later latest least left less limit long longer longest look low lower make makes many matter max maximum
maximal mean means min minimum minute minutes money month months more most much must need needed needs never next normal
number often ok okay old only other others part pay people person place please possible price put quick quickly right
same say second see set show slow small smaller sort soon sooner start starts stay stays still stop sum take taken takes
tell thank thanks thing things think three time times total two type until up use used usual usually wait want way week
weeks weight whole without work works worth wrong year years yet apply applies both main reason found off out then us
really actually quite
"""
_GENERIC_TERMS = frozenset(term for word in _GENERIC.split() for term in terms(word))
"""Words that ask for a measure or a deed and leave open of what."""
_CODE = re.compile(r"(?=\w*[^\W\d_])(?=[\w-]*\d)[\w/-]+")
_DETERMINERS = frozenset("a an the one my our your their his her its this that".split())
_PREPOSITIONS = frozenset("in at on for from to with of by as under over about into off".split())


@dataclass(frozen=True)
class Word:
    """A word of a question, where it stands, and its stem ("" for words of grammar)."""

    text: str
    start: int
    stem: str
    first: bool
    """Whether it begins a sentence, where a capital says nothing."""

    @property
    def lower(self) -> str:
        """In small letters."""
        return self.text.lower()

    @property
    def end(self) -> int:
        """Where it ends."""
        return self.start + len(self.text)

    @property
    def code(self) -> bool:
        """Letters and digits together: `M3`, `CV-101`."""
        return _CODE.fullmatch(self.text) is not None

    @property
    def named(self) -> bool:
        """A code, or a capital where none is due."""
        return self.code or (self.text[0].isupper() and not self.first and bool(self.stem))

    @property
    def tells(self) -> bool:
        """Whether it says what is asked about; a number alone does not."""
        return self.code or (bool(self.stem) and self.stem not in _GENERIC_TERMS and not self.text[0].isdigit())


@dataclass(frozen=True)
class Thing:
    """Names side by side: `Merle M3`, `Porto`."""

    words: tuple[Word, ...]
    after: str
    """The preposition before it, "" if there is none."""

    @property
    def code(self) -> bool:
        """Whether a code is part of it."""
        return any(word.code for word in self.words)

    def fits(self, place: "Thing") -> tuple[bool, bool, int]:
        """How well it fits in the place of another: same preposition, same initial; the later of equals."""
        same_initial = self.words[-1].lower[0] == place.words[-1].lower[0]
        return self.after == place.after, same_initial, place.words[0].start


def leans(question: str, lexicon: Lexicon) -> bool:
    """Whether a question means something only together with what came before it."""
    words = words_of(question)
    own = [word for word in words if word.tells]
    if len(own) > CONTENT_AT_MOST or len(words) > WORDS_AT_MOST:
        return False
    if _LEAD.search(question) or _free_pronoun(question, words):
        return True
    return not own or (len(own) == 1 and not own[0].named and _common(own[0], lexicon))


def complete(question: str, history: Sequence[Message], lexicon: Lexicon) -> str:
    """The question with what it leans on; as it is where it stands alone or nothing came before."""
    turns = _turns(history)[-TURNS:]
    if not turns or not leans(question, lexicon):
        return question
    first, said = turns[0]
    whole = [first]
    for asked, answer in turns[1:]:
        whole, said = (_joined(asked, whole, said) if leans(asked, lexicon) else [asked]), answer
    *before, asked = _joined(question, whole, said)
    return " ".join([*_heaviest(before, lexicon), asked])


def _joined(question: str, before: Sequence[str], answer: str) -> list[str]:
    """A follow-up after the questions and the answer before it, or as one with them; the oldest first."""
    if _LEAD.search(question) and (swapped := _swapped(question, " ".join(before))):
        return [swapped]
    return [*before, " ".join([*_names(answer), question])]


def _heaviest(before: Sequence[str], lexicon: Lexicon) -> list[str]:
    """Questions as they are while they are short, else their heaviest words in order."""
    words = [(word, age) for age, text in enumerate(reversed(before)) for word in words_of(text) if word.tells]
    if len(words) <= CARRIED:
        return list(before)
    weights = lexicon.idf([word.stem for word, _ in words]) * FADE ** np.array([age for _, age in words])
    chosen: dict[str, str] = {}
    for place in np.argsort(-weights, kind="stable"):
        chosen.setdefault(words[place][0].stem, words[place][0].text)
    kept = set(list(chosen)[:CARRIED])
    ordered = [word for word, _ in sorted(words, key=lambda each: (-each[1], each[0].start)) if word.stem in kept]
    return list(dict.fromkeys(word.text for word in ordered))


def _names(answer: str) -> list[str]:
    """The names of an answer, which often consists of one alone: `Tomasz Wilk.`, `SP-330.`"""
    words = words_of(answer)
    alone = all(word.text[0].isupper() or word.code for word in words)
    found = [word.text for word in words if len(word.text) > 1 and (word.named or (alone and word.stem))]
    return list(dict.fromkeys(found))[:FROM_ANSWER]


def _swapped(question: str, before: str) -> str | None:
    """The question before with the thing that the follow-up names, in place of its own of that kind.

    "How heavy is an H5?", "What about the H7?": "How heavy is an H7?". None where there is no such place.
    """
    asked = words_of(question)
    new = things(asked)
    if len(new) != 1:
        return None
    olds = [old for old in things(words_of(before)) if old.code == new[0].code]
    if not olds:
        return None
    old = max(olds, key=new[0].fits)
    named = " ".join(word.text for word in new[0].words)
    rest = [word.text for word in asked if word.tells and word not in new[0].words]
    return " ".join([before[: old.words[0].start] + named + before[old.words[-1].end :], *rest])


def things(words: Sequence[Word]) -> list[Thing]:
    """The names of a question, those side by side as one."""
    found: list[Thing] = []
    run: list[Word] = []
    for at, word in enumerate(words):
        if not word.named:
            continue
        run.append(word)
        following = words[at + 1] if at + 1 < len(words) else None
        if following is None or not following.named or following.start > word.end + 1:
            found.append(Thing(tuple(run), _preposition(words[: at + 1 - len(run)])))
            run = []
    return found


def _preposition(before: Sequence[Word]) -> str:
    for word in reversed(before):
        if word.lower in _PREPOSITIONS:
            return word.lower
        if word.lower not in _DETERMINERS:
            return ""
    return ""


def _free_pronoun(question: str, words: Sequence[Word]) -> bool:
    """Whether a pronoun comes before any word that it could stand for; one word may be what is done to it."""
    expletive = [found.span() for found in _EXPLETIVE.finditer(question)]
    few = sum(word.tells for word in words) <= FEW
    before = 0
    for at, word in enumerate(words):
        if any(start <= word.start < end for start, end in expletive):
            continue
        if word.lower in _PRONOUNS or (word.lower in _POINTING and _points(words, at)):
            return True
        before += word.tells
        if word.named or before > (1 if few else 0):
            return False
    return False


def _points(words: Sequence[Word], at: int) -> bool:
    """Whether `this` or `that` stands for something said: at the end, or before a word that tells nothing."""
    if at + 1 == len(words):
        return True
    following = words[at + 1]
    return not following.tells and following.stem not in _SPANS and following.lower not in _DETERMINERS


def _common(word: Word, lexicon: Lexicon) -> bool:
    """Whether so many passages hold a word that it alone tells no topic; idf is ln((N + 1) / (n + .5))."""
    held = (lexicon.passages + 1) / np.exp(lexicon.idf([word.stem])[0]) - 0.5
    return bool(held > COMMON * lexicon.passages)


def _turns(history: Sequence[Message]) -> list[tuple[str, str]]:
    """Each earlier question with its answer, "" where there was none."""
    turns: list[tuple[str, str]] = []
    for message in history:
        if message.role == "user" and message.content.strip():
            turns.append((message.content.strip(), ""))
        elif message.role == "assistant" and turns:
            turns[-1] = (turns[-1][0], message.content)
    return turns


def words_of(text: str) -> list[Word]:
    """The words of a text in order."""
    return list(_words(text))


def _words(text: str) -> Iterator[Word]:
    for sentence in _SENTENCE.finditer(text):
        for number, found in enumerate(_WORD.finditer(sentence.group())):
            stems = terms(found.group())
            yield Word(found.group(), sentence.start() + found.start(), stems[0] if stems else "", number == 0)
