# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Networks that were exported in training mode are refused, because their results are random or wrong."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from support.tiny_models import FLOAT, save

from trt_perception.errors import ModelError
from trt_perception.model.onnx_file import read_onnx
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend

HALF, NONE, TRUE, FALSE = np.array(0.5, np.float32), np.array(0, np.float32), np.array(True), np.array(False)
STATISTICS = {name: np.full(3, value, np.float32) for name, value in (('s', 1), ('b', 0), ('m', 0), ('v', 1))}


def classifier(path, nodes, constants, opset=13):
    """A classifier over the tensor x that the nodes make of the images."""
    return save(
        path, [*nodes, helper.make_node('GlobalAveragePool', ['x'], ['means']),
               helper.make_node('Flatten', ['means'], ['logits'])],
        {'images': (FLOAT, [1, 3, 16, 16])}, {'logits': (FLOAT, [1, 3])}, constants, None, opset)


def dropout(*inputs, **attributes):
    return [helper.make_node('Dropout', ['images', *inputs], ['x'], **attributes)]


def normalisation(*outputs, **attributes):
    return [helper.make_node('BatchNormalization', ['images', 's', 'b', 'm', 'v'], ['x', *outputs], **attributes)]


TRAINING = {
    'both inputs': (dropout('r', 't'), {'r': HALF, 't': TRUE}, 13),
    'no ratio': (dropout('', 't'), {'t': TRUE}, 13),
    'a constant node': (
        [helper.make_node('Constant', [], ['t'], value=numpy_helper.from_array(TRUE)), *dropout('', 't')], {}, 13),
    'an identity': ([helper.make_node('Identity', ['shared'], ['t']), *dropout('', 't')], {'shared': TRUE}, 13),
    'batch normalisation': (normalisation('rm', 'rv', training_mode=1), STATISTICS, 15),
    'old batch normalisation': (normalisation('rm', 'rv', 'sm', 'sv'), STATISTICS, 9),
}
INFERENCE = {
    'false': (dropout('r', 't'), {'r': HALF, 't': FALSE}, 13),
    'no mode': (dropout('r'), {'r': HALF}, 13),
    'only the data': (dropout(), {}, 13),
    # It removes nothing.
    'ratio 0': (dropout('r', 't'), {'r': NONE, 't': TRUE}, 13),
    'an attribute': (dropout(ratio=0.5), {}, 7),
    'batch normalisation': (normalisation(), STATISTICS, 15),
    'mode 0': (normalisation(training_mode=0), STATISTICS, 15),
    'old batch normalisation': (normalisation(), STATISTICS, 9),
}


def answers(path):
    pytest.importorskip('onnxruntime')
    images = np.random.default_rng(0).random((1, 3, 16, 16), np.float32)
    with OnnxRuntimeBackend(path, 1) as backend:
        return images.mean(axis=(2, 3)), [backend.infer('images', images)['logits'] for _ in range(2)]


@pytest.mark.parametrize('kind', TRAINING)
def test_training_mode_is_refused(tmp_path, kind):
    nodes, constants, opset = TRAINING[kind]
    path = classifier(tmp_path / 'm.onnx', nodes, constants, opset)
    with pytest.raises(ModelError) as error:
        load_model(path)
    text = str(error.value)
    assert text.startswith('m.onnx was exported in training mode: node with output x is a ')
    assert 'call model.eval() and export it again' in text
    # ONNX Runtime runs it: the results are wrong, or differ from run to run.
    right, (first, second) = answers(path)
    assert np.abs(first - right).max() > 1e-3 or np.abs(first - second).max() > 1e-3


@pytest.mark.parametrize('kind', INFERENCE)
def test_inference_mode_is_accepted(tmp_path, kind):
    nodes, constants, opset = INFERENCE[kind]
    path = classifier(tmp_path / 'm.onnx', nodes, constants, opset)
    assert load_model(path).task == 'classification'
    right, results = answers(path)
    for result in results:
        np.testing.assert_allclose(result, right, atol=1e-4)


def test_the_node_is_named_and_found_inside_a_branch(tmp_path):
    node = helper.make_node('Dropout', ['images', '', 't'], ['x'], name='block.3/drop')
    branches = {
        key: helper.make_graph([node], key, [], [helper.make_tensor_value_info('x', FLOAT, None)])
        for key in ('then_branch', 'else_branch')}
    path = classifier(
        tmp_path / 'm.onnx', [helper.make_node('If', ['t'], ['x'], **branches)], {'t': TRUE})
    with pytest.raises(ModelError, match=r'node block\.3/drop is a Dropout in training mode'):
        read_onnx(path)


def test_the_mode_in_external_data(tmp_path):
    for mode in (TRUE, FALSE):
        path = classifier(tmp_path / 'm.onnx', dropout('r', 't'), {'r': HALF, 't': mode})
        onnx.save(onnx.load(str(path)), str(path), save_as_external_data=True, location='m.bin', size_threshold=0)
        assert (tmp_path / 'm.bin').stat().st_size > 0
        if mode is TRUE:
            with pytest.raises(ModelError, match='in training mode'):
                read_onnx(path)
        else:
            assert read_onnx(path).input_name == 'images'
        (tmp_path / 'm.bin').unlink()


def test_other_operators_of_the_same_name_are_not_judged(tmp_path):
    path = classifier(tmp_path / 'm.onnx', dropout('r'), {'r': HALF})
    model = onnx.load(str(path))
    model.graph.node[0].domain = 'my.ops'
    model.graph.node[0].input.append('t')
    model.graph.initializer.append(numpy_helper.from_array(TRUE, 't'))
    model.opset_import.append(helper.make_opsetid('my.ops', 1))
    onnx.save(model, str(path))
    assert read_onnx(path).input_name == 'images'
