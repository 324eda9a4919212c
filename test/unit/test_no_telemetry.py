# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime, OpenVINO and Ray send no telemetry.

ONNX Runtime's and Ray's is disabled before loading, unless the user enables it. OpenVINO's package for it is hidden.
"""

import os
import site
import subprocess
import sys
from pathlib import Path

import pytest
from support import tiny_models

pytest.importorskip('onnxruntime')

ROOT = Path(__file__).parents[2]
RUN = """
import os, sys
from trt_perception.ort.backend import OnnxRuntimeBackend
OnnxRuntimeBackend(sys.argv[1]).open()
print(os.environ['ORT_DISABLE_TELEMETRY'])
"""


IMPORT = """
import sys
import importlib.util
from trt_perception.dependencies import require
require('openvino')
print(sorted({'openvino_telemetry', 'openvino.tools.ovc.telemetry_stub'} & set(sys.modules)))
print(importlib.util.find_spec('openvino_telemetry') is not None)
"""

# What the clusters that this process starts will do.
RAY = """
import sys
from trt_perception.dependencies import require
require('ray')
from ray._common.usage import usage_lib
print(usage_lib.usage_stats_enabled())
"""


def site_folders():
    """Packages in a folder of PYTHONPATH: OpenVINO in `make openvino-test`, Ray in `make fleet-test`."""
    return [part for part in os.environ.get('PYTHONPATH', '').split(os.pathsep) if part]


def run(tmp_path, program=RUN, **variables):
    """Open a model in a child process; return its value of the variable and the new files in its home folder."""
    home = tmp_path / 'home'
    home.mkdir(parents=True)
    model = tmp_path / 'model.onnx'
    tiny_models.color_classifier(model)
    # Without this process's variables: ONNX Runtime sends nothing if CI is set.
    # With a ROS 2 from apt, ONNX Runtime is in the user's real home folder: ~/.local.
    environment = {
        'PATH': os.defpath, 'PYTHONPATH': os.pathsep.join([str(ROOT), *site_folders()]),
        'PYTHONUSERBASE': site.getuserbase(), 'HOME': str(home), 'XDG_CACHE_HOME': str(home), **variables}
    done = subprocess.run(
        [sys.executable, '-c', program, str(model)], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), [path.name for path in home.rglob('*') if path.is_file()]


def test_no_device_id_and_no_queue_of_events(tmp_path):
    assert run(tmp_path) == ('1', [])


def test_the_tests_themselves_send_nothing():
    """Some import ONNX Runtime directly; all but this file's child processes inherit the variable."""
    assert os.environ['ORT_DISABLE_TELEMETRY']


def test_the_users_own_setting_stays(tmp_path):
    assert run(tmp_path, ORT_DISABLE_TELEMETRY='0')[0] == '0'


def test_an_empty_setting_counts_as_none(tmp_path):
    assert run(tmp_path, ORT_DISABLE_TELEMETRY='') == ('1', [])


def test_openvino_is_imported_without_its_telemetry(tmp_path):
    """No client id in the home folder, and other programs of the process can still import the package."""
    pytest.importorskip('openvino_telemetry', reason='needs openvino: pip install openvino')
    said, files = run(tmp_path, IMPORT)
    assert said.splitlines() == ["['openvino.tools.ovc.telemetry_stub']", 'True']
    assert files == []


def test_ray_reports_nothing_unless_the_user_wants_it(tmp_path):
    pytest.importorskip('ray', reason='needs Ray: pip install ray')
    assert run(tmp_path, RAY) == ('False', [])
    assert run(tmp_path / 'enabled', RAY, RAY_USAGE_STATS_ENABLED='1')[0] == 'True'
    # Without this package it would.
    assert run(tmp_path / 'alone', RAY.replace("require('ray')", ''))[0] == 'True'
