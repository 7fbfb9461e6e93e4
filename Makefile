# Two commands do everything: `make train` and `make test`.
PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
FIRST := -m experiment=saturated loss=se,bce

.DEFAULT_GOAL := help
.PHONY: help install train play board test test-slow test-faults test-long test-newest test-hydra-next test-extras test-mutants check picture lecture docs docs-links dist benchmark clean

help:  ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

# written last, so that an interrupted installation is taken up again; pip would compile on one
# core, the tests of others included
.venv/installed: pyproject.toml .ci/constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mlr needs Python 3.11 or newer; name one: make install PYTHON=python3.11")'
	@echo "making .venv with the pinned versions; this takes a minute or two"
	@$(PYTHON) -m venv .venv
	@# the name that the distribution had, in an environment of then
	@$(BIN)/python -m pip uninstall --quiet --yes mlr 2>/dev/null
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint .ci/constraints.txt --editable '.[dev]'
	@-$(BIN)/python -m compileall -qq -j 0 -x '/tests/|/testing/_internal/' .venv/lib
	@touch $@

install: .venv/installed  ## create .venv with the pinned versions

train: install  ## train two losses side by side, or ARGS="head=sigmoid loss=se"
	@$(BIN)/python scripts/train.py $(or $(ARGS),$(FIRST))

play: install  ## write playground.html and open it: heads and losses live in the browser
	@$(BIN)/python scripts/play.py $(ARGS)

board: install  ## open TensorBoard on all runs
	@$(BIN)/python scripts/board.py $(ARGS)

# what is imported by dozens of processes is compiled once, whatever the shell says
test test-slow test-faults: export PYTHONDONTWRITEBYTECODE =

test: install  ## run the checks and the fast tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@# two workers on two cores: threads of their own would fight over them. mypy, which alone would
	@# leave a core idle for half a minute, runs beside them and is printed last
	@types=$$(mktemp); $(BIN)/mypy >$$types 2>&1 & mypy=$$!; \
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal; tests=$$?; \
	wait $$mypy; mypy=$$?; echo mypy; cat $$types; rm -f $$types; exit $$((tests | mypy))

test-slow: install  ## run the slow tests: MNIST bars, all of the lecture, pages in Chromium, installations; ARGS="tests/lecture" takes a part
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup -m "slow and not long" $(ARGS)

test-faults: install  ## kill, fill, flip and fuzz: the thorough fault injection, under a quarter of an hour
	OMP_NUM_THREADS=1 MLR_FUZZ=14 $(BIN)/python -m pytest -n 2 --dist worksteal -m "faults or fuzz"

test-long: install  ## what takes minutes: 100,000 points a pair against 50 digits, a CNN, benchmark commands
	$(BIN)/python -m pytest -m long

# nothing pinned: what an installation gets today
NEWEST := .venv-newest
$(NEWEST)/installed: pyproject.toml
	@$(PYTHON) -m venv $(NEWEST)
	@$(NEWEST)/bin/python -m pip install --quiet --upgrade --upgrade-strategy eager --editable '.[dev]'
	@touch $@

test-newest: $(NEWEST)/installed  ## run the fast tests with the newest of every dependency
	@$(NEWEST)/bin/python -m pip list --format freeze
	OMP_NUM_THREADS=1 $(NEWEST)/bin/python -m pytest -n 2 --dist worksteal

# a Hydra and an OmegaConf of its own, before all that .venv has
NEXT := .venv-hydra-next
$(NEXT)/installed: .venv/installed
	@$(BIN)/python -m venv $(NEXT)
	@$(NEXT)/bin/python -m pip install --quiet --disable-pip-version-check --pre 'hydra-core>=1.4.0rc0,<1.5' 'setuptools>=77'
	@echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> $$($(NEXT)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/venv_below.pth
	@touch $@

test-hydra-next: $(NEXT)/installed  ## run the tests of the application on the newest pre-release of Hydra
	@$(NEXT)/bin/python -c 'import hydra, omegaconf; print("Hydra", hydra.__version__, "OmegaConf", omegaconf.__version__)'
	@# both halves, whatever becomes of the first
	export OMP_NUM_THREADS=1; $(NEXT)/bin/python -m pytest -n 2 --dist worksteal tests/app tests/analysis tests/lecture; fast=$$?; \
	$(NEXT)/bin/python -m pytest -n 2 -m slow tests/app/cli/test_conformance.py tests/app/cli/test_packaging.py && exit $$fast

# Ray, submitit, Optuna and Hugging Face's Trainer above all that .venv has
EXTRAS := .venv-extras
$(EXTRAS)/installed: .venv/installed
	@$(BIN)/python -m venv $(EXTRAS)
	@echo "import site; site.addsitedir('$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
		> $$($(EXTRAS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/venv_below.pth
	@$(EXTRAS)/bin/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt 'ray>=2.40' 'submitit>=1.5.2' 'hydra-optuna-sweeper>=1.3.0' 'transformers>=5' 'accelerate>=1.1'
	@touch $@

test-extras: $(EXTRAS)/installed  ## run real sweeps on Ray, submitit and Optuna, and trainings of Hugging Face
	$(EXTRAS)/bin/python -m pytest -m slow tests/app/sweep/test_engines.py tests/app/sweep/test_optuna.py tests/loop/test_huggingface.py tests/loop/test_docs.py

test-mutants: install  ## put small faults into mlr and list those that no fast test notices; takes hours
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutants $(ARGS)

picture: install  ## draw the README's picture
	$(BIN)/python -m mlr.lecture.readme_picture

lecture: install  ## run the lecture and write lecture/index.html
	$(BIN)/python scripts/lecture.py

docs: install  ## build the documentation into runs/site
	@OMP_NUM_THREADS=1 $(BIN)/python -m mlr.docs.build runs/site
	@echo "built: runs/site/index.html"

docs-links: install  ## ask the network for every external address of the documentation
	@$(BIN)/python -m mlr.docs.build runs/links --links

# build and twine have an environment of their own
DIST := .venv-dist
$(DIST)/installed: .ci/constraints.txt
	@$(PYTHON) -m venv $(DIST)
	@$(DIST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint .ci/constraints.txt build setuptools twine
	@touch $@

dist: $(DIST)/installed  ## build and check the wheel and the source distribution, in dist/
	@rm -rf dist
	@# the wheel, built from the source distribution, is the same to the byte for the same commit
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(DIST)/bin/python -m build --no-isolation >$(DIST)/log 2>&1 || { cat $(DIST)/log; exit 1; }
	$(DIST)/bin/python -m twine check --strict dist/*

benchmark: install  ## time mlr and hand-written loops, and say what became slower
	$(BIN)/python scripts/benchmark.py $(ARGS)

clean:  ## remove .venv and caches, but no runs
	rm -rf .venv $(NEWEST) $(NEXT) $(EXTRAS) $(DIST) .pytest_cache .mypy_cache .ruff_cache build dist *.egg-info
