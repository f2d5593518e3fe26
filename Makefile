# Linux and macOS. On Windows: see "Without make" in README.md.
PYTHON ?= python3
BIN := .venv/bin
CHAPTERS ?=
TIMES ?= 20
READY := .venv/.ready
# Libraries are compiled when they are first imported, and that is kept: empty means so, whatever this variable was. pip would compile all 21,000 files at once, of which the course uses a quarter.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help run test test-latest test-oldest lab app docs docs-open links data doctor refresh bench clone same repeat offline audit sbom clean

help:
	@echo "make run      run every chapter and print what it measured (CHAPTERS=\"01_bird\" runs one)"
	@echo "make test     check that nbs/ and practicaldl/ agree, run every notebook as a test, then pytest, which builds the site too"
	@echo "make lab      open the chapters in JupyterLab"
	@echo "make app      open a page on which the bird model says what is in a picture"
	@echo "make data     fetch the data sets and weights, for use offline"
	@echo "make doctor   say what this machine has and what is missing"
	@echo "make docs     build the site, without a network, into build/site; make docs-open shows it in a browser"
	@echo "make links    for authors: ask every other host that the site links to (needs a network)"
	@echo "make refresh  for authors: run chapters and keep their outputs"
	@echo "make bench    for authors: measure every chapter three times and plain code beside it, and write the tables (CHAPTERS=\"01_bird\" measures one anew)"
	@echo "make clone    for authors: how many minutes it takes from a fresh clone to the table, installation included"
	@echo "make same     for authors: run every chapter and say where outputs differ from the committed ones"
	@echo "make repeat   for authors: run quick chapters 20 times and say where a run differs from the first (TIMES=5 CHAPTERS=\"05_mnist\")"
	@echo "make offline  for authors, Linux: run every chapter without a network and write down each attempt to leave the machine"
	@echo "make test-latest, make test-oldest   for authors: every chapter from the wheel, with the newest or the oldest versions that are allowed"
	@echo "make audit, make sbom   for authors: look the lock up among known vulnerabilities; write the software bill of materials"
	@echo "make clean    remove results, caches of Python and .venv (fetched data stays)"

# The environment is made once, and again only when one of these files changes.
$(READY): constraints.txt settings.ini setup.py pyproject.toml
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 10) else 'practicaldl needs Python 3.10 or newer, and $(PYTHON) is %d.%d. Name a newer one: make run PYTHON=python3.11' % sys.version_info[:2])"
	@echo "Making .venv from constraints.txt: a few minutes and about 2.5 GB, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -q -q --no-compile --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

run: $(READY)
	@$(BIN)/practicaldl run $(CHAPTERS)

# pytest builds the site as well, with warnings as errors, and opens it in a browser: tests/test_site.py. Two files of tests run at a time, each with one thread.
test: $(READY)
	@$(BIN)/python tests/check_sync.py
	@$(BIN)/python tests/run_notebooks.py
	@PRACTICALDL_EDITION=sample OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile

# JupyterLab's check for updates would ask the network, and nobody asked for that.
lab: $(READY)
	@$(BIN)/jupyter lab --notebook-dir=nbs --LabApp.check_for_updates_class=jupyterlab.handlers.announcements.NeverCheckForUpdate

docs: $(READY)
	@$(BIN)/python docs/build.py

docs-open: $(READY)
	@$(BIN)/python docs/build.py --serve

links: $(READY)
	@$(BIN)/python docs/build.py --links

app: $(READY)
	@$(BIN)/practicaldl app

data: $(READY)
	@$(BIN)/practicaldl data

doctor: $(READY)
	@$(BIN)/practicaldl doctor

refresh: $(READY)
	@$(BIN)/practicaldl refresh $(CHAPTERS)

bench: $(READY)
	@$(BIN)/python bench/bench.py --outputs $(CHAPTERS)

clone: $(READY)
	@$(BIN)/python bench/clone.py

same: $(READY)
	@PRACTICALDL_EDITION=sample $(BIN)/practicaldl run --out build/same $(CHAPTERS)
	@$(BIN)/python bench/compare.py build/same

repeat: $(READY)
	@$(BIN)/python bench/repeat.py --times $(TIMES) $(CHAPTERS)

offline: $(READY)
	@PRACTICALDL_EDITION=sample $(BIN)/practicaldl data
	@$(BIN)/python bench/offline.py $(CHAPTERS)

test-latest: $(READY)
	@$(BIN)/python bench/versions.py latest

test-oldest: $(READY)
	@$(BIN)/python bench/versions.py oldest

# Tools that look at the environment stand beside it, so that they are not part of what they look at.
TOOLS := build/tools/.ready
$(TOOLS): Makefile
	@$(PYTHON) -m venv build/tools
	@build/tools/bin/python -m pip install -q --disable-pip-version-check pip-audit==2.10.1 'cyclonedx-bom[json-validation]==7.5.0'
	@touch $@

audit: $(TOOLS)
	@build/tools/bin/python tests/audit.py

sbom: $(READY) $(TOOLS)
	@$(BIN)/python tests/sbom.py build/tools/bin/python

clean:
	rm -rf .venv build dist *.egg-info results nbs/work .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
