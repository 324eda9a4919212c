# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The package needs only NumPy to import. A missing package is reported on use, with the install command."""

import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import trt_perception
from trt_perception import dependencies
from trt_perception.advice.packages import install_line
from trt_perception.advice.platform import Platform, this_platform
from trt_perception.dependencies import require
from trt_perception.errors import MissingDependencyError, PerceptionError

PACKAGE_ROOT = Path(trt_perception.__file__).resolve().parents[1]
# Only the node, its launch files and the demo around it may need these.
ROS = {
    'rclpy', 'launch', 'launch_ros', 'lifecycle_msgs', 'sensor_msgs', 'vision_msgs', 'std_msgs', 'diagnostic_msgs',
    'rcl_interfaces', 'builtin_interfaces', 'geometry_msgs', 'ament_index_python'}
# A program without ROS may use these.
WITHOUT_ROS = {
    'api.opening', 'cli.inspect', 'cli.main', 'cli.predict', 'depth.boxes', 'image.frame', 'model.geometry',
    'model.heads.identify', 'model.heads.nms', 'model.heads.yolo', 'model.labels', 'model.onnx_file',
    'model.operations', 'model.spec', 'node.depth.health', 'node.depth.pairing',
    'node.image_topics.gaps', 'node.monitoring.health', 'node.monitoring.statistics', 'node.process.worker',
    'ort.backend', 'parameters.camera_names', 'pipeline.interface', 'pipeline.preprocess', 'progress',
    'results.json_lines', 'results.results', 'results.serialized_detections', 'sources.open_source',
    'tracking.tracker'}

# Blocks all top-level modules except the standard library, NumPy and the package.
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        top = name.partition('.')[0]
        if top not in sys.stdlib_module_names and top not in ('numpy', 'trt_perception', '_distutils_hack'):
            raise ModuleNotFoundError(f'No module named {name!r} (blocked by the test)', name=name)
    def find_distributions(self, *context):
        return []
sys.meta_path.insert(0, Blocker())
# What pip has recorded is not there either.
for finder in sys.meta_path[1:]:
    if hasattr(finder, 'find_distributions'):
        finder.find_distributions = Blocker().find_distributions
"""


def blocked(code):
    """Run code in a process that has only NumPy and the package."""
    environment = {**os.environ, 'PYTHONPATH': str(PACKAGE_ROOT)}
    return subprocess.run(
        [sys.executable, '-c', BLOCKER + code], capture_output=True, text=True, timeout=600, env=environment)


def all_modules():
    return [
        module.name for module in pkgutil.walk_packages(
            [str(Path(trt_perception.__file__).parent)], 'trt_perception.', onerror=lambda name: None)
        if not module.name.endswith('__main__')]


def test_the_blocker_blocks():
    done = blocked('import cv2')
    assert done.returncode == 1
    assert 'blocked by the test' in done.stderr


def test_import_and_help_need_numpy_only():
    done = blocked("""
import trt_perception
from trt_perception.cli.main import main
loaded = set(sys.modules)
assert not loaded & {'cv2', 'onnx', 'onnxruntime', 'yaml', 'rosbags', 'rclpy', 'tensorrt', 'pycuda'}, loaded
main(['--help'])
""")
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.startswith('usage: trt_perception')
    assert 'predict' in done.stdout


def test_the_package_itself_loads_nothing():
    done = blocked("""
before = set(sys.modules)
import trt_perception
print(sorted(name for name in set(sys.modules) - before if not name.startswith('trt_perception')))
""")
    assert (done.returncode, done.stdout.strip()) == (0, '[]')


def test_every_module_imports_with_numpy_only_unless_it_is_about_ros():
    done = blocked(f"""
import importlib
for name in {all_modules()!r}:
    try:
        importlib.import_module(name)
        print(name)
    except ImportError as error:
        print(name, error.name)
""")
    assert (done.returncode, done.stderr) == (0, '')
    lines = [line.split() for line in done.stdout.splitlines()]
    imported = {line[0] for line in lines if len(line) == 1}
    missing = {line[0]: line[1].partition('.')[0] for line in lines if len(line) == 2}
    assert {name: module for name, module in missing.items() if module not in ROS} == {}
    assert {f'trt_perception.{name}' for name in WITHOUT_ROS} - imported == set()


@pytest.mark.parametrize('code, package', [
    ("load_model('m.onnx')", 'onnx'),
    ("main(['inspect', 'm.onnx'])", 'onnx'),
])
def test_what_is_missing_is_named_when_it_is_used(tmp_path, code, package):
    (tmp_path / 'm.onnx').write_bytes(b'something')
    done = blocked(f"""
import os
os.chdir({str(tmp_path)!r})
from trt_perception.cli.main import main
from trt_perception.errors import PerceptionError
from trt_perception.model.spec import load_model
try:
    code = {code}
except PerceptionError as error:
    print(error, file=sys.stderr)
    code = 1
sys.exit(code)
""")
    assert done.returncode == 1
    message = f"'{package}' is not installed; {install_line(package, this_platform())}"
    assert message in done.stderr
    assert done.stderr.count('\n') == 1


# require


def test_a_module_that_is_there():
    assert require('os.path') is os.path


@pytest.mark.parametrize('module, message', [
    ('tensorrt', 'run {pip} tensorrt'),
    ('sensor_msgs.msg', 'without ROS 2 from apt: run {pip} ros-jazzy-sensor-msgs'),
    ('diagnostic_msgs.msg', '{pip} ros-jazzy-diagnostic-msgs'),
    ('vision_msgs.msg', 'run `make setup` in the checkout (it is not on PyPI)'),
    ('no_such.part', "the Python package 'no_such' is not installed; run {pip} no_such"),
])
def test_a_module_that_is_not(monkeypatch, module, message):
    top = module.partition('.')[0]
    for name in [name for name in sys.modules if name.startswith(f'{top}.')]:
        # From other tests: an imported submodule is found without its package.
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, top, None)
    require.cache_clear()
    here = Platform(python=sys.executable, sees_apt=False, version=(3, 11), machine='x86_64')
    monkeypatch.setattr(dependencies, 'this_platform', lambda: here)
    with pytest.raises(MissingDependencyError) as error:
        require(module)
    assert message.format(pip=f'{sys.executable} -m pip install') in str(error.value)
    assert isinstance(error.value, PerceptionError)


def test_an_old_rosbags_is_named(tmp_path):
    """It has no __version__. With 0.9 all images of a bag were called messages of another type."""
    (tmp_path / 'rosbags').mkdir()
    (tmp_path / 'rosbags' / '__init__.py').touch()
    info = tmp_path / 'rosbags-0.9.23.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: rosbags\nVersion: 0.9.23\n')
    done = subprocess.run(
        [sys.executable, '-c', 'from trt_perception.dependencies import require; require("rosbags")'],
        env={**os.environ, 'PYTHONPATH': f'{tmp_path}{os.pathsep}{PACKAGE_ROOT}'}, capture_output=True, text=True,
        timeout=600)
    assert 'rosbags 0.9.23 is too old: expected 0.11 or newer; run ' in done.stderr.splitlines()[-1]
    assert '--upgrade rosbags' in done.stderr


@pytest.mark.parametrize('package', ['sensor_msgs', 'diagnostic_msgs', 'vision_msgs'])
def test_a_missing_ros_package_ends_the_demo_before_it_starts_anything(tmp_path, package):
    pytest.importorskip('rclpy', reason='needs ROS 2')
    code = (f'import sys; sys.modules[{package!r}] = None; from trt_perception.cli.main import main; '
            "sys.exit(main(['demo', '--output', 'out']))")
    # A sourced ROS 2 is found through PYTHONPATH.
    path = os.pathsep.join(filter(None, [str(PACKAGE_ROOT), os.environ.get('PYTHONPATH')]))
    done = subprocess.run(
        [sys.executable, '-c', code], cwd=tmp_path, env={**os.environ, 'PYTHONPATH': path},
        capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr.startswith(f"trt_perception: the Python package '{package}' is not installed; ")
    assert done.stderr.count('\n') == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('source, reason', [
    ('import no_such_module', "No module named 'no_such_module'"),
    ("raise ImportError('libGL.so.1: cannot open shared object file')", 'libGL.so.1: cannot open shared object file'),
    # As onnxruntime.quantization with an old onnx.
    ('import json; json.INT4', "AttributeError: module 'json' has no attribute 'INT4'")])
def test_a_module_that_lacks_something_itself(monkeypatch, tmp_path, source, reason):
    (tmp_path / 'half_installed.py').write_text(source + '\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingDependencyError) as error:
        require('half_installed')
    assert f'half_installed is installed but cannot be imported: {reason}' in str(error.value)


@pytest.mark.parametrize('raised', [
    # Raised by NumPy 2.2 with OpenCV 4.5.4, and by cv_bridge's library.
    "ImportError('numpy.core.multiarray failed to import')", "ImportError('_ARRAY_API not found')"])
def test_a_module_that_was_built_for_numpy_1(monkeypatch, tmp_path, raised):
    (tmp_path / 'of_old.py').write_text(f'raise {raised}\n')
    monkeypatch.syspath_prepend(str(tmp_path))
    # NumPy 1 has no wheels for Python 3.13 and newer.
    command = r'install onnx .numpy<2' if sys.version_info < (3, 13) else 'install --upgrade onnx'
    with pytest.raises(MissingDependencyError, match=rf'of_old.* was built for NumPy 1 .*: run .* {command}'):
        require('of_old')


def run_require(folder, module):
    """Import a module in a process that finds it in the folder."""
    return subprocess.run(
        [sys.executable, '-c', f'from trt_perception.dependencies import require; require({module!r})'],
        env={**os.environ, 'PYTHONPATH': f'{folder}{os.pathsep}{PACKAGE_ROOT}'}, capture_output=True, text=True,
        timeout=600)


# What NumPy 2 does in an import of a module in C, and what ONNX Runtime 1.16 does with the error: the import succeeds,
# and the first use of an array ends the process.
_NUMPY_2 = """
import sys, traceback
sys.stderr.write('\\nA module that was compiled using NumPy 1.x cannot be run in\\nNumPy 2.4.6 as it may crash.\\n'
                 + 'Traceback (most recent call last):' + ''.join(traceback.format_stack()))
"""


def test_a_module_that_hides_that_it_was_built_for_numpy_1(tmp_path):
    (tmp_path / 'of_old').mkdir()
    (tmp_path / 'of_old' / '__init__.py').write_text(_NUMPY_2 + "print('ImportError: failed', file=sys.stderr)\n")
    done = run_require(tmp_path, 'of_old')
    assert done.returncode == 1
    assert "MissingDependencyError: the Python package 'of_old' was built for NumPy 1" in done.stderr


def test_the_notice_of_numpy_is_not_printed_beside_the_error(tmp_path):
    (tmp_path / 'of_old.py').write_text(_NUMPY_2 + "raise ImportError('numpy.core.multiarray failed to import')\n")
    (tmp_path / 'catch.py').write_text(
        'from trt_perception.dependencies import require\nfrom trt_perception.errors import PerceptionError\n'
        'try:\n    require("of_old")\nexcept PerceptionError as error:\n    print(error)\n')
    done = run_require(tmp_path, 'catch')
    assert (done.returncode, done.stderr) == (0, '')
    assert 'of_old' in done.stdout and 'was built for NumPy 1' in done.stdout


def test_a_notice_about_another_module_is_printed_and_no_error(tmp_path):
    """A package may do without: pandas imports such modules only if they work."""
    (tmp_path / 'user_of_old').mkdir()
    (tmp_path / 'user_of_old' / '__init__.py').write_text(
        'import logging, sys\nhandler = logging.StreamHandler()\nimport of_old\nassert sys.stderr.fileno() == 2\n'
        'logging.basicConfig(handlers=[handler])\n')
    (tmp_path / 'of_old.py').write_text(_NUMPY_2)
    (tmp_path / 'use.py').write_text(
        'import logging\nfrom trt_perception.dependencies import require\nrequire("user_of_old")\n'
        'logging.warning("after")\n')
    done = run_require(tmp_path, 'use')
    assert done.returncode == 0
    assert 'was compiled using NumPy 1.x' in done.stderr and done.stderr.endswith('WARNING:root:after\n')


@pytest.mark.parametrize('recorded, message', [
    # onnxruntime beside onnxruntime-gpu, after one of them was uninstalled. pip install does nothing.
    (True, "files of the Python package 'half_gone' are missing, but it is installed as half-gone-gpu==1.2; run .*"
           'pip install --force-reinstall --no-deps half-gone-gpu==1.2$'),
    # A folder with data beside the program.
    (False, "the Python package 'half_gone' is not installed; run .*pip install half_gone")])
@pytest.mark.parametrize('left', ['', 'capi/library.so', 'utils/__init__.py'])
def test_a_package_whose_files_are_gone(tmp_path, recorded, message, left):
    if left.endswith('.py') and not recorded:
        pytest.skip('this is a package: see test_a_package_without_an_init_file')
    if left:
        (tmp_path / 'half_gone' / left).parent.mkdir(parents=True)
        (tmp_path / 'half_gone' / left).touch()
    if recorded:
        info = tmp_path / 'half_gone_gpu-1.2.dist-info'
        info.mkdir()
        (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: half-gone-gpu\nVersion: 1.2+cu13\n')
        (info / 'INSTALLER').write_text('pip\n')
        (info / 'RECORD').write_text('half_gone/__init__.py,,\nhalf_gone/utils/__init__.py,,\n')
    done = run_require(tmp_path, 'half_gone')
    assert re.search(message, done.stderr.splitlines()[-1])


def test_a_package_without_an_init_file(tmp_path):
    """Such as rosbags."""
    (tmp_path / 'of_parts' / 'part').mkdir(parents=True)
    (tmp_path / 'of_parts' / 'part' / '__init__.py').touch()
    assert run_require(tmp_path, 'of_parts').returncode == 0


def test_a_library_that_cannot_be_mapped(tmp_path):
    """With `ulimit -v`, or on a file system that is mounted noexec; installing it again changes nothing."""
    (tmp_path / 'of_c.py').write_text("raise ImportError('/x/of_c.so: failed to map segment from shared object')\n")
    line = run_require(tmp_path, 'of_c').stderr.splitlines()[-1]
    assert line.endswith(
        'failed to map segment from shared object; give the process more memory (see ulimit -v), or mount this folder '
        'without noexec')
