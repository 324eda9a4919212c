# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of the node's parameters. Each parameter is declared only here.

It is the source of the descriptors, the files in config/, docs/parameters.md, and the texts of launch arguments and
command-line options with the same meaning. After a change run `make generate`.
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from ..backends.create import BACKENDS
from ..image.encodings import ENCODINGS
from ..image.options import DROP, KEEP
from ..image.size import LARGEST_LIMIT, MAX_PIXELS
from ..model.geometry import RESIZE_MODES
from ..model.heads.identify import HEADS
from ..model.normalisation import COLOR_ORDERS, INTERPOLATIONS
from ..model.spec import TASKS
from ..model.thresholds import Thresholds
from ..pipeline.options import CALIBRATION_METHODS, DEFAULT_INT8_AGREEMENT, DEVICES, PRECISIONS
from ..pipeline.tensorrt_options import HARDWARE_COMPATIBILITIES, SWITCHES

T = TypeVar('T')
# YAML reads such a word as text without quotes, except the words of _NOT_TEXT.
_PLAIN = re.compile('[A-Za-z][A-Za-z0-9_]*')
_NOT_TEXT = ('on', 'off', 'yes', 'no', 'y', 'n', 'true', 'false', 'null')


class Kind(enum.Enum):
    """The type of a parameter: ROS's type and the parser of a launch argument follow from it."""

    BOOL = 'bool'
    INTEGER = 'integer'
    NUMBER = 'number'
    TEXT = 'text'
    PATH = 'path'
    INTEGERS = 'integers'
    NUMBERS = 'numbers'
    TEXTS = 'texts'


@dataclass(frozen=True)
class Group:
    """Parameters that belong together. task: the only task that uses them, '' for all tasks."""

    title: str
    text: str = ''
    task: str = ''


MODEL = Group('Model')
PRECISION = Group(
    'Precision',
    'int8 needs frames that are typical of your camera. The accuracy check uses frames of the same source.')
TENSORRT = Group('TensorRT', 'These parameters have no effect on other backends.')
PREPROCESSING = Group(
    'Preprocessing', "The network's input is (pixel * scale - mean) / std. By default the model decides.")
IMAGES = Group('Images')
DETECTION = Group('Detection', task='detection')
TRACKING = Group('Tracking', 'Ids that stay the same from image to image: docs/tracking.md.', task='detection')
CLASSIFICATION = Group('Classification', task='classification')
OUTPUT = Group('Output')
START = Group('Start')


@dataclass(frozen=True)
class Row:
    """One parameter.

    default: in the form of ROS. Every parameter must have one: if one parameter of a request is not set, rclpy answers
        without any values, and `ros2 param dump` is empty
    text: the meaning, without a full stop at the end
    default_means: the meaning of a special default such as 0 or auto; '' for an ordinary value
    choices, limits: the allowed values of a text, the lowest and highest of a number; () if all are allowed
    live: whether it may change while the node is active
    """

    name: str
    group: Group
    kind: Kind
    default: Any
    text: str
    default_means: str = ''
    choices: tuple[str, ...] = ()
    limits: tuple[float, ...] = ()
    live: bool = False

    @property
    def expected(self) -> str:
        """The allowed values, as error messages state them."""
        if self.choices:
            return f'one of {self.named_choices}'
        return ' to '.join(map(str, self.limits))

    @property
    def named_choices(self) -> str:
        """The choices, separated by commas; the empty text as ''."""
        return ', '.join(choice or "''" for choice in self.choices)

    @property
    def constraint(self) -> str:
        """The allowed values as a sentence, '' if all values of the type are allowed."""
        if self.choices:
            return f'Choices: {", ".join(map(as_yaml, self.choices))}.'
        return f'Range: {self.expected}.' if self.limits else ''

    @property
    def explanation(self) -> str:
        """The text in sentences, with the meaning of the default."""
        if not self.default_means:
            return f'{self.text}.'
        return f'{self.text}. {as_yaml(self.default)}: {self.default_means}.'


def _row(
    group: Group, default: T, text: str, default_means: str = '', *, ros_default: Sequence[Any] | None = None,
    choices: Sequence[str] = (), limits: tuple[float, float] | tuple[()] = (), live: bool = False, path: bool = False,
) -> T:
    """Return a field of a table; see Row for the arguments.

    ros_default: the default in the form of ROS, if it differs from `default`
    """
    stored = default if ros_default is None else ros_default
    stored = list(stored) if isinstance(stored, (list, tuple)) else stored
    kind = Kind.PATH if path else _kind_of(stored)
    row = Row('', group, kind, stored, text, default_means, tuple(choices), limits, live)
    declared: T = field(default=default, metadata={'row': row})
    return declared


# For the tables of other nodes.
declared_row = _row


def _kind_of(value: Any) -> Kind:
    if isinstance(value, list):
        return {int: Kind.INTEGERS, float: Kind.NUMBERS, str: Kind.TEXTS}[type(value[0])]
    return {bool: Kind.BOOL, int: Kind.INTEGER, float: Kind.NUMBER, str: Kind.TEXT}[type(value)]


@dataclass(frozen=True)
class Values:
    """The table. Each field is a parameter, with its name, its Python type and its row."""

    task: str = _row(
        MODEL, 'auto', 'Task of the model; a model with another task is refused', 'the task is read from the file',
        choices=TASKS)
    model_file: str = _row(
        MODEL, '',
        'ONNX or .tflite file, or the name of a catalogue model that is already fetched (trt_perception fetch NAME)',
        'configure fails', path=True)
    labels_file: str = _row(
        MODEL, '', 'Class names for a model without names in its metadata: a txt, json or yaml file, or coco or '
        'imagenet for the lists of this package', "the model's own names, or class indices if it has none", path=True)
    head: str = _row(
        MODEL, 'auto', "Layout of the model's output", "found from the output's shape, the metadata and the values",
        choices=HEADS)
    output_name: str = _row(
        MODEL, '', 'Name of the output to use, for a model with several', 'the only output that fits, or '
        'the output whose name or size is that of scores')
    backend: str = _row(
        MODEL, 'auto', 'Library that runs the network',
        'LiteRT for a .tflite file; TensorRT if it and a GPU are found; OpenVINO if it is installed; otherwise ONNX '
        'Runtime',
        choices=BACKENDS)
    concurrent_inferences: int = _row(
        MODEL, 0, 'Number of images of different cameras that are processed at the same time. With ONNX Runtime and '
        'OpenVINO the images share num_threads, and there is at most one image for each thread. With TensorRT each '
        'image has its own stream and its own GPU memory, and two images may be of the same camera',
        'with ONNX Runtime and OpenVINO one image for each camera, with TensorRT 1', limits=(0, 64))
    max_batch: int = _row(
        MODEL, 1, 'Largest number of waiting images of different cameras that run as one batch, if the model has a '
        'dynamic batch. ONNX Runtime uses all threads for a batch; TensorRT builds an engine for it. With other '
        'models, each image runs alone',
        limits=(1, 64))
    batch_wait_ms: int = _row(
        MODEL, 0, 'Longest time in milliseconds that an image waits until there are max_batch images', 'never wait',
        limits=(0, 1000))
    device: str = _row(
        MODEL, 'auto', 'Where the network runs. gpu: the diagnostics warn if the network runs on the CPU; cpu: the GPU '
        'is not used',
        'the GPU if TensorRT runs, and a warning if the machine has a GPU that is not used for an ONNX file',
        choices=DEVICES)
    strict_device: bool = _row(
        MODEL, False, 'Instead of a warning about the CPU (see device), configure fails')
    num_threads: int = _row(
        MODEL, 0, 'CPU threads for one inference with ONNX Runtime, OpenVINO or LiteRT, at most one for each processor',
        'one for each physical core that the process may use', limits=(0, 1024))
    input_size: tuple[int, int] = _row(
        MODEL, (0, 0), 'Width and height in pixels for a model with a dynamic input size', "the model's usual size")

    precision: str = _row(
        PRECISION, 'fp32', 'Arithmetic of the network', choices=PRECISIONS)
    strict_precision: bool = _row(
        PRECISION, False, 'Refuse a network that does not run in the given precision; otherwise only warn')
    calibration_source: str = _row(
        PRECISION, '', 'Folder of images, video or bag with frames that are typical of your camera. int8 is calibrated '
        'with frames of this source, and accuracy is checked on frames of this source', path=True)
    calibration_topic: str = _row(
        PRECISION, '', 'Image topic to calibrate with, for a bag with several image topics',
        "the bag's only image topic")
    calibration_samples: int = _row(
        PRECISION, 64, 'Number of frames to calibrate with, evenly spaced over the source', limits=(1, 10000))
    calibration_method: str = _row(
        PRECISION, 'auto', 'How the ranges of int8 are found', 'all methods are measured and the best one is used',
        choices=CALIBRATION_METHODS)
    min_agreement: float = _row(
        PRECISION, -1.0, 'Lowest agreement with ONNX Runtime fp32 on frames of the calibration source. The model is '
        'refused if the agreement is lower, or if nothing is detected in these frames. 0.0 disables the check',
        f'{DEFAULT_INT8_AGREEMENT} for int8, with only a warning if nothing is detected; no check for fp32 and fp16',
        limits=(-1.0, 1.0))

    device_index: int = _row(TENSORRT, 0, 'Index of the GPU that TensorRT uses', limits=(0, 64))
    workspace_mib: int = _row(
        TENSORRT, 0, 'GPU memory in MiB that the kernels of a TensorRT engine may use', 'a part of the free memory',
        limits=(0, 1 << 20))
    builder_optimization_level: int = _row(
        TENSORRT, 3, 'Optimization level of the TensorRT builder: 0 builds fastest, 5 gives the fastest engine',
        limits=(0, 5))
    timing_cache: bool = _row(TENSORRT, True, 'Keep the kernel timings of a TensorRT build for the next build')
    batch_profile: tuple[int, int, int] = _row(
        TENSORRT, (1, 1, 1),
        'Smallest, usual and largest batch of the TensorRT engine, for a model with a dynamic batch',
        'from 1 to max_batch, or from 1 to the number of cameras if that is smaller')
    dla_core: int = _row(
        TENSORRT, -1, 'DLA core (deep learning accelerator of a Jetson) that runs the TensorRT engine', 'the GPU',
        limits=(-1, 7))
    hardware_compatibility: str = _row(
        TENSORRT, 'none', 'Other GPUs that the TensorRT engine may run on; such an engine is slower',
        'this GPU model only', choices=HARDWARE_COMPATIBILITIES)
    cuda_graph: bool = _row(TENSORRT, True, 'Launch each frame as one CUDA graph, if this is possible')
    zero_copy: str = _row(
        TENSORRT, 'auto', 'Let the GPU read frames from page-locked host memory, instead of copying them to GPU memory',
        'on for integrated GPUs, and for frames that are not enlarged if one image is processed at a time',
        choices=SWITCHES)

    scale: float = _row(
        PREPROCESSING, 0.0, 'Factor for the pixel values (0..255), usually 1/255', "the model's value",
        limits=(0.0, 1000.0))
    mean: tuple[float, ...] | None = _row(
        PREPROCESSING, None, "Numbers subtracted from pixel * scale: one, or three in the order of the model's colours",
        "the model's values", ros_default=[math.nan])
    std: tuple[float, ...] | None = _row(
        PREPROCESSING, None, "Divisors of pixel * scale - mean: one, or three in the order of the model's colours",
        "the model's values", ros_default=[math.nan])
    color_order: str = _row(
        PREPROCESSING, 'auto', "Order of the model's input channels", "the model's order",
        choices=('auto', *COLOR_ORDERS))
    resize_mode: str = _row(
        PREPROCESSING, 'auto', 'How an image is fitted to the input size', "the model's mode",
        choices=('auto', *RESIZE_MODES))
    crop_fraction: float = _row(
        PREPROCESSING, 0.0, 'Fraction of the shorter side that center_crop keeps', "the model's value",
        limits=(0.0, 1.0))
    interpolation: str = _row(
        PREPROCESSING, 'auto', 'How an image is resized. linear: as cv2.resize; bilinear_antialias and '
        'bicubic_antialias: as Pillow and torchvision, which lose less if a large image becomes small',
        "the model's way; usually linear for detectors and bilinear_antialias for classifiers",
        choices=('auto', *INTERPOLATIONS))

    image_topics: tuple[str, ...] = _row(
        IMAGES, ('image',), 'Image topics of the cameras, which share one neural network. With one topic, the '
        'results are in the namespace of the node. With several topics, the results are in the namespace of the image '
        'topic: /front/detections for /front/image_raw. A topic whose name ends with /compressed is always a '
        'compressed topic')
    image_transport: str = _row(
        IMAGES, 'raw', "raw subscribes to the topic 'image' (sensor_msgs/Image), compressed to 'image/compressed' "
        '(sensor_msgs/CompressedImage: jpeg, png, webp, tiff)', choices=('raw', 'compressed'))
    image_encoding: str = _row(
        IMAGES, '', 'Encoding of the images, if the driver names a wrong encoding in its messages, such as yuv422 for '
        'images in yuv422_yuy2 (YUYV)', 'the encoding in the message', choices=('', *sorted(ENCODINGS, key=str.lower)),
        live=True)
    image_reliability: str = _row(
        IMAGES, 'best_effort', 'Reliability of the image subscription; best_effort matches every publisher',
        choices=('best_effort', 'reliable'))
    image_depth: int = _row(IMAGES, 1, 'Queue depth of the image subscription', limits=(1, 1000))
    image_taking: str = _row(
        IMAGES, 'auto', 'How images are taken from the middleware. thread: a separate thread, which needs less '
        "processor time, but uses private names of rclpy; executor: the node's executor, which uses public names only",
        'the thread, or the executor with a warning if this rclpy lacks a name', choices=('auto', 'thread', 'executor'))
    max_age_ms: int = _row(
        IMAGES, 0, 'Largest age of a frame in milliseconds since its stamp; older frames are dropped as stale. The age '
        'is checked before the network runs. It is checked again before the result is published; then the usual time '
        'of a frame is added to the limit', 'no limit', limits=(0, 3600000), live=True)
    max_rate_hz: float = _row(
        IMAGES, 0.0, 'Highest number of images per second that are processed for each camera; other images count as '
        'skipped',
        'no limit', limits=(0.0, 1000.0), live=True)
    lazy: bool = _row(
        IMAGES, False, 'Process no images of a camera while none of its outputs has a subscriber: the image '
        'subscription ends, and it starts again with the next subscriber')
    roi: tuple[int, ...] = _row(
        IMAGES, (0, 0, 0, 0), 'The part of the image that the network sees: x, y, width and height in pixels of the '
        'image. Width or height 0: up to the edge. Four numbers for all cameras, or four for each of image_topics. The '
        'results are in the coordinates of the whole image', 'the whole image')
    rotate: tuple[int, ...] = _row(
        IMAGES, (0,), 'Clockwise rotation in degrees, 0, 90, 180 or 270, that makes the image of a camera upright for '
        'the network. One number for all cameras, or one for each of image_topics. The results are in the coordinates '
        'of the image as it is published')
    max_image_pixels: int = _row(
        IMAGES, MAX_PIXELS, 'Largest image in pixels (width * height); a larger image is refused before it is decoded. '
        'Decoding needs up to 16 bytes of memory for each pixel', limits=(1, LARGEST_LIMIT))
    significant_bits: int = _row(
        IMAGES, 16, 'Number of used bits of 16-bit images (mono16, rgb16, bayer_rggb16, 16-bit PNG), counted from the '
        'lowest bit: 10 or 12 for many cameras. With 16, images of these cameras are nearly black', limits=(8, 16))
    damaged_images: str = _row(
        IMAGES, DROP, 'What happens to a compressed image with damaged data. drop: it counts as bad; keep: the decoded '
        'part is processed, so objects in the missing part are not found', choices=(DROP, KEEP))
    frame_timeout: float = _row(
        IMAGES, 60.0, 'Longest time for one frame in seconds, or five times the usual time of a frame if that is '
        'longer. If a frame takes longer, the process ends with exit code 1, and respawn:=true starts it again. 0.0: '
        'the process never ends for this reason',
        limits=(0.0, 86400.0), live=True)

    score_threshold: float = _row(
        DETECTION, -1.0, 'Detections with a lower score are dropped', f"the model's value, usually {Thresholds.score}",
        limits=(-1.0, 1.0), live=True)
    iou_threshold: float = _row(
        DETECTION, -1.0, 'IoU above which the lower-scoring box of the same class is removed',
        f"the model's value, usually {Thresholds.iou}", limits=(-1.0, 1.0), live=True)
    class_agnostic_nms: bool = _row(DETECTION, False, 'Also remove overlapping boxes of different classes')
    max_detections: int = _row(
        DETECTION, 300, 'Largest number of detections in one image; the best ones are kept', limits=(1, 10000),
        live=True)
    ignore_areas: tuple[str, ...] = _row(
        DETECTION, (), 'Polygons in pixels of the image. A detection whose centre is in one of them is dropped. Each '
        "polygon is a text with its corners, such as '0,0 640,0 640,80'. A polygon for one camera only begins with a "
        "topic of image_topics: '/front/image_raw: 0,0 640,0 640,80'", 'none', ros_default=[''])
    classes: tuple[str, ...] = _row(
        DETECTION, (), 'Names of the classes to report', 'all classes', ros_default=[''], live=True)

    tracking: bool = _row(
        TRACKING, False, 'Give each object an id that stays the same from image to image (Detection2D.id). An object '
        'gets its id when it is detected for the second time')
    tracking_buffer: float = _row(
        TRACKING, 1.0, 'Seconds for which an object that is not detected keeps its id', limits=(0.1, 3600.0))
    tracking_low_score: float = _row(
        TRACKING, 0.1, 'Detections with a score between this value and the score threshold are not published, but they '
        'continue the track of a known object', limits=(0.0, 1.0), live=True)
    tracking_predicted: float = _row(
        TRACKING, 0.0, 'Seconds for which the predicted box of an object that is not detected is also published, with '
        'score 0', 'never', limits=(0.0, 3600.0))

    top_k: int = _row(
        CLASSIFICATION, 5, 'Number of classes in a classification; the best ones are reported', limits=(1, 10000))

    class_id_format: str = _row(
        OUTPUT, 'name', 'Content of class_id in the results: the name of the class or its index',
        choices=('name', 'index'))
    publish_debug_image: bool = _row(
        OUTPUT, False,
        "Draw the results on the image and publish it on the topics 'debug_image' and 'debug_image/compressed' (JPEG) "
        'while they have a subscriber', live=True)
    diagnostics_period: float = _row(OUTPUT, 1.0, 'Seconds between two diagnostics messages', limits=(0.1, 60.0))

    bond: bool = _row(
        START, False, 'Send heartbeats to a lifecycle manager such as nav2_lifecycle_manager while the node is active '
        '(bond/msg/Status on the topic bond). This needs the ROS package bond')
    autostart: bool = _row(
        START, False, 'Configure and activate the node when its process starts. The launch files have an argument '
        'autostart instead, and set this parameter to false')


def rows_of(table: type) -> Mapping[str, Row]:
    """Return the rows of a class whose fields are made by _row, by name."""
    return {declared.name: replace(declared.metadata['row'], name=declared.name) for declared in fields(table)}


PARAMETERS: Mapping[str, Row] = rows_of(Values)


def text(name: str) -> str:
    """Return the parameter's meaning, without a full stop at the end."""
    return PARAMETERS[name].text


def as_yaml(value: Any) -> str:
    """Return a parameter's value as it is written in a ROS parameter file."""
    if isinstance(value, list):
        return f'[{", ".join(map(as_yaml, value))}]'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and math.isnan(value):
        return '.nan'
    if isinstance(value, str) and (value.lower() in _NOT_TEXT or not _PLAIN.fullmatch(value)):
        return f"'{value}'"
    return str(value)
