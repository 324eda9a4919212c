# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""docker/healthcheck.py asks a node for its lifecycle state, as Docker runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support.subprocesses import without_middleware

SCRIPT = Path(__file__).resolve().parents[2] / 'docker' / 'healthcheck.py'
if not SCRIPT.is_file():
    pytest.skip('needs the whole checkout', allow_module_level=True)


def check(name):
    done = subprocess.run(
        [sys.executable, str(SCRIPT)], env={**os.environ, 'PERCEPTION_NODE': name}, capture_output=True, text=True,
        timeout=600, check=False)
    assert done.stderr == ''
    return done.returncode, without_middleware(done.stdout).strip()


def test_only_an_active_node_is_healthy(node, models):
    name = node.name
    assert check(name) == (1, f'{name} is unconfigured')
    node.bring_to('inactive', model_file=models())
    assert check(name) == (1, f'{name} is inactive')
    node.bring_to('active')
    assert check(name) == (0, f'{name} is active')


def test_an_answer_that_is_lost_is_asked_for_again(driver):
    """DDS drops the answer of a service that has not discovered its client yet. Here it gives none at first."""
    from lifecycle_msgs.srv import GetState

    asked = []

    def answer(request, response):
        asked.append(request)
        if len(asked) == 1:
            raise RuntimeError('no answer')
        response.current_state.id, response.current_state.label = 3, 'active'
        return response

    service = driver.node.create_service(GetState, '/forgetful/get_state', answer)
    driver.executor.wake()
    try:
        assert check('/forgetful') == (0, '/forgetful is active')
        assert len(asked) > 1
    finally:
        driver.node.destroy_service(service)


def test_a_missing_node_is_named(ros_environment):
    code, text = check('/no_such_node')
    assert code == 1
    assert text.startswith('no service /no_such_node/get_state in ') and 'PERCEPTION_NODE' in text
