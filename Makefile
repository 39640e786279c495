# `make demo` and `make test` set everything up by themselves.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/installed

.PHONY: demo setup test lint format clean

# The main job on the examples: text in, text and images out, everything on this machine.
demo: setup
	$(BIN)/magid run examples/dialogues.jsonl --out runs/demo

setup: $(STAMP)

# torch first and torchvision without its dependencies: the constraints then keep pip from replacing a
# CPU build of torch by the newest CUDA one.
$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet torch==2.13.0
	$(BIN)/python -m pip install --quiet --no-deps torchvision==0.28.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $(STAMP)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The tests of the page drive a browser.
test: lint
	scripts/install_chromium.sh
	$(BIN)/pytest

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf .venv dist build
