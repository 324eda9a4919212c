#!/usr/bin/env bash
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# Called by run.sh in namespaces of its own: mounts, then runs a command in the folder of ARM files.
set -euo pipefail
root=$1
shift

# A user namespace has its own table of emulators since Linux 6.7. Before, the machine's own is needed, which Debian's and
# Ubuntu's qemu-user-static register when they are installed.
table=$(mktemp -d)
if mount -t binfmt_misc binfmt_misc "$table" 2> /dev/null; then
    # ELF, 64 bits, little endian, program or library, machine 183 (aarch64). F: opened now, outside of the root.
    # P: the name by which a program was called is kept.
    printf '%s' ':arm:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:'\
'\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'\
"$(command -v qemu-aarch64-static):PF" > "$table/register"
elif ! grep -q '^flags:.*F' /proc/sys/fs/binfmt_misc/qemu-aarch64 2> /dev/null; then
    echo 'scripts/arm/enter.sh: no emulator is registered for ARM programs. Expected Linux 6.7 or later, or' \
        '/proc/sys/fs/binfmt_misc/qemu-aarch64 with the flag F: sudo apt-get install -y qemu-user-static binfmt-support' >&2
    exit 1
fi

mkdir -p "$root"/{src,dev,proc,sys,tmp,etc/ssl}
touch "$root/etc/resolv.conf" "$root/etc/hosts"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc proc "$root/proc"
# ONNX Runtime reads the features of the processor here, and crashes on those of another kind of processor.
mount --bind scripts/arm/cpuinfo "$root/proc/cpuinfo"
mount -t tmpfs tmpfs "$root/tmp"
mount --bind . "$root/src"
for file in /etc/resolv.conf /etc/hosts /etc/ssl; do
    mount --bind "$(readlink -f "$file")" "$root$file"
done

unset PYTHONPATH PYTHONHOME VIRTUAL_ENV LD_LIBRARY_PATH TMPDIR ROS_DISTRO AMENT_PREFIX_PATH
# Debian's wheels of pip and a folder of wheels for the host's processor do not fit.
unset PIP_FIND_LINKS PIP_CONFIG_FILE
export HOME=/root PATH=/venv/bin:/usr/bin:/bin:/usr/sbin:/sbin LANG=C.UTF-8
# This shell stays as process 1 of its namespace: it collects processes whose parent has ended, and all end with it.
trap 'exit 143' TERM
trap 'exit 130' INT
chroot "$root" /usr/bin/env --chdir=/src "$@" <&0 &
wait "$!"
