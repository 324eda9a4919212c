# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Settings: checked values of all parameters, and the options of other modules that follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..image.options import DROP, ImageOptions
from ..model.heads.classification import ClassificationSettings
from ..model.heads.yolo import DetectionSettings
from ..model.normalisation import Overrides
from ..model.spec import ModelOptions, ModelSpec
from ..model.thresholds import Thresholds
from ..pipeline.interface import PostprocessSettings
from ..pipeline.options import CalibrationOptions, PipelineOptions
from ..pipeline.tensorrt_options import BuildOptions, RunOptions
from .checks import check_value, class_indices, is_unset
from .table import PARAMETERS, Kind, Values


@dataclass(frozen=True)
class Settings(Values):
    """The values of all parameters, by default their defaults. Values has their types and meanings."""

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """Return settings with these values in the form of ROS. ParameterError names the first wrong one."""
        for name, value in values.items():
            check_value(name, value)
        return replace(self, **{name: _plain(PARAMETERS[name].kind, value) for name, value in values.items()})

    def model_options(self) -> ModelOptions:
        """Return the options of load_model."""
        return ModelOptions(
            task=self.task, head=self.head, output_name=self.output_name, labels=self.labels_file,
            input_size=self.input_size, preprocessing=Overrides(
                color_order=self.color_order, scale=self.scale or None, mean=self.mean,
                std=self.std, resize_mode=self.resize_mode,
                crop_fraction=self.crop_fraction or None, interpolation=self.interpolation))

    def image_options(self) -> ImageOptions:
        """Return the options for reading images."""
        return ImageOptions(self.max_image_pixels, self.damaged_images, self.significant_bits)

    def pipeline_options(self) -> PipelineOptions:
        """Return the options of create_pipeline."""
        return PipelineOptions(
            backend=self.backend, device=self.device, strict_device=self.strict_device, precision=self.precision,
            strict_precision=self.strict_precision, num_threads=self.num_threads, max_batch=self.max_batch,
            cameras=len(self.image_topics), concurrent_runs=self.concurrent_inferences,
            calibration=CalibrationOptions(
                self.calibration_source, self.calibration_topic, self.calibration_samples,
                method=self.calibration_method, images=replace(self.image_options(), damaged=DROP)),
            min_agreement=None if self.min_agreement < 0 else self.min_agreement, timing_cache=self.timing_cache,
            build=BuildOptions(
                precision=self.precision, input_size=self.input_size, batch=self.batch_profile,
                workspace_mib=self.workspace_mib, optimization_level=self.builder_optimization_level,
                dla_core=self.dla_core, hardware_compatibility=self.hardware_compatibility),
            run=RunOptions(self.device_index, self.cuda_graph, self.zero_copy))

    def thresholds(self, spec: ModelSpec) -> Thresholds:
        """Return the thresholds in effect: the user's, otherwise the model's."""
        return spec.thresholds.chosen(
            None if self.score_threshold < 0 else self.score_threshold,
            None if self.iou_threshold < 0 else self.iou_threshold)

    def postprocess(self, spec: ModelSpec) -> PostprocessSettings:
        """Return the settings of the heads. Raises ParameterError for a class name that the model does not have."""
        thresholds = self.thresholds(spec)
        return PostprocessSettings(
            DetectionSettings(
                thresholds.score, thresholds.iou, self.class_agnostic_nms, self.max_detections,
                class_indices(self.classes, spec)),
            ClassificationSettings(self.top_k))


def _plain(kind: Kind, value: Any) -> Any:
    """Convert a value of ROS to the form of Settings: a list becomes a tuple, an unset list becomes None or ()."""
    if kind is Kind.TEXTS:
        # rclpy reads an empty list given at the start as None.
        return tuple(name for name in value or () if name)
    if kind is Kind.NUMBERS:
        return None if is_unset(value) else tuple(value)
    return tuple(value) if kind is Kind.INTEGERS else value
