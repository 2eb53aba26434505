"""One model, every engine: the same words, whichever way they are computed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import EngineError, ModelError, SettingsError
from pipelines.generation.engine import Completion, Engine
from pipelines.generation.engines import open_engine
from pipelines.generation.engines.upstream import UpstreamEngine
from pipelines.settings import ROOT, Generation
from tests.generation.conftest import KNOWN, RETAUGHT, conversation

ENGINES = ("openvino", "transformers")
ASKED = [conversation(question) for question in KNOWN]


def opened(name: str, generation: Generation, state: Path, adapter: Path | None = None) -> Engine:
    return open_engine(generation.model_copy(update={"engine": name}), adapter=adapter, state=state, threads=2)


def tokens(completions: list[Completion]) -> list[tuple[str, int, int]]:
    return [(c.text, c.prompt_tokens, c.completion_tokens) for c in completions]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest, generation: Generation, state: Path) -> Engine:
    return opened(request.param, generation, state)


def test_answers_come_back_as_taught_in_the_order_of_the_questions(engine: Engine) -> None:
    completions = engine.generate(ASKED, max_new_tokens=16)
    assert [completion.text for completion in completions] == list(KNOWN.values())
    assert all(completion.seconds > 0 for completion in completions)


def test_openvino_gives_the_tokens_of_transformers(generation: Generation, state: Path) -> None:
    """GGUF -> weights -> GGUF again -> OpenVINO, against the weights in PyTorch; the end of turn counts as a token."""
    found = {name: tokens(opened(name, generation, state).generate(ASKED, max_new_tokens=16)) for name in ENGINES}
    assert found["openvino"] == found["transformers"]
    assert len({text for text, _, _ in found["openvino"]}) == len(KNOWN)


def test_with_an_adapter_both_engines_say_what_it_learned(generation: Generation, state: Path, adapter: Path) -> None:
    ((question, answer),) = RETAUGHT.items()
    for name in ENGINES:
        (before,) = opened(name, generation, state).generate([conversation(question)], max_new_tokens=16)
        (after,) = opened(name, generation, state, adapter).generate([conversation(question)], max_new_tokens=16)
        assert (before.text, after.text) == (KNOWN[question], answer)


def test_one_thread_is_enough(generation: Generation, base: Path) -> None:
    """In a process of its own: where it is not, the vendor's library ends the process with a signal."""
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from pipelines import settings\n"
        "from pipelines.generation.engines.openvino import OpenVINOEngine\n"
        "generation = settings.load(overrides={'generation': {'base_model': sys.argv[1]}}).generation\n"
        "OpenVINOEngine(Path(sys.argv[2]), generation, threads=1)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, generation.base_model, str(base)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.returncode} {done.stderr[-2000:]}"


def test_an_answer_ends_at_the_limit(engine: Engine) -> None:
    # "the logger has lost its clock" has seven tokens and an end of turn
    (cut,) = engine.generate([conversation("What does E-17 tell me?")], max_new_tokens=2)
    assert cut.completion_tokens == 2
    assert cut.text and "the logger has lost its clock".startswith(cut.text)


def test_progress_is_told_after_each_batch(engine: Engine) -> None:
    told: list[tuple[int, int]] = []
    engine.generate(ASKED, max_new_tokens=4, report=lambda done, total: told.append((done, total)))
    assert told == [(5, 14), (10, 14), (14, 14)]  # batch_size 5


def test_nothing_asked_is_nothing_said(engine: Engine) -> None:
    assert engine.generate([], max_new_tokens=4) == []


def test_a_conversation_longer_than_the_model_is_named_before_anything_runs(engine: Engine) -> None:
    long = conversation("How many days off? " * 200)
    told: list[int] = []
    with pytest.raises(EngineError, match=r"Conversation 1 has \d+ tokens; with 16 new ones .* 512 of (open|trans)"):
        engine.generate([ASKED[0], long], max_new_tokens=16, report=lambda done, _: told.append(done))
    assert told == []


def test_a_model_that_did_not_come_as_gguf_is_sent_to_another_engine(
    generation: Generation, taught: Path, state: Path
) -> None:
    with pytest.raises(ModelError, match=r"set generation\.engine: transformers"):
        opened("openvino", generation.model_copy(update={"base_model": str(taught)}), state)


def test_an_upstream_is_opened_without_any_model(generation: Generation, tmp_path: Path) -> None:
    elsewhere = generation.model_copy(
        update={"base_model": "no/such-model", "base_url": "http://127.0.0.1:9/v1", "upstream_model": "big"}
    )
    engine = opened("openai", elsewhere, tmp_path)
    assert isinstance(engine, UpstreamEngine)
    assert engine.name == "openai, big at http://127.0.0.1:9/v1"
    assert list(tmp_path.iterdir()) == []


def test_an_upstream_without_an_address_is_a_settings_error(generation: Generation, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"generation\.base_url and generation\.upstream_model"):
        opened("openai", generation, tmp_path)


def test_no_engine_reports_usage_to_its_maker() -> None:
    assert importlib.util.find_spec("openvino_telemetry") is None  # openvino falls back to a stub
