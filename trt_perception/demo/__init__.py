# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The demo: player, node and consumer in three processes on one machine, and a report of their results."""
