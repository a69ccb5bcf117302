# Two commands on a fresh machine: make demo, make test. Everything lives in .venv.
PYTHON ?= python3
VENV ?= .venv
OLDEST := 5.0.0
VERSIONS ?= $(OLDEST) newest
TORCH ?=
FUZZ ?= 1000
EVAL ?= $(VENV)/eval
RESULTS ?= docs/results
JOURNAL ?= out/results
WORKERS ?= 2
BIN := $(VENV)/bin
SUDO := $(shell test `id -u` = 0 || echo sudo)
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
WITH_TESTS := PYTHONPATH=tests$(if $(PYTHONPATH),:$(PYTHONPATH))
OTHER_VERSIONS := $(WITH_TESTS) $(BIN)/python -m versions --workers $(WORKERS)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# pip install '.[page]', without -e, replaces the development install with a copy: from then on edits have no effect
define KEEP_EDITABLE
@grep -Eqs '"editable": *true' $(VENV)/lib/python3*/site-packages/v2drop-*.dist-info/direct_url.json || { \
	echo "v2drop in $(VENV) is a copy of the sources: installing it from this checkout again, with pip install -e"; $(INSTALL) '.[$1]'; }
endef

.PHONY: help demo test features test-oldest test-newest test-versions test-installs docs lint format setup browser bench fuzz mutants upstream train evaluate results eval-setup test-eval eval-proof batch-proof wheel clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

demo: $(VENV)/.installed-demo  ## answer the bundled question, dense and with dropping
	$(call KEEP_EDITABLE,llava)
	$(BIN)/v2drop run

test: setup  ## run the test suite, two files at a time; WORKERS=8 for more
	$(PYTEST)

features: setup  ## run the adapters' tests on both releases and write docs/features-*.md, the tables of what works
	$(PYTEST) tests/adapters --feature-table
	$(OTHER_VERSIONS) --feature-table $(OLDEST)

test-oldest: setup  ## run the adapter, core and fuzz tests on the oldest supported transformers
	$(OTHER_VERSIONS) $(OLDEST)

test-newest: setup  ## run them on the newest transformers on PyPI, if it is newer than the pinned one
	$(OTHER_VERSIONS) newest --unless-pinned

test-versions: setup  ## run most of them on transformers VERSIONS="5.6.0 newest", torch TORCH="2.6.0"; writes docs/releases.*
	$(OTHER_VERSIONS) --write --short $(VERSIONS) --torch $(TORCH)

test-installs: setup  ## install the wheel as users do, one extra at a time, no constraints, and use it (about 10 minutes)
	V2DROP_INSTALLS=$(VENV)/installs $(BIN)/python -m pytest tests/installs

docs: setup  ## build the documentation site in out/site; warnings are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: setup  ## run ruff, mypy and import-linter (packages import only from lower layers)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=core:adapters:scripts $(BIN)/lint-imports --no-cache

format: setup  ## format with ruff and apply its fixes
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(VENV)/.installed-dev  ## install everything that the demo, the tests and the zoo evaluation need
	$(call KEEP_EDITABLE,dev)

browser:  ## install Debian's Chromium and its driver for the tests of HTML pages (as root or with sudo)
	@{ command -v chromium && command -v chromedriver; } || { $(SUDO) apt-get update && \
		$(SUDO) apt-get install --yes --no-install-recommends chromium chromium-driver; }

bench: setup  ## compare speed and memory with their targets; writes benchmarks/results.json
	$(BIN)/python benchmarks/bench.py

fuzz: setup  ## compare dropping with masking in 1,000 random combinations (about 3 minutes); FUZZ=100000 for more
	V2DROP_FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/fuzz

mutants: setup  ## break the code on purpose, one change at a time, and show which test fails: [OPTIONS="--only words"]
	$(WITH_TESTS) $(BIN)/python -m mutants $(OPTIONS)

upstream: setup  ## run a transformers checkout's generation tests on attached models: TRANSFORMERS=path [OPTIONS=...]
	$(BIN)/python -m pip install --quiet --disable-pip-version-check parameterized requests
	$(WITH_TESTS) $(BIN)/python -m upstream $(TRANSFORMERS) $(OPTIONS)

train: setup  ## train the zoo models (about 3 hours on 2 cores; LLaVAs from scratch, others from LLaVA) and write their cards
	for name in llava llava_control llava_next qwen2_vl; do \
		$(BIN)/python -m v2drop_zoo_training.train $$name && $(BIN)/python -m v2drop_zoo_training.card $$name || exit 1; done

evaluate: setup  ## evaluate the zoo models, dense and with a third of the vision tokens
	for options in llava llava_control llava_next qwen2_vl "qwen2_vl --modality video"; do \
		$(BIN)/python -m v2drop_zoo_training.evaluate $$options --questions 1000 --seed 0 && \
		$(BIN)/python -m v2drop_zoo_training.evaluate $$options --questions 1000 --seed 0 --retain 0.333 || exit 1; done

results: setup  ## compare all methods on every zoo model (about an hour); writes docs/results, resumable
	$(BIN)/python -m v2drop_zoo_training.results --out $(RESULTS) --journal $(JOURNAL)

eval-setup: $(EVAL)/.installed  ## install lmms-eval and its dependencies beside the development install

test-eval: $(EVAL)/.installed  ## test the lmms-eval plug-in on the zoo, 20 questions a task
	HF_HUB_OFFLINE=1 $(EVAL)/bin/python -m pytest tests/eval

eval-proof: $(EVAL)/.installed  ## compare lmms-eval with compare-methods, 200 questions a task; writes docs/results, resumable
	HF_HUB_OFFLINE=1 $(WITH_TESTS) $(EVAL)/bin/python -m proofs.eval_proof --out $(RESULTS)

batch-proof: setup  ## kill a Ray batch run halfway, time 1 actor against 2 (about 7 minutes); writes docs/results/batch.*
	$(WITH_TESTS) $(BIN)/python -m proofs.batch_proof --out $(RESULTS)

wheel: setup  ## build the wheel and the sdist
	$(BIN)/python -m build

clean:  ## remove what builds and tests leave behind
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# the development install has everything that the demo needs, so it serves both
$(VENV)/.installed-demo: $(BIN)/python pyproject.toml constraints.txt
	@test -e $(VENV)/.installed-dev -a $(VENV)/.installed-dev -nt pyproject.toml || $(INSTALL) '.[llava]'
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) '.[dev]'
	@touch $@

# lmms-eval brings 70 packages, some older than those of the development install (PyAV), so it gets its own environment;
# a .pth file adds the development install's packages, including torch, and pip installs only what is missing or too new
$(EVAL)/.installed: $(VENV)/.installed-dev
	$(PYTHON) -m venv --without-pip $(EVAL)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> `$(EVAL)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))"`/development.pth
	$(EVAL)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[eval]'
	@touch $@
