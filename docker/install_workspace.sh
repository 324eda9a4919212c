#!/bin/bash
# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# Builds the workspace /opt/ws in an image with ROS 2 from apt, as the README does on a robot. The arguments are packages
# of PyPI besides onnx: onnxruntime; with TensorRT also pycuda, which is compiled with the CUDA of the image.
set -eo pipefail
export DEBIAN_FRONTEND=noninteractive PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1
# NVIDIA's images pin NumPy and others here for their own programs.
unset PIP_CONSTRAINT
# While an image is built there is no driver; pycuda links with the stub of its library.
export PATH=/usr/local/cuda/bin:$PATH LIBRARY_PATH=/usr/local/cuda/lib64/stubs${LIBRARY_PATH:+:$LIBRARY_PATH}
# shellcheck disable=SC1090
source "/opt/ros/$ROS_DISTRO/setup.bash"
cd /opt/ws
apt-get update
rosdep update --rosdistro "$ROS_DISTRO"
rosdep install --from-paths src --ignore-src -y --dependency-types=exec
apt-get install -y --no-install-recommends g++ python3-dev python3-pip
rm -rf /var/lib/apt/lists/*
# NumPy 2 breaks apt's OpenCV and cv_bridge.
pip install onnx simplejpeg rosbags "$@" 'numpy<2'
# find_spec, because on a Jetson the import needs libraries that only a running container has.
if [[ " $* " == *' pycuda '* ]]; then
    python3 -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("tensorrt") is None)' || {
        echo 'docker/install_workspace.sh: the base image has no Python package tensorrt; choose another BASE' >&2
        exit 1
    }
fi
colcon build --packages-select trt_perception
rm -rf build log ~/.ros
# So that the commands have the same names in all images.
for name in trt_perception perception_node detections_3d_node; do
    ln -s "/opt/ws/install/trt_perception/lib/trt_perception/$name" "/usr/local/bin/$name"
done
