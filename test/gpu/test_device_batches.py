# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Batches on a real GPU: several frames in one run of the network give what each gives alone."""

import contextlib
import itertools
import random
import threading

import numpy as np
import pytest
from support.engines import Engines
from support.random_frames import random_frame

from trt_perception.backends.tensorrt.cuda.graph import CudaGraph
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.errors import EngineError, FrameError
from trt_perception.image.frame import Frame
from trt_perception.model.heads.yolo import DetectionSettings
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.tensorrt_options import RunOptions

MIB = 1 << 20
MOST = Engines.MOST
SIZES = ((640, 480), (1280, 720), (100, 80), (64, 64), (33, 21), (320, 320))
# Not mono8: with three equal channels the last bit decides the class.
ENCODINGS = ('bgr8', 'rgb8', 'bgra8', 'nv12', 'bayer_rggb8')
SETTINGS = PostprocessSettings(DetectionSettings(score_threshold=0.3))


class Unreadable(Frame):
    """A frame that fails when the host converts it."""

    def view(self):
        raise FrameError('no pixels')


def opened(model, tensorrt, most=MOST, runs=1, graph=True):
    pipeline = DevicePipeline(
        model.spec, model.load, tensorrt,
        RunOptions(max_batch=most, concurrent_runs=runs, cuda_graph=graph), SETTINGS)
    pipeline.open()
    return pipeline


@pytest.fixture
def pair(engines, tensorrt):
    """A function: the pipelines of a model with batches and without, on the same plan; closed after the test."""
    with contextlib.ExitStack() as stack:
        def make(name, **options):
            model = engines(name)
            both = opened(model, tensorrt, **options), opened(model, tensorrt, 1)
            for pipeline in both:
                stack.callback(pipeline.close)
            return both

        yield make


def assert_alike(found, expected):
    """Compare two results; return them in the same order."""
    assert len(found) == len(expected)
    if hasattr(expected, 'boxes'):
        # By place: nearly equal scores may change their order.
        found, expected = (each.chosen(np.lexsort(np.round(each.boxes[:, :2]).T)) for each in (found, expected))
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.05)
    assert found.class_indices.tolist() == expected.class_indices.tolist()
    np.testing.assert_allclose(found.scores, expected.scores, atol=2e-3)
    return found, expected


def assert_as_alone(batched, alone, frames, masks=False):
    outputs = batched.run_batch(frames, masks)
    assert len(outputs) == len(frames)
    count = 0
    for output, frame in zip(outputs, frames):
        expected = alone.run(frame, masks).result
        found, expected = assert_alike(output.result, expected)
        count += len(expected)
        if masks:
            for mask, other in zip(found.masks, expected.masks):
                assert mask.shape == other.shape and np.mean(mask != other) <= 0.01
    return count


@pytest.mark.parametrize('graph', [True, False])
@pytest.mark.parametrize('name', ['batched', 'batched_classifier'])
def test_every_number_of_frames_gives_what_each_gives_alone(pair, name, graph):
    batched, alone = pair(name, graph=graph)
    assert (batched.max_batch, alone.max_batch) == (MOST, 1)
    assert batched.batch_work.sizes == [1, 2, 3, 4, 6]
    found = 0
    for turn in range(4):
        for count in range(1, MOST + 1):
            frames = [random_frame('bgr8', *SIZES[(turn + count) % 2], seed=place) for place in range(count)]
            found += assert_as_alone(batched, alone, frames)
    assert found > 50
    assert batched.describe()['cuda_graph'] == ('on' if graph else 'off: cuda_graph is off')


def test_a_network_with_convolutions(pair):
    """Of its thousands of noisy boxes some are at a threshold, so only most of them must agree."""
    batched, alone = pair('batched_convolutions')
    for count in range(1, MOST + 1):
        frames = [random_frame('bgr8', 640, 480, seed=10 * count + place) for place in range(count)]
        for _ in range(3):
            for output, frame in zip(batched.run_batch(frames), frames):
                found, expected = output.result, alone.run(frame).result
                assert len(expected) > 10
                pairs = {tuple(np.round(box).astype(int)) for box in expected.boxes}
                same = sum(tuple(np.round(box).astype(int)) in pairs for box in found.boxes)
                assert same >= 0.95 * max(len(found), len(expected))


def test_masks(pair):
    batched, alone = pair('batched_masks')
    for count in (2, 6, 3, 2):
        frames = [random_frame('bgr8', *SIZES[place % 4], seed=place) for place in range(count)]
        for _ in range(3):
            assert_as_alone(batched, alone, frames, masks=True)


def test_cameras_of_different_sizes_and_encodings(pair):
    batched, alone = pair('batched')
    shuffle = random.Random(1)
    for number in range(60):
        frames = [
            random_frame(shuffle.choice(ENCODINGS), *shuffle.choice(SIZES[:4]), seed=number + place)
            for place in range(shuffle.randint(1, MOST))]
        assert_as_alone(batched, alone, frames)
    assert batched.describe()['cuda_graph'] == 'on'


def test_a_change_of_the_settings(pair):
    batched, alone = pair('batched')
    frames = [random_frame('bgr8', 640, 480, seed=place) for place in range(4)]
    counts = []
    for threshold in (0.3, 0.9, 0.3):
        batched.settings = alone.settings = PostprocessSettings(DetectionSettings(score_threshold=threshold))
        counts += [assert_as_alone(batched, alone, frames) for _ in range(3)]
    assert counts[0] == counts[-1] > counts[4]


def test_a_bad_frame_and_then_good_ones(pair):
    batched, alone = pair('batched')
    good = random_frame('bgr8', 640, 480)
    bad = Unreadable('bayer_rggb8', 64, 48, 64, False, good.data[:64 * 48])
    for _ in range(3):
        with pytest.raises(FrameError, match='no pixels'):
            batched.run_batch([good, bad])
        assert_as_alone(batched, alone, [good, random_frame('bgr8', 100, 80)])


def test_a_profile_that_ends_before_the_batch(engines, tensorrt):
    with pytest.raises(EngineError, match='build it with a batch profile up to 7'):
        opened(engines('batched'), tensorrt, MOST + 1)


def test_a_fixed_batch_takes_turns(engines, tensorrt):
    pipeline = opened(engines('yolov8'), tensorrt)
    try:
        assert pipeline.max_batch == 1 and pipeline.batch_work is None
        frames = [random_frame('bgr8', 640, 480, seed=place) for place in range(3)]
        for output, frame in zip(pipeline.run_batch(frames), frames):
            assert_alike(output.result, pipeline.run(frame).result)
    finally:
        pipeline.close()


def test_two_threads_each_run_batches(pair):
    batched, alone = pair('batched', runs=2)
    assert batched.concurrent_runs == 2
    found, errors = {}, []

    def run(first):
        try:
            for turn in range(40):
                numbers = [first + 2 * turn + place for place in range(1 + turn % MOST)]
                frames = [random_frame('bgr8', *SIZES[number % 3], seed=number) for number in numbers]
                found[first, turn] = frames, [output.result for output in batched.run_batch(frames)]
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(found) == 80
    for frames, results in found.values():
        for frame, result in zip(frames, results):
            assert_alike(result, alone.run(frame).result)
    assert batched.describe()['cuda_graph'] == 'on'


@pytest.mark.parametrize('runs', [1, 2])
def test_everything_is_given_back(engines, tensorrt, session, runs):
    model = engines('batched')
    numbers = itertools.count()

    def free_memory():
        with session.active('asking for memory'):
            return session.memory()[0]

    def cycle():
        pipeline = opened(model, tensorrt, runs=runs)
        for count in (1, MOST, 3, MOST):
            for _ in range(2):
                pipeline.run_batch([
                    random_frame('bgr8', *SIZES[next(numbers) % 4]) for place in range(count)])
        pipeline.close()

    for _ in range(3):
        cycle()
    before = free_memory()
    for _ in range(10):
        cycle()
    lost = before - free_memory()
    assert lost <= 2 * MIB, f'{lost / MIB:.1f} MiB lost'


def test_two_graphs_of_one_execution_context(engines, tensorrt, session):
    """BatchWork captures 5 and 6 frames from the same context."""
    pipeline = opened(engines('batched'), tensorrt)
    try:
        five = [random_frame('bgr8', 64, 48, seed=place) for place in range(5)]
        six = [random_frame('bgr8', 64, 48, seed=10 + place) for place in range(6)]
        first = [[output.result for output in pipeline.run_batch(frames)] for frames in (five, six)]
        for _ in range(5):
            for frames, expected in zip((five, six), first):
                for output, other in zip(pipeline.run_batch(frames), expected):
                    assert_alike(output.result, other)
        graphs = [graph for graph in pipeline.batch_work._graphs.values() if graph is not None]
        assert len(graphs) == 2 and all(isinstance(graph, CudaGraph) for each in graphs for graph in each)
    finally:
        pipeline.close()
