# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the processes of the nodes share: arguments, signals, threads, memory, rclpy's private names."""
