# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""detections_3d_node over DDS: places of known objects, what it pairs, what it says when something is missing."""

import array
import importlib.util
import itertools
import math
import signal

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from support.harness_driver import TIMEOUT, NodeClient, wait_until
from support.harness_images import header
from support.harness_process import NodeProcess
from support.node_fixtures import end_process
from vision_msgs.msg import (
    BoundingBox2D,
    Detection2D,
    Detection2DArray,
    Detection3DArray,
    ObjectHypothesis,
    ObjectHypothesisWithPose,
)

FX, FY, CX, CY, WIDTH, HEIGHT = 500.0, 520.0, 319.5, 239.5, 640, 480
FRAME = 'depth_optical_frame'
S = 1_000_000_000
_NAMESPACES = itertools.count(1)


class Robot:
    """The node, and this process as its cameras and detector."""

    def __init__(self, driver, folder, parameters, arguments=()):
        process = NodeProcess(
            f'/depth_{next(_NAMESPACES)}', folder, {'diagnostics_period': 0.1, **parameters}, arguments,
            'trt_perception.node.depth.main')
        self.node = NodeClient(driver, process, 'detections_3d_node', 'detections_3d')
        self.node.wait_for_services()
        self.driver = driver
        self._reliable = parameters.get('reliability') == 'reliable'
        self.results = self.node.collect('detections_3d', Detection3DArray)
        self._publishers = {}

    def activate(self):
        assert self.node.change_state('configure') and self.node.change_state('activate'), self.node.process.tail()
        return self

    def connect(self, masks=False, depth=5):
        """Publish the topics, and wait until the node has found the publishers. depth: of their history."""
        qos = QoSProfile(depth=depth, reliability=ReliabilityPolicy.RELIABLE)
        kinds = {'detections': Detection2DArray, 'depth': Image, 'camera_info': CameraInfo}
        for name, kind in (kinds | ({'mask_instances': Image} if masks else {})).items():
            topic = self.node.topic(name)
            publisher = self._publishers[name] = self.driver.node.create_publisher(kind, topic, qos)
            self.node._publishers.append(publisher)
            wait_until(lambda publisher=publisher: publisher.get_subscription_count() == 1, f'{topic} is subscribed')
            self.node.diagnosis(lambda _, v, topic=topic: v.get(topic, '').startswith('1 '), f'{topic} is found')
        self.node.wait_for_outputs('detections_3d')
        return self

    def info(self, width=WIDTH, height=HEIGHT, **fields):
        fields.setdefault('k', [FX, 0, CX, 0, FY, CY, 0, 0, 1])
        self._publishers['camera_info'].publish(CameraInfo(width=width, height=height, **fields))

    def depth(self, stamp_ns, metres, encoding='32FC1', is_bigendian=0):
        kind = {'32FC1': 'f4', '16UC1': 'u2'}[encoding]
        values = metres if kind == 'f4' else np.round(metres * 1000)
        pixels = values.astype(np.dtype(kind).newbyteorder('>' if is_bigendian else '<'))
        self._publishers['depth'].publish(Image(
            header=header(FRAME, stamp_ns), height=pixels.shape[0], width=pixels.shape[1], encoding=encoding,
            is_bigendian=is_bigendian, step=pixels.strides[0], data=array.array('B', pixels.tobytes())))

    def masks(self, stamp_ns, labels):
        self._publishers['mask_instances'].publish(Image(
            header=header('color_optical_frame', stamp_ns), height=labels.shape[0], width=labels.shape[1],
            encoding='16UC1', step=labels.strides[0], data=array.array('B', labels.tobytes())))

    def detections(self, stamp_ns, boxes):
        message = Detection2DArray(header=header('color_optical_frame', stamp_ns))
        for number, (left, top, right, bottom) in enumerate(boxes, 1):
            box = BoundingBox2D(size_x=float(right - left), size_y=float(bottom - top))
            box.center.position.x, box.center.position.y = (left + right) / 2, (top + bottom) / 2
            message.detections.append(Detection2D(
                header=message.header, bbox=box, id=str(number), results=[
                    ObjectHypothesisWithPose(hypothesis=ObjectHypothesis(class_id=name, score=score))
                    for name, score in (('person', 0.75), ('dog', 0.125))]))
        self._publishers['detections'].publish(message)

    def result(self, stamp_ns, send=lambda: None):
        """Return the result with this stamp. send: called, and called again if a best-effort message was lost."""
        again_s = TIMEOUT if self._reliable else 15.0
        for _ in range(round(TIMEOUT / again_s)):
            send()
            try:
                return self.results.wait(
                    lambda found: found.header.stamp == header('', stamp_ns).stamp, timeout=again_s, what='the result')
            except AssertionError:
                continue
        raise AssertionError(self.node.process.tail())


@pytest.fixture
def robot(driver, tmp_path):
    robots = []

    def start(arguments=(), **parameters):
        robots.append(Robot(driver, tmp_path / str(len(robots)), parameters, arguments))
        return robots[-1]

    yield start
    for robot in robots:
        end_process(robot.node)


def flat(boxes, background=6.0):
    metres = np.full((HEIGHT, WIDTH), background)
    for (left, top, right, bottom), z in boxes.items():
        metres[top:bottom, left:right] = z
    return metres


# The second has an object at the left, above the middle of the image.
BOXES = {(400, 300, 560, 460): 2.5, (100, 60, 180, 200): 1.25}


def test_places_in_every_kind_of_image(robot):
    robot = robot().activate().connect()
    robot.info()
    stamp = robot.driver.now_ns()
    metres = flat(BOXES)
    metres[300:460, 400:480:3] = np.nan
    for encoding, is_bigendian in (('32FC1', 0), ('32FC1', 1), ('16UC1', 0), ('16UC1', 1)):
        stamp += S // 10

        def send(encoding=encoding, is_bigendian=is_bigendian, stamp=stamp):
            robot.info()
            robot.depth(stamp, np.nan_to_num(metres) if encoding == '16UC1' else metres, encoding, is_bigendian)
            robot.detections(stamp, list(BOXES))

        message = robot.result(stamp, send)
        assert message.header.frame_id == FRAME
        assert len(message.detections) == 2
        for number, ((left, top, right, bottom), z), found in zip((1, 2), BOXES.items(), message.detections):
            assert (found.id, found.header) == (str(number), message.header)
            assert [(r.hypothesis.class_id, r.hypothesis.score) for r in found.results] == [
                ('person', 0.75), ('dog', 0.125)]
            centre, size = found.bbox.center.position, found.bbox.size
            # The centre of a pixel is 0.5 from its edge.
            expected = (((left + right - 1) / 2 - CX) / FX * z, ((top + bottom - 1) / 2 - CY) / FY * z, z)
            assert (centre.x, centre.y, centre.z) == pytest.approx(expected, abs=1e-6)
            assert (size.x, size.y, size.z) == pytest.approx(((right - left) / FX * z, (bottom - top) / FY * z, 0))
            assert found.bbox.center.orientation.w == 1.0
            for result in found.results:
                assert result.pose.pose == found.bbox.center
                covariance = np.array(result.pose.covariance).reshape(6, 6)
                assert np.sqrt(np.diag(covariance)[:3]) == pytest.approx((size.x / 20, size.y / 20, 0))
                assert np.diag(covariance)[3:] == pytest.approx([math.pi ** 2 / 3] * 3)
    # More than four if a message was lost and sent again. One count follows the other.
    _, values = robot.node.diagnosis(
        lambda _, v: 4 <= int(v['processed']) == int(v['placed']) / 2, 'four results of two objects')
    assert values['without_depth'] == values['bad'] == '0'


def test_depth_of_half_the_size(robot):
    robot = robot().activate().connect()
    stamp = robot.driver.now_ns()

    def send():
        robot.info()
        robot.depth(stamp, flat(BOXES)[::2, ::2], '16UC1')
        robot.detections(stamp, list(BOXES))

    places = [found.bbox.center.position for found in robot.result(stamp, send).detections]
    assert [place.z for place in places] == [2.5, 1.25]
    assert places[0].x == pytest.approx((479.5 - CX) / FX * 2.5)


def test_the_pixels_of_the_masks_count(robot):
    robot = robot(use_masks=True).activate().connect(masks=True)
    labels = np.zeros((HEIGHT, WIDTH), '<u2')
    # Through the middle of the first object one sees the wall.
    labels[300:460, 400:560], labels[330:430, 430:530], labels[60:200, 100:180] = 1, 0, 2
    metres = np.full((HEIGHT, WIDTH), 6.0)
    metres[labels == 1], metres[labels == 2] = 2.5, 1.25
    stamp = robot.driver.now_ns()
    for masks_first in (False, True):
        stamp += S // 10

        def send(stamp=stamp, masks_first=masks_first):
            robot.info()
            robot.depth(stamp, metres)
            messages = [lambda: robot.detections(stamp, list(BOXES)), lambda: robot.masks(stamp, labels)]
            for publish in reversed(messages) if masks_first else messages:
                publish()

        assert [d.bbox.center.position.z for d in robot.result(stamp, send).detections] == [2.5, 1.25]


def test_an_object_without_depth_is_left_out(robot):
    robot = robot(min_known=0.3).activate().connect()
    stamp = robot.driver.now_ns()

    def send():
        robot.info()
        robot.depth(stamp, flat({**BOXES, (100, 60, 180, 200): np.nan}))
        robot.detections(stamp, list(BOXES))

    assert [found.id for found in robot.result(stamp, send).detections] == ['1']
    # An image without objects gives an empty message.
    stamp += S
    assert robot.result(stamp, lambda: (robot.depth(stamp, flat({})), robot.detections(stamp, []))).detections == []


def test_the_nearest_depth_image_is_taken_and_may_come_before_or_after(robot):
    robot = robot(max_stamp_difference=0.08, reliability='reliable').activate().connect()
    start = robot.driver.now_ns()
    robot.info()
    # The depths tell the images apart: 1 m, 2 m, ... a tenth of a second apart.
    for number in range(1, 11):
        robot.depth(start + number * S // 10, np.full((HEIGHT, WIDTH), float(number)))
        robot.node.diagnosis(lambda _, v, number=number: v.get('depth_images') == str(number), 'the depth image')
    for offset, expected in ((0.32, 3), (0.44, 4), (0.57, 6), (1.0, 10)):
        stamp = start + round(offset * S)
        found = robot.result(stamp, lambda stamp=stamp: robot.detections(stamp, [(300, 200, 340, 280)]))
        assert found.detections[0].bbox.center.position.z == expected
    # These wait for the depth image after them.
    stamp = start + round(1.06 * S)
    robot.detections(stamp, [(300, 200, 340, 280)])
    robot.node.diagnosis(lambda _, v: v.get('received') == '5', 'the detections')
    found = robot.result(stamp, lambda: robot.depth(start + round(1.1 * S), np.full((HEIGHT, WIDTH), 11.0)))
    assert found.detections[0].bbox.center.position.z == 11
    # No depth image of this time can come any more.
    robot.detections(start - 2 * S, [(300, 200, 340, 280)])
    robot.node.diagnosis(lambda _, v: (v['unmatched'], v['processed']) == ('1', '5'), 'unmatched')


def test_depth_images_wait_for_a_paused_process(robot):
    count = 12
    robot = robot(depth_queue=count, max_stamp_difference=0.0, reliability='reliable').activate().connect(depth=count)
    start = robot.driver.now_ns()
    robot.info()
    robot.node.process.process.send_signal(signal.SIGSTOP)
    try:
        for number in range(1, count + 1):
            robot.depth(start + number, np.full((HEIGHT, WIDTH), float(number)))
    finally:
        robot.node.process.process.send_signal(signal.SIGCONT)
    robot.node.diagnosis(lambda _, v: v.get('depth_images') == str(count), 'all depth images')
    found = robot.result(start + 1, lambda: robot.detections(start + 1, [(300, 200, 340, 280)]))
    assert found.detections[0].bbox.center.position.z == 1


def test_what_came_before_the_detections_is_taken_before_them(driver):
    """Whatever the executor does: this node has none."""
    import rclpy
    from rclpy.serialization import serialize_message

    from trt_perception.node.depth.inputs import Inputs

    node = rclpy.create_node('inputs', namespace=f'/depth_{next(_NAMESPACES)}')
    called = []

    def note(name):
        return lambda message: called.append((name, message.stamp_ns))

    inputs = Inputs(node, 'reliable', 10, note('detections'), note('depth'), note('masks'))
    publishers = {
        name: driver.node.create_publisher(kind, f'{node.get_namespace()}/{name}', QoSProfile(depth=10))
        for name, kind in (('depth', Image), ('mask_instances', Image), ('camera_info', CameraInfo))}
    detections = next(one for one in node.subscriptions if one.topic_name.endswith('/detections'))
    try:
        for publisher in publishers.values():
            wait_until(lambda publisher=publisher: publisher.get_subscription_count() == 1, 'subscribed')
        for stamp in (1, 2, 3):
            publishers['depth'].publish(Image(header=header('', stamp)))
        publishers['mask_instances'].publish(Image(header=header('', 3)))
        publishers['camera_info'].publish(CameraInfo(width=7))

        def handled():
            detections.callback(serialize_message(Detection2DArray(header=header('', 3))))
            return inputs.camera_info is not None and len([name for name, _ in called if name != 'detections']) == 4

        wait_until(handled, lambda: f'all messages: {called}')
        assert [stamp for name, stamp in called if name == 'depth'] == [1, 2, 3]
        assert called[-1] == ('detections', 3) and called.count(('masks', 3)) == 1
        assert inputs.camera_info.width == 7
    finally:
        inputs.close()
        for publisher in publishers.values():
            driver.node.destroy_publisher(publisher)
        node.destroy_node()


@pytest.mark.parametrize('fields, boxes, says', [
    ({'k': [0.0] * 9}, [(1, 1, 20, 20)], 'expected a calibrated camera'),
    ({'width': 848}, [(1, 1, 20, 20)], '640x480 pixels, but camera_info is for 848x480: another view'),
    ({}, [(1, 1, 20, 20), (600, 100, 1200, 400)], 'ends at 1200, 400, but camera_info is for an image of 640x480'),
    ({}, [(1, 1, 20, 20), (200, 200, 100, 150)], 'a detection has a box of -100x-50 pixels around 150, 175: expected'),
    ({}, [(math.nan, 1, 20, 20)], 'a detection has a box of nanx19 pixels around nan, 10.5: expected finite numbers'),
    ({'binning_x': 2000}, [(1, 1, 20, 20)], 'a binning of 2000x1 for 640x480 pixels: expected at least one pixel'),
])
def test_what_does_not_fit_together_is_one_line(robot, fields, boxes, says):
    robot = robot().activate().connect()
    stamps = itertools.count(robot.driver.now_ns())

    def send():
        stamp = next(stamps)
        robot.info(**fields)
        robot.depth(stamp, np.ones((HEIGHT, WIDTH)))
        robot.detections(stamp, boxes)

    # They go on: the reason is about the last seconds, and a message may be lost.
    _, values = robot.node.diagnosis(lambda s, _: send() or says in s.message, says)
    assert values['processed'] == '0' and int(values['bad']) > 0
    assert robot.node.process.wait_for_line('detections not placed: .*')


def test_without_camera_info_its_topic_is_named(robot):
    robot = robot().activate().connect()
    stamps = itertools.count(robot.driver.now_ns())

    def send():
        stamp = next(stamps)
        robot.depth(stamp, np.ones((HEIGHT, WIDTH)))
        robot.detections(stamp, [(1, 1, 20, 20)])

    says = f'no camera_info was received yet on {robot.node.topic("camera_info")}: expected'
    robot.node.diagnosis(lambda s, _: send() or says in s.message, says)


def test_the_counts_add_up_after_deactivate(robot):
    robot = robot(reliability='reliable').activate().connect()
    robot.info()
    # They wait for a depth image of their time, which never comes.
    robot.detections(robot.driver.now_ns(), [(1, 1, 20, 20)])
    robot.node.diagnosis(lambda _, v: v.get('received') == '1', 'the detections')
    assert robot.node.change_state('deactivate')
    _, values = robot.node.diagnosis(lambda _, v: v.get('state') == 'inactive', 'inactive')
    assert (values['received'], values['unmatched'], values['processed']) == ('1', '1', '0')


def test_missing_topics_are_named(robot):
    robot = robot().activate()
    topic = robot.node.topic('detections')
    status, _ = robot.node.diagnosis(lambda s, _: s.level != b'\0', 'a warning')
    assert status.message == f'no node publishes {topic}: check the name of the topic (ros2 topic list)'


def test_a_topic_of_another_type_is_refused_in_one_line(robot):
    robot = robot(arguments=('-r', 'detections_3d:=depth'))
    assert not (robot.node.change_state('configure') and robot.node.change_state('activate'))
    line = robot.node.process.wait_for_line('remap one of them')
    assert 'sensor_msgs/msg/Image' in line and 'vision_msgs/msg/Detection3DArray' in line
    assert robot.node.state() == 'unconfigured'


def test_a_bond_without_its_package_is_one_line(robot):
    if importlib.util.find_spec('bond') is not None:
        pytest.skip('needs an environment without the package bond')
    robot = robot(bond=True)
    assert not robot.node.change_state('configure')
    assert robot.node.process.wait_for_line("configure failed: the Python package 'bond' is not installed")


def test_the_lifecycle_and_the_parameters(robot):
    robot = robot(min_depth=3.0, max_depth=2.0)
    node = robot.node
    assert not node.change_state('configure')
    assert node.state() == 'unconfigured'
    assert node.process.wait_for_line('configure failed: min_depth is 3 and max_depth is 2: expected a smaller')
    assert node.set_parameters(min_depth=0.5)[0]
    assert node.set_parameters(core_fraction=2.0)[0] is False
    assert node.change_state('configure') and node.change_state('activate')
    accepted, reason = node.set_parameters(max_depth=4.0)
    assert not accepted and 'max_depth is read on configure' in reason
    robot.connect()
    for _ in range(2):
        assert node.change_state('deactivate')
        wait_until(lambda: robot._publishers['depth'].get_subscription_count() == 0, 'no subscription')
        assert node.change_state('activate')
        wait_until(lambda: robot._publishers['depth'].get_subscription_count() == 1, 'a subscription')
    assert node.change_state('deactivate') and node.change_state('cleanup') and node.change_state('shutdown')
    assert node.state() == 'finalized'
