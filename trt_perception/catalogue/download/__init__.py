# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Downloads, verifies and unpacks files of package registries. Never executes them."""
