# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# For machines without a ROS 2 install: everything runs in a venv with ROS 2 wheels from PyPI.

DISTRO ?= jazzy
VENV ?= $(if $(filter jazzy,$(DISTRO)),.venv,.venv-$(DISTRO))
OUTPUT ?= demo_output
VIDEO ?=
MODEL ?=
# Arguments for pytest, e.g. make test PYTEST='-k letterbox -x'
PYTEST ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint generate node-test export-test openvino-test fleet-test ubuntu-test arm-test arm-openvino-test docs benchmark clean

ifdef ROS_DISTRO
$(info Note: a ROS 2 install ($(ROS_DISTRO)) is sourced. With it, use rosdep and colcon: see README.md.)
$(info This Makefile creates its own environment with ROS 2 wheels from PyPI and does not change the install.)
# Variables of the sourced install must not affect the wheels' processes.
unexport ROS_DISTRO ROS_VERSION ROS_PYTHON_VERSION RMW_IMPLEMENTATION
unexport AMENT_PREFIX_PATH CMAKE_PREFIX_PATH COLCON_PREFIX_PATH LD_LIBRARY_PATH PYTHONPATH
endif

# `python -m scripts.X` needs the current folder on Python's path.
unexport PYTHONSAFEPATH

help:  ## List the targets
	@echo 'Usage: make TARGET [DISTRO=jazzy|kilted]'
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

setup:  ## Create the environment (.venv, or .venv-kilted with DISTRO=kilted)
	@python=$$(scripts/find_python.sh) && \
	    "$$python" -X utf8 -m scripts.environment --distro '$(DISTRO)' --venv '$(VENV)'

demo: setup  ## Detect objects in a video over DDS, into demo_output [VIDEO=file.mp4] [MODEL=my.onnx]
	@'$(VENV)/bin/trt_perception' demo --output '$(OUTPUT)' \
	    $(if $(VIDEO),--video '$(VIDEO)') $(if $(MODEL),--model '$(MODEL)')

lint: setup  ## Check style (ruff), types (mypy) and imports between rooms (import-linter)
	'$(VENV)/bin/ruff' check .
	'$(VENV)/bin/mypy'
	'$(VENV)/bin/lint-imports'

generate: setup  ## Write config/*.yaml and docs/parameters.md from the table of parameters
	@'$(VENV)/bin/python' -m scripts.generate

# Continues after a failure, so that one run reports all failures.
test: setup  ## Check style and types, and run every test that this machine can run
	@failed=; set -x; \
	'$(VENV)/bin/ruff' check . || failed=1; \
	'$(VENV)/bin/mypy' || failed=1; \
	'$(VENV)/bin/lint-imports' || failed=1; \
	'$(VENV)/bin/python' -m pytest -rs --timeout 900 -n 2 $(PYTEST) test || failed=1; \
	{ set +x; } 2> /dev/null; test -z "$$failed"

node-test: setup  ## Run the tests that talk over DDS, e.g. with DISTRO=kilted
	'$(VENV)/bin/python' -m pytest -rs --timeout 900 $(PYTEST) test/node

# OpenVINO is not in the environment: requirements/openvino.txt says why.
openvino-test: setup  ## Run the tests of the OpenVINO backend
	'$(VENV)/bin/python' -m pip install --quiet --disable-pip-version-check --no-deps --upgrade \
	    --target .venv-openvino --requirement requirements/openvino.txt
	PYTHONPATH='$(CURDIR)/.venv-openvino' '$(VENV)/bin/python' -m pytest -rs --timeout 900 $(PYTEST) \
	    test/unit/test_openvino_pipeline.py test/unit/test_openvino_families.py test/unit/test_family_heads.py \
	    test/unit/test_raw_heads.py test/unit/test_annotate_shared_build.py test/unit/test_no_telemetry.py \
	    test/node/test_node_openvino.py

# Ray and S3 are not in the environment: requirements/fleet.txt says why.
fleet-test: setup  ## Run the tests of annotate on a Ray cluster and with S3, both on this machine
	'$(VENV)/bin/python' -m pip install --quiet --disable-pip-version-check --no-deps --no-compile --upgrade \
	    --target .venv-fleet --requirement requirements/fleet.txt
	PYTHONPATH='$(CURDIR)/.venv-fleet' '$(VENV)/bin/python' -m pytest -rs --timeout 900 $(PYTEST) \
	    test/unit/test_annotate_ray.py test/unit/test_annotate_s3.py test/unit/test_no_telemetry.py

# What `make test` skips without these packages.
export-test: setup  ## Run the tests that need PyTorch or Netron (requirements/export.txt), and the tutorial
	'$(VENV)/bin/python' -m pytest -rs --timeout 900 -n 2 $(PYTEST) \
	    test/unit/test_export.py test/unit/test_from_torch.py test/unit/test_trained_detector.py \
	    test/unit/test_comparison.py::test_torchscript \
	    test/unit/test_look.py::test_netron_shows_the_model_to_this_machine_only test/golden/test_tutorial.py

# A robot's libraries from apt are older than pip's. ROS itself is not part of this test, and the docs site needs neither.
ubuntu-test:  ## Run the unit tests with the OpenCV and NumPy of Ubuntu's apt (Python 3.10 to 3.12)
	@python=$$(scripts/find_python.sh) && { test -x .venv-ubuntu/bin/pip || "$$python" -m venv .venv-ubuntu; }
	.venv-ubuntu/bin/python -m pip install --quiet --disable-pip-version-check --constraint requirements/ubuntu.txt \
	    --requirement requirements/runtime.txt --requirement requirements/test.txt 'setuptools<80'
	.venv-ubuntu/bin/python -m pytest -rs --timeout 900 --ignore test/unit/test_docs_site.py $(PYTEST) test/unit

# In an environment of its own: the node needs none of it. requirements/docs.txt says what the variable turns off.
docs:  ## Build the docs site into site/ (Python 3.11 or newer); to read it: python3 -m http.server -d site
	@python=$$(scripts/find_python.sh) && { "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo 'the docs site needs Python 3.11 or newer, e.g. make docs PYTHON=python3.12' >&2; exit 1; }; } && \
	    { test -x .venv-docs/bin/pip || "$$python" -m venv .venv-docs; }
	.venv-docs/bin/python -m pip install --quiet --no-compile --disable-pip-version-check \
	    --requirement requirements/docs.txt
	NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --strict --quiet
	@echo 'built: site/index.html'

# In .arm, without `make setup`: the ROS 2 wheels are for x86-64 only, so the tests of messages and nodes are left out.
arm-test:  ## Run the unit tests and predict on ARM binaries, which QEMU emulates [PYTEST=...]
	scripts/arm/create.sh
	scripts/arm/run.sh python -m pytest -rs -n 2 --dist loadfile -p no:cacheprovider --timeout 1800 \
	    $(or $(PYTEST),test/unit)
	scripts/arm/run.sh python -m scripts.arm.predict

arm-openvino-test:  ## Run the tests of the OpenVINO backend on ARM binaries, which QEMU emulates [PYTEST=...]
	scripts/arm/create.sh
	scripts/arm/run.sh /venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-compile --upgrade \
	    --target /src/.arm/openvino --requirement requirements/openvino.txt
	scripts/arm/run.sh env PYTHONPATH=/src/.arm/openvino python -m pytest -rs -p no:cacheprovider --timeout 1800 \
	    $(or $(PYTEST),test/unit/test_openvino_pipeline.py test/unit/test_openvino_families.py \
	    test/unit/test_precision_openvino_form.py test/unit/test_stored_int8.py)

benchmark: setup  ## Measure the pipeline and the node on this machine [MODEL=my.onnx]
	'$(VENV)/bin/trt_perception' benchmark '$(or $(MODEL),yolov3-tiny)'
	PYTHONPATH=.:test '$(VENV)/bin/python' test/benchmarks/node_benchmark.py

clean:  ## Remove environments, builds and outputs; downloaded models stay in the cache
	rm -rf .venv .venv-kilted .venv-ubuntu .venv-openvino .venv-fleet .venv-docs .arm demo_output site build install log \
	    .mypy_cache .ruff_cache \
	    .import_linter_cache .pytest_cache .hypothesis ./*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
