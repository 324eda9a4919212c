# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Cameras of a node with image_topics: what they send, and what the node publishes and reports for each."""

import itertools

from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from support import harness_images as images
from support.harness_driver import Collector, wait_until

COUNTS = ('processed', 'replaced', 'stale', 'bad', 'failed')
_NUMBERS = itertools.count(1)


class Camera:
    """A publisher of images, and what the node publishes and reports for it."""

    def __init__(self, node, topic, kind=Image, outputs=''):
        self.node = node
        self.topic = node.topic(topic)
        self.name = outputs or self.topic.rpartition('/')[0]
        # Before the publisher: the node then knows this subscription when it has found the publisher, and no result is
        # lost.
        self.results = Collector(node.driver, Detection2DArray, f'{self.name}/detections')
        self.publisher = node.driver.node.create_publisher(kind, self.topic, QoSProfile(depth=5))
        self.sent = 0

    def connect(self):
        """Wait until both sides have discovered each other."""
        wait_until(lambda: self.publisher.get_subscription_count() == 1, f'the node subscribes {self.topic}')
        self.diagnosis(lambda _, v: v.get('image_publishers') == '/driver', 'the node has found the publisher')

    def message(self, box, frame_id=''):
        return images.image(
            images.picture(320, 240, {'red': box}), images.header(frame_id, self.node.driver.now_ns()))

    def publish(self, message):
        self.publisher.publish(message)
        self.sent += 1

    def answer_to(self, message):
        message.header.frame_id = wanted = f'{self.topic}_{next(_NUMBERS)}'
        since = self.results.count()
        for _ in range(3):
            self.publish(message)
            try:
                return self.results.wait(lambda m: m.header.frame_id == wanted, since, timeout=20.0)
            except AssertionError as error:
                reason = error
        raise AssertionError(f'{reason}; the node said:\n{self.node.process.tail()}')

    def diagnosis(self, condition=lambda *_: True, what='a diagnosis'):
        return self.node.diagnosis(condition, f'{what} of {self.name}', camera=self.name)

    def counts(self, condition=lambda _: True, what='the counts'):
        _, values = self.diagnosis(
            lambda _, v: condition({name: int(v[name]) for name in ('received', *COUNTS)}), what)
        return {name: int(values[name]) for name in ('received', *COUNTS)}

    def close(self):
        self.node.driver.node.destroy_publisher(self.publisher)
        self.results.close()
