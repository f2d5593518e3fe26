# Linux and macOS. On Windows: see "Without make" in README.md.
PYTHON ?= python3
BIN := .venv/bin
CHAPTERS ?=
TIMES ?= 20
READY := .venv/.ready
BENCH := $(BIN)/python -m bench
# Two files of tests at a time, each with one thread.
TESTS := PRACTICALDL_EDITION=sample OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile
# Libraries are compiled when they are first imported, and that is kept: empty means so, whatever it was.
# pip would compile all 21,000 files at once, of which the course uses a quarter.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run check test test-latest test-oldest lab app docs docs-open links data doctor refresh bench \
	clone same repeat offline audit sbom clean

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
	@$(BIN)/python tests/check_sync.py
	@$(BIN)/ruff check .
	@$(TESTS) -m "not slow"

# pytest builds the site as well, with warnings as errors, and opens it in a browser: tests/test_site.py.
test: $(READY)  ## check everything: make check, every notebook as a test, all tests; the site is built too
	@$(BIN)/python tests/check_sync.py
	@$(BIN)/ruff check .
	@$(BIN)/python tests/run_notebooks.py
	@$(TESTS) --durations=10

docs: $(READY)  ## build the site, without a network, into build/site
	@$(BIN)/python docs/build.py

docs-open: $(READY)  ## build the site and show it in a browser
	@$(BIN)/python docs/build.py --serve

links: $(READY)  ## for authors: ask every other host that the site links to (needs a network)
	@$(BIN)/python docs/build.py --links

refresh: $(READY)  ## for authors: run chapters and keep their outputs
	@$(BENCH) refresh $(CHAPTERS)

bench: $(READY)  ## for authors: measure chapters three times and plain code beside them, and write the tables
	@$(BENCH) measure $(CHAPTERS)

clone: $(READY)  ## for authors: how many minutes it takes from a fresh clone to the table
	@$(BENCH) clone

same: $(READY)  ## for authors: run every chapter and say where outputs differ from the committed ones
	@PRACTICALDL_EDITION=sample $(BIN)/practicaldl run --out build/same $(CHAPTERS)
	@$(BENCH) compare build/same

repeat: $(READY)  ## for authors: run quick chapters 20 times and say where a run differs (TIMES=5)
	@$(BENCH) repeat --times $(TIMES) $(CHAPTERS)

offline: $(READY)  ## for authors, Linux: run chapters without a network; each attempt to leave is told
	@PRACTICALDL_EDITION=sample $(BIN)/practicaldl data
	@$(BENCH) offline $(CHAPTERS)

test-latest: $(READY)  ## for authors: every chapter from the wheel, with the newest versions that are allowed
	@$(BENCH) versions latest

test-oldest: $(READY)  ## for authors: the same with the oldest versions
	@$(BENCH) versions oldest

# Tools that look at the environment stand beside it, so that they are not part of what they look at.
TOOLS := build/tools/.ready
$(TOOLS): Makefile
	@$(PYTHON) -m venv build/tools
	@build/tools/bin/python -m pip install -q --disable-pip-version-check pip-audit==2.10.1 \
		'cyclonedx-bom[json-validation]==7.5.0'
	@touch $@

audit: $(TOOLS)  ## for authors: look the lock up among known vulnerabilities
	@build/tools/bin/python bench/audit.py

sbom: $(READY) $(TOOLS)  ## for authors: write the software bill of materials
	@$(BIN)/python bench/sbom.py build/tools/bin/python

clean:  ## remove results, caches of Python and .venv (fetched data stays)
	rm -rf .venv build dist *.egg-info results nbs/work .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
