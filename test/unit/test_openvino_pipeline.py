# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A model on OpenVINO in each precision: the same results as ONNX Runtime, the cache, cancelling, refusals."""

import json
import os
import platform
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
pytest.importorskip('openvino', reason='needs openvino: pip install openvino')
from onnx import numpy_helper
from support import int8_graphs
from support.precision_models import color_folder, color_frames, conv_classifier, conv_detector, dfl_detector
from support.quantised_models import quantise_edges
from support.recording_monitor import Told
from support.silu_model import silu_detector
from support.tiny_models import FLOAT, FLOAT16, UINT8, color_classifier, color_detector, color_segmenter, save

from trt_perception.advice.packages import install_line
from trt_perception.advice.platform import this_platform
from trt_perception.backends import openvino_pipeline
from trt_perception.backends.create import create_pipeline
from trt_perception.backends.openvino_pipeline import OpenVinoPipeline
from trt_perception.backends.tensorrt.cuda import gpu_info
from trt_perception.dependencies import require
from trt_perception.errors import CalibrationError, EngineError, ModelError
from trt_perception.image.frame import Frame
from trt_perception.model.normalisation import METADATA_KEY
from trt_perception.model.spec import load_model
from trt_perception.openvino_runtime import compiled_model
from trt_perception.openvino_runtime.backend import capabilities
from trt_perception.openvino_runtime.compilation import Compilation, compiled, half_type
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.pipeline.preprocess import Preprocessor
from trt_perception.precision import form as precision_form
from trt_perception.precision import stored_int8
from trt_perception.precision.parity import compare
from trt_perception.precision.prepare import ConversionOptions, prepare_model

FRAME = Frame.from_bgr(next(color_frames(1, seed=5)))
ON_ARM = platform.machine() in ('aarch64', 'arm64')
computes_int8 = pytest.mark.skipif(
    ON_ARM, reason='OpenVINO 2026.4.1 computes this int8 model in float on ARM (docs/openvino.md)')


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'trt_perception' / 'openvino'


@pytest.fixture
def spec(tmp_path):
    return load_model(conv_detector(tmp_path / 'model.onnx'))


@pytest.fixture
def int8(tmp_path):
    return options('int8', calibration=CalibrationOptions(
        str(color_folder(tmp_path / 'images', 48)), samples=32, method='mse'))


@pytest.fixture
def without_half(monkeypatch):
    """A CPU that computes in neither bf16 nor f16, such as an x86-64 of before 2020."""
    monkeypatch.setattr(openvino_pipeline, 'capabilities', lambda: ('FP32', 'INT8'))
    monkeypatch.setattr('trt_perception.openvino_runtime.backend.capabilities', lambda: ('FP32', 'INT8'))


def assert_int8(pipeline):
    """The pipeline computes in int8. On ARM, OpenVINO 2026.4.1 computes such files in float, with their rounding."""
    assert pipeline.describe()['precision_effective'] == 'int8' or ON_ARM


def options(precision='fp32', backend='openvino', **changes):
    return PipelineOptions(backend, precision, num_threads=1, **changes)


def in_half():
    if half_type(capabilities()) is None:
        pytest.skip('needs a CPU that computes in bf16 or f16')


def assert_same(spec, frames, tolerance=1e-5):
    reference = create_pipeline(spec, options(backend='onnxruntime'))
    with reference, create_pipeline(spec, options()) as candidate:
        agreement = compare(reference, candidate, frames)
    assert not agreement.says_nothing
    assert agreement.value == 1.0
    assert agreement.min_iou > 0.9999
    assert agreement.max_score_difference < tolerance


def assert_finds_the_same(reference, candidate, largest):
    """Boxes within 0.5 pixels, scores within `largest`."""
    for picture in color_frames(4, seed=7):
        frame = Frame.from_bgr(picture)
        expected, found = reference.run(frame).result, candidate.run(frame).result
        order, other = np.lexsort(expected.boxes.T), np.lexsort(found.boxes.T)
        np.testing.assert_allclose(found.boxes[other], expected.boxes[order], atol=0.5)
        assert np.abs(found.scores[other] - expected.scores[order]).max() < largest


def test_the_results_are_those_of_onnx_runtime(spec):
    assert_same(spec, [Frame.from_bgr(image) for image in color_frames(4, seed=1)])


@pytest.mark.parametrize('layout, dtype', [
    ('nchw', FLOAT), ('nhwc', FLOAT), ('nchw', FLOAT16), ('nhwc', UINT8)])
@pytest.mark.parametrize('encoding', ['bgr8', 'rgb8', 'mono8'])
def test_layouts_types_and_colour_orders(tmp_path, layout, dtype, encoding):
    """Letterbox, padding and colours: each pixel reaches the network as on ONNX Runtime."""
    path = color_detector(tmp_path / 'm.onnx', 64, 64, layout=layout, dtype=dtype)
    shape = (50, 90) if encoding == 'mono8' else (50, 90, 3)
    pixels = np.random.default_rng(3).integers(0, 256, shape, np.uint8)
    frame = Frame(encoding, 90, 50, pixels.strides[0], False, pixels.reshape(-1))
    spec = load_model(path)
    spec = replace(spec, preprocessing=replace(spec.preprocessing, color_order='rgb'))
    with create_pipeline(spec, options(backend='onnxruntime')) as reference, \
            create_pipeline(spec, options()) as candidate:
        expected = reference._infer(reference._input(Preprocessor(reference.spec), frame)[0])
        found = candidate._infer(candidate._input(Preprocessor(candidate.spec), frame)[0])
    np.testing.assert_allclose(found, expected, atol=2e-3 if dtype == FLOAT16 else 1e-5)


def test_mean_and_std_are_applied_in_the_models_order(tmp_path):
    path = conv_classifier(tmp_path / 'm.onnx')
    model = onnx.load(str(path))
    entry = next((entry for entry in model.metadata_props if entry.key == METADATA_KEY), model.metadata_props.add())
    entry.key, entry.value = METADATA_KEY, json.dumps({
        'color_order': 'rgb', 'scale': 1 / 255, 'mean': [0.1, 0.5, 0.9], 'std': [0.3, 0.2, 0.1]})
    onnx.save(model, str(path))
    assert_same(load_model(path), [Frame.from_bgr(image) for image in color_frames(4, seed=2)], 1e-4)


def test_a_grey_model(tmp_path):
    nodes = [onnx.helper.make_node('ReduceMean', ['images'], ['mean'], axes=[2, 3], keepdims=0),
             onnx.helper.make_node('Mul', ['mean', 'gains'], ['logits'])]
    path = save(tmp_path / 'm.onnx', nodes, {'images': (FLOAT, [1, 1, 8, 8])}, {'logits': (FLOAT, [1, 3])},
                {'gains': np.array([[-2, 0, 2]], np.float32)}, {'names': {0: 'a', 1: 'b', 2: 'c'}})
    assert_same(load_model(path), [Frame.from_bgr(image) for image in color_frames(3, size=16, seed=2)])


def test_fp32_is_read_back(spec, cache):
    told = Told()
    with create_pipeline(spec, options(strict_precision=True), monitor=told.monitor) as pipeline:
        described = pipeline.describe()
        assert len(pipeline.run(FRAME).result.scores) > 0
    assert (described['backend'], described['device'], described['pipeline']) == ('openvino', 'CPU', 'host')
    assert described['backend_version'].count('.') == 2
    assert described['precision_effective'] == 'fp32'
    assert described['execution_types'].startswith('f32 (100 % of the arithmetic, ')
    assert 'agreement' not in described
    assert told.log == []
    assert [path.suffix for path in sorted(cache.glob('model*'))] == ['.blob', '.json']


def test_fp16_is_read_back(spec):
    in_half()
    with create_pipeline(spec, options(strict_precision=True)) as plain, \
            create_pipeline(spec, options('fp16', strict_precision=True)) as pipeline:
        described = pipeline.describe()
        expected, found = plain.run(FRAME).result, pipeline.run(FRAME).result
    assert described['precision_effective'] == 'fp16'
    assert described['execution_types'].split()[0] in ('bf16', 'f16')
    np.testing.assert_array_equal(found.class_indices, expected.class_indices)
    # bf16 has 8 bits.
    assert 0 < np.abs(found.scores - expected.scores).max() < 3 / 256


def test_the_expectation_over_the_bins_of_a_box_stays_in_float32(tmp_path):
    """YOLOv8's decoding of boxes: OpenVINO itself would run its softmax and its convolution in bf16."""
    if half_type(capabilities()) != 'bf16':
        pytest.skip('needs a CPU that computes in bf16')
    spec = load_model(dfl_detector(tmp_path / 'm.onnx'))
    openvino = require('openvino')
    model = compiled(openvino.Core(), replace(openvino_pipeline.compilation(spec), precision='bf16'))
    types = {}
    for node in model.get_runtime_model().get_ordered_ops():
        information = node.get_rt_info()
        types.setdefault(information['layerType'].value, set()).add(information['runtimePrecision'].value)
    assert 'bf16' in types['Convolution']
    assert types['Softmax'] == {'f32'}
    pixels = next(color_frames(1, seed=5))[np.newaxis]
    plain = compiled(openvino.Core(), openvino_pipeline.compilation(spec))
    boxes, expected = (np.array(one(pixels)[spec.head.output_name])[0, :4] for one in (model, plain))
    np.testing.assert_allclose(boxes, expected, atol=0.5)


def test_fp16_on_a_cpu_without_it(spec, without_half):
    told = Told()
    with create_pipeline(spec, options('fp16'), monitor=told.monitor) as pipeline:
        assert pipeline.describe()['precision_effective'] == 'fp32'
    (severity, text), = told.log
    assert severity == 'warning'
    assert text.startswith('fp16 was requested, but OpenVINO runs the model mostly in fp32: f32 (100 %')
    with pytest.raises(EngineError, match='this CPU computes in neither bf16 nor f16, and OpenVINO would run model'):
        create_pipeline(spec, options('fp16', strict_precision=True)).open()


@computes_int8
def test_int8_runs_the_quantised_file_and_passes_the_gate(spec, int8):
    with create_pipeline(spec, options()) as plain, \
            create_pipeline(spec, replace(int8, strict_precision=True)) as pipeline:
        described = pipeline.describe()
        expected, found = plain.run(FRAME).result, pipeline.run(FRAME).result
    assert pipeline.spec.stored_precision == 'int8'
    assert pipeline.spec.path.name.startswith('model-int8-openvino-')
    assert described['precision_effective'] == 'int8'
    assert described['execution_types'].split()[0] in ('i8', 'u8')
    assert described['agreement'].startswith('agreement 1.000: ')
    np.testing.assert_array_equal(found.class_indices, expected.class_indices)
    assert 0 < np.abs(found.scores - expected.scores).max() < 0.03
    with pytest.raises(EngineError, match=r'int8 loses too much accuracy: expected an agreement of 1\.010 or more'):
        create_pipeline(spec, replace(int8, min_agreement=1.01)).open()
    with pytest.raises(EngineError, match='the pipeline is not open'):
        pipeline.run(FRAME)


def test_int8_behind_a_concat_finds_the_same(tmp_path, int8):
    """From the file for TensorRT OpenVINO 2026.4.1 would compute other results."""
    spec = load_model(silu_detector(tmp_path / 'silu.onnx'))
    told = Told()
    with create_pipeline(spec, options()) as plain, create_pipeline(spec, int8, monitor=told.monitor) as pipeline:
        assert_int8(pipeline)
        assert_finds_the_same(plain, pipeline, 0.04)
    assert len(told.warnings) == ON_ARM


@computes_int8
@pytest.mark.parametrize('exact_bits, in_float', [(8, False), (7, True)])
def test_an_int8_file_for_tensorrt_finds_the_same(tmp_path, int8, monkeypatch, exact_bits, in_float):
    """The CPU is told to be another one. OpenVINO would find nothing behind the Concat of signed int8."""
    spec = load_model(silu_detector(tmp_path / 'silu.onnx'))
    path = prepare_model(spec, 'int8', int8.calibration).path
    stored = load_model(path if in_float else narrow(path, tmp_path / 'narrow.onnx'))
    monkeypatch.setattr(stored_int8, 'exact_weight_bits', lambda: exact_bits)
    told, loose = Told(), replace(int8, min_agreement=0.0)
    plain = create_pipeline(stored, replace(loose, backend='onnxruntime'))
    with plain, create_pipeline(stored, loose, monitor=told.monitor) as pipeline:
        assert (pipeline.describe()['precision_effective'] == 'int8') != in_float
        assert_finds_the_same(plain, pipeline, 0.02)
    assert told.warnings == ([
        f'{stored.path.name} runs in float, with the rounding of its int8, because its weights have 8 bits, and sums '
        'of int8 products saturate on this CPU: for int8 make the file from the fp32 model on this machine with '
        'trt_perception quantize --form openvino'] if in_float else [])
    if in_float:
        with pytest.raises(EngineError, match=r'int8 was requested, but OpenVINO runs the model mostly in .*; strict'):
            create_pipeline(stored, replace(loose, strict_precision=True)).open()


@pytest.mark.parametrize('form', ['cpu', 'openvino'])
def test_an_int8_file_that_was_made_on_a_cpu_that_saturates_runs_in_int8(tmp_path, int8, monkeypatch, form):
    """Both CPUs are told to be another one: its weights have 7 bits."""
    for module in (precision_form, stored_int8):
        monkeypatch.setattr(module, 'exact_weight_bits', lambda: 7)
    spec = load_model(silu_detector(tmp_path / 'silu.onnx'))
    path = prepare_model(spec, 'int8', int8.calibration, conversion=ConversionOptions(form=form)).path
    told, loose = Told(), replace(int8, min_agreement=0.0)
    with create_pipeline(spec, options()) as plain, \
            create_pipeline(load_model(path), loose, monitor=told.monitor) as pipeline:
        assert_int8(pipeline)
        assert_finds_the_same(plain, pipeline, 0.05)
    assert len(told.warnings) == ON_ARM


def narrow(path, target):
    """Write the int8 file, whose graph quantises the weights, with weights of 7 bits; returns the target."""
    model = onnx.load(str(path))
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == 'QuantizeLinear' and node.input[0] in constants:
            scale = constants[node.input[1]]
            scale.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(scale) * 127 / 64, scale.name))
    onnx.save(model, str(target))
    return target


@pytest.mark.parametrize('activations', [np.int8, np.uint8])
@pytest.mark.parametrize('make', [int8_graphs.joined, int8_graphs.of_integers])
@pytest.mark.parametrize('bits', [7, 8])
def test_int8_graphs_give_what_the_file_means(tmp_path, monkeypatch, activations, make, bits):
    """OpenVINO alone differs by 30 % for signed int8, and crashes on uint8 with QLinearConv."""
    model = make(activations, bits)
    path = tmp_path / 'm.onnx'
    onnx.save(model, str(path))

    class Spec:
        file_format, stored_precision = 'onnx', 'int8'

    Spec.path = path
    how = stored_int8.for_openvino(Spec)
    work = Compilation(
        str(path), 'x', (1, 8, 16, 16), 'nchw', 'bgr', from_pixels=False, unsigned=how.unsigned,
        in_float=bool(how.in_float))
    found = compiled(require('openvino').Core(), work)(int8_graphs.values())[0]
    expected = int8_graphs.exact(model)
    # QLinearConv's result may be rounded to the next integer.
    largest = 1e-3 if make is int8_graphs.joined else 0.03
    assert np.sqrt(np.mean((found - expected) ** 2) / np.mean(expected ** 2)) < largest


def test_int8_without_calibration_is_refused(spec):
    with pytest.raises(CalibrationError, match='int8 needs calibration data, found none'):
        create_pipeline(spec, options('int8')).open()


@computes_int8
def test_an_int8_file_does_not_become_fp32(tmp_path, spec, int8):
    """With fp32 it still runs in int8, which is a warning, or an error with strict_precision."""
    stored = load_model(narrow(prepare_model(spec, 'int8', int8.calibration).path, tmp_path / 'narrow.onnx'))
    told = Told()
    with create_pipeline(stored, options(), monitor=told.monitor) as pipeline:
        assert pipeline.describe()['precision_effective'] == 'int8'
    assert told.log[0][1].startswith('fp32 was requested, but OpenVINO runs the model in ')
    with pytest.raises(EngineError, match='strict_precision is set'):
        create_pipeline(stored, options(strict_precision=True)).open()


# auto


def test_auto_takes_openvino_and_says_why(spec, monkeypatch):
    monkeypatch.setattr(gpu_info, 'has_gpu', lambda: False)
    told = Told()
    assert isinstance(create_pipeline(spec, options(backend='auto'), monitor=told.monitor), OpenVinoPipeline)
    assert told.log == [
        ('info', 'backend auto: openvino, because TensorRT does not run here, and openvino is installed')]
    told = Told()
    create_pipeline(spec, options(), monitor=told.monitor)
    assert told.log == []


def test_auto_with_an_openvino_that_cannot_be_imported(spec, tmp_path):
    """A library of it is missing, for example: ONNX Runtime runs the model, and a warning says why."""
    (tmp_path / 'openvino').mkdir()
    (tmp_path / 'openvino' / '__init__.py').write_text("raise ImportError('libopenvino.so: no such file')")
    code = (
        'import sys\n'
        'from trt_perception.backends.create import chosen_backend\n'
        'from trt_perception.monitor import Monitor\n'
        'from trt_perception.backends.tensorrt.cuda import gpu_info\n'
        'from trt_perception.model.spec import load_model\n'
        'gpu_info.has_gpu = lambda: False\n'
        "print(chosen_backend('auto', Monitor(log=lambda *said: print(*said)), load_model(sys.argv[1])))\n")
    done = subprocess.run(
        [sys.executable, '-c', code, str(spec.path)], capture_output=True, text=True, check=True,
        env={**os.environ, 'PYTHONPATH': os.pathsep.join([str(tmp_path), *filter(None, sys.path)])})
    assert done.stdout.splitlines() == [
        'warning OpenVINO is not used: openvino is installed but cannot be imported: libopenvino.so: no such file; '
        f'{install_line("openvino", this_platform(), again=True)}',
        'onnxruntime']


# The cache


def blobs(cache):
    return sorted(cache.glob('*.blob'))


def test_a_compiled_model_is_used_again(spec, cache, monkeypatch):
    with create_pipeline(spec, options()) as pipeline:
        expected = pipeline.run(FRAME).result
    monkeypatch.setattr(compiled_model, 'start_module', lambda *_, **__: pytest.fail('it was compiled again'))
    with create_pipeline(spec, options()) as pipeline:
        np.testing.assert_array_equal(pipeline.run(FRAME).result.boxes, expected.boxes)
    assert len(blobs(cache)) == 1


@pytest.mark.parametrize('change', ['threads', 'model', 'version', 'cpu'])
def test_another_model_setting_version_or_cpu_has_its_own_entry(spec, cache, tmp_path, monkeypatch, change):
    with create_pipeline(spec, options()):
        pass
    chosen = options()
    if change == 'threads':
        chosen = replace(chosen, num_threads=2)
    elif change == 'model':
        spec = load_model(conv_detector(tmp_path / 'model.onnx', batch_norm=True))
    elif change == 'version':
        monkeypatch.setattr(compiled_model, '_FORMAT', 2)
    else:
        monkeypatch.setattr(compiled_model, 'cpu_features', lambda path: 'another CPU')
    with create_pipeline(spec, chosen) as pipeline:
        assert len(pipeline.run(FRAME).result.scores) > 0
    assert len(blobs(cache)) == 2


def test_features_of_the_cpu(tmp_path):
    info = tmp_path / 'cpuinfo'
    digests = set()
    for flags in ('sse avx', 'sse avx avx512_bf16'):
        info.write_text(f'processor : 0\nmodel name : X\nflags : {flags}\ncpu MHz : {len(flags)}\n')
        digests.add(compiled_model.cpu_features(info))
    info.write_text('processor : 0\nmodel name : X\nflags : sse avx\ncpu MHz : 1\n')
    assert compiled_model.cpu_features(info) in digests
    assert len(digests) == 2


@pytest.mark.parametrize('damage', ['cut', 'other', 'foreign'])
def test_a_broken_or_foreign_entry_is_compiled_again(spec, cache, damage):
    with create_pipeline(spec, options()):
        pass
    blob, = blobs(cache)
    whole = blob.read_bytes()
    if damage == 'cut':
        blob.write_bytes(whole[:1000])
    elif damage == 'other':
        blob.write_bytes(bytes(len(whole)))
    else:
        # Intact by its record, but nothing that OpenVINO can import.
        record = json.loads((cache / f'{blob.name}.json').read_text())
        compiled_model.store(blob, b'not a compiled model', record['recipe'])
    told = Told()
    with create_pipeline(spec, options(), monitor=told.monitor) as pipeline:
        assert len(pipeline.run(FRAME).result.scores) > 0
    assert any('the cached compiled model cannot be loaded' in text for _, text in told.log) == (damage == 'foreign')
    assert len(blob.read_bytes()) > 1000
    assert blob.read_bytes() != bytes(len(whole))


def test_a_cache_that_cannot_be_written(spec, tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'file'))
    told = Told()
    with create_pipeline(spec, options(), monitor=told.monitor) as pipeline:
        assert len(pipeline.run(FRAME).result.scores) > 0
    assert [severity for severity, _ in told.log] == ['warning']
    assert told.log[0][1].startswith('the compiled model is not stored: ')


# Loading


def test_cancelled_it_ends_and_leaves_nothing(spec, cache, monkeypatch):
    told = Told()
    started = []
    start = compiled_model.start_module

    def starting(*arguments, **keywords):
        started.append(start(*arguments, **keywords))
        told.cancel.set()
        return started[0]

    monkeypatch.setattr(compiled_model, 'start_module', starting)
    pipeline = create_pipeline(spec, options(), monitor=told.monitor)
    with pytest.raises(EngineError, match=r'compiling model\.onnx was cancelled'):
        pipeline.open()
    assert started[0].returncode is not None
    assert blobs(cache) == []
    with pytest.raises(EngineError, match='the pipeline is not open'):
        pipeline.run(FRAME)


def test_a_killed_compilation_is_one_clear_error(spec, monkeypatch):
    start = compiled_model.start_module

    def killed(*arguments, **keywords):
        process = start(*arguments, **keywords)
        process.kill()
        return process

    monkeypatch.setattr(compiled_model, 'start_module', killed)
    with pytest.raises(ModelError, match=r'OpenVINO was ended by SIGKILL while it compiled .*: memory ran out'):
        create_pipeline(spec, options()).open()


def test_without_a_child_process_it_compiles_itself(spec, monkeypatch):
    def refuse(*_, **__):
        raise OSError('no more processes')

    monkeypatch.setattr(compiled_model, 'start_module', refuse)
    with create_pipeline(spec, options()) as pipeline:
        assert len(pipeline.run(FRAME).result.scores) > 0


def test_an_operator_that_openvino_does_not_have(tmp_path):
    path = color_classifier(tmp_path / 'm.onnx')
    model = onnx.load(str(path))
    first = model.graph.node[0].input[0]
    model.graph.node[0].input[0] = 'odd'
    model.graph.node.insert(0, onnx.helper.make_node('NoSuchThing', [first], ['odd'], domain='odd.domain'))
    model.opset_import.append(onnx.helper.make_opsetid('odd.domain', 1))
    onnx.save(model, str(path))
    with pytest.raises(ModelError) as error:
        create_pipeline(load_model(path), options()).open()
    text = str(error.value)
    assert text.startswith('OpenVINO 20')
    assert 'NoSuchThing' in text and 'set backend to onnxruntime' in text
    assert 'Exception from' not in text and '\n' not in text


def test_a_file_that_changed_is_not_compiled(spec, cache):
    pipeline = create_pipeline(spec, options())
    content = spec.path.read_bytes()
    spec.path.write_bytes(content[:200])
    with pytest.raises(ModelError, match=r'model\.onnx changed after it was read'):
        pipeline.open()
    assert blobs(cache) == []
    spec.path.write_bytes(content)
    pipeline.open()
    pipeline.close()
    pipeline.close()
    pipeline.open()
    assert len(pipeline.run(FRAME).result.scores) > 0
    pipeline.close()


def test_results_of_earlier_frames_stay(spec):
    """OpenVINO overwrites its output in the next run."""
    with create_pipeline(spec, options()) as pipeline:
        frames = [Frame.from_bgr(image) for image in color_frames(2, seed=7)]
        first = pipeline.run(frames[0]).result
        kept = first.boxes.copy(), first.scores.copy()
        pipeline.run(frames[1])
        np.testing.assert_array_equal(first.boxes, kept[0])
        np.testing.assert_array_equal(first.scores, kept[1])


def test_other_threads_run_during_an_inference(spec):
    with create_pipeline(spec, options()) as pipeline:
        done, ticks = threading.Event(), []

        def tick():
            while not done.wait(0.0001):
                ticks.append(1)

        thread = threading.Thread(target=tick)
        thread.start()
        try:
            for _ in range(200):
                pipeline.run(FRAME)
        finally:
            done.set()
            thread.join()
        assert len(ticks) > 3


@pytest.mark.parametrize('rules', [
    {'images': ('uint8', 1 / 255, 0), 'output0': ('uint8', 0.25, 0)},
    {'images': ('int8', 1 / 255, -128)}, {'images': ('uint8', 1 / 200, 20), 'output0': ('int8', 0.5, -128)}])
@pytest.mark.parametrize('layout', ['nchw', 'nhwc'])
def test_a_quantised_input_and_output(tmp_path, rules, layout):
    """The raw pixels, or the integers that the preprocessing makes of them; the results are ONNX Runtime's."""
    names = {'names': ['red', 'green', 'blue'], METADATA_KEY: '{"scale": 0.00392156862745098}'}
    spec = load_model(quantise_edges(color_detector(tmp_path / 'm.onnx', layout=layout, metadata=names), rules))
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[8:16, 24:32, 2] = 255
    pixels[48:56, 40:48, 0] = 160
    frame = Frame.from_bgr(pixels)
    with create_pipeline(spec, options('fp32')) as found, \
            create_pipeline(spec, PipelineOptions('onnxruntime', 'fp32')) as expected:
        first, second = found.run(frame).result, expected.run(frame).result
    assert second.class_indices.tolist() == [0, 2]
    np.testing.assert_array_equal(first.class_indices, second.class_indices)
    # OpenVINO on ARM may round to the next step of an int8 output.
    step = rules['output0'][1] if ON_ARM and 'output0' in rules else 0
    np.testing.assert_allclose(first.boxes, second.boxes, atol=1e-4 + step)
    np.testing.assert_allclose(first.scores, second.scores, atol=1e-5)


def test_masks_stay_valid_after_the_next_frame(tmp_path):
    """OpenVINO overwrites its outputs, also the prototypes."""
    spec = load_model(color_segmenter(tmp_path / 'm.onnx'))
    pixels = np.zeros((64, 128, 3), np.uint8)
    pixels[16:32, 32:40, 2] = 255
    pixels[32:48, 80:96, 0] = 255
    frame = Frame.from_bgr(pixels)
    with create_pipeline(spec, options('fp32')) as found, \
            create_pipeline(spec, PipelineOptions('onnxruntime', 'fp32')) as expected:
        first, second = found.run(frame, masks=True).result, expected.run(frame, masks=True).result
        found.run(Frame.from_bgr(255 - pixels), masks=True)
    assert len(first) == 2
    for index in range(2):
        assert (first.masks[index] != second.masks[index]).sum() <= 2 and second.masks[index].any()


def test_several_threads_run_at_the_same_time(spec):
    """Each thread has a request of its own, and its results are those of one thread."""
    frames = list(map(Frame.from_bgr, color_frames(12, seed=3)))
    with create_pipeline(spec, options()) as one:
        assert one.concurrent_runs == 1
        expected = [one.run(frame).result for frame in frames]
    with create_pipeline(spec, PipelineOptions('openvino', num_threads=2, cameras=3)) as pipeline:
        # Not more than threads.
        assert pipeline.concurrent_runs == 2
        assert pipeline.describe()['concurrent_inferences'] == '2'
        found, start = {}, threading.Barrier(2)

        def run(first):
            start.wait(60)
            for number in range(first, len(frames), 2):
                found[number] = pipeline.run(frames[number]).result

        threads = [threading.Thread(target=run, args=(first,)) for first in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sum(map(len, expected)) > 5
    for number, result in enumerate(expected):
        np.testing.assert_allclose(found[number].boxes, result.boxes, atol=1e-3)
        np.testing.assert_allclose(found[number].scores, result.scores, atol=1e-5)


def test_streams_change_the_cache_key_and_one_stream_does_not(spec):
    one = openvino_pipeline.compilation(spec)
    assert 'streams' not in json.loads(one.to_json())
    two = replace(one, streams=2)
    assert type(one).from_json(two.to_json()) == two
    assert (one.config.get('NUM_STREAMS'), two.config['NUM_STREAMS']) == (None, 2)
