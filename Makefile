# make demo: complete an occluded person with the shipped weights; make test: run the tests.
# Each makes .venv when it is missing and installs what it needs there. PYTHON chooses another interpreter.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ROOMS := cli headless host models nodes people training workflows

.PHONY: demo test lint clean

demo: $(VENV)/installed
	$(BIN)/figura demo --output output

test: $(VENV)/installed-test
	$(BIN)/python -m pytest

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	ln -sfn "$(CURDIR)" $(VENV)/figura
	cd $(VENV) && bin/mypy --config-file "$(CURDIR)/pyproject.toml" $(ROOMS:%=-p figura.%)

clean:
	rm -rf $(VENV) build figura.egg-info

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python requirements.txt pyproject.toml setup.py
	$(PIP) install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(PIP) install --quiet --editable ".[test]"
	touch $@
