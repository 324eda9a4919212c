#!/bin/bash
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# Adds ROS 2 $1 from apt to an Ubuntu image without it, with colcon and rosdep, as ROS's installation page does.
set -euo pipefail
distro=$1
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends ca-certificates curl software-properties-common
add-apt-repository -y universe
# shellcheck disable=SC1091
codename=$(source /etc/os-release && echo "$UBUNTU_CODENAME")
releases=https://github.com/ros-infrastructure/ros-apt-source/releases
# The latest release, from where its page redirects to: .../releases/tag/1.2.3
version=$(curl -fsSL -o /dev/null -w '%{url_effective}' "$releases/latest")
version=${version##*/}
curl -fsSL -o /tmp/ros2-apt-source.deb "$releases/download/$version/ros2-apt-source_$version.${codename}_all.deb"
dpkg -i /tmp/ros2-apt-source.deb
rm /tmp/ros2-apt-source.deb
apt-get update
apt-get install -y --no-install-recommends "ros-$distro-ros-base" python3-colcon-common-extensions python3-rosdep
rosdep init
rm -rf /var/lib/apt/lists/*
