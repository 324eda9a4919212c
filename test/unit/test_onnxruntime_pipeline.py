# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A model on ONNX Runtime in each precision: the file that runs, refusals, and every state of the pipeline."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
from support.precision_models import color_folder, color_frames, conv_detector
from support.recording_monitor import Told

from trt_perception.backends import onnxruntime_pipeline
from trt_perception.backends.create import create_pipeline
from trt_perception.backends.onnxruntime_pipeline import OnnxRuntimePipeline
from trt_perception.errors import CalibrationError, EngineError, ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.pipeline.timing import times_in_turns
from trt_perception.precision.prepare import prepare_model

FRAME = Frame.from_bgr(next(color_frames(1, seed=5)))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'trt_perception' / 'quantized'


@pytest.fixture
def spec(tmp_path):
    return load_model(conv_detector(tmp_path / 'model.onnx'))


@pytest.fixture
def int8(tmp_path):
    """Options; strict, so that int8 runs although such a small model is faster in fp32."""
    return PipelineOptions(
        'onnxruntime', 'int8', num_threads=1, strict_precision=True,
        calibration=CalibrationOptions(str(color_folder(tmp_path / 'images', 48)), samples=32, method='mse'))


def options(precision, **changes):
    return PipelineOptions('onnxruntime', precision, num_threads=1, **changes)


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_a_float_file_runs_as_it_is_stored(spec, cache, precision):
    with create_pipeline(spec, options(precision)) as pipeline:
        assert isinstance(pipeline, OnnxRuntimePipeline)
        description = pipeline.describe()
        assert len(pipeline.run(FRAME).result.scores) > 0
    assert (description['backend'], description['device'], description['pipeline']) == ('onnxruntime', 'CPU', 'host')
    assert (description['precision_effective'], pipeline.spec.path) == ('fp32', spec.path)
    assert 'agreement' not in description
    assert not cache.exists()


def test_int8_runs_the_quantised_file_and_passes_the_gate(spec, cache, int8):
    told = Told()
    with create_pipeline(spec, options('fp32')) as plain, create_pipeline(spec, int8, monitor=told.monitor) as pipeline:
        description = pipeline.describe()
        expected, found = plain.run(FRAME).result, pipeline.run(FRAME).result
    assert (pipeline.spec.path.parent, pipeline.spec.stored_precision) == (cache, 'int8')
    assert pipeline.spec.sha256 == load_model(pipeline.spec.path).sha256 != spec.sha256
    assert description['precision_effective'] == 'int8'
    assert description['agreement'].startswith('agreement 1.000: ')
    assert '0 missing, 0 extra in 16 frames' in description['agreement']
    assert ('comparing with ONNX Runtime fp32 on 16 frames', 0, None) in told.progress
    np.testing.assert_array_equal(found.class_indices, expected.class_indices)
    # In int8 the scores differ a little.
    assert 0 < np.abs(found.scores - expected.scores).max() < 4 / 127
    # The file needs no float16: ONNX Runtime has no float16 arithmetic on CPUs.
    names = sorted(path.name[:11] for path in cache.glob('*.onnx'))
    assert names == ['model-int8-']


def test_int8_without_calibration_is_refused(spec, cache):
    pipeline = create_pipeline(spec, options('int8'))
    with pytest.raises(CalibrationError, match='int8 needs calibration data, found none'):
        pipeline.open()
    with pytest.raises(EngineError, match='the pipeline is not open'):
        pipeline.run(FRAME)
    pipeline.close()


def test_a_gate_that_is_not_reached_names_the_numbers_and_leaves_it_closed(spec, int8):
    pipeline = create_pipeline(spec, replace(int8, min_agreement=1.01))
    with pytest.raises(EngineError, match=(
            r'int8 loses too much accuracy: expected an agreement of 1\.010 or more with ONNX Runtime fp32, '
            r'found 1\.000 \(agreement 1\.000: \d+ boxes matched, 0 missing')):
        pipeline.open()
    with pytest.raises(EngineError, match='the pipeline is not open'):
        pipeline.run(FRAME)


def test_the_gate_can_be_turned_off_and_on(spec, int8):
    told = Told()
    with create_pipeline(spec, replace(int8, min_agreement=0.0), monitor=told.monitor) as pipeline:
        assert 'agreement' not in pipeline.describe()
    assert not any('comparing' in text for text in told.texts)
    with create_pipeline(spec, replace(int8, precision='fp32', min_agreement=1.0)) as pipeline:
        assert pipeline.describe()['agreement'].startswith('agreement 1.000')
    with pytest.raises(CalibrationError, match=r'min_agreement is 0\.5, but there are no frames'):
        create_pipeline(spec, options('fp32', min_agreement=0.5)).open()


def test_an_int8_file_of_ones_own_needs_no_calibration_data(spec, int8):
    with create_pipeline(spec, int8) as pipeline:
        stored = load_model(pipeline.spec.path)
        expected = pipeline.run(FRAME).result
    with create_pipeline(stored, options('int8')) as pipeline:
        assert (pipeline.spec, pipeline.describe()['precision_effective']) == (stored, 'int8')
        np.testing.assert_array_equal(pipeline.run(FRAME).result.scores, expected.scores)
    # It is not compared with itself either.
    told = Told()
    with create_pipeline(stored, int8, monitor=told.monitor) as pipeline:
        assert 'agreement' not in pipeline.describe()
    assert not any('comparing' in text for text in told.texts)


@pytest.mark.parametrize('asked', ['fp16', 'int8'])
def test_strict_precision_refuses_what_cannot_be_met(spec, tmp_path, asked, int8):
    """ONNX Runtime never runs in fp16, and an fp16 file does not run in int8."""
    if asked == 'int8':
        spec = load_model(prepare_model(spec, 'fp16').path)
    runs_in = spec.stored_precision
    with pytest.raises(EngineError, match=(
            f'precision {asked} was requested, but ONNX Runtime would run {spec.path.name} in {runs_in}; '
            'strict_precision is set: set another precision, or set strict_precision to false')):
        create_pipeline(spec, replace(int8, precision=asked, strict_precision=True)).open()
    told = Told()
    with create_pipeline(spec, options(asked), monitor=told.monitor) as pipeline:
        assert pipeline.describe()['precision_effective'] == runs_in
    assert told.log == [(
        'warning', f'precision {asked} was requested, but ONNX Runtime runs {spec.path.name} in {runs_in}, as stored '
        'in the file')]


def test_strict_precision_is_met_by_what_is_there(spec, int8):
    for given in (options('fp32', strict_precision=True), replace(int8, strict_precision=True)):
        told = Told()
        with create_pipeline(spec, given, monitor=told.monitor) as pipeline:
            assert pipeline.describe()['precision_effective'] == given.precision
        assert [text for _, text in told.log if 'is slower than fp32' not in text] == []


@pytest.mark.parametrize('strict', [False, True])
@pytest.mark.parametrize('fp32, int8_ms, slower', [(20.0, 45.25, True), (20.0, 12.0, False)])
def test_the_faster_file_runs_and_the_log_has_both_times(spec, int8, monkeypatch, fp32, int8_ms, slower, strict):
    """How long it takes depends on the machine, so the times are replaced here, not the measurement of them."""
    measured = []

    def times(first, second, frames, turns, seconds, statistic):
        measured.append(times_in_turns(first, second, frames, turns, seconds, statistic))
        assert (first.spec.stored_precision, second.spec.stored_precision) == ('fp32', 'int8')
        return fp32, int8_ms

    monkeypatch.setattr(onnxruntime_pipeline, 'times_in_turns', times)
    told = Told()
    given = replace(int8, strict_precision=strict)
    with create_pipeline(spec, options('fp32')) as plain, create_pipeline(
            spec, given, monitor=told.monitor) as pipeline:
        expected, found = (opened.run(FRAME).result for opened in (plain, pipeline))
        described = pipeline.describe()
    assert len(measured) == 1
    assert min(measured[0]) > 0
    kept = 'strict_precision keeps int8' if strict else 'the fp32 file runs'
    assert told.log == [(
        'warning', 'int8 is slower than fp32 on ONNX Runtime on this machine: 45.2 ms instead of 20.0 ms for one '
        f'inference, so {kept}; set precision to fp32, or backend to openvino') if slower else (
        'info', 'int8 on ONNX Runtime on this machine: 12.0 ms instead of 20.0 ms for one inference in fp32')]
    if slower and not strict:
        assert (pipeline.spec, described['precision_effective']) == (spec, 'fp32')
        assert 'agreement' not in described
        assert 'execution_types' not in described
        np.testing.assert_array_equal(found.scores, expected.scores)
    else:
        assert described['precision_effective'] == 'int8'
        assert described['execution_types'].startswith('int8 (66.7 % of the arithmetic, 2 layers), fp32')
        assert 0 < np.abs(found.scores - expected.scores).max() < 4 / 127


def test_it_can_be_closed_in_every_state_and_opened_again(spec, int8):
    for given in (options('fp32'), int8):
        pipeline = create_pipeline(spec, given)
        pipeline.close()
        with pytest.raises(EngineError, match='the pipeline is not open'):
            pipeline.run(FRAME)
        results = []
        for _ in range(2):
            pipeline.open()
            results.append(pipeline.run(FRAME).result)
            pipeline.close()
            pipeline.close()
        np.testing.assert_array_equal(results[0].boxes, results[1].boxes)
        with pytest.raises(EngineError, match='the pipeline is not open'):
            pipeline.run(FRAME)


def test_a_file_that_does_not_load_leaves_it_closed(spec):
    pipeline = create_pipeline(spec, options('fp32'))
    content = spec.path.read_bytes()
    spec.path.write_bytes(content[:200])
    with pytest.raises(ModelError, match=r'model\.onnx changed after it was read'):
        pipeline.open()
    pipeline.close()
    spec.path.write_bytes(content)
    pipeline.open()
    assert len(pipeline.run(FRAME).result.scores) > 0
    pipeline.close()


def test_opening_can_be_cancelled(spec, cache, int8):
    told = Told(lambda text, done, total: told.cancel.set())
    pipeline = create_pipeline(spec, int8, monitor=told.monitor)
    with pytest.raises(EngineError, match=r'int8 of model\.onnx was cancelled while reading'):
        pipeline.open()
    assert list(cache.glob('*.onnx')) == []
    told.cancel.clear()
    # Cancelled during the comparison with fp32: the quantised file exists, the pipeline is not open.
    told = Told(lambda text, done, total: told.cancel.set() if 'comparing' in text else None)
    pipeline = create_pipeline(spec, int8, monitor=told.monitor)
    with pytest.raises(EngineError, match=r'comparing .* was cancelled'):
        pipeline.open()
    with pytest.raises(EngineError, match='the pipeline is not open'):
        pipeline.run(FRAME)
    assert len(list(cache.glob('*.onnx'))) == 1
