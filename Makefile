# make run    set up, then run the whole lifecycle on the sample knowledge base
# make test   set up, then run every test
.DEFAULT_GOAL := help
.PHONY: help setup run test lint up clean bench-lifecycle bench-ingest bench-retrieval bench-weights bench-answerable bench-chunking bench-scale bench-gate bench-groundedness bench-training dvc.yaml
PYTHON ?= python3
GROUNDWORK := .venv/bin/groundwork
READY := .venv/.ready

help:  ## what there is to make
	@grep -hE '^[a-z.-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(READY)  ## a virtual environment in .venv with the locked dependencies

$(READY): requirements/lock.txt requirements/models.txt requirements/setup.sh pyproject.toml
	@PYTHON="$(PYTHON)" bash requirements/setup.sh

run: $(READY)  ## documents -> a release that waits for a reviewer
	@$(GROUNDWORK) run

test: $(READY)  ## every test, with coverage
	@.venv/bin/ruff check --quiet . && .venv/bin/ruff format --quiet --check .
	@.venv/bin/mypy --no-error-summary & types=$$!; bash tests/run.sh; tests=$$?; wait $$types && exit $$tests

lint: $(READY)  ## format and check
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix . && .venv/bin/mypy

up: $(READY)  ## Prefect, its worker and MLflow on this machine
	@$(GROUNDWORK) up

bench-lifecycle: $(READY)  ## times of a first, a second and a changed run
	@.venv/bin/python -m benchmarks.lifecycle

bench-ingest: $(READY)  ## pages a second beside LangChain, docling, unstructured; DATA=FOLDER for more than the sample
	@.venv/bin/python -m benchmarks.ingest $(if $(DATA),--data "$(DATA)")

bench-retrieval: $(READY)  ## quality and speed of search beside BM25, LangChain, LanceDB; DATA=FOLDER likewise
	@.venv/bin/python -m benchmarks.retrieval $(if $(DATA),--data "$(DATA)")

bench-weights: $(READY)  ## fit the weights of retrieval over several domains; DATA=FOLDER for prose
	@.venv/bin/python -m benchmarks.weights $(if $(DATA),--data "$(DATA)")

bench-groundedness: $(READY)  ## how well ungrounded answers are told, and the checker's weights; DATA=FOLDER for people's labels
	@.venv/bin/python -m benchmarks.groundedness $(if $(DATA),--data "$(DATA)")

bench-answerable: $(READY)  ## fit what tells questions that the documents do not answer; DATA=FOLDER for prose
	@.venv/bin/python -m benchmarks.answerable $(if $(DATA),--data "$(DATA)")

bench-chunking: $(READY)  ## chunking strategies and sizes, by what is found with them (DATA=folder)
	@.venv/bin/python -m benchmarks.chunking $(if $(DATA),--data $(DATA))

bench-scale: $(READY)  ## an index of a million chunks: time, size, memory, search, recall
	@.venv/bin/python -m benchmarks.scale $(ARGS)

bench-training: $(READY)  ## examples a second beside TRL, and what five minutes buy; DATA=FOLDER for SQuAD's layout (ARGS=--steps)
	@.venv/bin/python -m benchmarks.training $(if $(DATA),--data "$(DATA)") $(ARGS)

bench-gate: $(READY)  ## how often the gate errs: 1,000 equal candidates by world, power, looks (ARGS=--quick)
	@.venv/bin/python -m benchmarks.gate $(ARGS)

lock: $(READY)  ## resolve pyproject.toml into requirements/lock.txt again
	@bash requirements/relock.sh

clean:  ## remove what was produced (not the sample, not .venv)
	@find data -mindepth 1 -maxdepth 1 ! -name sample -exec rm -rf {} +
