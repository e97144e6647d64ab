# Needs git, make and Python 3.11 or newer; everything else is installed into .venv.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
RELEASES ?= releases
# Three processes keep two cores busy: tests wait for disks, downloads and browsers.
PROCESSES := -n 3 --dist loadfile --no-loadscope-reorder

# Where bytecode is not written, each program that a test starts compiles pandas and torch again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test test-slow test-whole test-versions test-package coverage lint app docs docs-site clean

help:
	@echo "make demo       build the embedded sample (simulated), print and draw what it found"
	@echo "make test       run the tests"
	@echo "make test-slow  run the full-size tests, and those that search with other examples"
	@echo "make test-whole  run whole shipped recipes on real data; the numbers of docs/results.md; benchmarks"
	@echo "make test-versions  read and build at the lowest and the newest versions of packages"
	@echo "make test-package  build the wheel, install it anew and run unitdb demo in an empty folder"
	@echo "make coverage   run the tests and count the lines they reach; too few are an error"
	@echo "make lint       style, types and import contracts"
	@echo "make app        look at the releases in the browser"
	@echo "make docs       write the generated pages of docs/ anew, and the figure"
	@echo "make docs-site  build the documentation site in build/site; warnings are errors"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# One stamp for each set of extras; the larger one serves the smaller one too.
$(VENV)/.test: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --no-compile --constraint constraints.txt --editable '.[test]'
	@touch $(VENV)/.test $(VENV)/.demo

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@if [ -e $(VENV)/.test ]; then $(MAKE) $(VENV)/.test; else \
		$(PIP) install --quiet --no-compile --constraint constraints.txt --editable '.[demo]'; fi
	@touch $(VENV)/.demo

$(VENV)/.docs: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install --quiet --no-compile --constraint constraints.txt --editable '.[docs]'
	@touch $(VENV)/.docs

demo: $(VENV)/.demo
	OMP_NUM_THREADS=1 $(BIN)/unitdb --releases $(RELEASES) demo --replace

test: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'not slow and not whole' $(PROCESSES)

test-slow: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'slow and not whole' $(PROCESSES) --ignore=tests/acceptance/test_benchmarks.py
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m 'hypothesis and not slow and not whole' $(PROCESSES) --hypothesis-profile=random

test-whole: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m whole $(PROCESSES)
	$(BIN)/python -m pytest -m slow tests/acceptance/test_benchmarks.py  # measured alone

test-versions: $(VENV)/.test
	$(BIN)/python -m tests.versions.matrix

test-package: $(VENV)/.test
	$(BIN)/python -m tests.versions.package

coverage: $(VENV)/.test
	$(PIP) install --quiet --no-compile --constraint constraints.txt coverage
	$(BIN)/python -m coverage erase
	OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest -m 'not slow and not whole' $(PROCESSES)
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --skip-covered

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

app: $(VENV)/.test
	$(BIN)/unitdb --releases $(RELEASES) app

docs: $(VENV)/.test
	$(BIN)/unitdb schema --format markdown > docs/schema.md
	$(BIN)/python docs/commands.py > docs/commands.md
	$(BIN)/python docs/specs.py > docs/recipes.md
	$(BIN)/python docs/robustness.py > docs/robustness.md
	$(BIN)/unitdb --releases $(RELEASES) demo >/dev/null
	$(BIN)/python docs/figure.py $(RELEASES)/sample/1.0.0 docs/sample.png
	cp $(RELEASES)/sample-topdown.png docs/topdown.png
	$(BIN)/python docs/tutorials.py $(RELEASES)

docs-site: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

clean:
	rm -rf $(VENV) $(RELEASES) build
