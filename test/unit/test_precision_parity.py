# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import json
from dataclasses import replace

import numpy as np
import pytest

from trt_perception.errors import EngineError
from trt_perception.image.frame import Frame
from trt_perception.precision.parity import Agreement, compare, iou_matrix, match
from trt_perception.results.results import Classifications, Detections


def detections(*rows):
    """(x_min, y_min, x_max, y_max, score, class) each."""
    table = np.array(rows, np.float32).reshape(-1, 6)
    return Detections(table[:, :4], table[:, 4], table[:, 5].astype(np.int64))


def of(reference, candidate, threshold=0.25):
    agreement = Agreement('detection')
    agreement.add_frame(detections(*reference), detections(*candidate), threshold)
    return agreement


def test_iou():
    overlaps = iou_matrix(np.array([[0, 0, 10, 10]]), np.array([[0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]]))
    assert overlaps == pytest.approx(np.array([[1, 1 / 3, 0]]))


def test_equal_results_agree():
    rows = [(0, 0, 10, 10, 0.9, 1), (50, 50, 70, 90, 0.3, 2)]
    agreement = of(rows, rows)
    assert (agreement.value, agreement.loss, agreement.matched) == (1.0, 0.0, 2)
    assert (agreement.min_iou, agreement.max_score_difference) == (1.0, 0.0)


def test_differences_are_told():
    agreement = of(
        [(0, 0, 10, 10, 0.9, 1), (50, 50, 60, 60, 0.5, 2)], [(0, 0, 10, 8, 0.8, 1), (50, 50, 60, 60, 0.6, 2)])
    assert agreement.value == 1.0
    assert agreement.min_iou == pytest.approx(0.8)
    assert agreement.mean_iou == pytest.approx(0.9)
    assert agreement.mean_score_difference == pytest.approx(0.1, abs=1e-6)
    assert agreement.loss == pytest.approx(0.1 + 0.1, abs=1e-6)


def test_missing_and_extra_boxes():
    # One box is found, one has another class, one is elsewhere: 1 matched, 2 missing, 2 extra.
    agreement = of(
        [(0, 0, 10, 10, 0.9, 1), (20, 0, 30, 10, 0.8, 1), (40, 0, 50, 10, 0.7, 1)],
        [(0, 0, 10, 10, 0.9, 1), (20, 0, 30, 10, 0.8, 3), (47, 0, 57, 10, 0.6, 1)])
    assert (agreement.matched, agreement.missing, agreement.extra) == (1, 2, 2)
    assert agreement.value == pytest.approx(2 / 6)
    assert agreement.loss == pytest.approx((0.8 + 0.7 + 0.8 + 0.6) / 5)


def test_a_box_around_the_threshold_is_not_lost():
    agreement = of([(0, 0, 10, 10, 0.26, 1)], [(0, 0, 10, 10, 0.22, 1)])
    assert (agreement.matched, agreement.missing, agreement.extra) == (1, 0, 0)
    # Boxes below the threshold in both results do not count.
    assert of([(0, 0, 10, 10, 0.24, 1)], [(50, 0, 60, 10, 0.24, 1)]).says_nothing


def test_each_box_is_matched_once_and_the_best_first():
    pairs = match(
        detections((0, 0, 10, 10, 0.9, 1), (0, 0, 10, 9, 0.8, 1)), detections((0, 0, 10, 9, 0.9, 1)))
    assert pairs == [(1, 0, pytest.approx(1.0))]


def test_nothing_anywhere_says_nothing():
    agreement = of([], [])
    assert agreement.value == 1.0 and agreement.says_nothing
    assert 'nothing was detected in 1 frames' in agreement.summary()


def classes(indices, scores):
    return Classifications(np.array(indices, np.int64), np.array(scores, np.float32))


def test_classifications():
    agreement = Agreement('classification')
    agreement.add_frame(classes([2, 0, 1], [0.7, 0.2, 0.1]), classes([2, 1, 0], [0.6, 0.3, 0.1]), 0.25)
    agreement.add_frame(classes([1, 0, 2], [0.5, 0.4, 0.1]), classes([0, 1, 2], [0.5, 0.4, 0.1]), 0.25)
    assert agreement.value == 0.5
    assert agreement.max_score_difference == pytest.approx(0.2)
    assert 'same first class in 1 of 2 frames, an equally likely class in 0' in agreement.summary()
    # If two classes are about equally likely, either may come first.
    agreement.add_frame(classes([1, 0, 2], [0.46, 0.44, 0.1]), classes([0, 1, 2], [0.46, 0.44, 0.1]), 0.25)
    assert (agreement.value, agreement.same_first_class) == (2 / 3, 1)
    assert agreement.loss == pytest.approx((0.2 + 0.1 + 0.02) / 3, abs=1e-6)


def test_a_report_is_json_without_what_the_task_has_not():
    report = json.loads(json.dumps(of([(0, 0, 10, 10, 0.9, 1)], []).as_dict()))
    assert report['value'] == 0.0 and report['missing'] == 1
    assert 'same_first_class' not in report and not [key for key in report if key.startswith('_')]
    assert 'mean_iou' not in Agreement('classification').as_dict()


def test_results_of_two_tasks_cannot_be_compared():
    with pytest.raises(EngineError, match='found two tasks'):
        Agreement('detection').add_frame(detections(), classes([0], [1.0]), 0.25)


def test_two_pipelines_and_their_settings(tmp_path):
    pytest.importorskip('onnxruntime')
    from support.precision_models import color_frames, conv_detector

    from trt_perception.model.spec import load_model
    from trt_perception.ort.backend import OnnxRuntimeBackend
    from trt_perception.pipeline.host import HostPipeline
    weights = np.eye(3, dtype=np.float32)[:, :, None, None]
    first = load_model(conv_detector(tmp_path / 'a.onnx'))
    # Its scores are nine tenths of the first one's.
    model = conv_detector(tmp_path / 'b.onnx', weights_of_first=weights)
    import onnx
    from onnx import numpy_helper
    proto = onnx.load(str(model))
    (back,) = [tensor for tensor in proto.graph.initializer if tensor.name == 'back.weight']
    back.CopyFrom(numpy_helper.from_array(weights * 0.9, 'back.weight'))
    onnx.save(proto, str(model))
    first = HostPipeline(first, OnnxRuntimeBackend(first.path))
    second = HostPipeline(load_model(model), OnnxRuntimeBackend(model))
    frames = [Frame.from_bgr(pixels) for pixels in color_frames(5)]
    for pipeline in (first, second):
        pipeline.open()
        detection = replace(pipeline.settings.detection, max_detections=7)
        pipeline.settings = replace(pipeline.settings, detection=detection)
    kept = first.settings, second.settings
    agreement = compare(first, second, frames)
    assert (first.settings, second.settings) == kept
    assert agreement.frames == 5 and agreement.matched >= 10
    assert agreement.value == 1.0
    assert 0.05 < agreement.mean_score_difference <= agreement.max_score_difference <= 0.1001
    assert compare(first, first, frames).loss == 0.0
    first.close()
    second.close()
