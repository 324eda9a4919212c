# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a .tflite file on LiteRT."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..cores import usable_cores
from ..errors import EngineError, ModelError, printable
from ..litert.backend import LiteRtBackend
from ..model.heads.boxes import FRACTIONS, PIXELS
from ..model.heads.detection import RawOutput
from ..model.heads.fractions import are_fractions, in_pixels, with_unit
from ..model.heads.further_columns import FurtherColumnsHead
from ..model.heads.yolo import YoloHead
from ..model.spec import ModelSpec
from ..model.unchanged import unchanged
from ..monitor import Monitor
from ..pipeline.host import HostPipeline
from ..pipeline.interface import PostprocessSettings
from ..pipeline.options import PipelineOptions


class LiteRtPipeline(HostPipeline):
    """HostPipeline over LiteRT. The file runs in its stored precision: describe() has it as precision_effective.

    Boxes as fractions of the input, as YOLOv5 and Ultralytics write them into .tflite files, are multiplied by the
    input's size. The values of two test images decide whether they are fractions.
    """

    def __init__(
        self, spec: ModelSpec, options: PipelineOptions, settings: PostprocessSettings | None = None,
        monitor: Monitor | None = None,
    ) -> None:
        super().__init__(spec, LiteRtBackend(spec.path, options.num_threads or usable_cores()), settings)
        self._options = options
        self._monitor = monitor or Monitor()
        self._fractions = False

    def open(self) -> None:
        """Load the model, run it on test images, and check its outputs; ModelError or EngineError."""
        options, stored, name = self._options, self.spec.stored_precision, self.spec.path.name
        if options.precision != stored and options.strict_precision:
            raise EngineError(
                f'precision {options.precision} was requested, but LiteRT would run {name} in {stored}, as stored in '
                f'the file; strict_precision is set: set precision to {stored}, or convert the model to .tflite in '
                f'{options.precision}')
        if options.min_agreement:
            raise ModelError(
                f'min_agreement is {options.min_agreement}, but {name} is a .tflite file: there is no ONNX file of it '
                'to compare with; leave min_agreement unset')
        self._monitor.check(f'loading {name}')
        self._fractions = False
        try:
            with unchanged(self.spec.path, self.spec.sha256, 'it was loaded', self.spec.files, storing=False):
                super().open()
        except BaseException:
            self.close()
            raise
        if options.precision != stored:
            self._monitor.log(
                'warning', f'precision {options.precision} was requested, but LiteRT runs {name} in {stored}, as '
                'stored in the file')
        if options.precision == 'int8' and options.calibration.source:
            self._monitor.log(
                'warning', f'calibration_source is not used: {name} is a .tflite file, whose precision its converter '
                'decides')

    def _accepted(self, outputs: list[RawOutput]) -> list[RawOutput]:
        head, size = self.spec.head, (self.spec.width, self.spec.height)
        declared = dict(self.spec.outputs)
        for output in outputs:
            for name, array in output.items() if isinstance(output, dict) else ((head.output_names[0], output),):
                if array.shape != declared[name]:
                    raise ModelError(
                        f"output '{printable(name)}' of {self.spec.path.name} has the shape {list(array.shape)} when "
                        f'it runs: expected {list(declared[name])}, as the file declares it; export the model again')
        if isinstance(head, YoloHead | FurtherColumnsHead):
            fractions = are_fractions(head, outputs, size, len(self.spec.names), self.spec.has_fractions)
            if fractions:
                self._monitor.log(
                    'info', f'{self.spec.path.name} has boxes as fractions of its input: they are multiplied by '
                    f'{size[0]}x{size[1]}')
            if isinstance(head, YoloHead):
                self._fractions = fractions
                outputs = [in_pixels(head, output, size) for output in outputs] if fractions else outputs
            self.spec = replace(self.spec, head=with_unit(head, FRACTIONS if fractions else PIXELS))
        return super()._accepted(outputs)

    def _infer(self, tensor: np.ndarray) -> RawOutput:
        output = super()._infer(tensor)
        head = self.spec.head
        if self._fractions and isinstance(head, YoloHead):
            return in_pixels(head, output, (self.spec.width, self.spec.height))
        return output
