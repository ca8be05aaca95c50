# make demo     sets everything up and shows the whole way of a measurement
# make test     sets everything up and passes the tests
# make test-long  thousands of generated histories of a store, each beside a plain model, and thousands of
#               lives of a meter that two homes read (HISTORIES=4000); a gateway killed at each step
# make test-bluez  the radio on a real Linux stack: kernel and bluetoothd in a small virtual machine
# make test-database PASSERELLE_TEST_DATABASE=ADDRESS
#               the tests of the store and the journeys on a server of yours: PostgreSQL, TimescaleDB or Citus
# make check    style, types, and who may import whom
# make bench    the measurements of docs/benchmarks.md, as ratios within one run
# make setup    only builds .venv; does nothing when nothing changed
# make clean    removes what make built

.PHONY: setup demo test test-long test-bluez test-database check bench lock clean
.DELETE_ON_ERROR:
.SUFFIXES:

# The system's Python before a person's own: a virtual environment made from one
# under somebody's home cannot be run by another user.
PYTHON ?= $(firstword $(foreach candidate,/usr/bin/python3 python3 python3.14 python3.13 python3.12 python3.11,\
	$(shell $(candidate) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(candidate))))

# --no-deps: the lock holds every package, with its hashes.
INSTALL := .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps
RUNTIME := .venv/runtime.stamp
TOOLS := .venv/tools.stamp
# Two at a time: each has a PostgreSQL of its own.
WORKERS ?= 2
NODE_MODULES := $(if $(shell command -v npm 2>/dev/null),tests/node/node_modules/.stamp)

setup: $(RUNTIME) $(TOOLS)

$(RUNTIME): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "Passerelle needs Python 3.11 or newer with venv (Debian: apt install python3-venv)." >&2; exit 2; }
	@echo "Setting up .venv (once, about half a minute) ..."
	@test -x .venv/bin/python || $(PYTHON) -m venv .venv
	@$(INSTALL) --require-hashes --requirement requirements.lock
	@$(INSTALL) --no-build-isolation --editable .
	@touch $@

$(TOOLS): requirements-dev.lock $(RUNTIME)
	@echo "Adding what the tests and checks need ..."
	@$(INSTALL) --require-hashes --requirement requirements-dev.lock
	@touch $@

tests/node/node_modules/.stamp: tests/node/package-lock.json
	@cd tests/node && npm ci --silent --no-audit --no-fund && touch node_modules/.stamp

demo: $(RUNTIME)
	@.venv/bin/passerelle demo

test: $(TOOLS) $(NODE_MODULES)
	@.venv/bin/python -m pytest -rs -n $(WORKERS) --dist loadfile

test-long: $(TOOLS)
	@HYPOTHESIS_PROFILE=long .venv/bin/python -m pytest tests/storage/test_histories.py \
	  tests/gateway/test_sync_histories.py tests/gateway/test_killed_gateway.py

# One event loop for all: bleak keeps what it knows of BlueZ by loop, and bluetoothd outlives a test.
test-bluez: $(TOOLS)
	@tests/bluez/machine .venv/bin/python -B -m pytest -rs tests/bluez --timeout 300 \
		-o asyncio_default_fixture_loop_scope=session -o asyncio_default_test_loop_scope=session

test-database: $(TOOLS) $(NODE_MODULES)
	@test -n "$$PASSERELLE_TEST_DATABASE" || { echo "Name a server: make test-database \
	PASSERELLE_TEST_DATABASE=postgresql://owner:password@host/database (the role may create databases)." >&2; exit 2; }
	@.venv/bin/python -m pytest -rs tests/storage tests/journeys

check: $(TOOLS)
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: $(TOOLS)
	@.venv/bin/python -m benchmarks

# Needs uv. Names no host: a lock that did would bind everybody to one registry.
lock:
	uv pip compile --python-version 3.11 --universal --generate-hashes --quiet --no-header --no-annotate \
		--group build pyproject.toml --output-file requirements.lock
	uv pip compile --python-version 3.11 --universal --generate-hashes --quiet --no-header --no-annotate \
		--group build --group dev pyproject.toml --constraints requirements.lock --output-file requirements-dev.lock

clean:
	rm -rf .venv .mypy_cache .ruff_cache .import_linter_cache .hypothesis tests/node/node_modules build dist
