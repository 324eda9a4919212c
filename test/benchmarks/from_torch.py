# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Measures trt_perception.from_torch against PyTorch, torch.compile and torch2trt, and what a call adds to its engine.

    PYTHONPATH=. python test/benchmarks/from_torch.py --networks resnet18,mobilenet_v3_small --json result.json

All ways get the same input and are measured in turns, in one process: the speed of a machine drifts. What is not
installed is named and left out. The networks of torchvision have random weights, whose speed is that of trained ones.
The error is the largest difference from PyTorch in fp32, as a fraction of the largest output value.

With a GPU, all run there, and each run is waited for. If PyTorch and TensorRT are not in the same Python:

    python3.12 test/benchmarks/from_torch.py --save networks ...       # PyTorch; writes networks/NAME.onnx and .npz
    python3.10 test/benchmarks/from_torch.py --load networks ...       # TensorRT

The second table is the time of a call without that of its engine: ONNX Runtime's session.run, or TensorRT's
execute_async_v3, both with a wait for the result. It is measured with a network of one layer too, whose engine takes so
little time that the difference is that of the call.
"""

import argparse
import json
import platform
import sys
import time
from pathlib import Path

import numpy as np

import trt_perception
from trt_perception.errors import PerceptionError

SEED = 20261129
TINY = 'one_layer'


def measured(ways, rounds, seconds):
    """Return the milliseconds of each way, in turns: `rounds` rounds, or fewer if that takes longer than `seconds`."""
    for way in ways.values():
        for _ in range(5):
            way()
    times = {name: [] for name in ways}
    end = time.monotonic() + seconds
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            way()
            times[name].append((time.perf_counter() - started) * 1e3)
        if time.monotonic() > end:
            break
    return times


def error(found, expected):
    """Return the largest difference as a fraction of the largest value."""
    return float(np.abs(found.astype(np.float64) - expected).max() / np.abs(expected).max())


def bare(engine, arrays):
    """Return a function that runs only the engine behind `engine`, on the same input, and waits."""
    backend = engine._backend
    if engine.describe()['backend'] == 'onnxruntime':
        session = backend._backend.session
        feed = dict(zip((spec.name for spec in engine.inputs), arrays))
        names = [spec.name for spec in engine.outputs]
        return lambda: session.run(names, feed)
    runner = backend._runner
    session, context = runner._session, runner._context._context
    # The buffers of the runner, so that nothing is set from call to call.
    backend.run(arrays, engine.inputs[0].shape[0])
    runner._context.enqueue(
        [device.address for device, _ in runner._buffers], runner._context._batch, session.stream_handle)
    session.synchronize()
    held = session.active('measuring')

    def run():
        held.__enter__()
        context.execute_async_v3(session.stream_handle)
        session.synchronize()
        held.__exit__(None, None, None)

    return run


def gpu_array(array):
    """Return the array on the GPU, as pycuda's GPUArray."""
    from pycuda import gpuarray

    from trt_perception.backends.tensorrt.cuda.runtime_api import CudaSession
    session = gpu_array.session = getattr(gpu_array, 'session', None) or CudaSession()
    with session.active('uploading'):
        return gpuarray.to_gpu(array)


def added_by_the_call(engine, array, rounds, seconds, torch=None):
    """Return microseconds: the engine alone, the call with each kind of array, and what the call adds (medians)."""
    ways = {'engine alone': bare(engine, [array]), 'call, NumPy': lambda: engine(array)}
    if engine.describe()['backend'] == 'tensorrt':
        device = gpu_array(array)
        ways['call, __cuda_array_interface__'] = lambda: engine(device)
        # The rows with NumPy copy the input and the result, which the engine alone does not.
        if torch is not None:
            tensor = torch.from_numpy(array).cuda()
            ways['call, tensor'] = lambda: (engine(tensor), torch.cuda.current_stream().synchronize())
    elif torch is not None:
        tensor = torch.from_numpy(array)
        ways['call, tensor'] = lambda: engine(tensor)
    times = measured(ways, rounds, seconds)
    alone = np.array(times['engine alone'])
    return {name: {
        'us': round(float(np.median(values)) * 1e3, 1),
        # Of pairs that were measured one after the other.
        'adds_us': round(float(np.median(np.array(values) - alone)) * 1e3, 1)} for name, values in times.items()}


def torch_ways(torch, module, tensor, left_out, precisions):
    """Return the ways of PyTorch: name -> function. On the CPU only fp32."""
    cuda = tensor.is_cuda

    def waiting(call):
        def run():
            with torch.inference_mode():
                found = call()
            if cuda:
                torch.cuda.synchronize()
            return found
        return run

    kept = [precision for precision in ('fp32', 'fp16') if precision in precisions and (cuda or precision == 'fp32')]
    ways = {}
    for precision in kept:
        given = tensor.half() if precision == 'fp16' else tensor
        network = make_half(module) if precision == 'fp16' else module
        ways[f'PyTorch, {precision}'] = waiting(lambda network=network, given=given: network(given))
        try:
            compiled = torch.compile(network)
            run = waiting(lambda compiled=compiled, given=given: compiled(given))
            started = time.monotonic()
            run()
            print(f'torch.compile, {precision}: first call {time.monotonic() - started:.1f} s')
            ways[f'torch.compile, {precision}'] = run
        except Exception as reason:  # of many types: no compiler, an operator that it does not know
            left_out[f'torch.compile, {precision}'] = ' '.join(str(reason).split())[:200]
    try:
        from torch2trt import torch2trt
    except ImportError as reason:
        left_out['torch2trt'] = str(reason)
        return ways
    for precision in kept if cuda else ():
        started = time.monotonic()
        try:
            converted = torch2trt(module, [tensor], fp16_mode=precision == 'fp16')
        except Exception as reason:  # a layer without a converter, and others
            left_out[f'torch2trt, {precision}'] = ' '.join(str(reason).split())[:200]
            continue
        print(f'torch2trt, {precision}: converted in {time.monotonic() - started:.1f} s')
        ways[f'torch2trt, {precision}'] = waiting(lambda converted=converted: converted(tensor))
    return ways


def make_half(module):
    """Return a copy in half precision."""
    import copy
    return copy.deepcopy(module).half()


def engine_ways(make, given, precisions, left_out, wait=lambda: None):
    """Return (engines by name, ways by name). make(precision) returns an Engine; given: its input."""
    engines, ways = {}, {}
    for precision in precisions:
        started = time.monotonic()
        try:
            engine = make(precision)
        except PerceptionError as reason:
            left_out[f'this, {precision}'] = str(reason)
            continue
        name = f'this, {engine.describe()["backend"]}, {precision}'
        print(f'{name}: {time.monotonic() - started:.1f} s until it could be called')
        engines[name] = engine

        def run(engine=engine):
            found = engine(given)
            wait()
            return found

        ways[name] = run
    return engines, ways


def array_of(found):
    """Return a result as a NumPy array."""
    if isinstance(found, np.ndarray):
        return found
    if isinstance(found, trt_perception.DeviceArray):
        return found.numpy()
    return found.detach().float().cpu().numpy()


def with_torch(options):
    """Measure networks of torchvision; return the results by network."""
    import torch
    import torchvision
    if options.threads:
        torch.set_num_threads(options.threads)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    # As TensorRT in fp32, and so that the difference is that of the engine.
    torch.backends.cudnn.allow_tf32 = False
    results = {}
    for name in [TINY, *options.networks.split(',')]:
        torch.manual_seed(SEED)
        if name == TINY:
            module, tensor = torch.nn.Linear(64, 64), torch.rand(1, 64)
        else:
            module = torchvision.models.get_model(name, weights=None)
            tensor = torch.rand(1, 3, options.size, options.size)
        module, tensor = module.eval().to(device), tensor.to(device)
        with torch.inference_mode():
            expected = module(tensor).cpu().numpy()
        array = tensor.cpu().numpy()
        left_out = {}
        if options.save:
            options.save.mkdir(parents=True, exist_ok=True)
            with trt_perception.from_torch(module, array, backend='onnxruntime') as engine:
                engine.save(options.save / f'{name}.onnx')
            np.savez(options.save / f'{name}.npz', input=array, expected=expected)
        ways = {} if name == TINY else torch_ways(torch, module, tensor, left_out, options.precision.split(','))
        engines, own = engine_ways(
            lambda precision, module=module, tensor=tensor: trt_perception.from_torch(
                module, tensor, precision=precision, num_threads=options.threads),
            tensor, options.precision.split(',') if name != TINY else ['fp32'], left_out,
            torch.cuda.synchronize if device == 'cuda' else lambda: None)
        results[name] = report(options, {**ways, **own}, engines, array, expected, left_out, torch)
    return results, {'torch': torch.__version__, 'device': torch.cuda.get_device_name() if device == 'cuda' else 'CPU'}


def without_torch(options):
    """Measure saved networks; return the results by network."""
    results, device = {}, ''
    for path in sorted(options.load.glob('*.onnx')):
        with np.load(path.with_suffix('.npz')) as stored:
            array, expected = stored['input'], stored['expected']
        left_out = {}
        precisions = ['fp32'] if path.stem == TINY else options.precision.split(',')
        engines, ways = engine_ways(
            lambda precision, path=path: trt_perception.load_engine(path, precision=precision), array, precisions,
            left_out)
        for name, engine in engines.items():
            device = engine.describe()['device']
            if engine.describe()['backend'] == 'tensorrt':
                on_gpu = gpu_array(array)
                ways[f'{name}, input on the GPU'] = lambda engine=engine, on_gpu=on_gpu: engine(on_gpu)
        results[path.stem] = report(options, ways, engines, array, expected, left_out, None)
    return results, {'device': device}


def report(options, ways, engines, array, expected, left_out, torch):
    """Measure, close the engines, and return the results of one network."""
    errors = {name: error(array_of(way()), expected) for name, way in ways.items()}
    times = measured(ways, options.rounds, options.seconds)
    added = {
        name: added_by_the_call(engine, array, options.rounds, options.seconds, torch)
        for name, engine in engines.items()}
    for engine in engines.values():
        engine.close()
    return {
        'ways': {name: {
            'p50_ms': round(float(np.median(values)), 4), 'p95_ms': round(float(np.percentile(values, 95)), 4),
            'rounds': len(values), 'max_error': errors[name]} for name, values in times.items()},
        'calls': added, 'left_out': left_out}


def show(results):
    """Print the tables as Markdown."""
    print('\n| network | way | p50 ms | p95 ms | max error |\n|---|---|---|---|---|')
    for network, result in results.items():
        for name, row in result['ways'].items():
            print(f'| {network} | {name} | {row["p50_ms"]:.3f} | {row["p95_ms"]:.3f} | {row["max_error"]:.1g} |')
    print('\n| network | engine | call | us | adds us |\n|---|---|---|---|---|')
    for network, result in results.items():
        for engine, calls in result['calls'].items():
            for name, row in calls.items():
                print(f'| {network} | {engine} | {name} | {row["us"]} | {row["adds_us"]} |')
    for network, result in results.items():
        for name, reason in result['left_out'].items():
            print(f'{network}: {name} is left out: {reason}')


def main():
    """Measure, print tables and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--networks', default='resnet18,mobilenet_v3_small', help='of torchvision')
    parser.add_argument('--precision', default='fp32,fp16', help='of from_torch')
    parser.add_argument('--size', type=int, default=224, help='side of the input in pixels')
    parser.add_argument('--rounds', type=int, default=300)
    parser.add_argument('--seconds', type=float, default=60, help='for each network and table at most')
    parser.add_argument('--threads', type=int, default=0, help='on the CPU; 0: as each library chooses')
    parser.add_argument('--save', type=Path, help='also write the networks into this folder')
    parser.add_argument('--load', type=Path, help='measure the networks in this folder, without PyTorch')
    parser.add_argument('--json', type=Path)
    options = parser.parse_args()
    results, machine = without_torch(options) if options.load else with_torch(options)
    show(results)
    if options.json:
        options.json.write_text(json.dumps({
            'machine': {'python': platform.python_version(), 'platform': platform.platform(), **machine},
            'arguments': sys.argv[1:], 'results': results}, indent=1) + '\n')


if __name__ == '__main__':
    main()
