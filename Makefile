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
OTHER_VERSIONS := PYTHONPATH=tests$(if $(PYTHONPATH),:$(PYTHONPATH)) $(BIN)/python -m versions --workers $(WORKERS)
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable

# pip install '.[page]', without -e, puts a copy in the place of the development install: edits do nothing from then on
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

test-oldest: setup  ## run the adapters', the core's and the fuzz tests on the oldest transformers that is supported
	$(OTHER_VERSIONS) $(OLDEST)

test-newest: setup  ## run them on the transformers that pip installs today, if it is newer than the one that is pinned
	$(OTHER_VERSIONS) newest --unless-pinned

test-versions: setup  ## run most of them on VERSIONS="5.6.0 newest" of transformers, TORCH="2.6.0" of torch; writes docs/releases.*
	$(OTHER_VERSIONS) --write --short $(VERSIONS) --torch $(TORCH)

test-installs: setup  ## install the wheel as people do, one extra at a time, without constraints, and use it (about 10 minutes)
	V2DROP_INSTALLS=$(VENV)/installs $(BIN)/python -m pytest tests/installs

docs: setup  ## build the documentation as a site into out/site, strictly
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: setup  ## ruff, mypy, and import-linter: packages look only down
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	PYTHONPATH=core:adapters:scripts $(BIN)/lint-imports --no-cache

format: setup  ## let ruff format and mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(VENV)/.installed-dev  ## install all that demo, tests and zoo evaluation need
	$(call KEEP_EDITABLE,dev)

browser:  ## install Debian's Chromium and its driver, in which the tests look at pages (as root, or by sudo)
	@{ command -v chromium && command -v chromedriver; } || { $(SUDO) apt-get update && \
		$(SUDO) apt-get install --yes --no-install-recommends chromium chromium-driver; }

bench: setup  ## measure speed and memory against their targets; writes benchmarks/results.json
	$(BIN)/python benchmarks/bench.py

fuzz: setup  ## dropping against masking in 1,000 random combinations (about 3 minutes); FUZZ=100000 for more
	V2DROP_FUZZ=$(FUZZ) $(BIN)/python -m pytest tests/fuzz

mutants: setup  ## break one thing after the other on purpose and show which test notices: [OPTIONS="--only words"]
	PYTHONPATH=tests$(if $(PYTHONPATH),:$(PYTHONPATH)) $(BIN)/python -m mutants $(OPTIONS)

upstream: setup  ## run a transformers checkout's generation tests on attached models: TRANSFORMERS=path [OPTIONS=...]
	$(BIN)/python -m pip install --quiet --disable-pip-version-check parameterized requests
	PYTHONPATH=tests$(if $(PYTHONPATH),:$(PYTHONPATH)) $(BIN)/python -m upstream $(TRANSFORMERS) $(OPTIONS)

train: setup  ## train the zoo's models (about 3 hours on two cores; both LLaVAs from scratch, the others from LLaVA), then write their cards
	for name in llava llava_control llava_next qwen2_vl; do \
		$(BIN)/python -m v2drop_zoo_training.train $$name && $(BIN)/python -m v2drop_zoo_training.card $$name || exit 1; done

evaluate: setup  ## measure the zoo's models, dense and with a third of the vision tokens
	for options in llava llava_control llava_next qwen2_vl "qwen2_vl --modality video"; do \
		$(BIN)/python -m v2drop_zoo_training.evaluate $$options --questions 1000 --seed 0 && \
		$(BIN)/python -m v2drop_zoo_training.evaluate $$options --questions 1000 --seed 0 --retain 0.333 || exit 1; done

results: setup  ## compare all methods on every zoo model, about an hour; writes docs/results, goes on after a stop
	$(BIN)/python -m v2drop_zoo_training.results --out $(RESULTS) --journal $(JOURNAL)

eval-setup: $(EVAL)/.installed  ## install lmms-eval, with what it needs, beside the development install

test-eval: $(EVAL)/.installed  ## test the lmms-eval plug-in on the zoo, 20 questions a task
	HF_HUB_OFFLINE=1 $(EVAL)/bin/python -m pytest tests/eval

eval-proof: $(EVAL)/.installed  ## lmms-eval beside compare-methods, 200 questions a task; writes docs/results, goes on after a stop
	HF_HUB_OFFLINE=1 $(EVAL)/bin/python tests/proofs/eval_proof.py --out $(RESULTS)

batch-proof: setup  ## kill bulk inference on Ray in the middle, time 1 actor against 2 (about 7 minutes); writes docs/results/batch.*
	$(BIN)/python -m proofs.batch_proof --out $(RESULTS)

wheel: setup  ## build the wheel and the sdist
	$(BIN)/python -m build

clean:  ## remove what builds and tests leave behind
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# the development install holds all that the demo needs, so it serves both
$(VENV)/.installed-demo: $(BIN)/python pyproject.toml constraints.txt
	@test -e $(VENV)/.installed-dev -a $(VENV)/.installed-dev -nt pyproject.toml || $(INSTALL) '.[llava]'
	@touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(INSTALL) '.[dev]'
	@touch $@

# lmms-eval brings 70 packages, some of them older than those of the development install (PyAV), so it gets an environment of its
# own; a .pth file lends it that install's packages, torch among them, and pip installs only what is missing or too new
$(EVAL)/.installed: $(VENV)/.installed-dev
	$(PYTHON) -m venv --without-pip $(EVAL)
	$(BIN)/python -c "import sysconfig; print(sysconfig.get_path('purelib'))" \
		> `$(EVAL)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))"`/development.pth
	$(EVAL)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[eval]'
	@touch $@
