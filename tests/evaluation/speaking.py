"""What judges of the tests say: each answers by a rule that the test knows."""

import hashlib
import json
import re

from tests.chat_server import Speaks


def code_of(prompt: str) -> str:
    return re.findall(r"its code is (\w+)\.", prompt)[-1]


def answers_of(prompt: str) -> list[str]:
    """What stands between the fences of answers, in order."""
    code = code_of(prompt)
    return re.findall(rf"<answer {code}>\n(.*?)\n</answer {code}>", prompt, re.DOTALL)


def scored(prompt: str, score: int) -> str:
    return json.dumps({"code": code_of(prompt), "reason": "as it is", "score": score})


def preferred(prompt: str, better: str) -> str:
    return json.dumps({"code": code_of(prompt), "reason": "as it is", "better": better})


def draw(*of: str) -> float:
    """A number in 0..1 that depends on the texts alone."""
    return int(hashlib.sha256(" ".join(of).encode()).hexdigest()[:8], 16) / 2**32


def by_words(sensitivity: float, specificity: float) -> Speaks:
    """A judge that finds the passages' words in the answer, and errs at known rates."""

    def speak(prompt: str, model: str) -> str:
        (answer,) = answers_of(prompt)
        (passages,) = re.findall(r"<passages \w+>\n(.*?)\n</passages", prompt, re.DOTALL)
        right = set(answer.lower().split()) <= set(passages.lower().split())
        errs = draw(model, answer) > (sensitivity if right else specificity)
        return scored(prompt, 5 if right != errs else 2)

    return speak
