# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Small models with weights, for the tests of fp16 and int8."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from support.tiny_models import CELL, COLORS, FLOAT, cells, save

METADATA = {
    'names': dict(enumerate(COLORS)), 'task': 'detect',
    'trt_perception.preprocessing': '{"color_order": "bgr", "scale": 0.00392156862745098}'}


def conv_detector(path, size=64, opset=13, batch_norm=False, weights_of_first=None):
    """The colour detector of tiny_models made of convolutions: mix (1x1), shrink (8x8, the mean), then decoding.

    The layout is that of YOLOv8: output0 [1, 4 + 3, cells].
    """
    count = (size // CELL) ** 2
    first = np.eye(3, dtype=np.float32)[:, :, None, None] if weights_of_first is None else weights_of_first
    back = np.linalg.pinv(first[:, :, 0, 0]).astype(np.float32)[:, :, None, None]
    mean = np.zeros((3, 3, CELL, CELL), np.float32)
    mean[np.arange(3), np.arange(3)] = 1 / CELL**2
    nodes = [
        helper.make_node('Conv', ['images', 'mix.weight', 'mix.bias'], ['mixed'], 'mix'),
        helper.make_node('Relu', ['mixed'], ['positive'], 'relu'),
        helper.make_node('Conv', ['positive', 'back.weight'], ['unmixed'], 'back'),
        helper.make_node('Conv', ['unmixed', 'shrink.weight'], ['maps'], 'shrink', strides=[CELL, CELL]),
        helper.make_node('Reshape', ['maps', 'scores_shape'], ['scores'], 'flat'),
        helper.make_node('Concat', ['boxes', 'scores'], ['output0'], 'columns', axis=1)]
    constants = {
        'mix.weight': first, 'mix.bias': np.zeros(len(first), np.float32), 'back.weight': back, 'shrink.weight': mean,
        'scores_shape': np.array([1, 3, -1], np.int64), 'boxes': cells(size, size)[np.newaxis]}
    if batch_norm:
        nodes[1].input[0] = 'normal'
        nodes.insert(1, helper.make_node(
            'BatchNormalization', ['mixed', 'gain', 'offset', 'mean', 'variance'], ['normal'], 'norm', epsilon=0.0))
        ones, zeros = np.ones(len(first), np.float32), np.zeros(len(first), np.float32)
        constants.update(gain=2 * ones, offset=zeros, mean=zeros, variance=4 * ones)  # Together they change nothing.
    return save(
        path, nodes, {'images': (FLOAT, [1, 3, size, size])}, {'output0': (FLOAT, [1, 7, count])}, constants,
        METADATA, opset)


BINS = 8


def dfl_detector(path, size=64):
    """conv_detector with boxes as YOLOv8 computes them: the expectation of a distribution over 8 bins for each side.

    The sides are 1 to 2 cells of 8 pixels and differ from cell to cell: `sides` reads the image.
    """
    conv_detector(path, size)
    proto = onnx.load(str(path))
    count = (size // CELL) ** 2
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(4 * BINS, 3, CELL, CELL)).astype(np.float32) / 8
    peaks = -np.abs(np.arange(BINS) - rng.uniform(1, 2, (4, 1))).astype(np.float32).reshape(-1)
    centres = cells(size, size)[:2][np.newaxis] / CELL
    (columns,) = [node for node in proto.graph.node if node.name == 'columns']
    columns.input[0] = 'pixels'
    position = list(proto.graph.node).index(columns)
    for offset, node in enumerate((
            helper.make_node('Conv', ['images', 'sides.weight', 'sides.bias'], ['s'], 'sides', strides=[CELL, CELL]),
            helper.make_node('Reshape', ['s', 'sides_shape'], ['r'], 'sides_flat'),
            helper.make_node('Transpose', ['r'], ['t'], 'bins_first', perm=[0, 2, 1, 3]),
            helper.make_node('Softmax', ['t'], ['p'], 'softmax', axis=1),
            helper.make_node('Conv', ['p', 'dfl.weight'], ['e'], 'dfl'),
            helper.make_node('Reshape', ['e', 'boxes_shape'], ['b'], 'boxes_flat'),
            helper.make_node('Split', ['b', 'halves'], ['near', 'far'], 'split', axis=1),
            helper.make_node('Sub', ['centres', 'near'], ['low'], 'low'),
            helper.make_node('Add', ['centres', 'far'], ['high'], 'high'),
            helper.make_node('Add', ['low', 'high'], ['sum'], 'sum'),
            helper.make_node('Mul', ['sum', 'half'], ['c'], 'c'),
            helper.make_node('Sub', ['high', 'low'], ['extent'], 'extent'),
            helper.make_node('Concat', ['c', 'extent'], ['grid_boxes'], 'grid_boxes', axis=1),
            helper.make_node('Mul', ['grid_boxes', 'stride'], ['pixels'], 'pixels'))):
        proto.graph.node.insert(position + offset, node)
    for name, value in {
            'sides.weight': weights, 'sides.bias': peaks, 'sides_shape': np.array([1, 4, BINS, count]),
            'dfl.weight': np.arange(BINS, dtype=np.float32).reshape(1, BINS, 1, 1),
            'boxes_shape': np.array([1, 4, count]), 'halves': np.array([2, 2]),
            'centres': centres.astype(np.float32), 'half': np.float32(0.5), 'stride': np.float32(CELL)}.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    kept = [tensor for tensor in proto.graph.initializer if tensor.name != 'boxes']
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(kept)
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, str(path))
    return path


def conv_classifier(path, seed=0, scale=1.0):
    """Convolutions with random weights, pooling, and a Gemm to three logits."""
    rng = np.random.default_rng(seed)

    def random(*shape):
        return (rng.normal(size=shape) * scale / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    return save(
        path,
        [helper.make_node('Conv', ['images', 'stem.weight', 'stem.bias'], ['a'], 'stem', strides=[2, 2]),
         helper.make_node('LeakyRelu', ['a'], ['b'], 'leaky', alpha=0.1),
         helper.make_node('Conv', ['b', 'body.weight'], ['c'], 'body'),
         helper.make_node('Relu', ['c'], ['d'], 'relu'),
         helper.make_node('GlobalAveragePool', ['d'], ['e'], 'pool'),
         helper.make_node('Flatten', ['e'], ['f'], 'flat'),
         helper.make_node('Gemm', ['f', 'fc.weight', 'fc.bias'], ['logits'], 'fc', transB=1)],
        {'images': (FLOAT, [1, 3, 32, 32])}, {'logits': (FLOAT, [1, 3])},
        {'stem.weight': random(8, 3, 3, 3), 'stem.bias': random(8, 1)[:, 0], 'body.weight': random(16, 8, 3, 3),
         'fc.weight': 8 * random(3, 16), 'fc.bias': np.zeros(3, np.float32)},
        {'names': dict(enumerate(COLORS)), 'task': 'classify'})


def color_frames(count, size=64, seed=0):
    """BGR pictures, (size, size, 3) uint8, dark with a few cells in full red, green or blue."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        picture = rng.integers(0, 40, (size, size, 3)).astype(np.uint8)
        for _ in range(3):
            y, x = rng.integers(0, size // CELL, 2) * CELL
            color = np.zeros(3, np.uint8)
            color[rng.integers(3)] = rng.integers(150, 256)
            picture[y:y + CELL, x:x + CELL] = color
        yield picture


def color_folder(path, count, seed=0):
    """A folder of such pictures as PNG files; needs OpenCV."""
    import cv2
    path.mkdir()
    for index, picture in enumerate(color_frames(count, seed=seed)):
        cv2.imwrite(str(path / f'{index:03}.png'), picture)
    return path


def two_topic_bag(path, count):
    """A rosbag2 with the pictures of two cameras on /left (seed 1) and /right (seed 2); needs rosbags."""
    from rosbags import rosbag2
    from rosbags.typesys import Stores, get_typestore
    store = get_typestore(Stores.ROS2_JAZZY)
    kind = 'sensor_msgs/msg/Image'
    header = store.types['std_msgs/msg/Header'](store.types['builtin_interfaces/msg/Time'](0, 0), 'camera')
    with rosbag2.Writer(path, version=8, storage_plugin=rosbag2.StoragePlugin.MCAP) as writer:
        for topic, seed in (('/left', 1), ('/right', 2)):
            connection = writer.add_connection(topic, kind, typestore=store)
            for number, picture in enumerate(color_frames(count, seed=seed)):
                message = store.types[kind](
                    header, *picture.shape[:2], 'bgr8', 0, picture.strides[0], picture.reshape(-1))
                writer.write(connection, number + 1, store.serialize_cdr(message, kind))
    return path
