#!/usr/bin/env bash
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# Runs a command on the ARM files of .arm (create.sh), with QEMU's user emulation: scripts/arm/run.sh python3 -V. The
# repository is /src there, and the working folder. The exit code is that of the command.
#
# Mounts and the registration of the emulator are in namespaces of this command only, so that this machine is not
# changed; all processes end with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
[ -d .arm/root/usr ] || { echo 'scripts/arm/run.sh: .arm/root is missing; run scripts/arm/create.sh first' >&2; exit 1; }
if ! unshare --user --map-root-user --mount true 2> /dev/null; then
    echo 'scripts/arm/run.sh: this machine does not allow user namespaces (unshare --user --map-root-user --mount).' \
        'Ubuntu 24.04 allows them after: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0' >&2
    exit 1
fi
exec unshare --user --map-root-user --mount --pid --fork --kill-child scripts/arm/enter.sh .arm/root "$@"
