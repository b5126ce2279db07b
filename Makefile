# `make demo` and `make test` are all a fresh machine needs: Python >= 3.10, git and make.

PYTHON ?= python3
VENV := .venv
KERAS := .venv-keras
BENCH := .venv-bench
BIN := $(VENV)/bin

.PHONY: help demo test test-keras test-tensorboard wheel test-wheel lint types conformance test-models test-boards bench test-bench setup clean

help:
	@echo "make demo          set up, export a trained model, run it on real input"
	@echo "make test          set up, run the tests (below 15 minutes on 2 cores)"
	@echo "make wheel         the wheel for all devices, in dist/ (first time 5 minutes: compiles for 4 CPU families)"
	@echo "make lint types    ruff; mypy"
	@echo "make conformance   ONNX's node tests as a table"
	@echo "make test-models   every ONNX model of the corpus against onnxruntime (downloads 240 MB once)"
	@echo "make test-keras    layers against Keras 3, in an environment of its own (below 5 minutes)"
	@echo "make test-wheel    builds the wheel and installs it into empty environments"
	@echo "make test-tensorboard  graphs in TensorBoard and in a browser (needs root for apt-get, once)"
	@echo "make bench         all models against four runtimes: bench.md, bench.json, bench-1.svg (hours; 900 MB, once)"
	@echo "make test-bench    two models against the runtimes that need no conversion"
	@echo "make test-boards   the emulated Raspberry Pi 4 and 5 (needs root for apt-get, once)"

# One stamp per set of dependencies: the demo needs less than the tests.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -e '.[export]' 'scikit-learn>=1.4'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@ $(VENV)/.demo

$(VENV)/.build: | $(VENV)/bin/python
	$(BIN)/python -m pip install -q 'build>=1.2'
	@touch $@

setup: $(VENV)/.dev

demo: $(VENV)/.demo
	$(BIN)/python examples/demo.py

test: $(VENV)/.dev
	$(BIN)/python -m edge_rt.codegen host
	$(BIN)/python -m pytest -n auto -m "not boards and not keras and not tensorboard and not wheel"

# The time of the last commit stands in the wheel, so that the same sources make the same bytes.
wheel: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 1577836800)
wheel: $(VENV)/.build
	rm -rf dist
	$(BIN)/python -m build --outdir dist

test-wheel: wheel $(VENV)/.dev
	$(BIN)/python -m pytest -m wheel

lint: $(VENV)/.dev
	$(BIN)/ruff check .

types: $(VENV)/.dev
	$(BIN)/mypy

$(KERAS)/.made: pyproject.toml
	$(PYTHON) -m venv $(KERAS)
	$(KERAS)/bin/python -m pip install -q -e '.[keras]'
	@touch $@

test-tensorboard: $(VENV)/.dev
	$(BIN)/python -m pytest -m tensorboard

test-keras: $(KERAS)/.made
	KERAS_BACKEND=numpy $(KERAS)/bin/python -m pytest -n auto -m keras tests/keras

conformance: $(VENV)/.dev
	$(BIN)/python -m tests.conformance

test-models: $(VENV)/.dev
	$(BIN)/python -m tests.corpus.check

test-boards: wheel $(VENV)/.dev
	$(BIN)/python -m pytest -m boards

$(BENCH)/.made: pyproject.toml
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install -q -e '.[bench]'
	@touch $@

# Goes on where it was cut off; `make bench FIGURES=other.json` begins anew.
FIGURES ?= bench.json
bench: $(BENCH)/.made
	-$(BENCH)/bin/python -m bench zoo
	-$(BENCH)/bin/python -m bench run --models table --threads 1,2 --json $(FIGURES) >/dev/null
	$(BENCH)/bin/python -m bench report $(FIGURES) --svg $(FIGURES:.json=.svg) >$(FIGURES:.json=.md)

test-bench: $(BENCH)/.made
	$(BENCH)/bin/python -m bench run --models digits dscnn-int8 --threads 1,2 --seconds 3

clean:
	rm -rf $(VENV) $(KERAS) $(BENCH) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
