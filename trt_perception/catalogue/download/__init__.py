# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Files from a Python package index: found, downloaded, verified, unpacked; never executed."""
