# Copyright 2026 trt_perception contributors
# SPDX-License-Identifier: Apache-2.0
"""The perception_node executable: signals, the executor's thread, the way out."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import time
from typing import Any

from ..errors import one_line
from .rclpy_internals import require_internals, wait_for_callbacks
from .stop_request import StopRequest

# A stop must end in 2 s. The executor may take this long to finish its callbacks, then the process ends anyway.
_GRACE_S = 0.8
# DDS may take this long to leave.
_LEAVE_S = 0.6


def main(args: list[str] | None = None) -> int:
    """Run the node until SIGINT or SIGTERM, then end the process.

    Exit code 0 after a signal in any state. Exit code 1 if the node cannot start, with one line that says why, or if
    this process cannot use its device any more.
    """
    stop = StopRequest()
    # Before anything is imported: a signal during start-up ends the process as quietly as later.
    stop.listen(signal.SIGINT, signal.SIGTERM)
    from ..dependencies import require
    from ..errors import ParameterError, PerceptionError

    try:
        rclpy: Any = require('rclpy')
        # Before anything uses these names.
        require_internals()
        for package in ('sensor_msgs.msg', 'diagnostic_msgs.msg', 'vision_msgs.msg'):
            require(package)
        from rclpy.executors import MultiThreadedExecutor
        from rclpy.signals import SignalHandlerOptions

        from .node import PerceptionNode

        try:
            rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
        except Exception as error:  # RCLError lives in a private module
            raise ParameterError(f'the ROS arguments cannot be used: {_without_places(error)}') from error
        codes: list[int] = []

        def give_up() -> None:
            codes.append(1)
            stop.make()

        node = PerceptionNode(give_up)
        # One thread for transitions, one for diagnostics, one for parameters and the rest; images have their own.
        executor = MultiThreadedExecutor(num_threads=3)
        require_internals(executor=executor)
    except PerceptionError as error:
        print(f'perception_node: {error}', file=sys.stderr)
        return 1
    executor.add_node(node)
    spinner = threading.Thread(
        target=_spin, args=(executor, node, stop), name='executor', daemon=True)
    spinner.start()
    stop.wait()
    node.cancel()
    impatient = threading.Event()
    ender = threading.Thread(target=_end, args=(node, executor, spinner, rclpy, impatient), daemon=True)
    ender.start()
    started = time.monotonic()
    ender.join(_GRACE_S)
    if time.monotonic() - started > 2 * _GRACE_S:
        # A library held Python's lock all this time, as some do while they read a large file.
        ender.join(_GRACE_S)
    if ender.is_alive():
        # In the middle of a model load or an inference, which hold nothing of DDS. The participant must leave all the
        # same: its shared memory would stay behind, tens of MB each time with the profile for large images.
        impatient.set()
        leaver = threading.Thread(target=_leave, args=(node,), daemon=True)
        leaver.start()
        leaver.join(_LEAVE_S)
    # Without Python's own way out, also if all has ended well: only destructors of libraries are left, which have been
    # seen to wait for threads that are gone. In the middle of a model load or an inference there is nothing to save.
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(codes[0] if codes else 0)


def _without_places(error: Exception) -> str:
    """Return rcl's message without the places in its source."""
    return re.sub(r',? at /[^ ,]+:\d+', '', one_line(error))


def _spin(executor: Any, node: Any, stop: StopRequest) -> None:
    """Spin. An exception in one callback is logged and does not end the node."""
    from rclpy.exceptions import InvalidHandle

    while not stop.made:
        try:
            executor.spin_once(timeout_sec=0.5)
        except InvalidHandle:
            # A transition destroyed a subscription or publisher while the executor was about to wait for its
            # events. rclpy handles that everywhere else. The next round is without them.
            continue
        except Exception as error:
            if stop.made:
                return
            node.get_logger().error(f'error in a callback: {type(error).__name__}: {error}')


def _end(node: Any, executor: Any, spinner: threading.Thread, rclpy: Any, impatient: threading.Event) -> None:
    try:
        executor.wake()
        spinner.join()
        # Callbacks that are running must end before what they use is destroyed.
        wait_for_callbacks(executor)
        node.end()
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown()
    except Exception:
        # It ended late, among things that had been destroyed meanwhile.
        if not impatient.is_set():
            raise


def _leave(node: Any) -> None:
    # The other thread may be about to do the same.
    with contextlib.suppress(Exception):
        node.destroy_node()


if __name__ == '__main__':
    sys.exit(main())
