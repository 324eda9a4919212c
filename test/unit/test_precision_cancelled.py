# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Each phase of a conversion reports its progress and can be cancelled."""

import itertools

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
from support.precision_models import color_folder, conv_detector
from support.recording_monitor import Told

from trt_perception.errors import EngineError
from trt_perception.model.spec import load_model
from trt_perception.monitor import Monitor
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.precision.gate import checking_frames
from trt_perception.precision.prepare import ConversionOptions, prepare_model

SAMPLES, CHECKING, IMAGES = 10, 5, 15
METHODS = ('minmax', 'entropy', 'percentile', 'mse')
# The progress texts of a whole run, in this order.
PHASES = {
    'fp16': ('reading', 'preparing frames', 'reading the model', 'looking for values beyond float16',
             'converting to float16'),
    'int8': ('reading', 'preparing frames', 'reading the model', 'finding the largest values', 'counting values',
             'computing float32 results',
             *itertools.chain.from_iterable(
                 (f'computing ranges by method {method}', f'measuring calibration method {method}')
                 for method in METHODS),
             'computing ranges by method', 'measuring what int8 costs in each layer', 'making the int8 model',
             'converting the float layers to float16')}
EVERY_PHASE = [(precision, index) for precision, phases in PHASES.items() for index in range(len(phases))]


class Cancelled(Exception):
    """The exception that the progress callbacks here raise."""


@pytest.fixture
def spec(tmp_path):
    # `back` cannot be int8, so the search takes several steps.
    uneven = np.diag([1000.0, 1.0, 1.0]).astype(np.float32)[:, :, None, None]
    return load_model(conv_detector(tmp_path / 'model.onnx', weights_of_first=uneven))


@pytest.fixture
def options(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return CalibrationOptions(str(color_folder(tmp_path / 'images', IMAGES)), samples=SAMPLES, checking=CHECKING)


def convert(spec, precision, options, output, progress):
    prepare_model(spec, precision, options, output, Monitor(progress), conversion=ConversionOptions(half_rest=True))


def phases_of(calls):
    """Group consecutive calls with the same text: [(text, [done, ...])]."""
    return [
        (text, [done for _, done, _ in group]) for text, group in itertools.groupby(calls, key=lambda call: call[0])]


def is_phase(text, expected, options):
    return text == f'reading {options.source}' if expected == 'reading' else text.startswith(expected)


@pytest.mark.parametrize('precision', PHASES)
def test_each_phase_tells_of_each_of_its_steps(spec, options, precision, tmp_path):
    calls = []
    convert(spec, precision, options, tmp_path / 'out.onnx', lambda *call: calls.append(call))
    phases = phases_of(calls)
    assert len(phases) == len(PHASES[precision]), [text for text, _ in phases]
    steps = dict(phases)
    for (text, _), expected in zip(phases, PHASES[precision]):
        assert is_phase(text, expected, options), (text, expected)
    assert all(total is None or 0 <= done <= total for _, done, total in calls)
    on_samples = [text for text in steps if text.startswith(('looking', 'finding', 'counting'))]
    assert len(on_samples) == (1 if precision == 'fp16' else 2)
    for text in on_samples:
        assert steps[text] == list(range(SAMPLES + 1))
    if precision == 'int8':
        for text in ('computing float32 results', *(f'measuring calibration method {name}' for name in METHODS)):
            assert steps[text] == [0, *range(CHECKING + 1)]
        # Both layers together, then each layer: each of these steps reports at least once for each frame.
        layers = steps['measuring what int8 costs in each layer']
        assert all(layers.count(step) > CHECKING for step in range(3))


@pytest.mark.parametrize('precision, phase', EVERY_PHASE)
@pytest.mark.parametrize('last', [False, True])
@pytest.mark.parametrize('cached', [False, True])
def test_a_cancel_in_any_phase_ends_it_there_and_leaves_nothing(
        spec, options, precision, phase, last, cached, tmp_path):
    calls = []
    output = None if cached else tmp_path / 'out' / 'model.onnx'
    (tmp_path / 'out').mkdir()
    convert(spec, precision, options, tmp_path / 'whole.onnx', lambda *call: calls.append(call))
    phases = phases_of(calls)
    # The number of the first or the last report of that phase.
    before = sum(len(done) for _, done in phases[:phase])
    index = before + (len(phases[phase][1]) - 1 if last else 0)
    seen = []

    def progress(*call):
        seen.append(call)
        if len(seen) == index + 1:
            raise Cancelled

    with pytest.raises(Cancelled):
        convert(spec, precision, options, output, progress)
    assert seen == calls[:index + 1]
    assert list((tmp_path / 'out').iterdir()) == []
    if cached:
        made = [path.name for path in (tmp_path / 'cache').rglob('*') if path.is_file() and path.suffix != '.lock']
        # The step before half_rest writes its own file, which is complete and valid.
        halving = phases[phase][0] == 'converting the float layers to float16'
        assert len(made) == (2 if halving else 0), made


@pytest.mark.parametrize('precision, phase', [
    ('fp16', 'looking for values beyond float16'), ('fp16', 'converting to float16'), ('int8', 'counting values'),
    ('int8', 'measuring calibration method mse'), ('int8', 'making the int8 model')])
def test_the_monitor_is_told_of_it_and_ends_it(spec, options, precision, phase):
    told = Told(lambda text, done, total: told.cancel.set() if text == phase else None)
    with pytest.raises(EngineError, match=rf'{precision} of model\.onnx was cancelled while {phase}'):
        prepare_model(spec, precision, options, monitor=told.monitor)
    assert told.texts[-1] == phase
    assert told.texts.count(phase) == 1


def test_reading_the_frames_of_the_gate_can_be_cancelled(spec, options):
    told = Told(lambda text, done, total: told.cancel.set())
    wanted = PipelineOptions(precision='fp16', calibration=options, min_agreement=0.5)
    with pytest.raises(EngineError, match=r'comparing model\.onnx with ONNX Runtime was cancelled while reading'):
        checking_frames(spec, wanted, (), told.monitor)
    assert len(told.progress) == 1
