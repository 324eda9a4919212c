# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The device pipeline frees everything that it takes from the GPU."""

import threading

import numpy as np
import pytest
from support.random_frames import random_frame

from trt_perception.backends.tensorrt.cuda.runtime_api import CudaSession
from trt_perception.backends.tensorrt.run.backend import TensorRtBackend
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.errors import EngineError, FrameError
from trt_perception.image.frame import Frame
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.tensorrt_options import RunOptions

MIB = 1 << 20
SIZES = ((640, 480), (1280, 720), (100, 80), (1920, 1080), (33, 21), (3840, 2160))


@pytest.fixture
def session():
    """Keeps the primary context alive, so that tests do not measure the context itself."""
    session = CudaSession()
    yield session
    session.close()


def free_memory(session):
    with session.active('asking for memory'):
        return session.memory()[0]


def assert_given_back(session, work, cycles):
    # Modules that CUDA and TensorRT load once stay loaded.
    for _ in range(3):
        work()
    before = free_memory(session)
    for _ in range(cycles):
        work()
    lost = before - free_memory(session)
    assert lost <= 2 * MIB, f'{lost / MIB:.1f} MiB lost in {cycles} cycles'


def test_open_and_close_a_hundred_times(engines, tensorrt, session):
    model = engines('yolov8')
    frame = random_frame('bgr8', 1280, 720)

    def cycle():
        with DevicePipeline(model.spec, model.load, tensorrt) as pipeline:
            for _ in range(3):
                pipeline.run(frame)
            assert pipeline.describe()['cuda_graph'] == 'on'

    assert_given_back(session, cycle, 100)


def test_open_and_close_with_failures(engines, tensorrt, session):
    model = engines('yolov8')

    def cycle():
        pipeline = DevicePipeline(model.spec, lambda: b'no plan', tensorrt)
        with pytest.raises(EngineError):
            pipeline.open()
        pipeline = DevicePipeline(model.spec, model.load, tensorrt)
        pipeline.open()
        with pytest.raises(FrameError):
            pipeline.run(Frame.from_buffer('nonsense', 4, 4, 4, False, bytes(16)))
        pipeline.close()
        pipeline.close()

    assert_given_back(session, cycle, 20)


def test_host_pipeline_over_tensorrt(engines, tensorrt, session):
    model = engines('yolov8')
    frame = random_frame('bgr8', 1280, 720)

    def cycle():
        with HostPipeline(model.spec, TensorRtBackend(model.spec, model.load, tensorrt)) as pipeline:
            pipeline.run(frame)

    assert_given_back(session, cycle, 20)


def test_changing_resolutions(engines, tensorrt, session):
    model = engines('yolov8')
    frames = [
        random_frame(encoding, *size) for size in SIZES for encoding in ('bgr8', 'nv12', 'mono8', 'bayer_rggb8')]
    with DevicePipeline(model.spec, model.load, tensorrt) as pipeline:

        def cycle():
            for frame in frames:
                for _ in range(2):
                    pipeline.run(frame)
                assert pipeline.describe()['cuda_graph'] == 'on'

        assert_given_back(session, cycle, 5)


def test_one_pipeline_a_thread(engines, tensorrt):
    """Several pipelines at once, each owned by one thread, also while others capture."""
    model = engines('yolov8')
    frame = random_frame('bgr8', 640, 480)
    with DevicePipeline(model.spec, model.load, tensorrt) as pipeline:
        expected = pipeline.run(frame).result
    results, errors = [], []

    def work():
        try:
            for _ in range(3):
                with DevicePipeline(model.spec, model.load, tensorrt) as pipeline:
                    for size in SIZES[:4]:
                        for _ in range(3):
                            pipeline.run(random_frame('bgr8', *size))
                    for _ in range(5):
                        results.append(pipeline.run(frame).result)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(results) == 4 * 3 * 5
    for result in results:
        np.testing.assert_array_equal(result.boxes, expected.boxes)


def test_opened_in_one_thread_and_closed_in_another(engines, tensorrt, session):
    model = engines('yolov8')
    pipelines = []

    def open_one():
        pipeline = DevicePipeline(model.spec, model.load, tensorrt)
        pipeline.open()
        pipelines.append(pipeline)

    def cycle():
        thread = threading.Thread(target=open_one)
        thread.start()
        thread.join()
        pipelines.pop().close()

    assert_given_back(session, cycle, 5)


def test_use_before_open_and_after_close(engines, tensorrt):
    model = engines('yolov8')
    pipeline = DevicePipeline(model.spec, model.load, tensorrt)
    frame = random_frame('bgr8', 64, 48)
    for _ in range(2):
        with pytest.raises(EngineError, match='not open'):
            pipeline.run(frame)
        pipeline.open()
        pipeline.run(frame)
        pipeline.close()


def test_two_threads_with_a_stream_each_give_the_results_of_one(engines, tensorrt, session):
    """Two execution contexts on one engine, each with its own graph; and nothing of them stays."""
    model = engines('yolov8')
    frames = [random_frame('bgr8', *SIZES[number % 2]) for number in range(40)]
    with DevicePipeline(model.spec, model.load, tensorrt) as one:
        expected = [one.run(frame).result for frame in frames]

    def cycle():
        with DevicePipeline(model.spec, model.load, tensorrt, RunOptions(concurrent_runs=2)) as pipeline:
            assert pipeline.concurrent_runs == 2
            found = {}

            def run(first):
                for number in range(first, len(frames), 2):
                    found[number] = pipeline.run(frames[number]).result

            threads = [threading.Thread(target=run, args=(first,)) for first in range(2)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert pipeline.describe()['cuda_graph'] == 'on'
        for number, result in enumerate(expected):
            np.testing.assert_array_equal(found[number].boxes, result.boxes)
            np.testing.assert_array_equal(found[number].scores, result.scores)

    assert_given_back(session, cycle, 10)
