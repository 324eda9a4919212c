# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The box decoder in the graphs that the usual detectors export: which nodes, and which layers are the last learned."""

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
from onnx import TensorProto, helper, numpy_helper

from trt_perception.precision.decoder import decoder_of

FLOAT = TensorProto.FLOAT


def decoder(nodes, outputs=('out',), **constants):
    """The decoder of (operator, inputs, name of node and output, attributes); `w...` without a value are convolutions.

    A name of the form wCxD is a convolution's weights with C channels, from D.
    """
    made, weights = [], dict(constants)
    for kind, inputs, name, *attributes in nodes:
        outs = [name] if kind not in ('Split', 'TopK') else [name, f'{name}2']
        made.append(helper.make_node(kind, inputs.split(), outs, name, **dict(*attributes)))
        for word in inputs.split():
            if word[0] == 'w' and 'x' in word and word not in weights:
                cout, cin = map(int, word[1:].split('x'))
                weights[word] = np.random.default_rng(0).normal(size=(cout, cin, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        made, 'g', [helper.make_tensor_value_info('images', FLOAT, None)],
        [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()])
    found = decoder_of(graph)
    assert not found.nodes & found.last
    return set(found.nodes), set(found.last), set(found.written)


BACKBONE = [('Conv', 'images w16x3', 'stem'), ('Relu', 'stem', 'features')]
BINS = np.arange(16, dtype=np.float32)


@pytest.mark.parametrize('expectation, weights', [
    # Ultralytics: a convolution without bias. Its name and shape are those of the export.
    ([('Reshape', 'box s', 'r'), ('Transpose', 'r', 't'), ('Softmax', 't', 'p'), ('Conv', 'p bins', 'dfl')],
     BINS.reshape(1, 16, 1, 1)),
    # Opset 11: the softmax is on the last dimension, between two transpositions.
    ([('Reshape', 'box s', 'r'), ('Transpose', 'r', 't'), ('Softmax', 't', 'p'), ('Transpose', 'p', 'u'),
      ('Conv', 'u bins', 'dfl')], BINS.reshape(1, 16, 1, 1)),
    # NanoDet-Plus and PP-YOLOE: a product with the positions.
    ([('Reshape', 'box s', 'r'), ('Softmax', 'r', 'p'), ('MatMul', 'p bins', 'dfl')], BINS),
    ([('Reshape', 'box s', 'r'), ('Softmax', 'r', 'p'), ('Reshape', 'p s', 'q'), ('MatMul', 'q bins', 'dfl')],
     BINS.reshape(16, 1)),
    ([('Reshape', 'box s', 'r'), ('Softmax', 'r', 'p'), ('Gemm', 'p bins', 'dfl', {'transB': 1})], BINS.reshape(1, 16)),
    ([('Reshape', 'box s', 'r'), ('Softmax', 'r', 'p'), ('MatMul', 'bins p', 'dfl')], BINS.reshape(1, 16)),
    # D-FINE: the positions have unequal steps.
    ([('Reshape', 'box s', 'r'), ('Softmax', 'r', 'p'), ('MatMul', 'p bins', 'dfl')], np.sinh(BINS - 8)),
    # Some exporters write the softmax as its arithmetic.
    ([('Reshape', 'box s', 'r'), ('Exp', 'r', 'e'), ('ReduceSum', 'e', 'n'), ('Div', 'e n', 'p'),
      ('Conv', 'p bins', 'dfl')], BINS.reshape(1, 16, 1, 1)),
    # Positions in pixels, and from -0.5 on.
    ([('Exp', 'box', 'e'), ('ReduceSum', 'e', 'n'), ('Div', 'e n', 'p'), ('Conv', 'p bins', 'dfl')],
     (8 * (BINS - 0.5)).reshape(1, 16, 1, 1))])
def test_distributions_over_bins(expectation, weights):
    nodes, last, written = decoder([
        *BACKBONE, ('Conv', 'features w64x16', 'box'), ('Conv', 'features w80x16', 'cls'), *expectation,
        ('Sub', 'anchors dfl', 'low'), ('Mul', 'low strides', 'pixels'), ('Sigmoid', 'cls', 'scores'),
        ('Concat', 'pixels scores', 'out', {'axis': 1})],
        bins=weights, s=np.array([1, 4, 16, -1]), anchors=np.float32(3), strides=np.float32(8))
    assert (last, written) == ({'box', 'cls'}, {'dfl'})
    assert nodes == {*(name for _, _, name, *_ in expectation), 'low', 'pixels', 'scores', 'out'}


def test_a_distribution_behind_quantisers():
    """In an int8 file of an earlier version the expectation has Q/DQ on both inputs."""
    nodes, last, written = decoder([
        *BACKBONE, ('Conv', 'features w64x16', 'box'), ('Softmax', 'box', 'p'),
        ('QuantizeLinear', 'p one', 'q1'), ('DequantizeLinear', 'q1 one', 'd1'),
        ('QuantizeLinear', 'bins one', 'q2'), ('DequantizeLinear', 'q2 one', 'd2'), ('Conv', 'd1 d2', 'out')],
        bins=BINS.reshape(1, 16, 1, 1), one=np.float32(1))
    assert (last, written) == ({'box'}, {'out'})
    assert nodes == {'p', 'q1', 'd1', 'q2', 'd2', 'out'}


def test_layers_to_one_channel_are_learned():
    """A detector of one class, and YOLOX's objectness: nothing before them belongs to the decoder."""
    nodes, last, written = decoder([
        *BACKBONE, ('Conv', 'features w32x16', 'before_cls'), ('Relu', 'before_cls', 'r1'), ('Conv', 'r1 w1x32', 'cls'),
        ('Conv', 'features w32x16', 'before_obj'), ('Relu', 'before_obj', 'r2'), ('Conv', 'r2 w1x32', 'obj'),
        ('Conv', 'r2 w4x32', 'reg'), ('Sigmoid', 'cls', 's1'), ('Sigmoid', 'obj', 's2'),
        ('Concat', 'reg s2 s1', 'all', {'axis': 1}), ('Exp', 'all', 'out')])
    assert (last, written) == ({'cls', 'obj', 'reg'}, set())
    assert nodes == {'s1', 's2', 'all', 'out'}


@pytest.mark.parametrize('arithmetic', [
    # YOLOv5: 2s - 0.5 + cell, (2s)^2 anchor.
    [('Sigmoid', 't', 's'), ('Split', 's', 'xy'), ('Mul', 'xy two', 'a'), ('Add', 'a grid', 'b'),
     ('Pow', 'xy2 two', 'c'), ('Mul', 'c anchors', 'd'), ('Concat', 'b d', 'o', {'axis': 1})],
    # YOLOv3: sigmoid + cell, exp * anchor.
    [('Split', 't', 'xy'), ('Sigmoid', 'xy', 'a'), ('Add', 'a grid', 'b'), ('Exp', 'xy2', 'c'),
     ('Mul', 'c anchors', 'd'), ('Concat', 'b d', 'o', {'axis': 1})]])
def test_grids_and_anchors(arithmetic):
    nodes, last, written = decoder([
        *BACKBONE, ('Conv', 'features w255x16', 'last'), ('Reshape', 'last s', 'r'), ('Transpose', 'r', 't'),
        *arithmetic, ('Reshape', 'o s', 'out')],
        s=np.array([1, 3, -1]), two=np.float32(2), grid=np.ones((2, 2), np.float32), anchors=np.ones(2, np.float32))
    assert (last, written) == ({'last'}, set())
    assert nodes == {'r', 't', *(name for _, _, name, *_ in arithmetic), 'out'}


def test_nms_and_topk_inside_the_graph():
    """YOLOv7 multiplies the boxes by a 4x4 matrix before NMS; YOLOv10 and RT-DETR take the best by TopK."""
    nodes, last, written = decoder([
        *BACKBONE, ('Conv', 'features w255x16', 'last'), ('Sigmoid', 'last', 's'), ('Split', 's', 'boxes'),
        ('Mul', 'boxes anchors', 'pixels'), ('MatMul', 'pixels matrix', 'corners'),
        ('NonMaxSuppression', 'corners boxes2', 'chosen'), ('Gather', 'corners chosen', 'kept'),
        ('TopK', 'boxes2 k', 'best'), ('GatherElements', 'kept best2', 'out')],
        anchors=np.float32(3), k=np.array([300]), matrix=np.array(
            [[1, 0, 1, 0], [0, 1, 0, 1], [-0.5, 0, 0.5, 0], [0, -0.5, 0, 0.5]], np.float32))
    assert (last, written) == ({'last'}, {'corners'})
    assert nodes == {'s', 'boxes', 'pixels', 'corners', 'chosen', 'kept', 'best', 'out'}


def test_an_expectation_before_other_layers_is_found():
    """D-FINE refines its boxes from layer to layer of its transformer."""
    nodes, last, written = decoder([
        *BACKBONE, ('MatMul', 'features first', 'inner'), ('Softmax', 'inner', 'p'), ('MatMul', 'p bins', 'refined'),
        ('MatMul', 'refined up', 'position'), ('Relu', 'position', 'r'), ('MatMul', 'r second', 'outer'),
        ('Sigmoid', 'outer', 'out')],
        first=np.ones((16, 16), np.float32), bins=BINS, up=np.ones((4, 16), np.float32),
        second=np.ones((16, 4), np.float32))
    assert (nodes, last, written) == ({'out'}, {'outer'}, {'refined'})


def test_the_shape_of_a_feature_map_is_not_its_values():
    """Dynamic exports compute the grid from the size of a feature map."""
    nodes, last, written = decoder([
        *BACKBONE, ('Conv', 'features w16x16', 'neck'), ('Conv', 'neck w85x16', 'last'), ('Shape', 'neck', 'size'),
        ('ConstantOfShape', 'size', 'grid'), ('Add', 'last grid', 'out')])
    assert (nodes, last, written) == ({'out', 'grid', 'size'}, {'last'}, set())


def test_values_that_only_branches_read():
    """NMS in torchvision's export is an If, whose branches read the boxes from outside."""
    def branch(name, kind):
        return helper.make_graph(
            [helper.make_node(kind, ['pixels'], [name])], name, [], [helper.make_tensor_value_info(name, FLOAT, None)])

    nodes, last, _ = decoder([
        *BACKBONE, ('Conv', 'features w85x16', 'last'), ('Mul', 'last anchors', 'pixels'),
        ('If', 'any', 'out', {'then_branch': branch('a', 'Identity'), 'else_branch': branch('b', 'Neg')})],
        any=np.array(True), anchors=np.float32(3))
    assert (nodes, last) == ({'out', 'pixels'}, {'last'})


def test_a_product_of_two_results_is_no_fixed_arithmetic():
    """Masks are the product of coefficients and prototypes."""
    nodes, last, written = decoder([
        *BACKBONE, ('Conv', 'features w32x16', 'coefficients'), ('Conv', 'features w32x16', 'prototypes'),
        ('MatMul', 'coefficients prototypes', 'masks'), ('Sigmoid', 'masks', 'out')])
    assert (nodes, last, written) == ({'out'}, {'masks'}, set())
