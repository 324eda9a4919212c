# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""HostPipeline with ONNX Runtime on the colour detector: real pixels in, boxes of the image out."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from support.tiny_models import (
    FLOAT,
    FLOAT16,
    UINT8,
    batched_detector,
    color_classifier,
    color_detector,
    fixed_outputs,
    save,
)

from trt_perception.backends.create import BACKENDS, create_pipeline
from trt_perception.errors import EngineError, FrameError, ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.heads.classification import ClassificationSettings
from trt_perception.model.heads.yolo import DetectionSettings
from trt_perception.model.normalisation import Overrides
from trt_perception.model.spec import ModelOptions, load_model
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.pipeline.plausible_outputs import require_plausible_outputs

BGR = {'red': (0, 0, 255), 'green': (0, 255, 0), 'blue': (255, 0, 0)}


def open_pipeline(path, options=None, **settings):
    return create_pipeline(
        load_model(path, options), PipelineOptions('onnxruntime', num_threads=1),
        PostprocessSettings(DetectionSettings(**settings)))


def picture(width, height, *squares):
    """Return a black image with squares (colour, x_min, y_min, x_max, y_max)."""
    pixels = np.zeros((height, width, 3), np.uint8)
    for color, x_min, y_min, x_max, y_max in squares:
        pixels[y_min:y_max, x_min:x_max] = BGR[color]
    return pixels


@pytest.mark.parametrize('head', ['yolov8', 'yolov5'])
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
@pytest.mark.parametrize('dtype', [FLOAT, FLOAT16, UINT8])
def test_a_square_is_found_where_it_is(tmp_path, head, layout, dtype):
    path = color_detector(tmp_path / 'm.onnx', 64, 64, layout, dtype, head)
    # 128x64 goes in at half size with 16 rows of padding: a cell is 16x16 pixels of the image.
    image = picture(128, 64, ('red', 32, 16, 48, 32), ('blue', 96, 32, 112, 48))
    with open_pipeline(path, score_threshold=0.6) as pipeline:
        output = pipeline.run(Frame.from_bgr(image))
        rgb = pipeline.run(
            Frame.from_buffer('rgb8', 128, 64, 384, False, np.ascontiguousarray(image[..., ::-1]))).result
    result = output.result
    found = {int(c): box.tolist() for c, box in zip(result.class_indices, result.boxes)}
    assert found == {0: [32, 16, 48, 32], 2: [96, 32, 112, 48]}
    np.testing.assert_allclose(result.scores, [1.0, 1.0], atol=1e-3)
    assert set(output.timings_ms) == {'preprocess', 'infer', 'postprocess'}
    assert all(value > 0 for value in output.timings_ms.values())
    assert sorted(rgb.class_indices.tolist()) == [0, 2]


@pytest.mark.parametrize('size, square', [
    # width, height of the image and a square that is one cell of the network's 64x64
    ((64, 64), (16, 24, 24, 32)),
    ((640, 480), (160, 160, 240, 240)),  # scale 10, 8 rows of padding
    ((32, 128), (0, 32, 16, 48)),  # scale 2, 24 columns of padding
    ((16, 16), (4, 6, 6, 8)),  # enlarged by 4
])
def test_boxes_are_in_pixels_of_any_image(tmp_path, size, square):
    path = color_detector(tmp_path / 'm.onnx')
    with open_pipeline(path, score_threshold=0.55) as pipeline:
        result = pipeline.run(Frame.from_bgr(picture(*size, ('green', *square)))).result
    assert result.class_indices.tolist() == [1]
    np.testing.assert_allclose(result.boxes, [square], atol=1e-4)


def test_the_image_size_may_change_from_frame_to_frame(tmp_path):
    with open_pipeline(color_detector(tmp_path / 'm.onnx'), score_threshold=0.55) as pipeline:
        for _ in range(2):
            for size, square in (((64, 64), (16, 24, 24, 32)), ((128, 64), (32, 16, 48, 32))):
                result = pipeline.run(Frame.from_bgr(picture(*size, ('red', *square)))).result
                np.testing.assert_allclose(result.boxes, [square], atol=1e-4)


def test_padding_is_no_detection(tmp_path):
    # 114 / 255 = 0.447 in all three channels
    with open_pipeline(color_detector(tmp_path / 'm.onnx'), score_threshold=0.4) as pipeline:
        result = pipeline.run(Frame.from_bgr(picture(128, 64))).result
    assert len(result) == 0


def test_color_order_of_the_model(tmp_path):
    path = color_detector(tmp_path / 'm.onnx')
    image = Frame.from_bgr(picture(64, 64, ('red', 16, 24, 24, 32)))
    options = ModelOptions(preprocessing=Overrides(color_order='bgr'))
    with open_pipeline(path, options, score_threshold=0.6) as pipeline:
        assert pipeline.run(image).result.class_indices.tolist() == [2]


def test_settings_may_change_between_frames(tmp_path):
    image = Frame.from_bgr(picture(64, 64, ('red', 16, 24, 24, 32), ('blue', 32, 24, 40, 32)))
    with open_pipeline(color_detector(tmp_path / 'm.onnx'), score_threshold=0.6) as pipeline:
        assert len(pipeline.run(image).result) == 2
        pipeline.settings = PostprocessSettings(DetectionSettings(keep_classes=frozenset({2})))
        assert pipeline.run(image).result.class_indices.tolist() == [2]
        pipeline.settings = PostprocessSettings(DetectionSettings(max_detections=1))
        assert len(pipeline.run(image).result) == 1


def test_a_result_names_its_settings(tmp_path):
    """They may change while the network runs."""
    class Changing(OnnxRuntimeBackend):
        def infer(self, input_name, tensor):
            pipeline.settings = new
            return super().infer(input_name, tensor)

    spec = load_model(batched_detector(tmp_path / 'm.onnx'))
    old = PostprocessSettings(DetectionSettings(score_threshold=0.6)).down_to(0.4)
    new = PostprocessSettings(DetectionSettings(score_threshold=0.9))
    frame = Frame.from_bgr(picture(64, 64, ('red', 0, 0, 8, 8)) // 2)
    pipeline = HostPipeline(spec, Changing(spec.path, 1), max_batch=2)
    with pipeline:
        for count in (1, 2):
            pipeline.settings = old
            outputs = pipeline.run_batch([frame] * count)
            # The score is 0.5.
            assert [(len(output.result), output.settings) for output in outputs] == [(1, old)] * count
            assert pipeline.settings == new
    assert (old.detection.score_threshold, old.shown_score, new.shown_score) == (0.4, 0.6, None)
    assert new.down_to(0.95).detection == new.detection


def test_a_classifier(tmp_path):
    path = color_classifier(tmp_path / 'm.onnx')
    options = ModelOptions(preprocessing=Overrides(mean=(0.0,), std=(1.0,), resize_mode='stretch'))
    pipeline = create_pipeline(
        load_model(path, options), settings=PostprocessSettings(classification=ClassificationSettings(top_k=2)))
    with pipeline:
        result = pipeline.run(Frame.from_bgr(picture(40, 20, ('green', 0, 0, 40, 20)))).result
    # Logits 0, 10, 0
    assert result.class_indices.tolist() == [1, 0]
    total = np.exp(10) + 2
    np.testing.assert_allclose(result.scores, [np.exp(10) / total, 1 / total], rtol=1e-4)


def test_a_dynamic_model_runs_at_the_size_asked_for(tmp_path):
    path = color_classifier(tmp_path / 'm.onnx', ('h', 'w'), 'n')
    options = ModelOptions(input_size=(48, 32), preprocessing=Overrides(mean=(0.0,), std=(1.0,)))
    with open_pipeline(path, options) as pipeline:
        result = pipeline.run(Frame.from_bgr(picture(100, 50, ('blue', 0, 0, 100, 50)))).result
    assert result.class_indices[0] == 2


def test_opening_warms_up_and_closing_frees(tmp_path):
    pipeline = open_pipeline(color_detector(tmp_path / 'm.onnx'))
    frame = Frame.from_bgr(picture(64, 64))
    with pytest.raises(EngineError, match='the pipeline is not open'):
        pipeline.run(frame)
    pipeline.close()  # in any state, any number of times
    for _ in range(2):
        pipeline.open()
        pipeline.run(frame)
        pipeline.close()
        pipeline.close()
        with pytest.raises(EngineError, match='the pipeline is not open'):
            pipeline.run(frame)


def test_it_may_be_opened_in_one_thread_and_described_in_another(tmp_path):
    pipeline = open_pipeline(color_detector(tmp_path / 'm.onnx'))
    thread = threading.Thread(target=pipeline.open)
    thread.start()
    thread.join()
    described = pipeline.describe()
    pipeline.close()
    import onnxruntime
    assert described == {
        'backend': 'onnxruntime', 'backend_version': onnxruntime.__version__, 'device': 'CPU', 'pipeline': 'host',
        'precision_effective': 'fp32'}


def test_a_network_of_nan_fails_when_opened_and_leaves_nothing_open(tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', np.full((1, 5), np.nan))
    pipeline = open_pipeline(path)
    with pytest.raises(EngineError, match="output 'output0' holds values that are not finite"):
        pipeline.open()
    with pytest.raises(EngineError, match='the pipeline is not open'):
        pipeline.run(Frame.from_bgr(picture(64, 64)))


def test_a_network_that_runs_on_some_images_only(tmp_path):
    # 0 / mean: NaN for a black image, 0 for others
    path = save(
        tmp_path / 'm.onnx',
        [helper.make_node('GlobalAveragePool', ['images'], ['means']),
         helper.make_node('Flatten', ['means'], ['flat']), helper.make_node('Div', ['zero', 'flat'], ['out'])],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'out': (FLOAT, [1, 3])}, {'zero': np.zeros(1, np.float32)})
    with open_pipeline(path, ModelOptions(preprocessing=Overrides(mean=(0.0,), std=(1.0,)))) as pipeline:
        with pytest.raises(EngineError, match='not finite'):
            pipeline.run(Frame.from_bgr(np.zeros((8, 8, 3), np.uint8)))
        # The next frame is processed normally.
        assert len(pipeline.run(Frame.from_bgr(np.full((8, 8, 3), 9, np.uint8))).result) == 3


def test_a_bad_frame_leaves_the_pipeline_usable(tmp_path):
    with open_pipeline(color_detector(tmp_path / 'm.onnx'), score_threshold=0.6) as pipeline:
        with pytest.raises(FrameError):
            pipeline.run(Frame.from_buffer('bgr8', 64, 64, 192, False, b'\0' * 100))
        assert len(pipeline.run(Frame.from_bgr(picture(64, 64, ('red', 0, 0, 8, 8)))).result) == 1


def test_backends(tmp_path):
    spec = load_model(color_detector(tmp_path / 'm.onnx'))
    assert isinstance(create_pipeline(spec), HostPipeline)
    with pytest.raises(ModelError, match=f"backend is 'torch': expected one of {', '.join(BACKENDS)}$"):
        create_pipeline(spec, PipelineOptions('torch'))


# ONNX Runtime


def test_onnxruntime_gives_every_output_by_name(tmp_path):
    path = fixed_outputs(tmp_path / 'm.onnx', np.arange(3).reshape(1, 3), np.ones((1, 2)))
    with OnnxRuntimeBackend(path) as backend:
        outputs = backend.infer('images', np.zeros((1, 3, 64, 64), np.float32))
    assert {name: array.tolist() for name, array in outputs.items()} == {
        'output0': [[0, 1, 2]], 'output1': [[1, 1]]}
    with pytest.raises(EngineError, match='the ONNX Runtime session is not open'):
        backend.infer('images', np.zeros((1, 3, 64, 64), np.float32))


def test_onnxruntime_refuses_a_model_in_one_line(tmp_path):
    path = tmp_path / 'm.onnx'
    path.write_bytes(color_detector(tmp_path / 'whole.onnx').read_bytes()[:200])
    with pytest.raises(ModelError) as error:
        OnnxRuntimeBackend(path).open()
    assert str(error.value).startswith('ONNX Runtime ')
    assert '[ONNXRuntimeError]' not in str(error.value)
    assert f'cannot load {path}: ' in str(error.value)
    assert '\n' not in str(error.value)


def test_a_file_that_does_not_decode_its_boxes_does_not_open(tmp_path):
    rows = np.random.default_rng(0).uniform(0, 1, (1, 84, 8)).astype(np.float32)
    rows[..., :4] *= 3  # YOLOX: offsets within a cell
    undecoded = load_model(
        fixed_outputs(tmp_path / 'm.onnx', rows), ModelOptions(head='yolov5', labels=_three_names(tmp_path)))
    with pytest.raises(ModelError, match=r'84 boxes, half of them within 1\.\d\d of the corner: .*64x64'):
        HostPipeline(undecoded, OnnxRuntimeBackend(undecoded.path)).open()
    with pytest.raises(ModelError, match='export the model with box decoding'):
        require_plausible_outputs(undecoded)
    require_plausible_outputs(load_model(color_detector(tmp_path / 'decoded.onnx')))
    require_plausible_outputs(load_model(color_classifier(tmp_path / 'classifier.onnx')))


def _three_names(folder):
    path = folder / 'names.txt'
    path.write_text('a\nb\nc\n')
    return str(path)


def test_an_operator_of_tensorrt_alone_is_said_to_be_one(tmp_path):
    """The form of --end2end in YOLOv7's export; onnx.checker accepts it as an operator of an unknown domain."""
    path = tmp_path / 'm.onnx'
    model = onnx.load(color_detector(tmp_path / 'plain.onnx'))
    model.opset_import.append(onnx.helper.make_opsetid('TRT', 1))
    model.graph.node[-1].op_type, model.graph.node[-1].domain = 'EfficientNMS_TRT', 'TRT'
    onnx.save(model, path)
    with pytest.raises(ModelError, match=(
            r'EfficientNMS_TRT.*a plugin of TensorRT: set backend to tensorrt, or export without it .*no --end2end')):
        OnnxRuntimeBackend(path).open()
    # TensorRT may run the file, so this check does not refuse it.
    spec = replace(load_model(tmp_path / 'plain.onnx'), path=path)
    require_plausible_outputs(spec)


def test_onnxruntime_failing_is_an_engine_error(tmp_path):
    with OnnxRuntimeBackend(color_detector(tmp_path / 'm.onnx')) as backend, \
            pytest.raises(EngineError, match=r'ONNX Runtime failed on m\.onnx: '):
        backend.infer('images', np.zeros((1, 3, 32, 64), np.float32))


@pytest.mark.parametrize('wanted', [1, 1024])
def test_inference_has_at_most_one_thread_a_processor(tmp_path, wanted):
    """With 1024 spinning threads on two processors, an inference took more than a minute."""
    path = color_detector(tmp_path / 'm.onnx', 64, 64)
    before = len(list(Path('/proc/self/task').iterdir()))
    with OnnxRuntimeBackend(path, wanted):
        # The caller is one of the threads.
        assert len(list(Path('/proc/self/task').iterdir())) - before == min(wanted, os.cpu_count()) - 1
