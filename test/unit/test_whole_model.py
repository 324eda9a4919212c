# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A model with external data: other programs may write to its files while it runs."""

import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
from onnx import TensorProto, helper, numpy_helper
from support.subprocesses import python_environment

from trt_perception.model import whole_model as module
from trt_perception.model.whole_model import whole_model

WEIGHTS = np.arange(1024 * 1024, dtype=np.float32).reshape(1024, 1024)
RUN = """
import os, sys
from pathlib import Path
import numpy as np
from trt_perception.model.whole_model import whole_model
from trt_perception.ort.backend import OnnxRuntimeBackend
path, data = map(Path, sys.argv[1:])
backend = OnnxRuntimeBackend(path, source=whole_model)
backend.open()
row = np.ones((1, 1024), np.float32)
before = backend.infer('x', row)['y'].copy()
with open(data, 'r+b') as file:
    file.write(bytes(1024))
assert np.array_equal(backend.infer('x', row)['y'], before), 'overwritten'
os.truncate(data, 0)
assert np.array_equal(backend.infer('x', row)['y'], before), 'cut'
print(before[0, 5])
"""


def added(folder, external):
    """Write a model that adds the weights to its input. ONNX Runtime does not repack such weights."""
    graph = helper.make_graph(
        [helper.make_node('Add', ['x', 'weights'], ['y'])], 'added',
        [helper.make_tensor_value_info('x', TensorProto.FLOAT, [1, 1024])],
        [helper.make_tensor_value_info('y', TensorProto.FLOAT, [1024, 1024])],
        [numpy_helper.from_array(WEIGHTS, 'weights')])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)
    path = folder / 'model.onnx'
    onnx.save(model, str(path), save_as_external_data=external, location='model.data', size_threshold=0)
    return path


def test_results_stay_if_the_data_is_overwritten_or_cut(tmp_path):
    """In a process of its own: with the files mapped into memory it ends with SIGBUS."""
    path = added(tmp_path, True)
    done = subprocess.run(
        [sys.executable, '-c', RUN, str(path), str(tmp_path / 'model.data')], capture_output=True, text=True,
        env=python_environment(), timeout=600, check=False)
    assert (done.returncode, done.stdout) == (0, '6.0\n'), done.stderr


def test_what_is_loaded(tmp_path, monkeypatch):
    path = added(tmp_path, True)
    proto = onnx.ModelProto.FromString(whole_model(path))
    assert np.array_equal(numpy_helper.to_array(proto.graph.initializer[0]), WEIGHTS)
    # protobuf has no larger messages.
    monkeypatch.setattr(module, '_MOST', WEIGHTS.nbytes)
    assert whole_model(path) == str(path)


def test_a_model_in_one_file_is_loaded_from_it(tmp_path):
    path = added(tmp_path, False)
    assert whole_model(path) == str(path)
