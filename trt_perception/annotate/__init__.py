# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Results of a model for whole recordings: read, run, write beside them, go on after an interruption."""
