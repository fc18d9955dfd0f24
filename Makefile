# The project's few commands. Each prepares what it needs in .venv first, and only when requirements changed.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: help run test browser screenshots soak chaos lint fmt bench bench-decide migrations messages clean
.DEFAULT_GOAL := help

help:
	@echo "make run         start the dashboard: web, worker and beat; prints address and login (PORT=8000)"
	@echo "make test        all tests but the browser's; ARGS=... goes to pytest"
	@echo "make browser     the tests that need Chromium and start the real processes"
	@echo "make screenshots the pictures of the guide; ARGS='--sheet FOLDER' for all pages, wide and narrow, light and dark"
	@echo "make soak        20 000 random programs, killed, answered and sent back: some minutes"
	@echo "make chaos       many runs on PostgreSQL, and workers, deciders and a broker killed at random: 3 minutes"
	@echo "make lint        formatting, rules, import contracts, types, templates, migrations"
	@echo "make fmt         format the code"
	@echo "make bench       the numbers of the README, beside the peers"
	@echo "make bench-decide  how quickly a decided run goes on, and decisions a second: needs PostgreSQL and Redis"
	@echo "make migrations  write the migrations of changed models"
	@echo "make messages    collect the texts to be translated into locale/, and compile them: needs GNU gettext"
	@echo "make clean       remove .venv and caches; your data in var/ stays"

run: $(VENV)/.runtime
	@exec $(BIN)/python manage.py run

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(ARGS)

browser: $(VENV)/.dev
	$(BIN)/python -m pytest -m browser tests/browser $(ARGS)

screenshots: $(VENV)/.dev
	$(BIN)/python -m tests.browser.screenshots $(ARGS)

soak: $(VENV)/.dev
	$(BIN)/python -m tests.rh_agents.soak $(ARGS)

chaos: $(VENV)/.dev
	$(BIN)/python -m tests.conformance.chaos $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	find templates -name '*.html' -exec $(BIN)/djade --target-version 5.2 --check {} +
	$(BIN)/python manage.py makemigrations --check --dry-run

fmt: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix-only --quiet .
	find templates -name '*.html' -exec $(BIN)/djade --target-version 5.2 {} +

bench: $(VENV)/.bench
	$(BIN)/python benchmarks/checkpoint.py $(ARGS)

bench-decide: $(VENV)/.runtime
	$(BIN)/python benchmarks/decide.py $(ARGS)

migrations: $(VENV)/.runtime
	$(BIN)/python manage.py makemigrations recovery

messages: $(VENV)/.dev
	$(BIN)/python manage.py makemessages --locale de --no-obsolete --no-wrap --no-location --ignore "rh_agents/*" --ignore "tests/*" --ignore ".venv/*"
	$(BIN)/python manage.py compilemessages --locale de --ignore ".venv/*"

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, and $(PYTHON) is older: make PYTHON=/path/to/python3.11 ..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements/base.txt $(VENV)/.made
	$(PIP) -r requirements/base.txt
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.runtime
	$(PIP) -r requirements/dev.txt
	@touch $@

$(VENV)/.bench: requirements/bench.txt $(VENV)/.dev
	$(PIP) -r requirements/bench.txt
	@touch $@
