# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""docker/cpu.Dockerfile is built, and its image runs `predict` and the node.

Needs a Docker daemon and, without download, the base image: debian:bookworm-slim, or the one that
TRT_PERCEPTION_DOCKER_BASE names. The build itself downloads Debian packages and wheels; it takes minutes. If
TRT_PERCEPTION_DOCKER_IMAGE names an image of cpu.Dockerfile, that one is run and nothing is built.
"""

import json
import os
import shutil
import subprocess
import time
import uuid
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BASE = os.environ.get('TRT_PERCEPTION_DOCKER_BASE', 'debian:bookworm-slim')
BUILT = os.environ.get('TRT_PERCEPTION_DOCKER_IMAGE')
if not (ROOT / 'docker').is_dir():
    pytest.skip('needs the whole checkout', allow_module_level=True)
if shutil.which('docker') is None:
    pytest.skip('needs Docker', allow_module_level=True)


def docker(*arguments, limit=120):
    return subprocess.run(
        ['docker', *arguments], cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False)


if docker('info').returncode:
    pytest.skip('no Docker daemon answers', allow_module_level=True)
if docker('image', 'inspect', BUILT or BASE).returncode:
    pytest.skip(f'the image {BUILT or BASE} is not here: docker pull {BUILT or BASE}', allow_module_level=True)
cv2 = pytest.importorskip('cv2')
np = pytest.importorskip('numpy')
pytest.importorskip('onnx')

from support.node_fixtures import separate_domain
from support.tiny_models import color_detector

TAG = f'trt_perception_test:{uuid.uuid4().hex[:8]}'


@pytest.fixture(scope='module')
def image():
    """The tag of the image, built here and removed at the end, or the one that was given."""
    if BUILT:
        yield BUILT
        return
    built = docker(
        'build', '--network', 'host', '--build-arg', f'BASE={BASE}', '-f', 'docker/cpu.Dockerfile', '-t', TAG, '.',
        limit=1500)
    assert built.returncode == 0, (built.stdout + built.stderr)[-3000:]
    yield TAG
    docker('image', 'rm', TAG)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A model that finds red, green and blue areas, and a Full HD picture with a red one, readable for each user."""
    path = tmp_path_factory.mktemp('docker')
    color_detector(path / 'colors.onnx')
    picture = np.full((1080, 1920, 3), 40, np.uint8)
    picture[200:900, 400:1500] = (0, 0, 255)
    cv2.imwrite(str(path / 'red.png'), picture)
    shutil.copy(ROOT / 'test' / 'support' / 'container_camera.py', path)
    for entry in (path.parent, path, *path.iterdir()):
        entry.chmod(entry.stat().st_mode | 0o055)
    return path


def test_predict_without_a_network_and_without_root(image, folder):
    user = docker('run', '--rm', image, 'id', '-un')
    assert user.stdout.strip() == 'perception'
    done = docker(
        'run', '--rm', '--network', 'none', '-v', f'{folder}:/models:ro', image,
        'trt_perception', 'predict', '/models/colors.onnx', '/models/red.png', '--json', '/tmp/result.jsonl')
    assert done.returncode == 0, done.stderr
    assert 'red.png 0: red ' in done.stdout


def test_the_node_with_a_camera_in_another_container(image, folder):
    """Full HD images reach the node, and its results the camera; the health follows the lifecycle."""
    name = f'trt_perception_test_{uuid.uuid4().hex[:8]}'
    with separate_domain() as domain:
        shared = ('--network', 'host', '--ipc', 'host', '-e', f'ROS_DOMAIN_ID={domain}', '-v', f'{folder}:/models:ro')
        started = docker(
            'run', '-d', '--name', name, '--cap-drop', 'ALL', *shared, '-e', 'MODEL=/models/colors.onnx',
            '--health-interval', '2s', image)
        assert started.returncode == 0, started.stderr
        try:
            camera = docker(
                'run', '--rm', *shared, image, 'python3', '/models/container_camera.py', '/models/red.png', '10',
                limit=200)
            assert camera.returncode == 0, camera.stderr + docker('logs', name).stderr
            results = [json.loads(line) for line in camera.stdout.splitlines()]
            assert results == [{'frame_id': 'camera', 'classes': ['red']}] * 10
            assert health(name) == ('healthy', 'is active')
            stopped = time.monotonic()
            docker('stop', '--time', '20', name)
            assert time.monotonic() - stopped < 20
            assert docker('inspect', '-f', '{{.State.ExitCode}}', name).stdout.strip() == '0'
        finally:
            docker('rm', '-f', name)


def health(name):
    """Return Docker's word for the health and the end of what the healthcheck printed, when it ran once."""
    for _ in range(60):
        state = json.loads(docker('inspect', '-f', '{{json .State.Health}}', name).stdout)
        if state['Log'] and state['Status'] != 'starting':
            return state['Status'], ' '.join(state['Log'][-1]['Output'].split()[-2:])
        time.sleep(1)
    pytest.fail('no healthcheck ended within a minute')
