# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Real builds of real graphs in real processes, with TensorRT for RTX, which needs no GPU."""

import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import psutil
import pytest
from onnx import helper
from support.promises import Promise
from support.recording_monitor import Told
from support.subprocesses import python_environment
from support.tiny_models import FLOAT, color_detector, dynamic_detector, save

from trt_perception.backends.tensorrt.build import process as build_process
from trt_perception.backends.tensorrt.build.process import build_in_process
from trt_perception.backends.tensorrt.build.request import BuildRequest, build_request
from trt_perception.backends.tensorrt.cache.engine_cache import EngineCache
from trt_perception.backends.tensorrt.cache.engine_key import EngineKey
from trt_perception.backends.tensorrt.cuda.gpu_info import has_gpu
from trt_perception.backends.tensorrt.library.graph_types import graph_types
from trt_perception.errors import EngineError, MissingDependencyError, ModelError
from trt_perception.model.spec import ModelOptions, load_model
from trt_perception.monitor import Monitor
from trt_perception.pipeline.options import CalibrationOptions
from trt_perception.pipeline.tensorrt_options import BuildOptions
from trt_perception.precision.prepare import prepare_model
from trt_perception.precision.strong_types import for_strong_types

pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')

PHOTOS = Path(__file__).parents[1] / 'data' / 'photos'
LIGHT = Path(onnx.__file__).parent / 'backend' / 'test' / 'data' / 'light'
TARGET = BuildOptions(compute_capabilities=('8.6',), optimization_level=0)


def request_for(path, options=TARGET, **model):
    return build_request(load_model(path, ModelOptions(**model)), options)


def workers():
    """Return the build processes that this process started."""
    return [
        child for child in psutil.Process().children(recursive=True)
        if any('tensorrt.build.worker' in word for word in child.cmdline())]


@pytest.fixture
def endless(tmp_path):
    """A request with very many layers, whose build takes long enough to be interrupted."""
    count = 4000
    names = ['images', *(f't{i}' for i in range(count)), 'out']
    nodes = [
        helper.make_node('Conv', [names[i], 'w'], [names[i + 1]], pads=[1, 1, 1, 1]) if i % 2 else
        helper.make_node('Sigmoid', [names[i]], [names[i + 1]]) for i in range(count + 1)]
    shape = [1, 3, 32, 32]
    path = save(
        tmp_path / 'endless.onnx', nodes, {'images': (FLOAT, shape)}, {'out': (FLOAT, shape)},
        {'w': np.random.default_rng(0).normal(0, 0.2, (3, 3, 3, 3)).astype(np.float32)})
    return BuildRequest(path, 'images', (tuple(shape),) * 3, TARGET)


@pytest.mark.parametrize('precision', ['fp32', 'fp16', 'int8'])
@pytest.mark.parametrize('name', ['light_resnet50', 'light_bvlc_alexnet', 'light_squeezenet'])
def test_real_networks_become_plans(name, precision, tmp_path, monkeypatch):
    path = LIGHT / f'{name}.onnx'
    if not path.exists():
        pytest.skip(f'this onnx has no {name}')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    spec = load_model(path)
    assert spec.task == 'classification' and spec.input_shape == (1, 3, 224, 224)
    told = Told()
    prepared = for_strong_types(
        prepare_model(spec, precision, CalibrationOptions(str(PHOTOS), method='minmax')), told.monitor)
    types = graph_types(prepared.path)
    assert (types.has_float16, types.quantized) == (precision != 'fp32', precision == 'int8')
    told.progress.clear()
    built = build_in_process(build_request(prepared.spec, replace(TARGET, precision=precision)), told.monitor)
    assert len(built.plan) > 100_000
    assert built.report['tensorrt'].startswith('tensorrt_rtx ')
    assert built.report['strongly_typed']
    fractions = [done for _, done, total in told.progress if total is not None]
    assert {total for _, _, total in told.progress} == {None, 1.0}
    assert fractions == sorted(fractions)
    assert 0.0 <= fractions[0] <= fractions[-1] <= 1.0
    assert workers() == []


def test_dynamic_models_get_a_profile(tmp_path):
    path = dynamic_detector(tmp_path / 'dynamic.onnx')
    spec = load_model(path, ModelOptions(input_size=(96, 64)))
    options = replace(TARGET, batch=(1, 1, 4) if spec.dynamic_batch else (1, 1, 1))
    request = build_request(spec, options)
    assert request.shapes[0] == (1, 3, 64, 96)
    assert request.shapes[2] == (options.batch[2], 3, 64, 96)
    assert len(build_in_process(request).plan) > 1000


def test_a_request_survives_its_journey(tmp_path):
    request = replace(
        request_for(color_detector(tmp_path / 'm.onnx')), device_index=1, timing_cache=tmp_path / 'timings',
        debug_log=True, options=BuildOptions('int8', (64, 64), (1, 2, 3), 7, 5, 1, 'ampere_plus', ('8.6', '8.9')))
    assert BuildRequest.from_json(request.to_json()) == request


@pytest.mark.parametrize('options, message', [
    (BuildOptions(batch=(1, 2, 4)), 'fixed batch size 1'),
    (BuildOptions(batch=(2, 1, 4)), 'smallest <= usual <= largest'),
    (BuildOptions(batch=(0, 1, 1)), '1 <= smallest'),
    (BuildOptions(input_size=(32, 32)), r'loaded for \[64, 64\]')])
def test_impossible_profiles_are_refused(tmp_path, options, message):
    with pytest.raises(EngineError, match=message):
        build_request(load_model(color_detector(tmp_path / 'm.onnx')), options)


def test_an_unknown_operator_is_named_with_its_node(tmp_path):
    graph = helper.make_graph(
        [helper.make_node('Relu', ['images'], ['r'], name='first'),
         helper.make_node('Whirl', ['r'], ['out'], name='spin', domain='vortex')], 'odd',
        [helper.make_tensor_value_info('images', FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info('out', FLOAT, [1, 3, 8, 8])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 13), helper.make_opsetid('vortex', 1)])
    model.ir_version = 8
    path = tmp_path / 'odd.onnx'
    onnx.save(model, str(path))
    with pytest.raises(ModelError, match=r'odd\.onnx cannot be used by tensorrt_rtx .*node spin \(operator Whirl\)'):
        build_in_process(BuildRequest(path, 'images', ((1, 3, 8, 8),) * 3, TARGET))


@pytest.mark.parametrize('damage', [
    lambda content: b'', lambda content: content[:len(content) // 2], lambda content: b'\xff' * 1000,
    lambda content: content[:200] + bytes(100) + content[300:]])
def test_a_damaged_file_is_an_error_not_a_crash(tmp_path, damage):
    path = tmp_path / 'm.onnx'
    shape = ((1, 3, 64, 64),) * 3
    content = color_detector(path).read_bytes()
    path.write_bytes(damage(content))
    with pytest.raises((ModelError, EngineError)) as found:
        build_in_process(BuildRequest(path, 'images', shape, TARGET))
    assert 'm.onnx' in str(found.value)


def test_weights_of_the_wrong_size_are_an_error(tmp_path):
    path = color_detector(tmp_path / 'm.onnx')
    model = onnx.load(str(path))
    boxes, = [tensor for tensor in model.graph.initializer if tensor.name == 'boxes']
    boxes.raw_data = boxes.raw_data[:10]
    onnx.save(model, str(path))
    with pytest.raises((ModelError, EngineError), match=r'm\.onnx'):
        build_in_process(BuildRequest(path, 'images', ((1, 3, 64, 64),) * 3, TARGET))


def test_targets_that_this_tensorrt_does_not_support_are_reported(tmp_path):
    request = request_for(color_detector(tmp_path / 'm.onnx'), replace(TARGET, compute_capabilities=('1.0',)))
    with pytest.raises(EngineError, match=r'compute capability 1\.0: expected 7\.5'):
        build_in_process(request)


@pytest.mark.skipif(has_gpu(), reason='there is a GPU')
def test_without_a_gpu_targets_must_be_named(tmp_path):
    request = request_for(color_detector(tmp_path / 'm.onnx'), BuildOptions())
    with pytest.raises(EngineError, match='choose targets with --compute-capability'):
        build_in_process(replace(request, tensorrt='tensorrt_rtx'))


def test_a_missing_tensorrt_is_reported_as_such(tmp_path):
    request = request_for(color_detector(tmp_path / 'm.onnx'), BuildOptions())
    if subprocess.run([sys.executable, '-c', 'import tensorrt'], capture_output=True, check=False).returncode == 0:
        pytest.skip('TensorRT is installed')
    with pytest.raises(MissingDependencyError, match=r'install (python3-libnvinfer|tensorrt)'):
        build_in_process(replace(request, tensorrt='tensorrt'))


def test_an_unexpected_error_is_one_line_with_its_place(tmp_path):
    request = request_for(color_detector(tmp_path / 'm.onnx'), replace(TARGET, workspace_mib=10**20))
    with pytest.raises(EngineError, match=(
            r'^the engine build failed unexpectedly: \w+Error: .* \(compat\.py, line \d+\)$')):
        build_in_process(request)
    assert workers() == []


# This time is part of the interface: a shutdown waits for it.
CANCEL_S = 2.0


def test_cancelling_ends_the_build_and_its_process(endless):
    promise = Promise(CANCEL_S)
    seen, cancelled_at = [], []

    def progress(text, done, total):
        if total is not None and not told.cancel.is_set():
            seen.extend(workers())
            told.cancel.set()
            cancelled_at.append(time.monotonic())

    told = Told(progress)
    with pytest.raises(EngineError, match=r'^the engine build for endless\.onnx was cancelled$'):
        build_in_process(endless, told.monitor)
    took = time.monotonic() - cancelled_at[0]
    assert len(seen) == 1
    assert not any(worker.is_running() for worker in seen)
    assert promise.allows(took), (took, str(promise))


def test_a_build_that_ignores_sigterm_is_killed_with_its_child_processes(endless, tmp_path, monkeypatch):
    (tmp_path / 'stubborn.py').write_text(
        'import json, signal, subprocess, sys, time\n'
        'signal.signal(signal.SIGTERM, signal.SIG_IGN)\n'
        'child = subprocess.Popen([sys.executable, "-c", "import signal, time\\n'
        'signal.signal(signal.SIGTERM, signal.SIG_IGN)\\nprint(flush=True)\\ntime.sleep(100)"], '
        'stdout=subprocess.PIPE)\n'
        'child.stdout.readline()\n'
        'print(json.dumps({"progress": [str(child.pid), 0.5, 1.0]}), flush=True)\n'
        'time.sleep(100)\n')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.setattr(build_process, 'WORKER', 'stubborn')
    promise = Promise(CANCEL_S)
    processes, cancelled_at = [], []

    def progress(text, done, total):
        if total is not None and not told.cancel.is_set():
            processes.append(psutil.Process(int(text.split()[0])))
            processes.append(processes[0].parent())
            cancelled_at.append(time.monotonic())
            told.cancel.set()

    told = Told(progress)
    with pytest.raises(EngineError, match='was cancelled'):
        build_in_process(endless, told.monitor)
    took = time.monotonic() - cancelled_at[0]
    assert promise.allows(took), (took, str(promise))
    assert len(processes) == 2
    _, alive = psutil.wait_procs(processes, 300)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def test_cancelling_before_the_start_builds_nothing(endless):
    told = Told()
    told.cancel.set()
    with pytest.raises(EngineError, match='was cancelled'):
        build_in_process(endless, told.monitor)
    assert workers() == []


@pytest.mark.parametrize('which, message', [
    (signal.SIGKILL, 'was ended by SIGKILL, probably because memory ran out'),
    (signal.SIGSEGV, 'was ended by SIGSEGV: TensorRT or the driver crashed'),
    (signal.SIGABRT, 'was ended by SIGABRT: TensorRT or the driver crashed')])
def test_a_build_that_is_killed_is_one_clear_error(endless, which, message):
    def progress(text, done, total):
        if total is not None:
            for worker in workers():
                worker.send_signal(which)

    told = Told(progress)
    with pytest.raises(EngineError) as found:
        build_in_process(endless, told.monitor)
    text = str(found.value)
    assert f'the engine build process for endless.onnx {message}' in text
    assert told.log[-1][1] in text
    assert workers() == []


def test_a_build_that_needs_too_much_memory_is_an_error_not_a_crash(endless):
    """The memory of the worker is limited when its build begins: allocations fail somewhere inside TensorRT."""
    limited = []

    def progress(text, done, total):
        for worker in workers() if total is not None and not limited else ():
            worker.rlimit(psutil.RLIMIT_AS, (worker.memory_info().vms + 2**20,) * 2)
            limited.append(worker)

    with pytest.raises(EngineError) as found:
        build_in_process(endless, Told(progress).monitor)
    assert len(limited) == 1
    assert workers() == []
    print(found.value)


def test_an_exception_of_a_callback_leaves_no_process(endless):
    def progress(text, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_in_process(endless, Told(progress).monitor)
    assert workers() == []


def test_the_worker_dies_with_its_parent(endless, tmp_path):
    script = tmp_path / 'parent.py'
    script.write_text(
        'import sys\n'
        'from trt_perception.backends.tensorrt.build.process import build_in_process\n'
        'from trt_perception.backends.tensorrt.build.request import BuildRequest\n'
        'from trt_perception.monitor import Monitor\n'
        'request = BuildRequest.from_json(sys.argv[1])\n'
        'def progress(text, done, total):\n'
        "    print('building' if total is not None else 'wait', flush=True)\n"
        'build_in_process(request, Monitor(progress))\n')
    temporary = tmp_path / 'temporary'
    temporary.mkdir()
    environment = {**python_environment(), 'TMPDIR': str(temporary)}
    with subprocess.Popen(
            [sys.executable, str(script), endless.to_json()], stdout=subprocess.PIPE, text=True,
            env=environment) as parent:
        assert parent.stdout is not None
        for line in parent.stdout:
            if line.startswith('building'):
                break
        worker, = psutil.Process(parent.pid).children(recursive=True)
        parent.kill()
    gone, _ = psutil.wait_procs([worker], timeout=300)
    assert [process.pid for process in gone] == [worker.pid]
    assert list(temporary.iterdir()) == []


def test_the_cache_keeps_what_a_build_made(tmp_path):
    request = request_for(color_detector(tmp_path / 'm.onnx'))
    cache = EngineCache(tmp_path / 'engines')
    key = EngineKey('a' * 64, 'tensorrt_rtx 1', 'none', '8.6', 0, 0, request.options)
    first = cache.get_or_build(key, 'm.onnx', lambda: build_in_process(request))
    second = cache.get_or_build(key, 'm.onnx', lambda: pytest.fail('built twice'))
    assert (first.hit, second.hit) == (False, True)
    assert second.plan == first.plan
    assert second.sidecar['build_seconds'] == first.sidecar['build_seconds'] > 0


def test_of_two_that_need_the_same_engine_one_builds_and_the_other_loads_it(tmp_path):
    """Threads with a cache each: flock is between open files, so they are to each other as two processes."""
    request = request_for(color_detector(tmp_path / 'm.onnx'))
    key = EngineKey('a' * 64, 'tensorrt_rtx 1', 'none', '8.6', 0, 0, request.options)
    waits, builds = threading.Event(), []

    def build():
        builds.append(request)
        assert waits.wait(600)
        return build_in_process(request)

    def progress(text, done, total):
        if text.startswith('waiting for another process that builds the same engine'):
            waits.set()

    with ThreadPoolExecutor(2) as pool:
        one, other = (pool.submit(
            EngineCache(tmp_path / 'engines').get_or_build, key, 'm.onnx', build, Monitor(progress)) for _ in range(2))
    assert len(builds) == 1 and {one.result().hit, other.result().hit} == {True, False}
    assert one.result().plan == other.result().plan == one.result().plan_path.read_bytes()


def test_a_failed_build_leaves_no_engine(tmp_path, endless):
    cache = EngineCache(tmp_path / 'engines')
    key = EngineKey('a' * 64, 'tensorrt_rtx 1', 'none', '8.6', 0, 0, endless.options)
    told = Told()
    told.cancel.set()
    with pytest.raises(EngineError, match='was cancelled'):
        cache.get_or_build(key, 'endless.onnx', lambda: build_in_process(endless, told.monitor))
    assert cache.entries() == []
