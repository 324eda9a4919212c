# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""detections_3d.launch.py: topics, parameters and autostart reach the node, and a detection gets its place."""

import array
import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip('launch', reason='needs the ROS packages launch and launch_ros')

from support.launch_harness import Consumer, launch_file, prepare, wait_for

LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

file, *arguments = sys.argv[1:]
service = LaunchService(argv=arguments)
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(file), launch_arguments=[argument.split(':=', 1) for argument in arguments])]))
sys.exit(service.run())
"""


@pytest.fixture
def launched():
    """Return a function that launches with these arguments. At the end the launch must end well."""
    started = []

    def start(folder, *arguments):
        log = (folder / 'log.txt').open('w')
        started.append((subprocess.Popen(
            [sys.executable, '-c', LAUNCH, launch_file('detections_3d.launch.py'), *arguments],
            stdout=log, stderr=subprocess.STDOUT, env={**os.environ, 'ROS_LOG_DIR': str(folder)}), log))
        return folder / 'log.txt'

    yield start
    for process, log in started:
        if process.poll() is None:
            process.send_signal(2)
        try:
            code = process.wait(60)
        finally:
            process.kill()
            log.close()
        assert code == 0


def test_a_detection_gets_its_place(launched):
    folder = prepare()
    from sensor_msgs.msg import CameraInfo, Image
    from support.harness_images import header
    from vision_msgs.msg import BoundingBox2D, Detection2D, Detection2DArray, Detection3DArray

    own = folder / 'own.yaml'
    own.write_text(json.dumps({'/**': {'ros__parameters': {
        'max_depth': 3.0, 'min_known': 0.4, 'autostart': True}}}))
    log = launched(
        folder, 'namespace:=robot', 'name:=places', 'detections_topic:=/boxes', 'depth_topic:=/camera/depth',
        'camera_info_topic:=/camera/info', f'params_file:={own}')
    consumer = Consumer()
    try:
        wait_for(lambda: consumer.state_of('/robot/places') == 'active', log.read_text())
        assert consumer.parameters_of('/robot/places', 'max_depth', 'min_known', 'autostart') == [3.0, 0.4, False]
        results = consumer.collect(Detection3DArray, '/robot/detections_3d')
        node = consumer.node
        publishers = [node.create_publisher(kind, topic, 5) for kind, topic in (
            (CameraInfo, '/camera/info'), (Image, '/camera/depth'), (Detection2DArray, '/boxes'))]
        wait_for(lambda: all(p.get_subscription_count() for p in publishers), 'three subscriptions')
        depths = np.full((48, 64), 2.0, '<f4')
        depths[:, 32:] = 5.0

        def arrived():
            """Send again what may have been lost."""
            head = header('depth', node.get_clock().now().nanoseconds)
            boxes = Detection2DArray(header=head)
            for number, x in enumerate((16.0, 48.0)):
                box = BoundingBox2D(size_x=16.0, size_y=24.0)
                box.center.position.x, box.center.position.y = x, 24.0
                boxes.detections.append(Detection2D(header=head, bbox=box, id=str(number)))
            publishers[0].publish(CameraInfo(width=64, height=48, k=[50.0, 0, 31.5, 0, 50, 23.5, 0, 0, 1]))
            publishers[1].publish(Image(
                header=head, height=48, width=64, encoding='32FC1', step=256, data=array.array('B', depths.tobytes())))
            publishers[2].publish(boxes)
            return results

        wait_for(arrived, log.read_text())
        # The second one is farther than max_depth.
        assert [(d.id, d.bbox.center.position.z) for d in results[-1].detections] == [('0', 2.0)]
    finally:
        consumer.close()


def test_a_wrong_argument_is_one_line(tmp_path):
    prepare()
    done = subprocess.run(
        [sys.executable, '-c', LAUNCH, launch_file('detections_3d.launch.py'), 'autostart:=maybe'],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, 'ROS_LOG_DIR': str(tmp_path)})
    assert done.returncode == 1
    assert 'autostart:=maybe: expected true or false' in done.stdout + done.stderr
