PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed

.PHONY: help demo test lab lint notebooks bench clean

help:  ## say what can be made
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "maclip_lab needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	@touch $@

demo: $(READY)  ## score a dozen photographs, clean and degraded
	$(BIN)/maclip-lab demo

test: $(READY)  ## run every test, the notebooks included
	$(BIN)/pytest -m "not slow"

lab: $(READY)  ## open the notebooks in JupyterLab
	$(BIN)/maclip-lab lab

lint: $(READY)  ## check style and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

notebooks: $(READY)  ## execute all notebooks again and store their outputs
	$(BIN)/python notebooks/refresh.py

bench: $(READY)  ## measure speed and memory, as ratios within one run
	$(BIN)/maclip-lab bench

clean:  ## remove everything that was made, downloads of yours excepted
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
