# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""max_batch with TensorRT: which batches the engine is built for, which run, and that the key follows."""

from dataclasses import replace

import pytest
from support.engines import convolutional_detector
from support.precision_models import color_folder
from support.tiny_models import batched_detector, color_detector

from trt_perception.backends.create import create_pipeline
from trt_perception.backends.tensorrt.batches import with_batches
from trt_perception.backends.tensorrt.build.process import build_in_process
from trt_perception.backends.tensorrt.build.request import build_request
from trt_perception.backends.tensorrt.cuda.gpu_info import GpuInfo
from trt_perception.backends.tensorrt.engine_pipeline import EnginePipeline
from trt_perception.backends.tensorrt.engine_source import engine_key
from trt_perception.backends.tensorrt.library.compat import TensorRt, adopt
from trt_perception.cli import build
from trt_perception.cli.main import SUBCOMMANDS
from trt_perception.cli.parser import make_parser
from trt_perception.errors import EngineError
from trt_perception.model.spec import load_model
from trt_perception.parameters.settings import Settings
from trt_perception.pipeline.options import CalibrationOptions, PipelineOptions
from trt_perception.pipeline.tensorrt_options import BuildOptions
from trt_perception.precision.prepare import prepare_model

CARD = GpuInfo('a card', '8.6', 28, 12288, integrated=False)


@pytest.fixture
def dynamic(tmp_path):
    return load_model(batched_detector(tmp_path / 'dynamic.onnx'))


def chosen(spec, most, profile=(1, 1, 1), **build):
    """Return the engine's profile and the largest batch that runs."""
    options = with_batches(spec, PipelineOptions(max_batch=most, build=BuildOptions(batch=profile, **build)))
    return options.build.batch, options.run.max_batch


def test_the_profile_follows_max_batch_unless_it_is_given(dynamic):
    assert chosen(dynamic, 1) == ((1, 1, 1), 1)
    assert chosen(dynamic, 4) == ((1, 4, 4), 4)
    assert chosen(dynamic, 4, (1, 2, 4)) == ((1, 2, 4), 4)
    assert chosen(dynamic, 4, (1, 2, 16)) == ((1, 2, 16), 4)
    assert chosen(dynamic, 1, (1, 2, 16)) == ((1, 2, 16), 1)


def test_what_cannot_run_batches_takes_turns(tmp_path, dynamic):
    assert chosen(load_model(color_detector(tmp_path / 'fixed.onnx')), 4) == ((1, 1, 1), 1)
    # The DLA needs fixed shapes.
    assert chosen(dynamic, 4, dla_core=0) == ((1, 1, 1), 1)
    assert chosen(replace(dynamic, size_inputs=('orig_target_sizes',)), 4) == ((1, 1, 1), 1)


def test_a_profile_that_ends_before_max_batch_is_refused(dynamic):
    with pytest.raises(EngineError, match=(
            r'^max_batch is 8, but the largest batch of batch_profile \[1, 2, 4\] is 4: raise it, or leave '
            r'batch_profile at \[1, 1, 1\] for an engine that fits max_batch$')):
        create_pipeline(dynamic, PipelineOptions(
            backend='tensorrt', max_batch=8, build=BuildOptions(batch=(1, 2, 4))))


def test_the_node_loads_the_engine_that_the_command_builds(dynamic):
    """Of one parameter here, and of --batch there."""
    settings = Settings(
        backend='tensorrt', max_batch=4, concurrent_inferences=2, image_topics=('a/image',) * 4)
    pipeline = create_pipeline(dynamic, settings.pipeline_options())
    assert isinstance(pipeline, EnginePipeline)
    source = pipeline._source
    assert (source.options.run.max_batch, source.options.run.concurrent_runs) == (4, 2)
    tensorrt = TensorRt(None, 'tensorrt', (8, 6, 0), '8.6.0')

    def key(options):
        return engine_key(dynamic, options, tensorrt, CARD)

    arguments = make_parser(SUBCOMMANDS).parse_args(['build', str(dynamic.path), '--batch', '1', '4', '4'])
    assert key(source.options.build) == key(build._options(arguments, dynamic, ()).build)
    assert key(source.options.build).digest() != key(BuildOptions()).digest()
    # Plans of earlier versions cannot be used by several contexts.
    assert key(source.options.build).as_dict()['shares_profile'] is True
    assert 'shares_profile' not in key(BuildOptions()).as_dict()


@pytest.mark.parametrize('precision', ['fp16', 'int8'])
def test_a_converted_model_keeps_its_dynamic_batch(tmp_path, precision, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    dynamic = load_model(convolutional_detector(tmp_path / 'm.onnx', size=64, classes=3, head='yolov8', batch='batch'))
    assert dynamic.dynamic_batch
    calibration = CalibrationOptions(str(color_folder(tmp_path / 'images', 48)), samples=16, method='minmax')
    prepared = prepare_model(dynamic, precision, calibration)
    assert prepared.spec.dynamic_batch and prepared.spec.sha256 != dynamic.sha256


def test_rtx_builds_an_engine_for_all_batches(dynamic):
    rtx = pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed')
    assert adopt(rtx, 'tensorrt_rtx').api >= (11,)
    options = with_batches(dynamic, PipelineOptions(
        max_batch=6, build=BuildOptions(compute_capabilities=('8.6',), optimization_level=0)))
    request = build_request(dynamic, options.build, tensorrt='tensorrt_rtx')
    assert request.shapes == ((1, 3, 64, 64), (6, 3, 64, 64), (6, 3, 64, 64))
    assert len(build_in_process(request).plan) > 1000
