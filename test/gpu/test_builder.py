# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Real builds on the GPU: types, inspector, cache, timing cache, GPU memory, errors.

TRT_PERCEPTION_RECORD names a folder for the inspector's JSON of the engines, unchanged.
"""

import json
import os
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper
from support.engines import convolutional_detector
from support.recording_monitor import Told
from support.tiny_models import FLOAT, save

from trt_perception.backends.tensorrt.build.process import build_in_process
from trt_perception.backends.tensorrt.build.request import build_request
from trt_perception.backends.tensorrt.cache.engine_cache import EngineCache
from trt_perception.backends.tensorrt.cuda.gpu_info import gpu_info
from trt_perception.backends.tensorrt.cuda.runtime_api import CudaSession
from trt_perception.backends.tensorrt.engine_source import EngineSource
from trt_perception.backends.tensorrt.library.inspector import layers_from_records, precision_shortfall, summarize
from trt_perception.cli.main import main
from trt_perception.errors import EngineError, ModelError
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import PipelineOptions
from trt_perception.pipeline.tensorrt_options import BuildOptions
from trt_perception.precision.fp16 import to_fp16

MIB = 1 << 20


def options(precision='fp32', **changes):
    return BuildOptions(precision=precision, optimization_level=1, **changes)


def record(tensorrt, name, plan):
    """Return the inspector's text, and save it if that is requested."""
    text = tensorrt.layer_information(tensorrt.deserialize(plan))
    folder = os.environ.get('TRT_PERCEPTION_RECORD')
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / f'inspector-{tensorrt.name}-{tensorrt.version_text}-{name}.json').write_text(text)
    return text


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    """The same network in float32, in float16 and in float16 with its end in float32."""
    folder = tmp_path_factory.mktemp('precisions')
    plain = convolutional_detector(folder / 'fp32.onnx')
    to_fp16(plain, folder / 'fp16.onnx')
    to_fp16(plain, folder / 'all_fp16.onnx', keep_float=())
    return {name: folder / f'{name}.onnx' for name in ('fp32', 'fp16', 'all_fp16')}


def test_the_types_of_an_engine_with_a_dynamic_batch_are_known(models, tmp_path):
    """TensorRT tells them only for given shapes."""
    to_fp16(convolutional_detector(tmp_path / 'plain.onnx', batch='batch'), tmp_path / 'dynamic.onnx')
    spec = load_model(tmp_path / 'dynamic.onnx')
    report = build_in_process(build_request(spec, options('fp16', batch=(1, 4, 4)))).report
    assert report['precision_effective'] == 'fp16'
    assert sum(layer['multiply_accumulates'] for layer in report['layers']) > 0


@pytest.fixture(scope='module')
def built(models):
    plans = {}

    def build(name):
        if name not in plans:
            precision = 'fp32' if name == 'fp32' else 'fp16'
            plans[name] = build_in_process(build_request(load_model(models[name]), options(precision)))
        return plans[name]

    return build


@pytest.mark.parametrize('name, precision', [('fp32', 'fp32'), ('fp16', 'fp16'), ('all_fp16', 'fp16')])
def test_engines_run_in_the_precision_of_their_graph(tensorrt, built, name, precision):
    report = built(name).report
    record(tensorrt, name, built(name).plan)
    summary = summarize(layers_from_records(report['layers']))
    print(f'{name}: {summary.text()}')
    assert report['precision_effective'] == summary.precision_effective == precision
    assert precision_shortfall(precision, summary) == ''
    # All three convolutions are found, even if they were fused.
    nodes = [node for layer in report['layers'] for node in layer['onnx_nodes']]
    work = sum(layer['multiply_accumulates'] for layer in report['layers'])
    print(f'{len(set(nodes))} nodes in {len(report["layers"])} layers, {work / 1e6:.1f} M multiply-adds')
    side = 320 // 8
    assert work == side * side * (32 * 3 * 64 + 32 * 32 * 9 + 25 * 32)


def test_what_the_graph_keeps_in_float32_stays_there(built):
    """Boxes of up to 320 pixels lose half a pixel in float16."""
    kinds = {name: {
        layer['compute_type'] for layer in built(name).report['layers']} for name in ('fp16', 'all_fp16')}
    print(kinds)
    assert 'fp32' in kinds['fp16']
    assert 'fp32' not in kinds['all_fp16']


def test_a_quantised_graph_runs_in_int8(tensorrt, tmp_path):
    random = np.random.default_rng(0)
    weights = random.integers(-127, 128, (64, 64, 3, 3)).astype(np.int8)
    constants = {
        'scale': np.array(1 / 127, np.float32), 'zero': np.array(0, np.int8), 'w': weights,
        'w_scale': np.full(64, 0.001, np.float32), 'w_zero': np.zeros(64, np.int8),
        'stem': random.normal(0, 0.1, (64, 3, 3, 3)).astype(np.float32)}
    nodes = [
        helper.make_node('Conv', ['images', 'stem'], ['s'], pads=[1] * 4, name='stem'),
        helper.make_node('QuantizeLinear', ['s', 'scale', 'zero'], ['q']),
        helper.make_node('DequantizeLinear', ['q', 'scale', 'zero'], ['d']),
        helper.make_node('DequantizeLinear', ['w', 'w_scale', 'w_zero'], ['dw'], axis=0),
        helper.make_node('Conv', ['d', 'dw'], ['c'], kernel_shape=[3, 3], pads=[1] * 4, name='heavy'),
        helper.make_node('GlobalAveragePool', ['c'], ['p']), helper.make_node('Flatten', ['p'], ['out'])]
    path = save(
        tmp_path / 'q.onnx', nodes, {'images': (FLOAT, [1, 3, 64, 64])}, {'out': (FLOAT, [1, 64])}, constants)
    built = build_in_process(build_request(load_model(path), options('int8')))
    record(tensorrt, 'int8', built.plan)
    summary = summarize(layers_from_records(built.report['layers']))
    print(summary.text())
    assert built.report['precision_effective'] == 'int8'
    assert summary.share('int8') > 0.9


def test_a_request_that_was_not_met_is_noticed(models):
    """A float32 file built as fp16 stays float32."""
    built = build_in_process(build_request(load_model(models['fp32']), options('fp16')))
    summary = summarize(layers_from_records(built.report['layers']))
    assert 'fp16 was requested, but the engine runs mostly in fp32' in precision_shortfall('fp16', summary)


def test_the_build_leaves_no_gpu_memory(models, built):
    built('fp32')
    with_session = CudaSession(0)
    try:
        with with_session.active('measuring'):
            before = with_session.memory()[0]
        report = build_in_process(build_request(load_model(models['fp32']), options())).report
        with with_session.active('measuring'):
            after = with_session.memory()[0]
    finally:
        with_session.close()
    assert abs(before - after) <= 2 * MIB
    # Four fifths of the free memory, half if the CPU shares it. The build has a context too.
    part = 0.5 if gpu_info().integrated else 0.8
    assert report['workspace_mib'] == pytest.approx(part * before / MIB, rel=0.1)


def test_a_cancelled_build_is_gone_within_two_seconds(models):
    started = []

    def progress(text, done, total):
        # Not while Python starts, but while TensorRT works.
        if 'building' in text.lower() or done:
            started.append(time.monotonic())
            told.cancel.set()

    told = Told(progress)
    with pytest.raises(EngineError, match='was cancelled'):
        build_in_process(build_request(load_model(models['fp32']), options()), told.monitor)
    assert time.monotonic() - started[0] < 2.0


def test_the_cache_and_its_timings(models, tmp_path):
    cache = EngineCache(tmp_path / 'engines')
    spec, told, seconds = load_model(models['fp32']), Told(), []

    def engine_of(build):
        source = EngineSource(spec, PipelineOptions('tensorrt', build=build), told.monitor, cache=cache)
        return source.engine(source.prepare())

    for expected in (False, True):
        started = time.monotonic()
        engine = engine_of(options())
        seconds.append(time.monotonic() - started)
        assert engine.hit == expected
    print(f'built in {seconds[0]:.1f} s, from the cache in {seconds[1]:.3f} s')
    assert any('no engine in the cache' in text for _, text in told.log)
    assert any('found in the cache' in text for _, text in told.log)
    gpu = gpu_info()
    assert (engine.sidecar['key']['gpu'], engine.sidecar['key']['compute_capability']) == (
        gpu.name, gpu.compute_capability)
    timings, = (tmp_path / 'engines').glob('*.timings')
    assert timings.stat().st_size > 100
    # Another engine of the same model profits from the timings.
    again = engine_of(options(workspace_mib=500))
    assert not again.hit
    assert again.sidecar['timings_known']
    print(f'built again with known timings in {again.sidecar["build_seconds"]} s')


def test_the_command_line_builds_into_the_cache_and_inspects(models, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    arguments = ['build', str(models['fp16']), '--optimization-level', '1', '--strict-precision']
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert 'the engine runs in fp16' in out
    plan = Path(out.splitlines()[0])
    assert main(['inspect', str(plan)]) == 0
    assert 'fused:' in capsys.readouterr().out
    # Without its description TensorRT loads it.
    bare = tmp_path / 'bare.engine'
    bare.write_bytes(plan.read_bytes())
    bare.chmod(0o600)
    assert main(['inspect', '--json', str(bare)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report['known_from'].endswith('which loaded it')
    assert report['precision_effective'] == 'fp16'
    assert main(['build', str(models['fp32']), '--precision', 'fp16', '--output', str(tmp_path / 'o.plan'),
                 '--optimization-level', '0']) == 0


def test_a_file_that_is_not_a_plan_is_an_error_not_a_crash(tensorrt, built):
    tensorrt.logger(lambda severity, text: None)
    for content in (b'', b'no plan' * 1000, built('fp32').plan[:-1000], built('fp32').plan[:5000]):
        with pytest.raises(EngineError, match='cannot be loaded'):
            tensorrt.deserialize(content)


def test_an_operator_that_is_not_there_is_named(tmp_path):
    graph = helper.make_graph(
        [helper.make_node('Relu', ['images'], ['r'], name='first'),
         helper.make_node('Whirl', ['r'], ['output0'], name='spin', domain='vortex')], 'odd',
        [helper.make_tensor_value_info('images', FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info('output0', FLOAT, [1, 7])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13), helper.make_opsetid('vortex', 1)])
    model.ir_version = 8
    path = tmp_path / 'odd.onnx'
    onnx.save(model, str(path))
    with pytest.raises(ModelError) as found:
        build_in_process(build_request(load_model(path), options()))
    print(found.value)
    assert 'node spin (operator Whirl)' in str(found.value)


def test_too_little_gpu_memory_is_one_clear_error(models):
    """This process takes nearly all of the GPU's memory while the other one builds."""
    session = CudaSession(0)
    try:
        with session.active('taking memory'):
            free, _ = session.memory()
            session.allocate(free - 300 * MIB)
        with pytest.raises(EngineError) as found:
            build_in_process(build_request(load_model(models['fp32']), options()))
    finally:
        session.close()
    print(found.value)
    assert 'memory' in str(found.value)
