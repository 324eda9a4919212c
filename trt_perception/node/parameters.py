# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Every ROS parameter of the node: declaration, description, range, validation."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node
from rclpy.parameter import Parameter

from ..errors import ParameterError
from ..model.geometry import RESIZE_MODES
from ..model.heads.classification import ClassificationSettings
from ..model.heads.identify import HEADS
from ..model.heads.yolo import DetectionSettings
from ..model.normalisation import Overrides
from ..model.spec import TASKS, ModelOptions, ModelSpec
from ..pipeline.interface import PostprocessSettings
from ..pipeline.options import BACKENDS, CALIBRATION_METHODS, PRECISIONS, CalibrationOptions, PipelineOptions
from ..pipeline.tensorrt_options import HARDWARE_COMPATIBILITIES, SWITCHES, BuildOptions, RunOptions

_RECONFIGURE = 'Read on configure: a change needs cleanup and configure.'
_LIVE = 'May change while active.'


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter.

    Each has a default: rclpy answers a question for many values with none at all if one of them is not set, which makes
    `ros2 param dump` empty.
    """

    default: Any
    description: str
    live: bool = False
    choices: Sequence[str] = ()
    minimum: float | None = None
    maximum: float | None = None

    def descriptor(self) -> ParameterDescriptor:
        """Return the descriptor that `ros2 param describe` shows."""
        descriptor = ParameterDescriptor(
            description=f'{self.description} {_LIVE if self.live else _RECONFIGURE}')
        if self.choices:
            descriptor.additional_constraints = f'one of: {", ".join(self.choices)}'
        if self.minimum is not None and self.maximum is not None:
            if isinstance(self.default, float):
                descriptor.floating_point_range = [FloatingPointRange(
                    from_value=float(self.minimum), to_value=float(self.maximum))]
            else:
                descriptor.integer_range = [IntegerRange(
                    from_value=int(self.minimum), to_value=int(self.maximum), step=1)]
        return descriptor


PARAMETERS: Mapping[str, ParameterSpec] = {
    'task': ParameterSpec('auto', 'What the model does; auto finds out from the file.', choices=TASKS),
    'model_file': ParameterSpec(
        '', 'ONNX file, or the name of a catalogue model that is already fetched.'),
    'labels_file': ParameterSpec(
        '', "Class names of a model whose metadata has none: a txt, json or yaml file, or 'coco' or 'imagenet' for the "
        'shipped lists.'),
    'head': ParameterSpec(
        'auto', "Layout of the model's output; auto finds out from its shape.", choices=HEADS),
    'backend': ParameterSpec('auto', 'What runs the network.', choices=BACKENDS),
    'precision': ParameterSpec('fp32', 'Arithmetic of the network.', choices=PRECISIONS),
    'input_size': ParameterSpec(
        [0, 0], 'Width and height in pixels for a model whose input size is dynamic; [0, 0] for its '
        'default.'),
    'score_threshold': ParameterSpec(
        0.25, 'Detections below this score are left out.', True, (), 0.0, 1.0),
    'iou_threshold': ParameterSpec(
        0.45, 'Of two boxes of a class that overlap by more, the weaker one is dropped.',
        True, (), 0.0, 1.0),
    'class_agnostic_nms': ParameterSpec(
        False, 'Suppress overlapping boxes also where their classes differ.'),
    'max_detections': ParameterSpec(
        300, 'At most so many detections an image, the best ones.', True, (), 1, 10000),
    'classes': ParameterSpec(
        [''], "Names of the classes to report; [''] for all.", True),
    'top_k': ParameterSpec(5, 'How many classes a classification reports.', False, (), 1, 10000),
    'image_transport': ParameterSpec(
        'raw', "raw subscribes 'image' (sensor_msgs/Image), compressed 'image/compressed' "
        '(sensor_msgs/CompressedImage: jpeg, png).', choices=('raw', 'compressed')),
    'image_reliability': ParameterSpec(
        'best_effort', 'Reliability of the image subscription; best_effort matches every publisher.',
        choices=('best_effort', 'reliable')),
    'image_depth': ParameterSpec(
        1, 'Queue depth of the image subscription.', False, (), 1, 1000),
    'max_age_ms': ParameterSpec(
        0, 'Frames whose stamp is older than this when their turn comes are dropped and counted; '
        '0 keeps all.', True, (), 0, 3600000),
    'mean': ParameterSpec(
        [math.nan], 'Subtracted from pixel * scale, one or three numbers in the '
        "order of the model's colours; [.nan] for the model's own."),
    'std': ParameterSpec(
        [math.nan], 'Divides pixel * scale - mean, one or three numbers; [.nan] for '
        "the model's own."),
    'scale': ParameterSpec(
        0.0, "Multiplies the pixels (0..255), 1/255 as a rule; 0.0 for the model's own.",
        False, (), 0.0, 1000.0),
    'color_order': ParameterSpec(
        'auto', "Order of the model's input channels.", choices=('auto', 'rgb', 'bgr')),
    'resize_mode': ParameterSpec(
        'auto', 'How an image is brought to the input size.', choices=('auto', *RESIZE_MODES)),
    'crop_fraction': ParameterSpec(
        0.0, "Part of the shorter side that center_crop keeps; 0.0 for the model's own.",
        False, (), 0.0, 1.0),
    'publish_debug_image': ParameterSpec(
        False, "Draw the results on the image and publish it on 'debug_image' while somebody "
        'subscribes.', True),
    'class_id_format': ParameterSpec(
        'name', 'What class_id holds: the class name or its index.', choices=('name', 'index')),
    'num_threads': ParameterSpec(
        0, 'CPU threads of one inference, at most one a processor; 0: one on each physical core that the node '
        'may use.', False, (), 0, 1024),
    'calibration_source': ParameterSpec(
        '', 'Folder of images, video or rosbag2 of what the camera sees: int8 is calibrated with it, and the '
        'accuracy gate compares on it.'),
    'calibration_topic': ParameterSpec(
        '', "Image topic of a calibration_source that is a bag with several; '' where it has only one."),
    'calibration_samples': ParameterSpec(
        64, 'Frames to calibrate with.', False, (), 1, 10000),
    'calibration_method': ParameterSpec(
        'auto', 'How ranges are found; auto measures which loses least.', choices=CALIBRATION_METHODS),
    'min_agreement': ParameterSpec(
        -1.0, 'Least agreement with ONNX Runtime fp32 on frames of calibration_source; configure fails below it, '
        'and where nothing is found on these frames. 0.0: no gate; -1.0: 0.9 for int8, no gate for the others.',
        False, (), -1.0, 1.0),
    'strict_precision': ParameterSpec(
        False, 'Fail configure, instead of a warning, where the network does not run in the precision asked for.'),
    'device_index': ParameterSpec(0, 'TensorRT: which GPU.', False, (), 0, 64),
    'workspace_mib': ParameterSpec(
        0, 'TensorRT: GPU memory that kernels may use, in MiB; 0 for a part of what is free.', False, (), 0, 1048576),
    'builder_optimization_level': ParameterSpec(
        3, 'TensorRT: 0 builds fastest, 5 runs fastest.', False, (), 0, 5),
    'timing_cache': ParameterSpec(True, "TensorRT: keep the builder's measurements for the next build."),
    'batch_profile': ParameterSpec(
        [1, 1, 1], 'TensorRT: smallest, usual and largest batch of a model with a dynamic batch.'),
    'dla_core': ParameterSpec(-1, 'TensorRT: core of the deep learning accelerator; -1 for the GPU.', False, (), -1, 7),
    'hardware_compatibility': ParameterSpec(
        'none', 'TensorRT: let the engine run on other GPUs too, slower.', choices=HARDWARE_COMPATIBILITIES),
    'cuda_graph': ParameterSpec(True, 'TensorRT: launch each frame as one CUDA graph, where that works.'),
    'zero_copy': ParameterSpec(
        'auto', 'TensorRT: let the GPU read frames from page-locked host memory instead of a copy of its own; auto: on '
        'integrated GPUs, and for frames that are not made larger.',
        choices=SWITCHES),
    'diagnostics_period': ParameterSpec(
        1.0, 'Seconds between two diagnostics messages.', False, (), 0.1, 60.0),
}


@dataclass(frozen=True)
class Settings:
    """The parameters' values; see PARAMETERS for each one's meaning."""

    task: str
    model_file: str
    labels_file: str
    head: str
    backend: str
    precision: str
    input_size: tuple[int, int]
    score_threshold: float
    iou_threshold: float
    class_agnostic_nms: bool
    max_detections: int
    classes: tuple[str, ...]
    top_k: int
    image_transport: str
    image_reliability: str
    image_depth: int
    max_age_ms: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    scale: float
    color_order: str
    resize_mode: str
    crop_fraction: float
    publish_debug_image: bool
    class_id_format: str
    num_threads: int
    calibration_source: str
    calibration_topic: str
    calibration_samples: int
    calibration_method: str
    min_agreement: float
    strict_precision: bool
    device_index: int
    workspace_mib: int
    builder_optimization_level: int
    timing_cache: bool
    batch_profile: tuple[int, int, int]
    dla_core: int
    hardware_compatibility: str
    cuda_graph: bool
    zero_copy: str
    diagnostics_period: float

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
        """Return the heads' settings; ParameterError for a class name the model has not."""
        keep = None
        if self.classes:
            index_of = {name: index for index, name in reversed(list(enumerate(spec.names)))}
            unknown = [name for name in self.classes if name not in index_of]
            if unknown:
                close = difflib.get_close_matches(unknown[0], spec.names, 1)
                raise ParameterError(
                    f"classes names '{unknown[0]}', which {spec.path.name} does not know"
                    + (f": did you mean '{close[0]}'?" if close else
                       f': it knows {len(spec.names)} classes, {", ".join(spec.names[:5])}, ...'))
            wanted = set(self.classes)
            keep = frozenset(i for i, name in enumerate(spec.names) if name in wanted)
        return PostprocessSettings(
            DetectionSettings(
                self.score_threshold, self.iou_threshold, self.class_agnostic_nms,
                self.max_detections, keep),
            ClassificationSettings(self.top_k))


def declare(node: Node) -> None:
    """Declare all parameters; ParameterError for an override of a wrong type or out of range."""
    for name, spec in PARAMETERS.items():
        try:
            node.declare_parameter(name, spec.default, spec.descriptor())
        except InvalidParameterTypeException as error:
            raise ParameterError(f"parameter '{name}': {_type_hint(spec, error)}") from error
        except InvalidParameterValueException as error:
            raise ParameterError(f"parameter '{name}': {error}") from error


def unknown_overrides(node: Node) -> list[str]:
    """Return a warning for each parameter that was given but that the node does not have."""
    # rclpy offers no public look at the overrides; without them a misspelt name would pass in silence.
    given = getattr(node, '_parameter_overrides', {})
    warnings = []
    for name in given:
        if node.has_parameter(name) or name.startswith('qos_overrides.'):
            continue
        close = difflib.get_close_matches(name, PARAMETERS, 1)
        hint = f": did you mean '{close[0]}'?" if close else ''
        warnings.append(f"parameter '{name}' does not exist and has no effect{hint}")
    return warnings


def read(node: Node) -> Settings:
    """Return the current values, validated; ParameterError naming the first that is wrong."""
    values = {name: node.get_parameter_or(name).value for name in PARAMETERS}
    return _settings(values)


def changed(settings: Settings, parameters: Sequence[Parameter]) -> Settings:
    """Return `settings` with live parameters changed; ParameterError for a bad value."""
    values = {field.name: getattr(settings, field.name) for field in fields(Settings)}
    values.update((p.name, p.value) for p in parameters if p.name in PARAMETERS)
    return _settings(values)


def check(parameter: Parameter) -> None:
    """Raise ParameterError if this value could never be right."""
    if parameter.name in PARAMETERS:
        _check_value(parameter.name, parameter.value)


def _settings(values: dict[str, Any]) -> Settings:
    for name, value in values.items():
        _check_value(name, value)
    values = dict(values)
    values['classes'] = tuple(name for name in values['classes'] or () if name)
    values['input_size'] = tuple(values['input_size'])
    values['batch_profile'] = tuple(values['batch_profile'])
    for name in ('mean', 'std'):
        values[name] = None if _is_unset(values[name]) else tuple(values[name])
    return Settings(**values)


def _check_value(name: str, value: Any) -> None:
    spec = PARAMETERS[name]
    if spec.choices and value not in spec.choices:
        close = difflib.get_close_matches(str(value), spec.choices, 1)
        raise ParameterError(
            f"{name} is '{value}': expected one of {', '.join(spec.choices)}"
            + (f" (did you mean '{close[0]}'?)" if close else ''))
    if spec.minimum is not None and spec.maximum is not None and (
            not math.isfinite(value) or not spec.minimum <= value <= spec.maximum):
        raise ParameterError(
            f'{name} is {value}: expected {spec.minimum} to {spec.maximum}')
    if name == 'input_size' and (len(value) != 2 or min(value) < 0):
        raise ParameterError(
            f'input_size is {list(value)}: expected [width, height] in pixels, or [0, 0]')
    if name == 'batch_profile' and (len(value) != 3 or not 1 <= value[0] <= value[1] <= value[2]):
        raise ParameterError(
            f'batch_profile is {list(value)}: expected [smallest, usual, largest], each at least 1 and the one before')
    if name in ('mean', 'std') and not _is_unset(value):
        if len(value) not in (1, 3):
            raise ParameterError(f'{name} is {list(value)}: expected one or three numbers')
        if not all(map(math.isfinite, value)):
            raise ParameterError(
                f"{name} is {list(value)}: expected finite numbers, or [.nan] alone for the model's own")


def _is_unset(numbers: Sequence[float] | None) -> bool:
    # None: rclpy takes an empty list at the start for no value at all.
    return numbers is None or (len(numbers) == 1 and math.isnan(numbers[0]))


def _type_hint(spec: ParameterSpec, error: Exception) -> str:
    message = str(error)
    number = spec.default[0] if isinstance(spec.default, list) else spec.default
    if isinstance(number, float):
        message += ' (write numbers with a decimal point, 1.0 instead of 1)'
    return message
