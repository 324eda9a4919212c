# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""trt_perception.from_torch: a PyTorch module becomes an engine that is called in its place."""

import collections
import copy
import os
import subprocess
import sys
import textwrap
import threading
import typing
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import trt_perception
from trt_perception.errors import CalibrationError, EngineError, ModelError, ParameterError

pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
torch = pytest.importorskip('torch', reason='needs PyTorch: pip install torch torchvision')

ROOT = Path(__file__).resolve().parents[2]
F = torch.nn.functional


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    torch.manual_seed(20261129)
    return tmp_path / 'cache' / 'trt_perception'


class Small(torch.nn.Module):
    """Layers whose result depends on the mode: batch norm and dropout."""

    def __init__(self, classes=5):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.norm = torch.nn.BatchNorm2d(16)
        self.inner = torch.nn.Conv2d(16, 16, 3, padding=1)
        self.drop = torch.nn.Dropout(0.5)
        self.last = torch.nn.Linear(16, classes)
        # As after a training: the stored statistics differ from those of a batch.
        self.norm.running_mean.uniform_(-0.2, 0.2)
        self.norm.running_var.uniform_(0.5, 2.0)

    def forward(self, image):
        x = F.relu(self.norm(self.conv(image)))
        x = F.relu(self.inner(x)).mean(dim=(2, 3))
        return self.last(self.drop(x))


def in_evaluation(module, *inputs, **named):
    with torch.no_grad():
        return copy.deepcopy(module).eval()(*inputs, **named)


def picture(batch=1, size=32):
    return torch.rand(batch, 3, size, size)


def make(module, example, **options):
    return trt_perception.from_torch(module, example, backend='onnxruntime', **options)


# Calls


def test_tensors_in_tensors_out_and_arrays_in_arrays_out():
    module, image = Small(), picture()
    with make(module, picture()) as engine:
        expected = in_evaluation(module, image)
        found = engine(image)
        assert isinstance(found, torch.Tensor) and found.dtype == torch.float32 and not found.requires_grad
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        array = engine(image.numpy())
        assert type(array) is np.ndarray
        np.testing.assert_array_equal(array, found.numpy())
        # A later call does not change an earlier result.
        kept = found.clone()
        assert not torch.equal(engine(picture()), kept)
        assert torch.equal(found, kept)
        assert engine.difference < 1e-5
        assert engine.describe()['backend'] == 'onnxruntime'
        assert engine.describe()['precision_effective'] == engine.precision == 'fp32'


def test_by_name_with_a_gradient_and_with_strides():
    module = Small()
    with make(module, picture()) as engine:
        image = picture()
        expected = engine(image)
        assert torch.equal(engine(image=image), expected)
        assert torch.equal(engine(image.clone().requires_grad_()), expected)
        strided = image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        assert not strided.is_contiguous()
        assert torch.equal(engine(strided), expected)
        np.testing.assert_array_equal(engine(strided.numpy()), expected.numpy())


class Pair(typing.NamedTuple):
    """A result of two tensors."""

    total: typing.Any
    parts: typing.Any


class Several(torch.nn.Module):
    """Two inputs of different types, and a nested result."""

    def forward(self, image, scale, bias=None):
        """Return a dict with a tuple, a list, None and a NamedTuple."""
        scaled = image * scale
        if bias is not None:
            scaled = scaled + bias
        return collections.OrderedDict(
            big=scaled.flatten(1), nothing=None, pair=Pair(scaled.sum(), [scaled.mean(), scaled.amax()]),
            largest=scaled.flatten(1).argmax(1), flags=(scaled.flatten(1) > 0.5,))


def same(found, expected):
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            same(found[key], expected[key])
    elif isinstance(expected, (tuple, list)):
        assert len(found) == len(expected)
        for one, two in zip(found, expected):
            same(one, two)
    elif expected is not None:
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize('example', [
    (torch.rand(2, 3, 4), torch.rand(4)), [np.random.rand(2, 3, 4).astype(np.float32), torch.rand(4)],
    (torch.rand(2, 3, 4), torch.rand(4), torch.rand(1)),
    {'scale': torch.rand(4), 'image': torch.rand(2, 3, 4)}])
def test_several_inputs_and_a_nested_result(example):
    module = Several()
    with make(module, example) as engine:
        if isinstance(example, dict):
            inputs = {name: torch.rand_like(value) for name, value in example.items()}
            assert [spec.name for spec in engine.inputs] == ['scale', 'image']
            same(engine(**inputs), module(**inputs))
        else:
            inputs = [torch.rand(tuple(value.shape)) for value in example]
            same(engine(*inputs), module(*inputs))
            same(engine(inputs[0], **dict(zip(('scale', 'bias'), inputs[1:]))), module(*inputs))
        assert [spec.dtype.name for spec in engine.outputs] == ['float32'] * 4 + ['int64', 'bool']


def test_a_batch_of_any_size():
    module = Small()
    # A constant output has no batch.
    class WithAnchors(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.module = module
        def forward(self, image):
            return self.module(image), torch.arange(6.0).reshape(3, 2) * image.new_ones(())
    for example in (picture(), picture(3)):
        with make(WithAnchors(), example, max_batch=4) as engine:
            for batch in (1, 2, 4):
                images = picture(batch)
                scores, anchors = engine(images)
                torch.testing.assert_close(scores, in_evaluation(module, images), rtol=1e-4, atol=1e-5)
                assert torch.equal(anchors, torch.arange(6.0).reshape(3, 2))
            assert [spec.batched for spec in engine.outputs] == [True, False]
            for batch in (0, 5):
                with pytest.raises(ParameterError, match=f"input 'image' has a batch of {batch}, expected 1 to 4"):
                    engine(picture(batch))


def test_a_batch_that_a_trace_would_make_constant_is_found():
    class OneImage(torch.nn.Module):
        def forward(self, x):
            rows = [row.sum() for row in x]
            return torch.stack(rows) * 2
    with pytest.raises(ModelError, match='does not run with a batch of 2: it computes with the batch of the example'):
        make(OneImage(), torch.rand(3, 4), max_batch=5)
    with make(OneImage(), torch.rand(3, 4)) as engine:
        x = torch.rand(3, 4)
        torch.testing.assert_close(engine(x), x.sum(1) * 2)


def test_a_batch_that_a_trace_would_make_constant_is_found_from_an_example_of_one():
    class Numbered(torch.nn.Module):
        def forward(self, x):
            return torch.stack([row * index for index, row in enumerate(x, 1)])
    with pytest.raises(ModelError, match='does not run with a batch of 1: it computes with the batch of the example'):
        make(Numbered(), torch.rand(1, 4), max_batch=5)


@pytest.mark.parametrize('names', [('output0',), ('output1', 'output0'), ('output0', 'output_0')])
def test_arguments_with_the_names_of_outputs(names):
    class Scaled(torch.nn.Module):
        def forward(self, **named):
            return [named[name] * factor for factor, name in enumerate(names, 2)]
    example = {name: torch.rand(2, 3) for name in names}
    with make(Scaled(), example) as engine:
        for factor, (found, value) in enumerate(zip(engine(**example), example.values()), 2):
            assert torch.equal(found, value * factor)
        assert not {spec.name for spec in engine.outputs} & set(names)


class Quotient(torch.nn.Module):
    """The exporter that traces rounds a quotient of whole numbers to zero, PyTorch down."""

    def forward(self, x):
        """Return a float too, which does not differ."""
        return x // 2, x.float()


def test_whole_numbers_that_differ_are_told(caplog):
    negative = torch.tensor([-3, -2, 4, 5])
    with make(Quotient(), negative) as engine:
        assert engine(negative)[0].tolist() != [-2, -1, 2, 2]
    assert '25% of the whole numbers in output0 differ from the module on the example' in caplog.text
    caplog.clear()
    make(Quotient(), negative.abs()).close()
    assert 'whole numbers' not in caplog.text


def test_arrays_of_another_byte_order_as_example():
    with make(Small(), picture().numpy().astype('>f4')) as engine:
        image = picture().numpy()
        assert engine(image).shape == (1, 5)
        with pytest.raises(ParameterError, match=r"input 'image' is >f4, expected float32 .*: convert it to float32"):
            engine(image.astype('>f4'))


def test_a_negative_view():
    module = torch.nn.ReLU()
    x = torch.tensor([1 + 2j, 3 - 4j]).conj().imag
    assert x.is_neg()
    with make(module, torch.rand(2)) as engine:
        assert engine(x).tolist() == [0.0, 4.0]


def test_nothing_is_printed_if_an_operator_is_missing(capfd):
    pytest.importorskip('onnxscript')
    class Smaller(torch.nn.Module):
        def forward(self, image):
            return F.interpolate(image, size=(5, 5), mode='bilinear', antialias=True)
    with make(Smaller(), picture()) as engine:
        image = picture()
        torch.testing.assert_close(engine(image), Smaller()(image), rtol=1e-4, atol=1e-5)
    assert capfd.readouterr() == ('', '')


def test_several_threads_at_once():
    before = sys.stdout, sys.stderr, torch.backends.cudnn.allow_tf32
    start = threading.Barrier(4)

    def run(size):
        module, example = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU()), picture(size=size)
        start.wait()
        with make(module, example) as engine:
            torch.testing.assert_close(engine(example), in_evaluation(module, example), rtol=1e-4, atol=1e-5)

    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            list(threads.map(run, (8, 9, 10, 11)))
    assert (sys.stdout, sys.stderr, torch.backends.cudnn.allow_tf32) == before


def test_a_half_module():
    module = Small().half()
    with make(module, picture().half()) as engine:
        image = picture().half()
        found = engine(image)
        assert engine.precision == 'fp16' and found.dtype == torch.float16
        torch.testing.assert_close(found, in_evaluation(module, image), rtol=2e-2, atol=2e-3)
    with pytest.raises(ModelError, match='computes in fp16: expected precision fp16, or the float32 network'):
        make(module, picture().half(), precision='fp32')


def test_fp16_on_the_cpu_is_told(caplog):
    with make(Small(), picture(), precision='fp16') as engine:
        assert engine.describe()['precision_effective'] == 'fp32'
    assert 'precision fp16 was requested, but ONNX Runtime runs the network in fp32 on the CPU' in caplog.messages
    with pytest.raises(EngineError, match='strict_precision is set'):
        make(Small(), picture(), precision='fp16', strict_precision=True)


# The module stays


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('copied', [True, False])
def test_the_module_does_not_change(training, copied):
    module = Small().train(training)
    module.inner.eval()
    if not copied:
        # A tensor that was computed cannot be copied, as in the old weight_norm.
        module.computed = module.last.weight * 2
        with pytest.raises(RuntimeError):
            copy.deepcopy(module)
    modes = [part.training for part in module.modules()]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with make(module, picture()) as engine:
        image = picture()
        if copied:
            torch.testing.assert_close(engine(image), in_evaluation(module, image), rtol=1e-4, atol=1e-5)
    assert [part.training for part in module.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert all(parameter.requires_grad for parameter in module.parameters())


def test_a_torchscript_module():
    module = Small().eval()
    script = torch.jit.trace(module, picture())
    with make(script, picture()) as engine:
        image = picture()
        torch.testing.assert_close(engine(image), in_evaluation(module, image), rtol=1e-4, atol=1e-5)


# int8


def test_int8_needs_samples_and_is_compared(cache):
    module, image = Small(), picture()
    samples = [picture() for _ in range(12)]
    with make(module, picture(), precision='int8', calibration=iter(samples)) as engine:
        assert engine.precision == 'int8'
        expected, found = in_evaluation(module, image), engine(image)
        error = (found - expected).norm() / expected.norm()
        assert 1e-6 < error < 0.1
        assert engine.describe()['precision_effective'] == 'int8'
    files = sorted(path.name for path in (cache / 'networks').glob('*.onnx'))
    assert len(files) == 1 and files[0].startswith('Small-int8-')
    with pytest.raises(CalibrationError, match='int8 needs calibration data, found none: give calibration='):
        make(module, picture(), precision='int8')
    with pytest.raises(CalibrationError, match='calibration has no samples'):
        make(module, picture(), precision='int8', calibration=[])
    with pytest.raises(CalibrationError, match=r'int8 differs from fp32 by .*more than max_difference 1e-06'):
        make(module, picture(), precision='int8', calibration=samples, max_difference=1e-6)
    with pytest.raises(ParameterError, match=r'item 1 of calibration has float32 \[1, 3, 8, 8\] for image, expected'):
        make(module, picture(), precision='int8', calibration=[picture(), picture(size=8)])
    with pytest.raises(ParameterError, match='calibration is str: expected an iterable of inputs'):
        make(module, picture(), precision='int8', calibration='images/')


# Cache


PROGRAM = """
    import sys, time
    sys.path.insert(0, {test!r})
    import numpy as np, torch
    import trt_perception
    from test_from_torch import Small
    torch.manual_seed(1)
    module = Small()
    if sys.argv[1] == 'changed':
        with torch.no_grad():
            module.last.weight[0, 0] += 1e-3
    samples = [torch.rand(1, 3, 32, 32) for _ in range(8)]
    with trt_perception.from_torch(
            module, samples[0], precision='int8', calibration=samples, backend='onnxruntime') as engine:
        print(engine._model.path.name)
"""


def test_a_second_process_finds_the_file_and_a_changed_weight_makes_another(cache):
    program = textwrap.dedent(PROGRAM.format(test=str(Path(__file__).parent)))
    environment = {**os.environ, 'PYTHONPATH': f'{ROOT}:{ROOT / "test"}'}

    def named(argument):
        done = subprocess.run(
            [sys.executable, '-c', program, argument], capture_output=True, text=True, timeout=300, check=True,
            env=environment)
        return done.stdout.strip()

    first = named('same')
    written = (cache / 'networks' / first).stat().st_ino
    assert named('same') == first
    assert (cache / 'networks' / first).stat().st_ino == written
    assert named('changed') != first
    assert len(list((cache / 'networks').glob('*.onnx'))) == 2


# Save and load


def test_a_saved_engine_runs_without_pytorch(tmp_path):
    module = Several()
    example = (torch.rand(2, 3, 4), torch.rand(4))
    with make(module, example) as engine:
        engine.save(tmp_path / 'several.onnx')
    np.savez(tmp_path / 'inputs.npz', *[value.numpy() for value in example])
    done = subprocess.run(
        [sys.executable, '-c', textwrap.dedent("""
            import sys
            import numpy as np
            import trt_perception
            with trt_perception.load_engine('several.onnx', backend='onnxruntime') as engine:
                with np.load('inputs.npz') as inputs:
                    found = engine(inputs['arr_0'], scale=inputs['arr_1'])
                print(list(found), len(found['pair']), found['largest'].tolist(), engine.difference)
            assert 'torch' not in sys.modules
            """)],
        cwd=tmp_path, capture_output=True, text=True, timeout=600, env={**os.environ, 'PYTHONPATH': str(ROOT)})
    assert done.stderr == ''
    largest = module(*example)['largest'].tolist()
    assert done.stdout == f"['big', 'nothing', 'pair', 'largest', 'flags'] 2 {largest} None\n"


def test_a_saved_int8_engine_needs_no_samples(tmp_path):
    module, image = Small(), picture()
    with make(module, image, precision='int8', calibration=[picture() for _ in range(8)], max_batch=2) as engine:
        expected = engine(image.numpy())
        engine.save(tmp_path / 'int8.onnx')
    with trt_perception.load_engine(tmp_path / 'int8.onnx', backend='onnxruntime') as engine:
        assert engine.precision == 'int8' and engine.max_batch == 2
        np.testing.assert_array_equal(engine(image.numpy()), expected)
        assert engine(picture(2)).shape == (2, 5)
        with pytest.raises(ParameterError, match='is the file of this engine: choose another name'):
            engine.save(tmp_path / 'int8.onnx')


# Refusals


@pytest.mark.parametrize('call, message', [
    (lambda e: e(), r'expected 1 input \(image\), found 0 by position'),
    (lambda e: e(picture(), picture()), r'expected 1 input \(image\), found 2 by position'),
    (lambda e: e(img=picture()), r'expected 1 input \(image\), found 0 by position and img'),
    (lambda e: e(picture(), image=picture()), r'expected 1 input \(image\), found 1 by position and image'),
    (lambda e: e(picture()[0]), r"input 'image' has the shape \[3, 32, 32\], expected \[1, 3, 32, 32\] as in the ex"),
    (lambda e: e(picture(2)), r'expected \[1, 3, 32, 32\] .*give max_batch to from_torch for other batches'),
    (lambda e: e(picture().half()), r"input 'image' is float16, expected float32 as in the example: convert it with"),
    (lambda e: e(picture().double().numpy()), r"input 'image' is float64, expected float32"),
    (lambda e: e(picture().to('meta')), r"input 'image' is on meta, expected the CPU, on which ONNX Runtime runs"),
    (lambda e: e(picture().to_sparse()), r"input 'image' is sparse_coo: call it with \.to_dense\(\)"),
    (lambda e: e(None), r"input 'image' is NoneType: expected a tensor or a NumPy array, float32 \[1, 3, 32, 32\]"),
    (lambda e: e([picture()]), r"input 'image' is list: expected a tensor or a NumPy array")])
def test_a_wrong_call_is_one_clear_error_and_the_next_one_works(call, message):
    with make(Small(), picture()) as engine:
        with pytest.raises(ParameterError, match=message):
            call(engine)
        assert engine(picture()).shape == (1, 5)


def test_arrays_and_tensors_are_not_mixed():
    with make(Several(), (torch.rand(2, 3, 4), torch.rand(4))) as engine:
        with pytest.raises(ParameterError, match="input 'scale' is ndarray, but the first input is a tensor"):
            engine(torch.rand(2, 3, 4), np.ones(4, np.float32))
        with pytest.raises(ParameterError, match="input 'scale' is Tensor, but the first input is a NumPy array"):
            engine(np.ones((2, 3, 4), np.float32), torch.rand(4))


class Unused(torch.nn.Module):
    """The second input has no effect."""

    def forward(self, x, y):
        """Return twice the first one."""
        return x * 2


class Branch(torch.nn.Module):
    """A trace keeps one of its two ways, which is wrong for another batch."""

    def forward(self, x):
        """Depends on the values."""
        return x * 2 if x.shape[0] == 1 else x * 3


class Text(torch.nn.Module):
    """Returns something else than tensors."""

    def forward(self, x):
        """Return a tensor and text."""
        return x, 'text'


class Sparse(torch.nn.Module):
    """Returns a tensor that ONNX does not have."""

    def forward(self, x):
        """Return it."""
        return x.to_sparse()


@pytest.mark.parametrize('module, example, options, kind, message', [
    ('resnet', torch.rand(1), {}, ModelError, 'expected a torch.nn.Module, found str'),
    (Small(), 'x', {}, ParameterError, 'example: image is str: expected a tensor or a NumPy array'),
    (Small(), [], {}, ParameterError, 'example is empty'),
    (Small(), picture().bfloat16(), {}, ParameterError, 'example: image is bfloat16: expected one of float32'),
    (Small(), torch.rand(1, 4, 8, 8), {}, ModelError,
     r'the network does not run with the example \(float32 \[1, 4, 8, 8\]\): RuntimeError'),
    (Small(), picture().to_sparse(), {}, ParameterError, 'image is sparse_coo: expected a dense tensor with values'),
    (Small(), picture().to('meta'), {}, ParameterError, 'image is on the meta device: expected a dense tensor'),
    (torch.nn.Linear(2, 2, device='meta'), torch.rand(1, 2), {}, ModelError, 'on the meta device, without weights'),
    (Sparse(), picture(), {}, ModelError, r'the network returns a sparse_coo tensor: call \.to_dense\(\) in it'),
    (Small(), picture(), {'strict_precision': 'no'}, ParameterError, "strict_precision is 'no': expected True or"),
    (Text(), picture(), {}, ModelError, 'the network returns str: expected a tensor, or a tuple'),
    (Unused(), (torch.rand(2), torch.rand(2)), {}, ModelError, 'does not depend on the input y: leave it out'),
    (Branch(), torch.rand(1, 2), {'max_batch': 2}, ModelError, 'differs from the module by .*branches that depend'),
    (Small(), picture(), {'precision': 'fp8'}, ParameterError, "precision is 'fp8': expected one of fp32, fp16, int8"),
    (Small(), picture(), {'backend': 'litert'}, ParameterError, "backend is 'litert': expected one of auto, onnxrunti"),
    (Small(), picture(), {'max_batch': 0}, ParameterError, 'max_batch is 0: expected a whole number from 1 on'),
    (Small(), picture(3), {'max_batch': 2}, ParameterError, 'example has a batch of 3, more than max_batch 2'),
    (Several(), (torch.rand(2, 3, 4), torch.rand(4)), {'max_batch': 2}, ParameterError,
     r'one common first dimension, the batch; found image \[2, 3, 4\], scale \[4\]')])
def test_a_wrong_argument_is_one_clear_error(cache, module, example, options, kind, message):
    options = {'backend': 'onnxruntime', **options}
    with pytest.raises(kind, match=message) as found:
        trt_perception.from_torch(module, example, **options)
    assert '\n' not in str(found.value)


def test_a_closed_engine():
    engine = make(Small(), picture())
    engine.close()
    engine.close()
    for call in (lambda: engine(picture()), lambda: engine(picture().numpy()), engine.describe, engine.__enter__):
        with pytest.raises(EngineError, match=r'the engine is closed: make it again with trt_perception\.from_torch'):
            call()
    assert repr(engine) == '<trt_perception.Engine (image float32 [1, 3, 32, 32]): fp32, closed>'


# Tensors on the GPU. Here PyTorch runs the network, in a stream of its own, on the addresses that it is given;
# test/gpu/test_device_tensors.py does it with TensorRT.

with_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs PyTorch with CUDA and a GPU')


class Memory:
    """Memory on the GPU at an address."""

    def __init__(self, address, shape):
        self.__cuda_array_interface__ = {
            'shape': tuple(shape), 'typestr': '<f4', 'data': (address, False), 'version': 3, 'stream': None}


class TorchBackend:
    """A DeviceBackend that doubles its input, late."""

    device_index = 0

    def __init__(self, model):
        self._model = model
        self._stream = torch.cuda.Stream()

    def enqueue(self, inputs, outputs, batch, stream, wait=False):
        caller = torch.cuda.current_stream()
        assert stream == caller.cuda_stream
        self._stream.wait_stream(caller)
        with torch.cuda.stream(self._stream):
            torch.cuda._sleep(10_000_000)
            image = torch.as_tensor(Memory(inputs[0], self._model.inputs[0].shape_for(batch)), device='cuda')
            result = torch.as_tensor(Memory(outputs[0], self._model.outputs[0].shape_for(batch)), device='cuda')
            torch.mul(image, 2, out=result)
        caller.wait_stream(self._stream)

    def close(self):
        pass


@with_cuda
def test_tensors_on_the_gpu_in_the_order_of_the_current_stream():
    from trt_perception.api.engine import Engine
    from trt_perception.pipeline.raw import RawModel, TensorSpec
    spec = TensorSpec('image', np.dtype('float32'), (1, 3, 512, 512), True)
    model = RawModel(Path('none.onnx'), '', (spec,), (spec,), 'fp32', 1, 4)
    image = torch.rand(2, 3, 512, 512, device='cuda')
    with Engine(model, TorchBackend(model), 0) as engine:
        streams = (torch.cuda.default_stream(), torch.cuda.Stream())
        # In the first round PyTorch allocates memory, which may wait for the GPU.
        for round_, stream in ((one, stream) for stream in streams for one in range(2)):
            with torch.cuda.stream(stream):
                target = torch.zeros_like(image)
                torch.cuda.synchronize()
                torch.cuda._sleep(10_000_000)
                target.copy_(image)
                found = engine(target)
                del target
                garbage = torch.full_like(image, 1e6)
                doubled = found * 2
                assert round_ == 0 or not stream.query()
            torch.cuda.synchronize()
            assert found.device == image.device and torch.equal(doubled, image * 4)
            assert garbage.min() == 1e6
        strided = image.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)
        assert torch.equal(engine(strided), image * 2)


@with_cuda
def test_a_tensor_on_the_gpu_for_an_engine_on_the_cpu():
    with make(Small().cuda(), picture()) as engine:
        with pytest.raises(ParameterError, match=r"input 'image' is on cuda:0, expected the CPU.*call it with \.cpu"):
            engine(picture().cuda())
        assert engine(picture()).shape == (1, 5)
    with pytest.raises(EngineError, match='the example is on the GPU, but ONNX Runtime runs the network on the CPU'):
        make(Small().cuda(), picture().cuda())
