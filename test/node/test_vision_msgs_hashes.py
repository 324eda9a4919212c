# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The installed vision_msgs are the ones that every other ROS 2 node understands."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support.subprocesses import without_middleware

ament_index = pytest.importorskip('ament_index_python.packages', reason='needs ROS 2')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs')

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / 'interfaces' / 'vision_msgs' / 'type_hashes.txt'
EXPECTED = dict(
    line.split() for line in TABLE.read_text().splitlines() if line and line[0] != '#')

# One process publishes and looks up its own topic: the result is the hash that discovery transmits.
LOOK_UP = """
import os, sys, time
import rclpy
from vision_msgs import msg

rclpy.init()
node = rclpy.create_node('vision_msgs_hashes')
kind = getattr(msg, sys.argv[1])
topic = f'hash_check_{os.getpid()}'
publisher = node.create_publisher(kind, topic, 1)
deadline = time.monotonic() + 600
while not (found := node.get_publishers_info_by_topic(topic)):
    if time.monotonic() > deadline:
        sys.exit('the publisher was not discovered within 600 s')
    time.sleep(0.05)
print(found[0].topic_type, found[0].topic_type_hash)
"""


def test_table_names_every_message():
    messages = {path.stem for path in (ROOT / 'interfaces' / 'vision_msgs' / 'msg').glob('*.msg')}
    assert set(EXPECTED) == messages
    assert len(EXPECTED) == 16


@pytest.mark.parametrize('name', sorted(EXPECTED))
def test_installed_type_hash(name):
    share = Path(ament_index.get_package_share_directory('vision_msgs'))
    path = share / 'msg' / f'{name}.json'
    if not path.is_file():
        pytest.skip('this ROS 2 distribution has no type hashes (Humble)')
    hashes = {entry['type_name']: entry['hash_string']
              for entry in json.loads(path.read_text())['type_hashes']}
    assert hashes[f'vision_msgs/msg/{name}'] == EXPECTED[name]


@pytest.mark.parametrize('name', ['Classification', 'Detection2DArray', 'LabelInfo', 'VisionInfo'])
def test_type_hash_on_the_wire(name, tmp_path):
    rclpy = pytest.importorskip('rclpy.topic_endpoint_info')
    if not hasattr(rclpy, 'TypeHash'):
        pytest.skip('this ROS 2 distribution has no type hashes (Humble)')
    script = tmp_path / 'look_up.py'
    script.write_text(LOOK_UP)
    done = subprocess.run([sys.executable, str(script), name], capture_output=True, text=True,
                          timeout=660, check=False)
    assert done.returncode == 0, done.stderr
    kind, type_hash = without_middleware(done.stdout).split()
    assert kind == f'vision_msgs/msg/{name}'
    assert type_hash == EXPECTED[name]
