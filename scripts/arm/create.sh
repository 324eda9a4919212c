#!/usr/bin/env bash
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# Creates the folder .arm: the files of a Debian 12 for ARM (aarch64) with Python 3.11 and a compiler, and in it a venv
# with what the unit tests need. Nothing is installed on this machine. Root is not needed. A second call does nothing
# if no requirement changed; an interrupted one is repeated.
#
# The packages are unpacked and not configured: no ARM program runs for that, and the tests need no more.
set -euo pipefail
cd "$(dirname "$0")/../.."

SUITE=bookworm
MIRROR=http://deb.debian.org/debian
PACKAGES=python3,python3-venv,python3-dev,g++,make,git,ca-certificates,bash,dash,coreutils,findutils,grep,sed,gzip,tar,procps,util-linux
# Linters give the same answer on every processor.
NOT_ON_ARM='^(ruff|mypy|types-|import-linter)'
EXTRA='ai-edge-litert setuptools<80 wheel'

missing=()
command -v qemu-aarch64-static > /dev/null || missing+=(qemu-user-static)
command -v mmdebstrap > /dev/null || missing+=(mmdebstrap)
if [ "${#missing[@]}" -gt 0 ]; then
    echo "make arm-test: missing system packages: ${missing[*]}. Run this, then try again:" >&2
    echo "  sudo apt-get update && sudo apt-get install -y ${missing[*]}" >&2
    exit 1
fi

root=.arm/root
mkdir -p .arm
stamp="$SUITE $PACKAGES"
if [ "$(cat .arm/root.stamp 2> /dev/null)" != "$stamp" ]; then
    echo "arm: unpacking Debian $SUITE for aarch64 into $root (90 MB to download, 0.5 GB on the disk)"
    rm -rf "$root"
    rm -f .arm/*.stamp
    mmdebstrap --quiet --variant=extract --mode=chrootless --architectures=arm64 --components=main \
        --include="$PACKAGES" "$SUITE" "$root" "$MIRROR"
    printf '%s' "$stamp" > .arm/root.stamp
fi

grep -vhE "$NOT_ON_ARM|^ *#|^$" requirements/runtime.txt requirements/test.txt > .arm/requirements.txt
stamp="$EXTRA $(cat .arm/requirements.txt)"
if [ "$(cat .arm/venv.stamp 2> /dev/null)" != "$stamp" ]; then
    echo 'arm: a venv with ARM wheels from PyPI (minutes: pip itself runs emulated)'
    scripts/arm/run.sh bash -c 'test -x /venv/bin/pip || python3 -m venv /venv'
    # shellcheck disable=SC2016 # $EXTRA is expanded inside.
    EXTRA="$EXTRA" scripts/arm/run.sh bash -c \
        'read -ra extra <<< "$EXTRA"; /venv/bin/pip install -q --only-binary :all: -r /src/.arm/requirements.txt "${extra[@]}"'
    scripts/arm/run.sh /venv/bin/python -c 'import cv2, numpy, onnx, onnxruntime'
    printf '%s' "$stamp" > .arm/venv.stamp
fi
