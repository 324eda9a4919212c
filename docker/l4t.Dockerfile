# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# TensorRT on a Jetson, with ROS 2 from apt. Build it on the Jetson. The version of JetPack decides the base:
#
#   JetPack 6.2 (Orin; Ubuntu 22.04, Humble, TensorRT 10.3):
#     docker build -f docker/l4t.Dockerfile -t trt_perception:l4t .
#   JetPack 7.2 (Orin and Thor; Ubuntu 24.04, Jazzy, TensorRT 10.16): from 7 on Jetson runs NVIDIA's images for ARM servers.
#     docker build -f docker/l4t.Dockerfile -t trt_perception:l4t \
#         --build-arg BASE=nvcr.io/nvidia/tensorrt:26.05-py3 --build-arg ROS_DISTRO=jazzy .
#
#   docker run --rm --runtime nvidia trt_perception:l4t trt_perception inspect yolov3-tiny
#
# With --runtime nvidia the driver's libraries come from the Jetson itself, so TensorRT cannot be imported while the image
# is built.
ARG BASE=nvcr.io/nvidia/l4t-jetpack:r36.4.0
FROM ${BASE}

ARG ROS_DISTRO=humble
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
