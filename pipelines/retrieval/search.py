"""Queries -> hits: what a question means, what the index brings for it, what ranks that, what of it is shown.

Order, visible in `Searcher.results`: rewrite (a follow-up becomes a whole question), encode, gather (vectors and BM25
bring candidates), features (a weighted sum of what speaks for each), rerank, pick (diversity, a document's share).
Vectors and words are fused by their scores, not their ranks: Bruch, Gai, Ingber, "An Analysis of Fusion Functions for
Hybrid Retrieval" (2023); reciprocal ranks throw away the size of a lead. The weights (`retrieval.weights`) were
fitted on questions of several domains, each left out in turn (docs/search.md).
Invariant: a hit's parts add up to its score.
"""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipelines.contracts import Chunk, Hit, Message, content_id
from pipelines.errors import EngineError, QuestionFileError, SettingsError
from pipelines.generation.engine import Engine
from pipelines.modelfiles import model_digest
from pipelines.retrieval import answerable, conversation, index, index_writing, variants
from pipelines.retrieval.candidates import Candidates, Floats, Vectors, distinct, gather, of_rows
from pipelines.retrieval.diversity import Pick, pick
from pipelines.retrieval.embedder import Embedder
from pipelines.retrieval.features import all_features
from pipelines.retrieval.filters import EVERYTHING, Filters
from pipelines.retrieval.parents import parents_of
from pipelines.retrieval.rerankers import Reranker, open_reranker
from pipelines.retrieval.rewriting import ModelRewriter, load_rewrite_prompt
from pipelines.retrieval.terms import terms
from pipelines.retrieval.variants import Wording
from pipelines.settings import Settings

LONGEST_QUERY = 20_000
"""Characters of a query or of an earlier message: a longer one is a mistake or an attack."""
LONGEST_HISTORY = 200
"""Earlier messages."""
SOMETIMES = frozenset({"superseded", "diversity", "reranker"})
"""Parts that a hit shows only where they are not 0."""


@dataclass(frozen=True)
class Result:
    """What a query came to. `searched`: the question as it was searched, and other wordings searched beside it."""

    searched: tuple[str, ...]
    hits: list[Hit]
    answerable: float | None
    """The probability that the documents answer; None: not estimated."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""


class Searcher:
    """An index version, open for questions."""

    def __init__(self, settings: Settings, state: Path, folder: Path, *, engine: Engine | None = None) -> None:
        """`folder`: a stage folder (or a release's `index/`) that holds index.json.

        `engine` words queries for `retrieval.rewrite: model`; without one, the base model is opened when it is needed.
        Raises IndexMismatchError when it holds none, or one of another embedding model. A version that is
        missing from the store is rebuilt from the folder.
        """
        self.settings = settings.retrieval
        self._judges = settings.embedding.model == settings.retrieval.answerable_model
        self.embedder = Embedder(settings.embedding, threads=settings.runtime.threads)
        self.pointer = index.load_pointer(folder, self.embedder.space)
        self._index = index_writing.opened(state, folder, settings, self.pointer)
        self._all, self._state, self._engine = settings, state, engine

    @property
    def tag(self) -> str:
        """The index version."""
        return self.pointer.tag

    @cached_property
    def digest(self) -> str:
        """Identity of what is found: the index version and the models and prompts that `retrieval` names by place."""
        chosen, reranker = self.settings, self.settings.reranker
        wording = load_rewrite_prompt(chosen.rewrite_prompt).digest if chosen.rewrite == "model" else None
        judging = model_digest(reranker.model) if reranker.kind == "cross_encoder" and reranker.model else None
        return content_id(self.tag, wording, judging)

    def search(self, queries: Sequence[str], k: int, filters: Filters = EVERYTHING) -> list[list[Hit]]:
        """The k best chunks that may be found, for each query, best first. Raises as `results` does."""
        return [result.hits for result in self.results(queries, k, filters)]

    def results(
        self,
        queries: Sequence[str],
        k: int,
        filters: Filters = EVERYTHING,
        *,
        histories: Sequence[Sequence[Message]] = (),
    ) -> list[Result]:
        """The k best chunks for each query and what was searched for it. `histories`: what was said before each.

        Raises QuestionFileError for an empty or overlong query, or a filter with a value that it cannot have;
        EngineError where a model or server that the settings name fails.
        """
        for number, query in enumerate(queries, 1):
            check_query(query, number)
        where = filters.where()
        texts = [[query, *more] for query, more in self._worded(self.rewritten(queries, histories))]
        vectors = iter(self.embedder.encode_queries([text for each in texts for text in each]))
        asked = [[Wording(text, next(vectors), {}) for text in each] for each in texts]
        return [self._one(wordings, k, where) for wordings in asked]

    def rewritten(self, queries: Sequence[str], histories: Sequence[Sequence[Message]] = ()) -> list[str]:
        """Queries as they stand alone, by `retrieval.rewrite`. Raises QuestionFileError, EngineError."""
        if not histories or self.settings.rewrite == "none":
            return list(queries)
        for number, history in enumerate(histories, 1):
            check_history(history, number)
        asked = list(zip(queries, histories, strict=True))
        if self.settings.rewrite == "model":
            return self._rewriter.complete(asked)
        return [conversation.complete(query, history, self._index.lexicon) for query, history in asked]

    def candidates(self, query: str, vector: Vectors, k: int, where: str | None = None) -> Candidates:
        """What both searches bring."""
        return self._gather(Wording(query, vector, {}), k, where)

    def shown(self, hits: Sequence[Hit]) -> list[Chunk]:
        """What a model is shown of hits, best first: the chunks, or with `retrieval.parent_tokens` their parents."""
        chunks = [hit.chunk for hit in hits]
        if not self.settings.parent_tokens:
            return chunks
        parents = parents_of(self._index, chunks, self.settings.parent_tokens)
        return [passage for parent in parents for passage in parent.passages]

    # --- the steps -------------------------------------------------------------------------------

    def _worded(self, questions: Sequence[str]) -> list[tuple[str, list[str]]]:
        """Each question with the other wordings that need no search first."""
        more = self.settings.queries - 1
        if more and self.settings.rewrite == "model":
            return list(zip(questions, self._rewriter.variants(questions, more), strict=True))
        return [(each, variants.wordings(each, self._index.lexicon)[: more - 1] if more else []) for each in questions]

    def _one(self, wordings: list[Wording], k: int, where: str | None) -> Result:
        found, parts, searched = self._scored(wordings, k, where)
        parts, notes = self._reranked(searched[0].text, found, parts)
        picks = self._picked(found, parts, k)
        hits = [_hit(found, each, parts) for each in picks]
        likely = answerable.probability(found, self.settings.answerable_weights) if self._judges else None
        return Result(tuple(each.shown for each in searched), hits, likely, notes)

    def _scored(
        self, wordings: list[Wording], k: int, where: str | None
    ) -> tuple[Candidates, dict[str, Floats], list[Wording]]:
        """The candidates of every wording, the parts of their scores, and the wordings, feedback among them."""
        first = self._gather(wordings[0], k, where)
        parts = self._parts(first)
        if self.settings.queries == 1:
            return first, parts, wordings
        if self.settings.rewrite != "model" and (
            more := variants.expanded(first, _sum(parts, first), wordings[0].text)
        ):
            wordings = [*wordings, more]
        brought = [first, *(self._gather(each, k, where) for each in wordings[1:])]
        rows = distinct([each.rows for each in brought])
        under = [of_rows(rows, terms(each.text), each.vector, first.lexicon, each.extra) for each in wordings]
        return under[0], variants.fused([self._parts(each) for each in under], self.settings.fuse_by), wordings

    def _gather(self, wording: Wording, k: int, where: str | None) -> Candidates:
        most = max(k, self.settings.candidates)
        return gather(self._index, wording.text, wording.vector, most, where, wording.extra)

    def _parts(self, found: Candidates) -> dict[str, Floats]:
        """What each feature adds to each candidate's score."""
        features = all_features(found)
        check_weights(self.settings.weights, features)
        parts = {name: weight * features[name] for name, weight in self.settings.weights.items() if weight}
        older = np.array(found.column("superseded"), dtype=bool)
        if older.any():
            parts["superseded"] = -self.settings.superseded_penalty * older.astype(np.float64)
        return parts

    def _reranked(
        self, query: str, found: Candidates, parts: dict[str, Floats]
    ) -> tuple[dict[str, Floats], tuple[str, ...]]:
        """The parts with the reranker's for the best candidates, and a note where it failed and may be skipped."""
        if self._reranker is None or not len(found):
            return parts, ()
        best = np.argsort(-_sum(parts, found), kind="stable")[: self.settings.reranker.candidates]
        try:
            judged = self._reranker(query, found.texts(best))
        except EngineError as exc:
            if self.settings.reranker.on_failure == "error":
                raise
            return parts, (f"not reranked: {exc}",)
        added = np.zeros(len(found))
        added[best] = self.settings.reranker.weight * judged
        return {**parts, "reranker": added}, ()

    def _picked(self, found: Candidates, parts: dict[str, Floats], k: int) -> list[Pick]:
        return pick(
            _sum(parts, found),
            found.column("id"),
            found.vectors,
            found.column("document_id"),
            k,
            strength=self.settings.diversity,
            per_document=self.settings.per_document,
        )

    @cached_property
    def _reranker(self) -> Reranker | None:
        return open_reranker(self.settings.reranker, threads=self._all.runtime.threads)

    @cached_property
    def _rewriter(self) -> ModelRewriter:
        prompt = load_rewrite_prompt(self.settings.rewrite_prompt)
        if self._engine is not None:
            return ModelRewriter(self._engine, prompt)
        from pipelines.generation.engines import open_engine

        threads = self._all.runtime.threads
        engine = open_engine(self._all.generation, adapter=None, state=self._state, threads=threads)
        return ModelRewriter(engine, prompt)


def _sum(parts: dict[str, Floats], found: Candidates) -> Floats:
    whole: Floats = np.sum([np.zeros(len(found)), *parts.values()], axis=0)
    return whole


def _hit(found: Candidates, picked: Pick, parts: dict[str, Floats]) -> Hit:
    whole = {name: float(values[picked.row]) for name, values in parts.items()} | {"diversity": picked.loss}
    own = {name: value for name, value in whole.items() if value or name not in SOMETIMES}
    return Hit(chunk=found.chunk(picked.row), score=sum(own.values()), parts=own)


def check_history(history: Sequence[Message], number: int) -> None:
    """Raise QuestionFileError for a conversation that is too long to be one."""
    if len(history) > LONGEST_HISTORY or any(len(message.content) > LONGEST_QUERY for message in history):
        raise QuestionFileError(
            f"The history of query {number} has more than {LONGEST_HISTORY} messages, or one of more than "
            f"{LONGEST_QUERY:,} characters. Send the last turns alone."
        )


def check_weights(weights: Collection[str], features: Collection[str]) -> None:
    """Raise SettingsError for a weight of a feature that there is none of; names the nearest."""
    for name in weights:
        if name not in features:
            near = difflib.get_close_matches(name, features, n=1)
            hint = f"did you mean `{near[0]}`?" if near else f"features: {', '.join(features)}."
            raise SettingsError(f"unknown feature `{name}` in retrieval.weights: {hint}")


def check_query(query: str, number: int) -> None:
    """Raise QuestionFileError for a query that cannot be searched."""
    if not query.strip():
        raise QuestionFileError(f"Query {number} is empty: give it some words.")
    if len(query) > LONGEST_QUERY:
        raise QuestionFileError(
            f"Query {number} has {len(query):,} characters; the limit is {LONGEST_QUERY:,}. Shorten it to the question."
        )
