# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The device pipeline copies the outputs of a family's head to the host and decodes them there.

A stand-in for the GPU's memory takes the place of CUDA: addresses are keys, and a download copies an array.
"""

from types import SimpleNamespace

import numpy as np
from support.family_models import family_model

from trt_perception.backends.tensorrt.run.frame_work import FrameWork
from trt_perception.backends.tensorrt.run.runtime import Engine, Tensor
from trt_perception.model.spec import load_model
from trt_perception.ort.size_inputs import size_values
from trt_perception.pipeline.interface import PostprocessSettings
from trt_perception.pipeline.preprocess import geometry_of
from trt_perception.pipeline.tensorrt_options import RunOptions


class Memory:
    """A session whose GPU memory is a dictionary of byte arrays by address."""

    stream_handle = 0
    integrated = False

    def __init__(self):
        self.blocks = {}

    def allocate(self, size):
        address = 1000 + len(self.blocks)
        self.blocks[address] = np.zeros(size, np.uint8)
        return SimpleNamespace(address=address, size=size)

    def allocate_host(self, size, mapped=False, write_only=False):
        return SimpleNamespace(array=np.zeros(size, np.uint8), device_address=0)

    def upload(self, address, source):
        self.blocks[address][:] = source

    def download(self, target, address):
        target[:] = self.blocks[address]

    def synchronize(self):
        pass


def test_the_outputs_are_copied_and_decoded(tmp_path):
    boxes, scores, labels = np.zeros((1, 300, 4), 'f4'), np.zeros((1, 300), 'f4'), np.zeros((1, 300), 'i8')
    boxes[0, 0], scores[0, 0], labels[0, 0] = [24, 16, 48, 48], 0.9, 7
    outputs = {'labels': labels, 'boxes': boxes, 'scores': scores}
    spec = load_model(family_model(tmp_path / 'm.onnx', outputs, scaled='boxes'))
    memory = Memory()
    tensors = []
    # The plan may have more outputs than the head reads, in any order.
    for name, array in {'more': np.zeros((1, 3), 'f4'), **outputs}.items():
        address = memory.allocate(array.nbytes).address
        memory.upload(address, np.ascontiguousarray(array).view(np.uint8).reshape(-1))
        tensors.append(Tensor(name, array.dtype, array.shape, address))
    ran = []
    engine = SimpleNamespace(
        outputs=tuple(tensors), input=Tensor('images', np.dtype('f4'), (1, 3, 64, 96), 0), enqueue=ran.append)
    module = SimpleNamespace(launch=lambda *arguments: ran.append('kernel'))
    work = FrameWork(spec, RunOptions(cuda_graph=False), memory, engine, module, print)
    work.form = SimpleNamespace(kernel='packed3')
    work._geometry = geometry_of(spec, 640, 480)
    work._upload.enqueue = lambda: ran.append('upload')
    work.launch()
    assert ran == ['upload', 'kernel', 0] and work.detection is None
    found = work.result(PostprocessSettings())
    assert found.class_indices.tolist() == [7]
    # 96x64 stretched to 640x480
    np.testing.assert_allclose(found.boxes, [[160, 120, 320, 360]], atol=1e-3)
    raw = work.raw_output()
    assert set(raw) == set(outputs) and all(np.array_equal(raw[name], outputs[name]) for name in outputs)


def test_the_size_input_is_filled_once(tmp_path):
    spec = load_model(family_model(tmp_path / 'm.onnx', {
        'labels': np.zeros((1, 300), 'i8'), 'boxes': np.zeros((1, 300, 4), 'f4'),
        'scores': np.zeros((1, 300), 'f4')}, scaled='boxes'))
    memory, shapes, addresses = Memory(), {}, {}
    declared = {
        'images': (True, 'f4', (1, 3, 64, 96)), 'orig_target_sizes': (True, 'i8', (1, 2)),
        'labels': (False, 'i8', (1, 300)), 'boxes': (False, 'f4', (1, 300, 4)), 'scores': (False, 'f4', (1, 300))}

    def set_input_shape(name, shape):
        shapes[name] = tuple(shape)
        return True

    def set_tensor_address(name, address):
        addresses[name] = address
        return True

    context = SimpleNamespace(
        set_input_shape=set_input_shape, set_tensor_address=set_tensor_address,
        get_tensor_shape=lambda name: declared[name][2])
    library = SimpleNamespace(
        deserialize=lambda plan: object(), create_context=lambda engine: context,
        io_tensors=lambda engine: tuple(
            SimpleNamespace(name=name, is_input=is_input, dtype=np.dtype(kind), shape=shape)
            for name, (is_input, kind, shape) in declared.items()))
    engine = Engine(memory, library, b'', spec)
    assert [tensor.name for tensor in engine.outputs] == ['labels', 'boxes', 'scores']
    assert shapes == {'images': (1, 3, 64, 96), 'orig_target_sizes': (1, 2)}
    # Width, then height.
    assert memory.blocks[addresses['orig_target_sizes']].view('i8').tolist() == [96, 64]
    assert size_values((1, 64, 96, 3)).tolist() == [[96, 64]]
