# `make` lists what there is.
.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
# Compiled once, not again in each of the thousand processes that the tests start.
unexport PYTHONDONTWRITEBYTECODE

BIN := .venv/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check --no-input
PYTEST := $(BIN)/pytest --no-header
# Each module's tests in one process; three on two cores, as a third of the time is waiting.
AT_ONCE := --numprocesses 3 --dist loadfile
UNIT := not servers and not processes and not soak and not doubles
REAL := (servers or processes) and not soak and not doubles
# What failed beside the others is run once more, alone, and told: a machine that was too busy is
# no error of the program. What fails again fails the run.
ALONE := --last-failed --last-failed-no-failures none --maxfail 1
run_tests = $(PYTEST) $(AT_ONCE) tests -m "$1" || { [ $$? = 1 ] && $(PYTEST) $(ALONE) tests -m "$1"; }

.PHONY: help
help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' Makefile

.PHONY: env
env: .venv/.dev ## make .venv with haulier, all its extras and the tools

.PHONY: demo
demo: .venv/.runtime ## pack, upload, verify and restore a small folder of media
	@tools/demo.sh

.PHONY: test
test: test-programs .venv/.dev lint ## check everything: style, types, layers, tests
	@$(call run_tests,$(UNIT))
	@$(call run_tests,$(REAL))

.PHONY: lint
lint: .venv/.dev ## ruff, mypy, import-linter
	@$(BIN)/ruff format --check --quiet . || { echo "Run 'make format'."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-cache > .venv/lint-imports.log || { cat .venv/lint-imports.log; exit 1; }

.PHONY: format
format: .venv/.dev ## put the sources into shape
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

.PHONY: soak
soak: test-programs .venv/.dev ## the long tests: kills at random moments, many rounds
	@$(PYTEST) tests -m soak

.PHONY: check-doubles
check-doubles: .venv/.dev ## compare the doubles of outside services with their reference (REFERENCE=DIR)
	@$(PYTEST) tests -m doubles

.PHONY: bench
bench: .venv/.bench ## haulier beside its peers, on the same data in the same run
	@tools/system.sh bench
	@$(BIN)/python benchmarks/run.py $(ARGS)

.PHONY: docs
docs: .venv/.dev ## write docs/reference from the code
	@$(BIN)/python tools/gen_reference.py

.PHONY: web
web: ## build the web app into the package
	@cd web && { [ node_modules/.package-lock.json -nt package-lock.json ] \
	  || npm ci --silent --no-audit --no-fund --ignore-scripts; }
	@cd web && npm run --silent build

.PHONY: picture
picture: .venv/.dev ## draw docs/images/terminal.svg and chat.png from sessions with the program
	@$(BIN)/python tools/terminal_picture.py
	@$(BIN)/python tools/chat_picture.py

.PHONY: web-pictures
web-pictures: .venv/.dev ## draw docs/pictures/web-*.png: the pages of the web app in Chromium
	@$(BIN)/python tools/draw_web_pictures.py

.PHONY: lock
lock: ## resolve requirements*.lock again (UPGRADE=1: to the newest versions)
	@tools/lock.sh "$$(tools/python.sh)"

.PHONY: clean
clean: ## remove what was made here, but for .venv
	@rm -rf build dist demo-data .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis \
	  .import_linter_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

.PHONY: test-programs
test-programs:
	@tools/system.sh test
	@for one in tests/clients web; do (cd "$$one"; [ node_modules/.package-lock.json -nt package-lock.json ] \
	  || npm ci --silent --no-audit --no-fund --ignore-scripts); done

.venv/.runtime: requirements.lock pyproject.toml
	@tools/venv.sh
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.runtime
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

.venv/.bench: requirements-bench.lock .venv/.dev
	@$(PIP) install --require-hashes -r requirements-bench.lock
	@touch $@
