# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Labels files that cannot be used: one clear line, and the node goes on answering."""

import os
import signal

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('yaml', reason='needs yaml: make setup')

from support.crafted_labels import CRAFTED
from support.promises import TRIVIAL_NODE, Promise


def labels_files(folder):
    """Return path -> what the message says."""
    found = {}
    for name, (content, message) in CRAFTED.items():
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        found[path] = message
    os.mkfifo(folder / 'pipe.txt')
    (folder / 'endless.txt').symlink_to('/dev/zero')
    (folder / 'folder.yaml').mkdir()
    found[folder / 'pipe.txt'] = 'expected a file, found a pipe'
    found[folder / 'endless.txt'] = 'expected a file, found a device'
    found[folder / 'folder.yaml'] = 'expected a file, found a folder'
    found[folder / 'none.txt'] = 'No such file'
    return found


def test_no_labels_file_makes_the_node_deaf(start_node, models, tmp_path):
    node = start_node(model_file=models())
    for path, message in labels_files(tmp_path).items():
        assert node.set_parameters(labels_file=str(path))[0]
        mark = node.process.mark()
        assert node.change_state('configure') is False, path
        assert node.state() == 'unconfigured'
        line = node.process.wait_for_line('configure failed', mark)
        assert f'labels file {path}: ' in line, line
        # Not all of the text: a log line has no limit, but the patterns end at the end of the message.
        node.process.wait_for_line(message.removesuffix('$'), mark)
        # On a busy machine, the node also says what it is doing.
        assert len(node.complaints_since(mark)) == 1
    # The model has names of its own, so the list is only compared.
    names = tmp_path / 'names.txt'
    names.write_text('red\ngreen\nblue\n')
    assert node.set_parameters(labels_file=str(names))[0]
    assert node.change_state('configure')


def test_a_node_that_configures_with_nested_aliases_ends_at_a_signal(start_node, models, tmp_path):
    """The message about 474 bytes took 15 s to write, and the node did not answer."""
    path = tmp_path / 'aliases.yaml'
    path.write_text(CRAFTED['aliases.yaml'][0])
    node = start_node(model_file=models(), labels_file=str(path))
    most = Promise(2.0, TRIVIAL_NODE)
    assert node.change_state('configure') is False
    code, seconds = node.process.stop(signal.SIGINT)
    assert (code, most.allows(seconds)) == (0, True)
