# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Real ONNX files of a few hundred bytes, for tests.

The colour detector divides its input into cells of 8x8 pixels, with one candidate box for each cell. The score of a
class is the mean of its channel over the cell. So a red square of cell size in an image is a detection of class 0 with
the box of that square.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CELL = 8
COLORS = ('red', 'green', 'blue')
FLOAT, FLOAT16, UINT8 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


def save(path, nodes, inputs, outputs, constants=None, metadata=None, opset=13):
    """Write a checked model.

    inputs, outputs: name -> (element type, shape); constants: name -> array
    """
    def values(described):
        return [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in described.items()]

    graph = helper.make_graph(
        nodes, 'tiny', values(inputs), values(outputs),
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', opset)], producer_name='tiny')
    model.ir_version = 8  # The oldest supported ONNX Runtime reads it.
    helper.set_model_props(model, {key: str(value) for key, value in (metadata or {}).items()})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def fixed_outputs(path, *arrays, input_shape=(1, 3, 64, 64), metadata=None):
    """A model with these constant outputs: output0, output1, ..."""
    arrays = [np.asarray(array, np.float32) for array in arrays]
    return save(
        path,
        [helper.make_node('Identity', [f'constant{i}'], [f'output{i}']) for i in range(len(arrays))],
        {'images': (FLOAT, list(input_shape))},
        {f'output{i}': (FLOAT, list(array.shape)) for i, array in enumerate(arrays)},
        {f'constant{i}': array for i, array in enumerate(arrays)}, metadata)


# Of the masks of three_prototypes.
COEFFICIENTS = (1.0, 0.5, -0.25)


def cells(width, height):
    """(4, N) float32 cx, cy, w, h of the cells, row by row."""
    y, x = np.mgrid[0:height // CELL, 0:width // CELL].reshape(2, -1)
    size = np.full(len(x), CELL)
    return np.stack([(x + 0.5) * CELL, (y + 0.5) * CELL, size, size]).astype(np.float32)


def color_detector(
        path, width=64, height=64, layout='nchw', dtype=FLOAT, head='yolov8', batch=1, metadata=None):
    """The colour detector in the layout of YOLOv8, of YOLOv8 transposed ('transposed') or of YOLOv5."""
    count = (width // CELL) * (height // CELL)
    nodes, image = _as_float_nchw(layout, dtype)
    nodes += [
        helper.make_node('AveragePool', [image], ['means'], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node('Reshape', ['means', 'scores_shape'], ['scores'])]
    constants = {'scores_shape': np.array([1, 3, -1], np.int64), 'scale': np.array(1 / 255, np.float32)}
    boxes = cells(width, height)
    if head == 'yolov5':
        boxes = np.concatenate([boxes, np.ones((1, count), np.float32)])
    constants['boxes'] = boxes[np.newaxis]
    nodes.append(helper.make_node('Concat', ['boxes', 'scores'], ['columns'], axis=1))
    shape = [1, len(boxes) + 3, count]
    if head == 'yolov8':
        nodes.append(helper.make_node('Identity', ['columns'], ['output0']))
    else:
        nodes.append(helper.make_node('Transpose', ['columns'], ['output0'], perm=[0, 2, 1]))
        shape = [1, count, len(boxes) + 3]
    size = [batch, 3, height, width] if layout == 'nchw' else [batch, height, width, 3]
    if metadata is None:
        metadata = {'names': dict(enumerate(COLORS)), 'task': 'detect'}
    return save(path, nodes, {'images': (dtype, size)}, {'output0': (FLOAT, shape)}, constants, metadata)


def three_prototypes(path, width=64, height=64, head='yolov8', metadata=None):
    """The colour detector with masks of three prototypes: each channel in a quarter of the input's size, less 0.1.

    Each candidate has the coefficients COEFFICIENTS. head: yolov8 or yolov5
    """
    count = (width // CELL) * (height // CELL)
    boxes, coefficients = cells(width, height), np.repeat(np.float32(COEFFICIENTS)[:, np.newaxis], count, axis=1)
    if head == 'yolov5':
        boxes = np.concatenate([boxes, np.ones((1, count), np.float32)])
    constants = {
        'scores_shape': np.array([1, 3, -1], np.int64), 'boxes': boxes[np.newaxis], 'limit': np.float32(0.1),
        'coefficients': coefficients[np.newaxis]}
    nodes = [
        helper.make_node('AveragePool', ['images'], ['means'], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node('Reshape', ['means', 'scores_shape'], ['scores']),
        helper.make_node('Concat', ['boxes', 'scores', 'coefficients'], ['columns'], axis=1),
        helper.make_node('Transpose', ['columns'], ['output0'], perm=[0, 2, 1]) if head == 'yolov5' else
        helper.make_node('Identity', ['columns'], ['output0']),
        helper.make_node('AveragePool', ['images'], ['small'], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node('Sub', ['small', 'limit'], ['output1'])]
    rows = len(boxes) + 6
    return save(
        path, nodes, {'images': (FLOAT, [1, 3, height, width])},
        {'output0': (FLOAT, [1, count, rows] if head == 'yolov5' else [1, rows, count]),
         'output1': (FLOAT, [1, 3, height // 4, width // 4])},
        constants, metadata or {'names': dict(enumerate(COLORS)), 'task': 'segment'})


def color_segmenter(path, width=64, height=64, metadata=None):
    """The colour detector with masks: the pixels of the box whose mean of the channels is above 0.1.

    Its only prototype is that mean in a quarter of the input's size, less 0.1; each candidate has the coefficient 1.
    """
    count = (width // CELL) * (height // CELL)
    nodes = [
        helper.make_node('AveragePool', ['images'], ['means'], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node('Reshape', ['means', 'scores_shape'], ['scores']),
        helper.make_node('Concat', ['boxes', 'scores', 'ones'], ['output0'], axis=1),
        helper.make_node('ReduceMean', ['images'], ['bright'], axes=[1]),
        helper.make_node('AveragePool', ['bright'], ['small'], kernel_shape=[4, 4], strides=[4, 4]),
        helper.make_node('Sub', ['small', 'limit'], ['output1'])]
    return save(
        path, nodes, {'images': (FLOAT, [1, 3, height, width])},
        {'output0': (FLOAT, [1, 8, count]), 'output1': (FLOAT, [1, 1, height // 4, width // 4])},
        {'scores_shape': np.array([1, 3, -1], np.int64), 'boxes': cells(width, height)[np.newaxis],
         'ones': np.ones((1, 1, count), np.float32), 'limit': np.float32(0.1)},
        metadata or {'names': dict(enumerate(COLORS)), 'task': 'segment'})


def batched_detector(path, width=64, height=64, masks=False, metadata=None):
    """The colour detector for any batch, in the layout of YOLOv8. masks: with those of color_segmenter."""
    count = (width // CELL) * (height // CELL)
    nodes = [
        helper.make_node('AveragePool', ['images'], ['means'], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node('Reshape', ['means', 'scores_shape'], ['scores']),
        # Only so the boxes, which are constants, have a row for each image.
        helper.make_node('ReduceSum', ['scores', 'classes'], ['sums'], keepdims=1),
        helper.make_node('Mul', ['sums', 'nothing'], ['zeros']),
        helper.make_node('Add', ['zeros', 'boxes'], ['all_boxes'])]
    constants = {
        'scores_shape': np.array([0, 3, -1], np.int64), 'classes': np.array([1], np.int64),
        'nothing': np.float32(0), 'boxes': cells(width, height)[np.newaxis]}
    outputs = {'output0': (FLOAT, ['batch', 7 + masks, count])}
    if masks:
        nodes += [
            helper.make_node('Add', ['zeros', 'one'], ['ones']),
            helper.make_node('Concat', ['all_boxes', 'scores', 'ones'], ['output0'], axis=1),
            helper.make_node('ReduceMean', ['images'], ['bright'], axes=[1]),
            helper.make_node('AveragePool', ['bright'], ['small'], kernel_shape=[4, 4], strides=[4, 4]),
            helper.make_node('Sub', ['small', 'limit'], ['output1'])]
        constants.update(one=np.float32(1), limit=np.float32(0.1))
        outputs['output1'] = (FLOAT, ['batch', 1, height // 4, width // 4])
    else:
        nodes.append(helper.make_node('Concat', ['all_boxes', 'scores'], ['output0'], axis=1))
    return save(
        path, nodes, {'images': (FLOAT, ['batch', 3, height, width])}, outputs, constants,
        metadata or {'names': dict(enumerate(COLORS)), 'task': 'segment' if masks else 'detect'})


def color_classifier(path, size=(16, 16), batch=1, metadata=None, opset=13):
    """Mean of each channel, times 10, as the logits [batch, 3]; `size` is height, width, numbers or names."""
    if metadata is None:
        metadata = {'names': dict(enumerate(COLORS))}
    return save(
        path,
        [helper.make_node('GlobalAveragePool', ['images'], ['means']),
         helper.make_node('Flatten', ['means'], ['flat']),
         helper.make_node('Mul', ['flat', 'ten'], ['logits'])],
        {'images': (FLOAT, [batch, 3, *size])}, {'logits': (FLOAT, [batch, 3])},
        {'ten': np.array(10, np.float32)}, metadata, opset)


def dynamic_detector(path, channels=7, metadata=None):
    """[batch, channels, cells] for any image size, by a convolution. The file does not say how many cells."""
    return save(
        path,
        [helper.make_node('Conv', ['images', 'weights'], ['maps'], strides=[CELL, CELL]),
         helper.make_node('Reshape', ['maps', 'shape'], ['output0'])],
        {'images': (FLOAT, ['batch', 3, 'height', 'width'])},
        {'output0': (FLOAT, ['batch', channels, 'anchors'])},
        {'weights': np.zeros((channels, 3, CELL, CELL), np.float32),
         'shape': np.array([0, channels, -1], np.int64)}, metadata)


def dynamic_color_detector(path, metadata=None):
    """The colour detector for any image size, in the layout of YOLOv8. The file does not say how many cells."""
    nodes = [
        helper.make_node('AveragePool', ['images'], ['means'], kernel_shape=[CELL, CELL], strides=[CELL, CELL]),
        helper.make_node('Slice', ['means', 'begin', 'end', 'end'], ['red']),
        helper.make_node('Mul', ['red', 'nothing'], ['zeros']),
        helper.make_node('Add', ['zeros', 'all'], ['ones'])]
    for name, axis in (('x', 'last'), ('y', 'rows')):
        nodes += [
            helper.make_node('CumSum', ['ones', axis], [f'{name}_index']),
            helper.make_node('Sub', [f'{name}_index', 'half'], [f'{name}_cell']),
            helper.make_node('Mul', [f'{name}_cell', 'size'], [name])]
    nodes += [
        helper.make_node('Mul', ['ones', 'size'], ['side']),
        helper.make_node('Concat', ['x', 'y', 'side', 'side', 'means'], ['maps'], axis=1),
        helper.make_node('Reshape', ['maps', 'shape'], ['output0'])]
    floats = {'nothing': 0, 'all': 1, 'half': 0.5, 'size': CELL}
    return save(
        path, nodes, {'images': (FLOAT, ['batch', 3, 'height', 'width'])},
        {'output0': (FLOAT, ['batch', 7, 'anchors'])},
        {'begin': np.array([0]), 'end': np.array([1]), 'last': np.array(3), 'rows': np.array(2),
         'shape': np.array([0, 7, -1], np.int64),
         **{name: np.array(value, np.float32) for name, value in floats.items()}}, metadata)


def _as_float_nchw(layout, dtype):
    nodes, last = [], 'images'
    if layout == 'nhwc':
        nodes.append(helper.make_node('Transpose', [last], ['channels_first'], perm=[0, 3, 1, 2]))
        last = 'channels_first'
    if dtype != FLOAT:
        nodes.append(helper.make_node('Cast', [last], ['as_float'], to=FLOAT))
        last = 'as_float'
    if dtype == UINT8:
        nodes.append(helper.make_node('Mul', [last, 'scale'], ['unit']))
        last = 'unit'
    return nodes, last


def fixed_output_detector(path):
    """A detector whose input has a dynamic batch, and whose output a batch of 1: it mixes its images."""
    return save(
        path,
        [helper.make_node('AveragePool', ['images'], ['means'], kernel_shape=[8, 8], strides=[8, 8]),
         helper.make_node('ReduceMean', ['means'], ['mean'], axes=[0], keepdims=1),
         helper.make_node('Reshape', ['mean', 'shape'], ['scores']),
         helper.make_node('Concat', ['boxes', 'scores'], ['output0'], axis=1)],
        {'images': (FLOAT, ['batch', 3, 64, 64])}, {'output0': (FLOAT, [1, 7, 64])},
        {'shape': np.array([1, 3, -1]), 'boxes': np.full((1, 4, 64), 8, np.float32)},
        {'names': dict(enumerate(COLORS)), 'task': 'detect'})
