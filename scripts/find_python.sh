#!/bin/sh
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# Prints the Python for the environment: $PYTHON, otherwise python3. If it is missing, or too old
# for the other scripts, prints what to install and fails.
set -eu

python="${PYTHON:-python3}"

if ! command -v "$python" > /dev/null 2>&1; then
    if [ "$python" != python3 ]; then
        echo "make setup: PYTHON=$python is not a program; set it to a Python 3.10 to 3.14" >&2
        exit 1
    fi
    missing='python3 python3-venv python3-dev'
    for tool in gcc g++; do
        command -v "$tool" > /dev/null 2>&1 || missing="$missing $tool"
    done
    echo "make setup: missing system packages: $missing. Run this, then try again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y $missing" >&2
    exit 1
fi

if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    found=$("$python" -c 'import platform; print(platform.python_version())')
    echo "make setup: expected Python 3.10 to 3.14, found $found ($python)." \
        "Choose another Python: make setup PYTHON=python3.12" >&2
    exit 1
fi

command -v "$python"
