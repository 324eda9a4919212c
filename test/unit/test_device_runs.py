# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The device pipeline with several runs at the same time: a stream, an execution context and memory for each.

The kernels run on the host, with stand-ins for the GPU's memory and for TensorRT. test/gpu has the real ones.
"""

import threading

import numpy as np
import pytest
from support.device_stand_ins import Session, TensorRt, use_stand_ins
from support.host_kernels import compile_kernels
from support.tiny_models import color_detector

from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.backends.tensorrt.run.runtime import Engine
from trt_perception.errors import EngineError
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.tensorrt_options import RunOptions

SOON = 60.0  # seconds to wait for events that come at once


@pytest.fixture(scope='module')
def library(tmp_path_factory):
    return compile_kernels(tmp_path_factory.mktemp('kernels'))


@pytest.fixture
def spec(tmp_path):
    return load_model(color_detector(tmp_path / 'model.onnx'))


@pytest.fixture
def tensorrt(spec, library, monkeypatch):
    use_stand_ins(monkeypatch, library)
    return TensorRt(spec)


def opened(spec, tensorrt, runs, log=None):
    pipeline = DevicePipeline(
        spec, lambda: b'plan', tensorrt, RunOptions(cuda_graph=False, concurrent_runs=runs), log=log)
    pipeline.open()
    return pipeline


def frame(number, size=(64, 64)):
    pixels = np.zeros((*size[::-1], 3), np.uint8)
    left, top = 8 * (number % 6), 8 * (number % 5)
    pixels[top:top + 8, left:left + 8, number % 3] = 255
    return Frame.from_bgr(pixels)


def test_two_threads_run_at_the_same_time(spec, tensorrt):
    pipeline = opened(spec, tensorrt, 2)
    assert (pipeline.concurrent_runs, len(Session.made), tensorrt.contexts) == (2, 2, 2)
    assert pipeline.describe()['concurrent_inferences'] == '2'
    # The copy engine brings a frame while the GPU runs the other network.
    assert pipeline.describe()['zero_copy'] == 'off'
    # Neither network goes on before the other has begun.
    both = threading.Barrier(2)
    tensorrt.in_work = lambda: both.wait(SOON)
    found = {}

    def run(first):
        for number in range(first, 20, 2):
            # Of two sizes, so that each run prepares its own memory again and again.
            found[number] = pipeline.run(frame(number, (64, 64) if number % 4 < 2 else (96, 80))).result

    threads = [threading.Thread(target=run, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    tensorrt.in_work = lambda: None
    with HostPipeline(spec, OnnxRuntimeBackend(spec.path, 1)) as reference:
        for number in range(20):
            size = (64, 64) if number % 4 < 2 else (96, 80)
            expected = reference.run(frame(number, size)).result
            assert len(expected) >= 1
            np.testing.assert_allclose(found[number].boxes, expected.boxes, atol=1e-3)
            np.testing.assert_allclose(found[number].scores, expected.scores, atol=1e-5)
            assert found[number].class_indices.tolist() == expected.class_indices.tolist()
    pipeline.close()
    with pytest.raises(EngineError, match='not open'):
        pipeline.run(frame(0))


def test_the_second_context_is_freed_before_the_engine(spec, tensorrt):
    opened(spec, tensorrt, 2).close()
    assert Session.freed.index((1, 'Engine')) < Session.freed.index((0, 'Engine'))
    assert {number for number, _ in Session.freed} == {0, 1}


def test_by_default_there_is_one_of_each(spec, tensorrt):
    pipeline = opened(spec, tensorrt, 1)
    assert (pipeline.concurrent_runs, len(Session.made), tensorrt.contexts) == (1, 1, 1)
    assert 'concurrent_inferences' not in pipeline.describe()
    assert (pipeline.frames_of_camera, pipeline.describe()['zero_copy']) == (1, 'on')
    pipeline.close()


def test_too_little_memory_for_another_run_is_a_warning(spec, tensorrt):
    said = []
    tensorrt.most_contexts = 2
    pipeline = opened(spec, tensorrt, 4, log=lambda severity, text: said.append(text))
    assert pipeline.concurrent_runs == 2
    assert any('fewer frames run at the same time on the GPU: the engine cannot run' in text for text in said)
    assert len(pipeline.run(frame(0)).result) == 1
    pipeline.close()
    assert {number for number, _ in Session.freed} >= {0, 1}


def test_an_error_gives_the_run_back(spec, tensorrt):
    pipeline = opened(spec, tensorrt, 2)

    def fail():
        raise EngineError('no')

    tensorrt.in_work = fail
    # More often than there are runs.
    for _ in range(3):
        with pytest.raises(EngineError, match=r'^no$'):
            pipeline.run(frame(0))
    tensorrt.in_work = lambda: None
    assert len(pipeline.run(frame(0)).result) == 1
    pipeline.close()


def test_another_context_shares_the_engine(spec, tensorrt):
    session = Session(0)
    first = Engine(session, tensorrt, b'plan', spec)
    second = first.another(Session(0))
    assert second._engine is first._engine and second._context is not first._context
    assert second.input.address != first.input.address
