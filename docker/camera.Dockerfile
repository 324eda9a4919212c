# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# The camera driver of compose.yaml: v4l2_camera from apt, with the Fast DDS profile that large images need.
ARG ROS_DISTRO=jazzy
FROM ros:${ROS_DISTRO}-ros-core
ARG ROS_DISTRO
RUN apt-get update \
    && apt-get install -y --no-install-recommends "ros-${ROS_DISTRO}-v4l2-camera" \
    && rm -rf /var/lib/apt/lists/*
COPY docker/add_user.sh /opt/docker/
COPY config/fastdds_large_images.xml /opt/fastdds_large_images.xml
ARG UID=1000
RUN /opt/docker/add_user.sh "${UID}"
ENV FASTRTPS_DEFAULT_PROFILES_FILE=/opt/fastdds_large_images.xml \
    FASTDDS_DEFAULT_PROFILES_FILE=/opt/fastdds_large_images.xml
USER ${UID}
CMD ["ros2", "run", "v4l2_camera", "v4l2_camera_node"]
