# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Images that run together: as one batch, or in several threads, with the same results as one by one."""

import threading

import numpy as np
import onnx
import pytest
from onnx import helper
from support.tiny_models import (
    color_classifier,
    color_detector,
    dynamic_color_detector,
    fixed_output_detector,
)

from trt_perception.backends.create import create_pipeline
from trt_perception.errors import EngineError, FrameError
from trt_perception.image.frame import Frame
from trt_perception.model.spec import ModelOptions, load_model
from trt_perception.pipeline.options import PipelineOptions

NAMES = {'names': {0: 'red', 1: 'green', 2: 'blue'}, 'task': 'detect'}
SOON = 60.0  # seconds to wait for events that come at once


def frame(number, width=64, height=64):
    """A frame with one square of a colour, at a place that depends on the number."""
    pixels = np.zeros((height, width, 3), np.uint8)
    left, top = 8 * (number % 6), 8 * (number % 5)
    pixels[top:top + 8, left:left + 8, number % 3] = 255
    return Frame.from_bgr(pixels)


@pytest.fixture
def dynamic(tmp_path):
    path = dynamic_color_detector(tmp_path / 'dynamic.onnx', NAMES)
    return load_model(path, ModelOptions(input_size=(64, 64)))


def opened(spec, **options):
    pipeline = create_pipeline(spec, PipelineOptions(backend='onnxruntime', **options))
    pipeline.open()
    return pipeline


def same(first, second):
    return all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in ('boxes', 'scores', 'class_indices'))


def test_a_batch_gives_what_each_frame_gives_alone(dynamic):
    pipeline = opened(dynamic, max_batch=4)
    assert (pipeline.max_batch, pipeline.concurrent_runs) == (4, 1)
    assert pipeline.describe()['max_batch'] == '4'
    # Of several sizes, and more often than there are buffers.
    frames = [frame(0), frame(1, 128, 96), frame(2), frame(3, 32, 64)]
    for count in (1, 2, 3, 4, 2):
        together = pipeline.run_batch(frames[:count])
        alone = [pipeline.run(one) for one in frames[:count]]
        assert len(together) == count
        for first, second in zip(together, alone):
            assert len(first.result) >= 1
            assert same(first.result, second.result)
            assert set(first.timings_ms) == {'preprocess', 'infer', 'postprocess'}
    pipeline.close()
    with pytest.raises(EngineError, match='not open'):
        pipeline.run_batch(frames)


def test_classifiers_too(tmp_path):
    spec = load_model(color_classifier(tmp_path / 'model.onnx', ['h', 'w'], 'batch'), ModelOptions(input_size=(16, 16)))
    pipeline = opened(spec, max_batch=3)
    frames = [Frame.from_bgr(np.full((20, 20, 3), colour, np.uint8)) for colour in np.eye(3)[::-1] * 255]
    results = [output.result for output in pipeline.run_batch(frames)]
    assert [int(result.class_indices[0]) for result in results] == [0, 1, 2]
    pipeline.close()


def test_a_fixed_batch_takes_turns(tmp_path):
    pipeline = opened(load_model(color_detector(tmp_path / 'model.onnx')), max_batch=4)
    assert pipeline.max_batch == 1
    pipeline.close()


def mixed(path):
    """A detector that declares a dynamic batch, and takes the brightest pixels of all images of a batch."""
    model = onnx.load(dynamic_color_detector(path, NAMES))
    model.graph.node.insert(0, helper.make_node('ReduceMax', ['images'], ['most'], axes=[0], keepdims=1))
    model.graph.node.insert(1, helper.make_node('Max', ['images', 'most'], ['mixed']))
    for node in list(model.graph.node)[2:]:
        for index, name in enumerate(node.input):
            if name == 'images':
                node.input[index] = 'mixed'
    onnx.save(model, path)
    return path


def test_a_graph_that_mixes_its_images_is_refused(tmp_path):
    spec = load_model(mixed(tmp_path / 'mixed.onnx'), ModelOptions(input_size=(64, 64)))
    with pytest.raises(EngineError, match=r'two images together give another output .*: set max_batch to 1'):
        opened(spec, max_batch=2)
    opened(spec).close()


def test_an_output_without_the_batch_is_refused(tmp_path):
    """The batch of the input is dynamic, that of the output is fixed by a reshape."""
    path = fixed_output_detector(tmp_path / 'fixed.onnx')
    with pytest.raises(EngineError, match=r"2 images together give an output 'output0' of shape \[1, 7, 64\]"):
        opened(load_model(path), max_batch=2)


def test_a_bad_frame_of_a_batch_is_an_error_and_leaves_nothing_behind(dynamic):
    pipeline = opened(dynamic, max_batch=2)

    class Unreadable(Frame):
        def view(self):
            raise FrameError('no pixels')

    good = frame(0)
    bad = Unreadable(good.encoding, good.width, good.height, good.step, good.is_bigendian, good.data)
    # More often than there are buffers: each run gives its buffers back.
    for _ in range(3):
        with pytest.raises(FrameError, match='no pixels'):
            pipeline.run_batch([good, bad])
    assert len(pipeline.run_batch([good, good])) == 2
    pipeline.close()


def test_several_threads_run_at_the_same_time(tmp_path):
    spec = load_model(color_detector(tmp_path / 'model.onnx', 640, 640))
    pipeline = opened(spec, concurrent_runs=3, num_threads=6)
    assert (pipeline.concurrent_runs, pipeline.max_batch) == (3, 1)
    expected = [pipeline.run(frame(number, 640, 640)).result for number in range(30)]
    found = [None] * 30
    start = threading.Barrier(3)

    def run(first):
        start.wait(SOON)
        for number in range(first, 30, 3):
            found[number] = pipeline.run(frame(number, 640, 640)).result

    threads = [threading.Thread(target=run, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    assert all(same(first, second) for first, second in zip(expected, found))
    assert len(expected[0]) == 1
    pipeline.close()


@pytest.mark.parametrize('wanted, threads, found', [(1, 4, 1), (2, 4, 2), (8, 4, 4), (8, 1, 1)])
def test_there_are_not_more_runs_than_threads(tmp_path, wanted, threads, found):
    spec = load_model(color_detector(tmp_path / 'model.onnx'))
    pipeline = create_pipeline(
        spec, PipelineOptions(backend='onnxruntime', concurrent_runs=wanted, num_threads=threads))
    assert pipeline.concurrent_runs == found
