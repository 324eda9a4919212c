# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Builds an engine in this process. Callers use process.build_in_process, because TensorRT may crash the process."""

from __future__ import annotations

import hashlib
import time
from dataclasses import asdict
from typing import Any

from ....advice.backend import or_backend
from ....errors import EngineError
from ....model.onnx_file import load_proto
from ....model.operations import node_multiply_accumulates
from ....monitor import LogCallback, Monitor
from ....ort.size_inputs import SIZE_INPUTS
from ....utf8_path import require_utf8
from ..cache.engine_cache import BuiltEngine
from ..cache.private_files import make_private_folder, read_private, replace_private
from ..cuda.gpu_info import GpuInfo, gpu_info, has_gpu, use_gpu
from ..library.compat import TensorRt, load_for
from ..library.engine_log import WARNING
from ..library.graph_types import graph_types
from ..library.inspector import parse_layers, summarize
from .parsing import parse_model
from .request import BuildRequest

# By GpuInfo.integrated: an integrated GPU shares its memory with the CPU.
_PART_OF_FREE = {True: 0.5, False: 0.8}
_LEAST_WORKSPACE_MIB = 64


def build_plan(request: BuildRequest, monitor: Monitor) -> BuiltEngine:
    """Build one engine; return the plan and a report of JSON values.

    The report holds tensorrt, build_seconds, workspace_mib, io, layers (see inspector.Layer), precision_effective and
    precision_shares. For a request to only parse, the plan and the report are empty. Raises ModelError, which names
    the node and the operator, if TensorRT cannot parse the file, and EngineError, which says what to do, if the build
    fails.
    """
    started = time.monotonic()
    options = request.options
    tensorrt = load_for(options, request.tensorrt)
    tensorrt.logger(monitor.log)
    require_utf8(request.onnx_path, 'TensorRT')
    if request.only_parse:
        parse_model(tensorrt, tensorrt.create_builder(), request, monitor)
        return BuiltEngine(b'', {})
    workspace_mib = _workspace(request, tensorrt)
    types = graph_types(request.onnx_path)
    builder = tensorrt.create_builder()
    network = parse_model(tensorrt, builder, request, monitor)
    held = tensorrt.keep_types(network, types, options)
    if held:
        monitor.log('info', f'{held} layers are kept in float32, as in the graph')
    config = tensorrt.create_config(builder)
    tensorrt.configure(builder, config, options, types, workspace_mib)
    _add_profile(tensorrt, builder, config, network, request)
    timings_known = _load_timings(tensorrt, config, request, monitor.log)
    monitor.check('the engine build')
    if not tensorrt.watch(config, monitor.following('the engine build')):
        monitor.progress('building the engine', 0, None)
    try:
        plan = tensorrt.build(builder, network, config)
    except EngineError as error:
        monitor.check('the engine build')
        raise _explained(error, workspace_mib) from error
    _save_timings(tensorrt, config, request, monitor.log)
    seconds = time.monotonic() - started
    monitor.log('info', f'engine of {len(plan) / 1e6:.1f} MB built in {seconds:.1f} s by {tensorrt.identity}')
    return BuiltEngine(plan, {
        'tensorrt': tensorrt.identity, 'build_seconds': round(seconds, 2), 'workspace_mib': workspace_mib,
        'timings_known': timings_known, 'strongly_typed': tensorrt.is_strongly_typed(options),
        **_inspection(tensorrt, plan, request)})


def _workspace(request: BuildRequest, tensorrt: TensorRt) -> int:
    """Make the GPU current and return the workspace limit in MiB, 0 for no limit."""
    options = request.options
    if options.compute_capabilities:
        return options.workspace_mib
    gpu = gpu_to_build_for(tensorrt, request.device_index)
    free = use_gpu(request.device_index)
    if options.workspace_mib:
        return options.workspace_mib
    return max(_LEAST_WORKSPACE_MIB, int(free * _PART_OF_FREE[gpu.integrated]))


def gpu_to_build_for(tensorrt: TensorRt, device_index: int) -> GpuInfo:
    """Return the properties of the GPU, as gpu_info; with TensorRT for RTX the error lists GPUs to build for."""
    if not has_gpu() and tensorrt.name == 'tensorrt_rtx':
        raise EngineError(
            f'this machine has no NVIDIA GPU to build for: choose targets with --compute-capability from '
            f'{", ".join(tensorrt.compute_capabilities())}')
    return gpu_info(device_index)


def _add_profile(tensorrt: TensorRt, builder: Any, config: Any, network: Any, request: BuildRequest) -> None:
    shapes = dict(request.inputs)
    dynamic = {}
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        if tensor.name in SIZE_INPUTS:
            # One size for each image of the batch.
            smallest, usual, largest = ((shape[0], 2) for shape in request.shapes)
            shapes[tensor.name] = (smallest, usual, largest)
        elif tensor.name not in shapes:
            raise EngineError(
                f"TensorRT finds the input '{tensor.name}' in {request.onnx_path.name}, but the file names it "
                f"'{', '.join(shapes)}': export it again")
        if min(tuple(tensor.shape), default=1) < 0:
            dynamic[tensor.name] = shapes[tensor.name]
    if dynamic:
        tensorrt.add_profile(builder, config, dynamic)


def _load_timings(tensorrt: TensorRt, config: Any, request: BuildRequest, log: LogCallback) -> bool:
    if request.timing_cache is None:
        return False
    content = b''
    try:
        content = read_private(request.timing_cache)
    except FileNotFoundError:
        pass
    except EngineError as error:
        log(WARNING, f'the timing cache is not used: {error}')
    known = tensorrt.load_timing_cache(config, content) and bool(content)
    if content and not known:
        log('info', 'the timings of the last build do not fit this build: TensorRT measures again')
    return known


def _save_timings(tensorrt: TensorRt, config: Any, request: BuildRequest, log: LogCallback) -> None:
    if request.timing_cache is None:
        return
    content = tensorrt.timing_cache(config)
    if not content:
        return
    try:
        make_private_folder(request.timing_cache.parent)
        replace_private(request.timing_cache, content)
    except EngineError as error:
        # Only the next build takes longer; this one must not fail.
        log(WARNING, f'the timing cache cannot be stored: {error}')


def _inspection(tensorrt: TensorRt, plan: bytes, request: BuildRequest) -> dict[str, Any]:
    """Load the built engine and return its io, layers and precision."""
    if request.options.compute_capabilities:
        # An engine for other GPUs cannot be loaded here.
        return {'io': [], 'layers': [], 'precision_effective': '', 'precision_shares': {}}
    engine = tensorrt.deserialize(plan)
    proto = load_proto(request.onnx_path, weights=False)
    layers = parse_layers(
        tensorrt.layer_information(engine),
        node_multiply_accumulates(proto, request.input_name, request.shapes[1]))
    summary = summarize(layers)
    return {
        'io': [
            {'name': tensor.name, 'input': tensor.is_input, 'dtype': str(tensor.dtype), 'shape': list(tensor.shape)}
            for tensor in tensorrt.io_tensors(engine)],
        'device_memory_bytes': tensorrt.device_memory_size(engine),
        'layers': [asdict(layer) for layer in layers],
        'precision_effective': summary.precision_effective,
        'precision_shares': summary.as_dict()}


def _explained(error: EngineError, workspace_mib: int) -> EngineError:
    text = str(error)
    lower = text.lower()
    if 'out of memory' in lower or 'outofmemory' in lower or 'insufficient memory' in lower:
        return EngineError(
            f'{text}. The GPU has too little free memory for the build: close other programs that use it, or lower '
            f'workspace_mib (now {workspace_mib or "unlimited"})')
    if 'could not find any implementation' in lower or 'no implementation' in lower or 'workspace' in lower:
        return EngineError(
            f'{text}. TensorRT has no kernel for this part of the model: raise workspace_mib (now '
            f'{workspace_mib or "unlimited"}), or set precision to fp32{or_backend()}')
    return error


def plan_sha256(plan: bytes) -> str:
    """Return the SHA-256 of a plan, in hexadecimal digits."""
    return hashlib.sha256(plan).hexdigest()
