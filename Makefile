# Linux and macOS. On Windows: see "Without make" in README.md.
PYTHON ?= python3
BIN := .venv/bin
CHAPTERS ?=
READY := .venv/.ready
# Two files of tests at a time, each with one thread; tests/conftest.py deals the chapters out one by one.
TESTS := PRACTICALDL_EDITION=sample OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
         -n 2 --dist loadfile --no-loadscope-reorder
# Libraries are compiled when they are first imported, and that is kept: empty means so, whatever it was.
# pip would compile all 21,000 files at once, of which the course uses a quarter.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test check lab app data docs doctor clean

# What stands behind ## is what `make` says of a target.
help:
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-12s %s\n", $$1, $$2}' Makefile

define CAN_BE_MADE
import platform, sys
if sys.version_info < (3, 10):
    sys.exit('practicaldl needs Python 3.10 or newer, and $(PYTHON) is %d.%d. '
             'Name a newer one: make run PYTHON=python3.11' % sys.version_info[:2])
if (platform.system(), platform.machine()) == ('Darwin', 'x86_64'):
    sys.exit('PyTorch is no longer made for Python on Intel Macs. Run the course on Kaggle or Colab; '
             'on a Mac with an Apple chip, name a Python for arm64: make run PYTHON=...')
endef
export CAN_BE_MADE

# The environment is made once, and again only when one of these files changes.
$(READY): constraints.txt settings.ini setup.py pyproject.toml
	@$(PYTHON) -c "$$CAN_BE_MADE"
	@echo "Making .venv from constraints.txt: a few minutes and about 2.5 GB, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q -q --no-compile --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

run: $(READY)  ## run every chapter and print what it measured (CHAPTERS="01_bird" runs one)
	@$(BIN)/practicaldl run $(CHAPTERS)

# JupyterLab's check for updates would ask the network, and nobody asked for that.
NO_UPDATES := jupyterlab.handlers.announcements.NeverCheckForUpdate
lab: $(READY)  ## open the chapters in JupyterLab
	@$(BIN)/jupyter lab --notebook-dir=nbs --LabApp.check_for_updates_class=$(NO_UPDATES)

app: $(READY)  ## open a page on which the bird model says what is in a picture
	@$(BIN)/practicaldl app

data: $(READY)  ## fetch the data sets and weights, for use offline
	@$(BIN)/practicaldl data

doctor: $(READY)  ## say what this machine has and what is missing
	@$(BIN)/practicaldl doctor

check: $(READY)  ## check a small change, in under a minute: nbs/ and practicaldl/ agree, ruff, the fast tests
	@$(BIN)/python -m bench sync
	@$(BIN)/ruff check .
	@$(TESTS) -m "not slow"

# pytest builds the site as well, with warnings as errors, and opens it in a browser: tests/test_site.py.
test: $(READY)  ## check everything: make check, every notebook as a test, all tests; the site is built too
	@$(BIN)/python -m bench sync
	@$(BIN)/ruff check .
	@$(BIN)/python -m bench notebooks
	@$(TESTS) --durations=10

docs: $(READY)  ## build the site, without a network, into build/site
	@$(BIN)/python -m docs.build

clean:  ## remove results, caches of Python and .venv (fetched data stays)
	rm -rf .venv build dist *.egg-info results nbs/work .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
