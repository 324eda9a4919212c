# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""GPU failures of the node: an end in the middle of a build, no free memory, an illegal access."""

import hashlib
import re
import signal
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: make setup')
pytest.importorskip('vision_msgs.msg', reason='needs vision_msgs: make setup')

from support import harness_images as images
from support.engines import convolutional_detector
from support.harness_driver import boxes_of, wait_until
from support.node_models import TENSORRT, build_processes, change_sidecar, configure, is_alive

from trt_perception.backends.tensorrt.cache.kernel_cache import (
    compile_with_nvcc,
    compile_with_nvrtc,
    find_nvcc,
    kernel_cubin,
    kernel_sources,
)
from trt_perception.backends.tensorrt.cache.private_files import replace_private
from trt_perception.file_cache import cache_root

MIB = 1 << 20
# The node promises 2 s. A machine that builds engines may be slow to schedule the end.
SLACK_S = 3.0
SIGNALS = [signal.SIGINT, signal.SIGTERM]
# On the grid of the colour models: 8x8 pixels in an image of 64x64.
BOXES = {'red': (16, 8, 24, 16)}
KERNEL = 'PREPROCESS(uyvy, UYVY)'
BROKEN_KERNEL = """
extern "C" __global__ void preprocess_uyvy(const Sampling sampling) { *reinterpret_cast<volatile int*>(16) = 1; }
"""


def free_memory(session):
    with session.active('asking for memory'):
        return session.memory()[0]


def take_all_memory(session):
    taken, size = [], 1 << 36
    with session.active('taking memory'):
        while size >= MIB:
            try:
                taken.append(session.allocate(size))
            except session.errors:
                size //= 2
    return taken


def picture(node, encoding='bgr8'):
    return images.image(images.picture(64, 64, BOXES, 10), images.header('', node.driver.now_ns()), encoding)


@pytest.mark.parametrize('number', SIGNALS, ids=lambda number: number.name)
def test_a_signal_in_the_middle_of_a_build(start_node, new_cache, session, tmp_path, number):
    """The node and its build end at once, and leave no allocated memory and no partial engine."""
    before = free_memory(session)
    # TensorRT measures kernels for these convolutions long enough for a signal in the middle.
    parameters = {
        'backend': 'tensorrt', 'builder_optimization_level': 1,
        'model_file': str(convolutional_detector(tmp_path / 'convolutions.onnx'))}
    node = start_node(**parameters)
    configured = node.begin('configure')
    node.diagnosis(lambda status, _: 'building' in status.message.lower(), 'TensorRT is at work', timeout=120)
    worker, = build_processes(node)
    taken = before - free_memory(session)
    code, seconds = node.process.stop(number)
    print(f'{number.name}: exit code {code} after {seconds:.2f} s; the build used {taken / MIB:.0f} MiB of the GPU')
    assert code == 0, node.process.tail()
    assert seconds < 2.0 + SLACK_S
    node.process.assert_clean()
    assert taken > 50 * MIB
    # The node may still answer that configure failed.
    assert not (configured.done() and configured.result().success)
    assert 'configured in' not in node.process.output
    wait_until(lambda: not is_alive(worker), 'the build is gone', 2)
    wait_until(
        lambda: free_memory(session) >= before - 2 * MIB,
        lambda: f'{(before - free_memory(session)) / MIB:.0f} MiB of the GPU are not given back', 5)
    assert new_cache.entries() == []
    assert not list(new_cache.root.glob('.*.part'))

    other = start_node(**parameters)
    assert configure(other), other.process.tail()
    values = other.diagnosis(lambda _, values: values['state'] == 'inactive')[1]
    assert values['engine_from'] == 'build (none was built before)'
    assert [entry.problem for entry in new_cache.entries()] == ['']


def test_the_shutdown_transition_in_the_middle_of_a_build(start_node, new_cache, session, tmp_path):
    """Answered at once. The build has ended and freed everything; the node's process stays, finalized."""
    before = free_memory(session)
    node = start_node(
        backend='tensorrt', builder_optimization_level=1,
        model_file=str(convolutional_detector(tmp_path / 'convolutions.onnx')))
    configured = node.begin('configure')
    node.diagnosis(lambda status, _: 'building' in status.message.lower(), 'TensorRT is at work', timeout=120)
    worker, = build_processes(node)
    started = time.monotonic()
    assert node.change_state('shutdown'), node.process.tail()
    seconds = time.monotonic() - started
    print(f'shut down after {seconds:.2f} s')
    assert seconds < 2.0 + SLACK_S
    assert node.result(configured, 'configure').success is False
    assert node.state() == 'finalized'
    assert not is_alive(worker)
    node.process.wait_for_line('configure failed: the engine build for convolutions.onnx was cancelled')
    wait_until(lambda: free_memory(session) >= before - 2 * MIB, 'the GPU memory is given back', 5)
    assert new_cache.entries() == []


def test_too_little_gpu_memory_fails_configure_until_there_is_some(start_node, color_models, kept_cache, session):
    node = start_node(**TENSORRT, model_file=color_models())
    assert configure(node), node.process.tail()
    engine = node.diagnosis(lambda _, values: values['state'] == 'inactive')[1]['engine']
    assert node.change_state('cleanup')
    taken = take_all_memory(session)
    mark = node.process.mark()
    try:
        assert not configure(node)
        assert node.state() == 'unconfigured'
        lines = node.process.lines_since(mark)
    finally:
        with session.active('giving memory back'):
            for buffer in taken:
                session.release(buffer)
    errors = [line for line in lines if 'ERROR' in line]
    print('\n'.join(lines))
    assert len(errors) == 1 and re.search('configure failed: .*memory', errors[0]), lines
    # Too little memory must not discard an engine.
    assert not re.search('building it', '\n'.join(lines))
    assert configure(node), node.process.tail()
    values = node.diagnosis(lambda _, values: values['state'] == 'inactive')[1]
    assert (values['engine'], values['engine_from']) == (engine, 'cache')
    assert node.change_state('activate')
    assert list(boxes_of(node.answer_to(node.camera(), picture(node)))) == ['blue']


def test_an_engine_that_does_not_load_is_built_again(start_node, color_models, kept_cache):
    """As after a driver update: the files are intact, but TensorRT rejects the plan."""
    node = start_node(**TENSORRT, model_file=color_models())
    assert configure(node), node.process.tail()
    engine = node.diagnosis(lambda _, values: values['state'] == 'inactive')[1]['engine']
    assert node.change_state('cleanup')
    refused = b'not a plan at all' * 100
    replace_private(kept_cache.root / f'{engine}.plan', refused)
    change_sidecar(kept_cache, engine, plan_sha256=hashlib.sha256(refused).hexdigest())
    assert [entry.problem for entry in kept_cache.entries() if entry.digest == engine] == ['']
    assert configure(node), node.process.tail()
    print(node.process.wait_for_line('the cached engine cannot be loaded .*; building it again'))
    values = node.diagnosis(lambda _, values: values['state'] == 'inactive')[1]
    assert values['engine'] == engine and values['engine_from'].startswith('build')
    assert node.change_state('activate')
    assert list(boxes_of(node.answer_to(node.camera(), picture(node)))) == ['blue']


def test_an_illegal_access_ends_the_node_with_one_clear_line(start_node, color_models, new_cache, session):
    """The kernel for UYVY images is replaced by one that writes to an illegal address."""
    break_kernel(session.compute_capability)
    node = start_node(**TENSORRT, model_file=color_models())
    assert configure(node), node.process.tail()
    assert node.change_state('activate')
    camera = node.camera()
    # This network calls the red channel blue.
    assert list(boxes_of(node.answer_to(camera, picture(node)))) == ['blue']
    mark = node.process.mark()
    camera.publish(picture(node, 'yuv422'))
    wait_until(lambda: node.process.process.poll() is not None, 'the node ends')
    node.process.exit_code = 1
    code, _ = node.process.stop()
    lines = node.process.lines_since(mark)
    print('\n'.join(lines))
    assert code == 1
    fatal, = [line for line in lines if 'FATAL' in line]
    assert 'this process can no longer use its device and ends; start the node again' in fatal
    assert 'illegal' in fatal and session.device_name in fatal
    assert not re.search('PyCUDA|pycuda|abort', '\n'.join(lines))
    node.process.assert_clean()

    # As launch's respawn does.
    again = start_node(**TENSORRT, model_file=color_models())
    assert configure(again), again.process.tail()
    assert again.change_state('activate')
    assert list(boxes_of(again.answer_to(again.camera(), picture(again)))) == ['blue']


def break_kernel(capability):
    """Replace the compiled kernels in the cache of this test by a faulty module."""
    kernel_cubin(capability)
    path, = (cache_root() / 'kernels').glob('*.cubin')
    sources = kernel_sources()
    assert sources['kernels.cu'].count(KERNEL) == 1
    sources['kernels.cu'] = sources['kernels.cu'].replace(KERNEL, BROKEN_KERNEL)
    compile_kernels = compile_with_nvcc if find_nvcc() else compile_with_nvrtc
    cubin = compile_kernels(sources, 'sm_{}{}'.format(*capability))
    assert path.read_bytes()[:32] == hashlib.sha256(path.read_bytes()[32:]).digest()
    path.write_bytes(hashlib.sha256(cubin).digest() + cubin)

