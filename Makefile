# Every target works on a fresh machine with Python 3.11 and make; CI calls the same ones.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install install-dev install-trackers install-deploy run plan report test test-all test-encoders soak check gpu-bench docs format clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	@echo "installing the packages of requirements.txt into $(VENV): takes minutes the first time"
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.txt
	$(PIP) -r requirements-dev.txt
	@touch $@

$(VENV)/.installed-trackers: $(VENV)/.installed requirements-trackers.txt
	$(PIP) -r requirements-trackers.txt
	@touch $@

$(VENV)/.installed-deploy: $(VENV)/.installed requirements-deploy.txt
	$(PIP) -r requirements-deploy.txt
	@touch $@

install: $(VENV)/.installed ## make the virtual environment with all that the main job needs

install-dev: $(VENV)/.installed-dev ## add the developer tools (tests, format, lint, types, import contract)

install-trackers: $(VENV)/.installed-trackers ## add TensorBoard and MLflow, for tracking.trackers=[tensorboard,mlflow]

install-deploy: $(VENV)/.installed-deploy ## add ONNX and Ray Serve, for export --format onnx and serve

run: install ## run the demo: 20 trials, then the comparison table (ARGS="key=value ..." overrides)
	$(BIN)/python -m orchestrator run demo $(ARGS)

plan: install ## print the demo's trials without running them (ARGS="key=value ..." overrides)
	$(BIN)/python -m orchestrator plan demo $(ARGS)

report: install ## print the demo's table again from its records
	$(BIN)/python -m orchestrator report runs/demo

# Exit code 5 of pytest: nothing was selected of one of the two parts.
# Three workers on two cores: one of them runs all tests with Ray, which mostly wait.
PYTEST := $(BIN)/python -m pytest

test: install-dev install-trackers install-deploy ## run the tests but the slow ones, three at once and then those that must be alone (ARGS="-k name" selects)
	$(PYTEST) -n 3 --dist loadgroup --no-loadscope-reorder -m "not serial and not slow" $(ARGS) || test $$? -eq 5
	$(PYTEST) -m "serial and not slow" $(ARGS) || test $$? -eq 5

test-all: install-dev install-trackers install-deploy ## run all tests, also grids and clusters that take minutes (twice as long)
	$(PYTEST) -n 3 --dist loadgroup --no-loadscope-reorder -m "not serial" $(ARGS) || test $$? -eq 5
	$(PYTEST) -m serial $(ARGS) || test $$? -eq 5

test-encoders: install-dev install-trackers install-deploy ## train every strategy with a tiny encoder of every family (5 minutes)
	$(PYTEST) tests/trainables/models/test_families.py --encoders $(ARGS)

soak: install-dev install-trackers install-deploy ## run the fault tests at full size and print what was measured (30 minutes)
	$(PYTEST) tests/faults --soak -v -s --durations=0 $(ARGS)

check: install-dev install-trackers install-deploy ## check format, lint, types and the import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

gpu-bench: install-dev ## measure the first GPU: examples/s beside HF Trainer, share of its limit, trials an hour (build/gpu-bench)
	$(BIN)/python -m benchmarks.gpu $(ARGS)

docs: install-dev ## write the generated pages anew and build the documentation's site in build/site
	$(BIN)/python -m tools.generate_docs
	$(BIN)/zensical build --clean --strict

format: install-dev ## format the code and fix what lint can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean: ## remove the virtual environment and caches (run directories stay)
	rm -rf $(VENV) build .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
