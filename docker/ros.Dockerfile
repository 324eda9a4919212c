# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# ONNX Runtime on the CPU, in ROS 2 from apt: for x86-64 and for ARM boards without a GPU (Raspberry Pi 5). With launch
# files, rosbag2 and the ros2 command.
#
#   docker build -f docker/ros.Dockerfile -t trt_perception:ros .
#   docker build -f docker/ros.Dockerfile -t trt_perception:humble --build-arg BASE=ros:humble-ros-base .
ARG BASE=ros:jazzy-ros-base
FROM ${BASE}

COPY docker/add_user.sh docker/detect.sh docker/entrypoint.sh docker/healthcheck.py docker/install_workspace.sh /opt/docker/
COPY . /opt/ws/src/trt_perception
RUN /opt/docker/install_workspace.sh onnxruntime

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
