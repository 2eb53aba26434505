"""A model folder -> an OpenVINO graph with pooling inside, in float or with 8-bit weights and activations; kept.

Made once a machine, in a process of its own (torch is loaded there and leaves with it), beside the environment's
libraries, whose versions it depends on. Invariant: a graph that lies there is whole and was compared with the
float model on texts that it was not calibrated with; one that strays further than CLOSE is refused.
Source of the 8-bit way: post-training quantisation with SmoothQuant (Xiao et al. 2022), by nncf.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipelines.artifacts import replacing, version_of
from pipelines.contracts import content_id
from pipelines.errors import ModelError
from pipelines.modelfiles import model_digest, model_folder, models_cache
from pipelines.retrieval.encoders.folder import longest_of, pooling_of
from pipelines.settings import ROOT

Precision = Literal["int8", "float"]
CALIBRATION = 1
"""Of the 8-bit way: texts and method. Raise it when vectors would change: it is part of an index's identity."""
CALIBRATED_ON, COMPARED_ON = 96, 32
"""Texts whose activations set the ranges, and texts that float and 8 bits are compared on."""
CLOSE: dict[Precision, float] = {"int8": 0.98, "float": 0.999}
"""Least mean cosine to the model in float32."""


def prepared(model: str, precision: Precision) -> Path:
    """The graph's file (`model.xml`, weights beside it); made when it is not there yet (some 15 s).

    Raises ModelError when the model cannot be converted, or 8 bits do not suit it.
    """
    versions = [version_of(name) for name in ("openvino", "nncf", "transformers")]
    name = content_id(model_digest(model), precision, CALIBRATION, versions)[:24]
    folder = models_cache() / f"encoder-{name}"
    if not (folder / "model.xml").exists():
        from filelock import FileLock

        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            if not (folder / "model.xml").exists():
                with replacing(folder) as fresh:
                    fresh.mkdir()
                    _in_a_process(model, precision, fresh / "model.xml")
    return folder / "model.xml"


def _in_a_process(model: str, precision: Precision, place: Path) -> None:
    command = [sys.executable, "-m", __name__, model, precision, str(place)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        hint = " Set `embedding.precision: float`, or another `embedding.model`." if precision == "int8" else ""
        raise ModelError(f"{model} cannot be prepared for OpenVINO ({precision}): {last}.{hint}")


# --- the process that prepares -----------------------------------------------------------------


def _prepare(model: str, precision: Precision, place: Path) -> None:
    import openvino

    folder = model_folder(model)
    graph = _converted(folder)
    rows = [row for _, row in zip(range(CALIBRATED_ON + COMPARED_ON), _calibration(folder), strict=False)]
    kept = graph
    if precision == "int8":
        kept = _quantised(graph, rows[:CALIBRATED_ON])
    close = _agreement(graph, kept, rows[CALIBRATED_ON:])
    if close < CLOSE[precision]:
        raise ModelError(f"its vectors in {precision} have a mean cosine of {close:.4f} to those in float32")
    openvino.save_model(kept, place, compress_to_fp16=False)


def _converted(folder: Path) -> Any:
    import openvino
    import torch

    from pipelines.retrieval.encoders.torch import load_model, pooled

    model, pooling = load_model(folder, "float32"), pooling_of(folder)

    class Whole(torch.nn.Module):  # type: ignore[misc]
        """Model, pooling and scaling to unit length."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            hidden = self.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return torch.nn.functional.normalize(pooled(hidden, attention_mask, pooling), dim=1)

    ones = torch.ones(2, 16, dtype=torch.long)
    return openvino.convert_model(Whole(), example_input={"input_ids": ones, "attention_mask": ones})


def _quantised(graph: Any, rows: list[dict[str, Any]]) -> Any:
    import nncf

    nncf.set_log_level(40)
    transformer = nncf.ModelType.TRANSFORMER
    return nncf.quantize(graph.clone(), nncf.Dataset(rows), model_type=transformer, subset_size=len(rows))


def _agreement(graph: Any, other: Any, rows: list[dict[str, Any]]) -> float:
    """Mean cosine of two graphs' vectors."""
    import openvino

    ask, compare = (openvino.compile_model(each, "CPU", {"INFERENCE_PRECISION_HINT": "f32"}) for each in (graph, other))
    return float(np.mean([(ask(row)[0] * compare(row)[0]).sum() for row in rows]))


def _calibration(folder: Path) -> Iterator[dict[str, Any]]:
    """Token ids of prose, tables and code: what lies in this repository, cut to the model's length, taken in turn."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(longest_of(folder))
    places = [*ROOT.glob("data/sample/documents/**/*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("pipelines/**/*.py")]
    texts = [place.read_text(encoding="utf-8") for place in sorted(places)]
    step = 4 * longest_of(folder)  # characters: about as many as fill the model
    for start in range(0, 40 * step, step):
        for text in texts[:: 1 + start // step]:
            if len(text) > start + step // 2:
                ids = np.array([tokenizer.encode(text[start : start + step]).ids], dtype=np.int64)
                yield {"input_ids": ids, "attention_mask": np.ones_like(ids)}


if __name__ == "__main__":
    try:
        _prepare(sys.argv[1], sys.argv[2], Path(sys.argv[3]))  # type: ignore[arg-type]
    except ModelError as error:
        sys.exit(str(error))
