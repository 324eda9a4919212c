# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Colour detectors with convolutions that react differently to each precision, and nodes that run them on TensorRT."""

import cv2
import numpy as np
import onnx
import psutil
from onnx import helper, numpy_helper

from support.precision_models import color_frames, conv_detector
from trt_perception.backends.tensorrt.cache.engine_cache import sealed_json, unsealed_json
from trt_perception.backends.tensorrt.cache.private_files import replace_private
from trt_perception.results.results import Detections

# The lowest level builds fastest; the engine's speed is not tested here.
TENSORRT = {'backend': 'tensorrt', 'builder_optimization_level': 0}
BUILD_TIMEOUT = 600.0
_WORKER = 'trt_perception.backends.tensorrt.build.worker'
_CHANNELS = 32


class ColorModels:
    """ONNX files by name, each written at its first use.

    The first convolution mixes the colours into 32 channels, and the next one undoes that. So in float32 all models
    find the same: squares of pure colours on a grid of 8x8 pixels.

    plain: loses nothing in any precision
    overflowing: values between the two reach 1e6, beyond float16, so the conversion keeps them in float32
    nearly_singular: the mixed channels differ by only 1e-4 of their values, which float16 rounds away

    frames: folder of pictures with such squares
    """

    def __init__(self, folder):
        self._folder = folder
        self.frames = folder / 'frames'
        self.frames.mkdir()
        for index, picture in enumerate(color_frames(72)):
            cv2.imwrite(str(self.frames / f'{index:02}.png'), picture)

    def __call__(self, name='plain'):
        path = self._folder / f'{name}.onnx'
        if not path.is_file():
            positive = np.random.default_rng(0).uniform(0.2, 1.0, (_CHANNELS, 3, 1, 1)).astype(np.float32)
            weights = {'plain': positive, 'overflowing': 1e6 * positive, 'nearly_singular': 1 + 0.0003 * positive}
            conv_detector(path, weights_of_first=weights[name].astype(np.float32))
            if name == 'nearly_singular':
                _limit_scores(path)
        return str(path)


def _limit_scores(path):
    """Limit the scores to 0..1: errors of the precision then give wrong boxes, and not impossible scores."""
    model = onnx.load(str(path))
    nodes = model.graph.node
    columns = next(node for node in nodes if node.op_type == 'Concat')
    columns.input[1] = 'limited'
    model.graph.initializer.extend([
        numpy_helper.from_array(np.array(value, np.float32), name) for name, value in (('least', 0), ('most', 1))])
    nodes.insert(len(nodes) - 1, helper.make_node('Clip', ['scores', 'least', 'most'], ['limited'], 'limit'))
    onnx.save(model, str(path))


def configure(node):
    """Configure the node and wait for its engine; return whether the node reports success."""
    return bool(node.result(node.begin('configure'), 'configure', BUILD_TIMEOUT).success)


def build_processes(node):
    """Return the processes that build an engine for the node."""
    return [child for child in psutil.Process(node.process.process.pid).children() if _builds(child)]


def _builds(process):
    try:
        return _WORKER in process.cmdline()
    except psutil.Error:  # gone, or a zombie
        return False


def change_sidecar(cache, digest, **values):
    """Write other values to an engine's sidecar, as the cache does it."""
    path = cache.root / f'{digest}.json'
    sidecar = unsealed_json(path.read_bytes())
    replace_private(path, sealed_json({**sidecar, **values}))


def is_alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def detections_of(message, names):
    """Convert a Detection2DArray to Detections."""
    boxes, scores, classes = [], [], []
    for detection in message.detections:
        box, hypothesis = detection.bbox, detection.results[0].hypothesis
        x, y = box.center.position.x, box.center.position.y
        boxes.append((x - box.size_x / 2, y - box.size_y / 2, x + box.size_x / 2, y + box.size_y / 2))
        scores.append(hypothesis.score)
        classes.append(list(names).index(hypothesis.class_id))
    return Detections(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes, np.int64))


def assert_alike(found, expected, least_score, iou=0.99, score=0.005):
    """Assert that each box has a partner of its class in the other result, with at least this IoU and a near score.

    least_score: boxes below it need no partner, because they may be on either side of the threshold
    """
    for some, others in ((found, expected), (expected, found)):
        for box, value, index in zip(some.boxes, some.scores, some.class_indices):
            if value < least_score:
                continue
            partners = (others.class_indices == index) & (np.abs(others.scores - value) <= score)
            assert np.any(overlaps(box, others.boxes[partners]) >= iou), (box, value, index, found, expected)


def overlaps(box, boxes):
    """Return the (N,) IoU of one box with (N, 4) boxes."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    common = np.prod(np.clip(sides, 0, None), axis=1)
    return common / (np.prod(box[2:] - box[:2]) + np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) - common)
