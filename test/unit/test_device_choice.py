# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The parameter `device`: a model that runs on the CPU although a GPU is wanted is a warning, or an error if strict."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip('onnx', reason='needs onnx: make setup')

from support.recording_monitor import Told
from support.tiny_models import color_detector

from trt_perception.backends import create
from trt_perception.backends.create import create_pipeline
from trt_perception.backends.tensorrt.cuda import gpu_info, provider
from trt_perception.backends.tensorrt.library import compat
from trt_perception.errors import EngineError, MissingDependencyError, ModelError
from trt_perception.model.spec import load_model
from trt_perception.pipeline.options import PipelineOptions

TFLITE = Path(__file__).resolve().parents[1] / 'data' / 'tflite' / 'color_detector.tflite'
NO_DRIVER = 'there is no NVIDIA driver: libcuda.so.1 cannot be loaded'


@pytest.fixture
def spec(tmp_path):
    return load_model(color_detector(tmp_path / 'm.onnx'))


@pytest.fixture
def tflite(tmp_path):
    pytest.importorskip('ai_edge_litert', reason='needs LiteRT: pip install ai-edge-litert')
    return load_model(Path(shutil.copy(TFLITE, tmp_path / 'm.tflite')))


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine without a GPU and without OpenVINO; returns a function that gives it a GPU."""
    monkeypatch.setattr(gpu_info, 'has_gpu', lambda: False)
    monkeypatch.setattr(gpu_info, 'gpu_obstacle', lambda: NO_DRIVER)
    monkeypatch.setattr(create, '_openvino_runs', lambda monitor: False)

    def with_gpu(tensorrt=True):
        def load():
            if not tensorrt:
                raise MissingDependencyError('the Python package of TensorRT is not installed')

        monkeypatch.setattr(gpu_info, 'has_gpu', lambda: True)
        monkeypatch.setattr(compat, 'load', load)
        monkeypatch.setattr(provider, 'cuda_provider', lambda: None)

    return with_gpu


def created(spec, told=None, **options):
    return create_pipeline(spec, PipelineOptions(**options), monitor=(told or Told()).monitor)


def described(pipeline):
    with pipeline:
        return pipeline.describe()


def test_nobody_asked_for_a_gpu(spec, tflite):
    for model in (spec, tflite):
        told = Told()
        assert 'device_fallback' not in described(created(model, told))
        assert told.warnings == []


@pytest.mark.parametrize('backend, why', [
    ('auto', NO_DRIVER), ('onnxruntime', 'set backend to tensorrt or auto')])
def test_a_gpu_was_asked_for(spec, backend, why):
    told = Told()
    description = described(created(spec, told, backend=backend, device='gpu'))
    assert description['device_fallback'] == (
        f'device gpu was requested, but ONNX Runtime runs the model on the CPU: {why}')
    assert told.warnings == [description['device_fallback']]
    assert description['device'] == 'CPU'
    with pytest.raises(EngineError, match=r'on the CPU: .*; strict_device is set: fix the cause, or set'):
        created(spec, backend=backend, device='gpu', strict_device=True)


@pytest.mark.parametrize('backend', ['auto', 'litert'])
def test_a_tflite_file_runs_on_the_cpu(tflite, backend):
    fallback = described(created(tflite, backend=backend, device='gpu'))['device_fallback']
    assert fallback.startswith('device gpu was requested, but LiteRT runs the model on the CPU: ')
    with pytest.raises(EngineError, match='strict_device'):
        created(tflite, backend=backend, device='gpu', strict_device=True)


def test_openvino_runs_on_the_cpu(spec, monkeypatch):
    pytest.importorskip('openvino', reason='needs openvino: make openvino-test')
    monkeypatch.setattr(create, '_openvino_runs', lambda monitor: True)
    for backend in ('auto', 'openvino'):
        fallback = described(created(spec, backend=backend, device='gpu'))['device_fallback']
        assert fallback.startswith('device gpu was requested, but OpenVINO runs the model on the CPU: ')


def test_a_machine_with_a_gpu_that_is_not_used(spec, tflite, machine):
    machine(tensorrt=False)
    told = Told()
    fallback = described(created(spec, told))['device_fallback']
    assert fallback == (
        'this machine has a GPU, but the model runs on the CPU: the Python package of TensorRT is not installed')
    assert told.warnings == [fallback]
    with pytest.raises(EngineError, match='strict_device is set'):
        created(spec, strict_device=True)
    # Somebody chose the CPU: by name, by the file, or by the device.
    for model, options in ((spec, {'backend': 'onnxruntime'}), (tflite, {}), (spec, {'device': 'cpu'})):
        assert 'device_fallback' not in described(created(model, strict_device=True, **options))


def test_the_gpu_is_used(spec, machine):
    machine()
    told = Told()
    pipeline = created(spec, told, device='gpu', strict_device=True)
    assert type(pipeline).__name__ == 'EnginePipeline'
    assert told.warnings == []


def test_the_gpu_is_not_used_if_the_device_is_cpu(spec, machine):
    machine()
    told = Told()
    assert described(created(spec, told, device='cpu'))['backend'] == 'onnxruntime'
    assert ('info', 'backend auto: onnxruntime, because device is cpu, and openvino is not installed') in told.log
    with pytest.raises(ModelError, match='device is cpu, but backend is tensorrt'):
        created(spec, backend='tensorrt', device='cpu')
