# Everything a developer or a first-time user types. Needs git, make and Python >= 3.11 with venv:
#     apt-get install git make python3-venv
# .venv is made on first use and kept current by two stamps: one for running, one for testing.

PYTHON ?= python3
BIN := .venv/bin
SERVE := .venv/.ready-to-serve
TEST := .venv/.ready-to-test
SOURCES := caldavd scheduling storage config tests conformance
PYTEST_ARGS ?= -n auto

.PHONY: serve test check conform conform-server bench format clean

serve: $(SERVE)        ## run a server here; the first run makes the database and a user
	$(BIN)/caldavd serve --first-run

test: $(TEST)          ## the whole test suite; PYTEST_ARGS="tests/config -x" for a part of it
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(TEST)         ## formatting, lint, types, the four floors
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports

conform: $(TEST)       ## outside suites and real clients against a throw-away server; SUITES="litmus" for one of them
	$(BIN)/python -m conformance $(SUITES)

conform-server: $(TEST) ## a throw-away server with fixed accounts, until Ctrl-C
	$(BIN)/python -m conformance.server

bench: $(TEST)         ## side by side with other servers; BENCH="--quick" for two minutes, "--keep" keeps the table
	$(BIN)/python -m conformance.benchmark $(BENCH)

format: $(TEST)        ## let ruff write the code's layout
	$(BIN)/ruff check --fix --exit-zero --quiet $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

clean:                 ## remove what was installed and built; data (caldavd.db, caldavd.toml) stays
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "caldavd needs Python 3.11 or newer; say which with: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "Python's venv is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv .venv

$(SERVE): .venv/pyvenv.cfg setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(TEST): .venv/pyvenv.cfg setup.cfg pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(SERVE)
