# `make` lists what there is. Everything works from a clean clone with nothing installed by hand.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.complete
PORT ?= 8000
ONLY ?=

.PHONY: help setup run demo test check lint types imports docs fmt messages bench bench-matching soak lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv with everything; the other targets call it first

$(STAMP): requirements/dev.txt pyproject.toml scripts/find_python.sh
	@$(SHELL) scripts/setup.sh $(VENV)
	@touch $@

run: setup ## show the main job: pretend bank, sync, paid invoices, then the web app on PORT
	@$(BIN)/kvit demo --serve --port $(PORT)

demo: setup ## the same without the web app: print the summary and end
	@$(BIN)/kvit demo

test: setup ## the whole suite on SQLite and on a real PostgreSQL, in a real browser
	@$(BIN)/python -m scripts.run_tests $(ARGS)

check: test lint types imports docs ## what CI runs

lint: setup ## ruff and djade
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@git ls-files -z 'src/*.html' | xargs -0 $(BIN)/djade --check --target-version 6.1

types: setup ## mypy --strict
	@$(BIN)/mypy

imports: setup ## the layers of docs/architecture.md
	@$(BIN)/lint-imports

docs: setup ## docs name every setting, command and error; links lead somewhere; catalogues are complete
	@$(BIN)/python -m scripts.check_docs
	@$(BIN)/python -m scripts.plugin_reference --check
	@$(BIN)/python -m scripts.plugin_rules --check

fmt: setup ## format the code and the templates
	@$(BIN)/ruff check --fix-only -q .
	@$(BIN)/ruff format -q .
	@git ls-files -z 'src/*.html' | xargs -0 $(BIN)/djade --target-version 6.1 || true

messages: setup ## collect the texts of code and templates into the catalogues and compile them
	@$(BIN)/python -m scripts.messages

bench: setup ## figures beside their peers and limits: make bench ONLY=ingest.sqlite
	@$(BIN)/python -m benchmarks $(ONLY)

bench-matching: setup ## right and wrong automatic matches, Kvit's and its rivals': ARGS=--write keeps them in the docs
	@$(BIN)/python -m benchmarks.matching_table $(ARGS)

soak: setup ## what is too slow for the suite, and its properties with many more examples
	@$(BIN)/python -m scripts.run_tests -m "soak or hypothesis" --hypothesis-profile=soak $(ARGS)

lock: setup ## resolve the dependencies again
	@$(BIN)/uv pip compile --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header -q pyproject.toml -o requirements/runtime.txt
	@$(BIN)/uv pip compile --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header -q --group dev pyproject.toml -o requirements/dev.txt
	@$(BIN)/uv pip compile --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header -q --group bench -o requirements/bench.txt

clean: ## remove what the targets made
	rm -rf $(VENV) .venv-bench .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
