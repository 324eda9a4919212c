# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""TensorRT 8.6 to 11 and TensorRT for RTX behind one interface: the only file that knows their differences.

The code checks whether the module has a name, or, if a name changed its meaning, the version. Every supported version
has named tensors and execute_async_v3.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ....advice.backend import or_backend
from ....advice.packages import tensorrt_line
from ....advice.platform import this_platform
from ....errors import EngineError, MissingDependencyError, PlanError, one_line
from ....monitor import LogCallback
from ....pipeline.tensorrt_options import BuildOptions
from ....progress import ProgressCallback
from ..cuda.gpu_info import GpuInfo, gpu_info
from .build_progress import BuildPhases
from .engine_log import process_logger
from .graph_types import GraphTypes

MODULES = ('tensorrt', 'tensorrt_rtx')
PREFERENCES = ('auto', *MODULES)
_OLDEST = (8, 6)
_MIB = 1 << 20
# "Cuda Runtime (out of memory)", "OutOfMemory (Requested size was ...)", "Cuda error: 2 (cudaErrorMemoryAllocation)"
_OUT_OF_MEMORY = re.compile(r'out ?of ?memory|memory ?allocation', re.IGNORECASE)

NUMPY_TYPES: dict[str, Any] = {
    'FLOAT': np.float32, 'HALF': np.float16, 'INT8': np.int8, 'INT32': np.int32, 'BOOL': np.bool_, 'UINT8': np.uint8,
    'INT64': np.int64}
_HARDWARE_LEVELS = {
    'ampere_plus': ('AMPERE_PLUS', '8.6'), 'same_compute_capability': ('SAME_COMPUTE_CAPABILITY', '10.9')}
# Layers that compute. A fixed type would keep TensorRT from removing layers that only move data.
_COMPUTING_LAYERS = (
    'CONVOLUTION', 'DECONVOLUTION', 'ACTIVATION', 'POOLING', 'ELEMENTWISE', 'UNARY', 'SOFTMAX', 'MATRIX_MULTIPLY',
    'REDUCE', 'SCALE', 'RESIZE', 'NORMALIZATION', 'PARAMETRIC_RELU', 'LRN')


@dataclass(frozen=True)
class IoTensor:
    """An input or output of an engine. `shape` has -1 for sizes that the optimisation profile leaves open."""

    name: str
    is_input: bool
    dtype: np.dtype
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ParserProblem:
    """One error of the ONNX parser.

    node_index: position in the ONNX graph, -1 if the error is not about a node
    name, operator: of that node, '' if this version does not report them
    """

    node_index: int
    name: str
    operator: str
    text: str


@dataclass(frozen=True)
class TensorRt:
    """An imported TensorRT.

    module: the Python module; name: `tensorrt` or `tensorrt_rtx`
    version: (major, minor, patch, ...); version_text: the module's own text
    """

    module: Any
    name: str
    version: tuple[int, ...]
    version_text: str

    @property
    def identity(self) -> str:
        """Name and version, which an engine depends on: 'tensorrt 8.6.0'."""
        return f'{self.name} {self.version_text}'

    @property
    def api(self) -> tuple[int, ...]:
        """The TensorRT version with this interface: TensorRT for RTX 1.x has the interface of 11."""
        return (11, 0) if self.name == 'tensorrt_rtx' else self.version

    # -- log ---------------------------------------------------------------------------------------------------------

    def logger(self, sink: LogCallback | None = None) -> Any:
        """Return the process's ILogger; its messages go to sink(severity, text) from now on.

        severity: debug, info, warning or error. The sink is also called on TensorRT's threads; its exceptions are
        ignored.
        """
        return process_logger(self.module, sink)

    def take_errors(self) -> list[str]:
        """Return the errors that TensorRT logged since the last call."""
        errors: list[str] = self.logger().record.take_errors()
        return errors

    def failure(self, what: str, cause: Exception | None = None) -> EngineError:
        """Return the EngineError for a failed call, with the errors that TensorRT logged."""
        errors = '; '.join(self.take_errors()[:3]) or (str(cause) if cause else 'TensorRT gave no reason')
        return EngineError(f'{what} ({self.identity}): {errors}')

    # -- building ----------------------------------------------------------------------------------------------------

    def require_options(self, options: BuildOptions, gpu: GpuInfo | None) -> None:
        """Raise EngineError for options that cannot work here, as far as that is known without a builder.

        gpu: the GPU that builds, None if targets are named
        """
        self._hardware_level(options)
        self._require_targets(options)
        # Only a builder knows how many DLA cores a Jetson has.
        may_have_dla = self.name == 'tensorrt' and gpu is not None and gpu.integrated
        self._require_dla(options, options.dla_core + 1 if may_have_dla else 0)

    def create_builder(self) -> Any:
        """Return an IBuilder; EngineError if that fails, usually because there is no GPU."""
        self.take_errors()
        if self.name == 'tensorrt':
            gpu_info()  # Only TensorRT for RTX builds without a GPU.
        self._init_plugins()
        return self._made(lambda: self.module.Builder(self.logger()), 'TensorRT could not create a builder')

    def is_strongly_typed(self, options: BuildOptions) -> bool:
        """Return whether the network uses the types of its graph without builder flags.

        Below 11 the DLA does not support strongly typed networks.
        """
        if self.api >= (11,):
            return True
        return hasattr(self.module.NetworkDefinitionCreationFlag, 'STRONGLY_TYPED') and options.dla_core < 0

    def create_network(self, builder: Any, options: BuildOptions | None = None) -> Any:
        """Return an empty INetworkDefinition: explicit batch, strongly typed if possible."""
        flag = self.module.NetworkDefinitionCreationFlag
        flags = 0
        if self.api < (10,):
            flags |= 1 << int(flag.EXPLICIT_BATCH)
        if self.is_strongly_typed(options or BuildOptions()) and hasattr(flag, 'STRONGLY_TYPED'):
            flags |= 1 << int(flag.STRONGLY_TYPED)
        return self._made(lambda: builder.create_network(flags), 'TensorRT could not create a network')

    def create_parser(self, network: Any) -> Any:
        """Return an OnnxParser that fills the network."""
        return self._made(
            lambda: self.module.OnnxParser(network, self.logger()), 'TensorRT could not create an ONNX parser')

    def parser_problems(self, parser: Any) -> list[ParserProblem]:
        """Return the parser's errors."""
        problems = []
        for index in range(parser.num_errors):
            error = parser.get_error(index)
            problems.append(ParserProblem(
                int(error.node()), str(_called(error, 'node_name', '')), str(_called(error, 'node_operator', '')),
                one_line(error.desc())))
        return problems

    def keep_types(self, network: Any, types: GraphTypes, options: BuildOptions) -> int:
        """Set the layers of a graph with float16 to the graph's types, if the network is not strongly typed.

        Otherwise the builder uses the kernel that it measures as fastest: for small layers that is float32 (seen with
        8.6.0 on an H100). Returns the number of layers set to float32. Call it before configure.
        """
        if self.is_strongly_typed(options) or not types.has_float16:
            return 0
        kinds = {getattr(self.module.LayerType, name, None) for name in _COMPUTING_LAYERS}
        count = 0
        for index in range(network.num_layers):
            layer = network.get_layer(index)
            outputs = [layer.get_output(i) for i in range(layer.num_outputs)]
            if layer.type not in kinds or not outputs:
                continue
            if all(o.name in types.float32_tensors for o in outputs):
                layer.precision = self.module.DataType.FLOAT
                for i in range(layer.num_outputs):
                    layer.set_output_type(i, self.module.DataType.FLOAT)
                count += 1
            elif not types.quantized and all(o.name in types.float16_tensors for o in outputs):
                layer.precision = self.module.DataType.HALF
        return count

    def create_config(self, builder: Any) -> Any:
        """Return an empty IBuilderConfig."""
        return self._made(builder.create_builder_config, 'TensorRT could not create a builder configuration')

    def configure(
        self, builder: Any, config: Any, options: BuildOptions, types: GraphTypes | None = None,
        workspace_mib: int = 0,
    ) -> None:
        """Apply the options to a builder configuration; EngineError for an option that this version does not support.

        types: of the graph to build; workspace_mib: limit for tactics, 0 for TensorRT's own limit
        """
        types = types or GraphTypes()
        module = self.module
        self._set_types(config, options, types)
        if workspace_mib > 0:
            config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, workspace_mib * _MIB)
        if hasattr(config, 'builder_optimization_level'):
            config.builder_optimization_level = options.optimization_level
        config.profiling_verbosity = module.ProfilingVerbosity.DETAILED
        self._set_tactic_sources(config)
        self._set_hardware_compatibility(config, options)
        self._set_dla(builder, config, options)
        self._set_compute_capabilities(config, options)

    def add_profile(
        self, builder: Any, config: Any,
        shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]],
    ) -> None:
        """Add one optimisation profile for all dynamic inputs; EngineError if TensorRT rejects it.

        shapes: smallest, usual and largest shape of each input by name
        """
        profile = self._made(builder.create_optimization_profile, 'TensorRT could not create an optimisation profile')
        wanted = ' and of '.join(
            f'shapes {", ".join(str(list(shape)) for shape in three)} (smallest, usual, largest) of input {name}'
            for name, three in shapes.items())
        self._share_profile(config)
        try:
            for name, three in shapes.items():
                profile.set_shape(name, *three)
            if not profile or config.add_optimization_profile(profile) < 0:
                raise self.failure(f'TensorRT rejects the {wanted}')
        except (ValueError, RuntimeError, TypeError) as error:
            raise EngineError(f'TensorRT rejects the {wanted}: {error}') from error

    def load_timing_cache(self, config: Any, content: bytes) -> bool:
        """Give the builder the timings of earlier builds, b'' for none; return False if it cannot use them.

        Timings of another GPU or version cannot be used. This is not an error: the builder measures again.
        """
        if self.name == 'tensorrt_rtx':
            return False  # It measures nothing during a build.
        with self.logger().record.expecting_errors():
            cache = config.create_timing_cache(content)
            if cache is not None and config.set_timing_cache(cache, False):
                return True
        if content:
            self.load_timing_cache(config, b'')
        return False

    def timing_cache(self, config: Any) -> bytes:
        """Return the timings after a build, b'' for none."""
        cache = config.get_timing_cache() if self.name != 'tensorrt_rtx' else None
        content = cache.serialize() if cache is not None else None
        return bytes(content) if content is not None else b''

    def watch(self, config: Any, progress: ProgressCallback) -> bool:
        """Let the build call progress(phase, fraction, 1.0); the build stops if that raises.

        Returns whether this version can do it (10 and newer). The calls are made on TensorRT's threads.
        """
        if not hasattr(self.module, 'IProgressMonitor') or not hasattr(config, 'progress_monitor'):
            return False
        config.progress_monitor = _progress_monitor(self.module, progress)
        return True

    def build(self, builder: Any, network: Any, config: Any) -> bytes:
        """Build and return the plan; EngineError, with the errors that TensorRT logged, if that fails."""
        self.take_errors()
        try:
            plan = builder.build_serialized_network(network, config)
        except (RuntimeError, TypeError, MemoryError) as error:
            raise self.failure('the engine could not be built', error) from error
        if plan is None:
            raise self.failure('the engine could not be built')
        return bytes(plan)

    # -- running -----------------------------------------------------------------------------------------------------

    def deserialize(self, plan: bytes, logger: Any = None) -> Any:
        """Return the ICudaEngine of a plan; PlanError if this TensorRT and GPU cannot load it.

        Raises a plain EngineError if there is too little memory to load it.
        logger: an ILogger, None for that of logger()
        """
        self.take_errors()
        gpu_info()  # 8.6 crashes the process without a GPU.
        self._init_plugins()
        runtime = self._made(
            lambda: self.module.Runtime(logger or self.logger()), 'TensorRT could not create a runtime')
        try:
            return self._made(
                lambda: runtime.deserialize_cuda_engine(plan), 'the engine cannot be loaded by this TensorRT and GPU')
        except EngineError as error:
            if _OUT_OF_MEMORY.search(str(error)):
                raise EngineError(f'{error}. The GPU has too little free memory: close other programs') from error
            raise PlanError(str(error)) from error

    def create_context(self, engine: Any, memory: tuple[int, int] | None = None) -> Any:
        """Return an IExecutionContext; EngineError if that fails, usually because of too little GPU memory.

        memory: address and bytes of at least device_memory_size() for its activations; contexts that do not run at the
            same time may share it. None: the context allocates its own
        """
        self.take_errors()
        failure = 'the engine cannot run, probably because of too little GPU memory'
        if memory is None:
            return self._made(engine.create_execution_context, failure)
        # 10 replaces the method by an argument, and 10.1 the property by a method.
        strategies = getattr(self.module, 'ExecutionContextAllocationStrategy', None)
        context = self._made(
            engine.create_execution_context_without_device_memory if strategies is None
            else lambda: engine.create_execution_context(strategies.USER_MANAGED), failure)
        if hasattr(context, 'set_device_memory'):
            context.set_device_memory(*memory)
        else:
            context.device_memory = memory[0]
        return context

    def device_memory_size(self, engine: Any) -> int:
        """Return the bytes of GPU memory that an execution context needs for activations."""
        # TensorRT 11 has only device_memory_size_v2.
        size = getattr(engine, 'device_memory_size_v2', None)
        return int(size if size is not None else engine.device_memory_size)

    def io_tensors(self, engine: Any) -> tuple[IoTensor, ...]:
        """Return the engine's inputs and outputs; EngineError for a type that NumPy does not have."""
        tensors = []
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            # nptype() of 8.6 fails with NumPy 1.24 and newer.
            kind = engine.get_tensor_dtype(name).name
            if kind not in NUMPY_TYPES:
                raise EngineError(f'the engine has the tensor {name} of type {kind}: expected float32 or float16')
            tensors.append(IoTensor(
                name, engine.get_tensor_mode(name) == self.module.TensorIOMode.INPUT, np.dtype(NUMPY_TYPES[kind]),
                tuple(engine.get_tensor_shape(name))))
        return tuple(tensors)

    def layer_information(self, engine: Any) -> str:
        """Return the inspector's JSON: all layers, and their details if the engine was built with them.

        Of an engine with dynamic shapes, the types are those of the shapes for which it was built.
        """
        inspector = self._made(engine.create_engine_inspector, 'TensorRT could not create an engine inspector')
        usual = self._usual_shapes(engine)
        if not usual:
            return str(inspector.get_engine_information(self.module.LayerInformationFormat.JSON))
        # Without a context that has shapes, TensorRT reports neither types nor formats ('N/A due to dynamic shapes').
        context = self._shaped_context(engine, usual)
        try:
            if context is not None:
                inspector.execution_context = context
            return str(inspector.get_engine_information(self.module.LayerInformationFormat.JSON))
        finally:
            # The context must outlive the inspector.
            del inspector, context

    # -- internals ---------------------------------------------------------------------------------------------------

    def _usual_shapes(self, engine: Any) -> dict[str, tuple[int, ...]]:
        """Return the usual shape, by the first profile, of each input with a dynamic one."""
        usual = {}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            is_input = engine.get_tensor_mode(name) == self.module.TensorIOMode.INPUT
            if is_input and min(engine.get_tensor_shape(name), default=1) < 0:
                usual[name] = tuple(engine.get_tensor_profile_shape(name, 0)[1])
        return usual

    def _shaped_context(self, engine: Any, shapes: Mapping[str, tuple[int, ...]]) -> Any:
        """Return an execution context with these input shapes, None if there is too little memory for it."""
        try:
            context = self.create_context(engine)
        except EngineError:
            return None
        fits = [context.set_input_shape(name, shape) for name, shape in shapes.items()]
        if not all(fits):
            return None
        # Only now the other tensors have shapes.
        context.infer_shapes()
        return context

    def _made(self, make: Callable[[], Any], failure: str) -> Any:
        """Return the result of `make`. If it fails, some bindings return None and others raise TypeError."""
        try:
            made = make()
        except (RuntimeError, TypeError, MemoryError) as error:
            raise self.failure(failure, error) from error
        if made is None:
            raise self.failure(failure)
        return made

    def _init_plugins(self) -> None:
        # TensorRT 8.6 implements some ONNX operators, such as InstanceNormalization, as plugins.
        init = getattr(self.module, 'init_libnvinfer_plugins', None)
        if init is not None:
            init(self.logger(), '')

    def _share_profile(self, config: Any) -> None:
        """Let several execution contexts use the profile: without this feature, 8.6 allows one. 10 always shares."""
        sharing = getattr(getattr(self.module, 'PreviewFeature', None), 'PROFILE_SHARING_0806', None)
        if sharing is not None and self.api < (10,):
            config.set_preview_feature(sharing, True)

    def _set_types(self, config: Any, options: BuildOptions, types: GraphTypes) -> None:
        flag = self.module.BuilderFlag
        if options.precision != 'int8' and hasattr(flag, 'TF32'):
            # TF32 is on by default, but float32 tensors in an fp32 or fp16 graph are intended.
            config.clear_flag(flag.TF32)
        if self.is_strongly_typed(options):
            return
        # Without strong typing a type is used only if its flag is set.
        if types.has_float16 or options.dla_core >= 0:
            config.set_flag(flag.FP16)
        if types.quantized:
            config.set_flag(flag.INT8)
        if types.has_float16:
            config.set_flag(flag.PREFER_PRECISION_CONSTRAINTS)

    def _set_tactic_sources(self, config: Any) -> None:
        # Otherwise cuBLAS and cuDNN, if installed, are loaded too, also at run time, and take hundreds of MB of memory.
        # 10 omits them by default, and 11 does not have them.
        source = self.module.TacticSource
        config.set_tactic_sources(
            1 << int(source.EDGE_MASK_CONVOLUTIONS) | 1 << int(source.JIT_CONVOLUTIONS))

    def _set_hardware_compatibility(self, config: Any, options: BuildOptions) -> None:
        level = self._hardware_level(options)
        if level is not None:
            config.hardware_compatibility_level = level

    def _hardware_level(self, options: BuildOptions) -> Any:
        if options.hardware_compatibility == 'none':
            return None
        if options.hardware_compatibility not in _HARDWARE_LEVELS:
            raise EngineError(
                f"hardware_compatibility is '{options.hardware_compatibility}': expected one of none, "
                f'{", ".join(_HARDWARE_LEVELS)}')
        if self.name == 'tensorrt_rtx':
            raise EngineError(
                f"hardware_compatibility '{options.hardware_compatibility}' has no effect with TensorRT for RTX: set "
                'it to none, and list all target GPUs with --compute-capability')
        name, since = _HARDWARE_LEVELS[options.hardware_compatibility]
        level = getattr(getattr(self.module, 'HardwareCompatibilityLevel', None), name, None)
        if level is None:
            raise EngineError(
                f"hardware_compatibility '{options.hardware_compatibility}' needs TensorRT {since} or newer, found "
                f'{self.identity}: set it to none')
        return level

    def _set_dla(self, builder: Any, config: Any, options: BuildOptions) -> None:
        if options.dla_core < 0:
            return
        self._require_dla(options, int(getattr(builder, 'num_DLA_cores', 0)))
        config.default_device_type = self.module.DeviceType.DLA
        config.DLA_core = options.dla_core
        # Layers that the DLA cannot run use the GPU.
        config.set_flag(self.module.BuilderFlag.GPU_FALLBACK)

    def _require_dla(self, options: BuildOptions, cores: int) -> None:
        if options.dla_core < 0:
            return
        if options.dla_core >= cores:
            raise EngineError(
                f'dla_core is {options.dla_core}, but {self.identity} finds {cores or "no"} DLA cores here: set it to '
                '-1 for the GPU')
        if options.precision == 'fp32':
            raise EngineError('the DLA runs fp16 and int8 only, found precision fp32: change it, or set dla_core to -1')

    def _set_compute_capabilities(self, config: Any, options: BuildOptions) -> None:
        if not options.compute_capabilities:
            return
        self._require_targets(options)
        kinds = self.module.ComputeCapability
        config.num_compute_capabilities = len(options.compute_capabilities)
        for index, text in enumerate(options.compute_capabilities):
            if not config.set_compute_capability(getattr(kinds, 'SM' + text.replace('.', '')), index):
                raise self.failure(f'TensorRT rejects the compute capability {text}')

    def _require_targets(self, options: BuildOptions) -> None:
        if not options.compute_capabilities:
            return
        if not hasattr(getattr(self.module, 'IBuilderConfig', None), 'set_compute_capability'):
            raise EngineError(
                f'{self.identity} builds for the GPU of this machine only: leave compute_capabilities empty, or '
                f'install TensorRT for RTX ({this_platform().pip("tensorrt-rtx-cu13")})')
        known = self.compute_capabilities()
        wrong = [text for text in options.compute_capabilities if text not in known]
        if wrong:
            raise EngineError(
                f'{self.identity} does not build for compute capability {", ".join(wrong)}: expected '
                f'{", ".join(known)}')

    def compute_capabilities(self) -> tuple[str, ...]:
        """Return the compute capabilities of possible targets, () if builds work only for this GPU."""
        names = re.findall(r'\bSM(\d+)(\d)\b', ' '.join(dir(getattr(self.module, 'ComputeCapability', None))))
        return tuple(f'{major}.{minor}' for major, minor in sorted(names, key=lambda n: (int(n[0]), n[1])))


def load(prefer: str = 'auto') -> TensorRt:
    """Import TensorRT.

    prefer: auto (tensorrt, else tensorrt_rtx) or one of them
    Raises MissingDependencyError, which says how to install it, or EngineError if only a version below 8.6 is
    installed.
    """
    if prefer not in PREFERENCES:
        raise EngineError(f"the TensorRT module is '{prefer}': expected one of {', '.join(PREFERENCES)}")
    failures = []
    unfit: EngineError | None = None
    for name in MODULES if prefer == 'auto' else (prefer,):
        try:
            module = importlib.import_module(name)
        except (ImportError, OSError) as error:
            if not (isinstance(error, ModuleNotFoundError) and error.name == name):
                failures.append(f'{name} is installed but cannot be imported: {error}')
            continue
        try:
            return adopt(module, name)
        except EngineError as error:
            unfit = unfit or error
    if unfit is not None:
        raise unfit
    detail = '; '.join(failures) or 'the Python package of TensorRT is not installed'
    raise MissingDependencyError(f'{detail}; {tensorrt_line(this_platform())}{or_backend()}')


def load_for(options: BuildOptions, prefer: str = 'auto') -> TensorRt:
    """Import the TensorRT that can build with these options; raises the same errors as load."""
    # Only TensorRT for RTX supports named targets.
    return load('tensorrt_rtx' if options.compute_capabilities and prefer == 'auto' else prefer)


def adopt(module: Any, name: str) -> TensorRt:
    """Return the TensorRt of an imported module; EngineError if it is too old or not TensorRT."""
    text = str(getattr(module, '__version__', ''))
    version = tuple(int(number) for number in re.findall(r'\d+', text)[:4])
    if not version:
        raise EngineError(
            f'the Python module {name} ({getattr(module, "__file__", None)}) is not TensorRT, it has no version: '
            'install TensorRT, or remove that module')
    if name == 'tensorrt' and version < _OLDEST:
        raise EngineError(f'found TensorRT {text}, expected 8.6 or newer: update it{or_backend()}')
    return TensorRt(module, name, version, text)


def _called(thing: Any, method: str, default: Any) -> Any:
    found = getattr(thing, method, None)
    return default if found is None else found()


def _progress_monitor(module: Any, progress: ProgressCallback) -> Any:
    # The module is found at run time, so its class has no type.
    class ProgressMonitor(module.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            module.IProgressMonitor.__init__(self)
            self._phases = BuildPhases()
            self._go_on = True

        def phase_start(self, name: str, parent: str | None, num_steps: int) -> None:
            self._report(*self._phases.start(name, parent, num_steps))

        def step_complete(self, name: str, step: int) -> bool:
            self._report(*self._phases.step(name, step))
            return self._go_on

        def phase_finish(self, name: str) -> None:
            self._report(*self._phases.finish(name))

        def _report(self, text: str, done: float, total: float) -> None:
            # An exception that reaches TensorRT's C++ code ends the process.
            try:
                progress(text, done, total)
            except Exception:
                self._go_on = False

    return ProgressMonitor()
