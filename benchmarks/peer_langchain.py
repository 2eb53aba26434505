"""Runs in the peers' environment: LangChain with its defaults, told what to do by lines of JSON.

    .venv-peers/bin/python benchmarks/peer_langchain.py MODEL_FOLDER

`index`: DirectoryLoader and TextLoader, RecursiveCharacterTextSplitter counted by the model's tokenizer,
HuggingFaceEmbeddings (sentence-transformers, float32), FAISS. `encode`: the same model's vectors of texts. `rank`: BM25
alone and EnsembleRetriever (BM25Retriever, vectors; equal weights, reciprocal ranks). It knows nothing of Groundwork.
"""

import importlib.metadata
import itertools
import json
import os
import re
import sys
import time
import warnings
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
_ANSWERS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)
VERSIONS = ("langchain", "sentence-transformers", "faiss-cpu", "rank-bm25")


class LangChain:
    def __init__(self, model: str) -> None:
        from langchain_huggingface import HuggingFaceEmbeddings
        from transformers import AutoTokenizer

        self.embeddings = HuggingFaceEmbeddings(model_name=model, model_kwargs={"device": "cpu"})
        self.tokenizer = AutoTokenizer.from_pretrained(model)
        self.embeddings.embed_documents(["a first text, so that nothing is loaded while the clock runs"])

    def index(self, folder: str, tokens: int) -> dict[str, object]:
        from langchain_community.document_loaders import DirectoryLoader, TextLoader
        from langchain_community.vectorstores import FAISS
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        loader = DirectoryLoader(folder, glob="**/*.txt", loader_cls=TextLoader, loader_kwargs={"encoding": "utf-8"})
        splitter = RecursiveCharacterTextSplitter.from_huggingface_tokenizer(
            self.tokenizer, chunk_size=tokens, chunk_overlap=0
        )
        clock = [time.perf_counter()]
        documents = loader.load()
        clock.append(time.perf_counter())
        chunks = splitter.split_documents(documents)
        clock.append(time.perf_counter())
        FAISS.from_documents(chunks, self.embeddings)
        clock.append(time.perf_counter())
        load, split, embed = (round(b - a, 3) for a, b in itertools.pairwise(clock))
        return {
            "seconds": clock[-1] - clock[0],
            "parts_s": {"load": load, "split": split, "embed_and_index": embed},
            "documents": len(documents),
            "chunks": len(chunks),
            "characters": sum(len(document.page_content) for document in documents),
        }

    def encode(self, texts: str, out: str) -> dict[str, object]:
        import numpy as np

        started = time.perf_counter()
        vectors = np.asarray(self.embeddings.embed_documents(json.loads(Path(texts).read_text())), dtype=np.float32)
        np.save(out, vectors)
        return {"seconds": time.perf_counter() - started}

    def rank(self, texts: str, vectors: str, queries: str, k: int, out: str) -> dict[str, object]:
        import numpy as np
        from langchain_classic.retrievers import EnsembleRetriever
        from langchain_community.retrievers import BM25Retriever
        from langchain_community.vectorstores import FAISS

        passages, asked = (json.loads(Path(place).read_text()) for place in (texts, queries))
        numbered = [{"row": row} for row in range(len(passages))]
        pairs = list(zip(passages, np.load(vectors).tolist(), strict=True))
        store = FAISS.from_embeddings(pairs, self.embeddings, metadatas=numbered)
        words = BM25Retriever.from_texts(passages, metadatas=numbered, k=k)
        plain = BM25Retriever.from_texts(passages, metadatas=numbered, k=k, preprocess_func=lower_words)
        both = EnsembleRetriever(retrievers=[words, store.as_retriever(search_kwargs={"k": k})], weights=[0.5, 0.5])
        started = time.perf_counter()
        ranked = {
            "bm25": [[found.metadata["row"] for found in plain.invoke(query)] for query in asked],
            "langchain_ensemble": [[found.metadata["row"] for found in both.invoke(query)] for query in asked],
        }
        Path(out).write_text(json.dumps(ranked))
        return {"seconds": time.perf_counter() - started}


def lower_words(text: str) -> list[str]:
    """What "plain BM25" counts: rank-bm25 brings no analysis of its own, and LangChain's splits at white space."""
    return re.findall(r"\w+", text.lower())


def main(model: str) -> None:
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    chain = LangChain(model)
    version = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in VERSIONS)
    say({"peer": "LangChain", "version": version, "start_s": time.perf_counter() - started})
    for line in sys.stdin:
        asked = json.loads(line)
        say(getattr(chain, asked.pop("do"))(**asked))


def say(answer: dict[str, object]) -> None:
    _ANSWERS.write(json.dumps(answer) + "\n")
    _ANSWERS.flush()


if __name__ == "__main__":
    main(sys.argv[1])
