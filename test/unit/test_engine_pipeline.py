# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Decisions of EngineSource and EnginePipeline: refusals before a build, the accuracy gate, their states.

Tests of whole nodes on a GPU are in test/gpu. Here TensorRT for RTX builds engines, which needs no GPU, but cannot run
them without one. If a test needs a running engine, ONNX Runtime runs the model's file instead.
"""

import json
import re
import shutil
import sys
import types
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
import cv2
import onnx
from support.precision_models import color_folder, color_frames, conv_detector
from support.recording_monitor import Told

from trt_perception.backends.create import create_pipeline
from trt_perception.backends.onnxruntime_pipeline import OnnxRuntimePipeline
from trt_perception.backends.tensorrt import engine_source
from trt_perception.backends.tensorrt.cache.engine_cache import BuiltEngine
from trt_perception.backends.tensorrt.cache.engine_key import EngineKey
from trt_perception.backends.tensorrt.cuda import gpu_info
from trt_perception.backends.tensorrt.cuda.gpu_info import GpuInfo, has_gpu
from trt_perception.backends.tensorrt.engine_pipeline import EnginePipeline
from trt_perception.backends.tensorrt.engine_source import EngineSource, engine_key
from trt_perception.backends.tensorrt.library.compat import TensorRt, load
from trt_perception.backends.tensorrt.library.inspector import parse_layers
from trt_perception.errors import CalibrationError, EngineError, MissingDependencyError, ModelError, PlanError
from trt_perception.image.frame import Frame
from trt_perception.model.heads.yolo import DetectionSettings
from trt_perception.model.spec import load_model
from trt_perception.monitor import Monitor
from trt_perception.ort.backend import OnnxRuntimeBackend
from trt_perception.pipeline.host import HostPipeline
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.pipeline.tensorrt_options import BuildOptions
from trt_perception.precision.prepare import prepare_model

RECORDINGS = Path(__file__).parents[1] / 'data' / 'tensorrt_inspector'
CARD = GpuInfo('a card', '8.6', 28, 12288, integrated=False)
TARGET = BuildOptions(compute_capabilities=('8.6',), optimization_level=0)
FRAME = Frame.from_bgr(next(color_frames(1, seed=5)))
without_gpu = pytest.mark.skipif(has_gpu(), reason='there is a GPU')


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'trt_perception'


@pytest.fixture
def spec(tmp_path):
    return load_model(conv_detector(tmp_path / 'model.onnx'))


@pytest.fixture
def images(tmp_path):
    return str(color_folder(tmp_path / 'images', 48))


@pytest.fixture
def rtx():
    return pytest.importorskip(
        'tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')


@pytest.fixture
def a_gpu(monkeypatch):
    """A graphics card for the queries before a build; the later work does not need it."""
    monkeypatch.setattr(engine_source, 'gpu_info', lambda index: CARD)


def options(precision='fp32', source='', **changes):
    return PipelineOptions(
        'tensorrt', precision, calibration=CalibrationOptions(source, samples=32, method='mse'), **changes)


# -- which pipeline

@without_gpu
def test_the_backend_decides_the_pipeline(spec):
    assert isinstance(create_pipeline(spec, options()), EnginePipeline)
    assert isinstance(create_pipeline(spec, PipelineOptions('auto')), OnnxRuntimePipeline)
    with pytest.raises(ModelError, match="backend is 'opencv': expected one of auto, onnxruntime, openvino, tensorrt"):
        create_pipeline(spec, PipelineOptions('opencv'))


@pytest.mark.parametrize('version, others, said', [
    ('8.5.2', {}, 'found TensorRT 8.5.2, expected 8.6 or newer'),
    ('', {}, 'is not TensorRT, it has no version'),
    ('8.6.0', {'pycuda.driver': None, 'cuda.bindings.driver': None}, 'pycuda'),
    (None, {'tensorrt_rtx': None}, 'the Python package of TensorRT is not installed')])
def test_auto_with_a_gpu_but_no_tensorrt_that_can_be_used_says_why(spec, monkeypatch, version, others, said):
    monkeypatch.setattr(gpu_info, 'has_gpu', lambda: True)
    module = None if version is None else types.SimpleNamespace(__version__=version)
    for name, found in {'tensorrt': module, 'tensorrt_rtx': None, **others}.items():
        monkeypatch.setitem(sys.modules, name, found)
    told = Told()
    assert isinstance(create_pipeline(spec, PipelineOptions('auto'), monitor=told.monitor), OnnxRuntimePipeline)
    text, = told.warnings
    assert text.startswith('this machine has a GPU, but the model runs on the CPU: ') and said in text
    assert told.log[1:] == [
        ('info', 'backend auto: onnxruntime, because TensorRT does not run here, and openvino is not installed')]


def test_auto_with_a_gpu_takes_tensorrt(spec, monkeypatch):
    """The modules are replaced here; test/gpu has the real ones."""
    monkeypatch.setattr(gpu_info, 'has_gpu', lambda: True)
    # Too old, so that the other one is used.
    monkeypatch.setitem(sys.modules, 'tensorrt', types.SimpleNamespace(__version__='8.5.2'))
    monkeypatch.setitem(sys.modules, 'tensorrt_rtx', types.SimpleNamespace(__version__='1.7.1.116'))
    monkeypatch.setitem(sys.modules, 'pycuda', types.ModuleType('pycuda'))
    monkeypatch.setitem(sys.modules, 'pycuda.driver', types.SimpleNamespace(Error=Exception))
    told = Told()
    assert isinstance(create_pipeline(spec, PipelineOptions('auto'), monitor=told.monitor), EnginePipeline)
    assert told.log == [('info', 'backend auto: tensorrt, because a GPU, TensorRT and a CUDA package are found')]
    assert load().identity == 'tensorrt_rtx 1.7.1.116'


# -- open, without a GPU

@without_gpu
@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
def test_without_a_gpu_opening_is_one_error_that_says_what_to_do(rtx, spec, images, precision, cache_folder):
    told = Told()
    pipeline = create_pipeline(spec, options(precision, source=images), monitor=told.monitor)
    with pytest.raises((MissingDependencyError, EngineError), match='set backend to onnxruntime'):
        pipeline.open()
    # Before the model is converted: int8 takes half a minute.
    assert told.progress == []
    assert not cache_folder.exists()


@pytest.mark.parametrize('build, message', [
    ({'dla_core': 0}, 'dla_core is 0, but tensorrt.* finds no DLA cores here'),
    ({'hardware_compatibility': 'blackwell'}, "hardware_compatibility is 'blackwell': expected one of none, ampere_p"),
    ({'batch': (1, 2, 4)}, r'batch profile is \[1, 2, 4\], but model\.onnx has the fixed batch size 1'),
    ({'input_size': (32, 32)}, r'input_size is \[32, 32\], but the model was loaded for \[64, 64\]')])
def test_options_that_cannot_be_are_refused_before_the_model_is_converted(
        rtx, spec, images, a_gpu, cache_folder, build, message):
    told = Told()
    given = options('int8', source=images, build=BuildOptions(precision='int8', **build))
    with pytest.raises(EngineError, match=message):
        create_pipeline(spec, given, monitor=told.monitor).open()
    assert told.progress == []
    assert not cache_folder.exists()


@without_gpu
def test_every_state_without_an_engine(rtx, spec):
    pipeline = create_pipeline(spec, options())
    for _ in range(2):
        pipeline.close()
        assert pipeline.describe() == {}
        with pytest.raises(EngineError, match='the pipeline is not open'):
            pipeline.run(FRAME)
        with pytest.raises((MissingDependencyError, EngineError)):
            pipeline.open()
    with pytest.raises((MissingDependencyError, EngineError)), pipeline:
        pytest.fail('opened')


def test_int8_without_calibration_is_refused_before_anything_is_asked_of_the_gpu(rtx, spec):
    with pytest.raises(CalibrationError, match='int8 needs calibration data, found none'):
        create_pipeline(spec, options('int8')).open()


def test_a_file_of_another_precision_is_refused(rtx, spec):
    half = load_model(prepare_model(spec, 'fp16').path)
    with pytest.raises(ModelError, match='is stored in fp16: expected the fp32 file to convert to fp32'):
        create_pipeline(half, options('fp32')).open()


def test_opening_can_be_cancelled_while_the_model_is_prepared(rtx, spec, images, a_gpu, cache_folder):
    told = Told(lambda text, done, total: told.cancel.set())
    pipeline = create_pipeline(spec, options('int8', source=images), monitor=told.monitor)
    with pytest.raises(EngineError, match=r'int8 of model\.onnx was cancelled while reading'):
        pipeline.open()
    assert not list(cache_folder.rglob('*.onnx'))


@without_gpu
def test_an_int8_model_is_made_as_a_strongly_typed_tensorrt_needs_it(rtx, spec, images, a_gpu, cache_folder):
    if not load().is_strongly_typed(BuildOptions()):
        pytest.skip('TensorRT below 10 is installed')
    with pytest.raises((MissingDependencyError, EngineError)):
        create_pipeline(spec, options('int8', source=images)).open()
    records = [prepare_model(load_model(path), 'int8').record for path in cache_folder.rglob('*.onnx')]
    assert sorted(record.get('rest', 'fp32') for record in records) == ['fp16', 'fp32']


def test_the_key_of_an_engine_names_all_that_it_depends_on(spec):
    gpu = GpuInfo('Orin', '8.7', 16, 30720, True)
    tensorrt = TensorRt(None, 'tensorrt', (10, 3, 0), '10.3.0')
    given = BuildOptions(precision='int8', optimization_level=4)
    key = engine_key(spec, given, tensorrt, gpu, 'c' * 64)
    assert key == EngineKey(spec.sha256, 'tensorrt 10.3.0', 'Orin', '8.7', 16, 30720, given, 'c' * 64)
    # Each change makes another engine.
    others = [
        engine_key(replace(spec, sha256='d' * 64), given, tensorrt, gpu, 'c' * 64),
        engine_key(spec, replace(given, optimization_level=3), tensorrt, gpu, 'c' * 64),
        engine_key(spec, given, replace(tensorrt, version_text='10.13.3'), gpu, 'c' * 64),
        engine_key(spec, given, tensorrt, gpu),
        *(engine_key(spec, given, tensorrt, replace(gpu, **{name: value}), 'c' * 64) for name, value in (
            ('name', 'Thor'), ('compute_capability', '11.0'), ('multiprocessors', 20), ('memory_mib', 15360)))]
    assert len({key.digest(), *(other.digest() for other in others)}) == 9


# -- with an engine

def target_options(precision='fp32', source='', **changes):
    """Options whose engine TensorRT for RTX builds without a GPU."""
    return options(precision, source, build=replace(TARGET, precision=precision), **changes)


def store_engine(spec, given, plan=b'a plan', **report):
    """Put an engine into the cache for the pipeline; the report is added to its sidecar."""
    source = EngineSource(spec, given)
    prepared = source.prepare()
    key = engine_key(prepared.spec, given.build, source.library, CARD, prepared.calibration_sha256)
    return source.cache.get_or_build(
        key, prepared.path.name,
        lambda: BuiltEngine(plan, {'layers': [], 'precision_effective': given.precision, **report}))


def layers_of(name):
    """Return the layers of the recorded engine as a sidecar stores them."""
    recorded = parse_layers((RECORDINGS / f'8.6.0-{name}.json').read_text())
    return json.loads(json.dumps([asdict(layer) for layer in recorded]))


class OnOnnxRuntime(HostPipeline):
    """Runs a model's file instead of a plan; b'no plan' cannot be loaded."""

    def __init__(self, spec, load_plan, settings):
        super().__init__(spec, OnnxRuntimeBackend(spec.path, 1), settings)
        self._load_plan = load_plan

    def open(self):
        if self._load_plan() == b'no plan':
            raise PlanError('it is of another version')
        super().open()


@pytest.fixture
def pipeline_of(rtx, spec, a_gpu):
    """An EnginePipeline that is not open; call with options.

    other: spec of a file that runs instead of the engine, by default the model's file
    """
    pipelines = []

    def make(given, other=None, monitor=None):
        def choose(model, load_plan, tensorrt, options, settings, precision_effective, log):
            return OnOnnxRuntime(other or spec, load_plan, settings)

        pipelines.append(EnginePipeline(EngineSource(spec, given, monitor or Monitor()), choose=choose))
        return pipelines[-1]

    yield make
    for pipeline in pipelines:
        pipeline.close()


@pytest.fixture
def swapped(tmp_path):
    """The detector with green and red exchanged: about one third of the boxes are right."""
    weights = np.eye(3, dtype=np.float32)
    path = conv_detector(tmp_path / 'swapped.onnx', weights_of_first=weights[:, :, None, None])
    proto = onnx.load(str(path))
    mix, = [tensor for tensor in proto.graph.initializer if tensor.name == 'mix.weight']
    mix.CopyFrom(onnx.numpy_helper.from_array(weights[[0, 2, 1]][:, :, None, None], 'mix.weight'))
    onnx.save(proto, str(path))
    return load_model(path)


@pytest.fixture
def impossible(tmp_path):
    """The detector with scores up to 10, as a bad engine may give them."""
    path = conv_detector(tmp_path / 'impossible.onnx', weights_of_first=np.eye(3, dtype=np.float32)[:, :, None, None])
    proto = onnx.load(str(path))
    mix, = [tensor for tensor in proto.graph.initializer if tensor.name == 'mix.weight']
    mix.CopyFrom(onnx.numpy_helper.from_array(10 * onnx.numpy_helper.to_array(mix), 'mix.weight'))
    onnx.save(proto, str(path))
    return load_model(path)


def test_impossible_outputs_of_an_engine_are_blamed_on_its_precision(pipeline_of, impossible):
    with pytest.raises(
            EngineError, match=r"^model\.onnx in fp16 gives wrong results, although the model itself does not: output "
            r"'output0' has scores from .* to [0-9.]+: expected 0\.\.1; use fp32$"):
        pipeline_of(target_options('fp16', min_agreement=0.0), impossible).open()
    with pytest.raises(ModelError, match=r"^output 'output0' has scores from .*; if these are raw logits"):
        pipeline_of(target_options('fp32'), impossible).open()


def comparisons(told):
    return [text for text in told.texts if 'comparing' in text]


def test_an_engine_is_built_once_and_then_found(pipeline_of, cache_folder):
    given, told = target_options('fp16', min_agreement=0.0), Told()
    with pipeline_of(given, monitor=told.monitor) as pipeline:
        built = pipeline.describe()
    assert built['engine_from'] == 'build (none was built before)'
    plan, = cache_folder.glob('engines/*.plan')
    assert (plan.stem, plan.stat().st_size > 10_000) == (built['engine'], True)
    sidecar = json.loads(plan.with_suffix('.json').read_text())
    # The model that was converted to fp16.
    assert (sidecar['model'][:11], sidecar['key']['precision']) == ('model-fp16-', 'fp16')
    assert any(text.startswith('reading the model (') for text in told.texts)
    told.progress.clear()
    with pipeline_of(given, monitor=told.monitor) as pipeline:
        assert pipeline.describe() == {**built, 'engine_from': 'cache'}
    assert told.progress == []


def test_a_cached_engine_that_does_not_load_is_built_again(spec, pipeline_of, cache_folder):
    given, told = target_options(), Told()
    stored = store_engine(spec, given, b'no plan')
    with pipeline_of(given, monitor=told.monitor) as pipeline:
        assert pipeline.describe()['engine_from'] == 'build (none was built before)'
        assert len(pipeline.run(FRAME).result.scores) > 0
    assert told.warnings[0] == 'the cached engine cannot be loaded (it is of another version); building it again'
    assert len(stored.plan_path.read_bytes()) > 10_000


def test_a_build_without_the_cache_leaves_nothing_in_it(rtx, spec, cache_folder):
    source = EngineSource(spec, target_options())
    source.require_possible(into_cache=False)
    assert len(source.build(source.prepare()).plan) > 10_000
    assert not cache_folder.exists()


def test_a_build_can_be_cancelled(rtx, spec, cache_folder):
    told = Told(lambda text, done, total: told.cancel.set())
    source = EngineSource(spec, target_options(), told.monitor)
    with pytest.raises(EngineError, match=r'^the engine build for model\.onnx was cancelled$'):
        source.build(source.prepare())
    assert len(told.progress) == 1


def test_the_gates_report_is_kept_with_the_engine(images, pipeline_of, cache_folder):
    given, told = target_options('fp16', images, min_agreement=0.9), Told()
    with pipeline_of(given, monitor=told.monitor) as pipeline:
        described = pipeline.describe()
    assert comparisons(told) == ['comparing with ONNX Runtime fp32 on 16 frames']
    assert described['agreement'].startswith('agreement 1.000: ')
    sidecar, = cache_folder.glob('engines/*.json')
    kept = json.loads(sidecar.read_text())['agreement']
    assert (kept['value'], kept['frames'], kept['source']) == (1.0, 16, images)
    assert kept['matched'] > 16
    # From the cache: not measured again, also by another process.
    with pipeline_of(given, monitor=told.monitor) as pipeline:
        assert pipeline.describe() == {**described, 'engine_from': 'cache'}
    assert len(comparisons(told)) == 1


def test_a_gate_that_is_not_reached_names_the_numbers_each_time(images, pipeline_of, swapped, cache_folder):
    given, told = target_options('fp16', images, min_agreement=0.9), Told()
    texts = []
    for _ in range(2):
        pipeline = pipeline_of(given, swapped, told.monitor)
        with pytest.raises(EngineError) as found:
            pipeline.open()
        assert pipeline.describe() == {}
        texts.append(str(found.value))
    numbers = re.match(
        r'fp16 loses too much accuracy: expected an agreement of 0\.900 or more with ONNX Runtime fp32, found (\S+) '
        r'\(agreement \1: (\d+) boxes matched, (\d+) missing, (\d+) extra in 16 frames', texts[0])
    value, (matched, missing, extra) = float(numbers[1]), map(int, numbers.groups()[1:])
    assert 0.1 < value < 0.6
    assert value == pytest.approx(2 * matched / (2 * matched + missing + extra), abs=5e-4)
    assert texts[0] == texts[1]
    assert len(comparisons(told)) == 1
    # A lower min_agreement accepts the cached engine.
    with pipeline_of(replace(given, min_agreement=0.1), swapped) as lenient:
        assert lenient.describe()['engine_from'] == 'cache'


def test_other_frames_are_another_measurement(images, pipeline_of, swapped, tmp_path):
    # In pictures with only blue squares the exchange changes nothing.
    blue = tmp_path / 'blue'
    blue.mkdir()
    for index in range(6):
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[8 * index:8 * index + 8, 16:24] = (255, 0, 0)
        cv2.imwrite(str(blue / f'{index}.png'), pixels)
    given, told = target_options('fp32', str(blue), min_agreement=0.9), Told()
    pipeline = pipeline_of(given, swapped, told.monitor)
    pipeline.open()
    # The same folder, with other pictures in it.
    for file in blue.iterdir():
        file.unlink()
    for file in Path(images).iterdir():
        shutil.copy(file, blue)
    with pytest.raises(EngineError, match='loses too much'):
        pipeline.open()
    assert len(comparisons(told)) == 2
    # With the same pictures and other thresholds.
    pipeline.settings = PostprocessSettings(DetectionSettings(score_threshold=0.9, keep_classes=frozenset({0})))
    pipeline.open()
    assert len(comparisons(told)) == 3


def test_an_agreement_that_cannot_be_kept_is_a_warning(spec, images, pipeline_of):
    given, told = target_options('fp32', images, min_agreement=0.9), Told()
    engine = store_engine(spec, given, layers=layers_of('fp32'))
    # Nothing can be opened for writing, as on a full or read-only file system.
    lock = engine.plan_path.with_suffix('.lock')
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with pipeline_of(given, monitor=told.monitor) as pipeline:
        assert pipeline.describe()['agreement'].startswith('agreement 1.000: ')
    warning, = told.warnings
    assert warning.startswith('the agreement cannot be stored: ') and str(lock) in warning


def test_a_requested_gate_needs_something_to_compare(pipeline_of, swapped, tmp_path):
    cv2.imwrite(str(tmp_path / 'black.png'), np.zeros((64, 64, 3), np.uint8))
    given, told = target_options('fp32', str(tmp_path / 'black.png'), min_agreement=0.5), Told()
    # The second time from the stored report.
    for _ in range(2):
        with pytest.raises(EngineError, match=(
                r'min_agreement is 0\.5, but agreement not measured: nothing was detected in 1 frames: set '
                'calibration_source to frames that show what the model detects')):
            pipeline_of(given, swapped, told.monitor).open()
    assert len(comparisons(told)) == 1


def test_without_a_gate_nothing_is_measured(pipeline_of, cache_folder):
    told = Told()
    with pipeline_of(target_options(), monitor=told.monitor) as pipeline:
        assert 'agreement' not in pipeline.describe()
    sidecar, = cache_folder.glob('engines/*.json')
    assert 'agreement' not in json.loads(sidecar.read_text())
    assert comparisons(told) == []


@pytest.mark.parametrize('recorded, asked, message', [
    ('fp32', 'fp32', ''), ('fp16', 'fp16', ''), ('all_fp16', 'fp16', ''), ('int8', 'int8', ''),
    ('fp32', 'fp16', 'fp16 was requested, but the engine runs mostly in fp32: fp32 (100 %, 6 layers)'),
    ('all_fp16', 'int8', 'int8 was requested, but the engine runs mostly in fp16: fp16 (100 %, 5 layers)'),
    ('fp16', 'fp32', 'fp32 was requested, but the engine runs in fp16 (100 %, 3 layers), fp32 (0 %, 3 layers)'),
    ('', 'int8', 'int8 was requested, but TensorRT does not report the precision of the engine')])
def test_strict_precision_is_about_what_the_engine_runs_in(spec, images, pipeline_of, recorded, asked, message):
    """Engines of TensorRT 8.6.0, as its inspector described them, and one without a description."""
    given = target_options(asked, images if asked == 'int8' else '', min_agreement=0.0)
    store_engine(spec, given, layers=layers_of(recorded) if recorded else [])
    strict = pipeline_of(replace(given, strict_precision=True))
    if message:
        with pytest.raises(EngineError) as found:
            strict.open()
        assert str(found.value) == (
            f'{message}; strict_precision is set: set another precision, or set strict_precision to false')
        with pytest.raises(EngineError, match='the pipeline is not open'):
            strict.run(FRAME)
    else:
        strict.open()
    told = Told()
    pipeline_of(given, monitor=told.monitor).open()
    assert [text for text in told.warnings if 'was requested' in text] == ([message] if message else [])


def test_settings_reach_the_running_engine(spec, pipeline_of):
    given = target_options()
    store_engine(spec, given)
    pipeline = pipeline_of(given)
    pipeline.open()
    found = len(pipeline.run(FRAME).result.scores)
    assert found > 0
    nothing = PostprocessSettings(DetectionSettings(score_threshold=1.0))
    pipeline.settings = nothing
    assert pipeline.settings is nothing
    assert len(pipeline.run(FRAME).result.scores) < found
    pipeline.close()
    pipeline.settings = PostprocessSettings()
    with pytest.raises(EngineError, match='the pipeline is not open'):
        pipeline.run(FRAME)
