# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""compat's choices with the names of TensorRT 8.6, 10.3, 10.13 and 11, and compat with the real TensorRT for RTX."""

import importlib
import json
import subprocess
import sys
import types
from dataclasses import replace
from typing import ClassVar

import numpy as np
import onnx
import pytest
from onnx import helper
from support.recorded_tensorrt import VERSIONS, Recorded
from support.tiny_models import FLOAT, FLOAT16, save

from trt_perception.backends.tensorrt.cuda.gpu_info import GpuInfo, has_gpu
from trt_perception.backends.tensorrt.library import compat
from trt_perception.backends.tensorrt.library.compat import TensorRt, adopt, load
from trt_perception.backends.tensorrt.library.graph_types import GraphTypes, graph_types
from trt_perception.errors import EngineError, MissingDependencyError
from trt_perception.monitor import Monitor
from trt_perception.pipeline.tensorrt_options import BuildOptions
from trt_perception.progress import silent

HALF = GraphTypes(has_float16=True, float32_tensors=frozenset({'boxes'}))
QUANTIZED = GraphTypes(quantized=True)
IS_STRONG = {'8.6.0': False, '10.3.0': True, '10.13.3': True, '11.1.0': True, '11.4.0': True}


@pytest.fixture(params=VERSIONS)
def recorded(request):
    return Recorded(request.param)


def adopted(recorded):
    return adopt(recorded.module, 'tensorrt')


def network_flags(recorded, options=None):
    seen = []
    builder = types.SimpleNamespace(create_network=lambda flags: seen.append(flags) or 'network')
    adopted(recorded).create_network(builder, options or BuildOptions())
    flags = recorded.module.NetworkDefinitionCreationFlag
    return {name for name, member in vars(flags).items() if seen[0] >> int(member) & 1}


def configured(recorded, options, types_=None, **given):
    builder = recorded.bound('Builder', **{'num_DLA_cores': given.pop('dla_cores', 0)})
    config, kept = recorded.config()
    adopted(recorded).configure(builder, config, options, types_, **given)
    return config, kept


def test_networks_have_explicit_batch_and_are_strongly_typed_where_that_exists(recorded):
    expected = {
        '8.6.0': {'EXPLICIT_BATCH'}, '10.3.0': {'STRONGLY_TYPED'}, '10.13.3': {'STRONGLY_TYPED'},
        '11.1.0': {'STRONGLY_TYPED'}, '11.4.0': {'STRONGLY_TYPED'}}
    assert network_flags(recorded) == expected[recorded.record['version']]


@pytest.mark.parametrize('precision, graph, weak', [
    ('fp32', GraphTypes(), set()),
    ('fp16', HALF, {'FP16', 'PREFER_PRECISION_CONSTRAINTS'}),
    ('int8', QUANTIZED, {'TF32', 'INT8'}),
    ('int8', replace(HALF, quantized=True), {'TF32', 'INT8', 'FP16', 'PREFER_PRECISION_CONSTRAINTS'}),
    # A float32 file is not silently converted to float16.
    ('fp16', GraphTypes(), set())])
def test_type_flags_follow_the_graph_and_only_where_networks_are_not_strongly_typed(recorded, precision, graph, weak):
    _, kept = configured(recorded, BuildOptions(precision=precision), graph)
    strong = {'TF32'} if precision == 'int8' else set()
    assert kept.flags == (strong if IS_STRONG[recorded.record['version']] else weak)


def test_workspace_tactics_level_and_details_are_set(recorded):
    config, kept = configured(recorded, BuildOptions(optimization_level=5), workspace_mib=300)
    assert kept.limits == {'WORKSPACE': 300 * 2**20}
    assert config.builder_optimization_level == 5
    assert config.profiling_verbosity.name == 'DETAILED'
    sources = vars(recorded.module.TacticSource)
    assert {name for name, member in sources.items() if kept.tactic_sources >> int(member) & 1} == {
        'EDGE_MASK_CONVOLUTIONS', 'JIT_CONVOLUTIONS'}


def test_no_workspace_limit_is_set_where_none_is_given(recorded):
    assert configured(recorded, BuildOptions())[1].limits == {}


def test_hardware_compatibility_is_set_or_refused_naming_the_version(recorded):
    config, _ = configured(recorded, BuildOptions(hardware_compatibility='ampere_plus'))
    assert config.hardware_compatibility_level.name == 'AMPERE_PLUS'
    same = BuildOptions(hardware_compatibility='same_compute_capability')
    if recorded.record['version'] in ('8.6.0', '10.3.0'):
        with pytest.raises(EngineError, match=r'needs TensorRT 10\.9 or newer'):
            configured(recorded, same)
    else:
        assert configured(recorded, same)[0].hardware_compatibility_level.name == 'SAME_COMPUTE_CAPABILITY'


def test_dla_is_used_if_the_machine_has_that_core(recorded):
    config, kept = configured(recorded, BuildOptions(precision='fp16', dla_core=1), HALF, dla_cores=2)
    assert (config.DLA_core, config.default_device_type.name) == (1, 'DLA')
    assert 'GPU_FALLBACK' in kept.flags
    # Below 11 the DLA does not support strongly typed networks, so types are flags again.
    weak = not recorded.record['version'].startswith('11')
    assert ('FP16' in kept.flags) == weak
    assert ('STRONGLY_TYPED' in network_flags(recorded, BuildOptions(dla_core=1))) != weak


@pytest.mark.parametrize('options, cores, message', [
    (BuildOptions(precision='fp16', dla_core=0), 0, 'no DLA cores'),
    (BuildOptions(precision='fp16', dla_core=2), 2, 'finds 2 DLA cores'),
    (BuildOptions(precision='fp32', dla_core=0), 1, 'fp16 and int8 only')])
def test_dla_is_refused_if_it_is_impossible(recorded, options, cores, message):
    with pytest.raises(EngineError, match=message):
        configured(recorded, options, dla_cores=cores)


def test_only_tensorrt_for_rtx_builds_for_named_gpus(recorded):
    targets = BuildOptions(compute_capabilities=('8.6',))
    with pytest.raises(EngineError, match='this machine only'):
        configured(recorded, targets)
    with pytest.raises(EngineError, match='this machine only'):
        adopted(recorded).require_options(targets, None)


def test_hardware_compatibility_that_rtx_would_ignore_is_refused():
    pytest.importorskip('tensorrt_rtx')
    with pytest.raises(EngineError, match="'ampere_plus' has no effect with TensorRT for RTX: set it to none"):
        load('tensorrt_rtx').require_options(BuildOptions(hardware_compatibility='ampere_plus'), None)


def test_impossible_options_are_known_without_a_builder(recorded):
    card, jetson = (GpuInfo('one', '8.7', 16, 30000, integrated) for integrated in (False, True))
    trt, half = adopted(recorded), BuildOptions(precision='fp16', dla_core=1)
    with pytest.raises(EngineError, match=r'dla_core is 1, but tensorrt .* finds no DLA cores here'):
        trt.require_options(half, card)
    with pytest.raises(EngineError, match='the DLA runs fp16 and int8 only, found precision fp32'):
        trt.require_options(replace(half, precision='fp32'), jetson)
    with pytest.raises(EngineError, match="hardware_compatibility is 'any': expected one of none"):
        trt.require_options(BuildOptions(hardware_compatibility='any'), card)
    for gpu in (card, jetson):
        trt.require_options(BuildOptions(hardware_compatibility='ampere_plus'), gpu)
    # A Jetson's builder counts its cores.
    trt.require_options(half, jetson)


def test_the_progress_monitor_is_used_where_it_exists(recorded):
    config, _ = recorded.config()
    if recorded.record['version'] != '8.6.0':
        config.progress_monitor = None
    watched = adopted(recorded).watch(config, silent)
    assert watched == (recorded.record['version'] != '8.6.0')
    if watched:
        assert isinstance(config.progress_monitor, recorded.module.IProgressMonitor)


def test_what_a_progress_report_raises_stops_the_build_instead_of_the_process():
    recorded = Recorded('10.3.0')
    config, _ = recorded.config()
    config.progress_monitor = None

    def progress(text, done, total):
        raise ValueError

    adopted(recorded).watch(config, progress)
    config.progress_monitor.phase_start('building', None, 4)
    assert config.progress_monitor.step_complete('building', 0) is False


def test_memory_size_is_read_by_the_name_that_the_version_has(recorded):
    name = 'device_memory_size_v2' if 'device_memory_size_v2' in recorded.names('ICudaEngine') else 'device_memory_size'
    assert ('device_memory_size' in recorded.names('ICudaEngine')) == (not recorded.record['version'].startswith('11.'))
    assert adopted(recorded).device_memory_size(recorded.bound('ICudaEngine', **{name: 4096})) == 4096


def test_an_execution_context_gets_the_memory_that_it_shares(recorded):
    """By the names of the version: a method or an argument makes it, a method or a property gives it the memory."""
    made, given, version = [], [], recorded.record['version']
    names = recorded.names('ICudaEngine')
    context = recorded.bound('IExecutionContext')
    if 'set_device_memory' in recorded.names('IExecutionContext'):
        context.set_device_memory = lambda *memory: given.append(memory)
    methods = {'create_execution_context': lambda *strategy: made.append(strategy) or context}
    if version.startswith('11'):
        # An enumeration that the recordings do not have.
        recorded.module.ExecutionContextAllocationStrategy = types.SimpleNamespace(USER_MANAGED='by the user')
        assert 'create_execution_context_without_device_memory' not in names
    else:
        methods['create_execution_context_without_device_memory'] = lambda: made.append('without') or context
    tensorrt = adopted(recorded)
    assert tensorrt.create_context(recorded.bound('ICudaEngine', **methods), (4096, 512)) is context
    assert made == [('by the user',)] if version.startswith('11') else ['without']
    if version == '8.6.0':
        assert (given, context.device_memory) == ([], 4096)
    else:
        assert given == [(4096, 512)]
    # Without memory the context allocates its own.
    made.clear()
    assert tensorrt.create_context(recorded.bound('ICudaEngine', **methods)) is context
    assert made == [()] and len(given) <= 1


@pytest.mark.parametrize('version, shares', [('8.6.0', True), ('10.3.0', False)])
def test_8_6_lets_several_contexts_use_a_profile(version, shares):
    """10 always does. The recordings do not have the enumeration."""
    recorded, set_features = Recorded(version), []
    recorded.module.PreviewFeature = types.SimpleNamespace(PROFILE_SHARING_0806='sharing')
    config, _ = recorded.config()
    config.set_preview_feature = lambda feature, on: set_features.append((feature, on))
    config.add_optimization_profile = lambda profile: 0

    class Profile:
        shapes: ClassVar[dict] = {}

        def set_shape(self, name, *three):
            self.shapes[name] = three

    builder = types.SimpleNamespace(create_optimization_profile=Profile)
    adopted(recorded).add_profile(builder, config, {'images': ((1, 3), (4, 3), (4, 3))})
    assert Profile.shapes == {'images': ((1, 3), (4, 3), (4, 3))}
    assert set_features == [('sharing', True)] * shares


def test_parser_errors_have_names_where_the_version_gives_them(recorded):
    given = {'node': lambda: 7, 'desc': lambda: 'no importer\n for Foo'}
    if 'node_name' in recorded.names('ParserError'):
        given.update(node_name=lambda: 'conv', node_operator=lambda: 'Foo')
    error = recorded.bound('ParserError', **given)
    parser = recorded.bound('OnnxParser', num_errors=1, get_error=lambda index: error)
    problem, = adopted(recorded).parser_problems(parser)
    assert (problem.node_index, problem.text) == (7, 'no importer for Foo')
    named = recorded.record['version'] != '8.6.0'
    assert (problem.name, problem.operator) == (('conv', 'Foo') if named else ('', ''))


class Layer:
    def __init__(self, kind, *outputs):
        self.type = kind
        self.num_outputs = len(outputs)
        self.precision = None
        self.output_types = {}
        self.get_output = lambda index: types.SimpleNamespace(name=outputs[index])

    def set_output_type(self, index, kind):
        self.output_types[index] = kind.name


def test_float32_layers_of_a_half_graph_are_held_to_float32_without_strong_typing(recorded):
    kinds = recorded.module.LayerType
    layers = [
        Layer(kinds.CONVOLUTION, 'features'), Layer(kinds.ELEMENTWISE, 'boxes'), Layer(kinds.SHUFFLE, 'boxes'),
        Layer(kinds.ELEMENTWISE, 'boxes', 'features')]
    network = types.SimpleNamespace(num_layers=len(layers), get_layer=lambda index: layers[index])
    held = adopted(recorded).keep_types(network, HALF, BuildOptions(precision='fp16'))
    weak = recorded.record['version'] == '8.6.0'
    assert held == (1 if weak else 0)
    assert [layer.precision is not None for layer in layers] == [False, weak, False, False]
    assert layers[1].output_types == ({0: 'FLOAT'} if weak else {})


@pytest.mark.parametrize('make', [lambda *_: None, pytest.param(lambda *_: {}[0], id='raises')])
def test_a_network_that_cannot_be_made_is_an_engine_error(recorded, make):
    def create_network(flags):
        try:
            return make(flags)
        except KeyError as error:
            raise TypeError('factory function returned nullptr') from error

    with pytest.raises(EngineError, match='could not create a network'):
        adopted(recorded).create_network(types.SimpleNamespace(create_network=create_network))


def test_a_build_without_result_is_an_engine_error_with_what_was_logged(recorded):
    tensorrt = adopted(recorded)

    class Builder:
        def build_serialized_network(self, network, config):
            tensorrt.logger().log(types.SimpleNamespace(name='ERROR'), 'no kernel for\n conv_3')
            return

    with pytest.raises(EngineError, match=r'could not be built \(tensorrt .*\): no kernel for conv_3$'):
        tensorrt.build(Builder(), None, None)
    assert tensorrt.take_errors() == []


def test_timings_that_do_not_fit_are_not_an_error():
    """As 8.6.0 reacts to timings of another model; an empty timing cache replaces them."""
    tensorrt = adopt(Recorded('8.6.0').module, 'tensorrt')
    seen, given = [], []
    tensorrt.logger(lambda severity, text: seen.append((severity, text)))
    tensorrt.take_errors()

    class Config:
        def create_timing_cache(self, content):
            return content

        def set_timing_cache(self, cache, ignore_mismatch):
            given.append((cache, ignore_mismatch))
            if cache:
                tensorrt.logger().log(types.SimpleNamespace(name='ERROR'), 'The timing cache will not be used!')
            return not cache

    assert not tensorrt.load_timing_cache(Config(), b'of another model')
    assert given == [(b'of another model', False), (b'', False)]
    assert seen == [('debug', 'The timing cache will not be used!')]
    assert tensorrt.take_errors() == []
    tensorrt.logger().log(types.SimpleNamespace(name='ERROR'), 'later')
    assert seen[-1] == ('error', 'later')


def test_log_messages_reach_the_last_sink_with_their_severities():
    tensorrt = adopt(Recorded('10.3.0').module, 'tensorrt')
    seen, first = [], []
    logger = tensorrt.logger(lambda severity, text: first.append(text))
    # TensorRT keeps the first logger of a process until it ends.
    assert tensorrt.logger(lambda severity, text: seen.append((severity, text))) is logger
    for name in ('INTERNAL_ERROR', 'ERROR', 'WARNING', 'INFO', 'VERBOSE'):
        logger.log(types.SimpleNamespace(name=name), f'a {name}\n message')
    assert [severity for severity, _ in seen] == ['error', 'error', 'warning', 'info', 'debug']
    assert seen[2][1] == 'a WARNING message'
    assert first == []
    tensorrt.logger(lambda severity, text: 1 / 0)
    logger.log(types.SimpleNamespace(name='ERROR'), 'x')
    assert tensorrt.take_errors()[-1] == 'x'


@pytest.mark.parametrize('text, version', [
    ('8.6.0', (8, 6, 0)), ('10.13.3.9', (10, 13, 3, 9)), ('10.0.0b6', (10, 0, 0, 6)), ('11.4.1', (11, 4, 1))])
def test_versions_are_read(text, version):
    tensorrt = adopt(types.SimpleNamespace(__version__=text), 'tensorrt')
    assert (tensorrt.version, tensorrt.identity) == (version, f'tensorrt {text}')
    assert tensorrt.api == version


def test_rtx_has_the_interface_of_11():
    assert adopt(types.SimpleNamespace(__version__='1.7.1.116'), 'tensorrt_rtx').api >= (11,)


def test_an_old_tensorrt_or_something_of_its_name_is_refused():
    with pytest.raises(EngineError, match=r'TensorRT 8\.5\.2, expected 8\.6 or newer'):
        adopt(types.SimpleNamespace(__version__='8.5.2'), 'tensorrt')
    with pytest.raises(EngineError, match='is not TensorRT'):
        adopt(types.SimpleNamespace(), 'tensorrt')


def test_without_any_tensorrt_both_ways_to_install_it_are_named(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    monkeypatch.setattr(importlib, 'import_module', missing)
    with pytest.raises(MissingDependencyError, match=r'install tensorrt.*tensorrt-rtx-cu13'):
        load()


def test_a_tensorrt_that_does_not_import_says_why(monkeypatch):
    def broken(name):
        if name == 'tensorrt':
            raise ImportError('libcudnn.so.8: cannot open shared object file', name='tensorrt.tensorrt')
        raise ModuleNotFoundError(name, name=name)

    monkeypatch.setattr(importlib, 'import_module', broken)
    with pytest.raises(MissingDependencyError, match=r'tensorrt is installed but cannot be imported: libcudnn\.so\.8'):
        load()


# -- types of a graph -----------------------------------------------------------------------------------------------


def test_types_of_a_partly_half_graph(tmp_path):
    path = save(
        tmp_path / 'half.onnx', [
            helper.make_node('Cast', ['images'], ['half'], to=FLOAT16),
            helper.make_node('Relu', ['half'], ['rectified']),
            helper.make_node('Cast', ['rectified'], ['wide'], to=FLOAT),
            helper.make_node('Sigmoid', ['wide'], ['out'])],
        {'images': (FLOAT, [1, 3, 8, 8])}, {'out': (FLOAT, [1, 3, 8, 8])})
    assert graph_types(path) == GraphTypes(
        True, False, frozenset({'wide', 'out'}), frozenset({'half', 'rectified'}))


def test_types_of_a_float32_and_of_a_quantised_graph(tmp_path):
    nodes = [
        helper.make_node('QuantizeLinear', ['images', 'scale', 'zero'], ['q']),
        helper.make_node('DequantizeLinear', ['q', 'scale', 'zero'], ['out'])]
    constants = {'scale': np.array(0.1, np.float32), 'zero': np.array(0, np.int8)}
    shape = [1, 3, 8, 8]
    quantised = save(tmp_path / 'q.onnx', nodes, {'images': (FLOAT, shape)}, {'out': (FLOAT, shape)}, constants)
    assert graph_types(quantised) == GraphTypes(quantized=True)
    plain = save(
        tmp_path / 'p.onnx', [helper.make_node('Relu', ['images'], ['out'])], {'images': (FLOAT, shape)},
        {'out': (FLOAT, shape)})
    assert graph_types(plain) == GraphTypes()


# -- the real ones --------------------------------------------------------------------------------------------------


@pytest.fixture
def rtx():
    pytest.importorskip('tensorrt_rtx', reason='TensorRT for RTX is not installed (pip install tensorrt-rtx-cu13)')
    return load('tensorrt_rtx')


def test_rtx_configures_and_builds(rtx, tmp_path):
    path = save(
        tmp_path / 'm.onnx', [helper.make_node('Relu', ['images'], ['out'])], {'images': (FLOAT, ['n', 3, 8, 8])},
        {'out': (FLOAT, ['n', 3, 8, 8])})
    phases = []
    builder = rtx.create_builder()
    network = rtx.create_network(builder)
    parser = rtx.create_parser(network)
    assert parser.parse_from_file(str(path)), rtx.parser_problems(parser)
    config = rtx.create_config(builder)
    options = BuildOptions(compute_capabilities=('8.6', '12.0'), hardware_compatibility='none', optimization_level=0)
    rtx.configure(builder, config, options, workspace_mib=64)
    assert not config.get_flag(rtx.module.BuilderFlag.TF32)
    assert config.get_memory_pool_limit(rtx.module.MemoryPoolType.WORKSPACE) == 64 * 2**20
    assert config.num_compute_capabilities == 2
    rtx.add_profile(builder, config, {'images': ((1, 3, 8, 8), (2, 3, 8, 8), (4, 3, 8, 8))})
    # It measures no kernels.
    assert not rtx.load_timing_cache(config, b'')
    assert rtx.timing_cache(config) == b''
    assert rtx.watch(config, lambda *call: phases.append(call))
    assert len(rtx.build(builder, network, config)) > 1000
    fractions = [done for _, done, _ in phases]
    assert {total for _, _, total in phases} == {1.0}
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)


def test_rtx_stops_when_it_is_cancelled(rtx, tmp_path):
    path = save(
        tmp_path / 'm.onnx', [helper.make_node('Relu', ['images'], ['out'])], {'images': (FLOAT, [1, 3, 8, 8])},
        {'out': (FLOAT, [1, 3, 8, 8])})
    builder = rtx.create_builder()
    network = rtx.create_network(builder)
    assert rtx.create_parser(network).parse_from_file(str(path))
    config = rtx.create_config(builder)
    rtx.configure(builder, config, BuildOptions(compute_capabilities=('8.6',)))
    monitor = Monitor()
    monitor.cancel.set()
    rtx.watch(config, monitor.following('the engine build'))
    with pytest.raises(EngineError, match='could not be built'):
        rtx.build(builder, network, config)


def test_rtx_refuses_unsupported_options(rtx):
    assert '8.6' in rtx.compute_capabilities()
    builder = rtx.create_builder()
    with pytest.raises(EngineError, match=r'does not build for compute capability 3\.5: expected 7\.5, 8\.0'):
        rtx.configure(builder, rtx.create_config(builder), BuildOptions(compute_capabilities=('3.5',)))
    with pytest.raises(EngineError, match='rejects the shapes'):
        rtx.add_profile(builder, rtx.create_config(builder), {'x': ((4, 3), (2, 3), (1, 3))})
    if not has_gpu():
        with pytest.raises((EngineError, MissingDependencyError), match='NVIDIA'):
            rtx.deserialize(b'no plan')


def test_rtx_has_the_recorded_names_of_11(rtx):
    """So results for RTX are valid for 11, and the recording is correct."""
    recorded = Recorded('11.4.0')
    for name in ('NetworkDefinitionCreationFlag', 'BuilderFlag', 'TacticSource', 'MemoryPoolType', 'DataType'):
        assert set(recorded.record['enums'][name]) - set(dir(getattr(rtx.module, name))) <= {
            'PREFER_AOT_PYTHON_PLUGINS', 'PREFER_JIT_PYTHON_PLUGINS'}
    for name in ('EngineInspector', 'ITimingCache', 'ParserError', 'IProgressMonitor'):
        assert set(recorded.names(name)) <= set(dir(getattr(rtx.module, name)))


def test_8_6_itself_has_the_recorded_names():
    # In a separate process, because some calls of 8.6 end the process without a GPU.
    script = (
        'import json, tensorrt as t\n'
        'print(t.__version__)\n'
        'print(json.dumps({n: [m for m in dir(getattr(t, n)) if m[0] != "_"] for n in dir(t)}))')
    found = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True, check=False)
    version = found.stdout.split('\n')[0]
    if not version.startswith('8.6'):
        pytest.skip(f'TensorRT 8.6 is not installed here ({version or "no tensorrt"})')
    names = json.loads(found.stdout.split('\n')[1])
    record = Recorded('8.6.0').record
    # Names of every enumeration, and names that are bound in a way the recording does not cover.
    other = {'name', 'value', 'itemsize', 'Severity'}
    for kind, recorded in {**record['enums'], **record['classes']}.items():
        assert set(names[kind]) - other == set(recorded) - other, kind


def test_every_numpy_type_is_one_of_tensorrts(recorded):
    assert set(compat.NUMPY_TYPES) <= {*recorded.record['enums']['DataType'], 'INT64'}
    assert isinstance(adopted(recorded), TensorRt)
    assert onnx.TensorProto.FLOAT16 == FLOAT16


def test_the_layers_of_a_dynamic_engine_are_read_with_its_usual_shapes(recorded):
    """Without a context that has shapes, TensorRT reports neither types nor formats."""
    module = recorded.module
    profile, shapes, seen = ((1, 3, 8, 8), (4, 3, 8, 8), (8, 3, 8, 8)), {}, []
    context = recorded.bound(
        'IExecutionContext', set_input_shape=lambda name, shape: shapes.__setitem__(name, shape) or True,
        infer_shapes=lambda: shapes.__setitem__('inferred after', list(shapes)) or [])
    inspector = recorded.bound('EngineInspector')
    inspector.get_engine_information = lambda form: seen.append(
        getattr(inspector, 'execution_context', None)) or form.name

    def engine(first):
        return recorded.bound(
            'ICudaEngine', num_io_tensors=2, get_tensor_name=lambda index: ('images', 'output0')[index],
            get_tensor_mode=lambda name: (
                module.TensorIOMode.INPUT if name == 'images' else module.TensorIOMode.OUTPUT),
            get_tensor_shape=lambda name: (first, 3, 8, 8), get_tensor_profile_shape=lambda name, index: profile,
            create_engine_inspector=lambda: inspector, create_execution_context=lambda: context)

    tensorrt = adopted(recorded)
    assert tensorrt.layer_information(engine(1)) == 'JSON'
    assert seen == [None] and not shapes
    assert tensorrt.layer_information(engine(-1)) == 'JSON'
    assert seen[1] is context and shapes == {'images': (4, 3, 8, 8), 'inferred after': ['images']}
