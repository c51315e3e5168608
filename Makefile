# The same commands on every machine; CI runs them too. Each does all set-up itself: python3.11+, make and git suffice.
# TORCH_INDEX, empty by default, is one more package index: a machine without a GPU can name one with small torch builds.

PYTHON ?= python3
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# REGISTRY is where images are pushed: HOST[:PORT][/PREFIX]. IMAGES is cpu, or all with the GPU image.
REGISTRY ?= 127.0.0.1:5000
IMAGES ?= cpu

.PHONY: help install check check-gpu-constraints test test-faults test-services test-containers compile images run

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

test-containers: $(STAMP)  ## the images, and the chain in them; .ci/engine.sh starts the Docker engine and the registry
	$(BIN)/pytest -m containers

check: $(STAMP)  ## style, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

check-gpu-constraints: $(STAMP)  ## whether the GPU image's versions resolve together: downloads gigabytes, installs nothing
	$(BIN)/pip install --dry-run --quiet --ignore-installed --only-binary=:all: --no-binary=kfp-server-api \
	  --disable-pip-version-check -c constraints-gpu.txt '.[gpu]'

images: $(STAMP)  ## build this commit's images, push them to REGISTRY, and write docker/images.json
	docker/build.sh $(IMAGES) --registry $(REGISTRY)

compile: $(STAMP)  ## the pipeline package for a cluster
	$(BIN)/medu1 compile --images tests/golden/images.json --allow-skew --out build/retraining.yaml
