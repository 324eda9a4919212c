#!/bin/sh
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# Adds the user `perception` with the id $1, and its folder for models and engines, /cache.
#
# Fast DDS shares memory only between processes of the same user. 1000 is the id of the first user on most machines, so
# a camera driver that this user starts can share memory with the container. A new volume gets owner and mode of the
# folder /cache.
set -eu
uid=$1
# Ubuntu 24.04's images have a user `ubuntu` with the id 1000.
existing=$(getent passwd "$uid" | cut -d: -f1)
if [ -n "$existing" ]; then
    userdel --remove "$existing" 2> /dev/null || userdel "$existing"
fi
useradd --uid "$uid" --create-home --groups video perception
install -d -m 0700 -o perception -g "$(id -g perception)" /cache
