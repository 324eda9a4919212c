# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Compares DevicePipeline with HostPipeline, which runs the same engine or ONNX Runtime."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.engines import MODELS
from support.random_frames import CONVERTED_FIRST, READ_BY_KERNELS, random_frame

from trt_perception.backends.tensorrt.cuda.runtime_api import CudaSession
from trt_perception.backends.tensorrt.run.backend import TensorRtBackend
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.image.frame import Frame
from trt_perception.model.heads.yolo import DetectionSettings
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.tensorrt_options import RunOptions
from trt_perception.results.results import Classifications

PHOTOS = sorted((Path(__file__).parents[1] / 'data' / 'photos').glob('*.jpg'))
# Grey pixels of a test picture have scores of about one half; few classes and a threshold near it are hard.
SETTINGS = PostprocessSettings(DetectionSettings(score_threshold=0.3))


def frames():
    for photo in PHOTOS:
        pixels = cv2.imread(str(photo))
        yield photo.stem, Frame.from_bgr(pixels)
        yield f'{photo.stem}-rgba', Frame.from_pixels('rgba8', cv2.cvtColor(pixels, cv2.COLOR_BGR2RGBA))
        yield f'{photo.stem}-mono', Frame.from_pixels('mono8', cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY))
        even = np.ascontiguousarray(pixels[:pixels.shape[0] // 2 * 2, :pixels.shape[1] // 2 * 2])
        yield f'{photo.stem}-nv12', nv12(even)
    for encoding in READ_BY_KERNELS + CONVERTED_FIRST:
        yield encoding, random_frame(encoding, 322, 242, padding=6)


def nv12(pixels):
    height, width = pixels.shape[:2]
    planes = cv2.cvtColor(pixels, cv2.COLOR_BGR2YUV_I420)
    u, v = planes[height:].reshape(2, -1)
    data = np.concatenate([planes[:height].reshape(-1), np.stack([u, v], axis=1).reshape(-1)])
    return Frame.from_buffer('nv12', width, height, width, False, data)


def overlap(a, b):
    """Return the IoU of (N, 4) boxes, pair by pair."""
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=1)
    return shared / (np.prod(a[:, 2:] - a[:, :2], axis=1) + np.prod(b[:, 2:] - b[:, :2], axis=1) - shared)


def unmatched(found, expected):
    """Return how many results of either have no partner of the same class with IoU >= 0.99 and a score within 0.005."""
    if isinstance(expected, Classifications):
        close = np.allclose(found.scores, expected.scores, rtol=0, atol=0.005)
        return int(found.class_indices.tolist() != expected.class_indices.tolist() or not close)
    left = list(range(len(found)))
    missing = 0
    for box, score, index in zip(expected.boxes, expected.scores, expected.class_indices):
        partners = [
            i for i in left if found.class_indices[i] == index and abs(found.scores[i] - score) <= 0.005
            and overlap(found.boxes[i:i + 1], box[np.newaxis])[0] >= 0.99]
        missing += not partners
        left = [i for i in left if i not in partners[:1]]
    return missing + len(left)


def assert_alike(found, expected, what):
    assert unmatched(found, expected) == 0, what


@pytest.mark.parametrize('reference, name', [
    *(('tensorrt', name) for name in MODELS if name != 'corners'),
    # Not those with random weights: thousands of noisy boxes are so close that the last bit decides NMS.
    *(('onnxruntime', name) for name in MODELS if not name.startswith(('convolutions', 'corners')))])
def test_same_results_as_the_host_pipeline(engines, tensorrt, name, reference):
    model = engines(name)
    backend = (
        TensorRtBackend(model.spec, model.load, tensorrt) if reference == 'tensorrt'
        else OnnxRuntimeBackend(model.spec.path))
    count = odd = 0
    with HostPipeline(model.spec, backend, SETTINGS) as host, \
            DevicePipeline(model.spec, model.load, tensorrt, settings=SETTINGS) as device:
        for what, frame in frames():
            expected = host.run(frame).result
            # Call by call, captured, launched again.
            for _ in range(3):
                result = device.run(frame).result
                if reference == 'tensorrt':
                    assert_alike(result, expected, what)
                count, odd = count + len(expected), odd + unmatched(result, expected)
            assert device.describe()['cuda_graph'] == 'on'
    assert count > 50
    # Another runtime rounds differently: boxes very near a threshold are in only one of the results.
    assert odd <= 0.005 * count, f'{odd} of {count}'


@pytest.mark.parametrize('name', ['convolutions5', 'convolutions8'])
def test_the_network_gives_what_onnxruntime_gives(engines, tensorrt, name):
    model = engines(name)
    head = model.spec.head.output_name
    with OnnxRuntimeBackend(model.spec.path) as expected, TensorRtBackend(model.spec, model.load, tensorrt) as found:
        for seed in range(5):
            tensor = np.random.default_rng(seed).random(model.spec.input_shape, np.float32)
            reference = expected.infer(model.spec.input_name, tensor)[head]
            result = found.infer(model.spec.input_name, tensor)[head]
            np.testing.assert_allclose(result, reference, rtol=1e-3, atol=1e-4 * np.abs(reference).max())


@pytest.mark.parametrize('options', [
    RunOptions(cuda_graph=False), RunOptions(zero_copy='on'), RunOptions(zero_copy='off')])
@pytest.mark.parametrize('name', ['yolov5', 'classifier'])
def test_same_results_in_every_way_of_running(engines, tensorrt, name, options):
    model = engines(name)
    with HostPipeline(model.spec, OnnxRuntimeBackend(model.spec.path), SETTINGS) as host, \
            DevicePipeline(model.spec, model.load, tensorrt, options, SETTINGS) as device:
        for what, frame in frames():
            expected = host.run(frame).result
            for _ in range(3):
                assert_alike(device.run(frame).result, expected, what)
        described = device.describe()
    assert described['cuda_graph'] == ('on' if options.cuda_graph else 'off: cuda_graph is off')
    # The last frame is larger than the network's input: auto reads it in place. The filter of a classifier reads each
    # pixel several times, so auto copies its frames.
    in_place = options.zero_copy == 'on' or (options.zero_copy == 'auto' and name != 'classifier')
    assert described['zero_copy'] == ('on' if in_place else 'off')


@pytest.mark.parametrize('integrated', [False, True])
def test_auto_reads_every_frame_in_place_where_the_memory_is_shared(engines, tensorrt, monkeypatch, integrated):
    """A Jetson shares its memory. Other GPUs copy a frame that is enlarged, because its pixels are read many times."""
    model = engines('yolov8')
    small = Frame.from_bgr(cv2.resize(cv2.imread(str(PHOTOS[0])), (40, 30)))
    with DevicePipeline(model.spec, model.load, tensorrt, settings=SETTINGS) as device:
        expected = device.run(small).result
        assert device.describe()['zero_copy'] == ('on' if device.session.integrated else 'off')
    original = CudaSession.__init__

    def changed(session, *arguments):
        original(session, *arguments)
        session.integrated = integrated

    monkeypatch.setattr(CudaSession, '__init__', changed)
    with DevicePipeline(model.spec, model.load, tensorrt, settings=SETTINGS) as device:
        for _ in range(3):
            assert_alike(device.run(small).result, expected, integrated)
        assert device.describe()['zero_copy'] == ('on' if integrated else 'off')
        assert device.describe()['cuda_graph'] == 'on'


@pytest.mark.parametrize('name', ['convolutions5', 'convolutions8'])
def test_settings_change_between_frames(engines, tensorrt, name):
    """No new capture, down to a threshold that passes more candidates than the kernel can select from."""
    model = engines(name)
    frame = next(frames())[1]
    counts = []
    with HostPipeline(model.spec, TensorRtBackend(model.spec, model.load, tensorrt)) as host, \
            DevicePipeline(model.spec, model.load, tensorrt) as device:
        for _ in range(3):
            device.run(frame)
        for threshold in (0.9, 0.5, 0.0, 0.25, 0.7):
            for other in ({}, {'iou_threshold': 0.1}, {'max_detections': 3}, {'keep_classes': frozenset({1})},
                          {'class_agnostic_nms': True}):
                settings = PostprocessSettings(DetectionSettings(score_threshold=threshold, **other))
                host.settings = device.settings = settings
                expected = host.run(frame).result
                assert_alike(device.run(frame).result, expected, settings)
                counts.append(len(expected))
    assert len(set(counts)) > 5
