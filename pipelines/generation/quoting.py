"""Answers in the words of the passages: a beam search that only passages' own spans, or the refusal, can come out of.

A small model that has learnt to answer from a passage errs in two ways that reading cannot mend: it leaves the
passage's wording half-way, and it says or withholds the refusal on thin evidence. Here every step may only continue a
span of a passage, from a word's beginning to a word's end, so what comes out stands there word for word; the likeliest
of them come out, with the refusal's log-probability beside them (retrieval/spans.py chooses).
Spans of a passage as answers: Rajpurkar et al. 2016 (SQuAD); a threshold on the difference between the best span and
no answer: Rajpurkar et al. 2018 (SQuAD 2.0), Devlin et al. 2019, section 4.3.
Invariants: a quote is a substring of one of the texts; equal weights and texts give an equal quote.
Limits: for answers that a passage words, not for sums or summaries; one question at a time (its beams are the batch);
needs the model's probabilities, so the transformers engine's weights, not an upstream.
"""

import math
import re
import time
from collections.abc import Sequence
from typing import Any

import torch

from pipelines.contracts import Message
from pipelines.generation.engine import Quoted, Span
from pipelines.generation.models import render

KEPT = 24
"""Spans that come out at most."""
WITHIN = 5.0
"""Nats below the likeliest that a span may be: e^-5 of its probability, more than the evidence around it adds."""
LONGEST_PIECE = 16
"""Characters of a token: longer ones are runs of spaces and the like."""
OPENING = "([{\"'“‘«$£€#"
"""What may stand between a word's beginning and where an answer begins."""


class Quoter:
    """A causal model that answers with spans. Made once a model: the text of every token is looked up."""

    def __init__(self, model: Any, tokenizer: Any, *, beams: int = 8) -> None:
        """`model`: in evaluation mode; `tokenizer`: with its chat template."""
        self.model, self.tokenizer, self.beams = model, tokenizer, beams
        self.end = tokenizer.eos_token_id
        special = set(tokenizer.all_special_ids)
        pieces = {number: tokenizer.decode([number]) for number in range(len(tokenizer)) if number not in special}
        self.pieces = {n: piece for n, piece in pieces.items() if piece and "�" not in piece}
        self.ids = {piece: n for n, piece in reversed(self.pieces.items()) if len(piece) <= LONGEST_PIECE}

    def read(
        self, conversation: Sequence[Message], texts: Sequence[str], *, refusal: str, max_new_tokens: int = 24
    ) -> Quoted:
        """The likeliest spans of `texts` as the answer to a conversation, and how likely `refusal` is."""
        started = time.monotonic()
        prompt = self.tokenizer(render(self.tokenizer, conversation, generation=True), add_special_tokens=False)
        ids = torch.tensor([prompt["input_ids"]], device=self.model.device)
        with torch.inference_mode():
            out = self.model(ids, use_cache=True, logits_to_keep=1)
            first = out.logits[:, -1].float().log_softmax(-1)
            refused = self._refusal(out.past_key_values, first[0], refusal)
            found = self._search(out.past_key_values, first, Spans(texts, self.ids), max_new_tokens)
        said = len(self.tokenizer(found[0][0], add_special_tokens=False)["input_ids"]) + 1 if found else 0
        return Quoted(tuple(found), refused, ids.shape[1], said, time.monotonic() - started)

    def _refusal(self, cache: Any, first: torch.Tensor, refusal: str) -> float:
        """Log-probability of the refusal and its end; the cache is left as it was."""
        said = [*self.tokenizer(refusal, add_special_tokens=False)["input_ids"], self.end]
        given = torch.tensor([said[:-1]], device=self.model.device)
        after = self.model(given, past_key_values=cache).logits[0].float().log_softmax(-1)
        cache.crop(-(len(said) - 1))
        rest = torch.tensor(said[1:], device=after.device)
        return float(first[said[0]] + after.gather(1, rest[:, None]).sum())

    def _search(self, cache: Any, scores: torch.Tensor, spans: "Spans", most: int) -> list[Span]:
        """Beam search over spans; `scores`: log-probabilities [beams, vocabulary] of each beam's next token."""
        beams: list[Span] = [("", 0.0)]
        ended: dict[str, float] = {}
        for _ in range(most):
            grown: list[tuple[float, int, int]] = []
            for number, (text, so_far) in enumerate(beams):
                following, may_end = spans.after(text)
                if may_end:
                    whole, value = text.strip(), so_far + float(scores[number, self.end])
                    ended[whole] = max(value, ended.get(whole, value))
                if following:
                    allowed = torch.tensor(following, device=scores.device)
                    top = scores[number, allowed].topk(min(self.beams, len(following)))
                    chosen = zip(top.values.tolist(), allowed[top.indices].tolist(), strict=True)
                    grown += [(so_far + value, number, token) for value, token in chosen]
            least = max(ended.values(), default=-math.inf) - WITHIN  # log-probabilities only fall
            grown = [each for each in sorted(grown, reverse=True)[: self.beams] if each[0] > least]
            if not grown:
                break
            cache.reorder_cache(torch.tensor([number for _, number, _ in grown], device=scores.device))
            beams = [(beams[number][0] + self.pieces[token], so_far) for so_far, number, token in grown]
            given = torch.tensor([[token] for _, _, token in grown], device=scores.device)
            scores = self.model(given, past_key_values=cache).logits[:, -1].float().log_softmax(-1)
        best = sorted(ended.items(), key=lambda span: (-span[1], span[0]))[:KEPT]
        return [span for span in best if span[1] >= best[0][1] - WITHIN]


class Spans:
    """Which tokens continue a text so that it stays the beginning of a span of some texts."""

    def __init__(self, texts: Sequence[str], ids: dict[str, int]) -> None:
        self.text, self.ids = "\n\n".join(texts), ids

    def after(self, text: str) -> tuple[list[int], bool]:
        """Token ids in ascending order, and whether a span may end here."""
        if not text:
            return self._pieces_at(self._beginnings()), False
        places, may_end = [], False
        at = self.text.find(text)
        while at >= 0:
            end = at + len(text)
            if self._begins_word(at):
                places.append(end)
                may_end = may_end or self._ends_word(end)
            at = self.text.find(text, at + 1)
        return self._pieces_at(places), may_end

    def _beginnings(self) -> list[int]:
        return [found.start() for found in re.finditer(r"\S", self.text) if self._begins_word(found.start())]

    def _begins_word(self, at: int) -> bool:
        before = self.text[at - 1] if at else " "
        return before.isspace() or before in OPENING

    def _ends_word(self, end: int) -> bool:
        return end == len(self.text) or not (self.text[end].isalnum() and self.text[end - 1].isalnum())

    def _pieces_at(self, places: Sequence[int]) -> list[int]:
        found = set()
        for place in places:
            for length in range(1, min(LONGEST_PIECE, len(self.text) - place) + 1):
                number = self.ids.get(self.text[place : place + length])
                if number is not None:
                    found.add(number)
        return sorted(found)
