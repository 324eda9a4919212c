# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The docs site: the pages of docs/ and those beside it, as MkDocs reads them. `make docs` builds it."""
