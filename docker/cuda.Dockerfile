# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# TensorRT and CUDA for a PC with an NVIDIA GPU, with ROS 2 Jazzy from apt. The base image has Ubuntu 24.04, Python 3.12 and
# TensorRT 10.16; its tag fixes the version of TensorRT, and with it the drivers that fit (NVIDIA's support matrix). The
# base is for x86-64 and ARM servers; for Jetson see l4t.Dockerfile.
#
#   docker build -f docker/cuda.Dockerfile -t trt_perception:cuda .
#   docker run --rm --gpus all trt_perception:cuda trt_perception inspect yolov3-tiny
ARG BASE=nvcr.io/nvidia/tensorrt:26.05-py3
FROM ${BASE}

ARG ROS_DISTRO=jazzy
ENV ROS_DISTRO=${ROS_DISTRO}
COPY docker/add_ros.sh /opt/docker/
RUN /opt/docker/add_ros.sh "${ROS_DISTRO}"

COPY docker/add_user.sh docker/detect.sh docker/entrypoint.sh docker/healthcheck.py docker/install_workspace.sh /opt/docker/
COPY . /opt/ws/src/trt_perception
RUN /opt/docker/install_workspace.sh onnxruntime pycuda

ARG UID=1000
RUN /opt/docker/add_user.sh "${UID}"
ENV PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/cache \
    FASTRTPS_DEFAULT_PROFILES_FILE=/opt/ws/install/trt_perception/share/trt_perception/config/fastdds_large_images.xml \
    FASTDDS_DEFAULT_PROFILES_FILE=/opt/ws/install/trt_perception/share/trt_perception/config/fastdds_large_images.xml \
    PERCEPTION_NODE=/detector
VOLUME /cache
WORKDIR /home/perception
USER ${UID}

HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD ["/opt/docker/entrypoint.sh", "python3", "/opt/docker/healthcheck.py"]
ENTRYPOINT ["/opt/docker/entrypoint.sh"]
CMD ["/opt/docker/detect.sh"]
