# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings: checked values of all parameters, and what the parts of the package take of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..model.heads.classification import ClassificationSettings
from ..model.heads.yolo import DetectionSettings
from ..model.normalisation import Overrides
from ..model.spec import ModelOptions, ModelSpec
from ..pipeline.interface import PostprocessSettings
from ..pipeline.options import CalibrationOptions, PipelineOptions
from ..pipeline.tensorrt_options import BuildOptions, RunOptions
from .checks import check_value, class_indices, is_unset
from .table import PARAMETERS, Kind, Values


@dataclass(frozen=True)
class Settings(Values):
    """The parameters' values; without arguments, the defaults. See Values for each one's type and meaning."""

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """Return settings with these values, as ROS has them; ParameterError naming the first that is wrong."""
        for name, value in values.items():
            check_value(name, value)
        return replace(self, **{name: _plain(PARAMETERS[name].kind, value) for name, value in values.items()})

    def model_options(self) -> ModelOptions:
        """Return what load_model takes."""
        return ModelOptions(
            task=self.task, head=self.head, labels=self.labels_file, input_size=self.input_size,
            preprocessing=Overrides(
                color_order=self.color_order, scale=self.scale or None, mean=self.mean,
                std=self.std, resize_mode=self.resize_mode,
                crop_fraction=self.crop_fraction or None))

    def pipeline_options(self) -> PipelineOptions:
        """Return what create_pipeline takes."""
        return PipelineOptions(
            backend=self.backend, precision=self.precision, strict_precision=self.strict_precision,
            num_threads=self.num_threads,
            calibration=CalibrationOptions(
                self.calibration_source, self.calibration_topic, self.calibration_samples,
                method=self.calibration_method),
            min_agreement=None if self.min_agreement < 0 else self.min_agreement, timing_cache=self.timing_cache,
            build=BuildOptions(
                precision=self.precision, input_size=self.input_size, batch=self.batch_profile,
                workspace_mib=self.workspace_mib, optimization_level=self.builder_optimization_level,
                dla_core=self.dla_core, hardware_compatibility=self.hardware_compatibility),
            run=RunOptions(self.device_index, self.cuda_graph, self.zero_copy))

    def postprocess(self, spec: ModelSpec) -> PostprocessSettings:
        """Return the heads' settings; ParameterError for a class name that the model lacks."""
        return PostprocessSettings(
            DetectionSettings(
                self.score_threshold, self.iou_threshold, self.class_agnostic_nms,
                self.max_detections, class_indices(self.classes, spec)),
            ClassificationSettings(self.top_k))


def _plain(kind: Kind, value: Any) -> Any:
    """Return a value of ROS as Settings has it: lists as tuples, None or () for what stands for no value."""
    if kind is Kind.TEXTS:
        # rclpy takes an empty list at the start for no value at all.
        return tuple(name for name in value or () if name)
    if kind is Kind.NUMBERS:
        return None if is_unset(value) else tuple(value)
    return tuple(value) if kind is Kind.INTEGERS else value
