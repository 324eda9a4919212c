# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The options for a model of which several frames run together."""

from __future__ import annotations

from dataclasses import replace

from ...errors import EngineError
from ...model.spec import ModelSpec
from ...pipeline.options import PipelineOptions
from ...pipeline.tensorrt_options import BuildOptions

_DEFAULT = BuildOptions().batch


def with_batches(spec: ModelSpec, options: PipelineOptions) -> PipelineOptions:
    """Return the options with the batch of the run and, if it is left at its default, the profile of the engine.

    The profile is then [1, max_batch, max_batch]. A model that cannot run batches takes turns: its batch is fixed, it
    takes the size of the image as an input, or the DLA runs it, which needs fixed shapes.
    Raises EngineError if the profile ends before max_batch.
    """
    most, profile = options.max_batch, options.build.batch
    if not spec.dynamic_batch or spec.size_inputs or options.build.dla_core >= 0:
        most = 1
    if most > 1 and profile == _DEFAULT:
        profile = (1, most, most)
    if most > profile[2]:
        raise EngineError(
            f'max_batch is {most}, but the largest batch of batch_profile {list(profile)} is {profile[2]}: raise it, '
            f'or leave batch_profile at {list(_DEFAULT)} for an engine that fits max_batch')
    return replace(
        options, build=replace(options.build, batch=profile), run=replace(options.run, max_batch=most))
