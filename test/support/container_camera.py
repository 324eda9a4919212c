# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A synthetic camera that runs in a container of its own: publishes one picture, prints the detections as JSON lines.

  python3 container_camera.py PICTURE COUNT

Needs rclpy, the messages and OpenCV only. Publishes at 20 Hz on /image_raw until COUNT messages arrived on /detections,
for two minutes at most. The picture should have more than half a megabyte: without the shared memory of the DDS
profile, such images are lost.
"""

import json
import sys
import time

import cv2
import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray


def main() -> int:
    """Return 0 if COUNT messages arrived."""
    picture, count = cv2.imread(sys.argv[1]), int(sys.argv[2])
    rclpy.init()
    node = rclpy.create_node('synthetic_camera')
    publisher = node.create_publisher(Image, '/image_raw', qos_profile_sensor_data)
    arrived = []
    node.create_subscription(Detection2DArray, '/detections', arrived.append, 10)
    message = Image(
        height=picture.shape[0], width=picture.shape[1], encoding='bgr8', step=3 * picture.shape[1],
        data=picture.tobytes())
    message.header.frame_id = 'camera'
    end = time.monotonic() + 120
    while len(arrived) < count and time.monotonic() < end:
        message.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(message)
        for _ in range(5):
            rclpy.spin_once(node, timeout_sec=0.01)
    for result in arrived[:count]:
        print(json.dumps({
            'frame_id': result.header.frame_id,
            'classes': sorted({hypothesis.hypothesis.class_id for detection in result.detections
                               for hypothesis in detection.results})}), flush=True)
    return 0 if len(arrived) >= count else 1


if __name__ == '__main__':
    sys.exit(main())
