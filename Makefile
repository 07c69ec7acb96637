# Two commands on a fresh machine: `make demo`, `make test`. PYTHON=python3.12 chooses another Python.

PYTHON ?= python3
ARGS ?=

TINY := hrnet-tiny mipnet-tiny i2r-net-tiny
TINY_WITHOUT_BOXES := pinet-tiny dekr-tiny grm-tiny
PARTITIONS := spm-tiny pinet-tiny-head pinet-tiny-part-small pinet-tiny-keypoint
GRAPHS := pinet-tiny-no-graph pinet-tiny-static-graph
MODULES := grm-tiny-plain grm-tiny-grm grm-tiny-mfa
INTERACTIONS := unidirectional-no-attention unidirectional no-attention
UNITS := gcn lstm-2 lstm-3 lstm-4 gru-2 gru-4
# Of all trainings of `make ablations`; EPOCHS=0.2 tries them out.
EPOCHS ?= 1
# Of those of `make interactions`; what ships had 15.
EPOCHS_IN_SPACE ?= 5
ONLY_POSES := --no-report --conditions none --bootstrap off --overwrite

VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
PACKAGE := pyproject.toml constraints.txt crowdbench/__init__.py
NEEDS := crowdbench needs Python 3.11 or newer with venv

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo compare ablations refine interactions test lint gate format bench clean

help: ## Say what there is to make
	@sed -n 's/^\([a-z]*\):.*## /  make \1	/p' Makefile

demo: $(VENV)/.runtime ## Run a small MIPNet on rendered crowds, with a report; downloads nothing else
	$(BIN)/crowdbench run --predictor mipnet-tiny --split synthcrowd-test --overwrite

compare: $(VENV)/.runtime ## Compare the tiny networks, on a detector's boxes or without: tables, plots and a page
	for name in $(TINY); do $(BIN)/crowdbench run --predictor $$name --split synthcrowd-test \
		--boxes SYNTHCROWD_test_detections_person.json --no-report --overwrite \
		--output runs/detected/$$name || exit; done
	for name in $(TINY_WITHOUT_BOXES); do $(BIN)/crowdbench run --predictor $$name --split synthcrowd-test \
		--no-report --overwrite --output runs/detected/$$name || exit; done
	$(BIN)/crowdbench compare $(TINY:%=runs/detected/%) $(TINY_WITHOUT_BOXES:%=runs/detected/%) \
		--allow-mixed --output runs/detected/comparison

ablations: $(VENV)/.runtime ## Train and compare the rows of PINet's Table 1 and Global Relation's Table I, tiny: hours
	for name in pinet-tiny grm-tiny $(PARTITIONS) $(GRAPHS) $(MODULES); do \
		test -e runs/training/$$name/weights.safetensors || \
		$(BIN)/python -m predictors.training $$name --precision bf16 --epochs $(EPOCHS) --resume || exit; done
	for name in pinet-tiny grm-tiny $(PARTITIONS) $(GRAPHS) $(MODULES); do $(BIN)/crowdbench run --predictor $$name \
		--split synthcrowd-test --weights runs/training/$$name/weights.safetensors --no-report --overwrite \
		--output runs/ablations/$$name || exit; done
	$(BIN)/crowdbench ablate --predictor pinet-tiny --split synthcrowd-test --vary refinement --vary merging \
		--weights runs/training/pinet-tiny/weights.safetensors --output runs/ablations/components
	$(BIN)/crowdbench compare $(PARTITIONS:%=runs/ablations/%) \
		"runs/ablations/components/refinement=off_merging=oks-nms" --allow-mixed --output runs/ablations/partitions
	$(BIN)/crowdbench compare $(GRAPHS:%=runs/ablations/%) runs/ablations/pinet-tiny --output runs/ablations/graphs
	$(BIN)/crowdbench compare $(MODULES:%=runs/ablations/%) runs/ablations/grm-tiny --output runs/ablations/modules

refine: $(VENV)/.runtime ## Compare a small 3DMPPE with what PI-Net makes of its poses, in space
	$(BIN)/crowdbench run --predictor 3dmppe-tiny --split synthcrowd-3d-test --overwrite --output runs/refined/3dmppe-tiny
	$(BIN)/crowdbench run --predictor pi-net-synthcrowd --base 3dmppe-tiny --split synthcrowd-3d-test --overwrite \
		--output runs/refined/pi-net-synthcrowd
	$(BIN)/crowdbench compare runs/refined/3dmppe-tiny runs/refined/pi-net-synthcrowd --output runs/refined/comparison

interactions: refine ## Train and compare the rows of PI-Net's Tables 4 to 6 on a small 3DMPPE's poses: an hour
	$(BIN)/crowdbench run --predictor 3dmppe-tiny --split synthcrowd-3d-train --limit 8000 $(ONLY_POSES) \
		--output runs/refined/train
	$(BIN)/crowdbench run --predictor 3dmppe-tiny --split synthcrowd-3d-val $(ONLY_POSES) --output runs/refined/val
	for name in synthcrowd $(INTERACTIONS) $(UNITS); do \
		test -e runs/training/pi-net-$$name/weights.safetensors || \
		$(BIN)/python -m predictors.training pi-net-$$name --epochs $(EPOCHS_IN_SPACE) --resume --poses runs/refined/train/predictions.json \
		--held-out-poses runs/refined/val/predictions.json || exit; \
		$(BIN)/crowdbench run --predictor pi-net-$$name --base replay --split synthcrowd-3d-test \
		--predictions runs/refined/3dmppe-tiny/predictions.json --no-report --overwrite \
		--weights runs/training/pi-net-$$name/weights.safetensors --output runs/refined/ablations/$$name || exit; done
	$(BIN)/crowdbench ablate --predictor pi-net-synthcrowd --base replay --split synthcrowd-3d-test --vary order \
		--predictions runs/refined/3dmppe-tiny/predictions.json --overwrite --output runs/refined/ablations/order
	$(BIN)/crowdbench compare $(INTERACTIONS:%=runs/refined/ablations/%) runs/refined/ablations/synthcrowd \
		--output runs/refined/ablations/interactions
	$(BIN)/crowdbench compare $(UNITS:%=runs/refined/ablations/%) runs/refined/ablations/synthcrowd \
		--output runs/refined/ablations/units

test: $(VENV)/.test ## Run the tests, on up to 4 cores; ARGS="-k name" goes to pytest
	$(BIN)/python -m pytest -n logical --maxprocesses 4 $(ARGS)

lint: $(VENV)/.lint ## Check style, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

gate: $(VENV)/.runtime ## Hold mipnet-tiny against the committed baseline, by the rules in pyproject.toml
	$(BIN)/crowdbench run --predictor mipnet-tiny --split synthcrowd-test --no-report --overwrite --output runs/gate
	$(BIN)/crowdbench gate runs/gate --baseline .ci/mipnet-tiny.json

format: $(VENV)/.lint ## Sort the imports and format the code
	$(BIN)/ruff check --select I --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.test ## Measure the speed beside official tools and bare networks; ARGS="--repeats 3" goes to 2D scoring
	$(BIN)/python tests/benchmarks/speed.py $(ARGS)
	$(BIN)/python tests/benchmarks/conditions.py $(ARGS)
	$(BIN)/python tests/benchmarks/networks.py
	$(BIN)/python tests/benchmarks/groups.py
	$(BIN)/python tests/benchmarks/deformable.py
	$(BIN)/python tests/benchmarks/grouping.py
	$(BIN)/python tests/benchmarks/regression.py
	$(BIN)/python tests/benchmarks/fusion.py
	$(BIN)/python tests/benchmarks/synthcrowd.py
	$(BIN)/python tests/benchmarks/pose3d.py
	$(BIN)/python tests/benchmarks/interacting.py
	$(BIN)/python tests/benchmarks/bootstrap.py

clean: ## Remove the environment, builds, caches, and the demo's run and images
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	rm -rf runs/mipnet-tiny@synthcrowd-test runs/detected runs/ablations runs/refined runs/gate data/synthcrowd
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The environment, in steps; the files stand for steps that are done.

$(VENV)/.created:
	@command -v $(PYTHON) >/dev/null || { echo "$(NEEDS): there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(NEEDS): this is $$($(PYTHON) --version 2>&1); make PYTHON=... takes another." >&2; \
		exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(NEEDS): $(PYTHON) lacks venv (on Debian and Ubuntu: the package python3-venv)." >&2; \
		exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.runtime: $(VENV)/.created $(PACKAGE)
	$(INSTALL) setuptools
	$(INSTALL) --no-build-isolation -e .
	@touch $@

$(VENV)/.lint: $(VENV)/.runtime
	$(INSTALL) --no-build-isolation -e '.[test]'
	@touch $@

# xtcocotools' wheel was built for numpy 1: it is built here, after numpy, cython and setuptools.
$(VENV)/.test: $(VENV)/.lint
	@command -v gcc >/dev/null || command -v cc >/dev/null || \
		{ echo "The tests need a C compiler (gcc), to build xtcocotools." >&2; exit 1; }
	@$(BIN)/python -c 'import os, sys, sysconfig as s; \
		sys.exit(not os.path.isfile(os.path.join(s.get_path("include"), "Python.h")))' || \
		{ echo "The tests need Python's headers (python3-dev), to build xtcocotools." >&2; exit 1; }
	$(INSTALL) --no-build-isolation --no-binary xtcocotools xtcocotools
	@$(BIN)/python -c 'import xtcocotools.mask'
	@touch $@
