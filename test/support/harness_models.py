# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Small real ONNX models that compute their output from the pixels, so tests know the expected result."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

COLORS = ('red', 'green', 'blue')
SIZE = 640


def _save(
    path: Path, nodes: list, constants: dict[str, np.ndarray], output: tuple[str, list[int]],
    metadata: dict[str, str], size: int = SIZE,
) -> Path:
    graph = helper.make_graph(
        nodes, path.stem,
        [helper.make_tensor_value_info('images', TensorProto.FLOAT, [1, 3, size, size])],
        [helper.make_tensor_value_info(output[0], TensorProto.FLOAT, output[1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def _names(names: tuple[str, ...]) -> dict[str, str]:
    return {'names': json.dumps({str(index): name for index, name in enumerate(names)})} if names else {}


def color_detector(
    path: Path, busy: int = 0, fragile: bool = False, slow_load: int = 0, growth: float = 1.0,
    names: tuple[str, ...] = COLORS, endless: str = '', score_threshold: float | None = None,
) -> Path:
    """Write a detector in YOLOv5's layout, [1, 16, 8]: a box around all red, all green, all blue pixels.

    The other 13 rows are empty, with objectness 0, like most rows of a real detector.

    The value of a colour at a pixel is the excess of its channel over the other two. The objectness is the largest
    value in the image. The box contains the rows and columns whose largest value is at least half of the objectness.

    busy: multiplications of 512x512 matrices in each inference (about 5 ms each on one core)
    fragile: fails at run time if the mean of the input is 0.5 or more (a white image)
    growth: factor for the width and height of the boxes, around the centres of the coloured rectangles
    endless: 'white' for an inference that takes days if the mean of the input is 0.5 or more; 'always' for every image,
        so the model never finishes loading either
    slow_load: multiplications of 1024x1024 constants that ONNX Runtime folds while it loads (30 ms each)
    score_threshold: in the metadata of the file, None for a file without
    """
    constants = {
        'next': np.array([1, 2, 0], np.int64), 'last': np.array([2, 0, 1], np.int64),
        'half': np.array(0.5, np.float32), 'zero': np.array(0.0, np.float32),
        'growth': np.array(growth, np.float32),
        'beyond': np.array(SIZE, np.float32), 'classes': np.eye(3, dtype=np.float32)[None],
        'low': np.arange(SIZE, dtype=np.float32), 'high': np.arange(1, SIZE + 1, dtype=np.float32)}
    make = helper.make_node
    nodes = [
        make('Gather', ['images', 'next'], ['second'], axis=1),
        make('Gather', ['images', 'last'], ['third'], axis=1),
        make('Max', ['second', 'third'], ['others']),
        make('Sub', ['images', 'others'], ['signed']),
        make('Relu', ['signed'], ['value']),
        make('ReduceMax', ['value'], ['objectness_'], axes=[2, 3], keepdims=0),
        make('Reshape', ['objectness_', 'column'], ['objectness']),
        make('Mul', ['objectness', 'half'], ['limit'])]
    constants['column'] = np.array([1, 3, 1], np.int64)
    for axis, reduced in (('x', 2), ('y', 3)):
        nodes += [
            make('ReduceMax', ['value'], [f'profile_{axis}'], axes=[reduced], keepdims=0),
            make('Greater', [f'profile_{axis}', 'limit'], [f'inside_{axis}']),
            make('Where', [f'inside_{axis}', 'low', 'beyond'], [f'lows_{axis}']),
            make('Where', [f'inside_{axis}', 'high', 'zero'], [f'highs_{axis}']),
            make('ReduceMin', [f'lows_{axis}'], [f'min_{axis}'], axes=[2], keepdims=1),
            make('ReduceMax', [f'highs_{axis}'], [f'max_{axis}'], axes=[2], keepdims=1),
            make('Add', [f'min_{axis}', f'max_{axis}'], [f'sum_{axis}']),
            make('Mul', [f'sum_{axis}', 'half'], [f'center_{axis}']),
            make('Sub', [f'max_{axis}', f'min_{axis}'], [f'tight_{axis}']),
            make('Mul', [f'tight_{axis}', 'growth'], [f'size_{axis}'])]
    score = 'objectness'
    if busy:
        score = _busy(nodes, constants, score, busy)
    if fragile:
        score = _fragile(nodes, constants, score)
    if endless:
        score = _endless(nodes, constants, score, endless)
    if slow_load:
        score = _slow_load(nodes, constants, score, slow_load)
    nodes.append(make(
        'Concat', ['center_x', 'center_y', 'size_x', 'size_y', score, 'classes'], ['colors'], axis=2))
    constants['empty'] = np.zeros((1, 13, 8), np.float32)
    nodes.append(make('Concat', ['colors', 'empty'], ['output0'], axis=1))
    own = {} if score_threshold is None else {'score_threshold': str(score_threshold)}
    return _save(path, nodes, constants, ('output0', [1, 16, 8]), {**_names(names), **own})


def _busy(nodes: list, constants: dict, score: str, times: int) -> str:
    make = helper.make_node
    constants.update({
        'start': np.array([0, 0], np.int64), 'end': np.array([512, 512], np.int64),
        'plane_axes': np.array([2, 3], np.int64), 'identity': np.eye(512, dtype=np.float32),
        'tiny': np.array(1e-12, np.float32)})
    nodes.append(make('Slice', ['images', 'start', 'end', 'plane_axes'], ['busy_0']))
    for index in range(times):
        nodes.append(make('MatMul', [f'busy_{index}', 'identity'], [f'busy_{index + 1}']))
    nodes += [
        make('ReduceMean', [f'busy_{times}'], ['busy_mean'], keepdims=0),
        make('Mul', ['busy_mean', 'tiny'], ['busy_rest']),
        make('Add', [score, 'busy_rest'], ['busy_score'])]
    return 'busy_score'


def _fragile(nodes: list, constants: dict, score: str) -> str:
    make = helper.make_node
    constants.update({'two': np.array(2.0, np.float32), 'one_row': np.zeros(1, np.float32)})
    nodes += [
        make('ReduceMean', ['images'], ['mean'], keepdims=0),
        make('Mul', ['mean', 'two'], ['doubled']),
        make('Cast', ['doubled'], ['index'], to=TensorProto.INT64),
        # One row only: index 1 is out of bounds.
        make('Gather', ['one_row', 'index'], ['picked'], axis=0),
        make('Add', [score, 'picked'], ['fragile_score'])]
    return 'fragile_score'


def _endless(nodes: list, constants: dict, score: str, when: str) -> str:
    make = helper.make_node
    # White: the mean of the input is 1 and the count 2 * 10^11; grey (0.45): the count is 0.
    constants.update({
        'days': np.array(2 * 10**11, np.int64), 'double': np.array(2.0, np.float32), 'true': np.array(True),
        'least': np.array(1 if when == 'always' else 0, np.int64), 'kept': np.array(1.0, np.float32)})
    body = helper.make_graph(
        [make('Identity', ['go_on'], ['goes_on']), make('Mul', ['value_in', 'kept_inside'], ['value_out'])], 'body',
        [helper.make_tensor_value_info('number', TensorProto.INT64, []),
         helper.make_tensor_value_info('go_on', TensorProto.BOOL, []),
         helper.make_tensor_value_info('value_in', TensorProto.FLOAT, None)],
        [helper.make_tensor_value_info('goes_on', TensorProto.BOOL, []),
         helper.make_tensor_value_info('value_out', TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array(1.0, np.float32), 'kept_inside')])
    nodes += [
        make('ReduceMean', ['images'], ['brightness'], keepdims=0),
        make('Mul', ['brightness', 'double'], ['doubled_brightness']),
        make('Cast', ['doubled_brightness'], ['bright'], to=TensorProto.INT64),
        make('Max', ['bright', 'least'], ['rounds']),
        make('Mul', ['rounds', 'days'], ['trips']),
        make('Loop', ['trips', 'true', score], ['endless_score'], body=body)]
    return 'endless_score'


def _slow_load(nodes: list, constants: dict, score: str, times: int) -> str:
    make = helper.make_node
    constants['fold'] = np.eye(1024, dtype=np.float32)
    constants['nothing'] = np.array(0.0, np.float32)
    previous = 'fold'
    for index in range(times):
        nodes.append(make('MatMul', [previous, 'fold'], [f'fold_{index}']))
        previous = f'fold_{index}'
    nodes += [
        make('ReduceMean', [previous], ['fold_mean'], keepdims=0),
        make('Mul', ['fold_mean', 'nothing'], ['fold_rest']),
        make('Add', [score, 'fold_rest'], ['fold_score'])]
    return 'fold_score'


def color_classifier(path: Path, size: int = 64) -> Path:
    """Write a classifier: the logits of red, green and blue are ten times the means of the channels."""
    nodes = [
        helper.make_node('ReduceMean', ['images'], ['means'], axes=[2, 3], keepdims=0),
        helper.make_node('Mul', ['means', 'ten'], ['logits'])]
    metadata = {
        **_names(COLORS), 'task': 'classify',
        'trt_perception.preprocessing': json.dumps({
            'color_order': 'rgb', 'scale': 1 / 255, 'mean': [0, 0, 0], 'std': [1, 1, 1],
            'resize_mode': 'center_crop', 'crop_fraction': 1.0})}
    return _save(path, nodes, {'ten': np.array(10.0, np.float32)}, ('logits', [1, 3]), metadata, size)


def odd_outputs(path: Path) -> Path:
    """Write a model that is neither a detector nor a classifier: a map of the image's size."""
    nodes = [helper.make_node('Relu', ['images'], ['segmentation'])]
    return _save(path, nodes, {}, ('segmentation', [1, 3, 64, 64]), {}, 64)
