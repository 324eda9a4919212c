# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""GPU errors end in one clear EngineError, and a process can end in any state without an abort.

Each case runs in a separate process, because CUDA is unusable after an illegal access.
"""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from support.random_frames import random_frame
from support.recording_monitor import Told

from trt_perception.backends.tensorrt import engine_source
from trt_perception.backends.tensorrt.cache.engine_cache import BuiltEngine
from trt_perception.backends.tensorrt.engine_pipeline import EnginePipeline
from trt_perception.backends.tensorrt.engine_source import EngineSource
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.errors import EngineError, PlanError
from trt_perception.pipeline.options import PipelineOptions

ROOT = Path(__file__).parents[2]
BEGIN = """
import sys, threading
import numpy as np
from trt_perception.backends.tensorrt.cuda import runtime_api as cuda
from trt_perception.backends.tensorrt.library import compat
from trt_perception.backends.tensorrt.run.backend import TensorRtBackend
from trt_perception.backends.tensorrt.run.device_pipeline import DevicePipeline
from trt_perception.errors import EngineError
from trt_perception.image.frame import Frame
from trt_perception.model.spec import load_model
from trt_perception.pipeline.host import HostPipeline

onnx, plan = sys.argv[1:]
tensorrt = compat.load()
spec = load_model(onnx)
frame = Frame.from_bgr(np.full((480, 640, 3), 100, np.uint8))

def load():
    return open(plan, 'rb').read()

def make():
    pipeline = DevicePipeline(spec, load, tensorrt)
    pipeline.open()
    for _ in range(3):
        pipeline.run(frame)
    return pipeline

"""


@pytest.fixture
def run(engines, tmp_path):
    """Run a script in a separate process and return its output; it must end with `status` and without CUDA messages."""
    def run_script(script, status=0, quiet=True):
        model = engines('yolov8')
        plan = tmp_path / 'model.plan'
        plan.write_bytes(model.plan)
        environment = {**os.environ, 'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
        done = subprocess.run(
            [sys.executable, '-X', 'faulthandler', '-c', BEGIN + textwrap.dedent(script), str(model.spec.path),
             str(plan)], capture_output=True, text=True, timeout=300, env=environment)
        assert done.returncode == status, done.stderr
        if quiet:
            assert 'PyCUDA' not in done.stderr, done.stderr
            assert 'CUDA' not in done.stderr, done.stderr
        assert 'abort' not in done.stderr.lower(), done.stderr
        return done.stdout
    return run_script


@pytest.mark.parametrize('script', [
    # Closed; open; open twice; opened and never used again; only a session
    'make().close()',
    'pipeline = make()',
    'one, two = make(), make()',
    'make()',
    'session = cuda.CudaSession()',
    # In a cycle that only the garbage collector breaks, and referenced by a module that is removed late
    'pipeline = make(); pipeline.myself = pipeline',
    'sys.pipeline = make()',
    # Threads that end without closing, and one that closes what another opened
    't = threading.Thread(target=lambda: setattr(sys, "pipeline", make())); t.start(); t.join()',
    't = threading.Thread(target=make); t.start(); t.join()',
    't = threading.Thread(target=lambda: setattr(sys, "p", make())); t.start(); t.join(); sys.p.close()',
    # Only an engine, with preprocessing on the host
    'pipeline = HostPipeline(spec, TensorRtBackend(spec, load, tensorrt)); pipeline.open(); pipeline.run(frame)',
])
def test_ends_quietly(run, script):
    assert run(script + '\nprint("end")') == 'end\n'


@pytest.mark.parametrize('script, status', [
    ('pipeline = make(); sys.exit(3)', 3),
    ('pipeline = make(); raise RuntimeError("mine")', 1),
    ('with make() as pipeline: raise RuntimeError("mine")', 1),
    ('pipeline = make(); pipeline.frame_work.launch = None; pipeline.run(frame)', 1),
    ("""
     pipeline = make()
     with pipeline.session.active('testing'):
         raise KeyboardInterrupt
     """, -2),
    ("""
     pipeline = make()
     pipeline.session.__class__.synchronize = lambda session: sys.exit(4)
     pipeline.run(frame)
     """, 4),
])
def test_ends_with_its_own_error(run, script, status):
    run(script, status)


def test_ends_while_another_thread_is_at_work(run):
    assert run("""
        import time
        pipeline = make()
        def work():
            while True:
                pipeline.run(frame)
        threading.Thread(target=work, daemon=True).start()
        time.sleep(0.2)
        print('end')
        """) == 'end\n'


def test_illegal_access_is_fatal_and_reported_once(run):
    """The pipeline reports it and can be closed, and the process ends normally."""
    output = run("""
        pipeline = make()
        work = pipeline.frame_work
        work.sampling.tensor = 16
        work.graph, work.wants_graph = None, False
        for _ in range(2):
            try:
                pipeline.run(frame)
            except EngineError as error:
                print('fatal' if error.fatal else 'not fatal', '|', error)
        pipeline.close()
        try:
            pipeline.open()
        except EngineError as error:
            print('reopen', '|', error)
        pipeline.close()
        print('end')
        """, quiet=False)
    lines = output.splitlines()
    assert lines[0].startswith('fatal | ') and 'restart it' in lines[0]
    assert lines[1].startswith('fatal | ')
    assert lines[-1] == 'end'


def test_out_of_memory_is_reported_and_not_fatal(run):
    output = run("""
        session = cuda.CudaSession()
        taken = []
        with session.active('testing'):
            size = 1 << 30
            while size >= 1 << 20:
                try:
                    taken.append(session.allocate(size))
                except session.errors:
                    size //= 2
        for kind in (lambda: DevicePipeline(spec, load, tensorrt), lambda: TensorRtBackend(spec, load, tensorrt)):
            pipeline = kind()
            try:
                pipeline.open()
                print('opened')
            except EngineError as error:
                print('fatal' if error.fatal else 'not fatal', '|', error)
            pipeline.close()
        with session.active('testing'):
            for buffer in taken:
                session.release(buffer)
        make().close()
        print('end')
        """, quiet=False)
    lines = output.splitlines()
    assert lines[-1] == 'end'
    for line in lines[:-1]:
        assert line.startswith('not fatal | ') and 'memory' in line


@pytest.mark.parametrize('damage', [
    lambda plan: b'', lambda plan: b'no plan at all', lambda plan: plan[:len(plan) // 2],
    lambda plan: bytes(len(plan))])
def test_a_file_that_is_not_a_plan(engines, tensorrt, damage):
    model = engines('yolov8')
    pipeline = DevicePipeline(model.spec, lambda: damage(model.plan), tensorrt)
    with pytest.raises(EngineError, match='cannot be loaded') as caught:
        pipeline.open()
    assert not caught.value.fatal
    pipeline.close()


def test_a_plan_of_another_model(engines, tensorrt):
    with pytest.raises(EngineError, match=r'built from another model|build it for this input_size'):
        DevicePipeline(engines('yolov8').spec, engines('convolutions8').load, tensorrt).open()
    with pytest.raises(EngineError, match=r'built from another model|build it for this input_size'):
        DevicePipeline(engines('classifier').spec, engines('yolov8').load, tensorrt).open()


def test_a_gpu_that_does_not_exist(engines, tensorrt):
    from trt_perception.pipeline.tensorrt_options import RunOptions
    model = engines('yolov8')
    with pytest.raises(EngineError, match=r'device_index is 99.*0: '):
        DevicePipeline(model.spec, model.load, tensorrt, RunOptions(device_index=99)).open()


def test_network_that_gives_nan(engines, tensorrt):
    """An overflow is reported, and the next frame is processed."""
    model = engines('yolov8')
    with DevicePipeline(model.spec, model.load, tensorrt) as pipeline:
        frame = random_frame('bgr8', 64, 64)
        pipeline.run(frame)
        work = pipeline.frame_work
        work.sampling.gain[0] = float('nan')
        work.graph, work.wants_graph, graph = None, False, work.graph
        with pytest.raises(EngineError, match='not finite') as caught:
            pipeline.run(frame)
        assert not caught.value.fatal
        work.graph = graph
        assert len(pipeline.run(frame).result) >= 0


def test_an_engine_is_built_again_once_only(engines, tmp_path, monkeypatch):
    """If TensorRT cannot load the new engine, it cannot load the next one either."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    builds = []

    def build(request, monitor):
        builds.append(request.onnx_path)
        return BuiltEngine(b'not a plan at all' * 100, {'layers': [], 'precision_effective': ''})

    monkeypatch.setattr(engine_source, 'build_in_process', build)
    spec = engines('yolov8').spec
    told = Told()
    for again in (0, 1):
        pipeline = EnginePipeline(EngineSource(spec, PipelineOptions('tensorrt'), told.monitor))
        del builds[:], told.log[:]
        # The first time there is no engine, the second time one that cannot be loaded.
        with pytest.raises(PlanError, match='the engine cannot be loaded by this TensorRT and GPU'):
            pipeline.open()
        assert len(builds) == 1
        assert len([text for text in told.warnings if text.endswith('building it again')]) == again
        assert pipeline.describe() == {}
