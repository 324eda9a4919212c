# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A small detector with the operators and the output of a YOLOv8: SiLU, residual, concatenation, pooling, resizing."""

import numpy as np
from onnx import helper

from support.precision_models import METADATA
from support.tiny_models import CELL, FLOAT, cells, save


def silu_detector(path, size=64):
    """The colour detector of precision_models behind layers that change nothing: z = silu(z) - silu(-z).

    Layers: mix, back (with a SiLU between), twin, join, and shrink, the last one.
    """
    count = (size // CELL) ** 2
    eye = np.eye(3, dtype=np.float32)
    mean = np.zeros((3, 3, CELL, CELL), np.float32)
    mean[np.arange(3), np.arange(3)] = 1 / CELL**2
    nodes = [
        helper.make_node('Conv', ['images', 'mix.weight', 'mix.bias'], ['mixed'], 'mix'),
        helper.make_node('Sigmoid', ['mixed'], ['gate'], 'sigmoid'),
        helper.make_node('Mul', ['mixed', 'gate'], ['silu'], 'mul'),
        helper.make_node('Conv', ['silu', 'back.weight'], ['same'], 'back'),
        helper.make_node('Conv', ['same', 'twin.weight'], ['twin_raw'], 'twin'),
        helper.make_node('LeakyRelu', ['twin_raw'], ['twin'], 'leaky', alpha=0.1),
        helper.make_node('Add', ['same', 'twin'], ['double'], 'add'),
        helper.make_node('MaxPool', ['double'], ['small'], 'pool', kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node('Resize', ['small', '', 'scales'], ['large'], 'resize', mode='nearest'),
        helper.make_node('Concat', ['same', 'large'], ['both'], 'concat', axis=1),
        helper.make_node('Conv', ['both', 'join.weight'], ['joined'], 'join'),
        helper.make_node('Conv', ['joined', 'shrink.weight'], ['maps'], 'shrink', strides=[CELL, CELL]),
        helper.make_node('Reshape', ['maps', 'scores_shape'], ['scores'], 'flat'),
        helper.make_node('Concat', ['boxes', 'scores'], ['output0'], 'columns', axis=1)]
    weights = {
        'mix.weight': np.concatenate([4 * eye, -4 * eye]), 'back.weight': np.concatenate([eye, -eye], 1) / 4,
        'twin.weight': eye, 'join.weight': np.concatenate([0.2 * eye, 0.4 * eye], 1)}
    constants = {
        **{name: value[:, :, None, None].astype(np.float32) for name, value in weights.items()},
        'mix.bias': np.zeros(6, np.float32), 'shrink.weight': mean, 'scales': np.float32([1, 1, 2, 2]),
        'scores_shape': np.array([1, 3, -1], np.int64), 'boxes': cells(size, size)[np.newaxis]}
    return save(
        path, nodes, {'images': (FLOAT, [1, 3, size, size])}, {'output0': (FLOAT, [1, 7, count])}, constants,
        METADATA)
