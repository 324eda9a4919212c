# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""package.xml, setup.py and the sources agree with each other."""

import ast
import re
import runpy
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import setuptools

import trt_perception
from trt_perception.doctor import package_checks

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / 'trt_perception').rglob('*.py'))
# Python module -> its rosdep key in package.xml
KEYS = {'numpy': 'python3-numpy', 'cv2': 'python3-opencv', 'yaml': 'python3-yaml'}
# No rosdep key installs these with apt on every distribution: package.xml lists them in a comment.
DOCUMENTED = {
    'ai_edge_litert', 'openvino', 'onnx', 'onnxruntime', 'tensorrt', 'pycuda', 'cuda', 'rosbags', 'simplejpeg', 'torch',
    'torchvision', 'onnxscript', 'safetensors', 'netron', 'matplotlib', 'rich', 'faster_coco_eval', 'foxglove_msgs',
    'pyarrow', 'ray', 'fsspec'}


@pytest.fixture(scope='module')
def package_xml():
    return ElementTree.parse(ROOT / 'package.xml').getroot()


@pytest.fixture(scope='module')
def setup_arguments():
    """Return the arguments that setup.py passes to setuptools."""
    handed = {}
    original, setuptools.setup = setuptools.setup, handed.update
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(ROOT)
            runpy.run_path(str(ROOT / 'setup.py'))
    finally:
        setuptools.setup = original
    return handed


def imported_modules(source):
    """Return the top-level modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(node.module)
        elif (isinstance(node, ast.Call) and node.args
              and getattr(node.func, 'id', getattr(node.func, 'attr', '')) == 'require'
              and isinstance(node.args[0], ast.Constant)):
            found.add(node.args[0].value)
    return {name.split('.')[0] for name in found}


def test_is_format_3_apache_ament_python(package_xml):
    assert package_xml.get('format') == '3'
    assert package_xml.findtext('name') == 'trt_perception'
    assert package_xml.findtext('license') == 'Apache-2.0'
    assert package_xml.findtext('export/build_type') == 'ament_python'


def test_catkin_pkg_accepts_package_xml():
    catkin_pkg = pytest.importorskip('catkin_pkg.package')
    warnings = []
    package = catkin_pkg.parse_package(str(ROOT / 'package.xml'), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []


def test_package_xml_has_the_order_of_its_schema(package_xml):
    """As package_format3.xsd has it, which xmllint and the reviewers of a release go by."""
    order = ['name', 'version', 'description', 'maintainer', 'license', 'url', 'author', 'depend', 'export']
    places = [order.index('depend' if child.tag.endswith('depend') else child.tag) for child in package_xml]
    assert places == sorted(places)


def test_setup_hands_over_nothing_that_setuptools_dropped(setup_arguments):
    """A current setuptools warns of a keyword that it does not know."""
    dropped = {
        'tests_require', 'test_suite', 'test_loader', 'setup_requires', 'use_2to3', 'convert_2to3_doctests',
        'namespace_packages', 'features', 'license_file', 'dependency_links', 'eager_resources'}
    assert set(setup_arguments) & dropped == set()
    # colcon looks for it there to choose pytest.
    assert 'pytest' in setup_arguments['extras_require']['test']
    done = subprocess.run(
        [sys.executable, '-W', 'error:Unknown distribution option:UserWarning', 'setup.py', '--version'], cwd=ROOT,
        check=True, capture_output=True, text=True)
    assert done.stdout.split()[-1] == trt_perception.__version__


def test_version_is_the_same_everywhere(package_xml, setup_arguments):
    version = package_xml.findtext('version')
    assert re.fullmatch(r'\d+\.\d+\.\d+', version)
    assert setup_arguments['version'] == version
    assert trt_perception.__version__ == version
    newest = re.search(r'^(Forthcoming|\d+\.\d+\.\d+)', (ROOT / 'CHANGELOG.rst').read_text(), re.M)
    assert newest.group(1) in ('Forthcoming', version)


def test_every_import_is_declared_or_documented(package_xml):
    declared = {element.text for element in package_xml.iter() if element.tag.endswith('_depend')}
    comments = (ROOT / 'package.xml').read_text()
    for source in SOURCES:
        for module in imported_modules(source) - set(sys.stdlib_module_names):
            if module in DOCUMENTED:
                assert re.search(rf'^\s+{module}\s', comments, re.M), (source, module)
            elif module != 'trt_perception':
                assert KEYS.get(module, module) in declared, (source, module)


def test_setup_installs_every_shared_file(setup_arguments):
    installed = {(target, Path(name).as_posix())
                 for target, names in setup_arguments['data_files'] for name in names}
    share = 'share/trt_perception'
    assert ('share/ament_index/resource_index/packages', 'resource/trt_perception') in installed
    assert (share, 'package.xml') in installed
    for folder in ('launch', 'config', 'models'):
        for path in (ROOT / folder).rglob('*'):
            if path.is_file() and '__pycache__' not in path.parts:
                name = path.relative_to(ROOT).as_posix()
                assert (f'{share}/{path.parent.relative_to(ROOT).as_posix()}', name) in installed, name


def test_setup_installs_every_python_package_and_its_data(setup_arguments):
    packages = set(setup_arguments['packages'])
    for source in SOURCES:
        assert '.'.join(source.parent.relative_to(ROOT).parts) in packages, source
    data = [path.relative_to(ROOT / 'trt_perception').as_posix()
            for path in (ROOT / 'trt_perception').rglob('*')
            if path.is_file() and path.suffix not in ('.py', '.pyc')]
    patterns = [pattern for names in setup_arguments['package_data'].values() for pattern in names]
    assert data, 'expected label files'
    for name in data:
        assert any(Path(name).match(pattern) for pattern in patterns), name


def test_extras_and_doctor_have_the_limits_of_the_requirements(setup_arguments):
    """pip leaves an older version in the environment if it is within the limits."""
    lines = [line.split('#')[0].strip() for line in (ROOT / 'requirements' / 'runtime.txt').read_text().splitlines()]
    limits = {re.split('[<>=]', line)[0]: line for line in lines if line}
    extras = setup_arguments['extras_require']
    for requirement in {requirement for names in extras.values() for requirement in names}:
        assert limits.get(re.split('[<>=]', requirement)[0], requirement) == requirement
    assert {*extras['cli'], limits['numpy']} == set(limits.values())
    oldest = {
        **{module: row[1] for module, row in {**package_checks._NEEDED, **package_checks._OPTIONAL}.items()},
        **package_checks._TESTED_RUNTIMES}
    names = {'cv2': 'opencv-python-headless', 'yaml': 'pyyaml'}
    assert {names.get(module, module): f'>={version}' for module, version in oldest.items()} == {
        name: re.search('>=[0-9.]+', line).group() for name, line in limits.items()}


def test_the_package_says_that_it_has_type_hints(setup_arguments):
    """PEP 561: type checkers use the hints of an installed package only beside this file."""
    assert (ROOT / 'trt_perception' / 'py.typed').read_bytes() == b''
    assert 'py.typed' in setup_arguments['package_data']['trt_perception']


def test_console_scripts_name_functions_that_exist(setup_arguments):
    scripts = dict(re.split(r'\s*=\s*', entry)
                   for entry in setup_arguments['entry_points']['console_scripts'])
    assert set(scripts) == {'trt_perception', 'perception_node', 'detections_3d_node'}
    for target in scripts.values():
        module, function = target.split(':')
        tree = ast.parse((ROOT / (module.replace('.', '/') + '.py')).read_text())
        assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_ros_finds_executables_where_setup_cfg_puts_them():
    text = (ROOT / 'setup.cfg').read_text()
    assert re.search(r'script_dir\s*=\s*\$base/lib/trt_perception', text)
    assert re.search(r'install_scripts\s*=\s*\$base/lib/trt_perception', text)


@pytest.mark.parametrize('source', SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_source_names_its_licence(source):
    assert '# SPDX-License-Identifier: Apache-2.0' in source.read_text().splitlines()[:3]


def test_import_needs_numpy_only():
    program = (
        'import sys, trt_perception, trt_perception.image.frame, trt_perception.pipeline.interface;'
        'print(*sorted({name.split(".")[0] for name in sys.modules}))')
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, check=True,
                          capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert 'trt_perception' in loaded
    unwanted = {'cv2', 'onnx', 'onnxruntime', 'rosbags', 'yaml', 'rclpy', 'sensor_msgs',
                'vision_msgs', 'cv_bridge', 'tensorrt', 'pycuda', 'torch'}
    assert loaded & unwanted == set()
