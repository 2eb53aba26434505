"""What orders to a model look like, as data: a pattern each, and how much it weighs in a question and in a passage.

A weight of 1 is enough alone, two kinds of .5 are enough together (injection.py adds them up). Manuals and policies
rightly tell people what to do, so what is clear in a question is only a hint in a passage. Forms, not phrases: a sign
names a kind of sentence, never one attack. Categories after OWASP LLM01 (2025).
"""

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Sign:
    """A pattern, and how much it weighs in a question and in a passage."""

    kind: str
    pattern: re.Pattern[str]
    in_question: float
    in_passage: float


def _any(*choices: str) -> str:
    return "(?:" + "|".join(choices) + ")"


_RULES = _any(
    *("instructions?", "rules?", "prompts?", "guidelines?", "directions?", "directives?", "orders?", "restrictions?"),
    *("polic(?:y|ies)", "filters?", "commands?", "training", "programming", "constraints?", "inputs?", "messages?"),
    *("context", "conversation", "passages?", "documents?", "sources?"),
)
_BREAK = _any(
    *("ignore", "disregard", "forget", "override", "bypass", "skip", "drop", "neglect", "set aside", "let go of"),
    *("stop following", "do not follow", "don't follow", "pay no attention to"),
)
_EARLIER = _any(
    *("previous", "prior", "above", "earlier", "preceding", "foregoing", "former", "original", "initial", "safety"),
    *("other", "your", "system"),
)
_START = (
    r"(?:^|[.!?:;\n\"'“‘\]\[(){}*>-]\s*|\b(?:please|now|then|just|you (?:must|should|will|can|may|are to|have to)) +)"
)
"""Where a sentence, or an order inside one, may begin."""
_TELL = _any(
    *("reveal", "show", "print", "repeat", "output", "tell", "give", "quote", "recite", "disclose", "display", "leak"),
    *("translate", "spell", "summari[sz]e", "write", "list", "complete", "copy", "append", "what (?:is|are|was|were)"),
)
_HIDDEN = _any(
    "system", "hidden", "initial", "original", "secret", "first", "own", "full", "whole", "internal", "confidential"
)
_MACHINE = _any(
    *("ai", r"a\.i\.", "artificial intelligence", "chat-?bots?", r"(?:chat)?gpt\w*", r"\w+gpt", "llms?", "open-?ai"),
    "(?:large )?language models?",
)
_ASSISTANT = _any("ai", "assistant", "model", "chat-?bot", "llm", "bot", "gpt", "agent") + "s?"
_ANSWER = _any("reply", "replies", "responses?", "answers?", "output", "summar(?:y|ies)")
_SAY = _any("say", "print", "output", "respond", "reply", "answer", "write", "begin", "start", "end", "finish")
_ADD = _any("append", "include", "insert", "add")
_PART = _any("word", "phrase", "text", "string", "token", "code", "sentence", "line", "exact") + "s?"
_MUST = _any("has to", "have to", "must", "should", "shall", "will", "needs? to")
_MORALS = _any(
    "restriction", "censor", "moral", "ethic", "legalit", "content (?:filter|polic)", "guideline", "confine", r"rules\b"
)
_WITHOUT = _any(
    *(
        "no",
        "without(?: any)?",
        "free (?:of|from)",
        "not (?:bound|limited|restricted|constrained) (?:by|to)",
        "broken free",
    ),
    *("ignores?", "disregards?", "(?:doesn't|does not) (?:care|follow|have)", "don't apply", "never cares?"),
    *("regardless of", "without regards? (?:for|to)"),
)
_MODES = _any("developer", "maintenance", "debug", "god", "sudo", "jailbreak", "opposite", "unrestricted")
_OTHER_BREAK = _any(
    *(
        "ignora",
        "ignorez",
        "ignorier(?:e|en|t)?",
        "vergiss",
        "vergesst",
        "missachte",
        "oubliez?",
        "olvida",
        "esque[cç]e",
    ),
    *("esqueça", "negeer", "vergeet", "dimentica", "ignoruj", "zignoruj", "descarta"),
)
_OTHER_RULES = _any(
    *("instru[çc]\\w+", "instruc\\w+", "instrukc\\w+", "anweisung\\w*", "regel\\w*", "regras?", "reglas?", "règles?"),
    *("regole", "consignes?", "istruzion\\w+", "vorgaben?", "systemprompt\\w*", "systemanweisung\\w*"),
)
_NUMBER = r"(?:\d{1,3}(?:[., ]\d{3})+|[1-9]\d{2,}|(?:hundred|thousand|million)s?)"
_MANY = _any(
    "times", "words", "lines", "copies", "numbers", "repetitions", "sentences", "paragraphs", "pages", "digits"
)

_TABLE: tuple[tuple[str, float, float, str], ...] = (
    # what was said before no longer counts
    ("override", 1, 1, rf"\b{_BREAK}\b.{{0,30}}\b{_EARLIER}\b.{{0,30}}\b{_RULES}\b"),
    ("override", 1, 1, rf"\b{_BREAK}\b.{{0,20}}\b{_RULES} (?:above|before|(?:that )?you (?:were|have|had|got|received))\b"),
    ("override", 1, 0.5, rf"{_START}{_BREAK}\b.{{0,20}}\b(?:all|any|the|these|those)\b.{{0,20}}\b{_RULES}\b"),
    ("override", 1, 1, r"\bforget (?:everything|all)\b.{0,25}\b(?:before|above|you|told|said|chat|learn\w*)"),
    ("override", 1, 1, rf"\b{_OTHER_BREAK}\b.{{0,40}}\b{_OTHER_RULES}"),
    ("new rules", 1, 0.5, rf"\b(?:new|updated|real|actual|revised) {_RULES}\s*:"),
    (
        "new rules",
        *(1, 0.5),
        r"\b(?:from (?:now|here) on(?:wards?)?|henceforth|from this (?:point|moment|message)(?: on(?:wards?)?)?),? "
        rf"(?:you|your|always|act|respond|answer|reply|every|in this chat|the {_ASSISTANT})\b",
    ),
    ("new rules", 1, 0, r"\byou(?:'re| are) (?:now|no longer|about to (?:become|be|immerse|create))\b"),
    (
        "new rules",
        *(1, 1),
        r"\b(?:your|the) (?:restrictions|safeguards|safety|limits) (?:are|is) (?:now )?(?:off|lifted|disabled|gone)\b",
    ),
    # what the model was told is to come out
    ("system prompt", 1, 1, rf"\b{_TELL}\b.{{0,60}}\bsystem (?:prompt|message|instruction)"),
    ("system prompt", 1, 1, rf"\b{_TELL}\b.{{0,60}}\b{_HIDDEN} (?:prompt|instructions?|rules|configuration)\b"),
    ("system prompt", 1, 1, rf"\b{_TELL}\b.{{0,60}}\byour (?:prompt\b|configuration|instructions?\b(?! (?:for|on|to|about|how|manual|leaflet)))"),
    ("system prompt", 1, 1, rf"\b{_TELL}\b.{{0,60}}\b(?:instructions?|rules) (?:that )?you (?:were|have|had|got|received|follow)\b"),
    ("system prompt", 1, 1, rf"\b{_TELL}\b.{{0,60}}\b(?:text|words|everything|sentences?|lines?|messages?|all) (?:that \w+ )?above\b"),
    ("system prompt", 1, 1, rf"\b(?:in|of|from) your (?:{_HIDDEN} )*(?:prompt|instructions?|message)\b.{{0,40}}\b(?:is|secret|code|marker|verbatim)\b"),
    ("system prompt", 1, 1, rf"\b(?:secret|code|marker|key)\b.{{0,40}}\b(?:in|of|from) your (?:{_HIDDEN} )*(?:prompt|instructions?|message)\b"),
    ("system prompt", 1, 1, r"\bsystem(?:prompt|anweisung|meldung|nachricht)\w*|\bprompt (?:de|del|do|du) (?:sistema|système)\b"),
    # an assistant that nothing holds
    ("lawless", 1, 0.5, r"\b(?:DAN|do anything now|jail-?br(?:eak|oken)\w*)\b(?<!\bDan)(?<!\bdan)"),
    ("lawless", 1, 0.5, rf"\b{_MODES} mode\b.{{0,40}}\b(?:in which|where|enabled?|output|you|restrictions?)\b"),
    ("lawless", 0.5, 0.5, rf"\b{_WITHOUT}\b.{{0,40}}\b{_MORALS}\w*"),
    ("lawless", 0.5, 0.5, r"\b(?:amoral|immoral|unethical|unfilte?red|uncensored|unhinged|evil (?:twin|mode|version|ai|bot))\b"),
    (
        "never refuses",
        *(0.5, 0.5),
        r"\b(?:never|not|cannot|can't|won't|don't) (?:ever )?(?:refuse|decline|say no|reject (?:a|any|the) (?:prompt|request))\b"
        r"|\brefusing is not\b|\b(?:answers?|responds? to|fulfils?) (?:any|every|all) (?:request|prompt|question)",
    ),
    (
        "role play",
        *(0.5, 0.5),
        r"\b(?:act(?:ing)?|pretend|simulat\w+|imitat\w+|role-?play\w*|behave|respond|answer|reply|play|become|transform|imagine)\b"
        rf".{{0,60}}\b(?:{_MACHINE}|character|persona|personalit(?:y|ies)|entity|entities|role of|assistant without)\b",
    ),
    ("role play", 0.5, 0.5, r"\b(?:stay|remain|keep|always) (?:\w+ )?in character\b|\b(?:persona|character)\b.{0,80}\b(?:respond|reply|prompt)\b"),
    ("role play", 0.5, 0.5, r"\b(?:i want you to|you (?:will|are going to|are to|must|shall|should)(?: now)?) (?:act|pretend|simulate|play|role-?play|become|behave|respond as|be (?:a|the|my))\b"),
    ("make-believe", 0.25, 0, r"\b(?:hypothetical|fictional|imaginary|pretend|role-?play)\w* (?:\w+ )?(?:world|scenario|game|story|character|response)\b"),
    ("make-believe", 0.25, 0, r"\blet(?:'s|s| us) (?:play|act|pretend)\b"),
    # the model is spoken to, or spoken of
    ("names the model", 0.5, 0.5, rf"\A\W*(?:\b(?:hello|hi|hey|dear|greetings)\b,? ?)?\b{_MACHINE}\b|\b(?:hello|hi|hey|dear|greetings),? {_MACHINE}\b"),
    ("names the model", 0.5, 0.5, rf"\b{_MACHINE}\b.{{0,40}}\b(?:polic|restriction|guideline|rules)"),
    ("names the model", 1, 1, rf"\b(?:note|message|attention|instructions?|memo|notice)s?\b.{{0,10}}\b(?:to|for) (?:(?:the|any|all|an|every) )*{_ASSISTANT}\b"),
    ("names the model", 1, 1, r"\b(?:dear|attention,?) (?:ai|assistant)\b"),
    (
        "names the model",
        *(0.5, 1),
        r"\b(?:the |any |this )(?:ai |language |virtual )?(?:assistant|chat-?bot|llm|bot)s?\b.{0,30}"
        r"\b(?:reading|processing|that reads?|who reads?|summari[sz]ing|must|should|shall|has to|have to|is to|never|is called|will)\b"
        r".{0,60}\b(?:answer|repl(?:y|ies)|respond|say|write|output|begin|include|ignore|state|give|recommend|mentions?|append|introduces?)\b",
    ),
    ("names the model", 1, 1, r"<\|?/?(?:im_start|im_end|system|assistant|endoftext)\|?>|\[/?(?:inst|system|sys)\]|<</?sys>>"),
    ("names the model", 1, 1, r"^\s*#*\s*(?:system|assistant)\s*:\s*(?:you|ignore|the user|new|from now|override|instruction|always)\b"),
    # the words or the form of the answer are laid down
    ("dictated answer", 1, 0.5, rf"{_START}{_any(_SAY, _ADD)}\b[^.?!\n]{{0,50}}\b(?:only|exactly|verbatim|nothing else)\b"),
    ("dictated answer", 1, 0.5, rf"{_START}{_any(_SAY, _ADD)}\b[^.?!\n]{{0,40}}\b(?:with (?:the )?(?:\w+ )?{_PART}|the (?:\w+ )?(?:word|phrase|string|exact)s?)\b"),
    ("dictated answer", 0.5, 0.5, rf"{_START}{_any('begin', 'start', 'end', 'finish', 'open', 'close')} (?:each|every|all|any|your|the) (?:\w+ )?{_ANSWER}\b"),
    ("dictated answer", 1, 0.5, rf"\b(?:your|every|each|the|all) (?:\w+ )?{_ANSWER}\b.{{0,40}}\b{_MUST} (?:always )?(?:start|begin|end|contain|include|consist|say)\b"),
    ("dictated answer", 0.5, 0.5, rf"\b(?:when(?:ever)?|if) (?:(?:you are|someone|anyone|an?|the|users?) )*(?:asked|asks?|answering|responding)\b.{{0,60}}\b{_SAY}\b"),
    ("about the answer", 0.25, 0.5, rf"\b(?:each|every|any|all|the) (?:\w+ )?(?:question|query)\b|\b(?:each|every|your|any|all) (?:\w+ )?{_ANSWER}\b|\b(?:after|before|of|in) your {_ANSWER}\b"),
    ("about the answer", 0.25, 0.5, r"\b(?:tell|inform|advise|instruct|urge|direct) (?:the|every|all|each) (?:users?|readers?)\b|\bthe user (?:must|should|has to|needs to)\b|\bof the user\b"),
    ("secrecy", 0.5, 0.5, r"\b(?:do not|don't|never|without) (?:mention|tell|reveal|disclos|inform|warn)\w*\b.{0,30}\b(?:user|reader|anyone|ban|this (?:instruction|note|message))"),
    # more than anybody reads
    ("flood", 1, 0, rf"\b(?:repeat|write|print|say|list|count|generate|output|type)\b.{{0,60}}\b{_NUMBER} {_MANY}\b"),
    (
        "flood",
        *(1, 0),
        r"\b(?:repeat|write|print|say|count|go on|continue)\b.{0,40}\b(?:for ?ever|endless\w*|infinite\w*|without (?:stopping|end)|never stop\w*|non-?stop)\b",
    ),
    ("flood", 1, 0, r"\bcount (?:\w+ )?(?:from )?\w+ to \d[\d., ]{3,}"),
    # the order is wrapped up
    ("wrapped order", 1, 1, rf"{_START}{_any('decode', 'decrypt', 'decipher', 'un-?scramble')}\b.{{0,80}}\b(?:do|follow|obey|execute|carry|comply|act|answer|respond|reply|then|instruction)\b"),
    ("wrapped order", 1, 1, r"\b(?:follow|obey|execute|carry out|comply with|do what)\b.{0,40}\b(?:encoded|decoded|base-?64|rot-?13|ciphered|scrambled)\b"),
    ("wrapped order", 1, 1, r"\b(?:backwards|encoded|base-?64|rot-?13|ciphered|scrambled)\b.{0,40}\b(?:as an? (?:order|instruction|command)|and (?:obey|follow|execute))\b"),
)  # fmt: skip
SIGNS = tuple(
    Sign(kind, re.compile(pattern, re.IGNORECASE | re.DOTALL | re.MULTILINE), question, passage)
    for kind, question, passage, pattern in _TABLE
)
