# Needs Python (3.11 or later, with venv), make and a C library; everything else comes from the package registry that pip is set up for.
# Targets: demo  test  lint  test-engines  test-lowest  bench  growth  clean. Environments are made once and again whenever pyproject.toml changes.

PYTHON ?= python3
WORKERS ?= 2
DEMO_OUT ?=
PIP = -m pip install -q --disable-pip-version-check
BIN = .venv/bin

.PHONY: demo test lint test-engines test-lowest bench growth clean

demo: .venv/.installed
	$(BIN)/dpsynth demo $(if $(DEMO_OUT),--out $(DEMO_OUT))

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Engines on servers that it starts itself: PostgreSQL in a temporary folder, Spark in local mode. Installs both where they are absent.
test-engines: .venv/.installed-engines
	tests/servers/install.sh
	DPSYNTH_TEST_SERVERS=1 $(BIN)/python -m pytest tests/servers -n $(WORKERS) --dist loadfile

# What no version of a dependency can break runs once, in `make test`: forged bundles and ledgers, benchmarks, the notebook.
test-lowest: .venv-lowest/.installed-test
	.venv-lowest/bin/python -m pytest -n $(WORKERS) --dist worksteal \
		--ignore=tests/faults --ignore=tests/evaluation --ignore=tests/docs/test_notebook.py

bench: .venv/.installed-bench
	$(BIN)/python -m benchmarks.release $(BENCH)

growth: .venv/.installed-bench
	$(BIN)/python -m benchmarks.growth $(GROWTH)

clean:
	rm -rf .venv .venv-lowest

.venv/.installed: pyproject.toml | .venv/bin/python
	$(BIN)/python $(PIP) -e .
	touch $@

.venv/.installed-test: pyproject.toml | .venv/bin/python
	$(BIN)/python $(PIP) -e '.[test]'
	touch $@ .venv/.installed

.venv/.installed-engines: pyproject.toml | .venv/bin/python
	$(BIN)/python $(PIP) -e '.[test,postgres,spark,ibis]'
	touch $@ .venv/.installed .venv/.installed-test

.venv/.installed-bench: pyproject.toml | .venv/bin/python
	$(BIN)/python $(PIP) -e '.[bench]'
	touch $@ .venv/.installed

.venv-lowest/.installed-test: pyproject.toml constraints-lowest.txt | .venv-lowest/bin/python
	.venv-lowest/bin/python $(PIP) -c constraints-lowest.txt -e '.[test]'
	touch $@

%/bin/python:
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"Python 3.11 or later is needed, got {sys.version}"'
	$(PYTHON) -m venv $*
	echo '*' > $*/.gitignore
