# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Models for the GPU tests, and their plans, built by TensorRT only through compat."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from support import tiny_models
from support.tiny_models import CELL, COLORS, FLOAT, FLOAT16, UINT8, cells
from trt_perception.backends.tensorrt.library.graph_types import graph_types
from trt_perception.model.spec import ModelOptions, ModelSpec, load_model
from trt_perception.pipeline.tensorrt_options import BuildOptions

# A low level makes the build fast; the tests check results, not speed.
_LEVEL = 1


@dataclass(frozen=True)
class BuiltModel:
    """A model and its plan."""

    spec: ModelSpec
    plan: bytes

    def load(self):
        return self.plan


def plan_path(folder, tensorrt, path, level, most=1):
    """Return the path of the plan of an ONNX file in the folder of plans. most: see build_plan"""
    batch = f' batch {most}' if most > 1 else ''
    digest = hashlib.sha256(Path(path).read_bytes() + f'{tensorrt.identity} {level}{batch}'.encode()).hexdigest()
    return Path(folder) / f'{digest[:32]}.plan'


def write_plan(target, tensorrt, path, level, most=1):
    """Build into a file; the file is complete or does not exist."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(f'.{os.getpid()}')
    part.write_bytes(build_plan(tensorrt, path, level, most=most))
    part.replace(target)


def build_plan(tensorrt, path, level=_LEVEL, auxiliary_streams=None, most=1):
    """Return a plan that computes in the types of the ONNX file.

    auxiliary_streams: how many extra streams TensorRT may use; None: TensorRT decides
    most: the largest and the usual batch of a model with a dynamic batch
    """
    types = graph_types(Path(path))
    options = BuildOptions(
        precision='int8' if types.quantized else 'fp16' if types.has_float16 else 'fp32', optimization_level=level)
    builder = tensorrt.create_builder()
    network = tensorrt.create_network(builder, options)
    parser = tensorrt.create_parser(network)
    assert parser.parse_from_file(str(path)), tensorrt.parser_problems(parser)
    tensorrt.keep_types(network, types, options)
    config = tensorrt.create_config(builder)
    tensorrt.configure(builder, config, options, types)
    if auxiliary_streams is not None:
        config.max_aux_streams = auxiliary_streams
    image = network.get_input(0)
    if -1 in tuple(image.shape):
        one, largest = ((batch, *tuple(image.shape)[1:]) for batch in (1, most))
        tensorrt.add_profile(builder, config, {image.name: (one, largest, largest)})
    return tensorrt.build(builder, network, config)


def end_to_end_detector(path, width=64, height=64):
    """The colour detector with the layout [1, N, 6]: the strongest colour's score, always class 2."""
    centres = cells(width, height)
    corners = np.concatenate([centres[:2] - centres[2:] / 2, centres[:2] + centres[2:] / 2])
    count = corners.shape[1]
    nodes = [
        helper.make_node('AveragePool', ['images'], ['means'], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node('ReduceMax', ['means'], ['strongest'], axes=[1], keepdims=1),
        helper.make_node('Reshape', ['strongest', 'shape'], ['scores']),
        helper.make_node('Concat', ['boxes', 'scores', 'classes'], ['columns'], axis=1),
        helper.make_node('Transpose', ['columns'], ['output0'], perm=[0, 2, 1])]
    return tiny_models.save(
        path, nodes, {'images': (FLOAT, [1, 3, height, width])}, {'output0': (FLOAT, [1, count, 6])},
        {'shape': np.array([1, 1, -1], np.int64), 'boxes': corners[np.newaxis],
         'classes': np.full((1, 1, count), 2, np.float32)},
        {'names': dict(enumerate(COLORS)), 'task': 'detect', 'end2end': True})


def corner_detector(path):
    """The colour detector in the layout of YOLOv8, but with corners where centres are expected."""
    model = onnx.load(tiny_models.color_detector(path))
    boxes = next(tensor for tensor in model.graph.initializer if tensor.name == 'boxes')
    centres = numpy_helper.to_array(boxes)
    half = centres[:, 2:] / 2
    corners = np.concatenate([centres[:, :2] - half, centres[:, :2] + half], axis=1)
    boxes.CopyFrom(numpy_helper.from_array(corners, 'boxes'))
    onnx.save(model, str(path))
    return path


def multi_label_classifier(path):
    """The mean of each channel in 0..1, a score for each class, which only its values show."""
    return tiny_models.save(
        path,
        [helper.make_node('GlobalAveragePool', ['images'], ['means']),
         helper.make_node('Flatten', ['means'], ['flat']),
         helper.make_node('Max', ['flat', 'zero'], ['scores'])],
        {'images': (FLOAT, [1, 3, 48, 64])}, {'scores': (FLOAT, [1, 3])}, {'zero': np.zeros((1, 3), np.float32)},
        {'names': dict(enumerate(COLORS)), 'trt_perception.preprocessing': '{"mean": [0], "std": [1]}'})


def convolutional_detector(path, size=320, classes=20, head='yolov5', seed=0, kernels=(3,), batch=1):
    """Three layers of random convolutions that give boxes and scores of all sizes: arithmetic as in a real network.

    kernels: sides of the second layer's kernels; several run in parallel, and their results are concatenated
    """
    random = np.random.default_rng(seed)
    cell, width = 8, 32
    side = size // cell
    columns = 4 + classes + (head == 'yolov5')
    branches = [(f'_{side}' if len(kernels) > 1 else '', side) for side in kernels]
    y, x = np.mgrid[0:side, 0:side].reshape(2, -1)
    grid = np.stack([(x + 0.5) * cell, (y + 0.5) * cell]).astype(np.float32)[np.newaxis]

    def weights(outputs, inputs, side):
        return (random.normal(0, 1, (outputs, inputs, side, side)) / np.sqrt(inputs * side * side)).astype(np.float32)

    constants = {
        'w0': weights(width, 3, 8) * 4, **{f'w1{name}': weights(width, width, side) * 2 for name, side in branches},
        'w2': weights(columns, len(kernels) * width, 1) * 3,
        'flat': np.array([1 if batch == 1 else 0, columns, -1], np.int64), 'grid': grid,
        'sizes': np.array(80, np.float32),
        'shift': np.array(40, np.float32), 'half': np.array(0.5, np.float32)}
    nodes = [
        helper.make_node('Conv', ['images', 'w0'], ['c0'], strides=[cell, cell]),
        helper.make_node('Relu', ['c0'], ['r0']),
        *(node for name, side in branches for node in (
            helper.make_node('Conv', ['r0', f'w1{name}'], [f'c1{name}'], pads=[side // 2] * 4),
            helper.make_node('Relu', [f'c1{name}'], [f'r1{name}']))),
        *([helper.make_node('Concat', [f'r1{name}' for name, _ in branches], ['r1'], axis=1)] * (len(branches) > 1)),
        helper.make_node('Conv', ['r1', 'w2'], ['c2']),
        helper.make_node('Sigmoid', ['c2'], ['s2']),
        helper.make_node('Reshape', ['s2', 'flat'], ['all']),
        helper.make_node('Split', ['all', 'parts'], ['offsets', 'spans', 'scores'], axis=1),
        helper.make_node('Sub', ['offsets', 'half'], ['centred']),
        helper.make_node('Mul', ['centred', 'shift'], ['moved']),
        helper.make_node('Add', ['moved', 'grid'], ['centres']),
        helper.make_node('Mul', ['spans', 'sizes'], ['extents']),
        helper.make_node('Concat', ['centres', 'extents', 'scores'], ['columns'], axis=1)]
    constants['parts'] = np.array([2, 2, columns - 4], np.int64)
    shape = [batch, columns, side * side]
    if head == 'yolov5':
        nodes.append(helper.make_node('Transpose', ['columns'], ['output0'], perm=[0, 2, 1]))
        shape = [batch, side * side, columns]
    else:
        nodes.append(helper.make_node('Identity', ['columns'], ['output0']))
    return tiny_models.save(
        path, nodes, {'images': (FLOAT, [batch, 3, size, size])}, {'output0': (FLOAT, shape)}, constants,
        {'names': {index: f'class{index}' for index in range(classes)}, 'task': 'detect'})


MODELS = {
    'yolov5': (lambda path: tiny_models.color_detector(path, head='yolov5'), ModelOptions()),
    'yolov8': (tiny_models.color_detector, ModelOptions()),
    'transposed': (lambda path: tiny_models.color_detector(path, head='transposed'), ModelOptions(head='yolov8')),
    'end_to_end': (end_to_end_detector, ModelOptions(head='end_to_end')),
    'nhwc': (lambda path: tiny_models.color_detector(path, layout='nhwc'), ModelOptions()),
    'uint8': (lambda path: tiny_models.color_detector(path, dtype=UINT8), ModelOptions()),
    'float16': (lambda path: tiny_models.color_detector(path, dtype=FLOAT16), ModelOptions()),
    'classifier': (lambda path: tiny_models.color_classifier(path, size=(48, 64)), ModelOptions()),
    'corners': (corner_detector, ModelOptions()),
    'multi_label': (multi_label_classifier, ModelOptions()),
    'convolutions5': (convolutional_detector, ModelOptions()),
    'convolutions8': (lambda path: convolutional_detector(path, head='yolov8'), ModelOptions()),
}
# With a dynamic batch.
BATCHED_MODELS = {
    'batched': (tiny_models.batched_detector, ModelOptions()),
    'batched_masks': (lambda path: tiny_models.batched_detector(path, masks=True), ModelOptions()),
    'batched_classifier': (
        lambda path: tiny_models.color_classifier(path, size=(48, 64), batch='batch'), ModelOptions()),
    'batched_convolutions': (lambda path: convolutional_detector(path, batch='batch'), ModelOptions()),
}


class Engines:
    """The models by name; each is built once per test run. The batch of BATCHED_MODELS is 1 to MOST."""

    MOST = 6

    def __init__(self, tensorrt, folder):
        self._tensorrt = tensorrt
        self._folder = folder
        self._plans = os.environ.get('TRT_PERCEPTION_TEST_PLANS') or folder
        self._built = {}

    def __call__(self, name):
        if name not in self._built:
            write, options = {**MODELS, **BATCHED_MODELS}[name]
            most = self.MOST if name in BATCHED_MODELS else 1
            path = write(self._folder / f'{name}.onnx')
            plan = plan_path(self._plans, self._tensorrt, path, _LEVEL, most)
            if not plan.is_file():
                write_plan(plan, self._tensorrt, path, _LEVEL, most)
            self._built[name] = BuiltModel(load_model(path, options), plan.read_bytes())
        return self._built[name]
