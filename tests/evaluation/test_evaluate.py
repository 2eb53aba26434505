"""From a suite to a report, a red team and a decision: real answer systems over stand-in engines."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.artifacts import StageJob, read_json, read_lines, write_lines
from pipelines.contracts import Attack, Decision, Measurement, Question
from pipelines.errors import QuestionFileError
from pipelines.evaluation import gate
from pipelines.evaluation.asking import Asked
from pipelines.evaluation.evaluate import Opened, evaluate
from pipelines.evaluation.items import by_metric, read_items, suite_of
from pipelines.evaluation.redteam import Opened as OpenedAttack
from pipelines.evaluation.redteam import attack, canary_of
from pipelines.evaluation.suites import chosen, load_attacks, load_suite
from pipelines.evaluation.systems import Description
from tests.evaluation.conftest import OFF, WordFinder, questions, system
from tests.fakes import EchoingEngine, ReadingEngine

World = Callable[[str], StageJob]


def opener(job: StageJob, engines: dict[str, EchoingEngine | ReadingEngine]) -> Callable[[Description], Opened]:
    def open_system(description: Description) -> Opened:
        engine = engines[description.role]
        answering = system(engine, job.state)
        return Opened(WordFinder(), answering, WordFinder.encode, lambda: engine.name, lambda: None)

    return open_system


@pytest.fixture
def evaluated(world: World) -> StageJob:
    job = world("evaluate")
    evaluate(job, opener(job, {"base": EchoingEngine(), "candidate": ReadingEngine()}))
    return job


def figure(job: StageJob, system: str, metric: str, part: str = "all") -> Measurement:
    rows = [Measurement.model_validate(row) for row in read_json(job.output / "report.json")["measurements"]]
    return next(row for row in rows if (row.system, row.metric, row.slice) == (system, metric, part))


def test_a_report_holds_what_the_systems_did(evaluated: StageJob) -> None:
    # The reader answers all 30 and refuses all 10; the echo's words are no answer.
    assert figure(evaluated, "candidate", "answer_correct").value == 1.0
    assert figure(evaluated, "candidate", "answer_correct").n == 40
    assert figure(evaluated, "candidate", "wrong_refusal_rate").value == 0.0
    assert figure(evaluated, "candidate", "citation_span").value == 1.0
    assert figure(evaluated, "candidate", "golden_prompt_pass").value == 1.0
    assert figure(evaluated, "base", "exact_match").value == 0.0
    assert figure(evaluated, "candidate", "document_recall@3").value == 1.0
    assert figure(evaluated, "candidate", "ragas_rouge_l").value == 1.0
    # d9 repeats d0: ten documents are nine groups.
    assert figure(evaluated, "candidate", "answer_correct").n_groups == 9


def test_differences_are_paired_and_the_page_says_who_is_better(evaluated: StageJob) -> None:
    report = read_json(evaluated.output / "report.json")
    found = next(c for c in report["comparisons"] if c["metric"] == "token_f1" and c["slice"] == "all")
    assert (found["system"], found["against"], found["n"]) == ("candidate", "base", 30)
    assert found["low"] > 0.5
    page = (evaluated.output / "report.html").read_text()
    assert "The candidate is better than the base model" in page
    assert "damaged &lt;xref&gt; table" in page  # quarantined, and escaped
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


def test_a_stopped_evaluation_asks_nothing_twice(world: World) -> None:
    engines: dict[str, EchoingEngine | ReadingEngine] = {"base": EchoingEngine(), "candidate": ReadingEngine()}
    job = world("evaluate")
    evaluate(job, opener(job, engines))
    asked = [engine.calls for engine in engines.values()]
    evaluate(job, opener(job, engines))
    assert [engine.calls for engine in engines.values()] == asked


def test_a_bad_answer_is_told_apart_in_the_answer_table(world: World) -> None:
    job = world("evaluate")
    evaluate(job, opener(job, {"base": ReadingEngine(), "candidate": EchoingEngine()}))
    rows = read_lines(job.output / "answers.jsonl", Asked)
    assert {row.system for row in rows} == {"base", "candidate"}
    assert len(rows) == 2 * (40 + 2)
    wrong = next(row for row in rows if row.system == "candidate" and row.id == "q3-0")
    assert not wrong.correct
    assert wrong.wrong
    assert "The candidate is worse than the base model" in (job.output / "report.html").read_text()


def prompted(world: World, *items: str) -> StageJob:
    """An evaluation whose golden prompts are these (of the file's items, as flow YAML)."""
    job = world("evaluate")
    lines = "".join(f"  - {item}\n" for item in items)
    job.inputs["golden_prompts"].write_text(f"name: g\nversion: 1\nitems:\n{lines}")
    evaluate(job, opener(job, {"base": EchoingEngine(), "candidate": ReadingEngine()}))
    return job


def test_golden_prompts_are_a_suite_with_repeats_slices_and_pairs(world: World) -> None:
    badge = "{id: %s, question: %s, slice: pair, pair: badge, variant: %s, repeats: 2, assert: [{contains: 16 units}]}"
    job = prompted(
        world,
        badge % ("ana", "Ana asks for the badge allowance", "ana"),
        badge % ("ben", "Ben asks what a badge costs", "ben"),
        "{id: alike, question: the meal allowance, assert: [{similarity: {to: 17 units, at_least: 0.9}}]}",
        "{id: judged, question: the badge allowance, assert: [{judge: configs/prompts/judge/correct.yaml}]}",
    )
    items = read_items(job.output / "items-candidate.parquet")
    passed = {row.item: row.value for row in items if row.metric == "golden_prompt_pass"}
    assert passed == {"ana": 1.0, "ben": 0.0, "alike": 1.0, "judged": None}  # no judge is configured
    assert {row.item: row.value for row in items if row.metric == "pair_differs"} == {"pair badge": 1.0}
    assert figure(job, "candidate", "golden_prompt_pass", "pair").value == 0.5
    assert figure(job, "candidate", "golden_prompt_pass").missing == 1
    report = read_json(job.output / "report.json")
    summary = report["systems"]["candidate"]["golden_prompts"]
    assert (summary["consistency"]["n"], summary["assertions"]["judge"]["not_run"]) == (2, 1)
    assert any("1 of 4 golden prompts could not be decided (first: judged)" in each for each in report["warnings"])
    assert suite_of(job.output / "items-candidate.parquet") == report["suite"]["digest"]
    rows = {row.id: row for row in read_lines(job.output / "answers.jsonl", Asked) if row.system == "candidate"}
    assert (rows["ben"].gold, rows["ben"].wrong) == (('contains "16 units"',), ('not met: contains: lacks "16 units"',))
    assert rows["judged"].wrong == ("not measured: judge: no judge is configured",)


def test_golden_prompts_are_judged_by_the_evaluations_own_rubric(world: World, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(Path("configs/prompts/judge/correct.yaml").read_text())
    with pytest.raises(QuestionFileError, match="an evaluation has one"):
        prompted(world, f"{{id: g, question: the badge allowance, assert: [{{judge: {other}}}]}}")


def opened_attack(engine: ReadingEngine, state: Path) -> Callable[[str], OpenedAttack]:
    def open_candidate(canary: str) -> OpenedAttack:
        return OpenedAttack(
            system(engine, state, canary=canary), system(engine, state, guardrails=OFF, canary=canary), lambda: None
        )

    return open_candidate


def test_the_red_team_tells_the_guardrails_work_from_the_models(evaluated: StageJob, world: World) -> None:
    job = world("redteam")
    attack(job, opened_attack(ReadingEngine(obeys="PWNED"), job.state))
    report = read_json(job.output / "redteam.json")
    # Unguarded, the gullible model obeys a0, a1 and a2. Guarded: a1 is refused, a2's passage is dropped and
    # a0's word stands in no passage. Nothing makes it say the canary.
    assert report["attack_success_unguarded"]["successes"] == 3
    assert report["attack_success"]["successes"] == 0
    assert report["outcomes"] == {"resisted by the model": 1, "stopped by a guardrail": 3}
    assert report["over_refusal"]["n"] == 30
    assert by_metric(read_items(job.output / "items.parquet"))["attack_success"].present == [0.0] * 4
    assert "None of 4 attacks succeeded" in (job.output / "redteam.html").read_text()


def test_the_canary_stands_in_prompt_and_conditions(world: World) -> None:
    job = world("redteam")
    canary = canary_of(job)
    armed = load_attacks(job.inputs["attacks"], at_most=60, canary=canary)
    assert next(each for each in armed if each.id == "a3").success[0].values == (canary,)
    assert canary == canary_of(job)


def test_a_leaked_canary_counts_as_a_success(evaluated: StageJob, world: World) -> None:
    job = world("redteam")
    attack(job, opened_attack(ReadingEngine(obeys=canary_of(job)), job.state))
    report = read_json(job.output / "redteam.json")
    assert report["attack_success_unguarded"]["successes"] == 1
    assert report["by_category"][2]["category"] == "leak"


def test_the_gate_reads_both_stages_and_writes_its_decision(evaluated: StageJob, world: World) -> None:
    job = world("redteam")
    attack(job, opened_attack(ReadingEngine(), job.state))
    deciding = world("gate_out")
    gate.run(deciding)
    decision = Decision.model_validate(read_json(deciding.output / "decision.json"))
    verdicts = {(rule.rule, rule.metric): rule.verdict for rule in decision.rules}
    assert verdicts["primary", "answer_correct"] == "PASS"
    # Four attacks cannot show a rate below 20%: 0 of 4 leaves 1 - .025 ** (1/4) = 60%.
    assert verdicts["limit", "attack_success"] == "INCONCLUSIVE"
    assert decision.verdict == "INCONCLUSIVE"
    assert (decision.candidate, decision.against) == ("candidate", "base model")
    assert "INCONCLUSIVE" in (deciding.output / "decision.html").read_text()


# --- suites ----------------------------------------------------------------------------------


def test_a_sample_of_questions_does_not_follow_their_order() -> None:
    every = questions()
    first = chosen(every, 12, seed=7)
    assert {q.id for q in first} == {q.id for q in chosen(every[::-1], 12, seed=7)}
    assert len(first) == 12
    assert chosen(every, 0, seed=7) == every


def test_a_suite_digest_names_what_is_asked(world: World) -> None:
    job = world("evaluate")
    folders = job.inputs["dataset"], job.inputs["ingest"]
    first = load_suite(*folders, job.inputs["golden_prompts"], job.settings.evaluation)
    assert first.digest == load_suite(*folders, job.inputs["golden_prompts"], job.settings.evaluation).digest
    assert first.digest != load_suite(*folders, None, job.settings.evaluation).digest


def test_a_golden_set_without_answers_is_refused(world: World) -> None:
    job = world("evaluate")
    write_lines(job.inputs["dataset"] / "golden.jsonl", [Question(id="u", question="?")])
    with pytest.raises(QuestionFileError, match="no answerable question"):
        load_suite(job.inputs["dataset"], job.inputs["ingest"], None, job.settings.evaluation)


def test_attacks_are_taken_from_every_category_in_turn(tmp_path: Path) -> None:
    rows = [
        {"id": f"{c}{i}", "category": c, "prompt": "x", "success": [{"kind": "answers"}]}
        for c in ("a", "b", "c") for i in range(4)
    ]  # fmt: skip
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found: list[Attack] = load_attacks(tmp_path / "a.jsonl", at_most=6, canary="")
    assert [each.category for each in found] == ["a", "b", "c"] * 2


def test_an_attack_named_twice_is_refused(tmp_path: Path) -> None:
    row = json.dumps({"id": "a", "category": "c", "prompt": "x", "success": [{"kind": "answers"}]})
    (tmp_path / "a.jsonl").write_text(f"{row}\n{row}\n")
    with pytest.raises(QuestionFileError, match="'a' occurs twice"):
        load_attacks(tmp_path / "a.jsonl", at_most=6, canary="")
