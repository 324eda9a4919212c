#!/bin/bash
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# Sources ROS 2 and the workspace if the image has them, then becomes the command.
set -e
for setup in "/opt/ros/${ROS_DISTRO:-none}/setup.bash" /opt/ws/install/setup.bash; do
    if [ -f "$setup" ]; then
        # shellcheck disable=SC1090
        source "$setup"
    fi
done
exec "$@"
