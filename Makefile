# make demo: complete an occluded person with the shipped weights; make test: run the tests.
# make lint: style and types; make coverage: the tests again, with the lines that none of them reaches.
# Each makes .venv when it is missing and installs what it needs there. PYTHON chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ROOMS := cli headless host models nodes people training workflows

.PHONY: demo test lint coverage clean

demo: $(VENV)/installed
	$(BIN)/figura demo --output output

test: $(VENV)/installed-test
	$(BIN)/python -m pytest

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	ln -sfn "$(CURDIR)" $(VENV)/figura
	cd $(VENV) && bin/mypy --config-file "$(CURDIR)/pyproject.toml" $(ROOMS:%=-p figura.%)

coverage: $(VENV)/installed-test
	$(BIN)/python -m coverage run -m pytest
	$(BIN)/python -m coverage report
	$(BIN)/python -m coverage xml --quiet

clean:
	rm -rf $(VENV) build figura.egg-info .coverage coverage.xml

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python requirements.txt pyproject.toml setup.py
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) install --quiet --editable ".[test]"
	touch $@
