# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Batches of the device pipeline, with the kernels compiled for the CPU and stand-ins for the GPU and TensorRT.

test/gpu/test_device_batches.py has the real ones.
"""

import itertools
import random
import threading

import numpy as np
import onnx
import pytest
from onnx import helper
from support.device_stand_ins import Driver, Session, TensorRt, use_stand_ins
from support.host_kernels import compile_kernels
from support.tiny_models import (
    COLORS,
    FLOAT,
    batched_detector,
    cells,
    color_classifier,
    color_detector,
    fixed_output_detector,
    save,
)

from trt_perception.backends.tensorrt.run.batch_sizes import batch_sizes
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.backends.tensorrt.run.frame_upload import FrameUpload
from trt_perception.errors import EngineError, FrameError
from trt_perception.image.frame import Frame
from trt_perception.model.heads.classification import ClassificationSettings
from trt_perception.model.heads.yolo import DetectionSettings
from trt_perception.model.spec import load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.tensorrt_options import RunOptions

SOON = 60.0  # seconds to wait for events that come at once


@pytest.fixture(scope='module')
def library(tmp_path_factory):
    return compile_kernels(tmp_path_factory.mktemp('kernels'))


@pytest.fixture(autouse=True)
def stand_ins(library, monkeypatch):
    use_stand_ins(monkeypatch, library)


@pytest.fixture
def spec(tmp_path):
    return load_model(batched_detector(tmp_path / 'model.onnx'))


def opened(spec, most, tensorrt=None, runs=1, graph=True, settings=None, log=None):
    pipeline = DevicePipeline(
        spec, lambda: b'plan', tensorrt or TensorRt(spec, most),
        RunOptions(cuda_graph=graph, concurrent_runs=runs, max_batch=most), settings, log=log)
    pipeline.open()
    return pipeline


def frame(number, size=(64, 64), encoding='bgr8'):
    """A frame with one bright square and a few darker ones, all different for each number."""
    pixels = np.zeros((*size[::-1], 3), np.uint8)
    for index, level in enumerate((255, 140, 90)):
        step = number + 3 * index
        left, top = 8 * (step % 6), 8 * (step % 5)
        pixels[top:top + 8, left:left + 8, step % 3] = level
    if encoding == 'bgr8':
        return Frame.from_bgr(pixels)
    if encoding == 'mono8':
        return Frame.from_pixels(encoding, pixels.max(axis=2))
    return Frame.from_pixels(encoding, np.ascontiguousarray(pixels[..., ::-1]))


def same(first, second):
    return all(
        np.array_equal(getattr(first, name), getattr(second, name)) for name in ('boxes', 'scores', 'class_indices'))


def assert_as_alone(pipeline, alone, frames, masks=False):
    """Compare each frame of a batch, bit for bit, with what a pipeline without batches gives."""
    outputs = pipeline.run_batch(frames, masks)
    assert len(outputs) == len(frames)
    for output, each in zip(outputs, frames):
        expected = alone.run(each, masks).result
        assert len(expected) >= 1
        assert same(output.result, expected)
        assert set(output.timings_ms) == {'preprocess', 'infer', 'postprocess'}
        if masks:
            assert [mask.tolist() for mask in output.result.masks] == [mask.tolist() for mask in expected.masks]


SIZES = ((64, 64), (96, 80), (40, 64), (128, 64), (33, 47), (64, 48))


@pytest.mark.parametrize('graph', [True, False])
@pytest.mark.parametrize('most', [2, 5, 8])
def test_every_number_of_frames_gives_what_each_gives_alone(spec, most, graph):
    tensorrt = TensorRt(spec, most)
    pipeline, alone = opened(spec, most, tensorrt, graph=graph), opened(spec, 1)
    assert (pipeline.max_batch, alone.max_batch) == (most, 1)
    described = pipeline.describe()
    assert described.pop('max_batch') == str(most)
    assert described == {**alone.describe(), 'cuda_graph': described['cuda_graph']}
    numbers = itertools.count()
    for _ in range(4):
        for count in range(1, most + 1):
            tensorrt.runs.clear()
            assert_as_alone(pipeline, alone, [frame(next(numbers)) for _ in range(count)])
            # One run of the network, of the smallest batch that is large enough.
            assert tensorrt.runs == [min(size for size in batch_sizes(most) if size >= count)]
    assert pipeline.describe()['cuda_graph'] == ('on' if graph else 'off: cuda_graph is off')
    session = pipeline.session
    # The first of the four runs of each number is without a graph.
    assert not graph or session.launched >= 3 * most
    pipeline.close()
    alone.close()
    assert (pipeline.batch_work, pipeline.frame_work) == (None, None)
    with pytest.raises(EngineError, match='not open'):
        pipeline.run_batch([frame(0), frame(1)])
    with pytest.raises(EngineError, match='not open'):
        pipeline.run(frame(0))


def test_the_results_are_those_of_the_host_pipeline(spec):
    pipeline = opened(spec, 4)
    with HostPipeline(spec, OnnxRuntimeBackend(spec.path, 1)) as reference:
        for start in range(0, 40, 4):
            frames = [frame(number, SIZES[number % 6]) for number in range(start, start + 4)]
            for output, each in zip(pipeline.run_batch(frames), frames):
                expected = reference.run(each).result
                assert len(expected) >= 1
                np.testing.assert_allclose(output.result.boxes, expected.boxes, atol=1e-3)
                np.testing.assert_allclose(output.result.scores, expected.scores, atol=1e-5)
                assert output.result.class_indices.tolist() == expected.class_indices.tolist()
    pipeline.close()


def test_cameras_of_different_sizes_and_encodings_share_a_batch(spec):
    """In any order, and more formats than a row keeps memory for."""
    pipeline, alone = opened(spec, 5), opened(spec, 1)
    shuffle = random.Random(1)
    for number in range(60):
        frames = [
            frame(number + place, SIZES[shuffle.randrange(6)], shuffle.choice(('bgr8', 'rgb8', 'mono8')))
            for place in range(shuffle.randint(1, 5))]
        assert_as_alone(pipeline, alone, frames)
    assert max(len(row.slots) for row in pipeline.batch_work._rows) == 4
    pipeline.close()
    alone.close()


def test_two_kinds_of_cameras_get_their_graphs_and_keep_them(spec):
    pipeline = opened(spec, 4)
    sets = [('a', 'b'), ('b', 'a'), ('a', 'a', 'b'), ('b', 'b', 'a', 'a'), ('a',), ('b',), ('b', 'a', 'a')]
    size = {'a': (64, 64), 'b': (96, 80)}

    def turn():
        for cameras in sets:
            pipeline.run_batch([frame(number, size[camera]) for number, camera in enumerate(cameras)])

    for _ in range(2):
        turn()
    before, graphs = pipeline.session.launched, dict(pipeline.batch_work._graphs)
    turn()
    # Each batch was one launch of a graph that was there.
    assert pipeline.session.launched == before + len(sets)
    assert dict(pipeline.batch_work._graphs) == graphs
    # In another order they are the same batch.
    assert len(graphs) == 5
    pipeline.close()


def test_a_camera_that_changes_its_format_again_and_again(spec):
    pipeline, alone = opened(spec, 3), opened(spec, 1)
    for number in range(40):
        changing = frame(number, (40 + 2 * (number // 2), 64))
        assert_as_alone(pipeline, alone, [frame(number + 1), changing, frame(number + 2)])
    work = pipeline.batch_work
    # Graphs that read memory which is used for another format now are gone.
    for formats in work._graphs:
        for row, form in zip(work._rows, formats):
            assert form in [slot.form for slot in row.slots]
    assert len(work._graphs) <= 16
    pipeline.close()
    alone.close()


def test_a_change_of_the_settings_holds_for_the_next_batch(spec):
    pipeline, alone = opened(spec, 3), opened(spec, 1)
    frames = [frame(number) for number in range(3)]
    counts = []
    for threshold in (0.2, 0.5, 0.9, 0.2):
        settings = PostprocessSettings(DetectionSettings(score_threshold=threshold))
        pipeline.settings = alone.settings = settings
        for _ in range(2):
            assert_as_alone(pipeline, alone, frames)
        counts.append(sum(len(output.result) for output in pipeline.run_batch(frames)))
    assert counts == [9, 6, 3, 9]
    # A class beyond those that the kernel can filter by: the host selects.
    pipeline.settings = alone.settings = PostprocessSettings(
        DetectionSettings(score_threshold=0.2, keep_classes=frozenset({0, 5000})))
    found = [output.result.class_indices.tolist() for output in pipeline.run_batch(frames)]
    assert found == [alone.run(each).result.class_indices.tolist() for each in frames] and any(found)
    pipeline.close()
    alone.close()


def test_masks_in_a_batch(tmp_path):
    spec = load_model(batched_detector(tmp_path / 'model.onnx', masks=True))
    pipeline, alone = opened(spec, 3), opened(spec, 1)
    for number in range(0, 12, 3):
        frames = [frame(number + place, SIZES[place]) for place in range(3)]
        assert_as_alone(pipeline, alone, frames, masks=True)
        assert_as_alone(pipeline, alone, frames[:2])
    pipeline.close()
    alone.close()


def test_classifiers_in_a_batch(tmp_path):
    spec = load_model(color_classifier(tmp_path / 'model.onnx', batch='batch'))
    settings = PostprocessSettings(classification=ClassificationSettings(3))
    pipeline, alone = opened(spec, 3, settings=settings), opened(spec, 1, settings=settings)
    colours = [Frame.from_bgr(np.full((20, 24 + colour, 3), np.eye(3)[colour] * 200, np.uint8)) for colour in range(3)]
    for _ in range(3):
        results = [output.result for output in pipeline.run_batch(colours)]
        assert [int(result.class_indices[0]) for result in results] == [2, 1, 0]
        for result, each in zip(results, colours):
            expected = alone.run(each).result
            assert np.array_equal(result.scores, expected.scores)
            assert np.array_equal(result.class_indices, expected.class_indices)
    assert pipeline.describe()['decode'] == 'host'
    pipeline.close()
    alone.close()


def two_outputs(path):
    """The colour detector with boxes and scores in two outputs. The test images show how its boxes are meant."""
    centres = cells(64, 64).T
    corners = np.concatenate([centres[:, :2] - centres[:, 2:] / 2, centres[:, :2] + centres[:, 2:] / 2], axis=1)
    return save(
        path,
        [helper.make_node('AveragePool', ['images'], ['means'], kernel_shape=[8, 8], strides=[8, 8]),
         helper.make_node('Reshape', ['means', 'shape'], ['columns']),
         helper.make_node('Transpose', ['columns'], ['scores'], perm=[0, 2, 1]),
         helper.make_node('ReduceSum', ['scores', 'classes'], ['sums'], keepdims=1),
         helper.make_node('Mul', ['sums', 'nothing'], ['zeros']),
         helper.make_node('Add', ['zeros', 'corners'], ['boxes'])],
        {'images': (FLOAT, ['batch', 3, 64, 64])},
        {'boxes': (FLOAT, ['batch', 64, 4]), 'scores': (FLOAT, ['batch', 64, 3])},
        {'shape': np.array([0, 3, -1]), 'classes': np.array([2]), 'nothing': np.float32(0),
         'corners': corners[np.newaxis]},
        {'names': dict(enumerate(COLORS)), 'task': 'detect'})


@pytest.mark.parametrize('runs', [1, 2])
def test_heads_that_the_host_decodes(tmp_path, runs):
    spec = load_model(two_outputs(tmp_path / 'model.onnx'))
    assert spec.head.kind == 'separate' and not spec.head.coding
    pipeline, alone = opened(spec, 3, runs=runs), opened(spec, 1)
    # What the test images showed holds for all rows and runs.
    assert pipeline.spec.head == alone.spec.head != spec.head
    for number in range(0, 24, 3):
        frames = [frame(number + place, SIZES[place]) for place in range(1 + number // 3 % 3)]
        assert_as_alone(pipeline, alone, frames)
    assert pipeline.describe()['decode'] == 'host'
    pipeline.close()
    alone.close()


def test_a_fixed_batch_takes_turns(tmp_path):
    spec = load_model(color_detector(tmp_path / 'model.onnx'))
    pipeline = opened(spec, 4)
    assert pipeline.max_batch == 1 and 'max_batch' not in pipeline.describe()
    assert pipeline.batch_work is None and pipeline.frame_work is not None
    outputs = pipeline.run_batch([frame(number) for number in range(3)])
    assert [int(output.result.class_indices[0]) for output in outputs] == [2, 1, 0]
    pipeline.close()


def mixed(path):
    """A detector that declares a dynamic batch, and takes the brightest pixels of all images of a batch."""
    model = onnx.load(batched_detector(path))
    nodes = [helper.make_node('ReduceMax', ['images'], ['most'], axes=[0], keepdims=1),
             helper.make_node('Max', ['images', 'most'], ['mixed'])]
    for node in model.graph.node:
        for index, name in enumerate(node.input):
            if name == 'images':
                node.input[index] = 'mixed'
    for position, node in enumerate(nodes):
        model.graph.node.insert(position, node)
    onnx.save(model, path)
    return path


def test_a_graph_that_mixes_its_images_is_refused(tmp_path):
    spec = load_model(mixed(tmp_path / 'mixed.onnx'))
    with pytest.raises(EngineError, match=r'two images together give another output .*: set max_batch to 1'):
        opened(spec, 2)
    opened(spec, 1).close()


def test_an_output_without_the_batch_is_refused(tmp_path):
    path = fixed_output_detector(tmp_path / 'fixed.onnx')
    with pytest.raises(EngineError, match=r"2 images together give an output 'output0' of shape \[1, 7, 64\]"):
        opened(load_model(path), 2)


def test_a_profile_that_ends_before_the_batch_is_refused(spec):
    with pytest.raises(EngineError, match=r'but \[4, 3, 64, 64\] is needed: build it with a batch profile up to 4'):
        opened(spec, 4, TensorRt(spec, 2))


def test_a_bad_frame_is_an_error_of_its_batch_and_leaves_nothing_behind(spec):
    pipeline, alone = opened(spec, 2), opened(spec, 1)

    class Unreadable(Frame):
        def view(self):
            raise FrameError('no pixels')

    good = frame(0)
    bad = Unreadable('bayer_rggb8', good.width, good.height, good.width, False, good.data[:64 * 64])
    for _ in range(3):
        with pytest.raises(FrameError, match='no pixels'):
            pipeline.run_batch([good, bad])
        assert_as_alone(pipeline, alone, [good, frame(3)])
    pipeline.close()
    alone.close()


def test_values_that_are_not_finite_are_an_error_of_their_batch_only(tmp_path):
    spec = load_model(batched_detector(tmp_path / 'model.onnx'))
    pipeline, alone = opened(spec, 3), opened(spec, 1)
    frames = [frame(number) for number in range(3)]
    work = pipeline.batch_work
    assert_as_alone(pipeline, alone, frames)
    sampling = work._slots[1].sampling
    gain = sampling.gain[0]
    sampling.gain[0] = float('nan')
    with pytest.raises(EngineError, match='not finite'):
        pipeline.run_batch(frames)
    sampling.gain[0] = gain
    work.forget_formats()
    assert_as_alone(pipeline, alone, frames)
    pipeline.close()
    alone.close()


@pytest.mark.parametrize('graph', [True, False])
def test_two_threads_each_run_batches(spec, monkeypatch, graph):
    tensorrt = TensorRt(spec, 4)
    pipeline, alone = opened(spec, 4, tensorrt, runs=2, graph=graph), opened(spec, 1)
    assert (pipeline.concurrent_runs, pipeline.frames_of_camera, alone.frames_of_camera) == (2, 2, 1)
    assert {name: pipeline.describe()[name] for name in ('concurrent_inferences', 'max_batch')} == {
        'concurrent_inferences': '2', 'max_batch': '4'}
    # Frames of both threads are copied before the first network ends, but the networks run one after the other.
    copying, both = set(), threading.Event()
    stage = FrameUpload.stage

    def staged(upload, pixels):
        copying.add(threading.current_thread())
        if len(copying) == 2:
            both.set()
        stage(upload, pixels)

    monkeypatch.setattr(FrameUpload, 'stage', staged)
    running = threading.Lock()

    def in_work():
        assert running.acquire(blocking=False)
        assert both.wait(SOON)
        running.release()

    tensorrt.in_work = in_work
    Driver.events.clear()
    found = {}

    def run(first):
        for turn in range(12):
            numbers = [first + 2 * turn + place for place in range(1 + turn % 4)]
            found[first, turn] = numbers, [
                output.result
                for output in pipeline.run_batch([frame(number, SIZES[number % 3]) for number in numbers])]

    threads = [threading.Thread(target=run, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
    tensorrt.in_work = lambda: None
    assert len(found) == 24
    # Each network was marked, and each waited for that of the other thread, if this was the one before.
    recorded = [event for kind, event in Driver.events if kind == 'record']
    assert len(recorded) == 24 and len(set(recorded)) == 2
    before = dict(zip(range(1, 24), recorded))
    waits = [before[number] for number in range(1, 24) if recorded[number] != before[number]]
    found_waits = [event for kind, event in Driver.events if kind == 'wait']
    # The first one may have waited for one of the warm-up.
    assert found_waits[-len(waits):] == waits and len(found_waits) <= len(waits) + 1
    for numbers, results in found.values():
        for number, result in zip(numbers, results):
            assert same(result, alone.run(frame(number, SIZES[number % 3])).result)
    pipeline.close()
    alone.close()


def test_all_contexts_are_freed_before_the_engine_and_its_memory(spec):
    opened(spec, 4, runs=2).close()
    # 1, 2 and 3 use the memory of 4, which the engine allocated before it was adopted.
    order = [name for number, name in Session.freed if number == 0]
    assert order.count('Engine') == len(batch_sizes(4))
    last = max(index for index, name in enumerate(order) if name == 'Engine')
    assert order[last + 1:].count('DeviceBuffer') >= 3
    assert [number for number, name in Session.freed if name == 'Engine'] == [1] * 4 + [0] * 4


def test_too_little_memory_for_all_batches_is_a_warning(spec):
    said, tensorrt = [], TensorRt(spec, 4)
    tensorrt.most_contexts = 2
    pipeline = opened(spec, 4, tensorrt, runs=2, log=lambda severity, text: said.append(text))
    alone = opened(spec, 1)
    assert (pipeline.concurrent_runs, pipeline.max_batch) == (1, 4)
    words = 'a batch of fewer than 3 images takes as long as one of 3: the engine cannot run'
    assert any(words in text for text in said)
    for count in (1, 2, 3, 4, 1):
        tensorrt.runs.clear()
        assert_as_alone(pipeline, alone, [frame(number) for number in range(count)])
        assert tensorrt.runs == [max(count, 3)]
    pipeline.close()
    alone.close()


@pytest.mark.parametrize('most, expected', [
    (2, (1, 2)), (4, (1, 2, 3, 4)), (8, (1, 2, 3, 4, 6, 8)), (5, (1, 2, 3, 4, 5)), (7, (1, 2, 3, 4, 6, 7)),
    (64, (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64))])
def test_a_batch_computes_less_than_half_more(most, expected):
    assert batch_sizes(most) == expected
    for count in range(1, most + 1):
        assert min(size for size in expected if size >= count) < count * 1.5
