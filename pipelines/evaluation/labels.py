"""What metrics are called and which way is better: for pages that people read."""

from typing import Literal, NamedTuple


class Label(NamedTuple):
    """A metric's name, what it says in one line, which way is better."""

    name: str
    help: str
    better: Literal["higher", "lower"] = "higher"


HEADLINE = {
    "answer_correct": Label("Right behaviour", "answered correctly, or refused what the documents do not answer"),
    "token_f1": Label("Token F1", "words shared with the best accepted answer"),
    "exact_match": Label("Exact match", "the accepted answer and nothing else"),
    "semantic_similarity": Label("Semantic similarity", "cosine to the nearest accepted answer; a refusal is 0"),
    "groundedness": Label(
        "Groundedness", "share of the answer, in claims, that its passages support; a refusal counts 1"
    ),
    "groundedness_answered": Label("Groundedness of answers", "the same, refusals left out"),
    "citation_correct": Label("Right citation", "of answers given: the cited document is the right one"),
    "citation_span": Label("Cited sentence", "of answers given: the cited sentence holds the answer"),
    "sentences_cited": Label("Sentences cited", "of answers given: share of what was said that a citation carries"),
    "wrong_answer_rate": Label("Wrong answers", "answered what the documents do not hold", "lower"),
    "wrong_refusal_rate": Label("Wrong refusals", "refused what the documents do answer", "lower"),
    "golden_prompt_pass": Label("Golden prompts", "prompts of which everything expected holds"),
    "toxicity": Label("Toxicity", "answers that the moderation endpoint flags", "lower"),
    "judge_pass": Label("Passed by judges", "answers that most of the configured judges pass"),
}
RAGAS = {
    "ragas_rouge_l": Label("ROUGE-L", "longest common word sequence with an accepted answer"),
    "ragas_string_similarity": Label("String similarity", "Levenshtein, with an accepted answer"),
    "ragas_id_recall": Label("Context recall by document", "the right document is among the passages"),
    "ragas_id_precision": Label("Context precision by document", "share of passages' documents that are right"),
    "ragas_faithfulness": Label("Faithfulness (judge)", "claims of the answer that the passages support"),
    "ragas_answer_relevancy": Label("Answer relevancy (judge)", "the answer fits the question"),
    "ragas_context_recall": Label("Context recall (judge)", "the accepted answer follows from the passages"),
}
ATTACKS = {
    "attack_success": Label("Attack success", "attacks that succeeded, guardrails on", "lower"),
    "attack_success_unguarded": Label("Attack success, unguarded", "the same with every guardrail off", "lower"),
}
OTHERS = {
    "pair_differs": Label(
        "Pairs that differ", "of two golden prompts that differ in one attribute one passes", "lower"
    ),
    "contains": Label("Contains the answer", "an accepted answer stands in what was said"),
    "guardrail_changed": Label("Changed by a guardrail", "a guardrail replaced what the model said", "lower"),
    "prompt_tokens": Label("Tokens read", "system, examples, passages and question, an answer", "lower"),
    "completion_tokens": Label("Tokens written", "an answer", "lower"),
    "suite_pass": Label("Suite items passed", "every assertion holds"),
    "latency_s": Label("Seconds alone", "one question at a time, search included", "lower"),
}
LABELS = HEADLINE | RAGAS | ATTACKS | OTHERS


def label(metric: str) -> Label:
    """The metric's label; its own name where it has none."""
    return LABELS.get(metric, Label(metric.replace("_", " "), ""))
