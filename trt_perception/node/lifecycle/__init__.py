# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""What the lifecycle nodes share: transitions, parameters, bond, autostart."""
