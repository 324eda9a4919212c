# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A GPU was asked for and the model runs on the CPU: WARN in the diagnostics with the reason, ERROR if strict."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from diagnostic_msgs.msg import DiagnosticStatus
from support import harness_images as images
from support.tiny_models import color_detector

from trt_perception.backends.tensorrt.cuda.gpu_info import has_gpu

TFLITE = Path(__file__).resolve().parents[1] / 'data' / 'tflite' / 'color_detector.tflite'
LIBRARIES = {'onnxruntime': 'ONNX Runtime', 'openvino': 'OpenVINO', 'litert': 'LiteRT'}


def model(backend, folder):
    package = {'litert': 'ai_edge_litert'}.get(backend, backend)
    pytest.importorskip(package, reason=f'needs {package}')
    if backend == 'litert':
        return str(shutil.copy(TFLITE, folder / 'm.tflite'))
    return str(color_detector(folder / 'm.onnx', 64, 64))


@pytest.mark.parametrize('backend', LIBRARIES)
def test_a_warning_with_the_reason(start_node, tmp_path, backend):
    node = start_node(model_file=model(backend, tmp_path), backend=backend, device='gpu')
    node.bring_to('active')
    node.process.wait_for_line(rf'\[WARN\].*device gpu was requested, but {LIBRARIES[backend]} runs')
    message = images.image(
        images.picture(640, 640, {'red': (80, 160, 160, 240)}), images.header('optical', node.driver.now_ns()))
    camera = node.camera()
    # Results are published all the same.
    node.answer_to(camera, message)
    status, values = node.diagnosis_with_images(
        camera, message, lambda status, values: int(values['processed']) > 0 and 'device gpu' in status.message,
        'the warning')
    assert status.level == DiagnosticStatus.WARN
    assert status.message == values['device_fallback']
    assert status.message.startswith(f'device gpu was requested, but {LIBRARIES[backend]} runs the model on the CPU: ')
    assert (values['backend'], values['device']) == (backend, 'CPU')


@pytest.mark.parametrize('backend', LIBRARIES)
def test_an_error_if_strict(start_node, tmp_path, backend):
    node = start_node(model_file=model(backend, tmp_path), backend=backend, device='gpu', strict_device=True)
    assert not node.change_state('configure')
    status, _ = node.diagnosis(lambda status, _: 'strict_device is set' in status.message, 'the error')
    assert status.level == DiagnosticStatus.ERROR
    assert LIBRARIES[backend] in status.message


@pytest.mark.skipif(has_gpu(), reason='there is a GPU')
def test_auto_says_why_there_is_no_gpu(start_node, models):
    node = start_node(model_file=models(), device='gpu')
    node.bring_to('active')
    status, _ = node.diagnosis(lambda status, _: 'device gpu' in status.message, 'the warning')
    assert 'libcuda.so.1' in status.message or 'finds no GPU' in status.message
