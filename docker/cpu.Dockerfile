# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
#
# ONNX Runtime on the CPU, without ROS 2 from apt: the ROS 2 Jazzy wheels of PyPI, as `make setup` installs them. They
# exist for x86-64 only; for ARM see ros.Dockerfile. Without launch files and without the ros2 command.
#
#   docker build -f docker/cpu.Dockerfile -t trt_perception:cpu .
ARG BASE=debian:bookworm-slim

FROM ${BASE} AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates g++ gcc libc6-dev make python3 python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/trt_perception
COPY requirements requirements
COPY scripts/environment scripts/environment
COPY interfaces interfaces
COPY setup.py setup.cfg package.xml README.md LICENSE NOTICE ./
COPY resource resource
COPY config config
COPY launch launch
COPY models models
COPY trt_perception trt_perception
RUN python3 -m scripts.environment --venv .venv --without-tests

FROM ${BASE}
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates libpython3.11 python3 \
    && rm -rf /var/lib/apt/lists/*

ARG UID=1000
COPY --from=build /opt/trt_perception /opt/trt_perception
COPY docker/add_user.sh docker/detect.sh docker/entrypoint.sh docker/healthcheck.py /opt/docker/
RUN /opt/docker/add_user.sh "${UID}"
ENV PATH=/opt/trt_perception/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    XDG_CACHE_HOME=/cache \
    FASTRTPS_DEFAULT_PROFILES_FILE=/opt/trt_perception/config/fastdds_large_images.xml \
    PERCEPTION_NODE=/detector
VOLUME /cache
WORKDIR /home/perception
USER ${UID}

HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD ["/opt/docker/entrypoint.sh", "python3", "/opt/docker/healthcheck.py"]
ENTRYPOINT ["/opt/docker/entrypoint.sh"]
CMD ["/opt/docker/detect.sh"]
