# The same commands on every machine; CI runs them too. Each does all set-up itself: python3.11+, make and git suffice.
# TORCH_INDEX, empty by default, is one more package index: a machine without a GPU can name one with small torch builds.

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install check test test-faults test-services compile run

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

install: $(STAMP)  ## set up .venv with the tested versions

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "medu1 needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt -e '.[all,dev]'
	touch $(STAMP)

run: $(STAMP)  ## the whole chain on this machine
	$(BIN)/medu1 run

test: $(STAMP)  ## the test suite, one real tiny training included
	$(BIN)/pytest -n auto --dist loadfile

test-faults: $(STAMP)  ## trainings that are killed, stopped, cut off from their servers or out of disk
	$(BIN)/pytest -n auto --dist loadscope -m faults

test-services: $(STAMP)  ## the chain against MLflow on PostgreSQL and S3, in a browser; .ci/packages.sh installs these
	$(BIN)/pytest -m services

check: $(STAMP)  ## style, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

compile: $(STAMP)  ## the pipeline package for a cluster
	$(BIN)/medu1 compile --images tests/golden/images.json --allow-skew --out build/retraining.yaml
