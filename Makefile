# The commands of the README, and what CI runs. Everything lives in .venv and build/.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
CLEAN_ENV := env -u GITHUB_ACTIONS -u GITHUB_OUTPUT -u GITHUB_STEP_SUMMARY

.DEFAULT_GOAL := help
.PHONY: help demo report test lint unit deep web golden monitoring schema picture dashboards figures bench fuzz mutants lock emulator test-container clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' Makefile | expand -t 24

demo: $(VENV)/runtime ## an event run on sample data: prints the summary, says where the rest is
	@rm -rf build/demo # of an earlier version, it would stay as it is
	@PYTHONPATH=src $(VENV)/bin/python -m dora_metrics demo --output build/demo

define NO_REPO
REPO is missing; it names the clone to read, and no token is needed.
Run: make report REPO=../your-clone
endef

REPORT_PAGE := build/report/index.html
report: $(if $(REPO),$(VENV)/runtime) ## numbers and page of a clone: make report REPO=../your-clone [OPTIONS='--window 90d']
	$(if $(REPO),,$(error $(NO_REPO)))
	@case $$REPO in "~/"*) REPO=$$HOME/$${REPO#??} ;; esac; PYTHONPATH=src $(VENV)/bin/python -m dora_metrics report \
		--git "$$REPO" --window 52w --format text --page-file $(REPORT_PAGE) $(OPTIONS)

test: lint unit ## everything that is checked here; lists the tools that are not installed

lint: $(VENV)/dev
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy
	$(RUN) pyrefly check --min-severity error --summary=none

unit: $(VENV)/dev web
	$(CLEAN_ENV) $(RUN) pytest -n 2 --dist loadfile --no-loadscope-reorder

web: tests/web/node_modules/.installed

# Of Terraform's google provider only the declarations are read; its code takes 300 MB.
tests/web/node_modules/.installed: tests/web/package-lock.json
	@if command -v npm >/dev/null; then \
		cd tests/web && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && \
		find node_modules/@cdktf -type f ! -name '*.d.ts' -delete && touch node_modules/.installed; \
	else echo "make: npm is missing: tests on GitHub's own example payloads are left out"; fi

deep: $(VENV)/dev web ## properties with twenty times the cases, as each night in CI; about an hour
	$(CLEAN_ENV) $(RUN) pytest -n 2 --dist worksteal --hypothesis-profile=deep -m "hypothesis or seeds"

golden: $(VENV)/dev ## regenerates the golden files; review the diff
	DORA_GOLDEN=write $(RUN) pytest -q tests/golden

monitoring: $(VENV)/runtime ## Prometheus and alerts (with Docker also dashboards) with demo data on this machine, until Ctrl-C
	@if docker info >/dev/null 2>&1 && docker compose version >/dev/null 2>&1; then \
		echo "make: Docker with compose works, so everything is started in containers, with Grafana"; \
		exec bash monitoring/compose.sh; \
	else \
		echo "make: Docker with compose does not work here, so the installed programs are started, without Grafana"; \
		exec bash monitoring/up.sh; \
	fi

picture: demo $(VENV)/dev web ## takes the pictures of the README and the docs again; needs Chromium and npm
	$(VENV)/bin/python docs/images/picture.py build/demo docs/images

schema: $(VENV)/dev ## regenerates schema/, terraform/tables.json, sql/ and the tables of two pages in docs/
	$(RUN) dora_metrics.schemas schema terraform
	$(VENV)/bin/python tools/reference.py
	$(VENV)/bin/python tools/views.py
	$(VENV)/bin/python tools/warehouse_page.py

dashboards: $(VENV)/dev ## regenerates monitoring/grafana/ and the tables of docs/monitoring.md
	$(VENV)/bin/python tools/dashboards.py

figures: $(VENV)/dev ## the structure in numbers: names, layers, lengths, the way of one event
	$(VENV)/bin/python tools/figures.py

bench: $(VENV)/dev web ## speed and size, the figures of docs/performance.md and docs/scale.md
	$(VENV)/bin/python bench/event.py
	$(VENV)/bin/python bench/run.py
	$(VENV)/bin/python bench/github_history.py
	$(VENV)/bin/python bench/page.py
	$(VENV)/bin/python bench/reliability.py
	$(VENV)/bin/python bench/reports.py
	$(VENV)/bin/python bench/install.py
	$(VENV)/bin/python bench/settings.py
	$(VENV)/bin/python bench/openmetrics.py
	$(VENV)/bin/python bench/other_systems.py
	$(VENV)/bin/python bench/rows.py
	$(VENV)/bin/python bench/scale.py

CASES ?= 10000
fuzz: $(VENV)/dev web ## payloads and facts of any shape and any text; about ten minutes, CASES=500 takes one
	$(CLEAN_ENV) FUZZ_CASES=$(CASES) $(RUN) pytest -q tests/fuzz

SAMPLE ?= 300
mutants: $(VENV)/dev ## how many changed lines of the core the tests notice; half an hour, SAMPLE=all takes a day
	rm -rf mutants
	$(VENV)/bin/python tests/mutants.py $(SAMPLE)

emulator: build/emulator/installed ## installs an emulator of BigQuery and Google's client for the tests: 516 MB

build/emulator/installed: requirements/emulator.txt | $(VENV)/bin/python
	@$(PYTHON) -m venv build/emulator
	@build/emulator/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements/emulator.txt
	@touch $@

test-container: $(VENV)/dev ## builds and runs the Dockerfile without a daemon; needs root, buildah, debootstrap
	bash tests/container/run.sh

lock: $(VENV)/dev ## the newest versions that pyproject.toml allows, with hashes and no addresses
	$(RUN) uv pip compile -q --upgrade pyproject.toml $(LOCK_OPTIONS) -o requirements/runtime.txt
	$(RUN) uv pip compile -q --upgrade pyproject.toml --group dev $(LOCK_OPTIONS) -o requirements/dev.txt
	$(RUN) uv pip compile -q --upgrade --group installer $(LOCK_OPTIONS) -o requirements/uv.txt
	$(RUN) uv pip compile -q --upgrade --group emulator $(LOCK_OPTIONS) -o requirements/emulator.txt

LOCK_OPTIONS := --universal --generate-hashes --no-emit-index-url --no-header

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dora-metrics needs Python 3.11 or newer; try make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)

# One environment: the development lock holds everything of the runtime lock.
$(VENV)/runtime: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "make: installing the locked packages into $(VENV), once" >&2
	@$(RUN) pip install -q --disable-pip-version-check --require-hashes -r requirements/runtime.txt
	@touch $@

$(VENV)/dev: requirements/dev.txt pyproject.toml | $(VENV)/bin/python
	$(RUN) pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	$(RUN) pip install -q --disable-pip-version-check --no-build-isolation --no-deps -e .
	@touch $@ $(VENV)/runtime

clean: ## removes what make made
	rm -rf $(VENV) build dist tests/web/node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis
