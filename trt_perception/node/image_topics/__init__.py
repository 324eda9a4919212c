# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Image topics: the subscription, its messages as frames, and the publishers at the other end."""
