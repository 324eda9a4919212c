# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Ids that stay: ByteTrack with the real time between images."""
