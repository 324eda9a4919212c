# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The node on OpenVINO: boxes over DDS, the backend and its types in the diagnostics, and why auto chose it."""

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')
pytest.importorskip('openvino', reason='needs openvino: make openvino-test')

from support import harness_images as images
from support.harness_driver import boxes_of
from support.tiny_models import color_detector

from trt_perception.backends.tensorrt.cuda import gpu_info


@pytest.mark.parametrize('backend', ['openvino', 'auto'])
def test_boxes(start_node, tmp_path, backend):
    """The input is 64x64 in cells of 8: a camera of 640x640 has cells of 80 pixels."""
    path = color_detector(tmp_path / 'm.onnx', 64, 64)
    if backend == 'auto' and gpu_info.has_gpu():
        pytest.skip('needs a machine without a GPU: auto may choose TensorRT there')
    node = start_node(model_file=str(path), backend=backend)
    node.bring_to('active')
    if backend == 'auto':
        node.process.wait_for_line('backend auto: openvino, because TensorRT does not run here, and openvino is')
    boxes = {'red': (80, 160, 160, 240), 'blue': (400, 480, 480, 560)}
    message = images.image(images.picture(640, 640, boxes), images.header('optical', node.driver.now_ns()))
    found = boxes_of(node.answer_to(node.camera(), message))
    assert set(found) == set(boxes)
    for color, box in boxes.items():
        assert found[color][0] == pytest.approx(box, abs=0.5), color
    _, values = node.diagnosis(lambda _, values: int(values['processed']) > 0, 'a frame')
    assert values['backend'] == 'openvino'
    assert values['precision_effective'] == 'fp32'
    assert values['execution_types'].startswith('f32 (')
