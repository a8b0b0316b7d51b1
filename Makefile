# make demo [FIELDS=1 | WORKSPACE=1] | make test | make bench: each one makes .venv if needed (Python 3.11+ and pip).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow bench docs lint messages federated clean
demo: $(STAMP)
	$(BIN)/yieldcast demo $(if $(WORKSPACE),--workspace,$(if $(FIELDS),--fields,--out demo-output))

# Two test files at a time: under ten minutes on two quiet cores.
test: lint
	$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadfile

# Tests over ten seconds: they kill and time processes, run the docs and the installed wheel.
test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow -n 2 --dist loadfile

# About 20 minutes on two quiet cores; the results go to experiments/results.
bench: $(STAMP)
	$(BIN)/python experiments/benchmarks/training.py

# The pages of docs/ into docs/_build/html; a warning is an error.
docs: $(STAMP)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

# Brings the catalogues of yieldcast/language up to date with the texts in the code; new texts are empty there.
messages: $(STAMP)
	$(BIN)/pybabel -q extract -F pyproject.toml --add-location=file --no-wrap --sort-by-file -o yieldcast.pot .
	$(BIN)/pybabel -q update -D yieldcast -i yieldcast.pot -d yieldcast/language/locale --no-wrap \
		--no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date
	rm yieldcast.pot

# Flower, for `yieldcast workspace federate` and its slow test: first on PYTHONPATH, not in $(VENV) itself.
federated: $(VENV)/.federated/.installed
$(VENV)/.federated/.installed: federated.lock | $(STAMP)
	rm -rf $(VENV)/.federated
	$(BIN)/python -m pip install --quiet --no-deps --target $(VENV)/.federated -r federated.lock
	touch $@

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# `-c requirements.lock` installs the versions that were tested.
$(STAMP): setup.cfg pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit("yieldcast needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet -c requirements.lock -e '.[dev,docs]'
	touch $(STAMP)

clean:
	rm -rf $(VENV) build demo-output demo-output-fields demo-output-workspace docs/_build *.egg-info
