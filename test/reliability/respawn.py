# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""Kills a node again and again that is started again by itself, and measures how long it is away.

    PYTHONPATH=.:test python test/reliability/respawn.py --kills 20
    PYTHONPATH=.:test python test/reliability/respawn.py --kills 20 --launch

By default a loop of the shell starts it again, as systemd or Docker do, and its parameter autostart makes it active.
With --launch it is detect.launch.py with respawn:=true.

A camera of its own sends images of 640x480 pixels at 15 Hz all the time. The time is from SIGKILL to the first result
of the new process. Fails if a node does not come back by itself, or if a result belongs to no image that was sent. The
last line is a summary as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Longest wait for a process to start; only a failure takes so long.
_TIMEOUT_S = 300.0
_LOOP = 'trap exit INT TERM; while :; do "$@" & wait $!; done'
# What `ros2 launch FILE model:=... respawn:=true` does; the wheels of ROS have no ros2 command.
_LAUNCH = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
service = LaunchService()
service.include_launch_description(LaunchDescription([IncludeLaunchDescription(
    PythonLaunchDescriptionSource(sys.argv[1]), launch_arguments={'model': sys.argv[2], 'respawn': 'true'}.items())]))
sys.exit(service.run())
"""


def nodes_of(supervisor: subprocess.Popen[bytes]) -> list[int]:
    """Return the process ids of the nodes that a supervisor has started."""
    import psutil

    return [
        child.pid for child in psutil.Process(supervisor.pid).children() if child.status() != psutil.STATUS_ZOMBIE]


def main() -> int:
    """Kill, measure and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=20)
    parser.add_argument('--launch', action='store_true')
    options = parser.parse_args()
    import numpy as np
    import psutil
    from support.camera_process import CameraProcess
    from support.frame_sum import stamp_ns
    from support.harness_driver import Collector, Driver, wait_until
    from support.harness_models import color_detector
    from support.harness_process import ROOT
    from support.node_fixtures import separate_domain
    from support.subprocesses import python_environment
    from vision_msgs.msg import Detection2DArray

    away = []
    with separate_domain() as domain, tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        driver = Driver(domain)
        results = Collector(driver, Detection2DArray, '/detections')
        model = color_detector(folder / 'model.onnx')
        camera = CameraProcess('/image', folder / 'sent.txt', rate=15, size='640x480')
        how = (
            [sys.executable, '-c', _LAUNCH, str(ROOT / 'launch' / 'detect.launch.py'), str(model)]
            if options.launch else
            ['sh', '-c', _LOOP, 'sh', sys.executable, '-m', 'trt_perception.node.main', '--ros-args', '-p',
             f'model_file:={model}', '-p', 'autostart:=true'])
        supervisor = subprocess.Popen(
            how, cwd=folder, env=python_environment(), stdin=subprocess.DEVNULL, stdout=sys.stderr)
        try:
            results.wait(timeout=_TIMEOUT_S)
            for number in range(1, options.kills + 1):
                [node] = wait_until(lambda: nodes_of(supervisor), 'the process')
                os.kill(node, signal.SIGKILL)
                killed, monotonic = time.time_ns(), time.monotonic()
                before = results.count()
                results.wait(
                    lambda m, killed=killed: stamp_ns(m) > killed, before, _TIMEOUT_S, f'a result after kill {number}')
                away.append(time.monotonic() - monotonic)
        finally:
            camera.kill()
            running = nodes_of(supervisor)
            supervisor.send_signal(signal.SIGTERM)
            supervisor.wait(60)
            for node in running:
                # The shell leaves it behind.
                with contextlib.suppress(psutil.NoSuchProcess):
                    left = psutil.Process(node)
                    left.send_signal(signal.SIGINT)
                    left.wait(60)
            results.close()
            driver.close()
        sent = set(camera.sent())
        strange = [number for number in map(stamp_ns, results.messages) if number not in sent]
    seconds = np.array(away)
    print(json.dumps({
        'kills': options.kills, 'by': 'launch' if options.launch else 'shell',
        'images': len(sent), 'results': results.count(), 'strange': len(strange),
        'away_s': {'least': round(float(seconds.min()), 2), 'median': round(float(np.median(seconds)), 2),
                   'most': round(float(seconds.max()), 2)}}))
    return 1 if strange else 0


if __name__ == '__main__':
    raise SystemExit(main())
