# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU: compiling in a child process, the cache of compiled models, running, and the types in use."""
