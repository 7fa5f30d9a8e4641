PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
OLDEST := .venv-oldest
SPHINX := $(BIN)/python -m sphinx -qW --keep-going -j auto -c docs -d build/doctrees

.PHONY: help demo test test-oldest lab lint notebooks site course release bench packs wheelhouse clean

help:  ## say what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/:/'

.venv/.package: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "maclip_lab needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	@touch $@

# the extras that a target needs, each once, into the same environment: course, lab, test, site
.venv/.%: .venv/.package
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[$*]'
	@touch $@

demo: .venv/.package  ## score a dozen photographs, clean and degraded
	$(BIN)/maclip-lab demo

test: .venv/.test  ## run every test, the notebooks included
	$(BIN)/pytest -m "not slow" --numprocesses auto --maxprocesses 4 --dist loadfile

test-oldest: pyproject.toml  ## test what computes scores on the lowest versions admitted
	$(PYTHON) -m venv $(OLDEST)
	grep -oE '"[a-z-]+>=[0-9.]+"' pyproject.toml | tr -d '"' | sed 's/>=/==/' > $(OLDEST)/lowest.txt
	$(OLDEST)/bin/pip install --quiet --constraint $(OLDEST)/lowest.txt --editable . pytest hypothesis
	$(OLDEST)/bin/python -m pytest -o addopts=--strict-markers -m "not slow" \
		tests/test_parity.py tests/test_encoder.py tests/test_images.py tests/evaluation

lab: .venv/.lab  ## open the notebooks in JupyterLab
	$(BIN)/maclip-lab lab

lint: .venv/.test  ## check style and types
	$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

notebooks: .venv/.test  ## execute all notebooks again and store their outputs
	$(BIN)/python notebooks/refresh.py

site: .venv/.test .venv/.site  ## build the site from the executed notebooks into build/site
	$(SPHINX) . build/site

course: .venv/.course  ## build the course, a zip each for students, instructors and slides, into build/course
	$(BIN)/python course/build.py build/course

release: site  ## build what a release consists of into dist, and check it in an environment of its own
	$(BIN)/python docs/release.py

bench: .venv/.test  ## measure speed and memory, as ratios within one run
	$(BIN)/python -m benchmarks

PACK := pack --overwrite --offline --dtype fp16
packs: .venv/.package  ## make data/packs anew: CLIVE=FOLDER BIQ2021=FOLDER
	-for backbone in tiny-rn tiny-vit; do \
		$(BIN)/maclip-lab $(PACK) CLIVE --root "$(CLIVE)" -b $$backbone \
			-o data/packs/clive-part.$$backbone.safetensors; \
		$(BIN)/maclip-lab $(PACK) BIQ2021 --annotations "$(BIQ2021)/Train (Images and MOS).csv" \
			--n-pictures 400 -b $$backbone -o data/packs/biq2021-part.$$backbone.safetensors; \
		$(BIN)/maclip-lab $(PACK) synthetic -b $$backbone \
			-o data/packs/severity.$$backbone.safetensors; \
	done

EXTRAS := lab
WHEELS := build/wheelhouse
ROOM := build/room
wheelhouse: .venv/.package  ## collect wheels for a room without network, and try them: FROM=FOLDER of torch's
	rm -rf $(WHEELS) $(ROOM)
	$(BIN)/pip wheel --quiet --constraint constraints.txt $(if $(FROM),--find-links "$(FROM)") \
		--wheel-dir $(WHEELS) '.[$(EXTRAS)]'
	$(PYTHON) -m venv $(ROOM)
	PIP_CONFIG_FILE=/dev/null $(ROOM)/bin/pip --isolated install --quiet --no-index \
		--find-links $(WHEELS) 'maclip-lab[$(EXTRAS)]'
	cd $(ROOM) && MACLIP_LAB_OFFLINE=1 PYTHONPATH= bin/maclip-lab demo --quiet --output demo
	du -sh $(WHEELS)

clean:  ## remove everything that was made, downloads of yours excepted
	rm -rf .venv $(OLDEST) build dist docs/generated *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
