# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares multiply-adds with counts made by hand."""

import numpy as np
import onnx
import pytest
from onnx import helper
from support.tiny_models import FLOAT, color_detector, dynamic_detector, save

from trt_perception.model.onnx_file import load_proto
from trt_perception.model.operations import multiply_accumulates
from trt_perception.model.spec import ModelOptions, load_model


def count(path, options=None):
    return multiply_accumulates(load_proto(path), load_model(path, options))


def network(path, nodes, constants, classes=10, side=8):
    """Any nodes from `images` to `features`, then the mean of each map."""
    nodes = [*nodes, helper.make_node('GlobalAveragePool', ['features'], ['means']),
             helper.make_node('Flatten', ['means'], ['out'])]
    return save(path, nodes, {'images': (FLOAT, [1, 3, side, side])}, {'out': (FLOAT, [1, classes])}, constants)


def weights(*shape):
    return np.zeros(shape, np.float32)


def test_convolution(tmp_path):
    path = network(
        tmp_path / 'm.onnx',
        [helper.make_node('Conv', ['images', 'w'], ['features'], kernel_shape=[3, 3], strides=[2, 2],
                          pads=[1, 1, 1, 1])],
        {'w': weights(10, 3, 3, 3)})
    # 4x4 outputs with 10 channels, each from 3 channels x 3x3
    assert count(path) == 4 * 4 * 10 * 27


def test_grouped_convolution(tmp_path):
    path = network(
        tmp_path / 'm.onnx',
        [helper.make_node('Conv', ['images', 'w'], ['features'], group=3)], {'w': weights(9, 1, 5, 3)}, 9)
    # 4x6 outputs (8 - 5 + 1, 8 - 3 + 1) with 9 channels, each from 1 channel x 5x3
    assert count(path) == 4 * 6 * 9 * 15


def test_transposed_convolution(tmp_path):
    path = network(
        tmp_path / 'm.onnx',
        [helper.make_node('ConvTranspose', ['images', 'w'], ['features'], strides=[2, 2])],
        {'w': weights(3, 10, 2, 2)})
    # Each of the 8x8x3 inputs goes into 10 channels x 2x2
    assert count(path) == 8 * 8 * 3 * 40


@pytest.mark.parametrize('transposed', [0, 1])
def test_gemm(tmp_path, transposed):
    shape = (5, 192) if transposed else (192, 5)
    path = save(
        tmp_path / 'm.onnx',
        [helper.make_node('Flatten', ['images'], ['flat']),
         helper.make_node('Gemm', ['flat', 'w'], ['out'], transB=transposed)],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'out': (FLOAT, [1, 5])}, {'w': weights(*shape)})
    assert count(path) == 192 * 5


def test_gemm_with_its_first_matrix_transposed(tmp_path):
    path = save(
        tmp_path / 'm.onnx',
        [helper.make_node('Reshape', ['images', 'shape'], ['column']),
         helper.make_node('Gemm', ['column', 'w'], ['out'], transA=1)],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'out': (FLOAT, [1, 5])},
        {'w': weights(192, 5), 'shape': np.array([192, 1], np.int64)})
    assert count(path) == 192 * 5


def test_matrix_product_of_stacks(tmp_path):
    path = network(
        tmp_path / 'm.onnx', [helper.make_node('MatMul', ['images', 'w'], ['features'])], {'w': weights(8, 6)}, 3)
    # 3 x 8x6 dot products of length 8
    assert count(path) == 3 * 8 * 6 * 8


def test_weights_of_constant_nodes_and_sums_over_nodes(tmp_path):
    constant = helper.make_node(
        'Constant', [], ['w'], value=onnx.numpy_helper.from_array(weights(4, 3, 1, 1)))
    path = network(
        tmp_path / 'm.onnx',
        [constant, helper.make_node('Conv', ['images', 'w'], ['four']),
         helper.make_node('Conv', ['four', 'v'], ['features'])], {'v': weights(10, 4, 1, 1)})
    assert count(path) == 64 * 4 * 3 + 64 * 10 * 4


def test_constants_that_pytorch_shares_are_followed(tmp_path):
    """PyTorch writes equal constants once and the others as Identity, like the scales of YOLOv5's two Resize nodes."""
    path = network(
        tmp_path / 'm.onnx',
        [helper.make_node('Identity', ['scales'], ['again']), helper.make_node('Identity', ['w'], ['w_again']),
         helper.make_node('Resize', ['images', '', 'scales'], ['larger'], mode='nearest'),
         helper.make_node('Conv', ['larger', 'w'], ['c'], kernel_shape=[1, 1]),
         helper.make_node('Resize', ['c', '', 'again'], ['largest'], mode='nearest'),
         helper.make_node('Conv', ['largest', 'w_again'], ['features'], kernel_shape=[1, 1])],
        {'w': weights(3, 3, 1, 1), 'scales': np.array([1, 1, 2, 2], np.float32)}, classes=3)
    assert count(path) == 16 * 16 * 3 * 3 + 32 * 32 * 3 * 3


def test_dynamic_models_count_at_the_size_they_run_at(tmp_path):
    path = dynamic_detector(tmp_path / 'm.onnx')
    # 7 channels of 8x8x3 for each of 8x4 cells
    assert count(path, ModelOptions(input_size=(64, 32))) == 32 * 7 * 192


def test_nothing_to_multiply(tmp_path):
    assert count(color_detector(tmp_path / 'm.onnx')) == 0


def test_unknown_where_the_products_are_quantised(tmp_path):
    path = network(
        tmp_path / 'm.onnx',
        [helper.make_node('QuantizeLinear', ['images', 's', 'z'], ['q']),
         helper.make_node('QLinearConv', ['q', 's', 'z', 'w', 's', 'z', 's', 'z'], ['r']),
         helper.make_node('DequantizeLinear', ['r', 's', 'z'], ['features'])],
        {'s': np.array(0.1, np.float32), 'z': np.array(0, np.int8), 'w': np.zeros((10, 3, 1, 1), np.int8)})
    assert count(path) is None


def test_quantised_by_nodes_beside_counts_as_ever(tmp_path):
    path = network(
        tmp_path / 'm.onnx',
        [helper.make_node('QuantizeLinear', ['images', 's', 'z'], ['q']),
         helper.make_node('DequantizeLinear', ['q', 's', 'z'], ['x']),
         helper.make_node('DequantizeLinear', ['w', 's', 'z'], ['v']),
         helper.make_node('Conv', ['x', 'v'], ['features'])],
        {'s': np.array(0.1, np.float32), 'z': np.array(0, np.int8), 'w': np.zeros((10, 3, 1, 1), np.int8)})
    assert count(path) == 64 * 30
