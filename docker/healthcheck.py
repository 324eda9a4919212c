# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Healthcheck of the images: exit code 0 if the lifecycle node of $PERCEPTION_NODE is active, otherwise 1.

Asks the service get_state of the node (default: /detector). Prints the state, or why it is unknown.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import rclpy
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState

# Less than the timeout of HEALTHCHECK, so that the reason is printed.
_LIMIT_S = 10.0
# A request without an answer in this time is sent again.
_ANSWER_S = 1.0


def main() -> int:
    """Return the exit code."""
    name = os.environ.get('PERCEPTION_NODE', '/detector')
    rclpy.init()
    node = rclpy.create_node(f'healthcheck_{os.getpid()}', enable_rosout=False, start_parameter_services=False)
    service = f'{name}/get_state'
    end = time.monotonic() + _LIMIT_S
    client = node.create_client(GetState, service)
    if not client.wait_for_service(timeout_sec=_LIMIT_S):
        print(f'no service {service} in {_LIMIT_S:.0f} s; if the node has another name, set PERCEPTION_NODE to it')
        return 1
    requests: list[Any] = []
    while not (answers := [request.result() for request in requests if request.done()]):
        if requests and time.monotonic() > end:
            print(f'{name} does not answer')
            return 1
        # DDS drops the answer of a service that has not discovered its client yet, so it is asked again.
        requests.append(client.call_async(GetState.Request()))
        rclpy.spin_until_future_complete(node, requests[-1], timeout_sec=_ANSWER_S)
    state = answers[0].current_state
    print(f'{name} is {state.label}')
    return 0 if state.id == State.PRIMARY_STATE_ACTIVE else 1


if __name__ == '__main__':
    code = main()
    sys.stdout.flush()
    # Without the shutdown of DDS, which takes time and is not needed here.
    os._exit(code)
