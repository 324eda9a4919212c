# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The request for an engine build, which can be sent to another process as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ....errors import EngineError
from ....model.spec import ModelSpec
from ....pipeline.tensorrt_options import BuildOptions

Shape = tuple[int, ...]
# The smallest, usual and largest shape of an input.
Shapes = tuple[Shape, Shape, Shape]


@dataclass(frozen=True)
class BuildRequest:
    """One engine to build.

    onnx_path: the model, already in the precision in which it will run
    input_name: name of its first input, usually the only one
    shapes: smallest, usual and largest shape of that input, equal for a static model
    device_index: which GPU builds
    tensorrt: auto, tensorrt or tensorrt_rtx
    timing_cache: file with the timings of earlier builds, read and updated; None: no timing cache
    debug_log: whether to log TensorRT's debug messages too, tens of thousands per build
    only_parse: whether to stop after TensorRT has read the model; the plan is then empty
    other_inputs: names and shapes of the other inputs
    """

    onnx_path: Path
    input_name: str
    shapes: Shapes
    options: BuildOptions = BuildOptions()
    device_index: int = 0
    tensorrt: str = 'auto'
    timing_cache: Path | None = None
    debug_log: bool = False
    only_parse: bool = False
    other_inputs: tuple[tuple[str, Shapes], ...] = ()

    @property
    def inputs(self) -> dict[str, Shapes]:
        """Shapes of all inputs by name."""
        return {self.input_name: self.shapes, **dict(self.other_inputs)}

    def to_json(self) -> str:
        """Return the request as one line."""
        values = asdict(self)
        values['onnx_path'] = str(self.onnx_path.absolute())
        values['timing_cache'] = None if self.timing_cache is None else str(self.timing_cache.absolute())
        return json.dumps(values)

    @staticmethod
    def from_json(text: str) -> BuildRequest:
        """Return the request that to_json wrote."""
        values = json.loads(text)
        cache = values['timing_cache']
        return BuildRequest(
            Path(values['onnx_path']), values['input_name'], _shapes(values['shapes']),
            _options(values['options']), values['device_index'], values['tensorrt'],
            None if cache is None else Path(cache), values['debug_log'], values['only_parse'],
            tuple((name, _shapes(shapes)) for name, shapes in values['other_inputs']))


def build_request(
    spec: ModelSpec, options: BuildOptions, *, device_index: int = 0, tensorrt: str = 'auto',
    timing_cache: Path | None = None, debug_log: bool = False,
) -> BuildRequest:
    """Return the request for a model; EngineError if the batch profile or input_size does not fit the model."""
    smallest, usual, largest = options.batch
    if not 1 <= smallest <= usual <= largest:
        raise EngineError(
            f'the batch profile is {list(options.batch)}: expected 1 <= smallest <= usual <= largest')
    if not spec.dynamic_batch and options.batch != (1, 1, 1):
        raise EngineError(
            f'the batch profile is {list(options.batch)}, but {spec.path.name} has the fixed batch size 1: export it '
            'with a dynamic batch, or leave the profile at [1, 1, 1]')
    if smallest != 1:
        raise EngineError(
            f'the batch profile is {list(options.batch)}, but a frame may run alone: its smallest value must be 1')
    if any(options.input_size) and tuple(options.input_size) != (spec.width, spec.height):
        raise EngineError(
            f'input_size is {list(options.input_size)}, but the model was loaded for [{spec.width}, {spec.height}]')
    shapes = tuple((batch, *spec.input_shape[1:]) for batch in options.batch)
    return BuildRequest(
        spec.path, spec.input_name, (shapes[0], shapes[1], shapes[2]), options, device_index, tensorrt, timing_cache,
        debug_log)


def _shapes(values: Any) -> Shapes:
    smallest, usual, largest = (tuple(shape) for shape in values)
    return smallest, usual, largest


def _options(values: Mapping[str, Any]) -> BuildOptions:
    # JSON turns the tuples of the options into lists.
    typed: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return BuildOptions(**typed)
