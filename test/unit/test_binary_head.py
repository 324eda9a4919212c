# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Classifiers with one number: the score of the second of two classes."""

import numpy as np
import pytest
from onnx import helper
from support.family_models import family_model
from support.tiny_models import FLOAT, save

from trt_perception.backends.create import create_pipeline
from trt_perception.errors import EngineError, LabelsError, ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.heads.binary import binary_head
from trt_perception.model.heads.classification import ClassificationSettings
from trt_perception.model.spec import ModelOptions, load_model
from trt_perception.pipeline.options import PipelineOptions

NAMES = {'names': ['cat', 'dog']}


def brightness(path, last, shape, metadata=None):
    """A model whose logit is 8 * mean - 4 of the image in 0..1, with the operator `last` after it ('' for none)."""
    nodes = [
        helper.make_node('GlobalAveragePool', ['images'], ['pooled']),
        helper.make_node('Flatten', ['pooled'], ['flat']),
        helper.make_node('Gemm', ['flat', 'weight', 'bias'], ['logit']),
        helper.make_node('Reshape', ['logit', 'shape'], ['shaped']),
        helper.make_node(last or 'Identity', ['shaped'], ['p'])]
    constants = {
        'weight': np.full((3, 1), 8 / 3, np.float32), 'bias': np.float32([-4]), 'shape': np.array(shape, np.int64)}
    preprocessing = '{"mean": [0, 0, 0], "std": [1, 1, 1]}'
    return save(
        path, nodes, {'images': (FLOAT, [1, 3, 32, 32])}, {'p': (FLOAT, list(shape))}, constants,
        {**(metadata or {}), 'trt_perception.preprocessing': preprocessing})


def result(path, grey, options=None):
    frame = Frame.from_bgr(np.full((32, 32, 3), grey, np.uint8))
    with create_pipeline(
            load_model(path, options), PipelineOptions('onnxruntime', num_threads=1)) as pipeline:
        return pipeline.run(frame).result, pipeline.spec


@pytest.mark.parametrize('last', ['Sigmoid', ''])
@pytest.mark.parametrize('shape', [(1, 1), (1,), (1, 1, 1, 1)])
def test_a_score_or_a_logit(tmp_path, last, shape):
    path = brightness(tmp_path / 'm.onnx', last, shape, NAMES)
    for grey, best in ((204, 1), (51, 0)):
        score = 1 / (1 + np.exp(-(8 * grey / 255 - 4)))
        found, spec = result(path, grey)
        assert found.class_indices.tolist() == [best, 1 - best]
        np.testing.assert_allclose(found.scores[found.class_indices == 1], [score], atol=1e-4)
        np.testing.assert_allclose(found.scores.sum(), 1.0, atol=1e-6)
    assert (spec.head.kind, spec.names) == ('binary', ('cat', 'dog'))


@pytest.mark.parametrize('value, score', [(0.9, 0.9), (3.0, 1 / (1 + np.exp(-3)))])
def test_the_values_decide_if_the_graph_does_not_show_it(tmp_path, value, score):
    found, _ = result(family_model(tmp_path / 'm.onnx', {'p': np.float32([[value]])}, metadata=NAMES), 90)
    np.testing.assert_allclose(found.scores, [score, 1 - score], atol=1e-5)


def test_the_user_may_say_that_it_is_a_class(tmp_path):
    path = family_model(tmp_path / 'm.onnx', {'p': np.float32([[0.9]])})
    with pytest.raises(ModelError, match=r'is only one number: .* set head to binary or labels_file to two names'):
        load_model(path)
    found, spec = result(path, 90, ModelOptions(head='binary'))
    assert found.class_indices.tolist() == [1, 0] and spec.names == ('0', '1')
    names = tmp_path / 'names.txt'
    names.write_text('empty\nfull\n')
    assert load_model(path, ModelOptions(labels=str(names))).names == ('empty', 'full')


def test_three_names_are_refused(tmp_path):
    path = family_model(tmp_path / 'm.onnx', {'p': np.float32([[0.9]])}, metadata={'names': ['a', 'b', 'c']})
    with pytest.raises(LabelsError, match=r'found 3 class names, but m\.onnx has 2 classes'):
        load_model(path, ModelOptions(head='binary'))


def test_a_number_that_is_not_finite_is_reported():
    with pytest.raises(EngineError, match="output 'p' holds values that are not finite"):
        binary_head('p', 'logit').decode(np.float32([[np.nan]]), ClassificationSettings())
