# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Uses a CudaSession with the stand-in of native/cuda_driver_on_host.c, and prints what it saw as JSON."""

import ctypes
import json

import numpy as np

from trt_perception.backends.tensorrt.cuda.runtime_api import CudaSession, device_at
from trt_perception.errors import EngineError

LAUNCH_FAILED = 719


def main():
    """Copy forth and back, ask for too much memory, close; then break the device."""
    driver = ctypes.CDLL('libcuda.so.1')
    live = (ctypes.c_int * 4).in_dll(driver, 'fake_live')
    session = CudaSession()
    seen = {'package': session.package, 'gpu': [
        session.device_name, *session.compute_capability, session.integrated]}
    with session.active('testing'):
        on_device = session.allocate(1000)
        sent = session.allocate_host(1000, mapped=True, write_only=True)
        back = session.allocate_host(1000)
        seen['mapped'] = sent.device_address == sent.array.ctypes.data and back.device_address == 0
        sent.array[:] = np.random.default_rng(0).integers(0, 256, 1000)
        session.upload(on_device.address, sent.array)
        session.download(back.array, on_device.address)
        session.synchronize()
        seen['copied'] = bool((back.array == sent.array).all())
        seen['memory'] = session.memory()
        seen['open'] = list(live)
        seen['depth inside'] = driver.fake_depth()
        session.release(back)
        seen['released'] = list(live)
    try:
        with session.active('asking for too much'):
            session.allocate(1 << 40)
    except EngineError as error:
        seen['too much'] = str(error)
    session.close()
    session.close()
    seen['closed'] = list(live)
    try:
        device_at(3)
    except EngineError as error:
        seen['no such GPU'] = str(error)
    session = CudaSession()
    ctypes.c_int.in_dll(driver, 'fake_broken').value = LAUNCH_FAILED
    try:
        with session.active('running the engine'):
            session.synchronize()
    except EngineError as error:
        seen['broken'] = [error.fatal, str(error)]
    session.close()
    seen['depth'] = driver.fake_depth()
    print(json.dumps(seen))


if __name__ == '__main__':
    main()
