# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of package registries: downloaded, verified and unpacked, never executed."""
