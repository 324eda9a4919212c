# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""camera.launch.py with stand-ins for the drivers: package, executable, node name, topic and parameters reach each one.

The drivers themselves need a camera. A stand-in is a package with one executable that publishes a picture on the topic
that the driver's source names.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('launch_testing', reason='needs the ROS packages launch, launch_ros and launch_testing')

from support.launch_harness import Consumer, corners, launch_file, prepare, wait_for

BOXES = {'red': (40, 30, 90, 80), 'blue': (200, 100, 300, 220)}
# package -> executable, usual node name, image topic, parameters of the test file
DRIVERS = {
    'usb_cam': ('usb_cam', 'usb_cam_node_exe', '/camera/usb_cam', '/camera/image_raw', 'video_device'),
    'v4l2_camera': ('v4l2_camera', 'v4l2_camera_node', '/camera/v4l2_camera', '/camera/image_raw', 'video_device'),
    'realsense': (
        'realsense2_camera', 'realsense2_camera_node', '/camera/camera', '/camera/camera/color/image_raw', 'serial_no'),
    'oakd': ('depthai_ros_driver', 'camera_node', '/oak', '/oak/rgb/image_raw', 'camera.i_mx_id'),
}
# The topic in the driver's source: relative, or below the name of the node.
TOPICS = {
    'usb_cam': 'image_raw', 'v4l2_camera': 'image_raw', 'realsense2_camera': '~/color/image_raw',
    'depthai_ros_driver': '~/rgb/image_raw', 'depthai_ros_driver_v3': '~/rgb/image_raw'}
STAND_IN = """\
#!{python}
import rclpy
from rclpy.node import Node
from sensor_msgs.msg import Image
from support import harness_images

rclpy.init()
node = Node('own_name', automatically_declare_parameters_from_overrides=True)
publisher = node.create_publisher(Image, '{topic}', 10)
picture = harness_images.picture(320, 240, {boxes})
def publish():
    publisher.publish(harness_images.image(picture, harness_images.header('lens', node.get_clock().now().nanoseconds)))
node.create_timer(0.1, publish)
try:
    rclpy.spin(node)
except (KeyboardInterrupt, rclpy.executors.ExternalShutdownException):
    pass
"""


def install(prefix, package, executable):
    """Make a ROS package with a stand-in in a prefix of its own."""
    marker = prefix / 'share' / 'ament_index' / 'resource_index' / 'packages' / package
    marker.parent.mkdir(parents=True, exist_ok=True)
    marker.touch()
    program = prefix / 'lib' / package / executable
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(STAND_IN.format(python=sys.executable, topic=TOPICS[package], boxes=BOXES))
    program.chmod(0o755)


def publisher_of(consumer, topic):
    """Return the one publisher of a topic. The graph of this process may know it later than its first result."""
    def known():
        found = consumer.node.get_publishers_info_by_topic(topic)
        return found if all(each.node_name != '_NODE_NAME_UNKNOWN_' for each in found) else []

    wait_for(known, f'the publisher of {topic}')
    (publisher,) = known()
    return publisher


class Launched:
    """A process of `ros2 launch`; its output is in a file."""

    def __init__(self, folder, *arguments, file=''):
        command = shutil.which('ros2')
        start = [command] if command else [
            sys.executable, '-c', 'import sys; from ros2cli.cli import main; sys.exit(main(argv=sys.argv[1:]))']
        self.log = folder / 'log.txt'
        self._file = self.log.open('wb')
        prefixes = f'{folder / "drivers"}{os.pathsep}{os.environ.get("AMENT_PREFIX_PATH", "")}'
        environment = {**os.environ, 'AMENT_PREFIX_PATH': prefixes, 'ROS_LOG_DIR': str(folder / 'ros_log')}
        self.process = subprocess.Popen(
            [*start, 'launch', str(file) or launch_file('camera.launch.py'), *arguments], env=environment,
            stdout=self._file, stderr=subprocess.STDOUT)

    def text(self):
        return self.log.read_text()

    def end(self, timeout=60):
        if self.process.poll() is None:
            self.process.send_signal(2)
        try:
            code = self.process.wait(timeout)
        finally:
            self.process.kill()
            self._file.close()
        return code


@pytest.fixture
def folder():
    return prepare()


@pytest.fixture
def model(folder):
    from support import harness_models

    return harness_models.color_detector(folder / 'colors.onnx')


@pytest.fixture
def consumer(folder):
    # Not before `prepare` has chosen the domain.
    made = Consumer()
    yield made
    made.close()


@pytest.mark.parametrize('driver', DRIVERS)
def test_images_of_the_driver_become_detections(folder, model, consumer, driver):
    from vision_msgs.msg import Detection2DArray

    package, executable, node, topic, device = DRIVERS[driver]
    install(folder / 'drivers', package, executable)
    file = folder / 'camera.yaml'
    # The argument `device` wins over the file; the serial number stays a text.
    file.write_text(json.dumps({'/**': {'ros__parameters': {'own': 7, device: 'of the file'}}}))
    launched = Launched(
        folder, f'driver:={driver}', f'model:={model}', 'device:=012345', f'camera_params:={file}',
        'backend:=onnxruntime')
    try:
        received = consumer.collect(Detection2DArray, '/detections')
        wait_for(lambda: received, 'detections')
        found = {d.results[0].hypothesis.class_id: d for d in received[0].detections}
        assert sorted(found) == ['blue', 'red']
        assert received[0].header.frame_id == 'lens'
        for color in ('red', 'blue'):
            assert corners(found[color]) == pytest.approx(BOXES[color], abs=1.0)
        assert consumer.parameters_of(node, 'own', device) == [7, '012345']
        publisher = publisher_of(consumer, topic)
        assert f'{publisher.node_namespace.rstrip("/")}/{publisher.node_name}' == node
        if driver == 'oakd':
            assert consumer.parameters_of(node, 'camera.i_nn_type') == ['none']
        # The shared memory belongs to the sender: it needs the profile.
        pid = re.search(rf'\[{executable}-\d+\]: process started with pid \[(\d+)\]', launched.text()).group(1)
        assert 'fastdds_large_images.xml' in Path(f'/proc/{pid}/environ').read_text()
    finally:
        code = launched.end()
    assert code == 0
    assert 'Traceback' not in launched.text()


def test_two_cameras_and_the_newer_oak_driver(folder, model, consumer):
    """`camera` names the topics, `namespace` those of the results; of two generations the newer one is used."""
    from vision_msgs.msg import Detection2DArray

    for package, executable in (('depthai_ros_driver', 'camera_node'), ('depthai_ros_driver_v3', 'driver_node')):
        install(folder / 'drivers', package, executable)
    launched = Launched(
        folder, 'driver:=oakd', 'camera:=front', 'namespace:=front_results', f'model:={model}', 'backend:=onnxruntime')
    try:
        received = consumer.collect(Detection2DArray, '/front_results/detections')
        wait_for(lambda: received, 'detections')
        publisher = publisher_of(consumer, '/front/rgb/image_raw')
        assert (publisher.node_namespace, publisher.node_name) == ('/', 'front')
        assert '[driver_node-' in launched.text()
    finally:
        launched.end()


def test_the_example_of_the_page_about_several_cameras(folder, model, consumer):
    page = Path(__file__).resolve().parents[2] / 'docs' / 'how-to' / 'several_cameras.md'
    if not page.is_file():
        pytest.skip('needs the whole checkout')
    example = re.search(r'^```python\n(.*?)^```', page.read_text(), re.M | re.S).group(1)
    assert "'yolov3-tiny'" in example
    file = folder / 'cameras.launch.py'
    file.write_text(example.replace("'yolov3-tiny'", repr(str(model))))
    launched = Launched(folder, file=file)
    try:
        for camera in ('front', 'rear'):
            node, topic = f'/{camera}/detector', f'/{camera}/image_raw'
            wait_for(lambda name=node: consumer.state_of(name) == 'active', f'{node} active')
            wait_for(lambda name=topic: consumer.node.get_subscriptions_info_by_topic(name), f'{topic} subscribed')
    finally:
        launched.end()


def test_several_cameras_in_one_node(folder, model, consumer):
    """detect.launch.py with image_topics: the results of each camera are beside its images."""
    from sensor_msgs.msg import Image
    from support import harness_images
    from vision_msgs.msg import Detection2DArray

    launched = Launched(
        folder, f'model:={model}', 'image_topics:=/front/image_raw,/rear/image_raw',
        file=launch_file('detect.launch.py'))
    try:
        boxes = {'/front': (40, 30, 90, 80), '/rear': (200, 100, 300, 220)}
        for camera, box in boxes.items():
            received = consumer.collect(Detection2DArray, f'{camera}/detections')
            publisher = consumer.node.create_publisher(Image, f'{camera}/image_raw', 1)
            picture = harness_images.image(
                harness_images.picture(320, 240, {'red': box}), harness_images.header(camera[1:], 7))

            def answered(publisher=publisher, picture=picture, received=received):
                publisher.publish(picture)
                return received

            wait_for(answered, f'detections of {camera}')
            assert received[0].header.frame_id == camera[1:]
            assert corners(received[0].detections[0]) == pytest.approx(box, abs=1.01)
            consumer.node.destroy_publisher(publisher)
        assert consumer.state_of('/detector') == 'active'
    finally:
        launched.end()


def test_a_driver_that_ends_is_told(folder, model):
    install(folder / 'drivers', 'usb_cam', 'usb_cam_node_exe')
    (folder / 'drivers' / 'lib' / 'usb_cam' / 'usb_cam_node_exe').write_text('#!/bin/sh\nexit 5\n')
    launched = Launched(folder, 'driver:=usb_cam', f'model:={model}')
    try:
        wait_for(lambda: 'ended (exit code 5)' in launched.text(), 'the line about the driver')
        assert 'the camera driver usb_cam ended (exit code 5); its lines above say why' in launched.text()
    finally:
        launched.end()


@pytest.mark.parametrize('arguments, message', [
    (['driver:=usb_cam'], 'driver:=usb_cam: the package usb_cam is not installed: sudo apt install ros-'),
    (['driver:=oakd'], 'the package depthai_ros_driver_v3 or depthai_ros_driver is not installed: sudo apt install'),
    (['driver:=webcam'], 'usb_cam'),
    (['driver:=v4l2_camera', 'camera:=/front'], 'camera:=/front: expected a name of letters'),
    (['driver:=v4l2_camera', 'camera_params:=/no/such.yaml'], 'camera_params:=/no/such.yaml: there is no such file'),
    (['driver:=usb_cam', 'image_topics:=/a'], 'image_topics'),
])
def test_wrong_arguments(folder, arguments, message):
    install(folder / 'drivers', 'v4l2_camera', 'v4l2_camera_node')
    launched = Launched(folder, *arguments)
    deadline = time.monotonic() + 30
    while launched.process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    launched.end()
    assert message in launched.text()
    assert 'Traceback' not in launched.text()
