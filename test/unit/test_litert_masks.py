# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Segmentation models as .tflite files give the boxes and masks of the same network as an ONNX file."""

import numpy as np
import pytest

pytest.importorskip('ai_edge_litert', reason='needs LiteRT: pip install ai-edge-litert')

from support import tiny_models, tiny_tflite
from support.recording_monitor import Told

import trt_perception
from trt_perception.backends.create import create_pipeline
from trt_perception.image.frame import Frame
from trt_perception.model.heads.boxes import FRACTIONS, PIXELS
from trt_perception.model.heads.evidence import HeadEvidence
from trt_perception.model.heads.find_further_columns import further_columns_heads
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import PipelineOptions


def images():
    """Squares in the three colours, in images of the input's shape and of others."""
    chance = np.random.default_rng(0)
    pictures = []
    for height, width in ((64, 96), (64, 96), (100, 300), (480, 320)):
        picture = np.zeros((height, width, 3), np.uint8)
        for _ in range(6):
            x, y = chance.integers(0, width), chance.integers(0, height)
            picture[y:y + height // 3, x:x + width // 3] = np.eye(3)[chance.integers(3)] * chance.integers(120, 256)
        pictures.append(picture)
    return pictures


def by_place(found):
    """Detections in the order of their boxes: cells of one colour have nearly the same score."""
    return found.chosen(np.lexsort((*np.rint(found.boxes).T, found.class_indices)))


@pytest.mark.parametrize('fractions', [True, False])
@pytest.mark.parametrize('head, channels_last', [('yolov8', True), ('yolov8', False), ('yolov5', False)])
def test_boxes_and_masks_are_those_of_the_onnx_file(tmp_path, head, channels_last, fractions):
    onnx = tiny_models.three_prototypes(tmp_path / 'm.onnx', 96, 64, head)
    tflite = tiny_tflite.three_prototypes(tmp_path / 'm.tflite', 96, 64, head, channels_last, fractions)
    spec = load_model(tflite)
    assert spec.has_masks and spec.head.channels_last is channels_last
    found, sizes = 0, []
    with (
        create_pipeline(load_model(onnx), PipelineOptions('onnxruntime')) as reference,
        create_pipeline(spec) as candidate,
    ):
        assert candidate.spec.head.unit == (FRACTIONS if fractions else PIXELS)
        for picture in images():
            frame = Frame.from_bgr(picture)
            expected, result = (
                by_place(pipeline.run(frame, masks=True).result) for pipeline in (reference, candidate))
            assert result.class_indices.tolist() == expected.class_indices.tolist()
            np.testing.assert_allclose(result.boxes, expected.boxes, rtol=0, atol=1e-3)
            np.testing.assert_allclose(result.scores, expected.scores, rtol=0, atol=1e-6)
            for index in range(len(result)):
                # The means differ in the last bit, and a pixel may have a sum of nearly 0.
                assert (result.masks[index] != expected.masks[index]).mean() < 0.001
                sizes.append(result.masks[index].sum())
            found += len(result)
            assert candidate.run(frame).result.masks is None
    assert found > 20 and sum(size > 0 for size in sizes) > 10


def test_a_file_can_be_opened_again(tmp_path):
    """What the values have decided is decided again."""
    frame = Frame.from_bgr(images()[0])
    pipeline = create_pipeline(load_model(tiny_tflite.three_prototypes(tmp_path / 'm.tflite', 96, 64)))
    results = []
    for _ in range(2):
        with pipeline:
            results.append(pipeline.run(frame).result.boxes)
    assert len(results[0]) and results[0].tobytes() == results[1].tobytes()


def test_the_log_says_that_boxes_are_fractions(tmp_path):
    told = Told()
    path = tiny_tflite.three_prototypes(tmp_path / 'm.tflite', 96, 64)
    with create_pipeline(load_model(path), monitor=told.monitor):
        pass
    assert ('info', 'm.tflite has boxes as fractions of its input: they are multiplied by 96x64') in told.log


def test_open_gives_masks(tmp_path):
    """A red square fills a cell: R - 0.1 + 0.5 * -0.1 - 0.25 * -0.1 is positive on it, and nowhere else."""
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[16:24, 40:48, 2] = 255
    path = tiny_tflite.three_prototypes(tmp_path / 'm.tflite', 96, 64)
    with trt_perception.open(path, masks=True) as model:
        found = model(picture)
    np.testing.assert_allclose(found.boxes, [[40, 16, 48, 24]], atol=1e-3)
    expected = np.zeros((64, 96), bool)
    expected[16:24, 40:48] = True
    np.testing.assert_array_equal(found.masks[0], expected)


@pytest.mark.parametrize('size, table, prototypes, names, channels_last', [
    # As Ultralytics and YOLOv5 export models of 80 classes; at 128x128 the shape does not show the order.
    ((640, 640), (1, 116, 8400), (1, 160, 160, 32), 80, True),
    ((640, 640), (1, 116, 8400), (1, 160, 160, 32), None, True),
    ((128, 128), (1, 116, 336), (1, 32, 32, 32), 80, True),
    ((640, 640), (1, 25200, 117), (1, 32, 160, 160), 80, False),
    ((640, 640), (1, 25200, 117), (1, 32, 160, 160), None, False),
    ((128, 128), (1, 1008, 117), (1, 32, 32, 32), 80, False),
    ((320, 128), (1, 300, 38), (1, 32, 80, 32), 80, True),
    ((128, 128), (1, 300, 38), (1, 32, 32, 32), 80, True),
    ((640, 640), (1, 300, 38), (1, 32, 160, 160), 80, False)])
def test_the_order_of_the_prototypes(size, table, prototypes, names, channels_last):
    evidence = HeadEvidence((('a', prototypes), ('b', table)), size, names, channels_last=True)
    (head,) = further_columns_heads(evidence)
    assert (head.output_name, head.prototypes_name, head.channels_last) == ('b', 'a', channels_last)
    assert head.num_classes == 80


def test_prototypes_of_another_number_are_none():
    evidence = HeadEvidence((('a', (1, 160, 160, 16)), ('b', (1, 116, 8400))), (640, 640), 80, channels_last=True)
    assert further_columns_heads(evidence) == []
