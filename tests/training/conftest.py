"""A tiny model with a real chat template, and a few documents with questions, shared by this room's tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import settings as configuration
from pipelines.artifacts import StageJob, Workspace, write_json, write_lines, write_rows
from pipelines.contracts import Chunk, Document, Example, Message, Question, content_id
from pipelines.settings import Settings
from pipelines.training.dataset import Built, Source
from pipelines.training.dataset_summary import summary
from pipelines.training.questions import Checked

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

TEXTS = {
    "leave/kendal.md": "Kendal leave. Employees in Kendal have 27 days of paid leave. Unused days expire on 31 March.",
    "leave/porto.md": "Porto leave. Employees in Porto have 24 days of paid leave. Five days may be carried over.",
    "spares/probe.md": "Probe spares. The cap of the pH probe is spare part SP-330. The cable is spare part SP-331.",
    "spares/lamp.md": "Lamp spares. The lamp must be changed every 6 months. The lamp is spare part SP-410.",
    "errors/e17.md": "Error E-17. Error E-17 means that the logger has lost its clock. Set the clock by hand.",
    "errors/e18.md": "Error E-18. Error E-18 means that the battery is flat. Charge the battery for 8 hours.",
    "billing/terms.md": "Billing terms. Invoices are due within 30 days. Late invoices cost 2 percent a month.",
    "billing/vat.md": "Billing tax. Prices are without tax. The tax rate is 20 percent in Kendal.",
    "visits/kendal.md": "Visitors. Visitors sign in at the front desk. The front desk closes at 18:00.",
}
ASKED = {
    "leave/kendal.md": [
        ("How many days off do people in Kendal get?", "27 days"),
        ("When are unused days lost?", "31 March"),
    ],
    "leave/porto.md": [
        ("How many days off do people in Porto get?", "24 days"),
        ("Can holiday be kept in Porto?", "Five days"),
    ],
    "spares/probe.md": [
        ("Which cap do I order for the pH probe?", "SP-330"),
        ("Which cable fits the probe?", "SP-331"),
    ],
    "spares/lamp.md": [("How often is the lamp replaced?", "every 6 months"), ("Which lamp do I order?", "SP-410")],
    "errors/e17.md": [("What does E-17 tell me?", "the logger has lost its clock")],
    "errors/e18.md": [("What does E-18 tell me?", "the battery is flat"), ("How long does charging take?", "8 hours")],
    "billing/terms.md": [("When must I pay an invoice?", "within 30 days")],
    "billing/vat.md": [("What is the tax in Kendal?", "20 percent")],
    "visits/kendal.md": [("Until when is the front desk open?", "18:00")],
}


@dataclass(frozen=True)
class World:
    """Documents, one chunk a sentence, and questions with spans, some without an answer."""

    documents: list[Document]
    chunks: list[Chunk]
    questions: list[Question]


def document(uri: str, text: str, **more: Any) -> Document:
    title = text.split(".")[0]
    return Document(
        id=content_id(uri), uri=uri, media_type="text/plain", sha256="0" * 64, title=title, text=text, **more
    )


def chunks_of(made: Document) -> list[Chunk]:
    found, start = [], 0
    for sentence in made.text.split(". "):
        end = min(start + len(sentence) + 1, len(made.text))
        found.append(
            Chunk(
                id=content_id(made.uri, start),
                document_id=made.id,
                uri=made.uri,
                title=made.title,
                start=start,
                end=end,
                text=made.text[start:end],
                tokens=len(sentence.split()),
            )
        )
        start = end + 1
    return found


@pytest.fixture(scope="session")
def world() -> World:
    documents = [document(uri, text) for uri, text in TEXTS.items()]
    questions = [
        Question(id=f"{uri}-{n}", question=asked, answers=(answer,), document=uri, evidence=answer)
        for uri, pairs in ASKED.items()
        for n, (asked, answer) in enumerate(pairs)
    ]
    questions += [
        Question(id=f"{uri}-u", question=f"Who is responsible for {uri.split('/')[0]} in 2019?", document=uri)
        for uri in TEXTS
    ]
    return World(documents, [chunk for made in documents for chunk in chunks_of(made)], questions)


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of 2 layers with random weights and a small BPE tokenizer: every code path, no knowledge."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("base")
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    raw.train_from_iterator(
        TEXTS.values(), trainers.BpeTrainer(vocab_size=500, special_tokens=special, initial_alphabet=alphabet)
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>"
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(
        initializer_range=0.1,  # with 0.02 no hidden state gives a logit above 1.3: nothing could be learned
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        eos_token_id=2,
        bos_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_settings(tiny_base: Path) -> Settings:
    return configuration.load(
        overrides={
            "generation": {"base_model": str(tiny_base)},
            "training": {
                "epochs": 3,
                "minutes_at_most": 10,
                "batch_tokens": 400,
                "steps_at_least": 1,
                "micro_batch_tokens": 400,
                "max_tokens": 400,
                "learning_rate": 0.01,
                "rank": 8,
                "dtype": "float32",
                "checkpoint_every_steps": 2,
                "validate_every_steps": 4,
            },
            "retrieval": {"passages": 2},
            "runtime": {"threads": 1},
        }
    )


def example(question: str, answer: str, *, context: str = "a", split: str = "train") -> Example:
    return Example(
        id=content_id(question, answer, context),
        messages=(
            Message(role="system", content="Answer from the passages."),
            Message(role="user", content=f"{TEXTS['leave/kendal.md']} {context}\n\nQuestion: {question}"),
            Message(role="assistant", content=answer),
        ),
        chunk_ids=(context,),
        document="leave/kendal.md",
        answerable=True,
        origin="curated",
        split=split,
    )


@pytest.fixture(scope="session")
def dataset_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of a few contexts with several questions each, as the stage leaves it."""
    folder = tmp_path_factory.mktemp("dataset")
    pairs = [("How many days?", "27 days"), ("When do they expire?", "31 March"), ("Where?", "Kendal")]
    train = [example(question, answer, context=context) for context in "abcd" for question, answer in pairs]
    validation = [example(*pair, context="v", split="validation") for pair in pairs[:2]]
    write_lines(folder / "train.jsonl", train)
    write_lines(folder / "validation.jsonl", validation)
    chunks = [
        Chunk(id=name, document_id="d", uri="d", title="", start=0, end=1, text="x", tokens=30)
        for name in sorted({name for each in (*train, *validation) for name in each.chunk_ids})
    ]
    built = Built(
        {"train": train, "validation": validation}, [], {"train/a": "train", "validation/a": "validation"}, ()
    )
    source = Source({}, chunks, np.zeros((len(chunks), 2), np.float32), Checked((), {}), "curated")
    write_json(folder / "summary.json", summary(built, source))
    return folder


def stage_job(
    settings: Settings, inputs: dict[str, Path], root: Path, *, output: str = "out", report: Any = None
) -> StageJob:
    place = root / output
    place.mkdir(parents=True, exist_ok=True)
    return StageJob(settings, inputs, place, None, Workspace(root).state, report or (lambda *_: None))


def write_world(made: World, root: Path) -> dict[str, Path]:
    """The upstream folders of the stage `dataset` but for `embed`, and the question file."""
    write_rows(root / "ingest" / "documents.parquet", made.documents, Document)
    write_rows(root / "chunk" / "chunks.parquet", made.chunks, Chunk)
    write_lines(root / "questions.jsonl", made.questions)
    return {"ingest": root / "ingest", "chunk": root / "chunk", "questions": root / "questions.jsonl"}
