# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The command line: one file a subcommand, each with add_arguments and run; its docstring is its help."""
