# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Models that ONNX Runtime optimises in a child process."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

psutil = pytest.importorskip('psutil')
onnx = pytest.importorskip('onnx')
ort = pytest.importorskip('onnxruntime')

from support.tiny_models import color_detector

from trt_perception.errors import EngineError, ModelError
from trt_perception.monitor import Monitor
from trt_perception.ort import backend as backend_module
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.ort.optimized_model import holds_lock_while_loading, optimized_model


def workers():
    found = []
    for process in psutil.Process().children(recursive=True):
        # The process may be ending.
        with contextlib.suppress(psutil.NoSuchProcess):
            if 'trt_perception.ort.optimize_worker' in process.cmdline():
                found.append(process)
    return found


def folding(path, times):
    """Write a model whose constants take 30 ms each to fold."""
    make, square = onnx.helper.make_node, np.full((1024, 1024), 1 / 1024, np.float32)
    nodes = [make('MatMul', ['square' if i == 0 else f'p{i}', 'square'], [f'p{i + 1}']) for i in range(times)]
    nodes += [make('ReduceMean', [f'p{times}'], ['mean'], keepdims=0), make('Add', ['images', 'mean'], ['output0'])]
    sides = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 4]) for name in ('images', 'output0')]
    graph = onnx.helper.make_graph(
        nodes, 'folding', sides[:1], sides[1:], [onnx.numpy_helper.from_array(square, 'square')])
    onnx.save(onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid('', 13)], ir_version=8), path)
    return path


@pytest.fixture
def holding(monkeypatch):
    """The backend behaves as with a version that holds the GIL, whichever version is installed."""
    monkeypatch.setattr(backend_module, 'holds_lock_while_loading', lambda version: True)


@pytest.fixture
def loaded(monkeypatch):
    """Record what the backend passes to ONNX Runtime: (model, whether it optimises the model)."""
    calls, load_session = [], backend_module.load_session

    def load(model, options, name):
        calls.append((model, options.graph_optimization_level != ort.GraphOptimizationLevel.ORT_DISABLE_ALL))
        return load_session(model, options, name)

    monkeypatch.setattr(backend_module, 'load_session', load)
    return calls


@pytest.mark.parametrize('version, holds', [
    ('1.23.2', True), ('1.30.0', True), ('1.9', True), ('1.31.0', False), ('1.32.0.dev20261101', False),
    ('2.0.0', False), ('nightly', True)])
def test_versions_that_hold_the_lock(version, holds):
    assert holds_lock_while_loading(version) is holds


def test_constants_are_folded_in_the_other_process(tmp_path):
    path = folding(tmp_path / 'm.onnx', 3)
    with optimized_model(path, 1, Monitor()) as optimized:
        operators = [node.op_type for node in onnx.load(optimized).graph.node]
    assert operators == ['Add']
    assert 'MatMul' in [node.op_type for node in onnx.load(path).graph.node]


def test_the_answers_are_the_same(tmp_path, holding, loaded):
    path = color_detector(tmp_path / 'm.onnx', 64, 64)
    tensor = np.random.default_rng(0).uniform(0, 1, (1, 3, 64, 64)).astype(np.float32)
    with OnnxRuntimeBackend(path) as direct, OnnxRuntimeBackend(path, monitor=Monitor()) as other:
        (model, optimises), (optimised, again) = loaded
        assert (model, optimises, again) == (str(path), True, False) and optimised != model
        expected, found = direct.infer('images', tensor), other.infer('images', tensor)
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-6)


def test_external_data_is_found(tmp_path, holding, monkeypatch):
    """External weights beside the file, as from PyTorch's exporter; the path is not relative to the worker's folder."""
    model = onnx.load(folding(tmp_path / 'whole.onnx', 1))
    onnx.save(model, tmp_path / 'm.onnx', save_as_external_data=True, location='m.bin', size_threshold=0)
    monkeypatch.chdir(tmp_path)
    with optimized_model(Path('m.onnx'), 1, Monitor()) as optimized:
        assert [node.op_type for node in onnx.load(optimized).graph.node] == ['Add']
    with OnnxRuntimeBackend(Path('m.onnx'), monitor=Monitor()) as backend:
        found, = backend.infer('images', np.zeros((1, 4), np.float32)).values()
    np.testing.assert_allclose(found, 1 / 1024, rtol=1e-5)


def test_other_threads_run_while_a_model_loads(tmp_path, holding):
    done, ticks = threading.Event(), []

    def tick():
        while not done.wait(0.01):
            ticks.append(workers() != [])

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        OnnxRuntimeBackend(folding(tmp_path / 'm.onnx', 60), 1, Monitor()).open()
    finally:
        done.set()
        thread.join()
    assert sum(ticks) > 3


def test_cancelled_it_ends_and_leaves_nothing(tmp_path, holding):
    monitor = Monitor()
    descriptors = len(list(Path('/proc/self/fd').iterdir()))
    backend = OnnxRuntimeBackend(folding(tmp_path / 'm.onnx', 2000), 1, monitor)
    threading.Timer(1.0, monitor.cancel.set).start()
    with pytest.raises(EngineError, match=r'loading m\.onnx was cancelled'):
        backend.open()
    assert workers() == []
    assert len(list(Path('/proc/self/fd').iterdir())) == descriptors


def test_a_refused_model_gives_the_same_error(tmp_path, holding):
    path = tmp_path / 'm.onnx'
    path.write_bytes(color_detector(tmp_path / 'whole.onnx', 64, 64).read_bytes()[:200])
    with optimized_model(path, 1, Monitor()) as optimized:
        assert optimized is None
    messages = []
    for monitor in (None, Monitor()):
        with pytest.raises(ModelError) as error:
            OnnxRuntimeBackend(path, 1, monitor).open()
        messages.append(str(error.value))
    assert messages[0] == messages[1]


def test_what_cannot_be_read_back_is_loaded_itself(tmp_path, holding, monkeypatch, loaded):
    class Broken:
        def __init__(self, *_):
            self.path = tmp_path / 'broken.onnx'

        def __enter__(self):
            self.path.write_bytes(b'nothing')
            return str(self.path)

        def __exit__(self, *_):
            pass

    monkeypatch.setattr(backend_module, 'optimized_model', Broken)
    with OnnxRuntimeBackend(folding(tmp_path / 'm.onnx', 1), 1, Monitor()) as backend:
        found, = backend.infer('images', np.zeros((1, 4), np.float32)).values()
    np.testing.assert_allclose(found, 1 / 1024, rtol=1e-5)
    assert loaded == [(str(tmp_path / 'broken.onnx'), False), (str(tmp_path / 'm.onnx'), True)]


@pytest.mark.parametrize('which, message', [
    (signal.SIGKILL, 'ended by SIGKILL while it loaded .*m.onnx: memory ran out; close other programs'),
    (signal.SIGSEGV, 'ended by SIGSEGV while it loaded .*m.onnx: it crashed; export the model again')])
def test_a_crash_is_one_clear_error(tmp_path, holding, which, message):
    def crash():
        while not workers():
            time.sleep(0.01)
        workers()[0].send_signal(which)

    thread = threading.Thread(target=crash)
    thread.start()
    with pytest.raises(ModelError, match=message):
        OnnxRuntimeBackend(folding(tmp_path / 'm.onnx', 2000), 1, Monitor()).open()
    thread.join()


def test_the_worker_dies_with_its_parent(tmp_path):
    script = tmp_path / 'parent.py'
    script.write_text(
        'import sys\n'
        'from pathlib import Path\n'
        'from trt_perception.monitor import Monitor\n'
        'from trt_perception.ort.optimized_model import optimized_model\n'
        'with optimized_model(Path(sys.argv[1]), 1, Monitor()):\n'
        '    pass\n')
    environment = {**os.environ, 'PYTHONPATH': str(Path(backend_module.__file__).parents[2])}
    with subprocess.Popen(
            [sys.executable, str(script), str(folding(tmp_path / 'm.onnx', 2000))], env=environment) as parent:
        while not workers():
            time.sleep(0.01)
        worker, = workers()
        parent.kill()
    gone, _ = psutil.wait_procs([worker], timeout=300)
    assert [process.pid for process in gone] == [worker.pid]
